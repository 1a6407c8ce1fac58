# Coming from AS-Stats: the example that brings the history of its RRD files in.
#
# The files are made as asstatd.pl makes them, with its data sources and archives,
# and filled with 400 days.  What must arrive is told by rrdtool itself, archive by
# archive.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use IPC::Run qw(run);
use Lastfluss;
use PostgreSQL::Test::Utils;
use Test::More;

my ($rrdtool) = grep { -x } map { "$_/rrdtool" } split(/:/, $ENV{PATH}), '/usr/bin', '/usr/local/bin';
plan skip_all => 'rrdtool (package rrdtool) is not installed' unless defined $rrdtool;

my $examples  = "$FindBin::RealBin/../../../examples/as-stats";
my $directory = PostgreSQL::Test::Utils::tempdir;
my $day       = 86400;
my $last      = 1_750_000_000 - 1_750_000_000 % 300 + 60;    # not at a boundary
my @archives  = ([ $day, 366 ], [ 14400, 180 ], [ 3600, 168 ], [ 300, 576 ]);

sub rrd
{
	my @arguments = @_;
	my ($out, $err) = ('', '');

	run([ $rrdtool, @arguments ], '>', \$out, '2>', \$err) or die "rrdtool $arguments[0]: $err";
	return $out;
}

