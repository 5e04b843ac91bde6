/* SPDX-License-Identifier: MIT */
/*
 * The virtual PC's Ethernet card: packets through both rings, offloads, interrupts and their
 * moderation, and guests whose descriptors and registers make no sense.
 */
#include <check.h>
#include <errno.h>
#include <string.h>

#include "tests/fake/fv_wire.h"
#include "tests/fake/fv_world.h"

Suite *fv_e1000_suite(void);

#define ARRAY_LEN(a) (sizeof(a) / sizeof(*(a)))
#define REGS         0xfeb80000u
#define TX           0x2000u /* rings and buffers in the guest's memory */
#define RX           0x4000u
#define TX_DATA      0x10000u
#define RX_DATA      0x40000u
#define RING         64u

enum { CTRL = 0, STATUS = 8, EERD = 0x14, MDIC = 0x20, ICR = 0xc0, ITR = 0xc4, ICS = 0xc8 };
enum { IMS = 0xd0, IMC = 0xd8, RCTL = 0x100, TCTL = 0x400, RXCSUM = 0x5000, RA = 0x5400 };
enum { RDBAL = 0x2800, RDLEN = 0x2808, RDH = 0x2810, RDT = 0x2818 };
enum { TDBAL = 0x3800, TDLEN = 0x3808, TDH = 0x3810, TDT = 0x3818 };
enum { EOP = 0x01000000, IFCS = 0x02000000, TSE = 0x04000000, RS = 0x08000000, DEXT = 0x20000000 };

static struct fv_wire wire;
static struct fv_world w;

/* A packet from outside; how many bytes found room. */
static uint32_t come(const void *bytes, uint32_t len, bool csum_valid)
{
	return fv_wire_come(&wire, bytes, len, csum_valid);
}

/* ---- the guest -------------------------------------------------------------------------------- */

static void wr(uint32_t reg, uint32_t value)
{
	ck_assert(fv_mmio_write(w.bus, REGS + reg, 4, value));
}

static uint32_t rd(uint32_t reg)
{
	uint64_t value;

	ck_assert(fv_mmio_read(w.bus, REGS + reg, 4, &value));
	return (uint32_t)value;
}

static void command(unsigned value)
{
	fv_port_out(w.bus, 0xcf8, 4, 0x80001804u);
	fv_port_out(w.bus, 0xcfc, 4, value);
}

static uint32_t *desc(uint32_t ring, unsigned i)
{
	return (uint32_t *)(w.low + ring + 16 * i);
}

static void set(uint32_t *d, uint32_t a, uint32_t b, uint32_t c, uint32_t e)
{
	d[0] = a;
	d[1] = b;
	d[2] = c;
	d[3] = e;
}

static void start_with(bool offload)
{
	struct fv_pc_config config;

	fv_wire_open(&wire, offload);
	fv_world_config(&w, &config);
	config.nets[0].port = &wire.p;
	memcpy(config.nets[0].mac, "\x52\x54\0\x12\x34\x56", 6);
	fv_world_start(&w, &config);
	fv_world_open_pics(&w);
	command(7);
	wr(TDBAL, TX);
	wr(TDLEN, RING * 16);
	wr(TCTL, 2);
	wr(RDBAL, RX);
	wr(RDLEN, RING * 16);
	for (unsigned i = 0; i < RING; i++)
		set(desc(RX, i), RX_DATA + 2048 * i, 0, 0, 0);
	wr(RDT, RING - 1);
	wr(RCTL, 0x04008002); /* on, broadcast, without FCS */
	rd(ICR);
}

static void start(void)
{
	start_with(true);
}

static void start_plain(void)
{
	start_with(false);
}

static void stop(void)
{
	fv_world_stop(&w);
}

