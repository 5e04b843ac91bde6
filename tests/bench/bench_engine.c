/* SPDX-License-Identifier: MIT */
/*
 * What the process engine's own paths cost, without the core: each figure is the time of one
 * operation in nanoseconds, smallest and median over rounds of many operations.
 */
#include <pthread.h>
#include <stdlib.h>
#include <sys/syscall.h>

#include "hypervisor-stub/engines/process/options.h"
#include "tests/fake/engine_world.h"

#define ROUNDS 15

WORLD_BLOB(in_place, "1: mov $10000, %ebx\n 2: xor %edi, %edi\n xor %esi, %esi\n"
                     "mov $0x200000 + 32 * 25, %r11\n call *%r11\n dec %ebx\n jnz 2b\n"
                     "mov $0x200000 + 32 * 29, %r11\n call *%r11\n jmp 1b\n");
WORLD_BLOB(iret_in_place,
           "1: mov $10000, %ebx\n"
           "2: mov %rsp, %rax\n lea 3f(%rip), %rcx\n push $0xe02b\n push %rax\n push $0x202\n"
           "push $0xe030\n push %rcx\n push $0\n mov $0x200000 + 32 * 23, %rax\n jmp *%rax\n"
           "3: dec %ebx\n jnz 2b\n mov $0x200000 + 32 * 29, %r11\n call *%r11\n jmp 1b\n");
WORLD_BLOB(calls, "1: mov $0x200000 + 32 * 29, %r11\n call *%r11\n jmp 1b\n");
WORLD_BLOB(halts, "1: hlt\n jmp 1b\n");
WORLD_BLOB(syscalls, "1: mov $29, %eax\n syscall\n jmp 1b\n");
WORLD_BLOB(toucher,
           "1: mov $0x500000, %eax\n 2: mov (%rax), %ecx\n add $0x1000, %rax\n dec %ebx\n jnz 2b\n"
           "mov $0x200000 + 32 * 29, %r11\n call *%r11\n jmp 1b\n");
WORLD_BLOB(spinner, "1: pause\n jmp 1b\n");

static struct world *w;
static struct hv_exit e;

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void report(const char *what, double *sample, unsigned n)
{
	qsort(sample, n, sizeof(*sample), by_value);
	printf("%-44s %10.0f %10.0f\n", what, sample[0], sample[n / 2]);
}

static uint64_t put(const char *from, const char *to)
{
	return world_code(w, w->vcpu[0].root_kernel, from, to);
}

static void run_once(void)
{
	if (world_run(w, 0, &e))
		abort();
}

/* One operation per exit; `skip` bytes are added to rip after each. */
static void per_exit(const char *what, uint64_t at, unsigned ops, unsigned skip, double divide)
{
	double sample[ROUNDS];

	world_enter_at(w, 0, at);
	for (unsigned i = 0; i < 200; i++) {
		run_once();
		w->vcpu[0].regs.rip += skip;
	}
	for (unsigned r = 0; r < ROUNDS; r++) {
		uint64_t start = now_ns();

		for (unsigned i = 0; i < ops; i++) {
			run_once();
			w->vcpu[0].regs.rip += skip;
		}
		sample[r] = (double)(now_ns() - start) / ops / divide;
	}
	report(what, sample, ROUNDS);
}

static void drop_range(uint64_t va, uint64_t len)
{
	struct hv_entry_change c = { .root = w->vcpu[0].root_kernel, .va = va, .len = len };

	w->machine.engine->entry_changed(&w->domain, &c);
	w->machine.engine->sync(&w->domain, 1);
}

/* Pages at 0x500000, each fill bringing in `run` of them; only misses are counted. */
static void fills(const char *what, uint64_t at, unsigned run, unsigned pages)
{
	double sample[ROUNDS];
	unsigned before = w->nr_runs;

	for (unsigned i = 0; i < pages; i += run) {
		mfn_t m = world_alloc(w, run + 1);

		world_map(w, w->vcpu[0].root_kernel, 0x500000 + i * HV_PAGE_SIZE, run, m, "w");
		memset(world_frame(w, m), 1, run * HV_PAGE_SIZE);
	}
	for (unsigned r = 0; r < ROUNDS; r++) {
		uint64_t start;

		drop_range(0x500000, pages * HV_PAGE_SIZE);
		world_enter_at(w, 0, at);
		w->vcpu[0].regs.rbx = 0; /* the first page only, to have everything else in place */
		w->vcpu[0].regs.rbx = 1;
		run_once();
		w->vcpu[0].regs.rip = at;
		w->vcpu[0].regs.rsp += 8;
		w->vcpu[0].regs.rbx = pages;
		w->nr_fills = 0;
		start = now_ns();
		run_once();
		sample[r] = (double)(now_ns() - start) / (pages - run);
	}
	w->nr_runs = before;
	drop_range(0x500000, pages * HV_PAGE_SIZE);
	report(what, sample, ROUNDS);
}

