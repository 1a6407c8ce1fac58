# Two sites collect, and a hub has what both have: each apart and to the byte, through
# outages of the hub, of the subscription and of a site, in partitions and in a hypertable.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use Lastfluss;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Storage;
use Test::More;

my %from = (fra => '127.0.0.11', ber => '127.0.0.12');
my (%site, %router, %sent);

sub start_site
{
	my ($name) = @_;

	$site{$name} = Lastfluss->new($name, init => { allows_streaming => 'logical' });
	$site{$name}->configure(
		q{SELECT lastfluss.set('period', '1')},
		# the same names everywhere
		qq{SELECT lastfluss.add_interface('DE-CIX', '$from{$name}', 1, role => 'ixp', speed => 10000000000)},
		qq{SELECT lastfluss.add_interface('Transit', '$from{$name}', 2, role => 'transit')});
	$router{$name} = $site{$name}->exporter('v9', from => $from{$name});
	return;
}

# Different amounts each time, in at the one interface and out at the other.
sub send_from
{
	my ($name, $times) = @_;

	for my $i (1 .. $times)
	{
		$sent{$name}++;
		$router{$name}->{template_sent} = 0;
		$router{$name}->send(map { { in => 1, out => 2, src_as => 64500 + $_, dst_as => 64600 + $i,
			bytes => 1000 * $sent{$name} + $_, packets => $_ } } 1 .. 10);
	}
	$site{$name}->wait_written;
	return;
}

# All rows, but for their ids, in a form that can be compared.
sub rows_of
{
	my ($collector, $iface, $where) = @_;

	return $collector->sql(<<"SQL");
SELECT count(*) || ' rows, ' || coalesce(sum(bytes), 0) || ' bytes, ' || coalesce(md5(string_agg(r, E'\\n' ORDER BY r COLLATE "C")), '')
FROM (SELECT bytes, concat_ws('|', time, bandwidth, $iface, ingress, remote_asn, local_asn, family, bytes, packets, flows) AS r
      FROM traffic WHERE $where) t
SQL
}

sub at_site { return rows_of($site{ $_[0] }, 'iface', 'true'); }
sub at_hub
{
	my ($hub, $name) = @_;

	return rows_of($hub, "nullif(substr(iface, 5), '')", "collector = '$name' AND iface LIKE '$name/%'");
}

# A test point: the hub has of each site what that has.
sub is_same
{
	my ($hub, $what) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	for my $name (sort keys %site)
	{
		my $want = at_site($name);

		Lastfluss::wait_until(sub { at_hub($hub, $name) eq $want });
		is(at_hub($hub, $name), $want, "$what: $name");
	}
	is($hub->sql('SELECT sum(bytes) FROM traffic'),
		eval { my $sum = 0; $sum += $site{$_}->sql('SELECT sum(bytes) FROM traffic') for keys %site; $sum },
		"$what: together");
	return;
}

sub refused
{
	my ($collector, $sql) = @_;
	my (undef, undef, $said) = $collector->node->psql($collector->{database}, $sql);

	return $said;
}

# As a literal.
sub connstr { return '$c$' . $site{ $_[0] }->node->connstr($site{ $_[0] }->{database}) . '$c$'; }

# A site sends what its writer would not.
sub send_parcel
{
	my ($name, $collector, $time, $replaces) = @_;

	$site{$name}->sql(<<"SQL");
INSERT INTO lastfluss._parcel (collector, time, period, replaces, names, iface, ingress, remote_asn, local_asn, family, bytes, packets, flows)
VALUES ('$collector', '$time', 60, $replaces, '{Strange}', '{1}', '{t}', '{65000}', '{65001}', '{4}', '{6000}', '{1}', '{1}');
DELETE FROM lastfluss._parcel;
SQL
	return;
}

