/* SPDX-License-Identifier: MIT */
/*
 * The hypercall table and its dispatcher (core/hypercall.c), and the calls that a domain without
 * devices and privilege is mostly refused (core/misc.c, core/console.c).
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "abi/errno.h"
#include "abi/physdev.h"
#include "hypervisor-stub/core/console.h"
#include "hypervisor-stub/core/hypercall.h"
#include "tests/fake/fake_vcpu.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

static struct fake_guest g;
static struct hv_vcpu *v;

static char shown[4096];
static size_t shown_len;

static void sink(void *arg, struct hv_domain *d, const char *text, size_t len)
{
	ck_assert_ptr_eq(arg, shown);
	ck_assert_ptr_eq(d, g.d);
	ck_assert_uint_le(shown_len + len, sizeof(shown));
	memcpy(shown + shown_len, text, len);
	shown_len += len;
}

static void setup(void)
{
	fake_guest_make(&g, 1);
	v = g.v;
	shown_len = 0;
	hv_console_set_sink(sink, shown);
}

static void teardown(void)
{
	fake_guest_destroy(&g);
}

/* ---- normal: the table ---- */

START_TEST(every_row_has_a_name_of_its_own_and_a_handler_or_a_refusal)
{
	for (unsigned i = 0; i < HV_NR_HYPERCALLS; i++) {
		const struct hv_hypercall *h = hv_hypercall_lookup(i);

		if (!h)
			continue;
		ck_assert(h->fn != NULL || (h->flags & HV_HC_PRIVILEGED));
		ck_assert_uint_le(h->nr_args, 6);
		for (unsigned j = 0; j < i; j++) {
			const struct hv_hypercall *other = hv_hypercall_lookup(j);

			ck_assert(!other || strcmp(h->name, other->name) != 0);
		}
	}
	ck_assert_str_eq(hv_hypercall_lookup(__HYPERVISOR_sched_op)->name, "sched_op");
}
END_TEST

static const struct {
	uint64_t nr;
	int rc;
} refused[] = {
	{ 11, -XEN_ENOSYS },
	{ 43, -XEN_ENOSYS },
	{ 63, -XEN_ENOSYS },
	{ 64, -XEN_ENOSYS },
	{ UINT64_MAX, -XEN_ENOSYS },
	{ UINT64_C(0x10000001d), -XEN_ENOSYS }, /* all 64 bits count */
	{ __HYPERVISOR_xsm_op, -XEN_ENOSYS },
	{ __HYPERVISOR_tmem_op, -XEN_ENOSYS },
	{ __HYPERVISOR_kexec_op, -XEN_EPERM },
	{ __HYPERVISOR_argo_op, -XEN_ENOSYS },
	{ __HYPERVISOR_xenpmu_op, -XEN_EOPNOTSUPP },
	{ __HYPERVISOR_hypfs_op, -XEN_EPERM },
	{ __HYPERVISOR_arch_0, -XEN_EPERM },
	{ __HYPERVISOR_arch_1, -XEN_EFAULT },
	{ __HYPERVISOR_arch_2, -XEN_ENOSYS },
	{ __HYPERVISOR_sysctl, -XEN_EFAULT },
	{ __HYPERVISOR_domctl, -XEN_EFAULT },
	{ __HYPERVISOR_platform_op, -XEN_EFAULT },
	{ __HYPERVISOR_dm_op, -XEN_ENODATA },
	{ __HYPERVISOR_xenoprof_op, -XEN_EFAULT },
};

START_TEST(unknown_and_privileged_calls_are_refused_without_effect)
{
	struct hv_regs before, after;

	v->regs.rbx = 0x1234;
	before = v->regs;
	ck_assert_int_eq(fake_call(v, refused[_i].nr, 0, 0, 0), refused[_i].rc);
	after = v->regs;
	after.rax = before.rax;
	after.rdi = before.rdi;
	after.rsi = before.rsi;
	after.rdx = before.rdx;
	ck_assert_mem_eq(&after, &before, sizeof(after));
}
END_TEST

/* ---- tracing ---- */

static struct {
	unsigned count;
	uint64_t nr, a0;
	int64_t result;
} traced;

static void trace(void *arg, struct hv_vcpu *who, uint64_t nr, const uint64_t *a, int64_t result,
                  uint64_t ns)
{
	ck_assert_ptr_eq(arg, &traced);
	ck_assert_ptr_eq(who, v);
	ck_assert_uint_lt(ns, UINT64_C(10000000000));
	traced.count++;
	traced.nr = nr;
	traced.a0 = a[0];
	traced.result = result;
}

