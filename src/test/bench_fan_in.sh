# shellcheck shell=bash
#
# The part "fan_in" of bench.sh: how fast a hub takes what three sites have kept for it.
#
# The sites are databases of a second server, whose collector is none of them: what its
# writer would write, a statement does, an interval in a transaction.

fan_in_sites='fra ber muc'
fan_in_rows=${ROWS:-2000}           # of an interval
fan_in_intervals=${INTERVALS:-250}

sites_sql()
{
	local database=$1
	shift

	"$pgbin/psql" -XqAt -v ON_ERROR_STOP=1 -h "$socket" -p "$sites_port" -U postgres -d "$database" "$@"
}

fan_in_stop()
{
	[ ! -f "$work/sites/postmaster.pid" ] || "$pgbin/pg_ctl" stop -w -t 60 -m immediate -D "$work/sites" >/dev/null
}

fan_in_start()
{
	local site

	sites_port=$(free_port tcp)
	{
		"$pgbin/initdb" -D "$work/sites" -U postgres --encoding=UTF8 --locale=C.UTF-8 --no-sync --auth-local=trust --auth-host=reject
		printf '%s\n' "listen_addresses = ''" "port = $sites_port" "unix_socket_directories = '$socket'" \
			"shared_preload_libraries = 'lastfluss'" 'wal_level = logical' 'max_wal_size = 8GB' >>"$work/sites/postgresql.conf"
		"$pgbin/pg_ctl" start -w -t 60 -D "$work/sites" -l "$work/sites.log"
	} >"$work/sites-initdb.log" 2>&1 || die "the sites' server did not start"
	for site in $fan_in_sites
	do
		"$pgbin/createdb" -h "$socket" -p "$sites_port" -U postgres "$site"
		sites_sql "$site" -o /dev/null -c 'SET client_min_messages = error; CREATE EXTENSION lastfluss' \
			-c "SET client_min_messages = error; SELECT lastfluss.publish('$site')"
		sql -o /dev/null -c "SELECT lastfluss.subscribe('$site', 'host=$socket port=$sites_port user=postgres dbname=$site')"
	done
}

# An interval of each minute of the past; what the writer sends (parcel.c).
fan_in_collect()
{
	sites_sql "$1" <<-SQL
		DO \$\$
		BEGIN
			FOR i IN 1 .. $fan_in_intervals LOOP
				INSERT INTO lastfluss._parcel (collector, "time", period, names, iface, ingress, remote_asn, local_asn, family, bytes, packets, flows)
				SELECT '$1', date_trunc('day', now()) - i * interval '1 min', 60, '{A,B,C,D}', array_agg((1 + n % 4)::smallint), array_agg(n % 2 = 0),
				       array_agg((64500 + n)::bigint), array_agg(64496::bigint), array_agg((4 + n % 2 * 2)::smallint),
				       array_agg((n * 1000 + i)::bigint), array_agg(n::bigint), array_agg(1::bigint)
				FROM generate_series(1, $fan_in_rows) n;
				DELETE FROM lastfluss._parcel;
				COMMIT;
			END LOOP;
		END \$\$;
	SQL
}

# fan_in_measure SITE...: what these have sent, and the hub takes at once.
fan_in_measure()
{
	local rows=$(($# * fan_in_rows * fan_in_intervals))
	local wal
	local before
	local site
	local begun
	local took

	for site in $fan_in_sites
	do
		sql -c "ALTER SUBSCRIPTION lastfluss_$site DISABLE"
	done
	wal=$(sites_sql postgres -c 'SELECT pg_current_wal_lsn()')
	for site in "$@"
	do
		fan_in_collect "$site"
	done
	wal=$(sites_sql postgres -c "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '$wal')")
	before=$(sql -c 'SELECT coalesce(sum(rows), 0) FROM lastfluss._collector')
	begun=$(date +%s.%N)
	for site in "$@"
	do
		sql -c "ALTER SUBSCRIPTION lastfluss_$site ENABLE"
	done
	wait_sql "(SELECT coalesce(sum(c.rows), 0) = $before + $rows FROM lastfluss._collector c)"
	took=$(calculate %.2f "$(date +%s.%N) - $begun")
	say "| $# | $rows | $took | $(calculate %.0f "$rows / $took") | $(calculate %.1f "$wal / $rows") |"
}

part_fan_in()
{
	say_progress 'fan_in'
	start_server 'max_wal_size = 8GB' 'max_worker_processes = 16'
	sql -c 'CREATE EXTENSION lastfluss'
	fan_in_start
	say "Intervals of $fan_in_rows rows, $fan_in_intervals from each site, that sites have kept for a hub:"
	say
	say '| sites | rows | seconds | rows/s at the hub | octets of WAL a row at the site |'
	say '|--:|--:|--:|--:|--:|'
	fan_in_measure fra
	# shellcheck disable=SC2086  # several words
	fan_in_measure $fan_in_sites
	fan_in_stop
}
