/* SPDX-License-Identifier: MIT */
/*
 * The domain's memory: how much it has, giving frames back, getting others.
 *
 * Method: frames of pages that are unmapped first are given away and taken again; the tables of both
 * sides are compared afterwards. Breakage: a balloon driver loses memory, or keeps a frame that
 * belongs to somebody else by now.
 */
#include "tests/guests/selftest/test.h"

#include "pvops/mmu.h"
#include "pvops/p2m.h"

#define RW (PV_PTE_PRESENT | PV_PTE_WRITE | PV_PTE_ACCESSED | PV_PTE_DIRTY)

static struct xen_memory_domain self = { .domid = DOMID_SELF };

static long current(void)
{
	return pv_hc_memory_op(XENMEM_current_reservation, &self);
}

static long reserve(unsigned int cmd, xen_pfn_t *list, unsigned long n, unsigned int order)
{
	struct xen_memory_reservation op = { .nr_extents = n,
		                             .extent_order = order,
		                             .domid = DOMID_SELF };

	set_xen_guest_handle(op.extent_start, list);
	return pv_hc_memory_op(cmd, &op);
}

/* A page of the identity map by its own mapping. */
static int set_mapping(void *page, uint64_t pte)
{
	return (int)pv_hc_update_va_mapping((unsigned long)page, pte, UVMF_INVLPG);
}

static void reservation_is_what_the_domain_has(void)
{
	long now = current(), most = pv_hc_memory_op(XENMEM_maximum_reservation, &self);

	ST_EQ(now, pv_p2m_size());
	ST_CHECK(most >= now, "at most %ld, now %ld", most, now);
}

static void highest_frames_are_told(void)
{
	struct xen_machphys_mapping map;
	long top = pv_hc_memory_op(XENMEM_maximum_ram_page, NULL);

	ST_EQ(pv_hc_memory_op(XENMEM_machphys_mapping, &map), 0);
	ST_CHECK(top > 0 && (unsigned long)top >= pv_p2m(0x100), "maximum_ram_page %ld", top);
	ST_CHECK(map.max_mfn >= pv_p2m(0x100), "max_mfn 0x%lx", map.max_mfn);
	/* Known to the hypervisor from shared_info.arch.max_pfn, which the library writes. */
	ST_EQ(pv_hc_memory_op(XENMEM_maximum_gpfn, &self), pv_p2m_size() - 1);
}

static void frame_goes_and_another_comes(void)
{
	void *page = st_page();
	uint64_t pfn = pv_virt_to_pfn(page);
	xen_pfn_t frame = pv_p2m(pfn);
	long before = current();

	ST_EQ(set_mapping(page, 0), 0);
	ST_EQ(reserve(XENMEM_decrease_reservation, &frame, 1, 0), 1);
	ST_EQ(current(), before - 1);
	pv_p2m_set(pfn, PV_NO_FRAME);
	frame = pfn;
	ST_EQ(reserve(XENMEM_populate_physmap, &frame, 1, 0), 1);
	ST_EQ(current(), before);
	pv_p2m_set(pfn, frame);
	ST_EQ(pv_m2p(frame), pfn);
	ST_EQ(set_mapping(page, pv_pte(frame, RW)), 0);
	*(volatile uint64_t *)page = 1;
	ST_EQ(st_traps, 0);
	st_page_free(page);
}

/* What is given away while it is mapped stays the domain's until the last mapping goes. */
static void mapped_frame_goes_when_its_mapping_goes(void)
{
	volatile uint64_t *page = st_page();
	uint64_t pfn = pv_virt_to_pfn(page);
	xen_pfn_t frame = pv_p2m(pfn);
	long before = current();

	*page = 0x1234;
	ST_EQ(reserve(XENMEM_decrease_reservation, &frame, 1, 0), 1);
	ST_EQ(current(), before);
	ST_EQ(*page, 0x1234);
	ST_EQ(set_mapping((void *)page, 0), 0);
	ST_EQ(current(), before - 1);
	frame = pfn;
	ST_EQ(reserve(XENMEM_populate_physmap, &frame, 1, 0), 1);
	pv_p2m_set(pfn, frame);
	ST_EQ(set_mapping((void *)page, pv_pte(frame, RW)), 0);
	st_page_free((void *)page);
}

/* increase_reservation gives bare frames; their place in our memory is our own affair. */
static void increase_gives_frames_without_a_place(void)
{
	void *page = st_page();
	uint64_t pfn = pv_virt_to_pfn(page);
	xen_pfn_t frame = pv_p2m(pfn);
	struct mmu_update place;

	ST_EQ(set_mapping(page, 0), 0);
	ST_EQ(reserve(XENMEM_decrease_reservation, &frame, 1, 0), 1);
	frame = 0;
	ST_EQ(reserve(XENMEM_increase_reservation, &frame, 1, 0), 1);
	ST_CHECK(frame, "no frame came");
	place.ptr = frame << PV_PAGE_SHIFT | MMU_MACHPHYS_UPDATE;
	place.val = pfn;
	ST_EQ(pv_hc_mmu_update(&place, 1, NULL, DOMID_SELF), 0);
	pv_p2m_set(pfn, frame);
	ST_EQ(pv_m2p(frame), pfn);
	ST_EQ(set_mapping(page, pv_pte(frame, RW)), 0);
	*(volatile uint64_t *)page = 1;
	st_page_free(page);
}

