# From a datagram to a row: v5, v9 and IPFIX, both sides of a record, what
# multiplies, what counts as what, and the views that show it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use Lastfluss;
use Test::More;

my $collector = Lastfluss->new('first_steps', listen => 0);
my $period    = Lastfluss::long_period();

# All rows, written or not.
my $columns = 'iface, ingress, remote_asn, local_asn, family, bytes, packets, flows';
my $rows    = "SELECT $columns FROM %s ORDER BY iface, ingress DESC, family, remote_asn";

$collector->becomes('SELECT state FROM lastfluss.status', 'no listener',
	'CREATE EXTENSION alone listens to nothing');
$collector->sql("SELECT lastfluss.set('period', '$period')");
$collector->listen;
is($collector->sql('SELECT listeners FROM lastfluss.status'),
	"{[::]:@{[$collector->port]}}", 'the first add_listener() starts the collector');

$collector->configure(map { "SELECT lastfluss.add_interface($_)" } (
	q('v5 in', '127.0.0.11', 1),
	q('v5 out', '127.0.0.11', 2),
	q('v9', '127.0.0.12', 1),
	q('ipfix', '::1', 4000000000)));

my $v5    = $collector->exporter('v5', from => '127.0.0.11', sampling => 100);
my $v9    = $collector->exporter('v9', from => '127.0.0.12', domain => 7);
my $ipfix = $collector->exporter('ipfix', from => '::1', domain => 9);

$v5->send(
	{ in => 1, out => 2, src_as => 64501, dst_as => 64511, bytes => 1500, packets => 3 },
	{ in => 1, out => 2, src_as => 64501, dst_as => 64511, bytes => 500, packets => 1 },
	{ in => 2, out => 1, src_as => 64511, dst_as => 64501, bytes => 40, packets => 1 });
$v9->send(
	{ in => 1, out => 5, src_as => 4200000001, dst_as => 64511, bytes => 5000000000, packets => 9 },
	{ in => 5, out => 1, src_as => 64511, dst_as => 64502, bytes => 7, packets => 1, family => 6 },
	{ in => 5, out => 6, src_as => 64511, dst_as => 64502, bytes => 77, packets => 1 });
$ipfix->send(
	{ in => 4000000000, out => 5, src_as => 64503, dst_as => 64511, bytes => 11, packets => 1,
		src => '2001:db8::3', dst => '2001:db8::4', family => 6 },
	{ in => 4000000000, out => 5, src_as => 64503, dst_as => 64511, bytes => 12, packets => 1 });
$collector->wait_received;

my $expected = <<'ROWS';
ipfix|t|64503|64511|4|12|1|1
ipfix|t|64503|64511|6|11|1|1
v5 in|t|64501|64511|4|200000|400|2
v5 in|f|64501|64511|4|4000|100|1
v5 out|t|64511|64501|4|4000|100|1
v5 out|f|64511|64501|4|200000|400|2
v9|t|4200000001|64511|4|5000000000|9|1
v9|f|64502|64511|6|7|1|1
ROWS
chomp $expected;

# The interval is open: everything is in live, nothing in traffic.
is($collector->sql(sprintf($rows, 'lastfluss.live')), $expected, 'live shows the open interval');
$collector->becomes('SELECT count(*) FROM traffic', 0, 'traffic is there and has no row yet');
is( $collector->sql(
		"SELECT DISTINCT id IS NULL, extract(epoch FROM time)::bigint % $period FROM lastfluss.live"),
	't|0', 'rows of live have no id, and start at a multiple of the period');
is($collector->sql('SELECT datagrams, records, unmatched, lost FROM lastfluss.status'),
	'3|8|1|0', 'status counts datagrams, records and what no interface matches');
is($collector->sql('SELECT unknown_sampling FROM lastfluss.status'),
	4, 'records counted with a rate that nobody told');

# A change of the period ends it.
$collector->configure("SELECT lastfluss.set('period', '1')");
$collector->becomes('SELECT count(*) FROM traffic', 8, 'the interval was written');
is($collector->sql(sprintf($rows, 'traffic')), $expected, 'and its rows are those of live');
is($collector->sql('SELECT count(*) FROM lastfluss.live'), 0, 'where they are no more');
is( $collector->sql(<<"SQL"), 't|t|t', 'bandwidth in bit/s, and the start of the interval');
SELECT bool_and(bandwidth = (bytes * 8.0 / $period)::real),
       bool_and(extract(epoch FROM time)::bigint % $period = 0),
       bool_and(time <= now() AND time > now() - interval '2 hours')
