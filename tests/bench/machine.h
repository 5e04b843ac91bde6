/* SPDX-License-Identifier: MIT */
/*
 * What a run was measured on: the facts at the head of a table of `make bench`.
 */
#ifndef TESTS_BENCH_MACHINE_H
#define TESTS_BENCH_MACHINE_H

#include <stdio.h>

#include "tests/bench/systems.h"

/* Lines "# KEY <tab> TEXT" (table.h). */
void machine_write(FILE *tsv, const struct places *p);

#endif /* TESTS_BENCH_MACHINE_H */
