# The dashboards: every query of every panel, variable and annotation runs as Grafana's
# data source would send it, by the role that examples/grafana makes, on a filled
# database; columns, types and rows are right, and the figures are those of the table.  Their types are checked against
# Grafana's by "make pictures", which needs the npm registry.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use File::Temp ();
use Grafana;
use JSON::PP;
use Lastfluss;
use PostgreSQL::Test::Utils;
use Test::More;

my $root = "$FindBin::RealBin/../../..";
my $hour = 3600;
my $day  = 24 * $hour;
my $asns = 6;

my $collector = Lastfluss->new('dashboards', extension => 0, start => 0);
my $node      = $collector->node;

# While the database is filled, the collector is to be elsewhere.
$node->append_conf('postgresql.conf', "lastfluss.database = 'elsewhere'\njit = off\n");
$node->start;
$collector->sql('CREATE EXTENSION lastfluss');
my $until = $collector->sql("SELECT extract(epoch FROM date_trunc('hour', now()))::bigint");
PostgreSQL::Test::Utils::system_or_bail('psql', '-Xq', '-1', '-d', $node->connstr('postgres'), '-v', "asns=$asns",
	'-v', 'days_5m=8', '-v', 'hours_raw=12', '-v', "names=$root/examples/demo/asns.txt", '-v', "until=" . Grafana::timestamp($until),
	'-f', "$root/src/test/fill.sql");
$node->adjust_conf('postgresql.conf', 'lastfluss.database', "'postgres'");
$node->restart;
$collector->wait_for("SELECT state FROM lastfluss.status", 'no listener');
PostgreSQL::Test::Utils::system_or_bail('psql', '-Xq', '-d', $node->connstr('postgres'), '-f', "$root/examples/grafana/role.sql");

#
# The files are what their generator writes.
#

my $fresh = PostgreSQL::Test::Utils::tempdir;
PostgreSQL::Test::Utils::system_or_bail($^X, "$root/dashboards/generate.pl", $fresh);
my @names = sort map { s{.*/(.*)\.json$}{$1}r } glob "$root/dashboards/*.json";
is_deeply(\@names, [ sort map { s{.*/(.*)\.json$}{$1}r } glob "$fresh/*.json" ], 'dashboards/ has what generate.pl writes');
my %dashboard;

for my $name (@names)
{
	my $text = PostgreSQL::Test::Utils::slurp_file("$root/dashboards/$name.json");

	is($text, PostgreSQL::Test::Utils::slurp_file("$fresh/$name.json"), "$name: as generate.pl writes it");
	$dashboard{$name} = JSON::PP->new->utf8->decode($text);
}
$dashboard{generated} = JSON::PP->new->utf8->decode($collector->sql("SELECT lastfluss.dashboard('interfaces')"));

#
# What Grafana needs of a dashboard beside the types.
#

my %uids;

