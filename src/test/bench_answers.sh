# shellcheck shell=bash
#
# A part of bench.sh: how fast the answers are, and what they take on the disk.
#
# DAYS days (30) of a made-up network go through replay(), which stores intervals by
# the writer's code: eight interfaces with roles, 5000 remote ASNs with a long tail,
# the day's rhythm, RATE records (10) a second.  The maintenance worker makes the
# rollups, as with the default settings.  Days of the year before are copies of
# these, again and again; hours of interfaces too.
#
# Beside it lies the table of the original importer with the same traffic, and its
# dashboards' queries (bench_answers.pl).

answers_days=${DAYS:-30}
answers_rate=${RATE:-10}
answers_conf=("shared_buffers = '2GB'" "max_wal_size = '16GB'" "checkpoint_timeout = '1h'"
	"synchronous_commit = off" "timezone = 'UTC'" "log_min_messages = error")

answers_interfaces()
{
	sql -o /dev/null <<-'SQL'
		INSERT INTO lastfluss.interface (name, host, id, role, speed) VALUES
			('Transit Cogent', '127.0.1.1', 1, 'transit', 10e9), ('Transit Arelion', '127.0.1.3', 526, 'transit', 10e9),
			('DE-CIX Frankfurt', '127.0.1.2', 23, 'ixp', 100e9), ('PNI Google', '127.0.1.2', 24, 'pni', 100e9),
			('Customer Alpha', '127.0.1.1', 102, 'customer', 10e9), ('Customer Beta', '127.0.1.3', 102, 'customer', 10e9),
			('Core edge1', '127.0.1.1', 101, 'core', 40e9), ('Core edge2', '127.0.1.2', 101, 'core', 100e9);
		SELECT lastfluss.set('rollups', 'off');
	SQL
}

# answers_capture FROM TO: of each day another seed.
answers_capture()
{
	"$generator" --quiet --pcap "$work/capture.$1" --from "$1" --to "$2" --seed "$1" \
		--rate "$answers_rate" --asns 5000 --rhythm --bandwidth 60G
}

# Day after day into traffic, while the next one is made.
answers_fill()
{
	local from next

	answers_until=$(($(date +%s) / 60 * 60))
	from=$((answers_until - answers_days * 86400))
	answers_capture "$from" $((from + 86400))
	while [ "$from" -lt "$answers_until" ]
	do
		next=$((from + 86400))
		[ "$next" -ge "$answers_until" ] || answers_capture "$next" $((next + 86400)) &
		sql -o /dev/null -c "SELECT lastfluss.replay(pg_read_binary_file('$work/capture.$from'))"
		wait
		rm "$work/capture.$from"
		from=$next
	done
	say_progress "answers: $(sql -c 'SELECT count(*) FROM traffic') rows"
}

# answers_partitions TABLE WIDTH SINCE: those from then on, until now.
answers_partitions()
{
	sql -o /dev/null <<-SQL
		DO \$\$
		DECLARE
			piece timestamptz;
		BEGIN
			IF (SELECT relkind FROM pg_class WHERE oid = '$1'::regclass) = 'p' THEN
				FOR piece IN SELECT generate_series(date_trunc('$2', $3), now(), '1 $2') LOOP
					IF NOT EXISTS (SELECT FROM lastfluss._partitions('$1') WHERE starts = piece) THEN
						EXECUTE format('CREATE TABLE %I PARTITION OF $1 FOR VALUES FROM (%L) TO (%L)',
							'$1' || to_char(piece, '_YYYYMMDD'), piece, piece + interval '1 $2');
					END IF;
				END LOOP;
			END IF;
		END
		\$\$;
	SQL
}

# A row for each minute and exporter, as the writer makes them.
answers_health()
{
	answers_partitions traffic_health day "to_timestamp($answers_until - $answers_days * 86400)"
	sql -o /dev/null <<-SQL
		INSERT INTO traffic_health
		SELECT t, host, domain, protocol, 40, 600, CASE WHEN random() < 0.001 THEN 5 ELSE 0 END, 0, 0, 0, 0, 0, 0, 0
		FROM generate_series(to_timestamp($answers_until - $answers_days * 86400), to_timestamp($answers_until - 60), '1 min') t,
			(VALUES (NULL::inet, NULL::bigint, NULL), ('127.0.1.1', 0, 'NetFlow v5'), ('127.0.1.2', 256, 'NetFlow v9'),
			('127.0.1.3', 524288, 'IPFIX')) e(host, domain, protocol);
	SQL
}

