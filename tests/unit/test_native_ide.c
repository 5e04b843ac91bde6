/* SPDX-License-Identifier: MIT */
/*
 * The IDE driver of the guest library on the IDE drives of the virtual PC: ports, interrupt
 * controllers, DMA and storage are the real ones of both sides. Each is judged by the other, and by the
 * bytes on the disk.
 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/fake/fake_hypercalls.h"

#include "abi/errno.h"
#include "frontends/native/ide.h"
#include "pvops/native/io.h"
#include "pvops/native/irq.h"
#include "pvops/native/pic.h"
#include "tests/fake/fv_world.h"
#include "tests/fake/lazy_store.h"

Suite *native_ide_suite(void);

#define ARRAY_LEN(a) (sizeof(a) / sizeof(*(a)))
#define SECTORS      32768u
#define ARENA        (24u << 20) /* the guest's memory, where 32 bits reach it */
#define MIB          (1u << 20)

static struct fv_world w;
static uint8_t *arena;

/* ---- the machine under the library ------------------------------------------------------------- */

uint32_t pv_test_in(uint16_t port, unsigned int size)
{
	return fv_port_in(w.bus, port, size);
}

void pv_test_out(uint16_t port, uint32_t value, unsigned int size)
{
	fv_port_out(w.bus, port, size, value);
}

static void interrupt(void)
{
	while (fv_irq_pending(w.bus))
		pv_native_irq_run(fv_irq_ack(w.bus) - PV_PIC_VECTOR);
}

static bool hook_wait(struct pv_waitq *q, bool (*ready)(void *arg), void *arg, uint64_t deadline_ns)
{
	(void)q;
	while (!ready(arg) && fv_now() < deadline_ns)
		interrupt();
	return ready(arg);
}

static void hook_wake(struct pv_waitq *q)
{
	(void)q;
}

static void hook_log(const char *text, size_t len)
{
	(void)text;
	(void)len;
}

const struct pv_hooks pv_hooks = { .wait = hook_wait, .wake = hook_wake, .log = hook_log };

/* ---- the disk ---------------------------------------------------------------------------------- */

static struct lazy_store disk;

/* The storage answers all that the drive asks for. */
static void answer_all(void)
{
	while (lazy_store_answer(&disk))
		interrupt();
}

static struct blkdev *dev;

static int found(const char *node, unsigned vdev, void *arg)
{
	ck_assert_str_eq(node, "ide0");
	ck_assert_uint_eq(vdev, 768);
	++*(unsigned *)arg;
	return ide_open(node, &dev);
}

static void start(void)
{
	struct fv_pc_config config;
	unsigned n = 0;

	fake_hypercalls_reset();
	pv_ops.time.now_ns = fv_now;
	lazy_store_open(&disk, SECTORS * 512);
	arena = mmap(NULL, ARENA, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT,
	             -1, 0);
	ck_assert(arena != MAP_FAILED);
	fv_world_config(&w, &config);
	config.ram[2] = (struct fv_pc_ram){ (uintptr_t)arena, ARENA, arena };
	config.nr_ram = 3;
	config.disks[0] = &disk.s;
	fv_world_start(&w, &config);
	pv_boot.free = (uintptr_t)arena; /* where the driver's pages come from */
	pv_boot.mapped_end = pv_boot.free + MIB;
	pv_pic_init();
	ck_assert_int_eq(ide_each(found, &n), 0);
	ck_assert_uint_eq(n, 1);
	disk.calls = 0;
}

static void stop(void)
{
	blkdev_close(dev);
	fv_world_stop(&w);
	munmap(arena, ARENA);
	lazy_store_close(&disk);
}

/* ---- requests ---------------------------------------------------------------------------------- */

static unsigned called;

static void on_done(struct blkdev_req *req)
{
	ck_assert(req->finished);
	called++;
}

