/* SPDX-License-Identifier: MIT */
/*
 * The transmit ring: from slots to packets to the port.
 *
 * Invariant: a slot is read from shared memory once. A packet's headers are in slots[].head, copied
 * before anything is decided by them; the rest stays in the guest's pages, mapped until the port has
 * taken the packet, and is never looked at here.
 *
 * What is answered with an error and forgotten, and what shuts the queue, is as in Linux's netback:
 * a front-end that goes by the rules of abi/io/netif.h meets neither.
 */
#include <errno.h>
#include <string.h>

#include "backends/netback_priv.h"

/* The slots of one packet, copied from the ring. */
struct tx_slots {
	struct netif_tx_request req[NETBACK_TX_SLOTS];
	unsigned nr, nr_extra;
	uint16_t total;              /* bytes, as the first slot said */
	struct netif_extra_info gso; /* type NONE: there was none */
	bool drop;
};

/* ---- answers ---------------------------------------------------------------------------------- */

static void answer(struct netback_queue *q, uint16_t id, int16_t status)
{
	struct netif_tx_response *rsp = RING_GET_RESPONSE(&q->tx, q->tx.rsp_prod_pvt);

	rsp->id = id;
	rsp->status = status;
	q->tx.rsp_prod_pvt++;
}

/* As many as the packet had slots: those of the descriptions follow the first one's. */
static void answer_all(struct netback_queue *q, const uint16_t *id, unsigned nr, unsigned nr_extra,
                       int16_t status)
{
	answer(q, id[0], status);
	for (unsigned i = 0; i < nr_extra; i++)
		answer(q, 0, NETIF_RSP_NULL);
	for (unsigned i = 1; i < nr; i++)
		answer(q, id[i], status);
}

static void unmap_packet(struct netback_queue *q, struct netback_tx *t)
{
	const struct be_host_dev *host = &q->nb->host;

	while (t->nr_pages)
		host->ops->unmap(host->arg, &t->page[--t->nr_pages]);
}

static void push_answers(struct netback_queue *q)
{
	const struct be_host_dev *host = &q->nb->host;
	int notify;

	RING_PUSH_RESPONSES_AND_CHECK_NOTIFY(&q->tx, notify);
	if (notify) {
		NETBACK_COUNT(q, events_out, 1);
		host->ops->notify(host->arg, q->tx_port);
	}
}

/* ---- slots ------------------------------------------------------------------------------------ */

static void next_slot(struct netback_queue *q, struct netif_tx_request *req)
{
	RING_COPY_REQUEST(&q->tx, q->tx.req_cons, req);
	q->tx.req_cons++;
}

/* left: slots that the ring still holds. -EPROTO: no front-end may do this. */
static int copy_extras(struct netback_queue *q, struct tx_slots *s, unsigned *left)
{
	struct netif_tx_request raw;
	struct netif_extra_info extra;

	do {
		if (!*left) {
			netback_complain(q, "a packet's description is not in the ring");
			return -EPROTO;
		}
		(*left)--;
		next_slot(q, &raw);
		memcpy(&extra, &raw, sizeof(extra));
		s->nr_extra++;
		if (extra.type == XEN_NETIF_EXTRA_TYPE_NONE ||
		    extra.type >= XEN_NETIF_EXTRA_TYPE_MAX) {
			netback_complain(q, "a packet's description has type %u", extra.type);
			return -EPROTO;
		}
		if (extra.type == XEN_NETIF_EXTRA_TYPE_GSO)
			s->gso = extra;
		else if (extra.type != XEN_NETIF_EXTRA_TYPE_HASH)
			s->drop = true; /* multicast filters were not offered */
	} while (extra.flags & XEN_NETIF_EXTRA_FLAG_MORE);
	return 0;
}

static int copy_fragments(struct netback_queue *q, struct tx_slots *s, unsigned *left)
{
	bool more = s->req[0].flags & NETTXF_more_data;

	while (more) {
		struct netif_tx_request *req = &s->req[s->nr];

		if (!*left || s->nr == NETBACK_TX_SLOTS) {
			netback_complain(q, "a packet has %s slots (%u seen)",
			                 *left ? "too many" : "fewer than announced", s->nr);
			return -EPROTO;
		}
		(*left)--;
		next_slot(q, req);
		s->nr++;
		if ((uint32_t)req->offset + req->size > NETBACK_PAGE) {
			netback_complain(q, "a fragment of %u bytes at %u crosses its page",
			                 req->size, req->offset);
			return -EPROTO;
		}
		/* The first slot's size is the whole packet's; its own is what the others leave. */
		if (req->size > s->req[0].size)
			s->drop = true;
		else
			s->req[0].size = (uint16_t)(s->req[0].size - req->size);
		more = req->flags & NETTXF_more_data;
	}
	return 0;
}

