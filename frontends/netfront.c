/* SPDX-License-Identifier: MIT */
/*
 * The network front-end's data path.
 *
 * Sent packets are given back when somebody looks: at the next send, at an event for what came in,
 * at a poll. An event for them alone is asked for only when a sender waits for room, since an
 * interrupt for each batch would cost more than the batch.
 *
 *   here                                       back-end
 *   1. is_stalled rises                        a. writes rsp_prod
 *   2. writes rsp_event, full barrier          b. full barrier, reads rsp_event
 *   3. reads rsp_prod; something new: room     c. beyond it: sends the event
 *
 * Either 3 sees what a wrote, or b sees what 2 wrote.
 *
 * Invariant: a slot's grant is in force from before its request is pushed until one response for it
 * has been taken; a response for anything else is a lie, and ends the use of the rings.
 */
#include "frontends/netfront.h"

#include "abi/errno.h"
#include "pvops/evtchn.h"
#include "pvops/lib/string.h"
#include "pvops/p2m.h"

#define EVENT_BUDGET 512 /* packets that one event handles before others have their turn */
#define TX_NEED      (NETDEV_MAX_FRAGS + 1)

static struct netfront *front_of(struct netdev *dev)
{
	return (struct netfront *)dev; /* the first member */
}

static struct netfront_queue *queue_of(struct netdev *dev, unsigned queue)
{
	struct netfront *f = front_of(dev);

	return f->queue[queue < f->info.queues ? queue : 0];
}

/* ---- transmit; the queue's lock is held ------------------------------------------------------- */

static unsigned take_slot(struct netfront_queue *q)
{
	unsigned id = q->first_free;

	q->first_free = q->tx_slots->next[id];
	q->free_tx--;
	return id;
}

static void put_slot(struct netfront_queue *q, unsigned id)
{
	q->tx_slots->state[id] = NETFRONT_FREE;
	q->tx_slots->next[id] = q->first_free;
	q->first_free = (uint8_t)id;
	q->free_tx++;
}

static void put_request(struct netfront_queue *q, unsigned first, const struct netdev_frag *frag,
                        unsigned size, unsigned flags)
{
	struct netif_tx_request *req = RING_GET_REQUEST(&q->tx, q->tx.req_prod_pvt);
	struct netfront_tx_slots *s = q->tx_slots;
	unsigned id = size ? first : take_slot(q);

	s->first[id] = (uint8_t)first;
	s->state[id] = NETFRONT_UNDER_WAY;
	s->left[first]++;
	pv_gnttab_set(s->ref[id], q->front->bus.otherend_id, pv_virt_to_mfn(frag->va), PV_GRANT_RO);
	req->gref = s->ref[id];
	req->offset = (uint16_t)((uintptr_t)frag->va & ~PV_PAGE_MASK);
	req->size = (uint16_t)(size ? size : frag->len);
	req->flags = (uint16_t)flags;
	req->id = (uint16_t)id;
	q->tx.req_prod_pvt++;
}

static void put_gso(struct netfront_queue *q, const struct netdev_packet *pkt)
{
	struct netif_extra_info extra = { .type = XEN_NETIF_EXTRA_TYPE_GSO };

	extra.u.gso.size = pkt->gso_size;
	extra.u.gso.type = pkt->gso == NETDEV_GSO_TCPV4 ? XEN_NETIF_GSO_TYPE_TCPV4
	                                                : XEN_NETIF_GSO_TYPE_TCPV6;
	memcpy(RING_GET_REQUEST(&q->tx, q->tx.req_prod_pvt), &extra, sizeof(extra));
	q->tx.req_prod_pvt++;
}

static void put_packet(struct netfront_queue *q, const struct netdev_packet *pkt)
{
	unsigned first = take_slot(q), flags = 0, i;
	bool gso = pkt->gso != NETDEV_GSO_NONE;

	q->tx_slots->arg[first] = pkt->arg;
	q->tx_slots->left[first] = 0;
	if (pkt->csum_partial)
		flags = NETTXF_csum_blank | NETTXF_data_validated;
	else if (pkt->csum_valid)
		flags = NETTXF_data_validated;
	put_request(q, first, &pkt->frags[0], pkt->len,
	            flags | (gso ? NETTXF_extra_info : 0) |
	                    (pkt->nr_frags > 1 ? NETTXF_more_data : 0));
	if (gso)
		put_gso(q, pkt);
	for (i = 1; i < pkt->nr_frags; i++)
		put_request(q, first, &pkt->frags[i], 0,
		            i + 1 < pkt->nr_frags ? NETTXF_more_data : 0);
	q->stats.tx_packets++;
	q->stats.tx_bytes += pkt->len;
}

