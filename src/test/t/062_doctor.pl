# What the doctor finds, and that it raises no error.  (Partitions, disk and
# counters, case by case: sql/doctor.sql, sql/counter_check.sql.)

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use Lastfluss;
use Test::More;

my $collector = Lastfluss->new('doctor');

$collector->configure(
	q{SELECT lastfluss.set('period', '1')},
	q{SELECT lastfluss.set(name, 'arrival') FROM lastfluss.settings WHERE name = 'attribution'},
	q{SELECT lastfluss.set(name, '0') FROM lastfluss.settings WHERE name = 'window'},
	q{SELECT lastfluss.add_interface('A', '127.0.0.11', 1, sample => 1)});

# The rows of a topic: status, finding and advice.
sub doctor
{
	my ($topic) = @_;

	return $collector->sql(
		"SELECT status, finding, advice FROM lastfluss.doctor() WHERE topic = '$topic' ORDER BY finding");
}

# A view shows something else for a while: columns and what they show.
sub pretend
{
	my ($view, %value) = @_;
	my $is = $collector->sql("SELECT pg_get_viewdef('lastfluss.$view')");
	my $shown = $is;

	for my $column (keys %value)
	{
		# PostgreSQL 16 and later name the table only where there are several.
		$shown =~ s/(?<![\w.])(\w+\.)?$column\b(?! =)/$value{$column} AS $column/ or die "no column $column";
	}
	$collector->sql("CREATE OR REPLACE VIEW lastfluss.$view AS $shown");
	return sub { $collector->sql("CREATE OR REPLACE VIEW lastfluss.$view AS $is"); };
}

#
# What comes.
#
is($collector->sql(q{SELECT status, topic, finding FROM lastfluss.doctor() WHERE topic <> 'disk'}),
	'warning|datagrams|no datagram has come', 'nothing comes');
my $again = pretend('status', state => q{'starting'::text}, receivers => 0);
like(doctor('collector'), qr/^warning\|the collector is starting: 0 of 1 receivers run\|.*max_worker_processes/,
	'the receivers do not start');
$again->();

my $router = $collector->exporter('v9', from => '127.0.0.11', withhold_template => 1);
my $record = { in => 1, out => 9, bytes => 1000, packets => 2 };
$router->send($record);
$collector->wait_received;
like(doctor('decoding'), qr/^warning\|1 data sets of 127\.0\.0\.11 wait for their template\|/, 'no template');
$router->send_template;
$collector->wait_written;
is(doctor('decoding'), '', 'it has come');
like(doctor('collector'), qr/^ok\|2 datagrams, 1 records, 1 rows written\|$/, 'all is well');
$again = pretend('exporters', last_seen => q{now() - interval '1 hour'});
like(doctor('datagrams'), qr/^warning\|127\.0\.0\.11, which is configured, has sent nothing since /, 'a host that fell silent');
$again->();

#
# What is lost.
#
is(doctor('loss'), '', 'nothing is lost');
$router->{sequence} += 1;
$router->send($record);
$collector->wait_received;
like(doctor('loss'), qr/^warning\|25 % of what 127\.0\.0\.11 has sent is missing by its sequence numbers: 1 datagrams/,
	'losses, with their share');
$again = pretend('exporters', datagrams => '1000000::bigint');
like(doctor('loss'), qr/^ok\|0\.0001 % of what/, 'a small share is no warning');
$again->();
$again = pretend('status', kernel_drops => '1::bigint');
like(doctor('loss'), qr/\nwarning\|the kernel has dropped 1 datagrams, 25 % of all\|.*sysctl -w net\.core\.rmem_max/,
	'drops of the kernel, with the sysctl');
$again->();