START_TEST(the_tracer_sees_number_arguments_and_result)
{
	const struct hv_tracer t = { .hypercall = trace, .arg = &traced };

	memset(&traced, 0, sizeof(traced));
	g.m->tracer = &t;
	fake_call(v, __HYPERVISOR_vm_assist, VMASST_CMD_enable, 99, 0);
	ck_assert_uint_eq(traced.count, 1);
	ck_assert_uint_eq(traced.nr, __HYPERVISOR_vm_assist);
	ck_assert_uint_eq(traced.a0, VMASST_CMD_enable);
	ck_assert_int_eq(traced.result, -XEN_EINVAL);
	fake_call(v, 11, 0, 0, 0);
	ck_assert_uint_eq(traced.count, 2);
	ck_assert_int_eq(traced.result, -XEN_ENOSYS);
	g.m->tracer = NULL;
}
END_TEST

/* ---- the emergency console ---- */

static int64_t write_text(const char *text, size_t len)
{
	memcpy(fake_ptr(&g, FAKE_VA), text, len);
	return fake_call(v, __HYPERVISOR_console_io, CONSOLEIO_write, len, FAKE_VA);
}

START_TEST(the_console_gathers_lines_and_drops_what_is_not_printable)
{
	ck_assert_int_eq(write_text("one\ntw", 6), 0);
	ck_assert_uint_eq(shown_len, 4);
	ck_assert_mem_eq(shown, "one\n", 4);
	ck_assert_int_eq(write_text("\x1b[1mo\x07\t\r\n", 9), 0);
	ck_assert_uint_eq(shown_len, 4 + 8);
	ck_assert_mem_eq(shown + 4, "tw[1mo\t\n", 8);
}
END_TEST

START_TEST(a_line_without_end_is_cut)
{
	char text[1000];

	memset(text, 'x', sizeof(text));
	ck_assert_int_eq(write_text(text, sizeof(text)), 0);
	ck_assert_uint_eq(shown_len, 3 * 256);
	for (unsigned i = 1; i <= 3; i++)
		ck_assert_int_eq(shown[i * 256 - 1], '\n');
	/* What is left comes at the end of the domain. */
	hv_console_flush(g.d);
	ck_assert_uint_eq(shown_len, 3 * 256 + 1000 - 3 * 255 + 1);
	hv_console_flush(g.d);
	ck_assert_uint_eq(shown_len, 3 * 256 + 1000 - 3 * 255 + 1);
}
END_TEST

START_TEST(console_errors)
{
	ck_assert_int_eq(fake_call(v, __HYPERVISOR_console_io, CONSOLEIO_write, 5, 0x1000),
	                 -XEN_EFAULT);
	ck_assert_int_eq(fake_call(v, __HYPERVISOR_console_io, CONSOLEIO_write, UINT32_MAX,
	                           FAKE_VA + FAKE_PAGES * 4096 - 100),
	                 -XEN_EFAULT);
	ck_assert_int_eq(fake_call(v, __HYPERVISOR_console_io, CONSOLEIO_read, 5, FAKE_VA),
	                 -XEN_EPERM);
	ck_assert_int_eq(fake_call(v, __HYPERVISOR_console_io, 7, 5, FAKE_VA), -XEN_EPERM);
	ck_assert_int_eq(fake_call(v, __HYPERVISOR_console_io, CONSOLEIO_write, 0, 0x1000), 0);
}
END_TEST

/* ---- limits: misc ---- */

static const struct {
	uint32_t cmd, type;
	int rc;
} assists[] = {
	{ VMASST_CMD_enable, VMASST_TYPE_4gb_segments, 0 },
	{ VMASST_CMD_enable, VMASST_TYPE_writable_pagetables, 0 },
	{ VMASST_CMD_enable, VMASST_TYPE_pae_extended_cr3, 0 },
	{ VMASST_CMD_enable, VMASST_TYPE_runstate_update_flag, 0 },
	{ VMASST_CMD_enable, VMASST_TYPE_m2p_strict, 0 },
	{ VMASST_CMD_disable, VMASST_TYPE_architectural_iopl, 0 },
	{ VMASST_CMD_enable, 6, -XEN_EINVAL },
	{ VMASST_CMD_enable, 31, -XEN_EINVAL },
	{ VMASST_CMD_enable, 33, -XEN_EINVAL },
	{ VMASST_CMD_enable, 64, -XEN_EINVAL },
	{ VMASST_CMD_enable, UINT32_MAX, -XEN_EINVAL },
	{ 2, VMASST_TYPE_4gb_segments, -XEN_ENOSYS },
};

START_TEST(assists_are_switched_or_refused)
{
	uint64_t before = g.d->vm_assist;

	ck_assert_int_eq(fake_call(v, __HYPERVISOR_vm_assist, assists[_i].cmd, assists[_i].type, 0),
	                 assists[_i].rc);
	if (assists[_i].rc)
		ck_assert_uint_eq(g.d->vm_assist, before);
	else
		ck_assert_uint_eq(g.d->vm_assist >> assists[_i].type & 1,
		                  assists[_i].cmd == VMASST_CMD_enable);
}
END_TEST

