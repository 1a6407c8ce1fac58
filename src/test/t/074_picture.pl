# One picture: the dashboard "Interfaces" of six hours, drawn in a browser as "make pictures"
# draws all of them.  It fails where a panel is empty or has nothing on one side of the axis, a
# unit is not known, or text is cut or lies on other text; and has to, where that is so.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use Dashboards;
use IPC::Run ();
use PostgreSQL::Test::Utils;
use Test::More;

sub have { my ($program) = @_; return grep { -x "$_/$program" } split(/:/, $ENV{PATH}); }

plan skip_all => 'npm and node are not installed' unless have('npm') && have('node');
plan skip_all => 'chromium is not installed' unless grep { have($_) } qw(chromium chromium-browser google-chrome);

my $directory = PostgreSQL::Test::Utils::tempdir();
my $boards    = Dashboards->new('picture', asns => 4, days => 3, days_5m => 2, hours_raw => 7);

# Draws a dashboard's file; returns whether it is sound, and what is said.
sub draw
{
	my ($name) = @_;
	my $said = '';

	local @ENV{qw(CONNECT DASHBOARDS RANGES PICTURES PACKAGES HOME)} = ($boards->node->connstr('postgres'), $name, '6h', $directory, 'echarts', $directory);
	my $sound = IPC::Run::run([ 'bash', "$Dashboards::root/src/test/dashboards/pictures.sh" ], '<', \undef, '>', \$said, '2>&1', IPC::Run::timeout(240));
	return ($sound, $said);
}

my ($sound, $said) = draw('interfaces');
plan skip_all => 'npm cannot install packages here' if $said =~ /could not install packages/;

ok($sound, 'Interfaces is sound') or diag($said);
like($said, qr/interfaces-6h\.png: 5 panels, 4 charts/, 'all of it was looked at');
my $picture = slurp_file("$directory/interfaces-6h.png");
is(substr($picture, 1, 3), 'PNG', 'a picture');
is(join(' ', unpack('x16 N', $picture)), 1600, 'as wide as a screen');

# Without what goes out.
$boards->{collector}->sql('DELETE FROM traffic WHERE NOT ingress; DELETE FROM traffic_5m_total WHERE NOT ingress; UPDATE lastfluss._rollup SET complete_until = complete_from, clean_from = $$infinity$$');
($sound, $said) = draw('interfaces');
ok(!$sound, 'what is not sound fails');
like($said, qr/wrong: "By role \(in above\)" has nothing below the axis/, 'and says what it is');

done_testing();
