/* SPDX-License-Identifier: MIT */
/*
 * The machine that memory tests start from; see mem_world.h.
 */
#include <string.h>

#include "abi/mmu.h"
#include "hypervisor-stub/core/gnttab.h"
#include "hypervisor-stub/core/guestcopy.h"
#include "hypervisor-stub/core/hypercall.h"
#include "tests/fake/mem_world.h"

/* The tables: root, L3, L2, then one L1 table for each 512 pages of the direct map. */
#define NR_L1  ((WORLD_PAGES + 511u) / 512u)
#define TABLES (WORLD_PAGES - 3u - NR_L1)

mfn_t world_mfn(const struct hv_domain *d, uint64_t pfn)
{
	return (mfn_t){ d->mem.first.n + pfn };
}

uint64_t world_va(uint64_t pfn)
{
	return WORLD_BASE + (pfn << HV_PAGE_SHIFT);
}

uint64_t *world_page(struct hv_domain *d, uint64_t pfn)
{
	return hv_frame_ptr(d, world_mfn(d, pfn));
}

struct hv_frame *world_frame(struct hv_domain *d, uint64_t pfn)
{
	return hv_frame_own(d, world_mfn(d, pfn));
}

uint64_t world_entry(const struct hv_domain *d, uint64_t pfn, uint64_t flags)
{
	return world_mfn(d, pfn).n << HV_PAGE_SHIFT | flags;
}

uint64_t world_root(void)
{
	return TABLES;
}

uint64_t world_l3(void)
{
	return TABLES + 1;
}

uint64_t world_l2(void)
{
	return TABLES + 2;
}

uint64_t world_l1(unsigned n)
{
	return TABLES + 3 + n;
}

uint64_t world_ptr(const struct hv_domain *d, uint64_t pfn, unsigned i)
{
	return (world_mfn(d, pfn).n << HV_PAGE_SHIFT) + i * sizeof(uint64_t);
}

uint64_t world_place(const struct hv_domain *d, uint64_t pfn)
{
	return world_ptr(d, world_l1((unsigned)(pfn / 512)), pfn % 512);
}

/* ---- making and ending ---------------------------------------------------------------------------- */

static void make_tables(struct hv_domain *d)
{
	world_page(d, world_root())[WORLD_BASE >> 39 & 511] = world_entry(d, world_l3(),
	                                                                  WORLD_HIGH);
	world_page(d, world_l3())[WORLD_BASE >> 30 & 511] = world_entry(d, world_l2(), WORLD_HIGH);
	for (unsigned i = 0; i < NR_L1; i++)
		world_page(d, world_l2())[(WORLD_BASE >> 21 & 511) + i] =
			world_entry(d, world_l1(i), WORLD_HIGH);
	for (unsigned pfn = 0; pfn < WORLD_PAGES; pfn++)
		world_page(d, world_l1(pfn / 512))[pfn % 512] =
			world_entry(d, pfn, pfn < TABLES ? WORLD_L1 : WORLD_L1 & ~PTE_W);
}

struct hv_domain *world_add(struct world *w)
{
	struct hv_domain_config c = { .name = "test",
		                      .nr_pages = WORLD_PAGES,
		                      .max_pages = WORLD_PAGES + 40,
		                      .nr_vcpus = WORLD_VCPUS };
	struct hv_domain *d;
	int rc = hv_domain_create(w->m, &c, &d);

	HV_ASSERT(!rc && w->nr < WORLD_MAX);
	hv_domain_lock(d);
	for (unsigned pfn = 0; pfn < WORLD_PAGES; pfn++)
		hv_m2p_set(w->m, world_mfn(d, pfn), pfn);
	make_tables(d);
	for (unsigned i = 0; i < WORLD_VCPUS; i++) {
		rc = hv_vcpu_set_root(d->vcpu[i], world_mfn(d, world_root()));
		HV_ASSERT(!rc);
		d->vcpu[i]->is_initialised = true;
	}
	hv_domain_unlock(d);
	w->all[w->nr++] = d;
	return d;
}

void world_init(struct world *w)
{
	int rc;

	memset(w, 0, sizeof(*w));
	rc = hv_machine_create(&w->m, &fake_engine, UINT64_C(4096));
	HV_ASSERT(!rc);
	w->d = world_add(w);
	w->v = w->d->vcpu[0];
}

