# What works without shared_preload_libraries, and in another database than the
# collector's; and what is said about it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use Lastfluss;
use PostgreSQL::Test::Cluster;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('not_preloaded');
$node->init;
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION lastfluss');

# What psql says to a statement, with the SQLSTATE.
sub said_to
{
	my ($to, $database, $sql) = @_;
	my ($status, undef, $said) = $to->psql($database, "\\set VERBOSITY verbose\n$sql",
		on_error_stop => 0);

	return $said;
}

for my $call (
	"add_listener()",
	"remove_listener()",
	"add_interface('A', '192.0.2.1', 1)",
	"remove_interface('192.0.2.1', 1)",
	"set('period', '1')",
	"reset('period')")
{
	like(said_to($node, 'postgres', "SELECT lastfluss.$call"),
		qr/ERROR:  55000: lastfluss is not loaded by the server.*HINT:  .*shared_preload_libraries = 'lastfluss'.*restart/s,
		"$call says how to load the library");
}
for my $view (qw(exporters templates seen_interfaces live))
{
	like(said_to($node, 'postgres', "SELECT * FROM lastfluss.$view"),
		qr/ERROR:  55000: lastfluss is not loaded by the server/, "and so does $view");
}
is( $node->safe_psql('postgres',
		'SELECT state, datagrams IS NULL, last_error IS NULL FROM lastfluss.status'),
	'not preloaded|t|t', 'status tells it without an error');
is($node->safe_psql('postgres', 'SELECT count(*) > 0 FROM lastfluss.settings'), 't',
	'settings can be read');

# A restored dump must not fail, so plain changes of the tables do not.
is( $node->safe_psql('postgres', <<'SQL'), 'A', 'plain INSERT works');
INSERT INTO lastfluss.interface (name, host, id) VALUES ('A', '192.0.2.1', 1);
INSERT INTO lastfluss.listener DEFAULT VALUES;
INSERT INTO lastfluss.setting VALUES ('period', '5 min');
SELECT name FROM lastfluss.interface;
SQL

# Decoding needs no collector: a v5 datagram of one record.
my $v5 = unpack('H*', pack('nnNNNNCCn a4 a4 x4 n n N N N N x8 n n x4',
	5, 1, 100000, 1700000000, 0, 0, 0, 0, 0,
	"\xc0\0\2\1", "\xc0\0\2\2", 1, 2, 3, 1500, 90000, 99000, 64501, 64511));
is( $node->safe_psql('postgres', <<"SQL"), <<'ROW' =~ s/\n$//r, 'read_datagrams() works');
SELECT exporter, protocol, in_if, out_if, src_as, dst_as, src_addr, family, bytes, packets, sampling_origin
FROM lastfluss.read_datagrams(ARRAY['\\x$v5'::bytea])
SQL
192.0.2.1|NetFlow v5|1|2|64501|64511|192.0.2.1|4|1500|3|unknown
ROW
is($node->safe_psql('postgres', 'DROP EXTENSION lastfluss; SELECT 1'), 1, 'DROP EXTENSION works');
$node->stop;

# Preloaded, but the collector works in another database.
my $collector = Lastfluss->new('other_database');
$collector->node->safe_psql('postgres', 'CREATE DATABASE other');
$collector->node->safe_psql('other', 'CREATE EXTENSION lastfluss');
my $position = $collector->log_position;
like(said_to($collector->node, 'other', "SELECT lastfluss.add_interface('A', '192.0.2.1', 1)"),
	qr/WARNING:  \w+: the collector works in database "postgres", not in "other".*HINT:  .*lastfluss\.database = 'other'/s,
	'a warning in another database than the collector\'s');
is($collector->node->safe_psql('other', 'SELECT state FROM lastfluss.status'),
	'other database', 'and status tells it');
is( $collector->sql(q{SELECT count(*) FROM lastfluss.interface}), 0, 'the collector\'s is untouched');
like(said_to($collector->node, 'postgres', "SELECT lastfluss.add_interface('A', '192.0.2.1', 1)"),
	qr/^$/, 'no warning in the collector\'s own');

$collector->stop;
done_testing();
