# A Citus cluster whose tables belong to an ordinary role: collecting, summing up, dropping.
# Then what an administrator does with such a database: DROP EXTENSION, dump and restore.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use CitusCluster;
use Lastfluss;
use Storage;
use Test::More;

my @nodes = CitusCluster->new('owner', 2, database => 'flows', owner => 'operator');
my ($coordinator, $worker) = @nodes;

sub owners
{
	my ($node) = @_;

	return $node->sql(q{SELECT string_agg(DISTINCT tableowner, ' ') FROM pg_tables WHERE schemaname = 'public'});
}

sub collect
{
	my ($bytes) = @_;

	for my $node (@nodes)
	{
		my $router = $node->exporter('v9', from => '127.0.0.11');

		$router->send({ in => 1, out => 2, src_as => 64501, dst_as => 65000, bytes => $bytes, packets => 1 });
	}
	return;
}

# A capture file with a flow of that time.
sub capture
{
	my ($time) = @_;
	my $payload = $coordinator->exporter('v5', from => '127.0.0.11')->v5({ in => 1, out => 9, src_as => 64999, bytes => 1234, packets => 5 });
	my $udp = pack('nnnn', 2055, 2055, 8 + length $payload, 0) . $payload;
	my $ip = pack('CCnnnCCna4a4', 0x45, 0, 20 + length $udp, 0, 0, 64, 17, 0,
		pack('C4', 127, 0, 0, 11), pack('C4', 127, 0, 0, 1)) . $udp;

	return '\\x' . unpack('H*', pack('NnnNNNN', 0xa1b2c3d4, 2, 4, 0, 0, 65535, 101) . pack('NNNN', $time, 0, length $ip, length $ip) . $ip);
}

#
# An owner without any right but these tables'.
#
is($coordinator->sql(q{SELECT rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication FROM pg_roles WHERE rolname = 'operator'}), 'f', 'the owner is an ordinary role');
is(owners($_), 'operator', 'all tables are his') for @nodes;
$coordinator->sql(q{SELECT lastfluss.set('period', '1'); SELECT lastfluss.add_interface('A', '127.0.0.11', 1)});
$_->listen for @nodes;
collect(1000);
$_->wait_received for @nodes;
$coordinator->becomes(q{SELECT sum(bytes) FROM traffic WHERE ingress}, 2000, 'both nodes write');
is($_->sql('SELECT last_error IS NULL FROM lastfluss.status'), 't', 'without an error') for @nodes;

# Times without a partition, by somebody who may insert, on the node that makes none.
my $day = Storage::day(2);
my $time = $coordinator->sql("SELECT extract(epoch FROM '$day'::timestamptz)::bigint + 11111");

$coordinator->sql(q{CREATE ROLE alice LOGIN; GRANT USAGE ON SCHEMA lastfluss TO alice; GRANT INSERT ON traffic TO alice; GRANT SELECT ON lastfluss.interface, lastfluss.setting, lastfluss.prefix TO alice});
$worker->sql(q{GRANT SELECT ON lastfluss.settings TO alice; GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA lastfluss TO alice});
is($worker->sql("SET SESSION AUTHORIZATION alice; SELECT rows FROM lastfluss.replay('" . capture($time) . "')"), 1, 'a capture of before');
is($coordinator->sql(q{SELECT tableowner FROM pg_tables WHERE tablename = 'traffic_} . ($day =~ s/ .*//r =~ s/-//gr) . q{'}), 'operator', 'its partition is the owner\'s');
Storage::fill($worker, 'traffic', $day, Storage::day(1), 4);
$worker->sql("SELECT lastfluss.rollup_again('$day', '" . Storage::day(1) . "')");
$coordinator->sql(q{SELECT lastfluss.reset('period')});
Storage::wait_rolled_up($coordinator);
like(Storage::difference($coordinator, 'traffic', $_), qr/^[1-9]\d* rows, 0 differ$/, "rollups: $_") for qw(5m 1h 1d);
my $answer = $coordinator->sql("SET ROLE operator; SELECT sum(bytes), sum(packets) FROM traffic WHERE time < '$day'::timestamptz + interval '1 day'");

# Whoever may read asks on any node.
$coordinator->sql('CREATE ROLE grafana LOGIN');
$_->sql(q{SELECT lastfluss.grant_read('grafana', live => true)}) for @nodes;
my $ask = "SELECT string_agg(a::text, ' ') FROM lastfluss.top_asns(from_time => '$day', until => '" . Storage::day(1) . "') a";
my $plain = $coordinator->sql($ask);

