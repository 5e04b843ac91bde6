/* SPDX-License-Identifier: MIT */
/*
 * The store's messages: every type with every kind of malformed payload, replies that carry what
 * the request said, limits, and what a new domain finds.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hypervisor-stub/core/xenstore/quota.h"
#include "tests/fake/xs_client.h"

Suite *xs_wire_suite(void);

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

static struct xs_store *store;
static struct xsc *host, *one;

static void set_up(void)
{
	ck_assert_int_eq(xs_store_create(&store, NULL), 0);
	host = xsc_open(store, 0, true);
	one = xsc_open(store, 1, false);
	ck_assert_int_eq(xsc_path(host, XS_MKDIR, "/local/domain/1"), 0);
	ck_assert_int_eq(xsc_set_perms(host, "/local/domain/1", "n1"), 0);
}

static void tear_down(void)
{
	ck_assert_int_eq(xs_store_check(store), 0);
	xsc_close(one);
	xsc_close(host);
	xs_store_destroy(store);
}

/* ---- what a request gets --------------------------------------------------------------------- */

/* From domain 1 and from the host; rc1, rc0: what each gets. */
static const struct {
	uint32_t type;
	const char *payload;
	size_t len;
	int rc1, rc0;
} requests[] = {
	/* one string, its nul at the end */
	{ XS_READ, "", 0, -EINVAL, -EINVAL },
	{ XS_READ, "a", 1, -EINVAL, -EINVAL },
	{ XS_READ, "/\0x", 3, -EINVAL, -EINVAL },
	{ XS_READ, "/\0\0", 3, -EINVAL, -EINVAL },
	{ XS_READ, "\0", 1, -EINVAL, -EINVAL },
	{ XS_READ, "@introduceDomain", 17, -EINVAL, -EINVAL },
	{ XS_DIRECTORY, "", 0, -EINVAL, -EINVAL },
	{ XS_DIRECTORY, "a", 1, -EINVAL, -EINVAL },
	{ XS_DIRECTORY, "/tool/", 7, -EINVAL, -EINVAL },
	{ XS_DIRECTORY, "/tool", 6, -EACCES, 0 },
	{ XS_GET_PERMS, "", 0, -EINVAL, -EINVAL },
	{ XS_GET_PERMS, "/", 2, -EACCES, 0 },
	{ XS_GET_PERMS, "@introduceDomain", 17, -EACCES, 0 },
	{ XS_MKDIR, "", 0, -EINVAL, -EINVAL },
	{ XS_MKDIR, "x", 1, -EINVAL, -EINVAL },
	{ XS_MKDIR, "@x", 3, -EINVAL, -EINVAL },
	{ XS_MKDIR, "x", 2, 0, 0 },
	{ XS_RM, "", 0, -EINVAL, -EINVAL },
	{ XS_RM, "x", 1, -EINVAL, -EINVAL },
	/* a path, then anything */
	{ XS_WRITE, "", 0, -EINVAL, -EINVAL },
	{ XS_WRITE, "x", 1, -EINVAL, -EINVAL },
	{ XS_WRITE, "x\0", 2, 0, 0 },
	{ XS_WRITE, "x\0\0\0", 4, 0, 0 },
	{ XS_WRITE, "\0v", 2, -EINVAL, -EINVAL },
	{ XS_WRITE, "@x\0v", 4, -EINVAL, -EINVAL },
	{ XS_SET_PERMS, "", 0, -EINVAL, -EINVAL },
	{ XS_SET_PERMS, "/", 2, -EINVAL, -EINVAL },
	{ XS_SET_PERMS, "/\0n0", 4, -EINVAL, -EINVAL }, /* the last nul is missing */
	{ XS_SET_PERMS, "/\0q0", 5, -EINVAL, -EINVAL },
	{ XS_SET_PERMS, "/\0n0\0\0", 6, -EINVAL, -EINVAL },
	{ XS_SET_PERMS, "/\0n0", 5, -EACCES, 0 },
	{ XS_SET_PERMS, "/none\0n0", 9, -EACCES, -ENOENT },
	{ XS_SET_PERMS, "@releaseDomain\0n0\0r1", 21, -EACCES, 0 },
	/* two strings */
	{ XS_DIRECTORY_PART, "", 0, -EINVAL, -EINVAL },
	{ XS_DIRECTORY_PART, "/", 2, -EINVAL, -EINVAL },
	{ XS_DIRECTORY_PART,
	  "/\0"
	  "0",
	  3, -EINVAL, -EINVAL },
	{ XS_DIRECTORY_PART,
	  "/\0"
	  "0\0x",
	  5, -EINVAL, -EINVAL },
	{ XS_DIRECTORY_PART,
	  "/\0"
	  "-1",
	  5, -EACCES, -EINVAL },
	{ XS_DIRECTORY_PART, "/\0", 3, -EACCES, -EINVAL },
	{ XS_DIRECTORY_PART,
	  "/\0"
	  "99999999999",
	  14, -EACCES, -EINVAL },
	{ XS_DIRECTORY_PART,
	  "/\0"
	  "0",
	  4, -EACCES, 0 },
	/* domains */
	{ XS_GET_DOMAIN_PATH, "", 0, -EINVAL, -EINVAL },
	{ XS_GET_DOMAIN_PATH, "", 1, -EINVAL, -EINVAL },
	{ XS_GET_DOMAIN_PATH, "x", 2, -EINVAL, -EINVAL },
	{ XS_GET_DOMAIN_PATH, "65536", 6, -EINVAL, -EINVAL },
	{ XS_GET_DOMAIN_PATH, "4294967296", 11, -EINVAL, -EINVAL },
	{ XS_GET_DOMAIN_PATH, "5", 2, 0, 0 },
	{ XS_IS_DOMAIN_INTRODUCED, "", 0, -EINVAL, -EINVAL },
	{ XS_IS_DOMAIN_INTRODUCED, "2", 2, -EACCES, 0 },
	{ XS_IS_DOMAIN_INTRODUCED, "1", 2, 0, 0 },
	{ XS_IS_DOMAIN_INTRODUCED, "0", 2, 0, 0 },
	{ XS_IS_DOMAIN_INTRODUCED, "32752", 6, 0, 0 }, /* DOMID_SELF */
	/* the host's only */
	{ XS_CONTROL, "check", 6, -EACCES, 0 },
	{ XS_CONTROL, "help", 5, -EACCES, 0 },
	{ XS_CONTROL, "what", 5, -EACCES, -EINVAL },
	{ XS_CONTROL, "", 0, -EACCES, -EINVAL },
	{ XS_INTRODUCE,
	  "2\0"
	  "5\0"
	  "5",
	  6, -EACCES, -ENOSYS },
	{ XS_RELEASE, "2", 2, -EACCES, -ENOSYS },
	{ XS_RESUME, "2", 2, -EACCES, -ENOENT },
	{ XS_RESUME, "", 0, -EACCES, -EINVAL },
	{ XS_SET_TARGET,
	  "1\0"
	  "2",
	  4, -EACCES, -ENOENT },
	{ XS_SET_TARGET, "1", 2, -EACCES, -EINVAL },
	/* no requests at all */
	{ XS_WATCH_EVENT, "a\0t", 4, -ENOSYS, -ENOSYS },
	{ XS_ERROR, "EINVAL", 7, -ENOSYS, -ENOSYS },
	{ XS_SET_TARGET + 1, "", 0, -ENOSYS, -ENOSYS },
	{ XS_TYPE_COUNT, "", 0, -ENOSYS, -ENOSYS },
	{ XS_INVALID, "", 0, -ENOSYS, -ENOSYS },
	{ UINT32_MAX, "", 0, -ENOSYS, -ENOSYS },
	{ 0x80000002u, "/", 2, -ENOSYS, -ENOSYS },
};

