/* SPDX-License-Identifier: MIT */
/*
 * Multicall (core/hypercall.c): each entry has its own result.
 */
#include <check.h>
#include <string.h>

#include "abi/errno.h"
#include "abi/version.h"
#include "tests/fake/fake_vcpu.h"

#define LIST FAKE_VA

static struct fake_guest g;
static struct hv_vcpu *v;

static void setup(void)
{
	fake_guest_make(&g, 1);
	v = g.v;
}

static void teardown(void)
{
	fake_guest_destroy(&g);
}

static struct multicall_entry *entry(unsigned i)
{
	return fake_ptr(&g, LIST + i * sizeof(struct multicall_entry));
}

static void put(unsigned i, uint64_t op, uint64_t a0, uint64_t a1)
{
	*entry(i) = (struct multicall_entry){ .op = op, .result = 0x5555, .args = { a0, a1 } };
}

static int64_t multicall(uint64_t list, uint64_t count)
{
	return fake_call(v, __HYPERVISOR_multicall, list, count, 0);
}

/* ---- normal ---- */

START_TEST(each_entry_is_done_and_has_its_own_result)
{
	put(0, __HYPERVISOR_xen_version, XENVER_version, 0);
	put(1, __HYPERVISOR_stack_switch, 0xe02b, 0x7000);
	put(2, 11, 0, 0);
	put(3, __HYPERVISOR_vm_assist, VMASST_CMD_enable, 99);
	put(4, __HYPERVISOR_xen_version, XENVER_pagesize, 0);
	ck_assert_int_eq(multicall(LIST, 5), 0);
	ck_assert_uint_eq(entry(0)->result, 4 << 16 | 17);
	ck_assert_uint_eq(entry(1)->result, 0);
	ck_assert_int_eq((int64_t)entry(2)->result, -XEN_ENOSYS);
	ck_assert_int_eq((int64_t)entry(3)->result, -XEN_EINVAL);
	ck_assert_uint_eq(entry(4)->result, 4096);
	ck_assert_uint_eq(v->traps.kernel_sp, 0x7000);
}
END_TEST

START_TEST(entries_may_cross_pages)
{
	for (unsigned i = 0; i < 128; i++)
		put(i, __HYPERVISOR_xen_version, XENVER_version, 0);
	ck_assert_int_eq(multicall(LIST, 128), 0);
	for (unsigned i = 0; i < 128; i++)
		ck_assert_uint_eq(entry(i)->result, 4 << 16 | 17);
}
END_TEST

START_TEST(an_iret_ends_the_list)
{
	const struct iret_context c = { .rax = 77, .rip = 0x1000, .cs = 0xe030, .rflags = 0x202 };

	memcpy(fake_ptr(&g, FAKE_VA + 0x8000), &c, sizeof(c));
	v->regs.rsp = FAKE_VA + 0x8000;
	put(0, __HYPERVISOR_iret, 0, 0);
	put(1, __HYPERVISOR_stack_switch, 0, 0x7000);
	ck_assert_int_eq(multicall(LIST, 2), 77);
	ck_assert_uint_eq(v->regs.rip, 0x1000);
	ck_assert_uint_ne(v->traps.kernel_sp, 0x7000);
}
END_TEST

/* ---- limits ---- */

START_TEST(an_empty_list_is_fine_outside_of_the_hypervisors_space)
{
	ck_assert_int_eq(multicall(0x1000, 0), 0);
	ck_assert_int_eq(multicall(UINT64_C(0xffff800000000000), 0), -XEN_EFAULT);
	ck_assert_int_eq(multicall(LIST, UINT64_C(0x100000000)), 0); /* the count has 32 bits */
}
END_TEST

START_TEST(a_list_that_runs_out_of_memory_is_done_up_to_there)
{
	const unsigned last = FAKE_PAGES * 4096 / sizeof(struct multicall_entry) - 1;
	uint64_t va = LIST + last * sizeof(struct multicall_entry);

	put(last, __HYPERVISOR_stack_switch, 0, 0x7000);
	ck_assert_int_eq(multicall(va, UINT32_MAX), -XEN_EFAULT);
	ck_assert_uint_eq(entry(last)->result, 0);
	ck_assert_uint_eq(v->traps.kernel_sp, 0x7000);
}
END_TEST

/* ---- hostile ---- */

START_TEST(a_multicall_in_a_multicall_is_refused)
{
	put(0, __HYPERVISOR_multicall, LIST, 2);
	put(1, __HYPERVISOR_xen_version, XENVER_version, 0);
	ck_assert_int_eq(multicall(LIST, 2), 0);
	ck_assert_int_eq((int64_t)entry(0)->result, -XEN_EINVAL);
	ck_assert_uint_eq(entry(1)->result, 4 << 16 | 17);
}
END_TEST

START_TEST(bad_lists_are_efault)
{
	ck_assert_int_eq(multicall(0x1000, 1), -XEN_EFAULT);
	ck_assert_int_eq(multicall(UINT64_MAX - 63, 3), -XEN_EFAULT);
	ck_assert_int_eq(multicall(UINT64_C(0xffff800000000000), 1), -XEN_EFAULT);
}
END_TEST

START_TEST(a_list_that_cannot_be_written_is_efault_after_the_first)
{
	/* The L1 table is readable; its entries make operations that do not exist. */
	ck_assert_int_eq(multicall(fake_l1_va(), 4), -XEN_EFAULT);
}
END_TEST

START_TEST(the_end_of_the_domain_ends_the_list)
{
	struct sched_shutdown *s = fake_ptr(&g, FAKE_VA + 0x8000);

	s->reason = SHUTDOWN_reboot;
	put(0, __HYPERVISOR_sched_op, SCHEDOP_shutdown, FAKE_VA + 0x8000);
	put(1, __HYPERVISOR_stack_switch, 0, 0x7000);
	ck_assert_int_eq(multicall(LIST, 2), 0);
	ck_assert_int_eq(g.d->end.reason, SHUTDOWN_reboot);
	ck_assert_uint_ne(v->traps.kernel_sp, 0x7000);
}
END_TEST

Suite *multicall_suite(void);
Suite *multicall_suite(void)
{
	Suite *s = suite_create("multicall");
	TCase *tc = tcase_create("normal");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, each_entry_is_done_and_has_its_own_result);
	tcase_add_test(tc, entries_may_cross_pages);
	tcase_add_test(tc, an_iret_ends_the_list);
	suite_add_tcase(s, tc);

	tc = tcase_create("limits");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, an_empty_list_is_fine_outside_of_the_hypervisors_space);
	tcase_add_test(tc, a_list_that_runs_out_of_memory_is_done_up_to_there);
	suite_add_tcase(s, tc);

	tc = tcase_create("hostile");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_multicall_in_a_multicall_is_refused);
	tcase_add_test(tc, bad_lists_are_efault);
	tcase_add_test(tc, a_list_that_cannot_be_written_is_efault_after_the_first);
	tcase_add_test(tc, the_end_of_the_domain_ends_the_list);
	suite_add_tcase(s, tc);
	return s;
}
