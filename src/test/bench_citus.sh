# shellcheck shell=bash
#
# The part "citus" of bench.sh: the same traffic in a database without Citus, and in
# clusters of one, two and three nodes, all on this machine.  More nodes have no more
# cores here: what is seen is what distributing costs, and what runs in parallel.
#
# Each node's own collector writes an interval of ROWS rows (40,000), all of them in
# the same moment.  Then a day of traffic by the minute, of KEYS keys (400), goes into
# traffic, and its rollups are made; hours of the month before are copies of that day's.

citus_rows=${ROWS:-40000}
citus_keys=${KEYS:-400}
citus_period=10
citus_conf=("shared_preload_libraries = 'citus,lastfluss'" 'citus.shard_count = 6' 'max_worker_processes = 32'
	"citus.node_conninfo = 'sslmode=prefer'" 'citus.enable_statistics_collection = off' 'max_connections = 200')
citus_common=('max_wal_size = 8GB' "shared_buffers = '512MB'" "timezone = 'UTC'" "log_min_messages = error"
	'lastfluss.max_entries = 131072' 'lastfluss.log_level = debug')
citus_port=()

# on NODE ...: SQL on that node, the first of which is start_server's.
on()
{
	local port=${citus_port[$1]}
	shift

	sql "$@"
}

citus_stop()
{
	local data

	for data in "$work"/citus*/
	do
		[ ! -f "$data/postmaster.pid" ] || "$pgbin/pg_ctl" stop -w -t 60 -m immediate -D "$data" >/dev/null
		rm -rf "$data"
	done
}

# citus_start_node NUMBER
citus_start_node()
{
	local data=$work/citus$1
	local port

	port=$(free_port tcp)
	citus_port[$1]=$port
	{
		"$pgbin/initdb" -D "$data" -U postgres --encoding=UTF8 --locale=C.UTF-8 --no-sync --auth-local=trust --auth-host=reject
		printf '%s\n' "listen_addresses = ''" "port = $port" "unix_socket_directories = '$socket'" "lastfluss.database = 'lastfluss'" \
			"${citus_conf[@]}" "${citus_common[@]}" >>"$data/postgresql.conf"
		"$pgbin/pg_ctl" start -w -t 60 -D "$data" -l "$work/server$1.log"
		"$pgbin/createdb" -h "$socket" -p "$port" -U postgres lastfluss
	} >"$work/initdb$1.log" 2>&1 || die "a node did not start"
	sql -c 'SET client_min_messages = error; CREATE EXTENSION citus'
	on 0 -o /dev/null -c "SELECT citus_add_node('$socket', $port)"
}

# citus_start NODES: none is a server without Citus.
citus_start()
{
	local node

	citus_stop
	stop_server
	rm -f "$work"/server*.log
	if [ "$1" = 0 ]
	then
		start_server "${citus_common[@]}"
	else
		start_server "${citus_conf[@]}" "${citus_common[@]}"
		sql -o /dev/null -c 'SET client_min_messages = error' -c 'CREATE EXTENSION citus' \
			-c "SELECT citus_set_coordinator_host('$socket', $port)" \
			-c "SELECT citus_set_node_property('$socket', $port, 'shouldhaveshards', true)"
	fi
	citus_port=("$port")
	for ((node = 1; node < $1; node++))
	do
		citus_start_node "$node"
	done
	sql -o /dev/null -c 'SET client_min_messages = error; CREATE EXTENSION lastfluss' \
		-c "SELECT lastfluss.set('attribution', 'arrival'), lastfluss.set('rollups', 'off'), lastfluss.set('period', '$citus_period');
			INSERT INTO lastfluss.interface (name, host, id) SELECT 'interface ' || i, '127.0.0.1', i FROM generate_series(1, 5) i;"
	# (to_regclass() in one statement goes on saying what it has said)
	wait_sql "SELECT EXISTS (SELECT FROM pg_class WHERE relname = 'traffic_health')"
}