FROM traffic
SQL
is($collector->sql('SELECT count(DISTINCT id) FROM traffic'), 8, 'rows have ids');
# Intervals of a second, without a row, may have followed.
is( $collector->sql('SELECT intervals > 0, rows, last_error IS NULL FROM lastfluss.status'),
	't|8|t', 'status tells what was written');

# Intervals come and go; nothing is ever in both.
my $sent     = 0;
my $too_many = 0;
until ($collector->sql('SELECT count(DISTINCT time) > 3 FROM traffic WHERE remote_asn = 64777') eq 't')
{
	$v9->send({ in => 1, out => 6, src_as => 64777, bytes => 1000, packets => 1 });
	$sent += 1000;
	$too_many++ if $collector->sql(<<'SQL') > $sent;
SELECT coalesce(sum(bytes), 0)
FROM (SELECT bytes, remote_asn FROM traffic UNION ALL SELECT bytes, remote_asn FROM lastfluss.live) t
WHERE remote_asn = 64777
SQL
}
is($too_many, 0, 'live and traffic together never count twice');
$collector->becomes('SELECT sum(bytes) FROM traffic WHERE remote_asn = 64777', $sent,
	'and nothing is missing in the end');
is( $collector->sql(
		'SELECT bool_and(bandwidth = bytes * 8), count(DISTINCT time) > 3 FROM traffic WHERE remote_asn = 64777'),
	't|t', 'intervals of a second');

# Sampling: the interface's own rate, by direction; the record's; v5's header.
$collector->configure(
	q{SELECT lastfluss.add_interface('own rate', '127.0.0.13', 1, sample => 100, sample_out => 10)},
	q{SELECT lastfluss.add_interface('one rate', '127.0.0.13', 2, sample => 30)},
	q{SELECT lastfluss.add_interface('record', '127.0.0.13', 3)});
my $sampled = $collector->exporter('v9', from => '127.0.0.13',
	fields => [qw(bytes packets in out src_as dst_as sampling)]);
$sampled->send(
	{ in => 1, out => 1, bytes => 5, packets => 1, sampling => 7 },
	{ in => 2, out => 2, bytes => 5, packets => 1, sampling => 7 },
	{ in => 3, out => 3, bytes => 5, packets => 1, sampling => 7 });
