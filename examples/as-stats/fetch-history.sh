#!/bin/sh
#
# fetch-history.sh DIRECTORY: what the RRD files of AS-Stats hold, as lines for
# import-history.sql, with tabs between:
#
#   ASN  tag  in|out  family  start  step  octets per second
#
#   sh fetch-history.sh /var/lib/as-stats/rrd | psql -d lastfluss -f import-history.sql
#
# AS-Stats keeps 5 minutes for 48 hours, 1 hour for a week, 4 hours for 30 days, and a
# day for a year, before a file's last update.  Of each moment only the finest is taken:
# an archive begins where the coarser one ends, at a boundary of that one.
# "rrdtool info" shows the archives of a file; where they are others, change these.

set -eu

archives='86400:31622400 14400:2592000 3600:604800 300:172800' # step:seconds kept

directory=${1:?usage: fetch-history.sh DIRECTORY}

# The rows that end after $2, and not after $3: rrdtool calls a row by its end.
# nan is unknown, and stays a gap.
rows()
{
	awk -v asn="$1" -v after="$2" -v until="$3" -v step="$4" '
		NF == 0 { next }
		$1 !~ /:$/ { for (i = 1; i <= NF; i++) source[i] = $i; next }
		{
			end = substr($1, 1, length($1) - 1) + 0
			if (last && end - last != step) {
				print "AS " asn ": no archive of " step " s; see \"archives\"" >"/dev/stderr"
				exit 1
			}
			last = end
			if (end <= after || end > until)
				next
			for (i = 2; i <= NF; i++) {
				tag = source[i - 1]
				if ($i !~ /^[0-9.]+(e[-+]?[0-9]+)?$/ || $i + 0 == 0 || tag !~ /_(in|out)$/)
					continue
				direction = tag ~ /_in$/ ? "in" : "out"
				sub(/_(in|out)$/, "", tag)
				family = tag ~ /_v6$/ ? 6 : 4
				sub(/_v6$/, "", tag)
				print asn "\t" tag "\t" direction "\t" family "\t" end - step "\t" step "\t" $i
			}
		}'
}

fetch()
{
	last=$(rrdtool last "$1")
	step=
	for archive in $archives now:0
	do
		kept_from=$((last - ${archive#*:}))
		if [ -n "$step" ]
		then
			until=$(((kept_from + step - 1) / step * step))
			[ "$until" -le "$last" ] || until=$((last / step * step))
			LC_ALL=C rrdtool fetch "$1" AVERAGE -r "$step" -s "$after" -e "$until" >"$fetched"
			rows "$(basename "$1" .rrd)" "$after" "$until" "$step" <"$fetched"
			after=$until
		else
			after=$((kept_from / ${archive%:*} * ${archive%:*}))
		fi
		step=${archive%:*}
	done
}

fetched=$(mktemp)
trap 'rm -f "$fetched"' EXIT

# Files are called by the AS.  Those below "peeras" have the same traffic by neighbour.
for file in "$directory"/*/[0-9]*.rrd
do
	[ -e "$file" ] || continue
	case $file in */peeras/*) continue ;; esac
	fetch "$file"
done
