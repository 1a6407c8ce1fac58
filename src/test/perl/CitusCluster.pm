# A Citus cluster on this machine: a coordinator and workers, each a server of its own
# with a collector (see Lastfluss.pm).
#
#   my @nodes = CitusCluster->new('name', 3);    # the coordinator first
#
# Options: database, which is made, and owner of it, a role that is made, too.  A server
# that is to join later comes from CitusCluster::node(), and joins by CitusCluster::add().

package CitusCluster;

use strict;
use warnings;

use Lastfluss;
use Test::More;

my $conf = <<'CONF';
shared_preload_libraries = 'citus,lastfluss'
listen_addresses = '127.0.0.1'
citus.node_conninfo = 'sslmode=prefer'
citus.shard_count = 4
citus.recover_2pc_interval = 2s
wal_level = logical
max_wal_senders = 20
max_replication_slots = 20
max_worker_processes = 30
max_connections = 60
fsync = off
CONF

# Whether Citus is there; a test without it is skipped, unless it has to be there.
sub skip_without
{
	my ($collector) = @_;

	return if $collector->node->safe_psql('postgres', q{SELECT count(*) FROM pg_available_extensions WHERE name = 'citus'}) > 0;
	$collector->stop;
	die 'Citus is to be there, but is not' if $ENV{LASTFLUSS_TEST_CITUS};
	plan skip_all => 'Citus is not installed';
	return;
}

# A server that may become a node.
sub node
{
	my ($name, %option) = @_;
	my $collector = Lastfluss->new($name, extension => 0, citus => 0, database => $option{database},
		conf => "listen_addresses = '127.0.0.1'\n");

	skip_without($collector);
	$collector->node->append_conf('postgresql.conf', $conf);
	$collector->node->restart;
	$collector->node->safe_psql('postgres', "CREATE ROLE $option{owner} LOGIN") if defined $option{owner};
	$collector->node->safe_psql('postgres', "CREATE DATABASE $option{database} OWNER $option{owner}") if defined $option{database};
	$collector->sql('SET client_min_messages = error; CREATE EXTENSION citus');
	return $collector;
}

# Makes it a node of the coordinator's cluster, which has the extension then.
sub add
{
	my ($coordinator, $collector) = @_;

	$coordinator->sql("SELECT citus_add_node('127.0.0.1', " . $collector->node->port . ')');
	return;
}

# The number of servers that are told, as a cluster that has the extension and its tables.
sub new
{
	my ($class, $name, $count, %option) = @_;
	my @nodes = map { node("${name}_$_", %option) } 0 .. $count - 1;

	my $address = "'127.0.0.1', " . $nodes[0]->node->port;

	$nodes[0]->sql("SELECT citus_set_coordinator_host($address); SELECT citus_set_node_property($address, 'shouldhaveshards', true)");
	add($nodes[0], $_) for @nodes[ 1 .. $count - 1 ];
	$nodes[0]->create_extension;
	# those of the last rollup
	$nodes[0]->wait_for(q{SELECT to_regclass('traffic_1d_local') IS NOT NULL AND to_regclass('traffic_8w_local') IS NOT NULL}, 't');
	return @nodes;
}

1;
