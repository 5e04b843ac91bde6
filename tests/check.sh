#!/bin/bash
# SPDX-License-Identifier: MIT
# Runs test programs, each within a time limit, and adds up what they say.
#
#   tests/check.sh [-t SECONDS] [-j JOBS] [-a NAME]... TITLE PROGRAM...
#
# Most of a test's time is waiting, so JOBS of them run side by side (1 unless told). A script with a line that begins
# with '# alone:' runs when all others are through, and by itself; the line says why. So does a program named by -a.
# A program's last count counts: either 'N passed, N failed, N skipped' or the closing line of `check`.
# A program without one, or that exits non-zero with no failure counted, counts as one failure.
# The log of each program is kept under $O/check/.
set -u
export LC_ALL=C
limit=120 jobs=1 names=
while getopts t:j:a: option; do
	case $option in
	t) limit=$OPTARG;;
	j) jobs=$OPTARG;;
	a) names="$names $OPTARG ";;
	*) exit 2;;
	esac
done
shift $((OPTIND - 1))
title=$1; shift
O=${O:-build}; export O
logs=$O/check/$title
rm -rf "$logs"; mkdir -p "$logs" || exit 1
total_p=0 total_f=0 total_s=0

count() {	# LOG -> p f s (empty when there is no closing line)
	local line
	line=$(grep -aE '^([A-Za-z0-9_-]+: )?[0-9]+ passed, [0-9]+ failed(, [0-9]+ skipped)?$' "$1" | tail -n 1)
	if [ -n "$line" ]; then
		sed -E 's/^[^0-9]*:? ?([0-9]+) passed, ([0-9]+) failed(, ([0-9]+) skipped)?$/\1 \2 \4/' <<<"${line##*: }"
		return
	fi
	line=$(grep -aE '^[0-9]+%: Checks: [0-9]+, Failures: [0-9]+, Errors: [0-9]+' "$1" | tail -n 1)
	[ -n "$line" ] || return
	sed -E 's/.*Checks: ([0-9]+), Failures: ([0-9]+), Errors: ([0-9]+).*/\1 \2 \3/' <<<"$line" |
		{ read -r n f e; echo $((n - f - e)) $((f + e)) 0; }
}

# run PROGRAM: its verdict to NAME.said, its counts to NAME.counts
run() {
	local prog=$1 name log start rc ms p f s verdict=ok
	name=$(basename "$prog"); log=$logs/$name.log
	start=$(date +%s%N)
	timeout -k 10 "$limit" "$prog" </dev/null >"$log" 2>&1 &
	echo $! >"$logs/$name.pid"
	wait $!
	rc=$?
	rm -f "$logs/$name.pid"
	ms=$((($(date +%s%N) - start) / 1000000))
	read -r p f s _ <<<"$(count "$log") 0 0 0"
	[ -n "$(count "$log")" ] || { p=0 f=1 s=0; echo "no closing line (exit status $rc)" >>"$log"; }
	if [ $rc != 0 ] && [ "$f" = 0 ]; then f=1; echo "exit status $rc" >>"$log"; fi
	[ "$f" = 0 ] || verdict=FAILED
	{
		printf '  %-7s %-34s %5d passed %3d failed %3d skipped %5d.%01d s\n' \
			"$verdict" "$title/$name" "$p" "$f" "$s" $((ms / 1000)) $((ms % 1000 / 100))
		grep -aE '^SKIP ' "$log" | head -n 12 | sed 's/^/            /'
		[ "$f" = 0 ] || { grep -aE '^FAIL|:[FE]:|ERROR:|runtime error' "$log" | head -n 20; tail -n 25 "$log"; } | sed 's/^/          | /'
	} >"$logs/$name.said"
	flock "$logs/lock" cat "$logs/$name.said"
	echo "$p $f $s" >"$logs/$name.counts"
}

# Whoever interrupts us means the programs, too.
stop() {
	local pid
	for pid in "$logs"/*.pid; do [ ! -e "$pid" ] || kill "$(cat "$pid")" 2>/dev/null; done
	exit 130
}
trap stop INT TERM

alone=()
for prog; do
	if [[ $names = *" ${prog##*/} "* ]] || { [[ $prog = *.sh ]] && grep -q '^# alone:' "$prog"; }; then
		alone+=("$prog")
		continue
	fi
	while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do wait -n; done
	run "$prog" &
done
wait
for prog in ${alone[@]+"${alone[@]}"}; do run "$prog"; done
for prog; do
	read -r p f s <"$logs/$(basename "$prog").counts" || { p=0 f=1 s=0; }
	total_p=$((total_p + p)) total_f=$((total_f + f)) total_s=$((total_s + s))
done
printf '%s: %d passed, %d failed, %d skipped\n' "$title" "$total_p" "$total_f" "$total_s"
[ "$total_f" = 0 ] && [ $((total_p + total_s)) -gt 0 ]
