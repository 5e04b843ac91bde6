/* SPDX-License-Identifier: MIT */
/*
 * The devices of whatever machine this is: the front-ends' where there is a hypervisor, hardware's
 * where there is none.
 *
 * Invariant: a kernel that uses these and never the others finds its disks and networks in both
 * worlds. (One that names the others links them alone.)
 */
#include "frontends/blkdev.h"
#include "frontends/native/e1000.h"
#include "frontends/native/ide.h"
#include "frontends/netdev.h"
#include "pvops/pv_ops.h"

int blkdev_each(int (*fn)(const char *node, unsigned vdev, void *arg), void *arg)
{
	return pv_is_native() ? ide_each(fn, arg) : blkfront_each(fn, arg);
}

int blkdev_open(const char *node, const struct blkfront_options *options, struct blkdev **dev)
{
	return pv_is_native() ? ide_open(node, dev) : blkfront_open(node, options, dev);
}

int netdev_each(int (*fn)(const char *node, unsigned handle, void *arg), void *arg)
{
	return pv_is_native() ? e1000_each(fn, arg) : netfront_each(fn, arg);
}

int netdev_open(const char *node, const struct netdev_client *client, void *arg,
                struct netdev **dev)
{
	return pv_is_native() ? e1000_open(node, client, arg, dev)
	                      : netfront_open(node, client, arg, dev);
}

void netdev_start(struct netdev *dev)
{
	if (pv_is_native())
		e1000_start(dev);
	else
		netfront_start(dev);
}
