/* SPDX-License-Identifier: MIT */
/*
 * make bench-compare: what changed between two runs beyond their noise.
 *
 *   diff OLD.tsv NEW.tsv
 *
 * A figure changed when the quartiles of the two runs' rounds do not overlap and the medians differ by more
 * than LEAST; a noisy row is only named. The change of the native figure stands beside it: what the
 * machine did, no system of ours did.
 * Status: 0, 2 for a file that is no table.
 */
#include <string.h>

#include "tests/bench/table.h"

#define LEAST 0.05

static struct table old, new;
static int changed, noisy;

/* As a factor by which the new one is better; 0: one of them has no such figure. */
static double gain(const struct table_row *a, const struct table_row *b, const char *system)
{
	int i = table_system(&old, system), k = table_system(&new, system);

	if (i < 0 || k < 0 || !a->cell[i].median || !b->cell[k].median)
		return 0;
	return a->more_is_better ? b->cell[k].median / a->cell[i].median
	                         : a->cell[i].median / b->cell[k].median;
}

static void compare(const struct table_row *a, const struct table_row *b, const char *system)
{
	double by = gain(a, b, system), native = gain(a, b, "native");
	const struct table_cell *x, *y;
	char from[32], to[32];

	if (!by)
		return;
	x = &a->cell[table_system(&old, system)];
	y = &b->cell[table_system(&new, system)];
	if ((x->high >= y->low && y->high >= x->low) || (by < 1 + LEAST && by > 1 - LEAST))
		return;
	if (x->noisy || y->noisy) {
		noisy++;
		return;
	}
	changed++;
	table_number(from, sizeof(from), x->median);
	table_number(to, sizeof(to), y->median);
	printf("%-44s %-11s %9s -> %9s %-5s %6.2f times as good", a->name, system, from, to,
	       a->unit, by);
	if (native && strcmp(system, "native"))
		printf(" (native: %.2f)", native);
	printf("\n");
}

int main(int argc, char **argv)
{
	int i, k, s;

	if (argc != 3) {
		fprintf(stderr, "usage: make bench-compare A=old.tsv B=new.tsv\n");
		return 2;
	}
	if (!table_read(&old, argv[1]) || !table_read(&new, argv[2]))
		return 2;
	for (i = 0; i < old.rows; i++) {
		k = table_find(&new, old.row[i].name);
		for (s = 0; k >= 0 && s < old.systems; s++)
			compare(&old.row[i], &new.row[k], old.system[s]);
	}
	printf("%d figures changed beyond the noise; %d more did in rows that are noisy in one of "
	       "the runs\n",
	       changed, noisy);
	return 0;
}
