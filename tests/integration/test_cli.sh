#!/bin/bash
# SPDX-License-Identifier: MIT
# The command `paravane` as its user meets it: exit statuses, sentences, help and manual page, the
# console on pipes and on a terminal, crash report, trace and statistics. The guest `actor` does what
# its command line says.
. "$(dirname "$0")/../lib.sh"

actor=$GUESTS/actor
man=$(dirname "$0")/../../docs/man/paravane.1

# run NAME STATUS OPTIONS...: one run with no input; what it says is in $work/out and $work/err.
run() {
	local name=$1 status=$2 got
	shift 2
	limited 60 "$PARAVANE" run "$actor" "$@" </dev/null >"$work/out" 2>"$work/err"
	got=$?
	expect "$name: status" "$status" "$got"
}

# sentence NAME PATTERN: standard error is one line, of that content, and says a remedy.
sentence() {
	expect "$1: one line" 1 "$(wc -l <"$work/err")"
	contains "$1: sentence" "$work/err" "^paravane: .*$2"
	expect "$1: nothing on standard output" 0 "$(stat -c %s "$work/out")"
}

# A process of ours, started in the background: wait_for PID SECONDS, or it is ended by its number.
wait_for() {
	local i
	for ((i = 0; i < $2 * 20; i++)); do
		kill -0 "$1" 2>/dev/null || { wait "$1"; return; }
		sleep 0.05
	done
	kill -9 "$1"
	wait "$1"
	return 124
}

# ---- statuses -----------------------------------------------------------------------------------

run poweroff 0 --cmdline say=hi
expect 'poweroff: output' hi "$(tr -d '\r' <"$work/out")"
expect 'poweroff: nothing on standard error' 0 "$(stat -c %s "$work/err")"
run reboot 11 --cmdline reboot
run suspend 13 --cmdline suspend
run watchdog 15 --cmdline watchdog
run timeout 12 --cmdline spin --timeout 0.3
run 'timeout of an idle guest' 12 --cmdline idle --timeout 0.3
run crash 10 --cmdline 'say=last crash'
contains 'crash: last words first' "$work/out" '^last'
contains 'crash: reason' "$work/err" 'crashed: '
limited 20 "$PARAVANE" run "$actor" --cmdline 'say=again sleep=10 reboot' --on-reboot restart --timeout 1 \
	</dev/null >"$work/out" 2>"$work/err"
expect 'restart: ends by the timeout' 12 $?
if [ "$(grep -c again "$work/out")" -gt 2 ]; then pass 'restart: it runs again'; else
	fail 'restart: it runs again' "$(cat "$work/out" "$work/err")"
fi

# By timeout(1), for a shell starts its background jobs with SIGINT ignored, which stays so.
for signal in TERM INT HUP QUIT; do
	wanted=$((128 + $(kill -l $signal)))
	timeout -s $signal --preserve-status -k 10 1 "$PARAVANE" run "$actor" --cmdline spin </dev/null
	expect "SIG$signal ends it" $wanted $?
done

# ---- sentences ----------------------------------------------------------------------------------

bad() {	# NAME PATTERN ARGUMENTS...: refused with status 2 and one sentence
	local name=$1 pattern=$2 got
	shift 2
	limited 20 "$PARAVANE" "$@" </dev/null >"$work/out" 2>"$work/err"
	got=$?
	expect "$name: status" 2 "$got"
	sentence "$name" "$pattern"
}
bad 'no command' 'no command'
bad 'unknown command' "unknown command 'start'" start
bad 'no kernel' 'no kernel given' run
bad 'unknown option' "unknown option '--what'" run "$actor" --what
bad 'bad size' 'is no size' run "$actor" --memory plenty
bad 'unknown engine' "'magic' is unknown; give" run "$actor" --engine magic
if [ "$(id -u)" = 0 ] && [ -e /dev/kvm ] && [ $((0$(stat -c %a /dev/kvm) & 6)) = 0 ] && command -v setpriv >/dev/null; then
	# Somebody who may not open the device; the program itself must be in that person's reach.
	mkdir -p "$work/open" && chmod 755 "$work" "$work/open" && cp "$PARAVANE" "$actor" "$work/open/"
	setpriv --reuid 65534 --regid 65534 --clear-groups "$work/open/paravane" run --engine kvm "$work/open/actor" \
		</dev/null >"$work/out" 2>&1
	expect 'no leave to open /dev/kvm: status' 2 $?
	contains 'no leave to open /dev/kvm: a sentence with the remedy' "$work/out" 'may not open /dev/kvm: become a member'