static int check(const struct netfront *f, const struct netdev_packet *pkt)
{
	uint64_t sum = 0;
	unsigned i;

	if (!pkt->nr_frags || pkt->nr_frags > NETDEV_MAX_FRAGS ||
	    pkt->len > XEN_NETIF_MAX_TX_SIZE || (pkt->nr_frags > 1 && !f->info.sg) ||
	    (pkt->gso == NETDEV_GSO_TCPV4 && !f->info.gso_ipv4) ||
	    (pkt->gso == NETDEV_GSO_TCPV6 && !f->info.gso_ipv6) || pkt->gso > NETDEV_GSO_TCPV6 ||
	    (pkt->gso && !pkt->gso_size))
		return -XEN_EINVAL;
	for (i = 0; i < pkt->nr_frags; i++) {
		const struct netdev_frag *frag = &pkt->frags[i];

		if (!frag->len || ((uintptr_t)frag->va & ~PV_PAGE_MASK) + frag->len > PV_PAGE_SIZE)
			return -XEN_EINVAL;
		sum += frag->len;
	}
	return sum == pkt->len && sum ? 0 : -XEN_EINVAL;
}

/*
 * One answered packet: its arg. false: nothing more has been answered. Slots of descriptions are
 * answered by NETIF_RSP_NULL, and their ids mean nothing.
 */
static bool take_sent(struct netfront_queue *q, void **arg, bool *ok)
{
	struct netfront_tx_slots *s = q->tx_slots;
	RING_IDX prod = pv_load_acquire(&q->tx.sring->rsp_prod);

	if (prod - q->tx.rsp_cons > q->tx.req_prod_pvt - q->tx.rsp_cons) {
		netfront_accuse(q->front, "has answered more than was sent");
		q->is_up = false;
		return false;
	}
	while (q->tx.rsp_cons != prod) {
		struct netif_tx_response rsp;
		unsigned first;

		RING_COPY_RESPONSE(&q->tx, q->tx.rsp_cons, &rsp);
		q->tx.rsp_cons++;
		if (rsp.status == NETIF_RSP_NULL)
			continue;
		if (rsp.id >= NETFRONT_SLOTS || s->state[rsp.id] != NETFRONT_UNDER_WAY ||
		    !pv_gnttab_clear(s->ref[rsp.id])) {
			netfront_accuse(q->front, "answers slot %u, which it %s", rsp.id,
			                rsp.id < NETFRONT_SLOTS && s->state[rsp.id]
			                        ? "goes on using"
			                        : "was not given");
			q->is_up = false;
			return false;
		}
		first = s->first[rsp.id];
		if (rsp.id != first)
			put_slot(q, rsp.id);
		else
			s->state[first] = NETFRONT_ANSWERED;
		if (--s->left[first])
			continue;
		*arg = s->arg[first];
		*ok = rsp.status == NETIF_RSP_OKAY;
		put_slot(q, first);
		return true;
	}
	return false;
}

/* ---- receive; the queue's lock is held -------------------------------------------------------- */

/* Posts empty pages for as many slots as are free; true: the back-end wants an event for them. */
static bool post(struct netfront_queue *q)
{
	struct netfront_rx_slots *s = q->rx_slots;
	int notify = 0;
	bool some = false;

	while (q->is_up && q->rx.req_prod_pvt - q->rx.rsp_cons < NETFRONT_SLOTS) {
		unsigned id = q->rx.req_prod_pvt % NETFRONT_SLOTS;
		struct netif_rx_request *req = RING_GET_REQUEST(&q->rx, q->rx.req_prod_pvt);
		void *page = pv_page_alloc();

		if (!page)
			break;
		s->page[id] = page;
		pv_gnttab_set(s->ref[id], q->front->bus.otherend_id, pv_virt_to_mfn(page),
		              PV_GRANT_RW);
		req->id = (uint16_t)id;
		req->gref = s->ref[id];
		q->rx.req_prod_pvt++;
		some = true;
	}
	if (some)
		RING_PUSH_REQUESTS_AND_CHECK_NOTIFY(&q->rx, notify);
	q->stats.notifications += notify != 0;
	return notify;
}

/* The page of a slot that was answered; NULL: the back-end goes on using it. */
static void *take_page(struct netfront_queue *q, RING_IDX at)
{
	unsigned id = at % NETFRONT_SLOTS;
	void *page = q->rx_slots->page[id];

	if (!pv_gnttab_clear(q->rx_slots->ref[id])) {
		netfront_accuse(q->front, "goes on using a page that it has filled");
		q->is_up = false;
		return NULL;
	}
	q->rx_slots->page[id] = NULL;
	return page;
}

