/* SPDX-License-Identifier: MIT */
/*
 * A queue of the network front-end: its memory, rings, references and ports, made and unmade.
 *
 * A queue's memory is kept when it goes down, for an event handler on another vCPU may still look
 * at it, and is used again by the next connection.
 */
#include "frontends/netfront.h"

#include "abi/errno.h"
#include "pvops/evtchn.h"
#include "pvops/lib/string.h"
#include "pvops/p2m.h"

/* The pages of a queue beside its own. */
#define NR_PAGES 5

static void **page_of(struct netfront_queue *q, unsigned i)
{
	void **const pages[NR_PAGES] = { (void **)&q->tx_slots, (void **)&q->rx_slots,
		                         (void **)&q->done, &q->tx_page, &q->rx_page };

	return pages[i];
}

static struct netfront_queue *make_queue(struct netfront *f, unsigned n)
{
	struct netfront_queue *q = pv_page_alloc();
	unsigned i;

	_Static_assert(sizeof(*q) <= PV_PAGE_SIZE, "a queue lies in one page");
	_Static_assert(sizeof(struct netfront_tx_slots) <= PV_PAGE_SIZE &&
	                       sizeof(*q->done) * NETFRONT_SLOTS <= PV_PAGE_SIZE,
	               "and its tables in others");
	if (!q)
		return NULL;
	memset(q, 0, sizeof(*q));
	q->front = f;
	q->index = n;
	for (i = 0; i < NR_PAGES; i++) {
		*page_of(q, i) = pv_page_alloc();
		if (!*page_of(q, i))
			break;
		memset(*page_of(q, i), 0, PV_PAGE_SIZE);
	}
	if (i == NR_PAGES)
		return q;
	while (i-- > 0)
		pv_page_free(*page_of(q, i));
	pv_page_free(q);
	return NULL;
}

/* A reference for each slot that has none: all of them, or those that the other side has kept. */
static int take_refs(struct netfront_queue *q)
{
	unsigned i;
	int rc = 0;

	for (i = 0; !rc && i < NETFRONT_SLOTS; i++) {
		if (!q->tx_slots->ref[i])
			rc = pv_gnttab_take(&q->tx_slots->ref[i]);
		if (!rc && !q->rx_slots->ref[i])
			rc = pv_gnttab_take(&q->rx_slots->ref[i]);
	}
	return rc;
}

static int make_ports(struct netfront_queue *q, uint32_t cpu)
{
	domid_t peer = q->front->bus.otherend_id;
	int rc = pv_evtchn_alloc_unbound(peer, netfront_event, q, &q->tx_port);

	if (rc)
		return rc;
	if (q->front->split)
		rc = pv_evtchn_alloc_unbound(peer, netfront_event, q, &q->rx_port);
	else
		q->rx_port = q->tx_port;
	if (!rc && cpu != pv_cpu()->id)
		rc = pv_evtchn_set_cpu(q->tx_port, cpu);
	if (!rc && cpu != pv_cpu()->id && q->front->split)
		rc = pv_evtchn_set_cpu(q->rx_port, cpu);
	return rc;
}

int netfront_queue_up(struct netfront *f, unsigned n, uint32_t cpu)
{
	domid_t peer = f->bus.otherend_id;
	struct netfront_queue *q;
	unsigned i;
	int rc;

	if (!f->queue[n]) {
		f->queue[n] = make_queue(f, n);
		if (!f->queue[n])
			return -XEN_ENOMEM;
		f->nr_queues = n + 1;
	}
	q = f->queue[n];
	if (!q->tx_page || !q->rx_page)
		return -XEN_ENOMEM;
	memset(q->tx_page, 0, PV_PAGE_SIZE);
	memset(q->rx_page, 0, PV_PAGE_SIZE);
	XEN_FRONT_RING_INIT(&q->tx, (struct netif_tx_sring *)q->tx_page, PV_PAGE_SIZE);
	XEN_FRONT_RING_INIT(&q->rx, (struct netif_rx_sring *)q->rx_page, PV_PAGE_SIZE);
	q->tx.sring->rsp_event = NETFRONT_SLOTS; /* far: see the head of this file */
	q->pushed = 0;
	q->is_stalled = false;
	q->free_tx = 0;
	for (i = NETFRONT_SLOTS; i-- > 0;)
		netfront_tx_free(q, i);
	rc = take_refs(q);
	if (!rc)
		rc = pv_gnttab_grant(peer, pv_virt_to_mfn(q->tx_page), PV_GRANT_RW, &q->tx_ref);
	q->tx_granted = !rc;
	if (!rc)
		rc = pv_gnttab_grant(peer, pv_virt_to_mfn(q->rx_page), PV_GRANT_RW, &q->rx_ref);
	q->rx_granted = !rc && q->tx_granted;
	return rc ? rc : make_ports(q, cpu);
}

