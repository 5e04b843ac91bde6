/* SPDX-License-Identifier: MIT */
/*
 * The small things of a PC's board, all of them the CPU thread's own, so without a lock.
 *
 *   0x64         keyboard controller: there is no keyboard; command 0xfe is a reset
 *   0x70, 0x71   clock and CMOS memory
 *   0x92         bit 0: reset; bit 1: the A20 gate, always open
 *   0xf4         QEMU's isa-debug-exit, as it is usually placed
 *   0x505        QEMU's pvpanic: bit 0 says that the kernel has given up
 *   0x600        power management as of PIIX4: 0x604 switches off, 0x608 is a clock
 *
 * The clock is the host's, in UTC. Not handled: setting it (ignored), alarms and its interrupt.
 * Source: Motorola MC146818 data sheet; Intel 82371AB (PIIX4) data sheet, power management.
 */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "hypervisor-stub/fullvirt/board.h"
#include "hypervisor-stub/fullvirt/timer.h"

#define KIB           1024u
#define MIB           (1024u * KIB)
#define PM_HZ         3579545u
#define PM1_SLEEP     0x2000u
#define PM1_TYPE      0x1c00u /* 0: off */
#define RESET_COMMAND 0xfe
#define PANICKED      0x01u

enum { KBD, CMOS, PORT92, DEBUG_EXIT, PANIC, PM, NR_RANGES };

struct fv_board {
	struct fv_bus *bus;
	struct fv_range range[NR_RANGES];
	uint8_t cmos_index;
	uint8_t cmos[128];
	uint16_t pm1_enable, pm1_control;
};

/* ---- clock and CMOS -------------------------------------------------------------------------- */

static uint8_t bcd(int n)
{
	return (uint8_t)((n / 10 % 10) << 4 | n % 10);
}

static uint8_t clock_register(uint8_t index)
{
	time_t now = time(NULL);
	struct tm tm;

	gmtime_r(&now, &tm);
	switch (index) {
	case 0x00:
		return bcd(tm.tm_sec);
	case 0x02:
		return bcd(tm.tm_min);
	case 0x04:
		return bcd(tm.tm_hour);
	case 0x06:
		return bcd(tm.tm_wday + 1);
	case 0x07:
		return bcd(tm.tm_mday);
	case 0x08:
		return bcd(tm.tm_mon + 1);
	case 0x09:
		return bcd(tm.tm_year % 100);
	default: /* 0x32 */
		return bcd((tm.tm_year + 1900) / 100);
	}
}

static bool is_clock(uint8_t index)
{
	return index <= 0x09 ? index != 1 && index != 3 && index != 5 : index == 0x32;
}

static uint32_t cmos_in(void *dev, uint32_t offset, unsigned size)
{
	struct fv_board *b = dev;

	(void)size;
	if (offset == 0)
		return 0xff;
	return is_clock(b->cmos_index) ? clock_register(b->cmos_index) : b->cmos[b->cmos_index];
}

static void cmos_out(void *dev, uint32_t offset, unsigned size, uint32_t value)
{
	struct fv_board *b = dev;

	(void)size;
	if (offset == 0)
		b->cmos_index = value &
		                0x7f; /* the other bit masks NMIs, of which there are none */
	else if (b->cmos_index > 0x0d && !is_clock(b->cmos_index))
		b->cmos[b->cmos_index] = (uint8_t)value;
}

static void put16(uint8_t *at, uint64_t value)
{
	if (value > 0xffff)
		value = 0xffff;
	at[0] = (uint8_t)value;
	at[1] = (uint8_t)(value >> 8);
}

static void fill_cmos(struct fv_board *b)
{
	uint64_t low = 0, high = 0;

	for (unsigned i = 0; i < b->bus->nr_ram; i++) {
		uint64_t end = b->bus->ram[i].gpa + b->bus->ram[i].len;

		if (b->bus->ram[i].gpa >> 32)
			high += b->bus->ram[i].len;
		else if (end > low)
			low = end;
	}
	b->cmos[0x0a] = 0x26;
	b->cmos[0x0b] = 0x02; /* 24 hours, decimal */
	b->cmos[0x0d] = 0x80; /* the battery is good */
	put16(b->cmos + 0x15, 640);
	put16(b->cmos + 0x17, low > MIB ? (low - MIB) / KIB : 0);
	put16(b->cmos + 0x30, low > MIB ? (low - MIB) / KIB : 0);
	put16(b->cmos + 0x34, low > 16 * MIB ? (low - 16 * MIB) / (64 * KIB) : 0);
	put16(b->cmos + 0x5b, high / (64 * KIB) & 0xffff);
	b->cmos[0x5d] = (uint8_t)(high / (64 * KIB) >> 16);
}

