# Retention drops partitions, and nothing before its rollups are done; rows that
# come for what was dropped are added to these.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use Lastfluss;
use Storage;
use Test::More;

my $collector = Lastfluss->new('retention');
my $sum = q{SELECT string_agg(s::text, ' ' ORDER BY n) FROM (
	SELECT 1 AS n, sum(bytes) AS s FROM traffic_5m UNION ALL SELECT 2, sum(bytes) FROM traffic_1h
	UNION ALL SELECT 3, sum(bytes) FROM traffic_1d) t};

sub oldest
{
	my ($table) = @_;

	return qq{SELECT min(starts) FROM lastfluss._partitions('$table')};
}

sub time_of_day
{
	return $collector->sql("SELECT '" . Storage::day($_[0]) . "'::timestamptz");
}

$collector->wait_for(q{SELECT to_regclass('traffic_health') IS NOT NULL});
Storage::make_partitions($collector, $_, 1 .. 6) for qw(traffic traffic_health);
Storage::fill($collector, 'traffic', Storage::day(6), Storage::day(1), 12);
$collector->sql("SELECT lastfluss.rollup_again('" . Storage::day(7) . "', now())");
$collector->sql(q{UPDATE lastfluss._rollup SET complete_until = NULL WHERE name <> 'raw'});
Storage::wait_rolled_up($collector);
my $before = $collector->sql($sum);
is($collector->sql('SELECT count(*) FROM lastfluss.rollups WHERE retention <> \'keep\''), 0, 'all is kept unless told');

#
# Not before its rollups are done.
#
my $session = $collector->node->background_psql('postgres');
$session->query_safe('BEGIN; LOCK TABLE traffic_1d');
$collector->sql("UPDATE lastfluss._rollup SET complete_until = '" . Storage::day(4) . "', clean_from = 'infinity' WHERE name = '1d'");
$collector->configure(q{SELECT lastfluss.set('retention', '2 days')});
$collector->becomes(oldest('traffic'), time_of_day(4), 'partitions are dropped as far as they are summed up');
$collector->becomes(q{SELECT finding FROM lastfluss.doctor() WHERE topic = 'rollups' AND finding LIKE 'could not%'},
	'could not sum up days: a table is locked by another session', 'the doctor knows what is in the way');
$collector->becomes(q{SELECT count(*) FROM lastfluss.doctor() WHERE topic = 'retention' AND finding LIKE '%waits for the rollups%'}, 1,
	'and what waits for it');
is($collector->sql(oldest('traffic')), time_of_day(4), 'the rest waits');
$session->query_safe('COMMIT');
$session->quit;
$collector->becomes(oldest('traffic'), time_of_day(2), 'and goes when the rollups are done');
$collector->becomes(oldest('traffic_health'), time_of_day(2), 'traffic_health is dropped as traffic is');
is($collector->sql($sum), $before, 'the rollups have all of it');
is($collector->sql(q{SELECT kept_from FROM lastfluss._rollup WHERE name = 'raw'}), time_of_day(2), 'it is known what was dropped');

#
# Locks.
#
$session = $collector->node->background_psql('postgres');
$session->query_safe('BEGIN; SELECT count(*) FROM traffic');
$collector->configure(q{SELECT lastfluss.set('retention', '1 day')});
$collector->becomes(q{SELECT finding FROM lastfluss.doctor() WHERE topic = 'retention' AND status = 'warning'},
	'could not drop what is old: a table is locked by another session', 'a query is not waited for');
is($collector->sql(oldest('traffic')), time_of_day(2), 'nothing is dropped meanwhile');
is($collector->sql('SELECT count(*) > 0 FROM traffic'), 't', 'and nobody waits behind');
$session->query_safe('COMMIT');
$session->quit;
$collector->becomes(oldest('traffic'), time_of_day(1), 'it is dropped after');

