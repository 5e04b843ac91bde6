/* SPDX-License-Identifier: MIT */
/*
 * HYPERVISOR_memory_op: reservations that grow, shrink and are exchanged, and the answers that a
 * domain without privilege gets.
 */
#include <check.h>
#include <string.h>

#include "tests/fake/mem_world.h"
#include "abi/errno.h"
#include "abi/memory.h"
#include "abi/mmu.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define P0           (WORLD_FREE + 0)
#define LIST         512u /* offset of lists in the page of arguments */
#define SPARE        40u  /* pages that the domain may still have */

static struct world w;
static struct hv_domain *d;
static struct hv_vcpu *v;

static void setup(void)
{
	world_init(&w);
	d = w.d;
	v = w.v;
}

static void teardown(void)
{
	ck_assert_uint_eq(world_check(&w), 0);
	world_fini(&w);
}

static uint64_t list(const uint64_t *n, unsigned nr)
{
	return world_args(v, LIST, n, nr * sizeof(*n));
}

static int64_t op(unsigned cmd, const struct xen_memory_reservation *r)
{
	return world_call(v, __HYPERVISOR_memory_op, cmd, world_args(v, 0, r, sizeof(*r)), 0, 0);
}

static int64_t reserve(unsigned cmd, uint64_t at, uint64_t nr, unsigned order, unsigned flags)
{
	struct xen_memory_reservation r = {
		.nr_extents = nr, .extent_order = order, .mem_flags = flags, .domid = DOMID_SELF
	};

	r.extent_start.va = at;
	return op(cmd, &r);
}

/* Takes the direct map of a page away, so that only the domain itself holds it. */
static void unmap(uint64_t pfn)
{
	ck_assert_int_eq(world_call(v, __HYPERVISOR_update_va_mapping, world_va(pfn), 0, 0, 0), 0);
}

static uint64_t *out(unsigned i)
{
	return &world_page(d, WORLD_ARGS)[LIST / 8 + i];
}

/* ---- reservations ----------------------------------------------------------------------------------- */

START_TEST(a_page_is_given_back_and_taken_again)
{
	uint64_t mfn = world_mfn(d, P0).n, tot = d->mem.tot_pages, pfn = P0;

	world_page(d, P0)[0] = 4711;
	unmap(P0);
	ck_assert_int_eq(reserve(XENMEM_decrease_reservation, list(&mfn, 1), 1, 0, 0), 1);
	ck_assert_uint_eq(d->mem.tot_pages, tot - 1);
	ck_assert_uint_eq(w.m->pool.m2p[mfn], ~UINT64_C(0));
	/* It cannot be mapped any more. */
	ck_assert_int_eq(world_call(v, __HYPERVISOR_update_va_mapping, world_va(P0),
	                            mfn << 12 | WORLD_L1, 0, 0),
	                 -XEN_EBUSY);
	ck_assert_int_eq(reserve(XENMEM_populate_physmap, list(&pfn, 1), 1, 0, 0), 1);
	ck_assert_uint_eq(*out(0), mfn);
	ck_assert_uint_eq(w.m->pool.m2p[mfn], P0);
	ck_assert_uint_eq(world_page(d, P0)[0], 0);
	ck_assert_int_eq(world_call(v, __HYPERVISOR_update_va_mapping, world_va(P0),
	                            mfn << 12 | WORLD_L1, 0, 0),
	                 0);
}
END_TEST

START_TEST(a_page_still_mapped_goes_with_its_last_mapping)
{
	uint64_t mfn = world_mfn(d, P0).n, tot = d->mem.tot_pages;

	world_page(d, P0)[0] = 4711;
	ck_assert_int_eq(world_touch(v, world_va(P0), PFEC_W), HV_FAULT_RESUME);
	ck_assert_int_eq(reserve(XENMEM_decrease_reservation, list(&mfn, 1), 1, 0, 0), 1);
	ck_assert_uint_eq(world_page(d, P0)[0], 4711);
	ck_assert_uint_eq(d->mem.tot_pages, tot);
	ck_assert_int_eq(reserve(XENMEM_decrease_reservation, list(&mfn, 1), 1, 0, 0), 1);
	unmap(P0);
	ck_assert_uint_eq(d->mem.tot_pages, tot - 1);
	ck_assert_uint_eq(fake_cache_check(d), 0);
	ck_assert_int_eq(reserve(XENMEM_decrease_reservation, list(&mfn, 1), 1, 0, 0), 0);
}
END_TEST

