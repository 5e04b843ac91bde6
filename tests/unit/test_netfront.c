/* SPDX-License-Identifier: MIT */
/*
 * The network front-end against a back-end that is the test's, through the real store: what it asks
 * for, what it does with packets and answers, restarts and ends, and with a back-end that lies.
 */
#include "tests/unit/net_world.h"

Suite *netfront_suite(void);

static struct netdev *dev;
static struct netfront *front;

/* What the kernel was told. */
static struct {
	unsigned sent, lost, rooms, changes, dones, received;
	void *arg[MAX_TAKEN]; /* of sent packets, in order */
	struct netdev_packet last;
	uint8_t first_byte;
	unsigned sends_again; /* packets to be sent from within sent() */
	bool send_in_room;
} kernel;

static uint8_t *data; /* a few pages for packets */

static struct netdev_packet packet(unsigned nr_frags, unsigned len, void *arg)
{
	struct netdev_packet p = { .nr_frags = nr_frags, .arg = arg };
	unsigned i;

	for (i = 0; i < nr_frags && i < NETDEV_MAX_FRAGS; i++) {
		p.frags[i] = (struct netdev_frag){ data + i % 16 * PV_PAGE_SIZE, len };
		p.len += len;
	}
	return p;
}

static int send_one(void)
{
	struct netdev_packet p = packet(1, 60, NULL);

	return netdev_send(dev, 0, &p);
}

static void on_receive(struct netdev *d, unsigned queue, struct netdev_packet *pkt)
{
	unsigned i;

	ck_assert_ptr_eq(d, dev);
	ck_assert_uint_lt(queue, front->info.queues);
	ck_assert_uint_ge(pkt->nr_frags, 1);
	ck_assert_uint_le(pkt->nr_frags, NETDEV_MAX_FRAGS);
	ck_assert(!pkt->gso || pkt->gso_size);
	kernel.received++;
	kernel.last = *pkt;
	kernel.first_byte = *(uint8_t *)pkt->frags[0].va;
	for (i = 0; i < pkt->nr_frags; i++) {
		uintptr_t va = (uintptr_t)pkt->frags[i].va;

		ck_assert_uint_ge(pkt->frags[i].len, 1);
		ck_assert_uint_le((va & ~PV_PAGE_MASK) + pkt->frags[i].len, PV_PAGE_SIZE);
		page_give((void *)(va & PV_PAGE_MASK));
	}
}

static void on_sent(struct netdev *d, unsigned queue, void *arg, bool ok)
{
	ck_assert_ptr_eq(d, dev);
	ck_assert_uint_lt(queue, front->info.queues);
	kernel.arg[(kernel.sent + kernel.lost) % MAX_TAKEN] = arg;
	kernel.sent += ok;
	kernel.lost += !ok;
	if (kernel.sends_again) {
		kernel.sends_again--;
		ck_assert_int_eq(send_one(), 0);
	}
}

static void on_done(struct netdev *d, unsigned queue)
{
	(void)d;
	(void)queue;
	kernel.dones++;
}

static void on_room(struct netdev *d, unsigned queue)
{
	(void)d;
	(void)queue;
	kernel.rooms++;
	if (kernel.send_in_room)
		ck_assert_int_eq(send_one(), 0);
}

static void on_changed(struct netdev *d)
{
	(void)d;
	kernel.changes++;
}

static const struct netdev_client client = { .receive = on_receive,
	                                     .sent = on_sent,
	                                     .done = on_done,
	                                     .room = on_room,
	                                     .changed = on_changed };

static void opened(void)
{
	memset(&kernel, 0, sizeof(kernel));
	ck_assert_int_eq(netfront_open(NODE, &client, NULL, &dev), 0);
	front = (struct netfront *)dev;
	netfront_start(dev);
	netdev_service(dev);
}

/* Closed, and nothing is left behind but the device's own memory. */
static void closed(void)
{
	netdev_close(dev);
	ck_assert_uint_eq(grants_in_force(), 0);
	ck_assert_uint_eq(ports_open, 0);
	ck_assert_uint_eq(front_state(), XenbusStateClosed);
}

static void setup(void)
{
	net_begin();
	data = pages(16);
}

/* ---- normal ---------------------------------------------------------------------------------- */

START_TEST(an_interface_says_what_it_is)
{
	static const uint8_t mac[6] = { 0x00, 0x16, 0x3e, 0x0a, 0x0b, 0x0c };
	struct netdev_info info;

	back_offer("mtu", "9000");
	opened();
	netdev_get_info(dev, &info);
	ck_assert_mem_eq(info.mac, mac, 6);
	ck_assert_uint_eq(info.mtu, 9000);
	ck_assert_uint_eq(info.queues, 1);
	ck_assert(info.link_up && info.sg && info.gso_ipv4 && info.gso_ipv6 && info.csum_ipv4 &&
	          info.csum_ipv6);
	closed();
}
END_TEST

