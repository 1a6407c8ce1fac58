# traffic_health: what arrived in the time of each interval, and what is missing.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use Lastfluss;
use Test::More;

my $collector = Lastfluss->new('health', attribution => 'arrival');

# Without any traffic there is a row for each interval all the same.
$collector->configure(
	q{SELECT lastfluss.set('period', '1')},
	q{SELECT lastfluss.add_interface('A', '127.0.0.11', 1)});
$collector->becomes('SELECT count(*) >= 2 FROM traffic_health', 't',
	'intervals without traffic have a row');
is( $collector->sql(
		'SELECT count(*), count(host), coalesce(sum(datagrams), 0), count(DISTINCT time) = count(*) FROM traffic_health
		 WHERE time <= (SELECT max(time) FROM traffic_health)') =~ s/^\d+/n/r,
	'n|0|0|t', 'of the collector alone');

# While nobody collects there is a gap, which graphs show as soon as somebody does.  A
# receiver that is kept from running, as on a slow machine, leaves a gap of a second or two.
my $gaps = q{FROM lastfluss.losses(now() - interval '1 hour', now(), '1 s') WHERE tags = 'gap' AND time_end - time >= interval '4 s'};

is($collector->sql("SELECT count(*) $gaps"), 0, 'no gap');
$collector->stop;
my $stopped = time;
Lastfluss::wait_until(sub { time > $stopped + 5 });
$collector->start;
$collector->wait_for('SELECT state FROM lastfluss.status', 'collecting');
$collector->becomes("SELECT count(*) $gaps", 1, 'a gap');
$collector->becomes("SELECT max(time_end) < (SELECT max(time) FROM traffic_health) $gaps", 't', 'which is over');

# A configured exporter: five records, of which two are not matched, one datagram is
# missing, and one cannot be decoded; a stranger.
my $router   = $collector->exporter('ipfix', from => '127.0.0.11', domain => 7);
my $stranger = $collector->exporter('v9', from => '127.0.0.12');

$router->send(map { { in => $_ < 3 ? 1 : 5, out => 9, src_as => 64501, bytes => 100, packets => 1 } } 0 .. 4);
$router->{sequence} += 3;
$router->send({ in => 1, out => 9, src_as => 64501, bytes => 100, packets => 1 });
$router->send_octets(pack('nnNNN', 10, 5, time, 0, 7));
$stranger->send({ in => 1, out => 2, src_as => 64501, bytes => 100, packets => 1 });
$collector->wait_written;
$collector->becomes(
	q{SELECT sum(datagrams), sum(records), sum(lost), sum(dropped), sum(undecoded), sum(unmatched),
		sum(unknown_sampling), sum(late_bytes), sum(future_bytes)
	  FROM traffic_health WHERE host = '127.0.0.11' AND domain = 7 AND protocol = 'IPFIX'},
	'3|6|3|0|1|2|4|0|0', 'a configured exporter has rows of its own');
$collector->becomes(
	'SELECT sum(datagrams), sum(records), sum(unmatched) FROM traffic_health WHERE host IS NULL',
	'1|1|1', 'a stranger is counted with the collector');
$collector->becomes(
	q{SELECT count(*) > 1 FROM traffic_health WHERE host = '127.0.0.11' AND datagrams = 0}, 't',
	'an exporter that is silent has rows that say so');
is( $collector->sql('SELECT sum(datagrams), sum(records) FROM traffic_health'),
	$collector->sql('SELECT datagrams, records FROM lastfluss.status'),
	'the rows add up to what status has');

# Late and from the future, with spreading.  The window ends before the flow began.
$collector->configure(
	q{SELECT lastfluss.set('window', '2')},
	q{SELECT lastfluss.set('attribution', 'spread')},
	q{SELECT lastfluss.add_interface('B', '127.0.0.13', 1, sample => 10)});
my $old = $collector->exporter('v5', from => '127.0.0.13');
my ($uptime, $now) = (1_000_000, time);

for my $age (60_000, -60_000)	# milliseconds
{
	$old->send_octets(pack('nnNNNNCCn', 5, 1, $uptime, $now, 0, $old->{sequence}++, 0, 0, 0)
		  . pack('x12 n n N N N N x8 n n x4', 1, 9, 1, 1000, $uptime - $age, $uptime - $age, 64501, 64511));
}
$collector->wait_written;
$collector->becomes(
	q{SELECT sum(records), sum(late_bytes), sum(future_bytes) FROM traffic_health WHERE host = '127.0.0.13'},
	'2|10000|10000', 'late bytes, and those from the future');
is($collector->sql(q{SELECT sum(bytes) FROM traffic WHERE iface = 'B'}), 20000, 'which count all the same');

# It follows the table, and does not keep it from being written.
$collector->node->safe_psql('postgres', 'CREATE ROLE owner LOGIN; CREATE SCHEMA flows;
	CREATE TABLE flows.mine (time timestamptz, iface text, ingress boolean, bytes bigint); ALTER TABLE flows.mine OWNER TO owner;
	GRANT USAGE ON SCHEMA flows TO owner');
my $position = $collector->log_position;
$collector->configure(q{SELECT lastfluss.set('table', 'flows.mine')});
$router->{sequence} = 9;
$router->send({ in => 1, out => 9, src_as => 64501, bytes => 100, packets => 1 });
$collector->becomes('SELECT sum(bytes) FROM flows.mine', 100, 'another table is written');
is($collector->sql(q{SELECT to_regclass('flows.mine_health')}), '',
	'without the right to make a table beside it, there is none');
is(scalar(grep { /there is no table "flows.mine_health", and role "owner" may not make it/ }
		$collector->log_of_workers($position)), 1, 'which the log says once');
$collector->sql('GRANT CREATE ON SCHEMA flows TO owner');
$collector->becomes('SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = to_regclass($$flows.mine_health$$)',
	'owner', 'with that right it is made');
$collector->becomes('SELECT count(*) > 0 FROM flows.mine_health', 't', 'and filled');

$collector->stop;
done_testing();
