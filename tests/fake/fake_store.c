/* SPDX-License-Identifier: MIT */
/*
 * A blkstore for tests; fake_store.h tells what it does.
 */
#include "tests/fake/fake_store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "fake_store: %s\n", what);
	abort();
}

static struct fake_store *fake_of(struct blkstore *s)
{
	return (struct fake_store *)s;
}

static void check_piece(const struct fake_store *f, const struct iovec *v)
{
	const char *begin = f->allowed, *at = v->iov_base;

	must(v->iov_len > 0 && !((uintptr_t)at % 512) && !(v->iov_len % 512), "a crooked piece");
	if (!begin)
		return;
	must(at >= begin && v->iov_len <= f->allowed_len &&
	             (size_t)(at - begin) <= f->allowed_len - v->iov_len,
	     "a piece outside of the guest's memory");
}

static void check(const struct fake_store *f, const struct blkstore_req *req)
{
	uint64_t sum = 0;

	must(req->done != NULL, "no done()");
	if (req->op == BLKSTORE_FLUSH) {
		must(req->offset == 0 && req->len == 0 && req->nr_iov == 0, "a flush of something");
		return;
	}
	must(req->len > 0 && req->len <= f->size && req->offset <= f->size - req->len,
	     "a request beyond the end");
	must(!((req->offset | req->len) % f->s.block), "a part of a block");
	must(!f->s.readonly || req->op == BLKSTORE_READ, "a write to a read-only store");
	if (req->op == BLKSTORE_DISCARD) {
		must(f->s.can_discard && req->nr_iov == 0, "a discard that cannot be");
		return;
	}
	must(req->nr_iov > 0 && req->nr_iov <= BLKSTORE_MAX_IOV, "a number of pieces");
	for (unsigned i = 0; i < req->nr_iov; i++) {
		check_piece(f, &req->iov[i]);
		sum += req->iov[i].iov_len;
	}
	must(sum == req->len, "pieces that do not add up");
}

/* Lock held. */
static int perform(struct fake_store *f, struct blkstore_req *req)
{
	uint8_t *at = f->bytes + req->offset;

	if (f->nr_log < FAKE_STORE_LOG)
		f->log[f->nr_log++] = (struct fake_store_entry){ req->op, req->offset, req->len,
			                                         req->nr_iov };
	if (f->fail) {
		f->fail--;
		return f->fail_rc;
	}
	if (req->op == BLKSTORE_DISCARD)
		memset(at, 0, req->len);
	for (unsigned i = 0; i < req->nr_iov; at += req->iov[i++].iov_len) {
		if (req->op == BLKSTORE_READ)
			memcpy(req->iov[i].iov_base, at, req->iov[i].iov_len);
		else
			memcpy(at, req->iov[i].iov_base, req->iov[i].iov_len);
	}
	return 0;
}

static int try_now(struct blkstore *s, struct blkstore_req *req)
{
	struct fake_store *f = fake_of(s);
	int rc = -EAGAIN;

	pthread_mutex_lock(&f->lock);
	check(f, req);
	f->tries++;
	if (!f->delays)
		rc = perform(f, req);
	pthread_mutex_unlock(&f->lock);
	return rc;
}

static void submit(struct blkstore *s, struct blkstore_req *req, bool batch)
{
	struct fake_store *f = fake_of(s);

	pthread_mutex_lock(&f->lock);
	check(f, req);
	f->submits++;
	if (f->hurries) {
		int rc = perform(f, req);

		pthread_mutex_unlock(&f->lock);
		req->done(req, rc);
		return;
	}
	must(f->nr_waiting < FAKE_STORE_LOG, "too many requests in flight");
	f->waiting[f->nr_waiting++] = req;
	f->nr_unkicked = batch ? f->nr_unkicked + 1 : 0;
	pthread_mutex_unlock(&f->lock);
}

static void kick(struct blkstore *s)
{
	struct fake_store *f = fake_of(s);

	pthread_mutex_lock(&f->lock);
	f->kicks++;
	f->nr_unkicked = 0;
	pthread_mutex_unlock(&f->lock);
}

static uint64_t size(struct blkstore *s)
{
	return fake_of(s)->size;
}

static int refresh(struct blkstore *s)
{
	(void)s;
	return 0;
}

static void close_store(struct blkstore *s)
{
	(void)s;
}

static const struct blkstore_ops ops = { .try = try_now,
	                                 .submit = submit,
	                                 .kick = kick,
	                                 .size = size,
	                                 .refresh = refresh,
	                                 .close = close_store };

/* Lock held. The next to be done, taken out; NULL: none that was kicked. */
static struct blkstore_req *pick(struct fake_store *f, enum fake_store_order order)
{
	unsigned kicked = f->nr_waiting - f->nr_unkicked, i = 0;
	struct blkstore_req *req;

	if (!kicked)
		return NULL;
	if (order == FAKE_LIFO)
		i = kicked - 1;
	else if (order == FAKE_RANDOM)
		i = (unsigned)rand_r(&f->seed) % kicked;
	req = f->waiting[i];
	f->nr_waiting--;
	memmove(&f->waiting[i], &f->waiting[i + 1], (f->nr_waiting - i) * sizeof(req));
	return req;
}

unsigned fake_store_complete(struct fake_store *f, unsigned n, enum fake_store_order order)
{
	unsigned done = 0;

	for (; done < n; done++) {
		struct blkstore_req *req;
		int rc = 0;

		pthread_mutex_lock(&f->lock);
		req = pick(f, order);
		if (req)
			rc = perform(f, req);
		pthread_mutex_unlock(&f->lock);
		if (!req)
			break;
		req->done(req, rc);
	}
	return done;
}

void fake_store_hurry(struct fake_store *f)
{
	pthread_mutex_lock(&f->lock);
	f->hurries = true;
	f->delays = false;
	f->nr_unkicked = 0;
	pthread_mutex_unlock(&f->lock);
	fake_store_complete(f, FAKE_STORE_LOG, FAKE_FIFO);
}

void fake_store_init(struct fake_store *f, uint64_t bytes, unsigned block)
{
	memset(f, 0, sizeof(*f));
	f->s.ops = &ops;
	f->s.kind = "fake";
	f->s.block = f->s.physical_block = block;
	f->s.can_discard = f->s.can_flush = true;
	f->s.discard_granularity = block;
	f->size = bytes;
	f->bytes = malloc(bytes);
	f->seed = 1;
	must(f->bytes != NULL, "no memory");
	for (uint64_t i = 0; i < bytes; i++)
		f->bytes[i] = (uint8_t)(i / 512 * 31 + i % 512);
	pthread_mutex_init(&f->lock, NULL);
}

void fake_store_fini(struct fake_store *f)
{
	must(f->nr_waiting == 0, "requests still wait at the end");
	pthread_mutex_destroy(&f->lock);
	free(f->bytes);
}
