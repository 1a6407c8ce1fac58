# Capture files whose content is known: conversations of clients with servers, by
# IPv4 and IPv6, TCP and UDP, each of them in both directions.
#
#   my @packets = Capture::conversations(60);
#   Capture::write_file($file, @packets);
#
# A packet is a hash: number, the conversation's; family; back, false from client
# to server and true from server to client; octets, from the IP header on; frame,
# all of it, Ethernet without the checksum; time, seconds after the first packet's.

package Capture;

use strict;
use warnings;

use Socket qw(AF_INET AF_INET6 inet_pton);

# Ethernet addresses: whoever asks for the direction of a packet finds it here.
our $server_mac = '02:00:00:00:00:01';
our $client_mac = '02:00:00:00:00:02';

# Conversations number 1 to that count.
sub conversations
{
	my ($count) = @_;

	return map { conversation($_) } 1 .. $count;
}

# One that begins, which is 2 to 10 packets: from the client, two back, and so on.
sub conversation
{
	my ($number) = @_;
	my $family   = $number % 3 ? 4 : 6;
	my $protocol = $number % 2 ? 6 : 17;
	my @hosts    = (address($family, 'client', $number), address($family, 'server', $number % 7));
	my @ports    = (20000 + $number, $protocol == 6 ? 443 : 53);
	my @macs     = ($client_mac, $server_mac);
	my @packets;

	for my $time (0 .. $number % 9 + 1)
	{
		my $back     = $time % 3 ? 1 : 0;
		my $payload  = 'x' x (1 + ($number * 97 + $time * 389) % 1300);
		my $segment  = segment($protocol, turned($back, @ports), $payload);
		my $datagram = datagram($family, $protocol, turned($back, @hosts), $segment);

		push @packets, {
			number => $number,
			family => $family,
			back   => $back,
			time   => $time,
			octets => length $datagram,
			frame  => frame($family, turned($back, @macs), $datagram) };
	}
	return @packets;
}

# Writes a file in libpcap's format; the first packet has the time $start.
sub write_file
{
	my ($file, $start, @packets) = @_;

	open(my $handle, '>:raw', $file) or die "$file: $!";
	print $handle pack('VvvVVVV', 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1);
	for my $packet (@packets)
	{
		my $length = length $packet->{frame};

		print $handle pack('VVVV', $start + $packet->{time}, $packet->{number} * 1000, $length, $length),
		  $packet->{frame};
	}
	close($handle) or die "$file: $!";
	return;
}

sub turned
{
	my ($back, @pair) = @_;

	return $back ? reverse(@pair) : @pair;
}

# Of networks for documentation and for private use: clients are in 10.1.0.0/24 and
# 2001:db8::/32, servers in 10.2.0.0/24 and 3fff::/32.
sub address
{
	my ($family, $side, $host) = @_;
	my %network = (
		4 => { client => '10.1.0.%d', server => '10.2.0.%d' },
		6 => { client => '2001:db8::%x', server => '3fff::%x' });

	return inet_pton($family == 4 ? AF_INET : AF_INET6, sprintf($network{$family}{$side}, $host));
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

sub frame
{
	my ($family, $from, $to, $datagram) = @_;
	my ($source, $destination) = map { pack('H12', s/://gr) } $from, $to;

	return $destination . $source . pack('n', $family == 4 ? 0x0800 : 0x86dd) . $datagram;
}

1;