answers_rolled_up='SELECT count(*) = 3 AND bool_and(waiting = 0) FROM lastfluss.rollups WHERE complete_until IS NOT NULL'

# Seconds that the maintenance worker takes for all rollups.
answers_roll_up()
{
	local began

	began=$(date +%s)
	sql -o /dev/null -c "SELECT lastfluss.set('rollups', 'on')"
	wait_sql "$answers_rolled_up"
	answers_rolling=$(($(date +%s) - began))
}

# answers_repeat TABLE PARTITION-WIDTH: the whole days of a rollup before its first one,
# until it has a year; in the order of time, as a year would have written them.
answers_repeat()
{
	answers_partitions "$1" "$2" "to_timestamp($answers_until) - interval '365 days'"
	sql -o /dev/null <<-SQL
		CREATE TEMPORARY TABLE own AS TABLE $1;
		DO \$\$
		DECLARE
			first constant timestamptz := date_trunc('day', (SELECT min("time") FROM own) + interval '1 day' - interval '1 us');
			whole constant interval := date_trunc('day', to_timestamp($answers_until)) - first;
			year  constant timestamptz := date_trunc('day', to_timestamp($answers_until) - interval '365 days');
			times integer := ceil(extract(epoch FROM first - year) / nullif(extract(epoch FROM whole), 0));
			columns text := (SELECT string_agg(quote_ident(attname), ', ') FROM pg_attribute
				WHERE attrelid = '$1'::regclass AND attnum > 0 AND NOT attisdropped AND attname NOT IN ('id', 'time'));
		BEGIN
			IF coalesce(times, 0) < 1 THEN
				RETURN;
			END IF;
			TRUNCATE $1;
			FOR n IN REVERSE times .. 1 LOOP
				EXECUTE format('INSERT INTO $1 ("time", %1\$s) SELECT "time" - %2\$s * %3\$L::interval, %1\$s FROM own
					WHERE "time" >= greatest(%4\$L::timestamptz, %5\$L::timestamptz + %2\$s * %3\$L::interval)
						AND "time" < %4\$L::timestamptz + %3\$L',
					columns, n, whole, first, year);
			END LOOP;
			EXECUTE format('INSERT INTO $1 ("time", %1\$s) SELECT "time", %1\$s FROM own WHERE "time" >= %2\$L', columns, first);
			UPDATE lastfluss._rollup SET complete_from = year WHERE relation = '$1'::regclass;
		END
		\$\$;
	SQL
}

