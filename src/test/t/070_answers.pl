# Answers beside a collector that runs: the same sums while rollups are made, while
# rows come late, and while an interval goes from live to the table; the example
# examples/customers.sql.  (What they make of rows is tested in sql/answers.sql.)

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use Lastfluss;
use Test::More;

my $collector = Lastfluss->new('answers', extension => 0);
my $node      = $collector->node;

# How many of many answers were not this.
sub wrong_answers
{
	my ($query, $expected, $until) = @_;
	my $wrong = 0;
	my $asked = 0;

	Lastfluss::wait_until(sub {
		$wrong++ if $collector->sql($query) ne $expected;
		$asked++;
		return $collector->sql($until) eq 't'; })
	  or die "waited in vain for: $until";
	note("asked $asked times");
	return $wrong;
}

#
# Three days of a minute's rows, of which maintenance makes rollups.
#
$collector->sql(<<'SQL');
CREATE TABLE traffic (
    id bigserial, "time" timestamptz NOT NULL, bandwidth real NOT NULL, iface text, ingress boolean NOT NULL,
    remote_asn bigint, local_asn bigint, family smallint, bytes bigint, packets bigint, flows bigint);
INSERT INTO traffic ("time", bandwidth, iface, ingress, remote_asn, local_asn, family, bytes, packets, flows)
SELECT t, b * 8 / 60, 'if' || k % 3, k % 2 = 0, nullif(k, 7), 10, 4 + k % 2 * 2, b, b / 500, 1
FROM generate_series(date_trunc('day', now()) - interval '3 days', date_trunc('minute', now()) - interval '1 hour', '1 min') t,
     generate_series(1, 8) k, LATERAL (SELECT (k * extract(epoch FROM t)::bigint * 7919) % 1000003 AS b) b;
SQL
my $sum  = $collector->sql(q{SELECT sum(bytes) FROM traffic});
my $asks = <<'SQL' =~ s/\n$//r;
SELECT sum(bytes) || ' ' || (SELECT sum(bytes) FROM lastfluss.traffic(now() - interval '5 days', step => '1 day', by => '{iface}')) || ' ' ||
  (SELECT sum(bytes) FROM lastfluss.traffic(now() - interval '5 days', step => '5 min', iface => '{if1}', ingress => false, by => '{ingress}')) || ' ' ||
  (SELECT round(sum(share)) FROM lastfluss.top_asns('5 days', 3))
FROM lastfluss.traffic(now() - interval '5 days', step => '1 hour')
SQL
my $right = "$sum $sum " . $collector->sql(q{SELECT sum(bytes) FROM traffic WHERE iface = 'if1' AND NOT ingress}) . ' 100';

$collector->create_extension;
$collector->listen;
is($collector->sql($asks), $right, 'the sums of the table');
is(wrong_answers($asks, $right, <<'SQL'), 0, 'and while rollups are made');
SELECT count(*) = 3 AND bool_and(complete_until >= date_bin(step, now() - interval '61 min', 'epoch') - step) FROM lastfluss.rollups
SQL
is($collector->sql(q{SELECT string_agg(DISTINCT kind, ' ' ORDER BY kind) FROM lastfluss._pieces(now() - interval '5 days', now() - interval '1 hour', 3600, false, '{total}')}),
	'table total', 'they are used') or diag($collector->sql(q{TABLE lastfluss._rollup}));
my @sums = map { my $level = $_; map { "${level}_$_" } qw(total remote local) } qw(5m 1h 1d);

# How the sums of a level are wrong.
sub wrong_sums
{
	my ($name, $from, $bucket, $families) = @_;
	my ($kind) = $name =~ /_(\w+)/;
	my $key = join ', ', 'iface', 'ingress', ($families ? 'family' : ()), ($kind eq 'total' ? () : "${kind}_asn");

	return $collector->sql(<<"SQL");
WITH a AS (SELECT "time", $key, bytes, packets, flows FROM traffic_$name),
     b AS (SELECT date_bin('$bucket', "time", 'epoch'), $key, sum(bytes)::bigint, sum(packets)::bigint, sum(flows)::bigint
           FROM $from GROUP BY 1, $key)
SELECT (SELECT count(*) > 0 FROM a) AND NOT EXISTS (TABLE a EXCEPT ALL TABLE b) AND NOT EXISTS (TABLE b EXCEPT ALL TABLE a)
SQL
}
is(wrong_sums($_, 'traffic_' . substr($_, 0, 2), '5 min', 1), 't', "traffic_$_ is the sum of its rollup") for @sums;
is($collector->sql(q{SELECT string_agg(DISTINCT relation::text, ' ' ORDER BY relation::text) FROM lastfluss._pieces(date_trunc('day', now()) - interval '2 days', date_trunc('day', now()) - interval '1 day', NULL, false, '{remote,remote alone}')}),
	'traffic_1d_remote', 'and serves what is asked for by one ASN');

