/* SPDX-License-Identifier: MIT */
/*
 * The block back-end with a front-end that keeps the protocol (backends/blkback*.c). What liars do is
 * in test_blkback_hostile.c.
 */
#include <pthread.h>
#include <sched.h>

#include "backends/blkback_priv.h"
#include "tests/unit/blkback_world.h"

Suite *blkback_suite(void);

/* ---- what is said in the store --------------------------------------------------------------- */

START_TEST(the_store_says_what_linux_says)
{
	world_begin();
	node_is(BE_BACK, "feature-max-indirect-segments", "256");
	node_is(BE_BACK, "multi-queue-max-queues", "4");
	node_is(BE_BACK, "max-ring-page-order", "4");
	node_is(BE_BACK, "max-ring-pages", "16");
	node_is(BE_BACK, "mode", "w");
	node_is(BE_BACK, "state", "2");
	ck_assert_ptr_null(be_fake_get(&w.f, BE_BACK, "sectors"));
	world_connect(1, 0);
	node_is(BE_BACK, "feature-flush-cache", "1");
	node_is(BE_BACK, "feature-barrier", "1");
	node_is(BE_BACK, "feature-discard", "1");
	node_is(BE_BACK, "discard-granularity", "512");
	node_is(BE_BACK, "discard-alignment", "0");
	node_is(BE_BACK, "discard-secure", "0");
	node_is(BE_BACK, "feature-persistent", "1");
	node_is(BE_BACK, "sectors", "16384");
	node_is(BE_BACK, "info", "0");
	node_is(BE_BACK, "sector-size", "512");
	node_is(BE_BACK, "physical-sector-size", "512");
	node_is(BE_BACK, "state", "4");
	world_end();
}
END_TEST

/* The description is there before the state that announces it. */
static bool described;

static void on_description(struct be_fake *f, const char *node, const char *value)
{
	(void)f;
	if (!strcmp(node, "physical-sector-size"))
		described = true;
	if (!strcmp(node, "state") && !strcmp(value, "4"))
		ck_assert(described);
}

START_TEST(the_disk_is_described_before_it_is_connected)
{
	described = false;
	world_begin();
	w.f.written = on_description;
	world_connect(1, 0);
	ck_assert(described);
	world_end();
}
END_TEST

START_TEST(a_read_only_cdrom_says_so)
{
	world_begin_with(512, true);
	w.options = (struct blkback_options){ .cdrom = true, .removable = true, .serial = "ab-1" };
	world_offer();
	world_connect(1, 0);
	node_is(BE_BACK, "info", "7");
	node_is(BE_BACK, "mode", "r");
	node_is(BE_BACK, "serial", "ab-1");
	node_is(BE_BACK, "feature-discard", "0");
	ck_assert_ptr_null(be_fake_get(&w.f, BE_BACK, "discard-granularity"));
	blk_front_rw(&w.front, 0, 1, BLKIF_OP_READ, 0, 0, 1);
	blk_front_rw(&w.front, 0, 2, BLKIF_OP_WRITE, 0, 0, 1);
	expect_answers(2);
	status_is(1, BLKIF_RSP_OKAY);
	status_is(2, BLKIF_RSP_ERROR);
	world_end();
}
END_TEST

START_TEST(discards_are_offered_unless_the_toolstack_says_no)
{
	world_begin_with(512, false);
	be_fake_set(&w.f, BE_BACK, "discard-enable", "0");
	world_offer();
	world_connect(1, 0);
	node_is(BE_BACK, "feature-discard", "0");
	world_end();
}
END_TEST

/* Each in the words of some front-end: what it writes, and how many slots that makes. */
static const struct {
	const char *who, *key, *value;
	const char *ref_name;
	unsigned slots;
} namings[] = {
	{ "Linux, Mini-OS, GRUB: one page", NULL, NULL, "ring-ref", 32 },
	{ "QEMU's tests: order 0", "ring-page-order", "0", "ring-ref0", 32 },
	{ "order 0, the old name", "ring-page-order", "0", "ring-ref", 32 },
	{ "FreeBSD: one page by number", "num-ring-pages", "1", "ring-ref", 32 },
};

START_TEST(one_page_has_several_names)
{
	world_begin();
	blk_front_publish(&w.front, &w.f, 1, 0);
	be_fake_set(&w.f, BE_FRONT, "ring-ref", NULL);
	be_fake_setn(&w.f, BE_FRONT, namings[_i].ref_name, blk_front_ref(0));
	if (namings[_i].key)
		be_fake_set(&w.f, BE_FRONT, namings[_i].key, namings[_i].value);
	be_bus_front_changed(&w.bus);
	ck_assert_msg(w.bus.connected, "%s: %s", namings[_i].who, w.f.complaint);
	blk_front_rw(&w.front, 0, 1, BLKIF_OP_READ, 8, 0, 1);
	expect_answers(1);
	status_is(1, BLKIF_RSP_OKAY);
	world_end();
}
END_TEST

START_TEST(several_pages_may_be_given_by_number)
{
	world_begin();
	blk_front_publish(&w.front, &w.f, 1, 2);
	be_fake_set(&w.f, BE_FRONT, "ring-page-order", NULL);
	be_fake_set(&w.f, BE_FRONT, "num-ring-pages", "4");
	be_bus_front_changed(&w.bus);
	ck_assert(w.bus.connected);
	world_end();
}
END_TEST

/* ---- reading and writing --------------------------------------------------------------------- */

