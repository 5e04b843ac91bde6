/* SPDX-License-Identifier: MIT */
/*
 * What a guest's disk costs: the loads of tests/guests/blkbench on an image, beside the same loads done natively on
 * the same file, by pread, AIO and io_uring, buffered and direct, all in one run.
 *
 *   blk PARAVANE GUEST_DIR TSV ROUNDS FOLDER...
 *
 * In each folder an image of 256 MiB is made, filled, and removed. A round runs every way once, so that a drift of
 * the machine meets all. The table has the median of the rounds and the best of them; native is the best way, by
 * medians. A row whose guest's best is over 1.5 times its median is marked noisy. CPU time is that of the
 * hypervisor's process and of the guest's, from /proc, while the load runs, without the start.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/blk_native.h"

#define SIZE       (256ull << 20)
#define NATIVE_MS  250
#define GUEST_MS   600
#define MAX_ROUNDS 31
#define LIMIT_S    60
#define NR_LOADS   6

static const struct load loads[NR_LOADS] = {
	{ "4 KiB random read, one at a time", false, false, 4096, 1 },
	{ "4 KiB random read, 32 in flight", false, false, 4096, 32 },
	{ "4 KiB random write, one at a time", true, false, 4096, 1 },
	{ "4 KiB random write, 32 in flight", true, false, 4096, 32 },
	{ "128 KiB sequential read, 4 in flight", false, true, 131072, 4 },
	{ "128 KiB sequential write, 4 in flight", true, true, 131072, 4 },
};

/* pread, AIO, io_uring; each buffered and direct; the guest, buffered and direct. */
enum { GUEST = 2 * NR_WAYS, NR_COLUMNS = GUEST + 2 };

static const char *const columns[NR_COLUMNS] = { "pread",      "pread direct", "aio",
	                                         "aio direct", "io_uring",     "io_uring direct",
	                                         "guest",      "guest direct" };

static struct cell {
	double rate[MAX_ROUNDS];
	int n;
	/* of the guest's last run */
	double requests, ns, notifications, events, hypervisor_us, guest_us;
} table[NR_LOADS][NR_COLUMNS];

static char *buffer;
static char image[4096];

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(struct cell *c)
{
	qsort(c->rate, (size_t)c->n, sizeof(c->rate[0]), compare);
	return c->n ? c->rate[c->n / 2] : 0;
}

static double best(struct cell *c)
{
	median(c);
	return c->n ? c->rate[c->n - 1] : 0;
}

static void add(struct cell *c, double rate)
{
	if (rate > 0 && c->n < MAX_ROUNDS)
		c->rate[c->n++] = rate;
}

/* ---- CPU time of the hypervisor and of its guest ----------------------------------------------- */

/* Ticks of user and system time, and the process group; false when it has gone. */
static bool read_stat(long pid, long *group, unsigned long *ticks)
{
	unsigned long user, sys;
	char path[64], line[1024], *p;
	FILE *f;
	size_t n;

	snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
	f = fopen(path, "r");
	if (!f)
		return false;
	n = fread(line, 1, sizeof(line) - 1, f);
	fclose(f);
	line[n] = 0;
	p = strrchr(line, ')');
	if (!p || sscanf(p + 2, "%*c %*d %ld %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", group, &user,
	                 &sys) != 3)
		return false;
	*ticks = user + sys;
	return true;
}

/* The hypervisor's own, and that of all others in its group: the guest's processes. */
static void cpu_time(long pid, double *own_us, double *guest_us)
{
	double tick_us = 1e6 / (double)sysconf(_SC_CLK_TCK);
	unsigned long ticks;
	struct dirent *e;
	long group;
	DIR *d;

	*own_us = *guest_us = 0;
	if (read_stat(pid, &group, &ticks))
		*own_us = (double)ticks * tick_us;
	d = opendir("/proc");
	while (d && (e = readdir(d))) {
		long child = strtol(e->d_name, NULL, 10);

		if (child > 0 && read_stat(child, &group, &ticks) && group == pid && child != pid)
			*guest_us += (double)ticks * tick_us;
	}
	if (d)
		closedir(d);
}

/* ---- the guest -------------------------------------------------------------------------------- */

static pid_t start_guest(const char *paravane, const char *kernel, unsigned load, bool direct,
                         FILE **out)
{
	char cmdline[64], disk[4200];
	int p[2];
	pid_t pid;

	snprintf(cmdline, sizeof(cmdline), "bench write=1 load=%u ms=%u", load, GUEST_MS);
	snprintf(disk, sizeof(disk), "%s%s", image, direct ? ",direct" : "");
	if (pipe2(p, O_CLOEXEC))
		return -1;
	pid = fork();
	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);

		setpgid(0, 0);
		dup2(null, 0);
		dup2(p[1], 1);
		dup2(null, 2);
		execl(paravane, paravane, "run", "--memory", "64M", "--timeout", "50", "--cmdline",
		      cmdline, "--disk", disk, kernel, (char *)NULL);
		_exit(127);
	}
	close(p[1]);
	*out = fdopen(p[0], "r");
	return pid;
}

