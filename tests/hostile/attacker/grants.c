/* SPDX-License-Identifier: MIT */
/*
 * Grants that were not given, or not so.
 *
 * Behaviour: references out of range, of the neighbour's, of our own; to read, to write; mapped at
 * addresses and by entries that are ours, are not, or are in use; handles that were never given;
 * copies that leave their page or go where only reading was granted; unmapping twice; a reference
 * that its owner takes away meanwhile.
 * Method: after each success one looks what was got: a page to read must not take a store.
 * Breakage: a store that arrives in the neighbour's page to read (its witness sees it, and we do); a
 * frame of the neighbour's that it never granted; the hypervisor's end; the harness's audit.
 */
#include "tests/hostile/attacker/attack.h"

#define MAPS 8u

static struct {
	uint64_t host;
	grant_handle_t handle;
	bool used;
} map[MAPS];
static uint64_t window;

static grant_ref_t some_ref(void)
{
	const grant_ref_t known[] = { at.read, at.write, at.go };

	if (at_chance(3))
		return (grant_ref_t)(at_chance(2) ? at_value() : at_below(16));
	return known[at_below(3)];
}

static domid_t some_domain(void)
{
	return (domid_t)(at_chance(3) ? at_value() : at.witness);
}

static void try_to_write(uint64_t va, const struct gnttab_map_grant_ref *m)
{
	uint8_t byte = 0;
	bool wrote;

	/* A mapping that stood here before may still be cached, as in a TLB: that one allowed it. */
	pv_mmu_flush_page(va);
	at_read(va, &byte);
	wrote = at_write(va, byte);
	if (wrote && (m->flags & GNTMAP_readonly))
		at_breach("wrote through a mapping to read");
	if (wrote && m->dom == at.witness && m->ref != at.write)
		at_breach("wrote to a page that was granted to read, reference %u", m->ref);
}

/* An address worth trying, but none of the memory that we run in: to lose that would be suicide. */
static uint64_t some_place(void)
{
	uint64_t va = at_address();

	return va < pv_boot.memory_end ? window + at_below(MAPS) * 4096 + at_below(2) * 8 : va;
}

/* The same for a page-table entry. */
static uint64_t some_entry(void)
{
	uint64_t mfn = at_frame();

	if (mfn - at.frame0 < pv_boot.memory_end >> PV_PAGE_SHIFT)
		mfn = at.grant_frame;
	return mfn << PV_PAGE_SHIFT | at_below(4096);
}

static void map_some(void)
{
	unsigned int i = (unsigned int)at_below(MAPS);
	struct gnttab_map_grant_ref m = { .host_addr = window + i * 4096,
		                          .flags = GNTMAP_host_map | (uint32_t)at_below(16),
		                          .ref = some_ref(),
		                          .dom = some_domain() };
	const uint64_t *entry = pv_mmu_walk(window + i * 4096, 1);

	if (at_chance(8))
		m.flags = (uint32_t)at_random();
	if (m.flags & GNTMAP_contains_pte)
		m.host_addr = entry ? pv_mmu_machine_address(entry) : 0;
	if (at_chance(8))
		m.host_addr = at_chance(2) ? some_place() : some_entry();
	if (pv_hc_grant_table_op(GNTTABOP_map_grant_ref, &m, 1) || m.status)
		return;
	if (!map[i].used) {
		map[i].used = true;
		map[i].host = m.host_addr;
		map[i].handle = m.handle;
	}
	if (m.host_addr == window + i * 4096 && (m.flags & GNTMAP_host_map) &&
	    !(m.flags & GNTMAP_contains_pte))
		try_to_write(window + i * 4096, &m);
}

static void unmap_some(void)
{
	unsigned int i = (unsigned int)at_below(MAPS);
	struct gnttab_unmap_grant_ref u = { .host_addr = map[i].host, .handle = map[i].handle };

	if (at_chance(8))
		u.handle = (grant_handle_t)at_value();
	if (at_chance(8))
		u.host_addr = at_address();
	if (at_chance(8))
		u.dev_bus_addr = at_frame() << PV_PAGE_SHIFT;
	if (!pv_hc_grant_table_op(GNTTABOP_unmap_grant_ref, &u, 1) && !u.status)
		map[i].used = false;
}

