# A link between two network namespaces that carries traffic of changing rate, and
# what the kernel counts there.
#
#   Link::enter();                         # the test goes on in a namespace of its own
#   my $link = Link->new($directory, $unit);
#   $link->send_traffic($start, $stop);    # seconds since 1970
#   $link->wait_sent;
#   my $octets = $link->counted('in', $from, $to);
#
# The test needs no rights for that but those of its user, who is an administrator in
# a user namespace; nothing outside of it is seen, and all of it ends with the
# processes in it.  Each of them ends with the test, whatever becomes of that.

package Link;

use strict;
use warnings;

use FindBin;
use IPC::Run qw(start run timeout);
use Time::HiRes qw(sleep time);

our $interface    = 'lf0';
our $own_address  = '198.51.100.1';
our $peer_address = '198.51.100.2';
our $own_mac      = '02:00:00:00:00:01';
our $peer_mac     = '02:00:00:00:00:02';

# Octets of a frame before its IP packet: the kernel counts no checksum.
our $frame_octets = 14;

my @namespace = ('unshare', '--user', '--map-current-user', '--keep-caps', '--net');
my $scripts   = "$FindBin::RealBin/../truth";

# Of the samples.
my %columns = (in => 1, out => 2);

# Why there can be no link here, or not those programs, or undef.
sub missing
{
	my (@programs) = @_;
	my $output = '';

	for my $program (@programs, 'unshare', 'nsenter', 'setpriv', 'ip')
	{
		return "$program is not installed" unless defined program($program);
	}
	run([ @namespace, 'ip', 'link', 'add', $interface, 'type', 'veth' ],
		'<', \undef, '>', \$output, '2>&1', timeout(30))
	  and return;
	$output =~ s/\s+/ /g;
	return "cannot make a network namespace: $output";
}

# The path of a program, or undef.
sub program
{
	my ($name) = @_;

	return (grep { -x } map { "$_/$name" } split(/:/, $ENV{PATH}), '/usr/sbin', '/sbin', '/usr/local/sbin')[0];
}

sub entered
{
	return $ENV{LASTFLUSS_NAMESPACE};
}

# Starts the test again in its namespace.
sub enter
{
	$ENV{LASTFLUSS_NAMESPACE} = 1;
	exec(@namespace, $^X, (map { "-I$_" } @INC), $0, @ARGV) or die "unshare: $!";
}

# What makes a process end with the test.
sub bound_to_us
{
	return ('setpriv', '--pdeathsig', $_[0]);
}

sub new
{
	my ($class, $directory, $unit) = @_;
	my $self = bless { samples => "$directory/samples", unit => $unit }, $class;

	ip('link', 'set', 'lo', 'up');
	$self->{peer} = process(bound_to_us('KILL'), 'unshare', '--net', 'sh', '-c', 'echo $$ ready && exec cat');
	($self->{peer_pid}) = $self->{peer}{out} =~ /^(\d+) /;
	$self->make_link;
	$self->{ends} = [
		$self->sender($own_address, $peer_address, 2),
		$self->sender($peer_address, $own_address, 1, $self->in_peer) ];
	$self->{sampler} = start([ $^X, "$scripts/sample.pl", $interface, $self->{samples} ]);
	return $self;
}

# A process that says when it is ready.
sub process
{
	my $self = { in => '', out => '' };

	$self->{run} = start([@_], '<', \$self->{in}, '>', \$self->{out}, timeout(7200));
	wait_for_line($self, qr/\bready\n/);
	return $self;
}

sub wait_for_line
{
	my ($process, $wanted) = @_;

	$process->{run}->pump until $process->{out} =~ $wanted || !$process->{run}->pumpable;
	$process->{out} =~ $wanted or die "a process ended before its time";
	return;
}

sub in_peer
{
	my ($self) = @_;

	return ('nsenter', '--net', '--target', $self->{peer_pid});
}

