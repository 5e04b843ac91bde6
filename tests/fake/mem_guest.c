/* SPDX-License-Identifier: MIT */
/*
 * The hostile guests; see mem_guest.h.
 *
 * They know what is worth attacking: a few pages each are used as everything at once (tables of all
 * levels, descriptor tables, data, granted frames), and entries are made of frames that exist and
 * flags that matter, with some noise. A store goes through the model cache of the engine, stale
 * translations included, as real guest code would do it before a flush.
 */
#include <string.h>

#include "tests/fake/mem_guest.h"
#include "tests/fake/mem_world.h"
#include "abi/errno.h"
#include "abi/grant_table.h"
#include "abi/memory.h"
#include "abi/mmu.h"

#define POOL  20u /* pages with which they play, from WORLD_FREE on */
#define REFS  6u  /* grant references that they use, from 8 on */
#define MAPS  12u
#define NICHE 64u /* one in so many random places may cut the branch that we sit on */

struct guest {
	struct world w;
	const uint8_t *data;
	size_t len;
	struct hv_vcpu *v; /* who acts */
	struct hv_domain *d;
	struct {
		grant_handle_t handle;
		uint64_t addr, bus;
	} map[MAPS];
};

static uint8_t byte(struct guest *g)
{
	if (!g->len)
		return 0;
	g->len--;
	return *g->data++;
}

static uint64_t word(struct guest *g)
{
	uint64_t x = 0;

	for (unsigned i = 0; i < 8; i++)
		x = x << 8 | byte(g);
	return x;
}

/* ---- choices ------------------------------------------------------------------------------------- */

/* A pseudo-physical page: mostly of the pool, sometimes a table, sometimes anything. */
static uint64_t some_pfn(struct guest *g)
{
	uint8_t b = byte(g);

	if (b < 200)
		return WORLD_FREE + b % POOL;
	if (b < 240)
		return world_root() + b % 5;
	return byte(g) * 3u;
}

static uint64_t some_mfn(struct guest *g)
{
	uint8_t b = byte(g);

	if (b < 230)
		return world_mfn(g->d, some_pfn(g)).n;
	switch (b % 5) {
	case 0:
		return g->d->shared_info_mfn.n;
	case 1:
		return world_mfn(g->w.all[byte(g) % g->w.nr], some_pfn(g)).n;
	case 2:
		return g->d->mem.first.n + WORLD_PAGES + byte(g) % 60;
	case 3:
		return g->d->gnttab.frame[0].n;
	default:
		return word(g);
	}
}

static uint64_t some_flags(struct guest *g)
{
	static const uint64_t flags[] = {
		WORLD_HIGH,
		WORLD_L1,
		WORLD_L1 & ~PTE_W,
		PTE_P,
		PTE_P | PTE_U | PTE_NX,
		PTE_P | PTE_W,
		WORLD_L1 | PTE_D,
		0,
	};
	uint8_t b = byte(g);

	if (b < 240)
		return flags[b % 8];
	return word(g) & ~PTE_FRAME;
}

static uint64_t some_entry(struct guest *g)
{
	uint64_t mfn = some_mfn(g);

	return (mfn << HV_PAGE_SHIFT & PTE_FRAME) | some_flags(g);
}

/* An index that tends to be one of a few; in the first tables those that carry us are spared. */
static unsigned some_index(struct guest *g, uint64_t pfn)
{
	static const unsigned usual[] = { 0, 1, 2, 9, 10, 255, 256, 272, 300, 511 };
	uint8_t b = byte(g);
	unsigned i = b < 220 ? usual[b % 10] : (b * 7u + byte(g)) % HV_PTES;

	if (pfn >= world_root() && pfn <= world_l1(0) && i < 2 && byte(g) % NICHE)
		i += 20;
	return i;
}

static uint64_t some_va(struct guest *g)
{
	uint8_t b = byte(g);

	if (b < 220)
		return world_va(some_pfn(g)) + (b & 7) * 8u;
	switch (b % 4) {
	case 0:
		return MACH2PHYS_VIRT_START + byte(g) * 8u;
	case 1: /* the view through a linear entry */
		return UINT64_C(0xffff880000000000) + (UINT64_C(272) << 30) +
		       (UINT64_C(272) << 21) + (UINT64_C(272) << 12);
	case 2:
		return WORLD_BASE + ((uint64_t)byte(g) << 21) + (byte(g) << 12);
	default:
		return word(g);
	}
}

