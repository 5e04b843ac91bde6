/* SPDX-License-Identifier: MIT */
/*
 * A guest with a disk, in one process (front_world.h), and a block back-end that does as the test
 * wants: it serves, delays, lies.
 *
 * The back-end moves when the front-end waits (tick), and when it is notified, if it is `prompt`.
 */
#ifndef TESTS_UNIT_BLK_WORLD_H
#define TESTS_UNIT_BLK_WORLD_H

#define FRONT "/local/domain/1/device/vbd/51712"
#define BACK  "/local/domain/0/backend/vbd/1/51712"
#define NODE  "device/vbd/51712"
#include "tests/unit/front_world.h"

#include "abi/io/blkif.h"
#include "frontends/blkfront.h"

#define DISK_SECTORS 16384u
#define MAX_TAKEN    4096u
#define MAX_RINGS    8u

/* ---- the back-end ---------------------------------------------------------------------------- */

struct taken {
	uint8_t op;
	unsigned ring, nr_segs, pages; /* pages: of lists of segments */
	uint64_t id, sector, nr_sectors;
	bool answered;
	uint16_t slot_ref[BLKFRONT_MAX_SEGMENTS];
	struct blkif_request_segment seg[BLKFRONT_MAX_SEGMENTS];
};

static struct {
	/* what it offers; NULL: nothing said */
	const char *order, *queues, *indirect, *sector_size, *physical, *info, *sectors;
	bool flush, barrier, discard, persistent;
	bool refuses_flush, refuses_discard, refuses_barrier;
	/* how it behaves */
	bool prompt;  /* serves when notified */
	bool idle;    /* does not serve at all */
	bool still;   /* does not move its state */
	bool fails;   /* answers everything with an error */
	bool holds;   /* answers without letting go of what is granted */
	bool lets_go; /* of the ring, whatever it says */
	unsigned connects;
	bool connected;
	unsigned nr_rings;
	struct {
		struct blkif_back_ring ring;
		evtchn_port_t port;
		void *map;
		size_t size;
	} rings[MAX_RINGS];
	unsigned notified, events;
	struct taken taken[MAX_TAKEN];
	unsigned nr_taken, nr_answered, writes, flushes, barriers, discards;
	uint8_t disk[DISK_SECTORS * 512];
} back;

/* Linux's back-end maps everything for writing when grants persist. */
static bool grants_persist(void)
{
	return back.persistent && front_number("feature-persistent", 0);
}

static void *granted(grant_ref_t ref, bool write)
{
	return granted_page(ref, write || grants_persist());
}

static void back_connect_ring(unsigned n, unsigned nr_rings, unsigned order)
{
	unsigned pages_of_ring = 1u << order, i;
	char prefix[32] = "", node[64];
	uint8_t *map;

	if (nr_rings > 1)
		snprintf(prefix, sizeof(prefix), "queue-%u/", n);
	map = mmap(NULL, pages_of_ring * PV_PAGE_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
	           0);
	for (i = 0; i < pages_of_ring; i++) {
		grant_ref_t ref;

		if (order)
			snprintf(node, sizeof(node), "%sring-ref%u", prefix, i);
		else
			snprintf(node, sizeof(node), "%sring-ref", prefix);
		ref = front_number(node, 0);
		pv_mmu_map_frame(
			(uintptr_t)map + i * PV_PAGE_SIZE,
			FIRST_MFN + ((uint8_t *)granted(ref, true) - pool.base) / PV_PAGE_SIZE, 1);
		if (!back.lets_go)
			hold(ref);
	}
	back.rings[n].map = map;
	back.rings[n].size = pages_of_ring * PV_PAGE_SIZE;
	snprintf(node, sizeof(node), "%sevent-channel", prefix);
	back.rings[n].port = front_number(node, 0);
	ck_assert_uint_ge(back.rings[n].port, FIRST_PORT);
	BACK_RING_INIT(&back.rings[n].ring, (struct blkif_sring *)map, back.rings[n].size);
}

