#!/bin/bash
#
# make demo, demo-check and demo-stop: a private PostgreSQL with Lastfluss below
# ./demo, a made-up network whose routers send real NetFlow to it, some hours of
# history from a capture of the same network, and before them a year of sums (fill.sql).
# No system cluster and no system directory is touched (see lib.sh).
#
# As root, the server runs as another user.  Where that user cannot get at the
# checkout, ./demo is a link to a directory below /tmp.
#
# In ./demo: state (what runs where), src (the copy that was built), pgsql (the
# installation), data, socket, *.log, and what the generator says it sent:
# history.tsv and, once it is stopped, live.tsv.

set -eu

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=src/test/lib.sh
. "$here/lib.sh"
checkout=$(cd "$here/../.." && pwd)
demo=$checkout/demo

period=10             # seconds: rows come sooner than with the default's 60
window=80             # the routers report flows of up to 60 seconds, 15 after their end
buffers=12            # room for such a window of such periods
history_hours=3       # and what is left of the hour before
history_rate=80       # records a second, the daily mean
history_ahead=10      # seconds that it takes to write it
live_rate=1000        # likewise
year_days=366         # by hour
year_days_5m=31       # by five minutes
year_asns=6           # of each interface and direction; the others are one
records_datagram=22   # nearly
bandwidth=20G         # of the whole network, so that the graphs look like one and no minute is above line rate
live_wait=120         # seconds until live rows must be there
socket_path_limit=107 # sun_path, less its final zero

#
# What runs: told by pid files, and looked at before it is believed, as the
# system gives old pids to new processes.
#

generator_running()
{
	[ -f "$work/generator.pid" ] &&
		[ "$(readlink "/proc/$(cat "$work/generator.pid")/exe")" = "$generator" ]
}

# Ends the generator in order, so that it writes down what it sent.
stop_generator()
{
	local tries=100

	generator_running || return 0
	# bash has a kill of its own; a minimal system has no other
	# shellcheck disable=SC2016  # expands there
	as_server_user bash -c 'kill -TERM "$0"' "$(cat "$work/generator.pid")"
	while generator_running && [ "$tries" -gt 0 ]
	do
		sleep 0.1
		tries=$((tries - 1))
	done
	! generator_running || die "the generator does not stop"
}

stop_server()
{
	[ -f "$work/data/postmaster.pid" ] || return 0
	as_server_user "$pgbin/pg_ctl" stop -w -t 60 -m fast -D "$work/data" >/dev/null
}

# Names of what is below $work.
set_paths()
{
	generator=$work/src/src/test/generator/generator
	pgbin=$work/pgsql$(as_server_user "$pg_config" --bindir)
}

# Reads the state that write_state left.  Fails when there is no demo.  The file
# belongs to the server's user, so root reads it and does not run it.
read_state()
{
	local name
	local value

	[ -f "$demo/state" ] || return 1
	work=$(readlink -f "$demo")
	while IFS='=' read -r name value
	do
		case $name in
			pg_config | port | udp_port | socket | live_from) printf -v "$name" '%s' "$value" ;;
		esac
	done <"$work/state"
	cd / # the server's user may be unable to be in the checkout
	set_paths
}

write_state()
{
	printf '%s=%s\n' pg_config "$pg_config" port "$port" udp_port "$udp_port" \
		socket "$socket" live_from "$live_from" >"$work/state"
}

stop()
{
	read_state || { [ "${1:-}" = quietly ] || say "no demo is running here"; return 0; }
	stop_generator
	stop_server
	# a directory of its own, where the path below ./demo is too long
	case $socket in
		/tmp/lastfluss.*) as_server_user rm -rf "$socket" ;;
	esac
	rm -rf "$work"
	rm -f "$demo"
	say "the demo is stopped, and its files are removed"
}

#
# Start: the directory, and then the rest as the server's user.
#