static bool spared(struct guest *g, uint64_t va)
{
	return va >= world_va(0) && va < world_va(WORLD_FREE) && byte(g) % NICHE;
}

/* ---- steps --------------------------------------------------------------------------------------- */

static void step_va_mapping(struct guest *g)
{
	uint64_t va = some_va(g), entry = some_entry(g);
	unsigned flush = byte(g);

	if (!spared(g, va))
		(void)world_call(g->v, __HYPERVISOR_update_va_mapping, va, entry, flush & 7, 0);
}

static void step_update(struct guest *g)
{
	uint64_t pfn = some_pfn(g), ptr = world_ptr(g->d, pfn, some_index(g, pfn));
	uint8_t cmd = byte(g);

	(void)world_update(g->v, ptr | (cmd < 250 ? cmd % 4u : cmd & 7u), some_entry(g));
}

/* A store by guest code: through the cache of this vCPU, fresh or stale. */
static void step_store(struct guest *g)
{
	struct hv_vcpu *v = g->v;
	uint64_t va = some_va(g) & ~UINT64_C(7), val = some_entry(g);
	const struct fake_page *p;
	struct hv_domain *owner;

	va += some_index(g, 0) * 8u;
	if (spared(g, va))
		return;
	p = fake_cached(g->d, v->id, hv_vcpu_root(v), va);
	if (!p || !p->writable) {
		if (world_touch(v, va, PFEC_W) != HV_FAULT_RESUME)
			return;
		p = fake_cached(g->d, v->id, hv_vcpu_root(v), va);
	}
	HV_ASSERT(p && p->writable);
	owner = hv_frame_domain(g->w.m, p->mfn);
	HV_ASSERT(owner);
	/* The grant table and shared_info are left alone: other steps use them. */
	if (hv_frame_own(owner, p->mfn)->state == HV_FRAME_GUEST)
		((uint64_t *)hv_frame_ptr(owner, p->mfn))[va / 8 % HV_PTES] = val;
}

static void step_ext(struct guest *g)
{
	static const uint8_t usual[] = {
		MMUEXT_PIN_L1_TABLE, MMUEXT_PIN_L2_TABLE,     MMUEXT_PIN_L3_TABLE,
		MMUEXT_PIN_L4_TABLE, MMUEXT_UNPIN_TABLE,      MMUEXT_UNPIN_TABLE,
		MMUEXT_NEW_BASEPTR,  MMUEXT_NEW_USER_BASEPTR, MMUEXT_TLB_FLUSH_LOCAL,
		MMUEXT_CLEAR_PAGE,   MMUEXT_COPY_PAGE,        MMUEXT_TLB_FLUSH_ALL,
	};
	uint8_t b = byte(g);
	unsigned cmd = b < 240 ? usual[b % sizeof(usual)] : byte(g);

	/* vCPU 0 keeps its root, so that it can always act. */
	if (cmd == MMUEXT_NEW_BASEPTR && g->v->id == 0 && byte(g) % NICHE)
		return;
	(void)world_ext(g->v, cmd, some_mfn(g), some_mfn(g));
}

/* A whole tree as a kernel makes one, of pages of the pool: parts are shared, some of it fails. */
static void step_tree(struct guest *g)
{
	uint64_t pfn[4], above, place = WORLD_BASE;
	uint8_t b = byte(g);

	for (unsigned i = 0; i < 4; i++)
		pfn[i] = WORLD_FREE + byte(g) % POOL;
	if (b & 1)
		pfn[2] = world_l3();
	if (b & 2)
		place += UINT64_C(1) << 39;
	if (b & 4)
		place += UINT64_C(1) << 30;
	for (unsigned level = 4; level > 1; level--) {
		above = place >> (HV_PAGE_SHIFT + 9 * (level - 1)) & (HV_PTES - 1);
		if (pfn[level - 1] == world_l3())
			break;
		(void)world_ext(g->v, MMUEXT_CLEAR_PAGE, world_mfn(g->d, pfn[level - 1]).n, 0);
		(void)world_update(g->v, world_ptr(g->d, pfn[level - 1], (unsigned)above),
		                   world_entry(g->d, pfn[level - 2], WORLD_HIGH));
	}
	(void)world_update(g->v, world_ptr(g->d, pfn[0], b >> 3 & 7), some_entry(g));
	for (unsigned i = 0; i < 4; i++)
		(void)world_protect(g->v, pfn[i], WORLD_L1 & ~PTE_W);
	if (b & 0x40)
		(void)world_ext(g->v, MMUEXT_PIN_L4_TABLE, world_mfn(g->d, pfn[3]).n, 0);
	else if (b & 0x80)
		(void)world_ext(g->v, MMUEXT_NEW_USER_BASEPTR, world_mfn(g->d, pfn[3]).n, 0);
	else
		(void)world_ext(g->d->vcpu[1], MMUEXT_NEW_BASEPTR, world_mfn(g->d, pfn[3]).n, 0);
}

