#!/bin/bash
# SPDX-License-Identifier: MIT
# What an operation costs in exits on the kvm engine, for a bare guest, the unix guest and stock Linux: on this
# machine's /dev/kvm, and on kvm-amd under an emulator of the processor, where the counts (not the times) are
# those of hardware with nested paging. With the argument "full" stock Linux there as well, which takes minutes.
. "$(dirname "$0")/../linux/lib.sh"
finished=1	# no test: it has no verdict
exits=$O/bench/exits
l1=tests/tools/kvm-amd/run-in-l1.sh
bench=("$PARAVANE" run --stats --engine kvm --timeout 300 --cmdline count "$GUESTS/bench")
unix=("$PARAVANE" run --stats --engine kvm --timeout 300 --cmdline "run=bench count" "$GUESTS/unix")
linux=() ramdisk=$work/ramdisk.gz disk=$work/disk.img

plan_linux() {
	local kernel
	kernel=$(linux_kernels | tail -n 1)
	[ -n "$kernel" ] && [ -x /bin/busybox ] && command -v cpio >/dev/null || return
	make_ramdisk "$ramdisk" "$kernel" "$O/bench/os-measure"
	truncate -s 16M "$disk"
	linux=("$PARAVANE" run --stats --engine kvm --timeout 800 --memory 256M --ramdisk "$ramdisk" --disk "$disk"
		--cmdline "earlyprintk=xen console=hvc0 quiet do=disk,count" "$kernel")
}

here() {	# TITLE COMMAND...: the commands' own errors are part of what is counted
	"$exits" "$@"
	echo
}

there() {	# TITLE COMMAND...: in the machine of the emulator
	$l1 --mem 1600 --cpus 2 --timeout 880 --copy "$exits" --copy "$PARAVANE" --copy "$GUESTS/bench" --copy "$GUESTS/unix" \
		"${linux_copies[@]}" -- "$exits" "$@" 2>"$work/l1.err" || sed 's/^/exits: /' "$work/l1.err" >&2
	echo
}

plan_linux
if [ -r /dev/kvm ] && [ -w /dev/kvm ]; then
	echo "this machine's /dev/kvm:"
	here "bare guest" "${bench[@]}"
	here "unix" "${unix[@]}"
	if [ ${#linux[@]} -gt 0 ]; then here "Linux ($(basename "${linux[-1]}"))" "${linux[@]}"; else
		echo "no Linux: the kernel package, busybox-static or cpio is not here (make setup)"; fi
else
	echo "no /dev/kvm that this user may open"
fi
linux_copies=()
if ! command -v qemu-system-x86_64 >/dev/null || [ -z "$(linux_kernels)" ]; then
	echo "no kvm-amd under an emulator: qemu-system-x86 or the kernel package is not here (make setup)"
	exit 0
fi
echo "kvm-amd under an emulator (its times mean nothing):"
there "bare guest" "${bench[@]}"
there "unix" "${unix[@]}"
if [ "${1-}" = full ] && [ ${#linux[@]} -gt 0 ]; then
	linux_copies=(--copy "${linux[-1]}" --copy "$ramdisk" --copy "$disk" --copy "$(command -v xz)")
	there "Linux ($(basename "${linux[-1]}"))" "${linux[@]}"
fi