START_TEST(a_packet_leaves_as_it_was_given)
{
	struct netdev_packet p = packet(3, 1000, &front);
	const struct netif_tx_request *t = back.taken;
	struct netif_extra_info e;

	opened();
	p.frags[1].va = data + 3 * PV_PAGE_SIZE + 96;
	p.csum_partial = true;
	p.gso = NETDEV_GSO_TCPV4;
	p.gso_size = 1448;
	ck_assert_int_eq(netdev_send(dev, 0, &p), 0);
	ck_assert_uint_eq(back.nr_taken, 0);
	netdev_kick(dev, 0);
	back_take(0);
	ck_assert_uint_eq(back.nr_taken, 4);
	ck_assert_uint_eq(t[0].size, 3000);
	ck_assert_uint_eq(t[0].flags, NETTXF_csum_blank | NETTXF_data_validated | NETTXF_more_data |
	                                      NETTXF_extra_info);
	memcpy(&e, &t[1], sizeof(e));
	ck_assert_uint_eq(e.type, XEN_NETIF_EXTRA_TYPE_GSO);
	ck_assert_uint_eq(e.flags, 0);
	ck_assert_uint_eq(e.u.gso.size, 1448);
	ck_assert_uint_eq(e.u.gso.type, XEN_NETIF_GSO_TYPE_TCPV4);
	ck_assert_uint_eq(t[2].offset, 96);
	ck_assert_uint_eq(t[2].size, 1000);
	ck_assert_uint_eq(t[2].flags, NETTXF_more_data);
	ck_assert_ptr_eq(granted_page(t[2].gref, false), data + 3 * PV_PAGE_SIZE);
	ck_assert_uint_eq(t[3].flags, 0);
	ck_assert(grants[t[3].gref].flags & GTF_readonly);
	/* Until all of it is answered the packet is under way. */
	back_answer(0, 3);
	netdev_poll(dev, 0, 10);
	ck_assert_uint_eq(kernel.sent, 0);
	back_answer(0, 1);
	netdev_poll(dev, 0, 10);
	ck_assert_uint_eq(kernel.sent, 1);
	ck_assert_ptr_eq(kernel.arg[0], &front);
	ck_assert_uint_eq(kernel.dones, 1);
	closed();
}
END_TEST

START_TEST(packets_arrive_as_they_were_put)
{
	opened();
	rx_put(0, 0, 60, NETRXF_data_validated, 0x11);
	rx_push(0);
	deliver_events();
	ck_assert_uint_eq(kernel.received, 1);
	ck_assert_uint_eq(kernel.last.len, 60);
	ck_assert(kernel.last.csum_valid && !kernel.last.csum_partial);
	ck_assert_uint_eq(kernel.first_byte, 0x11);
	rx_put(0, 64, 4000, NETRXF_csum_blank | NETRXF_more_data | NETRXF_extra_info, 0x22);
	rx_put_extra(0, XEN_NETIF_EXTRA_TYPE_GSO, 0, XEN_NETIF_GSO_TYPE_TCPV6, 1428);
	rx_put(0, 0, 4096, NETRXF_more_data, 0x23);
	/* Half a packet is none. */
	rx_push(0);
	deliver_events();
	ck_assert_uint_eq(kernel.received, 1);
	rx_put(0, 0, 10, 0, 0x24);
	rx_push(0);
	deliver_events();
	ck_assert_uint_eq(kernel.received, 2);
	ck_assert_uint_eq(kernel.last.nr_frags, 3);
	ck_assert_uint_eq(kernel.last.len, 8106);
	ck_assert_uint_eq(kernel.last.gso, NETDEV_GSO_TCPV6);
	ck_assert_uint_eq(kernel.last.gso_size, 1428);
	ck_assert(kernel.last.csum_partial);
	closed();
}
END_TEST

START_TEST(every_buffer_is_used_again_and_again)
{
	unsigned i, k;

	opened();
	for (i = 0; i < 40; i++) {
		for (k = 0; k < 100; k++)
			rx_put(0, 0, 60, 0, (uint8_t)k);
		rx_push(0);
		deliver_events();
		ck_assert_uint_eq(kernel.received, (i + 1) * 100);
		ck_assert_uint_eq(back.rings[0].rx.sring->req_prod - back.rings[0].rx.req_cons,
		                  RING);
	}
	closed();
}
END_TEST