START_TEST(a_page_is_read_and_written)
{
	struct blkback_stats s;

	world_simple(_i);
	blk_front_rw(&w.front, 0, 7, BLKIF_OP_READ, 80, 3, 1);
	expect_answers(1);
	status_is(7, BLKIF_RSP_OKAY);
	ck_assert_uint_eq(w.front.q[0].operation[7], BLKIF_OP_READ);
	ck_assert_mem_eq(blk_front_data(&w.front, 3), w.store.bytes + 80 * 512, 4096);
	memset(blk_front_data(&w.front, 4), 0xa5, 4096);
	blk_front_rw(&w.front, 0, 8, BLKIF_OP_WRITE, 16, 4, 1);
	expect_answers(1);
	status_is(8, BLKIF_RSP_OKAY);
	ck_assert_uint_eq(w.front.q[0].operation[8], BLKIF_OP_WRITE);
	ck_assert_mem_eq(blk_front_data(&w.front, 4), w.store.bytes + 16 * 512, 4096);
	ck_assert_uint_eq(w.front.q[0].ring.rsp_cons, 2);
	ck_assert_uint_eq(atomic_load(&w.f.port[1].notified), 2);
	blkback_get_stats(w.b, &s);
	ck_assert_uint_eq(s.reads, 1);
	ck_assert_uint_eq(s.writes, 1);
	ck_assert_uint_eq(s.sectors_read, 8);
	ck_assert_uint_eq(s.sectors_written, 8);
	ck_assert_uint_eq(s.inline_done, 2);
	ck_assert_uint_eq(s.handed_over, 0);
	ck_assert_uint_eq(s.events_in, 2);
	ck_assert_uint_eq(s.events_out, 2);
	ck_assert_uint_eq(s.errors, 0);
	world_end();
	ck_assert_uint_eq(w.store.submits, 0);
}
END_TEST

START_TEST(segments_are_parts_of_pages)
{
	static const struct {
		uint8_t first, last;
	} part[] = { { 0, 7 }, { 1, 1 }, { 0, 0 }, { 7, 7 }, { 2, 6 }, { 5, 7 }, { 0, 3 } };
	struct blkif_request *rq;
	uint64_t at = 100;

	world_simple(_i);
	rq = blk_front_next(&w.front, 0, 1);
	rq->operation = BLKIF_OP_READ;
	rq->nr_segments = ARRAY_LEN(part);
	rq->sector_number = at;
	for (unsigned i = 0; i < ARRAY_LEN(part); i++)
		rq->seg[i] = (struct blkif_request_segment){ blk_front_ref(w.front.data_page + i),
			                                     part[i].first, part[i].last };
	expect_answers(1);
	status_is(1, BLKIF_RSP_OKAY);
	for (unsigned i = 0; i < ARRAY_LEN(part); i++) {
		unsigned n = part[i].last - part[i].first + 1u;
		uint8_t *page = blk_front_data(&w.front, i);

		ck_assert_mem_eq(page + part[i].first * 512, w.store.bytes + at * 512, n * 512);
		for (unsigned k = 0; k < part[i].first * 512u; k++)
			ck_assert_uint_eq(page[k], 0);
		for (unsigned k = (part[i].last + 1u) * 512; k < 4096; k++)
			ck_assert_uint_eq(page[k], 0);
		at += n;
	}
	world_end();
}
END_TEST

START_TEST(contiguous_pages_are_one_piece)
{
	world_simple(_i);
	blk_front_rw(&w.front, 0, 1, BLKIF_OP_READ, 0, 0, 11);
	expect_answers(1);
	ck_assert_uint_eq(w.store.nr_log, 1);
	ck_assert_uint_eq(w.store.log[0].nr_iov, 1);
	ck_assert_uint_eq(w.store.log[0].len, 11 * 4096);
	world_end();
}
END_TEST

static const unsigned lengths[] = { 1, 2, 11, 12, 31, 255, 256 };

START_TEST(large_requests_go_at_once)
{
	unsigned nr = lengths[_i % ARRAY_LEN(lengths)];
	bool persistent = (size_t)_i >= ARRAY_LEN(lengths);
	size_t len = nr * 4096ul;

	world_simple(persistent);
	blk_front_indirect(&w.front, 0, 1, BLKIF_OP_READ, 24, 10, nr, 0);
	expect_answers(1);
	status_is(1, BLKIF_RSP_OKAY);
	ck_assert_uint_eq(w.front.q[0].operation[1], BLKIF_OP_READ);
	ck_assert_mem_eq(blk_front_data(&w.front, 10), w.store.bytes + 24 * 512, len);
	memset(blk_front_data(&w.front, 10), 0x3c, len);
	blk_front_indirect(&w.front, 0, 2, BLKIF_OP_WRITE, 1024, 10, nr, 0);
	expect_answers(1);
	status_is(2, BLKIF_RSP_OKAY);
	ck_assert_uint_eq(w.front.q[0].operation[2], BLKIF_OP_WRITE);
	ck_assert_mem_eq(blk_front_data(&w.front, 10), w.store.bytes + 1024 * 512, len);
	ck_assert_uint_eq(w.store.nr_log, 2);
	world_end();
}
END_TEST

