/* SPDX-License-Identifier: MIT */
/*
 * What --trace and --stats see of a machine: one tracer for the core, and who gets what it tells.
 */
#ifndef HYPERVISOR_STUB_TOOLSTACK_OBSERVE_H
#define HYPERVISOR_STUB_TOOLSTACK_OBSERVE_H

#include "hypervisor-stub/toolstack/options.h"
#include "hypervisor-stub/toolstack/stats.h"
#include "hypervisor-stub/toolstack/trace.h"

struct observe {
	struct hv_tracer tracer;
	bool does_trace, does_stats;
	struct trace trace;
	struct outlet out; /* of the trace */
	int fd;            /* of the trace's file; -1: standard error */
	struct stats stats;
};

/* Returns 0 or a negative errno with a sentence in why. */
int observe_open(struct observe *ob, const struct options *o, char *why, size_t why_len);
void observe_close(struct observe *ob);
/* What the core is to be given: NULL when nobody wants to know. */
const struct hv_tracer *observe_tracer(struct observe *ob);
/* From now on nobody waits for the trace's reader. */
void observe_stop(struct observe *ob);
/* Whether a stream is a terminal on which colours are welcome. */
bool observe_colour(FILE *out);

#endif
