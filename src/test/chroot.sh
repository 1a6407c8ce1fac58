# shellcheck shell=bash
#
# Fresh Debian (or Ubuntu) systems in a directory, for scripts that source this.
#
# A script calls chroot_run and leaves the rest to it.  The system is unpacked
# from an image that debootstrap makes once and that is kept in CACHE for a week.
# Commands run there in a mount and a process namespace of their own: when the
# first process ends, everything it left running and mounted is gone, however it
# ended, and nothing but a directory is left to remove.
#
# The mirror is the one that this machine's apt uses; MIRROR and SECURITY_MIRROR
# name others.

CACHE=${CACHE:-${TMPDIR:-/tmp}/lastfluss-chroots}
IMAGE_DAYS=7

chroot_need()
{
	am_root || die "a chroot needs root"
	# shellcheck disable=SC2154  # of the script that sources this
	bash "$here/setup.sh" chroot
}

# Prints "URI release" of each binary archive that apt knows.  Apt itself reads
# its sources, in whichever format they are written.
chroot_archives()
{
	# shellcheck disable=SC2016  # apt expands these
	apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' |
		grep -E '^https?://' | sort -u
}

# chroot_mirror RELEASE: prints the archive that apt has this release from.
chroot_mirror()
{
	chroot_archives | awk -v release="$1" '$2 == release && !found { print $1; found = 1 }'
}

# Prints the code name of this machine's own release.
chroot_host_codename()
{
	# shellcheck disable=SC1091
	(. /etc/os-release && echo "${VERSION_CODENAME:-}")
}

chroot_is_ubuntu()
{
	[ "$(. /etc/os-release && echo "${ID:-}")" = ubuntu ]
}

# Sets mirror (empty where there is none), security and components.  A mirror
# carries all releases, so the one that serves this machine's release serves
# SUITE as well.
chroot_find_mirror()
{
	local codename

	codename=$(chroot_host_codename)
	# apt tells of no archive whose lists it has not fetched
	[ -n "${MIRROR:-}" ] || [ -n "$(chroot_archives)" ] ||
		apt-get update --quiet -o DPkg::Lock::Timeout=300 >/dev/null 2>&1 || :
	mirror=${MIRROR:-$(chroot_mirror "$codename")}
	security=${SECURITY_MIRROR:-$(chroot_mirror "$codename-security")}
	components=main
	if chroot_is_ubuntu
	then
		components="main universe"
	fi
}

# chroot_has_release URI RELEASE: whether the archive has it, and can be reached, by
# apt's own way to it.
chroot_has_release()
{
	local file
	local status=0

	file=$(mktemp)
	timeout 60 /usr/lib/apt/apt-helper -o Acquire::Retries=3 download-file \
		"${1%/}/dists/$2/InRelease" "$file" >/dev/null 2>&1 || status=$?
	rm -f "$file"
	return "$status"
}

# chroot_write_apt ROOT SUITE: the archives, and how this machine reaches them.
chroot_write_apt()
{
	local root=$1
	local suite=$2

	{
		echo "deb $mirror $suite $components"
		# unstable has none
		[ -z "$security" ] || ! chroot_has_release "$security" "$suite-security" ||
			echo "deb $security $suite-security $components"
	} >"$root/etc/apt/sources.list"
	apt-config dump | grep -E '^Acquire::(https?|Check|Force|Retries)[A-Za-z0-9:-]* "[^"]+";' >"$root/etc/apt/apt.conf.d/99host" || :
	cp /etc/resolv.conf /etc/hosts "$root/etc/"
}

# Service starts are forbidden, and nothing there is worth a sync of the disk.
chroot_write_policy()
{
	local root=$1

	printf '%s\n' '#!/bin/sh' 'exit 101' >"$root/usr/sbin/policy-rc.d"
	chmod 755 "$root/usr/sbin/policy-rc.d"
	echo force-unsafe-io >"$root/etc/dpkg/dpkg.cfg.d/unsafe-io"
}

# chroot_enter ROOT COMMAND...: runs a command in there, as root, with nothing of
# our environment.
chroot_pid=

