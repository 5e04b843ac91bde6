/* SPDX-License-Identifier: MIT */
/*
 * The report of a run of `make bench`: one HTML file with charts in SVG, which needs no script and
 * refers to nothing outside itself.
 *
 *   report TSV HTML
 *
 * It is written as XML, so that any XML parser can check it. Every row of the table has a chart, and a
 * line of figures. Bars are on a scale of powers of ten, since systems differ by factors of a hundred.
 * Status: 0; 2 for a file that is no table, or one that cannot be written.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/table.h"

#define CHART_WIDTH 860.0
#define LABEL_WIDTH 110.0
#define VALUE_WIDTH 210.0
#define BAR_HEIGHT  18.0
#define BAR_PITCH   24.0
#define AXIS_HEIGHT 20.0

static struct table table;
static FILE *out;

/* Text as XML has it. */
static void text(const char *s)
{
	for (; *s; s++) {
		if (*s == '<')
			fputs("&lt;", out);
		else if (*s == '>')
			fputs("&gt;", out);
		else if (*s == '&')
			fputs("&amp;", out);
		else if (*s == '"')
			fputs("&quot;", out);
		else if ((unsigned char)*s >= ' ')
			fputc(*s, out);
	}
}

static const char style[] =
	"body{font:15px/1.45 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;"
	"color:#1c2126;background:#fff}"
	"h1{font-size:1.6rem}h2{font-size:1.2rem;margin-top:2.2rem;border-bottom:1px solid #ccd2d8}"
	"h3{font-size:1rem;margin:1.4rem 0 .2rem}p.note{color:#59636e;margin:.1rem 0 .4rem}"
	"table{border-collapse:collapse;font-size:.86rem}"
	"th,td{padding:.15rem .55rem;border-bottom:1px solid #dde2e7;text-align:right}"
	"th:first-child,td:first-child{text-align:left}"
	".facts td{text-align:left}.wide{overflow-x:auto}"
	"svg{display:block;max-width:100%;height:auto}svg text{font-size:12px;fill:#1c2126}"
	"svg .axis{stroke:#ccd2d8;stroke-width:1}svg .tick{fill:#59636e;font-size:11px}"
	"svg .spread{stroke:#1c2126;stroke-width:1.5}"
	".native{fill:#5b6670}.pv{fill:#1a7f5a}.full{fill:#b4562b}.peer{fill:#3f6fb0}"
	"@media (prefers-color-scheme:dark){body{color:#e3e7eb;background:#15181b}"
	"svg text{fill:#e3e7eb}svg .tick,p.note{fill:#9aa4ae;color:#9aa4ae}"
	"svg .spread{stroke:#e3e7eb}h2,th,td{border-color:#3a4249}svg .axis{stroke:#3a4249}}";

static const char *class_of(const char *system)
{
	if (!strcmp(system, "native"))
		return "native";
	if (!strncmp(system, "pv-", 3))
		return "pv";
	return strncmp(system, "fv-", 3) ? "peer" : "full";
}

static const char *title_of(const char *system)
{
	static const char *const titles[][2] = {
		{ "native", "native process" },
		{ "pv-process", "paravirtual, process engine" },
		{ "pv-kvm", "paravirtual, kvm engine" },
		{ "fv-process", "fully virtual, process" },
		{ "fv-kvm", "fully virtual, kvm" },
		{ "qemu-tcg", "QEMU, TCG" },
		{ "qemu-kvm", "QEMU, KVM" },
		{ "uml", "User-mode Linux" },
	};
	unsigned i;

	for (i = 0; i < sizeof(titles) / sizeof(titles[0]); i++)
		if (!strcmp(titles[i][0], system))
			return titles[i][1];
	return system;
}

/* ---- a chart ---------------------------------------------------------------------------------- */

/* Powers of ten that hold all bars of a row, with something left of the least. */
struct scale {
	int from, to;
};

static double place(const struct scale *s, double value)
{
	double room = CHART_WIDTH - LABEL_WIDTH - VALUE_WIDTH;
	double at = (log10(value) - s->from) / (s->to - s->from);

	return LABEL_WIDTH + room * (at < 0 ? 0 : at > 1 ? 1 : at);
}

static struct scale scale_of(const struct table_row *r)
{
	double least = 0, most = 0;
	struct scale s;
	int i;

	for (i = 0; i < table.systems; i++) {
		const struct table_cell *c = &r->cell[i];

		if (!c->median)
			continue;
		least = !least || c->median < least ? c->median : least;
		most = c->high > most ? c->high : most;
	}
	s.from = (int)floor(log10(least) - 0.2);
	s.to = (int)ceil(log10(most > least ? most : least));
	if (s.to <= s.from)
		s.to = s.from + 1;
	return s;
}

static void axis(const struct scale *s, double height)
{
	int p, step = 1 + (s->to - s->from) / 8;
	char number[32];

	for (p = s->from; p <= s->to; p += step) {
		double x = place(s, pow(10, p));

		table_number(number, sizeof(number), pow(10, p));
		if (strchr(number, '.')) /* 1.00 is 1 on an axis */
			snprintf(number, sizeof(number), "%g", pow(10, p));
		fprintf(out,
		        "<line class=\"axis\" x1=\"%.1f\" y1=\"0\" x2=\"%.1f\" y2=\"%.1f\"/>"
		        "<text class=\"tick\" x=\"%.1f\" y=\"%.1f\" "
		        "text-anchor=\"middle\">%s</text>\n",
		        x, x, height, x, height + 14, number);
	}
}

