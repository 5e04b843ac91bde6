/* SPDX-License-Identifier: MIT */
/*
 * Transactions: isolation, conflicts, limits; and a long random run of three clients with
 * transactions against a model of the store that shares no idea with it: a flat list of nodes,
 * copied whole when a transaction begins, and a list of what to do again when it ends.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hypervisor-stub/core/xenstore/quota.h"
#include "tests/fake/xs_client.h"

Suite *xs_transaction_suite(void);

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

/* ---- isolation ------------------------------------------------------------------------------- */

START_TEST(a_transaction_sees_its_own_writes_and_nobody_else_does)
{
	ck_assert_int_eq(xsc_write(one, "a", "old"), 0);
	ck_assert_int_eq(xsc_begin(one), 0);
	ck_assert_int_eq(xsc_write(one, "a", "new"), 0);
	ck_assert_int_eq(xsc_write(one, "b/c", "new"), 0);
	ck_assert_str_eq(xsc_read(one, "a"), "new");
	ck_assert_str_eq(xsc_list(one, XS_DIRECTORY, "b"), "c,");
	ck_assert_str_eq(xsc_read(host, "/local/domain/1/a"), "old");
	ck_assert_str_eq(xsc_read(host, "/local/domain/1/b"), "!ENOENT");
	ck_assert_int_eq(xsc_end(one, true), 0);
	ck_assert_str_eq(xsc_read(host, "/local/domain/1/a"), "new");
	ck_assert_str_eq(xsc_read(host, "/local/domain/1/b/c"), "new");
}
END_TEST

START_TEST(a_transaction_sees_the_store_as_it_was_when_it_began)
{
	ck_assert_int_eq(xsc_write(one, "a", "old"), 0);
	ck_assert_int_eq(xsc_begin(one), 0);
	ck_assert_int_eq(xsc_write(host, "/local/domain/1/a", "new"), 0);
	ck_assert_int_eq(xsc_write(host, "/local/domain/1/b", "new"), 0);
	ck_assert_str_eq(xsc_read(one, "a"), "old");
	ck_assert_str_eq(xsc_read(one, "b"), "!ENOENT");
	ck_assert_int_eq(xsc_end(one, true), 0); /* it only read: it was true once */
}
END_TEST

START_TEST(an_abandoned_transaction_leaves_nothing)
{
	ck_assert_int_eq(xsc_write(one, "a", "old"), 0);
	ck_assert_int_eq(xsc_begin(one), 0);
	ck_assert_int_eq(xsc_write(one, "a", "new"), 0);
	ck_assert_int_eq(xsc_path(one, XS_RM, "a"), 0);
	ck_assert_str_eq(xsc_read(one, "a"), "!ENOENT");
	ck_assert_int_eq(xsc_end(one, false), 0);
	ck_assert_str_eq(xsc_read(one, "a"), "old");
}
END_TEST

START_TEST(several_transactions_of_one_client_are_apart)
{
	uint32_t first, second;

	ck_assert_int_eq(xsc_begin(one), 0);
	first = one->tx;
	one->tx = 0;
	ck_assert_int_eq(xsc_begin(one), 0);
	second = one->tx;
	ck_assert_uint_ne(first, second);
	ck_assert_int_eq(xsc_write(one, "s", "v"), 0);
	one->tx = first;
	ck_assert_str_eq(xsc_read(one, "s"), "!ENOENT");
	ck_assert_int_eq(xsc_write(one, "f/x", "v"), 0);
	one->tx = second;
	ck_assert_int_eq(xsc_end(one, true), 0);
	one->tx = first;
	ck_assert_int_eq(xsc_end(one, true), -EAGAIN); /* both made a child of the folder */
}
END_TEST

/* ---- conflicts ------------------------------------------------------------------------------- */

