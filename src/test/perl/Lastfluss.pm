# What the TAP tests share: a server that collects, and exporters that send to it.
#
#   my $collector = Lastfluss->new('name');
#   $collector->configure(q{SELECT lastfluss.add_interface('A', '127.0.0.11', 1)});
#   my $router = $collector->exporter('v9', from => '127.0.0.11');
#   $router->send({ in => 1, out => 2, src_as => 64500, bytes => 1000, packets => 1 });
#   $collector->wait_received;
#
# Nothing here sleeps for luck: everything waits for a condition.

package Lastfluss;

use strict;
use warnings;

# Shorter than the limit that "make test" sets each file.
BEGIN { $ENV{PG_TEST_TIMEOUT_DEFAULT} ||= 90; }

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Socket qw(:all);
use Test::More;
use Time::HiRes qw(usleep);

my %taken_ports;

my $citus_conf = <<'CONF';
shared_preload_libraries = 'citus,lastfluss'
citus.node_conninfo = 'sslmode=prefer'
citus.shard_count = 4
citus.recover_2pc_interval = 2s
citus.enable_statistics_collection = off
citus.enable_unsafe_triggers = on
log_statement = none
max_worker_processes = 24
wal_level = logical
max_prepared_transactions = 100
max_connections = 100
CONF

