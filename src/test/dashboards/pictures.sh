#!/bin/bash
#
# make pictures: checks the dashboards against Grafana's published types, and draws them
# at 6 hours, 24 hours, 30 days and a year of the demo's traffic, as PNG files in ./pictures.
# For development: it takes the npm registry and Chromium, and minutes.
#
#   DASHBOARDS='interfaces asn'   only these; "generated" is lastfluss.dashboard('interfaces')
#   RANGES='6h 24h 30d 1y'        only these
#   CONNECT='host=... dbname=...' draw what is in this database instead
#   PICTURES=directory            where the pictures go
#   PACKAGES=echarts              only what draws, and no look at the types (make test)
#
# They are drawn by page.html with a plotting library, not by Grafana: what can be judged
# is the layout, stacking, mirroring, units and colours.  It fails where a panel is empty or
# has nothing on one side of the axis, a unit is not known, or text is cut or on other text.

set -eu

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=src/test/lib.sh
. "$here/../lib.sh"
checkout=$(cd "$here/../../.." && pwd)

declare -A seconds=([6h]=21600 [24h]=86400 [30d]=2592000 [1y]=31622400)
ranges=${RANGES:-6h 24h 30d 1y}
pictures=${PICTURES:-$checkout/pictures}

tidy()
{
	local status=$?

	trap - EXIT
	[ ! -e "$work/tree/demo" ] || bash "$work/tree/src/test/demo.sh" stop >/dev/null 2>&1 || :
	rm -rf "$work"
	exit "$status"
}

# The packages of package.json, and what is theirs to see.
install_packages()
{
	mkdir -p "$work/npm"
	cp "$here"/{package.json,tsconfig.json,schema.ts} "$work/npm/"
	say "== packages from npm"
	if [ -n "${PACKAGES:-}" ]
	then
		(cd "$work/npm" && node -e 'const fs = require("fs"), p = JSON.parse(fs.readFileSync("package.json"));
			for (const name in p.dependencies) if (!process.env.PACKAGES.split(" ").includes(name)) delete p.dependencies[name];
			fs.writeFileSync("package.json", JSON.stringify(p))')
	fi
	(cd "$work/npm" && npm install --no-audit --no-fund --no-package-lock --silent) || die "could not install packages from npm"
}

validate()
{
	[ -z "${PACKAGES:-}" ] || return 0
	say "== types"
	(cd "$work/npm" && node "$here/validate.mjs" "$checkout"/dashboards/*.json ${generated:+"$generated"})
}

# A demo of its own, whose routers send while it is drawn; sets "connect".
start_demo()
{
	say "== make demo"
	copy_tree "$checkout" "$work/tree"
	bash "$work/tree/src/test/demo.sh" start >"$work/demo.log" 2>&1 || { tail -n 40 "$work/demo.log"; die "make demo failed"; }
	connect=$(sed -n 's/^socket=/host=/p; s/^port=/port=/p' "$work/tree/demo/state" | paste -sd ' ')" user=postgres dbname=lastfluss"
	wait_for_interval
}

# The first intervals are written a minute after their end.
wait_for_interval()
{
	local tries=180

	until [ "$(psql -XAtq -d "$connect" -c 'SELECT count(*) > 4 FROM traffic_health WHERE host IS NOT NULL AND "time" > now() - interval '"'5 min'")" = t ] &&
		[ "$(psql -XAtq -d "$connect" -c 'SELECT last_interval IS NOT NULL FROM lastfluss.status')" = t ]
	do
		tries=$((tries - 1))
		[ "$tries" -gt 0 ] || die "no interval was written"
		sleep 1
	done
}

# page FILE NAME RANGE: a page with all that it shows; and what draw.mjs is to do with it.
page()
{
	local data=$work/$2-$3.json
	local page=$work/$2-$3.html

	perl "$here/query.pl" "$connect" "$1" $((until - ${seconds[$3]})) "$until" >"$data"
	perl -0777 -e '
		my ($page, $library, $data) = map { local $/; open my $h, "<:raw", $_ or die "$_: $!\n"; <$h> } @ARGV;
		$data =~ s{</}{<\\/}g;
		$page =~ s{/\*ECHARTS\*/}{$library};
		$page =~ s{/\*DATA\*/null}{$data};
		print $page' "$here/page.html" "$work/npm/node_modules/echarts/dist/echarts.min.js" "$data" >"$page"
	pages+=("$2-$3" "$page" "$(perl -MJSON::PP -e '
		local $/;
		my $end = 0;
		for (map { $_->{panel}{gridPos} } @{ decode_json(<STDIN>)->{panels} }) { $end = $_->{y} + $_->{h} if $_->{y} + $_->{h} > $end }
		print 52 + 38 * $end' <"$data")" "$pictures/$2-$3.png")
}

# Now, as in Grafana; where no traffic has come lately, when it ended.
newest()
{
	psql -XAtq -d "$connect" <<-'SQL'
		SELECT lastfluss._table() AS traffic \gset
		SELECT extract(epoch FROM CASE WHEN max(time) > now() - interval '10 min' THEN now() ELSE date_trunc('minute', max(time)) + interval '1 min' END)::bigint FROM :traffic
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
	generated=
	pages=()
	trap tidy EXIT
	trap 'exit 130' HUP INT TERM

	install_packages
	validate
	if [ -n "${CONNECT:-}" ]
	then
		connect=$CONNECT
	else
		start_demo
	fi
	generated=$work/generated.json
	psql -XAtq -d "$connect" -c "SELECT lastfluss.dashboard('interfaces')" >"$generated"
	validate
	say "== queries"
	until=$(newest)
	mkdir -p "$pictures"
	for file in "$checkout"/dashboards/*.json "$generated"
	do
		name=$(basename "$file" .json)
		case " ${DASHBOARDS:-$name} " in *" $name "*) ;; *) continue ;; esac
		for range in $ranges
		do
			page "$file" "$name" "$range"
		done
	done
	say "== pictures"
	node "$here/draw.mjs" "$chromium" "$work/chromium" "${pages[@]}"
}

main
