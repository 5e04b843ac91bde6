/* SPDX-License-Identifier: MIT */
/*
 * Entering and leaving the guest's kernel (core/traps.c, core/exits.c): frames word by word, as
 * Xen's create_bounce_frame leaves them, and what the registers are afterwards.
 */
#include <check.h>
#include <string.h>

#include "abi/callback.h"
#include "abi/errno.h"
#include "abi/nmi.h"
#include "hypervisor-stub/core/exits.h"
#include "tests/fake/fake_vcpu.h"

#define ARRAY_LEN(a)  (sizeof(a) / sizeof((a)[0]))
#define NON_CANONICAL UINT64_C(0x8000000000000000)

enum { DE = 0, DB = 1, UD = 6, SS = 12, GP = 13, PF = 14, AC = 17 };

static struct fake_guest g;
static struct hv_vcpu *v;

static void setup(void)
{
	fake_guest_make(&g, 2);
	v = g.v;
	v->info->evtchn_upcall_mask = 0;
	v->regs.rcx = 0xc1;
	v->regs.r11 = 0x11;
}

static void teardown(void)
{
	fake_guest_destroy(&g);
}

static void to_user_mode(void)
{
	v->in_kernel = false;
	v->regs.cs = 0x33;
	v->regs.ss = 0x2b;
	v->regs.rip = 0x400123;
	v->regs.rsp = 0x7ff0;
}

static uint64_t word(uint64_t va)
{
	uint64_t w;

	memcpy(&w, fake_ptr(&g, va), sizeof(w));
	return w;
}

static void check_frame(const uint64_t *expected, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		ck_assert_msg(word(v->regs.rsp + i * 8) == expected[i], "word %u is %#lx, not %#lx",
		              i, (long)word(v->regs.rsp + i * 8), (long)expected[i]);
}

static struct hv_exit exception(uint8_t vector, uint32_t error_code, uint64_t cr2)
{
	return (struct hv_exit){
		.kind = HV_EXIT_EXCEPTION, .vector = vector, .error_code = error_code, .cr2 = cr2
	};
}

/* ---- normal ---- */

START_TEST(an_exception_in_the_kernel_lands_below_its_own_stack)
{
	uint64_t rsp = v->regs.rsp, rip = v->regs.rip;
	const uint64_t frame[] = { 0xc1,          0x11,
		                   rip,           FLAT_KERNEL_CS & ~3u, /* no RPL; the mask was 0 */
		                   0x202,         rsp,
		                   FLAT_KERNEL_SS };

	hv_traps_exception(v, UD, 99, 0);
	/* The top is rounded down to 16 bytes, then seven words. */
	ck_assert_uint_eq(v->regs.rsp, (rsp & ~UINT64_C(15)) - 56);
	check_frame(frame, ARRAY_LEN(frame));
	ck_assert_uint_eq(v->regs.rip, FAKE_HANDLER(UD));
	ck_assert_uint_eq(v->regs.cs, FLAT_KERNEL_CS);
	ck_assert_uint_eq(v->regs.ss, FLAT_KERNEL_SS);
	ck_assert(v->in_kernel);
	ck_assert_uint_eq(v->info->evtchn_upcall_mask, 0);
}
END_TEST

START_TEST(an_exception_in_user_mode_lands_on_the_kernels_stack)
{
	const uint64_t frame[] = { 0xc1, 0x11, 0x1234, 0x400123, 0x33, 0x202, 0x7ff0, 0x2b };

	to_user_mode();
	hv_traps_exception(v, GP, 0x1234, 0);
	ck_assert_uint_eq(v->regs.rsp, FAKE_STACK - 64);
	check_frame(frame, ARRAY_LEN(frame));
	ck_assert(v->in_kernel);
	ck_assert_uint_eq(v->regs.rip, FAKE_HANDLER(GP));
}
END_TEST

START_TEST(the_event_mask_is_in_the_frame_and_in_if)
{
	v->info->evtchn_upcall_mask = 1;
	hv_traps_exception(v, DE, 0, 0);
	ck_assert_uint_eq(word(v->regs.rsp + 24), (FLAT_KERNEL_CS & ~3u) | UINT64_C(1) << 32);
	ck_assert_uint_eq(word(v->regs.rsp + 32), 0x002);
	ck_assert_uint_eq(v->info->evtchn_upcall_mask, 1);
}
END_TEST

