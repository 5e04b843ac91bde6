/* SPDX-License-Identifier: MIT */
/*
 * Grant tables: the table itself, its rows, and the operations that only look at it.
 *
 * Error numbers and statuses are those of Xen's xen/common/grant_table.c, for version 1. Not here:
 * version 2 (set_version answers -XEN_ENOSYS, as Xen does with gnttab=max-ver:1), and transfer, for
 * a frame stays in the memory that it was made in: GNTST_bad_page, the one status that tells the
 * caller that the page is still its own.
 *
 * A row is guest memory and may change at any time: it is read once, and changed by
 * compare-and-exchange.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "abi/errno.h"
#include "hypervisor-stub/core/gnttab_priv.h"
#include "hypervisor-stub/core/guestcopy.h"
#include "hypervisor-stub/core/mmu_priv.h"

/* How often a guest may change a row under our hands before it is refused. */
#define ROW_TRIES 5

/* cmd: bits 11:0 the operation; those above are for Xen's own continuations. */
#define CMD_MASK 0xfffu

/* ---- rows --------------------------------------------------------------------------------------- */

bool hv_gnttab_row(struct hv_domain *d, grant_ref_t ref, struct grant_entry_v1 **row,
                   struct hv_gnttab_active **act)
{
	unsigned page = ref / HV_GNTTAB_PER_FRAME, i = ref % HV_GNTTAB_PER_FRAME;

	if (page >= d->gnttab.nr_frames)
		return false;
	*row = &d->gnttab.shared[page][i];
	*act = &d->gnttab.active[page][i];
	return true;
}

int hv_gnttab_mark(struct grant_entry_v1 *row, const struct hv_gnttab_active *act, bool readonly,
                   bool map, domid_t who)
{
	/* flags and domid are one 32-bit word: both are checked and marked at once. */
	uint32_t *word = (uint32_t *)(void *)row, seen = __atomic_load_n(word, __ATOMIC_ACQUIRE);
	uint32_t type = GTF_type_mask | (map ? GTF_sub_page : 0);

	for (int i = 0; i < ROW_TRIES; i++) {
		uint32_t now = seen | GTF_reading | (readonly ? 0 : GTF_writing);

		if (!hv_gnttab_is_pinned(act) &&
		    ((seen & type) != GTF_permit_access || seen >> 16 != who))
			return GNTST_general_error;
		if (!readonly && (seen & GTF_readonly))
			return GNTST_general_error;
		if (__atomic_compare_exchange_n(word, &seen, now, false, __ATOMIC_SEQ_CST,
		                                __ATOMIC_SEQ_CST))
			return 0;
	}
	return GNTST_general_error;
}

void hv_gnttab_unmark(struct grant_entry_v1 *row, const struct hv_gnttab_active *act, bool readonly)
{
	uint16_t clear = hv_gnttab_is_pinned(act) ? 0 : GTF_reading;

	if (!readonly && !act->writers)
		clear |= GTF_writing;
	if (clear)
		__atomic_fetch_and(&row->flags, (uint16_t)~clear, __ATOMIC_SEQ_CST);
}

int hv_gnttab_grow(struct hv_domain *d, unsigned nr_frames)
{
	struct hv_domain_gnttab *g = &d->gnttab;

	while (g->nr_frames < nr_frames) {
		unsigned n = g->nr_frames;

		if (!g->active[n])
			g->active[n] = calloc(HV_GNTTAB_PER_FRAME, sizeof(*g->active[n]));
		if (!g->active[n] || hv_frame_alloc(d, HV_FRAME_SHARED, &g->frame[n]))
			return -XEN_ENOMEM;
		g->shared[n] = hv_frame_ptr(d, g->frame[n]);
		g->nr_frames++;
	}
	return 0;
}

