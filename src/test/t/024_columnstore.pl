# The licensed edition of TimescaleDB keeps old chunks by columns.  What the collector
# and its rollups do there is the same: late rows, buckets that are done again,
# retention.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use Lastfluss;
use Storage;
use Test::More;

my $collector = Lastfluss->new('columnstore', extension => 0);

if ($collector->sql(q{SELECT count(*) FROM pg_available_extensions WHERE name = 'timescaledb'}) == 0)
{
	$collector->stop;
	plan skip_all => 'TimescaleDB is not installed';
}

$collector->node->append_conf('postgresql.conf',
	"shared_preload_libraries = 'timescaledb,lastfluss'\ntimescaledb.telemetry_level = off");
$collector->node->restart;
$collector->sql('SET client_min_messages = error; CREATE EXTENSION timescaledb');
if ($collector->sql('SHOW timescaledb.license') ne 'timescale')
{
	$collector->stop;
	plan skip_all => 'this edition of TimescaleDB has no columnstore';
}

$collector->create_extension;
$collector->listen;
$collector->configure(q{SELECT lastfluss.add_interface('A', '127.0.0.11', 1)});
$collector->becomes(q{SELECT to_regclass('traffic') IS NOT NULL}, 't', 'traffic is made');

# Runs the policies of all our tables: their time has come.
sub run_policies
{
	my $jobs = $collector->sql(<<'SQL');
SELECT job_id FROM timescaledb_information.jobs WHERE proc_name IN ('policy_compression', 'policy_columnstore') ORDER BY 1
SQL
	$collector->sql("CALL public.run_job($_)") for split /\n/, $jobs;
	return;
}

sub chunks_in_columns
{
	my ($table) = @_;

	return $collector->sql(<<"SQL");
SELECT count(*) FILTER (WHERE is_compressed) || ' of ' || count(*)
FROM timescaledb_information.chunks WHERE hypertable_name = '$table' AND range_end <= now()
SQL
}

sub rollups_are_exact
{
	my ($when) = @_;

	for my $name (qw(5m 1h 1d))
	{
		like(Storage::difference($collector, 'traffic', $name), qr/^[1-9]\d* rows, 0 differ$/, "rollups $when: $name");
	}
	return;
}

# A month: the columnstore takes the last week but one of the rollups as well.
my @days = (24, 1);
Storage::fill($collector, 'traffic', Storage::day($days[0]), Storage::day($days[1]), 12);
Storage::wait_rolled_up($collector);
rollups_are_exact('before');

is( $collector->sql(<<'SQL'), 'traffic, traffic_1d, traffic_1h, traffic_5m', 'tables that have one');
SELECT string_agg(hypertable_name, ', ' ORDER BY hypertable_name) FROM timescaledb_information.hypertables
WHERE compression_enabled AND hypertable_name IN ('traffic', 'traffic_5m', 'traffic_1h', 'traffic_1d')
SQL
is( $collector->sql(<<'SQL'), 'iface 1, ingress 2, time ordered', 'split by iface and ingress, ordered by time');
SELECT string_agg(attname || ' ' || coalesce(segmentby_column_index::text, 'ordered'), ', '
                  ORDER BY segmentby_column_index NULLS LAST)
FROM timescaledb_information.compression_settings WHERE hypertable_name = 'traffic'
SQL
is( $collector->sql(<<'SQL'), 'traffic 7 days, traffic_1d 720 days, traffic_1h 60 days, traffic_5m 14 days', 'policies');
SELECT string_agg(hypertable_name || ' ' || (config->>'compress_after'), ', ' ORDER BY hypertable_name)
FROM timescaledb_information.jobs
WHERE proc_name IN ('policy_compression', 'policy_columnstore') AND hypertable_name ~ '^traffic(_5m|_1h|_1d)?$'
SQL

my @questions = (
	'SELECT count(*), sum(bytes), sum(packets), sum(flows), sum(hashint8(id)::numeric), sum(bandwidth::numeric) FROM traffic',
	"SELECT sum(bytes), sum(flows) FROM lastfluss.traffic('" . Storage::day(20) . "', '" . Storage::day(11) . "')",
	"SELECT sum(bytes) FROM lastfluss.traffic('" . Storage::day(20) . "', '" . Storage::day(11) . "', '5 min') WHERE iface = 'DE-CIX'",
	"SELECT sum(bytes) FROM traffic_5m WHERE remote_asn = 64506");
