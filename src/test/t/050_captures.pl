# Captures of real exporters, decoded by read_pcap() and read_datagrams(), against
# the truth that lies beside them: a test point for each entry of groups.json whose
# datagrams are all NetFlow v5, v9 or IPFIX.  The captures are no part of the
# project; LASTFLUSS_CAPTURES names their directory, or they are in
# ../shared/captures beside the checkout.
#
# "flows" of a truth file is what a collector counts that drops data which come
# before their template.

use strict;
use warnings;

use Cwd qw(abs_path);
use File::Basename qw(dirname);
use JSON::PP qw(decode_json);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $captures = find_captures();
plan skip_all => 'no captures of real exporters here (LASTFLUSS_CAPTURES, or ../shared/captures)'
	unless defined $captures;

my %protocol_of_version = (
	5  => 'NetFlow v5',
	9  => 'NetFlow v9',
	10 => 'IPFIX');

# Reading captures needs no collector, so the library is not preloaded.
my $node = PostgreSQL::Test::Cluster->new('captures');
$node->init;
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION lastfluss');

for my $entry (@{ read_json("$captures/groups.json")->{captures} })
{
	my $truth = read_json("$captures/$entry->{id}.truth.json");

	next unless is_of_our_formats($truth);
	test_entry($entry, $truth);
}

$node->stop;
done_testing();

sub find_captures
{
	my @places = $ENV{LASTFLUSS_CAPTURES}
	  // (
		defined $ENV{LASTFLUSS_SHARED} ? "$ENV{LASTFLUSS_SHARED}/captures" : (),
		dirname(__FILE__) . '/../../../../shared/captures');

	for my $place (@places)
	{
		return abs_path($place) if -r "$place/groups.json";
	}
	return undef;
}

sub read_json
{
	my ($file) = @_;

	return decode_json(slurp_file($file));
}

sub is_of_our_formats
{
	my ($truth) = @_;
	my @versions = keys %{ $truth->{datagrams_by_version} };

	return @versions > 0 && !grep { !exists $protocol_of_version{$_} } @versions;
}

sub test_entry
{
	my ($entry, $truth) = @_;
	my ($right, $source) = right_flows($truth);
	my $name = "$entry->{id}: $truth->{status}, $source";

  SKIP:
	{
		skip $name, 1 unless defined $right;

		# The consensus of other engines does not tell the observation domain.
		my $with_domain = !defined $truth->{consensus};
		my $expected = sums_of_truth($right, $with_domain);
		my $got = sums_of_query(query($entry, $truth, $with_domain));
		my @differences = differences($expected, $got);

		ok(!@differences, $name)
		  or diag(join("\n", splice(@differences, 0, 20)));
	}
}

# What an entry must give, and where that comes from.  undef where the truth file
# does not say what is right; the second value is the reason then.
sub right_flows
{
	my ($truth) = @_;
	my $status = $truth->{status};

	return ($truth->{flows}, 'equal to the truth') if $status eq 'verified';
	return ([], 'nothing to count') if $status eq 'no-flows';
	return ($truth->{consensus}{flows}, "equal to the consensus ($truth->{consensus}{note})")
	  if defined $truth->{consensus};

	my $review = $truth->{review} // 'no review';

	return ([], "nothing to count ($review)") if $review =~ /Nothing should be counted/;
	return ($truth->{flows}, "equal to the truth ($review)")
	  if $status eq 'majority' && $review =~ /agrees on every tuple/;
	return (undef, "nobody says what is right ($review)");
}

# Sums by exporter, domain, interfaces and AS numbers, as text.  The truth has more
# rows than that where the sampling rate differs.  "null" is absent, 0 is 0.
sub sums_of_truth
{
	my ($flows, $with_domain) = @_;
	my %sums;

	for my $flow (@$flows)
	{
		my $key = join('|', map { $_ // 'null' } $flow->{exporter}, $with_domain ? $flow->{domain} : undef,
			@$flow{qw(in_if out_if src_as dst_as)}, rate_in_header($flow));
		my $sum = $sums{$key} //= [ 0, 0, 0 ];

		$sum->[0] += $flow->{bytes};
		$sum->[1] += $flow->{packets} // 0;
		$sum->[2] += $flow->{records};
	}
	return { map { $_ => join('|', @{ $sums{$_} }) } keys %sums };
}

# The sampling rate is compared only where the v5 header tells it; sampling by
# options data is looked at elsewhere.
sub rate_in_header
{
	my ($flow) = @_;

	return ($flow->{sampling_from} // '') eq 'header' ? $flow->{sampling} : undef;
}

sub sums_of_query
{
	my ($query) = @_;
	my %sums;

	for my $line (split /\n/, $node->safe_psql('postgres', $query))
	{
		my @columns = map { $_ eq '' ? 'null' : $_ } split /\|/, $line, -1;

		$sums{ join('|', @columns[ 0 .. 6 ]) } = join('|', @columns[ 7 .. 9 ]);
	}
	return \%sums;
}

# The observation domain of v5 is of our own making (its engine), so the truth has
# none.
sub query
{
	my ($entry, $truth, $with_domain) = @_;
	my $domain = $with_domain ? "CASE WHEN protocol <> 'NetFlow v5' THEN domain END" : 'NULL';
	my $records = records($truth);
	my $protocols = '';

	# Between datagrams of formats that another entry is about.
	if ($entry->{mixed})
	{
		my @names = map { $protocol_of_version{$_} } sort keys %{ $truth->{datagrams_by_version} };

		$protocols = 'AND protocol IN (' . join(', ', map { "'$_'" } @names) . ')';
	}
	return qq{
		SELECT host(exporter), $domain, in_if, out_if, src_as, dst_as,
		       CASE WHEN sampling_origin = 'header' THEN sampling END,
		       sum(bytes), coalesce(sum(packets), 0), count(*)
		FROM $records
		WHERE bytes IS NOT NULL AND NOT reverse $protocols
		GROUP BY 1, 2, 3, 4, 5, 6, 7
	};
}

# A pcap file is read as one, raw datagrams are decoded one after the other.
sub records
{
	my ($truth) = @_;
	my @files = @{ $truth->{files} };
	my @contents = map { "pg_read_binary_file(" . literal("$captures/$_->{file}") . ")" } @files;

	return "lastfluss.read_pcap($contents[0])"
	  if @files == 1 && $files[0]{container} eq 'pcap';
	die "$truth->{id}: neither one pcap file nor raw datagrams"
	  if grep { $_->{container} ne 'raw' } @files;
	return 'lastfluss.read_datagrams(ARRAY[' . join(', ', @contents) . "], '192.0.2.1')";
}

sub literal
{
	my ($text) = @_;

	$text =~ s/'/''/g;
	return "'$text'";
}

sub differences
{
	my ($expected, $got) = @_;
	my %keys = (%$expected, %$got);

	return
	  map { "$_: expected " . ($expected->{$_} // 'nothing') . ', got ' . ($got->{$_} // 'nothing') }
	  grep { ($expected->{$_} // '') ne ($got->{$_} // '') }
	  sort keys %keys;
}
