/* SPDX-License-Identifier: MIT */
/*
 * A disk as a kernel sees it, whatever is beneath: requests in, completions out.
 *
 * Asynchronous at heart: blkdev_submit() takes a request and returns; its completion is found by
 * blkdev_poll(), or told by the request's done call-back from the device's event handler. The
 * synchronous calls at the end do both and wait.
 *
 * Invariant: each request that was taken is completed exactly once, also when the device goes away
 * (-XEN_EIO) and also when its back-end is restarted in between (it is sent again).
 */
#ifndef FRONTENDS_BLKDEV_H
#define FRONTENDS_BLKDEV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pvops/pvguest.h"

#define BLKDEV_NAME 16

enum blkdev_op { BLKDEV_READ, BLKDEV_WRITE, BLKDEV_FLUSH, BLKDEV_DISCARD };

/* A piece of memory: in the identity map, first byte and length multiples of the sector. It may
 * cross pages. */
struct blkdev_seg {
	void *va;
	uint32_t len;
};

struct blkdev_req {
	enum blkdev_op op;
	uint64_t sector;     /* of 512 bytes, whatever the device's own; aligned to the device's */
	uint64_t nr_sectors; /* the sum of segs for READ and WRITE */
	struct blkdev_seg *segs;
	unsigned nr_segs;
	/* Completion: result is 0 or -XEN_E*. done may be NULL: then blkdev_poll() finds it. Called
	 * from the event handler or from blkdev_poll(), events masked; may submit. */
	void (*done)(struct blkdev_req *req);
	void *arg;  /* the caller's */
	int result; /* valid when finished */
	bool finished;
	void *link[4]; /* the device's own while it has the request */
};

struct blkdev_geometry {
	uint64_t sectors;         /* of 512 bytes */
	uint32_t sector_size;     /* bytes: 512 or 4096: unit of addresses and lengths */
	uint32_t physical_sector; /* bytes */
	uint32_t max_bytes;       /* of one request; larger ones are split by the device */
	uint32_t queue_depth;     /* requests of one page that fit at once */
	bool readonly, removable, can_flush, can_barrier, can_discard;
	uint32_t discard_granularity; /* bytes */
};

struct blkdev_stats {
	uint64_t requests, notifications, events, polls, replayed, reconnects;
};

struct blkdev;

struct blkdev_ops {
	int (*submit)(struct blkdev *dev, struct blkdev_req *req);
	void (*kick)(struct blkdev *dev);
	unsigned (*poll)(struct blkdev *dev);
	void (*geometry)(struct blkdev *dev, struct blkdev_geometry *g);
	void (*stats)(struct blkdev *dev, struct blkdev_stats *s);
	void (*close)(struct blkdev *dev);
};

/* Filled in by the device's open function; a kernel uses the functions below. */
struct blkdev {
	const struct blkdev_ops *ops;
	char name[BLKDEV_NAME]; /* "xvda" */
	/* May be set after opening: the size has changed, or the device is going. Event handler. */
	void (*changed)(struct blkdev *dev, void *arg);
	void *arg;
};

/*
 * blkdev_submit - hand a request to the device
 *
 * req: stays the device's until it is finished; op to arg filled in, result and finished untouched
 * The other side may not be told before blkdev_kick(): so that a batch costs one notification.
 * Returns 0; -XEN_EAGAIN when no room is left (try again after a completion); -XEN_EINVAL for a
 * request that makes no sense, -XEN_EROFS, -XEN_EOPNOTSUPP, -XEN_ENODEV. Context: any.
 */
static inline int blkdev_submit(struct blkdev *dev, struct blkdev_req *req)
{
	return dev->ops->submit(dev, req);
}

/* Tells the other side what was submitted since the last time, if it has to be told. */
static inline void blkdev_kick(struct blkdev *dev)
{
	dev->ops->kick(dev);
}

/* Completes what has been answered; returns how many requests. Context: any. */
static inline unsigned blkdev_poll(struct blkdev *dev)
{
	return dev->ops->poll(dev);
}

static inline void blkdev_get_geometry(struct blkdev *dev, struct blkdev_geometry *g)
{
	dev->ops->geometry(dev, g);
}

/* Ends the use of the device: waits for what is under way, closes, takes its grants back. */
static inline void blkdev_close(struct blkdev *dev)
{
	dev->ops->close(dev);
}

/*
 * The synchronous ones: submit, kick, poll for a short while that adapts to the device, then wait.
 * va: as blkdev_seg. Return 0 or -XEN_E*. Context: may wait.
 */
int blkdev_read(struct blkdev *dev, uint64_t sector, void *va, size_t len);
int blkdev_write(struct blkdev *dev, uint64_t sector, const void *va, size_t len);
int blkdev_flush(struct blkdev *dev);
int blkdev_discard(struct blkdev *dev, uint64_t sector, uint64_t nr_sectors);
/* Until req is finished. */
int blkdev_wait(struct blkdev *dev, struct blkdev_req *req);

/*
 * The disks of the paravirtual machine (blkfront.c).
 *
 * blkfront_each: calls fn with the store's name ("device/vbd/51712") and number of each.
 * blkfront_open: connects; -XEN_ENODEV, -XEN_ETIMEDOUT, or what the store or the tables answered.
 */
int blkfront_each(int (*fn)(const char *node, unsigned vdev, void *arg), void *arg);
int blkfront_open(const char *node, struct blkdev **dev);

#endif /* FRONTENDS_BLKDEV_H */
