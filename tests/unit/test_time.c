/* SPDX-License-Identifier: MIT */
/*
 * Time (core/time.c): the line never steps back however it is refined, it is right to 50 ppm, what
 * guests read follows the version protocol, and timers fire when they should.
 *
 * The refinement is tested on a simulated host: TSC and CLOCK_MONOTONIC are numbers that the test
 * moves, with the inaccuracy of real readings.
 */
#include <check.h>
#include <stdlib.h>
#include <time.h>

#include "abi/errno.h"
#include "tests/fake/fake_vcpu.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define NS_PER_S     UINT64_C(1000000000)

static struct fake_guest g;
static struct hv_vcpu *v;

static void setup(void)
{
	fake_guest_make(&g, 2);
	v = g.v;
	v->info->evtchn_upcall_mask = 0;
}

static void teardown(void)
{
	fake_guest_destroy(&g);
}

/* ---- the simulated host ---- */

static struct {
	double hz;    /* of the TSC */
	double drift; /* CLOCK_MONOTONIC runs by this factor */
	uint64_t tsc;
	double ns;
} host;

static uint64_t random_to(uint64_t n)
{
	return ((uint64_t)rand() << 31 ^ (uint64_t)rand()) % n;
}

static void advance(uint64_t ticks)
{
	host.tsc += ticks;
	host.ns += (double)ticks / host.hz * 1e9 * host.drift;
}

static void advance_ns(uint64_t ns)
{
	advance((uint64_t)((double)ns * host.hz / 1e9));
}

/* A reading takes a while, sometimes a long one. */
static struct hv_time_sample sample(void)
{
	struct hv_time_sample s = { .tsc_lo = host.tsc };

	advance_ns(10 + random_to(40) + (random_to(20) == 0 ? random_to(5000) : 0));
	s.ns = (uint64_t)host.ns;
	advance_ns(10 + random_to(40));
	s.tsc_hi = host.tsc;
	return s;
}

static struct hv_clock make_clock(double hz)
{
	struct hv_clock c = { 0 };
	struct hv_time_sample s;

	srand((unsigned)(hz / 1000));
	host.hz = hz;
	host.drift = 1.0;
	host.tsc = 12345678901;
	host.ns = 5e12;
	c.anchor = sample();
	c.boot_ns = c.anchor.ns;
	advance_ns(400000);
	s = sample();
	hv_time_refine(&c, &s);
	return c;
}

static uint64_t truth(const struct hv_clock *c)
{
	return (uint64_t)host.ns - c->boot_ns;
}

static const double frequencies[] = { 8e8, 1e9, 1.9e9, 2.4e9, 3.7123e9, 5.7e9, 1e10 };

/* ---- normal: the line ---- */

START_TEST(after_ten_seconds_the_clock_is_right_to_50_ppm)
{
	struct hv_clock c = make_clock(frequencies[_i]);
	uint64_t at10, truth10, now, then;

	/* As a vCPU that runs does it: refined when it is due. */
	while (truth(&c) < 10 * NS_PER_S + NS_PER_S / 100) {
		advance_ns(NS_PER_S / 200);
		if (hv_time_line_ns(&c.line, host.tsc) >= atomic_load(&c.refine_ns)) {
			struct hv_time_sample s = sample();

			hv_time_refine(&c, &s);
		}
	}
	at10 = hv_time_line_ns(&c.line, host.tsc);
	truth10 = truth(&c);
	ck_assert_uint_le(at10, truth10);
	ck_assert_uint_le(truth10 - at10, 500000);
	/* The rate from here on. */
	advance_ns(20 * NS_PER_S);
	now = hv_time_line_ns(&c.line, host.tsc) - at10;
	then = truth(&c) - truth10;
	ck_assert_uint_le(now, then + then / 1000000);
	ck_assert_uint_ge(now, then - then / 20000);
}
END_TEST

START_TEST(the_first_line_is_right_to_a_thousandth)
{
	struct hv_clock c = make_clock(frequencies[_i]);
	uint64_t start = hv_time_line_ns(&c.line, host.tsc), t0 = truth(&c);

	advance_ns(NS_PER_S);
	ck_assert_uint_le(hv_time_line_ns(&c.line, host.tsc) - start, truth(&c) - t0 + 1000);
	ck_assert_uint_ge(hv_time_line_ns(&c.line, host.tsc) - start,
	                  (truth(&c) - t0) / 1000 * 985);
}
END_TEST