void hv_gnttab_each_held(struct hv_domain *d, hv_gnttab_held_fn *fn, void *arg)
{
	for (unsigned page = 0; page < d->gnttab.nr_frames; page++) {
		for (unsigned i = 0; i < HV_GNTTAB_PER_FRAME; i++) {
			const struct hv_gnttab_active *act = &d->gnttab.active[page][i];

			if (act->held_refs)
				fn(arg, act->mfn, act->held_refs, act->held_types);
		}
	}
}

/* ---- life --------------------------------------------------------------------------------------- */

int hv_gnttab_domain_init(struct hv_domain *d)
{
	int rc;

	memset(&d->gnttab, 0, sizeof(d->gnttab));
	d->gnttab.free_map = HV_GNTTAB_NO_MAP;
	hv_domain_lock(d);
	rc = hv_gnttab_grow(d, 1);
	hv_domain_unlock(d);
	if (!rc)
		return 0;
	hv_gnttab_domain_fini(d);
	return -ENOMEM;
}

void hv_gnttab_domain_fini(struct hv_domain *d)
{
	HV_ASSERT(d->gnttab.nr_host_maps == 0);
	hv_gnttab_drop_maps(d);
	for (unsigned i = 0; i < HV_GNTTAB_MAX_FRAMES; i++)
		free(d->gnttab.active[i]);
	free(d->gnttab.maps);
	free(d->gnttab.by_entry);
	memset(&d->gnttab, 0, sizeof(d->gnttab));
	d->gnttab.free_map = HV_GNTTAB_NO_MAP;
}

int hv_gnttab_seed(struct hv_domain *d, grant_ref_t ref, mfn_t mfn)
{
	struct hv_gnttab_active *act;
	struct grant_entry_v1 *row;
	int rc = -XEN_EINVAL;

	hv_domain_lock(d);
	if (hv_frame_own(d, mfn) && hv_gnttab_row(d, ref, &row, &act)) {
		row->domid = 0;
		row->frame = (uint32_t)mfn.n;
		/* The order that the ABI gives to a guest: the type is written last. */
		__atomic_store_n(&row->flags, GTF_permit_access, __ATOMIC_RELEASE);
		rc = 0;
	}
	hv_domain_unlock(d);
	return rc;
}

/* ---- looking at the table ----------------------------------------------------------------------- */

/* The status for a domain named in a query: only one's own table may be asked about. */
static int16_t table_status(struct hv_domain *d, domid_t dom)
{
	switch (hv_domid_check(d, dom, true)) {
	case 0:
		return GNTST_okay;
	case -XEN_EPERM:
		return GNTST_permission_denied;
	default:
		return GNTST_bad_domain;
	}
}

static int16_t setup(struct hv_vcpu *v, const struct gnttab_setup_table *op)
{
	struct hv_domain *d = v->domain;
	int16_t status;

	if (op->nr_frames > HV_GNTTAB_MAX_FRAMES)
		return GNTST_general_error;
	status = table_status(d, op->dom);
	if (status)
		return status;
	if (hv_gnttab_grow(d, op->nr_frames))
		return GNTST_general_error;
	for (uint32_t i = 0; i < op->nr_frames; i++) {
		uint64_t mfn = d->gnttab.frame[i].n, va;

		if (!hv_array_va(xen_guest_handle_va(op->frame_list), i, sizeof(mfn), &va) ||
		    hv_copy_to_guest(v, va, &mfn, sizeof(mfn)))
			return GNTST_bad_virt_addr;
	}
	return GNTST_okay;
}

static int64_t setup_table(struct hv_vcpu *v, uint64_t va, uint32_t count)
{
	struct gnttab_setup_table op;

	if (count != 1)
		return -XEN_EINVAL;
	if (hv_copy_from_guest(v, &op, va, sizeof(op)))
		return -XEN_EFAULT;
	op.status = setup(v, &op);
	if (hv_copy_to_guest(v, va + offsetof(struct gnttab_setup_table, status), &op.status,
	                     sizeof(op.status)))
		return -XEN_EFAULT;
	return 0;
}

