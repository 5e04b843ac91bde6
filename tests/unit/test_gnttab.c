/* SPDX-License-Identifier: MIT */
/*
 * Grant tables: between domains, for oneself, and for back-ends in this process. Domain a (the
 * world's first) maps and copies, domain b grants.
 */
#include <check.h>
#include <pthread.h>
#include <string.h>

#include "tests/fake/mem_world.h"
#include "abi/errno.h"
#include "abi/grant_table.h"
#include "abi/mmu.h"
#include "hypervisor-stub/core/gnttab_priv.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define P0           (WORLD_FREE + 0)
#define P1           (WORLD_FREE + 1)
#define P2           (WORLD_FREE + 2)
#define RO           (WORLD_L1 & ~PTE_W)
#define HOST         GNTMAP_host_map
#define REF          8u

static struct world w;
static struct hv_domain *a, *b;
static struct hv_vcpu *v;
static struct fake_engine *e;

static void setup(void)
{
	world_init(&w);
	a = w.d;
	v = w.v;
	b = world_add(&w);
	e = fake_of(a);
}

static void teardown(void)
{
	ck_assert_uint_eq(world_check(&w), 0);
	world_fini(&w);
}

static struct grant_entry_v1 *row(struct hv_domain *d, grant_ref_t ref)
{
	return &d->gnttab.shared[ref / 512][ref % 512];
}

static void grant(struct hv_domain *d, grant_ref_t ref, domid_t to, uint64_t mfn, uint16_t flags)
{
	*row(d, ref) = (struct grant_entry_v1){ .domid = to, .frame = (uint32_t)mfn };
	row(d, ref)->flags = GTF_permit_access | flags;
}

static struct gnttab_map_grant_ref map_at(uint64_t addr, uint32_t flags, domid_t dom,
                                          grant_ref_t ref)
{
	struct gnttab_map_grant_ref op = {
		.host_addr = addr, .flags = flags, .ref = ref, .dom = dom, .status = 77
	};
	uint64_t at = world_args(v, 0, &op, sizeof(op));

	ck_assert_int_eq(
		world_call(v, __HYPERVISOR_grant_table_op, GNTTABOP_map_grant_ref, at, 1, 0), 0);
	world_read(v, at, &op, sizeof(op));
	return op;
}

static int unmap_at(uint64_t addr, uint64_t bus, grant_handle_t handle)
{
	struct gnttab_unmap_grant_ref op = {
		.host_addr = addr, .dev_bus_addr = bus, .handle = handle, .status = 77
	};
	uint64_t at = world_args(v, 0, &op, sizeof(op));

	ck_assert_int_eq(
		world_call(v, __HYPERVISOR_grant_table_op, GNTTABOP_unmap_grant_ref, at, 1, 0), 0);
	world_read(v, at, &op, sizeof(op));
	return op.status;
}

static struct gnttab_copy copy_of(uint16_t flags, domid_t from, uint64_t src, uint16_t src_off,
                                  domid_t to, uint64_t dst, uint16_t dst_off, uint16_t len)
{
	struct gnttab_copy op = { .len = len, .flags = flags, .status = 77 };
	uint64_t at;

	op.source.domid = from;
	op.source.offset = src_off;
	op.source.u.gmfn = src;
	op.dest.domid = to;
	op.dest.offset = dst_off;
	op.dest.u.gmfn = dst;
	at = world_args(v, 0, &op, sizeof(op));
	ck_assert_int_eq(world_call(v, __HYPERVISOR_grant_table_op, GNTTABOP_copy, at, 1, 0), 0);
	world_read(v, at, &op, sizeof(op));
	return op;
}

/* ---- mapping --------------------------------------------------------------------------------------- */

START_TEST(a_foreign_frame_is_mapped_used_and_unmapped)
{
	struct gnttab_map_grant_ref op;
	uint64_t word = 0;

	world_page(b, P0)[0] = 4711;
	grant(b, REF, a->domid, world_mfn(b, P0).n, 0);
	op = map_at(world_va(P1), HOST, b->domid, REF);
	ck_assert_int_eq(op.status, GNTST_okay);
	ck_assert_uint_eq(op.dev_bus_addr, world_mfn(b, P0).n << 12);
	ck_assert_uint_eq(row(b, REF)->flags, GTF_permit_access | GTF_reading | GTF_writing);
	ck_assert_uint_eq(world_frame(b, P0)->type_count, 2);
	ck_assert_uint_eq(world_frame(a, P1)->type_count, 0);
	world_read(v, world_va(P1), &word, sizeof(word));
	ck_assert_uint_eq(word, 4711);
	ck_assert_int_eq(world_touch(v, world_va(P1), PFEC_W), HV_FAULT_RESUME);
	ck_assert_uint_eq(e->last_run.mfn.n, world_mfn(b, P0).n);
	ck_assert_uint_eq(e->last_run.nr, 1);
	ck_assert_uint_eq(world_check(&w), 0);
	/* The cache has dropped the frame when its owner gets it back. */
	ck_assert_int_eq(unmap_at(world_va(P1), 0, op.handle), GNTST_okay);
	ck_assert_ptr_null(fake_cached(a, 0, v->root_kernel, world_va(P1)));
	ck_assert_uint_eq(row(b, REF)->flags, GTF_permit_access);
	ck_assert_uint_eq(world_frame(b, P0)->type_count, 1);
	ck_assert_uint_eq(world_frame(b, P0)->ref_count, 2);
	ck_assert_int_eq(e->foreign, 0);
	ck_assert_int_eq(unmap_at(world_va(P1), 0, op.handle), GNTST_bad_handle);
}
END_TEST

START_TEST(an_entry_may_be_named_by_its_machine_address)
{
	uint64_t at = world_place(a, P1);
	struct gnttab_map_grant_ref op;

	grant(b, REF, a->domid, world_mfn(b, P0).n, 0);
	op = map_at(at, HOST | GNTMAP_contains_pte | GNTMAP_application_map | 5u << 16, b->domid,
	            REF);
	ck_assert_int_eq(op.status, GNTST_okay);
	ck_assert_uint_eq(world_page(a, world_l1(0))[P1], world_mfn(b, P0).n << 12 | PTE_P | PTE_W |
	                                                          PTE_U | PTE_G | PTE_A | PTE_D |
	                                                          PTE_NX | 5u << 9);
	ck_assert_int_eq(unmap_at(at, 0, op.handle), GNTST_okay);
	ck_assert_uint_eq(world_page(a, world_l1(0))[P1], 0);
}
END_TEST

START_TEST(a_mapped_frame_keeps_its_type)
{
	struct gnttab_map_grant_ref op;

	grant(b, REF, a->domid, world_mfn(b, P0).n, 0);
	op = map_at(world_va(P1), HOST, b->domid, REF);
	ck_assert_int_eq(world_protect(b->vcpu[0], P0, RO), 0);
	ck_assert_int_eq(world_ext(b->vcpu[0], MMUEXT_PIN_L1_TABLE, world_mfn(b, P0).n, 0),
	                 -XEN_EINVAL);
	ck_assert_int_eq(unmap_at(world_va(P1), 0, op.handle), GNTST_okay);
	ck_assert_int_eq(world_ext(b->vcpu[0], MMUEXT_PIN_L1_TABLE, world_mfn(b, P0).n, 0), 0);
	ck_assert_int_eq(world_ext(b->vcpu[0], MMUEXT_UNPIN_TABLE, world_mfn(b, P0).n, 0), 0);
}
END_TEST

