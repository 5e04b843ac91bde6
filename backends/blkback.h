/* SPDX-License-Identifier: MIT */
/*
 * The block back-end: one virtual disk between a guest's blkfront (Linux's, Mini-OS's, ours) and a
 * blkstore.
 *
 * It speaks the whole of blkif: several queues, rings of several pages, indirect descriptors,
 * persistent grants, flush, barrier, discard, sectors of 512 and 4096 bytes, read-only media, and a
 * new size while in use. docs/split-drivers.md tells the life of a request.
 *
 * Invariant: the ring is the guest's to change at any moment: an entry is copied once, checked, and
 * then only the copy is used; indexes of our own are kept here. Every request that was taken is
 * answered exactly once, or its queue is shut with a complaint.
 */
#ifndef BACKENDS_BLKBACK_H
#define BACKENDS_BLKBACK_H

#include "backends/blkstore.h"
#include "backends/device.h"

struct blkback;

struct blkback_options {
	unsigned max_queues;     /* 0: 4; at most 16 */
	unsigned max_ring_order; /* pages of a ring, as a power of two; 0: 4, which is the most */
	bool removable, cdrom;
	const char *serial; /* NULL: none; copied */
};

/* What --stats shows; sums over queues since the device was made. */
struct blkback_stats {
	uint64_t reads, writes, flushes, discards, errors;
	uint64_t sectors_read, sectors_written; /* of 512 bytes */
	uint64_t inline_done;                   /* answered where the event arrived */
	uint64_t handed_over;                   /* given to the storage to answer later */
	uint64_t events_in, events_out;
	uint64_t grants_mapped, grants_persistent;
};

/*
 * blkback_create - a disk that no front-end has seen yet
 *
 * host:  copied; store: stays the caller's, and outlives the back-end
 * Returns 0 or -ENOMEM. Then the host drives it by blkback_driver.
 */
int blkback_create(struct blkback **out, const struct be_host_dev *host, struct blkstore *store,
                   const struct blkback_options *options);
/* Disconnected before. */
void blkback_destroy(struct blkback *b);
extern const struct be_driver blkback_driver;

/*
 * The store has another size: the guest is told (sectors, then state written anew). Counts as a call
 * of the bus: one thread at a time with those.
 */
void blkback_resized(struct blkback *b);
void blkback_get_stats(struct blkback *b, struct blkback_stats *out);

#endif