static int64_t query_size(struct hv_vcpu *v, uint64_t va, uint32_t count)
{
	struct gnttab_query_size op;

	if (count != 1)
		return -XEN_EINVAL;
	if (hv_copy_from_guest(v, &op, va, sizeof(op)))
		return -XEN_EFAULT;
	op.status = table_status(v->domain, op.dom);
	if (!op.status) {
		op.nr_frames = v->domain->gnttab.nr_frames;
		op.max_nr_frames = HV_GNTTAB_MAX_FRAMES;
	}
	return hv_copy_to_guest(v, va, &op, sizeof(op));
}

/* ---- versions ----------------------------------------------------------------------------------- */

static int64_t set_version(struct hv_vcpu *v, uint64_t va)
{
	struct gnttab_set_version op;
	int rc = 0;

	if (hv_copy_from_guest(v, &op, va, sizeof(op)))
		return -XEN_EFAULT;
	if (op.version != 1)
		rc = op.version == 2 ? -XEN_ENOSYS : -XEN_EINVAL;
	op.version = 1;
	return hv_copy_to_guest(v, va, &op, sizeof(op)) ? -XEN_EFAULT : rc;
}

static int64_t get_version(struct hv_vcpu *v, uint64_t va)
{
	struct gnttab_get_version op;
	int rc;

	if (hv_copy_from_guest(v, &op, va, sizeof(op)))
		return -XEN_EFAULT;
	rc = hv_domid_check(v->domain, op.dom, true);
	if (rc)
		return rc;
	op.version = 1;
	return hv_copy_to_guest(v, va + offsetof(struct gnttab_get_version, version), &op.version,
	                        sizeof(op.version));
}

/* ---- rows of one's own -------------------------------------------------------------------------- */

static int16_t swap_rows(struct hv_domain *d, grant_ref_t a, grant_ref_t b)
{
	struct hv_gnttab_active *act_a, *act_b;
	struct grant_entry_v1 *row_a, *row_b, copy;

	if (!hv_gnttab_row(d, a, &row_a, &act_a) || !hv_gnttab_row(d, b, &row_b, &act_b))
		return GNTST_bad_gntref;
	if (a == b)
		return GNTST_okay;
	if (hv_gnttab_is_pinned(act_a) || hv_gnttab_is_pinned(act_b))
		return GNTST_eagain;
	copy = *row_a;
	*row_a = *row_b;
	*row_b = copy;
	return GNTST_okay;
}

static int64_t swap_refs(struct hv_vcpu *v, uint64_t va)
{
	struct gnttab_swap_grant_ref op;

	if (hv_copy_from_guest(v, &op, va, sizeof(op)))
		return -XEN_EFAULT;
	op.status = swap_rows(v->domain, op.ref_a, op.ref_b);
	return hv_copy_to_guest(v, va + offsetof(struct gnttab_swap_grant_ref, status), &op.status,
	                        sizeof(op.status));
}

static int64_t transfer(struct hv_vcpu *v, uint64_t va)
{
	int16_t status = GNTST_bad_page;
	struct gnttab_transfer op;

	if (hv_copy_from_guest(v, &op, va, sizeof(op)))
		return -XEN_EFAULT;
	return hv_copy_to_guest(v, va + offsetof(struct gnttab_transfer, status), &status,
	                        sizeof(status));
}

/* Layout of Xen's struct gnttab_cache_flush, which is of use only where caches are not coherent. */
struct cache_flush {
	uint64_t dev_bus_addr;
	uint16_t offset, length;
	uint32_t op;
};
#define CACHE_CLEAN 1u
#define CACHE_INVAL 2u

static bool maps_frame(struct hv_domain *d, mfn_t mfn)
{
	for (unsigned i = 0; i < d->gnttab.nr_maps; i++) {
		const struct hv_gnttab_map *map = &d->gnttab.maps[i];

		if (map->in_use && map->live && hv_mfn_same(map->mfn, mfn))
			return true;
	}
	return false;
}