/* The load begins behind the line about the disk and ends before its own line. */
static void run_guest(const char *paravane, const char *kernel, unsigned load, bool direct)
{
	struct cell *c = &table[load][GUEST + direct];
	double own[2] = { 0 }, guest[2] = { 0 };
	char line[256];
	FILE *out;
	pid_t pid = start_guest(paravane, kernel, load, direct, &out);

	if (pid < 0 || !out)
		return;
	alarm(LIMIT_S);
	while (fgets(line, sizeof(line), out)) {
		const char *colon = strstr(line, ": ");

		if (!strncmp(line, "disk ", 5))
			cpu_time(pid, &own[0], &guest[0]);
		if (strncmp(line, "blk ", 4) || !colon ||
		    sscanf(colon, ": %lf requests %lf ns %lf notifications %lf events",
		           &c->requests, &c->ns, &c->notifications, &c->events) != 4)
			continue;
		cpu_time(pid, &own[1], &guest[1]);
		c->hypervisor_us = own[1] - own[0];
		c->guest_us = guest[1] - guest[0];
		add(c, c->requests / c->ns * 1e9);
	}
	alarm(0);
	fclose(out);
	kill(-pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* ---- the whole -------------------------------------------------------------------------------- */

static bool make_image(const char *folder)
{
	size_t done;
	int fd;

	snprintf(image, sizeof(image), "%s/paravane-bench-%d.img", folder, (int)getpid());
	fd = open(image, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
	for (done = 0; fd >= 0 && done < SIZE; done += 1 << 20)
		if (write(fd, buffer, 1 << 20) != 1 << 20)
			break;
	if (fd >= 0) {
		fsync(fd);
		close(fd);
	}
	return fd >= 0 && done == SIZE;
}

static void run_native(unsigned load)
{
	int direct, way, fd;

	for (way = 0; way < NR_WAYS; way++) {
		for (direct = 0; direct < 2; direct++) {
			fd = open(image, O_RDWR | O_CLOEXEC | (direct ? O_DIRECT : 0));
			if (fd < 0)
				continue;
			add(&table[load][way * 2 + direct],
			    native_run((enum way)way, &loads[load], fd, SIZE, buffer, NATIVE_MS));
			close(fd);
		}
	}
}

static void print_rate(double rate, const struct load *l)
{
	if (!rate)
		printf(" %10s", "-");
	else if (l->sequential)
		printf(" %5.2f GB/s", rate * l->bytes / 1e9);
	else
		printf(" %8.1f k", rate / 1e3);
}

static void print_load(FILE *tsv, const char *folder, unsigned load)
{
	const struct load *l = &loads[load];
	double native = 0, guest = 0;
	const struct cell *used = NULL;
	bool noisy = false;
	int i;

	printf("%-38s", l->name);
	for (i = 0; i < NR_COLUMNS; i++) {
		struct cell *c = &table[load][i];
		double m = median(c);

		print_rate(m, l);
		fprintf(tsv, "%s\t%s\t%s\t%.0f\t%.0f\n", folder, l->name, columns[i], m, best(c));
		if (i < GUEST && m > native)
			native = m;
		if (i >= GUEST && m > guest) {
			guest = m;
			used = c;
			noisy = best(c) > 1.5 * m;
		}
	}
	if (used && native)
		printf("  %4.2f  %5.2f  %5.2f  %5.3f  %5.3f%s", guest / native,
		       used->hypervisor_us / used->requests, used->guest_us / used->requests,
		       used->notifications / used->requests, used->events / used->requests,
		       noisy ? "  noisy" : "");
	printf("\n%-38s", "   best of the rounds");
	for (i = 0; i < NR_COLUMNS; i++)
		print_rate(best(&table[load][i]), l);
	printf("\n");
}

static void print_table(FILE *tsv, const char *folder)
{
	unsigned i;

	printf("\n%s: medians; ratio of guest to the best native; of the better guest column for a "
	       "request: CPU time in us of\n"
	       "hypervisor and guest, notifications, events\n%-38s",
	       folder, "");
	for (i = 0; i < NR_COLUMNS; i++)
		printf(" %10.10s", columns[i]);
	printf("  ratio  hyp   guest  notif  event\n");
	for (i = 0; i < NR_LOADS; i++)
		print_load(tsv, folder, i);
	fflush(stdout);
}

static void on_alarm(int sig)
{
	(void)sig; /* so that a read ends */
}

int main(int argc, char **argv)
{
	struct sigaction sa = { .sa_handler = on_alarm };
	int rounds, f, round;
	char kernel[4096];
	unsigned load;
	FILE *tsv;

	if (argc < 6) {
		fprintf(stderr, "usage: blk PARAVANE GUEST_DIR TSV ROUNDS FOLDER...\n");
		return 2;
	}
	sigaction(SIGALRM, &sa, NULL);
	rounds = atoi(argv[4]) < MAX_ROUNDS ? atoi(argv[4]) : MAX_ROUNDS;
	snprintf(kernel, sizeof(kernel), "%s/blkbench", argv[2]);
	tsv = fopen(argv[3], "w");
	if (!tsv || posix_memalign((void **)&buffer, 4096, 32 * 131072))
		return 2;
	memset(buffer, 0x5a, 32 * 131072);
	for (f = 5; f < argc; f++) {
		memset(table, 0, sizeof(table));
		if (!make_image(argv[f])) {
			fprintf(stderr, "blk: no image of 256 MiB can be made in %s\n", argv[f]);
			unlink(image);
			continue;
		}
		for (round = 0; round < rounds; round++) {
			for (load = 0; load < NR_LOADS; load++) {
				run_native(load);
				run_guest(argv[1], kernel, load, false);
				run_guest(argv[1], kernel, load, true);
			}
		}
		unlink(image);
		print_table(tsv, argv[f]);
	}
	return fclose(tsv) ? 2 : 0;
}
