#!/usr/bin/perl
#
# bench_answers.pl CONNSTR UNTIL DAYS RUNS COLD SPANS DASHBOARDS COLD-COMMAND: how long the
# answers take, as Markdown tables; the original importer's queries on its own table
# (public.original) beside them.
#
# UNTIL is a Unix time.  Warm: of RUNS runs in one session, after one that is not
# counted.  Cold: of COLD runs, each after COLD-COMMAND, in a session of its own.
# Pages: blocks of 8 kB that a run reads, from the server's memory or not.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/perl";

use Grafana;
use IPC::Open2;
use JSON::PP;

my ($connstr, $until, $days, $runs, $cold, $spans, $directory, $cold_command) = @ARGV;
my $day = 86400;
my $span_of_all = $days * $day;

sub psql
{
	my ($script) = @_;
	my $pid = open2(my $out, my $in, 'psql', '-XqAt', '-F', "\t", '-v', 'ON_ERROR_STOP=1', '-d', $connstr, '-f', '-');

	print $in $script;
	close($in);
	my @lines = <$out>;
	waitpid($pid, 0);
	die "failed: $script\n" if $? != 0;
	chomp @lines;
	return @lines;
}

my $pages = 'SELECT pg_stat_force_next_flush() \g /dev/null' . "\n"
  . "SELECT ':pages', blks_hit + blks_read FROM pg_stat_database WHERE datname = current_database();\n";

# Of so many runs of a panel's queries: milliseconds of each, and pages of one.
sub time_of
{
	my ($count, @queries) = @_;
	my $script = "SET TimeZone = 'UTC';\n";
	my (@times, @pages);

	for (1 .. $count)
	{
		$script .= $pages . join('', map { "\\timing on\n\\o /dev/null\n$_\n;\n\\o\n\\timing off\n" } @queries) . $pages . "\\echo :run\n";
	}
	my ($time, @counted) = (0);
	for my $line (psql($script))
	{
		$time += $1 if $line =~ /^Time: ([\d.]+) ms/;
		push @counted, $1 if $line =~ /^:pages\t(\d+)/;
		next unless $line eq ':run';
		push @times, $time;
		push @pages, $counted[1] - $counted[0];
		($time, @counted) = (0);
	}
	return { times => \@times, pages => $pages[-1] };
}

