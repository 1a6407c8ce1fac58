# shellcheck shell=bash
#
# What the parts of bench.sh share: a private server that collects, what its
# processes have had of the CPU, and loads from the generator.
#
# Here as there, functions have results in variables: work, pg_config, socket,
# generator and seconds are set by bench.sh.

traffic=(--interfaces 4 --asns 2000 --mtu 9000 --template-every 1000)
rates=(400000 800000 1200000 1600000 2000000 2400000 2800000 3200000 3600000 4200000 4800000)
rates_sflow=(100000 200000 300000 400000 500000 600000 700000 800000 1000000)
configurable=4096           # interfaces
wait_most=120               # seconds, for anything

say_progress()
{
	say "== $*" >&2
}

# calculate FORMAT EXPRESSION: of floating point.
calculate()
{
	awk "BEGIN { printf \"$1\", $(echo "$2" | tr '\n' ' ') }"
}

# ratio A B: A / B, or a dash where B is nothing.
ratio()
{
	if [ "$(calculate %d "(($2) > 0)")" = 1 ]
	then
		calculate %.2f "($1) / ($2)"
	else
		printf -- -
	fi
}

#
# The server.
#

# Runs SQL and prints unaligned rows, "|" between columns.
sql()
{
	"$pgbin/psql" -XqAt -v ON_ERROR_STOP=1 -h "$socket" -p "$port" -U postgres -d lastfluss "$@"
}

# wait_statement CONDITION: waits in the server, as each new session costs CPU that
# is measured.
wait_statement()
{
	cat <<-SQL
		DO \$\$
		DECLARE
			until timestamptz := clock_timestamp() + interval '$wait_most s';
		BEGIN
			WHILE NOT coalesce(($1), false) LOOP
				IF clock_timestamp() > until THEN RAISE 'waited in vain'; END IF;
				PERFORM pg_sleep(0.2);
			END LOOP;
		END \$\$
	SQL
}

wait_sql()
{
	sql -c "$(wait_statement "$1")" || die "waited in vain: $1"
}

build()
{
	say_progress "build with $("$pg_config" --version)"
	private_installation "$work/src" "$work/pgsql" "$pg_config" >"$work/build.log" 2>&1 ||
		{ tail -n 40 "$work/build.log" >&2; die "the build failed"; }
	pgbin=$work/pgsql$("$pg_config" --bindir)
	built=yes
}

# start_server [LINE-OF-CONF...]: a new cluster; the library is preloaded unless
# a line says what is.
start_server()
{
	[ -n "${built:-}" ] || build
	stop_server
	rm -rf "$work/data"
	port=$(free_port tcp)
	{
		"$pgbin/initdb" -D "$work/data" -U postgres --encoding=UTF8 --locale=C.UTF-8 \
			--no-sync --auth-local=trust --auth-host=reject
		{
			printf '%s\n' "listen_addresses = ''" "port = $port" \
				"unix_socket_directories = '$socket'" "log_line_prefix = '%m [%p] %b: '" \
				"lastfluss.database = 'lastfluss'" "shared_preload_libraries = 'lastfluss'" "$@"
		} >>"$work/data/postgresql.conf"
		"$pgbin/pg_ctl" start -w -t 60 -D "$work/data" -l "$work/server.log"
		"$pgbin/createdb" -h "$socket" -p "$port" -U postgres lastfluss
	} >"$work/initdb.log" 2>&1 ||
		{ tail -n 20 "$work/initdb.log" "$work/server.log" >&2; die "the server did not start"; }
	postmaster=$(head -n 1 "$work/data/postmaster.pid")
	running="$*"
}

# What an immediate stop leaves behind goes with the cluster.
stop_server()
{
	[ -f "$work/data/postmaster.pid" ] || return 0
	"$pgbin/pg_ctl" stop -w -t 60 -m immediate -D "$work/data" >/dev/null
}

