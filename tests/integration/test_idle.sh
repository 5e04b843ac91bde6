#!/bin/bash
# SPDX-License-Identifier: MIT
# A guest at rest costs nothing: while it is blocked without a timer, no thread of any of its processes makes a
# context switch, and all together use at most one clock tick. IDLE_SECONDS (3 here) says for how long.
. "$(dirname "$0")/../lib.sh"
IDLE_SECONDS=${IDLE_SECONDS:-3}

# pid and all its descendants
tree() { local c; echo "$1"; for c in $(cat /proc/"$1"/task/*/children 2>/dev/null); do tree "$c"; done; }
switches() { local p; for p in $(tree "$1"); do cat /proc/"$p"/task/*/status 2>/dev/null; done | awk '/ctxt_switches/ { n += $2 } END { print n + 0 }'; }
ticks() { local p; for p in $(tree "$1"); do sed 's/.*) //' "/proc/$p/stat" 2>/dev/null; done | awk '{ n += $12 + $13 } END { print n + 0 }'; }

for engine in $ENGINES; do
	"$PARAVANE" run --engine "$engine" --cmdline idle "$GUESTS/bench" </dev/null >"$work/out" 2>"$work/err" &
	p=$!; children+=($p)
	for ((i = 0; i < 100; i++)); do grep -q idle "$work/out" && break; sleep 0.1; done
	sleep 1
	s0=$(switches $p) t0=$(ticks $p)
	sleep "$IDLE_SECONDS"
	s1=$(switches $p) t1=$(ticks $p)
	expect "$engine: the guest is there and idle" idle "$(tr -d '\r\n' <"$work/out")"
	expect "$engine: no context switch in $IDLE_SECONDS s" "$s0" "$s1"
	if [ $((t1 - t0)) -le 1 ]; then pass "$engine: at most one tick in $IDLE_SECONDS s"; else
		fail "$engine: at most one tick in $IDLE_SECONDS s" "$((t1 - t0)) ticks"; fi
	kill -TERM $p; wait $p 2>/dev/null
done
finish
