/* SPDX-License-Identifier: MIT */
/*
 * The NBD store against servers that are honest, forgetful, slow or lying (backends/blkstore_nbd.c).
 */
#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backends/blkstore_nbd.h"
#include "backends/nbd_client.h"
#include "tests/fake/nbd_server.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define SIZE         (4u << 20)
#define ALL_FLAGS    (1 | NBD_SEND_FLUSH | NBD_SEND_FUA | NBD_SEND_TRIM | NBD_SEND_ZEROES)

static const struct blkstore_nbd_limits short_limits = {
	.connect_ms = 400, .lost_ms = 700, .reply_ms = 500, .log_bytes = 64u << 20
};

static struct nbd_server server;
static struct blkstore *s;
static char why[1024];
static uint8_t *memory; /* 32 pages, and a guard at either end of each request */

static void begin(void)
{
	memset(&server, 0, sizeof(server));
	server.flags = ALL_FLAGS;
	memory = aligned_alloc(4096, 34 * 4096);
	s = NULL;
}

static void end(void)
{
	if (s)
		s->ops->close(s);
	nbd_server_stop(&server);
	free(memory);
}

static int open_with(const struct blkstore_nbd_limits *limits, bool readonly)
{
	char uri[128];

	snprintf(uri, sizeof(uri), "nbd:unix:%s", server.path);
	return blkstore_open_nbd_with(&s, uri, readonly, limits, why, sizeof(why));
}

static void open_all(void)
{
	nbd_server_start(&server, SIZE);
	ck_assert_msg(!open_with(&short_limits, false), "%s", why);
}

struct asked {
	struct blkstore_req req; /* first */
	struct iovec iov[2];
	atomic_int rc; /* 1: not yet */
};

static void on_done(struct blkstore_req *req, int rc)
{
	struct asked *a = (struct asked *)req;

	ck_assert_int_eq(atomic_load(&a->rc), 1);
	atomic_store(&a->rc, rc);
}

static void send_off(struct asked *a, enum blkstore_op op, uint64_t offset, uint8_t *at, size_t len)
{
	memset(a, 0, sizeof(*a));
	a->rc = 1;
	a->req = (struct blkstore_req){ .op = op, .offset = offset, .len = len, .done = on_done };
	if (at) {
		/* In two pieces. */
		a->iov[0] = (struct iovec){ at, 512 };
		a->iov[1] = (struct iovec){ at + 512, len - 512 };
		a->req.iov = a->iov;
		a->req.nr_iov = len > 512 ? 2 : 1;
	}
	s->ops->submit(s, &a->req, false);
}

static int wait_for(struct asked *a)
{
	for (unsigned i = 0; i < 50000 && atomic_load(&a->rc) == 1; i++)
		usleep(200);
	return atomic_load(&a->rc);
}

static int ask(enum blkstore_op op, uint64_t offset, uint8_t *at, size_t len)
{
	struct asked a;

	send_off(&a, op, offset, at, len);
	return wait_for(&a);
}

static void fill(uint8_t *at, unsigned value, size_t len)
{
	memset(at, (int)value, len);
}

/* ---- normal --------------------------------------------------------------------------------------- */

static void write_and_read(void)
{
	uint8_t *at = memory + 4096;

	for (unsigned i = 0; i < 16; i++) {
		fill(at, i + 1, 8192);
		ck_assert_int_eq(ask(BLKSTORE_WRITE, i * 65536, at, 8192), 0);
	}
	for (unsigned i = 0; i < 16; i++) {
		ck_assert_int_eq(ask(BLKSTORE_READ, i * 65536, at, 16384), 0);
		ck_assert_uint_eq(at[0], i + 1);
		ck_assert_uint_eq(at[8191], i + 1);
		ck_assert_uint_eq(at[8192] | at[16383], 0);
	}
	ck_assert_int_eq(ask(BLKSTORE_DISCARD, 0, NULL, 65536), 0);
	ck_assert_int_eq(ask(BLKSTORE_READ, 0, at, 4096), 0);
	ck_assert_uint_eq(at[0], 0);
}

START_TEST(what_is_written_is_read)
{
	server.no_go = _i & 1;
	server.no_structured = _i & 2;
	open_all();
	ck_assert_uint_eq(s->ops->size(s), SIZE);
	ck_assert(s->can_flush && s->can_discard && !s->readonly);
	write_and_read();
	ck_assert_int_eq(ask(BLKSTORE_FLUSH, 0, NULL, 0), 0);
	ck_assert_uint_eq(server.flushes, 1);
	ck_assert_uint_eq(server.connections, 1);
}
END_TEST

