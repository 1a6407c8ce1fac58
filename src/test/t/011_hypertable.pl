# Where TimescaleDB is installed in the database, traffic becomes a hypertable.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use Lastfluss;
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
$collector->sql('DROP EXTENSION lastfluss');
is($collector->sql('SELECT sum(bytes) FROM traffic'), $bytes, 'DROP EXTENSION keeps the rows');

$collector->stop;
done_testing();
