/* SPDX-License-Identifier: MIT */
/*
 * Watches: which events come, in which order, to whom, and what happens when nobody reads them; the
 * same for callbacks of the host.
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

Suite *xs_watch_suite(void);

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

static struct xs_store *store;
static struct xsc *host, *one, *two;

static void set_up(void)
{
	ck_assert_int_eq(xs_store_create(&store, NULL), 0);
	host = xsc_open(store, 0, true);
	one = xsc_open(store, 1, false);
	two = xsc_open(store, 2, false);
	ck_assert_int_eq(xsc_path(host, XS_MKDIR, "/local/domain/1"), 0);
	ck_assert_int_eq(xsc_set_perms(host, "/local/domain/1", "n1"), 0);
	ck_assert_int_eq(xsc_path(host, XS_MKDIR, "/local/domain/2"), 0);
	ck_assert_int_eq(xsc_set_perms(host, "/local/domain/2", "n2"), 0);
}

static void tear_down(void)
{
	ck_assert_int_eq(xs_store_check(store), 0);
	xsc_close(one);
	xsc_close(two);
	xsc_close(host);
	xs_store_destroy(store);
}

/* A watch whose first event has been read. */
static void watch(struct xsc *c, const char *path, const char *token)
{
	ck_assert_int_eq(xsc_two(c, XS_WATCH, path, token), 0);
	xsc_events(c);
}

/* ---- what comes ------------------------------------------------------------------------------ */

START_TEST(a_new_watch_fires_once_behind_its_reply)
{
	ck_assert_int_eq(xsc_two(one, XS_WATCH, "/not/there", "tok"), 0);
	ck_assert_uint_eq(one->early, 0);
	ck_assert_str_eq(xsc_events(one), "/not/there|tok ");
	ck_assert_str_eq(xsc_events(one), "");
}
END_TEST

START_TEST(the_reply_comes_before_the_events_that_the_request_caused)
{
	watch(one, "a", "t");
	ck_assert_int_eq(xsc_write(one, "a", "v"), 0);
	ck_assert_uint_eq(one->early, 0);
	ck_assert_str_eq(xsc_events(one), "a|t ");
	ck_assert_int_eq(xsc_write(one, "a", "v"), 0); /* the same value is a change, too */
	ck_assert_int_eq(xsc_set_perms(one, "a", "r1"), 0);
	ck_assert_uint_eq(one->early, 1); /* the one of the write before */
	xsc_events(one);
	ck_assert_int_eq(xsc_begin(one), 0);
	ck_assert_int_eq(xsc_write(one, "a", "w"), 0);
	ck_assert_int_eq(xsc_end(one, true), 0);
	ck_assert_uint_eq(one->early, 0);
	ck_assert_str_eq(xsc_events(one), "a|t ");
}
END_TEST

/* What each request makes of watches at /d (token d), /d/a/b (b), and / (r). */
static const struct {
	const char *what;
	uint32_t type;
	const char *path, *events;
} effects[] = {
	{ "the node itself", XS_WRITE, "/d/a/b", "/d/a/b|r /d/a/b|d /d/a/b|b " },
	{ "a child made", XS_WRITE, "/d/a/b/c", "/d/a/b/c|r /d/a/b/c|d /d/a/b/c|b " },
	{ "a parent", XS_WRITE, "/d/a", "/d/a|r /d/a|d " },
	{ "parents made on the way", XS_WRITE, "/d/x/y/z", "/d/x/y/z|r /d/x/y/z|d " },
	{ "a neighbour with a longer name", XS_WRITE, "/d/a/bb", "/d/a/bb|r /d/a/bb|d " },
	{ "outside", XS_WRITE, "/e", "/e|r " },
	{ "a folder made", XS_MKDIR, "/d/n", "/d/n|r /d/n|d " },
	{ "a folder that is there", XS_MKDIR, "/d/a", "" },
	{ "removed", XS_RM, "/d/a/b", "/d/a/b|r /d/a/b|d /d/a/b|b " },
	{ "removed with its parent", XS_RM, "/d/a", "/d/a|r /d/a|d /d/a/b|b " },
	{ "removed from far above", XS_RM, "/d", "/d|r /d|d /d/a/b|b " },
	{ "nothing to remove", XS_RM, "/d/none", "" },
	{ "a refused write", XS_WRITE, "/d/a/", "" },
};

