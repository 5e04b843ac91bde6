/* SPDX-License-Identifier: MIT */
/*
 * Where the domain builder places things (core/layout.c). Expected numbers are worked out by hand
 * from the rules of Xen's domain builder, not by the code under test.
 */
#include <check.h>
#include <errno.h>
#include <string.h>

#include "hypervisor-stub/core/layout.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define MIB(n)       ((uint64_t)(n) << 8) /* pages */
#define LINUX_BASE   UINT64_C(0xffffffff80000000)

static struct hv_image img;
static struct hv_layout l;
static char why[512];

/* 8 KiB at 1 MiB, VIRT_BASE 0. */
static void setup(void)
{
	memset(&img, 0, sizeof(img));
	img.kstart = img.entry = 0x100000;
	img.kend = 0x102000;
	img.hypercall_page = img.init_p2m = HV_IMAGE_UNSET;
}

static void setup_high(void)
{
	setup();
	img.virt_base = LINUX_BASE;
	img.kstart = img.entry = LINUX_BASE + 0x1000000;
	img.kend = LINUX_BASE + 0x3800123;
}

static int plan(uint64_t nr_pages, uint64_t ramdisk_len)
{
	return hv_layout_plan(&l, &img, nr_pages, ramdisk_len, why, sizeof(why));
}

/* ---- normal ---- */

START_TEST(a_small_kernel_lies_as_under_xen)
{
	ck_assert_int_eq(plan(MIB(128), 0), 0);
	ck_assert_uint_eq(l.kernel.pfn, 256);
	ck_assert_uint_eq(l.kernel.pages, 2);
	ck_assert_uint_eq(l.ramdisk.pages, 0);
	ck_assert_uint_eq(l.p2m.pfn, 258);
	ck_assert_uint_eq(l.p2m.pages, 64);
	ck_assert_uint_eq(l.p2m.va, 258 << 12);
	ck_assert_uint_eq(l.start_info.n, 322);
	ck_assert_uint_eq(l.store.n, 323);
	ck_assert_uint_eq(l.console.n, 324);
	ck_assert_uint_eq(l.tables.pfn, 325);
	ck_assert_uint_eq(l.tables.pages, 5); /* one each of L4, L3, L2; two L1 for 4 MiB */
	ck_assert_uint_eq(l.root.n, 325);
	ck_assert_uint_eq(l.stack.pfn, 330);
	ck_assert_uint_eq(l.virt_end, 4 << 20);
	ck_assert_uint_eq(l.pages_used, 1024);
	ck_assert_uint_eq(l.nr_maps, 1);
}
END_TEST

START_TEST(tables_come_top_down_and_are_found_by_address)
{
	ck_assert_int_eq(plan(MIB(128), 0), 0);
	ck_assert_uint_eq(hv_layout_table(&l, 3, 0x100000).n, 326);
	ck_assert_uint_eq(hv_layout_table(&l, 2, 0x100000).n, 327);
	ck_assert_uint_eq(hv_layout_table(&l, 1, 0x100000).n, 328);
	ck_assert_uint_eq(hv_layout_table(&l, 1, 0x3fffff).n, 329);
	for (uint64_t pfn = 0; pfn < 1024; pfn++)
		ck_assert_int_eq(hv_layout_is_table(&l, pfn), pfn >= 325 && pfn < 330);
}
END_TEST

START_TEST(a_ramdisk_follows_the_kernel)
{
	ck_assert_int_eq(plan(MIB(128), 5000), 0);
	ck_assert_uint_eq(l.ramdisk.pfn, 258);
	ck_assert_uint_eq(l.ramdisk.pages, 2);
	ck_assert_uint_eq(l.ramdisk.va, 258 << 12);
	ck_assert_uint_eq(l.ramdisk_len, 5000);
	ck_assert_uint_eq(l.p2m.pfn, 260);
}
END_TEST

START_TEST(an_unmapped_ramdisk_follows_the_mapping)
{
	img.mod_start_pfn = true;
	ck_assert_int_eq(plan(MIB(128), 5000), 0);
	ck_assert_uint_eq(l.p2m.pfn, 258);
	ck_assert_uint_eq(l.ramdisk.pfn, 1024);
	ck_assert_uint_eq(l.ramdisk.va, HV_IMAGE_UNSET);
	ck_assert_uint_eq(l.ramdisk_len, 8192);
	ck_assert_uint_eq(l.pages_used, 1026);
}
END_TEST

