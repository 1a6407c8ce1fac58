# counter_check() with a collector that runs: the overhead by the protocol of the
# host, and intervals that are not written yet.  (What it makes of counters is
# tested in sql/counter_check.sql.)

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use Lastfluss;
use Test::More;

my $collector = Lastfluss->new('counter_check');

$collector->configure(
	q{SELECT lastfluss.set('period', '1')},
	q{SELECT lastfluss.set(name, 'arrival') FROM lastfluss.settings WHERE name = 'attribution'},
	q{SELECT lastfluss.set(name, '0') FROM lastfluss.settings WHERE name = 'window'},
	q{SELECT lastfluss.add_interface('netflow', '127.0.0.11', 1)},
	q{SELECT lastfluss.add_interface('sflow', '127.0.0.12', 1)},
	q{SELECT lastfluss.add_interface('both', '127.0.0.11', 2)},
	q{SELECT lastfluss.add_interface('both', '127.0.0.12', 2)});
$collector->sql(<<'SQL');
INSERT INTO lastfluss.counters (host, id, time, in_octets, out_octets, in_packets, out_packets)
SELECT h, i, date_trunc('second', now()) + make_interval(secs => s), 10000 + 2000 * s, 0, 10 + 2 * s, 0
FROM (VALUES ('127.0.0.11'::inet), ('127.0.0.12')) v (h), generate_series(1, 2) i, generate_series(-5, 600) s
SQL

# An sFlow datagram with one sample: a packet of 500 octets that entered there.
my $sequence = 0;
sub sflow
{
	my ($if) = @_;
	my $frame = pack('a6 a6 n', '', '', 0x0800) . pack('CCnnnCCna4a4', 0x45, 0, 482, 0, 0, 64, 17, 0, '', '');
	my $packet = pack('NNNN', 1, 500, 4, length($frame)) . $frame . "\0" x (-length($frame) % 4);
	my $sample = pack('NNNNNNNN', ++$sequence, $if, 1, $sequence, 0, $if, 9, 1) . pack('NN', 1, length($packet)) . $packet;

	return pack('NNa4NNNN', 5, 1, "\x7f\0\0\x0c", 0, $sequence, 1000 * $sequence, 1) .
	  pack('NN', 1, length($sample)) . $sample;
}

my $netflow = $collector->exporter('v9', from => '127.0.0.11');
my $sflow   = $collector->exporter('v9', from => '127.0.0.12');
for my $if (1, 2)
{
	$netflow->send({ in => $if, out => 9, bytes => 1000, packets => 2 });
	$sflow->send_octets(sflow($if));
}
$collector->wait_written;
$collector->becomes(
	q{SELECT count(DISTINCT iface) FROM lastfluss.counter_check() WHERE flow_bytes > 0 AND ingress}, 3,
	'all that was sent is compared when its time is over');
is($collector->sql(<<'SQL'), <<'ROWS' =~ s/\n$//r, 'octets of framing are added for NetFlow, not for sFlow');
SELECT iface, sum(flow_bytes), max(counter_bytes), min(slot), sum(flow_packets),
  round(sum(ratio * counter_bytes - flow_bytes) / sum(flow_packets), 1)
FROM lastfluss.counter_check() WHERE flow_bytes > 0 GROUP BY 1 ORDER BY 1
SQL
both|1500|4000|00:00:01|3|9.0
netflow|1000|2000|00:00:01|2|18.0
sflow|500|2000|00:00:01|1|0.0
ROWS
is( $collector->sql(
		q{SELECT DISTINCT ratio * counter_bytes - flow_bytes FROM lastfluss.counter_check(overhead => 0) WHERE flow_bytes > 0}),
	'0.000000', 'or what the caller says');

#
# Intervals that cannot be written count as well, and once.
#
my $lock = $collector->node->background_psql('postgres');
$lock->query_safe('BEGIN; LOCK TABLE traffic IN SHARE MODE');
$netflow->send({ in => 1, out => 9, bytes => 7777, packets => 7 });
$collector->becomes(
	q{SELECT count(*) FROM lastfluss.counter_check() WHERE flow_bytes = 7777 AND flow_packets = 7}, 1,
	'an interval that waits is compared');
is($collector->sql('SELECT count(*) FROM traffic WHERE bytes = 7777'), 0, 'which is not in traffic');
$lock->query_safe('COMMIT');
$collector->becomes('SELECT count(*) FROM traffic WHERE bytes = 7777', 1, 'when it is there');
is($collector->sql(q{SELECT sum(flow_bytes) FROM lastfluss.counter_check() WHERE iface = 'netflow'}),
	8777, 'it is not counted twice');

#
# A lock stops the doctor for no longer than a moment.
#
$lock->query_safe('BEGIN; LOCK TABLE traffic, lastfluss.counters IN ACCESS EXCLUSIVE MODE');
is($collector->sql(<<'SQL'), <<'ROWS' =~ s/\n$//r, 'the doctor does not wait for a lock');
SELECT status, topic, finding, advice LIKE 'Somebody holds a lock%' FROM lastfluss.doctor()
WHERE finding LIKE 'could not be%' ORDER BY topic
SQL
warning|counters|could not be looked at: canceling statement due to lock timeout|t
warning|disk|could not be looked at: canceling statement due to lock timeout|t
warning|partitions|could not be looked at: canceling statement due to lock timeout|t
ROWS
# The writer may have met the lock as well, and is then what there is to tell of.
is($collector->sql(q{SELECT count(*) > 0 FROM lastfluss.doctor() WHERE topic IN ('collector', 'writing')
	AND finding NOT LIKE 'could not be looked at%'}), 't',
	'and tells the rest');
$lock->query_safe('COMMIT');
$lock->quit;

$collector->stop;
done_testing();
