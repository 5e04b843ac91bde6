/* SPDX-License-Identifier: MIT */
/*
 * The guests' network stack (tests/guests/unix/net) against itself: two stacks on a wire that loses,
 * doubles and delays packets, and a peer that sends garbage.
 *
 * Time is played: it goes on when nothing else happens. Pages are counted.
 */
#include <check.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "abi/errno.h"
#include "tests/fake/fake_hypercalls.h"
#include "tests/guests/unix/net/net.h"

Suite *guest_net_suite(void);

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define PAGE         4096
#define WIRE         512
#define IP_A         NET_IP(10, 0, 0, 1)
#define IP_B         NET_IP(10, 0, 0, 2)
#define SECOND       UINT64_C(1000000000)

struct end {
	struct netdev dev;
	struct net *n;
	struct end *peer;
	struct netdev_info info;
	uint64_t timer;
	/* Given by the stack, not handed on yet; then to be given back. */
	struct netdev_packet out[WIRE];
	unsigned head, tail;
};

static struct end a, b;
static uint64_t now;
static long pages;
static unsigned loss, doubling; /* in a hundred */
static unsigned seed;
static bool cut; /* nothing arrives */
static unsigned long delivered;

/* ---- what the kernel supplies ---- */

/* Pages that are free, linked through their first word. */
static void *pool;
/* All of them: a test ends with its network as it is, and no page counts as lost for that. */
#define MADE 16384
static void *made[MADE];
static unsigned nr_made;

static void *page_alloc(void)
{
	void *page = pool;

	pages++;
	if (page)
		pool = *(void **)page;
	else
		page = made[nr_made++ % MADE] = aligned_alloc(PAGE, PAGE);
	memset(page, 0xa5, PAGE);
	return page;
}

static void page_free(void *page)
{
	if ((uintptr_t)page % PAGE)
		ck_abort_msg("%p is no page", page);
	pages--;
	*(void **)page = pool;
	pool = page;
}

static uint64_t now_ns(void)
{
	return now;
}

static void arm(struct net *n, uint64_t deadline)
{
	(n == a.n ? &a : &b)->timer = deadline;
}

static void wake(struct pv_waitq *q)
{
	(void)q;
}

static bool step(void);

static bool wait_until(struct pv_waitq *q, bool (*ready)(void *), void *arg, uint64_t deadline)
{
	(void)q;
	for (;;) {
		if (ready(arg))
			return true;
		if (!step() || (deadline && now >= deadline))
			return ready(arg);
	}
}

static const struct net_env env = { .page_alloc = page_alloc,
	                            .page_free = page_free,
	                            .now_ns = now_ns,
	                            .wait = wait_until,
	                            .wake = wake,
	                            .arm = arm };

/* ---- the wire ---- */

static int dev_send(struct netdev *dev, unsigned queue, const struct netdev_packet *pkt)
{
	struct end *e = (struct end *)dev;
	uint32_t sum = 0;

	(void)queue;
	if (e->tail - e->head == WIRE)
		return -XEN_EAGAIN;
	for (unsigned i = 0; i < pkt->nr_frags; i++) {
		if ((uintptr_t)pkt->frags[i].va % PAGE + pkt->frags[i].len > PAGE)
			ck_abort_msg("a piece crosses its page");
		sum += pkt->frags[i].len;
	}
	if (sum != pkt->len || pkt->nr_frags > NETDEV_MAX_FRAGS)
		ck_abort_msg("pieces of %u bytes in all, not %u", sum, pkt->len);
	e->out[e->tail++ % WIRE] = *pkt;
	return 0;
}

static void dev_kick(struct netdev *dev, unsigned queue)
{
	(void)dev;
	(void)queue;
}

static void dev_info(struct netdev *dev, struct netdev_info *info)
{
	*info = ((struct end *)dev)->info;
}

static const struct netdev_ops dev_ops = { .send = dev_send, .kick = dev_kick, .info = dev_info };

