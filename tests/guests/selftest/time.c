/* SPDX-License-Identifier: MIT */
/*
 * Clocks and timers: system time, wall clock, the one-shot timer in its three forms, the areas that
 * the hypervisor keeps up to date on request.
 *
 * Method: system time is read often and compared with itself, with the counter, and with the moment
 * at which timers fire. Nothing here assumes that a host is fast, only that no timer is early.
 * Breakage: time goes back, stands still, or a timer never comes.
 */
#include "tests/guests/selftest/test.h"

#include "pvops/barrier.h"
#include "pvops/cpu.h"
#include "pvops/evtchn.h"
#include "pvops/time.h"

#define MS 1000000ull

static volatile unsigned int fired;
static volatile uint64_t fired_at;
static evtchn_port_t timer_port;

static void on_timer(evtchn_port_t port, void *arg)
{
	(void)port;
	(void)arg;
	fired_at = pv_now_ns();
	fired++;
}

static int timer_open(void)
{
	fired = 0;
	return pv_evtchn_bind_virq(VIRQ_TIMER, 0, on_timer, NULL, &timer_port);
}

static void timer_close(void)
{
	pv_timer_set(0);
	pv_evtchn_close(timer_port);
}

/* The bare call, where there is somebody to answer it. */
static long set_timer(uint64_t when)
{
	return pv_is_native() ? pv_timer_set(when) : pv_hc_set_timer_op(when);
}

/* Waits until the timer has fired, or `limit` has passed. */
static bool wait_fired(unsigned int times, uint64_t limit)
{
	uint64_t end = pv_now_ns() + limit;

	while (fired < times && pv_now_ns() < end)
		pv_hc_sched_op(SCHEDOP_yield, NULL);
	return fired >= times;
}

static void clock_never_goes_back(void)
{
	uint64_t last = pv_now_ns(), now;
	unsigned int i;

	for (i = 0; i < 100000; i++) {
		now = pv_now_ns();
		ST_CHECK(now >= last, "%lu after %lu", now, last);
		last = now;
	}
}

static void clock_advances(void)
{
	uint64_t start = pv_now_ns();
	unsigned int i;

	for (i = 0; i < 100000000; i++)
		if (pv_now_ns() > start + MS)
			return;
	st_fail("%lu ns in %u readings", pv_now_ns() - start, i);
}

static void clock_parameters_make_sense(void)
{
	struct vcpu_time_info t;
	uint64_t per_ms;

	pv_time_snapshot(&pv_cpu()->info->time, &t);
	ST_CHECK(t.tsc_to_system_mul, "no multiplier");
	/* How long 10^6 ticks are: a counter of 10 MHz to 100 GHz. */
	per_ms = pv_time_scale(1000000, t.tsc_to_system_mul, t.tsc_shift);
	ST_CHECK(per_ms > 10000 && per_ms < 100000000, "a million ticks are %lu ns", per_ms);
}

/* The area is written under a version: even at rest, and different after an update. */
static void clock_version_is_even_at_rest(void)
{
	const struct vcpu_time_info *t = &pv_cpu()->info->time;
	unsigned int i, odd = 0;

	for (i = 0; i < 1000; i++)
		odd += pv_load_acquire(&t->version) & 1;
	ST_CHECK(odd < 1000, "always odd");
}

static void wall_clock_is_sane(void)
{
	uint64_t s = pv_wall_ns() / 1000000000;

	ST_CHECK(s > 1577836800 && s < 4102444800, "%lu seconds since 1970", s); /* 2020 to 2100 */
}

static void wall_clock_advances_with_the_other(void)
{
	uint64_t t0 = pv_now_ns(), w0 = pv_wall_ns(), w1, t1; /* the inner pair is the shorter */

	st_spin_ns(2 * MS);
	w1 = pv_wall_ns();
	t1 = pv_now_ns();
	ST_CHECK(w1 - w0 >= 2 * MS && w1 - w0 <= t1 - t0 + MS, "%lu ns against %lu ns", w1 - w0,
	         t1 - t0);
}

static void timer_fires_and_not_early(void)
{
	uint64_t deadline;

	ST_EQ(timer_open(), 0);
	deadline = pv_now_ns() + 3 * MS;
	ST_EQ(set_timer(deadline), 0);
	ST_CHECK(wait_fired(1, 2000 * MS), "it never came");
	/* The two sides may round differently, by less than a microsecond. */
	ST_CHECK(fired_at + 1000 >= deadline, "%lu ns early", deadline - fired_at);
	st_spin_ns(5 * MS);
	ST_EQ(fired, 1);
	timer_close();
}