sub file_of
{
	my ($asn, $below) = @_;
	my $path = sprintf('%s/rrd%s/%02x', $directory, $below // '', $asn % 256);

	PostgreSQL::Test::Utils::system_or_bail('mkdir', '-p', $path);
	return "$path/$asn.rrd";
}

# An update every 25 minutes, in which so many octets came: the larger, the later.
sub make
{
	my ($file, $begins, $ends, $octets) = @_;
	my @updates;

	rrd('create', $file, '--start', $begins - 1,
		(map { ("DS:$_" . '_in:ABSOLUTE:300:U:U', "DS:$_" . '_out:ABSOLUTE:300:U:U',
				"DS:$_" . '_v6_in:ABSOLUTE:300:U:U', "DS:$_" . '_v6_out:ABSOLUTE:300:U:U') } 'uplink1', 'ixp_1'),
		map { "RRA:AVERAGE:0.99999:@{[ $_->[0] / 300 ]}:$_->[1]" } reverse @archives);
	for (my $time = $begins + 250; $time <= $ends; $time += 250)
	{
		my $value = $octets * (1 + ($time - $begins) / (50 * $day));

		push @updates, sprintf('%d:%d:%d:%d', $time, $value, $value / 3, $value / 7);
	}
	push @updates, "$ends:1000:1000:1000" if ($ends - $begins) % 250 != 0;
	while (my @some = splice(@updates, 0, 2000))
	{
		rrd('update', $file, '--template', 'uplink1_in:uplink1_out:ixp_1_v6_in', @some);
	}
	return;
}

make(file_of(64500),            $last - 400 * $day, $last,             1e9);
make(file_of(4200000001),       $last - 3 * $day,   $last,             5e6);
make(file_of(13335),            $last - 90 * $day,  $last - 50 * $day, 2e7);
make(file_of(64500, '/peeras'), $last - 2 * $day,   $last,             1e9);

my ($lines, $err) = ('', '');
ok(run([ 'sh', "$examples/fetch-history.sh", "$directory/rrd" ], '>', \$lines, '2>', \$err), 'fetch-history.sh');
is($err, '', 'without a word');
my @lines = map { [ split /\t/ ] } split /\n/, $lines;

# Each moment once: rows of a series follow each other without overlap.
{
	my %ends;
	my $overlaps = 0;
	my $gaps     = 0;

	for my $line (sort { $a->[4] <=> $b->[4] } @lines)
	{
		my ($asn, $tag, $direction, $family, $start, $step) = @$line;
		my $series = "$asn $tag $direction $family";

		$overlaps++ if defined $ends{$series} && $start < $ends{$series};
		$gaps++ if defined $ends{$series} && $start > $ends{$series};
		$ends{$series} = $start + $step;
	}
	is_deeply([ sort keys %ends ],
		[ sort map { my $asn = $_; map { "$asn $_" } 'uplink1 in 4', 'uplink1 out 4', 'ixp_1 in 6' } 13335, 64500, 4200000001 ],
		'by AS, tag, direction and family');
	is($overlaps, 0, 'no moment comes twice');
	is($gaps, 0, 'and none is left out');
}
is_deeply([ map { my $step = $_; scalar(grep { $_->[0] == 64500 && $_->[1] eq 'ixp_1' && $_->[5] == $step } @lines) > 0 } map { $_->[0] } @archives ],
	[ 1, 1, 1, 1 ], 'of each archive');

# Against rrdtool's own average of the whole: the archives begin at the same moments.
{
	my @of = grep { $_->[0] == 64500 && $_->[1] eq 'uplink1' && $_->[2] eq 'in' && $_->[5] == 300 } @lines;
	my ($first, $end) = ($of[0][4], $of[-1][4] + 300);
	my $sum = 0;
	my $own = 0;

	$sum += $_->[5] * $_->[6] for @of;
	for (split /\n/, rrd('fetch', file_of(64500), 'AVERAGE', '-r', 300, '-s', $first, '-e', $end))
	{
		$own += 300 * $2 if /^(\d+): (\S+)/ && $1 > $first && $1 <= $end;
	}
	ok($sum > 1e11 && abs($sum / $own - 1) < 1e-9, 'as rrdtool has it');
}

my $collector = Lastfluss->new('as_stats');
my $connect   = $collector->node->connstr('postgres');

sub import
{
	my @options = @_;
	my ($out, $errors) = ('', '');

	run([ 'psql', '-XqAt', '-d', $connect, @options, '-f', "$examples/import-history.sql" ],
		'<', \$lines, '>', \$out, '2>', \$errors);
	is($?, 0, "import-history.sql @options") or diag $errors;
	return;
}

import();
is($collector->sql("SELECT iface, ingress, family, remote_asn, sum(bytes) FROM traffic GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4"),
	join("\n", expected()), 'to the octet');
is($collector->sql("SELECT max(bytes * 8 / bandwidth) <= 14400.5, min(bytes) > 0, count(packets) FROM traffic"),
	't|t|0', 'in rows of four hours at most');
is($collector->sql("SELECT count(DISTINCT date_trunc('day', time)) > 366, min(time) < to_timestamp($last) - interval '364 days' FROM traffic"),
	't|t', 'of a year');

my $rows = $collector->sql('SELECT count(*), sum(bytes) FROM traffic');
import();
is($collector->sql('SELECT count(*), sum(bytes) FROM traffic'), $rows, 'a second time nothing is added');

# What the collector has is not counted twice.
$collector->sql("TRUNCATE traffic; INSERT INTO traffic (time, bandwidth, iface, ingress) VALUES (to_timestamp($last) - interval '10 days', 8, 'uplink1', true)");
import('-v', 'slot=300');
is($collector->sql("SELECT iface, max(time) <= to_timestamp($last) - interval '10 days' FROM traffic GROUP BY 1 ORDER BY 1"),
	"ixp_1|t\nuplink1|t", 'only what is older than these rows');
is($collector->sql("SELECT max(bytes * 8 / bandwidth) <= 300.5 FROM traffic WHERE bandwidth <> 8"), 't', 'with slots of five minutes');

done_testing();

# Each row's octets, rounded as rows are.
sub expected
{
	my %octets;

	for my $line (@lines)
	{
		my ($asn, $tag, $direction, $family, undef, $step, $rate) = @$line;

		$octets{ join('|', $tag, $direction eq 'in' ? 't' : 'f', $family, $asn) } += sprintf('%.0f', $rate * $step);
	}
	return map { sprintf('%s|%d', $_, $octets{$_}) }
	  sort { my @x = split /\|/, $a; my @y = split /\|/, $b;
		$x[0] cmp $y[0] || $x[1] cmp $y[1] || $x[2] <=> $y[2] || $x[3] <=> $y[3] } keys %octets;
}