/* In pages of the receiver's, the first piece not from a page's start. */
static void hand_in(struct end *to, const struct netdev_packet *pkt)
{
	struct netdev_packet in = { .csum_partial = pkt->csum_partial, .len = pkt->len };
	static uint8_t flat[70000];
	uint8_t *at = flat;
	uint32_t left = pkt->len, offset = 100;

	for (unsigned i = 0; i < pkt->nr_frags; i++) {
		memcpy(at, pkt->frags[i].va, pkt->frags[i].len);
		at += pkt->frags[i].len;
	}
	for (at = flat; left; offset = 0) {
		uint32_t n = PAGE - offset < left ? PAGE - offset : left;
		uint8_t *page = page_alloc();

		memcpy(page + offset, at, n);
		in.frags[in.nr_frags++] = (struct netdev_frag){ page + offset, n };
		at += n;
		left -= n;
	}
	delivered++;
	to->dev.client.receive(&to->dev, 0, &in);
}

static unsigned chance(void)
{
	return (unsigned)rand_r(&seed) % 100;
}

/* Carries what one end has sent; true when there was something. */
static bool carry(struct end *from)
{
	unsigned nr = from->tail - from->head;

	for (unsigned i = 0; i < nr; i++) {
		struct netdev_packet pkt = from->out[from->head % WIRE];

		if (!cut && chance() >= loss)
			hand_in(from->peer, &pkt);
		if (!cut && chance() < doubling)
			hand_in(from->peer, &pkt);
		from->head++;
		from->dev.client.sent(&from->dev, 0, pkt.arg, true);
		now += 1000;
	}
	if (nr) {
		from->peer->dev.client.done(&from->peer->dev, 0);
		from->dev.client.done(&from->dev, 0);
	}
	return nr;
}

static void run_timer(struct end *e)
{
	if (e->timer && e->timer <= now) {
		e->timer = 0;
		net_timer(e->n);
	}
}

static void (*serve)(void); /* somebody on the other side who acts between steps */

/* One thing happens, or time goes on. */
static bool step(void)
{
	if (serve)
		serve();
	if (carry(&a) | carry(&b))
		return true;
	now += SECOND / 100;
	run_timer(&a);
	run_timer(&b);
	return true;
}

static void settle(uint64_t ns)
{
	for (uint64_t end = now + ns; now < end;)
		step();
}

static void make_end(struct end *e, struct end *peer, uint32_t ip, bool offloads)
{
	const struct net_config c = { .ip = ip, .mask = NET_IP(255, 255, 255, 0) };

	memset(e, 0, sizeof(*e));
	e->peer = peer;
	e->info = (struct netdev_info){ .mac = { 2, 0, 0, 0, 0, (uint8_t)ip },
		                        .mtu = 1500,
		                        .csum_ipv4 = offloads,
		                        .gso_ipv4 = offloads,
		                        .sg = true };
	e->n = net_create(&env);
	e->dev.ops = &dev_ops;
	e->dev.client = net_client;
	e->dev.arg = e->n;
	net_attach(e->n, &e->dev);
	net_configure(e->n, &c);
}

static void make(bool offloads)
{
	fake_hypercalls_reset();
	now = SECOND;
	loss = doubling = 0;
	cut = false;
	seed = 4;
	pages = 0;
	make_end(&a, &b, IP_A, offloads);
	make_end(&b, &a, IP_B, offloads);
}

static void set_up_plain(void)
{
	make(false);
}

static void set_up_offloads(void)
{
	make(true);
}

/* ---- small things ---- */

START_TEST(a_ping_is_answered)
{
	uint64_t rtt;

	for (unsigned len = 0; len < 1400; len += 199)
		ck_assert_int_eq(net_ping(a.n, IP_B, len, SECOND, &rtt), 0);
	ck_assert_int_eq(net_ping(a.n, NET_IP(10, 0, 0, 9), 56, SECOND, &rtt), -XEN_ETIMEDOUT);
}
END_TEST

