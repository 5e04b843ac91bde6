/* SPDX-License-Identifier: MIT */
/*
 * A guest that answers on its network interface, or uses it: the first word of the command line says
 * which.
 *
 *   serve [s=N]       answers: ping; UDP to port 7 comes back; TCP to port 9 is read and thrown away,
 *                     from port 19 comes data without end, on port 80 a page by HTTP. For N seconds,
 *                     or until it is told to end ("stop" to UDP port 7).
 *   rtt               UDP round trips with to=A.B.C.D, port 7: "net rtt: MIN MEDIAN ns"
 *   send, receive     a TCP stream to port 9, from port 19, for ms=N: "net send: N MB/s"
 *   flood             64-byte UDP packets to port 9 for ms=N: "net flood: N packets/s"
 *   count             UDP packets to port 9, for ms=N from the first: "net counts", then "net count: N packets/s"
 *   ping              one echo request: "PASS ping"
 *   Also: ip=A.B.C.D/BITS gw=A.B.C.D, else the address comes by DHCP; stop=1: ends the server.
 *
 * tests/integration/test_net.sh and tests/bench read the lines.
 */
#include "abi/errno.h"
#include "frontends/netdev.h"
#include "pvops/barrier.h"
#include "pvops/cpu.h"
#include "pvops/lib/string.h"
#include "pvops/pv_ops.h"
#include "pvops/pvguest.h"
#include "pvops/time.h"
#include "pvops/xs.h"
#include "tests/guests/unix/net/net.h"
#include "tests/guests/words.h"

#define MS       1000000ull
#define SECOND   (1000 * MS)
#define PIECE    (64 * 1024)
#define SAMPLES  20000
#define NO_WAIT  1 /* as short as a limit can be */
#define MAX_CONN 16
#define BATCH    32

static struct net *net;
static struct netdev *dev;
static uint8_t buffer[PIECE];
static struct pv_waitq bell;
static uint32_t rang; /* something has come, gone, or become due */

/* ---- the command line --------------------------------------------------------------------------- */

static uint32_t address(const char **at)
{
	uint32_t ip = 0;
	int i;

	for (i = 0; i < 4; i++) {
		ip = ip << 8 | (uint32_t)word_digits(at);
		if (i < 3 && **at == '.')
			(*at)++;
	}
	return ip;
}

static bool begins(const char *what)
{
	return !strncmp(pv_boot.cmdline, what, strlen(what));
}

/* ---- what the stack wants ----------------------------------------------------------------------- */

static void ring(void)
{
	pv_store_release(&rang, 1);
	pv_wake(&bell);
}

static void on_timer(evtchn_port_t port, void *arg)
{
	(void)port;
	(void)arg;
	net_timer(net);
	ring();
}

static void arm(struct net *n, uint64_t deadline_ns)
{
	(void)n;
	pv_timer_set(deadline_ns);
}

static uint64_t now(void)
{
	return pv_now_ns();
}

static const struct net_env env = { .page_alloc = pv_page_alloc,
	                            .page_free = pv_page_free,
	                            .now_ns = now,
	                            .wait = pv_wait,
	                            .wake = pv_wake,
	                            .arm = arm };

static struct netdev_client client;

static void on_done(struct netdev *d, unsigned queue)
{
	net_client.done(d, queue);
	ring();
}

static void on_attention(struct netdev *d)
{
	(void)d;
	ring();
}

static int open_device(const char *node, unsigned handle, void *arg)
{
	(void)handle;
	(void)arg;
	client = net_client;
	client.done = on_done;
	client.attention = on_attention;
	return netdev_open(node, &client, net, &dev) ?: 1;
}

static void configure(void)
{
	struct net_config c = { 0 };
	const char *at = word_after("ip=");
	int rc;

	if (at) {
		c.ip = address(&at);
		c.mask = *at == '/' && at++ ? ~(UINT32_MAX >> word_digits(&at))
		                            : NET_IP(255, 255, 255, 0);
		at = word_after("gw=");
		c.gateway = at ? address(&at) : 0;
		net_configure(net, &c);
	} else {
		rc = net_dhcp(net, 10 * SECOND);
		if (rc)
			pv_panic("netbench: no address by DHCP: error %d", rc);
		net_get_config(net, &c);
	}
	pv_log("net %s: %u.%u.%u.%u\n", dev->name, c.ip >> 24, c.ip >> 16 & 255, c.ip >> 8 & 255,
	       c.ip & 255);
}

static void open_net(void)
{
	int rc;

	if (!pv_is_native() && pv_xs_init(pv_boot.start))
		pv_panic("netbench: no store");
	net = net_create(&env);
	if (!net || pv_timer_bind(pv_cpu()->id, on_timer, NULL))
		pv_panic("netbench: no memory, or no timer");
	rc = netdev_each(open_device, NULL);
	if (rc < 0 || !dev)
		pv_panic("netbench: no network interface: error %d", rc);
	net_attach(net, dev);
	netdev_start(dev);
	configure();
}

