# Figures of the dashboards: what each panel draws or lists is what SQL of its own finds in
# the tables, bytes to the byte.  A panel that is not named here fails.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use Dashboards;
use Grafana;
use IPC::Run ();
use Test::More;

my $hour = 3600;
my $day  = 24 * $hour;

# Rows by hour for more than 40 days, where peaks and percentiles are those of hours.
my $boards    = Dashboards->new('figures', asns => 8, days => 110, days_5m => 8, hours_raw => 12);
my $collector = $boards->{collector};
my $until     = $boards->{until};

# The slot of a bill: the finest rows that are there, zero where there are none, from the
# month's begin to the last slot that is over.
my $slots = <<'SQL';
CREATE TEMPORARY VIEW slot AS
WITH sums AS (
    SELECT t.iface, t.ingress, extract(epoch FROM t.time)::bigint / 300 AS first, 1 AS slots, sum(t.bytes) * 8.0 / 300 AS bits FROM traffic_5m t GROUP BY 1, 2, 3
    UNION ALL
    SELECT t.iface, t.ingress, extract(epoch FROM t.time)::bigint / 300, 12, sum(t.bytes) * 8.0 / 3600 FROM traffic_1h t
    WHERE t.time < (SELECT min(time) FROM traffic_5m) GROUP BY 1, 2, 3
)
SELECT date_trunc('month', to_timestamp(n.slot * 300)) AS month, i.name AS iface, d.ingress, coalesce(s.bits, 0) AS bits
FROM (SELECT generate_series(extract(epoch FROM date_trunc('month', now()) - interval '12 months')::bigint / 300,
                             floor(extract(epoch FROM now() - interval '150 s') / 300)::bigint - 1) AS slot) n
CROSS JOIN (SELECT name FROM lastfluss.interface) i CROSS JOIN (VALUES (true), (false)) d(ingress)
LEFT JOIN (SELECT iface, ingress, first + generate_series(0, slots - 1) AS slot, bits FROM sums) s ON s.slot = n.slot AND s.iface = i.name AND s.ingress = d.ingress;
SQL

# What is in a range: f, the rows; each with what graphs call it.
sub views
{
	my ($range) = @_;
	my $within = sprintf "%s >= to_timestamp(%d) AND %s < to_timestamp(%d)", 'time', $range->{from}, 'time', $range->{to};
	my $grain  = $range->{relation} eq 'traffic' ? 60 : 3600;

	return <<SQL;
\\set ON_ERROR_STOP on
SET TimeZone = 'UTC';
BEGIN;
$slots
CREATE TEMPORARY VIEW f AS
SELECT t.time, t.iface, t.ingress, t.remote_asn, t.local_asn, t.family, t.bytes, t.packets, t.bytes * 8.0 / $grain AS bits,
       coalesce(i.role, 'none') AS role, i.speed, CASE WHEN t.ingress THEN ' in' ELSE ' out' END AS way
FROM $range->{relation} t JOIN lastfluss.interface i ON i.name = t.iface WHERE $within;
CREATE TEMPORARY VIEW h AS SELECT coalesce(host(host), 'collector') AS name, traffic_health.* FROM traffic_health WHERE $within;
SQL
}

#
# What is expected, by dashboard and title: a kind, and SQL of the same columns.  Of series
# the first column is the name and the second the sum over the buckets; kinds of series
# say what is added up of a value: bytes and packets are exact, others agree in six digits.
#

