/* SPDX-License-Identifier: MIT */
/*
 * The block front-end against a back-end that is the test's, through the real store: what it asks
 * for, what it does with answers, restarts and ends, and with a back-end that lies.
 */
#include "tests/unit/blk_world.h"

Suite *blkfront_suite(void);

static struct blkdev *dev;
static struct blkfront *front;

static void open_with(const struct blkfront_options *options)
{
	ck_assert_int_eq(blkfront_open(NODE, options, &dev), 0);
	front = (struct blkfront *)dev;
	blkdev_service(dev); /* the store's first events */
}

static void opened(void)
{
	open_with(NULL);
}

/* Closed, and nothing is left behind. */
static void closed(void)
{
	blkdev_close(dev);
	ck_assert_uint_eq(grants_in_force(), 0);
	ck_assert_uint_eq(ports_open, 0);
	ck_assert_uint_eq(front_state(), XenbusStateClosed);
}

static void fill_random(void *at, size_t len)
{
	uint64_t x = ((uint64_t)rand() << 32 | (unsigned)rand()) | 1;
	uint8_t *p = at;

	for (; len; p += len < 8 ? len : 8, len -= len < 8 ? len : 8) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		memcpy(p, &x, len < 8 ? len : 8);
	}
}

static struct blkdev_req request(enum blkdev_op op, uint64_t sector, struct blkdev_seg *segs,
                                 unsigned nr)
{
	struct blkdev_req req = { .op = op, .sector = sector, .segs = segs, .nr_segs = nr };
	unsigned i;

	for (i = 0; i < nr; i++)
		req.nr_sectors += segs[i].len / 512;
	return req;
}

/* ---- normal: connecting ---------------------------------------------------------------------- */

START_TEST(a_disk_says_what_it_is)
{
	struct blkdev_geometry g;

	back.info = "4";
	back.physical = "4096";
	back.discard = true;
	back.indirect = "64";
	back_begin();
	opened();
	blkdev_get_geometry(dev, &g);
	ck_assert_str_eq(dev->name, "xvda");
	ck_assert_uint_eq(g.sectors, DISK_SECTORS);
	ck_assert_uint_eq(g.sector_size, 512);
	ck_assert_uint_eq(g.physical_sector, 4096);
	ck_assert_uint_eq(g.max_bytes, 64 * 4096);
	ck_assert_uint_eq(g.queue_depth, 32);
	ck_assert(g.readonly && !g.removable && g.can_flush && g.can_discard);
	ck_assert_uint_eq(front_state(), XenbusStateConnected);
	closed();
}
END_TEST

static const struct {
	const char *order, *queues;
	unsigned cpus;
	struct blkfront_options options;
	unsigned want_queues, want_depth;
} shapes[] = {
	{ NULL, NULL, 1, { 0 }, 1, 32 },
	{ "0", "1", 1, { 0 }, 1, 32 },
	{ "4", "1", 1, { 0 }, 1, 128 },
	{ "1", NULL, 1, { 0 }, 1, 64 },
	{ "4", NULL, 1, { .max_ring_order = 4 }, 1, 512 },
	{ "4", "4", 3, { .max_ring_order = 3 }, 3, 3 * 256 },
	{ NULL, "2", 4, { 0 }, 2, 2 * 32 },
	{ NULL, "4", 4, { .max_queues = 1 }, 1, 32 },
};

/* Rings and queues as the two sides agree; a request on every vCPU goes through its queue. */
START_TEST(rings_and_queues_are_agreed_upon)
{
	uint8_t *buf = pages(1);
	struct blkdev_geometry g;
	unsigned cpu, at;

	back.order = shapes[_i].order;
	back.queues = shapes[_i].queues;
	add_cpus(shapes[_i].cpus);
	back_begin();
	open_with(&shapes[_i].options);
	ck_assert_uint_eq(back.nr_rings, shapes[_i].want_queues);
	blkdev_get_geometry(dev, &g);
	ck_assert_uint_eq(g.queue_depth, shapes[_i].want_depth);
	for (cpu = 0; cpu < shapes[_i].cpus; cpu++) {
		pv_test_cpu = pv_cpus[cpu];
		at = back.nr_taken;
		ck_assert_int_eq(blkdev_read(dev, cpu, buf, 512), 0);
		ck_assert_uint_eq(back.taken[at].ring, cpu % shapes[_i].want_queues);
	}
	pv_test_cpu = pv_cpus[0];
	closed();
}
END_TEST

START_TEST(a_disk_is_opened_again_after_it_was_closed)
{
	uint8_t *buf = pages(1);
	unsigned i, used = 0;

	back_begin();
	for (i = 0; i < 5; i++) {
		opened();
		ck_assert_int_eq(blkdev_write(dev, i, buf, 512), 0);
		closed();
		if (i == 1)
			used = pool.nr_unused;
		ck_assert_uint_ge(pool.nr_unused, used); /* no page is lost */
	}
	ck_assert_uint_eq(back.connects, 5);
	ck_assert_uint_eq(pool.windows, 2); /* the ring's and the grant table's */
}
END_TEST

/* ---- normal: requests ------------------------------------------------------------------------ */

static const struct {
	const char *indirect;
	bool persistent;
	const char *sector_size;
} ways[] = {
	{ NULL, false, "512" }, { "32", false, "512" }, { "256", false, "512" },
	{ NULL, true, "512" },  { "32", true, "512" },  { "256", false, "4096" },
	{ "20", true, "4096" },
};

