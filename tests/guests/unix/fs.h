/* SPDX-License-Identifier: MIT */
/*
 * Files with a name. A node is a file's contents as the rest of the kernel sees them: a size, and
 * pages by number. Reading, writing and running a program all go through the pages, so a file
 * system has to provide little more than those.
 *
 * Names are paths without a leading "/"; a name may contain "/", there are no directories as such.
 */
#ifndef TESTS_GUESTS_UNIX_FS_H
#define TESTS_GUESTS_UNIX_FS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/guests/unix/abi.h"

struct node;

struct node_ops {
	/*
	 * The page that holds bytes from index * 4096 on. The caller becomes a user of it and calls
	 * page_put(). write: the caller is going to change it. 0 or -E*.
	 */
	int (*page)(struct node *n, uint64_t index, bool write, void **page);
	/* The size becomes this; what is beyond is forgotten. 0 or -E*. */
	int (*resize)(struct node *n, uint64_t size);
	/* Nobody uses it and it has no name. */
	void (*release)(struct node *n);
	/* What was written will be there after a power cut. NULL: it never is. 0 or -E*. */
	int (*sync)(struct node *n);
};

struct node {
	const struct node_ops *ops;
	uint64_t size;  /* bytes */
	uint32_t users; /* its name, open files, regions; atomic */
};

struct fs {
	/* The node of that name, its users one more; create: made when there is none. 0 or -E*. */
	int (*open)(const char *name, bool create, struct node **n);
	int (*unlink)(const char *name);
	/* 0, or -ENOENT beyond the last. */
	int (*list)(uint64_t index, struct unix_dirent *entry);
	/* All of it as node_ops.sync; NULL: never. end: it will not be used any more. */
	int (*sync)(bool end);
};

/* The file system that names are looked up in. */
extern const struct fs *fs_root;

void node_get(struct node *n);
void node_put(struct node *n);

/*
 * node_read - bytes of a file to kernel memory
 *
 * Returns how many there were, at most len; 0 at the end; or -E*.
 */
long node_read(struct node *n, uint64_t offset, void *buf, size_t len);

/* ---- the file system in memory, filled from an archive (ramfs.c, cpio.c) ---- */

extern const struct fs ramfs;

/* Adds a file; 0 or -E*. */
int ramfs_add(const char *name, const void *data, size_t len);

/* Adds what a "newc" archive of cpio's holds; returns the number of files, or -E*. */
int cpio_unpack(const void *archive, size_t len, int (*add)(const char *, const void *, size_t));

/* ---- the second extended file system, on a disk (ext2.c) ---- */

extern const struct fs ext2;

/* Makes ext2 the file system of a disk; 0, or -E* with a line in the log that says why. */
int ext2_mount(const char *disk);

#endif /* TESTS_GUESTS_UNIX_FS_H */
