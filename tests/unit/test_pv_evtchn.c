/* SPDX-License-Identifier: MIT */
/*
 * Unit tests of the guest library's event channels: the scan of the two-level bitmap, masks, and the
 * hypercalls that a port's life needs. The hypervisor is played by a few lines here.
 */
#include <check.h>
#include <string.h>

#include "tests/fake/fake_hypercalls.h"

#include "abi/errno.h"
#include "abi/event_channel.h"
#include "pvops/evtchn.h"
#include "pvops/pv_ops.h"

#define NR_PORTS 4096u

Suite *pv_evtchn_suite(void);

static unsigned int calls[NR_PORTS];
static evtchn_port_t order[64];
static unsigned int n_calls;
static evtchn_port_t next_port;
static long refuse;

static void count(evtchn_port_t port, void *arg)
{
	ck_assert_ptr_eq(arg, calls);
	calls[port]++;
	if (n_calls < 64)
		order[n_calls] = port;
	n_calls++;
}

/* What the hypervisor does when an event comes: pending, selector unless masked, upcall. */
static void raise_port(unsigned int cpu, evtchn_port_t port)
{
	struct vcpu_info *info = &fake_shared_info.vcpu_info[cpu];

	fake_shared_info.evtchn_pending[port / 64] |= 1ul << port % 64;
	if (fake_shared_info.evtchn_mask[port / 64] >> port % 64 & 1)
		return;
	info->evtchn_pending_sel |= 1ul << port / 64;
	info->evtchn_upcall_pending = 1;
}

static long event_channel_op(const unsigned long args[6])
{
	union {
		struct evtchn_alloc_unbound *alloc;
		struct evtchn_bind_interdomain *inter;
		struct evtchn_bind_virq *virq;
		struct evtchn_bind_ipi *ipi;
		struct evtchn_unmask *unmask;
	} op = { (void *)args[1] };

	if (refuse)
		return refuse;
	switch (args[0]) {
	case EVTCHNOP_alloc_unbound:
		op.alloc->port = next_port;
		return 0;
	case EVTCHNOP_bind_interdomain:
		op.inter->local_port = next_port;
		return 0;
	case EVTCHNOP_bind_virq:
		op.virq->port = next_port;
		return 0;
	case EVTCHNOP_bind_ipi:
		op.ipi->port = next_port;
		return 0;
	case EVTCHNOP_unmask:
		fake_shared_info.evtchn_mask[op.unmask->port / 64] &= ~(1ul
		                                                        << op.unmask->port % 64);
		if (fake_shared_info.evtchn_pending[op.unmask->port / 64] >> op.unmask->port % 64 &
		    1)
			raise_port(0, op.unmask->port);
		return 0;
	case EVTCHNOP_close:
	case EVTCHNOP_bind_vcpu:
	case EVTCHNOP_send:
		return 0;
	default:
		return -XEN_ENOSYS;
	}
}

static bool is_masked(evtchn_port_t port)
{
	return fake_shared_info.evtchn_mask[port / 64] >> port % 64 & 1;
}

static void setup(void)
{
	fake_hypercalls_reset();
	pv_ops = pv_ops_xen;
	fake_hypercall_set(__HYPERVISOR_event_channel_op, event_channel_op);
	memset(calls, 0, sizeof(calls));
	n_calls = 0;
	refuse = 0;
	pv_evtchn_init();
	pv_irq_disable();
}

static void bind(evtchn_port_t port)
{
	ck_assert_int_eq(pv_evtchn_bind(port, 0, count, calls), 0);
}

START_TEST(all_ports_begin_masked)
{
	ck_assert(is_masked(0) && is_masked(1) && is_masked(63) && is_masked(4095));
}
END_TEST

static const evtchn_port_t edges[] = { 0, 1, 63, 64, 127, 2048, 4031, 4032, 4095 };

