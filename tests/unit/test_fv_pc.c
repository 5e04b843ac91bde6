/* SPDX-License-Identifier: MIT */
/*
 * The virtual PC's bus and the small devices on it: memory by address, ports and MMIO, interrupt
 * controllers, timer, serial port, clock, off and reset.
 */
#include <check.h>
#include <errno.h>
#include <string.h>
#include <time.h>

#include "tests/fake/fv_world.h"

Suite *fv_pc_suite(void);

#define ARRAY_LEN(a) (sizeof(a) / sizeof(*(a)))

static struct fv_world w;

static void start(void)
{
	struct fv_pc_config config;

	fv_world_config(&w, &config);
	fv_world_start(&w, &config);
}

static void stop(void)
{
	fv_world_stop(&w);
}

static void out(uint16_t port, uint8_t value)
{
	fv_port_out(w.bus, port, 1, value);
}

static uint8_t in(uint16_t port)
{
	return (uint8_t)fv_port_in(w.bus, port, 1);
}

/* ---- the bus --------------------------------------------------------------------------------- */

static const struct {
	uint64_t gpa, len;
	bool inside;
} memory[] = {
	{ 0, 1, true },
	{ 0, FV_WORLD_LOW, true },
	{ 0, FV_WORLD_LOW + 1, false },
	{ FV_WORLD_LOW - 1, 1, true },
	{ FV_WORLD_LOW - 1, 2, false },
	{ FV_WORLD_LOW, 1, false },
	{ 0, 0, false },
	{ FV_WORLD_AT, FV_WORLD_HIGH, true },
	{ FV_WORLD_AT - 1, 2, false },
	{ FV_WORLD_AT + FV_WORLD_HIGH, 1, false },
	{ 1, UINT64_MAX, false },
	{ UINT64_MAX, 1, false },
	{ UINT64_MAX, UINT64_MAX, false },
};

START_TEST(memory_is_what_was_added_and_nothing_else)
{
	const uint8_t *p = fv_ram(w.bus, memory[_i].gpa, memory[_i].len);

	ck_assert_int_eq(p != NULL, memory[_i].inside);
	if (p && memory[_i].gpa < FV_WORLD_LOW)
		ck_assert_ptr_eq(p, w.low + memory[_i].gpa);
	else if (p)
		ck_assert_ptr_eq(p, w.high + (memory[_i].gpa - FV_WORLD_AT));
}
END_TEST

START_TEST(memory_that_overlaps_or_wraps_is_refused)
{
	ck_assert_int_eq(fv_bus_add_ram(w.bus, 0x1000, w.low, 0x1000), -EINVAL);
	ck_assert_int_eq(fv_bus_add_ram(w.bus, 0x200000, w.low, 0), -EINVAL);
	ck_assert_int_eq(fv_bus_add_ram(w.bus, 0x200010, w.low, 0x1000), -EINVAL);
	ck_assert_int_eq(fv_bus_add_ram(w.bus, 0ull - 0x1000, w.low, 0x2000), -EINVAL);
}
END_TEST

struct probe {
	struct fv_range range;
	uint32_t offset, value;
	unsigned size, calls;
};

static uint32_t probe_in(void *dev, uint32_t offset, unsigned size)
{
	struct probe *p = dev;

	p->calls++;
	p->offset = offset;
	p->size = size;
	return 0x44332211u & (size == 4 ? UINT32_MAX : (1u << 8 * size) - 1);
}

static void probe_out(void *dev, uint32_t offset, unsigned size, uint32_t value)
{
	probe_in(dev, offset, size);
	((struct probe *)dev)->value = value;
}

static const struct fv_range_ops probe_ops = { .in = probe_in, .out = probe_out };

static void probe_map(struct probe *p, bool is_mmio, bool bytes, uint64_t base)
{
	*p = (struct probe){ .range = { .ops = &probe_ops, .dev = p, .len = 8 } };
	p->range.is_mmio = is_mmio;
	p->range.bytes = bytes;
	ck_assert_int_eq(fv_range_map(w.bus, &p->range, base), 0);
}

