# Two collectors get the same datagrams: at the hub each interval counts once, and it is the
# more complete one, whatever comes first, and whichever of the two was down.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use Lastfluss;
use PostgreSQL::Test::Cluster;
use Test::More;

my $from = '127.0.0.11';
my %collector;

for my $name ('a', 'b')
{
	$collector{$name} = Lastfluss->new($name, init => { allows_streaming => 'logical' });
	$collector{$name}->configure(
		q{SELECT lastfluss.set('period', '60')},
		qq{SELECT lastfluss.add_interface('DE-CIX', '$from', 1)});
	$collector{$name}->sql("SELECT lastfluss.publish('$name')");
}

my $hub = Lastfluss->new('hub', listen => 0);

sub connstr { return '$c$' . $collector{ $_[0] }->node->connstr('postgres') . '$c$'; }

$hub->sql("SELECT lastfluss.subscribe('$_', " . connstr($_) . ", site => 'fra')") for sort keys %collector;

# What a collector has written for a minute: so many records of 1000 bytes.
sub collect
{
	my ($name, $minute, $records) = @_;

	$collector{$name}->sql(<<"SQL");
DELETE FROM traffic WHERE time = '2026-11-20 00:00+00'::timestamptz + interval '$minute min';
INSERT INTO traffic (time, bandwidth, iface, ingress, remote_asn, local_asn, family, bytes, packets, flows)
SELECT '2026-11-20 00:00+00'::timestamptz + interval '$minute min', 1000 * 8 / 60.0, 'DE-CIX', true, 64500 + n, 64600, 4, 1000, 1, 1
FROM generate_series(1, $records) n
SQL
	return;
}

sub send_minutes
{
	my ($name, $first, $last) = @_;

	$collector{$name}->sql("SELECT lastfluss.publish_again('2026-11-20 00:00+00'::timestamptz + interval '$first min', '2026-11-20 00:00+00'::timestamptz + interval '$last min 1 s')");
	return;
}

# A test point: minute, collector and rows of each that the hub has.
sub has
{
	my ($expected, $what) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	return $hub->becomes(q{SELECT string_agg(concat_ws(' ', m, collector, n), ', ' ORDER BY m, collector)
		FROM (SELECT extract(epoch FROM time - '2026-11-20 00:00+00')::integer / 60 AS m, collector, count(*) AS n
		      FROM traffic WHERE iface = 'fra/DE-CIX' AND time < '2026-11-21' GROUP BY 1, 2) t}, $expected, $what);
}

# The hub must know the days' table of the sites first.
for my $name (sort keys %collector)
{
	$collector{$name}->wait_for(q{SELECT to_regclass('traffic') IS NOT NULL});
	$collector{$name}->sql(q{CREATE TABLE traffic_20261120 PARTITION OF traffic FOR VALUES FROM ('2026-11-20 00:00+00') TO ('2026-11-21 00:00+00')});
}

#
# Both have all: one counts.
#
collect('a', $_, 10) for 0 .. 2;
collect('b', $_, 10) for 0 .. 2;
send_minutes('a', 0, 2);
has('0 a 10, 1 a 10, 2 a 10', 'one has sent');
send_minutes('b', 0, 2);
$hub->becomes(q{SELECT parcels FROM lastfluss.collectors WHERE name = 'b'}, 3, 'the other has sent the same');
has('0 a 10, 1 a 10, 2 a 10', 'which does not count, too');

#
# One restarted, and has lost a part; the other was down for a while, and comes later.
#
collect('a', 3, 4);
collect('b', 3, 10);
collect('b', 4, 10);
collect('a', 5, 10);
send_minutes('a', 3, 5);
has('0 a 10, 1 a 10, 2 a 10, 3 a 4, 5 a 10', 'what the first has');
send_minutes('b', 3, 5);
has('0 a 10, 1 a 10, 2 a 10, 3 b 10, 4 b 10, 5 a 10', 'of each interval the more complete one');