/* A transaction of domain 1 does `mine`; meanwhile the host does `theirs` to /local/domain/1/... */
static const struct {
	const char *what;
	uint32_t mine;
	const char *my_path;
	uint32_t theirs;
	const char *their_path;
	int rc;
} conflicts[] = {
	{ "write, write elsewhere", XS_WRITE, "a/x", XS_WRITE, "b/y", 0 },
	{ "write, write of a neighbour", XS_WRITE, "a/x", XS_WRITE, "a/y", 0 },
	{ "write, write of the parent", XS_WRITE, "a/x", XS_WRITE, "a", 0 },
	{ "write, write of a child", XS_WRITE, "a", XS_WRITE, "a/x", 0 },
	{ "write, write of the same", XS_WRITE, "a/x", XS_WRITE, "a/x", -EAGAIN },
	{ "write, removal", XS_WRITE, "a/x", XS_RM, "a/x", -EAGAIN },
	{ "write, removal of the parent", XS_WRITE, "a/x", XS_RM, "a", -EAGAIN },
	{ "write, removal of a neighbour", XS_WRITE, "a/x", XS_RM, "a/y", 0 },
	{ "read, write", XS_READ, "a/x", XS_WRITE, "a/x", -EAGAIN },
	{ "read, write of a child", XS_READ, "a/x", XS_WRITE, "a/x/deep", -EAGAIN },
	{ "read, write elsewhere", XS_READ, "a/x", XS_WRITE, "a/y", 0 },
	{ "read of nothing, creation", XS_READ, "a/n", XS_WRITE, "a/n", -EAGAIN },
	{ "read of nothing, creation above", XS_READ, "n/n", XS_WRITE, "n", -EAGAIN },
	{ "list, new child", XS_DIRECTORY, "a", XS_WRITE, "a/n", -EAGAIN },
	{ "list, child removed", XS_DIRECTORY, "a", XS_RM, "a/x", -EAGAIN },
	{ "list, child written", XS_DIRECTORY, "a", XS_WRITE, "a/x", 0 },
	{ "creation, creation beside it", XS_WRITE, "a/n", XS_WRITE, "a/m", -EAGAIN },
	{ "creation, creation elsewhere", XS_WRITE, "a/n", XS_WRITE, "b/m", 0 },
	{ "folder, the same folder", XS_MKDIR, "a/n", XS_MKDIR, "a/n", -EAGAIN },
	{ "folder that is there, write of it", XS_MKDIR, "a", XS_WRITE, "a", -EAGAIN },
	{ "removal, write below", XS_RM, "a", XS_WRITE, "a/x", -EAGAIN },
	{ "removal, creation far below", XS_RM, "a", XS_WRITE, "a/x/n/m", -EAGAIN },
	{ "removal, the same removal", XS_RM, "a", XS_RM, "a", -EAGAIN },
	{ "removal, write elsewhere", XS_RM, "a", XS_WRITE, "b/y", 0 },
	{ "removal, creation beside it", XS_RM, "a/x", XS_WRITE, "a/n", -EAGAIN },
};

START_TEST(a_transaction_conflicts_with_a_change_of_what_it_looked_at)
{
	char theirs[64];

	ck_assert_int_eq(xsc_write(one, "a/x", "1"), 0);
	ck_assert_int_eq(xsc_write(one, "a/y", "1"), 0);
	ck_assert_int_eq(xsc_write(one, "b/y", "1"), 0);
	ck_assert_int_eq(xsc_write(one, "z/mark", "1"), 0);
	ck_assert_int_eq(xsc_begin(one), 0);
	xsc_path(one, conflicts[_i].mine, conflicts[_i].my_path);
	ck_assert_int_eq(xsc_write(one, "z/mark", "2"), 0); /* so that it changes something */
	snprintf(theirs, sizeof(theirs), "/local/domain/1/%s", conflicts[_i].their_path);
	ck_assert_int_eq(xsc_path(host, conflicts[_i].theirs, theirs), 0);
	ck_assert_int_eq(xsc_end(one, true), conflicts[_i].rc);
	ck_assert_str_eq(xsc_read(one, "z/mark"), conflicts[_i].rc ? "1" : "2");
}
END_TEST

START_TEST(changing_back_is_a_change)
{
	ck_assert_int_eq(xsc_write(one, "a", "1"), 0);
	ck_assert_int_eq(xsc_begin(one), 0);
	ck_assert_str_eq(xsc_read(one, "a"), "1");
	ck_assert_int_eq(xsc_write(one, "b", "2"), 0);
	ck_assert_int_eq(xsc_write(host, "/local/domain/1/a", "2"), 0);
	ck_assert_int_eq(xsc_write(host, "/local/domain/1/a", "1"), 0);
	ck_assert_int_eq(xsc_end(one, true), -EAGAIN);
}
END_TEST

START_TEST(of_two_that_conflict_the_first_to_end_wins)
{
	ck_assert_int_eq(xsc_write(host, "/s", "1"), 0);
	ck_assert_int_eq(xsc_set_perms(host, "/s", "b0"), 0);
	ck_assert_int_eq(xsc_begin(one), 0);
	ck_assert_int_eq(xsc_begin(two), 0);
	ck_assert_int_eq(xsc_write(one, "/s", "one"), 0);
	ck_assert_int_eq(xsc_write(two, "/s", "two"), 0);
	ck_assert_int_eq(xsc_end(two, true), 0);
	ck_assert_int_eq(xsc_end(one, true), -EAGAIN);
	ck_assert_str_eq(xsc_read(host, "/s"), "two");
}
END_TEST

