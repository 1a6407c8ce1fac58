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

$collector->stop;
done_testing();
