/* SPDX-License-Identifier: MIT */
/*
 * A front-end of blkif for tests of the back-end, on a host out of plain memory (be_fake.h): it keeps
 * the protocol, unless the test reaches into its ring.
 *
 * Pages of the fake host: first the rings, queue after queue; the rest is for data. The reference of
 * a page is the number of the page plus BLK_FRONT_REF.
 */
#ifndef TESTS_FAKE_BLK_FRONT_H
#define TESTS_FAKE_BLK_FRONT_H

#include "abi/io/blkif.h"
#include "backends/blkback.h"
#include "backends/bus.h"
#include "tests/fake/be_fake.h"

#define BLK_FRONT_REF    8u
#define BLK_FRONT_QUEUES 4
#define BLK_FRONT_SLOTS  1024

struct blk_front_queue {
	evtchn_port_t port;
	struct blkif_sring *sring; /* its pages are contiguous here */
	struct blkif_front_ring ring;
	/* Responses by id, which blk_front_poll() has found. */
	int16_t status[BLK_FRONT_SLOTS];
	uint8_t operation[BLK_FRONT_SLOTS];
	unsigned answered[BLK_FRONT_SLOTS]; /* how often */
};

struct blk_front {
	struct be_fake *f;
	unsigned nr_queues, order;
	bool persistent, large_sectors;
	struct blk_front_queue q[BLK_FRONT_QUEUES];
	unsigned data_page; /* first one that is no ring */
};

/* Rings, grants, ports, and the front-end's folder up to state Initialised (3). */
void blk_front_publish(struct blk_front *b, struct be_fake *f, unsigned nr_queues, unsigned order);

static inline grant_ref_t blk_front_ref(unsigned page)
{
	return BLK_FRONT_REF + page;
}

static inline void *blk_front_data(struct blk_front *b, unsigned page)
{
	return be_fake_page(b->f, b->data_page + page);
}

/* The next slot of the ring, zeroed, the id filled in; not pushed. */
struct blkif_request *blk_front_next(struct blk_front *b, unsigned queue, uint64_t id);
/* A whole-page read or write of nr pages of data from page on, direct (up to 11). */
void blk_front_rw(struct blk_front *b, unsigned queue, uint64_t id, uint8_t op, uint64_t sector,
                  unsigned page, unsigned nr);
/* The same by way of indirect segments, which are written into page list (and list + 1...). */
void blk_front_indirect(struct blk_front *b, unsigned queue, uint64_t id, uint8_t op,
                        uint64_t sector, unsigned page, unsigned nr, unsigned list);
/* Shows the requests; sends the event if the back-end wants one, or always. */
bool blk_front_push(struct blk_front *b, unsigned queue, bool always);
/* Takes the responses; returns how many. Asks for an event at the next one. */
unsigned blk_front_poll(struct blk_front *b, unsigned queue);

#endif
