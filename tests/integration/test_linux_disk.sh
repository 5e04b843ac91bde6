#!/bin/bash
# SPDX-License-Identifier: MIT
# Behaviour: the block back-end serves stock Linux's own front-end, unchanged: contents, flushes, discards, read-only
# disks, a file system that the host made and judges afterwards, a new size, restarts, plugging and unplugging while it runs.
# Breakage looks like sums that differ, errors of e2fsck, or a guest that waits for ever.
# Needs /dev/kvm and Debian's kernel package; else skipped, with the reason.
. "$(dirname "$0")/../lib.sh"

kernel=$(ls /boot/vmlinuz-*-amd64 2>/dev/null | sort -V | tail -n 1)
version=${kernel#/boot/vmlinuz-}
modules=/lib/modules/$version/kernel
missing() { skip linux-disk "$1"; finish; }

[ -r /dev/kvm ] && [ -w /dev/kvm ] || missing 'no /dev/kvm that could be used'
[ -n "$kernel" ] || missing 'no kernel package (linux-image-amd64)'
[ -f "$modules/drivers/block/xen-blkfront.ko" ] || missing "xen-blkfront.ko of $version is not installed uncompressed"
for tool in xz cpio mke2fs e2fsck debugfs /bin/busybox; do
	command -v "$tool" >/dev/null || missing "no $tool"
done

# ---- a ramdisk: busybox, modules, one script ---------------------------------------------------------

root=$work/root
mkdir -p "$root"/{bin,proc,sys,dev,mnt}
cp /bin/busybox "$root/bin/"
for m in drivers/block/xen-blkfront lib/crc16 crypto/crc32c_generic lib/libcrc32c fs/mbcache fs/jbd2/jbd2 fs/ext4/ext4; do
	[ -f "$modules/$m.ko" ] && cp "$modules/$m.ko" "$root/"
done
cat >"$root/init" <<'END'
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
for m in crc16 crc32c_generic libcrc32c mbcache jbd2 ext4 xen-blkfront; do [ -f /$m.ko ] && insmod /$m.ko; done
until_there() { n=0; while [ ! -e "$1" ] && [ $n -lt 600 ]; do usleep 50000; n=$((n + 1)); done; }
until_gone() { n=0; while [ -e "$1" ] && [ $n -lt 600 ]; do usleep 50000; n=$((n + 1)); done; }
sum() { md5sum "$1" | cut -d' ' -f1; }
until_there /dev/xvdd
for f in size ro queue/logical_block_size queue/write_cache; do echo "xvda $f: $(cat /sys/block/xvda/$f)"; done
echo "xvdd ro: $(cat /sys/block/xvdd/ro)"
echo "features: $(dmesg | sed -n 's/.*blkfront: xvda: //p')"
echo "read: $(sum /dev/xvda)"
dd if=/dev/xvda of=/dev/xvdb bs=1M conv=fsync 2>/dev/null
echo "copied: $(sum /dev/xvdb)"
blkdiscard -o 1048576 -l 1048576 /dev/xvdb && echo "discarded: $(dd if=/dev/xvdb bs=1M skip=1 count=1 2>/dev/null | md5sum | cut -d' ' -f1)"
dd if=/dev/zero of=/dev/xvdd bs=4k count=1 2>/dev/null || echo "write to read-only: refused"
if mount -t ext4 /dev/xvdc /mnt; then
	echo "file: $(cat /mnt/hello)"
	echo "from Linux" >/mnt/answer
	dd if=/dev/xvda of=/mnt/big bs=64k 2>/dev/null
	sync
	umount /mnt
fi
echo "ready for changes"
n=0; while [ "$(cat /sys/block/xvdd/size)" = 8192 ] && [ $n -lt 600 ]; do usleep 50000; n=$((n + 1)); done
echo "new size: $(cat /sys/block/xvdd/size)"
echo 3 >/proc/sys/vm/drop_caches
echo "again: $(sum /dev/xvda)"
until_there /dev/xvde
echo "plugged: $(sum /dev/xvde)"
until_gone /sys/block/xvde
[ -e /sys/block/xvde ] || echo "unplugged"
poweroff -f
END
chmod +x "$root/init"
(cd "$root" && find . | cpio -o -H newc 2>/dev/null | gzip -1) >"$work/ramdisk.gz"

# ---- its disks ---------------------------------------------------------------------------------------

mkdir "$work/tree"
echo 'from the host' >"$work/tree/hello"
head -c 8M /dev/urandom >"$work/a"
truncate -s 8M "$work/b"
mke2fs -q -t ext4 -d "$work/tree" "$work/c" 24M 2>/dev/null >&2
truncate -s 4M "$work/d"
head -c 1M /dev/urandom >"$work/e"
sum() { md5sum | cut -d' ' -f1; }

m=lindisk$$
"$PARAVANE" run "$kernel" --name "$m" --memory 256M --vcpus 2 --ramdisk "$work/ramdisk.gz" --timeout 200 \
	--disk "$work/a" --disk "$work/b" --disk "$work/c" --disk "$work/d,ro" --cmdline 'console=hvc0 loglevel=4' \
	</dev/null >"$work/out" 2>"$work/err" &
pid=$!
children+=("$pid")

until_says() {
	local i
	for ((i = 0; i < 3600; i++)); do
		grep -aq -- "$1" "$work/out" && return 0
		kill -0 "$pid" 2>/dev/null || return 1
		sleep 0.05
	done
	return 1
}
said() { sed -n "s/\r\$//; s/^$1: //p" "$work/out" | tail -n 1; }

until_says 'ready for changes' || { fail linux-disk "it did not come so far: $(tail -c 800 "$work/out" "$work/err")"; finish; }
expect linux-size 16384 "$(said 'xvda size')"
expect linux-sector 512 "$(said 'xvda queue.logical_block_size')"
expect linux-cache 'write back' "$(said 'xvda queue.write_cache')"
expect linux-read-only '0 1' "$(said 'xvda ro') $(said 'xvdd ro')"
contains linux-features "$work/out" 'flush diskcache: enabled; persistent grants: enabled; indirect descriptors: enabled'
expect linux-reads "$(sum <"$work/a")" "$(said read)"
expect linux-writes "$(sum <"$work/a")" "$(said copied)"
expect linux-discards "$(head -c 1M /dev/zero | sum)" "$(said discarded)"
expect linux-write-to-read-only refused "$(said 'write to read-only')"
expect linux-file 'from the host' "$(said file)"

# Linux does not notice that a back-end was started anew; it reads while that happens.
"$PARAVANE" block-restart "$m" xvda >"$work/v" 2>&1
expect linux-restart 0 $?
truncate -s 6M "$work/d"
"$PARAVANE" block-resize "$m" xvdd >"$work/v" 2>&1 || cat "$work/v"
until_says '^new size'
expect linux-new-size 12288 "$(said 'new size')"
for i in 1 2 3 4 5; do "$PARAVANE" block-restart "$m" xvda >"$work/v" 2>&1 || cat "$work/v"; done
until_says '^again'
expect linux-reads-through-restarts "$(sum <"$work/a")" "$(said again)"
"$PARAVANE" block-attach "$m" "$work/e" >"$work/v" 2>&1 || cat "$work/v"
until_says '^plugged'
expect linux-plugged "$(sum <"$work/e")" "$(said plugged)"
"$PARAVANE" block-detach "$m" xvde >"$work/v" 2>&1
expect linux-unplugs 0 $?
wait "$pid"
expect linux-status 0 $?
contains linux-unplugged "$work/out" '^unplugged'

# ---- what the host finds ------------------------------------------------------------------------------

cp "$work/a" "$work/wanted"
dd if=/dev/zero of="$work/wanted" bs=1M seek=1 count=1 conv=notrunc 2>/dev/null
expect host-finds-the-copy "$(sum <"$work/wanted")" "$(sum <"$work/b")"
e2fsck -fn "$work/c" >"$work/fsck" 2>&1
expect host-file-system-is-clean 0 $?
expect host-finds-the-answer 'from Linux' "$(debugfs -R 'cat /answer' "$work/c" 2>/dev/null)"
expect host-finds-the-large-file "$(sum <"$work/a")" "$(debugfs -R 'cat /big' "$work/c" 2>/dev/null | sum)"
finish
