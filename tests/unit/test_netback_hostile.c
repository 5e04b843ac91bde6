/* SPDX-License-Identifier: MIT */
/*
 * The network back-end (backends/netback.h) against a front-end that lies: in the store, in packets, in
 * its rings, and about its grants.
 */
#include <pthread.h>

#include "tests/unit/netback_world.h"

Suite *netback_hostile_suite(void);

/* The front-end goes, and comes again with new rings. */
static void reconnect(void)
{
	front(XenbusStateClosed);
	ck_assert_uint_eq(be_fake_mapped(&f), 0);
	net_front_rings(&fe);
	front(XenbusStateInitialising);
	front(XenbusStateConnected);
	ck_assert_int_eq(bus.state, XenbusStateConnected);
}

/* ---- the store ---- */

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
		net_front_nodes(&fe);
		net_front_rings(&fe);
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

/* ---- packets ---- */

START_TEST(malformed_packets_are_answered_with_an_error)
{
	unsigned okay, error, null;
	struct netback_stats st;

	lay_tcp(be_fake_page(&f, DATA), 4096);
	net_front_tx(&fe, DATA, 0, 13, 0); /* shorter than a header */
	net_front_tx(&fe, DATA, 0, 0, 0);
	net_front_tx(&fe, 99, 0, 100, 0);                  /* no such grant */
	net_front_tx(&fe, DATA, 0, 100, NETTXF_more_data); /* fragments longer than the packet */
	net_front_tx(&fe, DATA + 1, 0, 200, 0);
	net_front_tx(&fe, DATA + 2, 0, 100, NETTXF_csum_blank); /* no IP at all */
	net_front_tx(&fe, DATA, 0, 2000, NETTXF_extra_info);    /* segments of nothing */
	net_front_extra(&fe, XEN_NETIF_EXTRA_TYPE_GSO, 0, XEN_NETIF_GSO_TYPE_TCPV4, 0);
	net_front_tx(&fe, DATA, 0, 2000, NETTXF_extra_info); /* of no known kind */
	net_front_extra(&fe, XEN_NETIF_EXTRA_TYPE_GSO, 0, 9, 1448);
	net_front_tx(&fe, DATA, 0, 2000, NETTXF_extra_info); /* of the other family */
	net_front_extra(&fe, XEN_NETIF_EXTRA_TYPE_GSO, 0, XEN_NETIF_GSO_TYPE_TCPV6, 1448);
	net_front_tx(&fe, DATA, 0, 2000, NETTXF_extra_info); /* a filter that was not offered */
	net_front_extra(&fe, XEN_NETIF_EXTRA_TYPE_MCAST_ADD, 0, 0, 0);
	net_front_tx(&fe, DATA, 0, 40, NETTXF_csum_blank); /* headers cut short */
	net_front_tx(&fe, DATA, 0, 100, 0);
	memset(be_fake_page(&f, DATA + 2), 0, 100);
	net_front_push(&fe);
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

START_TEST(headers_may_lie_in_any_pieces)
{
	uint8_t p[300];
	unsigned n = 0;

	lay_tcp(p, sizeof(p));
	for (unsigned first = 1; first < 70; first++) {
		for (unsigned second = 1; second < 30; second += 7) {
			unsigned at[4] = { 0, first, first + second, sizeof(p) };

			for (unsigned i = 0; i < 3; i++) {
				memcpy(be_fake_page(&f, DATA + i), p + at[i], at[i + 1] - at[i]);
				net_front_tx(&fe, DATA + i, 0, i ? at[i + 1] - at[i] : sizeof(p),
				             (i < 2 ? NETTXF_more_data : 0) |
				                     (i ? 0 : NETTXF_csum_blank));
			}
			net_front_push(&fe);
			fe.tx.rsp_cons = fe.tx.sring->rsp_prod;
			fe.tx.sring->rsp_event = fe.tx.rsp_cons + 1;
			port.room = 1000;
			ck_assert_uint_eq(port.nr_sent, ++n);
			n = port.nr_sent = 0;
			ck_assert_mem_eq(port.sent[0].bytes, p, sizeof(p));
			ck_assert_uint_eq(port.sent[0].meta.csum_start, 34);
		}
	}
}
END_TEST

/* Bytes of a good packet that are changed, so that its headers make no sense. */
static const struct {
	unsigned len, at[2];
	uint8_t value[2];
	bool gso;
} senseless[] = {
	{ 100, { 14 }, { 0x44 }, false },           /* IP header shorter than one can be */
	{ 60, { 14 }, { 0x4f }, false },            /* options that are not there */
	{ 100, { 14 }, { 0x65 }, false },           /* another version than the type says */
	{ 100, { 46 }, { 0x40 }, false },           /* TCP header shorter than one can be */
	{ 60, { 46 }, { 0xf0 }, false },            /* and longer than the packet */
	{ 33, { 0 }, { 0 }, false },                /* cut off in IP */
	{ 53, { 0 }, { 0 }, false },                /* cut off in TCP */
	{ 100, { 23 }, { 1 }, false },              /* no TCP, no UDP */
	{ 100, { 20, 21 }, { 0x20, 0 }, false },    /* a fragment */
	{ 41, { 23, 46 }, { 17, 0 }, false },       /* cut off in UDP */
	{ 2000, { 23 }, { 17 }, true },             /* to be segmented, and no TCP */
	{ 2000, { 20, 21 }, { 0, 8 }, true },       /* to be segmented, a fragment */
	{ 16, { 12, 13 }, { 0x81, 0x00 }, false },  /* a tag that is cut off */
	{ 100, { 12, 13 }, { 0x86, 0xdd }, false }, /* IPv6 by its type only */
};

START_TEST(headers_that_make_no_sense_are_answered_with_an_error)
{
	unsigned okay, error, null;
	uint8_t *p = be_fake_page(&f, DATA);

	lay_tcp(p, 2000);
	for (unsigned i = 0; i < 2; i++) {
		if (senseless[_i].at[i])
			p[senseless[_i].at[i]] = senseless[_i].value[i];
	}
	net_front_tx(&fe, DATA, 0, senseless[_i].len,
	             NETTXF_csum_blank | (senseless[_i].gso ? NETTXF_extra_info : 0));
	if (senseless[_i].gso)
		net_front_extra(&fe, XEN_NETIF_EXTRA_TYPE_GSO, 0, XEN_NETIF_GSO_TYPE_TCPV4, 500);
	net_front_push(&fe);
	take_tx(&okay, &error, &null);
	ck_assert_uint_eq(error, 1);
	ck_assert_uint_eq(port.nr_sent, 0);
	ck_assert_uint_eq(f.complaints, 0);
	ck_assert_uint_eq(be_fake_mapped(&f), 2);
}
END_TEST

START_TEST(headers_longer_than_any_head_are_not_read)
{
	unsigned okay, error, null;
	uint8_t *p = be_fake_page(&f, DATA);

	/* IPv6 with a header of options that is longer than what is copied. */
	memset(p, 0, 1000);
	p[12] = 0x86;
	p[13] = 0xdd;
	p[14] = 0x60;
	p[54 + 1] = 60;
	p[54] = 6;
	net_front_tx(&fe, DATA, 0, 1000, NETTXF_csum_blank);
	net_front_push(&fe);
	take_tx(&okay, &error, &null);
	ck_assert_uint_eq(error, 1);
}
END_TEST

START_TEST(segments_of_any_size_are_bounded)
{
	static const unsigned sizes[] = { 1, 2, 1448, 65535 };
	unsigned okay, error, null;

	port.port.offload = false;
	lay_tcp(be_fake_page(&f, DATA), 4096);
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		unsigned payload = 4096 - 54;

		port.nr_sent = 0;
		port.room = 5000;
		net_front_tx(&fe, DATA, 0, 4096, NETTXF_csum_blank | NETTXF_extra_info);
		net_front_extra(&fe, XEN_NETIF_EXTRA_TYPE_GSO, 0, XEN_NETIF_GSO_TYPE_TCPV4,
		                sizes[i]);
		net_front_push(&fe);
		take_tx(&okay, &error, &null);
		ck_assert_uint_eq(okay, 1);
		ck_assert_uint_eq(port.nr_sent, (payload + sizes[i] - 1) / sizes[i]);
	}
}
END_TEST

