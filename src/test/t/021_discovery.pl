# What the collector learns from the network and tells: interface names, samplers,
# the same traffic reported twice; and what of it outlives a restart.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use Lastfluss;
use PostgreSQL::Test::Utils;
use Test::More;

my $collector = Lastfluss->new('discovery');
my $node      = $collector->node;

$collector->configure(
	'SELECT lastfluss.set(\'period\', \'' . Lastfluss::long_period() . '\')',
	q{SELECT lastfluss.add_interface('sampled', '127.0.0.22', 1)},
	q{SELECT lastfluss.add_interface('twice', '127.0.0.23', 1)},
	q{SELECT lastfluss.add_interface('twice', '127.0.0.23', 2)});

sub live
{
	my ($iface, $ingress) = @_;

	return $collector->sql("SELECT sum(bytes) FROM (SELECT iface, ingress, bytes FROM traffic
		UNION ALL SELECT iface, ingress, bytes FROM lastfluss.live) t
		WHERE iface = '$iface' AND ingress = $ingress");
}

sub set { return Lastfluss::Exporter::set(@_); }

#
# An interface table, as Cisco IOS XR sends it: scope interface, elements 82 and 83.
#
my $names = $collector->exporter('v9', from => '127.0.0.21');
my $options_template = set(1, pack('nnn', 300, 4, 8) . pack('nn', 2, 4) . pack('nnnn', 82, 16, 83, 24));
my $interface_table = set(300,
	join('', map { pack('Na16a24', @$_) } [ 7, 'TenGigE0/0/0/1', 'transit' ], [ 8, "TenGigE0/0/0/2\0x", '' ]));

