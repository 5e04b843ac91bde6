/* SPDX-License-Identifier: MIT */
/*
 * The workloads of `make bench`; see workloads.h.
 */
#include "tests/bench/workloads.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/blk_native.h"

#define LIMIT_S       90
#define QUICK_LIMIT_S 12
#define DISK_BYTES    (64ull << 20)
#define CONSOLE_BYTES (256.0 * 1024)

#define CPU           "processor"
#define OS            "kernel"
#define TIME          "time and console"
#define DISK          "disk"
#define NET           "network"
#define ALL           "whole machine"

/* clang-format off */
/* One row, one line. */
const struct row_def row_defs[] = {
	{ "integer loop", "us", CPU, false, 1e-3, "10,000 steps of shifts, a multiplication, a table, a branch" },
	{ "floating-point loop", "us", CPU, false, 1e-3, "10,000 steps of a Mandelbrot point with a division" },
	{ "memory copy", "us", CPU, false, 1e-3, "4 MiB, larger than a core's own caches" },
	{ "null system call", "us", OS, false, 1e-3, "getpid" },
	{ "signal delivery", "us", OS, false, 1e-3, "to itself, the handler, its return" },
	{ "mmap and munmap", "us", OS, false, 1e-3, "16 pages, not touched" },
	{ "mmap, touch 16 pages, munmap", "us", OS, false, 1e-3, "the same, touched" },
	{ "page fault", "us", OS, false, 1e-3, "first touch of fresh memory, downwards: each alone" },
	{ "page fault in runs", "us", OS, false, 1e-3, "the same upwards" },
	{ "switch through a pipe", "us", OS, false, 1e-3, "half of a byte there and back between two processes" },
	{ "switch by yield", "us", OS, false, 1e-3, "half of a turn there and back" },
	{ "fork and exit", "us", OS, false, 1e-3, "and wait" },
	{ "fork, exec and exit", "us", OS, false, 1e-3, "and wait" },
	{ "event round trip", "us", TIME, false, 1e-3, "an event or interrupt raised by the kernel itself, to its handler and back; native: a signal" },
	{ "timer lateness", "us", TIME, false, 1e-3, "how much later than asked a sleep of 1 ms ends" },
	{ "console", "MB/s", TIME, true, 1e-6, "256 KiB of lines, to the reader outside" },
	{ "disk: 4 KiB random read, one at a time", "k/s", DISK, true, 1e-3, "image in memory (tmpfs)" },
	{ "disk: 4 KiB random read, 32 in flight", "k/s", DISK, true, 1e-3, "" },
	{ "disk: 4 KiB random write, one at a time", "k/s", DISK, true, 1e-3, "" },
	{ "disk: 4 KiB random write, 32 in flight", "k/s", DISK, true, 1e-3, "" },
	{ "disk: 128 KiB sequential read, 4 in flight", "MB/s", DISK, true, 0.131072, "" },
	{ "disk: 128 KiB sequential write, 4 in flight", "MB/s", DISK, true, 0.131072, "" },
	{ "network: UDP round trip", "us", NET, false, 1e-3, "over a TAP device to the host; native: over a veth pair" },
	{ "network: 64-byte packets out", "k/s", NET, true, 1e-3, "those that arrived" },
	{ "network: 64-byte packets in", "k/s", NET, true, 1e-3, "" },
	{ "network: one TCP stream out", "Gbit/s", NET, true, 8e-9, "" },
	{ "network: one TCP stream in", "Gbit/s", NET, true, 8e-9, "" },
	{ "start to first line of a program", "ms", ALL, false, 1e3, "from the start of the command" },
	{ "memory at rest", "MiB", ALL, false, 1.0 / 1024, "of all its processes, a guest of 128 MiB that sleeps in its shell's place" },
	{ NULL, NULL, NULL, false, 0, NULL },
};
/* clang-format on */