START_TEST(a_reservation_grows_to_its_limit)
{
	uint64_t none[50] = { 0 };
	int64_t n = reserve(XENMEM_increase_reservation, list(none, 50), 50, 0, 0);

	ck_assert_int_eq(n, SPARE);
	for (unsigned i = 0; i < SPARE; i++) {
		mfn_t mfn = { *out(i) };

		ck_assert_uint_eq(hv_frame_own(d, mfn)->state, HV_FRAME_GUEST);
	}
	ck_assert_uint_eq(*out(SPARE), 0);
	ck_assert_int_eq(reserve(XENMEM_increase_reservation, 0, 1, 0, 0), 0);
}
END_TEST

START_TEST(extents_of_many_pages)
{
	uint64_t pfns[2] = { 700, 800 };

	ck_assert_int_eq(reserve(XENMEM_populate_physmap, list(pfns, 2), 2, 4, 0), 2);
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_uint_eq(*out(i) % 16, 0);
		for (unsigned k = 0; k < 16; k++)
			ck_assert_uint_eq(w.m->pool.m2p[*out(i) + k], pfns[i] + k);
	}
	ck_assert_uint_eq(d->mem.tot_pages, WORLD_PAGES + 32);
	ck_assert_int_eq(reserve(XENMEM_decrease_reservation, world_va(WORLD_ARGS) + LIST, 2, 4, 0),
	                 2);
	ck_assert_uint_eq(d->mem.tot_pages, WORLD_PAGES);
}
END_TEST

static const struct {
	unsigned cmd;
	uint64_t nr;
	unsigned order, flags;
	domid_t domid;
	int64_t result;
} odd[] = {
	{ XENMEM_increase_reservation, 0, 0, 0, DOMID_SELF, 0 },
	{ XENMEM_increase_reservation, 1, 0, 0, 1, 1 }, /* one's own number */
	{ XENMEM_increase_reservation, 1, 0, 0, 0, 0 },
	{ XENMEM_increase_reservation, 1, 0, 0, 9, 0 },
	{ XENMEM_increase_reservation, 1, 10, 0, DOMID_SELF, 0 },
	{ XENMEM_increase_reservation, 1, 255, 0, DOMID_SELF, 0 },
	{ XENMEM_increase_reservation, UINT64_MAX, 0, 0, DOMID_SELF, 0 },
	{ XENMEM_increase_reservation, (UINT32_MAX >> 6) + 1, 0, 0, DOMID_SELF, 0 },
	{ XENMEM_increase_reservation, 1, 0, XENMEMF_address_bits(12), DOMID_SELF, 0 },
	{ XENMEM_increase_reservation, 1, 0, XENMEMF_address_bits(30), DOMID_SELF, 0 },
	{ XENMEM_increase_reservation, 1, 0, XENMEMF_address_bits(32), DOMID_SELF, 1 },
	{ XENMEM_increase_reservation, 1, 0, XENMEMF_address_bits(64), DOMID_SELF, 1 },
	{ XENMEM_increase_reservation, 1, 0, XENMEMF_node(3), DOMID_SELF, 1 },
	{ XENMEM_increase_reservation, 1, 0, XENMEMF_exact_node(3), DOMID_SELF, 0 },
	{ XENMEM_populate_physmap, 1, 0, XENMEMF_populate_on_demand, DOMID_SELF, 0 },
	{ XENMEM_decrease_reservation, 1, 0, 0, DOMID_SELF, 0 }, /* frame 0 */
	{ XENMEM_decrease_reservation, 1, 9, 0, DOMID_SELF, 0 },
	/* Where an interrupted call would go on. */
	{ XENMEM_increase_reservation | 5 << 6, 3, 0, 0, DOMID_SELF, 5 },
	{ XENMEM_increase_reservation | 2 << 6, 3, 0, 0, DOMID_SELF, 3 },
};