# start_collector [LINE-OF-CONF...]: a new server that collects.
start_collector()
{
	start_server "$@"
	sql -c 'CREATE EXTENSION lastfluss'
	udp_port=
	configure
	find_workers
}

# The one with the default settings: the running one, if it is that.
default_collector()
{
	if [ -z "${running+x}" ] || [ -n "$running" ]
	then
		start_collector
	fi
	configure
}

# configure [EXPORTERS [STATEMENT]]: interfaces of the generator's exporters and
# its core, as many as can be; true when the receiver follows: it listens on
# another port then.
configure()
{
	local exporters=${1:-1}

	udp_port=$(free_port udp)
	sql -o /dev/null <<-SQL
		BEGIN;
		DELETE FROM lastfluss.interface;
		INSERT INTO lastfluss.interface (name, host, id)
			SELECT CASE id WHEN 5 THEN 'core' ELSE 'interface ' || id END, host, id
			FROM (SELECT CASE $exporters WHEN 1 THEN inet '127.0.0.1' ELSE inet '127.1.0.0' + n END AS host
				FROM generate_series(0, least($exporters, $configurable / 5) - 1) n) h,
				generate_series(1, 5) id;
		${2:-}
		DELETE FROM lastfluss.listener;
		SELECT lastfluss.add_listener('127.0.0.1', $udp_port);
		COMMIT;
	SQL
	wait_sql "SELECT '127.0.0.1:$udp_port' = ANY (listeners) FROM lastfluss.status"
}

# Prints the pids of the server's children whose title begins so.
children()
{
	local directory fields title

	for directory in /proc/[0-9]*
	do
		read -r fields <"$directory/stat" || continue
		fields=${fields##*) }
		# state, parent
		[ "$(set -- $fields; echo "$2")" = "$postmaster" ] || continue
		title=$(tr '\0' ' ' <"$directory/cmdline") || continue
		case $title in
			"postgres: $1"*) echo "${directory#/proc/}" ;;
		esac
	done 2>/dev/null
}

find_workers()
{
	receiver=$(children 'lastfluss receiver')
	writer=$(children 'lastfluss writer')
	workers=$(children 'lastfluss')
	[ -n "$receiver" ] && [ -n "$writer" ] || die "the workers do not run"
}

#
# CPU.
#

# cpu PID...: nanoseconds that these processes have had.
cpu()
{
	local pid ran
	local sum=0

	for pid in "$@"
	do
		read -r ran _ <"/proc/$pid/schedstat" || die "process $pid is gone"
		sum=$((sum + ran))
	done
	echo "$sum"
}

# Nanoseconds of the whole server, sessions that have ended included.
cpu_server()
{
	local fields ticks
	local pid sum

	read -r fields <"/proc/$postmaster/stat"
	# shellcheck disable=SC2086  # fields; 14 and 15 count those that were waited for
	ticks=$(set -- ${fields##*) }; echo $((${14} + ${15})))
	sum=$((ticks * 1000000000 / $(getconf CLK_TCK)))
	for pid in "$postmaster" $(children '')
	do
		read -r ticks _ 2>/dev/null <"/proc/$pid/schedstat" || continue
		sum=$((sum + ticks))
	done
	echo "$sum"
}

#
# Loads.
#

# send RATE SECONDS GENERATOR-OPTION...: sets sent_records, sent_datagrams (without
# templates), sent_all, sent_rate.
send()
{
	local rate=$1
	local seconds=$2
	local name value
	local templates=0
	shift 2

	"$generator" --port "$udp_port" --rate "$rate" --duration "$seconds" \
		"${traffic[@]}" "$@" >"$work/sent" || die "the generator failed"
	while read -r name value
	do
		case $name in
			datagrams) sent_all=$value ;;
			template_datagrams) templates=$value ;;
			records) sent_records=$value ;;
			rate) sent_rate=$value ;;
		esac
	done <"$work/sent"
	sent_datagrams=$((sent_all - templates))
}