static void exchange_gives_other_frames(void)
{
	void *page[2] = { st_page(), st_page() };
	xen_pfn_t in[2], out[2];
	struct xen_memory_exchange op = {
		.in = { .nr_extents = 2, .domid = DOMID_SELF },
		.out = { .nr_extents = 2, .domid = DOMID_SELF },
	};
	long before = current();
	unsigned int i;

	for (i = 0; i < 2; i++) {
		in[i] = pv_virt_to_mfn(page[i]);
		out[i] = pv_virt_to_pfn(page[i]);
		ST_EQ(set_mapping(page[i], 0), 0);
	}
	set_xen_guest_handle(op.in.extent_start, in);
	set_xen_guest_handle(op.out.extent_start, out);
	ST_EQ(pv_hc_memory_op(XENMEM_exchange, &op), 0);
	ST_EQ(op.nr_exchanged, 2);
	ST_EQ(current(), before);
	for (i = 0; i < 2; i++) {
		pv_p2m_set(pv_virt_to_pfn(page[i]), out[i]);
		ST_EQ(pv_m2p(out[i]), pv_virt_to_pfn(page[i]));
		ST_EQ(set_mapping(page[i], pv_pte(out[i], RW)), 0);
		*(volatile char *)page[i] = 1;
		st_page_free(page[i]);
	}
}

static void exchange_must_balance(void)
{
	xen_pfn_t in[2] = { 0, 0 }, out[1] = { 0 };
	struct xen_memory_exchange op = {
		.in = { .nr_extents = 2, .domid = DOMID_SELF },
		.out = { .nr_extents = 1, .domid = DOMID_SELF },
	};

	set_xen_guest_handle(op.in.extent_start, in);
	set_xen_guest_handle(op.out.extent_start, out);
	ST_EQ(pv_hc_memory_op(XENMEM_exchange, &op), -XEN_EINVAL);
	op.out.nr_extents = 2;
	op.nr_exchanged = 3;
	ST_EQ(pv_hc_memory_op(XENMEM_exchange, &op), -XEN_EINVAL);
}

/* Four pages of the free low memory, so that the extent's pfns are in a row. */
static void contiguous_extent_can_be_had(void)
{
	char *page = (char *)pv_boot.low_free;
	xen_pfn_t in[4], out[1] = { pv_virt_to_pfn(page) };
	struct xen_memory_exchange op = {
		.in = { .nr_extents = 4, .domid = DOMID_SELF },
		.out = { .nr_extents = 1, .extent_order = 2, .domid = DOMID_SELF },
	};
	unsigned int i;
	long rc;

	for (i = 0; i < 4; i++) {
		in[i] = pv_virt_to_mfn(page + i * PV_PAGE_SIZE);
		ST_EQ(set_mapping(page + i * PV_PAGE_SIZE, 0), 0);
	}
	set_xen_guest_handle(op.in.extent_start, in);
	set_xen_guest_handle(op.out.extent_start, out);
	rc = pv_hc_memory_op(XENMEM_exchange, &op);
	for (i = 0; i < 4; i++) {
		if (rc == 0)
			pv_p2m_set(pv_virt_to_pfn(page) + i, out[0] + i);
		ST_EQ(set_mapping(page + i * PV_PAGE_SIZE,
		                  pv_pte(pv_virt_to_mfn(page + i * PV_PAGE_SIZE), RW)),
		      0);
	}
	ST_EQ(rc, 0);
	ST_EQ(out[0] % 4, 0);
	ST_EQ(pv_m2p(out[0] + 3), pv_virt_to_pfn(page) + 3);
}

static void foreign_frames_cannot_be_given_away(void)
{
	xen_pfn_t frame = 1ul << 40;

	ST_EQ(reserve(XENMEM_decrease_reservation, &frame, 1, 0), 0);
	frame = 0; /* the machine's first, which is nobody's */
	ST_EQ(reserve(XENMEM_decrease_reservation, &frame, 1, 0), 0);
}

static void nothing_comes_beyond_the_maximum(void)
{
	static xen_pfn_t frames[512];
	struct xen_memory_reservation op = { .domid = DOMID_SELF };
	long most = pv_hc_memory_op(XENMEM_maximum_reservation, &self), got;

	/* More than there can be room for; what came is given back. */
	set_xen_guest_handle(op.extent_start, frames);
	op.nr_extents = 512;
	got = pv_hc_memory_op(XENMEM_increase_reservation, &op);
	ST_CHECK(got >= 0 && got < 512 && current() <= most, "%ld frames came, %ld of %ld", got,
	         current(), most);
	op.nr_extents = (unsigned long)got;
	if (got)
		ST_EQ(pv_hc_memory_op(XENMEM_decrease_reservation, &op), got);
}