START_TEST(a_change_is_told_at_the_node_above_and_below)
{
	ck_assert_int_eq(xsc_write(host, "/d/a/b", "v"), 0);
	watch(host, "/", "r");
	watch(host, "/d", "d");
	watch(host, "/d/a/b", "b");
	xsc_path(host, effects[_i].type, effects[_i].path);
	ck_assert_str_eq(xsc_events(host), effects[_i].events);
}
END_TEST

START_TEST(a_relative_watch_gets_relative_paths)
{
	watch(one, "dev", "rel");
	watch(one, "/local/domain/1/dev", "abs");
	ck_assert_int_eq(xsc_write(one, "dev/x", "v"), 0);
	ck_assert_str_eq(xsc_events(one), "dev/x|rel /local/domain/1/dev/x|abs ");
	ck_assert_int_eq(xsc_path(one, XS_RM, "dev"), 0);
	ck_assert_str_eq(xsc_events(one), "dev|rel /local/domain/1/dev|abs ");
}
END_TEST

START_TEST(a_watch_below_a_removed_node_is_told_its_own_path_only_if_it_was_there)
{
	ck_assert_int_eq(xsc_write(one, "a/b/c", "v"), 0);
	watch(one, "a/b/c", "there");
	watch(one, "a/b/x", "not");
	ck_assert_int_eq(xsc_path(one, XS_RM, "a"), 0);
	ck_assert_str_eq(xsc_events(one), "a/b/c|there ");
}
END_TEST

START_TEST(one_path_may_be_watched_with_several_tokens)
{
	watch(one, "a", "1");
	watch(one, "a", "2");
	ck_assert_int_eq(xsc_two(one, XS_WATCH, "a", "1"), -EEXIST);
	ck_assert_int_eq(xsc_two(one, XS_WATCH, "/local/domain/1/a", "1"), -EEXIST);
	ck_assert_int_eq(xsc_write(one, "a", "v"), 0);
	ck_assert_str_eq(xsc_events(one), "a|1 a|2 ");
	ck_assert_int_eq(xsc_two(one, XS_UNWATCH, "a", "1"), 0);
	ck_assert_int_eq(xsc_two(one, XS_UNWATCH, "a", "1"), -ENOENT);
	ck_assert_int_eq(xsc_two(one, XS_UNWATCH, "b", "2"), -ENOENT);
	ck_assert_int_eq(xsc_write(one, "a", "v"), 0);
	ck_assert_str_eq(xsc_events(one), "a|2 ");
}
END_TEST

START_TEST(no_event_follows_the_reply_to_unwatch)
{
	watch(one, "a", "t");
	ck_assert_int_eq(xsc_write(host, "/local/domain/1/a", "v"), 0);
	ck_assert_int_eq(xsc_two(one, XS_UNWATCH, "a", "t"), 0);
	ck_assert_uint_eq(one->early, 0);
	ck_assert_str_eq(xsc_events(one), "");
	watch(one, "a", "t");
	watch(one, "b", "t");
	ck_assert_int_eq(xsc_write(host, "/local/domain/1/a", "v"), 0);
	ck_assert_int_eq(xsc_path(one, XS_RESET_WATCHES, ""), 0);
	ck_assert_str_eq(xsc_events(one), "");
	ck_assert_int_eq(xsc_write(one, "b", "v"), 0);
	ck_assert_str_eq(xsc_events(one), "");
}
END_TEST