START_TEST(a_batch_costs_one_event_each_way)
{
	unsigned i;

	opened();
	back.prompt = true;
	back.notified = back.events = 0;
	for (i = 0; i < 50; i++)
		ck_assert_int_eq(send_one(), 0);
	netdev_kick(dev, 0);
	ck_assert_uint_eq(back.notified, 1);
	/* Nobody waits for what was sent: no event for it at all. */
	ck_assert_uint_eq(back.events, 0);
	for (i = 0; i < 50; i++)
		rx_put(0, 0, 60, 0, 1);
	rx_push(0);
	ck_assert_uint_eq(back.events, 1);
	deliver_events();
	ck_assert_uint_eq(kernel.received, 50);
	ck_assert_uint_eq(kernel.sent, 50);
	ck_assert_uint_eq(kernel.dones, 1);
	closed();
}
END_TEST

START_TEST(each_vcpu_has_its_queue)
{
	struct netdev_packet p;

	add_cpus(3);
	back_offer("multi-queue-max-queues", "4");
	opened();
	ck_assert_uint_eq(back.nr_rings, 3);
	p = packet(1, 60, NULL);
	ck_assert_int_eq(netdev_send(dev, 2, &p), 0);
	netdev_kick(dev, 2);
	back_take(2);
	ck_assert_uint_eq(back.nr_taken, 1);
	rx_put(1, 0, 60, 0, 7);
	rx_push(1);
	ck_assert_uint_eq(netdev_poll(dev, 1, 10), 1);
	ck_assert_uint_eq(kernel.received, 1);
	back_serve(2);
	netdev_poll(dev, 2, 10);
	closed();
	ck_assert_uint_eq(kernel.sent, 1);
}
END_TEST

START_TEST(one_event_channel_serves_both_ways_where_there_is_no_other)
{
	back_offer("feature-split-event-channels", "0");
	back.split = false;
	opened();
	ck_assert_uint_eq(ports_open, 1);
	ck_assert_int_eq(send_one(), 0);
	netdev_kick(dev, 0);
	back_serve(0);
	rx_put(0, 0, 60, 0, 7);
	rx_push(0);
	deliver_events();
	ck_assert_uint_eq(kernel.received, 1);
	ck_assert_uint_eq(kernel.sent, 1);
	closed();
}
END_TEST

START_TEST(a_restart_loses_packets_and_gives_all_back)
{
	unsigned i;

	opened();
	for (i = 0; i < 10; i++)
		ck_assert_int_eq(send_one(), 0);
	netdev_kick(dev, 0);
	back_take(0);
	back_answer(0, 4);
	back_restart();
	for (i = 0; i < 4 && back.connects < 2; i++) {
		deliver_events();
		netdev_service(dev);
	}
	ck_assert_uint_eq(back.connects, 2);
	ck_assert_uint_eq(kernel.sent + kernel.lost, 10);
	ck_assert_uint_eq(kernel.changes, 1);
	ck_assert_int_eq(send_one(), 0);
	netdev_kick(dev, 0);
	back_serve(0);
	rx_put(0, 0, 60, 0, 9);
	rx_push(0);
	deliver_events();
	ck_assert_uint_eq(kernel.received, 1);
	closed();
}
END_TEST

START_TEST(the_link_goes_and_comes)
{
	struct netdev_info info;

	opened();
	back_offer("carrier", "0");
	deliver_events();
	netdev_service(dev);
	netdev_get_info(dev, &info);
	ck_assert(!info.link_up);
	back_offer("carrier", "1");
	deliver_events();
	netdev_service(dev);
	netdev_get_info(dev, &info);
	ck_assert(info.link_up);
	ck_assert_uint_eq(kernel.changes, 2);
	closed();
}
END_TEST

/* ---- limits ---------------------------------------------------------------------------------- */

/* Sends until there is no room; how many went. */
static unsigned fill_ring(void)
{
	unsigned n = 0;

	while (n <= 4 * RING && !send_one())
		n++;
	ck_assert_uint_le(n, 4 * RING);
	return n;
}

START_TEST(who_finds_no_room_is_told_when_there_is_some)
{
	unsigned n;

	opened();
	n = fill_ring();
	ck_assert_uint_ge(n, RING - NETDEV_MAX_FRAGS - 1);
	back_take(0);
	ck_assert_uint_eq(back.rings[0].nr_unanswered, n);
	ck_assert_uint_eq(kernel.rooms, 0);
	/* One at a time: there may be events, but room is for a whole packet of any size. */
	while (back.rings[0].nr_unanswered && !kernel.rooms) {
		back_answer(0, 1);
		deliver_events();
	}
	ck_assert_uint_eq(kernel.rooms, 1);
	ck_assert_int_eq(send_one(), 0);
	closed();
}
END_TEST

