#!/bin/bash
# SPDX-License-Identifier: MIT
# Everything that `make check` means, stage by stage, with one closing line for all of it.
# Called by make, with O exported; a stage that fails does not keep the later ones from running.
set -u
O=${O:-build}; export O
make=${MAKE:-make}
p=0 f=0 s=0
out=$(mktemp)
trap 'rm -f "$out"' EXIT

stage() {	# NAME COMMAND...
	local name=$1 start=$SECONDS a b c rc line
	shift
	echo "== $name"
	"$@" 2>&1 | tee "$out"
	rc=${PIPESTATUS[0]}
	line=$(grep -aE '^([A-Za-z0-9_-]+: )?[0-9]+ passed, [0-9]+ failed(, [0-9]+ skipped)?$' "$out" | tail -n 1)
	read -r a b c < <(grep -oE '[0-9]+ (passed|failed|skipped)' <<<"$line" | cut -d' ' -f1 | xargs)
	a=${a:-0} b=${b:-0} c=${c:-0}
	if [ "$rc" != 0 ] && [ "$b" = 0 ]; then b=1; echo "$name: exit status $rc"; fi
	p=$((p + a)) f=$((f + b)) s=$((s + c))
	echo "-- $name: $((SECONDS - start)) s"
}

sub() { $make --no-print-directory "$@"; }

stage abi sub check-abi
if pkg-config --exists check 2>/dev/null; then
	stage unit sub check-unit
else
	echo "SKIP unit tests: the package 'check' is not installed (make setup)"
	s=$((s + 1))
fi
stage guest sub check-guest
stage powercut sub check-powercut CUTS=60
stage fuzz sub check-fuzz
printf 'check: %d passed, %d failed, %d skipped\n' $p $f $s
[ $f = 0 ] && [ $p -gt 0 ]