START_TEST(each_request_gets_the_answer_that_its_shape_deserves)
{
	ck_assert_int_eq(xsc_call(one, requests[_i].type, requests[_i].payload, requests[_i].len),
	                 requests[_i].rc1);
	ck_assert_int_eq(xsc_call(host, requests[_i].type, requests[_i].payload, requests[_i].len),
	                 requests[_i].rc0);
}
END_TEST

START_TEST(an_acknowledgement_says_ok)
{
	ck_assert_int_eq(xsc_write(one, "a", "v"), 0);
	ck_assert_uint_eq(one->reply_len, 3);
	ck_assert_mem_eq(one->reply, "OK", 3);
}
END_TEST

START_TEST(a_reply_carries_the_numbers_of_its_request)
{
	struct xsd_sockmsg rq = {
		.type = XS_READ, .req_id = 0xdeadbeef, .tx_id = 0xfeedface, .len = 2
	};
	struct xsd_sockmsg reply;
	char payload[XENSTORE_PAYLOAD_MAX];

	ck_assert_int_eq(xs_conn_request(one->conn, &rq, "/"), 0);
	ck_assert(xs_conn_receive(one->conn, &reply, payload));
	ck_assert_uint_eq(reply.type, XS_ERROR);
	ck_assert_uint_eq(reply.req_id, rq.req_id);
	ck_assert_uint_eq(reply.tx_id, rq.tx_id);
	ck_assert_uint_eq(reply.len, sizeof("ENOENT"));
	ck_assert_str_eq(payload, "ENOENT");
	ck_assert(!xs_conn_receive(one->conn, &reply, payload));
}
END_TEST

