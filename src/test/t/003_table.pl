# The table traffic: made with partitions, or taken as it is; and whose rights its
# triggers run with.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use Lastfluss;
use Test::More;

# The database belongs to an ordinary role.
my $collector = Lastfluss->new('table', database => 'lastfluss', extension => 0);
$collector->node->safe_psql('postgres', $_) for (
	'CREATE ROLE operator LOGIN',
	'CREATE ROLE alice LOGIN',
	'CREATE DATABASE lastfluss OWNER operator');
$collector->create_extension;
$collector->listen;
$collector->configure(
	q{SELECT lastfluss.set('period', '1')},
	q{SELECT lastfluss.add_interface('A', '127.0.0.11', 1)});
my $router = $collector->exporter('v9', from => '127.0.0.11');
my $bytes  = 0;

# Sends a record with a number of octets that no other has.
sub send_one
{
	$router->send({ in => 1, out => 9, src_as => 64501, dst_as => 64511,
		bytes => ++$bytes, packets => 1 });
	$collector->wait_received;
	return $bytes;
}

# One record, which must arrive in that table.
sub writes
{
	my ($table, $what) = @_;
	my $sent = send_one();
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	$collector->becomes("SELECT count(*) FROM $table WHERE bandwidth = $sent * 8", 1, $what);
	return $sent;
}

sub use_table
{
	my ($table) = @_;

	$collector->configure("SELECT lastfluss.set('table', '$table')");
	return;
}

