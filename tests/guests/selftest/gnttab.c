/* SPDX-License-Identifier: MIT */
/*
 * Grants: the table, mapping, copying, and the status of everything that is refused. Both sides are
 * this domain.
 *
 * Method: a page is granted to the domain's own number, mapped in the window, and looked at through
 * both addresses. Breakage: a back-end sees the wrong page, or goes on seeing one it should not.
 */
#include "tests/guests/selftest/test.h"

#include "pvops/barrier.h"
#include "pvops/gnttab.h"
#include "pvops/mmu.h"
#include "pvops/p2m.h"

static uint8_t *page;
static grant_ref_t ref;

/* A page of 0x5a, granted to ourselves. */
static int open_grant(enum pv_grant_access access)
{
	page = st_page();
	memset(page, 0x5a, PV_PAGE_SIZE);
	return pv_gnttab_grant(st_own_domid(), pv_virt_to_mfn(page), access, &ref);
}

static int close_grant(void)
{
	int rc = pv_gnttab_revoke(ref);

	st_page_free(page);
	return rc;
}

static long map(struct gnttab_map_grant_ref *op)
{
	return pv_hc_grant_table_op(GNTTABOP_map_grant_ref, op, 1);
}

static long unmap(uint64_t va, grant_handle_t handle, int16_t *status)
{
	struct gnttab_unmap_grant_ref op = { .host_addr = va, .handle = handle };
	long rc = pv_hc_grant_table_op(GNTTABOP_unmap_grant_ref, &op, 1);

	*status = op.status;
	return rc;
}

static void table_has_a_size(void)
{
	struct gnttab_query_size op = { .dom = DOMID_SELF };

	ST_EQ(pv_hc_grant_table_op(GNTTABOP_query_size, &op, 1), 0);
	ST_EQ(op.status, GNTST_okay);
	ST_CHECK(op.nr_frames >= 1 && op.nr_frames <= op.max_nr_frames, "%u of %u pages",
	         op.nr_frames, op.max_nr_frames);
}

static void table_can_be_set_up_again(void)
{
	static xen_pfn_t first[2], second[2];
	struct gnttab_setup_table op = { .dom = DOMID_SELF, .nr_frames = 2 };

	set_xen_guest_handle(op.frame_list, first);
	ST_EQ(pv_hc_grant_table_op(GNTTABOP_setup_table, &op, 1), 0);
	ST_EQ(op.status, GNTST_okay);
	set_xen_guest_handle(op.frame_list, second);
	ST_EQ(pv_hc_grant_table_op(GNTTABOP_setup_table, &op, 1), 0);
	ST_EQ(op.status, GNTST_okay);
	ST_EQ(memcmp(first, second, sizeof(first)), 0);
	ST_CHECK(first[0] != first[1], "two pages with one frame");
}

static void table_does_not_grow_for_ever(void)
{
	static xen_pfn_t frames[1];
	struct gnttab_setup_table op = { .dom = DOMID_SELF, .nr_frames = 1u << 20 };

	set_xen_guest_handle(op.frame_list, frames);
	ST_EQ(pv_hc_grant_table_op(GNTTABOP_setup_table, &op, 1), 0);
	ST_EQ(op.status, GNTST_general_error);
}

static void other_domains_tables_are_not_for_us(void)
{
	static xen_pfn_t frames[1];
	struct gnttab_setup_table setup = { .dom = 0, .nr_frames = 1 };
	struct gnttab_query_size query = { .dom = 0 };

	set_xen_guest_handle(setup.frame_list, frames);
	ST_EQ(pv_hc_grant_table_op(GNTTABOP_setup_table, &setup, 1), 0);
	ST_EQ(setup.status, GNTST_permission_denied);
	ST_EQ(pv_hc_grant_table_op(GNTTABOP_query_size, &query, 1), 0);
	ST_EQ(query.status, GNTST_permission_denied);
	query.dom = 0x7000;
	ST_EQ(pv_hc_grant_table_op(GNTTABOP_query_size, &query, 1), 0);
	ST_EQ(query.status, GNTST_bad_domain);
}

static void version_is_one(void)
{
	struct gnttab_get_version op = { .dom = DOMID_SELF };

	ST_EQ(pv_hc_grant_table_op(GNTTABOP_get_version, &op, 1), 0);
	ST_EQ(op.version, 1);
}