fi
bad 'no such file' 'No such file.*; give' run "$work/nothing"
bad 'a folder' 'Is a directory.*; give' run "$work"
bad 'no such ramdisk' 'ramdisk cannot be read' run "$actor" --ramdisk "$work/nothing"
bad 'trace to nowhere' 'cannot be written' run "$actor" --trace="$work/no/such/folder"
: >"$work/empty"
bad 'empty kernel' 'is empty; ' run "$work/empty"
head -c 10000 /dev/urandom >"$work/noise"
bad 'not a kernel' 'is not an ELF file; ' run "$work/noise"
head -c 5000 "$actor" >"$work/short"
bad 'truncated kernel' 'is truncated.*; ' run "$work/short"
gzip -c "$actor" >"$work/packed"
bad 'compressed kernel' 'is compressed by gzip; ' run "$work/packed"
bad 'a program, not a kernel' 'no Xen ELF notes.*; ' run "$PARAVANE"
bad 'too little memory' 'needs at least .* MiB.*--memory' run "$actor" --memory 1M
head -c 20000000 /dev/zero >"$work/big"
bad 'ramdisk too big' 'needs at least .* MiB.*--memory' run "$actor" --memory 16M --ramdisk "$work/big"

# ---- help, version, manual page -----------------------------------------------------------------

limited 10 "$PARAVANE" --version >"$work/out"
expect 'version: status' 0 $?
contains 'version: says it' "$work/out" '^paravane [0-9]+\.[0-9]+'
limited 10 "$PARAVANE" --help >"$work/out"
expect 'help: status' 0 $?
limited 10 "$PARAVANE" run --help >"$work/out"
expect 'run --help: status' 0 $?
grep -oE '^  --[a-z-]+' "$work/out" | tr -d ' ' | sort >"$work/help"
grep -E '^\.B[RI]* \\-\\-[a-z]' "$man" | grep -oE '\\-\\-[a-z\\-]+' | tr -d '\\' | grep -vxE -- '--(help|version)' | sort -u >"$work/man"
if [ -s "$work/help" ] && cmp -s "$work/help" "$work/man"; then
	pass 'help and manual page name the same options'
else
	fail 'help and manual page name the same options' "$(diff "$work/help" "$work/man" | tr '\n' ' ')"
fi
if limited 10 "$PARAVANE" --help >/dev/full 2>/dev/null; then
	fail 'help that cannot be written is an error' 'status 0'
else
	pass 'help that cannot be written is an error'
fi

# ---- console on pipes ---------------------------------------------------------------------------

printf 'one\ntwo\nend\n' | limited 20 "$PARAVANE" run "$actor" --cmdline 'echo say=over' >"$work/out" 2>"$work/err"
expect 'typed bytes reach the guest: status' 0 "${PIPESTATUS[1]}"
contains 'typed bytes reach the guest' "$work/out" '^ONE'
contains 'the end of input ends input only' "$work/out" '^over'

run 'a long text' 0 --cmdline lines=5000
expect 'a long text: every line' 5000 "$(grep -c '^line [0-9]* of 5000, followed by some text to fill the ring sooner' "$work/out")"
limited 30 "$PARAVANE" run "$actor" --cmdline lines=3000 </dev/null 2>"$work/err" | (sleep 1; cat) >"$work/out"
expect 'a slow reader gets every line' 3000 "$(wc -l <"$work/out")"
run 'the emergency console' 0 --cmdline emergency=500
expect 'the emergency console: every line' 500 "$(grep -c '^emergency' "$work/out")"
limited 30 "$PARAVANE" run "$actor" --cmdline 'emergency=5000 say=through' </dev/null 2>"$work/err" |
	(sleep 1; cat) >"$work/out"