START_TEST(a_failed_operation_leaves_the_transaction_usable)
{
	static char value[3000];

	memset(value, 'v', sizeof(value) - 1);
	ck_assert_int_eq(xsc_begin(one), 0);
	ck_assert_int_eq(xsc_write(one, "a/b/c", value), -ENOSPC);
	ck_assert_str_eq(xsc_read(one, "a"), "!ENOENT");
	ck_assert_int_eq(xsc_write(one, "a", "v"), 0);
	ck_assert_int_eq(xsc_end(one, true), 0);
	ck_assert_str_eq(xsc_list(one, XS_DIRECTORY, "/local/domain/1"), "a,");
}
END_TEST

/* ---- the host's way -------------------------------------------------------------------------- */

static int two_writes(struct xs_host *h, struct xs_tx *tx, void *arg)
{
	const int *rc = arg;
	char *value;

	ck_assert_int_eq(xs_host_write(h, tx, "/t/a", "1", 1), 0);
	ck_assert_int_eq(xs_host_printf(h, tx, "/t/b", "%d", 22), 0);
	ck_assert_int_eq(xs_host_set_perms(h, tx, "/t/b", "n0,r1"), 0);
	ck_assert_int_eq(xs_host_read(h, tx, "/t/b", &value, NULL), 0);
	ck_assert_str_eq(value, "22");
	free(value);
	return *rc;
}

START_TEST(the_host_changes_all_or_nothing)
{
	struct xs_host *h;
	uint64_t number;
	unsigned nr;
	char **names, *perms;
	int rc = -EBUSY;

	ck_assert_int_eq(xs_host_open(store, &h), 0);
	ck_assert_int_eq(xsc_two(host, XS_WATCH, "/t", "t"), 0);
	xsc_events(host);
	ck_assert_int_eq(xs_host_transact(h, two_writes, &rc), -EBUSY);
	ck_assert_int_eq(xs_host_read_u64(h, NULL, "/t/b", &number), -ENOENT);
	ck_assert_str_eq(xsc_events(host), "");
	rc = 0;
	ck_assert_int_eq(xs_host_transact(h, two_writes, &rc), 0);
	ck_assert_str_eq(xsc_events(host), "/t/a|t /t/b|t ");
	ck_assert_int_eq(xs_host_read_u64(h, NULL, "/t/b", &number), 0);
	ck_assert_uint_eq(number, 22);
	ck_assert_int_eq(xs_host_directory(h, NULL, "/t", &names, &nr), 0);
	ck_assert_uint_eq(nr, 2);
	ck_assert_str_eq(names[0], "a");
	ck_assert_str_eq(names[1], "b");
	free(names);
	ck_assert_int_eq(xs_host_get_perms(h, NULL, "/t/b", &perms), 0);
	ck_assert_str_eq(perms, "n0,r1");
	free(perms);
	xs_host_close(h);
}
END_TEST

static const struct {
	const char *text;
	int rc;
	uint64_t value;
} numbers[] = {
	{ "0", 0, 0 },
	{ "18446744073709551615", 0, UINT64_MAX },
	{ "18446744073709551616", -EINVAL, 5 },
	{ "99999999999999999999999", -EINVAL, 5 },
	{ "", -EINVAL, 5 },
	{ "-1", -EINVAL, 5 },
	{ "1 ", -EINVAL, 5 },
	{ "0x1", -EINVAL, 5 },
};

START_TEST(a_number_is_read_strictly)
{
	struct xs_host *h;
	uint64_t value = 5;

	ck_assert_int_eq(xs_host_open(store, &h), 0);
	ck_assert_int_eq(xs_host_write(h, NULL, "/n", numbers[_i].text, strlen(numbers[_i].text)),
	                 0);
	ck_assert_int_eq(xs_host_read_u64(h, NULL, "/n", &value), numbers[_i].rc);
	ck_assert_uint_eq(value, numbers[_i].value);
	xs_host_close(h);
}
END_TEST

/* ---- limits ---------------------------------------------------------------------------------- */

START_TEST(a_guest_has_so_many_transactions_and_no_more)
{
	unsigned i;

	for (i = 0; i < xs_quota_default.transactions; i++) {
		ck_assert_int_eq(xsc_begin(one), 0);
		one->tx = 0;
	}
	ck_assert_int_eq(xsc_begin(one), -ENOSPC);
	ck_assert_int_eq(xsc_begin(two), 0);
	ck_assert_int_eq(xsc_end(two, true), 0);
	ck_assert_int_eq(xsc_path(one, XS_RESET_WATCHES, ""), 0);
	ck_assert_int_eq(xsc_begin(one), 0);
}
END_TEST

