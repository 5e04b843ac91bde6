/* SPDX-License-Identifier: MIT */
/*
 * vcpu_op (core/vcpuop.c): the first state of a vCPU, up and down, timers, areas; errors as in Xen.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "abi/errno.h"
#include "hypervisor-stub/core/mmu.h"
#include "tests/fake/fake_vcpu.h"

#define ARRAY_LEN(a)  (sizeof(a) / sizeof((a)[0]))
#define NON_CANONICAL UINT64_C(0x8000000000000000)
#define CTX           (FAKE_VA + 0x8000) /* two pages: a context has 5168 bytes */
#define ARG           FAKE_VA

static struct fake_guest g;
static struct hv_vcpu *v;

static void setup(void)
{
	fake_guest_make(&g, 3);
	v = g.v;
	hv_time_calibrate(g.m);
	hv_time_update_vcpu(v);
	atomic_store(&v->is_up, true);
}

static void teardown(void)
{
	fake_guest_destroy(&g);
}

static int64_t op(uint64_t cmd, uint64_t id, uint64_t va)
{
	return fake_call(v, __HYPERVISOR_vcpu_op, cmd, id, va);
}

/* Puts a structure into guest memory and names it. */
static int64_t op_with(uint64_t cmd, uint64_t id, const void *arg, size_t len)
{
	memcpy(fake_ptr(&g, ARG), arg, len);
	return op(cmd, id, ARG);
}

static void put_context(const struct vcpu_guest_context *c)
{
	const uint8_t *from = (const uint8_t *)c;

	for (size_t i = 0; i < sizeof(*c); i++)
		*(uint8_t *)fake_ptr(&g, CTX + i) = from[i];
}

static struct vcpu_guest_context good_context(void)
{
	struct vcpu_guest_context c = { .flags = VGCF_in_kernel };

	c.user_regs.rip = FAKE_VA + 0x111;
	c.user_regs.rsp = FAKE_STACK;
	c.user_regs.cs = 0xe030;
	c.user_regs.ss = 0xe02b;
	c.user_regs.rflags = 0x1000; /* IOPL 1 */
	c.user_regs.rdi = 0xd1;
	c.user_regs.r15 = 0x15;
	c.kernel_sp = FAKE_STACK;
	c.kernel_ss = 0xe028;
	c.ctrlreg[3] = xen_pfn_to_cr3(g.root.n);
	c.trap_ctxt[13].address = 0x1313;
	c.trap_ctxt[13].cs = 0xe030;
	c.event_callback_eip = 0x222;
	c.failsafe_callback_eip = 0x333;
	c.syscall_callback_eip = 0x444;
	c.fs_base = 0xf5;
	c.gs_base_kernel = 0x65;
	c.gs_base_user = 0x66;
	return c;
}

/* ---- normal ---- */

