/* SPDX-License-Identifier: MIT */
/*
 * Event channels (core/evtchn.c): bindings, errors as Xen has them, delivery bit by bit.
 */
#include <check.h>
#include <stdlib.h>

#include "abi/errno.h"
#include "hypervisor-stub/core/hypercall.h"
#include "tests/fake/fake_vcpu.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

static struct fake_guest g, other;
static struct shared_info *si;

static void setup(void)
{
	fake_guest_make(&g, 4);
	si = g.d->shared_info;
	for (unsigned i = 0; i < 4; i++)
		si->vcpu_info[i].evtchn_upcall_mask = 0;
}

static void teardown(void)
{
	fake_guest_destroy(&g);
}

static void setup_two(void)
{
	setup();
	fake_guest_join(&other, &g, 1);
	other.d->shared_info->vcpu_info[0].evtchn_upcall_mask = 0;
}

static void teardown_two(void)
{
	fake_guest_destroy(&other);
	fake_guest_destroy(&g);
}

static int64_t op(struct fake_guest *guest, uint32_t cmd, void *arg, size_t len)
{
	return fake_call_with(guest->v, __HYPERVISOR_event_channel_op, cmd, arg, len);
}

static evtchn_port_t ipi(unsigned vcpu)
{
	struct evtchn_bind_ipi b = { .vcpu = vcpu };

	ck_assert_int_eq(op(&g, EVTCHNOP_bind_ipi, &b, sizeof(b)), 0);
	return b.port;
}

static int64_t send(struct fake_guest *guest, evtchn_port_t port)
{
	struct evtchn_send s = { port };

	return op(guest, EVTCHNOP_send, &s, sizeof(s));
}

static int64_t close_port(struct fake_guest *guest, evtchn_port_t port)
{
	struct evtchn_close c = { port };

	return op(guest, EVTCHNOP_close, &c, sizeof(c));
}

static int64_t unmask(evtchn_port_t port)
{
	struct evtchn_unmask u = { port };

	return op(&g, EVTCHNOP_unmask, &u, sizeof(u));
}

static struct evtchn_status status(struct fake_guest *guest, evtchn_port_t port)
{
	struct evtchn_status s = { .dom = DOMID_SELF, .port = port };

	ck_assert_int_eq(op(guest, EVTCHNOP_status, &s, sizeof(s)), 0);
	return s;
}

static evtchn_port_t unbound(struct fake_guest *guest, domid_t remote)
{
	struct evtchn_alloc_unbound a = { .dom = DOMID_SELF, .remote_dom = remote };

	ck_assert_int_eq(op(guest, EVTCHNOP_alloc_unbound, &a, sizeof(a)), 0);
	return a.port;
}

static bool pending(const struct fake_guest *guest, evtchn_port_t port)
{
	return guest->d->shared_info->evtchn_pending[port / 64] >> port % 64 & 1;
}

static void mask(evtchn_port_t port)
{
	si->evtchn_mask[port / 64] |= UINT64_C(1) << port % 64;
}

/* ---- normal ---- */

START_TEST(an_event_sets_port_selector_and_upcall)
{
	evtchn_port_t port = ipi(2);

	ck_assert_int_eq(send(&g, port), 0);
	ck_assert(pending(&g, port));
	ck_assert_uint_eq(si->vcpu_info[2].evtchn_pending_sel, 1);
	ck_assert_uint_eq(si->vcpu_info[2].evtchn_upcall_pending, 1);
	ck_assert_uint_eq(si->vcpu_info[0].evtchn_upcall_pending, 0);
}
END_TEST