/* Ethernet, IPv4, TCP; the rest counts up. */
static void make_tcp(uint8_t *p, uint32_t len)
{
	static const uint8_t head[54] = {
		0x52, 0x54, 0, 0x12, 0x34, 0x56, 2, 0, 0,  0, 0,    1,    0x08, 0x00, 0x45, 0, 0, 0,
		0,    0,    0, 0,    64,   6,    0, 0, 10, 0, 0,    1,    10,   0,    0,    2, 1, 2,
		3,    4,    0, 0,    0,    1,    0, 0, 0,  0, 0x50, 0x18, 1,    0,    0,    0, 0, 0,
	};

	for (uint32_t i = sizeof(head); i < len; i++)
		p[i] = (uint8_t)i;
	memcpy(p, head, sizeof(head));
	p[16] = (uint8_t)((len - 14) >> 8);
	p[17] = (uint8_t)(len - 14);
}

static void context(unsigned i, uint32_t tucmd, uint32_t mss)
{
	set(desc(TX, i), 14 | 24 << 8 | 33 << 16, 34 | 50 << 8, DEXT | tucmd << 24,
	    54 << 8 | mss << 16);
}

static void data(unsigned i, uint32_t addr, uint32_t len, uint32_t flags, uint32_t popts)
{
	set(desc(TX, i), addr, 0, DEXT | 0x100000 | len | flags, popts << 8);
}

/* ---- transmit --------------------------------------------------------------------------------- */

START_TEST(a_packet_leaves)
{
	make_tcp(w.low + TX_DATA, 1000);
	set(desc(TX, 0), TX_DATA, 0, 300 | IFCS, 0);
	set(desc(TX, 1), TX_DATA + 300, 0, 700 | EOP | IFCS | RS, 0);
	wr(TDT, 2);
	ck_assert_uint_eq(wire.sent, 1);
	ck_assert_uint_eq(wire.last_len, 1000);
	ck_assert_mem_eq(wire.last, w.low + TX_DATA, 1000);
	ck_assert_uint_eq(desc(TX, 0)[3] & 1, 0);
	ck_assert_uint_eq(desc(TX, 1)[3] & 1, 1);
	ck_assert_uint_eq(rd(TDH), 2);
	ck_assert_uint_eq(rd(ICR) & 3, 3);
	ck_assert_uint_eq(rd(ICR), 0);
}
END_TEST

START_TEST(sums_are_filled_in)
{
	uint8_t *p = w.low + TX_DATA;
	uint16_t pseudo;

	make_tcp(p, 600);
	pseudo = fv_wire_sum(p + 26, 8, 6 + 600 - 34);
	p[50] = (uint8_t)(pseudo >> 8);
	p[51] = (uint8_t)pseudo;
	context(0, 3, 0);
	data(1, TX_DATA, 600, EOP | IFCS | RS, 3);
	wr(TDT, 2);
	ck_assert_uint_eq(wire.sent, 1);
	if (_i) {
		ck_assert(wire.last_meta.csum_partial);
		ck_assert_uint_eq(wire.last_meta.csum_start, 34);
	} else {
		ck_assert(fv_wire_sums_are_right(&wire));
	}
}
END_TEST

START_TEST(a_large_packet_is_cut_by_whoever_is_behind)
{
	make_tcp(w.low + TX_DATA, 8000);
	w.low[TX_DATA + 16] = w.low[TX_DATA + 17] = 0; /* the card fills the length in */
	context(0, 7, 1460);
	data(1, TX_DATA, 4096, TSE | IFCS, 3);
	data(2, TX_DATA + 4096, 8000 - 4096, TSE | EOP | IFCS | RS, 0);
	wr(TDT, 3);
	ck_assert_uint_eq(rd(TDH), 3);
	if (_i) {
		ck_assert_uint_eq(wire.sent, 1);
		ck_assert_uint_eq(wire.last_meta.gso, NETPKT_GSO_TCPV4);
		ck_assert_uint_eq(wire.last_meta.gso_size, 1460);
		ck_assert_uint_eq(wire.last[16] << 8 | wire.last[17], 8000 - 14);
		ck_assert_uint_eq(fv_wire_sum(wire.last + 14, 20, 0), 0xffff);
	} else {
		ck_assert_uint_eq(wire.sent, 6);
		ck_assert(fv_wire_sums_are_right(&wire));
	}
}
END_TEST