START_TEST(a_client_is_told_when_there_is_something_to_read)
{
	struct xsd_sockmsg rq = { .type = XS_WATCH, .len = 4 }, hdr;
	char payload[XENSTORE_PAYLOAD_MAX];
	unsigned told = one->told;

	ck_assert_int_eq(xs_conn_request(one->conn, &rq, "a\0t"), 0);
	ck_assert_uint_eq(one->told, told + 1);
	ck_assert(xs_conn_receive(one->conn, &hdr, payload)); /* the reply */
	ck_assert(xs_conn_receive(one->conn, &hdr, payload)); /* the first event */
	ck_assert(!xs_conn_receive(one->conn, &hdr, payload));
	told = one->told;
	ck_assert_int_eq(xsc_write(host, "/local/domain/1/a", "v"), 0);
	ck_assert_uint_eq(one->told, told + 1);
}
END_TEST

START_TEST(domains_have_paths_and_may_ask_for_themselves)
{
	static char page[4096] __attribute__((aligned(4096)));
	struct xs_conn *conn;

	ck_assert_int_eq(xsc_path(one, XS_GET_DOMAIN_PATH, "00012"), 0);
	ck_assert_str_eq(one->reply, "/local/domain/12");
	ck_assert_int_eq(xsc_path(host, XS_IS_DOMAIN_INTRODUCED, "2"), 0);
	ck_assert_str_eq(host->reply, "F");
	ck_assert_int_eq(xs_introduce(store, 2, page, NULL, NULL, &conn), 0);
	ck_assert_int_eq(xs_introduce(store, 2, page, NULL, NULL, &conn), -EEXIST);
	ck_assert_int_eq(xsc_path(host, XS_IS_DOMAIN_INTRODUCED, "2"), 0);
	ck_assert_str_eq(host->reply, "T");
	xs_release(store, 2);
	ck_assert_int_eq(xsc_path(host, XS_IS_DOMAIN_INTRODUCED, "2"), 0);
	ck_assert_str_eq(host->reply, "F");
	ck_assert_int_eq(xs_introduce(store, 0, page, NULL, NULL, &conn), -EINVAL);
	ck_assert_int_eq(xs_introduce(store, DOMID_SELF, page, NULL, NULL, &conn), -EINVAL);
}
END_TEST

/* ---- lists ----------------------------------------------------------------------------------- */

static void make_children(unsigned nr)
{
	char path[64];
	unsigned i;

	for (i = 0; i < nr; i++) {
		snprintf(path, sizeof(path), "/big/child-number-%04u", i);
		ck_assert_int_eq(xsc_path(host, XS_MKDIR, path), 0);
	}
}

/* Reads a folder piece by piece, as a client must; counts its names. */
static unsigned count_by_parts(unsigned long long *generation)
{
	unsigned nr = 0;
	char offset[16];
	size_t at = 0, i;

	for (;;) {
		snprintf(offset, sizeof(offset), "%zu", at);
		ck_assert_int_eq(xsc_two(host, XS_DIRECTORY_PART, "/big", offset), 0);
		*generation = strtoull(host->reply, NULL, 10);
		i = strlen(host->reply) + 1;
		while (i < host->reply_len) {
			if (!host->reply[i])
				return nr;
			at += strlen(host->reply + i) + 1;
			i += strlen(host->reply + i) + 1;
			nr++;
		}
	}
}

