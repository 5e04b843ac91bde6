/* SPDX-License-Identifier: MIT */
/*
 * Descriptor tables: which descriptors a guest may have, set_gdt, update_descriptor, the LDT.
 */
#include <check.h>
#include <string.h>

#include "abi/errno.h"
#include "abi/mmu.h"
#include "tests/fake/mem_world.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define P0           (WORLD_FREE + 0)
#define RO           (WORLD_L1 & ~PTE_W)
#define CODE64       UINT64_C(0x00affb000000ffff) /* ring 3 */
#define DATA         UINT64_C(0x00cff3000000ffff)

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

static const struct {
	uint64_t in, out; /* out 0: refused */
} descs[] = {
	{ 0x1234, 0x1234 }, /* not present: anything */
	{ 0x00ff7fffffffffff, 0x00ff7fffffffffff },
	{ CODE64, CODE64 },
	{ DATA, DATA },
	{ 0x00af9b000000ffff, CODE64 },             /* ring 0 becomes ring 3 */
	{ 0x00cf93000000ffff, DATA },               /* ring 0 data */
	{ 0x0000e00000000000, 0x0000e00000000000 }, /* second half of a call gate */
	{ 0x0000800000000000, 0x0000800000000000 },
	{ 0x00008900000000ff, 0 }, /* TSS */
	{ 0x00008200000000ff, 0 }, /* LDT */
	{ 0x00008e0000080000, 0 }, /* interrupt gate */
	{ 0x00008f0000080000, 0 }, /* trap gate */
	{ 0x0000850000080000, 0 }, /* task gate */
	/* Call gates: to the guest's GDT or LDT; DPL goes to the target's RPL, and becomes 0. */
	{ 0x12348c0000080678, 0x12348c00000b0678 },
	{ 0x1234ec00000c0678, 0x12348c00000f0678 },
	{ 0x1234ecfffffc0678, 0 },                  /* parameter count */
	{ 0x12348c00e0330678, 0x12348c00e0330678 }, /* Xen's flat kernel code */
	{ 0x12348c00e0080678, 0 },                  /* Xen's own selectors */
	{ 0x12348c00fff80678, 0 },
};

START_TEST(descriptors_become_harmless_or_are_refused)
{
	uint64_t desc = descs[_i].in;

	ck_assert_int_eq(hv_descriptor_check(&desc), descs[_i].out != 0);
	if (descs[_i].out)
		ck_assert_uint_eq(desc, descs[_i].out);
}
END_TEST

static int64_t set_gdt(const uint64_t *pfns, unsigned nr, uint64_t entries)
{
	uint64_t frames[16];

	for (unsigned i = 0; i < nr; i++)
		frames[i] = world_mfn(d, pfns[i]).n;
	return world_call(v, __HYPERVISOR_set_gdt, world_args(v, 0, frames, nr * sizeof(frames[0])),
	                  entries, 0, 0);
}

START_TEST(a_gdt_is_checked_kept_and_given_back)
{
	uint64_t pfns[2] = { P0, P0 + 1 }, desc;

	world_page(d, P0)[3] = 0x00af9b000000ffff;
	world_page(d, P0 + 1)[1] = DATA;
	ck_assert_int_eq(set_gdt(pfns, 2, 600), -XEN_EINVAL); /* mapped writable */
	ck_assert_int_eq(world_protect(v, P0, RO), 0);
	ck_assert_int_eq(world_protect(v, P0 + 1, RO), 0);
	ck_assert_int_eq(set_gdt(pfns, 2, 600), 0);
	ck_assert_uint_eq(world_frame(d, P0)->type, HV_TYPE_DESC);
	ck_assert_uint_eq(world_page(d, P0)[3], CODE64);
	ck_assert_int_eq(hv_descriptor_read(v, 3 << 3 | 3, &desc), 0);
	ck_assert_uint_eq(desc, CODE64);
	ck_assert_int_eq(hv_descriptor_read(v, 513 << 3 | 3, &desc), 0);
	ck_assert_uint_eq(desc, DATA);
	ck_assert_int_eq(hv_descriptor_read(v, 600 << 3 | 3, &desc), -XEN_EINVAL);
	/* It cannot be mapped writable, nor be a table. */
	ck_assert_int_eq(world_protect(v, P0, WORLD_L1), -XEN_EBUSY);
	ck_assert_int_eq(world_ext(v, MMUEXT_PIN_L1_TABLE, world_mfn(d, P0).n, 0), -XEN_EINVAL);
	ck_assert_int_eq(world_update(v, world_ptr(d, P0, 0), 0), -XEN_EINVAL);
	ck_assert_int_eq(set_gdt(pfns, 0, 0), 0);
	ck_assert_uint_eq(world_frame(d, P0)->type_count, 0);
	ck_assert_int_eq(world_protect(v, P0, WORLD_L1), 0);
}
END_TEST

