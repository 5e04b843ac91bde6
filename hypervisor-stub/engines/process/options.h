/* SPDX-License-Identifier: MIT */
/*
 * What a user may set about the process engine. The toolstack changes it before the first domain is
 * made; after that it is read only.
 */
#ifndef HYPERVISOR_STUB_ENGINES_PROCESS_OPTIONS_H
#define HYPERVISOR_STUB_ENGINES_PROCESS_OPTIONS_H

#include <stdbool.h>

struct process_options {
	unsigned max_processes; /* guest processes a domain may have at once, at least 4 */
	unsigned spare;         /* processes kept ready for new address spaces, 1 to 16 */
	bool spin; /* both sides wait on cores of their own without sleeping, when there are idle
	              ones */
};

extern struct process_options process_options;

#endif
