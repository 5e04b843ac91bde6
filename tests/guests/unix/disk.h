/* SPDX-License-Identifier: MIT */
/*
 * Disks, and the cache of their blocks: pages of 4 KiB, by number, the same for whoever looks: a
 * file system, or a program that opened the disk itself.
 */
#ifndef TESTS_GUESTS_UNIX_DISK_H
#define TESTS_GUESTS_UNIX_DISK_H

#include <stdbool.h>
#include <stdint.h>

#include "frontends/blkdev.h"
#include "tests/guests/unix/fs.h"

#define BLOCK 4096u

/* ---- disk.c: the disks there are, and each as a file ---- */

/* A process opens all that there are; more may come later. */
void disk_find_all(void);
/* By name ("xvda"), to be mounted; NULL: there is none. */
struct blkdev *disk_open(const char *name);
/* As a file: its bytes are the disk's. 0 or -E*. */
int disk_node(const char *name, struct node **n);
/* What was written to any of them stays there. 0 or -EIO. */
int disk_sync_all(void);
uint64_t disk_blocks(struct blkdev *disk);
/* What the library's error number means to a program. */
int disk_error(int rc);

/* ---- bcache.c ---- */

enum block_use {
	BLOCK_READ,
	BLOCK_WRITE, /* the caller is going to change it */
	BLOCK_NEW,   /* it begins with zeroes, whatever the disk holds */
};

/*
 * bcache_get - a block's page; the caller becomes a user of it and calls page_put()
 *
 * A page that anybody else uses is replaced by a copy before it is changed: so who changes blocks
 * of a kind serializes that, and puts a page before it gets the same one again.
 * Returns 0, -EIO, -ENOMEM.
 */
int bcache_get(struct blkdev *disk, uint64_t block, enum block_use use, void **page);

bool bcache_has(struct blkdev *disk, uint64_t block);

/* Brings blocks in that will be wanted soon, as one request. Nothing happens when that fails. */
void bcache_ahead(struct blkdev *disk, uint64_t block, unsigned int count);

/* Whatever is kept of a disk that has gone. */
void bcache_forget(struct blkdev *disk);

/* Everything that was changed is on the disk, and stays there. 0 or -EIO. */
int bcache_sync(struct blkdev *disk);

#endif /* TESTS_GUESTS_UNIX_DISK_H */
