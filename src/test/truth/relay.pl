#!/usr/bin/perl
#
# relay.pl PORT ADDRESS PORT[,PORT...] ...: hands on each datagram that arrives at the
# first port of 127.0.0.1, from the address, to each of the other ports; so that
# several collectors get the same datagrams, and can tell exporters apart by address.
# Takes any number of such three.  Says "ready", and at the end of its standard input,
# or at that of its parent, how many datagrams it has handed on.

use strict;
use warnings;

use Socket qw(:all);

my $most   = 65536;
my $count  = 0;
my $parent = getppid();
my @routes;

while (my ($port, $address, $to) = splice(@ARGV, 0, 3))
{
	my $in = udp_socket('127.0.0.1', $port);

	setsockopt($in, SOL_SOCKET, SO_RCVBUF, 4 << 20);
	push @routes, {
		in  => $in,
		out => udp_socket($address, 0),
		to  => [ map { pack_sockaddr_in($_, INADDR_LOOPBACK) } split(/,/, $to) ] };
}

$| = 1;
print "ready\n";

my $ended = 0;
while (getppid() == $parent)
{
	my $wanted = '';

	vec($wanted, fileno($_), 1) = 1 for (map { $_->{in} } @routes), $ended ? () : \*STDIN;
	my $found = select(my $ready = $wanted, undef, undef, 0.5);

	hand_on($_) for grep { $found > 0 && vec($ready, fileno($_->{in}), 1) } @routes;
	last if $ended && $found == 0;
	$ended = 1 if !$ended && $found > 0 && vec($ready, fileno(STDIN), 1);
}
print "$count\n";

sub udp_socket
{
	my ($address, $port) = @_;

	socket(my $socket, PF_INET, SOCK_DGRAM, 0) or die "socket: $!";
	bind($socket, pack_sockaddr_in($port, inet_aton($address))) or die "bind: $!";
	return $socket;
}

sub hand_on
{
	my ($route) = @_;

	defined recv($route->{in}, my $datagram, $most, 0) or return;
	for my $to (@{ $route->{to} })
	{
		defined send($route->{out}, $datagram, 0, $to) or die "send: $!";
	}
	$count++;
	return;
}