START_TEST(a_trap_that_says_so_masks_events)
{
	TI_SET_IF(&v->traps.trap[DE], 1);
	hv_traps_exception(v, DE, 0, 0);
	ck_assert_uint_eq(word(v->regs.rsp + 24), FLAT_KERNEL_CS & ~3u);
	ck_assert_uint_eq(word(v->regs.rsp + 32), 0x202);
	ck_assert_uint_eq(v->info->evtchn_upcall_mask, 1);
}
END_TEST

START_TEST(flags_of_the_interrupted_code_are_cleared_as_by_a_trap)
{
	v->regs.rflags = 0x202 | X86_FLAG_TF | X86_FLAG_NT | X86_FLAG_RF | X86_FLAG_AC |
	                 X86_FLAG_DF | X86_FLAG_CF;
	hv_traps_exception(v, DE, 0, 0);
	ck_assert_uint_eq(word(v->regs.rsp + 32), 0x202 | X86_FLAG_TF | X86_FLAG_NT | X86_FLAG_RF |
	                                                  X86_FLAG_AC | X86_FLAG_DF | X86_FLAG_CF);
	ck_assert_uint_eq(v->regs.rflags, 0x202 | X86_FLAG_DF | X86_FLAG_CF);
}
END_TEST

START_TEST(iopl_is_shown_when_it_means_something)
{
	v->traps.iopl = 1;
	hv_traps_exception(v, DE, 0, 0);
	ck_assert_uint_eq(word(v->regs.rsp + 32) & X86_FLAG_IOPL, 0);
	g.d->vm_assist |= 1u << VMASST_TYPE_architectural_iopl;
	hv_traps_exception(v, DE, 0, 0);
	ck_assert_uint_eq(word(v->regs.rsp + 32) & X86_FLAG_IOPL, 0x1000);
}
END_TEST

static const struct {
	uint8_t vector;
	bool has_error;
} vectors[] = { { 0, false }, { 1, false }, { 3, false },  { 4, false }, { 5, false },
	        { 6, false }, { 7, false }, { 10, true },  { 11, true }, { 12, true },
	        { 13, true }, { 14, true }, { 16, false }, { 17, true }, { 19, false } };

START_TEST(error_codes_are_pushed_for_those_that_have_one)
{
	uint64_t size = vectors[_i].has_error ? 64 : 56;

	to_user_mode();
	hv_traps_exception(v, vectors[_i].vector, 0x18, 0);
	ck_assert_uint_eq(v->regs.rsp, FAKE_STACK - size);
	ck_assert_uint_eq(v->regs.rip, FAKE_HANDLER(vectors[_i].vector));
}
END_TEST

START_TEST(a_page_fault_tells_where_and_who)
{
	hv_traps_exception(v, PF, 7, 0xdead000);
	ck_assert_uint_eq(v->info->arch.cr2, 0xdead000);
	ck_assert_uint_eq(v->traps.cr2, 0xdead000);
	ck_assert_uint_eq(word(v->regs.rsp + 16), 3); /* the kernel: no user bit */
	to_user_mode();
	hv_traps_exception(v, PF, 3, 0xbeef000);
	ck_assert_uint_eq(word(v->regs.rsp + 16), 7);
}
END_TEST

START_TEST(an_upcall_masks_events_and_comes_only_when_due)
{
	ck_assert(!hv_traps_event(v));
	v->info->evtchn_upcall_pending = 1;
	v->info->evtchn_upcall_mask = 1;
	ck_assert(!hv_traps_event(v));
	v->info->evtchn_upcall_mask = 0;
	ck_assert(hv_traps_event(v));
	ck_assert_uint_eq(v->regs.rip, FAKE_HANDLER(256));
	ck_assert_uint_eq(v->info->evtchn_upcall_mask, 1);
	ck_assert_uint_eq(word(v->regs.rsp + 32), 0x202);
	ck_assert(!hv_traps_event(v));
}
END_TEST

