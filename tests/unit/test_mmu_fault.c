/* SPDX-License-Identifier: MIT */
/*
 * Page faults: what is filled and how far, accessed and dirty bits, and what the guest or the
 * emulator gets; and the store to a page table that is emulated.
 */
#include <check.h>
#include <errno.h>
#include <string.h>

#include "abi/errno.h"
#include "abi/mmu.h"
#include "tests/fake/mem_world.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define P0           (WORLD_FREE + 40)
#define RO           (WORLD_L1 & ~PTE_W)

static struct world w;
static struct hv_domain *d;
static struct hv_vcpu *v;
static struct fake_engine *e;

static void setup(void)
{
	world_init(&w);
	d = w.d;
	v = w.v;
	e = fake_of(d);
}

static void teardown(void)
{
	ck_assert_uint_eq(world_check(&w), 0);
	world_fini(&w);
}

static uint64_t entry(uint64_t pfn)
{
	return world_page(d, world_l1((unsigned)(pfn / 512)))[pfn % 512];
}

/* ---- filling -------------------------------------------------------------------------------------- */

START_TEST(a_write_fills_the_longest_run_and_sets_dirty)
{
	ck_assert_int_eq(world_touch(v, world_va(P0) + 123, PFEC_W), HV_FAULT_RESUME);
	/* All pages up to the tables, over the border of two L1 tables. */
	ck_assert_uint_eq(e->last_run.va, world_va(0));
	ck_assert_uint_eq(e->last_run.nr, world_root());
	ck_assert_uint_eq(e->last_run.mfn.n, world_mfn(d, 0).n);
	ck_assert_uint_eq(e->last_run.root.n, v->root_kernel.n);
	ck_assert(e->last_run.writable);
	ck_assert(e->last_run.executable);
	for (unsigned i = 0; i < world_root(); i++)
		ck_assert_uint_eq(entry(i) & (PTE_A | PTE_D), PTE_A | PTE_D);
	ck_assert_uint_eq(entry(world_root()) & PTE_D, 0);
}
END_TEST

START_TEST(a_read_of_a_clean_page_is_filled_read_only)
{
	ck_assert_int_eq(world_touch(v, world_va(P0), 0), HV_FAULT_RESUME);
	ck_assert(!e->last_run.writable);
	ck_assert_uint_eq(entry(P0) & PTE_D, 0);
	/* The first write then is a fault, and sets dirty. */
	ck_assert_int_eq(world_touch(v, world_va(P0), PFEC_W), HV_FAULT_RESUME);
	ck_assert(e->last_run.writable);
	ck_assert_uint_ne(entry(P0) & PTE_D, 0);
	/* A dirty page is filled writable by a read. */
	ck_assert_int_eq(world_touch(v, world_va(P0), 0), HV_FAULT_RESUME);
	ck_assert(e->last_run.writable);
}
END_TEST

START_TEST(the_tables_on_the_way_are_marked_accessed)
{
	world_page(d, world_root())[0] &= ~PTE_A;
	world_page(d, world_l3())[1] &= ~PTE_A;
	world_page(d, world_l2())[0] &= ~PTE_A;
	ck_assert_int_eq(world_touch(v, world_va(P0), 0), HV_FAULT_RESUME);
	ck_assert_uint_ne(world_page(d, world_root())[0] & PTE_A, 0);
	ck_assert_uint_ne(world_page(d, world_l3())[1] & PTE_A, 0);
	ck_assert_uint_ne(world_page(d, world_l2())[0] & PTE_A, 0);
	ck_assert_uint_eq(world_page(d, world_l2())[0] & PTE_D, PTE_D); /* as it was */
}
END_TEST

/* A program's fault that its kernel answers by mapping the page: no second fault is needed. */
START_TEST(what_a_program_missed_is_filled_when_its_kernel_has_mapped_it)
{
	unsigned fills;

	v->root_user = v->root_kernel;
	ck_assert_int_eq(world_protect(v, P0, 0), 0);
	v->in_kernel = false;
	ck_assert_int_eq(world_touch(v, world_va(P0) + 8, PFEC_W), HV_FAULT_GUEST);
	v->in_kernel = true;
	ck_assert(v->missed.is_set);
	fills = e->fills;
	hv_mmu_fill_missed(v); /* after a call that was about something else */
	ck_assert_int_eq(world_protect(v, P0, RO), 0);
	hv_mmu_fill_missed(v); /* not what the program wants */
	ck_assert_uint_eq(e->fills, fills);
	ck_assert(v->missed.is_set);
	ck_assert_int_eq(world_protect(v, P0, WORLD_L1), 0);
	hv_mmu_fill_missed(v);
	ck_assert_uint_eq(e->fills, fills + 1);
	ck_assert_uint_eq(e->last_run.miss, world_va(P0));
	ck_assert(e->last_run.writable);
	ck_assert_uint_eq(entry(P0) & (PTE_A | PTE_D), PTE_A | PTE_D);
	ck_assert(!v->missed.is_set);
	v->root_user = HV_MFN_NONE;
}
END_TEST