/* ---- serving ------------------------------------------------------------------------------------ */

enum service { DISCARD, SOURCE, HTTP, SERVICES };

static const uint16_t port_of[SERVICES] = { 9, 19, 80 };
static struct net_tcp *listener[SERVICES];
static struct net_udp *echo, *sink;
static struct {
	struct net_tcp *t;
	enum service service;
	unsigned asked; /* bytes of the request */
} conn[MAX_CONN];
static uint64_t sunk;

static const char page[] = "HTTP/1.0 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n"
			   "<!doctype html><title>Paravane</title><p>Served by a guest.\n";

static void accept_all(void)
{
	unsigned s, i;

	for (s = 0; s < SERVICES; s++) {
		for (i = 0; i < MAX_CONN; i++) {
			if (conn[i].t)
				continue;
			conn[i].service = s;
			conn[i].asked = 0;
			if (net_tcp_accept(listener[s], NO_WAIT, &conn[i].t))
				conn[i].t = NULL;
			break;
		}
	}
}

/* True: something was done. */
static bool serve_one(unsigned i)
{
	long n = conn[i].service == SOURCE
	                 ? net_tcp_write(conn[i].t, buffer, sizeof(buffer), NO_WAIT)
	                 : net_tcp_read(conn[i].t, buffer, sizeof(buffer), NO_WAIT);

	if (n == -XEN_ETIMEDOUT)
		return false;
	if (n > 0 && conn[i].service == HTTP) {
		/* The request ends with an empty line; it is not looked at otherwise. */
		conn[i].asked += (unsigned)n;
		if (n < 4 || memcmp(buffer + n - 4, "\r\n\r\n", 4))
			return true;
		net_tcp_write(conn[i].t, page, sizeof(page) - 1, SECOND);
		n = 0;
	}
	if (n <= 0) {
		net_tcp_close(conn[i].t);
		conn[i].t = NULL;
	}
	return true;
}

/* False: it was told to end. */
static bool serve_udp(bool *busy)
{
	uint32_t ip;
	uint16_t port;
	long n;

	while ((n = net_udp_receive(echo, buffer, 1472, &ip, &port, NO_WAIT)) >= 0) {
		*busy = true;
		net_udp_send(echo, ip, port, buffer, (size_t)n);
		if (n == 4 && !memcmp(buffer, "stop", 4))
			return false;
	}
	while (net_udp_receive(sink, buffer, 1472, NULL, NULL, NO_WAIT) >= 0) {
		*busy = true;
		sunk++;
	}
	return true;
}

static bool has_rung(void *arg)
{
	(void)arg;
	return pv_load_acquire(&rang);
}

static void serve(void)
{
	uint64_t end = pv_now_ns() + word_number(" s=", 3600) * SECOND;
	bool go_on = true;
	unsigned i;

	for (i = 0; i < SERVICES; i++) {
		if (net_tcp_listen(net, port_of[i], &listener[i]))
			pv_panic("netbench: port %u", port_of[i]);
	}
	if (net_udp_open(net, 7, &echo) || net_udp_open(net, 9, &sink))
		pv_panic("netbench: no memory");
	pv_log("net serves\n");
	while (go_on && pv_now_ns() < end) {
		bool busy = false;

		pv_store_release(&rang, 0);
		netdev_service(dev);
		go_on = serve_udp(&busy);
		accept_all();
		for (i = 0; i < MAX_CONN; i++) {
			if (conn[i].t)
				busy |= serve_one(i);
		}
		if (!busy && go_on)
			pv_wait(&bell, has_rung, NULL, end);
	}
	pv_log("net served: %llu packets thrown away\n", (unsigned long long)sunk);
}

/* ---- using ---------------------------------------------------------------------------------------- */

static uint32_t peer(void)
{
	const char *at = word_after("to=");

	if (!at)
		pv_panic("netbench: say to=A.B.C.D");
	return address(&at);
}

/* It may not be up yet. */
static void await_peer(void)
{
	uint64_t rtt;

	if (net_ping(net, peer(), 0, 20 * SECOND, &rtt))
		pv_panic("netbench: nobody answers");
}

static uint32_t sample[SAMPLES];

static void sort(uint32_t *a, unsigned n)
{
	unsigned gap, i, k;

	for (gap = n / 2; gap; gap /= 2) {
		for (i = gap; i < n; i++) {
			uint32_t v = a[i];

			for (k = i; k >= gap && a[k - gap] > v; k -= gap)
				a[k] = a[k - gap];
			a[k] = v;
		}
	}
}

