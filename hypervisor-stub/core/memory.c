/* SPDX-License-Identifier: MIT */
/*
 * HYPERVISOR_memory_op: a domain's reservation, and questions about memory.
 *
 * Order of checks and results are those of do_memory_op() and its helpers in Xen's
 * xen/common/memory.c and xen/arch/x86/mm.c, for a paravirtual domain that controls no other.
 * The reservation calls never fail: they return how many extents were done.
 */
#include <stdlib.h>
#include <string.h>

#include "abi/errno.h"
#include "abi/memory.h"
#include "hypervisor-stub/core/guestcopy.h"
#include "hypervisor-stub/core/mmu_priv.h"

/* cmd: bits 5:0 the operation, above it where an interrupted call goes on. */
#define CMD_BITS    6u
#define CMD_MASK    0x3fu
#define MAX_EXTENTS (UINT32_MAX >> CMD_BITS)
/* The largest extent of an unprivileged domain: 2^9 pages. */
#define MAX_ORDER 9u
#define BATCH     64u

/* Numbers that only tools use, which Xen's public header keeps from guests. */
#define MEM_get_sharing_freed_pages  18u
#define MEM_get_sharing_shared_pages 19u
#define MEM_access_op                21u
#define MEM_claim_pages              24u
#define MEM_reserved_device_map      27u

/* ---- extents ------------------------------------------------------------------------------------ */

struct memop {
	struct hv_vcpu *v;
	struct hv_domain *d;
	struct xen_memory_reservation r;
	uint64_t nr_done;
};

static bool extent_va(const struct memop *m, uint64_t i, uint64_t *va)
{
	return hv_array_va(xen_guest_handle_va(m->r.extent_start), i, sizeof(uint64_t), va);
}

static bool read_extent(const struct memop *m, uint64_t i, uint64_t *out)
{
	uint64_t va;

	return extent_va(m, i, &va) && !hv_copy_from_guest(m->v, out, va, sizeof(*out));
}

static bool write_extent(const struct memop *m, uint64_t i, uint64_t value)
{
	uint64_t va;

	return extent_va(m, i, &va) && !hv_copy_to_guest(m->v, va, &value, sizeof(value));
}

static bool increase_one(struct memop *m, uint64_t i)
{
	mfn_t mfn;

	if (hv_frame_alloc_extent(m->d, m->r.extent_order, &mfn))
		return false;
	/* As in Xen, pages whose number could not be told stay the domain's. */
	return !xen_guest_handle_va(m->r.extent_start) || write_extent(m, i, mfn.n);
}

static bool populate_one(struct memop *m, uint64_t i)
{
	uint64_t pfn;
	mfn_t mfn;

	if (!read_extent(m, i, &pfn) || (m->r.mem_flags & XENMEMF_populate_on_demand))
		return false;
	if (hv_frame_alloc_extent(m->d, m->r.extent_order, &mfn))
		return false;
	for (uint64_t k = 0; k < UINT64_C(1) << m->r.extent_order; k++)
		hv_m2p_set(m->d->machine, (mfn_t){ mfn.n + k }, pfn + k);
	return write_extent(m, i, mfn.n);
}

static bool remove_page(struct hv_domain *d, mfn_t mfn)
{
	struct hv_frame *f = hv_frame_own(d, mfn);

	/* The hypervisor's own pages stay: here they cannot be given away. */
	if (!f || !f->ref_count || f->state != HV_FRAME_GUEST)
		return false;
	hv_frame_give_up(d, mfn, f);
	return true;
}

static bool decrease_one(struct memop *m, uint64_t i)
{
	uint64_t mfn;

	if (!read_extent(m, i, &mfn))
		return false;
	for (uint64_t k = 0; k < UINT64_C(1) << m->r.extent_order; k++) {
		if (!remove_page(m->d, (mfn_t){ mfn + k }))
			return false;
	}
	return true;
}

static void each_extent(struct memop *m, bool (*one)(struct memop *, uint64_t))
{
	while (m->nr_done < m->r.nr_extents) {
		if (!one(m, m->nr_done))
			return;
		m->nr_done++;
		if (m->nr_done % BATCH == 0) {
			hv_domain_unlock(m->d);
			hv_domain_lock(m->d);
			if (atomic_load(&m->d->ending))
				return;
		}
	}
}

/* Whether frames may be given that fit the asked number of address bits and NUMA node. */
static bool flags_ok(struct hv_domain *d, uint32_t flags)
{
	uint32_t bits = XENMEMF_get_address_bits(flags);
	uint64_t last = d->mem.first.n + d->mem.nr_frames - 1;

	if (bits && (bits <= HV_PAGE_SHIFT || (bits < 64 && last >> (bits - HV_PAGE_SHIFT))))
		return false;
	return (flags & XENMEMF_vnode) || XENMEMF_get_node(flags) == 0xff ||
	       !(flags & XENMEMF_exact_node_request);
}

