/* SPDX-License-Identifier: MIT */
/*
 * The network front-end as a kernel sees it: what it calls, and who serves a queue.
 *
 * Sent packets are given back when somebody looks: at an event for what came in, at a poll. An event
 * for them alone is asked for only when a sender waits for room, since an interrupt for each batch
 * would cost more than the batch; a sender that finds no room first looks for answers itself.
 */
#include "frontends/netfront.h"

#include "abi/errno.h"
#include "pvops/evtchn.h"
#include "pvops/lib/string.h"

#define EVENT_BUDGET 512 /* packets that one event handles before others have their turn */

static struct netfront *front_of(struct netdev *dev)
{
	return (struct netfront *)dev; /* the first member */
}

static struct netfront_queue *queue_of(struct netdev *dev, unsigned queue)
{
	struct netfront *f = front_of(dev);

	return f->queue[queue < f->info.queues ? queue : 0];
}

/* ---- both ways ------------------------------------------------------------------------------- */

/*
 * Gives back what was sent; no lock held. Only who serves the queue takes from the list, so the lock
 * is for those who add to it.
 */
static unsigned reap(struct netfront_queue *q)
{
	const struct netdev_client *c = &q->front->dev.client;
	unsigned n = 0;

	for (;;) {
		uint64_t irq = pv_spin_lock_irq(&q->lock);
		uint32_t tail;

		netfront_tx_answers(q);
		tail = q->done_tail;
		pv_spin_unlock_irq(&q->lock, irq);
		if (q->done_head == tail)
			return n;
		while (q->done_head != tail) {
			struct netfront_done d = q->done[q->done_head % NETFRONT_SLOTS];

			/* The place is free before sent(), which may send the next packet. */
			pv_store_release(&q->done_head, q->done_head + 1);
			c->sent(&q->front->dev, q->index, d.arg, d.ok);
			n++;
		}
	}
}

/* Hands packets on; no lock held. more: out: the budget came to its end first. */
static unsigned receive(struct netfront_queue *q, unsigned budget, bool *more)
{
	const struct netdev_client *c = &q->front->dev.client;
	struct netdev_packet pkt;
	unsigned n = 0;

	*more = false;
	for (;;) {
		uint64_t irq = pv_spin_lock_irq(&q->lock);
		enum netfront_taken t = NETFRONT_TAKEN_NONE;
		bool again = false;

		if (n < budget) {
			if (q->is_up)
				t = netfront_rx_take(q, &pkt);
			if (q->is_up && t == NETFRONT_TAKEN_NONE)
				again = netfront_rx_rest(q);
		} else {
			*more = true;
		}
		pv_spin_unlock_irq(&q->lock, irq);
		if (t == NETFRONT_TAKEN_PACKET)
			c->receive(&q->front->dev, q->index, &pkt);
		if (t == NETFRONT_TAKEN_NONE && !again)
			return n;
		n += t != NETFRONT_TAKEN_NONE;
	}
}

/* A sender that found no room is told when there is some; else asks again. No lock held. */
static void unstall(struct netfront_queue *q)
{
	const struct netdev_client *c = &q->front->dev.client;
	uint64_t irq = pv_spin_lock_irq(&q->lock);
	bool serve_again = false, tell = q->is_stalled && netfront_tx_room(q, &serve_again);

	if (tell)
		q->is_stalled = false;
	q->look_again |= serve_again;
	pv_spin_unlock_irq(&q->lock, irq);
	if (tell && c->room)
		c->room(&q->front->dev, q->index);
}

void netfront_refill(struct netfront_queue *q)
{
	uint64_t irq = pv_spin_lock_irq(&q->lock);
	bool notify = netfront_rx_post(q);

	pv_spin_unlock_irq(&q->lock, irq);
	if (notify)
		pv_evtchn_send(q->rx_port);
}

/*
 * One at a time: who finds somebody at it leaves it to them to look again. So call-backs do not nest,
 * and packets stay in order.
 */