/* ---- transactions ---------------------------------------------------------------------------- */

START_TEST(a_transaction_tells_when_it_is_committed_and_in_the_order_of_its_changes)
{
	watch(two, "/local/domain/1", "t");
	ck_assert_int_eq(xsc_set_perms(host, "/local/domain/1", "r1"), 0);
	xsc_events(two);
	ck_assert_int_eq(xsc_begin(one), 0);
	ck_assert_int_eq(xsc_write(one, "z", "v"), 0);
	ck_assert_int_eq(xsc_write(one, "a", "v"), 0);
	ck_assert_int_eq(xsc_write(one, "z", "w"), 0);
	ck_assert_int_eq(xsc_write(one, "brief", "v"), 0);
	ck_assert_int_eq(xsc_path(one, XS_RM, "brief"), 0);
	ck_assert_str_eq(xsc_events(two), "");
	ck_assert_int_eq(xsc_end(one, true), 0);
	ck_assert_str_eq(xsc_events(two), "/local/domain/1/z|t /local/domain/1/a|t ");
}
END_TEST

START_TEST(an_abandoned_transaction_tells_nothing)
{
	watch(host, "/local/domain/1", "t");
	ck_assert_int_eq(xsc_begin(one), 0);
	ck_assert_int_eq(xsc_write(one, "a", "v"), 0);
	ck_assert_int_eq(xsc_end(one, false), 0);
	ck_assert_int_eq(xsc_begin(one), 0);
	ck_assert_int_eq(xsc_write(one, "a", "v"), 0);
	ck_assert_int_eq(xsc_write(host, "/local/domain/1/a", "first"), 0);
	xsc_events(host);
	ck_assert_int_eq(xsc_end(one, true), -EAGAIN);
	ck_assert_str_eq(xsc_events(host), "");
}
END_TEST

START_TEST(a_subtree_removed_in_a_transaction_is_told_below_too)
{
	ck_assert_int_eq(xsc_write(one, "a/b/c", "v"), 0);
	watch(one, "a/b/c", "t");
	ck_assert_int_eq(xsc_begin(one), 0);
	ck_assert_int_eq(xsc_path(one, XS_RM, "a"), 0);
	ck_assert_int_eq(xsc_end(one, true), 0);
	ck_assert_str_eq(xsc_events(one), "a/b/c|t ");
}
END_TEST

/* ---- permissions ----------------------------------------------------------------------------- */

START_TEST(who_may_not_read_is_not_told)
{
	watch(two, "/local/domain/1", "t");
	ck_assert_int_eq(xsc_write(one, "secret", "v"), 0);
	ck_assert_int_eq(xsc_path(one, XS_RM, "secret"), 0);
	ck_assert_str_eq(xsc_events(two), "");
	ck_assert_int_eq(xsc_write(one, "open", "v"), 0);
	ck_assert_int_eq(xsc_set_perms(one, "open", "r1"), 0);
	ck_assert_str_eq(xsc_events(two), "/local/domain/1/open|t ");
	ck_assert_int_eq(xsc_write(one, "open", "w"), 0);
	ck_assert_str_eq(xsc_events(two), "/local/domain/1/open|t ");
	ck_assert_int_eq(xsc_set_perms(one, "open", "n1"), 0); /* it loses the right: the last */
	ck_assert_str_eq(xsc_events(two), "/local/domain/1/open|t ");
	ck_assert_int_eq(xsc_write(one, "open", "x"), 0);
	ck_assert_str_eq(xsc_events(two), "");
}
END_TEST

