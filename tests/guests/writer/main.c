/* SPDX-License-Identifier: MIT */
/*
 * A guest that writes numbered records to its first disk, flushes, and says which are safe, so that
 * it may be killed, or its storage be taken away, at any moment. It goes on where it finds the disk.
 *
 *   expect=N    what it had said last: records up to N must be there
 *   records=N   ends after so many more (default: never)
 *   patient=1   an error is told and tried again, unless the disk is gone
 *   verify=1    only looks
 *
 * Lines: "found N", "flushed N", "error N at RECORD", "FAIL ...". Record N is the page N modulo SLOTS.
 * tests/integration/test_store.sh reads them.
 */
#include "abi/errno.h"
#include "frontends/blkdev.h"
#include "pvops/lib/string.h"
#include "pvops/mmu.h"
#include "pvops/pv_ops.h"
#include "pvops/pvguest.h"
#include "pvops/time.h"
#include "pvops/xs.h"
#include "tests/guests/words.h"

#define SLOTS 1024u
#define BATCH 8u
#define PAGE  4096u
#define WORDS (PAGE / 8)

static struct blkdev *disk;
static uint8_t *pages; /* BATCH of them */

static int open_disk(const char *node, unsigned vdev, void *arg)
{
	(void)vdev;
	(void)arg;
	if (blkfront_open(node, NULL, &disk))
		pv_panic("writer: %s does not open", node);
	return 1;
}

/* ---- records ------------------------------------------------------------------------------------ */

static uint64_t sector_of(uint64_t record)
{
	return record % SLOTS * (PAGE / 512);
}

static void make(uint64_t *at, uint64_t record)
{
	for (unsigned i = 0; i < WORDS; i++)
		at[i] = i ? (record + i) * 0x9e3779b97f4a7c15ull : record;
}

static bool is_whole(const uint64_t *at)
{
	for (unsigned i = 1; i < WORDS; i++)
		if (at[i] != (at[0] + i) * 0x9e3779b97f4a7c15ull)
			return false;
	return true;
}

/* What a page of the disk holds: 0 for one that was never written. */
static uint64_t look_at(const uint64_t *at, unsigned slot)
{
	unsigned i = 0;

	while (i < WORDS && !at[i])
		i++;
	if (i == WORDS)
		return 0;
	if (!is_whole(at) || at[0] % SLOTS != slot)
		pv_log("FAIL page %u is no whole record\n", slot);
	return at[0];
}

static void must_be_there(uint64_t record, uint64_t expected, unsigned slot)
{
	/* The newest record up to `expected` that belongs into this slot. */
	uint64_t least = expected - (expected + SLOTS - slot) % SLOTS;

	if (expected >= slot && least && record < least)
		pv_log("FAIL page %u holds record %llu, but %llu was flushed\n", slot,
		       (unsigned long long)record, (unsigned long long)least);
}

static uint64_t find_newest(uint64_t expected)
{
	uint64_t newest = 0;

	for (unsigned slot = 0; slot < SLOTS; slot += BATCH) {
		int rc = blkdev_read(disk, sector_of(slot), pages, BATCH * PAGE);

		if (rc)
			pv_panic("writer: page %u cannot be read: error %d", slot, rc);
		for (unsigned i = 0; i < BATCH; i++) {
			uint64_t record = look_at((void *)(pages + i * PAGE), slot + i);

			must_be_there(record, expected, slot + i);
			if (record > newest)
				newest = record;
		}
	}
	return newest;
}

/* ---- writing ------------------------------------------------------------------------------------ */

/* A batch, all at once, then a flush. 0 or the first error. */
static int write_batch(uint64_t first)
{
	static struct blkdev_req req[BATCH];
	static struct blkdev_seg seg[BATCH];
	unsigned sent = 0;
	int rc = 0, one;

	for (unsigned i = 0; i < BATCH && !rc; i++) {
		make((void *)(pages + i * PAGE), first + i);
		seg[i] = (struct blkdev_seg){ pages + i * PAGE, PAGE };
		req[i] = (struct blkdev_req){ .op = BLKDEV_WRITE,
			                      .sector = sector_of(first + i),
			                      .nr_sectors = PAGE / 512,
			                      .segs = &seg[i],
			                      .nr_segs = 1 };
		rc = blkdev_submit(disk, &req[i]);
		sent += !rc;
	}
	blkdev_kick(disk);
	for (unsigned i = 0; i < sent; i++) {
		one = blkdev_wait(disk, &req[i]);
		rc = rc ? rc : one;
	}
	one = blkdev_flush(disk);
	return rc ? rc : one;
}

static void write_on(uint64_t record, uint64_t end)
{
	bool is_patient = word_number("patient=", 0);

	while (record < end) {
		int rc = write_batch(record + 1);

		if (rc)
			pv_log("error %d at %llu\n", rc, (unsigned long long)(record + 1));
		if (rc == -XEN_ENODEV || (rc && !is_patient))
			return;
		if (rc)
			continue;
		record += BATCH;
		pv_log("flushed %llu\n", (unsigned long long)record);
	}
}

void kernel_main(const struct pv_boot *boot)
{
	uint64_t newest, more = word_number("records=", ~0ull);

	pv_irq_enable();
	if (pv_mmu_map_memory() || pv_xs_init(boot->start))
		pv_panic("writer: no page tables, or no store");
	pages = (void *)((boot->memory_end - BATCH * PAGE) & ~(uint64_t)(PAGE - 1));
	if (blkfront_each(open_disk, NULL) < 0 || !disk)
		pv_panic("writer: no disk");
	newest = find_newest(word_number("expect=", 0));
	pv_log("found %llu\n", (unsigned long long)newest);
	if (!word_number("verify=", 0))
		write_on(newest, more > ~newest ? ~0ull : newest + more);
	blkdev_close(disk);
	pv_log("writer: done\n");
}
