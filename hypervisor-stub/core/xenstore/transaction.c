/* SPDX-License-Identifier: MIT */
/*
 * Transactions: a version of the tree of their own, put back as a whole or not at all.
 *
 * A transaction sees the store as it was when it began, and its own changes. It is committed if
 * every node that it looked at is still as it was then; the generation numbers tell. That no node is
 * changed by it and by others is for the merge (tree_merge.c) to see, removed subtrees included. A
 * transaction that changed nothing is always committed: all that it read was true at one time.
 */
#include "hypervisor-stub/core/xenstore/store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int xs_tx_start(struct xs_conn *conn, struct xs_tx **out)
{
	const struct xs_quota *q = &conn->store->quota;
	struct xs_tx *tx;

	if (!conn->who.privileged && conn->nr_txs >= q->transactions)
		return -ENOSPC;
	tx = calloc(1, sizeof(*tx));
	if (!tx)
		return -ENOMEM;
	if (xs_tree_copy(&tx->base, &conn->store->tree))
		goto free_tx;
	if (xs_tree_copy(&tx->tree, &conn->store->tree))
		goto drop_base;
	if (!conn->who.privileged) {
		tx->trace.max_entries = q->tx_nodes;
		tx->trace.max_bytes = q->tx_bytes;
	}
	do
		tx->id = conn->next_tx_id++;
	while (tx->id == 0 || xs_tx_find(conn, tx->id));
	tx->next = conn->txs;
	conn->txs = tx;
	conn->nr_txs++;
	*out = tx;
	return 0;

drop_base:
	xs_tree_drop(&tx->base);
free_tx:
	free(tx);
	return -ENOMEM;
}

struct xs_tx *xs_tx_find(struct xs_conn *conn, uint32_t id)
{
	struct xs_tx *tx = conn->txs;

	while (tx && tx->id != id)
		tx = tx->next;
	return tx;
}

void xs_tx_end(struct xs_conn *conn, struct xs_tx *tx)
{
	struct xs_tx **link;

	for (link = &conn->txs; *link != tx; link = &(*link)->next)
		;
	*link = tx->next;
	conn->nr_txs--;
	xs_tree_drop(&tx->base);
	xs_tree_drop(&tx->tree);
	xs_trace_clear(&tx->trace);
	free(tx);
}

/* Does a node that the transaction looked at differ from what it saw? */
static bool has_changed(const struct xs_tx *tx, const struct xs_tree *now,
                        const struct xs_trace_entry *e)
{
	const struct xs_node *was, *is;

	if (!(e->flags & XS_TRACE_READ))
		return false;
	was = xs_tree_find(&tx->base, e->path);
	is = xs_tree_find(now, e->path);
	if (was == is)
		return false;
	return !was || !is || was->gen != is->gen;
}

static bool has_conflict(const struct xs_tx *tx, const struct xs_tree *now)
{
	unsigned i;

	if (tx->doomed)
		return true;
	if (now->top->below == tx->base.top->below)
		return false;
	for (i = 0; i < tx->trace.nr; i++)
		if (has_changed(tx, now, &tx->trace.entry[i]))
			return true;
	return false;
}

int xs_tx_commit(struct xs_tx *tx, struct xs_update *u)
{
	struct xs_account before, after;
	struct xs_tree merged;
	int rc;

	if (!tx->trace.nr_changed)
		return 0;
	if (has_conflict(tx, u->view.tree))
		return -EAGAIN;
	rc = xs_tree_merge(&merged, &tx->base, u->view.tree, &tx->tree, u->view.gen);
	if (rc)
		return rc;
	before = xs_tree_account(u->view.tree, u->view.who->domid);
	after = xs_tree_account(&merged, u->view.who->domid);
	if (!u->view.who->privileged && xs_quota_check(u->view.quota, &before, &after)) {
		xs_tree_drop(&merged);
		return -ENOSPC;
	}
	xs_tree_drop(u->view.tree);
	*u->view.tree = merged;
	xs_trace_clear(&u->trace);
	u->trace = tx->trace;
	tx->trace = (struct xs_trace){ 0 };
	return 0;
}
