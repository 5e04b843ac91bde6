#!/bin/bash
# SPDX-License-Identifier: MIT
# stress.sh MINUTES [VCPUS]: forks, programs, exits, page faults, pipes and signals in the unix guest, for so long.
#
# Counted before and after, at rest, and a difference fails:
#   in the guest    pages in use, processes, open files (the program `stress` counts them)
#   on the host     descriptors of the machine's own process; those of the guest's processes, three each (memfd and
#                   two ends of pipes; one that has ended and is not buried has none); processes that are left at the end
# The guest's processes on the host are a cache: they may become more, up to PROCESSES.
set -u
export LC_ALL=C
. "$(dirname "$0")/count.sh"
minutes=${1:?usage: stress.sh MINUTES [VCPUS]} vcpus=${2:-4}
O=${O:-build}
PROCESSES=${PROCESSES:-128}
seconds=$(awk "BEGIN { print int($minutes * 60) }")
out=$(mktemp "${TMPDIR:-/tmp}/paravane-stress.XXXXXX") || exit 1
machine=
trap 'rm -f "$out"' EXIT

# The guest rests after each of its two looks. Processes that have just been ended get a moment to go.
wait_and_count() {
	local i
	until grep -aq "^stress: $1:" "$out"; do
		kill -0 $pid 2>/dev/null || return 1
		sleep 0.2
	done
	machine=$(pgrep -P $pid | head -n 1)
	for i in 1 2 3 4 5 6; do
		sleep 0.5
		count_machine "$machine"
		[ $count_theirs != $((3 * count_procs)) ] || break
	done
	echo "stress: host, $1: $count_procs guest processes, $count_own descriptors of the machine's own, $count_theirs of theirs"
}

failed=
bad() { echo "stress: FAILED: $*"; failed=1; }

timeout -k 10 $((seconds + 120)) "$O/paravane" run --vcpus "$vcpus" --processes "$PROCESSES" \
	--cmdline "run=stress $seconds 0 10" "$O/guests/unix" </dev/null >"$out" &
pid=$! last=()
if wait_and_count before; then
	own=$count_own
	wait_and_count after
	[ "$count_own" != 0 ] || bad "the machine ended before it could be counted"
	[ "$count_own" = "$own" ] || bad "the machine's descriptors: $own before, $count_own after"
	[ "$count_theirs" = $((3 * count_procs)) ] || bad "the guest processes' descriptors are not three each"
	[ "$count_procs" -le $((PROCESSES + 1)) ] || bad "$count_procs guest processes"
else
	bad "it ended too soon"
fi
wait $pid; rc=$?
tr -d '\r' <"$out"
sleep 0.2
left=$(count_left)
[ "$left" = 0 ] || bad "$left processes left"
[ $rc = 0 ] && grep -aq '^unix: stress exited 0' "$out" || bad "status $rc"
[ -z "$failed" ]
