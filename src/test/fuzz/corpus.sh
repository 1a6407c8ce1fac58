#!/bin/bash
#
# corpus.sh: makes the corpus anew, of what the project has itself: the packets of
# the unit tests, the generator, and the exporters softflowd and pmacctd (from
# Debian's packages, as far as they are installed) that read a capture made here.
# Of the unit tests' packets only those that reach some code that nothing smaller
# reaches.
#
# It keeps what it does not make: inputs named fault-*, which once found a fault, and
# found-*, which a fuzzer has made.  To these it adds what "make fuzz" has left in
# build/found/ and reaches code that the others do not.

set -eu

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=src/test/lib.sh
. "$here/../lib.sh"

build=$here/build
work=$(mktemp -d /tmp/lastfluss-corpus.XXXXXX)
trap 'rm -rf "$work"' EXIT
PATH=$PATH:/usr/sbin

from_unit_tests()
{
	local program

	make -s -C "$here" recorders
	for program in "$build"/record_test_*
	do
		if [ -x "$program" ] && [ "${program%.d}" = "$program" ]
		then
			FUZZ_RECORD=$work timeout 120 "$program" >/dev/null 2>&1 || say "$program failed"
		fi
	done
}

from_generator()
{
	local format

	make -s -C "$here/../../.." generator
	for format in v5 v9 ipfix
	do
		"$here/../generator/generator" --quiet --seed 1 --format "$format" --per-datagram 6 \
			--records 30 --from 1700000000 --to 1700000100 --pcap "$work/capture/generator-$format"
		"$build/seed" "$work/datagrams/generator-$format" "$work/capture/generator-$format"
	done
}

# from_exporter NAME PORT COMMAND...: what the command sends to the port.
from_exporter()
{
	local name=$1
	local port=$2
	local caught=$work/caught-$name
	local catcher
	shift 2

	mkdir "$caught"
	perl "$here/traffic.pl" catch "$port" "$caught" &
	catcher=$!
	sleep 0.5
	# there, as some tell the name of the file as that of the interface
	(cd "$work" && timeout 20 "$@") >"$work/$name.log" 2>&1 || :
	wait "$catcher"
	if [ -f "$caught/001" ]
	then
		"$build/seed" "$work/datagrams/$name" "$caught"/*
	else
		say "nothing came from $name"
	fi
}

from_softflowd()
{
	local version
	local port

	for version in 5 9 10
	do
		port=$(free_port udp)
		from_exporter "softflowd-$version" "$port" softflowd -d -r traffic -v "$version" \
			-n "127.0.0.1:$port" -p none -c none
	done
}

from_pmacctd()
{
	local version
	local port

	for version in 5 9 10
	do
		port=$(free_port udp)
		printf '%s\n' 'daemonize: false' 'pcap_savefile: traffic' 'plugins: nfprobe' \
			"nfprobe_receiver: 127.0.0.1:$port" "nfprobe_version: $version" \
			'aggregate: src_host, dst_host, src_port, dst_port, proto, src_as, dst_as, in_iface, out_iface' \
			>"$work/pmacctd.conf"
		from_exporter "nfprobe-$version" "$port" pmacctd -f "$work/pmacctd.conf"
	done
	port=$(free_port udp)
	printf '%s\n' 'daemonize: false' 'pcap_savefile: traffic' 'plugins: sfprobe' \
		"sfprobe_receiver: 127.0.0.1:$port" 'sampling_rate: 1' >"$work/pmacctd.conf"
	from_exporter sfprobe "$port" pmacctd -f "$work/pmacctd.conf"
}

# from_found KIND: of what the fuzzer has found, what reaches other code; that code is
# run more often is not enough.
from_found()
{
	local kind=$1
	local file

	[ -d "$build/found/$kind" ] || return 0
	cp -r "$work/$kind" "$work/known-$kind"
	"$build/fuzz_$kind" -merge=1 -use_counters=0 -max_len=2048 "$work/known-$kind" \
		"$build/found/$kind" >"$work/merge.log" 2>&1 || die "$(tail -n 30 "$work/merge.log")"
	for file in "$work/known-$kind"/*
	do
		if [ ! -e "$work/$kind/${file##*/}" ]
		then
			cp "$file" "$work/$kind/found-$(sha1sum <"$file" | cut -c 1-12)"
		fi
	done
}

# What stays, whether or not it reaches anything new.
is_kept()
{
	case $1 in
		generator-* | softflowd-* | nfprobe-* | sfprobe-* | fault-* | found-*) return 0 ;;
		*) return 1 ;;
	esac
}

# The least of them, under their own names: libFuzzer calls a file by its SHA-1.
merge()
{
	local kind=$1
	local corpus=$here/corpus/$kind
	local file

	mkdir -p "$work/merged" "$corpus"
	rm -f "$work/merged"/*
	find "$corpus" -type f \( -name 'found-*' -o -name 'fault-*' \) -exec cp -t "$work/$kind" {} +
	from_found "$kind"
	"$build/fuzz_$kind" -merge=1 -max_len=8192 "$work/merged" "$work/$kind" >"$work/merge.log" 2>&1 ||
		die "$(tail -n 30 "$work/merge.log")"
	find "$corpus" -type f -delete
	(cd "$work/$kind" && sha1sum -- *) | while read -r sum file
	do
		if is_kept "$file" || [ -f "$work/merged/$sum" ]
		then
			cp "$work/$kind/$file" "$corpus/$file"
			rm -f "$work/merged/$sum"
		fi
	done
	say "$kind: $(find "$corpus" -type f | wc -l) of $(find "$work/$kind" -type f | wc -l) files," \
		"$(find "$corpus" -type f -printf '%s\n' | awk '{ sum += $1 } END { print sum }') octets"
}

clean_environment
bash "$here/../setup.sh" fuzz
make -s -C "$here" -j "$(nproc)" CC="${CC:-clang}" all seed
mkdir "$work"/{datagrams,capture,image}
perl "$here/traffic.pl" capture "$work/traffic"
cp "$work/traffic" "$work/capture/ethernet"
from_unit_tests
from_generator
if command -v softflowd >/dev/null; then from_softflowd; fi
if command -v pmacctd >/dev/null; then from_pmacctd; fi
merge datagrams
merge capture
merge image