static void bar(const struct table_row *r, int i, const struct scale *s, double y)
{
	const struct table_cell *c = &r->cell[i], *native = NULL;
	double x = place(s, c->median), end = place(s, c->high), middle = y + BAR_HEIGHT / 2;
	int n = table_system(&table, "native");
	char number[32];

	if (n >= 0 && r->cell[n].median)
		native = &r->cell[n];
	table_number(number, sizeof(number), c->median);
	fprintf(out, "<text x=\"0\" y=\"%.1f\">", middle + 4);
	text(table.system[i]);
	fprintf(out,
	        "</text><rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>",
	        class_of(table.system[i]), LABEL_WIDTH, y,
	        x - LABEL_WIDTH < 1 ? 1 : x - LABEL_WIDTH, BAR_HEIGHT);
	if (c->high > c->low && c->low > 0)
		fprintf(out,
		        "<line class=\"spread\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>",
		        place(s, c->low), middle, place(s, c->high), middle);
	fprintf(out, "<text x=\"%.1f\" y=\"%.1f\">%s ", (end > x ? end : x) + 6, middle + 4,
	        number);
	text(r->unit);
	if (native && native != c)
		fprintf(out, ", %.3g of native", c->median / native->median);
	fprintf(out, "%s</text>\n", c->noisy ? ", noisy" : "");
}

static void chart(const struct table_row *r)
{
	struct scale s = scale_of(r);
	double height, y = 0;
	int i, n = 0;

	for (i = 0; i < table.systems; i++)
		n += r->cell[i].median > 0;
	height = n * BAR_PITCH;
	fprintf(out, "<h3>");
	text(r->name);
	fprintf(out, "</h3>\n<p class=\"note\">");
	text(r->unit);
	fprintf(out,
	        ", %s is better</p>\n<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" "
	        "width=\"%.0f\" height=\"%.0f\" viewBox=\"0 0 %.0f %.0f\"><title>",
	        r->more_is_better ? "more" : "less", CHART_WIDTH, height + AXIS_HEIGHT, CHART_WIDTH,
	        height + AXIS_HEIGHT);
	text(r->name);
	fprintf(out, "</title>\n");
	axis(&s, height);
	for (i = 0; i < table.systems; i++) {
		if (!r->cell[i].median)
			continue;
		bar(r, i, &s, y + (BAR_PITCH - BAR_HEIGHT) / 2);
		y += BAR_PITCH;
	}
	fprintf(out, "</svg>\n");
}

/* ---- the page --------------------------------------------------------------------------------- */

static void head(void)
{
	fprintf(out,
	        "<!DOCTYPE html>\n<html xmlns=\"http://www.w3.org/1999/xhtml\" lang=\"en\">\n<head>"
	        "<meta charset=\"utf-8\"/>"
	        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>"
	        "<title>Paravane: paravirtual and full virtualization "
	        "compared</title>\n<style>%s</style>"
	        "</head>\n<body>\n<h1>Paravirtual and full virtualization compared</h1>\n",
	        style);
	fprintf(out, "<p>The same guest image and the same workloads on each system, in one run. "
	             "Medians of "
	             "the rounds; the line in a bar reaches from the lower to the upper quartile. "
	             "A row is "
	             "noisy when the native figure varied by more than half during the run.</p>\n");
}

static void facts(void)
{
	int i;

	fprintf(out, "<h2>Measured on</h2>\n<div class=\"wide\"><table class=\"facts\"><tbody>\n");
	for (i = 0; i < table.facts; i++) {
		fprintf(out, "<tr><td>");
		text(table.fact[i].key);
		fprintf(out, "</td><td>");
		text(table.fact[i].text);
		fprintf(out, "</td></tr>\n");
	}
	for (i = 0; i < table.systems; i++) {
		fprintf(out, "<tr><td>");
		text(table.system[i]);
		fprintf(out, "</td><td>");
		text(title_of(table.system[i]));
		fprintf(out, "</td></tr>\n");
	}
	fprintf(out, "</tbody></table></div>\n");
}

static void charts(void)
{
	const char *group = "";
	int i;

	for (i = 0; i < table.rows; i++) {
		const struct table_row *r = &table.row[i];

		if (strcmp(group, r->group)) {
			group = r->group;
			fprintf(out, "<h2>");
			text(group);
			fprintf(out, "</h2>\n");
		}
		chart(r);
	}
}

static void figures(void)
{
	char number[32];
	int i, s;

	fprintf(out, "<h2>All figures</h2>\n<div "
	             "class=\"wide\"><table><thead><tr><th>median</th><th>unit</th>");
	for (s = 0; s < table.systems; s++) {
		fprintf(out, "<th>");
		text(table.system[s]);
		fprintf(out, "</th>");
	}
	fprintf(out, "</tr></thead>\n<tbody>\n");
	for (i = 0; i < table.rows; i++) {
		fprintf(out, "<tr><td>");
		text(table.row[i].name);
		fprintf(out, "</td><td>");
		text(table.row[i].unit);
		fprintf(out, "</td>");
		for (s = 0; s < table.systems; s++) {
			double value = table.row[i].cell[s].median;

			table_number(number, sizeof(number), value);
			fprintf(out, "<td>%s</td>", value ? number : "–");
		}
		fprintf(out, "</tr>\n");
	}
	fprintf(out, "</tbody></table></div>\n</body>\n</html>\n");
}

int main(int argc, char **argv)
{
	if (argc != 3) {
		fprintf(stderr, "usage: report TSV HTML\n");
		return 2;
	}
	if (!table_read(&table, argv[1]))
		return 2;
	out = fopen(argv[2], "w");
	if (out) {
		head();
		facts();
		charts();
		figures();
	}
	if (!out || (ferror(out) | fclose(out))) {
		fprintf(stderr, "report: %s cannot be written; is the disk full?\n", argv[2]);
		return 2;
	}
	return 0;
}
