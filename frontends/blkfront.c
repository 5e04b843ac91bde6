/* SPDX-License-Identifier: MIT */
/*
 * The block front-end's data path: requests into the ring, responses out of it, and waiting.
 *
 * Events are dear, so the back-end is asked for one only when somebody needs it: a request with a
 * call-back is under way, or somebody sleeps in blkdev_wait(). Else rsp_event stays behind, and the
 * back-end answers in silence. Whoever begins to need events arms rsp_event and looks once more:
 *
 *   here                                        back-end
 *   1. with_call_back or sleepers rises         a. writes rsp_prod
 *   2. writes rsp_event, full barrier           b. full barrier, reads rsp_event
 *   3. reads rsp_prod; something new: handles   c. beyond it: sends the event
 *      it, and from 2. again
 *
 * Either 3 sees what a wrote, or b sees what 2 wrote. Steps 2 and 3 are done with the queue's lock
 * held, and so is every look at who needs events: a drain that saw nobody was over before 1.
 *
 * Invariant: a part is under way from the moment it is in the ring until one response with its id
 * has been taken; a response to anything else is a lie, and ends the use of the ring.
 */
#include "frontends/blkfront.h"

#include "abi/errno.h"
#include "pvops/cpu.h"
#include "pvops/evtchn.h"

#define POLL_MIN_NS  2000
#define POLL_MAX_NS  100000
#define SLEEP_MAX_NS 1000000000ull /* then look again, whatever was told */
#define HELD_NS      10000000ull   /* between looks whether a broken back-end has let go */
#define IDLE_EVENTS  64            /* in a row with nothing in the ring: a storm */

static struct blkfront *front_of(struct blkdev *dev)
{
	return (struct blkfront *)dev; /* the first member */
}

/* ---- the list of requests; the queue's lock is held ------------------------------------------ */

static void append(struct blkfront_queue *q, struct blkdev_req *req)
{
	req->dev.next = NULL;
	req->dev.prev = q->last;
	if (q->last)
		q->last->dev.next = req;
	else
		q->first = req;
	q->last = req;
	if (!q->unsent)
		q->unsent = req;
	if (req->done)
		q->with_call_back++;
	q->stats.requests++;
}

/* Off the list, and on the one of those that will be delivered. */
static void finish(struct blkfront_queue *q, struct blkdev_req *req)
{
	struct blkdev_req *next = req->dev.next, *prev = req->dev.prev;

	if (next)
		next->dev.prev = prev;
	else
		q->last = prev;
	if (prev)
		prev->dev.next = next;
	else
		q->first = next;
	if (q->unsent == req)
		q->unsent = next;
	if (req->done)
		q->with_call_back--;
	req->dev.next = q->finished;
	q->finished = req;
}

static bool is_sent(const struct blkdev_req *req)
{
	return req->dev.error || req->dev.sent == req->nr_sectors;
}

static void finish_if_over(struct blkfront_queue *q, struct blkdev_req *req)
{
	if (!req->dev.parts && is_sent(req))
		finish(q, req);
}

/* ---- sending; the queue's lock is held ------------------------------------------------------- */

/* A device without a cache has nothing to flush; what is alike in all has one part. */
static bool is_nothing(const struct blkfront *f, const struct blkdev_req *req)
{
	return req->op == BLKDEV_FLUSH && !f->terms.flush && !f->terms.barrier;
}

/* Puts into the ring what has room there. */
static void fill(struct blkfront_queue *q)
{
	struct blkdev_req *req;

	while (q->is_up && (req = q->unsent)) {
		if (!req->dev.error && !is_nothing(q->front, req)) {
			enum blkfront_sent rc = blkfront_send_part(q, req);

			if (rc == BLKFRONT_NO_ROOM)
				return;
			if (rc == BLKFRONT_NO_MEMORY && q->ring.req_prod_pvt != q->ring.rsp_cons)
				return; /* what is under way will give some back */
			if (rc == BLKFRONT_NO_MEMORY)
				req->dev.error = -XEN_ENOMEM;
			/* A flush has no sectors: it is sent when it has a part. */
			if (rc == BLKFRONT_SENT && !is_sent(req))
				continue;
		}
		q->unsent = req->dev.next;
		finish_if_over(q, req);
	}
}

static bool wants_events(const struct blkfront_queue *q)
{
	return q->with_call_back || pv_load(&q->front->sleepers);
}