START_TEST(a_system_call_of_user_code_reaches_its_callback)
{
	struct hv_exit exit = { .kind = HV_EXIT_SYSCALL };

	to_user_mode();
	v->regs.rflags |= X86_FLAG_DF;
	v->regs.rax = 39;
	hv_exit_handle(v, &exit);
	ck_assert_uint_eq(v->regs.rip, FAKE_HANDLER(258));
	ck_assert_uint_eq(v->regs.rax, 39);
	ck_assert_uint_eq(v->regs.rsp, FAKE_STACK - 56);
	ck_assert_uint_eq(v->regs.rflags & X86_FLAG_DF, 0);
	ck_assert_uint_eq(v->info->evtchn_upcall_mask, 0);

	to_user_mode();
	v->traps.syscall.masks_events = true;
	hv_exit_handle(v, &exit);
	ck_assert_uint_eq(v->info->evtchn_upcall_mask, 1);
}
END_TEST

START_TEST(a_call_leaves_flat_selectors)
{
	struct hv_exit exit = { .kind = HV_EXIT_SYSCALL };

	v->regs.cs = 9 << 3 | 3; /* of the guest's own table */
	v->regs.rax = __HYPERVISOR_xen_version;
	hv_exit_handle(v, &exit);
	ck_assert_uint_eq(v->regs.cs, FLAT_KERNEL_CS);
	ck_assert_uint_eq(v->regs.ss, FLAT_KERNEL_SS);

	to_user_mode();
	v->regs.cs = 9 << 3 | 3;
	hv_exit_handle(v, &exit);
	ck_assert_uint_eq(word(v->regs.rsp + 24), FLAT_USER_CS64);
	ck_assert_uint_eq(word(v->regs.rsp + 48), FLAT_USER_SS64);

	to_user_mode();
	v->regs.cs = FLAT_USER_CS32;
	hv_exit_handle(v, &exit);
	ck_assert_uint_eq(word(v->regs.rsp + 24), FLAT_USER_CS32);
}
END_TEST

START_TEST(an_nmi_comes_once_and_not_into_its_own_handler)
{
	atomic_store(&v->traps.nmi_pending, true);
	ck_assert(hv_traps_event(v));
	ck_assert_uint_eq(v->regs.rip, FAKE_HANDLER(2));
	atomic_store(&v->traps.nmi_pending, true);
	ck_assert(!hv_traps_event(v));
	v->traps.in_nmi = false; /* as iret leaves it */
	ck_assert(hv_traps_event(v));
}
END_TEST

/* ---- iret ---- */

static void put_iret(uint64_t va, const struct iret_context *c)
{
	memcpy(fake_ptr(&g, va), c, sizeof(*c));
	v->regs.rsp = va;
}

static const struct iret_context to_user = { .rax = 1,
	                                     .r11 = 2,
	                                     .rcx = 3,
	                                     .rip = 0x401000,
	                                     .cs = 0x33,
	                                     .rflags = 0x3246,
	                                     .rsp = 0x8000,
	                                     .ss = 0x2b };

START_TEST(iret_loads_user_mode)
{
	v->info->evtchn_upcall_mask = 1;
	v->traps.in_nmi = true;
	put_iret(FAKE_VA + 64, &to_user);
	ck_assert_int_eq(fake_call(v, __HYPERVISOR_iret, 0, 0, 0), 1);
	ck_assert(!v->in_kernel);
	ck_assert_uint_eq(v->regs.rip, 0x401000);
	ck_assert_uint_eq(v->regs.rsp, 0x8000);
	ck_assert_uint_eq(v->regs.cs, 0x33);
	ck_assert_uint_eq(v->regs.ss, 0x2b);
	ck_assert_uint_eq(v->regs.r11, 2);
	ck_assert_uint_eq(v->regs.rcx, 3);
	ck_assert_uint_eq(v->regs.rflags, 0x246); /* IOPL is virtual */
	ck_assert_uint_eq(v->info->evtchn_upcall_mask, 0);
	ck_assert(!v->traps.in_nmi);
	ck_assert_uint_eq(v->traps.iopl, 0);
}
END_TEST

START_TEST(iret_to_kernel_mode_stays_there_and_masks)
{
	struct iret_context c = to_user;

	c.cs = FLAT_KERNEL_CS & ~3u;
	c.ss = FLAT_KERNEL_SS & ~3u;
	c.rflags = 0x46;
	put_iret(FAKE_VA + 64, &c);
	fake_call(v, __HYPERVISOR_iret, 0, 0, 0);
	ck_assert(v->in_kernel);
	ck_assert_uint_eq(v->regs.cs, FLAT_KERNEL_CS);
	ck_assert_uint_eq(v->regs.ss, FLAT_KERNEL_SS);
	ck_assert_uint_eq(v->regs.rflags, 0x246);
	ck_assert_uint_eq(v->info->evtchn_upcall_mask, 1);
}
END_TEST