counters()
{
	sql -F ' ' -c 'SELECT records, datagrams, kernel_drops, unmatched, folded,
			coalesce((SELECT sum(v.value::bigint) FROM lastfluss.exporters,
				jsonb_each_text(to_jsonb(errors)) v), 0)
		FROM lastfluss.status'
}

# received_statement DATAGRAMS-BEFORE: waits until nothing more comes.
received_statement()
{
	cat <<-SQL
		DO \$\$
		DECLARE
			before bigint := -1;
			received bigint := $1;
		BEGIN
			WHILE received <> before AND received < $1 + $sent_all LOOP
				PERFORM pg_sleep(0.2);
				before := received;
				SELECT datagrams INTO received FROM lastfluss.status;
			END LOOP;
		END \$\$
	SQL
}

# load RATE SECONDS GENERATOR-OPTION...: sets what send() sets, got_records,
# got_datagrams, drops, unmatched, folded, undecoded, and CPU in nanoseconds:
# cpu_receiver, cpu_workers.
load()
{
	local before after
	local receiver_before workers_before

	read -ra before < <(counters)
	receiver_before=$(cpu "$receiver")
	# shellcheck disable=SC2086  # pids
	workers_before=$(cpu $workers)
	send "$@"
	sql -c "$(received_statement "${before[1]}")"
	cpu_receiver=$(($(cpu "$receiver") - receiver_before))
	# shellcheck disable=SC2086
	cpu_workers=$(($(cpu $workers) - workers_before))
	read -ra after < <(counters)
	got_records=$((after[0] - before[0]))
	got_datagrams=$((after[1] - before[1]))
	drops=$((after[2] - before[2]))
	unmatched=$((after[3] - before[3]))
	folded=$((after[4] - before[4]))
	undecoded=$((after[5] - before[5]))
}

# Has all that was received written: the intervals that are open end when the
# period changes.  Sets rows_written, rows_most (of an interval), cpu_written.
write_all()
{
	local before rows
	local changed

	rows=$(sql -c 'SELECT rows FROM lastfluss.status')
	before=$(cpu "$writer")
	changed=$(sql -c 'SELECT now()')
	configure 1 "SELECT lastfluss.set('window', '0'); SELECT lastfluss.set('period', '1');"
	wait_sql "SELECT last_interval >= '$changed' FROM lastfluss.status"
	cpu_written=$(($(cpu "$writer") - before))
	rows_written=$(($(sql -c 'SELECT rows FROM lastfluss.status') - rows))
	rows_most=$(sql -c 'SELECT coalesce(max(c), 0) FROM (SELECT count(*) AS c FROM traffic GROUP BY "time") t')
	sql -c 'TRUNCATE traffic'
	configure 1 "SELECT lastfluss.reset('period'); SELECT lastfluss.reset('window');"
}

lost_percent()
{
	calculate %.2f "100 * (1 - $got_records / $sent_records)"
}

# In millions of records per CPU-second.
per_second()
{
	if [ "$2" -gt 0 ]
	then
		calculate '%.2f M' "$1 / $2 * 1e3"
	else
		printf -- -
	fi
}

# Sets best_rate and best_receiver, of the rates given that lose nothing; by halves,
# as higher ones lose more.
find_best_rate()
{
	local format=$1
	local low=0
	local high
	local middle
	local from_rates
	shift

	if [ "$format" = sflow ]
	then
		from_rates=("${rates_sflow[@]}")
	else
		from_rates=("${rates[@]}")
	fi
	high=${#from_rates[@]}
	best_rate=none
	best_receiver=-
	while [ "$low" -lt "$high" ]
	do
		middle=$(((low + high) / 2))
		load "${from_rates[middle]}" "$short" --format "$format" "$@"
		if [ "$got_records" -lt "$sent_records" ]
		then
			high=$middle
			continue
		fi
		low=$((middle + 1))
		best_rate=$sent_rate
		best_receiver=$(per_second "$got_records" "$cpu_receiver")
	done
}
