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

#define BLKDEV_NAME   16
#define BLKDEV_SECTOR 512u

enum blkdev_op { BLKDEV_READ, BLKDEV_WRITE, BLKDEV_FLUSH, BLKDEV_DISCARD };

/* A piece of memory: in the identity map, first byte and length multiples of the device's sector.
 * It may cross pages. */
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
	/*
	 * Completion: result is 0 or -XEN_E*. done is called from the event handler, blkdev_kick() or
	 * blkdev_poll(), events masked; it may submit. NULL: somebody polls or waits; while no
	 * request with a call-back is under way the other side need not send events.
	 */
	void (*done)(struct blkdev_req *req);
	void *arg;     /* the caller's */
	int result;    /* valid when finished */
	bool finished; /* without done: the request is the caller's again as soon as this is true */
	struct {       /* the device's own while it has the request */
		struct blkdev_req *next, *prev;
		uint64_t sent; /* sectors; the next to be sent lie at segs[seg], offset */
		uint32_t seg, offset;
		uint32_t parts; /* sent and not answered */
		int error;
	} dev;
};

struct blkdev_geometry {
	uint64_t sectors;         /* of 512 bytes */
	uint32_t sector_size;     /* bytes: unit of addresses and lengths */
	uint32_t physical_sector; /* bytes */
	uint32_t max_bytes;       /* sent as one; larger requests are split by the device */
	uint32_t queue_depth;     /* requests of one page that are under way at once; others wait */
	bool readonly, removable, cdrom;
	bool can_flush; /* false: what was answered is as durable as it gets */
	bool can_discard;
	uint32_t discard_granularity; /* bytes */
};

struct blkdev_stats {
	uint64_t requests;      /* taken */
	uint64_t parts;         /* ring entries that they were sent as */
	uint64_t notifications; /* sent: hypercalls */
	uint64_t events;        /* received */
	uint64_t sleeps;        /* of blkdev_wait(), after polling in vain */
	uint64_t replayed;      /* requests sent again after a reconnection */
	uint64_t reconnects;
};

struct blkdev;

struct blkdev_ops {
	int (*submit)(struct blkdev *dev, struct blkdev_req *req);
	void (*kick)(struct blkdev *dev);
	unsigned (*poll)(struct blkdev *dev);
	int (*wait)(struct blkdev *dev, struct blkdev_req *req);
	void (*service)(struct blkdev *dev);
	void (*geometry)(struct blkdev *dev, struct blkdev_geometry *g);
	void (*stats)(struct blkdev *dev, struct blkdev_stats *s);
	void (*close)(struct blkdev *dev);
};

/* Filled in by the device's open function; a kernel uses the functions below. */
struct blkdev {
	const struct blkdev_ops *ops;
	char name[BLKDEV_NAME]; /* "xvda" */
	/*
	 * May be set after opening. attention: something about the device has changed that takes
	 * waiting to deal with; event handler; have a thread call blkdev_service(). changed: called
	 * by blkdev_service(): another size, or the device has gone (blkdev_is_gone()).
	 */
	void (*attention)(struct blkdev *dev, void *arg);
	void (*changed)(struct blkdev *dev, void *arg);
	void *arg;
	bool gone; /* nothing but blkdev_close() makes sense any more */
};

/*
 * blkdev_submit - hand a request to the device
 *
 * req: stays the device's until it is finished; op to arg filled in. What has no room under way
 *      waits, so there is no limit
 * The other side may not be told before blkdev_kick(): so that a batch costs one notification.
 * Returns 0; -XEN_EINVAL for a request that makes no sense (nothing in it, beyond the end, not
 * aligned), -XEN_EROFS, -XEN_EOPNOTSUPP, -XEN_ENODEV. Context: any.
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

/*
 * Deals with what has changed at the other end: a new size, a restart, the end. The synchronous
 * calls do it, too, so that a kernel that uses nothing else never needs to. Context: may wait.
 */
static inline void blkdev_service(struct blkdev *dev)
{
	dev->ops->service(dev);
}

static inline bool blkdev_is_gone(const struct blkdev *dev)
{
	return __atomic_load_n(&dev->gone, __ATOMIC_ACQUIRE);
}

static inline void blkdev_get_geometry(struct blkdev *dev, struct blkdev_geometry *g)
{
	dev->ops->geometry(dev, g);
}

static inline void blkdev_get_stats(struct blkdev *dev, struct blkdev_stats *s)
{
	dev->ops->stats(dev, s);
}

/*
 * Ends the use of the device: waits for what is under way, closes, takes its grants back. Nobody
 * uses dev any more. Context: may wait.
 */
static inline void blkdev_close(struct blkdev *dev)
{
	dev->ops->close(dev);
}

/*
 * The synchronous ones: submit, kick, poll for a short while that adapts to the device, then sleep.
 * va: as blkdev_seg. Return 0 or -XEN_E*. Context: may wait.
 */
int blkdev_read(struct blkdev *dev, uint64_t sector, void *va, size_t len);
int blkdev_write(struct blkdev *dev, uint64_t sector, const void *va, size_t len);
int blkdev_flush(struct blkdev *dev);
int blkdev_discard(struct blkdev *dev, uint64_t sector, uint64_t nr_sectors);

/* Until req, which was submitted and has no call-back, is finished; its result. */
static inline int blkdev_wait(struct blkdev *dev, struct blkdev_req *req)
{
	return dev->ops->wait(dev, req);
}

/*
 * For the devices themselves: hands over requests that are over, a list by dev.next, their results in
 * dev.error. Each is its caller's as soon as it is finished. No lock held. Returns how many.
 */
unsigned blkdev_deliver(struct blkdev_req *list);

/* ---- the disks of the paravirtual machine (blkfront.c, blkfront_xs.c) ---- */

/* What a kernel may ask for; 0 or NULL is the default. What the other side does not offer is less. */
struct blkfront_options {
	unsigned max_queues;     /* one per vCPU; at most 8 */
	unsigned max_ring_order; /* pages of a ring, as a power of two: 2; at most 4 */
	unsigned max_segments;   /* pages of a ring entry: 256, which is the most */
	/*
	 * Grants that stay, at the price of a copy of all data; only where the other side keeps them
	 * mapped. For back-ends whose mapping is dear: Linux's on Xen, which pays two hypercalls and
	 * a flush of all processors for each page. Ours maps for less than a copy costs.
	 */
	bool persistent;
};

/* Calls fn with the store's name ("device/vbd/51712") and number of each; an error of its ends it. */
int blkfront_each(int (*fn)(const char *node, unsigned vdev, void *arg), void *arg);
/*
 * Connects. options: NULL for the defaults. Returns 0; -XEN_ENODEV when nobody answers or the other
 * end goes, -XEN_ETIMEDOUT, -XEN_ENOMEM, or what the store or the tables answered; why is in the
 * store, too. Undo: blkdev_close(). Context: may wait.
 */
int blkfront_open(const char *node, const struct blkfront_options *options, struct blkdev **dev);
/* The name of a virtual device number: 51712 is "xvda", 51713 "xvda1", 768 "hda". */
void blkfront_name(unsigned vdev, char name[BLKDEV_NAME]);

/* ---- the disks of whatever machine this is (devices.c) ---- */

/*
 * As the two above where there is a hypervisor; where there is none (pv_is_native()) its IDE disks,
 * named "hda" to "hdd", for which options mean nothing, and there is no store.
 */
int blkdev_each(int (*fn)(const char *node, unsigned vdev, void *arg), void *arg);
int blkdev_open(const char *node, const struct blkfront_options *options, struct blkdev **dev);

#endif /* FRONTENDS_BLKDEV_H */
