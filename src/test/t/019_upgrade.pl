# upgrade_table(): a plain table becomes partitions while it is written, read and
# changed, and whatever ends on the way.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use Lastfluss;
use Storage;
use Test::More;

use constant ROUNDS => 20;

plan skip_all => 'upgrade_table() moves no table where Citus is' if Lastfluss::tests_on_citus();

my $collector = Lastfluss->new('upgrade', conf => "restart_after_crash = on\n");
my $node      = $collector->node;
my $seed      = $ENV{LASTFLUSS_SEED} // int(rand(1 << 31));

srand($seed);
diag("seed $seed");
$collector->configure(q{SELECT lastfluss.set('period', '1')},
	q{SELECT lastfluss.add_interface('A', '127.0.0.11', 1)});
my $router = $collector->exporter('v5', from => '127.0.0.11');

sub fails
{
	my ($pattern, $what) = @_;
	my (undef, undef, $error) = $node->psql('postgres', 'SELECT lastfluss.upgrade_table()');
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	return like($error, $pattern, $what);
}

#
# What cannot be moved.
#
$collector->wait_for(q{SELECT to_regclass('traffic') IS NOT NULL});
fails(qr/ERROR:  table public.traffic is partitioned already/, 'a table that is partitioned');
$collector->configure(q{SELECT lastfluss.set('rollups', 'off')}, q{SELECT lastfluss.set('table', 'nothing')});
$collector->sql('CREATE VIEW odd AS SELECT 1; CREATE TABLE bare (time timestamptz NOT NULL, bandwidth real)');
$collector->configure(q{SELECT lastfluss.set('table', 'odd')});
fails(qr/ERROR:  public.odd is no plain table/, 'a view');
$collector->configure(q{SELECT lastfluss.set('table', 'bare')});
fails(qr/ERROR:  table public.bare has no index that begins with a NOT NULL column "id"/, 'a table without an id');

#
# The original's table, with rows.
#
my $columns = 'id, time, bandwidth, iface, ingress, remote_asn, local_asn';

$collector->sql(<<"SQL");
CREATE TABLE source AS
SELECT g AS id, '@{[Storage::day(4)]}'::timestamptz + (g / 100) * interval '1 min' AS time, (g % 977)::real AS bandwidth,
       'if' || g % 7 AS iface, g % 2 = 0 AS ingress, 64500 + g % 89 AS remote_asn, nullif(64500 + g % 3, 64500) AS local_asn
FROM generate_series(1, 80000) g;
CREATE ROLE reader;
SQL

sub make_original
{
	my ($table) = @_;

	$collector->sql(<<"SQL");
CREATE TABLE $table (id bigserial, time timestamptz NOT NULL, bandwidth real NOT NULL, iface text,
	ingress boolean NOT NULL, remote_asn bigint, local_asn bigint, note text DEFAULT 'none',
	PRIMARY KEY (id, time));
CREATE INDEX ON $table (iface);
COMMENT ON TABLE $table IS 'mine';
GRANT SELECT ON $table TO reader;
INSERT INTO $table ($columns) SELECT * FROM source;
SELECT setval('${table}_id_seq', 80000);
SQL
	$collector->configure(qq{SELECT lastfluss.set('table', '$table')});
	return;
}

# The rows that were there at first, whatever else is.
sub same_rows
{
	my ($table) = @_;

	return $collector->sql(<<"SQL");
WITH have AS MATERIALIZED (SELECT $columns FROM $table WHERE id BETWEEN 1 AND 80000)
SELECT count(*) FROM ((TABLE source EXCEPT ALL TABLE have) UNION ALL (TABLE have EXCEPT ALL TABLE source)) d
SQL
}