START_TEST(io_privilege_is_kept)
{
	struct physdev_set_iopl s = { 3 };
	struct physdev_set_iobitmap b = { .nr_ports = 65536 };

	ck_assert_int_eq(
		fake_call_with(v, __HYPERVISOR_physdev_op, PHYSDEVOP_set_iopl, &s, sizeof(s)), 0);
	ck_assert_uint_eq(v->traps.iopl, 3);
	s.iopl = 4;
	ck_assert_int_eq(
		fake_call_with(v, __HYPERVISOR_physdev_op, PHYSDEVOP_set_iopl, &s, sizeof(s)),
		-XEN_EINVAL);
	ck_assert_uint_eq(v->traps.iopl, 3);
	ck_assert_int_eq(
		fake_call_with(v, __HYPERVISOR_physdev_op, PHYSDEVOP_set_iobitmap, &b, sizeof(b)),
		0);
	b.nr_ports = 65537;
	ck_assert_int_eq(
		fake_call_with(v, __HYPERVISOR_physdev_op, PHYSDEVOP_set_iobitmap, &b, sizeof(b)),
		-XEN_EINVAL);
}
END_TEST

/* ---- hostile ---- */

START_TEST(arguments_that_cannot_be_read_are_efault)
{
	static const struct {
		uint64_t nr, a0;
	} calls[] = {
		{ __HYPERVISOR_physdev_op, PHYSDEVOP_set_iopl },
		{ __HYPERVISOR_physdev_op, PHYSDEVOP_irq_status_query },
		{ __HYPERVISOR_physdev_op, PHYSDEVOP_eoi },
		{ __HYPERVISOR_callback_op, 0 },
		{ __HYPERVISOR_sched_op, SCHEDOP_poll },
		{ __HYPERVISOR_sched_op, SCHEDOP_shutdown },
		{ __HYPERVISOR_sched_op, SCHEDOP_watchdog },
		{ __HYPERVISOR_sched_op, SCHEDOP_remote_shutdown },
	};

	for (unsigned i = 0; i < ARRAY_LEN(calls); i++)
		ck_assert_int_eq(fake_call(v, calls[i].nr, calls[i].a0, 0x1000, 0), -XEN_EFAULT);
	ck_assert(!atomic_load(&g.d->ending));
}
END_TEST

START_TEST(any_number_with_any_arguments_has_an_answer)
{
	static const uint64_t values[] = { 0,
		                           1,
		                           FAKE_VA,
		                           FAKE_VA + 4095,
		                           0x1000,
		                           UINT32_MAX,
		                           UINT64_C(0x8000000000000000),
		                           UINT64_C(0xffff800000000000),
		                           UINT64_MAX };

	srand(1);
	for (unsigned i = 0; i < 20000; i++) {
		uint64_t a[3];

		for (unsigned j = 0; j < 3; j++)
			a[j] = rand() % 2 ? values[(unsigned)rand() % ARRAY_LEN(values)]
			                  : (unsigned)rand() % 40;
		fake_call(v, (unsigned)rand() % 66, a[0], a[1], a[2]);
		/*
		 * Some of them end the domain or put the vCPU to sleep; the next does not care. One
		 * that starts the vCPU's own thread takes it out of our hands.
		 */
		if (atomic_load(&g.d->ending) || v->has_thread) {
			teardown();
			setup();
		}
		atomic_store(&v->sched.blocked, false);
		v->in_kernel = true;
	}
}
END_TEST

Suite *hypercall_suite(void);
Suite *hypercall_suite(void)
{
	Suite *s = suite_create("hypercall");
	TCase *tc = tcase_create("normal");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, every_row_has_a_name_of_its_own_and_a_handler_or_a_refusal);
	tcase_add_loop_test(tc, unknown_and_privileged_calls_are_refused_without_effect, 0,
	                    ARRAY_LEN(refused));
	tcase_add_test(tc, the_tracer_sees_number_arguments_and_result);
	tcase_add_test(tc, the_console_gathers_lines_and_drops_what_is_not_printable);
	suite_add_tcase(s, tc);

	tc = tcase_create("limits");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_line_without_end_is_cut);
	tcase_add_test(tc, console_errors);
	tcase_add_loop_test(tc, assists_are_switched_or_refused, 0, ARRAY_LEN(assists));
	tcase_add_test(tc, io_privilege_is_kept);
	suite_add_tcase(s, tc);

	tc = tcase_create("hostile");
	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, arguments_that_cannot_be_read_are_efault);
	tcase_add_test(tc, any_number_with_any_arguments_has_an_answer);
	suite_add_tcase(s, tc);
	return s;
}
