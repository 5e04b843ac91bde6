/* SPDX-License-Identifier: MIT */
/*
 * Whether this host has room for a machine: asked before anything of it is made, so that a host that
 * is too small gets a sentence and not a guest that dies half-way.
 */
#ifndef HYPERVISOR_STUB_TOOLSTACK_LIMITS_H
#define HYPERVISOR_STUB_TOOLSTACK_LIMITS_H

#include "hypervisor-stub/toolstack/plan.h"

/*
 * limits_check - looks at memory and descriptors
 *
 * The soft limit of descriptors is raised to the hard one, which takes no privilege.
 *
 * Returns 0, or -ENOMEM or -EMFILE with a sentence in why.
 */
int limits_check(const struct plan *p, char *why, size_t why_len);

/* How many descriptors a machine needs, peers of its control socket aside. */
unsigned limits_descriptors(const struct plan *p);

#endif
