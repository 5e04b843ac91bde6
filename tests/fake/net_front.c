/* SPDX-License-Identifier: MIT */
/*
 * A front-end of netif and a port, for tests; net_front.h tells what they do.
 */
#include "tests/fake/net_front.h"

#include <stdlib.h>
#include <string.h>

void net_front_init(struct net_front *n, struct be_fake *f)
{
	n->f = f;
	for (unsigned i = NET_FRONT_DATA; i < f->nr_pages; i++)
		be_fake_grant(f, i, i, i < NET_FRONT_BUFS);
}

void net_front_rings(struct net_front *n)
{
	struct netif_tx_sring *ts = be_fake_page(n->f, NET_FRONT_TX_REF);
	struct netif_rx_sring *rs = be_fake_page(n->f, NET_FRONT_RX_REF);

	memset(ts, 0, BE_FAKE_PAGE);
	memset(rs, 0, BE_FAKE_PAGE);
	XEN_FRONT_RING_INIT(&n->tx, ts, BE_FAKE_PAGE);
	XEN_FRONT_RING_INIT(&n->rx, rs, BE_FAKE_PAGE);
	be_fake_grant(n->f, NET_FRONT_TX_REF, NET_FRONT_TX_REF, false);
	be_fake_grant(n->f, NET_FRONT_RX_REF, NET_FRONT_RX_REF, false);
	n->f->port[NET_FRONT_TX_PORT].offered = true;
	n->f->port[NET_FRONT_RX_PORT].offered = true;
}

void net_front_nodes(struct net_front *n)
{
	static const char *const ones[] = { "request-rx-copy", "feature-sg", "feature-gso-tcpv4",
		                            "feature-gso-tcpv6", "feature-ipv6-csum-offload" };

	be_fake_setn(n->f, BE_FRONT, "tx-ring-ref", NET_FRONT_TX_REF);
	be_fake_setn(n->f, BE_FRONT, "rx-ring-ref", NET_FRONT_RX_REF);
	be_fake_setn(n->f, BE_FRONT, "event-channel-tx", NET_FRONT_TX_PORT);
	be_fake_setn(n->f, BE_FRONT, "event-channel-rx", NET_FRONT_RX_PORT);
	for (size_t i = 0; i < sizeof(ones) / sizeof(ones[0]); i++)
		be_fake_setn(n->f, BE_FRONT, ones[i], 1);
}

void net_front_tx(struct net_front *n, unsigned ref, unsigned offset, unsigned size, unsigned flags)
{
	struct netif_tx_request *req = RING_GET_REQUEST(&n->tx, n->tx.req_prod_pvt);

	req->gref = ref;
	req->offset = (uint16_t)offset;
	req->size = (uint16_t)size;
	req->flags = (uint16_t)flags;
	req->id = (uint16_t)(n->tx.req_prod_pvt % NET_FRONT_RING);
	n->tx.req_prod_pvt++;
}

void net_front_extra(struct net_front *n, unsigned type, unsigned flags, unsigned gso_type,
                     unsigned gso_size)
{
	struct netif_extra_info *e = (void *)RING_GET_REQUEST(&n->tx, n->tx.req_prod_pvt);

	memset(e, 0, sizeof(*e));
	e->type = (uint8_t)type;
	e->flags = (uint8_t)flags;
	e->u.gso.type = (uint8_t)gso_type;
	e->u.gso.size = (uint16_t)gso_size;
	n->tx.req_prod_pvt++;
}

bool net_front_push(struct net_front *n)
{
	int notify;

	RING_PUSH_REQUESTS_AND_CHECK_NOTIFY(&n->tx, notify);
	if (notify)
		be_fake_send(n->f, NET_FRONT_TX_PORT);
	return notify;
}

void net_front_post(struct net_front *n, unsigned nr)
{
	int notify;

	for (unsigned i = 0; i < nr; i++) {
		struct netif_rx_request *req = RING_GET_REQUEST(&n->rx, n->rx.req_prod_pvt);
		unsigned slot = n->rx.req_prod_pvt++ % NET_FRONT_RING;

		req->id = (uint16_t)slot;
		req->gref = NET_FRONT_BUFS + slot;
	}
	RING_PUSH_REQUESTS_AND_CHECK_NOTIFY(&n->rx, notify);
	if (notify)
		be_fake_send(n->f, NET_FRONT_RX_PORT);
}

/* ---- the port ---- */

static int port_attach(struct netport *port, const struct netport_sink *sink, unsigned nr_queues)
{
	struct net_port *p = (struct net_port *)port;

	memset(&p->sink, 0, sizeof(p->sink));
	if (sink)
		p->sink = *sink;
	p->attached = sink != NULL;
	p->queues = nr_queues;
	return 0;
}

/* What a port relies on. */
static void check(const struct netport *port, const struct netpkt *pkt)
{
	uint32_t sum = 0;

	for (unsigned i = 0; i < pkt->nr_iov; i++)
		sum += (uint32_t)pkt->iov[i].iov_len;
	if (sum != pkt->len || pkt->len > NETPKT_MAX_LEN || pkt->len < NETPKT_MIN_LEN ||
	    pkt->nr_iov > NETPKT_MAX_IOV ||
	    (pkt->meta.csum_partial &&
	     pkt->meta.csum_start + pkt->meta.csum_offset + 2u > pkt->iov[0].iov_len) ||
	    (pkt->meta.gso && (!pkt->meta.gso_size || pkt->meta.hdr_len > pkt->iov[0].iov_len)) ||
	    (!port->offload && (pkt->meta.gso || pkt->meta.csum_partial)))
		abort();
}

static unsigned port_send(struct netport *port, unsigned queue, struct netpkt *pkts, unsigned nr)
{
	struct net_port *p = (struct net_port *)port;
	unsigned i;

	(void)queue;
	for (i = 0; i < nr && p->room; i++, p->room--) {
		unsigned at = p->nr_sent++ % NET_PORT_SENT;

		check(port, &pkts[i]);
		netpkt_copy_out(&pkts[i], 0, p->sent[at].bytes, pkts[i].len);
		p->sent[at].meta = pkts[i].meta;
		p->sent[at].len = pkts[i].len;
	}
	return i;
}

static void port_wake(struct netport *port, unsigned queue)
{
	(void)queue;
	((struct net_port *)port)->wakes++;
}

static void port_close(struct netport *port)
{
	(void)port;
}

void net_port_init(struct net_port *p)
{
	static const struct netport_ops ops = {
		.attach = port_attach, .send = port_send, .wake = port_wake, .close = port_close
	};

	/* What was sent is large, and is not looked at beyond nr_sent. */
	memset(p, 0, offsetof(struct net_port, sent));
	p->nr_sent = 0;
	p->port = (struct netport){ &ops, "fake", true, 4, 1500 };
	p->room = 1000;
}

bool net_port_deliver(struct net_port *p, const uint8_t *bytes, uint32_t len, uint32_t ask,
                      const struct netpkt_meta *meta)
{
	struct iovec iov[NETPKT_MAX_IOV];
	unsigned nr = p->sink.begin(p->sink.arg, 0, ask, true, iov);
	uint32_t done = 0;

	if (!nr)
		return false;
	for (unsigned i = 0; i < nr && done < len; i++) {
		uint32_t piece = len - done;

		if (piece > iov[i].iov_len)
			piece = (uint32_t)iov[i].iov_len;
		memcpy(iov[i].iov_base, bytes + done, piece);
		done += piece;
	}
	if (done != len)
		abort();
	p->sink.commit(p->sink.arg, 0, meta, len);
	p->sink.flush(p->sink.arg, 0);
	return true;
}
