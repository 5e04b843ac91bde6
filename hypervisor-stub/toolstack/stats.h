/* SPDX-License-Identifier: MIT */
/*
 * --stats: how often the guest asked for what, and how long it took.
 */
#ifndef HYPERVISOR_STUB_TOOLSTACK_STATS_H
#define HYPERVISOR_STUB_TOOLSTACK_STATS_H

#include <stdatomic.h>
#include <stdio.h>

#include "hypervisor-stub/core/hypercall.h"

struct stats_cell {
	atomic_uint_least64_t count, ns;
};

#define STATS_MAX_FIGURES 32

struct stats {
	struct stats_cell call[HV_NR_HYPERCALLS + 1]; /* the last one: unknown numbers */
	uint64_t in_place[HV_NR_HYPERCALLS];          /* main thread's; stats_collect() */
	atomic_uint_least64_t exception[32];
	atomic_uint_least64_t happened[HV_NR_TRACED];
	struct {
		const char *name;
		uint64_t n;
	} figure[STATS_MAX_FIGURES]; /* of the engine; main thread's; stats_collect() */
};

/* Any vCPU thread. */
void stats_hypercall(struct stats *s, uint64_t nr, uint64_t ns);
void stats_exception(struct stats *s, uint8_t vector);
void stats_happened(struct stats *s, enum hv_traced what);

/* Adds what the engine counted of a domain: of each one once, before it is destroyed. */
void stats_collect(struct stats *s, const struct hv_domain *d);
void stats_print(const struct stats *s, FILE *out);

#endif