#
# Rows that come for what was dropped.
#
for my $round (1 .. 2)
{
	# In a transaction, because an empty one would be dropped at once.
	$collector->sql("BEGIN; CREATE TABLE late$round PARTITION OF traffic FOR VALUES FROM ('" . Storage::day(5) . "') TO ('" . Storage::day(4) . "');
		INSERT INTO traffic (time, bandwidth, iface, ingress, remote_asn, bytes, packets, flows)
		SELECT t, 8, 'late', true, 64500 + n, 60, 1, 1 FROM generate_series(1, 3) n,
		generate_series('" . Storage::day(5) . "'::timestamptz, '" . Storage::day(4) . "'::timestamptz - interval '1 s', '10 min') t;
		INSERT INTO lastfluss._rollup_dirty SELECT DISTINCT 'traffic'::regclass, '5m', time FROM traffic WHERE iface = 'late'; COMMIT");
	$collector->becomes(oldest('traffic'), time_of_day(1), "late rows, $round: their partition is dropped again");
	is( $collector->sql(qq{SELECT sum(bytes) = $round * 144 * 180, sum(packets) = $round * 144 * 3, count(*) FROM traffic_$_ WHERE iface = 'late'}),
		't|t|' . { '5m' => 432, '1h' => 72, '1d' => 3 }->{$_}, "and they are in traffic_$_") for qw(5m 1h 1d);
}
is($collector->sql('SELECT sum(waiting) FROM lastfluss.rollups'), 0, 'no note is left');
$collector->sql("DELETE FROM traffic_$_ WHERE iface = 'late'") for qw(5m 1h 1d);
is($collector->sql($sum), $before, 'what was there is as before');

#
# Rollups have their own.
#
$collector->configure(q{SELECT lastfluss.set('retention_5m', '1 hour')});
$collector->becomes(q{SELECT count(*) FROM lastfluss._partitions('traffic_5m') WHERE ends <= now() - interval '1 hour'}, 0,
	'old partitions of traffic_5m are dropped');
is( $collector->sql($sum) =~ s/^\d+ //r, $before =~ s/^\d+ //r, 'the coarser ones stay');

# Redone from what is left.
$collector->sql("SELECT lastfluss.rollup_again('" . Storage::day(7) . "', now())");
Storage::wait_rolled_up($collector);
is( $collector->sql($sum) =~ s/^\d+ //r, $before =~ s/^\d+ //r, 'and are not done again from less than all');

#
# Counters.
#
$collector->sql(q{INSERT INTO lastfluss.counters (host, id, time, in_octets, out_octets)
	SELECT '192.0.2.1', n, now() - t * interval '1 h', 1, 1 FROM generate_series(1, 1000) n, generate_series(0, 47) t});
$collector->node->restart;
$collector->becomes(q{SELECT count(*) FROM lastfluss.counters}, 24000, 'counters are kept as long as traffic');

#
# A plain table.
#
$collector->sql('CREATE TABLE plain (LIKE traffic INCLUDING ALL)');
Storage::fill($collector, 'plain', Storage::day(3), Storage::day(2), 3);
$collector->configure(q{SELECT lastfluss.set('table', 'plain')});
$collector->becomes(q{SELECT status, finding, advice FROM lastfluss.doctor() WHERE topic = 'retention'},
	'warning|public.plain has no partitions, so that nothing of it can be dropped by the setting retention|SELECT lastfluss.upgrade_table();',
	'the doctor tells that a plain table is kept');
is($collector->sql('SELECT count(*) FROM plain'), 1440 * 3, 'which it is');
SKIP:
{
	skip 'upgrade_table() moves no table where Citus is', 2 if $collector->on_citus;
	$collector->sql('SELECT lastfluss.upgrade_table()');
	$collector->becomes('SELECT count(*) FROM plain', 0, 'until it has partitions');
	is($collector->sql('SELECT sum(flows) FROM plain_1d'), 1440 * (1 + 2 + 3), 'and is summed up');
}

$collector->stop;
done_testing();