START_TEST(a_read_only_grant_gives_read_only_mappings)
{
	struct gnttab_map_grant_ref op;

	grant(b, REF, a->domid, world_mfn(b, P0).n, GTF_readonly);
	ck_assert_int_eq(map_at(world_va(P1), HOST, b->domid, REF).status, GNTST_general_error);
	ck_assert_uint_eq(row(b, REF)->flags, GTF_permit_access | GTF_readonly);
	op = map_at(world_va(P1), HOST | GNTMAP_readonly, b->domid, REF);
	ck_assert_int_eq(op.status, GNTST_okay);
	ck_assert_uint_eq(row(b, REF)->flags, GTF_permit_access | GTF_readonly | GTF_reading);
	ck_assert_uint_eq(world_frame(b, P0)->type_count, 1);
	ck_assert_uint_eq(world_frame(b, P0)->ref_count, 3);
	ck_assert_int_eq(world_touch(v, world_va(P1), PFEC_W), HV_FAULT_GUEST);
	/* The guest cannot help itself to more. */
	ck_assert_int_eq(world_update(v, world_place(a, P1), world_mfn(b, P0).n << 12 | WORLD_L1),
	                 -XEN_EBUSY);
	ck_assert_int_eq(world_update(v, world_place(a, P2), world_mfn(b, P0).n << 12 | RO),
	                 -XEN_EBUSY);
	/* What needs no new right may change. */
	ck_assert_int_eq(world_update(v, world_place(a, P1),
	                              world_mfn(b, P0).n << 12 | PTE_P | PTE_U | PTE_AVAIL),
	                 0);
	ck_assert_int_eq(unmap_at(world_va(P1), 0, op.handle), GNTST_okay);
	ck_assert_uint_eq(row(b, REF)->flags, GTF_permit_access | GTF_readonly);
}
END_TEST

START_TEST(a_page_table_may_be_shown_but_not_lent)
{
	struct gnttab_map_grant_ref op;

	grant(b, REF, a->domid, world_mfn(b, world_l1(0)).n, 0);
	ck_assert_int_eq(map_at(world_va(P1), HOST, b->domid, REF).status, GNTST_general_error);
	ck_assert_uint_eq(row(b, REF)->flags, GTF_permit_access);
	op = map_at(world_va(P1), HOST | GNTMAP_readonly, b->domid, REF);
	ck_assert_int_eq(op.status, GNTST_okay);
	ck_assert_int_eq(unmap_at(world_va(P1), 0, op.handle), GNTST_okay);
}
END_TEST

START_TEST(device_mappings_hold_the_frame_too)
{
	struct gnttab_map_grant_ref op;

	grant(b, REF, a->domid, world_mfn(b, P0).n, 0);
	op = map_at(world_va(P1), HOST | GNTMAP_device_map, b->domid, REF);
	ck_assert_int_eq(op.status, GNTST_okay);
	ck_assert_uint_eq(world_frame(b, P0)->type_count, 3);
	ck_assert_int_eq(unmap_at(0, op.dev_bus_addr + 4096, op.handle), GNTST_bad_dev_addr);
	ck_assert_int_eq(unmap_at(world_va(P1), 0, op.handle), GNTST_okay);
	ck_assert_uint_eq(world_frame(b, P0)->type_count, 2);
	ck_assert_uint_eq(row(b, REF)->flags, GTF_permit_access | GTF_reading | GTF_writing);
	ck_assert_int_eq(unmap_at(0, op.dev_bus_addr, op.handle), GNTST_okay);
	ck_assert_uint_eq(world_frame(b, P0)->type_count, 1);
	ck_assert_uint_eq(row(b, REF)->flags, GTF_permit_access);
}
END_TEST

START_TEST(ones_own_frames_can_be_mapped_by_grants)
{
	struct gnttab_map_grant_ref op;

	grant(a, REF, a->domid, world_mfn(a, P0).n, 0);
	op = map_at(world_va(P1), HOST | GNTMAP_device_map, a->domid, REF);
	ck_assert_int_eq(op.status, GNTST_okay);
	ck_assert_uint_eq(world_frame(a, P0)->type_count, 3);
	ck_assert_uint_eq(world_check(&w), 0);
	ck_assert_int_eq(unmap_at(world_va(P1), op.dev_bus_addr, op.handle), GNTST_okay);
	ck_assert_uint_eq(world_frame(a, P0)->type_count, 1);
	ck_assert_uint_eq(row(a, REF)->flags, GTF_permit_access);
}
END_TEST

START_TEST(the_mark_stays_until_the_last_mapping_goes)
{
	struct gnttab_map_grant_ref one, two;

	grant(b, REF, a->domid, world_mfn(b, P0).n, 0);
	one = map_at(world_va(P1), HOST | GNTMAP_readonly, b->domid, REF);
	ck_assert_uint_eq(row(b, REF)->flags & (GTF_reading | GTF_writing), GTF_reading);
	two = map_at(world_va(P2), HOST, b->domid, REF);
	ck_assert_int_eq(two.status, GNTST_okay);
	ck_assert_uint_ne(one.handle, two.handle);
	ck_assert_uint_eq(row(b, REF)->flags & (GTF_reading | GTF_writing),
	                  GTF_reading | GTF_writing);
	ck_assert_int_eq(unmap_at(world_va(P2), 0, two.handle), GNTST_okay);
	ck_assert_uint_eq(row(b, REF)->flags & (GTF_reading | GTF_writing), GTF_reading);
	ck_assert_int_eq(unmap_at(world_va(P1), 0, one.handle), GNTST_okay);
	ck_assert_uint_eq(row(b, REF)->flags, GTF_permit_access);
}
END_TEST

START_TEST(handles_of_one_frame_may_be_unmapped_crosswise)
{
	struct gnttab_map_grant_ref one, two;

	grant(b, REF, a->domid, world_mfn(b, P0).n, 0);
	one = map_at(world_va(P1), HOST, b->domid, REF);
	two = map_at(world_va(P2), HOST, b->domid, REF);
	/* Xen looks at the entry, not at who made it. */
	ck_assert_int_eq(unmap_at(world_va(P2), 0, one.handle), GNTST_okay);
	ck_assert_uint_eq(world_check(&w), 0);
	ck_assert_int_eq(unmap_at(world_va(P1), 0, two.handle), GNTST_okay);
	ck_assert_uint_eq(world_frame(b, P0)->type_count, 1);
}
END_TEST

