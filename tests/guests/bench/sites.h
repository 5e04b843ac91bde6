/* SPDX-License-Identifier: MIT */
/* Between main.c and sites.c. */
#ifndef TESTS_GUESTS_BENCH_SITES_H
#define TESTS_GUESTS_BENCH_SITES_H

/* Interrupts are enabled. */
void measure_sites(void);

#endif /* TESTS_GUESTS_BENCH_SITES_H */
