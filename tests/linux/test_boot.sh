#!/bin/bash
# SPDX-License-Identifier: MIT
# Debian's kernel package, unmodified, as a PV guest on the kvm engine: to user space with one and with two vCPUs,
# work on both, a disk by its own xen-blkfront with checksums compared here, a vCPU plugged in and out, an idle guest that costs next to nothing, power-off.
. "$(dirname "$0")/lib.sh"
reason=$(linux_missing)
if [ -n "$reason" ]; then skip "stock Linux" "$reason"; finish; fi

ramdisk=$work/ramdisk.gz
disk=$work/disk.img
ms() { echo $(($(date +%s%N) / 1000000)); }

for kernel in $(linux_kernels); do
	name=$(basename "$kernel")
	make_ramdisk "$ramdisk" "$kernel"
	for vcpus in 1 2; do
		start=$(ms)
		head -c 16M /dev/urandom >"$disk"
		boot "$kernel" "$vcpus" do=disk,work --disk "$disk"
		expect "$name, $vcpus vCPUs: powers off" 0 $?
		contains "$name, $vcpus vCPUs: user space" "$work/out" "^guest: user space .* cpus $vcpus hypervisor xen"
		contains "$name, $vcpus vCPUs: no warning" "$work/out" '^guest: warnings 0'
		contains "$name, $vcpus vCPUs: sums" "$work/out" "^guest: sums 1 $(seq 1 500 | md5sum | cut -d' ' -f1)"
		contains "$name, $vcpus vCPUs: disk reads" "$work/out" \
			"^guest: disk reads $(head -c 4M "$disk" | md5sum | cut -d' ' -f1)"
		if tail -c +$((4 * 1024 * 1024 + 1)) "$disk" | head -c "$(stat -c %s /bin/busybox)" | cmp -s - /bin/busybox; then
			pass "$name, $vcpus vCPUs: disk writes"
		else
			fail "$name, $vcpus vCPUs: disk writes" "what the guest wrote is not in the file"
		fi
		echo "# $name, $vcpus vCPUs: $(($(ms) - start)) ms in all"
	done

	# Its own xen-netfront, and a small guest of ours on the same LAN.
	if [ -f "$work/root/lib/xen-netfront.ko" ]; then
		cat >"$work/linux.cfg" <<-X
		name = "linux"
		kernel = "$kernel"
		ramdisk = "$ramdisk"
		memory = 512
		vcpus = 2
		cmdline = "earlyprintk=xen console=hvc0 do=net"
		vif = [ 'lan:x,queues=2' ]
		X
		cat >"$work/server.cfg" <<-X
		name = "server"
		kernel = "$GUESTS/netbench"
		memory = 64
		cmdline = "serve ip=10.0.0.1/24"
		vif = [ 'lan:x' ]
		X
		limited 130 "$PARAVANE" run --engine kvm --machine "linux-net-$$" --timeout 120 "$work/linux.cfg" "$work/server.cfg" \
			</dev/null >"$work/out" 2>"$work/err" &
		p=$!; children+=($p)
		wait_for 1 'guest: bye'
		limited 20 "$PARAVANE" destroy --machine "linux-net-$$" server >"$work/set" 2>&1
		wait $p
		contains "$name: ping" "$work/out" 'guest: ping 3 packets received'
		contains "$name: a page by HTTP" "$work/out" 'guest: page 1'
		contains "$name: a stream comes whole" "$work/out" 'guest: received 20000000'
		contains "$name: a stream goes" "$work/out" 'guest: sent'
		contains "$name: no bad packets" "$work/out" 'guest: bad packets 0 0'
	else
		skip "$name: network" "its modules are not here"
	fi

	# Two vCPUs are possible, one is there; the other comes and goes.
	boot "$kernel" 1 do=hotplug --maxvcpus 2 --name hotplug --machine "linux-$$" &
	p=$!; children+=($p)
	if wait_for 1 '^guest: ready'; then
		limited 20 "$PARAVANE" vcpu-set --machine "linux-$$" hotplug 2 >"$work/set" 2>&1
		expect "$name: vcpu-set 2" 0 $?
		wait_for 1 '^guest: cpus now 2'
		limited 20 "$PARAVANE" vcpu-set --machine "linux-$$" hotplug 1 >>"$work/set" 2>&1
		expect "$name: vcpu-set 1" 0 $?
		wait $p; expect "$name: powers off after hot-plug" 0 $?
		contains "$name: a vCPU came" "$work/out" '^guest: cpus now 2'
		contains "$name: and went" "$work/out" '^guest: cpus now 1'
	else
		fail "$name: hot-plug" "the guest did not come up: $(tail -n 3 "$work/out")"
		kill $p 2>/dev/null; wait $p 2>/dev/null
	fi

	# Ticks of 10 ms over five seconds at rest: 3 % of a core are 15.
	boot "$kernel" 1 do=idle &
	p=$!; children+=($p)
	if wait_for 1 '^guest: idle'; then
		hv=$(pgrep -P "$(pgrep -P $p -f timeout | head -n 1)" -x paravane | head -n 1)
		sleep 1
		t0=$(sed 's/.*) //' "/proc/$hv/stat" | awk '{ print $12 + $13 }')
		sleep 5
		t1=$(sed 's/.*) //' "/proc/$hv/stat" | awk '{ print $12 + $13 }')
		if [ $((t1 - t0)) -le 15 ]; then pass "$name: idle takes $((t1 - t0)) ticks in 5 s"; else
			fail "$name: idle" "$((t1 - t0)) ticks of 10 ms in 5 s"; fi
		wait $p; expect "$name: powers off after a rest" 0 $?
	else
		fail "$name: idle" "the guest did not come up: $(tail -n 3 "$work/out")"
		kill $p 2>/dev/null; wait $p 2>/dev/null
	fi
done
finish
