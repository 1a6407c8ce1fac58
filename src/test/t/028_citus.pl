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
	'lastfluss._rollup_dirty lastfluss.asn lastfluss.interface lastfluss.prefix lastfluss.setting',
	'the configuration is in reference tables');
is( $coordinator->sql(q{SELECT string_agg(column_to_column_name(logicalrelid, partkey), ' ' ORDER BY logicalrelid::text)
	FROM pg_dist_partition WHERE logicalrelid IN ('traffic'::regclass, 'traffic_1d'::regclass, 'traffic_5m'::regclass, 'traffic_1h_remote'::regclass)}),
	'id id id id', 'traffic and rollups are distributed by id')
  if $coordinator->sql(q{SELECT to_regclass('traffic_1d') IS NOT NULL}) eq 't';
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
			for my $asn (64501 .. 64503)
			{
				my $octets = 1000 + int(rand(1_000_000));

				$routers[ $which[$i] ]->send({ in => 1, out => 2, src_as => $asn, dst_as => 65000, bytes => $octets, packets => 1 });
				$bytes{$asn} += $octets;
			}
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

# A node that dies in the midst of it.
send_flows(1, 1, 2);
$nodes[1]->node->stop('immediate');
$nodes[1]->start;
$nodes[1]->wait_for('SELECT state FROM lastfluss.status', 'collecting');
my $before = $coordinator->sql(q{SELECT sum(bytes) FROM traffic WHERE ingress});
$routers[1]->send_template;
send_flows(2, 0, 1, 2);
wait_written(@nodes);
$coordinator->wait_for(q{SELECT bool_and(r.success AND r.result = '0') FROM
	run_command_on_all_nodes($$SELECT count(*) FROM pg_prepared_xacts$$) r}, 't');
is(stored($coordinator), expected(), 'the sums are exact when a node has died meanwhile');

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

$_->stop for reverse @nodes;
done_testing();
