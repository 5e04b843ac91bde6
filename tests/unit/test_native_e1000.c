/* SPDX-License-Identifier: MIT */
/*
 * The guest library's driver of the 82540EM on the virtual PC's card: registers, rings, interrupt
 * controllers and offloads are the real ones of both sides.
 */
#include <check.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/fake/fake_hypercalls.h"

#include "abi/errno.h"
#include "frontends/native/e1000.h"
#include "pvops/native/io.h"
#include "pvops/native/irq.h"
#include "pvops/native/native.h"
#include "pvops/native/pic.h"
#include "tests/fake/fv_wire.h"
#include "tests/fake/fv_world.h"

Suite *native_e1000_suite(void);

#define ARENA (16u << 20) /* the guest's memory, where 32 bits reach it */

static struct fv_world w;
static struct fv_wire wire;
static uint8_t *arena;
static struct netdev *dev;

/* ---- the machine under the library ------------------------------------------------------------- */

uint32_t pv_test_in(uint16_t port, unsigned int size)
{
	return fv_port_in(w.bus, port, size);
}

void pv_test_out(uint16_t port, uint32_t value, unsigned int size)
{
	fv_port_out(w.bus, port, size, value);
}

uint32_t pv_test_mmio_in(uint64_t address)
{
	uint64_t value;

	ck_assert(fv_mmio_read(w.bus, address, 4, &value));
	return (uint32_t)value;
}

void pv_test_mmio_out(uint64_t address, uint32_t value)
{
	ck_assert(fv_mmio_write(w.bus, address, 4, value));
}

volatile void *pv_native_map_mmio(uint64_t physical, size_t len)
{
	ck_assert_uint_eq(len, 0x20000);
	return (volatile void *)physical;
}

static void interrupt(void)
{
	ck_assert(fv_world_wait_irq(&w));
	while (fv_irq_pending(w.bus))
		pv_native_irq_run(fv_irq_ack(w.bus) - PV_PIC_VECTOR);
}

/* ---- the kernel -------------------------------------------------------------------------------- */

static struct {
	unsigned received, sent, lost, done, rooms;
	uint64_t args; /* bit for each that came back */
	uint8_t bytes[4096];
	uint32_t len;
	bool csum_valid;
} k;

static void on_receive(struct netdev *d, unsigned queue, struct netdev_packet *pkt)
{
	(void)d;
	(void)queue;
	ck_assert_uint_eq(pkt->nr_frags, 1);
	memcpy(k.bytes, pkt->frags[0].va, pkt->len);
	k.len = pkt->len;
	k.csum_valid = pkt->csum_valid;
	k.received++;
	pv_page_free(pkt->frags[0].va);
}

static void on_sent(struct netdev *d, unsigned queue, void *arg, bool ok)
{
	uint64_t bit = 1ull << (uintptr_t)arg % 64;

	(void)d;
	(void)queue;
	ck_assert(!(k.args & bit));
	k.args |= bit;
	k.sent++;
	k.lost += !ok;
}

static void on_done(struct netdev *d, unsigned queue)
{
	(void)d;
	(void)queue;
	k.done++;
}

static void on_room(struct netdev *d, unsigned queue)
{
	(void)d;
	(void)queue;
	k.rooms++;
}

static int found(const char *node, unsigned handle, void *arg)
{
	static const struct netdev_client client = {
		.receive = on_receive, .sent = on_sent, .done = on_done, .room = on_room
	};

	ck_assert_uint_eq(handle, 0);
	return e1000_open(node, &client, arg, &dev);
}

static void start_with(bool offload)
{
	struct fv_pc_config config;

	fake_hypercalls_reset();
	pv_ops.time.now_ns = fv_now;
	memset(&k, 0, sizeof(k));
	arena = mmap(NULL, ARENA, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT,
	             -1, 0);
	ck_assert(arena != MAP_FAILED);
	fv_wire_open(&wire, offload);
	fv_world_config(&w, &config);
	config.ram[2] = (struct fv_pc_ram){ (uintptr_t)arena, ARENA, arena };
	config.nr_ram = 3;
	config.nets[0].port = &wire.p;
	memcpy(config.nets[0].mac, "\x52\x54\0\x12\x34\x56", 6);
	fv_world_start(&w, &config);
	pv_boot.free = (uintptr_t)arena;
	pv_boot.mapped_end = pv_boot.free + ARENA / 2;
	pv_pic_init();
	ck_assert_int_eq(e1000_each(found, NULL), 0);
	ck_assert_ptr_nonnull(dev);
	e1000_start(dev);
}

