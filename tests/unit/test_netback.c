/* SPDX-License-Identifier: MIT */
/*
 * The network back-end (backends/netback.h) against a front-end that is honest, greedy or lying, and
 * a port that takes as much as the test lets it.
 */
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "abi/io/netif.h"
#include "backends/bus.h"
#include "backends/netback.h"
#include "backends/netpkt.h"
#include "tests/fake/be_fake.h"

Suite *netback_suite(void);

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define PAGES        600
#define TX_REF       10 /* grant and page of the rings */
#define RX_REF       11
#define TX_PORT      3
#define RX_PORT      4
#define DATA         100 /* first grant of a page with data; page of the same number */
#define BUFS         300 /* of empty pages */
#define RING         256

static struct be_fake f;
static struct be_bus bus;
static struct netback *nb;
static struct netif_tx_front_ring tx;
static struct netif_rx_front_ring rx;

/* ---- a port ---- */

static struct {
	struct netport port;
	struct netport_sink sink;
	unsigned queues, room, attached, wakes;
	struct {
		uint8_t bytes[70000];
		struct netpkt_meta meta;
		uint32_t len;
	} sent[64];
	unsigned nr_sent;

} port;

static int port_attach(struct netport *p, const struct netport_sink *sink, unsigned nr_queues)
{
	(void)p;
	memset(&port.sink, 0, sizeof(port.sink));
	if (sink)
		port.sink = *sink;
	port.attached = sink != NULL;
	port.queues = nr_queues;
	return 0;
}

static unsigned port_send(struct netport *p, unsigned queue, struct netpkt *pkts, unsigned nr)
{
	unsigned i;

	(void)p;
	(void)queue;
	for (i = 0; i < nr && port.room; i++, port.room--) {
		uint32_t sum = 0;

		for (unsigned k = 0; k < pkts[i].nr_iov; k++)
			sum += (uint32_t)pkts[i].iov[k].iov_len;
		ck_assert_uint_eq(sum, pkts[i].len);
		ck_assert_uint_lt(port.nr_sent, ARRAY_LEN(port.sent));
		netpkt_copy_out(&pkts[i], 0, port.sent[port.nr_sent].bytes, pkts[i].len);
		port.sent[port.nr_sent].meta = pkts[i].meta;
		port.sent[port.nr_sent++].len = pkts[i].len;
	}
	return i;
}

static void port_wake(struct netport *p, unsigned queue)
{
	(void)p;
	(void)queue;
	port.wakes++;
}

static void port_close(struct netport *p)
{
	(void)p;
}

static const struct netport_ops port_ops = {
	.attach = port_attach, .send = port_send, .wake = port_wake, .close = port_close
};

/* ---- the front-end ---- */

static void make_rings(void)
{
	struct netif_tx_sring *ts = be_fake_page(&f, TX_REF);
	struct netif_rx_sring *rs = be_fake_page(&f, RX_REF);

	memset(ts, 0, BE_FAKE_PAGE);
	memset(rs, 0, BE_FAKE_PAGE);
	XEN_FRONT_RING_INIT(&tx, ts, BE_FAKE_PAGE);
	XEN_FRONT_RING_INIT(&rx, rs, BE_FAKE_PAGE);
	be_fake_grant(&f, TX_REF, TX_REF, false);
	be_fake_grant(&f, RX_REF, RX_REF, false);
}

static void write_nodes(void)
{
	be_fake_setn(&f, BE_FRONT, "tx-ring-ref", TX_REF);
	be_fake_setn(&f, BE_FRONT, "rx-ring-ref", RX_REF);
	be_fake_setn(&f, BE_FRONT, "event-channel-tx", TX_PORT);
	be_fake_setn(&f, BE_FRONT, "event-channel-rx", RX_PORT);
	be_fake_setn(&f, BE_FRONT, "request-rx-copy", 1);
	be_fake_setn(&f, BE_FRONT, "feature-sg", 1);
	be_fake_setn(&f, BE_FRONT, "feature-gso-tcpv4", 1);
	be_fake_setn(&f, BE_FRONT, "feature-gso-tcpv6", 1);
	be_fake_setn(&f, BE_FRONT, "feature-ipv6-csum-offload", 1);
}

static void front(unsigned state)
{
	be_fake_setn(&f, BE_FRONT, "state", state);
	be_bus_front_changed(&bus);
}

