/* SPDX-License-Identifier: MIT */
/*
 * Grant table, version 1. It starts with no page and grows by one at a time, at the first grant and
 * whenever no reference is free.
 *
 * Invariant: a free entry has flags GTF_invalid, so the hypervisor looks at nothing else in it, and
 * its `frame` holds the number of the next free one (0 ends the list; 0 itself is reserved). Its
 * `domid` is FREE_MARK, which is no domain's, so that a double revoke is found out.
 */
#include "pvops/gnttab.h"

#include <stddef.h>

#include "pvops/barrier.h"
#include "pvops/hypercall.h"
#include "pvops/lock.h"
#include "pvops/mmu.h"

#define PER_FRAME  (PV_PAGE_SIZE / sizeof(struct grant_entry_v1))
#define MAX_FRAMES 64 /* 32768 grants, 128 MiB shared at a time */
#define FREE_MARK  DOMID_INVALID

static struct grant_entry_v1 *table; /* MAX_FRAMES pages of addresses, the first nr_frames mapped */
static unsigned int nr_frames;
static grant_ref_t first_free; /* 0: none */
static struct pv_spinlock table_lock = PV_SPINLOCK_INIT;

static void put_free(grant_ref_t ref)
{
	table[ref].domid = (domid_t)FREE_MARK;
	table[ref].frame = first_free;
	first_free = ref;
}

/* Maps page `n` of the table. The hypervisor lists all pages up to it; the last is the new one. */
static int map_table_page(unsigned int n)
{
	xen_pfn_t frames[MAX_FRAMES];
	struct gnttab_setup_table op = { .dom = DOMID_SELF, .nr_frames = n + 1 };
	long rc;

	set_xen_guest_handle(op.frame_list, frames);
	rc = pv_hc_grant_table_op(GNTTABOP_setup_table, &op, 1);
	if (rc)
		return (int)rc;
	if (op.status != GNTST_okay)
		return -XEN_ENOSPC;
	return pv_mmu_map_frame((uintptr_t)table + n * PV_PAGE_SIZE, frames[n],
	                        PV_PTE_PRESENT | PV_PTE_WRITE | PV_PTE_ACCESSED | PV_PTE_DIRTY);
}

/* One page more. The references of the new page go to the free list, lowest first. */
static int grow(void)
{
	grant_ref_t first = nr_frames * PER_FRAME, ref;
	int rc;

	if (nr_frames == MAX_FRAMES)
		return -XEN_ENOSPC;
	if (!table)
		table = (struct grant_entry_v1 *)pv_mmu_window(MAX_FRAMES);
	if (!table)
		return -XEN_ENOSPC;
	rc = map_table_page(nr_frames);
	if (rc)
		return -XEN_ENOSPC;
	nr_frames++;
	if (first < GNTTAB_NR_RESERVED_ENTRIES)
		first = GNTTAB_NR_RESERVED_ENTRIES;
	for (ref = nr_frames * PER_FRAME; ref-- > first;)
		put_free(ref);
	return 0;
}

int pv_gnttab_take(grant_ref_t *ref)
{
	uint64_t irq = pv_spin_lock_irq(&table_lock);
	grant_ref_t r;

	if (!first_free && grow()) {
		pv_spin_unlock_irq(&table_lock, irq);
		return -XEN_ENOSPC;
	}
	r = first_free;
	first_free = table[r].frame;
	table[r].domid = DOMID_SELF; /* not free */
	pv_spin_unlock_irq(&table_lock, irq);
	*ref = r;
	return 0;
}

/* The flags go last, by a release store: with them the entry becomes valid. */
void pv_gnttab_set(grant_ref_t ref, domid_t peer, uint64_t frame, enum pv_grant_access access)
{
	table[ref].domid = peer;
	table[ref].frame = (uint32_t)frame;
	pv_store_release(&table[ref].flags,
	                 GTF_permit_access | (access == PV_GRANT_RO ? GTF_readonly : 0));
}

/*
 * The flags are the hypervisor's too: it sets GTF_reading and GTF_writing, by compare-and-exchange
 * on the same word. So taking the grant back is one such exchange, tried again when it fails.
 */
bool pv_gnttab_clear(grant_ref_t ref)
{
	uint16_t flags = pv_load(&table[ref].flags);

	do {
		if (flags & (GTF_reading | GTF_writing))
			return false;
	} while (!__atomic_compare_exchange_n(&table[ref].flags, &flags, GTF_invalid, false,
	                                      __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
	return true;
}

void pv_gnttab_give(grant_ref_t ref)
{
	uint64_t irq = pv_spin_lock_irq(&table_lock);

	put_free(ref);
	pv_spin_unlock_irq(&table_lock, irq);
}

int pv_gnttab_grant(domid_t peer, uint64_t frame, enum pv_grant_access access, grant_ref_t *ref)
{
	grant_ref_t r;

	if ((peer >= DOMID_FIRST_RESERVED && peer != DOMID_SELF) || frame > UINT32_MAX)
		return -XEN_EINVAL;
	if (pv_gnttab_take(&r))
		return -XEN_ENOSPC;
	pv_gnttab_set(r, peer, frame, access);
	*ref = r;
	return 0;
}

static bool is_granted(grant_ref_t ref)
{
	return ref >= GNTTAB_NR_RESERVED_ENTRIES && ref < nr_frames * PER_FRAME &&
	       table[ref].domid != FREE_MARK;
}

int pv_gnttab_revoke(grant_ref_t ref)
{
	if (!is_granted(ref))
		return -XEN_EINVAL;
	if (!pv_gnttab_clear(ref))
		return -XEN_EBUSY;
	pv_gnttab_give(ref);
	return 0;
}

bool pv_gnttab_in_use(grant_ref_t ref)
{
	return is_granted(ref) && pv_load(&table[ref].flags) & (GTF_reading | GTF_writing);
}

void pv_gnttab_count(unsigned int *taken, unsigned int *granting)
{
	uint64_t irq = pv_spin_lock_irq(&table_lock);
	grant_ref_t ref;

	*taken = *granting = 0;
	for (ref = GNTTAB_NR_RESERVED_ENTRIES; ref < nr_frames * PER_FRAME; ref++) {
		*taken += table[ref].domid != FREE_MARK;
		*granting += pv_load(&table[ref].flags) != GTF_invalid;
	}
	pv_spin_unlock_irq(&table_lock, irq);
}

int pv_gnttab_map(domid_t peer, grant_ref_t ref, enum pv_grant_access access, void *va,
                  struct pv_gnttab_mapping *map, int16_t *status)
{
	struct gnttab_map_grant_ref op = {
		.host_addr = (uintptr_t)va,
		.flags = GNTMAP_host_map | (access == PV_GRANT_RO ? GNTMAP_readonly : 0),
		.ref = ref,
		.dom = peer,
	};
	long rc = pv_hc_grant_table_op(GNTTABOP_map_grant_ref, &op, 1);

	if (rc)
		return (int)rc;
	if (status)
		*status = op.status;
	if (op.status != GNTST_okay)
		return -XEN_EIO;
	map->va = va;
	map->handle = op.handle;
	return 0;
}

int pv_gnttab_unmap(const struct pv_gnttab_mapping *map)
{
	struct gnttab_unmap_grant_ref op = {
		.host_addr = (uintptr_t)map->va,
		.handle = map->handle,
	};
	long rc = pv_hc_grant_table_op(GNTTABOP_unmap_grant_ref, &op, 1);

	if (rc)
		return (int)rc;
	return op.status == GNTST_okay ? 0 : -XEN_EIO;
}