START_TEST(ports_reach_their_device)
{
	struct probe p, later;
	uint16_t words[4];

	ck_assert_uint_eq(fv_port_in(w.bus, 0xc000, 4), UINT32_MAX);
	ck_assert_uint_eq(fv_port_in(w.bus, 0xc000, 2), 0xffff);
	probe_map(&p, false, false, 0xc000);
	ck_assert_uint_eq(fv_port_in(w.bus, 0xc004, 4), 0x44332211);
	ck_assert_uint_eq(p.offset, 4);
	ck_assert_uint_eq(p.size, 4);
	fv_port_out(w.bus, 0xc001, 1, 0xabcd);
	ck_assert_uint_eq(p.value, 0xcd);
	/* Half of it nobody's: the other bytes are asked for one by one. */
	ck_assert_uint_eq(fv_port_in(w.bus, 0xc006, 4), 0xffff1111);
	fv_port_ins(w.bus, 0xc000, 2, words, 4);
	ck_assert_uint_eq(words[3], 0x2211);
	/* Who came first keeps the port. */
	probe_map(&later, false, false, 0xc004);
	fv_port_in(w.bus, 0xc004, 1);
	ck_assert_uint_eq(later.calls, 0);
	fv_port_in(w.bus, 0xc008, 1);
	ck_assert_uint_eq(later.offset, 4);
	fv_range_unmap(w.bus, &later.range);
	fv_range_unmap(w.bus, &p.range);
	ck_assert_uint_eq(fv_port_in(w.bus, 0xc000, 1), 0xff);
}
END_TEST

START_TEST(byte_registers_are_asked_byte_by_byte)
{
	struct probe p;

	probe_map(&p, false, true, 0xc000);
	ck_assert_uint_eq(fv_port_in(w.bus, 0xc000, 4), 0x11111111);
	ck_assert_uint_eq(p.calls, 4);
	fv_range_unmap(w.bus, &p.range);
}
END_TEST

START_TEST(a_range_must_fit)
{
	struct fv_range r = { .ops = &probe_ops, .len = 8 };
	struct fv_range m = { .ops = &probe_ops, .len = 8, .is_mmio = true };

	ck_assert_int_eq(fv_range_map(w.bus, &r, 65529), -EINVAL);
	ck_assert_int_eq(fv_range_map(w.bus, &r, UINT64_MAX), -EINVAL);
	ck_assert_int_eq(fv_range_map(w.bus, &m, UINT64_MAX - 4), -EINVAL);
	ck_assert(!r.is_mapped && !m.is_mapped);
	ck_assert_uint_eq(fv_port_in(w.bus, 65535, 4), UINT32_MAX);
}
END_TEST

START_TEST(mmio_reaches_its_device)
{
	struct probe p;
	uint64_t value;

	probe_map(&p, true, false, 0xfeb00000);
	ck_assert(fv_is_mmio(w.bus, 0xfeb00007) && !fv_is_mmio(w.bus, 0xfeb00008));
	ck_assert(fv_mmio_read(w.bus, 0xfeb00000, 8, &value));
	ck_assert_uint_eq(value, 0x4433221144332211ull);
	ck_assert(fv_mmio_write(w.bus, 0xfeb00000, 8, 0x1122334455667788ull));
	ck_assert_uint_eq(p.offset, 4);
	ck_assert_uint_eq(p.value, 0x11223344);
	ck_assert(!fv_mmio_read(w.bus, 0xfeb00006, 4, &value));
	ck_assert_uint_eq(value, UINT64_MAX);
	fv_range_unmap(w.bus, &p.range);
	ck_assert(!fv_mmio_write(w.bus, 0xfeb00000, 4, 0));
}
END_TEST

/* ---- interrupt controllers ------------------------------------------------------------------- */

START_TEST(an_edge_is_one_interrupt)
{
	struct fv_irq irq;

	fv_world_open_pics(&w);
	ck_assert_int_eq(fv_irq_init(&irq, w.bus, 3), 0);
	fv_irq_set(&irq, true);
	ck_assert(fv_irq_pending(w.bus));
	ck_assert_uint_eq(atomic_load(&w.kicks), 1);
	ck_assert_uint_eq(fv_irq_ack(w.bus), 0x23);
	ck_assert(!fv_irq_pending(w.bus));
	out(0x20, 0x20);
	ck_assert(!fv_irq_pending(w.bus));
	fv_irq_set(&irq, false);
	fv_irq_set(&irq, true);
	ck_assert(fv_irq_pending(w.bus));
}
END_TEST

START_TEST(a_level_is_asked_for_until_it_goes)
{
	struct fv_irq a, b;

	fv_world_open_pics(&w);
	fv_pic_set_level_triggered(w.bus, 11);
	fv_irq_init(&a, w.bus, 11);
	fv_irq_init(&b, w.bus, 11);
	fv_irq_set(&a, true);
	fv_irq_set(&b, true);
	ck_assert_uint_eq(fv_world_take_irq(&w), 11);
	fv_irq_set(&a, false);
	ck_assert(fv_irq_pending(w.bus));
	fv_irq_set(&b, false);
	ck_assert(!fv_irq_pending(w.bus));
}
END_TEST

