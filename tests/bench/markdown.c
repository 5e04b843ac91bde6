/* SPDX-License-Identifier: MIT */
/*
 * A run of `make bench` as a table of Markdown, so that what the documents show comes from a file.
 *
 *   markdown TSV            every row
 *   markdown TSV short      the rows that the README shows
 *   markdown TSV facts      what it was measured on
 *
 * Cells are medians; the last two columns say how many times as good the paravirtual guest on the process
 * engine is as native, and as the faster of the two that virtualize fully in software.
 * tests/integration/test_bench.sh holds the documents against it. Status: 0; 2 for what is no table.
 */
#include <string.h>

#include "tests/bench/table.h"

static struct table table;

static const char *const short_rows[] = {
	"integer loop",
	"null system call",
	"fork and exit",
	"disk: 4 KiB random read, 32 in flight",
	"start to first line of a program",
	NULL,
};

static bool is_short(const char *name)
{
	int i;

	for (i = 0; short_rows[i]; i++)
		if (!strcmp(short_rows[i], name))
			return true;
	return false;
}

static double median(const struct table_row *r, const char *system)
{
	int i = table_system(&table, system);

	return i < 0 ? 0 : r->cell[i].median;
}

/* How many times as good as the other. */
static double times(const struct table_row *r, double other)
{
	double pv = median(r, "pv-process");

	if (!pv || !other)
		return 0;
	return r->more_is_better ? pv / other : other / pv;
}

static void cell(double value)
{
	char text[32];

	table_number(text, sizeof(text), value);
	printf(" %s |", value ? text : "–");
}

static void row(const struct table_row *r)
{
	double ours = times(r, median(r, "fv-process")), tcg = times(r, median(r, "qemu-tcg"));
	bool noisy = false;
	int i;

	for (i = 0; i < table.systems; i++)
		noisy |= r->cell[i].noisy;
	printf("| %s%s | %s |", r->name, noisy ? " (noisy)" : "", r->unit);
	for (i = 0; i < table.systems; i++)
		cell(r->cell[i].median);
	cell(times(r, median(r, "native")));
	cell(!ours ? tcg : !tcg ? ours : ours < tcg ? ours : tcg);
	printf("\n");
}

static void rows(bool all)
{
	int i;

	printf("| median | unit |");
	for (i = 0; i < table.systems; i++)
		printf(" %s |", table.system[i]);
	printf(" pv/native | pv/full |\n| --- | --- |");
	for (i = 0; i < table.systems; i++)
		printf(" --- |");
	printf(" --- | --- |\n");
	for (i = 0; i < table.rows; i++)
		if (all || is_short(table.row[i].name))
			row(&table.row[i]);
}

int main(int argc, char **argv)
{
	bool is_facts = argc == 3 && !strcmp(argv[2], "facts");
	int i;

	if (argc < 2 || argc > 3 || (argc == 3 && !is_facts && strcmp(argv[2], "short"))) {
		fprintf(stderr, "usage: markdown TSV [short|facts]\n");
		return 2;
	}
	if (!table_read(&table, argv[1]))
		return 2;
	if (!is_facts)
		rows(argc == 2);
	else
		for (i = 0; i < table.facts; i++)
			printf("%s: %s\n", table.fact[i].key, table.fact[i].text);
	return 0;
}
