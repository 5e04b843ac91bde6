/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fake/lazy_store.h"

static void require(bool holds)
{
	if (!holds)
		abort();
}

static int perform(struct lazy_store *l, struct blkstore_req *req)
{
	uint64_t done = 0;

	l->calls++;
	require(req->offset % l->s.block == 0 && req->len % l->s.block == 0);
	require(req->len <= l->size && req->offset <= l->size - req->len);
	if (l->error)
		return l->error;
	l->flushes += req->op == BLKSTORE_FLUSH;
	for (unsigned i = 0; i < req->nr_iov; i++) {
		uint8_t *at = l->bytes + req->offset + done;

		done += req->iov[i].iov_len;
		require(done <= req->len);
		if (req->op == BLKSTORE_WRITE)
			memcpy(at, req->iov[i].iov_base, req->iov[i].iov_len);
		else
			memcpy(req->iov[i].iov_base, at, req->iov[i].iov_len);
	}
	require(done == req->len);
	return 0;
}

static int try_now(struct blkstore *s, struct blkstore_req *req)
{
	struct lazy_store *l = (struct lazy_store *)s;

	return l->is_lazy ? -EAGAIN : perform(l, req);
}

static void submit(struct blkstore *s, struct blkstore_req *req, bool batch)
{
	struct lazy_store *l = (struct lazy_store *)s;

	(void)batch;
	require(!l->held);
	l->held = req;
}

static uint64_t size(struct blkstore *s)
{
	return ((struct lazy_store *)s)->size;
}

/* What is held is answered, with an error. */
static void hurry(struct blkstore *s, bool on)
{
	struct lazy_store *l = (struct lazy_store *)s;
	int error = l->error;

	l->error = on ? -EIO : error;
	lazy_store_answer(l);
	l->error = error;
}

bool lazy_store_answer(struct lazy_store *l)
{
	struct blkstore_req *req = l->held;

	l->held = NULL;
	if (req)
		req->done(req, perform(l, req));
	return req;
}

void lazy_store_open(struct lazy_store *l, uint64_t bytes)
{
	static const struct blkstore_ops ops = {
		.try = try_now, .submit = submit, .size = size, .hurry = hurry
	};

	memset(l, 0, sizeof(*l));
	l->s = (struct blkstore){
		.ops = &ops, .kind = "lazy", .block = 512, .physical_block = 4096, .can_flush = true
	};
	l->size = bytes;
	l->bytes = malloc(bytes);
	require(l->bytes);
	for (uint64_t i = 0; i < bytes; i++)
		l->bytes[i] = (uint8_t)(i / 512 * 7 + i);
}

void lazy_store_close(struct lazy_store *l)
{
	require(!l->held);
	free(l->bytes);
}
