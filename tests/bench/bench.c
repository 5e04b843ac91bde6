/* SPDX-License-Identifier: MIT */
/*
 * make bench: the same guest image and the same workloads on every system that works here, in one run.
 *
 *   bench PARAVANE GUEST_DIR MEASURE TSV [quick]
 *
 * Every round runs every workload on every system; rounds are repeated until each row has ROUNDS quiet
 * ones (figures.h), or the time is over: about ten minutes, quick: one. A system that cannot print a line
 * here is left out, and said. The table is printed and written to the file (table.h).
 * Status: 0, 1 when nothing but the native system could be measured, 2 for a wrong command line or set-up.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/bench/machine.h"
#include "tests/bench/spawn.h"
#include "tests/bench/table.h"
#include "tests/bench/uml.h"
#include "tests/bench/workloads.h"

#define ROUNDS         5
#define BUDGET_S       540
#define QUICK_BUDGET_S 45
#define MEMORY_MIB     128

static struct bench bench;
static bool works[NR_SYSTEMS];
static bool tried[NR_SYSTEMS][8]; /* workloads that gave nothing are not run again */
static char scratch[] = "/tmp/paravane-bench.XXXXXX", disk[64];

static const struct workload {
	const char *name;
	bool (*run)(struct bench *b, enum system s);
} workloads[] = {
	{ "start", run_boot },      { "programs", run_programs }, { "events", run_events },
	{ "console", run_console }, { "memory", run_idle },       { "disk", run_disk },
	{ "network", run_net },
};

#define NR_WORKLOADS (sizeof(workloads) / sizeof(workloads[0]))

static void progress(int round, const char *system, const char *workload)
{
	if (isatty(2))
		fprintf(stderr, "\r\033[Kround %d: %s, %s", round, system, workload);
}

static void progress_ends(void)
{
	if (isatty(2))
		fprintf(stderr, "\r\033[K");
}

/* A round that is not counted tells who works here. */
static int probe(void)
{
	struct bench trial = bench;
	int s, n = 0;

	trial.figures.rounds = 1;
	for (s = 0; s < NR_SYSTEMS; s++) {
		struct launch l = { .program = "hello" };
		struct command c;

		progress(0, system_title[s], "does it start?");
		works[s] = system_command(&bench.places, s, &l, &c) &&
		           bench_has_program(c.argv[0]) && run_boot(&trial, s);
		n += works[s];
	}
	progress_ends();
	for (s = 0; s < NR_SYSTEMS; s++)
		if (!works[s])
			printf("%s (%s): does not run here, left out\n", system_title[s],
			       system_key[s]);
	return n;
}

static void one_round(void)
{
	unsigned w;
	int s;

	bench.figures.rounds++;
	for (w = 0; w < NR_WORKLOADS; w++) {
		for (s = 0; s < NR_SYSTEMS; s++) {
			if (!works[s] || tried[s][w])
				continue;
			progress(bench.figures.rounds, system_title[s], workloads[w].name);
			tried[s][w] = !workloads[w].run(&bench, s);
		}
	}
}

static void all_rounds(void)
{
	double begun = bench_now(), longest = 0, budget = bench.quick ? QUICK_BUDGET_S : BUDGET_S;
	int wanted = bench.quick ? 1 : ROUNDS;

	while (bench.figures.rounds < FIG_ROUNDS) {
		double start = bench_now(), took;

		/* The first round is always whole; another one begins when it is likely to end in time. */
		if (bench.figures.rounds && start + longest > begun + budget)
			break;
		if (bench.figures.rounds >= wanted && figures_all_enough(&bench.figures, wanted))
			break;
		one_round();
		took = bench_now() - start;
		longest = took > longest ? took : longest;
	}
	progress_ends();
}

/* ---- the table -------------------------------------------------------------------------------- */

static bool sum(const struct row_def *d, int s, struct fig_sum *out)
{
	struct fig_row *r = figures_row(&bench.figures, d->name, d->more_is_better);

	return r && figures_sum(&bench.figures, r, s, bench.quick ? 1 : 3, out);
}

static void write_tsv(FILE *tsv)
{
	const struct row_def *d;
	struct fig_sum x;
	int s;

	fprintf(tsv, TABLE_HEAD "\n");
	for (d = row_defs; d->name; d++)
		for (s = 0; s < NR_SYSTEMS; s++)
			if (works[s] && sum(d, s, &x))
				fprintf(tsv, "%s\t%s\t%s\t%s\t%s\t%.6g\t%.6g\t%.6g\t%.6g\t%d\t%s\n",
				        d->name, d->unit, d->more_is_better ? "more" : "less",
				        d->group, system_key[s], x.best, x.low, x.median, x.high,
				        x.rounds, x.noisy ? "noisy" : "");
}

