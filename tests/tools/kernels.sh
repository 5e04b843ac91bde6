#!/bin/bash
# SPDX-License-Identifier: MIT
# kernels.sh FOLDER PACKAGE...: fetches Debian kernel packages and unpacks of each what a guest needs (the image, its
# configuration, Xen's front-ends) under FOLDER/boot and FOLDER/lib/modules. Nothing is installed, no root is needed. A name
# without a version (linux-image-6.12-amd64) means the package that it depends on. What is there already is kept.
set -u
export LC_ALL=C
folder=$1; shift
if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
	echo "setup: this is not a Debian system; put kernels of your own under $folder/boot" >&2
	exit 0
fi
mkdir -p "$folder" || exit 1
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
for name; do
	real=$(apt-cache depends "$name" 2>/dev/null | sed -n 's/^ *Depends: \(linux-image-[0-9].*\)$/\1/p' | head -n 1)
	real=${real:-$name}
	version=${real#linux-image-}
	[ ! -e "$folder/boot/vmlinuz-$version" ] || { echo "setup: kernel $version is there"; continue; }
	if ! (cd "$tmp" && apt-get -q download "$real") >"$tmp/log" 2>&1; then
		tail -n 1 "$tmp/log" >&2
		echo "setup: $name could not be fetched: it is in bookworm, bookworm-security or bookworm-backports; name them in" \
			"/etc/apt/sources.list.d and run apt-get update" >&2
		continue
	fi
	dpkg-deb --fsys-tarfile "$tmp/$real"_*.deb | tar -x -C "$folder" --no-same-owner --wildcards './boot/vmlinuz-*' './boot/config-*' \
		'*/xen-blkfront.ko*' '*/xen-netfront.ko*' && echo "setup: kernel $version unpacked under $folder"
	rm -f "$tmp"/*.deb
done
exit 0
