# shellcheck shell=bash
#
# What the scripts beside this file share: finding PostgreSQL, the user its
# server runs as, a copy of the checkout, and a private installation.
#
# Why a private installation: the extension must be where the server looks for
# it, and PostgreSQL 15 to 17 look only below the directories they were
# installed in.  But a server finds these relative to its own executable, which
# is what PostgreSQL's "make check" builds on.  So "make install DESTDIR=..."
# into an empty directory, with copies of the server's programs and links to
# its libraries, gives a server with our extension, without root, without a
# change to the system, and without two runs that overwrite each other's build.
#
# Why a copy of the checkout: the server refuses to run as root, and the user
# that it runs as instead may be unable to read the checkout (below /root, say).

PG_MAJOR_MIN=15

say()
{
	printf '%s\n' "$*"
}

die()
{
	printf 'lastfluss: %s\n' "$*" >&2
	exit 1
}

# Our own calls of make and psql are not to be steered by the caller's.
clean_environment()
{
	unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES CDPATH
	unset PGDATA PGHOST PGHOSTADDR PGPORT PGUSER PGDATABASE PGPASSWORD PGPASSFILE
	unset PGSERVICE PGSERVICEFILE PGOPTIONS PGSSLMODE PGTZ PGAPPNAME PGCLIENTENCODING
	unset PERL5OPT PROVE_FLAGS
	export LC_ALL=C.UTF-8
	umask 022
}

# Major version of the PostgreSQL that the given pg_config belongs to.
pg_major()
{
	"$1" --version 2>/dev/null | sed -n 's/^PostgreSQL \([0-9][0-9]*\).*/\1/p'
}

# Whether the given pg_config has all that is needed to build and to run.
pg_usable()
{
	local major
	local program

	command -v "$1" >/dev/null 2>&1 || return 1
	major=$(pg_major "$1")
	[ -n "$major" ] && [ "$major" -ge "$PG_MAJOR_MIN" ] || return 1
	[ -f "$("$1" --pgxs)" ] || return 1
	[ -f "$("$1" --includedir-server)/postgres.h" ] || return 1
	for program in postgres initdb pg_ctl psql
	do
		[ -x "$("$1" --bindir)/$program" ] || return 1
	done
}

# Prints the path of the pg_config to work with: PG_CONFIG where it is set, else
# the newest usable one (Debian keeps one for each major version).
find_pg_config()
{
	local candidate

	if [ -n "${PG_CONFIG:-}" ]
	then
		pg_usable "$PG_CONFIG" && command -v "$PG_CONFIG"
		return
	fi
	while read -r candidate
	do
		pg_usable "$candidate" && command -v "$candidate" && return
	done < <(ls -vr /usr/lib/postgresql/*/bin/pg_config 2>/dev/null; echo pg_config)
	return 1
}

am_root()
{
	[ "$(id -u)" -eq 0 ]
}

# Prints the user that the server runs as.
server_user()
{
	if ! am_root
	then
		id -un
	elif getent passwd postgres >/dev/null
	then
		echo postgres
	else
		echo nobody
	fi
}

# Becomes that user and the given command, in the current directory.
exec_as_server_user()
{
	local user

	if ! am_root
	then
		exec "$@"
	fi
	user=$(server_user)
	exec setpriv --reuid="$user" --regid="$(id -gn "$user")" --init-groups \
		env HOME=/ USER="$user" LOGNAME="$user" "$@"
}

# Runs a command as that user.
as_server_user()
{
	(exec_as_server_user "$@")
}

# Copies the checkout without what a build or a run left in it.  Git knows best
# what that is; where it is missing, the names are told by hand.
copy_tree()
{
	local from=$1
	local to=$2

	mkdir -p "$to"
	if git -C "$from" rev-parse --show-toplevel >/dev/null 2>&1
	then
		(cd "$from" && git ls-files -z --cached --others --exclude-standard |
			while IFS= read -r -d '' name
			do
				if [ -e "$name" ] || [ -L "$name" ]
				then
					printf '%s\0' "$name"
				fi
			done |
			tar -c --null --no-recursion -T - -f -) | tar -x -C "$to" -f -
	else
		tar -c -C "$from" --anchored --exclude=./.git --exclude=./demo \
			--exclude=./results --exclude=./tmp_check --exclude=./src/test/unit/build \
			--exclude=./src/test/fuzz/build \
			--exclude=./src/test/generator/generator --no-anchored \
			--exclude='*.o' --exclude='*.so' --exclude='*.bc' -f - . | tar -x -C "$to" -f -
	fi
}

# Gives a copy of the checkout a neighbour "shared" where the checkout has one:
# a link where the server's user can follow it, else a copy.
copy_shared()
{
	local from=$1
	local to=$2

	[ -d "$from" ] || return 0
	from=$(readlink -f "$from")
	if as_server_user test -r "$from" && as_server_user test -x "$from"
	then
		ln -s "$from" "$to"
	else
		cp -r "$from" "$to"
	fi
}

# Links all of one directory into another, except what is there already.
link_missing()
{
	local entry

	mkdir -p "$2"
	for entry in "$1"/*
	do
		[ -e "$2/${entry##*/}" ] || ln -s "$entry" "$2/"
	done
}

# private_installation TREE ROOT PG_CONFIG: builds the tree and installs it
# together with the server below ROOT.  The programs must be copies, as the
# server resolves links before it looks where it is.
private_installation()
{
	local tree=$1
	local root=$2
	local pg_config=$3
	local bindir
	local sharedir
	local pkglibdir

	bindir=$("$pg_config" --bindir)
	sharedir=$("$pg_config" --sharedir)
	pkglibdir=$("$pg_config" --pkglibdir)

	# Without bitcode: it is of no use here, and needs clang.
	make -s -C "$tree" -j "$(nproc)" PG_CONFIG="$pg_config" with_llvm=no \
		${WERROR:+WERROR=1} all generator || return
	make -s -C "$tree" PG_CONFIG="$pg_config" with_llvm=no DESTDIR="$root" install || return

	mkdir -p "$root$bindir"
	cp -L "$bindir"/* "$root$bindir/"
	link_missing "$pkglibdir" "$root$pkglibdir"
	link_missing "$sharedir/extension" "$root$sharedir/extension"
	link_missing "$sharedir" "$root$sharedir"
}

# Prints a port of 127.0.0.1 that nobody has: free_port tcp, free_port udp.
free_port()
{
	perl -MSocket -e '
		my ($type, $proto) = $ARGV[0] eq "udp" ? (SOCK_DGRAM, 17) : (SOCK_STREAM, 6);
		socket(my $s, PF_INET, $type, $proto) or die "socket: $!\n";
		bind($s, sockaddr_in(0, INADDR_LOOPBACK)) or die "bind: $!\n";
		print +(sockaddr_in(getsockname($s)))[0], "\n";' "$1"
}
