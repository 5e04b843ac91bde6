/* SPDX-License-Identifier: MIT */
/*
 * The messages of the protocol: one row of a table each, so that what a message needs is checked in
 * one place, before its handler runs.
 *
 * A handler reads the request and fills in the reply's payload; it returns 0 or a negative errno,
 * and then the reply is XS_ERROR with that errno's name. The order is: the change, the reply, the
 * events that the change caused.
 *
 * Source: Xen docs/misc/xenstore.txt.
 */
#include "hypervisor-stub/core/xenstore/store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct request {
	struct xs_conn *conn;
	struct xs_tx *tx; /* named by the header; or NULL */
	const char *data; /* payload */
	size_t len;
	struct xs_view *view;     /* what to read, or to change if the row says so */
	struct xs_update *update; /* only if the row says so */
	struct xs_tx *ended;      /* out: a transaction to forget */
	struct xs_watch *started; /* out: a watch to fire for the first time */
	char reply[XENSTORE_PAYLOAD_MAX];
	size_t reply_len;
};

/* ---- pieces of payloads ---------------------------------------------------------------------- */

/* The payload is one string with its nul at the very end. */
static const char *one_string(const struct request *rq)
{
	if (!rq->len || memchr(rq->data, '\0', rq->len) != rq->data + rq->len - 1)
		return NULL;
	return rq->data;
}

/* The payload begins with that many strings; whether more than that follows is for the caller. */
static bool strings(const struct request *rq, const char **string, unsigned nr, size_t *used)
{
	const char *p = rq->data, *nul;
	size_t left = rq->len;
	unsigned i;

	for (i = 0; i < nr; i++) {
		nul = left ? memchr(p, '\0', left) : NULL;
		if (!nul)
			return false;
		string[i] = p;
		left -= (size_t)(nul + 1 - p);
		p = nul + 1;
	}
	*used = rq->len - left;
	return true;
}

/* A decimal number below 2^16 and nothing else. */
static bool parse_domid(const char *s, domid_t *domid)
{
	uint32_t n = 0;
	size_t i;

	for (i = 0; s[i] >= '0' && s[i] <= '9' && i < 5; i++)
		n = n * 10 + (uint32_t)(s[i] - '0');
	if (!i || s[i] || n > UINT16_MAX)
		return false;
	*domid = (domid_t)n;
	return true;
}

static int canonical(const struct request *rq, const char *path, bool special, char *out)
{
	return path ? xs_path_canonical(rq->conn->base, path, special, out) : -EINVAL;
}

static int answer(struct request *rq, const void *data, size_t len)
{
	if (len > sizeof(rq->reply))
		return -E2BIG;
	memcpy(rq->reply, data, len);
	rq->reply_len = len;
	return 0;
}

static int ok(struct request *rq)
{
	return answer(rq, "OK", sizeof("OK"));
}

/* rc is an operation's result: OK, or the error. */
static int done(struct request *rq, int rc)
{
	return rc ? rc : ok(rq);
}

/* The node that the payload names, if it may be read. */
static int read_node(struct request *rq, const char *name, bool special,
                     const struct xs_node **node)
{
	char path[XS_PATH_BUF];
	int rc = canonical(rq, name, special, path);

	return rc ? rc : xs_op_read(rq->view, path, node);
}

/* ---- reading --------------------------------------------------------------------------------- */

static int do_read(struct request *rq)
{
	const struct xs_node *n;
	int rc = read_node(rq, one_string(rq), false, &n);

	return rc ? rc : answer(rq, xs_node_value(n), xs_node_value_len(n));
}

static int do_get_perms(struct request *rq)
{
	const struct xs_node *n;
	int rc = read_node(rq, one_string(rq), true, &n);

	if (!rc)
		rc = xs_perms_format(n->perms, rq->reply, sizeof(rq->reply));
	if (rc < 0)
		return rc;
	rq->reply_len = (size_t)rc;
	return 0;
}

/* Appends a name and its nul; false when there is no room. */
static bool add_name(struct request *rq, const struct xs_node *n)
{
	if (n->name_len + 1 > sizeof(rq->reply) - rq->reply_len)
		return false;
	memcpy(rq->reply + rq->reply_len, n->name, n->name_len + 1);
	rq->reply_len += n->name_len + 1;
	return true;
}

static int do_directory(struct request *rq)
{
	const struct xs_node *n;
	int rc = read_node(rq, one_string(rq), false, &n);
	unsigned i;

	for (i = 0; !rc && i < n->nr; i++)
		if (!add_name(rq, n->child[i]))
			rc = -E2BIG;
	return rc;
}