/* ---- the random walk ---- */

#define VCPUS 4

START_TEST(no_vcpu_ever_reads_an_earlier_time)
{
	struct hv_clock c = make_clock(frequencies[_i]);
	struct hv_time_line line[VCPUS];
	uint64_t last[VCPUS] = { 0 };

	for (unsigned i = 0; i < VCPUS; i++)
		line[i] = c.line;
	for (unsigned step = 0; step < 40000; step++) {
		unsigned who = (unsigned)random_to(VCPUS);
		uint64_t now;

		advance(1 + random_to(random_to(50) == 0 ? (uint64_t)host.hz : 100000));
		/* The host's clock is slewed now and then, by up to 500 ppm. */
		if (random_to(5000) == 0)
			host.drift = 1.0 + ((double)random_to(1001) - 500) / 1e6;
		if (random_to(200) == 0) {
			struct hv_time_sample s = sample();

			hv_time_refine(&c, &s);
		}
		if (random_to(20) == 0) {
			/* As hv_time_update_vcpu() does it. */
			uint64_t machine = hv_time_line_ns(&c.line, host.tsc);

			if (hv_time_line_ns(&line[who], host.tsc) > machine)
				hv_time_line_next(&line[who], host.tsc, machine, c.line.mul,
				                  c.line.shift);
			else
				line[who] = c.line;
		}
		now = hv_time_line_ns(&line[who], host.tsc);
		ck_assert_msg(now >= last[who], "vCPU %u: %lu after %lu in step %u", who, now,
		              last[who], step);
		last[who] = now;
	}
}
END_TEST

START_TEST(a_clock_that_is_ahead_comes_back_without_a_step)
{
	struct hv_time_line l = { 0, 0, 0x80000000u, 1 }; /* 1 GHz */
	uint64_t before, lead = 50000;

	/* 50 us ahead of the truth at a TSC of 1 s. */
	before = hv_time_line_ns(&l, NS_PER_S);
	hv_time_line_next(&l, NS_PER_S, before - lead, 0x80000000u, 1);
	ck_assert_uint_eq(hv_time_line_ns(&l, NS_PER_S), before);
	ck_assert_uint_le(hv_time_line_ns(&l, 2 * NS_PER_S), 2 * before - lead + lead / 100);
	/* Never slower than by an eighth of a thousandth. */
	ck_assert_uint_ge(hv_time_line_ns(&l, 2 * NS_PER_S), 2 * before - NS_PER_S / 8000);
}
END_TEST

/* ---- limits ---- */

static const struct {
	struct hv_time_line l;
	uint64_t tsc, ns;
} lines[] = {
	{ { 0, 0, 0x80000000u, 0 }, 1000, 500 },
	{ { 0, 0, 0x80000000u, 1 }, 1000, 1000 },
	{ { 0, 0, 0x80000000u, -1 }, 1000, 250 },
	{ { 100, 7, 0x80000000u, 1 }, 100, 7 },
	{ { 100, 7, 0x80000000u, 1 }, 99, 7 }, /* another processor's TSC, a little behind */
	{ { 0, 0, 0xffffffffu, 0 }, UINT64_C(1) << 62, (UINT64_C(1) << 62) - (UINT64_C(1) << 30) },
};

START_TEST(a_line_is_what_the_abi_says)
{
	ck_assert_uint_eq(hv_time_line_ns(&lines[_i].l, lines[_i].tsc), lines[_i].ns);
}
END_TEST

START_TEST(readings_that_are_useless_give_no_rate)
{
	const struct hv_time_sample a = { 100, 110, 1000 }, same = { 120, 130, 1000 };
	const struct hv_time_sample back = { 50, 60, 2000 };
	uint32_t mul = 1;
	int8_t shift = 1;

	ck_assert(!hv_time_rate(&a, &same, &mul, &shift));
	ck_assert(!hv_time_rate(&a, &back, &mul, &shift));
	ck_assert_uint_eq(mul, 1);
}
END_TEST