START_TEST(a_context_becomes_the_vcpus_state)
{
	struct vcpu_guest_context c = good_context();
	const struct hv_vcpu *w = g.d->vcpu[1];

	put_context(&c);
	ck_assert_int_eq(op(VCPUOP_initialise, 1, CTX), 0);
	ck_assert(w->is_initialised);
	ck_assert(!atomic_load(&w->is_up));
	ck_assert(w->in_kernel);
	ck_assert_uint_eq(w->regs.rip, c.user_regs.rip);
	ck_assert_uint_eq(w->regs.rsp, c.user_regs.rsp);
	ck_assert_uint_eq(w->regs.cs, 0xe033);
	ck_assert_uint_eq(w->regs.ss, 0xe02b);
	ck_assert_uint_eq(w->regs.rflags, 0x202);
	ck_assert_uint_eq(w->traps.iopl, 1);
	ck_assert_uint_eq(w->regs.rdi, 0xd1);
	ck_assert_uint_eq(w->regs.r15, 0x15);
	ck_assert_uint_eq(w->regs.fs_base, 0xf5);
	ck_assert_uint_eq(w->regs.gs_base_kernel, 0x65);
	ck_assert_uint_eq(w->regs.gs_base_user, 0x66);
	ck_assert_uint_eq(w->root_kernel.n, g.root.n);
	ck_assert(hv_mfn_is_none(w->root_user));
	ck_assert_uint_eq(w->traps.kernel_ss, 0xe02b);
	ck_assert_uint_eq(w->traps.trap[13].address, 0x1313);
	ck_assert_uint_eq(w->traps.trap[13].cs, 0xe033);
	ck_assert_uint_eq(w->traps.event.va, 0x222);
	ck_assert_uint_eq(w->traps.failsafe.va, 0x333);
	ck_assert_uint_eq(w->traps.syscall.va, 0x444);
	ck_assert(!w->traps.syscall.masks_events);
	ck_assert_uint_eq(w->traps.dr[6], 0xffff0ff0);
	ck_assert_uint_eq(w->traps.dr[7], 0x400);

	ck_assert_int_eq(op(VCPUOP_initialise, 1, CTX), -XEN_EEXIST);
	ck_assert_int_eq(op(VCPUOP_initialise, 0, CTX), -XEN_EEXIST);
}
END_TEST

START_TEST(the_floating_point_state_of_a_context_counts_when_it_says_so)
{
	static const uint8_t zeros[512];
	struct vcpu_guest_context c = good_context();

	memset(&c.fpu_ctxt, 0x5a, sizeof(c.fpu_ctxt));
	if (_i)
		c.flags |= VGCF_I387_VALID;
	memset(g.fpu[1], 1, sizeof(g.fpu[1]));
	put_context(&c);
	ck_assert_int_eq(op(VCPUOP_initialise, 1, CTX), 0);
	ck_assert_mem_eq(g.fpu[1], _i ? (const void *)&c.fpu_ctxt : zeros, 512);
}
END_TEST

START_TEST(flags_of_a_context_count)
{
	struct vcpu_guest_context c = good_context();
	const struct hv_vcpu *w = g.d->vcpu[1];

	c.flags = VGCF_syscall_disables_events | VGCF_failsafe_disables_events;
	c.ctrlreg[1] = xen_pfn_to_cr3(g.root.n);
	put_context(&c);
	ck_assert_int_eq(op(VCPUOP_initialise, 1, CTX), 0);
	ck_assert(!w->in_kernel);
	ck_assert_uint_eq(w->root_user.n, g.root.n);
	ck_assert(w->traps.syscall.masks_events);
	ck_assert(w->traps.failsafe.masks_events);
}
END_TEST

static atomic_int ran;

static void say_hello(struct hv_vcpu *w, struct hv_exit *exit, void *arg)
{
	(void)exit;
	(void)arg;
	atomic_store(&ran, (int)w->id + 1);
	fake_run_until_stopped(w);
}

START_TEST(a_vcpu_comes_up_goes_down_and_comes_up_again)
{
	struct vcpu_guest_context c = good_context();
	struct vcpu_runstate_info r;

	g.script[1] = say_hello;
	ck_assert_int_eq(op(VCPUOP_is_up, 1, 0), 0);
	ck_assert_int_eq(op(VCPUOP_is_up, 0, 0), 1);
	ck_assert_int_eq(op(VCPUOP_up, 1, 0), -XEN_EINVAL); /* not initialised */
	put_context(&c);
	ck_assert_int_eq(op(VCPUOP_initialise, 1, CTX), 0);
	ck_assert_int_eq(op(VCPUOP_up, 1, 0), 0);
	ck_assert_int_eq(op(VCPUOP_up, 1, 0), 0);
	ck_assert(fake_wait(&ran, 2));
	ck_assert_int_eq(op(VCPUOP_is_up, 1, 0), 1);

	ck_assert_int_eq(op(VCPUOP_down, 1, 0), 0);
	ck_assert_int_eq(op(VCPUOP_is_up, 1, 0), 0);
	for (unsigned i = 0; i < 10000; i++) {
		hv_sched_runstate_get(g.d->vcpu[1], &r);
		if (r.state == RUNSTATE_offline)
			break;
		nanosleep(&(struct timespec){ 0, 1000000 }, NULL);
	}
	ck_assert_int_eq(r.state, RUNSTATE_offline);

	atomic_store(&ran, 0);
	ck_assert_int_eq(op(VCPUOP_up, 1, 0), 0);
	ck_assert(fake_wait(&ran, 2));
	ck_assert(!atomic_load(&g.d->ending));
}
END_TEST

