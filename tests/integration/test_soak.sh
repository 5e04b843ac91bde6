#!/bin/bash
# SPDX-License-Identifier: MIT
# A few seconds of `make soak`: full load on a network interface while the peer is killed and restarted; what is in use
# before and after, in the guest and on the host, is the same.
. "$(dirname "$0")/../lib.sh"
limited 90 tests/tools/soak.sh "${SOAK_MINUTES:-0.05}" >"$work/out" 2>&1
expect "soak: nothing is left behind, in the guest and on the host" 0 $?
contains "soak: the guest's own look" "$work/out" '^netsoak: nothing is left behind'
contains "soak: the peer was killed meanwhile" "$work/out" '^soak: the peer was killed [1-9]'
contains "soak: streams had to connect again" "$work/out" '^netsoak: .* by streams in, ([2-9]|[1-9][0-9]+) connections'
finish
