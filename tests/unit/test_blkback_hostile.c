/* SPDX-License-Identifier: MIT */
/*
 * The block back-end against front-ends that lie: heads, indexes, grants, keys, and all of these while
 * they are being looked at. The fake storage aborts when a request reaches it that should not, the
 * fake host when a mapping or port is used wrongly or left behind.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "tests/unit/blkback_world.h"

Suite *blkback_hostile_suite(void);

/* ---- heads of requests ----------------------------------------------------------------------- */

#define LAST WORLD_SECTORS

static const struct {
	const char *what;
	uint8_t op, nr;
	uint64_t sector;
	uint8_t first, last;
	int16_t status;
} heads[] = {
	{ "no segment", BLKIF_OP_READ, 0, 0, 0, 7, BLKIF_RSP_ERROR },
	{ "no segment", BLKIF_OP_WRITE, 0, 0, 0, 7, BLKIF_RSP_ERROR },
	{ "too many segments", BLKIF_OP_READ, 12, 0, 0, 7, BLKIF_RSP_ERROR },
	{ "too many segments", BLKIF_OP_WRITE, 255, 0, 0, 7, BLKIF_RSP_ERROR },
	{ "too many segments", BLKIF_OP_FLUSH_DISKCACHE, 12, 0, 0, 7, BLKIF_RSP_ERROR },
	{ "too many segments", BLKIF_OP_WRITE_BARRIER, 255, 0, 0, 7, BLKIF_RSP_ERROR },
	{ "first after last", BLKIF_OP_READ, 1, 0, 4, 3, BLKIF_RSP_ERROR },
	{ "first after last", BLKIF_OP_READ, 1, 0, 255, 0, BLKIF_RSP_ERROR },
	{ "last outside of the page", BLKIF_OP_READ, 1, 0, 0, 8, BLKIF_RSP_ERROR },
	{ "last outside of the page", BLKIF_OP_WRITE, 11, 0, 7, 255, BLKIF_RSP_ERROR },
	{ "both outside of the page", BLKIF_OP_WRITE, 1, 0, 255, 255, BLKIF_RSP_ERROR },
	{ "across the end", BLKIF_OP_READ, 1, LAST - 7, 0, 7, BLKIF_RSP_ERROR },
	{ "behind the end", BLKIF_OP_WRITE, 1, LAST, 0, 0, BLKIF_RSP_ERROR },
	{ "behind the end", BLKIF_OP_WRITE_BARRIER, 1, LAST, 0, 0, BLKIF_RSP_ERROR },
	{ "behind the end", BLKIF_OP_FLUSH_DISKCACHE, 1, LAST, 0, 0, BLKIF_RSP_ERROR },
	{ "sum overflows", BLKIF_OP_READ, 1, UINT64_MAX, 0, 7, BLKIF_RSP_ERROR },
	{ "bytes overflow", BLKIF_OP_READ, 1, UINT64_MAX >> 9, 0, 7, BLKIF_RSP_ERROR },
	{ "bytes wrap to nought", BLKIF_OP_READ, 1, UINT64_C(1) << 55, 0, 7, BLKIF_RSP_ERROR },
	{ "bytes wrap to nought", BLKIF_OP_WRITE, 1, UINT64_C(1) << 63, 0, 7, BLKIF_RSP_ERROR },
	{ "unknown", BLKIF_OP_RESERVED_1, 1, 0, 0, 7, BLKIF_RSP_EOPNOTSUPP },
	{ "unknown", 7, 1, 0, 0, 7, BLKIF_RSP_EOPNOTSUPP },
	{ "unknown", 255, 255, UINT64_MAX, 255, 255, BLKIF_RSP_EOPNOTSUPP },
	{ "the last sector", BLKIF_OP_READ, 1, LAST - 1, 3, 3, BLKIF_RSP_OKAY },
	{ "the last page", BLKIF_OP_WRITE, 1, LAST - 8, 0, 7, BLKIF_RSP_OKAY },
};