START_TEST(higher_lines_go_first_and_hold_the_lower_ones_back)
{
	struct fv_irq one, four, eight;

	fv_world_open_pics(&w);
	fv_irq_init(&one, w.bus, 1);
	fv_irq_init(&four, w.bus, 4);
	fv_irq_init(&eight, w.bus, 8);
	fv_irq_set(&four, true);
	ck_assert_uint_eq(fv_irq_ack(w.bus), 0x24);
	fv_irq_set(&eight, true); /* the cascade is line 2, above 4 */
	ck_assert_uint_eq(fv_irq_ack(w.bus), 0x28);
	fv_irq_set(&one, true);
	ck_assert_uint_eq(fv_irq_ack(w.bus), 0x21);
	fv_irq_set(&four, false);
	fv_irq_set(&four, true);
	ck_assert(!fv_irq_pending(w.bus));
	for (unsigned i = 0; i < 3; i++)
		out(0x20, 0x20);
	ck_assert(fv_irq_pending(w.bus));
}
END_TEST

START_TEST(masked_and_spurious)
{
	struct fv_irq irq;

	fv_world_open_pics(&w);
	fv_irq_init(&irq, w.bus, 5);
	out(0x21, 0x20);
	fv_irq_set(&irq, true);
	ck_assert(!fv_irq_pending(w.bus));
	ck_assert_uint_eq(in(0x20), 0x20); /* IRR */
	ck_assert_uint_eq(fv_irq_ack(w.bus), 0x27);
	out(0x21, 0);
	ck_assert(fv_irq_pending(w.bus));
	fv_irq_ack(w.bus);
	out(0x20, 0x0b);
	ck_assert_uint_eq(in(0x20), 0x20); /* ISR */
	out(0x20, 0x65);                   /* specific end */
	ck_assert_uint_eq(in(0x20), 0);
}
END_TEST

START_TEST(lines_that_do_not_exist_are_refused)
{
	struct fv_irq irq;

	ck_assert_int_eq(fv_irq_init(&irq, w.bus, 2), -EINVAL);
	ck_assert_int_eq(fv_irq_init(&irq, w.bus, 16), -EINVAL);
	for (unsigned i = 0; i < 32; i++)
		ck_assert_int_eq(fv_irq_init(&irq, w.bus, 9), 0);
	ck_assert_int_eq(fv_irq_init(&irq, w.bus, 9), -ENOSPC);
}
END_TEST

/* ---- timer ----------------------------------------------------------------------------------- */

START_TEST(a_single_shot_comes_once)
{
	fv_world_open_pics(&w);
	out(0x43, 0x30);
	out(0x40, 0x00);
	out(0x40, 0x04); /* 1024 ticks: 0.86 ms */
	ck_assert(fv_world_wait_irq(&w));
	ck_assert_uint_eq(fv_world_take_irq(&w), 0);
	ck_assert(!fv_irq_pending(w.bus));
	out(0x43, 0xe2);
	ck_assert_uint_eq(in(0x40) & 0x8e, 0x80); /* status: output high, mode 0 */
}
END_TEST

START_TEST(a_period_comes_again)
{
	fv_world_open_pics(&w);
	out(0x43, 0x34);
	out(0x40, 0xa9);
	out(0x40, 0x04); /* 1193 ticks: 1 ms */
	for (unsigned i = 0; i < 3; i++) {
		ck_assert(fv_world_wait_irq(&w));
		ck_assert_uint_eq(fv_world_take_irq(&w), 0);
	}
	out(0x43, 0x30); /* stopped */
}
END_TEST

START_TEST(the_smallest_period_leaves_the_host_time)
{
	uint64_t from = fv_now();
	unsigned n = 0;

	fv_world_open_pics(&w);
	out(0x43, 0x14);
	out(0x40, 1); /* every tick */
	while (fv_now() - from < 20000000)
		if (fv_irq_pending(w.bus)) {
			fv_world_take_irq(&w);
			n++;
		}
	ck_assert_uint_gt(n, 0);
	ck_assert_uint_le(n, 20000000 / 20000 + 1);
}
END_TEST

START_TEST(the_counter_counts_down)
{
	unsigned first, second;

	out(0x43, 0x34);
	out(0x40, 0xff);
	out(0x40, 0xff);
	out(0x43, 0x00);
	first = in(0x40);
	first |= (unsigned)in(0x40) << 8;
	nanosleep(&(struct timespec){ .tv_nsec = 100000 }, NULL);
	second = in(0x40);
	second |= (unsigned)in(0x40) << 8;
	ck_assert_uint_ge((first - second) & 0xffff, 119);
}
END_TEST

