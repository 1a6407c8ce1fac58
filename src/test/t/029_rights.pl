# Whoever is no administrator tries everything: each function and each table of the
# extension, as an ordinary role, and as each of those that examples/roles.sql makes.
# What is not theirs is refused, and what a customer gets has nothing of another's.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use JSON::PP qw(decode_json);
use Lastfluss;
use PostgreSQL::Test::Utils;
use Test::More;

plan skip_all => 'Citus takes no policy with a subquery, as examples/roles.sql has them' if Lastfluss::tests_on_citus();

my $checkout  = "$FindBin::RealBin/../../..";
my $collector = Lastfluss->new('rights', init => { allows_streaming => 'logical' });
my $node      = $collector->node;

$collector->configure(
	q{SELECT lastfluss.add_interface('Customer Hosting', '127.0.0.11', 1, role => 'customer')},
	q{SELECT lastfluss.add_interface('Customer Video 1', '127.0.0.11', 2, role => 'customer')},
	q{SELECT lastfluss.add_interface('Secret Transit', '127.0.0.11', 3, role => 'transit')},
	q{SELECT lastfluss.set('period', '1')});
my $router = $collector->exporter('v9', from => '127.0.0.11');
$router->send(map { { in => $_, out => 9, src_as => 64500 + $_, bytes => 1000003 * $_, packets => 1 } } 1 .. 3);
$collector->wait_written;
$collector->sql(q{SELECT lastfluss.import_asns('64503 SECRETNET, DE')});
$collector->sql(q{SELECT lastfluss.publish('secretsite')});
# A rollup too
$collector->wait_for(q{SELECT to_regclass('traffic_1d_local') IS NOT NULL});