START_TEST(odd_requests_do_what_xen_does)
{
	struct xen_memory_reservation r = { .nr_extents = odd[_i].nr,
		                            .extent_order = odd[_i].order,
		                            .mem_flags = odd[_i].flags,
		                            .domid = odd[_i].domid };
	uint64_t zero[4] = { 0 };

	r.extent_start.va = list(zero, 4);
	ck_assert_int_eq(op(odd[_i].cmd, &r), odd[_i].result);
}
END_TEST

START_TEST(frames_of_others_are_not_given_back)
{
	struct hv_domain *b = world_add(&w);
	uint64_t mfns[] = { world_mfn(b, P0).n,
		            d->shared_info_mfn.n,
		            0,
		            UINT64_MAX,
		            d->mem.first.n + d->mem.nr_frames,
		            d->mem.first.n - 1 };

	for (unsigned i = 0; i < ARRAY_LEN(mfns); i++)
		ck_assert_int_eq(reserve(XENMEM_decrease_reservation, list(&mfns[i], 1), 1, 0, 0),
		                 0);
	ck_assert_uint_eq(b->mem.tot_pages, WORLD_PAGES);
}
END_TEST

START_TEST(wild_lists_stop_the_call)
{
	static const uint64_t wild[] = { 8, UINT64_C(0xffff800000000000), UINT64_MAX };

	for (unsigned i = 0; i < ARRAY_LEN(wild); i++) {
		ck_assert_int_eq(reserve(XENMEM_populate_physmap, wild[i], 3, 0, 0), 0);
		ck_assert_int_eq(reserve(XENMEM_decrease_reservation, wild[i], 3, 0, 0), 0);
		/* The page is the domain's all the same, as in Xen. */
		ck_assert_int_eq(reserve(XENMEM_increase_reservation, wild[i], 3, 0, 0), 0);
		ck_assert_int_eq(world_call(v, __HYPERVISOR_memory_op, XENMEM_populate_physmap,
		                            wild[i], 0, 0),
		                 0);
	}
	ck_assert_uint_eq(d->mem.tot_pages, WORLD_PAGES + 3);
}
END_TEST

/* ---- exchange ----------------------------------------------------------------------------------------- */

static int64_t exchange(uint64_t in, uint64_t nr_in, unsigned in_order, uint64_t to,
                        uint64_t nr_out, unsigned out_order, uint64_t *done)
{
	struct xen_memory_exchange x = { .nr_exchanged = *done };
	uint64_t at;
	int64_t rc;

	x.in.extent_start.va = in;
	x.in.nr_extents = nr_in;
	x.in.extent_order = in_order;
	x.in.domid = DOMID_SELF;
	x.out = x.in;
	x.out.extent_start.va = to;
	x.out.nr_extents = nr_out;
	x.out.extent_order = out_order;
	at = world_args(v, 0, &x, sizeof(x));
	rc = world_call(v, __HYPERVISOR_memory_op, XENMEM_exchange, at, 0, 0);
	world_read(v, at, &x, sizeof(x));
	*done = x.nr_exchanged;
	return rc;
}

