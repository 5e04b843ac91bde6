#!/bin/bash
# SPDX-License-Identifier: MIT
# The same guest files on the disks and networks that an unmodified QEMU emulates: IDE by DMA and by PIO, two drives
# on a channel, an Ethernet card with its offloads, a root file system on a disk, judged by e2fsck afterwards.
# What it looks like when broken: a guest that finds no device, other bytes than were written, or a run that never ends.
. "$(dirname "$0")/../lib.sh"

qemu=$(command -v qemu-system-x86_64) || { skip "devices on QEMU" "qemu-system-x86_64 is not installed (make setup)"; finish; exit; }

# on_qemu KERNEL COMMANDLINE [OPTION...]: its output in $work/out, without carriage returns; the status in $rc
on_qemu() {
	local kernel=$1 cmdline=$2; shift 2
	limited 60 "$qemu" -kernel "$GUESTS/$kernel" -append "$cmdline" -m 96 -display none -serial stdio -monitor none \
		-no-reboot "$@" </dev/null >"$work/raw" 2>"$work/err"
	rc=$?
	tr -d '\r' <"$work/raw" >"$work/out"
}
disk() {	# FILE: the option
	echo "-drive if=ide,format=raw,cache=unsafe,file=$1"
}

# ---- disks ----

truncate -s 32M "$work/a.img" "$work/b.img"
for way in "by DMA:" "by PIO:pio=1"; do
	name=${way%%:*}
	on_qemu blkbench "check bytes=524288 ${way#*:}" -nic none $(disk "$work/a.img") $(disk "$work/b.img")
	expect "disks $name: power off" 0 "$rc"
	contains "disks $name: both are found" "$work/out" '^disk hdb: 65536 sectors of 512 bytes'
	verdicts "disks $name" "$work/out"
done

# ---- a root file system ----

if command -v mke2fs >/dev/null && command -v e2fsck >/dev/null; then
	mkdir -p "$work/root/bin"
	cp "$O"/user/bin/* "$work/root/bin/"
	truncate -s 24M "$work/root.img"
	mke2fs -q -t ext2 -b 4096 -d "$work/root" "$work/root.img"
	on_qemu unix "root=/dev/hda run=dtest fill /lines 20000" -nic none $(disk "$work/root.img")
	expect "root on a disk: powers off" 0 "$rc"
	contains "root on a disk: a file is written" "$work/out" '^unix: dtest exited 0$'
	on_qemu unix "root=/dev/hda run=dtest check /lines 20000" -nic none $(disk "$work/root.img")
	contains "root on a disk: it is there after another start" "$work/out" '^unix: dtest exited 0$'
	e2fsck -fn "$work/root.img" >"$work/fsck" 2>&1
	expect "root on a disk: e2fsck finds nothing" 0 $?
else
	skip "root on a disk" "mke2fs or e2fsck is not installed (make setup)"
fi

# ---- network: a guest that serves, and one that uses it, joined by a socket ----

nic() {	# N SOCKET-OPTION: the options of one end
	echo "-netdev socket,id=n,$2 -device e1000,netdev=n,mac=52:54:00:00:00:0$1"
}
# A port of the host's that is free: the server says so by living on.
serve() {
	local try
	for try in 1 2 3 4 5; do
		port=$((20000 + RANDOM % 20000))
		limited 90 "$qemu" -kernel "$GUESTS/netbench" -append "serve ip=10.0.0.1/24 s=80" -m 64 -display none -serial stdio \
			-monitor none -no-reboot $(nic 1 "listen=127.0.0.1:$port") </dev/null >"$work/server" 2>"$work/server.err" &
		server=$!
		for ((i = 0; i < 200; i++)); do
			grep -aq 'net serves' "$work/server" && return 0
			kill -0 "$server" 2>/dev/null || break
			sleep 0.1
		done
		wait "$server"
	done
	return 1
}
if serve; then
	for what in ping rtt send receive; do
		stop=$([ $what = receive ] && echo stop=1)
		on_qemu netbench "$what ip=10.0.0.2/24 to=10.0.0.1 ms=300 $stop" $(nic 2 "connect=127.0.0.1:$port")
		case $what in
		ping) contains "network: ping" "$work/out" '^PASS ping' ;;
		rtt) contains "network: UDP comes back" "$work/out" '^net rtt: .* [1-9][0-9]* trips, 0 lost' ;;
		send) contains "network: a stream out" "$work/out" '^net send: [0-9]+ MB/s, [0-9]+ MB$' ;;
		receive) contains "network: a stream in" "$work/out" '^net receive: [0-9]+ MB/s, [0-9]+ MB$' ;;
		esac
		contains "network: $what has no wrong checksum" "$work/out" ' 0 bad sums'
	done
	wait "$server"
	tr -d '\r' <"$work/server" >"$work/server.out"
	contains "network: the server neither" "$work/server.out" ' 0 bad sums'
else
	fail "network: the server starts" "see $work/server.err"
fi
finish
