# Faults of the table, of its users and of the workers: what was sent is in traffic
# and live at any time, and in traffic once when the fault is over.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use Lastfluss;
use PostgreSQL::Test::Utils;
use Test::More;

# The settings of databases and roles, below, are not for the test's own sessions.
$ENV{PGOPTIONS} = '-c statement_timeout=0 -c lock_timeout=0 -c default_transaction_read_only=off';

my $collector = Lastfluss->new('faults', attribution => 'spread',
	init => { allows_streaming => 1 }, conf => <<'CONF');
lastfluss.receivers = 2
deadlock_timeout = '100ms'
CONF
my $node = $collector->node;

$ENV{PGOPTIONS} .= ' -c transaction_timeout=0' if $node->pg_version >= 17;
$collector->sql('CREATE ROLE operator; ALTER DATABASE postgres OWNER TO operator;
	DROP TABLE IF EXISTS traffic, traffic_health');
$collector->configure(
	q{SELECT lastfluss.set('window', '1')},
	q{SELECT lastfluss.set('period', '1')},
	map { "SELECT lastfluss.add_interface('if$_', '127.0.0.$_', 1)" } 11 .. 14);

my @routers = map {
	$collector->exporter('ipfix', from => "127.0.0.$_",
		fields => [qw(bytes packets in out src_as dst_as src dst first last)])
} 11 .. 14;
my $bytes = 0;

# Flows that lasted for so many seconds.
sub send_some
{
	my ($seconds) = @_;
	my $now = 1000 * time;

	for my $router (@routers)
	{
		$router->send({ in => 1, out => 9, src_as => 64501, bytes => 1000003, packets => 7,
			first => $now - 1000 * ($seconds // 3), last => $now });
		$bytes += 1000003;
	}
	$collector->wait_received;
	return;
}

sub all_is_stored
{
	my ($what) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	return is($collector->stored, $bytes, "$what: traffic and live have all");
}

sub all_is_written
{
	my ($what) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	$collector->wait_written;
	return is($collector->sql('SELECT sum(bytes) FROM traffic'), $bytes, "$what: all is written, once");
}

# Waits for an error of the writer's that has these words.
sub wait_error
{
	my ($words) = @_;

	$collector->wait_for("SELECT coalesce(last_error ~ '$words', false) FROM lastfluss.status");
	return;
}

sub writer { return $collector->process('lastfluss writer'); }

# Waits until the writer is in a wait of that kind.
sub wait_writer
{
	my ($event) = @_;

	$collector->wait_for("SELECT count(*) FROM pg_stat_activity
		WHERE backend_type = 'lastfluss writer' AND wait_event = '$event'", 1);
	return;
}

sub end_process
{
	my ($title) = @_;
	my $pid = $collector->process($title);

	kill('TERM', $pid);
	return Lastfluss::wait_until(sub { ($collector->process($title) // $pid) != $pid });
}

send_some();
all_is_written('no fault');
is($collector->sql(q{SELECT tableowner FROM pg_tables WHERE tablename = 'traffic'}), 'operator',
	'the table is no superuser\'s');

#
# Faults that have an error, and what mends them.
#
$collector->sql(q{CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS
	$$BEGIN RAISE EXCEPTION USING ERRCODE = 'disk_full', MESSAGE = 'no space left'; END$$});
my @faults = (
	[   'no space for the table', 'no space left',
		'CREATE TRIGGER full_disk BEFORE INSERT ON traffic EXECUTE FUNCTION full_disk()',
		'DROP TRIGGER full_disk ON traffic'
	],
	[   'no space for traffic_health', 'no space left',
		'CREATE TRIGGER full_disk AFTER INSERT ON traffic_health EXECUTE FUNCTION full_disk()',
		'DROP TRIGGER full_disk ON traffic_health'
	],
	[   'owner without INSERT', 'permission denied for table traffic',
		'REVOKE INSERT ON traffic FROM operator',
		'GRANT INSERT ON traffic TO operator'
	],
	[   'a column that wants a value', 'null value in column',
		'ALTER TABLE traffic ADD COLUMN site text; UPDATE traffic SET site = $$here$$;
		 ALTER TABLE traffic ALTER COLUMN site SET NOT NULL',
		'ALTER TABLE traffic DROP COLUMN site'
	],
	[   'no column "time"', 'no column "time"',
		'ALTER TABLE traffic RENAME TO hidden; CREATE TABLE traffic (bytes bigint)',
		'DROP TABLE traffic; ALTER TABLE hidden RENAME TO traffic'
	]);

for my $fault (@faults)
{
	my ($what, $error, $break, $mend) = @$fault;

	$collector->sql("BEGIN; $break; COMMIT");
	send_some();
	wait_error($error);
	send_some();
	$collector->sql("BEGIN; $mend; COMMIT");
	all_is_stored($what);
	all_is_written($what);
	$collector->becomes('SELECT last_error IS NULL FROM lastfluss.status', 't', 'the error is over');
}

#
# Dropped: the next interval makes it anew.
#
send_some();
my $dropped = $collector->sql('BEGIN; LOCK TABLE traffic; SELECT coalesce(sum(bytes), 0) FROM traffic; DROP TABLE traffic; COMMIT');
$bytes -= $dropped;
send_some();
$collector->wait_for(q{SELECT to_regclass('traffic') IS NOT NULL});
all_is_written('dropped, and made anew');
$collector->sql('BEGIN; DROP TABLE traffic, traffic_health; CREATE TABLE traffic ("time" timestamptz, iface text, bytes bigint); COMMIT');
$bytes = 0;
send_some();
$collector->wait_written;
is($collector->sql('SELECT sum(bytes) FROM traffic'), $bytes, 'dropped, and made by somebody else');
$collector->sql('DROP TABLE traffic');
$bytes = 0;
send_some();
all_is_written('and made anew');

#
# Settings of the database and of the role.
#
$collector->sql(<<'SQL');
ALTER DATABASE postgres SET statement_timeout = '1ms';
ALTER DATABASE postgres SET lock_timeout = '1ms';
ALTER DATABASE postgres SET default_transaction_read_only = on;
ALTER DATABASE postgres SET default_transaction_isolation = 'serializable';
ALTER DATABASE postgres SET search_path = nowhere;
DO $$BEGIN
	EXECUTE format('ALTER ROLE %I SET statement_timeout = 1', current_user);
	IF current_setting('server_version_num')::int >= 170000 THEN
		ALTER DATABASE postgres SET transaction_timeout = '1ms';
	END IF;
END$$;
CREATE FUNCTION public.slow() RETURNS trigger LANGUAGE plpgsql AS
	$$BEGIN PERFORM pg_sleep(0.3); RETURN NULL; END$$;
CREATE TRIGGER slow AFTER INSERT ON public.traffic EXECUTE FUNCTION public.slow();
SQL
{
	local $ENV{PGOPTIONS} = "$ENV{PGOPTIONS} -c search_path=public";

	ok(end_process('lastfluss writer'), 'another writer has these settings');
	$collector->wait_for(q{SELECT state FROM lastfluss.status}, 'collecting');
	send_some();
	all_is_written('timeouts, read-only transactions and a search path in the settings of the database');
	$collector->sql('ALTER DATABASE postgres RESET ALL; ALTER ROLE CURRENT_USER RESET ALL; DROP TRIGGER slow ON traffic');
}
ok(end_process('lastfluss writer'), 'another writer has them no more');

#
# Deadlock: the writer has traffic and wants traffic_health, somebody the other way round.
#
$collector->sql(q{CREATE OR REPLACE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
	$$BEGIN PERFORM pg_sleep(1); RETURN NULL; END$$;
	CREATE TRIGGER slow AFTER INSERT ON traffic EXECUTE FUNCTION slow()});
{
	my $other = $node->background_psql('postgres', on_error_stop => 0);
	my $position = $collector->log_position;

	$other->query_safe(q{SET deadlock_timeout = '1h'; BEGIN; LOCK TABLE traffic_health});
	send_some();
	wait_writer('PgSleep');
	# returns when the writer has given up
	$other->query_safe('LOCK TABLE traffic; ALTER TABLE traffic ADD COLUMN note text; COMMIT');
	$other->quit;
	$collector->sql('DROP TRIGGER slow ON traffic');
	all_is_written('after a deadlock');
	# Citus looks for deadlocks itself, and cancels one of those.
	my $ended = $collector->on_citus ? 'canceling statement|deadlock detected|a table is locked' : 'deadlock detected|a table is locked';

	ok( (grep { /lastfluss: could not write an interval: ($ended)/ }
			$collector->log_of_workers($position)),
		'there was one');
}

#
# The writer is ended or cancelled while its commit waits for a synchronous standby.
#
sub set_standby
{
	my ($name) = @_;

	$node->append_conf('postgresql.conf', "synchronous_standby_names = '$name'");
	$node->reload;
	return;
}

for my $signal ('INT', 'TERM')
{
	set_standby('nobody');
	send_some();
	wait_writer('SyncRep');
	my $pid = writer();
	kill($signal, $pid);
	if ($signal eq 'TERM')
	{
		ok(Lastfluss::wait_until(sub { (writer() // $pid) != $pid }), 'a writer that waits can be ended');
	}
	send_some();
	all_is_stored("SIG$signal while a commit waits");
	set_standby('');
	all_is_written("SIG$signal while a commit waits");
}

# A server that is stopped does not wait for it, nor for a trigger.
set_standby('nobody');
send_some();
wait_writer('SyncRep');
$node->append_conf('postgresql.conf', "synchronous_standby_names = ''");
$collector->stop('fast');
$collector->start;
all_is_written('fast shutdown while a commit waits');

$collector->sql(q{CREATE TABLE slow (seconds int); INSERT INTO slow VALUES (1000);
	GRANT SELECT ON slow TO operator;
	CREATE OR REPLACE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
	$$BEGIN PERFORM pg_sleep(seconds) FROM public.slow; RETURN NULL; END$$;
	CREATE TRIGGER slow AFTER INSERT ON traffic EXECUTE FUNCTION slow()});
send_some();
wait_writer('PgSleep');
$collector->stop('fast');
$collector->start;
wait_writer('PgSleep');
$collector->sql('DELETE FROM slow');
all_is_stored('fast shutdown while a trigger sleeps');
is($collector->sql(q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE backend_type = 'lastfluss writer'}),
	't', 'the writer can be cancelled');
all_is_written('fast shutdown while a trigger sleeps');
$collector->sql('DROP TRIGGER slow ON traffic');

#
# Workers are ended one by one, while several intervals are open.
#
my $period = Lastfluss::long_period();

sub open_intervals { return $collector->sql('SELECT count(DISTINCT time) FROM lastfluss.live'); }

$collector->configure("SELECT lastfluss.set('period', '$period')",
	"SELECT lastfluss.set('window', '" . 2 * $period . "')");
for my $title ('lastfluss receiver 0', 'lastfluss receiver 1', 'lastfluss keeper', 'lastfluss launcher')
{
	send_some(2 * $period);
	ok(end_process($title), "the $title is ended");
	$collector->wait_for('SELECT state FROM lastfluss.status', 'collecting');
	send_some(2 * $period);
	is(open_intervals(), 3, 'three intervals stay open');
	all_is_stored("another $title");
}

# The server stops in the middle of them.
for my $mode ($collector->stop_modes)
{
	send_some(2 * $period);
	is(open_intervals(), 3, 'three intervals are open');
	$collector->stop($mode);
	$collector->start;
	$collector->wait_for('SELECT state FROM lastfluss.status', 'collecting');
	is($collector->sql('SELECT sum(bytes) FROM traffic'), $bytes, "stopped ($mode): all was written, once");
	is(open_intervals(), 0, 'and is not in live any more');
}

is($collector->sql('SELECT lost, kernel_drops FROM lastfluss.status'), '0|0', 'no datagram was lost');
unlike(slurp_file($node->logfile), qr/PANIC|terminated by signal/, 'no worker has crashed');

$collector->stop;
done_testing();
