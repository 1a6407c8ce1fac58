# The server dies in every way it can: what was saved is written once, and nothing
# twice.  What came after the last save, a few seconds before, may be missing.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use Lastfluss;
use PostgreSQL::Test::Utils;
use Test::More;

my $collector = Lastfluss->new('crash', attribution => 'spread',
	init => { allows_streaming => 1 }, conf => <<'CONF');
lastfluss.receivers = 2
restart_after_crash = on
CONF
my $node   = $collector->node;
my $period = Lastfluss::long_period();

# Several intervals are open, and none ends by itself.
$collector->configure(
	"SELECT lastfluss.set('period', '$period')",
	"SELECT lastfluss.set('window', '" . 2 * $period . "')",
	map { "SELECT lastfluss.add_interface('if$_', '127.0.0.$_', 1)" } 11 .. 14);

# They go to both receivers.
my @routers = map {
	$collector->exporter('ipfix', from => "127.0.0.$_",
		fields => [qw(bytes packets in out src_as dst_as src dst first last)])
} 11 .. 14;
my $bytes   = 0;	# that cannot be missing

# Flows that lasted over all open intervals.
sub send_some
{
	my ($as) = @_;
	my $now  = time;

	for my $router (@routers)
	{
		# What it told before may be among what was not saved.
		$router->{template_sent} = 0;
		$router->send({ in => 1, out => 9, src_as => $as, bytes => 1000003, packets => 7,
			first => 1000 * ($now - 2 * $period), last => 1000 * $now });
	}
	$collector->wait_received;
	return 1000003 * @routers;
}

# Sends, waits until that is saved, and sends some more.
sub send_saved_and_unsaved
{
	my ($unsaved_as) = @_;
	my $sent = send_some(64500);

	$collector->wait_saved($sent);
	$bytes += $sent;
	return send_some($unsaved_as);
}

sub collects_again
{
	my ($since) = @_;

	$collector->wait_for("SELECT state = 'collecting' AND since > '$since' FROM lastfluss.status");
	$collector->{sent} = 0;
	return;
}

# All that was saved is there once, and of the rest nothing is there twice.
sub all_is_there
{
	my ($unsaved_as, $unsaved, $what) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	$collector->wait_for("SELECT coalesce(sum(bytes), 0) >= $bytes FROM traffic WHERE remote_asn = 64500");
	is($collector->stored('remote_asn = 64500'), $bytes, "$what: what was saved is there, once");
	cmp_ok($collector->stored("remote_asn = $unsaved_as"), '<=', $unsaved,
		'and of what came last nothing twice');
	return;
}

#
# A process of the server's is killed, so that the postmaster starts all anew.
#
my @processes = ('lastfluss writer', 'lastfluss receiver 1', 'lastfluss keeper', 'checkpointer');
my $as        = 64600;

for my $title (@processes)
{
	my $unsaved = send_saved_and_unsaved(++$as);
	my $since   = $collector->sql('SELECT since FROM lastfluss.status');
	my $pid     = $collector->process($title);

	is($collector->sql('SELECT count(DISTINCT time) FROM lastfluss.live'), 3, 'three intervals are open');
	kill('KILL', $pid);
	collects_again($since);
	all_is_there($as, $unsaved, "kill -9 of the $title");
}

# The postmaster itself: its children find out, and go.
{
	my $unsaved  = send_saved_and_unsaved(++$as);
	my $since    = $collector->sql('SELECT since FROM lastfluss.status');
	my @children = $collector->children;

	$node->kill9;
	Lastfluss::wait_until(sub { !kill('ZERO', @children) }) or die 'children are left';
	$collector->start;
	collects_again($since);
	all_is_there($as, $unsaved, 'kill -9 of the postmaster');
}

{
	my $unsaved = send_saved_and_unsaved(++$as);
	my $since   = $collector->sql('SELECT since FROM lastfluss.status');

	# Two runs that began long ago: one was up until now, and may have left files.
	$collector->sql(q{INSERT INTO lastfluss._written (run, receiver, sequence, "time")
		VALUES (now() - interval '2 years', 0, 7, now()),
			(now() - interval '3 years', 0, 7, now() - interval '2 years')});
	$collector->stop('immediate');
	$collector->start;
	collects_again($since);
	all_is_there($as, $unsaved, 'immediate shutdown');
}

sub old_notes
{
	return $collector->sql(q{SELECT count(*) FROM lastfluss._written WHERE run < now() - interval '1 year'});
}

is(old_notes(), 2, 'no note is forgotten while there are files');
$collector->stop;
$collector->start;
$collector->wait_for('SELECT state FROM lastfluss.status', 'collecting');
$collector->becomes(q{SELECT count(*) FROM lastfluss._written WHERE run < now() - interval '30 months'},
	0, 'after a clean stop what was noted long ago is forgotten');
is(old_notes(), 1, 'but not what was noted just now, however long ago that run began');

#
# The server dies between the commit of an interval and its hand-over: a commit that
# waits for a synchronous standby has happened, but nobody knows it yet.
#
my $waits = q{SELECT count(*) FROM pg_stat_activity
	WHERE backend_type = 'lastfluss writer' AND wait_event = 'SyncRep'};

sub set_standby
{
	my ($name) = @_;

	$node->append_conf('postgresql.conf', "synchronous_standby_names = '$name'");
	$node->reload;
	return;
}

SKIP:
{
	skip 'on Citus the sessions that write shards would wait', 4 if $collector->on_citus;
	$collector->configure(q{SELECT lastfluss.set('window', '2')}, q{SELECT lastfluss.set('period', '1')});
	for my $how ('kill -9', 'immediate shutdown')
	{
		my $since = $collector->sql('SELECT since FROM lastfluss.status');

		set_standby('nobody');
		my $sent = send_some(64500);
		$bytes += $sent;
		$collector->wait_for($waits, 1);
		$collector->wait_saved($sent);
		is($collector->stored('remote_asn = 64500'), $bytes, 'a commit waits: its interval is in live');

		# The next start does not wait.
		$node->append_conf('postgresql.conf', "synchronous_standby_names = ''");
		if ($how eq 'kill -9')
		{
			kill('KILL', $collector->process('lastfluss writer'));
			$collector->wait_for("SELECT since > '$since' FROM lastfluss.status");
			$node->reload;
		}
		else
		{
			$collector->stop('immediate');
			$collector->start;
		}
		collects_again($since);
		$collector->wait_for('SELECT count(*) FROM lastfluss.live', 0);
		is($collector->sql('SELECT sum(bytes) FROM traffic WHERE remote_asn = 64500'), $bytes,
			"$how while it waits: written, and once");
	}
}
unlike(slurp_file($node->logfile), qr/PANIC|signal 6|signal 11/, 'no worker has crashed by itself');

$collector->stop;
done_testing();