/* By its own address and by the loop's: ping, datagram, stream; without a packet on the wire. */
START_TEST(what_is_sent_to_itself_comes_back_at_once)
{
	const uint32_t to[] = { IP_A, NET_IP(127, 0, 0, 1) };
	static uint8_t out[50000], in[sizeof(out)];
	struct net_tcp *listener, *client, *server;
	struct net_udp *u;
	uint64_t rtt;
	uint32_t ip;

	for (unsigned i = 0; i < ARRAY_LEN(to); i++) {
		ck_assert_int_eq(net_ping(a.n, to[i], 2000, 1, &rtt), 0);
		ck_assert_int_eq(net_udp_open(a.n, 7, &u), 0);
		ck_assert_int_eq(net_udp_send(u, to[i], 7, "self", 4), 0);
		ck_assert_int_eq(net_udp_receive(u, in, sizeof(in), &ip, NULL, 1), 4);
		ck_assert_uint_eq(ip, to[i]);
		net_udp_close(u);
		ck_assert_int_eq(net_tcp_listen(a.n, 80, &listener), 0);
		ck_assert_int_eq(net_tcp_connect(a.n, to[i], 80, SECOND, &client), 0);
		ck_assert_int_eq(net_tcp_accept(listener, SECOND, &server), 0);
		for (size_t k = 0; k < sizeof(out); k++)
			out[k] = (uint8_t)(k * 5 + k / 256);
		ck_assert_int_eq(net_tcp_write(client, out, sizeof(out), SECOND), sizeof(out));
		net_tcp_shutdown(client);
		for (long got = 0, n; got < (long)sizeof(out); got += n) {
			n = net_tcp_read(server, in + got, sizeof(in) - (size_t)got, SECOND);
			ck_assert_int_gt(n, 0);
		}
		ck_assert_mem_eq(in, out, sizeof(out));
		ck_assert_int_eq(net_tcp_read(server, in, 1, SECOND), 0);
		ck_assert_int_eq(net_tcp_write(server, "end", 3, SECOND), 3);
		net_tcp_close(server);
		ck_assert_int_eq(net_tcp_read(client, in, sizeof(in), SECOND), 3);
		net_tcp_close(client);
		net_tcp_close(listener);
	}
	ck_assert_int_eq(net_tcp_connect(a.n, NET_IP(127, 0, 0, 1), 81, SECOND, &client),
	                 -XEN_ECONNREFUSED);
	ck_assert_uint_eq(a.tail, 0);
	settle(5 * SECOND);
	ck_assert_int_eq(pages, 2);
}
END_TEST

START_TEST(datagrams_arrive_at_their_port)
{
	struct net_udp *ua, *ub;
	uint8_t out[1472], in[1472];
	uint16_t port;
	uint32_t ip;

	ck_assert_int_eq(net_udp_open(a.n, 0, &ua), 0);
	ck_assert_int_eq(net_udp_open(b.n, 7, &ub), 0);
	for (size_t i = 0; i < sizeof(out); i++)
		out[i] = (uint8_t)(i * 3);
	for (size_t len = 0; len <= sizeof(out); len += 92) {
		ck_assert_int_eq(net_udp_send(ua, IP_B, 7, out, len), 0);
		ck_assert_int_eq(net_udp_receive(ub, in, sizeof(in), &ip, &port, SECOND),
		                 (long)len);
		ck_assert_mem_eq(in, out, len);
		ck_assert_uint_eq(ip, IP_A);
		ck_assert_uint_eq(port, net_udp_port(ua));
	}
	ck_assert_int_eq(net_udp_send(ua, IP_B, 7, out, 1473), -XEN_EMSGSIZE);
	ck_assert_int_eq(net_udp_receive(ub, in, sizeof(in), &ip, &port, SECOND), -XEN_ETIMEDOUT);
	/* Who does not read keeps a bounded number. */
	for (int i = 0; i < 1000; i++) {
		net_udp_send(ua, IP_B, 7, out, 1000);
		settle(1000);
	}
	settle(SECOND);
	ck_assert_int_lt(pages, 200);
	net_udp_close(ub);
	net_udp_close(ua);
	ck_assert_int_eq(pages, 2);
}
END_TEST