# Rows that come late, as whoever writes them notes it; while somebody publishes everything.
$collector->sql('SET client_min_messages = error; CREATE PUBLICATION everything FOR ALL TABLES');
$collector->sql(<<'SQL');
BEGIN;
INSERT INTO traffic ("time", bandwidth, iface, ingress, remote_asn, family, bytes, packets, flows)
SELECT date_trunc('day', now()) - h * interval '7 hours', 1, 'if0', true, 99, 4, 1000000000, 1, 1 FROM generate_series(1, 8) h;
SELECT lastfluss.rollup_again(now() - interval '4 days', now());
COMMIT;
SQL
$sum += 8_000_000_000;
$right =~ s/^\d+ \d+/$sum $sum/;
is(wrong_answers($asks, $right, q{SELECT sum(waiting) = 0 FROM lastfluss.rollups}), 0,
	'rows that come late count at once, and once');
is($collector->sql(q{SELECT sum(bytes) FROM traffic_1d_total WHERE "time" < date_trunc('day', now())}),
	$collector->sql(q{SELECT sum(bytes) FROM traffic WHERE "time" < date_trunc('day', now())}), 'in the sums of interfaces too');
$collector->sql('DROP PUBLICATION everything');
# Rows of before the first ones.
$collector->sql(<<'SQL');
BEGIN;
INSERT INTO traffic ("time", bandwidth, iface, ingress, remote_asn, family, bytes) VALUES (date_trunc('day', now()) - interval '9 days', 1, 'if0', true, 98, 4, 77);
INSERT INTO lastfluss._rollup_dirty VALUES ('traffic'::regclass, '5m', date_trunc('day', now()) - interval '9 days');
COMMIT;
SQL
$collector->wait_for('SELECT sum(waiting) = 0 FROM lastfluss.rollups');
is($collector->sql(<<'SQL'), 'total 77', 'older rows come into the sums of interfaces');
SELECT string_agg(DISTINCT p.kind, ' ') || ' ' || (SELECT sum(bytes) FROM lastfluss.traffic(now() - interval '10 days', now() - interval '8 days', '1 day', by => '{}'))
FROM lastfluss._pieces(date_trunc('day', now()) - interval '9 days', date_trunc('day', now()) - interval '8 days', 86400, false, '{total}') p
SQL
# Weeks, which are made of days, and eight of them.
sub whole
{
	my ($sum, $source) = @_;

	return "(SELECT s.* FROM traffic_$source s, lastfluss._rollup r WHERE r.name = '$sum' AND s.\"time\" >= r.complete_from AND s.\"time\" < r.complete_until) w";
}
my $year = <<'SQL';
SELECT count(*), sum(abs(coalesce(a.ingress, 0) - coalesce(b.ingress, 0)))
FROM (SELECT asn, ingress FROM lastfluss.top_asns('140 days', 100)) a
FULL JOIN (SELECT remote_asn AS asn, round(sum(bytes) FILTER (WHERE ingress)::float8 * 8 / 86400 / 140) AS ingress FROM traffic
           WHERE "time" >= now() - interval '140 days' AND remote_asn IS NOT NULL GROUP BY 1) b USING (asn)
