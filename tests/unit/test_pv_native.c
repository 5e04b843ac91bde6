/* SPDX-License-Identifier: MIT */
/*
 * Unit tests of the native side's arithmetic and tables: clocks, the loader's memory, page tables,
 * the firmware's tables, the interrupt controllers and the serial port on a machine that is played
 * here. What needs a processor is tested by guests on an emulator.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "tests/fake/fake_hypercalls.h"

#include "abi/errno.h"
#include "abi/event_channel.h"
#include "pvops/console.h"
#include "pvops/mmu.h"
#include "pvops/native/clock.h"
#include "pvops/native/internal.h"
#include "pvops/native/irq.h"
#include "pvops/native/native.h"
#include "pvops/native/pic.h"
#include "pvops/time.h"

Suite *pv_native_suite(void);

/* ---- the machine: a serial port and two interrupt controllers ---- */

static struct {
	uint8_t ier, scratch, lsr;
	char sent[8192];
	size_t n_sent;
	unsigned int room; /* bytes that the chip takes before it is full */
	const char *typed;
	uint8_t mask[2], isr[2];
	uint16_t ended; /* lines that were acknowledged */
	bool no_uart;
} chip;

uint32_t pv_test_in(uint16_t port, unsigned int size)
{
	ck_assert_uint_eq(size, 1);
	switch (port) {
	case 0x3f8:
		return chip.typed && *chip.typed ? (uint8_t)*chip.typed++ : 0;
	case 0x3fa: /* IIR: 1 is nothing */
		return (chip.typed && *chip.typed) || (chip.ier & 2 && chip.room) ? 0 : 1;
	case 0x3fd:
		return (chip.typed && *chip.typed ? 1u : 0) | (chip.room ? 0x20u : 0);
	case 0x3ff:
		return chip.no_uart ? 0xff : chip.scratch;
	case 0x20:
		return chip.isr[0];
	case 0xa0:
		return chip.isr[1];
	default:
		return 0xff;
	}
}

void pv_test_out(uint16_t port, uint32_t value, unsigned int size)
{
	static bool divisor;

	ck_assert_uint_eq(size, 1);
	if (port == 0x3fb)
		divisor = value & 0x80;
	else if (port == 0x3f8 && !divisor) {
		ck_assert_uint_gt(chip.room, 0); /* else a byte is lost */
		chip.room--;
		chip.sent[chip.n_sent++] = (char)value;
	} else if (port == 0x3f9 && !divisor)
		chip.ier = (uint8_t)value;
	else if (port == 0x3ff)
		chip.scratch = (uint8_t)value;
	else if (port == 0x21 || port == 0xa1)
		chip.mask[port == 0xa1] = (uint8_t)value;
	else if ((port == 0x20 || port == 0xa0) && (value & 0xe0) == 0x60)
		chip.ended |= (uint16_t)(1u << ((value & 7) + (port == 0xa0 ? 8 : 0)));
}

static void setup(void)
{
	fake_hypercalls_reset();
	memset(&chip, 0, sizeof(chip));
	chip.room = 16;
}

/* ---- clocks ---- */

static const uint64_t hertz[] = { 1000000,    32768 * 1024, 999999999,  1000000000,
	                          1000000001, 2399998765,   4800000000, 20000000000 };

START_TEST(a_second_of_ticks_is_a_second)
{
	uint32_t mul;
	int8_t shift;
	uint64_t ns;

	pv_clock_scale(hertz[_i], &mul, &shift);
	ns = pv_time_scale(hertz[_i], mul, shift);
	ck_assert_uint_ge(ns, 999999990);
	ck_assert_uint_le(ns, 1000000000);
}
END_TEST

START_TEST(frequency_is_that_of_the_longer_counter)
{
	ck_assert_uint_eq(pv_clock_hz(1000000, PV_PIT_HZ), 1000000);
	ck_assert_uint_eq(pv_clock_hz(30000000, 11932) / 1000000, 2999);
	ck_assert_uint_eq(pv_clock_hz(1ull << 42, 65535) > 1ull << 46, 1);
}
END_TEST

static const struct {
	uint64_t ns;
	unsigned int count;
} counts[] = {
	{ 0, 1 },
	{ 1, 1 },
	{ 838, 1 },
	{ 839, 2 },
	{ 1000000, 1194 },
	{ 54000000, 64432 },
	{ 54000001, 65535 },
	{ UINT64_MAX, 65535 },
};