for my $name (sort keys %dashboard)
{
	my $board   = $dashboard{$name};
	my @panels  = @{ $board->{panels} };
	my %defined = map { $_->{name} => 1 } @{ $board->{templating}{list} };
	my %used    = map { $_ => 1 } JSON::PP->new->canonical->encode($board) =~ /\$\{?(?!__)([a-z]\w*)/g;
	my (%ids, %cells, @wrong);

	ok($board->{uid} =~ /^lastfluss-/ && !$uids{ $board->{uid} }++, "$name: a uid of its own");
	for my $panel (@panels)
	{
		my $at = $panel->{gridPos};

		push @wrong, "$panel->{title}: id" if $ids{ $panel->{id} }++;
		push @wrong, "$panel->{title}: wider than the page" if $at->{x} + $at->{w} > 24;
		for my $x ($at->{x} .. $at->{x} + $at->{w} - 1)
		{
			push @wrong, "$panel->{title}: overlaps" if grep { $cells{"$x $_"}++ } $at->{y} .. $at->{y} + $at->{h} - 1;
		}
		my %refs;
		push @wrong, map { "$panel->{title}: refId $_->{refId}" } grep { $refs{ $_->{refId} }++ } @{ $panel->{targets} };
		push @wrong, "$panel->{title}: data source"
		  if grep { $_->{type} ne 'grafana-postgresql-datasource' || $_->{uid} ne '${datasource}' } $panel->{datasource}, map { $_->{datasource} } @{ $panel->{targets} };
		push @wrong, "$panel->{title}: repeats what is no variable" if defined $panel->{repeat} && !$defined{ $panel->{repeat} };
	}
	push @wrong, map { "\$$_ is no variable" } grep { !$defined{$_} } sort keys %used;
	is(join("\n", @wrong), '', "$name: panels and variables");
}

#
# Queries.
#

my $connect = $node->connstr('postgres') . " user=grafana options='-c default_transaction_read_only=off'";

# Each query is made a table, so that the server says what its columns are.
sub run_queries
{
	my @queries = @_;
	my $script = "\\set ON_ERROR_STOP on\nSET TimeZone = 'UTC';\n";
	my ($out, $err);
	my $number = 0;

	for my $query (@queries)
	{
		my $table = 'q' . $number++;

		$script .= "\\echo :: $table\nCREATE TEMPORARY TABLE $table AS $query->{sql}\n;\n"
		  . "SELECT string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = '$table'::regclass AND attnum > 0;\n"
		  . "SELECT count(*) FROM $table;\n";
		$script .= "$_\n" for map { s/\bTABLE_\b/$table/gr } @{ $query->{ask} // [] };
	}
	IPC::Run::run([ 'psql', '-XqAt', '-d', $connect, '-f', '-' ], '<', \$script, '>', \$out, '2>', \$err);
	my @answers = map { [ split /\n/ ] } split /^:: q\d+\n/m, $out;
	shift @answers;
	for my $i (0 .. $#queries)
	{
		$queries[$i]{columns} = $answers[$i][0];
		$queries[$i]{rows}    = $answers[$i][1];
		$queries[$i]{answers} = [ @{ $answers[$i] // [] }[ 2 .. $#{ $answers[$i] // [] } ] ];
	}
	my ($failed) = grep { !defined $_->{rows} } @queries;
	fail("$failed->{what}: $err\n$failed->{sql}") if $failed;
	return !$failed;
}

# The values of a dashboard's variables.
sub variables
{
	my ($board, $range) = @_;
	my $grafana = Grafana->new(%$range, variables => { datasource => 'x', asn => '15169' });

	return $grafana->choose($board, sub {
		my ($sql, $name) = @_;
		my @rows = map { [ split /\t/ ] }
		  split /\n/, $node->safe_psql('postgres', "SELECT * FROM ($sql) v", connstr => $connect, extra_params => [ '-F', "\t" ]);

		ok(@rows > 0, "$board->{title}: variable $name has values");
		return @rows;
	});
}

# A series: time first, then its name and a number; in the order of time, each moment once
# and as many points in each series as in all others.
sub check_series
{
	my ($query, $seconds, $range) = @_;
	my ($ordered, $twice, $points, $series, $nulls) = split /\|/, $query->{answers}[0];
	my $most = ($range->{to} - $range->{from}) / $seconds + 2;

	return 'columns' unless $query->{columns} =~ /^"?time"? timestamp with time zone, metric text, \w+ (double precision|numeric|bigint)$/;
	return 'no rows' unless $query->{rows} > 0;
	return 'not in the order of time' unless $ordered eq 't';
	return 'a moment twice' if $twice > 0;
	return "$points points, more than $most" if $points > $most;
	return 'nothing but gaps' if $nulls == $query->{rows};
	return "$series series" if $series < 1 || $series > 60;
	return;
}

my $series_ask = q{SELECT (SELECT coalesce(bool_and(ordered), true) FROM (SELECT time >= lag(time) OVER (ORDER BY ctid) AS ordered FROM TABLE_) o),
	(SELECT count(*) FROM (SELECT FROM TABLE_ GROUP BY time, metric HAVING count(*) > 1) d),
	(SELECT count(DISTINCT time) FROM TABLE_), (SELECT count(DISTINCT metric) FROM TABLE_), (SELECT count(*) FROM TABLE_ WHERE value IS NULL);};

# Panels that may well be empty.
my %may_be_empty = map { $_ => 1 } 'Flows against counters', 'Exporters', 'Doctor';

my %ran;

for my $span (5 * 60, 366 * $day)
{
	# A range of which the end is whole hours, so that buckets are, too.
	my %range = (from => $until - $span, to => $until);

	for my $name (sort keys %dashboard)
	{
		my $board   = $dashboard{$name};
		my $grafana = variables($board, \%range);
		my (@queries, @wrong);

		for my $panel (@{ $board->{panels} })
		{
			my $one = $grafana->for_panel($panel);

			eval { $one->title($panel->{title}); 1 } or push @wrong, "$panel->{title}: $@";
			for my $target (@{ $panel->{targets} })
			{
				my $sql = eval { $one->expand($target->{rawSql}, $panel) };

				if (!defined $sql)
				{
					push @wrong, "$panel->{title}: $@";
					next;
				}
				# What does not depend on the range runs once.
				next if $sql !~ /\d\d:\d\d:\d\dZ/ && $ran{"$name $sql"}++;
				push @queries, {
					what => "$board->{title}, $panel->{title}, $target->{refId}", sql => $sql, panel => $panel, format => $target->{format},
					seconds => $one->milliseconds($panel) / 1000, ask => $target->{format} eq 'time_series' ? [$series_ask] : [] };
			}
		}
		for my $annotation (@{ $board->{annotations}{list} })
		{
			push @queries, { what => "$board->{title}, $annotation->{name}", sql => $grafana->expand($annotation->{target}{rawSql}), format => 'annotation', ask => [] };
		}

		next unless run_queries(@queries);
		for my $query (@queries)
		{
			my $title = $query->{panel}{title} // '';
			my $problem;

			if ($query->{format} eq 'annotation')
			{
				$problem = "columns: $query->{columns}"
				  if $query->{columns} ne '"time" timestamp with time zone, timeend timestamp with time zone, text text, tags text'
				  && $query->{columns} ne 'time timestamp with time zone, timeend timestamp with time zone, text text, tags text';
				$problem = 'no losses' if $span > $day && $query->{rows} < 1;
			}
			elsif ($query->{rows} == 0)
			{
				$problem = 'no rows' unless $may_be_empty{$title};
			}
			elsif ($query->{format} eq 'time_series')
			{
				$problem = check_series($query, $query->{seconds}, \%range);
				# a percentile is a line of two points
				$problem = undef if defined $problem && $problem eq 'a moment twice' && $span < 600;
			}
			push @wrong, "$query->{what}: $problem" if defined $problem;
		}
		is(join("\n", @wrong), '', sprintf('%s: %d queries of %s', $board->{title}, scalar(@queries), $span < $hour ? '5 minutes' : $span / $day . ' days'));
	}
}

#
# Figures: what a panel draws is, to the byte, what the table has.
#

my %relation = (6 * $hour => 'traffic', 366 * $day => 'traffic_1h');

my %variables;

# Bytes drawn in the graphs of a panel, by direction.
sub drawn
{
	my ($name, $title, $range) = @_;
	my $grafana = $variables{"$name $range->{from}"} //= variables($dashboard{$name}, $range);
	my ($panel) = grep { $_->{title} =~ /^\Q$title\E/ } @{ $dashboard{$name}{panels} };
	my $seconds = $grafana->milliseconds($panel) / 1000;

	return $node->safe_psql('postgres', 'SELECT ' . join(', ', map { "(SELECT sum(round((value * $seconds / 8)::numeric)) FROM (" . $grafana->expand($_->{rawSql}, $panel) . ') t)' }
		grep { $_->{refId} =~ /^[AB]$/ } @{ $panel->{targets} }), connstr => $connect);
}

sub stored
{
	my ($span, $range, $where) = @_;

	return $collector->sql("SELECT sum(bytes) FILTER (WHERE ingress), sum(bytes) FILTER (WHERE NOT ingress) FROM $relation{$span}
		WHERE time >= to_timestamp($range->{from}) AND time < to_timestamp($range->{to}) AND $where");
}

for my $span (6 * $hour, 366 * $day)
{
	# Whole buckets of the longest step, which are half a day or a whole one.
	my $to    = $span > $day ? $until - $until % $day : $until - $until % (5 * 60);
	my %range = (from => $to - $span, to => $to);
	my $what  = $span < $day ? '6 hours' : $span / $day . ' days';

	for my $check (
		[ 'interfaces', 'By role', 'true' ],
		[ 'interfaces', 'By interface', 'true' ],
		[ 'generated', 'All interfaces', 'true' ],
		[ 'generated', 'Transit', "iface LIKE 'Transit%'" ],
		[ 'interface', '$iface', "iface = 'AMS-IX'" ],
		[ 'interface', 'Largest remote ASes', "iface = 'AMS-IX'" ],
		[ 'interface', 'IPv4 and IPv6', "iface = 'AMS-IX'" ],
		[ 'top-remote-asns', 'Top remote ASNs', 'true' ],
		[ 'top-downstream-asns', 'Top downstream ASNs', 'true' ],
		[ 'asn', 'By interface', 'remote_asn = 15169' ],
		[ 'asn', 'IPv4 and IPv6', 'remote_asn = 15169' ],
		[ 'peering', 'Transit and peering', "iface NOT LIKE 'Customer%'" ],
		[ 'peering', 'Largest ASes behind transit', "iface LIKE 'Transit%'" ])
	{
		my ($name, $title, $where) = @$check;

		is(drawn($name, $title, \%range), stored($span, \%range, $where), "$name, $title: $what to the byte");
	}

	# Tables.
	is($node->safe_psql('postgres', "SELECT sum(bytes_in), sum(bytes_out) FROM lastfluss.graph_top(to_timestamp($range{from}), to_timestamp($range{to}), 'remote asn', 5)", connstr => $connect),
		stored($span, \%range, 'true'), "the top list: $what to the byte");
	is($node->safe_psql('postgres', "SELECT sum(bytes_in), sum(bytes_out) FROM lastfluss.graph_interfaces(to_timestamp($range{from}), to_timestamp($range{to}))", connstr => $connect),
		stored($span, \%range, 'true'), "interfaces: $what to the byte");
}

# A gap is a gap, and silence is zero.
my $yesterday = $until - $until % $day - $day;
is($node->safe_psql('postgres', "SELECT count(*) FILTER (WHERE value IS NULL), count(*) FILTER (WHERE value > 0), count(*)
	FROM lastfluss.graph(to_timestamp($yesterday + 3 * 3600), to_timestamp($yesterday + 6 * 3600), '5 min', by => 'total', direction => 'in')", connstr => $connect),
	'8|28|36', 'nobody collected for 40 minutes');
is($node->safe_psql('postgres', "SELECT count(*) FILTER (WHERE value = 0), count(*) FILTER (WHERE value IS NULL), count(*)
	FROM lastfluss.graph(to_timestamp($yesterday + 3 * 3600), to_timestamp($yesterday + 6 * 3600), '5 min', by => 'total', direction => 'in', remote_asn => 15169, iface => '{AMS-IX,PNI Google}', local_asn => 64500) WHERE metric = 'total in'", connstr => $connect),
	'0|8|36', 'the same for a part');

# The peak of a day is that of its hours, not its mean.
is($node->safe_psql('postgres', "SELECT abs((SELECT max(value) FROM lastfluss.graph(to_timestamp($until - 366 * $day), to_timestamp($until), '1 day', by => 'interface', direction => 'in', measure => 'peak') WHERE metric = 'PNI Google in')
	/ (SELECT max(sum) FROM (SELECT sum(bandwidth::float8) FROM traffic_1h WHERE iface = 'PNI Google' AND ingress GROUP BY time) h) - 1) < 0.0001", connstr => $connect),
	't', 'peaks in a year');

# What the role may not.
my ($status, $out, $err) = $node->psql('postgres', "SELECT lastfluss.set('period', '10')", connstr => $connect);
isnt($status, 0, 'the role of Grafana changes nothing');

# Colours are said twice.
is_deeply(
	{ map { my $m = $_; map { $m->{matcher}{options} =~ m{^/\^(\w+) \(in\|out\)\$/$} ? ($1 => $_->{value}{fixedColor}) : () } grep { $_->{id} eq 'color' } @{ $m->{properties} } }
		  @{ $dashboard{interfaces}{panels}[0]{fieldConfig}{overrides} } },
	{ map { split /\|/ } split /\n/, $collector->sql("SELECT r, lastfluss._role_color(r) FROM unnest('{transit,ixp,pni,customer,core,none}'::text[]) r") },
	'a role has the same colour everywhere');

# The generated dashboard follows the configuration.
$collector->sql(q{UPDATE lastfluss.interface SET color = '#123456' WHERE name = 'AMS-IX'; UPDATE lastfluss.interface SET role = 'my own' WHERE name = 'PNI Google'});
my $generated = JSON::PP->new->utf8->decode($collector->sql("SELECT lastfluss.dashboard('interfaces')"));
is_deeply([ map { $_->{title} } @{ $generated->{panels} } ],
	[ map { "$_ (\$above above)" } 'All interfaces', 'Customer', 'IXP', 'My own', 'PNI', 'Transit' ], 'a panel for each role');
is_deeply([ map { $_->{properties}[0]{value}{fixedColor} } grep { $_->{matcher}{options} eq '/^AMS\-IX (in|out)$/' } @{ $generated->{panels}[0]{fieldConfig}{overrides} } ],
	['#123456'], 'an interface has its own colour');

done_testing();