START_TEST(many_at_once)
{
	enum { NR = 200 };
	struct asked *a = calloc(NR, sizeof(*a));

	open_all();
	fill(memory, 5, 4096);
	for (unsigned i = 0; i < NR; i++)
		send_off(&a[i], BLKSTORE_WRITE, i * 4096, memory, 4096);
	for (unsigned i = 0; i < NR; i++)
		ck_assert_int_eq(wait_for(&a[i]), 0);
	for (unsigned i = 0; i < NR; i++)
		ck_assert_uint_eq(server.bytes[i * 4096 + 4095], 5);
	free(a);
}
END_TEST

START_TEST(without_flush_writes_are_durable_by_themselves)
{
	server.flags = 1 | NBD_SEND_FUA;
	open_all();
	ck_assert(s->can_flush && !s->can_discard);
	fill(memory, 3, 4096);
	ck_assert_int_eq(ask(BLKSTORE_WRITE, 0, memory, 4096), 0);
	ck_assert_uint_eq(server.fua, 1);
	struct asked a = { .req = { .op = BLKSTORE_FLUSH } };
	ck_assert_int_eq(s->ops->try(s, &a.req), 0);
	ck_assert_uint_eq(server.flushes, 0);
}
END_TEST

static const struct {
	uint32_t error;
	int rc;
} errors[] = { { 5, -EIO }, { 28, -ENOSPC }, { 22, -EINVAL }, { 1, -EPERM }, { 4711, -EIO } };

START_TEST(an_error_is_the_request_s)
{
	server.no_structured = true;
	open_all();
	atomic_store(&server.error, errors[_i].error);
	ck_assert_int_eq(ask(BLKSTORE_READ, 0, memory, 4096), errors[_i].rc);
	ck_assert_int_eq(ask(BLKSTORE_READ, 0, memory, 4096), 0);
	ck_assert_uint_eq(server.connections, 1);
}
END_TEST

/* ---- a server that comes and goes --------------------------------------------------------------------- */

START_TEST(what_was_not_answered_is_sent_again)
{
	open_all();
	atomic_store(&server.forgets_nothing, true);
	for (unsigned i = 0; i < 20; i++) {
		atomic_store(&server.die_after, 1 + i % 3);
		fill(memory, i + 1, 8192);
		ck_assert_int_eq(ask(BLKSTORE_WRITE, i * 8192, memory, 8192), 0);
		ck_assert_int_eq(ask(BLKSTORE_READ, i * 8192, memory + 8192, 8192), 0);
		ck_assert_uint_eq(memory[8192 + 8191], i + 1);
	}
	ck_assert_uint_gt(server.connections, 5);
}
END_TEST

/* A server that dies forgets what was not flushed; the guest notices nothing. */
START_TEST(what_was_answered_and_not_flushed_is_written_anew)
{
	open_all();
	for (unsigned i = 0; i < 30; i++) {
		fill(memory, i + 1, 4096);
		ck_assert_int_eq(ask(BLKSTORE_WRITE, i * 4096, memory, 4096), 0);
		if (i == 10)
			ck_assert_int_eq(ask(BLKSTORE_FLUSH, 0, NULL, 0), 0);
	}
	ck_assert_int_eq(ask(BLKSTORE_DISCARD, 5 * 4096, NULL, 4096), 0);
	nbd_server_hang_up(&server);
	ck_assert_int_eq(ask(BLKSTORE_FLUSH, 0, NULL, 0), 0);
	for (unsigned i = 0; i < 30; i++)
		ck_assert_uint_eq(server.durable[i * 4096 + 100], i == 5 ? 0 : i + 1);
	/* Only what was not flushed: 30 writes, and 19 of them again. */
	ck_assert_uint_eq(server.writes, 49);
}
END_TEST

START_TEST(a_long_log_is_flushed_by_itself)
{
	struct blkstore_nbd_limits limits = short_limits;

	limits.log_bytes = 256u << 10;
	nbd_server_start(&server, SIZE);
	ck_assert_int_eq(open_with(&limits, false), 0);
	for (unsigned i = 0; i < 200; i++) {
		fill(memory, i + 1, 8192);
		ck_assert_int_eq(ask(BLKSTORE_WRITE, i * 8192, memory, 8192), 0);
	}
	ck_assert_uint_ge(server.flushes, 4);
	nbd_server_hang_up(&server);
	ck_assert_int_eq(ask(BLKSTORE_FLUSH, 0, NULL, 0), 0);
	for (unsigned i = 0; i < 200; i++)
		ck_assert_uint_eq(server.durable[i * 8192], (uint8_t)(i + 1));
}
END_TEST