chroot_enter()
{
	local root=$1
	local status
	shift

	# In the background and waited for, so that a signal is obeyed at once;
	# --kill-child then ends the first process in there, and with it all others.
	# shellcheck disable=SC2016  # expands inside
	unshare --mount --propagation private --pid --fork --kill-child \
		bash -eu -c '
			root=$1
			shift
			mount -t proc proc "$root/proc"
			mkdir -p "$root/dev/shm" "$root/dev/pts"
			mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$root/dev/shm"
			mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 devpts "$root/dev/pts"
			exec chroot "$root" "$@"
		' bash "$root" \
		env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
		HOME=/root LANG=C.UTF-8 TERM=dumb CI=true "$@" </dev/null &
	chroot_pid=$!
	wait "$chroot_pid" && status=0 || status=$?
	chroot_pid=
	return "$status"
}

chroot_image_fresh()
{
	[ -f "$1" ] && [ -z "$(find "$1" -mtime +"$IMAGE_DAYS")" ]
}

# chroot_script SUITE: prints by which script debootstrap makes it, where that is not named
# after it: a release later than debootstrap itself is made as unstable is.
chroot_script()
{
	local scripts=/usr/share/debootstrap/scripts

	[ -e "$scripts/$1" ] || ! [ -e "$scripts/sid" ] || echo sid
}

# chroot_make_base SUITE IMAGE: a minimal system, with make as the only extra.
chroot_make_base()
{
	local suite=$1
	local image=$2

	chroot_find_mirror
	[ -n "$mirror" ] || die "no mirror found in apt's sources; name one with MIRROR="
	root=$(mktemp -d "$CACHE/root.XXXXXX")
	chmod 755 "$root" # it is somebody's "/", and goes into the image
	say "== debootstrap $suite"
	# shellcheck disable=SC2046  # nothing, or a word
	PATH=$PATH:/usr/sbin debootstrap --variant=minbase --include=make,ca-certificates \
		--components="${components// /,}" "$suite" "$root" "$mirror" $(chroot_script "$suite") >"$image.log" 2>&1 ||
		{ tail -n 20 "$image.log"; die "debootstrap failed; the whole log is in $image.log"; }
	chroot_write_apt "$root" "$suite"
	chroot_write_policy "$root"
	chroot_enter "$root" sh -c 'apt-get update --quiet && DEBIAN_FRONTEND=noninteractive apt-get dist-upgrade --yes --quiet && apt-get clean' \
		>>"$image.log" 2>&1 || { tail -n 20 "$image.log"; die "could not update $suite"; }
	chroot_pack "$image"
}

chroot_pack()
{
	tar -c -C "$root" --one-file-system --exclude=./proc/* -f "$1.new" .
	mv "$1.new" "$1"
	chroot_remove
}

# chroot_unpack SUITE: makes root, a fresh system.
chroot_unpack()
{
	local image=$CACHE/$1.tar

	mkdir -p "$CACHE"
	[ -O "$CACHE" ] || die "$CACHE belongs to somebody else; name another directory with CACHE="
	chroot_image_fresh "$image" || chroot_make_base "$1" "$image"
	root=$(mktemp -d "$CACHE/root.XXXXXX")
	tar -x -C "$root" -f "$image"
}

root=

chroot_remove()
{
	if [ -n "$chroot_pid" ]
	then
		kill -TERM "$chroot_pid" 2>/dev/null || :
		wait "$chroot_pid" || :
		chroot_pid=
	fi
	[ -z "$root" ] || rm -rf --one-file-system "$root"
	root=
}

# chroot_checkout CHECKOUT: puts the work tree, and the folder "shared" beside
# it, where the server's user cannot read them, to make it hard.
chroot_checkout()
{
	copy_tree "$1" "$root/root/lastfluss"
	if [ -d "$1/../shared" ]
	then
		cp -rL "$1/../shared" "$root/root/shared"
	fi
}

# chroot_timed NAME COMMAND...: runs a shell command in the checkout in there, and
# says how long it took.
chroot_timed()
{
	local name=$1
	local started=$SECONDS
	local status=0
	shift

	say "== $name"
	chroot_enter "$root" sh -e -c "cd /root/lastfluss; $*" || status=$?
	timings+=("$name: $((SECONDS - started)) s, status $status")
	return "$status"
}

timings=()

# chroot_start SUITE CHECKOUT: a fresh system with the checkout in it, which goes
# when the script ends.
chroot_start()
{
	chroot_need
	trap chroot_remove EXIT
	trap 'exit 130' HUP INT TERM
	chroot_unpack "$1"
	chroot_checkout "$2"
}
