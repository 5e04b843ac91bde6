/* SPDX-License-Identifier: MIT */
/*
 * A store: its mutex, its connections with their queues, and the rule by which it changes.
 *
 * The rule: every change works on the current version of the tree with the previous one kept aside.
 * If it fails, the previous one comes back; if it succeeds, the reply is queued first and then the
 * watch events, which are found by looking at both.
 *
 * Nobody is told anything while the mutex is held: xs_unlock() does that afterwards, and `notifying`
 * keeps a connection alive for as long.
 */
#include "hypervisor-stub/core/xenstore/store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOTIFY_BATCH 16

/* ---- the mutex ------------------------------------------------------------------------------- */

void xs_lock(struct xs_store *s)
{
	int rc = pthread_mutex_lock(&s->lock);

	/* An error means that this thread holds it already: a call from inside of a transaction. */
	HV_ASSERT(rc == 0);
}

void xs_conn_wake(struct xs_conn *conn)
{
	if (conn->host_cond)
		pthread_cond_signal(conn->host_cond);
	if (conn->wants_notify || !(conn->pump || conn->notify))
		return;
	conn->wants_notify = true;
	conn->next_notify = conn->store->to_notify;
	conn->store->to_notify = conn;
}

/* Whom to notify now: at most NOTIFY_BATCH, each of them held by its count. */
static unsigned take_batch(struct xs_store *s, struct xs_conn **batch)
{
	struct xs_conn *conn;
	unsigned n = 0;

	while (n < NOTIFY_BATCH && s->to_notify) {
		conn = s->to_notify;
		s->to_notify = conn->next_notify;
		conn->wants_notify = false;
		if ((conn->pump && !conn->pump(conn)) || !conn->notify)
			continue;
		conn->notifying++;
		batch[n++] = conn;
	}
	return n;
}

void xs_unlock(struct xs_store *s)
{
	struct xs_conn *batch[NOTIFY_BATCH];
	unsigned n, i;

	while ((n = take_batch(s, batch)) > 0) {
		pthread_mutex_unlock(&s->lock);
		for (i = 0; i < n; i++)
			batch[i]->notify(batch[i]->arg);
		xs_lock(s);
		for (i = 0; i < n; i++)
			batch[i]->notifying--;
		pthread_cond_broadcast(&s->idle);
	}
	pthread_mutex_unlock(&s->lock);
}

/* ---- a store --------------------------------------------------------------------------------- */

static int first_nodes(struct xs_store *s)
{
	static const char *const path[] = { XS_INTRODUCE_DOMAIN, XS_RELEASE_DOMAIN, "/tool",
		                            "/tool/xenstored" };
	static const struct xs_perm host = { .domid = 0, .access = XS_PERM_NONE };
	struct xs_perms *perms = xs_perms_make(&host, 1);
	unsigned i;
	int rc;

	if (!perms)
		return -ENOMEM;
	s->generation = 1;
	rc = xs_tree_init(&s->tree, perms, s->generation);
	for (i = 0; !rc && i < sizeof(path) / sizeof(path[0]); i++)
		rc = xs_tree_create(&s->tree, path[i], s->generation, perms);
	xs_perms_put(perms);
	return rc;
}

int xs_store_create(struct xs_store **out, const struct xs_quota *quota)
{
	struct xs_store *s = calloc(1, sizeof(*s));
	pthread_mutexattr_t attr;

	if (!s)
		return -ENOMEM;
	s->quota = quota ? *quota : xs_quota_default;
	if (first_nodes(s)) {
		if (s->tree.top)
			xs_tree_drop(&s->tree);
		free(s);
		return -ENOMEM;
	}
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ERRORCHECK);
	pthread_mutex_init(&s->lock, &attr);
	pthread_mutexattr_destroy(&attr);
	pthread_cond_init(&s->idle, NULL);
	*out = s;
	return 0;
}

