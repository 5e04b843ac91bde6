/* SPDX-License-Identifier: MIT */
/*
 * Versions of the tree of nodes. tree.h states the invariant; the merge of two versions is in
 * tree_merge.c. Nothing here knows of clients, permissions as rules, watches or messages.
 *
 * Recursion goes one level per path component: at most XENSTORE_ABS_PATH_MAX / 2 levels.
 */
#include "hypervisor-stub/core/xenstore/tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- values and nodes ------------------------------------------------------------------------ */

static struct xs_value *value_make(const void *data, size_t len)
{
	struct xs_value *v = malloc(sizeof(*v) + len + 1);

	if (!v)
		return NULL;
	v->refs = 1;
	v->len = len;
	memcpy(v->data, data, len);
	v->data[len] = '\0';
	return v;
}

static void value_put(struct xs_value *v)
{
	if (v && --v->refs == 0)
		free(v);
}

static struct xs_node *node_make(const char *name, size_t len, struct xs_perms *perms)
{
	struct xs_node *n = calloc(1, sizeof(*n) + len + 1);

	if (!n)
		return NULL;
	n->refs = 1;
	n->name_len = len;
	memcpy(n->name, name, len);
	n->perms = xs_perms_get(perms);
	return n;
}

struct xs_node *xs_node_get(const struct xs_node *node)
{
	struct xs_node *n = (struct xs_node *)node; /* only the count changes */

	n->refs++;
	return n;
}

void xs_node_put(struct xs_node *n)
{
	unsigned i;

	if (!n || --n->refs)
		return;
	for (i = 0; i < n->nr; i++)
		xs_node_put(n->child[i]);
	free(n->child);
	value_put(n->value);
	xs_perms_put(n->perms);
	free(n);
}

struct xs_node *xs_node_clone_bare(const struct xs_node *from, unsigned room)
{
	struct xs_node *n = node_make(from->name, from->name_len, from->perms);

	if (!n)
		return NULL;
	n->gen = from->gen;
	n->below = from->below;
	n->value = from->value;
	if (n->value)
		n->value->refs++;
	if (room) {
		n->child = malloc(room * sizeof(*n->child));
		if (!n->child) {
			xs_node_put(n);
			return NULL;
		}
	}
	n->room = room;
	return n;
}

struct xs_node *xs_node_clone(const struct xs_node *from)
{
	struct xs_node *n = xs_node_clone_bare(from, from->nr);

	if (!n)
		return NULL;
	for (n->nr = 0; n->nr < from->nr; n->nr++)
		n->child[n->nr] = xs_node_get(from->child[n->nr]);
	return n;
}

/* ---- children -------------------------------------------------------------------------------- */

static int name_cmp(const struct xs_node *n, const char *name, size_t len)
{
	int c = memcmp(n->name, name, n->name_len < len ? n->name_len : len);

	if (c)
		return c;
	return n->name_len < len ? -1 : n->name_len > len;
}