contains 'a slow reader of the emergency console' "$work/out" '^through'

limited 30 "$PARAVANE" run "$actor" --cmdline 'lines=200 sleep=200 lines=2000' </dev/null 2>"$work/err" | head -n 1 >"$work/out"
expect 'a reader that leaves: status' 16 "${PIPESTATUS[0]}"
contains 'a reader that leaves: it is said' "$work/err" 'output was lost'
limited 30 "$PARAVANE" run "$actor" --cmdline 'say=x' </dev/null >/dev/full 2>"$work/err"
expect 'a full disk: status' 16 $?
limited 30 "$PARAVANE" run "$actor" --cmdline 'say=x crash' </dev/null >/dev/full 2>"$work/err"
expect 'a full disk hides no crash' 10 $?
limited 30 "$PARAVANE" run "$actor" --cmdline 'say=closed' <&- >"$work/out" 2>"$work/err"
expect 'closed standard input: status' 0 $?
contains 'closed standard input' "$work/out" closed
limited 30 "$PARAVANE" run "$actor" --cmdline 'say=closed' </dev/null >&- 2>"$work/err"
expect 'closed standard output: status' 0 $?

# A reader that never reads must not keep the machine from ending.
mkfifo "$work/fifo"
sleep 30 <"$work/fifo" &
reader=$!
children+=("$reader")
for words in lines=100000 emergency=100000; do
	"$PARAVANE" run "$actor" --cmdline $words </dev/null >"$work/fifo" 2>"$work/err" &
	pid=$!
	children+=("$pid")
	sleep 0.5
	kill -TERM "$pid"
	wait_for "$pid" 10
	expect "a blocked reader, $words: SIGTERM ends it" 143 $?
done
limited 10 "$PARAVANE" run "$actor" --cmdline lines=100000 --timeout 0.5 </dev/null >"$work/fifo" 2>"$work/err"
expect 'a blocked reader: --timeout ends it' 12 $?
# Nor can a report that nobody reads keep it: there is no loop any more, a signal ends it plainly.
"$PARAVANE" run "$actor" --cmdline 'lines=2000 crash' </dev/null 2>"$work/fifo" >/dev/null &
pid=$!
children+=("$pid")
head -c 70000 /dev/zero >"$work/fifo" &
children+=("$!")
sleep 0.5
kill -TERM "$pid" 2>/dev/null
wait_for "$pid" 10
case $? in
10 | 143) pass 'a report that nobody reads keeps nobody' ;;
*) fail 'a report that nobody reads keeps nobody' 'it had to be killed' ;;
esac
kill "$reader"

run 'an impossible index' 0 --cmdline 'ring say=unheard'
contains 'an impossible index is said once' "$work/err" 'impossible indexes of the output ring'

head -c 5000 /dev/urandom >"$work/disk"
sum=$(od -An -v -tu1 "$work/disk" | awk '{ for (i = 1; i <= NF; i++) s += $i } END { print s }')
run ramdisk 0 --ramdisk "$work/disk" --cmdline ramdisk
contains 'ramdisk: its bytes, and no more' "$work/out" "^ramdisk: 5000 bytes, sum $sum"
run 'facts' 0 --memory 64M --cmdline facts
contains 'memory and ports as given' "$work/out" '65536 KiB, cmdline "facts", console port 2, store port 1'

# ---- crash report, trace, statistics ------------------------------------------------------------

