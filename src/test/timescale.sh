#!/bin/bash
#
# make test-timescale: "make test" in a chroot of Debian trixie with its packaged
# PostgreSQL 17 and TimescaleDB (the Apache edition: Debian has no other), which
# bookworm lacks.  Root.  The environment there says LASTFLUSS_TEST_TIMESCALE=1:
# a test of hypertables that finds no TimescaleDB then fails and is not skipped.
#
#   SUITE=forky       another release
#   TESTS=...         as in run.sh
#   CACHE=DIRECTORY   where the image of the system is kept

set -eu

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=src/test/lib.sh
. "$here/lib.sh"
# shellcheck source=src/test/chroot.sh
. "$here/chroot.sh"

# The package is named after the server's major version, which is whatever this
# release calls "postgresql".
install_timescale()
{
	# shellcheck disable=SC2016  # expands inside
	chroot_timed "TimescaleDB on $suite" '
		bash src/test/setup.sh test
		major=$(ls /usr/lib/postgresql | sort -n | tail -n 1)
		DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet \
			--no-install-recommends -o Dpkg::Use-Pty=0 "postgresql-$major-timescaledb"'
}

clean_environment
suite=${SUITE:-trixie}
chroot_start "$suite" "$(cd "$here/../.." && pwd)"
failed=0
install_timescale >"$CACHE/$suite-timescale.log" 2>&1 ||
	{ tail -n 40 "$CACHE/$suite-timescale.log"; die "could not install TimescaleDB on $suite"; }
chroot_timed "test beside TimescaleDB on $suite" \
	"LASTFLUSS_TEST_TIMESCALE=1 TESTS='${TESTS:-}' make test ${WERROR:+WERROR=1}" || failed=1
printf '%s\n' "${timings[@]}" >&2
exit "$failed"
