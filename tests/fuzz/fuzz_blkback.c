/* SPDX-License-Identifier: MIT */
/*
 * The block back-end out of noise: a front-end that writes whatever the bytes say into its rings, its
 * pages and its folder of the store, with a storage that delays, fails and reorders. The storage and
 * the host abort when they are asked for what must not be (tests/fake/).
 *
 * The input is a list of steps: one byte that says what, one byte of length, and so many bytes for
 * that step.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fake/blk_front.h"
#include "tests/fake/fake_store.h"
#include "tests/fuzz/steps.h"

int fuzz_blkback(const uint8_t *data, size_t len);

#define PAGES   48u
#define SECTORS 256u

struct world {
	struct be_fake f;
	struct fake_store store;
	struct blkback *b;
	struct be_bus bus;
	struct blk_front front;
};

static const char *const keys[] = {
	"state",
	"ring-ref",
	"ring-ref0",
	"ring-ref1",
	"event-channel",
	"ring-page-order",
	"num-ring-pages",
	"protocol",
	"multi-queue-num-queues",
	"queue-0/ring-ref",
	"queue-1/ring-ref",
	"queue-1/event-channel",
	"feature-persistent",
	"feature-large-sector-size",
};

static void must(int ok)
{
	if (!ok)
		abort();
}

static void begin(struct world *w, uint8_t how)
{
	static const struct blkback_options options = { .max_queues = 2, .max_ring_order = 1 };

	be_fake_init(&w->f, PAGES, PAGES + 16);
	fake_store_init(&w->store, SECTORS * 512, how & 1 ? 4096 : 512);
	w->store.s.readonly = how & 2;
	w->store.allowed = w->f.memory;
	w->store.allowed_len = (size_t)PAGES * BE_FAKE_PAGE;
	w->front.persistent = how & 4;
	w->front.large_sectors = (how & 9) == 9;
	must(!blkback_create(&w->b, &w->f.host, &w->store.s, &options));
	must(!be_bus_start(&w->bus, &blkback_driver, w->b, &w->f.host));
	blk_front_publish(&w->front, &w->f, 1 + (how >> 4 & 1), how >> 5 & 1);
	be_bus_front_changed(&w->bus);
	must(w->bus.connected);
}

/* A disconnect waits for the storage: it must not be waiting for us. */
static void front_changed(struct world *w)
{
	bool delays = w->store.delays;

	fake_store_hurry(&w->store);
	be_bus_front_changed(&w->bus);
	pthread_mutex_lock(&w->store.lock);
	w->store.hurries = false;
	w->store.delays = delays;
	pthread_mutex_unlock(&w->store.lock);
}

static void end(struct world *w)
{
	fake_store_hurry(&w->store);
	be_bus_drop(&w->bus);
	blkback_destroy(w->b);
	fake_store_fini(&w->store);
	be_fake_fini(&w->f);
}

static struct blk_front_queue *queue(struct world *w, uint8_t n)
{
	return &w->front.q[n % w->front.nr_queues];
}

/* Bytes into the next slot, as they are; what is missing is nought. */
static void raw_request(struct world *w, const uint8_t *b, size_t len)
{
	struct blkif_request *rq;

	if (!len)
		return;
	rq = blk_front_next(&w->front, b[0] % w->front.nr_queues, 0);
	memcpy(rq, b + 1, len - 1 < sizeof(*rq) ? len - 1 : sizeof(*rq));
}

/* A request that is nearly right. */
static void nice_request(struct world *w, const uint8_t *b, size_t len)
{
	unsigned q, page, nr;

	if (len < 6)
		return;
	q = b[0] % w->front.nr_queues;
	page = b[1] % 24;
	nr = b[2] % 14;
	if (b[3] & 0x80)
		blk_front_indirect(&w->front, q, b[4], b[3] & 7, b[5], page, nr, 24);
	else
		blk_front_rw(&w->front, q, b[4], b[3] & 7, b[5], page, nr < 12 ? nr : 11);
}