WHERE asn IS NOT NULL
SQL
sub old_rows
{
	my ($days, $asns) = @_;

	$collector->sql(<<"SQL");
BEGIN;
CREATE TEMPORARY TABLE old AS SELECT date_trunc('day', now()) - d * interval '1 day' + interval '7 hours' AS "time", k FROM generate_series($days) d, generate_series($asns) k;
INSERT INTO traffic ("time", bandwidth, iface, ingress, remote_asn, local_asn, family, bytes, packets, flows)
SELECT "time", 1, 'if' || k % 3, k % 2 = 0, k, 10 + k % 4, 4 + k % 2 * 2, 1000000007::bigint * k, k, 1 FROM old;
INSERT INTO lastfluss._rollup_dirty SELECT DISTINCT 'traffic'::regclass, '5m', "time" FROM old;
COMMIT;
SQL
	$collector->wait_for('SELECT sum(waiting) = 0 FROM lastfluss.rollups');
	for my $asn (qw(remote local))
	{
		is(wrong_sums("6h_$asn", whole("6h_$asn", "1h_$asn"), '6 hours', 0), 't', "six hours by $asn ASN are the sums of theirs")
		  or diag($collector->sql(q{TABLE lastfluss._rollup}));
		is(wrong_sums("1w_$asn", whole("1w_$asn", "1d_$asn"), '7 days', 0), 't', "weeks by $asn ASN are the sums of their days");
		is(wrong_sums("8w_$asn", whole("8w_$asn", "1w_$asn"), '56 days', 0), 't', 'and eight weeks those of weeks')
		  or diag($collector->sql(q{TABLE lastfluss._rollup}));
	}
	like($collector->sql($year), qr/^\d\d+\|0$/, 'and a list over months is that of the rows');
}
old_rows('20, 135', '1, 30');
old_rows('30, 33', '5, 40');
is($collector->sql(q{SELECT string_agg(DISTINCT relation::text, ' ' ORDER BY relation::text) FROM lastfluss._pieces(now() - interval '135 days', now(), NULL, false, '{remote,remote alone}') WHERE kind = 'remote alone' AND seconds > 86400}),
	'traffic_1w_remote traffic_8w_remote', 'which reads them');
is($collector->sql(q{SELECT string_agg(DISTINCT relation::text, ' ' ORDER BY relation::text) FROM lastfluss._pieces(date_trunc('day', now()) - interval '30 hours', date_trunc('day', now()) - interval '7 hours', NULL, false, '{local,local alone}')}),
	'traffic_1h_local traffic_6h_local', 'as one of a day those of six hours');

# What a statement has freed, the next one need not get from the system page by page.
sub faults
{
	my ($first) = @_;
	my $faults = q{SELECT split_part(pg_read_file('/proc/self/stat'), ' ', 10);};
	my $large  = 'SELECT count(*) FROM (SELECT n FROM generate_series(1, 150000) n GROUP BY n) s;';
	my @seen   = split /\n/, $collector->sql("SET max_parallel_workers_per_gather = 0; SET work_mem = '64MB'; $first; $large $faults $large $large $faults");

	return $seen[-1] - $seen[-4];
}
SKIP:
{
	skip 'this server has an allocator of its own, or no /proc', 1
	  unless -r '/proc/self/stat' && $collector->sql(q{SELECT m ~ '/libc[.-]' AND m !~ '/(vgpreload|lib[a-z]*(asan|malloc))' FROM pg_read_file('/proc/self/maps') m}) eq 't';
	my $before = faults('SELECT 1');
	my $after = faults(q{SELECT count(*) FROM lastfluss.top_asns('1 hour')});

	cmp_ok($after, '<', $before / 4, "a session that has asked keeps its memory: $after page faults instead of $before");
}

# One that somebody has dropped is made again, and used from there on only.
$collector->sql(q{DROP TABLE traffic_1h_total});
is($collector->sql($asks), $right, 'a rollup that was dropped is not used');

#
# What is not written yet.
#
$collector->configure(
	q{SELECT lastfluss.set('period', '2')},
	q{SELECT lastfluss.add_interface('Customer Hosting', '127.0.0.11', 1, role => 'customer')},
	q{SELECT lastfluss.add_interface('Customer Video 1', '127.0.0.11', 2, role => 'customer')});
my $lately = q{SELECT coalesce(sum(bytes), 0) FROM lastfluss.traffic(now() - interval '10 min', step => '1 min', remote_asn => '{64500}', by => '{iface}')};
my $router = $collector->exporter('v9', from => '127.0.0.11');
my $lock   = $node->background_psql('postgres');
$lock->query_safe('BEGIN; LOCK TABLE traffic IN SHARE MODE');
$router->send(map { { in => $_, out => 9, src_as => 64500, bytes => 1000 * $_, packets => 1 } } 1, 2);
$collector->wait_received;
is($collector->sql($lately), 3000, 'what was received counts at once');
is($collector->sql(q{SELECT incoming FROM lastfluss.top_asns('10 min') WHERE asn = 64500}),
	$collector->sql(q{SELECT lastfluss.units(3000 * 8 / 600.0)}), 'in top lists too');