START_TEST(pages_are_exchanged_for_a_larger_extent)
{
	uint64_t mfns[8], done = 0, pfn = 900, to;

	for (unsigned i = 0; i < 8; i++) {
		mfns[i] = world_mfn(d, P0 + 3 + 2 * i).n; /* not in a row */
		world_page(d, P0 + 3 + 2 * i)[0] = 7;
		ck_assert_int_eq(world_touch(v, world_va(P0 + 3 + 2 * i), PFEC_W), HV_FAULT_RESUME);
		unmap(P0 + 3 + 2 * i);
	}
	to = world_args(v, 1024, &pfn, sizeof(pfn));
	ck_assert_int_eq(exchange(list(mfns, 8), 8, 0, to, 1, 3, &done), 0);
	ck_assert_uint_eq(done, 8);
	/* No cache has a page any more that was given away. */
	ck_assert_uint_eq(fake_cache_check(d), 0);
	world_read(v, to, &pfn, sizeof(pfn));
	ck_assert_uint_eq(pfn % 8, 0);
	ck_assert_uint_eq(d->mem.tot_pages, WORLD_PAGES);
	for (unsigned i = 0; i < 8; i++) {
		ck_assert_uint_eq(w.m->pool.m2p[pfn + i], 900 + i);
		ck_assert_uint_eq(*(uint64_t *)hv_frame_ptr(d, (mfn_t){ pfn + i }), 0);
	}
}
END_TEST

START_TEST(a_full_domain_can_exchange_too)
{
	uint64_t mfns[2], done = 0, pfns[2] = { 1000, 1001 }, to, first;

	while (reserve(XENMEM_increase_reservation, 0, 1, 0, 0) == 1)
		;
	/* All other frames of the memory are taken as well. */
	for (mfn_t mfn; !hv_frame_alloc(d, HV_FRAME_SHARED, &mfn);)
		;
	first = P0 + (2 - (world_mfn(d, P0).n & 1)) % 2;
	for (unsigned i = 0; i < 2; i++) {
		mfns[i] = world_mfn(d, first + i).n;
		world_page(d, first + i)[0] = 7;
		unmap(first + i);
	}
	to = world_args(v, 1024, pfns, sizeof(pfns));
	ck_assert_int_eq(exchange(list(mfns, 2), 2, 0, to, 1, 1, &done), 0);
	world_read(v, to, pfns, 8);
	ck_assert_uint_eq(pfns[0], mfns[0]);
	ck_assert_uint_eq(world_page(d, first)[0], 0);
}
END_TEST

START_TEST(an_exchange_that_fails_gives_the_pages_back_as_they_were)
{
	uint64_t mfns[2], done = 0, pfn = 1000, to;
	unsigned first = P0;

	while (reserve(XENMEM_increase_reservation, 0, 1, 0, 0) == 1)
		;
	for (mfn_t mfn; !hv_frame_alloc(d, HV_FRAME_SHARED, &mfn);)
		;
	for (unsigned i = 0; i < 2; i++) {
		mfns[i] = world_mfn(d, first + 5 * i).n; /* never two in a row */
		world_page(d, first + 5 * i)[9] = 70 + i;
		unmap(first + 5 * i);
	}
	to = world_args(v, 1024, &pfn, sizeof(pfn));
	ck_assert_int_eq(exchange(list(mfns, 2), 2, 0, to, 1, 1, &done), -XEN_ENOMEM);
	ck_assert_uint_eq(done, 0);
	for (unsigned i = 0; i < 2; i++)
		ck_assert_uint_eq(world_page(d, first + 5 * i)[9], 70 + i);
	ck_assert_uint_eq(d->mem.tot_pages, d->mem.max_pages);
}
END_TEST

START_TEST(pages_in_use_are_not_exchanged)
{
	uint64_t mfns[4], done = 0, pfns[4] = { 1, 2, 3, 4 }, to;

	for (unsigned i = 0; i < 4; i++)
		mfns[i] = world_mfn(d, P0 + i).n;
	unmap(P0);
	unmap(P0 + 1);
	unmap(P0 + 3);
	to = world_args(v, 1024, pfns, sizeof(pfns));
	ck_assert_int_eq(exchange(list(mfns, 4), 4, 0, to, 4, 0, &done), -XEN_EINVAL);
	ck_assert_uint_eq(done, 2);
	/* The same page twice in one chunk. */
	mfns[0] = mfns[1] = world_mfn(d, P0 + 3).n;
	done = 0;
	ck_assert_int_eq(exchange(list(mfns, 2), 2, 0, to, 1, 1, &done), -XEN_EINVAL);
	ck_assert_uint_eq(done, 0);
}
END_TEST

