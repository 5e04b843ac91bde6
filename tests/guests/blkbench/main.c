/* SPDX-License-Identifier: MIT */
/*
 * A guest that measures and checks its disks: the first words of the command line say what.
 *
 *   check [bytes=N]     patterns written, flushed, read back, on every disk that is not read-only:
 *                       sizes and places of all kinds, one and many at a time; "PASS name" lines
 *   bench [ms=N]        for each load: "blk NAME: RATE unit REQUESTS NOTIFICATIONS EVENTS"; the load
 *                       goes on for N ms; with write=1 those that write, too
 *   Also: persistent=1, queues=N, order=N, segments=N: what the front-end may ask for; irq=1: requests
 *   end by event and call-back, where bench polls otherwise. pio=1: natively, no DMA.
 *
 * tests/bench/blk.c and tests/integration/test_disk.sh read the lines.
 */
#include "abi/errno.h"
#include "frontends/blkdev.h"
#include "frontends/native/ide.h"
#include "pvops/lib/format.h"
#include "pvops/lib/string.h"
#include "pvops/mmu.h"
#include "pvops/pv_ops.h"
#include "pvops/pvguest.h"
#include "pvops/xs.h"
#include "tests/guests/words.h"

#define MAX_DISKS  8
#define MAX_FLIGHT 64
#define BUFFER     (8ul << 20)

static struct blkdev *disks[MAX_DISKS];
static unsigned nr_disks;
static struct blkfront_options options;
static uint8_t *buffer;
static uint64_t seed = 88172645463325252ull;

/* xorshift64: Marsaglia, "Xorshift RNGs" (2003). */
static uint64_t random_number(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	return seed ^= seed << 17;
}

static int open_disk(const char *node, unsigned vdev, void *arg)
{
	struct blkdev_geometry g;
	int rc = blkdev_open(node, &options, &disks[nr_disks]);

	(void)vdev;
	(void)arg;
	if (rc)
		pv_panic("blkbench: %s does not open: error %d", node, rc);
	blkdev_get_geometry(disks[nr_disks], &g);
	pv_log("disk %s: %llu sectors of %u bytes, %s, %s, requests of %u bytes, %u at once\n",
	       disks[nr_disks]->name, (unsigned long long)g.sectors, g.sector_size,
	       g.readonly ? "read-only" : "read and write", g.can_flush ? "flush" : "no flush",
	       g.max_bytes, g.queue_depth);
	return ++nr_disks == MAX_DISKS ? 1 : 0;
}

/* ---- check ----------------------------------------------------------------------------------- */

/* What lies at a byte of a disk, in the n-th round. */
static void pattern(uint64_t *at, uint64_t sector, size_t len, uint64_t round)
{
	size_t i;

	for (i = 0; i < len / 8; i++)
		at[i] = (sector * 64 + i + 1) * 0x9e3779b97f4a7c15ull ^ round << 56;
}

static bool is_pattern(const uint64_t *at, uint64_t sector, size_t len, uint64_t round)
{
	size_t i;

	for (i = 0; i < len / 8; i++)
		if (at[i] != ((sector * 64 + i + 1) * 0x9e3779b97f4a7c15ull ^ round << 56))
			return false;
	return true;
}

static void verdict(const struct blkdev *disk, const char *name, int rc, bool ok)
{
	if (!rc && ok)
		pv_log("PASS %s-%s\n", disk->name, name);
	else
		pv_log("FAIL %s-%s: error %d%s\n", disk->name, name, rc,
		       ok ? "" : ", other bytes than were written");
}

/* The first `bytes` of the disk, in pieces of `piece`, a different piece of memory for each. */
static int whole(struct blkdev *disk, uint64_t bytes, size_t piece, uint64_t round, bool *ok)
{
	uint64_t at;
	int rc = 0;

	bytes -= bytes % piece;
	for (at = 0; !rc && at < bytes; at += piece) {
		uint8_t *b = buffer + at % (BUFFER - piece + 1) / 4096 * 4096;

		pattern((void *)b, at / 512, piece, round);
		rc = blkdev_write(disk, at / 512, b, piece);
	}
	if (!rc)
		rc = blkdev_flush(disk);
	for (at = 0; !rc && *ok && at < bytes; at += piece) {
		memset(buffer, 0, piece);
		rc = blkdev_read(disk, at / 512, buffer, piece);
		*ok = is_pattern((void *)buffer, at / 512, piece, round);
	}
	return rc;
}

