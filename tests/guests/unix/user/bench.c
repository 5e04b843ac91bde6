/* SPDX-License-Identifier: MIT */
/*
 * bench [quick|all] [NAME]: what the things cost that programs ask of a kernel, and loops that ask nothing of
 * it. Prints "bench NAME: MIN MEDIAN" in nanoseconds for one of each, or only for those that begin with
 * NAME; "quick": of fewer. tests/bench/os_measure.c measures the same by the same names elsewhere, and
 * tests/bench puts the figures side by side.
 *
 *   bench hello     a line
 *   bench idle      says so, and sleeps
 *   bench console   CONSOLE_KIB of text between two lines "console begins" and "console ends"
 *   bench count     as quick, with a line and a rest before and after each, in which tests/bench/exits.c reads what
 *                   the hypervisor has counted: "count begin NAME", "count end NAME: N NS"
 */
#include "tests/bench/loops.h"
#include "tests/guests/unix/user/lib/unix.h"

#define MAX_BATCHES 31
#define QUICK       7           /* batches */
#define BATCH_NS    20000000ull /* no batch is meant to last longer */
#define COUNTED     3           /* likewise, of bench count */
#define REST_NS     300000000ull
#define CONSOLE_KIB 256
#define PAGE        4096ul
#define PAGES       256

/* One figure. run() fills samples[]. */
struct row {
	const char *name;
	void (*run)(const struct row *r);
	void (*once)(void); /* for repeat(): so often in each batch */
	unsigned int count;
	bool is_time_only; /* asks the kernel for nothing: not to be counted */
};

static uint64_t samples[MAX_BATCHES];
static unsigned int batches = MAX_BATCHES;
static bool is_counted;
static unsigned long done; /* of what the row is about */

static void sort_samples(void)
{
	unsigned int i, j;

	for (i = 1; i < batches; i++) {
		uint64_t v = samples[i];

		for (j = i; j > 0 && samples[j - 1] > v; j--)
			samples[j] = samples[j - 1];
		samples[j] = v;
	}
}

static void repeat(const struct row *r)
{
	uint64_t start = clock_ns(), one;
	unsigned int b, i, count = r->count;

	r->once();
	one = clock_ns() - start;
	if (one * count > BATCH_NS && !is_counted)
		count = (unsigned int)(BATCH_NS / one) + 1;
	for (b = 0; b < batches; b++) {
		start = clock_ns();
		for (i = 0; i < count; i++)
			r->once();
		samples[b] = (clock_ns() - start) / count;
		done += count;
	}
}

static uint64_t kept; /* so that no loop is in vain */
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

static void copies(const struct row *r)
{
	long at = mmap(NULL, 2 * LOOP_BYTES, PROT_READ | PROT_WRITE);

	if (at < 0)
		return;
	memory = (void *)at;
	memset(memory, 1, 2 * LOOP_BYTES);
	repeat(r);
	munmap(memory, 2 * LOOP_BYTES);
}

