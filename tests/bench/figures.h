/* SPDX-License-Identifier: MIT */
/*
 * Figures of several systems, row by row and round by round.
 *
 * Each round runs every system once, so that a drift of the machine meets all. A figure is the median of
 * the rounds' medians; beside it stands the best of all. A round counts for a row when its native figure
 * is at most FIG_NOISY times (or, where more is better, at least that part of) the best native one: else
 * the machine was busy with something else.
 *
 * Invariant: system 0 is the native one; a figure of 0 was not measured.
 */
#ifndef TESTS_BENCH_FIGURES_H
#define TESTS_BENCH_FIGURES_H

#include <stdbool.h>
#include <stdio.h>

#define FIG_ROUNDS  64
#define FIG_ROWS    64
#define FIG_SYSTEMS 12
#define FIG_NOISY   1.5
#define FIG_NAME    64

struct figure {
	double best, med[FIG_ROUNDS]; /* of each round */
};

struct fig_row {
	char name[FIG_NAME];
	bool more_is_better;
	struct figure of[FIG_SYSTEMS];
};

struct figures {
	int rows, rounds, systems; /* rounds: that were begun */
	struct fig_row row[FIG_ROWS];
};

/* What the rounds of one row and one system come to. */
struct fig_sum {
	double best, low, median, high; /* low, high: the quartiles */
	int rounds;                     /* that counted */
	bool noisy;                     /* too few were quiet: all count */
};

/* The row of that name, made when there is none yet; NULL when there are too many. */
struct fig_row *figures_row(struct figures *f, const char *name, bool more_is_better);
/* Of the round that was begun last. */
void figures_add(struct figures *f, struct fig_row *r, int system, double best, double median);
/* Whether so many rounds were quiet. A row without native figures has nothing to be judged by. */
bool figures_enough(const struct figures *f, const struct fig_row *r, int wanted);
bool figures_all_enough(const struct figures *f, int wanted);
/* False when nothing was measured. */
bool figures_sum(const struct figures *f, const struct fig_row *r, int system, int wanted,
                 struct fig_sum *sum);

#endif /* TESTS_BENCH_FIGURES_H */
