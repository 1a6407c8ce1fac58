# Several receivers: each exporter belongs to one of them.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use Lastfluss;
use Test::More;

my $collector = Lastfluss->new('receivers', conf => 'lastfluss.receivers = 2');
my $period    = Lastfluss::long_period();
my @hosts     = map { "127.0.0.$_" } 21 .. 28;

$collector->configure(
	"SELECT lastfluss.set('period', '$period')",
	map { "SELECT lastfluss.add_interface('$_', '$_', 1)" } @hosts);
is($collector->sql('SELECT receivers FROM lastfluss.status'), 2, 'two receivers');
is(Lastfluss::sockets($collector->port), 2, 'share the port');

# Templates come from one port of an exporter, and data from many.
my @routers = map { $collector->exporter($_ % 2 ? 'v9' : 'ipfix', from => $hosts[$_]) } 0 .. $#hosts;
$_->send_template for @routers;
for my $round (1 .. 20)
{
	for my $i (0 .. $#routers)
	{
		my $router = $routers[$i];

		$router->{socket} = Lastfluss::udp_socket($hosts[$i], 0);
		$router->send({ in => 1, out => 9, src_as => 64500 + $round, bytes => 10 ** $i, packets => 1 });
	}
}
$collector->wait_received;

is($collector->sql('SELECT count(*), count(DISTINCT host) FROM lastfluss.exporters'),
	@hosts . '|' . @hosts, 'each exporter is with one receiver');
is($collector->sql('SELECT DISTINCT errors, lost, records FROM lastfluss.exporters'),
	'{}|0|20', 'and whole there');
is($collector->sql('SELECT count(DISTINCT receiver) FROM lastfluss._live()'), 2,
	'both receivers have work');
is($collector->sql('SELECT records, unmatched, lost FROM lastfluss.status'),
	20 * @hosts . '|0|0', 'status adds them up');

$collector->configure(q{SELECT lastfluss.set('period', '1')});
$collector->wait_written;
is($collector->sql('SELECT iface, sum(bytes), sum(flows), count(*) FROM traffic GROUP BY iface ORDER BY iface'),
	join("\n", map { "$hosts[$_]|" . 20 * 10 ** $_ . '|20|20' } 0 .. $#hosts),
	'and so does traffic');
is($collector->sql('SELECT count(DISTINCT receiver), count(*) FROM lastfluss._written'),
	'2|2', 'each receiver has its notes');

# Over IPv6 likewise.
my $ipv6 = $collector->exporter('v9', from => '::1');
$collector->configure(q{SELECT lastfluss.add_interface('six', '::1', 1)});
$ipv6->send({ in => 1, out => 9, bytes => 5, packets => 1 }) for 1 .. 10;
$collector->wait_written;
is($collector->sql(q{SELECT sum(bytes) FROM traffic WHERE iface = 'six'}), 50, 'IPv6');

# A stop writes what every receiver has.
$collector->configure("SELECT lastfluss.set('period', '$period')");
$_->send({ in => 1, out => 9, bytes => 1000000000, packets => 1 }) for @routers;
$collector->wait_received;
$collector->stop;
$collector->start;
is($collector->sql('SELECT count(*) FROM traffic WHERE bytes = 1000000000'), scalar(@hosts),
	'all open intervals are written at a stop');

$collector->stop;
done_testing();
