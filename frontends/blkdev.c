/* SPDX-License-Identifier: MIT */
/*
 * The synchronous calls of every disk, on top of the asynchronous ones.
 */
#include "frontends/blkdev.h"

#include "abi/errno.h"
#include "pvops/barrier.h"

static int do_and_wait(struct blkdev *dev, struct blkdev_req *req)
{
	int rc = blkdev_submit(dev, req);

	if (rc)
		return rc;
	blkdev_kick(dev);
	return blkdev_wait(dev, req);
}

static int transfer(struct blkdev *dev, enum blkdev_op op, uint64_t sector, void *va, size_t len)
{
	struct blkdev_seg seg = { .va = va, .len = (uint32_t)len };
	struct blkdev_req req = { .op = op,
		                  .sector = sector,
		                  .nr_sectors = len / BLKDEV_SECTOR,
		                  .segs = &seg,
		                  .nr_segs = 1 };

	if (len > UINT32_MAX)
		return -XEN_EINVAL;
	return do_and_wait(dev, &req);
}

int blkdev_read(struct blkdev *dev, uint64_t sector, void *va, size_t len)
{
	return transfer(dev, BLKDEV_READ, sector, va, len);
}

int blkdev_write(struct blkdev *dev, uint64_t sector, const void *va, size_t len)
{
	return transfer(dev, BLKDEV_WRITE, sector, (void *)(uintptr_t)va, len);
}

int blkdev_flush(struct blkdev *dev)
{
	struct blkdev_req req = { .op = BLKDEV_FLUSH };

	return do_and_wait(dev, &req);
}

int blkdev_discard(struct blkdev *dev, uint64_t sector, uint64_t nr_sectors)
{
	struct blkdev_req req = { .op = BLKDEV_DISCARD,
		                  .sector = sector,
		                  .nr_sectors = nr_sectors };

	return do_and_wait(dev, &req);
}

unsigned blkdev_deliver(struct blkdev_req *list)
{
	unsigned n;

	for (n = 0; list; n++) {
		struct blkdev_req *req = list;
		void (*done)(struct blkdev_req *) = req->done;

		list = req->dev.next;
		req->result = req->dev.error;
		pv_store_release(&req->finished, true);
		if (done)
			done(req);
	}
	return n;
}
