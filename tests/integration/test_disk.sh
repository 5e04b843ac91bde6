#!/bin/bash
# SPDX-License-Identifier: MIT
# Disks, from a guest's front-end to a file of the host: blkbench's checks on all kinds of disk, and the unix guest
# whose programs come from an ext2 image that mke2fs made, and whose files e2fsck and debugfs judge afterwards.
. "$(dirname "$0")/../lib.sh"
PATH=$PATH:/usr/sbin:/sbin
LINES_OF_FILE=500000	# 7 MB: beyond what an inode and its first block of numbers reach

# run_disk SECONDS KERNEL COMMANDLINE OPTIONS...: output in $work/out, status in $rc
run_disk() {
	local seconds=$1 kernel=$2 cmdline=$3; shift 3
	limited $((seconds + 10)) "$PARAVANE" run --engine "$engine" --memory 64M --timeout "$seconds" --cmdline "$cmdline" \
		"$@" "$GUESTS/$kernel" <"${input:-/dev/null}" >"$work/raw" 2>"$work/err"
	rc=$?
	tr -d '\r' <"$work/raw" >"$work/out"
}

# The verdicts of blkbench, and its end.
blkbench_verdicts() {
	verdicts "$1" "$work/out"
	contains "$1: it ends" "$work/out" '^blkbench: done$'
	expect "$1: it powers off" 0 "$rc"
}

check_disks() {
	truncate -s 20M "$work/a.img"
	truncate -s 3000320 "$work/b.img"	# no whole number of pages
	head -c 100000 /dev/urandom >"$work/c.img"; truncate -s 102400 "$work/c.img"
	cp "$work/c.img" "$work/c.before"
	run_disk 60 blkbench check --vcpus 2 --disk "$work/a.img" --disk "$work/b.img" --disk "$work/c.img,ro"
	blkbench_verdicts "$engine, three disks"
	cmp -s "$work/c.img" "$work/c.before"
	expect "$engine: a read-only image is not changed" 0 $?
	run_disk 60 blkbench "check persistent=1 order=4 segments=64 bytes=2000000" --disk "$work/a.img,direct"
	blkbench_verdicts "$engine, copies through persistent grants, direct I/O"
	run_disk 60 blkbench "check segments=11 queues=1" --vcpus 2 --disk "$work/a.img"
	blkbench_verdicts "$engine, no lists of segments, one queue"
	run_disk 30 blkbench "bench irq=1 ms=200 write=1" --disk "$work/a.img"
	expect "$engine, ends of requests by event: it powers off" 0 "$rc"
	expect "$engine, ends of requests by event: all loads" 6 "$(grep -c '^blk .*: [1-9][0-9]* requests' "$work/out")"
}