static int64_t reservation(struct hv_vcpu *v, unsigned op, uint64_t start, uint64_t arg)
{
	struct memop m = { .v = v, .d = v->domain, .nr_done = start };

	if (hv_copy_from_guest(v, &m.r, arg, sizeof(m.r)))
		return (int64_t)start;
	if (m.r.nr_extents > MAX_EXTENTS || start >= m.r.nr_extents)
		return (int64_t)start;
	if (hv_domid_check(v->domain, m.r.domid, true) || m.r.extent_order > MAX_ORDER)
		return (int64_t)start;
	if (op != XENMEM_decrease_reservation && !flags_ok(v->domain, m.r.mem_flags))
		return (int64_t)start;
	if (op == XENMEM_increase_reservation)
		each_extent(&m, increase_one);
	else if (op == XENMEM_decrease_reservation)
		each_extent(&m, decrease_one);
	else
		each_extent(&m, populate_one);
	return (int64_t)m.nr_done;
}

/* ---- exchange ----------------------------------------------------------------------------------- */

#define CHUNK_PAGES (1u << MAX_ORDER)

/*
 * Pages go in and others come out, in chunks of the larger of the two extents. The pages of a chunk
 * are taken out of use first, so that they can be among those that come out: a domain that has all
 * its memory can exchange, too. If that fails they are taken back, contents and all.
 */
struct exchange {
	struct hv_vcpu *v;
	struct hv_domain *d;
	struct xen_memory_exchange x;
	unsigned in_order, out_order; /* extents in one chunk, as powers of two */
	mfn_t in[CHUNK_PAGES];
	mfn_t out[CHUNK_PAGES]; /* first frames of extents */
	unsigned nr_in, nr_out;
};

/* A page that nobody but the domain's own hold refers to stops being the domain's. */
static int steal_page(struct exchange *e, mfn_t mfn)
{
	struct hv_frame *f = hv_frame_own(e->d, mfn);

	if (!f || f->state != HV_FRAME_GUEST || !f->allocated || f->ref_count != 1)
		return -XEN_EINVAL;
	hv_frame_retire(e->d, f);
	f->ref_count = 0;
	f->allocated = false;
	e->in[e->nr_in++] = mfn;
	return 0;
}

static void unsteal(struct exchange *e)
{
	for (unsigned i = 0; i < e->nr_in; i++) {
		struct hv_frame *f = hv_frame_own(e->d, e->in[i]);

		f->ref_count = 1;
		f->allocated = true;
	}
}

static int steal_chunk(struct exchange *e, uint64_t chunk)
{
	struct memop in = { .v = e->v, .d = e->d, .r = e->x.in };

	e->nr_in = 0;
	for (uint64_t j = 0; j < UINT64_C(1) << e->in_order; j++) {
		uint64_t mfn;
		int rc = -XEN_EFAULT;

		if (read_extent(&in, (chunk << e->in_order) + j, &mfn))
			rc = 0;
		for (uint64_t k = 0; !rc && k < UINT64_C(1) << e->x.in.extent_order; k++)
			rc = steal_page(e, (mfn_t){ mfn + k });
		if (rc) {
			unsteal(e);
			return rc;
		}
	}
	return 0;
}

static void free_stolen(struct exchange *e, bool free)
{
	for (unsigned i = 0; i < e->nr_in; i++)
		hv_frame_set_used(e->d, e->in[i], !free);
	if (free)
		e->d->mem.tot_pages -= e->nr_in;
	else
		e->d->mem.tot_pages += e->nr_in;
}

static bool was_stolen(const struct exchange *e, mfn_t mfn)
{
	for (unsigned i = 0; i < e->nr_in; i++) {
		if (hv_mfn_same(e->in[i], mfn))
			return true;
	}
	return false;
}

/* Gives extents back that a failed chunk had got already. */
static void undo_out(struct exchange *e, struct hv_frame *saved)
{
	struct hv_frame_pool *pool = &e->d->machine->pool;

	for (unsigned j = 0; j < e->nr_out; j++) {
		for (uint64_t k = 0; k < UINT64_C(1) << e->x.out.extent_order; k++) {
			mfn_t mfn = { e->out[j].n + k };

			if (!was_stolen(e, mfn))
				memset(hv_frame_own(e->d, mfn), 0, sizeof(struct hv_frame));
			hv_frame_set_used(e->d, mfn, false);
			e->d->mem.tot_pages--;
		}
	}
	free_stolen(e, false);
	for (unsigned i = 0; i < e->nr_in; i++)
		pool->table[e->in[i].n - pool->first] = saved[i];
	unsteal(e);
}

