#!/bin/bash
# SPDX-License-Identifier: MIT
# Keeps a run of `make bench` as the one that the documents show, and writes its tables into them, between the lines
# "<!-- bench: WHICH -->" and "<!-- end of bench -->".
#   docs.sh MARKDOWN [TSV]     MARKDOWN: the program; TSV: the run to keep, else the tables are written anew
# With CHECK=1 nothing is written: status 1 when a document shows something else than the run that is kept.
set -u
markdown=$1 kept=docs/bench.tsv status=0
[ -z "${2-}" ] || cp "$2" "$kept" || exit 2

# filled FILE: the file with its tables from the run
filled() {
	awk -v run="$markdown $kept" '
		/^<!-- end of bench -->$/ { skip = 0 }
		!skip { print }
		match($0, /^<!-- bench: [a-z]+ -->$/) {
			which = $3 == "all" ? "" : " " $3
			command = run which
			while ((command | getline line) > 0) print line
			close(command); skip = 1
		}' "$1"
}

for page in README.md docs/benchmarks.md; do
	grep -q '^<!-- bench: ' "$page" || { echo "$page has no place for the benchmark's table" >&2; status=1; continue; }
	if [ -n "${CHECK-}" ]; then
		filled "$page" | cmp -s - "$page" || { echo "$page does not show $kept; run make bench-docs" >&2; status=1; }
	else
		filled "$page" >"$page.new" && mv "$page.new" "$page" || status=2
	fi
done
exit $status