START_TEST(channel_2_is_seen_at_port_61)
{
	out(0x61, 0);
	out(0x43, 0xb0);
	out(0x42, 100);
	out(0x42, 0);
	ck_assert_uint_eq(in(0x61) & 0x20, 0);
	out(0x61, 1);
	for (unsigned i = 0; i < 100000 && !(in(0x61) & 0x20); i++)
		nanosleep(&(struct timespec){ .tv_nsec = 100000 }, NULL);
	ck_assert_uint_eq(in(0x61) & 0x21, 0x21);
}
END_TEST

/* ---- serial port ----------------------------------------------------------------------------- */

START_TEST(what_is_written_reaches_the_console)
{
	static const char line[] = "hello\n";

	fv_port_outs(w.bus, 0x3f8, 1, line, 6);
	ck_assert_uint_eq(w.text_len, 6);
	ck_assert_mem_eq(w.text, line, 6);
	/* A part of a line follows by itself. */
	out(0x3f8, 'x');
	for (unsigned i = 0; i < 100000 && w.text_len < 7; i++)
		nanosleep(&(struct timespec){ .tv_nsec = 100000 }, NULL);
	ck_assert_uint_eq(w.text_len, 7);
}
END_TEST

START_TEST(a_slow_console_stops_the_transmitter_and_loses_nothing)
{
	unsigned n = 0;

	fv_world_open_pics(&w);
	w.text_room = 100;
	out(0x3f9, 2);
	while (in(0x3fd) & 0x20 && n < 100000) {
		out(0x3f8, (uint8_t)n);
		n++;
	}
	ck_assert_uint_eq(n, 4096 + 100);
	ck_assert_uint_gt(atomic_load(&w.output_waits), 0);
	in(0x3fa);
	while (fv_irq_pending(w.bus))
		fv_world_take_irq(&w);
	w.text_room = SIZE_MAX;
	ck_assert(!fv_uart_run(w.pc->uart));
	ck_assert(fv_irq_pending(w.bus));
	ck_assert_uint_eq(in(0x3fa), 2);
	ck_assert_uint_eq(w.text_len, n);
	for (unsigned i = 0; i < n; i++)
		ck_assert_uint_eq((uint8_t)w.text[i], i & 0xff);
}
END_TEST

START_TEST(what_is_typed_interrupts_until_it_is_read)
{
	char much[2000] = "ab";

	fv_world_open_pics(&w);
	out(0x3fa, 0xc1); /* FIFOs, 14 bytes */
	out(0x3f9, 1);
	ck_assert_uint_eq(fv_uart_type(w.pc->uart, "ab", 2), 2);
	ck_assert_uint_eq(fv_world_take_irq(&w), 4);
	ck_assert_uint_eq(in(0x3fa), 0xcc);
	ck_assert_uint_eq(in(0x3fd) & 1, 1);
	ck_assert_uint_eq(in(0x3f8), 'a');
	ck_assert_uint_eq(in(0x3f8), 'b');
	ck_assert_uint_eq(in(0x3fd) & 1, 0);
	ck_assert_uint_eq(in(0x3fa), 0xc1);
	ck_assert_uint_eq(fv_uart_type(w.pc->uart, much, sizeof(much)), 1024);
	ck_assert_uint_eq(in(0x3fa), 0xc4);
	for (unsigned i = 0; i < 1024; i++)
		in(0x3f8);
	ck_assert_uint_eq(atomic_load(&w.input_rooms), 1);
}
END_TEST

START_TEST(the_transmitter_interrupts_once_for_each_emptiness)
{
	fv_world_open_pics(&w);
	out(0x3f9, 2);
	ck_assert_uint_eq(fv_world_take_irq(&w), 4);
	ck_assert_uint_eq(in(0x3fa), 2);
	ck_assert_uint_eq(in(0x3fa), 1);
	out(0x3f8, 'x');
	ck_assert_uint_eq(fv_world_take_irq(&w), 4);
	ck_assert_uint_eq(in(0x3fa), 2);
}
END_TEST

