/* SPDX-License-Identifier: MIT */
/*
 * Guest memory by virtual address: rights, borders of pages, addresses that cannot be.
 */
#include <check.h>
#include <string.h>

#include "abi/errno.h"
#include "abi/mmu.h"
#include "hypervisor-stub/core/guestcopy.h"
#include "tests/fake/mem_world.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define P0           (WORLD_FREE + 40)
#define RO           (WORLD_L1 & ~PTE_W)

static struct world w;
static struct hv_domain *d;
static struct hv_vcpu *v;
static uint8_t buf[5 * 4096];

static void setup(void)
{
	world_init(&w);
	d = w.d;
	v = w.v;
	hv_domain_lock(d);
}

static void teardown(void)
{
	hv_domain_unlock(d);
	ck_assert_uint_eq(world_check(&w), 0);
	world_fini(&w);
}

static int64_t protect(uint64_t pfn, uint64_t flags)
{
	int64_t rc;

	hv_domain_unlock(d);
	rc = world_protect(v, pfn, flags);
	hv_domain_lock(d);
	return rc;
}

START_TEST(what_is_written_is_read_back_across_pages)
{
	uint8_t back[sizeof(buf)] = { 0 };
	size_t len = 3 * 4096 + 17;

	for (size_t i = 0; i < len; i++)
		buf[i] = (uint8_t)(i * 7 + 3);
	ck_assert_int_eq(hv_copy_to_guest(v, world_va(P0) + 4001, buf, len), 0);
	ck_assert_int_eq(hv_copy_from_guest(v, back, world_va(P0) + 4001, len), 0);
	ck_assert_mem_eq(back, buf, len);
	ck_assert_uint_eq(((uint8_t *)world_page(d, P0))[4001], buf[0]);
}
END_TEST

START_TEST(pages_need_not_lie_in_a_row)
{
	hv_domain_unlock(d);
	ck_assert_int_eq(world_update(v, world_place(d, P0), world_entry(d, P0 + 9, WORLD_L1)), 0);
	ck_assert_int_eq(world_update(v, world_place(d, P0 + 1), world_entry(d, P0 + 3, WORLD_L1)),
	                 0);
	hv_domain_lock(d);
	memset(buf, 0x21, 8192);
	ck_assert_int_eq(hv_copy_to_guest(v, world_va(P0), buf, 8192), 0);
	ck_assert_mem_eq(world_page(d, P0 + 9), buf, 4096);
	ck_assert_mem_eq(world_page(d, P0 + 3), buf, 4096);
	ck_assert_uint_eq(world_page(d, P0)[0], 0);
}
END_TEST

START_TEST(a_copy_marks_accessed_and_dirty)
{
	uint64_t *entry = &world_page(d, world_l1(0))[P0];

	*entry &= ~(PTE_A | PTE_D);
	ck_assert_int_eq(hv_copy_from_guest(v, buf, world_va(P0), 1), 0);
	ck_assert_uint_eq(*entry & (PTE_A | PTE_D), PTE_A);
	ck_assert_int_eq(hv_copy_to_guest(v, world_va(P0), buf, 1), 0);
	ck_assert_uint_eq(*entry & (PTE_A | PTE_D), PTE_A | PTE_D);
}
END_TEST

START_TEST(the_error_is_where_the_first_bad_byte_is)
{
	uint64_t at = 0;
	uint32_t pfec = 0;

	ck_assert_int_eq(protect(P0 + 2, RO), 0);
	memset(buf, 0x55, sizeof(buf));
	ck_assert_int_eq(
		hv_access_guest(v, buf, world_va(P0) + 100, 3 * 4096, true, false, &at, &pfec),
		-XEN_EFAULT);
	ck_assert_uint_eq(at, world_va(P0 + 2));
	ck_assert_uint_eq(pfec, PFEC_P | PFEC_W);
	/* As far as that the bytes are there. */
	ck_assert_uint_eq(((uint8_t *)world_page(d, P0 + 1))[4095], 0x55);
	ck_assert_uint_eq(world_page(d, P0 + 2)[0], 0);
	/* Reading is no error. */
	ck_assert_int_eq(hv_copy_from_guest(v, buf, world_va(P0) + 100, 3 * 4096), 0);
}
END_TEST

static const struct {
	uint64_t flags;
	bool write, fetch, user;
	int rc;
	uint32_t pfec;
} rights[] = {
	{ WORLD_L1, false, false, false, 0, 0 },
	{ WORLD_L1, true, false, false, 0, 0 },
	{ WORLD_L1, false, true, false, 0, 0 },
	{ WORLD_L1 | PTE_NX, false, true, false, -XEN_EFAULT, PFEC_P | PFEC_I },
	{ WORLD_L1 | PTE_NX, false, false, false, 0, 0 },
	{ RO, true, false, false, -XEN_EFAULT, PFEC_P | PFEC_W },
	{ 0, false, false, false, -XEN_EFAULT, 0 },
	{ 0, true, false, false, -XEN_EFAULT, PFEC_W },
	{ WORLD_L1, true, false, true, 0, 0 },
	{ RO, true, false, true, -XEN_EFAULT, PFEC_P | PFEC_W | PFEC_U },
	{ 0, false, true, true, -XEN_EFAULT, PFEC_I | PFEC_U },
};

