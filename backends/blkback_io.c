/* SPDX-License-Identifier: MIT */
/*
 * A job's way: a request that makes sense, its pages mapped, through the storage in one to three
 * steps, to its response.
 *
 *   read, write          one step; contiguous pages are one piece of memory
 *   flush                a flush; with data: flush, write
 *   barrier              what is in flight ends first, then flush, write, flush; nothing is taken
 *                        from this queue meanwhile
 *   discard              one step
 *
 * A step is tried in the server's thread; what would wait goes to the storage and is answered from
 * its done call-back, on any thread.
 *
 * Invariant: a job that was begun is answered once: by the server, or by finish(), never both. Its
 * pages are unmapped before its response can be seen.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backends/blkback_priv.h"

#define PUSH_BYTES (256u << 10) /* answers wait for company no longer than while so much is moved */

/* ---- jobs ------------------------------------------------------------------------------------ */

/* In flight is at most a ring's worth, and so are the jobs, with one in hand. */
static struct blk_job *take_job(struct blk_queue *q)
{
	struct blk_job *job = q->spare;

	if (job)
		return job;
	pthread_mutex_lock(&q->lock);
	job = q->free;
	if (job)
		q->free = job->next;
	pthread_mutex_unlock(&q->lock);
	if (!job)
		job = calloc(1, sizeof(*job));
	if (job)
		job->q = q;
	q->spare = job;
	return job;
}

static bool make_room(struct blk_job *job, unsigned nr_segments)
{
	job->nr_pages = job->nr_iov = 0;
	job->page = job->small_page;
	job->iov = job->small_iov;
	if (nr_segments <= BLKIF_MAX_SEGMENTS_PER_REQUEST)
		return true;
	if (!job->large)
		job->large = malloc(sizeof(*job->large));
	if (!job->large)
		return false;
	job->page = job->large->page;
	job->iov = job->large->iov;
	return true;
}

static void free_job(struct blk_job *job)
{
	if (job)
		free(job->large);
	free(job);
}

/* ---- responses ------------------------------------------------------------------------------- */

static int16_t status_of(const struct blk_job *job, int rc)
{
	if (!rc)
		return BLKIF_RSP_OKAY;
	/* For a read or write it would say that the disk has lost its very purpose. */
	if (rc == -EOPNOTSUPP && job->step[0] != BLKSTORE_READ && job->step[0] != BLKSTORE_WRITE)
		return BLKIF_RSP_EOPNOTSUPP;
	return BLKIF_RSP_ERROR;
}

static void count_result(struct blk_figures *f, const struct blk_job *job)
{
	if (job->answer.status != BLKIF_RSP_OKAY) {
		blk_count(&f->errors, 1);
		return;
	}
	for (unsigned i = 0; i < job->nr_steps; i++) {
		switch (job->step[i]) {
		case BLKSTORE_READ:
			blk_count(&f->reads, 1);
			blk_count(&f->sectors_read, job->len >> 9);
			break;
		case BLKSTORE_WRITE:
			blk_count(&f->writes, 1);
			blk_count(&f->sectors_written, job->len >> 9);
			break;
		case BLKSTORE_FLUSH:
			if (i == 0)
				blk_count(&f->flushes, 1);
			break;
		default:
			blk_count(&f->discards, 1);
		}
	}
}

static void push_answers(struct blk_queue *q)
{
	bool notify;

	if (!q->nr_answers)
		return;
	pthread_mutex_lock(&q->lock);
	for (unsigned i = 0; i < q->nr_answers; i++)
		blk_ring_answer(&q->ring, &q->answers[i]);
	notify = blk_ring_push(&q->ring) && !q->silent;
	pthread_mutex_unlock(&q->lock);
	q->nr_answers = 0;
	q->unpushed_bytes = 0;
	if (notify) {
		blk_count(&q->served.events_out, 1);
		q->b->host.ops->notify(q->b->host.arg, q->port);
	}
}

void blk_settle(struct blk_queue *q)
{
	struct blkstore *s = q->b->store;

	push_answers(q);
	if (q->unkicked)
		s->ops->kick(s);
	q->unkicked = false;
}

/* By the server. */
static void answer_now(struct blk_queue *q, const struct blk_answer *a, uint64_t bytes)
{
	q->answers[q->nr_answers++] = *a;
	q->unpushed_bytes += bytes;
	q->round_bytes += bytes;
	if (q->nr_answers == BLK_ANSWERS || q->unpushed_bytes >= PUSH_BYTES)
		blk_settle(q);
}

static void refuse(struct blk_queue *q, const struct blk_answer *a, const char *why)
{
	blk_count(&q->served.errors, 1);
	if (why && q->complaints < BLK_COMPLAINTS) {
		q->complaints++;
		be_complain(&q->b->host, "disk queue %u: request refused: %s", q->index, why);
	}
	answer_now(q, a, 0);
}