unsigned netfront_serve(struct netfront_queue *q, unsigned budget, bool *more)
{
	const struct netdev_client *c = &q->front->dev.client;
	uint64_t irq = pv_spin_lock_irq(&q->lock);
	unsigned n = 0, sent = 0;

	*more = false;
	q->look_again = true;
	while (q->look_again && !q->is_polled) {
		q->look_again = false;
		q->is_polled = true;
		pv_spin_unlock_irq(&q->lock, irq);
		sent += reap(q);
		n += receive(q, n < budget ? budget - n : 0, more);
		netfront_refill(q);
		if ((n || sent) && c->done)
			c->done(&q->front->dev, q->index);
		unstall(q);
		irq = pv_spin_lock_irq(&q->lock);
		q->is_polled = false;
	}
	pv_spin_unlock_irq(&q->lock, irq);
	return n;
}

void netfront_event(evtchn_port_t port, void *queue)
{
	struct netfront_queue *q = queue;
	bool more;

	q->stats.events++;
	netfront_serve(q, EVENT_BUDGET, &more);
	/* Others have their turn; then we are called again. */
	if (more)
		pv_evtchn_raise(port);
}

/* ---- what a kernel calls ---------------------------------------------------------------------- */

/* Lock held. 0, or why the packet cannot go; wake: out: the queue has to be served first. */
static int put(struct netfront_queue *q, const struct netdev_packet *pkt, bool *wake)
{
	*wake = false;
	if (!q->is_up) {
		q->is_stalled = true;
		return pv_load(&q->front->is_gone) ? -XEN_ENODEV : -XEN_EAGAIN;
	}
	if (!netfront_tx_room(q, wake))
		return -XEN_EAGAIN;
	netfront_tx_put(q, pkt);
	return 0;
}

/*
 * A sender that finds no room has the back-end told of what it has not been told yet, and looks once
 * more: a back-end that works at once has made room by then.
 */
static int net_send(struct netdev *dev, unsigned queue, const struct netdev_packet *pkt)
{
	struct netfront_queue *q = queue_of(dev, queue);
	int rc = netfront_tx_check(front_of(dev), pkt);
	bool wake, notify = true;

	while (!rc && notify) {
		uint64_t irq = pv_spin_lock_irq(&q->lock);

		rc = put(q, pkt, &wake);
		notify = rc == -XEN_EAGAIN && netfront_tx_push(q);
		pv_spin_unlock_irq(&q->lock, irq);
		if (notify) {
			pv_evtchn_send(q->tx_port);
			rc = 0;
		} else if (wake) {
			pv_evtchn_raise(q->tx_port);
		}
		if (!notify)
			break;
	}
	return rc;
}

static void net_kick(struct netdev *dev, unsigned queue)
{
	struct netfront_queue *q = queue_of(dev, queue);
	uint64_t irq = pv_spin_lock_irq(&q->lock);
	bool notify = netfront_tx_push(q);

	pv_spin_unlock_irq(&q->lock, irq);
	if (notify)
		pv_evtchn_send(q->tx_port);
}

static unsigned net_poll(struct netdev *dev, unsigned queue, unsigned budget)
{
	bool more;

	return netfront_serve(queue_of(dev, queue), budget, &more);
}

static void net_info(struct netdev *dev, struct netdev_info *info)
{
	*info = front_of(dev)->info;
}

static void net_stats(struct netdev *dev, struct netdev_stats *sum)
{
	const struct netfront *f = front_of(dev);
	unsigned i;

	memset(sum, 0, sizeof(*sum));
	for (i = 0; i < f->nr_queues; i++) {
		const struct netdev_stats *s = &f->queue[i]->stats;

		sum->tx_packets += s->tx_packets;
		sum->tx_bytes += s->tx_bytes;
		sum->tx_dropped += s->tx_dropped;
		sum->rx_packets += s->rx_packets;
		sum->rx_bytes += s->rx_bytes;
		sum->rx_dropped += s->rx_dropped;
		sum->rx_errors += s->rx_errors;
		sum->notifications += s->notifications;
		sum->events += s->events;
		sum->reconnects += s->reconnects;
	}
}

const struct netdev_ops netfront_ops = {
	.send = net_send,
	.kick = net_kick,
	.poll = net_poll,
	.info = net_info,
	.stats = net_stats,
	.service = netfront_service,
	.close = netfront_close,
};