/* Pieces of all sizes at all places, checked against a copy of the disk. */
START_TEST(what_is_written_is_read)
{
	enum { ROUNDS = 300, MAX = 200 };
	static uint8_t mirror[sizeof(back.disk)];
	struct blkfront_options o = { .persistent = ways[_i].persistent };
	uint8_t *buf = pages(MAX), *in = pages(MAX);
	unsigned unit = (unsigned)atoi(ways[_i].sector_size), i, s;

	srand((unsigned)_i + 1);
	back.indirect = ways[_i].indirect;
	back.persistent = true;
	back.sector_size = ways[_i].sector_size;
	back_begin();
	open_with(&o);
	for (i = 0; i < ROUNDS; i++) {
		struct blkdev_seg seg[4];
		struct blkdev_req req;
		unsigned nr = 1 + (unsigned)rand() % 4, bytes = 0, first;
		uint8_t *at = rand() % 2 ? buf : in;

		for (s = 0; s < nr; s++) {
			at += (unsigned)rand() % 20 * unit;
			seg[s].va = at;
			seg[s].len = (1 + (unsigned)rand() % (150000 / unit / nr)) * unit;
			at += seg[s].len;
			bytes += seg[s].len;
		}
		first = (unsigned)rand() % ((unsigned)sizeof(back.disk) - bytes) / unit * unit;
		req = request(rand() % 2 ? BLKDEV_WRITE : BLKDEV_READ, first / 512, seg, nr);
		for (s = 0; s < nr; s++)
			fill_random(seg[s].va, seg[s].len);
		ck_assert_int_eq(blkdev_submit(dev, &req), 0);
		blkdev_kick(dev);
		ck_assert_int_eq(blkdev_wait(dev, &req), 0);
		for (s = 0; s < nr; s++) {
			if (req.op == BLKDEV_WRITE)
				memcpy(mirror + first, seg[s].va, seg[s].len);
			ck_assert_mem_eq(mirror + first, seg[s].va, seg[s].len);
			first += seg[s].len;
		}
	}
	ck_assert_mem_eq(mirror, back.disk, sizeof(mirror));
	closed();
}
END_TEST

static const struct {
	const char *indirect;
	unsigned option;
	unsigned want[5]; /* segments of the requests that 40 pages are sent as */
} splits[] = {
	{ NULL, 0, { 11, 11, 11, 7 } },
	{ "0", 0, { 11, 11, 11, 7 } },
	{ "5", 0, { 11, 11, 11, 7 } },
	{ "16", 0, { 16, 16, 8 } },
	{ "40", 0, { 40 } },
	{ "256", 25, { 25, 15 } },
	{ NULL, 8, { 8, 8, 8, 8, 8 } },
	{ "4000000000", 0, { 40 } },
};

START_TEST(a_request_is_split_to_what_the_back_end_takes)
{
	uint8_t *buf = pages(40);
	unsigned i;

	back.indirect = splits[_i].indirect;
	back_begin();
	open_with(&(struct blkfront_options){ .max_segments = splits[_i].option });
	fill_random(buf, 40 * 4096);
	ck_assert_int_eq(blkdev_write(dev, 8, buf, 40 * 4096), 0);
	ck_assert_mem_eq(back.disk + 8 * 512, buf, 40 * 4096);
	for (i = 0; i < 5 && splits[_i].want[i]; i++)
		ck_assert_uint_eq(back.taken[i].nr_segs, splits[_i].want[i]);
	ck_assert_uint_eq(back.nr_taken, i);
	closed();
}
END_TEST

/* The back-end serves when it is told; nobody waits for events, so it sends none. */
START_TEST(a_read_that_is_served_at_once_costs_one_notification_and_no_event)
{
	uint8_t *buf = pages(1);
	struct blkdev_stats s;
	unsigned i;

	back_begin();
	opened();
	for (i = 0; i < 100; i++)
		ck_assert_int_eq(blkdev_read(dev, i * 8, buf, 4096), 0);
	blkdev_get_stats(dev, &s);
	ck_assert_uint_eq(s.requests, 100);
	ck_assert_uint_eq(s.notifications, 100);
	ck_assert_uint_eq(s.sleeps, 0);
	ck_assert_uint_eq(back.notified, 100);
	ck_assert_uint_eq(back.events, 0);
	closed();
}
END_TEST

START_TEST(a_batch_costs_one_notification)
{
	enum { N = 32 };
	static struct blkdev_req req[N];
	static struct blkdev_seg seg[N];
	uint8_t *buf = pages(N);
	unsigned i, done = 0;

	back_begin();
	opened();
	for (i = 0; i < N; i++) {
		seg[i] = (struct blkdev_seg){ buf + i * 4096, 4096 };
		req[i] = request(BLKDEV_READ, i * 8, &seg[i], 1);
		ck_assert_int_eq(blkdev_submit(dev, &req[i]), 0);
	}
	ck_assert_uint_eq(back.notified, 0);
	blkdev_kick(dev);
	blkdev_kick(dev);
	ck_assert_uint_eq(back.notified, 1);
	while (done < N)
		done += blkdev_poll(dev);
	ck_assert_uint_eq(back.events, 0);
	for (i = 0; i < N; i++)
		ck_assert(req[i].finished && !req[i].result);
	closed();
}
END_TEST

static unsigned called;

static void on_done(struct blkdev_req *req)
{
	ck_assert(req->finished);
	called++;
	if (req->arg) {
		req->arg = NULL; /* once more, from the call-back */
		ck_assert_int_eq(blkdev_submit(dev, req), 0);
		blkdev_kick(dev);
	}
}

START_TEST(a_call_back_comes_with_the_event)
{
	uint8_t *buf = pages(2);
	struct blkdev_seg seg[2] = { { buf, 4096 }, { buf + 4096, 4096 } };
	struct blkdev_req a = request(BLKDEV_READ, 0, &seg[0], 1),
			  b = request(BLKDEV_READ, 8, &seg[1], 1);

	back_begin();
	opened();
	a.done = b.done = on_done;
	b.arg = &b;
	called = 0;
	ck_assert_int_eq(blkdev_submit(dev, &a), 0);
	ck_assert_int_eq(blkdev_submit(dev, &b), 0);
	blkdev_kick(dev);
	ck_assert_uint_eq(called, 0);
	ck_assert_uint_eq(back.events, 1);
	deliver_events();
	ck_assert_uint_eq(called, 3);
	ck_assert_uint_ge(back.events, 2); /* the second time, too, it was asked for */
	deliver_events();
	closed();
}
END_TEST

static unsigned rounds, depth, deepest;

static void on_round(struct blkdev_req *req)
{
	if (++depth > deepest)
		deepest = depth;
	if (++rounds < 100000) {
		ck_assert_int_eq(blkdev_submit(dev, req), 0);
		blkdev_kick(dev);
	}
	depth--;
}