/* Pieces of any size that the sectors allow, at any place, many at a time. */
static int scattered(struct blkdev *disk, uint64_t bytes, uint32_t unit, bool *ok)
{
	static struct blkdev_req req[16];
	static struct blkdev_seg seg[16][2];
	size_t share = BUFFER / 16;
	unsigned i, round;
	int rc = 0, one;

	for (round = 0; !rc && *ok && round < 40; round++) {
		uint64_t region = bytes / 16 / unit * unit;

		for (i = 0; i < 16; i++) {
			uint8_t *b = buffer + i * share + random_number() % 16 * unit;
			size_t len = (1 + random_number() % (region / 4 / unit)) * unit;
			uint64_t sector;

			if (len > share / 2 - 16 * unit)
				len = share / 2 - 16 * unit;
			len = len / unit * unit;
			sector = (i * region + random_number() % ((region - len) / unit) * unit) /
			         512;
			if (round & 1) /* what the round before wrote */
				sector = req[i].sector, len = req[i].nr_sectors * 512;
			else
				pattern((void *)b, sector, len, round);
			seg[i][0] = (struct blkdev_seg){ b, (uint32_t)(len / 2 / unit * unit) };
			seg[i][1] = (struct blkdev_seg){ b + seg[i][0].len,
				                         (uint32_t)len - seg[i][0].len };
			req[i] = (struct blkdev_req){ .op = round & 1 ? BLKDEV_READ : BLKDEV_WRITE,
				                      .sector = sector,
				                      .nr_sectors = len / 512,
				                      .segs = seg[i] + !seg[i][0].len,
				                      .nr_segs = 1u + !!seg[i][0].len };
			one = blkdev_submit(disk, &req[i]);
			if (one)
				return one;
		}
		blkdev_kick(disk);
		for (i = 0; i < 16; i++) {
			one = blkdev_wait(disk, &req[i]);
			rc = rc ? rc : one;
			if (round & 1 && !is_pattern(req[i].segs[0].va, req[i].sector,
			                             req[i].nr_sectors * 512, round - 1))
				*ok = false;
		}
	}
	return rc;
}

static void check_disk(struct blkdev *disk)
{
	uint64_t bytes = word_number("bytes=", 16 << 20);
	struct blkdev_geometry g;
	bool ok = true;
	int rc;

	blkdev_get_geometry(disk, &g);
	if (bytes > g.sectors * 512)
		bytes = g.sectors * 512 & ~0xffffull;
	rc = blkdev_read(disk, g.sectors - g.sector_size / 512, buffer, g.sector_size);
	verdict(disk, "last-sector-is-read", rc, true);
	rc = blkdev_read(disk, g.sectors, buffer, g.sector_size);
	verdict(disk, "nothing-behind-it", rc == -XEN_EINVAL ? 0 : rc, true);
	if (g.readonly) {
		rc = blkdev_write(disk, 0, buffer, g.sector_size);
		verdict(disk, "read-only-is-not-written", rc == -XEN_EROFS ? 0 : rc, true);
		return;
	}
	rc = whole(disk, bytes / 16, g.sector_size, 1, &ok);
	verdict(disk, "single-sectors", rc, ok);
	rc = whole(disk, bytes, 4096, 2, &ok);
	verdict(disk, "single-pages", rc, ok);
	rc = whole(disk, bytes, 65536, 3, &ok);
	verdict(disk, "larger-pieces", rc, ok);
	rc = whole(disk, bytes, (2 << 20) > bytes ? 65536 : 2 << 20, 4, &ok);
	verdict(disk, "pieces-that-are-split", rc, ok);
	rc = scattered(disk, bytes, g.sector_size, &ok);
	verdict(disk, "scattered", rc, ok);
	if (g.can_discard)
		verdict(disk, "discard", blkdev_discard(disk, 0, bytes / 512), true);
}

/* ---- bench ----------------------------------------------------------------------------------- */

struct load {
	const char *name;
	enum blkdev_op op;
	uint32_t bytes;
	unsigned flight;
	bool sequential;
};

static const struct load loads[] = {
	{ "4 KiB random read, one at a time", BLKDEV_READ, 4096, 1, false },
	{ "4 KiB random read, 32 in flight", BLKDEV_READ, 4096, 32, false },
	{ "4 KiB random write, one at a time", BLKDEV_WRITE, 4096, 1, false },
	{ "4 KiB random write, 32 in flight", BLKDEV_WRITE, 4096, 32, false },
	{ "128 KiB sequential read, 4 in flight", BLKDEV_READ, 131072, 4, true },
	{ "128 KiB sequential write, 4 in flight", BLKDEV_WRITE, 131072, 4, true },
};

static struct {
	const struct load *load;
	struct blkdev *disk;
	uint64_t pieces, next, done, end_ns;
	unsigned under_way;
	int error;
	struct blkdev_req req[MAX_FLIGHT];
	struct blkdev_seg seg[MAX_FLIGHT];
} run;

static void on_done(struct blkdev_req *req);

static void launch(unsigned i)
{
	const struct load *l = run.load;
	uint64_t piece = l->sequential ? run.next++ % run.pieces : random_number() % run.pieces;
	struct blkdev_req *req = &run.req[i];

	run.seg[i] = (struct blkdev_seg){ buffer + i * l->bytes, l->bytes };
	*req = (struct blkdev_req){ .op = l->op,
		                    .sector = piece * (l->bytes / 512),
		                    .nr_sectors = l->bytes / 512,
		                    .segs = &run.seg[i],
		                    .nr_segs = 1,
		                    .done = word_number("irq=", 0) ? on_done : NULL };
	run.error = blkdev_submit(run.disk, req);
	run.under_way += !run.error;
}