static struct net_udp *dhcp_server;

static void put32(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 24);
	p[1] = (uint8_t)(v >> 16);
	p[2] = (uint8_t)(v >> 8);
	p[3] = (uint8_t)v;
}

/* Answers what waits: DISCOVER by OFFER, REQUEST by ACK. */
static void serve_dhcp(void)
{
	uint8_t m[576];
	long len = net_udp_receive(dhcp_server, m, sizeof(m), NULL, NULL, 1);

	if (len < 240)
		return;
	ck_assert_uint_eq(m[0], 1);
	m[0] = 2;
	put32(m + 16, NET_IP(10, 0, 0, 77));
	m[242] = m[242] == 1 ? 2 : 5;
	memcpy(m + 243, "\1\4\xff\xff\xff\0\3\4\x0a\0\0\2\6\4\x0a\0\0\3\x36\4\x0a\0\0\2\xff", 25);
	net_udp_send(dhcp_server, NET_BROADCAST, 68, m, 300);
}

static bool no_wait(struct pv_waitq *q, bool (*ready)(void *), void *arg, uint64_t deadline)
{
	(void)q;
	(void)deadline;
	return ready(arg);
}

START_TEST(an_address_is_had_for_the_asking)
{
	struct net_config none = { 0 }, c;

	net_configure(a.n, &none);
	/* The server's stack must not turn time while it looks for work. */
	struct net_env quiet = env;

	quiet.wait = no_wait;
	b.n = net_create(&quiet);
	b.dev.arg = b.n;
	net_attach(b.n, &b.dev);
	net_configure(b.n, &(struct net_config){ .ip = IP_B, .mask = NET_IP(255, 255, 255, 0) });
	ck_assert_int_eq(net_udp_open(b.n, 67, &dhcp_server), 0);
	ck_assert_int_eq(net_dhcp(a.n, 3 * SECOND), -XEN_ETIMEDOUT);
	serve = serve_dhcp;
	ck_assert_int_eq(net_dhcp(a.n, 3 * SECOND), 0);
	serve = NULL;
	net_get_config(a.n, &c);
	ck_assert_uint_eq(c.ip, NET_IP(10, 0, 0, 77));
	ck_assert_uint_eq(c.mask, NET_IP(255, 255, 255, 0));
	ck_assert_uint_eq(c.gateway, IP_B);
	ck_assert_uint_eq(c.dns, NET_IP(10, 0, 0, 3));
}
END_TEST

/* ---- TCP ---- */

static struct net_tcp *listener, *server;
static uint64_t received;   /* by the server */
static bool ended, answers; /* the peer has ended; the server sends all back */
static long server_error;

static uint8_t byte_at(uint64_t i)
{
	return (uint8_t)(i * 31 + (i >> 11));
}

/* One assertion for all: each costs a system call. */
static void check_bytes(const uint8_t *buf, uint64_t from, long n)
{
	long i = 0;

	while (i < n && buf[i] == byte_at(from + (uint64_t)i))
		i++;
	ck_assert_int_eq(i, n < 0 ? 0 : n);
}

/* The other side: accepts one, reads what there is, checks it. Never waits. */
static void serve_tcp(void)
{
	static uint8_t buf[20000];
	long n;

	if (!server) {
		if (net_tcp_accept(listener, 1, &server))
			server = NULL;
		return;
	}
	if (ended || server_error)
		return;
	n = net_tcp_read(server, buf, sizeof(buf), 1);
	if (n == -XEN_ETIMEDOUT)
		return;
	if (n < 0) {
		server_error = n;
		return;
	}
	ended = n == 0;
	check_bytes(buf, received, n);
	received += (uint64_t)n;
	if (answers && n)
		ck_assert_int_eq(net_tcp_write(server, buf, (size_t)n, 1), n);
	if (ended && answers) {
		net_tcp_close(server);
		server = NULL;
		serve = NULL;
	}
}

