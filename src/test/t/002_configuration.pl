# Changes of the configuration take effect at COMMIT, without a restart, and in the
# middle of an interval without a loss.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use Lastfluss;
use Test::More;

my $collector = Lastfluss->new('configuration');
my $port      = $collector->port;
my $period    = Lastfluss::long_period();

# Is there an entry of status.listeners like this?
sub listener_like
{
	my ($pattern) = @_;

	return "SELECT count(*) FROM lastfluss.status, unnest(listeners) l WHERE l LIKE '$pattern'";
}

sub interval_ends
{
	$collector->wait_received;
	$collector->configure("SELECT lastfluss.set('period', '1')");
	$collector->wait_written;
	return;
}

# Listeners come and go.
my $other = Lastfluss::udp_port();
$collector->sql("SELECT lastfluss.add_listener('127.0.0.1', $other)");
$collector->becomes(listener_like("127.0.0.1:$other"), 1, 'a second listener');
is(Lastfluss::sockets($other), 1, 'has a socket');
$collector->sql("SELECT lastfluss.remove_listener('127.0.0.1', $other)");
$collector->becomes(listener_like("%:$other"), 0, 'removed');
is(Lastfluss::sockets($other), 0,     'its socket is closed');
is(Lastfluss::sockets($port),  1,     'the other stays open');

# Rolled back means never happened.
$collector->sql(<<"SQL");
BEGIN;
SELECT lastfluss.add_listener('127.0.0.1', $other);
SELECT lastfluss.add_interface('never', '127.0.0.11', 1);
SELECT lastfluss.set('period', '7');
SELECT lastfluss.remove_listener('::', $port);
ROLLBACK;
SQL
$collector->configure;
is(Lastfluss::sockets($other), 0, 'ROLLBACK: no new listener');
is(Lastfluss::sockets($port),  1, 'and no listener less');
my $router = $collector->exporter('v5', from => '127.0.0.11');
$router->send({ in => 1, out => 2, bytes => 1, packets => 1 });
$collector->wait_received;
is($collector->sql('SELECT unmatched FROM lastfluss.status'), 1, 'and no new interface');
is($collector->sql(q{SELECT value FROM lastfluss.settings WHERE name = 'period'}),
	60, 'and no new period');

# Plain INSERT, UPDATE, DELETE, TRUNCATE.
$collector->configure(
	q{INSERT INTO lastfluss.interface (name, host, id) VALUES ('A', '127.0.0.11', 1), ('B', '127.0.0.11', 2)},
	qq{INSERT INTO lastfluss.setting VALUES ('period', '$period')});
$router->send({ in => 1, out => 2, bytes => 10, packets => 1 });
$collector->wait_received;
$collector->configure(q{UPDATE lastfluss.interface SET sample = 100 WHERE name = 'B'});
$router->send({ in => 1, out => 2, bytes => 10, packets => 1 });
$collector->wait_received;
$collector->configure(q{DELETE FROM lastfluss.interface WHERE name = 'A'});
$router->send({ in => 1, out => 2, bytes => 10, packets => 1 });
$collector->wait_received;
is($collector->sql('SELECT iface, ingress, bytes FROM lastfluss.live ORDER BY iface'),
	"A|t|20\nB|f|2010", 'INSERT, UPDATE and DELETE in the middle of an interval');
$collector->configure('TRUNCATE lastfluss.interface');
$router->send({ in => 1, out => 2, bytes => 10, packets => 1 });
$collector->wait_received;
is($collector->sql('SELECT sum(bytes) FROM lastfluss.live'), 2030, 'TRUNCATE');
interval_ends();
is($collector->sql('SELECT iface, ingress, bytes, bandwidth FROM traffic ORDER BY iface'),
	sprintf("A|t|20|%s\nB|f|2010|%s",
		$collector->sql("SELECT (20 * 8.0 / $period)::real"),
		$collector->sql("SELECT (2010 * 8.0 / $period)::real")),
	'a new period ends the interval, which keeps its own');

# A name that changes in the middle of an interval.
$collector->configure(
	"SELECT lastfluss.set('period', '$period')",
	q{SELECT lastfluss.add_interface('old name', '127.0.0.11', 1)});
$router->send({ in => 1, out => 2, bytes => 100, packets => 1 });
$collector->wait_received;
$collector->configure(q{UPDATE lastfluss.interface SET name = 'new name'});
$router->send({ in => 1, out => 2, bytes => 11, packets => 1 });
$collector->wait_received;
is($collector->sql('SELECT iface, bytes FROM lastfluss.live ORDER BY iface'),
	"new name|11\nold name|100", 'both names in live');
