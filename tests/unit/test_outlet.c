/* SPDX-License-Identifier: MIT */
/*
 * The way out for a guest's bytes (toolstack/outlet.c): who may wait, and what becomes of bytes that
 * nobody takes.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hypervisor-stub/toolstack/outlet.h"

static struct outlet o;
static int ends[2]; /* [0] reads, [1] is the outlet's */
static char block[4096];

static void setup(void)
{
	signal(SIGPIPE, SIG_IGN);
	memset(block, 'b', sizeof(block));
	ck_assert_int_eq(pipe(ends), 0);
	ck_assert_int_eq(outlet_open(&o, ends[1]), 0);
}

static void teardown(void)
{
	outlet_close(&o);
	close(ends[0]);
	close(ends[1]);
}

/* Gives until nothing more is taken; how many bytes that was. */
static size_t fill(void)
{
	size_t sum = 0;
	ssize_t n;

	while ((n = outlet_try(&o, block, sizeof(block))) > 0)
		sum += (size_t)n;
	ck_assert_int_eq(n, 0);
	return sum;
}

/* ---- normal ---- */

START_TEST(bytes_arrive)
{
	char got[8];

	ck_assert_int_eq(outlet_try(&o, "abc", 3), 3);
	ck_assert_int_eq(read(ends[0], got, sizeof(got)), 3);
	ck_assert_mem_eq(got, "abc", 3);
	ck_assert_int_eq(outlet_error(&o), 0);
}
END_TEST

START_TEST(the_descriptor_that_we_were_given_keeps_its_mode)
{
	fill();
	ck_assert_int_eq(fcntl(ends[1], F_GETFL) & O_NONBLOCK, 0);
}
END_TEST

START_TEST(a_file_is_continued_where_it_was)
{
	char path[] = "/tmp/paravane-outlet-XXXXXX", got[16] = "";
	int fd = mkstemp(path);
	struct outlet file;

	unlink(path);
	ck_assert_int_eq(write(fd, "before ", 7), 7);
	ck_assert_int_eq(outlet_open(&file, fd), 0);
	ck_assert_int_eq(outlet_try(&file, "after", 5), 5);
	ck_assert_int_eq(pread(fd, got, sizeof(got), 0), 12);
	ck_assert_str_eq(got, "before after");
	outlet_close(&file);
	close(fd);
}
END_TEST

START_TEST(a_socket_is_never_waited_for)
{
	struct outlet s;
	int pair[2];
	ssize_t n;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	ck_assert_int_eq(outlet_open(&s, pair[1]), 0);
	while ((n = outlet_try(&s, block, sizeof(block))) > 0)
		;
	ck_assert_int_eq(n, 0);
	close(pair[0]);
	ck_assert_int_eq(outlet_try(&s, block, 1), -EPIPE);
	outlet_close(&s);
	close(pair[1]);
}
END_TEST

/* ---- limits ---- */

START_TEST(a_full_pipe_takes_nothing_and_loses_nothing)
{
	size_t sum = fill(), got = 0;
	char buf[4096];

	ck_assert_uint_ge(sum, 4096);
	ck_assert_int_eq(outlet_try(&o, block, 1), 0);
	while (got < sum) {
		ssize_t n = read(ends[0], buf, sizeof(buf));

		ck_assert_int_gt(n, 0);
		got += (size_t)n;
	}
	ck_assert_int_eq(outlet_try(&o, block, 1), 1);
	ck_assert_uint_eq(o.lost, 0);
}
END_TEST

START_TEST(a_reader_that_is_gone_is_an_error_for_good)
{
	close(ends[0]);
	ends[0] = -1;
	ck_assert_int_eq(outlet_try(&o, "abc", 3), -EPIPE);
	ck_assert_int_eq(outlet_try(&o, "defg", 4), -EPIPE);
	ck_assert_int_eq(outlet_error(&o), EPIPE);
	ck_assert_uint_eq(o.lost, 7);
	outlet_put(&o, "x", 1); /* does not wait */
}
END_TEST

static void *put_one(void *arg)
{
	(void)arg;
	outlet_put(&o, "z", 1);
	return NULL;
}

START_TEST(who_waits_goes_on_when_there_is_room)
{
	char buf[65536];
	pthread_t t;

	fill();
	ck_assert_int_eq(pthread_create(&t, NULL, put_one, NULL), 0);
	while (read(ends[0], buf, sizeof(buf)) == (ssize_t)sizeof(buf))
		;
	pthread_join(t, NULL);
	ck_assert_uint_eq(o.lost, 0);
}
END_TEST

START_TEST(nobody_waits_after_a_stop)
{
	pthread_t t;

	fill();
	ck_assert_int_eq(pthread_create(&t, NULL, put_one, NULL), 0);
	usleep(20000);
	outlet_stop(&o);
	pthread_join(t, NULL);
	ck_assert_uint_eq(o.lost, 1);
	outlet_put(&o, "more", 4);
	ck_assert_uint_eq(o.lost, 5);
}
END_TEST

/* ---- hostile ---- */

START_TEST(a_descriptor_that_is_none_is_refused)
{
	struct outlet bad;

	ck_assert_int_eq(outlet_open(&bad, 9999), -EBADF);
}
END_TEST

START_TEST(a_full_disk_is_an_error)
{
	struct outlet full;
	int fd = open("/dev/full", O_WRONLY);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(outlet_open(&full, fd), 0);
	ck_assert_int_eq(outlet_try(&full, "x", 1), -ENOSPC);
	outlet_close(&full);
	close(fd);
}
END_TEST

Suite *outlet_suite(void);
Suite *outlet_suite(void)
{
	Suite *s = suite_create("outlet");
	TCase *normal = tcase_create("normal"), *limits = tcase_create("limits"),
	      *hostile = tcase_create("hostile");

	tcase_add_checked_fixture(normal, setup, teardown);
	tcase_add_test(normal, bytes_arrive);
	tcase_add_test(normal, the_descriptor_that_we_were_given_keeps_its_mode);
	tcase_add_test(normal, a_file_is_continued_where_it_was);
	tcase_add_test(normal, a_socket_is_never_waited_for);
	suite_add_tcase(s, normal);

	tcase_add_checked_fixture(limits, setup, teardown);
	tcase_set_timeout(limits, 10);
	tcase_add_test(limits, a_full_pipe_takes_nothing_and_loses_nothing);
	tcase_add_test(limits, a_reader_that_is_gone_is_an_error_for_good);
	tcase_add_test(limits, who_waits_goes_on_when_there_is_room);
	tcase_add_test(limits, nobody_waits_after_a_stop);
	suite_add_tcase(s, limits);

	tcase_add_test(hostile, a_descriptor_that_is_none_is_refused);
	tcase_add_test(hostile, a_full_disk_is_an_error);
	suite_add_tcase(s, hostile);
	return s;
}
