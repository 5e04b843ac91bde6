/* SPDX-License-Identifier: MIT */
/*
 * The network back-end out of noise: a front-end that writes whatever the bytes say into its rings, its
 * pages and its folder of the store, and a port that delivers, refuses and runs out of room. The host
 * and the port abort when they are given what must not be (tests/fake/).
 *
 * The input is a byte that says what the port and the front-end can, then a list of steps: one byte that
 * says what, one byte of length, and so many bytes for that step.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "backends/bus.h"
#include "tests/fake/net_front.h"
#include "tests/fuzz/steps.h"

int fuzz_netback(const uint8_t *data, size_t len);

#define DATA_PAGES 16u                   /* that steps write and send from */
#define NR_PAGES   (NET_FRONT_BUFS + 48) /* the other buffers have bad grants */

struct world {
	struct be_fake f;
	struct netback *b;
	struct be_bus bus;
	struct net_front front;
};

static struct net_port port; /* large */

static const char *const keys[] = {
	"state",
	"tx-ring-ref",
	"rx-ring-ref",
	"event-channel",
	"event-channel-tx",
	"event-channel-rx",
	"request-rx-copy",
	"multi-queue-num-queues",
	"queue-0/tx-ring-ref",
	"queue-1/rx-ring-ref",
	"queue-1/event-channel-tx",
	"feature-sg",
	"feature-gso-tcpv4",
	"feature-gso-tcpv6",
	"feature-no-csum-offload",
	"feature-ipv6-csum-offload",
};

static void must(int ok)
{
	if (!ok)
		abort();
}

static void choose(struct world *w, const char *node, bool on)
{
	be_fake_setn(&w->f, BE_FRONT, node, on);
}

static void publish(struct world *w, uint8_t how)
{
	net_front_rings(&w->front);
	net_front_nodes(&w->front);
	choose(w, "feature-sg", !(how & 2));
	choose(w, "feature-gso-tcpv4", !(how & 4));
	choose(w, "feature-no-csum-offload", how & 8);
	be_fake_setn(&w->f, BE_FRONT, "state", 4);
	be_bus_front_changed(&w->bus);
}

static void begin(struct world *w, uint8_t how)
{
	const struct netback_options options = { .max_queues = 2 };

	be_fake_init(&w->f, NR_PAGES, NET_FRONT_PAGES);
	net_port_init(&port);
	port.port.offload = how & 1;
	net_front_init(&w->front, &w->f);
	must(!netback_create(&w->b, &w->f.host, &port.port, &options));
	must(!be_bus_start(&w->bus, &netback_driver, w->b, &w->f.host));
	publish(w, how);
	must(w->bus.connected);
}

static void end(struct world *w)
{
	be_bus_drop(&w->bus);
	must(!port.attached);
	netback_destroy(w->b);
	be_fake_fini(&w->f);
}

/* Bytes into the next slot of a ring, as they are. */
static void raw_slot(struct world *w, const uint8_t *b, size_t len)
{
	if (len < 2)
		return;
	if (b[0] & 1)
		memcpy(RING_GET_REQUEST(&w->front.rx, w->front.rx.req_prod_pvt++), b + 1,
		       len - 1 < sizeof(struct netif_rx_request) ? len - 1
		                                                 : sizeof(struct netif_rx_request));
	else
		memcpy(RING_GET_REQUEST(&w->front.tx, w->front.tx.req_prod_pvt++), b + 1,
		       len - 1 < sizeof(struct netif_tx_request) ? len - 1
		                                                 : sizeof(struct netif_tx_request));
}

/* A slot that is nearly right: page, place / 16, size / 16, flags; sizes near a limit by small numbers. */
static void nice_slot(struct world *w, const uint8_t *b, size_t len)
{
	if (len < 4)
		return;
	net_front_tx(&w->front, NET_FRONT_DATA + b[0] % DATA_PAGES, b[1] * 16u,
	             b[2] * 16u + b[3] / 16, b[3] & 15);
}

static void description(struct world *w, const uint8_t *b, size_t len)
{
	if (len < 5)
		return;
	net_front_extra(&w->front, b[0], b[1], b[2], b[3] | (unsigned)b[4] << 8);
}

/* Headers of TCP over IPv4 or IPv6 into a page, and bytes over them. */
static void lay_packet(struct world *w, const uint8_t *b, size_t len)
{
	uint8_t *p;

	if (len < 3)
		return;
	p = be_fake_page(&w->f, NET_FRONT_DATA + b[0] % DATA_PAGES);
	memset(p, 0, 128);
	p[12] = b[1] & 1 ? 0x86 : 0x08;
	p[13] = b[1] & 1 ? 0xdd : 0x00;
	p[14] = b[1] & 1 ? 0x60 : 0x45;
	p[b[1] & 1 ? 20 : 23] = b[1] & 2 ? 17 : 6;
	p[b[1] & 1 ? 66 : 46] = 0x50;
	memcpy(p + b[2], b + 3, len - 3);
}

