#!/bin/bash
#
# make test: builds the checkout, and runs the unit tests, pg_regress and the TAP
# tests, each part with a time limit.  Ends with what passed, failed and was
# skipped, and why; the last line is "N passed, N failed, N skipped", counting
# the functions of the unit tests, the files of pg_regress and the points of the
# TAP tests.  Fails when one failed, and when nothing ran.
#
# All of it happens in a directory of its own below /tmp, in a copy of the
# checkout (see lib.sh), so that two runs cannot meet.  That directory is removed
# when all is well.
#
#   WERROR=1              warnings are errors
#   TESTS='001 spread'    only TAP tests and regress files whose name has one of these
#   KEEP=1                keep the directory
#   TAP_LIMIT=1200        seconds that a TAP test may take
#   JOBS=2                so many TAP tests side by side: most of their time they wait
#   SLOW=4                all limits times that, those within the TAP tests too: for a slow
#                         machine (CHECKER sets it)
#   VERBOSE=1             show what the TAP tests say
#   TAP_FILES='a.pl b.pl' these files instead of src/test/t/*.pl
#   LASTFLUSS_TEST_TIMESCALE=1   for the tests: TimescaleDB must be there
#   LASTFLUSS_TEST_CITUS=1       for the tests: Citus must be there
#   LASTFLUSS_TEST_ON=citus      the tests' servers are Citus clusters of one node each
#   CHECKER=asan          under a checker of memory, or "valgrind" (checker.sh); no unit
#                         tests, which have theirs
#   PG_CONFIG=...         this PostgreSQL, and not the newest that is installed

set -eu

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=src/test/lib.sh
. "$here/lib.sh"
# shellcheck source=src/test/checker.sh
. "$here/checker.sh"

# Seconds.  A TAP test that waits for several intervals takes a minute.
slow=${SLOW:-$(checker_slow)}
build_limit=$((600 * slow))
unit_limit=$((600 * slow))
regress_limit=$((300 * slow))
tap_limit=${TAP_LIMIT:-$((600 * slow))}
export PG_TEST_TIMEOUT_DEFAULT=${PG_TEST_TIMEOUT_DEFAULT:-$((90 * slow))}
export PGCTLTIMEOUT=${PGCTLTIMEOUT:-$((60 * slow))}

#
# Outside: set-up, the copy, and the summary's exit status.
#

# Ends the servers that a test left behind, by the pid files in their data
# directories, which are all below ours.
stop_servers()
{
	local pid_file

	find "$work" -name postmaster.pid 2>/dev/null | while read -r pid_file
	do
		as_server_user "$(pgbin)/pg_ctl" stop -D "${pid_file%/*}" -m immediate >/dev/null 2>&1 || :
	done
}

inside_pid=

tidy()
{
	local status=$?

	trap - EXIT
	if [ -n "$inside_pid" ]
	then
		kill -TERM "$inside_pid" 2>/dev/null || :
		wait "$inside_pid" || :
	fi
	stop_servers
	if [ -n "${KEEP:-}" ] || { [ "$status" -ne 0 ] && [ -z "${CI:-}" ]; }
	then
		say "kept: $work" >&2
	else
		rm -rf "$work"
	fi
	exit "$status"
}

pgbin()
{
	echo "$work/pgsql$("$pg_config" --bindir)"
}

# Dies where this PostgreSQL has not what tests need: one of one's own may lack that.
testable()
{
	local library

	library=$(dirname "$("$pg_config" --pgxs)")/../test/perl/PostgreSQL/Test/Cluster.pm
	[ -f "$library" ] ||
		die "$pg_config is of a PostgreSQL without its Perl modules for tests;" \
			"configure it with --enable-tap-tests, and install it again"
	as_server_user test -r "$library" ||
		die "$library cannot be read by the user $(server_user), whom the tests run as"
}

outside()
{
	local checkout
	local status

	bash "$here/setup.sh" test
	checker_need
	pg_config=$(find_pg_config) || die "no PostgreSQL $PG_MAJOR_MIN or later to test with"
	testable

	checkout=$(cd "$here/../.." && pwd)
	work=$(mktemp -d /tmp/lastfluss-test.XXXXXX)
	trap tidy EXIT
	trap 'exit 130' HUP INT TERM
	copy_tree "$checkout" "$work/lastfluss"
	copy_shared "$checkout/../shared" "$work/shared"
	if am_root
	then
		chown -R -P "$(server_user):" "$work"
	fi

	# In the background and waited for, so that a signal is obeyed at once.
	cd "$work/lastfluss"
	(exec_as_server_user bash src/test/run.sh --inside "$work" "$pg_config") </dev/null &
	inside_pid=$!
	wait "$inside_pid" && status=0 || status=$?
	inside_pid=
	return "$status"
}

