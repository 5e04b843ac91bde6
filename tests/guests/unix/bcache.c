/* SPDX-License-Identifier: MIT */
/*
 * The cache of blocks.
 *
 * Invariant: a buffer in a chain holds what the disk holds, or what it is to hold (dirty). Its page
 * has one user, the cache, and those who got it; one that may be changed at this moment has others.
 */
#include "tests/guests/unix/disk.h"

#include <stddef.h>

#include "pvops/lib/string.h"
#include "tests/guests/unix/mutex.h"
#include "tests/guests/unix/page.h"

#define BUFFERS 4096u /* 16 MiB */
#define CHAINS  1024u
#define BATCH   32u /* requests under way at a time */

struct buffer {
	struct blkdev *disk;
	uint64_t block;
	void *page; /* NULL: not in use */
	struct buffer *next;
	bool dirty, recent;
};

static struct buffer buffers[BUFFERS];
static struct buffer *chains[CHAINS];
static unsigned int hand; /* of the clock by which buffers are given up */
static struct mutex lock;

/* Requests of the one who holds the lock. */
static struct blkdev_req batch[BATCH];
static struct blkdev_seg segs[BATCH];
static struct buffer *batch_of[BATCH];
static struct blkdev_seg ahead_segs[BATCH];
static struct buffer *ahead[BATCH];

static struct buffer **chain_of(const struct blkdev *disk, uint64_t block)
{
	return &chains[((uintptr_t)disk / PV_PAGE_SIZE * 31 + block) % CHAINS];
}

static struct buffer *find(const struct blkdev *disk, uint64_t block)
{
	struct buffer *b = *chain_of(disk, block);

	while (b && (b->disk != disk || b->block != block))
		b = b->next;
	return b;
}

static void forget(struct buffer *b)
{
	struct buffer **at = chain_of(b->disk, b->block);

	while (*at != b)
		at = &(*at)->next;
	*at = b->next;
	page_put(b->page);
	b->page = NULL;
}

/* ---- writing back ---------------------------------------------------------------------------- */

/* The first `n` of the batch go out, and are waited for. */
static int write_batch(struct blkdev *disk, unsigned int n)
{
	unsigned int i;
	int rc = 0;

	for (i = 0; i < n; i++) {
		batch[i].result = blkdev_submit(disk, &batch[i]);
		if (batch[i].result)
			batch[i].finished = true;
	}
	blkdev_kick(disk);
	for (i = 0; i < n; i++) {
		if (!batch[i].finished)
			blkdev_wait(disk, &batch[i]);
		if (!batch[i].result)
			continue;
		batch_of[i]->dirty = true;
		rc = -EIO;
	}
	return rc;
}

/*
 * A page that somebody else uses may be changed while it is written, or right after: it stays dirty,
 * and is written again the next time.
 */
static int write_all(struct blkdev *disk)
{
	struct buffer *b;
	unsigned int n = 0;
	int rc = 0;

	for (b = buffers; b < buffers + BUFFERS; b++) {
		if (!b->page || b->disk != disk || !b->dirty)
			continue;
		b->dirty = !page_is_sole(b->page);
		segs[n] = (struct blkdev_seg){ b->page, BLOCK };
		batch[n] = (struct blkdev_req){ .op = BLKDEV_WRITE,
			                        .sector = b->block * (BLOCK / BLKDEV_SECTOR),
			                        .nr_sectors = BLOCK / BLKDEV_SECTOR,
			                        .segs = &segs[n],
			                        .nr_segs = 1 };
		batch_of[n++] = b;
		if (n == BATCH) {
			rc = write_batch(disk, n) ? -EIO : rc;
			n = 0;
		}
	}
	return write_batch(disk, n) ? -EIO : rc;
}

void bcache_forget(struct blkdev *disk)
{
	struct buffer *b;

	mutex_lock(&lock);
	for (b = buffers; b < buffers + BUFFERS; b++)
		if (b->page && b->disk == disk)
			forget(b);
	mutex_unlock(&lock);
}

int bcache_sync(struct blkdev *disk)
{
	int rc;

	mutex_lock(&lock);
	rc = write_all(disk);
	mutex_unlock(&lock);
	return blkdev_flush(disk) ? -EIO : rc;
}

/* ---- buffers --------------------------------------------------------------------------------- */

/* One that is not in use, or not used lately; changed ones are written first when there are no others. */
static struct buffer *take_buffer(void)
{
	unsigned int i;
	struct buffer *b;