static void timer_in_the_past_fires_at_once(void)
{
	ST_EQ(timer_open(), 0);
	ST_EQ(set_timer(pv_now_ns() - 1), 0);
	ST_CHECK(wait_fired(1, 2000 * MS), "it never came");
	timer_close();
}

/*
 * Arms the timer for 30 ms and does something to it long before that. On a host so busy that the
 * moment passed meanwhile, tries again. True when it was done in time.
 */
static bool soon_after_arming(long (*what)(uint64_t arg), uint64_t arg)
{
	unsigned int tries;
	uint64_t armed_for;

	for (tries = 0; tries < 10; tries++) {
		pv_timer_set(0);
		fired = 0;
		armed_for = pv_now_ns() + 30 * MS;
		if (set_timer(armed_for) || what(arg))
			return false;
		if (!fired && pv_now_ns() < armed_for)
			return true;
	}
	return false;
}

static void timer_is_stopped_by_zero(void)
{
	ST_EQ(timer_open(), 0);
	ST_CHECK(soon_after_arming(set_timer, 0), "refused, or the host is too busy");
	st_spin_ns(50 * MS);
	ST_EQ(fired, 0);
	timer_close();
}

static void timer_is_moved_by_another_call(void)
{
	uint64_t later;

	ST_EQ(timer_open(), 0);
	later = pv_now_ns() + 100 * MS;
	ST_CHECK(soon_after_arming(set_timer, later), "refused, or the host is too busy");
	ST_CHECK(wait_fired(1, 2000 * MS), "it never came");
	ST_CHECK(fired_at + 1000 >= later, "%lu ns early", later - fired_at);
	ST_EQ(fired, 1);
	timer_close();
}

static void singleshot_timer_fires(void)
{
	struct vcpu_set_singleshot_timer op = { .timeout_abs_ns = pv_now_ns() + 3 * MS };

	ST_EQ(timer_open(), 0);
	ST_EQ(pv_hc_vcpu_op(VCPUOP_set_singleshot_timer, 0, &op), 0);
	ST_CHECK(wait_fired(1, 2000 * MS), "it never came");
	ST_CHECK(fired_at + 1000 >= op.timeout_abs_ns, "%lu ns early",
	         op.timeout_abs_ns - fired_at);
	timer_close();
}

static long stop_singleshot(uint64_t unused)
{
	(void)unused;
	return pv_hc_vcpu_op(VCPUOP_stop_singleshot_timer, 0, NULL);
}

/* It is the same timer, whichever call armed it. */
static void singleshot_timer_is_stopped(void)
{
	ST_EQ(timer_open(), 0);
	ST_CHECK(soon_after_arming(stop_singleshot, 0), "refused, or the host is too busy");
	st_spin_ns(50 * MS);
	ST_EQ(fired, 0);
	timer_close();
}

static void periodic_timer_ticks(void)
{
	struct vcpu_set_periodic_timer op = { .period_ns = 5 * MS };
	bool came;

	ST_EQ(timer_open(), 0);
	ST_EQ(pv_hc_vcpu_op(VCPUOP_set_periodic_timer, 0, &op), 0);
	came = wait_fired(4, 5000 * MS);
	ST_EQ(pv_hc_vcpu_op(VCPUOP_stop_periodic_timer, 0, NULL), 0);
	ST_CHECK(came, "%u ticks", fired);
	timer_close();
}

static void periodic_timer_stops(void)
{
	unsigned int before;

	ST_EQ(timer_open(), 0);
	st_spin_ns(1 * MS);
	before = fired;
	st_spin_ns(30 * MS);
	ST_EQ(fired, before);
	timer_close();
}

static void periods_below_a_millisecond_are_refused(void)
{
	struct vcpu_set_periodic_timer op = { .period_ns = MS - 1 };

	ST_EQ(pv_hc_vcpu_op(VCPUOP_set_periodic_timer, 0, &op), -XEN_EINVAL);
}

static void runstate_says_running(void)
{
	struct vcpu_runstate_info r = { 0 };
	uint64_t sum, now;

	ST_EQ(pv_hc_vcpu_op(VCPUOP_get_runstate_info, 0, &r), 0);
	now = pv_now_ns();
	sum = r.time[0] + r.time[1] + r.time[2] + r.time[3];
	ST_EQ(r.state, RUNSTATE_running);
	ST_CHECK(r.state_entry_time <= now, "entered at %lu, now %lu", r.state_entry_time, now);
	ST_CHECK(r.time[RUNSTATE_running] > 0, "never ran");
	ST_CHECK(sum <= now + MS, "states sum up to %lu, now %lu", sum, now);
}

