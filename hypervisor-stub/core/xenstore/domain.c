/* SPDX-License-Identifier: MIT */
/*
 * Which domains there are, which of them are served, and what is left behind when one goes: nothing.
 */
#include "hypervisor-stub/core/xenstore/store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct xs_domain *xs_domain_find(struct xs_store *s, domid_t domid)
{
	struct xs_domain *d = s->domains;

	while (d && d->domid != domid)
		d = d->next;
	return d;
}

bool xs_domain_exists(struct xs_store *s, domid_t domid)
{
	const struct xs_domain *d = xs_domain_find(s, domid);

	return domid == 0 || (d && !d->gone);
}

/* ---- what a domain leaves behind -------------------------------------------------------------- */

static const struct xs_cred host = { .privileged = true };

/* Nodes of a domain that is gone, and nodes that it had a permission for. */
struct legacy {
	domid_t gone;
	struct found {
		char *path;
		bool owned;
	} * found;
	unsigned nr, room;
};

static int remember(struct legacy *l, const char *path, bool owned)
{
	unsigned room = l->room ? l->room * 2 : 64;
	struct found *list = l->found;

	if (l->nr == l->room) {
		list = realloc(list, room * sizeof(*list));
		if (!list)
			return -ENOMEM;
		l->found = list;
		l->room = room;
	}
	list[l->nr].owned = owned;
	list[l->nr].path = strdup(path);
	if (!list[l->nr].path)
		return -ENOMEM;
	l->nr++;
	return 0;
}

/* Looks at all nodes below n, whose path has len bytes; what is below a found one goes with it. */
static int find_legacy(struct legacy *l, const struct xs_node *n, char *path, size_t len)
{
	const struct xs_node *c;
	size_t at;
	unsigned i;
	int rc = 0;

	for (i = 0; i < n->nr && !rc; i++) {
		c = n->child[i];
		at = len;
		if (len > 1) /* not for the nameless top, nor for "/" */
			path[at++] = '/';
		memcpy(path + at, c->name, c->name_len + 1);
		at += c->name_len;
		if (xs_perms_owner(c->perms) == l->gone) {
			rc = remember(l, path, true);
			if (!rc && !xs_path_parent_len(path)) /* "/" itself stays */
				rc = find_legacy(l, c, path, at);
			continue;
		}
		if (xs_perms_mention(c->perms, l->gone))
			rc = remember(l, path, false);
		if (!rc)
			rc = find_legacy(l, c, path, at);
	}
	return rc;
}

static int clean_node(struct xs_update *u, const struct found *f, domid_t gone)
{
	static const struct xs_perm nobody = { .domid = 0, .access = XS_PERM_NONE };
	struct xs_perms *perms;
	int rc;

	if (f->owned && xs_path_parent_len(f->path))
		return xs_op_rm(&u->view, f->path);
	if (f->owned) /* "/" and the special nodes fall to the host */
		return xs_op_set_perms(&u->view, f->path, &nobody, 1);
	perms = xs_perms_without(xs_tree_find(u->view.tree, f->path)->perms, gone);
	if (!perms)
		return -ENOMEM;
	rc = xs_op_set_perms(&u->view, f->path, perms->entry, perms->nr);
	xs_perms_put(perms);
	return rc;
}

/* Removes the domain's nodes, and it from the permissions of all others. 0 or -ENOMEM. */
static int clean_nodes(struct xs_store *s, domid_t gone)
{
	struct legacy l = { .gone = gone };
	struct xs_update u;
	char path[XS_PATH_BUF];
	unsigned i;
	int rc = find_legacy(&l, s->tree.top, path, 0);

	if (!rc)
		rc = xs_update_begin(&u, s, NULL, &host);
	if (!rc) {
		for (i = 0; i < l.nr && !rc; i++)
			rc = clean_node(&u, &l.found[i], gone);
		if (rc)
			xs_update_abort(&u);
		else
			xs_update_done(&u);
	}
	for (i = 0; i < l.nr; i++)
		free(l.found[i].path);
	free(l.found);
	return rc;
}

/* A transaction may hold permissions for the domain, which it would bring back. */
static void doom_transactions(struct xs_store *s)
{
	struct xs_conn *conn;
	struct xs_tx *tx;

	for (conn = s->conns; conn; conn = conn->next)
		for (tx = conn->txs; tx; tx = tx->next)
			tx->doomed = true;
}

