/* SPDX-License-Identifier: MIT */
/*
 * One page-table entry: what it needs to be allowed, what it holds, and how it is replaced.
 *
 * The rules and error numbers are those of Xen's get_page_from_l{1,2,3,4}e() and mod_l{1..4}_entry()
 * (xen/arch/x86/mm.c): an L1 entry holds a reference, and a writable one a count of the writable
 * type; a higher entry holds a count of the table type below its own. An entry of level n (2 to 4)
 * may also name a table of level n, read-only: a linear page table.
 *
 * Linear tables never form a chain: a table that has such entries to others is not the target of
 * one, and the other way round. So no loop of counts can keep itself alive.
 */
#include "abi/errno.h"
#include "hypervisor-stub/core/gnttab.h"
#include "hypervisor-stub/core/mmu_priv.h"

/* The mfn of all ones: guests use it for "nothing" and get another error for it in Xen. */
#define MFN_ALL_ONES (PTE_FRAME >> HV_PAGE_SHIFT)
/* The first MiB of a PC counts as device space. */
#define LOW_MFNS 0x100u

bool hv_entry_slot_ok(unsigned level, unsigned index)
{
	return level != 4 || index < XEN_SLOT_FIRST || index > XEN_SLOT_LAST;
}

uint64_t hv_entry_adjust(unsigned level, uint64_t entry)
{
	if (!(entry & PTE_P))
		return entry;
	if (level > 1)
		return entry | PTE_U;
	/* Kernel and user both run at ring 3, so U is set in all; a bit of Xen's tells them apart. */
	if (!(entry & PTE_U))
		entry |= PTE_KERNEL | PTE_U;
	if (!(entry & PTE_KERNEL))
		entry |= PTE_G;
	return entry;
}

/* ---- L1 --------------------------------------------------------------------------------------- */

static int get_l1(struct hv_domain *d, uint64_t entry, enum hv_pg_owner owner)
{
	mfn_t mfn = hv_pte_mfn(entry);
	struct hv_frame *f = hv_frame_own(d, mfn);

	/* Other memory is refused as busy; what is no memory, as device space. */
	if (!f && (mfn.n < LOW_MFNS || mfn.n >= d->machine->pool.m2p_entries))
		return mfn.n == MFN_ALL_ONES ? -XEN_EINVAL : -XEN_EPERM;
	if (!f || owner == HV_PG_IO)
		return -XEN_EBUSY;
	if (hv_ref_get(d, mfn))
		return -XEN_EBUSY;
	if ((entry & PTE_W) && hv_type_only_get(d, mfn, f, HV_TYPE_WRITABLE)) {
		hv_ref_put(d, mfn);
		return -XEN_EBUSY;
	}
	return 0;
}

static void put_l1(struct hv_domain *d, mfn_t table, unsigned index, uint64_t entry, uint64_t seq)
{
	mfn_t mfn = hv_pte_mfn(entry);

	if (!hv_frame_in(d, mfn))
		hv_gnttab_entry_gone(d, table, index, mfn, seq);
	else if (entry & PTE_W)
		hv_type_put_seq(d, mfn, seq);
	else
		hv_ref_put_seq(d, mfn, seq);
}

/* ---- higher levels ---------------------------------------------------------------------------- */

/* Xen's get_l{2,3,4}_linear_pagetable(). */
static int get_linear(struct hv_domain *d, mfn_t table, unsigned level, uint64_t entry)
{
	struct hv_frame *parent = hv_frame_own(d, table), *f;
	mfn_t mfn = hv_pte_mfn(entry);

	if (entry & PTE_W)
		return -XEN_EINVAL;
	if (hv_mfn_same(mfn, table)) {
		d->mem.nr_linear++;
		return 0;
	}
	f = hv_frame_own(d, mfn);
	if (!f || f->type != level || !f->validated || !f->type_count)
		return -XEN_EINVAL;
	if (parent->linear < 0 || parent->linear == INT16_MAX || f->linear > 0 ||
	    f->linear == INT16_MIN)
		return -XEN_EINVAL;
	if (hv_type_get(d, mfn, level))
		return -XEN_EINVAL;
	parent->linear++;
	f->linear--;
	d->mem.nr_linear++;
	return 0;
}

