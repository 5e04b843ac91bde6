#!/bin/bash
# SPDX-License-Identifier: MIT
# Guests that attack, beside a witness, on the real engine: each family for a few seconds, from a fixed
# seed (tests/hostile/harness.c says what is looked at). `make hostile MINUTES=n` is the long run.
# HOSTILE_SECONDS: how long in all; HOSTILE_SEED: the first seed.
. "$(dirname "$0")/../lib.sh"

bins=$O/hostile
for engine in $ENGINES; do
	limited $((${HOSTILE_SECONDS:-20} + 200)) "$bins/harness" -e "$engine" -t "${HOSTILE_SECONDS:-20}" -s "${HOSTILE_SEED:-1}" \
		"$bins/witness" "$bins/attacker" </dev/null >"$work/out" 2>"$work/err"
	rc=$?
	while IFS= read -r line; do
		case $line in
		"PASS "*) pass "$engine: ${line#PASS }";;
		"FAIL "*) name=${line#FAIL }; fail "$engine: ${name%%: *}" "${name#*: }";;
		esac
	done <"$work/out"
	expect "$engine: hostile: the harness ends in order" 0 $rc
	[ "$rc" = 0 ] || head -c 4000 "$work/err" | sed 's/^/    | /'

	# The same by an unprivileged program, under a kernel that knows nothing of it.
	limited 120 "$PARAVANE" run --engine "$engine" --memory 64M --vcpus 2 --timeout 110 \
		--cmdline "run=attack ${HOSTILE_PROGRAMS:-100} ${HOSTILE_SEED:-1}" "$GUESTS/unix" </dev/null >"$work/out" 2>"$work/err"
	expect "$engine: hostile: the program's kernel powers off" 0 $?
	contains "$engine: hostile: its kernel and its neighbour live" "$work/out" '^attack: .* all intact'
	contains "$engine: hostile: the program has not failed" "$work/out" '^unix: attack exited 0'
done
finish