#
# What comes too late, and what waits.
#
# What waited for its template was late if the second was over, with a window of 0.
$again = pretend('exporters', late_bytes => '0::bigint');
is(doctor('window'), '', 'nothing is late');
$again->();
$again = pretend('exporters', late_bytes => '20::bigint');
is(doctor('window'), '', 'a little of it is nothing to speak of');
$again->();
$again = pretend('exporters', late_bytes => '400::bigint', future_bytes => '1000::bigint');
is(doctor('window') =~ s/\|Have.*|\|They.*//gr, <<'ROWS' =~ s/\n$//r, 'long flows against the window, and flows of the future');
warning|20 % of the bytes of 127.0.0.11 came when the window of their intervals was over, and are counted later
warning|50 % of the bytes of 127.0.0.11 claim to come from the future
ROWS
$again->();
is(doctor('spool'), '', 'no files are used');
$again = pretend('status', spooled => '30', spool_bytes => '3::bigint * 1024 * 1024', spool_limit => '1024::bigint * 1024 * 1024',
	spool => q{'The bound.'::text}, intervals_waiting => '35');
is(doctor('spool'), 'warning|30 intervals wait in files, which take 3072 kB of 1024 MB at most; there is room for about 10210 more|' .
	'They are written when the database follows. The bound.', 'intervals wait in files');
like(doctor('writing'), qr/^warning\|35 finished intervals wait\|/, 'intervals wait');
$again->();
$again = pretend('status', spooled => '30', spool_bytes => '900::bigint', spool_limit => '1000::bigint');
like(doctor('spool'), qr/^error\|.* room for about 3 more\|/, 'and the room gets scarce');
$again->();

#
# The table.
#
is(doctor('partitions'), '', 'the collector makes the partitions ahead');
ok( Lastfluss::wait_until(sub {
		$router->send($record);
		doctor('disk') =~ /^ok\|public\.traffic has .* and grows by .* a day; .* are free, enough for .*\|$/ }),
	'growth by what was written, where there is no day yet that is over');
$collector->sql(<<'SQL');
DO $$ BEGIN
	EXECUTE (SELECT format('DROP TABLE %s', partition) FROM lastfluss._partitions('traffic')
	         WHERE starts <= now() + interval '1 day' AND ends > now() + interval '1 day');
END $$
SQL
like(doctor('partitions'), qr/^warning\|public\.traffic has no partition for tomorrow\|CREATE TABLE public\.traffic_\d{8} PARTITION OF/,
	'a partition is missing');
$collector->sql((split /\|/, doctor('partitions'))[2]);
is(doctor('partitions'), '', 'the advice makes it');
$collector->sql(q{CREATE OR REPLACE FUNCTION lastfluss._free_disk(tablespace oid) RETURNS bigint LANGUAGE sql AS 'SELECT 1::bigint'});
like(doctor('disk'), qr/^error\|.*; 1 bytes are free, enough for 0\.0 days\|Give the server more disk/, 'the disk is full');

#
# An error in one part, and callers without rights.
#
$collector->sql(q{CREATE OR REPLACE FUNCTION lastfluss._free_disk(tablespace oid) RETURNS bigint LANGUAGE sql AS 'SELECT 1::bigint / 0'});
is(doctor('disk'), 'warning|could not be looked at: division by zero|', 'an error becomes a row');
like(doctor('collector'), qr/^ok\|/, 'and the others stay');
$collector->sql(<<'SQL');
INSERT INTO lastfluss.counters (host, id, time, in_octets, out_octets) VALUES ('127.0.0.11', 1, now(), 0, 0);
CREATE ROLE monitor IN ROLE pg_monitor;
CREATE ROLE caller;
GRANT USAGE ON SCHEMA lastfluss TO caller;
GRANT EXECUTE ON FUNCTION lastfluss.doctor() TO caller;
SQL
SKIP:
{
	skip 'on Citus pg_monitor may read the table of the interfaces, too', 2 if $collector->on_citus;
	is($collector->sql(q{SET ROLE monitor; SELECT status, topic FROM lastfluss.doctor() WHERE topic <> 'window' ORDER BY topic}), <<'ROWS' =~ s/\n$//r,
ok|collector
ok|counters
warning|disk
warning|loss
ROWS
		'pg_monitor is told');
	is($collector->sql(q{SET ROLE monitor; SELECT finding, advice FROM lastfluss.doctor() WHERE topic = 'counters'}),
		q{flows were not compared with the interfaces' counters: permission denied for table interface|} .
		q{GRANT SELECT ON public.traffic, lastfluss.interface, lastfluss.counters TO monitor;},
		'and what it may not see');
}
is($collector->sql(q{SET ROLE caller; SELECT * FROM lastfluss.doctor()}),
	'error|rights|permission denied for view status|GRANT pg_monitor TO caller;', 'a caller without rights is told so');

$collector->stop;
done_testing();
