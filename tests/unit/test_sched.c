/* SPDX-License-Identifier: MIT */
/*
 * vCPU threads (core/sched.c, core/schedop.c): blocking, polling and waking without losing a wake-up,
 * shutdown, watchdog, the end. The guests are scripts that run on real threads.
 */
#include <check.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "abi/errno.h"
#include "tests/fake/fake_vcpu.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define POLL_ARG     (FAKE_VA + 0x4000)
#define PORT_ARG     (FAKE_VA + 0x5000)
#define SEND_ARG     (FAKE_VA + 0x6000)

static struct fake_guest g;
static struct shared_info *si;

static void setup(void)
{
	fake_guest_make(&g, 2);
	si = g.d->shared_info;
}

static void teardown(void)
{
	fake_guest_destroy(&g);
}

static evtchn_port_t bind_ipi(unsigned vcpu)
{
	struct evtchn_bind_ipi b = { .vcpu = vcpu };

	ck_assert_int_eq(fake_call_with(g.v, __HYPERVISOR_event_channel_op, EVTCHNOP_bind_ipi, &b,
	                                sizeof(b)),
	                 0);
	return b.port;
}

static void host_notify(void *arg)
{
	(void)arg;
}

static evtchn_port_t bind_host(void)
{
	evtchn_port_t port;

	ck_assert_int_eq(hv_evtchn_bind_host(g.d, host_notify, NULL, &port), 0);
	return port;
}

static void clear_events(struct hv_vcpu *v)
{
	__atomic_store_n(&v->info->evtchn_upcall_pending, 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&v->info->evtchn_pending_sel, 0, __ATOMIC_SEQ_CST);
}

static void clear_port(evtchn_port_t port)
{
	__atomic_fetch_and(&si->evtchn_pending[port / 64], ~(UINT64_C(1) << port % 64),
	                   __ATOMIC_SEQ_CST);
}

static bool is_pending(evtchn_port_t port)
{
	return __atomic_load_n(&si->evtchn_pending[port / 64], __ATOMIC_SEQ_CST) >> port % 64 & 1;
}

static void pause_ms(long ms)
{
	nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000 }, NULL);
}

/* ---- block ---- */

/* A moment of changing length, so that both sides of a race meet at every point of it. */
static void dither(void)
{
	static _Thread_local unsigned state = 1;

	state = state * 1103515245 + 12345;
	for (volatile unsigned i = state >> 16 & 1023; i; i--)
		;
}

static struct {
	atomic_int events;  /* upcalls that the guest took */
	atomic_int blocked; /* blocks that it asked for */
	evtchn_port_t port;
} ping;

/* Keeps two threads from taking turns on one processor, where they would never race. */
static void stay_on(unsigned cpu)
{
	cpu_set_t all, one;

	if (sched_getaffinity(0, sizeof(all), &all) || CPU_COUNT(&all) < 2)
		return;
	for (unsigned i = 0; i < CPU_SETSIZE; i++) {
		if (!CPU_ISSET(i, &all) || cpu--)
			continue;
		CPU_ZERO(&one);
		CPU_SET(i, &one);
		sched_setaffinity(0, sizeof(one), &one);
		return;
	}
}

/* For races: the guest runs on another processor than the sender. */
static void settle(struct hv_vcpu *v, void *arg)
{
	if (arg && atomic_load(&g.runs[v->id]) == 1)
		stay_on(1);
}

/* Takes the upcall when it has been entered for one, else blocks. */
static void take_or_block(struct hv_vcpu *v, struct hv_exit *exit, void *arg)
{
	settle(v, arg);
	if (v->regs.rip == FAKE_HANDLER(256)) {
		ck_assert_int_eq(__atomic_load_n(&v->info->evtchn_upcall_mask, __ATOMIC_SEQ_CST),
		                 1);
		clear_events(v);
		clear_port(ping.port);
		atomic_fetch_add(&ping.events, 1);
		v->regs.rip = FAKE_VA;
		v->regs.rsp = FAKE_STACK;
	}
	atomic_fetch_add(&ping.blocked, 1);
	dither();
	fake_exit_hypercall(v, exit, __HYPERVISOR_sched_op, SCHEDOP_block, 0, 0);
}