/* In serve() nothing may wait: time would go on within time. */
static bool nested;

static bool wait_outside(struct pv_waitq *q, bool (*ready)(void *), void *arg, uint64_t deadline)
{
	if (nested)
		return ready(arg);
	return wait_until(q, ready, arg, deadline);
}

static void serve_nested(void)
{
	if (nested)
		return;
	nested = true;
	serve_tcp();
	nested = false;
}

static void tcp_world(void)
{
	struct net_env e = env;
	struct end *ends[] = { &a, &b };

	e.wait = wait_outside;
	for (int i = 0; i < 2; i++) {
		const struct net_config c = { .ip = i ? IP_B : IP_A,
			                      .mask = NET_IP(255, 255, 255, 0) };

		page_free(ends[i]->n);
		ends[i]->n = net_create(&e);
		ends[i]->dev.arg = ends[i]->n;
		net_attach(ends[i]->n, &ends[i]->dev);
		net_configure(ends[i]->n, &c);
	}
	received = 0;
	ended = answers = nested = false;
	server_error = 0;
	server = NULL;
	ck_assert_int_eq(net_tcp_listen(b.n, 80, &listener), 0);
	serve = serve_nested;
}

/* Sends total bytes; returns the connection. */
static struct net_tcp *talk(uint64_t total)
{
	static uint8_t buf[50000];
	struct net_tcp *t;

	ck_assert_int_eq(net_tcp_connect(a.n, IP_B, 80, 20 * SECOND, &t), 0);
	for (uint64_t done = 0; done < total;) {
		size_t n = sizeof(buf) - (size_t)(done % 777);

		if (n > total - done)
			n = (size_t)(total - done);
		for (size_t i = 0; i < n; i++)
			buf[i] = byte_at(done + i);
		ck_assert_int_eq(net_tcp_write(t, buf, n, 60 * SECOND), (long)n);
		done += n;
	}
	return t;
}

static void finish(struct net_tcp *t, uint64_t total)
{
	ck_assert_int_eq(net_tcp_drain(t, 100 * SECOND), 0);
	net_tcp_close(t);
	for (int i = 0; i < 100000 && !ended; i++)
		step();
	ck_assert(ended);
	ck_assert_uint_eq(received, total);
	serve = NULL;
	if (server)
		net_tcp_close(server);
	net_tcp_close(listener);
	settle(60 * SECOND);
	/* Both stacks, and nothing else. */
	ck_assert_int_eq(pages, 2);
}

START_TEST(a_stream_arrives_whole)
{
	static const uint64_t totals[] = { 0, 1, 1460, 100000, 1500000 };

	tcp_world();
	finish(talk(totals[_i]), totals[_i]);
}
END_TEST

START_TEST(a_bad_wire_slows_a_stream_and_does_not_spoil_it)
{
	tcp_world();
	loss = 1 + 4 * (unsigned)_i;
	doubling = 3;
	finish(talk(600000), 600000);
}
END_TEST

START_TEST(bytes_come_back)
{
	static uint8_t buf[3000];
	struct net_tcp *t;
	uint64_t got = 0;
	long n;

	tcp_world();
	answers = true;
	t = talk(300000);
	while (got < 300000) {
		n = net_tcp_read(t, buf, sizeof(buf), 20 * SECOND);
		ck_assert_int_gt(n, 0);
		check_bytes(buf, got, n);
		got += (uint64_t)n;
	}
	net_tcp_close(t);
	settle(2 * SECOND);
	ck_assert(ended);
	net_tcp_close(listener);
	settle(60 * SECOND);
	ck_assert_int_eq(pages, 2);
}
END_TEST

