/* SPDX-License-Identifier: MIT */
/*
 * The virtual PC's PCI bus and IDE disks: configuration space, PIO and DMA, storage that answers late,
 * errors, and guests whose tables and registers make no sense.
 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hypervisor-stub/fullvirt/ide.h"
#include "tests/fake/fv_world.h"
#include "tests/fake/lazy_store.h"

Suite *fv_ide_suite(void);

#define ARRAY_LEN(a) (sizeof(a) / sizeof(*(a)))
#define SECTORS      4096u
#define TABLE        0x1000u /* of descriptors, in the guest's memory */
#define DATA         0x10000u
#define CMD          0x1f0
#define LAST         0x80000000u

static struct lazy_store disk;
static struct fv_world w;

static void answer(void)
{
	ck_assert(lazy_store_answer(&disk));
}

static void start(void)
{
	struct fv_pc_config config;

	lazy_store_open(&disk, SECTORS * 512);
	fv_world_config(&w, &config);
	config.disks[0] = &disk.s;
	fv_world_start(&w, &config);
	fv_world_open_pics(&w);
}

static void stop(void)
{
	fv_world_stop(&w);
	lazy_store_close(&disk);
}

/* ---- the guest -------------------------------------------------------------------------------- */

static void out(uint16_t port, uint8_t value)
{
	fv_port_out(w.bus, port, 1, value);
}

static uint8_t in(uint16_t port)
{
	return (uint8_t)fv_port_in(w.bus, port, 1);
}

static uint32_t config_read(unsigned slot, unsigned fn, unsigned at)
{
	fv_port_out(w.bus, 0xcf8, 4, 0x80000000u | slot << 11 | fn << 8 | at);
	return fv_port_in(w.bus, 0xcfc, 4);
}

static void config_write(unsigned slot, unsigned fn, unsigned at, uint32_t value)
{
	fv_port_out(w.bus, 0xcf8, 4, 0x80000000u | slot << 11 | fn << 8 | at);
	fv_port_out(w.bus, 0xcfc, 4, value);
}

static uint16_t bm(void)
{
	return (uint16_t)(config_read(1, 1, 0x20) & ~3u);
}

static void command48(uint64_t sector, unsigned count, uint8_t code)
{
	out(CMD + 6, 0x40);
	out(CMD + 2, (uint8_t)(count >> 8));
	out(CMD + 3, (uint8_t)(sector >> 24));
	out(CMD + 4, (uint8_t)(sector >> 32));
	out(CMD + 5, (uint8_t)(sector >> 40));
	out(CMD + 2, (uint8_t)count);
	out(CMD + 3, (uint8_t)sector);
	out(CMD + 4, (uint8_t)(sector >> 8));
	out(CMD + 5, (uint8_t)(sector >> 16));
	out(CMD + 7, code);
}

static void prd(unsigned i, uint32_t addr, uint32_t len)
{
	memcpy(w.low + TABLE + 8 * i, &addr, 4);
	memcpy(w.low + TABLE + 8 * i + 4, &len, 4);
}

/* Table of what prd() has put; direction: 8 is to memory. */
static void dma(uint64_t sector, unsigned count, uint8_t code)
{
	config_write(1, 1, 4, 5);
	out(bm(), 0);
	out(bm() + 2, 6);
	fv_port_out(w.bus, bm() + 4, 4, TABLE);
	command48(sector, count, code);
	out(bm(), code == 0x25 ? 9 : 1);
}

static void expect(uint8_t status, uint8_t error)
{
	ck_assert_uint_eq(in(CMD + 7), status);
	ck_assert_uint_eq(in(CMD + 1), error);
}

/* ---- PCI -------------------------------------------------------------------------------------- */

START_TEST(functions_are_found)
{
	ck_assert_uint_eq(config_read(0, 0, 0), 0x12378086);
	ck_assert_uint_eq(config_read(1, 0, 0), 0x70008086);
	ck_assert_uint_eq(config_read(1, 0, 12) >> 16 & 0x80, 0x80);
	ck_assert_uint_eq(config_read(1, 1, 0), 0x70108086);
	ck_assert_uint_eq(config_read(1, 1, 8) >> 8, 0x010180);
	ck_assert_uint_eq(config_read(7, 0, 0), UINT32_MAX);
	fv_port_out(w.bus, 0xcf8, 4, 0x80010000u);
	ck_assert_uint_eq(fv_port_in(w.bus, 0xcfc, 4), UINT32_MAX);
	fv_port_out(w.bus, 0xcf8, 4, 0);
	ck_assert_uint_eq(fv_port_in(w.bus, 0xcfc, 4), UINT32_MAX);
}
END_TEST

