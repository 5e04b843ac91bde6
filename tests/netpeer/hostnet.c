/* SPDX-License-Identifier: MIT */
/*
 * A netdev over a stream socket in the framing of QEMU and passt: 32 bits of length, most significant
 * byte first, then the packet.
 *
 * Invariant: a packet that was taken has been copied into `out`; its pages are given back by the next
 * step, not by send(), which the stack calls with its lock held.
 */
#include "tests/netpeer/hostnet.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "abi/errno.h"
#include "tests/fake/fake_hypercalls.h"

#define PAGE      4096u
#define FRAME_MAX 65536u
#define OUT_SIZE  (256u * 1024)
#define SENT_MAX  512u

static struct netdev dev;
static struct net *net;
static int sock;
static bool is_gone;
static uint64_t timer_ns; /* 0: not armed */

static uint8_t out[OUT_SIZE]; /* to be written: [out_from, out_to) */
static size_t out_from, out_to;
static bool was_full;
static void *sent[SENT_MAX]; /* to be given back */
static unsigned nr_sent;

static uint8_t in[4 + FRAME_MAX];
static size_t in_len;

/* ---- what the stack wants ---- */

static void *page_alloc(void)
{
	return aligned_alloc(PAGE, PAGE);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static bool wait_until(struct pv_waitq *q, bool (*ready)(void *), void *arg, uint64_t deadline)
{
	(void)q;
	while (!ready(arg)) {
		if ((deadline && now_ns() >= deadline) || is_gone)
			return false;
		hostnet_step(-1, deadline && deadline < now_ns() + 1000000 ? 0 : 10);
	}
	return true;
}

static bool interrupted(void)
{
	return is_gone;
}

static void wake(struct pv_waitq *q)
{
	(void)q;
}

static void arm(struct net *n, uint64_t deadline)
{
	(void)n;
	timer_ns = deadline;
}

/* ---- the device ---- */

static int dev_send(struct netdev *d, unsigned queue, const struct netdev_packet *pkt)
{
	uint8_t *at = out + out_to;

	(void)d;
	(void)queue;
	if (out_to + 4 + pkt->len > OUT_SIZE || nr_sent == SENT_MAX) {
		was_full = true;
		return -XEN_EAGAIN;
	}
	for (int i = 0; i < 4; i++)
		*at++ = (uint8_t)(pkt->len >> (24 - 8 * i));
	for (unsigned i = 0; i < pkt->nr_frags; i++) {
		memcpy(at, pkt->frags[i].va, pkt->frags[i].len);
		at += pkt->frags[i].len;
	}
	out_to += 4 + pkt->len;
	sent[nr_sent++] = pkt->arg;
	return 0;
}

static void dev_kick(struct netdev *d, unsigned queue)
{
	(void)d;
	(void)queue;
}

static void dev_info(struct netdev *d, struct netdev_info *info)
{
	(void)d;
	*info = (struct netdev_info){ .mac = { 2, 0, 0, 0, 0, 1 }, .mtu = 1500, .link_up = true };
}

static const struct netdev_ops ops = { .send = dev_send, .kick = dev_kick, .info = dev_info };

static void give_back(void)
{
	while (nr_sent)
		dev.client.sent(&dev, 0, sent[--nr_sent], true);
}

static void write_some(void)
{
	ssize_t n = send(sock, out + out_from, out_to - out_from, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0 && errno != EAGAIN && errno != EINTR)
		is_gone = true;
	out_from += n > 0 ? (size_t)n : 0;
	if (out_from == out_to)
		out_from = out_to = 0;
}

/* In pages of its own, as from a device. */
static void hand_in(const uint8_t *frame, uint32_t len)
{
	struct netdev_packet pkt = { .len = len };

	while (len) {
		uint32_t n = len < PAGE ? len : PAGE;
		uint8_t *page = page_alloc();

		if (!page || pkt.nr_frags == NETDEV_MAX_FRAGS) {
			free(page);
			while (pkt.nr_frags)
				free(pkt.frags[--pkt.nr_frags].va);
			return;
		}
		memcpy(page, frame, n);
		pkt.frags[pkt.nr_frags++] = (struct netdev_frag){ page, n };
		frame += n;
		len -= n;
	}
	if (pkt.nr_frags)
		dev.client.receive(&dev, 0, &pkt);
}

static void read_some(void)
{
	ssize_t n = recv(sock, in + in_len, sizeof(in) - in_len, MSG_DONTWAIT);
	size_t at = 0;

	if (!n || (n < 0 && errno != EAGAIN && errno != EINTR))
		is_gone = true;
	in_len += n > 0 ? (size_t)n : 0;
	while (in_len - at >= 4) {
		uint32_t len = (uint32_t)in[at] << 24 | (uint32_t)in[at + 1] << 16 |
		               (uint32_t)in[at + 2] << 8 | in[at + 3];

		if (len > FRAME_MAX) {
			is_gone = true; /* this is no framing */
			return;
		}
		if (in_len - at - 4 < len)
			break;
		hand_in(in + at + 4, len);
		at += 4 + len;
	}
	memmove(in, in + at, in_len - at);
	in_len -= at;
}

/* ---- the loop ---- */

static int time_left(int timeout_ms)
{
	uint64_t now = now_ns();

	if (!timer_ns || timer_ns > now + (uint64_t)timeout_ms * 1000000)
		return timeout_ms;
	return timer_ns <= now ? 0 : (int)((timer_ns - now) / 1000000) + 1;
}

bool hostnet_step(int other_fd, int timeout_ms)
{
	struct pollfd fds[2] = { { .fd = sock, .events = POLLIN },
		                 { .fd = other_fd, .events = POLLIN } };

	if (out_to)
		write_some();
	fds[0].events |= out_to ? POLLOUT : 0;
	if (poll(fds, 2, nr_sent ? 0 : time_left(timeout_ms)) > 0 && fds[0].revents & ~POLLOUT)
		read_some();
	give_back();
	if (timer_ns && timer_ns <= now_ns()) {
		timer_ns = 0;
		net_timer(net);
	}
	if (was_full && !out_to) {
		was_full = false;
		dev.client.room(&dev, 0);
	}
	dev.client.done(&dev, 0);
	if (out_to)
		write_some();
	return !is_gone;
}

struct net *hostnet_open(int fd, uint32_t ip, uint32_t mask)
{
	static const struct net_env env = { .page_alloc = page_alloc,
		                            .page_free = free,
		                            .now_ns = now_ns,
		                            .wait = wait_until,
		                            .wake = wake,
		                            .interrupted = interrupted,
		                            .arm = arm };
	const struct net_config c = { .ip = ip, .mask = mask };

	fake_hypercalls_reset(); /* masks of events, which nothing here raises */
	sock = fd;
	net = net_create(&env);
	if (!net)
		return NULL;
	dev = (struct netdev){ .ops = &ops, .name = "stream", .client = net_client, .arg = net };
	net_attach(net, &dev);
	net_configure(net, &c);
	return net;
}
