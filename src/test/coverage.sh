#!/bin/bash
#
# make coverage: which lines of src/flow/ the unit tests and the fuzzer's corpus
# reach.  Prints a line for each file and one for all; the build is in a directory of
# its own below /tmp, which is removed.
#
#   COVERAGE_MISSING=1    also prints the lines that nothing reaches
#   CC=gcc-13             another gcc, with GCOV=gcov-13

set -eu

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=src/test/lib.sh
. "$here/lib.sh"

work=$(mktemp -d /tmp/lastfluss-coverage.XXXXXX)
trap 'rm -rf "$work"' EXIT

# Each test is a program; all add to the same counts.  Without optimisation, which
# would make one line of several, and without sanitizers, whose branches count.
run_tests()
{
	make -k -j "$(nproc)" -C "$here/unit" BUILD="$work/build" SANITIZE= \
		CFLAGS='-g -O0 --coverage' check >"$work/log" 2>&1 ||
		{
			tail -n 40 "$work/log"
			die "a unit test failed; coverage is that of tests that pass"
		}
	# so many programs, none failed
	grep '^# [0-9]* programs' "$work/log"
}

# In a place from where ../../flow, which is what the objects know, are the sources.
read_counts()
{
	mkdir -p "$work/in/counts"
	ln -s "$(cd "$here/../flow" && pwd)" "$work/flow"
	cd "$work/in/counts"
	"${GCOV:-gcov}" --object-directory "$work/build/flow" --preserve-paths \
		"$work"/build/flow/*.gcda >"$work/log" 2>&1 || die "$(tail -n 5 "$work/log")"
}

# gcov writes "   12:  345:text", "#####" for a line that is not reached, "-" for one
# that is no code; lines of inline functions once for each file that includes them.
report()
{
	awk -F: -v missing="${COVERAGE_MISSING:-}" '
		FNR == 1 {
			file = FILENAME
			sub(/\.gcov$/, "", file)
			sub(/.*#flow#/, "src/flow/", file)
			files[++file_count] = file
		}
		{ gsub(/[ *]/, "", $1); line = $2 + 0 }
		line == 0 || $1 == "-" { next }
		{
			if (line > last[file])
				last[file] = line
			code[file, line] = 1
			if ($1 !~ /^[#=]/)
				reached[file, line] = 1
			text[file, line] = $0
		}
		END {
			for (i = 1; i <= file_count; i++)
				print_file(files[i])
			printf "%-24s %6d of %6d  %5.1f %%\n", "all", all_reached, all, 100 * all_reached / all
		}
		function print_file(file, line, lines, count, unreached) {
			for (line = 1; line <= last[file]; line++) {
				lines += code[file, line]
				count += reached[file, line]
				if (code[file, line] && !reached[file, line]) {
					sub(/^[^:]*:/, "", text[file, line])
					unreached = unreached "    " text[file, line] "\n"
				}
			}
			if (lines == 0)
				return
			all += lines
			all_reached += count
			printf "%-24s %6d of %6d  %5.1f %%\n%s", file, count, lines,
				100 * count / lines, missing ? unreached : ""
		}' "$@"
}

clean_environment
bash "$here/setup.sh" coverage
run_tests
read_counts
report ./*'#flow#'*.gcov