/* Sleeps, as often as it takes on a busy host, until five milliseconds of it have been counted. */
static void runstate_counts_blocked_time(void)
{
	struct vcpu_runstate_info first = { 0 }, now = { 0 };
	unsigned int sleeps;

	ST_EQ(pv_hc_vcpu_op(VCPUOP_get_runstate_info, 0, &first), 0);
	for (sleeps = 0; sleeps < 100; sleeps++) {
		struct sched_poll poll = { .timeout = pv_now_ns() + 10 * MS };

		ST_EQ(pv_hc_sched_op(SCHEDOP_poll, &poll), 0);
		ST_EQ(pv_hc_vcpu_op(VCPUOP_get_runstate_info, 0, &now), 0);
		if (now.time[RUNSTATE_blocked] >= first.time[RUNSTATE_blocked] + 5 * MS)
			return;
	}
	st_fail("%lu ns of %u sleeps of 10 ms",
	        now.time[RUNSTATE_blocked] - first.time[RUNSTATE_blocked], sleeps);
}

static struct vcpu_runstate_info runstate_area;

static void runstate_area_is_kept(void)
{
	struct vcpu_register_runstate_memory_area op;
	uint64_t entry;

	op.addr.v = &runstate_area;
	memset(&runstate_area, 0, sizeof(runstate_area));
	ST_EQ(pv_hc_vcpu_op(VCPUOP_register_runstate_memory_area, 0, &op), 0);
	entry = pv_load(&runstate_area.state_entry_time);
	ST_CHECK(entry, "not filled at once");
	ST_EQ(pv_load(&runstate_area.state), RUNSTATE_running);
	st_spin_ns(MS);
	op.addr.v = NULL;
	ST_EQ(pv_hc_vcpu_op(VCPUOP_register_runstate_memory_area, 0, &op), 0);
}

static struct vcpu_time_info time_area;

static void time_area_is_kept(void)
{
	struct vcpu_register_time_memory_area op;
	struct vcpu_time_info a, b;

	op.addr.v = &time_area;
	memset(&time_area, 0, sizeof(time_area));
	ST_EQ(pv_hc_vcpu_op(VCPUOP_register_vcpu_time_memory_area, 0, &op), 0);
	pv_time_snapshot(&time_area, &a);
	pv_time_snapshot(&pv_cpu()->info->time, &b);
	ST_CHECK(a.tsc_to_system_mul, "not filled at once");
	ST_EQ(a.tsc_to_system_mul, b.tsc_to_system_mul);
	ST_EQ(a.tsc_shift, b.tsc_shift);
	op.addr.v = NULL;
	ST_EQ(pv_hc_vcpu_op(VCPUOP_register_vcpu_time_memory_area, 0, &op), 0);
}

static void areas_at_wild_addresses_are_refused(void)
{
	struct vcpu_register_runstate_memory_area r;
	struct vcpu_register_time_memory_area t;

	r.addr.v = ST_HYPERVISOR;
	ST_EQ(pv_hc_vcpu_op(VCPUOP_register_runstate_memory_area, 0, &r), -XEN_EFAULT);
	t.addr.v = ST_HYPERVISOR;
	ST_EQ(pv_hc_vcpu_op(VCPUOP_register_vcpu_time_memory_area, 0, &t), -XEN_EFAULT);
}

static const struct st_claim claims[] = {
	ST_GENERAL(clock_never_goes_back),
	ST_GENERAL(clock_advances),
	ST_GENERAL(clock_parameters_make_sense),
	ST_GENERAL(clock_version_is_even_at_rest),
	ST_GENERAL(wall_clock_is_sane),
	ST_GENERAL(wall_clock_advances_with_the_other),
	ST_GENERAL(timer_fires_and_not_early),
	ST_GENERAL(timer_in_the_past_fires_at_once),
	ST_GENERAL(timer_is_stopped_by_zero),
	ST_GENERAL(timer_is_moved_by_another_call),
	ST_CLAIM(singleshot_timer_fires),
	ST_CLAIM(singleshot_timer_is_stopped),
	ST_CLAIM(periodic_timer_ticks),
	ST_CLAIM(periodic_timer_stops),
	ST_CLAIM(periods_below_a_millisecond_are_refused),
	ST_CLAIM(runstate_says_running),
	ST_CLAIM(runstate_counts_blocked_time),
	ST_CLAIM(runstate_area_is_kept),
	ST_CLAIM(time_area_is_kept),
	ST_CLAIM(areas_at_wild_addresses_are_refused),
};

ST_FAMILY(time, claims);
