#!/bin/bash
# SPDX-License-Identifier: MIT
# The demo and the guest tests without capabilities, under what a default container forbids: inside rootless
# podman where that works here, else under tests/container/contain.
. "$(dirname "$0")/../lib.sh"
contain=$O/tests/contain

try_podman() {	# COMMAND...: in a container whose root is this machine's, read-only
	limited 400 podman run --rm --network none --read-only --cap-drop all --security-opt no-new-privileges \
		--workdir "$PWD" --env O --env KILLS --rootfs / "$@"
}
if command -v podman >/dev/null && [ "$(id -u)" != 0 ] && try_podman true >/dev/null 2>&1; then
	how="rootless podman"; inside() { try_podman "$@"; }
else
	how="contain (user namespace, no capability, the default profile's seccomp rules)"
	skip "rootless podman" "not installed, or it starts no container here for this user"
	inside() { limited 400 "$contain" "$@"; }
fi
echo "using $how"
inside "$PWD/tests/demo.sh" >"$work/demo" 2>&1; expect "the demo runs" 0 $?
for t in tests/integration/test_guest.sh tests/integration/test_share.sh tests/integration/test_kill.sh; do
	KILLS=20 inside "$PWD/$t" >"$work/log" 2>&1
	rc=$?
	[ $rc = 0 ] || grep -aE '^(FAIL|ended)' "$work/log" | head
	expect "$(basename "$t"): $(tail -n 1 "$work/log")" 0 $rc
done
finish
