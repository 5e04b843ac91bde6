# SPDX-License-Identifier: MIT
# Sourced by the tests of stock Linux: the kernels that are installed, a ramdisk with busybox and our init, and
# reasons to skip.
. "$(dirname "$0")/../lib.sh"

# One kernel, or every one that is installed (FULL=1). LINUX_KERNELS names others.
linux_kernels() {
	local k
	if [ -n "${LINUX_KERNELS-}" ]; then echo "$LINUX_KERNELS"; return; fi
	for k in $(ls -v /boot/vmlinuz-*-amd64 2>/dev/null); do
		grep -q '^CONFIG_XEN_PV=y' "/boot/config-${k#/boot/vmlinuz-}" 2>/dev/null && echo "$k"
	done | { if [ -n "${FULL-}" ]; then cat; else tail -n 1; fi; }
}

# Prints why Linux cannot be run here, if it can't.
linux_missing() {
	[ -n "$(linux_kernels)" ] || { echo "no kernel with CONFIG_XEN_PV under /boot (package linux-image-amd64)"; return; }
	[ -x /bin/busybox ] || { echo "no /bin/busybox (package busybox-static)"; return; }
	command -v cpio >/dev/null || { echo "no cpio"; return; }
	[ -r /dev/kvm ] && [ -w /dev/kvm ] || { echo "no /dev/kvm that this user may open"; return; }
	"$PARAVANE" run --engine kvm "$GUESTS/hello" </dev/null 2>&1 >/dev/null | sed -n 's/^paravane: //p' | head -n 1
}

make_ramdisk() {	# FILE KERNEL: with that kernel's own front-ends, when they are modules that are here
	local root=$work/root version=${2##*/vmlinuz-}
	rm -rf "$root"
	mkdir -p "$root"/lib
	cp "/lib/modules/$version/kernel/drivers/block/xen-blkfront.ko" "$root/lib/" 2>/dev/null
	cp "/lib/modules/$version/kernel/drivers/net/xen-netfront.ko" "$root/lib/" 2>/dev/null
	mkdir -p "$root"/bin "$root"/proc "$root"/sys "$root"/dev
	cp /bin/busybox "$root/bin/"
	cp "$(dirname "$0")/init" "$root/init"
	(cd "$root" && find . | cpio -o -H newc 2>/dev/null | gzip -1) >"$1"
}
