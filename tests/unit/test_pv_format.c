/* SPDX-License-Identifier: MIT */
/*
 * Unit tests of the library's formatted text and string routines, held against the libc's.
 */
#define PV_HOSTED_TEST
#include <check.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pvops/lib/format.h"
#include "pvops/lib/string.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

Suite *pv_format_suite(void);

/* One format, with numbers of each interesting size. The flags of the table make the combinations. */
static const char *const flags[] = { "",   "-",  "+",  " ",  "#",   "0",   "-0", "+ ",
	                             "#0", "-#", "+0", "-+", "0+#", "- 0", " 0" };
static const char *const widths[] = { "", "1", "5", "12", "30" };
static const char *const precisions[] = { "", ".", ".0", ".1", ".4", ".25" };
static const char convs[] = { 'd', 'i', 'u', 'o', 'x', 'X' };
static const long long numbers[] = { 0,    1,       -1,      9,        10,        255,      -255,
	                             4096, INT_MAX, INT_MIN, UINT_MAX, LLONG_MAX, LLONG_MIN };

#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-security"
#pragma GCC diagnostic ignored "-Wformat"
#pragma GCC diagnostic ignored "-Wformat-truncation"

static void same_as_libc(const char *fmt, long long value, bool is_long)
{
	char want[128], got[128];
	int want_len, got_len;

	if (is_long) {
		want_len = snprintf(want, sizeof(want), fmt, value);
		got_len = pv_snprintf(got, sizeof(got), fmt, value);
	} else {
		want_len = snprintf(want, sizeof(want), fmt, (int)value);
		got_len = pv_snprintf(got, sizeof(got), fmt, (int)value);
	}
	ck_assert_msg(strcmp(want, got) == 0 && want_len == got_len,
	              "'%s' of %lld: '%s' (%d), not '%s' (%d)", fmt, value, got, got_len, want,
	              want_len);
}

/* Flags that C leaves undefined for a conversion are left out. */
static bool is_defined(const char *flag, char conv)
{
	if (strpbrk(flag, "#") && strchr("diu", conv))
		return false;
	if (strpbrk(flag, "+ ") && !strchr("di", conv))
		return false;
	return !(strchr(flag, '0') && strchr(flag, '-')) &&
	       !(strchr(flag, '+') && strchr(flag, ' '));
}

START_TEST(numbers_come_out_as_the_libc_writes_them)
{
	char conv = convs[_i];
	unsigned int f, w, p, n;
	char fmt[32];

	for (f = 0; f < COUNT(flags); f++)
		for (w = 0; w < COUNT(widths); w++)
			for (p = 0; p < COUNT(precisions); p++)
				for (n = 0; n < COUNT(numbers); n++) {
					if (!is_defined(flags[f], conv))
						continue;
					snprintf(fmt, sizeof(fmt), "<%%%s%s%s%c>", flags[f],
					         widths[w], precisions[p], conv);
					same_as_libc(fmt, numbers[n], false);
					snprintf(fmt, sizeof(fmt), "<%%%s%s%sll%c>", flags[f],
					         widths[w], precisions[p], conv);
					same_as_libc(fmt, numbers[n], true);
				}
}
END_TEST

START_TEST(short_lengths_cut_as_the_libc_cuts)
{
	unsigned int n;

	for (n = 0; n < COUNT(numbers); n++) {
		same_as_libc("%hd", numbers[n], false);
		same_as_libc("%hhd", numbers[n], false);
		same_as_libc("%hu", numbers[n], false);
		same_as_libc("%hhx", numbers[n], false);
		same_as_libc("%ld %%", numbers[n], true);
		same_as_libc("%zu", numbers[n], true);
		same_as_libc("%jd", numbers[n], true);
		same_as_libc("%tx", numbers[n], true);
	}
}
END_TEST

START_TEST(strings_and_characters)
{
	char want[64], got[64];
	const char *unended = (const char[3]){ 'a', 'b', 'c' };

#define BOTH(...)                                                   \
	do {                                                        \
		int n = snprintf(want, sizeof(want), __VA_ARGS__);  \
		int m = pv_snprintf(got, sizeof(got), __VA_ARGS__); \
		ck_assert_str_eq(got, want);                        \
		ck_assert_int_eq(m, n);                             \
	} while (0)
	BOTH("%s", "");
	BOTH("%s|%10s|%-10s|", "one", "two", "three");
	BOTH("%.2s|%.0s|%.10s|%5.1s|", "one", "two", "three", "four");
	BOTH("%.3s", unended);
	BOTH("%c%5c%-5c|", 'x', 'y', 'z');
	BOTH("%*d|%-*d|%.*s", 7, 42, 7, 42, 2, "hello");
	BOTH("%*d", -7, 42);
	BOTH("%p", (void *)0x1234);
	BOTH("100%%");
}
END_TEST

