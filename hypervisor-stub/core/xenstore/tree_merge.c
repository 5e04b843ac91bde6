/* SPDX-License-Identifier: MIT */
/*
 * The merge of two versions of the tree that began as the same one: how a transaction is committed
 * when others have changed something else meanwhile.
 *
 * Invariant: a node of the result has its value, permissions and list of children from one side
 * only; when both sides changed them the merge fails. Whether a transaction also depends on what it
 * only read is for transaction.c.
 */
#include "hypervisor-stub/core/xenstore/tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct merge {
	uint64_t gen;
	int rc;
};

static struct xs_node *merge_node(struct merge *m, const struct xs_node *base,
                                  const struct xs_node *theirs, const struct xs_node *mine);

static bool same_subtree(const struct xs_node *a, const struct xs_node *b)
{
	return a == b || (a && b && a->below == b->below);
}

static struct xs_node *fail(struct merge *m, int rc)
{
	m->rc = rc;
	return NULL;
}

/* The list of children comes from `list`; each child may have changed inside on either side. */
static int merge_children(struct merge *m, struct xs_node *out, const struct xs_node *list,
                          const struct xs_node *base, const struct xs_node *theirs,
                          const struct xs_node *mine)
{
	const struct xs_node *c;
	struct xs_node *n;

	for (out->nr = 0; out->nr < list->nr; out->nr++) {
		c = list->child[out->nr];
		n = merge_node(m, xs_node_child(base, c->name, c->name_len),
		               xs_node_child(theirs, c->name, c->name_len),
		               xs_node_child(mine, c->name, c->name_len));
		if (!n)
			return m->rc;
		out->child[out->nr] = n;
	}
	return 0;
}

/* A child that the list's side removed must not have been changed by the other. */
static bool removed_but_changed(const struct xs_node *list, const struct xs_node *base,
                                const struct xs_node *other)
{
	const struct xs_node *b;
	unsigned i;

	for (i = 0; i < base->nr; i++) {
		b = base->child[i];
		if (!xs_node_child(list, b->name, b->name_len) &&
		    !same_subtree(b, xs_node_child(other, b->name, b->name_len)))
			return true;
	}
	return false;
}

/* A reference to the merged node, or NULL with m->rc set. */
static struct xs_node *merge_node(struct merge *m, const struct xs_node *base,
                                  const struct xs_node *theirs, const struct xs_node *mine)
{
	const struct xs_node *list;
	struct xs_node *out;
	bool mine_changed;

	if (mine && same_subtree(base, theirs))
		return xs_node_get(mine);
	if (theirs && same_subtree(base, mine))
		return xs_node_get(theirs);
	if (!base || !theirs || !mine)
		return fail(m, -EAGAIN);
	mine_changed = mine->gen != base->gen;
	if (mine_changed && theirs->gen != base->gen)
		return fail(m, -EAGAIN);
	list = mine_changed ? mine : theirs;
	if (removed_but_changed(list, base, mine_changed ? theirs : mine))
		return fail(m, -EAGAIN);
	out = xs_node_clone_bare(list, list->nr);
	if (!out)
		return fail(m, -ENOMEM);
	out->below = m->gen;
	if (merge_children(m, out, list, base, theirs, mine)) {
		xs_node_put(out);
		return NULL;
	}
	return out;
}

static bool has_account(const struct xs_tree *t, domid_t domid)
{
	unsigned i;

	for (i = 0; i < t->nr_accounts; i++)
		if (t->account[i].domid == domid)
			return true;
	return false;
}

static int add_difference(struct xs_tree *out, domid_t domid, const struct xs_tree *base,
                          const struct xs_tree *mine)
{
	struct xs_account was = xs_tree_account(base, domid), is = xs_tree_account(mine, domid);
	struct xs_account *to;

	if (is.nodes == was.nodes && is.bytes == was.bytes)
		return 0;
	to = xs_account_of(out, domid);
	if (!to)
		return -ENOMEM;
	to->nodes += is.nodes - was.nodes;
	to->bytes += is.bytes - was.bytes;
	return 0;
}

/* Theirs, and what mine added since base: right because no node was changed by both. */
static int merge_accounts(struct xs_tree *out, const struct xs_tree *base,
                          const struct xs_tree *theirs, const struct xs_tree *mine)
{
	unsigned i;
	int rc = 0;

	out->account = malloc(theirs->room * sizeof(*out->account));
	if (!out->account)
		return -ENOMEM;
	out->room = theirs->room;
	out->nr_accounts = theirs->nr_accounts;
	memcpy(out->account, theirs->account, out->nr_accounts * sizeof(*out->account));
	for (i = 0; !rc && i < mine->nr_accounts; i++)
		rc = add_difference(out, mine->account[i].domid, base, mine);
	for (i = 0; !rc && i < base->nr_accounts; i++)
		if (!has_account(mine, base->account[i].domid))
			rc = add_difference(out, base->account[i].domid, base, mine);
	return rc;
}

int xs_tree_merge(struct xs_tree *out, const struct xs_tree *base, const struct xs_tree *theirs,
                  const struct xs_tree *mine, uint64_t gen)
{
	struct merge m = { .gen = gen };
	int rc;

	*out = (struct xs_tree){ .top = merge_node(&m, base->top, theirs->top, mine->top) };
	if (!out->top)
		return m.rc;
	rc = merge_accounts(out, base, theirs, mine);
	if (rc)
		xs_tree_drop(out);
	return rc;
}