START_TEST(rings_of_every_size_are_used_to_the_last_slot)
{
	unsigned order = (unsigned)_i % 5, slots, queues = _i < 5 ? 1 : 3;

	world_begin();
	w.front.persistent = order % 2;
	world_connect(queues, order);
	slots = w.front.q[0].ring.nr_ents;
	ck_assert_uint_ge(slots, 32u << order);
	for (unsigned round = 0; round < 7; round++) {
		for (unsigned q = 0; q < queues; q++) {
			/* Not a divisor of the ring: each round begins at another slot. */
			unsigned n = round == 6 ? slots : slots - 5;

			memset(w.front.q[q].answered, 0, sizeof(w.front.q[q].answered));
			for (unsigned i = 0; i < n; i++)
				blk_front_rw(&w.front, q, i, BLKIF_OP_READ, i * 8 % 8000, i % 500,
				             1 + i % 11);
			blk_front_push(&w.front, q, false);
			ck_assert_uint_eq(blk_front_poll(&w.front, q), n);
			for (unsigned i = 0; i < n; i++) {
				ck_assert_uint_eq(w.front.q[q].answered[i], 1);
				ck_assert_int_eq(w.front.q[q].status[i], BLKIF_RSP_OKAY);
			}
		}
	}
	world_end();
}
END_TEST

START_TEST(a_batch_costs_one_event_each_way)
{
	world_simple(_i);
	/* More than are pushed together: the front-end has not asked again meanwhile. */
	for (unsigned i = 0; i < 32; i++)
		blk_front_rw(&w.front, 0, i, BLKIF_OP_READ, i * 8, i, 1);
	ck_assert(blk_front_push(&w.front, 0, false));
	ck_assert_uint_eq(atomic_load(&w.f.port[1].notified), 1);
	ck_assert_uint_eq(blk_front_poll(&w.front, 0), 32);
	ck_assert_uint_eq(w.store.kicks, 0);
	world_end();
}
END_TEST

START_TEST(a_front_end_that_polls_is_not_sent_events)
{
	world_simple(_i);
	w.front.q[0].sring->rsp_event = 1000;
	blk_front_rw(&w.front, 0, 1, BLKIF_OP_READ, 8, 0, 1);
	blk_front_push(&w.front, 0, false);
	ck_assert_uint_eq(atomic_load(&w.f.port[1].notified), 0);
	ck_assert_uint_eq(blk_front_poll(&w.front, 0), 1);
	world_end();
}
END_TEST

static void wait_for_answers(unsigned queue, unsigned n)
{
	for (unsigned i = 0; i < 5000000 && n; i++) {
		n -= blk_front_poll(&w.front, queue);
		if (n)
			sched_yield();
	}
	ck_assert_uint_eq(n, 0);
}

START_TEST(requests_from_before_the_connection_are_served)
{
	world_begin();
	blk_front_publish(&w.front, &w.f, 1, 0);
	blk_front_rw(&w.front, 0, 1, BLKIF_OP_READ, 8, 0, 1);
	blk_front_push(&w.front, 0, true);
	be_bus_front_changed(&w.bus);
	ck_assert(w.bus.connected);
	wait_for_answers(0, 1);
	status_is(1, BLKIF_RSP_OKAY);
	world_end();
}
END_TEST

/* ---- grants ---------------------------------------------------------------------------------- */

static unsigned mapped_when_told;

static void count_mapped(struct be_fake *f, evtchn_port_t port)
{
	(void)port;
	mapped_when_told = be_fake_mapped(f);
}

START_TEST(a_page_is_unmapped_before_its_response)
{
	world_simple(false);
	w.f.told = count_mapped;
	w.store.delays = _i;
	mapped_when_told = 99;
	blk_front_rw(&w.front, 0, 1, BLKIF_OP_READ, 8, 0, 11);
	blk_front_push(&w.front, 0, false);
	if (_i) {
		ck_assert_uint_eq(be_fake_mapped(&w.f), 12);
		fake_store_complete(&w.store, 1, FAKE_FIFO);
	}
	ck_assert_uint_eq(mapped_when_told, 1); /* the ring */
	ck_assert_uint_eq(blk_front_poll(&w.front, 0), 1);
	world_end();
}
END_TEST

START_TEST(a_persistent_grant_is_mapped_once)
{
	struct blkback_stats s;

	world_simple(true);
	for (unsigned i = 0; i < 100; i++) {
		blk_front_rw(&w.front, 0, 1, i % 2 ? BLKIF_OP_READ : BLKIF_OP_WRITE, i * 8, i % 10,
		             5);
		blk_front_indirect(&w.front, 0, 2, BLKIF_OP_READ, i * 8, i % 10, 20, 600);
		expect_answers(2);
	}
	/* Pages 0 to 28 and the list, and the ring. */
	ck_assert_uint_eq(atomic_load(&w.f.maps), 29 + 1 + 1);
	ck_assert_uint_eq(be_fake_mapped(&w.f), 29 + 1 + 1);
	blkback_get_stats(w.b, &s);
	ck_assert_uint_eq(s.grants_persistent, 30);
	ck_assert_uint_eq(s.grants_mapped, 30);
	world_end();
}
END_TEST

START_TEST(a_grant_that_cannot_be_kept_is_mapped_for_its_request)
{
	world_simple(true);
	/* Only for reading, although persistence asks for both. */
	be_fake_revoke(&w.f, blk_front_ref(w.front.data_page));
	be_fake_grant(&w.f, blk_front_ref(w.front.data_page), w.front.data_page, true);
	blk_front_rw(&w.front, 0, 1, BLKIF_OP_WRITE, 8, 0, 1);
	blk_front_rw(&w.front, 0, 2, BLKIF_OP_READ, 8, 0, 1);
	expect_answers(2);
	status_is(1, BLKIF_RSP_OKAY);
	status_is(2, BLKIF_RSP_ERROR);
	ck_assert_uint_eq(be_fake_mapped(&w.f), 1);
	world_end();
}
END_TEST

/* ---- flush, barrier, discard ------------------------------------------------------------------ */

static void flush_request(uint64_t id, uint8_t op, uint64_t sector, unsigned page, unsigned nr)
{
	blk_front_rw(&w.front, 0, id, op, sector, page, nr);
}

