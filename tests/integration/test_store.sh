#!/bin/bash
# SPDX-License-Identifier: MIT
# Storage under a guest that writes and flushes (tests/guests/writer): the hypervisor is killed, servers are killed
# and restarted, disks come, go, grow and fail; what the guest was told is flushed is there afterwards.
. "$(dirname "$0")/../lib.sh"
KILLS=${STORE_KILLS:-12}
SERVER_KILLS=${STORE_SERVER_KILLS:-4}
writer=$GUESTS/writer
m=store$$

# writer_run SECONDS DISK WORDS: to its end; its lines in $work/out, the status in $rc
writer_run() {
	local seconds=$1 disk=$2; shift 2
	limited $((seconds + 10)) "$PARAVANE" run --memory 32M --machine "$m" --timeout "$seconds" --disk "$disk" --cmdline "$*" "$writer" \
		</dev/null >"$work/raw" 2>"$work/err"
	rc=$?
	tr -d '\r' <"$work/raw" >"$work/out"
}
# writer_start DISK WORDS: in the background, as machine $m; its number in $pid
writer_start() {
	local disk=$1; shift
	: >"$work/raw"
	"$PARAVANE" run --memory 32M --machine "$m" --name w --timeout 120 --disk "$disk" --cmdline "$*" "$writer" </dev/null >"$work/raw" 2>"$work/err" &
	pid=$!
	children+=("$pid")
}
last() { grep -a "^$1 " "$work/raw" | tr -d '\r' | tail -n 1 | cut -d' ' -f2; }	# WORD: the number behind it, 0 for none
flushed() { local n; n=$(last flushed); echo "${n:-0}"; }
# until_flushed N: waits until the guest has said so; false after 30 s.
until_flushed() {
	local i
	for ((i = 0; i < 600; i++)); do [ "$(flushed)" -ge "$1" ] && return 0; sleep 0.05; done
	return 1
}
stop() { kill -9 "$1" 2>/dev/null; wait "$1" 2>/dev/null; }
verb() { limited 20 "$PARAVANE" "$@" </dev/null >"$work/vout" 2>"$work/verr"; rc=$?; }
no_fail() {	# NAME FILE
	if grep -aq '^FAIL' "$2"; then fail "$1" "$(grep -a '^FAIL' "$2" | head -n 3)"; else pass "$1"; fi
}
until_file() { local i; for ((i = 0; i < 100; i++)); do [ -e "$1" ] && return 0; sleep 0.05; done; return 1; }

# ---- the hypervisor is killed ----------------------------------------------------------------------------
truncate -s 8M "$work/kill.img"
said=0 lost=0 rounds=0
for ((i = 0; i < KILLS; i++)); do
	writer_start "$work/kill.img" "expect=$said"
	for ((k = 0; k < 200; k++)); do grep -aq '^found' "$work/raw" && break; sleep 0.02; done
	sleep "0.$((RANDOM % 3))$((RANDOM % 10))"
	stop "$pid"
	grep -aq '^FAIL' "$work/raw" && { lost=$((lost + 1)); grep -a '^FAIL' "$work/raw" | head -n 3; }
	n=$(flushed); [ "$n" -gt "$said" ] && { said=$n; rounds=$((rounds + 1)); }
done
expect "killed $KILLS times: nothing that was flushed is lost" 0 $lost
if [ $rounds -gt $((KILLS / 3)) ]; then pass "killed $KILLS times: it went on"; else fail "killed: it went on" "only $rounds times"; fi
writer_run 60 "$work/kill.img" "expect=$said verify=1"
expect "after the last kill: status" 0 "$rc"
no_fail "after the last kill: all is there" "$work/out"

# ---- each way of waiting ---------------------------------------------------------------------------------
for how in direct aio=threads direct,aio=threads sector=4096 memory; do
	disk=$work/way.img,$how
	rm -f "$work/way.img"
	truncate -s 8M "$work/way.img"
	[ $how = memory ] && disk=memory:8M
	writer_run 60 "$disk" "records=64"
	if grep -aq 'knows no direct I/O' "$work/err"; then skip "$how" "this file system knows no direct I/O"; continue; fi
	contains "$how: it writes" "$work/out" '^flushed 64$'
	no_fail "$how: nothing is wrong" "$work/out"
	[ $how = memory ] && continue
	writer_run 60 "$disk" "expect=64 verify=1"
	contains "$how: and finds it" "$work/out" '^found 64$'
	no_fail "$how: nothing is lost" "$work/out"
