#!/bin/bash
# SPDX-License-Identifier: MIT
# Several domains in one machine, and the commands that ask a machine which runs. The guest `actor`
# does what its command line says.
. "$(dirname "$0")/../lib.sh"

actor=$GUESTS/actor
m=dom$$	# machines of this test have this in their names

# config NAME WORDS [MORE-LINES]: a configuration file for an actor.
config() {
	printf 'name = "%s"\nkernel = "%s"\nmemory = 32\nextra = "%s"\n%b' "$1" "$actor" "$2" "${3-}" >"$work/$1.cfg"
}

# start OPTIONS...: a machine in the background; its number is in $pid, its words in $work/out and err.
start() {
	# Emptied here, not by the child: nobody takes old words for its own.
	: >"$work/out"
	: >"$work/err"
	"$PARAVANE" run "$@" </dev/null >"$work/out" 2>"$work/err" &
	pid=$!
	children+=("$pid")
}

# until_says FILE PATTERN: waits for a line; false after 20 s.
until_says() {
	local i
	for ((i = 0; i < 400; i++)); do
		grep -Eq -- "$2" "$1" 2>/dev/null && return 0
		sleep 0.05
	done
	return 1
}

# ended STATUS NAME: the machine in $pid ends by itself with that status.
ended() {
	local i
	for ((i = 0; i < 400; i++)); do
		kill -0 "$pid" 2>/dev/null || { wait "$pid"; expect "$2: status" "$1" $?; return; }
		sleep 0.05
	done
	fail "$2: status" 'it runs on'
	kill -9 "$pid"
	wait "$pid"
}

# verb NAME STATUS WORDS...: one of the commands; its words are in $work/vout and verr.
verb() {
	local name=$1 status=$2 got
	shift 2
	limited 20 "$PARAVANE" "$@" </dev/null >"$work/vout" 2>"$work/verr"
	got=$?
	expect "$name: status" "$status" "$got"
}
one_sentence() {
	expect "$1: one line" 1 "$(wc -l <"$work/verr")"
	contains "$1: sentence" "$work/verr" "^paravane: .*$2"
}

# ---- two domains; one crashes, the other goes on ----------------------------------------------------

config alpha orderly
config beta 'say=before sleep=300 say=after crash' 'pci = [ "01:00.0" ]\n'
start "$work/alpha.cfg" "$work/beta.cfg" --machine $m
until_says "$work/out" '^alpha: waiting' || fail 'two domains' 'alpha does not run'
if until_says "$work/err" '^paravane: beta crashed'; then pass 'a crash is reported by name'; else
	fail 'a crash is reported by name' "$(cat "$work/err")"
fi
contains 'an unknown key is warned of' "$work/err" "beta.cfg:5: 'pci' means nothing here"
contains 'lines bear the name' "$work/out" '^beta: after'
for ((i = 0; i < 100; i++)); do
	"$PARAVANE" list -m $m >"$work/vout" 2>&1
	grep -q '^beta' "$work/vout" || break
	sleep 0.05
done
contains 'list: the other is there' "$work/vout" "^alpha +[0-9]+ +32 +1 +-b---- +[0-9.]+ +$m\$"
if grep -q '^beta' "$work/vout"; then fail 'list: the dead one is not' "$(cat "$work/vout")"; else
	pass 'list: the dead one is not'
fi
verb 'shutdown' 0 shutdown -m $m alpha
until_says "$work/out" '^alpha: asked to poweroff' || fail 'shutdown' 'alpha was not asked'
ended 10 'the worst of two ends counts'

# ---- the commands -----------------------------------------------------------------------------------

config gamma orderly 'vcpus = 1\nmaxvcpus = 4\n'
config delta 'echo idle'
start "$work/gamma.cfg" "$work/delta.cfg" --machine $m
until_says "$work/out" '^gamma: waiting' && until_says "$work/out" '^delta: echo: ready' ||
	fail 'start' "$(cat "$work/out" "$work/err")"

