/* SPDX-License-Identifier: MIT */
/*
 * What programs pay for system calls, faults, switches and processes: in the unix guest, beside native Linux
 * and beside User-mode Linux where that is installed, all in one run.
 *
 *   os PARAVANE GUEST_DIR MEASURE [ROUNDS [TSV]]
 *
 * MEASURE is the program of os_measure.c: it is run as it is, and as the first process of a User-mode Linux
 * (the command in $UML, or linux.uml). In the guest its counterpart is the program `bench`. Every wait is
 * limited; whoever does not end in time is killed.
 *
 * Rounds are repeated until every row has as many quiet ones (figures.h) as were asked for, there were
 * REPEATS times as many, or BUDGET_S is over; a row that has too few then is marked.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/bench/figures.h"
#include "tests/bench/spawn.h"
#include "tests/bench/uml.h"

#define LIMIT_S  120
#define REPEATS  3
#define BUDGET_S 900 /* no round is begun for the sake of quiet after so long */

enum system { NATIVE, GUEST, UML, NR_SYSTEMS };

static const char *const system_names[] = { "native", "guest", "uml" };
static struct figures figures = { .systems = NR_SYSTEMS };
static char scratch[] = "/tmp/paravane-os.XXXXXX"; /* a folder */

/* suffix: for the names of the rows. Returns how many figures there were. */
static int run(enum system s, const char *suffix, char *const argv[])
{
	double end = bench_now() + LIMIT_S, min, med;
	char line[256], name[40], full[FIG_NAME];
	static struct bench_run r;
	struct fig_row *row;
	int found = 0;

	if (!bench_start(&r, argv))
		return 0;
	while (bench_line(&r, line, sizeof(line), end)) {
		if (sscanf(line, "bench %39[^:]: %lf %lf", name, &min, &med) != 3)
			continue;
		snprintf(full, sizeof(full), "%s%s", name, suffix);
		row = figures_row(&figures, full, false);
		if (row)
			figures_add(&figures, row, s, min, med);
		found++;
	}
	bench_end(&r);
	return found;
}

/* The guest, with this command line. */
static int run_guest(char *paravane, char *kernel, const char *cmdline, const char *suffix)
{
	char *const argv[] = { paravane,
		               (char *)"run",
		               (char *)"--cmdline",
		               (char *)cmdline,
		               (char *)"--timeout",
		               (char *)"100",
		               kernel,
		               NULL };

	return run(GUEST, suffix, argv);
}

/* ---- the table -------------------------------------------------------------------------------- */

/* What is asked of the guest, in ns; NULL name ends it. */
static const struct {
	const char *name;
	double ns;
} asked[] = {
	{ "null system call", 6000 }, { "null system call, one root", 1500 },
	{ "page fault", 12000 },      { "page fault in runs", 4000 },
	{ "switch by yield", 15000 }, { "switch through a pipe", 15000 },
	{ "fork and exit", 300000 },  { NULL, 0 },
};

static void print_row(FILE *tsv, const struct fig_row *r, int wanted)
{
	struct fig_sum sum = { 0 };
	bool noisy = false;
	double want = 0;
	int s, i;

	for (i = 0; asked[i].name; i++)
		if (!strcmp(asked[i].name, r->name))
			want = asked[i].ns;
	printf("%-30s", r->name);
	fprintf(tsv, "%s", r->name);
	for (s = 0; s < NR_SYSTEMS; s++) {
		if (figures_sum(&figures, r, s, wanted, &sum)) {
			printf(" %10.0f %10.0f", sum.best, sum.median);
			fprintf(tsv, "\t%.0f\t%.0f", sum.best, sum.median);
			noisy |= sum.noisy;
		} else {
			printf(" %10s %10s", "-", "-");
			fprintf(tsv, "\t\t");
		}
	}
	if (want)
		printf(" %10.0f", want);
	else
		printf(" %10s", "-");
	printf("%s\n", noisy ? "  noisy: too few rounds were quiet" : "");
	fprintf(tsv, "\t%.0f\t%s\n", want, noisy ? "noisy" : "");
}