/* From here on nothing fails: old pages go, new ones get their numbers. */
static int finish_chunk(struct exchange *e, uint64_t chunk)
{
	struct memop out = { .v = e->v, .d = e->d, .r = e->x.out };
	struct hv_frame_pool *pool = &e->d->machine->pool;
	int rc = 0;

	for (unsigned i = 0; i < e->nr_in; i++) {
		hv_frame_punch(e->d, e->in[i], 1);
		if (hv_frame_ptr(e->d, e->in[i]))
			continue;
		hv_m2p_set(e->d->machine, e->in[i], ~UINT64_C(0));
		memset(&pool->table[e->in[i].n - pool->first], 0, sizeof(struct hv_frame));
	}
	for (unsigned j = 0; j < e->nr_out; j++) {
		uint64_t at = (chunk << e->out_order) + j, pfn;

		if (!read_extent(&out, at, &pfn)) {
			rc = -XEN_EFAULT;
			continue;
		}
		for (uint64_t k = 0; k < UINT64_C(1) << e->x.out.extent_order; k++)
			hv_m2p_set(e->d->machine, (mfn_t){ e->out[j].n + k }, pfn + k);
		if (!write_extent(&out, at, e->out[j].n))
			rc = -XEN_EFAULT;
	}
	return rc;
}

static int exchange_chunk(struct exchange *e, uint64_t chunk)
{
	struct hv_frame saved[CHUNK_PAGES];
	int rc = steal_chunk(e, chunk);

	if (rc)
		return rc;
	for (unsigned i = 0; i < e->nr_in; i++)
		saved[i] = *hv_frame_own(e->d, e->in[i]);
	free_stolen(e, true);
	for (e->nr_out = 0; e->nr_out < 1u << e->out_order; e->nr_out++) {
		if (hv_frame_alloc_extent(e->d, e->x.out.extent_order, &e->out[e->nr_out])) {
			undo_out(e, saved);
			return -XEN_ENOMEM;
		}
	}
	return finish_chunk(e, chunk);
}

/* Whether the list, from one of its extents on, can be addressed at all. */
static bool list_ok(const struct xen_memory_reservation *r, uint64_t first)
{
	uint64_t va;

	return first >= r->nr_extents || hv_array_va(xen_guest_handle_va(r->extent_start),
	                                             r->nr_extents - 1, sizeof(uint64_t), &va);
}

static int exchange_checks(struct exchange *e)
{
	const struct xen_memory_reservation *in = &e->x.in, *out = &e->x.out;

	if (in->extent_order > MAX_ORDER || out->extent_order > MAX_ORDER)
		return -XEN_EPERM;
	if (e->x.nr_exchanged > in->nr_extents || in->domid != out->domid ||
	    UINT64_MAX >> in->extent_order < in->nr_extents ||
	    UINT64_MAX >> out->extent_order < out->nr_extents ||
	    in->nr_extents << in->extent_order != out->nr_extents << out->extent_order)
		return -XEN_EINVAL;
	if (!list_ok(in, e->x.nr_exchanged) || !list_ok(out, 0))
		return -XEN_EFAULT;
	if (!flags_ok(e->d, out->mem_flags))
		return XENMEMF_get_address_bits(out->mem_flags) ? -XEN_ENOMEM : -XEN_EINVAL;
	return hv_domid_check(e->d, in->domid, true);
}

static int exchange_all(struct exchange *e)
{
	uint64_t chunk, chunks;
	int rc = 0;

	if (e->x.in.extent_order <= e->x.out.extent_order)
		e->in_order = e->x.out.extent_order - e->x.in.extent_order;
	else
		e->out_order = e->x.in.extent_order - e->x.out.extent_order;
	chunks = e->x.in.nr_extents >> e->in_order;
	for (chunk = e->x.nr_exchanged >> e->in_order; chunk < chunks && !rc; chunk++) {
		rc = exchange_chunk(e, chunk);
		if (rc)
			break;
		e->x.nr_exchanged = (chunk + 1) << e->in_order;
		hv_domain_unlock(e->d);
		hv_domain_lock(e->d);
		if (atomic_load(&e->d->ending))
			break;
	}
	return rc;
}

