/* SPDX-License-Identifier: MIT */
/*
 * The store's nodes: paths, permissions, the tree and its versions, quotas. Messages are used where
 * the rule is one that a client sees; tree.h directly where it is about versions.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hypervisor-stub/core/xenstore/quota.h"
#include "hypervisor-stub/core/xenstore/tree.h"
#include "tests/fake/xs_client.h"

Suite *xs_tree_suite(void);

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

static struct xs_store *store;
static struct xsc *host, *one, *two; /* the host, domains 1 and 2 */

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

/* ---- paths ----------------------------------------------------------------------------------- */

static const struct {
	const char *in;
	bool special;
	const char *out; /* NULL: refused */
} paths[] = {
	{ "/", false, "/" },
	{ "/a", false, "/a" },
	{ "/a/B-9_@x", false, "/a/B-9_@x" },
	{ "a", false, "/local/domain/7/a" },
	{ "a/b", false, "/local/domain/7/a/b" },
	{ "@introduceDomain", true, "@introduceDomain" },
	{ "@introduceDomain", false, NULL },
	{ "", false, NULL },
	{ "", true, NULL },
	{ "//", false, NULL },
	{ "/a/", false, NULL },
	{ "a/", false, NULL },
	{ "/a//b", false, NULL },
	{ "/a.b", false, NULL },
	{ "/a b", false, NULL },
	{ "/a\xc3\xa4", false, NULL },
	{ "/a\n", false, NULL },
	{ "/../b", false, NULL },
};

START_TEST(only_a_permitted_path_is_taken)
{
	char out[XS_PATH_BUF];
	int rc = xs_path_canonical("/local/domain/7", paths[_i].in, paths[_i].special, out);

	ck_assert_int_eq(rc, paths[_i].out ? 0 : -EINVAL);
	if (paths[_i].out)
		ck_assert_str_eq(out, paths[_i].out);
}
END_TEST

static const struct {
	size_t len;
	bool relative;
	int rc;
} lengths[] = {
	{ 3072, false, 0 },      { 3073, false, -EINVAL }, { 2048, true, 0 },
	{ 2049, true, -EINVAL }, { 4000, true, -EINVAL },
};

START_TEST(path_lengths_end_where_the_protocol_says)
{
	char in[5000], out[XS_PATH_BUF];

	memset(in, 'x', sizeof(in));
	in[0] = lengths[_i].relative ? 'x' : '/';
	in[lengths[_i].len] = '\0';
	ck_assert_int_eq(xs_path_canonical("/local/domain/65535", in, false, out), lengths[_i].rc);
}
END_TEST

START_TEST(a_path_is_walked_component_by_component)
{
	const char *cursor = "/a/bc";
	struct xs_step step;
	char seen[32] = "";

	while (xs_path_next(&cursor, &step)) {
		strncat(seen, step.name, step.len);
		strcat(seen, " ");
	}
	ck_assert_str_eq(seen, "/ a bc ");
	ck_assert_uint_eq(xs_path_parent_len("/"), 0);
	ck_assert_uint_eq(xs_path_parent_len("/a"), 1);
	ck_assert_uint_eq(xs_path_parent_len("/a/bc"), 2);
	ck_assert_uint_eq(xs_path_parent_len("@x"), 0);
}
END_TEST

/* ---- permissions ----------------------------------------------------------------------------- */

static const struct {
	const char *text;
	size_t len;
	int rc;
	unsigned nr;
} perm_texts[] = {
	{ "n0", 3, 0, 1 },         { "b5\0r6\0w65535", 13, 0, 3 },
	{ "", 0, -EINVAL, 0 },     { "x0", 3, -EINVAL, 0 },
	{ "n", 2, -EINVAL, 0 },    { "n-1", 4, -EINVAL, 0 },
	{ "n0", 2, -EINVAL, 0 },   { "n65536", 7, -EINVAL, 0 },
	{ "n1\0", 4, -EINVAL, 0 }, { "n123456", 8, -EINVAL, 0 },
	{ "N1", 3, -EINVAL, 0 },   { "n1 ", 4, -EINVAL, 0 },
};

START_TEST(permissions_are_read_strictly)
{
	struct xs_perm entry[XS_PERMS_MAX];
	unsigned nr = 0;

	ck_assert_int_eq(xs_perms_parse(perm_texts[_i].text, perm_texts[_i].len, entry, &nr),
	                 perm_texts[_i].rc);
	ck_assert_uint_eq(nr, perm_texts[_i].nr);
}
END_TEST

