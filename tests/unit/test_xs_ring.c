/* SPDX-License-Identifier: MIT */
/*
 * The store's shared page, with honest guests and with guests that write anything anywhere in it.
 */
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "hypervisor-stub/core/xenstore/quota.h"
#include "tests/fake/xs_client.h"

Suite *xs_ring_suite(void);

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* The guest's end of a page, as plain as the protocol allows. */
struct guest {
	domid_t domid;
	union {
		struct xenstore_domain_interface ring;
		char bytes[4096];
	} page;
	struct xs_conn *conn;
	unsigned told;
	uint32_t req_prod, rsp_cons, next_id;
	struct xsd_sockmsg hdr; /* last message */
	char payload[XENSTORE_PAYLOAD_MAX + 1];
	unsigned nr_events;
	char last_event[128];
};

static struct xs_store *store;
static struct xsc *host;
static struct guest one, two;

static void told(void *arg)
{
	struct guest *g = arg;

	__atomic_fetch_add(&g->told, 1, __ATOMIC_RELAXED);
}

static void guest_begin(struct guest *g, domid_t domid)
{
	char path[64], perms[16];

	memset(g, 0, sizeof(*g));
	memset(&g->page, 0xa5, sizeof(g->page)); /* nothing may be expected of it */
	g->domid = domid;
	snprintf(path, sizeof(path), "/local/domain/%u", domid);
	snprintf(perms, sizeof(perms), "n%u", domid);
	ck_assert_int_eq(xsc_path(host, XS_MKDIR, path), 0);
	ck_assert_int_eq(xsc_set_perms(host, path, perms), 0);
	ck_assert_int_eq(xs_introduce(store, domid, &g->page, told, g, &g->conn), 0);
}

static void set_up(void)
{
	ck_assert_int_eq(xs_store_create(&store, NULL), 0);
	host = xsc_open(store, 0, true);
	guest_begin(&one, 1);
	guest_begin(&two, 2);
}

static void tear_down(void)
{
	ck_assert_int_eq(xs_store_check(store), 0);
	xs_release(store, 1);
	xs_release(store, 2);
	xsc_close(host);
	xs_store_destroy(store);
}

static void event(struct guest *g)
{
	xs_guest_event(g->conn);
}

/* Puts in as many bytes as there is room for; returns how many. */
static size_t put(struct guest *g, const char *data, size_t len)
{
	uint32_t room = XENSTORE_RING_SIZE -
	                (g->req_prod - __atomic_load_n(&g->page.ring.req_cons, __ATOMIC_ACQUIRE));
	size_t i;

	if (len > room)
		len = room;
	for (i = 0; i < len; i++)
		g->page.ring.req[MASK_XENSTORE_IDX(g->req_prod + i)] = data[i];
	g->req_prod += (uint32_t)len;
	__atomic_store_n(&g->page.ring.req_prod, g->req_prod, __ATOMIC_RELEASE);
	return len;
}

static size_t get(struct guest *g, char *data, size_t len)
{
	uint32_t avail = __atomic_load_n(&g->page.ring.rsp_prod, __ATOMIC_ACQUIRE) - g->rsp_cons;
	size_t i;

	ck_assert_uint_le(avail, XENSTORE_RING_SIZE);
	if (len > avail)
		len = avail;
	for (i = 0; i < len; i++)
		data[i] = g->page.ring.rsp[MASK_XENSTORE_IDX(g->rsp_cons + i)];
	g->rsp_cons += (uint32_t)len;
	__atomic_store_n(&g->page.ring.rsp_cons, g->rsp_cons, __ATOMIC_RELEASE);
	return len;
}

/* Reads on until it has all; the server must bring forth more each time. */
static void get_all(struct guest *g, void *data, size_t len)
{
	size_t done = 0, n;

	while (done < len) {
		n = get(g, (char *)data + done, len - done);
		done += n;
		if (done == len)
			break;
		event(g);
		ck_assert_msg(n || g->page.ring.rsp_prod != g->rsp_cons, "nothing more comes");
	}
}

static void put_all(struct guest *g, const void *data, size_t len)
{
	size_t done = 0, n;

	while (done < len) {
		n = put(g, (const char *)data + done, len - done);
		ck_assert_uint_gt(n, 0);
		done += n;
		event(g);
	}
}

