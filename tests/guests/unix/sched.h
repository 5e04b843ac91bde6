/* SPDX-License-Identifier: MIT */
/*
 * Who runs where, and who sleeps for what.
 *
 * The kernel runs with events masked, except where a vCPU has nothing to do. So kernel code is never
 * interrupted; a program is, and gives up its vCPU then if its time is over. A process may be on
 * another vCPU after anything here that waits.
 */
#ifndef TESTS_GUESTS_UNIX_SCHED_H
#define TESTS_GUESTS_UNIX_SCHED_H

#include <stdbool.h>
#include <stdint.h>

#include "pvops/frame.h"
#include "pvops/lock.h"
#include "pvops/pvguest.h"
#include "tests/guests/unix/proc.h"

extern struct pv_spinlock sched_lock;

/* The process that runs on this vCPU; a vCPU's idle process when there is none. */
struct proc *current(void);

/* On the boot vCPU, before anything else of this header. */
void sched_init(void);

/*
 * Brings up the other vCPUs, which wait for work and do it. Before the first process: what a vCPU
 * takes of the memory is taken before a program counts what is left, however late a vCPU is.
 */
void sched_start_cpus(void);

/* The boot vCPU does as the others do. */
__attribute__((noreturn)) void sched_run(void);
unsigned int sched_cpus(void);
uint64_t sched_switches(void);

/*
 * sched_sleep - until ready(arg) is true
 *
 * ready:       called with sched_lock held; looks, and changes nothing
 * deadline_ns: system time; 0: none
 * Returns 0; -ETIMEDOUT; -EINTR when can_interrupt and a signal is there for the process.
 * Whoever makes ready() true calls sched_wake(q) afterwards.
 */
int sched_sleep(struct pv_waitq *q, bool (*ready)(void *arg), void *arg, uint64_t deadline_ns,
                bool can_interrupt);
void sched_wake(struct pv_waitq *q);

/* Lets others run. */
void sched_yield(void);

/* The last thing in an upcall. */
void sched_upcall_done(struct pv_frame *frame);

/* ---- for proc.c and signal.c, with sched_lock held ---- */

/* Puts a process that is NEW, or SLEEPING, into the run queue. */
void sched_make_ready(struct proc *p);

/* Somebody else runs; the caller's state says when it may again. Returns with the lock held. */
void sched_switch(void);

/* So that p->alarm_ns is looked at in time. */
void sched_arm(uint64_t deadline_ns);

/* Where a process begins that has a frame to leave by, or a function to run. */
void sched_prepare(struct proc *p, void (*main)(void));

#endif /* TESTS_GUESTS_UNIX_SCHED_H */