START_TEST(permissions_are_written_as_they_were_read)
{
	static const char text[] = "n1\0r2\0w3\0b4";
	struct xs_perm entry[XS_PERMS_MAX];
	struct xs_perms *perms;
	char out[32];
	unsigned nr;

	ck_assert_int_eq(xs_perms_parse(text, sizeof(text), entry, &nr), 0);
	perms = xs_perms_make(entry, nr);
	ck_assert_int_eq(xs_perms_format(perms, out, sizeof(out)), (int)sizeof(text));
	ck_assert_mem_eq(out, text, sizeof(text));
	ck_assert_int_eq(xs_perms_format(perms, out, sizeof(text) - 1), -E2BIG);
	xs_perms_put(perms);
}
END_TEST

/* Node /n with these permissions; what domains 1 (reader) and 2 may do with it. */
static const struct {
	const char *perms;
	int read1, write1, read2, write2, set1;
} access_table[] = {
	{ "n0", -EACCES, -EACCES, -EACCES, -EACCES, -EACCES },
	{ "r0", 0, -EACCES, 0, -EACCES, -EACCES },
	{ "w0", -EACCES, 0, -EACCES, 0, -EACCES },
	{ "b0", 0, 0, 0, 0, -EACCES },
	{ "n1", 0, 0, -EACCES, -EACCES, 0 },
	{ "n0,r1", 0, -EACCES, -EACCES, -EACCES, -EACCES },
	{ "n0,b1", 0, 0, -EACCES, -EACCES, -EACCES },
	{ "b0,n1", -EACCES, -EACCES, 0, 0, -EACCES },
	{ "n0,w1,r1", -EACCES, 0, -EACCES, -EACCES, -EACCES }, /* the first entry counts */
	{ "n1,n1", 0, 0, -EACCES, -EACCES, 0 },                /* an owner may do everything */
};

START_TEST(who_may_do_what_follows_from_the_list)
{
	ck_assert_int_eq(xsc_write(host, "/n", "v"), 0);
	ck_assert_int_eq(xsc_set_perms(host, "/n", access_table[_i].perms), 0);
	ck_assert_int_eq(xsc_path(one, XS_READ, "/n"), access_table[_i].read1);
	ck_assert_int_eq(xsc_path(one, XS_DIRECTORY, "/n"), access_table[_i].read1);
	ck_assert_int_eq(xsc_path(one, XS_GET_PERMS, "/n"), access_table[_i].read1);
	ck_assert_int_eq(xsc_write(one, "/n", "v"), access_table[_i].write1);
	ck_assert_int_eq(xsc_path(two, XS_READ, "/n"), access_table[_i].read2);
	ck_assert_int_eq(xsc_write(two, "/n", "v"), access_table[_i].write2);
	ck_assert_int_eq(xsc_path(one, XS_MKDIR, "/n"), access_table[_i].write1);
	ck_assert_int_eq(xsc_path(one, XS_MKDIR, "/n/child"), access_table[_i].write1);
	ck_assert_int_eq(xsc_set_perms(one, "/n", "n1,r2"), access_table[_i].set1);
	ck_assert_int_eq(xsc_path(host, XS_READ, "/n"), 0);
	ck_assert_int_eq(xsc_path(one, XS_RM, "/n"), access_table[_i].write1);
}
END_TEST

START_TEST(a_missing_node_is_hidden_from_whoever_may_not_look_there)
{
	ck_assert_str_eq(xsc_read(one, "/local/domain/1/gone"), "!ENOENT");
	ck_assert_str_eq(xsc_read(one, "/local/domain/1/gone/deep"), "!ENOENT");
	ck_assert_str_eq(xsc_read(one, "/local/domain/2/gone"), "!EACCES");
	ck_assert_str_eq(xsc_read(one, "/gone"), "!EACCES");
	ck_assert_str_eq(xsc_read(host, "/gone"), "!ENOENT");
	ck_assert_int_eq(xsc_write(one, "/local/domain/2/x", "v"), -EACCES);
	ck_assert_int_eq(xsc_path(one, XS_RM, "/local/domain/2/gone"), -EACCES);
	ck_assert_int_eq(xsc_path(one, XS_GET_PERMS, "@nothing"), -EACCES);
	ck_assert_int_eq(xsc_path(host, XS_GET_PERMS, "@nothing"), -ENOENT);
}
END_TEST