START_TEST(a_masked_port_is_pending_and_no_more)
{
	evtchn_port_t port = ipi(1);

	mask(port);
	ck_assert_int_eq(send(&g, port), 0);
	ck_assert(pending(&g, port));
	ck_assert_uint_eq(si->vcpu_info[1].evtchn_pending_sel, 0);
	ck_assert_uint_eq(si->vcpu_info[1].evtchn_upcall_pending, 0);

	ck_assert_int_eq(unmask(port), 0);
	ck_assert_uint_eq(si->evtchn_mask[0], 0);
	ck_assert_uint_eq(si->vcpu_info[1].evtchn_pending_sel, 1);
	ck_assert_uint_eq(si->vcpu_info[1].evtchn_upcall_pending, 1);
}
END_TEST

START_TEST(unmasking_a_quiet_port_makes_no_event)
{
	evtchn_port_t port = ipi(0);

	mask(port);
	ck_assert_int_eq(unmask(port), 0);
	ck_assert_uint_eq(si->evtchn_mask[0], 0);
	ck_assert_uint_eq(si->vcpu_info[0].evtchn_upcall_pending, 0);
}
END_TEST

START_TEST(a_port_that_is_pending_already_delivers_once)
{
	evtchn_port_t port = ipi(0);

	ck_assert_int_eq(send(&g, port), 0);
	si->vcpu_info[0].evtchn_upcall_pending = 0;
	si->vcpu_info[0].evtchn_pending_sel = 0;
	ck_assert_int_eq(send(&g, port), 0);
	ck_assert_uint_eq(si->vcpu_info[0].evtchn_upcall_pending, 0);
}
END_TEST

START_TEST(a_kick_is_sent_only_to_a_vcpu_that_takes_events)
{
	evtchn_port_t port = ipi(1);
	unsigned before = atomic_load(&g.kicks[1]);

	si->vcpu_info[1].evtchn_upcall_mask = 1;
	ck_assert_int_eq(send(&g, port), 0);
	ck_assert_uint_eq(atomic_load(&g.kicks[1]), before);

	si->evtchn_pending[0] = 0;
	si->vcpu_info[1] = (struct vcpu_info){ 0 };
	ck_assert_int_eq(send(&g, port), 0);
	ck_assert_uint_eq(atomic_load(&g.kicks[1]), before + 1);
}
END_TEST

START_TEST(the_first_port_is_one_and_a_closed_one_is_used_again)
{
	evtchn_port_t a = ipi(0), b = ipi(0);

	ck_assert_uint_eq(a, 1);
	ck_assert_uint_eq(b, 2);
	ck_assert_int_eq(send(&g, a), 0);
	ck_assert_int_eq(close_port(&g, a), 0);
	ck_assert(!pending(&g, a));
	ck_assert_uint_eq(status(&g, a).status, EVTCHNSTAT_closed);
	ck_assert_uint_eq(ipi(3), a);
	ck_assert_uint_eq(status(&g, a).vcpu, 3);
}
END_TEST

START_TEST(a_virq_is_bound_once_per_vcpu_and_raised_there)
{
	struct evtchn_bind_virq b = { .virq = VIRQ_TIMER, .vcpu = 1 };

	ck_assert(!hv_evtchn_virq_is_bound(g.d->vcpu[1], VIRQ_TIMER));
	ck_assert_int_eq(op(&g, EVTCHNOP_bind_virq, &b, sizeof(b)), 0);
	ck_assert(hv_evtchn_virq_is_bound(g.d->vcpu[1], VIRQ_TIMER));
	ck_assert_uint_eq(status(&g, b.port).status, EVTCHNSTAT_virq);
	ck_assert_uint_eq(status(&g, b.port).u.virq, VIRQ_TIMER);
	ck_assert_int_eq(op(&g, EVTCHNOP_bind_virq, &b, sizeof(b)), -XEN_EEXIST);

	hv_evtchn_raise_virq(g.d->vcpu[0], VIRQ_TIMER);
	ck_assert(!pending(&g, b.port));
	hv_evtchn_raise_virq(g.d->vcpu[1], VIRQ_TIMER);
	ck_assert(pending(&g, b.port));
	ck_assert_uint_eq(si->vcpu_info[1].evtchn_upcall_pending, 1);

	ck_assert_int_eq(close_port(&g, b.port), 0);
	ck_assert(!hv_evtchn_virq_is_bound(g.d->vcpu[1], VIRQ_TIMER));
	ck_assert_int_eq(op(&g, EVTCHNOP_bind_virq, &b, sizeof(b)), 0);
}
END_TEST

