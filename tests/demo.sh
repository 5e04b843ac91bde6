#!/bin/bash
# SPDX-License-Identifier: MIT
# The demo: boots a guest of ours on the hypervisor and shows what it says. Ends with the guest's status.
set -u
O=${O:-build}
say() { printf '\n== %s\n' "$*"; }
say "paravane run $O/guests/hello"
"$O/paravane" run "$O/guests/hello" --timeout 10 </dev/null
rc=$?
say "the guest ended with status $rc (0: it powered itself off)"
exit $rc
