# A table that cannot be written for longer than the buffers last: intervals wait in
# files, and come back in order.  And the files' own faults.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use List::Util qw(max);

use Lastfluss;
use PostgreSQL::Test::Utils;
use Test::More;

my $collector = Lastfluss->new('spool', conf => <<'CONF');
lastfluss.buffers = 4
lastfluss.log_level = debug
CONF
$collector->configure(
	q{SELECT lastfluss.set('window', '1')},
	q{SELECT lastfluss.set('period', '1')},
	q{SELECT lastfluss.set('attribution', 'spread')},
	q{SELECT lastfluss.add_interface('A', '127.0.0.11', 1)});
my $node   = $collector->node;
my $router = $collector->exporter('ipfix', from => '127.0.0.11',
	fields => [qw(bytes packets in out src_as dst_as src dst first last)]);
my $bytes  = 0;	# sent, and not given up

sub send_one
{
	my $now = 1000 * time;

	$router->{template_sent} = 0;	# it may have been lost in a crash
	$router->send({ in => 1, out => 9, src_as => 64501, bytes => 100003, packets => 1,
		first => $now - 2000, last => $now });
	$bytes += 100003;
	return;
}

# Goes on sending until that is true of status.
sub send_until
{
	my ($condition) = @_;

	Lastfluss::wait_until(sub {
		send_one();
		$collector->sql("SELECT $condition FROM lastfluss.status") eq 't' })
	  or die "waited in vain for: $condition";
	$collector->wait_received;
	return;
}

my $other;	# holds the lock

sub lock_table
{
	$other = $node->background_psql('postgres');
	$other->set_query_timer_restart;
	$other->query_safe('BEGIN; LOCK TABLE traffic IN ACCESS EXCLUSIVE MODE');
	return;
}

sub unlock_table
{
	$other->query_safe('COMMIT');
	$other->quit;
	return;
}

sub in_traffic { return $other->query_safe('SELECT coalesce(sum(bytes), 0) FROM traffic'); }

sub live_is_complete
{
	my ($what) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	return is(in_traffic() + $collector->sql('SELECT coalesce(sum(bytes), 0) FROM lastfluss.live'),
		$bytes, "$what: traffic and live have all");
}

# All that was sent is in traffic, once, and nothing waits any more.
sub all_is_written
{
	my ($what) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	$collector->wait_written;
	is($collector->sql('SELECT sum(bytes) FROM traffic'), $bytes, "$what: all is written, once");
	return $collector->becomes(
		'SELECT state, spooled, spool_bytes, spool IS NULL FROM lastfluss.status',
		'collecting|0|0|t', 'and no file waits');
}

sub lines
{
	my ($position, $pattern) = @_;

	return scalar(grep { /LOG:  lastfluss: $pattern/ } $collector->log_of_workers($position));
}

# The newest interval that was given to its file alone, after that position of the log.
# It need not be the last one there: that may be the one which the writer had in hand.
sub newest_spooled
{
	my ($position) = @_;

	return max(map { /interval (\d+) of .* waits in a file/ } $collector->log_of_workers($position));
}