static void print_table(FILE *tsv, int wanted)
{
	int s, i;

	printf("%-30s", "nanoseconds");
	fprintf(tsv, "name");
	for (s = 0; s < NR_SYSTEMS; s++) {
		printf(" %6s min %10s", system_names[s], "median");
		fprintf(tsv, "\t%s_min\t%s_median", system_names[s], system_names[s]);
	}
	printf(" %10s\n", "asked for");
	fprintf(tsv, "\tasked\tnoise\n");
	for (i = 0; i < figures.rows; i++)
		print_row(tsv, &figures.row[i], wanted);
}

/* ---- a round ---------------------------------------------------------------------------------- */

struct setup {
	char *paravane, *measure, *uml; /* uml: NULL when there is none */
	char kernel[4096], initrd[80], umid[64];
};

static void one_round(struct setup *u)
{
	char *const native[] = { u->measure, NULL };
	char *const uml[] = { u->uml,
		              (char *)"mem=64M",
		              u->initrd,
		              u->umid,
		              (char *)"umid=" UML_ID,
		              (char *)"con0=fd:0,fd:1",
		              (char *)"con=null",
		              (char *)"ssl=null",
		              (char *)"quiet",
		              NULL };

	figures.rounds++;
	if (!run(NATIVE, "", native))
		fprintf(stderr, "os: %s printed no figures\n", u->measure);
	if (!run_guest(u->paravane, u->kernel, "run=bench", "") ||
	    !run_guest(u->paravane, u->kernel, "roots=one run=bench null", ", one root") ||
	    !run_guest(u->paravane, u->kernel, "roots=two run=bench switch", ", two roots"))
		fprintf(stderr, "os: the guest printed no figures\n");
	if (u->uml && !run(UML, "", uml))
		fprintf(stderr, "os: User-mode Linux printed no figures\n");
}

static void all_rounds(struct setup *u, int wanted)
{
	int most = wanted * REPEATS < FIG_ROUNDS ? wanted * REPEATS : FIG_ROUNDS;
	double end = bench_now() + BUDGET_S;

	while (figures.rounds < wanted || (figures.rounds < most && bench_now() < end &&
	                                   !figures_all_enough(&figures, wanted))) {
		if (isatty(2))
			fprintf(stderr, "\rround %d, %d to %d", figures.rounds + 1, wanted, most);
		one_round(u);
	}
	if (isatty(2))
		fprintf(stderr, "\r                        \r");
}

static void remove_files(void)
{
	uml_clean(scratch);
	rmdir(scratch);
}

int main(int argc, char **argv)
{
	int wanted = argc > 4 ? atoi(argv[4]) : 5;
	FILE *tsv = fopen(argc > 5 ? argv[5] : "/dev/null", "w");
	static struct setup setup, *u = &setup;

	if (argc < 4 || wanted < 1 || wanted > FIG_ROUNDS || !tsv || !mkdtemp(scratch)) {
		fprintf(stderr, "usage: os PARAVANE GUEST_DIR MEASURE [ROUNDS(1-%d) [TSV]]\n",
		        FIG_ROUNDS);
		return 2;
	}
	u->paravane = argv[1];
	u->measure = argv[3];
	snprintf(u->kernel, sizeof(u->kernel), "%s/unix", argv[2]);
	snprintf(u->initrd, sizeof(u->initrd), "initrd=%s/" UML_ROOT, scratch);
	snprintf(u->umid, sizeof(u->umid), "uml_dir=%s", scratch);
	if (bench_has_program(uml_program()) && uml_make_root(u->measure, scratch))
		u->uml = (char *)uml_program();
	else
		printf("%s is not installed (package user-mode-linux): no figures of it\n",
		       uml_program());
	bench_catch_signals(remove_files);
	all_rounds(u, wanted);
	print_table(tsv, wanted);
	fclose(tsv);
	remove_files();
	return 0;
}