$collector->wait_for(q{SELECT intervals_waiting >= 1 FROM lastfluss.status});
is($collector->sql($lately), 3000, 'and while it waits');
is($collector->sql(q{SELECT count(*) FROM traffic WHERE remote_asn = 64500}), 0, 'without being in the table');
is($collector->sql($lately =~ s/by =>/live => false, by =>/r), 0, 'unless live is not asked for');
$lock->query_safe('COMMIT');
is(wrong_answers($lately, 3000, q{SELECT count(*) = 2 FROM traffic WHERE remote_asn = 64500}), 0,
	'it is not counted twice when it is written');
for my $bytes (1 .. 20)
{
	$router->send({ in => 1, out => 9, src_as => 64501, bytes => 1, packets => 1 });
	$collector->wait_received;
	my $got = $collector->sql($lately =~ s/64500/64501/r);
	next if $got == $bytes;
	fail("$bytes sent, $got counted");
}
$collector->becomes(q{SELECT sum(bytes) FROM traffic WHERE remote_asn = 64501}, 20, 'all of it is written');

#
# Roles.
#
$collector->sql(q{CREATE ROLE grafana LOGIN; SELECT lastfluss.grant_read('grafana')});
$router->send({ in => 1, out => 9, src_as => 64502, bytes => 7, packets => 1 });
$collector->wait_received;
is($collector->sql('SET ROLE grafana; ' . $lately =~ s/64500/64502/r), 7, 'a reader sees live');
is($collector->sql(q{SET ROLE grafana; SELECT role FROM lastfluss.interface_report('10 min') WHERE iface = 'Customer Hosting'}), 'customer',
	'and the interfaces');

# Rollups of a table that somebody may read, before there is a row.
sub see_rollups_of_later
{
	$collector->sql('CREATE TABLE later (LIKE traffic INCLUDING ALL); GRANT SELECT ON later TO grafana');
	$collector->configure(q{SELECT lastfluss.set('table', 'later')});
	$collector->becomes(q{SELECT count(*) FROM unnest('{5m,1h,1d,5m_total,1h_total,1d_total}'::text[]) n WHERE has_table_privilege('grafana', to_regclass('later_' || n), 'SELECT')},
		6, 'who may read the table may read its rollups');
	return;
}

#
# The example with customers, twice.
#
$collector->becomes(q{SELECT count(*) FROM traffic WHERE remote_asn = 64502}, 1, 'it is written');
if ($collector->on_citus)
{
  SKIP: { skip 'Citus takes no policy with a subquery, as the customers have', 1; }
	see_rollups_of_later();
	$collector->stop;
	done_testing();
	exit;
}
for my $time ('once', 'again')
{
	$node->command_ok([ 'psql', '-X', '-q', '-d', $node->connstr('postgres'), '-f', "$FindBin::RealBin/../../../examples/customers.sql" ],
		"customers.sql, $time");
}
my $seen = q{SELECT string_agg(DISTINCT iface, ',' ORDER BY iface) FROM lastfluss.traffic(now() - interval '5 days', step => '1 hour')};
is($collector->sql("SET ROLE customer_hosting; $seen"), 'Customer Hosting', 'a customer sees its interface');
is($collector->sql("SET ROLE customer_video; $seen"),   'Customer Video 1', 'another one its own');
is($collector->sql('SET ROLE customer_video; SELECT sum(bytes) FROM traffic'), 2000, 'in the table too');
# Its own of this hour are there once the hour is over.
my $of_others = q{SELECT count(*) > 0 FROM traffic_1h WHERE iface IS DISTINCT FROM 'Customer Video 1'};
is($collector->sql($of_others), 't', 'the rollups have those of others');
is($collector->sql("SET ROLE customer_video; $of_others"), 'f', 'which it does not see');
is($collector->sql('SET ROLE customer_video; SELECT string_agg(name, $$,$$) FROM operator.customer'), 'Example Video', 'of the other customers nothing');
for my $report (
	q{SELECT string_agg(iface, ',') FROM lastfluss.interface_report('1 hour')},
	q{SELECT string_agg(DISTINCT iface, ',') FROM lastfluss.percentile(NULL, current_date, 1, 'UTC', 'skip')},
	q{SELECT string_agg(DISTINCT iface, ',') FROM lastfluss.asn_report(64500, '1 hour')})
{
	like($collector->sql("SET ROLE customer_hosting; $report"), qr/^(Customer Hosting)?$/, $report);
}
# A rollup that is made later: closed, as the table has policies, and left out of the answers.
is($collector->sql(q{SELECT count(*) FROM lastfluss.doctor() WHERE topic = 'privileges'}), 0, 'the doctor is content');
$collector->sql(q{DROP TABLE IF EXISTS traffic_1h_total; SELECT lastfluss.rollup_again(now() - interval '5 days', now())});
$collector->becomes(q{SELECT relrowsecurity FROM pg_class WHERE oid = to_regclass('traffic_1h_total')}, 't', 'a new rollup has row-level security');
is($collector->sql(q{SELECT has_table_privilege('customer_hosting', 'traffic_1h_total', 'SELECT')}), 'f', 'and a customer may not read it');
is($collector->sql("SET ROLE customer_hosting; $seen"), 'Customer Hosting', 'nor does it miss it');
$collector->sql(q{ALTER TABLE traffic_1h_total DISABLE ROW LEVEL SECURITY; GRANT SELECT ON traffic_1h_total TO customer_hosting});
is($collector->sql(q{SELECT status, finding FROM lastfluss.doctor() WHERE topic = 'privileges'}),
	'error|public.traffic has row-level security, public.traffic_1h_total has none, and customer_hosting may read it', 'the doctor tells who could pass by the policies');
