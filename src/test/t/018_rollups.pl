# Rollups: equal to what the rows of traffic give, to the byte, whatever happens on
# the way.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use Lastfluss;
use Storage;
use Test::More;

use constant ROUNDS => 20;

my $collector = Lastfluss->new('rollups', conf => "restart_after_crash = on\n");
my $router    = $collector->exporter('v5', from => '127.0.0.11');
my $seed      = $ENV{LASTFLUSS_SEED} // int(rand(1 << 31));

srand($seed);
diag("seed $seed");

sub equal
{
	my ($table, $what, %option) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	for my $name ('5m', '1h', '1d')
	{
		like(Storage::difference($collector, $table, $name, %option), qr/^[1-9]\d* rows, 0 differ$/,
			"$what: $name");
	}
	return;
}

# As the collector's database is busy, the table is made by now.
$collector->configure(q{SELECT lastfluss.set('rollups', 'off')},
	q{SELECT lastfluss.add_interface('A', '127.0.0.11', 1)});
$collector->wait_for(q{SELECT to_regclass('traffic') IS NOT NULL});
Storage::make_partitions($collector, 'traffic', 1 .. 5);

#
# Three days that nobody has summed up.
#
Storage::fill($collector, 'traffic', Storage::day(4), Storage::day(1), 12);
is($collector->sql(q{SELECT count(*) FROM lastfluss.rollups WHERE complete_until IS NULL AND waiting IS NULL}),
	3, 'nothing is done while rollups are off');
$collector->configure(q{SELECT lastfluss.reset('rollups')});
Storage::wait_rolled_up($collector);
equal('traffic', 'caught up');
is( $collector->sql(<<'SQL'), 't|t|t', 'bytes, packets and flows are those of traffic, on each level');
SELECT count(DISTINCT b) = 1, count(DISTINCT p) = 1, count(DISTINCT f) = 1
FROM (SELECT sum(bytes) AS b, sum(packets) AS p, sum(flows) AS f FROM traffic
      UNION ALL SELECT sum(bytes), sum(packets), sum(flows) FROM traffic_5m
      UNION ALL SELECT sum(bytes), sum(packets), sum(flows) FROM traffic_1h
      UNION ALL SELECT sum(bytes), sum(packets), sum(flows) FROM traffic_1d) s
SQL
is( $collector->sql(q{SELECT string_agg(name || ' ' || relation, ', ' ORDER BY step) FROM lastfluss.rollups
	WHERE complete_from = '} . Storage::day(4) . q{' AND last_error IS NULL}),
	'5m traffic_5m, 1h traffic_1h, 1d traffic_1d', 'lastfluss.rollups shows them');
is( $collector->sql(q{SELECT string_agg(c.relname || ' ' || pg_get_partkeydef(c.oid), ', ' ORDER BY c.relname)
	FROM pg_class c WHERE c.relname IN ('traffic_5m', 'traffic_1h', 'traffic_1d')
	AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype IN ('e', 'x'))}),
	'traffic_1d RANGE ("time"), traffic_1h RANGE ("time"), traffic_5m RANGE ("time")',
	'they are partitioned, and no members of the extension');

#
# Rows that come late.
#
$collector->sql("INSERT INTO traffic (time, bandwidth, iface, ingress, bytes) SELECT '" .
	Storage::day(3) . "'::timestamptz + interval '7 h 3 min', 8, 'by hand', true, 60");
is($collector->sql("SELECT lastfluss.rollup_again('" . Storage::day(3) . "', '" . Storage::day(2) . "')"),
	288, 'rollup_again() tells how many buckets');
Storage::wait_rolled_up($collector);
equal('traffic', 'after rollup_again()');
is($collector->sql(q{SELECT sum(bytes) FROM traffic_1d WHERE iface = 'by hand'}), 60, 'with what was inserted');