/*
 * The list from a byte offset on, as much as fits, behind the generation that tells the client
 * whether the list is still the one that it began to read. An empty string marks the end.
 */
static int do_directory_part(struct request *rq)
{
	const struct xs_node *n;
	const char *arg[2];
	size_t used, offset = 0, at = 0;
	unsigned i;
	int rc;

	if (!strings(rq, arg, 2, &used) || used != rq->len)
		return -EINVAL;
	rc = read_node(rq, arg[0], false, &n);
	if (rc)
		return rc;
	for (i = 0; arg[1][i] >= '0' && arg[1][i] <= '9' && i < 9; i++)
		offset = offset * 10 + (size_t)(arg[1][i] - '0');
	if (!i || arg[1][i])
		return -EINVAL;
	rq->reply_len = 1 + (size_t)snprintf(rq->reply, sizeof(rq->reply), "%llu",
	                                     (unsigned long long)n->gen);
	for (i = 0; i < n->nr; at += n->child[i++]->name_len + 1)
		if (at >= offset && !add_name(rq, n->child[i]))
			return 0;
	if (rq->reply_len < sizeof(rq->reply))
		rq->reply[rq->reply_len++] = '\0';
	return 0;
}

/* ---- changing -------------------------------------------------------------------------------- */

static int do_write(struct request *rq)
{
	char path[XS_PATH_BUF];
	const char *name;
	size_t used;
	int rc;

	if (!strings(rq, &name, 1, &used))
		return -EINVAL;
	rc = canonical(rq, name, false, path);
	if (!rc)
		rc = xs_op_write(rq->view, path, rq->data + used, rq->len - used);
	return done(rq, rc);
}

static int do_mkdir(struct request *rq)
{
	char path[XS_PATH_BUF];
	int rc = canonical(rq, one_string(rq), false, path);

	return done(rq, rc ? rc : xs_op_mkdir(rq->view, path));
}

static int do_rm(struct request *rq)
{
	char path[XS_PATH_BUF];
	int rc = canonical(rq, one_string(rq), false, path);

	return done(rq, rc ? rc : xs_op_rm(rq->view, path));
}

/* A guest's leave for a domain that does not exist is not a leave for whoever gets its number. */
static void mark_stale(const struct request *rq, struct xs_perm *entry, unsigned nr)
{
	unsigned i;

	for (i = 1; i < nr && !rq->conn->who.privileged; i++)
		entry[i].stale = !xs_domain_exists(rq->conn->store, entry[i].domid);
}

static int do_set_perms(struct request *rq)
{
	struct xs_perm entry[XS_PERMS_MAX];
	char path[XS_PATH_BUF];
	const char *name;
	unsigned nr;
	size_t used;
	int rc;

	if (!strings(rq, &name, 1, &used))
		return -EINVAL;
	rc = canonical(rq, name, true, path);
	if (!rc)
		rc = xs_perms_parse(rq->data + used, rq->len - used, entry, &nr);
	if (rc)
		return rc;
	mark_stale(rq, entry, nr);
	return done(rq, xs_op_set_perms(rq->view, path, entry, nr));
}

/* ---- watches --------------------------------------------------------------------------------- */

/* Path and token, and no third string; bytes without a nul behind them are reserved. */
static bool watch_strings(const struct request *rq, const char **arg)
{
	size_t used;

	return strings(rq, arg, 2, &used) && !memchr(rq->data + used, '\0', rq->len - used);
}

static int do_watch(struct request *rq)
{
	const char *arg[2];

	if (!watch_strings(rq, arg))
		return -EINVAL;
	return done(rq, xs_watch_add(rq->conn, arg[0], arg[1], &rq->started));
}

static int do_unwatch(struct request *rq)
{
	char path[XS_PATH_BUF];
	struct xs_watch *w;
	const char *arg[2];
	int rc;

	if (!watch_strings(rq, arg))
		return -EINVAL;
	rc = canonical(rq, arg[0], true, path);
	if (rc)
		return rc;
	w = xs_watch_find(rq->conn, arg[0], arg[1]);
	if (!w)
		return -ENOENT;
	xs_watch_remove(w);
	return ok(rq);
}

static int do_reset_watches(struct request *rq)
{
	while (rq->conn->watches)
		xs_watch_remove(rq->conn->watches);
	while (rq->conn->txs)
		xs_tx_end(rq->conn, rq->conn->txs);
	return ok(rq);
}

/* ---- transactions ---------------------------------------------------------------------------- */

static int do_transaction_start(struct request *rq)
{
	struct xs_tx *tx;
	int rc;

	if (rq->tx)
		return -EBUSY;
	rc = xs_tx_start(rq->conn, &tx);
	if (rc)
		return rc;
	rq->reply_len = 1 + (size_t)snprintf(rq->reply, sizeof(rq->reply), "%u", tx->id);
	return 0;
}