START_TEST(a_flush_reaches_the_storage)
{
	world_simple(_i);
	flush_request(1, BLKIF_OP_FLUSH_DISKCACHE, 0, 0, 0);
	expect_answers(1);
	status_is(1, BLKIF_RSP_OKAY);
	ck_assert_uint_eq(w.front.q[0].operation[1], BLKIF_OP_FLUSH_DISKCACHE);
	ck_assert_uint_eq(w.store.nr_log, 1);
	ck_assert_int_eq(w.store.log[0].op, BLKSTORE_FLUSH);
	/* With data: the flush comes first. The sector of one without is not looked at. */
	flush_request(2, BLKIF_OP_FLUSH_DISKCACHE, 8, 0, 2);
	flush_request(3, BLKIF_OP_FLUSH_DISKCACHE, UINT64_MAX, 0, 0);
	expect_answers(2);
	status_is(2, BLKIF_RSP_OKAY);
	status_is(3, BLKIF_RSP_OKAY);
	ck_assert_uint_eq(w.store.nr_log, 4);
	ck_assert_int_eq(w.store.log[1].op, BLKSTORE_FLUSH);
	ck_assert_int_eq(w.store.log[2].op, BLKSTORE_WRITE);
	ck_assert_int_eq(w.store.log[3].op, BLKSTORE_FLUSH);
	world_end();
}
END_TEST

START_TEST(a_flush_is_answered_when_the_storage_has_flushed)
{
	world_simple(_i);
	w.store.delays = true;
	flush_request(1, BLKIF_OP_FLUSH_DISKCACHE, 8, 0, 1);
	expect_answers(0);
	ck_assert_uint_eq(fake_store_complete(&w.store, 1, FAKE_FIFO), 1);
	ck_assert_uint_eq(blk_front_poll(&w.front, 0), 0);
	ck_assert_uint_eq(fake_store_complete(&w.store, 1, FAKE_FIFO), 1);
	ck_assert_uint_eq(blk_front_poll(&w.front, 0), 1);
	status_is(1, BLKIF_RSP_OKAY);
	ck_assert_int_eq(w.store.log[0].op, BLKSTORE_FLUSH);
	ck_assert_int_eq(w.store.log[1].op, BLKSTORE_WRITE);
	world_end();
}
END_TEST

START_TEST(a_flush_that_fails_is_answered_so)
{
	static const struct {
		int rc;
		int16_t status;
	} want[] = { { -EIO, BLKIF_RSP_ERROR },
		     { -ENOSPC, BLKIF_RSP_ERROR },
		     { -EOPNOTSUPP, BLKIF_RSP_EOPNOTSUPP } };

	world_simple(false);
	w.store.fail = 1;
	w.store.fail_rc = want[_i].rc;
	flush_request(1, BLKIF_OP_FLUSH_DISKCACHE, 8, 0, 1);
	expect_answers(1);
	status_is(1, want[_i].status);
	ck_assert_uint_eq(w.store.nr_log, 1); /* the write was not begun */
	world_end();
}
END_TEST

static void wait_for_submits(unsigned n)
{
	for (unsigned i = 0; i < 5000000; i++) {
		bool there;

		pthread_mutex_lock(&w.store.lock);
		there = w.store.submits >= n;
		pthread_mutex_unlock(&w.store.lock);
		if (there)
			break;
		sched_yield();
	}
	ck_assert_uint_eq(w.store.submits, n);
}

START_TEST(a_barrier_divides_what_was_before_from_what_comes_after)
{
	world_simple(_i);
	w.store.delays = true;
	blk_front_rw(&w.front, 0, 1, BLKIF_OP_WRITE, 8, 0, 1);
	blk_front_rw(&w.front, 0, 2, BLKIF_OP_WRITE, 16, 0, 1);
	blk_front_rw(&w.front, 0, 3, BLKIF_OP_WRITE_BARRIER, 24, 0, 1);
	blk_front_rw(&w.front, 0, 4, BLKIF_OP_WRITE, 32, 0, 1);
	blk_front_rw(&w.front, 0, 5, BLKIF_OP_WRITE_BARRIER, 0, 0, 0);
	blk_front_rw(&w.front, 0, 6, BLKIF_OP_READ, 0, 0, 1);
	expect_answers(0);
	ck_assert_uint_eq(w.store.submits, 2);
	ck_assert_uint_eq(fake_store_complete(&w.store, 1, FAKE_LIFO), 1);
	ck_assert_uint_eq(w.store.submits, 2);
	ck_assert_uint_eq(fake_store_complete(&w.store, 1, FAKE_LIFO), 1);
	/* The barrier: flush, write, flush. Write; barrier without data: flush. Read. */
	for (unsigned n = 3; n <= 8; n++) {
		wait_for_submits(n);
		ck_assert_uint_eq(fake_store_complete(&w.store, 1, FAKE_LIFO), 1);
	}
	wait_for_answers(0, 6);
	for (unsigned id = 1; id <= 6; id++)
		status_is(id, BLKIF_RSP_OKAY);
	ck_assert_uint_eq(w.store.nr_log, 8);
	ck_assert_int_eq(w.store.log[2].op, BLKSTORE_FLUSH);
	ck_assert_uint_eq(w.store.log[3].offset, 24 * 512);
	ck_assert_int_eq(w.store.log[4].op, BLKSTORE_FLUSH);
	ck_assert_uint_eq(w.store.log[5].offset, 32 * 512);
	ck_assert_int_eq(w.store.log[6].op, BLKSTORE_FLUSH);
	ck_assert_int_eq(w.store.log[7].op, BLKSTORE_READ);
	world_end();
}
END_TEST

