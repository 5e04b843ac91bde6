/* SPDX-License-Identifier: MIT */
/*
 * A guest with a network interface, in one process (front_world.h), and a network back-end that does
 * as the test wants: it answers at once or later, sends what the test lays, lies.
 *
 * The back-end moves when the front-end waits (tick), and takes requests when it is notified, if it
 * is `prompt`.
 */
#ifndef TESTS_UNIT_NET_WORLD_H
#define TESTS_UNIT_NET_WORLD_H

#define FRONT "/local/domain/1/device/vif/0"
#define BACK  "/local/domain/0/backend/vif/1/0"
#define NODE  "device/vif/0"
#include "tests/unit/front_world.h"

#include "abi/io/netif.h"
#include "frontends/netfront.h"

#define MAX_QUEUES 4u
#define MAX_TAKEN  2048u
#define RING       256u

struct net_ring {
	struct netif_tx_back_ring tx;
	struct netif_rx_back_ring rx;
	evtchn_port_t tx_port, rx_port;
	unsigned nr_unanswered; /* of taken[] */
	struct netif_tx_request unanswered[RING];
	bool is_extra[RING];
};

static struct {
	/* what it offers; NULL: nothing said */
	const char *queues, *mtu, *mac, *carrier;
	bool split, sg, gso, csum6, no_copy;
	/* how it behaves */
	bool prompt;       /* answers when notified */
	bool holds;        /* answers without letting go of what is granted */
	bool still;        /* does not move its state */
	unsigned connects; /* how often it has connected */
	bool connected;
	unsigned stale; /* number of a connection of the front-end's that is over */
	unsigned nr_rings;
	struct net_ring rings[MAX_QUEUES];
	unsigned notified, events;
	/* what was sent, in order */
	struct netif_tx_request taken[MAX_TAKEN];
	unsigned nr_taken;
} back;

/* ---- connecting ------------------------------------------------------------------------------ */

static void back_begin(void)
{
	back_offer("feature-rx-copy", back.no_copy ? "0" : "1");
	back_offer("feature-sg", back.sg ? "1" : "0");
	back_offer("feature-gso-tcpv4", back.gso ? "1" : "0");
	back_offer("feature-gso-tcpv6", back.gso ? "1" : "0");
	back_offer("feature-ipv6-csum-offload", back.csum6 ? "1" : "0");
	back_offer("feature-split-event-channels", back.split ? "1" : "0");
	back_offer("multi-queue-max-queues", back.queues);
	back_offer("mtu", back.mtu);
	back_offer("mac", back.mac);
	back_offer("carrier", back.carrier);
	back.stale = 0;
	back_state(XenbusStateInitWait);
}

static unsigned queue_number(unsigned n, const char *node)
{
	char path[64];

	snprintf(path, sizeof(path), back.nr_rings > 1 ? "queue-%u/%s" : "%.0u%s", n, node);
	return front_number(back.nr_rings > 1 ? path : node, 0);
}

static void back_connect(void)
{
	unsigned n;

	back.nr_rings = front_number("multi-queue-num-queues", 1);
	ck_assert_uint_ge(back.nr_rings, 1);
	ck_assert_uint_le(back.nr_rings, MAX_QUEUES);
	ck_assert_uint_eq(front_number("request-rx-copy", 0), 1);
	for (n = 0; n < back.nr_rings; n++) {
		struct net_ring *r = &back.rings[n];
		grant_ref_t tx = queue_number(n, "tx-ring-ref"),
			    rx = queue_number(n, "rx-ring-ref");

		memset(r, 0, sizeof(*r));
		BACK_RING_INIT(&r->tx, (struct netif_tx_sring *)granted_page(tx, true),
		               PV_PAGE_SIZE);
		BACK_RING_INIT(&r->rx, (struct netif_rx_sring *)granted_page(rx, true),
		               PV_PAGE_SIZE);
		hold(tx);
		hold(rx);
		r->tx_port = queue_number(n, back.split ? "event-channel-tx" : "event-channel");
		r->rx_port = queue_number(n, back.split ? "event-channel-rx" : "event-channel");
		ck_assert_uint_ge(r->tx_port, FIRST_PORT);
		ck_assert_uint_ge(r->rx_port, FIRST_PORT);
	}
	back.connected = true;
	back.connects++;
}

static void back_disconnect(void)
{
	back.connected = false;
	if (!back.holds)
		let_go_of_all();
}

/* As by network-restart: the front-end is connected to what is there no longer. */
static void back_restart(void)
{
	back_disconnect();
	back_begin();
	back.stale = front_number("feature-reconnect", 0);
}

static void back_move(void)
{
	unsigned state = back_state_now();

	switch (front_state()) {
	case XenbusStateInitialising:
		if (state == XenbusStateClosed)
			back_begin();
		break;
	case XenbusStateConnected:
		if (state == XenbusStateInitWait && !back.connected &&
		    front_number("feature-reconnect", 0) != back.stale) {
			back_connect();
			back_state(XenbusStateConnected);
		}
		break;
	case XenbusStateClosing:
		if (state == XenbusStateConnected)
			back_state(XenbusStateClosing);
		break;
	case XenbusStateClosed:
		if (state != XenbusStateClosed) {
			back_disconnect();
			back_state(XenbusStateClosed);
		}
		break;
	default:
		break;
	}
}

