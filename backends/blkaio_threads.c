/* SPDX-License-Identifier: MIT */
/*
 * A few threads that each do one request after the other; see blkaio.h.
 *
 * Threads are made when work is there and all that exist are busy. They stay until the end: a
 * sleeping thread costs nothing, making one costs more than waking it.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "backends/blkaio.h"

#define MAX_THREADS 8u

struct threads {
	struct blkaio a;
	pthread_mutex_t lock;
	pthread_cond_t work;
	struct blkstore_req *head, **tail; /* by link[0] */
	unsigned queued;                   /* requests in the list */
	unsigned sleeping;                 /* threads */
	unsigned nr;
	pthread_t thread[MAX_THREADS];
	bool closing;
};

static struct threads *threads_of(struct blkaio *a)
{
	return (struct threads *)a;
}

static struct blkstore_req *take(struct threads *t)
{
	struct blkstore_req *req = t->head;

	t->head = req->link[0];
	if (!t->head)
		t->tail = &t->head;
	t->queued--;
	return req;
}

static void *work(void *arg)
{
	struct threads *t = arg;

	pthread_mutex_lock(&t->lock);
	for (;;) {
		struct blkstore_req *req;

		while (!t->head && !t->closing) {
			t->sleeping++;
			pthread_cond_wait(&t->work, &t->lock);
			t->sleeping--;
		}
		if (!t->head)
			break;
		req = take(t);
		pthread_mutex_unlock(&t->lock);
		blkaio_done(&t->a, req, t->a.target.perform(t->a.target.arg, req));
		pthread_mutex_lock(&t->lock);
	}
	pthread_mutex_unlock(&t->lock);
	return NULL;
}

/* Signals are the main thread's. */
static void add_thread(struct threads *t)
{
	sigset_t all, old;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	if (!pthread_create(&t->thread[t->nr], NULL, work, t))
		t->nr++;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

/* Lock: t. As many threads as have something to do. */
static void wake(struct threads *t)
{
	unsigned n = t->queued;

	for (unsigned i = 0; i < n && i < t->sleeping; i++)
		pthread_cond_signal(&t->work);
	for (unsigned i = t->sleeping; i < n && t->nr < MAX_THREADS; i++)
		add_thread(t);
}

static void submit(struct blkaio *a, struct blkstore_req *req, bool batch)
{
	struct threads *t = threads_of(a);

	req->link[0] = NULL;
	pthread_mutex_lock(&t->lock);
	*t->tail = req;
	t->tail = (struct blkstore_req **)&req->link[0];
	t->queued++;
	if (!batch)
		wake(t);
	pthread_mutex_unlock(&t->lock);
}

static void kick(struct blkaio *a)
{
	struct threads *t = threads_of(a);

	pthread_mutex_lock(&t->lock);
	wake(t);
	pthread_mutex_unlock(&t->lock);
}

static void close_threads(struct blkaio *a)
{
	struct threads *t = threads_of(a);

	pthread_mutex_lock(&t->lock);
	t->closing = true;
	pthread_cond_broadcast(&t->work);
	pthread_mutex_unlock(&t->lock);
	/* Each leaves when nothing is queued any more. */
	for (unsigned i = 0; i < t->nr; i++)
		pthread_join(t->thread[i], NULL);
	pthread_cond_destroy(&t->work);
	pthread_mutex_destroy(&t->lock);
	free(t);
}

static const struct blkaio_ops threads_ops = { submit, kick, close_threads };

int blkaio_open_threads(struct blkaio **out, const struct blkaio_target *target)
{
	struct threads *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->a = (struct blkaio){ &threads_ops, "threads", *target };
	t->tail = &t->head;
	pthread_mutex_init(&t->lock, NULL);
	pthread_cond_init(&t->work, NULL);
	/* The first one at once: with it, every request will be done some time. */
	add_thread(t);
	if (t->nr) {
		*out = &t->a;
		return 0;
	}
	pthread_cond_destroy(&t->work);
	pthread_mutex_destroy(&t->lock);
	free(t);
	return -EAGAIN;
}
