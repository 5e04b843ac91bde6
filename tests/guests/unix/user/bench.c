/* SPDX-License-Identifier: MIT */
/*
 * bench: what the things cost that programs ask of a kernel. Prints "bench NAME: MIN MEDIAN" in
 * nanoseconds for one of each. tests/bench/os.c measures the same by the same names elsewhere, and
 * puts the figures side by side.
 */
#include "tests/guests/unix/user/lib/unix.h"

#define BATCHES 31
#define PAGE    4096ul
#define PAGES   256

static uint64_t samples[BATCHES];

static void report(const char *name)
{
	unsigned int i, j;

	for (i = 1; i < BATCHES; i++) {
		uint64_t v = samples[i];

		for (j = i; j > 0 && samples[j - 1] > v; j--)
			samples[j] = samples[j - 1];
		samples[j] = v;
	}
	printf("bench %s: %lu %lu\n", name, (unsigned long)samples[0],
	       (unsigned long)samples[BATCHES / 2]);
}

/* `count` calls of once() in each batch. */
static void measure(const char *name, unsigned int count, void (*once)(void))
{
	unsigned int b, i;

	once();
	for (b = 0; b < BATCHES; b++) {
		uint64_t start = clock_ns();

		for (i = 0; i < count; i++)
			once();
		samples[b] = (clock_ns() - start) / count;
	}
	report(name);
}

static void null_call(void)
{
	getpid();
}

static void on_signal(int sig, struct unix_sigframe *frame)
{
	(void)sig;
	(void)frame;
}

static void signal_self(void)
{
	kill(getpid(), SIGUSR1);
}

static void map_and_unmap(void)
{
	munmap((void *)mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE), 16 * PAGE);
}

static void map_touch_and_unmap(void)
{
	char *p = (char *)mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE);
	unsigned int i;

	for (i = 0; i < 16; i++)
		*(volatile char *)(p + i * PAGE) = 1;
	munmap(p, 16 * PAGE);
}

static void fork_and_exit(void)
{
	int status, pid = fork();

	if (pid == 0)
		exit(0);
	waitpid(pid, &status, 0);
}

static void fork_exec_and_exit(void)
{
	char *argv[] = { "bench", "nothing", NULL };
	int status, pid = fork();

	if (pid == 0) {
		exec("/bin/bench", argv);
		exit(1);
	}
	waitpid(pid, &status, 0);
}

/* First touches of fresh pages, upwards (which is a run) or downwards (each alone). */
static void page_faults(const char *name, bool upwards)
{
	unsigned int b, i;

	for (b = 0; b < BATCHES; b++) {
		char *p = (char *)mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE);
		uint64_t start = clock_ns();

		for (i = 0; i < PAGES; i++)
			*(volatile char *)(p + (upwards ? i : PAGES - 1 - i) * PAGE) = 1;
		samples[b] = (clock_ns() - start) / PAGES;
		munmap(p, PAGES * PAGE);
	}
	report(name);
}

/* The child of a pair of pipes: sends back what it gets, until the other end closes. */
static int start_echo(int to[2], int from[2])
{
	char c;
	int pid;

	pipe(to);
	pipe(from);
	pid = fork();
	if (pid)
		return pid;
	close(to[1]);
	close(from[0]);
	while (read(to[0], &c, 1) == 1)
		write(from[1], &c, 1);
	exit(0);
}

/* There and back through two pipes is two switches. */
static void pipe_switch(void)
{
	enum { ROUNDS = 200 };
	int to[2], from[2], pid = start_echo(to, from), status;
	unsigned int b, i;
	char c = 0;

	close(to[0]);
	close(from[1]);
	for (b = 0; b < BATCHES; b++) {
		uint64_t start = clock_ns();

		for (i = 0; i < ROUNDS; i++) {
			write(to[1], &c, 1);
			read(from[0], &c, 1);
		}
		samples[b] = (clock_ns() - start) / (2 * ROUNDS);
	}
	close(to[1]);
	close(from[0]);
	waitpid(pid, &status, 0);
	report("switch through a pipe");
}

/* With one vCPU every yield is a switch: ours to the other process, and the other's back. */
static void yield_switch(void)
{
	enum { ROUNDS = 200 };
	int pid = fork(), status;
	unsigned int b, i;

	if (pid == 0)
		for (;;)
			yield();
	for (b = 0; b < BATCHES; b++) {
		uint64_t start = clock_ns();

		for (i = 0; i < ROUNDS; i++)
			yield();
		samples[b] = (clock_ns() - start) / (2 * ROUNDS);
	}
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	report("switch by yield");
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "nothing"))
		return 0;
	measure("null system call", 2000, null_call);
	sigaction(SIGUSR1, on_signal);
	measure("signal delivery", 300, signal_self);
	measure("mmap and munmap", 300, map_and_unmap);
	measure("mmap, touch 16 pages, munmap", 20, map_touch_and_unmap);
	page_faults("page fault", false);
	page_faults("page fault in runs", true);
	pipe_switch();
	yield_switch();
	measure("fork and exit", 20, fork_and_exit);
	measure("fork, exec and exit", 20, fork_exec_and_exit);
	return 0;
}
