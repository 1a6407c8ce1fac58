# The server stops and starts in the middle of an interval, and a standby takes over.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use Lastfluss;
use PostgreSQL::Test::Cluster;
use Test::More;

my $collector = Lastfluss->new('primary', init => { allows_streaming => 1 });
my $period    = Lastfluss::long_period();
my $node      = $collector->node;
my $port      = $collector->port;
my $router    = $collector->exporter('v5', from => '127.0.0.11');
my $flows     = 0;

sub send_some
{
	for (1 .. 10)
	{
		$router->send({ in => 1, out => 9, src_as => 64501, bytes => 1000, packets => 1 });
		$flows++;
	}
	$collector->wait_received;
	return;
}

sub start_again
{
	$collector->start;
	$collector->becomes('SELECT state FROM lastfluss.status', 'collecting', 'it goes on collecting');
	return;
}

sub all_is_written
{
	my ($what) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	return is($collector->sql('SELECT sum(flows), sum(bytes) FROM traffic'),
		"$flows|${flows}000", $what);
}

$collector->configure(
	"SELECT lastfluss.set('period', '$period')",
	q{SELECT lastfluss.add_interface('A', '127.0.0.11', 1)});

# An orderly stop writes the interval that is open.
for my $mode ($collector->stop_modes)
{
	send_some();
	$collector->stop($mode);
	is(Lastfluss::sockets($port), 0, "stopped ($mode)");
	start_again();
	all_is_written('the open interval was written');
	is($collector->sql('SELECT count(*) FROM lastfluss.live'), 0, 'and is not in live any more');
}
is( $collector->sql("SELECT bool_and(extract(epoch FROM time)::bigint % $period = 0) FROM traffic"),
	't', 'the intervals start where they should');

# Finished and open intervals, while datagrams come.
$collector->configure(q{SELECT lastfluss.set('period', '1')});
for (1 .. 3)
{
	my $before = $collector->sql('SELECT intervals FROM lastfluss.status');

	Lastfluss::wait_until(sub {
		send_some();
		$collector->sql("SELECT intervals > $before FROM lastfluss.status") eq 't' });
	send_some();
	$collector->stop('fast');
	start_again();
	all_is_written('nothing is lost or doubled');
}
is($collector->sql('SELECT count(DISTINCT run) = count(*), count(*) FROM lastfluss._written'),
	't|6', 'each run of the server has its own notes');

# A standby is silent.
$node->backup('for_standby');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'for_standby', has_streaming => 1);
$standby->start;
send_some();
$collector->wait_written;
$node->wait_for_catchup('standby', 'replay', $node->lsn('write'));
is(Lastfluss::sockets($port), 1, 'the standby does not listen');
is( $standby->safe_psql('postgres',
		q{SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'lastfluss%'}),
	0, 'nor does it run workers');
is($standby->safe_psql('postgres', 'SELECT sum(flows) FROM traffic'), $flows,
	'what the primary writes can be read there');
is($standby->safe_psql('postgres', 'SELECT datagrams, receivers FROM lastfluss.status'), '0|0',
	'and so can its own status');
is($standby->safe_psql('postgres', 'SELECT count(*) FROM lastfluss.live'), 0, 'and live');

# It collects when it is promoted.
$collector->stop('fast');
$standby->promote;
$collector->{node} = $standby;
$collector->{sent} = 0;
$collector->becomes('SELECT state FROM lastfluss.status', 'collecting', 'promoted, it collects');
send_some();
$collector->wait_written;
all_is_written('and writes');

$collector->stop;
done_testing();