/* Revokes what is being mapped, from the third time on. */
static void revoke_third(struct be_fake *fake, grant_ref_t ref)
{
	unsigned *n = fake->test;

	if (ref >= DATA && ++*n % 3 == 0)
		be_fake_revoke(fake, ref);
}

START_TEST(grants_that_vanish_fail_their_packet_only)
{
	unsigned okay, error, null, n = 0;

	for (unsigned i = 0; i < 40; i++)
		lay_tcp(be_fake_page(&f, DATA + i), 4096);
	f.test = &n;
	f.meanwhile = revoke_third;
	for (unsigned i = 0; i < 20; i++) {
		net_front_tx(&fe, DATA + 2 * i, 0, 6000, NETTXF_more_data);
		net_front_tx(&fe, DATA + 2 * i + 1, 0, 3000, 0);
	}
	net_front_push(&fe);
	take_tx(&okay, &error, &null);
	ck_assert_uint_eq(okay + error, 40);
	ck_assert_uint_gt(error, 0);
	ck_assert_uint_eq(port.nr_sent, okay / 2);
	ck_assert_uint_eq(be_fake_mapped(&f), 2);
	f.meanwhile = NULL;
}
END_TEST

/* ---- rings ---- */

START_TEST(a_storm_of_events_is_only_noise)
{
	unsigned okay, error, null;

	for (int i = 0; i < 100000; i++) {
		be_fake_send(&f, TX_PORT);
		be_fake_send(&f, RX_PORT);
	}
	ck_assert_uint_eq(port.wakes + port.nr_sent + f.complaints, 0);
	lay_tcp(be_fake_page(&f, DATA), 100);
	net_front_tx(&fe, DATA, 0, 100, 0);
	net_front_push(&fe);
	take_tx(&okay, &error, &null);
	ck_assert_uint_eq(okay, 1);
}
END_TEST