# A capture, of before the first row too.
for my $ago (2, 5)
{
	my $payload = $router->v5({ in => 1, out => 9, src_as => 64999, bytes => 1234, packets => 5 });
	my $udp = pack('nnnn', 2055, 2055, 8 + length $payload, 0) . $payload;
	my $ip = pack('CCnnnCCna4a4', 0x45, 0, 20 + length $udp, 0, 0, 64, 17, 0,
		pack('C4', 127, 0, 0, 11), pack('C4', 127, 0, 0, 1)) . $udp;
	my $time = $collector->sql("SELECT extract(epoch FROM '" . Storage::day($ago) . "'::timestamptz)::bigint + 11111");
	my $file = pack('NnnNNNN', 0xa1b2c3d4, 2, 4, 0, 0, 65535, 101) .
	  pack('NNNN', $time, 0, length $ip, length $ip) . $ip;

	is($collector->sql(q{SELECT rows FROM lastfluss.replay('\x} . unpack('H*', $file) . q{')}), 1,
		"a capture of $ago days ago");
}
$collector->becomes(q{SELECT sum(bytes) FROM traffic_1d WHERE iface = 'A'}, 2468, 'is summed up');
equal('traffic', 'after replay()');
is($collector->sql(q{SELECT complete_from FROM lastfluss.rollups WHERE name = '1d'}),
	$collector->sql("SELECT '" . Storage::day(5) . "'::timestamptz"), 'and complete_from knows');

# The writer: what it writes is late where its bucket is done.
$collector->configure(q{SELECT lastfluss.set('period', '1')});
$collector->sql(q{UPDATE lastfluss._rollup SET complete_until = date_bin('1 day', now(), '2000-01-01 00:00+00') + interval '2 days'
	WHERE name <> 'raw'});
my $sent = 0;
for (1 .. 3)
{
	$router->send({ in => 1, out => 9, src_as => 64777, bytes => 1000, packets => 1 });
	$sent += 1000;
	$collector->becomes("SELECT sum(bytes) FROM ${_} WHERE remote_asn = 64777", $sent, "late rows of the writer in $_")
	  for qw(traffic_5m traffic_1h traffic_1d);
}
$collector->configure(q{SELECT lastfluss.reset('period')});
$collector->wait_written;
$collector->sql(q{UPDATE lastfluss._rollup SET complete_until = complete_from, clean_from = 'infinity' WHERE name <> 'raw'});
$collector->sql("DELETE FROM traffic_$_ WHERE time >= '" . Storage::day(0) . "'") for qw(5m 1h 1d);
Storage::wait_rolled_up($collector);
equal('traffic', 'done once more from the first bucket on');

#
# The worker ends, or the server dies, at any moment.
#
for my $round (1 .. ROUNDS)
{
	my $how = $round % 4 == 0 ? 'KILL' : 'TERM';

	$collector->sql("UPDATE traffic SET bytes = bytes + 1, bandwidth = bandwidth + 1 WHERE remote_asn = 64506 AND iface = 'Transit'");
	$collector->sql("SELECT lastfluss.rollup_again('" . Storage::day(4) . "', '" . Storage::day(1) . "')");
	Storage::end_maintenance($collector, $how);
}
$collector->wait_for(q{SELECT state = 'collecting' FROM lastfluss.status});
Storage::wait_rolled_up($collector);
equal('traffic', 'after ' . ROUNDS . ' ends');

#
# The extension anew: it finds the rollups there.
#
$collector->sql('DROP EXTENSION lastfluss');
$collector->sql("DELETE FROM traffic WHERE time < '" . Storage::day(3) . "'");
my $older = $collector->sql("SELECT sum(bytes) FROM traffic_1d WHERE time < '" . Storage::day(3) . "'");
$collector->create_extension;
$collector->listen;
Storage::wait_rolled_up($collector);
is($collector->sql("SELECT sum(bytes) FROM traffic_1d WHERE time < '" . Storage::day(3) . "'"), $older,
	'what is in the rollups alone stays there');
$collector->sql("DELETE FROM traffic_$_ WHERE time < '" . Storage::day(3) . "'") for qw(5m 1h 1d);
equal('traffic', 'created again');

#
# Small ASNs folded.
#
$collector->sql('CREATE TABLE folded (LIKE traffic INCLUDING ALL)');
Storage::fill($collector, 'folded', Storage::day(2), Storage::day(1), 120);
$collector->configure(q{SELECT lastfluss.set('table', 'folded')},
	q{SELECT lastfluss.set('rollup_keep_top', '3')});