START_TEST(a_full_port_stops_the_ring_where_it_is)
{
	for (unsigned i = 0; i < 40; i++) {
		make_tcp(w.low + TX_DATA + 256 * i, 100 + i);
		if (i % 2)
			data(i, TX_DATA + 256 * i, 100 + i, EOP | IFCS | RS, 0);
		else
			set(desc(TX, i), TX_DATA + 256 * i, 0, (100 + i) | EOP | IFCS | RS, 0);
	}
	wire.room = 5;
	wr(TDT, 40);
	ck_assert_uint_eq(wire.sent, 5);
	ck_assert_uint_eq(rd(TDH), 5);
	ck_assert_uint_eq(desc(TX, 5)[3] & 1, 0);
	wire.room = 100;
	wr(TDT, 40);
	ck_assert_uint_eq(wire.sent, 5);
	wire.sink.room(wire.sink.arg, 0);
	ck_assert_uint_eq(wire.sent, 40);
	ck_assert_uint_eq(wire.last_len, 139);
	ck_assert_uint_eq(rd(TDH), 40);
}
END_TEST

START_TEST(a_context_holds_for_packets_that_waited)
{
	make_tcp(w.low + TX_DATA, 4000);
	context(0, 7, 1000);
	data(1, TX_DATA, 4000, TSE | EOP | IFCS | RS, 3);
	context(2, 7, 500);
	data(3, TX_DATA, 4000, TSE | EOP | IFCS | RS, 3);
	data(4, TX_DATA, 4000, TSE | EOP | IFCS | RS, 3);
	wire.room = 1;
	wr(TDT, 5);
	ck_assert_uint_eq(wire.last_meta.gso_size, 1000);
	wire.room = 10;
	wire.sink.room(wire.sink.arg, 0);
	ck_assert_uint_eq(wire.sent, 3);
	ck_assert_uint_eq(wire.last_meta.gso_size, 500);
}
END_TEST

static const struct {
	uint32_t d[4];
	unsigned sent;
} strange[] = {
	{ { TX_DATA, 0, 13 | EOP, 0 }, 0 },
	{ { TX_DATA, 0, 0 | EOP, 0 }, 0 },
	{ { FV_WORLD_LOW - 10, 0, 100 | EOP, 0 }, 0 },
	{ { 0xffffffff, 0xffffffff, 0xffff | EOP, 0 }, 0 },
	{ { TX_DATA, 0, 0x100000 | DEXT | 0xfffff | EOP, 0 }, 0 },
	{ { TX_DATA, 0, 0x100000 | DEXT | 20000 | EOP, 0 }, 0 },
	{ { TX_DATA, 0, 0x100000 | DEXT | TSE | 20000 | EOP, 0 }, 0 }, /* no context: no TCP */
	{ { TX_DATA, 0, 0x100000 | DEXT | 100 | EOP, 0x300 }, 1 },     /* sums of nothing known */
	{ { TX_DATA, 0, 100 | EOP | 0x04000000, 0xff00 }, 1 },
	{ { TX_DATA, 0, 100 | EOP, 0 }, 1 },
	{ { 0, 1, 100 | EOP, 0 }, 1 }, /* above 4 GiB */
};

START_TEST(strange_descriptors_cost_their_packet)
{
	memset(w.low + TX_DATA, 0x5a, 0x20000);
	memcpy(desc(TX, 0), strange[_i].d, 16);
	set(desc(TX, 1), TX_DATA, 0, 60 | EOP, 0);
	wr(TDT, 1);
	ck_assert_uint_eq(wire.sent, strange[_i].sent);
	wr(TDT, 2);
	ck_assert_uint_eq(wire.sent, strange[_i].sent + 1);
	ck_assert_uint_eq(rd(TDH), 2);
}
END_TEST

