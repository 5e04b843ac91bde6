#!/bin/bash
# SPDX-License-Identifier: MIT
# Network interfaces, from one guest's front-end through two back-ends to another's: a LAN inside the machine, with
# ping, datagrams and streams both ways; a socket of the host; wrong words.
. "$(dirname "$0")/../lib.sh"

# config NAME COMMANDLINE VIF
config() {
	cat >"$work/$1.cfg" <<-X
	name = "$1"
	kernel = "$GUESTS/netbench"
	memory = 48
	vcpus = ${vcpus:-1}
	cmdline = "$2"
	vif = [ '$3' ]
	X
}

# run_pair NAME COMMANDLINE [VIF]: a server and the one who uses it, in one machine; output in $work/out
run_pair() {
	config server "serve ip=10.0.0.1/24 s=30" "${3:-lan:x}"
	config user "$2 ip=10.0.0.2/24 to=10.0.0.1 ms=300 stop=1" "${3:-lan:x}"
	limited 60 "$PARAVANE" run --engine "$engine" --stats "$work/server.cfg" "$work/user.cfg" \
		</dev/null >"$work/out" 2>"$work/err"
	expect "$1: the machine ends by itself" 0 $?
	if grep -aq 'net figures: .* 0 bad sums' "$work/out"; then
		pass "$1: no checksum is wrong"
	else
		fail "$1: no checksum is wrong" "$(tail -n 5 "$work/out" "$work/err")"
	fi
}

check_lan() {
	run_pair "$engine, ping" ping
	contains "$engine, ping: it is answered" "$work/out" 'PASS ping'
	run_pair "$engine, datagrams" rtt
	contains "$engine, datagrams: they come back" "$work/out" 'net rtt: .* [1-9][0-9]* trips, 0 lost'
	run_pair "$engine, a stream out" send
	contains "$engine, a stream out: it flows" "$work/out" 'net send: [0-9]* MB/s, [1-9][0-9]* MB'
	contains "$engine, a stream out: large packets are cut by nobody" "$work/err" \
		'user vif0: sent .*[1-9][0-9]* to be segmented'
	run_pair "$engine, a stream in" receive
	contains "$engine, a stream in: it flows" "$work/out" 'net receive: [0-9]* MB/s, [1-9][0-9]* MB'
	vcpus=2 run_pair "$engine, two queues" send "lan:x,queues=2"
	contains "$engine, two queues: it flows" "$work/out" 'net send: [0-9]* MB/s, [1-9][0-9]* MB'
}

check_words() {
	local text
	for text in '' tap: tap:a-name-that-is-far-too-long nowhere lan:x,mac=1 lan:x,mac=01:00:00:00:00:00 lan:x,queues=9 \
		passt,queues=2 tap:t0,isolated lan:x,uplink=lan:y lan:x,rate=fast lan:x,what=1; do
		"$PARAVANE" run --vif "$text" "$GUESTS/hello" >"$work/out" 2>"$work/err" </dev/null
		expect "--vif '$text' is refused" 2 $?
		expect "--vif '$text': in one sentence" 1 "$(wc -l <"$work/err")"
	done
	"$PARAVANE" run --vif "unix:$work/nobody" "$GUESTS/hello" >"$work/out" 2>"$work/err" </dev/null
	expect "a socket where nobody listens: status 2" 2 $?
	contains "a socket where nobody listens: said so" "$work/err" "$work/nobody.*start it first"
}

check_capture() {
	run_pair "$engine, capture" ping "lan:x,capture=$work/capture.pcapng"
	expect "a capture is a pcapng file" 0a0d0d0a "$(od -An -tx1 -N4 "$work/capture.pcapng" | tr -d ' \n')"
}

check_words
for engine in $ENGINES; do
	check_lan
	check_capture
done
finish
