/* SPDX-License-Identifier: MIT */
/*
 * The receive ring: the guest's empty buffers lent to the port, and given back full.
 *
 * Buffers are taken from the ring into a window and mapped there; begin() lends the first of them,
 * commit() answers those that were used, in order, and the rest stays for the next packet. So a
 * buffer is mapped once even when a port asks for more room than it needs.
 *
 * A packet that is to be segmented has its description in the slot behind the first, which costs
 * that slot's buffer. begin() cannot know whether such a packet comes, so for a guest that takes them
 * from a port that has them it leaves the second buffer out.
 *
 * Invariant: window slots [win_head, win_tail) are the ring's requests from rsp_prod_pvt on, in order.
 */
#include <errno.h>
#include <string.h>

#include "backends/netback_priv.h"

static struct netback_rx_slot *slot(struct netback_queue *q, unsigned i)
{
	return &q->window[(q->win_head + i) % NETBACK_RX_WINDOW];
}

static unsigned window_len(const struct netback_queue *q)
{
	return q->win_tail - q->win_head;
}

/* Takes what the guest has posted, up to want in the window. false: the ring is broken. */
static bool take_posted(struct netback_queue *q, unsigned want)
{
	const struct be_host_dev *host = &q->nb->host;
	RING_IDX prod = PV_ABI_RING_GET(q->rx.sring->req_prod);

	if (RING_REQUEST_PROD_OVERFLOW(&q->rx, prod)) {
		netback_complain(q, "impossible producer index %u of the receive ring", prod);
		netback_break(q);
		return false;
	}
	/* Pairs with the front-end's barrier between its slots and req_prod. */
	xen_rmb();
	while (window_len(q) < want && q->rx.req_cons != prod) {
		struct netback_rx_slot *s = slot(q, window_len(q));
		struct netif_rx_request req;

		RING_COPY_REQUEST(&q->rx, q->rx.req_cons, &req);
		q->rx.req_cons++;
		s->id = req.id;
		s->page.ptr = NULL;
		/* A bad grant is found out when the buffer's turn comes. */
		host->ops->map(host->arg, req.gref, false, &s->page);
		q->win_tail++;
	}
	return true;
}

/*
 * Until want buffers are there. When they are not, the guest is asked for an event at its next:
 *   1. we write req_event, 2. barrier, 3. we look at req_prod once more;
 *   the guest writes req_prod, barrier, looks at req_event. One of the two sees the other's.
 */
static bool have(struct netback_queue *q, unsigned want, bool wait)
{
	if (!take_posted(q, want))
		return false;
	if (window_len(q) >= want)
		return true;
	if (!wait)
		return false;
	/* Before req_event: an event that comes at once finds the flag. */
	atomic_store(&q->rx_waiting, true);
	PV_ABI_RING_SET(q->rx.sring->req_event, q->rx.req_cons + 1);
	xen_mb();
	if (!take_posted(q, want) || window_len(q) < want)
		return false;
	atomic_store(&q->rx_waiting, false);
	return true;
}

/* ---- answers ---------------------------------------------------------------------------------- */

static struct netif_rx_response *next_response(struct netback_queue *q)
{
	return RING_GET_RESPONSE(&q->rx, q->rx.rsp_prod_pvt++);
}

/* The window's first slot is done with. */
static void drop_first(struct netback_queue *q)
{
	const struct be_host_dev *host = &q->nb->host;
	struct be_page *page = &slot(q, 0)->page;

	if (page->ptr)
		host->ops->unmap(host->arg, page);
	page->ptr = NULL;
	q->win_head++;
}

/* Answers the window's first slot. */
static void answer(struct netback_queue *q, uint16_t flags, int16_t status)
{
	struct netif_rx_response *rsp = next_response(q);

	rsp->id = slot(q, 0)->id;
	rsp->offset = 0;
	rsp->flags = flags;
	rsp->status = status;
	drop_first(q);
}

/* The slot of a description: its buffer goes unused. */
static void answer_gso(struct netback_queue *q, const struct netpkt_meta *meta)
{
	struct netif_extra_info extra = { .type = XEN_NETIF_EXTRA_TYPE_GSO };

	extra.u.gso.size = meta->gso_size;
	extra.u.gso.type = meta->gso == NETPKT_GSO_TCPV4 ? XEN_NETIF_GSO_TYPE_TCPV4
	                                                 : XEN_NETIF_GSO_TYPE_TCPV6;
	_Static_assert(sizeof(extra) == sizeof(struct netif_rx_response), "they share slots");
	memcpy(next_response(q), &extra, sizeof(extra));
	drop_first(q);
}

/* Buffers at the window's head whose grants were bad go back with an error. */
static void refuse_bad(struct netback_queue *q, unsigned nr)
{
	while (nr--) {
		answer(q, 0, NETIF_RSP_ERROR);
		NETBACK_COUNT(q, rx_dropped, 1);
	}
}

/* ---- the sink --------------------------------------------------------------------------------- */

/* How many of the window's first want buffers, counted to the last bad one, cannot be used. */
static unsigned bad_prefix(struct netback_queue *q, unsigned want)
{
	for (unsigned i = want; i > 0; i--) {
		if (!slot(q, i - 1)->page.ptr)
			return i;
	}
	return 0;
}

