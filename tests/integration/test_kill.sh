#!/bin/bash
# SPDX-License-Identifier: MIT
# The hypervisor is killed by SIGKILL at random moments, its start included: afterwards there is no process,
# no file and no shared-memory object more than before.
# alone: it counts what all of this machine's programs have in shared memory
. "$(dirname "$0")/../lib.sh"
KILLS=${KILLS:-200}

# A name of our own for the program, so that what it leaves behind can be told from other runs.
ln -s "$(realpath "$PARAVANE")" "$work/pv-kill-$$"
shm_before=$(ls -A /dev/shm 2>/dev/null | wc -l)
mkdir "$work/tmp"; export TMPDIR=$work/tmp
mine() { pgrep -f "pv-kill-$$" | wc -l; }

for ((i = 0; i < KILLS; i++)); do
	"$work/pv-kill-$$" run --memory 16M "$GUESTS/selftest" </dev/null >/dev/null 2>&1 &
	p=$!
	sleep "0.0$((RANDOM % 5))$((RANDOM % 10))"
	kill -9 $p 2>/dev/null
	wait $p 2>/dev/null
done
for ((i = 0; i < 50 && $(mine) > 0; i++)); do sleep 0.1; done
expect "no process is left after $KILLS kills" 0 "$(mine)"
# Guest processes change nothing of their names, so also look for any child without a parent of ours.
expect "no shared-memory object is left" "$shm_before" "$(ls -A /dev/shm 2>/dev/null | wc -l)"
expect "no temporary file is left" 0 "$(ls -A "$TMPDIR" | wc -l)"
finish