START_TEST(each_port_reaches_its_handler_once)
{
	evtchn_port_t port = edges[_i];

	bind(port);
	ck_assert(!is_masked(port));
	raise_port(0, port);
	pv_evtchn_dispatch();
	ck_assert_uint_eq(calls[port], 1);
	ck_assert_uint_eq(n_calls, 1);
	ck_assert_uint_eq(fake_shared_info.evtchn_pending[port / 64], 0);
	ck_assert_uint_eq(fake_shared_info.vcpu_info[0].evtchn_upcall_pending, 0);
	ck_assert_uint_eq(fake_shared_info.vcpu_info[0].evtchn_pending_sel, 0);
	pv_evtchn_dispatch();
	ck_assert_uint_eq(n_calls, 1);
}
END_TEST

START_TEST(all_that_are_pending_are_handled)
{
	unsigned int i;

	for (i = 0; i < NR_PORTS; i += 7)
		bind(i);
	for (i = 0; i < NR_PORTS; i += 7)
		raise_port(0, i);
	pv_evtchn_dispatch();
	for (i = 0; i < NR_PORTS; i++)
		ck_assert_uint_eq(calls[i], i % 7 == 0);
}
END_TEST

START_TEST(masked_port_waits_for_its_unmasking)
{
	bind(77);
	pv_evtchn_mask(77);
	raise_port(0, 77);
	pv_evtchn_dispatch();
	ck_assert_uint_eq(calls[77], 0);
	pv_evtchn_unmask(77); /* pending: the hypervisor is asked, and raises it again */
	ck_assert_uint_eq(fake_hypercall_count(__HYPERVISOR_event_channel_op), 1);
	pv_evtchn_dispatch();
	ck_assert_uint_eq(calls[77], 1);
	pv_evtchn_mask(77);
	pv_evtchn_unmask(77); /* nothing pending: a bit in memory, no hypercall */
	ck_assert_uint_eq(fake_hypercall_count(__HYPERVISOR_event_channel_op), 1);
}
END_TEST

START_TEST(enabling_finds_what_came_while_masked)
{
	bind(5);
	raise_port(0, 5);
	ck_assert_uint_eq(calls[5], 0);
	pv_irq_enable();
	ck_assert_uint_eq(calls[5], 1);
	ck_assert(pv_irq_enabled());
}
END_TEST

START_TEST(saved_state_is_restored)
{
	uint64_t outer, inner;

	pv_irq_enable();
	outer = pv_irq_save();
	inner = pv_irq_save();
	pv_irq_restore(inner);
	ck_assert(!pv_irq_enabled());
	bind(9);
	raise_port(0, 9);
	ck_assert_uint_eq(calls[9], 0);
	pv_irq_restore(outer);
	ck_assert(pv_irq_enabled());
	ck_assert_uint_eq(calls[9], 1);
}
END_TEST

static evtchn_port_t noisy;

/* Raises itself and the other again each time. */
static void always_pending(evtchn_port_t port, void *arg)
{
	count(port, arg);
	if (n_calls < 40) {
		raise_port(0, noisy);
		raise_port(0, noisy + 1);
		raise_port(0, noisy + 70);
	}
}

/* Three ports that are always pending all get their share, in one word and in two. */
START_TEST(no_port_starves_another)
{
	noisy = 60;
	ck_assert_int_eq(pv_evtchn_bind(noisy, 0, always_pending, calls), 0);
	bind(noisy + 1);
	bind(noisy + 70);
	raise_port(0, noisy);
	pv_evtchn_dispatch();
	ck_assert_uint_ge(calls[noisy + 1], n_calls / 5);
	ck_assert_uint_ge(calls[noisy + 70], n_calls / 5);
}
END_TEST

static void resend_once(evtchn_port_t port, void *arg)
{
	count(port, arg);
	if (calls[port] == 1)
		raise_port(0, port);
}