run fault 10 --cmdline fault
contains 'report: reason' "$work/err" '^paravane: actor crashed: .*#PF'
contains 'report: registers' "$work/err" '^  rip e033:[0-9a-f]{16}  read_nowhere\+0x'
contains 'report: code' "$work/err" '^  code .*<[0-9a-f]{2}>'
contains 'report: address' "$work/err" 'page tables for 0000007654321000'
contains 'report: walk' "$work/err" '^    L3\[473\] 0{16} not present'
contains 'report: stack' "$work/err" '^  stack at '
for f in read_nowhere second_call first_call kernel_main; do
	contains "report: back-trace has $f" "$work/err" "^    [0-9a-f]{16}  $f\\+0x"
done
run 'lost stack' 10 --cmdline stack
contains 'lost stack: it is said' "$work/err" 'stack at 0000007654321000 \(not mapped\)'
if grep -q $'\x1b' "$work/err"; then fail 'no colours in a file' 'escape found'; else pass 'no colours in a file'; fi

run trace 0 --cmdline say=x --trace="$work/trace"
contains 'trace: names, arguments, result' "$work/trace" '^\[ *[0-9.]+\] d1v0 sched_op\(SCHEDOP_shutdown, 0x[0-9a-f]+\) = 0'
contains 'trace: exceptions' "$work/trace" 'exception 14, '
run stats 0 --cmdline say=x --stats
contains 'stats: a row per name' "$work/err" '^sched_op +[1-9]'
contains 'stats: exceptions' "$work/err" '^#PF +[1-9]'
"$PARAVANE" run --stats --timeout 20 --cmdline 'say=here idle' "$actor" </dev/null >"$work/out" 2>"$work/err" &
p=$!; children+=($p)
for ((i = 0; i < 100; i++)); do
	sleep 0.1
	grep -q here "$work/out" && kill -USR1 $p
	grep -q '^sleeps' "$work/err" && break
done
kill -0 $p; expect 'stats: SIGUSR1 ends nothing' 0 $?
kill -TERM $p; wait $p
contains 'stats: so far, on SIGUSR1' "$work/err" '^hypercall +count'

# ---- terminal -----------------------------------------------------------------------------------

# on_terminal INPUT ARGUMENTS...: runs in a terminal of its own; settings before and after go to files.
on_terminal() {
	local input=$1
	shift
	printf '%q ' "$PARAVANE" run "$actor" "$@" >"$work/command"
	(sleep 1; printf "$input"; sleep 2) | limited 30 script -qec "stty -g >$work/before; $(cat "$work/command"); echo \$? >$work/status; stty -g >$work/after" /dev/null >"$work/out" 2>&1
}
restored() {
	expect "$1: settings are back" "$(cat "$work/before")" "$(cat "$work/after")"
}
if command -v script >/dev/null; then
	on_terminal '\035' --cmdline idle
	expect 'Ctrl-]: status' 17 "$(cat "$work/status")"
	restored 'Ctrl-]'
	on_terminal '' --cmdline say=hi
	expect 'terminal, poweroff: status' 0 "$(cat "$work/status")"
	restored 'terminal, poweroff'
	on_terminal '' --cmdline fault
	expect 'terminal, crash: status' 10 "$(cat "$work/status")"
	restored 'terminal, crash'
	on_terminal '' --cmdline spin --timeout 0.5
	restored 'terminal, timeout'
	on_terminal '\003' --cmdline idle --timeout 2
	expect 'Ctrl-C goes to the guest' 12 "$(cat "$work/status")"
else
	skip terminal 'script(1) is not installed'
fi

# ---- several at once ----------------------------------------------------------------------------

pids=()
for i in 1 2 3 4 5 6; do
	"$PARAVANE" run "$actor" --cmdline "sleep=200 say=$i" </dev/null >"$work/out$i" 2>&1 &
	pids+=($!)
	children+=($!)
done
for i in 1 2 3 4 5 6; do
	wait_for "${pids[i - 1]}" 20
	expect "machine $i of several: status" 0 $?
	expect "machine $i of several: output" "$i" "$(tr -d '\r' <"$work/out$i")"
done
finish