START_TEST(answers_that_are_there_already_are_room)
{
	unsigned i;

	opened();
	for (i = 0; i < 230; i++)
		ck_assert_int_eq(send_one(), 0);
	netdev_kick(dev, 0);
	back_take(0);
	/* Nobody has asked for an event. */
	back_answer(0, 230);
	ck_assert_uint_eq(back.events, 0);
	for (i = 0; i < 25; i++)
		ck_assert_int_eq(send_one(), 0);
	closed();
	ck_assert_uint_eq(kernel.sent + kernel.lost, 255);
}
END_TEST

START_TEST(a_kernel_that_takes_nothing_back_is_called)
{
	unsigned i, n = 0;

	opened();
	back.prompt = true;
	/* What is done waits to be taken by the kernel: there is an end to that. */
	for (i = 0; i < 10 * RING && !send_one(); i++, n++)
		netdev_kick(dev, 0);
	ck_assert_uint_lt(n, 10 * RING);
	ck_assert_uint_eq(kernel.rooms, 0);
	kernel.send_in_room = true;
	deliver_events();
	ck_assert_uint_eq(kernel.rooms, 1);
	n++;
	netdev_kick(dev, 0);
	netdev_poll(dev, 0, 1);
	ck_assert_uint_eq(kernel.sent, n);
	closed();
}
END_TEST

START_TEST(what_was_not_kicked_is_kicked_when_room_is_short)
{
	unsigned i;

	opened();
	back.prompt = true;
	for (i = 0; i < RING; i++)
		ck_assert_int_eq(send_one(), 0);
	ck_assert_uint_ge(back.notified, 1);
	closed();
	ck_assert_uint_eq(kernel.sent + kernel.lost, RING);
}
END_TEST

START_TEST(a_call_back_may_send)
{
	opened();
	back.prompt = true;
	kernel.sends_again = 600;
	ck_assert_int_eq(send_one(), 0);
	while (kernel.sends_again) {
		netdev_kick(dev, 0);
		netdev_poll(dev, 0, 10);
	}
	closed();
}
END_TEST

START_TEST(what_cannot_be_sent_is_refused)
{
	struct netdev_packet p;

	opened();
	p = packet(0, 0, NULL);
	ck_assert_int_eq(netdev_send(dev, 0, &p), -XEN_EINVAL);
	p = packet(NETDEV_MAX_FRAGS + 1, 10, NULL);
	ck_assert_int_eq(netdev_send(dev, 0, &p), -XEN_EINVAL);
	p = packet(2, 10, NULL);
	p.frags[1].len = 0;
	ck_assert_int_eq(netdev_send(dev, 0, &p), -XEN_EINVAL);
	p = packet(1, 100, NULL);
	p.frags[0].va = data + 4000;
	ck_assert_int_eq(netdev_send(dev, 0, &p), -XEN_EINVAL);
	p = packet(1, 100, NULL);
	p.len = 99;
	ck_assert_int_eq(netdev_send(dev, 0, &p), -XEN_EINVAL);
	p = packet(17, 4096, NULL); /* above 64 KiB */
	ck_assert_int_eq(netdev_send(dev, 0, &p), -XEN_EINVAL);
	p = packet(1, 100, NULL);
	p.gso = NETDEV_GSO_TCPV4;
	ck_assert_int_eq(netdev_send(dev, 0, &p), -XEN_EINVAL);
	p.gso_size = 50;
	p.gso = 7;
	ck_assert_int_eq(netdev_send(dev, 0, &p), -XEN_EINVAL);
	ck_assert_uint_eq(back.nr_taken, 0);
	closed();
}
END_TEST

START_TEST(without_memory_packets_come_again_when_there_is_some)
{
	unsigned limit, i;

	opened();
	limit = pool.limit;
	pool.limit = 0;
	for (i = 0; i < RING; i++)
		rx_put(0, 0, 60, 0, 1);
	rx_push(0);
	/* The kernel gives pages back as it gets them; it keeps these. */
	deliver_events();
	ck_assert_uint_eq(kernel.received, RING);
	pool.limit = limit;
	netdev_poll(dev, 0, 1);
	rx_put(0, 0, 60, 0, 1);
	rx_push(0);
	deliver_events();
	ck_assert_uint_eq(kernel.received, RING + 1);
	closed();
}
END_TEST