START_TEST(two_domains_meet_and_part)
{
	evtchn_port_t theirs = unbound(&other, g.d->domid);
	struct evtchn_bind_interdomain b = { .remote_dom = other.d->domid, .remote_port = theirs };
	struct evtchn_status s;

	s = status(&other, theirs);
	ck_assert_uint_eq(s.status, EVTCHNSTAT_unbound);
	ck_assert_uint_eq(s.u.unbound.dom, g.d->domid);
	ck_assert_int_eq(send(&other, theirs), 0); /* dropped, no error */

	ck_assert_int_eq(op(&g, EVTCHNOP_bind_interdomain, &b, sizeof(b)), 0);
	ck_assert(pending(&g, b.local_port)); /* for what was dropped */
	s = status(&g, b.local_port);
	ck_assert_uint_eq(s.status, EVTCHNSTAT_interdomain);
	ck_assert_uint_eq(s.u.interdomain.dom, other.d->domid);
	ck_assert_uint_eq(s.u.interdomain.port, theirs);

	ck_assert(!pending(&other, theirs));
	ck_assert_int_eq(send(&g, b.local_port), 0);
	ck_assert(pending(&other, theirs));

	ck_assert_int_eq(close_port(&g, b.local_port), 0);
	s = status(&other, theirs);
	ck_assert_uint_eq(s.status, EVTCHNSTAT_unbound);
	ck_assert_uint_eq(s.u.unbound.dom, g.d->domid);
}
END_TEST

START_TEST(a_domain_that_dies_leaves_its_peer_unbound)
{
	struct fake_guest third;
	evtchn_port_t mine;
	struct evtchn_bind_interdomain b;

	fake_guest_join(&third, &g, 1);
	mine = unbound(&g, third.d->domid);
	b = (struct evtchn_bind_interdomain){ .remote_dom = g.d->domid, .remote_port = mine };
	ck_assert_int_eq(op(&third, EVTCHNOP_bind_interdomain, &b, sizeof(b)), 0);
	ck_assert_uint_eq(status(&g, mine).status, EVTCHNSTAT_interdomain);
	fake_guest_destroy(&third);
	ck_assert_uint_eq(status(&g, mine).status, EVTCHNSTAT_unbound);
	ck_assert_int_eq(send(&g, mine), 0);
}
END_TEST

START_TEST(a_channel_to_oneself_has_two_ports)
{
	evtchn_port_t a = unbound(&g, DOMID_SELF);
	struct evtchn_bind_interdomain b = { .remote_dom = DOMID_SELF, .remote_port = a };

	ck_assert_int_eq(op(&g, EVTCHNOP_bind_interdomain, &b, sizeof(b)), 0);
	ck_assert_uint_ne(a, b.local_port);
	ck_assert_int_eq(send(&g, b.local_port), 0);
	ck_assert(pending(&g, a));
}
END_TEST

