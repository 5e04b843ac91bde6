#!/bin/bash
# SPDX-License-Identifier: MIT
# The demo's network part: a page that a guest serves, fetched through a port of the loopback, without privilege. By
# passt, inside a user and network namespace with a way out of its own, so that the machine needs no network; where
# that cannot be, by a stream socket and a small peer (tests/netpeer). Ends with 0 if the page came.
# Usage: demo_net.sh [passt|peer]
set -u
O=${O:-build}
PATH=$PATH:/usr/sbin:/sbin
. "$(dirname "$0")/way_out.sh"
say() { printf '\n== %s\n' "$*"; }

# ---- in the namespace, or outside of one: start the guest, fetch, end ----

# guest HOW-IT-GETS-ITS-ADDRESS VIF: serves one page and powers off; its output in $work/guest
guest() {
	printf '%s\n' 'echo "<p>Written and served by a guest.</p>" > /page' "net $1" 'httpd -n 1 80 /page' exit >"$work/session"
	say "paravane run --vif $2 $O/guests/unix, and at its shell: net $1; httpd -n 1 80 /page"
	timeout -k 5 40 "$O/paravane" run --timeout 30 --vif "$2" "$O/guests/unix" <"$work/session" >"$work/guest" 2>&1 &
	guest=$!; children+=($guest)
}

# soon FILE PATTERN: the line comes within 20 seconds, as long as the guest is there
soon() {
	local i
	for ((i = 0; i < 200; i++)); do
		grep -aq "$2" "$1" 2>/dev/null && return 0
		kill -0 "${guest:-$$}" 2>/dev/null || return 1
		sleep 0.1
	done
	return 1
}

fetch() {	# PORT
	if ! soon "$work/guest" 'httpd: port 80'; then
		say "the guest did not get that far:"; tail -n 5 "$work/guest"
		return 1
	fi
	say "GET http://127.0.0.1:$1/"
	{ exec 3<>"/dev/tcp/127.0.0.1/$1"; } 2>/dev/null || return 1
	printf 'GET / HTTP/1.0\r\n\r\n' >&3
	timeout 20 cat <&3 | tee "$work/page"
	exec 3>&-
	wait "$guest" || return 1
	grep -q '^<p>Written and served by a guest' "$work/page"
}

by_passt() {
	way_out || exit 9
	guest dhcp passt,forward=8080:80
	fetch 8080 && return
	# Where passt itself cannot work the peer can.
	grep -aq '^paravane: .*passt' "$work/guest" && exit 9
	return 1
}

by_peer() {
	"$O/tests/netpeer" "$work/net.sock" 10.0.0.1 forward 10.0.0.2 80 >"$work/peer" &
	children+=($!)
	soon "$work/peer" '^port ' || return 1
	guest 10.0.0.2/24 "unix:$work/net.sock"
	fetch "$(sed -n 's/^port //p' "$work/peer")"
}

# ---- which of them ----

can_passt() {
	command -v passt >/dev/null && command -v ip >/dev/null && unshare -Urn true 2>/dev/null
}

children=()
work=$(mktemp -d "${TMPDIR:-/tmp}/paravane-demo.XXXXXX") || exit 1
trap 'for c in ${children[@]+"${children[@]}"}; do kill "$c" 2>/dev/null; done; wait; rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
case ${1-} in
in-namespace) by_passt; exit;;
peer) by_peer; exit;;
esac
rc=9
if can_passt; then
	unshare -Urn "$BASH" "$0" in-namespace
	rc=$?
fi
[ "${1-}" = passt ] && exit $rc
if [ $rc = 9 ]; then
	say "passt is not installed, or there is no namespace for it here: a peer of ours instead"
	by_peer
	rc=$?
fi
exit $rc