START_TEST(who_could_read_a_node_learns_of_its_removal)
{
	ck_assert_int_eq(xsc_write(one, "top/open", "v"), 0);
	ck_assert_int_eq(xsc_set_perms(one, "top/open", "r1"), 0);
	watch(two, "/local/domain/1/top/open", "t");
	ck_assert_int_eq(xsc_path(one, XS_RM, "top/open"), 0);
	ck_assert_str_eq(xsc_events(two), "/local/domain/1/top/open|t ");
	ck_assert_int_eq(xsc_write(one, "top/open", "v"), 0);
	ck_assert_int_eq(xsc_set_perms(one, "top/open", "r1"), 0);
	xsc_events(two);
	ck_assert_int_eq(xsc_path(one, XS_RM, "top"), 0); /* from an unreadable parent */
	ck_assert_str_eq(xsc_events(two), "/local/domain/1/top/open|t ");
}
END_TEST

START_TEST(who_may_read_the_parent_learns_of_a_child)
{
	ck_assert_int_eq(xsc_path(one, XS_MKDIR, "list"), 0);
	watch(two, "/local/domain/1/list", "t");
	ck_assert_int_eq(xsc_set_perms(one, "list", "n1,r2"), 0);
	xsc_events(two); /* there is no such domain: nothing yet */
	ck_assert_int_eq(xsc_set_perms(host, "/local/domain/1/list", "n1,r2"), 0);
	ck_assert_int_eq(xsc_write(one, "list/x", "v"), 0);
	ck_assert_int_eq(xsc_set_perms(one, "list/x", "n1"), 0);
	xsc_events(two);
	ck_assert_int_eq(xsc_write(one, "list/x", "w"), 0);
	ck_assert_str_eq(xsc_events(two), "/local/domain/1/list/x|t ");
}
END_TEST

/* ---- special watches ------------------------------------------------------------------------- */

START_TEST(domains_coming_and_going_are_told_to_those_who_may_know)
{
	static char page[4096] __attribute__((aligned(4096)));
	struct xs_conn *conn;

	watch(host, "@introduceDomain", "in");
	watch(host, "@releaseDomain", "out");
	watch(host, "/", "root");
	watch(one, "@introduceDomain", "in");
	ck_assert_int_eq(xs_introduce(store, 7, page, NULL, NULL, &conn), 0);
	ck_assert_str_eq(xsc_events(host), "@introduceDomain|in ");
	ck_assert_str_eq(xsc_events(one), "");
	xs_domain_shutdown(store, 7);
	ck_assert_str_eq(xsc_events(host), "@releaseDomain|out ");
	xs_domain_shutdown(store, 7);
	ck_assert_str_eq(xsc_events(host), "");
	ck_assert_int_eq(xsc_path(host, XS_RESUME, "7"), 0);
	xs_domain_shutdown(store, 7);
	ck_assert_str_eq(xsc_events(host), "@releaseDomain|out ");
	xs_release(store, 7);
	ck_assert_str_eq(xsc_events(host), "@releaseDomain|out ");
	xs_release(store, 7);
	ck_assert_str_eq(xsc_events(host), "");
	ck_assert_int_eq(xsc_set_perms(host, "@introduceDomain", "n0,r1"), 0);
	ck_assert_int_eq(xs_introduce(store, 7, page, NULL, NULL, &conn), 0);
	ck_assert_str_eq(xsc_events(one), "@introduceDomain|in ");
	xs_release(store, 7);
}
END_TEST

/* ---- limits ---------------------------------------------------------------------------------- */

START_TEST(a_guest_has_so_many_watches_and_no_more)
{
	char token[16];
	unsigned i;

	for (i = 0; i < xs_quota_default.watches; i++) {
		snprintf(token, sizeof(token), "%u", i);
		watch(one, "a", token);
	}
	ck_assert_int_eq(xsc_two(one, XS_WATCH, "a", "more"), -E2BIG);
	ck_assert_int_eq(xsc_two(one, XS_UNWATCH, "a", "5"), 0);
	ck_assert_int_eq(xsc_two(one, XS_WATCH, "a", "more"), 0);
	for (i = 0; i < 2 * xs_quota_default.watches; i++) {
		snprintf(token, sizeof(token), "%u", i);
		ck_assert_int_eq(xsc_two(host, XS_WATCH, "a", token), 0);
	}
}
END_TEST

