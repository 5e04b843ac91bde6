/* SPDX-License-Identifier: MIT */
/*
 * Machine frames: numbering, allocation, reuse, and what a frame that was given back reads as.
 */
#include <check.h>
#include <string.h>

#include "abi/errno.h"
#include "tests/fake/mem_world.h"

static struct world w;

static void setup(void)
{
	world_init(&w);
}

static void teardown(void)
{
	ck_assert_uint_eq(world_check(&w), 0);
	world_fini(&w);
}

START_TEST(the_first_frames_are_the_guests_and_zero)
{
	struct hv_domain *d = world_add(&w);

	ck_assert_uint_eq(d->mem.first.n % 512, 0);
	ck_assert_uint_eq(d->mem.tot_pages, WORLD_PAGES);
	for (unsigned i = WORLD_FREE; i < world_root(); i++) {
		const struct hv_frame *f = world_frame(d, i);

		ck_assert_ptr_nonnull(f);
		ck_assert_uint_eq(f->state, HV_FRAME_GUEST);
		ck_assert_uint_eq(f->owner, d->domid);
		for (unsigned k = 0; k < 512; k++)
			ck_assert_uint_eq(world_page(d, i)[k], 0);
	}
}
END_TEST

START_TEST(domains_share_no_numbers)
{
	struct hv_domain *a = w.d, *b = world_add(&w);
	uint64_t a_end = a->mem.first.n + a->mem.nr_frames;

	ck_assert(a_end <= b->mem.first.n || b->mem.first.n + b->mem.nr_frames <= a->mem.first.n);
	ck_assert_ptr_null(hv_frame_own(a, world_mfn(b, 9)));
	ck_assert_ptr_null(hv_frame_ptr(a, world_mfn(b, 9)));
	ck_assert_ptr_eq(hv_frame_domain(w.m, world_mfn(b, 9)), b);
	ck_assert_uint_eq(hv_frame_get(w.m, world_mfn(b, 9))->owner, b->domid);
}
END_TEST

START_TEST(numbers_of_a_domain_that_ended_are_used_again)
{
	struct hv_domain *b = world_add(&w);
	uint64_t first = b->mem.first.n;

	world_page(b, 20)[0] = 0x1234;
	world_end(&w, b);
	ck_assert_ptr_null(hv_frame_domain(w.m, (mfn_t){ first }));
	b = world_add(&w);
	ck_assert_uint_eq(b->mem.first.n, first);
	ck_assert_uint_eq(world_page(b, 20)[0], 0);
	ck_assert_uint_eq(world_frame(b, 20)->type_count, 1);
}
END_TEST

START_TEST(guest_frames_grow_to_the_limit_and_no_further)
{
	struct hv_domain *d = w.d;
	mfn_t mfn = { 0 };
	unsigned n = 0;

	while (!hv_frame_alloc(d, HV_FRAME_GUEST, &mfn)) {
		ck_assert_uint_eq(mfn.n, d->mem.first.n + WORLD_PAGES + n);
		n++;
	}
	ck_assert_uint_eq(n, 40);
	ck_assert_uint_eq(d->mem.tot_pages, d->mem.max_pages);
	/* The hypervisor's own pages have room of their own. */
	ck_assert_int_eq(hv_frame_alloc(d, HV_FRAME_SHARED, &mfn), 0);
	ck_assert_uint_eq(hv_frame_own(d, mfn)->state, HV_FRAME_SHARED);
	ck_assert_uint_eq(d->mem.tot_pages, d->mem.max_pages);
}
END_TEST

START_TEST(a_frame_given_back_is_a_hole_and_reads_as_zero)
{
	struct hv_domain *d = w.d;
	uint64_t tot = d->mem.tot_pages;
	mfn_t mfn, again;

	ck_assert_int_eq(hv_frame_alloc(d, HV_FRAME_GUEST, &mfn), 0);
	memset(hv_frame_ptr(d, mfn), 0x5a, HV_PAGE_SIZE);
	hv_m2p_set(w.m, mfn, 77);
	hv_frame_give_up(d, mfn, hv_frame_own(d, mfn));
	ck_assert_ptr_null(hv_frame_ptr(d, mfn));
	ck_assert_ptr_null(hv_frame_own(d, mfn));
	ck_assert_uint_eq(hv_frame_get(w.m, mfn)->state, HV_FRAME_UNUSED);
	ck_assert_uint_eq(w.m->pool.m2p[mfn.n], ~UINT64_C(0));
	ck_assert_uint_eq(d->mem.tot_pages, tot);
	ck_assert_int_eq(hv_frame_alloc(d, HV_FRAME_GUEST, &again), 0);
	ck_assert_uint_eq(again.n, mfn.n);
	ck_assert_uint_eq(*(uint64_t *)hv_frame_ptr(d, again), 0);
}
END_TEST