START_TEST(a_head_that_makes_no_sense_is_answered_and_nothing_else)
{
	struct blkif_request *rq;
	bool ok = heads[_i].status == BLKIF_RSP_OKAY;

	world_simple(false);
	rq = blk_front_next(&w.front, 0, 3);
	rq->operation = heads[_i].op;
	rq->nr_segments = heads[_i].nr;
	rq->sector_number = heads[_i].sector;
	for (unsigned i = 0; i < BLKIF_MAX_SEGMENTS_PER_REQUEST; i++)
		rq->seg[i] = (struct blkif_request_segment){ blk_front_ref(w.front.data_page + i),
			                                     heads[_i].first, heads[_i].last };
	expect_answers(1);
	ck_assert_msg(w.front.q[0].status[3] == heads[_i].status, "%s: %d", heads[_i].what,
	              w.front.q[0].status[3]);
	ck_assert_uint_eq(w.front.q[0].operation[3], heads[_i].op);
	ck_assert_uint_eq(w.store.nr_log, ok);
	ck_assert_uint_eq(atomic_load(&w.f.maps), 1u + ok);
	world_end();
}
END_TEST

static const struct {
	const char *what;
	uint8_t op;
	uint16_t nr;
	uint64_t sector;
} indirects[] = {
	{ "no segment", BLKIF_OP_READ, 0, 0 },
	{ "one too many", BLKIF_OP_READ, 257, 0 },
	{ "all that eight pages hold", BLKIF_OP_WRITE, 4096, 0 },
	{ "more than eight pages hold", BLKIF_OP_WRITE, 65535, 0 },
	{ "a barrier", BLKIF_OP_WRITE_BARRIER, 1, 0 },
	{ "a flush", BLKIF_OP_FLUSH_DISKCACHE, 0, 0 },
	{ "a discard", BLKIF_OP_DISCARD, 1, 0 },
	{ "itself", BLKIF_OP_INDIRECT, 1, 0 },
	{ "unknown", 255, 1, 0 },
	{ "across the end", BLKIF_OP_READ, 256, LAST - 256 * 8 + 1 },
	{ "overflow", BLKIF_OP_WRITE, 256, UINT64_MAX - 100 },
};

START_TEST(an_indirect_head_that_makes_no_sense_is_answered_and_nothing_else)
{
	world_simple(_i % 2);
	blk_front_indirect(&w.front, 0, 3, indirects[_i / 2].op, indirects[_i / 2].sector, 20,
	                   indirects[_i / 2].nr < 300 ? indirects[_i / 2].nr : 300, 0);
	((struct blkif_request_indirect *)w.front.q[0].sring->ring)->nr_segments =
		indirects[_i / 2].nr;
	expect_answers(1);
	ck_assert_msg(w.front.q[0].status[3] == BLKIF_RSP_ERROR, "%s", indirects[_i / 2].what);
	ck_assert_uint_eq(w.store.nr_log, 0);
	world_end();
}
END_TEST

START_TEST(segments_of_an_indirect_page_are_checked_like_others)
{
	static const struct {
		unsigned at;
		uint8_t first, last;
	} bad[] = { { 0, 1, 0 }, { 255, 0, 8 }, { 128, 255, 255 }, { 12, 7, 6 } };
	struct blkif_request_segment *seg;

	world_simple(_i % 2);
	blk_front_indirect(&w.front, 0, 3, BLKIF_OP_WRITE, 0, 20, 256, 0);
	seg = blk_front_data(&w.front, 0);
	seg[bad[_i / 2].at].first_sect = bad[_i / 2].first;
	seg[bad[_i / 2].at].last_sect = bad[_i / 2].last;
	expect_answers(1);
	status_is(3, BLKIF_RSP_ERROR);
	ck_assert_uint_eq(w.store.nr_log, 0);
	world_end();
}
END_TEST

