/* SPDX-License-Identifier: MIT */
/*
 * What the domain builder left for the kernel: start_info, the boot region and its order, the two
 * frame tables.
 *
 * Method: compare what start_info says with the page tables and with the hypervisor's own words.
 * Breakage: a kernel that trusts a wrong field maps or frees somebody else's page.
 */
#include "tests/guests/selftest/test.h"

#include "pvops/mmu.h"
#include "pvops/p2m.h"

extern char pv_image_end[];

static void magic_names_the_abi(void)
{
	const char *magic = pv_boot.start->magic;

	ST_CHECK(strnlen(magic, 32) < 32, "not ended by a 0");
	ST_CHECK(!strcmp(magic, "xen-3.0-x86_64"), "magic is \"%s\"", magic);
}

static void domain_is_unprivileged(void)
{
	ST_EQ(pv_boot.start->flags & (SIF_PRIVILEGED | SIF_INITDOMAIN), 0);
}

static void command_line_ends(void)
{
	const char *c = pv_boot.cmdline;

	ST_CHECK(strnlen(c, MAX_GUEST_CMDLINE) < MAX_GUEST_CMDLINE, "not ended by a 0");
}

static void page_count_is_the_reservation(void)
{
	struct xen_memory_domain self = { .domid = DOMID_SELF };

	ST_EQ(pv_hc_memory_op(XENMEM_current_reservation, &self), pv_boot.start->nr_pages);
}

static void boot_region_is_in_order(void)
{
	const struct start_info *s = pv_boot.start;
	uint64_t store = pv_m2p(s->store_mfn) << PV_PAGE_SHIFT;
	uint64_t console = pv_m2p(s->console.domU.mfn) << PV_PAGE_SHIFT;

	ST_CHECK(s->mfn_list >= (uint64_t)pv_image_end, "p2m at 0x%lx, in the image", s->mfn_list);
	ST_CHECK((uint64_t)s >= s->mfn_list + s->nr_pages * 8, "start_info at %p, in the p2m", s);
	ST_CHECK(store > (uint64_t)s, "xenstore page at 0x%lx, not after start_info", store);
	ST_CHECK(console > store, "console page at 0x%lx, not after xenstore's", console);
	ST_CHECK(s->pt_base > console, "page tables at 0x%lx, not after the console", s->pt_base);
}

static void boot_region_has_room_and_a_round_end(void)
{
	const struct start_info *s = pv_boot.start;
	uint64_t tables_end = s->pt_base + s->nr_pt_frames * PV_PAGE_SIZE;
	uint64_t end = tables_end, stack_end = tables_end + PV_PAGE_SIZE;
	const uint64_t *pte;

	for (; (pte = pv_mmu_walk(end, 1)) && *pte & PV_PTE_PRESENT; end += PV_PAGE_SIZE)
		;
	ST_CHECK(end >= stack_end + 512 * 1024, "only %lu bytes after the boot stack",
	         end - stack_end);
	ST_CHECK(end % (4 << 20) == 0, "the region ends at 0x%lx", end);
}

static void identity_of_virtual_and_pseudo_physical(void)
{
	uint64_t va;

	for (va = PV_LOWEST_ADDRESS; va < pv_boot.mapped_end; va += PV_PAGE_SIZE) {
		const uint64_t *pte = pv_mmu_walk(va, 1);

		ST_CHECK(pte && *pte & PV_PTE_PRESENT, "0x%lx is not mapped", va);
		if (va == (uint64_t)pv_shared_info)
			continue;
		ST_CHECK(pv_pte_mfn(*pte) == pv_p2m(va >> PV_PAGE_SHIFT),
		         "0x%lx maps frame 0x%lx, not 0x%lx", va, pv_pte_mfn(*pte),
		         pv_p2m(va >> PV_PAGE_SHIFT));
	}
}

static void page_tables_are_read_only(void)
{
	const struct start_info *s = pv_boot.start;
	unsigned long i;

	for (i = 0; i < s->nr_pt_frames; i++) {
		const uint64_t *pte = pv_mmu_walk(s->pt_base + i * PV_PAGE_SIZE, 1);

		ST_CHECK(pte && !(*pte & PV_PTE_WRITE), "table %lu is mapped writable", i);
	}
}

static void rings_have_pages_and_ports(void)
{
	const struct start_info *s = pv_boot.start;
	struct evtchn_status st = { .dom = DOMID_SELF };

	ST_CHECK(pv_m2p(s->store_mfn) != PV_NO_FRAME, "the xenstore page is not ours");
	ST_CHECK(pv_m2p(s->console.domU.mfn) != PV_NO_FRAME, "the console page is not ours");
	st.port = s->store_evtchn;
	ST_EQ(pv_hc_event_channel_op(EVTCHNOP_status, &st), 0);
	ST_CHECK(st.status == EVTCHNSTAT_unbound || st.status == EVTCHNSTAT_interdomain,
	         "the xenstore port has status %u", st.status);
	st.port = s->console.domU.evtchn;
	ST_EQ(pv_hc_event_channel_op(EVTCHNOP_status, &st), 0);
	ST_CHECK(st.status == EVTCHNSTAT_unbound || st.status == EVTCHNSTAT_interdomain,
	         "the console port has status %u", st.status);
}

