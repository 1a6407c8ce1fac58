#!/usr/bin/perl
#
# generate.pl [DIRECTORY]: writes the dashboards beside it as JSON ("make dashboards").
#
# What they have in common is said once here: how a panel is mirrored, which colour a
# role has, what a gap looks like.  The JSON is what is imported and reviewed; a test
# says so when the two differ.
#
# Every panel is a query on a function of the extension, for the range and the interval
# that Grafana asks for.  The functions give a row for each bucket, and null where nobody
# collected, so that a gap is drawn as a gap and silence as zero.

use strict;
use warnings;
use utf8;

use FindBin;
use JSON::PP;

my $directory = $ARGV[0] // $FindBin::RealBin;
my $true      = JSON::PP::true;
my $false     = JSON::PP::false;

# Also lastfluss._role_color().
my %role_color = (
	transit  => '#e0752d',
	ixp      => '#3274d9',
	pni      => '#37872d',
	customer => '#8f3bb8',
	core     => '#808080',
	none     => '#bfa500');
my @rank_color = map { "#$_" } qw(3274d9 e0752d 37872d c4162a 8f3bb8 0a9396 e0b400 7c5a3c d683ce 5f7c8a
  73bf69 f2495c 5794f2 ff9830 b877d9 2ec4b6 fade2a a1887f ff85c0 90a4ae);
my $others_color = '#9e9e9e';

my $source = { type => 'grafana-postgresql-datasource', uid => '${datasource}' };

#
# Queries.
#

sub target
{
	my ($ref, $format, $sql) = @_;

	return {
		refId      => $ref,
		datasource => $source,
		format     => $format,
		rawQuery   => $true,
		editorMode => 'code',
		rawSql     => $sql };
}

# A graph of the function lastfluss.graph(), with its named arguments.
sub graph_sql
{
	my ($direction, @arguments) = @_;

	return "SELECT time, metric, value\nFROM lastfluss.graph(\$__timeFrom(), \$__timeTo(), '\$__interval', "
	  . join(', ', @arguments, defined $direction ? "direction => '$direction'" : ()) . ")\nORDER BY 1, 2";
}

# What is above the axis, and what is below.
sub mirrored
{
	my @arguments = @_;

	return (target('A', 'time_series', graph_sql('$above', @arguments)),
		target('B', 'time_series', graph_sql('not $above', @arguments)));
}

#
# Panels.
#

my ($next_id, $x, $y, $row_height);

sub place
{
	my ($width, $height) = @_;

	if ($x + $width > 24)
	{
		$x = 0;
		$y += $row_height;
		$row_height = 0;
	}
	my $position = { x => $x, y => $y, w => $width, h => $height };

	$x += $width;
	$row_height = $height if $height > $row_height;
	return $position;
}

sub panel
{
	my ($type, $title, $size, %more) = @_;

	return {
		id          => $next_id++,
		type        => $type,
		title       => $title,
		datasource  => $source,
		gridPos     => place(@$size),
		transparent => $false,
		%more };
}

sub by_name   { return { id => 'byName',       options => $_[0] }; }
sub by_regexp { return { id => 'byRegexp',     options => $_[0] }; }
sub by_frame  { return { id => 'byFrameRefID', options => $_[0] }; }

sub override
{
	my ($matcher, @properties) = @_;
	my @list;

	while (my ($id, $value) = splice(@properties, 0, 2))
	{
		push @list, { id => $id, value => $value };
	}
	return { matcher => $matcher, properties => \@list };
}

sub fixed { return { mode => 'fixed', fixedColor => $_[0] }; }

my @below = override(by_frame('B'), 'custom.transform' => 'negative-Y');

