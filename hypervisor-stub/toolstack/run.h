/* SPDX-License-Identifier: MIT */
/*
 * The verb `run`: one machine, from its files to its end, on this terminal.
 */
#ifndef HYPERVISOR_STUB_TOOLSTACK_RUN_H
#define HYPERVISOR_STUB_TOOLSTACK_RUN_H

#include "hypervisor-stub/toolstack/options.h"

/* Returns the exit status. */
int run_machine(const struct options *o);

#endif
