#!/bin/bash
# SPDX-License-Identifier: MIT
# Installs the Debian packages named as arguments that are not installed: as root, or with sudo where that
# needs no password; else prints the line to run. Only this program installs anything.
set -u
missing=()
if ! command -v dpkg-query >/dev/null; then
	echo "setup: this is not a Debian system; install what these packages hold: $*" >&2
	exit 0
fi
for p; do
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || missing+=("$p")
done
if [ ${#missing[@]} = 0 ]; then
	echo "setup: every package is installed"
	exit 0
fi
if [ "$(id -u)" = 0 ]; then
	as=()
elif sudo -n true 2>/dev/null; then
	as=(sudo -n)
else
	echo "setup: as root, run: apt-get install -y --no-install-recommends ${missing[*]}"
	echo "setup: without them their tests are skipped, with a reason each"
	exit 0
fi
export DEBIAN_FRONTEND=noninteractive
get=(${as[@]+"${as[@]}"} env DEBIAN_FRONTEND=noninteractive apt-get -q -o Dpkg::Use-Pty=0)
log=$(mktemp)
trap 'rm -f "$log"' EXIT
echo "setup: installing ${missing[*]}"
"${get[@]}" update >"$log" 2>&1 || { tail -n 5 "$log" >&2; echo "setup: the package lists could not be fetched" >&2; }
if ! "${get[@]}" install -y --no-install-recommends "${missing[@]}" >"$log" 2>&1; then
	# One unknown name must not keep the others away.
	for p in "${missing[@]}"; do
		"${get[@]}" install -y --no-install-recommends "$p" >"$log" 2>&1 || {
			tail -n 2 "$log" >&2
			echo "setup: $p could not be installed; its tests are skipped" >&2
		}
	done
fi
exit 0
