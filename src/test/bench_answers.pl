#!/usr/bin/perl
#
# bench_answers.pl CONNSTR UNTIL DAYS RUNS COLD SPANS DASHBOARDS COLD-COMMAND: how long the
# answers take, as Markdown tables; the original importer's queries on its own table
# (public.original) beside them.
#
# UNTIL is a Unix time.  Warm: of RUNS runs in one session, after one that is not
# counted.  Cold: of COLD runs, each after COLD-COMMAND, in a session of its own.
# Where a panel has several queries, they run at the same time, as Grafana sends them;
# it takes as long as the slowest.  Pages: blocks of 8 kB that all of them read, from the
# server's memory or not.

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

# A script for psql in a session of its own: what is to be read of it.
sub begin_psql
{
	my ($script) = @_;
	my $pid = open2(my $out, my $in, 'psql', '-XqAt', '-F', "\t", '-v', 'ON_ERROR_STOP=1', '-d', $connstr, '-f', '-');

	print $in $script;
	close($in);
	return [ $pid, $out, $script ];
}

sub end_psql
{
	my ($pid, $out, $script) = @{ $_[0] };
	my @lines = <$out>;

	waitpid($pid, 0);
	die "failed: $script\n" if $? != 0;
	chomp @lines;
	return @lines;
}

sub psql
{
	return end_psql(begin_psql(@_));
}

my $zone = "SET TimeZone = 'UTC';\n";

# Of so many runs of a panel's queries: milliseconds of each.
sub times_of
{
	my ($count, @queries) = @_;
	my @sessions = map { begin_psql($zone . "\\timing on\n\\o /dev/null\n" . "$_\n;\n" x $count) } @queries;
	my @times = (0) x $count;

	for my $session (@sessions)
	{
		my @own = map { /^Time: ([\d.]+) ms/ ? $1 : () } end_psql($session);

		@own == $count or die "no times: $session->[2]\n";
		$own[$_] > $times[$_] and $times[$_] = $own[$_] for 0 .. $count - 1;
	}
	return @times;
}

sub pages_of
{
	my (@queries) = @_;
	my $pages = 'SELECT pg_stat_force_next_flush() \g /dev/null' . "\n"
	  . "SELECT ':pages', blks_hit + blks_read FROM pg_stat_database WHERE datname = current_database();\n";
	my $all = join('', map { "$_\n;\n" } @queries);
	# The first time a session reads the catalogue too.
	my ($before, $after) = map { /^:pages\t(\d+)/ ? $1 : () } psql($zone . "\\o /dev/null\n" . $all . "\\o\n" . $pages . "\\o /dev/null\n" . $all . "\\o\n" . $pages);

	return $after - $before;
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
	my (undef, @warm) = times_of($runs + 1, @queries);
	my $pages = pages_of(@queries);
	my @cold;

	for (1 .. $cold)
	{
		system($cold_command) == 0 or die "failed: $cold_command\n";
		push @cold, times_of(1, @queries);
	}
	return { warm => \@warm, pages => $pages, cold => \@cold };
}

#
# The same of the original's table.  What its four dashboards show, by their queries: they
# drew every row, in two queries for a panel, and the top lists were those of the last day;
# here they are of the range.  What they did not show, by the plain query.
#

sub original_series
{
	my ($during, $condition) = @_;

	return map {
		"SELECT time, sum(bandwidth) AS bandwidth, iface || '" . ($_ ? ' IN' : ' OUT') . "' AS metric FROM original"
		  . ' WHERE ingress = ' . ($_ ? 'true' : 'false') . "$condition AND $during GROUP BY time, iface ORDER BY time"
	} 0, 1;
}