verb 'xenstore read' 0 xenstore -m $m read /local/domain/1/name
expect 'xenstore read: value' gamma "$(cat "$work/vout")"
verb 'vcpu-set' 0 vcpu-set -m $m gamma 3
availability() {
	local i
	for i in 0 1 2 3; do "$PARAVANE" xenstore -m $m read /local/domain/1/cpu/$i/availability; done | tr '\n' ' '
}
expect 'vcpu-set: the store says so' 'online online online offline ' "$(availability)"
verb 'vcpu-set beyond the most' 1 vcpu-set -m $m gamma 5
one_sentence 'vcpu-set beyond the most' 'gamma can have 1 to 4 vCPUs'
verb 'vcpu-set of nothing' 1 vcpu-set -m $m gamma 0
verb 'vcpu-set back' 0 vcpu-set -m $m 1 1
expect 'vcpu-set back: the store says so' 'online offline offline offline ' "$(availability)"

"$PARAVANE" xenstore watch -m $m /tool >"$work/watched" 2>&1 &
watcher=$!
children+=("$watcher")
until_says "$work/watched" '^/tool$' || fail 'xenstore watch' 'its first event does not come'
verb 'xenstore write' 0 xenstore -m $m write /tool/t/test 'a "b"'
if until_says "$work/watched" '^/tool/t/test$'; then pass 'xenstore watch sees a change'; else
	fail 'xenstore watch sees a change' "$(cat "$work/watched")"
fi
verb 'xenstore ls' 0 xenstore ls -m $m /tool/t
expect 'xenstore ls: nodes and values' 'test = "a \"b\""' "$(cat "$work/vout")"
verb 'xenstore ls of all' 0 xenstore ls -m $m
contains 'xenstore ls of all: a domain below' "$work/vout" '^   name = "delta"'
verb 'xenstore read of nothing' 1 xenstore -m $m read /tool/none
one_sentence 'xenstore read of nothing' 'there is no such node'
verb 'xenstore read of no path' 1 xenstore -m $m read '/tool//none'
verb 'xenstore with other words' 2 xenstore -m $m read
one_sentence 'xenstore with other words' 'write paravane xenstore'

(printf 'hello\n'; sleep 2) | limited 20 "$PARAVANE" console -m $m delta >"$work/con" 2>&1 &
console=$!
children+=("$console")
if until_says "$work/con" '^HELLO'; then pass 'console: typed bytes reach the guest, its answer comes'; else
	fail 'console: typed bytes reach the guest, its answer comes' "$(cat "$work/con")"
fi
contains 'console: what was said before is shown' "$work/con" '^echo: ready'
if until_says "$work/out" '^delta: HELLO'; then pass 'console: the screen shows it, too'; else
	fail 'console: the screen shows it, too' "$(cat "$work/out")"
fi
if command -v script >/dev/null; then
	(sleep 1; printf '\035'; sleep 1) | limited 20 script -qec "$PARAVANE console -m $m delta; echo status \$?" /dev/null >"$work/con2" 2>&1
	contains 'console: Ctrl-] leaves it' "$work/con2" '^status 0'
	verb 'console: and the guest lives' 0 list -m $m
	contains 'console: and the guest lives' "$work/vout" '^delta'
fi

verb 'no such domain' 2 shutdown nobody$$
one_sentence 'no such domain' "has a domain 'nobody$$'"
verb 'no such domain in a machine' 1 destroy -m $m nobody
one_sentence 'no such domain in a machine' "no domain 'nobody' in machine $m"
verb 'no such machine' 2 list -m nobody$$
one_sentence 'no such machine' "called 'nobody$$'"
verb 'shutdown of a guest that does not listen' 1 shutdown -m $m delta
one_sentence 'shutdown of a guest that does not listen' 'paravane destroy delta'
verb 'too many words' 2 destroy a b
one_sentence 'too many words' 'one word too many'
for v in list console vcpu-set shutdown destroy xenstore; do
	verb "$v --help" 0 $v --help
	contains "$v --help: usage" "$work/vout" "^paravane $v \\[-m MACHINE\\]"
done

start2() { limited 20 "$PARAVANE" run "$@" </dev/null >"$work/vout" 2>"$work/verr"; }
start2 "$actor" --machine $m --cmdline say=x
expect 'a machine of the same name: status' 2 $?
one_sentence 'a machine of the same name' "called $m runs already.*--machine"

# ---- who may ask ------------------------------------------------------------------------------------

