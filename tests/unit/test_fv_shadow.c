/* SPDX-License-Identifier: MIT */
/*
 * The guest's page tables as they are walked, and the shadow that says which of their entries mappings
 * were made from: fullvirt/walk.c, fullvirt/shadow.c.
 */
#include <check.h>

#include "tests/fake/fv_cpu_world.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define VA           0x30000u

static struct fv_cpu_world w;
static struct fv_shadow s;
static unsigned drops;
static uint64_t drop_va, drop_len;

static void on_drop(void *arg, uint64_t va, uint64_t len)
{
	(void)arg;
	drops++;
	drop_va = va;
	drop_len = len;
}

static void setup(void)
{
	fv_cpu_world_init(&w);
	s = (struct fv_shadow){ .drop = on_drop };
	drops = 0;
}

static void teardown(void)
{
	fv_shadow_clear(&s);
	ck_assert_uint_eq(s.nr_nodes, 0);
	fv_cpu_world_fini(&w);
}

static struct fv_walk walk(uint64_t va)
{
	const struct fv_paging p = fv_paging(w.c);
	struct fv_walk at;

	fv_walk(&p, va, &at);
	return at;
}

/* What a miss does: the access, and a note of it. */
static bool touch(uint64_t va, unsigned access, uint32_t *pfec)
{
	const struct fv_paging p = fv_paging(w.c);
	struct fv_walk at = walk(va);

	if (!fv_walk_allow(&p, &at, access, pfec))
		return false;
	ck_assert(fv_shadow_note(&s, &w.c->mem, va, &at));
	return true;
}

static void touched(uint64_t va, unsigned access)
{
	uint32_t pfec;

	ck_assert(touch(va, access, &pfec));
}

/* ---- walking ---- */

static const struct {
	uint64_t bits; /* of the entry */
	unsigned access;
	bool wp, allowed;
	uint32_t pfec;
} rights[] = {
	{ PTE_P | PTE_W | PTE_U, FV_WALK_USER | FV_WALK_WRITE, true, true, 0 },
	{ PTE_P | PTE_U, FV_WALK_USER, true, true, 0 },
	{ PTE_P | PTE_U, FV_WALK_USER | FV_WALK_WRITE, true, false, PFEC_P | PFEC_W | PFEC_U },
	{ PTE_P | PTE_W, FV_WALK_USER, true, false, PFEC_P | PFEC_U },
	{ PTE_P, FV_WALK_WRITE, true, false, PFEC_P | PFEC_W },
	{ PTE_P, FV_WALK_WRITE, false, true, 0 },
	{ PTE_P, 0, true, true, 0 },
	{ 0, 0, true, false, 0 },
	{ 0, FV_WALK_WRITE, true, false, PFEC_W },
	{ PTE_P | PTE_NX, FV_WALK_FETCH, true, false, PFEC_P | PFEC_I },
	{ PTE_P, FV_WALK_FETCH, true, true, 0 },
};

START_TEST(an_access_is_allowed_as_the_tables_say)
{
	uint32_t pfec = 0;

	*fv_cpu_world_entry(&w, VA) = VA | rights[_i].bits;
	w.c->cr0 = CR0_PE | CR0_PG | (rights[_i].wp ? CR0_WP : 0);
	ck_assert_int_eq(touch(VA, rights[_i].access, &pfec), rights[_i].allowed);
	if (!rights[_i].allowed)
		ck_assert_uint_eq(pfec, rights[_i].pfec);
}
END_TEST

START_TEST(accessed_and_dirty_are_set_as_by_a_processor)
{
	touched(VA, 0);
	ck_assert_uint_eq(*fv_cpu_world_entry(&w, VA) & (PTE_A | PTE_D), PTE_A);
	touched(VA, FV_WALK_WRITE);
	ck_assert_uint_eq(*fv_cpu_world_entry(&w, VA) & (PTE_A | PTE_D), PTE_A | PTE_D);
}
END_TEST