START_TEST(block_sleeps_until_an_event_and_enables_it)
{
	memset(&ping, 0, sizeof(ping));
	ping.port = bind_host();
	g.script[0] = take_or_block;
	ck_assert_int_eq(hv_domain_start(g.d), 0);
	ck_assert(fake_wait(&ping.blocked, 1));
	pause_ms(20);
	ck_assert_int_eq(atomic_load(&ping.blocked), 1);
	ck_assert_uint_eq(__atomic_load_n(&si->vcpu_info[0].evtchn_upcall_mask, __ATOMIC_SEQ_CST),
	                  0);
	hv_evtchn_notify_guest(g.d, ping.port);
	ck_assert(fake_wait(&ping.events, 1));
	ck_assert(fake_wait(&ping.blocked, 2));
}
END_TEST

START_TEST(block_does_not_sleep_over_a_pending_event)
{
	memset(&ping, 0, sizeof(ping));
	ping.port = bind_host();
	hv_evtchn_notify_guest(g.d, ping.port);
	g.script[0] = take_or_block;
	ck_assert_int_eq(hv_domain_start(g.d), 0);
	ck_assert(fake_wait(&ping.events, 1));
}
END_TEST

/*
 * Sends without looking whether the guest keeps up. A wake-up that is lost leaves the port pending for
 * ever, for then no later event sets a bit anew.
 */
static void storm(atomic_int *met)
{
	struct timespec ms = { 0, 1000000 };
	unsigned i;

	stay_on(0);
	/* On a busy host the vCPU's thread may hardly run meanwhile: until it has met enough of them. */
	for (i = 0; i < 300000 || (i < 30000000 && atomic_load(met) <= 10); i++) {
		hv_evtchn_notify_guest(g.d, ping.port);
		dither();
	}
	for (i = 0; i < 10000 && is_pending(ping.port); i++)
		nanosleep(&ms, NULL);
	ck_assert_msg(!is_pending(ping.port), "a wake-up was lost");
}

START_TEST(no_wake_up_is_ever_lost)
{
	memset(&ping, 0, sizeof(ping));
	ping.port = bind_host();
	g.script[0] = take_or_block;
	g.arg[0] = &g;
	ck_assert_int_eq(hv_domain_start(g.d), 0);
	storm(&ping.events);
	ck_assert_int_gt(atomic_load(&ping.events), 10);
}
END_TEST

static atomic_int sleeper_tid;

static void note_thread_and_block(struct hv_vcpu *v, struct hv_exit *exit, void *arg)
{
	atomic_store(&sleeper_tid, gettid());
	take_or_block(v, exit, arg);
}

/* Of the vCPU's thread, of its own will and not. */
static long context_switches(void)
{
	char name[64], line[128];
	long sum = 0, n;
	FILE *f;

	snprintf(name, sizeof(name), "/proc/self/task/%d/status", atomic_load(&sleeper_tid));
	f = fopen(name, "re");
	ck_assert_ptr_nonnull(f);
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "voluntary_ctxt_switches: %ld", &n) == 1 ||
		    sscanf(line, "nonvoluntary_ctxt_switches: %ld", &n) == 1)
			sum += n;
	fclose(f);
	return sum;
}

START_TEST(a_guest_that_sleeps_without_a_timer_makes_no_context_switch)
{
	long before;

	memset(&ping, 0, sizeof(ping));
	ping.port = bind_host();
	g.script[0] = note_thread_and_block;
	ck_assert_int_eq(hv_domain_start(g.d), 0);
	ck_assert(fake_wait(&ping.blocked, 1));
	pause_ms(50);
	before = context_switches();
	ck_assert_int_gt(before, 0);
	pause_ms(1000);
	ck_assert_int_eq(context_switches(), before);
	ck_assert_int_eq(atomic_load(&ping.blocked), 1);
}
END_TEST

/* ---- a running vCPU ---- */

static atomic_int taken, in_guest;

static void run_and_take(struct hv_vcpu *v, struct hv_exit *exit, void *arg)
{
	(void)exit;
	settle(v, arg);
	if (v->regs.rip == FAKE_HANDLER(256)) {
		clear_events(v);
		clear_port(ping.port);
		v->regs.rip = FAKE_VA;
		v->regs.rsp = FAKE_STACK;
		__atomic_store_n(&v->info->evtchn_upcall_mask, 0, __ATOMIC_SEQ_CST);
		atomic_fetch_add(&taken, 1);
	}
	atomic_store(&in_guest, 1);
	dither();
	fake_run_until_stopped(v);
}