START_TEST(equal_events_that_wait_are_told_once)
{
	watch(one, "a", "t");
	ck_assert_int_eq(xsc_write(host, "/local/domain/1/a", "1"), 0);
	ck_assert_int_eq(xsc_write(host, "/local/domain/1/a/b", "1"), 0);
	ck_assert_int_eq(xsc_write(host, "/local/domain/1/a", "2"), 0);
	ck_assert_str_eq(xsc_events(one), "a|t a/b|t ");
	ck_assert_int_eq(xsc_write(host, "/local/domain/1/a", "3"), 0);
	ck_assert_str_eq(xsc_events(one), "a|t ");
}
END_TEST

/* A guest that reads no events: the queue is bounded, and still no watch misses that it changed. */
START_TEST(events_that_nobody_reads_become_one_per_watch)
{
	const unsigned limit = xs_quota_default.events;
	char path[64];
	unsigned i;

	watch(one, "a", "a");
	watch(one, "b", "b");
	for (i = 0; i < 3 * limit; i++) {
		snprintf(path, sizeof(path), "/local/domain/1/a/%u", i);
		ck_assert_int_eq(xsc_write(host, path, "v"), 0);
	}
	ck_assert_int_eq(xsc_write(host, "/local/domain/1/b/deep", "v"), 0);
	ck_assert_int_eq(xs_store_check(store), 0);
	ck_assert_int_eq(xsc_path(one, XS_READ, "a/0"), 0); /* takes the events on the way */
	ck_assert_uint_eq(one->nr_events, limit + 2);
	ck_assert_str_eq(one->event[0], "a/0|a");
	ck_assert_str_eq(one->event[limit - 1], "a/255|a");
	ck_assert_str_eq(one->event[limit], "a|a");
	ck_assert_str_eq(one->event[limit + 1], "b|b");
}
END_TEST

START_TEST(an_event_that_fits_in_no_message_is_not_sent)
{
	static char token[XENSTORE_PAYLOAD_MAX - 3];

	memset(token, 't', sizeof(token) - 1);
	ck_assert_int_eq(xsc_two(one, XS_WATCH, "a", token), 0); /* fills a message */
	ck_assert_uint_eq(strlen(xsc_events(one)), sizeof(token) + 2);
	ck_assert_int_eq(xsc_write(one, "a/longer", "v"), 0);
	ck_assert_str_eq(xsc_events(one), "");
	ck_assert_int_eq(xsc_write(one, "a", "v"), 0);
	ck_assert_uint_eq(strlen(xsc_events(one)), sizeof(token) + 2);
}
END_TEST

static const struct {
	const char *payload;
	size_t len;
} bad_watches[] = {
	{ "", 0 },    { "a", 1 },     { "a\0", 2 },    { "a\0t", 3 },
	{ "\0t", 3 }, { "a/\0t", 5 }, { "a b\0t", 6 }, { "a\0t\0x", 6 },
};

START_TEST(a_malformed_watch_is_refused)
{
	uint32_t type = _i % 2 ? XS_UNWATCH : XS_WATCH;

	ck_assert_int_eq(xsc_call(one, type, bad_watches[_i / 2].payload, bad_watches[_i / 2].len),
	                 -EINVAL);
}
END_TEST

/* ---- the host's callbacks -------------------------------------------------------------------- */

struct seen {
	pthread_mutex_t lock;
	pthread_cond_t cond;
	char text[1024];
	unsigned calls;
	struct xs_host *host;
	struct xs_host_watch *watch;
	bool unwatch_in_call, write_in_call, block;
};