START_TEST(an_entry_that_allows_more_or_less_is_not_the_handles)
{
	struct gnttab_map_grant_ref ro, rw;

	grant(b, REF, a->domid, world_mfn(b, P0).n, 0);
	ro = map_at(world_va(P1), HOST | GNTMAP_readonly, b->domid, REF);
	rw = map_at(world_va(P2), HOST, b->domid, REF);
	ck_assert_int_eq(unmap_at(world_va(P2), 0, ro.handle), GNTST_general_error);
	ck_assert_int_eq(unmap_at(world_va(P1), 0, rw.handle), GNTST_general_error);
	ck_assert_int_eq(unmap_at(world_va(P2), 0, rw.handle), GNTST_okay);
	ck_assert_int_eq(unmap_at(world_va(P1), 0, ro.handle), GNTST_okay);
}
END_TEST

START_TEST(a_row_in_use_is_one_domains)
{
	struct hv_domain *c = world_add(&w);
	struct gnttab_map_grant_ref op;

	grant(b, REF, a->domid, world_mfn(b, P0).n, 0);
	op = map_at(world_va(P1), HOST, b->domid, REF);
	ck_assert_int_eq(op.status, GNTST_okay);
	/* The guest may change the row under our hands: it is the first user's until that unmaps. */
	row(b, REF)->domid = c->domid;
	v = c->vcpu[0];
	ck_assert_int_eq(map_at(world_va(P1), HOST, b->domid, REF).status, GNTST_general_error);
	ck_assert_int_eq(
		copy_of(GNTCOPY_source_gref, b->domid, REF, 0, DOMID_SELF, world_mfn(c, P0).n, 0, 8)
			.status,
		GNTST_general_error);
	v = w.v;
	row(b, REF)->frame = (uint32_t)world_mfn(b, P2).n;
	ck_assert_int_eq(unmap_at(world_va(P1), 0, op.handle), GNTST_okay);
	ck_assert_uint_eq(world_frame(b, P0)->ref_count, 2);
	ck_assert_uint_eq(world_frame(b, P2)->ref_count, 2);
}
END_TEST

START_TEST(a_run_ends_where_the_owner_changes)
{
	struct gnttab_map_grant_ref op;

	/* The last frame of a is followed by the first of b. */
	ck_assert_uint_eq(a->shared_info_mfn.n + 1, world_mfn(b, 0).n);
	ck_assert_int_eq(world_update(v, world_place(a, P0),
	                              a->shared_info_mfn.n << 12 | WORLD_L1 | PTE_D | PTE_NX),
	                 0);
	grant(b, REF, a->domid, world_mfn(b, 0).n, 0);
	op = map_at(world_va(P1), HOST | GNTMAP_application_map, b->domid, REF);
	ck_assert_int_eq(op.status, GNTST_okay);
	ck_assert_int_eq(world_touch(v, world_va(P0), PFEC_W), HV_FAULT_RESUME);
	ck_assert_uint_eq(e->last_run.nr, 1);
	ck_assert_int_eq(world_touch(v, world_va(P1), PFEC_W), HV_FAULT_RESUME);
	ck_assert_uint_eq(e->last_run.nr, 1);
}
END_TEST

START_TEST(an_entry_that_the_guest_overwrote_leaves_the_grant_in_use)
{
	struct gnttab_map_grant_ref op;

	grant(b, REF, a->domid, world_mfn(b, P0).n, 0);
	op = map_at(world_va(P1), HOST, b->domid, REF);
	ck_assert_int_eq(world_update(v, world_place(a, P1), world_entry(a, P1, WORLD_L1)), 0);
	ck_assert_uint_eq(world_check(&w), 0);
	ck_assert_int_eq(unmap_at(world_va(P1), 0, op.handle), GNTST_general_error);
	ck_assert_uint_eq(world_frame(b, P0)->type_count, 2);
	/* The place may be used for another grant. */
	grant(b, REF + 1, a->domid, world_mfn(b, P2).n, 0);
	ck_assert_int_eq(map_at(world_va(P1), HOST, b->domid, REF + 1).status, GNTST_okay);
	ck_assert_int_eq(map_at(world_va(P1), HOST, b->domid, REF + 1).status, GNTST_okay);
}
END_TEST

START_TEST(a_table_with_a_grant_in_it_is_not_validated_again)
{
	uint64_t at = world_ptr(a, P0, 3);
	struct gnttab_map_grant_ref op;

	ck_assert_int_eq(world_protect(v, P0, RO), 0);
	ck_assert_int_eq(world_ext(v, MMUEXT_PIN_L1_TABLE, world_mfn(a, P0).n, 0), 0);
	grant(b, REF, a->domid, world_mfn(b, P0).n, 0);
	op = map_at(at, HOST | GNTMAP_contains_pte, b->domid, REF);
	ck_assert_int_eq(op.status, GNTST_okay);
	ck_assert_int_eq(world_ext(v, MMUEXT_UNPIN_TABLE, world_mfn(a, P0).n, 0), 0);
	ck_assert_int_eq(world_ext(v, MMUEXT_PIN_L1_TABLE, world_mfn(a, P0).n, 0), -XEN_EBUSY);
	ck_assert_int_eq(unmap_at(at, 0, op.handle), GNTST_general_error);
}
END_TEST

/* The status of unmapping `addr` with the entry of `from` put in its place. */
static int replace_at(uint64_t addr, uint64_t from, grant_handle_t handle)
{
	struct gnttab_unmap_and_replace op = { .host_addr = addr,
		                               .new_addr = from,
		                               .handle = handle };
	uint64_t at = world_args(v, 0, &op, sizeof(op));

	ck_assert_int_eq(
		world_call(v, __HYPERVISOR_grant_table_op, GNTTABOP_unmap_and_replace, at, 1, 0),
		0);
	world_read(v, at, &op, sizeof(op));
	return op.status;
}

START_TEST(unmap_and_replace_moves_an_entry)
{
	struct gnttab_map_grant_ref one, two;

	grant(b, REF, a->domid, world_mfn(b, P0).n, 0);
	grant(b, REF + 1, a->domid, world_mfn(b, P1).n, 0);
	one = map_at(world_va(P0), HOST, b->domid, REF);
	two = map_at(world_va(P1), HOST, b->domid, REF + 1);
	/* One's own page takes the place of a grant... */
	ck_assert_int_eq(replace_at(world_va(P0), world_va(P2), one.handle), GNTST_okay);
	ck_assert_uint_eq(world_page(a, world_l1(0))[P0] & PTE_FRAME, world_mfn(a, P2).n << 12);
	ck_assert_uint_eq(world_page(a, world_l1(0))[P2], 0);
	ck_assert_uint_eq(world_check(&w), 0);
	/* ... and a grant that of another. */
	one = map_at(world_va(P2), HOST, b->domid, REF);
	ck_assert_int_eq(replace_at(world_va(P2), world_va(P1), one.handle), GNTST_okay);
	ck_assert_uint_eq(world_check(&w), 0);
	ck_assert_int_eq(unmap_at(world_va(P2), 0, two.handle), GNTST_okay);
	ck_assert_uint_eq(world_frame(b, P1)->type_count, 1);
}
END_TEST