my @before = map { $collector->sql($_) } @questions;
run_policies;
like(chunks_in_columns('traffic'), qr/^1[5-7] of 2[34]$/, 'chunks of more than a week are by columns');
like(chunks_in_columns('traffic_5m'), qr/^[1-9]/, 'so are those of traffic_5m');
is($collector->sql($questions[$_]), $before[$_], "with all rows: $_") for 0 .. $#questions;
cmp_ok($collector->sql(q{SELECT after_compression_total_bytes * 3 < before_compression_total_bytes FROM public.hypertable_compression_stats('traffic')}),
	'eq', 't', 'and take less than a third of the room');

# Late rows for a chunk by columns, through the collector.
my $late = $collector->sql("SELECT extract(epoch FROM '" . Storage::day(15) . "'::timestamptz)::bigint + 3600");
$collector->sql(<<"SQL");
BEGIN;
INSERT INTO traffic (time, bandwidth, iface, ingress, remote_asn, local_asn, family, bytes, packets, flows)
SELECT to_timestamp($late), 8, 'DE-CIX', true, 65550 + i, 65000, 4, 60, 1, 1 FROM generate_series(1, 100) i;
COMMIT
SQL
$collector->sql("SELECT lastfluss.rollup_again('" . Storage::day(15) . "', '" . Storage::day(14) . "')");
Storage::wait_rolled_up($collector);
is($collector->sql("SELECT sum(bytes) FROM traffic_$_ WHERE remote_asn > 65550"), 6000, "late rows are in traffic_$_") for qw(5m 1h 1d);
rollups_are_exact('with late rows');

# All of them again, which is more rows than TimescaleDB takes out of columns unasked.
$collector->sql('ALTER SYSTEM SET timescaledb.max_tuples_decompressed_per_dml_transaction = 1000');
$collector->sql('SELECT pg_reload_conf()');
run_policies;
$collector->sql("SELECT lastfluss.rollup_again('" . Storage::day($days[0]) . "', '" . Storage::day($days[1]) . "')");
Storage::wait_rolled_up($collector);
rollups_are_exact('done again');
is($collector->sql(q{SELECT coalesce(string_agg(last_error, '; '), 'none') FROM lastfluss.maintenance}), 'none', 'without an error');

# Retention.
run_policies;
my $sums = $collector->sql('SELECT sum(bytes), sum(packets), sum(flows) FROM traffic_1d');
$collector->configure(q{SELECT lastfluss.set('retention', '10 days')}, q{SELECT lastfluss.set('retention_5m', '16 days')});
$collector->becomes(q{SELECT count(*) FROM timescaledb_information.chunks
	WHERE hypertable_name = 'traffic' AND range_end <= now() - interval '10 days'}, 0, 'old chunks are dropped');
$collector->becomes(q{SELECT count(*) FROM timescaledb_information.chunks
	WHERE hypertable_name = 'traffic_5m' AND range_end <= now() - interval '16 days'}, 0, 'those of traffic_5m, too');
is($collector->sql('SELECT sum(bytes), sum(packets), sum(flows) FROM traffic_1d'), $sums, 'the rollups have their rows');

# A plain table into chunks, which the policy then takes.
$collector->configure(q{SELECT lastfluss.reset('retention')}, q{SELECT lastfluss.reset('retention_5m')});
$collector->sql('CREATE TABLE plain (LIKE traffic INCLUDING ALL)');
Storage::fill($collector, 'plain', Storage::day(12), Storage::day(10), 12);
$collector->sql('CREATE TABLE copy AS SELECT * FROM plain');
$collector->configure(q{SELECT lastfluss.set('table', 'plain')});
$collector->sql('SELECT lastfluss.upgrade_table()');
$collector->becomes(q{SELECT state FROM lastfluss.upgrade}, 'done', 'a plain table is moved');
run_policies;
is(chunks_in_columns('plain'), '2 of 2', 'into chunks by columns');
is( $collector->sql('SELECT count(*) FROM ((TABLE copy EXCEPT ALL TABLE plain) UNION ALL (TABLE plain EXCEPT ALL TABLE copy)) d'),
	0, 'with all rows');

$collector->stop;
done_testing();