START_TEST(a_reader_that_waits_holds_the_writer_and_then_gets_all)
{
	static uint8_t buf[100000];
	struct net_tcp *t;
	uint64_t done = 0;
	long n;

	tcp_world();
	t = talk(0);
	while (!server)
		step();
	serve = NULL;
	for (;;) {
		for (size_t i = 0; i < sizeof(buf); i++)
			buf[i] = byte_at(done + i);
		n = net_tcp_write(t, buf, sizeof(buf), 30 * SECOND);
		if (n > 0)
			done += (uint64_t)n;
		if (n < (long)sizeof(buf))
			break;
		ck_assert_uint_lt(done, 4000000);
	}
	ck_assert_uint_gt(done, 768 * 1024);
	serve = serve_nested;
	finish(t, done);
}
END_TEST

START_TEST(nobody_listens_there)
{
	struct net_tcp *t;

	tcp_world();
	ck_assert_int_eq(net_tcp_connect(a.n, IP_B, 81, 5 * SECOND, &t), -XEN_ECONNREFUSED);
	cut = true;
	ck_assert_int_eq(net_tcp_connect(a.n, IP_B, 80, 5 * SECOND, &t), -XEN_ETIMEDOUT);
	cut = false;
	serve = NULL;
	net_tcp_close(listener);
	settle(60 * SECOND);
	ck_assert_int_eq(pages, 2);
}
END_TEST

START_TEST(a_dead_wire_ends_a_connection)
{
	struct net_tcp *t;

	tcp_world();
	t = talk(1000);
	while (received < 1000)
		step();
	cut = true;
	ck_assert_int_eq(net_tcp_write(t, "x", 1, SECOND), 1);
	ck_assert_int_eq(net_tcp_drain(t, 200 * SECOND), -XEN_EIO);
	net_tcp_close(t);
	serve = NULL;
	net_tcp_close(server);
	net_tcp_close(listener);
	settle(200 * SECOND);
	ck_assert_int_eq(pages, 2);
}
END_TEST

START_TEST(a_flood_of_beginnings_is_bounded)
{
	struct net_tcp *t[40];
	unsigned nr = 0;

	tcp_world();
	serve = NULL;
	for (unsigned i = 0; i < ARRAY_LEN(t); i++)
		nr += !net_tcp_connect(a.n, IP_B, 80, SECOND / 10, &t[nr]);
	ck_assert_uint_eq(nr, 16);
	net_tcp_close(listener);
	settle(SECOND);
	while (nr--)
		net_tcp_close(t[nr]);
	settle(200 * SECOND);
	ck_assert_int_eq(pages, 2);
}
END_TEST

/* ---- hostile ---- */

static void fill_ip_sum(uint8_t *ip)
{
	uint32_t sum = 0;

	ip[10] = ip[11] = 0;
	for (int k = 0; k < 20; k += 2)
		sum += (uint32_t)(ip[k] << 8 | ip[k + 1]);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	ip[10] = (uint8_t)(~sum >> 8);
	ip[11] = (uint8_t)~sum;
}

START_TEST(garbage_does_no_harm)
{
	struct net_tcp *t;
	struct net_udp *u;

	tcp_world();
	t = talk(100);
	while (received < 100)
		step();
	ck_assert_int_eq(net_udp_open(a.n, 9, &u), 0);
	for (int round = 0; round < 30000; round++) {
		struct netdev_packet pkt = { 0 };
		uint8_t *page = page_alloc();
		unsigned len = 14 + (unsigned)rand_r(&seed) % 200;

		/* Mostly the right addresses, so that it gets far; the rest as chance has it. */
		for (unsigned i = 0; i < len; i++)
			page[i] = (uint8_t)(rand_r(&seed) >> 4);
		page[12] = 8;
		page[13] = rand_r(&seed) % 10 ? 0 : 6;
		if (rand_r(&seed) % 20) {
			memcpy(page + 14, "\x45\0\0\0\0\0\0\0\x40\0\0\0\x0a\0\0\2\x0a\0\0\1", 20);
			page[14] = (uint8_t)(0x45 + (rand_r(&seed) % 5 == 0));
			page[17] = (uint8_t)(len - 14 + (unsigned)(rand_r(&seed) % 10 == 0));
			page[23] = (uint8_t[]){ 1, 6, 17 }[rand_r(&seed) % 3];
		}
		if (page[23] == 6 && rand_r(&seed) % 2) {
			page[34] = 0;
			page[35] = 80;
			page[36] = 0xc0;
			page[37] = 0;
		}
		fill_ip_sum(page + 14);
		pkt.csum_valid = rand_r(&seed) % 2;
		pkt.len = len;
		pkt.nr_frags = 1;
		pkt.frags[0] = (struct netdev_frag){ page, len };
		a.dev.client.receive(&a.dev, 0, &pkt);
		a.dev.client.done(&a.dev, 0);
		while (a.head != a.tail)
			carry(&a);
	}
	ck_assert_ptr_nonnull(t);
}
END_TEST