static void poke_ring(struct world *w, const uint8_t *b, size_t len)
{
	uint32_t *index, value = 0;

	if (len < 3)
		return;
	index = b[0] & 1 ? &w->front.rx.sring->req_prod : &w->front.tx.sring->req_prod;
	memcpy(&value, b + 2, len - 2 < 4 ? len - 2 : 4);
	/* Small numbers go beside what is there: those are the interesting ones. */
	if (len == 3)
		value = index[2] + (uint32_t)(int8_t)b[2];
	index[b[1] % 4] = value;
}

static void write_key(struct world *w, const uint8_t *b, size_t len)
{
	char value[32] = "";
	size_t n = len > 1 ? len - 1 : 0;

	if (!len)
		return;
	memcpy(value, b + 1, n < sizeof(value) - 1 ? n : sizeof(value) - 1);
	be_fake_set(&w->f, BE_FRONT, keys[b[0] % (sizeof(keys) / sizeof(keys[0]))],
	            len > 1 ? value : NULL);
	be_bus_front_changed(&w->bus);
}

static void reconnect(struct world *w, uint8_t how)
{
	be_fake_setn(&w->f, BE_FRONT, "state", 6);
	be_bus_front_changed(&w->bus);
	if (be_fake_mapped(&w->f))
		abort();
	w->f.nr_nodes = 0;
	be_fake_setn(&w->f, BE_FRONT, "state", 1);
	be_bus_front_changed(&w->bus);
	publish(w, how);
}

/* A packet from outside: its length, what is asked for, kind. */
static void from_outside(const uint8_t *b, size_t len)
{
	static uint8_t bytes[NETPKT_MAX_LEN];
	struct netpkt_meta meta = { 0 };
	uint32_t n, ask;

	if (len < 4 || !port.attached)
		return;
	n = (b[0] | (uint32_t)b[1] << 8) + 14;
	ask = b[2] & 1 ? NETPKT_MAX_LEN : n;
	meta.csum_partial = b[2] & 2;
	meta.gso = b[2] & 4 ? NETPKT_GSO_TCPV4 : b[2] & 8 ? NETPKT_GSO_TCPV6 : NETPKT_GSO_NONE;
	meta.gso_size = meta.gso ? b[3] + 1u : 0;
	if (n > NETPKT_MAX_LEN || !port.sink.takes(port.sink.arg, &meta) ||
	    (meta.gso && !port.port.offload))
		return;
	net_port_deliver(&port, bytes, n, ask, &meta);
}

static void port_acts(const uint8_t *b, size_t len)
{
	if (!len || !port.attached)
		return;
	port.room = b[0] & 0x80 ? 1000 : b[0];
	if (b[0] & 1)
		port.sink.room(port.sink.arg, 0);
	if (b[0] & 2)
		port.sink.flush(port.sink.arg, 0);
}

static void step(void *world, uint8_t what, const uint8_t *b, size_t len)
{
	struct world *w = world;

	switch (what % 12) {
	case 0:
		raw_slot(w, b, len);
		break;
	case 1:
	case 2:
		nice_slot(w, b, len);
		break;
	case 3:
		description(w, b, len);
		break;
	case 4:
		lay_packet(w, b, len);
		break;
	case 5:
		poke_ring(w, b, len);
		break;
	case 6:
		write_key(w, b, len);
		break;
	case 7:
		if (len && b[0] % 4 == 0)
			reconnect(w, len > 1 ? b[1] : 0);
		else if (len)
			be_fake_revoke(&w->f, b[0] & 1 ? NET_FRONT_DATA + b[0] % DATA_PAGES
			                               : NET_FRONT_BUFS + 0u + b[0]);
		break;
	case 8:
		from_outside(b, len);
		break;
	case 9:
		port_acts(b, len);
		break;
	case 10:
		net_front_post(&w->front, len ? b[0] % 40 : 1);
		break;
	default:
		net_front_push(&w->front);
		be_fake_send(&w->f, what & 16 ? NET_FRONT_RX_PORT : NET_FRONT_TX_PORT);
	}
}

int fuzz_netback(const uint8_t *data, size_t len)
{
	static struct world w;

	if (!len)
		return 0;
	memset(&w, 0, sizeof(w));
	begin(&w, data[0]);
	fuzz_steps(&w, step, data + 1, len - 1);
	end(&w);
	return 0;
}
