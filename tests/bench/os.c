/* SPDX-License-Identifier: MIT */
/*
 * What programs pay for system calls, faults, switches and processes: in the unix guest, beside native Linux
 * and beside User-mode Linux where that is installed, all in one run.
 *
 *   os PARAVANE GUEST_DIR MEASURE [ROUNDS [TSV]]
 *
 * MEASURE is the program of os_measure.c: it is run as it is, and as the first process of a User-mode Linux
 * (the command in $UML, or linux.uml). In the guest its counterpart is the program `bench`. Each round runs
 * every system once, so that a drift of the machine meets all. A figure is the median of the rounds' medians,
 * with the smallest minimum beside it. Every wait is limited; whoever does not end in time is killed.
 *
 * A round counts for a row when its native figure is at most NOISY times the smallest native minimum of
 * that row. Rounds are repeated until every row has as many that count as were asked for, there were
 * REPEATS times as many, or BUDGET_S is over; a row that has too few then is marked, and its medians are those of all rounds.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_ROUNDS 64
#define MAX_ROWS   32
#define LIMIT_S    120
#define NOISY      1.5
#define REPEATS    3
#define BUDGET_S   900 /* no round is begun for the sake of quiet after so long */

enum system { NATIVE, GUEST, UML, NR_SYSTEMS };

static const char *const system_names[] = { "native", "guest", "uml" };

struct figure {
	double min, med[MAX_ROUNDS]; /* of each round; 0: it was not measured */
};

static struct row {
	char name[64];
	struct figure of[NR_SYSTEMS];
} rows[MAX_ROWS];

static int nr_rows, nr_rounds;                     /* that were begun */
static char scratch[] = "/tmp/paravane-os.XXXXXX"; /* a folder */

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static bool is_quiet(const struct row *r, int round)
{
	const struct figure *native = &r->of[NATIVE];

	return native->med[round] && native->med[round] <= NOISY * native->min;
}

static int quiet_rounds(const struct row *r)
{
	int i, n = 0;

	for (i = 0; i < nr_rounds; i++)
		n += is_quiet(r, i);
	return n;
}

/* A row that is measured in the guest only has nothing to judge its rounds by: they all count. */
static bool has_enough(const struct row *r, int wanted)
{
	return !r->of[NATIVE].min || quiet_rounds(r) >= wanted;
}

/* Of the rounds that count, or of all. */
static double median(const struct row *r, enum system s, bool all)
{
	double v[MAX_ROUNDS];
	int i, n = 0;

	for (i = 0; i < nr_rounds; i++)
		if (r->of[s].med[i] && (all || is_quiet(r, i)))
			v[n++] = r->of[s].med[i];
	if (!n)
		return all ? 0 : median(r, s, true);
	qsort(v, (size_t)n, sizeof(v[0]), compare);
	return v[n / 2];
}

static void add(enum system s, const char *name, double min, double med)
{
	struct figure *f;
	int i;

	for (i = 0; i < nr_rows; i++)
		if (!strcmp(rows[i].name, name))
			break;
	if (i == MAX_ROWS)
		return;
	if (i == nr_rows)
		snprintf(rows[nr_rows++].name, sizeof(rows[0].name), "%s", name);
	f = &rows[i].of[s];
	if (!f->min || min < f->min)
		f->min = min;
	f->med[nr_rounds - 1] = med;
}

/* ---- running a system ------------------------------------------------------------------------- */

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static volatile pid_t running; /* leader of the group that is measured, or 0 */

/* Somebody ends us: nothing goes on without us. */
static void on_end(int sig)
{
	if (running)
		kill(-running, SIGKILL);
	_exit(128 + sig);
}