START_TEST(iret_from_a_system_call_leaves_rcx_and_r11_as_sysret_does)
{
	struct iret_context c = to_user;

	c.flags = VGCF_in_syscall;
	put_iret(FAKE_VA + 64, &c);
	fake_call(v, __HYPERVISOR_iret, 0, 0, 0);
	ck_assert_uint_eq(v->regs.rcx, 0x401000);
	ck_assert_uint_eq(v->regs.r11, 0x246);
}
END_TEST

START_TEST(iret_of_a_frame_that_we_made_goes_back)
{
	struct hv_regs before;
	uint64_t frame[7];
	struct iret_context c = { 0 };

	to_user_mode();
	before = v->regs;
	hv_traps_exception(v, DE, 0, 0);
	memcpy(frame, fake_ptr(&g, v->regs.rsp), sizeof(frame));
	c.rax = before.rax;
	c.rcx = frame[0];
	c.r11 = frame[1];
	c.rip = frame[2];
	c.cs = (uint16_t)frame[3];
	c.rflags = frame[4];
	c.rsp = frame[5];
	c.ss = frame[6];
	put_iret(FAKE_VA + 64, &c);
	fake_call(v, __HYPERVISOR_iret, 0, 0, 0);
	before.rdi = v->regs.rdi; /* arguments of the call */
	before.rsi = v->regs.rsi;
	before.rdx = v->regs.rdx;
	ck_assert_mem_eq(&v->regs, &before, sizeof(before));
	ck_assert(!v->in_kernel);
}
END_TEST

START_TEST(iret_to_a_wild_address_goes_to_the_failsafe_callback)
{
	struct iret_context c = to_user;

	c.rip = NON_CANONICAL;
	v->regs.ds = 1;
	v->regs.es = 2;
	v->regs.fs = 3;
	v->regs.gs = 4;
	put_iret(FAKE_VA + 64, &c);
	fake_call(v, __HYPERVISOR_iret, 0, 0, 0);
	ck_assert(v->in_kernel);
	ck_assert_uint_eq(v->regs.rip, FAKE_HANDLER(257));
	ck_assert_uint_eq(v->regs.rsp, FAKE_STACK - 88);
	for (unsigned i = 0; i < 4; i++) /* ds, es, fs, gs between r11 and rip */
		ck_assert_uint_eq(word(v->regs.rsp + 16 + i * 8), i + 1);
	ck_assert_uint_eq(word(v->regs.rsp + 48), NON_CANONICAL);
}
END_TEST

/* ---- int n, exits ---- */

START_TEST(int_n_goes_where_the_table_allows)
{
	struct hv_exit exit = exception(GP, 0x80 * 8 + 2, 0);

	to_user_mode();
	TI_SET_DPL(&v->traps.trap[0x80], 3);
	hv_exit_handle(v, &exit);
	ck_assert_uint_eq(v->regs.rip, FAKE_HANDLER(0x80));
	ck_assert_uint_eq(word(v->regs.rsp + 16), 0x400125); /* behind the instruction */
}
END_TEST

START_TEST(int_n_of_user_code_without_leave_is_gp)
{
	struct hv_exit exit = exception(GP, 0x81 * 8 + 2, 0);

	to_user_mode();
	TI_SET_DPL(&v->traps.trap[0x81], 1);
	hv_exit_handle(v, &exit);
	ck_assert_uint_eq(v->regs.rip, FAKE_HANDLER(GP));
	ck_assert_uint_eq(word(v->regs.rsp + 16), 0x81 * 8 + 2);
	ck_assert_uint_eq(word(v->regs.rsp + 24), 0x400123);
	/* The kernel may raise it: it counts as ring 1. */
	v->regs.rsp = FAKE_STACK;
	v->regs.rip = 0x1000;
	hv_exit_handle(v, &exit);
	ck_assert_uint_eq(v->regs.rip, FAKE_HANDLER(0x81));
}
END_TEST

START_TEST(a_single_step_sets_dr6)
{
	struct hv_exit exit = exception(DB, 0, 0);

	to_user_mode();
	v->regs.rflags |= X86_FLAG_TF;
	hv_exit_handle(v, &exit);
	ck_assert_uint_eq(v->traps.dr[6], 0xffff4ff0);
	ck_assert_uint_eq(v->regs.rip, FAKE_HANDLER(DB));
}
END_TEST

