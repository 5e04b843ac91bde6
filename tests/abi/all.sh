#!/bin/bash
# SPDX-License-Identifier: MIT
# make check-abi: our headers alone and against Xen's, whether that comparison notices a spoilt byte, and the borders
# between the folders. Prints what each says, and one closing line.
#
#   all.sh OUT
set -u
here=$(dirname "$0")
out=$1
p=0 f=0 s=0

run() { # COMMAND...: its output, and its closing line added up
	local log=$out/said a b c rest
	mkdir -p "$out"
	timeout -k 10 100 "$@" >"$log" 2>&1
	local rc=$?
	grep -v '^PASS ' "$log"
	read -r a b c rest < <(tail -n 1 "$log" | grep -oE '[0-9]+ (passed|failed|skipped)' | cut -d' ' -f1 | xargs)
	a=${a:-0} b=${b:-0} c=${c:-0}
	if [ $rc != 0 ] && [ "$b" = 0 ]; then
		b=1
		echo "FAIL $1: exit status $rc"
	fi
	p=$((p + a)) f=$((f + b)) s=$((s + c))
}

run "$here/check.sh" . "$out/headers"
run "$here/mutate.sh" . "$out/mutations"
run "$here/borders.sh"
printf 'abi: %d passed, %d failed, %d skipped\n' $p $f $s
[ $f = 0 ] && [ $p -gt 0 ]