static void new_roots(void)
{
	double sample[ROUNDS];
	struct hv_vcpu *v = &w->vcpu[1];

	for (unsigned r = 0; r < ROUNDS; r++) {
		uint64_t start;

		usleep(5000); /* let the spare ones be made */
		v->root_kernel = world_alloc(w, 1);
		w->code_next = WORLD_CODE;
		world_map(w, v->root_kernel, WORLD_CODE, 1, w->run[0].mfn, "x");
		world_enter_at(w, 1, WORLD_CODE + 0x800);
		start = now_ns();
		if (w->machine.engine->vcpu_run(v, &e))
			abort();
		sample[r] = (double)(now_ns() - start);
		w->nr_runs--;
	}
	report("new root, process ready, to its first fault", sample, ROUNDS);
	for (unsigned r = 0; r < ROUNDS; r++) {
		uint64_t start = now_ns();

		for (unsigned i = 0; i < 8; i++) {
			v->root_kernel = world_alloc(w, 1);
			world_enter_at(w, 1, WORLD_CODE + 0x800);
			if (w->machine.engine->vcpu_run(v, &e))
				abort();
			if (i)
				w->machine.engine->root_gone(&w->domain,
				                             (mfn_t){ v->root_kernel.n - 1 });
		}
		sample[r] = (double)(now_ns() - start) / 8;
	}
	report("new root in a row, old one destroyed", sample, ROUNDS);
}

static void two_roots(uint64_t at)
{
	double sample[ROUNDS];
	struct hv_vcpu *v = &w->vcpu[0];
	mfn_t root[2] = { v->root_kernel, world_alloc(w, 1) };
	unsigned nr = w->nr_runs;

	for (unsigned i = 0; i < nr; i++) {
		struct hv_run_map m = w->run[i];

		world_map(w, root[1], m.va, m.nr, m.mfn, m.writable ? "w" : "x");
	}
	world_enter_at(w, 0, at);
	for (unsigned r = 0; r < ROUNDS; r++) {
		uint64_t start = now_ns();

		for (unsigned i = 0; i < 1000; i++) {
			v->root_kernel = root[i & 1];
			run_once();
		}
		sample[r] = (double)(now_ns() - start) / 1000;
	}
	v->root_kernel = root[0];
	w->nr_runs = nr;
	report("hypercall, with a change of root", sample, ROUNDS);
}

WORLD_BLOB(kernel_entry, "pop %rcx\n pop %r11\n push $0\n pushq $0x2002e0\n ret\n");
WORLD_BLOB(user_calls, "1: mov $39, %eax\n syscall\n dec %ebx\n jnz 1b\n ud2\n");

/* System calls of a user program with a root of its own; the kernel returns at once. */
static void user_mode(uint64_t entry, uint64_t at)
{
	struct hv_vcpu *v = &w->vcpu[2];
	double sample[ROUNDS];
	unsigned nr = w->nr_runs;

	v->root_kernel = w->vcpu[0].root_kernel;
	v->root_user = world_alloc(w, 1);
	v->traps.syscall.va = entry;
	v->traps.kernel_sp = WORLD_STACK + 8 * HV_PAGE_SIZE;
	world_map(w, v->root_user, WORLD_CODE, 16, w->run[0].mfn, "x");
	for (unsigned r = 0; r <= ROUNDS; r++) {
		uint64_t start = now_ns();
		unsigned rounds = r ? 2000 : 20;

		world_enter_at(w, 2, at);
		v->in_kernel = false;
		v->regs.rbx = rounds;
		for (;;) {
			uint64_t frame[7];

			if (world_run(w, 2, &e))
				abort();
			if (e.kind == HV_EXIT_EXCEPTION)
				break;
			/* Once or twice, until the two processes know each other. */
			if (e.kind == HV_EXIT_SYSCALL) {
				memcpy(frame,
				       (uint64_t[]){ v->regs.rcx, v->regs.r11, v->regs.rip,
				                     v->regs.cs, v->regs.rflags, v->regs.rsp,
				                     v->regs.ss },
				       56);
				v->regs.rsp = v->traps.kernel_sp - 64;
				v->regs.rip = entry;
				v->in_kernel = true;
				memcpy(world_at(w, v->root_kernel, v->regs.rsp), frame, 56);
			} else {
				memcpy(frame, world_at(w, v->root_kernel, v->regs.rsp + 32), 40);
				v->regs.rip = frame[0];
				v->regs.rsp = frame[3];
				v->in_kernel = false;
			}
		}
		if (r)
			sample[r - 1] = (double)(now_ns() - start) / rounds;
	}
	w->nr_runs = nr;
	v->root_user = HV_MFN_NONE;
	report("user's system call and back, two roots", sample, ROUNDS);
}