for my $again (1, 2)
{
	$node->command_ok([ 'psql', '-X', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'), '-f', "$checkout/examples/roles.sql" ],
		"roles.sql, time $again");
}
$collector->sql(<<'SQL');
CREATE ROLE stranger LOGIN;
CREATE ROLE reader LOGIN IN ROLE lastfluss_reader;
CREATE ROLE alice LOGIN IN ROLE lastfluss_admin;
SQL

# Runs SQL as a role that logs in; its status, output and error.
sub as
{
	my ($role, $sql) = @_;

	return $node->psql('postgres', "BEGIN; $sql", extra_params => [ '-U', $role ], on_error_stop => 1, timeout => 60);
}

# Runs many statements as that role, each by itself and rolled back: for each the state
# (00000: it works), and the error or the rows.
sub try_all
{
	my ($role, @statements) = @_;
	my $list = join ', ', map { "\$s\$$_\$s\$" } @statements;
	my (undef, undef, $said) = $node->psql('postgres', <<"SQL", extra_params => [ '-U', $role ]);
DO \$do\$
DECLARE
    statement text;
    said      text;
    state     text;
BEGIN
    FOREACH statement IN ARRAY ARRAY[$list] LOOP
        BEGIN
            said := NULL;
            IF statement LIKE 'SELECT %' THEN
                EXECUTE format('SELECT string_agg(t::text, E''\\n'') FROM (%s) t', statement) INTO said;
            ELSE
                EXECUTE statement;
            END IF;
            RAISE EXCEPTION USING ERRCODE = 'LF000', MESSAGE = coalesce(said, '-');
        EXCEPTION WHEN OTHERS THEN
            state := replace(SQLSTATE, 'LF000', '00000');
            said := SQLERRM;
        END;
        RAISE INFO 'result %', json_build_object('statement', statement, 'state', state, 'said', said);
    END LOOP;
END;
\$do\$
SQL
	my @results = map { decode_json($_) } $said =~ /^.*INFO:  result (.*)$/mg;

	is(scalar(@results), scalar(@statements), "$role tries " . @statements . ' statements') or diag($said);
	return @results;
}

# 42501 is said of what is no right; 42809 and 55000 where it is a view.
sub is_refused { return $_[0]{state} eq '42501'; }

#
# Tables and views, in every way.
#
my @relations = split /\n/, $collector->sql(q{SELECT c.oid::regclass FROM pg_class c
	WHERE (c.relnamespace = 'lastfluss'::regnamespace OR c.relnamespace = 'public'::regnamespace) AND c.relkind IN ('r', 'v', 'p') ORDER BY 1});
my @private = grep { /\._/ } @relations;
my %written = map { ("lastfluss.$_" => 1) } qw(interface listener setting asn prefix counters);

cmp_ok(scalar(@relations), '>', 25, 'there are tables');

sub try_tables
{
	my ($role, $reads, $writes) = @_;
	my @read = map { $_->{statement} =~ /FROM (.*)/ } grep { !is_refused($_) } try_all($role, map { "SELECT * FROM $_" } @relations);
	my @wrote = map { "$_->{statement}: $_->{state}" } grep { !is_refused($_) && $_->{state} !~ /^(42809|55000)$/ } try_all($role, map {
		my $relation = $_;

		(($writes->($relation) ? () : ("INSERT INTO $relation DEFAULT VALUES", "DELETE FROM $relation")), "TRUNCATE $relation",
			"CREATE TRIGGER t BEFORE INSERT ON $relation FOR EACH STATEMENT EXECUTE FUNCTION lastfluss._config_changed()",
			"DROP TABLE $relation", "ALTER TABLE $relation OWNER TO $role") } @relations);

	is(join(' ', grep { !$reads->($_) } @read), '', "$role reads no table that it should not");
	is(join("\n", @wrote), '', 'and writes none');
	return @read;
}

my $nothing = sub { 0 };

is(scalar(try_tables('stranger', $nothing, $nothing)), 0, 'a stranger reads nothing at all');
my $reads = sub { $_[0] !~ /\._|\.(listener|setting|prefix)$/ };
my %read = map { $_ => 1 } try_tables('reader', $reads, $nothing);
is(join(' ', grep { !$read{$_} } qw(traffic traffic_5m traffic_1d_local traffic_health lastfluss.live lastfluss.status lastfluss.counters lastfluss.interface)),
	'', 'the reader reads what it is for');
%read = map { $_ => 1 } try_tables('alice', sub { $_[0] !~ /\._/ }, sub { $written{ $_[0] } });
is(join(' ', grep { !$read{$_} } keys %written), '', 'the administrator reads the configuration');
# the table and its rollups, but no partition by itself; of these its own rows
my @seen = try_tables('customer_video', sub { $_[0] =~ /^traffic(_\d+[a-z])?(_total|_remote|_local)?$/ }, $nothing);
is(join(' ', map { $_->{statement} } grep { $_->{said} =~ /Secret|Hosting/ } try_all('customer_video', map { "SELECT * FROM $_" } @seen)), '', 'and of these no row of others');

#
# Functions.  Arguments by type, such as somebody could think of.
#
# (a strict function is not called with null)
my $parcel = q{ROW(1, 'a', now(), 1, NULL, '{A}', NULL, '{1}', '{t}', '{1}', '{1}', '{4}', '{1}', '{1}', '{1}')::lastfluss._parcel};
my %argument = (
	text => q{'lastfluss'}, inet => q{'127.0.0.11'}, bigint => '1', integer => '1', boolean => 'true',
	interval => q{'1 day'}, 'timestamp with time zone' => 'now()', 'double precision' => '0.5', date => 'current_date',
	bytea => q{''}, 'bytea[]' => q{'{}'}, regclass => q{'traffic'}, regrole => 'current_user::regrole', oid => '0', 'text[]' => q{NULL::text[]},
	'bigint[]' => 'NULL::bigint[]', numeric => '1', anyarray => 'NULL::text[]', jsonb => q{'{}'}, 'lastfluss._parcel' => $parcel,
	'double precision[]' => 'NULL::double precision[]', real => '1', smallint => '1', name => q{'lastfluss'});
my @functions = map { my ($call, $types, $kind, $definer) = split /\|/; { name => $call, types => [ split /;/, $types ], definer => $definer } }
  split /\n/, $collector->sql(q{SELECT p.oid::regproc::text || '|' ||
	(SELECT coalesce(string_agg(format_type(t, NULL), ';' ORDER BY i), '') FROM unnest(p.proargtypes) WITH ORDINALITY u(t, i)) || '|' || p.prokind::text || '|' || p.prosecdef
	FROM pg_proc p WHERE p.pronamespace = 'lastfluss'::regnamespace AND p.prorettype <> 'trigger'::regtype
	-- (what takes "internal" no statement can call)
	AND 'internal'::regtype <> ALL (p.proargtypes) ORDER BY p.oid::regprocedure::text});

cmp_ok(scalar(@functions), '>', 100, 'there are functions');
my %untold = map { $_ => 1 } grep { !defined $argument{$_} } map { @{ $_->{types} } } @functions;
is(join(' ', sort keys %untold), '', 'there is an argument for each type');

sub call
{
	my ($function) = @_;

	return "SELECT * FROM $function->{name}(" . join(', ', map { $argument{$_} } @{ $function->{types} }) . ')';
}

# Those that are not refused, with what they gave.
sub try_functions
{
	my ($role) = @_;
	my @results = try_all($role, map { call($_) } @functions);
	my %called;

	for my $i (0 .. $#results)
	{
		next if $results[$i]{state} eq '42501' && $results[$i]{said} =~ /^permission denied for (function|schema) /;
		$called{ $functions[$i]{name} } .= "$results[$i]{said}\n";
	}
	return \%called;
}

is(join(' ', sort keys %{ try_functions('stranger') }), '', 'a stranger calls nothing');

# What a customer may call is what grant_read() lists, and has nothing of others.
my $called = try_functions('customer_video');
my @granted = split /\n/, $collector->sql(q{SELECT DISTINCT 'lastfluss.' || p.proname FROM pg_proc p WHERE p.pronamespace = 'lastfluss'::regnamespace
	AND p.prorettype <> 'trigger'::regtype AND 'internal'::regtype <> ALL (p.proargtypes) AND has_function_privilege('customer_video', p.oid, 'EXECUTE')});

is(join(' ', sort keys %$called), join(' ', sort @granted), 'a customer calls what it is granted');
cmp_ok(scalar(@granted), '>', 30, 'which is something');
is(join(' ', grep { $called->{$_} =~ /Secret|Hosting|secretsite|3000009|1000003/ } sort keys %$called), '', 'and sees nothing of others');
like((as('customer_video', q{SELECT * FROM lastfluss.interface_report('1 day')}))[1], qr/Customer Video 1/, 'but itself');
for my $result (try_all('customer_video', q{SELECT * FROM lastfluss.traffic(now() - interval '1 day')}, q{SELECT * FROM lastfluss.graph_search('s')}, 'SELECT * FROM traffic',
	q{SELECT * FROM lastfluss.asn_report(64503)}, q{SELECT * FROM lastfluss.percentile('Secret Transit', current_date)}, q{SELECT lastfluss.dashboard()},
	q{SELECT * FROM lastfluss.traffic(now() - interval '1 day', iface => '{Secret Transit}')}, q{SELECT * FROM lastfluss.peering_candidates()}))
{
	unlike($result->{said}, qr/64501|SECRET|3000009|1000003|Hosting/, "customer: $result->{statement}");
}
# With a function of its own it learns nothing either: policies are asked first.
isnt((as('customer_video', q{CREATE FUNCTION pg_temp.leak(text) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS 'BEGIN RAISE NOTICE ''%'', $1; RETURN true; END';
	SELECT count(*) FROM traffic WHERE pg_temp.leak(iface)}))[2] =~ /Secret|Hosting/, 1, 'nor by a cheap function of its own');

# The reader and the administrator change no rights, no hub, no rows.
for my $role ('reader', 'alice')
{
	$called = try_functions($role);
	is(join(' ', grep { /\.(grant_read|publish|unpublish|publish_again|subscribe|unsubscribe|replay|_unpack|_take_out|_counted|_add_collector|_create_slot|_drop_slot|_choose)$/ } sort keys %$called),
		'', "$role calls nothing that is a superuser's");
}
ok(is_refused($_), "reader: $_->{statement}")
  for try_all('reader', q{SELECT lastfluss.set('period', '5')}, 'SELECT lastfluss.add_listener()', q{SELECT lastfluss.rollup_again('-infinity', 'infinity')});

# The administrator does its work.
for my $result (try_all('alice', q{SELECT lastfluss.add_interface('New', '192.0.2.1', 1, role => 'pni')}, q{SELECT lastfluss.set('window', '60')}, q{SELECT lastfluss.reset('window')},
	q{SELECT lastfluss.add_listener('127.0.0.1', 9999)}, q{SELECT lastfluss.import_interfaces(lastfluss.export_interfaces())}, q{SELECT lastfluss.import_settings(lastfluss.export_settings())},
	q{SELECT lastfluss.import_asns('64511 EXAMPLE, DE')}, q{SELECT lastfluss.import_prefixes('192.0.2.0/24 64511')}, 'SELECT lastfluss.adopt_interfaces()',
	q{SELECT lastfluss.rollup_again('2026-01-01', '2026-01-02')}, 'SELECT * FROM lastfluss.doctor()', q{SELECT lastfluss.read_datagrams('{}')},
	q{DELETE FROM lastfluss.interface WHERE name = 'New'}, 'SELECT * FROM lastfluss.top_asns()', 'SELECT * FROM lastfluss.counter_check()'))
{
	is($result->{state}, '00000', "alice: $result->{statement}") or diag($result->{said});
}
is($collector->sql('SELECT count(*) FROM traffic') > 0, 1, 'the rows are still there');

#
# Even who was granted all functions, as the README had it, does not act as a hub.
#
$collector->sql('CREATE ROLE granted LOGIN; GRANT USAGE ON SCHEMA lastfluss TO granted; GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA lastfluss TO granted');
ok(is_refused($_), "granted all functions: $_->{statement}")
  for try_all('granted', q{SELECT lastfluss._take_out('a', '', now())}, q{SELECT lastfluss._counted('a', now())}, 'SELECT lastfluss._add_collector()',
  q{SELECT lastfluss._create_slot('dbname=postgres', 'a')}, q{SELECT lastfluss._drop_slot('dbname=postgres', 'a')},
  "SELECT lastfluss._unpack($parcel, 'a')");

#
# Each function with its owner's rights has a search_path of its own, and so has each that is
# written in SQL or PL/pgSQL, unless its names were looked up when it was made.
#
is($collector->sql(q{SELECT string_agg(p.oid::regprocedure::text, ' ') FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
	WHERE p.pronamespace = 'lastfluss'::regnamespace AND (p.prosecdef OR l.lanname IN ('sql', 'plpgsql')) AND p.prosqlbody IS NULL
	AND NOT coalesce(p.proconfig, '{}') @> '{"search_path=pg_catalog, pg_temp"}'}), '', 'no function depends on the search_path of the caller');
is($collector->sql(q{SELECT string_agg(c.oid::regclass::text, ' ') FROM pg_class c WHERE c.relnamespace = 'lastfluss'::regnamespace AND c.relkind = 'v'
	AND c.relowner <> (SELECT extowner FROM pg_extension WHERE extname = 'lastfluss')}), '', 'views are the extension owner\'s');

$collector->stop;
done_testing();