START_TEST(a_missing_page_is_filled_without_telling_the_guest)
{
	struct hv_exit exit = exception(PF, 6, FAKE_VA + 0x5000);
	struct hv_regs before = v->regs;

	hv_exit_handle(v, &exit);
	ck_assert_mem_eq(&v->regs, &before, sizeof(before));
	exit.cr2 = 0x5000;
	hv_exit_handle(v, &exit);
	ck_assert_uint_eq(v->regs.rip, FAKE_HANDLER(PF));
	ck_assert_uint_eq(word(v->regs.rsp + 16), 2); /* a write, not present */
}
END_TEST

/* ---- limits: registering ---- */

START_TEST(a_trap_table_is_read_to_its_end)
{
	struct trap_info t[] = {
		{ .vector = 3, .flags = 3, .cs = 0xe030, .address = 0x111 },
		{ .vector = 14, .flags = 4, .cs = 0x10, .address = 0x222 },
		{ 0 },
		{ .vector = 13, .address = 0x333 },
	};

	memcpy(fake_ptr(&g, FAKE_VA), t, sizeof(t));
	ck_assert_int_eq(fake_call(v, __HYPERVISOR_set_trap_table, FAKE_VA, 0, 0), 0);
	ck_assert_uint_eq(v->traps.trap[3].address, 0x111);
	ck_assert_uint_eq(v->traps.trap[3].cs, 0xe033);
	ck_assert_uint_eq(v->traps.trap[14].address, 0x222);
	ck_assert_uint_eq(v->traps.trap[14].cs, 0x13);
	ck_assert_uint_eq(v->traps.trap[13].address, FAKE_HANDLER(13));

	t[1].address = NON_CANONICAL;
	t[0].address = 0x444;
	memcpy(fake_ptr(&g, FAKE_VA), t, sizeof(t));
	ck_assert_int_eq(fake_call(v, __HYPERVISOR_set_trap_table, FAKE_VA, 0, 0), -XEN_EINVAL);
	ck_assert_uint_eq(v->traps.trap[3].address, 0x444); /* those before it count, as in Xen */
	ck_assert_uint_eq(v->traps.trap[14].address, 0x222);

	ck_assert_int_eq(fake_call(v, __HYPERVISOR_set_trap_table, 0x1000, 0, 0), -XEN_EFAULT);
	ck_assert_int_eq(fake_call(v, __HYPERVISOR_set_trap_table, 0, 0, 0), 0);
	ck_assert_uint_eq(v->traps.trap[13].address, 0);
}
END_TEST

static const struct {
	uint16_t type;
	uint64_t va;
	int rc;
} callbacks[] = {
	{ CALLBACKTYPE_event, 0x1000, 0 },
	{ CALLBACKTYPE_failsafe, 0x1000, 0 },
	{ CALLBACKTYPE_syscall, UINT64_C(0xffffffff80000000), 0 },
	{ CALLBACKTYPE_syscall32, 0x1000, 0 },
	{ CALLBACKTYPE_sysenter, 0x1000, 0 },
	{ CALLBACKTYPE_nmi, 0x1000, 0 },
	{ CALLBACKTYPE_event, NON_CANONICAL, -XEN_EINVAL },
	{ CALLBACKTYPE_nmi, NON_CANONICAL, -XEN_EINVAL },
	{ CALLBACKTYPE_sysenter_deprecated, 0x1000, -XEN_ENOSYS },
	{ 6, 0x1000, -XEN_ENOSYS },
	{ 0xffff, 0x1000, -XEN_ENOSYS },
};

START_TEST(callbacks_are_registered_or_refused)
{
	struct callback_register r = { .type = callbacks[_i].type, .address = callbacks[_i].va };

	ck_assert_int_eq(
		fake_call_with(v, __HYPERVISOR_callback_op, CALLBACKOP_register, &r, sizeof(r)),
		callbacks[_i].rc);
}
END_TEST

