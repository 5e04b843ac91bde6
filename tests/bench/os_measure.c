/* SPDX-License-Identifier: MIT */
/*
 * What Linux's programs pay for the things that tests/guests/unix/user/bench.c measures in the guest: the
 * same names, the same counts, the same output, "bench NAME: MIN MEDIAN" in nanoseconds.
 *
 * Words: quick, idle, console, count, as there; hello: prints a line and ends.
 *
 * Where Linux offers several ways, the cheaper one counts. Runs natively, pinned to one core as the guest's
 * one vCPU is; and as the first process of a machine (User-mode Linux), which it switches off when it is done.
 * Linked statically, so that it needs nothing else there and its forks have little to copy.
 */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "tests/bench/loops.h"

#define MAX_BATCHES 31
#define QUICK       7
#define BATCH_NS    20e6
#define COUNTED     3 /* batches */
#define REST_US     300000
#define CONSOLE_KIB 256
#define PAGE        4096ul
#define PAGES       256

struct result {
	double min, median;
};

static double samples[MAX_BATCHES];
static unsigned batches = MAX_BATCHES;
static bool is_counted;
static unsigned long done; /* of what the row is about */
static char *self;

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static struct result summed_up(void)
{
	qsort(samples, batches, sizeof(samples[0]), compare);
	return (struct result){ samples[0], samples[batches / 2] };
}

static struct result better(struct result a, struct result b)
{
	return a.median < b.median ? a : b;
}

/* `most` times in each batch, or fewer where one takes so long that this would be a wait. */
static struct result measure(unsigned most, void (*once)(void))
{
	double start = now_ns(), one;
	unsigned count;

	once();
	one = now_ns() - start;
	count = one * most > BATCH_NS && !is_counted ? (unsigned)(BATCH_NS / one) + 1 : most;
	for (unsigned b = 0; b < batches; b++) {
		start = now_ns();
		for (unsigned i = 0; i < count; i++)
			once();
		samples[b] = (now_ns() - start) / count;
		done += count;
	}
	return summed_up();
}

static uint64_t kept;
static void *memory;

static void integers(void)
{
	kept += loop_integer(kept);
}

static void floating(void)
{
	kept += loop_floating(-0.5) > 0;
}

static void memory_copy(void)
{
	loop_memory(memory);
}

static struct result copies(void)
{
	struct result r;

	memory = mmap(NULL, 2 * LOOP_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
	              0);
	if (memory == MAP_FAILED)
		exit(1);
	memset(memory, 1, 2 * LOOP_BYTES);
	r = measure(4, memory_copy);
	munmap(memory, 2 * LOOP_BYTES); /* what stays would be copied by each fork */
	return r;
}

/* The slack that Linux allows itself is set to the least. */
static struct result lateness(void)
{
	const struct timespec asked = { .tv_nsec = 1000000 };

	prctl(PR_SET_TIMERSLACK, 1ul);
	for (unsigned b = 0; b < batches; b++) {
		double start = now_ns();

		clock_nanosleep(CLOCK_MONOTONIC, 0, &asked, NULL);
		samples[b] = now_ns() - start - 1e6;
	}
	return summed_up();
}

static void console(void)
{
	static const char line[] =
		"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.\n";
	char text[1024];

	for (unsigned i = 0; i < sizeof(text); i++)
		text[i] = line[i % (sizeof(line) - 1)];
	printf("console begins\n");
	fflush(stdout);
	for (unsigned i = 0; i < CONSOLE_KIB; i++)
		if (write(1, text, sizeof(text)) != sizeof(text))
			exit(1);
	printf("console ends\n");
	fflush(stdout);
}

static void null_call(void)
{
	syscall(SYS_getppid);
}

static void on_signal(int sig)
{
	(void)sig;
}

static void signal_self(void)
{
	kill(getpid(), SIGUSR1);
}

static void raise_signal(void)
{
	raise(SIGUSR1);
}

