# shellcheck shell=bash
#
# The part "others" of bench.sh: nfcapd and nfacctd under the same load, one after
# the other.

others_rate=${OTHERS_RATE:-1200000}

# start_other COMMAND...: in the background; its CPU is known when it has ended.
start_other()
{
	rm -f "$work/other.pid" "$work/other.cpu"
	perl -e '
		my ($pid_file, $cpu_file, @command) = @ARGV;
		my $pid = fork // die;
		if ($pid == 0) { exec @command or die }
		open my $out, ">", "$pid_file.new" or die; print $out $pid; close $out;
		rename "$pid_file.new", $pid_file;
		waitpid $pid, 0;
		open $out, ">", $cpu_file or die;
		my (undef, undef, $user, $system) = times;
		printf $out "%d", 1e9 * ($user + $system); close $out;
		' "$work/other.pid" "$work/other.cpu" "$@" >"$work/other.log" 2>&1 </dev/null &
	other=$!
	wait_for_port
}

# Until somebody is bound to the port, with the ends of lines that /proc has.
wait_for_port()
{
	local tries=$((wait_most * 10))
	local hex

	hex=$(printf ':%04X ' "$udp_port")
	until grep -q "$hex" /proc/net/udp /proc/net/udp6 2>/dev/null && [ -f "$work/other.pid" ]
	do
		tries=$((tries - 1))
		kill -0 "$other" 2>/dev/null && [ "$tries" -gt 0 ] ||
			{ tail -n 20 "$work/other.log" >&2; die "nobody listens"; }
		sleep 0.1
	done
}

# Until it has read what its socket holds.
wait_until_read()
{
	local tries=$((wait_most * 10))
	local hex

	hex=$(printf ':%04X ' "$udp_port")
	until ! awk -v port="$hex" 'index($2 " ", port) && $5 !~ /:00000000$/' /proc/net/udp /proc/net/udp6 |
		grep -q . || [ "$tries" = 0 ]
	do
		tries=$((tries - 1))
		sleep 0.1
	done
}

# Sets cpu_other.
stop_other()
{
	local pid watchdog

	wait_until_read
	pid=$(cat "$work/other.pid")
	kill -"$1" "$pid"
	# nfcapd has been seen not to end, after a load of five minutes
	(sleep "$wait_most" && kill -KILL "$pid") 2>/dev/null &
	watchdog=$!
	wait "$other" || :
	kill "$watchdog" 2>/dev/null || :
	other=
	cpu_other=$(cat "$work/other.cpu")
}

# others_row NAME GOT CPU
others_row()
{
	local mine

	mine=$(calculate %f "$2 / $3 * 1e3")
	[ -n "${reference:-}" ] || reference=$mine
	say "| $1 | $sent_rate | $(calculate %.2f "100 * (1 - $2 / $sent_records)") % | $(calculate %.2f "$3 / 1e9") | $(calculate '%.2f M' "$mine") | $(ratio "$reference" "$mine") |"
}