static int do_transaction_end(struct request *rq)
{
	const char *arg = one_string(rq);

	if (!arg || (strcmp(arg, "T") && strcmp(arg, "F")))
		return -EINVAL;
	if (!rq->tx)
		return -ENOENT;
	rq->ended = rq->tx;
	return done(rq, *arg == 'T' ? xs_tx_commit(rq->tx, rq->update) : 0);
}

/* ---- domains --------------------------------------------------------------------------------- */

static int do_get_domain_path(struct request *rq)
{
	const char *arg = one_string(rq);
	domid_t domid;

	if (!arg || !parse_domid(arg, &domid))
		return -EINVAL;
	rq->reply_len = 1 +
	                (size_t)snprintf(rq->reply, sizeof(rq->reply), "/local/domain/%u", domid);
	return 0;
}

static int do_is_domain_introduced(struct request *rq)
{
	const char *arg = one_string(rq);
	const struct xs_domain *d;
	domid_t domid;
	bool yes;

	if (!arg || !parse_domid(arg, &domid))
		return -EINVAL;
	if (domid == DOMID_SELF)
		domid = rq->conn->who.domid;
	if (!rq->conn->who.privileged && domid != 0 && domid != rq->conn->who.domid)
		return -EACCES; /* who else is here is none of a guest's business */
	d = xs_domain_find(rq->conn->store, domid);
	yes = domid == 0 || (d && d->conn);
	return answer(rq, yes ? "T" : "F", 2);
}

static int do_resume(struct request *rq)
{
	const char *arg = one_string(rq);
	struct xs_domain *d;
	domid_t domid;

	if (!arg || !parse_domid(arg, &domid))
		return -EINVAL;
	d = xs_domain_find(rq->conn->store, domid);
	if (!d || !d->conn)
		return -ENOENT;
	d->shutdown = false;
	return ok(rq);
}

static int do_set_target(struct request *rq)
{
	const char *arg[2];
	struct xs_domain *d, *t;
	domid_t domid, target;
	size_t used;

	if (!strings(rq, arg, 2, &used) || !parse_domid(arg[0], &domid) ||
	    !parse_domid(arg[1], &target))
		return -EINVAL;
	d = xs_domain_find(rq->conn->store, domid);
	t = xs_domain_find(rq->conn->store, target);
	if (!d || !d->conn || !t || !t->conn)
		return -ENOENT;
	d->conn->who.has_target = true;
	d->conn->who.target = target;
	return ok(rq);
}

static int do_control(struct request *rq)
{
	static const char help[] = "check\nhelp\n";
	const char *arg;
	size_t used;

	if (!strings(rq, &arg, 1, &used))
		return -EINVAL;
	if (!strcmp(arg, "help"))
		return answer(rq, help, sizeof(help));
	if (!strcmp(arg, "check"))
		return done(rq, xs_tree_check(&rq->conn->store->tree) ? -EIO : 0);
	return -EINVAL;
}

/* Done by this process in other ways: xs_introduce() and xs_release(). */
static int do_elsewhere(struct request *rq)
{
	(void)rq;
	return -ENOSYS;
}

/* ---- the table ------------------------------------------------------------------------------- */

enum {
	PRIVILEGED = 1, /* EACCES for guests */
	NO_TX = 2,      /* the transaction in the header is ignored */
	CHANGES = 4,    /* changes the transaction's tree or, without one, the store's */
	COMMITS = 8,    /* has a transaction, and changes the store's tree */
};

static const struct row {
	int (*fn)(struct request *rq);
	unsigned flags;
} rows[XS_TYPE_COUNT] = {
	[XS_CONTROL] = { do_control, PRIVILEGED },
	[XS_DIRECTORY] = { do_directory, 0 },
	[XS_READ] = { do_read, 0 },
	[XS_GET_PERMS] = { do_get_perms, 0 },
	[XS_WATCH] = { do_watch, NO_TX },
	[XS_UNWATCH] = { do_unwatch, NO_TX },
	[XS_TRANSACTION_START] = { do_transaction_start, 0 },
	[XS_TRANSACTION_END] = { do_transaction_end, COMMITS },
	[XS_INTRODUCE] = { do_elsewhere, PRIVILEGED },
	[XS_RELEASE] = { do_elsewhere, PRIVILEGED },
	[XS_GET_DOMAIN_PATH] = { do_get_domain_path, 0 },
	[XS_WRITE] = { do_write, CHANGES },
	[XS_MKDIR] = { do_mkdir, CHANGES },
	[XS_RM] = { do_rm, CHANGES },
	[XS_SET_PERMS] = { do_set_perms, CHANGES },
	[XS_IS_DOMAIN_INTRODUCED] = { do_is_domain_introduced, 0 },
	[XS_RESUME] = { do_resume, PRIVILEGED },
	[XS_SET_TARGET] = { do_set_target, PRIVILEGED },
	[XS_RESET_WATCHES] = { do_reset_watches, NO_TX },
	[XS_DIRECTORY_PART] = { do_directory_part, 0 },
};

