#!/bin/bash
# SPDX-License-Identifier: MIT
# Network interfaces, from one guest's front-end through two back-ends to another's: a LAN inside the machine, with
# ping, datagrams and streams both ways; a socket of the host; wrong words.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../way_out.sh"

# ---- inside a user and network namespace of our own: it is called again for this ----

# inside WHAT ENGINE FOLDER: prints plain lines; the caller judges.
inside() {
	local what=$1 engine=$2 dir=$3 pid i
	ip link set lo up
	rm -f "$dir/serve" # of the run before, whose "net serves" is not ours
	case $what in
	tap)
		ip tuntap add dev t0 mode tap && ip addr add 10.0.0.1/24 dev t0 && ip link set t0 up || exit 9
		limited 60 "$PARAVANE" run --engine "$engine" --memory 64M --vif tap:t0 \
			--cmdline "ping ip=10.0.0.2/24 to=10.0.0.1" "$GUESTS/netbench" </dev/null
		limited 60 "$PARAVANE" run --engine "$engine" --memory 64M --vif tap:t0 \
			--cmdline "serve ip=10.0.0.2/24 s=40" "$GUESTS/netbench" </dev/null >"$dir/serve" 2>&1 &
		;;
	passt)
		way_out || exit 9
		limited 60 "$PARAVANE" run --engine "$engine" --memory 64M --vif passt,forward=8080:80 \
			--cmdline "serve s=40" "$GUESTS/netbench" </dev/null >"$dir/serve" 2>&1 &
		;;
	esac
	pid=$!
	for ((i = 0; i < 300; i++)); do
		grep -aq 'net serves' "$dir/serve" && break
		sleep 0.1
	done
	case $what in
	tap)
		echo "read $(limited 30 head -c 20000000 </dev/tcp/10.0.0.2/19 | wc -c)"
		head -c 20000000 /dev/zero >/dev/tcp/10.0.0.2/9 && echo written
		exec 4<>/dev/udp/10.0.0.2/7 && printf stop >&4
		wait "$pid"
		return
		;;
	passt)
		exec 3<>/dev/tcp/127.0.0.1/8080 && printf 'GET / HTTP/1.0\r\n\r\n' >&3 && limited 20 cat <&3
		;;
	esac
	kill -TERM "$pid" && wait "$pid"
}
if [ "${1-}" = inside ]; then
	finished=1
	inside "$2" "$3" "$4"
	exit
fi

# in_namespace WHAT: the lines of inside in $work/out; false: there can be no such namespace here
in_namespace() {
	limited 150 unshare -Urn "$BASH" "$0" inside "$1" "$engine" "$work" >"$work/out" 2>"$work/err"
	[ $? != 9 ]
}

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

