# Captures of real exporters, decoded by read_pcap() and read_datagrams(), against
# the truth that lies beside them: a test point for each entry of groups.json.
# The captures are no part of the project; LASTFLUSS_CAPTURES names their
# directory, or they are in ../shared/captures beside the checkout.
#
# "flows" of a truth file is what a collector counts that drops data which come
# before their template.  Ours wait for it: then the totals are those of
# "if_data_waited_for_templates", and no tuple may have less than "flows" says.

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
	5      => 'NetFlow v5',
	7      => 'NetFlow v7',
	8      => 'NetFlow v8',
	9      => 'NetFlow v9',
	10     => 'IPFIX',
	sflow5 => 'sFlow v5');

# sFlow's number for an interface that is none: 30 bits, all set.
use constant SFLOW_NO_INTERFACE => 0x3fffffff;

# Reading captures needs no collector, so the library is not preloaded.
my $node = PostgreSQL::Test::Cluster->new('captures');
$node->init;
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION lastfluss');

for my $entry (@{ read_json("$captures/groups.json")->{captures} })
{
	my $truth = read_json("$captures/$entry->{id}.truth.json");

	die "$entry->{id}: unknown format" unless is_of_our_formats($truth);
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
		my @differences =
		  defined $truth->{if_data_waited_for_templates}
		  ? differences_with_waiting($expected, $got, $truth->{if_data_waited_for_templates})
		  : differences($expected, $got);

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

	my $golden = "$captures/$truth->{id}.csv";
	my $review = $truth->{review} // 'no review';

	return (flows_of_csv($golden), "equal to the exporter's own list ($review)")
	  if $status eq 'disputed' && -r $golden;

	return ([], "nothing to count ($review)") if $review =~ /Nothing should be counted/;
	return ($truth->{flows}, "equal to the truth ($review)")
	  if $status eq 'majority' && $review =~ /agrees on every tuple/;
	return (undef, "nobody says what is right ($review)");
}

# What flow-tools says that it has encoded.
sub flows_of_csv
{
	my ($file) = @_;
	my ($head, @lines) = split /\n/, slurp_file($file);
	my @names = split /,/, $head =~ s/^#://r;
	my @flows;

	for my $line (@lines)
	{
		my %row;

		@row{@names} = split /,/, $line;
		push @flows, {
			exporter => '192.0.2.1',
			in_if => $row{input}, out_if => $row{output},
			src_as => $row{src_as}, dst_as => $row{dst_as},
			bytes => $row{doctets}, packets => $row{dpkts}, records => 1 };
	}
	return \@flows;
}

# An output that is discarded or goes to several interfaces is no interface, and
# the truth gives the number that stands in its place.
sub interfaces
{
	my ($flow) = @_;
	my ($in, $out) = @$flow{qw(in_if out_if)};

	$in = undef if ($flow->{sampling_from} // '') eq 'sample' && ($in // 0) == SFLOW_NO_INTERFACE;
	$out = undef if $flow->{out_format};
	return ($in, $out);
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
			interfaces($flow), @$flow{qw(src_as dst_as)}, told_rate($flow));
		my $sum = $sums{$key} //= [ 0, 0, 0 ];

		$sum->[0] += $flow->{bytes};
		$sum->[1] += $flow->{packets} // 0;
		$sum->[2] += $flow->{records};
	}
	return { map { $_ => join('|', @{ $sums{$_} }) } keys %sums };
}

# The sampling rate is compared where the v5 header or the sFlow sample tells it.
# What options data tells depends on whether it came before, and the truth joins it
# to all records.
sub told_rate
{
	my ($flow) = @_;

	return ($flow->{sampling_from} // '') =~ /^(?:header|sample)$/ ? $flow->{sampling} : undef;
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

# The observation domain of v5 and v8 is of our own making (engine, scheme), so the
# truth has none.
sub query
{
	my ($entry, $truth, $with_domain) = @_;
	my $domain = $with_domain ? "CASE WHEN protocol NOT IN ('NetFlow v5', 'NetFlow v7', 'NetFlow v8') THEN domain END" : 'NULL';
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
		       CASE WHEN sampling_origin = 'header' OR protocol = 'sFlow v5' THEN sampling END,
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
	# An sFlow file is one datagram, of which one has a piece of another behind it.
	return 'lastfluss.read_pcap(' . as_capture(slurp_file("$captures/$files[0]{file}")) . ')'
	  if $truth->{family} eq 'sflow';
	return 'lastfluss.read_datagrams(ARRAY[' . join(', ', @contents) . "], '192.0.2.1')";
}

# A datagram as a capture file: raw IPv4, from 192.0.2.1.
sub as_capture
{
	my ($datagram) = @_;
	my $udp = pack('nnnn', 6343, 6343, 8 + length $datagram, 0) . $datagram;
	my $ip = pack('CCnnnCCna4a4', 0x45, 0, 20 + length $udp, 0, 0, 64, 17, 0,
		pack('C4', 192, 0, 2, 1), pack('C4', 192, 0, 2, 100)) . $udp;
	my $file = pack('NnnNNNN', 0xa1b2c3d4, 2, 4, 0, 0, 65535, 101)
	  . pack('NNNN', 1700000000, 0, length $ip, length $ip) . $ip;

	return "'\\x" . unpack('H*', $file) . "'::bytea";
}

sub literal
{
	my ($text) = @_;

	$text =~ s/'/''/g;
	return "'$text'";
}

# Data that waited are more than the truth's tuples, and their sums are told.
sub differences_with_waiting
{
	my ($expected, $got, $waited) = @_;
	my @sums = (0, 0, 0);
	my @differences;

	for my $key (keys %$got)
	{
		my @values = split /\|/, $got->{$key};

		$sums[$_] += $values[$_] for 0 .. 2;
	}
	push @differences, "in all: expected $waited->{bytes}|$waited->{packets}|$waited->{flow_records}, got "
	  . join('|', @sums)
	  if "@sums" ne "$waited->{bytes} $waited->{packets} $waited->{flow_records}";
	for my $key (sort keys %$expected)
	{
		my @least  = split /\|/, $expected->{$key};
		my @values = split /\|/, $got->{$key} // '0|0|0';

		push @differences, "$key: expected at least $expected->{$key}, got " . join('|', @values)
		  if grep { $values[$_] < $least[$_] } 0 .. 2;
	}
	return @differences;
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
