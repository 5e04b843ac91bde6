/* SPDX-License-Identifier: MIT */
/*
 * Storage in memory that answers at once, or when the test says so; and that checks what it is asked
 * for: whole blocks on the disk, pieces that are as long as they should be.
 */
#ifndef TESTS_FAKE_LAZY_STORE_H
#define TESTS_FAKE_LAZY_STORE_H

#include "backends/blkstore.h"

struct lazy_store {
	struct blkstore s; /* the first member */
	uint8_t *bytes;
	uint64_t size; /* bytes; the test may make it smaller */
	bool is_lazy;  /* requests that come wait for lazy_store_answer() */
	int error;     /* 0, or what requests fail with */
	struct blkstore_req *held;
	unsigned calls, flushes; /* done */
};

/* With a pattern on it: each byte says where it lies. */
void lazy_store_open(struct lazy_store *l, uint64_t size);
void lazy_store_close(struct lazy_store *l);
/* Does and answers the request that is held; false: there is none. */
bool lazy_store_answer(struct lazy_store *l);

#endif
