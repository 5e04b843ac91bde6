/* SPDX-License-Identifier: MIT */
/*
 * The network front-end's receive ring: empty pages given to the back-end, and packets made of what
 * comes back. All with the queue's lock held.
 *
 * Invariant: a page is found by the index of its slot, never by what a response says; it belongs to
 * nobody else before its grant has ended.
 */
#include "frontends/netfront.h"

#include "pvops/lib/string.h"
#include "pvops/p2m.h"

bool netfront_rx_post(struct netfront_queue *q)
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

enum netfront_taken netfront_rx_take(struct netfront_queue *q, struct netdev_packet *pkt)
{
	RING_IDX prod = pv_load_acquire(&q->rx.sring->rsp_prod);
	unsigned there = prod - q->rx.rsp_cons;
	struct rx_scan s;

	if (!there)
		return NETFRONT_TAKEN_NONE;
	if (there > q->rx.req_prod_pvt - q->rx.rsp_cons) {
		netfront_accuse(q->front, "has filled more buffers than it was given");
		q->is_up = false;
		return NETFRONT_TAKEN_NONE;
	}
	if (!scan(q, there, &s)) {
		if (there < NETFRONT_SLOTS)
			return NETFRONT_TAKEN_NONE;
		netfront_accuse(q->front, "sends a packet without end");
		q->is_up = false;
		return NETFRONT_TAKEN_NONE;
	}
	collect(q, &s, pkt);
	if (s.good && q->is_up) {
		q->stats.rx_packets++;
		q->stats.rx_bytes += pkt->len;
		return NETFRONT_TAKEN_PACKET;
	}
	q->stats.rx_errors++;
	while (pkt->nr_frags)
		pv_page_free((void *)((uintptr_t)pkt->frags[--pkt->nr_frags].va & PV_PAGE_MASK));
	return NETFRONT_TAKEN_BAD;
}

bool netfront_rx_rest(struct netfront_queue *q)
{
	RING_IDX seen = PV_ABI_RING_GET(q->rx.sring->rsp_prod);

	/* The rest of a packet that is not whole is waited for as well. */
	PV_ABI_RING_SET(q->rx.sring->rsp_event, seen + 1);
	pv_mb();
	return PV_ABI_RING_GET(q->rx.sring->rsp_prod) != seen;
}