START_TEST(a_guest_owns_what_it_makes_and_the_rest_is_inherited)
{
	ck_assert_int_eq(xsc_set_perms(host, "/local/domain/1", "n0,b1,r2"), 0);
	ck_assert_int_eq(xsc_write(one, "a/b", "v"), 0);
	ck_assert_str_eq(xsc_list(one, XS_GET_PERMS, "a"), "n1,b1,r2,");
	ck_assert_str_eq(xsc_list(one, XS_GET_PERMS, "a/b"), "n1,b1,r2,");
	ck_assert_int_eq(xsc_write(host, "/local/domain/1/a/c", "v"), 0);
	ck_assert_str_eq(xsc_list(one, XS_GET_PERMS, "a/c"), "n1,b1,r2,"); /* the parent's */
	ck_assert_str_eq(xsc_read(two, "/local/domain/1/a/b"), "v");
}
END_TEST

START_TEST(only_the_host_gives_a_node_to_another)
{
	ck_assert_int_eq(xsc_write(one, "a", "v"), 0);
	ck_assert_int_eq(xsc_set_perms(one, "a", "n2"), -EPERM);
	ck_assert_int_eq(xsc_set_perms(one, "a", "r1"), 0);
	ck_assert_int_eq(xsc_set_perms(host, "/local/domain/1/a", "n2"), 0);
	ck_assert_str_eq(xsc_read(one, "a"), "!EACCES");
	ck_assert_str_eq(xsc_read(two, "/local/domain/1/a"), "v");
}
END_TEST

START_TEST(leave_for_a_domain_that_does_not_exist_is_void)
{
	char page[4096] __attribute__((aligned(4096)));
	struct xs_conn *conn;
	struct xsc *nine;

	ck_assert_int_eq(xsc_write(one, "a", "v"), 0);
	ck_assert_int_eq(xsc_set_perms(one, "a", "n1,r9"), 0);
	ck_assert_int_eq(xs_introduce(store, 9, page, NULL, NULL, &conn), 0);
	nine = xsc_open(store, 9, false);
	ck_assert_str_eq(xsc_read(nine, "/local/domain/1/a"), "!EACCES");
	ck_assert_int_eq(xsc_set_perms(one, "a", "n1,r9"), 0);
	ck_assert_str_eq(xsc_read(nine, "/local/domain/1/a"), "v");
	xsc_close(nine);
	xs_release(store, 9);
}
END_TEST

/* ---- nodes ----------------------------------------------------------------------------------- */

START_TEST(writing_makes_parents_and_keeps_their_values)
{
	ck_assert_int_eq(xsc_write(one, "a/b/c", "deep"), 0);
	ck_assert_str_eq(xsc_read(one, "a"), "");
	ck_assert_str_eq(xsc_read(one, "/local/domain/1/a/b/c"), "deep");
	ck_assert_int_eq(xsc_write(one, "a", "top"), 0);
	ck_assert_int_eq(xsc_path(one, XS_MKDIR, "a"), 0);
	ck_assert_str_eq(xsc_read(one, "a"), "top");
	ck_assert_int_eq(xsc_path(one, XS_MKDIR, "a/d/e"), 0);
	ck_assert_str_eq(xsc_list(one, XS_DIRECTORY, "a"), "b,d,");
	ck_assert_str_eq(xsc_list(one, XS_DIRECTORY, "a/d/e"), "");
}
END_TEST

START_TEST(any_bytes_are_a_value)
{
	static const char rq[] = "a\0x\0y\0";

	ck_assert_int_eq(xsc_call(one, XS_WRITE, rq, sizeof(rq)), 0);
	ck_assert_int_eq(xsc_path(one, XS_READ, "a"), 0);
	ck_assert_uint_eq(one->reply_len, sizeof(rq) - 2);
	ck_assert_mem_eq(one->reply, rq + 2, sizeof(rq) - 2);
	ck_assert_int_eq(xsc_write(one, "a", ""), 0);
	ck_assert_str_eq(xsc_read(one, "a"), "");
}
END_TEST