START_TEST(a_base_address_is_sized_and_moved)
{
	uint32_t old = config_read(1, 1, 0x20);

	ck_assert_uint_eq(old & 1, 1);
	ck_assert_uint_eq(in((uint16_t)(old & ~3u)), 0xff);
	config_write(1, 1, 4, 1);
	ck_assert_uint_eq(in((uint16_t)(old & ~3u)), 0);
	config_write(1, 1, 0x20, UINT32_MAX);
	ck_assert_uint_eq(config_read(1, 1, 0x20), 0xfffffff1);
	ck_assert_uint_eq(in((uint16_t)(old & ~3u)), 0xff);
	config_write(1, 1, 0x20, 0xd000);
	ck_assert_uint_eq(in(0xd002), 0x20);
	config_write(1, 1, 0x20, 0x20); /* over the interrupt controller, which stays */
	out(0x21, 0xa5);
	ck_assert_uint_eq(in(0x21), 0xa5);
	config_write(1, 1, 0, 0);
	ck_assert_uint_eq(config_read(1, 1, 0), 0x70108086);
}
END_TEST

START_TEST(port_cf9_resets)
{
	out(0xcf9, 2);
	ck_assert_uint_eq(w.powers, 0);
	out(0xcf9, 6);
	ck_assert_uint_eq(w.powers, 1);
	ck_assert_uint_eq(w.power, FV_POWER_RESET);
}
END_TEST

/* ---- PIO -------------------------------------------------------------------------------------- */

START_TEST(the_drive_says_what_it_is)
{
	uint16_t id[256];
	uint64_t sectors;

	out(CMD + 6, 0);
	out(CMD + 7, 0xec);
	ck_assert_uint_eq(fv_world_take_irq(&w), 14);
	ck_assert_uint_eq(in(CMD + 7), 0x58);
	fv_port_ins(w.bus, CMD, 2, id, 256);
	ck_assert_uint_eq(in(CMD + 7), 0x50);
	memcpy(&sectors, id + 100, 8);
	ck_assert_uint_eq(sectors, SECTORS);
	ck_assert_uint_eq(id[60], SECTORS);
	ck_assert_uint_eq(id[106], 0x6003);
	ck_assert_uint_eq(id[27], 'P' << 8 | 'A');
	/* There is no second drive, and nothing on the other channel. */
	out(CMD + 6, 0x10);
	out(CMD + 7, 0xec);
	ck_assert_uint_eq(in(CMD + 7), 0);
	ck_assert_uint_eq(in(0x177), 0);
}
END_TEST

static const struct {
	uint8_t read, write;
	unsigned multiple, sectors, interrupts;
} pio[] = {
	{ 0x24, 0x34, 0, 1, 1 },
	{ 0x24, 0x34, 0, 5, 5 },
	{ 0x29, 0x39, 16, 40, 3 },
};

START_TEST(pio_reads_and_writes)
{
	uint8_t buffer[40 * 512];
	unsigned n = pio[_i].sectors, interrupts = 0;

	disk.is_lazy = _i == 1;
	out(CMD + 2, (uint8_t)pio[_i].multiple);
	out(CMD + 7, 0xc6);
	in(CMD + 7);
	fv_world_take_irq(&w);
	command48(7, n, pio[_i].read);
	for (unsigned done = 0; done < n;) {
		unsigned block = pio[_i].multiple ? pio[_i].multiple : 1;

		if (disk.is_lazy) {
			ck_assert_uint_eq(in(CMD + 7), 0x80);
			answer();
		}
		ck_assert_uint_eq(fv_world_take_irq(&w), 14);
		interrupts++;
		ck_assert_uint_eq(in(CMD + 7), 0x58);
		if (block > n - done)
			block = n - done;
		fv_port_ins(w.bus, CMD, 4, buffer + 512 * done, block * 128);
		done += block;
	}
	ck_assert_uint_eq(interrupts, pio[_i].interrupts);
	ck_assert_uint_eq(in(CMD + 7), 0x50);
	ck_assert_mem_eq(buffer, disk.bytes + 7 * 512, n * 512);
	disk.is_lazy = false;
	command48(100, n, pio[_i].write);
	fv_port_outs(w.bus, CMD, 2, buffer, n * 256);
	ck_assert_uint_eq(in(CMD + 7), 0x50);
	ck_assert_mem_eq(disk.bytes + 100 * 512, buffer, n * 512);
}
END_TEST

