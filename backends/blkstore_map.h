/* SPDX-License-Identifier: MIT */
/*
 * A file on a file system in memory, mapped: its blocks are copied without a system call, which is
 * twice as fast as pread().
 *
 * A mapping must not be touched where the file has a hole: that would fill it. So each page is taken
 * for a hole until a call of the kernel has shown that it is none. And whoever else can write the
 * file can make it shorter, or fill the file system, at any time: an access that finds no page is caught
 * (SIGBUS), and the caller asks the kernel instead, who says what is wrong.
 *
 * Invariant: memory is touched only inside the mapping and only in pages that are marked.
 */
#ifndef BACKENDS_BLKSTORE_MAP_H
#define BACKENDS_BLKSTORE_MAP_H

#include "backends/blkstore.h"

struct blkmap;

/* NULL when it cannot be mapped: then calls must do. size: bytes; it may grow somewhat later. */
struct blkmap *blkmap_open(int fd, uint64_t size, bool readonly);
void blkmap_close(struct blkmap *m);

/* Whether a READ or WRITE was done. Any thread. */
bool blkmap_transfer(struct blkmap *m, const struct blkstore_req *req);
/* The kernel has done this READ or WRITE: its pages may be marked. */
void blkmap_learn(struct blkmap *m, const struct blkstore_req *req);
/* The range will be holes. */
void blkmap_forget(struct blkmap *m, uint64_t offset, uint64_t len);

#endif