START_TEST(the_last_vcpu_going_down_is_a_poweroff)
{
	ck_assert_int_eq(op(VCPUOP_down, 0, 0), 0);
	ck_assert(atomic_load(&g.d->ending));
	ck_assert_int_eq(g.d->end.reason, SHUTDOWN_poweroff);
}
END_TEST

START_TEST(a_context_that_says_online_starts_at_once)
{
	struct vcpu_guest_context c = good_context();

	g.script[1] = say_hello;
	c.flags |= VGCF_online;
	put_context(&c);
	ck_assert_int_eq(op(VCPUOP_initialise, 1, CTX), 0);
	ck_assert(fake_wait(&ran, 2));
}
END_TEST

START_TEST(runstate_can_be_asked_and_followed)
{
	struct vcpu_register_runstate_memory_area a = { .addr.p = FAKE_VA + 0x5000 };
	const struct vcpu_runstate_info *r = fake_ptr(&g, FAKE_VA + 0x5000);

	hv_sched_runstate_set(v, RUNSTATE_running);
	ck_assert_int_eq(op(VCPUOP_get_runstate_info, 0, FAKE_VA + 0x5000), 0);
	ck_assert_int_eq(r->state, RUNSTATE_running);
	memset(fake_ptr(&g, FAKE_VA + 0x5000), 0xff, sizeof(*r));
	ck_assert_int_eq(op_with(VCPUOP_register_runstate_memory_area, 0, &a, sizeof(a)), 0);
	ck_assert_int_eq(r->state, RUNSTATE_running);

	g.d->vm_assist |= 1u << VMASST_TYPE_runstate_update_flag;
	hv_sched_runstate_set(v, RUNSTATE_blocked);
	hv_sched_runstate_publish(v);
	ck_assert_int_eq(r->state, RUNSTATE_blocked);
	ck_assert_uint_eq(r->state_entry_time & XEN_RUNSTATE_UPDATE, 0);
	/* No area any more. */
	a.addr.p = 0;
	ck_assert_int_eq(op_with(VCPUOP_register_runstate_memory_area, 0, &a, sizeof(a)), 0);
	hv_sched_runstate_set(v, RUNSTATE_running);
	hv_sched_runstate_publish(v);
	ck_assert_int_eq(r->state, RUNSTATE_blocked);
}
END_TEST

START_TEST(an_nmi_wakes_a_sleeper)
{
	ck_assert_int_eq(op(VCPUOP_send_nmi, 1, 0), 0);
	ck_assert(atomic_load(&g.d->vcpu[1]->traps.nmi_pending));
	atomic_store(&v->sched.blocked, true);
	ck_assert_int_eq(op(VCPUOP_send_nmi, 0, 0), 0);
	ck_assert(!atomic_load(&v->sched.blocked));
	ck_assert_int_eq(op(VCPUOP_send_nmi, 0, ARG), -XEN_EINVAL);
}
END_TEST

/* ---- timers ---- */