/* Index of the first child that is not before the name; found: whether it has that name. */
static unsigned child_index(const struct xs_node *n, const char *name, size_t len, bool *found)
{
	unsigned lo = 0, hi = n->nr, mid;

	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		if (name_cmp(n->child[mid], name, len) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	*found = lo < n->nr && name_cmp(n->child[lo], name, len) == 0;
	return lo;
}

const struct xs_node *xs_node_child(const struct xs_node *node, const char *name, size_t len)
{
	bool found;
	unsigned i = child_index(node, name, len, &found);

	return found ? node->child[i] : NULL;
}

static int child_insert(struct xs_node *n, unsigned at, struct xs_node *child)
{
	struct xs_node **list = n->child;
	unsigned room = n->room ? n->room * 2 : 4;

	if (n->nr == n->room) {
		list = realloc(list, room * sizeof(*list));
		if (!list)
			return -ENOMEM;
		n->child = list;
		n->room = room;
	}
	memmove(list + at + 1, list + at, (n->nr - at) * sizeof(*list));
	list[at] = child;
	n->nr++;
	return 0;
}

static void child_remove(struct xs_node *n, unsigned at)
{
	xs_node_put(n->child[at]);
	n->nr--;
	memmove(n->child + at, n->child + at + 1, (n->nr - at) * sizeof(*n->child));
}

/* ---- accounts -------------------------------------------------------------------------------- */

struct xs_account *xs_account_of(struct xs_tree *t, domid_t domid)
{
	struct xs_account *list = t->account;
	unsigned i, room = t->room ? t->room * 2 : 4;

	for (i = 0; i < t->nr_accounts; i++)
		if (list[i].domid == domid)
			return &list[i];
	for (i = 0; i < t->nr_accounts; i++) /* one that is empty serves again */
		if (!list[i].nodes)
			break;
	if (i == t->room) {
		list = realloc(list, room * sizeof(*list));
		if (!list)
			return NULL;
		t->account = list;
		t->room = room;
	}
	if (i == t->nr_accounts)
		t->nr_accounts++;
	list[i] = (struct xs_account){ .domid = domid };
	return &list[i];
}

struct xs_account xs_tree_account(const struct xs_tree *t, domid_t domid)
{
	unsigned i;

	for (i = 0; i < t->nr_accounts; i++)
		if (t->account[i].domid == domid)
			return t->account[i];
	return (struct xs_account){ .domid = domid };
}

static uint64_t weight(const struct xs_node *n)
{
	return XS_NODE_WEIGHT + n->name_len + xs_node_value_len(n);
}

static int charge(struct xs_tree *t, const struct xs_node *n)
{
	struct xs_account *a = xs_account_of(t, xs_perms_owner(n->perms));

	if (!a)
		return -ENOMEM;
	a->nodes++;
	a->bytes += weight(n);
	return 0;
}

static void discharge(struct xs_tree *t, const struct xs_node *n)
{
	struct xs_account *a = xs_account_of(t, xs_perms_owner(n->perms));

	a->nodes--; /* it is there: the node was charged to it */
	a->bytes -= weight(n);
}

static void discharge_all(struct xs_tree *t, const struct xs_node *n)
{
	unsigned i;

	for (i = 0; i < n->nr; i++)
		discharge_all(t, n->child[i]);
	discharge(t, n);
}

/* ---- versions -------------------------------------------------------------------------------- */

int xs_tree_init(struct xs_tree *t, struct xs_perms *root_perms, uint64_t gen)
{
	*t = (struct xs_tree){ .top = node_make("", 0, root_perms) };
	if (!t->top)
		return -ENOMEM;
	t->top->gen = gen;
	t->top->below = gen;
	return xs_tree_create(t, "/", gen, root_perms);
}

int xs_tree_copy(struct xs_tree *to, const struct xs_tree *from)
{
	*to = *from;
	to->account = malloc(from->room * sizeof(*to->account));
	if (!to->account)
		return -ENOMEM;
	memcpy(to->account, from->account, from->nr_accounts * sizeof(*to->account));
	xs_node_get(to->top);
	return 0;
}

void xs_tree_drop(struct xs_tree *t)
{
	xs_node_put(t->top);
	free(t->account);
	*t = (struct xs_tree){ 0 };
}

const struct xs_node *xs_tree_find(const struct xs_tree *t, const char *path)
{
	const struct xs_node *n = t->top;
	struct xs_step step;

	while (n && xs_path_next(&path, &step))
		n = xs_node_child(n, step.name, step.len);
	return n;
}

const struct xs_node *xs_tree_nearest(const struct xs_tree *t, const char *path, size_t *len)
{
	const struct xs_node *n = t->top, *next;
	const char *cursor = path;
	struct xs_step step;

	*len = 0;
	while (xs_path_next(&cursor, &step)) {
		next = xs_node_child(n, step.name, step.len);
		if (!next)
			break;
		n = next;
		*len = (size_t)(step.name - path) + step.len;
	}
	return n == t->top ? xs_tree_find(t, "/") : n;
}

/* Makes the node in a slot ours alone. */
static int make_own(struct xs_node **slot)
{
	struct xs_node *n;

	if ((*slot)->refs == 1)
		return 0;
	n = xs_node_clone(*slot);
	if (!n)
		return -ENOMEM;
	xs_node_put(*slot);
	*slot = n;
	return 0;
}

/*
 * Goes to the node at the first len bytes of path, which exists, making every node on the way ours
 * and noting that something below them changes.
 */
static int open_path(struct xs_tree *t, const char *path, size_t len, uint64_t gen,
                     struct xs_node **out)
{
	struct xs_node **slot = &t->top;
	const char *cursor = path;
	struct xs_step step;
	bool found;
	int rc;

	for (;;) {
		rc = make_own(slot);
		if (rc)
			return rc;
		(*slot)->below = gen;
		if (cursor >= path + len || !xs_path_next(&cursor, &step))
			break;
		slot = &(*slot)->child[child_index(*slot, step.name, step.len, &found)];
	}
	*out = *slot;
	return 0;
}

/* Opens the parent of a path, and says which component of it the path names. */
static int open_parent(struct xs_tree *t, const char *path, uint64_t gen, struct xs_node **parent,
                       struct xs_step *last)
{
	size_t len = xs_path_parent_len(path);
	const char *name = path + len;

	if (len && *name == '/')
		name++;
	*last = (struct xs_step){ .name = name, .len = strlen(name) };
	return open_path(t, path, len, gen, parent);
}

int xs_tree_set_value(struct xs_tree *t, const char *path, uint64_t gen, const void *data,
                      size_t len)
{
	struct xs_value *value = NULL;
	struct xs_account *account;
	struct xs_node *n;
	int rc = open_path(t, path, strlen(path), gen, &n);

	if (rc)
		return rc;
	if (len) {
		value = value_make(data, len);
		if (!value)
			return -ENOMEM;
	}
	account = xs_account_of(t, xs_perms_owner(n->perms));
	account->bytes += len;
	account->bytes -= xs_node_value_len(n);
	value_put(n->value);
	n->value = value;
	n->gen = gen;
	return 0;
}

int xs_tree_set_perms(struct xs_tree *t, const char *path, uint64_t gen, struct xs_perms *perms)
{
	struct xs_node *n;
	int rc = open_path(t, path, strlen(path), gen, &n);

	if (rc)
		return rc;
	if (!xs_account_of(t, xs_perms_owner(perms)))
		return -ENOMEM;
	discharge(t, n);
	xs_perms_put(n->perms);
	n->perms = xs_perms_get(perms);
	n->gen = gen;
	return charge(t, n);
}

int xs_tree_create(struct xs_tree *t, const char *path, uint64_t gen, struct xs_perms *perms)
{
	struct xs_node *parent, *n;
	struct xs_step last;
	unsigned at;
	bool found;
	int rc = open_parent(t, path, gen, &parent, &last);

	if (rc)
		return rc;
	n = node_make(last.name, last.len, perms);
	if (!n)
		return -ENOMEM;
	n->gen = gen;
	n->below = gen;
	at = child_index(parent, last.name, last.len, &found);
	rc = child_insert(parent, at, n);
	if (rc) {
		xs_node_put(n);
		return rc;
	}
	parent->gen = gen;
	return charge(t, n);
}

int xs_tree_remove(struct xs_tree *t, const char *path, uint64_t gen)
{
	struct xs_node *parent;
	struct xs_step last;
	unsigned at;
	bool found;
	int rc = open_parent(t, path, gen, &parent, &last);

	if (rc)
		return rc;
	at = child_index(parent, last.name, last.len, &found);
	discharge_all(t, parent->child[at]);
	child_remove(parent, at);
	parent->gen = gen;
	return 0;
}

/* ---- the check ------------------------------------------------------------------------------- */

static int check_node(const struct xs_node *n, struct xs_tree *sum)
{
	unsigned i;
	int rc;

	if (!n->refs || n->gen > n->below)
		return 1;
	for (i = 0; i < n->nr; i++) {
		if (i && name_cmp(n->child[i - 1], n->child[i]->name, n->child[i]->name_len) >= 0)
			return 2;
		if (n->child[i]->below > n->below)
			return 3;
		rc = check_node(n->child[i], sum);
		if (rc)
			return rc;
		rc = charge(sum, n->child[i]);
		if (rc)
			return 4;
	}
	return 0;
}

int xs_tree_check(const struct xs_tree *t)
{
	struct xs_tree sum = { 0 };
	struct xs_account want, have;
	int rc = check_node(t->top, &sum);
	unsigned i;

	for (i = 0; !rc && i < t->nr_accounts; i++) {
		have = t->account[i];
		want = xs_tree_account(&sum, have.domid);
		if (have.nodes != want.nodes || have.bytes != want.bytes)
			rc = 5;
	}
	for (i = 0; !rc && i < sum.nr_accounts; i++)
		if (xs_tree_account(t, sum.account[i].domid).nodes != sum.account[i].nodes)
			rc = 6;
	free(sum.account);
	return rc;
}