static void step_memory(struct guest *g)
{
	struct xen_memory_reservation r = { .nr_extents = 1, .domid = DOMID_SELF };
	static const uint8_t ops[] = { XENMEM_increase_reservation, XENMEM_decrease_reservation,
		                       XENMEM_populate_physmap, XENMEM_decrease_reservation };
	uint8_t b = byte(g);
	uint64_t n = some_mfn(g);

	/* The frames of the tables and of arguments are not given away; others come back by number. */
	if (n < world_mfn(g->d, WORLD_FREE).n && byte(g) % NICHE)
		return;
	r.extent_start.va = world_args(g->v, 256, &n, sizeof(n));
	r.extent_order = b >> 6 == 3 ? b & 3 : 0;
	(void)world_call(g->v, __HYPERVISOR_memory_op, ops[b % 4],
	                 world_args(g->v, 0, &r, sizeof(r)), 0, 0);
}

static void step_exchange(struct guest *g)
{
	struct xen_memory_exchange x = { .nr_exchanged = 0 };
	unsigned order = byte(g) % 3;
	uint64_t in[4];

	for (unsigned i = 0; i < 4; i++)
		in[i] = some_mfn(g);
	x.in.domid = x.out.domid = DOMID_SELF;
	x.in.nr_extents = 1u << order;
	x.out.nr_extents = 1;
	x.out.extent_order = order;
	x.in.extent_start.va = world_args(g->v, 256, in, sizeof(in));
	x.out.extent_start.va = world_args(g->v, 512, in, sizeof(in));
	(void)world_call(g->v, __HYPERVISOR_memory_op, XENMEM_exchange,
	                 world_args(g->v, 0, &x, sizeof(x)), 0, 0);
}

static void step_grant(struct guest *g)
{
	struct grant_entry_v1 *row = &g->d->gnttab.shared[0][8 + byte(g) % REFS];
	uint8_t b = byte(g);

	row->domid = b % 3 ? (domid_t)(1 + (b >> 4) % g->w.nr) : (domid_t)(b >> 5);
	row->frame = (uint32_t)some_mfn(g);
	row->flags = (uint16_t)((row->flags & (GTF_reading | GTF_writing)) |
	                        (b & 8 ? GTF_readonly : 0) |
	                        (b & 16 ? GTF_invalid : GTF_permit_access));
}

static void step_map(struct guest *g)
{
	struct gnttab_map_grant_ref op = { .dom = (domid_t)(1 + byte(g) % g->w.nr) };
	unsigned slot = byte(g) % MAPS;
	uint64_t at, pfn;
	uint8_t b = byte(g);

	op.ref = 8 + byte(g) % REFS;
	op.flags = (b & 1 ? GNTMAP_readonly : 0) | (b & 2 ? GNTMAP_device_map : 0) |
	           (b & 4 ? 0 : GNTMAP_host_map) | (b & 8 ? GNTMAP_contains_pte : 0);
	pfn = some_pfn(g);
	op.host_addr = b & 8 ? world_ptr(g->d, pfn, some_index(g, pfn)) : some_va(g);
	if (!(b & 8) && spared(g, op.host_addr))
		return;
	at = world_args(g->v, 0, &op, sizeof(op));
	if (world_call(g->v, __HYPERVISOR_grant_table_op, GNTTABOP_map_grant_ref, at, 1, 0))
		return;
	memcpy(&op, world_page(g->d, WORLD_ARGS), sizeof(op));
	if (op.status == GNTST_okay) {
		g->map[slot].handle = op.handle;
		g->map[slot].addr = op.host_addr;
		g->map[slot].bus = op.dev_bus_addr;
	}
}

