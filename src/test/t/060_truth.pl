# The truth: real exporters watch an interface that carries traffic of changing rate,
# and what two collectors have of it, interval by interval, is compared with the
# kernel's counters of that interface.  The collectors get the same datagrams; one
# spreads flows over their life, the other counts them when they arrive.
#
# Of LASTFLUSS_TRUTH_SECONDS, where set, that many seconds are measured, with intervals
# and an active timeout of a minute ("make truth"); otherwise half a minute, with
# intervals and timeouts of seconds.
#
# The kernel counts frames and exporters count IP packets, so the octets before each
# IP packet are added to the flows.  Traffic begins before the first interval that is
# measured and goes on after the last, for an active timeout each, so that all of
# them are like any other on a link that is always in use.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use Link;
use Test::More;

# Before the modules of PostgreSQL are there, which take the standard output over.
BEGIN
{
	if (!Link::entered())
	{
		my $missing = Link::missing('softflowd', 'pmacctd');

		plan skip_all => $missing if defined $missing;
		Link::enter();
	}
}

use IO::Socket::UNIX;
use IPC::Run qw(start timeout);
use Lastfluss;
use List::Util qw(max sum0);
use PostgreSQL::Test::Utils;
use Time::HiRes qw(sleep time);

my $long = $ENV{LASTFLUSS_TRUTH_SECONDS};

# Seconds.  A flow ends when it has had no packet for "inactive".
my $period   = $long ? 60 : 5;
my $active   = $long ? 60 : 5;
my $inactive = $long ? 15 : 2;
my $window   = $long ? 90 : 20;
my $measured = $long // 30;

# Shares of an interval's octets: the target, or what tells spreading from its absence
# on a busy machine, where half a second is a tenth of an interval.
my %limit = $long ? (median => 0.01, largest => 0.05) : (median => 0.05);

my $intervals = int($measured / $period) || 1;

# AS numbers of both ends: softflowd has no direction, and the prefixes tell it.
my %as = (own => 64501, peer => 64502);

my @exporters = (
	{ name => 'softflowd', host => '127.0.0.21', id => 1, run => \&run_softflowd, end => \&end_softflowd },
	{ name => 'nfprobe',   host => '127.0.0.22', id => 2, run => \&run_pmacctd,   end => \&end_pmacctd });

my @attributions = ('spread', 'arrival');
my @directions   = ('in', 'out');

my $largest_frame = $Link::frame_octets + 1500;

my $directory = PostgreSQL::Test::Utils::tempdir;
my $link      = Link->new($directory, $period);
my %collector = map { $_ => collector($_) } @attributions;
my $relay     = relay();

$_->{process} = $_->{run}->($_) for @exporters;

my $start = time + 1;
my $first = $period * (1 + int(($start + $active + 2) / $period));
my $end   = $first + $intervals * $period;
note(sprintf('%d intervals of %d s, from %s; until then and after it, traffic for %d s',
	$intervals, $period, scalar(gmtime($first)), $active));
$link->send_traffic($start, $end + $active + 2);
$link->wait_sent;

# What they have captured they look at within a second or two.
sleep(2);
for my $exporter (@exporters)
{
	$exporter->{end}->($exporter);
	note(grep { /^(ERROR|WARN)/ } split /^/, $exporter->{output});
	note("$exporter->{name}: $exporter->{captured} packets, of which $exporter->{missed} were missed");
}
$link->end;
note(sprintf('the counters were read within %.0f ms of the end of an interval',
	1000 * max(map { $link->sampling_gap($_) } starts(), $end)));

my $datagrams = end_relay();
for my $name (sort keys %collector)
{
	$collector{$name}->becomes('SELECT datagrams FROM lastfluss.status', $datagrams,
		"$name: all datagrams have arrived");
	is( $collector{$name}->sql(
			'SELECT lost, kernel_drops, unmatched, late_bytes, future_bytes FROM lastfluss.status'),
		'0|0|0|0|0', "$name: nothing is lost, late or early");
}

check_totals($_) for @exporters;
check_intervals($_) for @exporters;

$_->stop for values %collector;
done_testing();

#
# Collectors.
#

sub collector
{
	my ($attribution) = @_;
	my $collector = Lastfluss->new($attribution, conf => 'lastfluss.buffers = 16');

	$collector->configure(
		"SELECT lastfluss.set('period', '$period')",
		"SELECT lastfluss.set('window', '$window')",
		"SELECT lastfluss.set('attribution', '$attribution')",
		"SELECT lastfluss.import_prefixes('$Link::own_address/32 $as{own}')",
		"SELECT lastfluss.import_prefixes('$Link::peer_address/32 $as{peer}')",
		map { "SELECT lastfluss.add_interface('$_->{name}', '$_->{host}', $_->{id})" } @exporters);
	return $collector;
}