make_directory()
{
	if [ -L "$demo" ] && [ ! -e "$demo" ] # what it led to is gone from /tmp
	then
		rm "$demo"
	fi
	if as_server_user test -r "$checkout/Makefile"
	then
		work=$demo
		mkdir "$work" || die "remove $demo, which is not a demo's, and try again"
	else
		work=$(mktemp -d /tmp/lastfluss-demo.XXXXXX)
		ln -s "$work" "$demo"
	fi
	copy_tree "$checkout" "$work/src"
	if am_root
	then
		chown -R -P "$(server_user):" "$work"
	fi
	chmod 755 "$work"
}

start()
{
	bash "$here/setup.sh" demo
	stop quietly
	pg_config=$(find_pg_config) || die "no PostgreSQL $PG_MAJOR_MIN or later to run with"
	make_directory
	cd "$work/src"
	as_server_user bash src/test/demo.sh --inside "$work" "$pg_config" </dev/null
	show
}

sql()
{
	as_server_user "$pgbin/psql" -X -q -v ON_ERROR_STOP=1 -h "$socket" -p "$port" -U postgres -d lastfluss "$@"
}

build()
{
	local log=$work/build.log

	say "== build with $("$pg_config" --version)"
	private_installation "$work/src" "$work/pgsql" "$pg_config" >"$log" 2>&1 ||
		{ tail -n 40 "$log"; die "the build failed"; }
}

