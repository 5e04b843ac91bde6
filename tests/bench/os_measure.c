/* SPDX-License-Identifier: MIT */
/*
 * What Linux's programs pay for the things that tests/guests/unix/user/bench.c measures in the guest: the
 * same names, the same counts, the same output, "bench NAME: MIN MEDIAN" in nanoseconds.
 *
 * Words: quick, idle, console, as there; hello: prints a line and ends.
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
#define CONSOLE_KIB 256
#define PAGE        4096ul
#define PAGES       256

struct result {
	double min, median;
};

static double samples[MAX_BATCHES];
static unsigned batches = MAX_BATCHES;
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

static void print(const char *name, struct result r)
{
	printf("bench %s: %.0f %.0f\n", name, r.min, r.median);
	fflush(stdout);
}

static void print_better(const char *name, struct result a, struct result b)
{
	print(name, a.median < b.median ? a : b);
}

/* `most` times in each batch, or fewer where one takes so long that this would be a wait. */
static struct result measure(unsigned most, void (*once)(void))
{
	double start = now_ns(), one;
	unsigned count;

	once();
	one = now_ns() - start;
	count = one * most > BATCH_NS ? (unsigned)(BATCH_NS / one) + 1 : most;
	for (unsigned b = 0; b < batches; b++) {
		start = now_ns();
		for (unsigned i = 0; i < count; i++)
			once();
		samples[b] = (now_ns() - start) / count;
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
		munmap(p, PAGES * PAGE);
	}
	return summed_up();
}

static void all_page_faults(void)
{
	int fd = memfd_create("faults", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, PAGES * PAGE))
		exit(1);
	print_better("page fault", page_faults(-1, false), page_faults(fd, false));
	print_better("page fault in runs", page_faults(-1, true), page_faults(fd, true));
	close(fd);
}

static void echo(int in, int out)
{
	char c;

	while (read(in, &c, 1) == 1)
		if (write(out, &c, 1) != 1)
			break;
	_exit(0);
}

static void pipe_switch(void)
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
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	print("switch through a pipe", summed_up());
}

/*
 * A yield does not always switch: so the two take turns by a word that they share, and each yields
 * until it is its turn. The guest's program has no such word and needs none: its kernel always switches.
 * User-mode Linux's scheduler lets the one who yields run on for milliseconds: no figure there.
 */
static void yield_switch(void)
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
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	print("switch by yield", summed_up());
}

static void measure_all(void)
{
	struct sigaction action = { .sa_handler = on_signal };

	print("integer loop", measure(20, integers));
	print("floating-point loop", measure(20, floating));
	print("memory copy", copies());
	print("null system call", measure(2000, null_call));
	sigaction(SIGUSR1, &action, NULL);
	print("signal delivery", measure(300, signal_self));
	print("mmap and munmap", measure(300, map_and_unmap));
	print("mmap, touch 16 pages, munmap", measure(20, map_touch_and_unmap));
	all_page_faults();
	pipe_switch();
	if (getpid() != 1)
		yield_switch();
	print("fork and exit", measure(20, fork_and_exit));
	print("fork, exec and exit", measure(20, fork_exec_and_exit));
	print("event round trip", measure(300, raise_signal));
	print("timer lateness", lateness());
}

int main(int argc, char **argv)
{
	cpu_set_t one;

	if (argc > 1 && !strcmp(argv[1], "nothing"))
		return 0;
	if (argc > 1 && !strcmp(argv[1], "quick"))
		batches = QUICK;
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