# Both collectors get all that the exporters send, each from an address of its own.
sub relay
{
	my $ports = join(',', map { $_->port } values %collector);

	$_->{port} = Lastfluss::udp_port() for @exporters;
	return Link::process($^X, "$FindBin::RealBin/../truth/relay.pl",
		map { ($_->{port}, $_->{host}, $ports) } @exporters);
}

# Returns how many datagrams there were.
sub end_relay
{
	$relay->{run}->finish or die 'the relay failed';
	$relay->{out} =~ /^(\d+)$/m or die 'the relay does not say how many datagrams it had';
	return $1;
}

#
# Exporters.  They look for flows to export every second.
#

sub run_exporter
{
	my ($exporter, $signal, @command) = @_;

	$exporter->{output} = '';
	return start([ Link::bound_to_us($signal), @command ],
		'<', \undef, '>', \$exporter->{output}, '2>&1', timeout(7200));
}

sub run_softflowd
{
	my ($exporter) = @_;

	$exporter->{control} = "$directory/softflowd.ctl";
	my $run = run_exporter($exporter, 'KILL', Link::program('softflowd'), '-d',
		'-i' => "$exporter->{id}:$Link::interface",
		'-v' => 9,
		'-n' => "127.0.0.1:$exporter->{port}",
		'-p' => 'none',
		'-c' => $exporter->{control},
		'-B' => 16 << 20,
		map { ('-t' => $_) } "maxlife=$active", "udp=$inactive", "general=$inactive", 'expint=1');
	wait_ready($exporter, $run, qr/starting data collection/);
	return $run;
}

sub run_pmacctd
{
	my ($exporter) = @_;
	my $file = "$directory/pmacctd.conf";
	my $map  = "$directory/directions";

	append_to_file($map, "set_tag=1 filter='ether dst $Link::own_mac'\nset_tag=2 filter='ether src $Link::own_mac'\n");
	append_to_file($file, <<"CONF");
daemonize: false
pmacctd_nonroot: true
pcap_interface: $Link::interface
pre_tag_map: $map
plugins: nfprobe[probe]
plugin_buffer_size: 10240
plugin_pipe_size: 8000000
nfprobe_receiver: 127.0.0.1:$exporter->{port}
nfprobe_version: 9
nfprobe_direction[probe]: tag
nfprobe_ifindex[probe]: $exporter->{id}
nfprobe_timeouts: maxlife=$active:udp=$inactive:general=$inactive:expint=1
aggregate[probe]: src_host, dst_host, src_port, dst_port, proto, in_iface, out_iface, tag
CONF

	# Times by the clock go with an export time in whole seconds: nothing in a minute,
	# but too coarse for intervals of seconds.  This has it send sysUptime.
	append_to_file($file, "timestamps_secs: true\n") if !$long;

	my $run = run_exporter($exporter, 'INT', Link::program('pmacctd'), '-f' => $file);
	wait_ready($exporter, $run, qr/Exporting flows to/);
	return $run;
}

# Waits until it says so and watches the link.
sub wait_ready
{
	my ($exporter, $run, $words) = @_;

	Lastfluss::wait_until(sub {
		$run->pump_nb;
		return $exporter->{output} =~ $words;
	}) or die "$exporter->{name} does not start:\n$exporter->{output}";
	return;
}

# Both export all that they have when they are told to end like that.  softflowd leaves
# what it has not got from the kernel by then: less than a block of its ring.

sub end_softflowd
{
	my ($exporter) = @_;

	my $statistics = softflowd_says($exporter, 'statistics');

	softflowd_says($exporter, 'shutdown');
	$exporter->{process}->finish;
	$exporter->{captured} = said($statistics, qr/^Packets received by libpcap: (\d+)/m);
	$exporter->{missed} = $exporter->{captured} - said($statistics, qr/^Packets processed: (\d+)/m);
	return;
}

sub said
{
	my ($text, $what) = @_;

	return $text =~ $what ? $1 : die "an exporter does not say $what:\n$text";
}

sub softflowd_says
{
	my ($exporter, $command) = @_;
	my $socket = IO::Socket::UNIX->new(Peer => $exporter->{control})
	  or die "softflowd does not listen: $!\n$exporter->{output}";

	print $socket "$command\n";
	$socket->flush;
	return join('', <$socket>);
}

