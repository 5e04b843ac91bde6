/* SPDX-License-Identifier: MIT */
/*
 * Storage that loses power; see power_store.h.
 */
#include "tests/powercut/power_store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SECTOR 512u

unsigned power_random(unsigned *seed, unsigned n)
{
	*seed = *seed * 1664525u + 1013904223u;
	return (unsigned)(((uint64_t)(*seed >> 4) * n) >> 28);
}

static struct power_store *power_of(struct blkstore *s)
{
	return (struct power_store *)s;
}

static void *must(void *memory)
{
	if (!memory)
		abort();
	return memory;
}

/* ---- the volatile layer ------------------------------------------------------------------------ */

/* The write is in the layer from its submission on: its sectors may reach the disk at any time. */
static struct power_write *add_write(struct power_store *p, const struct blkstore_req *req)
{
	struct power_write *w = must(calloc(1, sizeof(*w) + req->len));
	uint8_t *at = w->bytes;

	w->offset = req->offset;
	w->len = req->len;
	for (unsigned i = 0; i < req->nr_iov; i++) {
		memcpy(at, req->iov[i].iov_base, req->iov[i].iov_len);
		at += req->iov[i].iov_len;
	}
	*p->last = w;
	p->last = &w->next;
	return w;
}

static void forget_writes(struct power_store *p)
{
	while (p->first) {
		struct power_write *w = p->first;

		p->first = w->next;
		free(w);
	}
	p->last = &p->first;
}

/* Makes the answered writes up to `until` durable, and takes them out of the layer. */
static void flush_until(struct power_store *p, const struct power_write *until)
{
	struct power_write **link = &p->first, *w;
	bool is_last = false;

	while ((w = *link) && !is_last) {
		is_last = w == until;
		if (!w->answered) {
			link = &w->next;
			continue;
		}
		memcpy(p->durable + w->offset, w->bytes, w->len);
		*link = w->next;
		free(w);
	}
	for (p->last = &p->first; *p->last; p->last = &(*p->last)->next)
		;
}

/*
 * What a flush that is submitted now covers. A write that is answered later does not count, even if
 * it stands before one that does: so the answered ones are moved to the front first.
 */
static struct power_write *cover(struct power_store *p)
{
	struct power_write *answered = NULL, **end = &answered, *rest = NULL, **rest_end = &rest;
	struct power_write *w, *last = NULL;

	for (w = p->first; w; w = w->next) {
		if (w->answered) {
			*end = last = w;
			end = &w->next;
		} else {
			*rest_end = w;
			rest_end = &w->next;
		}
	}
	*rest_end = NULL;
	*end = rest;
	p->first = answered;
	for (p->last = &p->first; *p->last; p->last = &(*p->last)->next)
		;
	return last;
}

/* ---- requests ------------------------------------------------------------------------------------ */

static void read_now(struct power_store *p, const struct blkstore_req *req)
{
	const uint8_t *at = p->now + req->offset;

	for (unsigned i = 0; i < req->nr_iov; i++) {
		memcpy(req->iov[i].iov_base, at, req->iov[i].iov_len);
		at += req->iov[i].iov_len;
	}
}

static void answer_write(struct power_store *p, struct power_write *w)
{
	w->answered = true;
	memcpy(p->now + w->offset, w->bytes, w->len);
}

static int try_now(struct blkstore *s, struct blkstore_req *req)
{
	struct power_store *p = power_of(s);
	int rc = 0;

	pthread_mutex_lock(&p->lock);
	if (req->op == BLKSTORE_FLUSH && p->mutant == POWER_NO_FLUSH)
		rc = 0;
	else if (power_random(&p->seed, 2))
		rc = -EAGAIN;
	else if (req->op == BLKSTORE_READ)
		read_now(p, req);
	else if (req->op == BLKSTORE_WRITE)
		answer_write(p, add_write(p, req));
	else if (p->mutant == POWER_EARLY_ANSWER)
		rc = -EAGAIN;
	else if (!p->off)
		flush_until(p, cover(p));
	pthread_mutex_unlock(&p->lock);
	return rc;
}

static void submit(struct blkstore *s, struct blkstore_req *req, bool batch)
{
	struct power_store *p = power_of(s);
	struct power_job *job = must(calloc(1, sizeof(*job)));
	bool early;

	(void)batch;
	job->op = req->op;
	job->req = req;
	pthread_mutex_lock(&p->lock);
	if (req->op == BLKSTORE_WRITE)
		job->write = add_write(p, req);
	if (req->op == BLKSTORE_FLUSH) {
		job->until = cover(p);
		job->covers_any = job->until != NULL;
		p->flushes++;
	}
	early = req->op == BLKSTORE_FLUSH && p->mutant == POWER_EARLY_ANSWER;
	if (early)
		job->req = NULL;
	*p->jobs_last = job;
	p->jobs_last = &job->next;
	pthread_mutex_unlock(&p->lock);
	if (early)
		req->done(req, 0);
}