static const struct load loads[] = {
	{ "4 KiB random read, one at a time", false, false, 4096, 1 },
	{ "4 KiB random read, 32 in flight", false, false, 4096, 32 },
	{ "4 KiB random write, one at a time", true, false, 4096, 1 },
	{ "4 KiB random write, 32 in flight", true, false, 4096, 32 },
	{ "128 KiB sequential read, 4 in flight", false, true, 131072, 4 },
	{ "128 KiB sequential write, 4 in flight", true, true, 131072, 4 },
};

bool bench_add(struct bench *b, enum system s, const char *row, double best, double median)
{
	const struct row_def *d;

	for (d = row_defs; d->name; d++) {
		if (strcmp(d->name, row))
			continue;
		figures_add(&b->figures, figures_row(&b->figures, row, d->more_is_better), (int)s,
		            best * d->scale, median * d->scale);
		return true;
	}
	return false;
}

static struct bench_run child; /* one at a time */

bool bench_launch(struct bench *b, enum system s, const struct launch *l, struct bench_run *r)
{
	struct command c;

	return system_command(&b->places, s, l, &c) && bench_start(r, c.argv);
}

static bool start(struct bench *b, enum system s, const struct launch *l)
{
	return bench_launch(b, s, l, &child);
}

double bench_limit(const struct bench *b)
{
	return bench_now() + (b->quick ? QUICK_LIMIT_S : LIMIT_S);
}

/* Waits for a line that has such a text in it. */
static bool wait_for(struct bench *b, const char *text)
{
	double end = bench_limit(b);
	char line[512];

	while (bench_line(&child, line, sizeof(line), end))
		if (strstr(line, text))
			return true;
	return false;
}

/* Each "bench NAME: BEST MEDIAN" of what was started. */
static bool read_figures(struct bench *b, enum system s)
{
	double end = bench_limit(b), best, median;
	char line[512], name[FIG_NAME];
	bool found = false;

	while (bench_line(&child, line, sizeof(line), end) && !strstr(line, " exited "))
		if (sscanf(line, "bench %63[^:]: %lf %lf", name, &best, &median) == 3)
			found |= bench_add(b, s, name, best, median);
	bench_end(&child);
	return found;
}

bool run_programs(struct bench *b, enum system s)
{
	struct launch l = { .program = b->quick ? "quick" : "all" };

	return start(b, s, &l) && read_figures(b, s);
}

bool run_events(struct bench *b, enum system s)
{
	struct launch l = { .image = "bench", .cmdline = "only=event" };

	return start(b, s, &l) && read_figures(b, s);
}

bool run_console(struct bench *b, enum system s)
{
	struct launch l = { .program = "console" };
	double begun;
	bool ok;

	if (!start(b, s, &l))
		return false;
	ok = wait_for(b, "console begins");
	begun = bench_now();
	ok = ok && wait_for(b, "console ends");
	if (ok) {
		double rate = CONSOLE_BYTES / (bench_now() - begun);

		bench_add(b, s, "console", rate, rate);
	}
	bench_end(&child);
	return ok;
}

bool run_boot(struct bench *b, enum system s)
{
	struct launch l = { .program = "hello" };
	double begun = bench_now();
	bool ok;

	if (!start(b, s, &l))
		return false;
	ok = wait_for(b, "hello from user space");
	if (ok) {
		double took = bench_now() - begun;

		bench_add(b, s, "start to first line of a program", took, took);
	}
	bench_end(&child);
	return ok;
}

/* ---- memory ----------------------------------------------------------------------------------- */

/* The parent and the group of a process. */
static bool read_relations(long pid, long *parent, long *group)
{
	char path[64], text[512], *p;
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
	f = fopen(path, "r");
	if (!f)
		return false;
	n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[n] = 0;
	p = strrchr(text, ')');
	return p && sscanf(p + 2, "%*c %ld %ld", parent, group) == 2;
}

/* In the group, or a descendant. */
static bool belongs(long pid, long leader)
{
	long parent, group;
	int depth;

	for (depth = 0; depth < 16 && pid > 1; depth++, pid = parent) {
		if (!read_relations(pid, &parent, &group))
			return false;
		if (pid == leader || group == leader)
			return true;
	}
	return false;
}