START_TEST(only_the_nmi_callback_can_be_given_up)
{
	struct callback_unregister u = { .type = CALLBACKTYPE_event };

	ck_assert_int_eq(
		fake_call_with(v, __HYPERVISOR_callback_op, CALLBACKOP_unregister, &u, sizeof(u)),
		-XEN_EINVAL);
	u.type = CALLBACKTYPE_nmi;
	ck_assert_int_eq(
		fake_call_with(v, __HYPERVISOR_callback_op, CALLBACKOP_unregister, &u, sizeof(u)),
		0);
	ck_assert_uint_eq(v->traps.trap[2].address, 0);
	u.type = 6;
	ck_assert_int_eq(
		fake_call_with(v, __HYPERVISOR_callback_op, CALLBACKOP_unregister, &u, sizeof(u)),
		-XEN_ENOSYS);
	ck_assert_int_eq(fake_call_with(v, __HYPERVISOR_callback_op, 2, &u, sizeof(u)),
	                 -XEN_ENOSYS);
}
END_TEST

START_TEST(set_callbacks_takes_three_and_never_fails)
{
	ck_assert_int_eq(fake_call(v, __HYPERVISOR_set_callbacks, 0x100, NON_CANONICAL, 0x300), 0);
	ck_assert_uint_eq(v->traps.event.va, 0x100);
	ck_assert_uint_eq(v->traps.failsafe.va, FAKE_HANDLER(257));
	ck_assert_uint_eq(v->traps.syscall.va, 0x300);
}
END_TEST

START_TEST(nmi_op_is_the_old_way)
{
	struct xennmi_callback cb = { .handler_address = 0x7000 };

	ck_assert_int_eq(
		fake_call_with(v, __HYPERVISOR_nmi_op, XENNMI_register_callback, &cb, sizeof(cb)),
		0);
	ck_assert_uint_eq(v->traps.trap[2].address, 0x7000);
	ck_assert(TI_GET_IF(&v->traps.trap[2]));
	ck_assert_int_eq(fake_call(v, __HYPERVISOR_nmi_op, XENNMI_unregister_callback, 0, 0), 0);
	ck_assert_uint_eq(v->traps.trap[2].address, 0);
	ck_assert_int_eq(fake_call(v, __HYPERVISOR_nmi_op, 7, 0, 0), -XEN_ENOSYS);
}
END_TEST

START_TEST(own_registers_are_set)
{
	ck_assert_int_eq(fake_call(v, __HYPERVISOR_stack_switch, 0xe028, 0x9000, 0), 0);
	ck_assert_uint_eq(v->traps.kernel_sp, 0x9000);
	ck_assert_uint_eq(v->traps.kernel_ss, 0xe02b);
	ck_assert_int_eq(fake_call(v, __HYPERVISOR_set_segment_base, SEGBASE_FS, 0x1000, 0), 0);
	ck_assert_int_eq(fake_call(v, __HYPERVISOR_set_segment_base, SEGBASE_GS_USER, 0x2000, 0),
	                 0);
	ck_assert_int_eq(fake_call(v, __HYPERVISOR_set_segment_base, SEGBASE_GS_KERNEL, 0x3000, 0),
	                 0);
	ck_assert_uint_eq(v->regs.fs_base, 0x1000);
	ck_assert_uint_eq(v->regs.gs_base_user, 0x2000);
	ck_assert_uint_eq(v->regs.gs_base_kernel, 0x3000);
	ck_assert_int_eq(fake_call(v, __HYPERVISOR_set_segment_base, SEGBASE_FS, NON_CANONICAL, 0),
	                 -XEN_EINVAL);
	ck_assert_int_eq(fake_call(v, __HYPERVISOR_set_segment_base, SEGBASE_GS_USER_SEL, 0, 0), 0);
	ck_assert_uint_eq(v->regs.gs_base_user, 0);
	ck_assert_int_eq(fake_call(v, __HYPERVISOR_set_segment_base, 4, 0, 0), -XEN_EINVAL);
	ck_assert_int_eq(fake_call(v, __HYPERVISOR_fpu_taskswitch, 1, 0, 0), 0);
	ck_assert_uint_eq(v->traps.cr0 & 8, 8);
	ck_assert_int_eq(fake_call(v, __HYPERVISOR_fpu_taskswitch, 0, 0, 0), 0);
	ck_assert_uint_eq(v->traps.cr0 & 8, 0);
}
END_TEST