START_TEST(rings_that_cannot_be_are_left_alone)
{
	set(desc(TX, 0), TX_DATA, 0, 60 | EOP, 0);
	wr(TDT, 0xffff);
	wr(TDLEN, 0);
	wr(TDT, 1);
	wr(TDLEN, RING * 16);
	wr(TDH, 0xffff);
	wr(TDT, 1);
	wr(TDH, 0);
	wr(TDBAL, 0xfffffff0);
	wr(TDT, 1);
	ck_assert_uint_eq(wire.sent, 0);
	wr(RDT, 0xffff);
	ck_assert_uint_eq(come(w.low, 100, false), 0);
	wr(RDLEN, 0);
	ck_assert_uint_eq(come(w.low, 100, false), 0);
}
END_TEST

START_TEST(a_packet_without_an_end_waits_for_it)
{
	for (unsigned i = 0; i < RING; i++)
		set(desc(TX, i), TX_DATA, 0, 10, 0);
	wr(TDT, RING - 1);
	ck_assert_uint_eq(rd(TDH), 0);
	ck_assert_uint_eq(wire.sent, 0);
}
END_TEST

START_TEST(a_packet_of_too_many_pieces_is_lost)
{
	for (unsigned i = 0; i < 40; i++)
		set(desc(TX, i), TX_DATA + 512 * i, 0, 100 | (i == 39 ? EOP : 0), 0);
	wr(TDT, 40);
	ck_assert_uint_eq(wire.sent, 0);
	ck_assert_uint_eq(rd(TDH), 40);
}
END_TEST

/* ---- receive ---------------------------------------------------------------------------------- */

START_TEST(a_packet_arrives)
{
	uint8_t packet[1500];

	make_tcp(packet, sizeof(packet));
	wr(RXCSUM, 0x300);
	wr(IMS, 0x80);
	ck_assert_uint_eq(come(packet, sizeof(packet), true), sizeof(packet));
	ck_assert_uint_eq(fv_world_take_irq(&w), 11);
	ck_assert_uint_eq(rd(ICR) & 0x80, 0x80);
	ck_assert(!fv_irq_pending(w.bus));
	ck_assert_mem_eq(w.low + RX_DATA, packet, sizeof(packet));
	ck_assert_uint_eq(desc(RX, 0)[2] & 0xffff, sizeof(packet));
	ck_assert_uint_eq(desc(RX, 0)[3], 0x63);
	ck_assert_uint_eq(rd(RDH), 1);
	/* Short ones are filled up; with the FCS there are four more. */
	wr(RCTL, 0x8002);
	come(packet, 20, false);
	ck_assert_uint_eq(desc(RX, 1)[2] & 0xffff, 64);
	ck_assert_uint_eq(desc(RX, 1)[3], 0x07);
}
END_TEST

static const struct {
	const char *mac;
	uint32_t rctl;
	bool arrives;
} filter[] = {
	{ "\x52\x54\0\x12\x34\x56", 0, true },        { "\x52\x54\0\x12\x34\x57", 0, false },
	{ "\x52\x54\0\x12\x34\x57", 0x08, true },     { "\xff\xff\xff\xff\xff\xff", 0, false },
	{ "\xff\xff\xff\xff\xff\xff", 0x8000, true }, { "\x33\x33\0\0\0\1", 0, false },
	{ "\x33\x33\0\0\0\1", 0x10, true },
};

START_TEST(packets_for_others_are_not_taken)
{
	uint8_t packet[100] = { 0 };

	memcpy(packet, filter[_i].mac, 6);
	wr(RCTL, 0x04000002 | filter[_i].rctl);
	come(packet, sizeof(packet), false);
	ck_assert_uint_eq(rd(RDH), filter[_i].arrives);
	ck_assert_uint_eq(desc(RX, 0)[3] & 1, filter[_i].arrives);
}
END_TEST

