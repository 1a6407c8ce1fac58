# Real exporters: pmacctd reads a capture file made here and sends it by its
# plugins nfprobe (NetFlow v5, v9 and IPFIX) and sfprobe (sFlow) to the collector.
# What is in traffic must be what is in the capture, by direction, family and AS.
#
# Each way to export is a pmacctd of its own, with an address of its own.  They all
# run at once, as the server's user, and end by themselves when they have read the
# file.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use Capture;
use IPC::Run qw(start timeout);
use Lastfluss;
use List::Util qw(sum0);
use PostgreSQL::Test::Utils;
use Test::More;

my ($pmacctd) = grep { -x } map { "$_/pmacctd" } split(/:/, $ENV{PATH}), '/usr/sbin', '/usr/local/sbin';
plan skip_all => 'pmacctd (package pmacct) is not installed' unless defined $pmacctd;

# "rate" tells pmacctd that its packets were sampled before it sees them.
my $rate = 10;

# id is the ifIndex, the end of the address, and the engine, domain or sub-agent.
# Version 0 is sFlow.  v9 and IPFIX have times in milliseconds; timestamps_secs has
# v9 send sysUptime; nfprobe_tstamp_usec makes fields 154 and 155 of 16 octets, which
# are no NTP time and must do no harm.
my @exporters = (
	{ id => 5,  name => 'v5', version => 5 },
	{ id => 9,  name => 'v9', version => 9 },
	{ id => 10, name => 'IPFIX', version => 10 },
	{ id => 19, name => 'v9 counted at ingress', version => 9, count => 'ingress' },
	{ id => 25, name => 'v5 sampled', version => 5, rate => $rate },
	{ id => 29, name => 'v9 sampled', version => 9, rate => $rate, conf => 'timestamps_secs: true' },
	{ id => 30, name => 'IPFIX sampled', version => 10, rate => $rate, conf => 'nfprobe_tstamp_usec: true' },
	{ id => 6,  name => 'sFlow', version => 0 },
	{ id => 26, name => 'sFlow sampled', version => 0, rate => $rate });

# Seconds.  sfprobe sends counters at a random second within its first 20 and every 20
# seconds after, by a clock at which it looks when it gets packets: that is how it
# sends those of several seconds at once.  Before that it has to start.
my $delay = 35;
my $limit = 180;

my $speed = 40_000_000_000;

my $directory = PostgreSQL::Test::Utils::tempdir;
my @packets   = Capture::conversations(60);

