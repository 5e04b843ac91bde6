/* SPDX-License-Identifier: MIT */
/*
 * A guest behind a port, for tests of the ports: it counts what comes, has as many buffers as the test
 * wants, and can be waited for.
 */
#ifndef TESTS_UNIT_NETPORT_WORLD_H
#define TESTS_UNIT_NETPORT_WORLD_H

#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "backends/netpkt.h"

#define LIMIT_MS 10000

struct guest {
	struct netport *port;
	pthread_mutex_t lock;
	uint8_t buffer[70000];
	uint8_t last[70000]; /* the last packet */
	uint32_t last_len;
	struct netpkt_meta last_meta;
	unsigned received, flushes, rooms, lost;
	int room; /* packets that it has buffers for; -1: any number */
	bool plain, up;
	bool borrows; /* takes what the port lends */
	void (*ready)(void *arg);
	void *ready_arg;
	uint8_t mac[6];
};

static unsigned g_begin(void *arg, unsigned queue, uint32_t len, bool wait, struct iovec *iov)
{
	struct guest *g = arg;

	(void)queue;
	(void)wait;
	if (!g->room)
		return 0;
	/* In two pieces, so that ports have to spread. */
	iov[0] = (struct iovec){ g->buffer, len < 50 ? len : 50 };
	iov[1] = (struct iovec){ g->buffer + 50, len < 50 ? 0 : len - 50 };
	return 2;
}

static void g_commit(void *arg, unsigned queue, const struct netpkt_meta *meta, uint32_t len)
{
	struct guest *g = arg;

	(void)queue;
	pthread_mutex_lock(&g->lock);
	if (len) {
		memcpy(g->last, g->buffer, len);
		g->last_len = len;
		g->last_meta = *meta;
		g->received++;
		if (g->room > 0)
			g->room--;
	} else {
		g->lost++;
	}
	pthread_mutex_unlock(&g->lock);
}

static void g_flush(void *arg, unsigned queue)
{
	struct guest *g = arg;

	(void)queue;
	g->flushes++;
}

static void g_room(void *arg, unsigned queue)
{
	struct guest *g = arg;

	(void)queue;
	pthread_mutex_lock(&g->lock);
	g->rooms++;
	pthread_mutex_unlock(&g->lock);
}

static void g_carrier(void *arg, bool up)
{
	struct guest *g = arg;

	pthread_mutex_lock(&g->lock);
	g->up = up;
	pthread_mutex_unlock(&g->lock);
}

static bool g_takes(void *arg, const struct netpkt_meta *meta)
{
	struct guest *g = arg;

	(void)meta;
	return !g->plain;
}

static int g_lend(void *arg, unsigned queue, int fd, void (*ready)(void *ready_arg),
                  void *ready_arg)
{
	struct guest *g = arg;

	(void)queue;
	(void)fd;
	if (!g->borrows)
		return -ENOSYS;
	g->ready = ready;
	g->ready_arg = ready_arg;
	return 7;
}

static void g_take_back(void *arg, unsigned queue, int number)
{
	struct guest *g = arg;

	(void)queue;
	ck_assert_int_eq(number, 7);
	g->ready = NULL;
}

static void join(struct guest *g, struct netport *port, unsigned n)
{
	const struct netport_sink sink = { .begin = g_begin,
		                           .commit = g_commit,
		                           .flush = g_flush,
		                           .room = g_room,
		                           .carrier = g_carrier,
		                           .takes = g_takes,
		                           .lend = g_lend,
		                           .take_back = g_take_back,
		                           .arg = g,
		                           .max_len = NETPKT_MAX_LEN };

	pthread_mutex_init(&g->lock, NULL);
	g->port = port;
	g->room = -1;
	memcpy(g->mac, "\x02\0\0\0\0", 6);
	g->mac[5] = (uint8_t)n;
	ck_assert_int_eq(port->ops->attach(port, &sink, 1), 0);
}

static void leave(struct guest *g)
{
	g->port->ops->attach(g->port, NULL, 0);
	g->port->ops->close(g->port);
	pthread_mutex_destroy(&g->lock);
}

static unsigned get(struct guest *g, unsigned *what)
{
	unsigned n;

	pthread_mutex_lock(&g->lock);
	n = *what;
	pthread_mutex_unlock(&g->lock);
	return n;
}

/* Until *what is n or time is up. */
static void until(struct guest *g, unsigned *what, unsigned n)
{
	for (int ms = 0; ms < LIMIT_MS && get(g, what) < n; ms++)
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	ck_assert_uint_eq(get(g, what), n);
}

static const uint8_t everybody[6] = { 255, 255, 255, 255, 255, 255 };

/* Sends a packet of len bytes; how many were taken. */
static unsigned say(struct guest *from, const uint8_t *to, uint32_t len, uint8_t fill)
{
	static uint8_t bytes[70000];
	struct netpkt p = { .len = len, .nr_iov = 1 };

	memset(bytes, fill, len);
	memcpy(bytes, to, 6);
	memcpy(bytes + 6, from->mac, 6);
	p.iov[0] = (struct iovec){ bytes, len < NETPKT_HEAD ? len : NETPKT_HEAD };
	if (len > NETPKT_HEAD)
		p.iov[p.nr_iov++] = (struct iovec){ bytes + NETPKT_HEAD, len - NETPKT_HEAD };
	return from->port->ops->send(from->port, 0, &p, 1);
}

static inline void sleep_ms(long ms)
{
	nanosleep(&(struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 }, NULL);
}

#endif /* TESTS_UNIT_NETPORT_WORLD_H */
