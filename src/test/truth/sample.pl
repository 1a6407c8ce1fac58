#!/usr/bin/perl
#
# sample.pl INTERFACE FILE: appends a line "time rx_bytes tx_bytes tx_dropped"
# to the file, fifty times a second, from the kernel's counters
# of the interface.  They are read from /proc, which shows the namespace of the reader;
# /sys shows that of whoever mounted it.  Ends with its parent.

use strict;
use warnings;

use Time::HiRes qw(time sleep);

my ($interface, $file) = @ARGV;
my $parent = getppid();

open(my $counters, '<', '/proc/net/dev') or die "/proc/net/dev: $!";
open(my $samples, '>', $file) or die "$file: $!";
$samples->autoflush(1);

while (getppid() == $parent)
{
	my $before = time;
	my @values = read_counters();

	# Fields by proc(5): bytes, packets, errs, drop, fifo, frame, compressed and
	# multicast of what was received, and then of what was sent.
	printf $samples "%.6f %s\n", ($before + time) / 2, join(' ', @values[ 0, 8, 11 ]);
	sleep(0.02);
}

sub read_counters
{
	seek($counters, 0, 0);
	while (my $line = <$counters>)
	{
		return split ' ', $1 if $line =~ /^\s*\Q$interface\E:\s*(.*)/;
	}
	die "no interface $interface";
}
