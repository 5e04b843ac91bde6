#!/bin/bash
# SPDX-License-Identifier: MIT
# The same guest files entered at ring 0, on an unmodified QEMU that emulates a PC: hello, every claim of selftest
# that is no claim about a hypervisor, and the small Unix with its tests, its shell and a ramdisk.
# What it looks like when broken: no line at all (the start), a panic with registers, or a run that never ends.
. "$(dirname "$0")/../lib.sh"

qemu=$(command -v qemu-system-x86_64) || { skip "native guests on QEMU" "qemu-system-x86_64 is not installed (make setup)"; finish; exit; }

# native SECONDS KERNEL COMMANDLINE [OPTION...]: its output in $work/out, without carriage returns; the status in $rc
native() {
	local seconds=$1 kernel=$2 cmdline=$3; shift 3
	limited "$seconds" "$qemu" -kernel "$kernel" -append "$cmdline" -m 64 -display none -serial stdio -monitor none \
		-nic none -no-reboot "$@" >"$work/raw" 2>"$work/err"
	rc=$?
	tr -d '\r' <"$work/raw" >"$work/out"
}

# The plainest form, as a person would type it.
limited 60 "$qemu" -kernel "$GUESTS/hello" -nographic </dev/null >"$work/out" 2>"$work/err"
expect "hello powers off" 0 $?
contains "hello speaks" "$work/out" 'hello: [0-9]+ KiB of memory'

# With an old processor; and floating point with all that the emulator knows: another way to save its state.
for cpu in qemu64 max; do
	only=
	[ "$cpu" = max ] && only=only=fp
	native 120 "$GUESTS/selftest" "$only" -cpu "$cpu" </dev/null
	expect "$cpu: selftest powers off" 0 "$rc"
	contains "$cpu: selftest closes" "$work/out" '^selftest: [0-9]+ passed, 0 failed'
	grep -v ': of the paravirtual machine$' "$work/out" >"$work/claims"
	verdicts "$cpu" "$work/claims"
done

native 200 "$GUESTS/unix" run=utest </dev/null
expect "utest powers off" 0 "$rc"
contains "utest closes" "$work/out" '^utest: [0-9]+ passed, 0 failed'
contains "init tells the status" "$work/out" '^unix: utest exited 0$'
verdicts "utest" "$work/out"

# A session with the shell: what is typed comes by the serial line's interrupts.
mkfifo "$work/keys"
(
	exec 3<>"$work/keys"
	for _ in $(seq 900); do grep -q '\$' "$work/raw" 2>/dev/null && break; sleep 0.1; done
	printf 'echo a b c | cat | wc\nls bin/utest\nexit 7\n' >&3
	sleep 1
) &
children+=($!)
native 120 "$GUESTS/unix" "" <"$work/keys"
{ kill "${children[0]}"; wait "${children[0]}"; } 2>/dev/null
children=()
expect "shell: powers off" 0 "$rc"
contains "shell: a pipe" "$work/out" '^ *1 +3 +6'
contains "shell: its end" "$work/out" 'exited 7'

# Programs from a ramdisk, which the loader leaves wherever it likes.
if [ -f "$O/unix.cpio" ]; then
	native 120 "$GUESTS/unix" "run=echo from the ramdisk" -initrd "$O/unix.cpio" </dev/null
	contains "ramdisk: its programs run" "$work/out" '^from the ramdisk'
fi
finish