static const char *error_name(int err)
{
	/* All that the protocol knows (io/xs_wire.h); what else might come up is EINVAL to the
	 * client, as with xenstored. */
	static const struct {
		int err;
		const char *name;
	} names[] = {
		{ EACCES, "EACCES" },   { EEXIST, "EEXIST" },       { EISDIR, "EISDIR" },
		{ ENOENT, "ENOENT" },   { ENOMEM, "ENOMEM" },       { ENOSPC, "ENOSPC" },
		{ EIO, "EIO" },         { ENOTEMPTY, "ENOTEMPTY" }, { ENOSYS, "ENOSYS" },
		{ EROFS, "EROFS" },     { EBUSY, "EBUSY" },         { EAGAIN, "EAGAIN" },
		{ EISCONN, "EISCONN" }, { E2BIG, "E2BIG" },         { EPERM, "EPERM" },
	};
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].err == err)
			return names[i].name;
	return "EINVAL";
}

/* Queues the reply; without memory for it the client would wait for ever: the connection ends. */
static void reply(struct xs_conn *conn, const struct xsd_sockmsg *rq_hdr, int rc, const void *data,
                  size_t len)
{
	struct xsd_sockmsg hdr = *rq_hdr;

	if (rc) {
		hdr.type = XS_ERROR;
		data = error_name(-rc);
		len = strlen(data) + 1;
	}
	hdr.len = (uint32_t)len;
	if (xs_conn_reply(conn, &hdr, data)) {
		xs_conn_reset(conn);
		conn->dead = true;
	}
}

/* What stands before every handler: known, allowed, and about a transaction that exists. */
static int admit(struct request *rq, const struct xsd_sockmsg *hdr, const struct row **row)
{
	if (hdr->type >= XS_TYPE_COUNT || !rows[hdr->type].fn)
		return -ENOSYS;
	*row = &rows[hdr->type];
	if (((*row)->flags & PRIVILEGED) && !rq->conn->who.privileged)
		return -EACCES;
	if (!((*row)->flags & NO_TX) && hdr->tx_id) {
		rq->tx = xs_tx_find(rq->conn, hdr->tx_id);
		if (!rq->tx)
			return -ENOENT;
	}
	return 0;
}

/* Runs a handler that changes nothing in the tree. */
static void run_reading(struct request *rq, const struct row *row, const struct xsd_sockmsg *hdr)
{
	struct xs_store *s = rq->conn->store;
	struct xs_view view = { .tree = rq->tx ? &rq->tx->tree : &s->tree,
		                .who = &rq->conn->who,
		                .quota = &s->quota,
		                .trace = rq->tx ? &rq->tx->trace : NULL };
	int rc;

	rq->view = &view;
	rc = row->fn(rq);
	reply(rq->conn, hdr, rc, rq->reply, rq->reply_len);
	if (rq->started && !rq->conn->dead)
		xs_watch_fire_first(rq->started);
}

/* Runs a handler that changes the tree. */
static void run_changing(struct request *rq, const struct row *row, const struct xsd_sockmsg *hdr)
{
	struct xs_update update;
	int rc;

	rc = xs_update_begin(&update, rq->conn->store, row->flags & COMMITS ? NULL : rq->tx,
	                     &rq->conn->who);
	if (rc) {
		reply(rq->conn, hdr, rc, NULL, 0);
		return;
	}
	rq->update = &update;
	rq->view = &update.view;
	rc = row->fn(rq);
	if (rq->ended)
		xs_tx_end(rq->conn, rq->ended);
	if (rc)
		xs_update_abort(&update);
	reply(rq->conn, hdr, rc, rq->reply, rq->reply_len);
	if (!rc)
		xs_update_done(&update);
}

void xs_wire_request(struct xs_conn *conn, const struct xsd_sockmsg *hdr, const char *payload)
{
	struct request rq = { .conn = conn, .data = payload, .len = hdr->len };
	const struct row *row;
	int rc = admit(&rq, hdr, &row);

	if (rc)
		reply(conn, hdr, rc, NULL, 0);
	else if (row->flags & (CHANGES | COMMITS))
		run_changing(&rq, row, hdr);
	else
		run_reading(&rq, row, hdr);
}
