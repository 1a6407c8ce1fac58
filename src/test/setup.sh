#!/bin/bash
#
# setup.sh demo|test|bench|fuzz|coverage|chroot: installs what building and running
# needs and this machine lacks, by apt, as root or with a sudo that asks for no password.
# Otherwise it prints the line to type.  Says and does nothing when nothing is
# missing.
#
# It looks for the things themselves rather than for packages, so that a machine
# where they came another way is as good.

set -eu

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=src/test/lib.sh
. "$here/lib.sh"

purpose=${1:-test}
missing=()          # packages without which nothing works
missing_optional=() # packages whose tests or benches are skipped otherwise

have()
{
	command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ]
}

have_header()
{
	printf '#include <%s>\n' "$@" | cc -E -x c - >/dev/null 2>&1
}

have_cmocka()
{
	have_header stdarg.h stddef.h stdint.h setjmp.h cmocka.h
}

# Clang comes without the library for its fuzzer in some distributions.
have_fuzzer()
{
	echo 'int LLVMFuzzerTestOneInput(const char *d, long n) { return d && n < 0; }' |
		"${CC:-clang}" -fsanitize=fuzzer,address,undefined -o /dev/null -x c - >/dev/null 2>&1
}

look_for_compiler()
{
	have cc && have_header stdio.h || missing+=(gcc libc6-dev)
	have make || missing+=(make)
}

# The library of the fuzzer has the version of clang in its name.
fuzzer_package()
{
	apt-cache depends clang 2>/dev/null |
		sed -n 's/.*Depends: clang-\([0-9]*\)$/libclang-rt-\1-dev/p' | head -n 1
}

look_for_fuzzer()
{
	local package

	have_fuzzer && have llvm-symbolizer && return
	missing+=(clang llvm)
	package=$(fuzzer_package)
	if [ -n "$package" ] && apt-cache show "$package" >/dev/null 2>&1
	then
		missing+=("$package")
	fi
}

look_for_coverage()
{
	have gcov || missing+=(gcc)
	have_cmocka || missing+=(libcmocka-dev)
}

look_for_tools()
{
	look_for_compiler
	have_header yaml.h || missing+=(libyaml-dev)
	if [ "$purpose" = test ]
	then
		have prove || missing+=(perl)
		perl -MIPC::Run -e 1 2>/dev/null || missing+=(libipc-run-perl)
		perl -MYAML::XS -e 1 2>/dev/null || missing+=(libyaml-libyaml-perl)
		have_cmocka || missing+=(libcmocka-dev)
		have softflowd || missing_optional+=(softflowd)
		have pmacctd || missing_optional+=(pmacct)
		have ip || missing_optional+=(iproute2)
		have rrdtool || missing_optional+=(rrdtool)
		[ "${CHECKER:-}" != valgrind ] || have valgrind || missing+=(valgrind libc6-dbg)
	fi
	if [ "$purpose" = bench ]
	then
		have nfcapd || missing_optional+=(nfdump)
		have nfacctd || missing_optional+=(pmacct)
	fi
}

# The major version to complete: the newest that is here in part, else the one
# that the distribution calls "postgresql".  Empty when there is none.
postgresql_major()
{
	local major

	major=$(find /usr/lib/postgresql -path '*/bin/postgres' 2>/dev/null |
		sed 's|.*/postgresql/\([0-9]*\)/.*|\1|' | sort -n | tail -n 1)
	if [ -z "$major" ] || [ "$major" -lt "$PG_MAJOR_MIN" ]
	then
		major=$(apt-cache depends postgresql 2>/dev/null |
			sed -n 's/.*Depends: postgresql-\([0-9]*\)$/\1/p' | head -n 1)
	fi
	echo "$major"
}

look_for_postgresql()
{
	local major

	find_pg_config >/dev/null && return
	[ -z "${PG_CONFIG:-}" ] ||
		die "PG_CONFIG=$PG_CONFIG is no PostgreSQL $PG_MAJOR_MIN or later with server and headers"
	major=$(postgresql_major)
	if [ -z "$major" ]
	then
		missing+=(postgresql postgresql-server-dev-all)
		return
	fi
	[ "$major" -ge "$PG_MAJOR_MIN" ] ||
		die "this system's PostgreSQL is $major, and $PG_MAJOR_MIN or later is needed;" \
			"add PostgreSQL's own package archive first"
	[ -x "/usr/lib/postgresql/$major/bin/postgres" ] || missing+=("postgresql-$major")
	[ -f "/usr/include/postgresql/$major/server/postgres.h" ] &&
		[ -x "/usr/lib/postgresql/$major/bin/pg_config" ] ||
		missing+=("postgresql-server-dev-$major")
}