static const struct {
	uint64_t nr_in;
	unsigned in_order;
	uint64_t nr_out;
	unsigned out_order;
	uint64_t done;
	int64_t rc;
} bad_exchanges[] = {
	{ 1, 10, 1, 10, 0, -XEN_EPERM },
	{ 1, 0, 2, 0, 0, -XEN_EINVAL },
	{ 1, 0, 1, 1, 0, -XEN_EINVAL },
	{ UINT64_MAX, 1, UINT64_MAX, 1, 0, -XEN_EINVAL },
	{ 1, 0, 1, 0, 2, -XEN_EINVAL },
	{ 1, 0, 1, 0, 1, 0 },                             /* all done already */
	{ UINT64_MAX, 0, UINT64_MAX, 0, 0, -XEN_EFAULT }, /* no list is that long */
};

START_TEST(exchanges_that_do_not_add_up_are_refused)
{
	uint64_t zero[2] = { 0 }, done = bad_exchanges[_i].done;

	ck_assert_int_eq(exchange(list(zero, 2), bad_exchanges[_i].nr_in,
	                          bad_exchanges[_i].in_order, world_va(WORLD_OUT),
	                          bad_exchanges[_i].nr_out, bad_exchanges[_i].out_order, &done),
	                 bad_exchanges[_i].rc);
}
END_TEST

/* ---- questions ------------------------------------------------------------------------------------------ */

static const struct {
	unsigned cmd;
	domid_t domid;
	int64_t rc;
} questions[] = {
	{ XENMEM_current_reservation, DOMID_SELF, WORLD_PAGES },
	{ XENMEM_current_reservation, 1, WORLD_PAGES },
	{ XENMEM_current_reservation, 0, -XEN_EPERM },
	{ XENMEM_current_reservation, 5, -XEN_ESRCH },
	{ XENMEM_maximum_reservation, DOMID_SELF, WORLD_PAGES + SPARE },
	{ XENMEM_maximum_gpfn, DOMID_SELF, 0 },
	{ XENMEM_current_reservation | 1 << 6, DOMID_SELF, -XEN_EINVAL },
	{ XENMEM_machine_memory_map, DOMID_SELF, -XEN_EPERM },
	{ XENMEM_set_memory_map, DOMID_SELF, 0 },
	{ XENMEM_set_memory_map, 0, -XEN_EPERM },
	{ XENMEM_current_reservation, DOMID_IO, -XEN_ESRCH },
	{ XENMEM_current_reservation, DOMID_XEN, -XEN_ESRCH },
	{ XENMEM_add_to_physmap, DOMID_SELF, -XEN_EACCES },
	{ XENMEM_add_to_physmap, 9, -XEN_ESRCH },
	{ XENMEM_add_to_physmap_batch, DOMID_SELF, -XEN_EACCES },
	{ XENMEM_remove_from_physmap, DOMID_SELF, -XEN_EACCES },
	{ XENMEM_set_pod_target, DOMID_SELF, -XEN_EINVAL },
	{ XENMEM_get_pod_target, DOMID_SELF, -XEN_EINVAL },
	{ 18, DOMID_SELF, 0 },
	{ 19, DOMID_SELF, 0 },
	{ 20, DOMID_SELF, -XEN_ENOSYS },
	{ 21, DOMID_SELF, -XEN_EINVAL },
	{ 22, DOMID_SELF, -XEN_ENOSYS },
	{ 24, 1, -XEN_EPERM }, /* claim_pages knows no DOMID_SELF */
	{ 24, DOMID_SELF, -XEN_EINVAL },
	{ XENMEM_machphys_compat_mfn_list, DOMID_SELF, -XEN_EOPNOTSUPP },
	{ XENMEM_get_vnumainfo, DOMID_SELF, -XEN_EOPNOTSUPP },
	{ XENMEM_get_vnumainfo, 0, -XEN_EPERM },
	{ 27, 0, 0 },
	{ 27, 2, -XEN_EINVAL },
	{ XENMEM_acquire_resource, DOMID_SELF, -XEN_ESRCH },
	{ XENMEM_acquire_resource, 1, -XEN_EPERM },
	{ XENMEM_acquire_resource, 9, -XEN_ESRCH },
	{ 8, DOMID_SELF, -XEN_ENOSYS },
	{ 29, DOMID_SELF, -XEN_ENOSYS },
	{ 63, DOMID_SELF, -XEN_ENOSYS },
	{ 35 | 1 << 6, DOMID_SELF, -XEN_ENOSYS },
};