START_TEST(rates_are_exact_and_not_above_the_truth)
{
	const struct hv_time_sample a = { 0, 0, 0 };
	const struct hv_time_sample b = { 3000000000u, 3000000000u, 1000000000u };
	struct hv_time_line l = { 0 };

	ck_assert(hv_time_rate(&a, &b, &l.mul, &l.shift));
	ck_assert_uint_ge(l.mul, 0x80000000u);
	ck_assert_uint_le(hv_time_line_ns(&l, 3000000000u), 1000000000u);
	ck_assert_uint_ge(hv_time_line_ns(&l, 3000000000u), 999999998u);
}
END_TEST

/* ---- on a real clock: vcpu_time_info, wall clock ---- */

START_TEST(vcpu_time_info_agrees_with_the_hypervisors_clock)
{
	const struct vcpu_time_info *t = &v->info->time;
	struct hv_time_line l;
	uint64_t before, guest, after;

	hv_time_calibrate(g.m);
	ck_assert_uint_eq(t->version, 0);
	hv_time_update_vcpu(v);
	ck_assert_uint_eq(t->version, 2);
	l = (struct hv_time_line){ t->tsc_timestamp, t->system_time, t->tsc_to_system_mul,
		                   t->tsc_shift };
	before = hv_time_vcpu_now(v);
	guest = hv_time_line_ns(&l, hv_time_tsc(g.m));
	after = hv_time_vcpu_now(v);
	ck_assert_uint_le(before, guest);
	ck_assert_uint_le(guest, after);
	/* And with the host's, to the precision of the first line. */
	ck_assert_uint_le(guest, hv_time_host_ns() - g.m->clock.boot_ns + 1000000);
}
END_TEST

