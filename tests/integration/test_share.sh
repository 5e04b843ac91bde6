#!/bin/bash
# SPDX-License-Identifier: MIT
# Two domains with one memory: pages that one lends and the other maps (tests/guests/actor/share.c), up
# to each end that such a loan may find. A third domain lives through all of it.
. "$(dirname "$0")/../lib.sh"

actor=$GUESTS/actor
m=share$$

config() { printf 'name = "%s"\nkernel = "%s"\nmemory = 32\nextra = "%s"\n%b' "$1" "$actor" "$2" "${3-}" >"$work/$1.cfg"; }

# share NAME LENDER BORROWER [MORE-LINES-OF-BOTH]: runs both, and a third one beside them.
share() {
	config lender "$2" "${4-}"
	config borrower "$3" "${4-}"
	config third 'say=third sleep=1500 say=undisturbed'
	limited 60 "$PARAVANE" run --engine "$engine" "$work/lender.cfg" "$work/borrower.cfg" "$work/third.cfg" --machine $m \
		</dev/null >"$work/out" 2>"$work/err"
	rc=$?
	contains "$1: a third domain is undisturbed" "$work/out" '^third: undisturbed'
}
says() { contains "$1" "$work/out" "$2"; }
quiet() { if grep -E 'defect|internal error|that it was not given' "$work/err"; then fail "$1: no defect" "$(cat "$work/err")"; fi; }

all_ends() {
share 'to the end' 'lend=2 turns=lender takeback=' 'borrow=1 turns=borrower giveback= sleep=300'
expect 'to the end: status' 0 $rc
says 'to the end: the lender meets the borrower' '^lender: share: 50 rounds'
says 'to the end: the borrower meets the lender' '^borrower: share: 50 rounds'
says 'to the end: what was given back is gone' '^borrower: share: gave both back'
says 'to the end: the pages are the lender'\''s alone' '^lender: share: both pages came back'
quiet 'to the end'

share 'the borrower ends by a crash' 'lend=2 turns=lender takeback= say=lives' 'borrow=1 turns=borrower crash'
says 'the borrower ends by a crash: the pages come back' '^lender: share: both pages came back'
says 'the borrower ends by a crash: the lender lives' '^lender: lives'
quiet 'the borrower ends by a crash'

share 'the lender ends by a crash' 'lend=2 turns=lender sleep=200 crash' 'borrow=1 turns=borrower use= say=lives sleep=300'
says 'the lender ends by a crash: the pages go' '^borrower: share: the page is gone, and was used'
says 'the lender ends by a crash: the borrower lives' '^borrower: lives'
quiet 'the lender ends by a crash'

# Destroyed from outside while it is used.
config lender 'lend=2 turns=lender idle'
config borrower 'borrow=1 turns=borrower use= say=lives'
"$PARAVANE" run --engine "$engine" "$work/lender.cfg" "$work/borrower.cfg" --machine $m </dev/null >"$work/out" 2>"$work/err" &
children+=("$!")
machine=$!
for ((i = 0; i < 400; i++)); do grep -q 'borrower: share: uses it' "$work/out" && break; sleep 0.05; done
"$PARAVANE" destroy -m $m lender >"$work/vout" 2>&1
expect 'the lender is destroyed: status' 0 $?
for ((i = 0; i < 400; i++)); do kill -0 "$machine" 2>/dev/null || break; sleep 0.05; done
says 'the lender is destroyed: the pages go' '^borrower: share: the page is gone, and was used'
says 'the lender is destroyed: the borrower lives' '^borrower: lives'
quiet 'the lender is destroyed'
kill -9 "$machine" 2>/dev/null

# Several vCPUs, as any guest may have.
share 'two vCPUs' 'lend=2 turns=lender takeback=' 'borrow=1 turns=borrower giveback= sleep=300' 'vcpus = 2\n'
expect 'two vCPUs: status' 0 $rc
says 'two vCPUs: the pages are the lender'\''s alone' '^lender: share: both pages came back'
expect 'nothing of ours is left' 0 "$(processes_of "machine $m")"
}

for engine in $ENGINES; do
	echo "# engine $engine"
	all_ends
done
finish
