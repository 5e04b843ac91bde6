/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target: the devices of the virtual PC, driven by a guest that does anything.
 *
 * Input: 256 bytes that are put where descriptor tables lie, and then steps of 8 bytes: what is done,
 * where (a number in the table of registers below, or a port or offset of its own), how wide, a value.
 * A disk answers at once or when a step says so; packets come when a step says so.
 *
 * Checked besides memory errors: what a device says it has written lies in the guest's memory; the
 * storage is asked for whole blocks on the disk only; packets handed to the port are packets; the
 * machine can always be taken apart.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "backends/netpkt.h"
#include "tests/fake/fv_world.h"
#include "tests/fake/lazy_store.h"

int fuzz_fv_devices(const uint8_t *data, size_t len);

#define DISK_BYTES (1u << 18)
#define TABLES     0x1000u
#define TABLE_LEN  256u
#define MAX_STEPS  512
#define REGS       0xfeb80000u

static struct fv_world w;

static void require(bool holds)
{
	if (!holds)
		abort();
}

static struct lazy_store disk;

/* ---- a wire ----------------------------------------------------------------------------------- */

static struct {
	struct netport p;
	struct netport_sink sink;
	unsigned room;
	volatile uint8_t seen;
} wire;

static int wire_attach(struct netport *p, const struct netport_sink *sink, unsigned nr_queues)
{
	(void)p;
	(void)nr_queues;
	if (sink)
		wire.sink = *sink;
	return 0;
}

static unsigned wire_send(struct netport *p, unsigned queue, struct netpkt *pkts, unsigned nr)
{
	unsigned taken = nr < wire.room ? nr : wire.room;

	(void)p;
	(void)queue;
	for (unsigned i = 0; i < taken; i++) {
		uint32_t sum = 0;

		require(pkts[i].nr_iov && pkts[i].nr_iov <= NETPKT_MAX_IOV);
		for (unsigned n = 0; n < pkts[i].nr_iov; n++) {
			const uint8_t *at = pkts[i].iov[n].iov_base;

			sum += (uint32_t)pkts[i].iov[n].iov_len;
			if (pkts[i].iov[n].iov_len)
				wire.seen ^= at[pkts[i].iov[n].iov_len - 1];
		}
		require(sum == pkts[i].len && sum >= NETPKT_MIN_LEN && sum <= NETPKT_MAX_LEN);
		require(!pkts[i].meta.gso || pkts[i].meta.gso_size);
	}
	wire.room -= taken;
	return taken;
}

static void wire_wake(struct netport *p, unsigned queue)
{
	(void)p;
	(void)queue;
}

static const struct netport_ops wire_ops = { wire_attach, wire_send, wire_wake, NULL };

/* A packet of len bytes; between begin and commit the guest does one more thing (late). */
static void come(uint32_t len, uint8_t fill, void (*late)(const uint8_t *step), const uint8_t *step)
{
	struct netpkt_meta meta = { .csum_valid = fill & 1 };
	struct iovec iov[NETPKT_MAX_IOV];
	unsigned nr = wire.sink.begin(wire.sink.arg, 0, len, fill & 2, iov);

	require(nr <= NETPKT_MAX_IOV);
	if (late)
		late(step);
	for (unsigned i = 0; i < nr; i++)
		memset(iov[i].iov_base, fill & 4 ? 0xff : fill, iov[i].iov_len);
	wire.sink.commit(wire.sink.arg, 0, &meta, nr ? len : 0);
	wire.sink.flush(wire.sink.arg, 0);
}

/* ---- steps ------------------------------------------------------------------------------------ */

static const uint16_t ports[] = {
	0x20,  0x21,  0xa0,  0xa1,  0x4d0, 0x4d1, 0x40,   0x41,   0x42,   0x43,   0x61,
	0x64,  0x70,  0x71,  0x92,  0xf4,  0x604, 0x608,  0xcf8,  0xcf9,  0xcfc,  0xcfe,
	0x3f8, 0x3f9, 0x3fa, 0x3fb, 0x3fc, 0x3fd, 0x3fe,  0x3ff,  0x1f0,  0x1f1,  0x1f2,
	0x1f3, 0x1f4, 0x1f5, 0x1f6, 0x1f7, 0x3f6, 0xc040, 0xc042, 0xc044, 0xc100, 0xc104,
};

static const uint16_t regs[] = {
	0x0000, 0x0008, 0x0014, 0x0020, 0x00c0, 0x00c4, 0x00c8, 0x00d0, 0x00d8, 0x0100,
	0x0400, 0x2800, 0x2804, 0x2808, 0x2810, 0x2818, 0x3800, 0x3804, 0x3808, 0x3810,
	0x3818, 0x5000, 0x5200, 0x5400, 0x5404, 0x3828, 0x2820, 0x00c2, 0x5601,
};

