/* SPDX-License-Identifier: MIT */
/*
 * A vCPU's thread at rest (core/rest.c): ended by whatever ends it, on whichever way it sleeps, and what it
 * does with descriptors that were lent to it.
 */
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "tests/fake/fake_vcpu.h"

#define LIMIT_MS 10000

static struct fake_guest g;
static pthread_t sleeper;
static atomic_uint asked, rests; /* rests that were asked for, and that have ended */
static atomic_bool stop;
static int fd = -1; /* an eventfd: what is lent */
static atomic_uint served, seen;

static void setup(void)
{
	fake_guest_make(&g, 1);
	fd = eventfd(0, EFD_NONBLOCK);
	ck_assert_int_ge(fd, 0);
	atomic_store(&rests, 0);
	atomic_store(&asked, 0);
	atomic_store(&served, 0);
	atomic_store(&seen, 0);
	atomic_store(&stop, false);
	atomic_store(&g.v->is_up, true);
}

static void teardown(void)
{
	close(fd);
	fake_guest_destroy(&g);
}

static void pause_us(long us)
{
	nanosleep(&(struct timespec){ .tv_nsec = us * 1000 }, NULL);
}

/* Until *what is n, or time is up. */
static void until(atomic_uint *what, unsigned n)
{
	uint64_t end = hv_time_host_ns() + LIMIT_MS * UINT64_C(1000000);

	while (atomic_load(what) < n && hv_time_host_ns() < end)
		sched_yield();
	ck_assert_uint_eq(atomic_load(what), n);
}

/* The vCPU's thread: rests, again and again, each time until something ends it. */
static void *rest_main(void *arg)
{
	(void)arg;
	while (!atomic_load(&stop)) {
		if (atomic_load(&asked) == atomic_load(&rests)) {
			sched_yield();
			continue;
		}
		while (hv_rest_is_due(g.v) && !atomic_load(&stop))
			hv_rest(g.v, HV_TIME_NEVER);
		atomic_fetch_add(&rests, 1);
	}
	return NULL;
}

static void block(void)
{
	atomic_store(&g.v->sched.blocked, true);
	atomic_fetch_add(&asked, 1);
}

static void start(void)
{
	block();
	ck_assert_int_eq(pthread_create(&sleeper, NULL, rest_main, NULL), 0);
}

static void finish(void)
{
	atomic_store(&stop, true);
	hv_vcpu_poke(g.v);
	pthread_join(sleeper, NULL);
}

/* Reads what is there, and wakes the vCPU if that was something. */
static void on_ready(void *arg)
{
	eventfd_t n = 0;

	(void)arg;
	atomic_fetch_add(&seen, 1);
	if (eventfd_read(fd, &n))
		return;
	atomic_fetch_add(&served, (unsigned)n);
	hv_vcpu_wake(g.v);
}

START_TEST(no_end_of_a_rest_is_lost)
{
	int number = _i ? hv_rest_lend(g.v, fd, on_ready, NULL) : 0;

	ck_assert_int_ge(number, 0);
	start();
	for (unsigned i = 1; i <= 2000; i++) {
		/* Of every length: a look, half asleep, asleep. */
		if (i % 8 == 0)
			pause_us(i % 100);
		hv_vcpu_wake(g.v);
		until(&rests, i);
		block();
	}
	hv_vcpu_wake(g.v);
	finish();
	if (_i)
		hv_rest_take_back(g.v, number);
}
END_TEST

START_TEST(what_was_lent_is_served_by_the_sleeper)
{
	int number = hv_rest_lend(g.v, fd, on_ready, NULL);

	ck_assert_int_ge(number, 0);
	start();
	for (unsigned i = 1; i <= 1000; i++) {
		if (i % 8 == 0)
			pause_us(i % 100);
		eventfd_write(fd, 1);
		until(&rests, i);
		ck_assert_uint_eq(atomic_load(&served), i);
		block();
	}
	hv_rest_take_back(g.v, number);
	finish();
}
END_TEST

START_TEST(who_sleeps_already_is_lent_to)
{
	int number;

	start();
	pause_us(20000);
	number = hv_rest_lend(g.v, fd, on_ready, NULL);
	ck_assert_int_ge(number, 0);
	pause_us(1000);
	eventfd_write(fd, 5);
	until(&served, 5);
	hv_rest_take_back(g.v, number);
	finish();
}
END_TEST