static struct blkdev_req request(enum blkdev_op op, uint64_t sector, struct blkdev_seg *segs,
                                 unsigned nr, bool call_back)
{
	struct blkdev_req req = { .op = op, .sector = sector, .segs = segs, .nr_segs = nr };

	for (unsigned i = 0; i < nr; i++)
		req.nr_sectors += segs[i].len / 512;
	req.done = call_back ? on_done : NULL;
	return req;
}

/* Until n requests have called back. */
static void run_until(unsigned n)
{
	for (unsigned i = 0; i < 10000 && called < n; i++) {
		interrupt();
		answer_all();
	}
	ck_assert_uint_eq(called, n);
}

START_TEST(the_disk_says_what_it_is)
{
	struct blkdev_geometry g;

	blkdev_get_geometry(dev, &g);
	ck_assert_str_eq(dev->name, "hda");
	ck_assert_uint_eq(g.sectors, SECTORS);
	ck_assert_uint_eq(g.physical_sector, 4096);
	ck_assert(g.can_flush && !g.can_discard && !g.readonly);
	ck_assert_int_eq(ide_open("ide0", &dev), -XEN_EBUSY);
	ck_assert_int_eq(ide_open("ide1", &dev), -XEN_ENODEV);
}
END_TEST

/* 0: DMA, storage at once; 1: DMA, storage later; 2: PIO */
START_TEST(bytes_arrive)
{
	uint8_t *data = arena + MIB;
	struct blkdev_seg segs[3];
	struct blkdev_req req;

	ide_only_pio = _i == 2;
	disk.is_lazy = _i == 1;
	for (unsigned round = 0; round < 40; round++) {
		uint64_t sector = (unsigned)rand() % (SECTORS - 3000);
		bool write = round & 1;
		uint8_t *place[3];
		uint64_t at = sector * 512;

		for (unsigned i = 0; i < 3; i++) {
			segs[i].len = (1 + (unsigned)rand() % 800) * 512;
			place[i] = data + i * 4 * MIB + (unsigned)rand() % 500 * 512;
			segs[i].va = place[i];
			for (uint32_t n = 0; write && n < segs[i].len; n++)
				place[i][n] = (uint8_t)rand();
		}
		req = request(write ? BLKDEV_WRITE : BLKDEV_READ, sector, segs, 3, true);
		ck_assert_int_eq(blkdev_submit(dev, &req), 0);
		blkdev_kick(dev);
		run_until(round + 1);
		ck_assert_int_eq(req.result, 0);
		for (unsigned i = 0; i < 3; at += segs[i++].len)
			ck_assert_mem_eq(place[i], disk.bytes + at, segs[i].len);
	}
}
END_TEST

START_TEST(neighbours_are_one_command)
{
	struct blkdev_seg seg[6];
	struct blkdev_req req[6];
	struct blkdev_stats s;
	static const uint64_t sector[6] = { 8, 16, 24, 40, 100, 48 };

	for (unsigned i = 0; i < 6; i++) {
		seg[i] = (struct blkdev_seg){ arena + MIB + i * 8192, 4096 };
		req[i] = request(BLKDEV_READ, sector[i], &seg[i], 1, true);
		ck_assert_int_eq(blkdev_submit(dev, &req[i]), 0);
	}
	blkdev_kick(dev);
	run_until(6);
	blkdev_get_stats(dev, &s);
	ck_assert_uint_eq(s.requests, 6);
	ck_assert_uint_eq(s.parts, 4); /* 8 to 31 together, then each alone */
	for (unsigned i = 0; i < 6; i++)
		ck_assert_mem_eq(seg[i].va, disk.bytes + sector[i] * 512, 4096);
}
END_TEST