static bool has_message(struct guest *g)
{
	return __atomic_load_n(&g->page.ring.rsp_prod, __ATOMIC_ACQUIRE) != g->rsp_cons;
}

static void get_message(struct guest *g)
{
	get_all(g, &g->hdr, sizeof(g->hdr));
	ck_assert_uint_le(g->hdr.len, XENSTORE_PAYLOAD_MAX);
	get_all(g, g->payload, g->hdr.len);
	g->payload[g->hdr.len] = '\0';
	if (g->hdr.type == XS_WATCH_EVENT) {
		g->nr_events++;
		/* Only its beginning is compared; a longer one is cut. */
		memcpy(g->last_event, g->payload, sizeof(g->last_event) - 1);
	}
}

static void send(struct guest *g, uint32_t type, const void *payload, size_t len)
{
	struct xsd_sockmsg hdr = { .type = type, .req_id = ++g->next_id, .len = (uint32_t)len };

	put_all(g, &hdr, sizeof(hdr));
	put_all(g, payload, len);
}

/* A request and its reply; 0, or -1 for any error. */
static int call(struct guest *g, uint32_t type, const void *payload, size_t len)
{
	send(g, type, payload, len);
	do
		get_message(g);
	while (g->hdr.type == XS_WATCH_EVENT);
	ck_assert_uint_eq(g->hdr.req_id, g->next_id);
	if (g->hdr.type == XS_ERROR)
		return -1;
	ck_assert_uint_eq(g->hdr.type, type);
	return 0;
}

/* ---- normal ---------------------------------------------------------------------------------- */

START_TEST(a_fresh_page_is_ready_and_says_what_the_server_can)
{
	const struct xenstore_domain_interface *r = &one.page.ring;

	ck_assert_uint_eq(r->req_cons, 0);
	ck_assert_uint_eq(r->req_prod, 0);
	ck_assert_uint_eq(r->rsp_cons, 0);
	ck_assert_uint_eq(r->rsp_prod, 0);
	ck_assert_uint_eq(r->server_features,
	                  XENSTORE_SERVER_FEATURE_RECONNECTION | XENSTORE_SERVER_FEATURE_ERROR);
	ck_assert_uint_eq(r->connection, XENSTORE_CONNECTED);
	ck_assert_uint_eq(r->error, XENSTORE_ERROR_NONE);
}
END_TEST

START_TEST(messages_of_all_lengths_pass_around_the_ring)
{
	char payload[XENSTORE_PAYLOAD_MAX] = "a";
	unsigned i, len;

	for (i = 0; i < 400; i++) {
		len = i * 37 % 2000;
		memset(payload + 2, 'a' + (int)(i % 26), len);
		ck_assert_int_eq(call(&one, XS_WRITE, payload, len + 2), 0);
		ck_assert_int_eq(call(&one, XS_READ, "a", 2), 0);
		ck_assert_uint_eq(one.hdr.len, len);
		ck_assert_mem_eq(one.payload, payload + 2, len);
	}
}
END_TEST

START_TEST(a_message_may_come_byte_by_byte)
{
	struct {
		struct xsd_sockmsg hdr;
		char payload[4];
	} rq = { { .type = XS_WRITE, .req_id = 7, .len = 4 }, "a\0vw" };
	size_t i;

	for (i = 0; i < sizeof(rq); i++) {
		ck_assert(!has_message(&one));
		ck_assert_uint_eq(put(&one, (char *)&rq + i, 1), 1);
		event(&one);
		ck_assert_uint_eq(one.page.ring.req_cons, one.req_prod);
	}
	get_message(&one);
	ck_assert_uint_eq(one.hdr.req_id, 7);
	ck_assert_str_eq(one.payload, "OK");
	ck_assert_str_eq(xsc_read(host, "/local/domain/1/a"), "vw");
}
END_TEST

START_TEST(the_guest_is_told_when_an_index_has_moved_and_only_then)
{
	unsigned before = one.told;

	event(&one);
	ck_assert_uint_eq(one.told, before);
	ck_assert_uint_eq(put(&one, "x", 1), 1);
	event(&one);
	ck_assert_uint_eq(one.told, before + 1);
	event(&one);
	ck_assert_uint_eq(one.told, before + 1);
}
END_TEST