isnt($plain, '', 'an answer');
is($_->sql("SET SESSION AUTHORIZATION grafana; $ask"), $plain, 'an ordinary reader has it, too') for @nodes;
$coordinator->sql('CREATE ROLE monitor LOGIN IN ROLE pg_monitor');
for my $node (@nodes)
{
	for my $view (qw(status exporters templates seen_interfaces live settings rollups maintenance upgrade doctor()))
	{
		is($node->sql("SET SESSION AUTHORIZATION monitor; SELECT count(*) >= 0 FROM lastfluss.$view"), 't', "pg_monitor sees $view");
	}
}
is($_->sql(q{SET SESSION AUTHORIZATION monitor; SELECT count(*) FROM lastfluss.doctor() WHERE finding LIKE 'could not%' OR topic = 'rights'}), 0, 'and doctor() can look') for @nodes;
my ($status, undef, $said) = $coordinator->node->psql('flows', 'SET SESSION AUTHORIZATION grafana; DELETE FROM traffic');

like($said, qr/permission denied for table traffic/, 'and nothing else');

# Retention, of tables and their shards.
$coordinator->sql(q{SELECT lastfluss.set('retention', '1 day')});
$coordinator->becomes(q{SELECT count(*) FROM pg_class WHERE relname = 'traffic_} . ($day =~ s/ .*//r =~ s/-//gr) . q{'}, 0, 'a partition is dropped');
is($coordinator->sql('SELECT sum(bytes), sum(packets) FROM traffic_1d WHERE time < now() - interval \'1 day\''), $answer, 'the sums are there');

#
# A dump of the coordinator has all rows, in tables that are not distributed.
#
collect(1);
$_->wait_written for @nodes;
my $sums = 'SELECT (SELECT sum(bytes) FROM traffic), (SELECT sum(bytes) FROM traffic_1d), (SELECT count(*) FROM lastfluss.interface)';
my $before = $coordinator->sql($sums);
my $dump = $coordinator->node->basedir . '/dump';
my $restored = CitusCluster::node('restored', database => 'flows', owner => 'operator');

# The collector is to make nothing there before that.
$restored->node->adjust_conf('postgresql.conf', 'lastfluss.database', "'nowhere'");
$restored->node->restart;
$restored->sql('CREATE ROLE grafana; CREATE ROLE alice');
$coordinator->node->command_ok([ 'pg_dump', '-Fc', '-f', $dump, $coordinator->node->connstr('flows') ], 'pg_dump');
$coordinator->node->command_ok([ 'pg_restore', '-e', '-d', $restored->node->connstr('flows'), $dump ], 'pg_restore');
is($restored->sql($sums), $before, 'all of it is there');
is($restored->sql(q{SELECT count(*) FROM pg_dist_partition WHERE partmethod = 'h'}), 0, 'in tables that are not distributed');
$restored->node->adjust_conf('postgresql.conf', 'lastfluss.database', "'flows'");
$restored->node->restart;
$restored->becomes(q{SELECT advice FROM lastfluss.doctor() WHERE topic = 'citus'}, 'SELECT lastfluss.distribute(); on the coordinator.', 'which doctor() tells');
$restored->sql('SELECT lastfluss.distribute()');
is( $restored->sql(q{SELECT count(*) FROM pg_dist_partition p JOIN pg_class c ON c.oid = p.logicalrelid WHERE p.partmethod = 'h' AND NOT c.relispartition}),
	$coordinator->sql(q{SELECT count(*) FROM pg_dist_partition p JOIN pg_class c ON c.oid = p.logicalrelid WHERE p.partmethod = 'h' AND NOT c.relispartition}), 'distribute() makes them that');
is($restored->sql($sums), $before, 'with all rows');
is($restored->sql(q{SELECT count(*) FROM lastfluss.doctor() WHERE topic = 'citus'}), 0, 'so that doctor() is content');
# It has the coordinator's listener.
$restored->stop;

#
# DROP EXTENSION leaves traffic, and nothing of its own, on all nodes.
#
$coordinator->sql('DROP EXTENSION lastfluss');
is( $_->sql(q{SET citus.override_table_visibility = off;
	SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'lastfluss'}), 0, 'nothing is left of it') for @nodes;
is($_->sql('SELECT sum(bytes) FROM traffic'), (split /\|/, $before)[0], 'traffic is') for @nodes;
$coordinator->create_extension;
$coordinator->wait_for(q{SELECT count(*) = 6 FROM pg_dist_partition WHERE partmethod = 'n'});
$coordinator->sql(q{SELECT lastfluss.set('period', '1'); SELECT lastfluss.add_interface('A', '127.0.0.11', 1)});
$_->listen for @nodes;
collect(1_000_000);
$coordinator->becomes('SELECT sum(bytes) FROM traffic WHERE ingress AND bytes = 1000000', 2_000_000, 'made again, it collects into the same table');

$_->stop for reverse @nodes;
done_testing();
