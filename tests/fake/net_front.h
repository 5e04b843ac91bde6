/* SPDX-License-Identifier: MIT */
/*
 * Both neighbours of a network back-end, for its tests, on a host out of plain memory (be_fake.h): a
 * front-end of netif that keeps the protocol unless the test reaches into its rings, and a port that
 * takes as much as the test lets it.
 *
 * The number of a reference is that of its page. One queue; both rings are of one page.
 */
#ifndef TESTS_FAKE_NET_FRONT_H
#define TESTS_FAKE_NET_FRONT_H

#include "abi/io/netif.h"
#include "backends/netback.h"
#include "backends/netpkt.h"
#include "tests/fake/be_fake.h"

#define NET_FRONT_TX_REF  10 /* grant and page of the rings */
#define NET_FRONT_RX_REF  11
#define NET_FRONT_TX_PORT 3
#define NET_FRONT_RX_PORT 4
#define NET_FRONT_DATA    100 /* first grant of a page with data, granted for reading */
#define NET_FRONT_BUFS    300 /* of empty pages */
#define NET_FRONT_PAGES   600
#define NET_FRONT_RING    256

struct net_front {
	struct be_fake *f;
	struct netif_tx_front_ring tx;
	struct netif_rx_front_ring rx;
};

/* Grants of data and buffers, and the ports that are offered. Once for a host. */
void net_front_init(struct net_front *n, struct be_fake *f);
/* New rings, and ports offered again: before each connection. */
void net_front_rings(struct net_front *n);
/* All that a front-end writes before its state. */
void net_front_nodes(struct net_front *n);

/* The next slot of the transmit ring; not pushed. */
void net_front_tx(struct net_front *n, unsigned ref, unsigned offset, unsigned size,
                  unsigned flags);
void net_front_extra(struct net_front *n, unsigned type, unsigned flags, unsigned gso_type,
                     unsigned gso_size);
/* Shows the requests; sends the event, and returns true, if the back-end wants one. */
bool net_front_push(struct net_front *n);
/* Posts nr empty pages. */
void net_front_post(struct net_front *n, unsigned nr);

/* ---- the port ---- */

#define NET_PORT_SENT 64

struct net_port {
	struct netport port; /* first */
	struct netport_sink sink;
	unsigned queues, wakes;
	unsigned room; /* packets that it takes */
	bool attached;
	struct {
		uint8_t bytes[70000];
		struct netpkt_meta meta;
		uint32_t len;
	} sent[NET_PORT_SENT];
	unsigned nr_sent; /* the last ones are kept */
};

/* What it is given is checked: abort() when lengths disagree. */
void net_port_init(struct net_port *p);
/* One packet from outside, as a port does it, after asking for room for so many bytes. False: there was no room. */
bool net_port_deliver(struct net_port *p, const uint8_t *bytes, uint32_t len, uint32_t ask,
                      const struct netpkt_meta *meta);

#endif