START_TEST(an_event_comes_without_a_request)
{
	unsigned before;

	ck_assert_int_eq(call(&one, XS_WATCH, "a\0tok", 6), 0);
	get_message(&one);
	ck_assert_uint_eq(one.hdr.type, XS_WATCH_EVENT);
	before = one.told;
	ck_assert_int_eq(xsc_write(host, "/local/domain/1/a", "v"), 0);
	ck_assert_uint_eq(one.told, before + 1);
	get_message(&one);
	ck_assert_uint_eq(one.hdr.type, XS_WATCH_EVENT);
	ck_assert_uint_eq(one.hdr.req_id, 0);
	ck_assert_uint_eq(one.hdr.tx_id, 0);
	ck_assert_uint_eq(one.hdr.len, 6);
	ck_assert_mem_eq(one.payload, "a\0tok", 6);
}
END_TEST

/* The guest asks for a new beginning in the midst of everything. */
START_TEST(a_reconnected_ring_is_as_new)
{
	struct xsd_sockmsg half = { .type = XS_WRITE, .len = 100 };

	ck_assert_int_eq(call(&one, XS_WATCH, "a\0t", 4), 0);
	ck_assert_int_eq(call(&one, XS_TRANSACTION_START, "", 1), 0);
	ck_assert_int_eq(xsc_write(host, "/local/domain/1/a", "v"), 0); /* not read */
	put_all(&one, &half, sizeof(half));
	put_all(&one, "a", 2);
	one.page.ring.req_prod = 0x12345678; /* other fields do not matter now */
	one.page.ring.rsp_cons = 0x9abcdef0;
	one.page.ring.connection = XENSTORE_RECONNECT;
	one.told = 0;
	event(&one);
	ck_assert_uint_eq(one.told, 1);
	ck_assert_uint_eq(one.page.ring.connection, XENSTORE_CONNECTED);
	ck_assert_uint_eq(one.page.ring.req_prod, 0);
	ck_assert_uint_eq(one.page.ring.rsp_prod, 0);
	one.req_prod = one.rsp_cons = 0;
	ck_assert_int_eq(xsc_write(host, "/local/domain/1/a", "w"), 0);
	ck_assert(!has_message(&one)); /* the watch is gone */
	ck_assert_int_eq(call(&one, XS_READ, "a", 2), 0);
	ck_assert_str_eq(one.payload, "w");
}
END_TEST

START_TEST(two_guests_see_each_others_changes)
{
	ck_assert_int_eq(xsc_write(host, "/s", "v"), 0);
	ck_assert_int_eq(xsc_set_perms(host, "/s", "b0"), 0);
	ck_assert_int_eq(call(&two, XS_WATCH, "/s\0t", 5), 0);
	get_message(&two);
	two.told = 0;
	ck_assert_int_eq(call(&one, XS_WRITE, "/s\0w", 4), 0);
	ck_assert_uint_eq(two.told, 1);
	get_message(&two);
	ck_assert_str_eq(two.last_event, "/s");
	ck_assert_int_eq(call(&two, XS_READ, "/s", 3), 0);
	ck_assert_str_eq(two.payload, "w");
}
END_TEST

/* ---- limits ---------------------------------------------------------------------------------- */

/* A guest that sends and never reads: the server stops taking, and goes on where it stopped. */
START_TEST(who_does_not_read_is_not_served_but_loses_nothing)
{
	struct xsd_sockmsg hdr = { .type = XS_READ, .len = 2 };
	unsigned sent, got = 0, idle = 0;
	size_t n;

	ck_assert_int_eq(call(&one, XS_WRITE,
	                      "a\0"
	                      "0123456789012345678901234567890123456789",
	                      42),
	                 0);
	for (sent = 0;; sent++) {
		hdr.req_id = sent + 1;
		if (one.req_prod - one.page.ring.req_cons > XENSTORE_RING_SIZE - 18)
			break;
		put_all(&one, &hdr, sizeof(hdr));
		put_all(&one, "a", 2);
		ck_assert_uint_lt(sent, 1000);
	}
	/* the page both ways, and the replies that may wait */
	ck_assert_uint_ge(sent, xs_quota_default.replies + XENSTORE_RING_SIZE / 18);
	ck_assert_uint_le(sent, xs_quota_default.replies + XENSTORE_RING_SIZE / 18 +
	                                XENSTORE_RING_SIZE / 56 + 2);
	while (got < sent && idle < 3) {
		n = 0;
		while (has_message(&one) && got < sent) {
			get_message(&one);
			ck_assert_uint_eq(one.hdr.req_id, ++got);
			n++;
		}
		event(&one);
		idle = n ? 0 : idle + 1;
	}
	ck_assert_uint_eq(got, sent);
}
END_TEST