START_TEST(bind_vcpu_moves_what_may_move)
{
	struct evtchn_bind_virq timer = { .virq = VIRQ_TIMER, .vcpu = 0 };
	struct evtchn_bind_virq global = { .virq = VIRQ_ARGO, .vcpu = 0 };
	struct evtchn_bind_vcpu b = { .vcpu = 3 };

	ck_assert_int_eq(op(&g, EVTCHNOP_bind_virq, &timer, sizeof(timer)), 0);
	ck_assert_int_eq(op(&g, EVTCHNOP_bind_virq, &global, sizeof(global)), 0);
	b.port = timer.port;
	ck_assert_int_eq(op(&g, EVTCHNOP_bind_vcpu, &b, sizeof(b)), -XEN_EINVAL);
	b.port = ipi(0);
	ck_assert_int_eq(op(&g, EVTCHNOP_bind_vcpu, &b, sizeof(b)), -XEN_EINVAL);
	b.port = global.port;
	ck_assert_int_eq(op(&g, EVTCHNOP_bind_vcpu, &b, sizeof(b)), 0);
	ck_assert_uint_eq(status(&g, b.port).vcpu, 3);
	b.port = unbound(&g, 0);
	ck_assert_int_eq(op(&g, EVTCHNOP_bind_vcpu, &b, sizeof(b)), 0);
	b.vcpu = 4;
	ck_assert_int_eq(op(&g, EVTCHNOP_bind_vcpu, &b, sizeof(b)), -XEN_ENOENT);
}
END_TEST

START_TEST(moving_vcpu_info_loses_no_event)
{
	struct vcpu_register_vcpu_info r = { .mfn = g.page[10].n, .offset = 256 };
	struct vcpu_info *there = fake_ptr(&g, FAKE_VA + 10 * 4096 + 256);
	evtchn_port_t port = ipi(0);

	g.v->info->arch.cr2 = 0x1234;
	*(struct vcpu_register_vcpu_info *)fake_ptr(&g, FAKE_VA) = r;
	ck_assert_int_eq(
		fake_call(g.v, __HYPERVISOR_vcpu_op, VCPUOP_register_vcpu_info, 0, FAKE_VA), 0);
	ck_assert_ptr_eq(g.v->info, there);
	ck_assert_uint_eq(there->arch.cr2, 0x1234);
	ck_assert_uint_eq(there->evtchn_pending_sel, ~UINT64_C(0));
	ck_assert_uint_eq(there->evtchn_upcall_pending, 1);
	there->evtchn_pending_sel = 0;
	there->evtchn_upcall_pending = 0;
	ck_assert_int_eq(send(&g, port), 0);
	ck_assert_uint_eq(there->evtchn_upcall_pending, 1);
	/* Once only. */
	ck_assert_int_eq(
		fake_call(g.v, __HYPERVISOR_vcpu_op, VCPUOP_register_vcpu_info, 0, FAKE_VA),
		-XEN_EINVAL);
}
END_TEST

/* ---- ports of back-ends ---- */

static unsigned notified;

static void notify(void *arg)
{
	ck_assert_ptr_eq(arg, &notified);
	notified++;
}

START_TEST(a_back_end_takes_the_port_that_the_guest_left_for_it)
{
	evtchn_port_t port = unbound(&g, 0);

	notified = 0;
	ck_assert_int_eq(hv_evtchn_accept_host(g.d, port, notify, &notified), 0);
	ck_assert_int_eq(hv_evtchn_accept_host(g.d, port, notify, &notified), -XEN_EINVAL);
	ck_assert_uint_eq(status(&g, port).status, EVTCHNSTAT_interdomain);
	ck_assert_uint_eq(status(&g, port).u.interdomain.dom, 0);
	ck_assert_int_eq(send(&g, port), 0);
	ck_assert_uint_eq(notified, 1);
	ck_assert(!pending(&g, port));
	hv_evtchn_notify_guest(g.d, port);
	ck_assert(pending(&g, port));

	hv_evtchn_close_host(g.d, port);
	ck_assert_uint_eq(status(&g, port).status, EVTCHNSTAT_unbound);
	ck_assert_int_eq(send(&g, port), 0);
	ck_assert_uint_eq(notified, 1);
}
END_TEST