/* Two mappings of one frame; one is unmapped where the other is, and its own entry is to come there. */
START_TEST(a_mapping_is_unmapped_at_its_twins_place_and_replaced_by_itself)
{
	struct gnttab_map_grant_ref one, two;

	grant(b, REF, a->domid, world_mfn(b, P0).n, 0);
	one = map_at(world_va(P0), HOST, b->domid, REF);
	two = map_at(world_va(P1), HOST, b->domid, REF);
	ck_assert_int_eq(replace_at(world_va(P1), world_va(P0), one.handle), GNTST_okay);
	/* What is left is the other's, and has a record of its own. */
	ck_assert_uint_eq(world_check(&w), 0);
	ck_assert_int_eq(unmap_at(world_va(P1), 0, one.handle), GNTST_bad_handle);
	ck_assert_int_eq(unmap_at(world_va(P1), 0, two.handle), GNTST_okay);
	ck_assert_uint_eq(world_frame(b, P0)->type_count, 1);
	ck_assert_int_eq(e->foreign, 0);
}
END_TEST

/* ---- what is refused --------------------------------------------------------------------------------- */

static const struct {
	uint16_t flags;
	domid_t to, from;
	int frame; /* 0 a good one, 1 the mapper's, 2 free, 3 nonsense, 4 b's shared_info */
	uint32_t map_flags;
	uint64_t addr;
	grant_ref_t ref;
	int status;
} refused[] = {
	{ GTF_permit_access, 1, 2, 0, HOST, WORLD_BASE + 0x9000, REF, GNTST_okay },
	{ GTF_permit_access, 1, 2, 4, HOST, WORLD_BASE + 0x9000, REF, GNTST_okay },
	{ GTF_permit_access, 1, 2, 0, 0, WORLD_BASE + 0x9000, REF, GNTST_bad_gntref },
	{ GTF_permit_access, 1, 2, 0, GNTMAP_readonly, WORLD_BASE + 0x9000, REF, GNTST_bad_gntref },
	{ GTF_permit_access, 1, 9, 0, HOST, WORLD_BASE + 0x9000, REF, GNTST_bad_domain },
	{ GTF_permit_access, 1, 0, 0, HOST, WORLD_BASE + 0x9000, REF, GNTST_general_error },
	{ GTF_permit_access, 1, DOMID_SELF, 0, HOST, WORLD_BASE + 0x9000, REF, GNTST_bad_domain },
	{ GTF_permit_access, 1, 2, 0, HOST, WORLD_BASE + 0x9000, 512, GNTST_bad_gntref },
	{ GTF_permit_access, 1, 2, 0, HOST, WORLD_BASE + 0x9000, UINT32_MAX, GNTST_bad_gntref },
	{ GTF_permit_access, 2, 2, 0, HOST, WORLD_BASE + 0x9000, REF, GNTST_general_error },
	{ GTF_permit_access, 0, 2, 0, HOST, WORLD_BASE + 0x9000, REF, GNTST_general_error },
	{ GTF_invalid, 1, 2, 0, HOST, WORLD_BASE + 0x9000, REF, GNTST_general_error },
	{ GTF_accept_transfer, 1, 2, 0, HOST, WORLD_BASE + 0x9000, REF, GNTST_general_error },
	{ GTF_transitive, 1, 2, 0, HOST, WORLD_BASE + 0x9000, REF, GNTST_general_error },
	{ GTF_permit_access | GTF_sub_page, 1, 2, 0, HOST, WORLD_BASE + 0x9000, REF,
	  GNTST_general_error },
	{ GTF_permit_access, 1, 2, 1, HOST, WORLD_BASE + 0x9000, REF, GNTST_bad_page },
	{ GTF_permit_access, 1, 2, 2, HOST, WORLD_BASE + 0x9000, REF, GNTST_bad_page },
	{ GTF_permit_access, 1, 2, 3, HOST, WORLD_BASE + 0x9000, REF, GNTST_bad_page },
	{ GTF_permit_access, 1, 2, 0, HOST, 0, REF, GNTST_general_error },
	{ GTF_permit_access, 1, 2, 0, HOST, UINT64_C(0xffff800000000000), REF,
	  GNTST_general_error },
	{ GTF_permit_access, 1, 2, 0, HOST, UINT64_MAX, REF, GNTST_general_error },
	{ GTF_permit_access, 1, 2, 0, HOST | GNTMAP_contains_pte, 12, REF, GNTST_general_error },
	{ GTF_permit_access, 1, 2, 0, HOST | GNTMAP_contains_pte, UINT64_MAX - 7, REF,
	  GNTST_general_error },
};

START_TEST(bad_requests_get_their_status_and_change_nothing)
{
	uint64_t frames[] = { world_mfn(b, P0).n, world_mfn(a, P0).n,
		              b->mem.first.n + WORLD_PAGES + 3, UINT32_MAX, b->shared_info_mfn.n };
	struct gnttab_map_grant_ref op;

	ck_assert_uint_eq(a->domid, 1);
	ck_assert_uint_eq(b->domid, 2);
	grant(b, REF, refused[_i].to, frames[refused[_i].frame], 0);
	row(b, REF)->flags = refused[_i].flags;
	op = map_at(refused[_i].addr, refused[_i].map_flags, refused[_i].from, refused[_i].ref);
	ck_assert_int_eq(op.status, refused[_i].status);
	if (op.status)
		ck_assert_uint_eq(row(b, REF)->flags, refused[_i].flags);
	else
		ck_assert_int_eq(unmap_at(refused[_i].addr, 0, op.handle), GNTST_okay);
	ck_assert_uint_eq(world_frame(b, P0)->ref_count, 2);
}
END_TEST

START_TEST(tables_of_one_level_only_take_mappings)
{
	grant(b, REF, a->domid, world_mfn(b, P0).n, 0);
	ck_assert_int_eq(
		map_at(world_ptr(a, world_l2(), 400), HOST | GNTMAP_contains_pte, b->domid, REF)
			.status,
		GNTST_general_error);
	ck_assert_int_eq(
		map_at(world_ptr(a, P1, 4), HOST | GNTMAP_contains_pte, b->domid, REF).status,
		GNTST_general_error);
	ck_assert_int_eq(
		map_at(world_ptr(b, world_l1(0), 4), HOST | GNTMAP_contains_pte, b->domid, REF)
			.status,
		GNTST_general_error);
	ck_assert_uint_eq(world_frame(b, P0)->ref_count, 2);
}
END_TEST

START_TEST(an_engine_without_foreign_frames_refuses_to_map_them)
{
	struct gnttab_map_grant_ref op;

	e->own_only = true;
	grant(b, REF, a->domid, world_mfn(b, P0).n, 0);
	ck_assert_int_eq(map_at(world_va(P1), HOST, b->domid, REF).status, GNTST_general_error);
	ck_assert_uint_eq(row(b, REF)->flags, GTF_permit_access);
	ck_assert_uint_eq(world_frame(b, P0)->ref_count, 2);
	/* One's own, and copies, go on. */
	grant(a, REF, a->domid, world_mfn(a, P0).n, 0);
	op = map_at(world_va(P1), HOST, a->domid, REF);
	ck_assert_int_eq(op.status, GNTST_okay);
	ck_assert_int_eq(unmap_at(world_va(P1), 0, op.handle), GNTST_okay);
	ck_assert_int_eq(
		copy_of(GNTCOPY_source_gref, b->domid, REF, 0, DOMID_SELF, world_mfn(a, P0).n, 0, 8)
			.status,
		GNTST_okay);
}
END_TEST

