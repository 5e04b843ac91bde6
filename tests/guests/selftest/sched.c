/* SPDX-License-Identifier: MIT */
/*
 * Scheduling: yield, block, poll, and what else sched_op and vcpu_op answer.
 *
 * Method: the vCPU goes to sleep with something armed that must wake it. Breakage: it never wakes
 * (the run then ends by its time limit), or wakes before there is a reason.
 */
#include "tests/guests/selftest/test.h"

#include "pvops/barrier.h"
#include "pvops/cpu.h"
#include "pvops/evtchn.h"
#include "pvops/time.h"

#define MS 1000000ull

static volatile unsigned int calls;

static void count(evtchn_port_t port, void *arg)
{
	(void)port;
	(void)arg;
	calls++;
}

static void yield_returns(void)
{
	ST_EQ(pv_hc_sched_op(SCHEDOP_yield, NULL), 0);
}

static void block_wakes_for_a_timer(void)
{
	evtchn_port_t port;
	uint64_t deadline;

	ST_EQ(pv_evtchn_bind_virq(VIRQ_TIMER, 0, count, NULL, &port), 0);
	calls = 0;
	deadline = pv_now_ns() + 5 * MS;
	pv_timer_set(deadline);
	pv_irq_disable(); /* or it might come between the look and the sleep */
	while (!calls) {
		pv_irq_wait();
		pv_irq_disable();
	}
	pv_irq_enable();
	ST_CHECK(pv_now_ns() + 1000 >= deadline, "woke early");
	ST_EQ(pv_evtchn_close(port), 0);
}

static void block_enables_events(void)
{
	evtchn_port_t port;
	uint64_t deadline;
	bool enabled;

	ST_EQ(pv_evtchn_bind_virq(VIRQ_TIMER, 0, count, NULL, &port), 0);
	calls = 0;
	pv_irq_disable();
	deadline = pv_now_ns() + 2 * MS;
	pv_timer_set(deadline);
	pv_irq_wait();
	enabled = pv_irq_enabled();
	/* A machine's timer may have had an interrupt under way that nobody wants any more. */
	while (pv_is_native() && !calls && pv_now_ns() < deadline + 20 * MS)
		pv_irq_wait();
	pv_irq_enable();
	ST_CHECK(enabled, "events are masked after it");
	st_settle(&calls, 1);
	ST_EQ(calls, 1);
	ST_EQ(pv_evtchn_close(port), 0);
}

/* The race that the joint step exists for: the event comes before the sleep, with events masked. */
static void block_does_not_sleep_over_a_pending_event(void)
{
	evtchn_port_t port;
	uint64_t start = pv_now_ns();

	ST_EQ(pv_evtchn_bind_ipi(0, count, NULL, &port), 0);
	calls = 0;
	pv_irq_disable();
	pv_evtchn_send(port);
	pv_irq_wait();
	st_settle(&calls, 1);
	ST_EQ(calls, 1);
	ST_CHECK(pv_now_ns() - start < 5000 * MS, "slept");
	ST_EQ(pv_evtchn_close(port), 0);
}

/* An event on any port, masked ones included, may end a poll of no port early; few do. */
static void poll_times_out(void)
{
	uint64_t deadline = pv_now_ns() + 5 * MS;
	struct sched_poll poll = { .timeout = deadline };
	unsigned int polls;

	for (polls = 0; pv_now_ns() + 1000 < deadline; polls++)
		ST_EQ(pv_hc_sched_op(SCHEDOP_poll, &poll), 0);
	ST_CHECK(polls < 10, "%u polls for 5 ms", polls);
}

static void poll_sees_a_pending_port(void)
{
	evtchn_port_t port;
	struct sched_poll poll = { .nr_ports = 1 };

	ST_EQ(pv_evtchn_bind_ipi(0, count, NULL, &port), 0);
	pv_evtchn_mask(port);
	calls = 0;
	set_xen_guest_handle(poll.ports, &port);
	pv_evtchn_send(port);
	ST_EQ(pv_hc_sched_op(SCHEDOP_poll, &poll), 0); /* would sleep for ever */
	ST_EQ(calls, 0);
	ST_CHECK(pv_evtchn_take(port), "the port is not pending any more");
	ST_EQ(pv_evtchn_close(port), 0);
}

/* With events masked, and the port masked too: a poll wakes by the pending bit alone. */
static void poll_wakes_when_a_port_rises(void)
{
	evtchn_port_t port;
	struct sched_poll poll = { .nr_ports = 1, .timeout = pv_now_ns() + 5000 * MS };

	ST_EQ(pv_evtchn_bind_virq(VIRQ_TIMER, 0, count, NULL, &port), 0);
	calls = 0;
	pv_irq_disable();
	set_xen_guest_handle(poll.ports, &port);
	pv_timer_set(pv_now_ns() + 3 * MS);
	pv_hc_sched_op(SCHEDOP_poll, &poll);
	if (calls || pv_irq_enabled())
		st_fail("events were delivered: %u", calls);
	else if (pv_now_ns() >= poll.timeout)
		st_fail("it slept until its time-out");
	pv_irq_enable();
	ST_EQ(calls, 1);
	ST_EQ(pv_evtchn_close(port), 0);
}

