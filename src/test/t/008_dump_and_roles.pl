# A dump carries the configuration and the traffic; rights are for those who got them.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use Lastfluss;
use Test::More;

my $collector = Lastfluss->new('dump');
my $node      = $collector->node;

$collector->configure(
	q{SELECT lastfluss.add_interface('Transit "1"', '127.0.0.11', 1, sample => 10, role => 'transit',
	  speed => 10000000000, description => 'old router')},
	q{SELECT lastfluss.add_interface('VLAN 5', '127.0.0.11', 1, vlan => 5, sample_out => 3)},
	q{SELECT lastfluss.set('period', '1')});
my $router = $collector->exporter('v9', from => '127.0.0.11');
$router->send(map { { in => 1, out => 9, src_as => 64500 + $_, bytes => $_, packets => 1 } } 1 .. 10);
$collector->wait_written;

#
# Dump and restore, into the same server and into one that does not preload.
#
my $dump = $node->basedir . '/dump';
$node->command_ok([ 'pg_dump', '-Fc', '-f', $dump, $node->connstr('postgres') ], 'pg_dump');
$node->safe_psql('postgres', 'CREATE DATABASE restored');
$node->command_ok([ 'pg_restore', '-e', '-d', $node->connstr('restored'), $dump ], 'pg_restore');

my $plain = $collector->other_server('plain');
$plain->command_ok([ 'pg_restore', '-e', '-d', $plain->connstr('postgres'), $dump ],
	'pg_restore where the library is not preloaded');

for my $relation (
	'lastfluss.interface ORDER BY name',
	'lastfluss.listener ORDER BY port',
	'lastfluss.setting ORDER BY name',
	'traffic ORDER BY id')
{
	my $rows = $collector->sql("SELECT * FROM $relation");

	isnt($rows, '', "$relation: there are rows");
	is($node->safe_psql('restored', "SELECT * FROM $relation"), $rows, 'restored');
	is($plain->safe_psql('postgres', "SELECT * FROM $relation"), $rows, 'restored there');
}
is($node->safe_psql('restored', 'SELECT count(*) FROM lastfluss._written'), 0,
	'notes of a run of this server are not carried');
$plain->stop;

# The collector takes the restored database up where the other was.
is($collector->sql('SELECT sum(bytes) FROM traffic'), 550, 'what was sent');
$node->adjust_conf('postgresql.conf', 'lastfluss.database', "'restored'");
$collector->stop;
$collector->{database} = 'restored';
$collector->start;
$collector->becomes('SELECT state FROM lastfluss.status', 'collecting', 'a restored database collects');
$router->send({ in => 1, out => 9, src_as => 64599, bytes => 1, packets => 1 });
$router->send({ in => 1, out => 9, src_as => 64599, bytes => 100, packets => 1 });
$collector->becomes('SELECT sum(bytes) FROM traffic WHERE remote_asn = 64599', 1010, 'and writes, and knows the template of before');
is($collector->sql('SELECT count(*) = count(DISTINCT id) FROM traffic'), 't', 'with new ids');

#
# Roles.
#
$collector->sql('CREATE ROLE nobody; CREATE ROLE monitor IN ROLE pg_monitor; CREATE ROLE operator');

sub refused
{
	my ($role, $sql) = @_;
	my ($status, undef, $said) = $node->psql('restored', "SET ROLE $role; $sql");

	return $said =~ /ERROR:  permission denied/;
}

for my $sql (
	'SELECT * FROM lastfluss.status',
	'SELECT * FROM lastfluss.live',
	'SELECT * FROM lastfluss.interface',
	'SELECT * FROM lastfluss.settings',
	'SELECT lastfluss.add_listener()',
	q{SELECT lastfluss.set('period', '1')},
	q{SELECT lastfluss.read_datagrams('{}')},
	q{INSERT INTO lastfluss.listener DEFAULT VALUES})
{
	ok(refused('nobody', $sql), "an ordinary role may not: $sql");
}
is($collector->sql(<<'SQL'), 0, 'PUBLIC has no right at all');
SELECT (SELECT count(*) FROM pg_namespace, aclexplode(nspacl) a WHERE nspname = 'lastfluss' AND a.grantee = 0)
  + (SELECT count(*) FROM pg_class, aclexplode(relacl) a
     WHERE relnamespace = 'lastfluss'::regnamespace AND a.grantee = 0)
  + (SELECT count(*) FROM pg_proc, aclexplode(coalesce(proacl, acldefault('f', proowner))) a
     WHERE pronamespace = 'lastfluss'::regnamespace AND a.grantee = 0)
SQL

for my $view (qw(status exporters templates seen_interfaces live settings))
{
	is($collector->sql("SET ROLE monitor; SELECT count(*) >= 0 FROM lastfluss.$view"), 't',
		"pg_monitor reads $view");
}
ok(refused('monitor', q{SELECT lastfluss.set('period', '1')}), 'but may not configure');
ok(refused('monitor', q{DELETE FROM lastfluss.listener}), 'in no way');

# An administrator role, granted as in any schema.
$collector->sql(<<'SQL');
GRANT USAGE ON SCHEMA lastfluss TO operator;
GRANT SELECT, INSERT, UPDATE, DELETE ON lastfluss.interface, lastfluss.listener, lastfluss.setting TO operator;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA lastfluss TO operator;
SQL
$collector->configure('SET ROLE operator',
	q{SELECT lastfluss.add_interface('by operator', '127.0.0.11', 2)});
$router->send({ in => 2, out => 9, bytes => 7, packets => 1 });
$collector->becomes(q{SELECT sum(bytes) FROM traffic WHERE iface = 'by operator'}, 7,
	'a role that was granted the rights configures');

$collector->stop;
done_testing();
