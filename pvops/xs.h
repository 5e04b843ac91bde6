/* SPDX-License-Identifier: MIT */
/*
 * The xenstore client: requests, watches and transactions, each with a time limit.
 *
 * Any number of threads may ask at one time; each waits for its own reply by the kernel's hook
 * pv_hooks.wait. A kernel that asks from other vCPUs than the first must supply that hook.
 *
 * Every function that asks something
 *   Context: a thread that may wait; no lock held; not an event handler.
 *   Returns  0, or -XEN_E* as the server said it, or -XEN_ETIMEDOUT when the limit passed first,
 *            -XEN_EIO when the connection is broken, -XEN_E2BIG when a request is too long for a
 *            message or a reply for the caller's buffer, -XEN_ENODEV without a store.
 * Outputs are unchanged on failure unless said otherwise.
 *
 * A path is given as folder and name; either may be NULL. "device/vbd" and "768" mean
 * device/vbd/768, which is relative to the domain's own folder.
 *
 * Source: Xen docs/misc/xenstore.txt.
 */
#ifndef PVOPS_XS_H
#define PVOPS_XS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/event_channel.h"
#include "abi/io/xs_wire.h"
#include "abi/xen.h"

#define PV_XS_NO_TX 0u

/* ---- beginning ---- */

/*
 * pv_xs_init - find the page and the port in start_info, and take the port
 * Needs events and the p2m. Returns 0, -XEN_ENODEV when the domain was given no store, or what
 * binding the port answered.
 */
int pv_xs_init(const struct start_info *start);
/* The same with a page and a port that are known; the port gets no handler (pv_xs_event() is it). */
int pv_xs_attach(struct xenstore_domain_interface *page, evtchn_port_t port);
/* Something has come: the handler of the port. One call at a time. */
void pv_xs_event(evtchn_port_t port, void *unused);

/* How long a request may take from now on; 5 s at first. A transaction has the limit for each. */
void pv_xs_set_limit(uint64_t limit_ns);

/* ---- nodes ---- */

/* buf: the value and a nul behind it; len: out, its length without; may be NULL */
int pv_xs_read(uint32_t tx, const char *dir, const char *name, char *buf, size_t size, size_t *len);
/* A decimal number and nothing else; -XEN_EINVAL for other values. */
int pv_xs_read_u64(uint32_t tx, const char *dir, const char *name, uint64_t *value);
int pv_xs_write(uint32_t tx, const char *dir, const char *name, const void *value, size_t len);
/* Up to 255 characters. */
__attribute__((format(printf, 4, 5))) int pv_xs_printf(uint32_t tx, const char *dir,
                                                       const char *name, const char *fmt, ...);
int pv_xs_mkdir(uint32_t tx, const char *dir, const char *name);
int pv_xs_rm(uint32_t tx, const char *dir, const char *name);
/* buf: names, each with a nul behind it, for pv_xs_next(); len: out, of all of them */
int pv_xs_directory(uint32_t tx, const char *dir, const char *name, char *buf, size_t size,
                    size_t *len);
/* The string behind `prev` in such a buffer; the first for NULL; NULL behind the last. */
const char *pv_xs_next(const char *buf, size_t len, const char *prev);

struct pv_xs_perm {
	char access; /* 'n', 'r', 'w' or 'b' */
	domid_t domid;
};
/* nr: in: room in perms; out: how many there are. -XEN_E2BIG when there are more. */
int pv_xs_get_perms(uint32_t tx, const char *dir, const char *name, struct pv_xs_perm *perms,
                    unsigned int *nr);
int pv_xs_set_perms(uint32_t tx, const char *dir, const char *name, const struct pv_xs_perm *perms,
                    unsigned int nr);

/* "/local/domain/N" */
int pv_xs_domain_path(domid_t domid, char *buf, size_t size);

/* ---- transactions ---- */

int pv_xs_begin(uint32_t *tx);
/* -XEN_EAGAIN: somebody else changed what was looked at; nothing was done, begin again. */
int pv_xs_end(uint32_t tx, bool commit);

/*
 * pv_xs_transact - all of what fn asks for, as one change
 *
 * fn: returns 0 to commit, or an error to abandon; it is called again after a conflict, so it has
 *     no other lasting effect.
 * Returns 0, fn's error, or -XEN_EAGAIN when conflicts lasted until the limit.
 */
int pv_xs_transact(int (*fn)(uint32_t tx, void *arg), void *arg);

/* ---- watches ---- */

/*
 * One watch. The caller owns it, zeroes it, sets fn and arg, and keeps it and the path until
 * pv_xs_unwatch() has returned, or pv_xs_watch() has failed.
 */
struct pv_xs_watch {
	/*
	 * path: what changed, at or below the watched path; relative if that is. Valid during the
	 * call. Called in the event handler, events masked: to set a flag and pv_wake() somebody, not
	 * to ask the store. Called a last time, perhaps at the same time on another vCPU, when the
	 * connection breaks: who looks then learns -XEN_EIO.
	 */
	void (*fn)(struct pv_xs_watch *w, const char *path);
	void *arg;
	const char *path; /* the rest is the library's */
	struct pv_xs_watch *next;
	uint32_t running; /* calls of fn that are going on */
	bool is_told;     /* that the connection is broken */
	char token[12];
};

/* fn is called once soon, for the path itself, and then for every change. */
int pv_xs_watch(struct pv_xs_watch *w, const char *path);
/* fn is not running and will not be called any more, whatever is returned. */
int pv_xs_unwatch(struct pv_xs_watch *w);
/*
 * Ends all watches and transactions that the server has for this domain, those of an earlier kernel
 * included. Only while this one has none.
 */
int pv_xs_reset(void);

#endif /* PVOPS_XS_H */
