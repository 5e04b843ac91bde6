#!/bin/bash
# SPDX-License-Identifier: MIT
# A guest floods a network interface whose other end does not read, or dies meanwhile, and reads its disk all the time:
# the disk is read to its end, and the guest powers off by itself. For each kind of port.
# What it looks like when broken: the run meets its time limit, or the disk's bytes do not come.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../way_out.sh"

# The guest's shell: 2 MiB of disk beside a flood to everybody.
session() { printf '%s\n' 'flood 255.255.255.255 9 600 &' 'cat /dev/xvda | wc' wait exit; }

# flooded VIF [COMMAND...]: the run; the command is done after a third of a second. Output in $work/out
flooded() {
	local vif=$1 pid; shift
	truncate -s 2M "$work/disk.img"
	session >"$work/session"
	limited 40 "$PARAVANE" run --engine "$engine" --memory 64M --vcpus 2 --timeout 30 --disk "$work/disk.img" --vif "$vif" \
		--cmdline "run=net 10.0.0.2/24 sh" "$GUESTS/unix" <"$work/session" >"$work/raw" 2>"$work/err" &
	pid=$!
	sleep 0.3
	[ $# = 0 ] || "$@" "$pid"
	wait $pid
	rc=$?
	tr -d '\r' <"$work/raw" >"$work/out"
}

stop_peer() { kill -9 "$peer"; wait "$peer" 2>/dev/null; }
passts() { pgrep -P "$(pgrep -P "$1" | head -n 1)" passt; }
freeze_passt() { kill -STOP $(passts "$1"); }
kill_passt() { kill -9 $(passts "$1"); }
delete_tap() { ip link del t0; }

# start_peer WHAT
start_peer() {
	local i
	"$O/tests/netpeer" "$work/sock" "$1" & peer=$!; children+=($peer)
	for ((i = 0; i < 100; i++)); do [ -S "$work/sock" ] && break; sleep 0.05; done
}

# judge NAME PATTERN: of the flood
judge() {
	expect "$engine, $1: the guest powers off" 0 "$rc"
	contains "$engine, $1: its disk was read meanwhile" "$work/out" '^(\$ )*0 1 2097152$'
	contains "$engine, $1: its flood ended" "$work/out" "^(\\\$ )*flood: $2"
}

held='[0-9]+ taken, [1-9][0-9]* times no room' lost='[1-9][0-9]{2,} taken'

check_sockets() {
	start_peer mute; flooded "unix:$work/sock"; judge "a stream nobody reads" "$held"; stop_peer
	start_peer mute; flooded "unix:$work/sock" stop_peer; judge "a stream whose reader dies" "$lost"
	start_peer mute-dgram; flooded "dgram:$work/sock"; judge "datagrams nobody reads" "$held"; stop_peer
	start_peer mute-dgram; flooded "dgram:$work/sock" stop_peer; judge "datagrams whose reader dies" "$lost"
	flooded lan:x; judge "a LAN with nobody else" "$lost"
}

# In a namespace of our own; the verdicts are the caller's.
inside() {
	case $1 in
	passt) way_out || exit 9; flooded passt "$2";;
	tap) ip tuntap add dev t0 mode tap && ip link set t0 up || exit 9; flooded tap:t0 "$2";;
	esac
	cp "$work/out" "$3/out"
	exit "$rc"
}

# in_namespace KIND COMMAND NAME PATTERN
in_namespace() {
	limited 60 unshare -Urn "$BASH" "$0" inside "$engine" "$1" "$2" "$work" >/dev/null 2>&1
	rc=$?
	if [ $rc = 9 ]; then skip "$engine, $3" "no namespace for it here"; else judge "$3" "$4"; fi
}

check_host() {
	if ! unshare -Urn true 2>/dev/null || ! command -v ip >/dev/null; then
		skip "$engine: TAP, passt" "no user namespaces here, or no iproute2"
		return
	fi
	if [ -w /dev/net/tun ]; then
		in_namespace tap delete_tap "a TAP device that is deleted" "$lost"
	else
		skip "$engine: TAP" "/dev/net/tun is not there for us"
	fi
	if command -v passt >/dev/null; then
		in_namespace passt freeze_passt "a passt that is frozen" "$held"
		in_namespace passt kill_passt "a passt that is killed" "$lost"
	else
		skip "$engine: passt" "it is not installed"
	fi
}

if [ "${1-}" = inside ]; then
	finished=1
	engine=$2
	inside "$3" "$4" "$5"
fi
# What it is about is outside of the engine.
engine=process
check_sockets
check_host
finish