START_TEST(timer_chip_strikes_not_early)
{
	ck_assert_uint_eq(pv_clock_pit_count(counts[_i].ns), counts[_i].count);
}
END_TEST

static const struct {
	struct pv_rtc rtc;
	uint64_t seconds;
} dates[] = {
	{ { 0, 0, 0, 1, 1, 0x70, 0x19, false, true }, 0 },
	{ { 0x59, 0x59, 0x23, 0x28, 0x02, 0x00, 0x20, false, true }, 951782399 },
	{ { 0, 0, 0, 0x29, 0x02, 0x00, 0x20, false, true }, 951782400 },
	{ { 1, 2, 3, 21, 11, 26, 20, true, true }, 1795230121 },
	{ { 1, 2, 0x81, 21, 11, 26, 20, true, false }, 1795266121 }, /* 1 in the afternoon */
	{ { 0, 0, 12, 1, 1, 0, 20, true, false }, 946684800 }, /* midnight is 12 in the morning */
	{ { 0, 0, 0, 1, 1, 0x26, 0xff, false, true }, 1767225600 }, /* no century */
};

START_TEST(dates_are_seconds)
{
	ck_assert_uint_eq(pv_clock_rtc_seconds(&dates[_i].rtc), dates[_i].seconds);
}
END_TEST

START_TEST(every_day_of_a_century_follows_the_last)
{
	time_t t;

	for (t = 12 * 3600; t < 4102444800; t += 86400) {
		struct tm tm;
		struct pv_rtc rtc = { .is_binary = true, .is_24h = true };

		gmtime_r(&t, &tm);
		rtc.hour = 12;
		rtc.day = (uint8_t)tm.tm_mday;
		rtc.month = (uint8_t)(tm.tm_mon + 1);
		rtc.year = (uint8_t)(tm.tm_year % 100);
		rtc.century = (uint8_t)((tm.tm_year + 1900) / 100);
		ck_assert_uint_eq(pv_clock_rtc_seconds(&rtc), (uint64_t)t);
	}
}
END_TEST

/* ---- the loader's words ---- */

START_TEST(memory_ends_where_its_range_ends)
{
	static const struct hvm_memmap_table_entry map[] = {
		{ 0, 0x9fc00, XEN_HVM_MEMMAP_TYPE_RAM, 0 },
		{ 0x9fc00, 0x400, XEN_HVM_MEMMAP_TYPE_RESERVED, 0 },
		{ 0x100000, 0x7ee0800, XEN_HVM_MEMMAP_TYPE_RAM, 0 },
		{ 0xfffc0000, 0x40000, XEN_HVM_MEMMAP_TYPE_RESERVED, 0 },
		{ ~0ull - 100, ~0ull, XEN_HVM_MEMMAP_TYPE_RAM, 0 },
	};

	ck_assert_uint_eq(pv_native_ram_end(map, 5, 0x100000), 0x7fe0000);
	ck_assert_uint_eq(pv_native_ram_end(map, 5, 0x9fc00), 0);
	ck_assert_uint_eq(pv_native_ram_end(map, 2, 0x100000), 0);
	ck_assert_uint_eq(pv_native_ram_end(map, 0, 0), 0);
}
END_TEST

static const struct {
	uint64_t start, end, at, len, new_start, new_end;
} cuts[] = {
	{ 0x200000, 0x4000000, 0x3f00123, 0x1000, 0x200000, 0x3f00000 },  /* high */
	{ 0x200000, 0x4000000, 0x200000, 0x1001, 0x202000, 0x4000000 },   /* right behind */
	{ 0x200000, 0x4000000, 0x5000000, 0x1000, 0x200000, 0x4000000 },  /* elsewhere */
	{ 0x200000, 0x4000000, 0x100000, 0x1000, 0x200000, 0x4000000 },   /* before */
	{ 0x200000, 0x4000000, 0x3fff000, 0x5000, 0x200000, 0x3fff000 },  /* over the end */
	{ 0x200000, 0x4000000, 0x100000, 0x8000000, 0x200000, 0x200000 }, /* all of it */
};

START_TEST(ramdisk_is_kept_out_of_free_memory)
{
	uint64_t start = cuts[_i].start, end = cuts[_i].end;

	pv_native_cut_out(&start, &end, cuts[_i].at, cuts[_i].len);
	ck_assert_uint_eq(start, cuts[_i].new_start);
	ck_assert_uint_eq(end, cuts[_i].new_end);
}
END_TEST

/* ---- page tables ---- */

