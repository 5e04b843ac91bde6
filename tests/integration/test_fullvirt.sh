#!/bin/bash
# SPDX-License-Identifier: MIT
# --mode fullvirt: a kernel that is entered natively finds a processor that does what hardware does,
# and the command does what it does for the other mode. The processor test also runs on QEMU, which
# keeps it honest.
. "$(dirname "$0")/../lib.sh"

CPU=$O/fullvirt/cpu
run() { limited 60 "$PARAVANE" run --mode fullvirt "$@"; }

run --memory 16M --stats "$CPU" >"$work/cpu" 2>"$work/stats" </dev/null
expect "the processor test ends with its own code" 0 $?
verdicts "the processor" "$work/cpu"
contains "it comes to its end" "$work/cpu" '^processor test done'
contains "--stats counts exits by kind" "$work/stats" '^ +[0-9]+  cr3 load$'

if command -v qemu-system-x86_64 >/dev/null; then
	limited 90 qemu-system-x86_64 -accel tcg -display none -serial "file:$work/qemu" -no-reboot -m 16 \
	    -device isa-debug-exit,iobase=0xf4,iosize=1 -kernel "$CPU" </dev/null >/dev/null 2>&1
	expect "the same on QEMU" 1 $? # its device turns 0 into 1
	expect "the same verdicts on QEMU" "$(grep -ac ^PASS "$work/cpu")" "$(grep -ac ^PASS "$work/qemu")"
else
	skip "the same on QEMU" "no qemu-system-x86_64"
fi

# The guests of the library, by their native side; their claims are those of test_native.sh.
# guest SECONDS KERNEL CMDLINE [OPTION...]: its output in $work/out; the status in $rc
guest() {
	local seconds=$1 kernel=$2 cmdline=$3; shift 3
	limited "$seconds" "$PARAVANE" run --mode fullvirt --cmdline "$cmdline" --memory 64M "$@" "$kernel" >"$work/raw" 2>"$work/err"
	rc=$?
	tr -d '\r' <"$work/raw" >"$work/out"
}
guest 20 "$GUESTS/hello" "" </dev/null
expect "hello powers off" 0 "$rc"
contains "hello speaks" "$work/out" 'hello: [0-9]+ KiB of memory'
guest 60 "$GUESTS/selftest" "" </dev/null
expect "selftest powers off" 0 "$rc"
contains "selftest closes" "$work/out" '^selftest: [0-9]+ passed, 0 failed'
grep -v ': of the paravirtual machine$' "$work/out" >"$work/claims"
verdicts "selftest" "$work/claims"
guest 60 "$GUESTS/unix" run=utest </dev/null
expect "utest powers off" 0 "$rc"
contains "utest closes" "$work/out" '^utest: [0-9]+ passed, 0 failed'
verdicts "utest" "$work/out"
(sleep 0.5; printf 'echo a b c | cat | wc\nexit 7\n'; sleep 0.5) | guest 20 "$GUESTS/unix" "run=sh"
contains "what is typed reaches the shell" "$work/out" '^ *1 +3 +6'
guest 20 "$GUESTS/unix" "run=echo from the ramdisk" --ramdisk "$O/unix.cpio" </dev/null
contains "a ramdisk" "$work/out" '^from the ramdisk'
guest 20 "$GUESTS/unix" "root=/dev/nothing" </dev/null
expect "a kernel that panics has crashed" 10 "$rc"

# Devices by the same words as in the other mode.
truncate -s 16M "$work/disk"
guest 30 "$GUESTS/blkbench" "ms=100" --disk "$work/disk" </dev/null
expect "blkbench powers off" 0 "$rc"
verdicts "a disk" "$work/out"
contains "a disk: all of it" "$work/out" '^blkbench: done'
guest 10 "$GUESTS/hello" "" --disk "$work/disk" --disk "$work/disk" --disk "$work/disk" --disk "$work/disk" \
	--disk "$work/disk" </dev/null
expect "five disks are refused" 2 "$rc"
O=$O limited 60 tests/tools/on-tap.sh 1 "$PARAVANE" run --mode fullvirt --memory 64M --vif tap:t0 \
	--cmdline "ping ip=10.0.0.2/24 to=10.0.0.1" "$GUESTS/netbench" </dev/null >"$work/out" 2>&1
if [ $? = 9 ]; then
	skip "a network card" "no user namespace with a TAP device here"
else
	tr -d '\r' <"$work/out" >"$work/ping"
	contains "a network card" "$work/ping" '^PASS ping'
fi

run --timeout 0.3 "$CPU" >/dev/null 2>&1 </dev/null
case $? in 0|12) pass "--timeout ends it";; *) fail "--timeout ends it" "status $?";; esac
run --vcpus 2 "$CPU" >/dev/null 2>"$work/why" </dev/null
expect "two processors are refused" 2 $?
contains "and why" "$work/why" 'has 1'
run "$PARAVANE" >/dev/null 2>"$work/why" </dev/null
expect "what is no kernel is refused" 2 $?
contains "with a sentence" "$work/why" 'PHYS32_ENTRY'
run --memory 4G "$CPU" >/dev/null 2>"$work/why" </dev/null
expect "too much memory is refused" 2 $?

"$PARAVANE" run --mode fullvirt "$CPU" >/dev/null 2>&1 </dev/null &
pid=$!
children+=($pid)
sleep 0.2
kill -TERM $pid 2>/dev/null
wait $pid
case $? in 0|143) pass "SIGTERM ends it";; *) fail "SIGTERM ends it" "status $?";; esac
expect "nothing is left behind" 0 "$(processes_of "mode fullvirt $CPU")"
finish