#
# More of an interval comes, and again.
#
collect('a', 3, 12);
send_minutes('a', 3, 3);
has('0 a 10, 1 a 10, 2 a 10, 3 a 12, 4 b 10, 5 a 10', 'the first has more in the end');
send_minutes($_, 0, 5) for ('b', 'a', 'b');
$hub->becomes(q{SELECT sum(parcels) FROM lastfluss.collectors}, 6 + 2 + 2 + 1 + 5 + 5 + 5, 'all was sent again');
has('0 a 10, 1 a 10, 2 a 10, 3 a 12, 4 b 10, 5 a 10', 'and nothing counts twice');

#
# From the wire: the same datagrams to both, of which one is down meanwhile.
#
my %router = map { $_ => $collector{$_}->exporter('v9', from => $from) } keys %collector;
my $sent = 0;
my $before;

$_->configure(q{SELECT lastfluss.set('period', '1')}) for values %collector;
$hub->configure(q{SELECT lastfluss.set('period', '1')});

sub send_to
{
	my (@names) = @_;

	for my $name (@names)
	{
		$router{$name}->{template_sent} = 0;
		$router{$name}->send({ in => 1, out => 9, src_as => 64999, bytes => 1000 + $sent, packets => 1 });
	}
	$sent++;
	$collector{$_}->wait_written for @names;
	return;
}

sub bytes { my ($count) = @_; return 1000 * $count + $count * ($count - 1) / 2; }

send_to('a');
$collector{b}->stop('fast');
send_to('a') for 1 .. 2;
$collector{b}->start;
$collector{b}->wait_for('SELECT state FROM lastfluss.status', 'collecting');
$collector{a}->stop('immediate');
send_to('b') for 1 .. 2;
$hub->becomes('SELECT sum(bytes) FROM traffic WHERE remote_asn = 64999', bytes($sent), 'whichever is up counts');
$collector{a}->start;
$collector{a}->wait_for('SELECT state FROM lastfluss.status', 'collecting');
is($hub->sql('SELECT sum(bytes) FROM traffic WHERE remote_asn = 64999'), bytes($sent), 'and nothing comes twice');

#
# The same interval of both, from the wire, of which one has got more.
#
$_->configure(q{SELECT lastfluss.set('period', '20')}) for values %collector, $hub;
$before = $hub->sql('SELECT sum(bytes) FROM traffic');
Lastfluss::wait_until(sub { time % 20 < 3 });
$router{$_}->{template_sent} = 0 for keys %router;
$router{a}->send(map { { in => 1, out => 9, src_as => 65001, bytes => 1000, packets => 1 } } 1 .. 3);
$router{b}->send(map { { in => 1, out => 9, src_as => 65001, bytes => 1000, packets => 1 } } 1 .. 5);
$_->wait_written for values %collector;
$hub->becomes('SELECT sum(bytes) FROM traffic', $before + 5000, 'of one interval the more complete one, whichever came first');

#
# A site without the word, and of the same name, is refused.
#
$hub->sql("SELECT lastfluss.unsubscribe('$_')") for sort keys %collector;
$collector{b}->sql(q{SELECT lastfluss.set('collector', 'a')});
$hub->sql("SELECT lastfluss.subscribe('$_', " . connstr($_) . ')') for sort keys %collector;
$before = $hub->sql('SELECT sum(bytes) FROM traffic');
my $position = $hub->log_position;
send_to('a');
$hub->becomes('SELECT sum(bytes) FROM traffic', $before + bytes($sent) - bytes($sent - 1), 'a comes');
send_to('b');
$hub->node->wait_for_log(qr/collector "a" of subscription "b" has the same name as one of subscription "a"/, $position);
pass('b of the same name does not');
$hub->becomes(q{SELECT count(*) > 0 FROM lastfluss.doctor() WHERE topic = 'sites' AND status = 'warning'}, 't', 'which the doctor tells');
is($hub->sql('SELECT sum(bytes) FROM traffic'), $before + bytes($sent - 1) - bytes($sent - 2), 'nothing is mixed');

$hub->stop;
$_->stop for values %collector;
done_testing();
