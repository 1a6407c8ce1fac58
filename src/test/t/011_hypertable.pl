# Where TimescaleDB is installed in the database, traffic becomes a hypertable.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use Lastfluss;
use Storage;
use Test::More;

my $collector = Lastfluss->new('hypertable', extension => 0);

if ($collector->sql(q{SELECT count(*) FROM pg_available_extensions WHERE name = 'timescaledb'}) == 0)
{
	$collector->stop;
	die 'TimescaleDB is to be there, but is not' if $ENV{LASTFLUSS_TEST_TIMESCALE};
	plan skip_all => 'TimescaleDB is not installed';
}

$collector->node->append_conf('postgresql.conf',
	"shared_preload_libraries = 'timescaledb,lastfluss'\ntimescaledb.telemetry_level = off");
$collector->node->restart;
$collector->sql('SET client_min_messages = error; CREATE EXTENSION timescaledb');
$collector->create_extension;
$collector->listen;
$collector->configure(
	q{SELECT lastfluss.set('period', '1')},
	q{SELECT lastfluss.add_interface('A', '127.0.0.11', 1)});

my $router = $collector->exporter('v9', from => '127.0.0.11');
my $bytes  = 0;
sub send_for_intervals
{
	my ($count) = @_;
	my $until = $count + $collector->sql('SELECT intervals FROM lastfluss.status');

	Lastfluss::wait_until(sub {
		$router->send({ in => 1, out => 9, src_as => 64501, bytes => 1000, packets => 1 });
		$bytes += 1000;
		$collector->sql("SELECT intervals >= $until FROM lastfluss.status") eq 't' })
	  or die 'no intervals are written';
	$collector->wait_written;
	return;
}

send_for_intervals(2);
is($collector->sql('SELECT sum(bytes) FROM traffic'), $bytes, 'rows arrive');
is( $collector->sql(<<'SQL'), '1|time|1 day', 'in a hypertable with a chunk a day');
SELECT count(*), min(column_name), min(time_interval) FROM timescaledb_information.dimensions
WHERE hypertable_schema = 'public' AND hypertable_name = 'traffic'
SQL
is( $collector->sql(q{SELECT relkind FROM pg_class WHERE oid = 'traffic'::regclass}),
	'r', 'not in a partitioned table');
is( $collector->sql(q{SELECT count(*) > 0 FROM timescaledb_information.chunks WHERE hypertable_name = 'traffic'}),
	't', 'that has chunks');
is( $collector->sql(q{SELECT count(*) FROM timescaledb_information.hypertables WHERE hypertable_name = 'traffic_health'}),
	1, 'traffic_health is one, too');
is( $collector->sql(q{SELECT count(*) FROM timescaledb_information.hypertables WHERE hypertable_schema = 'lastfluss'}),
	0, 'our own tables are none');

# Exactly once, there too.
$collector->stop('fast');
$collector->start;
$collector->wait_for('SELECT state FROM lastfluss.status', 'collecting');
$router->send_template;
send_for_intervals(2);
is($collector->sql('SELECT sum(bytes) FROM traffic'), $bytes, 'sums are right after a restart');
$collector->becomes('SELECT last_error IS NULL FROM lastfluss.status', 't', 'without an error');

#
# Rollups, retention by chunks, and a plain table into chunks.
#
$collector->configure(q{SELECT lastfluss.reset('period')});
$collector->wait_written;
$bytes = $collector->sql('SELECT sum(bytes) FROM traffic');
$collector->sql('CREATE TABLE old AS SELECT * FROM traffic');
Storage::fill($collector, 'traffic', Storage::day(5), Storage::day(1), 12);
# What was summed up before (where five minutes ended since then) is done again.
$collector->sql("UPDATE lastfluss._rollup SET complete_from = '" . Storage::day(5) . "', complete_until = '" . Storage::day(5) . "', clean_from = 'infinity' WHERE name <> 'raw'");
Storage::wait_rolled_up($collector);
like(Storage::difference($collector, 'traffic', $_), qr/^[1-9]\d* rows, 0 differ$/, "rollups: $_") for qw(5m 1h 1d);
is( $collector->sql(<<'SQL'), 'traffic_1d 360 days, traffic_1h 30 days, traffic_5m 7 days', 'they are hypertables');
SELECT string_agg(hypertable_name || ' ' || time_interval, ', ' ORDER BY hypertable_name)
FROM timescaledb_information.dimensions WHERE hypertable_name IN ('traffic_5m', 'traffic_1h', 'traffic_1d')
SQL
my $sums = $collector->sql('SELECT sum(bytes), sum(packets), sum(flows) FROM traffic_1d');
$collector->configure(q{SELECT lastfluss.set('retention', '2 days')});
$collector->becomes(q{SELECT count(*) FROM timescaledb_information.chunks
	WHERE hypertable_name = 'traffic' AND range_end <= now() - interval '2 days'}, 0, 'old chunks are dropped');
is($collector->sql('SELECT sum(bytes), sum(packets), sum(flows) FROM traffic_1d'), $sums, 'the rollups have their rows');

# What comes for one of them.
$collector->sql("BEGIN; INSERT INTO traffic (time, bandwidth, iface, ingress, bytes, packets, flows)
	VALUES ('" . Storage::day(4) . "', 8, 'late', true, 60, 1, 1);
	INSERT INTO lastfluss._rollup_dirty SELECT 'traffic'::regclass, '5m', '" . Storage::day(4) . "'; COMMIT");
$collector->becomes(q{SELECT count(*) FROM traffic WHERE iface = 'late'}, 0, 'late rows of a chunk that was dropped');
is($collector->sql("SELECT sum(bytes) FROM traffic_$_ WHERE iface = 'late'"), 60, "are in traffic_$_") for qw(5m 1h 1d);
$collector->becomes(q{SELECT last_error IS NULL FROM lastfluss.status}, 't', 'without an error of the writer');
is($collector->sql(q{SELECT count(*) FROM lastfluss.maintenance WHERE last_error IS NOT NULL}), 0, 'or of maintenance');

$collector->configure(q{SELECT lastfluss.reset('retention')});
$collector->sql('CREATE TABLE plain (LIKE traffic INCLUDING ALL)');
Storage::fill($collector, 'plain', Storage::day(3), Storage::day(1), 12);
$collector->sql('CREATE TABLE copy AS SELECT * FROM plain');
$collector->configure(q{SELECT lastfluss.set('table', 'plain')});
$collector->sql('SELECT lastfluss.upgrade_table()');
$collector->becomes(q{SELECT state FROM lastfluss.upgrade}, 'done', 'a plain table is moved');
is($collector->sql(q{SELECT num_chunks FROM timescaledb_information.hypertables WHERE hypertable_name = 'plain'}), 2, 'into chunks');
is( $collector->sql('SELECT count(*) FROM ((TABLE copy EXCEPT ALL TABLE plain) UNION ALL (TABLE plain EXCEPT ALL TABLE copy)) d'),
	0, 'with all rows');
my (undef, undef, $error) = $collector->node->psql('postgres', 'SELECT lastfluss.upgrade_table()');
like($error, qr/ERROR:  table public.plain is a hypertable already/, 'not twice');
$collector->configure(q{SELECT lastfluss.reset('table')});
is($collector->sql('SELECT count(*) FROM (TABLE old EXCEPT ALL TABLE traffic) d'), 0, 'traffic has what it had');

$collector->sql('DROP EXTENSION lastfluss');
is($collector->sql('SELECT count(*) FROM (TABLE old EXCEPT ALL TABLE traffic) d'), 0, 'DROP EXTENSION keeps the rows');

$collector->stop;
done_testing();