# Rows a second that all nodes write together: by the one that takes longest.
citus_write()
{
	local node udp
	local -a udps=()

	for node in "${!citus_port[@]}"
	do
		udp=$(free_port udp)
		udps+=("$udp")
		on "$node" -o /dev/null -c "SELECT lastfluss.add_listener('127.0.0.1', $udp)"
		port=${citus_port[$node]} wait_sql "SELECT '127.0.0.1:$udp' = ANY (listeners) FROM lastfluss.status"
	done
	flush_period=$citus_period sleep_until_interval
	for udp in "${udps[@]}"
	do
		"$generator" --port "$udp" --rate $((400000 / ${#udps[@]})) --duration $((citus_period - 4)) "${traffic[@]}" \
			--format v9 --flat --ipv6 0 --asns $((citus_rows / 10)) >/dev/null &
		generators+=($!)
	done
	wait "${generators[@]}"
	for node in "${!citus_port[@]}"
	do
		port=${citus_port[$node]} wait_sql 'SELECT count(*) = 0 AND (SELECT rows > 0 FROM lastfluss.status) FROM lastfluss.live'
	done
	sed -n 's/.* \([0-9]*\) rows in \([0-9.]*\) ms$/\1 \2/p' "$work"/server*.log |
		awk '$1 > most { most = $1 } $2 > longest { longest = $2 } { rows += $1 } END { printf "%d | %.0f", rows, rows / longest * 1e3 }'
}

# A day of traffic, its rollups, and copies of these for the month before.
citus_fill()
{
	local day table

	day=$(sql -c "SELECT date_trunc('day', now()) - interval '1 day'")
	sql -o /dev/null -c 'TRUNCATE traffic' -c "SELECT lastfluss.reset('period')" -c "SELECT lastfluss._citus_make_partition('traffic', '$day')"
	sql -c "INSERT INTO traffic (\"time\", bandwidth, iface, ingress, remote_asn, local_asn, family, bytes, packets, flows)
		SELECT t, b * 8 / 60.0, 'interface ' || 1 + k % 5, k % 2 = 0, 64500 + k / 4, 65000, CASE k % 3 WHEN 0 THEN 6 ELSE 4 END, b, b / 700, 1 + b / 100000
		FROM generate_series('$day'::timestamptz, '$day'::timestamptz + interval '1 day' - interval '1 min', '1 min') t,
			generate_series(1, $citus_keys) k, LATERAL (SELECT (1e9 * (1 + hashint8(extract(epoch FROM t)::bigint * 1000 + k) % 1000 / 2000.0) / k)::bigint AS b) r"
	sql -o /dev/null -c "SELECT lastfluss.set('rollups', 'on')"
	wait_sql "SELECT bool_and(waiting = 0 AND complete_until >= '$day'::timestamptz + interval '1 day') FROM lastfluss.rollups"
	sql -o /dev/null -c "SELECT lastfluss.set('rollups', 'off')"
	for table in traffic_1h{,_remote,_local,_total} traffic_1d{,_remote,_local,_total}
	do
		case $table in
			*_total | traffic_1d*) answers_partitions "$table" year "'$day'::timestamptz - interval '30 days'" ;;
			*) answers_partitions "$table" month "'$day'::timestamptz - interval '30 days'" ;;
		esac
		citus_repeat "$table" "$day"
	done
	sql -c 'ANALYZE traffic' -c "UPDATE lastfluss._rollup SET complete_from = '$day'::timestamptz - interval '29 days' WHERE name ~ '^1[hd]'"
}

# citus_repeat TABLE DAY: that day's rows for each of 29 days before.
citus_repeat()
{
	local columns

	columns=$(sql -c "SELECT string_agg(quote_ident(attname), ', ') FROM pg_attribute
		WHERE attrelid = '$1'::regclass AND attnum > 0 AND NOT attisdropped AND attname NOT IN ('id', 'time')")
	sql -c "INSERT INTO $1 (\"time\", $columns) SELECT \"time\" - n * interval '1 day', $columns
		FROM $1, generate_series(1, 29) n WHERE \"time\" >= '$2' ORDER BY n DESC"
}

# citus_time STATEMENT: milliseconds, the median of five, of which the first has connected.
citus_time()
{
	local -a again=(-c "$1" -c "$1" -c "$1" -c "$1" -c "$1")

	sql -c "$1" -c '\timing on' "${again[@]}" | sed -n 's/^Time: \([0-9.]*\) ms.*/\1/p' | median | sed 's/\..*//'
}

# Of a day by SQL, and of answers; and the first of these again from another node.
citus_queries()
{
	local day="date_trunc('day', now())"
	local range="$day - interval '30 days', $day, '6 hours'"

	printf '| %s | %s | %s | %s' \
		"$(citus_time "SELECT remote_asn, sum(bytes) FROM traffic GROUP BY 1 ORDER BY 2 DESC LIMIT 10")" \
		"$(citus_time "SELECT * FROM lastfluss.top_asns(from_time => $day - interval '1 day', until => $day)")" \
		"$(citus_time "SELECT * FROM lastfluss.graph($range, 'interface')")" \
		"$(citus_time "SELECT * FROM lastfluss.graph($range, 'remote asn')")"
}

part_citus()
{
	local nodes written queries
	local wait_most=900
	local -a generators

	start_server
	if [ "$(sql -c "SELECT count(*) FROM pg_available_extensions WHERE name = 'citus'")" = 0 ]
	then
		say 'Citus is not installed: nothing is measured.'
		return
	fi
	say '### Citus'
	say
	say "All nodes are on this machine. Each node's collector writes an interval of many rows at the same"
	say "time; then $((citus_keys * 1440)) rows of a day are summed up, by SQL from traffic and by top_asns(), and 30 days"
	say 'are drawn by graph(), from rollups by the hour or day: milliseconds on the coordinator.'
	say
	say '| nodes | rows written | rows/s | sum by ASN, SQL | top_asns(), a day | graph by interface | graph by remote ASN |'
	say '|---|--:|--:|--:|--:|--:|--:|'
	make -s -C "$work/src" generator
	for nodes in 0 1 2 3
	do
		say_progress "citus: $nodes"
		generators=()
		citus_start "$nodes"
		written=$(citus_write)
		citus_fill
		queries=$(citus_queries)
		say "| $([ "$nodes" = 0 ] && echo 'no Citus' || echo "$nodes") | $written $queries |"
	done
	citus_stop
}