/* Any of them, but a flush takes its time. */
static struct power_job *take_any(struct power_store *p)
{
	struct power_job **link = &p->jobs, *job;
	unsigned nr = 0, n;

	for (job = p->jobs; job; job = job->next)
		nr++;
	if (!nr)
		return NULL;
	for (n = power_random(&p->seed, nr); n; n--)
		link = &(*link)->next;
	if ((*link)->op == BLKSTORE_FLUSH && power_random(&p->seed, 8)) {
		for (link = &p->jobs; *link && (*link)->op == BLKSTORE_FLUSH; link = &(*link)->next)
			;
		if (!*link)
			link = &p->jobs;
	}
	job = *link;
	*link = job->next;
	for (p->jobs_last = &p->jobs; *p->jobs_last; p->jobs_last = &(*p->jobs_last)->next)
		;
	return job;
}

/* Whether the last write that a flush covers is still in the layer: another may have flushed it. */
static bool is_volatile(const struct power_store *p, const struct power_write *w)
{
	for (const struct power_write *at = p->first; at; at = at->next)
		if (at == w)
			return true;
	return false;
}

static void carry_out(struct power_store *p, struct power_job *job)
{
	if (p->off)
		return;
	if (job->op == BLKSTORE_READ)
		read_now(p, job->req);
	else if (job->op == BLKSTORE_WRITE && job->write)
		answer_write(p, job->write);
	else if (job->covers_any && is_volatile(p, job->until))
		flush_until(p, job->until);
}

unsigned power_complete(struct power_store *p, unsigned n)
{
	unsigned done = 0;

	for (; done < n; done++) {
		struct power_job *job;

		pthread_mutex_lock(&p->lock);
		job = take_any(p);
		if (job)
			carry_out(p, job);
		pthread_mutex_unlock(&p->lock);
		if (!job)
			break;
		if (job->req)
			job->req->done(job->req, 0);
		free(job);
	}
	return done;
}

/* ---- the cut ------------------------------------------------------------------------------------- */

/* One write in any order; of each of its sectors chance decides. */
static void lose_some(struct power_store *p, const struct power_write *w)
{
	unsigned keep = power_random(&p->seed, 3); /* nothing, some, all of it */

	for (uint64_t at = 0; at < w->len; at += SECTOR) {
		if (keep == 2 || (keep == 1 && power_random(&p->seed, 2)))
			memcpy(p->durable + w->offset + at, w->bytes + at, SECTOR);
		else
			p->lost_sectors++;
	}
}

void power_cut(struct power_store *p)
{
	pthread_mutex_lock(&p->lock);
	while (p->first) {
		struct power_write **link = &p->first, *w;

		/* Mostly the oldest first, but not always. */
		if ((*link)->next && power_random(&p->seed, 2))
			link = &(*link)->next;
		w = *link;
		*link = w->next;
		lose_some(p, w);
		free(w);
	}
	p->last = &p->first;
	p->off = true;
	pthread_mutex_unlock(&p->lock);
}

void power_on(struct power_store *p)
{
	pthread_mutex_lock(&p->lock);
	forget_writes(p);
	memcpy(p->now, p->durable, p->size);
	p->off = false;
	pthread_mutex_unlock(&p->lock);
}

/* ---- life ------------------------------------------------------------------------------------------ */

static void kick(struct blkstore *s)
{
	(void)s;
}

static uint64_t size(struct blkstore *s)
{
	return power_of(s)->size;
}

static int refresh(struct blkstore *s)
{
	(void)s;
	return 0;
}

static const struct blkstore_ops power_ops = {
	.try = try_now, .submit = submit, .kick = kick, .size = size, .refresh = refresh
};

void power_init(struct power_store *p, uint64_t bytes, enum power_mutant mutant, unsigned seed)
{
	memset(p, 0, sizeof(*p));
	p->s = (struct blkstore){ .ops = &power_ops,
		                  .kind = "power",
		                  .block = SECTOR,
		                  .physical_block = SECTOR,
		                  .can_flush = true,
		                  .discard_granularity = SECTOR };
	pthread_mutex_init(&p->lock, NULL);
	p->size = bytes;
	p->durable = must(calloc(1, bytes));
	p->now = must(calloc(1, bytes));
	p->last = &p->first;
	p->jobs_last = &p->jobs;
	p->mutant = mutant;
	p->seed = seed;
}

void power_fini(struct power_store *p)
{
	forget_writes(p);
	free(p->durable);
	free(p->now);
	pthread_mutex_destroy(&p->lock);
}