static int64_t exchange(struct hv_vcpu *v, uint64_t arg)
{
	struct exchange *e = calloc(1, sizeof(*e));
	int rc;

	if (!e)
		return -XEN_ENOMEM;
	e->v = v;
	e->d = v->domain;
	rc = hv_copy_from_guest(v, &e->x, arg, sizeof(e->x));
	if (!rc) {
		rc = exchange_checks(e);
		if (!rc)
			rc = exchange_all(e);
		if (hv_copy_to_guest(v, arg + offsetof(struct xen_memory_exchange, nr_exchanged),
		                     &e->x.nr_exchanged, sizeof(e->x.nr_exchanged)))
			rc = -XEN_EFAULT;
	}
	free(e);
	return rc;
}

/* ---- questions ---------------------------------------------------------------------------------- */

static int64_t about_domain(struct hv_vcpu *v, unsigned op, uint64_t arg)
{
	struct hv_domain *d = v->domain;
	struct xen_memory_domain q;
	uint64_t max_pfn;
	int rc;

	if (hv_copy_from_guest(v, &q, arg, sizeof(q)))
		return -XEN_EFAULT;
	rc = hv_domid_check(d, q.domid, true);
	if (rc)
		return rc;
	if (op == XENMEM_current_reservation)
		return (int64_t)d->mem.tot_pages;
	if (op == XENMEM_maximum_reservation)
		return (int64_t)d->mem.max_pages;
	/* What the guest itself said, as a count: the highest is one less. */
	max_pfn = __atomic_load_n(&d->shared_info->arch.max_pfn, __ATOMIC_RELAXED);
	return (int64_t)((max_pfn ? max_pfn : 1) - 1);
}

static int64_t machphys_mapping(struct hv_vcpu *v, uint64_t arg)
{
	const struct hv_domain *d = v->domain;
	uint64_t at = d->machine->engine->m2p_address(d), bytes;
	struct xen_machphys_mapping m;

	/* Where the engine maps nothing, reads of Xen's fixed address are emulated. */
	if (!at)
		at = MACH2PHYS_VIRT_START;
	bytes = d->machine->pool.m2p_entries * sizeof(uint64_t);
	m.v_start = at;
	m.v_end = at + bytes;
	m.max_mfn = d->machine->pool.m2p_entries - 1;
	return hv_copy_to_guest(v, arg, &m, sizeof(m));
}

/*
 * The table lies in no machine frames, and nobody could map them. It is told as numbers below all
 * memory, 2 MiB each, which are refused as Xen refuses its own frames; what is left over as gaps.
 */
static int64_t machphys_mfn_list(struct hv_vcpu *v, uint64_t arg)
{
	uint64_t bytes = v->domain->machine->pool.m2p_entries * sizeof(uint64_t), mfn, va;
	uint32_t parts = (uint32_t)((bytes + (2u << 20) - 1) / (2u << 20)), i;
	struct xen_machphys_mfn_list list;

	if (hv_copy_from_guest(v, &list, arg, sizeof(list)))
		return -XEN_EFAULT;
	for (i = 0; i < list.max_extents && i < parts; i++) {
		mfn = (i + 1) * HV_PTES;
		if (mfn >= v->domain->machine->pool.first)
			mfn = 0;
		if (!hv_array_va(xen_guest_handle_va(list.extent_start), i, sizeof(mfn), &va) ||
		    hv_copy_to_guest(v, va, &mfn, sizeof(mfn)))
			return -XEN_EFAULT;
	}
	list.nr_extents = i;
	return hv_copy_to_guest(v, arg, &list, sizeof(list));
}

/* ---- refused ------------------------------------------------------------------------------------ */

/* For translated guests only: the domid is looked at first, as in Xen. */
static int64_t physmap(struct hv_vcpu *v, unsigned op, uint64_t arg)
{
	/* domid, size, space (32 bits; in a batch domid, space, size of 16 bits each) */
	uint16_t head[4];
	uint32_t space;
	int rc;

	if (hv_copy_from_guest(v, head, arg, op == XENMEM_remove_from_physmap ? 2 : sizeof(head)))
		return -XEN_EFAULT;
	if (op != XENMEM_remove_from_physmap) {
		space = op == XENMEM_add_to_physmap ? head[2] | (uint32_t)head[3] << 16 : head[1];
		if (op == XENMEM_add_to_physmap && space == 4) /* frames of another domain */
			return -XEN_ENOSYS;
		if (op == XENMEM_add_to_physmap_batch && space == 3) /* a range */
			return -XEN_EOPNOTSUPP;
	}
	rc = hv_domid_check(v->domain, head[0], true);
	return rc == -XEN_ESRCH ? rc : -XEN_EACCES;
}

