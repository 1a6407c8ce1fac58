#!/bin/bash
#
# make test-package: the archives of "make dist", and the Debian packages made from them.
# Root.
#
# Of what is committed: archives made twice have equal bytes, META.json agrees with
# lastfluss.control; the packages are built in a chroot, and installed in another one that
# has nothing of what building needs, where debian/tests/installed must work.
#
#   SUITE=trixie      another release than this machine's default
#   CACHE=DIRECTORY   where the image of the system is kept

set -eu

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=src/test/lib.sh
. "$here/lib.sh"
# shellcheck source=src/test/chroot.sh
. "$here/chroot.sh"

checkout=$(cd "$here/../.." && pwd)
work=

tidy()
{
	chroot_remove
	[ -z "$work" ] || rm -rf "$work"
}

# make_dist DIRECTORY: a clone there, with its archives.
make_dist()
{
	git clone --quiet --no-hardlinks "$checkout" "$1"
	make -s -C "$1" dist
}

# Twice, by somebody else in another place of the world.
check_dist()
{
	local file
	local files=0

	(umask 077 && TZ=Pacific/Auckland make_dist "$work/once")
	(umask 002 && TZ=UTC && sleep 1 && make_dist "$work/twice")
	for file in "$work"/once/lastfluss-*.{tar.gz,zip}
	do
		cmp "$file" "$work/twice/${file##*/}" || die "two archives of one commit differ"
		files=$((files + 1))
	done
	[ "$files" -eq 2 ] || die "make dist has made $files archives"
	say "archives: equal bytes when made twice"
}

# PGXN wants three numbers.
check_meta()
{
	perl -MJSON::PP -e '
		my ($meta, $control) = map { local (@ARGV, $/) = $_; <> } "META.json", "lastfluss.control";
		$meta = decode_json($meta);
		my ($version) = $control =~ /^default_version = .(.*).$/m or die "lastfluss.control has no version\n";
		for ($meta, $meta->{provides}{lastfluss})
		{
			$_->{version} =~ /^\Q$version\E\.\d+$/ or die "META.json: version $_->{version}, not $version\n";
		}
		-f $meta->{provides}{lastfluss}{$_} or die "META.json: no $_\n" for qw(file docfile);
		$meta->{$_} or die "META.json: no $_\n" for qw(name abstract maintainer license meta-spec);
	' || die "META.json is wrong"
	say "META.json: agrees with lastfluss.control"
}

# A new chroot with the archive unpacked in it.
start()
{
	local archive

	chroot_unpack "$suite"
	archive=$(echo "$work"/once/lastfluss-*.tar.gz)
	mkdir "$root/root/lastfluss"
	tar -x -C "$root/root/lastfluss" --strip-components=1 -f "$archive"
	name=${archive##*/}
	name=${name%.tar.gz}
	# as Debian's tools call it
	cp "$archive" "$root/root/lastfluss_${name#lastfluss-}.orig.tar.gz"
}

build()
{
	start
	chroot_timed "building the packages on $suite" '
		export DEBIAN_FRONTEND=noninteractive
		apt-get update --quiet
		apt-get install --yes --quiet --no-install-recommends -o Dpkg::Use-Pty=0 \
			build-essential debhelper libyaml-dev postgresql-server-dev-all
		pg_buildext updatecontrol
		dpkg-buildpackage --unsigned-source --unsigned-changes' >"$work/build.log" 2>&1 ||
		{ tail -n 60 "$work/build.log"; die "could not build the packages"; }
	mkdir "$work/packages"
	cp "$root"/root/*.deb "$work/packages/"
	chroot_remove
}

# What comes with the packages alone, and the exporter.
try()
{
	start
	cp -r "$work/packages" "$root/root/packages"
	rm "$root"/root/packages/*-dbgsym_*.deb
	# shellcheck disable=SC2016  # expands inside
	chroot_timed "installing and trying them" '
		export DEBIAN_FRONTEND=noninteractive
		apt-get update --quiet
		mkdir -p /etc/postgresql-common/createcluster.d
		echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.d/none.conf
		apt-get install --yes --quiet --no-install-recommends -o Dpkg::Use-Pty=0 \
			../packages/*.deb softflowd perl
		! command -v cc
		dpkg --contents "$(ls ../packages/*.deb | head -n 1)"
		echo "== debian/tests/installed"
		debian/tests/installed
		echo "== it works"' >"$work/try.log" 2>&1 ||
		{ tail -n 60 "$work/try.log"; die "the packages do not work"; }
	sed -n '/^== debian/,$p' "$work/try.log"
	chroot_remove
}

clean_environment
suite=${SUITE:-$(chroot_host_codename)}
trap tidy EXIT
trap 'exit 130' HUP INT TERM
work=$(mktemp -d)
cd "$checkout"
check_meta
check_dist
chroot_need
build
(cd "$work/packages" && ls -l -- *.deb)
try
printf '%s\n' "${timings[@]}"