START_TEST(a_transaction_touches_so_many_paths_and_no_more)
{
	struct xs_quota quota = xs_quota_default;
	struct xs_store *small;
	struct xsc *c;
	char path[32];
	unsigned i;
	int rc = 0;

	quota.tx_nodes = 20;
	ck_assert_int_eq(xs_store_create(&small, &quota), 0);
	c = xsc_open(small, 0, true);
	ck_assert_int_eq(xsc_path(c, XS_MKDIR, "/local/domain/1"), 0);
	ck_assert_int_eq(xsc_set_perms(c, "/local/domain/1", "n1"), 0);
	xsc_close(c);
	c = xsc_open(small, 1, false);
	ck_assert_int_eq(xsc_begin(c), 0);
	for (i = 0; !rc && i < 100; i++) {
		snprintf(path, sizeof(path), "n%u", i);
		rc = xsc_write(c, path, "v");
	}
	ck_assert_int_eq(rc, -ENOSPC);
	ck_assert_uint_eq(i, 20); /* the folder, and 19 in it; the 20th is refused */
	ck_assert_int_eq(xsc_write(c, "n5", "w"), 0);
	ck_assert_int_eq(xsc_end(c, true), 0);
	ck_assert_str_eq(xsc_read(c, "n18"), "v");
	ck_assert_str_eq(xsc_read(c, "n19"), "!ENOENT");
	xsc_close(c);
	xs_store_destroy(small);
}
END_TEST

START_TEST(quotas_are_kept_when_two_transactions_fit_only_one_by_one)
{
	struct xs_quota quota = xs_quota_default;
	struct xs_store *small;
	uint32_t first, second;
	struct xsc *c;

	quota.nodes = 6;
	ck_assert_int_eq(xs_store_create(&small, &quota), 0);
	c = xsc_open(small, 0, true);
	ck_assert_int_eq(xsc_path(c, XS_MKDIR, "/local/domain/1/a"), 0);
	ck_assert_int_eq(xsc_path(c, XS_MKDIR, "/local/domain/1/b"), 0);
	ck_assert_int_eq(xsc_set_perms(c, "/local/domain/1/a", "n1"), 0);
	ck_assert_int_eq(xsc_set_perms(c, "/local/domain/1/b", "n1"), 0);
	xsc_close(c);
	c = xsc_open(small, 1, false);
	ck_assert_int_eq(xsc_begin(c), 0);
	ck_assert_int_eq(xsc_path(c, XS_MKDIR, "a/1/2/3"), 0);
	first = c->tx;
	c->tx = 0;
	ck_assert_int_eq(xsc_begin(c), 0);
	ck_assert_int_eq(xsc_path(c, XS_MKDIR, "b/1/2/3"), 0);
	second = c->tx;
	c->tx = first;
	ck_assert_int_eq(xsc_end(c, true), 0);
	c->tx = second;
	ck_assert_int_eq(xsc_end(c, true), -ENOSPC);
	ck_assert_str_eq(xsc_list(c, XS_DIRECTORY, "b"), "");
	xsc_close(c);
	xs_store_destroy(small);
}
END_TEST

/* ---- hostile --------------------------------------------------------------------------------- */

START_TEST(numbers_of_transactions_are_checked)
{
	uint32_t theirs;

	one->tx = 77;
	ck_assert_str_eq(xsc_read(one, "a"), "!ENOENT");
	ck_assert_int_eq(xsc_begin(one), -ENOENT);
	one->tx = 77;
	ck_assert_int_eq(xsc_end(one, true), -ENOENT);
	ck_assert_int_eq(xsc_end(one, true), -ENOENT); /* none at all */
	ck_assert_int_eq(xsc_begin(two), 0);
	theirs = two->tx;
	one->tx = theirs;
	ck_assert_int_eq(xsc_write(one, "/local/domain/2/a", "v"), -ENOENT);
	one->tx = 0;
	ck_assert_int_eq(xsc_path(two, XS_TRANSACTION_START, ""), -EBUSY);
	ck_assert_int_eq(xsc_path(two, XS_TRANSACTION_END, "X"), -EINVAL);
	ck_assert_int_eq(xsc_path(two, XS_TRANSACTION_END, "TT"), -EINVAL);
	ck_assert_int_eq(xsc_call(two, XS_TRANSACTION_END, "T", 1), -EINVAL);
	ck_assert_int_eq(xsc_call(two, XS_TRANSACTION_END, "T\0F", 4), -EINVAL);
	ck_assert_int_eq(xsc_end(two, true), 0);
	two->tx = theirs;
	ck_assert_int_eq(xsc_end(two, true), -ENOENT);
}
END_TEST

START_TEST(a_domain_that_goes_does_not_come_back_with_a_transaction)
{
	static char page[4096] __attribute__((aligned(4096)));
	struct xs_conn *conn;

	ck_assert_int_eq(xs_introduce(store, 7, page, NULL, NULL, &conn), 0);
	ck_assert_int_eq(xsc_begin(one), 0);
	ck_assert_int_eq(xsc_write(one, "a", "v"), 0);
	ck_assert_int_eq(xsc_set_perms(one, "a", "n1,r7"), 0);
	xs_release(store, 7);
	ck_assert_int_eq(xsc_end(one, true), -EAGAIN);
}
END_TEST