START_TEST(complaints_about_requests_come_to_an_end)
{
	world_simple(false);
	for (unsigned i = 0; i < 100; i++) {
		blk_front_rw(&w.front, 0, i, BLKIF_OP_READ, LAST, 0, 1);
		expect_answers(1);
	}
	ck_assert_uint_eq(w.f.complaints, 4);
	ck_assert_str_eq(w.f.complaint,
	                 "disk queue 0: request refused: sectors that are not on the disk");
	world_end();
}
END_TEST

/* ---- grants ---------------------------------------------------------------------------------- */

static const grant_ref_t no_refs[] = { 0, 7, 1088, 65535, 131071, 131072, UINT32_MAX };

START_TEST(a_reference_that_is_none_fails_its_request_only)
{
	bool persistent = _i % 2;

	world_simple(persistent);
	blk_front_rw(&w.front, 0, 1, BLKIF_OP_READ, 0, 0, 5);
	w.front.q[0].sring->ring[0].req.seg[3].gref = no_refs[_i / 2];
	blk_front_indirect(&w.front, 0, 2, BLKIF_OP_WRITE, 0, 20, 200, 0);
	((struct blkif_request_segment *)blk_front_data(&w.front, 0))[199].gref = no_refs[_i / 2];
	blk_front_indirect(&w.front, 0, 3, BLKIF_OP_WRITE, 0, 20, 200, 1);
	((struct blkif_request_indirect *)&w.front.q[0].sring->ring[2])->indirect_grefs[0] =
		no_refs[_i / 2];
	blk_front_rw(&w.front, 0, 4, BLKIF_OP_READ, 0, 0, 5);
	expect_answers(4);
	status_is(1, BLKIF_RSP_ERROR);
	status_is(2, BLKIF_RSP_ERROR);
	status_is(3, BLKIF_RSP_ERROR);
	status_is(4, BLKIF_RSP_OKAY);
	ck_assert_uint_eq(w.store.nr_log, 1);
	if (!persistent)
		ck_assert_uint_eq(be_fake_mapped(&w.f), 1);
	world_end();
}
END_TEST

START_TEST(a_grant_that_vanishes_fails_its_request_only)
{
	grant_ref_t ref;

	world_simple(_i);
	ref = blk_front_ref(w.front.data_page + 2);
	blk_front_rw(&w.front, 0, 1, BLKIF_OP_READ, 0, 0, 5);
	expect_answers(1);
	be_fake_revoke(&w.f, ref);
	blk_front_rw(&w.front, 0, 2, BLKIF_OP_READ, 0, 0, 5);
	expect_answers(1);
	/* What is mapped stays: the host sees to that; so a persistent one still serves. */
	status_is(2, _i ? BLKIF_RSP_OKAY : BLKIF_RSP_ERROR);
	world_end();
}
END_TEST

START_TEST(a_read_needs_leave_to_write_the_page)
{
	grant_ref_t ref;

	world_simple(_i);
	ref = blk_front_ref(w.front.data_page);
	be_fake_revoke(&w.f, ref);
	be_fake_grant(&w.f, ref, w.front.data_page, true);
	blk_front_rw(&w.front, 0, 1, BLKIF_OP_READ, 0, 0, 1);
	blk_front_rw(&w.front, 0, 2, BLKIF_OP_WRITE, 0, 0, 1);
	expect_answers(2);
	status_is(1, BLKIF_RSP_ERROR);
	status_is(2, BLKIF_RSP_OKAY);
	world_end();
}
END_TEST

/* ---- indexes --------------------------------------------------------------------------------- */

static const struct {
	uint32_t ahead; /* of what was served */
	bool possible;
} indexes[] = { { 0, true },
	        { 32, true },
	        { 33, false },
	        { 64, false },
	        { UINT32_MAX, false },
	        { 1u << 31, false },
	        { UINT32_MAX - 31, false } };