START_TEST(what_was_taken_back_is_left_alone)
{
	int number = hv_rest_lend(g.v, fd, on_ready, NULL);
	unsigned before;

	start();
	eventfd_write(fd, 1);
	until(&rests, 1);
	hv_rest_take_back(g.v, number);
	before = atomic_load(&seen);
	block();
	eventfd_write(fd, 1);
	pause_us(20000);
	ck_assert_uint_eq(atomic_load(&seen), before);
	hv_vcpu_wake(g.v);
	until(&rests, 2);
	finish();
}
END_TEST

START_TEST(another_watch_is_woken_only_when_the_vcpu_does_not_rest)
{
	struct epoll_event e = { .events = EPOLLIN | EPOLLET | EPOLLEXCLUSIVE };
	int number = hv_rest_lend(g.v, fd, on_ready, NULL), other = epoll_create1(EPOLL_CLOEXEC);

	ck_assert_int_ge(number, 0);
	ck_assert_int_eq(epoll_ctl(other, EPOLL_CTL_ADD, fd, &e), 0);
	start();
	pause_us(20000); /* asleep */
	eventfd_write(fd, 1);
	until(&rests, 1);
	ck_assert_int_eq(epoll_wait(other, &e, 1, 0), 0);
	/* It runs now. */
	eventfd_write(fd, 1);
	ck_assert_int_eq(epoll_wait(other, &e, 1, LIMIT_MS), 1);
	hv_rest_take_back(g.v, number);
	close(other);
	finish();
}
END_TEST

START_TEST(places_are_bounded_and_used_again)
{
	int fds[HV_REST_LENT + 1];

	for (int round = 0; round < 3; round++) {
		for (int i = 0; i <= HV_REST_LENT; i++) {
			fds[i] = eventfd(0, EFD_NONBLOCK);
			ck_assert_int_eq(hv_rest_lend(g.v, fds[i], on_ready, NULL),
			                 i < HV_REST_LENT ? i : -ENOSPC);
		}
		for (int i = 0; i <= HV_REST_LENT; i++) {
			if (i < HV_REST_LENT)
				hv_rest_take_back(g.v, i);
			close(fds[i]);
		}
	}
	ck_assert_int_lt(hv_rest_lend(g.v, -1, on_ready, NULL), 0);
}
END_TEST

START_TEST(a_moment_ends_a_rest)
{
	int number = _i ? hv_rest_lend(g.v, fd, on_ready, NULL) : 0;
	uint64_t start_ns = hv_time_host_ns();

	block();
	atomic_store(&g.v->sched.attention, false);
	hv_rest(g.v, start_ns + 3000000);
	ck_assert_uint_ge(hv_time_host_ns(), start_ns + 3000000);
	ck_assert(hv_rest_is_due(g.v));
	if (_i)
		hv_rest_take_back(g.v, number);
}
END_TEST

START_TEST(only_who_rests_shortly_looks_around)
{
	struct hv_rest *r = &g.v->sched.rest;

	block();
	/* Long past; once is too few when something else has the processor. */
	for (int i = 0; i < 1000 && !r->look_ns; i++)
		hv_rest(g.v, 1);
	ck_assert_uint_gt(r->look_ns, 0);
	hv_rest(g.v, hv_time_host_ns() + 2000000);
	ck_assert_uint_eq(r->look_ns, 0);
}
END_TEST

Suite *rest_suite(void);

Suite *rest_suite(void)
{
	Suite *s = suite_create("rest");
	TCase *normal = tcase_create("normal"), *limits = tcase_create("limits");

	tcase_set_timeout(normal, 60);
	tcase_add_checked_fixture(normal, setup, teardown);
	tcase_add_checked_fixture(limits, setup, teardown);
	tcase_add_loop_test(normal, no_end_of_a_rest_is_lost, 0, 2);
	tcase_add_test(normal, what_was_lent_is_served_by_the_sleeper);
	tcase_add_test(normal, who_sleeps_already_is_lent_to);
	tcase_add_test(normal, what_was_taken_back_is_left_alone);
	tcase_add_test(normal, another_watch_is_woken_only_when_the_vcpu_does_not_rest);
	tcase_add_loop_test(normal, a_moment_ends_a_rest, 0, 2);
	tcase_add_test(limits, places_are_bounded_and_used_again);
	tcase_add_test(limits, only_who_rests_shortly_looks_around);
	suite_add_tcase(s, normal);
	suite_add_tcase(s, limits);
	return s;
}
