/* SPDX-License-Identifier: MIT */
/*
 * A guest process's mappings as a cache of the guest's page tables: filled on a miss, emptied by the
 * removals that the core reports.
 *
 * Removals go into a log of the domain; each process has a cursor in it. A process takes note of
 * the log when it is about to run under a root it was not running under (as a load of CR3 empties a
 * TLB), when a flush names its vCPU, and when a frame is retired. Whoever lags by more than the log
 * remembers gives up everything it has mapped.
 */
#include <errno.h>
#include <sys/mman.h>

#include "hypervisor-stub/engines/process/process.h"

#define MAX_FAILURES  16  /* mappings in a row that the host may refuse */
#define MAX_STRETCHES 16  /* of PE_MAP_MAX_LEN, to unmap one by one */
#define MAX_INHERITED 24  /* runs that a new process gets, */
#define MAX_LOOKS     256 /* among so many */
#define OWNER_SHIFT   48  /* an offset within a domain's memory is below 1 << this */

/* The host's limit on mappings in a process, less what the group needs and a split may cost. */
static size_t max_runs(void)
{
	static _Atomic size_t limit;
	size_t n = atomic_load(&limit);

	if (!n) {
		n = pe_max_mappings();
		n = n < 1128 ? 1000 : n - 128;
		n = n > 60000 ? 60000 : n;
		atomic_store(&limit, n);
	}
	return n;
}

static void drop_all(struct pe_proc *p)
{
	if (!p->maps.count)
		return;
	pe_maptree_clear(&p->maps);
	pe_order_unmap_all(p);
}

/* Whatever p has mapped in [start, end) goes. */
static void drop(struct pe_proc *p, uint64_t start, uint64_t end)
{
	const struct pe_maprun *r;
	unsigned stretches = 0;

	if (end > PE_GUEST_END)
		end = PE_GUEST_END;
	while (start < end && (r = pe_maptree_find(&p->maps, start, end))) {
		uint64_t from = r->start > start ? r->start : start;
		uint64_t to = end - from > PE_MAP_MAX_LEN ? from + PE_MAP_MAX_LEN : end;

		if (++stretches > MAX_STRETCHES) {
			drop_all(p);
			return;
		}
		/* Failing to forget it is harmless: the tree may hold more than the process. */
		pe_maptree_remove(&p->maps, from, to);
		pe_order_unmap(p, from, to - from);
		start = to;
	}
}

static bool concerns(const struct pe_proc *p, const struct pe_removal *r)
{
	return hv_mfn_is_none(r->root) || hv_mfn_same(r->root, p->root);
}

void pe_apply_log(struct pe_proc *p)
{
	struct pe_domain *pd = p->pd;
	uint64_t start = 0, end = 0; /* neighbours are taken together */

	if (pd->log_head - p->cursor > PE_LOG_SIZE) {
		drop_all(p);
		p->cursor = pd->log_head;
		return;
	}
	while (p->cursor < pd->log_head) {
		const struct pe_removal *r = &pd->log[p->cursor++ % PE_LOG_SIZE];

		if (!concerns(p, r))
			continue;
		if (!r->len) {
			drop_all(p);
			start = end = 0;
			continue;
		}
		if (r->va == end) {
			end += r->len;
			continue;
		}
		drop(p, start, end);
		start = r->va;
		end = r->va + r->len;
	}
	drop(p, start, end);
}

uint64_t pe_entry_changed(struct hv_domain *d, const struct hv_entry_change *c)
{
	struct pe_domain *pd = pe_of(d);
	struct pe_removal r = { .root = c->root, .va = c->va, .len = c->len };
	uint64_t seq;

	/* Addresses that no process can have mapped: canonical ones of the upper half, and ours. */
	if (r.len && r.va + r.len < r.va)
		r.len = -r.va;
	pthread_mutex_lock(&pd->lock);
	pd->log[pd->log_head % PE_LOG_SIZE] = r;
	seq = ++pd->log_head;
	pthread_mutex_unlock(&pd->lock);
	return seq;
}

static bool is_ours(const struct pe_vcpu *pv)
{
	return pv->entered && pthread_equal(pv->thread, pthread_self());
}

void pe_sync(struct hv_domain *d, uint32_t vcpu_mask)
{
	struct pe_domain *pd = pe_of(d);

	pthread_mutex_lock(&pd->lock);
	for (unsigned i = 0; i < d->nr_vcpus; i++) {
		struct pe_vcpu *pv = d->vcpu[i] ? d->vcpu[i]->engine_priv : NULL;

		if (!(vcpu_mask >> i & 1) || !pv)
			continue;
		if (pv->current) {
			pe_apply_log(pv->current);
			/* Our own guest is released only behind what was ordered just now. */
			if (!is_ours(pv))
				pe_order_ask(pv->current);
		}
		if (pv->partner) {
			pe_apply_log(pv->partner);
			pe_order_ask(pv->partner);
		}
	}
	pe_order_wait_confirmed(pd);
	pthread_mutex_unlock(&pd->lock);
}

void pe_retire(struct hv_domain *d, uint64_t seq)
{
	struct pe_domain *pd = pe_of(d);

	pthread_mutex_lock(&pd->lock);
	for (struct pe_proc *p = pd->procs; p; p = p->next) {
		if (p->cursor < seq)
			pe_apply_log(p);
		pe_order_ask(p);
	}
	pe_order_wait_confirmed(pd);
	/* Those that are about to be ended are on no list, and may still run what they like. */
	pe_nursery_wait_ended(pd);
	pthread_mutex_unlock(&pd->lock);
}

