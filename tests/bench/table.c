/* SPDX-License-Identifier: MIT */
/*
 * Reading what `make bench` wrote; see table.h.
 */
#include "tests/bench/table.h"

#include <stdlib.h>
#include <string.h>

#define COLUMNS 11

int table_system(const struct table *t, const char *name)
{
	int i;

	for (i = 0; i < t->systems; i++)
		if (!strcmp(t->system[i], name))
			return i;
	return -1;
}

int table_find(const struct table *t, const char *row)
{
	int i;

	for (i = 0; i < t->rows; i++)
		if (!strcmp(t->row[i].name, row))
			return i;
	return -1;
}

/* Splits in place; the number of fields. */
static int split(char *line, char **field, int most)
{
	int n = 0;

	line[strcspn(line, "\n")] = 0;
	while (n < most) {
		field[n++] = line;
		line = strchr(line, '\t');
		if (!line)
			break;
		*line++ = 0;
	}
	return n;
}

static bool is_number(const char *text, double *value)
{
	char *end;

	*value = strtod(text, &end);
	return end != text && !*end && *value >= 0 && *value < 1e18;
}

static bool add_fact(struct table *t, char *line)
{
	char *field[2];

	if (split(line + 2, field, 2) != 2)
		return false;
	if (t->facts == TABLE_FACTS)
		return true;
	snprintf(t->fact[t->facts].key, sizeof(t->fact[0].key), "%.31s", field[0]);
	snprintf(t->fact[t->facts++].text, sizeof(t->fact[0].text), "%.255s", field[1]);
	return true;
}

static struct table_row *row_of(struct table *t, char **field)
{
	int i = table_find(t, field[0]);
	struct table_row *r;

	if (i >= 0)
		return &t->row[i];
	if (t->rows == TABLE_ROWS)
		return NULL;
	r = &t->row[t->rows++];
	snprintf(r->name, sizeof(r->name), "%.63s", field[0]);
	snprintf(r->unit, sizeof(r->unit), "%.15s", field[1]);
	snprintf(r->group, sizeof(r->group), "%.31s", field[3]);
	r->more_is_better = !strcmp(field[2], "more");
	return r;
}

static int system_of(struct table *t, const char *name)
{
	int i = table_system(t, name);

	if (i >= 0 || t->systems == TABLE_CELLS)
		return i;
	snprintf(t->system[t->systems], sizeof(t->system[0]), "%.31s", name);
	return t->systems++;
}

static bool add_cell(struct table *t, char *line)
{
	char *field[COLUMNS];
	struct table_cell c;
	struct table_row *r;
	double rounds;
	int s;

	if (split(line, field, COLUMNS) != COLUMNS || !is_number(field[5], &c.best) ||
	    !is_number(field[6], &c.low) || !is_number(field[7], &c.median) ||
	    !is_number(field[8], &c.high) || !is_number(field[9], &rounds) || rounds > 1e6)
		return false;
	if (strcmp(field[2], "less") && strcmp(field[2], "more"))
		return false;
	c.rounds = (int)rounds;
	c.noisy = !strcmp(field[10], "noisy");
	r = row_of(t, field);
	s = system_of(t, field[4]);
	if (!r || s < 0)
		return false;
	r->cell[s] = c;
	return true;
}

bool table_read(struct table *t, const char *path)
{
	FILE *f = fopen(path, "r");
	bool ok = true, has_head = false;
	char line[1024];
	int nr = 0;

	memset(t, 0, sizeof(*t));
	if (!f) {
		fprintf(stderr, "%s cannot be read; make bench writes such files\n", path);
		return false;
	}
	while (ok && fgets(line, sizeof(line), f)) {
		nr++;
		if (line[0] == '#')
			ok = add_fact(t, line);
		else if (!has_head)
			ok = has_head = !strncmp(line, TABLE_HEAD, strlen(TABLE_HEAD));
		else
			ok = add_cell(t, line);
	}
	fclose(f);
	if (!ok || !has_head)
		fprintf(stderr, "%s:%d is no line of a table of make bench\n", path, nr);
	return ok && has_head;
}

void table_number(char *text, size_t size, double value)
{
	unsigned long long n = (unsigned long long)(value + 0.5);

	if (value >= 1e6)
		snprintf(text, size, "%llu,%03llu,%03llu", n / 1000000, n / 1000 % 1000, n % 1000);
	else if (value >= 1e3)
		snprintf(text, size, "%llu,%03llu", n / 1000, n % 1000);
	else
		snprintf(text, size, "%.*f",
		         value >= 100  ? 0
		         : value >= 10 ? 1
		         : value >= 1  ? 2
		                       : 3,
		         value);
}
