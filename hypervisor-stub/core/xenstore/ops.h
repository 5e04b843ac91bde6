/* SPDX-License-Identifier: MIT */
/*
 * The operations on nodes as a client sees them: permissions, inheritance and quotas on top of
 * tree.h.
 *
 * Each works on one version of the tree on somebody's behalf and notes in a trace what it looked
 * at and changed. After a failure that version is not to be used (store.c: xs_update_abort()).
 *
 * Errors: -ENOENT no such node; -EACCES not allowed, also when the client may not even know whether
 * the node exists; -EPERM owner's change by a guest; -EINVAL not possible by its nature; -ENOSPC a
 * quota; -ENOMEM.
 */
#ifndef HYPERVISOR_STUB_CORE_XENSTORE_OPS_H
#define HYPERVISOR_STUB_CORE_XENSTORE_OPS_H

#include "hypervisor-stub/core/xenstore/quota.h"
#include "hypervisor-stub/core/xenstore/trace.h"
#include "hypervisor-stub/core/xenstore/tree.h"

struct xs_view {
	struct xs_tree *tree;
	const struct xs_cred *who;
	const struct xs_quota *quota;
	struct xs_trace *trace; /* may be NULL where nothing is changed */
	uint64_t gen;           /* for what is changed */
};

/* The node, if it may be read. *node lives until the tree changes. */
int xs_op_read(struct xs_view *v, const char *path, const struct xs_node **node);
/* Makes missing parents. */
int xs_op_write(struct xs_view *v, const char *path, const void *data, size_t len);
/* Makes missing parents; a node that exists is left as it is. */
int xs_op_mkdir(struct xs_view *v, const char *path);
/* A missing node is no error if its parent exists. */
int xs_op_rm(struct xs_view *v, const char *path);
int xs_op_set_perms(struct xs_view *v, const char *path, const struct xs_perm *entries,
                    unsigned nr);

#endif