START_TEST(addresses_of_28_bits_and_of_cylinders)
{
	uint8_t sector[512];

	out(CMD + 6, 0x40);
	out(CMD + 2, 1);
	out(CMD + 3, 0x34);
	out(CMD + 4, 0x02);
	out(CMD + 5, 0);
	out(CMD + 7, 0x20);
	fv_port_ins(w.bus, CMD, 2, sector, 256);
	ck_assert_mem_eq(sector, disk.bytes + 0x234 * 512, 512);
	out(CMD + 6, 0x03); /* cylinder 2, head 3, sector 5 */
	out(CMD + 2, 1);
	out(CMD + 3, 5);
	out(CMD + 4, 2);
	out(CMD + 5, 0);
	out(CMD + 7, 0x20);
	fv_port_ins(w.bus, CMD, 2, sector, 256);
	ck_assert_mem_eq(sector, disk.bytes + ((2 * 16 + 3) * 63 + 4) * 512, 512);
	out(CMD + 3, 0);
	out(CMD + 7, 0x20);
	expect(0x51, 0x10);
}
END_TEST

static const struct {
	uint64_t sector;
	unsigned count;
	uint8_t code, error;
} refused[] = {
	{ SECTORS, 1, 0x24, 0x10 },
	{ SECTORS - 1, 2, 0x24, 0x10 },
	{ 0, 0, 0x25, 0x10 }, /* 65536 sectors */
	{ (1ull << 48) - 1, 65535, 0x35, 0x10 },
	{ 0, 1, 0x29, 0x04 }, /* no block size was set */
	{ 0, 1, 0xff, 0x04 },
	{ 0, 1, 0x00, 0x04 },
	{ 0, 3, 0xc6, 0x04 },
	{ 0, 64, 0xc6, 0x04 },
};

START_TEST(what_cannot_be_is_refused)
{
	command48(refused[_i].sector, refused[_i].count, refused[_i].code);
	ck_assert_uint_eq(fv_world_take_irq(&w), 14);
	expect(0x51, refused[_i].error);
	ck_assert_uint_eq(disk.calls, 0);
}
END_TEST

START_TEST(flush_and_its_failure)
{
	out(CMD + 7, 0xe7);
	expect(0x50, 0);
	ck_assert_uint_eq(disk.flushes, 1);
	disk.error = -EIO;
	disk.is_lazy = true;
	out(CMD + 7, 0xea);
	ck_assert_uint_eq(in(CMD + 7), 0x80);
	answer();
	expect(0x51, 0x04);
}
END_TEST

START_TEST(a_disk_for_reading_only_refuses_writes)
{
	disk.s.readonly = true;
	command48(0, 1, 0x34);
	expect(0x51, 0x04);
	command48(0, 1, 0x24);
	ck_assert_uint_eq(in(CMD + 7), 0x58);
}
END_TEST

START_TEST(interrupts_can_be_turned_off)
{
	out(0x3f6, 2);
	command48(0, 1, 0x24);
	ck_assert(!fv_irq_pending(w.bus));
	out(0x3f6, 0);
	ck_assert(fv_irq_pending(w.bus));
}
END_TEST

/* ---- DMA -------------------------------------------------------------------------------------- */

START_TEST(dma_reads_into_pieces_anywhere)
{
	struct fv_ide_stats stats;

	prd(0, DATA + 0x3456, 1000);
	prd(1, DATA + 0x8002, 24);
	prd(2, DATA + 0x9000, (8192 - 1024) | LAST);
	disk.is_lazy = _i;
	dma(3, 16, 0x25);
	if (_i) {
		ck_assert_uint_eq(in(bm() + 2) & 7, 1);
		answer();
	}
	ck_assert_uint_eq(fv_world_take_irq(&w), 14);
	ck_assert_uint_eq(in(bm() + 2) & 7, 4);
	expect(0x50, 0);
	ck_assert_mem_eq(w.low + DATA + 0x3456, disk.bytes + 3 * 512, 1000);
	ck_assert_mem_eq(w.low + DATA + 0x8002, disk.bytes + 3 * 512 + 1000, 24);
	ck_assert_mem_eq(w.low + DATA + 0x9000, disk.bytes + 5 * 512, 8192 - 1024);
	ck_assert_uint_eq(atomic_load(&w.wrote), 8192);
	fv_ide_get_stats(w.pc->ide, 0, &stats);
	ck_assert_uint_eq(stats.bytes_read, 8192);
	ck_assert_uint_eq(stats.waited, (unsigned)_i);
}
END_TEST

