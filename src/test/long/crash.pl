# The server dies again and again under load, each time by a process chosen at random
# at a moment chosen at random.  LASTFLUSS_ROUNDS says how often; LASTFLUSS_SEED
# repeats the choices.
#
# Exporters send all the time, and change the AS numbers four times a second: so for
# each quarter of a second it is known what was sent, and what of it is stored.  None
# of them may have more than was sent.  Less is allowed only to those that were sent
# in the five seconds before a crash, or before the sockets were bound again.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use Lastfluss;
use List::Util qw(min sum0);
use POSIX ();
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $rounds = $ENV{LASTFLUSS_ROUNDS} || 10;
my $seed   = $ENV{LASTFLUSS_SEED}   || int(time) ^ $$;

# Seconds.
my $step     = 0.25;	# for which AS numbers stay the same
my $promised = 5;
my $longest  = 6;		# flow

my $per_datagram = 20;
my $rate         = 2000;	# records a second

srand($seed);
note("seed $seed");

my $collector = Lastfluss->new('crash', attribution => 'spread', conf => <<'CONF');
lastfluss.receivers = 2
lastfluss.max_entries = 16384
restart_after_crash = on
fsync = on
log_statement = none
CONF
my $node  = $collector->node;
my @hosts = map { "127.0.0.$_" } 11 .. 14;

$collector->configure(
	q{SELECT lastfluss.set('window', '4')},
	q{SELECT lastfluss.set('period', '2')},
	map { ("SELECT lastfluss.add_interface('$_ a', '$_', 1)",
		   "SELECT lastfluss.add_interface('$_ b', '$_', 2)") } @hosts);

#
# The exporters: a process of its own, which writes down what it sends.
#

my $log = $node->basedir . '/sent.tsv';

# Sends one datagram, and returns its bytes and records by interface's name.
sub send_datagram
{
	my ($router, $host, $as) = @_;
	my $now = time;
	my (@records, %bytes);

	for (1 .. $per_datagram)
	{
		my $in   = 1 + int(rand(2));
		my $last = $now - rand(2);
		my $size = 1 + int(rand(1000000));

		push @records, { in => $in, out => 3 - $in, src_as => $as, dst_as => $as,
			bytes => $size, packets => 1,
			first => int(1000 * ($last - rand($longest))), last => int(1000 * $last) };
		# enters here, and leaves there
		$bytes{"$host " . ($in == 1 ? 'a' : 'b') . "\tt\t$as"} += $size;
		$bytes{"$host " . ($in == 1 ? 'b' : 'a') . "\tf\t$as"} += $size;
	}
	$router->{template_sent} = 0;	# what is known of it may be lost
	$router->send(@records);
	return \%bytes;
}

sub send_for_ever
{
	my ($begin) = @_;
	my $stop    = 0;
	my $sent    = 0;
	my %total;
	my @routers = map {
		$collector->exporter('ipfix', from => $_,
			fields => [qw(bytes packets in out src_as dst_as src dst first last)])
	} @hosts;

	local $SIG{TERM} = sub { $stop = 1 };
	until ($stop)
	{
		my $due = (time - $begin) * $rate / $per_datagram;

		while ($sent < $due)
		{
			my $number = $sent++ % @routers;
			my $bytes  = send_datagram($routers[$number], $hosts[$number],
				100000 + int((time - $begin) / $step));

			$total{$_} += $bytes->{$_} for keys %$bytes;
		}
		sleep(0.01);
	}
	open(my $file, '>', $log) or die "$log: $!";
	print $file map { "$_\t$total{$_}\n" } sort keys %total;
	close($file) or die "$log: $!";
	return;
}

# Leaves without what the test's modules do at the end.
sub start_exporters
{
	my ($begin) = @_;
	my $pid = fork() // die "fork: $!";

	return $pid if $pid;
	eval { send_for_ever($begin); 1 } or warn $@;
	POSIX::_exit($@ ? 1 : 0);
}

#
# The rounds.
#

# What a process is called, without its parameters.
sub title
{
	my ($pid) = @_;
	my $words = eval { slurp_file("/proc/$pid/cmdline") } // '';

	$words =~ s/\0.*|\s+$//g;
	$words =~ s/^postgres: (crash: )?//;
	return $words;
}

sub choose { return $_[int(rand(@_))]; }