/* 127.0.0.1 on a wire: not to us, and not from us. */
START_TEST(the_loops_addresses_are_nobodys_on_a_wire)
{
	static const uint8_t from_to[][8] = { { 127, 0, 0, 1, 10, 0, 0, 1 },
		                              { 10, 0, 0, 2, 127, 0, 0, 1 },
		                              { 127, 0, 0, 1, 127, 0, 0, 1 } };
	struct net_udp *u;

	ck_assert_int_eq(net_udp_open(a.n, 7, &u), 0);
	for (unsigned i = 0; i < ARRAY_LEN(from_to); i++) {
		struct netdev_packet pkt = { .nr_frags = 1, .len = 60, .csum_valid = true };
		uint8_t *page = page_alloc();

		memset(page, 0, 60);
		memcpy(page + 12, "\x08\0\x45\0\0\x2e\0\0\0\0\x40\x11\0\0", 14);
		memcpy(page + 26, from_to[i], 8);
		memcpy(page + 34, "\0\7\0\7\0\x1a\0\0", 8);
		fill_ip_sum(page + 14);
		pkt.frags[0] = (struct netdev_frag){ page, 60 };
		a.dev.client.receive(&a.dev, 0, &pkt);
	}
	ck_assert_int_eq(net_udp_receive(u, NULL, 0, NULL, NULL, 1), -XEN_ETIMEDOUT);
}
END_TEST

Suite *guest_net_suite(void)
{
	Suite *s = suite_create("guest_net");
	TCase *plain = tcase_create("plain"), *off = tcase_create("offloads");
	TCase *cases[] = { plain, off };
	TCase *hostile = tcase_create("hostile");

	tcase_add_checked_fixture(plain, set_up_plain, NULL);
	tcase_add_checked_fixture(off, set_up_offloads, NULL);
	tcase_add_checked_fixture(hostile, set_up_plain, NULL);
	for (int i = 0; i < 2; i++) {
		tcase_set_timeout(cases[i], 60);
		tcase_add_test(cases[i], a_ping_is_answered);
		tcase_add_test(cases[i], what_is_sent_to_itself_comes_back_at_once);
		tcase_add_test(cases[i], datagrams_arrive_at_their_port);
		tcase_add_test(cases[i], an_address_is_had_for_the_asking);
		tcase_add_loop_test(cases[i], a_stream_arrives_whole, 0, 5);
		tcase_add_loop_test(cases[i], a_bad_wire_slows_a_stream_and_does_not_spoil_it, 0,
		                    4);
		tcase_add_test(cases[i], bytes_come_back);
		tcase_add_test(cases[i], a_reader_that_waits_holds_the_writer_and_then_gets_all);
		tcase_add_test(cases[i], nobody_listens_there);
		tcase_add_test(cases[i], a_dead_wire_ends_a_connection);
		tcase_add_test(cases[i], a_flood_of_beginnings_is_bounded);
		suite_add_tcase(s, cases[i]);
	}
	tcase_set_timeout(hostile, 60);
	tcase_add_test(hostile, the_loops_addresses_are_nobodys_on_a_wire);
	tcase_add_test(hostile, garbage_does_no_harm);
	suite_add_tcase(s, hostile);
	return s;
}