/* In a group of its own, so that all its processes can be ended. */
static pid_t start(char *const argv[], int *out)
{
	int p[2], in;
	pid_t pid;

	if (pipe2(p, O_CLOEXEC))
		return -1;
	pid = fork();
	if (pid == 0) {
		setpgid(0, 0);
		in = open("/dev/null", O_RDWR);
		dup2(in, 0);
		dup2(p[1], 1);
		dup2(in, 2);
		execvp(argv[0], argv);
		_exit(127);
	}
	close(p[1]);
	*out = p[0];
	return pid;
}

/* Reads lines until the end or the limit; returns how many figures there were. */
static int read_figures(enum system s, const char *suffix, int fd)
{
	double end = now_s() + LIMIT_S;
	char line[256], name[40], full[64];
	size_t len = 0;
	int found = 0;

	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		double left = end - now_s(), min, med;

		if (left <= 0 || poll(&p, 1, (int)(left * 1000) + 1) != 1 ||
		    read(fd, line + len, 1) != 1)
			return found;
		if (line[len] != '\n' && len < sizeof(line) - 2) {
			len++;
			continue;
		}
		line[len] = 0;
		len = 0;
		if (sscanf(line, "bench %39[^:]: %lf %lf", name, &min, &med) == 3) {
			snprintf(full, sizeof(full), "%s%s", name, suffix);
			add(s, full, min, med);
			found++;
		}
	}
}

/* suffix: for the names of the rows. Returns how many figures there were. */
static int run(enum system s, const char *suffix, char *const argv[])
{
	int out, found;
	pid_t pid = start(argv, &out);

	if (pid < 0)
		return 0;
	running = pid;
	found = read_figures(s, suffix, out);
	kill(-pid, SIGKILL);
	waitpid(pid, NULL, 0);
	running = 0;
	close(out);
	return found;
}

/* ---- User-mode Linux -------------------------------------------------------------------------- */

static void pad(FILE *f, long len)
{
	for (; len % 4; len++)
		fputc(0, f);
}

/* An entry of an archive in cpio's newc format, which is what the kernel unpacks as its root. */
static void entry(FILE *f, const char *name, unsigned mode, const char *data, long size)
{
	long name_len = (long)strlen(name) + 1;

	fprintf(f, "070701%08X%08X%08X%08X%08X%08X%08lX%08X%08X%08X%08X%08lX%08X", 1, mode, 0, 0, 1,
	        0, size, 0, 0, 0, 0, name_len, 0);
	fwrite(name, 1, (size_t)name_len, f);
	pad(f, 110 + name_len);
	if (size)
		fwrite(data, 1, (size_t)size, f);
	pad(f, size);
}