START_TEST(tables_map_one_to_one)
{
	static uint64_t table[PV_ENTRIES];
	unsigned int i;

	pv_native_fill_l1(table, 0, PV_LOWEST_ADDRESS, 3);
	for (i = 0; i < PV_ENTRIES; i++)
		ck_assert_uint_eq(table[i], i < 16 ? 0 : i * 4096ul + 3);
	pv_native_fill_l1(table, 0x40000000, 0, 3);
	ck_assert_uint_eq(table[0], 0x40000003);
	ck_assert_uint_eq(table[511], 0x401ff003);
	memset(table, 0, sizeof(table));
	ck_assert_uint_eq(pv_native_fill_l2(table, 0x40000000, 0x40200001, 3), 2);
	ck_assert_uint_eq(table[0], 0x40000083);
	ck_assert_uint_eq(table[1], 0x40200083);
	ck_assert_uint_eq(table[2], 0);
	ck_assert_uint_eq(pv_native_fill_l2(table, 0, ~0ull, 3), 512);
}
END_TEST

START_TEST(entries_stay_inside_their_table)
{
	static uint64_t table[PV_ENTRIES + 1];
	const uint64_t two[] = { 5, 6 };

	ck_assert_int_eq(pv_native_set_entries(table, 510, 2, two), 0);
	ck_assert_uint_eq(table[511], 6);
	ck_assert_int_eq(pv_native_set_entries(table, 511, 2, two), -XEN_EINVAL);
	ck_assert_int_eq(pv_native_set_entries(table, 513, 0, two), -XEN_EINVAL);
	ck_assert_int_eq(pv_native_set_entries(table, ~0u, 2, two), -XEN_EINVAL);
	ck_assert_uint_eq(table[512], 0);
}
END_TEST

/* ---- lines ---- */

static unsigned int struck[2];

static void strike(void *arg)
{
	struck[*(int *)arg]++;
}

START_TEST(lines_are_shared_and_masked_without_handlers)
{
	static int zero = 0, one = 1;

	struck[0] = struck[1] = 0;
	pv_pic_init();
	ck_assert_uint_eq(chip.mask[0], 0xfb); /* the second controller's line alone */
	ck_assert_uint_eq(chip.mask[1], 0xff);
	ck_assert_int_eq(pv_native_irq_request(11, strike, &zero), 0);
	ck_assert_int_eq(pv_native_irq_request(11, strike, &one), 0);
	ck_assert_int_eq(pv_native_irq_request(16, strike, &one), -XEN_EINVAL);
	ck_assert_uint_eq(chip.mask[1], 0xf7);
	pv_native_irq_run(11);
	ck_assert_uint_eq(struck[0], 1);
	ck_assert_uint_eq(struck[1], 1);
	ck_assert_uint_eq(chip.ended, 1u << 11 | 1u << 2);
	pv_native_irq_release(11, strike, &zero);
	ck_assert_uint_eq(chip.mask[1], 0xf7);
	pv_native_irq_run(11);
	ck_assert_uint_eq(struck[0], 1);
	pv_native_irq_release(11, strike, &one);
	ck_assert_uint_eq(chip.mask[1], 0xff);
}
END_TEST

START_TEST(spurious_interrupts_call_nobody)
{
	static int zero = 0;

	struck[0] = 0;
	pv_pic_init();
	ck_assert_int_eq(pv_native_irq_request(7, strike, &zero), 0);
	pv_native_irq_run(7);
	ck_assert_uint_eq(struck[0], 0);
	ck_assert_uint_eq(chip.ended, 0);
	pv_native_irq_run(15); /* the first controller did see one */
	ck_assert_uint_eq(chip.ended, 1u << 2);
	chip.isr[0] = 0x80;
	pv_native_irq_run(7);
	ck_assert_uint_eq(struck[0], 1);
	pv_native_irq_release(7, strike, &zero);
}
END_TEST

START_TEST(handlers_run_out)
{
	static int zero = 0;
	unsigned int n = 0;

	pv_pic_init();
	while (n < 100 && pv_native_irq_request(5, strike, &zero) == 0)
		n++;
	ck_assert_uint_eq(n, 16);
	ck_assert_int_eq(pv_native_irq_request(5, strike, &zero), -XEN_ENOSPC);
	pv_native_irq_release(5, strike, &zero);
}
END_TEST

/* ---- the serial port ---- */