/* Publishes what was filled in; true: the back-end wants an event for it. */
static bool push(struct blkfront_queue *q)
{
	int notify;

	if (!q->is_up || q->pushed == q->ring.req_prod_pvt)
		return false;
	RING_PUSH_REQUESTS_AND_CHECK_NOTIFY(&q->ring, notify);
	q->pushed = q->ring.req_prod_pvt;
	q->stats.notifications += notify != 0;
	return notify;
}

/* Asks for an event for the next response, if somebody needs one; true: look first, there is one. */
static bool arm(struct blkfront_queue *q)
{
	int more;

	if (!q->is_up || !wants_events(q))
		return false;
	if (q->is_masked) {
		q->is_masked = false;
		q->idle_events = 0;
		pv_evtchn_unmask(q->port);
	}
	RING_FINAL_CHECK_FOR_RESPONSES(&q->ring, more);
	return more;
}

/* ---- receiving; the queue's lock is held ----------------------------------------------------- */

/*
 * One snapshot of a response in shared memory. Its operation is not looked at: back-ends differ in
 * what they put there for a list of segments, and the id says all.
 */
static void copy_response(struct blkfront_queue *q, RING_IDX at, uint64_t *id, int16_t *status)
{
	const struct blkif_response *r = RING_GET_RESPONSE(&q->ring, at);

	*id = pv_load(&r->id);
	*status = pv_load(&r->status);
}

static int error_of(int16_t status)
{
	if (status == BLKIF_RSP_OKAY)
		return 0;
	return status == BLKIF_RSP_EOPNOTSUPP ? -XEN_EOPNOTSUPP : -XEN_EIO;
}

/*
 * An operation that the back-end offered and does not know: offered no more. A flush is tried again
 * as a barrier, which is a flush and more.
 */
static bool try_otherwise(struct blkfront *f, struct blkdev_req *req, int error)
{
	if (error != -XEN_EOPNOTSUPP)
		return false;
	if (req->op == BLKDEV_DISCARD)
		f->terms.discard = false;
	if (req->op != BLKDEV_FLUSH)
		return false;
	if (f->terms.flush && f->terms.barrier) {
		f->terms.flush = false;
		return true;
	}
	f->terms.refuses_flush = true; /* and must not be believed to need none */
	return false;
}

/* Sent again from its beginning, behind all others. */
static void send_again(struct blkfront_queue *q, struct blkdev_req *req)
{
	finish(q, req);
	q->finished = req->dev.next;
	req->dev.sent = 0;
	req->dev.seg = req->dev.offset = 0;
	q->stats.requests--;
	append(q, req);
}

static bool take_response(struct blkfront_queue *q, uint64_t id, int16_t status)
{
	struct blkdev_req *req;
	int error = error_of(status);

	if (id >= RING_SIZE(&q->ring) || !blkfront_part(q, (unsigned)id)->req) {
		blkfront_accuse(q->front, "answers %llx, which was not asked",
		                (unsigned long long)id);
		return false;
	}
	req = blkfront_part(q, (unsigned)id)->req;
	if (!blkfront_take_part(q, (unsigned)id, !error)) {
		blkfront_accuse(q->front, "answers %llx and goes on using its pages",
		                (unsigned long long)id);
		return false;
	}
	req->dev.parts--;
	if (error && try_otherwise(q->front, req, error)) {
		send_again(q, req);
		return true;
	}
	if (error && !req->dev.error)
		req->dev.error = error;
	/* The one that is being sent is finished by fill(), which has a place in it. */
	if (req != q->unsent)
		finish_if_over(q, req);
	return true;
}

static void take_responses(struct blkfront_queue *q)
{
	/* Acquire: pairs with the barrier before the back-end's store; the slots come after. */
	RING_IDX prod = pv_load_acquire(&q->ring.sring->rsp_prod);
	int16_t status;
	uint64_t id;

	if (prod - q->ring.rsp_cons > q->pushed - q->ring.rsp_cons) {
		blkfront_accuse(q->front, "has %u responses for %u requests",
		                prod - q->ring.rsp_cons, q->pushed - q->ring.rsp_cons);
		q->is_up = false;
		return;
	}
	while (q->ring.rsp_cons != prod) {
		copy_response(q, q->ring.rsp_cons, &id, &status);
		q->ring.rsp_cons++;
		if (!take_response(q, id, status)) {
			q->is_up = false;
			return;
		}
	}
}