START_TEST(without_a_server_requests_fail_and_then_it_is_back)
{
	open_all();
	atomic_store(&server.stopped, true);
	nbd_server_hang_up(&server);
	ck_assert_int_eq(ask(BLKSTORE_READ, 0, memory, 4096), -EIO);
	ck_assert_int_eq(ask(BLKSTORE_WRITE, 0, memory, 4096), -EIO);
	atomic_store(&server.stopped, false);
	usleep(200000);
	ck_assert_int_eq(ask(BLKSTORE_READ, 0, memory, 4096), 0);
}
END_TEST

START_TEST(who_is_in_a_hurry_does_not_wait_for_a_lost_server)
{
	struct blkstore_nbd_limits limits = short_limits;
	struct asked a;

	limits.lost_ms = 60000;
	nbd_server_start(&server, SIZE);
	ck_assert_int_eq(open_with(&limits, false), 0);
	atomic_store(&server.stopped, true);
	nbd_server_hang_up(&server);
	send_off(&a, BLKSTORE_READ, 0, memory, 4096);
	usleep(300000);
	ck_assert_int_eq(atomic_load(&a.rc), 1);
	s->ops->hurry(s, true);
	ck_assert_int_eq(wait_for(&a), -EIO);
	s->ops->hurry(s, false);
	atomic_store(&server.stopped, false);
	ck_assert_int_eq(ask(BLKSTORE_READ, 0, memory, 4096), 0);
}
END_TEST

START_TEST(another_disk_at_the_same_address_is_not_taken)
{
	open_all();
	server.size = SIZE / 2;
	nbd_server_hang_up(&server);
	ck_assert_int_eq(ask(BLKSTORE_READ, 0, memory, 4096), -EIO);
	server.size = SIZE;
	usleep(200000);
	ck_assert_int_eq(ask(BLKSTORE_READ, 0, memory, 4096), 0);
}
END_TEST

/* ---- lies --------------------------------------------------------------------------------------------- */

START_TEST(a_lie_in_the_greeting_is_one_sentence)
{
	server.lie = (enum nbd_lie)_i;
	nbd_server_start(&server, SIZE);
	ck_assert_int_lt(open_with(&short_limits, false), 0);
	ck_assert_ptr_nonnull(strstr(why, "disk nbd:unix:"));
	ck_assert_ptr_null(strchr(why, '\033'));
	s = NULL;
}
END_TEST

/* An error of the request, or a new connection; nothing is written where nothing belongs. */
START_TEST(a_lie_about_data_harms_its_request_only)
{
	uint8_t *at = memory + 4096;

	open_all();
	fill(memory, 0x5a, 3 * 4096);
	atomic_store(&server.lie, (enum nbd_lie)_i);
	ck_assert_int_le(ask(BLKSTORE_READ, 65536, at, 4096), 0);
	for (unsigned i = 0; i < 4096; i++)
		ck_assert_uint_eq(memory[i] ^ memory[2 * 4096 + i], 0);
	ck_assert_uint_eq(memory[0], 0x5a);
	atomic_store(&server.lie, NBD_HONEST);
	usleep(200000);
	fill(memory, 6, 4096);
	ck_assert_int_eq(ask(BLKSTORE_WRITE, 65536, memory, 4096), 0);
	ck_assert_int_eq(ask(BLKSTORE_READ, 65536, at, 4096), 0);
	ck_assert_uint_eq(at[4095], 6);
}
END_TEST

START_TEST(who_may_only_read_is_told_so)
{
	server.flags = ALL_FLAGS | NBD_READ_ONLY;
	nbd_server_start(&server, SIZE);
	ck_assert_int_eq(open_with(&short_limits, false), -EROFS);
	ck_assert_ptr_nonnull(strstr(why, "add ,ro"));
	ck_assert_int_eq(open_with(&short_limits, true), 0);
	ck_assert(s->readonly);
}
END_TEST

/* ---- addresses ------------------------------------------------------------------------------------------ */