START_TEST(an_index_that_cannot_be_shuts_that_queue_only)
{
	unsigned told;

	world_begin();
	world_connect(2, 0);
	for (unsigned i = 0; i < 5; i++) {
		blk_front_rw(&w.front, 0, i, BLKIF_OP_READ, 0, 0, 1);
		expect_answers(1);
	}
	told = w.f.complaints;
	w.front.q[0].sring->req_prod = 5 + indexes[_i].ahead;
	be_fake_send(&w.f, w.front.q[0].port);
	/* Slots that were never filled hold noughts or old requests: answered somehow. */
	ck_assert_uint_eq(blk_front_poll(&w.front, 0),
	                  indexes[_i].possible ? indexes[_i].ahead : 0);
	if (indexes[_i].possible) {
		world_end();
		return;
	}
	ck_assert_uint_eq(w.f.complaints, told + 1);
	ck_assert_ptr_nonnull(strstr(w.f.complaint, "disk queue 0: request index"));
	/* For good, and told once. */
	w.front.q[0].sring->req_prod = 6;
	be_fake_send(&w.f, w.front.q[0].port);
	ck_assert_uint_eq(blk_front_poll(&w.front, 0), 0);
	ck_assert_uint_eq(w.f.complaints, told + 1);
	blk_front_rw(&w.front, 1, 9, BLKIF_OP_READ, 0, 0, 1);
	blk_front_push(&w.front, 1, false);
	ck_assert_uint_eq(blk_front_poll(&w.front, 1), 1);
	world_end();
}
END_TEST

START_TEST(what_is_in_flight_when_a_queue_is_shut_is_still_answered)
{
	world_simple(_i);
	w.store.delays = true;
	for (unsigned i = 0; i < 3; i++)
		blk_front_rw(&w.front, 0, i, BLKIF_OP_READ, 0, 0, 1);
	expect_answers(0);
	w.front.q[0].sring->req_prod = 1000;
	be_fake_send(&w.f, w.front.q[0].port);
	ck_assert_uint_eq(fake_store_complete(&w.store, 3, FAKE_LIFO), 3);
	ck_assert_uint_eq(blk_front_poll(&w.front, 0), 3);
	world_end();
}
END_TEST

/* A ring is full of requests in flight, and the front-end claims that there is room for more. */
START_TEST(no_more_is_in_flight_than_the_ring_holds)
{
	world_simple(_i);
	w.store.delays = true;
	for (unsigned i = 0; i < 32; i++)
		blk_front_rw(&w.front, 0, i, BLKIF_OP_READ, 0, 0, 1);
	expect_answers(0);
	ck_assert_uint_eq(w.store.nr_waiting, 32);
	w.front.q[0].sring->rsp_prod += 10; /* as if answered */
	w.front.q[0].sring->req_prod += 10;
	be_fake_send(&w.f, w.front.q[0].port);
	ck_assert_uint_eq(w.store.nr_waiting, 32);
	ck_assert_uint_eq(fake_store_complete(&w.store, 32, FAKE_RANDOM), 32);
	world_end();
}
END_TEST

START_TEST(our_indexes_are_not_the_front_ends_to_change)
{
	world_simple(_i);
	for (unsigned i = 0; i < 100; i++) {
		blk_front_rw(&w.front, 0, i, BLKIF_OP_READ, 0, 0, 1);
		w.front.q[0].sring->rsp_prod = i * 77777;
		w.front.q[0].sring->req_event = i * 33333;
		blk_front_push(&w.front, 0, true);
		ck_assert_uint_eq(w.front.q[0].sring->rsp_prod, i + 1);
		ck_assert_uint_eq(w.front.q[0].sring->req_event, i + 2);
		ck_assert_uint_eq(blk_front_poll(&w.front, 0), 1);
	}
	world_end();
}
END_TEST