static void on_event(void *arg, const char *path)
{
	struct seen *seen = arg;

	if (seen->write_in_call && !strcmp(path, "/w/in"))
		ck_assert_int_eq(xs_host_write(seen->host, NULL, "/w/out", "v", 1), 0);
	pthread_mutex_lock(&seen->lock);
	strcat(seen->text, path);
	strcat(seen->text, " ");
	seen->calls++;
	pthread_cond_broadcast(&seen->cond);
	while (seen->block)
		pthread_cond_wait(&seen->cond, &seen->lock);
	pthread_mutex_unlock(&seen->lock);
	if (seen->unwatch_in_call)
		xs_host_unwatch(seen->watch);
}

/* Waits, for ten seconds at most, until there were so many calls. */
static void await_calls(struct seen *seen, unsigned calls)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 10;
	pthread_mutex_lock(&seen->lock);
	while (seen->calls < calls)
		ck_assert_int_eq(pthread_cond_timedwait(&seen->cond, &seen->lock, &until), 0);
	pthread_mutex_unlock(&seen->lock);
}

static void seen_init(struct seen *seen, struct xs_host *h)
{
	memset(seen, 0, sizeof(*seen));
	pthread_mutex_init(&seen->lock, NULL);
	pthread_cond_init(&seen->cond, NULL);
	seen->host = h;
}

START_TEST(a_callback_may_use_the_store)
{
	struct seen seen;
	struct xs_host *h;

	ck_assert_int_eq(xs_host_open(store, &h), 0);
	seen_init(&seen, h);
	seen.write_in_call = true;
	ck_assert_int_eq(xs_host_watch(h, "/w", on_event, &seen, &seen.watch), 0);
	await_calls(&seen, 1);
	ck_assert_int_eq(xsc_write(host, "/w/in", "v"), 0);
	await_calls(&seen, 3);
	ck_assert_str_eq(seen.text, "/w /w/in /w/out ");
	xs_host_unwatch(seen.watch);
	ck_assert_int_eq(xsc_write(host, "/w/in", "v"), 0);
	xs_host_close(h);
	ck_assert_uint_eq(seen.calls, 3);
}
END_TEST

START_TEST(a_callback_may_end_its_own_watch)
{
	struct seen seen;
	struct xs_host *h;

	ck_assert_int_eq(xs_host_open(store, &h), 0);
	seen_init(&seen, h);
	pthread_mutex_lock(&seen.lock); /* until watch is known */
	seen.unwatch_in_call = true;
	ck_assert_int_eq(xs_host_watch(h, "/w", on_event, &seen, &seen.watch), 0);
	pthread_mutex_unlock(&seen.lock);
	await_calls(&seen, 1);
	xs_host_close(h);
	ck_assert_uint_eq(seen.calls, 1);
}
END_TEST

static void unwatch_late(void *arg, const char *path)
{
	struct timespec pause = { .tv_nsec = 20 * 1000 * 1000 };
	struct seen *seen = arg;

	(void)path;
	pthread_mutex_lock(&seen->lock);
	seen->calls++;
	pthread_cond_broadcast(&seen->cond);
	pthread_mutex_unlock(&seen->lock);
	nanosleep(&pause, NULL); /* now the handle is being closed */
	xs_host_unwatch(seen->watch);
}

START_TEST(a_callback_may_end_a_watch_that_is_being_ended)
{
	struct seen seen;
	struct xs_host *h;

	ck_assert_int_eq(xs_host_open(store, &h), 0);
	seen_init(&seen, h);
	ck_assert_int_eq(xs_host_watch(h, "/w", unwatch_late, &seen, &seen.watch), 0);
	await_calls(&seen, 1);
	xs_host_close(h);
	ck_assert_uint_eq(seen.calls, 1);
}
END_TEST

static void *unwatch_thread(void *arg)
{
	struct seen *seen = arg;

	xs_host_unwatch(seen->watch);
	__atomic_store_n(&seen->watch, NULL, __ATOMIC_RELEASE);
	return NULL;
}