START_TEST(a_barrier_that_need_not_wait_costs_no_other_thread)
{
	world_simple(_i);
	blk_front_rw(&w.front, 0, 1, BLKIF_OP_WRITE, 8, 0, 1);
	blk_front_rw(&w.front, 0, 2, BLKIF_OP_WRITE_BARRIER, 24, 0, 1);
	blk_front_rw(&w.front, 0, 3, BLKIF_OP_WRITE, 32, 0, 1);
	expect_answers(3);
	ck_assert_uint_eq(w.store.submits, 0);
	ck_assert_uint_eq(w.store.nr_log, 5);
	world_end();
}
END_TEST

static void discard_request(uint64_t id, uint64_t sector, uint64_t nr, uint8_t flag)
{
	struct blkif_request_discard *d = (void *)blk_front_next(&w.front, 0, id);

	d->operation = BLKIF_OP_DISCARD;
	d->flag = flag;
	d->sector_number = sector;
	d->nr_sectors = nr;
}

static const struct {
	uint64_t sector, nr;
	uint8_t flag;
	int16_t status;
	unsigned reaches;
} discards[] = {
	{ 8, 16, 0, BLKIF_RSP_OKAY, 1 },
	{ 0, WORLD_SECTORS, 0, BLKIF_RSP_OKAY, 1 },
	{ 8, 0, 0, BLKIF_RSP_OKAY, 0 },
	{ 8, 16, BLKIF_DISCARD_SECURE, BLKIF_RSP_EOPNOTSUPP, 0 },
	{ 1, WORLD_SECTORS, 0, BLKIF_RSP_ERROR, 0 },
	{ WORLD_SECTORS, 1, 0, BLKIF_RSP_ERROR, 0 },
	{ UINT64_MAX, 2, 0, BLKIF_RSP_ERROR, 0 },
	{ 2, UINT64_MAX, 0, BLKIF_RSP_ERROR, 0 },
	{ UINT64_MAX >> 9, 1, 0, BLKIF_RSP_ERROR, 0 },
	{ 1, UINT64_MAX >> 9, 0, BLKIF_RSP_ERROR, 0 },
};

START_TEST(a_discard_is_passed_on_or_refused)
{
	world_simple(false);
	discard_request(1, discards[_i].sector, discards[_i].nr, discards[_i].flag);
	expect_answers(1);
	status_is(1, discards[_i].status);
	ck_assert_uint_eq(w.front.q[0].operation[1], BLKIF_OP_DISCARD);
	ck_assert_uint_eq(w.store.nr_log, discards[_i].reaches);
	if (discards[_i].reaches)
		ck_assert_uint_eq(w.store.log[0].len, discards[_i].nr * 512);
	world_end();
}
END_TEST

START_TEST(a_storage_that_cannot_is_not_asked)
{
	world_begin_with(512, false);
	w.store.s.can_flush = w.store.s.can_discard = false;
	world_offer();
	world_connect(1, 0);
	node_is(BE_BACK, "feature-flush-cache", "0");
	node_is(BE_BACK, "feature-barrier", "0");
	node_is(BE_BACK, "feature-discard", "0");
	flush_request(1, BLKIF_OP_FLUSH_DISKCACHE, 0, 0, 0);
	flush_request(2, BLKIF_OP_WRITE_BARRIER, 0, 0, 1);
	discard_request(3, 0, 8, 0);
	expect_answers(3);
	for (unsigned id = 1; id <= 3; id++)
		status_is(id, BLKIF_RSP_EOPNOTSUPP);
	ck_assert_uint_eq(w.store.nr_log, 0);
	world_end();
}
END_TEST

/* ---- sectors of 4096 bytes, sizes -------------------------------------------------------------- */

START_TEST(large_sectors_are_spoken_in_both_units)
{
	bool large = _i;

	world_begin_with(4096, false);
	w.front.large_sectors = large;
	world_offer();
	world_connect(1, 0);
	node_is(BE_BACK, "sector-size", "4096");
	node_is(BE_BACK, "physical-sector-size", "4096");
	node_is(BE_BACK, "sectors", large ? "2048" : "16384");
	blk_front_rw(&w.front, 0, 1, BLKIF_OP_READ, large ? 3 : 24, 0, 2);
	expect_answers(1);
	status_is(1, BLKIF_RSP_OKAY);
	ck_assert_mem_eq(blk_front_data(&w.front, 0), w.store.bytes + 3 * 4096, 8192);
	discard_request(2, large ? 2047 : 2047 * 8, large ? 1 : 8, 0);
	expect_answers(1);
	status_is(2, BLKIF_RSP_OKAY);
	world_end();
}
END_TEST

START_TEST(a_part_of_a_large_sector_is_an_error)
{
	struct blkif_request *rq;

	world_begin_with(4096, false);
	world_offer();
	world_connect(1, 0);
	rq = blk_front_next(&w.front, 0, 1);
	rq->operation = BLKIF_OP_READ;
	rq->nr_segments = 1;
	rq->seg[0] = (struct blkif_request_segment){ blk_front_ref(w.front.data_page), 0, 3 };
	blk_front_rw(&w.front, 0, 2, BLKIF_OP_READ, 4, 0, 1);
	/* Two halves that make a whole one. */
	rq = blk_front_next(&w.front, 0, 3);
	rq->operation = BLKIF_OP_READ;
	rq->nr_segments = 2;
	rq->seg[0] = (struct blkif_request_segment){ blk_front_ref(w.front.data_page), 4, 7 };
	rq->seg[1] = (struct blkif_request_segment){ blk_front_ref(w.front.data_page + 1), 0, 3 };
	discard_request(4, 4, 8, 0);
	expect_answers(4);
	status_is(1, BLKIF_RSP_ERROR);
	status_is(2, BLKIF_RSP_ERROR);
	status_is(3, BLKIF_RSP_OKAY);
	status_is(4, BLKIF_RSP_ERROR);
	world_end();
}
END_TEST

