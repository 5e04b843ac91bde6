#!/bin/bash
# SPDX-License-Identifier: MIT
# Power cuts under the block back-end: what was flushed is there after each; and two broken back-ends, whose
# flush does nothing or is answered too early, are caught within 20 cuts, whatever the seed.
#
#   tests/powercut/run.sh PROGRAM CUTS
set -u
powercut=$1 cuts=$2 p=0 f=0
verdict() { if [ "$2" = 0 ]; then p=$((p + 1)); echo "PASS $1"; else f=$((f + 1)); echo "FAIL $1: status $2"; fi; }
seed=${SEED:-$(date +%s)}
timeout -k 5 $((60 + cuts)) "$powercut" -n "$cuts" -s "$seed"
verdict "nothing that was flushed is lost in $cuts power cuts" $?
for mutant in no-flush early-answer; do
	for s in 1 2 3 4 5; do
		timeout -k 5 60 "$powercut" -n 20 -s $((seed + s)) -m $mutant
		verdict "$mutant, seed $((seed + s)): caught within 20 cuts" $?
	done
done
printf '%d passed, %d failed, 0 skipped\n' $p $f
[ $f = 0 ]