START_TEST(indexes_wrap)
{
	world_begin();
	blk_front_publish(&w.front, &w.f, 1, 0);
	/* A ring in use for long, all answered. */
	w.front.q[0].sring->req_prod = w.front.q[0].sring->rsp_prod = UINT32_MAX - 20;
	w.front.q[0].ring.req_prod_pvt = w.front.q[0].ring.rsp_cons = UINT32_MAX - 20;
	w.front.q[0].sring->rsp_event = UINT32_MAX - 19;
	be_bus_front_changed(&w.bus);
	ck_assert(w.bus.connected);
	for (unsigned i = 0; i < 100; i++) {
		for (unsigned k = 0; k <= i % 32; k++)
			blk_front_rw(&w.front, 0, k, BLKIF_OP_READ, 0, 0, 1);
		expect_answers(i % 32 + 1);
	}
	ck_assert_uint_eq(w.f.complaints, 0);
	world_end();
}
END_TEST

/* ---- keys of the store ----------------------------------------------------------------------- */

static const struct {
	unsigned queues, order;
	const char *key, *value; /* NULL: removed */
} keys[] = {
	{ 1, 0, "event-channel", NULL },
	{ 1, 0, "event-channel", "" },
	{ 1, 0, "event-channel", "x" },
	{ 1, 0, "event-channel", "15" }, /* not offered */
	{ 1, 0, "event-channel", "4096" },
	{ 1, 0, "event-channel", "4294967297" },
	{ 1, 0, "event-channel", "99999999999999999999999" },
	{ 1, 0, "ring-ref", NULL },
	{ 1, 0, "ring-ref", "-1" },
	{ 1, 0, "ring-ref", "8 " },
	{ 1, 0, "ring-ref", "5" }, /* not granted */
	{ 1, 0, "ring-ref", "4294967295" },
	{ 1, 0, "ring-ref", "4294967304" },
	{ 1, 2, "ring-ref3", NULL },
	{ 1, 2, "ring-ref3", "70000" },
	{ 1, 2, "ring-ref0", "0x8" },
	{ 1, 2, "ring-page-order", "5" },
	{ 1, 2, "ring-page-order", "3" }, /* references that are not there */
	{ 1, 2, "ring-page-order", "64" },
	{ 1, 2, "ring-page-order", "4294967296" },
	{ 1, 2, "ring-page-order", "" },
	{ 1, 0, "num-ring-pages", "0" },
	{ 1, 0, "num-ring-pages", "3" },
	{ 1, 0, "num-ring-pages", "17" },
	{ 1, 0, "num-ring-pages", "two" },
	{ 2, 0, "multi-queue-num-queues", "0" },
	{ 2, 0, "multi-queue-num-queues", "5" },
	{ 2, 0, "multi-queue-num-queues", "3" }, /* queue-2 is not there */
	{ 2, 0, "multi-queue-num-queues", "18446744073709551617" },
	{ 2, 0, "queue-1/ring-ref", NULL },
	{ 2, 0, "queue-1/event-channel", "1" }, /* queue 0's */
	{ 2, 1, "queue-1/ring-ref1", "1000000" },
	{ 1, 0, "feature-persistent", "yes" },
	{ 1, 0, "feature-large-sector-size", "-1" },
	{ 1, 0, "protocol", "x86_32-abi" },
	{ 1, 0, "protocol", "arm-abi" },
	{ 1, 0, "protocol",
	  "x86_64-abi-and-a-very-long-name-that-fits-into-nothing-at-all-anywhere" },
};

START_TEST(a_choice_that_cannot_be_is_no_connection)
{
	world_begin();
	blk_front_publish(&w.front, &w.f, keys[_i].queues, keys[_i].order);
	be_fake_set(&w.f, BE_FRONT, keys[_i].key, keys[_i].value);
	be_bus_front_changed(&w.bus);
	ck_assert_msg(!w.bus.connected, "%s = %s", keys[_i].key, keys[_i].value);
	node_is(BE_BACK, "state", "5");
	ck_assert_ptr_nonnull(be_fake_get(&w.f, BE_BACK, "error"));
	ck_assert_uint_eq(w.f.complaints, 1);
	ck_assert_uint_eq(be_fake_mapped(&w.f), 0);
	for (unsigned i = 0; i < BE_FAKE_PORTS; i++)
		ck_assert(!w.f.port[i].bound);
	/* It may do better afterwards. */
	w.f.nr_nodes = 0;
	be_fake_setn(&w.f, BE_FRONT, "state", 6);
	be_bus_front_changed(&w.bus);
	world_connect(1, 0);
	world_end();
}
END_TEST