START_TEST(a_long_list_is_read_in_parts)
{
	unsigned long long before, after;

	make_children(500);
	ck_assert_int_eq(xsc_path(host, XS_DIRECTORY, "/big"), -E2BIG);
	ck_assert_uint_eq(count_by_parts(&before), 500);
	ck_assert_uint_eq(count_by_parts(&after), 500);
	ck_assert(before == after);
	ck_assert_int_eq(xsc_path(host, XS_RM, "/big/child-number-0007"), 0);
	ck_assert_uint_eq(count_by_parts(&after), 499);
	ck_assert(before != after);
}
END_TEST

START_TEST(a_list_that_just_fits_is_read_at_once)
{
	/* 22 letters and a nul each: 23 * 178 = 4094 */
	char path[64];
	unsigned i;

	for (i = 0; i < 178; i++) {
		snprintf(path, sizeof(path), "/big/%022u", i);
		ck_assert_int_eq(xsc_path(host, XS_MKDIR, path), 0);
	}
	ck_assert_int_eq(xsc_path(host, XS_DIRECTORY, "/big"), 0);
	ck_assert_uint_eq(host->reply_len, 4094);
	ck_assert_int_eq(xsc_path(host, XS_MKDIR, "/big/z"), 0);
	ck_assert_int_eq(xsc_path(host, XS_DIRECTORY, "/big"), 0);
	ck_assert_uint_eq(host->reply_len, 4096);
	ck_assert_int_eq(xsc_path(host, XS_RM, "/big/z"), 0);
	ck_assert_int_eq(xsc_path(host, XS_MKDIR, "/big/zz"), 0);
	ck_assert_int_eq(xsc_path(host, XS_DIRECTORY, "/big"), -E2BIG);
}
END_TEST

/* ---- limits ---------------------------------------------------------------------------------- */

START_TEST(the_longest_message_passes_and_a_longer_one_ends_the_connection)
{
	static char payload[XENSTORE_PAYLOAD_MAX + 1] = "/v";
	struct xsd_sockmsg rq = { .type = XS_WRITE, .len = XENSTORE_PAYLOAD_MAX + 1 };

	memset(payload + 3, 'v', sizeof(payload) - 3);
	ck_assert_int_eq(xsc_call(host, XS_WRITE, payload, XENSTORE_PAYLOAD_MAX), 0);
	ck_assert_int_eq(xsc_path(host, XS_READ, "/v"), 0);
	ck_assert_uint_eq(host->reply_len, XENSTORE_PAYLOAD_MAX - 3);
	ck_assert_int_eq(xsc_two(one, XS_WATCH, "a", "t"), 0);
	ck_assert_int_eq(xs_conn_request(one->conn, &rq, payload), -EMSGSIZE);
	rq.len = 2;
	ck_assert_int_eq(xs_conn_request(one->conn, &rq, payload), -EPIPE);
	ck_assert_str_eq(xsc_events(one), "");
}
END_TEST

START_TEST(replies_that_nobody_reads_stop_the_requests)
{
	struct xsd_sockmsg rq = { .type = XS_MKDIR, .len = 2 }, hdr;
	char payload[XENSTORE_PAYLOAD_MAX];
	unsigned i;

	for (i = 0; i < xs_quota_default.replies; i++)
		ck_assert_int_eq(xs_conn_request(one->conn, &rq, "a"), 0);
	ck_assert_int_eq(xs_conn_request(one->conn, &rq, "b"), -EAGAIN);
	ck_assert(xs_conn_receive(one->conn, &hdr, payload));
	ck_assert_int_eq(xs_conn_request(one->conn, &rq, "b"), 0);
}
END_TEST

/* ---- rights that a domain gets from another ------------------------------------------------------ */