static void shared_page_is_not_one_of_ours(void)
{
	uint64_t ma = pv_boot.start->shared_info;

	ST_EQ(ma % PV_PAGE_SIZE, 0);
	ST_CHECK(pv_m2p(ma >> PV_PAGE_SHIFT) == PV_NO_FRAME, "frame 0x%lx is in the p2m",
	         ma >> PV_PAGE_SHIFT);
}

static void tables_agree_on_every_frame(void)
{
	uint64_t pfn;

	for (pfn = 0; pfn < pv_p2m_size(); pfn++) {
		uint64_t mfn = pv_p2m(pfn);

		ST_CHECK(mfn != PV_NO_FRAME, "no frame behind pfn 0x%lx", pfn);
		ST_CHECK(pv_m2p(mfn) == pfn, "pfn 0x%lx has frame 0x%lx, which has pfn 0x%lx", pfn,
		         mfn, pv_m2p(mfn));
	}
}

static void machine_frames_are_not_pseudo_physical(void)
{
	uint64_t pfn, same = 0;

	for (pfn = 0; pfn < pv_p2m_size(); pfn++)
		same += pv_p2m(pfn) == pfn;
	ST_CHECK(same < pv_p2m_size() / 2, "%lu of %lu are the same", same, pv_p2m_size());
}

static void machphys_mapping_is_found(void)
{
	struct xen_machphys_mapping map = { 0 };

	ST_EQ(pv_hc_memory_op(XENMEM_machphys_mapping, &map), 0);
	ST_CHECK(map.v_end > map.v_start, "it is empty");
	ST_CHECK((map.v_end - map.v_start) / 8 > map.max_mfn,
	         "0x%lx bytes cannot hold 0x%lx entries", map.v_end - map.v_start, map.max_mfn);
	ST_EQ(((const uint64_t *)map.v_start)[pv_p2m(0x100)], 0x100);
}

static void machphys_is_at_the_fixed_address(void)
{
	const uint64_t *fixed = (const uint64_t *)MACH2PHYS_VIRT_START;
	uint64_t pfn = pv_virt_to_pfn(pv_boot.start);

	ST_EQ(fixed[pv_p2m(pfn)], pfn);
}

static void machphys_cannot_be_written(void)
{
	struct xen_machphys_mapping map = { 0 };

	ST_EQ(pv_hc_memory_op(XENMEM_machphys_mapping, &map), 0);
	ST_EQ(ST_TRAPS("movq $0, (%0)", : : "r"(map.v_start + 8 * pv_p2m(0x100)) : "memory"), 1);
	ST_EQ(st_trap.vector, PV_VECTOR_PF);
	ST_EQ(((const uint64_t *)map.v_start)[pv_p2m(0x100)], 0x100);
}

/* Every recorded call through the table has become something else. */
static void call_sites_are_direct(void)
{
	static const uint8_t indirect[2][3] = { { 0xff, 0x14, 0x25 }, { 0xff, 0x24, 0x25 } };
	const struct pv_patch_site *site;

	ST_CHECK(pv_patch_end - pv_patch_start > 10, "only %ld call sites",
	         pv_patch_end - pv_patch_start);
	for (site = pv_patch_start; site < pv_patch_end; site++)
		ST_CHECK(memcmp(site->at, indirect[site->is_jump], 3), "the one at %p is not",
		         (void *)site->at);
}

static const struct st_claim claims[] = {
	ST_GENERAL(call_sites_are_direct),
	ST_CLAIM(magic_names_the_abi),
	ST_CLAIM(domain_is_unprivileged),
	ST_GENERAL(command_line_ends),
	ST_CLAIM(page_count_is_the_reservation),
	ST_CLAIM(boot_region_is_in_order),
	ST_CLAIM(boot_region_has_room_and_a_round_end),
	ST_CLAIM(identity_of_virtual_and_pseudo_physical),
	ST_CLAIM(page_tables_are_read_only),
	ST_CLAIM(rings_have_pages_and_ports),
	ST_CLAIM(shared_page_is_not_one_of_ours),
	ST_GENERAL(tables_agree_on_every_frame),
	ST_CLAIM(machine_frames_are_not_pseudo_physical),
	ST_CLAIM(machphys_mapping_is_found),
	ST_CLAIM(machphys_is_at_the_fixed_address),
	ST_CLAIM(machphys_cannot_be_written),
};

ST_FAMILY(start, claims);