/* By whoever has completed a job that the storage had. */
static void finish(struct blk_job *job, int rc)
{
	struct blk_queue *q = job->q;

	blk_unmap_job(job);
	job->answer.status = status_of(job, rc);
	pthread_mutex_lock(&q->lock);
	count_result(&q->done, job);
	blk_ring_answer(&q->ring, &job->answer);
	job->next = q->free;
	q->free = job;
	/*
	 * The event is sent with the lock held: as soon as in_flight is zero and the lock free, the
	 * device may be disconnected and the queue be gone.
	 */
	if (blk_ring_push(&q->ring) && !q->silent) {
		blk_count(&q->done.events_out, 1);
		q->b->host.ops->notify(q->b->host.arg, q->port);
	}
	if (--q->in_flight == 0) {
		if (q->wake_at_zero)
			blk_queue_poke(q);
		q->wake_at_zero = false;
		pthread_cond_broadcast(&q->drained);
	}
	pthread_mutex_unlock(&q->lock);
}

/* ---- the storage ----------------------------------------------------------------------------- */

static void prepare_step(struct blk_job *job)
{
	struct blkstore_req *io = &job->io;
	bool is_data;

	io->op = (enum blkstore_op)job->step[job->at];
	is_data = io->op == BLKSTORE_READ || io->op == BLKSTORE_WRITE;
	io->offset = io->op == BLKSTORE_FLUSH ? 0 : job->offset;
	io->len = io->op == BLKSTORE_FLUSH ? 0 : job->len;
	io->iov = job->iov;
	io->nr_iov = is_data ? job->nr_iov : 0;
}

/* Steps as far as they can be done at once: 0, -EAGAIN: the rest must be submitted, or an error. */
static int run_now(struct blk_job *job)
{
	struct blkstore *s = job->q->b->store;
	int rc = 0;

	while (!rc && job->at < job->nr_steps) {
		prepare_step(job);
		rc = s->ops->try(s, &job->io);
		job->at += !rc;
	}
	return rc;
}

static void submit(struct blk_job *job, bool batch)
{
	struct blkstore *s = job->q->b->store;

	s->ops->submit(s, &job->io, batch);
}

/* The store's done call-back. */
static void step_done(struct blkstore_req *io, int rc)
{
	struct blk_job *job = (struct blk_job *)io;

	if (!rc) {
		job->at++;
		rc = run_now(job);
		if (rc == -EAGAIN) {
			submit(job, false);
			return;
		}
	}
	finish(job, rc);
}

static void hand_over(struct blk_queue *q, struct blk_job *job)
{
	q->spare = NULL;
	blk_count(&q->served.handed_over, 1);
	pthread_mutex_lock(&q->lock);
	q->in_flight++;
	pthread_mutex_unlock(&q->lock);
	q->unkicked = true;
	submit(job, true);
}

/* ---- a request becomes a job ----------------------------------------------------------------- */

static void add_piece(struct blk_job *job, void *ptr, unsigned len)
{
	struct iovec *last = job->nr_iov ? &job->iov[job->nr_iov - 1] : NULL;

	if (last && (char *)last->iov_base + last->iov_len == (char *)ptr)
		last->iov_len += len;
	else
		job->iov[job->nr_iov++] = (struct iovec){ ptr, len };
}

/* NULL, or why not. Nothing of it is mapped then. */
static const char *map_segments(struct blk_queue *q, struct blk_job *job,
                                const struct blkif_request_segment *seg, unsigned nr, bool readonly)
{
	for (unsigned i = 0; i < nr; i++) {
		unsigned offset, len;
		bool is_own;
		void *ptr;

		blk_check_segment(&q->b->limits, &seg[i], &offset, &len);
		if (blk_map(q, seg[i].gref, readonly, &job->page[job->nr_pages], &is_own, &ptr)) {
			blk_unmap_job(job);
			return "a page that is not granted";
		}
		job->nr_pages += is_own;
		add_piece(job, (char *)ptr + offset, len);
	}
	return NULL;
}

static const char *fill_data(struct blk_queue *q, struct blk_job *job,
                             const struct blkif_request *rq, const struct blk_want *want)
{
	const struct blkif_request_segment *seg = rq->seg;

	if (!make_room(job, want->nr_segments))
		return "no memory";
	if (want->indirect) {
		struct blkif_request_indirect in;

		memcpy(&in, rq, sizeof(in));
		if (blk_fetch_segments(q, &in, want->nr_segments))
			return "a page of segments that is not granted";
		seg = q->segments;
	}
	job->offset = want->offset;
	job->len = 0;
	for (unsigned i = 0; i < want->nr_segments; i++) {
		unsigned offset, len;

		if (!blk_check_segment(&q->b->limits, &seg[i], &offset, &len))
			return "a segment that does not lie in its page";
		job->len += len;
	}
	if (want->nr_segments && !blk_check_range(&q->b->limits, job->offset, job->len))
		return "sectors that are not on the disk";
	return map_segments(q, job, seg, want->nr_segments, want->write);
}

