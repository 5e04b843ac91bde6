/* SPDX-License-Identifier: MIT */
/*
 * What --trace and --stats print (toolstack/trace.c, stats.c).
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi/errno.h"
#include "abi/memory.h"
#include "abi/sched.h"
#include "hypervisor-stub/toolstack/stats.h"
#include "hypervisor-stub/toolstack/trace.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* ---- normal ---- */

static const struct {
	uint64_t nr, a[6];
	int64_t result;
	const char *text;
} lines[] = {
	{ __HYPERVISOR_sched_op,
	  { SCHEDOP_shutdown, 0x1000 },
	  0,
	  "sched_op(SCHEDOP_shutdown, 0x1000) = 0" },
	{ __HYPERVISOR_memory_op,
	  { XENMEM_populate_physmap, 0xabcdef },
	  3,
	  "memory_op(XENMEM_populate_physmap, 0xabcdef) = 3" },
	{ __HYPERVISOR_memory_op, { 99, 5 }, -XEN_ENOSYS, "memory_op(0x63, 5) = -XEN_ENOSYS" },
	{ __HYPERVISOR_iret, { 1, 2, 3 }, 0, "iret() = 0" },
	{ __HYPERVISOR_update_va_mapping,
	  { UINT64_MAX, 0, 2 },
	  -XEN_EINVAL,
	  "update_va_mapping(0xffffffffffffffff, 0, 2) = -XEN_EINVAL" },
	{ 62, { 1 }, -XEN_ENOSYS, "hypercall 62() = -XEN_ENOSYS" },
	{ UINT64_MAX, { 1 }, -XEN_ENOSYS, "hypercall 18446744073709551615() = -XEN_ENOSYS" },
	{ __HYPERVISOR_vm_assist, { 0, 2 }, -777, "vm_assist(VMASST_CMD_enable, 2) = -777" },
	{ __HYPERVISOR_vm_assist,
	  { 0, 2 },
	  INT64_MIN,
	  "vm_assist(VMASST_CMD_enable, 2) = -9223372036854775808" },
};

START_TEST(a_call_is_printed_with_names_arguments_and_result)
{
	char text[200];
	size_t n = trace_format(text, sizeof(text), lines[_i].nr, lines[_i].a, lines[_i].result,
	                        false);

	ck_assert_str_eq(text, lines[_i].text);
	ck_assert_uint_eq(n, strlen(text));
}
END_TEST

START_TEST(failures_stand_out_where_colours_are_welcome)
{
	const uint64_t a[6] = { 0 };
	char text[200];

	trace_format(text, sizeof(text), __HYPERVISOR_iret, a, -XEN_EPERM, true);
	ck_assert_str_eq(text, "iret() = \x1b[31m-XEN_EPERM\x1b[0m");
	trace_format(text, sizeof(text), __HYPERVISOR_iret, a, 0, true);
	ck_assert_ptr_null(strchr(text, '\x1b'));
}
END_TEST

static char *printed(const struct stats *s)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	stats_print(s, f);
	fclose(f);
	return text;
}

START_TEST(statistics_are_sorted_by_time_and_added_up)
{
	static struct stats s;
	char *text;

	stats_hypercall(&s, __HYPERVISOR_sched_op, 1000);
	stats_hypercall(&s, __HYPERVISOR_sched_op, 2000);
	stats_hypercall(&s, __HYPERVISOR_memory_op, 5000000);
	stats_hypercall(&s, 63, 10);
	stats_hypercall(&s, UINT64_MAX, 10);
	s.in_place[__HYPERVISOR_iret] = 42;
	stats_exception(&s, 14);
	stats_happened(&s, HV_TRACED_KICK);
	s.figure[0].name = "of the engine";
	s.figure[0].n = 7;
	s.figure[1].name = "never";
	text = printed(&s);
	ck_assert_ptr_nonnull(strstr(text, "of the engine                             7\n"));
	ck_assert_ptr_null(strstr(text, "never"));
	ck_assert_ptr_nonnull(strstr(text, "memory_op                                 1            "
	                                   "0        5.000   5000.000\n"));
	ck_assert_ptr_nonnull(strstr(text, "sched_op                                  2            "
	                                   "0        0.003      1.500\n"));
	ck_assert_ptr_nonnull(strstr(text, "iret                                      0           "
	                                   "42        0.000      0.000\n"));
	ck_assert_ptr_nonnull(strstr(text, "(unknown)                                 2 "));
	ck_assert_ptr_nonnull(strstr(
		text, "all                                       5           42        5.003"));
	ck_assert_ptr_nonnull(strstr(text, "#PF                                       1\n"));
	ck_assert_ptr_nonnull(strstr(text, "kicks                                     1\n"));
	ck_assert(strstr(text, "memory_op") < strstr(text, "sched_op"));
	ck_assert(strstr(text, "sched_op") < strstr(text, "(unknown)"));
	free(text);
}
END_TEST

/* ---- limits ---- */

START_TEST(a_line_is_cut_and_never_overrun)
{
	const uint64_t a[6] = { UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, 0, 0 };
	char text[200];

	for (size_t size = 1; size < 80; size++) {
		memset(text, 'x', sizeof(text));
		trace_format(text, size, __HYPERVISOR_mmu_update, a, -XEN_EFAULT, true);
		ck_assert_uint_lt(strnlen(text, size), size);
		ck_assert_int_eq(text[size], 'x');
	}
}
END_TEST

START_TEST(a_guest_that_asked_for_nothing_has_a_table_too)
{
	static struct stats s;
	char *text = printed(&s);

	ck_assert_ptr_nonnull(strstr(text, "all                                       0"));
	free(text);
}
END_TEST

/* ---- hostile ---- */

START_TEST(every_number_and_vector_has_a_place)
{
	static struct stats s;

	for (uint64_t nr = 0; nr < 300; nr++)
		stats_hypercall(&s, nr, 1);
	for (unsigned v = 0; v < 256; v++)
		stats_exception(&s, (uint8_t)v);
	free(printed(&s));
}
END_TEST

Suite *trace_suite(void);
Suite *trace_suite(void)
{
	Suite *s = suite_create("trace");
	TCase *normal = tcase_create("normal"), *limits = tcase_create("limits"),
	      *hostile = tcase_create("hostile");

	tcase_add_loop_test(normal, a_call_is_printed_with_names_arguments_and_result, 0,
	                    ARRAY_LEN(lines));
	tcase_add_test(normal, failures_stand_out_where_colours_are_welcome);
	tcase_add_test(normal, statistics_are_sorted_by_time_and_added_up);
	suite_add_tcase(s, normal);

	tcase_add_test(limits, a_line_is_cut_and_never_overrun);
	tcase_add_test(limits, a_guest_that_asked_for_nothing_has_a_table_too);
	suite_add_tcase(s, limits);

	tcase_add_test(hostile, every_number_and_vector_has_a_place);
	suite_add_tcase(s, hostile);
	return s;
}