static void map_and_unmap(void)
{
	munmap(mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
	       16 * PAGE);
}

static void map_touch_and_unmap(void)
{
	char *p = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	for (unsigned i = 0; i < 16; i++)
		*(volatile char *)(p + i * PAGE) = 1;
	munmap(p, 16 * PAGE);
}

static void fork_and_exit(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	waitpid(pid, NULL, 0);
}

static void fork_exec_and_exit(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		execl(self, self, "nothing", NULL);
		_exit(1);
	}
	waitpid(pid, NULL, 0);
}

/* First touches of fresh pages, of a memfd or without a file; single pages, no large ones. */
static struct result page_faults(int fd, bool upwards)
{
	for (unsigned b = 0; b < batches; b++) {
		char *p = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE,
		               fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED, fd, 0);
		double start;

		if (p == MAP_FAILED)
			exit(1);
		madvise(p, PAGES * PAGE, MADV_NOHUGEPAGE);
		start = now_ns();
		for (unsigned i = 0; i < PAGES; i++)
			*(volatile char *)(p + (upwards ? i : PAGES - 1 - i) * PAGE) = 1;
		samples[b] = (now_ns() - start) / PAGES;
		done += PAGES;
		munmap(p, PAGES * PAGE);
	}
	return summed_up();
}

/* The cheaper way; to be counted, the usual one. */
static struct result page_faults_in(bool upwards)
{
	struct result r = page_faults(-1, upwards);
	int fd = is_counted ? -1 : memfd_create("faults", MFD_CLOEXEC);

	if (fd < 0)
		return r;
	if (ftruncate(fd, PAGES * PAGE))
		exit(1);
	r = better(r, page_faults(fd, upwards));
	close(fd);
	return r;
}

static struct result faults_alone(void)
{
	return page_faults_in(false);
}

static struct result faults_in_runs(void)
{
	return page_faults_in(true);
}

static void echo(int in, int out)
{
	char c;

	while (read(in, &c, 1) == 1)
		if (write(out, &c, 1) != 1)
			break;
	_exit(0);
}

static struct result pipe_switch(void)
{
	enum { ROUNDS = 200 };
	int to[2], from[2];
	char c = 0;
	pid_t pid;

	if (pipe(to) || pipe(from))
		exit(1);
	pid = fork();
	if (pid == 0) {
		close(to[1]);
		echo(to[0], from[1]);
	}
	for (unsigned b = 0; b < batches; b++) {
		double start = now_ns();

		for (unsigned i = 0; i < ROUNDS; i++)
			if (write(to[1], &c, 1) != 1 || read(from[0], &c, 1) != 1)
				exit(1);
		samples[b] = (now_ns() - start) / (2 * ROUNDS);
		done += 2 * ROUNDS;
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return summed_up();
}

/*
 * A yield does not always switch: so the two take turns by a word that they share, and each yields
 * until it is its turn. The guest's program has no such word and needs none: its kernel always switches.
 * User-mode Linux's scheduler lets the one who yields run on for milliseconds: no figure there.
 */
static struct result yield_switch(void)
{
	enum { ROUNDS = 200 };
	volatile int *turn = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
	                          -1, 0);
	pid_t pid;

	if (turn == MAP_FAILED)
		exit(1);
	pid = fork();
	while (pid == 0) {
		*turn = 0;
		while (!*turn)
			sched_yield();
	}
	for (unsigned b = 0; b < batches; b++) {
		double start = now_ns();

		for (unsigned i = 0; i < ROUNDS; i++) {
			*turn = 1;
			while (*turn)
				sched_yield();
		}
		samples[b] = (now_ns() - start) / (2 * ROUNDS);
		done += 2 * ROUNDS;
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return summed_up();
}

/* Past the page cache. */
static struct result disk_reads(void)
{
	enum { READS = 200 };
	int fd = open("/dev/xvda", O_RDONLY | O_DIRECT);
	void *to = NULL;

