#!/bin/bash
#
# make test-upgrade: pg_upgrade with data from the PostgreSQL of one Debian release to that
# of a later one, in a chroot of the later one (root).
#
#   OLD=bookworm SUITE=trixie
#   CACHE=DIRECTORY   where the image of the system is kept

set -eu

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=src/test/lib.sh
. "$here/lib.sh"
# shellcheck source=src/test/chroot.sh
. "$here/chroot.sh"

suite=${SUITE:-trixie}
old=${OLD:-bookworm}

# The newer server comes first; then the older one, from the older release.  The
# extension goes into the older one as a user would install it; run.sh makes a private
# installation of the newer one, as always.
install_both()
{
	chroot_find_mirror
	# shellcheck disable=SC2016  # expands inside
	chroot_timed "both servers on $suite" '
		bash src/test/setup.sh test
		echo "deb '"$mirror $old $components"'" >/etc/apt/sources.list.d/old.list
		apt-get update --quiet
		major=$(apt-cache madison postgresql | sed -n "s/.*| *\([0-9]*\)+.*'" $old"'\/.*/\1/p" | head -n 1)
		DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet --no-install-recommends \
			-o Dpkg::Use-Pty=0 "postgresql-$major" "postgresql-server-dev-$major"
		make -j "$(nproc)" with_llvm=no PG_CONFIG="/usr/lib/postgresql/$major/bin/pg_config"
		make install with_llvm=no PG_CONFIG="/usr/lib/postgresql/$major/bin/pg_config"
		make clean with_llvm=no PG_CONFIG="/usr/lib/postgresql/$major/bin/pg_config"
		echo "/usr/lib/postgresql/$major" >/root/old'
}

clean_environment
chroot_start "$suite" "$(cd "$here/../.." && pwd)"
failed=0
install_both >"$CACHE/$suite-upgrade.log" 2>&1 ||
	{ tail -n 40 "$CACHE/$suite-upgrade.log"; die "could not install both servers"; }
chroot_timed "pg_upgrade from $(basename "$(cat "$root/root/old")")" \
	"LASTFLUSS_OLD=$(cat "$root/root/old") TAP_FILES=src/test/long/pg_upgrade.pl TESTS=pg_upgrade VERBOSE=1 make test ${WERROR:+WERROR=1}" || failed=1
printf '%s\n' "${timings[@]}" >&2
exit "$failed"