static void round_trips(void)
{
	struct net_udp *u;
	unsigned n = 0, lost = 0;
	uint64_t end;

	if (net_udp_open(net, 0, &u))
		pv_panic("netbench: no memory");
	await_peer();
	end = pv_now_ns() + word_number("ms=", 1000) * MS;
	while (n < SAMPLES && pv_now_ns() < end) {
		uint64_t start = pv_now_ns();

		net_udp_send(u, peer(), 7, buffer, 32);
		if (net_udp_receive(u, buffer, 1472, NULL, NULL, SECOND) < 0)
			lost++;
		else
			sample[n++] = (uint32_t)(pv_now_ns() - start);
	}
	sort(sample, n);
	pv_log("net rtt: %u %u ns min median, %u trips, %u lost\n", n ? sample[0] : 0,
	       n ? sample[n / 2] : 0, n, lost);
}

static void flood(void)
{
	uint64_t start, end;
	uint64_t n = 0, full = 0;
	uint32_t to = peer();
	struct net_udp *u;

	if (net_udp_open(net, 0, &u))
		pv_panic("netbench: no memory");
	await_peer();
	start = pv_now_ns();
	end = start + word_number("ms=", 1000) * MS;
	while (pv_now_ns() < end) {
		/* 64 bytes on the wire: 14 of Ethernet, 28 of IP and UDP, and these */
		unsigned i = 0;

		net_hold(net);
		while (i < BATCH && net_udp_send(u, to, 9, buffer, 22) != -XEN_EAGAIN)
			i++;
		net_release(net);
		n += i;
		full += i < BATCH;
		netdev_poll(dev, 0, 64);
	}
	pv_log("net flood: %llu packets/s, full %llu times\n",
	       (unsigned long long)(n * SECOND / (pv_now_ns() - start)), (unsigned long long)full);
}

static void count(void)
{
	uint64_t start = 0, end = pv_now_ns() + 20 * SECOND, n = 0;

	if (net_udp_open(net, 9, &sink))
		pv_panic("netbench: no memory");
	pv_log("net counts\n");
	while (pv_now_ns() < end) {
		if (net_udp_receive(sink, buffer, 1472, NULL, NULL, SECOND / 10) < 0)
			continue;
		if (!n++) {
			start = pv_now_ns();
			end = start + word_number("ms=", 1000) * MS;
		}
	}
	pv_log("net count: %llu packets/s\n",
	       (unsigned long long)(n * SECOND / (pv_now_ns() - start)));
}

static void stream(bool out)
{
	uint64_t start, end, n = 0;
	struct net_tcp *t;
	long rc;

	await_peer();
	rc = net_tcp_connect(net, peer(), out ? 9 : 19, 10 * SECOND, &t);

	if (rc)
		pv_panic("netbench: nobody answers: error %ld", rc);
	start = pv_now_ns();
	end = start + word_number("ms=", 1000) * MS;
	while (rc >= 0 && pv_now_ns() < end) {
		rc = out ? net_tcp_write(t, buffer, sizeof(buffer), 5 * SECOND)
		         : net_tcp_read(t, buffer, sizeof(buffer), 5 * SECOND);
		n += rc > 0 ? (uint64_t)rc : 0;
		if (!rc)
			break;
	}
	if (out)
		net_tcp_drain(t, 10 * SECOND);
	pv_log("net %s: %llu MB/s, %llu MB%s\n", out ? "send" : "receive",
	       (unsigned long long)(n * 1000 / (pv_now_ns() - start)),
	       (unsigned long long)(n / 1000000), rc < 0 ? ", broken off" : "");
	net_tcp_close(t);
}

static void ping(void)
{
	uint64_t rtt;
	int rc = net_ping(net, peer(), 56, 20 * SECOND, &rtt);

	if (rc)
		pv_log("FAIL ping: error %d\n", rc);
	else
		pv_log("PASS ping: %llu ns\n", (unsigned long long)rtt);
}

static void figures(void)
{
	struct netdev_stats s;
	struct net_figures f;
	struct net_udp *u;

	if (word_number("stop=", 0) && !net_udp_open(net, 0, &u)) {
		net_udp_send(u, peer(), 7, "stop", 4);
		net_udp_receive(u, buffer, 64, NULL, NULL, SECOND);
	}
	netdev_get_stats(dev, &s);
	net_get_figures(net, &f);
	pv_log("net figures: %llu sent, %llu received, %llu notifications, %llu events, %llu sent "
	       "again, %llu bad sums\n",
	       (unsigned long long)s.tx_packets, (unsigned long long)s.rx_packets,
	       (unsigned long long)s.notifications, (unsigned long long)s.events,
	       (unsigned long long)f.retransmitted, (unsigned long long)f.bad_checksum);
}

void kernel_main(const struct pv_boot *boot)
{
	(void)boot;
	open_net();
	if (begins("serve"))
		serve();
	else if (begins("rtt"))
		round_trips();
	else if (begins("flood"))
		flood();
	else if (begins("count"))
		count();
	else if (begins("ping"))
		ping();
	else
		stream(begins("send"));
	figures();
	netdev_close(dev);
}