START_TEST(handles_are_the_mappers_only)
{
	struct gnttab_map_grant_ref op;

	grant(b, REF, a->domid, world_mfn(b, P0).n, 0);
	op = map_at(world_va(P1), HOST, b->domid, REF);
	v = b->vcpu[0];
	ck_assert_int_eq(unmap_at(world_va(P1), 0, op.handle), GNTST_bad_handle);
	v = w.v;
	ck_assert_int_eq(unmap_at(world_va(P1), 0, op.handle + 1), GNTST_bad_handle);
	ck_assert_int_eq(unmap_at(world_va(P1), 0, UINT32_MAX), GNTST_bad_handle);
	ck_assert_int_eq(unmap_at(world_va(P2), 0, op.handle), GNTST_general_error);
	ck_assert_int_eq(unmap_at(0, 0, op.handle), GNTST_okay); /* nothing asked for */
	ck_assert_int_eq(unmap_at(world_va(P1), 0, op.handle), GNTST_okay);
}
END_TEST

START_TEST(handles_run_out_and_come_back)
{
	uint32_t n = 0;

	grant(b, REF, a->domid, world_mfn(b, P0).n, 0);
	/* Without a host mapping nothing but the handle is used up. */
	while (map_at(0, GNTMAP_device_map | GNTMAP_readonly, b->domid, REF).status == GNTST_okay)
		n++;
	/* A row's pins are counted in 16 bits. */
	ck_assert_uint_ge(n, UINT16_MAX - 2);
	for (uint32_t i = 0; i < n; i++)
		ck_assert_int_eq(unmap_at(0, world_mfn(b, P0).n << 12, i), GNTST_okay);
	ck_assert_uint_eq(world_frame(b, P0)->ref_count, 2);
	ck_assert_int_eq(map_at(world_va(P1), HOST, b->domid, REF).status, GNTST_okay);
}
END_TEST

/* ---- the end of domains ------------------------------------------------------------------------------ */

START_TEST(the_mapper_dies_first)
{
	grant(b, REF, a->domid, world_mfn(b, P0).n, 0);
	ck_assert_int_eq(map_at(world_va(P1), HOST | GNTMAP_device_map, b->domid, REF).status, 0);
	ck_assert_int_eq(world_touch(v, world_va(P1), PFEC_W), HV_FAULT_RESUME);
	world_end(&w, a);
	ck_assert_uint_eq(world_frame(b, P0)->ref_count, 2);
	ck_assert_uint_eq(row(b, REF)->flags, GTF_permit_access);
}
END_TEST

START_TEST(the_granter_dies_first)
{
	struct gnttab_map_grant_ref op;

	grant(b, REF, a->domid, world_mfn(b, P0).n, 0);
	op = map_at(world_va(P1), HOST, b->domid, REF);
	ck_assert_int_eq(world_touch(v, world_va(P1), PFEC_W), HV_FAULT_RESUME);
	world_end(&w, b);
	/* The place is empty, in the tables and in the cache; the handle can be given back. */
	ck_assert_ptr_null(fake_cached(a, 0, v->root_kernel, world_va(P1)));
	ck_assert_int_eq(world_touch(v, world_va(P1), 0), HV_FAULT_GUEST);
	ck_assert_int_eq(unmap_at(world_va(P1), 0, op.handle), GNTST_okay);
	ck_assert_int_eq(unmap_at(world_va(P1), 0, op.handle), GNTST_bad_handle);
	b = world_add(&w);
}
END_TEST

START_TEST(the_granter_dies_with_a_stale_translation_around)
{
	grant(b, REF, a->domid, world_mfn(b, P0).n, 0);
	ck_assert_int_eq(map_at(world_va(P1), HOST, b->domid, REF).status, GNTST_okay);
	ck_assert_int_eq(world_touch(v, world_va(P1), PFEC_W), HV_FAULT_RESUME);
	ck_assert_int_eq(world_update(v, world_place(a, P1), 0), 0);
	ck_assert_ptr_nonnull(fake_cached(a, 0, v->root_kernel, world_va(P1)));
	world_end(&w, b);
	ck_assert_ptr_null(fake_cached(a, 0, v->root_kernel, world_va(P1)));
	b = world_add(&w);
}
END_TEST

START_TEST(both_map_each_other)
{
	grant(b, REF, a->domid, world_mfn(b, P0).n, 0);
	grant(a, REF, b->domid, world_mfn(a, P0).n, 0);
	ck_assert_int_eq(map_at(world_va(P1), HOST, b->domid, REF).status, 0);
	v = b->vcpu[0];
	ck_assert_int_eq(map_at(world_va(P1), HOST, a->domid, REF).status, 0);
	v = w.v;
	ck_assert_uint_eq(world_check(&w), 0);
}
END_TEST

/* ---- copies ------------------------------------------------------------------------------------------- */

START_TEST(copies_go_both_ways)
{
	uint8_t *mine = (uint8_t *)world_page(a, P0), *theirs = (uint8_t *)world_page(b, P0);

	grant(b, REF, a->domid, world_mfn(b, P0).n, 0);
	memset(theirs, 0x11, 4096);
	ck_assert_int_eq(copy_of(GNTCOPY_source_gref, b->domid, REF, 10, DOMID_SELF,
	                         world_mfn(a, P0).n, 20, 100)
	                         .status,
	                 GNTST_okay);
	ck_assert_uint_eq(mine[19], 0);
	ck_assert_uint_eq(mine[20], 0x11);
	ck_assert_uint_eq(mine[119], 0x11);
	ck_assert_uint_eq(mine[120], 0);
	memset(mine, 0x22, 4096);
	ck_assert_int_eq(copy_of(GNTCOPY_dest_gref, DOMID_SELF, world_mfn(a, P0).n, 0, b->domid,
	                         REF, 0, 4096)
	                         .status,
	                 GNTST_okay);
	ck_assert_uint_eq(theirs[4095], 0x22);
	ck_assert_uint_eq(row(b, REF)->flags, GTF_permit_access);
	ck_assert_uint_eq(world_frame(b, P0)->ref_count, 2);
}
END_TEST

