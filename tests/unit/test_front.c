/* SPDX-License-Identifier: MIT */
/* Attention to a device: nothing that came is missed, and one thread at a time gives it. */
#include "tests/unit/pv_xs_world.h"

#include "frontends/front.h"

Suite *front_suite(void);

static struct front f;
static unsigned looks;

static void set_up(void)
{
	world_begin();
	memset(&f, 0, sizeof(f));
	looks = 0;
}

static void tear_down(void)
{
	world_end();
}

static void look(void *arg)
{
	ck_assert_ptr_eq(arg, &f);
	ck_assert(f.serving);
	looks++;
}

/* ---- normal ---------------------------------------------------------------------------------- */

START_TEST(what_came_is_looked_at_once)
{
	front_service(&f, look, &f);
	ck_assert_uint_eq(looks, 0);
	front_attend(&f);
	front_attend(&f);
	front_service(&f, look, &f);
	ck_assert_uint_eq(looks, 1);
	front_service(&f, look, &f);
	ck_assert_uint_eq(looks, 1);
	ck_assert(!f.serving);
}
END_TEST

static void look_as_more_comes(void *arg)
{
	look(arg);
	if (looks < 3)
		front_attend(&f);
}

START_TEST(what_comes_during_a_look_is_looked_at_too)
{
	front_attend(&f);
	front_service(&f, look_as_more_comes, &f);
	ck_assert_uint_eq(looks, 3);
}
END_TEST

static bool accuse(struct pv_xenbus *bus, const char *fmt, ...)
{
	va_list ap;
	bool first;

	va_start(ap, fmt);
	first = front_accuse(&f, bus, fmt, ap);
	va_end(ap);
	return first;
}

START_TEST(a_back_end_is_accused_once)
{
	static struct pv_xenbus bus = { .name = "device/vbd/1" };

	ck_assert(accuse(&bus, "answers %d times", 2));
	ck_assert(f.is_broken);
	ck_assert(!accuse(&bus, "answers %d times", 3));
	ck_assert(f.is_broken);
}
END_TEST

/* ---- limits ---------------------------------------------------------------------------------- */

START_TEST(who_comes_second_waits_and_does_not_look)
{
	f.serving = 1; /* by somebody who takes his time */
	front_attend(&f);
	front_service(&f, look, &f);
	ck_assert_uint_eq(looks, 0);
	ck_assert(f.attention);
	ck_assert_uint_ge(world.now_ns, FRONT_LOOK_NS);
}
END_TEST

static void its_turn_ends(void)
{
	f.serving = 0;
}

START_TEST(who_retires_waits_for_the_last_turn_and_keeps_it)
{
	f.serving = 1;
	world.tick = its_turn_ends;
	front_retire(&f);
	ck_assert(f.serving);
	world.tick = NULL;
	front_attend(&f);
	front_service(&f, look, &f);
	ck_assert_uint_eq(looks, 0);
}
END_TEST

/* ---- hostile --------------------------------------------------------------------------------- */

static unsigned inside;

static void look_alone(void *arg)
{
	(void)arg;
	ck_assert_uint_eq(__atomic_add_fetch(&inside, 1, __ATOMIC_SEQ_CST), 1);
	sched_yield();
	__atomic_fetch_add(&looks, 1, __ATOMIC_SEQ_CST);
	__atomic_fetch_sub(&inside, 1, __ATOMIC_SEQ_CST);
}

static void *storm(void *unused)
{
	unsigned i;

	(void)unused;
	pv_test_cpu = &world.cpu;
	for (i = 0; i < 2000; i++) {
		front_attend(&f);
		front_service(&f, look_alone, &f);
	}
	return NULL;
}

START_TEST(in_a_storm_one_looks_at_a_time)
{
	pthread_t other[3];
	unsigned i;

	world.real_clock = true;
	for (i = 0; i < 3; i++)
		ck_assert_int_eq(pthread_create(&other[i], NULL, storm, NULL), 0);
	storm(NULL);
	for (i = 0; i < 3; i++)
		pthread_join(other[i], NULL);
	front_service(&f, look_alone, &f);
	ck_assert_uint_eq(f.attention, 0);
	ck_assert_uint_ge(looks, 1);
}
END_TEST

Suite *front_suite(void)
{
	Suite *s = suite_create("front");
	TCase *normal = tcase_create("normal"), *limits = tcase_create("limits"),
	      *hostile = tcase_create("hostile");

	tcase_add_checked_fixture(normal, set_up, tear_down);
	tcase_add_checked_fixture(limits, set_up, tear_down);
	tcase_add_checked_fixture(hostile, set_up, tear_down);
	tcase_add_test(normal, what_came_is_looked_at_once);
	tcase_add_test(normal, what_comes_during_a_look_is_looked_at_too);
	tcase_add_test(normal, a_back_end_is_accused_once);
	tcase_add_test(limits, who_comes_second_waits_and_does_not_look);
	tcase_add_test(limits, who_retires_waits_for_the_last_turn_and_keeps_it);
	tcase_add_test(hostile, in_a_storm_one_looks_at_a_time);
	tcase_set_timeout(hostile, 60);
	suite_add_tcase(s, normal);
	suite_add_tcase(s, limits);
	suite_add_tcase(s, hostile);
	return s;
}