/* Takes the slots of one packet from the ring, which holds at least one. 0 or -EPROTO. */
static int take_slots(struct netback_queue *q, struct tx_slots *s, unsigned left)
{
	struct netif_tx_request *first = &s->req[0];
	int rc;

	s->nr = 1;
	s->nr_extra = 0;
	s->drop = false;
	s->gso.type = XEN_NETIF_EXTRA_TYPE_NONE;
	next_slot(q, first);
	s->total = first->size;
	left--;
	if (first->flags & NETTXF_extra_info) {
		rc = copy_extras(q, s, &left);
		if (rc)
			return rc;
	}
	rc = copy_fragments(q, s, &left);
	if (rc)
		return rc;
	if (s->total < NETPKT_MIN_LEN)
		s->drop = true;
	if (!s->drop && (uint32_t)first->offset + first->size > NETBACK_PAGE) {
		netback_complain(q, "a fragment of %u bytes at %u crosses its page", first->size,
		                 first->offset);
		return -EPROTO;
	}
	return 0;
}

/* ---- packets ---------------------------------------------------------------------------------- */

static void add_piece(struct netpkt *p, void *base, size_t len)
{
	p->iov[p->nr_iov].iov_base = base;
	p->iov[p->nr_iov++].iov_len = len;
}

/*
 * The bytes of one slot: the head's share is copied, the rest stays where it is. A slot that goes
 * into the head as a whole is not mapped. 0 or a GNTST_*.
 */
static int gather_slot(struct netback_queue *q, const struct netif_tx_request *req,
                       struct netback_tx *t, struct netpkt *p)
{
	const struct be_host_dev *host = &q->nb->host;
	size_t have = p->iov[0].iov_len, share = NETPKT_HEAD - have;
	struct be_page *page = &t->page[t->nr_pages];
	uint8_t *bytes;
	int rc;

	if (share > req->size)
		share = req->size;
	if (share == req->size) {
		rc = share ? host->ops->copy(host->arg, req->gref, req->offset, t->head + have,
		                             (unsigned)share, false)
		           : 0;
		p->iov[0].iov_len += rc ? 0 : share;
		return rc;
	}
	rc = host->ops->map(host->arg, req->gref, true, page);
	if (rc)
		return rc;
	t->nr_pages++;
	bytes = (uint8_t *)page->ptr + req->offset;
	memcpy(t->head + have, bytes, share);
	p->iov[0].iov_len += share;
	add_piece(p, bytes + share, req->size - share);
	return 0;
}

static int describe(const struct tx_slots *s, struct netpkt *p)
{
	const struct netif_tx_request *first = &s->req[0];

	p->meta.csum_partial = first->flags & NETTXF_csum_blank;
	p->meta.csum_valid = first->flags & NETTXF_data_validated;
	if (s->gso.type == XEN_NETIF_EXTRA_TYPE_GSO) {
		if (s->gso.u.gso.type == XEN_NETIF_GSO_TYPE_TCPV4)
			p->meta.gso = NETPKT_GSO_TCPV4;
		else if (s->gso.u.gso.type == XEN_NETIF_GSO_TYPE_TCPV6)
			p->meta.gso = NETPKT_GSO_TCPV6;
		else
			return -EINVAL;
		p->meta.gso_size = s->gso.u.gso.size;
		p->meta.csum_partial = true;
	}
	return netpkt_describe(p);
}

/* Makes the packet at the end of the batch. false: it is no good; nothing of it is held. */
static bool build(struct netback_queue *q, const struct tx_slots *s)
{
	struct netback_tx *t = &q->slots[q->batch_end];
	struct netpkt *p = &q->pkt[q->batch_end];
	int rc = 0;

	t->nr_pages = 0;
	t->nr_ids = s->nr;
	t->nr_extra = s->nr_extra;
	memset(&p->meta, 0, sizeof(p->meta));
	p->len = s->total;
	p->nr_iov = 0;
	add_piece(p, t->head, 0);
	for (unsigned i = 0; i < s->nr && !rc; i++) {
		t->id[i] = s->req[i].id;
		rc = gather_slot(q, &s->req[i], t, p);
	}
	if (!rc)
		rc = describe(s, p);
	if (rc)
		unmap_packet(q, t);
	return !rc;
}