/* ---- both ------------------------------------------------------------------------------------ */

/* Everything that is done with the lock held; true: the back-end wants an event for it. */
static bool exchange(struct blkfront_queue *q)
{
	while (q->is_up) {
		take_responses(q);
		if (!arm(q))
			break;
	}
	fill(q);
	return push(q);
}

/* And what is done without it. Returns how many requests ended. */
static unsigned tell(struct blkfront_queue *q, bool notify, struct blkdev_req *list)
{
	struct blkfront *f = q->front;
	unsigned n;
	uint64_t irq;

	if (notify)
		pv_evtchn_send(q->port);
	if (pv_load(&f->common.is_broken) && !pv_xchg(&f->is_told, true))
		blkfront_attend(f);
	if (!list)
		return 0;
	irq = pv_irq_save();
	n = blkdev_deliver(list);
	pv_irq_restore(irq);
	if (pv_load(&f->sleepers))
		pv_wake(&f->common.q);
	return n;
}

/*
 * One at a time: who finds somebody at it, be it that a call-back submits and kicks, or another
 * vCPU, leaves it to them to look again. So call-backs do not nest, however fast the answers come.
 */
unsigned blkfront_drain(struct blkfront_queue *q)
{
	uint64_t irq = pv_spin_lock_irq(&q->lock);
	struct blkdev_req *list;
	unsigned n = 0;
	bool notify;

	q->look_again = true;
	while (q->look_again && !q->is_drained) {
		q->look_again = false;
		q->is_drained = true;
		notify = exchange(q);
		list = q->finished;
		q->finished = NULL;
		pv_spin_unlock_irq(&q->lock, irq);
		n += tell(q, notify, list);
		irq = pv_spin_lock_irq(&q->lock);
		q->is_drained = false;
	}
	pv_spin_unlock_irq(&q->lock, irq);
	return n;
}

/* From a call-back: what it submitted goes out with what its neighbours do, as one notification. */
void blkfront_run(struct blkfront_queue *q)
{
	uint64_t irq = pv_spin_lock_irq(&q->lock);
	bool more, notify;

	if (q->is_drained) {
		q->look_again = true;
		pv_spin_unlock_irq(&q->lock, irq);
		return;
	}
	fill(q);
	more = arm(q) || q->finished;
	notify = push(q);
	pv_spin_unlock_irq(&q->lock, irq);
	if (notify)
		pv_evtchn_send(q->port);
	if (more)
		blkfront_drain(q);
}

/*
 * An event with nothing in the ring may come late, after somebody polled. One after the other are a
 * storm: the port is masked until events are wanted next.
 */
void blkfront_event(evtchn_port_t port, void *queue)
{
	struct blkfront_queue *q = queue;
	RING_IDX before = pv_load(&q->ring.rsp_cons);
	uint64_t irq;

	blkfront_drain(q);
	q->stats.events++;
	if (pv_load(&q->ring.rsp_cons) != before) {
		q->idle_events = 0;
		return;
	}
	if (++q->idle_events < IDLE_EVENTS)
		return;
	irq = pv_spin_lock_irq(&q->lock);
	if (!q->first && !q->is_masked) {
		q->is_masked = true;
		pv_evtchn_mask(port);
	}
	pv_spin_unlock_irq(&q->lock, irq);
}

/* ---- submitting ------------------------------------------------------------------------------ */

static int check_segments(const struct blkdev_req *req, uint64_t mask)
{
	uint64_t bytes = 0;
	unsigned i;

	for (i = 0; i < req->nr_segs; i++) {
		if (!req->segs[i].len || (((uintptr_t)req->segs[i].va | req->segs[i].len) & mask))
			return -XEN_EINVAL;
		bytes += req->segs[i].len;
	}
	return bytes == req->nr_sectors * BLKDEV_SECTOR ? 0 : -XEN_EINVAL;
}

