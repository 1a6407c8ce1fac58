# What the tests of rollups, retention and upgrade_table() share: traffic of the
# past by SQL, rollups against a recomputation, and the end of the maintenance
# worker in different ways.
#
# The functions take a collector (see Lastfluss.pm).

package Storage;

use strict;
use warnings;

use Lastfluss;

our %steps = ('5m' => '5 min', '1h' => '1 hour', '1d' => '1 day');

# The start of a day UTC, so many days ago.
sub day
{
	my ($ago) = @_;
	my (undef, undef, undef, $day, $month, $year) = gmtime(time - 86400 * $ago);

	return sprintf('%04d-%02d-%02d 00:00+00', $year + 1900, $month + 1, $day);
}

# Partitions of traffic for these days, of which the collector itself makes today's.
sub make_partitions
{
	my ($collector, $table, @ago) = @_;

	for my $ago (@ago)
	{
		my ($from, $to) = (day($ago), day($ago - 1));
		my $name = $table . '_' . $from =~ s/ .*//r =~ s/-//gr;

		$collector->sql("CREATE TABLE IF NOT EXISTS $name PARTITION OF $table FOR VALUES FROM ('$from') TO ('$to')");
	}
	return;
}

# Rows for each minute: ASNs that differ in size, some keys twice (as with several
# receivers), rows without an ASN, both families and none.
sub fill
{
	my ($collector, $table, $from, $to, $asns) = @_;

	$collector->sql(<<"SQL");
INSERT INTO $table (time, bandwidth, iface, ingress, remote_asn, local_asn, family, bytes, packets, flows)
SELECT t, b * 8 / 60.0, CASE a % 3 WHEN 0 THEN 'Transit' WHEN 1 THEN 'DE-CIX' END, a % 2 = 0,
       nullif(64500 + a / 6 * 6 % $asns, 64500), CASE WHEN a > 5 THEN 65000 + a % 2 END,
       CASE a % 4 WHEN 0 THEN 4 WHEN 1 THEN 6 WHEN 2 THEN 4 END, b, b / 700, 1 + a % 3
FROM generate_series('$from'::timestamptz, '$to'::timestamptz - interval '1 min', '1 min') t,
     generate_series(1, $asns) a,
     LATERAL (SELECT (1e9 * (1 + hashint8(extract(epoch FROM t)::bigint * 1000 + a) % 1000 / 2000.0) / a)::bigint AS b) r
SQL
	return;
}

# A query for the rows in which a rollup differs from what traffic gives.
sub difference
{
	my ($collector, $table, $name, %option) = @_;
	my $bytes = $option{bytes} // 'bytes';
	my ($family, $packets, $flows) = $option{seven}
	  ? ('NULL::smallint', 'NULL::bigint', 'NULL::bigint') : qw(family packets flows);
	my $step = $steps{$name};

	return $collector->sql(<<"SQL");
SET TimeZone = 'UTC';
WITH want AS (
    SELECT date_bin('$step', time, '2000-01-01') AS time, iface, ingress, remote_asn, local_asn, family,
           (sum(bytes)::float8 * 8 / extract(epoch FROM interval '$step')::float8)::real AS bandwidth,
           sum(bytes)::bigint AS bytes, sum(packets)::bigint AS packets, sum(flows)::bigint AS flows, max(bandwidth)::real AS peak
    FROM (SELECT time, iface, ingress, remote_asn, local_asn, $family AS family, sum(bandwidth::float8) AS bandwidth,
                 sum($bytes)::bigint AS bytes, sum($packets)::bigint AS packets, sum($flows)::bigint AS flows
          FROM $table WHERE time < (SELECT complete_until FROM lastfluss.rollups WHERE name = '$name')
          GROUP BY 1, 2, 3, 4, 5, 6) r
    GROUP BY 1, 2, 3, 4, 5, 6
), have AS (
    SELECT time, iface, ingress, remote_asn, local_asn, family, bandwidth, bytes, packets, flows, peak FROM ${table}_$name
)
SELECT (SELECT count(*) FROM have) || ' rows, ' || count(*) || ' differ'
FROM ((TABLE want EXCEPT ALL TABLE have) UNION ALL (TABLE have EXCEPT ALL TABLE want)) d
SQL
}

# Waits until everything is done that ends before now.
sub wait_rolled_up
{
	my ($collector) = @_;

	$collector->wait_for(<<'SQL');
SELECT bool_and(waiting = 0 AND complete_until > now() - step - interval '1 hour') FROM lastfluss.rollups
SQL
	return;
}

# Ends the maintenance worker, at any moment: by SIGTERM, or by SIGKILL, which
# restarts all of the server (restart_after_crash = on).
sub end_maintenance
{
	my ($collector, $how) = @_;
	my $pid;

	Lastfluss::wait_until(sub { $pid = $collector->process('lastfluss maintenance') })
	  or die 'maintenance does not run';
	select(undef, undef, undef, rand 0.4);
	kill $how, $pid;
	Lastfluss::wait_until(sub { !kill 0, $pid }) or die 'maintenance does not end';
	$collector->poll(q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'lastfluss maintenance'})
	  or die 'maintenance does not come again';
	return;
}

1;