static void start(void)
{
	start_with(false);
}

static void start_offload(void)
{
	start_with(true);
}

static void stop(void)
{
	netdev_close(dev);
	fv_world_stop(&w);
	munmap(arena, ARENA);
}

/* ---- packets ----------------------------------------------------------------------------------- */

/* IPv4 and TCP (6) or UDP (17) in one page or several; the sum of the pseudo-header is in place. */
static struct netdev_packet packet(uint8_t protocol, uint32_t len)
{
	uint8_t *p = arena + ARENA / 2, *sum = p + (protocol == 6 ? 50 : 40);
	struct netdev_packet pkt = { .len = len, .csum_partial = true };
	uint16_t s;

	for (uint32_t i = 0; i < len; i++)
		p[i] = (uint8_t)(i * 7);
	memset(p, 0, 54);
	memcpy(p, "\x52\x54\0\0\0\2\x52\x54\0\x12\x34\x56\x08\0\x45", 15);
	p[16] = (uint8_t)((len - 14) >> 8);
	p[17] = (uint8_t)(len - 14);
	p[22] = 64;
	p[23] = protocol;
	memcpy(p + 26, "\x0a\0\0\1\x0a\0\0\2", 8);
	s = (uint16_t)~fv_wire_sum(p + 14, 20, 0);
	p[24] = (uint8_t)(s >> 8);
	p[25] = (uint8_t)s;
	p[46] = protocol == 6 ? 0x50 : 0;
	s = fv_wire_sum(p + 26, 8, protocol + len - 34);
	sum[0] = (uint8_t)(s >> 8);
	sum[1] = (uint8_t)s;
	for (uint32_t at = 0; at < len; at += 4096)
		pkt.frags[pkt.nr_frags++] = (struct netdev_frag){ p + at, len - at < 4096 ? len - at
			                                                                  : 4096 };
	return pkt;
}

static const struct {
	uint8_t protocol;
	uint32_t len;
} sizes[] = { { 17, 42 }, { 17, 46 }, { 17, 1514 }, { 6, 54 }, { 6, 55 }, { 6, 1514 } };

START_TEST(packets_leave_with_their_sums)
{
	struct netdev_packet pkt = packet(sizes[_i].protocol, sizes[_i].len);

	ck_assert_int_eq(netdev_send(dev, 0, &pkt), 0);
	ck_assert_uint_eq(wire.sent, 0);
	netdev_kick(dev, 0);
	ck_assert_uint_eq(wire.sent, 1);
	ck_assert_uint_eq(wire.last_len, sizes[_i].len);
	ck_assert(fv_wire_sums_are_right(&wire));
	netdev_poll(dev, 0, 8);
	ck_assert_uint_eq(k.sent, 1);
}
END_TEST

START_TEST(large_packets_are_cut_by_the_card)
{
	struct netdev_packet pkt = packet(6, 54 + 1460 * 5 + 100);

	pkt.gso = NETDEV_GSO_TCPV4;
	pkt.gso_size = 1460;
	for (uintptr_t i = 0; i < 3; i++) {
		pkt.arg = (void *)i;
		ck_assert_int_eq(netdev_send(dev, 0, &pkt), 0);
	}
	netdev_kick(dev, 0);
	if (wire.p.offload) {
		ck_assert_uint_eq(wire.sent, 3);
		ck_assert_uint_eq(wire.last_meta.gso, NETPKT_GSO_TCPV4);
		ck_assert_uint_eq(wire.last_len, pkt.len);
		ck_assert_uint_eq(wire.last[16] << 8 | wire.last[17], pkt.len - 14);
	} else {
		ck_assert_uint_eq(wire.sent, 18);
		ck_assert_uint_eq(wire.last_len, 154);
		ck_assert(fv_wire_sums_are_right(&wire));
	}
	netdev_poll(dev, 0, 8);
	ck_assert_uint_eq(k.sent, 3);
	/* What the kernel gave is as it was. */
	ck_assert_uint_eq(arena[ARENA / 2 + 17], (uint8_t)(pkt.len - 14));
}
END_TEST

