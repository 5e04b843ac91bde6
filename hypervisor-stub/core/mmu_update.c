/* SPDX-License-Identifier: MIT */
/*
 * Changing page-table entries: HYPERVISOR_mmu_update, HYPERVISOR_update_va_mapping, and the store
 * to an L1 table that was caught and is emulated.
 *
 * Order of checks and error numbers are those of do_mmu_update() and __do_update_va_mapping() in
 * Xen's xen/arch/x86/mm.c, and of ptwr_emulated_update() in pv/ro-page-fault.c, for a domain that
 * controls no other.
 */
#include "abi/errno.h"
#include "abi/mmu.h"
#include "hypervisor-stub/core/guestcopy.h"
#include "hypervisor-stub/core/mmu_priv.h"

/* Xen's mark of a batch that goes on where it was interrupted: *pdone counts on. */
#define MMU_UPDATE_PREEMPTED 0x80000000u
/* Entries between two chances for others to have the domain's lock. */
#define BATCH 64u

/* ---- who is meant ------------------------------------------------------------------------------ */

int hv_domid_check(struct hv_domain *d, uint64_t domid, bool own_number)
{
	if (domid == DOMID_SELF || (own_number && domid == d->domid))
		return 0;
	if (domid == d->domid)
		return -XEN_ESRCH;
	/* Domain 0 is this process: it exists, and is nobody's to touch. */
	/* As owners of frames they are known; as domains that have a number they are not. */
	if (domid == 0 || (!own_number && (domid == DOMID_IO || domid == DOMID_XEN)))
		return -XEN_EPERM;
	if (domid < HV_MAX_DOMAINS &&
	    __atomic_load_n(&d->machine->domains[domid], __ATOMIC_RELAXED))
		return -XEN_EPERM;
	return -XEN_ESRCH;
}

uint32_t hv_all_vcpus(const struct hv_domain *d)
{
	return d->nr_vcpus >= 32 ? UINT32_MAX : (UINT32_C(1) << d->nr_vcpus) - 1;
}

int hv_vcpumask_read(struct hv_vcpu *v, uint64_t va, uint32_t *mask)
{
	uint64_t word;

	/* One word is enough for HV_MAX_VCPUS. */
	*mask = 0;
	if (hv_copy_from_guest(v, &word, va, sizeof(word)))
		return -XEN_EFAULT;
	*mask = (uint32_t)word & hv_all_vcpus(v->domain);
	return 0;
}

/* ---- mmu_update -------------------------------------------------------------------------------- */

struct update_call {
	struct hv_vcpu *v;
	int pt_rc, pg_rc; /* whether the owner of the tables, and of the frames, is the caller */
	enum hv_pg_owner owner;
	bool flush_all;
};

/* Xen asks its security module entry by entry: so an empty batch may name anybody. */
static int allowed(const struct update_call *c)
{
	return c->owner == HV_PG_IO ? c->pt_rc : c->pg_rc ? c->pg_rc : c->pt_rc;
}

static int write_plain(struct hv_domain *d, mfn_t mfn, unsigned index, uint64_t val)
{
	uint64_t *page = hv_frame_ptr(d, mfn);

	if (hv_type_get(d, mfn, HV_TYPE_WRITABLE))
		return -XEN_EINVAL;
	__atomic_store_n(&page[index], val, __ATOMIC_RELAXED);
	hv_type_put(d, mfn);
	return 0;
}

static int update_entry(struct update_call *c, uint64_t ptr, uint64_t val, bool keep_ad)
{
	struct hv_domain *d = c->v->domain;
	mfn_t mfn = { ptr >> HV_PAGE_SHIFT };
	unsigned index = (ptr & (HV_PAGE_SIZE - 1)) / sizeof(uint64_t);
	struct hv_frame *f;
	int rc = allowed(c);

	if (rc)
		return rc;
	f = hv_frame_own(d, mfn);
	if (!f || !f->ref_count)
		return -XEN_EINVAL;
	if (!f->type_count || f->type == HV_TYPE_WRITABLE)
		return write_plain(d, mfn, index, val);
	if (!hv_is_table(f->type))
		return -XEN_EINVAL;
	if (f->type == HV_TYPE_L1)
		return hv_entry_modify(d, mfn, index, val, keep_ad, c->owner);
	if (c->owner != HV_PG_SELF)
		return -XEN_EINVAL;
	rc = hv_entry_modify(d, mfn, index, val, keep_ad, HV_PG_SELF);
	/* A linear mapping shows the tables below: Xen flushes all after a change above L1. */
	if (!rc && d->mem.nr_linear)
		c->flush_all = true;
	return rc;
}