make_original('watched');
$collector->sql('CREATE VIEW watcher AS SELECT * FROM watched;
	CREATE FUNCTION counted() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM watched; END');
fails(qr/ERROR:  there hangs on table public.watched: function public.counted\(\), view public.watcher\n.*HINT: .*make it again/s, 'a table that others hang on: all are named');
$collector->sql('DROP VIEW watcher; DROP FUNCTION counted()');
like($collector->sql('SELECT lastfluss.upgrade_table()'), qr/will be moved/, 'without the view it begins');
like($collector->sql('SELECT lastfluss.upgrade_table()'), qr/is being moved/, 'only once');
is($collector->sql('SELECT lastfluss.upgrade_cancel()'), 't', 'it can be given up');
$collector->becomes('SELECT count(*) FROM lastfluss.upgrade', 0, 'which happens');
is( $collector->sql(q{SELECT relkind, to_regclass('watched_upgrade') IS NULL, (SELECT count(*) FROM pg_trigger WHERE tgrelid = c.oid)
	FROM pg_class c WHERE relname = 'watched'}), 'r|t|0', 'and leaves nothing behind');
is($collector->sql('SELECT lastfluss.upgrade_cancel()'), 'f', 'a second time there is nothing');
$collector->sql('SELECT lastfluss.upgrade_table()');
$collector->wait_for(q{SELECT count(*) = 4 FROM pg_trigger WHERE tgrelid = 'watched'::regclass OR to_regclass('watched_upgrade') IS NULL});
$collector->wait_for(q{SELECT state = 'done' FROM lastfluss.upgrade});
is(same_rows('watched'), 0, 'without disturbance all rows are there');

#
# While the collector writes, others change rows, and the worker ends.
#
my $number  = 0;
my $sent    = 0;
my $written = 0;	# by hand
my $wrong   = 0;
my $done    = 0;

sub begin_next
{
	$number++;
	make_original("busy$number");
	$sent = $written = 0;
	$collector->sql('SELECT lastfluss.upgrade_table()');
	return;
}

# Rows at the end, rows with ids long passed, rows changed and changed back.
sub disturb
{
	my ($table) = @_;
	my $id = 1 + int(rand 70000);
	my $last = $id + int(rand 5000);

	$router->send({ in => 1, out => 9, src_as => 64999, bytes => 1000, packets => 1 });
	$sent += 1000;
	$collector->sql(<<"SQL");
INSERT INTO $table (time, bandwidth, iface, ingress) SELECT now(), 1, 'by hand', true FROM generate_series(1, 10);
INSERT INTO $table (id, time, bandwidth, iface, ingress) VALUES (-$id, now(), 1, 'by hand', true);
UPDATE $table SET iface = 'changed' WHERE id BETWEEN $id AND $last;
WITH gone AS (DELETE FROM $table WHERE id BETWEEN $id AND $last RETURNING id)
SELECT count(*) FROM gone;
INSERT INTO $table ($columns) SELECT * FROM source WHERE id BETWEEN $id AND $last;
SQL
	$written += 11;
	return;
}

sub check
{
	my ($table) = @_;

	$wrong++ if same_rows($table) != 0 ||
	  $collector->sql("SELECT count(*) FROM $table WHERE iface = 'by hand'") != $written;
	return;
}

# What the writer has, after the server has died, too: all that it was sent.
sub finish
{
	my ($table) = @_;

	$collector->wait_for("SELECT coalesce(sum(bandwidth), 0) >= $sent * 8 FROM $table WHERE iface = 'A'");
	$wrong++ if $collector->sql("SELECT coalesce(sum(bandwidth), 0) FROM $table WHERE iface = 'A'") != $sent * 8;
	check($table);
	$done++;
	return;
}

begin_next();
for my $round (1 .. ROUNDS)
{
	my $table = "busy$number";

	disturb($table);
	# What was not saved yet would be missing after a crash, which is not the question here.
	$collector->wait_for("SELECT sum(bandwidth) = $sent * 8 FROM $table WHERE iface = 'A'");
	Storage::end_maintenance($collector, $round % 4 == 0 ? 'KILL' : 'TERM');
	$collector->wait_for(q{SELECT state = 'collecting' FROM lastfluss.status});
	check($table);
	if ($collector->sql(q{SELECT state FROM lastfluss.upgrade}) eq 'done')
	{
		finish($table);
		begin_next();
	}
}
$collector->wait_for(q{SELECT state = 'done' FROM lastfluss.upgrade});
finish("busy$number");
diag("$done tables were moved in " . ROUNDS . ' rounds');
is($wrong, 0, 'at all times every row was there once, and in the end, too');

#
# The new table is what the old one was.
#
my $table = "busy$number";
is($collector->sql("SELECT relkind, pg_get_partkeydef(oid), obj_description(oid), relacl::text LIKE '%reader=r/%' FROM pg_class WHERE relname = '$table'"),
	'p|RANGE ("time")|mine|t', 'partitioned, with its comment and grants');
is($collector->sql("SELECT string_agg(indexdef, ' ' ORDER BY indexdef) FROM pg_indexes WHERE tablename = '$table'"),
	"CREATE INDEX ${table}_iface_idx ON ONLY public.$table USING btree (iface) " .
	"CREATE INDEX ${table}_time_idx ON ONLY public.$table USING brin (\"time\") " .
	"CREATE UNIQUE INDEX ${table}_pkey ON ONLY public.$table USING btree (id, \"time\")",
	'its indexes, and one for the time');
is($collector->sql("INSERT INTO $table (time, bandwidth, iface, ingress) VALUES (now(), 1, 'last', true) RETURNING id > 80000, note"),
	't|none', 'its sequence and defaults');
is($collector->sql("SELECT count(*) FROM pg_trigger WHERE tgrelid = '$table'::regclass"), 0, 'and no trigger');
is($collector->sql(q{SELECT count(*) FROM lastfluss._upgrade_note}), 0, 'notes are gone');
is($collector->sql("SELECT bool_and(c.relname ~ '^${table}_\\d{8}\$') FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = '$table'::regclass"),
	't', 'partitions have the usual names');
is($collector->sql("SELECT pg_get_serial_sequence('$table', 'id')"), "public.${table}_id_seq", 'it owns the sequence');

#
# DROP EXTENSION in between takes the triggers along.
#
make_original('dropped');
$collector->sql('SELECT lastfluss.upgrade_table()');
$collector->wait_for(q{SELECT count(*) = 4 FROM pg_trigger WHERE tgname LIKE 'lastfluss%' AND tgrelid = 'dropped'::regclass OR
	(SELECT state = 'done' FROM lastfluss.upgrade)});
$collector->sql('DROP EXTENSION lastfluss');
is($collector->sql(q{SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'lastfluss%'}), 0, 'DROP EXTENSION takes the triggers along');
is(same_rows('dropped'), 0, 'and no row');

$collector->stop;
done_testing();
