/* SPDX-License-Identifier: MIT */
/*
 * Unit tests of the guest library's grant table: its free list, growing, the order of stores, and a
 * peer that holds on to a grant.
 *
 * The window and its mappings are replaced at link time: the table is an array here.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fake/fake_hypercalls.h"

#include "abi/errno.h"
#include "abi/grant_table.h"
#include "pvops/gnttab.h"
#include "pvops/mmu.h"

#define MAX_FRAMES 64
#define PER_FRAME  512u

Suite *pv_gnttab_suite(void);

static struct grant_entry_v1 table[MAX_FRAMES * PER_FRAME] __attribute__((aligned(4096)));
static unsigned int frames_allowed, frames_mapped;

uint64_t pv_mmu_window(unsigned int pages)
{
	ck_assert_uint_le(pages, MAX_FRAMES);
	return (uintptr_t)table;
}

int pv_mmu_map_frame(uint64_t va, uint64_t mfn, uint64_t flags)
{
	/* Pages come in order, each with the frame that setup_table named for it. */
	ck_assert_uint_eq(va, (uintptr_t)table + frames_mapped * PV_PAGE_SIZE);
	ck_assert_uint_eq(mfn, 1000 + frames_mapped);
	ck_assert(flags & PV_PTE_WRITE);
	frames_mapped++;
	return 0;
}

static long grant_table_op(const unsigned long args[6])
{
	struct gnttab_setup_table *op = (void *)args[1];
	unsigned int i;

	if (args[0] != GNTTABOP_setup_table)
		return -XEN_ENOSYS;
	op->status = GNTST_general_error;
	if (op->nr_frames > frames_allowed)
		return 0;
	for (i = 0; i < op->nr_frames; i++)
		op->frame_list.p[i] = 1000 + i;
	op->status = GNTST_okay;
	return 0;
}

/* Each test runs in a process of its own (check forks), so the library's table is fresh. */
static void setup(void)
{
	fake_hypercalls_reset();
	fake_hypercall_set(__HYPERVISOR_grant_table_op, grant_table_op);
	frames_allowed = MAX_FRAMES;
	frames_mapped = 0;
}

START_TEST(grant_fills_a_row)
{
	grant_ref_t ref = 0;

	ck_assert_int_eq(pv_gnttab_grant(3, 0x1234, PV_GRANT_RO, &ref), 0);
	ck_assert_uint_ge(ref, GNTTAB_NR_RESERVED_ENTRIES);
	ck_assert_uint_eq(table[ref].domid, 3);
	ck_assert_uint_eq(table[ref].frame, 0x1234);
	ck_assert_uint_eq(table[ref].flags, GTF_permit_access | GTF_readonly);
	ck_assert_int_eq(pv_gnttab_grant(4, 0x1235, PV_GRANT_RW, &ref), 0);
	ck_assert_uint_eq(table[ref].flags, GTF_permit_access);
	ck_assert_uint_eq(frames_mapped, 1);
}
END_TEST

START_TEST(reserved_rows_are_never_handed_out)
{
	unsigned int i;
	grant_ref_t ref;

	table[0].flags = table[1].flags = GTF_permit_access; /* the domain builder's */
	for (i = 0; i < 2 * PER_FRAME; i++) {
		ck_assert_int_eq(pv_gnttab_grant(1, i, PV_GRANT_RW, &ref), 0);
		ck_assert_uint_ge(ref, GNTTAB_NR_RESERVED_ENTRIES);
	}
	ck_assert_uint_eq(table[0].flags, GTF_permit_access);
	ck_assert_uint_eq(table[1].frame, 0);
}
END_TEST

START_TEST(revoked_reference_comes_back)
{
	grant_ref_t a, b, c;

	ck_assert_int_eq(pv_gnttab_grant(1, 1, PV_GRANT_RW, &a), 0);
	ck_assert_int_eq(pv_gnttab_grant(1, 2, PV_GRANT_RW, &b), 0);
	ck_assert_int_eq(pv_gnttab_revoke(a), 0);
	ck_assert_uint_eq(table[a].flags, GTF_invalid);
	ck_assert_int_eq(pv_gnttab_grant(1, 3, PV_GRANT_RW, &c), 0);
	ck_assert_uint_eq(c, a);
	ck_assert_uint_eq(table[b].frame, 2);
}
END_TEST

