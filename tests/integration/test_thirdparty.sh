#!/bin/bash
# SPDX-License-Identifier: MIT
# Kernels that other people wrote and built: they never heard of this hypervisor.
# GRUB's PV image is linked at address 0 and executes `syscall` itself, having no hypercall page; it talks to
# the console ring and to xenstore. Address 0 needs CAP_SYS_RAWIO on the process engine.
. "$(dirname "$0")/../lib.sh"
grub=/usr/lib/grub-xen/grub-x86_64-xen.bin

if [ ! -r $grub ]; then
	skip "GRUB reaches its prompt" "grub-xen-host is not installed (make setup)"
	finish
fi
{ sleep 2; printf 'echo answer-$root-42\n'; sleep 1; printf 'halt\n'; sleep 10; } |
	limited 30 "$PARAVANE" run --engine process --memory 64M --timeout 25 $grub >"$work/out" 2>"$work/err"
rc=$?
if [ $rc = 2 ]; then
	contains "GRUB at address 0 without the privilege: one sentence" "$work/err" 'address|mmap_min_addr'
	skip "GRUB reaches its prompt" "$(tail -n 1 "$work/err")"
	finish
fi
contains "GRUB greets" "$work/out" 'GRUB'
contains "GRUB runs a command typed on the console" "$work/out" 'answer-.*42'
expect "GRUB powers off" 0 $rc
finish