void xs_store_destroy(struct xs_store *s)
{
	HV_ASSERT(!s->conns);
	while (s->domains)
		xs_release(s, s->domains->domid);
	xs_tree_drop(&s->tree);
	pthread_cond_destroy(&s->idle);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

static int check_conn(const struct xs_conn *conn)
{
	unsigned watches = 0, txs = 0, replies = 0, events = 0;
	const struct xs_watch *w;
	const struct xs_out *m;
	const struct xs_tx *tx;

	for (w = conn->watches; w; w = w->next)
		watches++;
	for (tx = conn->txs; tx; tx = tx->next, txs++)
		if (xs_tree_check(&tx->base) || xs_tree_check(&tx->tree))
			return 10;
	for (m = conn->out; m; m = m->next)
		*(m->watch ? &events : &replies) += 1;
	if (watches != conn->nr_watches || txs != conn->nr_txs)
		return 11;
	return replies != conn->nr_replies || events != conn->nr_events ? 12 : 0;
}

int xs_store_check(struct xs_store *s)
{
	const struct xs_conn *conn;
	int rc;

	xs_lock(s);
	rc = xs_tree_check(&s->tree);
	if (!rc && s->tree.top->below > s->generation)
		rc = 13;
	for (conn = s->conns; conn && !rc; conn = conn->next)
		rc = check_conn(conn);
	xs_unlock(s);
	return rc;
}

/* ---- changes --------------------------------------------------------------------------------- */

int xs_update_begin(struct xs_update *u, struct xs_store *s, struct xs_tx *tx,
                    const struct xs_cred *who)
{
	*u = (struct xs_update){ .store = s, .tx = tx };
	u->view = (struct xs_view){
		.tree = tx ? &tx->tree : &s->tree,
		.who = who,
		.quota = &s->quota,
		.trace = tx ? &tx->trace : &u->trace,
		.gen = ++s->generation,
	};
	return xs_tree_copy(&u->old, u->view.tree);
}

void xs_update_abort(struct xs_update *u)
{
	xs_tree_drop(u->view.tree);
	*u->view.tree = u->old;
	xs_trace_clear(&u->trace);
}

void xs_update_done(struct xs_update *u)
{
	if (!u->tx)
		xs_watch_fire(u->store, &u->old, &u->store->tree, &u->trace);
	xs_tree_drop(&u->old);
	xs_trace_clear(&u->trace);
}

/* ---- connections ----------------------------------------------------------------------------- */

struct xs_conn *xs_conn_make(struct xs_store *s, domid_t domid, bool privileged)
{
	struct xs_conn *conn = calloc(1, sizeof(*conn));

	if (!conn)
		return NULL;
	conn->store = s;
	conn->who = (struct xs_cred){ .privileged = privileged, .domid = domid };
	snprintf(conn->base, sizeof(conn->base), "/local/domain/%u", domid);
	conn->out_tail = &conn->out;
	conn->max_events = privileged ? XS_HOST_EVENTS : s->quota.events;
	conn->next_tx_id = 1;
	conn->next = s->conns;
	s->conns = conn;
	return conn;
}

void xs_conn_reset(struct xs_conn *conn)
{
	struct xs_out *m;

	while (conn->watches)
		xs_watch_remove(conn->watches);
	while (conn->txs)
		xs_tx_end(conn, conn->txs);
	while ((m = xs_conn_take(conn)))
		free(m);
}

void xs_conn_unmake(struct xs_conn *conn)
{
	struct xs_store *s = conn->store;
	struct xs_conn **link;

	for (link = &s->conns; *link != conn; link = &(*link)->next)
		;
	*link = conn->next;
	for (link = &s->to_notify; *link && *link != conn; link = &(*link)->next_notify)
		;
	if (*link)
		*link = conn->next_notify;
	xs_conn_reset(conn);
	while (conn->notifying)
		pthread_cond_wait(&s->idle, &s->lock);
	free(conn);
}

static struct xs_out *enqueue(struct xs_conn *conn, const void *data, size_t len)
{
	struct xs_out *m = malloc(sizeof(*m) + len);

	if (!m)
		return NULL;
	m->next = NULL;
	m->watch = NULL;
	m->len = len;
	memcpy(m->data, data, len);
	*conn->out_tail = m;
	conn->out_tail = &m->next;
	xs_conn_wake(conn);
	return m;
}

int xs_conn_reply(struct xs_conn *conn, const struct xsd_sockmsg *hdr, const void *payload)
{
	struct xs_out *m = enqueue(conn, payload, hdr->len);

	if (!m)
		return -ENOMEM;
	m->hdr = *hdr;
	conn->nr_replies++;
	return 0;
}

static bool is_waiting(const struct xs_conn *conn, const struct xs_watch *w, const char *path)
{
	const struct xs_out *m;

	for (m = conn->out; m; m = m->next)
		if (m->watch == w && !strcmp(m->data, path))
			return true;
	return false;
}

void xs_conn_event(struct xs_conn *conn, struct xs_watch *w, const char *path)
{
	struct xs_out *m;

	if (conn->dead)
		return;
	/*
	 * Too many wait: one event with the watch's own path, which its owner must take for a
	 * change anywhere below, stands for this one and all that follow.
	 */
	if (conn->nr_events >= conn->max_events)
		path = w->path;
	path += w->prefix;
	if (strlen(path) + strlen(w->token) + 2 > XENSTORE_PAYLOAD_MAX)
		return;
	if (is_waiting(conn, w, path))
		return;
	m = enqueue(conn, path, strlen(path) + 1);
	if (!m)
		return;
	m->watch = w;
	conn->nr_events++;
}

static void unlink_out(struct xs_conn *conn, struct xs_out **link)
{
	struct xs_out *m = *link;

	*link = m->next;
	if (!m->next)
		conn->out_tail = link;
	if (m->watch)
		conn->nr_events--;
	else
		conn->nr_replies--;
}

void xs_conn_drop_events(struct xs_conn *conn, const struct xs_watch *w)
{
	struct xs_out **link = &conn->out, *m;

	while ((m = *link)) {
		if (m->watch == w) {
			unlink_out(conn, link);
			free(m);
		} else {
			link = &m->next;
		}
	}
}

struct xs_out *xs_conn_take(struct xs_conn *conn)
{
	struct xs_out *m = conn->out;

	if (m)
		unlink_out(conn, &conn->out);
	return m;
}

void xs_out_format(const struct xs_out *m, struct xsd_sockmsg *hdr, char *payload)
{
	size_t token_len;

	memcpy(payload, m->data, m->len);
	if (!m->watch) {
		*hdr = m->hdr;
		return;
	}
	token_len = strlen(m->watch->token) + 1;
	memcpy(payload + m->len, m->watch->token, token_len);
	*hdr = (struct xsd_sockmsg){ .type = XS_WATCH_EVENT,
		                     .len = (uint32_t)(m->len + token_len) };
}

int xs_conn_open(struct xs_store *s, domid_t domid, bool privileged, void (*notify)(void *arg),
                 void *arg, struct xs_conn **conn)
{
	struct xs_conn *c;

	xs_lock(s);
	c = xs_conn_make(s, domid, privileged);
	if (c) {
		c->notify = notify;
		c->arg = arg;
		*conn = c;
	}
	xs_unlock(s);
	return c ? 0 : -ENOMEM;
}

void xs_conn_close(struct xs_conn *conn)
{
	struct xs_store *s = conn->store;

	xs_lock(s);
	xs_conn_unmake(conn);
	xs_unlock(s);
}

int xs_conn_request(struct xs_conn *conn, const struct xsd_sockmsg *hdr, const void *payload)
{
	int rc = 0;

	xs_lock(conn->store);
	if (conn->dead) {
		rc = -EPIPE;
	} else if (hdr->len > XENSTORE_PAYLOAD_MAX) {
		xs_conn_reset(conn);
		conn->dead = true;
		rc = -EMSGSIZE;
	} else if (conn->nr_replies >= conn->store->quota.replies) {
		rc = -EAGAIN;
	} else {
		xs_wire_request(conn, hdr, payload);
	}
	xs_unlock(conn->store);
	return rc;
}

bool xs_conn_receive(struct xs_conn *conn, struct xsd_sockmsg *hdr, void *payload)
{
	struct xs_out *m;

	xs_lock(conn->store);
	m = xs_conn_take(conn);
	if (m)
		xs_out_format(m, hdr, payload);
	free(m);
	xs_unlock(conn->store);
	return m;
}