make_socket_directory()
{
	socket=$work/socket
	if [ $((${#socket} + ${#port} + 13)) -gt "$socket_path_limit" ] # /.s.PGSQL.PORT.lock
	then
		socket=$(mktemp -d /tmp/lastfluss.XXXXXX)
	else
		mkdir "$socket"
	fi
	# who can enter it is the superuser, so nobody else may
	chmod 700 "$socket"
}

start_server()
{
	local log=$work/server.log

	say "== a server of its own on port $port"
	{
		"$pgbin/initdb" -D "$work/data" -U postgres --encoding=UTF8 --locale=C.UTF-8 \
			--auth-local=trust --auth-host=scram-sha-256
		cat >>"$work/data/postgresql.conf" <<-CONF
			listen_addresses = '127.0.0.1'
			port = $port
			unix_socket_directories = '$socket'
			shared_preload_libraries = 'lastfluss'
			lastfluss.database = 'lastfluss'
			lastfluss.buffers = $buffers
			log_line_prefix = '%m [%p] %b '
			# a year that is made in one transaction then needs no log
			wal_level = minimal
			max_wal_senders = 0
		CONF
		"$pgbin/pg_ctl" start -w -t 60 -D "$work/data" -l "$log"
	} >"$work/initdb.log" 2>&1 ||
		{ tail -n 20 "$work/initdb.log" "$log"; die "the server did not start"; }
}

# What the routers sent from "history_from", a whole hour, until EPOCH.
make_capture()
{
	"$generator" --quiet --pcap "$work/history.pcap" --truth "$work/history.tsv" \
		--from "$history_from" --to "$1" \
		--rate "$history_rate" --bandwidth "$bandwidth" --step 60
}

# The database belongs to a role without rights, as it would in real life.  All of it is
# one transaction: before its end the collector does not know of the extension.
configure()
{
	local now

	say "== the network: examples/demo/interfaces.yaml, and a year of its traffic"
	now=$(date +%s)
	history_from=$((now / 3600 * 3600 - history_hours * 3600))
	make_capture "$now"
	sql -d postgres -c 'CREATE ROLE lastfluss LOGIN' -c 'CREATE DATABASE lastfluss OWNER lastfluss'
	sql -1 -o /dev/null -v yaml="$(cat examples/demo/interfaces.yaml)" -v names="$(cat examples/demo/asns.txt)" \
		-v period="$period" -v window="$window" -v udp_port="$udp_port" \
		-v capture="$work/history.pcap" -v asns="$year_asns" -v days="$year_days" -v days_5m="$year_days_5m" \
		-v hours_raw=0 -v until="$(date -u -d "@$history_from" '+%F %T+00')" -v health_until="$((now / 60 * 60 + 600))" \
		-v datagrams="$((live_rate / records_datagram))" -f - -f src/test/fill.sql <<-'SQL'
		CREATE EXTENSION lastfluss;
		SELECT lastfluss.set('window', :'window');
		SELECT lastfluss.set('period', :'period');
		SELECT lastfluss.import_interfaces(:'yaml');
		SELECT lastfluss.import_asns(:'names');
		SELECT lastfluss.add_listener('127.0.0.1', :udp_port);
	SQL
}

# The year goes on with what the routers sent, and their counters, until the first
# interval of the live traffic begins.
fill_history()
{
	say "== $history_hours hours before now"
	live_from=$((($(date +%s) + history_ahead) / period * period + period))
	write_state
	make_capture "$live_from"
	# Flows that end later still add to the last minute.
	sql -o /dev/null -v file="$work/history.pcap" -v live_from="$live_from" \
		-v until="$(date -u -d "@$((live_from - 60))" '+%F %H:%M+00')" -f - -f src/test/counters.sql <<-'SQL'
		SELECT * FROM lastfluss.replay(pg_read_binary_file(:'file'));
		DELETE FROM traffic_health WHERE time >= to_timestamp(:live_from);
		UPDATE traffic_health SET datagrams = datagrams * (:live_from % 60) / 60, records = records * (:live_from % 60) / 60
		WHERE time = to_timestamp(:live_from / 60 * 60) AND host IS NOT NULL;
	SQL
	rm "$work/history.pcap"
	while [ "$(date +%s)" -lt "$live_from" ]
	do
		sleep 0.1
	done
}

start_generator()
{
	say "== three routers send NetFlow v5, v9 and IPFIX to 127.0.0.1:$udp_port"
	setsid "$generator" --quiet --host 127.0.0.1 --port "$udp_port" --format mixed \
		--rate "$live_rate" --bandwidth "$bandwidth" --rhythm --truth "$work/live.tsv" \
		>"$work/generator.log" 2>&1 </dev/null &
	echo $! >"$work/generator.pid"
}

# wait_until SECONDS WHAT QUERY: looks every tenth of a second until the query
# says true.
wait_until()
{
	local tries=$(($1 * 10))

	until [ "$(sql -At -c "$3")" = t ]
	do
		tries=$((tries - 1))
		[ "$tries" -gt 0 ] || die "no $2 after $1 seconds"
		sleep 0.1
	done
}

# A datagram that comes before the socket is bound is nowhere counted.
wait_for_listener()
{
	wait_until 60 "listener on port $udp_port" \
		"SELECT '127.0.0.1:$udp_port' = ANY (listeners) FROM lastfluss.status"
}

# What is open shows already; it is written when its window is over.
wait_for_live_rows()
{
	say "== waiting for the first interval of $period seconds"
	wait_until "$live_wait" "live row" \
		"SELECT count(*) > 0 FROM lastfluss.live
		 WHERE time >= to_timestamp($live_from) AND time <= now() - make_interval(secs => $period)"
	generator_running || die "the generator ended: $(cat "$work/generator.log")"
}

# Ends what was started when the rest fails; its files stay, to be looked at.
give_up()
{
	local status=$?

	[ "$status" -ne 0 ] || return 0
	trap - EXIT
	[ ! -f "$work/server.log" ] || tail -n 30 "$work/server.log" >&2
	stop_generator || :
	stop_server || :
	say "the demo did not start; its logs are in $work" >&2
	exit "$status"
}

inside()
{
	set_paths
	socket=
	port=$(free_port tcp)
	udp_port=$(free_port udp)
	live_from=0
	write_state
	trap give_up EXIT
	trap 'exit 130' HUP INT TERM

	build
	make_socket_directory
	write_state
	start_server
	configure
	fill_history
	wait_for_listener
	start_generator
	wait_for_live_rows
}

#
# What there is to see.
#

show_answers()
{
	sql <<-'SQL'
		\pset footer off
		\pset title 'SELECT … FROM lastfluss.top_asns(''1 hour'')'
		SELECT rank, asn, name, incoming, outgoing, share, bar FROM lastfluss.top_asns('1 hour');
		\pset title 'SELECT … FROM lastfluss.interface_report(''1 hour'')'
		SELECT iface, role, incoming, outgoing, used_in, used_out, bar FROM lastfluss.interface_report('1 hour');
		\pset title
		\pset tuples_only on
		SELECT lastfluss.plot(since => '3 hours', height => 5);
	SQL
}

show()
{
	local psql

	read_state
	psql=$(command -v psql || echo "$pgbin/psql")
	say
	show_answers
	say "It is running, and three routers keep sending. To look further:

    ${psql##/usr/bin/} -h $socket -p $port -U postgres lastfluss

    SELECT lastfluss.plot('DE-CIX Frankfurt') \\watch 10
    SELECT * FROM lastfluss.peering_candidates('3 hours');
    SELECT * FROM traffic ORDER BY time DESC LIMIT 20;
    SELECT * FROM lastfluss.status;

make demo-check compares what is stored with what was sent; make demo-stop ends it."
}

#
# Check: what is stored is what was sent, to the byte.
#

# compare all|differences [PSQL-OPTION...]: prints what was sent and what is stored
# for each interface and direction, or for those where the two differ.  History and
# live traffic share an interval or two: a flow may have begun before it was sent.
compare()
{
	local which=$1
	shift

	{
		echo 'CREATE TEMP TABLE truth (host inet, id bigint, direction text,
			records bigint, octets bigint, packets bigint, bytes bigint);'
		echo 'COPY truth FROM STDIN;'
		grep -hv '^#' "$work/history.tsv" "$work/live.tsv"
		echo '\.'
		cat <<-SQL
			WITH sent AS (
				SELECT name AS iface, direction = 'in' AS ingress, sum(bytes) AS sent
				FROM truth JOIN lastfluss.interface USING (host, id)
				GROUP BY 1, 2
			), stored AS (
				SELECT iface, ingress, sum(bytes) AS stored FROM public.traffic GROUP BY 1, 2
			), both_sides AS (
				SELECT iface, ingress, coalesce(sent, 0) AS sent, coalesce(stored, 0) AS stored,
					coalesce(stored, 0) - coalesce(sent, 0) AS difference
				FROM sent FULL JOIN stored USING (iface, ingress)
			)
			SELECT * FROM both_sides
			WHERE '$which' = 'all' OR difference <> 0
			ORDER BY iface, ingress;
		SQL
	} | sql "$@"
}

check()
{
	local tries=$((period + window + 60))

	read_state || die "no demo is running here"
	stop_generator
	[ -s "$work/live.tsv" ] || die "the generator did not say what it sent: $work/generator.log"
	say "the generator is stopped; waiting for the last interval to be stored"
	while [ -n "$(compare differences -At)" ] && [ "$tries" -gt 0 ]
	do
		tries=$((tries - 1))
		sleep 1
	done
	compare all
	if [ -n "$(compare differences -At)" ]
	then
		sql -x -c 'SELECT * FROM lastfluss.status' -c 'SELECT * FROM lastfluss.exporters'
		die "what is stored is not what was sent"
	fi
	[ "$(sql -At -c 'SELECT sum(bytes) > 0 FROM public.traffic')" = t ] || die "nothing is stored"
	say "what is stored is what was sent, to the byte"
}

clean_environment
case ${1:-} in
	start | stop | check)
		"$1"
		;;
	--inside)
		work=$2
		pg_config=$3
		inside
		;;
	*)
		die "usage: demo.sh start|stop|check"
		;;
esac