static int check(const struct blkfront *f, const struct blkdev_req *req)
{
	const struct blkfront_terms *t = &f->terms;
	uint64_t mask = t->sector_size - 1;

	if (req->op == BLKDEV_FLUSH && t->refuses_flush)
		return -XEN_EOPNOTSUPP;
	if (req->op == BLKDEV_FLUSH)
		return req->nr_sectors ? -XEN_EINVAL : 0;
	if (req->op > BLKDEV_DISCARD || !req->nr_sectors || req->nr_sectors > t->sectors ||
	    req->sector > t->sectors - req->nr_sectors ||
	    ((req->sector | req->nr_sectors) * BLKDEV_SECTOR & mask))
		return -XEN_EINVAL;
	if (req->op != BLKDEV_READ && t->info & VDISK_READONLY)
		return -XEN_EROFS;
	if (req->op == BLKDEV_DISCARD)
		return t->discard ? 0 : -XEN_EOPNOTSUPP;
	return check_segments(req, mask);
}

/* The queue of this vCPU, locked. */
static struct blkfront_queue *lock_queue(struct blkfront *f, uint64_t *irq)
{
	struct blkfront_queue *q = f->queue[f->queue_of[pv_cpu()->id % PV_MAX_CPUS]];

	*irq = pv_spin_lock_irq(&q->lock);
	if (q->is_retired) {
		pv_spin_unlock_irq(&q->lock, *irq);
		q = f->queue[0];
		*irq = pv_spin_lock_irq(&q->lock);
	}
	return q;
}

static int submit(struct blkdev *dev, struct blkdev_req *req)
{
	struct blkfront *f = front_of(dev);
	struct blkfront_queue *q;
	uint64_t irq;
	int rc = check(f, req);

	if (rc)
		return rc;
	req->result = 0;
	req->finished = false;
	req->dev.sent = 0;
	req->dev.seg = req->dev.offset = req->dev.parts = 0;
	req->dev.error = 0;
	q = lock_queue(f, &irq);
	/* Looked at with the lock held: whoever sets it fails all requests that it finds after. */
	if (blkdev_is_gone(dev)) {
		pv_spin_unlock_irq(&q->lock, irq);
		return -XEN_ENODEV;
	}
	append(q, req);
	fill(q);
	pv_spin_unlock_irq(&q->lock, irq);
	return 0;
}

static void kick(struct blkdev *dev)
{
	struct blkfront *f = front_of(dev);
	unsigned i;

	for (i = 0; i < f->nr_queues; i++) {
		struct blkfront_queue *q = f->queue[i];

		if (pv_load(&q->pushed) != pv_load(&q->ring.req_prod_pvt) || pv_load(&q->finished))
			blkfront_run(q);
	}
}

static unsigned poll(struct blkdev *dev)
{
	struct blkfront *f = front_of(dev);
	unsigned i, n = 0;

	for (i = 0; i < f->nr_queues; i++) {
		struct blkfront_queue *q = f->queue[i];

		/* A look without the lock: what is missed now is seen the next time. */
		if (pv_load(&q->finished) ||
		    (pv_load(&q->is_up) &&
		     pv_load(&q->ring.sring->rsp_prod) != pv_load(&q->ring.rsp_cons)))
			n += blkfront_drain(q);
	}
	return n;
}

/* ---- waiting --------------------------------------------------------------------------------- */

static bool is_finished(const struct blkdev_req *req)
{
	return pv_load_acquire(&req->finished);
}

/* For as long as polling has been worth it lately. */
static bool poll_for(struct blkfront *f, struct blkdev_req *req, uint64_t *began)
{
	uint64_t limit = pv_load(&f->poll_ns);

	*began = pv_now_ns();
	do {
		poll(&f->dev);
		if (is_finished(req))
			return true;
		pv_cpu_relax();
	} while (!pv_load(&f->common.attention) && pv_now_ns() - *began < limit);
	return false;
}

/* A little more polling would have done: more next time. It would have been long: less. */
static void adapt(struct blkfront *f, uint64_t took_ns)
{
	uint32_t now = pv_load(&f->poll_ns);

	if (took_ns < POLL_MAX_NS)
		now = now < POLL_MAX_NS / 2 ? now * 2 : POLL_MAX_NS;
	else
		now = now / 2 > POLL_MIN_NS ? now / 2 : POLL_MIN_NS;
	pv_store(&f->poll_ns, now);
}

struct sleep {
	struct blkfront *front;
	struct blkdev_req *req;
};

static bool is_over(void *arg)
{
	const struct sleep *s = arg;

	return is_finished(s->req) || pv_load_acquire(&s->front->common.attention);
}