static void drop_targets(struct xs_store *s, domid_t gone)
{
	struct xs_conn *conn;

	for (conn = s->conns; conn; conn = conn->next)
		if (conn->who.target == gone)
			conn->who.has_target = false;
}

/* ---- beginning and end ----------------------------------------------------------------------- */

int xs_domain_add(struct xs_store *s, domid_t domid)
{
	struct xs_domain *d = xs_domain_find(s, domid);

	if (d && d->gone && clean_nodes(s, domid))
		return -ENOMEM;
	if (d) {
		d->gone = false;
		return 0;
	}
	if (domid == 0 || domid >= DOMID_FIRST_RESERVED)
		return -EINVAL;
	d = calloc(1, sizeof(*d));
	if (!d)
		return -ENOMEM;
	d->domid = domid;
	d->next = s->domains;
	s->domains = d;
	return 0;
}

static int introduce(struct xs_store *s, struct xs_domain *d, void *page)
{
	struct xs_conn *conn;

	if (d->conn)
		return -EEXIST;
	conn = xs_conn_make(s, d->domid, false);
	if (!conn)
		return -ENOMEM;
	if (xs_ring_attach(conn, page)) {
		xs_conn_unmake(conn);
		return -ENOMEM;
	}
	d->conn = conn;
	d->shutdown = false;
	xs_watch_fire_special(s, XS_INTRODUCE_DOMAIN);
	return 0;
}

int xs_introduce(struct xs_store *s, domid_t domid, void *page, void (*notify)(void *arg),
                 void *arg, struct xs_conn **conn)
{
	struct xs_domain *d;
	int rc;

	xs_lock(s);
	rc = xs_domain_add(s, domid);
	if (!rc) {
		d = xs_domain_find(s, domid);
		rc = introduce(s, d, page);
		if (!rc) {
			d->conn->notify = notify;
			d->conn->arg = arg;
			*conn = d->conn;
		}
	}
	xs_unlock(s);
	return rc;
}

void xs_guest_event(void *arg)
{
	struct xs_conn *conn = arg;
	struct xs_store *s = conn->store;

	xs_lock(s);
	xs_ring_serve(conn);
	xs_conn_wake(conn);
	xs_unlock(s);
}

/* Whether a watch's path is path, or a folder above it. */
static bool covers(const char *watched, const char *path)
{
	size_t len = strlen(watched);

	return !strncmp(watched, path, len) && (!path[len] || path[len] == '/' || len == 1);
}

bool xs_domain_watches(struct xs_store *s, domid_t domid, const char *path)
{
	const struct xs_domain *d;
	const struct xs_watch *w;
	bool found = false;

	xs_lock(s);
	d = xs_domain_find(s, domid);
	for (w = d && d->conn ? d->conn->watches : NULL; w && !found; w = w->next)
		found = covers(w->path, path);
	xs_unlock(s);
	return found;
}

void xs_domain_shutdown(struct xs_store *s, domid_t domid)
{
	struct xs_domain *d;

	xs_lock(s);
	d = xs_domain_find(s, domid);
	if (d && !d->shutdown) {
		d->shutdown = true;
		xs_watch_fire_special(s, XS_RELEASE_DOMAIN);
	}
	xs_unlock(s);
}

/* Takes the domain off the list; NULL when there is none. */
static struct xs_domain *take_domain(struct xs_store *s, domid_t domid)
{
	struct xs_domain **link = &s->domains, *d;

	while (*link && (*link)->domid != domid)
		link = &(*link)->next;
	d = *link;
	if (d)
		*link = d->next;
	return d;
}

static void release(struct xs_store *s, struct xs_domain *d)
{
	if (d->conn) {
		xs_ring_detach(d->conn);
		xs_conn_unmake(d->conn); /* may let go of the mutex for a while */
		d->conn = NULL;
	}
	doom_transactions(s);
	drop_targets(s, d->domid);
	d->gone = clean_nodes(s, d->domid) != 0;
	xs_watch_fire_special(s, XS_RELEASE_DOMAIN);
	if (d->gone) {
		d->next = s->domains;
		s->domains = d;
	} else {
		free(d);
	}
}

void xs_release(struct xs_store *s, domid_t domid)
{
	struct xs_domain *d;

	xs_lock(s);
	d = take_domain(s, domid);
	if (d)
		release(s, d);
	xs_unlock(s);
}