interval_ends();
is( $collector->sql(q{SELECT iface, bytes FROM traffic WHERE iface LIKE '% name' ORDER BY iface}),
	"new name|11\nold name|100", 'and in traffic');

# Names are given back when nothing refers to them any more.
for my $i (1 .. 20)
{
	$collector->configure(qq{UPDATE lastfluss.interface SET name = 'name $i'});
	$router->send({ in => 1, out => 2, bytes => $i, packets => 1 });
	$collector->wait_received;
}
interval_ends();
is($collector->sql(<<'SQL'), '20|t', 'many names one after the other');
SELECT count(*), bool_and(iface = 'name ' || bytes) FROM traffic WHERE iface LIKE 'name %'
SQL

# Another table.
$collector->configure(q{SELECT lastfluss.set('table', 'elsewhere')});
$router->send({ in => 1, out => 2, bytes => 12345, packets => 1 });
$collector->becomes('SELECT sum(bytes) FROM elsewhere', 12345, 'another table is made and written');
is($collector->sql('SELECT count(*) FROM traffic WHERE bytes = 12345'), 0, 'instead of the first');
$collector->configure(q{SELECT lastfluss.reset('table')});
$router->send({ in => 1, out => 2, bytes => 54321, packets => 1 });
$collector->becomes('SELECT count(*) FROM traffic WHERE bytes = 54321', 1, 'and back');

# All addresses of both families on one port.
$collector->configure("SELECT lastfluss.add_listener('0.0.0.0', $port)");
$collector->becomes(listener_like("%:$port"), 2, '0.0.0.0 and :: with the same port');
is($collector->sql('SELECT state FROM lastfluss.status'), 'collecting', 'both listen');
$router->send({ in => 1, out => 2, bytes => 1, packets => 1 });
$collector->exporter('v5', from => '::1')->send({ in => 1, out => 2, bytes => 1, packets => 1 });
$collector->wait_received;
pass('both families arrive');
$collector->configure("SELECT lastfluss.remove_listener('0.0.0.0', $port)");
$router->send({ in => 1, out => 2, bytes => 1, packets => 1 });
$collector->wait_received;
pass('and IPv4 still, when only :: is left');

# One address beside all of them: it is received already.
$collector->configure("SELECT lastfluss.add_listener('127.0.0.1', $port)");
$collector->becomes(listener_like("%:$port"), 2, '127.0.0.1 and :: with the same port');
is($collector->sql('SELECT state FROM lastfluss.status'), 'collecting', 'nothing fails');
$router->send({ in => 1, out => 2, bytes => 1, packets => 1 });
$collector->wait_received;
$collector->configure("SELECT lastfluss.remove_listener('::', $port)");
$router->send({ in => 1, out => 2, bytes => 1, packets => 1 });
$collector->wait_received;
pass('and it has a socket of its own when it is alone');
$collector->configure("SELECT lastfluss.add_listener('::', $port)",
	"SELECT lastfluss.remove_listener('127.0.0.1', $port)");

# A port that is taken.
my $taken    = Lastfluss::udp_port();
my $holder   = Lastfluss::udp_socket('127.0.0.1', $taken) or die;
my $position = $collector->log_position;
$collector->sql("SELECT lastfluss.add_listener('127.0.0.1', $taken)");
$collector->becomes('SELECT state FROM lastfluss.status', 'cannot listen', 'state where a port is taken');
is($collector->sql(listener_like("127.0.0.1:$taken (could not listen: Address already in use)")),
	1, 'listeners names it');
# Each change of the configuration has it tried again.
$collector->configure for 1 .. 2;
my @said = grep { /could not listen on/ } $collector->log_of_workers($position);
is(scalar(@said), 1, 'the log tells it once');
like($said[0], qr/LOG:  lastfluss: could not listen on 127\.0\.0\.1:$taken: Address already in use/,
	'with the reason');
$router->send({ in => 1, out => 2, bytes => 1, packets => 1 });
$collector->wait_received;
close($holder);
$collector->becomes('SELECT state FROM lastfluss.status', 'collecting', 'it is taken when it is free');
is($collector->sql(listener_like("127.0.0.1:$taken")), 1, 'and listeners shows it');

$collector->stop;
done_testing();