$collector->wait_for(q{SELECT bool_and(relation IS NOT NULL) FROM lastfluss.rollups});
Storage::wait_rolled_up($collector);
for my $name ('5m', '1h', '1d')
{
	is( $collector->sql(<<"SQL"), '0|3', "rollup_keep_top: exact sums, and three ASNs each in $name");
WITH want AS (SELECT date_bin('$Storage::steps{$name}', time, '2000-01-01 00:00+00') AS time, iface, ingress, family,
                     sum(bytes) AS bytes, sum(packets) AS packets, sum(flows) AS flows
              FROM folded GROUP BY 1, 2, 3, 4),
have AS (SELECT time, iface, ingress, family, sum(bytes) AS bytes, sum(packets) AS packets, sum(flows) AS flows
         FROM folded_$name GROUP BY 1, 2, 3, 4)
SELECT (SELECT count(*) FROM ((TABLE want EXCEPT ALL TABLE have) UNION ALL (TABLE have EXCEPT ALL TABLE want)) d),
       (SELECT max(n) FROM (SELECT count(DISTINCT remote_asn) AS n FROM folded_$name GROUP BY time, iface, ingress) c)
SQL
}
is( $collector->sql(<<'SQL'), 't', 'the largest ones');
SELECT bool_and(k.remote_asn IS NOT NULL) FROM (
    SELECT time, iface, ingress, remote_asn, dense_rank() OVER (PARTITION BY time, iface, ingress ORDER BY bytes DESC, remote_asn) AS n
    FROM (SELECT date_bin('5 min', time, '2000-01-01 00:00+00') AS time, iface, ingress, remote_asn, sum(bytes) AS bytes
          FROM folded WHERE remote_asn IS NOT NULL GROUP BY 1, 2, 3, 4) s) r
LEFT JOIN (SELECT DISTINCT time, iface, ingress, remote_asn FROM folded_5m) k
    ON (k.time, k.ingress, k.remote_asn) = (r.time, r.ingress, r.remote_asn) AND k.iface IS NOT DISTINCT FROM r.iface
WHERE r.n <= 3
SQL
$collector->configure(q{SELECT lastfluss.set('keep_top_share', '10')});
$collector->sql("SELECT lastfluss.rollup_again('" . Storage::day(2) . "', '" . Storage::day(1) . "')");
Storage::wait_rolled_up($collector);
is( $collector->sql(<<'SQL'), 0, 'keep_top_share: ASNs above a share keep their rows as well');
SELECT count(*) FROM (
    SELECT s.*, sum(bytes) OVER (PARTITION BY time, iface, ingress) AS total
    FROM (SELECT date_bin('5 min', time, '2000-01-01 00:00+00') AS time, iface, ingress, remote_asn, sum(bytes) AS bytes
          FROM folded GROUP BY 1, 2, 3, 4) s) r
LEFT JOIN (SELECT DISTINCT time, iface, ingress, remote_asn FROM folded_5m) k
    ON (k.time, k.ingress, k.remote_asn) = (r.time, r.ingress, r.remote_asn) AND k.iface IS NOT DISTINCT FROM r.iface
WHERE r.remote_asn IS NOT NULL AND r.bytes > 0.1 * r.total AND k.time IS NULL
SQL

#
# The original's columns.
#
$collector->sql(<<'SQL');
CREATE TABLE original (id bigserial, time timestamptz NOT NULL, bandwidth real NOT NULL, iface text,
	ingress boolean NOT NULL, remote_asn bigint, local_asn bigint, PRIMARY KEY (id, time));
INSERT INTO original (time, bandwidth, iface, ingress, remote_asn, local_asn)
SELECT time, bandwidth, iface, ingress, remote_asn, local_asn FROM folded;
SQL
$collector->configure(q{SELECT lastfluss.set('table', 'original')},
	q{SELECT lastfluss.reset('rollup_keep_top')});
$collector->wait_for(q{SELECT bool_and(relation IS NOT NULL) FROM lastfluss.rollups});
Storage::wait_rolled_up($collector);
equal('original', 'seven columns', seven => 1, bytes => 'round(bandwidth::float8 * 60 / 8)::bigint');