sub ip
{
	my $output = '';

	run([ 'ip', @_ ], '<', \undef, '>', \$output, '2>&1', timeout(30)) or die "ip @_: $output";
	return;
}

# No IPv6 and no ARP, so that there is nothing but our traffic.
sub make_link
{
	my ($self) = @_;
	my $peer = 'lf1';

	ip('link', 'add', $interface, 'address', $own_mac, 'type', 'veth',
		'peer', 'name', $peer, 'address', $peer_mac, 'netns', $self->{peer_pid});
	set_up($interface, "$own_address/24", $peer_address, $peer_mac);
	set_up($peer, "$peer_address/24", $own_address, $own_mac, $self->in_peer);
	return;
}

sub set_up
{
	my ($name, $address, $neighbour, $mac, @where) = @_;
	my $output = '';
	my $script = join("\n", 'set -e',
		"ip link set $name addrgenmode none || :", # fails without IPv6
		"ip address add $address dev $name",
		"ip link set $name up",
		"ip neighbour replace $neighbour lladdr $mac dev $name nud permanent");

	run([ @where, 'sh', '-c', $script ], '<', \undef, '>', \$output, '2>&1', timeout(30))
	  or die "$name: $output";
	return;
}

sub sender
{
	my ($self, $own, $peer, $seed, @where) = @_;

	return process(@where, $^X, "$scripts/send.pl", $own, $peer, $seed, $self->{unit});
}

sub send_traffic
{
	my ($self, $start, $stop) = @_;

	for my $end (@{ $self->{ends} })
	{
		$end->{in} = "$start $stop\n";
		while (length $end->{in})
		{
			$end->{run}->pump_nb; # pump would wait for an answer
			sleep(0.01);
		}
	}
	return;
}

sub wait_sent
{
	my ($self) = @_;

	$_->{run}->finish or die "a sender failed" for @{ $self->{ends} };
	sleep(0.5);
	return;
}

# Ends what samples; the traffic is over.
sub end
{
	my ($self) = @_;

	$self->{sampler}->kill_kill(grace => 5);
	$self->{peer}{run}->kill_kill(grace => 5);
	return;
}

# Octets that the kernel has counted between two moments, in (to us) or out.
sub counted
{
	my ($self, $direction, $from, $to) = @_;
	my $column = $columns{$direction};

	return $self->value_at($to, $column) - $self->value_at($from, $column);
}

sub total
{
	my ($self, $direction) = @_;

	return $self->samples->[-1][ $columns{$direction} ];
}

sub read_file
{
	my ($file) = @_;

	open(my $handle, '<', $file) or die "$file: $!";
	local $/;
	return <$handle>;
}

sub samples
{
	my ($self) = @_;

	return $self->{parsed} //= [ map { [split] } split /\n/, read_file($self->{samples}) ];
}

# The samples before and after a moment.
sub samples_around
{
	my ($self, $time) = @_;
	my $samples = $self->samples;
	my ($low, $high) = (0, $#$samples);

	while ($high - $low > 1)
	{
		my $middle = int(($low + $high) / 2);

		if ($samples->[$middle][0] <= $time) { $low = $middle; }
		else { $high = $middle; }
	}
	return @$samples[ $low, $high ];
}

# A counter at a moment, interpolated.
sub value_at
{
	my ($self, $time, $column) = @_;
	my ($before, $after) = $self->samples_around($time);
	my $share = ($time - $before->[0]) / ($after->[0] - $before->[0]);

	$share = $share < 0 ? 0 : $share > 1 ? 1 : $share;
	return $before->[$column] + $share * ($after->[$column] - $before->[$column]);
}

# Seconds between the samples around a moment.
sub sampling_gap
{
	my ($self, $time) = @_;
	my ($before, $after) = $self->samples_around($time);

	return $after->[0] - $before->[0];
}

# Packets that the kernel dropped at our end, uncounted; an exporter has seen those.
sub dropped
{
	my ($self) = @_;

	return $self->samples->[-1][3];
}

1;