START_TEST(long_requests_are_several_commands)
{
	static struct blkdev_seg many[1200];
	struct blkdev_seg one = { arena + MIB, 5 * MIB };
	struct blkdev_req req = request(BLKDEV_READ, 5, &one, 1, true);
	struct blkdev_stats s;

	ck_assert_int_eq(blkdev_submit(dev, &req), 0);
	blkdev_kick(dev);
	run_until(1);
	blkdev_get_stats(dev, &s);
	ck_assert_uint_eq(s.parts, 5);
	ck_assert_mem_eq(one.va, disk.bytes + 5 * 512, 5 * MIB);
	/* More pieces than a table of descriptors has. */
	for (unsigned i = 0; i < 1200; i++)
		many[i] = (struct blkdev_seg){ arena + MIB + i * 1024, 512 };
	req = request(BLKDEV_READ, 77, many, 1200, true);
	ck_assert_int_eq(blkdev_submit(dev, &req), 0);
	blkdev_kick(dev);
	run_until(2);
	for (unsigned i = 0; i < 1200; i++)
		ck_assert_mem_eq(many[i].va, disk.bytes + (77 + i) * 512, 512);
}
END_TEST

START_TEST(waiting_and_polling)
{
	uint8_t *data = arena + MIB;
	struct blkdev_stats s;

	for (unsigned i = 0; i < 200; i++)
		ck_assert_int_eq(blkdev_read(dev, i * 9, data, 4096), 0);
	blkdev_get_stats(dev, &s);
	ck_assert_uint_eq(s.events, 0); /* each was done at the first look */
	ck_assert_int_eq(blkdev_flush(dev), 0);
	ck_assert_uint_eq(disk.flushes, 1);
	ck_assert_int_eq(blkdev_write(dev, SECTORS - 8, data, 4096), 0);
	ck_assert_mem_eq(disk.bytes + (SECTORS - 8) * 512, data, 4096);
}
END_TEST

START_TEST(what_makes_no_sense_is_refused)
{
	uint8_t *data = arena + MIB;

	ck_assert_int_eq(blkdev_read(dev, SECTORS, data, 512), -XEN_EINVAL);
	ck_assert_int_eq(blkdev_read(dev, SECTORS - 1, data, 1024), -XEN_EINVAL);
	ck_assert_int_eq(blkdev_read(dev, 0, data + 4, 512), -XEN_EINVAL);
	ck_assert_int_eq(blkdev_read(dev, 0, data, 0), -XEN_EINVAL);
	ck_assert_int_eq(blkdev_read(dev, UINT64_MAX, data, 512), -XEN_EINVAL);
	ck_assert_int_eq(blkdev_discard(dev, 0, 8), -XEN_EOPNOTSUPP);
	ck_assert_uint_eq(disk.calls, 0);
}
END_TEST

START_TEST(an_error_is_its_requests_alone)
{
	uint8_t *data = arena + MIB;

	ide_only_pio = _i;
	disk.error = -EIO;
	ck_assert_int_eq(blkdev_read(dev, 5, data, 4096), -XEN_EIO);
	ck_assert_int_eq(blkdev_write(dev, 5, data, 2 * MIB), -XEN_EIO);
	ck_assert_int_eq(blkdev_flush(dev), -XEN_EIO);
	disk.error = 0;
	ck_assert_int_eq(blkdev_read(dev, 5, data, 4096), 0);
	ck_assert_mem_eq(data, disk.bytes + 5 * 512, 4096);
}
END_TEST

Suite *native_ide_suite(void)
{
	const TTest *const normal[] = { the_disk_says_what_it_is, neighbours_are_one_command,
		                        long_requests_are_several_commands, waiting_and_polling,
		                        what_makes_no_sense_is_refused };
	Suite *s = suite_create("native_ide");
	TCase *n = tcase_create("normal");

	tcase_add_checked_fixture(n, start, stop);
	tcase_set_timeout(n, 60);
	for (unsigned i = 0; i < ARRAY_LEN(normal); i++)
		tcase_add_test(n, normal[i]);
	tcase_add_loop_test(n, bytes_arrive, 0, 3);
	tcase_add_loop_test(n, an_error_is_its_requests_alone, 0, 2);
	suite_add_tcase(s, n);
	return s;
}