static void poll_errors(void)
{
	evtchn_port_t bad = EVTCHN_2L_NR_CHANNELS;
	struct sched_poll poll = { .nr_ports = 129 };

	set_xen_guest_handle(poll.ports, &bad);
	ST_EQ(pv_hc_sched_op(SCHEDOP_poll, &poll), -XEN_EINVAL);
	poll.nr_ports = 1;
	ST_EQ(pv_hc_sched_op(SCHEDOP_poll, &poll), -XEN_EINVAL);
	set_xen_guest_handle(poll.ports, ST_HYPERVISOR);
	ST_EQ(pv_hc_sched_op(SCHEDOP_poll, &poll), -XEN_EFAULT);
	set_xen_guest_handle(poll.ports, ST_UNMAPPED);
	ST_EQ(pv_hc_sched_op(SCHEDOP_poll, &poll), -XEN_EFAULT);
}

static bool have_calls(void *arg)
{
	return *(volatile unsigned int *)arg > 0;
}

static void library_waits_with_a_deadline(void)
{
	uint64_t deadline = pv_now_ns() + 4 * MS;
	struct pv_waitq q = { { 0 } };
	unsigned int never = 0;

	ST_CHECK(!pv_wait(&q, have_calls, &never, deadline), "it says yes");
	ST_CHECK(pv_now_ns() + 1000 >= deadline, "it came back early");
}

static void library_waits_for_its_reason(void)
{
	struct pv_waitq q = { { 0 } };
	evtchn_port_t port;

	ST_EQ(pv_evtchn_bind_virq(VIRQ_TIMER, 0, count, NULL, &port), 0);
	calls = 0;
	pv_timer_set(pv_now_ns() + 3 * MS);
	ST_CHECK(pv_wait(&q, have_calls, (void *)&calls, pv_now_ns() + 5000 * MS), "it says no");
	ST_EQ(calls, 1);
	ST_EQ(pv_evtchn_close(port), 0);
}

static void unknown_operations_are_enosys(void)
{
	ST_EQ(pv_hc_sched_op(99, NULL), -XEN_ENOSYS);
	ST_EQ(pv_hc_vcpu_op(99, 0, NULL), -XEN_ENOSYS);
}

static void shutting_others_down_is_denied(void)
{
	struct sched_remote_shutdown op = { .domain_id = 0, .reason = SHUTDOWN_poweroff };

	ST_EQ(pv_hc_sched_op(SCHEDOP_remote_shutdown, &op), -XEN_EPERM);
}

static void watchdog_is_given_a_number(void)
{
	struct sched_watchdog op = { .id = 0, .timeout = 100 };
	long id = pv_hc_sched_op(SCHEDOP_watchdog, &op);

	ST_CHECK(id > 0, "%ld", id);
	op = (struct sched_watchdog){ .id = (uint32_t)id, .timeout = 0 };
	ST_EQ(pv_hc_sched_op(SCHEDOP_watchdog, &op), 0);
	op = (struct sched_watchdog){ .id = 1000, .timeout = 100 };
	ST_EQ(pv_hc_sched_op(SCHEDOP_watchdog, &op), -XEN_EINVAL);
}

static void this_vcpu_is_up(void)
{
	ST_EQ(pv_hc_vcpu_op(VCPUOP_is_up, 0, NULL), 1);
	ST_EQ(pv_hc_vcpu_op(VCPUOP_is_up, 1000, NULL), -XEN_ENOENT);
	ST_EQ(pv_hc_vcpu_op(VCPUOP_up, 1000, NULL), -XEN_ENOENT);
}

static void this_vcpu_cannot_be_initialised_again(void)
{
	static struct vcpu_guest_context context;

	ST_EQ(pv_hc_vcpu_op(VCPUOP_initialise, 0, &context), -XEN_EEXIST);
}

static const struct st_claim claims[] = {
	ST_CLAIM(yield_returns),
	ST_GENERAL(block_wakes_for_a_timer),
	ST_GENERAL(block_enables_events),
	ST_GENERAL(block_does_not_sleep_over_a_pending_event),
	ST_CLAIM(poll_times_out),
	ST_CLAIM(poll_sees_a_pending_port),
	ST_CLAIM(poll_wakes_when_a_port_rises),
	ST_CLAIM(poll_errors),
	ST_GENERAL(library_waits_with_a_deadline),
	ST_GENERAL(library_waits_for_its_reason),
	ST_CLAIM(unknown_operations_are_enosys),
	ST_CLAIM(shutting_others_down_is_denied),
	ST_CLAIM(watchdog_is_given_a_number),
	ST_CLAIM(this_vcpu_is_up),
	ST_CLAIM(this_vcpu_cannot_be_initialised_again),
};

ST_FAMILY(sched, claims);
