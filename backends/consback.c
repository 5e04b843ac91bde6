/* SPDX-License-Identifier: MIT */
/*
 * The console back-end; see consback.h for what it promises.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/consback.h"

/*
 * The most that one call passes on. A guest that writes on one vCPU while another one's thread
 * serves the ring here could otherwise hold that thread for ever.
 */
#define BYTES_PER_CALL (64 * 1024)

struct consback {
	pthread_mutex_t lock;
	struct xencons_interface *ring;
	struct be_host host;
	consback_sink_fn *sink;
	void *sink_arg;
	uint32_t out_cons; /* ours; the ring's copy is for the guest */
	uint32_t in_prod;  /* likewise */
	bool out_broken, in_broken, sink_gone;
};

static uint32_t load_acquire(const uint32_t *p)
{
	return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

static void store_release(uint32_t *p, uint32_t v)
{
	__atomic_store_n(p, v, __ATOMIC_RELEASE);
}

struct consback *consback_open(struct xencons_interface *ring, const struct be_host *host,
                               consback_sink_fn *sink, void *sink_arg)
{
	struct consback *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	pthread_mutex_init(&c->lock, NULL);
	c->ring = ring;
	c->host = *host;
	c->sink = sink;
	c->sink_arg = sink_arg;
	/* A ring that was in use before goes on where it was. */
	c->out_cons = load_acquire(&ring->out_cons);
	c->in_prod = load_acquire(&ring->in_prod);
	return c;
}

void consback_close(struct consback *c)
{
	pthread_mutex_destroy(&c->lock);
	free(c);
}

static void complain(struct consback *c, const char *which, uint32_t prod, uint32_t cons)
{
	char line[128];

	snprintf(line, sizeof(line),
	         "console: impossible indexes of the %s ring (producer %u, consumer %u); it is "
	         "closed",
	         which, prod, cons);
	c->host.complain(c->host.arg, line);
}

/*
 * One stretch of the output ring, from our index to the guest's or to the end of the array, whichever
 * comes first. Copied before the sink sees it: the guest may change the bytes meanwhile, and a sink
 * that looked twice would see two different things.
 */
static size_t take_stretch(struct consback *c, char copy[sizeof(c->ring->out)], uint32_t prod)
{
	uint32_t at = MASK_XENCONS_IDX(c->out_cons, c->ring->out);
	uint32_t n = prod - c->out_cons, to_end = sizeof(c->ring->out) - at;

	if (n > to_end)
		n = to_end;
	memcpy(copy, c->ring->out + at, n);
	return n;
}

/* How many bytes of a stretch the sink took; all of them once it is gone. */
static size_t give(struct consback *c, const char *bytes, size_t len)
{
	ssize_t took = c->sink_gone ? (ssize_t)len : c->sink(c->sink_arg, bytes, len);

	if (took < 0) {
		c->sink_gone = true;
		return len;
	}
	return (size_t)took;
}

static bool drain(struct consback *c)
{
	char copy[sizeof(c->ring->out)];
	size_t passed = 0;
	bool full = false;
	uint32_t prod;

	/* Pairs with the guest's release store: bytes before the index are there. */
	while (!full && (prod = load_acquire(&c->ring->out_prod)) != c->out_cons) {
		size_t n, took;

		if (prod - c->out_cons > sizeof(c->ring->out)) {
			c->out_broken = true;
			complain(c, "output", prod, c->out_cons);
			break;
		}
		n = take_stretch(c, copy, prod);
		took = give(c, copy, n);
		c->out_cons += took;
		passed += took;
		full = took < n || passed >= BYTES_PER_CALL;
		/* After the copy: from here on the guest may overwrite these bytes. */
		store_release(&c->ring->out_cons, c->out_cons);
	}
	if (passed)
		c->host.notify(c->host.arg);
	return full;
}

bool consback_run(struct consback *c)
{
	bool full = false;

	pthread_mutex_lock(&c->lock);
	if (!c->out_broken)
		full = drain(c);
	pthread_mutex_unlock(&c->lock);
	return full;
}

static size_t fill(struct consback *c, const char *bytes, size_t len)
{
	/* Pairs with the guest's store after it has read: what it freed may be overwritten. */
	uint32_t cons = load_acquire(&c->ring->in_cons);
	uint32_t used = c->in_prod - cons;
	size_t room;

	if (used > sizeof(c->ring->in)) {
		c->in_broken = true;
		complain(c, "input", c->in_prod, cons);
		return len;
	}
	room = sizeof(c->ring->in) - used;
	if (len > room)
		len = room;
	for (size_t i = 0; i < len; i++)
		c->ring->in[MASK_XENCONS_IDX(c->in_prod + i, c->ring->in)] = bytes[i];
	c->in_prod += (uint32_t)len;
	/* Pairs with the guest's acquire load: the bytes are there before the index. */
	store_release(&c->ring->in_prod, c->in_prod);
	if (len)
		c->host.notify(c->host.arg);
	return len;
}

size_t consback_type(struct consback *c, const void *bytes, size_t len)
{
	size_t n = len;

	pthread_mutex_lock(&c->lock);
	if (!c->in_broken)
		n = fill(c, bytes, len);
	pthread_mutex_unlock(&c->lock);
	return n;
}