START_TEST(removing_takes_all_below_with_it)
{
	ck_assert_int_eq(xsc_write(one, "a/b/c", "v"), 0);
	ck_assert_int_eq(xsc_write(one, "a/d", "v"), 0);
	ck_assert_int_eq(xsc_path(one, XS_RM, "a/b"), 0);
	ck_assert_str_eq(xsc_list(one, XS_DIRECTORY, "a"), "d,");
	ck_assert_str_eq(xsc_read(one, "a/b/c"), "!ENOENT");
	ck_assert_int_eq(xsc_path(one, XS_RM, "a/b"), 0);         /* is not there, parent is */
	ck_assert_int_eq(xsc_path(one, XS_RM, "a/b/c"), -ENOENT); /* nor is its parent */
	ck_assert_int_eq(xsc_path(host, XS_RM, "/"), -EINVAL);
	ck_assert_int_eq(xsc_path(one, XS_RM, "/"), -EACCES);
	ck_assert_int_eq(xsc_path(host, XS_RM, "@releaseDomain"), -EINVAL);
}
END_TEST

/* As deep as a path can be, and as long: recursion must bear it, and so must every buffer. */
START_TEST(the_deepest_path_works)
{
	char path[XENSTORE_ABS_PATH_MAX + 1];
	size_t i;

	for (i = 0; i < XENSTORE_ABS_PATH_MAX; i++)
		path[i] = i % 2 ? 'd' : '/';
	path[i] = '\0';
	ck_assert_int_eq(xsc_write(host, path, "v"), 0);
	ck_assert_str_eq(xsc_read(host, path), "v");
	ck_assert_int_eq(xsc_two(host, XS_WATCH, path, "t"), 0);
	xsc_events(host);
	ck_assert_int_eq(xs_store_check(store), 0);
	ck_assert_int_eq(xsc_begin(host), 0);
	ck_assert_int_eq(xsc_write(host, path, "w"), 0);
	ck_assert_int_eq(xsc_end(host, true), 0);
	ck_assert_int_eq(xsc_path(host, XS_RM, "/d"), 0);
	/* the two changes are told as one: nobody has read the first yet */
	ck_assert_uint_eq(strlen(xsc_events(host)), XENSTORE_ABS_PATH_MAX + strlen("|t "));
}
END_TEST

/* ---- versions -------------------------------------------------------------------------------- */

static struct xs_tree base_tree(void)
{
	static const struct xs_perm owner = { .domid = 0 };
	struct xs_perms *perms = xs_perms_make(&owner, 1);
	struct xs_tree t;

	ck_assert_int_eq(xs_tree_init(&t, perms, 1), 0);
	ck_assert_int_eq(xs_tree_create(&t, "/a", 2, perms), 0);
	ck_assert_int_eq(xs_tree_create(&t, "/a/x", 3, perms), 0);
	ck_assert_int_eq(xs_tree_create(&t, "/b", 4, perms), 0);
	ck_assert_int_eq(xs_tree_create(&t, "/b/y", 5, perms), 0);
	xs_perms_put(perms);
	return t;
}

static const char *value_at(const struct xs_tree *t, const char *path)
{
	const struct xs_node *n = xs_tree_find(t, path);

	return n ? xs_node_value(n) : "missing";
}

START_TEST(a_version_does_not_see_changes_of_another)
{
	struct xs_tree first = base_tree(), second;

	ck_assert_int_eq(xs_tree_copy(&second, &first), 0);
	ck_assert_int_eq(xs_tree_set_value(&second, "/a/x", 10, "new", 3), 0);
	ck_assert_int_eq(xs_tree_remove(&second, "/b", 11), 0);
	ck_assert_str_eq(value_at(&first, "/a/x"), "");
	ck_assert_str_eq(value_at(&first, "/b/y"), "");
	ck_assert_str_eq(value_at(&second, "/a/x"), "new");
	ck_assert_str_eq(value_at(&second, "/b/y"), "missing");
	ck_assert_int_eq(xs_tree_check(&first), 0);
	ck_assert_int_eq(xs_tree_check(&second), 0);
	ck_assert_uint_eq(xs_tree_account(&first, 0).nodes, 5);
	ck_assert_uint_eq(xs_tree_account(&second, 0).nodes, 3);
	xs_tree_drop(&first);
	ck_assert_str_eq(value_at(&second, "/a/x"), "new");
	xs_tree_drop(&second);
}
END_TEST