static void add_step(struct blk_job *job, enum blkstore_op op)
{
	job->step[job->nr_steps++] = (uint8_t)op;
}

static void plan_steps(struct blk_job *job, const struct blk_want *want)
{
	job->nr_steps = job->at = 0;
	if (want->kind == BLK_DISCARD) {
		/* Of nothing: nothing to do. */
		if (want->len)
			add_step(job, BLKSTORE_DISCARD);
		return;
	}
	if (want->kind == BLK_FLUSH || want->kind == BLK_BARRIER)
		add_step(job, BLKSTORE_FLUSH);
	if (want->nr_segments)
		add_step(job, want->write ? BLKSTORE_WRITE : BLKSTORE_READ);
	if (want->kind == BLK_BARRIER && want->nr_segments)
		add_step(job, BLKSTORE_FLUSH);
}

static const char *make_job(struct blk_queue *q, struct blk_job *job,
                            const struct blkif_request *rq, const struct blk_want *want)
{
	const char *why = NULL;

	job->io.done = step_done;
	plan_steps(job, want);
	if (want->kind == BLK_DISCARD) {
		make_room(job, 0);
		job->offset = want->offset;
		job->len = want->len;
	} else {
		why = fill_data(q, job, rq, want);
	}
	return why;
}

void blk_serve_request(struct blk_queue *q, const struct blkif_request *rq)
{
	struct blk_answer a = { .id = rq->id, .status = BLKIF_RSP_ERROR };
	struct blk_want want;
	struct blk_job *job;
	const char *why;
	int rc = blk_check_head(&q->b->limits, rq, &want);

	a.operation = want.operation;
	if (rc) {
		a.status = (int16_t)rc;
		refuse(q, &a, want.complaint);
		return;
	}
	job = take_job(q);
	why = job ? make_job(q, job, rq, &want) : "no memory";
	if (why) {
		refuse(q, &a, why);
		return;
	}
	job->answer = a;
	if (want.kind == BLK_BARRIER) {
		q->barrier = BLK_BARRIER_WAITS;
		q->barrier_job = job;
		q->spare = NULL;
		return;
	}
	rc = run_now(job);
	if (rc == -EAGAIN) {
		hand_over(q, job);
		return;
	}
	blk_unmap_job(job);
	job->answer.status = status_of(job, rc);
	count_result(&q->served, job);
	blk_count(&q->served.inline_done, 1);
	answer_now(q, &job->answer, job->nr_iov ? job->len : 0);
}

/* ---- the barrier ----------------------------------------------------------------------------- */

/*
 * Whether nothing is in flight; else the last completion wakes the worker. With begin, the barrier
 * becomes what is in flight.
 */
static bool is_idle(struct blk_queue *q, bool begin)
{
	bool idle;

	pthread_mutex_lock(&q->lock);
	idle = q->in_flight == 0;
	q->wake_at_zero = !idle;
	if (idle && begin)
		q->in_flight = 1;
	pthread_mutex_unlock(&q->lock);
	return idle;
}

bool blk_barrier_passes(struct blk_queue *q)
{
	while (q->barrier != BLK_NO_BARRIER) {
		struct blk_job *job = q->barrier_job;
		int rc;

		/* What it waits for must have been kicked. */
		blk_settle(q);
		if (!is_idle(q, q->barrier == BLK_BARRIER_WAITS))
			return false;
		if (q->barrier == BLK_BARRIER_RUNS) {
			q->barrier = BLK_NO_BARRIER;
			break;
		}
		q->barrier = BLK_BARRIER_RUNS;
		q->barrier_job = NULL;
		blk_count(&q->served.handed_over, 1);
		rc = run_now(job);
		if (rc == -EAGAIN)
			submit(job, false);
		else
			finish(job, rc);
	}
	return true;
}

/* ---- the end --------------------------------------------------------------------------------- */

void blk_drain(struct blk_queue *q)
{
	struct blk_job *job;

	blk_settle(q);
	pthread_mutex_lock(&q->lock);
	while (q->in_flight)
		pthread_cond_wait(&q->drained, &q->lock);
	pthread_mutex_unlock(&q->lock);
	if (q->barrier_job)
		blk_unmap_job(q->barrier_job);
	free_job(q->barrier_job);
	free_job(q->spare);
	while ((job = q->free)) {
		q->free = job->next;
		free_job(job);
	}
}