START_TEST(a_store_that_takes_no_more_is_no_connection)
{
	world_begin();
	blk_front_publish(&w.front, &w.f, 2, 1);
	w.f.writes_refused = (unsigned)_i + 1;
	be_bus_front_changed(&w.bus);
	ck_assert(!w.bus.connected);
	ck_assert_uint_eq(be_fake_mapped(&w.f), 0);
	world_end();
}
END_TEST

static const uint32_t old_rings[][2] = { { 1, 0 }, { 33, 0 }, { 5, 6 }, { 0, 1 }, { 1u << 31, 7 } };

START_TEST(a_ring_with_indexes_that_cannot_be_is_no_connection)
{
	bool possible = old_rings[_i][1] == 0 && old_rings[_i][0] <= 32;

	world_begin();
	blk_front_publish(&w.front, &w.f, 1, 0);
	w.front.q[0].sring->req_prod = old_rings[_i][0];
	w.front.q[0].sring->rsp_prod = old_rings[_i][1];
	be_bus_front_changed(&w.bus);
	ck_assert_int_eq(w.bus.connected, possible);
	world_end();
}
END_TEST

/* ---- changes while we look --------------------------------------------------------------------- */

/*
 * The front-end makes everything bad as soon as the first page is mapped: heads, segments, and the
 * page of indirect segments. What was copied before counts.
 */
static void change_all(struct be_fake *f, grant_ref_t ref)
{
	struct blkif_request_segment *list = blk_front_data(&w.front, 0);

	(void)f;
	/* The indirect page itself is copied first; it may change after that only. */
	if (ref == blk_front_ref(w.front.data_page))
		return;
	memset(w.front.q[0].sring->ring, 0xff, 32 * sizeof(w.front.q[0].sring->ring[0]));
	memset(list, 0xff, BE_FAKE_PAGE);
}

START_TEST(a_request_is_read_once)
{
	bool persistent = _i & 1, indirect = _i & 2;

	world_simple(persistent);
	w.f.meanwhile = change_all;
	if (indirect)
		blk_front_indirect(&w.front, 0, 3, BLKIF_OP_READ, 8, 20, 30, 0);
	else
		blk_front_rw(&w.front, 0, 3, BLKIF_OP_READ, 8, 20, 11);
	expect_answers(1);
	status_is(3, BLKIF_RSP_OKAY);
	ck_assert_uint_eq(w.store.nr_log, 1);
	ck_assert_uint_eq(w.store.log[0].offset, 8 * 512);
	ck_assert_uint_eq(w.store.log[0].len, (indirect ? 30 : 11) * 4096);
	w.f.meanwhile = NULL;
	world_end();
}
END_TEST

#define LIAR_ROUNDS 30000u

static atomic_bool liar_ends;

static void *change_for_ever(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg;

	while (!atomic_load_explicit(&liar_ends, memory_order_relaxed)) {
		volatile uint8_t *slot = (volatile uint8_t *)&w.front.q[0].sring->ring[seed % 32];
		volatile uint8_t *list = blk_front_data(&w.front, 0);
		unsigned r = (unsigned)rand_r(&seed);

		slot[r % 112] = (uint8_t)(r >> 8);
		list[r % 2048] = (uint8_t)(r >> 16);
	}
	return NULL;
}

/* What comes of a request that changes under our eyes is open, but the storage and host never see
 * what they must not (they abort), and every request is answered. */