done

# ---- an image is used once; what is no disk -----------------------------------------------------------------
truncate -s 8M "$work/one.img"
writer_start "$work/one.img" "patient=1"
until_flushed 8
limited 10 "$PARAVANE" run "$writer" --disk "$work/one.img" </dev/null >"$work/out" 2>"$work/verr"
expect "an image in use: status" 2 $?
expect "an image in use: one line" 1 "$(wc -l <"$work/verr")"
contains "an image in use: sentence" "$work/verr" 'one.img: it is in use already'
for wrong in "$work/none.img" "$work" "$work/one.img,direct=7" "nbd:unix:$work/none.sock" "$work/one.img,format=qcow2"; do
	limited 10 "$PARAVANE" run "$writer" --disk "$wrong" </dev/null >"$work/out" 2>"$work/verr"
	expect "'${wrong##*/}': status" 2 $?
	expect "'${wrong##*/}': one line" 1 "$(wc -l <"$work/verr")"
done

# ---- disks come, go, grow, restart, under load ----------------------------------------------------------------
before=$(flushed)
for ((i = 0; i < 5; i++)); do
	verb block-restart -m "$m" w xvda
	expect "restart $i: status" 0 "$rc"
	until_flushed $(($(flushed) + 24)) || fail "restart $i" "no more is flushed"
done
if grep -aq '^error' "$work/raw"; then fail "restarts under load" "$(grep -a '^error' "$work/raw" | head -n 2)"; else pass "restarts under load are not noticed"; fi
verb block-attach -m "$m" w "memory:4M,ro,serial=second"
expect "attach: status" 0 "$rc"
expect "attach: its name" xvdb "$(cat "$work/vout")"
verb block-list -m "$m" w
contains "list: the first" "$work/vout" '^xvda +51712 +connected +w +8192 +512 +file'
contains "list: the second" "$work/vout" '^xvdb +51728 +waiting +r +4096 +512 +memory'
verb xenstore -m "$m" read /local/domain/0/backend/vbd/1/51728/serial
expect "attach: in the store" second "$(cat "$work/vout")"
verb block-attach -m "$m" w "memory:4M,vdev=xvdb"
expect "attach where one is: status" 1 "$rc"
verb block-detach -m "$m" w xvdb
expect "detach: status" 0 "$rc"
verb block-list -m "$m" w
expect "detach: one is left" 2 "$(wc -l <"$work/vout")"
verb xenstore -m "$m" ls /local/domain/1/device/vbd
contains "detach: one is left in the store" "$work/vout" '^51712'
expect "detach: no other" 0 "$(grep -c 51728 "$work/vout")"
command=$(realpath "$PARAVANE")
(cd "$work" && truncate -s 4M near.img && limited 20 "$command" block-attach -m "$m" w near.img >"$work/vout" 2>"$work/verr")
expect "attach by a relative path" xvdb "$(cat "$work/vout")"
verb block-resize -m "$m" w xvda 16M
expect "resize: status" 0 "$rc"
expect "resize: the file" $((16 << 20)) "$(stat -c %s "$work/one.img")"
verb xenstore -m "$m" read /local/domain/0/backend/vbd/1/51712/sectors
expect "resize: the store" 32768 "$(cat "$work/vout")"
verb block-resize -m "$m" w xvda 1M
expect "no smaller: status" 1 "$rc"
verb block-detach -m "$m" w xvdq
expect "a disk that is not there: status" 1 "$rc"
until_flushed $(($(flushed) + 24)) && pass "the guest went on" || fail "the guest went on" "it did not"
said=$(flushed)
verb block-detach -m "$m" --force w xvda
expect "by force: status" 0 "$rc"
wait "$pid"
expect "by force: the guest ends in order" 0 $?
contains "by force: its requests have failed" "$work/raw" '^error -(5|19) at'
writer_run 60 "$work/one.img" "expect=$said verify=1"
no_fail "after all that nothing is lost" "$work/out"

writer_start "$work/one.img" "expect=$said patient=1"
until_flushed $((said + 64)) || fail "destroyed under load" "it does not start"
verb destroy -m "$m" w
expect "destroyed under load" 0 "$rc"
wait "$pid"
expect "destroyed under load: status" 18 $?