# A server with the library preloaded, and the extension in its database.
# Options: database, conf (lines of postgresql.conf), start, extension, listen (the
# three are true unless set to 0), init (arguments of the node's init), attribution
# (arrival unless told, so that an interval is written as soon as it ends).
sub new
{
	my ($class, $name, %option) = @_;
	my $self = bless {
		database  => $option{database} // 'postgres',
		port      => udp_port(),
		sent      => 0,
		receivers => 1,
		citus     => $option{citus} // tests_on_citus(),
		node      => PostgreSQL::Test::Cluster->new($name,
			defined $option{install_path} ? (install_path => $option{install_path}) : ()) }, $class;

	$self->{receivers} = $1 if ($option{conf} // '') =~ /lastfluss\.receivers\s*=\s*(\d+)/;
	$self->node->init(%{ $option{init} // {} });
	$self->node->append_conf('postgresql.conf', <<"CONF");
shared_preload_libraries = 'lastfluss'
lastfluss.database = '$self->{database}'
lastfluss.max_entries = 4096
log_line_prefix = '%m [%p] %b: '
timezone = 'UTC'
CONF
	$self->node->append_conf('postgresql.conf', $citus_conf) if $self->{citus};
	$self->node->append_conf('postgresql.conf', $option{conf}) if defined $option{conf};
	return $self unless $option{start} // 1;

	$self->node->start;
	return $self unless $option{extension} // 1;
	$self->create_extension($option{attribution});
	$self->listen if $option{listen} // 1;
	return $self;
}

sub node { return $_[0]{node}; }
sub port { return $_[0]{port}; }
sub on_citus { return $_[0]{citus}; }

# Before there is a server: will it have Citus?
sub tests_on_citus { return ($ENV{LASTFLUSS_TEST_ON} // '') eq 'citus'; }

# A server that does not preload the library, and can take dumps of this one.
sub other_server
{
	my ($self, $name) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);

	$node->init;
	$node->append_conf('postgresql.conf', "shared_preload_libraries = 'citus'") if $self->on_citus;
	$node->start;
	return $node;
}

# Runs SQL in the collector's database, and returns its output.
sub sql
{
	my ($self, $sql) = @_;

	return $self->node->safe_psql($self->{database}, $sql);
}

# A test point: the query gives this (true, unless told) within the time limit.
sub becomes
{
	my ($self, $query, $expected, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	return ok($self->poll($query, $expected), $name);
}

# Whether that comes.  Where the server takes nobody just then, psql may have ended before
# the query is written to it, of which IPC::Run dies.
sub poll
{
	my ($self, $query, $expected) = @_;

	for my $attempt (1 .. 100)
	{
		my $came = eval { $self->node->poll_query_until($self->{database}, $query, $expected) };

		return $came if $@ eq '';
		die $@ if $@ !~ /Broken pipe/ || $attempt == 100;
		usleep(100_000);
	}
}

# Waits for that, and gives up the test where it does not come.
sub wait_for
{
	my ($self, $query, $expected) = @_;

	$self->poll($query, $expected) or die "waited in vain for: $query";
	return;
}

sub create_extension
{
	my ($self, $attribution) = @_;

	$attribution //= 'arrival';
	$self->create_citus if $self->{citus};
	$self->sql("CREATE EXTENSION lastfluss; SELECT lastfluss.set('attribution', '$attribution')");
	return;
}

# By its socket, as it listens to nothing else.
sub create_citus
{
	my ($self) = @_;
	my ($host, $port) = ($self->node->host, $self->node->port);

	$self->sql("SET client_min_messages = error; CREATE EXTENSION IF NOT EXISTS citus; SELECT citus_set_coordinator_host('$host', $port);
		SELECT citus_set_node_property('$host', $port, 'shouldhaveshards', true)");
	return;
}

sub listen
{
	my ($self) = @_;

	$self->sql("SELECT lastfluss.add_listener(port => $self->{port})");
	$self->wait_for("SELECT state FROM lastfluss.status", 'collecting');
	return;
}

# Runs SQL that changes the configuration, and waits until every receiver follows
# it: with the change comes a listener on another port, which is opened after.
sub configure
{
	my ($self, @sql) = @_;
	my $port = udp_port();

	$self->sql(join(";\n", 'BEGIN', @sql,
		"DELETE FROM lastfluss.listener WHERE address = '127.9.9.9'",
		"INSERT INTO lastfluss.listener VALUES ('127.9.9.9', $port)",
		'COMMIT'));
	wait_until(sub { sockets($port) == $self->{receivers} })
	  or die "the receivers do not follow the configuration";
	return;
}

# A period within which no interval ends by itself while a test runs.
sub long_period
{
	my $now = time;

	for my $period (3000 .. 3600)
	{
		return $period if $period - $now % $period > 900;
	}
	die;
}

# Waits until all that the exporters sent was received.
sub wait_received
{
	my ($self) = @_;

	$self->wait_for("SELECT datagrams = $self->{sent} FROM lastfluss.status");
	return;
}

# Waits until nothing is left in shared memory; intervals have to end for that.
sub wait_written
{
	my ($self) = @_;

	$self->wait_received;
	$self->wait_for('SELECT count(*) FROM lastfluss.live', 0);
	return;
}

# The server starts anew, and with it its counters.
sub stop
{
	my ($self, $mode) = @_;

	$self->node->stop($mode // 'fast');
	return;
}

# The ways to stop it in an orderly way.  A smart stop waits for connections, of which
# Citus keeps some of its own.
sub stop_modes { return ($_[0]->on_citus ? 'fast' : 'smart', 'fast'); }

sub start
{
	my ($self) = @_;

	$self->{sent} = 0;
	$self->node->start;
	return;
}

# The bytes in traffic and in live, by one query.
sub stored
{
	my ($self, $where) = @_;

	$where //= 'true';
	return $self->sql("SELECT coalesce(sum(bytes), 0) FROM (SELECT * FROM lastfluss.live
		UNION ALL SELECT id, time, bandwidth, iface, ingress, remote_asn, local_asn,
			family, bytes, packets, flows FROM traffic) t WHERE $where");
}

# The server's own process of that title ("writer"), which may have no connection,
# so that pg_stat_activity does not show it.  With several, the first one.
sub process
{
	my ($self, $title) = @_;
	my ($postmaster) = split /\n/, slurp_file($self->node->data_dir . '/postmaster.pid');

	return (grep { child_is($_, $postmaster, $title) } processes())[0];
}

# All of its processes but the postmaster.
sub children
{
	my ($self) = @_;
	my ($postmaster) = split /\n/, slurp_file($self->node->data_dir . '/postmaster.pid');

	return grep { child_is($_, $postmaster, '') } processes();
}

sub processes
{
	return map { m{(\d+)$} } glob '/proc/[0-9]*';
}

sub child_is
{
	my ($pid, $parent, $title) = @_;
	my ($words, $stat) = map { eval { slurp_file("/proc/$pid/$_") } // '' } qw(cmdline stat);

	return $words =~ /\Q$title\E/ && $stat =~ /\) \w $parent /;
}

sub spool_directory
{
	my ($self) = @_;

	return $self->node->data_dir . '/pg_lastfluss';
}

# Intervals' files, of one run of the server where that is told.
sub spool_files
{
	my ($self, $run) = @_;

	return grep { /\.\d+$/ } glob($self->spool_directory . '/interval.' . ($run // '') . '*');
}

# What names this run of the server in the names of files.
sub run
{
	my ($self) = @_;

	return $self->sql('SELECT (1000000 * extract(epoch FROM max(run)))::bigint FROM lastfluss._written');
}

# Bytes of all paths in a file of an interval; 0 where it is gone by now.  Behind
# the file's header of 12 octets comes a head of 56, with their number.
sub spool_file_bytes
{
	my ($file) = @_;
	my $content = eval { slurp_file($file) } // return 0;
	my $rows    = unpack('L', substr($content, 12 + 40, 4));
	my $sum     = 0;

	$sum += unpack('Q', substr($content, 12 + 56 + 32 * $_ + 16, 8)) for 0 .. $rows - 1;
	return $sum;
}

# Waits until the files have all of these bytes, which are not in traffic yet.
sub wait_saved
{
	my ($self, $bytes) = @_;

	wait_until(sub {
		my $sum = 0;
		my %written = map { /(.*) (\d+)/ } split /\n/, $self->sql(
			"SELECT (1000000 * extract(epoch FROM run))::bigint || '.' || receiver || ' ' || sequence
			 FROM lastfluss._written");

		for my $file ($self->spool_files)
		{
			my ($place, $sequence) = $file =~ /interval\.(.*)\.(\d+)$/;

			$sum += spool_file_bytes($file) if $sequence > ($written{$place} // 0);
		}
		$sum == $bytes })
	  or die "$bytes bytes are not saved";
	return;
}

# Lines of the server's log that our workers wrote, from a position on.
sub log_of_workers
{
	my ($self, $position) = @_;
	my $log = slurp_file($self->node->logfile, $position // 0);

	return grep { /\] lastfluss \w+: / } split /\n/, $log;
}

sub log_position
{
	my ($self) = @_;

	return -s $self->node->logfile;
}

# Polls a condition of the test's own.
sub wait_until
{
	my ($condition) = @_;

	for (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		return 1 if $condition->();
		select(undef, undef, undef, 0.1);
	}
	return 0;
}

# How many UDP sockets on this machine are bound to the port.
sub sockets
{
	my ($port) = @_;
	my $hex = sprintf('%04X', $port);
	my $count = 0;

	for my $file ('/proc/net/udp', '/proc/net/udp6')
	{
		next unless -r $file;
		$count += grep { /^\s*\d+: [0-9A-F]+:$hex / } split /\n/, slurp_file($file);
	}
	return $count;
}

# A UDP socket of the test's own, or undef where the port is taken.
sub udp_socket
{
	my ($address, $port) = @_;
	my $ipv6 = $address =~ /:/;

	socket(my $socket, $ipv6 ? PF_INET6 : PF_INET, SOCK_DGRAM, 0) or die "socket: $!";
	return bind($socket, socket_address($address, $port)) ? $socket : undef;
}

sub socket_address
{
	my ($address, $port) = @_;

	return pack_sockaddr_in6($port, inet_pton(AF_INET6, $address)) if $address =~ /:/;
	return pack_sockaddr_in($port, inet_aton($address));
}

# A port that nobody has, and that the kernel gives nobody by itself.
sub udp_port
{
	for (1 .. 1000)
	{
		my $port = 10000 + int(rand(20000));

		next if $taken_ports{$port} || sockets($port) > 0;
		$taken_ports{$port} = 1;
		return $port;
	}
	die 'no free UDP port';
}

# An exporter: protocol v5, v9 or ipfix.  Options: from, the source address; to,
# the collector's (127.0.0.1 or ::1); domain; sampling, v5's header; fields, what
# the templates have; withhold_template.
sub exporter
{
	my ($self, $protocol, %option) = @_;
	my $from = $option{from};

	return bless {
		collector => $self,
		protocol  => $protocol,
		to        => $option{to} // ($from =~ /:/ ? '::1' : '127.0.0.1'),
		port      => $option{port} // $self->port,
		domain    => $option{domain} // 0,
		sampling  => $option{sampling} // 0,
		fields    => $option{fields} // [qw(bytes packets in out src_as dst_as src dst)],
		template_sent => $option{withhold_template} // 0,
		sequence  => 0,
		socket    => udp_socket($from, 0) // die("cannot send from $from: $!")
	}, 'Lastfluss::Exporter';
}

package Lastfluss::Exporter;

use Socket qw(inet_pton AF_INET AF_INET6);

# Information elements, with the octets that the tests use.
my %elements = (
	bytes     => [ 1,  8 ],
	packets   => [ 2,  4 ],
	in        => [ 10, 4 ],
	out       => [ 14, 2 ],
	src_as    => [ 16, 4 ],
	dst_as    => [ 17, 4 ],
	sampling  => [ 34, 4 ],
	sampler   => [ 48, 1 ],
	direction => [ 61, 1 ],
	in_vlan   => [ 58, 2 ],
	out_vlan  => [ 59, 2 ],
	src4      => [ 8,  4 ],
	dst4      => [ 12, 4 ],
	src6      => [ 27, 16 ],
	dst6      => [ 28, 16 ],
	first     => [ 152, 8 ],
	last      => [ 153, 8 ]);

# Templates by the version of IP.
my %template_id = (4 => 256, 6 => 257);

# Sends records in one datagram.  A record is a hash with the names of %elements,
# and family: 4 unless told.
sub send
{
	my ($self, @records) = @_;

	$self->send_octets($self->{protocol} eq 'v5'
		? $self->v5(@records)
		: $self->message($self->templates_once, $self->data_sets(@records)));
	$self->{sequence} += $self->{protocol} eq 'v9' ? 1 : @records;
	return;
}

sub send_template
{
	my ($self) = @_;

	$self->{template_sent} = 0;
	$self->send_octets($self->message($self->templates_once));
	$self->{sequence}++ if $self->{protocol} eq 'v9';
	return;
}

# Any payload at all.
sub send_octets
{
	my ($self, $octets) = @_;

	defined CORE::send($self->{socket}, $octets, 0,
		Lastfluss::socket_address($self->{to}, $self->{port}))
	  or die "send: $!";
	$self->{collector}{sent}++;
	return;
}

# A number in so many octets.
sub number
{
	my ($value, $octets) = @_;

	return substr(pack('Q>', $value // 0), -$octets);
}

sub address
{
	my ($value, $family) = @_;

	return inet_pton($family == 6 ? AF_INET6 : AF_INET,
		$value // ($family == 6 ? '2001:db8::1' : '198.51.100.1'));
}

sub v5
{
	my ($self, @records) = @_;
	my $header = pack('nnNNNNCCn', 5, scalar(@records), 100000, time, 0, $self->{sequence},
		0, $self->{domain}, $self->{sampling});

	return join('', $header, map {
		pack('a4 a4 x4 n n N N N N x8 n n x4',
			address($_->{src}, 4), address($_->{dst}, 4), $_->{in} // 0, $_->{out} // 0,
			$_->{packets} // 0, $_->{bytes} // 0, 90000, 99000,
			$_->{src_as} // 0, $_->{dst_as} // 0)
	} @records);
}

sub message
{
	my ($self, @sets) = @_;
	my $sets = join('', @sets);

	return pack('nnNNNN', 9, scalar(@sets), 100000, time, $self->{sequence}, $self->{domain}) .
	  $sets
	  if $self->{protocol} eq 'v9';
	return pack('nnNNN', 10, 16 + length($sets), time, $self->{sequence}, $self->{domain}) .
	  $sets;
}

sub set
{
	my ($id, $content) = @_;

	$content .= "\0" x (-length($content) % 4);
	return pack('nn', $id, 4 + length($content)) . $content;
}

# Field names as %elements has them.
sub fields
{
	my ($self, $family) = @_;

	return map { /^(src|dst)$/ ? "$_$family" : $_ } @{ $self->{fields} };
}

sub templates_once
{
	my ($self) = @_;

	return () if $self->{template_sent}++;
	return set($self->{protocol} eq 'v9' ? 0 : 2, join('', map {
		my @fields = map { $elements{$_} } $self->fields($_);

		pack('nn', $template_id{$_}, scalar(@fields)) . join('', map { pack('nn', @$_) } @fields)
	} sort keys %template_id));
}

sub data_record
{
	my ($self, $record) = @_;
	my $family = $record->{family} // 4;

	return join('', map {
		/^(src|dst)[46]$/ ? address($record->{$1}, $family)
		  : number($record->{$_}, $elements{$_}[1])
	} $self->fields($family));
}

sub data_sets
{
	my ($self, @records) = @_;
	my @sets;

	for my $family (4, 6)
	{
		my @of_family = grep { ($_->{family} // 4) == $family } @records;

		push @sets, set($template_id{$family}, join('', map { $self->data_record($_) } @of_family))
		  if @of_family;
	}
	return @sets;
}

1;