sub original_top
{
	my ($during, $column, $condition) = @_;

	return "SELECT $column FROM (SELECT $column, sum(bandwidth) AS bandwidth FROM original WHERE $during" . ($condition // '') . " GROUP BY $column ORDER BY bandwidth DESC LIMIT 10) t";
}

# The series of the largest ASes.
sub original_largest
{
	my ($during, $column, $condition) = @_;
	my $list = original_top($during, $column, $condition);

	return map {
		"SELECT time, $column, sum(bandwidth) FROM original WHERE ingress = $_$condition AND $during AND $column IN ($list) GROUP BY 1, 2 ORDER BY 1"
	} 'true', 'false';
}

# Means and peaks in a table.
sub original_interfaces
{
	my ($during, $condition) = @_;

	return "SELECT iface, ingress, avg(bandwidth), max(bandwidth) FROM (SELECT time, iface, ingress, sum(bandwidth) AS bandwidth"
	  . " FROM original WHERE $during$condition GROUP BY 1, 2, 3) t GROUP BY 1, 2";
}

sub original_percentile
{
	my ($during) = @_;

	return "SELECT iface, ingress, percentile_disc(0.95) WITHIN GROUP (ORDER BY bandwidth) FROM (SELECT floor(extract(epoch FROM time) / 300), iface, ingress,"
	  . " sum(bandwidth) / 5 AS bandwidth FROM original WHERE $during GROUP BY 1, 2, 3) t GROUP BY 1, 2";
}

my %original = (
	interfaces => sub { original_series($_[0], '') },
	interface  => sub { original_series($_[0], " AND iface = 'DE-CIX Frankfurt'") },
	asn        => sub { original_series($_[0], ' AND remote_asn = 15169') },
	downstream => sub { original_series($_[0], ' AND local_asn = 64501') },
	share      => sub { original_series($_[0], ' AND remote_asn = 15169'), original_series($_[0], '') },
	top        => sub { original_top($_[0], 'remote_asn') },
	top_down   => sub { original_top($_[0], 'local_asn') },
	top_interface      => sub { original_top($_[0], 'remote_asn', " AND iface = 'DE-CIX Frankfurt'") },
	top_down_interface => sub { original_top($_[0], 'local_asn',  " AND iface = 'DE-CIX Frankfurt'") },
	largest            => sub { original_largest($_[0], 'remote_asn', '') },
	largest_down       => sub { original_largest($_[0], 'local_asn',  '') },
	largest_interface  => sub { original_largest($_[0], 'remote_asn', " AND iface = 'DE-CIX Frankfurt'") },
	interfaces_table   => sub { original_interfaces($_[0], '') },
	asn_table          => sub { original_interfaces($_[0], ' AND remote_asn = 15169') },
	percentile         => sub { original_percentile($_[0]) },
	peering            => sub { "SELECT remote_asn, iface, sum(bandwidth) FROM original WHERE $_[0] GROUP BY 1, 2 ORDER BY 3 DESC" });
my %measured;

# The original's table has the days alone, and no rollups of a year.
sub measure_original
{
	my ($kind, $range) = @_;
	my $from = $range->{from} < $until - $span_of_all ? $until - $span_of_all : $range->{from};
	my $during = sprintf("time >= '%s' AND time < '%s'", map { Grafana::timestamp($_) } $from, $range->{to});

	return unless defined $kind && ($ENV{ORIGINAL} // '') ne 'no';
	return $measured{"$kind $from"} //= measure(int($runs / 2) || 1, $original{$kind}->($during));
}

# Which of them shows what a panel does.  It had no families, no packets, and no health.
sub original_of
{
	my ($sql) = @_;
	my $one = $sql =~ /iface => ARRAY\['[^',]*'\]|, ARRAY\['[^',]*'\]::text\[\]\)/ ? '_interface' : '';

	return if $sql =~ /'family'|'packets'/;
	return 'share' if $sql =~ /'share'/;
	return $sql =~ /graph_interfaces/ ? 'asn_table' : 'asn' if $sql =~ /remote_asn => \d/;
	return 'downstream' if $sql =~ /local_asn => \d/;
	return "top$one" if $sql =~ /graph_top.*'remote asn'/s;
	return "top_down$one" if $sql =~ /graph_top.*'local asn'/s;
	return "largest$one" if $sql =~ /'remote asn'/;
	return 'largest_down' if $sql =~ /'local asn'/;
	return 'peering' if $sql =~ /graph_peering|peering_candidates/;
	return 'percentile' if $sql =~ /graph_billing/;
	return 'interfaces_table' if $sql =~ /graph_interfaces|'peak'/;
	return $one ? 'interface' : 'interfaces' if $sql =~ /lastfluss\.graph\(/;
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

# Without the queries, or with some boards alone, where it is to be done in pieces.
my $of_boards = $ENV{BOARDS} // '.';

$| = 1;
print "### Answers\n\nMilliseconds, median / worst; pages of 8 kB. The original's table has the last $days days alone, also where a year is asked for.\n\n";
say_row('query', @head);
say_row('---', map { '--:' } @head);
for my $query ($ENV{BOARDS} ? () : queries())
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
		next unless $board->{title} =~ /$of_boards/;
		$grafana->choose($board, sub { map { [ split /\t/ ] } psql("SET TimeZone = 'UTC';\n$_[0];\n") });
		for my $panel (@{ $board->{panels} })
		{
			my $one = $grafana->for_panel($panel);
			my @sql = map { $one->expand($_->{rawSql}, $panel) } @{ $panel->{targets} };
			my $title = $one->title($panel->{title});

			next unless @sql;
			$title =~ s/ \((in|out) above\)$//;
			$title =~ s/[|]/ /g;
			say_row($board->{title}, $title, row(measure($runs, @sql), measure_original(scalar original_of($sql[0]), { from => $until - $span, to => $until })));
		}
	}
}
