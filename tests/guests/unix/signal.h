/* SPDX-License-Identifier: MIT */
/*
 * Signals: sent at any time, delivered when a process is about to return to its program.
 */
#ifndef TESTS_GUESTS_UNIX_SIGNAL_H
#define TESTS_GUESTS_UNIX_SIGNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "pvops/frame.h"

struct proc;

/* pid: a process, or minus a group. 0, -ESRCH or -EINVAL. */
int signal_send(int pid, int sig);

/* The same to one process, with sched_lock held. */
void signal_post(struct proc *p, int sig);

/* Is there one that would be delivered? With sched_lock held. */
bool signal_waits(const struct proc *p);

/* Sends SIGALRM where it is due; returns when the next one is, or 0. With sched_lock held. */
uint64_t signal_alarms(uint64_t now_ns);
uint64_t signal_set_alarm(uint64_t ns);

/*
 * signal_deliver - before the return to the current program
 *
 * frame: its registers; they become those of a handler's call. Or the process ends here.
 */
void signal_deliver(struct pv_frame *frame);

/* A program has done what it may not: the exception of this frame becomes a signal. */
void signal_trap(struct pv_frame *frame, int sig);

/* The call at the end of a handler. */
void signal_return(struct pv_frame *frame);

/* exec(): handlers belong to the old program. */
void signal_reset(struct proc *p);

#endif /* TESTS_GUESTS_UNIX_SIGNAL_H */