# Times that a broken clock tells make no partitions of their own, and no byte is lost; a
# name that would be among another site's interfaces stops that site alone.
sub strange_site
{
	my ($hub) = @_;
	my $partitions = 'SELECT count(*) FROM pg_inherits WHERE inhparent = \'traffic\'::regclass';
	my $before     = $hub->sql($partitions);

	send_parcel('fra', 'fra', '2286-11-20 17:46:40+00', 'NULL');
	send_parcel('fra', 'fra', 'infinity', 'NULL');
	send_parcel('fra', 'fra', '2286-11-20 17:46:40+00', "''");
	send_from('fra', 1);
	$hub->becomes(q{SELECT count(*) || ' ' || sum(bytes) || ' ' || max(bandwidth) FROM traffic
		WHERE iface = 'fra/Strange' AND time BETWEEN now() - interval '1 hour' AND now() + interval '1 day'}, '2 12000 800', 'rows of the far future');
	cmp_ok($hub->sql($partitions), '<=', $before + 1, 'no partitions for it');
	$hub->sql(q{DELETE FROM traffic WHERE iface = 'fra/Strange'});
	is_same($hub, 'what came after');

	my $position = $hub->log_position;
	send_parcel('fra', 'ber/DE', 'now', 'NULL');
	$hub->node->wait_for_log(qr/ERROR: .*invalid value for setting "collector": "ber\/DE"/, $position);
	send_from('ber', 1);
	is(at_site('ber'), do { my $want = at_site('ber'); Lastfluss::wait_until(sub { at_hub($hub, 'ber') eq $want }); at_hub($hub, 'ber') }, 'the other site goes on');
	is($hub->sql(q{SELECT count(*) FROM traffic WHERE iface LIKE 'ber/DE/%'}), 0, 'without a row of it');
	$hub->sql(q{SELECT lastfluss.unsubscribe('fra')});
	$hub->sql(q{SELECT lastfluss.subscribe('fra', } . connstr('fra') . ')');
	$site{fra}->sql("SELECT lastfluss.publish_again('-infinity', 'infinity')");
	is_same($hub, 'subscribed again');
	return;
}

# Rows arrive also where the library is loaded by whoever needs it alone.
sub without_library
{
	my ($hub)  = @_;
	my $others = $hub->on_citus ? 'citus' : '';

	$hub->stop;
	$hub->node->append_conf('postgresql.conf', "shared_preload_libraries = '$others'");
	$hub->node->start;
	like(refused($hub, q{SELECT lastfluss.subscribe('third', 'dbname=postgres')}), qr/ERROR:  .*shared_preload_libraries/s, 'subscribe() wants the collector');
	like(refused($hub, 'SELECT lastfluss.publish()'), qr/ERROR:  .*shared_preload_libraries/s, 'so does publish()');
	send_from($_, 1) for sort keys %site;
	is_same($hub, 'a hub without the collector');
	is($hub->sql(q{SELECT count(*) FROM lastfluss.collectors WHERE connected}), scalar keys %site, 'the view works');
	$hub->node->stop;
	$hub->node->append_conf('postgresql.conf', "shared_preload_libraries = '" . ($others && "$others,") . "lastfluss'");
	$hub->start;
	return;
}

# A hub made of another one's dump has its rows, and is told how to have what comes.
sub restored_hub
{
	my ($hub) = @_;
	my $dump  = $hub->node->basedir . '/dump.sql';
	# Nobody is to make tables there before the dump does.
	my $other = Lastfluss->new('restored', extension => 0, conf => "lastfluss.database = 'nowhere'\n");

	$hub->node->command_ok([ 'pg_dump', '--file', $dump, $hub->node->connstr($hub->{database}) ], 'a dump of the hub');
	send_from($_, 1) for sort keys %site;
	$other->node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-o', '/dev/null', '-f', $dump, $other->node->connstr($other->{database}) ], 'is restored');
	$other->node->append_conf('postgresql.conf', "lastfluss.database = '$other->{database}'");
	$other->stop;
	$other->start;
	is($other->sql(q{SELECT count(*) FROM lastfluss.doctor() WHERE finding LIKE 'subscription "%" comes from a dump, and takes nothing'}),
		scalar keys %site, 'the doctor knows what it lacks');
	for my $name (sort keys %site)
	{
		$other->sql("SELECT lastfluss.unsubscribe('$name', drop_slot => false)");
		$other->sql("SELECT lastfluss.subscribe('$name', " . connstr($name) . ')');
		my $from = $other->sql("SELECT last_interval FROM lastfluss.collectors WHERE name = '$name'");
		$site{$name}->sql("SELECT lastfluss.publish_again('$from')");
	}
	is_same($other, 'the restored hub');
	is_same($hub, 'and the first');
	$site{fra}->becomes('SELECT count(*) FROM pg_replication_slots WHERE active', 2, 'each reads from a slot of its own');
	$other->sql("SELECT lastfluss.unsubscribe('$_')") for sort keys %site;
	$other->stop;
	return;
}

start_site($_) for sort keys %from;

my $timescale = $site{fra}->sql(q{SELECT count(*) FROM pg_available_extensions WHERE name = 'timescaledb'});

die 'TimescaleDB is to be there, but is not' if $ENV{LASTFLUSS_TEST_TIMESCALE} && !$timescale;
for my $kind ('partitions', $timescale ? 'hypertable' : ())
{
	my $first = $kind eq 'partitions';
	my $hub   = Lastfluss->new("hub_$kind", listen => 0, extension => 0, $first ? () : (conf => <<'CONF'));
shared_preload_libraries = 'timescaledb,lastfluss'
timescaledb.telemetry_level = off
max_worker_processes = 16
CONF
	$hub->sql('SET client_min_messages = error; CREATE EXTENSION timescaledb') unless $first;
	$hub->create_extension;
	# without a listener
	$hub->sql("SELECT lastfluss.set('period', '1'); SELECT lastfluss.set('collector', 'hub')");

	#
	# What cannot be is said.
	#
	if ($first)
	{
		like(refused($hub, 'SELECT lastfluss.publish()'), qr/ERROR:  wal_level is "minimal", and must be "logical"/,
			'publish() without the WAL for it') unless $hub->on_citus;
		like(refused($site{fra}, q{SELECT lastfluss.publish('a/b')}), qr/invalid value for setting "collector": "a\/b"/,
			'a name with a slash');
		like(refused($site{fra}, 'SELECT lastfluss.unpublish()'), qr/ERROR:  nothing is published/, 'nothing to take back');
		like(refused($site{fra}, q{SELECT lastfluss.publish_again('2026-01-01')}), qr/ERROR:  nothing is published/, 'nor to send again');
		like(refused($hub, q{SELECT lastfluss.subscribe('Fra', '')}), qr/ERROR:  invalid name of a subscription: "Fra"/, 'a bad name');
		like(refused($hub, q{BEGIN; SELECT lastfluss.subscribe('fra', '')}), qr/cannot run inside a transaction block/, 'a block');
		like(refused($hub, "SELECT lastfluss.unsubscribe('fra')"), qr/there is no subscription "fra"/, 'nothing to undo');
		like(refused($hub, q{SELECT lastfluss.subscribe('fra', } . connstr('fra') . ')'), qr/ERROR:  nothing is published there/,
			'a site that publishes nothing');
	}
	if ($first)
	{
		# What a site offers beside is not taken.
		$_->sql('CREATE TABLE gift (n integer)') for $site{fra}, $hub;
		$site{fra}->sql("SELECT lastfluss.publish('fra'); ALTER PUBLICATION lastfluss ADD TABLE gift");
		like(refused($hub, q{SELECT lastfluss.subscribe('fra', } . connstr('fra') . ')'), qr/ERROR:  the publication "lastfluss" there is of other tables, too/,
			'a site that publishes more');
		$site{fra}->sql('SELECT lastfluss.unpublish()');
		$_->sql('DROP TABLE gift') for $site{fra}, $hub;
	}
	is($hub->sql('SELECT count(*) FROM lastfluss._subscription') . $hub->sql('SELECT count(*) FROM pg_subscription'), '00',
		'and nothing is left of it');

	#
	# From now on.
	#
	is($site{$_}->sql("SELECT lastfluss.publish('$_')"), $_, "$_ publishes") for sort keys %site;
	$hub->sql("SELECT lastfluss.subscribe('$_', " . connstr($_) . ')') for sort keys %site;
	like(refused($hub, q{SELECT lastfluss.subscribe('fra', } . connstr('fra') . ')'), qr/there is a subscription "fra" already/, 'once');
	if ($first)
	{
		$site{fra}->sql('CREATE DATABASE other');
		$site{fra}->node->safe_psql('other', 'SET client_min_messages = error; CREATE EXTENSION lastfluss');
		my (undef, undef, $said) = $site{fra}->node->psql('other', 'SELECT lastfluss.subscribe(\'fra\', ' . connstr('fra') . ')');
		like($said, qr/ERROR:  the site is a database of this server/, 'a site on the same server');
	}
	send_from($_, 2) for sort keys %site;

	# What was before is sent on demand, and as often as one likes.
	$site{$_}->sql("SELECT lastfluss.publish_again('-infinity', 'infinity')") for sort keys %site;
	# with the first of it comes the column collector
	$hub->wait_for('SELECT count(*) FROM lastfluss.collectors WHERE parcels > 0', scalar keys %site);
	is_same($hub, "$kind, all that there is");
	is($hub->sql('SELECT count(*) - count(DISTINCT id) FROM traffic'), 0, 'no id is there twice');
	is($hub->sql(q{SELECT string_agg(name || ' ' || array_to_string(roles, ',') || ' ' || coalesce(speed::text, '-'), '; ' ORDER BY name) FROM lastfluss.site_interface}),
		'ber/DE-CIX ixp 10000000000; ber/Transit transit -; fra/DE-CIX ixp 10000000000; fra/Transit transit -',
		'what the sites know of their interfaces is there');
	is($hub->sql(q{SELECT string_agg(iface || ' ' || role, '; ' ORDER BY iface) FROM lastfluss.interface_report('1 day') WHERE ingress + egress > 0}),
		'ber/DE-CIX ixp; ber/Transit transit; fra/DE-CIX ixp; fra/Transit transit', 'answers tell the sites apart');
	is($hub->sql(q{SELECT string_agg(concat_ws(' ', name, site, subscription, enabled, connected, period), '; ' ORDER BY name) FROM lastfluss.collectors}),
		'ber ber ber t t 1; fra fra fra t t 1', 'the view of the collectors');
	is($site{$_}->sql('SELECT count(*) FROM lastfluss._parcel'), 0, "$_ keeps nothing of it") for sort keys %site;
	is($hub->sql('SELECT count(*) FROM lastfluss._parcel'), 0, 'nor does the hub');
	if ($kind eq 'hypertable')
	{
		is($hub->sql('SELECT count(*) FROM ONLY traffic'), 0, 'no row is in the root of the hypertable');
		isnt($hub->sql(q{SELECT count(*) FROM timescaledb_information.chunks WHERE hypertable_name = 'traffic'}), 0, 'but in chunks');
	}
	is($hub->sql(q{SELECT count(*) FROM lastfluss.doctor() WHERE topic = 'sites' AND status = 'ok'}), 1, 'the doctor finds them well');

	# Triggers on the hub's table see what arrives.
	$hub->sql(<<'SQL');
CREATE TABLE seen (bytes bigint);
GRANT INSERT ON seen TO PUBLIC;
CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO public.seen VALUES (NEW.bytes); RETURN NEW; END';
CREATE TRIGGER see AFTER INSERT ON traffic FOR EACH ROW EXECUTE FUNCTION see();
SQL
	my $before = $hub->sql('SELECT coalesce(sum(bytes), 0) FROM traffic');
	send_from('fra', 1);
	is_same($hub, "$kind, with a trigger");
	is($hub->sql('SELECT sum(bytes) FROM seen') + $before, $hub->sql('SELECT sum(bytes) FROM traffic'), 'which fires');
	$hub->sql('DROP TRIGGER see ON traffic; DROP FUNCTION see; DROP TABLE seen');

	#
	# Outages: the hub is down, and a site restarts meanwhile; then a subscription is off.
	#
	$hub->stop('immediate');
	send_from($_, 2) for sort keys %site;
	$site{ber}->stop('fast');
	$site{ber}->start;
	$site{ber}->wait_for('SELECT state FROM lastfluss.status', 'collecting');
	send_from('ber', 1);
	is($site{fra}->sql(q{SELECT count(*) FROM lastfluss.doctor() WHERE topic = 'hub' AND finding LIKE 'no hub reads%'}), 1, 'the doctor of a site misses the hub');
	$hub->start;
	is_same($hub, "$kind, the hub was down");
	$hub->sql('ALTER SUBSCRIPTION lastfluss_fra DISABLE');
	send_from($_, 1) for sort keys %site;
	$hub->becomes(q{SELECT advice FROM lastfluss.doctor() WHERE finding = 'subscription "fra" is disabled'}, 'ALTER SUBSCRIPTION lastfluss_fra ENABLE;', 'the doctor sees it');
	$hub->sql('ALTER SUBSCRIPTION lastfluss_fra ENABLE');
	is_same($hub, "$kind, a subscription was off");

	#
	# Days of the past, for which the hub has no partitions; its rollups are made of it.
	#
	if ($first)
	{
		for my $name (sort keys %site)
		{
			Storage::make_partitions($site{$name}, 'traffic', 1 .. 5);
			Storage::fill($site{$name}, 'traffic', Storage::day(4), Storage::day(3), $name eq 'fra' ? 6 : 9);
		}
	}
	my $expected = $site{fra}->sql("SELECT count(DISTINCT time) FROM traffic WHERE time < '" . Storage::day(1) . "'");
	is($site{$_}->sql("SELECT lastfluss.publish_again('" . Storage::day(5) . "', '" . Storage::day(1) . "')"), $expected, "$_ sends days again")
	  for sort keys %site;
	is_same($hub, "$kind, days of the past");
	$hub->sql("SELECT lastfluss.rollup_again('" . Storage::day(0) . "', now())");
	Storage::wait_rolled_up($hub);
	like(Storage::difference($hub, 'traffic', $_), qr/^[1-9]\d* rows, 0 differ$/, "$kind, rollups are what the rows give: $_") for qw(5m 1h 1d);

	# What changes at the site afterwards comes in place of what was.
	my $day = Storage::day(3) =~ s/ .*//r;
	$site{fra}->sql("DELETE FROM traffic WHERE remote_asn = 64506; UPDATE traffic SET bytes = bytes + 60, bandwidth = (bytes + 60) * 8 / 60.0 WHERE time < '$day'");
	$site{fra}->sql("SELECT lastfluss.publish_again('-infinity', 'infinity')") for 1 .. 2;
	is_same($hub, "$kind, changed and sent again, twice");
	Storage::wait_rolled_up($hub);
	like(Storage::difference($hub, 'traffic', $_), qr/^[1-9]\d* rows, 0 differ$/, "$kind, the rollups follow: $_") for qw(5m 1h 1d);

	# A dump has the publication, but not that the extension's table is in it.
	$site{fra}->sql('ALTER PUBLICATION lastfluss DROP TABLE lastfluss._parcel');
	is($site{fra}->sql(q{SELECT count(*) FROM lastfluss.doctor() WHERE finding LIKE '%comes from a dump%'}), 1, 'the doctor of a site made of a dump');
	is($site{fra}->sql('SELECT lastfluss.publish()'), 'fra', 'which publishes again, by its name');
	send_from('fra', 1);
	is_same($hub, "$kind, a publication from a dump");

	#
	# A site that says strange things.
	#
	if ($first)
	{
		strange_site($hub);
		without_library($hub);
		restored_hub($hub);
	}

	#
	# The end.
	#
	like(refused($site{fra}, 'SELECT lastfluss.unpublish()'), qr/ERROR:  hubs subscribe to what is published.*lastfluss_fra_/s, 'not while a hub subscribes');
	$hub->sql("SELECT lastfluss.unsubscribe('$_')") for sort keys %site;
	is($site{$_}->sql('SELECT count(*) FROM pg_replication_slots'), 0, "no slot is left at $_") for sort keys %site;
	isnt($hub->sql('SELECT count(*) FROM traffic'), 0, 'the rows stay');
	$hub->sql("SELECT lastfluss.subscribe('fra', " . connstr('fra') . ')');
	send_from('fra', 1);
	$hub->becomes('SELECT sum(bytes) FROM traffic WHERE collector = \'fra\'', $site{fra}->sql('SELECT sum(bytes) FROM traffic'), 'and it can go on');
	$hub->sql("SELECT lastfluss.unsubscribe('fra')");
	$hub->stop;
}

$site{fra}->sql('SELECT lastfluss.unpublish()');
send_from('fra', 1);
is($site{fra}->sql('SELECT count(*) FROM pg_publication'), 0, 'nothing is published any more');

$_->stop for values %site;
done_testing();
