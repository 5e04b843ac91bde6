/* SPDX-License-Identifier: MIT */
/*
 * The tree of nodes, in versions that share what they have in common.
 *
 * A node that more than one version refers to never changes: who changes a version gets copies of
 * the nodes on the way from the top to the place of the change, and shares everything else. So a
 * transaction's private view costs a few bytes, an operation that fails half-way is undone by
 * dropping the version it worked on, and the state before a change is at hand when its watch events
 * are made.
 *
 * Invariant: each node's children are sorted by name and unique; `gen` of a node is a number never
 * used before, set whenever its value, permissions or list of children change; `below` is such a
 * number, set whenever anything in the subtree changes. The accounts hold, per owner, the count and
 * the size of its nodes. xs_tree_check() tests all of it.
 *
 * A version is made by xs_tree_init() or xs_tree_copy() and ended by xs_tree_drop(). A function
 * that fails may leave its version half changed: the caller drops it. Context: the store's mutex.
 */
#ifndef HYPERVISOR_STUB_CORE_XENSTORE_TREE_H
#define HYPERVISOR_STUB_CORE_XENSTORE_TREE_H

#include "hypervisor-stub/core/xenstore/path.h"
#include "hypervisor-stub/core/xenstore/perms.h"

/* What a node weighs in its owner's account beside its name and its value, bytes. */
#define XS_NODE_WEIGHT 128

struct xs_value {
	unsigned refs;
	size_t len;
	char data[];
};

struct xs_node {
	unsigned refs;
	uint64_t gen;           /* of the last change of value, permissions or list of children */
	uint64_t below;         /* of the last change in the whole subtree */
	struct xs_value *value; /* NULL: empty */
	struct xs_perms *perms;
	struct xs_node **child;
	unsigned nr, room;
	size_t name_len;
	char name[];
};

struct xs_account {
	domid_t domid;
	uint64_t nodes, bytes;
};

struct xs_tree {
	struct xs_node *top; /* a node without name above "/" and the special "@name" nodes */
	struct xs_account *account;
	unsigned nr_accounts, room;
};

/* A version with nothing but "/". 0 or -ENOMEM. */
int xs_tree_init(struct xs_tree *t, struct xs_perms *root_perms, uint64_t gen);
int xs_tree_copy(struct xs_tree *to, const struct xs_tree *from); /* 0 or -ENOMEM */
void xs_tree_drop(struct xs_tree *t);

/* The node at a canonical path, or NULL. */
const struct xs_node *xs_tree_find(const struct xs_tree *t, const char *path);
/*
 * The node itself or its nearest ancestor that exists; for a special path that does not exist, "/".
 * len: out: how much of path is the found node's path; for "/" in place of a special path, 0.
 */
const struct xs_node *xs_tree_nearest(const struct xs_tree *t, const char *path, size_t *len);
/* A child by name, or NULL. */
const struct xs_node *xs_node_child(const struct xs_node *node, const char *name, size_t len);

/* The node must exist. 0 or -ENOMEM. */
int xs_tree_set_value(struct xs_tree *t, const char *path, uint64_t gen, const void *data,
                      size_t len);
int xs_tree_set_perms(struct xs_tree *t, const char *path, uint64_t gen, struct xs_perms *perms);
/* A node that does not exist, with an empty value; its parent exists. 0 or -ENOMEM. */
int xs_tree_create(struct xs_tree *t, const char *path, uint64_t gen, struct xs_perms *perms);
/* The node and all below it; it must exist and have a parent. 0 or -ENOMEM. */
int xs_tree_remove(struct xs_tree *t, const char *path, uint64_t gen);

/*
 * xs_tree_merge - what `mine` changed since `base`, on top of what `theirs` changed since `base`
 * out: not initialised; holds the result after success only
 * Returns 0, -ENOMEM, or -EAGAIN when both changed the same node.
 */
int xs_tree_merge(struct xs_tree *out, const struct xs_tree *base, const struct xs_tree *theirs,
                  const struct xs_tree *mine, uint64_t gen);

/* What a domain owns. */
struct xs_account xs_tree_account(const struct xs_tree *t, domid_t domid);

/* 0 when the invariant above holds, else the number of the rule that is broken. */
int xs_tree_check(const struct xs_tree *t);

static inline size_t xs_node_value_len(const struct xs_node *n)
{
	return n->value ? n->value->len : 0;
}

static inline const char *xs_node_value(const struct xs_node *n)
{
	return n->value ? n->value->data : "";
}

/* For the merge (tree_merge.c): the pieces of a node's life. */
struct xs_node *xs_node_clone(const struct xs_node *node); /* shares children; or NULL */
struct xs_node *xs_node_clone_bare(const struct xs_node *n, unsigned room); /* no children */
struct xs_node *xs_node_get(const struct xs_node *node);
void xs_node_put(struct xs_node *node);                             /* NULL is allowed */
struct xs_account *xs_account_of(struct xs_tree *t, domid_t domid); /* made if needed; or NULL */

#endif