# Ends a worker, and waits for the next one.
sub end_worker
{
	my ($title) = @_;
	my $pid = $collector->process($title);

	kill('TERM', $pid);
	Lastfluss::wait_until(sub { ($collector->process($title) // $pid) != $pid })
	  or die "no other $title comes";
	return;
}

send_until('intervals > 0 AND rows > 0');

#
# Locked for longer than all buffers last.
#
my $position  = $collector->log_position;
my $first_run = $collector->run;

lock_table();
send_until('spooled > 2');
is($collector->sql(q{SELECT state, spool_bytes > 0, intervals_waiting >= spooled,
	spool ~ '^\d+ intervals wait in [\d.]+ of 1024 MB; when these are full, ' FROM lastfluss.status}),
	'cannot write|t|t|t', 'status tells what waits in files, and what happens when they are full');
live_is_complete('locked');
end_worker($_) for 'lastfluss keeper', 'lastfluss receiver', 'lastfluss writer';
send_until('spooled > 6');
live_is_complete('and after workers were ended');
unlock_table();
all_is_written('after the lock');
is($collector->sql('SELECT bool_and(ordered) FROM
	(SELECT time >= coalesce(lag(time) OVER (ORDER BY id), time) AS ordered FROM traffic) t'),
	't', 'the intervals are written in order');

#
# The postmaster dies meanwhile.
#
lock_table();
send_until('spooled > 2');
$collector->wait_saved($bytes - in_traffic());
my @children = $collector->children;
$node->kill9;
$other->{run}->finish;
Lastfluss::wait_until(sub { !kill('ZERO', @children) }) or die 'children are left';
$collector->start;
$collector->wait_for("SELECT state FROM lastfluss.status", 'collecting');
all_is_written('after kill -9 of the postmaster');

#
# A file that is damaged while it waits: that interval is lost, and no other.
#
$position = $collector->log_position;
lock_table();
send_until('spooled > 2');
my $damaged = newest_spooled($position);
my $file = $collector->spool_directory . '/interval.' . $collector->run . ".0.$damaged";
$bytes -= Lastfluss::spool_file_bytes($file);
truncate($file, 20) or die "$file: $!";
unlock_table();
all_is_written('with a damaged file');
is(lines($position, "interval $damaged of receiver 0 is lost"), 1, 'the log tells that it is lost');
ok(-e "$file.damaged", 'and it is set aside');

#
# No room by the setting.
#
$collector->configure(q{SELECT lastfluss.set('spool_limit', '0')});
$position = $collector->log_position;
lock_table();
send_until('stretched > 0');
is($collector->sql(q{SELECT spooled, spool ~ '^full with 0 intervals' FROM lastfluss.status}), '0|t',
	'at the limit nothing more goes to files, and status tells what happens');
live_is_complete('at the limit');
my $stretched = $collector->sql('SELECT stretched FROM lastfluss.status');
send_until("stretched > $stretched + 10");
is(lines($position, 'the files of intervals .* have reached the limit'), 1, 'the log tells it once');
unlock_table();
all_is_written('at the limit');
is(lines($position, 'the files of intervals .* are below the limit again'), 1, 'and that it is over');
$collector->configure(q{SELECT lastfluss.reset('spool_limit')});

#
# No room on the disk: the new files are links to a device that is full.
#
SKIP:
{
	skip '/dev/full is missing', 9 unless -c '/dev/full';

	my $directory = $collector->spool_directory;
	my $run       = "$directory/interval." . $collector->run . '.0.';
	my $sequence  = $collector->sql('SELECT sequence FROM lastfluss._written ORDER BY run DESC LIMIT 1');

	$position = $collector->log_position;
	lock_table();
	symlink('/dev/full', "$run$_.new") for $sequence .. $sequence + 300;
	symlink('/dev/full', "$directory/decoder.0.new");
	chmod(0500, $directory);
	$stretched = $collector->sql('SELECT stretched FROM lastfluss.status');
	send_until("stretched > $stretched");
	is(lines($position, 'could not save an interval to a file: No space left on device'), 1,
		'the log tells once that the disk is full');
	is($collector->sql(q{SELECT spool ~ '^full ' FROM lastfluss.status}), 't', 'and so does status');
	live_is_complete('with a full disk');

	chmod(0700, $directory);
	unlink(glob("$directory/*.new"));
	send_until('spooled > 1');
	ok(Lastfluss::wait_until(sub { lines($position, 'intervals can be saved to files again') == 1 }),
		'with room again it goes on, and the log tells it');
	live_is_complete('with room again');
	unlock_table();
	all_is_written('after the disk was full');
}

#
# A directory that cannot be read, from the start on: nothing is taken for missing.
#
lock_table();
send_until('spooled > 1');
$collector->wait_saved($bytes - in_traffic());
$collector->stop('immediate');
$other->{run}->finish;
chmod(0000, $collector->spool_directory);
$position = $collector->log_position;
$collector->start;
$collector->wait_for(q{SELECT last_error ~ 'could not read directory "pg_lastfluss"' FROM lastfluss.status});
my $writer = $collector->process('lastfluss writer');
# Then it can be listed, but nothing in it looked at.
for my $mode (0000, 0400)
{
	chmod($mode, $collector->spool_directory);
	for (1 .. 2)
	{
		my $error_at = $collector->sql('SELECT last_error_at FROM lastfluss.status');

		$collector->wait_for("SELECT last_error_at > '$error_at' FROM lastfluss.status");
	}
}
is($collector->process('lastfluss writer'), $writer, 'the writer waits for a directory that cannot be read');
send_until('datagrams > 5');
is($collector->sql("SELECT state FROM lastfluss.status"), 'cannot write', 'and says so');
chmod(0700, $collector->spool_directory);
all_is_written('when it can be read');
is(lines($position, 'could not list the files of intervals'), 1, 'the log told it once');

ok(Lastfluss::wait_until(sub { $collector->spool_files($first_run) == 0 }),
	'files of written intervals are removed');
unlike(slurp_file($node->logfile), qr/PANIC|terminated by signal/, 'no worker has crashed');

$collector->stop;
done_testing();