START_TEST(a_p2m_of_its_own_address_brings_its_own_tables)
{
	setup_high();
	img.init_p2m = 0x8000000000; /* 512 GiB: its own entry of the L4 */
	img.mod_start_pfn = true;
	ck_assert_int_eq(plan(MIB(512), 4096), 0);
	ck_assert(l.p2m_apart);
	ck_assert_uint_eq(l.kernel.pfn, 0x1000);
	ck_assert_uint_eq(l.kernel.pages, 0x2801);
	ck_assert_uint_eq(l.start_info.n, 0x3801);
	/* 56 MiB and some, and 512 KiB to spare: 60 MiB, 30 L1 tables. */
	ck_assert_uint_eq(l.virt_end, LINUX_BASE + (60 << 20));
	ck_assert_uint_eq(l.tables.pfn, 0x3804);
	ck_assert_uint_eq(l.tables.pages, 33);
	ck_assert_uint_eq(l.ramdisk.pfn, 60 * 256);
	ck_assert_uint_eq(l.p2m.pfn, 60 * 256 + 1);
	ck_assert_uint_eq(l.p2m.pages, 256);
	ck_assert_uint_eq(l.p2m.va, 0x8000000000);
	/* An L3, an L2 and one L1 behind it. */
	ck_assert_uint_eq(l.pages_used, 60 * 256 + 1 + 256 + 3);
	ck_assert_uint_eq(hv_layout_table(&l, 3, 0x8000000000).n, 60 * 256 + 257);
	ck_assert_uint_eq(hv_layout_table(&l, 1, 0x8000000000).n, 60 * 256 + 259);
	ck_assert(hv_layout_is_table(&l, 60 * 256 + 258));
	ck_assert(!hv_layout_is_table(&l, 60 * 256 + 256));
}
END_TEST

START_TEST(a_p2m_close_below_the_kernel_shares_its_tables)
{
	setup_high();
	img.init_p2m = LINUX_BASE - 0x40000000; /* 1 GiB below: same L3, another L2 */
	ck_assert_int_eq(plan(MIB(512), 0), 0);
	ck_assert_uint_eq(l.map[1].level[3].count, 0);
	ck_assert_uint_eq(l.map[1].level[2].count, 1);
	ck_assert_uint_eq(l.map[1].level[1].count, 1);
	ck_assert_uint_eq(hv_layout_table(&l, 3, img.init_p2m).n,
	                  hv_layout_table(&l, 3, LINUX_BASE).n);
}
END_TEST

/* ---- limits ---- */

START_TEST(spare_space_is_never_less_than_512_kib)
{
	/* Push the end of the image over a 4 MiB line page by page. */
	for (uint64_t pages = 1; pages < 2100; pages++) {
		img.kend = img.kstart + (pages << 12);
		ck_assert_int_eq(plan(MIB(128), 0), 0);
		ck_assert_uint_eq(l.virt_end & ((4 << 20) - 1), 0);
		ck_assert_uint_ge((l.virt_end >> 12) - (l.stack.pfn + 1), 128);
		ck_assert_uint_eq(l.tables.pages, 3 + (l.virt_end >> 21));
		ck_assert_uint_le(l.virt_end, (l.stack.va + 4096 + (512 << 10)) + (4 << 20));
	}
}
END_TEST

START_TEST(a_p2m_note_that_xen_would_not_heed_is_not_heeded)
{
	setup_high();
	img.init_p2m = LINUX_BASE + 0x40000000; /* not below VIRT_BASE */
	ck_assert_int_eq(plan(MIB(512), 0), 0);
	ck_assert(!l.p2m_apart);
	img.init_p2m = 0x8000000010; /* inside a page */
	ck_assert_int_eq(plan(MIB(512), 0), 0);
	ck_assert(!l.p2m_apart);
}
END_TEST

START_TEST(the_least_memory_that_works_is_the_mapping)
{
	ck_assert_int_eq(plan(1024, 0), 0);
	ck_assert_int_eq(plan(1023, 0), -ENOMEM);
	ck_assert_msg(strstr(why, "needs at least 4 MiB") && strstr(why, "--memory"), "%s", why);
	ck_assert_int_eq(plan(1, 0), -ENOMEM);
	ck_assert_int_eq(plan(258, 0), -ENOMEM);
}
END_TEST