#
# A period longer than a bucket: the mean is that of the interval.
#
$collector->sql(<<"SQL");
CREATE TABLE slow (LIKE traffic INCLUDING ALL);
INSERT INTO slow (time, bandwidth, iface, ingress, remote_asn, local_asn, bytes)
SELECT time, 80, 'A', true, asn, 1, 6000
FROM generate_series('@{[Storage::day(2)]}'::timestamptz, '@{[Storage::day(1)]}'::timestamptz - interval '10 min', '10 min') time, generate_series(1, 2) asn;
SQL
$collector->configure(q{SELECT lastfluss.set('table', 'slow'), lastfluss.set('period', '10 min')});
$collector->wait_for(q{SELECT bool_and(relation IS NOT NULL) FROM lastfluss.rollups});
Storage::wait_rolled_up($collector);
for my $level ([ '5m', 12000 ], [ '1h', 72000 ])
{
	my ($name, $bytes) = @$level;

	is($collector->sql("SELECT * FROM (SELECT DISTINCT bandwidth, peak FROM slow_$name) r, (SELECT DISTINCT bytes FROM slow_${name}_total) t"),
		"80|80|$bytes", "a period of ten minutes: $name");
}
$collector->configure(q{SELECT lastfluss.reset('period')});

#
# What stands in the way is told, and the writer does not care.
#
$collector->sql('CREATE ROLE mallory; CREATE TABLE taken (LIKE traffic INCLUDING ALL);
	CREATE TABLE taken_5m (LIKE traffic_5m INCLUDING ALL); ALTER TABLE taken_5m OWNER TO mallory');
Storage::fill($collector, 'taken', Storage::day(2), Storage::day(1), 6);
# Where the error cannot be noted yet, the log has it all the same.
my $session = $collector->node->background_psql('postgres');
my $position = $collector->log_position;
$session->query_safe('BEGIN; LOCK TABLE lastfluss._maintenance');
$collector->configure(q{SELECT lastfluss.set('table', 'taken')});
ok( Lastfluss::wait_until(sub { grep { /lastfluss: could not sum up 5 minutes: table "taken_5m"/ } $collector->log_of_workers($position) }),
	'an error that cannot be noted is in the log');
$session->query_safe('COMMIT');
$session->quit;
$collector->becomes(q{SELECT last_error FROM lastfluss.rollups WHERE name = '5m'},
	'could not sum up 5 minutes: table "taken_5m" does not belong to the owner of the traffic table HINT: Rename it, or ALTER TABLE public.taken_5m OWNER TO ' .
	$collector->sql('SELECT current_user') . ';',
	'a rollup of another owner is not written');
$collector->sql('DROP TABLE taken_5m');
Storage::wait_rolled_up($collector);
equal('taken', 'when it is gone');
is($collector->sql('SELECT count(*) FROM lastfluss.rollups WHERE last_error IS NOT NULL'), 0, 'the error is over');

#
# Nonsense from the network: sums that no bigint holds stop at the largest one.
#
my $nonsense = Storage::day(2);
$collector->sql(<<"SQL");
INSERT INTO taken (time, bandwidth, iface, ingress, remote_asn, local_asn, bytes, packets, flows)
SELECT '$nonsense', 1e18, 'nonsense', true, n, 1, 9223372036854775807, 9223372036854775807, 1 FROM generate_series(1, 3) n;
SELECT lastfluss.rollup_again('$nonsense', '$nonsense'::timestamptz + interval '1 day');
SQL
Storage::wait_rolled_up($collector);
is($collector->sql(q{SELECT bytes, packets, flows FROM taken_1d_total WHERE iface = 'nonsense'}),
	'9223372036854775807|9223372036854775807|3', 'sums that are too large stop there');
is($collector->sql(<<"SQL"), '9223372036854775807', 'in answers, too');
SELECT bytes FROM lastfluss.traffic('$nonsense', '$nonsense'::timestamptz + interval '1 day', '1 day',
	iface => ARRAY['nonsense'], by => ARRAY['iface'])
SQL

$collector->stop;
done_testing();