sub list { return join(',', map { "'" . s/'/''/gr . "'" } @{ $_[0] }); }

sub by
{
	my ($name, $where) = @_;

	return [ 'bytes', "SELECT $name || way, sum(bytes) FROM f WHERE " . ($where // 'true') . ' GROUP BY 1' ];
}

sub by_asn
{
	my ($column, $n, $where) = @_;

	return [ 'bytes', "WITH r AS (SELECT $column AS asn, row_number() OVER (ORDER BY sum(bytes) DESC, $column) AS place FROM f WHERE $where AND $column IS NOT NULL GROUP BY 1)
		SELECT coalesce(to_char(r.place, 'FM00') || ' AS' || r.asn || coalesce(' ' || left(a.name, 24), ''), 'others') || way, sum(bytes)
		FROM f LEFT JOIN r ON r.asn = f.$column AND r.place <= $n LEFT JOIN lastfluss.asn a ON a.asn = r.asn WHERE $where GROUP BY 1" ];
}

# The largest mean of what the range's rows stand for, in each bucket.
sub peaks
{
	my ($range, $step) = @_;

	return [ 'value', "SELECT name, sum(most) FROM (SELECT name, floor(extract(epoch FROM time) / $step) AS bucket, max(bits) AS most
		FROM (SELECT role || ' · ' || iface || way AS name, time, sum(bits) AS bits FROM f GROUP BY 1, 2) t GROUP BY 1, 2) b GROUP BY 1" ];
}

# Slots of five minutes, or hours where the range has more than 40 days.
sub percentile
{
	my ($range, $iface, $percent) = @_;
	my $slot = $range->{to} - $range->{from} > 40 * $day ? 3600 : 300;

	return ('value', "SELECT '${percent}th percentile' || way, percentile_disc($percent / 100.0) WITHIN GROUP (ORDER BY bits)
		FROM (SELECT way, floor(extract(epoch FROM time) / $slot), sum(bytes) * 8.0 / $slot AS bits FROM f WHERE iface = '$iface' GROUP BY 1, 2) s GROUP BY 1");
}

sub interfaces
{
	my ($range, $columns, $where) = @_;
	my $seconds = $range->{to} - $range->{from};

	return [ 'rows', "SELECT $columns FROM (
		SELECT iface, role, speed, b_in * 8.0 / $seconds AS mean_in, b_out * 8.0 / $seconds AS mean_out, p_in, p_out,
		       b_in * 8.0 / $seconds / speed AS used_in, b_out * 8.0 / $seconds / speed AS used_out, b_in, b_out
		FROM (SELECT iface, role, speed, coalesce(sum(bytes) FILTER (WHERE ingress), 0) AS b_in, coalesce(sum(bytes) FILTER (WHERE NOT ingress), 0) AS b_out FROM f WHERE $where GROUP BY 1, 2, 3) s
		JOIN (SELECT iface, max(bits) FILTER (WHERE ingress) AS p_in, max(bits) FILTER (WHERE NOT ingress) AS p_out
		      FROM (SELECT iface, ingress, time, sum(bits) AS bits FROM f WHERE $where GROUP BY 1, 2, 3) t GROUP BY 1) p USING (iface)) u
		ORDER BY b_in + b_out DESC, iface" ];
}

sub top
{
	my ($range, $column, $n, $columns, $where) = @_;
	my $seconds = $range->{to} - $range->{from};

	return [ 'rows', "SELECT $columns FROM (
		SELECT CASE WHEN place <= $n THEN place END AS rank, CASE WHEN place <= $n THEN asn END AS asn, sum(b_in) * 8.0 / $seconds AS mean_in, sum(b_out) * 8.0 / $seconds AS mean_out,
		       sum(b_in) AS b_in, sum(b_out) AS b_out, sum(b_in + b_out) / (SELECT sum(bytes) FROM f WHERE $where) AS share
		FROM (SELECT $column AS asn, row_number() OVER (ORDER BY sum(bytes) DESC, $column) AS place,
		             coalesce(sum(bytes) FILTER (WHERE ingress), 0) AS b_in, coalesce(sum(bytes) FILTER (WHERE NOT ingress), 0) AS b_out FROM f WHERE $where GROUP BY 1) s GROUP BY 1, 2) t
		LEFT JOIN lastfluss.asn a USING (asn) ORDER BY rank NULLS LAST" ];
}

sub billing
{
	my ($columns, $where, $percent, $order) = @_;

	return [ 'rows', "SELECT $columns FROM (
		SELECT month, iface, max(p) FILTER (WHERE ingress) AS bill_in, max(p) FILTER (WHERE NOT ingress) AS bill_out, max(p) AS billed
		FROM (SELECT month, iface, ingress, round(percentile_disc($percent / 100.0) WITHIN GROUP (ORDER BY bits)) AS p FROM slot WHERE $where GROUP BY 1, 2, 3) s
		-- a month of which nothing is known has no bill
		WHERE month >= date_trunc('month', (SELECT min(time) FROM traffic_1h)) GROUP BY 1, 2) b JOIN lastfluss.interface i ON i.name = b.iface ORDER BY $order" ];
}

sub health { return [ 'packets', "SELECT name, sum($_[0]) FROM h GROUP BY 1" ]; }

sub expected
{
	my ($name, $range, $grafana, $step) = @_;
	my %v       = %{ $grafana->{variables} };
	my $seconds = $range->{to} - $range->{from};
	my $some    = ref $v{iface} ? 'iface IN (' . list($v{iface}) . ')' : "iface = '" . ($v{iface} // '') . "'";
	my $as      = ref $v{asn} ? 'true' : "remote_asn = $v{asn}";
	my $side    = { 'top-remote-asns' => 'remote_asn', 'top-downstream-asns' => 'local_asn' }->{$name};

	return (
		'By role'      => by('role'),
		'By interface' => by("role || ' · ' || iface"),
		'Utilisation'  => [ 'value', "SELECT role || ' · ' || iface || way, sum(bytes) * 8.0 / $step / speed FROM f WHERE speed > 0 GROUP BY 1, speed" ],
		'Peaks'        => peaks($range, $step),
		'Interfaces in this range' => interfaces($range, 'iface, role, speed, mean_in, mean_out, p_in, p_out, used_in, used_out, b_in, b_out', 'true')) if $name eq 'interfaces';
	return (
		'All interfaces' => by('iface'),
		map { ($_->[0] => by('iface', "role = '$_->[1]'")) } [ 'Customer', 'customer' ], [ 'IXP', 'ixp' ], [ 'PNI', 'pni' ], [ 'Transit', 'transit' ]) if $name eq 'generated';
	return (
		'$iface'              => [ @{ by("'total'", $some) }, percentile($range, $v{iface}, 95) ],
		'Largest remote ASes' => by_asn('remote_asn', $v{n}, $some),
		'IPv4 and IPv6'       => by("'IPv' || family", $some),
		'Packets'             => [ 'packets', "SELECT 'total' || way, sum(packets) FROM f WHERE $some GROUP BY 1" ],
		'Remote ASes'         => top($range, 'remote_asn', 50, 'rank, asn, name, mean_in, mean_out, share', $some),
		'Local ASes'          => top($range, 'local_asn', 50, 'rank, asn, name, mean_in, mean_out, share', $some)) if $name eq 'interface';
	return (
		($name eq 'top-remote-asns' ? 'Top remote ASNs' : 'Top downstream ASNs') => by_asn($side, $v{n}, $some),
		'In this range' => top($range, $side, $v{n}, 'rank, asn, name, country, mean_in, mean_out, b_in, b_out, share', $some),
		'${asn:text}'   => by("role || ' · ' || iface", "$some AND $side IN (" . list($v{asn}) . ')')) if defined $side;
	return (
		'In'       => [ 'rows', "SELECT sum(bytes) * 8.0 / $seconds FROM f WHERE $as AND ingress" ],
		'Out'      => [ 'rows', "SELECT sum(bytes) * 8.0 / $seconds FROM f WHERE $as AND NOT ingress" ],
		'Received' => [ 'rows', "SELECT sum(bytes) FROM f WHERE $as AND ingress" ],
		'Sent'     => [ 'rows', "SELECT sum(bytes) FROM f WHERE $as AND NOT ingress" ],
		'Name'     => [ 'rows', "SELECT $v{asn}, name, country FROM lastfluss.asn WHERE asn = $v{asn}" ],
		'By interface'  => by("role || ' · ' || iface", $as),
		'IPv4 and IPv6' => by("'IPv' || family", $as),
		'Share of all traffic' => [ 'value', "SELECT 'total' || way, sum(share) FROM (SELECT way, floor(extract(epoch FROM time) / $step), sum(bytes) FILTER (WHERE $as) / sum(bytes) AS share FROM f GROUP BY 1, 2) s GROUP BY 1" ],
		'Interfaces' => interfaces($range, 'iface, role, mean_in, mean_out, p_in, p_out, b_in, b_out', $as)) if $name eq 'asn';
	return (
		'Transit and peering' => by('role', "role IN ('transit', 'ixp', 'pni')"),
		'Largest ASes behind transit' => by_asn('remote_asn', 10, "role = 'transit'"),
		map({ ($_->[0] => [ 'rows', "SELECT $_->[1] FROM (
			SELECT row_number() OVER (ORDER BY sum(bytes) DESC, remote_asn) AS rank, remote_asn AS asn, coalesce(sum(bytes) FILTER (WHERE role = 'transit'), 0) * 8.0 / $seconds AS transit,
			       coalesce(sum(bytes) FILTER (WHERE role <> 'transit'), 0) * 8.0 / $seconds AS peering, coalesce(sum(bytes) FILTER (WHERE role = 'transit'), 0)::numeric / sum(bytes) AS share
			FROM f WHERE role IN ('transit', 'ixp', 'pni') GROUP BY 2) s LEFT JOIN lastfluss.asn a USING (asn) WHERE rank <= $v{n} ORDER BY rank" ]) }
			[ 'Transit and peering by AS', "'AS' || asn || coalesce(' ' || left(name, 24), ''), transit, peering" ], [ 'By AS', 'rank, asn, name, transit, peering, share' ]),
		'Peering candidates' => candidates($range, $v{n})) if $name eq 'peering';
	return (
		'Month $month' => billing("iface, bill_in, bill_out, billed, speed, billed / speed", "month = '$v{month}'", $v{percentile}, 'iface'),
		'The last twelve months' => billing("to_char(month, 'YYYY-MM'), iface, bill_in, bill_out, billed", 'true', $v{percentile}, 'month DESC, iface'),
		'${iface}' => [ @{ by("'total'", $some) }, percentile($range, ref $v{iface} ? $v{iface}[0] : $v{iface}, $v{percentile}) ]) if $name eq 'billing';
	return (
		'Datagrams' => health('datagrams'), 'Lost on the way' => health('lost'), 'Dropped by the kernel' => health('dropped'),
		'Not decoded' => health('undecoded'), 'Without a sampling rate' => health('unknown_sampling'), 'Late' => health('late_bytes'),
		'Flows against counters' => [ 'value', "SELECT c.name || c.way, sum(round((t.bytes + 18 * t.packets) / c.octets, 6)) FROM (
			SELECT i.name, n.time - interval '1 min' AS time, d.ingress, CASE WHEN d.ingress THEN ' in' ELSE ' out' END AS way,
			       d.octets - lag(d.octets) OVER (PARTITION BY i.name, d.ingress ORDER BY n.time) AS octets
			FROM lastfluss.counters n JOIN lastfluss.interface i USING (host, id) CROSS JOIN LATERAL (VALUES (true, n.in_octets), (false, n.out_octets)) d(ingress, octets)) c
			JOIN (SELECT iface AS name, ingress, time, sum(bytes) AS bytes, sum(packets) AS packets FROM traffic GROUP BY 1, 2, 3) t USING (name, ingress, time)
			WHERE time >= to_timestamp($range->{from}) AND time < to_timestamp($range->{to}) AND time + interval '1 min' <= now() - interval '150 s' AND c.octets > 0 GROUP BY 1" ],
		# what these say is below, where a router sends
		map { ($_ => undef) } 'State', 'Lag', 'Intervals waiting', 'Exporters', 'Last error', 'Doctor') if $name eq 'health';
	die "no dashboard $name is known here";
}

# Over slots of five minutes, which only the short range's rows have.
sub candidates
{
	my ($range, $n) = @_;
	my $seconds = $range->{to} - $range->{from};

	return undef if $range->{relation} ne 'traffic';
	return [ 'rows', "WITH c AS (
			SELECT remote_asn AS asn, sum(bytes) FILTER (WHERE role = 'transit') AS bytes FROM f WHERE role IN ('transit', 'ixp', 'pni') GROUP BY 1
			HAVING sum(bytes) FILTER (WHERE role = 'transit') > 0 AND coalesce(sum(bytes) FILTER (WHERE role <> 'transit'), 0) <= 0.01 * sum(bytes)
		), s AS (
			SELECT ingress, floor(extract(epoch FROM time) / 300) AS slot, remote_asn AS asn, sum(bytes) AS bytes FROM f WHERE role = 'transit' GROUP BY 1, 2, 3
		), whole AS (
			SELECT g.slot, d.ingress, coalesce(sum(s.bytes), 0) AS bytes
			FROM generate_series($range->{from} / 300, $range->{to} / 300 - 1) g(slot) CROSS JOIN (VALUES (true), (false)) d(ingress) LEFT JOIN s ON s.slot = g.slot AND s.ingress = d.ingress GROUP BY 1, 2
		), bill AS (
			SELECT c.asn, max(bits) AS bits, max(less) AS less FROM c CROSS JOIN LATERAL (
				SELECT percentile_disc(0.95) WITHIN GROUP (ORDER BY w.bytes) * 8 / 300 AS bits, percentile_disc(0.95) WITHIN GROUP (ORDER BY w.bytes - coalesce(s.bytes, 0)) * 8 / 300 AS less
				FROM whole w LEFT JOIN s ON s.slot = w.slot AND s.ingress = w.ingress AND s.asn = c.asn GROUP BY w.ingress) p GROUP BY 1
		)
		SELECT row_number() OVER (ORDER BY c.bytes DESC, c.asn), c.asn, a.name,
			round(coalesce((SELECT sum(bytes) FROM s WHERE s.asn = c.asn AND ingress), 0) * 8.0 / $seconds), round(coalesce((SELECT sum(bytes) FROM s WHERE s.asn = c.asn AND NOT ingress), 0) * 8.0 / $seconds),
			round(100.0 * c.bytes / (SELECT sum(bytes) FROM s), 2) / 100, round(b.bits), round(b.less)
		FROM c JOIN bill b USING (asn) LEFT JOIN lastfluss.asn a USING (asn) ORDER BY 1 LIMIT $n" ];
}

#
# Both are asked in one transaction.
#

my %factor = (bytes => 'round((value * %1$s / 8)::numeric)', packets => 'round((value * %1$s)::numeric)', value => 'value');

# What is wrong with a panel's answer, by what was expected.
sub difference
{
	my ($kind, $got, $want) = @_;
	my @got  = map { [ split /\t/, $_, -1 ] } split /\n/, $got;
	my @want = map { [ split /\t/, $_, -1 ] } split /\n/, $want;

	return 'nothing is expected' unless @want;
	return sprintf("%d rows instead of %d:\n%s\ninstead of\n%s", scalar(@got), scalar(@want), $got, $want) if @got != @want;
	for my $row (0 .. $#want)
	{
		for my $column (0 .. $#{ $want[$row] })
		{
			my ($g, $w) = ($got[$row][$column] // '(no column)', $want[$row][$column]);
			my $exact = $kind eq 'bytes' || $kind eq 'packets' || $w !~ /^-?[\d.]+(e[-+]?\d+)?$/ || "$w $g" =~ /^\d+ \d+$/;
			my $same = $exact ? $g eq $w : $g =~ /^-?[\d.]+(e[-+]?\d+)?$/ && abs($g - $w) <= 2e-6 * abs($w) + 1e-9;

			# what "all the others" are called is the list's
			return "row $row, column $column: $g instead of $w" unless $same || $w eq '' && $g eq 'all the others';
		}
	}
	return;
}

sub ask
{
	my ($script) = @_;
	my ($out, $err) = ('', '');

	IPC::Run::run([ 'psql', '-XqAt', '-F', "\t", '-d', $boards->{connect}, '-f', '-' ], '<', \$script, '>', \$out, '2>', \$err) or BAIL_OUT("$err\n$script");
	my @answers = split /^::.*\n/m, $out, -1;
	shift @answers;
	return @answers;
}

sub check
{
	my ($name, $range, $what) = @_;
	my $board   = $boards->{dashboard}{$name};
	my $grafana = $boards->variables($board, $range);
	my $script  = views($range);
	my (@asked, @wrong, %named);

	for my $panel (@{ $board->{panels} })
	{
		my $of = $panel->{repeat};

		# Of a repeated panel the first and the last one.
		for my $value (defined $of ? @{ $grafana->{variables}{$of} }[ 0, -1 ] : undef)
		{
			my $one  = Grafana->new(%$grafana, variables => { %{ $grafana->{variables} }, defined $of ? ($of => [$value]) : () });
			my $step = $one->milliseconds($panel) / 1000;
			my %all  = expected($name, $range, $one, $step);
			my $title = $panel->{title} =~ s/ \(\$above above\)$//r;
			my (@parts, @targets);

			if (!exists $all{$title})
			{
				push @wrong, "$title: no figures are expected";
				next;
			}
			$named{$title} = 1;
			next unless defined $all{$title};
			@parts   = @{ $all{$title} };
			@targets = map { $one->expand($_->{rawSql}, $panel) } @{ $panel->{targets} };
			# The two directions are two queries, and so are these of a second kind.
			while (my ($kind, $sql) = splice(@parts, 0, 2))
			{
				my @queries = splice(@targets, 0, @parts && @targets > 2 ? 2 : @parts ? 1 : @targets);

				if ($kind eq 'rows')
				{
					$script .= "\\echo :: panel\n$queries[0];\n\\echo :: expected\n$sql;\n";
				}
				else
				{
					my $sum = $kind eq 'value' && $sql =~ /percentile_disc/ ? 'max(value)' : 'sum(' . sprintf($factor{$kind}, $step) . ')';

					$script .= "\\echo :: panel\nSELECT metric, $sum FROM (" . join(' UNION ALL ', map { "(SELECT metric, value::float8 FROM ($_) q)" } @queries) . ") p GROUP BY 1 HAVING $sum <> 0 ORDER BY metric COLLATE \"C\";\n"
					  . "\\echo :: expected\nSELECT * FROM ($sql) e(name, value) WHERE value <> 0 ORDER BY name COLLATE \"C\";\n";
				}
				push @asked, [ $title . (defined $value ? " ($value)" : ''), $kind ];
			}
		}
	}
	my @answers = ask($script . "ROLLBACK;\n");

	for my $i (0 .. $#asked)
	{
		my ($title, $kind) = @{ $asked[$i] };
		my $empty_too = $title =~ /^(Lost|Dropped|Not decoded|Without|Flows)/ && $answers[2 * $i] eq '' && $answers[2 * $i + 1] eq '';
		my $problem = $empty_too ? undef : difference($kind, $answers[2 * $i], $answers[2 * $i + 1]);

		push @wrong, "$title: $problem" if defined $problem;
	}
	is(join("\n", @wrong), '', sprintf('%s, %s: figures of %d panels', $board->{title}, $what, scalar keys %named));
	cmp_ok(scalar(@asked), '>', 0, "$board->{title}, $what: something was compared");
	return;
}

for my $span ([ 6 * $hour, 'traffic', '6 hours' ], [ 100 * $day, 'traffic_1h', '100 days' ])
{
	# Whole buckets: of a minute, and of six hours.
	my $to    = $until - $until % ($span->[0] > $day ? $day : 300);
	my %range = (from => $to - $span->[0], to => $to, relation => $span->[1]);

	check($_, \%range, $span->[2]) for sort keys %{ $boards->{dashboard} };
}

#
# Collector health, while a router sends.
#

sub health_panel
{
	my ($title, $columns) = @_;
	my ($panel) = grep { $_->{title} eq $title && (!defined $columns || $_->{type} eq 'table') } @{ $boards->{dashboard}{health}{panels} };
	my $grafana = Grafana->new(from => $until - $hour, to => $until, variables => {});
	my $sql     = $grafana->expand($panel->{targets}[0]{rawSql}, $panel);

	return $boards->node->safe_psql('postgres', 'SELECT ' . ($columns // '*') . " FROM ($sql) p", connstr => $boards->{connect});
}

is(health_panel('State'), 'no listener', 'State, before there is one');
like(health_panel('Doctor', 'status, topic, advice'), qr/^(error|warning)\|listener\|.*add_listener/, 'Doctor says what to do');
is(health_panel('Exporters'), '0', 'Exporters: none sends');

$collector->sql("SELECT lastfluss.set('attribution', 'arrival'); SELECT lastfluss.set('window', '0'); SELECT lastfluss.set('period', '1')");
$collector->listen;
$collector->configure("SELECT lastfluss.add_interface('Lab', '127.0.0.11', 1, 1)");
my $router = $collector->exporter('v9', from => '127.0.0.11');
$router->send({ in => 1, out => 2, src_as => 64500, bytes => 1000, packets => 1 }) for 1 .. 3;
$collector->wait_written;
$collector->wait_for('SELECT last_interval IS NOT NULL FROM lastfluss.status', 't');

is(health_panel('State'), 'collecting', 'State');
is(health_panel('Intervals waiting'), '0', 'Intervals waiting');
is(health_panel('Exporters'), '1', 'Exporters: one sends');
is(health_panel('Last error'), 'none', 'Last error');
is(health_panel('Exporters', 'host, protocol, records, lost, waiting_sets, errors'), '127.0.0.11|NetFlow v9|3|0|0|{}', 'Exporters, the table');
cmp_ok(health_panel('Lag'), '<=', $collector->sql("SELECT extract(epoch FROM clock_timestamp() - max(time)) FROM traffic WHERE iface = 'Lab'") + 0, 'Lag is the age of the newest interval');
cmp_ok(health_panel('Lag'), '>', 0, 'Lag');
unlike(health_panel('Doctor', 'status, topic'), qr/^error\|(listener|collector)/m, 'Doctor is content with the collector');

done_testing();