static void mapping_shows_the_page(void)
{
	struct pv_gnttab_mapping m;
	uint8_t *seen = (uint8_t *)st_window();

	ST_EQ(open_grant(PV_GRANT_RW), 0);
	ST_EQ(pv_gnttab_map(st_own_domid(), ref, PV_GRANT_RW, seen, &m, NULL), 0);
	ST_EQ(memcmp(seen, page, PV_PAGE_SIZE), 0);
	seen[100] = 0xa5;
	ST_EQ(page[100], 0xa5);
	ST_EQ(pv_gnttab_unmap(&m), 0);
	ST_EQ(ST_TRAPS("movb (%0), %%al", : : "r"(seen) : "rax", "memory"), 1);
	ST_EQ(close_grant(), 0);
}

static void mapping_answers_the_machine_address(void)
{
	struct gnttab_map_grant_ref op = { .host_addr = st_window(), .flags = GNTMAP_host_map };
	int16_t status;

	ST_EQ(open_grant(PV_GRANT_RW), 0);
	op.ref = ref;
	op.dom = st_own_domid();
	ST_EQ(map(&op), 0);
	ST_EQ(op.status, GNTST_okay);
	ST_EQ(op.dev_bus_addr, pv_virt_to_mfn(page) << PV_PAGE_SHIFT);
	ST_EQ(unmap(op.host_addr, op.handle, &status), 0);
	ST_EQ(status, GNTST_okay);
	ST_EQ(close_grant(), 0);
}

static void read_only_grant_maps_read_only(void)
{
	struct pv_gnttab_mapping m;
	uint8_t *seen = (uint8_t *)st_window();
	int16_t status = 0;

	ST_EQ(open_grant(PV_GRANT_RO), 0);
	ST_EQ(pv_gnttab_map(st_own_domid(), ref, PV_GRANT_RW, seen, &m, &status), -XEN_EIO);
	ST_EQ(status, GNTST_general_error);
	ST_EQ(pv_gnttab_map(st_own_domid(), ref, PV_GRANT_RO, seen, &m, &status), 0);
	ST_EQ(seen[5], 0x5a);
	ST_EQ(ST_TRAPS("movb $1, (%0)", : : "r"(seen) : "memory"), 1);
	ST_EQ(st_trap.vector, PV_VECTOR_PF);
	ST_EQ(page[0], 0x5a);
	ST_EQ(pv_gnttab_unmap(&m), 0);
	ST_EQ(close_grant(), 0);
}

static void grant_in_use_cannot_be_revoked(void)
{
	struct pv_gnttab_mapping m;

	ST_EQ(open_grant(PV_GRANT_RW), 0);
	ST_CHECK(!pv_gnttab_in_use(ref), "in use before anybody mapped it");
	ST_EQ(pv_gnttab_map(st_own_domid(), ref, PV_GRANT_RW, (void *)st_window(), &m, NULL), 0);
	ST_CHECK(pv_gnttab_in_use(ref), "not in use though mapped");
	ST_EQ(pv_gnttab_revoke(ref), -XEN_EBUSY);
	ST_EQ(pv_gnttab_unmap(&m), 0);
	ST_CHECK(!pv_gnttab_in_use(ref), "in use after the unmap");
	ST_EQ(close_grant(), 0);
	ST_EQ(pv_gnttab_revoke(ref), -XEN_EINVAL);
}

static void one_grant_may_be_mapped_twice(void)
{
	struct pv_gnttab_mapping a, b;
	uint8_t *va = (uint8_t *)st_window();

	ST_EQ(open_grant(PV_GRANT_RW), 0);
	ST_EQ(pv_gnttab_map(st_own_domid(), ref, PV_GRANT_RW, va, &a, NULL), 0);
	ST_EQ(pv_gnttab_map(st_own_domid(), ref, PV_GRANT_RW, va + PV_PAGE_SIZE, &b, NULL), 0);
	ST_CHECK(a.handle != b.handle, "one handle for two mappings");
	ST_EQ(pv_gnttab_unmap(&a), 0);
	ST_CHECK(pv_gnttab_in_use(ref), "not in use though mapped once more");
	ST_EQ(va[PV_PAGE_SIZE], 0x5a);
	ST_EQ(pv_gnttab_unmap(&b), 0);
	ST_EQ(close_grant(), 0);
}