START_TEST(large_pages_translate_what_lies_in_them)
{
	uint64_t *l2 = (void *)(w.ram + WORLD_CR3 + 2 * FV_PAGE);
	struct fv_walk at;

	l2[1] = 0x200000 | PTE_P | PTE_W | PTE_PS;
	at = walk(0x2abcde);
	ck_assert(at.present);
	ck_assert_uint_eq(at.gpa, 0x2abcde);
	ck_assert_uint_eq(at.size, 0x200000);
	ck_assert_uint_eq(at.level, 2);
}
END_TEST

START_TEST(a_table_outside_of_memory_translates_nothing)
{
	uint64_t *l2 = (void *)(w.ram + WORLD_CR3 + 2 * FV_PAGE);

	l2[1] = UINT64_C(0x7fffffffff000) | PTE_P;
	ck_assert(!walk(0x200000).present);
	l2[1] = FV_HOLE | PTE_P;
	ck_assert(!walk(0x200000).present);
	w.c->cr3 = UINT64_C(0xffffffffff000);
	ck_assert(!walk(0).present);
}
END_TEST

/* ---- the shadow ---- */

START_TEST(what_has_not_changed_stays)
{
	touched(VA, 0);
	touched(VA + FV_PAGE, FV_WALK_WRITE);
	fv_shadow_sync(&s, &w.c->mem, w.c->cr3);
	ck_assert_uint_eq(drops, 0);
}
END_TEST

static const struct {
	uint64_t clear, set;
	unsigned drops;
} changes[] = {
	{ PTE_P, 0, 1 },          { PTE_W, 0, 1 },
	{ PTE_A, 0, 1 },                           /* it is to be set again by the next access */
	{ 0, PTE_NX, 1 },         { 0, PTE_D, 0 }, /* by another mapping of the page */
	{ PTE_ADDR, 0x40000, 1 },
};

START_TEST(an_entry_that_has_changed_drops_what_it_translates)
{
	uint64_t *e = fv_cpu_world_entry(&w, VA);

	touched(VA, 0);
	*e = (*e & ~changes[_i].clear) | changes[_i].set;
	fv_shadow_sync(&s, &w.c->mem, w.c->cr3);
	ck_assert_uint_eq(drops, changes[_i].drops);
	if (drops) {
		ck_assert_uint_eq(drop_va, VA);
		ck_assert_uint_eq(drop_len, FV_PAGE);
	}
	fv_shadow_sync(&s, &w.c->mem, w.c->cr3);
	ck_assert_uint_eq(drops, changes[_i].drops);
}
END_TEST

START_TEST(neighbours_are_dropped_together)
{
	for (unsigned i = 0; i < 5; i++) {
		touched(VA + i * FV_PAGE, 0);
		*fv_cpu_world_entry(&w, VA + i * FV_PAGE) = 0;
	}
	fv_shadow_sync(&s, &w.c->mem, w.c->cr3);
	ck_assert_uint_eq(drops, 1);
	ck_assert_uint_eq(drop_len, 5 * FV_PAGE);
}
END_TEST

START_TEST(entries_that_nothing_was_made_from_are_not_looked_at)
{
	touched(VA, 0);
	*fv_cpu_world_entry(&w, VA + FV_PAGE) = 0;
	fv_shadow_sync(&s, &w.c->mem, w.c->cr3);
	ck_assert_uint_eq(drops, 0);
}
END_TEST

START_TEST(a_higher_entry_drops_all_below_it)
{
	uint64_t *l2 = (void *)(w.ram + WORLD_CR3 + 2 * FV_PAGE);

	touched(VA, 0);
	l2[0] &= ~(uint64_t)PTE_W;
	fv_shadow_sync(&s, &w.c->mem, w.c->cr3);
	ck_assert_uint_eq(drops, 1);
	ck_assert_uint_eq(drop_va, 0);
	ck_assert_uint_eq(drop_len, 0x200000);
	ck_assert_uint_eq(s.nr_nodes, 3);
}
END_TEST

