#!/bin/bash
#
# make bench: prints figures as Markdown tables, asserts nothing.
#
#   make bench PARTS='formats flush'   these parts alone
#   make bench SECONDS=60              length of a load (8); all parts take about
#                                      ten minutes with 8
#   make bench PARTS=loss SECONDS=60 RATES=3600000
#
#   records     what a record costs, in a program without sockets and without a server
#   formats     v5, v9, IPFIX, sFlow: records per CPU-second, highest rate without loss
#   loss        v9: what is lost at which rate
#   flush       an interval of 200,000 rows into the table, and COPY of the same rows
#   memory      of the processes, and shared
#   keys        v9: cost by rows of an interval
#   exporters   v9: cost by exporters
#   templates   v9: cost by templates
#   floods      v9: cost of what nobody wants
#   others      nfcapd and nfacctd under the same load, where they are installed
#
# And what is not among all parts, as it takes an hour and 31 GB:
#
#   make bench PARTS=answers DAYS=2
#
#   answers     how fast the answers and the dashboards' panels are over DAYS days (30) and
#               a year, and what they take on the disk; beside the original importer's
#               table and queries.  RUNS=5, COLD=1: how often;
#               SPANS='1 30 365': days that panels show; ORIGINAL=no: without its queries;
#               BOARDS='Interfaces|ASN': these dashboards alone; TIMESCALE=yes: in hypertables
#   layout      what indexes and other orders of the rows would do, on copies of that
#
#   make bench PARTS=fan_in
#
#   fan_in      how fast a hub takes what three sites have kept for it (ROWS=2000 of INTERVALS=250)
#
#   make bench PARTS=citus
#
#   citus       what one, two and three nodes of Citus write and how fast they answer, where
#               that is installed: ROWS=40000 of an interval, KEYS=400 of a minute
#
# Everything runs below a temporary directory: a private installation and server
# (see lib.sh), which the generator (generator/) sends to.  Progress goes to
# stderr.  Figures of CPU are what the scheduler has given to a process.  The
# kernel's work on the way to the socket is the sender's on the loopback interface.

set -eu

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=src/test/lib.sh
. "$here/lib.sh"
# shellcheck source=src/test/bench_lib.sh
. "$here/bench_lib.sh"
# shellcheck source=src/test/bench_others.sh
. "$here/bench_others.sh"
# shellcheck source=src/test/bench_answers.sh
. "$here/bench_answers.sh"
# shellcheck source=src/test/bench_layout.sh
. "$here/bench_layout.sh"
# shellcheck source=src/test/bench_fan_in.sh
. "$here/bench_fan_in.sh"
# shellcheck source=src/test/bench_citus.sh
. "$here/bench_citus.sh"
checkout=$(cd "$here/../.." && pwd)

all_parts='records formats loss flush memory keys exporters templates floods others'

steady=400000               # records a second
flush_rows=200000
flush_period=10             # seconds

#
# Parts.
#

# capture NAME RATE OPTION...: a second of traffic through four interfaces, as a file.
capture()
{
	local name=$1
	local rate=$2
	shift 2

	"$generator" --quiet --interfaces 4 --asns 2000 --rate "$rate" \
		--from 1700000000 --to 1700000001 --step 1 --pcap "$work/$name" "$@"
}

part_records()
{
	make -s -C "$work/src" generator bench-flow
	capture v5 480000 --format v5
	capture v9 480000 --format v9 --mtu 9000
	capture ipfix 480000 --format ipfix --mtu 9000
	capture sflow 200000 --format sflow
	capture v9-100k 480000 --format v9 --ipv6 0 --mtu 9000 --asns 10000 --flat
	say "### What a record costs"
	say
	(cd "$work" && src/src/test/bench_flow v5 v9 ipfix sflow v9-100k)
	rm -f "$work"/{v5,v9,ipfix,sflow,v9-100k}
}

# One record in "steady" ones has its share of one interval's writing in 60 s.
part_formats()
{
	local format rate steady_receiver everything rows
	local -a options

	say "### Formats"
	say
	say "Records per CPU-second at a steady rate, of the receiver, and of all processes of"
	say "Lastfluss with one interval written in 60 s; and the highest rate without loss. 2000"
	say "ASNs, 4 interfaces and one towards the core: each record is counted on both sides."
	say
	say "| format | records/s | records a datagram | receiver | all | rows of an interval | lost | without loss: records/s | datagrams/s | receiver there |"
	say "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|"
	for format in v5 v9 ipfix sflow
	do
		say_progress "formats: $format"
		default_collector
		rate=$steady
		options=(--format "$format")
		[ "$format" != sflow ] || options+=(--mtu 1500)
		load "$rate" "$seconds" "${options[@]}"
		write_all
		steady_receiver=$(per_second "$got_records" "$cpu_receiver")
		everything=$(calculate '%.2f M' "1e3 / ($cpu_workers / $got_records +
			$cpu_written / $rows_written * $rows_most / ($rate * 60))")
		rows=$rows_most
		say "| $format | $sent_rate | $(ratio "$sent_records" "$sent_datagrams") | $steady_receiver | $everything | $rows | $(lost_percent) % $(find_best_rate_cells "${options[@]}")"
	done
}