START_TEST(what_was_not_changed_is_shared)
{
	struct xs_tree first = base_tree(), second;

	ck_assert_int_eq(xs_tree_copy(&second, &first), 0);
	ck_assert_int_eq(xs_tree_set_value(&second, "/a/x", 10, "new", 3), 0);
	ck_assert_ptr_eq(xs_tree_find(&first, "/b"), xs_tree_find(&second, "/b"));
	ck_assert_ptr_ne(xs_tree_find(&first, "/a"), xs_tree_find(&second, "/a"));
	ck_assert_uint_eq(xs_tree_find(&second, "/a")->gen, 3); /* its list did not change */
	ck_assert_uint_eq(xs_tree_find(&second, "/a")->below, 10);
	xs_tree_drop(&first);
	xs_tree_drop(&second);
}
END_TEST

START_TEST(two_sides_changes_are_merged)
{
	struct xs_tree base = base_tree(), theirs, mine, out;
	struct xs_perms *perms = xs_perms_get(xs_tree_find(&base, "/")->perms);

	ck_assert_int_eq(xs_tree_copy(&theirs, &base), 0);
	ck_assert_int_eq(xs_tree_copy(&mine, &base), 0);
	ck_assert_int_eq(xs_tree_set_value(&theirs, "/a", 10, "theirs", 6), 0);
	ck_assert_int_eq(xs_tree_create(&theirs, "/b/new", 11, perms), 0);
	ck_assert_int_eq(xs_tree_set_value(&mine, "/a/x", 12, "mine", 4), 0);
	ck_assert_int_eq(xs_tree_set_value(&mine, "/b/y", 13, "mine", 4), 0);
	ck_assert_int_eq(xs_tree_merge(&out, &base, &theirs, &mine, 14), 0);
	ck_assert_int_eq(xs_tree_check(&out), 0);
	ck_assert_str_eq(value_at(&out, "/a"), "theirs");
	ck_assert_str_eq(value_at(&out, "/a/x"), "mine");
	ck_assert_str_eq(value_at(&out, "/b/y"), "mine");
	ck_assert_str_eq(value_at(&out, "/b/new"), "");
	xs_tree_drop(&out);
	ck_assert_int_eq(xs_tree_remove(&mine, "/b", 15), 0); /* they made something in it */
	ck_assert_int_eq(xs_tree_merge(&out, &base, &theirs, &mine, 16), -EAGAIN);
	ck_assert_int_eq(xs_tree_merge(&out, &base, &mine, &theirs, 16), -EAGAIN);
	xs_tree_drop(&base);
	xs_tree_drop(&theirs);
	xs_tree_drop(&mine);
	xs_perms_put(perms);
}
END_TEST

/* ---- quotas ---------------------------------------------------------------------------------- */

static void fill(struct xsc *c, unsigned nr)
{
	char path[32];
	unsigned i;

	for (i = 0; i < nr; i++) {
		snprintf(path, sizeof(path), "n%u", i);
		ck_assert_int_eq(xsc_path(c, XS_MKDIR, path), 0);
	}
}

START_TEST(a_guest_has_so_many_nodes_and_no_more)
{
	fill(one, xs_quota_default.nodes - 1 - 1); /* its folder is its own, too */
	ck_assert_int_eq(xsc_write(one, "x/y", "v"), -ENOSPC);
	ck_assert_str_eq(xsc_read(one, "x"), "!ENOENT"); /* all or nothing */
	ck_assert_int_eq(xsc_write(one, "x", "v"), 0);
	ck_assert_int_eq(xsc_write(one, "z", "v"), -ENOSPC);
	ck_assert_int_eq(xsc_write(one, "x", "more"), 0); /* no new node */
	ck_assert_int_eq(xsc_write(two, "z", "v"), 0);    /* not domain 2's limit */
	ck_assert_int_eq(xsc_path(one, XS_RM, "n0"), 0);
	ck_assert_int_eq(xsc_write(one, "z", "v"), 0);
	ck_assert_int_eq(xsc_write(host, "/local/domain/1/h", "v"), 0); /* the host may */
	ck_assert_int_eq(xsc_write(one, "h", "w"), 0); /* and then the guest is not stuck */
	ck_assert_int_eq(xsc_path(one, XS_RM, "h"), 0);
}
END_TEST

