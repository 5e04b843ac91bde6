/* SPDX-License-Identifier: MIT */
/*
 * Disks, and each as a file "dev/NAME": reading and writing goes through the cache of blocks.
 *
 * A disk that is there stays in the table; one that the other side takes away answers with errors.
 * A process of the kernel's deals with what the other side wants (a new size, an end, a new beginning)
 * while no program uses the disk.
 */
#include "tests/guests/unix/disk.h"

#include <stddef.h>

#include "abi/errno.h"
#include "pvops/lib/string.h"
#include "pvops/pv_ops.h"
#include "tests/guests/unix/mutex.h"
#include "tests/guests/unix/proc.h"
#include "tests/guests/unix/store.h"

#define MAX_DISKS 16

struct disk {
	struct node node; /* the first member */
	struct blkdev *dev;
	bool is_mounted;
};

static struct disk disks[MAX_DISKS];
static unsigned int nr_disks;
static struct mutex lock;

int disk_error(int rc)
{
	return rc == -XEN_EROFS ? -EROFS : rc ? -EIO : 0;
}

uint64_t disk_blocks(struct blkdev *dev)
{
	struct blkdev_geometry g;

	blkdev_get_geometry(dev, &g);
	return g.sectors / (BLOCK / BLKDEV_SECTOR);
}

/* ---- as a file ---- */

static int disk_page(struct node *n, uint64_t index, bool write, void **page)
{
	struct blkdev *dev = ((struct disk *)n)->dev;
	struct blkdev_geometry g;

	blkdev_get_geometry(dev, &g);
	if (blkdev_is_gone(dev)) /* and what is kept of it is nobody's */
		return -EIO;
	if (write && g.readonly)
		return -EROFS;
	if (index >= disk_blocks(dev))
		return write ? -ENOSPC : -EIO;
	return bcache_get(dev, index, write ? BLOCK_WRITE : BLOCK_READ, page);
}

static int disk_resize(struct node *n, uint64_t size)
{
	(void)n;
	(void)size;
	return 0; /* O_TRUNC is heard often and means nothing here */
}

static int disk_sync(struct node *n)
{
	return bcache_sync(((struct disk *)n)->dev);
}

static void disk_release(struct node *n)
{
	(void)n;
}

static const struct node_ops disk_ops = { disk_page, disk_resize, disk_release, disk_sync };

/* ---- what the other side wants ---- */

static bool is_wanted;
static struct pv_waitq wanted_q;

static void on_attention(struct blkdev *dev, void *arg)
{
	(void)dev;
	(void)arg;
	pv_store_release(&is_wanted, true);
	sched_wake(&wanted_q);
}

static bool somebody_wants(void *arg)
{
	(void)arg;
	return pv_load_acquire(&is_wanted);
}

static void serve_disks(void)
{
	unsigned int i;

	for (;;) {
		sched_sleep(&wanted_q, somebody_wants, NULL, 0, false);
		pv_store(&is_wanted, false);
		mutex_lock(&lock);
		for (i = 0; i < nr_disks; i++)
			blkdev_service(disks[i].dev);
		mutex_unlock(&lock);
	}
}

/* ---- the table ---- */

static struct disk *find(const char *name)
{
	unsigned int i;

	for (i = 0; i < nr_disks; i++)
		if (!strcmp(disks[i].dev->name, name))
			return &disks[i];
	return NULL;
}

/* One that has gone and that nobody uses any more gives up its place to one of the same name. */
static int replace(struct disk *d, const char *node)
{
	struct blkdev *old = d->dev, *dev;

	if (!blkdev_is_gone(old) || d->is_mounted || pv_load(&d->node.users) > 1 ||
	    blkdev_open(node, NULL, &dev))
		return 0;
	dev->attention = on_attention;
	d->dev = dev;
	bcache_forget(old);
	blkdev_close(old);
	return 0;
}

static int add(const char *node, unsigned int vdev, void *arg)
{
	struct disk *d = &disks[nr_disks];
	char name[BLKDEV_NAME];

	(void)arg;
	blkfront_name(vdev, name);
	if (find(name))
		return replace(find(name), node);
	if (nr_disks == MAX_DISKS)
		return 1;
	if (blkdev_open(node, NULL, &d->dev))
		return 0;
	d->node = (struct node){ .ops = &disk_ops, .users = 1 };
	d->dev->attention = on_attention;
	pv_store_release(&nr_disks, nr_disks + 1);
	if (nr_disks == 1)
		proc_start_kernel("disks", serve_disks);
	on_attention(d->dev, NULL); /* what came before it was listened to */
	return 0;
}

void disk_find_all(void)
{
	mutex_lock(&lock);
	if (pv_is_native() || store_is_there())
		blkdev_each(add, NULL);
	mutex_unlock(&lock);
}

/* One that is not there may have come lately. */
static struct disk *get(const char *name)
{
	struct disk *d = find(name);

	if (!d || blkdev_is_gone(d->dev))
		disk_find_all();
	return find(name);
}

struct blkdev *disk_open(const char *name)
{
	struct disk *d = get(name);

	if (!d)
		return NULL;
	d->is_mounted = true;
	return d->dev;
}

int disk_sync_all(void)
{
	unsigned int i;
	int rc = 0;

	for (i = 0; i < nr_disks; i++)
		rc = bcache_sync(disks[i].dev) ? -EIO : rc;
	return rc;
}

int disk_node(const char *name, struct node **n)
{
	struct disk *d = get(name);

	if (!d || blkdev_is_gone(d->dev))
		return -ENOENT;
	d->node.size = disk_blocks(d->dev) * BLOCK;
	node_get(&d->node);
	*n = &d->node;
	return 0;
}