START_TEST(events_that_are_not_read_stay_bounded)
{
	char path[64];
	unsigned i;

	ck_assert_int_eq(call(&one, XS_WATCH, "a\0t", 4), 0);
	for (i = 0; i < 5000; i++) {
		snprintf(path, sizeof(path), "/local/domain/1/a/%u", i % 1000);
		ck_assert_int_eq(xsc_write(host, path, "v"), 0);
	}
	ck_assert_int_eq(xs_store_check(store), 0);
	event(&one);
	while (has_message(&one)) {
		get_message(&one);
		if (!has_message(&one))
			event(&one);
	}
	ck_assert_uint_ge(one.nr_events, xs_quota_default.events);
	ck_assert_uint_le(one.nr_events, xs_quota_default.events + 64);
	ck_assert_str_eq(one.last_event, "a");
}
END_TEST

/* ---- hostile --------------------------------------------------------------------------------- */

/* After a breach: nothing is served, others are, and a new beginning is possible. */
static void expect_stopped(uint32_t error)
{
	uint32_t cons = one.page.ring.req_cons, prod = one.page.ring.rsp_prod;

	ck_assert_uint_eq(one.page.ring.error, error);
	one.page.ring.req_prod = cons + 16;
	one.page.ring.rsp_cons = prod;
	event(&one);
	ck_assert_int_eq(xsc_write(host, "/local/domain/1/w", "v"), 0);
	ck_assert_uint_eq(one.page.ring.req_cons, cons);
	ck_assert_uint_eq(one.page.ring.rsp_prod, prod);
	ck_assert_int_eq(call(&two, XS_MKDIR, "fine", 5), 0);
	one.page.ring.connection = XENSTORE_RECONNECT;
	event(&one);
	ck_assert_uint_eq(one.page.ring.error, XENSTORE_ERROR_NONE);
	one.req_prod = one.rsp_cons = 0;
	ck_assert_int_eq(call(&one, XS_MKDIR, "fine", 5), 0);
}

static const uint32_t far_indexes[] = {
	1025, 2048, 0x7fffffff, 0x80000000, 0xffffffff, 0xfffffc00
};

START_TEST(an_impossible_producer_ends_the_conversation)
{
	ck_assert_int_eq(call(&one, XS_WATCH, "w\0t", 4), 0);
	get_message(&one);
	one.told = 0;
	one.page.ring.req_prod = one.req_prod + far_indexes[_i];
	event(&one);
	ck_assert_uint_eq(one.told, 1);
	expect_stopped(XENSTORE_ERROR_RINGIDX);
}
END_TEST

static const uint32_t bad_consumers[] = { 1, 2, 1024, 0x7fffffff, 0x80000000, 0xfffffb00 };

START_TEST(an_impossible_consumer_ends_the_conversation)
{
	ck_assert_int_eq(call(&one, XS_WATCH, "w\0t", 4), 0);
	get_message(&one);
	/* ahead of what was written, or further behind than the ring is long */
	one.page.ring.rsp_cons = one.rsp_cons + bad_consumers[_i];
	ck_assert_int_eq(xsc_write(host, "/local/domain/1/w", "v"), 0);
	expect_stopped(XENSTORE_ERROR_RINGIDX);
}
END_TEST

static const uint32_t long_lengths[] = {
	4097, 65536, 0x7fffffff, 0x80000000, 0xffffffff, 0xfffffff0
};

START_TEST(a_message_that_is_too_long_ends_the_conversation)
{
	struct xsd_sockmsg hdr = { .type = XS_WRITE, .len = long_lengths[_i] };

	ck_assert_int_eq(call(&one, XS_WATCH, "w\0t", 4), 0);
	get_message(&one);
	ck_assert_uint_eq(put(&one, (char *)&hdr, sizeof(hdr)), sizeof(hdr));
	event(&one);
	expect_stopped(XENSTORE_ERROR_PROTO);
}
END_TEST

