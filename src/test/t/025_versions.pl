# Between the update of the library and that of the extension's objects, whichever comes
# first: what the doctor and the log say, and that collecting goes on.
#
# Later releases are made here: scripts beside that of 1.0 in the private installation.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use Lastfluss;
use PostgreSQL::Test::Utils;
use Test::More;

my $collector = Lastfluss->new('versions');
my $version   = $collector->sql(q{SELECT extversion FROM pg_extension WHERE extname = 'lastfluss'});
my $later     = '999.10';
my $earlier   = '0.9';

my $directory = $collector->node->config_data('--sharedir') . '/extension';
my @scripts;
for my $step ("$version--$later", "$later--$version", "$version--$earlier", "$earlier--$version")
{
	push @scripts, "$directory/lastfluss--$step.sql";
	append_to_file($scripts[-1], "\\echo Use \"ALTER EXTENSION lastfluss UPDATE\" to load this file. \\quit\n");
}
END { unlink @scripts; }

$collector->configure(
	q{SELECT lastfluss.set('period', '1')},
	q{SELECT lastfluss.add_interface('A', '127.0.0.11', 1)});
my $router = $collector->exporter('v9', from => '127.0.0.11');
my $bytes  = 0;

sub collects
{
	my ($when) = @_;

	for (1 .. 5)
	{
		$router->send({ in => 1, out => 9, src_as => 64501, bytes => 1000, packets => 1 });
		$bytes += 1000;
	}
	$collector->becomes('SELECT sum(bytes) FROM traffic', $bytes, "$when: rows are written");
	return;
}

sub doctor_says
{
	return $collector->sql(q{SELECT status, finding, advice FROM lastfluss.doctor() WHERE topic = 'version'});
}

collects('same version');
is(doctor_says(), '', 'same version: nothing to say');

for my $case ([ $later, 'Install the library of version 999.10 where it is not yet, and restart the server.' ],
	[ $earlier, 'Run "ALTER EXTENSION lastfluss UPDATE" in database "postgres".' ])
{
	my ($to, $advice) = @$case;
	my $finding = "the library that the server has loaded is of version $version, the extension in this database of $to";
	my $position = $collector->log_position;

	$collector->sql("ALTER EXTENSION lastfluss UPDATE TO '$to'");
	is(doctor_says(), "warning|$finding|$advice", "$to: the doctor");
	$collector->node->wait_for_log(qr/LOG:  lastfluss: \Q$finding\E\n.*DETAIL:  Collecting goes on.*\n.*HINT:  \Q$advice\E/, $position);
	pass("$to: the log");
	collects($to);

	# A restart with it, as after the update of a package.
	$collector->stop('fast');
	$collector->start;
	$collector->wait_for('SELECT state FROM lastfluss.status', 'collecting');
	$router->send_template;
	collects("$to, after a restart");

	$collector->sql("ALTER EXTENSION lastfluss UPDATE TO '$version'");
	is(doctor_says(), '', 'same version again');
	collects('same version again');
}

#
# An update that changes something, with data: the configuration stays, this library goes on
# with a table that has more, whatever is new is dumped with the rest, and a way of several
# steps is one.
#
my $middle = '999.20';
my $last   = '999.21';

sub add_script
{
	my ($step, $statements) = @_;

	push @scripts, "$directory/lastfluss--$step.sql";
	append_to_file($scripts[-1], qq{\\echo Use "ALTER EXTENSION lastfluss UPDATE" to load this file. \\quit\n$statements});
	return;
}

add_script("$version--$middle", <<'SQL');
ALTER TABLE lastfluss.interface ADD COLUMN contract text DEFAULT 'none';
COMMENT ON COLUMN lastfluss.interface.contract IS 'something new';
CREATE TABLE lastfluss.contract (name text PRIMARY KEY);
COMMENT ON TABLE lastfluss.contract IS 'something new';
SELECT pg_catalog.pg_extension_config_dump('lastfluss.contract', '');
SQL
add_script("$middle--$last", <<'SQL');
CREATE FUNCTION lastfluss.contracts() RETURNS bigint LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS 'SELECT count(*) FROM lastfluss.contract';
SQL
add_script("$version--999.30", <<'SQL');
DROP TABLE lastfluss.interface CASCADE;
SELECT 1 / 0;
SQL

my $state = q{SELECT concat_ws(' ', (SELECT count(*) FROM lastfluss.interface), (SELECT value FROM lastfluss.settings WHERE name = 'period'),
	(SELECT count(*) FROM lastfluss.listener), (SELECT count(*) FROM pg_inherits WHERE inhparent = 'traffic'::regclass) > 0)};
my $before = $collector->sql($state);
my (undef, undef, $said) = $collector->node->psql($collector->{database}, q{ALTER EXTENSION lastfluss UPDATE TO '999.30'});
like($said, qr/ERROR:  division by zero/, 'an update that fails');
is($collector->sql(q{SELECT extversion FROM pg_extension WHERE extname = 'lastfluss'}), $version, 'leaves the version');
is($collector->sql($state), $before, 'and the configuration');
collects('after an update that failed');

$collector->sql("ALTER EXTENSION lastfluss UPDATE TO '$last'");
is($collector->sql($state), $before, 'an update in two steps leaves the configuration');
collects('after an update in two steps');
$collector->sql(q{INSERT INTO lastfluss.contract VALUES ('B'); SELECT lastfluss.add_interface('B', '127.0.0.11', 2)});
is($collector->sql(q{SELECT string_agg(name || ' ' || contract, ', ' ORDER BY name) || ' ' || lastfluss.contracts() FROM lastfluss.interface}), 'A none, B none 1', 'what is new works');
$router->send({ in => 2, out => 9, src_as => 64502, bytes => 1000, packets => 1 });
$bytes += 1000;
collects('with an interface of afterwards');

# A dump of it makes the later version, with its configuration, in another database.
my $dump = $collector->node->basedir . '/dump.sql';
$collector->node->command_ok([ 'pg_dump', '--file', $dump, $collector->node->connstr($collector->{database}) ], 'a dump');
$collector->stop('fast');
my $other = $collector->other_server('other');
add_script($last, slurp_file("$directory/lastfluss--$version.sql") . slurp_file("$directory/lastfluss--$version--$middle.sql") =~ s/^\\echo.*\n//r
	. slurp_file("$directory/lastfluss--$middle--$last.sql") =~ s/^\\echo.*\n//r);
# As where that is the control file's default, which other tests use while this one runs.
my $statements = slurp_file($dump);
ok($statements =~ s/^(CREATE EXTENSION IF NOT EXISTS lastfluss WITH SCHEMA \w+);/$1 VERSION '$last';/m, 'has the extension');
unlink $dump;
append_to_file($dump, $statements);
$other->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-o', '/dev/null', '-f', $dump, $other->connstr('postgres') ], 'is restored where the later version is installed');
is($other->safe_psql('postgres', q{SELECT (SELECT string_agg(i.name || ' ' || i.contract, ', ' ORDER BY i.name) FROM lastfluss.interface i)
	|| ' ' || lastfluss.contracts() || ' ' || (SELECT sum(bytes) FROM traffic)}), "A none, B none 1 $bytes", 'with all that there was');

$other->stop;
done_testing();