# others_write_all DATAGRAMS-BEFORE: what was sent is received and written, by one
# session, as each costs CPU that is measured.
others_write_all()
{
	sql -o /dev/null \
		-c "$(received_statement "$1")" \
		-c "SELECT set_config('bench.changed', now()::text, false),
			lastfluss.set('window', '0'), lastfluss.set('period', '1')" \
		-c "$(wait_statement "SELECT last_interval >= current_setting('bench.changed')::timestamptz
			FROM lastfluss.status")" || die "Lastfluss did not write"
}

# Sets cpu_receiver, cpu_writer and cpu_rest.
others_lastfluss()
{
	local before after cpu_before cpu_all cpu_receiver_before cpu_writer_before

	say_progress "others: lastfluss"
	start_collector
	read -ra before < <(counters)
	cpu_before=$(cpu_server)
	cpu_receiver_before=$(cpu "$receiver")
	cpu_writer_before=$(cpu "$writer")
	send "$others_rate" "$long" --format v9
	others_write_all "${before[1]}"
	cpu_all=$(($(cpu_server) - cpu_before))
	cpu_receiver=$(($(cpu "$receiver") - cpu_receiver_before))
	cpu_writer=$(($(cpu "$writer") - cpu_writer_before))
	cpu_rest=$((cpu_all - cpu_receiver - cpu_writer))
	read -ra after < <(counters)
	sql -o /dev/null -c "SELECT lastfluss.reset('period')" -c "SELECT lastfluss.reset('window')"
	others_row "Lastfluss" $((after[0] - before[0])) "$cpu_all"
}

others_nfcapd()
{
	local flows

	say_progress "others: nfcapd"
	mkdir "$work/nfcapd"
	udp_port=$(free_port udp)
	start_other nfcapd -b 127.0.0.1 -p "$udp_port" -w "$work/nfcapd" -B 4194304
	send "$others_rate" "$long" --format v9
	stop_other TERM
	flows=$(nfdump -R "$work/nfcapd" -I 2>/dev/null | sed -n 's/^Flows: *//p')
	others_row "nfcapd" "${flows:-0}" "$cpu_other"
	rm -rf "$work/nfcapd"
}

nfacctd_conf()
{
	cat <<-CONF
		daemonize: false
		nfacctd_ip: 127.0.0.1
		nfacctd_port: $udp_port
		nfacctd_pipe_size: 4194304
		nfacctd_as: netflow
		nfacctd_time_new: true
		plugins: pgsql[traffic]
		aggregate[traffic]: src_as, dst_as, in_iface, out_iface
		plugin_pipe_size: 134217728
		plugin_buffer_size: 1048576
		sql_host: $socket
		sql_port: $port
		sql_db: lastfluss
		sql_user: postgres
		sql_table: acct
		sql_table_version: 9
		sql_optimize_clauses: true
		sql_dont_try_update: true
		sql_use_copy: true
		sql_cache_entries: 131101
		sql_refresh_time: 60
		sql_history: 1m
		sql_history_roundoff: m
	CONF
}

# nfacctd counts flows only where they are a column.
others_nfacctd()
{
	local before flows

	say_progress "others: nfacctd"
	start_server "shared_preload_libraries = ''"
	sql -c 'CREATE TABLE acct (as_src bigint, as_dst bigint, iface_in bigint, iface_out bigint,
		packets bigint, bytes bigint, flows bigint, stamp_inserted timestamp, stamp_updated timestamp)'
	udp_port=$(free_port udp)
	nfacctd_conf | sed 's/out_iface$/out_iface, flows/' >"$work/nfacctd.conf"
	before=$(cpu_server)
	start_other nfacctd -f "$work/nfacctd.conf"
	send "$others_rate" "$long" --format v9
	stop_other INT
	wait_sql "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'client backend'"
	cpu_other=$((cpu_other + $(cpu_server) - before))
	flows=$(sql -c 'SELECT coalesce(sum(flows), 0) FROM acct')
	others_row "nfacctd into PostgreSQL" "$flows" "$cpu_other"
}

part_others()
{
	local reference=

	PATH=$PATH:/usr/sbin
	say "### Side by side"
	say
	say "v9, 24 records a datagram, 2000 ASNs, 4 interfaces, for $long s; CPU of everything, from"
	say "the socket to what is stored, the database's processes included. All that was received"
	say "is written: by Lastfluss in three intervals of 60 s."
	say
	say "| collector | records/s | lost | CPU-seconds | records per CPU-second | Lastfluss is better by |"
	say "|---|--:|--:|--:|--:|--:|"
	others_lastfluss
	if command -v nfcapd >/dev/null
	then
		others_nfcapd
	fi
	if command -v nfacctd >/dev/null
	then
		others_nfacctd
	fi
	say
	say "Of Lastfluss's CPU-seconds its receiver had $(calculate %.2f "$cpu_receiver / 1e9"), its writer"
	say "$(calculate %.2f "$cpu_writer / 1e9"), all the other processes of the server $(calculate %.2f "$cpu_rest / 1e9"): more where a sum of five"
	say "minutes was due in that time."
}