# ---- the disk is full --------------------------------------------------------------------------------------------
mkdir "$work/small"
limited 60 unshare -rm bash -c "mount -t tmpfs -o size=1m none '$work/small' && truncate -s 8M '$work/small/img' &&
	exec '$PARAVANE' run --memory 32M --machine '$m' --timeout 40 --disk '$work/small/img' --cmdline 'records=2048' '$writer'" \
	</dev/null >"$work/raw" 2>"$work/err"
rc=$?
if grep -aq 'unshare\|mount' "$work/err"; then
	skip "a full disk" "no mounts in a name space of our own here"
else
	expect "a full disk: the guest ends in order" 0 "$rc"
	contains "a full disk: an error of the request" "$work/raw" '^error -5 at [0-9]+'
	contains "a full disk: what fitted was written" "$work/raw" '^flushed [0-9]+'
fi

# ---- servers: killed and restarted under load, vanished, failing ------------------------------------------------------
# with_server NAME START...: writes through it while it is killed and started anew
with_server() {
	local name=$1 server=0 i said; shift
	rm -f "$work/nbd.sock"
	"$@" >"$work/server.log" 2>&1 & server=$!; children+=("$server")
	until_file "$work/nbd.sock" || { fail "$name" "it does not start: $(head -n 1 "$work/server.log")"; return; }
	writer_start "nbd:unix:$work/nbd.sock" "patient=1"
	until_flushed 16 || fail "$name: it writes" "nothing: $(head -n 2 "$work/err")"
	for ((i = 0; i < SERVER_KILLS; i++)); do
		stop "$server"
		rm -f "$work/nbd.sock"
		sleep "0.0$((RANDOM % 10))"
		"$@" >"$work/server.log" 2>&1 & server=$!; children+=("$server")
		until_flushed $(($(flushed) + 32)) || fail "$name, kill $i: it goes on" "it does not"
	done
	if grep -aq '^error' "$work/raw"; then fail "$name: $SERVER_KILLS kills" "$(grep -a '^error' "$work/raw" | head -n 2)"; else pass "$name: $SERVER_KILLS kills are not noticed"; fi
	stop "$pid"
	said=$(flushed)
	writer_run 60 "nbd:unix:$work/nbd.sock,ro" "expect=$said verify=1"
	contains "$name: it is read again" "$work/out" '^found [0-9]+'
	no_fail "$name: nothing that was flushed is lost" "$work/out"
	stop "$server"
}

if command -v nbdkit >/dev/null; then
	truncate -s 8M "$work/nbdkit.img"
	with_server nbdkit nbdkit -f -U "$work/nbd.sock" file "$work/nbdkit.img"

	rm -f "$work/nbd.sock"
	nbdkit -f -U "$work/nbd.sock" --filter=error memory 8M error-pwrite=ENOSPC error-pwrite-rate=1 error-file="$work/full" >"$work/server.log" 2>&1 &
	server=$!; children+=("$server"); until_file "$work/nbd.sock"
	writer_start "nbd:unix:$work/nbd.sock,timeout=2" "patient=1"
	until_flushed 16
	touch "$work/full"
	for ((i = 0; i < 200; i++)); do grep -aq '^error' "$work/raw" && break; sleep 0.05; done
	contains "a server that is full: an error of the request" "$work/raw" '^error -5 at'
	rm "$work/full"
	n=$(flushed); until_flushed $((n + 16)) && pass "a server that has room again" || fail "a server that has room again" "nothing is written"
	n=$(grep -ac '^error' "$work/raw")
	stop "$server"
	for ((i = 0; i < 200; i++)); do [ "$(grep -ac '^error' "$work/raw")" -gt "$n" ] && break; sleep 0.05; done
	[ "$(grep -ac '^error' "$work/raw")" -gt "$n" ] && pass "a server that vanished: errors of requests" || fail "a server that vanished" "no errors"
	verb list -m "$m"
	contains "a server that vanished: nothing else is harmed" "$work/vout" '^w '
	verb destroy -m "$m" w
	expect "a server that vanished: destroy" 0 "$rc"
	wait "$pid"
else
	skip "nbdkit" "it is not installed (make setup)"
fi
if command -v qemu-nbd >/dev/null && command -v qemu-img >/dev/null; then
	qemu-img create -q -f qcow2 "$work/disk.qcow2" 8M
	with_server "qcow2 by qemu-nbd" qemu-nbd -t -f qcow2 -k "$work/nbd.sock" "$work/disk.qcow2"
else
	skip "qcow2 by qemu-nbd" "it is not installed (make setup)"
fi
finish
