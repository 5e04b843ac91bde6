/* SPDX-License-Identifier: MIT */
/*
 * Direct paging: the guest's page tables hold machine frame numbers and change only through here.
 *
 * Invariant: every entry of a validated table is present only if its frame may be used that way by
 * the domain, and holds the counts for it. Everything here needs the domain's lock.
 */
#ifndef HYPERVISOR_STUB_CORE_MMU_H
#define HYPERVISOR_STUB_CORE_MMU_H

#include "hypervisor-stub/core/hv.h"

/* Takes a count of a type (validating a table that has none) and a reference. 0 or -XEN_E*. */
int hv_type_get(struct hv_domain *d, mfn_t mfn, enum hv_frame_type type);
void hv_type_put(struct hv_domain *d, mfn_t mfn);
int hv_ref_get(struct hv_domain *d, mfn_t mfn);
void hv_ref_put(struct hv_domain *d, mfn_t mfn);

/* What one walk of the guest's tables found. */
struct hv_walk {
	unsigned level;    /* the level of the entry where the walk ended */
	uint64_t entry[5]; /* [level] as read, 4 down to `level` */
	mfn_t table[5];
	unsigned index[5]; /* of those entries in their tables */
	bool present;
	bool writable, user, executable;
	mfn_t mfn; /* of the page, when present */
	/* The page, when present: our view, and whose it is (NULL: another domain's, by a grant). */
	void *ptr;
	struct hv_frame *frame;
};
void hv_walk(struct hv_domain *d, mfn_t root, uint64_t va, struct hv_walk *w);

enum hv_fault_answer {
	HV_FAULT_RESUME,   /* the engine's cache has been filled; run on */
	HV_FAULT_GUEST,    /* it is the guest's own: deliver with *error_code as corrected */
	HV_FAULT_PT_WRITE, /* a write to a page table, through a read-only mapping: emulate it */
	HV_FAULT_M2P_READ, /* a read of the fixed machine-to-physical address: emulate it */
};
/*
 * hv_mmu_fault - what a page fault of v at cr2 means
 * error_code: in: as reported (only W and I are used); out, unless HV_FAULT_RESUME: as Xen would
 * give it to the guest, for when an emulation is declined, too.
 * Sets accessed and dirty bits of what it fills. Takes the domain's lock itself.
 */
enum hv_fault_answer hv_mmu_fault(struct hv_vcpu *v, uint64_t cr2, uint32_t *error_code);
/* After a hypercall, with v->missed set: fills what the program missed, if the tables have it now. */
void hv_mmu_fill_missed(struct hv_vcpu *v);
/*
 * Emulated write to a page-table entry at linear address va (size 1, 2, 4 or 8 bytes; cmpxchg when
 * expected is not NULL: *done says whether it matched, *expected gets what was there).
 * Only L1 tables, as in Xen. 0, or -XEN_EFAULT when va maps no L1 table read-only, -XEN_EINVAL when
 * the store is not aligned or the new entry is refused. Lock: domain.
 */
int hv_mmu_emulated_write(struct hv_vcpu *v, uint64_t va, unsigned size, uint64_t value,
                          uint64_t *expected, bool *done);

/* Sets the vCPU's roots; drop of the old ones included. Used by the builder's start and by vcpu
 * contexts. */
int hv_vcpu_set_root(struct hv_vcpu *v, mfn_t kernel_root);
int hv_vcpu_set_user_root(struct hv_vcpu *v, mfn_t user_root);
int hv_vcpu_no_user_root(struct hv_vcpu *v);
/*
 * Drops all page-table pins, roots and descriptor tables of a dying domain. No vCPU of it runs, its
 * grants have been given up (hv_gnttab_domain_fini()), and the engine still answers.
 */
void hv_mmu_domain_teardown(struct hv_domain *d);
/*
 * Counts everything again from the tables, roots, pins, descriptor tables and grants, and compares
 * with what the frames say. Every difference is logged; returns how many there were.
 */
unsigned hv_mmu_audit(struct hv_domain *d);

/*
 * Hypercall handlers (hypercall.h says the calling convention). Those marked (U) take the domain's
 * lock themselves, in turns: their rows say HV_HC_UNLOCKED.
 */
int64_t hv_do_mmu_update(struct hv_vcpu *v, const uint64_t *a); /* (U) */
int64_t hv_do_update_va_mapping(struct hv_vcpu *v, const uint64_t *a);
int64_t hv_do_update_va_mapping_otherdomain(struct hv_vcpu *v, const uint64_t *a);
int64_t hv_do_mmuext_op(struct hv_vcpu *v, const uint64_t *a); /* (U) */
/* memmap.c: XENMEM_memory_map, XENMEM_set_memory_map; lock: domain. */
int64_t hv_memory_map_get(struct hv_vcpu *v, uint64_t arg);
int64_t hv_memory_map_set(struct hv_vcpu *v, uint64_t arg);
void hv_memory_map_fini(struct hv_domain *d);
int64_t hv_do_memory_op(struct hv_vcpu *v, const uint64_t *a);         /* (U) memory.c */
int64_t hv_do_set_gdt(struct hv_vcpu *v, const uint64_t *a);           /* descr.c */
int64_t hv_do_update_descriptor(struct hv_vcpu *v, const uint64_t *a); /* descr.c */

/* ---- descriptor tables, descr.c --------------------------------------------------------------- */

/*
 * The vCPU's GDT becomes `entries` descriptors in frames[0 .. (entries + 511) / 512). 0 or
 * -XEN_EINVAL with the old one in place. Lock: domain.
 */
int hv_gdt_set(struct hv_vcpu *v, const uint64_t *frames, unsigned entries);
void hv_gdt_clear(struct hv_vcpu *v);
/* -XEN_EINVAL unless base is page-aligned guest space and entries at most 8192. Lock: domain. */
int hv_ldt_set(struct hv_vcpu *v, uint64_t base, unsigned entries);
/*
 * The descriptor that a selector names in the vCPU's own GDT or LDT, checked. -XEN_EINVAL when it
 * lies outside of the table or is no descriptor that a guest may have, -XEN_EFAULT when the LDT's
 * page is not mapped. Xen's flat selectors are not in these tables. Lock: domain.
 */
int hv_descriptor_read(struct hv_vcpu *v, uint16_t selector, uint64_t *desc);
/* Makes a descriptor harmless as Xen does (DPL 3, call gates to guest code only), or says false. */
bool hv_descriptor_check(uint64_t *desc);

#endif