START_TEST(event_during_its_own_handler_calls_it_again)
{
	ck_assert_int_eq(pv_evtchn_bind(100, 0, resend_once, calls), 0);
	raise_port(0, 100);
	pv_evtchn_dispatch();
	ck_assert_uint_eq(calls[100], 2);
}
END_TEST

static void mask_neighbour(evtchn_port_t port, void *arg)
{
	count(port, arg);
	pv_evtchn_mask(port + 1);
}

START_TEST(handler_may_mask_another_pending_port)
{
	ck_assert_int_eq(pv_evtchn_bind(50, 0, mask_neighbour, calls), 0);
	bind(51);
	raise_port(0, 50);
	raise_port(0, 51);
	pv_evtchn_dispatch();
	ck_assert_uint_eq(calls[51], 0);
	pv_evtchn_unmask(51);
	pv_evtchn_dispatch();
	ck_assert_uint_eq(calls[51], 1);
}
END_TEST

/* A word can hold ports of several vCPUs; each vCPU takes its own. */
START_TEST(other_vcpus_ports_are_left_to_them)
{
	fake_vcpu_enter(1);
	fake_vcpu_enter(0);
	ck_assert_int_eq(pv_evtchn_bind(10, 0, count, calls), 0);
	ck_assert_int_eq(pv_evtchn_bind(11, 1, count, calls), 0);
	raise_port(0, 10);
	raise_port(1, 11);
	pv_evtchn_dispatch();
	ck_assert_uint_eq(calls[10], 1);
	ck_assert_uint_eq(calls[11], 0);
	fake_vcpu_enter(1);
	fake_shared_info.vcpu_info[1].evtchn_upcall_pending = 1;
	fake_shared_info.vcpu_info[1].evtchn_pending_sel = 1;
	pv_evtchn_dispatch();
	ck_assert_uint_eq(calls[11], 1);
}
END_TEST

START_TEST(raised_port_looks_like_an_event)
{
	bind(33);
	pv_evtchn_raise(33);
	ck_assert_uint_eq(calls[33], 0);
	pv_irq_enable();
	ck_assert_uint_eq(calls[33], 1);
}
END_TEST

START_TEST(taken_event_is_nobody_elses)
{
	bind(34);
	raise_port(0, 34);
	ck_assert(pv_evtchn_take(34));
	ck_assert(!pv_evtchn_take(34));
	pv_irq_enable();
	ck_assert_uint_eq(calls[34], 0);
}
END_TEST

START_TEST(new_ports_get_their_handler)
{
	evtchn_port_t port = 0;

	next_port = 20;
	ck_assert_int_eq(pv_evtchn_alloc_unbound(0, count, calls, &port), 0);
	ck_assert_uint_eq(port, 20);
	next_port = 21;
	ck_assert_int_eq(pv_evtchn_bind_interdomain(0, 3, count, calls, &port), 0);
	next_port = 22;
	ck_assert_int_eq(pv_evtchn_bind_virq(VIRQ_TIMER, 0, count, calls, &port), 0);
	next_port = 23;
	ck_assert_int_eq(pv_evtchn_bind_ipi(0, count, calls, &port), 0);
	for (port = 20; port < 24; port++)
		raise_port(0, port);
	pv_irq_enable();
	ck_assert_uint_eq(calls[20] + calls[21] + calls[22] + calls[23], 4);
	ck_assert_int_eq(pv_evtchn_close(20), 0);
	ck_assert(is_masked(20));
}
END_TEST

START_TEST(failed_allocation_changes_nothing)
{
	evtchn_port_t port = 99;

	refuse = -XEN_ENOSPC;
	ck_assert_int_eq(pv_evtchn_alloc_unbound(0, count, calls, &port), -XEN_ENOSPC);
	ck_assert_int_eq(pv_evtchn_bind_virq(0, 0, count, calls, &port), -XEN_ENOSPC);
	ck_assert_uint_eq(port, 99);
}
END_TEST

