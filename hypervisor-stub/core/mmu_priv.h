/* SPDX-License-Identifier: MIT */
/*
 * Inside the memory half: what mmu_*.c, guestcopy.c, gnttab*.c, memory.c and descr.c share.
 */
#ifndef HYPERVISOR_STUB_CORE_MMU_PRIV_H
#define HYPERVISOR_STUB_CORE_MMU_PRIV_H

#include "hypervisor-stub/core/mmu.h"

/* ---- page-table entries ----------------------------------------------------------------------- */

#define PTE_P      UINT64_C(0x001)
#define PTE_W      UINT64_C(0x002)
#define PTE_U      UINT64_C(0x004)
#define PTE_PWT    UINT64_C(0x008)
#define PTE_PCD    UINT64_C(0x010)
#define PTE_A      UINT64_C(0x020)
#define PTE_D      UINT64_C(0x040)
#define PTE_PAT    UINT64_C(0x080) /* in tables above L1: page size */
#define PTE_G      UINT64_C(0x100)
#define PTE_AVAIL  UINT64_C(0xe00)
#define PTE_KERNEL (UINT64_C(1) << 52) /* Xen's: a page of the guest's kernel, for which U is set */
#define PTE_HIGH   (UINT64_C(0x7ff) << 52)
#define PTE_NX     (UINT64_C(1) << 63)
#define PTE_FRAME  UINT64_C(0x000ffffffffff000)

/*
 * What an unprivileged guest may not set. Caching is not its business, and large pages would escape
 * from per-frame types. With these clear no bit that hardware reserves can be set in an entry, for
 * the frame number is one that exists.
 */
#define L1_DISALLOW (PTE_PWT | PTE_PCD | PTE_PAT)
#define LX_DISALLOW (PTE_PWT | PTE_PCD | PTE_PAT | PTE_G)

/* Bits that may change without a new look at the frame (Xen's list). */
#define PTE_FREE (PTE_NX | PTE_HIGH | PTE_AVAIL | PTE_G | PTE_D | PTE_A | PTE_U)

#define PFEC_P   1u
#define PFEC_W   2u
#define PFEC_U   4u
#define PFEC_I   16u

/* L4 slots that Xen keeps for itself. */
#define XEN_SLOT_FIRST 256u
#define XEN_SLOT_LAST  271u

#define HV_PTES        512u

enum hv_parent_kind {
	HV_PARENT_NONE,
	HV_PARENT_ONE,
	HV_PARENT_TWO,      /* two parents, at the same index in both */
	HV_PARENT_MANY_AT,  /* more parents, not recorded, all at one index */
	HV_PARENT_ANYWHERE, /* nothing is known */
};

static inline mfn_t hv_pte_mfn(uint64_t e)
{
	return (mfn_t){ (e & PTE_FRAME) >> HV_PAGE_SHIFT };
}

static inline uint64_t hv_pte_load(const uint64_t *p)
{
	return __atomic_load_n(p, __ATOMIC_RELAXED);
}

static inline bool hv_is_table(unsigned type)
{
	return type >= HV_TYPE_L1 && type <= HV_TYPE_L4;
}

static inline uint64_t hv_max64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* Whether an address is the guest's to name (Xen's hole is left out). */
static inline bool hv_addr_ok(uint64_t va)
{
	return va < (UINT64_C(1) << 47) || va >= HYPERVISOR_VIRT_END;
}

/* ---- mmu_types.c ------------------------------------------------------------------------------ */