my $collector = Lastfluss->new('pmacct');
$collector->configure(
	"SELECT lastfluss.set('period', '@{[ Lastfluss::long_period() ]}')",
	map { sprintf(q{SELECT lastfluss.add_interface('%s', '%s', %d, count => '%s')},
		$_->{name}, host_of($_), $_->{id}, $_->{count} // 'both') } @exporters);

write_common_files();
run_exporters();

my $all = '(SELECT * FROM traffic UNION ALL SELECT * FROM lastfluss.live) t';
$collector->becomes('SELECT records FROM lastfluss.status', sum0(map { records_of($_) } @exporters),
	'all records have arrived');
for my $exporter (@exporters)
{
	is( $collector->sql(
			"SELECT ingress, remote_asn, local_asn, family, sum(bytes), sum(packets), sum(flows)
			 FROM $all WHERE iface = '$exporter->{name}'
			 GROUP BY 1, 2, 3, 4 ORDER BY 1 DESC, 2, 3, 4"),
		join("\n", expected_rows($exporter)), "$exporter->{name}: bytes, packets and flows");
	is( $collector->sql(
			"SELECT protocol, domain, configured, records, lost, sampling, sampling_origin, errors, no_octets
			 FROM lastfluss.exporters WHERE host = '@{[ host_of($exporter) ]}'"),
		expected_exporter($exporter), "$exporter->{name}: the exporter");
}
is($collector->sql('SELECT lost, kernel_drops FROM lastfluss.status'), '0|0', 'nothing is lost');

for my $exporter (grep { is_sflow($_) } @exporters)
{
	$collector->becomes(
		"SELECT DISTINCT in_octets, in_packets, out_octets, out_packets, speed FROM lastfluss.counters
		 WHERE host = '@{[ host_of($exporter) ]}' AND id = $exporter->{id}",
		expected_counters(), "$exporter->{name}: counters of the interface");
}

$collector->stop;
done_testing();

#
# pmacctd.
#

sub is_sflow
{
	my ($exporter) = @_;

	return $exporter->{version} == 0;
}

sub host_of
{
	my ($exporter) = @_;

	return "127.0.0.$exporter->{id}";
}

sub write_text
{
	my ($name, $text) = @_;

	open(my $handle, '>', "$directory/$name") or die "$name: $!";
	print $handle $text;
	close($handle) or die "$name: $!";
	return "$directory/$name";
}

# Writes what all of them use: the capture, the direction of a packet, which is 1
# for "in" and 2 for "out", and AS numbers, which as_of_client() and as_of_server()
# know as well.  Of IPv6 there is one network, as pmacctd 1.7.7 keeps no more.
sub write_common_files
{
	Capture::write_file("$directory/capture.pcap", time() - 5, @packets);
	write_text('directions', <<"MAP");
set_tag=1 filter='ether dst $Capture::server_mac'
set_tag=2 filter='ether src $Capture::server_mac'
MAP
	write_text('networks', <<'MAP');
64501,10.1.0.0/27
4200000001,10.1.0.32/28
64502,10.2.0.0/24
64601,::/0
MAP
	return;
}

# The buffer takes the whole capture, so that a plugin gets it all at once: sfprobe
# would keep packets of the same second that come later, and forget them at the end.
sub write_configuration
{
	my ($exporter) = @_;
	my $plugin = is_sflow($exporter) ? 'sfprobe' : 'nfprobe';
	my $conf = <<"CONF";
daemonize: false
pcap_savefile: $directory/capture.pcap
pcap_savefile_delay: $delay
pre_tag_map: $directory/directions
networks_file: $directory/networks
pmacctd_as: file
plugins: $plugin\[probe]
plugin_buffer_size: 1000000
plugin_pipe_size: 8000000
${plugin}_receiver: 127.0.0.1:@{[ $collector->port ]}
${plugin}_source_ip: @{[ host_of($exporter) ]}
${plugin}_direction[probe]: tag
${plugin}_ifindex[probe]: $exporter->{id}
CONF

	$conf .= "pmacctd_ext_sampling_rate: $exporter->{rate}\n" if defined $exporter->{rate};
	$conf .= "$exporter->{conf}\n" if defined $exporter->{conf};
	$conf .= is_sflow($exporter) ? sfprobe_configuration($exporter) : nfprobe_configuration($exporter);
	return write_text("pmacctd-$exporter->{id}.conf", $conf);
}

# Tags in IPFIX have pmacct's own elements 1 and 2: bytes and packets in the
# registry of IANA.
sub nfprobe_configuration
{
	my ($exporter) = @_;
	my $engine = $exporter->{version} == 5 ? "0:$exporter->{id}" : $exporter->{id};

	return <<"CONF";
nfprobe_version: $exporter->{version}
nfprobe_engine: $engine
aggregate[probe]: src_host, dst_host, src_port, dst_port, proto, src_as, dst_as, in_iface, out_iface, tag, tag2
CONF
}

sub sfprobe_configuration
{
	my ($exporter) = @_;
	my $every_packet = defined $exporter->{rate} ? '' : "sampling_rate: 1\n";

	return <<"CONF" . $every_packet;
sfprobe_agentip: @{[ host_of($exporter) ]}
sfprobe_agentsubid: $exporter->{id}
sfprobe_ifspeed[probe]: $speed
CONF
}

# Runs all of them until they end.  What they sent decides, not the status: pmacctd
# exits with 1 where its plugin ends before it waits for it.
sub run_exporters
{
	my %output = map { $_->{name} => '' } @exporters;
	my @runs   = map {
		start([ $pmacctd, '-f' => write_configuration($_) ],
			'<', \undef, '>', \$output{ $_->{name} }, '2>&1', timeout($limit))
	} @exporters;

	if (!eval { $_->finish for @runs; 1 })
	{
		my $error = $@;

		$_->kill_kill(grace => 5) for @runs;
		note(%output);
		die "pmacctd does not end: $error";
	}
	for my $name (sort keys %output)
	{
		note("$name:\n$output{$name}");
		unlike($output{$name}, qr/^ERROR/m, "$name: pmacctd has no complaint");
	}
	return;
}

#
# What has to come of it.
#

# The last of 10.1.0.0/24 have no AS.
sub as_of_client
{
	my ($exporter, $packet) = @_;

	return 64601 if $packet->{family} == 6;
	return 64501 if $packet->{number} < 32;
	return 0     if $packet->{number} >= 48;
	return $exporter->{version} == 5 ? 23456 : 4200000001;
}

sub as_of_server
{
	my ($packet) = @_;

	return $packet->{family} == 6 ? 64601 : 64502;
}

# v5 has no IPv6.
sub exported_packets
{
	my ($exporter) = @_;

	return grep { $exporter->{version} != 5 || $_->{family} == 4 } @packets;
}

# What clients send comes in, and pmacctd says so.
sub counted_packets
{
	my ($exporter) = @_;

	return grep { !$_->{back} || ($exporter->{count} // 'both') eq 'both' } exported_packets($exporter);
}

# A record for each packet, or for each direction of a conversation.
sub records_of
{
	my ($exporter) = @_;
	my %directions = map { ("$_->{number} $_->{back}" => 1) } exported_packets($exporter);

	return is_sflow($exporter) ? scalar(exported_packets($exporter)) : scalar(keys %directions);
}

# sFlow counts the whole frame with its checksum, the others from the IP header on.
sub octets_of
{
	my ($exporter, $packet) = @_;

	return is_sflow($exporter) ? length($packet->{frame}) + 4 : $packet->{octets};
}

# Rows as psql prints them.
sub expected_rows
{
	my ($exporter) = @_;
	my $times = $exporter->{rate} // 1;
	my (%sums, %seen);

	for my $packet (counted_packets($exporter))
	{
		my $key = join('|', $packet->{back} ? 'f' : 't',
			as_of_client($exporter, $packet), as_of_server($packet), $packet->{family});
		my $sum = $sums{$key} //= [ 0, 0, 0 ];

		$sum->[0] += $times * octets_of($exporter, $packet);
		$sum->[1] += $times;
		$sum->[2]++ if is_sflow($exporter) || !$seen{"$packet->{number} $packet->{back}"}++;
	}
	return map { join('|', $_, @{ $sums{$_} }) } sort by_row keys %sums;
}

sub by_row
{
	my ($ingress_a, @a) = split /\|/, $a;
	my ($ingress_b, @b) = split /\|/, $b;

	return $ingress_b cmp $ingress_a || $a[0] <=> $b[0] || $a[1] <=> $b[1] || $a[2] <=> $b[2];
}

# sFlow tells its rate with each sample; v9 and IPFIX in options data, by a sampler
# that the record names.
sub expected_exporter
{
	my ($exporter) = @_;
	my %protocol   = (0 => 'sFlow v5', 5 => 'NetFlow v5', 9 => 'NetFlow v9', 10 => 'IPFIX');
	my %origin     = (0 => 'record', 5 => 'header', 9 => 'sampler', 10 => 'sampler');
	my $told       = $exporter->{rate} // (is_sflow($exporter) ? 1 : undef);

	return join('|', $protocol{ $exporter->{version} }, $exporter->{id}, 't', records_of($exporter), 0,
		$told // '', defined $told ? $origin{ $exporter->{version} } : 'unknown', '{}', 0);
}

# Frames as libpcap has them, without the checksum.
sub expected_counters
{
	return join('|', map {
		my $back   = $_;
		my @frames = grep { $_->{back} == $back } @packets;

		(sum0(map { length $_->{frame} } @frames), scalar(@frames))
	} 0, 1) . "|$speed";
}