static void step_unmap(struct guest *g)
{
	struct gnttab_unmap_and_replace r;
	struct gnttab_unmap_grant_ref u;
	unsigned slot = byte(g) % MAPS;
	uint8_t b = byte(g);

	if (b < 200) {
		u = (struct gnttab_unmap_grant_ref){ .handle = g->map[slot].handle };
		u.host_addr = b & 1 ? some_va(g) : g->map[slot].addr;
		u.dev_bus_addr = b & 2 ? 0 : g->map[slot].bus;
		(void)world_call(g->v, __HYPERVISOR_grant_table_op, GNTTABOP_unmap_grant_ref,
		                 world_args(g->v, 0, &u, sizeof(u)), 1, 0);
		return;
	}
	r = (struct gnttab_unmap_and_replace){ .handle = g->map[slot].handle,
		                               .host_addr = g->map[slot].addr,
		                               .new_addr = some_va(g) };
	if (!spared(g, r.new_addr))
		(void)world_call(g->v, __HYPERVISOR_grant_table_op, GNTTABOP_unmap_and_replace,
		                 world_args(g->v, 0, &r, sizeof(r)), 1, 0);
}

static void step_copy(struct guest *g)
{
	struct gnttab_copy op = { .len = byte(g) * 16u, .flags = byte(g) & 3 };

	op.source.domid = op.flags & 1 ? (domid_t)(1 + byte(g) % g->w.nr) : DOMID_SELF;
	op.dest.domid = op.flags & 2 ? (domid_t)(1 + byte(g) % g->w.nr) : DOMID_SELF;
	op.source.u.gmfn = op.flags & 1 ? 8 + byte(g) % REFS : some_mfn(g);
	op.dest.u.gmfn = op.flags & 2 ? 8 + byte(g) % REFS : some_mfn(g);
	if (!(op.flags & 2) && op.dest.u.gmfn < world_mfn(g->d, WORLD_FREE).n)
		return;
	(void)world_call(g->v, __HYPERVISOR_grant_table_op, GNTTABOP_copy,
	                 world_args(g->v, 0, &op, sizeof(op)), 1, 0);
}

static void step_descriptors(struct guest *g)
{
	uint64_t frames[2] = { some_mfn(g), some_mfn(g) }, pfn = some_pfn(g);
	uint8_t b = byte(g);

	if (b < 128)
		(void)world_call(g->v, __HYPERVISOR_set_gdt,
		                 world_args(g->v, 0, frames, sizeof(frames)), b % 3u * 512, 0, 0);
	else
		(void)world_call(g->v, __HYPERVISOR_update_descriptor,
		                 world_ptr(g->d, pfn, some_index(g, pfn)), word(g), 0, 0);
}

static void step_emulated(struct guest *g)
{
	uint64_t va = some_va(g) & ~UINT64_C(7), val = some_entry(g);
	bool done;

	va += some_index(g, world_l1(0)) * 8u;
	hv_domain_lock(g->d);
	(void)hv_mmu_emulated_write(g->v, va, 8, val, NULL, &done);
	hv_domain_unlock(g->d);
}

static void step_mode(struct guest *g)
{
	struct hv_domain *d = g->w.all[byte(g) % g->w.nr];

	g->v = d->vcpu[byte(g) % WORLD_VCPUS];
	g->d = d;
	/* User mode only looks and stores; it makes no hypercall. */
	if (!hv_mfn_is_none(g->v->root_user) && byte(g) % 4 == 0) {
		g->v->in_kernel = false;
		step_store(g);
		(void)world_touch(g->v, some_va(g), byte(g));
		g->v->in_kernel = true;
	}
}

static void step_touch(struct guest *g)
{
	(void)world_touch(g->v, some_va(g), byte(g) & (PFEC_W | PFEC_I));
}

static void step(struct guest *g)
{
	static void (*const steps[])(struct guest *) = {
		step_va_mapping, step_va_mapping, step_update,      step_update,   step_update,
		step_store,      step_store,      step_ext,         step_ext,      step_ext,
		step_ext,        step_memory,     step_exchange,    step_grant,    step_map,
		step_unmap,      step_copy,       step_descriptors, step_emulated, step_mode,
		step_touch,      step_store,      step_tree,        step_tree,
	};

	steps[byte(g) % (sizeof(steps) / sizeof(steps[0]))](g);
}

void mem_guest_play(const uint8_t *data, size_t len, unsigned check_every)
{
	struct guest g = { .data = data, .len = len };
	unsigned n = 0;

	world_init(&g.w);
	world_add(&g.w);
	g.d = g.w.d;
	g.v = g.w.v;
	for (unsigned i = 0; i < 2; i++)
		g.w.all[i]->vm_assist |= UINT64_C(1) << VMASST_TYPE_writable_pagetables;
	while (g.len) {
		step(&g);
		if (++n % check_every == 0)
			HV_ASSERT(world_check(&g.w) == 0);
	}
	HV_ASSERT(world_check(&g.w) == 0);
	world_fini(&g.w);
}
