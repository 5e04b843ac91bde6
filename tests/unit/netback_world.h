/* SPDX-License-Identifier: MIT */
/*
 * A network back-end between a front-end and a port that are the test's (tests/fake/net_front.h).
 * Included by the tests of it.
 */
#ifndef TESTS_UNIT_NETBACK_WORLD_H
#define TESTS_UNIT_NETBACK_WORLD_H

#include <check.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "backends/bus.h"
#include "tests/fake/net_front.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define DATA         NET_FRONT_DATA
#define BUFS         NET_FRONT_BUFS
#define RING         NET_FRONT_RING
#define TX_PORT      NET_FRONT_TX_PORT
#define RX_PORT      NET_FRONT_RX_PORT

static struct be_fake f;
static struct be_bus bus;
static struct netback *nb;
static struct net_front fe;
static struct net_port port;

static void front(unsigned state)
{
	be_fake_setn(&f, BE_FRONT, "state", state);
	be_bus_front_changed(&bus);
}

static void start(uint64_t rate)
{
	struct netback_options opt = { .mac = { 0, 0x16, 0x3e, 1, 2, 3 }, .rate = rate };

	net_port_init(&port);
	be_fake_init(&f, NET_FRONT_PAGES, NET_FRONT_PAGES);
	net_front_init(&fe, &f);
	ck_assert_int_eq(netback_create(&nb, &f.host, &port.port, &opt), 0);
	ck_assert_int_eq(be_bus_start(&bus, &netback_driver, nb, &f.host), 0);
	net_front_rings(&fe);
	net_front_nodes(&fe);
}

static void set_up(void)
{
	start(0);
	front(XenbusStateConnected);
	ck_assert_int_eq(bus.state, XenbusStateConnected);
}

/* Nothing of the guest's stays mapped or bound: be_fake_fini() looks. */
static void tear_down(void)
{
	be_bus_drop(&bus);
	ck_assert(!port.attached);
	netback_destroy(nb);
	be_fake_fini(&f);
}

/* Takes every answer; counts those of each status. */
static void take_tx(unsigned *okay, unsigned *error, unsigned *null)
{
	*okay = *error = *null = 0;
	ck_assert_uint_le(fe.tx.sring->rsp_prod - fe.tx.rsp_cons, RING);
	while (fe.tx.rsp_cons != fe.tx.sring->rsp_prod) {
		int status = RING_GET_RESPONSE(&fe.tx, fe.tx.rsp_cons)->status;

		*okay += status == NETIF_RSP_OKAY;
		*error += status == NETIF_RSP_ERROR;
		*null += status == NETIF_RSP_NULL;
		fe.tx.rsp_cons++;
	}
	fe.tx.sring->rsp_event = fe.tx.rsp_cons + 1;
}

/* The next packet from the receive ring; its length. */
static uint32_t take_rx(uint8_t *bytes, struct netpkt_meta *meta)
{
	uint32_t len = 0;
	bool more = true;

	memset(meta, 0, sizeof(*meta));
	for (bool first = true; more; first = false) {
		struct netif_rx_response rsp;

		ck_assert_uint_ne(fe.rx.rsp_cons, fe.rx.sring->rsp_prod);
		RING_COPY_RESPONSE(&fe.rx, fe.rx.rsp_cons, &rsp);
		ck_assert_uint_eq(rsp.id, fe.rx.rsp_cons & (RING - 1));
		ck_assert_int_ge(rsp.status, 0);
		memcpy(bytes + len, (uint8_t *)be_fake_page(&f, BUFS + rsp.id) + rsp.offset,
		       (size_t)rsp.status);
		len += (uint32_t)rsp.status;
		fe.rx.rsp_cons++;
		more = rsp.flags & NETRXF_more_data;
		if (first) {
			meta->csum_partial = rsp.flags & NETRXF_csum_blank;
			meta->csum_valid = rsp.flags & NETRXF_data_validated;
		}
		if (rsp.flags & NETRXF_extra_info) {
			struct netif_extra_info e;

			ck_assert(first);
			memcpy(&e, RING_GET_RESPONSE(&fe.rx, fe.rx.rsp_cons), sizeof(e));
			ck_assert_uint_eq(e.type, XEN_NETIF_EXTRA_TYPE_GSO);
			ck_assert_uint_eq(e.flags, 0);
			meta->gso = e.u.gso.type;
			meta->gso_size = e.u.gso.size;
			fe.rx.rsp_cons++;
		}
	}
	fe.rx.sring->rsp_event = fe.rx.rsp_cons + 1;
	return len;
}

/* A TCP/IPv4 packet with len bytes; headers of 54. */
static void lay_tcp(uint8_t *p, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		p[i] = (uint8_t)(i * 11 + (i >> 8));
	p[12] = 8;
	p[13] = 0;
	memset(p + 14, 0, 40);
	p[14] = 0x45;
	p[16] = (uint8_t)((len - 14) >> 8);
	p[17] = (uint8_t)(len - 14);
	p[23] = 6;
	p[46] = 0x50;
}

#endif