START_TEST(devices_that_are_closed_give_their_pages_back)
{
	struct netdev *none;
	unsigned limit = 0, i;

	for (i = 0; i < 4; i++) {
		opened();
		/* A second device, which cannot be opened, and is closed first. */
		ck_assert_int_ne(netfront_open("device/vif/7", &client, NULL, &none), 0);
		closed();
		if (i == 1)
			limit = pool.limit;
		if (i > 1)
			ck_assert_uint_eq(pool.limit, limit);
		host_write(FRONT "/state", "1");
		back_begin();
	}
}
END_TEST

START_TEST(no_page_for_a_queue_is_no_device)
{
	unsigned limit, i;

	for (i = 0; i < 12; i++) {
		pool.limit = i;
		if (!netfront_open(NODE, &client, NULL, &dev)) {
			front = (struct netfront *)dev;
			netdev_close(dev);
		}
		limit = POOL_PAGES;
		pool.limit = limit;
		ck_assert_uint_eq(grants_in_force(), 0);
		host_write(FRONT "/state", "1");
		back_begin();
	}
	opened();
	closed();
}
END_TEST

/* ---- hostile --------------------------------------------------------------------------------- */

/* The back-end is not believed any more: the device ends, all packets come back. */
static void accused(unsigned under_way)
{
	unsigned i;

	for (i = 0; i < 3; i++) {
		deliver_events();
		netdev_service(dev);
	}
	ck_assert(front->is_gone);
	ck_assert_int_eq(send_one(), -XEN_ENODEV);
	ck_assert_uint_eq(kernel.sent + kernel.lost, under_way);
	ck_assert_uint_eq(kernel.changes, 1);
	netdev_close(dev);
	if (!back.holds)
		ck_assert_uint_eq(grants_in_force(), 0);
	ck_assert_uint_eq(ports_open, 0);
}

static void lie_never_asked(void)
{
	tx_response(0, 200, NETIF_RSP_OKAY);
}

static void lie_beyond(void)
{
	tx_response(0, 60000, NETIF_RSP_OKAY);
}

static void lie_twice(void)
{
	unsigned id = back.rings[0].unanswered[0].id;

	tx_response(0, id, NETIF_RSP_OKAY);
	tx_response(0, id, NETIF_RSP_OKAY);
}

static void lie_too_many(void)
{
	unsigned i;

	for (i = 0; i < 5; i++)
		tx_response(0, back.rings[0].unanswered[i % 4].id, NETIF_RSP_OKAY);
}

static void lie_index(void)
{
	back.rings[0].tx.rsp_prod_pvt += 0x80000000u;
}

static void lie_goes_on_using(void)
{
	hold(back.rings[0].unanswered[0].gref);
	tx_response(0, back.rings[0].unanswered[0].id, NETIF_RSP_OKAY);
}

static void (*const tx_lies[])(void) = { lie_never_asked, lie_beyond, lie_twice,
	                                 lie_too_many,    lie_index,  lie_goes_on_using };

START_TEST(a_lie_about_what_was_sent_ends_the_device)
{
	unsigned i;

	opened();
	for (i = 0; i < 4; i++)
		ck_assert_int_eq(send_one(), 0);
	netdev_kick(dev, 0);
	back_take(0);
	tx_lies[_i]();
	RING_PUSH_RESPONSES(&back.rings[0].tx);
	netdev_poll(dev, 0, 10);
	accused(4);
}
END_TEST

START_TEST(answers_to_what_was_not_pushed_are_lies)
{
	opened();
	ck_assert_int_eq(send_one(), 0);
	tx_response(0, 0, NETIF_RSP_OKAY);
	RING_PUSH_RESPONSES(&back.rings[0].tx);
	netdev_poll(dev, 0, 10);
	ck_assert_uint_eq(kernel.sent, 0);
	accused(1);
}
END_TEST

static void rx_lie_too_many(void)
{
	back.rings[0].rx.rsp_prod_pvt += RING + 1;
}

static void rx_lie_index(void)
{
	back.rings[0].rx.rsp_prod_pvt--;
}

static void rx_lie_no_end(void)
{
	unsigned i;

	for (i = 0; i < RING; i++)
		rx_put(0, 0, 60, NETRXF_more_data, 1);
}

static void rx_lie_extras_without_end(void)
{
	unsigned i;

	rx_put(0, 0, 60, NETRXF_extra_info, 1);
	for (i = 0; i < RING - 1; i++)
		rx_put_extra(0, XEN_NETIF_EXTRA_TYPE_GSO, XEN_NETIF_EXTRA_FLAG_MORE,
		             XEN_NETIF_GSO_TYPE_TCPV4, 1448);
}

