/* SPDX-License-Identifier: MIT */
/*
 * The model cache of the fake engine; see fake_engine.h.
 */
#include <stdlib.h>
#include <string.h>

#include "hypervisor-stub/core/gnttab_priv.h"
#include "hypervisor-stub/core/mmu.h"
#include "tests/fake/fake_engine.h"

struct fake_engine *fake_of(const struct hv_domain *d)
{
	return d->engine_priv;
}

static int *head_of(struct fake_engine *e, unsigned vcpu, mfn_t root, uint64_t va)
{
	uint64_t key = (va >> HV_PAGE_SHIFT) * 64 + vcpu + root.n * 7919;

	return &e->head[key % FAKE_HEADS];
}

static struct fake_page *find(struct fake_engine *e, unsigned vcpu, mfn_t root, uint64_t va)
{
	for (int i = *head_of(e, vcpu, root, va); i >= 0; i = e->page[i].next) {
		struct fake_page *p = &e->page[i];

		if (p->vcpu == vcpu && p->va == va && hv_mfn_same(p->root, root))
			return p;
	}
	return NULL;
}

const struct fake_page *fake_cached(const struct hv_domain *d, unsigned vcpu, mfn_t root,
                                    uint64_t va)
{
	return find(fake_of(d), vcpu, root, va & ~UINT64_C(0xfff));
}

static struct fake_page *add(struct fake_engine *e, unsigned vcpu, mfn_t root, uint64_t va)
{
	int *head = head_of(e, vcpu, root, va), i = e->free_page;

	if (i < 0) {
		int now = e->nr_pages, want = now ? now * 2 : 1024;

		e->page = realloc(e->page, (size_t)want * sizeof(*e->page));
		HV_ASSERT(e->page);
		memset(e->page + now, 0, (size_t)(want - now) * sizeof(*e->page));
		for (int k = want; k-- > now;) {
			e->page[k].next = e->free_page;
			e->free_page = k;
		}
		e->nr_pages = want;
		i = e->free_page;
	}
	e->free_page = e->page[i].next;
	e->page[i] = (struct fake_page){
		.root = root, .va = va, .vcpu = vcpu, .in_use = true, .next = *head
	};
	*head = i;
	return &e->page[i];
}

static void drop(struct fake_engine *e, struct fake_page *p)
{
	int *at = head_of(e, p->vcpu, p->root, p->va), i = (int)(p - e->page);

	while (*at != i)
		at = &e->page[*at].next;
	*at = p->next;
	p->in_use = false;
	p->next = e->free_page;
	e->free_page = i;
}

/* ---- the interface ------------------------------------------------------------------------------ */

static int yes(char *why, size_t why_len)
{
	(void)why;
	(void)why_len;
	return 0;
}

static int yes_range(uint64_t lo, uint64_t hi, char *why, size_t why_len)
{
	(void)lo;
	(void)hi;
	(void)why;
	(void)why_len;
	return 0;
}

static uint64_t m2p_address(const struct hv_domain *d)
{
	(void)d;
	return UINT64_C(0x7e0000000000);
}

static int domain_create(struct hv_domain *d)
{
	struct fake_engine *e = calloc(1, sizeof(*e));

	HV_ASSERT(e);
	e->free_page = -1;
	memset(e->head, 0xff, sizeof(e->head));
	d->engine_priv = e;
	return 0;
}

static void domain_destroy(struct hv_domain *d)
{
	HV_ASSERT(fake_of(d)->foreign == 0);
	free(fake_of(d)->page);
	free(d->engine_priv);
	d->engine_priv = NULL;
}

static void fill_hypercall_page(struct hv_domain *d, uint8_t page[HV_PAGE_SIZE])
{
	(void)d;
	memset(page, 0xcc, HV_PAGE_SIZE);
}

static int vcpu_create(struct hv_vcpu *v)
{
	(void)v;
	return 0;
}

static void vcpu_nothing(struct hv_vcpu *v)
{
	(void)v;
}

static int vcpu_run(struct hv_vcpu *v, struct hv_exit *exit)
{
	(void)v;
	*exit = (struct hv_exit){ .kind = HV_EXIT_DEAD, .why = "the fake engine runs nothing" };
	return 0;
}

static int fill(struct hv_vcpu *v, const struct hv_run_map *run)
{
	struct fake_engine *e = fake_of(v->domain);

	e->fills++;
	e->last_run = *run;
	if (e->fill_rc)
		return e->fill_rc;
	for (uint64_t i = 0; i < run->nr; i++) {
		uint64_t va = run->va + (i << HV_PAGE_SHIFT);
		struct fake_page *p = find(e, v->id, run->root, va);

		if (!p)
			p = add(e, v->id, run->root, va);
		p->mfn.n = run->mfn.n + i;
		p->writable = run->writable;
		p->executable = run->executable;
		p->stale_seq = 0;
	}
	return 0;
}

static uint64_t entry_changed(struct hv_domain *d, const struct hv_entry_change *c)
{
	struct fake_engine *e = fake_of(d);

	e->changes++;
	e->last_change = *c;
	e->seq++;
	for (int i = 0; i < e->nr_pages; i++) {
		struct fake_page *p = &e->page[i];

		if (!p->in_use || p->stale_seq)
			continue;
		if (!hv_mfn_is_none(c->root) && !hv_mfn_same(c->root, p->root))
			continue;
		if (c->len && p->va - c->va >= c->len)
			continue;
		p->stale_seq = e->seq;
	}
	return e->seq;
}

