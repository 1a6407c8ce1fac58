# Queries of dashboards as Grafana's PostgreSQL data source sends them: variables first,
# then macros (pkg/tsdb/grafana-postgresql-datasource/macros.go has the list).
#
#   my $grafana = Grafana->new(from => $epoch, to => $epoch, variables => { iface => ['A', 'B'], above => 'in' });
#   my $sql     = $grafana->expand($target->{rawSql}, $grafana->interval($panel));
#
# A value that is a list is that of a variable with several values or "All".

package Grafana;

use strict;
use warnings;

use POSIX qw(strftime);

sub new
{
	my ($class, %option) = @_;

	return bless { variables => {}, texts => {}, %option }, $class;
}

# Milliseconds between two points: the range by the number of points, rounded as Grafana
# does, and not below the panel's minimum.
my @steps = (
	[ 10, 1 ], [ 15, 10 ], [ 35, 20 ], [ 75, 50 ], [ 150, 100 ], [ 350, 200 ], [ 750, 500 ], [ 1500, 1000 ],
	[ 3500, 2000 ], [ 7500, 5000 ], [ 12500, 10000 ], [ 17500, 15000 ], [ 25000, 20000 ], [ 45000, 30000 ],
	[ 90000, 60000 ], [ 210000, 120000 ], [ 450000, 300000 ], [ 750000, 600000 ], [ 1050000, 900000 ],
	[ 1500000, 1200000 ], [ 2700000, 1800000 ], [ 5400000, 3600000 ], [ 9000000, 7200000 ],
	[ 16200000, 10800000 ], [ 32400000, 21600000 ], [ 86400000, 43200000 ], [ 604800000, 86400000 ],
	[ 1814400000, 604800000 ], [ 3628800000, 2592000000 ]);

sub milliseconds
{
	my ($self, $panel) = @_;
	my $exact   = 1000 * ($self->{to} - $self->{from}) / ($panel->{maxDataPoints} // 1000);
	my $minimum = ($panel->{interval} // '') eq '1m' ? 60000 : 1;

	for my $step (@steps)
	{
		next unless $exact < $step->[0];
		return $step->[1] < $minimum ? $minimum : $step->[1];
	}
	return 31536000000;
}

# As in "2m".
sub interval
{
	my ($self, $panel) = @_;
	my $left = $self->milliseconds($panel);

	for my $unit ([ y => 31536000000 ], [ d => 86400000 ], [ h => 3600000 ], [ m => 60000 ], [ s => 1000 ])
	{
		return $left / $unit->[1] . $unit->[0] if $left >= $unit->[1] && $left % $unit->[1] == 0;
	}
	return "${left}ms";
}

# A dashboard's variables as Grafana has them when it is opened: of those that are
# queries, which "ask" runs (SQL to a list of rows), the first value, or all.
sub choose
{
	my ($self, $board, $ask) = @_;

	for my $variable (@{ $board->{templating}{list} })
	{
		my $name = $variable->{name};

		$self->{variables}{$name} = $variable->{current}{value} if $variable->{type} =~ /^(custom|textbox)$/;
		next unless $variable->{type} eq 'query';

		my @rows = $ask->($self->expand($variable->{query}), $name);

		# __value and __text, or one column that is both
		$self->{texts}{$name}{ $_->[0] } = $_->[-1] for @rows;
		$self->{variables}{$name} = $variable->{multi} ? [ map { $_->[0] } @rows ] : $rows[0][0];
	}
	return $self;
}

# The same for a panel: a repeated one has one of its variable's values.
sub for_panel
{
	my ($self, $panel) = @_;
	my %values = %{ $self->{variables} };
	my $of = $panel->{repeat};

	return Grafana->new(%$self, variables => { %values, defined $of && ref $values{$of} ? ($of => [ $values{$of}[0] ]) : () });
}

sub timestamp
{
	my ($epoch) = @_;

	return strftime('%Y-%m-%dT%H:%M:%SZ', gmtime $epoch);
}

# A variable's value in SQL: several are quoted, with commas between; one is itself, with
# its quotes doubled.
sub quoted
{
	my ($value) = @_;

	return join(',', map { my $v = $_; $v =~ s/'/''/g; "'$v'" } @$value) if ref $value;
	$value =~ s/'/''/g;
	return $value;
}

sub value_of
{
	my ($self, $name, $format) = @_;
	my $value = $self->{variables}{$name};

	die "no variable \"$name\"\n" unless defined $value;
	return quoted($value) unless defined $format;
	my @values = ref $value ? @$value : ($value);
	return join(' + ', map { $self->{texts}{$name}{$_} // $_ } @values) if $format eq 'text';
	return join(',', @values) if $format eq 'csv' || $format eq 'raw';
	return quoted([@values]) if $format eq 'sqlstring' || $format eq 'singlequote';
	die "variable \"$name\": format \"$format\" is not known here\n";
}

# A title, in which variables are to be read.
sub title
{
	my ($self, $text) = @_;

	$text =~ s/\$\{(\w+)(?::\w+)?\}|\$(\w+)/$self->value_of($1 \/\/ $2, 'text')/ge;
	return $text;
}

# SQL with variables.
sub interpolate
{
	my ($self, $text) = @_;

	$text =~ s/\$\{(\w+)(?::(\w+))?\}|\$(?!__)(\w+)|\[\[(\w+)\]\]/$self->value_of($1 \/\/ $3 \/\/ $4, $2)/ge;
	return $text;
}

sub seconds
{
	my ($interval) = @_;
	my ($number, $unit) = $interval =~ /^'?(\d+)(ms|[smhdwy])'?$/ or die "no interval: $interval\n";

	return $number * { ms => 0.001, s => 1, m => 60, h => 3600, d => 86400, w => 604800, y => 31536000 }->{$unit};
}

sub macro
{
	my ($self, $name, @arguments) = @_;
	my ($from, $to) = map { "'" . timestamp($_) . "'" } $self->{from}, $self->{to};

	return "$arguments[0] AS \"time\"" if $name eq 'time';
	return "extract(epoch from $arguments[0]) as \"time\"" if $name eq 'timeEpoch';
	return "$arguments[0] BETWEEN $from AND $to" if $name eq 'timeFilter';
	return $from if $name eq 'timeFrom';
	return $to if $name eq 'timeTo';
	return sprintf('floor(extract(epoch from %s)/%s)*%s', $arguments[0], (seconds($arguments[1])) x 2) if $name eq 'timeGroup';
	return $self->macro('timeGroup', @arguments) . ' AS "time"' if $name eq 'timeGroupAlias';
	return "$arguments[0] >= $self->{from} AND $arguments[0] <= $self->{to}" if $name eq 'unixEpochFilter';
	return $self->{from} if $name eq 'unixEpochFrom';
	return $self->{to} if $name eq 'unixEpochTo';
	die "macro \"\$__$name\" is not known\n";
}

sub expand
{
	my ($self, $sql, $panel) = @_;
	my $interval     = $self->interval($panel // {});
	my $milliseconds = $self->milliseconds($panel // {});

	$sql =~ s/\$(?:__interval_ms|\{__interval_ms\})/$milliseconds/g;
	$sql =~ s/\$(?:__interval|\{__interval\})/$interval/g;
	$sql = $self->interpolate($sql);
	$sql =~ s/\$__(\w+)\(([^()]*)\)/$self->macro($1, map { s{^\s+|\s+$}{}gr } split(\/,\/, $2))/ge;
	die "left as it is: $1\n" if $sql =~ /(\$__\w+|\$\{\w+[^}]*\})/;
	return $sql;
}

1;