/* The other way to name the place: by the machine address of the page-table entry. */
static void mapping_by_page_table_entry(void)
{
	uint64_t va = st_window();
	struct gnttab_map_grant_ref op = { .flags = GNTMAP_host_map | GNTMAP_contains_pte };
	int16_t status;

	ST_EQ(open_grant(PV_GRANT_RW), 0);
	op.host_addr = pv_mmu_machine_address(pv_mmu_walk(va, 1));
	op.ref = ref;
	op.dom = st_own_domid();
	ST_EQ(map(&op), 0);
	ST_EQ(op.status, GNTST_okay);
	ST_EQ(*(uint8_t *)va, 0x5a);
	ST_EQ(unmap(op.host_addr, op.handle, &status), 0);
	ST_EQ(status, GNTST_okay);
	pv_mmu_flush_page(va);
	ST_EQ(ST_TRAPS("movb (%0), %%al", : : "r"(va) : "rax", "memory"), 1);
	ST_EQ(close_grant(), 0);
}

static void what_was_not_granted_is_refused(void)
{
	struct gnttab_map_grant_ref op = { .host_addr = st_window(), .flags = GNTMAP_host_map };

	op.dom = st_own_domid();
	op.ref = 400; /* in the table, and free */
	ST_EQ(map(&op), 0);
	ST_EQ(op.status, GNTST_general_error);
	op.ref = 1u << 30;
	ST_EQ(map(&op), 0);
	ST_EQ(op.status, GNTST_bad_gntref);
	op.dom = 0x7000;
	op.ref = 8;
	ST_EQ(map(&op), 0);
	ST_EQ(op.status, GNTST_bad_domain);
}

static void grants_to_others_are_refused(void)
{
	struct gnttab_map_grant_ref op = { .host_addr = st_window(), .flags = GNTMAP_host_map };
	grant_ref_t r;

	page = st_page();
	ST_EQ(pv_gnttab_grant(0, pv_virt_to_mfn(page), PV_GRANT_RW, &r), 0);
	op.ref = r;
	op.dom = st_own_domid();
	ST_EQ(map(&op), 0);
	ST_EQ(op.status, GNTST_general_error);
	ST_EQ(pv_gnttab_revoke(r), 0);
	st_page_free(page);
}

static void bad_places_are_refused(void)
{
	struct gnttab_map_grant_ref op = { .flags = GNTMAP_host_map };

	ST_EQ(open_grant(PV_GRANT_RW), 0);
	op.ref = ref;
	op.dom = st_own_domid();
	op.host_addr = (uint64_t)ST_UNMAPPED; /* no table there */
	ST_EQ(map(&op), 0);
	ST_EQ(op.status, GNTST_general_error);
	op.flags = 0; /* map for nobody */
	op.host_addr = st_window();
	ST_EQ(map(&op), 0);
	ST_EQ(op.status, GNTST_bad_gntref);
	ST_CHECK(!pv_gnttab_in_use(ref), "a refused mapping left the grant in use");
	ST_EQ(close_grant(), 0);
}

static void bad_unmaps_are_refused(void)
{
	struct pv_gnttab_mapping m;
	int16_t status;

	ST_EQ(unmap(st_window(), 12345678, &status), 0);
	ST_EQ(status, GNTST_bad_handle);
	ST_EQ(open_grant(PV_GRANT_RW), 0);
	ST_EQ(pv_gnttab_map(st_own_domid(), ref, PV_GRANT_RW, (void *)st_window(), &m, NULL), 0);
	ST_EQ(unmap(st_window() + PV_PAGE_SIZE, m.handle, &status), 0);
	ST_EQ(status, GNTST_general_error);
	ST_EQ(pv_gnttab_unmap(&m), 0);
	ST_EQ(pv_gnttab_unmap(&m), -XEN_EIO);
	ST_EQ(close_grant(), 0);
}

static void copy_within_the_domain(void)
{
	uint8_t *from = st_page(), *to = st_page();
	struct gnttab_copy op = { .len = 100 };
	unsigned int i;

	for (i = 0; i < PV_PAGE_SIZE; i++)
		from[i] = (uint8_t)i;
	op.source.u.gmfn = pv_virt_to_mfn(from);
	op.source.domid = op.dest.domid = DOMID_SELF;
	op.source.offset = 7;
	op.dest.u.gmfn = pv_virt_to_mfn(to);
	op.dest.offset = PV_PAGE_SIZE - 100;
	ST_EQ(pv_hc_grant_table_op(GNTTABOP_copy, &op, 1), 0);
	ST_EQ(op.status, GNTST_okay);
	ST_EQ(memcmp(from + 7, to + PV_PAGE_SIZE - 100, 100), 0);
	ST_EQ(to[PV_PAGE_SIZE - 101], 0);
	st_page_free(from);
	st_page_free(to);
}