void netfront_queue_open(struct netfront_queue *q)
{
	bool more;

	pv_store_release(&q->is_up, true);
	netfront_refill(q);
	netfront_serve(q, NETFRONT_SLOTS, &more);
	if (more)
		pv_evtchn_raise(q->rx_port);
}

void netfront_queue_stop(struct netfront_queue *q)
{
	uint64_t irq = pv_spin_lock_irq(&q->lock);

	q->is_up = false;
	pv_spin_unlock_irq(&q->lock, irq);
}

/* The queue is stopped; another vCPU may still be in a call-back. */
static void begin_serving(struct netfront_queue *q)
{
	uint64_t irq = pv_spin_lock_irq(&q->lock);

	while (q->is_polled) {
		pv_spin_unlock_irq(&q->lock, irq);
		pv_cpu_relax();
		irq = pv_spin_lock_irq(&q->lock);
	}
	q->is_polled = true;
	pv_spin_unlock_irq(&q->lock, irq);
}

static void give_done(struct netfront_queue *q)
{
	for (; q->done_head != q->done_tail; q->done_head++) {
		struct netfront_done *d = &q->done[q->done_head % NETFRONT_SLOTS];

		q->front->dev.client.sent(&q->front->dev, q->index, d->arg, d->ok);
	}
}

/* Packets that were not answered are lost, as on a wire; their pages are the kernel's again. */
static void lose_sent(struct netfront_queue *q)
{
	struct netfront_tx_slots *s = q->tx_slots;
	unsigned i;

	for (i = 0; i < NETFRONT_SLOTS; i++) {
		if (s->state[i] == NETFRONT_UNDER_WAY && !pv_gnttab_clear(s->ref[i])) {
			/* It stays granted: neither the page nor the reference is used again. */
			pv_log("%s: a sent page stays in use by the other side and is lost\n",
			       q->front->bus.name);
			s->left[s->first[i]] = 0;
			s->ref[i] = 0;
		}
	}
	for (i = 0; i < NETFRONT_SLOTS; i++) {
		bool mine = s->state[i] != NETFRONT_FREE && s->first[i] == i && s->left[i];

		s->state[i] = NETFRONT_FREE;
		if (!mine)
			continue;
		s->left[i] = 0;
		q->stats.tx_dropped++;
		q->front->dev.client.sent(&q->front->dev, q->index, s->arg[i], false);
	}
}

static void take_buffers(struct netfront_queue *q)
{
	struct netfront_rx_slots *s = q->rx_slots;
	unsigned i;

	for (i = 0; i < NETFRONT_SLOTS; i++) {
		if (s->page[i] && pv_gnttab_clear(s->ref[i]))
			pv_page_free(s->page[i]);
		else if (s->page[i])
			s->ref[i] = 0; /* in use by the other side: lost */
		s->page[i] = NULL;
	}
}

void netfront_queue_down(struct netfront_queue *q)
{
	if (q->tx_port)
		pv_evtchn_close(q->tx_port);
	if (q->rx_port && q->rx_port != q->tx_port)
		pv_evtchn_close(q->rx_port);
	q->tx_port = q->rx_port = 0;
	begin_serving(q);
	give_done(q);
	lose_sent(q);
	pv_store_release(&q->is_polled, false);
	take_buffers(q);
	if (q->tx_granted && pv_gnttab_revoke(q->tx_ref))
		q->tx_page = pv_page_alloc(); /* the other side holds the old one, which is lost */
	if (q->rx_granted && pv_gnttab_revoke(q->rx_ref))
		q->rx_page = pv_page_alloc();
	q->tx_granted = q->rx_granted = false;
}
