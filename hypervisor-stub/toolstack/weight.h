/* SPDX-License-Identifier: MIT */
/*
 * Weights of domains are nice values of their threads and processes. All of these are made by threads
 * that were made by the one that builds and starts the domain, and inherit its nice value; so a
 * domain with a weight is built and started by a thread of its own.
 */
#ifndef HYPERVISOR_STUB_TOOLSTACK_WEIGHT_H
#define HYPERVISOR_STUB_TOOLSTACK_WEIGHT_H

#include <stdbool.h>

#include "hypervisor-stub/toolstack/cgroup.h"

/* How much nicer than usual a weight is, -20 to 19: each step is a quarter more or less time. */
int weight_nice(unsigned weight);

/*
 * weight_call - calls fn(arg) and returns what it returned
 * weight: 0, or 256, for the usual one
 * group:  that it is done in; its dir is empty: in ours. Without either, in the calling thread
 * *denied: out: a weight above the usual one was not allowed, and the usual one counts
 * Returns -EAGAIN when there is no thread to be had.
 */
int weight_call(unsigned weight, const struct cgroup *group, int (*fn)(void *arg), void *arg,
                bool *denied);

#endif