static void replace_some(void)
{
	unsigned int i = (unsigned int)at_below(MAPS);
	struct gnttab_unmap_and_replace u = { .host_addr = map[i].host,
		                              .new_addr = at_chance(2) ? (uint64_t)at_scratch + 4096
		                                                       : some_place(),
		                              .handle = map[i].handle };

	pv_hc_grant_table_op(GNTTABOP_unmap_and_replace, &u, 1);
	/* What stood there may be gone now. */
	pv_hc_update_va_mapping(
		(uint64_t)at_scratch + 4096,
		pv_p2m(((uint64_t)at_scratch >> PV_PAGE_SHIFT) + 1) << PV_PAGE_SHIFT | 0x67,
		UVMF_INVLPG);
}

static void some_side(struct gnttab_copy_ptr *p, bool by_ref)
{
	p->domid = by_ref ? some_domain() : DOMID_SELF;
	p->offset = (uint16_t)(at_chance(4) ? at_value() : at_below(4096));
	if (by_ref)
		p->u.ref = some_ref();
	else
		p->u.gmfn = at_chance(4) ? at_frame()
		                         : pv_p2m((uint64_t)at_scratch >> PV_PAGE_SHIFT);
	if (at_chance(8))
		p->domid = (domid_t)at_value();
}

static void copy_some(void)
{
	struct gnttab_copy c = { .flags = (uint16_t)at_below(4),
		                 .len = (uint16_t)(at_chance(4) ? at_value() : at_below(64)) };

	some_side(&c.source, c.flags & GNTCOPY_source_gref);
	some_side(&c.dest, c.flags & GNTCOPY_dest_gref);
	/* A copy into memory of ours that is in use would only be suicide. */
	if (!(c.flags & GNTCOPY_dest_gref))
		c.dest.u.gmfn = at_chance(4) ? at.foreign + at_below(1024)
		                             : pv_p2m((uint64_t)at_scratch >> PV_PAGE_SHIFT);
	if (pv_hc_grant_table_op(GNTTABOP_copy, &c, 1) || c.status || !c.len)
		return;
	if ((c.flags & GNTCOPY_dest_gref) && c.dest.domid == at.witness && c.dest.u.ref != at.write)
		at_breach("copied into a page that was granted to read, reference %u",
		          c.dest.u.ref);
	if (!(c.flags & GNTCOPY_dest_gref) && at_is_foreign(c.dest.u.gmfn))
		at_breach("copied into the neighbour's frame");
}

static void others(void)
{
	uint64_t args[8 * 16];
	static const uint8_t ops[] = { GNTTABOP_setup_table,
		                       GNTTABOP_dump_table,
		                       GNTTABOP_transfer,
		                       GNTTABOP_query_size,
		                       GNTTABOP_set_version,
		                       GNTTABOP_get_status_frames,
		                       GNTTABOP_get_version,
		                       GNTTABOP_swap_grant_ref,
		                       GNTTABOP_cache_flush,
		                       13,
		                       255 };
	unsigned int op = ops[at_below(AT_COUNT(ops))];

	at_noise(args, sizeof(args));
	/* No addresses but those of noise: the table's frames are written where the call says. */
	if (op == GNTTABOP_setup_table)
		((struct gnttab_setup_table *)args)->frame_list.p = (xen_pfn_t *)at_scratch;
	pv_hc_grant_table_op(op, args, (unsigned int)at_below(3));
}

void at_grants(void)
{
	static void (*const moves[])(void) = { map_some,  map_some,     unmap_some, copy_some,
		                               copy_some, replace_some, others };

	window = pv_mmu_window(MAPS);
	for (unsigned int i = 0; i < at.budget; i++) {
		at_attempt("grant");
		moves[at_below(AT_COUNT(moves))]();
	}
}
