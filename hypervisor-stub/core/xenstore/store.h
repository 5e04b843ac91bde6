/* SPDX-License-Identifier: MIT */
/*
 * The parts of a store, for the files of this folder only.
 *
 *   path.c perms.c tree.c tree_merge.c trace.c quota.c ops.c    nodes; know no client
 *   store.c                        the mutex, connections, their queues, changes as versions
 *   watch.c transaction.c          what a connection has open
 *   wire.c                         messages
 *   ring.c                         the shared page
 *   domain.c populate.c host.c     the rest of xenstore.h
 *
 * Everything here needs the store's mutex, but xs_lock() itself. Lists are linked through the
 * objects; an object is freed only by the function that took it off every list.
 */
#ifndef HYPERVISOR_STUB_CORE_XENSTORE_STORE_H
#define HYPERVISOR_STUB_CORE_XENSTORE_STORE_H

#include <pthread.h>

#include "hypervisor-stub/core/types.h"
#include "hypervisor-stub/core/xenstore/ops.h"
#include "hypervisor-stub/core/xenstore/xenstore.h"

#define XS_WATCH_BUCKETS    1024
#define XS_HOST_EVENTS      4096 /* waiting for one host handle; as quota.events for guests */

#define XS_INTRODUCE_DOMAIN "@introduceDomain"
#define XS_RELEASE_DOMAIN   "@releaseDomain"

struct xs_watch {
	struct xs_conn *conn;
	struct xs_watch *next;        /* of the connection */
	struct xs_watch *next_bucket; /* in store->watch, by hash of the path */
	uint32_t hash;
	char *path;    /* canonical */
	size_t prefix; /* bytes that its events' paths go without: it was given as relative */
	void *owner;   /* host.c's */
	char *token;
};

struct xs_tx {
	struct xs_tx *next; /* of the connection */
	uint32_t id;
	struct xs_tree base; /* the tree when it began */
	struct xs_tree tree; /* and with its own changes */
	struct xs_trace trace;
	bool doomed; /* a domain has gone meanwhile: it may hold that domain's permissions */
};

/* A message that waits to be read by the client. */
struct xs_out {
	struct xs_out *next;
	struct xs_watch *watch; /* of an event, else NULL */
	struct xsd_sockmsg hdr; /* of a reply */
	size_t len;
	char data[]; /* a reply's payload; an event's path, as the client sees it, with its nul */
};

struct xs_conn {
	struct xs_store *store;
	struct xs_conn *next; /* of the store */
	struct xs_cred who;
	char base[sizeof("/local/domain/65535")];
	bool dead; /* broke the protocol: nothing is read or queued any more */

	struct xs_watch *watches;
	unsigned nr_watches;
	struct xs_tx *txs;
	unsigned nr_txs;
	uint32_t next_tx_id;

	struct xs_out *out, **out_tail;
	unsigned nr_replies, nr_events;
	unsigned max_events;

	/* Telling the client: pump moves messages on, under the mutex, and says whether notify, which
	 * is called without it, is worth while. host_cond is signalled instead, for host handles. */
	bool (*pump)(struct xs_conn *conn);
	void (*notify)(void *arg);
	void *arg;
	pthread_cond_t *host_cond;
	bool wants_notify; /* on store->to_notify */
	struct xs_conn *next_notify;
	unsigned notifying; /* calls of notify that are going on */

	struct xs_ring *ring; /* ring.c; NULL without one */
};

struct xs_domain {
	struct xs_domain *next;
	domid_t domid;
	struct xs_conn *conn; /* NULL: not introduced */
	bool shutdown;
	bool gone; /* released, but there was no memory to remove its nodes: does not exist */
};

struct xs_store {
	pthread_mutex_t lock;
	pthread_cond_t idle; /* a notify or a host's callback has returned */
	struct xs_quota quota;
	struct xs_tree tree;
	uint64_t generation; /* the last number given to a change */
	struct xs_conn *conns;
	struct xs_domain *domains;
	struct xs_watch *watch[XS_WATCH_BUCKETS];
	struct xs_conn *to_notify;
};

/* ---- store.c ----------------------------------------------------------------------------------- */

void xs_lock(struct xs_store *s);
/* Unlocks, and then tells every client that has something new. */
void xs_unlock(struct xs_store *s);