START_TEST(an_event_interrupts_running_code_every_time)
{
	ping.port = bind_host();
	si->vcpu_info[0].evtchn_upcall_mask = 0;
	g.script[0] = run_and_take;
	g.arg[0] = &g;
	ck_assert_int_eq(hv_domain_start(g.d), 0);
	storm(&taken);
	ck_assert_int_gt(atomic_load(&taken), 10);
}
END_TEST

START_TEST(masked_events_leave_running_code_alone)
{
	unsigned kicks;

	ping.port = bind_host();
	si->vcpu_info[0].evtchn_upcall_mask = 1;
	g.script[0] = run_and_take;
	ck_assert_int_eq(hv_domain_start(g.d), 0);
	ck_assert(fake_wait(&in_guest, 1));
	kicks = atomic_load(&g.kicks[0]);
	hv_evtchn_notify_guest(g.d, ping.port);
	ck_assert_uint_eq(atomic_load(&g.kicks[0]), kicks);
	ck_assert_int_eq(atomic_load(&taken), 0);
}
END_TEST

/* ---- poll ---- */

static struct {
	atomic_int polls, returns;
	int64_t result;
	uint64_t before_ns, after_ns;
	bool stop;
} poller;

/* Polls for what the test put into POLL_ARG, notes the result, and polls again. */
static void poll_again(struct hv_vcpu *v, struct hv_exit *exit, void *arg)
{
	settle(v, arg);
	if (atomic_load(&poller.polls) > atomic_load(&poller.returns)) {
		poller.result = (int64_t)v->regs.rax;
		poller.after_ns = hv_time_vcpu_now(v);
		clear_port(ping.port);
		atomic_fetch_add(&poller.returns, 1);
		if (poller.stop) {
			fake_run_until_stopped(v);
			return;
		}
	}
	poller.before_ns = hv_time_vcpu_now(v);
	atomic_fetch_add(&poller.polls, 1);
	dither();
	fake_exit_hypercall(v, exit, __HYPERVISOR_sched_op, SCHEDOP_poll, POLL_ARG, 0);
}

static void poll_for(evtchn_port_t port, unsigned nr, uint64_t timeout_ns)
{
	struct sched_poll *p = fake_ptr(&g, POLL_ARG);

	memset(&poller, 0, sizeof(poller));
	poller.stop = true;
	*(evtchn_port_t *)fake_ptr(&g, PORT_ARG) = port;
	p->ports.va = PORT_ARG;
	p->nr_ports = nr;
	p->timeout = timeout_ns ? hv_time_now(g.m) + timeout_ns : 0;
	si->vcpu_info[0].evtchn_upcall_mask = 1;
	g.script[0] = poll_again;
}

START_TEST(poll_wakes_for_its_port_though_it_is_masked)
{
	ping.port = bind_host();
	si->evtchn_mask[0] = ~UINT64_C(0);
	poll_for(ping.port, 1, 0);
	ck_assert_int_eq(hv_domain_start(g.d), 0);
	ck_assert(fake_wait(&poller.polls, 1));
	pause_ms(20);
	ck_assert_int_eq(atomic_load(&poller.returns), 0);
	hv_evtchn_notify_guest(g.d, ping.port);
	ck_assert(fake_wait(&poller.returns, 1));
	ck_assert_int_eq(poller.result, 0);
	ck_assert_uint_eq(atomic_load(&g.d->sched.poll_mask), 0);
}
END_TEST

START_TEST(poll_for_one_port_sleeps_through_others)
{
	evtchn_port_t other = bind_host();

	ping.port = bind_host();
	si->evtchn_mask[0] = ~UINT64_C(0);
	poll_for(ping.port, 1, 0);
	ck_assert_int_eq(hv_domain_start(g.d), 0);
	ck_assert(fake_wait(&poller.polls, 1));
	pause_ms(10);
	hv_evtchn_notify_guest(g.d, other);
	pause_ms(20);
	ck_assert_int_eq(atomic_load(&poller.returns), 0);
	hv_evtchn_notify_guest(g.d, ping.port);
	ck_assert(fake_wait(&poller.returns, 1));
}
END_TEST

START_TEST(poll_ends_in_time)
{
	ping.port = bind_host();
	poll_for(ping.port, 1, 20000000);
	ck_assert_int_eq(hv_domain_start(g.d), 0);
	ck_assert(fake_wait(&poller.returns, 1));
	ck_assert_int_eq(poller.result, 0);
	ck_assert_uint_ge(poller.after_ns, ((struct sched_poll *)fake_ptr(&g, POLL_ARG))->timeout);
}
END_TEST