START_TEST(questions_get_xens_answers)
{
	struct xen_memory_reservation r = { .domid = questions[_i].domid };
	struct xen_memory_domain q = { .domid = questions[_i].domid };
	uint64_t at;

	at = questions[_i].cmd == 24 ? world_args(v, 0, &r, sizeof(r))
	                             : world_args(v, 0, &q, sizeof(q));
	ck_assert_int_eq(world_call(v, __HYPERVISOR_memory_op, questions[_i].cmd, at, 0, 0),
	                 questions[_i].rc);
}
END_TEST

static long memory_map(uint32_t room, uint32_t *nr)
{
	struct xen_memory_map m = { .nr_entries = room };
	uint64_t at;
	long rc;

	m.buffer.va = world_va(WORLD_OUT);
	at = world_args(v, 0, &m, sizeof(m));
	rc = world_call(v, __HYPERVISOR_memory_op, XENMEM_memory_map, at, 0, 0);
	world_read(v, at, &m, sizeof(m));
	*nr = m.nr_entries;
	return rc;
}

static long set_memory_map(uint64_t rows, uint32_t nr)
{
	struct xen_foreign_memory_map m = { .domid = DOMID_SELF, .map.nr_entries = nr };

	m.map.buffer.va = rows;
	return world_call(v, __HYPERVISOR_memory_op, XENMEM_set_memory_map,
	                  world_args(v, 0, &m, sizeof(m)), 0, 0);
}

START_TEST(a_domains_memory_map_is_what_it_says)
{
	uint32_t nr;

	ck_assert_int_eq(memory_map(9, &nr), 0);
	ck_assert_uint_eq(nr, 1);
	ck_assert_int_eq(set_memory_map(world_va(WORLD_OUT), 3), 0);
	ck_assert_int_eq(set_memory_map(world_va(WORLD_OUT), 2), 0);
	ck_assert_int_eq(memory_map(1, &nr), 0);
	ck_assert_uint_eq(nr, 1);
	ck_assert_int_eq(memory_map(9, &nr), 0);
	ck_assert_uint_eq(nr, 2);
	ck_assert_int_eq(set_memory_map(world_va(WORLD_OUT), 1025), -XEN_EINVAL);
	ck_assert_int_eq(set_memory_map(0x1f0000000000, 1), -XEN_EFAULT);
	ck_assert_int_eq(memory_map(9, &nr), 0);
	ck_assert_uint_eq(nr, 2);
	ck_assert_int_eq(set_memory_map(world_va(WORLD_OUT), 0), 0);
	ck_assert_int_eq(memory_map(9, &nr), -XEN_ENOSYS);
}
END_TEST