find_best_rate_cells()
{
	local records_a_datagram

	records_a_datagram=$(calculate %f "$sent_records / $sent_datagrams")
	shift # --format
	find_best_rate "$@"
	if [ "$best_rate" = none ]
	then
		printf '| none | | |'
	else
		printf '| %s | %s | %s |' "$best_rate" \
			"$(calculate %.0f "$best_rate / $records_a_datagram")" "$best_receiver"
	fi
}

part_loss()
{
	local rate

	say "### Loss by rate (v9)"
	say
	say "| records/s wanted | sent | datagrams/s | lost | dropped by the kernel | receiver | receiver busy |"
	say "|--:|--:|--:|--:|--:|--:|--:|"
	default_collector
	for rate in ${RATES:-400000 1200000 2400000 3600000 4800000 0}
	do
		say_progress "loss: $rate"
		load "$rate" "$seconds" --format v9
		say "| $([ "$rate" = 0 ] && echo 'all it can' || echo "$rate") | $sent_rate | $((sent_all / seconds)) | $(lost_percent) % | $drops | $(per_second "$got_records" "$cpu_receiver") | $(calculate '%.0f %%' "$cpu_receiver / ($seconds * 1e7)") |"
	done
}

# The median of lines on stdin.
median()
{
	sort -g | awk '{ a[NR] = $1 } END { print a[int((NR + 1) / 2)] }'
}

# Seconds until the clock shows a multiple of the period.
sleep_until_interval()
{
	sleep "$(perl -MTime::HiRes=time -e 'my $t = time; printf "%.3f", $ARGV[0] - ($t - $ARGV[0] * int($t / $ARGV[0])) + 0.05' "$flush_period")"
}

