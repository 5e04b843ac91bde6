/* SPDX-License-Identifier: MIT */
/*
 * The console back-end against a ring peer that is honest, slow or lying (backends/consback.c).
 */
#include <check.h>
#include <stdint.h>
#include <string.h>

#include "backends/consback.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

static struct xencons_interface ring;
static struct consback *cb;
static int notified, complained;
static char complaint[256];

/* The sink: takes up to `room` bytes in all; room -1: it is gone. */
static char got[65536];
static size_t got_len;
static ssize_t room;
/* As soon as bytes are taken the guest has written as many again. */
static bool writes_for_ever;

static void on_notify(void *arg)
{
	ck_assert_ptr_eq(arg, &ring);
	notified++;
}

static void on_complain(void *arg, const char *line)
{
	ck_assert_ptr_eq(arg, &ring);
	complained++;
	strncpy(complaint, line, sizeof(complaint) - 1);
}

static ssize_t sink(void *arg, const void *bytes, size_t len)
{
	ck_assert_ptr_eq(arg, got);
	if (room < 0)
		return -1;
	if (len > (size_t)room)
		len = (size_t)room;
	room -= (ssize_t)len;
	if (got_len + len <= sizeof(got))
		memcpy(got + got_len, bytes, len);
	got_len += len;
	if (writes_for_ever)
		ring.out_prod += (uint32_t)len;
	return (ssize_t)len;
}

static void attach(void)
{
	struct be_host host = { on_notify, on_complain, &ring };

	cb = consback_open(&ring, &host, sink, got);
	ck_assert_ptr_nonnull(cb);
}

static void setup(void)
{
	memset(&ring, 0, sizeof(ring));
	memset(got, 0, sizeof(got));
	got_len = 0;
	room = INT64_MAX;
	writes_for_ever = false;
	notified = complained = 0;
	attach();
}

static void teardown(void)
{
	consback_close(cb);
}

/* What a correct guest does: as much as fits, from its own view of the indexes. */
static size_t guest_write(const char *text, size_t len)
{
	size_t n = 0;

	while (n < len && ring.out_prod - ring.out_cons < sizeof(ring.out))
		ring.out[MASK_XENCONS_IDX(ring.out_prod++, ring.out)] = text[n++];
	return n;
}

static size_t guest_read(char *text, size_t len)
{
	size_t n = 0;

	while (n < len && ring.in_cons != ring.in_prod)
		text[n++] = ring.in[MASK_XENCONS_IDX(ring.in_cons++, ring.in)];
	return n;
}

/* ---- normal ---- */

START_TEST(what_the_guest_writes_comes_out_and_it_is_told)
{
	guest_write("hello\n", 6);
	ck_assert(!consback_run(cb));
	ck_assert_uint_eq(got_len, 6);
	ck_assert_mem_eq(got, "hello\n", 6);
	ck_assert_uint_eq(ring.out_cons, 6);
	ck_assert_int_eq(notified, 1);
}
END_TEST

START_TEST(an_event_without_news_is_no_event_for_the_guest)
{
	ck_assert(!consback_run(cb));
	ck_assert_int_eq(notified, 0);
}
END_TEST

START_TEST(what_is_typed_goes_in)
{
	char text[16];

	ck_assert_uint_eq(consback_type(cb, "abc", 3), 3);
	ck_assert_int_eq(notified, 1);
	ck_assert_uint_eq(guest_read(text, sizeof(text)), 3);
	ck_assert_mem_eq(text, "abc", 3);
}
END_TEST

START_TEST(bytes_keep_their_order_around_the_rings_end)
{
	char pattern[1500], back[1500];
	size_t typed = 0;

	for (size_t i = 0; i < sizeof(pattern); i++)
		pattern[i] = (char)(i * 7);
	for (int i = 0; i < 20; i++) {
		got_len = 0;
		ck_assert_uint_eq(guest_write(pattern, sizeof(pattern)), sizeof(pattern));
		ck_assert(!consback_run(cb));
		ck_assert_mem_eq(got, pattern, sizeof(pattern));
	}
	for (size_t n = 0; n < sizeof(back);) {
		typed += consback_type(cb, pattern + typed, sizeof(pattern) - typed);
		n += guest_read(back + n, 300);
	}
	ck_assert_mem_eq(back, pattern, sizeof(pattern));
}
END_TEST

START_TEST(a_ring_in_use_is_taken_over_where_it_is)
{
	consback_close(cb);
	ring.out_prod = ring.out_cons = ring.in_prod = ring.in_cons = 0xfffffff0;
	attach();
	guest_write("over the edge of 32 bits", 24);
	ck_assert(!consback_run(cb));
	ck_assert_mem_eq(got, "over the edge of 32 bits", 24);
	ck_assert_uint_eq(ring.out_cons, 8);
	ck_assert_uint_eq(consback_type(cb, "0123456789abcdefXYZ", 19), 19);
	ck_assert_uint_eq(ring.in_prod, 3);
}
END_TEST

/* ---- limits ---- */

START_TEST(a_slow_sink_loses_nothing_and_holds_the_guest_back)
{
	char all[5000];
	size_t written = 0;

	for (size_t i = 0; i < sizeof(all); i++)
		all[i] = (char)('a' + i % 26);
	room = 0;
	written = guest_write(all, sizeof(all));
	ck_assert_uint_eq(written, sizeof(ring.out));
	ck_assert(consback_run(cb));
	ck_assert_int_eq(notified, 0);
	ck_assert_uint_eq(guest_write(all, 1), 0);
	while (got_len < sizeof(all)) {
		room = 7;
		consback_run(cb);
		written += guest_write(all + written, sizeof(all) - written);
	}
	ck_assert_uint_eq(got_len, sizeof(all));
	ck_assert_mem_eq(got, all, sizeof(all));
}
END_TEST

