/* SPDX-License-Identifier: MIT */
/*
 * Names for addresses (toolstack/symbols.c): nearest symbol, sizes, and tables that lie.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "hypervisor-stub/toolstack/symbols.h"
#include "tests/fake/elf_maker.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

static struct elf_maker m;
static struct symbols s;
static char text[300];

static void add(const char *name, uint64_t value, uint64_t size)
{
	m.symbol[m.nr_symbols].name = name;
	m.symbol[m.nr_symbols].value = value;
	m.symbol[m.nr_symbols++].size = size;
}

static void setup(void)
{
	elf_maker_init(&m);
	add("second", 0x2000, 0x40);
	add("first", 0x1000, 0x10);
	add("label", 0x3000, 0);
	add("inside", 0x2010, 0); /* a label in the middle of a function */
	add("\x1b[31mred", 0x4000, 8);
	elf_make(&m);
}

static void teardown(void)
{
	symbols_free(&s);
	elf_maker_free(&m);
}

static const struct {
	uint64_t addr;
	const char *name;
} found[] = {
	{ 0x0fff, "" },
	{ 0x1000, "first+0x0/0x10" },
	{ 0x100f, "first+0xf/0x10" },
	{ 0x1010, "" },
	{ 0x2020, "second+0x20/0x40" },
	{ 0x3800, "label+0x800" },
	{ 0x400000, "" },
	{ 0x4001, "?[31mred+0x1/0x8" },
	{ UINT64_MAX, "" },
};

START_TEST(an_address_gets_the_symbol_that_covers_it)
{
	symbols_load(&s, m.bytes, m.len);
	ck_assert_uint_eq(s.nr, 5);
	ck_assert_str_eq(symbols_name(&s, found[_i].addr, text, sizeof(text)), found[_i].name);
}
END_TEST

START_TEST(a_file_without_symbols_gives_no_names)
{
	symbols_load(&s, "not an ELF file", 15);
	ck_assert_uint_eq(s.nr, 0);
	ck_assert_str_eq(symbols_name(&s, 0x1000, text, sizeof(text)), "");
}
END_TEST

START_TEST(a_name_is_cut_to_its_buffer)
{
	char small[8];

	symbols_load(&s, m.bytes, m.len);
	ck_assert_str_eq(symbols_name(&s, 0x2000, small, sizeof(small)), "second+");
}
END_TEST

START_TEST(no_byte_of_the_tables_makes_the_reader_leave_the_file)
{
	uint8_t *copy = malloc(m.len);

	for (size_t at = m.len - 1200; at < m.len; at++) {
		memcpy(copy, m.bytes, m.len);
		for (int value = 0; value < 256; value += 51) {
			copy[at] = (uint8_t)value;
			symbols_load(&s, copy, m.len);
			for (size_t i = 0; i < ARRAY_LEN(found); i++)
				symbols_name(&s, found[i].addr, text, sizeof(text));
			symbols_free(&s);
		}
	}
	free(copy);
}
END_TEST

START_TEST(a_string_table_without_an_end_is_not_used)
{
	Elf64_Shdr sh;
	size_t at = m.ehdr.e_shoff + 4 * sizeof(sh);

	memcpy(&sh, m.bytes + at, sizeof(sh));
	sh.sh_size -= 1;
	memcpy(m.bytes + at, &sh, sizeof(sh));
	symbols_load(&s, m.bytes, m.len);
	ck_assert_uint_eq(s.nr, 0);
}
END_TEST

Suite *symbols_suite(void);
Suite *symbols_suite(void)
{
	Suite *suite = suite_create("symbols");
	TCase *normal = tcase_create("normal"), *limits = tcase_create("limits"),
	      *hostile = tcase_create("hostile");

	tcase_add_checked_fixture(normal, setup, teardown);
	tcase_add_loop_test(normal, an_address_gets_the_symbol_that_covers_it, 0, ARRAY_LEN(found));
	suite_add_tcase(suite, normal);

	tcase_add_checked_fixture(limits, setup, teardown);
	tcase_add_test(limits, a_file_without_symbols_gives_no_names);
	tcase_add_test(limits, a_name_is_cut_to_its_buffer);
	suite_add_tcase(suite, limits);

	tcase_add_checked_fixture(hostile, setup, teardown);
	tcase_set_timeout(hostile, 30);
	tcase_add_test(hostile, no_byte_of_the_tables_makes_the_reader_leave_the_file);
	tcase_add_test(hostile, a_string_table_without_an_end_is_not_used);
	suite_add_tcase(suite, hostile);
	return suite;
}
