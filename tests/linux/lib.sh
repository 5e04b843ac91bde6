# SPDX-License-Identifier: MIT
# Sourced by the tests of stock Linux: the kernels that are installed, a ramdisk with busybox and our init, and
# reasons to skip.
linux_here=$(dirname "${BASH_SOURCE[0]}")
. "$linux_here/../lib.sh"

# The newest one that is installed; with FULL=1 also every other, and those that `make setup FULL=1` unpacked under
# $O/kernels. LINUX_KERNELS names others.
linux_kernels() {
	local k folders=/boot
	if [ -n "${LINUX_KERNELS-}" ]; then echo "$LINUX_KERNELS"; return; fi
	[ -z "${FULL-}" ] || folders="$O/kernels/boot /boot"
	for k in $(for f in $folders; do ls -v "$f"/vmlinuz-*-amd64 2>/dev/null; done); do
		grep -q '^CONFIG_XEN_PV=y' "${k%/*}/config-${k##*/vmlinuz-}" 2>/dev/null && echo "$k"
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

make_ramdisk() {	# FILE KERNEL [PROGRAM...]: with that kernel's own front-ends, when they are modules that are here
	local root=$work/root modules=${2%/boot/*}/lib/modules/${2##*/vmlinuz-} file=$1 m
	shift 2
	rm -rf "$root"
	mkdir -p "$root"/lib
	for m in "$modules"/kernel/drivers/{block/xen-blkfront,net/xen-netfront}.ko; do
		if [ -f "$m" ]; then cp "$m" "$root/lib/"; elif [ -f "$m.xz" ]; then xz -dc "$m.xz" >"$root/lib/${m##*/}"; fi
	done
	mkdir -p "$root"/bin "$root"/sbin "$root"/proc "$root"/sys "$root"/dev
	cp /bin/busybox "$@" "$root/bin/"
	cp "$linux_here/init" "$root/init"
	(cd "$root" && find . | cpio -o -H newc 2>/dev/null | gzip -1) >"$file"
}

# The rest is for one machine at a time: $ramdisk is its ramdisk, $keys its input, if set; its output goes to $work/out and $work/err.
boot() {	# KERNEL VCPUS CMDLINE OPTIONS...: its status; of a repeated option the last one counts
	local kernel=$1 vcpus=$2 cmdline=$3; shift 3
	limited 130 "$PARAVANE" run --engine kvm --timeout 120 --memory 512M --vcpus "$vcpus" --ramdisk "$ramdisk" \
		--cmdline "earlyprintk=xen console=hvc0 $cmdline" "$@" "$kernel" <"${keys-/dev/null}" >"$work/out" 2>"$work/err"
}

wait_for() {	# COUNT PATTERN: so many lines of it; $p is the process
	local i
	for ((i = 0; i < 900; i++)); do
		[ "$(grep -acE "$2" "$work/out")" -ge "$1" ] && return 0
		kill -0 "$p" 2>/dev/null || return 1
		sleep 0.1
	done
	return 1
}