START_TEST(singleshot_timers)
{
	struct vcpu_set_singleshot_timer t = { hv_time_vcpu_now(v) + 1000000000, 0 };

	ck_assert_int_eq(op_with(VCPUOP_set_singleshot_timer, 0, &t, sizeof(t)), 0);
	ck_assert_uint_eq(v->time.singleshot_ns, t.timeout_abs_ns);
	ck_assert_int_eq(op_with(VCPUOP_set_singleshot_timer, 1, &t, sizeof(t)), -XEN_EINVAL);
	ck_assert_int_eq(op(VCPUOP_stop_singleshot_timer, 1, 0), -XEN_EINVAL);
	ck_assert_int_eq(op(VCPUOP_stop_singleshot_timer, 0, 0), 0);
	ck_assert_uint_eq(v->time.singleshot_ns, HV_TIME_NEVER);
	t = (struct vcpu_set_singleshot_timer){ 1, VCPU_SSHOTTMR_future }; /* past all the same */
	ck_assert_int_eq(op_with(VCPUOP_set_singleshot_timer, 0, &t, sizeof(t)), 0);
	ck_assert_uint_eq(v->time.singleshot_ns, 1);
	t = (struct vcpu_set_singleshot_timer){ UINT64_MAX, 0 }; /* negative: past */
	ck_assert_int_eq(op_with(VCPUOP_set_singleshot_timer, 0, &t, sizeof(t)), 0);
	ck_assert_uint_eq(v->time.singleshot_ns, 0);
}
END_TEST

static const struct {
	uint64_t ns;
	int rc;
} periods[] = {
	{ 0, -XEN_EINVAL },
	{ 999999, -XEN_EINVAL },
	{ 1000000, 0 },
	{ UINT64_MAX >> 2, 0 },
	{ (UINT64_MAX >> 2) + 1, -XEN_EINVAL },
	{ UINT64_MAX, -XEN_EINVAL },
};

START_TEST(periodic_timers)
{
	struct vcpu_set_periodic_timer t = { periods[_i].ns };

	ck_assert_uint_eq(atomic_load(&g.d->vcpu[1]->time.periodic_ns), 10000000);
	ck_assert_int_eq(op_with(VCPUOP_set_periodic_timer, 1, &t, sizeof(t)), periods[_i].rc);
	if (!periods[_i].rc)
		ck_assert_uint_eq(atomic_load(&g.d->vcpu[1]->time.periodic_ns), t.period_ns);
	ck_assert_int_eq(op(VCPUOP_stop_periodic_timer, 1, 0), 0);
	ck_assert_uint_eq(atomic_load(&g.d->vcpu[1]->time.periodic_ns), 0);
}
END_TEST

/* ---- limits: vcpu_info ---- */

static const struct {
	unsigned page; /* index of a data page; ~0: the L1 table */
	uint32_t offset;
	int rc;
} infos[] = {
	{ 9, 0, 0 },
	{ 9, 4032, 0 },
	{ 9, 4033, -XEN_ENXIO },
	{ 9, 4, -XEN_ENXIO },
	{ ~0u, 4096, -XEN_ENXIO },
	{ 9, UINT32_MAX, -XEN_ENXIO },
	{ ~0u, 0, -XEN_EINVAL },
};

START_TEST(vcpu_info_moves_to_a_writable_page)
{
	struct vcpu_register_vcpu_info r = { .offset = infos[_i].offset };
	struct hv_vcpu *w = g.d->vcpu[1];
	struct vcpu_info *before = w->info;

	r.mfn = infos[_i].page == ~0u ? g.l1.n : g.page[infos[_i].page].n;
	ck_assert_int_eq(op_with(VCPUOP_register_vcpu_info, 1, &r, sizeof(r)), infos[_i].rc);
	if (infos[_i].rc)
		ck_assert_ptr_eq(w->info, before);
	else
		ck_assert_int_eq(w->info->evtchn_upcall_mask, 1);
}
END_TEST