# A series is called "transit in", "transit · ...", "01 AS64500 NAME out", or "others in".
my @role_colors = map { override(by_regexp("/^$_ (in|out)\$/"), color => fixed($role_color{$_})) } sort keys %role_color;
my @role_shades = map { override(by_regexp("/^$_ · /"), color => { mode => 'shades', fixedColor => $role_color{$_} }) } sort keys %role_color;
my @rank_colors = (
	(map { override(by_regexp(sprintf('/^%02d /', $_ + 1)), color => fixed($rank_color[$_])) } 0 .. $#rank_color),
	override(by_regexp('/^others /'), color => fixed($others_color)));
my @family_colors = (
	override(by_regexp('/^IPv4 /'),  color => fixed('#3274d9')),
	override(by_regexp('/^IPv6 /'),  color => fixed('#e0752d')),
	override(by_regexp('/^other /'), color => fixed($others_color)));
my @direction_colors = (
	override(by_regexp('/ in$/'),  color => fixed('#37872d')),
	override(by_regexp('/ out$/'), color => fixed('#3274d9')));

sub thresholds
{
	my @steps = @_;

	return { mode => 'absolute', steps => [ map { { value => $_->[0], color => $_->[1] } } @steps ] };
}

# Options: unit, stacked, bars, fill, overrides, description, calcs (of the legend), min, more (of
# the panel).
sub timeseries
{
	my ($title, $size, $targets, %option) = @_;
	my $stacked = $option{stacked};

	return panel('timeseries', $title, $size,
		description => $option{description} // '',
		interval    => '1m',
		maxDataPoints => 360,
		targets     => $targets,
		fieldConfig => {
			defaults => {
				unit       => $option{unit} // 'bps',
				color      => { mode => 'palette-classic' },
				mappings   => [],
				thresholds => thresholds([ undef, 'green' ]),
				(defined $option{min} ? (min => $option{min}) : ()),
				custom => {
					drawStyle         => $option{bars} ? 'bars' : 'line',
					lineInterpolation => 'linear',
					lineWidth         => 1,
					fillOpacity       => $option{fill} // ($option{bars} ? 80 : $stacked ? 70 : 10),
					gradientMode      => 'none',
					showPoints        => 'never',
					pointSize         => 4,
					spanNulls         => $false,
					insertNulls       => $false,
					barAlignment      => 0,
					stacking          => { mode => $stacked ? 'normal' : 'none', group => 'A' },
					axisPlacement     => 'auto',
					axisLabel         => '',
					axisColorMode     => 'text',
					axisBorderShow    => $false,
					axisCenteredZero  => $false,
					scaleDistribution => { type => 'linear' },
					hideFrom          => { legend => $false, tooltip => $false, viz => $false },
					thresholdsStyle   => { mode => 'off' } } },
			overrides => $option{overrides} // [] },
		options => {
			legend => {
				displayMode => 'table',
				placement   => $size->[0] == 24 ? 'right' : 'bottom',
				($size->[0] == 24 ? (width => 480) : ()),
				showLegend  => $option{nolegend} ? $false : $true,
				calcs       => $option{calcs} // [ 'mean', 'max' ] },
			tooltip => { mode => 'multi', sort => 'desc' } },
		%{ $option{more} // {} });
}

# Options: overrides, description, sort ([column, descending]).
sub table
{
	my ($title, $size, $sql, %option) = @_;

	return panel('table', $title, $size,
		description => $option{description} // '',
		targets     => [ target('A', 'table', $sql) ],
		fieldConfig => {
			defaults => {
				color      => { mode => 'thresholds' },
				mappings   => [],
				thresholds => thresholds([ undef, 'green' ]),
				custom     => { align => 'auto', cellOptions => { type => 'auto' }, inspect => $false, filterable => $false } },
			overrides => $option{overrides} // [] },
		options => { showHeader => $true, cellHeight => 'sm' },
		%{ $option{more} // {} });
}

sub number
{
	my ($title, $size, $sql, %option) = @_;

	return panel('stat', $title, $size,
		description => $option{description} // '',
		targets     => [ target('A', $option{format} // 'table', $sql) ],
		fieldConfig => {
			defaults => {
				unit       => $option{unit} // 'short',
				color      => { mode => $option{thresholds} ? 'thresholds' : 'fixed', ($option{thresholds} ? () : (fixedColor => 'text')) },
				mappings   => [],
				thresholds => $option{thresholds} // thresholds([ undef, 'green' ]),
				(defined $option{decimals} ? (decimals => $option{decimals}) : ()) },
			overrides => [] },
		options => {
			colorMode   => 'value',
			graphMode   => 'none',
			justifyMode => 'auto',
			orientation => 'auto',
			textMode    => 'auto',
			wideLayout  => $true,
			showPercentChange => $false,
			percentChangeColorMode => 'standard',
			reduceOptions => { calcs => ['lastNotNull'], fields => $option{text} ? '/.*/' : '', values => $false } });
}

# Cells.
sub unit_of   { return override(by_name($_[0]), unit => $_[1], (defined $_[2] ? (decimals => $_[2]) : ())); }
sub width_of  { return override(by_name($_[0]), 'custom.width' => $_[1]); }
sub hidden    { return override(by_name($_[0]), 'custom.hidden' => $true); }

sub gauge_of
{
	my ($column, $color) = @_;

	return override(by_name($column), unit => 'percentunit', decimals => 1, min => 0, max => 1,
		color => fixed($color // '#3274d9'),
		'custom.cellOptions' => { type => 'gauge', mode => 'basic', valueDisplayMode => 'text' });
}

sub link_of
{
	my ($column, $title, $url) = @_;

	return override(by_name($column), links => [ { title => $title, url => $url, targetBlank => $false } ]);
}

sub asn_link
{
	my ($column) = @_;

	return link_of($column // 'asn', 'This AS', '/d/lastfluss-asn?${__url_time_range}&var-datasource=${datasource}&var-asn=${__data.fields.' . ($column // 'asn') . '}');
}

sub iface_link
{
	return link_of($_[0] // 'interface', 'This interface', '/d/lastfluss-interface?${__url_time_range}&var-datasource=${datasource}&var-iface=${__value.raw}');
}

#
# Variables.
#

sub datasource_variable
{
	return {
		type => 'datasource', name => 'datasource', label => 'Data source',
		query => 'grafana-postgresql-datasource', regex => '', refresh => 1,
		current => { text => '', value => '' }, options => [], hide => 0, includeAll => $false, multi => $false };
}

sub above_variable
{
	return custom_variable('above', 'Above the axis', [ 'in', 'in' ], [ 'out', 'out' ]);
}

sub custom_variable
{
	my ($name, $label, @options) = @_;

	return {
		type => 'custom', name => $name, label => $label, hide => 0, includeAll => $false, multi => $false,
		query   => join(',', map { "$_->[0] : $_->[1]" } @options),
		current => { text => $options[0][0], value => $options[0][1] },
		options => [ map { { text => $_->[0], value => $_->[1], selected => $_ == $options[0] ? $true : $false } } @options ] };
}

sub number_variable
{
	my ($name, $label, @numbers) = @_;

	return custom_variable($name, $label, map { [ "$_", "$_" ] } @numbers);
}

# Options: multi (then all of them are chosen at first), refresh (2: with the time range).
sub query_variable
{
	my ($name, $label, $sql, %option) = @_;
	my $multi = $option{multi} ? $true : $false;

	return {
		type       => 'query', name => $name, label => $label, hide => 0,
		datasource => $source,
		query      => $sql,
		regex      => '', sort => 0,
		refresh    => $option{refresh} // 1,
		includeAll => $multi, multi => $multi,
		current    => $option{multi} ? { text => ['All'], value => ['$__all'] } : { text => '', value => '' },
		options    => [] };
}

sub text_variable
{
	my ($name, $label) = @_;

	return {
		type => 'textbox', name => $name, label => $label, hide => 0, query => '',
		current => { text => '', value => '' }, options => [ { text => '', value => '', selected => $true } ] };
}

sub role_variable
{
	return query_variable('role', 'Role', "SELECT coalesce(role, 'none') FROM lastfluss.interface UNION SELECT 'none' ORDER BY 1", multi => 1);
}

sub iface_variable
{
	return query_variable('iface', 'Interface', 'SELECT DISTINCT name FROM lastfluss.interface ORDER BY 1', @_);
}

#
# Dashboards.
#

# Where intervals lack something, on every graph.
sub losses
{
	return {
		name       => 'Data lost',
		datasource => $source,
		enable     => $true,
		hide       => $false,
		iconColor  => 'red',
		target     => target('Anno', 'table',
			"SELECT time, time_end AS timeend, text, tags\nFROM lastfluss.losses(\$__timeFrom(), \$__timeTo(), '\$__interval')\nORDER BY 1") };
}

sub write_dashboard
{
	my ($name, $title, %option) = @_;
	my $file = "$directory/$name.json";
	my $json = JSON::PP->new->pretty->canonical->indent_length(2);

	open(my $handle, '>:raw', $file) or die "$file: $!\n";
	print $handle $json->utf8->encode({
		uid           => "lastfluss-$name",
		title         => $title,
		description   => $option{description},
		tags          => ['lastfluss'],
		schemaVersion => 42,
		version       => 1,
		editable      => $true,
		graphTooltip  => 1,
		timezone      => 'browser',
		fiscalYearStartMonth => 0,
		refresh       => $option{refresh} // '1m',
		time          => { from => $option{from} // 'now-24h', to => 'now' },
		timepicker    => {},
		links         => [ {
			type => 'dashboards', title => 'Lastfluss', tags => ['lastfluss'], icon => 'external link', tooltip => '', url => '',
			asDropdown => $true, includeVars => $false, keepTime => $true, targetBlank => $false } ],
		templating    => { list => $option{variables} },
		annotations   => { list => [ losses() ] },
		panels        => $option{panels} });
	close($handle) or die "$file: $!\n";
	return;
}

# Starts a dashboard's panels.
sub begin
{
	($next_id, $x, $y, $row_height) = (1, 0, 0, 0);
	return;
}

my $interface_filter = 'role => ARRAY[$role]::text[]';

begin();
write_dashboard('interfaces', 'Interfaces',
	description => 'All interfaces: traffic in and out, stacked by role, and how full they are.',
	variables   => [ datasource_variable(), above_variable(), role_variable() ],
	panels      => [
		timeseries('By role ($above above)', [ 24, 10 ], [ mirrored("by => 'role'", $interface_filter) ],
			stacked => 1, overrides => [ @below, @role_colors ]),
		timeseries('By interface ($above above)', [ 24, 11 ], [ mirrored("by => 'role and interface'", $interface_filter) ],
			stacked => 1, overrides => [ @below, @role_shades ],
			description => 'Interfaces of a role lie beside each other, in shades of its colour.'),
		timeseries('Utilisation', [ 12, 10 ],
			[ target('A', 'time_series', graph_sql(undef, "by => 'role and interface'", $interface_filter, "measure => 'utilisation'")) ],
			unit => 'percentunit', min => 0, overrides => [@role_shades], calcs => [ 'mean', 'max' ],
			description => 'Of the speed, where it is known (lastfluss.interface).'),
		timeseries('Peaks', [ 12, 10 ], [ mirrored("by => 'role and interface'", $interface_filter, "measure => 'peak'") ],
			overrides => [ @below, @role_shades ], calcs => ['max'],
			description => 'The largest mean of five minutes in each point, of an hour in more than 40 days: in long ranges the mean of a point hides it.'),
		table('Interfaces in this range', [ 24, 9 ],
			"SELECT interface, belongs_to AS role, speed, \"in\", \"out\", peak_in, peak_out, utilisation_in, utilisation_out, bytes_in, bytes_out\n"
			  . "FROM lastfluss.graph_interfaces(\$__timeFrom(), \$__timeTo(), $interface_filter)",
			overrides => [
				iface_link(), unit_of('speed', 'bps'), (map { unit_of($_, 'bps') } qw(in out peak_in peak_out)),
				gauge_of('utilisation_in'), gauge_of('utilisation_out'), unit_of('bytes_in', 'decbytes'), unit_of('bytes_out', 'decbytes') ]) ]);

my $one = 'iface => ARRAY[$iface]::text[]';
my $this = "iface => ARRAY['\$iface']";

begin();
write_dashboard('interface', 'Interface',
	description => 'One interface: totals with the 95th percentile, the largest ASes, IPv4 and IPv6, packets.',
	variables   => [ datasource_variable(), iface_variable(), above_variable(), number_variable('n', 'ASes', 10, 5, 15, 20) ],
	panels      => [
		timeseries('$iface ($above above)', [ 24, 10 ],
			[
				mirrored("by => 'total'", $this),
				target('C', 'time_series', graph_sql('$above',     "by => 'total'", $this, "measure => '95th percentile'")),
				target('D', 'time_series', graph_sql('not $above', "by => 'total'", $this, "measure => '95th percentile'")) ],
			calcs => [ 'lastNotNull', 'mean', 'max' ],
			overrides => [
				@below, @direction_colors,
				override(by_frame('A'), 'custom.fillOpacity' => 40),
				override(by_frame('B'), 'custom.fillOpacity' => 40),
				map { override(by_frame($_), 'custom.fillOpacity' => 0, 'custom.lineWidth' => 2,
						'custom.lineStyle' => { fill => 'dash', dash => [ 10, 10 ] }, color => fixed('#c4162a'),
						($_ eq 'D' ? ('custom.transform' => 'negative-Y') : ())) } 'C', 'D' ],
			description => 'Dashed: the 95th percentile of the range, over slots of five minutes.'),
		timeseries('Largest remote ASes ($above above)', [ 24, 14 ], [ mirrored("by => 'remote asn'", $this, 'n => $n') ],
			stacked => 1, overrides => [ @below, @rank_colors ]),
		timeseries('IPv4 and IPv6 ($above above)', [ 12, 9 ], [ mirrored("by => 'family'", $this) ],
			stacked => 1, overrides => [ @below, @family_colors ]),
		timeseries('Packets ($above above)', [ 12, 9 ], [ mirrored("by => 'total'", $this, "measure => 'packets'") ],
			unit => 'pps', overrides => [ @below, @direction_colors ]),
		table('Remote ASes', [ 12, 12 ],
			"SELECT rank, asn, name, \"in\", \"out\", share\nFROM lastfluss.graph_top(\$__timeFrom(), \$__timeTo(), 'remote asn', 50, $this)",
			overrides => [ width_of('rank', 60), asn_link(), unit_of('in', 'bps'), unit_of('out', 'bps'), gauge_of('share') ]),
		table('Local ASes', [ 12, 12 ],
			"SELECT rank, asn, name, \"in\", \"out\", share\nFROM lastfluss.graph_top(\$__timeFrom(), \$__timeTo(), 'local asn', 50, $this)",
			overrides => [ width_of('rank', 60), unit_of('in', 'bps'), unit_of('out', 'bps'), gauge_of('share') ]) ]);

# The two top lists: the same but for the side.
for my $top (
	[ 'top-remote-asns', 'Top remote ASNs', 'remote asn', 'remote_asn', 'To and from which ASes the traffic flows; the list follows the range.' ],
	[ 'top-downstream-asns', 'Top downstream ASNs', 'local asn', 'local_asn', 'Which of the ASes behind you the traffic belongs to; the list follows the range.' ])
{
	my ($name, $title, $by, $argument, $description) = @$top;

	begin();
	write_dashboard($name, $title,
		description => $description,
		variables   => [
			datasource_variable(), above_variable(), iface_variable(multi => 1), number_variable('n', 'ASes', 10, 5, 15, 20),
			query_variable('asn', 'AS',
				"SELECT asn::text AS __value, label AS __text\nFROM lastfluss.graph_top(\$__timeFrom(), \$__timeTo(), '$by', \$n, $one)\nWHERE asn IS NOT NULL ORDER BY rank",
				multi => 1, refresh => 2) ],
		panels => [
			timeseries("$title (\$above above)", [ 24, 14 ], [ mirrored("by => '$by'", $one, 'n => $n') ],
				stacked => 1, overrides => [ @below, @rank_colors ]),
			table('In this range', [ 24, 10 ],
				"SELECT rank, asn, name, country, \"in\", \"out\", bytes_in, bytes_out, share\nFROM lastfluss.graph_top(\$__timeFrom(), \$__timeTo(), '$by', \$n, $one)",
				overrides => [
					width_of('rank', 60), width_of('asn', 110), ($by eq 'remote asn' ? asn_link() : ()),
					unit_of('in', 'bps'), unit_of('out', 'bps'), unit_of('bytes_in', 'decbytes'), unit_of('bytes_out', 'decbytes'), gauge_of('share') ]),
			timeseries('${asn:text} ($above above)', [ 12, 8 ], [ mirrored("by => 'role and interface'", $one, "$argument => \$asn") ],
				stacked => 1, overrides => [ @below, @role_shades ],
				more => { repeat => 'asn', repeatDirection => 'h', maxPerRow => 2 }) ]);
}

begin();
write_dashboard('asn', 'ASN',
	description => 'One AS, searched by number or name: over which interfaces it comes and goes, and how large it is.',
	variables   => [
		datasource_variable(), text_variable('search', 'Search'),
		query_variable('asn', 'AS', "SELECT asn::text AS __value, label AS __text\nFROM lastfluss.graph_search('\$search', \$__timeFrom(), \$__timeTo())", refresh => 2),
		above_variable(), iface_variable(multi => 1) ],
	panels => [
		number('In', [ 4, 4 ], "SELECT coalesce(sum(\"in\"), 0) AS \"in\" FROM lastfluss.graph_interfaces(\$__timeFrom(), \$__timeTo(), $one, remote_asn => \$asn)", unit => 'bps'),
		number('Out', [ 4, 4 ], "SELECT coalesce(sum(\"out\"), 0) AS \"out\" FROM lastfluss.graph_interfaces(\$__timeFrom(), \$__timeTo(), $one, remote_asn => \$asn)", unit => 'bps'),
		number('Received', [ 4, 4 ], "SELECT coalesce(sum(bytes_in), 0) AS received FROM lastfluss.graph_interfaces(\$__timeFrom(), \$__timeTo(), $one, remote_asn => \$asn)", unit => 'decbytes'),
		number('Sent', [ 4, 4 ], "SELECT coalesce(sum(bytes_out), 0) AS sent FROM lastfluss.graph_interfaces(\$__timeFrom(), \$__timeTo(), $one, remote_asn => \$asn)", unit => 'decbytes'),
		table('Name', [ 8, 4 ], "SELECT a.asn, a.name, a.country FROM lastfluss.asn a WHERE a.asn = \$asn"),
		timeseries('By interface ($above above)', [ 24, 11 ], [ mirrored("by => 'role and interface'", $one, 'remote_asn => $asn') ],
			stacked => 1, overrides => [ @below, @role_shades ]),
		timeseries('IPv4 and IPv6 ($above above)', [ 12, 9 ], [ mirrored("by => 'family'", $one, 'remote_asn => $asn') ],
			stacked => 1, overrides => [ @below, @family_colors ]),
		timeseries('Share of all traffic ($above above)', [ 12, 9 ], [ mirrored("by => 'total'", $one, 'remote_asn => $asn', "measure => 'share'") ],
			unit => 'percentunit', overrides => [ @below, @direction_colors ]),
		table('Interfaces', [ 24, 9 ],
			"SELECT interface, belongs_to AS role, \"in\", \"out\", peak_in, peak_out, bytes_in, bytes_out\nFROM lastfluss.graph_interfaces(\$__timeFrom(), \$__timeTo(), $one, remote_asn => \$asn)",
			overrides => [ iface_link(), (map { unit_of($_, 'bps') } qw(in out peak_in peak_out)), unit_of('bytes_in', 'decbytes'), unit_of('bytes_out', 'decbytes') ]) ]);

begin();
write_dashboard('peering', 'Peering',
	description => 'What goes by transit and what by peering, per AS, and with whom peering would be worth it.',
	from        => 'now-7d', refresh => '',
	variables   => [ datasource_variable(), above_variable(), number_variable('n', 'ASes', 20, 10, 50) ],
	panels      => [
		timeseries('Transit and peering ($above above)', [ 12, 14 ],
			[ mirrored("by => 'role'", "role => ARRAY['transit', 'ixp', 'pni']") ], stacked => 1, overrides => [ @below, @role_colors ]),
		timeseries('Largest ASes behind transit ($above above)', [ 12, 14 ],
			[ mirrored("by => 'remote asn'", "role => ARRAY['transit']", 'n => 10') ], stacked => 1, overrides => [ @below, @rank_colors ]),
		table('Peering candidates', [ 24, 10 ],
			'SELECT rank, asn, name, ingress AS "in", egress AS "out", share / 100 AS share, transit, without' . "\n"
			  . 'FROM lastfluss.peering_candidates(n => $n, from_time => $__timeFrom(), until => $__timeTo())',
			description => 'ASes behind transit that no peering interface carries, by what moving them would take off transit. transit: its 95th percentile; without: what it would be without this AS.',
			overrides   => [
				width_of('rank', 60), asn_link(), (map { unit_of($_, 'bps') } qw(in out transit without)), gauge_of('share', $role_color{transit}) ]),
		panel('barchart', 'Transit and peering by AS', [ 12, 14 ],
			description => 'Both directions.',
			targets     => [ target('A', 'table', "SELECT label, transit, peering FROM lastfluss.graph_peering(\$__timeFrom(), \$__timeTo(), \$n)\nORDER BY rank") ],
			fieldConfig => {
				defaults => {
					unit => 'bps', color => { mode => 'palette-classic' }, mappings => [], thresholds => thresholds([ undef, 'green' ]),
					custom => {
						lineWidth => 1, fillOpacity => 80, gradientMode => 'none', axisPlacement => 'auto', axisLabel => '', axisColorMode => 'text',
						axisBorderShow => $false, axisCenteredZero => $false, scaleDistribution => { type => 'linear' },
						hideFrom => { legend => $false, tooltip => $false, viz => $false }, thresholdsStyle => { mode => 'off' } } },
				overrides => [ override(by_name('transit'), color => fixed($role_color{transit})), override(by_name('peering'), color => fixed($role_color{ixp})) ] },
			options => {
				orientation => 'horizontal', xField => 'label', stacking => 'normal', showValue => 'never', barWidth => 0.8, groupWidth => 0.7, barRadius => 0,
				fullHighlight => $false, xTickLabelRotation => 0, xTickLabelSpacing => 0, xTickLabelMaxLength => 32,
				legend  => { displayMode => 'list', placement => 'bottom', showLegend => $true, calcs => [] },
				tooltip => { mode => 'multi', sort => 'none' } }),
		table('By AS', [ 12, 14 ],
			"SELECT rank, asn, name, transit, peering, transit_share\nFROM lastfluss.graph_peering(\$__timeFrom(), \$__timeTo(), \$n)\nORDER BY rank",
			overrides => [ width_of('rank', 60), asn_link(), unit_of('transit', 'bps'), unit_of('peering', 'bps'), gauge_of('transit_share', $role_color{transit}) ]) ]);

begin();
write_dashboard('billing', 'Billing',
	description => 'The 95th percentile of each interface and month, over slots of five minutes.',
	from        => 'now-30d', refresh => '',
	variables   => [
		datasource_variable(), iface_variable(multi => 1),
		query_variable('month', 'Month',
			"SELECT to_char(m, 'YYYY-MM-01') AS __value, to_char(m, 'YYYY-MM') AS __text\n"
			  . "FROM generate_series(date_trunc('month', now()) - interval '12 months', date_trunc('month', now()), interval '1 month') m\nORDER BY m DESC"),
		number_variable('percentile', 'Percentile', 95, 90, 98, 99) ],
	panels => [
		table('Month $month', [ 24, 8 ],
			"SELECT interface, \"in\", \"out\", billed, speed, utilisation\nFROM lastfluss.graph_billing('\$month', ARRAY[\$iface]::text[], \$percentile)",
			description => 'billed: the larger of the two directions.',
			overrides => [ iface_link(), unit_of('in', 'bps'), unit_of('out', 'bps'), unit_of('billed', 'bps'), unit_of('speed', 'bps'), gauge_of('utilisation') ]),
		table('The last twelve months', [ 24, 10 ],
			"SELECT to_char(m, 'YYYY-MM') AS month, b.interface, b.\"in\", b.\"out\", b.billed\n"
			  . "FROM generate_series(date_trunc('month', now()) - interval '12 months', date_trunc('month', now()), interval '1 month') m,\n"
			  . "    lastfluss.graph_billing(m::date, ARRAY[\$iface]::text[], \$percentile) b\nORDER BY 1 DESC, 2",
			overrides => [ iface_link(), unit_of('in', 'bps'), unit_of('out', 'bps'), unit_of('billed', 'bps') ]),
		timeseries('${iface}', [ 12, 9 ],
			[
				target('A', 'time_series', graph_sql(undef, "by => 'total'", "iface => ARRAY[\$iface]::text[]")),
				target('B', 'time_series', graph_sql(undef, "by => 'total'", "iface => ARRAY[\$iface]::text[]", "measure => '\${percentile}th percentile'")) ],
			overrides => [
				@direction_colors,
				override(by_frame('B'), 'custom.fillOpacity' => 0, 'custom.lineWidth' => 2, 'custom.lineStyle' => { fill => 'dash', dash => [ 10, 10 ] }) ],
			description => 'Dashed: the percentile of the range shown.',
			more => { repeat => 'iface', repeatDirection => 'h', maxPerRow => 2 }) ]);

begin();
write_dashboard('health', 'Collector health',
	description => 'Is it complete: losses, drops, what could not be decoded, unknown sampling rates, and whether flows agree with counters.',
	from        => 'now-6h',
	variables   => [ datasource_variable() ],
	panels      => [
		number('State', [ 6, 4 ], 'SELECT state FROM lastfluss.status', text => 1),
		number('Lag', [ 4, 4 ], "SELECT extract(epoch FROM now() - last_interval) AS lag FROM lastfluss.status", unit => 's', decimals => 0,
			description => 'Age of the newest interval that is written: its length, the window, and the delay.',
			thresholds => thresholds([ undef, 'green' ], [ 300, 'orange' ], [ 900, 'red' ])),
		number('Intervals waiting', [ 4, 4 ], 'SELECT intervals_waiting FROM lastfluss.status', thresholds => thresholds([ undef, 'green' ], [ 2, 'orange' ], [ 6, 'red' ])),
		number('Exporters', [ 4, 4 ], "SELECT count(DISTINCT host) AS exporters FROM lastfluss.exporters WHERE last_seen > now() - interval '10 minutes'"),
		number('Last error', [ 6, 4 ], "SELECT coalesce(last_error, 'none') AS last_error FROM lastfluss.status", text => 1),
		table('Doctor', [ 24, 7 ], "SELECT status, topic, finding, advice FROM lastfluss.doctor()\nORDER BY array_position(ARRAY['error', 'warning', 'ok'], status)",
			overrides => [
				width_of('status', 90), width_of('topic', 130),
				override(by_name('status'), mappings => [ { type => 'value', options => {
					ok => { text => 'ok', color => 'green', index => 0 }, warning => { text => 'warning', color => 'orange', index => 1 }, error => { text => 'error', color => 'red', index => 2 } } } ],
					'custom.cellOptions' => { type => 'color-text' }) ]),
		timeseries('Datagrams', [ 12, 8 ], [ target('A', 'time_series', health_sql('datagrams')) ], unit => 'pps', description => 'Received, by exporter.'),
		timeseries('Lost on the way', [ 12, 8 ], [ target('A', 'time_series', health_sql('lost')) ], unit => 'cps', bars => 1, stacked => 1,
			description => 'By sequence numbers: records, or datagrams (v9, sFlow). Below zero: what was missing came late.'),
		timeseries('Dropped by the kernel', [ 12, 8 ], [ target('A', 'time_series', health_sql('dropped')) ], unit => 'pps', bars => 1, stacked => 1),
		timeseries('Not decoded', [ 12, 8 ], [ target('A', 'time_series', health_sql('undecoded')) ], unit => 'cps', bars => 1, stacked => 1,
			description => 'Unknown templates and broken datagrams.'),
		timeseries('Without a sampling rate', [ 12, 8 ], [ target('A', 'time_series', health_sql('unknown_sampling')) ], unit => 'cps', bars => 1, stacked => 1,
			description => 'Records counted with rate 1, as nobody told theirs.'),
		timeseries('Late', [ 12, 8 ], [ target('A', 'time_series', health_sql('late_bytes')) ], unit => 'Bps', bars => 1, stacked => 1,
			description => 'Bytes that came when their interval was closed: the window is shorter than the active timeout.'),
		timeseries('Flows against counters', [ 24, 9 ],
			[ target('A', 'time_series',
				"SELECT time, iface || CASE WHEN ingress THEN ' in' ELSE ' out' END AS metric, ratio::float8 AS value\n"
				  . "FROM lastfluss.counter_check(now() - \$__timeFrom()::timestamptz)\nWHERE time < \$__timeTo() ORDER BY 1, 2") ],
			unit => 'percentunit', min => 0, fill => 0,
			description => 'Where counters are known (sFlow, or lastfluss.counters): 100 % says that sampling and export are right.'),
		table('Exporters', [ 24, 9 ],
			"SELECT host(host) AS host, domain, protocol, datagrams, records, lost, sampling, sampling_origin, templates, waiting_sets,\n"
			  . "    extract(epoch FROM clock_skew) AS clock_skew, last_seen, errors::text AS errors\nFROM lastfluss.exporters ORDER BY datagrams DESC",
			overrides => [ unit_of('clock_skew', 's'), unit_of('datagrams', 'short'), unit_of('records', 'short') ]) ]);

sub health_sql
{
	my ($column) = @_;

	return "SELECT time, host AS metric, $column AS value\nFROM lastfluss.graph_health(\$__timeFrom(), \$__timeTo(), '\$__interval')\nORDER BY 1, 2";
}