# Does it, and notes when, and what it was.
sub crash
{
	my ($crash, $begin) = @_;
	my $way      = choose(qw(child child child child worker worker worker postmaster postmaster immediate));
	my @children = $collector->children;

	my @workers  = grep { title($_) =~ /^lastfluss/ } @children;
	my $pid      = choose($way eq 'worker' ? @workers : @children);

	$crash->{what} = $way eq 'immediate' ? 'immediate shutdown'
	  : 'kill -9 ' . ($way eq 'postmaster' ? $way : title($pid));
	$crash->{at} = time - $begin;
	if ($way eq 'immediate')
	{
		$collector->stop('immediate');
		$collector->start;
	}
	elsif ($way eq 'postmaster')
	{
		$node->kill9;
		Lastfluss::wait_until(sub { !kill('ZERO', @children) }) or die 'children are left';
		$collector->start;
	}
	else
	{
		kill('KILL', $pid);
	}
	return;
}

# It collects again: all sockets are bound, by a run that began later.
sub wait_collecting
{
	my ($since) = @_;

	$collector->wait_for("SELECT state = 'collecting' AND since > '$since' FROM lastfluss.status");
	Lastfluss::wait_until(sub { Lastfluss::sockets($collector->port) == $collector->{receivers} })
	  or die 'the sockets are not bound';
	return;
}

my $begin     = time;
my $exporters = start_exporters($begin);
my @crashes;

for my $round (1 .. $rounds)
{
	my $since = $collector->sql('SELECT since FROM lastfluss.status');
	my %crash = (round => $round);

	sleep(4 + rand(8));
	crash(\%crash, $begin);
	wait_collecting($since);
	$crash{until} = time - $begin;
	push @crashes, \%crash;
}
# What comes behind the last one is complete again.
sleep(4);
kill('TERM', $exporters);
waitpid($exporters, 0);
is($?, 0, 'the exporters have sent');
$collector->wait_for('SELECT count(*) FROM lastfluss.live', 0);

#
# What was sent, and what is stored.
#

my %sent   = map { /^(.*)\t(\d+)$/ } split /\n/, slurp_file($log);
my %stored = map { /^(.*)\t(\d+)$/ } split /\n/, $collector->sql(
	q{SELECT concat_ws(E'\t', iface, CASE WHEN ingress THEN 't' ELSE 'f' END, remote_asn, sum(bytes))
	  FROM traffic GROUP BY iface, ingress, remote_asn});

sub begins_at { return ($step * (($_[0] =~ /(\d+)$/)[0] - 100000)); }

# The crash that may have cost something of what was sent then.
sub crash_of
{
	my ($time) = @_;

	return (grep { $time + $step > $_->{at} - $promised && $time < $_->{until} } @crashes)[0];
}

my @more = grep { $stored{$_} > ($sent{$_} // 0) } sort keys %stored;
my @less = grep { ($stored{$_} // 0) < $sent{$_} } sort keys %sent;
my @lost = grep { !crash_of(begins_at($_)) } @less;

for my $key (@less)
{
	my $crash = crash_of(begins_at($key)) // next;

	$crash->{missing} += $sent{$key} - ($stored{$key} // 0);
	$crash->{oldest} = min($crash->{oldest} // 1e9, begins_at($key));
}

note(sprintf('%5s  %-36s %8s %8s %12s %16s', 'round', 'crash', 'at', 'down', 'MB missing', 's before crash'));
for my $crash (@crashes)
{
	my $before = defined $crash->{oldest} ? $crash->{at} - $crash->{oldest} : 0;

	note(sprintf('%5d  %-36s %8.1f %8.1f %12.1f %16.1f', @$crash{qw(round what at)},
		$crash->{until} - $crash->{at}, ($crash->{missing} // 0) / 1e6, $before > 0 ? $before : 0));
}
note(sprintf('sent %.1f MB, stored %.1f MB', sum0(values %sent) / 1e6, sum0(values %stored) / 1e6));
note("more than was sent: $_, " . ($sent{$_} // 0) . " sent, $stored{$_} stored") for @more;
note(sprintf('missing: %s, sent after %.2f s', $_, begins_at($_))) for @lost;

is(scalar(@more), 0, 'nothing is there twice');
is(scalar(@lost), 0, "nothing is missing but what came in the $promised s before a crash, or until it was over");
cmp_ok(scalar(keys %stored), '>', 4 * @hosts * $rounds, 'there is much to look at');
is($collector->sql('SELECT kernel_drops, stretched FROM lastfluss.status'), '0|0', 'no datagram was dropped');
unlike(slurp_file($node->logfile), qr/PANIC|signal 6|signal 11/, 'no worker has crashed by itself');

$collector->stop;
done_testing();
