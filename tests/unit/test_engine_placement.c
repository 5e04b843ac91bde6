/* SPDX-License-Identifier: MIT */
/*
 * Where a vCPU's group goes when its core is crowded: the decision alone, with a host made of
 * numbers. Each group wants all of a core and gets an even part of it.
 */
#include <check.h>
#include <string.h>

#include "hypervisor-stub/engines/process/placement.h"

#define WINDOW  100000000u
#define MAX     16
#define SECONDS 10u /* windows in a second */

static struct pe_place group[MAX];
static bool allowed[PE_MAX_CORES];
static unsigned idle[PE_MAX_CORES];
static unsigned moves;
static uint64_t now;

static unsigned on_core(int core, unsigned groups)
{
	unsigned n = 0;

	for (unsigned g = 0; g < groups; g++)
		n += group[g].core == core;
	return n;
}

static void setup(void)
{
	memset(group, 0, sizeof(group));
	memset(allowed, 0, sizeof(allowed));
	moves = 0;
	for (unsigned g = 0; g < MAX; g++) {
		group[g].chance = 0x1234567 * (g + 1);
		group[g].state = PE_PLACE_CALM;
	}
}

/* Lets time pass; the groups look one after the other, as real ones do. */
static void simulate(unsigned groups, unsigned cores, unsigned windows)
{
	for (unsigned t = 0; t < windows; t++) {
		now += WINDOW;
		for (unsigned g = 0; g < groups; g++) {
			struct pe_place *p = &group[g];
			struct pe_share s = { .wanted = WINDOW,
				              .got = WINDOW / on_core(p->core, groups) };
			int to;

			for (unsigned c = 0; c < cores; c++)
				idle[c] = on_core((int)c, groups) ? 0 : 1000;
			to = pe_place_decide(p, &s, now, allowed, idle, cores);
			moves += to != p->core;
			p->core = to;
		}
	}
}

static const struct {
	unsigned groups, cores, most; /* most: groups on one core in the end, when all are still */
} crowds[] = {
	{ 2, 2, 1 }, { 4, 2, 2 }, { 4, 4, 1 }, { 6, 3, 2 }, { 8, 4, 2 }, { 16, 4, 4 }, { 3, 3, 1 },
};

START_TEST(a_crowd_that_starts_on_one_core_spreads_evenly)
{
	unsigned uneven = 0;

	for (unsigned c = 0; c < crowds[_i].cores; c++)
		allowed[c] = true;
	simulate(crowds[_i].groups, crowds[_i].cores, 60 * SECONDS);
	/* From then on at most one is on its way to see whether it is better elsewhere. */
	for (unsigned t = 0; t < 10 * SECONDS; t++) {
		bool all_well = true;

		simulate(crowds[_i].groups, crowds[_i].cores, 1);
		for (unsigned c = 0; c < crowds[_i].cores; c++)
			all_well &= on_core((int)c, crowds[_i].groups) <= crowds[_i].most;
		uneven += !all_well;
	}
	ck_assert_uint_le(uneven, 2 * SECONDS);
}
END_TEST

START_TEST(who_gets_what_he_wants_stays)
{
	allowed[0] = allowed[1] = true;
	group[1].core = 1;
	simulate(2, 2, 100);
	ck_assert_uint_eq(moves, 0);
}
END_TEST

START_TEST(two_on_two_cores_part_within_a_second)
{
	allowed[0] = allowed[1] = true;
	simulate(2, 2, 10);
	ck_assert_int_ne(group[0].core, group[1].core);
}
END_TEST

START_TEST(whoever_finds_nothing_better_tries_less_and_less)
{
	unsigned early;

	allowed[0] = allowed[1] = true;
	group[2].core = group[3].core = 1;
	simulate(4, 2, 100);
	early = moves;
	moves = 0;
	for (unsigned t = 0; t < 10; t++)
		simulate(4, 2, 100);
	ck_assert_uint_gt(early, 0);
	ck_assert_uint_lt(moves, early * 10);
}
END_TEST

START_TEST(nobody_goes_where_he_may_not)
{
	allowed[3] = true;
	for (unsigned g = 0; g < 4; g++)
		group[g].core = 3;
	simulate(4, 8, 100);
	ck_assert_uint_eq(moves, 0);
	allowed[5] = true;
	simulate(4, 8, 100);
	ck_assert_uint_eq(on_core(3, 4) + on_core(5, 4), 4);
	ck_assert_uint_gt(moves, 0);
}
END_TEST

Suite *engine_placement_suite(void);

Suite *engine_placement_suite(void)
{
	Suite *s = suite_create("engine_placement");
	TCase *tc = tcase_create("normal");

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_loop_test(tc, a_crowd_that_starts_on_one_core_spreads_evenly, 0,
	                    sizeof(crowds) / sizeof(crowds[0]));
	tcase_add_test(tc, who_gets_what_he_wants_stays);
	tcase_add_test(tc, two_on_two_cores_part_within_a_second);
	tcase_add_test(tc, whoever_finds_nothing_better_tries_less_and_less);
	tcase_add_test(tc, nobody_goes_where_he_may_not);
	suite_add_tcase(s, tc);
	return s;
}
