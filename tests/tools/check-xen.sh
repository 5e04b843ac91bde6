#!/bin/bash
# SPDX-License-Identifier: MIT
# The same guest files on real Xen (in an emulator, tests/tools/real-xen) and on ours: one line for each
# claim, both verdicts side by side.
#
#   tests/tools/check-xen.sh          O: the build folder; XEN_CPU: the emulated processor (max,vendor=GenuineIntel
#                                     is another one with other habits); XEN_RUNS: names of the runs to do, else all
#
# Xen is the judge. A claim that fails there is wrong, or the self-test is. A claim that ends otherwise on
# ours is a defect of ours, unless it stands in tests/xen-differences with its reason; a line there whose
# claim does not differ (any more) is a failure too, so the list stays true.
# Where real Xen cannot be run, everything is skipped, with the reason.
. "$(dirname "$0")/../lib.sh"

here=$(dirname "$0")
differences=$here/../xen-differences
memory=128

# Name of the run, guest, vCPUs, command line. Claims of a run are compared one by one; those of every run but
# `selftest` are called by the run's name and theirs.
runs='hello    hello    2
selftest selftest 2
utest-1  unix     1 run=utest
utest-2  unix     2 run=utest
utest-2r unix     2 roots=two run=utest
disk     blkbench 2 check bytes=2000000
disk-keep blkbench 1 check bytes=2000000 persistent=1 order=4 segments=64
disk-root unix    2 root=/dev/xvda run=utest files
net      unix     2 run=net 10.0.0.2/24 via 10.0.0.1 utest lan'

end() {
	finished=1
	[ $((passed + failed + skipped)) -gt 0 ] || { failed=1; echo "FAIL no verdict at all"; }
	printf 'check-xen: %d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
	[ "$failed" = 0 ]
	exit
}