START_TEST(the_servers_own_fields_are_not_read_back)
{
	one.page.ring.req_cons = 0xdead0000;
	one.page.ring.rsp_prod = 0xbeef0000;
	one.page.ring.server_features = 0;
	one.page.ring.error = 77;
	{
		struct xsd_sockmsg hdr = { .type = XS_MKDIR, .len = 2 };

		memcpy(one.page.ring.req, &hdr, sizeof(hdr));
		memcpy(one.page.ring.req + sizeof(hdr), "a", 2);
		one.req_prod = one.page.ring.req_prod = sizeof(hdr) + 2;
	}
	event(&one);
	ck_assert_uint_eq(one.page.ring.req_cons, one.req_prod);
	ck_assert_uint_eq(one.page.ring.rsp_prod, sizeof(struct xsd_sockmsg) + 3);
	get_message(&one);
	ck_assert_str_eq(one.payload, "OK");
}
END_TEST

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state >> 8;
}

/* Messages with random everything, of which most are nearly right. */
static size_t random_message(uint64_t *state, char *out)
{
	static const char *const part[] = { "a",
		                            "/",
		                            "/local/domain/1",
		                            "/local/domain/2/x",
		                            "b/c",
		                            "@releaseDomain",
		                            "n1",
		                            "r2",
		                            "T",
		                            "F",
		                            "0",
		                            "tok" };
	struct xsd_sockmsg hdr = { .type = (uint32_t)(next_random(state) % 26),
		                   .req_id = (uint32_t)next_random(state),
		                   .tx_id = (uint32_t)(next_random(state) % 6) };
	size_t len = sizeof(hdr);
	unsigned i, parts = (unsigned)(next_random(state) % 4);
	const char *p;

	if (next_random(state) % 2)
		hdr.tx_id = 0;
	for (i = 0; i < parts; i++) {
		p = part[next_random(state) % ARRAY_LEN(part)];
		memcpy(out + len, p, strlen(p) + 1);
		len += strlen(p) + (next_random(state) % 8 != 0);
	}
	for (i = (unsigned)(next_random(state) % 8 ? 0 : next_random(state) % 64); i; i--)
		out[len++] = (char)next_random(state);
	hdr.len = (uint32_t)(len - sizeof(hdr));
	memcpy(out, &hdr, sizeof(hdr));
	return len;
}

START_TEST(random_messages_are_all_answered)
{
	uint64_t state = 0x123456789abcdefull * (uint64_t)(_i + 1);
	char message[512];
	struct xsd_sockmsg hdr;
	unsigned i;
	size_t len;

	for (i = 0; i < 4000; i++) {
		len = random_message(&state, message);
		memcpy(&hdr, message, sizeof(hdr));
		put_all(&one, message, len);
		do
			get_message(&one);
		while (one.hdr.type == XS_WATCH_EVENT);
		ck_assert_uint_eq(one.hdr.req_id, hdr.req_id);
		ck_assert_uint_eq(one.hdr.tx_id, hdr.tx_id);
		if (i % 256 == 0)
			ck_assert_int_eq(xs_store_check(store), 0);
	}
	ck_assert_uint_eq(one.page.ring.error, XENSTORE_ERROR_NONE);
}
END_TEST

struct scribbler {
	struct guest *g;
	bool stop;
};

static void *scribble(void *arg)
{
	struct scribbler *s = arg;
	uint32_t *index = &s->g->page.ring.req_cons;
	uint64_t state = 88172645463325252ull;

	while (!__atomic_load_n(&s->stop, __ATOMIC_RELAXED)) {
		uint64_t r = next_random(&state);

		if (r % 4)
			__atomic_store_n((uint32_t *)s->g->page.ring.req + r / 8 % 512,
			                 (uint32_t)(r >> 20) % 32, __ATOMIC_RELAXED);
		else
			__atomic_store_n(index + r / 8 % 7, (uint32_t)(r >> 20) % 1100,
			                 __ATOMIC_RELAXED);
	}
	return NULL;
}