/* As Xen on x86: all that may be asked for is true already, for memory is coherent. */
static int64_t cache_flush(struct hv_vcpu *v, uint64_t va)
{
	struct cache_flush op;
	mfn_t mfn;

	if (hv_copy_from_guest(v, &op, va, sizeof(op)))
		return -XEN_EFAULT;
	if (op.offset >= HV_PAGE_SIZE || op.offset + op.length > HV_PAGE_SIZE)
		return -XEN_EINVAL;
	if (!op.length || !op.op)
		return 0;
	if (op.op & ~(CACHE_CLEAN | CACHE_INVAL)) /* by grant reference, too */
		return -XEN_EINVAL;
	mfn.n = op.dev_bus_addr >> HV_PAGE_SHIFT;
	if (!hv_frame_own(v->domain, mfn) && !maps_frame(v->domain, mfn))
		return -XEN_EINVAL;
	return op.op == CACHE_INVAL ? -XEN_EOPNOTSUPP : 0;
}

/* ---- the hypercall ------------------------------------------------------------------------------ */

/* Operations on an array, one element at a time with the domain's lock. */
struct element_op {
	int64_t (*fn)(struct hv_vcpu *v, uint64_t va);
	size_t size;
};

static int64_t each(struct hv_vcpu *v, uint64_t list, uint32_t count, const struct element_op *op)
{
	for (uint32_t i = 0; i < count; i++) {
		int64_t rc = -XEN_EFAULT;
		uint64_t va;

		hv_domain_lock(v->domain);
		if (hv_array_va(list, i, op->size, &va))
			rc = op->fn(v, va);
		hv_domain_unlock(v->domain);
		if (rc || atomic_load(&v->domain->ending))
			return rc;
	}
	return 0;
}

/* Operations whose count must be 1, or does not matter. */
static int64_t single(struct hv_vcpu *v, unsigned cmd, uint64_t va, uint32_t count)
{
	int64_t rc = -XEN_ENOSYS;

	hv_domain_lock(v->domain);
	if (cmd == GNTTABOP_setup_table)
		rc = setup_table(v, va, count);
	else if (cmd == GNTTABOP_query_size)
		rc = query_size(v, va, count);
	else if (cmd == GNTTABOP_set_version)
		rc = set_version(v, va);
	else if (cmd == GNTTABOP_get_version)
		rc = get_version(v, va);
	hv_domain_unlock(v->domain);
	return rc;
}

int64_t hv_do_grant_table_op(struct hv_vcpu *v, const uint64_t *a)
{
	static const struct element_op swap = { swap_refs, sizeof(struct gnttab_swap_grant_ref) };
	static const struct element_op give = { transfer, sizeof(struct gnttab_transfer) };
	static const struct element_op flush = { cache_flush, sizeof(struct cache_flush) };
	uint32_t cmd = (uint32_t)a[0], count = (uint32_t)a[2];

	if (count > INT32_MAX || (cmd & ~CMD_MASK))
		return -XEN_EINVAL;
	if (!hv_addr_ok(a[1]))
		return -XEN_EFAULT;
	switch (cmd) {
	case GNTTABOP_map_grant_ref:
		return hv_gnttab_map_refs(v, a[1], count);
	case GNTTABOP_unmap_grant_ref:
		return hv_gnttab_unmap_refs(v, a[1], count, false);
	case GNTTABOP_unmap_and_replace:
		return hv_gnttab_unmap_refs(v, a[1], count, true);
	case GNTTABOP_copy:
		return hv_gnttab_copies(v, a[1], count);
	case GNTTABOP_swap_grant_ref:
		return each(v, a[1], count, &swap);
	case GNTTABOP_transfer:
		return each(v, a[1], count, &give);
	case GNTTABOP_cache_flush:
		return each(v, a[1], count, &flush);
	default:
		return single(v, cmd, a[1], count);
	}
}