#
# Inside: as the server's user, in the copy.
#

all_passed=0
all_failed=0
all_skipped=0

# result PART PASSED FAILED SKIPPED: notes a line of the summary.
result()
{
	printf '%-12s %8d %8d %8d\n' "$@" >>"$work/summary"
	all_passed=$((all_passed + $2))
	all_failed=$((all_failed + $3))
	all_skipped=$((all_skipped + $4))
}

# note TEXT...: a reason that the summary gives.
note()
{
	say "$*" >>"$work/reasons"
}

count()
{
	grep -c -E "$1" "$2" || :
}

step_pid=

# step LIMIT LOG COMMAND...: runs a command with a limit of seconds.
step()
{
	local limit=$1
	local log=$2
	local status=0
	shift 2

	# waited for, so that our trap for signals can run; timeout hands them on
	timeout --kill-after=20 "$limit" "$@" >"$log" 2>&1 &
	step_pid=$!
	wait "$step_pid" || status=$?
	step_pid=
	if [ "$status" -eq 124 ] || [ "$status" -eq 137 ]
	then
		say "stopped: the limit of $limit seconds is over" >>"$log"
	fi
	return "$status"
}

wanted()
{
	local word

	[ -n "${TESTS:-}" ] || return 0
	for word in $TESTS
	do
		case $1 in *"$word"*) return 0 ;; esac
	done
	return 1
}

show_tail()
{
	say "---- the end of $1"
	tail -n "${2:-60}" "$1"
	say "----"
}

build()
{
	local log=$work/build.log

	say "== build with $("$pg_config" --version)"
	# shellcheck disable=SC2016  # expands there
	if checker_build step "$build_limit" "$log" \
		bash -eu -c '. "$0"; private_installation "$@"' \
		src/test/lib.sh "$tree" "$work/pgsql" "$pg_config" &&
		checker_install "$(pgbin)"
	then
		grep -E 'warning:' "$log" || :
	else
		show_tail "$log"
		note "failed: the build"
		result build 0 1 0
		return 1
	fi
}

# Adds up cmocka's "[  FAILED  ] 2 test(s), listed below:" of several programs;
# later versions of it put the group's name and a colon before the number.
sum_of_listed()
{
	sed -n -E "s/^\[ *$1 *\] (.*: )?([0-9]+) test\(s\), listed.*/\2/p" "$2" |
		awk '{ sum += $1 } END { print sum + 0 }'
}

run_unit()
{
	local log=$work/unit.log
	local status=0
	local passed
	local failed
	local skipped

	say "== unit tests"
	step "$unit_limit" "$log" make -k -j "$(nproc)" -C src/test/unit \
		${WERROR:+WERROR=1} check || status=$?
	passed=$(count '^\[ +OK +\] ' "$log")
	failed=$(sum_of_listed FAILED "$log")
	skipped=$(sum_of_listed SKIPPED "$log")
	# a program that crashed or did not build has no line of its own
	if [ "$status" -ne 0 ] && [ "$failed" -eq 0 ]
	then
		failed=1
	fi
	if [ "$failed" -gt 0 ]
	then
		grep -E '^\[ +FAILED|^\[ +ERROR|ERROR: |runtime error|error:|Error [0-9]|FAILED$' "$log" | head -n 60 || :
		show_tail "$log"
		note "failed: unit tests ($(grep -E '^# .* FAILED$' "$log" | sed 's/^# //; s/ FAILED$//' | paste -sd' '))"
	fi
	sed -n -e '/ test(s), listed/d' -e 's/^\[ *SKIPPED *\] /skipped: unit test /p' "$log" >>"$work/reasons"
	result unit "$passed" "$failed" "$skipped"
}

