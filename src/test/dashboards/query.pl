#!/usr/bin/perl
#
# query.pl CONNSTR FILE FROM TO: a dashboard and what its queries give, as one JSON
# document for page.html.  FROM and TO are Unix times.
#
# Of repeated panels the first few are shown.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use Grafana;
use IPC::Open2;
use JSON::PP;

my ($connstr, $file, $from, $to) = @ARGV;
my $json = JSON::PP->new->utf8->canonical;

sub query
{
	my ($sql) = @_;
	my $pid = open2(my $out, my $in, 'psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', '-d', $connstr, '-f', '-');

	print $in "SELECT coalesce(json_agg(row_to_json(q)), '[]') FROM ($sql) q;\n";
	close($in);
	local $/;
	my $answer = <$out>;
	waitpid($pid, 0);
	die "failed: $sql\n" if $? != 0;
	chomp $answer;
	return $answer;
}

open(my $handle, '<:raw', $file) or die "$file: $!\n";
my $board = $json->decode(do { local $/; <$handle> });
my $grafana = Grafana->new(from => $from, to => $to, variables => { datasource => 'lastfluss' });
my %shown;

for my $variable (@{ $board->{templating}{list} })
{
	my $name = $variable->{name};

	if ($variable->{type} eq 'query')
	{
		my @rows = @{ $json->decode(query($grafana->expand($variable->{query}))) };
		my @values = map { my $row = $_; exists $row->{__value} ? $row->{__value} : (values %$row)[0] } @rows;

		$grafana->{texts}{$name}{ $_->{__value} } = $_->{__text} for grep { exists $_->{__value} } @rows;
		die "$file: variable $name has no values\n" unless @values;
		$grafana->{variables}{$name} = $variable->{multi} ? \@values : $values[0];
		$shown{ $variable->{label} } = $variable->{multi} ? 'All' : $grafana->value_of($name, 'text');
	}
	elsif ($variable->{type} ne 'datasource')
	{
		$grafana->{variables}{$name} = $variable->{current}{value};
		$shown{ $variable->{label} } = $variable->{current}{text};
	}
}

my @panels;

for my $panel (@{ $board->{panels} })
{
	my $of     = $panel->{repeat};
	my @values = defined $of ? @{ $grafana->{variables}{$of} } : (undef);
	my $per    = $panel->{maxPerRow} // 1;

	@values = @values[ 0 .. 3 ] if @values > 4;
	for my $place (0 .. $#values)
	{
		my $one = Grafana->new(%$grafana,
			variables => { %{ $grafana->{variables} }, defined $of ? ($of => [ $values[$place] ]) : () });
		my %copy = %$panel;

		if (defined $of)
		{
			my %at = %{ $panel->{gridPos} };
			$copy{gridPos} = { w => 24 / $per, h => $at{h}, x => 24 / $per * ($place % $per), y => $at{y} + $at{h} * int($place / $per) };
		}
		$copy{title} = $one->title($panel->{title});
		push @panels, '{"panel":' . $json->encode(\%copy) . ',"seconds":' . $one->milliseconds($panel) / 1000 . ',"frames":{'
		  . join(',', map { $json->allow_nonref->encode($_->{refId}) . ':' . query($one->expand($_->{rawSql}, $panel)) } @{ $panel->{targets} }) . '}}';
	}
}
print '{"title":', $json->allow_nonref->encode($board->{title}), ',"from":', $from * 1000, ',"to":', $to * 1000,
  ',"variables":', $json->encode(\%shown),
  ',"annotations":[', join(',', map { query($grafana->expand($_->{target}{rawSql}, { maxDataPoints => 360, interval => '1m' })) } @{ $board->{annotations}{list} }), ']',
  ',"panels":[', join(",\n", @panels), "]}\n";
