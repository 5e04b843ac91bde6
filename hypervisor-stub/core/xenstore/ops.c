/* SPDX-License-Identifier: MIT */
/*
 * Reading and changing nodes on a client's behalf. ops.h says who may what.
 */
#include "hypervisor-stub/core/xenstore/ops.h"

#include <errno.h>
#include <string.h>

static int note(struct xs_view *v, const char *path, size_t len, unsigned flags)
{
	return v->trace ? xs_trace_note(v->trace, path, len, flags) : 0;
}

static int note_changed(struct xs_view *v, const char *path, unsigned flags)
{
	return note(v, path, strlen(path), XS_TRACE_CHANGED | flags);
}

/*
 * Looks a node up for a right. Whoever may not do that with the nearest ancestor either does not
 * learn that the node is missing.
 */
static int look(struct xs_view *v, const char *path, unsigned right, const struct xs_node **node)
{
	const struct xs_node *n;
	unsigned access;
	size_t len;
	int rc;

	n = xs_tree_nearest(v->tree, path, &len);
	rc = len ? note(v, path, len, XS_TRACE_READ) : note(v, "/", 1, XS_TRACE_READ);
	if (rc)
		return rc;
	access = xs_perms_access(n->perms, v->who);
	if (path[len])
		return access & right ? -ENOENT : -EACCES;
	if ((access & right) != right)
		return -EACCES;
	*node = n;
	return 0;
}

int xs_op_read(struct xs_view *v, const char *path, const struct xs_node **node)
{
	return look(v, path, XS_PERM_READ, node);
}

static int check_account(struct xs_view *v, const struct xs_account *before)
{
	struct xs_account now;

	if (v->who->privileged)
		return 0;
	now = xs_tree_account(v->tree, v->who->domid);
	return xs_quota_check(v->quota, before, &now);
}

/* Makes the node and its missing parents, each with the permissions of the one above. */
static int create(struct xs_view *v, const char *path)
{
	struct xs_account before = xs_tree_account(v->tree, v->who->domid);
	const struct xs_node *above;
	struct xs_perms *perms;
	char part[XS_PATH_BUF];
	size_t len;
	int rc = 0;

	above = xs_tree_nearest(v->tree, path, &len);
	perms = xs_perms_inherit(above->perms, v->who);
	if (!perms)
		return -ENOMEM;
	while (!rc && path[len]) {
		len += path[len] == '/';
		len += strcspn(path + len, "/");
		memcpy(part, path, len);
		part[len] = '\0';
		rc = xs_tree_create(v->tree, part, v->gen, perms);
		if (!rc)
			rc = check_account(v, &before);
	}
	xs_perms_put(perms);
	return rc;
}

int xs_op_write(struct xs_view *v, const char *path, const void *data, size_t len)
{
	struct xs_account before = xs_tree_account(v->tree, v->who->domid);
	const struct xs_node *n;
	int rc;

	rc = look(v, path, XS_PERM_WRITE, &n);
	if (rc && rc != -ENOENT)
		return rc;
	if (!v->who->privileged && len > v->quota->value_bytes)
		return -ENOSPC;
	if (rc == -ENOENT)
		rc = create(v, path);
	if (!rc)
		rc = xs_tree_set_value(v->tree, path, v->gen, data, len);
	if (!rc)
		rc = check_account(v, &before);
	return rc ? rc : note_changed(v, path, 0);
}

int xs_op_mkdir(struct xs_view *v, const char *path)
{
	const struct xs_node *n;
	int rc;

	rc = look(v, path, XS_PERM_WRITE, &n);
	if (rc != -ENOENT)
		return rc;
	rc = create(v, path);
	return rc ? rc : note_changed(v, path, 0);
}

int xs_op_rm(struct xs_view *v, const char *path)
{
	size_t parent_len = xs_path_parent_len(path), len;
	const struct xs_node *n;
	int rc;

	rc = look(v, path, XS_PERM_WRITE, &n);
	if (rc == -ENOENT) {
		xs_tree_nearest(v->tree, path, &len);
		return len == parent_len ? 0 : -ENOENT;
	}
	if (rc)
		return rc;
	if (!parent_len)
		return -EINVAL;
	rc = xs_tree_remove(v->tree, path, v->gen);
	return rc ? rc : note_changed(v, path, XS_TRACE_REMOVED);
}

int xs_op_set_perms(struct xs_view *v, const char *path, const struct xs_perm *entries, unsigned nr)
{
	struct xs_account before = xs_tree_account(v->tree, v->who->domid);
	const struct xs_node *n;
	struct xs_perms *perms;
	int rc;

	if (!v->who->privileged && nr > v->quota->perms)
		return -ENOSPC;
	rc = look(v, path, XS_PERM_WRITE | XS_PERM_OWNER, &n);
	if (rc)
		return rc;
	if (!v->who->privileged && entries[0].domid != xs_perms_owner(n->perms))
		return -EPERM;
	perms = xs_perms_make(entries, nr);
	if (!perms)
		return -ENOMEM;
	rc = xs_tree_set_perms(v->tree, path, v->gen, perms);
	xs_perms_put(perms);
	if (!rc)
		rc = check_account(v, &before);
	return rc ? rc : note_changed(v, path, 0);
}
