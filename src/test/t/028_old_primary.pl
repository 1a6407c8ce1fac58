# The old primary comes back as a standby of the one that took over: it falls silent, and
# the other collects within seconds, with configuration, templates and samplers; then the
# two change places again.  Nothing is counted twice, or lost but for what nobody was
# there to receive; a hub has it all, too, when it subscribes to the one that took over.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use Lastfluss;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

plan skip_all => 'on Citus the others have to be told where a promoted node is' if Lastfluss::tests_on_citus();

my $collector = Lastfluss->new('first', init => { allows_streaming => 'logical' },
	conf => "wal_log_hints = on\nwal_keep_size = '256MB'\nhot_standby_feedback = on\n");
my $first  = $collector->node;
my $router = $collector->exporter('v9', from => '127.0.0.11', fields => [qw(bytes packets in out sampler src_as)]);

$collector->configure(
	q{SELECT lastfluss.set('period', '1')},
	q{SELECT lastfluss.add_interface('A', '127.0.0.11', 1)});

sub send_one
{
	my ($as) = @_;

	$router->send({ in => 1, out => 9, src_as => $as, bytes => 1000, packets => 1, sampler => 2 });
	return;
}

# A sampler, 1 in 100, from options data, and the templates: once for all.
$router->send_octets($router->message(
	Lastfluss::Exporter::set(1, pack('nnn', 301, 4, 12) . pack('nn', 1, 4) . pack('nnnnnn', 48, 1, 49, 1, 50, 4)),
	Lastfluss::Exporter::set(301, pack('NCCN', 0, 2, 2, 100))));
send_one(64501);
$collector->wait_written;
is($collector->sql('SELECT sum(bytes) FROM traffic'), 100000, 'the first counts, with the sampler that it was told of');

#
# A standby hears nothing.  It has templates and samplers from the base backup, when they
# were saved.
#
$collector->stop;
$collector->start;
$collector->wait_for('SELECT state FROM lastfluss.status', 'collecting');
my $second = PostgreSQL::Test::Cluster->new('second');

$first->backup('for_second');
$second->init_from_backup($first, 'for_second', has_streaming => 1);
$second->start;
$first->wait_for_catchup($second);
is($second->safe_psql('postgres', q{SELECT pg_is_in_recovery() AND (SELECT state <> 'collecting' AND listeners = '{}' FROM lastfluss.status)}), 't', 'the standby is silent');
is(Lastfluss::sockets($collector->port), 1, 'it has no socket');
send_one(64502);
$collector->wait_written;
$first->wait_for_catchup($second);

# The first ends, the second takes over: within seconds, on a machine that has time.
sub change
{
	my ($old, $new) = @_;

	$old->stop('fast');
	$collector->{node} = $new;
	my $promoted = time;
	$new->promote;
	$collector->wait_for('SELECT state FROM lastfluss.status', 'collecting');
	note(sprintf('collects %.1f s after the promotion', time - $promoted));
	cmp_ok(time - $promoted, '<', 30, $new->name . ' collects within seconds');
	$collector->{sent} = 0;
	return;
}

sub has
{
	my ($node, $expected, $what) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	is($node->safe_psql('postgres', q{SELECT string_agg(remote_asn || '=' || bytes, ' ' ORDER BY remote_asn)
		FROM (SELECT remote_asn, sum(bytes) AS bytes FROM traffic GROUP BY 1) t}), $expected, $what);
	return;
}

# Becomes a standby of the other one, by pg_rewind, and follows it.
sub rejoin
{
	my ($old, $new) = @_;

	$new->safe_psql('postgres', 'CHECKPOINT');
	$old->command_ok([ 'pg_rewind', '--target-pgdata', $old->data_dir, '--source-server', $new->connstr('postgres'), '--no-sync' ],
		$old->name . ' is rewound');
	# it brings the other's files
	my ($port) = ($old->port);
	$old->append_conf('postgresql.conf', "port = $port");
	$old->enable_streaming($new);
	$old->start;
	$new->wait_for_catchup($old->name);
	is($old->safe_psql('postgres', q{SELECT pg_is_in_recovery() AND (SELECT state <> 'collecting' AND listeners = '{}' FROM lastfluss.status)}), 't',
		$old->name . ' is silent');
	return;
}

#
# A hub, whose replication slot does not move along.
#
my $hub = Lastfluss->new('hub', listen => 0);

sub hub_has
{
	my ($what) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $rows     = q{SELECT string_agg(concat_ws('|', time, %s, remote_asn, bytes, packets, flows), ' ' ORDER BY time, remote_asn) FROM traffic};
	my $expected = $collector->sql(sprintf($rows, 'iface'));

	return $hub->becomes(sprintf($rows, q{substr(iface, 5)}), $expected, $what);
}

sub hub_subscribes { $hub->sql(q{SELECT lastfluss.subscribe('fra', '} . $collector->node->connstr('postgres') =~ s/'/''/gr . q{')}); return; }

$collector->sql(q{SELECT lastfluss.publish('fra')});
hub_subscribes();
$collector->sql(q{SELECT lastfluss.publish_again('-infinity', 'infinity')});
$hub->wait_for(q{SELECT parcels > 0 FROM lastfluss.collectors}, 't');
hub_has('a hub has what the first has');
$first->wait_for_catchup($second);

change($first, $second);
send_one(64503);
$collector->wait_written;
has($second, '64501=100000 64502=100000 64503=100000', 'without another template or sampler');
$hub->becomes(q{SELECT advice FROM lastfluss.doctor() WHERE finding = 'subscription "fra" does not reach its site'},
	q{The server's log says why (max_worker_processes must have room for each subscription); what is collected there comes when it does.}, 'the hub misses the site');
$hub->sql(q{SELECT lastfluss.unsubscribe('fra', drop_slot => false)});
hub_subscribes();
$collector->sql(q{SELECT lastfluss.publish_again('-infinity', 'infinity')});
hub_has('the hub subscribes to the second, which sends again');

rejoin($first, $second);
is(Lastfluss::sockets($collector->port), 1, 'one of the two listens');
send_one(64504);
$collector->wait_written;
hub_has('and goes on');
$second->wait_for_catchup($first->name);
has($first, '64501=100000 64502=100000 64503=100000 64504=100000', 'and has what the other counts');

change($second, $first);
send_one(64505);
$collector->wait_written;
has($first, join(' ', map { "$_=100000" } 64501 .. 64505), 'back at the first, each once');
rejoin($second, $first);
is($first->safe_psql('postgres', 'SELECT count(*) - count(DISTINCT id) FROM traffic'), 0, 'no id is there twice');
unlike(slurp_file($_->logfile), qr/PANIC|terminated by signal/, 'no worker has crashed') for $first, $second, $hub->node;

$_->stop for $hub, $second, $first;
done_testing();