# answers_weeks NAME SOURCE DAYS: sums of so many days, of what answers_repeat has made.
answers_weeks()
{
	local asn=${1#*_}

	answers_partitions "traffic_$1" year "to_timestamp($answers_until) - interval '1 year 56 days'"
	sql -o /dev/null <<-SQL
		BEGIN;
		TRUNCATE traffic_$1;
		INSERT INTO traffic_$1 ("time", iface, ingress, ${asn}_asn, bytes, packets, flows)
			SELECT date_bin('$3 days', d."time", 'epoch'), d.iface, d.ingress, d.${asn}_asn, sum(d.bytes), sum(d.packets), sum(d.flows)
			FROM traffic_$2 d JOIN lastfluss._rollup r ON r.name = '$2'
			WHERE d."time" >= date_bin('$3 days', r.complete_from + interval '$3 days' - interval '1 us', 'epoch')
				AND d."time" < date_bin('$3 days', r.complete_until, 'epoch')
			GROUP BY 1, 2, 3, 4 ORDER BY 1, 4, 2, 3;
		UPDATE lastfluss._rollup w SET complete_from = date_bin('$3 days', d.complete_from + interval '$3 days' - interval '1 us', 'epoch'),
			complete_until = date_bin('$3 days', d.complete_until, 'epoch')
			FROM lastfluss._rollup d WHERE w.name = '$1' AND d.name = '$2';
		COMMIT;
	SQL
}

answers_year()
{
	local sums asn

	answers_repeat traffic_1h_total year
	for sums in '' _total _remote _local
	do
		answers_repeat "traffic_1d$sums" year
	done
	for asn in remote local
	do
		answers_weeks "1w_$asn" "1d_$asn" 7
		answers_weeks "8w_$asn" "1w_$asn" 56
	done
}

# The table as the original importer makes it, and what it would have written.
answers_original()
{
	local from

	sql -o /dev/null <<-'SQL'
		CREATE TABLE original (id bigserial, time timestamptz NOT NULL, bandwidth real NOT NULL, iface text,
			ingress boolean NOT NULL, remote_asn bigint, local_asn bigint, PRIMARY KEY (id, time));
	SQL
	for ((from = answers_until - answers_days * 86400; from < answers_until; from += 21600))
	do
		sql -o /dev/null -c "SET work_mem = '256MB'" -c "INSERT INTO original (time, bandwidth, iface, ingress, remote_asn, local_asn)
			SELECT \"time\", sum(bandwidth), iface, ingress, remote_asn, local_asn FROM traffic
			WHERE \"time\" >= to_timestamp($from) AND \"time\" < to_timestamp($from + 21600) GROUP BY 1, 3, 4, 5, 6 ORDER BY 1"
	done
}

#
# Disk.
#

# answers_size TABLE [OF]: bytes with indexes, of all partitions or chunks; OF: heap alone.
answers_size()
{
	sql -c "WITH RECURSIVE member AS (
			SELECT '$1'::regclass::oid AS oid UNION ALL SELECT i.inhrelid FROM pg_inherits i JOIN member m ON i.inhparent = m.oid)
		SELECT sum(pg_${2:-total_relation}_size(oid)) FROM member"
}

# disk_row NAME TABLE DAYS: rows, and MB a day.
disk_row()
{
	local rows all heap

	rows=$(sql -c "SELECT count(*) FROM $2")
	all=$(answers_size "$2")
	heap=$(answers_size "$2" relation)
	say "| $1 | $(calculate %.0f "$rows / $3") | $(calculate %.2f "$all / $3 / 1e6") | $(calculate %.2f "($all - $heap) / $3 / 1e6") | $(calculate %.0f "$rows == 0 ? 0 : $all / $rows") |"
}

# disk_rows NAME TABLE DAYS
disk_rows()
{
	local level

	disk_row "$1" "$2" "$3"
	for level in 5m 1h 1d
	do
		disk_row "$1, $level" "${2}_$level" "$3"
		disk_row "$1, $level, interfaces alone" "${2}_${level}_total" "$3"
		disk_row "$1, $level, by remote ASN" "${2}_${level}_remote" "$3"
		disk_row "$1, $level, by local ASN" "${2}_${level}_local" "$3"
	done
	disk_row "$1, 6h, by remote ASN" "${2}_6h_remote" "$3"
	disk_row "$1, 6h, by local ASN" "${2}_6h_local" "$3"
	disk_row "$1, 1w, by remote ASN" "${2}_1w_remote" "$3"
	disk_row "$1, 1w, by local ASN" "${2}_1w_local" "$3"
	disk_row "$1, 8w, by remote ASN" "${2}_8w_remote" "$3"
	disk_row "$1, 8w, by local ASN" "${2}_8w_local" "$3"
}

# A day again, with these settings, in a table of its own: sets answers_table.
answers_again()
{
	local from=$((answers_until - 86400))

	answers_table=$1
	sql -o /dev/null -c "SELECT lastfluss.set('rollups', 'off'), lastfluss.set('keep_top', '$2'), lastfluss.set('rollup_keep_top', '$3'), lastfluss.set('table', '$1')"
	answers_capture "$from" "$answers_until"
	sql -o /dev/null -c "SELECT lastfluss.replay(pg_read_binary_file('$work/capture.$from'))"
	rm "$work/capture.$from"
	answers_roll_up
	sql -o /dev/null -c "SELECT lastfluss.reset('keep_top'), lastfluss.reset('rollup_keep_top'), lastfluss.reset('table')"
	sql -c "VACUUM ANALYZE $1"
}