# new_disk RUN: what that run begins with on either side; $disk is the option, empty for runs without a disk
new_disk() {
	disk=()
	case $1 in
	disk-root)
		mkdir -p "$work/root/bin" "$work/root/tmp"
		cp "$O"/user/bin/* "$work/root/bin/"
		rm -f "$work/disk.img"
		PATH=$PATH:/usr/sbin mke2fs -q -t ext2 -b 4096 -d "$work/root" "$work/disk.img" 32M >/dev/null 2>&1;;
	disk*)	rm -f "$work/disk.img"; truncate -s 32M "$work/disk.img";;
	*)	return;;
	esac
	disk=(--disk "$work/disk.img")
}

# check_disk RUN WHERE: a file system is as it should be afterwards
check_disk() {
	[ "$1" = disk-root ] || return
	PATH=$PATH:/usr/sbin e2fsck -fn "$work/disk.img" >"$work/e2fsck" 2>&1
	expect "$1 on $2: e2fsck" 0 $?
}

# on_xen RUN GUEST VCPUS COMMANDLINE: console to $work/RUN.xen, how it ended to $work/RUN.xen.how
on_xen() {
	local vif=()
	[ "$1" != net ] || vif=(--vif)
	new_disk "$1"
	limited 400 "$here/real-xen/run-on-xen.sh" --mem "$memory" --vcpus "$3" --timeout 200 --extra "$4" \
		${disk[@]+"${disk[@]}"} ${vif[@]+"${vif[@]}"} "$GUESTS/$2" \
		>"$work/out" 2>"$work/err" </dev/null
	local rc=$?
	if [ $rc = 2 ]; then	# the harness, not the guest: a package that is missing, or a fault of its own
		if grep -q 'not installed: ' "$work/err"; then
			skip "$1 on real Xen" "$(sed -n '$p' "$work/err")"
		else
			fail "$1 on real Xen" "the harness failed: $(tail -n 3 "$work/err")"
		fi
		return 1
	fi
	tr -d '\r' <"$work/out" | grep -v '^run-on-xen: ' >"$work/$1.xen"
	sed -n 's/^run-on-xen: guest shut down: //p' "$work/out" >"$work/$1.xen.how"
}

# on_ours RUN GUEST VCPUS COMMANDLINE: the same for our hypervisor; its exit status is how it ended. False: not here
on_ours() {
	local rc vif=() tap=()
	[ "$1" != net ] || { vif=(--vif tap:t0); tap=("$here/on-tap.sh" 60); }
	new_disk "$1"
	limited 130 ${tap[@]+"${tap[@]}"} "$PARAVANE" run --memory "${memory}M" --vcpus "$3" --timeout 120 --cmdline "$4" \
		${disk[@]+"${disk[@]}"} ${vif[@]+"${vif[@]}"} "$GUESTS/$2" \
		>"$work/out" 2>"$work/err" </dev/null
	rc=$?
	if [ $rc = 9 ] && [ "$1" = net ]; then
		skip "$1 on ours" "no TAP device can be made in a namespace here"
		return 1
	fi
	if [ $rc = 0 ]; then echo poweroff; else echo "exit status $rc"; fi >"$work/$1.ours.how"
	tr -d '\r' <"$work/out" >"$work/$1.ours"
}

# Verdict of a claim in a console: PASS, SKIP, FAIL or "-" when it says nothing; the reason behind a blank.
verdict() {
	awk -v want="$2" '($1 == "PASS" || $1 == "SKIP" || $1 == "FAIL") && ($2 == want || $2 == want ":") {
		v = $1; $1 = $2 = ""; sub(/^ +/, ""); print v, $0; found = 1; exit }
		END { if (!found) print "-" }' "$1"
}

reason_for() { sed -n "s|^$1: *||p" "$differences" | head -n 1; }

side_by_side() { printf '%-64s %-5s %-5s %s\n' "$1" "$2" "$3" "${4-}"; }

# compare RUN CLAIM
compare() {
	local name=$2 xen ours reason
	xen=$(verdict "$work/$1.xen" "$2")
	ours=$(verdict "$work/$1.ours" "$2")
	[ "$1" = selftest ] || name=$1/$2
	reason=$(reason_for "$name")
	echo "$name" >>"$work/names"
	side_by_side "$name" "${xen%% *}" "${ours%% *}"
	if [ "${xen%% *}" = FAIL ] || [ "$xen" = - ]; then
		fail "$name" "on real Xen: $xen"
	elif [ "${xen%% *}" = "${ours%% *}" ]; then
		if [ -n "$reason" ]; then
			fail "$name" "stands in xen-differences and does not differ"
		elif [ "${xen%% *}" = SKIP ]; then
			skip "$name" "${xen#SKIP }"
		else
			passed=$((passed + 1))
		fi
	elif [ -n "$reason" ]; then
		skip "$name" "differs as listed: $reason"
	else
		fail "$name" "real Xen ${xen%% *}, ours: $ours"
	fi
}

# Every claim of a run that makes claims, on both sides.
compare_all() {
	local name closing='^(selftest|utest): [0-9]+ passed, 0 failed|^blkbench: done'
	side_by_side "claims of $1" xen ours
	for name in $(awk '$1 == "PASS" || $1 == "SKIP" || $1 == "FAIL" { sub(/:$/, "", $2); print $2 }' \
		"$work/$1.xen" "$work/$1.ours" | awk '!seen[$0]++'); do
		compare "$1" "$name"
	done
	contains "$1 on real Xen: its closing line" "$work/$1.xen" "$closing"
	contains "$1 on ours: its closing line" "$work/$1.ours" '^(selftest|utest|blkbench): '
}

: >"$work/names"
while read -r run guest vcpus cmdline; do
	[[ -z ${XEN_RUNS-} || " $XEN_RUNS " = *" $run "* ]] || continue
	on_xen "$run" "$guest" "$vcpus" "$cmdline" || end
	check_disk "$run" "real Xen"
	on_ours "$run" "$guest" "$vcpus" "$cmdline" || continue
	check_disk "$run" ours
	how=$(cat "$work/$run.xen.how") ours=$(cat "$work/$run.ours.how")
	side_by_side "$run: how it ends" "$how" "$ours"
	expect "$run: real Xen" poweroff "$how"
	expect "$run: ours" poweroff "$ours"
	if [ "$run" = hello ]; then
		expect "hello: the same words" "$(cat "$work/hello.xen")" "$(cat "$work/hello.ours")"
	else
		compare_all "$run"
	fi
done <<<"$runs"

[ -z "${XEN_RUNS-}" ] || end
# Every listed difference names a claim there is.
while IFS=: read -r name _; do
	grep -qx -- "$name" "$work/names" || fail "$name" "stands in xen-differences and is no claim"
done < <(grep -Ev '^(#|$)' "$differences")
end
