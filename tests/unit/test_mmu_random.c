/* SPDX-License-Identifier: MIT */
/*
 * Random operations of two hostile domains, with all counts rebuilt from the tables and the model
 * cache looked through after every step.
 */
#include <check.h>
#include <stdlib.h>

#include "tests/fake/mem_guest.h"

#define BYTES 12000

START_TEST(counts_and_caches_are_right_after_every_step)
{
	uint64_t x = 0x9e3779b97f4a7c15 * (uint64_t)(_i + 1);
	uint8_t *data = malloc(BYTES);

	ck_assert_ptr_nonnull(data);
	for (unsigned i = 0; i < BYTES; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		data[i] = (uint8_t)(x >> 32);
	}
	mem_guest_play(data, BYTES, 1);
	free(data);
}
END_TEST

START_TEST(an_idle_guest_leaves_nothing)
{
	mem_guest_play(NULL, 0, 1);
}
END_TEST

Suite *mmu_random_suite(void);
Suite *mmu_random_suite(void)
{
	Suite *s = suite_create("mmu_random");
	TCase *limits = tcase_create("limits"), *hostile = tcase_create("hostile");

	tcase_set_timeout(hostile, 60);
	tcase_add_test(limits, an_idle_guest_leaves_nothing);
	tcase_add_loop_test(hostile, counts_and_caches_are_right_after_every_step, 0, 12);
	suite_add_tcase(s, limits);
	suite_add_tcase(s, hostile);
	return s;
}
