#!/bin/bash
# SPDX-License-Identifier: MIT
# stress.sh MINUTES [VCPUS]: forks, programs, exits, page faults, pipes and signals in the unix guest, for so long.
# The guest prints its pages, processes and open files before and after; this script, how many processes and
# descriptors the machine had on the host, and whether any process is left. A difference fails.
set -u
export LC_ALL=C
minutes=${1:?usage: stress.sh MINUTES [VCPUS]} vcpus=${2:-4}
O=${O:-build}
seconds=$(awk "BEGIN { print int($minutes * 60) }")
out=$(mktemp "${TMPDIR:-/tmp}/paravane-stress.XXXXXX") || exit 1
trap 'rm -f "$out"' EXIT

tree() { local c; echo "$1"; for c in $(cat /proc/"$1"/task/*/children 2>/dev/null); do tree "$c"; done; }
timeout -k 10 $((seconds + 120)) "$O/paravane" run --vcpus "$vcpus" --cmdline "run=stress $seconds" "$O/guests/unix" </dev/null >"$out" &
pid=$!
most_procs=0 most_fds=0 last=()
while kill -0 $pid 2>/dev/null; do
	machine=$(pgrep -P $pid 2>/dev/null | head -n 1)
	if [ -n "$machine" ]; then
		mapfile -t last < <(tree "$machine")
		n=${#last[@]}; [ "$n" -gt $most_procs ] && most_procs=$n
		n=$(ls "/proc/$machine/fd" 2>/dev/null | wc -l); [ "$n" -gt $most_fds ] && most_fds=$n
	fi
	sleep 1
done
wait $pid; rc=$?
tr -d '\r' <"$out"
left=0
for p in ${last[@]+"${last[@]}"}; do [ -d "/proc/$p" ] && left=$((left + 1)); done
echo "stress: host: at most $most_procs processes, $most_fds descriptors in the machine's own; $left processes left afterwards"
if [ $rc != 0 ] || [ $left != 0 ] || ! grep -q '^unix: stress exited 0' "$out"; then
	echo "stress: FAILED (status $rc)"
	exit 1
fi