static void land(struct blkdev_req *req)
{
	run.done++;
	run.under_way--;
	if (req->result)
		run.error = req->result;
}

/* irq=1: the next goes out of the call-back of the last. */
static void on_done(struct blkdev_req *req)
{
	land(req);
	if (!run.error && (run.done & 15 || pv_now_ns() < run.end_ns))
		launch((unsigned)(req - run.req));
	if (run.under_way == run.load->flight || pv_now_ns() >= run.end_ns)
		blkdev_kick(run.disk);
}

static bool all_done(void *arg)
{
	(void)arg;
	return !__atomic_load_n(&run.under_way, __ATOMIC_ACQUIRE);
}

static void go_by_events(void)
{
	struct pv_waitq q = { { NULL, NULL } };
	unsigned i;

	pv_irq_disable();
	for (i = 0; i < run.load->flight; i++)
		launch(i);
	blkdev_kick(run.disk);
	pv_irq_enable();
	pv_wait(&q, all_done, NULL, 0);
}

/* One at a time as a program would: the synchronous call. More: whatever is finished is replaced. */
static void go_by_polling(void)
{
	unsigned i, n = run.load->flight;

	for (i = 0; i < n; i++)
		launch(i);
	while (run.under_way && !run.error) {
		bool more = pv_now_ns() < run.end_ns;

		blkdev_kick(run.disk);
		if (!blkdev_poll(run.disk)) /* not at once: sleep until the oldest is there */
			blkdev_wait(run.disk, &run.req[run.done % n]);
		for (i = 0; i < n; i++) {
			if (!run.req[i].finished || !run.req[i].segs)
				continue;
			land(&run.req[i]);
			run.req[i].segs = NULL;
			if (more)
				launch(i);
		}
	}
}

static void go_one_by_one(void)
{
	const struct load *l = run.load;

	while (!run.error && (run.done & 15 || pv_now_ns() < run.end_ns)) {
		uint64_t sector = random_number() % run.pieces * (l->bytes / 512);

		run.error = l->op == BLKDEV_READ ? blkdev_read(run.disk, sector, buffer, l->bytes)
		                                 : blkdev_write(run.disk, sector, buffer, l->bytes);
		run.done++;
	}
}

static void bench_load(struct blkdev *disk, const struct load *l, uint64_t ms)
{
	struct blkdev_geometry g;
	struct blkdev_stats before, after;
	uint64_t start, ns;

	blkdev_get_geometry(disk, &g);
	run.load = l;
	run.disk = disk;
	run.pieces = g.sectors / (l->bytes / 512);
	run.next = run.done = run.under_way = 0;
	run.error = 0;
	blkdev_get_stats(disk, &before);
	start = pv_now_ns();
	run.end_ns = start + ms * 1000000;
	if (word_number("irq=", 0))
		go_by_events();
	else if (l->flight > 1)
		go_by_polling();
	else
		go_one_by_one();
	ns = pv_now_ns() - start;
	blkdev_get_stats(disk, &after);
	if (run.error)
		pv_panic("blkbench: %s: error %d", l->name, run.error);
	pv_log("blk %s: %llu requests %llu ns %llu notifications %llu events %llu sleeps\n",
	       l->name, (unsigned long long)run.done, (unsigned long long)ns,
	       (unsigned long long)(after.notifications - before.notifications),
	       (unsigned long long)(after.events - before.events),
	       (unsigned long long)(after.sleeps - before.sleeps));
}

static void bench(void)
{
	uint64_t ms = word_number("ms=", 1000), only = word_number("load=", ~0ull);
	unsigned i;

	for (i = 0; i < sizeof(loads) / sizeof(loads[0]); i++) {
		if (only != ~0ull && only != i)
			continue;
		if (loads[i].op == BLKDEV_WRITE && !word_number("write=", 0))
			continue;
		bench_load(disks[0], &loads[i], ms);
	}
}

void kernel_main(const struct pv_boot *boot)
{
	unsigned i;

	pv_irq_enable();
	if (pv_mmu_map_memory())
		pv_panic("blkbench: no page tables");
	if (!pv_is_native() && pv_xs_init(boot->start))
		pv_panic("blkbench: no store");
	buffer = (void *)((boot->memory_end - BUFFER) & ~(BUFFER / 4 - 1));
	options = (struct blkfront_options){ .max_queues = (unsigned)word_number("queues=", 0),
		                             .max_ring_order = (unsigned)word_number("order=", 0),
		                             .max_segments = (unsigned)word_number("segments=", 0),
		                             .persistent = word_number("persistent=", 0) };
	ide_only_pio = word_number("pio=", 0);
	if (blkdev_each(open_disk, NULL) < 0)
		pv_panic("blkbench: the disks are not told");
	if (!nr_disks)
		pv_log("SKIP blkbench: no disk\n");
	else if (strstr(boot->cmdline, "bench"))
		bench();
	else
		for (i = 0; i < nr_disks; i++)
			check_disk(disks[i]);
	for (i = 0; i < nr_disks; i++)
		blkdev_close(disks[i]);
	pv_log("blkbench: done\n");
}