START_TEST(the_end_of_a_watch_waits_for_its_callback)
{
	struct timespec pause = { .tv_nsec = 20 * 1000 * 1000 };
	struct seen seen;
	struct xs_host *h;
	pthread_t thread;

	ck_assert_int_eq(xs_host_open(store, &h), 0);
	seen_init(&seen, h);
	seen.block = true;
	ck_assert_int_eq(xs_host_watch(h, "/w", on_event, &seen, &seen.watch), 0);
	await_calls(&seen, 1);
	ck_assert_int_eq(pthread_create(&thread, NULL, unwatch_thread, &seen), 0);
	nanosleep(&pause, NULL);
	ck_assert_ptr_nonnull(__atomic_load_n(&seen.watch, __ATOMIC_ACQUIRE));
	ck_assert_int_eq(xsc_write(host, "/w", "v"), 0); /* the store goes on meanwhile */
	pthread_mutex_lock(&seen.lock);
	seen.block = false;
	pthread_cond_broadcast(&seen.cond);
	pthread_mutex_unlock(&seen.lock);
	pthread_join(thread, NULL);
	xs_host_close(h);
	ck_assert_uint_eq(seen.calls, 1);
}
END_TEST

START_TEST(a_slow_callback_holds_up_its_own_handle_only)
{
	struct seen slow, quick;
	struct xs_host *h, *g;

	ck_assert_int_eq(xs_host_open(store, &h), 0);
	ck_assert_int_eq(xs_host_open(store, &g), 0);
	seen_init(&slow, h);
	seen_init(&quick, g);
	slow.block = true;
	ck_assert_int_eq(xs_host_watch(h, "/w", on_event, &slow, &slow.watch), 0);
	await_calls(&slow, 1);
	ck_assert_int_eq(xs_host_watch(g, "/w", on_event, &quick, &quick.watch), 0);
	await_calls(&quick, 1);
	ck_assert_int_eq(xsc_write(host, "/w/1", "v"), 0);
	await_calls(&quick, 2);
	xs_host_close(g);
	pthread_mutex_lock(&slow.lock);
	slow.block = false;
	pthread_cond_broadcast(&slow.cond);
	pthread_mutex_unlock(&slow.lock);
	await_calls(&slow, 2);
	xs_host_close(h);
	ck_assert_str_eq(slow.text, "/w /w/1 ");
}
END_TEST

/* ---- who would be told ------------------------------------------------------------------------ */

static union {
	struct xenstore_domain_interface ring;
	char bytes[4096];
} page;

/* A guest's request through its shared page; replies are dropped. */
static void guest_asks(struct xs_conn *conn, uint32_t type, const char *payload, uint32_t len)
{
	struct xsd_sockmsg hdr = { .type = type, .len = len };
	struct xenstore_domain_interface *r = &page.ring;

	for (uint32_t i = 0; i < sizeof(hdr) + len; i++)
		r->req[MASK_XENSTORE_IDX(r->req_prod++)] = i < sizeof(hdr)
		                                                   ? ((const char *)&hdr)[i]
		                                                   : payload[i - sizeof(hdr)];
	xs_guest_event(conn);
	r->rsp_cons = r->rsp_prod;
}

static const struct {
	const char *watch; /* with its token, each with a nul */
	uint32_t len;
	bool control, shutdown;
} told[] = {
	{ "control/shutdown\0t", 19, false, true },
	{ "control\0t", 10, true, true },
	{ "/local/domain/9/control/shutdown\0t", 35, false, true },
	{ "/local/domain/9/control/shutdown/x\0t", 37, false, false },
	{ "control/shut\0t", 15, false, false },
	{ "/\0t", 4, true, true },
	{ "device\0t", 9, false, false },
};