/* The slots of one packet, as they were when they were looked at. */
struct rx_scan {
	unsigned slots; /* descriptions included */
	unsigned nr;
	struct {
		unsigned at; /* slot behind rsp_cons: the page is found by it, not by the id */
		uint16_t offset, len;
	} data[NETDEV_MAX_FRAGS];
	uint16_t flags; /* of the first */
	struct netif_extra_info gso;
	bool good;
};

/* Descriptions behind a slot. False: they are not all there yet. */
static bool scan_extras(struct netfront_queue *q, unsigned there, struct rx_scan *s)
{
	struct netif_rx_response raw;
	struct netif_extra_info e;

	do {
		if (s->slots == there)
			return false;
		RING_COPY_RESPONSE(&q->rx, q->rx.rsp_cons + s->slots++, &raw);
		memcpy(&e, &raw, sizeof(e));
		if (e.type == XEN_NETIF_EXTRA_TYPE_GSO)
			s->gso = e;
	} while (e.flags & XEN_NETIF_EXTRA_FLAG_MORE);
	return true;
}

/* False: the packet at rsp_cons is not whole yet. No page is touched. */
static bool scan(struct netfront_queue *q, unsigned there, struct rx_scan *s)
{
	bool more = true;

	s->slots = s->nr = 0;
	s->good = true;
	s->gso.type = XEN_NETIF_EXTRA_TYPE_NONE;
	while (more) {
		struct netif_rx_response r;

		if (s->slots == there)
			return false;
		RING_COPY_RESPONSE(&q->rx, q->rx.rsp_cons + s->slots, &r);
		more = r.flags & NETRXF_more_data;
		if (!s->slots)
			s->flags = r.flags;
		if (r.status <= 0 || (uint32_t)r.offset + (uint32_t)r.status > PV_PAGE_SIZE ||
		    s->nr == NETDEV_MAX_FRAGS) {
			s->good = false;
		} else {
			s->data[s->nr].at = s->slots;
			s->data[s->nr].offset = r.offset;
			s->data[s->nr++].len = (uint16_t)r.status;
		}
		s->slots++;
		if (r.flags & NETRXF_extra_info && !scan_extras(q, there, s))
			return false;
	}
	return true;
}

static void describe(struct netdev_packet *pkt, const struct rx_scan *s)
{
	pkt->csum_partial = s->flags & NETRXF_csum_blank;
	pkt->csum_valid = s->flags & NETRXF_data_validated;
	if (s->gso.type != XEN_NETIF_EXTRA_TYPE_GSO || !s->gso.u.gso.size)
		return;
	pkt->gso = s->gso.u.gso.type == XEN_NETIF_GSO_TYPE_TCPV4   ? NETDEV_GSO_TCPV4
	           : s->gso.u.gso.type == XEN_NETIF_GSO_TYPE_TCPV6 ? NETDEV_GSO_TCPV6
	                                                           : NETDEV_GSO_NONE;
	pkt->gso_size = s->gso.u.gso.size;
}

/* Takes the packet's pages out of the ring; those without data of it are free again. */
static void collect(struct netfront_queue *q, const struct rx_scan *s, struct netdev_packet *pkt)
{
	unsigned n, k = 0;

	memset(pkt, 0, sizeof(*pkt));
	for (n = 0; n < s->slots && q->is_up; n++, q->rx.rsp_cons++) {
		uint8_t *page = take_page(q, q->rx.rsp_cons);

		if (!page)
			break;
		if (!s->good || k == s->nr || s->data[k].at != n) {
			pv_page_free(page);
			continue;
		}
		pkt->frags[k].va = page + s->data[k].offset;
		pkt->frags[k].len = s->data[k].len;
		pkt->len += s->data[k++].len;
	}
	pkt->nr_frags = k;
	describe(pkt, s);
}

enum taken { TAKEN_NONE, TAKEN_BAD, TAKEN_PACKET };

static enum taken take_received(struct netfront_queue *q, struct netdev_packet *pkt)
{
	RING_IDX prod = pv_load_acquire(&q->rx.sring->rsp_prod);
	unsigned there = prod - q->rx.rsp_cons;
	struct rx_scan s;