	if (fd < 0 || posix_memalign(&to, PAGE, PAGE))
		exit(1);
	for (unsigned b = 0; b < batches; b++) {
		double start = now_ns();

		for (unsigned i = 0; i < READS; i++)
			if (pread(fd, to, PAGE, (off_t)(i * PAGE)) != (ssize_t)PAGE)
				exit(1);
		samples[b] = (now_ns() - start) / READS;
		done += READS;
	}
	free(to);
	close(fd);
	return summed_up();
}

/* Of what asks the kernel for nothing there is nothing to count. */
static bool is_timed(void)
{
	return !is_counted;
}

static bool can_yield(void)
{
	return getpid() != 1;
}

/* A guest's own disk, to be counted; as a figure it would stand beside nothing. */
static bool has_disk(void)
{
	return is_counted && !access("/dev/xvda", R_OK);
}

static const struct row {
	const char *name;
	unsigned most; /* times in a batch of `once`; */
	void (*once)(void);
	struct result (*run)(void); /* or by itself */
	bool (*is_possible)(void);  /* NULL: always */
} rows[] = {
	{ "integer loop", 20, integers, NULL, is_timed },
	{ "floating-point loop", 20, floating, NULL, is_timed },
	{ "memory copy", 0, NULL, copies, is_timed },
	{ "null system call", 2000, null_call, NULL, NULL },
	{ "signal delivery", 300, signal_self, NULL, NULL },
	{ "mmap and munmap", 300, map_and_unmap, NULL, NULL },
	{ "mmap, touch 16 pages, munmap", 20, map_touch_and_unmap, NULL, NULL },
	{ "page fault", 0, NULL, faults_alone, NULL },
	{ "page fault in runs", 0, NULL, faults_in_runs, NULL },
	{ "switch through a pipe", 0, NULL, pipe_switch, NULL },
	{ "switch by yield", 0, NULL, yield_switch, can_yield },
	{ "fork and exit", 20, fork_and_exit, NULL, NULL },
	{ "fork, exec and exit", 20, fork_exec_and_exit, NULL, NULL },
	{ "event round trip", 300, raise_signal, NULL, NULL },
	{ "timer lateness", 0, NULL, lateness, is_timed },
	{ "disk read of 4 KiB", 0, NULL, disk_reads, has_disk },
};

static void do_row(const struct row *r)
{
	struct result x;

	if (is_counted) {
		printf("count begin %s\n", r->name);
		usleep(REST_US);
		done = 0;
	}
	x = r->run ? r->run() : measure(r->most, r->once);
	if (!is_counted) {
		printf("bench %s: %.0f %.0f\n", r->name, x.min, x.median);
		return;
	}
	printf("count end %s: %lu %.0f\n", r->name, done, x.median);
	usleep(REST_US);
}

static void measure_all(void)
{
	struct sigaction action = { .sa_handler = on_signal };

	sigaction(SIGUSR1, &action, NULL);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (!rows[i].is_possible || rows[i].is_possible())
			do_row(&rows[i]);
}

int main(int argc, char **argv)
{
	cpu_set_t one;

	if (argc > 1 && !strcmp(argv[1], "nothing"))
		return 0;
	if (argc > 1 && !strcmp(argv[1], "quick"))
		batches = QUICK;
	if (argc > 1 && !strcmp(argv[1], "count")) {
		is_counted = true;
		batches = COUNTED;
	}
	self = argv[0];
	CPU_ZERO(&one);
	CPU_SET((unsigned)sched_getcpu(), &one);
	sched_setaffinity(0, sizeof(one), &one);
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc > 1 && !strcmp(argv[1], "hello"))
		puts("hello from user space");
	else if (argc > 1 && !strcmp(argv[1], "console"))
		console();
	else if (argc > 1 && !strcmp(argv[1], "idle"))
		puts("bench idles"), sleep(60);
	else
		measure_all();
	if (getpid() == 1) {
		sync();
		reboot(RB_POWER_OFF);
	}
	return 0;
}
