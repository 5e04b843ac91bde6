#!/bin/bash
# SPDX-License-Identifier: MIT
# The kvm engine on a KVM with hardware's semantics: kvm-amd under an emulator of the processor (tests/tools/kvm-amd).
# The engine's unit tests, the self-test guest, full virtualization at ring 0, stock Linux; with FULL=1 its devices, and hostile guests.
. "$(dirname "$0")/lib.sh"
l1=tests/tools/kvm-amd/run-in-l1.sh
for need in qemu-system-x86_64 cpio xz; do
	command -v $need >/dev/null || { skip "kvm-amd under an emulator" "no $need (make setup)"; finish; }
done
[ -n "$(linux_kernels)" ] || { skip "kvm-amd under an emulator" "no kernel under /boot (package linux-image-amd64)"; finish; }

for unit in engine_kvm engine_hvm; do
	if [ -x "$O/tests/unit/$unit" ]; then
		limited 200 $l1 --timeout 180 --copy "$O/tests/unit/$unit" -- "$O/tests/unit/$unit" >"$work/out" 2>"$work/err"
		expect "unit tests of $unit end well" 0 $?
		contains "unit tests of $unit" "$work/out" '^100%: Checks: [1-9][0-9]*, Failures: 0, Errors: 0'
	else
		skip "unit tests of $unit" "not built (make units)"
	fi
done

limited 200 $l1 --cpus 2 --timeout 180 --copy "$PARAVANE" --copy "$GUESTS/selftest" -- \
	"$PARAVANE" run --engine kvm --memory 64M --vcpus 2 --timeout 150 "$GUESTS/selftest" >"$work/out" 2>"$work/err"
expect "selftest powers off" 0 $?
contains "selftest: every claim holds" "$work/out" '^selftest: [1-9][0-9]+ passed, 0 failed'

# At ring 0, entered natively: the processor test, then a whole system, its disk on the emulated controller left out.
limited 200 $l1 --timeout 120 --copy "$PARAVANE" --copy "$O/fullvirt/cpu" -- \
	"$PARAVANE" run --mode fullvirt --engine kvm --memory 16M --timeout 100 "$O/fullvirt/cpu" >"$work/out" 2>"$work/err"
expect "full virtualization: the processor test ends" 0 $?
verdicts "full virtualization: the processor" "$work/out"
limited 200 $l1 --timeout 150 --copy "$PARAVANE" --copy "$GUESTS/unix" -- \
	"$PARAVANE" run --mode fullvirt --engine kvm --memory 64M --timeout 120 --cmdline run=utest "$GUESTS/unix" >"$work/out" 2>"$work/err"
expect "full virtualization: the unix guest powers off" 0 $?
contains "full virtualization: its programs" "$work/out" '^utest: [1-9][0-9]* passed, 0 failed'

# Stock Linux with two vCPUs.
kernel=$(linux_kernels | tail -n 1)
make_ramdisk "$work/ramdisk.gz" "$kernel"
limited 250 $l1 --mem 1200 --cpus 1 --timeout 230 --copy "$PARAVANE" --copy "$kernel" --copy "$work/ramdisk.gz" --copy "$(command -v xz)" -- \
	"$PARAVANE" run --engine kvm --memory 256M --vcpus 2 --timeout 200 --ramdisk "$work/ramdisk.gz" \
	--cmdline "earlyprintk=xen console=hvc0 do=nothing" "$kernel" >"$work/out" 2>"$work/err"
expect "stock Linux: powers off" 0 $?
contains "stock Linux: user space" "$work/out" 'guest: user space .* cpus 2 hypervisor xen'
contains "stock Linux: boots without a warning" "$work/out" 'guest: warnings 0'

if [ -z "${FULL-}" ]; then
	skip "Linux's disk and network, and hostile guests, on kvm-amd" "minutes in the emulator: FULL=1"
	finish
fi

# The same at work: on both vCPUs, its disk, its neighbour, a vCPU that comes and goes. On one processor of the emulator:
# with two of them it stood still in two runs of four, and once the emulated host's own kernel went down.
script=$PWD/tests/linux/in_l1.sh
limited 900 $l1 --mem 1600 --cpus 1 --timeout 880 --copy "$script" --copy "$PARAVANE" --copy "$kernel" --copy "$work/ramdisk.gz" \
	--copy "$GUESTS/netbench" --copy "$(command -v xz)" -- \
	sh "$script" "$PARAVANE" "$kernel" "$work/ramdisk.gz" "$GUESTS/netbench" >"$work/out" 2>"$work/err"
expect "stock Linux: the emulated machine ends well" 0 $?
contains "stock Linux: ends when its neighbour is destroyed" "$work/out" '^host: status 18'
contains "stock Linux: user space with 2 vCPUs" "$work/out" 'guest: user space .* cpus 2 hypervisor xen'
contains "stock Linux: no warning" "$work/out" 'guest: warnings 0'
contains "stock Linux: sums" "$work/out" "guest: sums 1 $(seq 1 500 | md5sum | cut -d' ' -f1)"
contains "stock Linux: disk reads" "$work/out" "guest: disk reads $(sed -n 's/^host: disk \([0-9a-f]*\).*/\1/p' "$work/out")"
contains "stock Linux: disk writes" "$work/out" '^host: disk has what was written'
contains "stock Linux: ping" "$work/out" 'guest: ping 3 packets received'
contains "stock Linux: a vCPU comes" "$work/out" 'guest: cpus now 3'
contains "stock Linux: and goes" "$work/out" 'guest: cpus now 2'

limited 600 $l1 --mem 1600 --cpus 2 --timeout 580 --copy "$O/hostile" -- "$O/hostile/harness" -e kvm -t 60 -s 1 \
	"$O/hostile/witness" "$O/hostile/attacker" >"$work/out" 2>"$work/err"
expect "hostile guests: the harness ends in order" 0 $?
verdicts "hostile guests" "$work/out"
finish