START_TEST(a_guest_has_so_many_bytes_and_no_more)
{
	static char value[2048 + 1];
	char path[32];
	unsigned i;
	int rc = 0;

	memset(value, 'v', sizeof(value) - 1);
	for (i = 0; i < 1000 && !rc; i++) {
		snprintf(path, sizeof(path), "n%u", i);
		rc = xsc_write(one, path, value);
	}
	ck_assert_int_eq(rc, -ENOSPC);
	ck_assert_uint_ge(i * (2048 + XS_NODE_WEIGHT + 4), xs_quota_default.bytes);
	ck_assert_int_eq(xsc_write(one, "n0", "short"), 0);
	ck_assert_int_eq(xsc_path(one, XS_MKDIR, "small"), 0);
}
END_TEST

START_TEST(a_value_has_a_greatest_length)
{
	static char value[XENSTORE_PAYLOAD_MAX];

	memset(value, 'v', 2048);
	ck_assert_int_eq(xsc_write(one, "a", value), 0);
	value[2048] = 'v';
	ck_assert_int_eq(xsc_write(one, "a", value), -ENOSPC);
	ck_assert_int_eq(xsc_write(one, "new", value), -ENOSPC);
	ck_assert_str_eq(xsc_read(one, "new"), "!ENOENT");
	ck_assert_int_eq(xsc_write(host, "/local/domain/1/a", value), 0);
}
END_TEST

START_TEST(a_list_of_permissions_has_a_greatest_length)
{
	ck_assert_int_eq(xsc_write(one, "a", "v"), 0);
	ck_assert_int_eq(xsc_set_perms(one, "a", "n1,r2,r3,r4,r5"), 0);
	ck_assert_int_eq(xsc_set_perms(one, "a", "n1,r2,r3,r4,r5,r6"), -ENOSPC);
	ck_assert_int_eq(xsc_set_perms(host, "/local/domain/1/a", "n1,r2,r3,r4,r5,r6"), 0);
}
END_TEST

Suite *xs_tree_suite(void)
{
	Suite *s = suite_create("xs_tree");
	TCase *normal = tcase_create("normal"), *limits = tcase_create("limits"),
	      *hostile = tcase_create("hostile");

	tcase_add_checked_fixture(normal, set_up, tear_down);
	tcase_add_checked_fixture(limits, set_up, tear_down);
	tcase_add_checked_fixture(hostile, set_up, tear_down);
	tcase_add_loop_test(normal, only_a_permitted_path_is_taken, 0, ARRAY_LEN(paths));
	tcase_add_test(normal, a_path_is_walked_component_by_component);
	tcase_add_test(normal, permissions_are_written_as_they_were_read);
	tcase_add_loop_test(normal, who_may_do_what_follows_from_the_list, 0,
	                    ARRAY_LEN(access_table));
	tcase_add_test(normal, a_guest_owns_what_it_makes_and_the_rest_is_inherited);
	tcase_add_test(normal, writing_makes_parents_and_keeps_their_values);
	tcase_add_test(normal, any_bytes_are_a_value);
	tcase_add_test(normal, removing_takes_all_below_with_it);
	tcase_add_test(normal, a_version_does_not_see_changes_of_another);
	tcase_add_test(normal, what_was_not_changed_is_shared);
	tcase_add_test(normal, two_sides_changes_are_merged);
	tcase_add_loop_test(limits, path_lengths_end_where_the_protocol_says, 0,
	                    ARRAY_LEN(lengths));
	tcase_add_test(limits, the_deepest_path_works);
	tcase_add_test(limits, a_guest_has_so_many_nodes_and_no_more);
	tcase_add_test(limits, a_guest_has_so_many_bytes_and_no_more);
	tcase_add_test(limits, a_value_has_a_greatest_length);
	tcase_add_test(limits, a_list_of_permissions_has_a_greatest_length);
	tcase_add_loop_test(hostile, permissions_are_read_strictly, 0, ARRAY_LEN(perm_texts));
	tcase_add_test(hostile, a_missing_node_is_hidden_from_whoever_may_not_look_there);
	tcase_add_test(hostile, only_the_host_gives_a_node_to_another);
	tcase_add_test(hostile, leave_for_a_domain_that_does_not_exist_is_void);
	suite_add_tcase(s, normal);
	suite_add_tcase(s, limits);
	suite_add_tcase(s, hostile);
	return s;
}
