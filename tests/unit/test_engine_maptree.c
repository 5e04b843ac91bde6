/* SPDX-License-Identifier: MIT */
/*
 * The tree of a process's mappings, against an array that says for each page what is mapped there.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "hypervisor-stub/engines/process/maptree.h"

#define PAGE  4096u
#define PAGES 200u

static struct pe_maptree tree;
static bool ok = true;
static struct {
	bool mapped;
	uint64_t offset;
	uint32_t prot;
} model[PAGES];

static void setup(void)
{
	memset(&tree, 0, sizeof(tree));
	memset(model, 0, sizeof(model));
}

static void teardown(void)
{
	pe_maptree_clear(&tree);
}

static void insert(unsigned first, unsigned nr, uint64_t frame, uint32_t prot)
{
	ok &= pe_maptree_insert(&tree, first * PAGE, (first + nr) * PAGE, frame * PAGE, prot);
	for (unsigned i = 0; i < nr; i++) {
		model[first + i].mapped = true;
		model[first + i].offset = (frame + i) * PAGE;
		model[first + i].prot = prot;
	}
}

static void take_out(unsigned first, unsigned nr)
{
	ok &= pe_maptree_remove(&tree, first * PAGE, (first + nr) * PAGE);
	for (unsigned i = 0; i < nr; i++)
		model[first + i].mapped = false;
}

static bool page_is(unsigned page, const struct pe_maprun *r)
{
	return model[page].mapped && model[page].prot == r->prot &&
	       model[page].offset == r->offset + (page * PAGE - r->start);
}

static bool joins(const struct pe_maprun *a, const struct pe_maprun *b)
{
	return a->end == b->start && a->prot == b->prot &&
	       a->offset + (a->end - a->start) == b->offset;
}

/* Also that neighbours which belong together are one run: the kernel counts them so. */
static bool is_right(void)
{
	const struct pe_maprun *r, *last = NULL;
	unsigned page = 0;
	size_t runs = 0;

	while ((r = pe_maptree_find(&tree, page * PAGE, PAGES * PAGE))) {
		if (last && (last->end > r->start || joins(last, r)))
			return false;
		for (; page * PAGE < r->start; page++) {
			if (model[page].mapped)
				return false;
		}
		for (; page * PAGE < r->end; page++) {
			if (!page_is(page, r))
				return false;
		}
		last = r;
		runs++;
	}
	for (; page < PAGES; page++) {
		if (model[page].mapped)
			return false;
	}
	return runs == tree.count;
}

static void check(void)
{
	ck_assert(ok && is_right());
}

START_TEST(neighbours_that_belong_together_are_one)
{
	insert(10, 1, 100, 1);
	insert(12, 1, 102, 1);
	ck_assert_uint_eq(tree.count, 2);
	insert(11, 1, 101, 1);
	ck_assert_uint_eq(tree.count, 1);
	insert(11, 1, 101, 3); /* other rights: three again */
	ck_assert_uint_eq(tree.count, 3);
	insert(13, 1, 200, 1); /* another frame */
	ck_assert_uint_eq(tree.count, 4);
	check();
}
END_TEST

START_TEST(a_hole_makes_two_of_one)
{
	insert(10, 20, 100, 1);
	take_out(15, 2);
	ck_assert_uint_eq(tree.count, 2);
	take_out(0, 12);
	take_out(28, 100);
	ck_assert_uint_eq(tree.count, 2);
	take_out(0, PAGES);
	ck_assert_uint_eq(tree.count, 0);
	check();
}
END_TEST

START_TEST(it_is_what_the_array_is)
{
	srand((unsigned)_i);
	for (unsigned i = 0; i < 3000; i++) {
		unsigned first = (unsigned)rand() % PAGES;
		unsigned nr = 1 + (unsigned)rand() % (rand() % 4 ? 4 : PAGES);

		if (nr > PAGES - first)
			nr = PAGES - first;
		if (rand() % 3)
			insert(first, nr, rand() % 2 ? first : (unsigned)rand() % 300,
			       (uint32_t)rand() % 2);
		else
			take_out(first, nr);
		if (!is_right())
			break;
	}
	check();
}
END_TEST

START_TEST(many_runs_are_found_at_once)
{
	for (uint64_t i = 0; i < 60000; i++)
		ok &= pe_maptree_insert(&tree, 2 * i * PAGE, (2 * i + 1) * PAGE, 0, 1);
	ck_assert_uint_eq(tree.count, 60000);
	for (uint64_t i = 0; i < 60000; i++) {
		ok &= pe_maptree_find(&tree, 2 * i * PAGE, 2 * i * PAGE + 1) != NULL;
		ok &= pe_maptree_find(&tree, (2 * i + 1) * PAGE, (2 * i + 2) * PAGE) == NULL;
	}
	ck_assert(ok);
	ck_assert(pe_maptree_remove(&tree, PAGE, 2 * 59999 * PAGE));
	ck_assert_uint_eq(tree.count, 2);
}
END_TEST

Suite *engine_maptree_suite(void);

Suite *engine_maptree_suite(void)
{
	Suite *s = suite_create("engine_maptree");
	TCase *tc = tcase_create("normal");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, neighbours_that_belong_together_are_one);
	tcase_add_test(tc, a_hole_makes_two_of_one);
	tcase_add_loop_test(tc, it_is_what_the_array_is, 0, 10);
	suite_add_tcase(s, tc);
	tc = tcase_create("limits");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, many_runs_are_found_at_once);
	suite_add_tcase(s, tc);
	return s;
}
