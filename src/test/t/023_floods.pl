# Floods: from hosts that nobody has configured, of templates and of data without one, of
# ASNs, of samplers, of datagrams that are too short.  What is remembered has bounds, the
# receiver's memory does not grow, and a configured exporter is counted to the byte.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use Lastfluss;
use PostgreSQL::Test::Utils;
use Test::More;

my $datagrams = 3000;           # of each flood
my $at_a_time = 150;
my $entries   = 4096;
my $collector = Lastfluss->new('floods', conf => "lastfluss.max_entries = $entries");
my $period    = Lastfluss::long_period();

$collector->configure(
	"SELECT lastfluss.set('period', '$period')",
	"SELECT lastfluss.add_interface('known', '127.0.0.31', 1)",
	"SELECT lastfluss.add_interface('flooded', '127.0.0.32', 1)");
my $known    = $collector->exporter('v9',    from => '127.0.0.31');
my $flooding = $collector->exporter('ipfix', from => '127.0.0.32');
my $stranger = $collector->exporter('ipfix', from => '127.0.0.33');
my $bytes    = 0;

*set = \&Lastfluss::Exporter::set;

sub send_known
{
	my $amount = 1 + int(rand(1000000));

	$known->send({ in => 1, out => 9, src_as => 64500, bytes => $amount, packets => 1 });
	$bytes += $amount;
	return;
}

# Kilobytes of the receiver that are its own.
sub private_memory
{
	my $status = slurp_file('/proc/' . $collector->process('lastfluss receiver') . '/status');

	return $status =~ /^RssAnon:\s+(\d+)/m ? $1 : die 'no memory in /proc';
}

# The flood, by steps that no buffer is too small for, with the known exporter between.
sub flood
{
	my ($name, $send) = @_;

	for my $i (1 .. $datagrams)
	{
		$send->($i);
		next if $i % $at_a_time;
		send_known();
		$collector->wait_received;
	}
	is($collector->sql(q{SELECT sum(bytes) FROM lastfluss.live WHERE iface = 'known'}), $bytes,
		"$name: the configured exporter is counted");
	return;
}

send_known();
$collector->wait_received;
my $memory = private_memory();

# Addresses that differ, as if they were spoofed.
flood('unknown hosts', sub {
	my ($i) = @_;
	my $spoofed = $collector->exporter($i % 2 ? 'v9' : 'ipfix',
		from => sprintf('127.9.%d.%d', $i / 250, 1 + $i % 250), domain => $i);

	$spoofed->send({ in => $i, out => $i + 1, src_as => $i, bytes => 1, packets => 1 });
});
cmp_ok($collector->sql('SELECT count(*) FROM lastfluss.exporters'), '<=', 4096 / 4 + 1,
	'strangers share a quarter of the exporters');
cmp_ok($collector->sql('SELECT count(*) FROM lastfluss.seen_interfaces'), '<=', 16384 / 4 + 3,
	'and of the interfaces seen');
is($collector->sql(q{SELECT records - 1 FROM lastfluss.exporters WHERE host = '127.0.0.31'}),
	$datagrams / $at_a_time, 'the configured one is not forgotten');

# Data sets for which there is no template: what waits for one has bounds.
flood('data without templates', sub {
	my ($i) = @_;

	$_->send_octets($_->message(set(400 + $i % 1000, "\1" x 1000))) for $flooding, $stranger;
});
cmp_ok($collector->sql(q{SELECT (errors->>'no_template')::bigint FROM lastfluss.exporters WHERE host = '127.0.0.32'}),
	'>', $datagrams - 100, 'data for which there is no room is counted');

# Templates, each with an id of its own.
flood('templates', sub {
	my ($i) = @_;

	$stranger->send_octets($stranger->message(
		set(2, join('', map { pack('nnnnnn', 2000 + 20 * $i + $_, 2, 1, 8, 2, 8) } 0 .. 19))));
});
is($collector->sql(q{SELECT count(*) FROM lastfluss.templates WHERE host = '127.0.0.33' AND kind <> 'awaited'}),
	512, 'an address has so many templates at the most');
cmp_ok($collector->sql(q{SELECT sum(waiting_sets) FROM lastfluss.templates WHERE host = '127.0.0.33'}),
	'<=', 65, 'and 64 kilobytes of data that wait for others');
is($collector->sql(q{SELECT count(*) FROM lastfluss.templates WHERE host = '127.0.0.31'}), 2,
	'the configured exporter keeps its own');

# Samplers, of which every record would be looked for.
my $sampler_template = set(3, pack('nnn', 300, 3, 1) . pack('nnnnnn', 302, 8, 34, 4, 35, 1));
flood('samplers', sub {
	my ($i) = @_;

	$stranger->send_octets($stranger->message($i == 1 ? $sampler_template : (),
		set(300, join('', map { pack('Q>NC', 50 * $i + $_, 1 + $i, 1) } 0 .. 49))));
});

# ASNs that never come again: the rows for all the others take them, to the byte.
my $flooded = 0;
flood('random ASNs', sub {
	my ($i) = @_;

	$flooding->send(map { { in => 1, out => 9, src_as => 1000 * $i + $_, dst_as => 7, bytes => 3, packets => 1 } } 1 .. 10);
	$flooded += 30;
});
is($collector->sql(q{SELECT sum(bytes) FROM lastfluss.live WHERE iface = 'flooded'}), $flooded,
	'they are counted');
cmp_ok($collector->sql('SELECT count(*) FROM lastfluss.live'), '<=', 2 * $entries + 6,
	'in a bounded number of rows');
cmp_ok($collector->sql('SELECT folded FROM lastfluss.status'), '>=', 10 * $datagrams - $entries,
	'and what was folded is told');

# Nothing at all, a version, a header.
flood('short datagrams', sub {
	my ($i) = @_;

	$stranger->send_octets(substr(pack('nnNNNN', 9, 1, 0, 0, $i, 0), 0, $i % 21));
});

cmp_ok(private_memory() - $memory, '<', 1024, 'the receiver needs no more memory than before');
is($collector->sql('SELECT kernel_drops FROM lastfluss.status'), 0, 'the kernel dropped nothing');
is($collector->sql(q{SELECT lost, errors FROM lastfluss.exporters WHERE host = '127.0.0.31'}), '0|{}',
	'nothing is missing of the configured exporter');

# All of it is written.
$collector->configure(q{SELECT lastfluss.set('period', '1')});
$collector->wait_written;
is($collector->sql(q{SELECT sum(bytes) FROM traffic WHERE iface = 'known'}), $bytes,
	'its rows are in the table');
is($collector->sql(q{SELECT sum(bytes) FROM traffic WHERE iface = 'flooded'}), $flooded,
	'and those of the flood');

$collector->stop;
done_testing();