START_TEST(a_target_lends_its_rights_while_it_lives)
{
	static char page[2][4096] __attribute__((aligned(4096)));
	struct xenstore_domain_interface *ring = (void *)page[0];
	struct xsd_sockmsg rq = { .type = XS_READ, .len = 18 };
	struct xs_conn *conn, *conn2;
	unsigned i;

	ck_assert_int_eq(xsc_write(host, "/local/domain/2/a", "v"), 0);
	ck_assert_int_eq(xsc_set_perms(host, "/local/domain/2/a", "n2"), 0);
	ck_assert_int_eq(xs_introduce(store, 3, page[0], NULL, NULL, &conn), 0);
	ck_assert_int_eq(xs_introduce(store, 2, page[1], NULL, NULL, &conn2), 0);
	for (i = 0; i < 3; i++) {
		if (i == 1)
			ck_assert_int_eq(xsc_call(host, XS_SET_TARGET,
			                          "3\0"
			                          "2",
			                          4),
			                 0);
		if (i == 2)
			xs_release(store, 2);
		if (i == 2) { /* its nodes went with it; another domain gets its number */
			ck_assert_int_eq(xsc_write(host, "/local/domain/2/a", "v"), 0);
			ck_assert_int_eq(xsc_set_perms(host, "/local/domain/2/a", "n2"), 0);
		}
		memcpy(ring->req + ring->req_prod, &rq, sizeof(rq));
		memcpy(ring->req + ring->req_prod + sizeof(rq), "/local/domain/2/a", 18);
		ring->req_prod += sizeof(rq) + 18;
		xs_guest_event(conn);
		memcpy(&rq, ring->rsp + ring->rsp_cons, sizeof(rq));
		ck_assert_uint_eq(rq.type, i == 1 ? XS_READ : XS_ERROR);
		ring->rsp_cons = ring->rsp_prod;
		rq = (struct xsd_sockmsg){ .type = XS_READ, .len = 18 };
	}
	xs_release(store, 3);
}
END_TEST

/* ---- a new domain ---------------------------------------------------------------------------- */

static const struct xs_domain_info info = {
	.domid = 5,
	.name = "guest",
	.uuid = { 0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0, 1, 2, 3, 4, 5, 6, 7, 8 },
	.memory_kib = 65536,
	.max_memory_kib = 131072,
	.nr_vcpus = 1,
	.max_vcpus = 2,
	.store_mfn = 1001,
	.console_mfn = 1002,
	.store_port = 1,
	.console_port = 2,
};

#define VM "/vm/12345678-9abc-def0-0102-030405060708"

static const struct {
	const char *path, *value, *perms; /* NULL value: need not be looked at */
} expected[] = {
	{ "", "", "n0,r5," },
	{ "/name", "guest", "n0,r5," },
	{ "/domid", "5", "n0,r5," },
	{ "/vm", VM, "n0,r5," },
	{ "/memory/target", "65536", "n0,r5," },
	{ "/memory/static-max", "131072", "n0,r5," },
	{ "/cpu/0/availability", "online", "n0,r5," },
	{ "/cpu/1/availability", "offline", "n0,r5," },
	{ "/console/ring-ref", "1002", "n0,r5," },
	{ "/console/port", "2", "n0,r5," },
	{ "/console/type", "xenconsoled", "n0,r5," },
	{ "/console/limit", "1048576", "n0,r5," },
	{ "/console/tty", "", "n0,r5," },
	{ "/store/ring-ref", "1001", "n0,r5," },
	{ "/store/port", "1", "n0,r5," },
	{ "/device", "", "n0,r5," },
	{ "/device/suspend/event-channel", "", "n5," },
	{ "/control", "", "n0,r5," },
	{ "/control/shutdown", "", "n5," },
	{ "/control/platform-feature-xs_reset_watches", "1", "n0,r5," },
	{ "/control/feature-poweroff", "", "n5," },
	{ "/data", "", "n5," },
	{ "/error", "", "n5," },
};

START_TEST(a_new_domain_finds_what_xl_would_have_made)
{
	struct xsc *five = xsc_open(store, 5, false);
	char path[128];
	size_t i;

	ck_assert_int_eq(xs_domain_populate(store, &info), 0);
	for (i = 0; i < ARRAY_LEN(expected); i++) {
		snprintf(path, sizeof(path), "/local/domain/5%s", expected[i].path);
		ck_assert_str_eq(xsc_read(five, path), expected[i].value);
		ck_assert_str_eq(xsc_list(host, XS_GET_PERMS, path), expected[i].perms);
	}
	ck_assert_str_eq(xsc_read(five, VM "/name"), "guest");
	ck_assert_str_eq(xsc_read(five, VM "/uuid"), &VM[4]);
	ck_assert_str_eq(xsc_read(host, "/local/domain/0/name"), "Domain-0");
	ck_assert_str_eq(xsc_read(host, "/local/domain/0/domid"), "0");
	ck_assert_int_eq(xsc_write(five, "name", "other"), -EACCES);
	ck_assert_int_eq(xsc_write(five, "new", "v"), -EACCES);
	ck_assert_int_eq(xsc_write(five, "control/shutdown", ""), 0);
	ck_assert_int_eq(xsc_write(five, "data/mine", "v"), 0);
	ck_assert_str_eq(xsc_read(one, "/local/domain/5/name"), "!EACCES");
	xsc_close(five);
}
END_TEST

