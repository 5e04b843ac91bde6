#!/bin/busybox sh
# SPDX-License-Identifier: MIT
# in_l1.sh PARAVANE KERNEL RAMDISK NETBENCH: stock Linux in the emulated machine of tests/tools/kvm-amd, where there is busybox
# and little else: two vCPUs, a disk, a neighbour on a LAN, a vCPU that comes and goes. Says what the host sees of the disk and
# of the verbs, "host: ..."; the guest says the rest.
paravane=$1 kernel=$2 ramdisk=$3 netbench=$4
dir=/tmp/linux
mkdir -p $dir
cd $dir || exit 1
head -c 16777216 /dev/urandom >disk
echo "host: disk $(head -c 4194304 disk | md5sum)"
cat >linux.cfg <<X
name = "linux"
kernel = "$kernel"
ramdisk = "$ramdisk"
memory = 300
vcpus = 2
maxvcpus = 3
cmdline = "earlyprintk=xen console=hvc0 do=disk,work,ping,hotplug"
disk = [ '$dir/disk' ]
vif = [ 'lan:x' ]
X
cat >server.cfg <<X
name = "server"
kernel = "$netbench"
memory = 64
cmdline = "serve ip=10.0.0.1/24"
vif = [ 'lan:x' ]
X
$paravane run --engine kvm --machine l1 --timeout 800 linux.cfg server.cfg >out 2>err </dev/null &
pid=$!
wait_for() {	# COUNT PATTERN
	while [ "$(grep -acE "$2" out)" -lt "$1" ]; do
		kill -0 $pid 2>/dev/null || return 1
		sleep 0.2
	done
}
wait_for 1 'guest: ready' && $paravane vcpu-set --machine l1 linux 3 && echo "host: vcpu-set 3 done"
wait_for 2 'guest: ready' && $paravane vcpu-set --machine l1 linux 2 && echo "host: vcpu-set 2 done"
wait_for 1 'guest: bye'
sleep 1
$paravane destroy --machine l1 server
wait $pid
echo "host: status $?"
grep -a 'guest:' out
cat err
[ "$(tail -c +4194305 disk | head -c "$(stat -c %s /.l1/busybox)" | md5sum)" = "$(md5sum </.l1/busybox)" ] && echo "host: disk has what was written"
exit 0
