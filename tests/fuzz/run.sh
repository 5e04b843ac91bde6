#!/bin/bash
# SPDX-License-Identifier: MIT
# run.sh replay SECONDS BINARY...     replays each target's corpus and mutates it for SECONDS
# run.sh libfuzzer SECONDS BINARY...  coverage-guided, new inputs go to $O/corpus; crashes to $O/fuzz-crashes
# The corpora are in tests/fuzz/corpus/TARGET.
set -u
mode=$1 seconds=$2; shift 2
O=${O:-build}
p=0 f=0
for bin; do
	name=$(basename "$bin")
	kept=tests/fuzz/corpus/$name
	log=$(mktemp)
	if [ "$mode" = replay ]; then
		timeout -k 5 $((${seconds%.*} + 60)) "$bin" "$kept" "$seconds" >"$log" 2>&1
	else
		mkdir -p "$O/corpus/$name" "$O/fuzz-crashes" "$kept"
		timeout -k 5 $((seconds + 120)) "$bin" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
			-print_final_stats=1 -artifact_prefix="$O/fuzz-crashes/$name-" "$O/corpus/$name" "$kept" >"$log" 2>&1
	fi
	rc=$?
	if [ $rc = 0 ]; then
		p=$((p + 1)) verdict=ok
	else
		f=$((f + 1)) verdict="FAILED ($rc)"
	fi
	printf '  %-10s fuzz/%-20s %s\n' "$verdict" "$name" \
		"$(grep -aE 'inputs kept|stat::number_of_executed_units' "$log" | tail -n 1)"
	[ $rc = 0 ] || tail -n 40 "$log" | sed 's/^/          | /'
	rm -f "$log"
done
printf 'fuzz: %d passed, %d failed, 0 skipped\n' $p $f
[ $f = 0 ] && [ $p -gt 0 ]