sub median
{
	my @sorted = sort { $a <=> $b } @_;

	return $sorted[ $#sorted / 2 ];
}

sub milliseconds
{
	my ($time) = @_;

	return sprintf($time < 9.95 ? '%.1f' : '%.0f', $time);
}

# Median and worst.
sub both
{
	my (@times) = @_;

	return '-' unless @times;
	my ($worst) = sort { $b <=> $a } @times;
	return milliseconds(median(@times)) . ' / ' . milliseconds($worst);
}

sub measure
{
	my ($runs, @queries) = @_;
	my $warm = time_of($runs + 1, @queries);
	my @cold;

	shift @{ $warm->{times} };
	for (1 .. $cold)
	{
		system($cold_command) == 0 or die "failed: $cold_command\n";
		push @cold, @{ time_of(1, @queries)->{times} };
	}
	return { warm => $warm->{times}, pages => $warm->{pages}, cold => \@cold };
}

#
# The original's queries: those of its four dashboards.  It drew every row of its table,
# in two queries for a panel, and its top lists were those of the last day; here they are of
# the range.
#

sub original_series
{
	my ($range, $condition) = @_;
	my ($from, $to) = map { "'" . Grafana::timestamp($_) . "'" } @$range{qw(from to)};

	return map {
		"SELECT time, sum(bandwidth) AS bandwidth, iface || '" . ($_ ? ' IN' : ' OUT') . "' AS metric FROM original"
		  . ' WHERE ingress = ' . ($_ ? 'true' : 'false') . "$condition AND time BETWEEN $from AND $to GROUP BY time, iface ORDER BY time"
	} 0, 1;
}

sub original_top
{
	my ($range, $column) = @_;
	my ($from, $to) = map { "'" . Grafana::timestamp($_) . "'" } @$range{qw(from to)};

	return "SELECT $column FROM (SELECT $column, sum(bandwidth) AS bandwidth FROM original WHERE time > $from AND time <= $to GROUP BY $column ORDER BY bandwidth DESC LIMIT 10) t";
}

my %original = (
	interfaces => sub { original_series($_[0], '') },
	interface  => sub { original_series($_[0], " AND iface = 'DE-CIX Frankfurt'") },
	asn        => sub { original_series($_[0], ' AND remote_asn = 15169') },
	downstream => sub { original_series($_[0], ' AND local_asn = 64501') },
	top        => sub { original_top($_[0], 'remote_asn') },
	top_down   => sub { original_top($_[0], 'local_asn') });
my %measured;

# The original's table has the days alone, and no rollups of a year.
sub measure_original
{
	my ($kind, $range) = @_;
	my $from = $range->{from} < $until - $span_of_all ? $until - $span_of_all : $range->{from};

	return unless defined $kind && ($ENV{ORIGINAL} // '') ne 'no';
	return $measured{"$kind $from"} //= measure(int($runs / 2) || 1, $original{$kind}->({ from => $from, to => $range->{to} }));
}

# Which of them shows what a panel does.
sub original_of
{
	my ($board, $sql) = @_;

	return 'asn' if $sql =~ /remote_asn => \d/;
	return 'downstream' if $sql =~ /local_asn => \d/;
	return 'top' if $sql =~ /remote asn|graph_peering|peering_candidates/;
	return 'top_down' if $sql =~ /local asn/;
	return 'interface' if $sql =~ /iface => ARRAY\['[^',]*'\]/;
	return 'interfaces' if $sql =~ /lastfluss\.graph(_interfaces|_billing)?\(/;
	return;
}

#
# Tables.
#

my @head = ('warm', 'cold', 'pages', 'original: warm', 'cold', 'pages', 'times faster');

sub row
{
	my ($ours, $theirs) = @_;

	return (both(@{ $ours->{warm} }), both(@{ $ours->{cold} }), $ours->{pages},
		$theirs ? (both(@{ $theirs->{warm} }), both(@{ $theirs->{cold} }), $theirs->{pages}, sprintf('%.0f', median(@{ $theirs->{warm} }) / median(@{ $ours->{warm} }))) : ('-') x 4);
}

sub say_row
{
	print '| ' . join(' | ', @_) . " |\n";
}

sub queries
{
	my ($first, $hour, $of_day, $month, $year) = map { "'" . Grafana::timestamp($_) . "'" } $until, $until - 3600, $until - $day, $until - 30 * $day, $until - 365 * $day;

	return (
		[ 'one interface over a month', "SELECT * FROM lastfluss.traffic($month, $first, '2 hours', iface => '{DE-CIX Frankfurt}', by => '{iface,ingress}')", 'interface', 30 * $day ],
		[ 'one ASN over a year', "SELECT * FROM lastfluss.traffic($year, $first, '1 day', remote_asn => '{15169}', by => '{iface,ingress}')", 'asn', 365 * $day ],
		[ 'all interfaces over a day', "SELECT * FROM lastfluss.traffic($of_day, $first, '5 min', by => '{iface,ingress}')", 'interfaces', $day ],
		[ 'top ASNs of the last hour', "SELECT * FROM lastfluss.top_asns('1 hour', until => $first)", 'top', 3600 ],
		[ 'top ASNs of a month', "SELECT * FROM lastfluss.top_asns('30 days', until => $first)", 'top', 30 * $day ],
		[ 'top ASNs of a year', "SELECT * FROM lastfluss.top_asns('365 days', until => $first)", 'top', 365 * $day ]);
}

$| = 1;
print "### Answers\n\nMilliseconds, median / worst; pages of 8 kB. The original's table has the last $days days alone, also where a year is asked for.\n\n";
say_row('query', @head);
say_row('---', map { '--:' } @head);
for my $query (queries())
{
	my ($what, $sql, $kind, $span) = @$query;

	say_row($what, row(measure($runs, $sql), measure_original($kind, { from => $until - $span, to => $until })));
}

for my $span (map { $_ * $day } split ' ', $spans)
{
	print "\n### Panels of " . ($span == $day ? '24 hours' : $span / $day . ' days') . "\n\n";
	say_row('dashboard', 'panel', @head);
	say_row('---', '---', map { '--:' } @head);
	for my $file (sort glob "$directory/*.json")
	{
		open(my $handle, '<:raw', $file) or die "$file: $!\n";
		my $board   = JSON::PP->new->utf8->decode(do { local $/; <$handle> });
		my $grafana = Grafana->new(from => $until - $span, to => $until, variables => { datasource => 'lastfluss', asn => 15169 });

		close($handle);
		$grafana->choose($board, sub { map { [ split /\t/ ] } psql("SET TimeZone = 'UTC';\n$_[0];\n") });
		for my $panel (@{ $board->{panels} })
		{
			my $one = $grafana->for_panel($panel);
			my @sql = map { $one->expand($_->{rawSql}, $panel) } @{ $panel->{targets} };
			my $title = $one->title($panel->{title});

			next unless @sql;
			$title =~ s/ \((in|out) above\)$//;
			$title =~ s/[|]/ /g;
			say_row($board->{title}, $title, row(measure($runs, @sql), measure_original(scalar original_of($board, $sql[0]), { from => $until - $span, to => $until })));
		}
	}
}