START_TEST(long_packets_lie_in_several_buffers)
{
	uint8_t packet[9000];

	make_tcp(packet, sizeof(packet));
	ck_assert_uint_lt(come(packet, sizeof(packet), false), sizeof(packet));
	ck_assert_uint_eq(rd(RDH), 0);
	wr(RCTL, 0x04008022);
	ck_assert_uint_eq(come(packet, sizeof(packet), false), sizeof(packet));
	ck_assert_uint_eq(rd(RDH), 5);
	for (unsigned i = 0; i < 5; i++) {
		ck_assert_uint_eq(desc(RX, i)[2], i < 4 ? 2048 : 9000 - 8192);
		ck_assert_uint_eq(desc(RX, i)[3] & 3, i < 4 ? 1 : 3);
		ck_assert_mem_eq(w.low + RX_DATA + 2048 * i, packet + 2048 * i, desc(RX, i)[2]);
	}
}
END_TEST

START_TEST(without_descriptors_the_port_waits)
{
	uint8_t packet[100];

	make_tcp(packet, sizeof(packet));
	wr(RDT, 1);
	ck_assert_uint_eq(come(packet, sizeof(packet), false), sizeof(packet));
	ck_assert_uint_eq(come(packet, sizeof(packet), false), 0);
	ck_assert_uint_eq(wire.wakes, 0);
	wr(RDT, 5);
	ck_assert_uint_eq(wire.wakes, 1);
	ck_assert_uint_eq(come(packet, sizeof(packet), false), sizeof(packet));
	wr(RDT, 6);
	ck_assert_uint_eq(wire.wakes, 1);
}
END_TEST

START_TEST(buffers_that_are_no_memory_are_not_written)
{
	uint8_t packet[100];

	make_tcp(packet, sizeof(packet));
	set(desc(RX, 0), FV_WORLD_LOW - 1024, 0, 0, 0);
	ck_assert_uint_eq(come(packet, sizeof(packet), false), 0);
	set(desc(RX, 0), 0, 0x80000000, 0, 0);
	ck_assert_uint_eq(come(packet, sizeof(packet), false), 0);
	set(desc(RX, 0), RX_DATA, 0, 0, 0);
	command(3); /* no bus master */
	ck_assert_uint_eq(come(packet, sizeof(packet), false), 0);
	command(7);
	ck_assert_uint_eq(come(packet, sizeof(packet), false), sizeof(packet));
}
END_TEST

START_TEST(a_ring_that_is_turned_around_under_a_packet)
{
	struct netpkt_meta meta = { 0 };
	struct iovec iov[NETPKT_MAX_IOV];

	ck_assert_uint_eq(wire.sink.begin(wire.sink.arg, 0, 100, true, iov), 1);
	wr(_i ? CTRL : RDLEN, _i ? 0x04000000 : 128);
	make_tcp(iov[0].iov_base, 100);
	wire.sink.commit(wire.sink.arg, 0, &meta, 100);
	wire.sink.flush(wire.sink.arg, 0);
	ck_assert_uint_eq(rd(RDH), 0);
	ck_assert_uint_eq(desc(RX, 0)[3], 0);
}
END_TEST

/* ---- interrupts, PHY, EEPROM ------------------------------------------------------------------- */

START_TEST(interrupts_are_masked_and_moderated)
{
	uint64_t from;

	wr(ICS, 4);
	ck_assert(!fv_irq_pending(w.bus));
	wr(IMS, 4);
	ck_assert(fv_irq_pending(w.bus));
	rd(ICR);
	ck_assert(!fv_irq_pending(w.bus));
	wr(ITR, 20000); /* 5.12 ms */
	wr(ICS, 4);
	fv_world_take_irq(&w);
	from = fv_now();
	rd(ICR);
	wr(ICS, 4);
	ck_assert(!fv_irq_pending(w.bus) || fv_now() - from > 5000000);
	ck_assert(fv_world_wait_irq(&w));
	ck_assert_uint_ge(fv_now() - from, 4900000);
	wr(IMC, 4);
	ck_assert(!fv_irq_pending(w.bus));
}
END_TEST

