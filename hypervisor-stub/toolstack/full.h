/* SPDX-License-Identifier: MIT */
/*
 * The verb `run` with --mode fullvirt: one virtual PC, from its files to its end, on this terminal.
 */
#ifndef HYPERVISOR_STUB_TOOLSTACK_FULL_H
#define HYPERVISOR_STUB_TOOLSTACK_FULL_H

#include "hypervisor-stub/toolstack/options.h"

/* Returns the exit status. */
int run_full(const struct options *o);

#endif
