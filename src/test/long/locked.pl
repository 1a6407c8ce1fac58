# The table is locked for minutes, while many records come: nothing is lost, and what
# waited in files is written soon after the lock is gone.
#
# LASTFLUSS_MINUTES (10), LASTFLUSS_RATE (100000 records a second), LASTFLUSS_ASNS
# (20000, of which each interval has most, in some rows each); and where they are set,
# LASTFLUSS_PERIOD and LASTFLUSS_WINDOW (seconds) and LASTFLUSS_BUFFERS instead of
# the defaults.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use IPC::Run qw(start);
use Lastfluss;
use List::Util qw(max);
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $seconds = 60 * ($ENV{LASTFLUSS_MINUTES} || 10);
my $rate    = $ENV{LASTFLUSS_RATE}    || 100000;
my $asns    = $ENV{LASTFLUSS_ASNS}    || 20000;
my $buffers = $ENV{LASTFLUSS_BUFFERS} || 8;
my $allowed = 60;	# seconds for writing what waited

my $generator = $ENV{GENERATOR} // "$FindBin::RealBin/../generator/generator";
plan skip_all => "the generator is not built (make generator): $generator"
	unless -x $generator;

my $collector = Lastfluss->new('locked', attribution => 'spread', conf => <<"CONF");
lastfluss.max_entries = 131072
lastfluss.buffers = $buffers
fsync = on
log_statement = none
CONF
my $node  = $collector->node;
my $truth = $node->basedir . '/truth.tsv';
my @v9    = ($generator, '--quiet', '--format', 'v9', '--asns', $asns, '--truth', $truth);

# Rows of a truth file: host, interface, in or out, records, octets, packets, scaled.
sub read_truth
{
	return map { [ split /\t/ ] } grep { /^[0-9]/ } split /\n/, slurp_file($truth);
}

# A dry run tells the interfaces, and the router's sampling rate.
command_ok([ @v9, '--records', 5000, '--pcap', '/dev/null' ], 'the generator runs');
my %interfaces = map { ("$_->[0] $_->[1]" => $_) } grep { $_->[4] > 0 } read_truth();

sub add_interface
{
	my ($name) = @_;
	my ($host, $id, undef, undef, $octets, undef, $scaled) = @{ $interfaces{$name} };

	return "SELECT lastfluss.add_interface('$name', '$host', $id, sample => $scaled / $octets)";
}

$collector->configure(
	(map { defined $_->[1] && $_->[1] ne '' ? "SELECT lastfluss.set('$_->[0]', '$_->[1]')" : () }
		[ 'window', $ENV{LASTFLUSS_WINDOW} ], [ 'period', $ENV{LASTFLUSS_PERIOD} ]),
	map { add_interface($_) } sort keys %interfaces);
$collector->wait_for(q{SELECT to_regclass('traffic') IS NOT NULL AND to_regclass('traffic_health') IS NOT NULL});

sub status
{
	my @columns = qw(intervals_waiting spooled spool_bytes stretched kernel_drops lost folded records);
	my %status;

	@status{@columns} = split /\|/,
	  $collector->sql('SELECT ' . join(', ', @columns) . ' FROM lastfluss.status');
	return \%status;
}

#
# Locked.
#
my $other = $node->background_psql('postgres');
$other->set_query_timer_restart;
$other->query_safe('BEGIN; LOCK TABLE traffic IN ACCESS EXCLUSIVE MODE');

my ($output, %most) = ('');
my $begin   = time;
my $sending = start([ @v9, '--rate', $rate, '--duration', $seconds, '--port', $collector->port ],
	'>', \$output, '2>&1');

while ($sending->pumpable)
{
	my $status = status();

	$most{$_} = max($most{$_} // 0, $status->{$_}) for qw(spooled spool_bytes intervals_waiting);
	$sending->pump_nb;
	sleep(1);
}
ok($sending->finish, 'the generator has sent') or diag($output);
my $took = time - $begin;
is($collector->sql("SELECT state FROM lastfluss.status"), 'cannot write', 'the table was locked all the time');

#
# Unlocked.
#
my $waiting  = status()->{intervals_waiting};
my $unlocked = time;

$other->query_safe('COMMIT');
$other->quit;
until (status()->{intervals_waiting} == 0 || time - $unlocked > 10 * $allowed)
{
	sleep(0.1);
}
my $backlog = time - $unlocked;

my ($records, %sent);
for (read_truth())
{
	my ($host, $id, $direction, $count, undef, undef, $scaled) = @$_;

	next if $count == 0;
	$sent{"$host $id|" . ($direction eq 'in' ? 't' : 'f')} = $scaled;
	$records += $count if $direction eq 'in';
}
$collector->wait_for("SELECT records FROM lastfluss.status", $records);
my %stored = map { /^(.*)\|(\d+)$/ } split /\n/, $collector->sql(
	q{SELECT iface, ingress, sum(bytes) FROM (SELECT iface, ingress, bytes FROM lastfluss.live
	  UNION ALL SELECT iface, ingress, bytes FROM traffic) t GROUP BY 1, 2});
my $status = status();

note(sprintf('sent          %d records in %.0f s, %.0f a second', $records, $took, $records / $took));
note("lost          $status->{lost}");
note("kernel_drops  $status->{kernel_drops}");
note("stretched     $status->{stretched}");
note("folded        $status->{folded}");
note(sprintf('spool         %d intervals in %.1f MB at the most', $most{spooled}, $most{spool_bytes} / 1048576));
note(sprintf('backlog       %d intervals, written in %.1f s', $waiting, $backlog));

is($status->{lost}, 0, 'lost: none');
is($status->{kernel_drops}, 0, 'kernel_drops: none');
is($status->{stretched}, 0, 'no interval was stretched');
cmp_ok($most{spooled}, '>', 0, 'intervals have waited in files');
cmp_ok($backlog, '<', $allowed, "what waited was written within $allowed s");
is_deeply(\%stored, \%sent, 'what is stored is what was sent, to the byte');

$collector->stop;
done_testing();