START_TEST(what_another_program_missed_is_forgotten)
{
	unsigned fills = e->fills;

	v->root_user = v->root_kernel;
	ck_assert_int_eq(world_protect(v, P0, 0), 0);
	v->in_kernel = false;
	ck_assert_int_eq(world_touch(v, world_va(P0), 0), HV_FAULT_GUEST);
	v->in_kernel = true;
	v->root_user = HV_MFN_NONE;
	ck_assert_int_eq(world_protect(v, P0, WORLD_L1), 0);
	hv_mmu_fill_missed(v);
	ck_assert(!v->missed.is_set);
	ck_assert_uint_eq(e->fills, fills);
}
END_TEST

/* What one entry in the middle is changed to, and where a run from P0 then ends. */
static const struct {
	uint64_t flags;
	int64_t pfn; /* relative to its own */
	bool breaks;
} neighbours[] = {
	{ WORLD_L1, 0, false },          { WORLD_L1 | PTE_AVAIL | PTE_HIGH, 0, false },
	{ WORLD_L1 & ~PTE_A, 0, false }, { RO, 0, true },
	{ WORLD_L1 | PTE_NX, 0, true },  { 0, 0, true },
	{ WORLD_L1, 1, true },           { WORLD_L1, -1, true },
};

START_TEST(runs_end_where_rights_or_frames_change)
{
	uint64_t at = P0 + 10;

	ck_assert_int_eq(
		world_call(v, __HYPERVISOR_update_va_mapping, world_va(at),
	                   world_entry(d, at + (uint64_t)neighbours[_i].pfn, neighbours[_i].flags),
	                   0, 0),
		0);
	ck_assert_int_eq(world_touch(v, world_va(P0), PFEC_W), HV_FAULT_RESUME);
	ck_assert_uint_eq(e->last_run.va, world_va(0));
	ck_assert_uint_eq(e->last_run.nr, neighbours[_i].breaks ? at : world_root());
}
END_TEST

START_TEST(a_clean_page_ends_a_writable_run_of_a_read)
{
	for (unsigned i = P0 - 3; i <= P0 + 5; i++)
		ck_assert_int_eq(world_protect(v, i, WORLD_L1 | PTE_D), 0);
	ck_assert_int_eq(world_touch(v, world_va(P0), 0), HV_FAULT_RESUME);
	ck_assert_uint_eq(e->last_run.va, world_va(P0 - 3));
	ck_assert_uint_eq(e->last_run.nr, 9);
	ck_assert(e->last_run.writable);
	/* And dirty ones a read-only run: they would lose. */
	ck_assert_int_eq(world_touch(v, world_va(P0 + 6), 0), HV_FAULT_RESUME);
	ck_assert_uint_eq(e->last_run.va, world_va(P0 + 6));
	ck_assert(!e->last_run.writable);
}
END_TEST

START_TEST(rights_of_higher_tables_count)
{
	uint64_t at = world_ptr(d, world_l2(), 1); /* pages 512 and up */

	ck_assert_int_eq(world_update(v, at, world_entry(d, world_l1(1), WORLD_HIGH | PTE_NX)), 0);
	ck_assert_int_eq(world_touch(v, world_va(520), 0), HV_FAULT_RESUME);
	ck_assert(!e->last_run.executable);
	ck_assert_uint_eq(e->last_run.va, world_va(512));
	ck_assert_int_eq(world_touch(v, world_va(520), PFEC_I), HV_FAULT_GUEST);
	ck_assert_int_eq(world_update(v, at, world_entry(d, world_l1(1), WORLD_HIGH & ~PTE_W)), 0);
	ck_assert_int_eq(world_touch(v, world_va(520), PFEC_W), HV_FAULT_GUEST);
	ck_assert_int_eq(world_touch(v, world_va(520), 0), HV_FAULT_RESUME);
	ck_assert(!e->last_run.writable);
	ck_assert_int_eq(world_touch(v, world_va(500), PFEC_W), HV_FAULT_RESUME);
	ck_assert_uint_eq(e->last_run.nr, 512);
}
END_TEST