static const struct {
	unsigned reg;
	uint64_t value;
	int rc;
	uint64_t now;
} debug[] = {
	{ 0, 0x1234, 0, 0x1234 },
	{ 3, UINT64_C(0xffff880000000000), 0, UINT64_C(0xffff880000000000) },
	{ 0, UINT64_C(0xffff800000000000), -XEN_EPERM, 0 },
	{ 0, UINT64_C(0x800000000000), -XEN_EPERM, 0 },
	{ 6, 0, 0, 0xffff0ff0 },
	{ 6, 0xffffffff, 0, 0xffffefff },
	{ 4, 0x4000, 0, 0xffff4ff0 },
	{ 6, UINT64_C(0x100000000), -XEN_EINVAL, 0xffff0ff0 },
	{ 7, 0, 0, 0x400 },
	{ 5, 1, 0, 0x401 },
	{ 7, 0x2000, -XEN_EPERM, 0x400 },  /* general detect */
	{ 7, 0x20001, -XEN_EPERM, 0x400 }, /* an I/O breakpoint without CR4.DE */
	{ 7, 0x20000, 0, 0x20400 },        /* not enabled: no matter */
	{ 7, UINT64_C(0x100000000), -XEN_EINVAL, 0x400 },
	{ 8, 0, -XEN_ENODEV, (uint64_t)-XEN_ENODEV },
};

START_TEST(debug_registers_are_checked)
{
	ck_assert_int_eq(fake_call(v, __HYPERVISOR_set_debugreg, debug[_i].reg, debug[_i].value, 0),
	                 debug[_i].rc);
	ck_assert_uint_eq((uint64_t)fake_call(v, __HYPERVISOR_get_debugreg, debug[_i].reg, 0, 0),
	                  debug[_i].now);
}
END_TEST

/* ---- hostile: what ends a domain, and only it ---- */

static void expect_crash(const char *part)
{
	ck_assert(atomic_load(&g.d->ending));
	ck_assert_int_eq(g.d->end.reason, SHUTDOWN_crash);
	ck_assert_msg(strstr(g.d->end.text, part) != NULL, "\"%s\" has no \"%s\"", g.d->end.text,
	              part);
	ck_assert(g.d->end.regs_valid);
}

START_TEST(no_handler_ends_the_domain)
{
	uint64_t rip = v->regs.rip;

	v->traps.trap[UD].address = 0;
	hv_traps_exception(v, UD, 0, 0);
	expect_crash("#UD");
	ck_assert_uint_eq(g.d->end.regs.rip, rip);
}
END_TEST

static const uint64_t bad_stacks[] = {
	0,
	0x1000,
	UINT64_C(0xffff800000000040),
	UINT64_C(0xffff880000000010),
	UINT64_C(0x7ffffffffff0),
	UINT64_MAX,
	NON_CANONICAL,
};

START_TEST(a_stack_that_cannot_be_written_ends_the_domain)
{
	to_user_mode();
	v->traps.kernel_sp = bad_stacks[_i];
	hv_traps_exception(v, DE, 0, 0);
	expect_crash("cannot be written");
}
END_TEST

START_TEST(a_read_only_stack_ends_the_domain)
{
	v->regs.rsp = fake_l1_va() + 0x800;
	hv_traps_exception(v, DE, 0, 0);
	expect_crash("cannot be written");
}
END_TEST

START_TEST(iret_without_a_frame_or_a_user_root_ends_the_domain)
{
	if (_i == 0) {
		v->regs.rsp = 0x2000;
		fake_call(v, __HYPERVISOR_iret, 0, 0, 0);
		expect_crash("iret");
		return;
	}
	hv_domain_lock(g.d);
	v->root_user = HV_MFN_NONE; /* the reference stays; destroy would complain otherwise */
	hv_domain_unlock(g.d);
	put_iret(FAKE_VA + 64, &to_user);
	fake_call(v, __HYPERVISOR_iret, 0, 0, 0);
	expect_crash("user page-table root");
	v->root_user = g.root;
}
END_TEST

static const uint8_t impossible[] = { 2, 8, 9, 15, 18, 20, 31, 32, 255 };

START_TEST(an_impossible_exception_is_the_programs_fault_or_the_kernels_end)
{
	struct hv_exit exit = exception(impossible[_i], 0, 0);

	to_user_mode();
	hv_exit_handle(v, &exit);
	ck_assert_uint_eq(v->regs.rip, FAKE_HANDLER(GP));
	ck_assert(!atomic_load(&g.d->ending));
	hv_exit_handle(v, &exit); /* now in kernel mode */
	expect_crash("impossible");
}
END_TEST