START_TEST(the_wall_clock_is_the_hosts)
{
	const struct shared_info *si = g.d->shared_info;
	struct timespec ts;
	uint64_t wall, now;

	hv_time_calibrate(g.m);
	hv_time_update_wallclock(g.d);
	ck_assert_uint_eq(si->wc_version % 2, 0);
	ck_assert_uint_lt(si->wc_nsec, NS_PER_S);
	clock_gettime(CLOCK_REALTIME, &ts);
	now = (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
	wall = ((uint64_t)si->wc_sec_hi << 32 | si->wc_sec) * NS_PER_S + si->wc_nsec +
	       hv_time_now(g.m);
	ck_assert_uint_le(wall, now + 100 * NS_PER_S);
	ck_assert_uint_ge(wall, now - 100 * NS_PER_S);
}
END_TEST

START_TEST(the_second_copy_is_written_and_even)
{
	struct vcpu_register_time_memory_area a = { .addr.p = FAKE_VA + 0x6000 };
	const struct vcpu_time_info *t = fake_ptr(&g, FAKE_VA + 0x6000);

	hv_time_calibrate(g.m);
	*(struct vcpu_register_time_memory_area *)fake_ptr(&g, FAKE_VA) = a;
	ck_assert_int_eq(fake_call(v, __HYPERVISOR_vcpu_op, VCPUOP_register_vcpu_time_memory_area,
	                           0, FAKE_VA),
	                 0);
	ck_assert_uint_ne(t->version, 0);
	ck_assert_uint_eq(t->version % 2, 0);
	ck_assert_mem_eq(t, &v->info->time, sizeof(*t));
}
END_TEST

START_TEST(without_a_usable_tsc_the_clock_is_the_hosts_to_the_nanosecond)
{
	uint64_t before, now, after;

	g.m->clock.tsc_is_usable = false; /* as hv_time_machine_init() leaves it on such a host */
	g.m->clock.line = (struct hv_time_line){ g.m->clock.boot_ns, 0, 0x80000000u, 1 };
	g.m->clock.is_calibrated = true;
	hv_time_update_vcpu(v);
	ck_assert_uint_eq(v->info->time.tsc_to_system_mul, 0x80000000u);
	ck_assert_int_eq(v->info->time.tsc_shift, 1);
	before = hv_time_host_ns();
	now = hv_time_vcpu_now(v);
	after = hv_time_host_ns();
	ck_assert_uint_ge(now, before - g.m->clock.boot_ns);
	ck_assert_uint_le(now, after - g.m->clock.boot_ns);
	/* And it is never refined. */
	atomic_store(&v->is_up, true);
	hv_time_service(v);
	ck_assert_uint_eq(hv_vcpu_deadline(v), HV_TIME_NEVER);
}
END_TEST

START_TEST(the_wall_clock_follows_the_host_and_not_every_jitter)
{
	struct shared_info *si = g.d->shared_info;
	uint32_t version;

	hv_time_update_wallclock(g.d);
	version = si->wc_version;
	for (unsigned i = 0; i < 100; i++)
		hv_time_update_wallclock(g.d);
	ck_assert_uint_eq(si->wc_version, version);
	g.d->time.wallclock_offset_ns = -(int64_t)(10 * NS_PER_S);
	hv_time_update_wallclock(g.d);
	ck_assert_uint_eq(si->wc_version, version + 2);
}
END_TEST

/* ---- timers ---- */

static bool timer_fired(void)
{
	return v->info->evtchn_upcall_pending;
}

static void bind_timer(void)
{
	struct evtchn_bind_virq b = { .virq = VIRQ_TIMER };

	ck_assert_int_eq(
		fake_call_with(v, __HYPERVISOR_event_channel_op, EVTCHNOP_bind_virq, &b, sizeof(b)),
		0);
	hv_time_calibrate(g.m);
	atomic_store(&v->is_up, true);
	atomic_store(&v->time.periodic_ns, 0);
	hv_time_service(v);
}

START_TEST(a_singleshot_timer_fires_once_and_not_early)
{
	uint64_t at;

	bind_timer();
	at = hv_time_vcpu_now(v) + 2000000;
	ck_assert_int_eq(fake_call(v, __HYPERVISOR_set_timer_op, at, 0, 0), 0);
	ck_assert(hv_time_is_due(v)); /* its deadline is to be worked out */
	hv_time_service(v);
	ck_assert(!timer_fired() || hv_time_vcpu_now(v) >= at);
	ck_assert_uint_ne(v->time.deadline_tsc, HV_TIME_NEVER);
	ck_assert_uint_le(hv_vcpu_deadline(v), hv_time_host_ns() + 2100000);
	while (!timer_fired()) {
		if (hv_time_is_due(v))
			hv_time_service(v);
		ck_assert(!timer_fired() || hv_time_vcpu_now(v) >= at);
	}
	ck_assert_uint_ge(hv_time_vcpu_now(v), at);
	ck_assert_uint_eq(v->time.singleshot_ns, HV_TIME_NEVER);
}
END_TEST

static const int64_t past[] = { 1, 1000 };

START_TEST(a_timer_in_the_past_fires_at_once)
{
	bind_timer();
	ck_assert_int_eq(fake_call(v, __HYPERVISOR_set_timer_op, (uint64_t)past[_i], 0, 0), 0);
	hv_time_service(v);
	ck_assert(timer_fired());
}
END_TEST

START_TEST(zero_stops_the_timer)
{
	bind_timer();
	fake_call(v, __HYPERVISOR_set_timer_op, 1, 0, 0);
	fake_call(v, __HYPERVISOR_set_timer_op, 0, 0, 0);
	hv_time_service(v);
	ck_assert(!timer_fired());
	ck_assert_uint_eq(v->time.singleshot_ns, HV_TIME_NEVER);
}
END_TEST

static const uint64_t far[] = { UINT64_C(1) << 52, INT64_MAX, (uint64_t)INT64_MIN, UINT64_MAX };

START_TEST(a_timer_that_is_absurdly_far_comes_in_a_tenth_of_a_second)
{
	uint64_t now;

	bind_timer();
	now = hv_time_vcpu_now(v);
	ck_assert_int_eq(fake_call(v, __HYPERVISOR_set_timer_op, far[_i], 0, 0), 0);
	ck_assert_uint_ge(v->time.singleshot_ns, now + 100000000);
	ck_assert_uint_le(v->time.singleshot_ns, now + 1100000000);
}
END_TEST

START_TEST(the_periodic_timer_runs_only_while_somebody_listens_and_the_vcpu_runs)
{
	bind_timer();
	atomic_store(&v->time.periodic_ns, 1000000);
	v->time.periodic_last_ns = 0;
	while (hv_time_vcpu_now(v) < 1000000)
		;
	hv_time_service(v);
	ck_assert(timer_fired());
	ck_assert_uint_le(hv_vcpu_deadline(v), hv_time_host_ns() + 1100000);
	/* Asleep: only what wakes a sleeper counts, and there is nothing. */
	atomic_store(&v->sched.blocked, true);
	hv_time_service(v);
	ck_assert_uint_eq(hv_vcpu_deadline(v), HV_TIME_NEVER);
}
END_TEST

START_TEST(a_running_vcpu_has_an_early_deadline_for_the_clock_and_a_sleeping_one_none)
{
	if (!g.m->clock.tsc_is_usable)
		return;
	bind_timer();
	ck_assert_uint_le(hv_vcpu_deadline(v), hv_time_host_ns() + NS_PER_S / 10);
	atomic_store(&v->sched.blocked, true);
	hv_time_service(v);
	ck_assert_uint_eq(hv_vcpu_deadline(v), HV_TIME_NEVER);
}
END_TEST

START_TEST(the_clock_is_refined_when_it_is_due_and_the_vcpu_shows_it)
{
	uint32_t version;

	if (!g.m->clock.tsc_is_usable)
		return;
	bind_timer();
	version = v->info->time.version;
	atomic_store(&g.m->clock.refine_ns, 1);
	v->time.dirty = true;
	hv_time_service(v);
	ck_assert_uint_eq(v->info->time.version, version + 2);
	ck_assert_uint_gt(atomic_load(&g.m->clock.refine_ns), 1);
	/* The other vCPU hears of it at its next turn. */
	ck_assert(hv_time_is_due(g.d->vcpu[1]));
}
END_TEST

Suite *time_suite(void);
Suite *time_suite(void)
{
	Suite *s = suite_create("time");
	TCase *tc = tcase_create("line");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, after_ten_seconds_the_clock_is_right_to_50_ppm, 0,
	                    ARRAY_LEN(frequencies));
	tcase_add_loop_test(tc, the_first_line_is_right_to_a_thousandth, 0, ARRAY_LEN(frequencies));
	tcase_add_loop_test(tc, no_vcpu_ever_reads_an_earlier_time, 0, ARRAY_LEN(frequencies));
	tcase_add_test(tc, a_clock_that_is_ahead_comes_back_without_a_step);
	suite_add_tcase(s, tc);

	tc = tcase_create("limits");
	tcase_add_loop_test(tc, a_line_is_what_the_abi_says, 0, ARRAY_LEN(lines));
	tcase_add_test(tc, readings_that_are_useless_give_no_rate);
	tcase_add_test(tc, rates_are_exact_and_not_above_the_truth);
	suite_add_tcase(s, tc);

	tc = tcase_create("normal");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, vcpu_time_info_agrees_with_the_hypervisors_clock);
	tcase_add_test(tc, the_wall_clock_is_the_hosts);
	tcase_add_test(tc, the_second_copy_is_written_and_even);
	tcase_add_test(tc, without_a_usable_tsc_the_clock_is_the_hosts_to_the_nanosecond);
	tcase_add_test(tc, the_wall_clock_follows_the_host_and_not_every_jitter);
	tcase_add_test(tc, a_singleshot_timer_fires_once_and_not_early);
	tcase_add_loop_test(tc, a_timer_in_the_past_fires_at_once, 0, ARRAY_LEN(past));
	tcase_add_test(tc, zero_stops_the_timer);
	tcase_add_loop_test(tc, a_timer_that_is_absurdly_far_comes_in_a_tenth_of_a_second, 0,
	                    ARRAY_LEN(far));
	tcase_add_test(tc, the_periodic_timer_runs_only_while_somebody_listens_and_the_vcpu_runs);
	tcase_add_test(tc,
	               a_running_vcpu_has_an_early_deadline_for_the_clock_and_a_sleeping_one_none);
	tcase_add_test(tc, the_clock_is_refined_when_it_is_due_and_the_vcpu_shows_it);
	suite_add_tcase(s, tc);
	return s;
}
