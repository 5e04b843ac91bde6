#!/bin/bash
# SPDX-License-Identifier: MIT
# soak.sh MINUTES: a guest's network interface under full load in both directions, streams and datagrams, with the
# program at the port's other end killed and started again throughout.
#
# Counted before and after, at rest, and a difference fails:
#   in the guest    pages in use (buffers among them), grants, processes, open files (the program netsoak counts them)
#   on the host     descriptors and threads of the machine's own process; processes that are left at the end
#   and             memory of the machine's own process may not have grown by more than MEMORY KiB
set -u
export LC_ALL=C
. "$(dirname "$0")/count.sh"
minutes=${1:?usage: soak.sh MINUTES}
O=${O:-build}
MEMORY=${MEMORY:-4096}
seconds=$(awk "BEGIN { s = int($minutes * 60); print s < 1 ? 1 : s }")
work=$(mktemp -d "${TMPDIR:-/tmp}/paravane-soak.XXXXXX") || exit 1
out=$work/out machine= peer= guest= failed= last=()
trap 'for c in $peer $guest; do kill -9 "$c" 2>/dev/null; done; rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
bad() { echo "soak: FAILED: $*"; failed=1; }

start_peer() { "$O/tests/netpeer" "$work/net.sock" 10.0.0.1 serve 10.0.0.2 >"$work/peer" 2>&1 & peer=$!; }
end_peer() { kill -9 "$peer" 2>/dev/null; wait "$peer" 2>/dev/null; peer=; }

# soon PATTERN SECONDS: the guest says so. False: it has ended, or does not.
soon() {
	local end=$((SECONDS + $2))
	until grep -aq "^netsoak: $1" "$out"; do
		kill -0 "$guest" 2>/dev/null && [ $SECONDS -lt $end ] || return 1
		sleep 0.1
	done
}

# look WHEN [DESCRIPTORS]: the guest waits meanwhile, and goes on then. The port may still be connecting: it gets 5
# seconds to have as many descriptors.
look() {
	local i
	soon "$1:" 60 || return 1
	machine=$(pgrep -P "$guest" | head -n 1)
	for ((i = 0; i < 50; i++)); do
		sleep 0.1
		count_machine "$machine"
		[ "${2-}" = "$count_own" ] || [ -z "${2-}" -a $i = 5 ] && break
	done
	echo "soak: host, $1: $count_own descriptors, $count_threads threads, $count_memory KiB of its own"
	echo >&3
}

# Kills it 0.5 to 2.4 seconds after it came, until the guest rests; the port looks for it every second.
kill_and_restart() {
	local n=0 t
	until soon 'rests' 0 || ! kill -0 "$guest" 2>/dev/null || [ $SECONDS -gt $deadline ]; do
		sleep "$((RANDOM % 2 + (t = RANDOM % 10 + 5) / 10)).$((t % 10))"
		end_peer
		n=$((n + 1))
		start_peer
	done
	echo "soak: the peer was killed $n times"
	[ $n -gt 0 ] || bad "the peer was never killed"
}

start_peer
mkfifo "$work/in" && exec 3<>"$work/in" || exit 1
for ((i = 0; i < 100; i++)); do [ -S "$work/net.sock" ] && break; sleep 0.1; done
timeout -k 10 $((seconds + 150)) "$O/paravane" run --vcpus 2 --vif "unix:$work/net.sock" --stats \
	--cmdline "run=net 10.0.0.2/24 netsoak 10.0.0.1 $seconds" "$O/guests/unix" <"$work/in" >"$out" 2>"$work/err" &
guest=$!
if look before; then
	own=$count_own threads=$count_threads memory=$count_memory deadline=$((SECONDS + seconds + 60))
	kill_and_restart
	if look after "$own"; then
		[ "$count_own" = "$own" ] || bad "descriptors: $own before, $count_own after"
		[ "$count_threads" = "$threads" ] || bad "threads: $threads before, $count_threads after"
		[ $((count_memory - memory)) -le "$MEMORY" ] || bad "memory: $memory KiB before, $count_memory after"
	else
		bad "it ended under load, or did not come to rest"
	fi
else
	bad "it did not get that far"
fi
wait "$guest"; rc=$?
guest=
end_peer
tr -d '\r' <"$out"
grep -a 'vif0' "$work/err"
sleep 0.2
left=$(count_left)
[ "$left" = 0 ] || bad "$left processes left"
[ $rc = 0 ] && grep -aq 'netsoak: nothing is left behind' "$out" || bad "status $rc"
[ -z "$failed" ]
