#!/bin/bash
# SPDX-License-Identifier: MIT
# on-tap.sh SECONDS COMMAND...: runs a command in a user and network namespace of its own with a TAP device t0, whose
# other end is the host as 10.0.0.1/24 with netcheck beside it (tests/tools/real-xen/netcheck.c) for so long at most.
# What netcheck says follows the command's output. The status is the command's; 9: there can be no such namespace here.
O=${O:-build}
if [ "$1" != inside ]; then
	[ -w /dev/net/tun ] && command -v ip >/dev/null && unshare -Urn true 2>/dev/null || exit 9
	exec unshare -Urn "$BASH" "$0" inside "$@"
fi
ip link set lo up && ip tuntap add dev t0 mode tap && ip addr add 10.0.0.1/24 dev t0 && ip link set t0 up || exit 9
said=$(mktemp) || exit 9
"$O/tests/netcheck" 10.0.0.2 "$2" >"$said" 2>&1 &
checker=$!
"${@:3}"
rc=$?
wait $checker
cat "$said"
rm -f "$said"
exit $rc
