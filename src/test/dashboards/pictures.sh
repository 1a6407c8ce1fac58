#!/bin/bash
#
# make pictures: checks the dashboards against Grafana's published types, and draws them
# at 6 hours, 24 hours, 30 days and a year of made-up traffic, as PNG files in ./pictures.
# For development: it takes the npm registry and Chromium, and minutes.
#
#   DASHBOARDS='interfaces asn'   only these; "generated" is lastfluss.dashboard('interfaces')
#   RANGES='6h 24h 30d 1y'        only these
#   ASNS=40                       remote ASes of the made-up traffic
#   CONNECT='host=... dbname=...' draw what is in this database instead
#
# They are drawn by page.html with a plotting library, not by Grafana: what can be judged
# is the layout, stacking, mirroring, units and colours, and that nothing is empty.

set -eu

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=src/test/lib.sh
. "$here/../lib.sh"
checkout=$(cd "$here/../../.." && pwd)

declare -A seconds=([6h]=21600 [24h]=86400 [30d]=2592000 [1y]=31622400)
ranges=${RANGES:-6h 24h 30d 1y}
asns=${ASNS:-40}

tidy()
{
	local status=$?

	trap - EXIT
	[ ! -f "$work/data/postmaster.pid" ] || as_server_user "$pgbin/pg_ctl" stop -D "$work/data" -m immediate >/dev/null 2>&1 || :
	rm -rf "$work"
	exit "$status"
}

# The packages of package.json, and what is theirs to see.
install_packages()
{
	mkdir -p "$work/npm"
	cp "$here"/{package.json,tsconfig.json,schema.ts} "$work/npm/"
	say "== packages from npm"
	(cd "$work/npm" && npm install --no-audit --no-fund --no-package-lock --silent)
}

validate()
{
	say "== types"
	(cd "$work/npm" && node "$here/validate.mjs" "$checkout"/dashboards/*.json ${generated:+"$generated"})
}

# A server of its own, filled; sets "connect".
start_server()
{
	local pg_config

	bash "$here/../setup.sh" demo
	pg_config=$(find_pg_config) || die "no PostgreSQL $PG_MAJOR_MIN or later"
	say "== a server, and a year of traffic with $asns ASes (minutes)"
	copy_tree "$checkout" "$work/tree"
	! am_root || chown -R "$(server_user):" "$work"
	(exec_as_server_user bash -eu -c '. "$0"; private_installation "$@"' "$here/../lib.sh" "$work/tree" "$work/pgsql" "$pg_config") >"$work/build.log" 2>&1 ||
		{ tail -n 40 "$work/build.log"; die "could not build"; }
	pgbin=$work/pgsql$("$pg_config" --bindir)
	mkdir -p "$work/socket"
	! am_root || chown "$(server_user):" "$work/socket"
	as_server_user "$pgbin/initdb" -D "$work/data" -U postgres --auth=trust --encoding=UTF8 --locale=C.UTF-8 --no-sync >/dev/null
	as_server_user tee -a "$work/data/postgresql.conf" >/dev/null <<-CONF
		listen_addresses = ''
		unix_socket_directories = '$work/socket'
		fsync = off
		shared_buffers = '512MB'
		shared_preload_libraries = 'lastfluss'
		lastfluss.database = 'elsewhere'
	CONF
	as_server_user "$pgbin/pg_ctl" start -w -D "$work/data" -l "$work/server.log" >/dev/null
	connect="host=$work/socket user=postgres dbname=postgres"
	psql -Xq -d "$connect" -c 'CREATE EXTENSION lastfluss'
	psql -Xq -d "$connect" -v "asns=$asns" -v "names=$checkout/examples/demo/asns.txt" -f "$here/../fill.sql"
	psql -Xq -d "$connect" -c "ALTER SYSTEM SET lastfluss.database = 'postgres'"
	as_server_user "$pgbin/pg_ctl" restart -w -D "$work/data" -l "$work/server.log" >/dev/null
}

# draw FILE NAME RANGE
draw()
{
	local data=$work/$2-$3.json
	local page=$work/$2-$3.html
	local height

	perl "$here/query.pl" "$connect" "$1" $((until - ${seconds[$3]})) "$until" >"$data"
	height=$(perl -MJSON::PP -e '
		local $/;
		my $end = 0;
		for (map { $_->{panel}{gridPos} } @{ decode_json(<STDIN>)->{panels} }) { $end = $_->{y} + $_->{h} if $_->{y} + $_->{h} > $end }
		print 200 + 38 * $end' <"$data") # its last 140 are not always painted
	perl -0777 -e '
		my ($page, $library, $data) = map { local $/; open my $h, "<:raw", $_ or die "$_: $!\n"; <$h> } @ARGV;
		$data =~ s{</}{<\\/}g;
		$page =~ s{/\*ECHARTS\*/}{$library};
		$page =~ s{/\*DATA\*/null}{$data};
		print $page' "$here/page.html" "$work/npm/node_modules/echarts/dist/echarts.min.js" "$data" >"$page"
	timeout 120 "$chromium" --headless --no-sandbox --disable-gpu --hide-scrollbars --user-data-dir="$work/chromium" \
		--window-size="1600,$height" --virtual-time-budget=5000 --screenshot="$checkout/pictures/$2-$3.png" "file://$page" >"$work/chromium.log" 2>&1 ||
		{ cat "$work/chromium.log"; die "$2-$3 was not drawn"; }
	if grep -q '"name":"No data"\|"frames":{"A":\[\]' "$data"
	then
		say "$2-$3: a panel is empty"
	fi
	say "pictures/$2-$3.png"
}

# When the traffic ends.
newest()
{
	psql -XAtq -d "$connect" <<-'SQL'
		SELECT lastfluss._table() AS traffic \gset
		SELECT extract(epoch FROM date_trunc('minute', max(time)))::bigint + 60 FROM :traffic
	SQL
}

main()
{
	local program file name range

	for program in npm node perl psql
	do
		command -v "$program" >/dev/null || die "$program is missing; Debian has it in the package ${program/psql/postgresql-client}"
	done
	chromium=$(command -v chromium || command -v chromium-browser || command -v google-chrome) ||
		die "chromium is missing; Debian has it in the package chromium"

	clean_environment
	work=$(mktemp -d /tmp/lastfluss-pictures.XXXXXX)
	chmod 755 "$work"
	pgbin=
	generated=
	trap tidy EXIT
	trap 'exit 130' HUP INT TERM

	install_packages
	validate
	if [ -n "${CONNECT:-}" ]
	then
		connect=$CONNECT
	else
		start_server
	fi
	generated=$work/generated.json
	psql -XAtq -d "$connect" -c "SELECT lastfluss.dashboard('interfaces')" >"$generated"
	validate
	until=$(newest)
	mkdir -p "$checkout/pictures"
	for file in "$checkout"/dashboards/*.json "$generated"
	do
		name=$(basename "$file" .json)
		case " ${DASHBOARDS:-$name} " in *" $name "*) ;; *) continue ;; esac
		for range in $ranges
		do
			draw "$file" "$name" "$range"
		done
	done
}

main
