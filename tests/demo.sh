#!/bin/bash
# SPDX-License-Identifier: MIT
# The demo: boots the smallest guest; then a small Unix that serves a page, which the host fetches; then one whose
# programs come from a disk image, and looks from the host at what it has written there. Ends with 0 if all of that
# worked.
set -u
O=${O:-build}
PATH=$PATH:/usr/sbin:/sbin
failed=0
say() { printf '\n== %s\n' "$*"; }
work=$(mktemp -d "${TMPDIR:-/tmp}/paravane-demo.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT

say "paravane run $O/guests/hello"
"$O/paravane" run "$O/guests/hello" --timeout 10 </dev/null || failed=$?
say "the guest ended with status $failed (0: it powered itself off)"

"$(dirname "$0")/demo_net.sh" || { say "no page came from the guest"; failed=1; }

if ! command -v mke2fs >/dev/null || ! command -v debugfs >/dev/null; then
	say "no e2fsprogs: the part with a disk is left out"
	exit $failed
fi
mkdir -p "$work/root/bin"
cp "$O"/user/bin/* "$work/root/bin/"
echo "written by the host" >"$work/root/greeting"
say "mke2fs -t ext2 -b 4096 -d FOLDER disk.img 16M"
mke2fs -q -t ext2 -b 4096 -d "$work/root" "$work/disk.img" 16M 2>/dev/null || exit 1
say "paravane run --disk disk.img --cmdline root=/dev/xvda $O/guests/unix, and at its shell:"
cat >"$work/session" <<'END'
cat /greeting
echo written by the guest > /answer
ls
exit
END
"$O/paravane" run --timeout 20 --vcpus 2 --disk "$work/disk.img" --cmdline root=/dev/xvda "$O/guests/unix" \
	<"$work/session" || failed=$?
say "debugfs -R 'cat /answer' disk.img; e2fsck -fn disk.img"
answer=$(debugfs -R "cat /answer" "$work/disk.img" 2>/dev/null)
echo "$answer"
[ "$answer" = "written by the guest" ] || failed=1
e2fsck -fn "$work/disk.img" 2>/dev/null | tail -n 1
[ "${PIPESTATUS[0]}" = 0 ] || failed=1
exit $failed