/* One vCPU writes everywhere in the page while another keeps the server reading it. */
START_TEST(a_page_that_changes_under_the_server_harms_nobody_else)
{
	struct scribbler s = { .g = &one };
	pthread_t thread;
	unsigned i;

	ck_assert_int_eq(pthread_create(&thread, NULL, scribble, &s), 0);
	for (i = 0; i < 20000; i++) {
		event(&one);
		if (i % 16 == 0)
			ck_assert_int_eq(call(&two, XS_MKDIR, "fine", 5), 0);
		if (i % 64 == 0)
			__atomic_store_n(&one.page.ring.connection, XENSTORE_RECONNECT,
			                 __ATOMIC_RELAXED);
	}
	__atomic_store_n(&s.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	one.page.ring.connection = XENSTORE_RECONNECT;
	event(&one);
	one.req_prod = one.rsp_cons = 0;
	ck_assert_int_eq(call(&one, XS_GET_DOMAIN_PATH, "1", 2), 0);
	ck_assert_str_eq(one.payload, "/local/domain/1");
}
END_TEST

static void *refill(void *arg)
{
	struct scribbler *s = arg;
	struct xenstore_domain_interface *r = &s->g->page.ring;

	while (!__atomic_load_n(&s->stop, __ATOMIC_RELAXED)) {
		__atomic_store_n(&r->req_prod,
		                 __atomic_load_n(&r->req_cons, __ATOMIC_ACQUIRE) +
		                         XENSTORE_RING_SIZE,
		                 __ATOMIC_RELEASE);
		__atomic_store_n(&r->rsp_cons, __atomic_load_n(&r->rsp_prod, __ATOMIC_ACQUIRE),
		                 __ATOMIC_RELEASE);
	}
	return NULL;
}

/* Another vCPU refills the page as fast as it is read: one event is still one page's worth. */
START_TEST(one_event_makes_a_bounded_amount_of_work)
{
	struct xsd_sockmsg hdr = { .type = XS_RESET_WATCHES };
	struct xenstore_domain_interface *r = &one.page.ring;
	struct scribbler s = { .g = &one };
	uint32_t before, moved;
	pthread_t thread;
	unsigned i;

	for (i = 0; i < XENSTORE_RING_SIZE; i += sizeof(hdr))
		memcpy(r->req + i, &hdr, sizeof(hdr));
	ck_assert_int_eq(pthread_create(&thread, NULL, refill, &s), 0);
	for (i = 0; i < 200;) { /* pages; the case's timeout is the limit */
		before = __atomic_load_n(&r->req_cons, __ATOMIC_RELAXED);
		event(&one);
		moved = __atomic_load_n(&r->req_cons, __ATOMIC_RELAXED) - before;
		ck_assert_uint_le(moved, XENSTORE_RING_SIZE);
		i += moved > 0;
	}
	__atomic_store_n(&s.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
}
END_TEST

/* ---- threads --------------------------------------------------------------------------------- */

static void *guest_life(void *arg)
{
	struct guest *g = arg;
	char path[64];
	unsigned i;

	for (i = 0; i < 300; i++) {
		snprintf(path, sizeof(path), "/s/%u", i % 7);
		if (i % 50 == 0)
			call(g, XS_WATCH, "/s\0t", 5);
		call(g, i % 3 ? XS_MKDIR : XS_RM, path, strlen(path) + 1);
		while (has_message(g))
			get_message(g);
	}
	return NULL;
}

static void count_event(void *arg, const char *path)
{
	(void)path;
	__atomic_fetch_add((unsigned *)arg, 1, __ATOMIC_RELAXED);
}

START_TEST(guests_and_the_host_work_at_the_same_time)
{
	struct xs_host_watch *watch;
	pthread_t thread[2];
	struct xs_host *h;
	unsigned i, events = 0;

	ck_assert_int_eq(xsc_path(host, XS_MKDIR, "/s"), 0);
	ck_assert_int_eq(xsc_set_perms(host, "/s", "b0"), 0);
	ck_assert_int_eq(xs_host_open(store, &h), 0);
	ck_assert_int_eq(xs_host_watch(h, "/s", count_event, &events, &watch), 0);
	ck_assert_int_eq(pthread_create(&thread[0], NULL, guest_life, &one), 0);
	ck_assert_int_eq(pthread_create(&thread[1], NULL, guest_life, &two), 0);
	for (i = 0; i < 300; i++)
		ck_assert_int_eq(xs_host_printf(h, NULL, "/s/host", "%u", i), 0);
	pthread_join(thread[0], NULL);
	pthread_join(thread[1], NULL);
	xs_host_unwatch(watch);
	xs_host_close(h);
	ck_assert_uint_gt(events, 0);
	ck_assert_uint_gt(one.nr_events, 0);
}
END_TEST

/* A guest's notify function that takes its time. */
struct slow {
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool inside, let_go, released;
};

static void slow_notify(void *arg)
{
	struct slow *slow = arg;

	pthread_mutex_lock(&slow->lock);
	slow->inside = true;
	pthread_cond_broadcast(&slow->cond);
	while (!slow->let_go)
		pthread_cond_wait(&slow->cond, &slow->lock);
	pthread_mutex_unlock(&slow->lock);
}

static void *write_to_three(void *arg)
{
	xs_guest_event(arg);
	return NULL;
}

static void *release_three(void *arg)
{
	struct slow *slow = arg;

	xs_release(store, 3);
	__atomic_store_n(&slow->released, true, __ATOMIC_RELEASE);
	return NULL;
}

START_TEST(a_release_waits_for_the_guests_notify_function)
{
	static char page[4096] __attribute__((aligned(4096)));
	struct timespec pause = { .tv_nsec = 20 * 1000 * 1000 };
	struct slow slow = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, false,
		             false };
	struct xs_conn *conn;
	pthread_t caller, releaser;

	ck_assert_int_eq(xs_introduce(store, 3, page, slow_notify, &slow, &conn), 0);
	((struct xenstore_domain_interface *)page)->req_prod = 1;
	ck_assert_int_eq(pthread_create(&caller, NULL, write_to_three, conn), 0);
	pthread_mutex_lock(&slow.lock);
	while (!slow.inside)
		pthread_cond_wait(&slow.cond, &slow.lock);
	pthread_mutex_unlock(&slow.lock);
	ck_assert_int_eq(pthread_create(&releaser, NULL, release_three, &slow), 0);
	nanosleep(&pause, NULL);
	ck_assert(!__atomic_load_n(&slow.released, __ATOMIC_ACQUIRE));
	ck_assert_int_eq(call(&one, XS_MKDIR, "fine", 5), 0); /* the store goes on meanwhile */
	pthread_mutex_lock(&slow.lock);
	slow.let_go = true;
	pthread_cond_broadcast(&slow.cond);
	pthread_mutex_unlock(&slow.lock);
	pthread_join(caller, NULL);
	pthread_join(releaser, NULL);
}
END_TEST

Suite *xs_ring_suite(void)
{
	Suite *s = suite_create("xs_ring");
	TCase *normal = tcase_create("normal"), *limits = tcase_create("limits"),
	      *hostile = tcase_create("hostile");

	tcase_add_checked_fixture(normal, set_up, tear_down);
	tcase_add_checked_fixture(limits, set_up, tear_down);
	tcase_add_checked_fixture(hostile, set_up, tear_down);
	tcase_set_timeout(normal, 60);
	tcase_set_timeout(limits, 60);
	tcase_set_timeout(hostile, 60);
	tcase_add_test(normal, a_fresh_page_is_ready_and_says_what_the_server_can);
	tcase_add_test(normal, messages_of_all_lengths_pass_around_the_ring);
	tcase_add_test(normal, a_message_may_come_byte_by_byte);
	tcase_add_test(normal, the_guest_is_told_when_an_index_has_moved_and_only_then);
	tcase_add_test(normal, an_event_comes_without_a_request);
	tcase_add_test(normal, a_reconnected_ring_is_as_new);
	tcase_add_test(normal, two_guests_see_each_others_changes);
	tcase_add_test(normal, guests_and_the_host_work_at_the_same_time);
	tcase_add_test(normal, a_release_waits_for_the_guests_notify_function);
	tcase_add_test(limits, who_does_not_read_is_not_served_but_loses_nothing);
	tcase_add_test(limits, events_that_are_not_read_stay_bounded);
	tcase_add_loop_test(hostile, an_impossible_producer_ends_the_conversation, 0,
	                    ARRAY_LEN(far_indexes));
	tcase_add_loop_test(hostile, an_impossible_consumer_ends_the_conversation, 0,
	                    ARRAY_LEN(bad_consumers));
	tcase_add_loop_test(hostile, a_message_that_is_too_long_ends_the_conversation, 0,
	                    ARRAY_LEN(long_lengths));
	tcase_add_test(hostile, the_servers_own_fields_are_not_read_back);
	tcase_add_loop_test(hostile, random_messages_are_all_answered, 0, 4);
	tcase_add_test(hostile, a_page_that_changes_under_the_server_harms_nobody_else);
	tcase_add_test(hostile, one_event_makes_a_bounded_amount_of_work);
	suite_add_tcase(s, normal);
	suite_add_tcase(s, limits);
	suite_add_tcase(s, hostile);
	return s;
}
