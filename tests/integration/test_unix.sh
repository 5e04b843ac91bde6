#!/bin/bash
# SPDX-License-Identifier: MIT
# The small Unix (tests/guests/unix) on every engine that works here: every claim of its utest, with one vCPU and
# with several, is one verdict; a session with its shell; a short stress; programs from a ramdisk instead of its own.
. "$(dirname "$0")/../lib.sh"
UNIX_VCPUS=${UNIX_VCPUS:-1 2 4}
STRESS_SECONDS=${STRESS_SECONDS:-3}
kernel=$GUESTS/unix

# unix_run VCPUS SECONDS COMMANDLINE: its output in $work/out, without carriage returns; the status in $rc
unix_run() {
	local vcpus=$1 seconds=$2; shift 2
	limited $((seconds + 10)) "$PARAVANE" run --engine "$engine" --memory 64M --vcpus "$vcpus" --timeout "$seconds" \
		--cmdline "$*" "$kernel" </dev/null >"$work/raw" 2>"$work/err"
	rc=$?
	tr -d '\r' <"$work/raw" >"$work/out"
}

shell_session() {
	cat <<'END'
echo one   two "three  four"
echo a b c | cat | wc
echo hello > /tmp/file ; cat < /tmp/file >> /tmp/other; cat /tmp/other /tmp/file | wc
nothing-of-that-name; echo code $?
ls bin/utest
cat /bin/utest | wc > /tmp/count; ls tmp
sleep 100 & ; ps
echo "| ; & > <" 'quoted'
exit 7
END
}

for engine in $ENGINES; do
	if [ "$engine" = kvm ]; then
		# Each crossing costs many times as much: the programs' claims once, without stress.
		unix_run 2 150 run=utest
		expect "$engine, 2 vCPUs: utest powers off" 0 "$rc"
		contains "$engine, 2 vCPUs: utest closes" "$work/out" '^utest: [0-9]+ passed, 0 failed'
		verdicts "$engine, 2 vCPUs" "$work/out"
		continue
	fi
	for vcpus in $UNIX_VCPUS; do
		unix_run "$vcpus" 60 run=utest
		expect "$engine, $vcpus vCPUs: utest powers off" 0 "$rc"
		contains "$engine, $vcpus vCPUs: utest closes" "$work/out" '^utest: [0-9]+ passed, 0 failed'
		contains "$engine, $vcpus vCPUs: init tells the status" "$work/out" '^unix: utest exited 0$'
		verdicts "$engine, $vcpus vCPUs" "$work/out"
	done

	unix_run 2 60 roots=two run=utest
	contains "$engine, two roots: utest closes" "$work/out" '^utest: [0-9]+ passed, 0 failed'
	verdicts "$engine, two roots" "$work/out"

	# Under one root programs can reach their kernel's memory, and those of `faults` that try do it harm.
	for group in calls process signals memory fp; do
		unix_run 2 60 roots=one run=utest "$group"
		contains "$engine, one root: utest $group closes" "$work/out" '^utest: [0-9]+ passed, 0 failed'
		verdicts "$engine, one root" "$work/out"
	done

	unix_run 4 $((STRESS_SECONDS + 30)) run=stress "$STRESS_SECONDS"
	expect "$engine: stress powers off" 0 "$rc"
	[ "$rc" = 0 ] || head -c 2000 "$work/err" | sed 's/^/    | /'
	contains "$engine: stress leaves nothing behind" "$work/out" '^stress: nothing is left behind$'
	contains "$engine: stress had something to do" "$work/out" '^stress: [1-9][0-9]* children$'

	# On one core vCPUs come up slowly; the first program must find all of them nevertheless.
	for i in 1 2 3 4; do
		limited 40 taskset -c "$(taskset -pc $$ | sed 's/.*[ ,-]//')" "$PARAVANE" run --engine "$engine" --vcpus 32 \
			--timeout 30 --cmdline run=ps "$kernel" </dev/null 2>"$work/err" | tr -d '\r'
	done >"$work/out"
	expect "$engine: all vCPUs are there before the first program" 4 "$(grep -c ' 32 vCPUs,' "$work/out")"

	shell_session | limited 40 "$PARAVANE" run --engine "$engine" --vcpus 2 --timeout 30 "$kernel" >"$work/raw" 2>"$work/err"
	expect "$engine: the shell's machine powers off" 0 $?
	tr -d '\r' <"$work/raw" >"$work/out"
	contains "$engine, shell: words and quotes" "$work/out" '^(\$ )*one two three  four$'
	contains "$engine, shell: pipes" "$work/out" '^(\$ )*1 3 6$'
	contains "$engine, shell: redirection" "$work/out" '^(\$ )*2 2 12$'
	contains "$engine, shell: a program that is not there" "$work/out" '^(\$ )*sh: nothing-of-that-name: no such program$'
	contains "$engine, shell: its code" "$work/out" '^code 127$'
	contains "$engine, shell: files that programs made" "$work/out" ' tmp/count$'
	contains "$engine, shell: background programs" "$work/out" ' sleep$'
	contains "$engine, shell: quoted signs mean nothing" "$work/out" '^(\$ )*\| ; & > < quoted$'
	contains "$engine, shell: its end" "$work/out" '^(\$ )*unix: sh exited 7$'

	mkdir -p "$work/user"
	cp "$O/user/bin/init" "$O/user/bin/echo" "$work/user/"
	tests/guests/unix/mkcpio.sh bin "$work/user/init" "$work/user/echo" >"$work/other.cpio"
	limited 20 "$PARAVANE" run --engine "$engine" --timeout 15 --ramdisk "$work/other.cpio" --cmdline 'run=echo from the ramdisk' \
		"$kernel" </dev/null 2>"$work/err" | tr -d '\r' >"$work/out"
	contains "$engine: programs from a ramdisk" "$work/out" '^from the ramdisk$'
	limited 20 "$PARAVANE" run --engine "$engine" --timeout 15 --ramdisk "$work/other.cpio" --cmdline 'run=utest' \
		"$kernel" </dev/null 2>"$work/err" | tr -d '\r' >"$work/out"
	contains "$engine: and no others" "$work/out" '^unix: utest exited 127$'

	head -c 3000 "$work/other.cpio" >"$work/cut.cpio"
	limited 20 "$PARAVANE" run --engine "$engine" --timeout 15 --ramdisk "$work/cut.cpio" "$kernel" </dev/null >"$work/out" 2>"$work/err"
	contains "$engine: an archive that is cut short is refused" "$work/out" 'panic: unix: cannot unpack the archive'
done
finish
