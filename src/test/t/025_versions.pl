# Between the update of the library and that of the extension's objects, whichever comes
# first: what the doctor and the log say, and that collecting goes on.
#
# A later release is made here: a script beside that of 1.0 in the private installation.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use Lastfluss;
use PostgreSQL::Test::Utils;
use Test::More;

my $collector = Lastfluss->new('versions');
my $version   = $collector->sql(q{SELECT extversion FROM pg_extension WHERE extname = 'lastfluss'});
my $later     = '999.10';
my $earlier   = '0.9';

my $directory = $collector->node->config_data('--sharedir') . '/extension';
my @scripts;
for my $step ("$version--$later", "$later--$version", "$version--$earlier", "$earlier--$version")
{
	push @scripts, "$directory/lastfluss--$step.sql";
	append_to_file($scripts[-1], "\\echo Use \"ALTER EXTENSION lastfluss UPDATE\" to load this file. \\quit\n");
}
END { unlink @scripts; }

$collector->configure(
	q{SELECT lastfluss.set('period', '1')},
	q{SELECT lastfluss.add_interface('A', '127.0.0.11', 1)});
my $router = $collector->exporter('v9', from => '127.0.0.11');
my $bytes  = 0;

sub collects
{
	my ($when) = @_;

	for (1 .. 5)
	{
		$router->send({ in => 1, out => 9, src_as => 64501, bytes => 1000, packets => 1 });
		$bytes += 1000;
	}
	$collector->becomes('SELECT sum(bytes) FROM traffic', $bytes, "$when: rows are written");
	return;
}

sub doctor_says
{
	return $collector->sql(q{SELECT status, finding, advice FROM lastfluss.doctor() WHERE topic = 'version'});
}

collects('same version');
is(doctor_says(), '', 'same version: nothing to say');

for my $case ([ $later, 'Install the library of version 999.10 where it is not yet, and restart the server.' ],
	[ $earlier, 'Run "ALTER EXTENSION lastfluss UPDATE" in database "postgres".' ])
{
	my ($to, $advice) = @$case;
	my $finding = "the library that the server has loaded is of version $version, the extension in this database of $to";
	my $position = $collector->log_position;

	$collector->sql("ALTER EXTENSION lastfluss UPDATE TO '$to'");
	is(doctor_says(), "warning|$finding|$advice", "$to: the doctor");
	$collector->node->wait_for_log(qr/LOG:  lastfluss: \Q$finding\E\n.*DETAIL:  Collecting goes on.*\n.*HINT:  \Q$advice\E/, $position);
	pass("$to: the log");
	collects($to);

	# A restart with it, as after the update of a package.
	$collector->stop('fast');
	$collector->start;
	$collector->wait_for('SELECT state FROM lastfluss.status', 'collecting');
	$router->send_template;
	collects("$to, after a restart");

	$collector->sql("ALTER EXTENSION lastfluss UPDATE TO '$version'");
	is(doctor_says(), '', 'same version again');
	collects('same version again');
}

$collector->stop;
done_testing();
