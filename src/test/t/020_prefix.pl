# Addresses to AS numbers: prefixes that are imported, changed and removed while
# datagrams come, the settings asn_source and own_asn, and replay().

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use Lastfluss;
use PostgreSQL::Test::Utils;
use Socket qw(inet_aton);
use Test::More;

my $collector = Lastfluss->new('prefix', conf => "lastfluss.receivers = 2\n");
my $period    = Lastfluss::long_period();
my $loaded    = 'loaded the prefixes: ';

$collector->configure(
	"SELECT lastfluss.set('period', '$period')",
	q{SELECT lastfluss.add_interface('transit', '127.0.0.11', 1)},
	q{SELECT lastfluss.add_interface('transit', '127.0.0.12', 1)});
my $router = $collector->exporter('v9', from => '127.0.0.11');
my $bare   = $collector->exporter('ipfix', from => '127.0.0.12', fields => [qw(bytes in out src dst)]);
my $bytes  = 0;

# The same records each time, told apart by their octets.
sub send_records
{
	$bytes = shift;
	$router->send(
		{ in => 1, src => '10.1.0.1', dst => '10.2.0.1', src_as => 64601, dst_as => 64602, bytes => $bytes },
		{ in => 1, src => '10.1.0.1', dst => '10.9.0.1', bytes => $bytes },
		{ in => 1, src => '10.1.1.1', dst => '10.2.0.1', src_as => 23456, bytes => $bytes },
		{ out => 1, src => '10.9.0.1', dst => '10.1.0.1', dst_as => 23456, bytes => $bytes });
	$bare->send(
		{ in => 1, src => '10.1.0.1', dst => '10.9.0.1', bytes => $bytes },
		{ in => 1, src => '2001:db8:1::1', dst => '2001:db8:2::1', family => 6, bytes => $bytes });
	$collector->wait_received;
	return;
}

# What has come of them.
sub rows
{
	return $collector->sql(<<"SQL");
SELECT ingress, family, remote_asn, local_asn, trim_scale(sum(bytes) / $bytes) FROM lastfluss.live
GROUP BY 1, 2, 3, 4 ORDER BY 1 DESC, 2, 3, 4
SQL
}

# Ends the interval and begins with an empty one.
sub next_interval
{
	$period = $period == 3600 ? 3599 : $period + 1;
	$collector->configure("SELECT lastfluss.set('period', '$period')");
	$collector->wait_written;
	return;
}

# Waits until the writer has loaded the prefixes once more.
my $loads = 0;

sub wait_loaded
{
	$loads++;
	Lastfluss::wait_until(sub {
		my $log = slurp_file($collector->node->logfile);
		return (() = $log =~ /$loaded/g) >= $loads;
	}) or die 'the prefixes were not loaded';
	return;
}

