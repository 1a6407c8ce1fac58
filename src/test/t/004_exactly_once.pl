# Every interval is written once, whatever happens to the table and the writer; and
# until then it waits.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use Lastfluss;
use PostgreSQL::Test::Utils;
use Test::More;

my $collector = Lastfluss->new('exactly_once', conf => <<'CONF');
lastfluss.buffers = 3
lastfluss.max_entries = 16
CONF
$collector->configure(
	q{SELECT lastfluss.set('period', '1')},
	q{SELECT lastfluss.add_interface('A', '127.0.0.11', 1)});
my $node   = $collector->node;
my $router = $collector->exporter('ipfix', from => '127.0.0.11');
my $bytes  = 0;

sub send_one
{
	$router->send({ in => 1, out => 9, src_as => 64501, bytes => 1000, packets => 1 });
	$bytes += 1000;
	return;
}

# Goes on sending until the query is true.
sub send_until
{
	my ($query) = @_;

	Lastfluss::wait_until(sub { send_one(); $collector->sql("SELECT $query") eq 't' })
	  or die "waited in vain for: $query";
	$collector->wait_received;
	return;
}

sub status { return "(SELECT $_[0] FROM lastfluss.status)"; }

# All that was sent is in traffic, once.
sub all_is_written
{
	my ($what) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	$collector->wait_written;
	return is($collector->sql('SELECT sum(bytes), sum(flows) FROM traffic'),
		"$bytes|" . $bytes / 1000, $what);
}

sub errors_logged
{
	my ($position) = @_;

	return scalar(grep { /LOG:  lastfluss: could not write an interval/ }
		  $collector->log_of_workers($position));
}

send_until(status('intervals > 0'));
all_is_written('intervals are written');

# A query that begins before the interval is written, and reads live after.
SKIP: for my $try (1 .. 3)
{
	skip 'Citus has no snapshot of all nodes', 4 - $try if $collector->on_citus;
	send_one();
	$collector->wait_received;
	is($collector->sql(q{SELECT sum(bytes) FROM (SELECT bytes FROM traffic
		UNION ALL SELECT 0 FROM pg_sleep(1.5)
		UNION ALL SELECT bytes FROM lastfluss.live) t}),
		$bytes, "traffic and live are complete, while an interval is written ($try)");
}

#
# A table that is locked.
#
my $position = $collector->log_position;
my $other = $node->background_psql('postgres');
$other->query_safe('BEGIN; LOCK TABLE traffic IN ACCESS EXCLUSIVE MODE');
send_until(status('intervals_waiting > 1 AND last_error IS NOT NULL'));
is($collector->sql('SELECT state FROM lastfluss.status'), 'cannot write', 'intervals wait');
like($collector->sql('SELECT last_error FROM lastfluss.status'),
	qr/could not write an interval: .*lock/, 'last_error tells what for');

my $extra = Lastfluss::udp_port();
$collector->sql("SELECT lastfluss.add_listener('127.0.0.1', $extra)");
ok(Lastfluss::wait_until(sub { Lastfluss::sockets($extra) == 1 }),
	'the configuration is followed meanwhile');
$collector->configure(
	q{SELECT lastfluss.add_interface('B', '127.0.0.11', 2)},
	q{SELECT lastfluss.set('spool_limit', '0')});
$router->send({ in => 2, out => 9, src_as => 64502, bytes => 1000, packets => 1 });
$bytes += 1000;

# More intervals than there are buffers, and no room in files.
send_until(status('stretched > 0'));
is($collector->sql('SELECT intervals_waiting - spooled <= 3 FROM lastfluss.status'), 't',
	'when there is no buffer left, the last interval takes in the next');
my ($error_at) = $collector->sql('SELECT last_error_at FROM lastfluss.status');
$collector->wait_for("SELECT last_error_at > '$error_at' FROM lastfluss.status");
is(errors_logged($position), 1, 'the log tells the error once');
is( $collector->sql(
		'SELECT coalesce(sum(bytes), 0) FROM (SELECT bytes FROM lastfluss.live) t') +
	  $other->query_safe('SELECT sum(bytes) FROM traffic'),
	$bytes, 'live has what waits');

$other->query_safe('COMMIT');
$other->quit;
all_is_written('after the lock everything is written, once');
$collector->becomes('SELECT state, last_error IS NULL, last_error_at IS NULL, intervals_waiting FROM lastfluss.status',
	'collecting|t|t|0', 'and the error is over');
is($collector->sql(q{SELECT sum(bytes) FROM traffic WHERE iface = 'B'}), 1000,
	'the interface added meanwhile is there');