static void back_connect(void)
{
	unsigned i, order = front_number("ring-page-order", 0);

	back.nr_rings = front_number("multi-queue-num-queues", 1);
	ck_assert_uint_ge(back.nr_rings, 1);
	ck_assert_uint_le(back.nr_rings, MAX_RINGS);
	ck_assert_str_eq(xsc_read(world.host, FRONT "/protocol"), "x86_64-abi");
	for (i = 0; i < back.nr_rings; i++)
		back_connect_ring(i, back.nr_rings, order);
	back_offer("sectors", back.sectors);
	back_offer("sector-size", back.sector_size);
	back_offer("physical-sector-size", back.physical);
	back_offer("info", back.info);
	back_offer("feature-flush-cache", back.flush ? "1" : "0");
	back_offer("feature-barrier", back.barrier ? "1" : "0");
	back_offer("feature-discard", back.discard ? "1" : NULL);
	back_offer("feature-persistent", back.persistent ? "1" : "0");
	back_offer("feature-max-indirect-segments", back.indirect);
	back.connected = true;
	back.connects++;
}

static void back_disconnect(void)
{
	unsigned i;

	for (i = 0; i < back.nr_rings && back.connected; i++)
		munmap(back.rings[i].map, back.rings[i].size);
	back.connected = false;
	if (!back.holds)
		let_go_of_all();
}

/* Its own life begins. */
static void back_begin(void)
{
	back_offer("max-ring-page-order", back.order);
	back_offer("multi-queue-max-queues", back.queues);
	back_state(XenbusStateInitWait);
}

static void back_restart(void)
{
	back_disconnect();
	back_begin();
}

/* Copies a request out; its segments, too. */
static struct taken *take(unsigned n, const struct blkif_request *rq)
{
	const struct blkif_request_indirect *ind = (const void *)rq;
	const struct blkif_request_discard *d = (const void *)rq;
	struct taken *t = &back.taken[back.nr_taken++ % MAX_TAKEN];
	const struct blkif_request_segment *seg = rq->seg;
	unsigned i;

	memset(t, 0, sizeof(*t));
	t->ring = n;
	t->op = rq->operation;
	t->id = rq->id;
	t->sector = rq->sector_number;
	t->nr_segs = rq->nr_segments;
	if (t->op == BLKIF_OP_INDIRECT) {
		t->op = ind->indirect_op;
		t->nr_segs = ind->nr_segments;
		t->id = ind->id;
		t->sector = ind->sector_number;
		t->pages = 1;
		seg = granted(ind->indirect_grefs[0], false);
		ck_assert(grants_persist() || grants[ind->indirect_grefs[0]].flags & GTF_readonly);
		ck_assert_uint_le(t->nr_segs, strtoul(back.indirect, NULL, 10));
	} else if (t->op == BLKIF_OP_DISCARD) {
		ck_assert_uint_eq(d->flag, 0);
		t->nr_sectors = d->nr_sectors;
		t->nr_segs = 0;
		return t;
	} else {
		ck_assert_uint_le(t->nr_segs, 11);
	}
	for (i = 0; i < t->nr_segs; i++) {
		t->seg[i] = seg[i];
		ck_assert_uint_le(seg[i].first_sect, seg[i].last_sect);
		ck_assert_uint_lt(seg[i].last_sect, 8);
		t->nr_sectors += seg[i].last_sect - seg[i].first_sect + 1u;
	}
	return t;
}

static void move_data(const struct taken *t)
{
	uint64_t sector = t->sector;
	unsigned i;

	ck_assert_uint_le(t->sector + t->nr_sectors, DISK_SECTORS);
	for (i = 0; i < t->nr_segs; i++) {
		unsigned n = t->seg[i].last_sect - t->seg[i].first_sect + 1u;
		uint8_t *page = granted(t->seg[i].gref, t->op == BLKIF_OP_READ);

		page += t->seg[i].first_sect * 512u;
		if (t->op == BLKIF_OP_READ)
			memcpy(page, back.disk + sector * 512, n * 512);
		else
			memcpy(back.disk + sector * 512, page, n * 512);
		if (back.holds)
			hold(t->seg[i].gref);
		sector += n;
	}
}

