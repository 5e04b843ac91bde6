/* SPDX-License-Identifier: MIT */
/*
 * Figures of several systems; see figures.h.
 */
#include "tests/bench/figures.h"

#include <stdlib.h>
#include <string.h>

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

struct fig_row *figures_row(struct figures *f, const char *name, bool more_is_better)
{
	struct fig_row *r;
	int i;

	for (i = 0; i < f->rows; i++)
		if (!strcmp(f->row[i].name, name))
			return &f->row[i];
	if (f->rows == FIG_ROWS)
		return NULL;
	r = &f->row[f->rows++];
	snprintf(r->name, sizeof(r->name), "%s", name);
	r->more_is_better = more_is_better;
	return r;
}

void figures_add(struct figures *f, struct fig_row *r, int system, double best, double median)
{
	struct figure *g = &r->of[system];

	if (!g->best || (r->more_is_better ? best > g->best : best < g->best))
		g->best = best;
	g->med[f->rounds - 1] = median;
}

static bool is_quiet(const struct fig_row *r, int round)
{
	const struct figure *native = &r->of[0];
	double med = native->med[round];

	if (!med)
		return false;
	return r->more_is_better ? med * FIG_NOISY >= native->best
	                         : med <= native->best * FIG_NOISY;
}

static int quiet_rounds(const struct figures *f, const struct fig_row *r)
{
	int i, n = 0;

	for (i = 0; i < f->rounds; i++)
		n += is_quiet(r, i);
	return n;
}

bool figures_enough(const struct figures *f, const struct fig_row *r, int wanted)
{
	return !r->of[0].best || quiet_rounds(f, r) >= wanted;
}

bool figures_all_enough(const struct figures *f, int wanted)
{
	int i;

	for (i = 0; i < f->rows; i++)
		if (!figures_enough(f, &f->row[i], wanted))
			return false;
	return true;
}

bool figures_sum(const struct figures *f, const struct fig_row *r, int system, int wanted,
                 struct fig_sum *sum)
{
	const struct figure *g = &r->of[system];
	double v[FIG_ROUNDS];
	int i, n = 0;

	memset(sum, 0, sizeof(*sum));
	sum->noisy = !figures_enough(f, r, wanted);
	for (i = 0; i < f->rounds; i++)
		if (g->med[i] && (sum->noisy || !r->of[0].best || is_quiet(r, i)))
			v[n++] = g->med[i];
	/* Its rounds may all have been others than the quiet ones. */
	for (i = 0; !n && i < f->rounds; i++)
		if (g->med[i]) {
			v[n++] = g->med[i];
			sum->noisy = true;
		}
	if (!n)
		return false;
	qsort(v, (size_t)n, sizeof(v[0]), compare);
	sum->best = g->best;
	sum->low = v[n / 4];
	sum->median = v[n / 2];
	sum->high = v[n - 1 - n / 4];
	sum->rounds = n;
	return true;
}
