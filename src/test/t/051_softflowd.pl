# A real exporter: softflowd reads a capture file made here and sends NetFlow v5,
# v9 and IPFIX to the collector; what is in traffic must be what softflowd says it
# exported, which must be what is in the capture.
#
# Reading a file, softflowd gives all flows ifIndex 0 as input and output, and
# exports them at the end of the file.  It has no IPv6 in v5.

use strict;
use warnings;

use IO::Socket::INET;
use IPC::Run qw(run timeout);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Socket qw(AF_INET AF_INET6 inet_pton);
use Test::More;

my ($softflowd) = grep { -x } map { "$_/softflowd" } split(/:/, $ENV{PATH}), '/usr/sbin', '/usr/local/sbin';
plan skip_all => 'softflowd is not installed' unless defined $softflowd;

my $directory = PostgreSQL::Test::Utils::tempdir;
my $capture = "$directory/capture.pcap";
my $in_capture = write_capture($capture);
my $port = free_udp_port();

my $node = PostgreSQL::Test::Cluster->new('softflowd');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'lastfluss'");
$node->start;
$node->safe_psql('postgres', 'CREATE DATABASE lastfluss');
query(
	qq{
	CREATE EXTENSION lastfluss;
	BEGIN;
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

#
# The capture: a conversation of each client with a server, in both directions.
# softflowd makes a record of each direction.
#

# Writes the file, and returns the sums by family: octets from the IP header on.
sub write_capture
{
	my ($file) = @_;
	my %sums;
	my $start = time() - 60;
	my $content = pack('VvvVVVV', 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1);    # Ethernet

	for my $number (1 .. 60)
	{
		my $family = $number % 3 ? 4 : 6;
		my $protocol = $number % 2 ? 6 : 17;
		my $client = address($family, 1, $number);
		my $server = address($family, 2, $number % 7);
		my @ports = (20000 + $number, $protocol == 6 ? 443 : 53);

		for my $packet (0 .. $number % 9 + 1)
		{
			# from the client, then back, and sometimes once more to the client
			my $back = $packet % 3;
			my $payload = 'x' x (1 + ($number * 97 + $packet * 389) % 1300);
			my $segment = segment($protocol, $back ? reverse(@ports) : @ports, $payload);
			my $datagram = datagram($family, $protocol, $back ? ($server, $client) : ($client, $server), $segment);
			my $frame = ("\0" x 12) . pack('n', $family == 4 ? 0x0800 : 0x86dd) . $datagram;

			$content .= pack('VVVV', $start + $packet, $number * 1000, length $frame, length $frame) . $frame;
			$sums{$family}{bytes} += length $datagram;
			$sums{$family}{packets}++;
			$sums{$family}{flows}++ if $packet < 2;
		}
	}
	open(my $handle, '>:raw', $file) or die "$file: $!";
	print $handle $content;
	close($handle) or die "$file: $!";
	return \%sums;
}

sub address
{
	my ($family, $network, $host) = @_;

	return inet_pton(AF_INET, "10.$network.0.$host") if $family == 4;
	return inet_pton(AF_INET6, sprintf('2001:db8:%x::%x', $network, $host));
}

# TCP with ACK alone, so that no flow ends early, or UDP.
sub segment
{
	my ($protocol, $from, $to, $payload) = @_;

	return pack('nnNNCCnnn', $from, $to, 1, 1, 5 << 4, 0x10, 65535, 0, 0) . $payload
	  if $protocol == 6;
	return pack('nnnn', $from, $to, 8 + length $payload, 0) . $payload;
}

sub datagram
{
	my ($family, $protocol, $from, $to, $segment) = @_;

	return pack('CCnnnCCn', 0x45, 0, 20 + length $segment, 0, 0, 64, $protocol, 0) . $from . $to . $segment
	  if $family == 4;
	return pack('NnCC', 6 << 28, length $segment, $protocol, 64) . $from . $to . $segment;
}
