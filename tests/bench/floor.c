/* SPDX-License-Identifier: MIT */
/*
 * What the host's kernel charges for the steps that the process engine is made of, measured alone and on one
 * core: no way through guest processes can be faster than the sum of its steps. Nanoseconds, smallest and
 * median of 31 batches; then the sums for the paths that docs/benchmarks.md speaks of.
 */
#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef PR_SET_SYSCALL_USER_DISPATCH /* Linux 5.11 */
#define PR_SET_SYSCALL_USER_DISPATCH 59
#define PR_SYS_DISPATCH_ON           1
#endif

#define BATCHES 31
#define STEPS   200 /* few, so that some batch is undisturbed */
#define PAGES   256
#define PAGE    4096ul

struct cost {
	double min, med;
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* batch() does `per` of it. */
static struct cost measure(void (*batch)(void), double per)
{
	double sample[BATCHES];

	batch();
	for (int i = 0; i < BATCHES; i++) {
		uint64_t start = now_ns();

		batch();
		sample[i] = (double)(now_ns() - start) / per;
	}
	qsort(sample, BATCHES, sizeof(sample[0]), by_value);
	return (struct cost){ sample[0], sample[BATCHES / 2] };
}

/* ---- from one process to another and back ------------------------------------------------------- */

static struct shared {
	_Atomic uint32_t ask, answer, end;
} * shared;

static bool by_futex;
static uint32_t turn;

static void wait_while(_Atomic uint32_t *word, uint32_t value)
{
	while (atomic_load(word) == value) {
		if (by_futex)
			syscall(SYS_futex, word, FUTEX_WAIT, value, NULL, NULL, 0);
		else
			sched_yield();
	}
}

static void put(_Atomic uint32_t *word, uint32_t value)
{
	atomic_store(word, value);
	if (by_futex)
		syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void there_and_back(void)
{
	for (int i = 0; i < STEPS; i++) {
		turn++;
		put(&shared->ask, turn);
		wait_while(&shared->answer, turn - 1);
	}
}

static struct cost switches(bool futex)
{
	struct cost c;
	pid_t pid;

	by_futex = futex;
	turn = 0;
	memset(shared, 0, sizeof(*shared));
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (uint32_t seen = 0; !atomic_load(&shared->end); seen++) {
			wait_while(&shared->ask, seen);
			put(&shared->answer, seen + 1);
		}
		_exit(0);
	}
	if (pid < 0)
		exit(1);
	c = measure(there_and_back, 2.0 * STEPS);
	atomic_store(&shared->end, 1);
	put(&shared->ask, turn + 1);
	waitpid(pid, NULL, 0);
	return c;
}

/* ---- a system call that becomes a signal -------------------------------------------------------- */

/* Makes rdi calls on a page of its own; the handler goes back as the trampoline does, without a call. */
void floor_calls(long nr);
extern char floor_page[], floor_page_end[];
void floor_handler(int sig, siginfo_t *si, void *uc);
__asm__(".pushsection .text\n.balign 4096\n.globl floor_page\nfloor_page:\n.globl floor_calls\n"
        "floor_calls:\n push %rbx\n mov %rdi, %rbx\n"
        "1: mov $39, %eax\n syscall\n dec %rbx\n jnz 1b\n pop %rbx\n ret\n"
        ".balign 4096\n.globl floor_page_end\nfloor_page_end:\n"
        ".globl floor_handler\nfloor_handler:\n"
        "mov 224(%rdx), %rdi\n mov %rdx, %rsp\n mov $-1, %eax\n mov $-1, %edx\n xrstor64 (%rdi)\n"
        "mov 128(%rsp), %rbx\n mov 120(%rsp), %rbp\n mov 72(%rsp), %r12\n mov 80(%rsp), %r13\n"
        "mov 88(%rsp), %r14\n mov 96(%rsp), %r15\n mov 168(%rsp), %rcx\n mov 160(%rsp), %rsp\n"
        "jmp *%rcx\n.popsection\n");

static void calls(void)
{
	floor_calls(STEPS);
}

/* Zero where the host cannot do that. */
static struct cost signals(void)
{
	static char stack[1 << 16];
	static char blocks = 1; /* calls outside the range that is let through */
	stack_t ss = { .ss_sp = stack, .ss_size = sizeof(stack) };
	struct sigaction sa = { .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER };
	uint64_t from = (uint64_t)(uintptr_t)floor_page_end;
	struct cost c = { 0, 0 };

	sa.sa_sigaction = floor_handler;
	sigaltstack(&ss, NULL);
	sigaction(SIGSYS, &sa, NULL);
	/* Let through: all that lies behind the page, libc's calls among it. */
	if (prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, from,
	          UINT64_C(0x7fffffffffff) - from, &blocks))
		return c;
	c = measure(calls, STEPS);
	prctl(PR_SET_SYSCALL_USER_DISPATCH, 0, 0, 0, 0);
	return c;
}

/* ---- a page that is mapped and touched ---------------------------------------------------------- */

static char *area;
static int memory;

/* Downwards where nothing was: no two become one mapping. */
static void map_and_touch(void)
{
	area -= PAGES * PAGE;
	for (unsigned long i = 0; i < PAGES; i++) {
		char *at = area + (PAGES - 1 - i) * PAGE;

		if (mmap(at, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, memory,
		         (off_t)(i * PAGE)) != at)
			exit(1);
		*(volatile char *)at = 1;
	}
}

static struct cost mappings(void)
{
	const size_t all = (BATCHES + 1) * PAGES * PAGE;

	memory = memfd_create("floor", MFD_CLOEXEC);
	area = mmap(NULL, all, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory < 0 || area == MAP_FAILED || ftruncate(memory, PAGES * PAGE) ||
	    munmap(area, all))
		exit(1);
	area += all;
	return measure(map_and_touch, PAGES);
}

/* ---- the table ---------------------------------------------------------------------------------- */

static void row(const char *name, struct cost c)
{
	printf("%-44s %8.0f %8.0f\n", name, c.min, c.med);
}

static struct cost sum(double signal, struct cost s, double turns, struct cost t, double map,
                       struct cost m)
{
	return (struct cost){ signal * s.min + turns * t.min + map * m.min,
		              signal * s.med + turns * t.med + map * m.med };
}

int main(void)
{
	struct cost yield, futex, signal, map;
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(sched_getcpu(), &set);
	sched_setaffinity(0, sizeof(set), &set);
	shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return 1;
	yield = switches(false);
	futex = switches(true);
	signal = signals();
	map = mappings();
	printf("%-44s %8s %8s\n", "ns", "min", "median");
	row("switch to another process, giving way", yield);
	row("the same, asleep: a wake-up and a wait", futex);
	row("system call as a signal, and on", signal);
	row("page mapped and touched", map);
	printf("\nsums of the steps that cannot be spared\n");
	row("hypercall: 2 switches", sum(0, signal, 2, yield, 0, map));
	row("system call, one root: the signal", sum(1, signal, 0, yield, 0, map));
	row("system call, two roots: and 2 switches", sum(1, signal, 2, yield, 0, map));
	row("switch by yield: 1 call, 4 switches", sum(1, signal, 4, yield, 0, map));
	row("switch through a pipe: 2 calls, 6 switches", sum(2, signal, 6, yield, 0, map));
	row("page fault: 1 signal, 7 switches, the page", sum(1, signal, 7, yield, 1, map));
	return 0;
}
