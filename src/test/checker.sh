# shellcheck shell=bash
#
# The server under a checker of memory, for run.sh, which sources this: CHECKER=asan
# (AddressSanitizer and UBSan, in the extension) or CHECKER=valgrind (memcheck).
#
# In the private installation a script takes the place of "postgres", and starts the
# server itself under the checker.  What that finds goes to files in a directory
# "checker" of each test, what UBSan finds to the server's log, and fails the test, whatever
# the test itself says.  "tree" and "work" are run.sh's.
# shellcheck disable=SC2154

# With less optimization the places that reports name are those in the source.
checker_cflags='-O1 -g -fno-omit-frame-pointer'

# A server leaves to its end what it has allocated.  How deep its stack is it tells by the
# addresses of variables, which are to be on it.
checker_asan_options='abort_on_error=1:detect_leaks=0:detect_stack_use_after_return=0'

# Prints how many times as long all may take.
checker_slow()
{
	case ${CHECKER:-} in
		asan) echo 2 ;;
		valgrind) echo 6 ;;
		*) echo 1 ;;
	esac
}

# Dies where the checker is not here.
checker_need()
{
	case ${CHECKER:-} in
		'') ;;
		asan)
			[ -f "$(checker_asan_library)" ] || die "the compiler has no AddressSanitizer"
			;;
		valgrind)
			command -v valgrind >/dev/null || die "valgrind is not installed"
			;;
		*)
			die "CHECKER is asan or valgrind, not $CHECKER"
			;;
	esac
}

# checker_build COMMAND...: builds with what the checker needs.
checker_build()
{
	case ${CHECKER:-} in
		asan) COPT="$checker_cflags -fsanitize=address,undefined" "$@" ;;
		valgrind) COPT=$checker_cflags "$@" ;;
		*) "$@" ;;
	esac
}

checker_asan_library()
{
	"${CC:-cc}" -print-file-name=libasan.so
}

# The server was linked without AddressSanitizer, so that its library is loaded before all
# others, but initialized after them, at the first allocation.  Where a library's
# constructor makes that within bindtextdomain(), as libgpg-error's does, initializing asks
# for a message's translation and waits for ever for the lock that bindtextdomain() holds.
# So a library that is initialized before all others makes the first allocation.
checker_asan_first()
{
	cat >"$work/first.c" <<-'C'
		#include <stdlib.h>

		static void __attribute__((constructor))
		first(void)
		{
			void	   *volatile some = malloc(1);

			free(some);
		}
	C
	"${CC:-cc}" -shared -fPIC -Wl,-z,initfirst -o "$work/first.so" "$work/first.c"
}

# Prints the lines that start "$real" under the checker, with files in "$dir".
checker_start()
{
	case $CHECKER in
		asan)
			cat <<-SH
				export LD_PRELOAD='$(checker_asan_library) $work/first.so'
				export ASAN_OPTIONS="$checker_asan_options:log_path=\$dir/asan"
				export UBSAN_OPTIONS=print_stacktrace=1
				exec "\$real" "\$@"
			SH
			;;
		valgrind)
			cat <<-SH
				exec valgrind --quiet --leak-check=no --track-origins=yes --num-callers=40 \\
					--fullpath-after= --suppressions='$tree/src/test/valgrind.supp' \\
					--gen-suppressions=all --error-markers='== BEGIN,== END' \\
					--log-file="\$dir/valgrind.%p" "\$real" "\$@"
			SH
			;;
	esac
}

# checker_install BINDIR: puts the script there.  initdb runs the server many times, and
# without the extension: as it is.  "pg_ctl restart" would start the program that ran.
checker_install()
{
	[ -n "${CHECKER:-}" ] || return 0
	[ "$CHECKER" != asan ] || checker_asan_first || return
	mv "$1/postgres" "$1/postgres.real"
	cat >"$1/postgres" <<-SH
		#!/bin/bash
		real=\${0%/*}/postgres.real
		case \${1:-} in
			-V | --version | -C | --boot | --check | --single | --describe-config)
				exec "\$real" "\$@"
				;;
		esac
		dir=\${TESTLOGDIR:-$work/regress/log}/checker
		mkdir -p "\$dir"
		$(checker_start)
	SH
	mv "$1/pg_ctl" "$1/pg_ctl.real"
	cat >"$1/pg_ctl" <<-'SH'
		#!/bin/bash
		exec "${0%/*}/pg_ctl.real" "$@" -p "${0%/*}/postgres"
	SH
	chmod 755 "$1/postgres" "$1/pg_ctl"
}

# Prints what valgrind says of us: where the extension is in the stack, or made the memory.
# The rest is of the server, whose packages are not built for valgrind.
checker_valgrind_ours()
{
	awk -v ours="$tree/src/|/lastfluss\\.so" '
		/== BEGIN/ { block = ""; wanted = 0 }
		{ block = block $0 "\n" }
		$0 ~ ours { wanted = 1 }
		/== END/ && wanted { printf "%s", block }
		/== END/ { block = ""; wanted = 0 }
		END { if (wanted) printf "%s", block }' "$@"
}

# checker_findings DIRECTORY: shows what was found in a test's directory; false where it
# is something, and where it holds none of the files that valgrind always makes.
checker_findings()
{
	local dir=$1/log/checker
	local found=$1/found

	: >"$found"
	case ${CHECKER:-} in
		asan)
			cat "$dir"/asan.* >"$found" 2>/dev/null || :
			;;
		valgrind)
			compgen -G "$dir/valgrind.*" >/dev/null || say "no server ran under valgrind" >"$found"
			[ -s "$found" ] || checker_valgrind_ours "$dir"/valgrind.* >"$found"
			;;
	esac
	[ -s "$found" ] || return 0
	say "---- what ${CHECKER:-} found"
	head -n 200 "$found"
	return 1
}