# The same question, by the machine's user and by another one.
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
	chmod 755 "$work"
	cp "$PARAVANE" "$work/paravane"
	setpriv --reuid=65534 --regid=65534 --clear-groups "$work/paravane" list -m 0/$m >"$work/vout" 2>"$work/verr"
	expect 'another user is not served: status' 1 $?
	one_sentence 'another user is not served' 'does not serve you'
	if grep -q gamma "$work/vout"; then fail 'another user sees nothing' "$(cat "$work/vout")"; else
		pass 'another user sees nothing'
	fi
	"$work/paravane" list -m 0/$m >"$work/vout" 2>"$work/verr"
	contains 'the same question of our own is answered' "$work/vout" '^gamma'
	setpriv --reuid=65534 --regid=65534 --clear-groups "$work/paravane" destroy -m 0/$m gamma >"$work/vout" 2>&1
	verb 'nor can another user destroy' 0 list -m $m
	contains 'nor can another user destroy' "$work/vout" '^gamma'
else
	skip 'another user is not served' 'needs root and setpriv'
fi

# Peers that say nothing, nonsense, or do not read.
if command -v python3 >/dev/null; then
	cat >"$work/hostile.py" <<-END
		import socket, os, random
		def peer():
		    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
		    s.connect("\\0paravane/%d/$m" % os.geteuid())
		    s.settimeout(0.2)
		    return s
		silent = [peer() for i in range(40)]
		for size in (0, 1, 2, 100, 8192, 8193, 60000):
		    for first in (b"R", b"I", b"O", b"\\0"):
		        s = peer()
		        try:
		            s.send((first + os.urandom(size))[:max(size, 1)])
		            s.recv(9000)
		        except OSError: pass
		deaf = [peer() for i in range(4)]
		for s in deaf: s.send(b"Rconsole\\0delta\\0")
		s = peer(); s.send(b"Rstore-watch\\0/\\0"); deaf.append(s)
		s = peer()
		s.settimeout(0.2)
		try:
		    for i in range(100000): s.send(b"Rlist\\0")
		except OSError: pass
		print("done")
		import time
		time.sleep(3)
	END
	limited 60 python3 "$work/hostile.py" >"$work/hostile" 2>&1 &
	children+=("$!")
	if until_says "$work/hostile" '^done'; then pass 'hostile peers: their part is done'; else
		fail 'hostile peers: their part is done' "$(cat "$work/hostile")"
	fi
	for ((i = 0; i < 300; i++)); do "$PARAVANE" xenstore -m $m write /tool/busy $i || break; done
	expect 'hostile peers: the machine answers others' 300 $i
	verb 'hostile peers: the machine lists' 0 list -m $m
else
	skip 'hostile peers' 'needs python3'
fi

# ---- destroy ----------------------------------------------------------------------------------------

verb 'destroy' 0 destroy -m $m delta
verb 'destroy: list' 0 list -m $m
if grep -q '^delta' "$work/vout"; then fail 'destroy: it is gone when the command returns' "$(cat "$work/vout")"; else
	pass 'destroy: it is gone when the command returns'
fi
contains 'destroy: the other lives' "$work/vout" '^gamma'
verb 'shutdown of the last' 0 shutdown -m $m gamma
ended 18 'a domain was destroyed'
kill "$watcher" 2>/dev/null

# ---- nothing is left ----------------------------------------------------------------------------------

config eps idle
config zeta idle
start "$work/eps.cfg" "$work/zeta.cfg" --machine $m
for ((i = 0; i < 200; i++)); do "$PARAVANE" list -m $m >/dev/null 2>&1 && break; sleep 0.05; done
verb 'before a kill' 0 list -m $m
kill -9 "$pid"
{ wait "$pid"; } 2>/dev/null
for ((i = 0; i < 100; i++)); do grep -q "paravane/[0-9]*/$m\$" /proc/net/unix || break; sleep 0.05; done
if grep -q "paravane/[0-9]*/$m\$" /proc/net/unix; then
	fail 'the name of a killed machine vanishes' "$(grep "$m" /proc/net/unix)"
else
	pass 'the name of a killed machine vanishes'
fi

# ---- a control socket at a path -------------------------------------------------------------------------

