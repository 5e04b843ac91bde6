/* SPDX-License-Identifier: MIT */
/*
 * Xenstore: the database through which domains, back-ends and the toolstack find each other.
 *
 * Three kinds of user:
 *   - guests, through the shared page of xs_introduce();
 *   - this process (toolstack, back-ends, the command), through struct xs_host: plain functions;
 *   - anything that speaks the wire protocol without a ring, through struct xs_conn.
 *
 * One mutex guards a store. It is a leaf: nothing else is locked and no callback is called while it
 * is held. Every function here takes it, unless it says that a transaction stands in for it.
 * Errors are negative errno values; docs/xenstore.md says what is served and what is promised.
 */
#ifndef HYPERVISOR_STUB_CORE_XENSTORE_XENSTORE_H
#define HYPERVISOR_STUB_CORE_XENSTORE_XENSTORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/event_channel.h"
#include "hypervisor-stub/core/xenstore/abi.h"

struct xs_store;
struct xs_conn;
struct xs_host;
struct xs_tx;
struct xs_host_watch;
struct xs_quota;

/* quota: of every guest, copied; NULL for xs_quota_default. 0 or -ENOMEM. */
int xs_store_create(struct xs_store **out, const struct xs_quota *quota);
/* All connections and host handles must have been closed, all domains released. */
void xs_store_destroy(struct xs_store *s);

/* ---- domains --------------------------------------------------------------------------------- */

/* What xs_domain_populate() writes about a domain. */
struct xs_domain_info {
	domid_t domid;
	const char *name;
	uint8_t uuid[16];
	uint64_t memory_kib, max_memory_kib;
	unsigned nr_vcpus;  /* online at the start */
	unsigned max_vcpus; /* possible ones */
	uint64_t store_mfn, console_mfn;
	evtchn_port_t store_port, console_port;
	const char *console_tty; /* NULL: not known yet */
};

/*
 * xs_domain_populate - the nodes that a new domain expects, with the permissions that xl gives them
 *
 * /local/domain/N and /vm/UUID; what was there before is removed. From now on the domain exists for
 * the permissions of nodes. Call before xs_introduce().
 *
 * Returns 0; -EINVAL for domain 0, a reserved number, or a bad name.
 * Undo:    xs_domain_forget().
 */
int xs_domain_populate(struct xs_store *s, const struct xs_domain_info *info);

/*
 * xs_introduce - start to serve a domain through its shared page
 *
 * page:   the domain's store page, mapped here; must stay what it is (a writable page of the guest
 *         that can neither be freed nor become a page table) until xs_release(). Indexes, features,
 *         connection and error fields are set to a fresh state.
 * notify: sends the guest its event; called from any thread, with no lock of ours held
 * conn:   out: what xs_guest_event() wants
 *
 * Fires @introduceDomain. Returns 0; -EEXIST when it is introduced already; -EINVAL; -ENOMEM.
 */
int xs_introduce(struct xs_store *s, domid_t domid, void *page, void (*notify)(void *arg),
                 void *arg, struct xs_conn **conn);

/*
 * xs_guest_event - the guest has sent an event for its store page
 *
 * conn: from xs_introduce(); the type fits hv_host_notify_fn. Reads requests, answers them, and
 * writes what waits to be read, all in the calling thread; work is bounded by the size of the page.
 * The caller has made sure that no call is going on when the domain is released.
 */
void xs_guest_event(void *conn);

/*
 * Whether the domain itself watches path (absolute) or something above it: whether it would be told
 * of a change there.
 */
bool xs_domain_watches(struct xs_store *s, domid_t domid, const char *path);

/* The domain has shut down or crashed but still exists: fires @releaseDomain, once. */
void xs_domain_shutdown(struct xs_store *s, domid_t domid);

/*
 * xs_release - stop to serve a domain that is gone
 *
 * Waits until its notify function has returned wherever it was running; so not from within it.
 * Drops watches and transactions, removes every node that the domain owns and every permission that
 * was given to it (another domain may get its number), then fires @releaseDomain. Harmless for a
 * domain that is not known.
 */
void xs_release(struct xs_store *s, domid_t domid);

/* Removes /local/domain/N and /vm/UUID, after xs_release(). */
void xs_domain_forget(struct xs_store *s, domid_t domid);

/* ---- connections that speak the wire protocol -------------------------------------------------- */

/*
 * xs_conn_open - a connection without a ring
 *
 * domid:      on whose behalf; relative paths start at /local/domain/DOMID
 * privileged: may do everything
 * notify:     called when something is there to receive, from any thread, no lock held; may be NULL
 */
