/* SPDX-License-Identifier: MIT */
/*
 * Storage work that waits, done by other threads: by io_uring, or by a few threads that do one
 * request each where io_uring is forbidden (as in many containers).
 *
 * Invariant: a request that was submitted is finished exactly once, and none is under way any more
 * when close() returns.
 */
#ifndef BACKENDS_BLKAIO_H
#define BACKENDS_BLKAIO_H

#include "backends/blkstore.h"

/* What the work is done on; copied. */
struct blkaio_target {
	int fd;
	bool is_device; /* a block device: discards are an ioctl, which io_uring does not know */
	/* Does the whole request, however long it takes: 0 or negative errno. Any thread. */
	int (*perform)(void *arg, struct blkstore_req *req);
	/* Hears of each result first and may change it; then done() is called. Any thread. */
	int (*finish)(void *arg, struct blkstore_req *req, int rc);
	/* What would have to wait in another thread anyway, or is not io_uring's: use perform(). */
	bool (*is_special)(void *arg, const struct blkstore_req *req);
	void *arg;
};

struct blkaio;

struct blkaio_ops {
	void (*submit)(struct blkaio *a, struct blkstore_req *req, bool batch);
	void (*kick)(struct blkaio *a);
	void (*close)(struct blkaio *a);
};

struct blkaio {
	const struct blkaio_ops *ops;
	const char *kind; /* "threads", "io_uring" */
	struct blkaio_target target;
};

/*
 * Both take link[0] and link[1] of a request while they have it; the target has the others.
 * Return 0 or a negative errno: one thread is there then, so that every request will be done.
 */
int blkaio_open_threads(struct blkaio **out, const struct blkaio_target *target);
int blkaio_open_uring(struct blkaio **out, const struct blkaio_target *target);

/* Tells the result: finish(), then done(). */
static inline void blkaio_done(struct blkaio *a, struct blkstore_req *req, int rc)
{
	req->done(req, a->target.finish(a->target.arg, req, rc));
}

#endif
