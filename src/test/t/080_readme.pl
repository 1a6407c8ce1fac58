# What README.md says is run, block by block and in its order, on a server that is set
# up as it says; what it shows is compared by columns with what comes out.  Each
# block is run, or is in a list below with the reason why not: a new one that is
# neither fails.  Names of objects, arguments, settings, files and headings must exist;
# so must what the examples name, as far as no other test loads them.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use CPAN::Meta::YAML;
use Grafana;
use IPC::Run qw(run);
use Lastfluss;
use PostgreSQL::Test::Utils;
use Storage;
use Test::More;

my $checkout  = "$FindBin::RealBin/../../..";
my $directory = PostgreSQL::Test::Utils::tempdir;
my $collector = Lastfluss->new('readme', database => 'lastfluss', extension => 0);
my $node      = $collector->node;
my @ports     = ($collector->port, Lastfluss::udp_port());
my $readme    = slurp_file("$checkout/README.md");
my @blocks    = blocks_of($readme);

# The blocks of code: kind (the fence's word, "fence" without one, "indented"), line,
# text.
sub blocks_of
{
	my ($text) = @_;
	my @found;
	my $open;
	my $before = '';
	my $number = 0;

	for my $line (split /\n/, $text)
	{
		$number++;
		if ($line =~ /^ *```(\w*)$/)
		{
			$open = $open ? undef : { kind => $1 || 'fence', line => $number, text => '' };
			push @found, $open if $open;
		}
		elsif ($open && $open->{kind} ne 'indented')
		{
			$open->{text} .= "$line\n";
		}
		elsif ($line =~ /^ {4}/ && ($open || $before eq ''))
		{
			push @found, $open = { kind => 'indented', line => $number, text => '' } unless $open;
			$open->{text} .= "$line\n";
		}
		else
		{
			undef $open;
		}
		$before = $line;
	}
	for my $block (@found)
	{
		my ($indent) = $block->{text} =~ /^( *)/;

		$block->{text} =~ s/^$indent//mg;
	}
	return @found;
}

# A port that others on this machine may have, and places that belong to a system.
sub here
{
	my ($text, $port) = @_;

	$port //= $ports[0];
	$text =~ s/\b2055\b/$port/g;
	$text =~ s{/(etc|var/lib)/grafana}{$directory/$1/grafana}g;
	return $text;
}

sub command
{
	my ($input, $in, @command) = @_;
	my ($out, $err) = ('', '');

	local %ENV = (%ENV, PGHOST => $node->host, PGPORT => $node->port, PGCLIENTENCODING => 'UTF8');
	my $done = run(\@command, '<', \$input, '>', \$out, '2>', \$err, init => sub { chdir $in or die "chdir: $!" });
	return ($done, $out, $err);
}

# Through psql, as somebody types it.
sub psql
{
	my ($sql, $database) = @_;

	return command($sql, $directory, 'psql', '-X', '-v', 'ON_ERROR_STOP=1', '-P', 'pager=off', '-d', $database // 'lastfluss');
}

sub run_sql
{
	my ($text, $name) = @_;
	my ($done, undef, $err) = psql(here($text));
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	return ok($done, $name) || diag($text, $err);
}

sub run_shell
{
	my ($text, $name) = @_;
	my ($done, undef, $err) = command('', $checkout, 'bash', '-e', '-c', here($text));
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	return ok($done, $name) || diag($text, $err);
}

sub columns
{
	my ($line) = @_;

	return join ' | ', map { s/^\s+|\s+$//gr } split /\|/, $line;
}

# "=> statement", over several lines, and what it gives.
sub run_transcript
{
	my ($text, $name) = @_;
	my ($statement, $shown) = $text =~ /^=> (.*?;)\n(.*)/s or return fail("$name is no transcript");
	my ($done, $out, $err) = psql($statement);
	my ($header) = $shown =~ /^(.*)\n-/;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	ok($done, $name) or return diag($statement, $err);
	return is(columns((split /\n/, $out)[0]), columns($header), "$name has these columns") && cmp_ok($out =~ tr/\n//, '>', 4, "$name has rows")
	  if defined $header;
	# a picture: its title, and what is below
	for my $line (grep { /UTC$|^ *(in|out):/ } split /\n/, $shown)
	{
		my $pattern = join '\s+', map { join '[\d.,]+', map { quotemeta } split /[\d.,]+/, $_, -1 } split ' ', $line =~ s/\b[kMGT](bit)/$1/gr;

		$pattern =~ s/bit/[kMGT]?bit/g;
		$pattern =~ s/\bto\b/to(?:\\s+[-\\d]+)?/;    # the date, where that is another
		like($out, qr/^\s*$pattern\s*$/m, "$name has a line as this: $line");
	}
	return;
}

# Lines of a router's configuration are in the example, whose names may have a number
# behind them, as there are two for two versions of IP.
sub compare_router
{
	my ($text, $name, $file) = @_;
	my $example = slurp_file("$checkout/examples/routers/$file") =~ s/(lastfluss)[46]/$1/gir;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	# with more words between, such as a sampler
	return is(join("\n", grep { my $line = join '\b.* ', map { quotemeta } split; $example !~ /^ *$line/m } split /\n/, $text), '', "$name is in $file");
}

sub check_targets
{
	my ($text, $name) = @_;
	my $makefile = slurp_file("$checkout/Makefile");
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	return is(join(' ', grep { $makefile !~ /^\Q$_\E:/m } $text =~ /^make (\w+)/mg), '', "$name has targets that exist");
}

#
# What is in the way of the next block, or missing for it.
#

sub prepare_first_screen
{
	$node->safe_psql('postgres', 'CREATE DATABASE lastfluss');
	return;
}

# From nothing again: the installation by hand follows.
sub prepare_database
{
	$node->safe_psql('postgres', 'DROP DATABASE lastfluss');
	return;
}

sub prepare_files
{
	for my $file ('interfaces.yaml', 'settings.yaml', 'as-stats/knownlinks')
	{
		append_to_file($directory . '/' . $file =~ s{.*/}{}r, here(slurp_file("$checkout/examples/$file")) =~ s/\b9995\b/$ports[1]/r);
	}
	run([ 'gzip' ], '<', \"192.0.2.0\t24\t64500\n2001:db8::\t32\t64501_64502\n", '>', "$directory/routeviews-pfx2as.gz") or die 'gzip';
	return;
}

# Traffic such as the demo's, of the last hours.
sub prepare_traffic
{
	$collector->wait_for(q{SELECT to_regclass('traffic') IS NOT NULL});
	Storage::make_partitions($collector, 'traffic', 1)
	  if $collector->sql(q{SELECT relkind FROM pg_class WHERE oid = 'traffic'::regclass}) eq 'p';
	$collector->sql(<<'SQL');
SELECT lastfluss.add_interface(v.name, '192.0.2.9', v.id, role => v.role, speed => v.speed)
FROM (VALUES ('DE-CIX Frankfurt', 1, 'ixp', 100000000000), ('Transit Arelion', 2, 'transit', 10000000000),
             ('Transit Cogent', 3, 'transit', 10000000000), ('PNI Google', 4, 'pni', 100000000000)) v(name, id, role, speed);
SELECT lastfluss.import_asns(E'15169 GOOGLE, US\n20940 AKAMAI-ASN1, NL\n3320 DTAG Deutsche Telekom, DE\n');
INSERT INTO traffic (time, bandwidth, iface, ingress, remote_asn, local_asn, family, bytes, packets, flows)
SELECT t, bytes * 8 / 60, v.iface, d, v.asn, 64500, 4 + 2 * (v.asn % 2), bytes, bytes / 700, 10
FROM generate_series(date_trunc('minute', now()) - interval '4 hours', now() - interval '3 min', '1 min') t, unnest('{t,f}'::boolean[]) d,
     (VALUES ('DE-CIX Frankfurt', 20940, 1e10), ('DE-CIX Frankfurt', 15169, 3e9), ('Transit Arelion', 3320, 2e9), ('Transit Cogent', 20940, 1e8),
             ('Transit Cogent', 7922, 4e9), ('PNI Google', 15169, 8e9)) v(iface, asn, bytes);
SQL
	return;
}

sub prepare_roles
{
	$collector->sql('DROP OWNED BY grafana; DROP ROLE grafana');
	return;
}

my @preparations = (
	[ qr/^CREATE EXTENSION lastfluss;/, \&prepare_first_screen ],
	[ qr/^sudo -u postgres createdb/,   \&prepare_database ],
	[ qr/^\\set yaml/,                  \&prepare_files ],
	# the collector makes it, a moment after the first listener
	[ qr/^SELECT \* FROM traffic /m,    sub { $collector->wait_for(q{SELECT to_regclass('traffic') IS NOT NULL}) } ],
	[ qr/^=> .*top_asns/,               \&prepare_traffic ],
	[ qr/^CREATE ROLE grafana/,         \&prepare_roles ]);

#
# How blocks are run that are no SQL and no transcripts; or why not.
#

# asks for a password, which nobody types here
my $typed = qr/^psql .*\\password.*\n/m;

my @special = (
	[ qr/^make (demo|bench)/,   \&check_targets ],
	[ qr/^apt-get .*debhelper/, 'changes the machine; make test-package builds the packages' ],
	[ qr/^apt-get install/,     'changes the machine; src/test/setup.sh installs the same' ],
	[ qr/^make with_llvm=no/,   'changes the machine; src/test/lib.sh builds and installs into a directory of its own' ],
	[ qr/^shared_preload.*citus/, 'needs Citus; t/030_citus.pl does it' ],
	[ qr/^-- on every node\n/, 'needs several nodes; t/030_citus.pl does it' ],
	[ qr/^shared_preload/,      sub { is($_[0], "shared_preload_libraries = 'lastfluss'\n", "$_[1] is what this server has") } ],
	[ qr/^sudo -u postgres/,    sub { run_shell($_[0] =~ s/^sudo -u postgres //mgr, $_[1]) } ],
	[ qr/^\\set \w+ `/,         \&run_sql ],
	[ qr/^sysctl /,             'changes the machine' ],
	[ qr/^flow record/,         sub { compare_router(@_, 'cisco-ios-xe.txt') } ],
	[ qr/^set services/,        sub { compare_router(@_, 'juniper-mx.txt') } ],
	[ qr/^softflowd /,          'needs an interface to watch; t/051_softflowd.pl runs it' ],
	[ qr/^psql lastfluss -f/,   \&run_shell ],
	[ qr/^psql -d .*role\.sql/, sub { run_shell("mkdir -p /etc/grafana\n" . $_[0] =~ s/$typed//r, $_[1]) } ],
	[ qr/^sh examples.as-stats/, 'needs RRD files; t/072_as_stats.pl runs it' ],
	[ qr/\blastfluss\.(publish|subscribe|publish_again)\(/, 'needs a site and a hub; t/026_fan_in.pl has them' ],
	[ qr/\$__timeFrom/,         \&run_panel ]);

# A panel's query: Grafana fills in its macros.
sub run_panel
{
	my ($text, $name) = @_;
	my $grafana = Grafana->new(from => time - 3600, to => time);

	return run_sql($grafana->expand($text, { interval => '1m' }) . ';', $name);
}

for my $block (@blocks)
{
	my ($kind, $text) = @$block{qw(kind text)};
	my $name = "line $block->{line}";
	my ($how) = map { $_->[1] } grep { $text =~ $_->[0] } @special;    # the first that fits

	$_->[1]->() for grep { $text =~ $_->[0] && !$_->[2]++ } @preparations;
	if    (ref $how)         { $how->($text, $name); }
	elsif (defined $how)     { SKIP: { skip("$name: $how", 1); } }
	elsif ($kind eq 'sql')   { run_sql($text, $name); }
	elsif ($kind eq 'fence') { run_transcript($_, $name) for split /^(?==> )/m, $text; }
	else                     { fail("$name is run by nobody: $text"); }
}

#
# Statements and calls within the text.  They change nothing here.
#
my %not_inline = (
	'SELECT lastfluss.upgrade_table()'                                => 'nothing to upgrade; t/019_upgrade.pl runs it',
	q{SELECT * FROM lastfluss.unsubscribe('fra', drop_slot => false)} => 'needs a hub; t/028_old_primary.pl runs it');

(my $prose = $readme) =~ s/^ *```.*?^ *```$//msg;
for my $code ($prose =~ /`([^`\n]+(?:\n[^`\n]+)?)`/g)
{
	my $sql = $code =~ s/\s*\n\s*/ /gr;

	$sql = "SELECT * FROM lastfluss.$sql" if $sql =~ /^\w+\(.*['>].*\)$/ && $sql !~ /…/;
	next if $sql !~ /^(SELECT|UPDATE|INSERT) / || $not_inline{$sql};
	$sql =~ s/\(since, until\)/(now() - interval '1 hour', now())/;
	$sql .= ';' unless $sql =~ /\\g/;
	my ($done, undef, $err) = psql(here("BEGIN;\n$sql\nROLLBACK;", $ports[1] + 1));
	ok($done, $code) or diag($err);
}

#
# What is named must exist.
#
sub named
{
	my ($text, $pattern) = @_;

	return map { /`([^`]+)`/g } map { /^\| ([^|]*) \|/ ? $1 : () } grep { $_ =~ $pattern } split /\n/, $text;
}

my ($reference) = $readme =~ /^## Reference\n(.*?)^Nothing is granted/ms;
for my $name (named($reference, qr/^\| `/))
{
	my ($object, $arguments) = $name =~ /^(\w+)(?:\((.*)\))?$/ or fail("no name: $name"), next;
	my $found = $collector->sql($name =~ /\(/
		? "SELECT string_agg(pg_get_function_arguments(oid), ' ') FROM pg_proc WHERE pronamespace = 'lastfluss'::regnamespace AND proname = '$object'"
		: "SELECT coalesce(to_regclass('lastfluss.$object'), to_regclass('public.$object'))");

	ok($found ne '' || $name =~ /\(\)$/ && $collector->sql("SELECT count(*) FROM pg_proc WHERE pronamespace = 'lastfluss'::regnamespace AND proname = '$object'") > 0,
		"reference: $name");
	is(join(' ', grep { $_ ne '…' && $found !~ /(^|\W)\Q$_\E/ } split /, /, $arguments // ''), '', 'with these arguments') if $arguments;
}

my ($settings) = $readme =~ /^## Settings\n(.*?)^## /ms;
my ($in_sql, $in_file) = split /^In `postgresql.conf`/m, $settings;

sub settings_of
{
	my ($text) = @_;
	my %default;

	for (grep { /^\| `/ } split /\n/, $text)
	{
		my ($names, $value) = /^\| (.*?) \| (.*?) \|/;
		$default{$_} = $value =~ s/`//gr for $names =~ /`([^`]+)`/g;
	}
	return join "\n", map { "$_ = $default{$_}" } sort keys %default;
}

is(settings_of($in_sql), $collector->sql(<<'SQL'), 'settings and their defaults');
SELECT string_agg(name || ' = ' || concat_ws(' ', CASE name WHEN 'collector' THEN 'the host''s name' ELSE default_value END, CASE WHEN default_value ~ '^\d+$' AND unit IN ('s', '%', 'MB') THEN unit END), E'\n' ORDER BY name COLLATE "C") FROM lastfluss.settings
SQL
is(settings_of($in_file), $collector->sql(<<'SQL'), 'and those of postgresql.conf');
SELECT string_agg(name || ' = ' || boot_val, E'\n' ORDER BY name COLLATE "C") FROM pg_settings WHERE name LIKE 'lastfluss.%'
SQL

my %headings = map { lc($_) =~ s/[^\w\- ]//gr =~ s/ /-/gr => 1 } $readme =~ /^#+ (.*)/mg;
for my $link ($readme =~ /\]\(([^)]+)\)/g)
{
	next if $link =~ /^https?:/;
	ok($link =~ /^#(.*)/ ? $headings{$1} : -e "$checkout/$link", "link: $link");
}

#
# Examples that no other test loads.
#
my ($source)   = @{ CPAN::Meta::YAML->read("$checkout/examples/grafana/provisioning/datasources/lastfluss.yaml")->[0]{datasources} };
my ($provider) = @{ CPAN::Meta::YAML->read("$checkout/examples/grafana/provisioning/dashboards/lastfluss.yaml")->[0]{providers} };

is($source->{type}, 'grafana-postgresql-datasource', 'the data source is of the type that the dashboards ask');
$collector->sql("DROP OWNED BY $source->{user}; DROP ROLE $source->{user}");
run_shell('psql -d lastfluss -v ON_ERROR_STOP=1 -f examples/grafana/role.sql', 'role.sql makes the role');
is($node->safe_psql($source->{jsonData}{database}, 'SELECT count(*) > 0 FROM lastfluss.top_asns()', extra_params => [ '-U', $source->{user} ]), 't',
	'that the data source names, and that may ask');
isnt($node->psql($source->{jsonData}{database}, 'CREATE TEMPORARY TABLE t ()', extra_params => [ '-U', $source->{user} ]), 0, 'and nothing else');
is(scalar(() = glob($directory . $provider->{options}{path} . '/*.json')), scalar(() = glob("$checkout/dashboards/*.json")),
	'README copies the dashboards to where the provider looks');

my $routers = slurp_file("$checkout/examples/routers/README.md");
my @files   = map { s{.*/}{}r } grep { !/README/ } glob("$checkout/examples/routers/*");

is(join(' ', sort $routers =~ /^\| \[([^\]]+)\]/mg), join(' ', sort @files), 'all routers are listed');
for my $file (@files)
{
	my $text = slurp_file("$checkout/examples/routers/$file");
	my @lacks;

	push @lacks, 'where to'   unless $text =~ /192\.0\.2\.100/ && $text =~ /\b2055\b/;
	push @lacks, 'AS numbers' unless $text =~ /origin|own_asn|src_as/i;
	push @lacks, 'sampling'   unless $text =~ /sampl/i;
	push @lacks, 'timeout'    unless $text =~ /timeout|maxlife/i || $file =~ /hsflowd/;
	is("@lacks", '', "$file tells what matters");
}

$collector->stop;
done_testing();