START_TEST(a_domain_leaves_nothing_behind)
{
	static char page[4096] __attribute__((aligned(4096)));
	struct xs_conn *conn;

	ck_assert_int_eq(xs_domain_populate(store, &info), 0);
	ck_assert_int_eq(xs_introduce(store, 5, page, NULL, NULL, &conn), 0);
	ck_assert_int_eq(xsc_write(host, "/local/domain/0/backend/vbd/5/1/state", "2"), 0);
	ck_assert_int_eq(xsc_set_perms(host, "/local/domain/0/backend/vbd/5/1", "n0,r5,r6"), 0);
	ck_assert_int_eq(xsc_set_perms(host, "@releaseDomain", "n5"), 0);
	ck_assert_int_eq(xsc_two(host, XS_WATCH, "/local/domain/5/control/shutdown", "t"), 0);
	xsc_events(host);
	xs_release(store, 5);
	ck_assert_str_eq(xsc_events(host), "/local/domain/5/control/shutdown|t ");
	ck_assert_str_eq(xsc_read(host, "/local/domain/5/data"), "!ENOENT"); /* was its own */
	ck_assert_str_eq(xsc_read(host, "/local/domain/5/name"), "guest");
	ck_assert_str_eq(xsc_list(host, XS_GET_PERMS, "/local/domain/5/name"), "n0,");
	ck_assert_str_eq(xsc_list(host, XS_GET_PERMS, "/local/domain/0/backend/vbd/5/1"), "n0,r6,");
	ck_assert_str_eq(xsc_list(host, XS_GET_PERMS, "@releaseDomain"), "n0,");
	xs_domain_forget(store, 5);
	ck_assert_str_eq(xsc_read(host, "/local/domain/5"), "!ENOENT");
	ck_assert_str_eq(xsc_read(host, VM), "!ENOENT");
	ck_assert_str_eq(xsc_list(host, XS_DIRECTORY, "/local/domain"), "0,1,");
}
END_TEST

START_TEST(a_domain_that_cannot_be_is_not_populated)
{
	struct xs_domain_info bad = info;

	bad.domid = 0;
	ck_assert_int_eq(xs_domain_populate(store, &bad), -EINVAL);
	bad.domid = DOMID_FIRST_RESERVED;
	ck_assert_int_eq(xs_domain_populate(store, &bad), -EINVAL);
	bad = info;
	bad.name = NULL;
	ck_assert_int_eq(xs_domain_populate(store, &bad), -EINVAL);
}
END_TEST

Suite *xs_wire_suite(void)
{
	Suite *s = suite_create("xs_wire");
	TCase *normal = tcase_create("normal"), *limits = tcase_create("limits"),
	      *hostile = tcase_create("hostile");

	tcase_add_checked_fixture(normal, set_up, tear_down);
	tcase_add_checked_fixture(limits, set_up, tear_down);
	tcase_add_checked_fixture(hostile, set_up, tear_down);
	tcase_add_test(normal, an_acknowledgement_says_ok);
	tcase_add_test(normal, a_reply_carries_the_numbers_of_its_request);
	tcase_add_test(normal, a_client_is_told_when_there_is_something_to_read);
	tcase_add_test(normal, domains_have_paths_and_may_ask_for_themselves);
	tcase_add_test(normal, a_target_lends_its_rights_while_it_lives);
	tcase_add_test(normal, a_new_domain_finds_what_xl_would_have_made);
	tcase_add_test(normal, a_domain_leaves_nothing_behind);
	tcase_add_test(limits, a_long_list_is_read_in_parts);
	tcase_add_test(limits, a_list_that_just_fits_is_read_at_once);
	tcase_add_test(limits, the_longest_message_passes_and_a_longer_one_ends_the_connection);
	tcase_add_test(limits, replies_that_nobody_reads_stop_the_requests);
	tcase_add_loop_test(hostile, each_request_gets_the_answer_that_its_shape_deserves, 0,
	                    ARRAY_LEN(requests));
	tcase_add_test(hostile, a_domain_that_cannot_be_is_not_populated);
	suite_add_tcase(s, normal);
	suite_add_tcase(s, limits);
	suite_add_tcase(s, hostile);
	return s;
}