static void sync_vcpus(struct hv_domain *d, uint32_t vcpu_mask)
{
	struct fake_engine *e = fake_of(d);

	e->syncs++;
	e->last_sync = vcpu_mask;
	for (int i = 0; i < e->nr_pages; i++) {
		struct fake_page *p = &e->page[i];

		if (p->in_use && p->stale_seq && (vcpu_mask >> p->vcpu & 1))
			drop(e, p);
	}
}

static void retire(struct hv_domain *d, uint64_t seq)
{
	struct fake_engine *e = fake_of(d);

	HV_ASSERT(seq <= e->seq);
	e->retires++;
	e->last_retire = seq;
	for (int i = 0; i < e->nr_pages; i++) {
		struct fake_page *p = &e->page[i];

		if (p->in_use && p->stale_seq && p->stale_seq <= seq)
			drop(e, p);
	}
}

static void root_gone(struct hv_domain *d, mfn_t root)
{
	struct fake_engine *e = fake_of(d);

	e->roots_gone++;
	e->last_root_gone = root;
	/* Lazy here, too: what was cached under it goes by entry_changed() and retire(). */
}

static int foreign_begin(struct hv_domain *d, struct hv_domain *owner)
{
	HV_ASSERT(d != owner);
	if (fake_of(d)->own_only)
		return -1;
	fake_of(d)->foreign++;
	return 0;
}

static void foreign_end(struct hv_domain *d, struct hv_domain *owner)
{
	HV_ASSERT(d != owner && fake_of(d)->foreign > 0);
	fake_of(d)->foreign--;
}

static uint64_t local_hypercalls(const struct hv_vcpu *v, unsigned nr)
{
	(void)v;
	(void)nr;
	return 0;
}

static void vcpu_set_fpu(struct hv_vcpu *v, const uint8_t image[512])
{
	(void)v;
	(void)image;
}

const struct hv_engine fake_engine = {
	.name = "fake",
	.probe = yes,
	.check_range = yes_range,
	.m2p_address = m2p_address,
	.domain_create = domain_create,
	.domain_destroy = domain_destroy,
	.fill_hypercall_page = fill_hypercall_page,
	.vcpu_create = vcpu_create,
	.vcpu_destroy = vcpu_nothing,
	.vcpu_run = vcpu_run,
	.vcpu_kick = vcpu_nothing,
	.vcpu_reset_fpu = vcpu_nothing,
	.vcpu_set_fpu = vcpu_set_fpu,
	.fill = fill,
	.entry_changed = entry_changed,
	.sync = sync_vcpus,
	.retire = retire,
	.root_gone = root_gone,
	.foreign_begin = foreign_begin,
	.foreign_end = foreign_end,
	.local_hypercalls = local_hypercalls,
};

/* ---- the invariants ----------------------------------------------------------------------------- */

/* Whether a grant of another domain still holds this frame for d. */
static bool is_granted(const struct hv_domain *d, mfn_t mfn)
{
	for (unsigned i = 0; i < d->gnttab.nr_maps; i++) {
		const struct hv_gnttab_map *map = &d->gnttab.maps[i];

		if (map->in_use && (map->live || map->pending) && hv_mfn_same(map->mfn, mfn))
			return true;
	}
	return false;
}

static bool frame_fits(struct hv_domain *d, const struct fake_page *p)
{
	struct hv_domain *owner = hv_frame_domain(d->machine, p->mfn);
	const struct hv_frame *f = owner ? hv_frame_own(owner, p->mfn) : NULL;

	/* A frame that gave itself back may have been handed out again: then nobody maps it. */
	if (!f || !f->ref_count || (owner != d && !is_granted(d, p->mfn)))
		return false;
	return !p->writable || f->type_count == 0 || f->type == HV_TYPE_WRITABLE;
}

static bool tables_agree(struct hv_domain *d, const struct fake_page *p)
{
	struct hv_walk w;

	hv_walk(d, p->root, p->va, &w);
	return w.present && hv_mfn_same(w.mfn, p->mfn) && (w.writable || !p->writable) &&
	       (w.executable || !p->executable);
}

unsigned fake_cache_check(struct hv_domain *d)
{
	struct fake_engine *e = fake_of(d);
	unsigned bad = 0;

	for (int i = 0; i < e->nr_pages; i++) {
		const struct fake_page *p = &e->page[i];
		bool fits, agrees;

		if (!p->in_use)
			continue;
		fits = frame_fits(d, p);
		agrees = p->stale_seq || tables_agree(d, p);
		if (fits && agrees)
			continue;
		bad++;
		hv_log(d, "cache: vcpu %u root %#lx va %#lx frame %#lx%s: %s", p->vcpu,
		       (unsigned long)p->root.n, (unsigned long)p->va, (unsigned long)p->mfn.n,
		       p->writable ? " writable" : "",
		       fits ? "differs from the tables" : "must not be there");
	}
	return bad;
}
