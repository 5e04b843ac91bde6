/* SPDX-License-Identifier: MIT */
/*
 * A lock that is held across waiting: who finds it taken sleeps. Not recursive; of processes only.
 */
#ifndef TESTS_GUESTS_UNIX_MUTEX_H
#define TESTS_GUESTS_UNIX_MUTEX_H

#include <stdbool.h>
#include <stdint.h>

#include "pvops/barrier.h"
#include "tests/guests/unix/sched.h"

struct mutex {
	uint32_t held, wanted;
	struct pv_waitq q;
};

static inline bool mutex_is_free(void *m)
{
	return !pv_load_acquire(&((struct mutex *)m)->held);
}

static inline void mutex_lock(struct mutex *m)
{
	while (pv_xchg(&m->held, 1)) {
		__atomic_fetch_add(&m->wanted, 1, __ATOMIC_SEQ_CST);
		sched_sleep(&m->q, mutex_is_free, m, 0, false);
		__atomic_fetch_sub(&m->wanted, 1, __ATOMIC_SEQ_CST);
	}
}

/* `wanted` is read after `held` was given up: who is missed here finds it free before sleeping. */
static inline void mutex_unlock(struct mutex *m)
{
	pv_xchg(&m->held, 0);
	if (pv_load(&m->wanted))
		sched_wake(&m->q);
}

#endif /* TESTS_GUESTS_UNIX_MUTEX_H */