# What no server is to say, whatever a test does to it: that something was false, that memory
# is damaged (a server with assertions looks), that something was left open, or what UBSan says,
# which is where it says it.
server_faults='TRAP: |: runtime error: |problem in alloc set|detected write past chunk end|terminated by signal (4|6|7|8|11):|WARNING: .*( leak: |resource was not closed)'

# findings DIRECTORY: shows what servers said or did there that is wrong whatever the test
# itself says; false where it is something.
findings()
{
	local status=0

	checker_findings "$1" || status=1
	find "$1" -name '*.log' ! -name 'prove.log' ! -name 'regress_log*' -print0 |
		xargs -0 -r grep -h -A 8 -E "$server_faults" >"$1/faults" || :
	if [ -s "$1/faults" ]
	then
		say "---- what no server is to say"
		head -n 60 "$1/faults"
		status=1
	fi
	return "$status"
}

# A server for pg_regress: reached by its socket only, in a directory of ours.
regress_server()
{
	local data=$work/regress/data

	mkdir -p "$work/regress/socket"
	initdb -D "$data" -U postgres --auth=trust --encoding=UTF8 --locale=C.UTF-8 --no-sync
	cat >>"$data/postgresql.conf" <<-CONF
		listen_addresses = ''
		unix_socket_directories = '$work/regress/socket'
		fsync = off
		max_connections = 40
		log_line_prefix = '%m [%p] %b '
		include '$tree/src/test/regress.conf'
	CONF
	pg_ctl start -w -D "$data" -l "$work/regress/server.log"
}