START_TEST(the_shared_page_is_filled_like_any)
{
	ck_assert_int_eq(world_call(v, __HYPERVISOR_update_va_mapping, world_va(P0),
	                            d->shared_info_mfn.n << 12 | WORLD_L1, 0, 0),
	                 0);
	ck_assert_int_eq(world_touch(v, world_va(P0), PFEC_W), HV_FAULT_RESUME);
	ck_assert_uint_eq(e->last_run.mfn.n, d->shared_info_mfn.n);
	ck_assert_uint_eq(e->last_run.nr, 1);
}
END_TEST

START_TEST(no_memory_for_a_mapping_ends_the_domain)
{
	e->fill_rc = -ENOMEM;
	ck_assert_int_eq(world_touch(v, world_va(P0), 0), HV_FAULT_RESUME);
	ck_assert(atomic_load(&d->ending));
	ck_assert_ptr_nonnull(strstr(d->end.text, "out of memory"));
}
END_TEST

START_TEST(an_address_that_the_host_does_not_give_is_not_present)
{
	uint32_t ec = PFEC_W;

	e->fill_rc = -EFAULT;
	ck_assert_int_eq(hv_mmu_fault(v, world_va(P0), &ec), HV_FAULT_GUEST);
	ck_assert_uint_eq(ec, PFEC_W);
	ck_assert(!atomic_load(&d->ending));
}
END_TEST

/* ---- what is not filled ----------------------------------------------------------------------------- */

static const struct {
	uint64_t va;
	uint32_t ec; /* as an engine may report it */
	bool user;
	enum hv_fault_answer answer;
	uint32_t out;
} faults[] = {
	/* Present is as the tables say, user as the mode says. */
	{ WORLD_BASE - 0x1000, PFEC_P | PFEC_U, false, HV_FAULT_GUEST, 0 },
	{ WORLD_BASE - 0x1000, PFEC_W | PFEC_U, false, HV_FAULT_GUEST, PFEC_W },
	{ WORLD_BASE - 0x1000, PFEC_I | PFEC_P, false, HV_FAULT_GUEST, PFEC_I },
	{ 0, PFEC_P | PFEC_W | PFEC_U | 8, false, HV_FAULT_GUEST, PFEC_W },
	{ WORLD_BASE, 0, true, HV_FAULT_GUEST, PFEC_U }, /* there is no user root */
	{ UINT64_C(0x0000800000000000), 0, false, HV_FAULT_GUEST, 0 },
	{ UINT64_C(0xffff7fffffffffff), PFEC_W, false, HV_FAULT_GUEST, PFEC_W },
	{ UINT64_MAX, PFEC_P, false, HV_FAULT_GUEST, 0 },
	/* Xen's fixed machine-to-physical address. */
	{ UINT64_C(0xffff800000000000), PFEC_U | PFEC_P, false, HV_FAULT_M2P_READ, 0 },
	{ UINT64_C(0xffff800000000000) + 0x40000 * 8, PFEC_P, false, HV_FAULT_M2P_READ, 0 },
	{ UINT64_C(0xffff800000000000), PFEC_W, false, HV_FAULT_GUEST, PFEC_W | PFEC_P },
	{ UINT64_C(0xffff800000000000), PFEC_I, false, HV_FAULT_GUEST, PFEC_I | PFEC_P },
	{ UINT64_C(0xffff800000000000), 0, true, HV_FAULT_GUEST, PFEC_U },
	{ UINT64_C(0xffff803fffffffff), 0, false, HV_FAULT_GUEST, 0 },
	{ UINT64_C(0xffff804000000000), 0, false, HV_FAULT_GUEST, 0 },
	/* Xen's map of all memory is there, in either mode, as far as there is memory. */
	{ UINT64_C(0xffff82ffffffffff), 0, false, HV_FAULT_GUEST, 0 },
	{ UINT64_C(0xffff830000000000), 0, false, HV_FAULT_GUEST, PFEC_P },
	{ UINT64_C(0xffff830000000000), PFEC_W, true, HV_FAULT_GUEST, PFEC_P | PFEC_W | PFEC_U },
	{ UINT64_C(0xffff87ffffffffff), 0, false, HV_FAULT_GUEST, 0 },
	{ UINT64_C(0xffff880000000000), 0, false, HV_FAULT_GUEST, 0 },
};

