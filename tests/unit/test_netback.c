/* SPDX-License-Identifier: MIT */
/*
 * The network back-end (backends/netback.h) against a front-end that is honest or greedy, and a port
 * that takes as much as the test lets it. What a lying one meets is in test_netback_hostile.c.
 */
#include <time.h>

#include "tests/unit/netback_world.h"

Suite *netback_suite(void);

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
	net_front_rings(&fe);
	be_fake_set(&f, BE_FRONT, "event-channel-tx", NULL);
	be_fake_set(&f, BE_FRONT, "event-channel-rx", NULL);
	be_fake_setn(&f, BE_FRONT, "event-channel", TX_PORT);
	f.port[TX_PORT].offered = true;
	ck_assert_int_eq(be_bus_start(&bus, &netback_driver, nb, &f.host), 0);
	front(XenbusStateConnected);
	ck_assert_int_eq(bus.state, XenbusStateConnected);
	lay_tcp(p, sizeof(p));
	ck_assert(!net_port_deliver(&port, p, sizeof(p), 1514, &none));
	net_front_post(&fe, 0);
	for (int i = 0; i < 2; i++) {
		struct netif_rx_request *req = RING_GET_REQUEST(&fe.rx, fe.rx.req_prod_pvt);

		req->id = (uint16_t)fe.rx.req_prod_pvt;
		req->gref = BUFS + fe.rx.req_prod_pvt++;
	}
	RING_PUSH_REQUESTS(&fe.rx);
	net_front_tx(&fe, DATA, 0, 60, 0);
	RING_PUSH_REQUESTS(&fe.tx);
	be_fake_send(&f, TX_PORT);
	take_tx(&okay, &error, &null);
	ck_assert_uint_eq(okay, 1);
	ck_assert_uint_eq(port.wakes, 1);
	ck_assert(net_port_deliver(&port, p, sizeof(p), 1514, &none));
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
			net_front_tx(&fe, DATA + k, offset, k ? size : len,
			             k + 1 < slots ? NETTXF_more_data : 0);
			at += size;
		}
		net_front_push(&fe);
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
	net_front_tx(&fe, DATA, 0, 1000, NETTXF_csum_blank | NETTXF_data_validated);
	net_front_tx(&fe, DATA, 0, 4096, NETTXF_csum_blank | NETTXF_extra_info);
	net_front_extra(&fe, XEN_NETIF_EXTRA_TYPE_GSO, 0, XEN_NETIF_GSO_TYPE_TCPV4, 1448);
	net_front_push(&fe);
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
	net_front_tx(&fe, DATA, 0, 1000, NETTXF_csum_blank | NETTXF_data_validated);
	net_front_tx(&fe, DATA, 0, 4096, NETTXF_csum_blank | NETTXF_extra_info);
	net_front_extra(&fe, XEN_NETIF_EXTRA_TYPE_GSO, 0, XEN_NETIF_GSO_TYPE_TCPV4, 1448);
	net_front_push(&fe);
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
		net_front_tx(&fe, DATA, 0, 100, 0);
	net_front_push(&fe);
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
		net_front_tx(&fe, DATA, 0, 4000, 0);
	net_front_push(&fe);
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
		net_front_tx(&fe, DATA, 0, 60, 0);
	/* The front-end asks to be told when half is done, as Linux's does. */
	fe.tx.sring->rsp_event = fe.tx.rsp_cons + 30;
	net_front_push(&fe);
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
		net_front_tx(&fe, DATA, 0, 4000, 0);
	net_front_push(&fe);
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
		net_front_post(&fe, RING - (fe.rx.req_prod_pvt - fe.rx.rsp_cons));
		ck_assert(net_port_deliver(&port, p, len, cases[i % ARRAY_LEN(cases)].ask, want));
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
	ck_assert(!net_port_deliver(&port, p, sizeof(p), 1514, &none));
	ck_assert_uint_eq(port.wakes, 0);
	net_front_post(&fe, 2);
	ck_assert_uint_eq(port.wakes, 1);
	ck_assert(net_port_deliver(&port, p, sizeof(p), 1514, &none));
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
	net_front_rings(&fe);
	be_fake_set(&f, BE_FRONT, "feature-sg", "0");
	be_fake_set(&f, BE_FRONT, "feature-no-csum-offload", "1");
	front(XenbusStateInitialising);
	front(XenbusStateConnected);
	ck_assert_int_eq(bus.state, XenbusStateConnected);
	net_front_post(&fe, 100);
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
	net_front_post(&fe, 10);
	ck_assert(net_port_deliver(&port, p, sizeof(p), 1514, &none));
	ck_assert_int_eq(RING_GET_RESPONSE(&fe.rx, 0)->status, NETIF_RSP_ERROR);
	ck_assert_uint_ge(fe.rx.sring->rsp_prod, 2);
	while (RING_GET_RESPONSE(&fe.rx, fe.rx.rsp_cons)->status < 0)
		fe.rx.rsp_cons++;
	ck_assert_uint_eq(take_rx(got, &meta), sizeof(p));
	ck_assert_mem_eq(got, p, sizeof(p));
}
END_TEST

Suite *netback_suite(void)
{
	Suite *s = suite_create("netback");
	TCase *normal = tcase_create("normal"), *limits = tcase_create("limits");

	tcase_set_timeout(normal, 60);
	tcase_add_checked_fixture(normal, set_up, tear_down);
	tcase_add_checked_fixture(limits, set_up, tear_down);
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
	suite_add_tcase(s, normal);
	suite_add_tcase(s, limits);
	return s;
}
