/* SPDX-License-Identifier: MIT */
/*
 * What a person gets to see of a guest that crashed.
 */
#ifndef HYPERVISOR_STUB_TOOLSTACK_CRASH_H
#define HYPERVISOR_STUB_TOOLSTACK_CRASH_H

#include <stdio.h>

#include "hypervisor-stub/core/hv.h"
#include "hypervisor-stub/toolstack/symbols.h"

/*
 * crash_report - the reason, and when a vCPU was the cause: its registers, the code at rip, the
 * faulting address through the page tables, the stack and a back-trace
 *
 * d:  has ended; none of its vCPUs runs, its memory is still there
 */
void crash_report(FILE *out, struct hv_domain *d, const char *name, const struct symbols *symbols);

#endif