START_TEST(another_root_keeps_what_both_translate_alike)
{
	uint64_t *other = (void *)(w.ram + 0x20000), *first = (void *)(w.ram + WORLD_CR3);

	touched(VA, 0);
	other[0] = first[0];
	fv_shadow_sync(&s, &w.c->mem, 0x20000);
	ck_assert_uint_eq(drops, 0);
	other[0] = 0;
	fv_shadow_sync(&s, &w.c->mem, 0x20000);
	ck_assert_uint_eq(drops, 1);
	ck_assert_uint_eq(drop_len, UINT64_C(1) << 39);
}
END_TEST

START_TEST(invlpg_looks_at_one_page)
{
	touched(VA, 0);
	touched(VA + FV_PAGE, 0);
	*fv_cpu_world_entry(&w, VA) = 0;
	*fv_cpu_world_entry(&w, VA + FV_PAGE) = 0;
	fv_shadow_sync_page(&s, &w.c->mem, w.c->cr3, VA + FV_PAGE);
	ck_assert_uint_eq(drops, 1);
	ck_assert_uint_eq(drop_va, VA + FV_PAGE);
	fv_shadow_sync_page(&s, &w.c->mem, w.c->cr3, VA + 7 * FV_PAGE);
	ck_assert_uint_eq(drops, 1);
}
END_TEST

/* A miss may meet an entry that was changed without a flush: what the old value gave must go, too. */
START_TEST(a_new_value_that_is_used_drops_the_old_ones)
{
	touched(VA, 0);
	*fv_cpu_world_entry(&w, VA) = 0x50000 | PTE_P | PTE_W;
	touched(VA, 0);
	ck_assert_uint_eq(drops, 1);
	fv_shadow_sync(&s, &w.c->mem, w.c->cr3);
	ck_assert_uint_eq(drops, 1);
}
END_TEST

START_TEST(tables_that_became_anything_are_survived)
{
	uint64_t *l3 = (void *)(w.ram + WORLD_CR3 + FV_PAGE);

	touched(VA, 0);
	l3[0] = UINT64_C(0xfffffffff000) | PTE_P | PTE_W | PTE_U | PTE_A;
	fv_shadow_sync(&s, &w.c->mem, w.c->cr3);
	ck_assert_uint_eq(drops, 1);
	fv_shadow_sync(&s, &w.c->mem, UINT64_C(0xfffffffff000));
	fv_shadow_sync_page(&s, &w.c->mem, UINT64_C(0xfffffffff000), VA);
	/* A table that is its own entry. */
	l3[0] = (WORLD_CR3 + FV_PAGE) | PTE_P | PTE_W | PTE_U;
	touched(0, 0);
	fv_shadow_sync(&s, &w.c->mem, w.c->cr3);
}
END_TEST

Suite *fv_shadow_suite(void);
Suite *fv_shadow_suite(void)
{
	Suite *suite = suite_create("fv_shadow");
	TCase *normal = tcase_create("normal"), *hostile = tcase_create("hostile");

	tcase_add_checked_fixture(normal, setup, teardown);
	tcase_add_loop_test(normal, an_access_is_allowed_as_the_tables_say, 0, ARRAY_LEN(rights));
	tcase_add_test(normal, accessed_and_dirty_are_set_as_by_a_processor);
	tcase_add_test(normal, large_pages_translate_what_lies_in_them);
	tcase_add_test(normal, what_has_not_changed_stays);
	tcase_add_loop_test(normal, an_entry_that_has_changed_drops_what_it_translates, 0,
	                    ARRAY_LEN(changes));
	tcase_add_test(normal, neighbours_are_dropped_together);
	tcase_add_test(normal, entries_that_nothing_was_made_from_are_not_looked_at);
	tcase_add_test(normal, a_higher_entry_drops_all_below_it);
	tcase_add_test(normal, another_root_keeps_what_both_translate_alike);
	tcase_add_test(normal, invlpg_looks_at_one_page);
	tcase_add_test(normal, a_new_value_that_is_used_drops_the_old_ones);
	suite_add_tcase(suite, normal);
	tcase_add_checked_fixture(hostile, setup, teardown);
	tcase_add_test(hostile, a_table_outside_of_memory_translates_nothing);
	tcase_add_test(hostile, tables_that_became_anything_are_survived);
	suite_add_tcase(suite, hostile);
	return suite;
}