sub end_pmacctd
{
	my ($exporter) = @_;

	$exporter->{process}->signal('INT');
	$exporter->{process}->finish;
	$exporter->{captured} = said($exporter->{output}, qr/received_packets=(\d+)/);
	$exporter->{missed} = said($exporter->{output}, qr/dropped_packets=(\d+)/);
	return;
}

#
# What has to come of it.
#

# Octets in frames by interval and direction, as that collector has them.
sub flows
{
	my ($attribution, $exporter) = @_;
	my %flows;

	for my $row (split /\n/, $collector{$attribution}->sql(
			"SELECT extract(epoch FROM time)::bigint,
			        CASE WHEN ingress THEN 'in' ELSE 'out' END,
			        sum(bytes + $Link::frame_octets * packets)
			 FROM (SELECT * FROM traffic UNION ALL SELECT * FROM lastfluss.live) t
			 WHERE iface = '$exporter->{name}' AND remote_asn = $as{peer}
			 GROUP BY 1, 2"))
	{
		my ($time, $direction, $octets) = split /\|/, $row;

		$flows{$direction}{$time} = $octets;
	}
	return \%flows;
}

# Takes from each collector what it has of an exporter: every octet that the kernel has
# counted, less packets that the exporter says it has missed.  An interval that moves
# from live to traffic can be missed meanwhile, so this waits.
sub check_totals
{
	my ($exporter) = @_;
	my $counted = sum0(map { $link->total($_) } @directions);
	my $least   = $counted - $exporter->{missed} * $largest_frame;
	my $most    = $counted + $link->dropped * $largest_frame;
	my %total;

	for my $attribution (@attributions)
	{
		Lastfluss::wait_until(sub {
			my $flows = $exporter->{$attribution} = flows($attribution, $exporter);

			$total{$attribution} = sum0(map { values %{ $flows->{$_} } } @directions);
			return $total{$attribution} >= $least;
		});
		cmp_ok($total{$attribution}, '>=', $least, "$exporter->{name}, $attribution: every octet is there");
		cmp_ok($total{$attribution}, '<=', $most, "$exporter->{name}, $attribution: and not one more");
	}
	is($total{spread}, $total{arrival}, "$exporter->{name}: the same by either attribution");
	return;
}

# The differences between flows and counters, as shares of the latter, by interval and
# direction; negative where flows are missing.
sub errors
{
	my ($attribution, $exporter) = @_;

	return map {
		my $time = $_;

		map {
			my $counted = $link->counted($_, $time, $time + $period);

			(($exporter->{$attribution}{$_}{$time} // 0) - $counted) / $counted;
		} @directions;
	} starts();
}

sub starts
{
	return map { $first + $_ * $period } 0 .. $intervals - 1;
}

sub median
{
	my @sorted = sort { $a <=> $b } @_;

	return ($sorted[ $#sorted / 2 ] + $sorted[ @sorted / 2 ]) / 2;
}

sub percent
{
	return sprintf('%+.2f %%', 100 * $_[0]);
}

# A table of the intervals, with octets of the counter and differences from it.
sub show_intervals
{
	my ($exporter, $errors) = @_;
	my $number = 0;

	note(sprintf('%-10s %-8s %3s %12s', $exporter->{name}, 'UTC', '', 'counter'),
		map { sprintf(' %11s', $_) } @attributions);
	for my $time (starts())
	{
		for my $direction (@directions)
		{
			my $row = $number++;

			note(sprintf('%-10s %02d:%02d:%02d %3s %12d', '', (gmtime($time))[ 2, 1, 0 ], $direction,
					$link->counted($direction, $time, $time + $period)),
				map { sprintf(' %11s', percent($errors->{$_}[$row])) } @attributions);
		}
	}
	return;
}

sub check_intervals
{
	my ($exporter) = @_;
	my $name   = $exporter->{name};
	my %errors = map { $_ => [ errors($_, $exporter) ] } @attributions;
	my %median = map { $_ => median(map { abs } @{ $errors{$_} }) } @attributions;
	my %largest = map { $_ => max(map { abs } @{ $errors{$_} }) } @attributions;

	show_intervals($exporter, \%errors);
	note(sprintf('%-10s %-8s median %6.2f %%, largest %6.2f %%',
		$name, $_, 100 * $median{$_}, 100 * $largest{$_})) for @attributions;

	cmp_ok($median{spread}, '<=', $limit{median}, "$name: median error of spread");
	cmp_ok($largest{spread}, '<=', $limit{largest}, "$name: largest error of spread")
	  if defined $limit{largest};
	cmp_ok($median{spread}, '<', $median{arrival}, "$name: spread is nearer to the truth than arrival");
	return;
}