START_TEST(a_ramdisk_larger_than_memory_is_refused)
{
	ck_assert_int_eq(plan(MIB(128), MIB(128) << 12), -ENOMEM);
	ck_assert_msg(strstr(why, "--memory"), "%s", why);
	ck_assert_int_eq(plan(MIB(128), UINT64_MAX), -ENOMEM);
	img.mod_start_pfn = true;
	ck_assert_int_eq(plan(MIB(128), (MIB(128) - 1023) << 12), -ENOMEM);
	ck_assert_int_eq(plan(MIB(128), (MIB(128) - 1024) << 12), 0);
}
END_TEST

/* ---- hostile ---- */

static const struct {
	uint64_t base, kstart, kend, init_p2m;
	const char *says;
} wild[] = {
	/* across the end of the lower half, in the hole, in the hypervisor's part, across the top */
	{ 0x7fffffc00000, 0x7fffffd00000, 0x7fffffffe000, ~0ULL, "no guest can have" },
	{ 0x900000000000, 0x900000100000, 0x900000101000, ~0ULL, "no guest can have" },
	{ 0xffff800000000000, 0xffff800000100000, 0xffff800000101000, ~0ULL, "no guest can have" },
	{ 0xffff87ffff000000, 0xffff87ffff100000, 0xffff87ffff101000, ~0ULL, "no guest can have" },
	{ 0xffffffffffc00000, 0xffffffffffd00000, 0xffffffffffd01000, ~0ULL, "no guest can have" },
	{ 0xffffffffff800000, 0xffffffffffb00000, 0xffffffffffffe000, ~0ULL, "no guest can have" },
	/* a p2m in the hypervisor's part, and one that runs into VIRT_BASE */
	{ LINUX_BASE, LINUX_BASE, LINUX_BASE + 0x1000, 0xffff800000000000, "no guest can have" },
	{ LINUX_BASE, LINUX_BASE, LINUX_BASE + 0x1000, LINUX_BASE - 0x1000, "INIT_P2M" },
	/* so far behind VIRT_BASE that no memory reaches it */
	{ 0, 0x7ffffff00000, 0x7ffffff01000, ~0ULL, "needs at least" },
};

START_TEST(an_address_that_cannot_be_mapped_is_refused)
{
	img.virt_base = wild[_i].base;
	img.kstart = img.entry = wild[_i].kstart;
	img.kend = wild[_i].kend;
	img.init_p2m = wild[_i].init_p2m;
	ck_assert_int_lt(plan(MIB(128), 0), 0);
	ck_assert_msg(strstr(why, wild[_i].says), "%s", why);
	ck_assert_msg(strstr(why, "; "), "no remedy in: %s", why);
}
END_TEST

Suite *layout_suite(void);
Suite *layout_suite(void)
{
	Suite *s = suite_create("layout");
	TCase *normal = tcase_create("normal"), *limits = tcase_create("limits"),
	      *hostile = tcase_create("hostile");

	tcase_add_checked_fixture(normal, setup, NULL);
	tcase_add_test(normal, a_small_kernel_lies_as_under_xen);
	tcase_add_test(normal, tables_come_top_down_and_are_found_by_address);
	tcase_add_test(normal, a_ramdisk_follows_the_kernel);
	tcase_add_test(normal, an_unmapped_ramdisk_follows_the_mapping);
	tcase_add_test(normal, a_p2m_of_its_own_address_brings_its_own_tables);
	tcase_add_test(normal, a_p2m_close_below_the_kernel_shares_its_tables);
	suite_add_tcase(s, normal);

	tcase_add_checked_fixture(limits, setup, NULL);
	tcase_add_test(limits, spare_space_is_never_less_than_512_kib);
	tcase_add_test(limits, a_p2m_note_that_xen_would_not_heed_is_not_heeded);
	tcase_add_test(limits, the_least_memory_that_works_is_the_mapping);
	tcase_add_test(limits, a_ramdisk_larger_than_memory_is_refused);
	suite_add_tcase(s, limits);

	tcase_add_checked_fixture(hostile, setup, NULL);
	tcase_add_loop_test(hostile, an_address_that_cannot_be_mapped_is_refused, 0,
	                    ARRAY_LEN(wild));
	suite_add_tcase(s, hostile);
	return s;
}