START_TEST(whoever_changes_requests_meanwhile_hurts_nobody)
{
	pthread_t liar;
	unsigned got = 0;

	world_begin();
	w.front.persistent = _i;
	/* The ring has a reference that few changes lead to. */
	blk_front_publish(&w.front, &w.f, 1, 0);
	be_fake_grant(&w.f, 1085, 0, false);
	be_fake_revoke(&w.f, blk_front_ref(0));
	be_fake_setn(&w.f, BE_FRONT, "ring-ref", 1085);
	be_bus_front_changed(&w.bus);
	ck_assert(w.bus.connected);
	/* The ids are changed, too: only the count tells. */
	atomic_store(&liar_ends, false);
	ck_assert_int_eq(pthread_create(&liar, NULL, change_for_ever, (void *)(uintptr_t)(_i + 5)),
	                 0);
	for (unsigned i = 0; i < LIAR_ROUNDS / 16; i++) {
		for (unsigned k = 0; k < 16; k++) {
			if (k % 2)
				blk_front_rw(&w.front, 0, k, BLKIF_OP_READ, k * 8, 20, 1 + k % 11);
			else
				blk_front_indirect(&w.front, 0, k, BLKIF_OP_WRITE, k * 8, 20,
				                   40 + k, 0);
		}
		blk_front_push(&w.front, 0, true);
		for (unsigned tries = 0; got < (i + 1) * 16 && tries < 100000; tries++) {
			got += blk_front_poll(&w.front, 0);
			if (got < (i + 1) * 16)
				sched_yield();
		}
		/* It may have had a page of the disk put over its own ring. */
		if (strstr(w.f.complaint, "request index"))
			break;
		ck_assert_uint_eq(got, (i + 1) * 16);
	}
	atomic_store(&liar_ends, true);
	pthread_join(liar, NULL);
	ck_assert_uint_gt(got, 16);
	world_end();
}
END_TEST

/* ---- storms ---------------------------------------------------------------------------------- */

static void *send_for_ever(void *arg)
{
	(void)arg;
	while (!atomic_load(&liar_ends))
		be_fake_send(&w.f, w.front.q[0].port);
	return NULL;
}

START_TEST(a_storm_of_events_is_only_noise)
{
	pthread_t storm[3];
	unsigned got = 0;

	world_simple(_i);
	w.store.delays = false;
	atomic_store(&liar_ends, false);
	for (unsigned i = 0; i < 3; i++)
		ck_assert_int_eq(pthread_create(&storm[i], NULL, send_for_ever, NULL), 0);
	for (unsigned i = 0; i < 200; i++) {
		for (unsigned k = 0; k < 32; k++)
			blk_front_rw(&w.front, 0, k, BLKIF_OP_READ, k * 8, 20, 1);
		blk_front_push(&w.front, 0, true);
		for (unsigned tries = 0; got < (i + 1) * 32 && tries < 1000000; tries++) {
			got += blk_front_poll(&w.front, 0);
			sched_yield();
		}
		ck_assert_uint_eq(got, (i + 1) * 32);
	}
	atomic_store(&liar_ends, true);
	for (unsigned i = 0; i < 3; i++)
		pthread_join(storm[i], NULL);
	world_end();
}
END_TEST

/*
 * While we serve, a second vCPU answers for more: without a limit the thread that brought the event
 * would never leave. The storage's try() is where the test stands in for that vCPU.
 */
static atomic_uint endless_served;
static const struct blkstore_ops *fake_ops;
static struct blkif_request endless_request;

static int endless_try(struct blkstore *s, struct blkstore_req *req)
{
	struct blkif_sring *ring = w.front.q[0].sring;
	int rc = fake_ops->try(s, req);

	w.store.nr_log = 0;
	atomic_fetch_add(&endless_served, 1);
	if (!atomic_load(&liar_ends)) {
		for (; ring->req_prod != ring->rsp_prod + 32; ring->req_prod++)
			ring->ring[ring->req_prod % 32].req = endless_request;
		/* And the event of it arrives on the other vCPU. */
		if (atomic_load(&endless_served) % 7 == 0)
			be_fake_send(&w.f, w.front.q[0].port);
	}
	return rc;
}

