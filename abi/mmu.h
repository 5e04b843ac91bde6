/* SPDX-License-Identifier: MIT */
/*
 * Page-table operations: mmu_update, mmuext_op, update_va_mapping.
 *
 * Invariant of direct paging: a guest's page tables hold machine frame numbers, are mapped
 * read-only by the guest itself, and change only through these calls (or through a write that the
 * hypervisor catches and treats as such a call). A frame that is used as a page table or descriptor
 * table has no writable mapping, and the other way round.
 *
 * mmu_update(list, count, done, foreigndom) and mmuext_op(list, count, done, foreigndom) work their
 * lists in order and stop at the first failure; *done, when it is given, is the number that
 * succeeded. The top bit of count is the hypervisor's own and 0 in a guest's call.
 * foreigndom[15:0] owns the frames that are mapped or pinned, DOMID_SELF as a rule;
 * foreigndom[31:16] owns the tables: 0 for the caller, else the domain id plus one.
 */
#ifndef ABI_MMU_H
#define ABI_MMU_H

#include "abi/base.h"
#include "abi/handle.h"
#include "abi/xen.h"

/* mmu_update.ptr[2:0] */
#define MMU_NORMAL_PT_UPDATE       0 /* write val to the entry at ptr, after validation */
#define MMU_MACHPHYS_UPDATE        1 /* machine-to-physical entry of the frame of ptr becomes val */
#define MMU_PT_UPDATE_PRESERVE_AD  2 /* as NORMAL, accessed and dirty of the old entry are kept */
#define MMU_PT_UPDATE_NO_TRANSLATE 3 /* as NORMAL, for translated guests */

/* mmuext_op.cmd, with the members of the structure that it uses */
#define MMUEXT_PIN_L1_TABLE       0 /* arg1.mfn */
#define MMUEXT_PIN_L2_TABLE       1 /* arg1.mfn */
#define MMUEXT_PIN_L3_TABLE       2 /* arg1.mfn */
#define MMUEXT_PIN_L4_TABLE       3 /* arg1.mfn */
#define MMUEXT_UNPIN_TABLE        4 /* arg1.mfn */
#define MMUEXT_NEW_BASEPTR        5 /* arg1.mfn: the kernel's root, loaded at once */
#define MMUEXT_TLB_FLUSH_LOCAL    6
#define MMUEXT_INVLPG_LOCAL       7 /* arg1.linear_addr */
#define MMUEXT_TLB_FLUSH_MULTI    8 /* arg2.vcpumask */
#define MMUEXT_INVLPG_MULTI       9 /* arg1.linear_addr, arg2.vcpumask */
#define MMUEXT_TLB_FLUSH_ALL      10
#define MMUEXT_INVLPG_ALL         11 /* arg1.linear_addr */
#define MMUEXT_FLUSH_CACHE        12 /* only for owners of devices */
#define MMUEXT_SET_LDT            13 /* arg1.linear_addr, page aligned; arg2.nr_ents */
#define MMUEXT_NEW_USER_BASEPTR   15 /* arg1.mfn: the user's root for the next iret; 0 for none */
#define MMUEXT_CLEAR_PAGE         16 /* arg1.mfn */
#define MMUEXT_COPY_PAGE          17 /* arg1.mfn from arg2.src_mfn */
#define MMUEXT_FLUSH_CACHE_GLOBAL 18 /* only for owners of devices */
#define MMUEXT_MARK_SUPER         19 /* super pages: not supported */
#define MMUEXT_UNMARK_SUPER       20 /* super pages: not supported */

/*
 * update_va_mapping(va, entry, flags): what to flush, and for whom. With UVMF_MULTI the address of
 * a vCPU bit map is or-ed in; without one it means UVMF_LOCAL.
 */
#define UVMF_NONE           (xen_mk_ulong(0) << 0)
#define UVMF_TLB_FLUSH      (xen_mk_ulong(1) << 0)
#define UVMF_INVLPG         (xen_mk_ulong(2) << 0)
#define UVMF_FLUSHTYPE_MASK (xen_mk_ulong(3) << 0)
#define UVMF_MULTI          (xen_mk_ulong(0) << 2)
#define UVMF_LOCAL          (xen_mk_ulong(0) << 2)
#define UVMF_ALL            (xen_mk_ulong(1) << 2)

#ifndef __ASSEMBLY__

struct mmu_update {
	uint64_t ptr; /* in: machine address of an entry, or of a frame; command in bits 2:0 */
	uint64_t val; /* in: the new entry with a machine frame number in it, or a pfn */
};
typedef struct mmu_update mmu_update_t;
DEFINE_XEN_GUEST_HANDLE(mmu_update_t);

struct mmuext_op {
	unsigned int cmd; /* in: MMUEXT_* */
	union {
		xen_pfn_t mfn;
		unsigned long linear_addr;
	} arg1; /* in */
	union {
		unsigned int nr_ents;
		XEN_GUEST_HANDLE(const_void) vcpumask; /* bit per vCPU, in whole longs */
		xen_pfn_t src_mfn;
	} arg2; /* in */
};
typedef struct mmuext_op mmuext_op_t;
DEFINE_XEN_GUEST_HANDLE(mmuext_op_t);

PV_ABI_SIZE(struct mmu_update, 16);
PV_ABI_FIELD(struct mmu_update, val, 8);
PV_ABI_SIZE(struct mmuext_op, 24);
PV_ABI_FIELD(struct mmuext_op, arg1, 8);
PV_ABI_FIELD(struct mmuext_op, arg2, 16);

#endif /* __ASSEMBLY__ */

#endif /* ABI_MMU_H */
