#!/bin/bash
# SPDX-License-Identifier: MIT
# More address spaces than the host may have processes: the cache of guest processes stays inside every
# limit and loses nobody (tests/guests/actor/roots.c). ROOTS_HEAVY=1: 32 vCPUs with 500 address spaces inside
# 1,000 processes, and 10,000 roots one after the other; `make stress` does so.
. "$(dirname "$0")/../lib.sh"

actor=$GUESTS/actor
[ -n "${ROOTS_HEAVY:-}" ] && { cpus=32 roots=500 cycles=10000; } || { cpus=6 roots=40 cycles=1500; }

# watch PID: the most guest processes that PID was seen to have, into $work/most, until it ends.
watch() {
	local n most=0
	while kill -0 "$1" 2>/dev/null; do
		n=$(pgrep -c -P "$1" paravane-guest)
		[ "$n" -gt "$most" ] && most=$n
		sleep 0.05
	done
	echo "$most" >"$work/most"
}
# measured NAME MOST WORDS OPTIONS...: runs it, and counts its processes meanwhile; the nursery is one more.
measured() {
	local name=$1 most=$2 words=$3
	shift 3
	"$PARAVANE" run "$actor" --cmdline "$words" --machine "roots$$" --timeout 300 "$@" </dev/null >"$work/out" 2>"$work/err" &
	children+=("$!")
	local pid=$!
	watch "$pid" &
	wait "$pid"
	rc=$?
	wait $!
	expect "$name: status" 0 "$rc"
	[ "$rc" = 0 ] || head -n 3 "$work/err" "$work/out"
	local seen
	seen=$(cat "$work/most")
	if [ "$seen" -le $((most + 1)) ]; then pass "$name: at most $most processes"; else
		fail "$name: at most $most processes" "$seen"
	fi
}

measured "$cpus vCPUs, $roots roots" 256 "roots=$roots" --vcpus $cpus --memory 64M
contains "$cpus vCPUs, $roots roots: each its own" "$work/out" "^roots: $roots address spaces, $cpus vCPUs, all right"
measured 'few processes' 12 'roots=40' --vcpus 4 --memory 64M --processes 12
contains 'few processes: each its own' "$work/out" '^roots: 40 address spaces, 4 vCPUs, all right'
measured 'fewer processes than vCPUs' 9 'roots=10' --vcpus 8 --memory 64M --processes 4
contains 'fewer processes than vCPUs: each its own' "$work/out" '^roots: 10 address spaces, 8 vCPUs, all right'
measured "$cycles roots in turn" 8 "cycle=$cycles" --memory 32M --processes 8
contains "$cycles roots in turn: each its own" "$work/out" "^roots: $cycles made and unmade"

# A host that refuses: threads count, and each guest process has two. Root is exempt, so by a user who has no other.
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
	uid=$((60000 + $$ % 5000))
	chmod 755 "$work"
	cp "$PARAVANE" "$actor" "$work"
	refusing() {	# LIMIT ROOTS VCPUS
		(ulimit -u "$1" && limited 250 setpriv --reuid=$uid --regid=$uid --clear-groups "$work/paravane" run "$work/actor" \
			--cmdline "roots=$2" --vcpus "$3" --memory 64M) </dev/null >"$work/out" 2>"$work/err"
	}
	if [ -n "${ROOTS_HEAVY:-}" ]; then
		refusing 1000 500 32
		expect 'ulimit -u 1000: status' 0 $?
		contains 'ulimit -u 1000: each its own' "$work/out" '^roots: 500 address spaces, 32 vCPUs, all right'
	fi
	for limit in 26 30 40 64; do
		refusing $limit 40 4
		expect "ulimit -u $limit: status" 0 $?
		contains "ulimit -u $limit: each its own" "$work/out" '^roots: 40 address spaces, 4 vCPUs, all right'
	done
	# No room at all is an end with a sentence, sooner or later.
	refusing 5 3 1
	contains 'ulimit -u 5: says what is missing' "$work/err" 'ulimit -u|free some memory or processes'
else
	skip 'a host that refuses processes' 'needs root and setpriv'
fi
expect 'nothing of ours is left' 0 "$(processes_of "machine roots$$")"
finish
