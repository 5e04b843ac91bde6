/* SPDX-License-Identifier: MIT */
/*
 * The life of a block device: made, offered, connected, disconnected; its size and its figures.
 *
 * Invariant: queues exist while connected, and nothing of the guest's is mapped or bound otherwise.
 */
#include "backends/blkback.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backends/blkback_priv.h"

int blkback_create(struct blkback **out, const struct be_host_dev *host, struct blkstore *store,
                   const struct blkback_options *options)
{
	struct blkback *b = calloc(1, sizeof(*b));

	if (!b)
		return -ENOMEM;
	b->host = *host;
	b->store = store;
	b->options = *options;
	if (!b->options.max_queues)
		b->options.max_queues = 4;
	if (b->options.max_queues > BLKBACK_MAX_QUEUES)
		b->options.max_queues = BLKBACK_MAX_QUEUES;
	if (!b->options.max_ring_order || b->options.max_ring_order > BLKBACK_MAX_ORDER)
		b->options.max_ring_order = BLKBACK_MAX_ORDER;
	if (options->serial) {
		b->serial = strdup(options->serial);
		if (!b->serial) {
			free(b);
			return -ENOMEM;
		}
	}
	b->options.serial = b->serial;
	pthread_mutex_init(&b->figures_lock, NULL);
	pthread_mutex_init(&b->worker_lock, NULL);
	pthread_cond_init(&b->worker_wake, NULL);
	*out = b;
	return 0;
}

void blkback_destroy(struct blkback *b)
{
	pthread_cond_destroy(&b->worker_wake);
	pthread_mutex_destroy(&b->worker_lock);
	pthread_mutex_destroy(&b->figures_lock);
	free(b->serial);
	free(b);
}

static void set_limits(struct blkback *b, bool large_sectors)
{
	const struct blkstore *s = b->store;
	bool discard = be_read_number_or(&b->host, BE_BACK, "discard-enable", 1) != 0;

	atomic_store(&b->limits.bytes, s->ops->size(b->store));
	b->limits.block = s->block;
	b->limits.unit_shift = large_sectors ? (unsigned)__builtin_ctz(s->block) : 9;
	b->limits.readonly = s->readonly;
	b->limits.can_flush = s->can_flush;
	b->limits.can_discard = s->can_discard && !s->readonly && discard;
}

static int init(void *device)
{
	struct blkback *b = device;

	set_limits(b, false);
	return blk_xs_offer(b);
}

/* ---- queues ---------------------------------------------------------------------------------- */

static void init_queue(struct blkback *b, struct blk_queue *q, unsigned index)
{
	pthread_mutexattr_t attr;

	q->b = b;
	q->index = index;
	/* Held for a few stores: who finds it taken waits a moment rather than sleeps. */
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ADAPTIVE_NP);
	pthread_mutex_init(&q->lock, &attr);
	pthread_mutexattr_destroy(&attr);
	pthread_cond_init(&q->drained, NULL);
}

static int open_queue(struct blk_queue *q, const struct blk_choice *c)
{
	const struct be_host_dev *h = &q->b->host;
	grant_ref_t bad = 0;
	int rc = blk_ring_attach(&q->ring, h, c->queue[q->index].ref, c->nr_pages, q->b->clean,
	                         &bad);

	if (rc == -EINVAL)
		return be_fail(h, rc, "ring %u holds requests of an earlier connection", q->index);
	if (rc)
		return be_fail(h, -EINVAL, "ring %u: reference %u cannot be mapped (status %d)",
		               q->index, bad, rc);
	q->port = c->queue[q->index].port;
	rc = h->ops->bind(h->arg, q->port, blk_queue_event, q);
	if (rc)
		return be_fail(h, rc, "ring %u: event channel %u cannot be bound (error %d)",
		               q->index, q->port, -rc);
	q->bound = true;
	return 0;
}

static void add_figures(struct blk_figures *sum, const struct blk_figures *f)
{
	/* All its members are counters of 64 bits. */
	const uint64_t *from = (const uint64_t *)f;
	uint64_t *to = (uint64_t *)sum;

	for (size_t i = 0; i < sizeof(*f) / sizeof(*from); i++)
		to[i] += __atomic_load_n(&from[i], __ATOMIC_RELAXED);
}

static void add_queue_figures(struct blk_figures *sum, struct blk_queue *q)
{
	add_figures(sum, &q->served);
	add_figures(sum, &q->done);
	sum->events_in += atomic_load_explicit(&q->events_meanwhile, memory_order_relaxed);
}

static void close_queue(struct blk_queue *q)
{
	blk_unmap_persistent(q);
	blk_ring_detach(&q->ring, &q->b->host);
	pthread_cond_destroy(&q->drained);
	pthread_mutex_destroy(&q->lock);
}

/* ---- the driver ------------------------------------------------------------------------------ */