$collector->wait_written;
is($collector->sql(<<'SQL'), <<'ROWS' =~ s/\n$//r, 'sampling rates');
SELECT iface, ingress, sum(bytes), sum(packets), sum(flows) FROM traffic
WHERE iface IN ('own rate', 'one rate', 'record') GROUP BY 1, 2 ORDER BY 1, 2 DESC
SQL
one rate|t|150|30|1
one rate|f|150|30|1
own rate|t|500|100|1
own rate|f|50|10|1
record|t|35|7|1
record|f|35|7|1
ROWS
is( $collector->sql('SELECT unknown_sampling FROM lastfluss.status'),
	4 + $sent / 1000, 'told rates are known');

# VLANs of an interface, and records without AS numbers.
$collector->configure(
	q{SELECT lastfluss.add_interface('port', '127.0.0.14', 1)},
	q{SELECT lastfluss.add_interface('vlan 100', '127.0.0.14', 1, vlan => 100)});
my $vlans = $collector->exporter('ipfix', from => '127.0.0.14',
	fields => [qw(bytes packets in out in_vlan out_vlan)]);
$vlans->send(
	{ in => 1, out => 5, in_vlan => 100, bytes => 1, packets => 1 },
	{ in => 1, out => 5, in_vlan => 200, bytes => 2, packets => 1 },
	{ in => 5, out => 1, out_vlan => 100, bytes => 4, packets => 1 },
	{ in => 5, out => 1, in_vlan => 100, out_vlan => 5, bytes => 8, packets => 1 });
$collector->wait_written;
is($collector->sql(<<'SQL'), <<'ROWS' =~ s/\n$//r, 'a VLAN is counted apart, a missing AS is 0');
SELECT iface, ingress, remote_asn, local_asn, family IS NULL, sum(bytes) FROM traffic
WHERE iface IN ('port', 'vlan 100') GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2 DESC
SQL
port|t|0|0|t|2
port|f|0|0|t|8
vlan 100|t|0|0|t|1
vlan 100|f|0|0|t|4
ROWS

# Data before its template.
$collector->configure(q{SELECT lastfluss.add_interface('early', '127.0.0.15', 1)});
my $early = $collector->exporter('v9', from => '127.0.0.15', withhold_template => 1);
$early->send({ in => 1, out => 5, bytes => 1, packets => 1 });
$collector->wait_received;
is( $collector->sql(
		q{SELECT datagrams, records, templates, waiting_sets, errors FROM lastfluss.exporters WHERE host = '127.0.0.15'}),
	'1|0|0|1|{}', 'data before its template waits');
is( $collector->sql(
		q{SELECT id, kind, waiting_sets FROM lastfluss.templates WHERE host = '127.0.0.15'}),
	'256|awaited|1', 'for a template that is shown');
$early->send_template;
$early->send({ in => 1, out => 5, bytes => 10, packets => 1 });
$collector->wait_written;
is($collector->sql(q{SELECT sum(bytes) FROM traffic WHERE iface = 'early'}),
	11, 'and is decoded once it is there');
is( $collector->sql(
		q{SELECT records, waiting_sets, late_sets, errors FROM lastfluss.exporters WHERE host = '127.0.0.15'}),
	'2|0|1|{}', 'which is counted');

# A rate that only the configuration tells is the exporter's, where all its interfaces have one.
my $rate_of_early = q{SELECT sampling, sampling_origin FROM lastfluss.exporters WHERE host = '127.0.0.15'};
is($collector->sql($rate_of_early), '|unknown', 'nobody told a rate');
$collector->configure(q{UPDATE lastfluss.interface SET sample = 50 WHERE name = 'early'});
is($collector->sql($rate_of_early), '50|interface', 'the interface did');
$collector->configure(q{SELECT lastfluss.add_interface('early 2', '127.0.0.15', 2, sample => 20)});
is($collector->sql($rate_of_early), '|interface', 'each its own');
$collector->configure(q{UPDATE lastfluss.interface SET sample = NULL WHERE name = 'early 2'});
is($collector->sql($rate_of_early), '|unknown', 'not all of them');

# What does not decode, and who sends it, is shown as well.
$collector->exporter('v5', from => '127.0.0.99')->send_octets("\0\x63 no flows");
$collector->wait_received;

is($collector->sql(<<'SQL'), <<'ROWS' =~ s/\n$//r, 'exporters');
SELECT host, domain, protocol, configured, datagrams, records, lost, sampling, sampling_origin,
       templates, errors, clock_skew BETWEEN '-1 minute' AND '1 minute', last_seen >= first_seen
FROM lastfluss.exporters WHERE host IN ('127.0.0.11', '127.0.0.13', '127.0.0.99', '::1') ORDER BY host
SQL
127.0.0.11|0|NetFlow v5|t|1|3|0|100|header|0|{}|t|t
127.0.0.13|0|NetFlow v9|t|1|3|0|7|record|2|{}|t|t
127.0.0.99|0||f|1|0|0||unknown|0|{"unknown_version": 1}||t
::1|9|IPFIX|t|1|2|0||unknown|2|{}|t|t
ROWS
is($collector->sql(<<'SQL'), <<'ROWS' =~ s/\n$//r, 'templates');
SELECT host, domain, id, protocol, kind, fields, record_length, variable_length, records
FROM lastfluss.templates WHERE host = '::1' ORDER BY id
SQL
::1|9|256|IPFIX|data|8|34|f|1
::1|9|257|IPFIX|data|8|58|f|1
ROWS
is($collector->sql(<<'SQL'), <<'ROWS' =~ s/\n$//r, 'seen_interfaces');
SELECT host, id, configured, names, in_bytes, out_bytes, in_records, out_records
FROM lastfluss.seen_interfaces WHERE host IN ('127.0.0.11', '127.0.0.14') ORDER BY host, id
SQL
127.0.0.11|1|t|{"v5 in"}|200000|4000|2|1
127.0.0.11|2|t|{"v5 out"}|4000|200000|1|2
127.0.0.14|1|t|{port,"vlan 100"}|3|12|2|2
127.0.0.14|5|f||12|3|2|2
ROWS

$collector->stop;
done_testing();
