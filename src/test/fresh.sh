#!/bin/bash
#
# make fresh: tries "make demo" and "make test" as the first commands on a Debian
# that has nothing but make, each in a new chroot, and prints the seconds.  Root.
#
#   SUITE=trixie      another release than this machine's default
#   STEPS=demo        only one of the two
#   CACHE=DIRECTORY   where the image of the system is kept

set -eu

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=src/test/lib.sh
. "$here/lib.sh"
# shellcheck source=src/test/chroot.sh
. "$here/chroot.sh"

default_suite()
{
	if chroot_is_ubuntu
	then
		chroot_host_codename
	else
		echo bookworm
	fi
}

# What is typed in there.  The server lives no longer than the process namespace
# of this one command, so that all three come together.
demo_commands()
{
	cat <<-'SH'
		started=$(date +%s)
		make demo
		echo "== make demo took $(($(date +%s) - started)) s"
		make demo-check
		make demo-stop
	SH
}

commands()
{
	case $1 in
		demo) demo_commands ;;
		test) echo "make test ${WERROR:+WERROR=1}" ;;
		*) die "no such step: $1" ;;
	esac
}

clean_environment
suite=${SUITE:-$(default_suite)}
checkout=$(cd "$here/../.." && pwd)
failed=0
for step in ${STEPS:-demo test}
do
	chroot_start "$suite" "$checkout"
	chroot_timed "$step on a fresh $suite" "$(commands "$step")" || failed=1
	chroot_remove
done
printf '%s\n' "${timings[@]}"
exit "$failed"