make_image() {
	mkdir -p "$work/root/bin" "$work/root/etc/deep/er" "$work/root/tmp"
	cp "$O"/user/bin/* "$work/root/bin/"
	echo "from the host" >"$work/root/etc/deep/er/motd"
	seq -f 'line %08.0f' 0 $((LINES_OF_FILE - 1)) >"$work/root/etc/lines"
	rm -f "$work/root.img"
	mke2fs -q -t ext2 -b 4096 -d "$work/root" "$work/root.img" 48M >"$work/err" 2>&1
}

# is_clean NAME: the judge of file systems has no complaint.
is_clean() {
	e2fsck -fn "$work/root.img" >"$work/e2fsck" 2>&1
	local rc=$?
	if [ $rc = 0 ]; then pass "$1"; else fail "$1" "$(grep -v '^Pass' "$work/e2fsck" | head -n 5)"; fi
}

file_of() { debugfs -R "cat $1" "$work/root.img" 2>/dev/null; }

session() {
	cat <<END
cat /etc/deep/er/motd
dtest check /etc/lines $LINES_OF_FILE
dtest fill /new/folder/lines $LINES_OF_FILE
dtest wild /tmp/wild
cat /bin/echo > /bin/copy
copy made on this disk
echo short > /tmp/a ; echo and more >> /tmp/a
rm /etc/deep/er/motd
cat /dev/xvdb > /tmp/raw
cat /etc/lines > /dev/xvdc
ls | wc > /tmp/count
exit 3
END
}

unix_on_disk() {
	make_image || { fail "$engine: an image" "$(cat "$work/err")"; return; }
	is_clean "$engine: the image before"
	head -c 65536 /dev/urandom >"$work/b.img"
	truncate -s 8M "$work/c.img"
	session >"$work/session"
	input=$work/session run_disk 60 unix root=/dev/xvda --vcpus 2 \
		--disk "$work/root.img" --disk "$work/b.img" --disk "$work/c.img"
	expect "$engine, unix: it powers off" 0 "$rc"
	contains "$engine, unix: a file of the host's" "$work/out" '^(\$ )*from the host$'
	contains "$engine, unix: a large one" "$work/out" '^(\$ )*checked /etc/lines$'
	contains "$engine, unix: one of its own" "$work/out" '^(\$ )*filled /new/folder/lines$'
	contains "$engine, unix: holes and cuts" "$work/out" '^(\$ )*wild /tmp/wild$'
	contains "$engine, unix: a program that it wrote itself" "$work/out" '^(\$ )*made on this disk$'
	is_clean "$engine, unix: the image after"
	expect "$engine, unix: what it wrote is on the disk" "$(cat "$work/root/etc/lines" | cksum)" \
		"$(file_of /new/folder/lines | cksum)"
	expect "$engine, unix: appended to" "short and more" "$(file_of /tmp/a | tr '\n' ' ' | sed 's/ $//')"
	expect "$engine, unix: a program copied" "$(cksum <"$O/user/bin/echo")" "$(file_of /bin/copy | cksum)"
	expect "$engine, unix: a file removed" "" "$(file_of /etc/deep/er/motd)"
	expect "$engine, unix: another disk read as it is" "$(cksum <"$work/b.img")" "$(file_of /tmp/raw | cksum)"
	expect "$engine, unix: and one written" "$(cksum <"$work/root/etc/lines")" \
		"$(head -c $((LINES_OF_FILE * 14)) "$work/c.img" | cksum)"
	run_disk 60 unix "root=/dev/xvda run=dtest check /new/folder/lines $LINES_OF_FILE" --disk "$work/root.img"
	contains "$engine, unix: the next one finds it" "$work/out" '^checked /new/folder/lines$'
	run_disk 60 unix "root=/dev/xvda run=utest files" --vcpus 2 --disk "$work/root.img"
	contains "$engine, unix: utest's files on the disk" "$work/out" '^utest: [0-9]+ passed, 0 failed'
	is_clean "$engine, unix: the image after utest"
}

read_only_root() {
	local before; before=$(cksum <"$work/root.img")
	run_disk 30 unix "root=/dev/xvda run=dtest fill /etc/x 10" --disk "$work/root.img,ro"
	contains "$engine, read-only root: programs run, nothing is written" "$work/out" '^dtest: fill: error 30$'
	expect "$engine, read-only root: the image is as it was" "$before" "$(cksum <"$work/root.img")"
}

# Killed right after a program was told that its file is synced: the file is there.
killed() {
	local pid i
	printf 'dtest fill /tmp/flushed 20000\ndtest hold\n' >"$work/session"
	"$PARAVANE" run --engine "$engine" --memory 64M --cmdline root=/dev/xvda --disk "$work/root.img" "$GUESTS/unix" \
		<"$work/session" >"$work/out" 2>"$work/err" &
	pid=$!
	children+=("$pid")
	for i in $(seq 300); do grep -q '^filled\|filled /tmp' "$work/out" && break; sleep 0.1; done
	kill -9 "$pid"; wait "$pid" 2>/dev/null
	contains "$engine, killed: it had been told" "$work/out" 'filled /tmp/flushed'
	e2fsck -fy "$work/root.img" >"$work/e2fsck" 2>&1
	run_disk 30 unix "root=/dev/xvda run=dtest check /tmp/flushed 20000" --disk "$work/root.img"
	contains "$engine, killed: what was flushed is there" "$work/out" '^checked /tmp/flushed$'
	is_clean "$engine, killed: the image at last"
}

refused() {
	truncate -s 1M "$work/empty.img"
	run_disk 30 unix root=/dev/xvda --disk "$work/empty.img"
	contains "$engine: a disk without a file system" "$work/out" 'cannot be mounted: there is no ext2'
	run_disk 30 unix root=/dev/xvdq --disk "$work/empty.img"
	contains "$engine: a disk that is not there" "$work/out" 'there is no disk xvdq'
	rm -f "$work/other.img"
	mke2fs -q -t ext4 "$work/other.img" 16M >/dev/null 2>&1
	run_disk 30 unix root=/dev/xvda --disk "$work/other.img"
	contains "$engine: another file system" "$work/out" 'cannot be mounted: its blocks|cannot be mounted: it has features'
}

# Disks come, grow, go, come again, and their back-end starts anew, while a shell runs.
say() { echo "$1" >&7; sleep 0.2; }
shown() { local i; for i in $(seq 100); do tr -d '\r' <"$work/out" | grep -Eq "$2" && break; sleep 0.1; done
	contains "$engine, hot plug: $1" "$work/out" "$2"; }
verb() { limited 20 "$PARAVANE" "$1" -m "hot$$" "${@:2}" >>"$work/err" 2>&1; }

hot_plug() {
	rm -f "$work"/[bcd].img
	truncate -s 40960 "$work/b.img"; truncate -s 81920 "$work/c.img"; truncate -s 122880 "$work/d.img"
	rm -f "$work/in"; mkfifo "$work/in"
	limited 60 "$PARAVANE" run --engine "$engine" --memory 64M --timeout 50 --machine "hot$$" --name hot \
		--disk "$work/b.img" "$GUESTS/unix" <"$work/in" >"$work/out" 2>"$work/err" &
	children+=($!)
	exec 7>"$work/in"
	say 'cat /dev/xvda | wc'; shown "there from the start" '0 1 40960'
	verb block-attach hot "$work/c.img"; expect "$engine, hot plug: attach" 0 $?
	say 'cat /dev/xvdb | wc'; shown "one that comes" '0 1 81920'
	truncate -s 65536 "$work/b.img"
	verb block-resize hot xvda; expect "$engine, hot plug: resize" 0 $?
	sleep 0.5; say 'cat /dev/xvda | wc'; shown "one that grows" '0 1 65536'
	verb block-restart hot xvda; expect "$engine, hot plug: restart" 0 $?
	say 'echo back | cat > /dev/xvda; cat /dev/xvda | wc'; shown "one whose back-end starts anew" '1 2 65536'
	verb block-detach hot xvdb; expect "$engine, hot plug: detach" 0 $?
	say 'cat /dev/xvdb; echo code $?'; shown "one that goes" 'code [1-9]'
	verb block-attach hot "$work/d.img"; expect "$engine, hot plug: attach again" 0 $?
	say 'cat /dev/xvdb | wc'; shown "one that comes instead" '0 1 122880'
	say exit
	exec 7>&-
	wait "${children[-1]}"; expect "$engine, hot plug: it powers off" 0 $?
	expect "$engine, hot plug: what was written is there" back "$(head -n 1 "$work/b.img" | tr -d '\0')"
}

# The back-end starts anew again and again while patterns are written and read back.
restarts() {
	local n=0 pid i
	truncate -s 64M "$work/a.img"
	limited 90 "$PARAVANE" run --engine "$engine" --memory 64M --vcpus 2 --timeout 80 --machine "hot$$" --name hot \
		--disk "$work/a.img" --cmdline "check bytes=67108864" "$GUESTS/blkbench" </dev/null >"$work/raw" 2>"$work/err" &
	pid=$!
	children+=("$pid")
	for i in $(seq 100); do grep -q sectors "$work/raw" && break; sleep 0.05; done
	while kill -0 "$pid" 2>/dev/null && [ $n -lt 40 ]; do verb block-restart hot xvda && n=$((n + 1)); done
	wait "$pid"; rc=$?
	tr -d '\r' <"$work/raw" >"$work/out"
	blkbench_verdicts "$engine, restarts"
	if [ $n -gt 1 ]; then pass "$engine, restarts: there were some"; else fail "$engine, restarts" "only $n"; fi
}

for engine in $ENGINES; do
	check_disks
	restarts
	hot_plug
	if ! command -v mke2fs >/dev/null || ! command -v debugfs >/dev/null; then
		skip "$engine: unix on a disk" "no e2fsprogs"
		continue
	fi
	unix_on_disk
	read_only_root
	killed
	refused
done
finish
