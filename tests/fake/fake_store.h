/* SPDX-License-Identifier: MIT */
/*
 * A blkstore for tests: memory that fails, delays and reorders as it is told, and aborts when it is
 * asked for what a store must not be asked for (beyond the end, not whole blocks, pieces that do not
 * add up or lie outside of the memory that the test allows).
 */
#ifndef TESTS_FAKE_FAKE_STORE_H
#define TESTS_FAKE_FAKE_STORE_H

#include <pthread.h>

#include "backends/blkstore.h"

#define FAKE_STORE_LOG 4096

enum fake_store_order { FAKE_FIFO, FAKE_LIFO, FAKE_RANDOM };

struct fake_store_entry {
	enum blkstore_op op;
	uint64_t offset, len;
	unsigned nr_iov;
};

struct fake_store {
	struct blkstore s;
	pthread_mutex_t lock;
	uint8_t *bytes;
	uint64_t size;
	const void *allowed; /* iov must lie in these bytes; NULL: anywhere */
	size_t allowed_len;

	bool delays;   /* try() answers -EAGAIN; done by fake_store_complete() */
	bool hurries;  /* submit() completes at once: nothing new will wait */
	unsigned fail; /* so many requests fail from now on, with fail_rc */
	int fail_rc;
	/* What was carried out, in order; and what waits. */
	struct fake_store_entry log[FAKE_STORE_LOG];
	unsigned nr_log, tries, submits, kicks;
	struct blkstore_req *waiting[FAKE_STORE_LOG];
	unsigned nr_waiting, nr_unkicked;
	unsigned seed;
};

void fake_store_init(struct fake_store *f, uint64_t size, unsigned block);
void fake_store_fini(struct fake_store *f);
/*
 * Carries out and completes up to n waiting requests that were kicked, one after the other; returns
 * how many. Any thread.
 */
unsigned fake_store_complete(struct fake_store *f, unsigned n, enum fake_store_order order);

/* From now on nothing waits; completes what does. */
void fake_store_hurry(struct fake_store *f);

#endif
