/* SPDX-License-Identifier: MIT */
/*
 * What every front-end needs for a life in which things change: something asks for attention, from
 * an event handler or the data path, and one thread at a time attends to it.
 *
 * Invariant: what is looked at is looked at after the last front_attend(): whoever serves takes the
 * mark first and looks then.
 */
#ifndef FRONTENDS_FRONT_H
#define FRONTENDS_FRONT_H

#include <stdarg.h>

#include "pvops/lock.h"
#include "pvops/pvguest.h"
#include "pvops/xenbus.h"

#define FRONT_LOOK_NS 100000000ull /* how long anybody sleeps before a look of his own */

struct front {
	struct pv_waitq q;   /* who waits for the device, or until it has been served */
	uint32_t attention;  /* something for front_service() */
	uint32_t serving;    /* by somebody */
	bool is_broken;      /* the back-end has lied: its rings are not looked at any more */
	struct front *spare; /* the next one, when this one is in a list of spares */
};

/*
 * Closed devices of one kind. A late event handler on another vCPU may still look at their memory:
 * it is used for the next device, and never freed.
 */
struct front_spares {
	struct pv_spinlock lock;
	struct front *first;
};
#define FRONT_SPARES_INIT              \
	{                              \
		PV_SPINLOCK_INIT, NULL \
	}

/* NULL: there is none. Any context, both. */
struct front *front_take_spare(struct front_spares *s);
void front_put_spare(struct front_spares *s, struct front *f);

/* Something is to be looked at: wakes who waits. Any context; no lock held. */
void front_attend(struct front *f);

/*
 * front_service - attend to all that has come
 *
 * look: called until nothing is left, in this thread and in no other at the same time
 * Context: a thread that may wait. When another one serves, waits for its end and does nothing.
 */
void front_service(struct front *f, void (*look)(void *arg), void *arg);

/* Until nobody serves, and nobody will ever again. A thread that may wait. */
void front_retire(struct front *f);

/*
 * front_accuse - the back-end has done what it must not
 *
 * Says so in the log, the first time. Any context. Returns whether this was the first time.
 */
bool front_accuse(struct front *f, const struct pv_xenbus *bus, const char *fmt, va_list ap);

#endif /* FRONTENDS_FRONT_H */
