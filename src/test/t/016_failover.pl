# A standby takes over, with files that the base backup copied: what the primary has
# written is not written again, and what it had only saved is written.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use Lastfluss;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $collector = Lastfluss->new('primary', attribution => 'spread', init => { allows_streaming => 1 });
my $node      = $collector->node;
my $period    = Lastfluss::long_period();
my $router    = $collector->exporter('ipfix', from => '127.0.0.11',
	fields => [qw(bytes packets in out src_as dst_as src dst first last)]);

$collector->configure(
	"SELECT lastfluss.set('period', '$period')",
	"SELECT lastfluss.set('window', '" . 2 * $period . "')",
	q{SELECT lastfluss.add_interface('A', '127.0.0.11', 1)});

# A flow that lasted over all open intervals.
sub send_one
{
	my ($as, $bytes) = @_;
	my $now = time;

	$router->{template_sent} = 0;
	$router->send({ in => 1, out => 9, src_as => $as, bytes => $bytes, packets => 7,
		first => 1000 * ($now - 2 * $period), last => 1000 * $now });
	$collector->wait_received;
	return;
}

sub by_as { return $_[0]->safe_psql('postgres', <<'SQL'); }
SELECT string_agg(remote_asn || '=' || bytes, ' ' ORDER BY remote_asn) FROM
(SELECT remote_asn, sum(bytes) AS bytes FROM
	(SELECT remote_asn, bytes FROM traffic UNION ALL SELECT remote_asn, bytes FROM lastfluss.live) t
	GROUP BY 1) s
SQL

sub make_standby
{
	my ($name) = @_;
	my $standby = PostgreSQL::Test::Cluster->new($name);

	$node->backup("for_$name");
	$standby->init_from_backup($node, "for_$name", has_streaming => 1);
	$standby->start;
	return $standby;
}

# Takes over where the other one has ended.
sub promote
{
	my ($standby) = @_;

	$standby->promote;
	$collector->{node} = $standby;
	$collector->{sent} = 0;
	$collector->wait_for('SELECT state FROM lastfluss.status', 'collecting');
	$node = $standby;
	return;
}

#
# The backup is made while intervals are open; the primary writes them later.
#
send_one(64501, 1000003);
$collector->wait_saved(1000003);
my $standby = make_standby('standby_1');
ok(scalar(glob $standby->data_dir . '/pg_lastfluss/interval.*'), 'the backup has files of open intervals');
send_one(64502, 2000003);
is(by_as($node), '64501=1000003 64502=2000003', 'the primary has all');
$collector->stop('fast');
promote($standby);
$collector->wait_for("SELECT count(*) FROM lastfluss.live", 0);
is(by_as($standby), '64501=1000003 64502=2000003',
	'what the primary wrote is there, and not a second time from the copied files');
send_one(64503, 3000003);
is(by_as($standby), '64501=1000003 64502=2000003 64503=3000003', 'promoted, it collects');

#
# The primary dies with all that it has.  The standby writes what the backup has of
# the intervals that were open.
#
$collector->wait_saved(3000003);
$standby = make_standby('standby_2');
send_one(64504, 4000003);
is(by_as($standby), '64501=1000003 64502=2000003 64503=3000003',
	'live of a standby shows what its files have');
$collector->stop('immediate');
promote($standby);
$collector->becomes('SELECT sum(bytes) FROM traffic', 6000009, 'it is written when the standby takes over');
is(by_as($standby), '64501=1000003 64502=2000003 64503=3000003', 'once');
$collector->becomes('SELECT state, spooled FROM lastfluss.status', 'collecting|0', 'and nothing waits');
unlike(slurp_file($standby->logfile), qr/PANIC|terminated by signal/, 'no worker has crashed');

$collector->stop;
done_testing();
