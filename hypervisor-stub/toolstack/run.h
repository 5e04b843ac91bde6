/* SPDX-License-Identifier: MIT */
/*
 * The verb `run`: one machine, from its files to its end, on this terminal.
 */
#ifndef HYPERVISOR_STUB_TOOLSTACK_RUN_H
#define HYPERVISOR_STUB_TOOLSTACK_RUN_H

#include <signal.h>

#include "hypervisor-stub/toolstack/options.h"

/* Returns the exit status. */
int run_machine(const struct options *o);

/* ---- shared with the other mode (full.c) ---- */

#define RUN_KEY_END 0x1d /* Ctrl-] */

/* A descriptor that becomes readable after ns, once; or -1 with errno. */
int run_open_timer(uint64_t ns);
/*
 * The signals that we answer, into set, but for those that our parent ignores; and their descriptor.
 * SIGUSR1 is among them when it shows statistics.
 */
int run_open_signals(sigset_t *set, bool does_stats);
/* Descriptors 0 to 2 exist from here on, so that no file of ours takes one of those numbers. */
void run_fill_descriptors(void);

#endif