START_TEST(nobody_is_kept_for_ever)
{
	struct blkstore_ops ops;
	unsigned before;

	world_simple(_i);
	fake_ops = w.store.s.ops;
	ops = *fake_ops;
	ops.try = endless_try;
	w.store.s.ops = &ops;
	atomic_store(&liar_ends, false);
	atomic_store(&endless_served, 0);
	blk_front_rw(&w.front, 0, 1, BLKIF_OP_READ, 0, 0, 1);
	endless_request = w.front.q[0].sring->ring[0].req;
	blk_front_push(&w.front, 0, true); /* returns: that is the test */
	before = atomic_load(&endless_served);
	ck_assert_uint_ge(before, 32);
	for (unsigned i = 0; i < 5000000 && atomic_load(&endless_served) < before + 1000; i++)
		sched_yield();
	/* It goes on elsewhere, and can be ended. */
	ck_assert_uint_ge(atomic_load(&endless_served), before + 1000);
	be_bus_drop(&w.bus);
	atomic_store(&liar_ends, true);
	w.store.s.ops = fake_ops;
	world_end();
}
END_TEST

static TCase *requests_case(void)
{
	TCase *tc = tcase_create("requests");

	tcase_add_loop_test(tc, a_head_that_makes_no_sense_is_answered_and_nothing_else, 0,
	                    ARRAY_LEN(heads));
	tcase_add_loop_test(tc, an_indirect_head_that_makes_no_sense_is_answered_and_nothing_else,
	                    0, 2 * ARRAY_LEN(indirects));
	tcase_add_loop_test(tc, segments_of_an_indirect_page_are_checked_like_others, 0, 8);
	tcase_add_test(tc, complaints_about_requests_come_to_an_end);
	tcase_add_loop_test(tc, a_reference_that_is_none_fails_its_request_only, 0,
	                    2 * ARRAY_LEN(no_refs));
	tcase_add_loop_test(tc, a_grant_that_vanishes_fails_its_request_only, 0, 2);
	tcase_add_loop_test(tc, a_read_needs_leave_to_write_the_page, 0, 2);
	return tc;
}

static TCase *ring_case(void)
{
	TCase *tc = tcase_create("ring");

	tcase_add_loop_test(tc, an_index_that_cannot_be_shuts_that_queue_only, 0,
	                    ARRAY_LEN(indexes));
	tcase_add_loop_test(tc, what_is_in_flight_when_a_queue_is_shut_is_still_answered, 0, 2);
	tcase_add_loop_test(tc, no_more_is_in_flight_than_the_ring_holds, 0, 2);
	tcase_add_loop_test(tc, our_indexes_are_not_the_front_ends_to_change, 0, 2);
	tcase_add_test(tc, indexes_wrap);
	tcase_add_loop_test(tc, a_ring_with_indexes_that_cannot_be_is_no_connection, 0,
	                    ARRAY_LEN(old_rings));
	return tc;
}

static TCase *store_case(void)
{
	TCase *tc = tcase_create("store");

	tcase_add_loop_test(tc, a_choice_that_cannot_be_is_no_connection, 0, ARRAY_LEN(keys));
	tcase_add_loop_test(tc, a_store_that_takes_no_more_is_no_connection, 0, 11);
	return tc;
}

static TCase *meanwhile_case(void)
{
	TCase *tc = tcase_create("meanwhile");

	tcase_set_timeout(tc, 90);
	tcase_add_loop_test(tc, a_request_is_read_once, 0, 4);
	tcase_add_loop_test(tc, whoever_changes_requests_meanwhile_hurts_nobody, 0, 2);
	tcase_add_loop_test(tc, a_storm_of_events_is_only_noise, 0, 2);
	tcase_add_loop_test(tc, nobody_is_kept_for_ever, 0, 2);
	return tc;
}

Suite *blkback_hostile_suite(void)
{
	Suite *s = suite_create("blkback_hostile");

	suite_add_tcase(s, requests_case());
	suite_add_tcase(s, ring_case());
	suite_add_tcase(s, store_case());
	suite_add_tcase(s, meanwhile_case());
	return s;
}