START_TEST(error_codes_are_xens)
{
	uint32_t ec = faults[_i].ec;

	v->in_kernel = !faults[_i].user;
	ck_assert_int_eq(hv_mmu_fault(v, faults[_i].va, &ec), faults[_i].answer);
	ck_assert_uint_eq(ec, faults[_i].out);
	v->in_kernel = true;
}
END_TEST

START_TEST(a_write_to_a_read_only_page_is_the_guests)
{
	uint32_t ec = PFEC_W;

	ck_assert_int_eq(world_protect(v, P0, RO), 0);
	ck_assert_int_eq(hv_mmu_fault(v, world_va(P0), &ec), HV_FAULT_GUEST);
	ck_assert_uint_eq(ec, PFEC_P | PFEC_W);
	/* The same in user mode: the same tables are given to it here. */
	ck_assert_int_eq(world_ext(v, MMUEXT_NEW_USER_BASEPTR, v->root_kernel.n, 0), 0);
	v->in_kernel = false;
	ec = PFEC_W;
	ck_assert_int_eq(hv_mmu_fault(v, world_va(P0), &ec), HV_FAULT_GUEST);
	ck_assert_uint_eq(ec, PFEC_P | PFEC_W | PFEC_U);
	v->in_kernel = true;
}
END_TEST

START_TEST(a_write_to_a_table_is_emulated_for_who_asked)
{
	uint64_t va = world_va(world_l1(0));
	uint32_t ec = PFEC_W | PFEC_U;

	ck_assert_int_eq(world_touch(v, va, PFEC_W), HV_FAULT_GUEST);
	d->vm_assist |= UINT64_C(1) << VMASST_TYPE_writable_pagetables;
	ck_assert_int_eq(hv_mmu_fault(v, va, &ec), HV_FAULT_PT_WRITE);
	ck_assert_uint_eq(ec, PFEC_P | PFEC_W);
	ck_assert_int_eq(world_touch(v, va, 0), HV_FAULT_RESUME);
	/* Only L1 tables, only the kernel. */
	ck_assert_int_eq(world_touch(v, world_va(world_l2()), PFEC_W), HV_FAULT_GUEST);
	ck_assert_int_eq(world_ext(v, MMUEXT_NEW_USER_BASEPTR, v->root_kernel.n, 0), 0);
	v->in_kernel = false;
	ck_assert_int_eq(world_touch(v, va, PFEC_W), HV_FAULT_GUEST);
	v->in_kernel = true;
}
END_TEST

/* ---- emulated stores -------------------------------------------------------------------------------- */

static int store(uint64_t va, unsigned size, uint64_t value, uint64_t *expected, bool *done)
{
	int rc;

	hv_domain_lock(d);
	rc = hv_mmu_emulated_write(v, va, size, value, expected, done);
	hv_domain_unlock(d);
	return rc;
}

START_TEST(an_emulated_store_is_checked_like_an_update)
{
	uint64_t va = world_va(world_l1(0)) + P0 * 8;
	bool done = false;

	ck_assert_int_eq(store(va, 8, world_entry(d, P0, RO), NULL, &done), 0);
	ck_assert(done);
	ck_assert_uint_eq(world_frame(d, P0)->type_count, 0);
	ck_assert_int_eq(store(va, 8, world_entry(d, world_l1(0), WORLD_L1), NULL, &done),
	                 -XEN_EINVAL);
	ck_assert_int_eq(store(va, 8, 0, NULL, &done), 0);
	ck_assert_uint_eq(entry(P0), 0);
}
END_TEST

START_TEST(a_store_of_a_part_keeps_the_rest)
{
	uint64_t va = world_va(world_l1(0)) + P0 * 8, before = entry(P0);
	bool done;

	/* Only the byte with the flags, as `andb` does it. */
	ck_assert_int_eq(store(va, 1, before & 0xff & ~PTE_W, NULL, &done), 0);
	ck_assert_uint_eq(entry(P0), before & ~PTE_W);
	ck_assert_int_eq(store(va + 7, 1, 0x80 | before >> 56, NULL, &done), 0);
	ck_assert_uint_eq(entry(P0), (before & ~PTE_W) | PTE_NX);
	ck_assert_int_eq(store(va + 4, 4, (before | PTE_NX) >> 32, NULL, &done), 0);
	ck_assert_int_eq(store(va, 2, before & 0xffff, NULL, &done), 0);
	ck_assert_uint_eq(entry(P0), before | PTE_NX);
}
END_TEST