/* Waits until no cache holds what was taken away from the frame so far. */
void hv_frame_retire(struct hv_domain *d, struct hv_frame *f);
/* The same for a sequence number that is not a frame's. */
void hv_retire_seq(struct hv_domain *d, uint64_t seq);
/* As hv_ref_put()/hv_type_put(), when a mapping was taken away by the change `seq`. */
void hv_ref_put_seq(struct hv_domain *d, mfn_t mfn, uint64_t seq);
void hv_type_put_seq(struct hv_domain *d, mfn_t mfn, uint64_t seq);
/* A type count on a frame whose reference is held otherwise: an attempt, 0 or -XEN_EINVAL. */
int hv_type_only_get(struct hv_domain *d, mfn_t mfn, struct hv_frame *f, enum hv_frame_type type);
void hv_type_only_put(struct hv_domain *d, mfn_t mfn, struct hv_frame *f);
/* Gives the domain's own hold on a frame up: it goes when the last reference goes. */
void hv_frame_give_up(struct hv_domain *d, mfn_t mfn, struct hv_frame *f);

/* ---- mmu_entry.c ------------------------------------------------------------------------------ */

/* Whose frames a new L1 entry may name. */
enum hv_pg_owner { HV_PG_SELF, HV_PG_IO };

/* Takes what a present entry of a table (its level, frame and index) needs; 0 or -XEN_E*. */
int hv_entry_get(struct hv_domain *d, mfn_t table, unsigned level, unsigned index, uint64_t entry,
                 enum hv_pg_owner owner);
/* Gives it back, for an entry that the change `seq` took away. */
void hv_entry_put(struct hv_domain *d, mfn_t table, unsigned level, unsigned index, uint64_t entry,
                  uint64_t seq);
/* The bits that Xen adds to what the guest wrote. */
uint64_t hv_entry_adjust(unsigned level, uint64_t entry);
bool hv_entry_slot_ok(unsigned level, unsigned index);
/*
 * Replaces an entry of a validated table, as mod_l{1..4}_entry do in Xen. keep_ad: accessed and
 * dirty of the old entry are kept. 0 or -XEN_E* with the old entry in place.
 */
int hv_entry_modify(struct hv_domain *d, mfn_t table, unsigned index, uint64_t entry, bool keep_ad,
                    enum hv_pg_owner owner);
/* Writes an entry (counts are the caller's) and tells the engine; the sequence number. */
uint64_t hv_entry_write(struct hv_domain *d, mfn_t table, unsigned level, unsigned index,
                        uint64_t old, uint64_t now);

/* ---- mmu_climb.c ------------------------------------------------------------------------------ */

void hv_table_hook(struct hv_frame *child, mfn_t parent, unsigned index);
void hv_table_unhook(struct hv_frame *child, mfn_t parent, unsigned index);
/* engine->entry_changed(), with the newest number kept. */
uint64_t hv_tell_engine(struct hv_domain *d, const struct hv_entry_change *c);
/* Tells the engine that an entry lost something; the sequence number for the frames it mapped. */
uint64_t hv_entry_changed(struct hv_domain *d, mfn_t table, unsigned level, unsigned index,
                          uint64_t old, uint64_t now);

/* ---- mmu_walk.c ------------------------------------------------------------------------------- */

/* Sets the accessed bits along a walk, and the dirty bit of its page. */
void hv_walk_mark(struct hv_domain *d, struct hv_walk *w, bool write);
/* Table and index of the L1 entry for an address under a root. False when there is no L1 table. */
bool hv_walk_l1(struct hv_domain *d, mfn_t root, uint64_t va, mfn_t *table, unsigned *index);

/* ---- the rest --------------------------------------------------------------------------------- */

/* A guest's bitmap of vCPUs: those of d that it names. 0 or -XEN_EFAULT (mask 0). */
int hv_vcpumask_read(struct hv_vcpu *v, uint64_t va, uint32_t *mask);
uint32_t hv_all_vcpus(const struct hv_domain *d);
/*
 * The answer for a domain that a call names as owner of frames: 0 for itself (DOMID_SELF, and its
 * own number where own_number says that Xen takes it), -XEN_EPERM for another, -XEN_ESRCH for none.
 */
int hv_domid_check(struct hv_domain *d, uint64_t domid, bool own_number);

#endif
