/* SPDX-License-Identifier: MIT */
/*
 * The file that `make bench` writes and that the report and the comparison read: tab-separated.
 *
 *   # KEY <tab> TEXT                                         of the machine and the run
 *   row unit better group system best low median high rounds noise     the head
 *   ...                                                      a line for each row and system
 *
 * better: "less" or "more"; low, high: quartiles of the rounds' medians; noise: "noisy" or nothing.
 */
#ifndef TESTS_BENCH_TABLE_H
#define TESTS_BENCH_TABLE_H

#include <stdbool.h>
#include <stdio.h>

#define TABLE_FACTS 24
#define TABLE_ROWS  64
#define TABLE_CELLS 12
#define TABLE_HEAD  "row\tunit\tbetter\tgroup\tsystem\tbest\tlow\tmedian\thigh\trounds\tnoise"

struct table_cell {
	double best, low, median, high; /* median 0: there is none */
	int rounds;
	bool noisy;
};

struct table_row {
	char name[64], unit[16], group[32];
	bool more_is_better;
	struct table_cell cell[TABLE_CELLS];
};

struct table {
	int facts, systems, rows;
	struct {
		char key[32], text[256];
	} fact[TABLE_FACTS];
	char system[TABLE_CELLS][32];
	struct table_row row[TABLE_ROWS];
};

/* False, with a sentence on stderr that names the line, when the file is no such table. */
bool table_read(struct table *t, const char *path);
/* The place of a system or a row of that name, or -1. */
int table_system(const struct table *t, const char *name);
int table_find(const struct table *t, const char *row);
/* A figure as people read it: three digits that count. */
void table_number(char *text, size_t size, double value);

#endif /* TESTS_BENCH_TABLE_H */