static void rx_lie_goes_on_using(void)
{
	struct netif_rx_request rq;

	RING_COPY_REQUEST(&back.rings[0].rx, back.rings[0].rx.req_cons, &rq);
	rx_put(0, 0, 60, 0, 1);
	hold(rq.gref);
}

static void (*const rx_lies[])(void) = { rx_lie_too_many, rx_lie_index, rx_lie_no_end,
	                                 rx_lie_extras_without_end, rx_lie_goes_on_using };

START_TEST(a_lie_about_buffers_ends_the_device)
{
	opened();
	rx_lies[_i]();
	RING_PUSH_RESPONSES(&back.rings[0].rx);
	netdev_poll(dev, 0, 1000);
	ck_assert_uint_eq(kernel.received, 0);
	accused(0);
}
END_TEST

static void bad_nothing(void)
{
	rx_put(0, 0, 0, 0, 0);
}

static void bad_error(void)
{
	rx_put(0, 0, NETIF_RSP_ERROR, 0, 0);
}

static void bad_beyond(void)
{
	rx_put(0, 0, 4097, 0, 0);
}

static void bad_offset(void)
{
	rx_put(0, 65535, 1, 0, 0);
}

static void bad_second(void)
{
	rx_put(0, 0, 100, NETRXF_more_data, 0);
	rx_put(0, 4000, 97, 0, 0);
}

static void bad_many(void)
{
	unsigned i;

	for (i = 0; i < NETDEV_MAX_FRAGS; i++)
		rx_put(0, 0, 100, NETRXF_more_data, 0);
	rx_put(0, 0, 100, 0, 0);
}

static void bad_error_inside(void)
{
	rx_put(0, 0, 100, NETRXF_more_data, 0);
	rx_put(0, 0, NETIF_RSP_DROPPED, NETRXF_more_data, 0);
	rx_put(0, 0, 100, 0, 0);
}

static void (*const bad_packets[])(void) = { bad_nothing, bad_error, bad_beyond,      bad_offset,
	                                     bad_second,  bad_many,  bad_error_inside };

START_TEST(a_malformed_packet_is_dropped_and_the_next_is_not)
{
	struct netdev_stats s;
	unsigned left;

	opened();
	left = pool.limit;
	bad_packets[_i]();
	rx_put(0, 0, 60, 0, 0x77);
	rx_push(0);
	deliver_events();
	ck_assert_uint_eq(kernel.received, 1);
	ck_assert_uint_eq(kernel.first_byte, 0x77);
	netdev_get_stats(dev, &s);
	ck_assert_uint_eq(s.rx_errors, 1);
	ck_assert_uint_eq(pool.limit, left);
	closed();
}
END_TEST

static const struct {
	unsigned type, gso_type, size;
} no_gso[] = {
	{ XEN_NETIF_EXTRA_TYPE_GSO, XEN_NETIF_GSO_TYPE_TCPV4, 0 },
	{ XEN_NETIF_EXTRA_TYPE_GSO, 9, 1448 },
	{ XEN_NETIF_EXTRA_TYPE_HASH, XEN_NETIF_GSO_TYPE_TCPV4, 1448 },
	{ 200, XEN_NETIF_GSO_TYPE_TCPV4, 1448 },
};

START_TEST(a_description_that_makes_no_sense_is_none)
{
	opened();
	rx_put(0, 0, 1000, NETRXF_extra_info, 3);
	rx_put_extra(0, no_gso[_i].type, 0, no_gso[_i].gso_type, no_gso[_i].size);
	rx_push(0);
	deliver_events();
	ck_assert_uint_eq(kernel.received, 1);
	ck_assert_uint_eq(kernel.last.gso, NETDEV_GSO_NONE);
	closed();
}
END_TEST

START_TEST(ids_of_buffers_are_not_believed)
{
	struct netif_rx_response *rsp;

	opened();
	rx_put(0, 0, 60, 0, 0x31);
	rsp = RING_GET_RESPONSE(&back.rings[0].rx, 0);
	rsp->id = 65535;
	rx_put(0, 0, 60, 0, 0x32);
	rsp = RING_GET_RESPONSE(&back.rings[0].rx, 1);
	rsp->id = 0;
	rx_push(0);
	deliver_events();
	ck_assert_uint_eq(kernel.received, 2);
	ck_assert_uint_eq(kernel.first_byte, 0x32);
	closed();
}
END_TEST

