/* SPDX-License-Identifier: MIT */
/*
 * A console as a kernel sees it, whatever is beneath: bytes out, bytes in, and a call when either may
 * go on.
 *
 * Nothing here waits, save condev_flush(). A device is opened once; there is no close.
 */
#ifndef FRONTENDS_CONDEV_H
#define FRONTENDS_CONDEV_H

#include <stddef.h>
#include <stdint.h>

#include "pvops/pvguest.h"

struct condev;

/* Input has come, or there is room again. Called from an event handler, events masked. */
typedef void (*condev_fn)(struct condev *dev, void *arg);

struct condev_ops {
	size_t (*write)(struct condev *dev, const char *text, size_t len);
	size_t (*read)(struct condev *dev, char *buf, size_t len);
	size_t (*waiting)(struct condev *dev); /* bytes still in the device's own buffer */
};

/* Filled in by the device's open function; a kernel uses the functions below. */
struct condev {
	const struct condev_ops *ops;
	condev_fn on_event;
	void *arg;
	struct pv_waitq idle; /* the device wakes it when nothing waits in its buffer any more */
};

/*
 * condev_write - hand bytes to the device
 *
 * Returns how many it took, less than len when its buffer is full. Bytes are sent in the order in
 * which they were taken. Context: any.
 */
static inline size_t condev_write(struct condev *dev, const char *text, size_t len)
{
	return dev->ops->write(dev, text, len);
}

/* Returns how many bytes of input were copied, 0 when none are there. Context: any. */
static inline size_t condev_read(struct condev *dev, char *buf, size_t len)
{
	return dev->ops->read(dev, buf, len);
}

/*
 * condev_flush - wait until everything taken has left the device's own buffer
 *
 * deadline_ns: system time; 0 none
 * Returns 0, or -XEN_ETIMEDOUT. Context: may wait.
 */
int condev_flush(struct condev *dev, uint64_t deadline_ns);

/*
 * The console ring that the domain builder made (consfront.c). fn may be NULL.
 *
 * dev: out; unchanged on failure
 * Returns 0; -XEN_ENODEV when the domain has no console; or what binding its port answered.
 */
int consfront_open(condev_fn fn, void *arg, struct condev **dev);

#endif /* FRONTENDS_CONDEV_H */