WORLD_BLOB(switcher, "mov $0x200000 + 32 * 26, %rax\n call *%rax\n pop %rcx\n pop %r11\n push $0\n"
                     "pushq $0x2002e0\n ret\n");

/* A system call in which the kernel goes over to another address space, both of its roots. */
static void switches(uint64_t entry, uint64_t at)
{
	struct hv_vcpu *v = &w->vcpu[3];
	mfn_t kernel[2] = { w->vcpu[0].root_kernel, world_alloc(w, 1) };
	mfn_t user[2] = { world_alloc(w, 1), world_alloc(w, 1) };
	double sample[ROUNDS];
	unsigned nr = w->nr_runs;

	for (unsigned i = 0; i < nr; i++) {
		struct hv_run_map m = w->run[i];

		world_map(w, kernel[1], m.va, m.nr, m.mfn, m.writable ? "w" : "x");
	}
	for (unsigned i = 0; i < 2; i++)
		world_map(w, user[i], WORLD_CODE, 16, w->run[0].mfn, "x");
	v->traps.syscall.va = entry;
	v->traps.kernel_sp = WORLD_STACK + 8 * HV_PAGE_SIZE;
	v->root_kernel = kernel[0];
	v->root_user = user[0];
	world_enter_at(w, 3, at);
	v->in_kernel = false;
	for (unsigned r = 0; r < ROUNDS; r++) {
		uint64_t start = now_ns();

		for (unsigned n = 0; n < 500;) {
			uint64_t frame[7];

			v->regs.rbx = 1000; /* it is the user's all the time */
			if (world_run(w, 3, &e))
				abort();
			if (e.kind == HV_EXIT_SYSCALL) {
				memcpy(frame,
				       (uint64_t[]){ v->regs.rcx, v->regs.r11, v->regs.rip,
				                     v->regs.cs, v->regs.rflags, v->regs.rsp,
				                     v->regs.ss },
				       56);
				v->regs.rsp = v->traps.kernel_sp - 64;
				v->regs.rip = entry;
				v->in_kernel = true;
				memcpy(world_at(w, v->root_kernel, v->regs.rsp), frame, 56);
			} else if (e.kind == HV_EXIT_HYPERCALL && v->regs.rax == 23) {
				memcpy(frame, world_at(w, v->root_kernel, v->regs.rsp + 32), 40);
				v->regs.rip = frame[0];
				v->regs.rsp = frame[3];
				v->in_kernel = false;
			} else if (e.kind == HV_EXIT_HYPERCALL) {
				n++;
				v->root_kernel = kernel[n & 1];
				v->root_user = user[n & 1];
			} else {
				abort();
			}
		}
		sample[r] = (double)(now_ns() - start) / 500;
	}
	w->nr_runs = nr;
	v->root_user = HV_MFN_NONE;
	report("system call with a change of address space", sample, ROUNDS);
}

/*
 * The engine's part of a frame's change of type: every process that maps it drops it and confirms that.
 * `nr` address spaces are live, and the first `sharers` of them map the frame.
 */
static void changes_of_type(uint64_t at, unsigned nr, unsigned sharers)
{
	mfn_t before = w->vcpu[0].root_kernel, root[64], frame = world_alloc(w, 1);
	struct hv_entry_change c = { .root = HV_MFN_NONE, .va = 0x500000, .len = HV_PAGE_SIZE };
	unsigned runs = w->nr_runs;
	double sample[ROUNDS];
	char what[64];

	for (unsigned i = 0; i < nr; i++) {
		root[i] = world_alloc(w, 1);
		for (unsigned r = 0; r < 4; r++)
			world_map(w, root[i], w->run[r].va, w->run[r].nr, w->run[r].mfn,
			          w->run[r].writable ? "w" : "x");
		world_map(w, root[i], 0x500000, 1, i < sharers ? frame : world_alloc(w, 1), "w");
	}
	if (sharers < nr)
		c.root = root[0]; /* the core knows that one root only has it */
	for (unsigned r = 0; r < ROUNDS; r++) {
		uint64_t start;

		for (unsigned i = 0; i < nr; i++) {
			w->vcpu[0].root_kernel = root[i];
			world_enter_at(w, 0, at);
			w->vcpu[0].regs.rbx = 1;
			run_once();
		}
		start = now_ns();
		w->machine.engine->retire(&w->domain,
		                          w->machine.engine->entry_changed(&w->domain, &c));
		sample[r] = (double)(now_ns() - start);
	}
	for (unsigned i = 0; i < nr; i++) {
		w->vcpu[0].root_kernel = before;
		w->machine.engine->root_gone(&w->domain, root[i]);
	}
	w->nr_runs = runs;
	snprintf(what, sizeof(what), "change of type, %u of %u spaces map it", sharers, nr);
	report(what, sample, ROUNDS);
}

