/* SPDX-License-Identifier: MIT */
/*
 * --trace: a line for every hypercall, with its name, arguments and result.
 */
#ifndef HYPERVISOR_STUB_TOOLSTACK_TRACE_H
#define HYPERVISOR_STUB_TOOLSTACK_TRACE_H

#include "hypervisor-stub/core/hypercall.h"
#include "hypervisor-stub/toolstack/outlet.h"

struct trace {
	struct outlet *out;
	bool colour; /* failures in red */
};

/* "memory_op(XENMEM_populate_physmap, 0x10f00) = 1", without a newline. Returns its length. */
size_t trace_format(char *line, size_t size, uint64_t nr, const uint64_t *a, int64_t result,
                    bool colour);

/* To be called from vCPU threads: they wait until the line has gone out. */
void trace_hypercall(struct trace *t, struct hv_vcpu *v, uint64_t nr, const uint64_t *a,
                     int64_t result, uint64_t ns);
void trace_exception(struct trace *t, struct hv_vcpu *v, uint8_t vector, uint32_t error_code,
                     uint64_t cr2);

#endif
