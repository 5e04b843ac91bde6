# SPDX-License-Identifier: MIT
# Sourced by every integration test: verdicts, a time limit for each run, and one closing line.
#
# A test script calls pass/fail/skip once a claim and ends with `finish`. A script that ends without
# `finish`, or with no verdict at all, has failed.
# Environment: O is the build folder; PARAVANE and GUESTS come from it.

set -u
export LC_ALL=C
O=${O:-build}
PARAVANE=${PARAVANE:-$O/paravane}
GUESTS=${GUESTS:-$O/guests}
passed=0 failed=0 skipped=0 finished=
work=$(mktemp -d "${TMPDIR:-/tmp}/paravane-test.XXXXXX") || exit 1
children=()

# The engines that work here, unless the caller says which.
if [ -z "${ENGINES-}" ]; then
	ENGINES=process
	if [ -w /dev/kvm ] && timeout -k 5 20 "$PARAVANE" run --engine kvm --memory 16M "$GUESTS/hello" </dev/null >/dev/null 2>&1; then
		ENGINES="process kvm"
	fi
fi

pass() { passed=$((passed + 1)); printf 'PASS %s\n' "$1"; }
fail() { failed=$((failed + 1)); printf 'FAIL %s: %s\n' "$1" "$2"; }
skip() { skipped=$((skipped + 1)); printf 'SKIP %s: %s\n' "$1" "$2"; }

# expect NAME WANTED GOT: the plain comparison.
expect() { if [ "$2" = "$3" ]; then pass "$1"; else fail "$1" "wanted '$2', got '$3'"; fi; }

# contains NAME FILE PATTERN (extended regular expression)
contains() {
	if grep -Eq -- "$3" "$2"; then pass "$1"; else
		fail "$1" "no line matches '$3' in:"
		head -c 2000 "$2" | sed 's/^/    | /'
	fi
}

# verdicts NAME FILE: those that a guest printed, each under the name that says where.
verdicts() {
	local verdict name
	while read -r verdict name; do
		case $verdict in
		PASS) pass "$1: $name";;
		FAIL) fail "$1: ${name%%:*}" "${name#*: }";;
		SKIP) skip "$1: ${name%%:*}" "${name#*: }";;
		esac
	done < <(grep -aE '^(PASS|FAIL|SKIP) ' "$2")
}

# limited SECONDS COMMAND...: never waits longer; 124 (or 137) when it had to stop the command.
limited() { local s=$1; shift; timeout -k 5 "$s" "$@"; }

# Processes of ours by their command line: used to count what a run left behind.
processes_of() { pgrep -f -- "$1" 2>/dev/null | grep -vx "$$" | wc -l; }

at_exit() {
	local c
	for c in ${children[@]+"${children[@]}"}; do kill -9 "$c" 2>/dev/null; done
	rm -rf "$work"
	[ -n "$finished" ] || { echo "ended early: 0 passed, 1 failed, 0 skipped"; exit 1; }
}
trap at_exit EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

finish() {
	finished=1
	[ $((passed + failed + skipped)) -gt 0 ] || { failed=1; echo "FAIL no verdict at all"; }
	printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
	[ "$failed" = 0 ]
	exit
}