static const struct {
	uint16_t flags;
	domid_t from, to;
	int source, dest; /* 0: a good frame or ref, 1: a bad one, 2: a page table */
	uint16_t src_off, dst_off, len;
	int status;
} copies[] = {
	{ GNTCOPY_source_gref, 2, DOMID_SELF, 0, 0, 0, 0, 4096, GNTST_okay },
	{ GNTCOPY_source_gref, 2, 1, 0, 0, 0, 0, 8, GNTST_permission_denied },
	{ 0, DOMID_SELF, DOMID_SELF, 0, 2, 0, 0, 8, GNTST_general_error },
	{ 0, DOMID_SELF, DOMID_SELF, 2, 0, 0, 0, 8, GNTST_okay },
	{ 0, 2, DOMID_SELF, 0, 0, 0, 0, 8, GNTST_permission_denied },
	{ GNTCOPY_source_gref, 7, DOMID_SELF, 0, 0, 0, 0, 8, GNTST_bad_domain },
	{ GNTCOPY_source_gref, 0, DOMID_SELF, 0, 0, 0, 0, 8, GNTST_general_error },
	{ GNTCOPY_source_gref, 2, DOMID_SELF, 1, 0, 0, 0, 8, GNTST_bad_gntref },
	{ GNTCOPY_source_gref, 2, DOMID_SELF, 0, 1, 0, 0, 8, GNTST_bad_page },
	{ GNTCOPY_source_gref, 2, DOMID_SELF, 0, 0, 1, 0, 4096, GNTST_bad_copy_arg },
	{ GNTCOPY_source_gref, 2, DOMID_SELF, 0, 0, 0, 1, 4096, GNTST_bad_copy_arg },
	{ GNTCOPY_source_gref, 2, DOMID_SELF, 0, 0, UINT16_MAX, 0, UINT16_MAX, GNTST_bad_copy_arg },
	{ GNTCOPY_source_gref, 2, DOMID_SELF, 0, 0, 4096, 0, 0, GNTST_okay },
	{ GNTCOPY_source_gref | GNTCOPY_dest_gref, 2, 2, 0, 0, 0, 64, 8, GNTST_okay },
};

START_TEST(copies_are_checked)
{
	uint64_t frames[] = { world_mfn(a, P0).n, 3, world_mfn(a, world_l1(0)).n };
	uint64_t refs[] = { REF, 5000, REF + 1 };
	bool by_src = copies[_i].flags & GNTCOPY_source_gref;
	bool by_dst = copies[_i].flags & GNTCOPY_dest_gref;

	grant(b, REF, a->domid, world_mfn(b, P0).n, 0);
	ck_assert_int_eq(copy_of(copies[_i].flags, copies[_i].from,
	                         by_src ? refs[copies[_i].source] : frames[copies[_i].source],
	                         copies[_i].src_off, copies[_i].to,
	                         by_dst ? refs[copies[_i].dest] : frames[copies[_i].dest],
	                         copies[_i].dst_off, copies[_i].len)
	                         .status,
	                 copies[_i].status);
	ck_assert_uint_eq(row(b, REF)->flags, GTF_permit_access);
	ck_assert_uint_eq(world_frame(b, P0)->ref_count, 2);
}
END_TEST

START_TEST(a_read_only_grant_is_not_written_by_a_copy)
{
	grant(b, REF, a->domid, world_mfn(b, P0).n, GTF_readonly);
	ck_assert_int_eq(
		copy_of(GNTCOPY_dest_gref, DOMID_SELF, world_mfn(a, P0).n, 0, b->domid, REF, 0, 8)
			.status,
		GNTST_general_error);
	grant(b, REF + 1, 0, world_mfn(b, P0).n, 0);
	ck_assert_int_eq(copy_of(GNTCOPY_source_gref, b->domid, REF + 1, 0, DOMID_SELF,
	                         world_mfn(a, P0).n, 0, 8)
	                         .status,
	                 GNTST_general_error);
}
END_TEST

/* ---- the table ---------------------------------------------------------------------------------------- */

static const struct {
	domid_t dom;
	uint32_t nr;
	uint64_t list;
	int status;
	unsigned have; /* pages afterwards */
} setups[] = {
	{ DOMID_SELF, 1, WORLD_BASE + 0x1000, GNTST_okay, 1 },
	{ DOMID_SELF, 0, 0, GNTST_okay, 1 },
	{ DOMID_SELF, 4, WORLD_BASE + 0x1000, GNTST_okay, 4 },
	{ 1, 64, WORLD_BASE + 0x1000, GNTST_okay, 64 },
	{ DOMID_SELF, 65, WORLD_BASE + 0x1000, GNTST_general_error, 1 },
	{ DOMID_SELF, UINT32_MAX, WORLD_BASE + 0x1000, GNTST_general_error, 1 },
	{ 2, 4, WORLD_BASE + 0x1000, GNTST_permission_denied, 1 },
	{ 0, 4, WORLD_BASE + 0x1000, GNTST_permission_denied, 1 },
	{ 9, 4, WORLD_BASE + 0x1000, GNTST_bad_domain, 1 },
	{ DOMID_SELF, 4, 8, GNTST_bad_virt_addr, 4 },
};

START_TEST(tables_grow_as_asked)
{
	struct gnttab_setup_table op = { .dom = setups[_i].dom, .nr_frames = setups[_i].nr };
	struct gnttab_query_size q = { .dom = DOMID_SELF };
	uint64_t at, frames[64];

	op.frame_list.va = setups[_i].list;
	at = world_args(v, 0, &op, sizeof(op));
	ck_assert_int_eq(world_call(v, __HYPERVISOR_grant_table_op, GNTTABOP_setup_table, at, 1, 0),
	                 0);
	world_read(v, at, &op, sizeof(op));
	ck_assert_int_eq(op.status, setups[_i].status);
	at = world_args(v, 64, &q, sizeof(q));
	ck_assert_int_eq(world_call(v, __HYPERVISOR_grant_table_op, GNTTABOP_query_size, at, 1, 0),
	                 0);
	world_read(v, at, &q, sizeof(q));
	ck_assert_int_eq(q.status, 0);
	ck_assert_uint_eq(q.nr_frames, setups[_i].have);
	ck_assert_uint_eq(q.max_nr_frames, 64);
	if (op.status || !op.nr_frames)
		return;
	/* The guest maps its table by the numbers that it was told. */
	world_read(v, setups[_i].list, frames, op.nr_frames * 8);
	for (unsigned i = 0; i < op.nr_frames; i++)
		ck_assert_uint_eq(frames[i], a->gnttab.frame[i].n);
	ck_assert_int_eq(world_update(v, world_place(a, P0), frames[0] << 12 | WORLD_L1), 0);
	ck_assert_int_eq(world_touch(v, world_va(P0), PFEC_W), HV_FAULT_RESUME);
}
END_TEST

static int64_t gnttab(unsigned cmd, const void *op, size_t len, uint64_t count)
{
	return world_call(v, __HYPERVISOR_grant_table_op, cmd, world_args(v, 0, op, len), count, 0);
}

