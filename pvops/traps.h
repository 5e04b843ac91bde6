/* SPDX-License-Identifier: MIT */
/*
 * Exceptions and system calls: who handles them, and what happens when nobody does.
 *
 * A trap is offered to the handler of its vector; when that declines, and kernel code was
 * interrupted, to the exception table; when there is nothing there either, the domain crashes with a
 * report. Handlers run with events masked, on the stack that was interrupted (kernel code) or on the
 * kernel stack of the vCPU (user code). They may enable events when frame->rflags says that they
 * were.
 */
#ifndef PVOPS_TRAPS_H
#define PVOPS_TRAPS_H

#include <stdbool.h>

#include "pvops/frame.h"

/* True: handled, return to the frame. False: not mine. */
typedef bool (*pv_trap_fn)(struct pv_frame *frame);

/*
 * pv_trap_set - the handler of a vector; NULL: none
 *
 * vector: PV_VECTOR_*, save PV_VECTOR_EVENT
 * Returns the handler before.
 */
pv_trap_fn pv_trap_set(unsigned int vector, pv_trap_fn fn);

/*
 * Installs the trap table and the call-backs for events, system calls and the failsafe, on the
 * calling vCPU. Returns 0 or a negative XEN_E*.
 */
int pv_traps_init(void);

/* Registers and a back-trace, to the log. */
void pv_trap_report(const struct pv_frame *frame);

/* Called by entry.S. */
void pv_trap_main(struct pv_frame *frame);

/*
 * Sends the frame where the exception table says, if it has a row for the interrupted instruction
 * and kernel code was interrupted. For handlers that want to look first.
 */
bool pv_trap_fix_up(struct pv_frame *frame);

/*
 * One row of the exception table, in assembly: should the instruction at label `from` fault, go on
 * at label `to`, with all registers as they were.
 */
#define PV_EXTABLE(from, to)                \
	".pushsection .pv_extable, \"a\"\n" \
	".quad " from ", " to "\n"          \
	".popsection\n"

/*
 * pv_probe_read, pv_probe_write - one byte at an address that may not be mapped
 *
 * Returns true when it worked.
 */
bool pv_probe_read(const volatile void *p, uint8_t *value);
bool pv_probe_write(volatile void *p, uint8_t value);

#endif /* PVOPS_TRAPS_H */