/* ---- transmit -------------------------------------------------------------------------------- */

/* Copies requests out; none is answered. */
static void back_take(unsigned n)
{
	struct net_ring *r = &back.rings[n];
	bool extra = false;
	int more = 1;

	while (more) {
		while (RING_HAS_UNCONSUMED_REQUESTS(&r->tx)) {
			struct netif_tx_request rq;

			RING_COPY_REQUEST(&r->tx, r->tx.req_cons, &rq);
			r->tx.req_cons++;
			r->is_extra[r->nr_unanswered] = extra;
			r->unanswered[r->nr_unanswered++] = rq;
			if (!extra) {
				granted_page(rq.gref, false);
				if (back.holds)
					hold(rq.gref);
			}
			back.taken[back.nr_taken++ % MAX_TAKEN] = rq;
			extra = !extra && rq.flags & NETTXF_extra_info;
		}
		RING_FINAL_CHECK_FOR_REQUESTS(&r->tx, more);
	}
}

static void tx_response(unsigned n, unsigned id, int status)
{
	struct net_ring *r = &back.rings[n];

	*RING_GET_RESPONSE(&r->tx, r->tx.rsp_prod_pvt) =
		(struct netif_tx_response){ .id = (uint16_t)id, .status = (int16_t)status };
	r->tx.rsp_prod_pvt++;
}

static void tx_push(unsigned n)
{
	int notify;

	RING_PUSH_RESPONSES_AND_CHECK_NOTIFY(&back.rings[n].tx, notify);
	if (notify) {
		back.events++;
		raise_event(back.rings[n].tx_port);
	}
}

/* Answers the first nr of what was taken; an event, if the front-end asked for one. */
static void back_answer(unsigned n, unsigned nr)
{
	struct net_ring *r = &back.rings[n];
	unsigned i;

	ck_assert_uint_le(nr, r->nr_unanswered);
	for (i = 0; i < nr; i++)
		tx_response(n, r->is_extra[i] ? 0 : r->unanswered[i].id,
		            r->is_extra[i] ? NETIF_RSP_NULL : NETIF_RSP_OKAY);
	r->nr_unanswered -= nr;
	memmove(r->unanswered, r->unanswered + nr, r->nr_unanswered * sizeof(r->unanswered[0]));
	memmove(r->is_extra, r->is_extra + nr, r->nr_unanswered * sizeof(r->is_extra[0]));
	tx_push(n);
}

static void back_serve(unsigned n)
{
	back_take(n);
	back_answer(n, back.rings[n].nr_unanswered);
}

/* ---- receive --------------------------------------------------------------------------------- */

/* The next response; its slot's buffer, filled with byte. len may be an error, or a lie. */
static void rx_put(unsigned n, unsigned offset, int len, unsigned flags, uint8_t byte)
{
	struct net_ring *r = &back.rings[n];
	struct netif_rx_request rq;

	ck_assert_uint_ne(r->rx.req_cons, PV_ABI_RING_GET(r->rx.sring->req_prod));
	RING_COPY_REQUEST(&r->rx, r->rx.req_cons, &rq);
	r->rx.req_cons++;
	if (len > 0 && offset + (unsigned)len <= PV_PAGE_SIZE)
		memset((uint8_t *)granted_page(rq.gref, true) + offset, byte, (size_t)len);
	if (back.holds)
		hold(rq.gref);
	*RING_GET_RESPONSE(&r->rx, r->rx.rsp_prod_pvt) =
		(struct netif_rx_response){ .id = rq.id,
		                            .offset = (uint16_t)offset,
		                            .flags = (uint16_t)flags,
		                            .status = (int16_t)len };
	r->rx.rsp_prod_pvt++;
}

static void rx_put_extra(unsigned n, unsigned type, unsigned flags, unsigned gso_type,
                         unsigned size)
{
	struct net_ring *r = &back.rings[n];
	struct netif_extra_info e = { .type = (uint8_t)type, .flags = (uint8_t)flags };

	e.u.gso.type = (uint8_t)gso_type;
	e.u.gso.size = (uint16_t)size;
	r->rx.req_cons++;
	memcpy(RING_GET_RESPONSE(&r->rx, r->rx.rsp_prod_pvt++), &e, sizeof(e));
}

static void rx_push(unsigned n)
{
	int notify;

	RING_PUSH_RESPONSES_AND_CHECK_NOTIFY(&back.rings[n].rx, notify);
	if (notify) {
		back.events++;
		raise_event(back.rings[n].rx_port);
	}
}

/* ---- the whole ------------------------------------------------------------------------------- */

static void deliver_events(void)
{
	pv_evtchn_dispatch();
}

static void net_tick(void)
{
	if (!back.still)
		back_move();
	deliver_events();
}

static void net_told(evtchn_port_t port)
{
	unsigned n;

	back.notified++;
	for (n = 0; back.prompt && n < back.nr_rings; n++)
		if (back.rings[n].tx_port == port)
			back_serve(n);
}

static void net_begin(void)
{
	memset(&back, 0, sizeof(back));
	back.sg = back.gso = back.csum6 = back.split = true;
	back.mac = "00:16:3e:0a:0b:0c";
	front_begin(net_tick, net_told);
	back_begin();
}

static void net_end(void)
{
	world_end();
}

#endif