START_TEST(what_the_card_says_of_itself)
{
	static const uint16_t mac[3] = { 0x5452, 0x1200, 0x5634 };
	uint16_t all = 0;

	for (unsigned i = 0; i < 64; i++) {
		uint32_t value;

		wr(EERD, i << 8 | 1);
		value = rd(EERD);
		ck_assert_uint_eq(value & 0x10, 0x10);
		all = (uint16_t)(all + (value >> 16));
		if (i < 3)
			ck_assert_uint_eq(value >> 16, mac[i]);
	}
	ck_assert_uint_eq(all, 0xbaba);
	ck_assert_uint_eq(rd(RA), 0x12005452);
	ck_assert_uint_eq(rd(RA + 4), 0x80005634);
	ck_assert_uint_eq(rd(STATUS) & 2, 2);
	wr(MDIC, 0x08210000);
	ck_assert_uint_eq(rd(MDIC) & 0x50000004, 0x10000004);
	wire.sink.carrier(wire.sink.arg, false);
	ck_assert_uint_eq(rd(STATUS) & 2, 0);
	ck_assert_uint_eq(rd(ICR) & 4, 4);
	wr(MDIC, 0x08410000);
	ck_assert_uint_eq(rd(MDIC) & 0x40000000, 0x40000000);
	/* The same registers through the two ports. */
	fv_port_out(w.bus, 0xc100, 4, RA);
	ck_assert_uint_eq(fv_port_in(w.bus, 0xc104, 4), 0x12005452);
}
END_TEST

Suite *fv_e1000_suite(void)
{
	const TTest *const normal[] = {
		a_packet_leaves,
		a_full_port_stops_the_ring_where_it_is,
		a_context_holds_for_packets_that_waited,
		a_packet_arrives,
		long_packets_lie_in_several_buffers,
		without_descriptors_the_port_waits,
		interrupts_are_masked_and_moderated,
		what_the_card_says_of_itself,
	};
	const TTest *const hostile[] = {
		rings_that_cannot_be_are_left_alone,
		a_packet_without_an_end_waits_for_it,
		a_packet_of_too_many_pieces_is_lost,
		buffers_that_are_no_memory_are_not_written,
	};
	Suite *s = suite_create("fv_e1000");
	TCase *n = tcase_create("normal"), *p = tcase_create("plain"), *h = tcase_create("hostile");

	tcase_add_checked_fixture(n, start, stop);
	tcase_add_checked_fixture(p, start_plain, stop);
	tcase_add_checked_fixture(h, start, stop);
	for (unsigned i = 0; i < ARRAY_LEN(normal); i++)
		tcase_add_test(n, normal[i]);
	for (unsigned i = 0; i < ARRAY_LEN(hostile); i++)
		tcase_add_test(h, hostile[i]);
	tcase_add_loop_test(n, sums_are_filled_in, 1, 2);
	tcase_add_loop_test(p, sums_are_filled_in, 0, 1);
	tcase_add_loop_test(n, a_large_packet_is_cut_by_whoever_is_behind, 1, 2);
	tcase_add_loop_test(p, a_large_packet_is_cut_by_whoever_is_behind, 0, 1);
	tcase_add_loop_test(n, packets_for_others_are_not_taken, 0, ARRAY_LEN(filter));
	tcase_add_loop_test(h, strange_descriptors_cost_their_packet, 0, ARRAY_LEN(strange));
	tcase_add_loop_test(h, a_ring_that_is_turned_around_under_a_packet, 0, 2);
	suite_add_tcase(s, n);
	suite_add_tcase(s, p);
	suite_add_tcase(s, h);
	return s;
}