START_TEST(a_dead_user_process_is_told_a_dead_kernel_process_is_the_end)
{
	struct hv_exit exit = { .kind = HV_EXIT_DEAD,
		                .why = "it was killed",
		                .from_user_root = true };

	to_user_mode();
	hv_exit_handle(v, &exit);
	ck_assert(!atomic_load(&g.d->ending));
	ck_assert_uint_eq(v->regs.rip, FAKE_HANDLER(GP));
	exit.from_user_root = false;
	hv_exit_handle(v, &exit);
	expect_crash("it was killed");
}
END_TEST

START_TEST(int_n_beyond_the_table_is_gp)
{
	struct hv_exit exit = exception(GP, 0xfffffffa, 0);

	to_user_mode();
	hv_exit_handle(v, &exit);
	ck_assert_uint_eq(v->regs.rip, FAKE_HANDLER(GP));
}
END_TEST

Suite *traps_suite(void);
Suite *traps_suite(void)
{
	Suite *s = suite_create("traps");
	TCase *tc = tcase_create("normal");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, an_exception_in_the_kernel_lands_below_its_own_stack);
	tcase_add_test(tc, an_exception_in_user_mode_lands_on_the_kernels_stack);
	tcase_add_test(tc, the_event_mask_is_in_the_frame_and_in_if);
	tcase_add_test(tc, a_trap_that_says_so_masks_events);
	tcase_add_test(tc, flags_of_the_interrupted_code_are_cleared_as_by_a_trap);
	tcase_add_test(tc, iopl_is_shown_when_it_means_something);
	tcase_add_loop_test(tc, error_codes_are_pushed_for_those_that_have_one, 0,
	                    ARRAY_LEN(vectors));
	tcase_add_test(tc, a_page_fault_tells_where_and_who);
	tcase_add_test(tc, an_upcall_masks_events_and_comes_only_when_due);
	tcase_add_test(tc, a_system_call_of_user_code_reaches_its_callback);
	tcase_add_test(tc, a_call_leaves_flat_selectors);
	tcase_add_test(tc, an_nmi_comes_once_and_not_into_its_own_handler);
	tcase_add_test(tc, iret_loads_user_mode);
	tcase_add_test(tc, iret_to_kernel_mode_stays_there_and_masks);
	tcase_add_test(tc, iret_from_a_system_call_leaves_rcx_and_r11_as_sysret_does);
	tcase_add_test(tc, iret_of_a_frame_that_we_made_goes_back);
	tcase_add_test(tc, iret_to_a_wild_address_goes_to_the_failsafe_callback);
	tcase_add_test(tc, int_n_goes_where_the_table_allows);
	tcase_add_test(tc, int_n_of_user_code_without_leave_is_gp);
	tcase_add_test(tc, a_single_step_sets_dr6);
	tcase_add_test(tc, a_missing_page_is_filled_without_telling_the_guest);
	suite_add_tcase(s, tc);

	tc = tcase_create("limits");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_trap_table_is_read_to_its_end);
	tcase_add_loop_test(tc, callbacks_are_registered_or_refused, 0, ARRAY_LEN(callbacks));
	tcase_add_test(tc, only_the_nmi_callback_can_be_given_up);
	tcase_add_test(tc, set_callbacks_takes_three_and_never_fails);
	tcase_add_test(tc, nmi_op_is_the_old_way);
	tcase_add_test(tc, own_registers_are_set);
	tcase_add_loop_test(tc, debug_registers_are_checked, 0, ARRAY_LEN(debug));
	suite_add_tcase(s, tc);

	tc = tcase_create("hostile");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, no_handler_ends_the_domain);
	tcase_add_loop_test(tc, a_stack_that_cannot_be_written_ends_the_domain, 0,
	                    ARRAY_LEN(bad_stacks));
	tcase_add_test(tc, a_read_only_stack_ends_the_domain);
	tcase_add_loop_test(tc, iret_without_a_frame_or_a_user_root_ends_the_domain, 0, 2);
	tcase_add_loop_test(tc, an_impossible_exception_is_the_programs_fault_or_the_kernels_end, 0,
	                    ARRAY_LEN(impossible));
	tcase_add_test(tc, a_dead_user_process_is_told_a_dead_kernel_process_is_the_end);
	tcase_add_test(tc, int_n_beyond_the_table_is_gp);
	suite_add_tcase(s, tc);
	return s;
}