static void copy_from_and_to_grants(void)
{
	uint8_t *other = st_page();
	struct gnttab_copy op = { .len = PV_PAGE_SIZE, .flags = GNTCOPY_source_gref };

	ST_EQ(open_grant(PV_GRANT_RW), 0);
	op.source.u.ref = ref;
	op.source.domid = st_own_domid();
	op.dest.u.gmfn = pv_virt_to_mfn(other);
	op.dest.domid = DOMID_SELF;
	ST_EQ(pv_hc_grant_table_op(GNTTABOP_copy, &op, 1), 0);
	ST_EQ(op.status, GNTST_okay);
	ST_EQ(memcmp(other, page, PV_PAGE_SIZE), 0);
	memset(other, 0x11, PV_PAGE_SIZE);
	op.flags = GNTCOPY_dest_gref;
	op.source.u.gmfn = pv_virt_to_mfn(other);
	op.source.domid = DOMID_SELF;
	op.dest.u.ref = ref;
	op.dest.domid = st_own_domid();
	ST_EQ(pv_hc_grant_table_op(GNTTABOP_copy, &op, 1), 0);
	ST_EQ(op.status, GNTST_okay);
	ST_EQ(page[17], 0x11);
	ST_CHECK(!pv_gnttab_in_use(ref), "in use after the copy");
	ST_EQ(close_grant(), 0);
	st_page_free(other);
}

static void copies_that_must_fail(void)
{
	uint8_t *other = st_page();
	struct gnttab_copy op[4];
	unsigned int i;

	ST_EQ(open_grant(PV_GRANT_RO), 0);
	for (i = 0; i < 4; i++) {
		op[i] = (struct gnttab_copy){ .len = 16 };
		op[i].source.u.gmfn = pv_virt_to_mfn(other);
		op[i].source.domid = DOMID_SELF;
		op[i].dest.u.gmfn = pv_virt_to_mfn(other);
		op[i].dest.domid = DOMID_SELF;
	}
	op[0].source.offset = PV_PAGE_SIZE - 8; /* leaves its page */
	op[1].flags = GNTCOPY_dest_gref;        /* writes a read-only grant */
	op[1].dest.u.ref = ref;
	op[1].dest.domid = st_own_domid();
	op[2].flags = GNTCOPY_source_gref; /* no such grant */
	op[2].source.u.ref = 1u << 30;
	op[2].source.domid = st_own_domid();
	op[3].source.u.gmfn = pv_boot.start->pt_base >> 12 | 1ul << 40; /* no such frame */
	for (i = 0; i < 4; i++)
		ST_EQ(pv_hc_grant_table_op(GNTTABOP_copy, &op[i], 1), 0);
	ST_EQ(op[0].status, GNTST_bad_copy_arg);
	ST_EQ(op[1].status, GNTST_general_error);
	ST_EQ(op[2].status, GNTST_bad_gntref);
	ST_EQ(op[3].status, GNTST_bad_page);
	ST_EQ(page[0], 0x5a);
	ST_EQ(close_grant(), 0);
	st_page_free(other);
}

static void copy_cannot_write_a_page_table(void)
{
	uint8_t *other = st_page();
	struct gnttab_copy op = { .len = 8 };

	op.source.u.gmfn = pv_virt_to_mfn(other);
	op.source.domid = op.dest.domid = DOMID_SELF;
	op.dest.u.gmfn = pv_virt_to_mfn((void *)pv_boot.start->pt_base);
	ST_EQ(pv_hc_grant_table_op(GNTTABOP_copy, &op, 1), 0);
	ST_EQ(op.status, GNTST_general_error);
	st_page_free(other);
}

static void rows_can_be_swapped(void)
{
	struct gnttab_swap_grant_ref op;
	struct gnttab_map_grant_ref m = { .host_addr = st_window(), .flags = GNTMAP_host_map };
	uint8_t *second = st_page();
	grant_ref_t other;
	int16_t status;

	ST_EQ(open_grant(PV_GRANT_RW), 0);
	second[0] = 0x77;
	ST_EQ(pv_gnttab_grant(st_own_domid(), pv_virt_to_mfn(second), PV_GRANT_RW, &other), 0);
	op = (struct gnttab_swap_grant_ref){ .ref_a = ref, .ref_b = other };
	ST_EQ(pv_hc_grant_table_op(GNTTABOP_swap_grant_ref, &op, 1), 0);
	ST_EQ(op.status, GNTST_okay);
	m.ref = ref;
	m.dom = st_own_domid();
	ST_EQ(map(&m), 0);
	ST_EQ(*(uint8_t *)st_window(), 0x77);
	ST_EQ(unmap(m.host_addr, m.handle, &status), 0);
	ST_EQ(pv_gnttab_revoke(other), 0);
	ST_EQ(close_grant(), 0);
	st_page_free(second);
}