START_TEST(our_indexes_are_not_the_front_ends_to_change)
{
	const struct netpkt_meta none = { 0 };
	uint8_t p[100], got[100];
	struct netpkt_meta meta;
	unsigned okay, error, null;

	lay_tcp(be_fake_page(&f, DATA), 100);
	lay_tcp(p, sizeof(p));
	for (unsigned i = 0; i < 10; i++) {
		fe.tx.sring->rsp_prod = 0x80000000u + i;
		fe.tx.sring->req_event = 77;
		net_front_tx(&fe, DATA, 0, 100, 0);
		RING_PUSH_REQUESTS(&fe.tx);
		be_fake_send(&f, TX_PORT);
		take_tx(&okay, &error, &null);
		ck_assert_uint_eq(okay, 1);
		net_front_post(&fe, 2);
		fe.rx.sring->rsp_prod = 12345;
		ck_assert(net_port_deliver(&port, p, sizeof(p), 1514, &none));
		ck_assert_uint_eq(take_rx(got, &meta), sizeof(p));
	}
	ck_assert_uint_eq(f.complaints, 0);
}
END_TEST

START_TEST(choices_that_change_later_change_nothing)
{
	const struct netpkt_meta gso = { .csum_partial = true,
		                         .gso = NETPKT_GSO_TCPV4,
		                         .gso_size = 1448 };
	static uint8_t p[30000], got[30000];
	struct netpkt_meta meta;

	be_fake_set(&f, BE_FRONT, "feature-sg", "0");
	be_fake_set(&f, BE_FRONT, "feature-gso-tcpv4", NULL);
	be_fake_set(&f, BE_FRONT, "multi-queue-num-queues", "4");
	be_fake_set(&f, BE_FRONT, "tx-ring-ref", "99999");
	be_bus_front_changed(&bus);
	ck_assert_int_eq(bus.state, XenbusStateConnected);
	ck_assert(port.sink.takes(port.sink.arg, &gso));
	lay_tcp(p, sizeof(p));
	net_front_post(&fe, 20);
	ck_assert(net_port_deliver(&port, p, sizeof(p), NETPKT_MAX_LEN, &gso));
	ck_assert_uint_eq(take_rx(got, &meta), sizeof(p));
	ck_assert_mem_eq(got, p, sizeof(p));
}
END_TEST