START_TEST(what_does_not_fit_is_counted_and_not_stored)
{
	char buf[8];
	size_t size;

	for (size = 0; size <= sizeof(buf); size++) {
		memset(buf, '!', sizeof(buf));
		ck_assert_int_eq(pv_snprintf(size ? buf : NULL, size, "%s", "twelve chars"), 12);
		if (size) {
			ck_assert_uint_eq(strlen(buf), size - 1);
			ck_assert_int_eq(strncmp(buf, "twelve chars", size - 1), 0);
		}
		if (size < sizeof(buf))
			ck_assert_int_eq(buf[size], '!');
	}
}
END_TEST

START_TEST(unknown_conversions_do_no_harm)
{
	char buf[64];

	static const char *const odd[] = { "a%yb", "end%" }; /* out of the compiler's sight */
	static const char *volatile nothing;

	ck_assert_int_eq(pv_snprintf(buf, sizeof(buf), odd[0]), 4);
	ck_assert_str_eq(buf, "a%yb");
	ck_assert_int_eq(pv_snprintf(buf, sizeof(buf), odd[1]), 4);
	ck_assert_str_eq(buf, "end%");
	ck_assert_int_eq(pv_snprintf(buf, sizeof(buf), "%s", nothing), 6);
	ck_assert_str_eq(buf, "(null)");
}
END_TEST

/* ---- strings ---- */

static int sign(int x)
{
	return (x > 0) - (x < 0);
}

START_TEST(moves_and_fills_are_those_of_the_libc)
{
	unsigned char a[64], b[64];
	unsigned int i, to, from, len;

	for (i = 0; i < 20000; i++) {
		to = (unsigned int)rand() % 32;
		from = (unsigned int)rand() % 32;
		len = (unsigned int)rand() % 33;
		for (unsigned int j = 0; j < 64; j++)
			a[j] = b[j] = (unsigned char)rand();
		memmove(a + to, a + from, len);
		ck_assert_ptr_eq(pv_lib_memmove(b + to, b + from, len), b + to);
		ck_assert_mem_eq(a, b, 64);
		memset(a + to, (int)i, len);
		pv_lib_memset(b + to, (int)i, len);
		ck_assert_mem_eq(a, b, 64);
		pv_lib_memcpy(b, a, 64);
		ck_assert_mem_eq(a, b, 64);
	}
}
END_TEST

START_TEST(comparisons_are_those_of_the_libc)
{
	static const char *const s[] = {
		"", "a", "b", "ab", "abc", "abd", "\xff", "a\xff", "abcabc"
	};
	unsigned int i, j, n;

	for (i = 0; i < COUNT(s); i++) {
		ck_assert_uint_eq(pv_lib_strlen(s[i]), strlen(s[i]));
		ck_assert_uint_eq(pv_lib_strnlen(s[i], 2), strnlen(s[i], 2));
		ck_assert_ptr_eq(pv_lib_strchr(s[i], 'c'), strchr(s[i], 'c'));
		ck_assert_ptr_eq(pv_lib_strchr(s[i], 0), strchr(s[i], 0));
		ck_assert_ptr_eq(pv_lib_memchr(s[i], 'b', strlen(s[i])),
		                 memchr(s[i], 'b', strlen(s[i])));
		for (j = 0; j < COUNT(s); j++) {
			ck_assert_int_eq(sign(pv_lib_strcmp(s[i], s[j])), sign(strcmp(s[i], s[j])));
			ck_assert_ptr_eq(pv_lib_strstr(s[i], s[j]), strstr(s[i], s[j]));
			for (n = 0; n < 4; n++)
				ck_assert_int_eq(sign(pv_lib_strncmp(s[i], s[j], n)),
				                 sign(strncmp(s[i], s[j], n)));
			n = (unsigned int)(strlen(s[i]) < strlen(s[j]) ? strlen(s[i])
			                                               : strlen(s[j]));
			ck_assert_int_eq(sign(pv_lib_memcmp(s[i], s[j], n)),
			                 sign(memcmp(s[i], s[j], n)));
		}
	}
}
END_TEST

Suite *pv_format_suite(void)
{
	Suite *s = suite_create("pv_format");
	TCase *tc = tcase_create("normal");

	tcase_add_loop_test(tc, numbers_come_out_as_the_libc_writes_them, 0, COUNT(convs));
	tcase_add_test(tc, short_lengths_cut_as_the_libc_cuts);
	tcase_add_test(tc, strings_and_characters);
	tcase_add_test(tc, moves_and_fills_are_those_of_the_libc);
	tcase_add_test(tc, comparisons_are_those_of_the_libc);
	suite_add_tcase(s, tc);
	tc = tcase_create("limits");
	tcase_add_test(tc, what_does_not_fit_is_counted_and_not_stored);
	suite_add_tcase(s, tc);
	tc = tcase_create("hostile");
	tcase_add_test(tc, unknown_conversions_do_no_harm);
	suite_add_tcase(s, tc);
	return s;
}
