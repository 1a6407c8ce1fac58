# Intervals and what was learned, in files: after a crash, and where a file is damaged.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use Lastfluss;
use PostgreSQL::Test::Utils;
use Test::More;

my $collector = Lastfluss->new('spool_files');
my $node      = $collector->node;
my $router    = $collector->exporter('v5', from => '127.0.0.11');
my $directory = $node->data_dir . '/pg_lastfluss';
my $bytes     = 0;

sub send_one
{
	$router->send({ in => 1, out => 9, src_as => 64501, bytes => 1000, packets => 1 });
	$bytes += 1000;
	$collector->wait_received;
	return;
}

sub files
{
	my ($pattern) = @_;
	my @found = glob "$directory/$pattern";

	return @found;
}

# An interval's file is up to date when its sum is the one sent: the path comes
# behind a head of 56 octets, and the file's header of 12.
sub saved_bytes
{
	my $sum = 0;

	for my $file (files('interval.*'))
	{
		next if $file =~ /\.(new|damaged)$/;

		my $content = eval { slurp_file($file) } // next;
		my $rows    = unpack('L', substr($content, 12 + 40, 4));

		$sum += unpack('Q', substr($content, 12 + 56 + 32 * $_ + 16, 8)) for 0 .. $rows - 1;
	}
	return $sum;
}

sub change_octet
{
	my ($file, $position) = @_;
	my $octet;

	open(my $handle, '+<:raw', $file) or die "$file: $!";
	seek($handle, $position, 0);
	read($handle, $octet, 1);
	seek($handle, $position, 0);
	print $handle chr(ord($octet) ^ 1);
	close($handle) or die "$file: $!";
	return;
}

# The server dies, as by a failure of power, when all was saved.
sub crash
{
	send_one();
	Lastfluss::wait_until(sub { saved_bytes() == $bytes }) or die 'not saved';
	$node->stop('immediate');
	return;
}

sub start_again
{
	$collector->start;
	$collector->becomes('SELECT state FROM lastfluss.status', 'collecting', 'it goes on collecting');
	return;
}

my $period = Lastfluss::long_period();

$collector->configure(
	"SELECT lastfluss.set('period', '$period')",
	q{SELECT lastfluss.add_interface('A', '127.0.0.11', 1)});

crash();
start_again();
$collector->becomes('SELECT sum(bytes) FROM traffic', $bytes, 'what was saved is written');
ok(Lastfluss::wait_until(sub { saved_bytes() == 0 }), 'and its file is removed');

# Damaged: an octet of the content, the version in the header, the end.
my %damage = (
	'a wrong octet'    => sub { change_octet($_[0], 12 + 56 + 1) },
	'another version'  => sub { change_octet($_[0], 0) },
	'a missing end'    => sub { truncate($_[0], (-s $_[0]) - 1) or die "$_[0]: $!" },
	'an empty file'    => sub { truncate($_[0], 0) or die "$_[0]: $!" });

for my $what (sort keys %damage)
{
	my $position = $collector->log_position;

	$bytes = 0;
	crash();
	$damage{$what}->($_) for grep { !/damaged$/ } files('interval.*');
	unlink(files('*.damaged'));
	start_again();
	ok(Lastfluss::wait_until(sub { files('interval.*.damaged') > 0 }), "$what: it is set aside");
	is( scalar(grep { /LOG:  lastfluss: file "pg_lastfluss\/interval\.[\d.]+" is damaged or of another version/ }
			$collector->log_of_workers($position)),
		scalar(files('interval.*.damaged')), 'with a line in the log');
	$bytes = 0;
}

# The same for what was learned.
$collector->stop;
ok(-s "$directory/decoder.0", 'what was learned is saved');
change_octet("$directory/decoder.0", 20);
start_again();
ok(-e "$directory/decoder.0.damaged", 'it is set aside when damaged');
send_one();

# Nothing of a crash while writing stays; other files are nobody's business.
$collector->stop;
append_to_file("$directory/$_", 'x') for 'interval.1.0.1.new', 'interval.x', 'notes';
start_again();
ok(Lastfluss::wait_until(sub { files('*.new') == 0 }), 'half a file is removed');
is(scalar(files('interval.x')) + files('notes'), 2, 'others are left alone');
unlike(slurp_file($node->logfile), qr/terminated by signal|PANIC/, 'no worker has crashed');

$collector->stop;
done_testing();