#
# Made by us.
#
writes('public.traffic', 'a table of our own');
$collector->becomes(<<'SQL', 't', 'with partitions of today and the days ahead');
SELECT count(*) >= 4 AND bool_or(c.relname = to_char(now() AT TIME ZONE 'UTC', '"traffic_"YYYYMMDD'))
  AND bool_or(pg_get_expr(c.relpartbound, c.oid) LIKE
      to_char((now() AT TIME ZONE 'UTC')::date + 4, '%"TO (''"YYYY-MM-DD 00:00:00+00%'))
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'traffic'::regclass
SQL
is($collector->sql(<<'SQL'), 'operator', q{all of it is the database owner's});
SELECT DISTINCT relowner::regrole FROM pg_class WHERE relname LIKE 'traffic%'
SQL
is($collector->sql(<<'SQL'), 0, 'and no member of the extension');
SELECT count(*) FROM pg_depend d WHERE d.deptype IN ('e', 'x')
AND d.objid IN (SELECT oid FROM pg_class WHERE relname LIKE 'traffic%')
SQL
is($collector->sql(<<'SQL'), <<'ROWS' =~ s/\n$//r, 'columns and their types');
SELECT attname, format_type(atttypid, atttypmod), attnotnull, col_description(attrelid, attnum) IS NOT NULL
FROM pg_attribute WHERE attrelid = 'traffic'::regclass AND attnum > 0 ORDER BY attnum
SQL
id|bigint|t|f
time|timestamp with time zone|t|t
bandwidth|real|t|t
iface|text|f|t
ingress|boolean|t|t
remote_asn|bigint|f|t
local_asn|bigint|f|t
family|smallint|f|t
bytes|bigint|f|t
packets|bigint|f|t
flows|bigint|f|t
ROWS
is($collector->sql(<<'SQL'), 'id,time', 'primary key');
SELECT string_agg(a.attname, ',' ORDER BY a.attnum) FROM pg_index i
JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
WHERE i.indrelid = 'traffic'::regclass AND i.indisprimary
SQL

#
# Made by somebody else.
#
my $seven = <<'SQL';
	id BIGSERIAL, time TIMESTAMPTZ NOT NULL, bandwidth REAL NOT NULL, iface TEXT,
	ingress BOOLEAN NOT NULL, remote_asn BIGINT, local_asn BIGINT
SQL

$collector->sql("CREATE TABLE original ($seven, PRIMARY KEY (id, time))");
use_table('original');
writes('original', q{the original's seven columns});
is( $collector->sql('SELECT iface, ingress, remote_asn, local_asn FROM original'),
	'A|t|64501|64511', 'are filled');

$collector->sql(<<'SQL');
CREATE TABLE changed (LIKE traffic, note text DEFAULT 'by ' || current_user);
ALTER TABLE changed DROP id, DROP local_asn, DROP packets, DROP family,
	ADD gigabytes numeric GENERATED ALWAYS AS (bytes / 1e9) STORED;
ALTER TABLE changed OWNER TO alice;
SQL
use_table('changed');
my $changed = writes('changed', 'a table with columns dropped and added');
is($collector->sql('SELECT remote_asn, bytes, note FROM changed'),
	"64501|$changed|by alice", q{defaults work, with the owner's rights});

$collector->node->safe_psql('lastfluss', "CREATE SCHEMA alice AUTHORIZATION alice");
use_table('alice."My Traffic"');
send_one();
$collector->becomes('SELECT state FROM lastfluss.status', 'cannot write',
	q{the database's owner may not create in alice's schema});
like($collector->sql('SELECT last_error FROM lastfluss.status'),
	qr/permission denied for schema alice/, 'which last_error tells');
$collector->sql(qq{CREATE TABLE alice."My Traffic" ($seven); ALTER TABLE alice."My Traffic" OWNER TO alice});
$collector->becomes(qq{SELECT count(*) FROM alice."My Traffic" WHERE bandwidth = $bytes * 8}, 1,
	'a table of another owner, with a name that needs quotes');
$collector->becomes('SELECT last_error IS NULL FROM lastfluss.status', 't', 'the error is over');

# Partitioned by somebody else, in another way.
$collector->sql(<<"SQL");
CREATE TABLE long_ranges ($seven) PARTITION BY RANGE (time);
DO \$\$
BEGIN
	EXECUTE format('CREATE TABLE long_range PARTITION OF long_ranges FOR VALUES FROM (%L) TO (%L)',
		current_date - 30, current_date + 2);
END
\$\$;
SQL
use_table('long_ranges');
writes('long_range', 'partitions of another length');
writes('long_range', 'stay in use');
is($collector->sql(q{SELECT count(*) FROM pg_inherits WHERE inhparent = 'long_ranges'::regclass}),
	1, 'and get no others beside them');

# A table without a column for the time.
$collector->sql('CREATE TABLE timeless (bandwidth real)');
use_table('timeless');
send_one();
$collector->becomes('SELECT state FROM lastfluss.status', 'cannot write', 'a table that will not do');
like($collector->sql('SELECT last_error FROM lastfluss.status'),
	qr/table "timeless" has no column "time" HINT: .*lastfluss\.set\('table'/,
	'last_error tells why, with a hint');
$collector->sql('ALTER TABLE timeless ADD time timestamptz');
$collector->becomes("SELECT count(*) FROM timeless WHERE bandwidth = $bytes * 8", 1,
	'what waited is written when it will do');

#
# Triggers of a table's owner run as its owner.
#
$collector->sql(<<"SQL");
CREATE TABLE alice.watched ($seven);
CREATE TABLE alice.log (who text, what text);
ALTER TABLE alice.watched OWNER TO alice;
ALTER TABLE alice.log OWNER TO alice;
SET ROLE alice;
CREATE FUNCTION alice.attempt(statement text) RETURNS void LANGUAGE plpgsql AS \$\$
BEGIN
	EXECUTE statement;
	INSERT INTO alice.log VALUES (current_user, 'done: ' || statement);
EXCEPTION WHEN OTHERS THEN
	INSERT INTO alice.log VALUES (current_user, 'refused: ' || statement);
END
\$\$;
CREATE FUNCTION alice.spy() RETURNS trigger LANGUAGE plpgsql AS \$\$
BEGIN
	PERFORM alice.attempt('ALTER ROLE alice SUPERUSER');
	PERFORM alice.attempt('RESET ROLE');
	PERFORM alice.attempt('SET SESSION AUTHORIZATION DEFAULT');
	PERFORM alice.attempt('SELECT * FROM lastfluss.setting');
	RETURN NULL;
END
\$\$;
CREATE TRIGGER spy AFTER INSERT ON alice.watched FOR EACH ROW EXECUTE FUNCTION alice.spy();
SQL
use_table('alice.watched');
writes('alice.watched', 'a table with a trigger');
is($collector->sql('SELECT DISTINCT who, what FROM alice.log ORDER BY what'), <<'ROWS' =~ s/\n$//r,
alice|refused: ALTER ROLE alice SUPERUSER
alice|refused: RESET ROLE
alice|refused: SELECT * FROM lastfluss.setting
alice|refused: SET SESSION AUTHORIZATION DEFAULT
ROWS
	'which runs as the owner, and cannot become more');

# A trigger that waits for COMMIT would run when we are ourselves again.
$collector->sql(<<'SQL');
TRUNCATE alice.log;
SET ROLE alice;
DROP TRIGGER spy ON alice.watched;
CREATE CONSTRAINT TRIGGER spy AFTER INSERT ON alice.watched DEFERRABLE INITIALLY DEFERRED
	FOR EACH ROW EXECUTE FUNCTION alice.spy();
SQL
send_one();
$collector->becomes('SELECT state FROM lastfluss.status', 'cannot write',
	'a deferred trigger is not fired at COMMIT');
is($collector->sql('SELECT count(*) FROM alice.log'), 0, 'not even once');
is($collector->sql(q{SELECT rolsuper FROM pg_roles WHERE rolname = 'alice'}), 'f',
	'the owner has no more rights than before');
$collector->sql('DROP TRIGGER spy ON alice.watched');
$collector->becomes("SELECT count(*) FROM alice.watched WHERE bandwidth = $bytes * 8", 1,
	'without it, the rows are written');

# DROP EXTENSION leaves every table.
$collector->wait_written;
$collector->sql('DROP EXTENSION lastfluss');
is($collector->sql('SELECT sum(bytes) FROM traffic'), 1, 'DROP EXTENSION keeps traffic');

$collector->stop;
done_testing();
