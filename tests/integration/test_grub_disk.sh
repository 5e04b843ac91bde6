#!/bin/bash
# SPDX-License-Identifier: MIT
# Behaviour: GRUB's own block front-end reads its configuration and a kernel from a disk of ours, closes it, and the
# kernel that it starts opens the same disk anew.
# Breakage looks like a GRUB that finds no device or waits for the back-end, or a kernel whose disk does not connect.
# Needs Debian's grub-xen-host, and leave to map address 0 where it is the process engine that runs it; else skipped.
. "$(dirname "$0")/../lib.sh"

grub=/usr/lib/grub-xen/grub-x86_64-xen.bin
[ -f "$grub" ] || { skip grub-disk 'no grub-x86_64-xen.bin (package grub-xen-host)'; finish; }
command -v mke2fs >/dev/null || { skip grub-disk 'no mke2fs (package e2fsprogs)'; finish; }

mkdir -p "$work/tree/boot/grub"
cp "$GUESTS/blkbench" "$work/tree/"
echo 'a line from the disk' >"$work/tree/greeting"
printf 'cat /greeting\nlinux /blkbench check bytes=65536\nboot\n' >"$work/tree/boot/grub/grub.cfg"
mke2fs -q -t ext2 -d "$work/tree" "$work/boot" 16M 2>/dev/null >&2
truncate -s 8M "$work/data"
before=$(md5sum <"$work/boot")
limited 100 "$PARAVANE" run "$grub" --memory 128M --timeout 90 --disk "$work/boot,ro" --disk "$work/data" \
	</dev/null >"$work/out" 2>"$work/err"
rc=$?
if [ $rc = 2 ] && grep -Eq 'address|mmap_min_addr' "$work/err"; then
	skip grub-disk "$(tail -n 1 "$work/err")"
	finish
fi
expect grub-status 0 $rc
contains grub-reads-a-file "$work/out" 'a line from the disk'
contains grub-starts-a-kernel "$work/out" '^blkbench: done'
contains kernel-opens-the-disk-anew "$work/out" '^PASS xvda-read-only-is-not-written'
contains kernel-uses-the-other-disk "$work/out" '^PASS xvdb-scattered'
expect nothing-failed 0 "$(grep -c '^FAIL' "$work/out")"
expect read-only-disk-is-as-it-was "$before" "$(md5sum <"$work/boot")"
finish