/* Its root: `measure` as /init. False when that cannot be made. */
static bool make_root(const char *measure, const char *path)
{
	FILE *in = fopen(measure, "rb"), *out = fopen(path, "wb");
	char *data = NULL;
	long size = 0;

	if (in && !fseek(in, 0, SEEK_END))
		size = ftell(in);
	if (size > 0)
		data = malloc((size_t)size);
	if (data && out && !fseek(in, 0, SEEK_SET) &&
	    fread(data, 1, (size_t)size, in) == (size_t)size) {
		entry(out, "init", 0100755, data, size);
		entry(out, "TRAILER!!!", 0, NULL, 0);
	} else {
		size = 0;
	}
	free(data);
	if (in)
		fclose(in);
	if (out && fclose(out))
		size = 0;
	return size > 0;
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

static bool is_program(const char *name)
{
	const char *path = getenv("PATH"), *end;
	char full[4096];

	if (strchr(name, '/'))
		return !access(name, X_OK);
	for (; path && *path; path = *end ? end + 1 : end) {
		end = strchrnul(path, ':');
		snprintf(full, sizeof(full), "%.*s/%s", (int)(end - path), path, name);
		if (!access(full, X_OK))
			return true;
	}
	return false;
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

static void print_row(FILE *tsv, const struct row *r, int wanted)
{
	bool noisy = !has_enough(r, wanted);
	double want = 0;
	int s, i;

	for (i = 0; asked[i].name; i++)
		if (!strcmp(asked[i].name, r->name))
			want = asked[i].ns;
	printf("%-30s", r->name);
	fprintf(tsv, "%s", r->name);
	for (s = 0; s < NR_SYSTEMS; s++) {
		double med = median(r, s, noisy);

		if (med) {
			printf(" %10.0f %10.0f", r->of[s].min, med);
			fprintf(tsv, "\t%.0f\t%.0f", r->of[s].min, med);
		} else {
			printf(" %10s %10s", "-", "-");
			fprintf(tsv, "\t\t");
		}
	}
	if (want)
		printf(" %10.0f", want);
	else
		printf(" %10s", "-");
	if (noisy)
		printf("  noisy: %d of %d rounds were quiet", quiet_rounds(r), nr_rounds);
	printf("\n");
	fprintf(tsv, "\t%.0f\t%d\n", want, noisy ? quiet_rounds(r) : wanted);
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
	fprintf(tsv, "\tasked\trounds\n");
	for (i = 0; i < nr_rows; i++)
		print_row(tsv, &rows[i], wanted);
}

static bool all_have_enough(int wanted)
{
	int i;

	for (i = 0; i < nr_rows; i++)
		if (!has_enough(&rows[i], wanted))
			return false;
	return true;
}

/* ---- a round ---------------------------------------------------------------------------------- */

struct setup {
	char *paravane, *measure, *uml; /* uml: NULL when there is none */
	char kernel[4096], root[64], initrd[80], umid[64];
};

static void one_round(struct setup *u)
{
	char *const native[] = { u->measure, NULL };
	char *const uml[] = { u->uml,
		              (char *)"mem=64M",
		              u->initrd,
		              u->umid,
		              (char *)"con0=fd:0,fd:1",
		              (char *)"con=null",
		              (char *)"ssl=null",
		              (char *)"quiet",
		              NULL };

	nr_rounds++;
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
	int most = wanted * REPEATS < MAX_ROUNDS ? wanted * REPEATS : MAX_ROUNDS;
	double end = now_s() + BUDGET_S;

	while (nr_rounds < wanted ||
	       (nr_rounds < most && now_s() < end && !all_have_enough(wanted))) {
		if (isatty(2))
			fprintf(stderr, "\rround %d, %d to %d", nr_rounds + 1, wanted, most);
		one_round(u);
	}
	if (isatty(2))
		fprintf(stderr, "\r                        \r");
}

int main(int argc, char **argv)
{
	char *uml_program = getenv("UML") ? getenv("UML") : (char *)"linux.uml";
	int wanted = argc > 4 ? atoi(argv[4]) : 5;
	FILE *tsv = fopen(argc > 5 ? argv[5] : "/dev/null", "w");
	static struct setup u;

	if (argc < 4 || wanted < 1 || wanted > MAX_ROUNDS || !tsv || !mkdtemp(scratch)) {
		fprintf(stderr, "usage: os PARAVANE GUEST_DIR MEASURE [ROUNDS(1-%d) [TSV]]\n",
		        MAX_ROUNDS);
		return 2;
	}
	u.paravane = argv[1];
	u.measure = argv[3];
	snprintf(u.kernel, sizeof(u.kernel), "%s/unix", argv[2]);
	snprintf(u.root, sizeof(u.root), "%s/root.cpio", scratch);
	snprintf(u.initrd, sizeof(u.initrd), "initrd=%s", u.root);
	snprintf(u.umid, sizeof(u.umid), "uml_dir=%s", scratch);
	if (is_program(uml_program) && make_root(u.measure, u.root))
		u.uml = uml_program;
	else
		printf("%s is not installed (package user-mode-linux): no figures of it\n",
		       uml_program);
	signal(SIGINT, on_end);
	signal(SIGTERM, on_end);
	all_rounds(&u, wanted);
	print_table(tsv, wanted);
	fclose(tsv);
	unlink(u.root);
	rmdir(scratch);
	return 0;
}
