#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Does check.sh notice? Each row below spoils a copy of the headers, most of them by one byte, and check.sh must fail
# on it and name what is wrong. An unspoilt copy must pass, so that a failure means what it says.
#
#   mutate.sh ROOT OUT
#
# What breakage looks like: a row of which check.sh says nothing. The last line is "mutations: N passed, ...".
set -u
LC_ALL=C
export LC_ALL

here=$(dirname "$0")
root=$1
out=$2
XEN_INCLUDE=${XEN_INCLUDE:-/usr/include}
passed=0
failed=0
skipped=0

rm -rf "$out"
mkdir -p "$out" || exit 2
out=$(cd "$out" && pwd)

fresh() {
	rm -rf "$out/copy"
	mkdir -p "$out/copy"
	mkdir -p "$out/copy/docs"
	cp -r "$root/abi" "$out/copy/abi"
	cp "$root/docs/abi.md" "$out/copy/docs"
}

# spoil BYTES|any PARTS FILE SED WORD: the change made by SED to FILE (BYTES bytes of it, same length) must make
# check.sh fail in one of PARTS, with WORD in what it prints
spoil() {
	bytes=$1 parts=$2 file=$3 edit=$4 word=$5
	case $parts in
	alone | docs) ;;
	*) [ "$have_xen" = 1 ] || { skipped=$((skipped + 1)) && return; } ;;
	esac
	fresh
	sed "$edit" "$root/$file" >"$out/copy/$file"
	differ=$(cmp -l "$root/$file" "$out/copy/$file" 2>"$out/cmp.err" | wc -l)
	if [ "$differ" = 0 ] || { [ "$bytes" != any ] && { [ "$differ" != "$bytes" ] || [ -s "$out/cmp.err" ]; }; }; then
		failed=$((failed + 1))
		echo "FAIL '$edit' does not change $bytes byte(s) of $file but $differ: mend the test"
	elif ALONE=$file "$here/check.sh" "$out/copy" "$out/run" $parts >"$out/said" 2>&1; then
		failed=$((failed + 1))
		echo "FAIL '$edit' in $file was not noticed"
	elif ! grep 'FAIL' "$out/said" | grep -q -e "$word"; then
		failed=$((failed + 1))
		echo "FAIL '$edit' in $file failed, but not for $word: $(grep -m 1 FAIL "$out/said")"
	else
		passed=$((passed + 1))
	fi
}

have_xen=0
if [ -e "$XEN_INCLUDE/xen/xen.h" ]; then
	have_xen=1
else
	echo "SKIP mutations that only a comparison with Xen's headers can notice: they are not installed (libxen-dev)"
fi

fresh
if "$here/check.sh" "$out/copy" "$out/clean" layout values reverse docs >"$out/said" 2>&1; then
	passed=$((passed + 1))
else
	failed=$((failed + 1))
	echo "FAIL an unspoilt copy does not pass: $(grep -m 1 FAIL "$out/said")"
fi

XEN_FACTS=$out/clean
export XEN_FACTS

# numbers, of each kind
spoil 1 values abi/xen.h '/define __HYPERVISOR_grant_table_op /s/20/21/' __HYPERVISOR_grant_table_op
spoil 1 values abi/errno.h '/XEN_EINVAL /s/22/23/' XEN_EINVAL
spoil 1 values abi/arch_x86_64.h '/define FLAT_RING3_CS64/s/e033/e133/' FLAT_RING3_CS64
spoil 1 values abi/grant_table.h '/GNTST_bad_page /s/-9/-8/' GNTST_bad_page
spoil 1 values abi/io/xs_wire.h '/XS_WRITE_NONE/s/NONE"/NINE"/' XS_WRITE_NONE
spoil 1 values abi/xen.h '/define xen_wc_sec_hi/s/hi$/hj/' xen_wc_sec_hi
# layouts that no pin sees: inside a union, a type of the same size, an enumerator
spoil 1 layout abi/io/netif.h 's/value\[4\]/value[3]/' value
spoil 1 layout abi/event_channel.h 's/uint32_t virq;$/uint32_t virr;/' virr
spoil 1 layout abi/io/xs_wire.h 's/XS_SET_TARGET + 2/XS_SET_TARGET + 3/' XS_RESET_WATCHES
# a layout that a pin sees, with nothing to compare it to
spoil 1 alone abi/xen.h 's/uint8_t pad1\[2\]/uint8_t pad1[9]/' vcpu_time_info
# what macros do
spoil 1 values abi/io/ring.h '/define RING_FULL/s/== 0/== 1/' RING_FULL
spoil 1 values abi/arch_x86_64.h '/define xen_cr3_to_pfn/s/>> 12/>> 13/' xen_cr3_to_pfn
# added without a twin, without a pin, or not for the assembler
spoil any values abi/sched.h '/define SCHEDOP_yield/i #define SCHEDOP_ponder 99' SCHEDOP_ponder
spoil any layout abi/sched.h '/^struct sched_shutdown/i struct sched_ponder { uint32_t deep; };' sched_ponder
spoil any layout abi/sched.h '/^PV_ABI_SIZE(struct sched_poll/d' sched_poll
spoil any values abi/errno.h '/XEN_EPERM /s/1$/((int)1)/' assembler
# taken away, and listed for nothing
spoil any reverse abi/vcpu.h '/define VCPUOP_is_up/d' VCPUOP_is_up
spoil any reverse abi/README.md '/^| `EVTCHN_FIFO_/d' EVTCHN_FIFO_
spoil any reverse abi/README.md 's/^| `EVTCHN_FIFO_/| `EVTCHN_FIFA_*`, &/;s/, | / /' EVTCHN_FIFA_
# said wrongly in the document
spoil 1 docs docs/abi.md '/`GNTST_bad_handle`/s/-4/-5/' GNTST_bad_handle
spoil 1 docs docs/abi.md '/^| 2052 | 4 | `req_prod`/s/2052/2053/' req_prod
spoil any docs docs/abi.md '/^| 1152 | 8 | `first_p2m_pfn`/d' first_p2m_pfn
# over the border
spoil any alone abi/errno.h '/define ABI_ERRNO_H/a #include <stdint.h>\n#include <errno.h>' errno.h

echo "mutations: $passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