$names->send({ in => 7, out => 9, src_as => 64501, bytes => 1000, packets => 1 });
$names->send_octets($names->message($options_template, $interface_table));
$collector->wait_received;
is($collector->sql(<<'SQL'), <<'ROWS' =~ s/\n$//r, 'names of interfaces are learned');
SELECT id, configured, if_name, if_description FROM lastfluss.seen_interfaces
WHERE host = '127.0.0.21' ORDER BY id
SQL
7|f|TenGigE0/0/0/1|transit
8|f|TenGigE0/0/0/2|
9|f||
ROWS
is($collector->sql(q{SELECT records, unmatched FROM lastfluss.exporters WHERE host = '127.0.0.21'}),
	'1|1', 'records of interfaces that are not configured are counted');
like($collector->sql(q{SELECT advice FROM lastfluss.doctor() WHERE topic = 'interfaces'}),
	qr/^SELECT lastfluss\.add_interface\('name', '127\.0\.0\.21', 7\)/, 'the doctor asks for them');
is($collector->sql(q{SELECT lastfluss.adopt_interfaces('127.0.0.21')}), 2, 'they are adopted');
is($collector->sql(q{SELECT name, id, description FROM lastfluss.interface WHERE host = '127.0.0.21' ORDER BY id}),
	"TenGigE0/0/0/1|7|transit\nTenGigE0/0/0/2|8|", 'by their names');
is($collector->sql(q{SELECT lastfluss.adopt_interfaces()}), 0, 'once');

# Two ports that the router describes alike, and one that has a name from before.
$names->send_octets($names->message(set(300, join('', map { pack('Na16a24', @$_) }
			[ 10, '', 'to customers' ], [ 11, '', 'to customers' ], [ 12, 'TenGigE0/0/0/1', '' ]))));
$collector->wait_received;
is($collector->sql(q{SELECT lastfluss.adopt_interfaces('127.0.0.21')}), 3, 'ports of the same name are adopted');
is($collector->sql(q{SELECT name, id FROM lastfluss.interface WHERE host = '127.0.0.21' AND id >= 10 ORDER BY id}),
	"127.0.0.21 to customers 10|10\n127.0.0.21 to customers 11|11\n127.0.0.21 TenGigE0/0/0/1|12", 'and told apart');
$collector->configure;
$names->send({ in => 7, out => 9, src_as => 64501, bytes => 500, packets => 1 });
$collector->wait_received;
is(live('TenGigE0/0/0/1', 'true'), 500, 'and counted from then on');

# Counters that lie: sums stop at the largest bigint, and nothing stumbles over them.
my $liar = $collector->exporter('ipfix', from => '127.0.0.24');
$liar->send(map { { in => 7, out => 7, bytes => 9223372036854775807, packets => 1 } } 1 .. 3);
$collector->wait_received;
is($collector->sql(q{SELECT in_bytes, out_bytes FROM lastfluss.seen_interfaces WHERE host = '127.0.0.24'}),
	'9223372036854775807|9223372036854775807', 'sums do not wrap around');
is($collector->sql(q{SELECT count(*) FROM lastfluss.doctor() WHERE finding LIKE '%127.0.0.24%'}), 1,
	'the doctor can live with it');

#
# Sampling rates from options data: two samplers, and records that name them.
#
my $sampled = $collector->exporter('v9', from => '127.0.0.22',
	fields => [qw(bytes packets in out sampler)]);
my $samplers = set(1, pack('nnn', 301, 4, 12) . pack('nn', 1, 4) . pack('nnnnnn', 48, 1, 49, 1, 50, 4));
my $rates = set(301, join('', map { pack('NCCN', 0, @$_) } [ 1, 2, 100 ], [ 2, 2, 1000 ]));

$sampled->send({ in => 1, out => 9, bytes => 1, packets => 1, sampler => 1 });
$collector->wait_received;
is($collector->sql('SELECT unknown_sampling FROM lastfluss.status'), 2, 'a rate that nobody told, as above');
is( $collector->sql(
		q{SELECT records, unmatched, unknown_sampling, errors FROM lastfluss.exporters WHERE host = '127.0.0.22'}),
	'1|0|1|{"unknown_sampler": 1}', 'by a sampler that nobody described');
like($collector->sql(q{SELECT finding FROM lastfluss.doctor() WHERE topic = 'sampling'}),
	qr/^1 records of 127\.0\.0\.22 were counted without a sampling rate/m, 'the doctor says whose it is');
$sampled->send_octets($sampled->message($samplers, $rates));
$sampled->send({ in => 1, out => 9, bytes => 1, packets => 1, sampler => 1 },
	{ in => 1, out => 9, bytes => 1, packets => 1, sampler => 2 });
$collector->wait_received;
is(live('sampled', 'true'), 1 + 100 + 1000, 'each record has the rate of its sampler');
is($collector->sql(q{SELECT sampling, sampling_origin FROM lastfluss.exporters WHERE host = '127.0.0.22'}),
	'1000|sampler', 'and exporters tells it');

#
# The same packets at ingress and at egress (element 61).
#
my $twice = $collector->exporter('v9', from => '127.0.0.23',
	fields => [qw(bytes packets in out sampling direction)]);
my @both = map { { in => 1, out => 2, bytes => 100, packets => 1, sampling => 1, direction => $_ } } 0, 1;

is($collector->sql(q{SELECT count(*) FROM lastfluss.doctor() WHERE topic = 'double counting'}), 0,
	'no finding before');
$twice->send(@both);
$collector->wait_received;
is(live('twice', 'true'), 200, 'both reports count');
is( $collector->sql(q{SELECT status, count(*) FROM lastfluss.doctor() WHERE topic = 'double counting' GROUP BY 1}),
	'warning|2', 'the doctor warns, for each interface');
$collector->configure(q{UPDATE lastfluss.interface SET count = 'ingress' WHERE host = '127.0.0.23'});
$twice->send(@both);
$collector->wait_received;
is(live('twice', 'true') . '|' . live('twice', 'false'), '300|300', 'with count = ingress one of them does');
is($collector->sql('SELECT other_direction FROM lastfluss.status'), 1, 'the other is counted apart');
is($collector->sql(q{SELECT count(*) FROM lastfluss.doctor() WHERE topic = 'double counting'}), 0,
	'the doctor is content');

#
# A restart keeps templates and samplers.
#
$collector->stop;
$collector->start;
$collector->wait_for('SELECT state FROM lastfluss.status', 'collecting');
$sampled->send({ in => 1, out => 9, bytes => 2, packets => 1, sampler => 2 });
$collector->wait_received;
is(live('sampled', 'true'), 1101 + 2000, 'data right after a restart are decoded, with their rate');

# After a crash they are at most some seconds old.
my $pid = (split /\n/, slurp_file($node->data_dir . '/postmaster.pid'))[0];
$collector->stop('immediate');
$collector->start;
$collector->wait_for('SELECT state FROM lastfluss.status', 'collecting');
is($collector->sql(q{SELECT count(*) > 0 FROM lastfluss.templates WHERE host = '127.0.0.22'}),
	't', 'an immediate shutdown does not lose them');

# A file that is damaged is set aside.
$collector->stop;
my $state = $node->data_dir . '/pg_lastfluss/decoder.0';
my $octets = slurp_file($state);
substr($octets, length($octets) / 2, 1) ^= "\x40";
append_to_file("$state.new", $octets);
rename("$state.new", $state) or die "rename: $!";
my $position = $collector->log_position;
$collector->start;
$collector->wait_for('SELECT state FROM lastfluss.status', 'collecting');
is($collector->sql('SELECT count(*) FROM lastfluss.templates'), 0, 'nothing is taken from a damaged file');
like(join("\n", $collector->log_of_workers($position)), qr/decoder\.0" is damaged .* set aside/, 'the log says so');
ok(-e "$state.damaged", 'and it is kept');
$sampled->send({ in => 1, out => 9, bytes => 1, packets => 1, sampler => 2 });
$collector->wait_received;
$sampled->send_template;
$collector->becomes(q{SELECT records FROM lastfluss.exporters WHERE host = '127.0.0.22'}, 1,
	'data waits for its template, and is decoded');

$collector->stop;
done_testing();