START_TEST(the_machine_to_physical_table_is_found)
{
	struct xen_machphys_mapping m;
	struct xen_machphys_mfn_list l = { .max_extents = 1000 };
	uint64_t at = world_va(WORLD_OUT), top = w.m->pool.m2p_entries;

	ck_assert_int_eq(world_call(v, __HYPERVISOR_memory_op, XENMEM_machphys_mapping, at, 0, 0),
	                 0);
	world_read(v, at, &m, sizeof(m));
	ck_assert_uint_eq(m.v_start, 0x7e0000000000);
	ck_assert_uint_eq(m.v_end, m.v_start + top * 8);
	ck_assert_uint_eq(m.max_mfn, top - 1);
	ck_assert_uint_gt(m.max_mfn, d->mem.first.n + d->mem.nr_frames - 1);
	ck_assert_int_eq(world_call(v, __HYPERVISOR_memory_op, XENMEM_maximum_ram_page, 0, 0, 0),
	                 (int64_t)top);
	l.extent_start.va = at;
	at = world_args(v, 0, &l, sizeof(l));
	ck_assert_int_eq(world_call(v, __HYPERVISOR_memory_op, XENMEM_machphys_mfn_list, at, 0, 0),
	                 0);
	world_read(v, at, &l, sizeof(l));
	ck_assert_uint_eq(l.nr_extents, (top * 8 + (2 << 20) - 1) / (2 << 20));
	for (unsigned i = 0; i < l.nr_extents; i++) {
		uint64_t mfn = world_page(d, WORLD_OUT)[i];

		ck_assert_uint_ne(mfn, 0);
		ck_assert_int_eq(world_update(v, world_place(d, P0), mfn << 12 | PTE_P),
		                 -XEN_EBUSY);
	}
	d->shared_info->arch.max_pfn = 1234;
	ck_assert_int_eq(reserve(XENMEM_maximum_gpfn, 0, 0, 0, 0), -XEN_EPERM); /* domid 0 */
}
END_TEST

START_TEST(wild_arguments_are_faults)
{
	for (unsigned cmd = 0; cmd < 64; cmd++) {
		int64_t rc = world_call(v, __HYPERVISOR_memory_op, cmd, UINT64_MAX - 3, 0, 0);

		ck_assert_int_le(rc, cmd == XENMEM_maximum_ram_page ? INT64_MAX : 0);
	}
	ck_assert_uint_eq(d->mem.tot_pages, WORLD_PAGES);
}
END_TEST

Suite *memory_suite(void);
Suite *memory_suite(void)
{
	Suite *s = suite_create("memory");
	TCase *normal = tcase_create("normal"), *limits = tcase_create("limits");
	TCase *hostile = tcase_create("hostile");

	tcase_add_checked_fixture(normal, setup, teardown);
	tcase_add_checked_fixture(limits, setup, teardown);
	tcase_add_checked_fixture(hostile, setup, teardown);
	tcase_add_test(normal, a_page_is_given_back_and_taken_again);
	tcase_add_test(normal, a_page_still_mapped_goes_with_its_last_mapping);
	tcase_add_test(normal, extents_of_many_pages);
	tcase_add_test(normal, pages_are_exchanged_for_a_larger_extent);
	tcase_add_test(normal, a_full_domain_can_exchange_too);
	tcase_add_test(normal, an_exchange_that_fails_gives_the_pages_back_as_they_were);
	tcase_add_test(normal, a_domains_memory_map_is_what_it_says);
	tcase_add_test(normal, the_machine_to_physical_table_is_found);
	tcase_add_test(limits, a_reservation_grows_to_its_limit);
	tcase_add_loop_test(limits, odd_requests_do_what_xen_does, 0, ARRAY_LEN(odd));
	tcase_add_loop_test(limits, questions_get_xens_answers, 0, ARRAY_LEN(questions));
	tcase_add_test(hostile, frames_of_others_are_not_given_back);
	tcase_add_test(hostile, wild_lists_stop_the_call);
	tcase_add_test(hostile, pages_in_use_are_not_exchanged);
	tcase_add_loop_test(hostile, exchanges_that_do_not_add_up_are_refused, 0,
	                    ARRAY_LEN(bad_exchanges));
	tcase_add_test(hostile, wild_arguments_are_faults);
	suite_add_tcase(s, normal);
	suite_add_tcase(s, limits);
	suite_add_tcase(s, hostile);
	return s;
}