START_TEST(a_storm_of_events_is_only_noise)
{
	unsigned i;

	opened();
	for (i = 0; i < 100000; i++) {
		raise_event(back.rings[0].rx_port);
		raise_event(back.rings[0].tx_port);
		deliver_events();
	}
	ck_assert_uint_eq(kernel.received + kernel.sent + kernel.rooms + kernel.dones, 0);
	rx_put(0, 0, 60, 0, 1);
	rx_push(0);
	deliver_events();
	ck_assert_uint_eq(kernel.received, 1);
	closed();
}
END_TEST

START_TEST(offers_that_change_later_change_nothing)
{
	struct netdev_packet p = packet(2, 1000, NULL);

	opened();
	back_offer("feature-sg", "0");
	back_offer("feature-gso-tcpv4", "0");
	back_offer("multi-queue-max-queues", "8");
	back_offer("mtu", "nonsense");
	deliver_events();
	netdev_service(dev);
	p.gso = NETDEV_GSO_TCPV4;
	p.gso_size = 1448;
	p.csum_partial = true;
	ck_assert_int_eq(netdev_send(dev, 0, &p), 0);
	ck_assert_uint_eq(front->info.mtu, 1500);
	ck_assert_uint_eq(kernel.changes, 0);
	closed();
}
END_TEST

START_TEST(what_is_not_offered_is_not_used)
{
	struct netdev_packet p = packet(2, 1000, NULL);

	back_offer("feature-sg", "0");
	opened();
	ck_assert(!front->info.sg && !front->info.gso_ipv4 && !front->info.gso_ipv6);
	ck_assert_int_eq(netdev_send(dev, 0, &p), -XEN_EINVAL);
	closed();
}
END_TEST

static const struct {
	const char *node, *value;
	unsigned mtu; /* 0: no connection */
} nonsense[] = {
	{ "mac", "", 0 },
	{ "mac", "00:16:3e:0a:0b", 0 },
	{ "mac", "00:16:3e:0a:0b:0c:0d", 0 },
	{ "mac", "00:16:3e:0a:0b:0g", 0 },
	{ "mac", "00-16-3e-0a-0b-0c", 0 },
	{ "mac", "0:16:3e:0a:0b:0c:", 0 },
	{ "mac", "000000000000000000000000000000000000000000000000000000000000000", 0 },
	{ "feature-rx-copy", "0", 0 },
	{ "feature-rx-copy", "yes", 0 },
	{ "mtu", "", 1500 },
	{ "mtu", "67", 1500 },
	{ "mtu", "-1", 1500 },
	{ "mtu", "18446744073709551616", 1500 },
	{ "mtu", "68", 68 },
	{ "mtu", "65521", 65521 },
	{ "mtu", "65522", 1500 },
	{ "multi-queue-max-queues", "4294967296", 1500 },
	{ "multi-queue-max-queues", "x", 1500 },
	{ "carrier", "x", 1500 },
};

START_TEST(nonsense_in_the_store_is_refused_or_passed_over)
{
	back_offer(nonsense[_i].node, nonsense[_i].value);
	if (nonsense[_i].mtu) {
		opened();
		ck_assert_uint_eq(front->info.mtu, nonsense[_i].mtu);
		closed();
		return;
	}
	ck_assert_int_ne(netfront_open(NODE, &client, NULL, &dev), 0);
	ck_assert_uint_eq(grants_in_force(), 0);
	ck_assert_uint_eq(ports_open, 0);
}
END_TEST

START_TEST(pages_that_the_back_end_keeps_are_never_used_again)
{
	unsigned i;

	opened();
	back.holds = true;
	for (i = 0; i < 4; i++)
		ck_assert_int_eq(send_one(), 0);
	netdev_kick(dev, 0);
	back_take(0);
	netdev_close(dev);
	/* What it holds stays granted, and is not given back to the kernel. */
	ck_assert_uint_eq(kernel.sent + kernel.lost, 0);
	ck_assert_uint_ge(grants_in_force(), 4);
	for (i = 0; i < 4; i++)
		ck_assert(grants[back.taken[i].gref].flags & GTF_reading);
}
END_TEST

/* Another processor of the back-end's, which writes over both rings. */
static bool scribbles;

static void *scribble(void *arg)
{
	struct net_ring *r = &back.rings[0];
	unsigned seed = 7;

	(void)arg;
	while (__atomic_load_n(&scribbles, __ATOMIC_RELAXED)) {
		unsigned n = (unsigned)rand_r(&seed);
		volatile uint16_t *tx = (void *)RING_GET_RESPONSE(&r->tx, n >> 8);
		volatile uint16_t *rx = (void *)RING_GET_RESPONSE(&r->rx, n >> 8);

		tx[n & 1] = (uint16_t)(n % 300);
		rx[n & 3] = (uint16_t)(n % 5000);
	}
	return NULL;
}