START_TEST(a_full_ring_says_when_there_is_room)
{
	struct netdev_packet pkt = packet(17, 100);
	uintptr_t n = 0;
	int rc = 0;

	wire.room = 0;
	pkt.csum_partial = false;
	for (; n < 1000 && !rc; n += !rc) {
		pkt.arg = (void *)n;
		k.args = 0;
		rc = netdev_send(dev, 0, &pkt);
	}
	ck_assert_int_eq(rc, -XEN_EAGAIN);
	ck_assert_uint_gt(n, 200);
	wire.room = 5;
	wire.sink.room(wire.sink.arg, 0);
	ck_assert_uint_eq(wire.sent, 5);
	k.args = 0;
	netdev_poll(dev, 0, 8);
	ck_assert_uint_eq(k.sent, 5);
	ck_assert_uint_eq(k.rooms, 0);
	for (; wire.sent < n; netdev_poll(dev, 0, 8)) {
		wire.room = 50;
		wire.sink.room(wire.sink.arg, 0);
		k.args = 0;
	}
	ck_assert_uint_eq(k.sent, n);
	ck_assert_uint_eq(k.rooms, 1);
}
END_TEST

START_TEST(packets_come_by_interrupt_and_buffers_do_not_run_out)
{
	uint8_t bytes[1514] = { 0x52, 0x54, 0, 0x12, 0x34, 0x56 };

	for (unsigned i = 0; i < 1000; i++) {
		uint32_t len = 60 + i;

		bytes[100] = (uint8_t)i;
		ck_assert_uint_eq(fv_wire_come(&wire, bytes, len, i & 1), len);
		while (k.received == i)
			interrupt();
		ck_assert_uint_eq(k.received, i + 1);
		ck_assert_uint_eq(k.len, len);
		ck_assert_uint_eq(k.csum_valid, i & 1);
		ck_assert_mem_eq(k.bytes, bytes, len);
	}
}
END_TEST

START_TEST(what_was_under_way_comes_back_at_the_end)
{
	struct netdev_packet pkt = packet(17, 100);

	wire.room = 0;
	for (uintptr_t i = 0; i < 7; i++) {
		pkt.arg = (void *)i;
		ck_assert_int_eq(netdev_send(dev, 0, &pkt), 0);
	}
	netdev_kick(dev, 0);
	netdev_close(dev);
	ck_assert_uint_eq(k.sent, 7);
	ck_assert_uint_eq(k.lost, 7);
	ck_assert_int_eq(e1000_each(found, NULL), 0);
	e1000_start(dev);
}
END_TEST

START_TEST(what_makes_no_sense_is_refused)
{
	struct netdev_packet pkt = packet(17, 100);
	struct netdev_info info;

	pkt.len = 99;
	ck_assert_int_eq(netdev_send(dev, 0, &pkt), -XEN_EINVAL);
	pkt = packet(17, 100);
	pkt.nr_frags = 0;
	ck_assert_int_eq(netdev_send(dev, 0, &pkt), -XEN_EINVAL);
	pkt = packet(17, 1600);
	ck_assert_int_eq(netdev_send(dev, 0, &pkt), -XEN_EINVAL);
	pkt = packet(1, 100); /* no protocol whose sum the card knows */
	ck_assert_int_eq(netdev_send(dev, 0, &pkt), -XEN_EINVAL);
	pkt.csum_partial = false;
	ck_assert_int_eq(netdev_send(dev, 0, &pkt), 0);
	netdev_get_info(dev, &info);
	ck_assert(info.link_up && info.gso_ipv4 && info.csum_ipv4);
	ck_assert_mem_eq(info.mac, "\x52\x54\0\x12\x34\x56", 6);
}
END_TEST

Suite *native_e1000_suite(void)
{
	Suite *s = suite_create("native_e1000");
	TCase *n = tcase_create("normal"), *o = tcase_create("offload");

	tcase_add_checked_fixture(n, start, stop);
	tcase_add_checked_fixture(o, start_offload, stop);
	tcase_set_timeout(n, 60);
	tcase_add_loop_test(n, packets_leave_with_their_sums, 0, sizeof(sizes) / sizeof(sizes[0]));
	tcase_add_test(n, large_packets_are_cut_by_the_card);
	tcase_add_test(o, large_packets_are_cut_by_the_card);
	tcase_add_test(n, a_full_ring_says_when_there_is_room);
	tcase_add_test(n, packets_come_by_interrupt_and_buffers_do_not_run_out);
	tcase_add_test(n, what_was_under_way_comes_back_at_the_end);
	tcase_add_test(n, what_makes_no_sense_is_refused);
	suite_add_tcase(s, n);
	suite_add_tcase(s, o);
	return s;
}