	if (!there)
		return TAKEN_NONE;
	if (there > q->rx.req_prod_pvt - q->rx.rsp_cons) {
		netfront_accuse(q->front, "has filled more buffers than it was given");
		q->is_up = false;
		return TAKEN_NONE;
	}
	if (!scan(q, there, &s)) {
		if (there < NETFRONT_SLOTS)
			return TAKEN_NONE;
		netfront_accuse(q->front, "sends a packet without end");
		q->is_up = false;
		return TAKEN_NONE;
	}
	collect(q, &s, pkt);
	if (s.good && q->is_up) {
		q->stats.rx_packets++;
		q->stats.rx_bytes += pkt->len;
		return TAKEN_PACKET;
	}
	q->stats.rx_errors++;
	while (pkt->nr_frags)
		pv_page_free((void *)((uintptr_t)pkt->frags[--pkt->nr_frags].va & PV_PAGE_MASK));
	return TAKEN_BAD;
}

/* ---- both ways ------------------------------------------------------------------------------- */

/* Gives back what was sent. No lock held. */
static unsigned reap(struct netfront_queue *q)
{
	const struct netdev_client *c = &q->front->dev.client;
	unsigned n = 0;
	void *arg;
	bool ok, some = true;

	while (some) {
		uint64_t irq = pv_spin_lock_irq(&q->lock);

		some = q->is_up && take_sent(q, &arg, &ok);
		pv_spin_unlock_irq(&q->lock, irq);
		if (some) {
			c->sent(&q->front->dev, q->index, arg, ok);
			n++;
		}
	}
	return n;
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
		enum taken t = TAKEN_NONE;
		int again = 0;

		if (n < budget) {
			if (q->is_up)
				t = take_received(q, &pkt);
			if (q->is_up && t == TAKEN_NONE) {
				RING_IDX seen = PV_ABI_RING_GET(q->rx.sring->rsp_prod);

				/* The rest of a packet that is not whole is waited for as well. */
				PV_ABI_RING_SET(q->rx.sring->rsp_event, seen + 1);
				pv_mb();
				again = PV_ABI_RING_GET(q->rx.sring->rsp_prod) != seen;
			}
		} else {
			*more = true;
		}
		pv_spin_unlock_irq(&q->lock, irq);
		if (t == TAKEN_PACKET)
			c->receive(&q->front->dev, q->index, &pkt);
		if (t == TAKEN_NONE && !again)
			return n;
		n += t != TAKEN_NONE;
	}
}

/* A sender that found no room is told; a lost race is seen by the second look. No lock held. */
static void unstall(struct netfront_queue *q)
{
	const struct netdev_client *c = &q->front->dev.client;
	uint64_t irq = pv_spin_lock_irq(&q->lock);
	bool tell = q->is_stalled && q->is_up && q->free_tx >= TX_NEED &&
	            RING_FREE_REQUESTS(&q->tx) >= TX_NEED;

	if (tell)
		q->is_stalled = false;
	pv_spin_unlock_irq(&q->lock, irq);
	if (tell && c->room)
		c->room(&q->front->dev, q->index);
}

static void refill(struct netfront_queue *q)
{
	uint64_t irq = pv_spin_lock_irq(&q->lock);
	bool notify = post(q);

	pv_spin_unlock_irq(&q->lock, irq);
	if (notify)
		pv_evtchn_send(q->rx_port);
}

/*
 * One at a time: who finds somebody at it leaves it to them to look again. So call-backs do not nest,
 * and packets stay in order.
 */
static unsigned serve(struct netfront_queue *q, unsigned budget, bool *more)
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
		refill(q);
		if ((n || sent) && c->done)
			c->done(&q->front->dev, q->index);
		unstall(q);
		irq = pv_spin_lock_irq(&q->lock);
		q->is_polled = false;
	}
	pv_spin_unlock_irq(&q->lock, irq);
	return n;
}

static void on_event(evtchn_port_t port, void *arg)
{
	struct netfront_queue *q = arg;
	bool more;

	q->stats.events++;
	serve(q, EVENT_BUDGET, &more);
	/* Others have their turn; then we are called again. */
	if (more)
		pv_evtchn_raise(port);
}

/* ---- what a kernel calls ---------------------------------------------------------------------- */

/* Lock held. Asks for an event when room comes; true: there is some by now. */
static bool stall(struct netfront_queue *q)
{
	q->is_stalled = true;
	PV_ABI_RING_SET(q->tx.sring->rsp_event, q->tx.rsp_cons + NETFRONT_SLOTS / 2);
	pv_mb();
	return PV_ABI_RING_GET(q->tx.sring->rsp_prod) - q->tx.rsp_cons >= NETFRONT_SLOTS / 2;
}