static int update_m2p(struct update_call *c, uint64_t ptr, uint64_t val)
{
	struct hv_domain *d = c->v->domain;
	mfn_t mfn = { ptr >> HV_PAGE_SHIFT };

	if (c->pt_rc)
		return -XEN_EPERM;
	if (c->pg_rc)
		return c->owner == HV_PG_IO ? -XEN_EINVAL : c->pg_rc;
	if (!hv_frame_own(d, mfn))
		return -XEN_EINVAL;
	hv_m2p_set(d->machine, mfn, val);
	return 0;
}

static int update_one(struct update_call *c, const struct mmu_update *rq)
{
	unsigned cmd = rq->ptr & 7;

	switch (cmd) {
	case MMU_NORMAL_PT_UPDATE:
	case MMU_PT_UPDATE_NO_TRANSLATE:
		return update_entry(c, rq->ptr - cmd, rq->val, false);
	case MMU_PT_UPDATE_PRESERVE_AD:
		return update_entry(c, rq->ptr - cmd, rq->val, true);
	case MMU_MACHPHYS_UPDATE:
		return update_m2p(c, rq->ptr, rq->val);
	default:
		return -XEN_ENOSYS;
	}
}

static int update_all(struct update_call *c, uint64_t list, uint32_t count, uint32_t *done)
{
	struct hv_domain *d = c->v->domain;
	int rc = 0;

	for (*done = 0; *done < count; (*done)++) {
		struct mmu_update rq;
		uint64_t va;

		if (*done && *done % BATCH == 0) {
			hv_domain_unlock(d);
			hv_domain_lock(d);
			if (atomic_load(&d->ending))
				break;
		}
		if (!hv_array_va(list, *done, sizeof(rq), &va) ||
		    hv_copy_from_guest(c->v, &rq, va, sizeof(rq)))
			return -XEN_EFAULT;
		rc = update_one(c, &rq);
		if (rc)
			break;
	}
	return rc;
}

/* The bits 31:16 of foreigndom name the owner of the tables, plus one; 0: the caller. */
static int find_owners(struct hv_domain *d, uint32_t foreign, struct update_call *c)
{
	uint16_t pg = (uint16_t)foreign, pt = (uint16_t)(foreign >> 16);

	if (pt && pt - 1 != d->domid) {
		c->pt_rc = hv_domid_check(d, pt - 1, true);
		/* Special numbers are not domains here. */
		if (c->pt_rc == -XEN_ESRCH || pt - 1 >= (int)DOMID_FIRST_RESERVED)
			return -XEN_ESRCH;
	}
	c->owner = pg == DOMID_IO ? HV_PG_IO : HV_PG_SELF;
	c->pg_rc = hv_domid_check(d, pg, false);
	return c->pg_rc == -XEN_ESRCH ? -XEN_ESRCH : 0;
}

int64_t hv_do_mmu_update(struct hv_vcpu *v, const uint64_t *a)
{
	struct hv_domain *d = v->domain;
	struct update_call c = { .v = v };
	uint32_t count = (uint32_t)a[1], before = 0, done;
	uint64_t pdone = a[2];
	int rc = find_owners(d, (uint32_t)a[3], &c);

	if (!hv_addr_ok(a[0]))
		return -XEN_EFAULT;
	if (rc)
		return rc;
	hv_domain_lock(d);
	if (count & MMU_UPDATE_PREEMPTED) {
		count &= ~MMU_UPDATE_PREEMPTED;
		if (pdone && hv_copy_from_guest(v, &before, pdone, sizeof(before)))
			before = 0;
	}
	rc = update_all(&c, a[0], count, &done);
	if (c.flush_all)
		d->machine->engine->sync(d, hv_all_vcpus(d));
	done += before;
	/* As in Xen, a bad pointer for the count is nobody's error. */
	if (pdone)
		(void)hv_copy_to_guest(v, pdone, &done, sizeof(done));
	hv_domain_unlock(d);
	return rc;
}