START_TEST(dma_writes_and_the_master_may_start_first)
{
	memset(w.low + DATA, 0x77, 65536);
	prd(0, DATA, 0 | LAST); /* 64 KiB */
	config_write(1, 1, 4, 5);
	fv_port_out(w.bus, bm() + 4, 4, TABLE);
	out(bm(), 1);
	command48(8, 128, 0x35);
	expect(0x50, 0);
	ck_assert_uint_eq(disk.bytes[8 * 512], 0x77);
	ck_assert_uint_eq(disk.bytes[136 * 512 - 1], 0x77);
	ck_assert_uint_eq(disk.bytes[136 * 512], (uint8_t)(136 * 7));
	ck_assert_uint_eq(disk.calls, 1);
	ck_assert_uint_eq(atomic_load(&w.wrote), 0);
}
END_TEST

START_TEST(more_pieces_than_storage_takes_at_once)
{
	for (unsigned i = 0; i < 1000;
	     i++) /* with a hole behind each, so that none can be joined */
		prd(i, DATA + 8 * i, 6);
	prd(1000, DATA + 0x10000, 0 | LAST);
	disk.is_lazy = true;
	dma(0, 20, 0x25);
	while (disk.held)
		answer();
	expect(0x50, 0);
	ck_assert_uint_gt(disk.calls, 1);
	for (unsigned i = 0; i < 6000; i++)
		ck_assert_uint_eq(w.low[DATA + i / 6 * 8 + i % 6], disk.bytes[i]);
	ck_assert_mem_eq(w.low + DATA + 0x10000, disk.bytes + 6000, 20 * 512 - 6000);
}
END_TEST

static const struct {
	uint32_t addr, len;
	uint8_t bm, status, error;
} lies[] = {
	{ 0xfffffffe, 512 | LAST, 6, 0x51, 4 },
	{ FV_WORLD_LOW, 512 | LAST, 6, 0x51, 4 },
	{ FV_WORLD_LOW - 256, 1024 | LAST, 6, 0x51, 4 },
	{ DATA, 512, 6, 0x51, 4 },         /* the table goes on where nothing good is */
	{ DATA, 256 | LAST, 0, 0x50, 0 },  /* half a sector: the drive waits in vain */
	{ DATA, 1024 | LAST, 4, 0x50, 0 }, /* exact */
	{ DATA, 2048 | LAST, 5, 0x50, 0 }, /* longer than the transfer: the master stays active */
};

START_TEST(tables_that_lie_end_their_own_command)
{
	prd(0, lies[_i].addr, lies[_i].len);
	prd(1, 0xdeadbeef, 0);
	dma(0, 2, 0x25);
	ck_assert_uint_eq(in(bm() + 2) & 7, lies[_i].bm);
	expect(lies[_i].status, lies[_i].error);
	/* And the next one is served. */
	prd(0, DATA, 1024 | LAST);
	dma(0, 2, 0x25);
	expect(0x50, 0);
}
END_TEST

START_TEST(a_table_in_no_memory)
{
	config_write(1, 1, 4, 5);
	fv_port_out(w.bus, bm() + 4, 4, 0xfffffffc);
	command48(0, 1, 0x25);
	out(bm(), 9);
	ck_assert_uint_eq(in(bm() + 2) & 7, 6);
	expect(0x51, 4);
}
END_TEST

START_TEST(a_table_that_loops_ends_with_the_transfer)
{
	for (unsigned i = 0; i < 8192; i++)
		memset(w.low + 0x10000 + 8 * i, 0, 8);
	for (unsigned i = 0; i < 8192; i++)
		w.low[0x10000 + 8 * i + 4] = 2; /* two bytes to address 0 each, and round again */
	config_write(1, 1, 4, 5);
	fv_port_out(w.bus, bm() + 4, 4, 0x10000);
	command48(0, 2048, 0x25);
	out(bm(), 9);
	expect(0x50, 0);
}
END_TEST

