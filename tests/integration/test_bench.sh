#!/bin/bash
# SPDX-License-Identifier: MIT
# Behaviour: the report of `make bench` is well-formed, refers to nothing outside itself and shows every row of the
# table; `make bench-compare` tells a change from noise; what is no table is refused in one sentence.
# Breakage looks like a browser that shows half of a page, or a change that is a quiet machine's.
. "$(dirname "$0")/../lib.sh"
report=$O/bench/report diff=$O/bench/diff

# row SYSTEM NAME BETTER LOW MEDIAN HIGH NOISE
row() { printf '%s\tus\t%s\tkernel\t%s\t%s\t%s\t%s\t%s\t5\t%s\n' "$2" "$3" "$1" "$4" "$4" "$5" "$6" "$7"; }
table() {	# A factor for the paravirtual guest's figures, in percent
	printf '# date\ttoday & <tomorrow>\n# rounds\t5\n'
	printf 'row\tunit\tbetter\tgroup\tsystem\tbest\tlow\tmedian\thigh\trounds\tnoise\n'
	row native 'null "call" <&>' less 0.1 0.2 0.3 ''
	row pv-process 'null "call" <&>' less $((40 * $1 / 100)) $((44 * $1 / 100)) $((48 * $1 / 100)) ''
	row native 'disk reads' more 900 1000 1100 ''
	row pv-process 'disk reads' more $((480 * $1 / 100)) $((500 * $1 / 100)) $((520 * $1 / 100)) ''
	row uml 'disk reads' more 1 2 3 ''
	row pv-process 'a noisy one' less $1 $1 $1 noisy
	row pv-process 'within the noise' less 10 $1 1000 ''
}
table 100 >"$work/old"
table 200 >"$work/new"

# Every tag that opens closes, in order; the text has no stray sign.
well_formed() {
	tr '\n' ' ' <"$1" | awk '
		{ text = $0; depth = 0
		  sub(/<!DOCTYPE html>/, "", text)
		  while (match(text, /<[^>]*>/)) {
			before = substr(text, 1, RSTART - 1); tag = substr(text, RSTART + 1, RLENGTH - 2)
			text = substr(text, RSTART + RLENGTH)
			gsub(/&(lt|gt|amp|quot);/, "", before)
			if (before ~ /[&>]/) { print "stray sign: " substr(before, 1, 60); exit 1 }
			if (tag ~ /^\//) {
				if (stack[depth] != substr(tag, 2)) { print "closes " tag " in " stack[depth]; exit 1 }
				depth--
			} else if (tag !~ /\/$/) { split(tag, word, " "); stack[++depth] = word[1] }
		  }
		  if (depth || text ~ /[<>]/) { print "left open: " stack[depth]; exit 1 } }'
}

"$report" "$work/old" "$work/report.html" 2>"$work/err"
expect "a report is written" 0 $?
expect "and is well-formed" "" "$(well_formed "$work/report.html")"
if command -v xmllint >/dev/null; then
	xmllint --noout --nonet "$work/report.html" 2>"$work/err"
	expect "an XML parser agrees" 0 $?
fi
expect "it refers to nothing outside" 0 \
	"$(sed 's|xmlns="http://www.w3.org/[^"]*"||g' "$work/report.html" | grep -Eic 'https?:|src=|href=|url\(|@import|<script|<link|<iframe')"
for name in 'null &quot;call&quot; &lt;&amp;&gt;' 'disk reads' 'a noisy one' 'within the noise'; do
	expect "it shows '$name' as a chart and in the table" 3 "$(grep -oF "$name</" "$work/report.html" | wc -l)"
done
expect "a chart has a bar for each figure" 7 "$(grep -o '<rect' "$work/report.html" | wc -l)"
contains "it says what it was measured on" "$work/report.html" 'today &amp; &lt;tomorrow&gt;'

"$diff" "$work/old" "$work/new" >"$work/out"
expect "two runs are compared" 0 $?
contains "a figure that got worse" "$work/out" 'null .*pv-process .*44\.0 -> +88\.0 .*0\.50 times'
contains "one that got better" "$work/out" 'disk reads .*500 -> +1,000 .*2\.00 times.*native: 1\.00'
contains "noise is counted, not shown" "$work/out" '^2 figures changed.*; 1 more'
expect "and what lies within it is no change" 0 "$(grep -c 'within the noise' "$work/out")"
expect "a run is as good as itself" 1 "$("$diff" "$work/old" "$work/old" | grep -c '^0 figures')"

sed 's/\t5\t/\tfive\t/' "$work/old" >"$work/bad"
for bad in "$work/bad" /dev/null "$work/nothing" "$O"; do
	"$report" "$bad" "$work/bad.html" 2>"$work/err"
	rc=$?
	expect "no table (${bad##*/}): status" 2 $rc
	expect "no table (${bad##*/}): one sentence" 1 "$(wc -l <"$work/err")"
done
"$report" "$work/old" /dev/full 2>"$work/err"
expect "a full disk: status" 2 $?
contains "a full disk: said" "$work/err" 'full'
CHECK=1 tests/bench/docs.sh "$O/bench/markdown" 2>"$work/err"
expect "the pages show the run that is kept" "0 " "$? $(cat "$work/err")"
"$O/bench/bench" 2>"$work/err"
expect "the benchmark's usage: status" 2 $?
finish
