# The dashboards: every query of every panel, variable and annotation runs as Grafana's
# data source would send it, by the role that examples/grafana makes, on a filled
# database; columns, types and rows are right, and the figures are those of the table.  Their types are checked against
# Grafana's by "make pictures", which needs the npm registry.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use Dashboards;
use Grafana;
use JSON::PP;
use YAML::XS ();
use PostgreSQL::Test::Utils;
use Test::More;

my $root = "$FindBin::RealBin/../../..";
my $hour = 3600;
my $day  = 24 * $hour;
my $asns = 6;

my $boards    = Dashboards->new('dashboards', asns => $asns, days_5m => 8, hours_raw => 12);
my $collector = $boards->{collector};
my $node      = $boards->node;
my $until     = $boards->{until};
my $connect   = $boards->{connect};

#
# The files are what their generator writes.
#

my $fresh = PostgreSQL::Test::Utils::tempdir;
PostgreSQL::Test::Utils::system_or_bail($^X, "$root/dashboards/generate.pl", $fresh);
my @names = sort map { s{.*/(.*)\.json$}{$1}r } glob "$root/dashboards/*.json";
is_deeply(\@names, [ sort map { s{.*/(.*)\.json$}{$1}r } glob "$fresh/*.json" ], 'dashboards/ has what generate.pl writes');
my %dashboard = %{ $boards->{dashboard} };

is(PostgreSQL::Test::Utils::slurp_file("$root/dashboards/$_.json"), PostgreSQL::Test::Utils::slurp_file("$fresh/$_.json"), "$_: as generate.pl writes it")
  for @names;

#
# What Grafana needs of a dashboard beside the types.
#

my %uids;

# Minutes for hours only: from a day on, steps are those that rollups serve.
sub steps
{
	my ($panel) = @_;
	my @wrong;

	for my $span (5 * 60, 3 * $hour, 6 * $hour, 12 * $hour, $day, 2 * $day, 7 * $day, 30 * $day, 90 * $day, 366 * $day)
	{
		my $grafana = Grafana->new(from => 0, to => $span);
		my $step    = $grafana->milliseconds($panel) / 1000;

		push @wrong, "steps of $step s in $span s" if $step < 60 || $span >= $day && $step % 300 != 0 || $span / $step > 400;
	}
	return @wrong;
}

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
		push @wrong, map { "$panel->{title}: $_" } steps($panel) if $panel->{type} eq 'timeseries';
		push @wrong, "$panel->{title}: repeats what is no variable" if defined $panel->{repeat} && !$defined{ $panel->{repeat} };
	}
	push @wrong, map { "\$$_ is no variable" } grep { !$defined{$_} } sort keys %used;
	is(join("\n", @wrong), '', "$name: panels and variables");
}

#
# Queries.
#

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
		my $grafana = $boards->variables($board, \%range);
		my (@queries, @wrong);

		is(join(' ', @{ $grafana->{without} }), '', "$board->{title}: variables have values");

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
# What figures look like where they are missing; what they are is the next tests' matter.
#

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

#
# What the role may not: anything else.
#

sub as_role
{
	my ($sql) = @_;
	my ($status, $out, $err) = $node->psql('postgres', $sql, connstr => $connect);

	return $status == 0 ? 'may' : $err =~ /permission denied|must be (owner|superuser)|read-only/ ? 'may not' : $err;
}

is(as_role($_), 'may not', "the role of Grafana: $_")
  for "SELECT lastfluss.set('period', '10')", "SELECT lastfluss.add_listener()", "SELECT lastfluss.add_interface('x', '192.0.2.1', 1)", "SELECT lastfluss.rollup_again('-infinity', 'infinity')",
  'DELETE FROM traffic', 'UPDATE lastfluss.interface SET role = NULL', 'CREATE TABLE public.x (a int)', 'DROP TABLE traffic', 'SELECT * FROM lastfluss.prefix', 'COPY traffic TO PROGRAM \'true\'';
is($collector->sql("SELECT rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls, (SELECT string_agg(m.roleid::regrole::text, ' ') FROM pg_auth_members m WHERE m.member = r.oid) FROM pg_roles r WHERE rolname = 'grafana'"),
	'f|pg_monitor', 'it is nothing but a reader of the status');