static int16_t serve(const struct taken *t)
{
	switch (t->op) {
	case BLKIF_OP_READ:
	case BLKIF_OP_WRITE:
		back.writes += t->op == BLKIF_OP_WRITE;
		ck_assert_uint_gt(t->nr_segs, 0);
		move_data(t);
		break;
	case BLKIF_OP_FLUSH_DISKCACHE:
		ck_assert(back.flush);
		back.flushes++;
		if (back.refuses_flush)
			return BLKIF_RSP_EOPNOTSUPP;
		break;
	case BLKIF_OP_WRITE_BARRIER:
		ck_assert(back.barrier);
		back.barriers++;
		if (back.refuses_barrier)
			return BLKIF_RSP_EOPNOTSUPP;
		break;
	case BLKIF_OP_DISCARD:
		back.discards++;
		if (back.refuses_discard)
			return BLKIF_RSP_EOPNOTSUPP;
		memset(back.disk + t->sector * 512, 0, t->nr_sectors * 512);
		break;
	default:
		ck_abort_msg("operation %u", t->op);
	}
	return back.fails ? BLKIF_RSP_ERROR : BLKIF_RSP_OKAY;
}

static void put_response(unsigned n, uint64_t id, uint8_t op, int16_t status)
{
	struct blkif_back_ring *r = &back.rings[n].ring;
	struct blkif_response *rsp = RING_GET_RESPONSE(r, r->rsp_prod_pvt);

	*rsp = (struct blkif_response){ .id = id, .operation = op, .status = status };
	r->rsp_prod_pvt++;
}

static void back_push(unsigned n)
{
	int notify;

	RING_PUSH_RESPONSES_AND_CHECK_NOTIFY(&back.rings[n].ring, notify);
	if (notify) {
		back.events++;
		raise_event(back.rings[n].port);
	}
}

static void back_take_all(unsigned n)
{
	struct blkif_back_ring *r = &back.rings[n].ring;
	struct blkif_request rq;
	int more = 1;

	while (more) {
		while (RING_HAS_UNCONSUMED_REQUESTS(r)) {
			RING_COPY_REQUEST(r, r->req_cons, &rq);
			r->req_cons++;
			take(n, &rq);
		}
		RING_FINAL_CHECK_FOR_REQUESTS(r, more);
	}
}

static void answer(struct taken *t)
{
	if (t->answered)
		return;
	t->answered = true;
	back.nr_answered++;
	put_response(t->ring, t->id, t->op, serve(t));
}

static void back_serve(void)
{
	unsigned n, i;

	for (n = 0; back.connected && !back.idle && n < back.nr_rings; n++) {
		unsigned from = back.nr_taken;

		back_take_all(n);
		for (i = from; i < back.nr_taken; i++)
			answer(&back.taken[i % MAX_TAKEN]);
		back_push(n);
	}
}

/* What is taken and not answered yet, the last first. */
static void back_answer_all(void)
{
	unsigned n, i;

	for (n = 0; n < back.nr_rings; n++)
		back_take_all(n);
	for (i = back.nr_taken; i-- > 0;)
		answer(&back.taken[i]);
	for (n = 0; n < back.nr_rings; n++)
		back_push(n);
}

static void back_move(void)
{
	unsigned state = back_state_now();

	switch (front_state()) {
	case XenbusStateInitialising:
		if (state == XenbusStateClosed)
			back_begin();
		break;
	case XenbusStateInitialised:
		if (state == XenbusStateInitWait && !back.connected) {
			back_connect();
			back_state(XenbusStateConnected);
		}
		break;
	case XenbusStateClosing:
		if (state == XenbusStateConnected)
			back_state(XenbusStateClosing);
		break;
	case XenbusStateClosed:
		if (state != XenbusStateClosed) {
			back_disconnect();
			back_state(XenbusStateClosed);
		}
		break;
	default:
		break;
	}
}

static void deliver_events(void)
{
	pv_evtchn_dispatch();
}

static void blk_tick(void)
{
	if (!back.still)
		back_move();
	back_serve();
	deliver_events();
}
static void blk_told(evtchn_port_t port)
{
	(void)port;
	back.notified++;
	if (back.prompt)
		back_serve();
}

/* ---- the whole ------------------------------------------------------------------------------- */

static void blk_begin(void)
{
	memset(&back, 0, sizeof(back));
	back.sectors = "16384";
	back.sector_size = "512";
	back.flush = true;
	back.prompt = true;
	front_begin(blk_tick, blk_told);
}

static void blk_end(void)
{
	world_end();
}

#endif