/* ---- update_va_mapping ------------------------------------------------------------------------- */

static int flush_after(struct hv_vcpu *v, uint64_t flags)
{
	struct hv_domain *d = v->domain;
	uint64_t which = flags & ~UVMF_FLUSHTYPE_MASK;
	uint32_t mask;
	int rc = 0;

	/* An engine's cache is dropped by reported changes: one page or all is the same to it. */
	if ((flags & UVMF_FLUSHTYPE_MASK) != UVMF_TLB_FLUSH &&
	    (flags & UVMF_FLUSHTYPE_MASK) != UVMF_INVLPG)
		return 0;
	if (which == UVMF_LOCAL)
		mask = UINT32_C(1) << v->id;
	else if (which == UVMF_ALL)
		mask = hv_all_vcpus(d);
	else
		rc = hv_vcpumask_read(v, which, &mask);
	if (mask)
		d->machine->engine->sync(d, mask);
	return rc;
}

int64_t hv_do_update_va_mapping(struct hv_vcpu *v, const uint64_t *a)
{
	struct hv_domain *d = v->domain;
	unsigned index;
	mfn_t table;
	int rc;

	if (!hv_walk_l1(d, hv_vcpu_root(v), a[0], &table, &index))
		return -XEN_EINVAL;
	/* Through a linear mapping the "L1 table" is a higher one, and not to be changed so. */
	if (hv_frame_own(d, table)->type != HV_TYPE_L1)
		return -XEN_EINVAL;
	rc = hv_entry_modify(d, table, index, a[1], false, HV_PG_SELF);
	return rc ? rc : flush_after(v, a[2]);
}

int64_t hv_do_update_va_mapping_otherdomain(struct hv_vcpu *v, const uint64_t *a)
{
	int rc = hv_domid_check(v->domain, (uint16_t)a[3], false);

	return rc ? rc : hv_do_update_va_mapping(v, a);
}

/* ---- a caught store to a table ----------------------------------------------------------------- */

/* The whole entry that a store of part of it makes. */
static uint64_t merge(uint64_t full, uint64_t value, unsigned size, unsigned shift)
{
	uint64_t mask = size == 8 ? UINT64_MAX : (UINT64_C(1) << size * 8) - 1;

	return (full & ~(mask << shift)) | (value & mask) << shift;
}

/* The L1 table that va maps read-only, or false: a race, or not what the fault was about. */
static bool table_behind(struct hv_vcpu *v, uint64_t va, mfn_t *table)
{
	struct hv_walk w;

	hv_walk(v->domain, hv_vcpu_root(v), va, &w);
	if (!w.present || (w.entry[1] & PTE_W) || !w.frame || w.frame->type != HV_TYPE_L1 ||
	    !w.frame->type_count)
		return false;
	*table = w.mfn;
	return true;
}

int hv_mmu_emulated_write(struct hv_vcpu *v, uint64_t va, unsigned size, uint64_t value,
                          uint64_t *expected, bool *done)
{
	struct hv_domain *d = v->domain;
	unsigned index = (va & (HV_PAGE_SIZE - 1)) / sizeof(uint64_t), shift = va % 8 * 8;
	uint64_t old, now;
	mfn_t table;
	int rc;

	if ((size != 1 && size != 2 && size != 4 && size != 8) || va % size)
		return -XEN_EINVAL;
	if (!table_behind(v, va, &table))
		return -XEN_EFAULT;
	old = hv_pte_load((uint64_t *)hv_frame_ptr(d, table) + index);
	now = merge(old, value, size, shift);
	if (expected && merge(old, *expected, size, shift) != old) {
		*expected = size == 8 ? old : old >> shift & ((UINT64_C(1) << size * 8) - 1);
		*done = false;
		return 0;
	}
	rc = hv_entry_modify(d, table, index, now, false, HV_PG_SELF);
	if (rc)
		return -XEN_EINVAL;
	if (done) /* a plain store has no use for it, and may pass none */
		*done = true;
	return 0;
}