START_TEST(small_operations)
{
	struct gnttab_set_version sv = { .version = 2 };
	struct gnttab_get_version gv = { .dom = DOMID_SELF };
	struct gnttab_transfer tr = { .mfn = world_mfn(a, P0).n, .domid = 2 };
	uint64_t at = world_va(WORLD_ARGS);

	ck_assert_int_eq(gnttab(GNTTABOP_set_version, &sv, sizeof(sv), 1), -XEN_ENOSYS);
	world_read(v, at, &sv, sizeof(sv));
	ck_assert_uint_eq(sv.version, 1);
	ck_assert_int_eq(gnttab(GNTTABOP_set_version, &sv, sizeof(sv), 1), 0);
	sv.version = 3;
	ck_assert_int_eq(gnttab(GNTTABOP_set_version, &sv, sizeof(sv), 1), -XEN_EINVAL);
	ck_assert_int_eq(gnttab(GNTTABOP_get_version, &gv, sizeof(gv), 1), 0);
	world_read(v, at, &gv, sizeof(gv));
	ck_assert_uint_eq(gv.version, 1);
	gv.dom = 2;
	ck_assert_int_eq(gnttab(GNTTABOP_get_version, &gv, sizeof(gv), 1), -XEN_EPERM);
	gv.dom = 9;
	ck_assert_int_eq(gnttab(GNTTABOP_get_version, &gv, sizeof(gv), 1), -XEN_ESRCH);
	/* The page stays: that is what this status says. */
	ck_assert_int_eq(gnttab(GNTTABOP_transfer, &tr, sizeof(tr), 1), 0);
	world_read(v, at, &tr, sizeof(tr));
	ck_assert_int_eq(tr.status, GNTST_bad_page);
	ck_assert_int_eq(gnttab(GNTTABOP_dump_table, &tr, sizeof(tr), 1), -XEN_ENOSYS);
	ck_assert_int_eq(gnttab(GNTTABOP_get_status_frames, &tr, sizeof(tr), 1), -XEN_ENOSYS);
	ck_assert_int_eq(gnttab(13, &tr, sizeof(tr), 1), -XEN_ENOSYS);
	ck_assert_int_eq(gnttab(GNTTABOP_copy | 1 << 12, &tr, sizeof(tr), 1), -XEN_EINVAL);
	ck_assert_int_eq(gnttab(GNTTABOP_copy, &tr, sizeof(tr), 0x80000000u), -XEN_EINVAL);
	ck_assert_int_eq(gnttab(GNTTABOP_setup_table, &tr, sizeof(tr), 2), -XEN_EINVAL);
	ck_assert_int_eq(gnttab(GNTTABOP_query_size, &tr, sizeof(tr), 0), -XEN_EINVAL);
}
END_TEST

START_TEST(rows_are_swapped_when_nobody_uses_them)
{
	struct gnttab_swap_grant_ref op = { .ref_a = REF, .ref_b = REF + 1 };
	uint64_t at = world_va(WORLD_ARGS);
	hv_gnttab_host_map_t map;

	grant(a, REF, 0, world_mfn(a, P0).n, 0);
	ck_assert_int_eq(gnttab(GNTTABOP_swap_grant_ref, &op, sizeof(op), 1), 0);
	world_read(v, at, &op, sizeof(op));
	ck_assert_int_eq(op.status, GNTST_okay);
	ck_assert_uint_eq(row(a, REF)->flags, 0);
	ck_assert_uint_eq(row(a, REF + 1)->frame, world_mfn(a, P0).n);
	ck_assert_int_eq(hv_gnttab_host_map(a, REF + 1, false, &map), 0);
	ck_assert_int_eq(gnttab(GNTTABOP_swap_grant_ref, &op, sizeof(op), 1), 0);
	world_read(v, at, &op, sizeof(op));
	ck_assert_int_eq(op.status, GNTST_eagain);
	hv_gnttab_host_unmap(a, &map);
	op.ref_a = 512;
	ck_assert_int_eq(gnttab(GNTTABOP_swap_grant_ref, &op, sizeof(op), 1), 0);
	world_read(v, at, &op, sizeof(op));
	ck_assert_int_eq(op.status, GNTST_bad_gntref);
}
END_TEST

START_TEST(wild_pointers_are_faults)
{
	static const uint64_t wild[] = { 8, UINT64_C(0x7ffffffffffc), UINT64_C(0xffff800000000000),
		                         UINT64_MAX };

	for (unsigned i = 0; i < ARRAY_LEN(wild); i++) {
		for (unsigned cmd = 0; cmd < 13; cmd++) {
			int64_t rc = world_call(v, __HYPERVISOR_grant_table_op, cmd, wild[i], 1, 0);

			ck_assert(rc == -XEN_EFAULT || rc == -XEN_ENOSYS);
		}
	}
}
END_TEST

START_TEST(batches_of_unmaps_wait_once)
{
	struct gnttab_unmap_grant_ref op[40];
	unsigned before;
	uint64_t at;

	memset(op, 0, sizeof(op));
	for (unsigned i = 0; i < 40; i++) {
		struct gnttab_map_grant_ref m;

		grant(b, REF + i, a->domid, world_mfn(b, P0 + i).n, 0);
		m = map_at(world_va(P0 + i), HOST, b->domid, REF + i);
		ck_assert_int_eq(m.status, GNTST_okay);
		op[i].host_addr = world_va(P0 + i);
		op[i].handle = m.handle;
	}
	before = e->retires;
	at = world_args(v, 0, op, sizeof(op));
	ck_assert_int_eq(
		world_call(v, __HYPERVISOR_grant_table_op, GNTTABOP_unmap_grant_ref, at, 40, 0), 0);
	ck_assert_uint_eq(e->retires, before + 2); /* 32 and 8 */
	world_read(v, at, op, sizeof(op));
	for (unsigned i = 0; i < 40; i++) {
		ck_assert_int_eq(op[i].status, GNTST_okay);
		ck_assert_uint_eq(world_frame(b, P0 + i)->ref_count, 2);
	}
}
END_TEST

/* ---- back-ends in this process -------------------------------------------------------------------------- */

START_TEST(back_ends_see_what_was_granted_to_domain_0)
{
	hv_gnttab_host_map_t map = { .ptr = NULL }, other = { .ptr = NULL };
	uint64_t word = 5;

	ck_assert_int_eq(hv_gnttab_seed(b, GNTTAB_RESERVED_CONSOLE, world_mfn(b, P0)), 0);
	ck_assert_int_eq(hv_gnttab_seed(b, 512, world_mfn(b, P0)), -XEN_EINVAL);
	ck_assert_int_eq(hv_gnttab_seed(b, 1, world_mfn(a, P0)), -XEN_EINVAL);
	ck_assert_int_eq(hv_gnttab_host_map(b, GNTTAB_RESERVED_CONSOLE, false, &map), 0);
	ck_assert_ptr_eq(map.ptr, world_page(b, P0));
	ck_assert_uint_eq(row(b, 0)->flags, GTF_permit_access | GTF_reading | GTF_writing);
	ck_assert_uint_eq(world_frame(b, P0)->type_count, 2);
	/* Given back by the guest it stays while it is mapped. */
	ck_assert_int_eq(hv_gnttab_host_map(b, REF, false, &other), GNTST_general_error);
	ck_assert_ptr_null(other.ptr);
	ck_assert_int_eq(hv_gnttab_host_map(b, 512, false, &other), GNTST_bad_gntref);
	ck_assert_int_eq(hv_gnttab_host_copy(b, 0, 8, &word, sizeof(word), true), 0);
	ck_assert_uint_eq(world_page(b, P0)[1], 5);
	ck_assert_uint_eq(row(b, 0)->flags, GTF_permit_access | GTF_reading | GTF_writing);
	hv_gnttab_host_unmap(b, &map);
	hv_gnttab_host_unmap(b, &map);
	ck_assert_uint_eq(row(b, 0)->flags, GTF_permit_access);
	ck_assert_int_eq(hv_gnttab_host_copy(b, 0, 4090, &word, sizeof(word), false),
	                 GNTST_bad_copy_arg);
	ck_assert_int_eq(hv_gnttab_host_copy(b, 0, UINT32_MAX, &word, 8, false),
	                 GNTST_bad_copy_arg);
	ck_assert_int_eq(hv_gnttab_host_copy(b, 0, 4088, &word, sizeof(word), false), 0);
	row(b, 0)->flags |= GTF_readonly;
	ck_assert_int_eq(hv_gnttab_host_copy(b, 0, 0, &word, sizeof(word), true),
	                 GNTST_general_error);
	ck_assert_int_eq(hv_gnttab_host_map(b, 0, false, &map), GNTST_general_error);
	ck_assert_int_eq(hv_gnttab_host_map(b, 0, true, &map), 0);
	hv_gnttab_host_unmap(b, &map);
}
END_TEST