START_TEST(poll_with_a_time_in_the_past_returns)
{
	ping.port = bind_host();
	poll_for(ping.port, 1, 1);
	ck_assert_int_eq(hv_domain_start(g.d), 0);
	ck_assert(fake_wait(&poller.returns, 1));
	ck_assert_int_eq(poller.result, 0);
}
END_TEST

START_TEST(no_polled_event_is_ever_lost)
{
	ping.port = bind_host();
	si->evtchn_mask[0] = ~UINT64_C(0);
	poll_for(ping.port, 1, 0);
	poller.stop = false;
	g.arg[0] = &g;
	ck_assert_int_eq(hv_domain_start(g.d), 0);
	storm(&poller.returns);
	ck_assert_int_gt(atomic_load(&poller.returns), 10);
}
END_TEST

static const struct {
	uint64_t ports;
	unsigned nr;
	evtchn_port_t port;
	int rc;
} bad_polls[] = {
	{ PORT_ARG, 129, 1, -XEN_EINVAL }, { PORT_ARG, UINT32_MAX, 1, -XEN_EINVAL },
	{ 0x1000, 1, 1, -XEN_EFAULT },     { UINT64_MAX - 3, 2, 1, -XEN_EFAULT },
	{ PORT_ARG, 1, 32, -XEN_EINVAL },  { PORT_ARG, 1, UINT32_MAX, -XEN_EINVAL },
};

START_TEST(a_poll_that_is_refused_leaves_the_vcpu_awake)
{
	struct sched_poll p = { .ports.va = bad_polls[_i].ports, .nr_ports = bad_polls[_i].nr };

	*(evtchn_port_t *)fake_ptr(&g, PORT_ARG) = bad_polls[_i].port;
	ck_assert_int_eq(fake_call_with(g.v, __HYPERVISOR_sched_op, SCHEDOP_poll, &p, sizeof(p)),
	                 bad_polls[_i].rc);
	ck_assert(!atomic_load(&g.v->sched.blocked));
	ck_assert_uint_eq(atomic_load(&g.d->sched.poll_mask), 0);
}
END_TEST

START_TEST(a_poll_returns_at_once_when_there_is_reason)
{
	evtchn_port_t port = bind_ipi(0);
	struct sched_poll p = { .ports.va = PORT_ARG, .nr_ports = 1 };

	*(evtchn_port_t *)fake_ptr(&g, PORT_ARG) = port;
	si->evtchn_pending[0] = 1u << port;
	ck_assert_int_eq(fake_call_with(g.v, __HYPERVISOR_sched_op, SCHEDOP_poll, &p, sizeof(p)),
	                 0);
	ck_assert(!atomic_load(&g.v->sched.blocked));
	/* An upcall that is due counts for any port. */
	si->evtchn_pending[0] = 0;
	si->vcpu_info[0].evtchn_upcall_mask = 0;
	si->vcpu_info[0].evtchn_upcall_pending = 1;
	ck_assert_int_eq(fake_call_with(g.v, __HYPERVISOR_sched_op, SCHEDOP_poll, &p, sizeof(p)),
	                 0);
	ck_assert(!atomic_load(&g.v->sched.blocked));
}
END_TEST

/* ---- the end ---- */

START_TEST(a_shutdown_ends_the_domain_with_its_reason)
{
	struct sched_shutdown s = { _i };

	ck_assert_int_eq(
		fake_call_with(g.v, __HYPERVISOR_sched_op, SCHEDOP_shutdown, &s, sizeof(s)), 0);
	ck_assert(atomic_load(&g.d->ending));
	ck_assert_int_eq(g.d->end.reason, _i);
	ck_assert_str_eq(g.d->end.text, "");
	ck_assert(g.d->end.regs_valid);
	ck_assert_int_eq(atomic_load(&g.ended), 1);
}
END_TEST

START_TEST(the_first_end_wins)
{
	hv_domain_end(g.d, NULL, SHUTDOWN_reboot, NULL);
	hv_domain_crash(g.d, g.v, "too late");
	ck_assert_int_eq(g.d->end.reason, SHUTDOWN_reboot);
	ck_assert_str_eq(g.d->end.text, "");
	ck_assert(!g.d->end.regs_valid);
	ck_assert_int_eq(atomic_load(&g.ended), 1);
}
END_TEST