/* Answers what cannot be sent. */
static void refuse(struct netback_queue *q, const struct tx_slots *s)
{
	uint16_t id[NETBACK_TX_SLOTS];

	for (unsigned i = 0; i < s->nr; i++)
		id[i] = s->req[i].id;
	answer_all(q, id, s->nr, s->nr_extra, NETIF_RSP_ERROR);
	NETBACK_COUNT(q, tx_errors, 1);
}

/* Fills the batch from the ring. 0, or -EPROTO: the queue is to be shut. */
static int collect(struct netback_queue *q)
{
	while (q->batch_end < NETBACK_TX_BATCH) {
		struct tx_slots s;
		RING_IDX prod = PV_ABI_RING_GET(q->tx.sring->req_prod);

		if (RING_REQUEST_PROD_OVERFLOW(&q->tx, prod)) {
			netback_complain(q, "impossible producer index %u of the transmit ring",
			                 prod);
			return -EPROTO;
		}
		/* Pairs with the front-end's barrier between its slots and req_prod. */
		xen_rmb();
		if (prod == q->tx.req_cons)
			return 0;
		if (!netback_rate_open(q->nb)) {
			q->stopped = true;
			return 0;
		}
		if (take_slots(q, &s, prod - q->tx.req_cons))
			return -EPROTO;
		if (s.drop || !build(q, &s)) {
			refuse(q, &s);
			continue;
		}
		netback_rate_spend(q->nb, s.total);
		q->batch_end++;
	}
	return 0;
}

/* ---- to the port ------------------------------------------------------------------------------ */

/* Hands the batch over and answers what was taken. */
static void hand_over(struct netback_queue *q)
{
	struct netport *port = q->nb->port;
	struct netpkt *p = &q->pkt[q->batch_first];
	unsigned nr = q->batch_end - q->batch_first, taken, lost = 0;
	unsigned long long bytes = 0, gso = 0;

	if (!nr)
		return;
	for (unsigned i = 0; i < nr; i++) {
		bytes += p[i].len;
		gso += p[i].meta.gso != NETPKT_GSO_NONE;
	}
	taken = netpkt_send(port, q->index, p, nr, &lost);
	NETBACK_COUNT(q, tx_dropped, lost);
	if (taken < nr) {
		q->stopped = true;
		NETBACK_COUNT(q, stops, 1);
		for (unsigned i = taken; i < nr; i++) {
			bytes -= p[i].len;
			gso -= p[i].meta.gso != NETPKT_GSO_NONE;
		}
	}
	for (unsigned i = 0; i < taken; i++) {
		struct netback_tx *t = &q->slots[q->batch_first + i];

		unmap_packet(q, t);
		answer_all(q, t->id, t->nr_ids, t->nr_extra, NETIF_RSP_OKAY);
	}
	NETBACK_COUNT(q, tx_packets, taken);
	NETBACK_COUNT(q, tx_bytes, bytes);
	NETBACK_COUNT(q, tx_gso, gso);
	q->batch_first += taken;
	if (q->batch_first == q->batch_end)
		q->batch_first = q->batch_end = 0;
}

/* Works the ring until it is empty or the port is full. Lock: tx_lock. */
static void work(struct netback_queue *q)
{
	int more = 1;

	/* What a port did not take last time goes first. */
	hand_over(q);
	while (more && !q->stopped) {
		if (collect(q)) {
			netback_break(q);
			break;
		}
		hand_over(q);
		push_answers(q);
		if (!q->stopped)
			RING_FINAL_CHECK_FOR_REQUESTS(&q->tx, more);
	}
	push_answers(q);
}

void netback_tx_event(struct netback_queue *q)
{
	pthread_mutex_lock(&q->tx_lock);
	if (!q->stopped && !atomic_load(&q->broken))
		work(q);
	pthread_mutex_unlock(&q->tx_lock);
}

void netback_tx_room(struct netback_queue *q)
{
	pthread_mutex_lock(&q->tx_lock);
	q->stopped = false;
	if (!atomic_load(&q->broken))
		work(q);
	pthread_mutex_unlock(&q->tx_lock);
}

void netback_tx_drain(struct netback_queue *q)
{
	pthread_mutex_lock(&q->tx_lock);
	for (; q->batch_first < q->batch_end; q->batch_first++) {
		struct netback_tx *t = &q->slots[q->batch_first];

		unmap_packet(q, t);
		answer_all(q, t->id, t->nr_ids, t->nr_extra, NETIF_RSP_DROPPED);
		NETBACK_COUNT(q, tx_dropped, 1);
	}
	pthread_mutex_unlock(&q->tx_lock);
}