/* A call-back that submits, and a back-end that answers at once: no stack is deep enough to nest. */
START_TEST(call_backs_do_not_nest)
{
	uint8_t *buf = pages(1);
	struct blkdev_seg seg = { buf, 4096 };
	struct blkdev_req req = request(BLKDEV_READ, 0, &seg, 1);

	back_begin();
	opened();
	rounds = depth = deepest = 0;
	req.done = on_round;
	ck_assert_int_eq(blkdev_submit(dev, &req), 0);
	blkdev_kick(dev);
	while (rounds < 100000)
		deliver_events();
	ck_assert_uint_eq(deepest, 1);
	closed();
}
END_TEST

/* Nothing is answered before the waiter sleeps; then an event wakes it. */
START_TEST(who_waits_in_vain_sleeps_until_the_event)
{
	uint8_t *buf = pages(1);
	struct blkdev_stats s;

	back.prompt = false;
	back_begin();
	opened();
	world.real_clock = true;
	ck_assert_int_eq(blkdev_read(dev, 1, buf, 512), 0);
	blkdev_get_stats(dev, &s);
	ck_assert_uint_ge(s.sleeps, 1);
	ck_assert_uint_ge(back.events, 1);
	world.real_clock = false;
	closed();
}
END_TEST

static const struct {
	bool flush, barrier, refuses_flush, refuses_barrier;
	unsigned want_flushes, want_barriers;
	int rc, again; /* results of the first and of a second one */
} flushes[] = {
	{ true, false, false, false, 2, 0, 0, 0 },
	{ true, true, false, false, 2, 0, 0, 0 },
	{ false, true, false, false, 0, 2, 0, 0 },
	{ false, false, false, false, 0, 0, 0, 0 },
	{ true, true, true, false, 1, 2, 0, 0 },
	{ true, false, true, false, 1, 0, -XEN_EOPNOTSUPP, -XEN_EOPNOTSUPP },
	{ true, true, true, true, 1, 1, -XEN_EOPNOTSUPP, -XEN_EOPNOTSUPP },
};

START_TEST(a_flush_is_a_flush_or_a_barrier_or_nothing)
{
	struct blkdev_geometry g;

	back.flush = flushes[_i].flush;
	back.barrier = flushes[_i].barrier;
	back.refuses_flush = flushes[_i].refuses_flush;
	back.refuses_barrier = flushes[_i].refuses_barrier;
	back_begin();
	opened();
	ck_assert_int_eq(blkdev_flush(dev), flushes[_i].rc);
	ck_assert_int_eq(blkdev_flush(dev), flushes[_i].again);
	ck_assert_uint_eq(back.flushes, flushes[_i].want_flushes);
	ck_assert_uint_eq(back.barriers, flushes[_i].want_barriers);
	blkdev_get_geometry(dev, &g);
	ck_assert(g.can_flush == (back.flushes + back.barriers && !flushes[_i].rc));
	closed();
}
END_TEST

START_TEST(a_discard_is_passed_on)
{
	struct blkdev_geometry g;

	back.discard = true;
	host_write(BACK "/discard-granularity", "8192");
	back_begin();
	opened();
	memset(back.disk, 7, sizeof(back.disk));
	ck_assert_int_eq(blkdev_discard(dev, 16, 4000), 0);
	ck_assert_uint_eq(back.disk[16 * 512 - 1], 7);
	ck_assert_uint_eq(back.disk[16 * 512], 0);
	ck_assert_uint_eq(back.disk[4016 * 512 - 1], 0);
	ck_assert_uint_eq(back.disk[4016 * 512], 7);
	blkdev_get_geometry(dev, &g);
	ck_assert_uint_eq(g.discard_granularity, 8192);
	back.refuses_discard = true;
	ck_assert_int_eq(blkdev_discard(dev, 16, 8), -XEN_EOPNOTSUPP);
	ck_assert_int_eq(blkdev_discard(dev, 16, 8), -XEN_EOPNOTSUPP);
	ck_assert_uint_eq(back.discards, 2);
	closed();
}
END_TEST

START_TEST(an_error_is_that_requests_alone)
{
	uint8_t *buf = pages(40);

	back_begin();
	opened();
	back.fails = true;
	ck_assert_int_eq(blkdev_write(dev, 0, buf, 40 * 4096), -XEN_EIO);
	back.fails = false;
	ck_assert_int_eq(blkdev_write(dev, 0, buf, 40 * 4096), 0);
	closed();
}
END_TEST

START_TEST(persistent_grants_are_granted_once)
{
	uint8_t *buf = pages(8);
	struct blkfront_options o = { .persistent = true };
	unsigned before, i;

	back.persistent = true;
	back_begin();
	open_with(&o);
	ck_assert_uint_eq(front_number("feature-persistent", 9), 1);
	ck_assert_int_eq(blkdev_write(dev, 0, buf, 8 * 4096), 0);
	before = grants_in_force();
	for (i = 0; i < 100; i++)
		ck_assert_int_eq(blkdev_write(dev, i, buf, 8 * 4096), 0);
	ck_assert_uint_eq(grants_in_force(), before);
	for (i = 0; i < back.nr_taken * 8; i++)
		ck_assert(granted(back.taken[i / 8].seg[i % 8].gref, true) != buf + i % 8 * 4096);
	closed();
}
END_TEST

/* Without: granted where it lies, no longer than the request is under way. */
START_TEST(fresh_grants_end_with_their_request)
{
	uint8_t *buf = pages(20);
	unsigned before;

	back.persistent = true;
	back.indirect = "32";
	back_begin();
	opened();
	ck_assert_uint_eq(front_number("feature-persistent", 9), 0);
	before = grants_in_force();
	ck_assert_int_eq(blkdev_write(dev, 0, buf, 8 * 4096), 0);
	ck_assert_uint_eq(grants_in_force(), before);
	ck_assert_int_eq(blkdev_write(dev, 0, buf, 20 * 4096), 0);
	ck_assert_uint_eq(grants_in_force(), before + 1); /* the list of segments stays */
	closed();
}
END_TEST

/* ---- normal: changes ------------------------------------------------------------------------- */

static unsigned attentions, changes;

static void on_attention(struct blkdev *d, void *arg)
{
	ck_assert_ptr_eq(d, dev);
	ck_assert_ptr_eq(arg, &attentions);
	attentions++;
}

static void on_changed(struct blkdev *d, void *arg)
{
	ck_assert_ptr_eq(d, dev);
	ck_assert_ptr_eq(arg, &attentions);
	changes++;
}