/* ---- the model ------------------------------------------------------------------------------- */

enum { M_NODES = 400, M_OPS = 4000, M_DEPS = 4000, M_SLOTS = 2, M_QUOTA = 16, M_PERMS = 3 };

struct m_perm {
	int domid;
	char access; /* n r w b */
	bool stale;
};

struct m_node {
	char path[48];
	char value[16];
	struct m_perm perm[M_PERMS];
	int nr_perms;
	long version; /* of value, permissions and list of children */
};

struct m_tree {
	struct m_node node[M_NODES];
	int nr;
};

struct m_op {
	uint32_t type;
	char path[48];
	char value[16];
	struct m_perm perm[M_PERMS];
	int nr_perms;
};

struct m_tx {
	bool open, doomed;
	uint32_t id;
	struct m_tree base, mine;
	struct m_op op[M_OPS];
	int nr_ops;
	struct {
		char path[48];
		bool below;
	} dep[M_DEPS];
	int nr_deps;
};

struct m_client {
	int domid; /* 0: the host */
	struct xsc *c;
	struct m_tx tx[M_SLOTS];
};

static struct m_tree model;
static struct m_client clients[3];
static long m_version;
static uint64_t m_random;

static unsigned pick(unsigned n)
{
	m_random ^= m_random << 13;
	m_random ^= m_random >> 7;
	m_random ^= m_random << 17;
	return (unsigned)((m_random >> 11) % n);
}

static struct m_node *m_find(struct m_tree *t, const char *path)
{
	int i;

	for (i = 0; i < t->nr; i++)
		if (!strcmp(t->node[i].path, path))
			return &t->node[i];
	return NULL;
}

static void m_parent(const char *path, char *out)
{
	char *slash;

	memmove(out, path, strlen(path) + 1);
	slash = strrchr(out, '/');
	slash[slash == out] = '\0';
}

static bool m_is_below(const char *path, const char *top)
{
	size_t len = strlen(top);

	return !strcmp(top, "/") || (!strncmp(path, top, len) && (!path[len] || path[len] == '/'));
}

static bool m_may(const struct m_node *n, int who, char right)
{
	char access = n->perm[0].access;
	int i;

	if (who == 0 || n->perm[0].domid == who)
		return true;
	for (i = 1; i < n->nr_perms; i++)
		if (n->perm[i].domid == who && !n->perm[i].stale) {
			access = n->perm[i].access;
			break;
		}
	return access == right || access == 'b';
}

static void m_depend(struct m_tx *tx, const char *path, bool below)
{
	if (!tx)
		return;
	ck_assert_int_lt(tx->nr_deps, M_DEPS);
	strcpy(tx->dep[tx->nr_deps].path, path);
	tx->dep[tx->nr_deps++].below = below;
}

/* 0, -ENOENT or -EACCES, as look() of the product promises it. */
static int m_look(struct m_tree *t, struct m_tx *tx, int who, const char *path, char right)
{
	struct m_node *n;
	char at[48];

	strcpy(at, path);
	while (!(n = m_find(t, at)))
		m_parent(at, at);
	m_depend(tx, at, false);
	if (!m_may(n, who, right))
		return -EACCES;
	return strcmp(at, path) ? -ENOENT : 0;
}

static int m_owned(const struct m_tree *t, int who)
{
	int i, nr = 0;

	for (i = 0; i < t->nr; i++)
		nr += t->node[i].perm[0].domid == who;
	return nr;
}

static void m_create(struct m_tree *t, int who, const char *path)
{
	struct m_node *parent, *n;
	char up[48];

	if (m_find(t, path))
		return;
	m_parent(path, up);
	m_create(t, who, up);
	parent = m_find(t, up);
	ck_assert_int_lt(t->nr, M_NODES);
	n = &t->node[t->nr++];
	*n = *parent;
	strcpy(n->path, path);
	n->value[0] = '\0';
	if (who)
		n->perm[0].domid = who;
	n->version = parent->version = ++m_version;
}

static void m_remove(struct m_tree *t, const char *path)
{
	char up[48];
	int i;

	m_parent(path, up);
	for (i = 0; i < t->nr; i++)
		if (m_is_below(t->node[i].path, path))
			t->node[i--] = t->node[--t->nr];
	m_find(t, up)->version = ++m_version;
}

