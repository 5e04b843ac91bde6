/* SPDX-License-Identifier: MIT */
/*
 * Split devices as xenstore shows them: which there are, who is at the other end, and the state in
 * which each half is.
 *
 * Functions here ask the store: contexts, limits and errors are those of xs.h.
 */
#ifndef PVOPS_XENBUS_H
#define PVOPS_XENBUS_H

#include "abi/io/xenbus.h"
#include "pvops/pvguest.h"
#include "pvops/xs.h"

#define PV_XENBUS_NAME      64                    /* of our folder, nul included */
#define PV_XENBUS_PATH      128                   /* of the other end's, nul included */
#define PV_XENBUS_DIR       (PV_XENBUS_NAME + 16) /* of a queue's folder in ours, nul included */

#define PV_XENBUS_ANSWER_NS 5000000000ull /* for the other end to take its next step */

/* Sets of states, for pv_xenbus_wait(). */
#define PV_XENBUS_STATE(s) (1u << (s))
/* The other end is going, or is not there at all. */
#define PV_XENBUS_GONE                                                               \
	(PV_XENBUS_STATE(XenbusStateUnknown) | PV_XENBUS_STATE(XenbusStateClosing) | \
	 PV_XENBUS_STATE(XenbusStateClosed))

struct pv_xenbus {
	char name[PV_XENBUS_NAME];     /* our folder, as "device/vbd/51712" */
	char otherend[PV_XENBUS_PATH]; /* its folder */
	domid_t otherend_id;
	/*
	 * changed: may be set by the owner before pv_xenbus_open(); called in the event handler
	 * whenever something in the other end's folder has changed.
	 */
	void (*changed)(struct pv_xenbus *x);
	void *arg;                /* the owner's */
	struct pv_xs_watch watch; /* from here the library's */
	struct pv_waitq q;
	uint32_t changes;
};

/*
 * pv_xenbus_each - for each device of a kind that the toolstack has made
 *
 * kind: "vbd", "vif"...
 * fn:   gets the folder's name, valid during the call; an error of its ends the walk
 * Returns 0, also when there is none; fn's error, or one of the store's.
 */
int pv_xenbus_each(const char *kind, int (*fn)(const char *name, void *arg), void *arg);

/*
 * pv_xenbus_number - the number that a device's folder ends in, as "device/vbd/51712" does
 * Returns 0; -XEN_EINVAL when it is none of 32 bits.
 */
int pv_xenbus_number(const char *name, uint32_t *number);

/* pv_xenbus_each(), for those whose folder is named by a number; fn gets it. */
int pv_xenbus_each_number(const char *kind, int (*fn)(const char *name, uint32_t number, void *arg),
                          void *arg);

/*
 * pv_xenbus_open - find the other end and watch it
 *
 * x:    zeroed but for changed and arg; in use until pv_xenbus_close()
 * name: our folder
 * Returns 0; -XEN_ENOENT when the folder does not say who the other end is, -XEN_EINVAL when that
 * makes no sense, -XEN_E2BIG for names that are too long.
 */
int pv_xenbus_open(struct pv_xenbus *x, const char *name);
/* Ends the watch. The states stay as they are. */
void pv_xenbus_close(struct pv_xenbus *x);

/* The state that is written in a folder; XenbusStateUnknown when there is none, or nonsense. */
enum xenbus_state pv_xenbus_read_state(const char *dir);
/* Of the other end's. */
enum xenbus_state pv_xenbus_peer(const struct pv_xenbus *x);

/*
 * Writes our state, if our folder still has one: a device that the toolstack has removed does not
 * come back. Returns 0, -XEN_ENOENT when it is gone.
 */
int pv_xenbus_switch(struct pv_xenbus *x, enum xenbus_state state);

/*
 * pv_xenbus_wait - until the other end is in one of some states
 *
 * states:   set of PV_XENBUS_STATE()
 * limit_ns: from now; 0: without end
 * seen:     out: the state; also on timeout; may be NULL
 * Returns 0; -XEN_ETIMEDOUT, also when the store itself does not answer; -XEN_EIO.
 */
int pv_xenbus_wait(struct pv_xenbus *x, uint32_t states, uint64_t limit_ns,
                   enum xenbus_state *seen);

/*
 * pv_xenbus_await - the other end's next step while a connection is made
 *
 * state: that it shall reach, within PV_XENBUS_ANSWER_NS
 * gone:  set of states that mean that it never will, or 0
 * Returns 0; -XEN_ENODEV when it is gone, or not there when the time is over; else as
 * pv_xenbus_wait().
 */
int pv_xenbus_await(struct pv_xenbus *x, enum xenbus_state state, uint32_t gone);

/*
 * pv_xenbus_look - what the other end says of itself after a change
 *
 * state: out: the number in its folder, which may be no state at all; XenbusStateUnknown when there
 *        is none, or nothing that we may see
 * Returns 0; an error when it is the store that is in trouble, which says nothing of the other end.
 */
int pv_xenbus_look(const struct pv_xenbus *x, uint64_t *state);

/* Both ends go, ours first. Whatever the other one does, this ends. */
void pv_xenbus_leave(struct pv_xenbus *x);

/*
 * A number that the other end offers in its folder; `otherwise` when it is missing, no number, or
 * above `most`.
 */
uint32_t pv_xenbus_offer(const struct pv_xenbus *x, const char *node, uint32_t most,
                         uint32_t otherwise);
/* Whether it offers something: a number that is not 0. */
bool pv_xenbus_offers(const struct pv_xenbus *x, const char *node);

/* Where a queue's ring and ports are published: our folder itself when it is the only one. */
void pv_xenbus_queue_dir(const struct pv_xenbus *x, unsigned queue, unsigned nr_queues,
                         char dir[PV_XENBUS_DIR]);

/* Says why it failed where people look for it (error/NAME/error), and in the log. Returns err. */
__attribute__((format(printf, 3, 4))) int pv_xenbus_error(struct pv_xenbus *x, int err,
                                                          const char *fmt, ...);

#endif /* PVOPS_XENBUS_H */