static int64_t claim_pages(struct hv_vcpu *v, uint64_t arg)
{
	struct xen_memory_reservation r;

	if (hv_copy_from_guest(v, &r, arg, sizeof(r)))
		return -XEN_EFAULT;
	if (xen_guest_handle_va(r.extent_start) || r.extent_order || r.mem_flags)
		return -XEN_EINVAL;
	if (r.domid >= DOMID_FIRST_RESERVED ||
	    hv_domid_check(v->domain, r.domid, true) == -XEN_ESRCH)
		return -XEN_EINVAL;
	return -XEN_EPERM;
}

/* The domain that stands first in an argument: 0, or why it cannot be. */
static int64_t named_domain(struct hv_vcpu *v, uint64_t arg, domid_t *domid)
{
	if (hv_copy_from_guest(v, domid, arg, sizeof(*domid)))
		return -XEN_EFAULT;
	return hv_domid_check(v->domain, *domid, true);
}

/* No device reserves memory, and none could be named. */
static int64_t reserved_device_map(struct hv_vcpu *v, uint64_t arg)
{
	uint32_t op[2]; /* flags, rows; what follows does not matter */

	if (hv_copy_from_guest(v, op, arg, sizeof(op)))
		return -XEN_EFAULT;
	if (op[0] & ~1u)
		return -XEN_EINVAL;
	op[1] = 0;
	return hv_copy_to_guest(v, arg, op, sizeof(op));
}

/* What other kinds of guests have, or only privilege counts. */
static int64_t refused(struct hv_vcpu *v, unsigned op, uint64_t arg)
{
	domid_t domid = 0;
	int64_t rc;

	switch (op) {
	case XENMEM_machine_memory_map:
		return -XEN_EPERM;
	case XENMEM_get_vnumainfo:
		rc = named_domain(v, arg, &domid);
		return rc ? rc : -XEN_EOPNOTSUPP;
	case XENMEM_set_pod_target:
	case XENMEM_get_pod_target:
	case MEM_access_op:
		return named_domain(v, arg, &domid) == -XEN_EFAULT ? -XEN_EFAULT : -XEN_EINVAL;
	case MEM_get_sharing_freed_pages: /* none are */
	case MEM_get_sharing_shared_pages:
		return 0;
	case XENMEM_machphys_compat_mfn_list: /* there are no 32-bit guests */
		return -XEN_EOPNOTSUPP;
	case MEM_reserved_device_map:
		return reserved_device_map(v, arg);
	case MEM_claim_pages:
		return claim_pages(v, arg);
	case XENMEM_acquire_resource:
		/* One's own resources are not acquired so, and others' not at all. */
		rc = named_domain(v, arg, &domid);
		if (!rc && domid == DOMID_SELF)
			return -XEN_ESRCH;
		return rc ? rc : -XEN_EPERM;
	default:
		return -XEN_ENOSYS;
	}
}

/* ---- the hypercall ------------------------------------------------------------------------------ */

static int64_t memory_op(struct hv_vcpu *v, unsigned op, uint64_t start, uint64_t arg)
{
	if (op <= XENMEM_decrease_reservation || op == XENMEM_populate_physmap)
		return reservation(v, op, start, arg);
	if (start && op <= XENMEM_acquire_resource)
		return op == XENMEM_add_to_physmap || op == XENMEM_add_to_physmap_batch
		               ? -XEN_EACCES
		               : -XEN_EINVAL;
	switch (op) {
	case XENMEM_maximum_ram_page:
		return (int64_t)v->domain->machine->pool.m2p_entries;
	case XENMEM_current_reservation:
	case XENMEM_maximum_reservation:
	case XENMEM_maximum_gpfn:
		return about_domain(v, op, arg);
	case XENMEM_exchange:
		return exchange(v, arg);
	case XENMEM_machphys_mapping:
		return machphys_mapping(v, arg);
	case XENMEM_machphys_mfn_list:
		return machphys_mfn_list(v, arg);
	case XENMEM_memory_map:
		return hv_memory_map_get(v, arg);
	case XENMEM_set_memory_map:
		return hv_memory_map_set(v, arg);
	case XENMEM_add_to_physmap:
	case XENMEM_add_to_physmap_batch:
	case XENMEM_remove_from_physmap:
		return physmap(v, op, arg);
	default:
		return refused(v, op, arg);
	}
}

int64_t hv_do_memory_op(struct hv_vcpu *v, const uint64_t *a)
{
	int64_t rc;

	hv_domain_lock(v->domain);
	rc = memory_op(v, a[0] & CMD_MASK, a[0] >> CMD_BITS, a[1]);
	hv_domain_unlock(v->domain);
	return rc;
}
