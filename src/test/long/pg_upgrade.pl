# pg_upgrade from an earlier major version, whose installation LASTFLUSS_OLD names (the
# directory that has its "bin"), with traffic, rollups, an interval that is still open,
# and a router that goes on sending.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use Lastfluss;
use PostgreSQL::Test::Utils;
use Storage;
use Test::More;

my $old_path = $ENV{LASTFLUSS_OLD} or plan skip_all => 'LASTFLUSS_OLD names no earlier installation';

my $old = Lastfluss->new('old', install_path => $old_path, attribution => 'spread');

$old->wait_for(q{SELECT to_regclass('traffic') IS NOT NULL}, 't');
Storage::make_partitions($old, 'traffic', 1 .. 5);
Storage::fill($old, 'traffic', Storage::day(5), Storage::day(1), 12);
Storage::wait_rolled_up($old);
$old->configure(
	q{SELECT lastfluss.set('window', '0')},
	q{SELECT lastfluss.set('period', '1')},
	q{SELECT lastfluss.add_interface('A', '127.0.0.11', 1)},
	q{SELECT lastfluss.import_prefixes('198.51.100.0/24 64500')});
my $router = $old->exporter('v9', from => '127.0.0.11');
sub send_records
{
	my ($asn) = @_;

	$router->send({ in => 1, out => 9, src_as => $asn, bytes => 1000, packets => 1 }) for 1 .. 20;
	return;
}

send_records(64501);
$old->becomes(q{SELECT sum(bytes) FROM traffic WHERE remote_asn = 64501}, 20000, 'rows in the old server');
$old->configure(q{SELECT lastfluss.set('period', '} . Lastfluss::long_period() . q{')});
send_records(64502);
$old->wait_received;
is($old->stored('remote_asn = 64502'), 20000, 'and an interval that is open');

# Of days that are over: what came last may be added up meanwhile.
my $query = "SELECT count(*), sum(bytes), sum(hashint8(id)::numeric) FROM %s WHERE time < '" . Storage::day(1) . "'";
my @tables = map { "traffic$_" } '', '_5m', '_1h', '_1d';
my @before = map { $old->sql(sprintf($query, $_)) } @tables;
# The writer would write it in the end, but the table does not take it.
$old->sql('ALTER TABLE traffic ADD CONSTRAINT closed CHECK (remote_asn <> 64502)');
$old->stop('fast');
cmp_ok($old->spool_files, '>', 0, 'which waits in a file');

#
# pg_upgrade starts both servers, and the router goes on.
#
my $new = Lastfluss->new('new', start => 0);
my $sender = fork() // die "could not fork: $!";
if ($sender == 0)
{
	for (;;)
	{
		send_records(64503);
		select(undef, undef, undef, 0.05);
	}
}
command_ok(
	[
		'pg_upgrade', '--no-sync',
		'--old-datadir' => $old->node->data_dir,
		'--new-datadir' => $new->node->data_dir,
		'--old-bindir'  => "$old_path/bin",
		'--new-bindir'  => $new->node->config_data('--bindir'),
		'--socketdir'   => $new->node->host,
		'--old-port'    => $old->node->port,
		'--new-port'    => $new->node->port
	],
	'pg_upgrade');
kill 'TERM', $sender;
waitpid($sender, 0);
is(system('cp', '-R', $old->spool_directory, $new->node->data_dir), 0, 'the files go along');

$new->{port} = $old->port;
$new->start;
$new->sql('ALTER TABLE traffic DROP CONSTRAINT closed');
$new->wait_for('SELECT state FROM lastfluss.status', 'collecting');
isnt($old->node->pg_version, $new->node->pg_version, 'it is another version');
is($new->sql(sprintf($query, $tables[$_])), $before[$_], "$tables[$_] has its rows") for 0 .. $#tables;
is($new->sql(q{SELECT string_agg(name || ' ' || host(host) || ' ' || id, ', ') FROM lastfluss.interface}), 'A 127.0.0.11 1',
	'the configuration is there');
is($new->sql('SELECT count(*) FROM lastfluss.prefix'), 1, 'so are the prefixes');
$new->becomes('SELECT sum(bytes) FROM traffic WHERE remote_asn = 64502', 20000, 'the interval of the file is written');
is($new->stored('remote_asn = 64503'), 0, 'nothing was received meanwhile');

# It goes on: with the template of before, and ids of its own.
send_records(64504);
$new->becomes(q{SELECT coalesce(sum(bytes), 0) FROM (SELECT bytes, remote_asn FROM lastfluss.live
	UNION ALL SELECT bytes, remote_asn FROM traffic) t WHERE remote_asn = 64504}, 20000, 'it collects, without another template');
$new->configure(q{SELECT lastfluss.set('period', '1')});
$new->becomes(q{SELECT sum(bytes) FROM traffic WHERE remote_asn = 64504}, 20000, 'and writes');
is($new->sql('SELECT count(*) - count(DISTINCT id) FROM traffic'), 0, 'with ids that nobody has');
$new->sql("SELECT lastfluss.rollup_again('" . Storage::day(5) . "', '" . Storage::day(1) . "')");
Storage::wait_rolled_up($new);
like(Storage::difference($new, 'traffic', $_), qr/^[1-9]\d* rows, 0 differ$/, "rollups go on: $_") for qw(5m 1h 1d);
is($new->sql(q{SELECT count(*) FROM lastfluss.doctor() WHERE status = 'error'}), 0, 'the doctor finds no error');

$new->stop;
done_testing();