/* A change of the tree, of one message or one call: done as a whole, or not at all. */
struct xs_update {
	struct xs_store *store;
	struct xs_tx *tx;   /* the change is a part of that transaction; or NULL */
	struct xs_tree old; /* the version before */
	struct xs_trace trace;
	struct xs_view view; /* for ops.h */
};
/* who must live until the end. 0 or -ENOMEM. */
int xs_update_begin(struct xs_update *u, struct xs_store *s, struct xs_tx *tx,
                    const struct xs_cred *who);
void xs_update_abort(struct xs_update *u);
/* The change is there. Sends its watch events unless it is part of a transaction. */
void xs_update_done(struct xs_update *u);

struct xs_conn *xs_conn_make(struct xs_store *s, domid_t domid, bool privileged); /* or NULL */
/* Takes the connection off its store and frees it, waiting for its notify to return. */
void xs_conn_unmake(struct xs_conn *conn);
/* Its watches, transactions and messages go. */
void xs_conn_reset(struct xs_conn *conn);
/* Has it pumped, and its client told, once the mutex is free. */
void xs_conn_wake(struct xs_conn *conn);
/* 0 or -ENOMEM. */
int xs_conn_reply(struct xs_conn *conn, const struct xsd_sockmsg *hdr, const void *payload);
void xs_conn_event(struct xs_conn *conn, struct xs_watch *w, const char *path);
void xs_conn_drop_events(struct xs_conn *conn, const struct xs_watch *w);
struct xs_out *xs_conn_take(struct xs_conn *conn); /* off the queue: the caller frees it; or NULL */
/* Header and payload of a message as they go over the wire. */
void xs_out_format(const struct xs_out *m, struct xsd_sockmsg *hdr, char *payload);

/* ---- watch.c ----------------------------------------------------------------------------------- */

/* path as sent. 0; -EINVAL; -EEXIST; -E2BIG; -ENOMEM. The first event is the caller's to send. */
int xs_watch_add(struct xs_conn *conn, const char *path, const char *token, struct xs_watch **out);
struct xs_watch *xs_watch_find(struct xs_conn *conn, const char *path, const char *token);
void xs_watch_remove(struct xs_watch *w); /* its waiting events go, too */
void xs_watch_fire_first(struct xs_watch *w);
/* Events of the changes in trace, which led from old to now. */
void xs_watch_fire(struct xs_store *s, const struct xs_tree *old, const struct xs_tree *now,
                   const struct xs_trace *trace);
void xs_watch_fire_special(struct xs_store *s, const char *name);

/* ---- transaction.c ----------------------------------------------------------------------------- */

int xs_tx_start(struct xs_conn *conn, struct xs_tx **out); /* 0, -ENOSPC, -ENOMEM */
struct xs_tx *xs_tx_find(struct xs_conn *conn, uint32_t id);
/*
 * Puts the transaction's changes into the store; u was begun on the store's own tree.
 * 0, -EAGAIN for a conflict, -ENOSPC, -ENOMEM. The transaction still has to be ended.
 */
int xs_tx_commit(struct xs_tx *tx, struct xs_update *u);
void xs_tx_end(struct xs_conn *conn, struct xs_tx *tx); /* forgets it, whatever became of it */

/* ---- wire.c ------------------------------------------------------------------------------------ */

/* One request, len within the protocol's limit: does it and queues the answer. */
void xs_wire_request(struct xs_conn *conn, const struct xsd_sockmsg *hdr, const char *payload);

/* ---- ring.c ------------------------------------------------------------------------------------ */

int xs_ring_attach(struct xs_conn *conn, void *page); /* 0 or -ENOMEM */
void xs_ring_detach(struct xs_conn *conn);
void xs_ring_serve(struct xs_conn *conn); /* requests in, messages out */

/* ---- domain.c ---------------------------------------------------------------------------------- */

struct xs_domain *xs_domain_find(struct xs_store *s, domid_t domid);
/* It exists from now on. 0, -EINVAL for a number that no guest can have, -ENOMEM. */
int xs_domain_add(struct xs_store *s, domid_t domid);
bool xs_domain_exists(struct xs_store *s, domid_t domid);

#endif