/* ---- two domains at once ---------------------------------------------------------------------------------- */

struct racer {
	struct hv_vcpu *v;
	domid_t peer;
	unsigned place;
};

static void *race(void *arg)
{
	const struct racer *r = arg;

	for (unsigned i = 0; i < 2000; i++) {
		struct gnttab_map_grant_ref *m =
			(void *)(world_page(r->v->domain, WORLD_ARGS) + r->place * 32);
		struct gnttab_unmap_grant_ref *u = (void *)m;
		uint64_t at = world_va(WORLD_ARGS) + r->place * 256, va = world_va(P0 + r->place);
		grant_handle_t handle;

		*m = (struct gnttab_map_grant_ref){
			.host_addr = va, .flags = HOST, .ref = REF, .dom = r->peer
		};
		if (world_call(r->v, __HYPERVISOR_grant_table_op, GNTTABOP_map_grant_ref, at, 1,
		               0) ||
		    m->status)
			return "a mapping failed";
		handle = m->handle;
		(void)world_touch(r->v, va, PFEC_W);
		if (i % 3 == 0)
			(void)world_call(r->v, __HYPERVISOR_update_va_mapping, va, 0,
			                 UVMF_TLB_FLUSH, 0);
		*u = (struct gnttab_unmap_grant_ref){ .host_addr = va, .handle = handle };
		if (world_call(r->v, __HYPERVISOR_grant_table_op, GNTTABOP_unmap_grant_ref, at, 1,
		               0) ||
		    (i % 3 == 0) != (u->status != 0))
			return "an unmap failed";
	}
	return NULL;
}

START_TEST(domains_map_each_other_at_once)
{
	struct racer r[] = { { a->vcpu[0], b->domid, 0 },
		             { a->vcpu[1], b->domid, 1 },
		             { b->vcpu[0], a->domid, 2 },
		             { b->vcpu[1], b->domid, 3 } };
	pthread_t t[ARRAY_LEN(r)];
	void *why;

	grant(b, REF, a->domid, world_mfn(b, P0 + 20).n, 0);
	grant(a, REF, b->domid, world_mfn(a, P0 + 20).n, 0);
	grant(b, REF + 1, b->domid, world_mfn(b, P0 + 21).n, 0);
	r[3].peer = a->domid;
	for (unsigned i = 0; i < ARRAY_LEN(r); i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, race, &r[i]), 0);
	for (unsigned i = 0; i < ARRAY_LEN(r); i++) {
		pthread_join(t[i], &why);
		ck_assert_msg(!why, "%s", (const char *)why);
	}
}
END_TEST

Suite *gnttab_suite(void);
Suite *gnttab_suite(void)
{
	Suite *s = suite_create("gnttab");
	TCase *normal = tcase_create("normal"), *limits = tcase_create("limits");
	TCase *hostile = tcase_create("hostile");

	tcase_add_checked_fixture(normal, setup, teardown);
	tcase_add_checked_fixture(limits, setup, teardown);
	tcase_add_checked_fixture(hostile, setup, teardown);
	tcase_set_timeout(limits, 60);
	tcase_set_timeout(hostile, 60);
	tcase_add_test(normal, a_foreign_frame_is_mapped_used_and_unmapped);
	tcase_add_test(normal, an_entry_may_be_named_by_its_machine_address);
	tcase_add_test(normal, a_mapped_frame_keeps_its_type);
	tcase_add_test(normal, a_read_only_grant_gives_read_only_mappings);
	tcase_add_test(normal, a_page_table_may_be_shown_but_not_lent);
	tcase_add_test(normal, device_mappings_hold_the_frame_too);
	tcase_add_test(normal, ones_own_frames_can_be_mapped_by_grants);
	tcase_add_test(normal, the_mark_stays_until_the_last_mapping_goes);
	tcase_add_test(normal, handles_of_one_frame_may_be_unmapped_crosswise);
	tcase_add_test(normal, an_entry_that_allows_more_or_less_is_not_the_handles);
	tcase_add_test(normal, a_run_ends_where_the_owner_changes);
	tcase_add_test(normal, unmap_and_replace_moves_an_entry);
	tcase_add_test(normal, a_mapping_is_unmapped_at_its_twins_place_and_replaced_by_itself);
	tcase_add_test(normal, the_mapper_dies_first);
	tcase_add_test(normal, the_granter_dies_first);
	tcase_add_test(normal, the_granter_dies_with_a_stale_translation_around);
	tcase_add_test(normal, both_map_each_other);
	tcase_add_test(normal, copies_go_both_ways);
	tcase_add_test(normal, small_operations);
	tcase_add_test(normal, rows_are_swapped_when_nobody_uses_them);
	tcase_add_test(normal, batches_of_unmaps_wait_once);
	tcase_add_test(normal, back_ends_see_what_was_granted_to_domain_0);
	tcase_add_loop_test(limits, bad_requests_get_their_status_and_change_nothing, 0,
	                    ARRAY_LEN(refused));
	tcase_add_loop_test(limits, copies_are_checked, 0, ARRAY_LEN(copies));
	tcase_add_loop_test(limits, tables_grow_as_asked, 0, ARRAY_LEN(setups));
	tcase_add_test(limits, an_engine_without_foreign_frames_refuses_to_map_them);
	tcase_add_test(limits, handles_run_out_and_come_back);
	tcase_add_test(limits, a_read_only_grant_is_not_written_by_a_copy);
	tcase_add_test(hostile, an_entry_that_the_guest_overwrote_leaves_the_grant_in_use);
	tcase_add_test(hostile, a_table_with_a_grant_in_it_is_not_validated_again);
	tcase_add_test(hostile, tables_of_one_level_only_take_mappings);
	tcase_add_test(hostile, handles_are_the_mappers_only);
	tcase_add_test(hostile, a_row_in_use_is_one_domains);
	tcase_add_test(hostile, wild_pointers_are_faults);
	tcase_add_test(hostile, domains_map_each_other_at_once);
	suite_add_tcase(s, normal);
	suite_add_tcase(s, limits);
	suite_add_tcase(s, hostile);
	return s;
}
