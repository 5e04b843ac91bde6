/* SPDX-License-Identifier: MIT */
/*
 * The control protocol's words (toolstack/ctl_wire.c), who is trusted, and how consoles share a screen
 * (toolstack/screen.c).
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hypervisor-stub/toolstack/ctl_wire.h"
#include "hypervisor-stub/toolstack/screen.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* ---- words ---- */

static const struct {
	const char *text;
	size_t len;
	unsigned nr;
	const char *last;
} requests[] = {
	{ "list", 5, 1, "list" },
	{ "destroy\0x", 10, 2, "x" },
	{ "a\0\0", 3, 2, "" },
	{ "a\0b\0c\0d", 8, 4, "d" },
	{ "a\0b\0c\0d\0e", 10, 0, NULL },
	{ "list", 4, 0, NULL },
	{ "", 0, 0, NULL },
	{ "", 1, 1, "" },
	{ "\0\0\0\0\0", 5, 0, NULL },
};

START_TEST(a_request_is_taken_to_words)
{
	const char *word[CTL_MAX_WORDS];
	size_t len = requests[_i].len;
	char *text = malloc(len ? len : 1); /* of that length, so that a tool sees who reads on */

	memcpy(text, requests[_i].text, len);
	ck_assert_uint_eq(ctl_split(text, len, word), requests[_i].nr);
	if (requests[_i].nr)
		ck_assert_str_eq(word[requests[_i].nr - 1], requests[_i].last);
	free(text);
}
END_TEST

START_TEST(a_machine_has_an_abstract_address)
{
	char longest[OPTIONS_NAME_MAX + 1];
	struct sockaddr_un sun;
	socklen_t len = ctl_address(&sun, 1000, "m");

	ck_assert_uint_eq(len, offsetof(struct sockaddr_un, sun_path) + 16);
	ck_assert_mem_eq(sun.sun_path, "\0paravane/1000/m", 16);
	memset(longest, 'x', OPTIONS_NAME_MAX);
	longest[OPTIONS_NAME_MAX] = 0;
	len = ctl_address(&sun, UINT32_MAX, longest);
	ck_assert_uint_eq(len,
	                  offsetof(struct sockaddr_un, sun_path) + 1 + 9 + 11 + OPTIONS_NAME_MAX);
	ck_assert_uint_le(len, sizeof(sun));
}
END_TEST