start "$work/alpha.cfg" --machine $m --control "$work/ctl"
until_says "$work/out" '^waiting' || fail 'a path' "$(cat "$work/err")"
expect 'a path: who may use it' 600 "$(stat -c %a "$work/ctl")"
verb 'a path: list' 0 list -m "$work/ctl"
contains 'a path: list' "$work/vout" '^alpha'
command=$(realpath "$PARAVANE")
(cd "$work" && limited 20 "$command" xenstore -m ./ctl read /local/domain/1/name) >"$work/vout" 2>&1
expect 'a path: from its folder' alpha "$(cat "$work/vout")"
verb 'a path: the name serves as well' 0 list -m $m
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
	chmod 755 "$work"
	chmod 666 "$work/ctl"	# even then
	setpriv --reuid=65534 --regid=65534 --clear-groups "$PARAVANE" list -m "$work/ctl" >"$work/vout" 2>&1
	if grep -q '^alpha' "$work/vout"; then fail 'a path: another user is not served' "$(cat "$work/vout")"; else
		pass 'a path: another user is not served'
	fi
fi
limited 20 "$PARAVANE" run "$actor" --cmdline say=x --machine $m-2 --control "$work/ctl" </dev/null >"$work/vout" 2>"$work/verr"
expect 'a path in use: status' 2 $?
one_sentence 'a path in use' 'a machine listens at'
verb 'a path: shutdown' 0 shutdown -m "$work/ctl" alpha
ended 0 'a path: the machine ends'
if [ -e "$work/ctl" ]; then fail 'a path: it goes with the machine' 'it is there'; else pass 'a path: it goes with the machine'; fi
verb 'a path: nobody there' 2 list -m "$work/ctl"
one_sentence 'a path: nobody there' 'no machine listens at'
start "$work/eps.cfg" --machine $m --control "$work/ctl"
for ((i = 0; i < 200; i++)); do "$PARAVANE" list -m "$work/ctl" >/dev/null 2>&1 && break; sleep 0.05; done
kill -9 "$pid"
{ wait "$pid"; } 2>/dev/null
for ((i = 0; i < 100; i++)); do [ -e "$work/ctl" ] || break; sleep 0.05; done
if [ -e "$work/ctl" ]; then fail 'a path: it goes after a kill' 'it is there'; else pass 'a path: it goes after a kill'; fi
# One that nobody took away is replaced; what is no socket is not.
if command -v python3 >/dev/null; then
	python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET).bind(sys.argv[1])' "$work/ctl"
	limited 20 "$PARAVANE" run "$actor" --cmdline say=replaced --machine $m --control "$work/ctl" </dev/null >"$work/vout" 2>&1
	contains 'a stale path is replaced' "$work/vout" '^replaced'
fi
echo precious >"$work/file"
limited 20 "$PARAVANE" run "$actor" --cmdline say=x --machine $m --control "$work/file" </dev/null >"$work/vout" 2>"$work/verr"
expect 'a file is not replaced: status' 2 $?
one_sentence 'a file is not replaced' 'is there and no socket'
expect 'a file is not replaced' precious "$(cat "$work/file")"
limited 20 "$PARAVANE" run "$actor" --control name </dev/null >"$work/vout" 2>"$work/verr"
expect 'a name is no path: status' 2 $?
one_sentence 'a name is no path' 'write ./name'
limited 20 "$PARAVANE" run "$actor" --control "$work/$(printf 'x%.0s' {1..150})" </dev/null >"$work/vout" 2>"$work/verr"
expect 'a path that is too long: status' 2 $?

# ---- SIGTERM --------------------------------------------------------------------------------------------

start "$work/alpha.cfg" "$work/eps.cfg" --machine $m --grace 20
until_says "$work/out" '^alpha: waiting' || fail 'SIGTERM' 'alpha does not run'
kill -TERM "$pid"
ended 143 'SIGTERM, one listens and one does not'
contains 'SIGTERM: who listens shuts down' "$work/out" '^alpha: asked to poweroff'
config deaf deaf
start "$work/deaf.cfg" --machine $m --grace 0.5
until_says "$work/out" '^waiting' || fail 'SIGTERM' 'deaf does not run'
kill -TERM "$pid"
ended 143 'SIGTERM, a guest that listens and does nothing'
contains 'SIGTERM: the time that was given is over' "$work/err" 'deaf has not shut down within 0.5 s.*--grace'
start "$work/deaf.cfg" --machine $m --grace 600
until_says "$work/out" '^waiting' || fail 'SIGTERM' 'deaf does not run'
kill -TERM "$pid"
sleep 0.3
kill -TERM "$pid"
ended 143 'SIGTERM twice'

# ---- weights and caps ------------------------------------------------------------------------------------