# Interval, rows, milliseconds from its end to COMMIT.
flushed_intervals()
{
	sql -c "SELECT \"time\", count(*),
			round(extract(epoch FROM pg_xact_commit_timestamp(xmin) - \"time\") * 1000 - $flush_period * 1000)
		FROM (SELECT \"time\", xmin FROM traffic) t GROUP BY \"time\", xmin
		HAVING count(*) > $flush_rows / 2 ORDER BY 1"
}

# Milliseconds that the writer says it took, by interval.
flush_writing()
{
	sed -n 's/.* \([0-9]*\) rows in \([0-9.]*\) ms$/\1 \2/p' "$work/server.log" |
		awk "\$1 > $flush_rows / 2 { print \$2 }"
}

# copy_rows INTERVAL: milliseconds that COPY takes for its rows, of three times.
copy_rows()
{
	local list='"time", bandwidth, iface, ingress, remote_asn, local_asn, family, bytes, packets, flows'

	sql -c "COPY (SELECT $list FROM traffic WHERE \"time\" = '$1') TO '$work/rows'"
	for _ in 1 2 3
	do
		sql -c CHECKPOINT
		sql -c '\timing on' -c "COPY copied ($list) FROM '$work/rows'" |
			sed -n 's/^Time: \([0-9.]*\) ms.*/\1/p'
	done
}

# flush_into KIND PARTITIONING [LINE-OF-CONF...]
flush_into()
{
	local kind=$1
	local partitioning=$2
	local interval rows latency writing copying
	shift 2

	say_progress "flush: $kind"
	start_collector 'lastfluss.max_entries = 262144' 'lastfluss.log_level = debug' \
		'track_commit_timestamp = on' "$@"
	[ "$kind" != hypertable ] || sql -c 'SET client_min_messages = error' -c 'CREATE EXTENSION timescaledb'
	configure 1 "SELECT lastfluss.set('attribution', 'arrival');
		SELECT lastfluss.set('period', '$flush_period');"
	for _ in 1 2 3
	do
		sleep_until_interval
		sql -c CHECKPOINT
		interval=$(sql -c "SELECT to_timestamp(floor(extract(epoch FROM now()) / $flush_period) * $flush_period)")
		send 400000 $((flush_period - 4)) --format v9 --flat --ipv6 0 --asns $((flush_rows / 10))
		wait_sql "SELECT last_interval >= '$interval' FROM lastfluss.status"
	done
	flushed_intervals >"$work/flushed"
	[ -s "$work/flushed" ] || die "no interval has so many rows"
	rows=$(cut -d '|' -f 2 "$work/flushed" | median)
	latency=$(cut -d '|' -f 3 "$work/flushed" | median)
	writing=$(flush_writing | median)
	interval=$(head -n 1 "$work/flushed" | cut -d '|' -f 1)
	sql -o /dev/null -c 'SET client_min_messages = error' \
		-c "CREATE TABLE copied (LIKE traffic INCLUDING ALL)${partitioning:+ $partitioning}"
	if [ "$kind" = hypertable ]
	then
		sql -o /dev/null -c "SELECT create_hypertable('copied', 'time', chunk_time_interval => interval '1 day', create_default_indexes => false)"
	else
		sql -c "CREATE TABLE copied_all PARTITION OF copied FOR VALUES FROM ('2000-01-01') TO ('2100-01-01')"
	fi
	copying=$(copy_rows "$interval" | median)
	say "| $kind | $rows | $(calculate %.0f "$writing") | $(calculate %.0f "$rows / $writing * 1e3") | $latency | $(calculate %.0f "$copying") | $(calculate %.0f "$rows / $copying * 1e3") | $(ratio "$writing" "$copying") | $(ratio "$latency" "$copying") |"
}

part_flush()
{
	say "### An interval into the table"
	say
	say "Medians of three, in milliseconds. COPY: the same rows from a file on the server into"
	say "a table of the same shape."
	say
	say "| table | rows | written in | rows/s | end of interval to COMMIT | COPY | rows/s | written / COPY | COMMIT / COPY |"
	say "|---|--:|--:|--:|--:|--:|--:|--:|--:|"
	flush_into partitioned 'PARTITION BY RANGE ("time")'
	if [ "$(sql -c "SELECT count(*) FROM pg_available_extensions WHERE name = 'timescaledb'")" = 1 ]
	then
		flush_into hypertable '' "shared_preload_libraries = 'timescaledb,lastfluss'" \
			'timescaledb.telemetry_level = off'
	fi
}

# memory_of PID: anonymous, shared and file pages in MB.
memory_of()
{
	awk '/^RssAnon/ { a = $2 } /^RssShmem/ { s = $2 } /^RssFile/ { f = $2 }
		END { printf "%.1f | %.1f | %.1f", a / 1024, s / 1024, f / 1024 }' "/proc/$1/status"
}

part_memory()
{
	local pid name

	say_progress memory
	default_collector
	load "$steady" "$short" --format v9
	say "### Memory"
	say
	say "Shared memory of Lastfluss: $(sql -c 'SELECT round(memory / 1048576.0, 1) FROM lastfluss.status') MB, with the default settings. Resident, after $steady records/s"
	say "through 4 interfaces, 2000 ASNs, in MB (the server's own shared memory included where"
	say "it was touched):"
	say
	say "| process | private | shared | files |"
	say "|---|--:|--:|--:|"
	for pid in $workers
	do
		name=$(tr '\0' ' ' <"/proc/$pid/cmdline" | sed 's/^postgres: //; s/ *$//')
		say "| $name | $(memory_of "$pid") |"
	done
}

cost_head()
{
	say "| $1 | records/s | receiver | lost | records not decoded | unmatched | folded |"
	say "|--:|--:|--:|--:|--:|--:|--:|"
}

# cost NAME GENERATOR-OPTION...: by the records that came, decoded or not.
cost()
{
	local name=$1
	local received
	shift

	say_progress "$part: $name"
	load "$steady" "$seconds" --format v9 "$@"
	received=$(calculate %d "$sent_records * (1 - $drops / $sent_all)")
	say "| $name | $sent_rate | $(per_second "$received" "$cpu_receiver") | $(calculate '%.2f %%' "100 * $drops / $sent_all") | $((received - got_records)) | $unmatched | $folded |"
}

part_keys()
{
	local keys

	say "### Cost by keys (v9)"
	say
	say "Both sides of each record are configured; all keys have the same traffic."
	say
	cost_head "keys of an interval"
	for keys in 1000 10000 100000 1000000
	do
		start_collector 'lastfluss.max_entries = 1100000'
		cost "$keys" --flat --ipv6 0 --asns $((keys / 10))
	done
}

part_exporters()
{
	local exporters

	say "### Cost by exporters (v9)"
	say
	say "Of these, $((configurable / 5)) at most are configured."
	say
	cost_head exporters
	for exporters in 1 100 10000
	do
		start_collector
		configure "$exporters"
		cost "$exporters" --exporters "$exporters"
	done
}

part_templates()
{
	local pairs

	say "### Cost by templates (v9, 10 exporters)"
	say
	cost_head templates
	for pairs in 1 10 100
	do
		start_collector
		configure 10
		cost "$((pairs * 20))" --exporters 10 --templates "$pairs"
	done
}

# flood NAME RATE GENERATOR-OPTION...: cost by datagram, and private memory before and
# after.
flood()
{
	local name=$1
	local before
	shift

	say_progress "floods: $name"
	before=$(memory_of "$receiver")
	load "$1" "$seconds" --format v9 "${@:2}"
	say "| $name | $((sent_all / seconds)) | $(calculate %.1f "$cpu_receiver / ($sent_all - $drops) / 1e3") | $(calculate '%.2f %%' "100 * $drops / $sent_all") | $((got_records)) | $unmatched | $folded | ${before%% *} | $(memory_of "$receiver" | cut -d ' ' -f 1) |"
}

part_floods()
{
	say "### Floods (v9)"
	say
	say "What the receiver spends on a datagram, in microseconds, and its private memory in MB;"
	say "one exporter, 127.0.0.1, is configured."
	say
	say "| flood | datagrams/s | µs a datagram | dropped by the kernel | records decoded | unmatched | folded | MB before | MB after |"
	say "|---|--:|--:|--:|--:|--:|--:|--:|--:|"
	start_collector
	configure 1
	flood 'none: a configured exporter' "$steady"
	flood 'from 10,000 hosts that nobody configured' "$steady" --exporters 10000
	flood 'from such, without templates' "$steady" --exporters 10000 --templates 0
	flood 'of 1000 pairs of templates' "$steady" --templates 1000
	flood 'of ASNs, a million' "$steady" --asns 1000000 --flat
	flood 'of datagrams with one record' 50000 --per-datagram 1
}

#
# All of it.
#

report_machine()
{
	say "$(sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo | head -n 1), $(nproc) cores, $(awk '/^MemTotal/ { printf "%.0f", $2 / 1048576 }' /proc/meminfo) GB, Linux $(uname -r);"
	say "$("$pg_config" --version), default settings; net.core.rmem_max $(cat /proc/sys/net/core/rmem_max);"
	say "load average at the start $(cut -d ' ' -f 1 /proc/loadavg); commit $commit; loads of $seconds s."
}

finish()
{
	local status=$?

	trap - EXIT
	[ -z "${other:-}" ] || kill "$(cat "$work/other.pid")" 2>/dev/null || :
	citus_stop || :
	stop_server || :
	fan_in_stop || :
	[ "$status" -eq 0 ] || [ ! -f "$work/server.log" ] || tail -n 20 "$work/server.log" >&2
	exit "$status"
}

inside()
{
	local part

	socket=$work/socket
	generator=$work/src/src/test/generator/generator
	short=$(((seconds + 1) / 2))
	long=$((6 * seconds))
	trap finish EXIT
	trap 'exit 130' HUP INT TERM
	mkdir -m 700 "$socket"
	report_machine
	for part in $parts
	do
		say
		"part_$part"
	done
}

check_parts()
{
	local part

	for part in $parts
	do
		case " $all_parts answers layout fan_in citus " in
			*" $part "*) ;;
			*) die "no part of the bench is called \"$part\"; there are: $all_parts answers layout fan_in citus" ;;
		esac
	done
	[ "$seconds" -ge 2 ] 2>/dev/null || die "SECONDS must be a number from 2 on"
}

start()
{
	check_parts
	bash "$here/setup.sh" bench >&2
	pg_config=$(find_pg_config) || die "no PostgreSQL $PG_MAJOR_MIN or later to run with"
	commit=$(git -C "$checkout" describe --always --dirty 2>/dev/null || echo unknown)
	work=$(mktemp -d /tmp/lastfluss-bench.XXXXXX)
	trap 'rm -rf "$work"' EXIT
	trap 'exit 130' HUP INT TERM
	copy_tree "$checkout" "$work/src"
	! am_root || chown -R -P "$(server_user):" "$work"
	chmod 755 "$work"
	cd "$work/src"
	as_server_user bash src/test/bench.sh --inside "$work" "$pg_config" "$commit" "$parts" "$seconds" </dev/null
}

clean_environment
if [ "${1:-}" = --forget ]
then
	work=$2
	pgbin=$3
	answers_forget
elif [ "${1:-}" = --inside ]
then
	work=$2
	pg_config=$3
	commit=$4
	parts=$5
	seconds=$6
	inside
else
	parts=${1:-$all_parts}
	seconds=${2:-8}
	start
fi
