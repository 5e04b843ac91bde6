/* SPDX-License-Identifier: MIT */
/*
 * Who serves a ring, when, and for how long.
 *
 * An event arrives on the thread of the vCPU that sent it, and that thread serves the ring: a request
 * that the page cache can answer costs no other thread. Two may arrive at once; one serves, the other
 * leaves word that it should look again:
 *
 *   IDLE -> RUNNING   whoever arrives first serves
 *   RUNNING -> AGAIN  whoever arrives meanwhile; the server will look once more
 *   AGAIN -> RUNNING  the server begins a new round; this store comes before its look at the ring
 *   RUNNING -> IDLE   only when nobody has arrived in the round
 *
 * So a front-end with several vCPUs could keep one of them here for ever. Therefore a round has a
 * budget, a visit few rounds, and who has used them up hands the ring to the device's worker, which
 * goes round all queues. The worker also goes on after a barrier.
 */
#include <signal.h>

#include "backends/blkback_priv.h"

enum { IDLE, RUNNING, AGAIN };

#define ROUND_BYTES  (16u << 20) /* moved by the server itself in one round */
#define VISIT_ROUNDS 16

static void shut(struct blk_queue *q, uint32_t prod)
{
	q->broken = true;
	be_complain(
		&q->b->host,
		"disk queue %u: request index %u cannot be (%u answered, ring of %u); the queue "
		"is shut",
		q->index, prod, atomic_load(&q->ring.rsp_prod), q->ring.nr_ents);
}

/* One round; true: the budget is used up and there may be more. */
static bool serve_round(struct blk_queue *q)
{
	uint32_t budget = q->ring.nr_ents, waiting, prod;
	struct blkif_request rq;

	q->round_bytes = 0;
	while (!q->broken && blk_barrier_passes(q)) {
		waiting = blk_ring_waiting(&q->ring, &prod);
		if (waiting > q->ring.nr_ents) {
			shut(q, prod);
			break;
		}
		if (!waiting) {
			/* The answers first: the last look may be what keeps us here. */
			blk_settle(q);
			if (!blk_ring_final_check(&q->ring))
				break;
		}
		for (; waiting && q->barrier == BLK_NO_BARRIER; waiting--) {
			if (!budget-- || q->round_bytes >= ROUND_BYTES) {
				blk_settle(q);
				return true;
			}
			blk_ring_take(&q->ring, &rq);
			blk_serve_request(q, &rq);
		}
	}
	blk_settle(q);
	return false;
}

/* The worker becomes the server: the state stays what it is. */
static void hand_to_worker(struct blk_queue *q)
{
	struct blkback *b = q->b;

	pthread_mutex_lock(&b->worker_lock);
	q->handed = true;
	pthread_cond_signal(&b->worker_wake);
	pthread_mutex_unlock(&b->worker_lock);
}

/* By the server. */
static void serve(struct blk_queue *q)
{
	int expected;

	for (unsigned round = 0; round < VISIT_ROUNDS; round++) {
		if (serve_round(q))
			break;
		expected = RUNNING;
		if (atomic_compare_exchange_strong(&q->state, &expected, IDLE))
			return;
		/* Sequentially consistent: before any look at the ring in the next round. */
		atomic_store(&q->state, RUNNING);
	}
	hand_to_worker(q);
}

/* True: the caller is the server now. */
static bool arrive(struct blk_queue *q)
{
	int expected = IDLE;

	if (atomic_compare_exchange_strong(&q->state, &expected, RUNNING))
		return true;
	/* A state of AGAIN in an idle queue costs the new server one round more. */
	return atomic_exchange(&q->state, AGAIN) == IDLE;
}

void blk_queue_event(void *queue)
{
	struct blk_queue *q = queue;

	if (!arrive(q)) {
		atomic_fetch_add_explicit(&q->events_meanwhile, 1, memory_order_relaxed);
		return;
	}
	blk_count(&q->served.events_in, 1);
	serve(q);
}

void blk_queue_look(struct blk_queue *q)
{
	if (arrive(q))
		serve(q);
}

/* ---- the worker ------------------------------------------------------------------------------ */

void blk_queue_poke(struct blk_queue *q)
{
	struct blkback *b = q->b;

	pthread_mutex_lock(&b->worker_lock);
	q->poked = true;
	pthread_cond_signal(&b->worker_wake);
	pthread_mutex_unlock(&b->worker_lock);
}

/* The next queue after *turn that wants something, with what it wants taken from it. */
static struct blk_queue *next_queue(struct blkback *b, unsigned *turn, bool *handed)
{
	for (unsigned i = 0; i < b->nr_queues; i++) {
		struct blk_queue *q = &b->queues[++*turn % b->nr_queues];

		if (!q->handed && !q->poked)
			continue;
		*handed = q->handed;
		q->handed = q->poked = false;
		return q;
	}
	return NULL;
}

static void *work(void *arg)
{
	struct blkback *b = arg;
	unsigned turn = 0;

	pthread_mutex_lock(&b->worker_lock);
	while (!b->leave) {
		bool handed;
		struct blk_queue *q = next_queue(b, &turn, &handed);

		if (!q) {
			pthread_cond_wait(&b->worker_wake, &b->worker_lock);
			continue;
		}
		pthread_mutex_unlock(&b->worker_lock);
		if (handed)
			serve(q);
		else
			blk_queue_look(q);
		pthread_mutex_lock(&b->worker_lock);
	}
	pthread_mutex_unlock(&b->worker_lock);
	return NULL;
}

int blk_worker_start(struct blkback *b)
{
	sigset_t all, before;
	int rc;

	b->leave = false;
	/* The program's signals are for its other threads. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&b->worker, NULL, work, b);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	b->has_worker = rc == 0;
	return -rc;
}

void blk_worker_stop(struct blkback *b)
{
	if (!b->has_worker)
		return;
	pthread_mutex_lock(&b->worker_lock);
	b->leave = true;
	pthread_cond_signal(&b->worker_wake);
	pthread_mutex_unlock(&b->worker_lock);
	pthread_join(b->worker, NULL);
	b->has_worker = false;
}
