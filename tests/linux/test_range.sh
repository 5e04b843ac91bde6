#!/bin/bash
# SPDX-License-Identifier: MIT
# Stock Linux beyond one of each: four vCPUs, disks and interfaces at once; console input; the balloon; shutdown from
# outside. With FULL=1 also eight vCPUs, NMIs, little and much memory, a big ramdisk, a panic, a reboot, sysrq and suspend.
. "$(dirname "$0")/lib.sh"
reason=$(linux_missing)
if [ -n "$reason" ]; then skip "stock Linux" "$reason"; finish; fi
ramdisk=$work/ramdisk.gz
machine=linux-range-$$

start() {	# KERNEL VCPUS CMDLINE OPTIONS...: in the background, until it waits; false: it did not come so far
	boot "$@" --name linux --machine "$machine" &
	p=$!; children+=($p)
	wait_for 1 '^guest: (waits|type)'
}
store() { limited 20 "$PARAVANE" xenstore write --machine "$machine" "/local/domain/1/$1" "$2" >>"$work/set" 2>&1; }

disks() {	# into options
	local d
	for d in a b c d; do
		printf 'this is disk %s..' "$d" >"$work/disk-$d"
		truncate -s 1M "$work/disk-$d"
		options+=(--disk "$work/disk-$d")
	done
}

balloon() {
	local had
	had=$(sed -n 's/^guest: memory \([0-9]*\).*/\1/p' "$work/out" | head -n 1)
	store memory/target 163840
	wait_for 1 '^guest: memory now 1[0-4][0-9]{4}'; expect "$name: the balloon takes memory" 0 $?
	store memory/target 262144
	wait_for 1 "^guest: memory now $had"; expect "$name: and gives all of it back" 0 $?
}

many() {	# KERNEL: all in one machine
	local options=() d keys=$work/keys
	disks
	mkfifo "$keys"
	exec 7<>"$keys"
	if start "$1" 4 do=range,shutdown --memory 256M "${options[@]}" --vif lan:x,mac=00:16:3e:00:00:10 --vif lan:y,mac=00:16:3e:00:00:11 \
		--vif lan:x,mac=00:16:3e:00:00:12 --vif lan:y,mac=00:16:3e:00:00:13; then
		echo "a line of input" >&7
		wait_for 1 '^guest: waits'
		balloon
		limited 20 "$PARAVANE" shutdown --machine "$machine" linux >>"$work/set" 2>&1
		wait $p; expect "$name: powers off when it is asked to" 0 $?
		contains "$name: 4 vCPUs" "$work/out" '^guest: user space .* cpus 4 '
		contains "$name: what is typed arrives" "$work/out" '^guest: typed a line of input'
		for d in a b c d; do contains "$name: disk xvd$d" "$work/out" "^guest: xvd$d this is disk $d"; done
		for d in 0 1 2 3; do contains "$name: interface eth$d" "$work/out" "^guest: eth$d 00:16:3e:00:00:1$d"; done
	else
		fail "$name: many devices" "the guest did not come up: $(tail -n 3 "$work/out" "$work/err")"
	fi
	exec 7>&-
	rm "$keys"
}

ends() {	# KERNEL
	boot "$1" 1 do=panic --memory 256M; expect "$name: a panic is a crash" 10 $?
	start "$1" 1 do=shutdown --memory 256M && store control/sysrq h && wait_for 1 'sysrq: HELP'
	expect "$name: sysrq from outside" 0 $?
	store control/shutdown reboot
	wait $p; expect "$name: asked to reboot" 11 $?
	start "$1" 1 do=shutdown --memory 256M && store control/shutdown suspend
	wait $p; expect "$name: asked to suspend" 13 $?
}

sizes() {	# KERNEL
	local m
	for m in 96M 4G; do
		boot "$1" 1 do=nothing --memory $m; expect "$name: $m of memory" 0 $?
	done
	boot "$1" 1 do=nothing --memory 48M; expect "$name: too little memory is said" 2 $?
	contains "$name: in a sentence" "$work/err" 'needs at least .* MiB of memory'
	boot "$1" 8 do=nmi; expect "$name: 8 vCPUs: powers off" 0 $?
	contains "$name: each answers an NMI" "$work/out" '^guest: backtraces 8'
	head -c 100M /dev/urandom >"$work/root/big"
	(cd "$work/root" && find . | cpio -o -H newc 2>/dev/null) >"$work/big-ramdisk"
	boot "$1" 1 do=nothing --ramdisk "$work/big-ramdisk"; expect "$name: a ramdisk of 100 MiB" 0 $?
	contains "$name: arrives whole" "$work/out" "^guest: big $(md5sum <"$work/root/big" | cut -d' ' -f1)"
	rm "$work/big-ramdisk" "$work/root/big"
}

for kernel in $(linux_kernels); do
	name=$(basename "$kernel")
	make_ramdisk "$ramdisk" "$kernel"
	many "$kernel"
	[ -z "${FULL-}" ] || { ends "$kernel"; sizes "$kernel"; }
done
finish