#
# A table that refuses the rows.
#
$position = $collector->log_position;
$collector->sql('ALTER TABLE traffic ADD CONSTRAINT refused CHECK (bytes < 0) NOT VALID');
send_until(status('intervals_waiting > 1'));
like($collector->sql('SELECT last_error FROM lastfluss.status'),
	qr/could not write an interval: .*violates check constraint "refused"/,
	'rows that are refused wait');
$error_at = $collector->sql('SELECT last_error_at FROM lastfluss.status');
$collector->wait_for("SELECT last_error_at > '$error_at' FROM lastfluss.status");
is(errors_logged($position), 1, 'the log tells that once, too');

# A writer that is started meanwhile finds what waits.
my $writer = q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'lastfluss writer'};
my $pid    = $collector->sql($writer);
is($collector->sql("SELECT pg_terminate_backend($pid)"), 't', 'the writer is ended');
$collector->wait_for("SELECT ($writer) <> $pid");
$collector->sql('ALTER TABLE traffic DROP CONSTRAINT refused');
all_is_written('when they are not refused any more, they are written');
$collector->becomes('SELECT last_error IS NULL FROM lastfluss.status', 't', 'the error is over');

#
# A writer that is ended or cancelled over and over.
#
for my $round (1 .. 5)
{
	my $function = $round % 2 ? 'pg_terminate_backend' : 'pg_cancel_backend';
	my $before   = $collector->sql('SELECT intervals FROM lastfluss.status');

	send_until("EXISTS ($writer)");
	$collector->sql("SELECT $function(pid) FROM ($writer) w");
	send_until(status("intervals > $before"));
}
all_is_written('a writer that is ended over and over loses and doubles nothing');
is($collector->sql('SELECT count(*) FROM lastfluss._written'), 1, 'one note a receiver');
is(scalar(grep { /(ERROR|FATAL|PANIC): / } $collector->log_of_workers), 0, 'and makes no fuss');

#
# A receiver likewise: what it had received is written.
#
for (1 .. 3)
{
	my $before = $collector->process('lastfluss receiver');

	send_one();
	$collector->wait_received;
	kill('TERM', $before);
	Lastfluss::wait_until(sub {
		my $now = $collector->process('lastfluss receiver');
		defined $now && $now != $before && Lastfluss::sockets($collector->port) == 1 })
	  or die 'the receiver does not come back';
}
all_is_written('a receiver that is ended over and over loses nothing that it received');

#
# A table of sums that is full.
#
my @many = map { { in => 1, out => 9, src_as => 65000 + $_, bytes => 1000, packets => 1 } } 1 .. 20;
for (1 .. 3)
{
	$router->send(@many);
	$bytes += 1000 * @many;
}
all_is_written('more ASNs than lastfluss.max_entries: the sum is exact');
is($collector->sql(<<'SQL'), 't|t|t', 'what does not fit has no AS');
WITH others AS MATERIALIZED (SELECT bool_and(local_asn IS NULL) AS alone, sum(flows) AS flows FROM traffic WHERE remote_asn IS NULL)
SELECT alone, flows > 0, flows = (SELECT folded FROM lastfluss.status) FROM others
SQL
is( $collector->sql('SELECT max(n) FROM (SELECT count(*) AS n FROM traffic GROUP BY time) t'),
	17, 'and there is one such row');

is($collector->sql('SELECT lost, kernel_drops FROM lastfluss.status'), '0|0', 'no datagram was lost');

#
# Notes that cannot be written, from the start of the server on.
#
$collector->sql('ALTER TABLE lastfluss._written RENAME TO hidden');
$node->restart;
$collector->becomes("SELECT last_error LIKE '%_written%' FROM lastfluss.status", 't',
	'without the table of notes nothing is collected, and status says why');
$collector->sql('ALTER TABLE lastfluss.hidden RENAME TO _written');
$collector->becomes('SELECT state FROM lastfluss.status', 'collecting', 'until it is back');
# Another writer knows nothing of the error, and must not leave it standing.
$collector->sql('ALTER TABLE lastfluss._written RENAME TO hidden');
$collector->wait_for("SELECT last_error LIKE '%_written%' FROM lastfluss.status", 't');
$collector->sql(q{SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE backend_type = 'lastfluss writer'});
$collector->sql('ALTER TABLE lastfluss.hidden RENAME TO _written');
$collector->becomes('SELECT state FROM lastfluss.status', 'collecting', 'and with another writer');
unlike(slurp_file($node->logfile), qr/terminated by signal/, 'no worker has crashed');

$collector->stop;
done_testing();
