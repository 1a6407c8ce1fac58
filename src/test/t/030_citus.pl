# A Citus cluster: each node collects and writes, the coordinator sums up and drops what
# is old, answers are those of plain SQL, and a node comes while all of that goes on.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use CitusCluster;
use IPC::Run;
use Lastfluss;
use Storage;
use Test::More;

my @nodes = CitusCluster->new('citus', 3);
my $coordinator = $nodes[0];

#
# The configuration is one, wherever it is changed; listeners are each node's own.
#
is( $coordinator->sql(q{SELECT string_agg(logicalrelid::text, ' ' ORDER BY logicalrelid::text COLLATE "C") FROM pg_dist_partition
	WHERE partmethod = 'n' AND logicalrelid::text LIKE 'lastfluss.%'}),
	'lastfluss._rollup_dirty lastfluss.asn lastfluss.counters lastfluss.interface lastfluss.prefix lastfluss.setting',
	'the configuration is in reference tables');
is( $coordinator->sql(q{SELECT string_agg(column_to_column_name(logicalrelid, partkey), ' ' ORDER BY logicalrelid::text)
	FROM pg_dist_partition WHERE logicalrelid IN ('traffic'::regclass, 'traffic_1d'::regclass, 'traffic_5m'::regclass, 'traffic_1h_remote'::regclass)}),
	'id id time id', 'traffic and rollups are distributed by id, sums by time');
is( $coordinator->sql(q{SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'traffic'::regclass AND contype = 'p'}),
	'PRIMARY KEY (id, "time")', 'and have their primary key');

$nodes[1]->sql(q{SELECT lastfluss.set('period', '1')});
$coordinator->sql(q{SELECT lastfluss.add_interface('A', '127.0.0.11', 1, speed => 1000000000, role => 'transit')});
$nodes[2]->sql(q{SELECT lastfluss.add_interface('B', '127.0.0.11', 2)});
is($_->sql(q{SELECT string_agg(name, ' ' ORDER BY name) FROM lastfluss.interface}), 'A B', 'all nodes have the interfaces') for @nodes;
is($_->sql(q{SELECT value FROM lastfluss.settings WHERE name = 'period'}), 1, 'and the settings') for @nodes;
$coordinator->sql(q{SELECT lastfluss.import_asns(E'64501 One, DE\n64502 Two, DE')});
my (undef, undef, $error) = $nodes[1]->node->psql('postgres', q{SELECT lastfluss.add_interface('', '127.0.0.11', 3)});
like($error, qr/ERROR:  invalid name of an interface: ""/, 'what is wrong is refused');
(undef, undef, $error) = $nodes[1]->node->psql('postgres', q{SELECT lastfluss.set('period', '0')});
like($error, qr/ERROR:  invalid value for setting "period"/, 'settings too');

$_->listen for @nodes;
is($coordinator->sql('SELECT count(*) FROM lastfluss.listener'), 1, 'a listener is that of its node');

#
# Each node's flows, to the byte.
#
my @routers = map { $_->exporter('v9', from => '127.0.0.11') } @nodes;
my %bytes;

sub send_one
{
	my ($which, $asn) = @_;
	my $octets = 1000 + int(rand(1_000_000));

	$asn //= 64501;
	$routers[$which]->send({ in => 1, out => 2, src_as => $asn, dst_as => 65000, bytes => $octets, packets => 1 });
	$bytes{$asn} += $octets;
	return;
}