static void listen(void)
{
	dev->attention = on_attention;
	dev->changed = on_changed;
	dev->arg = &attentions;
	attentions = changes = 0;
}

START_TEST(a_new_size_is_told_and_used)
{
	uint8_t *buf = pages(1);
	struct blkdev_geometry g;

	back.sectors = "1000";
	back_begin();
	opened();
	listen();
	ck_assert_int_eq(blkdev_read(dev, 1000, buf, 512), -XEN_EINVAL);
	host_write(BACK "/sectors", "2000");
	back_state(XenbusStateConnected);
	ck_assert_uint_ge(attentions, 1);
	ck_assert_uint_eq(changes, 0);
	blkdev_service(dev);
	ck_assert_uint_eq(changes, 1);
	blkdev_get_geometry(dev, &g);
	ck_assert_uint_eq(g.sectors, 2000);
	ck_assert_int_eq(blkdev_read(dev, 1999, buf, 512), 0);
	closed();
}
END_TEST

static const struct {
	const char *order, *queues, *indirect; /* after the restart */
} restarts[] = {
	{ "2", "3", "64" },
	{ NULL, NULL, NULL },
	{ "4", "1", "256" },
	{ "0", "2", "16" },
};

/*
 * Requests are under way on three vCPUs, some answered, some more waiting for room; the back-end
 * starts again with other limits. Each request is finished once, with its data on the disk.
 */
START_TEST(a_restart_loses_nothing)
{
	enum { N = 600 };
	static struct blkdev_req req[N];
	static struct blkdev_seg seg[N];
	uint8_t *buf = pages(N + 40);
	struct blkdev_stats s;
	unsigned i, sent;

	back.order = "1";
	back.queues = "3";
	back.indirect = "32";
	add_cpus(3);
	back_begin();
	opened();
	listen();
	back.prompt = false;
	back.idle = true;
	fill_random(buf, (N + 40) * 4096);
	for (i = 0; i < N; i++) {
		pv_test_cpu = pv_cpus[i % 3];
		seg[i] = (struct blkdev_seg){ buf + i * 4096, i % 50 ? 4096 : 40 * 4096 };
		req[i] = request(BLKDEV_WRITE, i * 8, &seg[i], 1);
		ck_assert_int_eq(blkdev_submit(dev, &req[i]), 0);
	}
	pv_test_cpu = pv_cpus[0];
	blkdev_kick(dev);
	back_answer_all();
	sent = back.nr_taken;
	blkdev_poll(dev);
	ck_assert_uint_ge(sent, 150);
	back.order = restarts[_i].order;
	back.queues = restarts[_i].queues;
	back.indirect = restarts[_i].indirect;
	if (!back.order)
		xsc_path(world.host, XS_RM, BACK "/max-ring-page-order");
	if (!back.queues)
		xsc_path(world.host, XS_RM, BACK "/multi-queue-max-queues");
	if (!back.indirect)
		xsc_path(world.host, XS_RM, BACK "/feature-max-indirect-segments");
	memset(back.disk, 0, sizeof(back.disk)); /* what was answered is written again by us */
	for (i = 0; i < N; i++)
		if (req[i].finished)
			memcpy(back.disk + i * 4096, seg[i].va, seg[i].len);
	back.idle = false;
	back_restart();
	for (i = 0; i < N; i++) {
		ck_assert_int_eq(blkdev_wait(dev, &req[i]), 0);
		ck_assert_mem_eq(back.disk + i * 4096, seg[i].va, seg[i].len);
	}
	blkdev_get_stats(dev, &s);
	ck_assert_uint_eq(s.requests, N);
	ck_assert_uint_eq(s.reconnects, 1);
	ck_assert_uint_ge(s.replayed, 64);
	ck_assert_uint_eq(changes, 1);
	pv_test_cpu = pv_cpus[2];
	ck_assert_int_eq(blkdev_read(dev, 5, buf, 4096), 0);
	pv_test_cpu = pv_cpus[0];
	closed();
}
END_TEST

/* While nobody is there to take them, requests are taken, and wait. */
START_TEST(requests_wait_for_a_back_end_that_starts_again)
{
	uint8_t *buf = pages(1);
	struct blkdev_seg seg = { buf, 4096 };
	struct blkdev_req req = request(BLKDEV_READ, 0, &seg, 1);

	back_begin();
	opened();
	back_disconnect();
	back_state(XenbusStateInitialising);
	blkdev_service(dev);
	ck_assert_int_eq(blkdev_submit(dev, &req), 0);
	blkdev_kick(dev);
	back_begin();
	ck_assert_int_eq(blkdev_wait(dev, &req), 0);
	closed();
}
END_TEST

/* What is under way is answered first, then both sides close. */
START_TEST(the_back_end_closes_in_order)
{
	uint8_t *buf = pages(1);
	struct blkdev_seg seg = { buf, 4096 };
	struct blkdev_req req = request(BLKDEV_READ, 0, &seg, 1);

	back_begin();
	opened();
	listen();
	back.prompt = false;
	ck_assert_int_eq(blkdev_submit(dev, &req), 0);
	blkdev_kick(dev);
	back_state(XenbusStateClosing);
	blkdev_service(dev);
	ck_assert(req.finished);
	ck_assert_int_eq(req.result, 0);
	ck_assert(blkdev_is_gone(dev));
	ck_assert_uint_eq(changes, 1);
	ck_assert_uint_eq(front_state(), XenbusStateClosed);
	ck_assert(!back.connected);
	ck_assert_int_eq(blkdev_read(dev, 0, buf, 512), -XEN_ENODEV);
	closed();
}
END_TEST

static const unsigned ends[] = { XenbusStateClosed, XenbusStateUnknown };