START_TEST(a_refused_gdt_leaves_the_old_one)
{
	uint64_t pfns[3] = { P0, P0 + 1, P0 + 2 };

	for (unsigned i = 0; i < 3; i++)
		ck_assert_int_eq(world_protect(v, P0 + i, RO), 0);
	ck_assert_int_eq(set_gdt(pfns, 1, 512), 0);
	/* The third holds a TSS. */
	world_page(d, P0 + 2)[511] = 0x00008900000000ff;
	ck_assert_int_eq(set_gdt(pfns, 3, 1536), -XEN_EINVAL);
	ck_assert_uint_eq(v->traps.gdt_entries, 512);
	ck_assert_uint_eq(world_frame(d, P0)->type_count, 1);
	ck_assert_uint_eq(world_frame(d, P0 + 1)->type_count, 0);
	ck_assert_int_eq(set_gdt(pfns, 2, 1024), 0);
	ck_assert_uint_eq(v->traps.gdt_entries, 1024);
}
END_TEST

static const struct {
	uint64_t list, entries;
	int64_t rc;
} gdts[] = {
	{ 0, 0, 0 }, /* nothing to read: an empty table */
	{ 0, 1, -XEN_EFAULT },
	{ WORLD_BASE, 1, -XEN_EINVAL }, /* frame 0 */
	{ WORLD_BASE, 14 * 512, -XEN_EINVAL },
	{ WORLD_BASE, 14 * 512 + 1, -XEN_EINVAL },
	{ UINT64_C(0xffff800000000000), 1, -XEN_EFAULT },
	{ UINT64_MAX, 512, -XEN_EFAULT },
	{ WORLD_BASE, UINT32_MAX, -XEN_EINVAL },
};

START_TEST(set_gdt_believes_nothing)
{
	ck_assert_int_eq(world_call(v, __HYPERVISOR_set_gdt, gdts[_i].list, gdts[_i].entries, 0, 0),
	                 gdts[_i].rc);
}
END_TEST

START_TEST(a_descriptor_is_updated_where_it_may_be)
{
	struct hv_domain *b = world_add(&w);
	uint64_t pfns[1] = { P0 };

	/* In plain memory, and in a table in use. */
	ck_assert_int_eq(
		world_call(v, __HYPERVISOR_update_descriptor, world_ptr(d, P0, 4), DATA, 0, 0), 0);
	ck_assert_uint_eq(world_page(d, P0)[4], DATA);
	ck_assert_int_eq(world_protect(v, P0, RO), 0);
	ck_assert_int_eq(set_gdt(pfns, 1, 512), 0);
	ck_assert_int_eq(world_call(v, __HYPERVISOR_update_descriptor, world_ptr(d, P0, 5),
	                            0x00af9b000000ffff, 0, 0),
	                 0);
	ck_assert_uint_eq(world_page(d, P0)[5], CODE64);
	ck_assert_int_eq(world_call(v, __HYPERVISOR_update_descriptor, world_ptr(d, P0, 5),
	                            0x00008900000000ff, 0, 0),
	                 -XEN_EINVAL);
	ck_assert_int_eq(
		world_call(v, __HYPERVISOR_update_descriptor, world_ptr(d, P0, 5) + 4, DATA, 0, 0),
		-XEN_EINVAL);
	ck_assert_int_eq(world_call(v, __HYPERVISOR_update_descriptor, world_ptr(d, world_l1(0), 5),
	                            DATA, 0, 0),
	                 -XEN_EINVAL);
	ck_assert_int_eq(
		world_call(v, __HYPERVISOR_update_descriptor, world_ptr(b, P0, 5), DATA, 0, 0),
		-XEN_EINVAL);
	ck_assert_int_eq(world_call(v, __HYPERVISOR_update_descriptor, 8, DATA, 0, 0), -XEN_EINVAL);
	ck_assert_uint_eq(world_page(d, P0)[5], CODE64);
}
END_TEST

