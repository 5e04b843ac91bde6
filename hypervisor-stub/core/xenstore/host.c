/* SPDX-License-Identifier: MIT */
/*
 * The store for users in this process: plain functions instead of messages.
 *
 * A handle is a privileged connection whose events are not formatted as messages but handed to
 * callbacks, by a thread of the handle's own that is started with its first watch. So a slow
 * callback delays nobody but its own handle, and none runs in a guest's vCPU thread.
 */
#include "hypervisor-stub/core/xenstore/store.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct xs_host_watch {
	struct xs_host *host;
	struct xs_host_watch *next;
	struct xs_watch *w; /* NULL: no longer watched */
	void (*fn)(void *arg, const char *path);
	void *arg;
	bool running; /* fn is being called */
	bool ended;   /* off the list */
};

struct xs_host {
	struct xs_conn *conn;
	struct xs_host_watch *watches;
	unsigned next_token;
	pthread_cond_t work; /* an event is there, or closing */
	pthread_t thread;
	bool has_thread, closing;
};

/* ---- one operation --------------------------------------------------------------------------- */

/* An operation by itself takes the mutex; one in a transaction finds it held. */
static void enter(struct xs_host *h, const struct xs_tx *tx)
{
	if (!tx)
		xs_lock(h->conn->store);
}

static void leave(struct xs_host *h, const struct xs_tx *tx)
{
	if (!tx)
		xs_unlock(h->conn->store);
}

static int canonical(struct xs_host *h, const char *path, bool special, char *out)
{
	return xs_path_canonical(h->conn->base, path, special, out);
}

static int read_node(struct xs_host *h, struct xs_tx *tx, const char *path,
                     const struct xs_node **node)
{
	struct xs_store *s = h->conn->store;
	struct xs_view view = { .tree = tx ? &tx->tree : &s->tree,
		                .who = &h->conn->who,
		                .quota = &s->quota };
	char full[XS_PATH_BUF];
	int rc = canonical(h, path, true, full);

	return rc ? rc : xs_op_read(&view, full, node);
}

/* A change: its operation and what that wants to know. */
struct change {
	int (*op)(struct xs_view *v, const char *path, const struct change *c);
	const void *data;
	size_t len;
	bool special;
};

static int change(struct xs_host *h, struct xs_tx *tx, const char *path, const struct change *c)
{
	struct xs_store *s = h->conn->store;
	struct xs_update update;
	char full[XS_PATH_BUF];
	int rc = canonical(h, path, c->special, full);

	if (rc)
		return rc;
	enter(h, tx);
	rc = xs_update_begin(&update, s, tx, &h->conn->who);
	if (!rc) {
		rc = c->op(&update.view, full, c);
		if (rc)
			xs_update_abort(&update);
		else
			xs_update_done(&update);
	}
	leave(h, tx);
	return rc;
}

static int op_write(struct xs_view *v, const char *path, const struct change *c)
{
	return xs_op_write(v, path, c->data, c->len);
}

static int op_mkdir(struct xs_view *v, const char *path, const struct change *c)
{
	(void)c;
	return xs_op_mkdir(v, path);
}

static int op_rm(struct xs_view *v, const char *path, const struct change *c)
{
	(void)c;
	return xs_op_rm(v, path);
}

static int op_set_perms(struct xs_view *v, const char *path, const struct change *c)
{
	return xs_op_set_perms(v, path, c->data, (unsigned)c->len);
}

/* ---- the functions of xenstore.h ------------------------------------------------------------- */

int xs_host_read(struct xs_host *h, struct xs_tx *tx, const char *path, char **value, size_t *len)
{
	const struct xs_node *n;
	char *copy = NULL;
	int rc;

	enter(h, tx);
	rc = read_node(h, tx, path, &n);
	if (!rc) {
		copy = malloc(xs_node_value_len(n) + 1);
		rc = copy ? 0 : -ENOMEM;
	}
	if (copy) {
		memcpy(copy, xs_node_value(n), xs_node_value_len(n) + 1);
		*value = copy;
		if (len)
			*len = xs_node_value_len(n);
	}
	leave(h, tx);
	return rc;
}

int xs_host_read_u64(struct xs_host *h, struct xs_tx *tx, const char *path, uint64_t *value)
{
	uint64_t n = 0;
	size_t len, i;
	char *text;
	int rc = xs_host_read(h, tx, path, &text, &len);

	if (rc)
		return rc;
	for (i = 0; i < len && !rc; i++) {
		if (text[i] < '0' || text[i] > '9' || __builtin_mul_overflow(n, 10, &n) ||
		    __builtin_add_overflow(n, (uint64_t)(text[i] - '0'), &n))
			rc = -EINVAL;
	}
	free(text);
	if (rc || !len)
		return -EINVAL;
	*value = n;
	return 0;
}