$collector->sql('ALTER TABLE traffic_1h_total ENABLE ROW LEVEL SECURITY');
is($collector->sql(q{SET ROLE customer_hosting; SELECT string_agg(asn::text, ',') FROM lastfluss.top_asns('1 hour')}), '64500,64501,64502',
	'its top ASNs');
for my $sql ('SELECT * FROM lastfluss.live', 'SELECT * FROM lastfluss.interface', 'SELECT * FROM lastfluss._live()',
	q{SELECT lastfluss.set('period', '1')}, q{SELECT lastfluss.grant_read('customer_hosting')}, q{UPDATE operator.contract SET price = 0})
{
	my ($status, undef, $said) = $node->psql('postgres', "SET ROLE customer_hosting; $sql");
	like($said, qr/ERROR:  permission denied/, "it may not: $sql");
}
# What is not written yet no policy could hide.
$router->send(map { { in => $_, out => 9, src_as => 64503, bytes => 11, packets => 1 } } 1, 2);
$collector->wait_received;
is($collector->sql("GRANT pg_monitor TO customer_hosting; SET ROLE customer_hosting; $lately" =~ s/64500/64503/r =~ s/by => '\{iface\}'/iface => '{Customer Video 1}'/r), 0,
	'live is left out where a policy applies, even with the right to see it');
my $all = qr/^Customer Hosting,Customer Video 1,if0,if1,if2$/;
like($collector->sql("SET ROLE grafana; $seen"), $all, 'the operator sees all, as before');
is($collector->sql("SET ROLE grafana; $lately" =~ s/64500/64503/r), 22, 'with what is not written yet');
# And where the role is made after the policies.
$collector->sql('DROP OWNED BY grafana; DROP ROLE grafana');
$node->command_ok([ 'psql', '-X', '-q', '-d', $node->connstr('postgres'), '-f', "$FindBin::RealBin/../../../examples/grafana/role.sql" ], 'role.sql, after customers.sql');
like($collector->sql("SET ROLE grafana; $seen"), $all, 'the operator sees all, whichever comes first');
is($collector->sql("SET ROLE grafana; $lately" =~ s/64500/64503/r), 22, 'and live');

# The bill: of the month that is over, in which one port had 1 Gbit/s all the time.
$collector->sql(<<'SQL');
INSERT INTO traffic ("time", bandwidth, iface, ingress, bytes)
SELECT t, 1e9, 'Customer Video 2', true, 1e9 * 300 / 8
FROM generate_series(date_trunc('month', now()) - interval '1 month', date_trunc('month', now()) - interval '5 min', '5 min') t;
SELECT lastfluss.rollup_again(now() - interval '70 days', now());
SQL
is($collector->sql(q{SELECT * FROM operator.bill((date_trunc('month', now()) - interval '1 day')::date)}),
	"Example Hosting|1|0|100000000|80.00\nExample Video|2|1000000000|1000000000|350.00", 'the bill')
  or diag($collector->sql(q{SELECT * FROM lastfluss.percentile(NULL, (date_trunc('month', now()) - interval '1 day')::date)}));
like($collector->sql(q{SET ROLE customer_video; SELECT * FROM operator.bill((date_trunc('month', now()) - interval '1 day')::date)}),
	qr/^Example Video\|2\|1000000000\|1000000000\|350.00$/, 'as the customer sees it');

see_rollups_of_later();

$collector->stop;
done_testing();