START_TEST(bytes_go_out_as_the_chip_takes_them)
{
	char text[1000];
	size_t i;

	for (i = 0; i < sizeof(text); i++)
		text[i] = (char)('a' + i % 26);
	pv_native_uart_early();
	pv_native_uart_init();
	ck_assert_uint_eq(pv_console_try_write(text, sizeof(text)), sizeof(text));
	ck_assert_uint_eq(chip.n_sent, 16);
	ck_assert_uint_eq(chip.ier & 2, 2); /* it is to say when it wants more */
	while (chip.n_sent < sizeof(text)) {
		chip.room = 16;
		pv_native_irq_run(4);
	}
	ck_assert_mem_eq(chip.sent, text, sizeof(text));
	ck_assert_uint_eq(chip.ier & 2, 0);
	ck_assert_uint_eq(pv_console_room(), 4096);
}
END_TEST

START_TEST(input_comes_by_interrupts)
{
	char buf[16];

	pv_native_uart_early();
	pv_native_uart_init();
	chip.typed = "hello";
	pv_native_irq_run(4);
	ck_assert_uint_eq(pv_console_read(buf, 3), 3);
	ck_assert_mem_eq(buf, "hel", 3);
	ck_assert_uint_eq(pv_console_read(buf, sizeof(buf)), 2);
	ck_assert_uint_eq(pv_console_read(buf, sizeof(buf)), 0);
	ck_assert(fake_shared_info.evtchn_pending[0] & 1ul << pv_console_port());
}
END_TEST

START_TEST(too_much_input_is_cut)
{
	static char much[3000];
	static char buf[3000];

	memset(much, 'x', sizeof(much) - 1);
	pv_native_uart_early();
	pv_native_uart_init();
	chip.typed = much;
	pv_native_irq_run(4);
	ck_assert_uint_eq(pv_console_read(buf, sizeof(buf)), 1024);
}
END_TEST

START_TEST(full_buffer_takes_no_more)
{
	static char much[6000];

	pv_native_uart_early();
	pv_native_uart_init();
	ck_assert_uint_eq(pv_console_try_write(much, sizeof(much)), 4096);
	ck_assert_uint_le(pv_console_room(), 16);
}
END_TEST

/* ---- event channels ---- */

START_TEST(ports_are_made_and_closed)
{
	struct evtchn_bind_virq timer = { .virq = VIRQ_TIMER };
	struct evtchn_bind_ipi ipi = { 0 }, other = { .vcpu = 1 };
	struct evtchn_status st;
	struct evtchn_close close;
	struct evtchn_send to;

	ck_assert_int_eq(pv_native_channel(EVTCHNOP_bind_virq, &timer), 0);
	ck_assert_int_eq(pv_native_channel(EVTCHNOP_bind_virq, &timer), -XEN_EEXIST);
	ck_assert_int_eq(pv_native_channel(EVTCHNOP_bind_ipi, &other), -XEN_ENOENT);
	ck_assert_int_eq(pv_native_channel(EVTCHNOP_bind_ipi, &ipi), 0);
	ck_assert_uint_ne(ipi.port, timer.port);
	ck_assert_uint_ne(ipi.port, PV_NATIVE_CONSOLE_PORT);
	st.port = ipi.port;
	ck_assert_int_eq(pv_native_channel(EVTCHNOP_status, &st), 0);
	ck_assert_uint_eq(st.status, EVTCHNSTAT_ipi);
	to.port = timer.port; /* nobody sends to the timer */
	ck_assert_int_eq(pv_native_channel(EVTCHNOP_send, &to), -XEN_EINVAL);
	close.port = ipi.port;
	ck_assert_int_eq(pv_native_channel(EVTCHNOP_close, &close), 0);
	ck_assert_int_eq(pv_native_channel(EVTCHNOP_close, &close), -XEN_EINVAL);
	close.port = timer.port;
	ck_assert_int_eq(pv_native_channel(EVTCHNOP_close, &close), 0);
}
END_TEST

START_TEST(bad_ports_are_refused)
{
	static const evtchn_port_t bad[] = { 0, 63, 64, 4096, ~0u };
	struct evtchn_close op = { .port = bad[_i] };
	struct evtchn_status st = { .port = bad[_i] };

	ck_assert_int_eq(pv_native_channel(EVTCHNOP_close, &op), -XEN_EINVAL);
	ck_assert_int_eq(pv_native_channel(EVTCHNOP_unmask, &op), -XEN_EINVAL);
	ck_assert_int_eq(pv_native_channel(EVTCHNOP_send, &op), -XEN_EINVAL);
	if (bad[_i] != 63)
		ck_assert_int_eq(pv_native_channel(EVTCHNOP_status, &st), -XEN_EINVAL);
	ck_assert_int_eq(pv_native_channel(EVTCHNOP_alloc_unbound, &op), -XEN_ENOSYS);
}
END_TEST

