/* SPDX-License-Identifier: MIT */
/*
 * Watches: who is told of which change.
 *
 * A change at a path concerns the watches at that path and at each of its ancestors; a removal also
 * those at the nodes that went with it, and these get their own path. The watches are in a hash
 * table by path, so that a change costs one look per ancestor however many watches there are.
 *
 * A guest is told if it may read the node, as it was or as it is, or its parent, whose list of
 * children would tell it the same.
 */
#include "hypervisor-stub/core/xenstore/store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- adding and removing --------------------------------------------------------------------- */

static struct xs_watch **bucket_of(struct xs_store *s, uint32_t hash)
{
	return &s->watch[hash % XS_WATCH_BUCKETS];
}

static struct xs_watch *find(struct xs_conn *conn, const char *canonical, const char *token)
{
	struct xs_watch *w;

	for (w = conn->watches; w; w = w->next)
		if (!strcmp(w->path, canonical) && !strcmp(w->token, token))
			return w;
	return NULL;
}

struct xs_watch *xs_watch_find(struct xs_conn *conn, const char *path, const char *token)
{
	char canonical[XS_PATH_BUF];

	if (xs_path_canonical(conn->base, path, true, canonical))
		return NULL;
	return find(conn, canonical, token);
}

int xs_watch_add(struct xs_conn *conn, const char *path, const char *token, struct xs_watch **out)
{
	struct xs_watch *w, **link;
	char canonical[XS_PATH_BUF];
	int rc;

	rc = xs_path_canonical(conn->base, path, true, canonical);
	if (rc)
		return rc;
	if (find(conn, canonical, token))
		return -EEXIST;
	if (!conn->who.privileged && conn->nr_watches >= conn->store->quota.watches)
		return -E2BIG;
	w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	w->path = strdup(canonical);
	w->token = strdup(token);
	if (!w->path || !w->token) {
		free(w->path);
		free(w->token);
		free(w);
		return -ENOMEM;
	}
	w->conn = conn;
	w->hash = xs_path_hash(canonical);
	w->prefix = xs_path_is_relative(path) ? strlen(conn->base) + 1 : 0;
	w->next = conn->watches;
	conn->watches = w;
	conn->nr_watches++;
	/* Last: those at one path are told in the order in which they were set. */
	for (link = bucket_of(conn->store, w->hash); *link; link = &(*link)->next_bucket)
		;
	*link = w;
	*out = w;
	return 0;
}

void xs_watch_remove(struct xs_watch *w)
{
	struct xs_watch **link;

	xs_conn_drop_events(w->conn, w);
	for (link = &w->conn->watches; *link != w; link = &(*link)->next)
		;
	*link = w->next;
	w->conn->nr_watches--;
	for (link = bucket_of(w->conn->store, w->hash); *link != w; link = &(*link)->next_bucket)
		;
	*link = w->next_bucket;
	free(w->path);
	free(w->token);
	free(w);
}

void xs_watch_fire_first(struct xs_watch *w)
{
	xs_conn_event(w->conn, w, w->path);
}

/* ---- firing ---------------------------------------------------------------------------------- */

/* One changed node: its path, and the nodes whose permissions decide who is told. */
struct change {
	struct xs_store *store;
	const char *path;
	const struct xs_node *old, *now, *parent; /* each may be NULL */
};

static bool may_read(const struct xs_node *n, const struct xs_cred *who)
{
	return n && (xs_perms_access(n->perms, who) & XS_PERM_READ);
}

static bool may_know(const struct change *c, const struct xs_cred *who)
{
	return who->privileged || may_read(c->old, who) || may_read(c->now, who) ||
	       may_read(c->parent, who);
}

/* The watches at the first len bytes of the path, whose hash is given. */
static void tell(const struct change *c, size_t len, uint32_t hash)
{
	struct xs_watch *w;

	for (w = *bucket_of(c->store, hash); w; w = w->next_bucket)
		if (w->hash == hash && !strncmp(w->path, c->path, len) && !w->path[len] &&
		    may_know(c, &w->conn->who))
			xs_conn_event(w->conn, w, c->path);
}

/* The watches at the path and at each of its ancestors; returns the path's hash. */
static uint32_t tell_up(const struct change *c)
{
	uint32_t hash = xs_hash_add(XS_HASH_START, c->path[0]);
	size_t i;

	if (c->path[0] == '/')
		tell(c, 1, hash);
	for (i = 1; c->path[i]; i++) {
		if (c->path[i] == '/')
			tell(c, i, hash);
		hash = xs_hash_add(hash, c->path[i]);
	}
	if (i > 1)
		tell(c, i, hash);
	return hash;
}

/* The watches at the nodes below one that was removed; path[len] is where their names go. */
static void tell_down(struct xs_store *s, const struct xs_node *removed, char *path, size_t len,
                      uint32_t hash)
{
	struct change c = { .store = s, .path = path, .parent = removed };
	uint32_t h;
	unsigned i;
	size_t k;

	path[len] = '/';
	hash = xs_hash_add(hash, '/');
	for (i = 0; i < removed->nr; i++) {
		c.old = removed->child[i];
		memcpy(path + len + 1, c.old->name, c.old->name_len + 1);
		for (k = 0, h = hash; k < c.old->name_len; k++)
			h = xs_hash_add(h, c.old->name[k]);
		tell(&c, len + 1 + c.old->name_len, h);
		tell_down(s, c.old, path, len + 1 + c.old->name_len, h);
		/* the deeper call has written behind the name */
		path[len + 1 + c.old->name_len] = '\0';
	}
	path[len] = '\0';
}

static void fire(struct xs_store *s, const struct xs_tree *old, const struct xs_tree *now,
                 const struct xs_trace_entry *e)
{
	size_t len = xs_path_parent_len(e->path);
	struct change c = { .store = s,
		            .path = e->path,
		            .old = xs_tree_find(old, e->path),
		            .now = xs_tree_find(now, e->path) };
	char path[XS_PATH_BUF];
	uint32_t hash;

	if (!c.old && !c.now)
		return; /* made and removed within one transaction */
	memcpy(path, e->path, len);
	path[len] = '\0';
	if (len) {
		c.parent = xs_tree_find(now, path);
		if (!c.parent)
			c.parent = xs_tree_find(old, path);
	}
	hash = tell_up(&c);
	if ((e->flags & XS_TRACE_REMOVED) && c.old) {
		len = strlen(e->path);
		memcpy(path, e->path, len + 1);
		tell_down(s, c.old, path, len, hash);
	}
}

void xs_watch_fire(struct xs_store *s, const struct xs_tree *old, const struct xs_tree *now,
                   const struct xs_trace *trace)
{
	unsigned i;

	for (i = 0; i < trace->nr_changed; i++)
		fire(s, old, now, &trace->entry[trace->changed[i]]);
}

void xs_watch_fire_special(struct xs_store *s, const char *name)
{
	struct change c = { .store = s, .path = name, .now = xs_tree_find(&s->tree, name) };

	tell_up(&c);
}
