/* SPDX-License-Identifier: MIT */
/*
 * Exceptions of programs, and page faults of the kernel on their behalf.
 */
#ifndef TESTS_GUESTS_UNIX_TRAP_H
#define TESTS_GUESTS_UNIX_TRAP_H

#include <stdint.h>

/* Takes over the vectors that programs can raise. Once. */
void trap_init(void);

/* Page faults since the start. */
uint64_t trap_faults(void);

#endif /* TESTS_GUESTS_UNIX_TRAP_H */
