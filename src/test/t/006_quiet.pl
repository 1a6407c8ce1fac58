# The workers wait quietly for their database and the extension, and let both go.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use Lastfluss;
use Test::More;

my $collector = Lastfluss->new('quiet', database => 'lastfluss', extension => 0);
my $node      = $collector->node;
my $port      = $collector->port;
my $router    = $collector->exporter('v5', from => '127.0.0.11');
my $bytes     = 0;

sub in_postgres
{
	return $node->safe_psql('postgres', $_[0]);
}

# The worker has gone round for more than this many seconds.
sub worker_looks_for
{
	my ($worker, $seconds) = @_;
	my $since = in_postgres('SELECT now()');

	$node->poll_query_until('postgres', <<"SQL") or die "$worker does not run";
SELECT state_change > '$since'::timestamptz + interval '$seconds s'
FROM pg_stat_activity WHERE backend_type = 'lastfluss $worker'
SQL
	return;
}

# Lines of the workers, less those that tell that they listen.
sub said_since
{
	my ($position) = @_;

	return grep { !/listening on|receive buffer is|DETAIL:|HINT:/ }
	  $collector->log_of_workers($position);
}

sub send_one
{
	$router->send({ in => 1, out => 9, bytes => 1000, packets => 1 });
	$bytes += 1000;
	return;
}

# Creates the extension and collects something.
sub collects
{
	my ($what) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	$collector->create_extension;
	$collector->listen;
	$collector->configure(
		q{SELECT lastfluss.set('period', '1')},
		q{SELECT lastfluss.add_interface('A', '127.0.0.11', 1)});
	send_one();
	return $collector->becomes('SELECT sum(bytes) FROM traffic', $bytes, $what);
}

#
# Neither database nor extension.
#
worker_looks_for('launcher', 3);
is(join("\n", said_since(0)), '', 'no line while the database is missing');
in_postgres('CREATE DATABASE lastfluss');
worker_looks_for('writer', 3);
is(join("\n", said_since(0)), '', 'no line while the extension is missing');
is(Lastfluss::sockets($port), 0, 'and nothing is listened to');
collects('when both are there, collecting starts by itself');
cmp_ok(scalar($collector->log_of_workers), '<=', 6, 'with a few lines in the log');

#
# DROP EXTENSION.
#
my $position = $collector->log_position;
send_one();
$collector->sql('DROP EXTENSION lastfluss');
pass('DROP EXTENSION goes through while collecting');
ok(Lastfluss::wait_until(sub { Lastfluss::sockets($port) == 0 }), 'then the port is closed');
worker_looks_for('writer', 2);
is(join("\n", said_since($position)), '', 'without a line in the log');
$position = $collector->log_position;
collects('created again, it collects again, and nothing is lost or doubled in between');
is(join("\n", said_since($position)), '', 'without a line in the log');

# Even with a session that holds the extension's tables for a while.
my $other = $node->background_psql('lastfluss');
$other->query_safe('BEGIN; SELECT * FROM lastfluss.listener');
$position = $collector->log_position;
my $drop = $node->background_psql('lastfluss');
$drop->query_until(qr/begun/, "\\echo begun\nDROP EXTENSION lastfluss;\n");
send_one();
$collector->becomes(<<'SQL', 't', 'DROP EXTENSION waits for another session');
SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'DROP EXTENSION%'
SQL
# In this time the writer would read its configuration, which DROP EXTENSION has locked.
my $waits_since = time;
Lastfluss::wait_until(sub { time > $waits_since + 4 });
$other->query_safe('COMMIT');
$other->quit;
$drop->quit;
ok(Lastfluss::wait_until(sub { Lastfluss::sockets($port) == 0 }), 'and goes through after');
is(join("\n", said_since($position)), '', 'without a line in the log');
collects('and once more');

#
# CREATE DATABASE ... TEMPLATE and DROP DATABASE.
#
SKIP:
{
	skip 'a worker of Citus keeps its databases from that', 11 if $collector->on_citus;
	$position = $collector->log_position;
	in_postgres('CREATE DATABASE copy TEMPLATE lastfluss');
	pass('the database can be a template while collecting');
	send_one();
	$collector->becomes('SELECT sum(bytes) FROM traffic', $bytes, 'and collecting goes on');
	is(join("\n", said_since($position)), '', 'without a line in the log');

	in_postgres('ALTER DATABASE lastfluss RENAME TO was_lastfluss');
	pass('it can be renamed');
	in_postgres('ALTER DATABASE was_lastfluss RENAME TO lastfluss');
	send_one();
	$collector->becomes('SELECT sum(bytes) FROM traffic', $bytes, 'and collecting goes on under its name');

	for my $how ('', ' WITH (FORCE)')
	{
		$position = $collector->log_position;
		in_postgres("DROP DATABASE lastfluss$how");
		pass("DROP DATABASE$how goes through while collecting");
		worker_looks_for('launcher', 2);
		is(join("\n", said_since($position)), '', 'without a line in the log');
		in_postgres('CREATE DATABASE lastfluss');
		$bytes = 0;
		collects('a database of that name is found again');
	}
}

#
# How much is said.
#
$node->append_conf('postgresql.conf', 'lastfluss.log_level = error');
$node->reload;
$collector->becomes(q{SELECT setting FROM pg_settings WHERE name = 'lastfluss.log_level'},
	'error', 'lastfluss.log_level = error');
# The workers read it when they are woken; each has to be, once.
$collector->configure;
$position = $collector->log_position;
$collector->configure;
is(join("\n", $collector->log_of_workers($position)), '', 'leaves out that they listen');

$node->append_conf('postgresql.conf', 'lastfluss.log_level = debug');
$node->reload;
$position = $collector->log_position;
ok( Lastfluss::wait_until(sub {
		send_one();
		grep { /LOG:  lastfluss: wrote interval \d+ of receiver 0: 1 rows/ }
		  $collector->log_of_workers($position) }),
	'lastfluss.log_level = debug tells each interval');

is(scalar(grep { /(FATAL|ERROR|PANIC|WARNING): / } $collector->log_of_workers), 0,
	'no error of the workers in the log');

$collector->stop;
done_testing();