/* How many times better than the other one is; 0: not known. */
static double advantage(const struct row_def *d, int s, int other)
{
	struct fig_sum a, b;

	if (!sum(d, s, &a) || !sum(d, other, &b))
		return 0;
	return d->more_is_better ? a.median / b.median : b.median / a.median;
}

static void print_times(double x)
{
	if (x)
		printf(" %9.2f", x);
	else
		printf(" %9s", "-");
}

/* Against the faster of the two that virtualize fully without help of the hardware. */
static double against_full(const struct row_def *d)
{
	double a = advantage(d, PV_PROCESS, FULL_PROCESS), b = advantage(d, PV_PROCESS, QEMU_TCG);

	return !a ? b : !b ? a : a < b ? a : b;
}

static void print_row(const struct row_def *d)
{
	bool noisy = false;
	struct fig_sum x;
	char text[32];
	int s;

	printf("%-42s %-5s", d->name, d->unit);
	for (s = 0; s < NR_SYSTEMS; s++) {
		if (!works[s])
			continue;
		if (sum(d, s, &x)) {
			table_number(text, sizeof(text), x.median);
			noisy |= x.noisy;
		} else {
			snprintf(text, sizeof(text), "-");
		}
		printf(" %10s", text);
	}
	print_times(advantage(d, PV_PROCESS, NATIVE));
	print_times(against_full(d));
	printf("%s\n", noisy ? "  noisy" : "");
}

static void print_table(void)
{
	const struct row_def *d;
	int s;

	printf("%-42s %-5s", "median", "unit");
	for (s = 0; s < NR_SYSTEMS; s++)
		if (works[s])
			printf(" %10s", system_key[s]);
	printf(" %9s %9s\n", "pv/native", "pv/full");
	for (d = row_defs; d->name; d++)
		print_row(d);
	printf("\n%d rounds. pv/native: how many times as good as native the process engine's "
	       "paravirtual guest is;\n"
	       "pv/full: the same against the faster of fv-process and qemu-tcg.\n",
	       bench.figures.rounds);
}

/* ---- the whole -------------------------------------------------------------------------------- */

static bool set_up(char **argv)
{
	struct places *p = &bench.places;

	if (!mkdtemp(scratch))
		return false;
	*p = (struct places){ .paravane = argv[1], .guests = argv[2], .measure = argv[3] };
	p->qemu = getenv("QEMU") ? getenv("QEMU") : "qemu-system-x86_64";
	p->uml = uml_program();
	p->memory_mib = MEMORY_MIB;
	snprintf(p->scratch, sizeof(p->scratch), "%s", scratch);
	uml_make_root(p->measure, scratch);
	snprintf(disk, sizeof(disk), "/dev/shm/paravane-bench-%d.img", (int)getpid());
	if (!make_disk(&bench, disk))
		printf("no image of 64 MiB can be made in /dev/shm: no figures of disks\n");
	else
		bench.image = disk;
	bench.has_net = net_place_enter() && net_place_make(&bench.net);
	if (!bench.has_net)
		printf("no network namespace can be made here: no figures of networks; run it as "
		       "root, or "
		       "allow user namespaces\n");
	return true;
}

static void remove_files(void)
{
	uml_clean(scratch);
	unlink(disk);
	if (bench.has_net)
		net_place_end(&bench.net);
	rmdir(scratch);
}

int main(int argc, char **argv)
{
	int systems;
	FILE *tsv;

	if (argc < 5 || argc > 6 || (argc == 6 && strcmp(argv[5], "quick"))) {
		fprintf(stderr, "usage: bench PARAVANE GUEST_DIR MEASURE TSV [quick]\n");
		return 2;
	}
	bench.quick = argc == 6;
	tsv = fopen(argv[4], "w");
	if (!tsv || !set_up(argv)) {
		fprintf(stderr, "bench: %s or a folder in /tmp cannot be made; is the disk full?\n",
		        argv[4]);
		return 2;
	}
	bench_catch_signals(remove_files);
	atexit(remove_files);
	machine_write(tsv, &bench.places);
	systems = probe();
	all_rounds();
	fprintf(tsv, "# rounds\t%d%s\n", bench.figures.rounds, bench.quick ? ", quick" : "");
	write_tsv(tsv);
	print_table();
	if (ferror(tsv) | fclose(tsv)) {
		fprintf(stderr, "bench: %s could not be written; is the disk full?\n", argv[4]);
		return 2;
	}
	return systems > 1 ? 0 : 1;
}