START_TEST(registers_of_the_serial_port)
{
	out(0x3fb, 0x83);
	out(0x3f8, 0x12);
	out(0x3f9, 0x34);
	ck_assert_uint_eq(in(0x3f8), 0x12);
	ck_assert_uint_eq(in(0x3f9), 0x34);
	out(0x3fb, 0x03);
	ck_assert_uint_eq(in(0x3f9), 0);
	out(0x3ff, 0x5a);
	ck_assert_uint_eq(in(0x3ff), 0x5a);
	out(0x3fc,
	    0x1a); /* loop-back: what is sent comes back, and modem lines are what we drive */
	ck_assert_uint_eq(in(0x3fe), 0x90);
	out(0x3f8, 'q');
	ck_assert_uint_eq(in(0x3f8), 'q');
	ck_assert_uint_eq(w.text_len, 0);
}
END_TEST

/* ---- board ----------------------------------------------------------------------------------- */

static const struct {
	uint16_t port;
	unsigned size, value, powers;
	enum fv_power what;
} switches[] = {
	{ 0x64, 1, 0xfe, 1, FV_POWER_RESET },   { 0x64, 1, 0xd1, 0, 0 },
	{ 0x92, 1, 3, 1, FV_POWER_RESET },      { 0x92, 1, 2, 0, 0 },
	{ 0x604, 2, 0x2000, 1, FV_POWER_OFF },  { 0x604, 2, 0x3400, 0, 0 },
	{ 0xf4, 4, 7, 1, FV_POWER_DEBUG_EXIT }, { 0x604, 2, 1, 0, 0 },
	{ 0x505, 1, 1, 1, FV_POWER_PANIC },     { 0x505, 1, 2, 0, 0 },
};

START_TEST(off_and_reset)
{
	fv_port_out(w.bus, switches[_i].port, switches[_i].size, switches[_i].value);
	ck_assert_uint_eq(w.powers, switches[_i].powers);
	if (w.powers)
		ck_assert_uint_eq(w.power, switches[_i].what);
	ck_assert_uint_eq(w.code, switches[_i].what == FV_POWER_DEBUG_EXIT ? 7 : 0);
}
END_TEST

START_TEST(cmos_tells_time_and_memory)
{
	time_t before = time(NULL), after;
	struct tm a, b;
	uint8_t minute;

	out(0x70, 0x02);
	minute = in(0x71);
	after = time(NULL);
	gmtime_r(&before, &a);
	gmtime_r(&after, &b);
	ck_assert(minute == a.tm_min / 10 * 16 + a.tm_min % 10 ||
	          minute == b.tm_min / 10 * 16 + b.tm_min % 10);
	out(0x70, 0x5b);
	ck_assert_uint_eq(in(0x71), FV_WORLD_HIGH >> 16);
	out(0x70, 0x40);
	out(0x71, 0x99);
	ck_assert_uint_eq(in(0x71), 0x99);
	out(0x70, 0x0d);
	out(0x71, 0);
	ck_assert_uint_eq(in(0x71), 0x80);
}
END_TEST

Suite *fv_pc_suite(void)
{
	const TTest *const normal[] = {
		ports_reach_their_device,
		byte_registers_are_asked_byte_by_byte,
		mmio_reaches_its_device,
		an_edge_is_one_interrupt,
		a_level_is_asked_for_until_it_goes,
		higher_lines_go_first_and_hold_the_lower_ones_back,
		masked_and_spurious,
		a_single_shot_comes_once,
		a_period_comes_again,
		the_counter_counts_down,
		channel_2_is_seen_at_port_61,
		what_is_written_reaches_the_console,
		what_is_typed_interrupts_until_it_is_read,
		the_transmitter_interrupts_once_for_each_emptiness,
		registers_of_the_serial_port,
		cmos_tells_time_and_memory,
	};
	const TTest *const limits[] = {
		a_range_must_fit,
		lines_that_do_not_exist_are_refused,
		memory_that_overlaps_or_wraps_is_refused,
		a_slow_console_stops_the_transmitter_and_loses_nothing,
		the_smallest_period_leaves_the_host_time,
	};
	Suite *s = suite_create("fv_pc");
	TCase *n = tcase_create("normal"), *l = tcase_create("limits");

	tcase_add_checked_fixture(n, start, stop);
	tcase_add_checked_fixture(l, start, stop);
	tcase_set_timeout(n, 30);
	tcase_set_timeout(l, 30);
	for (unsigned i = 0; i < ARRAY_LEN(normal); i++)
		tcase_add_test(n, normal[i]);
	for (unsigned i = 0; i < ARRAY_LEN(limits); i++)
		tcase_add_test(l, limits[i]);
	tcase_add_loop_test(n, off_and_reset, 0, ARRAY_LEN(switches));
	tcase_add_loop_test(l, memory_is_what_was_added_and_nothing_else, 0, ARRAY_LEN(memory));
	suite_add_tcase(s, n);
	suite_add_tcase(s, l);
	return s;
}
