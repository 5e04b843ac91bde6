/* SPDX-License-Identifier: MIT */
/*
 * The store when memory runs out: a day in its life is lived again and again, and each time another
 * allocation fails. Whatever that hits is refused or not done; nothing crashes, the store's
 * invariants hold, and at the end everything has been given back.
 *
 * The test has its own malloc(), on top of the C library's. A sanitizer brings one, too; there this
 * has nothing to do.
 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fake/xs_client.h"

Suite *xs_memory_suite(void);

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HAVE_OWN_MALLOC 0
#else
#define HAVE_OWN_MALLOC 1
#endif

#if HAVE_OWN_MALLOC

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);
void __libc_free(void *p);

static _Thread_local bool counting;  /* only what the store allocates, in this thread */
static unsigned long calls, fail_at; /* fail_at: number of the call that fails; 0: none */
static long live;

static bool fails(void)
{
	return counting && ++calls == fail_at;
}

static void *count(void *p)
{
	if (counting && p)
		live++;
	return p;
}

void *malloc(size_t size)
{
	return fails() ? NULL : count(__libc_malloc(size));
}

void *calloc(size_t n, size_t size)
{
	return fails() ? NULL : count(__libc_calloc(n, size));
}

void *realloc(void *p, size_t size)
{
	void *q;

	if (fails())
		return NULL;
	q = __libc_realloc(p, size);
	return p ? q : count(q);
}

void free(void *p)
{
	if (counting && p)
		live--;
	__libc_free(p);
}

/* ---- the day --------------------------------------------------------------------------------- */

struct day {
	struct xs_store *store;
	struct xs_host *host;
	union {
		struct xenstore_domain_interface ring;
		char bytes[4096];
	} page;
	struct xs_conn *conn;
};

/* One request over the page; the answer is not of interest. */
static void ask(struct day *d, uint32_t type, uint32_t tx, const char *payload, size_t len)
{
	struct xsd_sockmsg hdr = { .type = type, .tx_id = tx, .len = (uint32_t)len };
	struct xenstore_domain_interface *r = &d->page.ring;
	size_t i;

	if (r->error) {
		r->connection = XENSTORE_RECONNECT;
		xs_guest_event(d->conn);
	}
	for (i = 0; i < sizeof(hdr) + len; i++)
		r->req[MASK_XENSTORE_IDX(r->req_prod++)] = i < sizeof(hdr)
		                                                   ? ((char *)&hdr)[i]
		                                                   : payload[i - sizeof(hdr)];
	xs_guest_event(d->conn);
	r->rsp_cons = r->rsp_prod;
	xs_guest_event(d->conn);
}

static int host_tx(struct xs_host *h, struct xs_tx *tx, void *arg)
{
	(void)arg;
	xs_host_write(h, tx, "/local/domain/1/a", "host", 4);
	xs_host_rm(h, tx, "/local/domain/1/b");
	return 0;
}

static void live_through(struct day *d)
{
	static const struct xs_domain_info info = { .domid = 1, .name = "one", .max_vcpus = 1 };
	char *text, **names;
	unsigned nr;

	xs_domain_populate(d->store, &info);
	if (xs_introduce(d->store, 1, &d->page, NULL, NULL, &d->conn))
		return;
	ask(d, XS_WATCH, 0, "data\0t", 7);
	ask(d, XS_WRITE, 0, "data/a/b/c\0value", 16);
	ask(d, XS_SET_PERMS, 0, "data/a\0n1\0r2", 13);
	ask(d, XS_READ, 0, "data/a/b/c", 11);
	ask(d, XS_DIRECTORY, 0, "data", 5);
	ask(d, XS_TRANSACTION_START, 0, "", 1);
	ask(d, XS_WRITE, 1, "data/x\0in", 9);
	ask(d, XS_RM, 1, "data/a", 7);
	ask(d, XS_WRITE, 0, "error/y\0out", 11);
	ask(d, XS_TRANSACTION_END, 1, "T", 2);
	ask(d, XS_RM, 0, "data", 5);
	xs_host_transact(d->host, host_tx, NULL);
	if (!xs_host_read(d->host, NULL, "/local/domain/1/name", &text, NULL))
		free(text);
	if (!xs_host_directory(d->host, NULL, "/local/domain/1", &names, &nr))
		free(names);
	if (!xs_host_get_perms(d->host, NULL, "/local/domain/1", &text))
		free(text);
}

/* Returns false when the allocation that should have failed was never asked for. */
static bool one_day(unsigned long fail)
{
	struct day d = { .store = NULL };

	live = 0;
	calls = 0;
	fail_at = fail;
	counting = true;
	if (xs_store_create(&d.store, NULL)) {
		counting = false;
		ck_assert_int_eq(live, 0);
		return true;
	}
	if (!xs_host_open(d.store, &d.host)) {
		live_through(&d);
		fail_at = 0; /* the check itself and the end are not what is tested */
		ck_assert_int_eq(xs_store_check(d.store), 0);
		if (fail % 2) /* and with the end as well, every other time */
			fail_at = fail;
		xs_release(d.store, 1);
		fail_at = 0;
		xs_host_close(d.host);
	}
	xs_store_destroy(d.store);
	counting = false;
	ck_assert_int_eq(live, 0);
	return calls >= fail;
}

START_TEST(any_one_allocation_may_fail)
{
	unsigned long fail = 1;

	while (one_day(fail))
		fail++;
	ck_assert_uint_gt(fail, 500); /* there was something to fail */
}
END_TEST

/* The removal of what a domain leaves behind fails: it is done before the number is used again. */
START_TEST(a_domain_that_could_not_be_cleaned_up_does_not_come_back)
{
	struct day d = { .store = NULL };
	char *text;
	int rc;

	ck_assert_int_eq(xs_store_create(&d.store, NULL), 0);
	ck_assert_int_eq(xs_host_open(d.store, &d.host), 0);
	ck_assert_int_eq(xs_introduce(d.store, 1, &d.page, NULL, NULL, &d.conn), 0);
	ck_assert_int_eq(xs_host_write(d.host, NULL, "/n", "v", 1), 0);
	ck_assert_int_eq(xs_host_set_perms(d.host, NULL, "/n", "n0,r1"), 0);
	calls = 0;
	fail_at = 1;
	counting = true;
	xs_release(d.store, 1);
	counting = false;
	ck_assert_int_eq(xs_host_get_perms(d.host, NULL, "/n", &text), 0);
	ck_assert_str_eq(text, "n0,r1");
	free(text);
	calls = 0;
	counting = true;
	rc = xs_introduce(d.store, 1, &d.page, NULL, NULL, &d.conn);
	counting = false;
	ck_assert_int_eq(rc, -ENOMEM);
	ck_assert_int_eq(xs_introduce(d.store, 1, &d.page, NULL, NULL, &d.conn), 0);
	ck_assert_int_eq(xs_host_get_perms(d.host, NULL, "/n", &text), 0);
	ck_assert_str_eq(text, "n0");
	free(text);
	xs_release(d.store, 1);
	xs_host_close(d.host);
	xs_store_destroy(d.store);
}
END_TEST

#endif

Suite *xs_memory_suite(void)
{
	Suite *s = suite_create("xs_memory");
	TCase *limits = tcase_create("limits");

	tcase_set_timeout(limits, 60);
#if HAVE_OWN_MALLOC
	tcase_add_test(limits, any_one_allocation_may_fail);
	tcase_add_test(limits, a_domain_that_could_not_be_cleaned_up_does_not_come_back);
#endif
	suite_add_tcase(s, limits);
	return s;
}
