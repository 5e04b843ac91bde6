/* SPDX-License-Identifier: MIT */
/*
 * The network front-end's transmit ring: slots and grants of packets that leave, and their answers.
 * All with the queue's lock held.
 *
 * What has been answered goes to the queue's list `done` at once, and its slots are free again; the
 * kernel is given it back later, by who serves the queue (netfront.c).
 *
 * Invariant: a slot's grant is in force from before its request is pushed until one response for it
 * has been taken; a response for anything else is a lie, and ends the use of the rings.
 */
#include "frontends/netfront.h"

#include "abi/errno.h"
#include "pvops/lib/string.h"
#include "pvops/p2m.h"

#define TX_NEED (NETDEV_MAX_FRAGS + 1)

static unsigned take_slot(struct netfront_queue *q)
{
	unsigned id = q->first_free;

	q->first_free = q->tx_slots->next[id];
	q->free_tx--;
	return id;
}

void netfront_tx_free(struct netfront_queue *q, unsigned id)
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

void netfront_tx_put(struct netfront_queue *q, const struct netdev_packet *pkt)
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

int netfront_tx_check(const struct netfront *f, const struct netdev_packet *pkt)
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

/* One response; a packet whose last one it was is done. False: it is a lie. */
static bool take_response(struct netfront_queue *q, const struct netif_tx_response *rsp)
{
	struct netfront_tx_slots *s = q->tx_slots;
	unsigned first;

	/* Slots of descriptions are answered so, and their ids mean nothing. */
	if (rsp->status == NETIF_RSP_NULL)
		return true;
	if (rsp->id >= NETFRONT_SLOTS || s->state[rsp->id] != NETFRONT_UNDER_WAY ||
	    !pv_gnttab_clear(s->ref[rsp->id])) {
		netfront_accuse(q->front, "answers slot %u, which it %s", rsp->id,
		                rsp->id < NETFRONT_SLOTS && s->state[rsp->id] ? "goes on using"
		                                                              : "was not given");
		return false;
	}
	first = s->first[rsp->id];
	if (rsp->id != first)
		netfront_tx_free(q, rsp->id);
	else
		s->state[first] = NETFRONT_ANSWERED;
	if (--s->left[first])
		return true;
	q->done[q->done_tail++ % NETFRONT_SLOTS] =
		(struct netfront_done){ s->arg[first], rsp->status == NETIF_RSP_OKAY };
	netfront_tx_free(q, first);
	return true;
}

void netfront_tx_answers(struct netfront_queue *q)
{
	RING_IDX prod = pv_load_acquire(&q->tx.sring->rsp_prod);
	RING_IDX pushed = q->pushed - q->tx.rsp_cons;

	if (!q->is_up || prod == q->tx.rsp_cons)
		return;
	if (prod - q->tx.rsp_cons > pushed) {
		netfront_accuse(q->front, "has answered more than was sent");
		q->is_up = false;
		return;
	}
	while (q->tx.rsp_cons != prod && netfront_has_done_room(q)) {
		struct netif_tx_response rsp;

		RING_COPY_RESPONSE(&q->tx, q->tx.rsp_cons, &rsp);
		q->tx.rsp_cons++;
		if (!take_response(q, &rsp)) {
			q->is_up = false;
			return;
		}
	}
}

static bool has_room(const struct netfront_queue *q)
{
	return q->free_tx >= TX_NEED && RING_FREE_REQUESTS(&q->tx) >= TX_NEED;
}

/*
 *   here                                       back-end
 *   1. is_stalled rises                        a. writes rsp_prod
 *   2. writes rsp_event, full barrier          b. full barrier, reads rsp_event
 *   3. reads rsp_prod; something new: looks    c. beyond it: sends the event
 *
 * Either 3 sees what a wrote, or b sees what 2 wrote. Half of what is under way is waited for, so
 * that the event brings room for a batch.
 */
bool netfront_tx_room(struct netfront_queue *q, bool *serve)
{
	*serve = false;
	while (q->is_up && !has_room(q)) {
		RING_IDX from = q->tx.rsp_cons;

		netfront_tx_answers(q);
		if (q->tx.rsp_cons != from)
			continue;
		q->is_stalled = true;
		/* Answers that find no place wait for the kernel to take others. */
		*serve = !netfront_has_done_room(q);
		PV_ABI_RING_SET(q->tx.sring->rsp_event, from + (q->pushed - from) / 2 + 1);
		pv_mb();
		if (*serve || PV_ABI_RING_GET(q->tx.sring->rsp_prod) == from)
			return false;
	}
	return q->is_up;
}

bool netfront_tx_push(struct netfront_queue *q)
{
	int notify = 0;

	if (q->is_up && q->pushed != q->tx.req_prod_pvt) {
		RING_PUSH_REQUESTS_AND_CHECK_NOTIFY(&q->tx, notify);
		q->pushed = q->tx.req_prod_pvt;
	}
	q->stats.notifications += notify != 0;
	return notify;
}