is($collector->sql("SELECT string_agg(c.oid::regclass::text, ' ') FROM pg_class c WHERE c.relnamespace IN ('lastfluss'::regnamespace, 'public'::regnamespace) AND c.relkind IN ('r', 'p', 'v')
	AND has_table_privilege('grafana', c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE, TRIGGER')"), '', 'it changes no table');
is($collector->sql("SELECT string_agg(p.oid::regprocedure::text, ' ') FROM pg_proc p WHERE p.pronamespace = 'lastfluss'::regnamespace AND p.provolatile = 'v'
	AND has_function_privilege('grafana', p.oid, 'EXECUTE') AND p.proname !~ '^(_live|_status|_exporters|_templates|_waiting|_seen_interfaces|doctor|_doctor.*|_free_disk|counter_check|_written_until)\$'"),
	'', 'and runs no function that could');
is($collector->sql("SELECT array_to_string(rolconfig, ' ') FROM pg_roles WHERE rolname = 'grafana'"), 'default_transaction_read_only=on statement_timeout=60s', 'its transactions only read');

#
# Provisioning: keys are those that Grafana documents, and names are those of the other files.
#

my ($sources, $providers) = map { YAML::XS::Load(PostgreSQL::Test::Utils::slurp_file("$root/examples/grafana/provisioning/$_/lastfluss.yaml")) } qw(datasources dashboards);
my %documented = (
	'datasource file' => 'apiVersion datasources deleteDatasources prune',
	datasource        => 'name type access orgId uid url user database basicAuth basicAuthUser withCredentials isDefault jsonData secureJsonData version editable',
	jsonData          => 'database sslmode maxOpenConns maxIdleConns maxIdleConnsAuto connMaxLifetime timeInterval postgresVersion timescaledb tlsConfigurationMethod sslRootCertFile sslCertFile sslKeyFile tlsAuth tlsAuthWithCACert tlsSkipVerify enableSecureSocksProxy',
	secureJsonData    => 'password tlsClientCert tlsClientKey tlsCACert',
	'dashboard file'  => 'apiVersion providers',
	provider          => 'name orgId folder folderUid type disableDeletion updateIntervalSeconds allowUiUpdates options',
	options           => 'path foldersFromFilesStructure');
my ($source, $provider) = ($sources->{datasources}[0], $providers->{providers}[0]);
my %written = ('datasource file' => $sources, datasource => $source, jsonData => $source->{jsonData}, secureJsonData => $source->{secureJsonData},
	'dashboard file' => $providers, provider => $provider, options => $provider->{options});

for my $part (sort keys %documented)
{
	my %known = map { $_ => 1 } split / /, $documented{$part};

	is(join(' ', grep { !$known{$_} } sort keys %{ $written{$part} }), '', "provisioning, $part: keys that Grafana knows");
}
is("$sources->{apiVersion} $providers->{apiVersion} $provider->{type} $source->{access}", '1 1 file proxy', 'provisioning: versions and kinds');
my %wanted = map { $_->{query} => 1 } grep { $_->{type} eq 'datasource' } map { @{ $_->{templating}{list} } } values %dashboard;
is(join(' ', sort keys %wanted), $source->{type}, 'the dashboards choose among data sources of its type');
my %uid = map { $_ => 1 } map { JSON::PP->new->canonical->encode($_) =~ /"uid":"(?!lastfluss-)([^"]*)"/g } values %dashboard;
is(join(' ', sort keys %uid), '${datasource}', 'and refer to it by the variable alone');
like($source->{uid}, qr/^[a-z][\w-]{0,39}$/, 'it has a uid to link to');
is($source->{user}, ($collector->sql("SELECT string_agg(rolname, ' ') FROM pg_roles WHERE rolcanlogin AND NOT rolsuper")), 'its user is the role that role.sql makes');
is($source->{jsonData}{database}, $collector->sql("SELECT boot_val FROM pg_settings WHERE name = 'lastfluss.database'"), 'its database is the one that the collector works in by default');
like($source->{secureJsonData}{password}, qr/^\$\w+$/, 'its password is not in the file');
like(PostgreSQL::Test::Utils::slurp_file("$root/README.md"), qr{^    cp dashboards/\*\.json \Q$provider->{options}{path}\E/$}m, 'dashboards are looked for where the README copies them');

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