START_TEST(requests_of_a_back_end_that_vanishes_fail)
{
	uint8_t *buf = pages(1);
	struct blkdev_seg seg = { buf, 4096 };
	struct blkdev_req req = request(BLKDEV_READ, 0, &seg, 1);

	back_begin();
	opened();
	back.prompt = false;
	back.idle = true;
	ck_assert_int_eq(blkdev_submit(dev, &req), 0);
	blkdev_kick(dev);
	back_disconnect();
	if (ends[_i])
		back_state(ends[_i]);
	else
		xsc_path(world.host, XS_RM, BACK);
	world.tick = NULL;
	ck_assert_int_eq(blkdev_wait(dev, &req), -XEN_EIO);
	ck_assert_int_eq(blkdev_read(dev, 0, buf, 512), -XEN_ENODEV);
	blkdev_close(dev);
	ck_assert_uint_eq(grants_in_force(), 0);
	ck_assert_uint_eq(ports_open, 0);
}
END_TEST

/* ---- limits ---------------------------------------------------------------------------------- */

static const struct {
	unsigned vdev;
	const char *name;
} names[] = {
	{ 51712, "xvda" },
	{ 51713, "xvda1" },
	{ 51728, "xvdb" },
	{ 51952, "xvdp" },
	{ 51967, "xvdp15" },
	{ 768, "hda" },
	{ 832, "hdb" },
	{ 5696, "hdd" },
	{ 2048, "sda" },
	{ 268439552, "xvdq" },
	{ 268439553, "xvdq1" },
	{ 1u << 28 | 26 << 8, "xvdaa" },
	{ 1u << 28 | 701 << 8, "xvdzz" },
	{ 1u << 28 | 702 << 8, "xvdaaa" },
	{ (1u << 29) - 1, "xvdbgqcv255" },
};

START_TEST(numbers_have_names)
{
	char name[BLKDEV_NAME];

	blkfront_name(names[_i].vdev, name);
	ck_assert_str_eq(name, names[_i].name);
}
END_TEST

static int collect(const char *node, unsigned vdev, void *arg)
{
	sprintf((char *)arg + strlen(arg), "%s=%u ", node, vdev);
	return vdev == 99 ? -XEN_EBUSY : 0;
}

START_TEST(disks_are_found)
{
	char list[256] = "";

	host_write("/local/domain/1/device/vbd/51728/state", "1");
	host_write("/local/domain/1/device/vbd/nonsense/state", "1");
	ck_assert_int_eq(blkfront_each(collect, list), 0);
	ck_assert_str_eq(list, "device/vbd/51712=51712 device/vbd/51728=51728 ");
	host_write("/local/domain/1/device/vbd/99/state", "1");
	ck_assert_int_eq(blkfront_each(collect, list), -XEN_EBUSY);
}
END_TEST

/* Far more than the ring holds, and the ring's indexes run over 2^32 while they go through. */
START_TEST(what_has_no_room_waits)
{
	enum { N = 500 };
	static struct blkdev_req req[N];
	static struct blkdev_seg seg[N];
	uint8_t *buf = pages(N);
	struct blkfront_queue *q;
	unsigned i;

	back_begin();
	opened();
	q = front->queue[0];
	q->ring.req_prod_pvt = q->ring.rsp_cons = q->pushed = q->ring.sring->req_prod =
		q->ring.sring->rsp_prod = 0xfffffff0u;
	q->ring.sring->req_event = q->ring.sring->rsp_event = 0xfffffff1u;
	back.rings[0].ring.req_cons = back.rings[0].ring.rsp_prod_pvt = 0xfffffff0u;
	fill_random(buf, N * 4096);
	for (i = 0; i < N; i++) {
		seg[i] = (struct blkdev_seg){ buf + i * 4096, 4096 };
		req[i] = request(BLKDEV_WRITE, i * 8, &seg[i], 1);
		ck_assert_int_eq(blkdev_submit(dev, &req[i]), 0);
	}
	blkdev_kick(dev);
	ck_assert_uint_eq(back.nr_taken, 32);
	for (i = N; i-- > 0;)
		ck_assert_int_eq(blkdev_wait(dev, &req[i]), 0);
	ck_assert_mem_eq(back.disk, buf, N * 4096);
	ck_assert_uint_le(back.notified, N / 32 + 2);
	closed();
}
END_TEST

static const struct {
	enum blkdev_op op;
	uint64_t sector;
	uint32_t offset, len;
	uint64_t nr; /* 0: as len says */
	const char *info, *sector_size;
	int rc;
} bad[] = {
	{ BLKDEV_READ, 0, 0, 0, 0, NULL, "512", -XEN_EINVAL },
	{ BLKDEV_READ, 0, 1, 512, 0, NULL, "512", -XEN_EINVAL },
	{ BLKDEV_READ, 0, 0, 513, 0, NULL, "512", -XEN_EINVAL },
	{ BLKDEV_READ, 0, 0, 512, 2, NULL, "512", -XEN_EINVAL },
	{ BLKDEV_READ, DISK_SECTORS, 0, 512, 0, NULL, "512", -XEN_EINVAL },
	{ BLKDEV_READ, DISK_SECTORS - 1, 0, 1024, 0, NULL, "512", -XEN_EINVAL },
	{ BLKDEV_READ, UINT64_MAX, 0, 512, 0, NULL, "512", -XEN_EINVAL },
	{ BLKDEV_READ, UINT64_MAX / 512, 0, 512, 0, NULL, "512", -XEN_EINVAL },
	{ BLKDEV_READ, 0, 0, 512, UINT64_MAX, NULL, "512", -XEN_EINVAL },
	{ BLKDEV_READ, 1, 0, 4096, 0, NULL, "4096", -XEN_EINVAL },
	{ BLKDEV_READ, 8, 512, 4096, 0, NULL, "4096", -XEN_EINVAL },
	{ BLKDEV_READ, 8, 0, 512, 0, NULL, "4096", -XEN_EINVAL },
	{ BLKDEV_WRITE, 0, 0, 512, 0, "4", "512", -XEN_EROFS },
	{ BLKDEV_DISCARD, 0, 0, 512, 8, "4", "512", -XEN_EROFS },
	{ BLKDEV_DISCARD, 0, 0, 512, 8, NULL, "512", -XEN_EOPNOTSUPP },
	{ BLKDEV_FLUSH, 0, 0, 512, 1, NULL, "512", -XEN_EINVAL },
	{ (enum blkdev_op)4, 0, 0, 512, 1, NULL, "512", -XEN_EINVAL },
};