START_TEST(without_bus_mastering_there_is_no_dma)
{
	prd(0, DATA, 512 | LAST);
	config_write(1, 1, 4, 1);
	fv_port_out(w.bus, bm() + 4, 4, TABLE);
	command48(0, 1, 0x25);
	out(bm(), 9);
	expect(0x51, 4);
	ck_assert_uint_eq(disk.calls, 0);
}
END_TEST

START_TEST(a_storage_error_is_told)
{
	prd(0, DATA, 512 | LAST);
	disk.error = -EIO;
	dma(0, 1, 0x25);
	expect(0x51, 0x40);
	dma(0, 1, 0x35);
	expect(0x51, 0x04);
}
END_TEST

START_TEST(registers_written_in_mid_transfer_are_not_heard)
{
	prd(0, DATA, 512 | LAST);
	disk.is_lazy = true;
	dma(5, 1, 0x25);
	command48(9, 7, 0x34);
	out(CMD + 6, 0x10);
	fv_port_out(w.bus, bm() + 4, 4, 0);
	ck_assert_uint_eq(in(CMD + 7), 0x80);
	answer();
	expect(0x50, 0);
	ck_assert_mem_eq(w.low + DATA, disk.bytes + 5 * 512, 512);
}
END_TEST

START_TEST(a_reset_or_a_stop_in_mid_transfer)
{
	prd(0, DATA, 512 | LAST);
	disk.is_lazy = true;
	dma(5, 1, 0x25);
	if (_i) {
		out(0x3f6, 4);
		out(0x3f6, 0);
	} else {
		out(bm(), 0);
	}
	ck_assert_uint_eq(in(CMD + 7), 0x80);
	answer();
	expect(_i ? 0x50 : 0x51, _i ? 1 : 4);
	ck_assert(!fv_irq_pending(w.bus));
	disk.is_lazy = false;
	dma(5, 1, 0x25);
	expect(0x50, 0);
}
END_TEST

START_TEST(the_machine_ends_while_storage_waits)
{
	prd(0, DATA, 512 | LAST);
	disk.is_lazy = true;
	dma(5, 1, 0x25);
	/* stop() takes the machine apart: the storage is hurried, and done with the guest's memory. */
	ck_assert_ptr_nonnull(disk.held);
}
END_TEST

START_TEST(a_disk_that_shrinks)
{
	disk.size = 4 * 512;
	prd(0, DATA, 512 | LAST);
	dma(4, 1, 0x25);
	expect(0x51, 0x10);
}
END_TEST

Suite *fv_ide_suite(void)
{
	const TTest *const normal[] = {
		functions_are_found,
		a_base_address_is_sized_and_moved,
		port_cf9_resets,
		the_drive_says_what_it_is,
		addresses_of_28_bits_and_of_cylinders,
		flush_and_its_failure,
		a_disk_for_reading_only_refuses_writes,
		interrupts_can_be_turned_off,
		dma_writes_and_the_master_may_start_first,
		more_pieces_than_storage_takes_at_once,
		a_storage_error_is_told,
	};
	const TTest *const hostile[] = {
		a_table_in_no_memory,
		a_table_that_loops_ends_with_the_transfer,
		without_bus_mastering_there_is_no_dma,
		registers_written_in_mid_transfer_are_not_heard,
		a_disk_that_shrinks,
		the_machine_ends_while_storage_waits,
	};
	Suite *s = suite_create("fv_ide");
	TCase *n = tcase_create("normal"), *h = tcase_create("hostile");

	tcase_add_checked_fixture(n, start, stop);
	tcase_add_checked_fixture(h, start, stop);
	tcase_set_timeout(n, 30);
	tcase_set_timeout(h, 30);
	for (unsigned i = 0; i < ARRAY_LEN(normal); i++)
		tcase_add_test(n, normal[i]);
	for (unsigned i = 0; i < ARRAY_LEN(hostile); i++)
		tcase_add_test(h, hostile[i]);
	tcase_add_loop_test(n, pio_reads_and_writes, 0, ARRAY_LEN(pio));
	tcase_add_loop_test(n, dma_reads_into_pieces_anywhere, 0, 2);
	tcase_add_loop_test(h, what_cannot_be_is_refused, 0, ARRAY_LEN(refused));
	tcase_add_loop_test(h, tables_that_lie_end_their_own_command, 0, ARRAY_LEN(lies));
	tcase_add_loop_test(h, a_reset_or_a_stop_in_mid_transfer, 0, 2);
	suite_add_tcase(s, n);
	suite_add_tcase(s, h);
	return s;
}