look()
{
	missing=()
	missing_optional=()
	case $purpose in
		fuzz)
			look_for_compiler
			look_for_fuzzer
			;;
		coverage)
			look_for_compiler
			look_for_coverage
			;;
		chroot)
			have debootstrap || missing+=(debootstrap)
			have unshare || missing+=(util-linux)
			;;
		*)
			look_for_tools
			look_for_postgresql
			;;
	esac
}

# Prints how to become root: nothing, "sudo -n", or failure.
root_prefix()
{
	if am_root
	then
		echo env
	elif have sudo && sudo -n true 2>/dev/null
	then
		echo "sudo -n"
	else
		return 1
	fi
}

# Keeps a package that is missing here and unknown to apt from failing it all.
drop_unknown()
{
	local package

	for package in "${missing_optional[@]}"
	do
		if apt-cache show "$package" >/dev/null 2>&1
		then
			missing+=("$package")
		else
			say "no package $package here; what needs it will be skipped"
		fi
	done
}

# Runs apt with two files in place for as long as it runs: a server's package
# creates and starts a cluster on its first installation, and softflowd's, pmacct's
# and nfdump's have services.  We need the programs only.
install_missing()
{
	local as_root=$1
	shift
	# shellcheck disable=SC2016,SC2086  # runs elsewhere; the prefix is words
	$as_root bash -eu -c '
		conf=/etc/postgresql-common/createcluster.d/lastfluss-setup.conf
		policy=/usr/sbin/policy-rc.d
		made_policy=

		tidy()
		{
			rm -f "$conf"
			if [ -n "$made_policy" ]; then rm -f "$policy"; fi
			# there before us, or filled by the package: stays
			rmdir "${conf%/*}" 2>/dev/null || :
		}
		trap tidy EXIT
		trap "exit 1" HUP INT TERM

		mkdir -p "${conf%/*}"
		echo "create_main_cluster = false" >"$conf"
		if [ ! -e "$policy" ]
		then
			made_policy=yes
			printf "%s\n" "#!/bin/sh" "case \"\$*\" in" \
				"*postgresql*|*softflowd*|*acctd*|*nfdump*) exit 101 ;;" "esac" "exit 0" >"$policy"
			chmod 755 "$policy"
		fi
		export DEBIAN_FRONTEND=noninteractive
		apt-get install --yes --no-install-recommends --no-upgrade \
			-o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 -o Acquire::Retries=3 "$@"
	' bash "$@"
}

# Runs a command and shows what it said only if it failed: apt has a line for
# each of a hundred packages.
quietly()
{
	local log
	local status=0

	log=$(mktemp)
	"$@" >"$log" 2>&1 </dev/null || status=$?
	[ "$status" -eq 0 ] || tail -n 40 "$log" >&2
	rm -f "$log"
	[ "$status" -eq 0 ] || die "could not install packages"
}

main()
{
	local prefix

	look
	[ $((${#missing[@]} + ${#missing_optional[@]})) -gt 0 ] || return 0

	have apt-get ||
		die "missing here: ${missing[*]} (names of Debian's packages); install them and try again"
	if ! prefix=$(root_prefix)
	then
		[ ${#missing[@]} -gt 0 ] || return 0
		die "needs packages that are not installed, and root to install them; as root type

    apt-get install --no-install-recommends ${missing[*]} ${missing_optional[*]}

and try again"
	fi

	say "== looking for what is missing here"
	# shellcheck disable=SC2086
	quietly $prefix apt-get update -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3
	look # the lists may name a version that was unknown before
	drop_unknown
	say "== installing ${missing[*]} (a minute or two)"
	quietly install_missing "$prefix" "${missing[@]}"

	look
	[ ${#missing[@]} -eq 0 ] || die "still missing after the installation: ${missing[*]}"
}

main