START_TEST(a_frame_that_is_referred_to_stays_until_the_last_reference)
{
	struct hv_domain *d = w.d;
	uint64_t tot;
	mfn_t mfn;

	ck_assert_int_eq(hv_frame_alloc(d, HV_FRAME_GUEST, &mfn), 0);
	tot = d->mem.tot_pages;
	ck_assert_int_eq(hv_ref_get(d, mfn), 0);
	hv_frame_give_up(d, mfn, hv_frame_own(d, mfn));
	/* Twice is no error and changes nothing. */
	hv_frame_give_up(d, mfn, hv_frame_own(d, mfn));
	ck_assert_uint_eq(hv_frame_own(d, mfn)->ref_count, 1);
	ck_assert_uint_eq(d->mem.tot_pages, tot);
	hv_ref_put(d, mfn);
	ck_assert_ptr_null(hv_frame_own(d, mfn));
	ck_assert_uint_eq(d->mem.tot_pages, tot - 1);
}
END_TEST

static const struct {
	unsigned order;
	int rc;
} extents[] = { { 0, 0 },
	        { 1, 0 },
	        { 3, 0 },
	        { 5, 0 },
	        { 6, -XEN_ENOMEM },
	        { 9, -XEN_ENOMEM },
	        { 10, -XEN_ENOMEM },
	        { 63, -XEN_ENOMEM } };

START_TEST(extents_are_aligned_and_in_a_row)
{
	mfn_t mfn = { 1 };

	ck_assert_int_eq(hv_frame_alloc_extent(w.d, extents[_i].order, &mfn), extents[_i].rc);
	if (extents[_i].rc)
		return;
	ck_assert_uint_eq(mfn.n % (UINT64_C(1) << extents[_i].order), 0);
	for (uint64_t i = 0; i < UINT64_C(1) << extents[_i].order; i++)
		ck_assert_uint_eq(hv_frame_own(w.d, (mfn_t){ mfn.n + i })->state, HV_FRAME_GUEST);
	ck_assert_uint_eq(w.d->mem.tot_pages, WORLD_PAGES + (1u << extents[_i].order));
}
END_TEST

START_TEST(numbers_out_of_range_are_nobodys)
{
	static const uint64_t numbers[] = {
		0, 1, 0x3ffff, UINT64_C(1) << 40, UINT64_MAX - 1, UINT64_MAX
	};

	for (unsigned i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		mfn_t mfn = { numbers[i] };

		ck_assert_ptr_null(hv_frame_get(w.m, mfn));
		ck_assert_ptr_null(hv_frame_own(w.d, mfn));
		ck_assert_ptr_null(hv_frame_ptr(w.d, mfn));
		ck_assert_ptr_null(hv_frame_domain(w.m, mfn));
		ck_assert_int_eq(hv_ref_get(w.d, mfn), -XEN_EINVAL);
		hv_m2p_set(w.m, (mfn_t){ numbers[i] | UINT64_C(1) << 40 }, 1);
	}
}
END_TEST

START_TEST(a_pool_holds_what_it_promised)
{
	struct hv_domain_config c = { .nr_pages = 4096, .max_pages = 4096, .nr_vcpus = 1 };
	struct hv_domain *d;

	world_end(&w, w.d);
	ck_assert_int_eq(hv_domain_create(w.m, &c, &d), 0);
	hv_domain_destroy(d);
	c.nr_pages = c.max_pages = UINT64_C(1) << 40;
	ck_assert_int_lt(hv_domain_create(w.m, &c, &d), 0);
	w.d = world_add(&w);
}
END_TEST

Suite *frames_suite(void);
Suite *frames_suite(void)
{
	Suite *s = suite_create("frames");
	TCase *normal = tcase_create("normal"), *limits = tcase_create("limits");
	TCase *hostile = tcase_create("hostile");

	tcase_add_checked_fixture(normal, setup, teardown);
	tcase_add_checked_fixture(limits, setup, teardown);
	tcase_add_checked_fixture(hostile, setup, teardown);
	tcase_add_test(normal, the_first_frames_are_the_guests_and_zero);
	tcase_add_test(normal, domains_share_no_numbers);
	tcase_add_test(normal, numbers_of_a_domain_that_ended_are_used_again);
	tcase_add_test(normal, a_frame_given_back_is_a_hole_and_reads_as_zero);
	tcase_add_test(normal, a_frame_that_is_referred_to_stays_until_the_last_reference);
	tcase_add_test(limits, guest_frames_grow_to_the_limit_and_no_further);
	tcase_add_loop_test(limits, extents_are_aligned_and_in_a_row, 0,
	                    sizeof(extents) / sizeof(extents[0]));
	tcase_add_test(limits, a_pool_holds_what_it_promised);
	tcase_add_test(hostile, numbers_out_of_range_are_nobodys);
	suite_add_tcase(s, normal);
	suite_add_tcase(s, limits);
	suite_add_tcase(s, hostile);
	return s;
}
