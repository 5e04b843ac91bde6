/* SPDX-License-Identifier: MIT */
/*
 * The control socket of a machine, its own end: peers, their messages in and out.
 *
 * Invariant: no peer can make the machine wait. Messages have a greatest length, peers a greatest
 * number, and what waits for a peer a greatest size; whoever does not read is cut off. All of it runs
 * in the main thread's loop, but the bell, which any thread may ring.
 */
#ifndef HYPERVISOR_STUB_TOOLSTACK_CTL_H
#define HYPERVISOR_STUB_TOOLSTACK_CTL_H

#include "hypervisor-stub/toolstack/machine.h"

struct ctl;

/*
 * ctl_open - takes the machine's name
 *
 * A name that somebody chose must be free; one that came from a file's name gets a number when it is
 * not, and the plan is told.
 *
 * Returns 0 or a negative errno with a sentence in why. Undo: ctl_close().
 */
int ctl_open(struct ctl **c, struct plan *plan, char *why, size_t why_len);
void ctl_close(struct ctl *c);
/* From now on peers are served, in the machine's loop. Undo: ctl_detach(). */
void ctl_attach(struct ctl *c, struct machine *m);
/* No peer is served any more; what was answered so far reaches those who read it. */
void ctl_detach(struct ctl *c);

#endif