/* Does what op says to a tree, or says why not; on failure the tree may be half changed. */
static int m_change(struct m_tree *t, struct m_tx *tx, int who, const struct m_op *op, bool quota)
{
	int before = m_owned(t, who), rc;
	struct m_node *n;
	char up[48];

	rc = m_look(t, tx, who, op->path, 'w');
	if (op->type == XS_SET_PERMS) {
		n = m_find(t, op->path);
		if (rc)
			return rc;
		if (who && n->perm[0].domid != who)
			return -EACCES;
		if (who && op->perm[0].domid != who)
			return -EPERM;
		memcpy(n->perm, op->perm, sizeof(n->perm));
		n->nr_perms = op->nr_perms;
		n->version = ++m_version;
	} else if (op->type == XS_RM) {
		m_parent(op->path, up);
		if (rc == -ENOENT)
			return m_find(t, up) ? 0 : -ENOENT;
		if (rc)
			return rc;
		if (!strcmp(op->path, "/"))
			return -EINVAL;
		m_depend(tx, up, false);
		m_depend(tx, op->path, true);
		m_remove(t, op->path);
	} else {
		if (rc == -EACCES)
			return rc;
		if (rc == 0 && op->type == XS_MKDIR)
			return 0;
		m_create(t, who, op->path);
		if (op->type == XS_WRITE) {
			n = m_find(t, op->path);
			ck_assert_ptr_nonnull(n);
			strcpy(n->value, op->value);
			n->version = ++m_version;
		}
	}
	if (quota && who && m_owned(t, who) > M_QUOTA && m_owned(t, who) > before)
		return -ENOSPC;
	return 0;
}

static struct m_tree scratch;

/* All or nothing, in the model or in a transaction of it. */
static int m_do(struct m_client *c, struct m_tx *tx, const struct m_op *op)
{
	struct m_tree *t = tx ? &tx->mine : &model;
	long version = m_version;
	int rc;

	scratch = *t;
	rc = m_change(t, tx, c->domid, op, true);
	if (rc)
		*t = scratch;
	else if (tx && m_version != version) {
		ck_assert_int_lt(tx->nr_ops, M_OPS);
		tx->op[tx->nr_ops++] = *op;
	}
	return rc;
}

static long m_version_of(struct m_tree *t, const char *path)
{
	struct m_node *n = m_find(t, path);

	return n ? n->version : -1;
}

static bool m_dep_changed(struct m_tx *tx, const char *path, bool below)
{
	int i;

	if (m_version_of(&tx->base, path) != m_version_of(&model, path))
		return true;
	for (i = 0; below && i < model.nr; i++)
		if (m_is_below(model.node[i].path, path) &&
		    m_version_of(&tx->base, model.node[i].path) != model.node[i].version)
			return true;
	return false;
}

static int m_end(struct m_client *c, struct m_tx *tx, bool commit)
{
	int i, before = m_owned(&model, c->domid);

	tx->open = false;
	if (!commit || !tx->nr_ops)
		return 0;
	if (tx->doomed)
		return -EAGAIN;
	for (i = 0; i < tx->nr_deps; i++)
		if (m_dep_changed(tx, tx->dep[i].path, tx->dep[i].below))
			return -EAGAIN;
	scratch = model;
	for (i = 0; i < tx->nr_ops; i++)
		ck_assert_int_eq(m_change(&model, NULL, c->domid, &tx->op[i], false), 0);
	i = m_owned(&model, c->domid);
	if (c->domid && i > M_QUOTA && i > before) {
		model = scratch;
		return -ENOSPC;
	}
	return 0;
}

/* ---- the same to the store, and a look at all of it ---- */

static void random_path(char *out)
{
	static const char *const base[] = { "/local/domain/1", "/local/domain/2", "/s", "/s/t" };
	unsigned depth = pick(4);

	if (!pick(40)) {
		strcpy(out, "/");
		return;
	}
	strcpy(out, base[pick(ARRAY_LEN(base))]);
	while (depth--) {
		strcat(out, "/");
		strncat(out, &"abc"[pick(3)], 1);
	}
}

static void random_perms(const struct m_client *c, struct m_op *op)
{
	int i;

	op->nr_perms = 1 + (int)pick(M_PERMS);
	for (i = 0; i < op->nr_perms; i++) {
		op->perm[i].access = "nrwb"[pick(4)];
		op->perm[i].domid = (int)pick(4); /* domain 3 does not exist */
		op->perm[i].stale = c->domid && i && op->perm[i].domid == 3;
	}
	if (c->domid && pick(8))
		op->perm[0].domid = c->domid;
}

static void perms_text(const struct m_perm *perm, int nr, char sep, char *out)
{
	int i;

	for (i = 0, *out = '\0'; i < nr; i++)
		sprintf(out + strlen(out), "%c%d%c", perm[i].access, perm[i].domid, sep);
}

static int store_do(struct m_client *c, const struct m_op *op)
{
	char perms[64];

	switch (op->type) {
	case XS_WRITE:
		return xsc_write(c->c, op->path, op->value);
	case XS_SET_PERMS:
		perms_text(op->perm, op->nr_perms, ',', perms);
		perms[strlen(perms) - 1] = '\0';
		return xsc_set_perms(c->c, op->path, perms);
	default:
		return xsc_path(c->c, op->type, op->path);
	}
}