/* How much later than asked a sleep of a millisecond ends. */
static void lateness(const struct row *r)
{
	enum { ASKED = 1000000 };
	unsigned int b;

	(void)r;
	for (b = 0; b < batches; b++) {
		uint64_t start = clock_ns(), took;

		sleep_ns(ASKED);
		took = clock_ns() - start;
		samples[b] = took > ASKED ? took - ASKED : 1;
	}
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

static void signals(const struct row *r)
{
	sigaction(SIGUSR1, on_signal);
	repeat(r);
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
static void page_faults(bool upwards)
{
	unsigned int b, i;

	for (b = 0; b < batches; b++) {
		char *p = (char *)mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE);
		uint64_t start = clock_ns();

		for (i = 0; i < PAGES; i++)
			*(volatile char *)(p + (upwards ? i : PAGES - 1 - i) * PAGE) = 1;
		samples[b] = (clock_ns() - start) / PAGES;
		done += PAGES;
		munmap(p, PAGES * PAGE);
	}
}

static void faults_alone(const struct row *r)
{
	(void)r;
	page_faults(false);
}

static void faults_in_runs(const struct row *r)
{
	(void)r;
	page_faults(true);
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
static void pipe_switch(const struct row *r)
{
	enum { ROUNDS = 200 };
	int to[2], from[2], pid = start_echo(to, from), status;
	unsigned int b, i;
	char c = 0;

	(void)r;
	close(to[0]);
	close(from[1]);
	for (b = 0; b < batches; b++) {
		uint64_t start = clock_ns();

		for (i = 0; i < ROUNDS; i++) {
			write(to[1], &c, 1);
			read(from[0], &c, 1);
		}
		samples[b] = (clock_ns() - start) / (2 * ROUNDS);
		done += 2 * ROUNDS;
	}
	close(to[1]);
	close(from[0]);
	waitpid(pid, &status, 0);
}

/* With one vCPU every yield is a switch: ours to the other process, and the other's back. */
static void yield_switch(const struct row *r)
{
	enum { ROUNDS = 200 };
	int pid = fork(), status;
	unsigned int b, i;

	(void)r;
	if (pid == 0)
		for (;;)
			yield();
	for (b = 0; b < batches; b++) {
		uint64_t start = clock_ns();

		for (i = 0; i < ROUNDS; i++)
			yield();
		samples[b] = (clock_ns() - start) / (2 * ROUNDS);
		done += 2 * ROUNDS;
	}
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
}

static const struct row rows[] = {
	{ "integer loop", repeat, integers, 20, true },
	{ "floating-point loop", repeat, floating, 20, true },
	{ "memory copy", copies, memory_copy, 4, true },
	{ "null system call", repeat, null_call, 2000, false },
	{ "signal delivery", signals, signal_self, 300, false },
	{ "mmap and munmap", repeat, map_and_unmap, 300, false },
	{ "mmap, touch 16 pages, munmap", repeat, map_touch_and_unmap, 20, false },
	{ "page fault", faults_alone, NULL, 0, false },
	{ "page fault in runs", faults_in_runs, NULL, 0, false },
	{ "switch through a pipe", pipe_switch, NULL, 0, false },
	{ "switch by yield", yield_switch, NULL, 0, false },
	{ "fork and exit", repeat, fork_and_exit, 20, false },
	{ "fork, exec and exit", repeat, fork_exec_and_exit, 20, false },
	{ "timer lateness", lateness, NULL, 0, true },
};

static void console(void)
{
	static const char line[] =
		"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.\n";
	char text[1024];
	unsigned int i;

	for (i = 0; i < sizeof(text); i++)
		text[i] = line[i % (sizeof(line) - 1)];
	printf("console begins\n");
	for (i = 0; i < CONSOLE_KIB; i++)
		write(1, text, sizeof(text));
	printf("console ends\n");
}

static void do_row(const struct row *r)
{
	if (is_counted && r->is_time_only)
		return;
	if (!is_counted) {
		r->run(r);
		sort_samples();
		printf("bench %s: %lu %lu\n", r->name, (unsigned long)samples[0],
		       (unsigned long)samples[batches / 2]);
		return;
	}
	printf("count begin %s\n", r->name);
	sleep_ns(REST_NS);
	done = 0;
	r->run(r);
	sort_samples();
	printf("count end %s: %lu %lu\n", r->name, done, (unsigned long)samples[batches / 2]);
	sleep_ns(REST_NS);
}

int main(int argc, char **argv)
{
	char only[40] = "";
	unsigned int i, first = 1;

	if (argc > 1 && !strcmp(argv[1], "nothing"))
		return 0;
	if (argc > 1 && !strcmp(argv[1], "idle")) {
		printf("bench idles\n");
		sleep_ns(60000000000ull);
		return 0;
	}
	if (argc > 1 && !strcmp(argv[1], "hello")) {
		printf("hello from user space\n");
		return 0;
	}
	if (argc > 1 && !strcmp(argv[1], "console")) {
		console();
		return 0;
	}
	if (argc > 1 && !strcmp(argv[1], "quick")) {
		batches = QUICK;
		first = 2;
	}
	if (argc > 1 && !strcmp(argv[1], "all"))
		first = 2;
	if (argc > 1 && !strcmp(argv[1], "count")) {
		is_counted = true;
		batches = COUNTED;
		first = 2;
	}
	for (i = first; i < (unsigned int)argc; i++)
		pv_snprintf(only + strlen(only), sizeof(only) - strlen(only), "%s%s",
		            i > first ? " " : "", argv[i]);
	for (i = 0; i < COUNT(rows); i++) {
		if (!strncmp(rows[i].name, only, strlen(only)))
			do_row(&rows[i]);
	}
	return 0;
}
