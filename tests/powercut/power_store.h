/* SPDX-License-Identifier: MIT */
/*
 * Storage that loses power: what was written stays in a volatile layer until a flush, and at a cut a
 * random part of that layer is lost, down to single sectors of 512 bytes.
 *
 * It keeps its word and nothing more: a flush makes durable what had been answered before it was
 * submitted; everything else is up to chance, in any order.
 */
#ifndef TESTS_POWERCUT_POWER_STORE_H
#define TESTS_POWERCUT_POWER_STORE_H

#include <pthread.h>

#include "backends/blkstore.h"

/* What a broken back-end would make of a flush; seen from the storage. */
enum power_mutant {
	POWER_HONEST,
	POWER_NO_FLUSH,    /* it is answered, and nothing is done */
	POWER_EARLY_ANSWER /* it is answered when it is submitted, and done later */
};

struct power_write {
	struct power_write *next;
	uint64_t offset, len;
	bool answered;
	uint8_t bytes[];
};

/* A request that waits for power_complete(). */
struct power_job {
	struct power_job *next;
	struct blkstore_req *req; /* NULL: answered already (a mutant's flush) */
	enum blkstore_op op;
	struct power_write *write; /* its part of the volatile layer */
	struct power_write *until; /* of a flush: the last write that it covers; NULL: none */
	bool covers_any;
};

struct power_store {
	struct blkstore s;
	pthread_mutex_t lock;
	uint8_t *durable, *now; /* what survives; what is read */
	uint64_t size;
	struct power_write *first, **last; /* volatile, in the order of submission */
	struct power_job *jobs, **jobs_last;
	bool off; /* after a cut: whoever still writes does so in vain */
	enum power_mutant mutant;
	unsigned seed;
	unsigned flushes, lost_sectors; /* figures */
};

void power_init(struct power_store *p, uint64_t size, enum power_mutant mutant, unsigned seed);
void power_fini(struct power_store *p);
/* Carries out up to n of the requests that wait, in any order. Returns how many. */
unsigned power_complete(struct power_store *p, unsigned n);
/* The power fails; requests that wait are still to be completed, but change nothing. */
void power_cut(struct power_store *p);
/* It is back: what survived is what is read. */
void power_on(struct power_store *p);

/* A number from 0 to n - 1. */
unsigned power_random(unsigned *seed, unsigned n);

#endif
