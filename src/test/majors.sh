#!/bin/bash
#
# make test-majors: "make test" on this machine, and in chroots of Debian's later
# suites with the PostgreSQL that each of them packages; root.  Where a suite has
# TimescaleDB for it (the Apache edition: Debian has no other), the tests of
# hypertables must find it.  Ends with a table of majors, seconds and counts.
#
# make test-timescale: trixie alone, where TimescaleDB must be.
#
#   SUITES='host trixie'    these ("host" is this machine)
#   TESTS=..., TAP_FILES=..., SLOW=..., JOBS=...  as in run.sh
#   CACHE=DIRECTORY         where the images of the systems are kept
#   TIMESCALE=required      a suite without TimescaleDB fails
#
# A suite that cannot be reached is skipped.  The exit status is 77 when that
# was all there was.

set -eu

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=src/test/lib.sh
. "$here/lib.sh"
# shellcheck source=src/test/chroot.sh
. "$here/chroot.sh"

checkout=$(cd "$here/../.." && pwd)
summary='^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$'

log=
tidy()
{
	rm -f "$log"
	chroot_remove
}

# What is typed in there first: PostgreSQL is whatever this release calls so, and
# TimescaleDB's package is named after its major version.
install_commands()
{
	cat <<-'SH'
		bash src/test/setup.sh test
		major=$(ls /usr/lib/postgresql | sort -n | tail -n 1)
		if apt-cache show "postgresql-$major-timescaledb" >/dev/null 2>&1
		then
			DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet \
				--no-install-recommends -o Dpkg::Use-Pty=0 "postgresql-$major-timescaledb"
		fi
	SH
}

# Prints "1" where TimescaleDB is in the chroot, or should be.
timescale_must_be_there()
{
	if [ "${TIMESCALE:-}" = required ] ||
		compgen -G "$root/usr/lib/postgresql/*/lib/timescaledb.so" >/dev/null
	then
		echo 1
	fi
}

# table_line SUITE SECONDS: what the log in "log" says.
table_line()
{
	local server
	local counts

	server=$(sed -n 's/^== build with PostgreSQL \([^ ]*\).*/\1/p' "$log")
	counts=$(grep -E "$summary" "$log" | tail -n 1)
	printf '%-10s %-12s %7d  %s\n' "$1" "${server:-none}" "$2" "${counts:-no summary}"
}

# timed SUITE COMMAND...: runs the tests, shows what they say and adds a line to
# the table.
table=()
timed()
{
	local suite=$1
	local started=$SECONDS
	local status
	local tee_pid
	shift

	exec 3> >(tee "$log")
	tee_pid=$!
	"$@" >&3 2>&1 3>&- && status=0 || status=$?
	exec 3>&-
	wait "$tee_pid" || :
	table+=("$(table_line "$suite" $((SECONDS - started)))")
	return "$status"
}

on_host()
{
	bash "$here/run.sh"
}

in_chroot()
{
	chroot_timed "make test on $1" \
		"LASTFLUSS_TEST_TIMESCALE='$(timescale_must_be_there)' TESTS='${TESTS:-}' TAP_FILES='${TAP_FILES:-}' SLOW='${SLOW:-}' JOBS='${JOBS:-}' make test ${WERROR:+WERROR=1}"
}

# Sets why where the suite cannot be tested in here.
why=
reach()
{
	why=
	if ! am_root
	then
		why='a chroot needs root'
		return
	fi
	chroot_find_mirror
	{ [ -n "$mirror" ] && chroot_has_release "$mirror" "$1"; } || why='it cannot be reached'
}

test_in_chroot()
{
	local suite=$1
	local status
	local install_log=$CACHE/$suite-install.log

	chroot_unpack "$suite"
	chroot_checkout "$checkout"
	if ! chroot_timed "what is tested, and what that needs, on $suite" \
		"$(install_commands)" >"$install_log" 2>&1
	then
		tail -n 40 "$install_log"
		table+=("$(printf '%-10s failed: could not install what is needed' "$suite")")
		chroot_remove
		return 1
	fi
	timed "$suite" in_chroot "$suite" && status=0 || status=$?
	chroot_remove
	return "$status"
}

# Sets tested and failed.
failed=0
tested=0
test_suite()
{
	if [ "$1" != host ]
	then
		reach "$1"
		if [ -n "$why" ]
		then
			table+=("$(printf '%-10s skipped: %s' "$1" "$why")")
			return
		fi
		chroot_need
	fi
	tested=$((tested + 1))
	if [ "$1" = host ]
	then
		timed host on_host || failed=1
	else
		test_in_chroot "$1" || failed=1
	fi
}

clean_environment
trap tidy EXIT
trap 'exit 130' HUP INT TERM
log=$(mktemp)
for suite in ${SUITES:-host trixie forky}
do
	test_suite "$suite"
done
printf '%-10s %-12s %7s  %s\n' suite PostgreSQL seconds result >&2
printf '%s\n' "${table[@]}" >&2
[ "$tested" -gt 0 ] || exit 77
exit "$failed"