# find_groups PID: control groups that the machine has made, one a line with its cap.
find_groups() {
	find /sys/fs/cgroup -maxdepth 8 -type d -name "paravane.$1.*" 2>/dev/null | while read -r g; do
		echo "$(basename "$g") $(cat "$g"/cpu.cfs_quota_us "$g"/cpu.max 2>/dev/null)"
	done
}
# gone PID: its groups go soon after it.
gone() {
	local i
	for ((i = 0; i < 200; i++)); do [ -z "$(find_groups "$1")" ] && return 0; sleep 0.05; done
	return 1
}
# cpu_ms PID: processor time of a machine and its guest processes so far.
cpu_ms() {
	local p sum=0
	for p in "$1" $(pgrep -P "$1" paravane-guest); do
		sum=$((sum + $(awk '{ print ($14 + $15) * 10 }' /proc/"$p"/stat 2>/dev/null || echo 0)))
	done
	echo $sum
}
# percent OPTIONS...: how much of the time a guest that never rests is running, by its own account ($share). A
# busy host does not change that: waiting for a processor counts as running, standing still does not; but
# neither does a host's group that makes it wait. $used: what it really used.
percent() {
	local a b t0 t1 u0 u1
	start "$actor" --cmdline 'say=spinning spin' --machine $m "$@"
	until_says "$work/out" '^spinning' || fail "$*" 'it does not run'
	u0=$(cpu_ms "$pid")
	t0=$(date +%s%N)
	a=$("$PARAVANE" list -m $m | awk '/^actor/ { print $6 }')
	sleep 2
	b=$("$PARAVANE" list -m $m | awk '/^actor/ { print $6 }')
	t1=$(date +%s%N)
	u1=$(cpu_ms "$pid")
	used=$(((u1 - u0) * 100000000 / (t1 - t0)))
	groups=$(find_groups "$pid")
	share=$(awk "BEGIN { printf \"%d\", ($b - $a) * 1e11 / ($t1 - $t0) }")
	nice=$(awk '{ print $19 }' /proc/"$pid"/task/*/stat | sort -un | tr '\n' ' ')
	others=$(pgrep -P "$pid" paravane-guest | while read -r p; do awk '{ print $19 }' /proc/"$p"/stat; done | sort -un | tr '\n' ' ')
	kill -9 "$pid"
	{ wait "$pid"; } 2>/dev/null
}
percent
if [ "$share" -gt 70 ]; then pass 'without a cap it runs all the time'; else fail 'without a cap it runs all the time' "$share %"; fi
expect 'without a weight all have one nice value' "$nice" "$others"
capped() {	# NAME MOST
	if [ "$used" -lt "$2" ]; then pass "$1 holds"; else fail "$1 holds" "$used % used, $share % by its own account"; fi
}
percent --cpu-cap 20
capped 'a cap of 20 %' 50
if [ -n "$groups" ]; then
	contains 'a group keeps it' <(echo "$groups") "^paravane\.$pid\.actor 20000( 100000)?\$"
	if gone "$pid"; then pass 'the group goes after a kill'; else fail 'the group goes after a kill' "$(find_groups "$pid")"; fi
	start "$actor" --cmdline 'say=here sleep=100' --machine $m --cpu-cap 30
	ended 0 'a guest with a group ends'
	expect 'the group goes at the end' '' "$(find_groups "$pid")"
else
	skip 'a group keeps it' 'no control group can be made here'
fi
# Without leave to make groups the hypervisor keeps it.
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
	cp "$PARAVANE" "$actor" "$work"
	chmod 755 "$work"
	setpriv --reuid=65534 --regid=65534 --clear-groups "$work/paravane" run "$work/actor" --cmdline 'say=spinning spin' \
		--machine $m --cpu-cap 20 </dev/null >"$work/out" 2>"$work/err" &
	pid=$!
	children+=("$pid")
	until_says "$work/out" '^spinning' || fail 'a cap without a group' "$(cat "$work/err")"
	u0=$(cpu_ms "$pid") t0=$(date +%s%N)
	sleep 2
	used=$((($(cpu_ms "$pid") - u0) * 100000000 / ($(date +%s%N) - t0)))
	expect 'a user without leave makes no group' '' "$(find_groups "$pid")"
	kill -9 "$pid"
	{ wait "$pid"; } 2>/dev/null
	capped 'a cap of 20 %, kept by the hypervisor,' 50
fi
percent --cpu-cap 40 --vcpus 2 --cpu-weight 64
capped 'a cap of 40 %' 70
own=$(awk '{ print $19 }' /proc/$$/stat)
contains 'a weight of 64 is six steps nicer: its threads' <(echo "$nice") "(^| )$((own + 6)) "
expect 'a weight of 64 is six steps nicer: its processes' "$((own + 6)) " "$others"
limited 60 "$PARAVANE" run "$actor" --cmdline 'lines=300 sleep=50 say=through' --cpu-cap 5 --machine $m </dev/null >"$work/out" 2>"$work/err"
expect 'a guest under a small cap comes through: status' 0 $?
contains 'a guest under a small cap comes through' "$work/out" '^through'

# ---- restarts, options and files -----------------------------------------------------------------------

config again 'say=once sleep=10 reboot'
limited 30 "$PARAVANE" run "$work/again.cfg" --timeout 1.5 --machine $m </dev/null >"$work/out" 2>"$work/err"
expect 'a reboot restarts, as xl has it: ends by the timeout' 12 $?
if [ "$(grep -c '^once' "$work/out")" -gt 1 ]; then pass 'a reboot restarts, as xl has it'; else
	fail 'a reboot restarts, as xl has it' "$(cat "$work/out" "$work/err")"
fi
limited 30 "$PARAVANE" run "$work/again.cfg" --on-reboot exit --machine $m </dev/null >"$work/out" 2>"$work/err"
expect 'the command line overrides one file' 11 $?
config hog 'facts'
limited 30 "$PARAVANE" run "$work/hog.cfg" --memory 64M --machine $m --cmdline 'facts say=x' </dev/null >"$work/out" 2>"$work/err"
contains 'memory and command line override, too' "$work/out" '^facts: 65536 KiB, cmdline "facts say=x"'
config loud 'say=loud sleep=200'
config quiet 'say=quiet sleep=400'
limited 30 "$PARAVANE" run "$work/loud.cfg" "$work/quiet.cfg" --console loud --machine $m </dev/null >"$work/out" 2>"$work/err"
expect '--console: status' 0 $?
expect '--console: its domain alone has the screen' loud "$(tr -d '\r' <"$work/out")"

bad() {	# NAME PATTERN ARGUMENTS...: refused with status 2 and one sentence
	local name=$1 pattern=$2
	shift 2
	limited 20 "$PARAVANE" run "$@" </dev/null >"$work/vout" 2>"$work/verr"
	expect "$name: status" 2 $?
	one_sentence "$name" "$pattern"
}
bad 'two of one name' 'both domains are called alpha' "$work/alpha.cfg" "$work/alpha.cfg"
bad 'options for several' 'leave those options out' "$work/alpha.cfg" "$work/eps.cfg" --memory 1G
bad 'a kernel among files' 'is a kernel among configuration files' "$work/alpha.cfg" "$actor"
bad 'no such console' "no domain is called 'who'" "$work/alpha.cfg" "$work/eps.cfg" --console who
bad 'no such file' 'configuration cannot be read' "$work/none.cfg"
echo 'kernel = "x' >"$work/broken.cfg"
bad 'a broken file' 'broken.cfg:1: a string has no end' "$work/broken.cfg"
head -c 70000 /dev/zero >"$work/big.cfg"
bad 'a file that is too long' 'configuration cannot be read' "$work/big.cfg"
bad 'more memory than there is' 'memory asked for is 1048576 MiB and this host has [0-9]+ MiB.*--memory' "$actor" --memory 1T
# Few descriptors: a sentence before anything runs, or a guest that runs; nothing in between.
for n in 8 10 12 14 16 18 20 22 24 26 28 32; do
	(ulimit -n $n; limited 20 "$PARAVANE" run "$actor" --machine $m --cmdline say=ran) </dev/null >"$work/out" 2>"$work/err"
	case $?,$(tr -d '\r' <"$work/out"),$(grep -c '^paravane: .*ulimit -n' "$work/err") in
	0,ran,0 | 2,,1) pass "$n descriptors" ;;
	*) fail "$n descriptors" "$(head -c 400 "$work/out" "$work/err")" ;;
	esac
done
expect '32 descriptors are enough' ran "$(tr -d '\r' <"$work/out")"
expect 'no machine of ours is left' 0 "$(grep -c "paravane/[0-9]*/$m" /proc/net/unix)"
finish