START_TEST(a_code_set_before_is_the_one_that_counts)
{
	struct sched_shutdown s = { SHUTDOWN_crash };

	ck_assert_int_eq(
		fake_call_with(g.v, __HYPERVISOR_sched_op, SCHEDOP_shutdown_code, &s, sizeof(s)),
		0);
	ck_assert(!atomic_load(&g.d->ending));
	ck_assert_int_eq(fake_call(g.v, __HYPERVISOR_sched_op_compat, SCHEDOP_shutdown,
	                           SHUTDOWN_poweroff, 0),
	                 0);
	ck_assert_int_eq(g.d->end.reason, SHUTDOWN_crash);
}
END_TEST

START_TEST(an_end_from_outside_stops_running_sleeping_and_offline_vcpus)
{
	memset(&ping, 0, sizeof(ping));
	fake_vcpu_prepare(&g, 1);
	g.script[0] = _i ? take_or_block : NULL;
	g.script[1] = NULL;
	ck_assert_int_eq(hv_domain_start(g.d), 0);
	pause_ms(10);
	ck_assert_int_eq(atomic_load(&g.ended), 0);
	hv_domain_end(g.d, NULL, SHUTDOWN_poweroff, NULL);
	ck_assert(fake_wait(&g.ended, 1));
	ck_assert_uint_eq(atomic_load(&g.d->live_threads), 0);
}
END_TEST

static const struct {
	uint64_t op;
	int rc;
} plain[] = {
	{ SCHEDOP_yield, 0 },
	{ SCHEDOP_pin_override, -XEN_EPERM },
	{ 8, -XEN_ENOSYS },
	{ UINT32_MAX, -XEN_ENOSYS },
};

START_TEST(other_operations)
{
	ck_assert_int_eq(fake_call(g.v, __HYPERVISOR_sched_op, plain[_i].op, FAKE_VA, 0),
	                 plain[_i].rc);
}
END_TEST

static const struct {
	domid_t id;
	int rc;
} remotes[] = {
	{ 0, -XEN_EPERM }, { 1, -XEN_EPERM }, { 9, -XEN_ESRCH }, { DOMID_SELF, -XEN_ESRCH }
};

START_TEST(others_cannot_be_shut_down)
{
	struct sched_remote_shutdown r = { .domain_id = remotes[_i].id };

	ck_assert_int_eq(
		fake_call_with(g.v, __HYPERVISOR_sched_op, SCHEDOP_remote_shutdown, &r, sizeof(r)),
		remotes[_i].rc);
	ck_assert(!atomic_load(&g.d->ending));
}
END_TEST

/* ---- watchdog ---- */

static int64_t watchdog(uint32_t id, uint32_t seconds)
{
	struct sched_watchdog w = { id, seconds };

	return fake_call_with(g.v, __HYPERVISOR_sched_op, SCHEDOP_watchdog, &w, sizeof(w));
}

START_TEST(watchdogs_are_given_out_and_taken_back)
{
	ck_assert_int_eq(watchdog(1, 5), -XEN_EINVAL);
	ck_assert_int_eq(watchdog(0, 5), 1);
	ck_assert_int_eq(watchdog(0, 5), 2);
	ck_assert_int_eq(watchdog(0, 5), -XEN_ENOSPC);
	ck_assert_int_eq(watchdog(3, 5), -XEN_EINVAL);
	ck_assert_int_eq(watchdog(1, 0), 0);
	ck_assert_int_eq(watchdog(1, 0), -XEN_EINVAL);
	ck_assert_int_eq(watchdog(0, UINT32_MAX), 1);
}
END_TEST

START_TEST(a_watchdog_ends_a_domain_that_sleeps)
{
	memset(&ping, 0, sizeof(ping));
	ping.port = bind_host();
	g.script[0] = take_or_block;
	ck_assert_int_eq(hv_domain_start(g.d), 0);
	ck_assert(fake_wait(&ping.blocked, 1));
	atomic_store(&g.d->sched.watchdog_ns[0], hv_time_now(g.m) + 20000000);
	hv_vcpu_poke(g.v);
	ck_assert(fake_wait(&g.ended, 1));
	ck_assert_int_eq(g.d->end.reason, SHUTDOWN_watchdog);
}
END_TEST

/* ---- timers wake sleepers ---- */

static uint64_t timer_at, woke_at;
static atomic_int woken;

static void sleep_for_timer(struct hv_vcpu *v, struct hv_exit *exit, void *arg)
{
	(void)arg;
	if (v->regs.rip == FAKE_HANDLER(256)) {
		woke_at = hv_time_vcpu_now(v);
		atomic_store(&woken, 1);
		fake_run_until_stopped(v);
		return;
	}
	if (!timer_at) {
		timer_at = hv_time_vcpu_now(v) + 5000000;
		fake_exit_hypercall(v, exit, __HYPERVISOR_set_timer_op, timer_at, 0, 0);
		return;
	}
	fake_exit_hypercall(v, exit, __HYPERVISOR_sched_op, SCHEDOP_block, 0, 0);
}