START_TEST(whoever_writes_over_the_rings_hurts_nobody)
{
	unsigned round, i;
	pthread_t t;

	opened();
	scribbles = true;
	ck_assert_int_eq(pthread_create(&t, NULL, scribble, NULL), 0);
	for (round = 0; round < 300 && !front->common.is_broken; round++) {
		for (i = 0; i < 8; i++)
			send_one();
		netdev_kick(dev, 0);
		back.rings[0].rx.rsp_prod_pvt += 16;
		back.rings[0].tx.req_cons = back.rings[0].tx.sring->req_prod;
		back.rings[0].tx.rsp_prod_pvt = back.rings[0].tx.req_cons;
		RING_PUSH_RESPONSES(&back.rings[0].tx);
		rx_push(0);
		/* on_receive() looks at all that is handed on */
		netdev_poll(dev, 0, 64);
	}
	__atomic_store_n(&scribbles, false, __ATOMIC_RELAXED);
	pthread_join(t, NULL);
	netdev_close(dev);
	ck_assert_uint_eq(grants_in_force(), 0);
}
END_TEST

Suite *netfront_suite(void)
{
	Suite *s = suite_create("netfront");
	TCase *normal = tcase_create("normal"), *limits = tcase_create("limits");
	TCase *hostile = tcase_create("hostile");

	tcase_add_checked_fixture(normal, setup, net_end);
	tcase_add_checked_fixture(limits, setup, net_end);
	tcase_add_checked_fixture(hostile, setup, net_end);
	tcase_set_timeout(hostile, 30);
	tcase_add_test(normal, an_interface_says_what_it_is);
	tcase_add_test(normal, a_packet_leaves_as_it_was_given);
	tcase_add_test(normal, packets_arrive_as_they_were_put);
	tcase_add_test(normal, every_buffer_is_used_again_and_again);
	tcase_add_test(normal, a_batch_costs_one_event_each_way);
	tcase_add_test(normal, each_vcpu_has_its_queue);
	tcase_add_test(normal, one_event_channel_serves_both_ways_where_there_is_no_other);
	tcase_add_test(normal, a_restart_loses_packets_and_gives_all_back);
	tcase_add_test(normal, the_link_goes_and_comes);
	tcase_add_test(limits, who_finds_no_room_is_told_when_there_is_some);
	tcase_add_test(limits, answers_that_are_there_already_are_room);
	tcase_add_test(limits, a_kernel_that_takes_nothing_back_is_called);
	tcase_add_test(limits, what_was_not_kicked_is_kicked_when_room_is_short);
	tcase_add_test(limits, a_call_back_may_send);
	tcase_add_test(limits, what_cannot_be_sent_is_refused);
	tcase_add_test(limits, without_memory_packets_come_again_when_there_is_some);
	tcase_add_test(limits, devices_that_are_closed_give_their_pages_back);
	tcase_add_test(limits, no_page_for_a_queue_is_no_device);
	tcase_add_loop_test(hostile, a_lie_about_what_was_sent_ends_the_device, 0,
	                    ARRAY_LEN(tx_lies));
	tcase_add_test(hostile, answers_to_what_was_not_pushed_are_lies);
	tcase_add_loop_test(hostile, a_lie_about_buffers_ends_the_device, 0, ARRAY_LEN(rx_lies));
	tcase_add_loop_test(hostile, a_malformed_packet_is_dropped_and_the_next_is_not, 0,
	                    ARRAY_LEN(bad_packets));
	tcase_add_loop_test(hostile, a_description_that_makes_no_sense_is_none, 0,
	                    ARRAY_LEN(no_gso));
	tcase_add_test(hostile, ids_of_buffers_are_not_believed);
	tcase_add_test(hostile, a_storm_of_events_is_only_noise);
	tcase_add_test(hostile, offers_that_change_later_change_nothing);
	tcase_add_test(hostile, what_is_not_offered_is_not_used);
	tcase_add_loop_test(hostile, nonsense_in_the_store_is_refused_or_passed_over, 0,
	                    ARRAY_LEN(nonsense));
	tcase_add_test(hostile, pages_that_the_back_end_keeps_are_never_used_again);
	tcase_add_test(hostile, whoever_writes_over_the_rings_hurts_nobody);
	suite_add_tcase(s, normal);
	suite_add_tcase(s, limits);
	suite_add_tcase(s, hostile);
	return s;
}