static void lists_are_worked_through(void)
{
	struct gnttab_map_grant_ref ops[3];
	uint64_t va = st_window();
	int16_t status;
	unsigned int i;

	ST_EQ(open_grant(PV_GRANT_RW), 0);
	for (i = 0; i < 3; i++)
		ops[i] = (struct gnttab_map_grant_ref){ .host_addr = va + (i ? PV_PAGE_SIZE : 0),
			                                .flags = GNTMAP_host_map,
			                                .ref = ref,
			                                .dom = st_own_domid() };
	ops[1].ref = 1u << 30;
	ST_EQ(pv_hc_grant_table_op(GNTTABOP_map_grant_ref, ops, 3), 0);
	ST_EQ(ops[0].status, GNTST_okay);
	ST_EQ(ops[1].status, GNTST_bad_gntref);
	ST_EQ(ops[2].status, GNTST_okay);
	ST_EQ(unmap(ops[0].host_addr, ops[0].handle, &status), 0);
	ST_EQ(unmap(ops[2].host_addr, ops[2].handle, &status), 0);
	ST_EQ(close_grant(), 0);
}

static void call_errors(void)
{
	ST_EQ(pv_hc_grant_table_op(99, NULL, 1), -XEN_ENOSYS);
	ST_EQ(pv_hc_grant_table_op(GNTTABOP_map_grant_ref, ST_HYPERVISOR, 1), -XEN_EFAULT);
	ST_EQ(pv_hc_grant_table_op(GNTTABOP_copy, ST_UNMAPPED, 1), -XEN_EFAULT);
	ST_EQ(pv_hc_grant_table_op(GNTTABOP_map_grant_ref, NULL, ~0u), -XEN_EINVAL);
	ST_EQ(pv_hc_grant_table_op(GNTTABOP_map_grant_ref, NULL, 0), 0);
}

static void table_grows_when_it_is_full(void)
{
	enum { N = 1200 };
	static grant_ref_t refs[N];
	unsigned int i;

	page = st_page();
	for (i = 0; i < N; i++)
		ST_EQ(pv_gnttab_grant(st_own_domid(), pv_virt_to_mfn(page), PV_GRANT_RW, &refs[i]),
		      0);
	ref = refs[N - 1];
	ST_CHECK(ref >= 512, "reference %u", ref);
	{
		struct pv_gnttab_mapping m;

		ST_EQ(pv_gnttab_map(st_own_domid(), ref, PV_GRANT_RW, (void *)st_window(), &m,
		                    NULL),
		      0);
		ST_EQ(pv_gnttab_unmap(&m), 0);
	}
	for (i = 0; i < N; i++)
		ST_EQ(pv_gnttab_revoke(refs[i]), 0);
	st_page_free(page);
}

static const struct st_claim claims[] = {
	ST_CLAIM(table_has_a_size),
	ST_CLAIM(table_can_be_set_up_again),
	ST_CLAIM(table_does_not_grow_for_ever),
	ST_CLAIM(other_domains_tables_are_not_for_us),
	ST_CLAIM(version_is_one),
	ST_CLAIM(mapping_shows_the_page),
	ST_CLAIM(mapping_answers_the_machine_address),
	ST_CLAIM(read_only_grant_maps_read_only),
	ST_CLAIM(grant_in_use_cannot_be_revoked),
	ST_CLAIM(one_grant_may_be_mapped_twice),
	ST_CLAIM(mapping_by_page_table_entry),
	ST_CLAIM(what_was_not_granted_is_refused),
	ST_CLAIM(grants_to_others_are_refused),
	ST_CLAIM(bad_places_are_refused),
	ST_CLAIM(bad_unmaps_are_refused),
	ST_CLAIM(copy_within_the_domain),
	ST_CLAIM(copy_from_and_to_grants),
	ST_CLAIM(copies_that_must_fail),
	ST_CLAIM(copy_cannot_write_a_page_table),
	ST_CLAIM(rows_can_be_swapped),
	ST_CLAIM(lists_are_worked_through),
	ST_CLAIM(call_errors),
	ST_CLAIM(table_grows_when_it_is_full),
};

ST_FAMILY(gnttab, claims);