static int name_order(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* What DIRECTORY must answer, in the form of xsc_list(). */
static void children_text(struct m_tree *t, const char *path, char *out)
{
	const char *name[64];
	char up[48];
	int i, nr = 0;

	for (i = 0; i < t->nr; i++) {
		m_parent(t->node[i].path, up);
		if (!strcmp(up, path) && strcmp(t->node[i].path, "/"))
			name[nr++] = strrchr(t->node[i].path, '/') + 1;
	}
	qsort(name, (size_t)nr, sizeof(name[0]), name_order);
	for (i = 0, *out = '\0'; i < nr; i++)
		strcat(strcat(out, name[i]), ",");
}

static void compare_reading(struct m_client *c, struct m_tx *tx, const char *path)
{
	static const uint32_t types[] = { XS_READ, XS_DIRECTORY, XS_GET_PERMS };
	uint32_t type = types[pick(3)];
	struct m_tree *t = tx ? &tx->mine : &model;
	int rc = m_look(t, tx, c->domid, path, 'r');
	struct m_node *n = m_find(t, path);
	char want[512];

	c->c->tx = tx ? tx->id : 0;
	if (rc) {
		ck_assert_int_eq(xsc_path(c->c, type, path), rc);
	} else if (type == XS_READ) {
		ck_assert_str_eq(xsc_read(c->c, path), n->value);
	} else if (type == XS_DIRECTORY) {
		children_text(t, path, want);
		ck_assert_str_eq(xsc_list(c->c, type, path), want);
	} else {
		perms_text(n->perm, n->nr_perms, ',', want);
		ck_assert_str_eq(xsc_list(c->c, type, path), want);
	}
	c->c->tx = 0;
}

static void compare_all(void)
{
	char want[512];
	int i;

	for (i = 0; i < model.nr; i++) {
		children_text(&model, model.node[i].path, want);
		ck_assert_str_eq(xsc_list(host, XS_DIRECTORY, model.node[i].path), want);
		ck_assert_str_eq(xsc_read(host, model.node[i].path), model.node[i].value);
		perms_text(model.node[i].perm, model.node[i].nr_perms, ',', want);
		ck_assert_str_eq(xsc_list(host, XS_GET_PERMS, model.node[i].path), want);
	}
	ck_assert_int_eq(xs_store_check(store), 0);
}

static void step_transaction(struct m_client *c, struct m_tx *tx)
{
	bool commit = pick(4) != 0;

	if (tx->open) {
		c->c->tx = tx->id;
		ck_assert_int_eq(xsc_end(c->c, commit), m_end(c, tx, commit));
		return;
	}
	ck_assert_int_eq(xsc_begin(c->c), 0);
	tx->id = c->c->tx;
	c->c->tx = 0;
	tx->open = true;
	tx->doomed = false;
	tx->nr_ops = tx->nr_deps = 0;
	tx->base = tx->mine = model;
}

static void step_change(struct m_client *c, struct m_tx *tx)
{
	static const uint32_t types[] = { XS_WRITE, XS_WRITE, XS_WRITE,
		                          XS_MKDIR, XS_RM,    XS_SET_PERMS };
	struct m_op op = { .type = types[pick(ARRAY_LEN(types))] };
	int rc;

	random_path(op.path);
	snprintf(op.value, sizeof(op.value), "%u", pick(1000));
	random_perms(c, &op);
	if (op.type == XS_SET_PERMS && !strcmp(op.path, "/"))
		return; /* nobody else may own the root here */
	rc = m_do(c, tx, &op);
	c->c->tx = tx ? tx->id : 0;
	ck_assert_int_eq(store_do(c, &op), rc);
	c->c->tx = 0;
}

/* Domain 2 goes, and comes back as another. */
static void step_release(char *page)
{
	struct xs_conn *conn;
	struct m_node *n;
	int i, k, nr;

	xs_release(store, 2);
	ck_assert_int_eq(xs_introduce(store, 2, page, NULL, NULL, &conn), 0);
	for (i = 0; i < model.nr; i++)
		if (model.node[i].perm[0].domid == 2) {
			char path[48];

			strcpy(path, model.node[i].path);
			m_remove(&model, path);
			i = -1;
		}
	for (i = 0; i < model.nr; i++) {
		n = &model.node[i];
		for (k = nr = 1; k < n->nr_perms; k++)
			if (n->perm[k].domid != 2)
				n->perm[nr++] = n->perm[k];
		if (nr != n->nr_perms)
			n->version = ++m_version;
		n->nr_perms = nr;
	}
	for (i = 0; i < 3 * M_SLOTS; i++)
		clients[i / M_SLOTS].tx[i % M_SLOTS].doomed = true;
}

static void model_begin(void)
{
	static const char *const path[] = { "/",
		                            "/tool",
		                            "/tool/xenstored",
		                            "/local",
		                            "/local/domain",
		                            "/local/domain/1",
		                            "/local/domain/2" };
	struct m_node *n;
	size_t i;

	for (i = 0; i < ARRAY_LEN(path); i++) {
		n = &model.node[model.nr++];
		strcpy(n->path, path[i]);
		n->nr_perms = 1;
		n->perm[0] = (struct m_perm){ .access = 'n', .domid = i >= 5 ? (int)i - 4 : 0 };
		n->version = ++m_version;
	}
	clients[0] = (struct m_client){ .domid = 0, .c = host };
	clients[1] = (struct m_client){ .domid = 1, .c = one };
	clients[2] = (struct m_client){ .domid = 2, .c = two };
}

START_TEST(a_random_history_goes_as_the_model_says)
{
	static char page[2][4096] __attribute__((aligned(4096)));
	struct xs_quota quota = xs_quota_default;
	struct xs_conn *conn;
	struct m_client *c;
	struct m_tx *tx;
	char path[48];
	unsigned step, what;

	tear_down();
	quota.nodes = M_QUOTA;
	ck_assert_int_eq(xs_store_create(&store, &quota), 0);
	host = xsc_open(store, 0, true);
	one = xsc_open(store, 1, false);
	two = xsc_open(store, 2, false);
	ck_assert_int_eq(xs_introduce(store, 1, page[0], NULL, NULL, &conn), 0);
	ck_assert_int_eq(xs_introduce(store, 2, page[1], NULL, NULL, &conn), 0);
	xsc_path(host, XS_MKDIR, "/local/domain/1");
	xsc_set_perms(host, "/local/domain/1", "n1");
	xsc_path(host, XS_MKDIR, "/local/domain/2");
	xsc_set_perms(host, "/local/domain/2", "n2");
	model_begin();
	m_random = 0x9e3779b97f4a7c15ull * (uint64_t)(_i + 1);
	for (step = 0; step < 6000; step++) {
		c = &clients[pick(3)];
		tx = pick(3) ? &c->tx[pick(M_SLOTS)] : NULL;
		what = pick(100);
		if (what < 30 && tx)
			step_transaction(c, tx);
		else if (what == 99 && !pick(4))
			step_release(page[1]);
		else if (what < 70)
			step_change(c, tx && tx->open ? tx : NULL);
		else {
			random_path(path);
			compare_reading(c, tx && tx->open ? tx : NULL, path);
		}
		if (step % 64 == 0)
			compare_all();
	}
	compare_all();
	xs_release(store, 1);
	xs_release(store, 2);
}
END_TEST

Suite *xs_transaction_suite(void)
{
	Suite *s = suite_create("xs_transaction");
	TCase *normal = tcase_create("normal"), *limits = tcase_create("limits"),
	      *hostile = tcase_create("hostile");

	tcase_add_checked_fixture(normal, set_up, tear_down);
	tcase_add_checked_fixture(limits, set_up, tear_down);
	tcase_add_checked_fixture(hostile, set_up, tear_down);
	tcase_set_timeout(normal, 120);
	tcase_add_test(normal, a_transaction_sees_its_own_writes_and_nobody_else_does);
	tcase_add_test(normal, a_transaction_sees_the_store_as_it_was_when_it_began);
	tcase_add_test(normal, an_abandoned_transaction_leaves_nothing);
	tcase_add_test(normal, several_transactions_of_one_client_are_apart);
	tcase_add_loop_test(normal, a_transaction_conflicts_with_a_change_of_what_it_looked_at, 0,
	                    ARRAY_LEN(conflicts));
	tcase_add_test(normal, changing_back_is_a_change);
	tcase_add_test(normal, of_two_that_conflict_the_first_to_end_wins);
	tcase_add_test(normal, a_failed_operation_leaves_the_transaction_usable);
	tcase_add_test(normal, the_host_changes_all_or_nothing);
	tcase_add_loop_test(normal, a_number_is_read_strictly, 0, ARRAY_LEN(numbers));
	tcase_add_loop_test(normal, a_random_history_goes_as_the_model_says, 0, 8);
	tcase_add_test(limits, a_guest_has_so_many_transactions_and_no_more);
	tcase_add_test(limits, a_transaction_touches_so_many_paths_and_no_more);
	tcase_add_test(limits, quotas_are_kept_when_two_transactions_fit_only_one_by_one);
	tcase_add_test(hostile, numbers_of_transactions_are_checked);
	tcase_add_test(hostile, a_domain_that_goes_does_not_come_back_with_a_transaction);
	suite_add_tcase(s, normal);
	suite_add_tcase(s, limits);
	suite_add_tcase(s, hostile);
	return s;
}
