#!/bin/bash
# SPDX-License-Identifier: MIT
# The kvm engine on a KVM with hardware's semantics: kvm-amd under an emulator of the processor (tests/tools/kvm-amd).
# The engine's unit tests, the self-test guest, full virtualization at ring 0; with FULL=1 stock Linux as well, which takes minutes there.
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

if [ -n "${FULL-}" ]; then
	kernel=$(linux_kernels | tail -n 1)
	make_ramdisk "$work/ramdisk.gz" "$kernel"
	limited 900 $l1 --mem 1600 --cpus 2 --timeout 880 --copy "$PARAVANE" --copy "$kernel" --copy "$work/ramdisk.gz" --copy "$(command -v xz)" -- \
		"$PARAVANE" run --engine kvm --memory 300M --vcpus 2 --timeout 850 --ramdisk "$work/ramdisk.gz" \
		--cmdline 'earlyprintk=xen console=hvc0 do=work' "$kernel" >"$work/out" 2>"$work/err"
	expect "stock Linux powers off" 0 $?
	contains "stock Linux: user space with 2 vCPUs" "$work/out" '^guest: user space .* cpus 2 hypervisor xen'
	contains "stock Linux: no warning" "$work/out" '^guest: warnings 0'
else
	skip "stock Linux on kvm-amd" "takes minutes in the emulator: FULL=1"
fi
finish