START_TEST(a_closed_host_port_is_not_used_again_before_the_back_end_lets_go)
{
	evtchn_port_t port, next;

	notified = 0;
	ck_assert_int_eq(hv_evtchn_bind_host(g.d, notify, &notified, &port), 0);
	ck_assert_int_eq(close_port(&g, port), 0);
	ck_assert_int_eq(close_port(&g, port), -XEN_EINVAL);
	ck_assert_uint_eq(status(&g, port).status, EVTCHNSTAT_closed);
	ck_assert_int_eq(send(&g, port), -XEN_EINVAL);
	next = ipi(0);
	ck_assert_uint_ne(next, port);
	hv_evtchn_notify_guest(g.d, port); /* nobody is there any more */
	ck_assert(!pending(&g, port));
	hv_evtchn_close_host(g.d, port);
	ck_assert_uint_eq(ipi(0), port);
	ck_assert_uint_eq(notified, 0);
}
END_TEST

/* ---- limits ---- */

START_TEST(all_4095_ports_can_be_had_and_no_more)
{
	struct evtchn_bind_ipi b = { 0 };

	for (unsigned i = 1; i < 4096; i++)
		ck_assert_uint_eq(ipi(0), i);
	ck_assert_int_eq(op(&g, EVTCHNOP_bind_ipi, &b, sizeof(b)), -XEN_ENOSPC);
	ck_assert_int_eq(send(&g, 4095), 0);
	ck_assert_uint_eq(si->vcpu_info[0].evtchn_pending_sel, UINT64_C(1) << 63);
	ck_assert_int_eq(send(&g, 4096), -XEN_EINVAL);
	ck_assert_int_eq(close_port(&g, 77), 0);
	ck_assert_uint_eq(ipi(0), 77);
}
END_TEST

START_TEST(ports_exist_in_steps_of_64)
{
	struct evtchn_status s = { .dom = DOMID_SELF, .port = 63 };

	ck_assert_int_eq(op(&g, EVTCHNOP_status, &s, sizeof(s)), 0);
	s.port = 64;
	ck_assert_int_eq(op(&g, EVTCHNOP_status, &s, sizeof(s)), -XEN_EINVAL);
	for (unsigned i = 1; i <= 64; i++)
		ipi(0);
	ck_assert_int_eq(op(&g, EVTCHNOP_status, &s, sizeof(s)), 0);
}
END_TEST

START_TEST(reset_closes_everything)
{
	struct evtchn_reset r = { DOMID_SELF };
	evtchn_port_t port, a = ipi(0), b = unbound(&g, 0);

	notified = 0;
	ck_assert_int_eq(hv_evtchn_bind_host(g.d, notify, &notified, &port), 0);
	ck_assert_int_eq(op(&g, EVTCHNOP_reset, &r, sizeof(r)), 0);
	ck_assert_uint_eq(status(&g, a).status, EVTCHNSTAT_closed);
	ck_assert_uint_eq(status(&g, b).status, EVTCHNSTAT_closed);
	ck_assert_uint_eq(status(&g, port).status, EVTCHNSTAT_closed);
}
END_TEST

/* ---- hostile: what Xen refuses is refused with the same number ---- */