START_TEST(buffers_that_may_not_be_written_go_back)
{
	const struct netpkt_meta none = { 0 };
	uint8_t p[100];

	lay_tcp(p, sizeof(p));
	for (unsigned i = 0; i < RING; i++)
		be_fake_grant(&f, BUFS + i, BUFS + i, true);
	net_front_post(&fe, RING);
	ck_assert(!net_port_deliver(&port, p, sizeof(p), 1514, &none));
	ck_assert_uint_eq(be_fake_mapped(&f), 2);
	/* The bad ones are answered, so the guest may post others. */
	port.sink.flush(port.sink.arg, 0);
	ck_assert_uint_ge(fe.rx.sring->rsp_prod, RING - 1);
	for (unsigned i = 0; i < fe.rx.sring->rsp_prod; i++)
		ck_assert_int_eq(RING_GET_RESPONSE(&fe.rx, i)->status, NETIF_RSP_ERROR);
}
END_TEST

static void broken_crosses_page(void)
{
	net_front_tx(&fe, DATA, 4000, 100, 0);
}

static void broken_fragment_crosses_page(void)
{
	net_front_tx(&fe, DATA, 0, 1000, NETTXF_more_data);
	net_front_tx(&fe, DATA + 1, 4095, 2, 0);
}

static void broken_no_extra(void)
{
	net_front_tx(&fe, DATA, 0, 100, NETTXF_extra_info);
}

static void broken_extra_for_ever(void)
{
	net_front_tx(&fe, DATA, 0, 100, NETTXF_extra_info);
	for (int i = 0; i < RING - 1; i++)
		net_front_extra(&fe, XEN_NETIF_EXTRA_TYPE_GSO, XEN_NETIF_EXTRA_FLAG_MORE, 1, 100);
}

static void broken_extra_type(void)
{
	net_front_tx(&fe, DATA, 0, 100, NETTXF_extra_info);
	net_front_extra(&fe, 77, 0, 0, 0);
}

static void broken_no_fragment(void)
{
	net_front_tx(&fe, DATA, 0, 100, NETTXF_more_data);
}

static void broken_many_fragments(void)
{
	for (int i = 0; i < 30; i++)
		net_front_tx(&fe, DATA, 0, i ? 1 : 100, NETTXF_more_data);
	net_front_tx(&fe, DATA, 0, 1, 0);
}

static void broken_producer(void)
{
	fe.tx.req_prod_pvt += RING + 1;
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
	net_front_push(&fe);
	ck_assert_uint_ge(f.complaints, 1);
	ck_assert_uint_eq(port.nr_sent, 0);
	ck_assert_uint_eq(be_fake_mapped(&f), 2);
	/* Events do nothing now, however many. */
	for (int i = 0; i < 1000; i++)
		be_fake_send(&f, TX_PORT);
	ck_assert_uint_le(f.complaints, 2);
	ck_assert(!net_port_deliver(&port, p, sizeof(p), 1514, &none));
	/* A new connection works. */
	reconnect();
	net_front_tx(&fe, DATA, 0, 100, 0);
	net_front_push(&fe);
	ck_assert_uint_eq(port.nr_sent, 1);
}
END_TEST