static bool in_domain(const struct hv_domain *d, mfn_t mfn, uint64_t nr)
{
	uint64_t index = mfn.n - d->mem.first.n;

	return mfn.n >= d->mem.first.n && index < d->mem.nr_frames &&
	       nr <= d->mem.nr_frames - index;
}

/*
 * Whether the host refuses one mapping after the other. The mapper gives up what there was and the
 * guest faults again, which helps against too many mappings, but not without an end.
 */
static bool host_refuses(struct pe_proc *p)
{
	uint32_t failed = pe_load(p->state, STATE_MAP_FAILED);

	p->failed_in_a_row = failed == p->failed ? 0 : p->failed_in_a_row + 1;
	p->failed = failed;
	return p->failed_in_a_row > MAX_FAILURES;
}

/*
 * The run of frames at [start, end) in p, `offset` bytes into its owner's memory. For the tree foreign
 * memory is memory of other offsets, so that it never seems to go on where another's ends.
 */
static int map_run(struct pe_proc *p, const struct hv_domain *owner, uint64_t start, uint64_t end,
                   uint64_t offset, uint32_t prot)
{
	bool own = owner == p->pd->d;
	uint64_t bias = own ? 0 : (uint64_t)(owner->domid + 1) << OWNER_SHIFT;

	if (host_refuses(p))
		return -ENOMEM;
	if (p->maps.count + 2 > max_runs())
		drop_all(p);
	if (!pe_maptree_insert(&p->maps, start, end, bias + offset, prot))
		return -ENOMEM;
	while (start < end) {
		uint64_t len = end - start > PE_MAP_MAX_LEN ? PE_MAP_MAX_LEN : end - start;

		struct pe_foreign_map m = { start, len, offset, prot, owner->mem.memfd };

		if (own)
			pe_order_map(p, start, len, offset, prot);
		else
			pe_foreign_map(p, &m);
		start += len;
		offset += len;
	}
	return 0;
}

int pe_fill(struct hv_vcpu *v, const struct hv_run_map *run)
{
	struct pe_vcpu *pv = v->engine_priv;
	struct pe_domain *pd = pv->pd;
	uint32_t prot = PROT_READ | (run->writable ? PROT_WRITE : 0) |
	                (run->executable ? PROT_EXEC : 0);
	uint64_t skip = 0; /* the head of the run that this host lets nobody map */
	const struct hv_domain *owner = v->domain;
	struct pe_proc *p;
	int rc = 0;

	if (run->miss < pe_lowest_address())
		return -EFAULT;
	if (run->va < pe_lowest_address())
		skip = pe_lowest_address() - run->va;
	if (run->va % HV_PAGE_SIZE || run->va >= PE_GUEST_END ||
	    run->nr > (PE_GUEST_END - run->va) / HV_PAGE_SIZE)
		return -EINVAL;
	pthread_mutex_lock(&pd->lock);
	if (!in_domain(owner, run->mfn, 1))
		owner = pe_foreign_owner(pd, run->mfn);
	if (!owner || !in_domain(owner, run->mfn, run->nr)) {
		pthread_mutex_unlock(&pd->lock);
		return -EINVAL;
	}
	p = pv->current;
	if (pv->partner && p && !hv_mfn_same(p->root, run->root))
		p = pv->partner;
	/* A miss under a root that has gone meanwhile needs no mapping any more. */
	if (p && hv_mfn_same(p->root, run->root) && !atomic_load(&p->is_orphan) && run->nr)
		rc = map_run(p, owner, run->va + skip, run->va + run->nr * HV_PAGE_SIZE,
		             hv_frame_offset(owner, run->mfn) + skip, prot);
	pthread_mutex_unlock(&pd->lock);
	return rc;
}

/*
 * What a process has mapped is true once it has taken note of the log, and stays so under another root
 * where the tables are the same; whatever changes later comes to both by the log, for a table that two
 * roots share is reported for any root. Foreign frames are left to a miss.
 */
void pe_inherit(struct pe_proc *p, struct pe_proc *from)
{
	const struct hv_domain *d = p->pd->d;
	const struct pe_maprun *r;
	unsigned runs = 0, looks = 0;
	uint64_t at = 0, end;

	pe_apply_log(from);
	while ((r = pe_maptree_find(&from->maps, at, PE_GUEST_END)) && runs < MAX_INHERITED &&
	       looks++ < MAX_LOOKS) {
		uint64_t start = r->start > at ? r->start : at;
		uint64_t offset = r->offset + (start - r->start);

		at = start;
		while (at < r->end && hv_roots_share(d, from->root, p->root, at, &end))
			at = end < r->end ? end : r->end;
		if (at == start)
			at = end;
		else if (offset >> OWNER_SHIFT || !map_run(p, d, start, at, offset, r->prot))
			runs++;
		else
			return;
	}
}

void pe_map_window(struct pe_proc *p)
{
	struct hv_vcpu *v = p->owner->v;
	const struct hv_domain *d = v->domain;

	if (p->is_user || hv_mfn_same(p->window, v->info_mfn) || !in_domain(d, v->info_mfn, 1))
		return;
	pe_order_map(p, PE_WINDOW, HV_PAGE_SIZE, hv_frame_offset(d, v->info_mfn),
	             PROT_READ | PROT_WRITE);
	p->window = v->info_mfn;
}