START_TEST(only_the_same_user_and_root_are_trusted)
{
	int pair[2], pipes[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	ck_assert(ctl_trusts(pair[0], geteuid()));
	ck_assert_int_eq(ctl_trusts(pair[0], geteuid() + 1), geteuid() == 0);
	ck_assert_int_eq(pipe(pipes), 0);
	ck_assert(!ctl_trusts(pipes[0], geteuid()));
	for (unsigned i = 0; i < 2; i++) {
		close(pair[i]);
		close(pipes[i]);
	}
}
END_TEST

/* ---- the screen ---- */

static int ends[2];
static struct outlet out;
static struct screen screen;
static struct channel a, b;
static unsigned rings;

static void on_ring(void *arg)
{
	(*(unsigned *)arg)++;
}

static void set_up(enum channel_mode mode)
{
	ck_assert_int_eq(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
	ck_assert_int_eq(outlet_open(&out, ends[1]), 0);
	screen_init(&screen, &out);
	channel_init(&a, &screen, "a", mode);
	channel_init(&b, &screen, "b", mode);
	rings = 0;
}

static void tear_down(void)
{
	channel_fini(&a);
	channel_fini(&b);
	screen_fini(&screen);
	outlet_close(&out);
	close(ends[0]);
	close(ends[1]);
}

static const char *shown(void)
{
	static char text[65536];
	ssize_t n = read(ends[0], text, sizeof(text) - 1);

	text[n > 0 ? n : 0] = 0;
	return text;
}

START_TEST(lines_of_two_domains_are_told_apart)
{
	set_up(CHANNEL_NAMED);
	ck_assert_int_eq(channel_put(&a, "one ", 4), 4);
	ck_assert_int_eq(channel_put(&b, "two\r\n", 5), 5);
	ck_assert_str_eq(shown(), "b: two\n");
	ck_assert_int_eq(channel_put(&a, "more\nrest", 9), 9);
	ck_assert_str_eq(shown(), "a: one more\n");
	ck_assert(!channel_flush(&a, false));
	ck_assert_str_eq(shown(), "");
	ck_assert(!channel_flush(&a, true));
	ck_assert_str_eq(shown(), "a: rest\n");
	ck_assert(!channel_flush(&a, true));
	ck_assert_str_eq(shown(), "");
	tear_down();
}
END_TEST

START_TEST(a_line_without_end_is_shown_in_pieces)
{
	char text[CHANNEL_LINE + 10];

	set_up(CHANNEL_NAMED);
	memset(text, 'x', sizeof(text));
	ck_assert_int_eq(channel_put(&a, text, sizeof(text)), (ssize_t)sizeof(text));
	ck_assert_uint_eq(strlen(shown()), 3 + CHANNEL_LINE + 1);
	tear_down();
}
END_TEST

START_TEST(a_full_screen_takes_nothing_and_loses_nothing)
{
	unsigned in = 0, seen = 0;
	bool waits = false;

	set_up(CHANNEL_NAMED);
	/* Until a line does not fit: it is not taken whole. */
	while (channel_put(&a, "0123456789\n", 11) == 11)
		in++;
	ck_assert(channel_flush(&a, false));
	ck_assert_int_eq(channel_put(&b, "other\n", 6), 5);
	do {
		for (const char *at = shown(); (at = strstr(at, "0123456789\n")); at++)
			seen++;
		waits = channel_flush(&a, false);
	} while (waits);
	for (const char *at = shown(); (at = strstr(at, "0123456789\n")); at++)
		seen++;
	ck_assert_uint_eq(seen, in);
	ck_assert_int_eq(channel_put(&b, "\n", 1), 1);
	ck_assert_str_eq(shown(), "b: other\n");
	tear_down();
}
END_TEST

START_TEST(a_viewer_sees_what_was_before_and_what_comes)
{
	struct viewer *v = calloc(1, sizeof(*v));
	char text[64];
	size_t n;

	set_up(CHANNEL_HIDDEN);
	v->ring = on_ring;
	v->arg = &rings;
	ck_assert_int_eq(channel_put(&a, "before\n", 7), 7);
	channel_watch(&a, v);
	ck_assert_int_eq(channel_put(&a, "after\n", 6), 6);
	ck_assert_int_eq(channel_put(&b, "other\n", 6), 6);
	ck_assert_uint_eq(rings, 1);
	n = channel_view(&a, v, text, sizeof(text));
	ck_assert_uint_eq(n, 13);
	ck_assert_mem_eq(text, "before\nafter\n", 13);
	ck_assert_uint_eq(channel_view(&a, v, text, sizeof(text)), 0);
	channel_unwatch(&a, v);
	ck_assert_int_eq(channel_put(&a, "x", 1), 1);
	ck_assert_uint_eq(rings, 1);
	ck_assert_str_eq(shown(), "");
	tear_down();
	free(v);
}
END_TEST

START_TEST(a_viewer_that_is_slow_loses_the_oldest_bytes)
{
	struct viewer *v = calloc(1, sizeof(*v));
	char *text = malloc(VIEWER_ROOM + 100);
	uint32_t word;

	set_up(CHANNEL_HIDDEN);
	v->ring = on_ring;
	v->arg = &rings;
	channel_watch(&a, v);
	for (uint32_t i = 0; i < VIEWER_ROOM / 2; i++)
		ck_assert_int_eq(channel_put(&a, &i, 4), 4);
	ck_assert_uint_eq(channel_view(&a, v, text, VIEWER_ROOM + 100), VIEWER_ROOM);
	memcpy(&word, text, 4);
	ck_assert_uint_eq(word, VIEWER_ROOM / 4);
	memcpy(&word, text + VIEWER_ROOM - 4, 4);
	ck_assert_uint_eq(word, VIEWER_ROOM / 2 - 1);
	channel_unwatch(&a, v);
	/* Who comes late sees the last bytes only, also when they came at once. */
	memset(text, 'y', VIEWER_ROOM + 100);
	text[VIEWER_ROOM + 99] = 'z';
	ck_assert_int_eq(channel_put(&a, text, VIEWER_ROOM + 100), VIEWER_ROOM + 100);
	channel_watch(&a, v);
	ck_assert_uint_eq(channel_view(&a, v, text, VIEWER_ROOM), CHANNEL_BACKLOG);
	ck_assert_int_eq(text[CHANNEL_BACKLOG - 1], 'z');
	channel_unwatch(&a, v);
	tear_down();
	free(text);
	free(v);
}
END_TEST

START_TEST(a_line_that_waits_for_a_reader_can_be_stopped)
{
	set_up(CHANNEL_NAMED);
	while (channel_put(&a, "0123456789\n", 11) == 11)
		;
	channel_stop(&b);
	channel_put_line(&b, "last words\n", 11);
	tear_down();
}
END_TEST

Suite *ctl_suite(void);
Suite *ctl_suite(void)
{
	Suite *s = suite_create("ctl");
	TCase *normal = tcase_create("normal"), *limits = tcase_create("limits"),
	      *hostile = tcase_create("hostile");

	tcase_add_test(normal, a_machine_has_an_abstract_address);
	tcase_add_test(normal, lines_of_two_domains_are_told_apart);
	tcase_add_test(normal, a_viewer_sees_what_was_before_and_what_comes);
	suite_add_tcase(s, normal);

	tcase_add_test(limits, a_line_without_end_is_shown_in_pieces);
	tcase_add_test(limits, a_full_screen_takes_nothing_and_loses_nothing);
	tcase_add_test(limits, a_viewer_that_is_slow_loses_the_oldest_bytes);
	tcase_add_test(limits, a_line_that_waits_for_a_reader_can_be_stopped);
	suite_add_tcase(s, limits);

	tcase_add_loop_test(hostile, a_request_is_taken_to_words, 0, ARRAY_LEN(requests));
	tcase_add_test(hostile, only_the_same_user_and_root_are_trusted);
	suite_add_tcase(s, hostile);
	return s;
}
