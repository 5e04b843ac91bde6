#!/bin/sh
# SPDX-License-Identifier: MIT
# mkcpio.sh PREFIX FILE... : an archive in cpio's newc format on stdout, each file as PREFIX/its-base-name.
# The same files give the same bytes.
export LC_ALL=C
ino=0

pad() { head -c $(((4 - $1 % 4) % 4)) /dev/zero; }

# entry NAME MODE FILE
entry() {
	size=$(($(wc -c <"$3")))
	ino=$((ino + 1))
	printf '070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%s\0' \
		$ino $2 0 0 1 0 $size 0 0 0 0 $((${#1} + 1)) 0 "$1"
	pad $((110 + ${#1} + 1))
	cat "$3"
	pad $size
}

prefix=$1
shift
for f in "$@"; do
	entry "$prefix/${f##*/}" $((0100755)) "$f"
done
entry 'TRAILER!!!' 0 /dev/null