static char said[256];

static void note_writes(struct be_fake *f, const char *node, const char *value)
{
	(void)f;
	strcat(strcat(strcat(strcat(said, node), "="), value), " ");
}

START_TEST(a_new_size_is_told_and_counts)
{
	world_simple(false);
	w.f.written = note_writes;
	said[0] = 0;
	w.store.size = 8 * 512;
	blkback_resized(w.b);
	ck_assert_str_eq(said, "sectors=8 state=4 ");
	blk_front_rw(&w.front, 0, 1, BLKIF_OP_READ, 0, 0, 1);
	blk_front_rw(&w.front, 0, 2, BLKIF_OP_READ, 8, 0, 1);
	expect_answers(2);
	status_is(1, BLKIF_RSP_OKAY);
	status_is(2, BLKIF_RSP_ERROR);
	w.store.size = WORLD_SECTORS * 512;
	blkback_resized(w.b);
	blk_front_rw(&w.front, 0, 3, BLKIF_OP_READ, WORLD_SECTORS - 8, 0, 1);
	expect_answers(1);
	status_is(3, BLKIF_RSP_OKAY);
	/* Not while nobody is connected. */
	be_fake_setn(&w.f, BE_FRONT, "state", 6);
	be_bus_front_changed(&w.bus);
	said[0] = 0;
	blkback_resized(w.b);
	ck_assert_str_eq(said, "");
	world_end();
}
END_TEST

/* ---- storage that takes time, and fails --------------------------------------------------------- */

START_TEST(each_request_is_answered_once_in_whatever_order_it_is_done)
{
	unsigned next = 0, answered = 0;

	world_begin();
	w.front.persistent = _i % 2;
	world_connect(1, 1);
	w.store.delays = true;
	w.store.seed = 77u + (unsigned)_i;
	for (unsigned step = 0; step < 400; step++) {
		struct blkif_front_ring *r = &w.front.q[0].ring;

		for (unsigned k = 0; k < 7 && !RING_FULL(r) && next < BLK_FRONT_SLOTS; k++, next++)
			blk_front_rw(&w.front, 0, next, next % 3 ? BLKIF_OP_READ : BLKIF_OP_WRITE,
			             next * 8 % 16000, next % 500, 1 + next % 11);
		blk_front_push(&w.front, 0, false);
		w.store.delays = step % 5 != 0; /* now and then one is done at once */
		fake_store_complete(&w.store, (unsigned)rand_r(&w.store.seed) % 9,
		                    (enum fake_store_order)(_i % 3));
		answered += blk_front_poll(&w.front, 0);
	}
	fake_store_complete(&w.store, FAKE_STORE_LOG, FAKE_RANDOM);
	answered += blk_front_poll(&w.front, 0);
	ck_assert_uint_eq(answered, next);
	ck_assert_uint_eq(next, BLK_FRONT_SLOTS);
	for (unsigned i = 0; i < next; i++)
		status_is(i, BLKIF_RSP_OKAY);
	world_end();
}
END_TEST

START_TEST(what_would_wait_is_handed_over_in_one_batch)
{
	struct blkback_stats s;

	world_simple(_i);
	w.store.delays = true;
	for (unsigned i = 0; i < 20; i++)
		blk_front_rw(&w.front, 0, i, BLKIF_OP_READ, i * 8, i, 1);
	expect_answers(0);
	ck_assert_uint_eq(w.store.submits, 20);
	ck_assert_uint_eq(w.store.kicks, 1);
	fake_store_complete(&w.store, 20, FAKE_LIFO);
	ck_assert_uint_eq(atomic_load(&w.f.port[1].notified), 1);
	ck_assert_uint_eq(blk_front_poll(&w.front, 0), 20);
	blkback_get_stats(w.b, &s);
	ck_assert_uint_eq(s.handed_over, 20);
	ck_assert_uint_eq(s.inline_done, 0);
	ck_assert_uint_eq(s.reads, 20);
	world_end();
}
END_TEST

static const int errors[] = { -EIO, -ENOSPC, -ENOMEM, -EOPNOTSUPP, -EROFS, -ESHUTDOWN };

START_TEST(an_error_of_the_storage_is_an_error_of_that_request)
{
	struct blkback_stats s;

	world_simple(false);
	w.store.delays = _i % 2;
	blk_front_rw(&w.front, 0, 1, BLKIF_OP_READ, 0, 0, 1);
	blk_front_push(&w.front, 0, false);
	fake_store_complete(&w.store, 1, FAKE_FIFO);
	w.store.fail = 1;
	w.store.fail_rc = errors[_i / 2];
	blk_front_rw(&w.front, 0, 2, BLKIF_OP_WRITE, 8, 0, 3);
	blk_front_rw(&w.front, 0, 3, BLKIF_OP_READ, 16, 0, 1);
	blk_front_push(&w.front, 0, false);
	fake_store_complete(&w.store, 2, FAKE_FIFO);
	ck_assert_uint_eq(blk_front_poll(&w.front, 0), 3);
	status_is(1, BLKIF_RSP_OKAY);
	status_is(2, BLKIF_RSP_ERROR);
	status_is(3, BLKIF_RSP_OKAY);
	blkback_get_stats(w.b, &s);
	ck_assert_uint_eq(s.errors, 1);
	ck_assert_uint_eq(s.reads, 2);
	ck_assert_uint_eq(s.writes, 0);
	world_end();
}
END_TEST