static int get_table(struct hv_domain *d, mfn_t table, unsigned level, unsigned index,
                     uint64_t entry)
{
	mfn_t mfn = hv_pte_mfn(entry);
	int rc = hv_type_get(d, mfn, level - 1);

	if (!rc)
		hv_table_hook(hv_frame_own(d, mfn), table, index);
	else if (rc == -XEN_EINVAL)
		rc = get_linear(d, table, level, entry);
	return rc;
}

static void put_table(struct hv_domain *d, mfn_t table, unsigned level, unsigned index,
                      uint64_t entry, uint64_t seq)
{
	mfn_t mfn = hv_pte_mfn(entry);
	struct hv_frame *f = hv_frame_own(d, mfn);

	HV_ASSERT(f);
	f->removal_seq = hv_max64(f->removal_seq, seq);
	if (f->type == level) {
		d->mem.nr_linear--;
		if (hv_mfn_same(mfn, table))
			return;
		hv_frame_own(d, table)->linear--;
		f->linear++;
	} else {
		HV_ASSERT(f->type == level - 1);
		hv_table_unhook(f, table, index);
	}
	hv_type_put(d, mfn);
}

/* ---- all levels ------------------------------------------------------------------------------- */

int hv_entry_get(struct hv_domain *d, mfn_t table, unsigned level, unsigned index, uint64_t entry,
                 enum hv_pg_owner owner)
{
	if (entry & (level == 1 ? L1_DISALLOW : LX_DISALLOW))
		return -XEN_EINVAL;
	if (level == 1)
		return get_l1(d, entry, owner);
	return get_table(d, table, level, index, entry);
}

void hv_entry_put(struct hv_domain *d, mfn_t table, unsigned level, unsigned index, uint64_t entry,
                  uint64_t seq)
{
	if (!(entry & PTE_P))
		return;
	if (level == 1)
		put_l1(d, table, index, entry, seq);
	else
		put_table(d, table, level, index, entry, seq);
}

/*
 * Whether caches may now hold more than the entry gives. Clearing accessed or dirty counts: the
 * guest flushes after it, as on hardware, and expects to see the bit set again by the next access.
 */
static bool loses(uint64_t old, uint64_t now)
{
	if (!(old & PTE_P))
		return false;
	if (!(now & PTE_P) || ((old ^ now) & PTE_FRAME))
		return true;
	return (old & ~now & (PTE_W | PTE_A | PTE_D)) || (now & ~old & PTE_NX);
}

uint64_t hv_entry_write(struct hv_domain *d, mfn_t table, unsigned level, unsigned index,
                        uint64_t old, uint64_t now)
{
	uint64_t *e = hv_frame_ptr(d, table);

	__atomic_store_n(&e[index], now, __ATOMIC_RELEASE);
	return loses(old, now) ? hv_entry_changed(d, table, level, index, old, now) : 0;
}

int hv_entry_modify(struct hv_domain *d, mfn_t table, unsigned index, uint64_t entry, bool keep_ad,
                    enum hv_pg_owner owner)
{
	struct hv_frame *f = hv_frame_own(d, table);
	uint64_t *e = hv_frame_ptr(d, table), old = hv_pte_load(&e[index]), seq;
	unsigned level = f->type;
	int rc;

	if (!hv_entry_slot_ok(level, index))
		return -XEN_EINVAL;
	if (entry & PTE_P) {
		if (entry & (level == 1 ? L1_DISALLOW : LX_DISALLOW))
			return -XEN_EINVAL;
		entry = hv_entry_adjust(level, entry);
	}
	if ((entry & PTE_P) && !((old ^ entry) & ~PTE_FREE)) {
		/* The same frame with the same rights: nothing to count. */
		if (keep_ad)
			entry |= old & (PTE_A | PTE_D);
		hv_entry_write(d, table, level, index, old, entry);
		return 0;
	}
	if (entry & PTE_P) {
		rc = hv_entry_get(d, table, level, index, entry, owner);
		if (rc)
			return rc;
	}
	if (keep_ad)
		entry |= old & (PTE_A | PTE_D);
	seq = hv_entry_write(d, table, level, index, old, entry);
	hv_entry_put(d, table, level, index, old, seq);
	return 0;
}