static const struct {
	uint64_t base;
	unsigned entries;
	int64_t rc;
} ldts[] = {
	{ WORLD_BASE + (WORLD_FREE << 12), 3, 0 },
	{ WORLD_BASE + 1, 3, -XEN_EINVAL },
	{ WORLD_BASE, 8192, 0 },
	{ WORLD_BASE, 8193, -XEN_EINVAL },
	{ UINT64_C(0xffff800000000000), 1, -XEN_EINVAL },
	{ UINT64_C(0x0000800000000000), 1, -XEN_EINVAL },
	{ UINT64_C(0xffff800000000001), 0, 0 }, /* none: the address does not count */
};

START_TEST(an_ldt_is_page_aligned_and_not_too_long)
{
	ck_assert_int_eq(world_ext(v, MMUEXT_SET_LDT, ldts[_i].base, ldts[_i].entries),
	                 ldts[_i].rc);
	if (!ldts[_i].rc)
		ck_assert_uint_eq(v->traps.ldt_entries, ldts[_i].entries);
}
END_TEST

START_TEST(ldt_descriptors_are_checked_when_they_are_used)
{
	uint64_t desc = 0;

	world_page(d, P0)[0] = 0x00cf93000000ffff;
	world_page(d, P0)[1] = 0x00008900000000ff;
	ck_assert_int_eq(world_ext(v, MMUEXT_SET_LDT, world_va(P0), 1024), 0);
	ck_assert_int_eq(hv_descriptor_read(v, 0 << 3 | 7, &desc), 0);
	ck_assert_uint_eq(desc, DATA);
	ck_assert_int_eq(hv_descriptor_read(v, 1 << 3 | 7, &desc), -XEN_EINVAL);
	ck_assert_int_eq(world_protect(v, P0 + 1, 0), 0);
	ck_assert_int_eq(hv_descriptor_read(v, 512 << 3 | 7, &desc), -XEN_EFAULT);
	ck_assert_int_eq(hv_descriptor_read(v, 1024 << 3 | 7, &desc), -XEN_EINVAL);
}
END_TEST

Suite *descr_suite(void);
Suite *descr_suite(void)
{
	Suite *s = suite_create("descr");
	TCase *normal = tcase_create("normal"), *limits = tcase_create("limits");
	TCase *hostile = tcase_create("hostile");

	tcase_add_checked_fixture(normal, setup, teardown);
	tcase_add_checked_fixture(limits, setup, teardown);
	tcase_add_checked_fixture(hostile, setup, teardown);
	tcase_add_test(normal, a_gdt_is_checked_kept_and_given_back);
	tcase_add_test(normal, a_refused_gdt_leaves_the_old_one);
	tcase_add_test(normal, a_descriptor_is_updated_where_it_may_be);
	tcase_add_test(normal, ldt_descriptors_are_checked_when_they_are_used);
	tcase_add_loop_test(limits, descriptors_become_harmless_or_are_refused, 0,
	                    ARRAY_LEN(descs));
	tcase_add_loop_test(limits, an_ldt_is_page_aligned_and_not_too_long, 0, ARRAY_LEN(ldts));
	tcase_add_loop_test(hostile, set_gdt_believes_nothing, 0, ARRAY_LEN(gdts));
	suite_add_tcase(s, normal);
	suite_add_tcase(s, limits);
	suite_add_tcase(s, hostile);
	return s;
}