answers_disk()
{
	say "### Disk"
	say
	say "A day of this network: rows, MB, MB of that for indexes, octets a row."
	say
	say "| table | rows a day | MB a day | of which indexes | octets a row |"
	say "|---|--:|--:|--:|--:|"
	disk_rows traffic traffic "$answers_days"
	disk_row "the original's table" original "$answers_days"
	answers_again everything 0 0
	disk_rows 'rollup_keep_top 0' everything 1
	answers_again largest 200 200
	disk_rows 'keep_top 200, rollup_keep_top 200' largest 1
	sql -o /dev/null <<-'SQL'
		DO $$
		BEGIN
			EXECUTE (SELECT 'DROP TABLE ' || string_agg(oid::regclass::text, ', ') FROM pg_class
				WHERE relkind IN ('r', 'p') AND NOT relispartition AND relname ~ '^(everything|largest)(_|$)');
		END
		$$;
	SQL
}

# The columnstore of TimescaleDB's licensed edition, which its policy fills with chunks
# of more than a week: here at once.
answers_columnstore()
{
	local chunks

	chunks=$(sql -c "SELECT count(c.chunk) FROM unnest('{traffic,traffic_5m,traffic_1h}'::text[]) t, LATERAL (
		SELECT compress_chunk(s) AS chunk FROM show_chunks(t.t, older_than => interval '7 days') s) c") || return 0
	say
	say "With $chunks chunks in the columnstore, those of more than 7 days:"
	say
	say "| table | rows a day | MB a day | of which indexes | octets a row |"
	say "|---|--:|--:|--:|--:|"
	disk_rows traffic traffic "$answers_days"
}

#
# All of it.
#

# As after a start of the machine: the server has nothing in its memory, nor the kernel.
answers_forget()
{
	{
		"$pgbin/pg_ctl" restart -w -t 60 -m fast -D "$work/data" -l "$work/server.log"
		# The server goes on making and removing files.
		find "$work/data" -ignore_readdir_race -type f -size +8k \
			-exec sh -c 'for f; do dd if="$f" iflag=nocache count=0 status=none 2>/dev/null || :; done' sh {} + || :
	} >/dev/null
}

answers_run()
{
	PGHOST=$socket PGPORT=$port PGUSER=postgres PATH=$pgbin:$PATH perl "$here/bench_answers.pl" "dbname=lastfluss" "$answers_until" "$answers_days" \
		"${RUNS:-5}" "${COLD:-1}" "${SPANS:-1 30 365}" "$here/../../dashboards" "bash '$here/bench.sh' --forget '$work' '$pgbin'"
}

# Server, traffic and rollups; once, for both parts that need them.
answers_prepare()
{
	local -a conf=("${answers_conf[@]}")

	[ -z "${answers_rolling:-}" ] || return 0
	say_progress "answers: $answers_days days"
	[ -z "${TIMESCALE:-}" ] || conf+=("shared_preload_libraries = 'timescaledb,lastfluss'" 'timescaledb.telemetry_level = off')
	start_server "${conf[@]}"
	[ -z "${TIMESCALE:-}" ] || sql -c 'SET client_min_messages = error' -c 'CREATE EXTENSION timescaledb'
	sql -c 'CREATE EXTENSION lastfluss'
	answers_interfaces
	answers_fill
	answers_health
	say_progress 'answers: rollups'
	answers_roll_up
	sql -c 'VACUUM ANALYZE'
	say_progress "answers: rollups took $answers_rolling s"
}

part_answers()
{
	answers_prepare
	say_progress "answers: the original's table"
	answers_original
	sql -c 'VACUUM ANALYZE'
	say_progress 'answers: disk'
	answers_disk
	[ -z "${TIMESCALE:-}" ] || answers_columnstore
	answers_year
	sql -c 'VACUUM ANALYZE'
	say
	say_progress 'answers: queries'
	answers_run
}
