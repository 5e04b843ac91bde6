#!/bin/bash
# SPDX-License-Identifier: MIT
# A person at the terminal of the unix guest, four vCPUs: types at a pseudo-terminal, waits for what appears.
# In the session: programs, pipes, line editing, ^C to what runs and to what is typed, ^D, the end.
. "$(dirname "$0")/../lib.sh"
kernel=$GUESTS/unix

command -v script >/dev/null || { skip 'the shell at a terminal' 'script(1) is not installed'; finish; }

# Types KEYS (printf's escapes) and waits, 20 s at most, until what appeared since then matches PATTERN; with
# AGAIN it types every second: a program may need a moment until it has the terminal.
type_and_see() { # NAME KEYS PATTERN [AGAIN]
	local from i
	from=$(stat -c %s "$work/screen")
	for ((i = 0; i < 400; i++)); do
		[ $i = 0 ] || [ "${4-}" -a $((i % 20)) = 0 ] && printf "$2" >&3
		tail -c +$((from + 1)) "$work/screen" | tr -d '\r' >"$work/new"
		if grep -Pzq -- "(?s)$3" "$work/new"; then pass "$engine: $1"; return; fi
		sleep 0.05
	done
	fail "$engine: $1" "nothing on the screen matches '$3': $(head -c 600 "$work/new" | tr '\n\0' '|?')"
}

for engine in $ENGINES; do
	rm -f "$work/keys" "$work/status"
	mkfifo "$work/keys"
	: >"$work/screen"
	limited 120 script -qfec "$PARAVANE run --engine $engine --vcpus 4 --timeout 100 $kernel; echo \$? >$work/status" \
		/dev/null <"$work/keys" >"$work/screen" 2>&1 &
	pid=$!
	children+=($pid)
	exec 3<>"$work/keys"	# for reading too: so it neither waits for a reader nor misses one that has ended

	type_and_see 'the prompt' '' '\$ $'
	type_and_see 'a program' 'echo one two\r' '\none two\n\$ $'
	type_and_see 'help' 'help\r' 'ls bin.*\n\$ $'
	type_and_see 'all vCPUs' 'ps | cat\r' ' 4 vCPUs.*\n\$ $'
	type_and_see 'what is typed is seen, and taken back' 'echo xxy\177\177\177abc\r' '\nabc\n\$ $'
	type_and_see '^U drops the line' 'nonsense\025echo good\r' '\ngood\n\$ $'
	type_and_see '^C drops the line' 'nonsense\003' '\^C\n\$ $'
	type_and_see 'and the next is read' 'echo next\r' '\nnext\n\$ $'
	type_and_see 'a program that waits' 'sleep 1000\r' 'sleep 1000\n'
	type_and_see '^C ends it' '\003' '\^C\n\$ $' again
	type_and_see 'its code' 'echo code $?\r' '\ncode 130\n\$ $'
	type_and_see 'a pipeline that waits' 'sleep 1000 | cat | wc\r' 'wc\n'
	type_and_see '^C ends all of it' '\003' '\^C.*\$ $' again
	type_and_see 'none of it is left' 'ps\r' 'NAME\n([^\n]*(init|sh|ps)\n){3}[^\n]*pages free.*\$ $'
	type_and_see '^D is the end of what a program reads' 'cat | wc\rtwo words\r\004' '\n *1 +2 +10\n\$ $'
	type_and_see 'background programs' 'sleep 1000 &\r' '\n\[[0-9]+\]\n\$ $'
	type_and_see 'are there' 'ps\r' ' sleep\n'
	printf 'exit 3\r' >&3
	wait $pid
	contains "$engine: the shell's end" "$work/screen" 'unix: sh exited 3'
	expect "$engine: and the machine's" 0 "$(cat "$work/status" 2>/dev/null)"
	exec 3>&-
done
finish
