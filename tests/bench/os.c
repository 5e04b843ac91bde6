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

#define MAX_ROUNDS 32
#define MAX_ROWS   32
#define LIMIT_S    120

enum system { NATIVE, GUEST, UML, NR_SYSTEMS };

static const char *const system_names[] = { "native", "guest", "uml" };

struct figure {
	double min, med[MAX_ROUNDS];
	int rounds;
};

static struct row {
	char name[40];
	struct figure of[NR_SYSTEMS];
} rows[MAX_ROWS];

static int nr_rows;
static char scratch[] = "/tmp/paravane-os.XXXXXX"; /* a folder */

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(struct figure *f)
{
	qsort(f->med, (size_t)f->rounds, sizeof(f->med[0]), compare);
	return f->med[f->rounds / 2];
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
	if (!f->rounds || min < f->min)
		f->min = min;
	if (f->rounds < MAX_ROUNDS)
		f->med[f->rounds++] = med;
}

/* ---- running a system ------------------------------------------------------------------------- */

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
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
static int read_figures(enum system s, int fd)
{
	double end = now_s() + LIMIT_S;
	char line[256], name[40];
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
			add(s, name, min, med);
			found++;
		}
	}
}

static int run(enum system s, char *const argv[])
{
	int out, found;
	pid_t pid = start(argv, &out);

	if (pid < 0)
		return 0;
	found = read_figures(s, out);
	kill(-pid, SIGKILL);
	waitpid(pid, NULL, 0);
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
	{ "null system call", 6000 },   { "page fault", 12000 },
	{ "page fault in runs", 4000 }, { "switch through a pipe", 15000 },
	{ "fork and exit", 300000 },    { NULL, 0 },
};

static void print_row(FILE *tsv, struct row *r)
{
	const char *sep = "";
	double want = 0;
	int s, i;

	for (i = 0; asked[i].name; i++)
		if (!strcmp(asked[i].name, r->name))
			want = asked[i].ns;
	printf("%-30s", r->name);
	fprintf(tsv, "%s", r->name);
	for (s = 0; s < NR_SYSTEMS; s++) {
		struct figure *f = &r->of[s];

		if (f->rounds) {
			printf(" %10.0f %10.0f", f->min, median(f));
			fprintf(tsv, "\t%.0f\t%.0f", f->min, median(f));
		} else {
			printf(" %10s %10s", "-", "-");
			fprintf(tsv, "\t\t");
		}
	}
	if (want)
		printf("%s %10.0f", sep, want);
	printf("\n");
	fprintf(tsv, "\t%.0f\n", want);
}

static void print_table(FILE *tsv)
{
	int s, i;

	printf("%-30s", "nanoseconds");
	fprintf(tsv, "name");
	for (s = 0; s < NR_SYSTEMS; s++) {
		printf(" %6s min %10s", system_names[s], "median");
		fprintf(tsv, "\t%s_min\t%s_median", system_names[s], system_names[s]);
	}
	printf(" %10s\n", "asked for");
	fprintf(tsv, "\tasked\n");
	for (i = 0; i < nr_rows; i++)
		print_row(tsv, &rows[i]);
}

int main(int argc, char **argv)
{
	char root[sizeof(scratch) + 16], initrd[sizeof(root) + 16], kernel[4096],
		umid[sizeof(scratch) + 16];
	char *uml_program = getenv("UML") ? getenv("UML") : (char *)"linux.uml";
	int rounds = argc > 4 ? atoi(argv[4]) : 5, i;
	FILE *tsv = fopen(argc > 5 ? argv[5] : "/dev/null", "w");
	bool has_uml;

	if (argc < 4 || rounds < 1 || rounds > MAX_ROUNDS || !tsv || !mkdtemp(scratch)) {
		fprintf(stderr, "usage: os PARAVANE GUEST_DIR MEASURE [ROUNDS(1-%d) [TSV]]\n",
		        MAX_ROUNDS);
		return 2;
	}
	snprintf(root, sizeof(root), "%s/root.cpio", scratch);
	snprintf(initrd, sizeof(initrd), "initrd=%s", root);
	snprintf(umid, sizeof(umid), "uml_dir=%s", scratch);
	snprintf(kernel, sizeof(kernel), "%s/unix", argv[2]);
	has_uml = is_program(uml_program) && make_root(argv[3], root);
	for (i = 0; i < rounds; i++) {
		char *const native[] = { argv[3], NULL };
		char *const guest[] = { argv[1],
			                (char *)"run",
			                (char *)"--cmdline",
			                (char *)"run=bench",
			                (char *)"--timeout",
			                (char *)"100",
			                kernel,
			                NULL };
		char *const uml[] = { uml_program,
			              (char *)"mem=64M",
			              initrd,
			              umid,
			              (char *)"con0=fd:0,fd:1",
			              (char *)"con=null",
			              (char *)"ssl=null",
			              (char *)"quiet",
			              NULL };

		if (isatty(2))
			fprintf(stderr, "\rround %d of %d", i + 1, rounds);
		run(NATIVE, native);
		if (!run(GUEST, guest))
			fprintf(stderr, "os: the guest printed no figures\n");
		if (has_uml && !run(UML, uml))
			fprintf(stderr, "os: User-mode Linux printed no figures\n");
	}
	if (isatty(2))
		fprintf(stderr, "\r                \r");
	if (!has_uml)
		printf("%s is not installed (package user-mode-linux): no figures of it\n",
		       uml_program);
	print_table(tsv);
	fclose(tsv);
	unlink(root);
	rmdir(scratch);
	return 0;
}