int xs_host_write(struct xs_host *h, struct xs_tx *tx, const char *path, const void *value,
                  size_t len)
{
	const struct change c = { .op = op_write, .data = value, .len = len };

	return len > XENSTORE_PAYLOAD_MAX ? -E2BIG : change(h, tx, path, &c);
}

int xs_host_printf(struct xs_host *h, struct xs_tx *tx, const char *path, const char *fmt, ...)
{
	char text[XENSTORE_PAYLOAD_MAX + 1];
	va_list args;
	int len;

	va_start(args, fmt);
	len = vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (len < 0)
		return -EINVAL;
	return xs_host_write(h, tx, path, text, (size_t)len);
}

int xs_host_mkdir(struct xs_host *h, struct xs_tx *tx, const char *path)
{
	const struct change c = { .op = op_mkdir };

	return change(h, tx, path, &c);
}

int xs_host_rm(struct xs_host *h, struct xs_tx *tx, const char *path)
{
	const struct change c = { .op = op_rm };

	return change(h, tx, path, &c);
}

/* The children's names, in one block behind the pointers to them. */
static int copy_names(const struct xs_node *n, char ***names)
{
	size_t size = n->nr * sizeof(**names);
	char **list, *text;
	unsigned i;

	for (i = 0; i < n->nr; i++)
		size += n->child[i]->name_len + 1;
	list = malloc(size);
	if (!list)
		return -ENOMEM;
	text = (char *)(list + n->nr);
	for (i = 0; i < n->nr; i++) {
		list[i] = text;
		memcpy(text, n->child[i]->name, n->child[i]->name_len + 1);
		text += n->child[i]->name_len + 1;
	}
	*names = list;
	return 0;
}

int xs_host_directory(struct xs_host *h, struct xs_tx *tx, const char *path, char ***names,
                      unsigned *nr)
{
	const struct xs_node *n;
	char **list = NULL;
	int rc;

	enter(h, tx);
	rc = read_node(h, tx, path, &n);
	if (!rc && n->nr)
		rc = copy_names(n, &list);
	if (!rc) {
		*names = list;
		*nr = n->nr;
	}
	leave(h, tx);
	return rc;
}

int xs_host_get_perms(struct xs_host *h, struct xs_tx *tx, const char *path, char **perms)
{
	char text[XS_PERMS_MAX * 8], *copy;
	const struct xs_node *n;
	int len, i;

	enter(h, tx);
	len = read_node(h, tx, path, &n);
	if (!len)
		len = xs_perms_format(n->perms, text, sizeof(text));
	leave(h, tx);
	if (len < 0)
		return len;
	for (i = 0; i < len - 1; i++)
		if (!text[i])
			text[i] = ',';
	copy = strdup(text);
	if (!copy)
		return -ENOMEM;
	*perms = copy;
	return 0;
}

int xs_host_set_perms(struct xs_host *h, struct xs_tx *tx, const char *path, const char *perms)
{
	struct xs_perm entry[XS_PERMS_MAX];
	struct change c = { .op = op_set_perms, .data = entry, .special = true };
	char text[XS_PERMS_MAX * 8];
	size_t len = strlen(perms), i;
	unsigned nr;
	int rc;

	if (len >= sizeof(text))
		return -EINVAL;
	for (i = 0; i <= len; i++)
		text[i] = perms[i] == ',' ? '\0' : perms[i];
	rc = xs_perms_parse(text, len + 1, entry, &nr);
	if (rc)
		return rc;
	c.len = nr;
	return change(h, tx, path, &c);
}

/* ---- transactions ---------------------------------------------------------------------------- */

int xs_host_transact(struct xs_host *h, int (*fn)(struct xs_host *h, struct xs_tx *tx, void *arg),
                     void *arg)
{
	struct xs_conn *conn = h->conn;
	struct xs_update update;
	struct xs_tx *tx;
	int rc;

	xs_lock(conn->store);
	rc = xs_tx_start(conn, &tx);
	if (rc) {
		xs_unlock(conn->store);
		return rc;
	}
	rc = fn(h, tx, arg);
	if (!rc)
		rc = xs_update_begin(&update, conn->store, NULL, &conn->who);
	if (!rc) {
		/* There cannot be a conflict: the mutex was held all the time. */
		rc = xs_tx_commit(tx, &update);
		if (rc)
			xs_update_abort(&update);
		else
			xs_update_done(&update);
	}
	xs_tx_end(conn, tx);
	xs_unlock(conn->store);
	return rc;
}