START_TEST(a_request_that_makes_no_sense_is_refused)
{
	struct blkdev_seg seg = { pages(2) + bad[_i].offset, bad[_i].len };
	struct blkdev_req req = request(bad[_i].op, bad[_i].sector, &seg, 1);

	if (bad[_i].nr)
		req.nr_sectors = bad[_i].nr;
	back.info = bad[_i].info;
	back.sector_size = bad[_i].sector_size;
	back_begin();
	opened();
	ck_assert_int_eq(blkdev_submit(dev, &req), bad[_i].rc);
	blkdev_kick(dev);
	ck_assert_uint_eq(back.nr_taken, 0);
	closed();
}
END_TEST

/* Grants and pages run out: fewer are under way at a time, or the request fails; none is lost. */
START_TEST(shortage_slows_down_and_no_more)
{
	enum { N = 100 };
	static struct blkdev_req req[N];
	static struct blkdev_seg seg[N];
	struct blkfront_options o = { .persistent = _i == 1 };
	uint8_t *buf = pages(N * 11);
	unsigned i;

	back.order = "2";
	back.persistent = true;
	table_pages = 1; /* 504 grants */
	back_begin();
	open_with(&o);
	back.prompt = false;
	if (_i == 1)
		pool.limit = 70;
	for (i = 0; i < N; i++) {
		seg[i] = (struct blkdev_seg){ buf + i * 11 * 4096, 11 * 4096 };
		req[i] = request(BLKDEV_WRITE, i * 88, &seg[i], 1);
		ck_assert_int_eq(blkdev_submit(dev, &req[i]), 0);
	}
	blkdev_kick(dev);
	for (i = 0; i < N; i++)
		ck_assert_int_eq(blkdev_wait(dev, &req[i]), 0);
	ck_assert_mem_eq(back.disk, buf, N * 11 * 4096);
	pool.limit = 1000;
	closed();
}
END_TEST

START_TEST(without_any_memory_a_request_fails)
{
	uint8_t *buf = pages(20);

	back.indirect = "32";
	back_begin();
	opened();
	pool.limit = 0;
	ck_assert_int_eq(blkdev_write(dev, 0, buf, 20 * 4096), -XEN_ENOMEM);
	ck_assert_int_eq(blkdev_write(dev, 0, buf, 8 * 4096), 0);
	pool.limit = 100;
	ck_assert_int_eq(blkdev_write(dev, 0, buf, 20 * 4096), 0);
	closed();
}
END_TEST

START_TEST(opening_without_memory_leaves_nothing)
{
	unsigned i, before = pool.nr_unused;
	int rc;

	back_begin();
	for (i = 0;; i++) {
		pool.limit = i;
		rc = blkfront_open(NODE, NULL, &dev);
		if (!rc)
			break;
		ck_assert_int_eq(rc, -XEN_ENOMEM);
		ck_assert_uint_eq(grants_in_force(), 0);
		ck_assert_uint_eq(ports_open, 0);
	}
	ck_assert_uint_ge(i, 3);
	pool.limit = 100;
	closed();
	ck_assert_uint_le(before - pool.nr_unused, 2); /* the device and its queue, for the next */
}
END_TEST

/* ---- hostile --------------------------------------------------------------------------------- */

START_TEST(nobody_there_is_no_device)
{
	xsc_path(world.host, XS_RM, _i ? BACK : FRONT);
	ck_assert_int_eq(blkfront_open(NODE, NULL, &dev), -XEN_ENODEV);
	ck_assert_uint_eq(grants_in_force(), 0);
}
END_TEST

START_TEST(a_back_end_that_does_not_move_is_given_up)
{
	back.still = true;
	if (_i)
		back_begin();
	else
		back_state(XenbusStateInitialising);
	ck_assert_int_eq(blkfront_open(NODE, NULL, &dev), -XEN_ETIMEDOUT);
	ck_assert_uint_eq(grants_in_force(), 0);
	ck_assert_uint_eq(ports_open, 0);
}
END_TEST

static const struct {
	const char *node, *value;
	int rc;
} nonsense[] = {
	{ "max-ring-page-order", "31", 0 },
	{ "max-ring-page-order", "-1", 0 },
	{ "max-ring-page-order", "4294967296", 0 },
	{ "multi-queue-max-queues", "4294967295", 0 },
	{ "multi-queue-max-queues", "0", 0 },
	{ "multi-queue-max-queues", "many", 0 },
	{ "feature-max-indirect-segments", "4294967295", 0 },
	{ "feature-max-indirect-segments", "x", 0 },
	{ "feature-flush-cache", "yes", 0 },
	{ "discard-granularity", "513", 0 },
	{ "physical-sector-size", "0", 0 },
	{ "physical-sector-size", "4097", 0 },
	{ "info", "18446744073709551616", 0 },
	{ "sectors", "-1", -XEN_EINVAL },
	{ "sectors", "18446744073709551615", -XEN_EINVAL },
	{ "sectors", "36028797018963968", -XEN_EINVAL },
	{ "sectors", "", -XEN_EINVAL },
	{ "sector-size", "0", 0 },
	{ "sector-size", "256", -XEN_EINVAL },
	{ "sector-size", "1000", -XEN_EINVAL },
	{ "sector-size", "8192", -XEN_EINVAL },
};

START_TEST(features_that_are_nonsense_do_no_harm)
{
	uint8_t *buf = pages(30);
	char path[128];

	back.sectors = "16384";
	back.sector_size = NULL;
	if (!strcmp(nonsense[_i].node, "sectors"))
		back.sectors = nonsense[_i].value;
	snprintf(path, sizeof(path), BACK "/%s", nonsense[_i].node);
	host_write(path, nonsense[_i].value);
	if (!strcmp(nonsense[_i].node, "sector-size"))
		back.sector_size = nonsense[_i].value;
	if (strstr(nonsense[_i].node, "indirect"))
		back.indirect = nonsense[_i].value;
	if (!strcmp(nonsense[_i].node, "sector-size") && !atoi(nonsense[_i].value)) {
		back_begin();
		ck_assert_int_eq(blkfront_open(NODE, NULL, &dev), -XEN_EINVAL);
		return;
	}
	back_begin();
	ck_assert_int_eq(blkfront_open(NODE, NULL, &dev), nonsense[_i].rc);
	if (!nonsense[_i].rc) {
		ck_assert_int_eq(blkdev_write(dev, 0, buf, 30 * 4096), 0);
		closed();
	}
	ck_assert_uint_eq(grants_in_force(), 0);
}
END_TEST