/* Its port can belong to somebody else as soon as it is unbound: nobody may send to it then. */
static void silence(struct blk_queue *q)
{
	const struct be_host_dev *h = &q->b->host;

	pthread_mutex_lock(&q->lock);
	q->silent = true;
	pthread_mutex_unlock(&q->lock);
	/* Waits for an event() that has looked at silent before. */
	if (q->bound)
		h->ops->unbind(h->arg, q->port);
}

static bool all_answered(const struct blkback *b)
{
	bool all = true;

	for (unsigned i = 0; i < b->nr_queues; i++)
		all = all && !b->queues[i].broken && blk_ring_is_clean(&b->queues[i].ring);
	return all;
}

/*
 * Steps, each needed by the next: the worker serves no more; no event comes or goes; so nobody serves;
 * nothing is in flight; nothing is mapped. It does not matter how far connect() had come.
 */
static void disconnect(void *device)
{
	struct blkback *b = device;
	struct blk_queue *queues = b->queues;

	blk_worker_stop(b);
	for (unsigned i = 0; i < b->nr_queues; i++)
		silence(&queues[i]);
	for (unsigned i = 0; i < b->nr_queues; i++)
		blk_drain(&queues[i]);
	/* One that was not made tells nothing. */
	if (b->connected)
		b->clean = all_answered(b);
	for (unsigned i = 0; i < b->nr_queues; i++)
		close_queue(&queues[i]);
	pthread_mutex_lock(&b->figures_lock);
	for (unsigned i = 0; i < b->nr_queues; i++)
		add_queue_figures(&b->past, &queues[i]);
	b->queues = NULL;
	b->nr_queues = 0;
	pthread_mutex_unlock(&b->figures_lock);
	free(queues);
	b->connected = false;
}

static int make_queues(struct blkback *b, const struct blk_choice *c)
{
	struct blk_queue *queues = calloc(c->nr_queues, sizeof(*queues));

	if (!queues)
		return be_fail(&b->host, -ENOMEM, "no memory for %u queues", c->nr_queues);
	for (unsigned i = 0; i < c->nr_queues; i++)
		init_queue(b, &queues[i], i);
	pthread_mutex_lock(&b->figures_lock);
	b->queues = queues;
	b->nr_queues = c->nr_queues;
	pthread_mutex_unlock(&b->figures_lock);
	return 0;
}

static int connect(void *device)
{
	struct blkback *b = device;
	struct blk_choice c;
	int rc = blk_xs_read(b, &c);

	if (rc)
		return rc;
	b->persistent = c.persistent;
	set_limits(b, c.large_sectors);
	rc = make_queues(b, &c);
	if (rc)
		return rc;
	rc = blk_worker_start(b);
	if (rc)
		be_fail(&b->host, rc, "no thread for the disk (error %d)", -rc);
	for (unsigned i = 0; !rc && i < b->nr_queues; i++)
		rc = open_queue(&b->queues[i], &c);
	if (!rc)
		rc = blk_xs_describe(b);
	if (rc) {
		disconnect(b);
		return rc;
	}
	b->connected = true;
	/* Requests from before the port was bound had no event. */
	for (unsigned i = 0; i < b->nr_queues; i++)
		blk_queue_look(&b->queues[i]);
	return 0;
}

const struct be_driver blkback_driver = { "vbd", init, connect, disconnect };

/* ---- size and figures ------------------------------------------------------------------------ */

void blkback_resized(struct blkback *b)
{
	char state[8];

	atomic_store(&b->limits.bytes, b->store->ops->size(b->store));
	if (!b->connected || blk_xs_write_size(b))
		return;
	/* Front-ends look at the size anew when the state is written, even though it is the same. */
	if (b->host.ops->read(b->host.arg, BE_BACK, "state", state, sizeof(state)) == 1)
		be_printf(&b->host, "state", "%s", state);
}

void blkback_get_stats(struct blkback *b, struct blkback_stats *out)
{
	struct blk_figures sum;

	pthread_mutex_lock(&b->figures_lock);
	sum = b->past;
	for (unsigned i = 0; i < b->nr_queues; i++)
		add_queue_figures(&sum, &b->queues[i]);
	pthread_mutex_unlock(&b->figures_lock);
	*out = (struct blkback_stats){ .reads = sum.reads,
		                       .writes = sum.writes,
		                       .flushes = sum.flushes,
		                       .discards = sum.discards,
		                       .errors = sum.errors,
		                       .sectors_read = sum.sectors_read,
		                       .sectors_written = sum.sectors_written,
		                       .inline_done = sum.inline_done,
		                       .handed_over = sum.handed_over,
		                       .events_in = sum.events_in,
		                       .events_out = sum.events_out,
		                       .grants_mapped = sum.grants_mapped,
		                       .grants_persistent = sum.grants_persistent };
}