static int net_send(struct netdev *dev, unsigned queue, const struct netdev_packet *pkt)
{
	struct netfront_queue *q = queue_of(dev, queue);
	int rc = check(front_of(dev), pkt);
	uint64_t irq;

	if (rc)
		return rc;
	irq = pv_spin_lock_irq(&q->lock);
	if (!q->is_up) {
		rc = pv_load(&front_of(dev)->is_gone) ? -XEN_ENODEV : -XEN_EAGAIN;
		q->is_stalled = true;
	} else if (q->free_tx < TX_NEED || RING_FREE_REQUESTS(&q->tx) < TX_NEED) {
		rc = -XEN_EAGAIN;
		/* Room that came just now is found by the next event or poll: it is asked for. */
		if (stall(q))
			PV_ABI_RING_SET(q->tx.sring->rsp_event, q->tx.rsp_cons + 1);
	} else {
		put_packet(q, pkt);
	}
	pv_spin_unlock_irq(&q->lock, irq);
	return rc;
}

static void net_kick(struct netdev *dev, unsigned queue)
{
	struct netfront_queue *q = queue_of(dev, queue);
	uint64_t irq = pv_spin_lock_irq(&q->lock);
	int notify = 0;

	if (q->is_up && PV_ABI_RING_GET(q->tx.sring->req_prod) != q->tx.req_prod_pvt)
		RING_PUSH_REQUESTS_AND_CHECK_NOTIFY(&q->tx, notify);
	q->stats.notifications += notify != 0;
	pv_spin_unlock_irq(&q->lock, irq);
	if (notify)
		pv_evtchn_send(q->tx_port);
}

static unsigned net_poll(struct netdev *dev, unsigned queue, unsigned budget)
{
	bool more;

	return serve(queue_of(dev, queue), budget, &more);
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

/* ---- a queue's beginning and end -------------------------------------------------------------- */

static struct netfront_queue *make_queue(struct netfront *f, unsigned n)
{
	struct netfront_queue *q = pv_page_alloc();

	_Static_assert(sizeof(*q) <= PV_PAGE_SIZE, "a queue lies in one page");
	_Static_assert(sizeof(struct netfront_tx_slots) <= PV_PAGE_SIZE,
	               "and its slots in another");
	if (!q)
		return NULL;
	memset(q, 0, sizeof(*q));
	q->front = f;
	q->index = n;
	q->tx_slots = pv_page_alloc();
	q->rx_slots = pv_page_alloc();
	q->tx_page = pv_page_alloc();
	q->rx_page = pv_page_alloc();
	if (q->tx_slots && q->rx_slots && q->tx_page && q->rx_page) {
		memset(q->tx_slots, 0, sizeof(*q->tx_slots));
		memset(q->rx_slots, 0, sizeof(*q->rx_slots));
		return q;
	}
	if (q->tx_slots)
		pv_page_free(q->tx_slots);
	if (q->rx_slots)
		pv_page_free(q->rx_slots);
	if (q->tx_page)
		pv_page_free(q->tx_page);
	if (q->rx_page)
		pv_page_free(q->rx_page);
	pv_page_free(q);
	return NULL;
}

static int take_refs(struct netfront_queue *q)
{
	for (; q->nr_refs < 2 * NETFRONT_SLOTS; q->nr_refs++) {
		unsigned i = q->nr_refs % NETFRONT_SLOTS;
		int rc = pv_gnttab_take(q->nr_refs < NETFRONT_SLOTS ? &q->tx_slots->ref[i]
		                                                    : &q->rx_slots->ref[i]);

		if (rc)
			return rc;
	}
	return 0;
}

static int make_ports(struct netfront_queue *q, uint32_t cpu)
{
	domid_t peer = q->front->bus.otherend_id;
	int rc = pv_evtchn_alloc_unbound(peer, on_event, q, &q->tx_port);

	if (rc)
		return rc;
	if (q->front->split)
		rc = pv_evtchn_alloc_unbound(peer, on_event, q, &q->rx_port);
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
	q->free_tx = 0;
	for (i = NETFRONT_SLOTS; i-- > 0;)
		put_slot(q, i);
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
	refill(q);
	serve(q, EVENT_BUDGET, &more);
}

void netfront_queue_stop(struct netfront_queue *q)
{
	uint64_t irq = pv_spin_lock_irq(&q->lock);

	q->is_up = false;
	pv_spin_unlock_irq(&q->lock, irq);
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
			pv_gnttab_take(&s->ref[i]);
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
			pv_gnttab_take(&s->ref[i]); /* in use by the other side: lost */
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
	lose_sent(q);
	take_buffers(q);
	if (q->tx_granted && pv_gnttab_revoke(q->tx_ref))
		q->tx_page = pv_page_alloc(); /* the other side holds the old one, which is lost */
	if (q->rx_granted && pv_gnttab_revoke(q->rx_ref))
		q->rx_page = pv_page_alloc();
	q->tx_granted = q->rx_granted = false;
}