/* ---- firmware ---- */

/* Tables must lie below 4 GiB, as addresses of 32 bits name them: a page of this process there. */
static uint8_t *low;

static void put32(unsigned int at, uint32_t v)
{
	memcpy(low + at, &v, sizeof(v));
}

static void put_tables(void)
{
	low = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1,
	           0);
	ck_assert_ptr_ne(low, MAP_FAILED);
	memcpy(low, "RSD PTR ", 8);
	put32(16, (uint32_t)(uintptr_t)low + 100);
	memcpy(low + 100, "RSDT", 4);
	put32(104, 36 + 8);
	put32(136, (uint32_t)(uintptr_t)low + 200); /* another table first */
	put32(140, (uint32_t)(uintptr_t)low + 300);
	memcpy(low + 200, "APIC", 4);
	put32(204, 36);
	memcpy(low + 300, "FACP", 4);
	put32(304, 116);
	put32(364, 0xb004);
}

static uint16_t find(void)
{
	return pv_native_find_off_port((uintptr_t)low, (uintptr_t)low + 4096);
}

START_TEST(port_is_found_through_the_tables)
{
	put_tables();
	ck_assert_uint_eq(find(), 0xb004);
}
END_TEST

static const struct {
	unsigned int at;
	uint32_t v;
} spoilt[] = {
	{ 0, 0 },            /* no root */
	{ 16, 0 },           /* no table behind it */
	{ 16, 0xfffffff0 },  /* one that is not mapped */
	{ 100, 0 },          /* another one */
	{ 104, 10 },         /* too short for its own header */
	{ 104, 0xffffffff }, /* longer than what is mapped */
	{ 300, 0 },          /* no FADT */
	{ 304, 66 },         /* one that ends before the port */
	{ 304, 5000 },
	{ 140, 0x1000 },
};

START_TEST(spoilt_tables_lead_nowhere)
{
	put_tables();
	put32(spoilt[_i].at, spoilt[_i].v);
	ck_assert_uint_eq(find(), 0);
}
END_TEST

START_TEST(no_root_leads_nowhere)
{
	ck_assert_uint_eq(pv_native_find_off_port(0, 1ull << 32), 0);
	ck_assert_uint_eq(pv_native_find_off_port(~0ull, 1ull << 32), 0);
}
END_TEST

Suite *pv_native_suite(void)
{
	Suite *s = suite_create("pv_native");
	TCase *tc = tcase_create("normal");

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_loop_test(tc, a_second_of_ticks_is_a_second, 0, 8);
	tcase_add_test(tc, frequency_is_that_of_the_longer_counter);
	tcase_add_loop_test(tc, dates_are_seconds, 0, 7);
	tcase_add_test(tc, every_day_of_a_century_follows_the_last);
	tcase_add_test(tc, memory_ends_where_its_range_ends);
	tcase_add_test(tc, tables_map_one_to_one);
	tcase_add_test(tc, lines_are_shared_and_masked_without_handlers);
	tcase_add_test(tc, bytes_go_out_as_the_chip_takes_them);
	tcase_add_test(tc, input_comes_by_interrupts);
	tcase_add_test(tc, ports_are_made_and_closed);
	tcase_add_test(tc, port_is_found_through_the_tables);
	suite_add_tcase(s, tc);
	tc = tcase_create("limits");
	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_loop_test(tc, timer_chip_strikes_not_early, 0, 8);
	tcase_add_loop_test(tc, ramdisk_is_kept_out_of_free_memory, 0, 6);
	tcase_add_test(tc, entries_stay_inside_their_table);
	tcase_add_test(tc, spurious_interrupts_call_nobody);
	tcase_add_test(tc, handlers_run_out);
	tcase_add_test(tc, full_buffer_takes_no_more);
	suite_add_tcase(s, tc);
	tc = tcase_create("hostile");
	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, too_much_input_is_cut);
	tcase_add_loop_test(tc, bad_ports_are_refused, 0, 5);
	tcase_add_loop_test(tc, spoilt_tables_lead_nowhere, 0, 10);
	tcase_add_test(tc, no_root_leads_nowhere);
	suite_add_tcase(s, tc);
	return s;
}
