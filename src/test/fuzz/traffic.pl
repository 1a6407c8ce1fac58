#!/usr/bin/perl
#
# traffic.pl capture FILE: writes a capture of a few conversations, IPv4 and IPv6,
# for exporters that read one.
#
# traffic.pl catch PORT DIRECTORY: writes the content of each datagram that comes to
# that port of 127.0.0.1 into a file of its own, until three seconds pass without any.

use strict;
use warnings;

use IO::Select;
use IO::Socket::INET;
use Socket qw(AF_INET AF_INET6 inet_pton);

my $command = shift // '';

if ($command eq 'capture' && @ARGV == 1) { write_capture(@ARGV) }
elsif ($command eq 'catch' && @ARGV == 2) { catch_datagrams(@ARGV) }
else { die "usage: traffic.pl capture FILE | catch PORT DIRECTORY\n" }

sub write_capture
{
	my ($file) = @_;
	my $content = pack('VvvVVVV', 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1);    # Ethernet

	for my $number (1 .. 8)
	{
		my $family = $number % 3 ? 4 : 6;
		my $protocol = $number % 2 ? 6 : 17;
		my @hosts = map { address($family, $_, $number) } (1, 2);
		my @ports = (20000 + $number, $protocol == 6 ? 443 : 53);

		for my $packet (0 .. $number % 3 + 1)
		{
			my $back = $packet % 2;
			my $segment = segment($protocol, $back ? reverse(@ports) : @ports, 'x' x (10 * $number));
			my $frame = ("\0" x 12) . pack('n', $family == 4 ? 0x0800 : 0x86dd)
			  . datagram($family, $protocol, $back ? reverse(@hosts) : @hosts, $segment);

			$content .= pack('VVVV', 1700000000 + $packet, $number * 1000, length $frame, length $frame) . $frame;
		}
	}
	open(my $handle, '>:raw', $file) or die "$file: $!\n";
	print $handle $content;
	close($handle) or die "$file: $!\n";
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

sub catch_datagrams
{
	my ($port, $directory) = @_;
	my $socket = IO::Socket::INET->new(Proto => 'udp', LocalAddr => "127.0.0.1:$port")
	  or die "port $port: $!\n";
	my $select = IO::Select->new($socket);
	my $number = 0;
	my $patience = 20;

	while ($select->can_read($patience))
	{
		my $file = sprintf('%s/%03d', $directory, ++$number);

		$patience = 3;
		defined $socket->recv(my $datagram, 65535) or die "recv: $!\n";
		open(my $handle, '>:raw', $file) or die "$file: $!\n";
		print $handle $datagram;
		close($handle) or die "$file: $!\n";
	}
}