static unsigned begin(void *arg, unsigned queue, uint32_t len, bool wait, struct iovec *iov)
{
	struct netback *nb = arg;
	struct netback_queue *q = &nb->queue[queue % nb->nr_queues];
	unsigned pages = (len + NETBACK_PAGE - 1) / NETBACK_PAGE, want, bad, nr = 0;
	bool gap = nb->port->offload && nb->fe_sg && (nb->fe_gso4 || nb->fe_gso6);

	q->lent = 0;
	if (atomic_load(&q->broken) || !len || len > NETPKT_MAX_LEN || (pages > 1 && !nb->fe_sg))
		return 0;
	want = pages + gap;
	for (;;) {
		if (!have(q, want, wait))
			return 0;
		bad = bad_prefix(q, want);
		if (!bad)
			break;
		refuse_bad(q, bad);
	}
	for (unsigned i = 0; i < want; i++) {
		uint32_t piece = len < NETBACK_PAGE ? len : NETBACK_PAGE;

		if (gap && i == 1)
			continue;
		iov[nr].iov_base = slot(q, i)->page.ptr;
		iov[nr++].iov_len = piece;
		len -= piece;
	}
	q->lent = want;
	q->lent_gap = gap;
	return nr;
}

/* The packet turned out to need no description: its data moves up into the slot left out. */
static void close_gap(struct netback_queue *q, uint32_t len)
{
	for (unsigned i = 1; (uint64_t)i * NETBACK_PAGE < len; i++) {
		uint32_t piece = len - i * NETBACK_PAGE;

		memcpy(slot(q, i)->page.ptr, slot(q, i + 1)->page.ptr,
		       piece < NETBACK_PAGE ? piece : NETBACK_PAGE);
	}
}

static void commit(void *arg, unsigned queue, const struct netpkt_meta *meta, uint32_t len)
{
	struct netback *nb = arg;
	struct netback_queue *q = &nb->queue[queue % nb->nr_queues];
	bool gso = meta->gso != NETPKT_GSO_NONE;
	uint16_t flags = 0;
	uint32_t left = len;

	/* takes() has said whether the guest can be given such a packet. */
	if (!q->lent || !len || (gso && !q->lent_gap)) {
		NETBACK_COUNT(q, rx_dropped, 1);
		return;
	}
	if (q->lent_gap && !gso)
		close_gap(q, len);
	if (meta->csum_partial)
		flags = NETRXF_csum_blank | NETRXF_data_validated;
	else if (meta->csum_valid)
		flags = NETRXF_data_validated;
	for (bool first = true; left; first = false) {
		uint32_t piece = left < NETBACK_PAGE ? left : NETBACK_PAGE;
		uint16_t more = left > piece ? NETRXF_more_data : 0;

		left -= piece;
		answer(q, flags | more | (first && gso ? NETRXF_extra_info : 0), (int16_t)piece);
		if (first && gso)
			answer_gso(q, meta);
		flags = 0;
	}
	q->lent = 0;
	NETBACK_COUNT(q, rx_packets, 1);
	NETBACK_COUNT(q, rx_bytes, len);
	NETBACK_COUNT(q, rx_gso, gso);
}

static void flush(void *arg, unsigned queue)
{
	struct netback *nb = arg;
	struct netback_queue *q = &nb->queue[queue % nb->nr_queues];
	int notify;

	if (atomic_load(&q->broken))
		return;
	RING_PUSH_RESPONSES_AND_CHECK_NOTIFY(&q->rx, notify);
	if (notify) {
		NETBACK_COUNT(q, events_out, 1);
		nb->host.ops->notify(nb->host.arg, q->rx_port);
	}
}

static void room(void *arg, unsigned queue)
{
	struct netback *nb = arg;

	netback_tx_room(&nb->queue[queue % nb->nr_queues]);
}

static void carrier(void *arg, bool up)
{
	struct netback *nb = arg;

	nb->host.ops->write(nb->host.arg, "carrier", up ? "1" : "0");
}

static bool takes(void *arg, const struct netpkt_meta *meta)
{
	const struct netback *nb = arg;

	if (meta->gso == NETPKT_GSO_TCPV4)
		return nb->fe_sg && nb->fe_gso4;
	if (meta->gso == NETPKT_GSO_TCPV6)
		return nb->fe_sg && nb->fe_gso6;
	return !meta->csum_partial || (nb->fe_csum4 && nb->fe_csum6);
}

static int lend(void *arg, unsigned queue, int fd, void (*ready)(void *ready_arg), void *ready_arg)
{
	const struct be_host_dev *host = &((struct netback *)arg)->host;

	return host->ops->lend ? host->ops->lend(host->arg, queue, fd, ready, ready_arg) : -ENOSYS;
}

static void take_back(void *arg, unsigned queue, int number)
{
	const struct be_host_dev *host = &((struct netback *)arg)->host;

	host->ops->take_back(host->arg, queue, number);
}

const struct netport_sink netback_sink = { .begin = begin,
	                                   .commit = commit,
	                                   .flush = flush,
	                                   .room = room,
	                                   .carrier = carrier,
	                                   .takes = takes,
	                                   .lend = lend,
	                                   .take_back = take_back };

/* ---- the guest's event, and the end ------------------------------------------------------------ */

void netback_rx_event(struct netback_queue *q)
{
	struct netport *port = q->nb->port;

	if (atomic_exchange(&q->rx_waiting, false))
		port->ops->wake(port, q->index);
}

/* The port is detached. Buffers that were not used are unmapped; the ring is gone with them. */
void netback_rx_drain(struct netback_queue *q)
{
	while (q->win_head != q->win_tail)
		drop_first(q);
}