# run_pair NAME COMMANDLINE [VIF]: with ${options[@]} for the command; a server and the one who uses it, in one machine; output in $work/out
run_pair() {
	config server "serve ip=10.0.0.1/24 s=30" "${3:-lan:x}"
	config user "$2 ip=10.0.0.2/24 to=10.0.0.1 ms=300 stop=1" "${3:-lan:x}"
	limited 60 "$PARAVANE" run --engine "$engine" --stats ${options[@]+"${options[@]}"} "$work/server.cfg" "$work/user.cfg" \
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

# read_capture FILE: "interface N NAME" and "N in|out request|answer" lines, pings only; or what is wrong with the file
read_capture() {
	od -An -v -tu4 -w4 "$1" | awk '
	function byte(w, n) { return int(w / 256 ^ n) % 256 }
	{ w[NR - 1] = $1 }
	END {
		if (w[0] != 168627466 || w[2] != 439041101) { print "no pcapng file"; exit }
		for (at = 0; at < NR; at += len) {
			len = w[at + 1] / 4
			if (w[at + 1] % 4 || len < 3 || at + len > NR || w[at + len - 1] != w[at + 1]) {
				print "a block of wrong length"; exit
			}
			if (w[at] == 1) {
				n = byte(w[at + 4], 2); name = ""
				for (i = 0; i < n; i++) name = name sprintf("%c", byte(w[at + 5 + int(i / 4)], i % 4))
				print "interface", nr++, name
			}
			p = at + 7
			if (w[at] != 6 || w[p + 3] % 65536 != 8 || byte(w[p + 5], 3) != 1) continue
			type = byte(w[p + 8], 2)
			print w[at + 2], w[at + len - 3] == 1 ? "in" : "out", type == 8 ? "request" : type ? "other" : "answer"
		}
	}'
}

check_capture() {
	local file=$work/capture.pcapng
	rm -f "$file"
	run_pair "$engine, capture" ping "lan:x,capture=$file"
	read_capture "$file" | sort -u | xargs >"$work/read"
	expect "$engine: a capture has both ends of a ping" \
		"0 in request 0 out answer 1 in answer 1 out request interface 0 vif0 interface 1 vif0" "$(cat "$work/read")"
	options=(--capture "$file")
	run_pair "$engine, --capture" ping
	options=()
	read_capture "$file" | sort -u | xargs >"$work/again"
	expect "$engine: --capture is for all interfaces" "$(cat "$work/read")" "$(cat "$work/again")"
	if command -v tshark >/dev/null; then
		expect "$engine: tshark reads it" "$(read_capture "$file" | grep -c request)" \
			"$(limited 30 tshark -r "$file" -Y 'icmp.type == 8' 2>/dev/null | wc -l)"
	elif command -v tcpdump >/dev/null; then
		expect "$engine: tcpdump reads it" "$(read_capture "$file" | grep -c request)" \
			"$(limited 30 tcpdump -nr "$file" 'icmp[0] == 8' 2>/dev/null | wc -l)"
	else
		skip "$engine: others read a capture" "neither tshark nor tcpdump is installed"
	fi
}

verb() { limited 30 "$PARAVANE" "$1" -m "net-$$" hot "${@:2}" >"$work/verb" 2>&1; }

# until_listed PATTERN: the table of interfaces has such a line, soon
until_listed() {
	local i
	for ((i = 0; i < 100; i++)); do
		verb network-list
		grep -Eq "$1" "$work/verb" && return
		sleep 0.1
	done
}

check_hot_plug() {
	local pid i
	limited 90 "$PARAVANE" run --engine "$engine" --machine "net-$$" --name hot --memory 48M --vif lan:x \
		--cmdline "serve ip=10.0.0.1/24 s=80" "$GUESTS/netbench" </dev/null >"$work/out" 2>"$work/err" &
	pid=$!; children+=($pid)
	for ((i = 0; i < 300; i++)); do
		grep -aq 'net serves' "$work/out" && break
		sleep 0.1
	done
	until_listed '^0 .* connected'
	contains "$engine: the interface is listed" "$work/verb" '^0 .*connected +lan +x$'
	verb network-attach lan:y,mac=00:16:3e:0a:0b:0c
	expect "$engine: another one gets the next number" 1 "$(cat "$work/verb")"
	verb network-list
	contains "$engine: and is listed" "$work/verb" '^1 +00:16:3e:0a:0b:0c .* lan +y$'
	verb network-detach 1
	expect "$engine: it goes" 0 $?
	verb network-restart 0
	expect "$engine: a back-end starts anew" 0 $?
	until_listed '^0 .* connected'
	contains "$engine: and is connected again" "$work/verb" '^0 .*connected'
	verb network-detach 0
	expect "$engine: the guest lets go of an interface in use" 0 $?
	verb network-list
	expect "$engine: none is left" 1 "$(wc -l <"$work/verb")"
	verb network-detach 0
	expect "$engine: what is not there cannot go" 1 $?
	contains "$engine: which is said" "$work/verb" "has no network interface '0'"
	verb destroy
	wait "$pid"
}

# unix_config NAME COMMANDLINE
unix_config() {
	cat >"$work/$1.cfg" <<-X
	name = "$1"
	kernel = "$GUESTS/unix"
	memory = 48
	vcpus = 2
	cmdline = "$2"
	vif = [ 'lan:x' ]
	X
}

# What programs make of it: a server of pages in one guest, a shell in the other.
unix_session() {
	cat <<'END'
ping 10.0.0.1 2
fetch http://10.0.0.1:81/ ; echo code $?
fetch http://10.0.0.1/ > /page
cat /page | wc
cat /bin/httpd | wc
netcat -l 5000 < /page > /there &
sleep 1
cat /bin/utest | netcat 127.0.0.1 5000 | cat > /back ; wait
cat /there | wc
cat /back | wc
cat /bin/utest | wc
exit
END
}

check_unix() {
	unix_config server "run=net 10.0.0.1/24 httpd -n 1 80 /bin/httpd"
	unix_config user "run=net 10.0.0.2/24 sh"
	{ sleep 1; unix_session; } | limited 60 "$PARAVANE" run --engine "$engine" --console user "$work/server.cfg" "$work/user.cfg" \
		>"$work/raw" 2>"$work/err"
	expect "$engine, programs: both guests power off" 0 $?
	tr -d '\r' <"$work/raw" | sed 's/^\(\$ \)*//' >"$work/out"
	contains "$engine, programs: ping" "$work/out" '^2 of 2 answered$'
	expect "$engine, programs: what fetch got is what httpd has; what came through netcat is what went in" "2 3" \
		"$(awk 'NF == 3 && $3 > 3000 && $0 !~ /[a-z]/ { n[$3]++ } END { for (i in n) print n[i] }' "$work/out" | sort | xargs)"
	contains "$engine, programs: nobody listens there" "$work/out" '^code 1$'
}

# Linux's own stack on the other side, asked by the guest's programs and asking them.
check_tap_programs() {
	limited 90 tests/tools/on-tap.sh 40 "$PARAVANE" run --engine "$engine" --memory 64M --vcpus 2 --timeout 60 --vif tap:t0 \
		--cmdline "run=net 10.0.0.2/24 via 10.0.0.1 utest lan" "$GUESTS/unix" </dev/null >"$work/out" 2>"$work/err"
	if [ $? = 9 ]; then
		skip "$engine: programs over TAP" "no TAP device can be made in a namespace here"
	else
		verdicts "$engine, TAP" "$work/out"
		contains "$engine, TAP: utest closes" "$work/out" '^utest: 4 passed, 0 failed'
		contains "$engine, TAP: netcheck closes" "$work/out" '^PASS host/stop'
	fi
}

check_host() {
	if ! unshare -Urn true 2>/dev/null || ! command -v ip >/dev/null; then
		skip "$engine: TAP, passt" "no user namespaces here, or no iproute2"
		return
	fi
	if [ ! -w /dev/net/tun ]; then
		skip "$engine: TAP" "/dev/net/tun is not there for us"
	elif ! in_namespace tap; then
		skip "$engine: TAP" "no TAP device can be made in a namespace here"
	else
		contains "$engine, TAP: the host answers a ping" "$work/out" 'PASS ping'
		contains "$engine, TAP: a stream from the guest comes whole" "$work/out" '^read 20000000$'
		contains "$engine, TAP: a stream to the guest goes" "$work/out" '^written$'
		contains "$engine, TAP: no checksum is wrong" "$work/serve" 'net figures: .* 0 bad sums'
	fi
	if ! command -v passt >/dev/null; then
		skip "$engine: passt" "it is not installed"
	elif ! in_namespace passt; then
		skip "$engine: passt" "no way out can be made in a namespace here"
	else
		contains "$engine, passt: a page of the guest's by HTTP" "$work/out" 'Served by a guest'
		contains "$engine, passt: an address by DHCP" "$work/serve" 'net eth0: 10.1.0.5'
	fi
}

check_words
options=()
for engine in $ENGINES; do
	check_lan
	check_capture
	check_unix
	check_hot_plug
	check_host
	check_tap_programs
done
finish
