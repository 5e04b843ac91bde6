/* SPDX-License-Identifier: MIT */
/*
 * The devices' timers: one thread that sleeps on one timerfd until the earliest is due.
 *
 * Arming costs a system call, but no other thread's time. The thread asks for no slack, so it runs
 * as soon as the host's timer fires.
 *
 * Invariant: fn is called once for each deadline that was reached before it was changed or
 * stopped; with no lock held.
 */
#ifndef HYPERVISOR_STUB_FULLVIRT_TIMER_H
#define HYPERVISOR_STUB_FULLVIRT_TIMER_H

#include <stdint.h>

struct fv_timers;

struct fv_timer {
	void (*fn)(void *arg); /* on the timers' thread; may set the timer again */
	void *arg;
	struct fv_timers *timers;
	struct fv_timer *next; /* the facility's own, as the deadline is */
	uint64_t deadline;     /* ns; 0: not set */
};

/* Nanoseconds of CLOCK_MONOTONIC, as all deadlines are. */
uint64_t fv_now(void);

int fv_timers_create(struct fv_timers **out); /* 0 or a negative errno */
/* Ends the thread. All timers have been ended before. */
void fv_timers_destroy(struct fv_timers *timers);

/* fini: fn does not run and will not when it returns; not from within fn, nor with a lock that fn
 * takes. */
void fv_timer_init(struct fv_timer *t, struct fv_timers *timers, void (*fn)(void *arg), void *arg);
void fv_timer_fini(struct fv_timer *t);
/*
 * fv_timer_set - fn is called at deadline (not 0), or at once when that has passed
 * fv_timer_stop: not at all. A call that has begun is not waited for: fn takes the device's lock and
 * looks whether it is still meant. Any thread.
 */
void fv_timer_set(struct fv_timer *t, uint64_t deadline);
void fv_timer_stop(struct fv_timer *t);

#endif