# Some flows for each node, with sums that tell the ASNs apart, until each of these has
# written so many intervals more.
sub send_flows
{
	my ($intervals, @which) = @_;
	my @until = map { $intervals + $nodes[$_]->sql('SELECT intervals FROM lastfluss.status') } @which;

	Lastfluss::wait_until(sub {
		my $reached = 0;

		for my $i (0 .. $#which)
		{
			send_one($which[$i], $_) for 64501 .. 64503;
			$reached += $nodes[ $which[$i] ]->sql("SELECT (intervals >= $until[$i])::int FROM lastfluss.status");
		}
		return $reached == @which })
	  or die 'no intervals are written';
	return;
}

sub wait_written
{
	$_->wait_written for @_;
	return;
}

sub expected
{
	return join(' ', map { "$_:$bytes{$_}" } sort keys %bytes);
}

sub stored
{
	my ($node, $direction) = @_;

	return $node->sql("SELECT string_agg(asn || ':' || bytes, ' ' ORDER BY asn) FROM (
		SELECT remote_asn AS asn, sum(bytes) AS bytes FROM traffic WHERE ingress AND iface = 'A' GROUP BY 1) s");
}

send_flows(3, 0, 1, 2);
wait_written(@nodes);
is(stored($_), expected(), 'the sums are exact, from whichever node they are asked') for @nodes;
is($coordinator->sql(q{SELECT count(*) - count(DISTINCT id) FROM traffic}), 0, 'no id is there twice');
is( $coordinator->sql(q{SELECT count(DISTINCT nodeport) FROM run_command_on_placements('traffic', 'SELECT count(*) > 0 FROM %s') WHERE result = 't'}),
	3, 'rows lie on all nodes');
is($_->sql(q{SELECT last_error IS NULL FROM lastfluss.status}), 't', 'without an error') for @nodes;
isnt($coordinator->sql('SELECT count(DISTINCT host) FROM traffic_health'), 0, 'health is there, too');

# A node dies while others write into its shards.  What it had collected itself is
# written by then: a crash may cost the last seconds of that.
send_flows(1, 0, 1, 2);
wait_written($nodes[1]);
$nodes[1]->node->stop('immediate');
for my $round (1 .. 30)
{
	send_one($_) for 0, 2;
	select(undef, undef, undef, 0.1);
}
$coordinator->becomes(q{SELECT last_error IS NOT NULL AND intervals_waiting > 0 FROM lastfluss.status}, 't',
	'intervals wait when a node has died');
$nodes[1]->start;
$nodes[1]->wait_for('SELECT state FROM lastfluss.status', 'collecting');
$routers[1]->send_template;
send_flows(2, 0, 1, 2);
wait_written(@nodes);
$coordinator->wait_for(q{SELECT bool_and(r.success AND r.result = '0') FROM
	run_command_on_all_nodes($$SELECT count(*) FROM pg_prepared_xacts$$) r}, 't');
is(stored($coordinator), expected(), 'and the sums are exact when it is there again');

#
# A node more, and shards moved to it, while flows come.
#
push @nodes, CitusCluster::node('citus_3');
my $worker = $nodes[3];

CitusCluster::add($coordinator, $worker);
$worker->wait_for(q{SELECT to_regclass('traffic') IS NOT NULL}, 't');
$worker->listen;
is($worker->sql(q{SELECT string_agg(name, ' ' ORDER BY name) FROM lastfluss.interface}), 'A B', 'a new node has the configuration');
push @routers, $worker->exporter('v9', from => '127.0.0.11');

# Whether it is still under way is asked after each flow.
my $mover = IPC::Run::start([ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $coordinator->node->connstr('postgres'),
	'-c', q{SET client_min_messages = warning; SELECT rebalance_table_shards()} ], '<', \undef, '>', \my $moved, '2>', \my $mover_error);
my $meanwhile = 0;

while ($mover->pumpable)
{
	send_flows(1, 0, 1, 2, 3);
	$meanwhile++;
	$mover->pump_nb;
}
ok($mover->finish, 'shards are moved') or diag($mover_error);
ok($meanwhile > 0, "while flows come: $meanwhile times");
is( $coordinator->sql(q{SELECT count(*) > 0 FROM citus_shards WHERE table_name::text = 'traffic' AND nodeport = } . $worker->node->port),
	't', 'the new node has some');
send_flows(2, 0, 1, 2, 3);
wait_written(@nodes);
is(stored($_), expected(), 'the sums are exact when shards have moved meanwhile') for @nodes;

#
# Live rows, of an interval that is long enough to look at them, asked of all nodes and of each.
#
$coordinator->sql(q{SELECT lastfluss.reset('period')});
wait_written(@nodes);

# Live rows of each node, as what there is for all of them has to show these.
sub live_of_each
{
	return join("\n", sort map { '127.0.0.1:' . $_->node->port . ' ' .
		$_->sql('SELECT sum(bytes) FROM lastfluss.live WHERE ingress') } @nodes);
}

ok(Lastfluss::wait_until(sub {
	send_one($_) for 0 .. $#nodes;
	$_->wait_received for @nodes;
	return live_of_each() eq $coordinator->sql(q{SELECT string_agg(node || ' ' || bytes, E'\n' ORDER BY (node || ' ' || bytes) COLLATE "C")
		FROM (SELECT node, sum(bytes) AS bytes FROM lastfluss.live_nodes() WHERE ingress GROUP BY 1) l}); }),
	'live_nodes() has those of all nodes');

#
# Rollups of days of traffic, by the coordinator alone.
#
my ($begins, $ends) = (Storage::day(3), Storage::day(2));

$coordinator->sql("SELECT lastfluss._citus_make_partition('traffic', '" . Storage::day($_) . "')") for 1 .. 3;
$coordinator->sql(q{UPDATE lastfluss.interface SET name = CASE name WHEN 'A' THEN 'Transit' ELSE 'DE-CIX' END, role = CASE name WHEN 'A' THEN 'transit' ELSE 'ixp' END});
Storage::fill($coordinator, 'traffic', $begins, $ends, 12);
$nodes[1]->sql(q{INSERT INTO traffic (time, bandwidth, iface, ingress, bytes, packets, flows) VALUES ('} . $begins . q{', 8, 'from a worker', true, 60, 1, 1)});
# as whoever writes rows of the past notes them, from whichever node
my $oid = $coordinator->sql(q{SELECT 'traffic'::regclass::oid});
$nodes[2]->sql("INSERT INTO lastfluss._rollup_dirty
	SELECT $oid, '5m', t FROM generate_series('$begins'::timestamptz, '$ends'::timestamptz - interval '1 min', '5 min') t");
Storage::wait_rolled_up($coordinator);
like(Storage::difference($coordinator, 'traffic', $_), qr/^[1-9]\d* rows, 0 differ$/, "rollups: $_") for qw(5m 1h 1d);
is( $coordinator->sql(q{SELECT bool_and(s.bytes = t.bytes) FROM (SELECT sum(bytes) AS bytes FROM traffic_1h WHERE iface IS NOT NULL) s,
	LATERAL (VALUES ((SELECT sum(bytes) FROM traffic_1h_total WHERE iface IS NOT NULL)), ((SELECT sum(bytes) FROM traffic_1h_remote WHERE iface IS NOT NULL)),
	((SELECT sum(bytes) FROM traffic_1h_local WHERE iface IS NOT NULL))) t(bytes)}), 't', 'so do the sums beside them');
is($_->sql('SELECT count(*) FROM lastfluss.maintenance'), 0, 'no other node sums up') for @nodes[ 1 .. 3 ];

#
# Answers: on shards and rollups as on a plain table without these.
#
my $range = "from_time => '$begins', until => '$ends'";
my @ask = (
	"lastfluss.traffic('$begins', '$ends', '1 hour', live => false)",
	"lastfluss.traffic('$begins', '$ends', '5 min', iface => '{Transit,NULL}', remote_asn => '{64506,NULL}', family => 4, live => false)",
	"lastfluss.top_asns($range)",
	"lastfluss.top_asns($range, role => 'transit', ingress => true, n => 1)",
	"lastfluss.top_downstream_asns($range)",
	"lastfluss.asn_report(64506, $range)",
	"lastfluss.interface_report($range)",
	"lastfluss.percentile('Transit', '$begins'::date)",
	"lastfluss.percentile(NULL, '$begins'::date, missing => 'skip')",
	"lastfluss.peering_candidates($range, tolerance => 1)",
	"lastfluss.plot('Transit', $range)",
	"lastfluss.svg('Transit', $range)",
	"lastfluss.graph('$begins', '$ends', '1 hour')",
	"lastfluss.graph('$begins', '$ends', '1 hour', 'remote asn', 'in')",
	"lastfluss.graph('$begins', '$ends', '1 hour', 'role', measure => '95th percentile')",
	"lastfluss.graph_top('$begins', '$ends', 'remote asn', 10)",
	"lastfluss.graph_search('645', '$begins', '$ends')",
	"lastfluss.graph_peering('$begins', '$ends')",
	"lastfluss.graph_billing('$begins'::date)",
	"lastfluss.dashboard('interfaces')");

$coordinator->sql('CREATE TABLE plain AS SELECT * FROM traffic');
for my $function (@ask)
{
	my $query = "SELECT coalesce(string_agg(a::text, E'\n' ORDER BY a::text), '') FROM $function a";
	my $plain = $coordinator->sql("BEGIN; DELETE FROM lastfluss.setting WHERE name = 'table'; INSERT INTO lastfluss.setting VALUES ('table', 'plain');
		$query; ROLLBACK");
	my $distributed = $coordinator->sql($query);

	ok($distributed ne '' && $distributed eq $plain, $function)
	  or diag("distributed:\n$distributed\nplain:\n$plain");
}
# The peak of a rollup is that of a bucket, and health has no copy: these only have to come.
is( $coordinator->sql("SELECT sum(bytes_in), sum(bytes_out) FROM lastfluss.graph_interfaces('$begins', '$ends')"),
	$coordinator->sql("SELECT sum(bytes) FILTER (WHERE ingress), sum(bytes) FILTER (WHERE NOT ingress) FROM traffic WHERE time >= '$begins' AND time < '$ends'"), 'graph_interfaces()');
# A bucket of a minute has to be over.
$coordinator->becomes("SELECT count(*) > 0 FROM lastfluss.graph_health(now() - interval '1 hour', now(), '1 min')", 't', 'graph_health()');
is( $coordinator->sql("SELECT tags FROM lastfluss.losses('$begins', '$ends', '1 hour')"), '', 'losses(), before the first of health');
is( $coordinator->sql(q{SELECT count(*) FROM lastfluss.losses(now() - interval '1 day', now(), '1 hour') WHERE tags = 'loss'}), 0, 'losses()');
$nodes[1]->sql(q{INSERT INTO lastfluss.counters SELECT '127.0.0.11', 1, t, extract(epoch FROM t) * 1000, 0 FROM generate_series(now() - interval '1 hour', now() - interval '5 min', '5 min') t});
isnt($coordinator->sql(q{SELECT count(*) FROM lastfluss.counter_check('1 hour')}), 0, 'counter_check()');
is($coordinator->sql(q{SELECT count(*) FROM lastfluss.doctor() WHERE finding LIKE 'could not be looked at%'}), 0, 'doctor()');
my $top = $coordinator->sql(qq{SELECT string_agg(a::text, ' ') FROM lastfluss.top_asns($range) a});

is($nodes[1]->sql(qq{SELECT string_agg(a::text, ' ') FROM lastfluss.top_asns($range) a}), $top, 'another node answers the same');
is( $nodes[1]->sql("SELECT string_agg(relation || ' ' || seconds || ' ' || kind, E'\n' ORDER BY kind, seconds) FROM lastfluss._sources()"),
	$coordinator->sql("SELECT string_agg(relation || ' ' || seconds || ' ' || kind, E'\n' ORDER BY kind, seconds) FROM lastfluss._sources()"), 'from the same rollups');
is($nodes[1]->sql(q{SELECT count(*) FROM lastfluss.doctor() WHERE finding LIKE 'could not be looked at%'}), 0, 'its doctor()');

#
# Retention, once.
#
my $sums = $coordinator->sql('SELECT sum(bytes), sum(packets), sum(flows) FROM traffic_1d');

$coordinator->sql(q{SELECT lastfluss.set('retention', '1 day')});
for my $node (@nodes)
{
	$node->becomes(q{SELECT count(*) FROM pg_class WHERE relname = 'traffic_} . (Storage::day(3) =~ s/ .*//r =~ s/-//gr) . q{'}, 0, 'a partition is dropped');
}
is($coordinator->sql('SELECT sum(bytes), sum(packets), sum(flows) FROM traffic_1d'), $sums, 'the rollups have its rows');
is($_->sql(qq{SELECT string_agg(a::text, ' ') FROM lastfluss.top_asns($range) a}), $top, 'and all nodes answer from these') for @nodes;
my $late = Storage::day(2);

$coordinator->becomes(q{SELECT count(*) FROM pg_class WHERE relname = 'traffic_} . ($late =~ s/ .*//r =~ s/-//gr) . q{'}, 0, 'another, too');
$nodes[2]->sql("SELECT run_command_on_coordinator(\$\$SELECT lastfluss._citus_make_partition('traffic', '$late')\$\$)");
$coordinator->sql("BEGIN; INSERT INTO traffic (time, bandwidth, iface, ingress, bytes, packets, flows) VALUES ('$late', 8, 'late', true, 60, 1, 1);
	INSERT INTO lastfluss._rollup_dirty SELECT 'traffic'::regclass, '5m', '$late'; COMMIT");
$coordinator->becomes(q{SELECT count(*) FROM traffic WHERE iface = 'late'}, 0, 'late rows of a partition that was dropped');
is($coordinator->sql("SELECT sum(bytes) FROM traffic_$_ WHERE iface = 'late'"), 60, "are in traffic_$_") for qw(5m 1h 1d);
is($coordinator->sql('SELECT sum(bytes) - 60 FROM traffic_1d'), (split /\|/, $sums)[0], 'beside what was there');
is($coordinator->sql(q{SELECT count(*) FROM lastfluss.maintenance WHERE last_error IS NOT NULL}), 0, 'without an error');

#
# With TimescaleDB in the database nothing is made.
#
$coordinator->sql(q{SET allow_system_table_mods = on;
	INSERT INTO pg_extension SELECT 4000000000, 'timescaledb', extowner, extnamespace, false, '0', NULL, NULL FROM pg_extension WHERE extname = 'lastfluss'});
$coordinator->sql(q{SELECT lastfluss.set('table', 'other')});
$coordinator->becomes(q{SELECT last_error LIKE 'could not make the tables: lastfluss does not make tables in a database with both Citus and TimescaleDB HINT: %'
	FROM lastfluss.status}, 't', 'Citus and TimescaleDB together are refused');
is($coordinator->sql(q{SELECT count(*) FROM lastfluss.doctor() WHERE status = 'error' AND finding LIKE '%both Citus and TimescaleDB%'}), 1, 'which doctor() tells');
is($coordinator->sql(q{SELECT to_regclass('other') IS NULL}), 't', 'and no table is made');
$coordinator->sql(q{SET allow_system_table_mods = on; DELETE FROM pg_extension WHERE extname = 'timescaledb'});
$coordinator->becomes(q{SELECT last_error IS NULL AND to_regclass('other') IS NOT NULL FROM lastfluss.status}, 't', 'until one of them is gone');

$_->stop for reverse @nodes;
done_testing();