/* Whatever state the guest left: after the teardown nothing holds a frame but the domain itself. */
static void check_zero(struct hv_domain *d)
{
	for (uint64_t i = 0; i < d->mem.nr_frames; i++) {
		mfn_t mfn = { d->mem.first.n + i };
		const struct hv_frame *f = hv_frame_own(d, mfn);

		if (!f || f->state != HV_FRAME_GUEST)
			continue;
		HV_ASSERT(f->type_count == 0);
		HV_ASSERT(f->allocated && f->ref_count == 1);
	}
}

void world_end(struct world *w, struct hv_domain *d)
{
	unsigned i = 0;

	hv_gnttab_domain_fini(d);
	hv_domain_lock(d);
	hv_mmu_domain_teardown(d);
	check_zero(d);
	hv_domain_unlock(d);
	HV_ASSERT(hv_mmu_audit(d) == 0);
	hv_domain_destroy(d);
	while (w->all[i] != d)
		i++;
	for (w->nr--; i < w->nr; i++)
		w->all[i] = w->all[i + 1];
}

void world_fini(struct world *w)
{
	while (w->nr)
		world_end(w, w->all[w->nr - 1]);
	hv_machine_destroy(w->m);
}

/* ---- what a guest does ------------------------------------------------------------------------------ */

int64_t world_call(struct hv_vcpu *v, unsigned nr, uint64_t a0, uint64_t a1, uint64_t a2,
                   uint64_t a3)
{
	const struct hv_hypercall *h = hv_hypercall_lookup(nr);
	uint64_t a[6] = { a0, a1, a2, a3 };
	int64_t rc;

	HV_ASSERT(h && h->fn);
	if (!(h->flags & HV_HC_UNLOCKED))
		hv_domain_lock(v->domain);
	rc = h->fn(v, a);
	if (!(h->flags & HV_HC_UNLOCKED))
		hv_domain_unlock(v->domain);
	return rc;
}

uint64_t world_args(struct hv_vcpu *v, unsigned offset, const void *src, size_t len)
{
	memcpy((uint8_t *)world_page(v->domain, WORLD_ARGS) + offset, src, len);
	return world_va(WORLD_ARGS) + offset;
}

void world_read(struct hv_vcpu *v, uint64_t va, void *dst, size_t len)
{
	int rc;

	hv_domain_lock(v->domain);
	rc = hv_copy_from_guest(v, dst, va, len);
	hv_domain_unlock(v->domain);
	HV_ASSERT(!rc);
}

int64_t world_update(struct hv_vcpu *v, uint64_t ptr, uint64_t val)
{
	struct mmu_update rq = { .ptr = ptr, .val = val };

	return world_call(v, __HYPERVISOR_mmu_update, world_args(v, 0, &rq, sizeof(rq)), 1, 0,
	                  DOMID_SELF);
}

int64_t world_ext(struct hv_vcpu *v, unsigned cmd, uint64_t arg1, uint64_t arg2)
{
	struct mmuext_op op = { .cmd = cmd };

	op.arg1.mfn = arg1;
	op.arg2.src_mfn = arg2;
	return world_call(v, __HYPERVISOR_mmuext_op, world_args(v, 0, &op, sizeof(op)), 1, 0,
	                  DOMID_SELF);
}

int64_t world_protect(struct hv_vcpu *v, uint64_t pfn, uint64_t flags)
{
	return world_call(v, __HYPERVISOR_update_va_mapping, world_va(pfn),
	                  world_entry(v->domain, pfn, flags), UVMF_NONE, 0);
}

enum hv_fault_answer world_touch(struct hv_vcpu *v, uint64_t va, uint32_t ec)
{
	return hv_mmu_fault(v, va, &ec);
}

unsigned world_check(struct world *w)
{
	unsigned bad = 0;

	for (unsigned i = 0; i < w->nr; i++) {
		hv_domain_lock(w->all[i]);
		bad += hv_mmu_audit(w->all[i]);
		bad += fake_cache_check(w->all[i]);
		hv_domain_unlock(w->all[i]);
	}
	return bad;
}