START_TEST(rights_are_those_of_the_tables)
{
	uint64_t at;
	uint32_t pfec = 0;

	ck_assert_int_eq(protect(P0, rights[_i].flags), 0);
	ck_assert_int_eq(hv_vcpu_set_user_root(v, v->root_kernel), 0);
	v->in_kernel = !rights[_i].user;
	ck_assert_int_eq(hv_access_guest(v, buf, world_va(P0), 8, rights[_i].write,
	                                 rights[_i].fetch, &at, &pfec),
	                 rights[_i].rc);
	ck_assert_uint_eq(pfec, rights[_i].pfec);
	v->in_kernel = true;
}
END_TEST

START_TEST(each_mode_has_its_root)
{
	v->in_kernel = false;
	ck_assert_int_eq(hv_copy_from_guest(v, buf, world_va(P0), 1), -XEN_EFAULT);
	v->in_kernel = true;
	ck_assert_int_eq(hv_copy_from_guest(v, buf, world_va(P0), 1), 0);
}
END_TEST

START_TEST(page_tables_cannot_be_written)
{
	for (uint64_t pfn = world_root(); pfn < WORLD_PAGES; pfn++)
		ck_assert_int_eq(hv_copy_to_guest(v, world_va(pfn), buf, 8), -XEN_EFAULT);
}
END_TEST

static const struct {
	uint64_t va;
	size_t len;
	int rc;
} wild[] = {
	{ 0, 0, 0 },
	{ UINT64_MAX, 0, 0 },
	{ 0, 1, -XEN_EFAULT },
	{ WORLD_BASE - 1, 2, -XEN_EFAULT },
	{ WORLD_BASE + ((uint64_t)WORLD_PAGES << 12) - 1, 1, 0 },
	{ WORLD_BASE + ((uint64_t)WORLD_PAGES << 12) - 1, 2, -XEN_EFAULT },
	{ UINT64_C(0x00007fffffffffff), 2, -XEN_EFAULT },
	{ UINT64_C(0x0000800000000000), 1, -XEN_EFAULT },
	{ UINT64_C(0x8000000040000000), 1, -XEN_EFAULT },
	{ UINT64_C(0xffff800000000000), 8, -XEN_EFAULT },
	{ UINT64_C(0xffffffffffffffff), 16, -XEN_EFAULT },
};

START_TEST(wild_addresses_fail)
{
	ck_assert_int_eq(hv_copy_from_guest(v, buf, wild[_i].va, wild[_i].len), wild[_i].rc);
}
END_TEST

START_TEST(array_addresses_do_not_wrap)
{
	uint64_t va = 1;

	ck_assert(hv_array_va(0x1000, 3, 16, &va));
	ck_assert_uint_eq(va, 0x1030);
	ck_assert(hv_array_va(UINT64_MAX, 0, 16, &va));
	ck_assert(!hv_array_va(UINT64_MAX, 1, 1, &va));
	ck_assert(!hv_array_va(0, UINT64_C(1) << 60, 16, &va));
	ck_assert(!hv_array_va(16, UINT64_MAX / 8, 8, &va));
}
END_TEST

Suite *guestcopy_suite(void);
Suite *guestcopy_suite(void)
{
	Suite *s = suite_create("guestcopy");
	TCase *normal = tcase_create("normal"), *limits = tcase_create("limits");
	TCase *hostile = tcase_create("hostile");

	tcase_add_checked_fixture(normal, setup, teardown);
	tcase_add_checked_fixture(limits, setup, teardown);
	tcase_add_checked_fixture(hostile, setup, teardown);
	tcase_add_test(normal, what_is_written_is_read_back_across_pages);
	tcase_add_test(normal, pages_need_not_lie_in_a_row);
	tcase_add_test(normal, a_copy_marks_accessed_and_dirty);
	tcase_add_test(normal, each_mode_has_its_root);
	tcase_add_loop_test(limits, rights_are_those_of_the_tables, 0, ARRAY_LEN(rights));
	tcase_add_test(limits, the_error_is_where_the_first_bad_byte_is);
	tcase_add_test(limits, array_addresses_do_not_wrap);
	tcase_add_test(hostile, page_tables_cannot_be_written);
	tcase_add_loop_test(hostile, wild_addresses_fail, 0, ARRAY_LEN(wild));
	suite_add_tcase(s, normal);
	suite_add_tcase(s, limits);
	suite_add_tcase(s, hostile);
	return s;
}
