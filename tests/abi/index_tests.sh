#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Writes the last column of the table of hypercalls in abi/README.md: the files of the self-test guest and of the unit
# tests that make each call by its own name. To be run when tests were added; check.sh then holds it to be true.
set -u
cd "$(dirname "$0")/../.." || exit 1
new=$(mktemp) || exit 1
trap 'rm -f "$new"' EXIT

while IFS= read -r line; do
	name=$(printf '%s\n' "$line" | sed -n -E 's/^\| [0-9]+ \| `([a-z_]+)` \|.*/\1/p')
	if [ -n "$name" ]; then
		list=$(grep -l -E "(pv_hc|hv_do|__HYPERVISOR)_$name\b" tests/guests/selftest/*.c tests/unit/test_*.c 2>/dev/null |
			sed -E 's,^tests/(guests/)?(.*)$,`\2`,' | paste -s -d ',' - | sed 's/,/, /g')
		line=$(printf '%s\n' "$line" | sed -E 's/\|[^|]*\|$/|/')" ${list:--} |"
	fi
	printf '%s\n' "$line"
done <abi/README.md >"$new"
cmp -s "$new" abi/README.md || cp "$new" abi/README.md