/* Two requests are under way with ids a and b; what the back-end says then. */
enum lie {
	ID_BEYOND,
	ID_HUGE,
	ID_NEGATIVE,
	ID_NOT_UNDER_WAY,
	ID_TWICE,
	PROD_AHEAD,
	PROD_BEHIND,
	PROD_FAR,
	STILL_IN_USE,
	NR_LIES
};

static void tell_lie(enum lie lie)
{
	struct blkif_sring *s = back.rings[0].ring.sring;

	switch (lie) {
	case ID_BEYOND:
		put_response(0, 32, 0, 0);
		break;
	case ID_HUGE:
		put_response(0, 1ull << 32, 0, 0);
		break;
	case ID_NEGATIVE:
		put_response(0, UINT64_MAX, 0, 0);
		break;
	case ID_NOT_UNDER_WAY:
		put_response(0, 31, 0, 0);
		break;
	case ID_TWICE:
		put_response(0, back.taken[0].id, 0, 0);
		put_response(0, back.taken[0].id, 0, 0);
		break;
	case PROD_AHEAD:
		s->rsp_prod = 3;
		return;
	case PROD_BEHIND:
		s->rsp_prod = UINT32_MAX;
		return;
	case PROD_FAR:
		s->rsp_prod = 1u << 31;
		return;
	case STILL_IN_USE:
		back.holds = true;
		answer(&back.taken[0]);
		break;
	default:
		break;
	}
	back_push(0);
}

START_TEST(a_lie_ends_the_use_of_the_ring)
{
	uint8_t *buf = pages(2);
	struct blkdev_seg seg[2] = { { buf, 4096 }, { buf + 4096, 4096 } };
	struct blkdev_req a = request(BLKDEV_READ, 0, &seg[0], 1),
			  b = request(BLKDEV_READ, 8, &seg[1], 1);

	back.lets_go = true;
	back_begin();
	opened();
	listen();
	back.prompt = false;
	back.idle = true;
	ck_assert_int_eq(blkdev_submit(dev, &a), 0);
	ck_assert_int_eq(blkdev_submit(dev, &b), 0);
	blkdev_kick(dev);
	back_take_all(0);
	tell_lie((enum lie)_i);
	blkdev_poll(dev);
	ck_assert(front->common.is_broken);
	ck_assert_uint_ge(attentions, 1);
	ck_assert(!b.finished);
	blkdev_service(dev);
	ck_assert(blkdev_is_gone(dev));
	if (_i == STILL_IN_USE) {
		/* Its memory is not the caller's while somebody else may write there. */
		ck_assert(!a.finished);
		let_go_of_all();
		ck_assert_int_eq(blkdev_wait(dev, &a), -XEN_EIO);
	}
	ck_assert(a.finished);
	ck_assert_int_eq(a.result, _i == ID_TWICE ? 0 : -XEN_EIO);
	ck_assert_int_eq(blkdev_wait(dev, &b), -XEN_EIO);
	ck_assert_int_eq(blkdev_read(dev, 0, buf, 512), -XEN_ENODEV);
	let_go_of_all();
	closed();
}
END_TEST

/* Held for ever: closing ends nevertheless, and the pages are not given to anybody. */
START_TEST(closing_ends_though_pages_are_held)
{
	uint8_t *buf = pages(1);
	struct blkdev_seg seg = { buf, 4096 };
	struct blkdev_req req = request(BLKDEV_READ, 0, &seg, 1);

	back_begin();
	opened();
	back.prompt = false;
	back.holds = true;
	ck_assert_int_eq(blkdev_submit(dev, &req), 0);
	blkdev_kick(dev);
	blk_tick();
	blkdev_poll(dev);
	blkdev_service(dev);
	ck_assert(!req.finished);
	blkdev_close(dev);
	ck_assert(!req.finished);
}
END_TEST

START_TEST(a_ring_page_that_is_held_is_replaced)
{
	uint8_t *buf = pages(1);
	void *page;

	back.order = "1";
	back_begin();
	opened();
	page = front->queue[0]->ring_page[1];
	back.holds = true; /* disconnects without letting go */
	back_restart();
	back.holds = false;
	ck_assert_int_eq(blkdev_read(dev, 0, buf, 4096), 0);
	blkdev_service(dev);
	ck_assert_int_eq(blkdev_read(dev, 0, buf, 4096), 0);
	ck_assert_ptr_ne(front->queue[0]->ring_page[1], page);
	let_go_of_all();
	blkdev_close(dev);
}
END_TEST

/* Another vCPU's worth of stores to the ring while we look at it: one look, one meaning. */
static volatile bool stop;

static void *scribble(void *arg)
{
	struct blkif_sring *s = arg;
	unsigned i = 0;

	while (!stop) {
		volatile struct blkif_response *r = (void *)&s->ring[i++ % 32].rsp;

		r->id = i % 3 ? i % 40 : UINT64_MAX;
		r->status = (int16_t)i;
		pv_store(&s->rsp_prod, i % 7 ? i : i * 0x9e3779b1u);
	}
	return NULL;
}

START_TEST(a_ring_that_changes_under_our_eyes_does_no_harm)
{
	enum { N = 40 };
	static struct blkdev_req req[N];
	static struct blkdev_seg seg[N];
	uint8_t *buf = pages(N);
	pthread_t thread;
	unsigned i, round;

	back_begin();
	for (round = 0; round < 20; round++) {
		back.idle = true;
		opened();
		stop = false;
		for (i = 0; i < N; i++) {
			seg[i] = (struct blkdev_seg){ buf + i * 4096, 4096 };
			req[i] = request(BLKDEV_READ, i, &seg[i], 1);
			ck_assert_int_eq(blkdev_submit(dev, &req[i]), 0);
		}
		blkdev_kick(dev);
		ck_assert_int_eq(
			pthread_create(&thread, NULL, scribble, (void *)front->queue[0]->window),
			0);
		while (!front->common.is_broken) /* until the test's time is over */
			blkdev_poll(dev);
		stop = true;
		pthread_join(thread, NULL);
		blkdev_service(dev);
		for (i = 0; i < N; i++)
			ck_assert(req[i].finished);
		closed();
	}
}
END_TEST