START_TEST(it_is_known_whether_a_domain_would_be_told)
{
	struct xs_conn *conn;

	memset(&page, 0, sizeof(page));
	ck_assert_int_eq(xs_introduce(store, 9, &page, NULL, NULL, &conn), 0);
	ck_assert(!xs_domain_watches(store, 9, "/local/domain/9/control/shutdown"));
	guest_asks(conn, XS_WATCH, told[_i].watch, told[_i].len);
	ck_assert_int_eq(xs_domain_watches(store, 9, "/local/domain/9/control"), told[_i].control);
	ck_assert_int_eq(xs_domain_watches(store, 9, "/local/domain/9/control/shutdown"),
	                 told[_i].shutdown);
	ck_assert(!xs_domain_watches(store, 8, "/local/domain/9/control/shutdown"));
	guest_asks(conn, XS_UNWATCH, told[_i].watch, told[_i].len);
	ck_assert(!xs_domain_watches(store, 9, "/local/domain/9/control/shutdown"));
	xs_release(store, 9);
	ck_assert(!xs_domain_watches(store, 9, "/local/domain/9/control/shutdown"));
}
END_TEST

Suite *xs_watch_suite(void)
{
	Suite *s = suite_create("xs_watch");
	TCase *normal = tcase_create("normal"), *limits = tcase_create("limits"),
	      *hostile = tcase_create("hostile");

	tcase_add_checked_fixture(normal, set_up, tear_down);
	tcase_add_checked_fixture(limits, set_up, tear_down);
	tcase_add_checked_fixture(hostile, set_up, tear_down);
	tcase_set_timeout(normal, 60);
	tcase_add_test(normal, a_new_watch_fires_once_behind_its_reply);
	tcase_add_test(normal, the_reply_comes_before_the_events_that_the_request_caused);
	tcase_add_loop_test(normal, a_change_is_told_at_the_node_above_and_below, 0,
	                    ARRAY_LEN(effects));
	tcase_add_loop_test(normal, it_is_known_whether_a_domain_would_be_told, 0, ARRAY_LEN(told));
	tcase_add_test(normal, a_relative_watch_gets_relative_paths);
	tcase_add_test(normal,
	               a_watch_below_a_removed_node_is_told_its_own_path_only_if_it_was_there);
	tcase_add_test(normal, one_path_may_be_watched_with_several_tokens);
	tcase_add_test(normal, no_event_follows_the_reply_to_unwatch);
	tcase_add_test(normal,
	               a_transaction_tells_when_it_is_committed_and_in_the_order_of_its_changes);
	tcase_add_test(normal, an_abandoned_transaction_tells_nothing);
	tcase_add_test(normal, a_subtree_removed_in_a_transaction_is_told_below_too);
	tcase_add_test(normal, domains_coming_and_going_are_told_to_those_who_may_know);
	tcase_add_test(normal, a_callback_may_use_the_store);
	tcase_add_test(normal, a_callback_may_end_its_own_watch);
	tcase_add_test(normal, a_callback_may_end_a_watch_that_is_being_ended);
	tcase_add_test(normal, the_end_of_a_watch_waits_for_its_callback);
	tcase_add_test(normal, a_slow_callback_holds_up_its_own_handle_only);
	tcase_add_test(limits, a_guest_has_so_many_watches_and_no_more);
	tcase_add_test(limits, equal_events_that_wait_are_told_once);
	tcase_add_test(limits, events_that_nobody_reads_become_one_per_watch);
	tcase_add_test(limits, an_event_that_fits_in_no_message_is_not_sent);
	tcase_add_test(hostile, who_may_not_read_is_not_told);
	tcase_add_test(hostile, who_could_read_a_node_learns_of_its_removal);
	tcase_add_test(hostile, who_may_read_the_parent_learns_of_a_child);
	tcase_add_loop_test(hostile, a_malformed_watch_is_refused, 0, 2 * ARRAY_LEN(bad_watches));
	suite_add_tcase(s, normal);
	suite_add_tcase(s, limits);
	suite_add_tcase(s, hostile);
	return s;
}