/* ---- coming and going -------------------------------------------------------------------------- */

static void *complete_later(void *arg)
{
	(void)arg;
	for (unsigned done = 0; done < 20;) {
		sched_yield();
		done += fake_store_complete(&w.store, 1, FAKE_RANDOM);
	}
	return NULL;
}

START_TEST(a_disconnect_waits_for_what_is_in_flight)
{
	struct blkback_stats s;
	pthread_t thread;

	world_simple(_i);
	w.store.delays = true;
	for (unsigned i = 0; i < 20; i++)
		blk_front_rw(&w.front, 0, i, BLKIF_OP_WRITE, i * 8, i, 1);
	expect_answers(0);
	ck_assert_int_eq(pthread_create(&thread, NULL, complete_later, NULL), 0);
	be_bus_drop(&w.bus);
	ck_assert_uint_eq(w.store.nr_waiting, 0);
	ck_assert_uint_eq(be_fake_mapped(&w.f), 0);
	pthread_join(thread, NULL);
	ck_assert_uint_eq(blk_front_poll(&w.front, 0), 20);
	/* The figures outlive the connection. */
	blkback_get_stats(w.b, &s);
	ck_assert_uint_eq(s.writes, 20);
	world_end();
}
END_TEST

START_TEST(a_barrier_that_still_waits_goes_with_the_device)
{
	pthread_t thread;

	world_simple(_i);
	w.store.delays = true;
	for (unsigned i = 0; i < 20; i++)
		blk_front_rw(&w.front, 0, i, BLKIF_OP_WRITE, i * 8, i, 1);
	blk_front_rw(&w.front, 0, 20, BLKIF_OP_WRITE_BARRIER, 0, 0, 1);
	expect_answers(0);
	be_fake_set(&w.f, BE_FRONT, "state", "6");
	ck_assert_int_eq(pthread_create(&thread, NULL, complete_later, NULL), 0);
	/* The worker may or may not have begun it before it is told to leave. */
	fake_store_complete(&w.store, 0, FAKE_FIFO);
	w.store.delays = false;
	be_bus_front_changed(&w.bus);
	pthread_join(thread, NULL);
	ck_assert_uint_eq(be_fake_mapped(&w.f), 0);
	world_end();
}
END_TEST

START_TEST(a_new_connection_begins_a_new_ring)
{
	world_simple(_i);
	for (unsigned round = 0; round < 5; round++) {
		memset(w.front.q[0].answered, 0, sizeof(w.front.q[0].answered));
		blk_front_rw(&w.front, 0, 1, BLKIF_OP_READ, 8, 0, 1);
		expect_answers(1);
		status_is(1, BLKIF_RSP_OKAY);
		if (round % 2) {
			be_fake_set(&w.f, BE_FRONT, "feature-reconnect", "1");
			be_fake_setn(&w.f, BE_FRONT, "state", 4);
			be_bus_restart(&w.bus);
		} else {
			be_fake_setn(&w.f, BE_FRONT, "state", 6);
			be_bus_front_changed(&w.bus);
		}
		ck_assert_uint_eq(be_fake_mapped(&w.f), 0);
		blk_front_publish(&w.front, &w.f, 1, 0);
		be_bus_front_changed(&w.bus);
		ck_assert(w.bus.connected);
	}
	world_end();
}
END_TEST

START_TEST(a_restart_under_a_front_end_that_does_not_notice_loses_nothing)
{
	unsigned next = 0, got = 0;

	world_simple(_i);
	for (unsigned round = 0; round < 50; round++) {
		w.store.delays = round % 2;
		for (unsigned k = 0; k < 5; k++, next++)
			blk_front_rw(&w.front, 0, next, BLKIF_OP_WRITE, next * 8, next % 90, 1);
		blk_front_push(&w.front, 0, false);
		/* Some in flight end with it, some in the ring have not been seen. */
		for (unsigned k = 0; k < 3; k++, next++)
			blk_front_rw(&w.front, 0, next, BLKIF_OP_READ, next * 8, next % 90, 1);
		w.front.q[0].sring->req_prod = w.front.q[0].ring.req_prod_pvt;
		fake_store_hurry(&w.store);
		be_bus_restart(&w.bus);
		w.store.hurries = false;
		ck_assert(w.bus.connected);
		got += blk_front_poll(&w.front, 0);
		ck_assert_uint_eq(got, next);
	}
	for (unsigned i = 0; i < next; i++)
		status_is(i, BLKIF_RSP_OKAY);
	node_is(BE_BACK, "state", "4");
	world_end();
}
END_TEST

/* A barrier that was taken and not begun is in no slot any more. */
START_TEST(an_old_ring_is_taken_up_only_when_all_was_answered)
{
	world_simple(false);
	for (unsigned i = 0; i < 40; i++) {
		blk_front_rw(&w.front, 0, i, BLKIF_OP_READ, 8, 0, 1);
		expect_answers(1);
	}
	w.store.delays = true;
	blk_front_rw(&w.front, 0, 40, BLKIF_OP_WRITE, 8, 0, 1);
	blk_front_rw(&w.front, 0, 41, BLKIF_OP_WRITE_BARRIER, 16, 0, 1);
	blk_front_rw(&w.front, 0, 42, BLKIF_OP_WRITE, 24, 0, 1);
	expect_answers(0);
	/* The worker, which would begin it, is told to leave before the write ends. */
	w.f.told = NULL;
	blk_worker_stop(w.b);
	fake_store_hurry(&w.store);
	be_bus_restart(&w.bus);
	ck_assert(!w.bus.connected);
	node_is(BE_BACK, "error", "22 ring 0 holds requests of an earlier connection");
	/* And a second attempt changes nothing about that. */
	be_fake_setn(&w.f, BE_FRONT, "state", 6);
	be_bus_front_changed(&w.bus);
	be_fake_setn(&w.f, BE_FRONT, "state", 3);
	be_bus_front_changed(&w.bus);
	ck_assert(!w.bus.connected);
	world_end();
}
END_TEST