START_TEST(a_compare_and_exchange_compares)
{
	uint64_t va = world_va(world_l1(0)) + P0 * 8, before = entry(P0), want = before ^ PTE_A;
	bool done = true;

	ck_assert_int_eq(store(va, 8, before & ~PTE_W, &want, &done), 0);
	ck_assert(!done);
	ck_assert_uint_eq(want, before);
	ck_assert_int_eq(store(va, 8, before & ~PTE_W, &want, &done), 0);
	ck_assert(done);
	ck_assert_uint_eq(entry(P0), before & ~PTE_W);
	want = 0xff;
	ck_assert_int_eq(store(va + 1, 1, 0, &want, &done), 0);
	ck_assert(!done);
	ck_assert_uint_eq(want, before >> 8 & 0xff);
}
END_TEST

static const struct {
	uint64_t va;
	unsigned size;
	int rc;
} bad_stores[] = {
	{ WORLD_BASE, 8, -XEN_EFAULT },                /* plain memory */
	{ WORLD_BASE - 4096, 8, -XEN_EFAULT },         /* nothing there */
	{ WORLD_BASE + (597u << 12), 8, -XEN_EFAULT }, /* the L2 table */
	{ WORLD_BASE + (598u << 12) + 1, 2, -XEN_EINVAL },
	{ WORLD_BASE + (598u << 12) + 4, 8, -XEN_EINVAL },
	{ WORLD_BASE + (598u << 12), 3, -XEN_EINVAL },
	{ WORLD_BASE + (598u << 12), 0, -XEN_EINVAL },
	{ WORLD_BASE + (598u << 12), 16, -XEN_EINVAL },
	{ UINT64_MAX - 7, 8, -XEN_EFAULT },
};

START_TEST(stores_that_are_not_for_tables_are_refused)
{
	bool done = false;

	ck_assert_uint_eq(world_l1(0), 598);
	ck_assert_int_eq(store(bad_stores[_i].va, bad_stores[_i].size, 0, NULL, &done),
	                 bad_stores[_i].rc);
	ck_assert(!done);
}
END_TEST

Suite *mmu_fault_suite(void);
Suite *mmu_fault_suite(void)
{
	Suite *s = suite_create("mmu_fault");
	TCase *normal = tcase_create("normal"), *limits = tcase_create("limits");
	TCase *hostile = tcase_create("hostile");

	tcase_add_checked_fixture(normal, setup, teardown);
	tcase_add_checked_fixture(limits, setup, teardown);
	tcase_add_checked_fixture(hostile, setup, teardown);
	tcase_add_test(normal, a_write_fills_the_longest_run_and_sets_dirty);
	tcase_add_test(normal, a_read_of_a_clean_page_is_filled_read_only);
	tcase_add_test(normal, the_tables_on_the_way_are_marked_accessed);
	tcase_add_test(normal, what_a_program_missed_is_filled_when_its_kernel_has_mapped_it);
	tcase_add_test(normal, what_another_program_missed_is_forgotten);
	tcase_add_test(normal, the_shared_page_is_filled_like_any);
	tcase_add_test(normal, a_write_to_a_table_is_emulated_for_who_asked);
	tcase_add_test(normal, an_emulated_store_is_checked_like_an_update);
	tcase_add_test(normal, a_store_of_a_part_keeps_the_rest);
	tcase_add_test(normal, a_compare_and_exchange_compares);
	tcase_add_loop_test(limits, runs_end_where_rights_or_frames_change, 0,
	                    ARRAY_LEN(neighbours));
	tcase_add_test(limits, a_clean_page_ends_a_writable_run_of_a_read);
	tcase_add_test(limits, rights_of_higher_tables_count);
	tcase_add_loop_test(limits, error_codes_are_xens, 0, ARRAY_LEN(faults));
	tcase_add_test(limits, a_write_to_a_read_only_page_is_the_guests);
	tcase_add_test(hostile, no_memory_for_a_mapping_ends_the_domain);
	tcase_add_test(hostile, an_address_that_the_host_does_not_give_is_not_present);
	tcase_add_loop_test(hostile, stores_that_are_not_for_tables_are_refused, 0,
	                    ARRAY_LEN(bad_stores));
	suite_add_tcase(s, normal);
	suite_add_tcase(s, limits);
	suite_add_tcase(s, hostile);
	return s;
}