	for (i = 0; i < 3 * BUFFERS; i++) {
		b = &buffers[hand++ % BUFFERS];
		if (!b->page)
			return b;
		if (b->recent || !page_is_sole(b->page)) {
			b->recent = false;
			continue;
		}
		if (b->dirty && (i < 2 * BUFFERS || write_all(b->disk) || b->dirty))
			continue;
		forget(b);
		return b;
	}
	return NULL;
}

/* A page for a buffer: when memory is short, that of another one. */
static void *take_page(void)
{
	void *page = page_alloc();
	struct buffer *b;
	unsigned int i;

	for (i = 0; !page && i < BUFFERS; i++) {
		b = &buffers[hand++ % BUFFERS];
		if (!b->page || b->dirty || !page_is_sole(b->page))
			continue;
		forget(b);
		page = page_alloc();
	}
	return page;
}

/* A buffer in its chain whose page holds nothing yet. */
static struct buffer *add(struct blkdev *disk, uint64_t block)
{
	void *page = take_page();
	struct buffer *b = page ? take_buffer() : NULL, **chain = chain_of(disk, block);

	if (!b) {
		if (page)
			page_put(page);
		return NULL;
	}
	*b = (struct buffer){ .disk = disk, .block = block, .page = page, .next = *chain };
	*chain = b;
	return b;
}

/* The block, from the disk if it has to be. */
static int look_up(struct blkdev *disk, uint64_t block, bool is_new, struct buffer **found)
{
	struct buffer *b = find(disk, block);
	int rc = 0;

	if (block >= disk_blocks(disk))
		return -EIO;
	if (!b) {
		b = add(disk, block);
		if (!b)
			return -ENOMEM;
		if (!is_new)
			rc = blkdev_read(disk, block * (BLOCK / BLKDEV_SECTOR), b->page, BLOCK);
		if (rc) {
			forget(b);
			return -EIO;
		}
	}
	b->recent = true;
	*found = b;
	return 0;
}

/* A page that only the cache uses, with the same contents. */
static int make_sole(struct buffer *b)
{
	void *page;

	if (page_is_sole(b->page))
		return 0;
	page = take_page();
	if (!page)
		return -ENOMEM;
	memcpy(page, b->page, BLOCK);
	page_put(b->page);
	b->page = page;
	return 0;
}

int bcache_get(struct blkdev *disk, uint64_t block, enum block_use use, void **page)
{
	struct buffer *b;
	int rc;

	mutex_lock(&lock);
	rc = look_up(disk, block, use == BLOCK_NEW, &b);
	if (!rc && use != BLOCK_READ)
		rc = make_sole(b);
	if (!rc) {
		b->dirty |= use != BLOCK_READ;
		if (use == BLOCK_NEW)
			memset(b->page, 0, BLOCK);
		page_get(b->page);
		*page = b->page;
	}
	mutex_unlock(&lock);
	return rc;
}

bool bcache_has(struct blkdev *disk, uint64_t block)
{
	bool has;

	mutex_lock(&lock);
	has = find(disk, block);
	mutex_unlock(&lock);
	return has;
}

void bcache_ahead(struct blkdev *disk, uint64_t block, unsigned int count)
{
	struct blkdev_req req = { .op = BLKDEV_READ,
		                  .sector = block * (BLOCK / BLKDEV_SECTOR),
		                  .segs = ahead_segs };
	uint64_t end = disk_blocks(disk);
	unsigned int i, n;

	mutex_lock(&lock);
	for (n = 0; n < count && n < BATCH && block + n < end; n++) {
		struct buffer *b = find(disk, block + n) ? NULL : add(disk, block + n);

		if (!b) /* it is there already, or there is no room */
			break;
		page_get(b->page); /* it is not for others to take meanwhile */
		ahead[n] = b;
		ahead_segs[n] = (struct blkdev_seg){ b->page, BLOCK };
	}
	req.nr_segs = n;
	req.nr_sectors = n * (BLOCK / BLKDEV_SECTOR);
	if (n && !blkdev_submit(disk, &req)) {
		blkdev_kick(disk);
		blkdev_wait(disk, &req);
	} else {
		req.result = -1;
	}
	for (i = 0; i < n; i++) {
		page_put(ahead_segs[i].va);
		if (req.result)
			forget(ahead[i]);
	}
	mutex_unlock(&lock);
}