/* Its share of the memory that it maps, in KiB. */
static double read_pss(long pid)
{
	char path[64], line[256];
	double kib = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%ld/smaps_rollup", pid);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "Pss: %lf", &kib) == 1)
			break;
	if (f)
		fclose(f);
	return kib;
}

static double all_pss(long leader)
{
	struct dirent *e;
	double sum = 0;
	DIR *d = opendir("/proc");

	while (d && (e = readdir(d))) {
		long pid = strtol(e->d_name, NULL, 10);

		if (pid > 0 && belongs(pid, leader))
			sum += read_pss(pid);
	}
	if (d)
		closedir(d);
	return sum;
}

bool run_idle(struct bench *b, enum system s)
{
	const struct timespec rest = { .tv_nsec = 300000000 };
	struct launch l = { .program = "idle" };
	double kib = 0;

	if (!start(b, s, &l))
		return false;
	if (wait_for(b, "bench idles")) {
		nanosleep(&rest, NULL);
		kib = all_pss(child.pid);
	}
	bench_end(&child);
	return kib > 0 && bench_add(b, s, "memory at rest", kib, kib);
}

/* ---- the disk --------------------------------------------------------------------------------- */

bool make_disk(struct bench *b, const char *path)
{
	const size_t piece = 1 << 20;
	size_t done;
	int fd;

	if (posix_memalign(&b->buffer, 4096, 32 * 131072))
		return false;
	memset(b->buffer, 0x5a, 32 * 131072);
	fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
	for (done = 0; fd >= 0 && done < DISK_BYTES; done += piece)
		if (write(fd, b->buffer, piece) != (ssize_t)piece)
			break;
	if (fd >= 0)
		close(fd);
	if (fd >= 0 && done < DISK_BYTES)
		unlink(path);
	return fd >= 0 && done == DISK_BYTES;
}

/* The best of all ways that Linux has. */
static double native_load(struct bench *b, const struct load *l, unsigned ms)
{
	double best = 0, rate;
	int way, direct, fd;

	for (way = 0; way < NR_WAYS; way++) {
		for (direct = 0; direct < 2; direct++) {
			fd = open(b->image, O_RDWR | O_CLOEXEC | (direct ? O_DIRECT : 0));
			if (fd < 0)
				continue;
			rate = native_run((enum way)way, l, fd, DISK_BYTES, b->buffer, ms);
			best = rate > best ? rate : best;
			close(fd);
		}
	}
	return best;
}

static double guest_load(struct bench *b, enum system s, unsigned nr, unsigned ms)
{
	double end = bench_limit(b), requests, ns, rate = 0;
	char cmdline[80], line[512];
	struct launch l = { .image = "blkbench", .cmdline = cmdline, .disk = b->image };

	snprintf(cmdline, sizeof(cmdline), "bench write=1 load=%u ms=%u", nr, ms);
	if (!start(b, s, &l))
		return 0;
	while (!rate && bench_line(&child, line, sizeof(line), end)) {
		const char *colon = strstr(line, ": ");

		if (!strncmp(line, "blk ", 4) && colon &&
		    sscanf(colon, ": %lf requests %lf ns", &requests, &ns) == 2 && ns > 0)
			rate = requests / ns * 1e9;
	}
	bench_end(&child);
	return rate;
}

bool run_disk(struct bench *b, enum system s)
{
	unsigned ms = b->quick ? 60 : 250, i;
	bool found = false;
	char row[FIG_NAME];

	if (!b->image || s == UML)
		return false;
	for (i = 0; i < sizeof(loads) / sizeof(loads[0]); i++) {
		double rate = s == NATIVE ? native_load(b, &loads[i], ms) : guest_load(b, s, i, ms);

		snprintf(row, sizeof(row), "disk: %s", loads[i].name);
		found |= rate > 0 && bench_add(b, s, row, rate, rate);
		if (!rate)
			break; /* no such disk here: the other loads would only wait, too */
	}
	return found;
}