# Their process ids; without a connection they are not in pg_stat_activity.
sub receivers
{
	my $postmaster = (split /\n/, slurp_file($collector->node->data_dir . '/postmaster.pid'))[0];

	return grep {
		my $process = $_;
		my ($command, $status) = map { eval { slurp_file("/proc/$process/$_") } // '' } qw(cmdline status);

		$command =~ /lastfluss receiver/ && $status =~ /^PPid:\s+$postmaster$/m;
	} map { m{/(\d+)$} } glob('/proc/[0-9]*');
}

# Inodes of the segments that a process has mapped, less the server's control segment.
sub segments
{
	my ($pid) = @_;

	return map { m{ (\d+) +/dev/shm/PostgreSQL\.} ? $1 : () } split /\n/, slurp_file("/proc/$pid/maps");
}

# Without prefixes a record is what the exporter says.
send_records(1000);
is(rows(), <<'ROWS' =~ s/\n$//r, 'no prefixes');
t|4|0|0|2
t|4|23456|0|1
t|4|64601|64602|1
t|6|0|0|1
f|4|23456|0|1
ROWS
next_interval();

# Prefixes.
is($collector->sql(<<'SQL'), 4, 'prefixes are imported');
SELECT lastfluss.import_prefixes(E'10.1.0.0\t16\t65001\n10.1.1.0\t24\t65011\n10.2.0.0/16 AS65002\n2001:db8:1::/48 65006')
SQL
wait_loaded();
$collector->configure;
send_records(2000);
is(rows(), <<'ROWS' =~ s/\n$//r, '0, 23456 and what is missing is filled');
t|4|64601|64602|1
t|4|65001|0|2
t|4|65011|65002|1
t|6|65006|0|1
f|4|65001|0|1
ROWS
next_interval();

# The local side.
$collector->configure(q{SELECT lastfluss.set('own_asn', '64496')});
send_records(3000);
is(rows(), <<'ROWS' =~ s/\n$//r, 'own_asn is the local side where that is still 0');
t|4|64601|64602|1
t|4|65001|64496|2
t|4|65011|65002|1
t|6|65006|64496|1
f|4|65001|64496|1
ROWS
next_interval();

# Other sources.
$collector->configure(q{SELECT lastfluss.set('asn_source', 'prefix')});
send_records(4000);
is(rows(), <<'ROWS' =~ s/\n$//r, 'asn_source prefix');
t|4|65001|64496|2
t|4|65001|65002|1
t|4|65011|65002|1
t|6|65006|64496|1
f|4|65001|64496|1
ROWS
next_interval();

$collector->configure(q{SELECT lastfluss.reset('own_asn')},
	q{SELECT lastfluss.set('asn_source', 'exporter')});
send_records(5000);
is(rows(), <<'ROWS' =~ s/\n$//r, 'asn_source exporter');
t|4|0|0|2
t|4|23456|0|1
t|4|64601|64602|1
t|6|0|0|1
f|4|23456|0|1
ROWS
next_interval();
$collector->configure(q{SELECT lastfluss.reset('asn_source')});
wait_loaded();

# ROLLBACK changes nothing, COMMIT does without a restart.
$collector->sql(q{BEGIN; UPDATE lastfluss.prefix SET asn = 1; ROLLBACK});
$collector->sql(q{UPDATE lastfluss.prefix SET asn = asn + 100 WHERE prefix = '10.1.0.0/16'});
wait_loaded();
$collector->configure;
send_records(6000);
is(rows(), <<'ROWS' =~ s/\n$//r, 'a change takes effect');
t|4|64601|64602|1
t|4|65011|65002|1
t|4|65101|0|2
t|6|65006|0|1
f|4|65101|0|1
ROWS
next_interval();

# Prefixes that cannot be read: those of before stay in force, and status tells it.
$collector->sql(<<'SQL');
UPDATE lastfluss.prefix SET asn = 1 WHERE prefix = '10.1.0.0/16';
ALTER TABLE lastfluss.prefix RENAME TO mislaid;
SQL
$collector->sql('UPDATE lastfluss.mislaid SET asn = 65201 WHERE prefix = \'10.1.0.0/16\'');
$collector->becomes(
	q{SELECT last_error LIKE 'could not load the prefixes: relation "lastfluss.prefix" does not exist%' FROM lastfluss.status},
	't', 'status tells why prefixes cannot be loaded');
$loads = () = slurp_file($collector->node->logfile) =~ /$loaded/g;
$collector->sql('ALTER TABLE lastfluss.mislaid RENAME TO prefix');
wait_loaded();
$collector->becomes('SELECT last_error IS NULL FROM lastfluss.status', 't', 'and that they can again');

# Many changes while datagrams come: exact sums, and no segment is left behind.
my $sent = 0;
for my $as (1 .. 20)
{
	$collector->sql("SELECT lastfluss.import_prefixes('10.1.0.0/16 $as')");
	for (1 .. 20)
	{
		$router->send({ in => 1, src => '10.1.0.1', dst => '10.2.0.1', dst_as => 64777, bytes => 1 });
		$sent++;
	}
}
$collector->wait_received;
is( $collector->sql(<<'SQL'), "$sent|t", 'exact sums while prefixes change');
SELECT sum(bytes), bool_and(remote_asn IN (SELECT generate_series(1, 20) UNION SELECT 65201))
FROM lastfluss.live WHERE local_asn = 64777
SQL

SKIP:
{
	my @receivers = receivers();
	skip 'no /proc or no POSIX shared memory', 2 unless @receivers && segments($receivers[0]);
	my %mapped;

	# the server's control segment, and one of ours
	ok(Lastfluss::wait_until(sub {
			%mapped = ();
			for my $pid (@receivers)
			{
				$mapped{$_}++ for segments($pid);
			}
			return 2 == grep { $_ == @receivers } values %mapped;
		}) && keys %mapped == 2,
		'the receivers have the same segment, and no old one');
	$collector->sql('TRUNCATE lastfluss.prefix');
	ok(Lastfluss::wait_until(sub { !grep { segments($_) != 1 } @receivers }),
		'and none without prefixes');
}
$collector->sql('TRUNCATE lastfluss.prefix');
next_interval();
is($collector->sql('SELECT sum(bytes) FROM traffic WHERE local_asn = 64777'),
	$sent, 'all of it was written');

# A restart loads them again.
$collector->sql(q{SELECT lastfluss.import_prefixes('10.1.0.0/16 65301')});
$collector->stop;
$loads = () = slurp_file($collector->node->logfile) =~ /$loaded/g;
$collector->start;
wait_loaded();
$collector->wait_for("SELECT state FROM lastfluss.status", 'collecting');
$collector->configure;
my $v5 = $collector->exporter('v5', from => '127.0.0.11');
$v5->send({ in => 1, src => '10.1.0.1', dst => '10.9.0.1', bytes => 17, packets => 1 });
$collector->wait_received;
is($collector->sql('SELECT remote_asn FROM lastfluss.live WHERE bytes = 17'), 65301, 'after a restart');

# replay() does the same with the rows as they are.
sub pcap
{
	my ($payload) = @_;
	my $udp = pack('nnnn', 40000, 2055, 8 + length $payload, 0) . $payload;
	my $ip = pack('CCnnnCCna4a4', 0x45, 0, 20 + length $udp, 0, 0, 64, 17, 0,
		inet_aton('127.0.0.11'), inet_aton('192.0.2.1')) . $udp;

	return pack('VvvVVVV', 0xa1b2c3d4, 2, 4, 0, 0, 65535, 101) .
	  pack('VVVV', 1700000000, 0, length $ip, length $ip) . $ip;
}

my $capture = unpack('H*', pcap($v5->v5(
	{ in => 1, out => 2, src => '10.1.0.1', dst => '10.9.0.1', bytes => 100, packets => 1 },
	{ in => 1, out => 2, src => '10.1.0.1', dst => '10.9.0.1', src_as => 64601, bytes => 11, packets => 1 })));
my $replayed = <<"SQL";
SELECT lastfluss.replay('\\x$capture');
SELECT remote_asn, local_asn, bytes FROM traffic WHERE time < '2024-01-01' ORDER BY 1;
DELETE FROM traffic WHERE time < '2024-01-01';
SQL

is($collector->sql($replayed), "(1,2,2)\n64601|0|11\n65301|0|100", 'replay fills AS numbers');
$collector->sql(q{SELECT lastfluss.set('own_asn', '64496'), lastfluss.set('asn_source', 'prefix')});
is($collector->sql($replayed), "(1,2,1)\n65301|64496|111", 'by the settings');
$collector->sql(q{SELECT lastfluss.set('asn_source', 'exporter')});
is($collector->sql($replayed), "(1,2,2)\n0|64496|100\n64601|64496|11", 'or does not');

$collector->stop;
done_testing();