START_TEST(a_timer_wakes_a_blocked_vcpu_and_not_early)
{
	struct evtchn_bind_virq b = { .virq = VIRQ_TIMER };

	ck_assert_int_eq(fake_call_with(g.v, __HYPERVISOR_event_channel_op, EVTCHNOP_bind_virq, &b,
	                                sizeof(b)),
	                 0);
	atomic_store(&g.v->time.periodic_ns, 0); /* no tick but this timer */
	g.script[0] = sleep_for_timer;
	ck_assert_int_eq(hv_domain_start(g.d), 0);
	ck_assert(fake_wait(&woken, 1));
	ck_assert_uint_ge(woke_at, timer_at);
}
END_TEST

/* ---- runstate ---- */

START_TEST(runstate_times_add_up)
{
	struct vcpu_runstate_info r;
	uint64_t now, sum = 0;

	memset(&ping, 0, sizeof(ping));
	ping.port = bind_host();
	g.script[0] = take_or_block;
	ck_assert_int_eq(hv_domain_start(g.d), 0);
	ck_assert(fake_wait(&ping.blocked, 1));
	pause_ms(30);
	hv_sched_runstate_get(g.v, &r);
	now = hv_time_now(g.m);
	ck_assert_int_eq(r.state, RUNSTATE_blocked);
	ck_assert_uint_ge(r.time[RUNSTATE_blocked], 20000000);
	for (unsigned i = 0; i < 4; i++)
		sum += r.time[i];
	ck_assert_uint_le(sum, now);
	hv_evtchn_notify_guest(g.d, ping.port);
	ck_assert(fake_wait(&ping.blocked, 2));
	hv_sched_runstate_get(g.v, &r);
	ck_assert_uint_gt(r.time[RUNSTATE_running], 0);
}
END_TEST

Suite *sched_suite(void);
Suite *sched_suite(void)
{
	Suite *s = suite_create("sched");
	TCase *tc = tcase_create("normal");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, block_sleeps_until_an_event_and_enables_it);
	tcase_add_test(tc, block_does_not_sleep_over_a_pending_event);
	tcase_add_test(tc, a_guest_that_sleeps_without_a_timer_makes_no_context_switch);
	tcase_add_test(tc, masked_events_leave_running_code_alone);
	tcase_add_test(tc, poll_wakes_for_its_port_though_it_is_masked);
	tcase_add_test(tc, poll_for_one_port_sleeps_through_others);
	tcase_add_test(tc, poll_ends_in_time);
	tcase_add_test(tc, poll_with_a_time_in_the_past_returns);
	tcase_add_test(tc, a_poll_returns_at_once_when_there_is_reason);
	tcase_add_test(tc, a_timer_wakes_a_blocked_vcpu_and_not_early);
	tcase_add_test(tc, runstate_times_add_up);
	suite_add_tcase(s, tc);

	tc = tcase_create("races");
	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, no_wake_up_is_ever_lost);
	tcase_add_test(tc, an_event_interrupts_running_code_every_time);
	tcase_add_test(tc, no_polled_event_is_ever_lost);
	suite_add_tcase(s, tc);

	tc = tcase_create("the end");
	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, a_shutdown_ends_the_domain_with_its_reason, 0, 6);
	tcase_add_test(tc, the_first_end_wins);
	tcase_add_test(tc, a_code_set_before_is_the_one_that_counts);
	tcase_add_loop_test(tc, an_end_from_outside_stops_running_sleeping_and_offline_vcpus, 0, 2);
	tcase_add_test(tc, watchdogs_are_given_out_and_taken_back);
	tcase_add_test(tc, a_watchdog_ends_a_domain_that_sleeps);
	suite_add_tcase(s, tc);

	tc = tcase_create("hostile");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, a_poll_that_is_refused_leaves_the_vcpu_awake, 0,
	                    ARRAY_LEN(bad_polls));
	tcase_add_loop_test(tc, other_operations, 0, ARRAY_LEN(plain));
	tcase_add_loop_test(tc, others_cannot_be_shut_down, 0, ARRAY_LEN(remotes));
	suite_add_tcase(s, tc);
	return s;
}
