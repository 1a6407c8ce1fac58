# What the tests of the dashboards share: a filled database, the role that examples/grafana
# makes, and the variables of a dashboard as Grafana would find them.
#
#   my $boards = Dashboards->new('name', asns => 6, days_5m => 8, hours_raw => 12);

package Dashboards;

use strict;
use warnings;

use FindBin;
use Grafana;
use JSON::PP;
use Lastfluss;
use PostgreSQL::Test::Utils;

our $root = "$FindBin::RealBin/../../..";

# Options: fill.sql's variables.
sub new
{
	my ($class, $name, %option) = @_;
	my $self = bless { collector => Lastfluss->new($name, extension => 0, start => 0) }, $class;
	my $node = $self->node;

	# While the database is filled, the collector is to be elsewhere.
	$node->append_conf('postgresql.conf', "lastfluss.database = 'elsewhere'\njit = off\n");
	$node->start;
	$self->{collector}->sql('CREATE EXTENSION lastfluss');
	# Graphs end where intervals are over.
	$self->{until} = $self->{collector}->sql("SELECT extract(epoch FROM date_trunc('hour', now() - interval '5 min'))::bigint");
	$option{until} = Grafana::timestamp($self->{until});
	$option{names} = "$root/examples/demo/asns.txt";
	system_or_bail('psql', '-Xq', '-1', '-d', $node->connstr('postgres'), (map { ('-v', "$_=$option{$_}") } sort keys %option),
		'-f', "$root/src/test/fill.sql");
	$node->adjust_conf('postgresql.conf', 'lastfluss.database', "'postgres'");
	$node->restart;
	$self->{collector}->wait_for("SELECT state FROM lastfluss.status", 'no listener');
	system_or_bail('psql', '-Xq', '-d', $node->connstr('postgres'), '-f', "$root/examples/grafana/role.sql");
	$self->{connect} = $node->connstr('postgres') . " user=grafana options='-c default_transaction_read_only=off'";
	for my $file (glob "$root/dashboards/*.json")
	{
		my ($board) = $file =~ m{([^/]*)\.json$};

		$self->{dashboard}{$board} = JSON::PP->new->utf8->decode(slurp_file($file));
	}
	$self->{dashboard}{generated} = JSON::PP->new->utf8->decode($self->{collector}->sql("SELECT lastfluss.dashboard('interfaces')"));
	return $self;
}

sub node { return $_[0]{collector}->node; }

# The values of a dashboard's variables: those of "All" are all that the query gives.
# Those that have none are noted in "without".
sub variables
{
	my ($self, $board, $range) = @_;
	my $grafana = Grafana->new(%$range, variables => { datasource => 'x', asn => '15169' }, without => []);

	$grafana->choose($board, sub {
		my ($sql, $name) = @_;
		my @rows = map { [ split /\t/ ] }
		  split /\n/, $self->node->safe_psql('postgres', "SELECT * FROM ($sql) v", connstr => $self->{connect}, extra_params => [ '-F', "\t" ]);

		push @{ $grafana->{without} }, $name unless @rows;
		return @rows;
	});
	return $grafana;
}

1;