START_TEST(what_is_in_use_is_counted)
{
	unsigned int taken, granting;
	grant_ref_t a, own;

	pv_gnttab_count(&taken, &granting);
	ck_assert_uint_eq(taken + granting, 0);
	ck_assert_int_eq(pv_gnttab_grant(1, 1, PV_GRANT_RW, &a), 0);
	ck_assert_int_eq(pv_gnttab_take(&own), 0);
	pv_gnttab_count(&taken, &granting);
	ck_assert_uint_eq(taken, 2);
	ck_assert_uint_eq(granting, 1);
	pv_gnttab_set(own, 1, 2, PV_GRANT_RO);
	ck_assert_int_eq(pv_gnttab_revoke(a), 0);
	pv_gnttab_count(&taken, &granting);
	ck_assert_uint_eq(taken, 1);
	ck_assert_uint_eq(granting, 1);
	ck_assert(pv_gnttab_clear(own));
	pv_gnttab_give(own);
	pv_gnttab_count(&taken, &granting);
	ck_assert_uint_eq(taken + granting, 0);
}
END_TEST

/* Many grants and revocations in random order: no reference is ever handed out twice. */
START_TEST(no_reference_is_in_two_hands)
{
	enum { N = 2000 };
	static grant_ref_t held[N];
	static bool taken[MAX_FRAMES * PER_FRAME];
	unsigned int n = 0, i, at;

	srand(1);
	for (i = 0; i < 100000; i++) {
		if (n < N && (n == 0 || rand() % 2)) {
			ck_assert_int_eq(pv_gnttab_grant(1, i, PV_GRANT_RW, &held[n]), 0);
			ck_assert(!taken[held[n]]);
			taken[held[n++]] = true;
		} else {
			at = (unsigned int)rand() % n;
			ck_assert_int_eq(pv_gnttab_revoke(held[at]), 0);
			taken[held[at]] = false;
			held[at] = held[--n];
		}
	}
}
END_TEST

START_TEST(table_grows_to_its_end_and_no_further)
{
	grant_ref_t ref, last = 0;
	unsigned int i;

	frames_allowed = 3;
	for (i = 0; i < 3 * PER_FRAME - GNTTAB_NR_RESERVED_ENTRIES; i++)
		ck_assert_int_eq(pv_gnttab_grant(1, i, PV_GRANT_RW, &last), 0);
	ref = 12345;
	ck_assert_int_eq(pv_gnttab_grant(1, 0, PV_GRANT_RW, &ref), -XEN_ENOSPC);
	ck_assert_uint_eq(ref, 12345);
	ck_assert_uint_eq(frames_mapped, 3);
	ck_assert_int_eq(pv_gnttab_revoke(last), 0);
	ck_assert_int_eq(pv_gnttab_grant(1, 0, PV_GRANT_RW, &ref), 0);
	ck_assert_uint_eq(ref, last);
}
END_TEST

START_TEST(a_reference_of_ones_own_grants_again_and_again)
{
	grant_ref_t ref, other;
	unsigned int i;

	ck_assert_int_eq(pv_gnttab_take(&ref), 0);
	ck_assert_uint_eq(table[ref].flags, GTF_invalid);
	for (i = 0; i < 3; i++) {
		pv_gnttab_set(ref, 5, 0x100 + i, i & 1 ? PV_GRANT_RO : PV_GRANT_RW);
		ck_assert_uint_eq(table[ref].domid, 5);
		ck_assert_uint_eq(table[ref].frame, 0x100 + i);
		ck_assert_uint_eq(table[ref].flags,
		                  GTF_permit_access | (i & 1 ? GTF_readonly : 0));
		table[ref].flags |= GTF_reading;
		ck_assert(!pv_gnttab_clear(ref));
		table[ref].flags &= (uint16_t)~GTF_reading;
		ck_assert(pv_gnttab_clear(ref));
		ck_assert_uint_eq(table[ref].flags, GTF_invalid);
		ck_assert_int_eq(pv_gnttab_grant(1, 1, PV_GRANT_RW, &other), 0);
		ck_assert_uint_ne(other, ref);
	}
	pv_gnttab_give(ref);
	ck_assert_int_eq(pv_gnttab_take(&other), 0);
	ck_assert_uint_eq(other, ref);
}
END_TEST

