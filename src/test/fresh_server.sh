#!/bin/bash
#
# make fresh-server: follows the README's "Install it on a server" to the letter on a
# Debian whose PostgreSQL 15 runs, in a new chroot, until softflowd's first row is in
# traffic, and prints the minutes.  Root.
#
#   CACHE=DIRECTORY   where the image of the system is kept
#
# The commands are the README's own: a block that is not there any more fails.  What a user
# puts in, the script does as well: the address and ifIndex that lastfluss.seen_interfaces
# shows.  From the restart on it is in a network of its own, with a link to watch.

set -eu

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=src/test/lib.sh
. "$here/lib.sh"
# shellcheck source=src/test/chroot.sh
. "$here/chroot.sh"
checkout=$(cd "$here/../.." && pwd)

# readme_block SECTION PATTERN: prints the first block of code in this section that
# matches, without its indentation.
readme_block()
{
	perl -0777 -ne '
		my ($section) = /^## \Q$ENV{SECTION}\E\n(.*?)(?=^## |\z)/ms or die "README.md has no section \"$ENV{SECTION}\"\n";
		my (@blocks, $fence);
		my $open = 0;
		for my $line (split /\n/, $section)
		{
			if ($line =~ /^\s*```/) { $fence = !$fence; $open = 0; next }
			my $code = $fence ? $line =~ s/^ {0,3}(?=\S)//r : $line =~ /^(?: {4}| {7})(\S.*)$/ ? $1 : undef;
			if (!defined $code) { $open = 0; next }
			push @blocks, "" unless $open++;
			$blocks[-1] .= "$code\n";
		}
		my ($block) = grep { /$ENV{PATTERN}/m } @blocks;
		defined $block or die "README.md, \"$ENV{SECTION}\": no block has \"$ENV{PATTERN}\"\n";
		print $block' "$checkout/README.md"
}

block()
{
	SECTION=$1 PATTERN=$2 readme_block
}

# What is there before: a server that runs, and what any has (sudo, softflowd for the
# router).  Its clusters are made and started as on a system with an init.
prepare()
{
	cat <<-'SH'
		export DEBIAN_FRONTEND=noninteractive
		apt-get update --quiet
		apt-get install --yes --quiet --no-install-recommends postgresql-15 sudo iproute2 softflowd
		pg_lsclusters --no-header | grep '^15 *main' || pg_createcluster 15 main
		mkdir -p /run/softflowd/chroot # systemd-tmpfiles makes it; without it softflowd ends without a word
	SH
}

# First part: build and install beside the server that runs.
install_commands()
{
	echo 'pg_ctlcluster 15 main start'
	echo 'started=$(date +%s)'
	block "Install it on a server" '^apt-get install' | sed 's/^apt-get install/DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet/'
	block "Install it on a server" '^sudo make install'
	echo 'echo $(($(date +%s) - started)) >/root/seconds'
	echo 'pg_ctlcluster 15 main stop'
}

# Second part: load, listen, name the interface, wait for the row.
server_commands()
{
	cat <<-'SH'
		started=$(date +%s)
		ask() { (cd / && sudo -u postgres psql -XAtq -v ON_ERROR_STOP=1 lastfluss -c "$1"); }
		wait_for()
		{
			tries=600
			until [ "$(ask "$1")" = t ]
			do
				tries=$((tries - 1))
				[ $tries -gt 0 ] || { ask 'SELECT * FROM lastfluss.status'; ask 'SELECT * FROM lastfluss.doctor()'; exit 1; }
				sleep 0.5
			done
			echo "== $(($(date +%s) - started)) s: $2"
		}
		cat >>/etc/postgresql/15/main/postgresql.conf <<-'CONF'
	SH
	block "Install it on a server" 'shared_preload_libraries' | head -n 1
	printf '%s\n' CONF 'pg_ctlcluster 15 main start'
	block "Install it on a server" 'createdb'
	printf '%s\n' "sudo -u postgres psql -X -v ON_ERROR_STOP=1 lastfluss <<'SQL'"
	block "Install it on a server" 'add_listener'
	cat <<-'SH'
		SQL
		wait_for "SELECT state = 'collecting' FROM lastfluss.status" "it listens"
		ip link set lo up
		ip address add 192.0.2.100/32 dev lo
		ip link add eth0 type veth peer name wire
		ip link set eth0 up
		ip link set wire up
		ip address add 198.51.100.1/24 dev eth0
		ip neighbour add 198.51.100.2 lladdr 02:00:00:00:00:02 dev eth0
		# 100 kB/s: some kernels hand over no block of packets that is not full
		bash -c 'exec 3>/dev/udp/198.51.100.2/9; while sleep 0.1; do for i in 1 2 3 4 5 6 7 8 9 10; do printf "%1000s" traffic >&3; done; done' &
	SH
	block "What the router must send" '^softflowd'
	cat <<-'SH'
		wait_for "SELECT count(*) > 0 FROM lastfluss.exporters" "softflowd's first datagram"
		wait_for "SELECT count(*) > 0 FROM lastfluss.seen_interfaces" "its interface is seen"
		host=$(ask "SELECT host(host) FROM lastfluss.seen_interfaces ORDER BY in_bytes + out_bytes DESC LIMIT 1")
		id=$(ask "SELECT id FROM lastfluss.seen_interfaces ORDER BY in_bytes + out_bytes DESC LIMIT 1")
		sudo -u postgres psql -X -v ON_ERROR_STOP=1 lastfluss <<SQL
	SH
	block "Install it on a server" 'add_interface' | head -n 1 | sed "s/'192.0.2.1'/'\$host'/; s/id => 23/id => \$id/; s/, sample => 512//"
	printf '%s\n' SQL 'wait_for "SELECT count(*) > 0 FROM lastfluss.live" "it shows in lastfluss.live"' \
		'wait_for "SELECT to_regclass('"'public.traffic'"') IS NOT NULL AND (xpath('"'/row/n/text()'"', query_to_xml('"'SELECT count(*) AS n FROM traffic'"', false, true, '"''"')))[1]::text::bigint > 0" "the first row"' \
		"sudo -u postgres psql -X -v ON_ERROR_STOP=1 lastfluss <<'SQL'"
	block "Install it on a server" 'FROM traffic'
	cat <<-'SH'
		SQL
		sudo -u postgres psql -X lastfluss -c "SELECT * FROM lastfluss.doctor()"
		[ "$(ask "SELECT sum(bytes) > 0 FROM traffic")" = t ]
		seconds=$(($(date +%s) - started + $(cat /root/seconds)))
		echo "== from a server that runs to softflowd's first row: $((seconds / 60)) min $((seconds % 60)) s, of which $(cat /root/seconds) s to build"
	SH
}

clean_environment
install_commands >/dev/null # what the README lacks is told before the minutes
server_commands >/dev/null
chroot_start "${SUITE:-bookworm}" "$checkout"
status=0
chroot_timed "a Debian with PostgreSQL 15" "$(prepare)" >"$CACHE/server.log" 2>&1 || { tail -n 30 "$CACHE/server.log"; die "the server could not be prepared"; }
chroot_timed "build and install, as the README says" "$(install_commands)" || status=1
[ "$status" -ne 0 ] || chroot_timed "the first row" "unshare --net sh -e -c '$(server_commands | sed "s/'/'\\\\''/g")'" || status=1
chroot_remove
printf '%s\n' "${timings[@]}"
exit "$status"