static _Atomic uint64_t kicked_at;
static atomic_bool kicker_ends;

static void *kicker(void *arg)
{
	(void)arg;
	while (!atomic_load(&kicker_ends)) {
		usleep(300);
		if (!atomic_load(&kicked_at)) {
			atomic_store(&kicked_at, now_ns());
			w->machine.engine->vcpu_kick(&w->vcpu[0]);
		}
	}
	return NULL;
}

static void kicks(uint64_t at)
{
	static double sample[2000];
	pthread_t t;
	unsigned n = 0;

	atomic_store(&w->stop_at_tick, true);
	world_enter_at(w, 0, at);
	pthread_create(&t, NULL, kicker, NULL);
	while (n < 2000) {
		uint64_t k;

		run_once();
		k = atomic_load(&kicked_at);
		if (e.kind != HV_EXIT_KICKED || !k)
			continue;
		sample[n++] = (double)(now_ns() - k);
		atomic_store(&kicked_at, 0);
	}
	atomic_store(&kicker_ends, true);
	pthread_join(t, NULL);
	atomic_store(&w->stop_at_tick, false);
	report("kick of a spinning guest, to vcpu_run's return", sample, n);
}

static void deadlines(uint64_t at)
{
	static double sample[500];

	atomic_store(&w->stop_at_tick, true);
	world_enter_at(w, 0, at);
	for (unsigned i = 0; i < 500; i++) {
		uint64_t due = now_ns() + 300000;

		atomic_store(&w->deadline, due);
		run_once();
		sample[i] = (double)(now_ns() - due);
	}
	atomic_store(&w->stop_at_tick, false);
	report("deadline of a spinning guest, lateness", sample, 500);
}

static void run_all(const char *only)
{
	uint64_t call, spin, touch, halt, sys, local, iret, entry, user, sw;

	local = put(in_place, in_place_end);
	iret = put(iret_in_place, iret_in_place_end);
	call = put(calls, calls_end);
	halt = put(halts, halts_end);
	sys = put(syscalls, syscalls_end);
	touch = put(toucher, toucher_end);
	spin = put(spinner, spinner_end);
	entry = put(kernel_entry, kernel_entry_end);
	user = put(user_calls, user_calls_end);
	if (strchr(only, 'l'))
		per_exit("hypercall in place (set_segment_base)", local, 20, 0, 10000);
	if (strchr(only, 'i'))
		per_exit("iret in place", iret, 20, 0, 10000);
	if (strchr(only, 'h'))
		per_exit("hypercall to us and back", call, 2000, 0, 1);
	if (strchr(only, 'e'))
		per_exit("exception (hlt) to us and back", halt, 2000, 1, 1);
	if (strchr(only, 's'))
		per_exit("system call instruction to us and back", sys, 2000, 0, 1);
	if (strchr(only, 'f')) {
		fills("page fault filled and resumed, single", touch, 1, 32);
		fills("page fault filled, runs of 16, per page", touch, 16, 512);
		fills("page fault filled, runs of 256, per page", touch, 256, 512);
	}
	if (strchr(only, 'r'))
		two_roots(call);
	sw = put(switcher, switcher_end);
	if (strchr(only, 'w'))
		switches(sw, user);
	if (strchr(only, 'u'))
		user_mode(entry, user);
	for (unsigned n = 1; strchr(only, 't') && n <= 64; n *= 8) {
		changes_of_type(touch, n, n);
		if (n > 1)
			changes_of_type(touch, n, 1);
	}
	if (strchr(only, 'k'))
		kicks(spin);
	if (strchr(only, 'd'))
		deadlines(spin);
	if (strchr(only, 'n'))
		new_roots();
}

/* Letters choose what is measured; see run_all(). A number after them repeats it, for a profiler. */
int main(int argc, char **argv)
{
	int times = argc > 2 ? atoi(argv[2]) : 1;

	process_options.spin = getenv("SPIN") != NULL;
	w = world_create(&hv_engine_process);
	world_layout(w, w->vcpu[0].root_kernel);
	printf("%-44s %10s %10s\n", "ns per operation", "min", "median");
	for (int i = 0; i < times; i++) {
		w->code_next = WORLD_CODE;
		w->next_frame = WORLD_FIRST_MFN + 1000;
		run_all(argc > 1 ? argv[1] : "lihesfruwtkdn");
	}
	world_destroy(w);
	return 0;
}