START_TEST(vcpu_info_of_another_that_is_up_stays)
{
	struct vcpu_register_vcpu_info r = { .mfn = g.page[9].n };

	atomic_store(&g.d->vcpu[1]->is_up, true);
	ck_assert_int_eq(op_with(VCPUOP_register_vcpu_info, 1, &r, sizeof(r)), -XEN_EINVAL);
	r.offset = 4033; /* the place is looked at first */
	ck_assert_int_eq(op_with(VCPUOP_register_vcpu_info, 1, &r, sizeof(r)), -XEN_ENXIO);
	r.offset = 0;
	r.mfn = UINT64_MAX;
	ck_assert_int_eq(op_with(VCPUOP_register_vcpu_info, 0, &r, sizeof(r)), -XEN_EINVAL);
	atomic_store(&g.d->vcpu[1]->is_up, false);
}
END_TEST

/* ---- hostile ---- */

static void spoil(struct vcpu_guest_context *c, int how)
{
	switch (how) {
	case 0:
		c->user_regs.rip = NON_CANONICAL;
		break;
	case 1:
		c->user_regs.rsp = NON_CANONICAL;
		break;
	case 2:
		c->kernel_sp = NON_CANONICAL;
		break;
	case 3:
		c->trap_ctxt[255].address = NON_CANONICAL;
		break;
	case 4:
		c->event_callback_eip = NON_CANONICAL;
		break;
	case 5:
		c->flags = 0; /* user mode without a root for it */
		break;
	case 6:
		c->ctrlreg[3] = 0;
		break;
	case 7:
		c->ctrlreg[3] = UINT64_MAX;
		break;
	case 8:
		c->ctrlreg[3] = xen_pfn_to_cr3(g.l1.n);
		break;
	case 9:
		c->ctrlreg[1] = xen_pfn_to_cr3(g.page[0].n);
		break;
	case 10:
		c->gdt_ents = UINT64_C(0x100000000);
		break;
	case 11:
		c->gdt_ents = 512;
		c->gdt_frames[0] = UINT64_MAX;
		break;
	case 12:
		c->ldt_base = HYPERVISOR_VIRT_START;
		c->ldt_ents = 1;
		break;
	default:
		c->ldt_ents = UINT64_MAX;
	}
}

START_TEST(a_spoilt_context_is_refused)
{
	struct vcpu_guest_context c = good_context();

	spoil(&c, _i);
	put_context(&c);
	ck_assert_int_lt(op(VCPUOP_initialise, 1, CTX), 0);
	ck_assert(!g.d->vcpu[1]->is_initialised);
	/* And nothing stands in the way of a good one. */
	c = good_context();
	put_context(&c);
	ck_assert_int_eq(op(VCPUOP_initialise, 1, CTX), 0);
}
END_TEST

static const struct {
	uint64_t cmd, id;
	int rc;
} refused[] = {
	{ VCPUOP_up, 3, -XEN_ENOENT },
	{ VCPUOP_is_up, UINT32_MAX, -XEN_ENOENT },
	{ 99, 3, -XEN_ENOENT },
	{ 99, 0, -XEN_ENOSYS },
	{ 14, 0, -XEN_ENOSYS },
	{ VCPUOP_get_physid, 0, -XEN_EINVAL },
	{ VCPUOP_initialise, 1, -XEN_EFAULT },
	{ VCPUOP_get_runstate_info, 1, -XEN_EFAULT },
	{ VCPUOP_register_runstate_memory_area, 0, -XEN_EFAULT },
	{ VCPUOP_register_vcpu_time_memory_area, 0, -XEN_EFAULT },
	{ VCPUOP_register_vcpu_info, 0, -XEN_EFAULT },
	{ VCPUOP_set_periodic_timer, 0, -XEN_EFAULT },
	{ VCPUOP_set_singleshot_timer, 0, -XEN_EFAULT },
	{ VCPUOP_set_singleshot_timer, 1, -XEN_EINVAL }, /* before the argument is read */
};

START_TEST(bad_calls_get_xens_errors)
{
	ck_assert_int_eq(op(refused[_i].cmd, refused[_i].id, 0x1000), refused[_i].rc);
}
END_TEST

