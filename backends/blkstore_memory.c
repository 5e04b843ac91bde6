/* SPDX-License-Identifier: MIT */
/*
 * Memory as storage: it is gone with its machine; see blkstore.h.
 *
 * Nothing ever waits, so try() does everything. Pages that were never written cost nothing; a discard
 * gives pages back.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "backends/blkstore.h"

#define PAGE 4096u

struct memory_store {
	struct blkstore s;
	char *bytes;
	uint64_t size;
};

static struct memory_store *memory_of(struct blkstore *s)
{
	return (struct memory_store *)s;
}

/* Whole pages are given back and read as zero; what is left at both ends is cleared. */
static void discard(struct memory_store *m, uint64_t from, uint64_t len)
{
	uint64_t first = (from + PAGE - 1) & ~(uint64_t)(PAGE - 1);
	uint64_t end = (from + len) & ~(uint64_t)(PAGE - 1);

	if (first >= end || madvise(m->bytes + first, end - first, MADV_DONTNEED)) {
		memset(m->bytes + from, 0, len);
		return;
	}
	memset(m->bytes + from, 0, first - from);
	memset(m->bytes + end, 0, from + len - end);
}

static int try_now(struct blkstore *s, struct blkstore_req *req)
{
	struct memory_store *m = memory_of(s);
	char *at = m->bytes + req->offset;

	for (unsigned i = 0; i < req->nr_iov; i++) {
		if (req->op == BLKSTORE_WRITE)
			memcpy(at, req->iov[i].iov_base, req->iov[i].iov_len);
		else if (req->op == BLKSTORE_READ)
			memcpy(req->iov[i].iov_base, at, req->iov[i].iov_len);
		at += req->iov[i].iov_len;
	}
	if (req->op == BLKSTORE_DISCARD)
		discard(m, req->offset, req->len);
	return 0;
}

static void submit(struct blkstore *s, struct blkstore_req *req, bool batch)
{
	(void)batch;
	req->done(req, try_now(s, req));
}

static void kick(struct blkstore *s)
{
	(void)s;
}

static uint64_t size(struct blkstore *s)
{
	return memory_of(s)->size;
}

static int refresh(struct blkstore *s)
{
	(void)s;
	return 0;
}

static void close_memory(struct blkstore *s)
{
	struct memory_store *m = memory_of(s);

	munmap(m->bytes, m->size);
	free(m);
}

static const struct blkstore_ops memory_ops = {
	.try = try_now,
	.submit = submit,
	.kick = kick,
	.size = size,
	.refresh = refresh,
	.close = close_memory,
};

int blkstore_open_memory(struct blkstore **out, uint64_t bytes, unsigned block, char *why,
                         size_t why_len)
{
	struct memory_store *m;

	bytes -= bytes % block;
	if (!bytes || bytes > SIZE_MAX / 2) {
		snprintf(why, why_len, "disk memory: it has less than one block of %u bytes",
		         block);
		return -EINVAL;
	}
	m = calloc(1, sizeof(*m));
	if (!m)
		goto none;
	m->bytes = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
	                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (m->bytes == MAP_FAILED)
		goto none;
	m->size = bytes;
	m->s = (struct blkstore){ .ops = &memory_ops,
		                  .kind = "memory",
		                  .block = block,
		                  .physical_block = PAGE,
		                  .can_discard = true,
		                  .can_flush = true,
		                  .discard_granularity = PAGE };
	*out = &m->s;
	return 0;
none:
	free(m);
	snprintf(why, why_len, "disk memory: there is no room for %llu MiB; make it smaller",
	         (unsigned long long)(bytes >> 20));
	return -ENOMEM;
}