static const struct {
	uint32_t cmd;
	uint32_t arg[4];
	int rc;
} refused[] = {
	{ EVTCHNOP_send, { 0 }, -XEN_EINVAL },
	{ EVTCHNOP_send, { 5 }, -XEN_EINVAL },
	{ EVTCHNOP_send, { UINT32_MAX }, -XEN_EINVAL },
	{ EVTCHNOP_close, { 0 }, -XEN_EINVAL },
	{ EVTCHNOP_close, { 63 }, -XEN_EINVAL },
	{ EVTCHNOP_close, { UINT32_MAX }, -XEN_EINVAL },
	{ EVTCHNOP_unmask, { 4096 }, -XEN_EINVAL },
	{ EVTCHNOP_unmask, { 63 }, 0 }, /* exists, is free: nothing happens */
	{ EVTCHNOP_bind_virq, { NR_VIRQS, 0 }, -XEN_EINVAL },
	{ EVTCHNOP_bind_virq, { UINT32_MAX, 0 }, -XEN_EINVAL },
	{ EVTCHNOP_bind_virq, { VIRQ_TIMER, 4 }, -XEN_ENOENT },
	{ EVTCHNOP_bind_virq, { VIRQ_CONSOLE, 1 }, -XEN_EINVAL },
	{ EVTCHNOP_bind_virq, { VIRQ_ARCH_0, 1 }, -XEN_EINVAL },
	{ EVTCHNOP_bind_ipi, { 4 }, -XEN_ENOENT },
	{ EVTCHNOP_bind_ipi, { UINT32_MAX }, -XEN_ENOENT },
	{ EVTCHNOP_bind_pirq, { 1 }, -XEN_EPERM },
	{ EVTCHNOP_bind_pirq, { 100000 }, -XEN_EINVAL },
	{ EVTCHNOP_alloc_unbound, { 0 /* dom 0, remote 0 */ }, -XEN_EPERM },
	{ EVTCHNOP_alloc_unbound, { 42 }, -XEN_ESRCH },
	{ EVTCHNOP_bind_interdomain, { 0, 1 }, -XEN_EINVAL },
	{ EVTCHNOP_bind_interdomain, { 42, 1 }, -XEN_ESRCH },
	{ EVTCHNOP_bind_interdomain, { DOMID_SELF, 1 }, -XEN_EINVAL },
	{ EVTCHNOP_bind_interdomain, { DOMID_SELF, UINT32_MAX }, -XEN_EINVAL },
	{ EVTCHNOP_status, { 0, 1 }, -XEN_EPERM },
	{ EVTCHNOP_status, { 42, 1 }, -XEN_ESRCH },
	{ EVTCHNOP_status, { DOMID_SELF, UINT32_MAX }, -XEN_EINVAL },
	{ EVTCHNOP_reset, { 0 }, -XEN_EPERM },
	{ EVTCHNOP_reset, { 42 }, -XEN_ESRCH },
	{ EVTCHNOP_bind_vcpu, { 1, 4 }, -XEN_ENOENT },
	{ EVTCHNOP_bind_vcpu, { 1, 0 }, -XEN_EINVAL },
	{ EVTCHNOP_init_control, { 0 }, -XEN_ENOSYS },
	{ EVTCHNOP_expand_array, { 0 }, -XEN_EOPNOTSUPP },
	{ EVTCHNOP_set_priority, { 0 }, -XEN_ENOSYS },
	{ EVTCHNOP_set_priority, { 64 }, -XEN_EINVAL },
	{ 14, { 0 }, -XEN_EPERM }, /* what Xen goes on with after a part of reset */
	{ 99, { 0 }, -XEN_ENOSYS },
	{ UINT32_MAX, { 0 }, -XEN_ENOSYS },
};

START_TEST(bad_arguments_get_xens_errors_and_change_nothing)
{
	uint32_t arg[8] = { 0 };

	for (unsigned i = 0; i < 4; i++)
		arg[i] = refused[_i].arg[i];
	ck_assert_int_eq(op(&g, refused[_i].cmd, arg, sizeof(arg)), refused[_i].rc);
	ck_assert_uint_eq(status(&g, 1).status, EVTCHNSTAT_closed);
	ck_assert_uint_eq(si->vcpu_info[0].evtchn_upcall_pending, 0);
}
END_TEST

START_TEST(an_argument_that_cannot_be_read_is_efault)
{
	for (uint32_t cmd = 0; cmd <= EVTCHNOP_reset; cmd++)
		ck_assert_int_eq(fake_call(g.v, __HYPERVISOR_event_channel_op, cmd, 0x1000, 0),
		                 -XEN_EFAULT);
	ck_assert_uint_eq(ipi(0), 1);
}
END_TEST