/* ---- watches --------------------------------------------------------------------------------- */

/* Calls one event's function, without the mutex. */
static void deliver(struct xs_host *h, struct xs_out *m)
{
	struct xs_host_watch *hw = m->watch->owner;

	hw->running = true;
	xs_unlock(h->conn->store);
	hw->fn(hw->arg, m->data);
	free(m);
	xs_lock(h->conn->store);
	hw->running = false;
	if (!hw->w) /* unwatched from within */
		free(hw);
	pthread_cond_broadcast(&h->conn->store->idle);
}

static void *deliver_all(void *arg)
{
	struct xs_host *h = arg;
	struct xs_out *m;

	xs_lock(h->conn->store);
	while (!h->closing) {
		m = xs_conn_take(h->conn);
		if (m)
			deliver(h, m);
		else
			pthread_cond_wait(&h->work, &h->conn->store->lock);
	}
	xs_unlock(h->conn->store);
	return NULL;
}

static int start_thread(struct xs_host *h)
{
	if (h->has_thread)
		return 0;
	if (pthread_create(&h->thread, NULL, deliver_all, h))
		return -EAGAIN;
	h->has_thread = true;
	return 0;
}

int xs_host_watch(struct xs_host *h, const char *path, void (*fn)(void *arg, const char *path),
                  void *arg, struct xs_host_watch **watch)
{
	struct xs_host_watch *hw = calloc(1, sizeof(*hw));
	char token[16];
	int rc;

	if (!hw)
		return -ENOMEM;
	hw->host = h;
	hw->fn = fn;
	hw->arg = arg;
	xs_lock(h->conn->store);
	snprintf(token, sizeof(token), "%u", h->next_token++);
	rc = start_thread(h);
	if (!rc)
		rc = xs_watch_add(h->conn, path, token, &hw->w);
	if (!rc) {
		hw->w->owner = hw;
		hw->next = h->watches;
		h->watches = hw;
		*watch = hw;
		xs_watch_fire_first(hw->w);
	}
	xs_unlock(h->conn->store);
	if (rc)
		free(hw);
	return rc;
}

/* Takes the watch off; frees it unless its own callback, further up this stack, still runs. */
static void unwatch(struct xs_host_watch *hw)
{
	struct xs_host *h = hw->host;
	struct xs_host_watch **link;
	bool inside = h->has_thread && pthread_equal(pthread_self(), h->thread);

	if (hw->ended)
		return; /* by another thread, which waits for the function that we are in */
	hw->ended = true;
	for (link = &h->watches; *link != hw; link = &(*link)->next)
		;
	*link = hw->next;
	xs_watch_remove(hw->w);
	while (hw->running && !inside)
		pthread_cond_wait(&h->conn->store->idle, &h->conn->store->lock);
	hw->w = NULL;
	if (!hw->running)
		free(hw);
}

void xs_host_unwatch(struct xs_host_watch *watch)
{
	struct xs_store *s = watch->host->conn->store;

	xs_lock(s);
	unwatch(watch);
	xs_unlock(s);
}

/* ---- handles --------------------------------------------------------------------------------- */

int xs_host_open(struct xs_store *s, struct xs_host **out)
{
	struct xs_host *h = calloc(1, sizeof(*h));

	if (!h)
		return -ENOMEM;
	pthread_cond_init(&h->work, NULL);
	xs_lock(s);
	h->conn = xs_conn_make(s, 0, true);
	if (h->conn)
		h->conn->host_cond = &h->work;
	xs_unlock(s);
	if (!h->conn) {
		pthread_cond_destroy(&h->work);
		free(h);
		return -ENOMEM;
	}
	*out = h;
	return 0;
}

void xs_host_close(struct xs_host *h)
{
	struct xs_store *s = h->conn->store;

	xs_lock(s);
	while (h->watches)
		unwatch(h->watches);
	h->closing = true;
	pthread_cond_signal(&h->work);
	xs_unlock(s);
	if (h->has_thread)
		pthread_join(h->thread, NULL);
	xs_lock(s);
	xs_conn_unmake(h->conn);
	xs_unlock(s);
	pthread_cond_destroy(&h->work);
	free(h);
}