START_TEST(grant_in_use_stays)
{
	static const uint16_t uses[] = { GTF_reading, GTF_writing, GTF_reading | GTF_writing };
	grant_ref_t ref;

	ck_assert_int_eq(pv_gnttab_grant(1, 7, PV_GRANT_RW, &ref), 0);
	ck_assert(!pv_gnttab_in_use(ref));
	table[ref].flags |= uses[_i];
	ck_assert(pv_gnttab_in_use(ref));
	ck_assert_int_eq(pv_gnttab_revoke(ref), -XEN_EBUSY);
	ck_assert_uint_eq(table[ref].flags, GTF_permit_access | uses[_i]);
	table[ref].flags &= (uint16_t)~uses[_i];
	ck_assert_int_eq(pv_gnttab_revoke(ref), 0);
}
END_TEST

START_TEST(what_was_not_granted_cannot_be_revoked)
{
	static const grant_ref_t bad[] = { 0, 1, 7, PER_FRAME, 1u << 20, UINT32_MAX };
	grant_ref_t ref;

	ck_assert_int_eq(pv_gnttab_grant(1, 7, PV_GRANT_RW, &ref), 0);
	ck_assert_int_eq(pv_gnttab_revoke(bad[_i]), -XEN_EINVAL);
	ck_assert(!pv_gnttab_in_use(bad[_i]));
	ck_assert_int_eq(pv_gnttab_revoke(ref), 0);
	ck_assert_int_eq(pv_gnttab_revoke(ref), -XEN_EINVAL);
}
END_TEST

START_TEST(bad_peers_and_frames_are_refused)
{
	grant_ref_t ref = 5;

	ck_assert_int_eq(pv_gnttab_grant(DOMID_IO, 7, PV_GRANT_RW, &ref), -XEN_EINVAL);
	ck_assert_int_eq(pv_gnttab_grant(DOMID_INVALID, 7, PV_GRANT_RW, &ref), -XEN_EINVAL);
	ck_assert_int_eq(pv_gnttab_grant(0xffff, 7, PV_GRANT_RW, &ref), -XEN_EINVAL);
	ck_assert_int_eq(pv_gnttab_grant(1, 1ull << 32, PV_GRANT_RW, &ref), -XEN_EINVAL);
	ck_assert_uint_eq(ref, 5);
	ck_assert_int_eq(pv_gnttab_grant(DOMID_SELF, 7, PV_GRANT_RW, &ref), 0);
}
END_TEST

Suite *pv_gnttab_suite(void)
{
	Suite *s = suite_create("pv_gnttab");
	TCase *tc = tcase_create("normal");

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, grant_fills_a_row);
	tcase_add_test(tc, revoked_reference_comes_back);
	tcase_add_test(tc, what_is_in_use_is_counted);
	tcase_add_test(tc, no_reference_is_in_two_hands);
	tcase_add_test(tc, a_reference_of_ones_own_grants_again_and_again);
	suite_add_tcase(s, tc);
	tc = tcase_create("limits");
	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, reserved_rows_are_never_handed_out);
	tcase_add_test(tc, table_grows_to_its_end_and_no_further);
	suite_add_tcase(s, tc);
	tc = tcase_create("hostile");
	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_loop_test(tc, grant_in_use_stays, 0, 3);
	tcase_add_loop_test(tc, what_was_not_granted_cannot_be_revoked, 0, 6);
	tcase_add_test(tc, bad_peers_and_frames_are_refused);
	suite_add_tcase(s, tc);
	return s;
}