START_TEST(an_impossible_index_of_the_receive_ring_shuts_the_queue)
{
	uint8_t p[100];
	struct netpkt_meta none = { 0 };

	lay_tcp(p, sizeof(p));
	fe.rx.sring->req_prod = RING + 1;
	ck_assert(!net_port_deliver(&port, p, sizeof(p), 1514, &none));
	ck_assert_uint_eq(f.complaints, 2);
	ck_assert(!net_port_deliver(&port, p, sizeof(p), 1514, &none));
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
		struct netif_tx_request *req = RING_GET_REQUEST(&fe.tx,
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
			net_front_tx(&fe, DATA, 0, 100, NETTXF_csum_blank);
		net_front_push(&fe);
		/* port_send() has compared lengths and pieces of all that came through. */
		if (f.complaints) {
			front(XenbusStateClosed);
			net_front_rings(&fe);
			f.complaints = 0;
			front(XenbusStateInitialising);
			front(XenbusStateConnected);
		} else {
			fe.tx.rsp_cons = fe.tx.sring->rsp_prod;
			fe.tx.sring->rsp_event = fe.tx.rsp_cons + 1;
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
			uint8_t *raw = (uint8_t *)RING_GET_REQUEST(&fe.tx, fe.tx.req_prod_pvt++);

			for (int k = 0; k < 12; k++)
				raw[k] = (uint8_t)(rand_r(&seed) >> 5);
			if (rand_r(&seed) % 4)
				*(uint32_t *)raw = DATA + (unsigned)rand_r(&seed) % 3;
			if (rand_r(&seed) % 4)
				((struct netif_tx_request *)raw)->flags &= 15;
			if (rand_r(&seed) % 4)
				((struct netif_tx_request *)raw)->offset = 0;
		}
		net_front_push(&fe);
		front(XenbusStateClosed);
		ck_assert_uint_eq(be_fake_mapped(&f), 0);
		net_front_rings(&fe);
		front(XenbusStateInitialising);
		front(XenbusStateConnected);
	}
}
END_TEST

Suite *netback_hostile_suite(void)
{
	Suite *s = suite_create("netback_hostile");
	TCase *hostile = tcase_create("hostile");

	tcase_set_timeout(hostile, 60);
	tcase_add_checked_fixture(hostile, set_up, tear_down);
	tcase_add_test(hostile, what_the_front_end_must_say_is_asked_for);
	tcase_add_test(hostile, queues_are_counted);
	tcase_add_test(hostile, malformed_packets_are_answered_with_an_error);
	tcase_add_test(hostile, headers_may_lie_in_any_pieces);
	tcase_add_loop_test(hostile, headers_that_make_no_sense_are_answered_with_an_error, 0,
	                    ARRAY_LEN(senseless));
	tcase_add_test(hostile, headers_longer_than_any_head_are_not_read);
	tcase_add_test(hostile, segments_of_any_size_are_bounded);
	tcase_add_test(hostile, grants_that_vanish_fail_their_packet_only);
	tcase_add_loop_test(hostile, a_broken_ring_shuts_the_queue_and_nothing_else, 0,
	                    ARRAY_LEN(broken));
	tcase_add_test(hostile, an_impossible_index_of_the_receive_ring_shuts_the_queue);
	tcase_add_test(hostile, a_storm_of_events_is_only_noise);
	tcase_add_test(hostile, our_indexes_are_not_the_front_ends_to_change);
	tcase_add_test(hostile, choices_that_change_later_change_nothing);
	tcase_add_test(hostile, buffers_that_may_not_be_written_go_back);
	tcase_add_test(hostile, a_second_look_is_never_taken);
	tcase_add_test(hostile, rings_of_garbage_do_no_harm);
	suite_add_tcase(s, hostile);
	return s;
}