static void sleep_for(struct blkfront *f, struct blkdev_req *req)
{
	uint64_t limit = pv_load(&f->common.is_broken) ? HELD_NS : SLEEP_MAX_NS;
	struct sleep s = { f, req };
	unsigned i;

	__atomic_fetch_add(&f->sleepers, 1, __ATOMIC_SEQ_CST);
	for (i = 0; i < f->nr_queues; i++)
		blkfront_drain(f->queue[i]); /* arms */
	f->queue[0]->stats.sleeps++;
	pv_wait(&f->common.q, is_over, &s, pv_now_ns() + limit);
	__atomic_fetch_sub(&f->sleepers, 1, __ATOMIC_SEQ_CST);
	poll(&f->dev);
	if (pv_load(&f->common.is_broken))
		pv_store_release(&f->common.attention, 1);
}

static int wait(struct blkdev *dev, struct blkdev_req *req)
{
	struct blkfront *f = front_of(dev);
	uint64_t began;

	poll(dev);
	while (!is_finished(req)) {
		if (pv_load(&f->common.attention)) {
			blkfront_service(dev);
		} else if (!poll_for(f, req, &began)) {
			sleep_for(f, req);
			adapt(f, pv_now_ns() - began);
		}
	}
	return req->result;
}

/* ---- the ends of requests that are not answered ---------------------------------------------- */

unsigned blkfront_rewind(struct blkfront_queue *q)
{
	uint64_t irq = pv_spin_lock_irq(&q->lock);
	struct blkdev_req *req;
	unsigned id, held = 0;

	for (req = q->first; req; req = req->dev.next)
		q->stats.replayed += req->dev.parts || req->dev.sent;
	for (id = 0; id < RING_SIZE(&q->ring); id++) {
		struct blkfront_part *part = blkfront_part(q, id);

		req = part->req;
		if (!req)
			continue;
		if (!blkfront_take_part(q, id, false)) {
			held++;
			continue;
		}
		req->dev.parts--;
	}
	for (req = q->first; req; req = req->dev.next) {
		req->dev.sent = 0;
		req->dev.seg = req->dev.offset = 0;
	}
	q->unsent = q->first;
	pv_spin_unlock_irq(&q->lock, irq);
	return held;
}

void blkfront_fail_all(struct blkfront_queue *q)
{
	uint64_t irq = pv_spin_lock_irq(&q->lock);
	struct blkdev_req *req, *next;

	for (req = q->first; req; req = next) {
		next = req->dev.next;
		req->dev.error = -XEN_EIO;
		if (!req->dev.parts)
			finish(q, req);
	}
	pv_spin_unlock_irq(&q->lock, irq);
	blkfront_drain(q);
}

/* ---- geometry and figures -------------------------------------------------------------------- */

static void geometry(struct blkdev *dev, struct blkdev_geometry *g)
{
	const struct blkfront *f = front_of(dev);
	const struct blkfront_terms *t = &f->terms;

	*g = (struct blkdev_geometry){
		.sectors = t->sectors,
		.sector_size = t->sector_size,
		.physical_sector = t->physical_sector,
		.max_bytes = t->max_segments * (uint32_t)PV_PAGE_SIZE,
		.queue_depth = RING_SIZE(&f->queue[0]->ring) * t->nr_queues,
		.readonly = t->info & VDISK_READONLY,
		.removable = t->info & VDISK_REMOVABLE,
		.cdrom = t->info & VDISK_CDROM,
		.can_flush = (t->flush || t->barrier) && !t->refuses_flush,
		.can_discard = t->discard,
		.discard_granularity = t->discard_granularity,
	};
}

static void stats(struct blkdev *dev, struct blkdev_stats *sum)
{
	const struct blkfront *f = front_of(dev);
	unsigned i;

	*sum = (struct blkdev_stats){ 0 };
	for (i = 0; i < f->nr_queues; i++) {
		const struct blkdev_stats *s = &f->queue[i]->stats;

		sum->requests += s->requests;
		sum->parts += s->parts;
		sum->notifications += s->notifications;
		sum->events += s->events;
		sum->sleeps += s->sleeps;
		sum->replayed += s->replayed;
		sum->reconnects += s->reconnects;
	}
}

const struct blkdev_ops blkfront_ops = {
	.submit = submit,
	.kick = kick,
	.poll = poll,
	.wait = wait,
	.service = blkfront_service,
	.geometry = geometry,
	.stats = stats,
	.close = blkfront_close,
};
