/* SPDX-License-Identifier: MIT */
/*
 * What the tests of the block back-end share: a host, a storage, a back-end on its bus and a
 * front-end, all in this process.
 */
#ifndef TESTS_UNIT_BLKBACK_WORLD_H
#define TESTS_UNIT_BLKBACK_WORLD_H

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fake/blk_front.h"
#include "tests/fake/fake_store.h"

#define ARRAY_LEN(a)  (sizeof(a) / sizeof((a)[0]))
#define WORLD_PAGES   1024u
#define WORLD_SECTORS 16384u /* of 512 bytes */

struct world {
	struct be_fake f;
	struct fake_store store;
	struct blkback *b;
	struct be_bus bus;
	struct blk_front front;
	struct blkback_options options;
	bool connected;
};

static struct world w;

/* The back-end offers itself. */
static void world_begin_with(unsigned block, bool readonly)
{
	memset(&w, 0, sizeof(w));
	be_fake_init(&w.f, WORLD_PAGES, WORLD_PAGES + 64);
	fake_store_init(&w.store, WORLD_SECTORS * 512ull, block);
	w.store.s.readonly = readonly;
	w.store.allowed = w.f.memory;
	w.store.allowed_len = (size_t)WORLD_PAGES * BE_FAKE_PAGE;
	be_fake_setn(&w.f, BE_FRONT, "state", 1);
}

static void world_offer(void)
{
	ck_assert_int_eq(blkback_create(&w.b, &w.f.host, &w.store.s, &w.options), 0);
	ck_assert_int_eq(be_bus_start(&w.bus, &blkback_driver, w.b, &w.f.host), 0);
}

static void world_connect(unsigned nr_queues, unsigned order)
{
	blk_front_publish(&w.front, &w.f, nr_queues, order);
	be_bus_front_changed(&w.bus);
	ck_assert_msg(w.bus.connected, "not connected: %s", w.f.complaint);
	be_fake_setn(&w.f, BE_FRONT, "state", 4);
	be_bus_front_changed(&w.bus);
}

static void world_begin(void)
{
	world_begin_with(512, false);
	world_offer();
}

static void world_end(void)
{
	be_bus_drop(&w.bus);
	blkback_destroy(w.b);
	fake_store_fini(&w.store);
	be_fake_fini(&w.f);
}

/* One queue of one page, persistence as the test's number says. */
static inline void world_simple(bool persistent)
{
	world_begin();
	w.front.persistent = persistent;
	world_connect(1, 0);
}

/* Sends what is in queue 0 and expects so many responses at once. */
static inline void expect_answers(unsigned n)
{
	blk_front_push(&w.front, 0, false);
	ck_assert_uint_eq(blk_front_poll(&w.front, 0), n);
}

#define status_is(id, value)                                        \
	do {                                                        \
		ck_assert_uint_eq(w.front.q[0].answered[id], 1);    \
		ck_assert_int_eq(w.front.q[0].status[id], (value)); \
	} while (0)

#define node_is(side, node, value)                                                   \
	do {                                                                         \
		ck_assert_msg(be_fake_get(&w.f, side, node) != NULL, "no %s", node); \
		ck_assert_str_eq(be_fake_get(&w.f, side, node), value);              \
	} while (0)

#endif
