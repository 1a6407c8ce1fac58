# A real exporter: softflowd reads a capture file made here and sends NetFlow v5,
# v9 and IPFIX to the collector; what is in traffic must be what softflowd says it
# exported, which must be what is in the capture.
#
# Reading a file, softflowd gives all flows ifIndex 0 as input and output, and
# exports them at the end of the file.  It has no IPv6 in v5.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use Capture;
use IO::Socket::INET;
use IPC::Run qw(run timeout);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my ($softflowd) = grep { -x } map { "$_/softflowd" } split(/:/, $ENV{PATH}), '/usr/sbin', '/usr/local/sbin';
plan skip_all => 'softflowd is not installed' unless defined $softflowd;

my $directory = PostgreSQL::Test::Utils::tempdir;
my $capture = "$directory/capture.pcap";
my @packets = Capture::conversations(60);
my $in_capture = sums_by_family(@packets);
my $port = free_udp_port();

Capture::write_file($capture, time() - 60, @packets);

my $node = PostgreSQL::Test::Cluster->new('softflowd');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'lastfluss'");
$node->start;
$node->safe_psql('postgres', 'CREATE DATABASE lastfluss');
query(
	qq{
	CREATE EXTENSION lastfluss;
	BEGIN;
	SELECT lastfluss.set('attribution', 'arrival');
	SELECT lastfluss.set('period', '1');
	SELECT lastfluss.add_interface('uplink', '127.0.0.1', 0);
	SELECT lastfluss.add_listener('127.0.0.1', $port);
	COMMIT;
});
wait_for("SELECT state = 'collecting' FROM lastfluss.status", 'the collector listens');

test_export(5, 'NetFlow v5', [4]);
test_export(9, 'NetFlow v9', [ 4, 6 ]);
test_export(10, 'IPFIX', [ 4, 6 ]);

$node->stop;
done_testing();

sub test_export
{
	my ($version, $protocol, $families) = @_;
	my %expected = map { $_ => $in_capture->{$_} } @$families;
	my $total = sum_of(values %expected);
	my $said = export($version);

	is_deeply($said, $total, "$protocol: softflowd has exported what is in the capture");

	# traffic and live in one statement can miss an interval that moves from one to
	# the other meanwhile, so this waits.
	wait_for(
		qq{SELECT sum(bytes) = 2 * $said->{bytes}
		   FROM (SELECT bytes FROM traffic UNION ALL SELECT bytes FROM lastfluss.live) s},
		"$protocol: all is in traffic and live");
	wait_for(
		q{SELECT intervals_waiting = 0 AND NOT EXISTS (SELECT FROM lastfluss.live) FROM lastfluss.status},
		"$protocol: all intervals are written");

	for my $ingress ('true', 'false')
	{
		for my $family (@$families)
		{
			is( query(
					"SELECT sum(bytes), sum(packets), sum(flows) FROM traffic
					 WHERE iface = 'uplink' AND ingress = $ingress AND family = $family"),
				join('|', @{ $expected{$family} }{qw(bytes packets flows)}),
				"$protocol: bytes, packets and flows of IPv$family, ingress $ingress");
		}
	}
	is(query('SELECT sum(bytes), sum(packets), sum(flows) FROM traffic WHERE ingress'),
		join('|', @$said{qw(bytes packets flows)}), "$protocol: nothing else was counted");
	is( query(
			"SELECT sum(records), bool_and(configured), jsonb_agg(DISTINCT errors)
			 FROM lastfluss.exporters WHERE protocol = '$protocol'"),
		"$said->{flows}|t|[{}]", "$protocol: the exporter is known, and all was decoded");

	query('TRUNCATE traffic');
}

# Runs softflowd over the capture; returns what its statistics say.
sub export
{
	my ($version) = @_;
	my ($out, $err) = ('', '');
	my %said = (bytes => 0, packets => 0);

	# In the foreground.  No control socket: reading a file, it can wait there for
	# somebody who never comes.
	my @command = (
		$softflowd, '-d',
		'-r' => $capture,
		'-v' => $version,
		'-n' => "127.0.0.1:$port",
		'-p' => 'none',
		'-c' => 'none');

	run(\@command, '<', \undef, '>', \$out, '2>', \$err, timeout(60))
	  or die "softflowd failed:\n$out$err";
	note($out);
	$out =~ /^Flows exported: \d+ \((\d+) records\) in \d+ packets \(0 failures\)$/m
	  or die "softflowd does not say what it exported:\n$out$err";
	$said{flows} = $1;
	while ($out =~ /^\s*\S+ \(\d+\):\s+(\d+)\s+(\d+)\s/mg)
	{
		$said{bytes} += $1;
		$said{packets} += $2;
	}
	return \%said;
}

sub query
{
	return $node->safe_psql('lastfluss', $_[0]);
}

sub wait_for
{
	my ($query, $name) = @_;

	ok($node->poll_query_until('lastfluss', $query), $name);
}

sub free_udp_port
{
	my $socket = IO::Socket::INET->new(Proto => 'udp', LocalAddr => '127.0.0.1')
	  or die "no UDP port: $!";

	return $socket->sockport;
}

sub sum_of
{
	my %sum;

	for my $part (@_)
	{
		$sum{$_} += $part->{$_} for keys %$part;
	}
	return \%sum;
}

# By family: octets from the IP header on, packets, and a flow of each direction.
sub sums_by_family
{
	my (@packets) = @_;
	my (%sums, %seen);

	for my $packet (@packets)
	{
		my $sum = $sums{ $packet->{family} } //= { bytes => 0, packets => 0, flows => 0 };

		$sum->{bytes} += $packet->{octets};
		$sum->{packets}++;
		$sum->{flows}++ unless $seen{"$packet->{number} $packet->{back}"}++;
	}
	return \%sums;
}