START_TEST(states_out_of_order_do_no_harm)
{
	static const unsigned wild[] = { 5, 2, 4, 3, 1, 8, 7, 4, 2, 4, 6, 4 };
	uint8_t *buf = pages(1);
	unsigned i;

	srand((unsigned)_i);
	back.lets_go = true;
	back_begin();
	opened();
	back.still = _i & 1;
	for (i = 0; i < 40 && !blkdev_is_gone(dev); i++) {
		back_state(wild[(unsigned)rand() % (_i < 6 ? 9 : ARRAY_LEN(wild))]);
		if (rand() % 2)
			blkdev_service(dev);
		if (rand() % 4 == 0)
			blkdev_poll(dev);
	}
	back_disconnect();
	xsc_path(world.host, XS_RM, BACK);
	blkdev_service(dev);
	ck_assert_int_eq(blkdev_read(dev, 0, buf, 512), -XEN_ENODEV);
	blkdev_close(dev);
	ck_assert_uint_eq(grants_in_force(), 0);
	ck_assert_uint_eq(ports_open, 0);
}
END_TEST

/* Events with nothing in the ring: after some, the port is masked; a request hears its own again. */
START_TEST(a_storm_of_events_is_not_listened_to)
{
	uint8_t *buf = pages(1);
	struct blkdev_seg seg = { buf, 4096 };
	struct blkdev_req req = request(BLKDEV_READ, 0, &seg, 1);
	struct blkdev_stats s;
	evtchn_port_t port;
	unsigned i;

	back_begin();
	opened();
	port = back.rings[0].port;
	for (i = 0; i < 10000; i++) {
		raise_event(port);
		deliver_events();
	}
	blkdev_get_stats(dev, &s);
	ck_assert_uint_le(s.events, 100);
	req.done = on_done;
	called = 0;
	back.prompt = false;
	ck_assert_int_eq(blkdev_submit(dev, &req), 0);
	blkdev_kick(dev);
	back_serve();
	deliver_events();
	ck_assert_uint_eq(called, 1);
	closed();
}
END_TEST

/* ---- the whole ------------------------------------------------------------------------------- */

static void normal_tests(TCase *tc)
{
	tcase_add_test(tc, a_disk_says_what_it_is);
	tcase_add_loop_test(tc, rings_and_queues_are_agreed_upon, 0, ARRAY_LEN(shapes));
	tcase_add_test(tc, a_disk_is_opened_again_after_it_was_closed);
	tcase_add_loop_test(tc, what_is_written_is_read, 0, ARRAY_LEN(ways));
	tcase_add_loop_test(tc, a_request_is_split_to_what_the_back_end_takes, 0,
	                    ARRAY_LEN(splits));
	tcase_add_test(tc, a_read_that_is_served_at_once_costs_one_notification_and_no_event);
	tcase_add_test(tc, a_batch_costs_one_notification);
	tcase_add_test(tc, a_call_back_comes_with_the_event);
	tcase_add_test(tc, call_backs_do_not_nest);
	tcase_add_test(tc, who_waits_in_vain_sleeps_until_the_event);
	tcase_add_loop_test(tc, a_flush_is_a_flush_or_a_barrier_or_nothing, 0, ARRAY_LEN(flushes));
	tcase_add_test(tc, a_discard_is_passed_on);
	tcase_add_test(tc, an_error_is_that_requests_alone);
	tcase_add_test(tc, persistent_grants_are_granted_once);
	tcase_add_test(tc, fresh_grants_end_with_their_request);
	tcase_add_test(tc, a_new_size_is_told_and_used);
	tcase_add_loop_test(tc, a_restart_loses_nothing, 0, ARRAY_LEN(restarts));
	tcase_add_test(tc, requests_wait_for_a_back_end_that_starts_again);
	tcase_add_test(tc, the_back_end_closes_in_order);
	tcase_add_loop_test(tc, requests_of_a_back_end_that_vanishes_fail, 0, ARRAY_LEN(ends));
}

static void limits_tests(TCase *tc)
{
	tcase_add_loop_test(tc, numbers_have_names, 0, ARRAY_LEN(names));
	tcase_add_test(tc, disks_are_found);
	tcase_add_test(tc, what_has_no_room_waits);
	tcase_add_loop_test(tc, a_request_that_makes_no_sense_is_refused, 0, ARRAY_LEN(bad));
	tcase_add_loop_test(tc, shortage_slows_down_and_no_more, 0, 2);
	tcase_add_test(tc, without_any_memory_a_request_fails);
	tcase_add_test(tc, opening_without_memory_leaves_nothing);
}

static void hostile_tests(TCase *tc)
{
	tcase_add_loop_test(tc, nobody_there_is_no_device, 0, 2);
	tcase_add_loop_test(tc, a_back_end_that_does_not_move_is_given_up, 0, 2);
	tcase_add_loop_test(tc, features_that_are_nonsense_do_no_harm, 0, ARRAY_LEN(nonsense));
	tcase_add_loop_test(tc, a_lie_ends_the_use_of_the_ring, 0, NR_LIES);
	tcase_add_test(tc, closing_ends_though_pages_are_held);
	tcase_add_test(tc, a_ring_page_that_is_held_is_replaced);
	tcase_add_test(tc, a_ring_that_changes_under_our_eyes_does_no_harm);
	tcase_add_loop_test(tc, states_out_of_order_do_no_harm, 0, 12);
	tcase_add_test(tc, a_storm_of_events_is_not_listened_to);
}

Suite *blkfront_suite(void)
{
	Suite *s = suite_create("blkfront");
	TCase *normal = tcase_create("normal"), *limits = tcase_create("limits"),
	      *hostile = tcase_create("hostile");

	tcase_add_checked_fixture(normal, blk_begin, blk_end);
	tcase_add_checked_fixture(limits, blk_begin, blk_end);
	tcase_add_checked_fixture(hostile, blk_begin, blk_end);
	tcase_set_timeout(normal, 30);
	tcase_set_timeout(hostile, 30);
	normal_tests(normal);
	limits_tests(limits);
	hostile_tests(hostile);
	suite_add_tcase(s, normal);
	suite_add_tcase(s, limits);
	suite_add_tcase(s, hostile);
	return s;
}