START_TEST(a_sink_that_is_gone_does_not_hold_the_guest)
{
	char text[1000] = { 0 };

	room = -1;
	for (int i = 0; i < 10; i++) {
		ck_assert_uint_eq(guest_write(text, sizeof(text)), sizeof(text));
		ck_assert(!consback_run(cb));
	}
	ck_assert_uint_eq(got_len, 0);
	ck_assert_int_eq(notified, 10);
}
END_TEST

START_TEST(a_full_input_ring_takes_what_fits_and_the_rest_later)
{
	char many[1500] = { 0 }, text[100];

	ck_assert_uint_eq(consback_type(cb, many, sizeof(many)), sizeof(ring.in));
	notified = 0;
	ck_assert_uint_eq(consback_type(cb, many, 10), 0);
	ck_assert_int_eq(notified, 0);
	ck_assert_uint_eq(guest_read(text, 100), 100);
	ck_assert_uint_eq(consback_type(cb, many, 476), 100);
}
END_TEST

/* ---- hostile ---- */

static const uint32_t far[] = { 2049, 4096, 0x80000000, 0xffffffff };

START_TEST(an_impossible_producer_closes_the_output_and_nothing_else)
{
	char text[4];

	ring.out_prod = far[_i];
	ck_assert(!consback_run(cb));
	ck_assert_uint_eq(got_len, 0);
	ck_assert_int_eq(complained, 1);
	ck_assert_msg(strstr(complaint, "output"), "%s", complaint);
	/* It stays closed, quietly; typing still works. */
	ring.out_prod = ring.out_cons = 0;
	guest_write("x", 1);
	ck_assert(!consback_run(cb));
	ck_assert_uint_eq(got_len, 0);
	ck_assert_int_eq(complained, 1);
	ck_assert_uint_eq(consback_type(cb, "ok", 2), 2);
	ck_assert_uint_eq(guest_read(text, 4), 2);
}
END_TEST

START_TEST(a_full_ring_is_possible)
{
	ring.out_prod = 2048;
	ck_assert(!consback_run(cb));
	ck_assert_uint_eq(got_len, 2048);
	ck_assert_int_eq(complained, 0);
}
END_TEST

/* Ahead of the producer, or further behind it than the ring is long. */
static const uint32_t behind[] = { 1, 1024, 0x80000000, 0xfffffbff };

START_TEST(an_impossible_consumer_closes_the_input)
{
	ring.in_cons = behind[_i];
	/* Typed bytes are swallowed: nobody will ever make room. */
	ck_assert_uint_eq(consback_type(cb, "abc", 3), 3);
	ck_assert_int_eq(complained, 1);
	ck_assert_uint_eq(ring.in_prod, 0);
	guest_write("y", 1);
	ck_assert(!consback_run(cb));
	ck_assert_uint_eq(got_len, 1);
}
END_TEST

START_TEST(our_own_indexes_are_not_read_back)
{
	guest_write("abc", 3);
	ring.out_cons = 77; /* ours to write */
	ck_assert(!consback_run(cb));
	ck_assert_uint_eq(got_len, 3);
	ck_assert_uint_eq(ring.out_cons, 3);
	ring.in_prod = 99;
	ck_assert_uint_eq(consback_type(cb, "q", 1), 1);
	ck_assert_uint_eq(ring.in_prod, 1);
}
END_TEST

START_TEST(one_call_ends_even_when_the_guest_writes_for_ever)
{
	writes_for_ever = true;
	ring.out_prod = 2048;
	ck_assert(consback_run(cb));
	ck_assert_uint_ge(got_len, 2048);
	ck_assert_uint_le(got_len, 1 << 20);
	/* It goes on where it was. */
	writes_for_ever = false;
	ck_assert(!consback_run(cb));
	ck_assert_uint_eq(ring.out_cons, ring.out_prod);
}
END_TEST

Suite *consback_suite(void);
Suite *consback_suite(void)
{
	Suite *s = suite_create("consback");
	TCase *normal = tcase_create("normal"), *limits = tcase_create("limits"),
	      *hostile = tcase_create("hostile");

	tcase_add_checked_fixture(normal, setup, teardown);
	tcase_add_test(normal, what_the_guest_writes_comes_out_and_it_is_told);
	tcase_add_test(normal, an_event_without_news_is_no_event_for_the_guest);
	tcase_add_test(normal, what_is_typed_goes_in);
	tcase_add_test(normal, bytes_keep_their_order_around_the_rings_end);
	tcase_add_test(normal, a_ring_in_use_is_taken_over_where_it_is);
	suite_add_tcase(s, normal);

	tcase_add_checked_fixture(limits, setup, teardown);
	tcase_add_test(limits, a_slow_sink_loses_nothing_and_holds_the_guest_back);
	tcase_add_test(limits, a_sink_that_is_gone_does_not_hold_the_guest);
	tcase_add_test(limits, a_full_input_ring_takes_what_fits_and_the_rest_later);
	suite_add_tcase(s, limits);

	tcase_add_checked_fixture(hostile, setup, teardown);
	tcase_set_timeout(hostile, 20);
	tcase_add_loop_test(hostile, an_impossible_producer_closes_the_output_and_nothing_else, 0,
	                    ARRAY_LEN(far));
	tcase_add_test(hostile, a_full_ring_is_possible);
	tcase_add_loop_test(hostile, an_impossible_consumer_closes_the_input, 0, ARRAY_LEN(behind));
	tcase_add_test(hostile, our_own_indexes_are_not_read_back);
	tcase_add_test(hostile, one_call_ends_even_when_the_guest_writes_for_ever);
	suite_add_tcase(s, hostile);
	return s;
}