START_TEST(areas_in_the_hypervisors_space_are_refused)
{
	struct vcpu_register_runstate_memory_area a = { .addr.p = HYPERVISOR_VIRT_START };

	ck_assert_int_eq(op_with(VCPUOP_register_runstate_memory_area, 0, &a, sizeof(a)),
	                 -XEN_EFAULT);
	ck_assert_int_eq(op_with(VCPUOP_register_vcpu_time_memory_area, 0, &a, sizeof(a)),
	                 -XEN_EFAULT);
	/* An address that is merely not mapped is taken. */
	a.addr.p = 0x1000;
	ck_assert_int_eq(op_with(VCPUOP_register_runstate_memory_area, 0, &a, sizeof(a)), 0);
	ck_assert_int_eq(op_with(VCPUOP_register_vcpu_time_memory_area, 0, &a, sizeof(a)), 0);
}
END_TEST

/* ---- races: vCPUs that go up and down while others do the same ---- */

static void flap(struct hv_vcpu *w, struct hv_exit *exit, void *arg)
{
	static atomic_uint turn;
	unsigned n = atomic_fetch_add(&turn, 1);

	(void)arg;
	if (n > 20000) {
		atomic_store(&ran, 1);
		fake_run_until_stopped(w);
		return;
	}
	fake_exit_hypercall(w, exit, __HYPERVISOR_vcpu_op, n % 3 ? VCPUOP_up : VCPUOP_down,
	                    w->id == 0 ? 1 + n / 3 % 2 : w->id ^ 3, 0);
}

START_TEST(up_and_down_in_all_orders_loses_no_vcpu)
{
	for (unsigned i = 1; i < 3; i++)
		fake_vcpu_prepare(&g, i);
	for (unsigned i = 0; i < 3; i++)
		g.script[i] = flap;
	atomic_store(&v->is_up, false);
	ck_assert_int_eq(hv_domain_start(g.d), 0);
	ck_assert(fake_wait(&ran, 1));
	ck_assert(!atomic_load(&g.d->ending));
}
END_TEST

Suite *vcpuop_suite(void);
Suite *vcpuop_suite(void)
{
	Suite *s = suite_create("vcpuop");
	TCase *tc = tcase_create("normal");

	tcase_set_timeout(tc, 30);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_context_becomes_the_vcpus_state);
	tcase_add_loop_test(tc, the_floating_point_state_of_a_context_counts_when_it_says_so, 0, 2);
	tcase_add_test(tc, flags_of_a_context_count);
	tcase_add_test(tc, a_vcpu_comes_up_goes_down_and_comes_up_again);
	tcase_add_test(tc, the_last_vcpu_going_down_is_a_poweroff);
	tcase_add_test(tc, a_context_that_says_online_starts_at_once);
	tcase_add_test(tc, runstate_can_be_asked_and_followed);
	tcase_add_test(tc, an_nmi_wakes_a_sleeper);
	tcase_add_test(tc, singleshot_timers);
	tcase_add_loop_test(tc, periodic_timers, 0, ARRAY_LEN(periods));
	suite_add_tcase(s, tc);

	tc = tcase_create("limits");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, vcpu_info_moves_to_a_writable_page, 0, ARRAY_LEN(infos));
	tcase_add_test(tc, vcpu_info_of_another_that_is_up_stays);
	suite_add_tcase(s, tc);

	tc = tcase_create("hostile");
	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, a_spoilt_context_is_refused, 0, 14);
	tcase_add_loop_test(tc, bad_calls_get_xens_errors, 0, ARRAY_LEN(refused));
	tcase_add_test(tc, areas_in_the_hypervisors_space_are_refused);
	tcase_add_test(tc, up_and_down_in_all_orders_loses_no_vcpu);
	suite_add_tcase(s, tc);
	return s;
}
