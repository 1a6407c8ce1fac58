#!/bin/bash
#
# make fuzz: runs the fuzzers for so many seconds (the argument), all at the same
# time: harness_datagrams on all processors but one, on that one harness_capture and
# then harness_image.  What they find new is kept in build/found/, so that the next
# run goes on from there.
#
#   FUZZ_EXTRA=DIR    captures and datagrams below DIR are inputs, too; what comes of
#                     them is kept apart, in build/found-extra/, and stays out of the
#                     corpus (corpus.sh)
#   CC=clang-16       another clang
#
# Ends with a line for each; fails when there was a finding, of which the input is
# then in build/findings/.

set -eu

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=src/test/lib.sh
. "$here/../lib.sh"

build=$here/build
found=$build/found
findings=$build/findings
logs=$build/logs

# Makes scripts of whatever captures and datagrams there are.
make_extra()
{
	local number=0
	local file

	make -s -C "$here" seed
	mkdir -p "$build/extra"
	while IFS= read -r -d '' file
	do
		number=$((number + 1))
		"$build/seed" "$build/extra/$number" "$file"
	done < <(find "$1" -type f ! -name '*.json' ! -name '*.md' ! -name '*.csv' \
		! -name '*.txt' ! -name LICENSE -print0)
}

# run KIND SECONDS WORKER: one process; several of a kind share what they find.
run()
{
	local kind=$1
	local options=()
	local directories=("$found/$kind" "$here/corpus/$kind")

	if [ "$kind" = datagrams ]
	then
		options+=("-dict=$here/datagrams.dict")
		if [ -d "$build/extra" ]
		then
			directories+=("$build/extra")
		fi
	fi
	mkdir -p "$found/$kind"
	"$build/fuzz_$kind" "${options[@]}" -max_total_time="$2" -max_len=4096 -timeout=10 \
		-rss_limit_mb=2048 -reload=10 -print_final_stats=1 -artifact_prefix="$findings/$kind-" \
		"${directories[@]}" >"$logs/$kind.$3" 2>&1
}

# run_workers KIND SECONDS WORKERS: fails when one of them does.
run_workers()
{
	local pids=()
	local pid
	local worker
	local status=0

	for ((worker = 1; worker <= $3; worker++))
	do
		run "$1" "$2" "$worker" &
		pids+=($!)
	done
	for pid in "${pids[@]}"
	do
		wait "$pid" || status=$?
	done
	return "$status"
}

# report KIND SECONDS: from libFuzzer's lines "stat::number_of_executed_units: 12" and
# "#12 DONE cov: 34 ft: 56 corp: 7/8Kb".
report()
{
	awk -v kind="$1" -v seconds="$2" '
		/^stat::number_of_executed_units:/ { runs += $2 }
		/^#[0-9]+.* cov: / {
			for (i = 2; i < NF; i++) {
				if ($i == "cov:" && $(i + 1) > edges) edges = $(i + 1)
				if ($i == "corp:" && $(i + 1) + 0 > inputs) inputs = $(i + 1) + 0
			}
		}
		END {
			printf "%-10s %10d runs, %d a second, %d edges, %d inputs\n", kind, runs,
				runs / (seconds > 0 ? seconds : 1), edges, inputs
		}' "$logs/$1".*
}

# explain LOG: the end of it, where it ends with a finding.
explain()
{
	if ! grep -q '^Done [0-9]* runs' "$1"
	then
		say "---- the end of $1"
		grep -v -E '^#[0-9]' "$1" | tail -n 50
	fi
}

main()
{
	local seconds=$1
	local half=$((seconds / 2))
	local workers
	local datagrams
	local status=0
	local log

	[ "$half" -gt 0 ] || die "make fuzz SECONDS=$seconds: must be 2 or more"
	bash "$here/../setup.sh" fuzz
	make -s -C "$here" -j "$(nproc)" CC="${CC:-clang}"
	rm -rf "$build/extra" "$logs"
	mkdir -p "$findings" "$logs"
	if [ -n "${FUZZ_EXTRA:-}" ]
	then
		found=$build/found-extra
		make_extra "$FUZZ_EXTRA"
	fi

	workers=$(($(nproc) > 1 ? $(nproc) - 1 : 1))
	say "== fuzzing for $seconds seconds"
	run_workers datagrams "$seconds" "$workers" &
	datagrams=$!
	run capture "$half" 1 || status=$?
	run image $((seconds - half)) 1 || status=$?
	wait "$datagrams" || status=$?

	report datagrams "$seconds"
	report capture "$half"
	report image $((seconds - half))
	for log in "$logs"/*
	do
		explain "$log"
	done
	if [ "$status" -eq 0 ]
	then
		say "no finding"
	else
		say "findings:"
		find "$findings" -type f -newer "$build/fuzz_datagrams"
	fi
	return "$status"
}

clean_environment
main "${1:-60}"