static uint32_t value_of(const uint8_t *step)
{
	uint32_t value;

	memcpy(&value, step + 4, 4);
	return value;
}

static uint16_t port_of(const uint8_t *step)
{
	uint16_t own;

	memcpy(&own, step + 2, 2);
	return step[0] & 0x80 ? own : ports[own % (sizeof(ports) / sizeof(*ports))];
}

static uint64_t address_of(const uint8_t *step)
{
	uint16_t own;

	memcpy(&own, step + 2, 2);
	return REGS + (step[0] & 0x80 ? own * 2u : regs[own % (sizeof(regs) / sizeof(*regs))]);
}

static void write_register(const uint8_t *step)
{
	fv_mmio_write(w.bus, address_of(step), 1u << (step[1] & 3), value_of(step));
}

static void take_step(const uint8_t *step)
{
	static const unsigned sizes[4] = { 1, 2, 4, 1 };
	unsigned size = sizes[step[1] & 3];
	uint32_t value = value_of(step), gpa = value % (FV_WORLD_LOW - 4096);
	uint64_t read;

	switch (step[0] & 15) {
	case 0:
	case 1:
	case 2:
		fv_port_out(w.bus, port_of(step), size, value);
		break;
	case 3:
		fv_port_in(w.bus, port_of(step), size);
		break;
	case 4:
		fv_port_outs(w.bus, port_of(step), size, w.low + gpa, step[1] >> 2);
		break;
	case 5:
		fv_port_ins(w.bus, port_of(step), size, w.low + gpa, step[1] * 4u);
		break;
	case 6:
	case 7:
	case 8:
		write_register(step);
		break;
	case 9:
		fv_mmio_read(w.bus, address_of(step), 1u << (step[1] & 3), &read);
		break;
	case 10:
		memcpy(w.low + TABLES + (step[1] * 4u), step + 4, 4);
		break;
	case 11:
		come(value % 20000, step[1], step[1] & 8 ? write_register : NULL, step);
		break;
	case 12:
		wire.room = value & 0xff;
		wire.sink.room(wire.sink.arg, 0);
		break;
	case 13:
		disk.is_lazy = step[1] & 1;
		disk.error = step[1] & 2 ? -EIO : 0;
		lazy_store_answer(&disk);
		break;
	case 14:
		if (fv_irq_pending(w.bus))
			fv_irq_ack(w.bus);
		break;
	default:
		w.text_room = value & 0xffff;
		fv_uart_type(w.pc->uart, w.low + TABLES, step[1]);
		fv_uart_run(w.pc->uart);
	}
}

/* Most inputs would never find these. */
static void set_up(void)
{
	static const struct {
		uint32_t slot_function, command;
	} functions[] = { { 1 << 11 | 1 << 8, 5 }, { 3 << 11, 7 } };

	for (unsigned i = 0; i < 2; i++) {
		fv_port_out(w.bus, 0xcf8, 4, 0x80000004u | functions[i].slot_function);
		fv_port_out(w.bus, 0xcfc, 4, functions[i].command);
	}
	fv_port_out(w.bus, 0xc044, 4, TABLES);
	for (unsigned ring = 0x2800; ring <= 0x3800; ring += 0x1000) {
		fv_mmio_write(w.bus, REGS + ring, 4, TABLES);
		fv_mmio_write(w.bus, REGS + ring + 8, 4, TABLE_LEN);
	}
	fv_mmio_write(w.bus, REGS + 0x2818, 4, TABLE_LEN / 16 - 1);
	fv_mmio_write(w.bus, REGS + 0x100, 4, 0x801a);
	fv_mmio_write(w.bus, REGS + 0x400, 4, 2);
	fv_world_open_pics(&w);
}

int fuzz_fv_devices(const uint8_t *data, size_t len)
{
	struct fv_pc_config config;

	if (len < TABLE_LEN + 8)
		return 0;
	lazy_store_open(&disk, DISK_BYTES);
	memset(&wire, 0, sizeof(wire));
	wire.p = (struct netport){ .ops = &wire_ops, .offload = data[0] & 1 };
	wire.room = UINT32_MAX;
	fv_world_config(&w, &config);
	config.disks[0] = &disk.s;
	config.nets[0].port = &wire.p;
	fv_world_start(&w, &config);
	memcpy(w.low + TABLES, data, TABLE_LEN);
	set_up();
	for (size_t at = TABLE_LEN, n = 0; at + 8 <= len && n < MAX_STEPS; at += 8, n++)
		take_step(data + at);
	disk.is_lazy = false;
	while (lazy_store_answer(&disk))
		;
	fv_world_stop(&w);
	lazy_store_close(&disk);
	return 0;
}