/* These calls answer how far they came, and say nothing else of what stopped them. */
static void lists_that_cannot_be_read_do_nothing(void)
{
	struct xen_memory_reservation op = { .nr_extents = 1, .domid = DOMID_SELF };
	long before = current();

	set_xen_guest_handle(op.extent_start, (xen_pfn_t *)ST_UNMAPPED);
	ST_EQ(pv_hc_memory_op(XENMEM_decrease_reservation, &op), 0);
	ST_EQ(pv_hc_memory_op(XENMEM_populate_physmap, &op), 0);
	set_xen_guest_handle(op.extent_start, (xen_pfn_t *)ST_HYPERVISOR);
	ST_EQ(pv_hc_memory_op(XENMEM_decrease_reservation, &op), 0);
	ST_EQ(current(), before);
}

static void orders_and_counts_have_a_limit(void)
{
	xen_pfn_t frame = 0x100;

	ST_EQ(reserve(XENMEM_decrease_reservation, &frame, 1, 40), 0);
	ST_EQ(reserve(XENMEM_populate_physmap, &frame, 1, 12), 0);
	ST_EQ(reserve(XENMEM_populate_physmap, &frame, ~0ul >> 4, 0), 0);
}

static void other_domains_are_not_for_us(void)
{
	struct xen_memory_domain other = { .domid = 0 };
	struct xen_memory_reservation op = { .nr_extents = 1, .domid = 0 };
	xen_pfn_t frame = 0x100;

	ST_EQ(pv_hc_memory_op(XENMEM_current_reservation, &other), -XEN_EPERM);
	other.domid = 0x7000;
	ST_EQ(pv_hc_memory_op(XENMEM_current_reservation, &other), -XEN_ESRCH);
	set_xen_guest_handle(op.extent_start, &frame);
	ST_EQ(pv_hc_memory_op(XENMEM_decrease_reservation, &op), 0);
	op.domid = 0x7000;
	ST_EQ(pv_hc_memory_op(XENMEM_decrease_reservation, &op), 0);
}

static void memory_map_covers_the_domain(void)
{
	struct row {
		uint64_t start, len;
		uint32_t type;
	} __attribute__((packed));
	static struct row rows[32];
	struct xen_memory_map op = { .nr_entries = ST_COUNT(rows) };

	set_xen_guest_handle(op.buffer, (void *)rows);
	ST_EQ(pv_hc_memory_op(XENMEM_memory_map, &op), 0);
	ST_CHECK(op.nr_entries >= 1 && op.nr_entries <= ST_COUNT(rows), "%u rows", op.nr_entries);
	ST_EQ(rows[0].start, 0);
	ST_EQ(rows[0].type, 1);
	ST_CHECK(rows[0].len >= pv_boot.memory_end, "0x%lx bytes", rows[0].len);
}

static void machphys_frames_are_listed(void)
{
	static xen_pfn_t list[64];
	struct xen_machphys_mfn_list op = { .max_extents = ST_COUNT(list) };

	set_xen_guest_handle(op.extent_start, list);
	ST_EQ(pv_hc_memory_op(XENMEM_machphys_mfn_list, &op), 0);
	ST_CHECK(op.nr_extents >= 1 && op.nr_extents <= ST_COUNT(list), "%u extents",
	         op.nr_extents);
	ST_CHECK(list[0], "the first extent has no frame");
}

static void unknown_operation_is_enosys(void)
{
	ST_EQ(pv_hc_memory_op(63, NULL), -XEN_ENOSYS);
}

static const struct st_claim claims[] = {
	ST_CLAIM(reservation_is_what_the_domain_has),
	ST_CLAIM(highest_frames_are_told),
	ST_CLAIM(frame_goes_and_another_comes),
	ST_CLAIM(mapped_frame_goes_when_its_mapping_goes),
	ST_CLAIM(increase_gives_frames_without_a_place),
	ST_CLAIM(exchange_gives_other_frames),
	ST_CLAIM(exchange_must_balance),
	ST_CLAIM(contiguous_extent_can_be_had),
	ST_CLAIM(foreign_frames_cannot_be_given_away),
	ST_CLAIM(nothing_comes_beyond_the_maximum),
	ST_CLAIM(lists_that_cannot_be_read_do_nothing),
	ST_CLAIM(orders_and_counts_have_a_limit),
	ST_CLAIM(other_domains_are_not_for_us),
	ST_CLAIM(memory_map_covers_the_domain),
	ST_CLAIM(machphys_frames_are_listed),
	ST_CLAIM(unknown_operation_is_enosys),
};

ST_FAMILY(memory, claims);
