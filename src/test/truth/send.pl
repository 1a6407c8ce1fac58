#!/usr/bin/perl
#
# send.pl OWN_ADDRESS PEER_ADDRESS SEED UNIT: traffic from one end of a link to the
# other, of a rate that changes.  Says "ready" when it can receive; then a line "START
# STOP" (seconds since 1970) on standard input has it send from the one to the other.
#
# UNIT, in seconds, is the length by which all of it is measured, so that a period of
# seconds sees the same shapes as one of a minute:
#
#   a constant stream, one flow from beginning to end
#   a tide, one flow whose rate rises and falls within five units
#   bursts, each a flow, of a twentieth to three quarters of a unit
#   short flows, many of them, of one to thirty packets
#
# A record tells how much came between its first packet and its last, and not when: so
# the link's rate jumps, by flows that begin and end, and no single flow's does.
#
# It is paced by the clock: what a machine could not send in time stays unsent.

use strict;
use warnings;

use Socket qw(:all);
use Time::HiRes qw(time sleep);

my ($own, $peer, $seed, $unit) = @ARGV;

my $sink_port = 5001;
my $tick      = 0.01;

# Seconds, and packets: what may be sent at once.
my $most_at_once = 0.25;
my $most_packets = 150;

my $pi     = 3.14159265358979;
my $parent = getppid();
my (@streams, @short_flows);
my $next_burst;

srand($seed);

# Nobody reads what arrives there; without it, the kernel would answer.
my $sink = udp_socket($own, $sink_port);

$| = 1;
print "ready\n";
my ($start, $stop) = split ' ', <STDIN> // exit;

sleep(0.02) while time < $start && parent_lives();

my $last = $start;
@streams = (
	stream(1400, sub { 2.0e6 }),
	stream(700, sub { 1.5e6 * (1 + 0.8 * sin(2 * $pi * ($_[0] - $start) / (5 * $unit) + $seed)) }));
$next_burst = $start + rand(0.5 * $unit);
my $short_owed = 0;

while ((my $now = time) < $stop)
{
	my $passed = $now - $last;

	last unless parent_lives();
	$passed = $most_at_once if $passed > $most_at_once;
	$last = $now;
	begin_burst($now) if $now >= $next_burst;
	@streams = grep { $now < $_->{until} } @streams;
	run_stream($_, $now, $passed) for @streams;
	run_short_flows($passed);
	sleep($tick);
}

sub parent_lives
{
	return getppid() == $parent;
}

sub udp_socket
{
	my ($address, $port) = @_;

	socket(my $socket, PF_INET, SOCK_DGRAM, 0) or die "socket: $!";
	bind($socket, pack_sockaddr_in($port, inet_aton($address))) or die "bind: $!";
	return $socket;
}

# A flow: a socket of its own, so a port of its own.
sub flow
{
	my $socket = udp_socket($own, 0);

	connect($socket, pack_sockaddr_in($sink_port, inet_aton($peer))) or die "connect: $!";
	return $socket;
}

# A flow of packets of that size, at a rate that a function of the time gives.
sub stream
{
	my ($size, $rate, $until) = @_;

	return {
		flow  => flow(),
		size  => $size,
		rate  => $rate,
		until => $until // $stop,
		owed  => 0 };
}

sub begin_burst
{
	my ($now) = @_;
	my $length = (0.05 + rand(0.7)) * $unit;
	my $rate   = 3e6 + rand(9e6);

	push @streams, stream(1472, sub { $rate }, $now + $length);
	$next_burst = $now + (0.3 + rand(1.5)) * $unit;
	return;
}

sub run_stream
{
	my ($stream, $now, $passed) = @_;
	my $size = $stream->{size};

	$stream->{owed} += $stream->{rate}->($now) / 8 * $passed;
	for (1 .. $most_packets)
	{
		last if $stream->{owed} < $size;
		send($stream->{flow}, 'x' x $size, 0);
		$stream->{owed} -= $size;
	}
	return;
}

# Each of them sends a packet every now and then until it has sent all.
sub run_short_flows
{
	my ($passed) = @_;

	$short_owed += 30 * $passed;
	while ($short_owed >= 1)
	{
		push @short_flows, { flow => flow(), packets => 1 + int(rand(30)) };
		$short_owed--;
	}
	for my $short (@short_flows)
	{
		next if rand() > 0.2;
		send($short->{flow}, 'x' x (20 + int(rand(1400))), 0);
		$short->{packets}--;
	}
	@short_flows = grep { $_->{packets} > 0 } @short_flows;
	return;
}