static void start(uint64_t rate)
{
	struct netback_options opt = { .mac = { 0, 0x16, 0x3e, 1, 2, 3 }, .rate = rate };

	memset(&port, 0, sizeof(port));
	port.port = (struct netport){ &port_ops, "fake", true, 4, 1500 };
	port.room = 1000;
	be_fake_init(&f, PAGES, PAGES);
	f.port[TX_PORT].offered = f.port[RX_PORT].offered = true;
	for (unsigned i = DATA; i < PAGES; i++)
		be_fake_grant(&f, i, i, i < BUFS);
	ck_assert_int_eq(netback_create(&nb, &f.host, &port.port, &opt), 0);
	ck_assert_int_eq(be_bus_start(&bus, &netback_driver, nb, &f.host), 0);
	make_rings();
	write_nodes();
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

static void post_tx(unsigned ref, unsigned offset, unsigned size, unsigned flags)
{
	struct netif_tx_request *req = RING_GET_REQUEST(&tx, tx.req_prod_pvt);

	req->gref = ref;
	req->offset = (uint16_t)offset;
	req->size = (uint16_t)size;
	req->flags = (uint16_t)flags;
	req->id = (uint16_t)(tx.req_prod_pvt & (RING - 1));
	tx.req_prod_pvt++;
}

static void post_extra(unsigned type, unsigned flags, unsigned gso_type, unsigned gso_size)
{
	struct netif_extra_info *e = (void *)RING_GET_REQUEST(&tx, tx.req_prod_pvt);

	memset(e, 0, sizeof(*e));
	e->type = (uint8_t)type;
	e->flags = (uint8_t)flags;
	e->u.gso.type = (uint8_t)gso_type;
	e->u.gso.size = (uint16_t)gso_size;
	tx.req_prod_pvt++;
}

/* True when the back-end wanted to be told. */
static bool push_tx(void)
{
	int notify;

	RING_PUSH_REQUESTS_AND_CHECK_NOTIFY(&tx, notify);
	if (notify)
		be_fake_send(&f, TX_PORT);
	return notify;
}

/* Takes every answer; counts those of each status. */
static void take_tx(unsigned *okay, unsigned *error, unsigned *null)
{
	*okay = *error = *null = 0;
	ck_assert_uint_le(tx.sring->rsp_prod - tx.rsp_cons, RING);
	while (tx.rsp_cons != tx.sring->rsp_prod) {
		int status = RING_GET_RESPONSE(&tx, tx.rsp_cons)->status;

		*okay += status == NETIF_RSP_OKAY;
		*error += status == NETIF_RSP_ERROR;
		*null += status == NETIF_RSP_NULL;
		tx.rsp_cons++;
	}
	tx.sring->rsp_event = tx.rsp_cons + 1;
}

static void post_rx(unsigned nr)
{
	int notify;

	for (unsigned i = 0; i < nr; i++) {
		struct netif_rx_request *req = RING_GET_REQUEST(&rx, rx.req_prod_pvt);

		req->id = (uint16_t)(rx.req_prod_pvt & (RING - 1));
		req->gref = BUFS + (rx.req_prod_pvt & (RING - 1));
		rx.req_prod_pvt++;
	}
	RING_PUSH_REQUESTS_AND_CHECK_NOTIFY(&rx, notify);
	if (notify)
		be_fake_send(&f, RX_PORT);
}

/* One packet from outside, as a port does it. False: there was no room. */
static bool deliver(const uint8_t *bytes, uint32_t len, uint32_t ask,
                    const struct netpkt_meta *meta)
{
	struct iovec iov[NETPKT_MAX_IOV];
	unsigned nr = port.sink.begin(port.sink.arg, 0, ask, true, iov);
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
	ck_assert_uint_eq(done, len);
	port.sink.commit(port.sink.arg, 0, meta, len);
	port.sink.flush(port.sink.arg, 0);
	return true;
}

/* The next packet from the receive ring; its length. */
static uint32_t take_rx(uint8_t *bytes, struct netpkt_meta *meta)
{
	uint32_t len = 0;
	bool more = true;

	memset(meta, 0, sizeof(*meta));
	for (bool first = true; more; first = false) {
		struct netif_rx_response rsp;

		ck_assert_uint_ne(rx.rsp_cons, rx.sring->rsp_prod);
		RING_COPY_RESPONSE(&rx, rx.rsp_cons, &rsp);
		ck_assert_uint_eq(rsp.id, rx.rsp_cons & (RING - 1));
		ck_assert_int_ge(rsp.status, 0);
		memcpy(bytes + len, (uint8_t *)be_fake_page(&f, BUFS + rsp.id) + rsp.offset,
		       (size_t)rsp.status);
		len += (uint32_t)rsp.status;
		rx.rsp_cons++;
		more = rsp.flags & NETRXF_more_data;
		if (first) {
			meta->csum_partial = rsp.flags & NETRXF_csum_blank;
			meta->csum_valid = rsp.flags & NETRXF_data_validated;
		}
		if (rsp.flags & NETRXF_extra_info) {
			struct netif_extra_info e;

			ck_assert(first);
			memcpy(&e, RING_GET_RESPONSE(&rx, rx.rsp_cons), sizeof(e));
			ck_assert_uint_eq(e.type, XEN_NETIF_EXTRA_TYPE_GSO);
			ck_assert_uint_eq(e.flags, 0);
			meta->gso = e.u.gso.type;
			meta->gso_size = e.u.gso.size;
			rx.rsp_cons++;
		}
	}
	rx.sring->rsp_event = rx.rsp_cons + 1;
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

/* ---- what is offered and chosen ---- */

START_TEST(what_is_offered_is_what_front_ends_look_for)
{
	static const char *const ones[] = { "feature-sg",        "feature-gso-tcpv4",
		                            "feature-gso-tcpv6", "feature-ipv6-csum-offload",
		                            "feature-rx-copy",   "feature-split-event-channels" };

	for (size_t i = 0; i < ARRAY_LEN(ones); i++)
		ck_assert_str_eq(be_fake_get(&f, BE_BACK, ones[i]), "1");
	ck_assert_str_eq(be_fake_get(&f, BE_BACK, "mac"), "00:16:3e:01:02:03");
	ck_assert_str_eq(be_fake_get(&f, BE_BACK, "multi-queue-max-queues"), "4");
	ck_assert_str_eq(be_fake_get(&f, BE_BACK, "mtu"), "1500");
}
END_TEST

START_TEST(one_event_channel_may_serve_both_ways)
{
	uint8_t p[60];
	const struct netpkt_meta none = { 0 };
	unsigned okay, error, null;

	be_bus_drop(&bus);
	make_rings();
	be_fake_set(&f, BE_FRONT, "event-channel-tx", NULL);
	be_fake_set(&f, BE_FRONT, "event-channel-rx", NULL);
	be_fake_setn(&f, BE_FRONT, "event-channel", TX_PORT);
	f.port[TX_PORT].offered = true;
	ck_assert_int_eq(be_bus_start(&bus, &netback_driver, nb, &f.host), 0);
	front(XenbusStateConnected);
	ck_assert_int_eq(bus.state, XenbusStateConnected);
	lay_tcp(p, sizeof(p));
	ck_assert(!deliver(p, sizeof(p), 1514, &none));
	post_rx(0);
	for (int i = 0; i < 2; i++) {
		struct netif_rx_request *req = RING_GET_REQUEST(&rx, rx.req_prod_pvt);

		req->id = (uint16_t)rx.req_prod_pvt;
		req->gref = BUFS + rx.req_prod_pvt++;
	}
	RING_PUSH_REQUESTS(&rx);
	post_tx(DATA, 0, 60, 0);
	RING_PUSH_REQUESTS(&tx);
	be_fake_send(&f, TX_PORT);
	take_tx(&okay, &error, &null);
	ck_assert_uint_eq(okay, 1);
	ck_assert_uint_eq(port.wakes, 1);
	ck_assert(deliver(p, sizeof(p), 1514, &none));
}
END_TEST

START_TEST(what_the_front_end_must_say_is_asked_for)
{
	static const char *const nodes[] = { "tx-ring-ref", "rx-ring-ref", "event-channel-rx",
		                             "request-rx-copy" };
	static const char *const values[] = { NULL,          "",           "-1", "x",
		                              "99999999999", "4294967296", "599" };

	for (size_t i = 0; i < ARRAY_LEN(nodes) * ARRAY_LEN(values); i++) {
		const char *node = nodes[i / ARRAY_LEN(values)];
		const char *value = values[i % ARRAY_LEN(values)];

		if (!strcmp(node, "request-rx-copy") && value && value[0] > '0' && value[0] <= '9')
			continue;
		be_bus_drop(&bus);
		be_fake_revoke(&f, 599);
		f.port[TX_PORT].offered = f.port[RX_PORT].offered = true;
		write_nodes();
		make_rings();
		be_fake_set(&f, BE_FRONT, node, value);
		ck_assert_int_eq(be_bus_start(&bus, &netback_driver, nb, &f.host), 0);
		front(XenbusStateConnected);
		ck_assert_msg(bus.state == XenbusStateClosing, "%s %s", node, value);
		ck_assert_ptr_nonnull(be_fake_get(&f, BE_BACK, "error"));
		ck_assert_uint_eq(be_fake_mapped(&f), 0);
	}
}
END_TEST

START_TEST(queues_are_counted)
{
	static const char *const bad[] = { "0", "5", "4294967297" };

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		be_bus_drop(&bus);
		be_fake_set(&f, BE_FRONT, "multi-queue-num-queues", bad[i]);
		ck_assert_int_eq(be_bus_start(&bus, &netback_driver, nb, &f.host), 0);
		front(XenbusStateConnected);
		ck_assert_int_eq(bus.state, XenbusStateClosing);
	}
}
END_TEST

/* ---- transmit ---- */

START_TEST(a_packet_leaves_as_it_was_laid)
{
	/* sizes of slots; the first one's request holds the sum */
	static const unsigned shapes[][6] = {
		{ 60 },
		{ 1514 },
		{ 4096 },
		{ 14, 46 },
		{ 100, 100, 100 },
		{ 1, 1, 1, 1, 70, 4000 },
		{ 192, 1 },
		{ 191, 4096, 4096 },
		{ 4096, 4096, 4096, 4096 },
	};
	unsigned okay, error, null;

	for (size_t i = 0; i < ARRAY_LEN(shapes); i++) {
		uint8_t p[20000];
		unsigned len = 0, at = 0, slots = 0;

		for (; slots < 6 && shapes[i][slots]; slots++)
			len += shapes[i][slots];
		lay_tcp(p, len < 60 ? 60 : len);
		for (unsigned k = 0; k < slots; k++) {
			unsigned size = shapes[i][k], offset = size < 4000 ? 7 * k : 0;

			memcpy((uint8_t *)be_fake_page(&f, DATA + k) + offset, p + at, size);
			post_tx(DATA + k, offset, k ? size : len,
			        k + 1 < slots ? NETTXF_more_data : 0);
			at += size;
		}
		push_tx();
		take_tx(&okay, &error, &null);
		ck_assert_uint_eq(okay, slots);
		ck_assert_uint_eq(port.nr_sent, i + 1);
		ck_assert_uint_eq(port.sent[i].len, len);
		ck_assert_mem_eq(port.sent[i].bytes, p, len);
		/* Nothing stays mapped but the rings. */
		ck_assert_uint_eq(be_fake_mapped(&f), 2);
	}
}
END_TEST

START_TEST(offloads_are_passed_on)
{
	unsigned okay, error, null;

	lay_tcp(be_fake_page(&f, DATA), 4096);
	post_tx(DATA, 0, 1000, NETTXF_csum_blank | NETTXF_data_validated);
	post_tx(DATA, 0, 4096, NETTXF_csum_blank | NETTXF_extra_info);
	post_extra(XEN_NETIF_EXTRA_TYPE_GSO, 0, XEN_NETIF_GSO_TYPE_TCPV4, 1448);
	push_tx();
	take_tx(&okay, &error, &null);
	ck_assert_uint_eq(okay, 2);
	ck_assert_uint_eq(null, 1);
	ck_assert_uint_eq(port.nr_sent, 2);
	ck_assert(port.sent[0].meta.csum_partial);
	ck_assert_uint_eq(port.sent[0].meta.csum_start, 34);
	ck_assert_uint_eq(port.sent[0].meta.csum_offset, 16);
	ck_assert_uint_eq(port.sent[1].meta.gso, NETPKT_GSO_TCPV4);
	ck_assert_uint_eq(port.sent[1].meta.gso_size, 1448);
	ck_assert_uint_eq(port.sent[1].meta.hdr_len, 54);
}
END_TEST

START_TEST(a_port_without_offloads_gets_plain_packets)
{
	unsigned okay, error, null;

	port.port.offload = false;
	lay_tcp(be_fake_page(&f, DATA), 4096);
	post_tx(DATA, 0, 1000, NETTXF_csum_blank | NETTXF_data_validated);
	post_tx(DATA, 0, 4096, NETTXF_csum_blank | NETTXF_extra_info);
	post_extra(XEN_NETIF_EXTRA_TYPE_GSO, 0, XEN_NETIF_GSO_TYPE_TCPV4, 1448);
	push_tx();
	take_tx(&okay, &error, &null);
	ck_assert_uint_eq(okay, 2);
	ck_assert_uint_eq(port.nr_sent, 1 + 3);
	for (unsigned i = 0; i < port.nr_sent; i++) {
		ck_assert(!port.sent[i].meta.csum_partial);
		ck_assert_uint_eq(port.sent[i].meta.gso, NETPKT_GSO_NONE);
		ck_assert_uint_le(port.sent[i].len, 1448 + 54);
	}
}
END_TEST

START_TEST(a_full_port_holds_packets_back_and_loses_none)
{
	unsigned okay, error, null;

	lay_tcp(be_fake_page(&f, DATA), 100);
	port.room = 5;
	for (int i = 0; i < 50; i++)
		post_tx(DATA, 0, 100, 0);
	push_tx();
	take_tx(&okay, &error, &null);
	ck_assert_uint_eq(okay, 5);
	/* The guest's event changes nothing. */
	be_fake_send(&f, TX_PORT);
	ck_assert_uint_eq(port.nr_sent, 5);
	port.room = 1000;
	port.sink.room(port.sink.arg, 0);
	take_tx(&okay, &error, &null);
	ck_assert_uint_eq(okay, 45);
	ck_assert_uint_eq(port.nr_sent, 50);
}
END_TEST

START_TEST(packets_held_back_are_let_go_when_the_device_closes)
{
	lay_tcp(be_fake_page(&f, DATA), 4000);
	port.room = 0;
	for (int i = 0; i < 10; i++)
		post_tx(DATA, 0, 4000, 0);
	push_tx();
	ck_assert_uint_eq(be_fake_mapped(&f), 2 + 10);
	front(XenbusStateClosed);
	ck_assert_int_eq(bus.state, XenbusStateClosed);
	ck_assert_uint_eq(be_fake_mapped(&f), 0);
}
END_TEST

START_TEST(a_burst_costs_one_event_each_way)
{
	unsigned okay, error, null;

	lay_tcp(be_fake_page(&f, DATA), 60);
	for (int i = 0; i < 60; i++)
		post_tx(DATA, 0, 60, 0);
	/* The front-end asks to be told when half is done, as Linux's does. */
	tx.sring->rsp_event = tx.rsp_cons + 30;
	push_tx();
	take_tx(&okay, &error, &null);
	ck_assert_uint_eq(okay, 60);
	ck_assert_uint_eq(atomic_load(&f.port[TX_PORT].notified), 1);
}
END_TEST

START_TEST(the_rate_is_kept)
{
	struct netback_stats st;
	unsigned okay, error, null;

	tear_down();
	start(1000000);
	front(XenbusStateConnected);
	lay_tcp(be_fake_page(&f, DATA), 4000);
	/* More than may be saved up, less than half a second's worth. */
	for (int i = 0; i < 60; i++)
		post_tx(DATA, 0, 4000, 0);
	push_tx();
	take_tx(&okay, &error, &null);
	ck_assert_uint_lt(okay, 60);
	for (int i = 0; i < 1000 && port.nr_sent < 60; i++) {
		nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
		__sync_synchronize();
	}
	netback_get_stats(nb, &st);
	ck_assert_uint_eq(st.tx_packets, 60);
}
END_TEST

/* ---- receive ---- */

START_TEST(packets_come_as_they_were_sent)
{
	static const struct {
		uint32_t len, ask;
		struct netpkt_meta meta;
	} cases[] = {
		{ 60, 1514, { 0 } },
		{ 60, NETPKT_MAX_LEN, { 0 } },
		{ 1514, 1514, { .csum_valid = true } },
		{ 4096, 4096, { .csum_partial = true } },
		{ 9000, 9000, { 0 } },
		{ 9000, NETPKT_MAX_LEN, { 0 } },
		{ 3000,
		  NETPKT_MAX_LEN,
		  { .csum_partial = true, .gso = NETPKT_GSO_TCPV4, .gso_size = 1448 } },
		{ 65536,
		  NETPKT_MAX_LEN,
		  { .csum_partial = true, .gso = NETPKT_GSO_TCPV6, .gso_size = 1428 } },
	};
	static uint8_t p[70000], got[80000];

	for (size_t i = 0; i < ARRAY_LEN(cases) * 8; i++) {
		uint32_t len = cases[i % ARRAY_LEN(cases)].len;
		const struct netpkt_meta *want = &cases[i % ARRAY_LEN(cases)].meta;
		struct netpkt_meta meta;

		lay_tcp(p, len);
		post_rx(RING - (rx.req_prod_pvt - rx.rsp_cons));
		ck_assert(deliver(p, len, cases[i % ARRAY_LEN(cases)].ask, want));
		ck_assert_uint_eq(take_rx(got, &meta), len);
		ck_assert_mem_eq(got, p, len);
		ck_assert_uint_eq(meta.gso, want->gso);
		ck_assert_uint_eq(meta.gso_size, want->gso_size);
		ck_assert_uint_eq(meta.csum_partial, want->csum_partial);
		ck_assert_uint_eq(meta.csum_valid, want->csum_valid || want->csum_partial);
	}
}
END_TEST

START_TEST(without_buffers_the_port_waits_and_is_woken)
{
	uint8_t p[100], got[100];
	struct netpkt_meta meta, none = { 0 };

	lay_tcp(p, sizeof(p));
	ck_assert(!deliver(p, sizeof(p), 1514, &none));
	ck_assert_uint_eq(port.wakes, 0);
	post_rx(2);
	ck_assert_uint_eq(port.wakes, 1);
	ck_assert(deliver(p, sizeof(p), 1514, &none));
	ck_assert_uint_eq(take_rx(got, &meta), sizeof(p));
	/* An event without need wakes nobody. */
	be_fake_send(&f, RX_PORT);
	ck_assert_uint_eq(port.wakes, 1);
}
END_TEST

START_TEST(a_guest_without_scatter_gather_gets_no_long_packets)
{
	struct iovec iov[NETPKT_MAX_IOV];
	const struct netpkt_meta gso = { .csum_partial = true, .gso = NETPKT_GSO_TCPV4 };
	const struct netpkt_meta csum = { .csum_partial = true };

	front(XenbusStateClosed);
	f.port[TX_PORT].offered = f.port[RX_PORT].offered = true;
	make_rings();
	be_fake_set(&f, BE_FRONT, "feature-sg", "0");
	be_fake_set(&f, BE_FRONT, "feature-no-csum-offload", "1");
	front(XenbusStateInitialising);
	front(XenbusStateConnected);
	ck_assert_int_eq(bus.state, XenbusStateConnected);
	post_rx(100);
	ck_assert(!port.sink.takes(port.sink.arg, &gso));
	ck_assert(!port.sink.takes(port.sink.arg, &csum));
	ck_assert_uint_eq(port.sink.begin(port.sink.arg, 0, 5000, false, iov), 0);
	ck_assert_uint_eq(port.sink.begin(port.sink.arg, 0, 1514, false, iov), 1);
}
END_TEST

START_TEST(a_bad_buffer_goes_back_and_the_next_is_used)
{
	uint8_t p[100], got[100];
	struct netpkt_meta none = { 0 }, meta;

	lay_tcp(p, sizeof(p));
	be_fake_revoke(&f, BUFS);
	be_fake_revoke(&f, BUFS + 2);
	post_rx(10);
	ck_assert(deliver(p, sizeof(p), 1514, &none));
	ck_assert_int_eq(RING_GET_RESPONSE(&rx, 0)->status, NETIF_RSP_ERROR);
	ck_assert_uint_ge(rx.sring->rsp_prod, 2);
	while (RING_GET_RESPONSE(&rx, rx.rsp_cons)->status < 0)
		rx.rsp_cons++;
	ck_assert_uint_eq(take_rx(got, &meta), sizeof(p));
	ck_assert_mem_eq(got, p, sizeof(p));
}
END_TEST

/* ---- hostile ---- */

START_TEST(malformed_packets_are_answered_with_an_error)
{
	unsigned okay, error, null;
	struct netback_stats st;

	lay_tcp(be_fake_page(&f, DATA), 4096);
	post_tx(DATA, 0, 13, 0); /* shorter than a header */
	post_tx(DATA, 0, 0, 0);
	post_tx(99, 0, 100, 0);                  /* no such grant */
	post_tx(DATA, 0, 100, NETTXF_more_data); /* fragments longer than the packet */
	post_tx(DATA + 1, 0, 200, 0);
	post_tx(DATA + 2, 0, 100, NETTXF_csum_blank); /* no IP at all */
	post_tx(DATA, 0, 2000, NETTXF_extra_info);    /* segments of nothing */
	post_extra(XEN_NETIF_EXTRA_TYPE_GSO, 0, XEN_NETIF_GSO_TYPE_TCPV4, 0);
	post_tx(DATA, 0, 2000, NETTXF_extra_info); /* of no known kind */
	post_extra(XEN_NETIF_EXTRA_TYPE_GSO, 0, 9, 1448);
	post_tx(DATA, 0, 2000, NETTXF_extra_info); /* of the other family */
	post_extra(XEN_NETIF_EXTRA_TYPE_GSO, 0, XEN_NETIF_GSO_TYPE_TCPV6, 1448);
	post_tx(DATA, 0, 2000, NETTXF_extra_info); /* a filter that was not offered */
	post_extra(XEN_NETIF_EXTRA_TYPE_MCAST_ADD, 0, 0, 0);
	post_tx(DATA, 0, 40, NETTXF_csum_blank); /* headers cut short */
	post_tx(DATA, 0, 100, 0);
	memset(be_fake_page(&f, DATA + 2), 0, 100);
	push_tx();
	take_tx(&okay, &error, &null);
	ck_assert_uint_eq(error, 11);
	ck_assert_uint_eq(null, 4);
	ck_assert_uint_eq(okay, 1);
	ck_assert_uint_eq(port.nr_sent, 1);
	ck_assert_uint_eq(be_fake_mapped(&f), 2);
	netback_get_stats(nb, &st);
	ck_assert_uint_eq(st.tx_errors, 10);
	ck_assert_uint_eq(st.tx_packets, 1);
}
END_TEST

static void broken_crosses_page(void)
{
	post_tx(DATA, 4000, 100, 0);
}

static void broken_fragment_crosses_page(void)
{
	post_tx(DATA, 0, 1000, NETTXF_more_data);
	post_tx(DATA + 1, 4095, 2, 0);
}

static void broken_no_extra(void)
{
	post_tx(DATA, 0, 100, NETTXF_extra_info);
}

static void broken_extra_for_ever(void)
{
	post_tx(DATA, 0, 100, NETTXF_extra_info);
	for (int i = 0; i < RING - 1; i++)
		post_extra(XEN_NETIF_EXTRA_TYPE_GSO, XEN_NETIF_EXTRA_FLAG_MORE, 1, 100);
}

static void broken_extra_type(void)
{
	post_tx(DATA, 0, 100, NETTXF_extra_info);
	post_extra(77, 0, 0, 0);
}

static void broken_no_fragment(void)
{
	post_tx(DATA, 0, 100, NETTXF_more_data);
}

static void broken_many_fragments(void)
{
	for (int i = 0; i < 30; i++)
		post_tx(DATA, 0, i ? 1 : 100, NETTXF_more_data);
	post_tx(DATA, 0, 1, 0);
}

static void broken_producer(void)
{
	tx.req_prod_pvt += RING + 1;
}

static void (*const broken[])(void) = { broken_crosses_page,   broken_fragment_crosses_page,
	                                broken_no_extra,       broken_extra_for_ever,
	                                broken_extra_type,     broken_no_fragment,
	                                broken_many_fragments, broken_producer };

START_TEST(a_broken_ring_shuts_the_queue_and_nothing_else)
{
	uint8_t p[100];
	struct netpkt_meta none = { 0 };

	lay_tcp(be_fake_page(&f, DATA), 100);
	lay_tcp(p, sizeof(p));
	broken[_i]();
	push_tx();
	ck_assert_uint_ge(f.complaints, 1);
	ck_assert_uint_eq(port.nr_sent, 0);
	ck_assert_uint_eq(be_fake_mapped(&f), 2);
	/* Events do nothing now, however many. */
	for (int i = 0; i < 1000; i++)
		be_fake_send(&f, TX_PORT);
	ck_assert_uint_le(f.complaints, 2);
	ck_assert(!deliver(p, sizeof(p), 1514, &none));
	/* A new connection works. */
	front(XenbusStateClosed);
	f.port[TX_PORT].offered = f.port[RX_PORT].offered = true;
	make_rings();
	front(XenbusStateInitialising);
	front(XenbusStateConnected);
	ck_assert_int_eq(bus.state, XenbusStateConnected);
	post_tx(DATA, 0, 100, 0);
	push_tx();
	ck_assert_uint_eq(port.nr_sent, 1);
}
END_TEST

START_TEST(an_impossible_index_of_the_receive_ring_shuts_the_queue)
{
	uint8_t p[100];
	struct netpkt_meta none = { 0 };

	lay_tcp(p, sizeof(p));
	rx.sring->req_prod = RING + 1;
	ck_assert(!deliver(p, sizeof(p), 1514, &none));
	ck_assert_uint_eq(f.complaints, 2);
	ck_assert(!deliver(p, sizeof(p), 1514, &none));
	ck_assert_uint_eq(f.complaints, 2);
}
END_TEST

/* Another vCPU of the guest that writes over what the back-end reads. */
static atomic_bool scribble_stop;

static void *scribble(void *arg)
{
	unsigned seed = 5;

	(void)arg;
	while (!atomic_load(&scribble_stop)) {
		struct netif_tx_request *req = RING_GET_REQUEST(&tx,
		                                                (unsigned)rand_r(&seed) % RING);
		unsigned r = (unsigned)rand_r(&seed);

		*(volatile uint16_t *)&req->size = (uint16_t)(r % 5000);
		*(volatile uint16_t *)&req->flags = (uint16_t)(r >> 8 & 15);
		*(volatile uint16_t *)&req->offset = (uint16_t)(r >> 12 & 4095);
		((volatile uint8_t *)be_fake_page(&f, DATA))[r % 100] = (uint8_t)r;
	}
	return NULL;
}

START_TEST(a_second_look_is_never_taken)
{
	pthread_t t;

	lay_tcp(be_fake_page(&f, DATA), 4096);
	atomic_store(&scribble_stop, false);
	ck_assert_int_eq(pthread_create(&t, NULL, scribble, NULL), 0);
	for (int round = 0; round < 2000; round++) {
		port.nr_sent = 0;
		port.room = 1000;
		for (int i = 0; i < 30; i++)
			post_tx(DATA, 0, 100, NETTXF_csum_blank);
		push_tx();
		/* port_send() has compared lengths and pieces of all that came through. */
		if (f.complaints) {
			front(XenbusStateClosed);
			f.port[TX_PORT].offered = f.port[RX_PORT].offered = true;
			make_rings();
			f.complaints = 0;
			front(XenbusStateInitialising);
			front(XenbusStateConnected);
		} else {
			tx.rsp_cons = tx.sring->rsp_prod;
			tx.sring->rsp_event = tx.rsp_cons + 1;
		}
	}
	atomic_store(&scribble_stop, true);
	pthread_join(t, NULL);
}
END_TEST

START_TEST(rings_of_garbage_do_no_harm)
{
	unsigned seed = 3;

	for (int round = 0; round < 3000; round++) {
		unsigned nr = (unsigned)rand_r(&seed) % 40;

		port.nr_sent = 0;
		port.room = 1000;
		for (unsigned i = 0; i < nr; i++) {
			uint8_t *raw = (uint8_t *)RING_GET_REQUEST(&tx, tx.req_prod_pvt++);

			for (int k = 0; k < 12; k++)
				raw[k] = (uint8_t)(rand_r(&seed) >> 5);
			if (rand_r(&seed) % 4)
				*(uint32_t *)raw = DATA + (unsigned)rand_r(&seed) % 3;
			if (rand_r(&seed) % 4)
				((struct netif_tx_request *)raw)->flags &= 15;
			if (rand_r(&seed) % 4)
				((struct netif_tx_request *)raw)->offset = 0;
		}
		push_tx();
		front(XenbusStateClosed);
		ck_assert_uint_eq(be_fake_mapped(&f), 0);
		f.port[TX_PORT].offered = f.port[RX_PORT].offered = true;
		make_rings();
		front(XenbusStateInitialising);
		front(XenbusStateConnected);
	}
}
END_TEST

Suite *netback_suite(void)
{
	Suite *s = suite_create("netback");
	TCase *normal = tcase_create("normal"), *limits = tcase_create("limits");
	TCase *hostile = tcase_create("hostile");

	tcase_set_timeout(normal, 60);
	tcase_set_timeout(hostile, 60);
	tcase_add_checked_fixture(normal, set_up, tear_down);
	tcase_add_checked_fixture(limits, set_up, tear_down);
	tcase_add_checked_fixture(hostile, set_up, tear_down);
	tcase_add_test(normal, what_is_offered_is_what_front_ends_look_for);
	tcase_add_test(normal, one_event_channel_may_serve_both_ways);
	tcase_add_test(normal, a_packet_leaves_as_it_was_laid);
	tcase_add_test(normal, offloads_are_passed_on);
	tcase_add_test(normal, a_port_without_offloads_gets_plain_packets);
	tcase_add_test(normal, a_burst_costs_one_event_each_way);
	tcase_add_test(normal, the_rate_is_kept);
	tcase_add_test(normal, packets_come_as_they_were_sent);
	tcase_add_test(limits, a_full_port_holds_packets_back_and_loses_none);
	tcase_add_test(limits, packets_held_back_are_let_go_when_the_device_closes);
	tcase_add_test(limits, without_buffers_the_port_waits_and_is_woken);
	tcase_add_test(limits, a_guest_without_scatter_gather_gets_no_long_packets);
	tcase_add_test(limits, a_bad_buffer_goes_back_and_the_next_is_used);
	tcase_add_test(hostile, what_the_front_end_must_say_is_asked_for);
	tcase_add_test(hostile, queues_are_counted);
	tcase_add_test(hostile, malformed_packets_are_answered_with_an_error);
	tcase_add_loop_test(hostile, a_broken_ring_shuts_the_queue_and_nothing_else, 0,
	                    ARRAY_LEN(broken));
	tcase_add_test(hostile, an_impossible_index_of_the_receive_ring_shuts_the_queue);
	tcase_add_test(hostile, a_second_look_is_never_taken);
	tcase_add_test(hostile, rings_of_garbage_do_no_harm);
	suite_add_tcase(s, normal);
	suite_add_tcase(s, limits);
	suite_add_tcase(s, hostile);
	return s;
}