int xs_conn_open(struct xs_store *s, domid_t domid, bool privileged, void (*notify)(void *arg),
                 void *arg, struct xs_conn **conn);
void xs_conn_close(struct xs_conn *conn); /* as xs_release(): not from within notify */

/*
 * xs_conn_request - hand one request in; the answer is queued
 * payload: hdr->len bytes
 * Returns 0; -EMSGSIZE when len is beyond the protocol's limit: the connection is dead from then on
 * (-EPIPE); -EAGAIN when too many replies wait to be received: nothing was done.
 */
int xs_conn_request(struct xs_conn *conn, const struct xsd_sockmsg *hdr, const void *payload);
/* Takes the next message; payload: XENSTORE_PAYLOAD_MAX bytes. false: there is none. */
bool xs_conn_receive(struct xs_conn *conn, struct xsd_sockmsg *hdr, void *payload);

/* ---- users in this process ------------------------------------------------------------------- */

/* A handle for any number of threads: privileged; relative paths start at /local/domain/0. */
int xs_host_open(struct xs_store *s, struct xs_host **h);
/* Ends its watches, as xs_host_unwatch() does. Not from a watch's callback. */
void xs_host_close(struct xs_host *h);

/*
 * Each takes a transaction (inside xs_host_transact()) or NULL.
 * Errors: -ENOENT, -EINVAL for a bad path, -E2BIG for a value beyond XENSTORE_PAYLOAD_MAX, -ENOMEM.
 */
/* value: out: malloc'd, a nul behind its len bytes; len may be NULL */
int xs_host_read(struct xs_host *h, struct xs_tx *tx, const char *path, char **value, size_t *len);
/* A decimal number and nothing else; -EINVAL for other values. */
int xs_host_read_u64(struct xs_host *h, struct xs_tx *tx, const char *path, uint64_t *value);
int xs_host_write(struct xs_host *h, struct xs_tx *tx, const char *path, const void *value,
                  size_t len);
int xs_host_printf(struct xs_host *h, struct xs_tx *tx, const char *path, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
int xs_host_mkdir(struct xs_host *h, struct xs_tx *tx, const char *path);
int xs_host_rm(struct xs_host *h, struct xs_tx *tx, const char *path);
/* names: out: one malloc'd block: nr pointers and what they point to; sorted; NULL when nr is 0 */
int xs_host_directory(struct xs_host *h, struct xs_tx *tx, const char *path, char ***names,
                      unsigned *nr);
/* Permissions as in the protocol, separated by commas: "n0,r5". perms: out: malloc'd */
int xs_host_get_perms(struct xs_host *h, struct xs_tx *tx, const char *path, char **perms);
int xs_host_set_perms(struct xs_host *h, struct xs_tx *tx, const char *path, const char *perms);

/*
 * xs_host_transact - several changes as one, or none
 *
 * fn gets a transaction for the functions above and returns 0 to commit or a negative errno. It
 * runs once, with the store to itself: no guest can make it fail by writing at the same time. So it
 * must not wait for anything, nor call any function here with a NULL transaction.
 *
 * Returns what fn returned, or -ENOMEM.
 */
int xs_host_transact(struct xs_host *h, int (*fn)(struct xs_host *h, struct xs_tx *tx, void *arg),
                     void *arg);

/*
 * xs_host_watch - be told of changes
 *
 * path: as in WATCH, "@releaseDomain" included
 * fn:   called for the path itself at first, then for each change at it or below it; a relative
 *       watch gets relative paths. From the handle's own thread, one call at a time, in order, no
 *       lock held: it may use every function here and may take its time, which delays the other
 *       watches of this handle only. Equal changes that wait are told once; when very many wait,
 *       one call with the watch's own path stands for the rest.
 *
 * Returns 0; -EINVAL; -ENOMEM; -EAGAIN when no thread can be started.
 */
int xs_host_watch(struct xs_host *h, const char *path, void (*fn)(void *arg, const char *path),
                  void *arg, struct xs_host_watch **watch);
/*
 * No call of fn is running or follows once this has returned; from within fn: none follows, and it
 * does no harm if somebody else is ending the watch or closing the handle at the same time.
 */
void xs_host_unwatch(struct xs_host_watch *watch);

/* ---- for tests and the command --------------------------------------------------------------- */

/* Every invariant of the store; 0, or the number of the one that is broken. */
int xs_store_check(struct xs_store *s);

#endif
