#!/bin/bash
# SPDX-License-Identifier: MIT
# The guests of ours on every engine that works here: hello says its line and powers off; every claim of
# selftest is one verdict here.
. "$(dirname "$0")/../lib.sh"

for engine in $ENGINES; do
	limited 20 "$PARAVANE" run --engine "$engine" "$GUESTS/hello" </dev/null >"$work/out" 2>"$work/err"
	expect "$engine: hello powers off" 0 $?
	contains "$engine: hello speaks" "$work/out" 'hello'

	limited 120 "$PARAVANE" run --engine "$engine" --memory 64M --vcpus 2 --timeout 100 "$GUESTS/selftest" \
		</dev/null >"$work/out" 2>"$work/err"
	expect "$engine: selftest powers off" 0 $?
	# A silent selftest has failed: its closing line must be there.
	contains "$engine: selftest closes" "$work/out" '^selftest: [0-9]+ passed, [0-9]+ failed'
	while read -r verdict name; do
		name=${name%$'\r'}
		case $verdict in
		PASS) pass "$engine: $name";;
		FAIL)	# what is known to differ from Xen stands in a list, with its reason
			reason=$(sed -n "s|^${name%%:*}: *||p" "$(dirname "$0")/../xen-differences")
			if [ -n "$reason" ]; then skip "$engine: ${name%%:*}" "$reason"
			else fail "$engine: ${name%%:*}" "${name#*: }"; fi;;
		SKIP) skip "$engine: ${name%%:*}" "${name#*: }";;
		esac
	done < <(grep -aE '^(PASS|FAIL|SKIP) ' "$work/out")
done
finish