/* ---- off and reset --------------------------------------------------------------------------- */

static uint32_t kbd_in(void *dev, uint32_t offset, unsigned size)
{
	(void)dev;
	(void)offset;
	(void)size;
	return 0;
}

static void kbd_out(void *dev, uint32_t offset, unsigned size, uint32_t value)
{
	struct fv_board *b = dev;

	(void)offset;
	(void)size;
	if (value == RESET_COMMAND)
		fv_power(b->bus, FV_POWER_RESET, 0);
}

static uint32_t port92_in(void *dev, uint32_t offset, unsigned size)
{
	(void)dev;
	(void)offset;
	(void)size;
	return 0x02;
}

static void port92_out(void *dev, uint32_t offset, unsigned size, uint32_t value)
{
	struct fv_board *b = dev;

	(void)offset;
	(void)size;
	if (value & 1)
		fv_power(b->bus, FV_POWER_RESET, 0);
}

static uint32_t exit_in(void *dev, uint32_t offset, unsigned size)
{
	(void)dev;
	(void)offset;
	(void)size;
	return 0;
}

static void exit_out(void *dev, uint32_t offset, unsigned size, uint32_t value)
{
	struct fv_board *b = dev;

	(void)offset;
	(void)size;
	fv_power(b->bus, FV_POWER_DEBUG_EXIT, value);
}

static uint32_t panic_in(void *dev, uint32_t offset, unsigned size)
{
	(void)dev;
	(void)offset;
	(void)size;
	return PANICKED; /* what may be told */
}

static void panic_out(void *dev, uint32_t offset, unsigned size, uint32_t value)
{
	struct fv_board *b = dev;

	(void)offset;
	(void)size;
	if (value & PANICKED)
		fv_power(b->bus, FV_POWER_PANIC, 0);
}

static uint32_t pm_in(void *dev, uint32_t offset, unsigned size)
{
	struct fv_board *b = dev;

	(void)size;
	if (offset == 2)
		return b->pm1_enable;
	if (offset == 4)
		return b->pm1_control;
	if (offset == 8)
		return (uint32_t)((unsigned __int128)fv_now() * PM_HZ / 1000000000u) & 0xffffff;
	return 0;
}

static void pm_out(void *dev, uint32_t offset, unsigned size, uint32_t value)
{
	struct fv_board *b = dev;

	if (size == 1)
		return;
	if (offset == 2)
		b->pm1_enable = (uint16_t)value;
	if (offset != 4)
		return;
	b->pm1_control = (uint16_t)(value & ~PM1_SLEEP);
	if (value & PM1_SLEEP && !(value & PM1_TYPE))
		fv_power(b->bus, FV_POWER_OFF, 0);
}

/* ---- life ------------------------------------------------------------------------------------ */

static const struct {
	struct fv_range_ops ops;
	uint16_t port, len;
	bool bytes;
} ranges[NR_RANGES] = {
	[KBD] = { { .in = kbd_in, .out = kbd_out }, 0x64, 1, true },
	[CMOS] = { { .in = cmos_in, .out = cmos_out }, 0x70, 2, true },
	[PORT92] = { { .in = port92_in, .out = port92_out }, 0x92, 1, true },
	[DEBUG_EXIT] = { { .in = exit_in, .out = exit_out }, 0xf4, 4, false },
	[PANIC] = { { .in = panic_in, .out = panic_out }, 0x505, 1, false },
	[PM] = { { .in = pm_in, .out = pm_out }, 0x600, 16, false },
};

int fv_board_create(struct fv_board **out, struct fv_bus *bus)
{
	struct fv_board *b = calloc(1, sizeof(*b));

	if (!b)
		return -ENOMEM;
	b->bus = bus;
	fill_cmos(b);
	for (unsigned i = 0; i < NR_RANGES; i++) {
		int rc;

		b->range[i] = (struct fv_range){ .ops = &ranges[i].ops,
			                         .dev = b,
			                         .len = ranges[i].len,
			                         .bytes = ranges[i].bytes };
		rc = fv_range_map(bus, &b->range[i], ranges[i].port);
		if (rc) {
			fv_board_destroy(b);
			return rc;
		}
	}
	*out = b;
	return 0;
}

void fv_board_destroy(struct fv_board *b)
{
	for (unsigned i = 0; i < NR_RANGES; i++)
		fv_range_unmap(b->bus, &b->range[i]);
	free(b);
}