START_TEST(a_stranger_cannot_bind_to_a_port_left_for_another)
{
	evtchn_port_t theirs = unbound(&other, 0);
	struct evtchn_bind_interdomain b = { .remote_dom = other.d->domid, .remote_port = theirs };

	ck_assert_int_eq(op(&g, EVTCHNOP_bind_interdomain, &b, sizeof(b)), -XEN_EINVAL);
	ck_assert_uint_eq(status(&other, theirs).status, EVTCHNSTAT_unbound);
	/* Nor look at it. */
	ck_assert_int_eq(op(&g, EVTCHNOP_status,
	                    &(struct evtchn_status){ .dom = other.d->domid, .port = theirs },
	                    sizeof(struct evtchn_status)),
	                 -XEN_EPERM);
}
END_TEST

/* ---- races: a back-end closes while the guest sends ---- */

static atomic_bool stop;
static atomic_int alive; /* 1 while the argument of notify is valid */

static void slow_notify(void *arg)
{
	ck_assert_int_eq(atomic_load((atomic_int *)arg), 1);
	for (volatile int i = 0; i < 200; i++)
		;
	ck_assert_int_eq(atomic_load((atomic_int *)arg), 1);
}

static void *sender(void *arg)
{
	evtchn_port_t *port = arg;

	while (!atomic_load(&stop))
		send(&g, *port);
	return NULL;
}

START_TEST(after_close_host_notify_never_runs)
{
	evtchn_port_t port = unbound(&g, 0);
	pthread_t t;

	atomic_store(&stop, false);
	pthread_create(&t, NULL, sender, &port);
	for (unsigned i = 0; i < 2000; i++) {
		atomic_store(&alive, 1);
		ck_assert_int_eq(hv_evtchn_accept_host(g.d, port, slow_notify, &alive), 0);
		hv_evtchn_close_host(g.d, port);
		atomic_store(&alive, 0);
	}
	atomic_store(&stop, true);
	pthread_join(t, NULL);
}
END_TEST

Suite *evtchn_suite(void);
Suite *evtchn_suite(void)
{
	Suite *s = suite_create("evtchn");
	TCase *tc = tcase_create("normal");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, an_event_sets_port_selector_and_upcall);
	tcase_add_test(tc, a_masked_port_is_pending_and_no_more);
	tcase_add_test(tc, unmasking_a_quiet_port_makes_no_event);
	tcase_add_test(tc, a_port_that_is_pending_already_delivers_once);
	tcase_add_test(tc, a_kick_is_sent_only_to_a_vcpu_that_takes_events);
	tcase_add_test(tc, the_first_port_is_one_and_a_closed_one_is_used_again);
	tcase_add_test(tc, a_virq_is_bound_once_per_vcpu_and_raised_there);
	tcase_add_test(tc, a_domain_that_dies_leaves_its_peer_unbound);
	tcase_add_test(tc, a_channel_to_oneself_has_two_ports);
	tcase_add_test(tc, bind_vcpu_moves_what_may_move);
	tcase_add_test(tc, moving_vcpu_info_loses_no_event);
	tcase_add_test(tc, a_back_end_takes_the_port_that_the_guest_left_for_it);
	tcase_add_test(tc, a_closed_host_port_is_not_used_again_before_the_back_end_lets_go);
	suite_add_tcase(s, tc);

	tc = tcase_create("limits");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, all_4095_ports_can_be_had_and_no_more);
	tcase_add_test(tc, ports_exist_in_steps_of_64);
	tcase_add_test(tc, reset_closes_everything);
	suite_add_tcase(s, tc);

	tc = tcase_create("two domains");
	tcase_add_checked_fixture(tc, setup_two, teardown_two);
	tcase_add_test(tc, two_domains_meet_and_part);
	tcase_add_test(tc, a_stranger_cannot_bind_to_a_port_left_for_another);
	suite_add_tcase(s, tc);

	tc = tcase_create("hostile");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, bad_arguments_get_xens_errors_and_change_nothing, 0,
	                    ARRAY_LEN(refused));
	tcase_add_test(tc, an_argument_that_cannot_be_read_is_efault);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, after_close_host_notify_never_runs);
	suite_add_tcase(s, tc);
	return s;
}