/* ---- several vCPUs ----------------------------------------------------------------------------- */

#define PER_QUEUE 20000u

static void *use_queue(void *arg)
{
	unsigned queue = (unsigned)(uintptr_t)arg, sent = 0, got = 0;
	struct blkif_front_ring *r = &w.front.q[queue].ring;

	while (got < PER_QUEUE) {
		for (; sent < PER_QUEUE && !RING_FULL(r); sent++)
			blk_front_rw(&w.front, queue, sent % BLK_FRONT_SLOTS, BLKIF_OP_READ,
			             sent * 8 % 16000, queue * 100 + sent % 90, 1);
		blk_front_push(&w.front, queue, false);
		got += blk_front_poll(&w.front, queue);
	}
	return NULL;
}

START_TEST(queues_are_served_side_by_side)
{
	pthread_t thread[3];
	struct blkback_stats s;

	world_begin();
	w.front.persistent = _i;
	world_connect(3, 0);
	for (unsigned i = 0; i < 3; i++)
		ck_assert_int_eq(pthread_create(&thread[i], NULL, use_queue, (void *)(uintptr_t)i),
		                 0);
	for (unsigned i = 0; i < 3; i++)
		pthread_join(thread[i], NULL);
	blkback_get_stats(w.b, &s);
	ck_assert_uint_eq(s.reads, 3 * PER_QUEUE);
	ck_assert_uint_eq(s.errors, 0);
	world_end();
}
END_TEST

static void add_tests(TCase *tc, const TTest *const *tests, size_t nr, int end)
{
	for (size_t i = 0; i < nr; i++)
		tcase_add_loop_test(tc, tests[i], 0, end);
}

static TCase *store_case(void)
{
	TCase *tc = tcase_create("store");

	tcase_add_test(tc, the_store_says_what_linux_says);
	tcase_add_test(tc, the_disk_is_described_before_it_is_connected);
	tcase_add_test(tc, a_read_only_cdrom_says_so);
	tcase_add_test(tc, discards_are_offered_unless_the_toolstack_says_no);
	tcase_add_loop_test(tc, one_page_has_several_names, 0, ARRAY_LEN(namings));
	tcase_add_test(tc, several_pages_may_be_given_by_number);
	tcase_add_test(tc, a_new_size_is_told_and_counts);
	return tc;
}

static TCase *limits_case(void)
{
	TCase *tc = tcase_create("limits");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, large_requests_go_at_once, 0, 2 * ARRAY_LEN(lengths));
	tcase_add_loop_test(tc, rings_of_every_size_are_used_to_the_last_slot, 0, 10);
	tcase_add_loop_test(tc, a_discard_is_passed_on_or_refused, 0, ARRAY_LEN(discards));
	tcase_add_test(tc, a_storage_that_cannot_is_not_asked);
	tcase_add_loop_test(tc, large_sectors_are_spoken_in_both_units, 0, 2);
	tcase_add_test(tc, a_part_of_a_large_sector_is_an_error);
	return tc;
}

static TCase *faults_case(void)
{
	TCase *tc = tcase_create("faults");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, each_request_is_answered_once_in_whatever_order_it_is_done, 0, 6);
	tcase_add_loop_test(tc, an_error_of_the_storage_is_an_error_of_that_request, 0,
	                    2 * ARRAY_LEN(errors));
	tcase_add_loop_test(tc, a_flush_that_fails_is_answered_so, 0, 3);
	tcase_add_test(tc, a_grant_that_cannot_be_kept_is_mapped_for_its_request);
	tcase_add_test(tc, an_old_ring_is_taken_up_only_when_all_was_answered);
	return tc;
}

Suite *blkback_suite(void)
{
	const TTest *const twice[] = {
		a_page_is_read_and_written,
		segments_are_parts_of_pages,
		contiguous_pages_are_one_piece,
		a_batch_costs_one_event_each_way,
		a_front_end_that_polls_is_not_sent_events,
		a_page_is_unmapped_before_its_response,
		a_flush_reaches_the_storage,
		a_flush_is_answered_when_the_storage_has_flushed,
		a_barrier_divides_what_was_before_from_what_comes_after,
		a_barrier_that_need_not_wait_costs_no_other_thread,
		what_would_wait_is_handed_over_in_one_batch,
		a_disconnect_waits_for_what_is_in_flight,
		a_barrier_that_still_waits_goes_with_the_device,
		a_new_connection_begins_a_new_ring,
		a_restart_under_a_front_end_that_does_not_notice_loses_nothing,
		queues_are_served_side_by_side
	};
	Suite *s = suite_create("blkback");
	TCase *tc = tcase_create("normal");

	tcase_set_timeout(tc, 60);
	/* Each without and with persistent grants. */
	add_tests(tc, twice, ARRAY_LEN(twice), 2);
	tcase_add_test(tc, a_persistent_grant_is_mapped_once);
	tcase_add_test(tc, requests_from_before_the_connection_are_served);
	suite_add_tcase(s, tc);
	suite_add_tcase(s, store_case());
	suite_add_tcase(s, limits_case());
	suite_add_tcase(s, faults_case());
	return s;
}
