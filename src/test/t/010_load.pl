# 200,000 records of three routers, in v5, v9 and IPFIX: what arrives in traffic is
# what the generator says that it sent, to the byte.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use Lastfluss;
use PostgreSQL::Test::Utils;
use Test::More;

my $generator = $ENV{GENERATOR} // "$FindBin::RealBin/../generator/generator";
plan skip_all => "the generator is not built (make generator): $generator"
	unless -x $generator;

my $collector = Lastfluss->new('load', conf => 'lastfluss.max_entries = 131072');
my $truth     = $collector->node->basedir . '/truth.tsv';

# Rows of a truth file: host, interface, in or out, records, octets, packets, scaled.
sub read_truth
{
	return map { [ split /\t/ ] } grep { /^[0-9]/ } split /\n/, slurp_file($truth);
}

# A dry run tells the interfaces; a name has the host and the number.
command_ok(
	[ $generator, '--quiet', '--records', 5000, '--pcap', '/dev/null', '--truth', $truth ],
	'the generator runs');
my %interfaces = map { ("$_->[0] $_->[1]" => $_) } grep { $_->[4] > 0 } read_truth();
cmp_ok(scalar(keys %interfaces), '>=', 3, 'there are interfaces');

# The v9 router tells its sampling rate in options data only, so it is configured.
sub add_interface
{
	my ($name) = @_;
	my ($host, $id, undef, undef, $octets, undef, $scaled) = @{ $interfaces{$name} };
	my $sample = $host eq '127.0.1.2' ? $scaled / $octets : 'NULL';

	return "SELECT lastfluss.add_interface('$name', '$host', $id, sample => $sample)";
}
$collector->configure(
	q{SELECT lastfluss.set('period', '2')},
	map { add_interface($_) } sort keys %interfaces);

command_ok(
	[ $generator, '--quiet', '--records', 200000, '--rate', 15000, '--seed', 7,
	  '--port', $collector->port, '--truth', $truth ],
	'200,000 records were sent');
$collector->becomes('SELECT records FROM lastfluss.status', 200000, 'and received');
$collector->wait_for('SELECT count(*) FROM lastfluss.live', 0);

my @expected = map {
	my ($host, $id, $direction, $records, $octets, $packets, $scaled) = @$_;

	join('|', "$host $id", $direction eq 'in' ? 't' : 'f', $records, $scaled)
} grep { $_->[3] > 0 } read_truth();
my @rows = split /\n/, $collector->sql(
	'SELECT iface, ingress, sum(flows), sum(bytes) FROM traffic GROUP BY 1, 2');
is_deeply([ sort @rows ], [ sort @expected ],
	'octets times sampling rate, and records, of every interface');
is($collector->sql('SELECT kernel_drops, lost, unmatched, folded, stretched FROM lastfluss.status'),
	'0|0|0|0|0', 'nothing was lost on the way');
is($collector->sql('SELECT count(*) FROM lastfluss.exporters WHERE errors <> \'{}\''), 0,
	'and nothing could not be decoded');

# Bench routers send datagrams that are written once, with other times, ASes and
# templates: they too are what the generator says.
sub sums
{
	return $collector->sql("SELECT iface, ingress, sum(flows), sum(bytes) FROM traffic WHERE iface LIKE 'bench%' GROUP BY 1, 2");
}

for my $case ([ 'v5', 10, 1, 1 ], [ 'ipfix', 10, 1, 40 ], [ 'v9', 1, 20, 3 ], [ 'sflow', 100, 3, 1 ])
{
	my ($format, $sample, $exporters, $templates) = @$case;
	my @command = ($generator, '--quiet', '--format', $format, '--interfaces', 2, '--sample', $sample,
		'--exporters', $exporters, '--templates', $templates, '--port', $collector->port,
		'--rate', 40000, '--records', 40000, '--truth', $truth);
	my @hosts = $exporters == 1 ? '127.0.0.1' : map { "127.1.0.$_" } 0 .. $exporters - 1;
	my $records = $collector->sql('SELECT records FROM lastfluss.status');
	my $sent = 0;

	$collector->configure(
		q{DELETE FROM lastfluss.interface},
		q{DELETE FROM traffic},
		map { my $host = $_;
			map { "SELECT lastfluss.add_interface('bench $host $_', '$host', $_)" } 1 .. 3 } @hosts);
	command_ok(\@command, "$format from $exporters exporters");
	for (read_truth())
	{
		$sent += $_->[3] if $_->[2] eq 'in';
	}
	$collector->becomes("SELECT records - $records FROM lastfluss.status", $sent, 'is received');
	$collector->wait_for('SELECT count(*) FROM lastfluss.live', 0);
	my @told = map { join('|', "bench $_->[0] $_->[1]", $_->[2] eq 'in' ? 't' : 'f', $_->[3], $_->[6]) }
	  grep { $_->[3] > 0 } read_truth();
	is_deeply([ sort split /\n/, sums() ], [ sort @told ], 'and is what was sent');
}
is($collector->sql('SELECT kernel_drops, lost, unmatched, folded FROM lastfluss.status'),
	'0|0|0|0', 'nothing was lost on the way');
is($collector->sql('SELECT count(*) FROM lastfluss.exporters WHERE errors <> \'{}\''), 0,
	'and nothing could not be decoded');

$collector->stop;
done_testing();