static void poke_ring(struct world *w, const uint8_t *b, size_t len)
{
	struct blkif_sring *s;
	uint32_t value = 0;

	if (len < 3)
		return;
	s = queue(w, b[0])->sring;
	memcpy(&value, b + 2, len - 2 < 4 ? len - 2 : 4);
	/* Small numbers go beside what is there: those are the interesting ones. */
	if (len == 3)
		value = s->rsp_prod + (uint32_t)(int8_t)b[2];
	(&s->req_prod)[b[1] % 4] = value;
}

static void push(struct world *w, uint8_t q)
{
	blk_front_push(&w->front, q % w->front.nr_queues, true);
}

static void storage_acts(struct world *w, const uint8_t *b, size_t len)
{
	uint8_t what = len ? b[0] : 0;

	pthread_mutex_lock(&w->store.lock);
	w->store.delays = what & 1;
	w->store.fail = what >> 1 & 3;
	w->store.fail_rc = what & 8 ? -5 : -95;
	pthread_mutex_unlock(&w->store.lock);
	fake_store_complete(&w->store, what >> 4, (enum fake_store_order)(len > 1 ? b[1] % 3 : 0));
}

static void write_key(struct world *w, const uint8_t *b, size_t len)
{
	char value[32] = "";
	size_t n = len > 1 ? len - 1 : 0;

	if (!len)
		return;
	memcpy(value, b + 1, n < sizeof(value) - 1 ? n : sizeof(value) - 1);
	be_fake_set(&w->f, BE_FRONT, keys[b[0] % (sizeof(keys) / sizeof(keys[0]))],
	            len > 1 ? value : NULL);
	front_changed(w);
}

static void change_grant(struct world *w, const uint8_t *b, size_t len)
{
	if (len)
		be_fake_revoke(&w->f, b[0] % (PAGES + 16));
}

static void change_page(struct world *w, const uint8_t *b, size_t len)
{
	if (len > 2)
		memcpy((char *)be_fake_page(&w->f, b[0] % PAGES) + b[1] * 8, b + 2, len - 2);
}

static void reconnect(struct world *w)
{
	be_fake_setn(&w->f, BE_FRONT, "state", 6);
	front_changed(w);
	if (be_fake_mapped(&w->f))
		abort();
	w->f.nr_nodes = 0;
	blk_front_publish(&w->front, &w->f, w->front.nr_queues, w->front.order);
	front_changed(w);
}

static void resize(struct world *w, const uint8_t *b, size_t len)
{
	/* Only smaller than the memory; what is under way has been checked against the old size. */
	if (!len)
		return;
	fake_store_hurry(&w->store);
	w->store.hurries = false;
	w->store.size = SECTORS * 512;
	if (b[0] & 1)
		blkback_resized(w->b);
}

static void step(void *world, uint8_t what, const uint8_t *b, size_t len)
{
	struct world *w = world;

	switch (what % 11) {
	case 0:
		raw_request(w, b, len);
		break;
	case 1:
	case 2:
		nice_request(w, b, len);
		break;
	case 3:
		poke_ring(w, b, len);
		break;
	case 4:
		storage_acts(w, b, len);
		break;
	case 5:
		write_key(w, b, len);
		break;
	case 6:
		change_grant(w, b, len);
		break;
	case 7:
		change_page(w, b, len);
		break;
	case 8:
		if (len && b[0] % 8 == 0)
			reconnect(w);
		else
			resize(w, b, len);
		break;
	default:
		push(w, what >> 4);
		blk_front_poll(&w->front, (what >> 4) % w->front.nr_queues);
	}
}

int fuzz_blkback(const uint8_t *data, size_t len)
{
	static struct world w;

	if (!len)
		return 0;
	memset(&w, 0, sizeof(w));
	begin(&w, data[0]);
	fuzz_steps(&w, step, data + 1, len - 1);
	end(&w);
	return 0;
}