static const struct {
	const char *text, *name;
	int family; /* 0: refused */
	uint16_t port;
} addresses[] = {
	{ "nbd:unix:/a/b", "", AF_UNIX, 0 },
	{ "nbd:unix:/a/b:exportname=x y", "x y", AF_UNIX, 0 },
	{ "nbd:127.0.0.1:99", "", AF_INET, 99 },
	{ "nbd:localhost:99:exportname=e", "e", AF_INET, 99 },
	{ "nbd:[::1]:99", "", AF_INET6, 99 },
	{ "nbd://127.0.0.1", "", AF_INET, 10809 },
	{ "nbd://127.0.0.1:5/e%20f", "e f", AF_INET, 5 },
	{ "nbd://[::1]:5/", "", AF_INET6, 5 },
	{ "nbd+unix:///?socket=/a%2fb", "", AF_UNIX, 0 },
	{ "nbd+unix:///n?socket=/a", "n", AF_UNIX, 0 },
	{ "nbd:", "", 0, 0 },
	{ "nbd:unix:", "", 0, 0 },
	{ "nbd:127.0.0.1", "", 0, 0 },
	{ "nbd:127.0.0.1:0", "", 0, 0 },
	{ "nbd:127.0.0.1:65536", "", 0, 0 },
	{ "nbd:127.0.0.1:9x", "", 0, 0 },
	{ "nbd://no.such.host.at.all", "", 0, 0 },
	{ "nbd+unix:///n", "", 0, 0 },
	{ "nbd+unix:///n?socket=%0", "", 0, 0 },
	{ "nbd+unix:///n?socket=%00", "", 0, 0 },
	{ "nbd://[::1", "", 0, 0 },
	{ "http://127.0.0.1", "", 0, 0 },
};

START_TEST(addresses_are_read_as_the_manual_says)
{
	struct nbd_address *a = malloc(sizeof(*a));
	const struct sockaddr_in *in = (const void *)&a->to;
	int rc = nbd_parse(a, addresses[_i].text, why, sizeof(why));

	nbd_server_start(&server, 4096); /* for the fixture */
	ck_assert_msg(rc == (addresses[_i].family ? 0 : -EINVAL), "%s: %s", addresses[_i].text,
	              why);
	if (!rc) {
		ck_assert_int_eq(a->to.ss_family, addresses[_i].family);
		ck_assert_str_eq(a->export_name, addresses[_i].name);
	}
	/* The port is in the same place for both kinds. */
	if (!rc && addresses[_i].family != AF_UNIX)
		ck_assert_uint_eq(be16toh(in->sin_port), addresses[_i].port);
	free(a);
}
END_TEST

Suite *blkstore_nbd_suite(void);
Suite *blkstore_nbd_suite(void)
{
	Suite *suite = suite_create("blkstore_nbd");
	TCase *normal = tcase_create("normal"), *limits = tcase_create("limits");
	TCase *hostile = tcase_create("hostile");
	TCase *all[] = { normal, limits, hostile };

	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		tcase_set_timeout(all[i], 60);
		tcase_add_checked_fixture(all[i], begin, end);
		suite_add_tcase(suite, all[i]);
	}
	tcase_add_loop_test(normal, what_is_written_is_read, 0, 4);
	tcase_add_test(normal, many_at_once);
	tcase_add_test(normal, without_flush_writes_are_durable_by_themselves);
	tcase_add_loop_test(normal, an_error_is_the_request_s, 0, ARRAY_LEN(errors));
	tcase_add_loop_test(normal, addresses_are_read_as_the_manual_says, 0, ARRAY_LEN(addresses));
	tcase_add_test(limits, what_was_not_answered_is_sent_again);
	tcase_add_test(limits, what_was_answered_and_not_flushed_is_written_anew);
	tcase_add_test(limits, a_long_log_is_flushed_by_itself);
	tcase_add_test(limits, without_a_server_requests_fail_and_then_it_is_back);
	tcase_add_test(limits, who_is_in_a_hurry_does_not_wait_for_a_lost_server);
	tcase_add_test(limits, another_disk_at_the_same_address_is_not_taken);
	tcase_add_loop_test(hostile, a_lie_in_the_greeting_is_one_sentence, NBD_SAYS_NOTHING,
	                    NBD_LAST_IN_GREETING + 1);
	tcase_add_loop_test(hostile, a_lie_about_data_harms_its_request_only, NBD_OTHER_COOKIE,
	                    NR_NBD_LIES);
	tcase_add_test(hostile, who_may_only_read_is_told_so);
	return suite;
}