START_TEST(ports_outside_the_table_are_refused)
{
	static const evtchn_port_t bad[] = { NR_PORTS, NR_PORTS + 63, 1u << 31, UINT32_MAX };
	evtchn_port_t port = bad[_i];

	ck_assert_int_eq(pv_evtchn_bind(port, 0, count, calls), -XEN_EINVAL);
	ck_assert_int_eq(pv_evtchn_set_cpu(port, 0), -XEN_EINVAL);
	ck_assert(!pv_evtchn_take(port));
	pv_evtchn_mask(port);
	pv_evtchn_unmask(port);
	pv_evtchn_raise(port);
	pv_evtchn_unbind(port);
	ck_assert_uint_eq(fake_hypercall_count(__HYPERVISOR_event_channel_op), 0);
	/* The hypervisor itself hands out such a port: it is given back. */
	next_port = port;
	ck_assert_int_eq(pv_evtchn_bind_ipi(0, count, calls, &port), -XEN_EINVAL);
	ck_assert_uint_eq(fake_hypercall_count(__HYPERVISOR_event_channel_op), 2);
}
END_TEST

START_TEST(two_handlers_for_one_port_are_refused)
{
	bind(40);
	ck_assert_int_eq(pv_evtchn_bind(40, 0, count, NULL), -XEN_EEXIST);
	ck_assert_int_eq(pv_evtchn_bind(41, 5, count, NULL), -XEN_EINVAL); /* no such vCPU */
	pv_evtchn_unbind(40);
	bind(40);
}
END_TEST

/* Bits that no honest hypervisor sets: a selector without words, words without handlers. */
START_TEST(stray_bits_end_the_scan)
{
	memset(fake_shared_info.evtchn_pending, 0xff, sizeof(fake_shared_info.evtchn_pending));
	memset(fake_shared_info.evtchn_mask, 0, sizeof(fake_shared_info.evtchn_mask));
	fake_shared_info.vcpu_info[0].evtchn_pending_sel = ~0ul;
	fake_shared_info.vcpu_info[0].evtchn_upcall_pending = 255;
	pv_evtchn_dispatch();
	ck_assert_uint_eq(n_calls, 0);
	ck_assert_uint_eq(fake_shared_info.vcpu_info[0].evtchn_upcall_pending, 0);
}
END_TEST

static void teardown(void)
{
	evtchn_port_t p;

	for (p = 0; p < NR_PORTS; p++)
		pv_evtchn_unbind(p);
}

Suite *pv_evtchn_suite(void)
{
	Suite *s = suite_create("pv_evtchn");
	TCase *tc = tcase_create("normal");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, all_ports_begin_masked);
	tcase_add_loop_test(tc, each_port_reaches_its_handler_once, 0, 9);
	tcase_add_test(tc, all_that_are_pending_are_handled);
	tcase_add_test(tc, masked_port_waits_for_its_unmasking);
	tcase_add_test(tc, enabling_finds_what_came_while_masked);
	tcase_add_test(tc, saved_state_is_restored);
	tcase_add_test(tc, event_during_its_own_handler_calls_it_again);
	tcase_add_test(tc, handler_may_mask_another_pending_port);
	tcase_add_test(tc, other_vcpus_ports_are_left_to_them);
	tcase_add_test(tc, raised_port_looks_like_an_event);
	tcase_add_test(tc, taken_event_is_nobody_elses);
	tcase_add_test(tc, new_ports_get_their_handler);
	suite_add_tcase(s, tc);
	tc = tcase_create("limits");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, no_port_starves_another);
	tcase_add_test(tc, failed_allocation_changes_nothing);
	suite_add_tcase(s, tc);
	tc = tcase_create("hostile");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, ports_outside_the_table_are_refused, 0, 4);
	tcase_add_test(tc, two_handlers_for_one_port_are_refused);
	tcase_add_test(tc, stray_bits_end_the_scan);
	suite_add_tcase(s, tc);
	return s;
}