run_regress()
{
	local names=()
	local name
	local log=$work/regress.log
	local status=0
	local passed
	local failed

	for name in $(make -s show-regress)
	do
		if wanted "$name"
		then
			names+=("$name")
		fi
	done
	[ ${#names[@]} -gt 0 ] || return 0

	say "== regress: ${names[*]}"
	mkdir -p "$work/regress/out"
	export -f regress_server
	if ! step $((120 * slow)) "$work/regress/start.log" env work="$work" tree="$tree" bash -eu -c regress_server
	then
		show_tail "$work/regress/start.log"
		[ ! -f "$work/regress/server.log" ] || show_tail "$work/regress/server.log"
		note "failed: the server for pg_regress did not start"
		result regress 0 1 0
		return
	fi
	step "$regress_limit" "$log" "$PG_REGRESS" --inputdir=. --outputdir="$work/regress/out" \
		--bindir="$(pgbin)" --host="$work/regress/socket" --port=5432 --user=postgres \
		--dbname=contrib_regression "${names[@]}" || status=$?
	pg_ctl stop -m fast -D "$work/regress/data" >/dev/null || note "failed: the server for pg_regress did not stop"
	findings "$work/regress" || status=1

	# PostgreSQL 15 writes "test x ... ok", 16 and later write TAP
	passed=$(count '^(test .*\.\.\. ok|ok [0-9])' "$log")
	failed=$(count '^(test .*\.\.\. FAILED|not ok [0-9])' "$log")
	if [ "$status" -ne 0 ] && [ "$failed" -eq 0 ]
	then
		failed=1
	fi
	if [ "$failed" -gt 0 ]
	then
		show_tail "$log"
		[ ! -s "$work/regress/out/regression.diffs" ] || head -n 400 "$work/regress/out/regression.diffs"
		show_tail "$work/regress/server.log" 30
		note "failed: regress ($(sed -n -E 's/^test +([^ ]+) .*FAILED.*/\1/p; s/^not ok [0-9]+ +[-+] ([^ ]+).*/\1/p' "$log" | paste -sd' '))"
	fi
	result regress "$passed" "$failed" 0
}

# One TAP test.  Sets tap_passed, tap_failed, tap_skipped.
run_tap_file()
{
	local file=$1
	local name
	local dir
	local log
	local status=0

	name=$(basename "$file" .pl)
	dir=$work/tap/$name
	log=$dir/prove.log
	mkdir -p "$dir"
	step "$tap_limit" "$log" env \
		TESTDIR="$dir" TESTDATADIR="$dir/data" TESTLOGDIR="$dir/log" \
		prove --verbose --timer -I "$pgxs/src/test/perl" -I src/test/perl "$file" || status=$?

	[ -z "${VERBOSE:-}" ] || cat "$log"
	tap_skipped=$(count '^ok [0-9]+.* # (skip|SKIP)' "$log")
	tap_passed=$(($(count '^ok [0-9]+' "$log") - tap_skipped))
	tap_failed=$(count '^not ok [0-9]+' "$log")
	# a file that is skipped as a whole counts as one
	if grep -q -E '\.pl \.+ skipped' "$log"
	then
		tap_skipped=1
	fi
	sed -n -E -e "s/^ok [0-9]+.* # (skip|SKIP) */skipped: $name: /p" \
		-e "s/^.*\.pl \.+ skipped:? */skipped: $name: /p" "$log" |
		sort -u >>"$work/reasons"
	findings "$dir" || status=1

	# one that died or ran out of time counts, however far it came
	if [ "$status" -ne 0 ] && [ "$tap_failed" -eq 0 ]
	then
		tap_failed=1
	fi
	if [ "$tap_failed" -gt 0 ]
	then
		[ -n "${VERBOSE:-}" ] || show_tail "$log"
		find "$dir" -name '*.log' ! -name prove.log ! -name 'regress_log*' | sort | while read -r log
		do
			show_tail "$log" 30
		done
		note "failed: $name"
	fi
}

# The TAP files that are wanted, in their order.
tap_files()
{
	local file

	for file in ${TAP_FILES:-src/test/t/*.pl}
	do
		if [ -e "$file" ] && wanted "$(basename "$file" .pl)"
		then
			say "$file"
		fi
	done
}

# Takes files from the queue until it is empty: each lane reads on where another one
# has stopped, as they share the file's offset.
tap_lane()
{
	local file
	local started
	local said

	trap 'kill -TERM $step_pid 2>/dev/null; exit 130' HUP INT TERM
	while flock 9 && read -r file <&8
	do
		flock -u 9
		started=$SECONDS
		said=$work/tap/$(basename "$file" .pl).said
		run_tap_file "$file" >"$said" 8<&- 9>&-
		say "== tap $file: $tap_passed passed, $tap_failed failed, $tap_skipped skipped, $((SECONDS - started)) s" >>"$said"
		cat "$said"
		say "$tap_passed $tap_failed $tap_skipped" >>"$work/tap/counts"
	done
	flock -u 9
}

lanes=()
run_tap()
{
	local lane

	mkdir -p "$work/tap"
	: >"$work/tap/counts"
	tap_files >"$work/tap/queue"
	exec 8<"$work/tap/queue"
	for lane in $(seq "${JOBS:-1}")
	do
		tap_lane 9>"$work/tap/lock" &
		lanes+=($!)
	done
	for lane in "${lanes[@]}"
	do
		wait "$lane" || {
			note "failed: TAP tests that ended early"
			say "0 1 0" >>"$work/tap/counts"
		}
	done
	lanes=()
	exec 8<&-
	# shellcheck disable=SC2046  # four words
	result $(awk '{ for (i = 1; i <= 3; i++) sum[i] += $i } END { print "tap", sum[1] + 0, sum[2] + 0, sum[3] + 0 }' "$work/tap/counts")
}

summary()
{
	say
	printf '%-12s %8s %8s %8s\n' part passed failed skipped
	cat "$work/summary"
	if [ -s "$work/reasons" ]
	then
		say
		awk '!seen[$0]++' "$work/reasons"
	fi
	say
	say "$all_passed passed, $all_failed failed, $all_skipped skipped"
}

inside()
{
	trap 'kill -TERM $step_pid "${lanes[@]}" 2>/dev/null; exit 130' HUP INT TERM
	tree=$work/lastfluss
	pgxs=$("$pg_config" --pgxs)
	pgxs=${pgxs%/src/makefiles/pgxs.mk}
	: >"$work/summary"
	: >"$work/reasons"
	PG_REGRESS=$pgxs/src/test/regress/pg_regress
	PATH=$(pgbin):$PATH:/usr/sbin
	export PG_REGRESS PATH
	export TMPDIR=/tmp
	if [ -d "$work/shared" ]
	then
		export LASTFLUSS_SHARED=$work/shared
	fi

	if build
	then
		[ -n "${TESTS:-}${CHECKER:-}" ] || run_unit
		run_regress
		run_tap
	fi
	summary
	[ "$all_failed" -eq 0 ] && [ "$all_passed" -gt 0 ]
}

clean_environment
if [ "${1:-}" = --inside ]
then
	work=$2
	pg_config=$3
	inside
else
	outside
fi
