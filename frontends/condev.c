/* SPDX-License-Identifier: MIT */
/*
 * What all consoles have in common: waiting until a device's buffer is empty.
 */
#include "frontends/condev.h"

#include "abi/errno.h"

static bool is_idle(void *arg)
{
	struct condev *dev = arg;

	return dev->ops->waiting(dev) == 0;
}

int condev_flush(struct condev *dev, uint64_t deadline_ns)
{
	return pv_wait(&dev->idle, is_idle, dev, deadline_ns) ? 0 : -XEN_ETIMEDOUT;
}
