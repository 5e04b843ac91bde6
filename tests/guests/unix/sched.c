/* SPDX-License-Identifier: MIT */
/*
 * The scheduler: one run queue for all vCPUs, in order of arrival, and slices of time.
 *
 * Invariants:
 *   - sched_lock is held from before a process's state says that it does not run until the stack it
 *     ran on is left; so whoever sees it READY, with the lock held, may run it
 *   - a vCPU whose bit is set in idle_cpus has found the queue empty, and will be interrupted when
 *     something is put there
 *   - a vCPU with a program on it has its timer armed, no later than the end of the slice
 */
#include "tests/guests/unix/sched.h"

#include <stddef.h>

#include "pvops/aspace.h"
#include "pvops/barrier.h"
#include "pvops/cpu.h"
#include "pvops/fp.h"
#include "pvops/lib/string.h"
#include "pvops/pv_ops.h"
#include "pvops/smp.h"
#include "pvops/time.h"
#include "tests/guests/unix/page.h"
#include "tests/guests/unix/signal.h"

#define SLICE_NS   10000000ull
#define IDLE_STACK 4 /* pages */

/* What is kept for each vCPU; pv_cpu()->kernel points at it. */
struct cpu {
	struct proc *running;
	struct proc idle;
	uint64_t slice_end_ns;
	uint64_t armed_ns; /* when the timer is due; 0: not armed */
	bool slice_over;
};

struct pv_spinlock sched_lock = PV_SPINLOCK_INIT;

static struct cpu cpus[PV_MAX_CPUS];
static unsigned int nr_cpus = 1;
static struct proc *queue_first, *queue_last;
static struct proc *first_sleeper; /* those with a deadline, soonest first */
static uint64_t idle_cpus;         /* a bit each */
static uint64_t nr_switches;

void switch_stack(void **save, void *load);
extern char switch_start[];

static struct cpu *this_cpu(void)
{
	return pv_cpu()->kernel;
}

struct proc *current(void)
{
	return this_cpu()->running;
}

unsigned int sched_cpus(void)
{
	return nr_cpus;
}

uint64_t sched_switches(void)
{
	return pv_load(&nr_switches);
}

/* ---- the timer ---- */

void sched_arm(uint64_t deadline_ns)
{
	struct cpu *cpu = this_cpu();

	if (cpu->armed_ns && cpu->armed_ns <= deadline_ns)
		return;
	cpu->armed_ns = deadline_ns;
	pv_timer_set(deadline_ns);
}

static void add_sleeper(struct proc *p)
{
	struct proc **at = &first_sleeper;

	while (*at && (*at)->deadline_ns <= p->deadline_ns)
		at = &(*at)->next_sleeper;
	p->next_sleeper = *at;
	*at = p;
}

static void remove_sleeper(struct proc *p)
{
	struct proc **at = &first_sleeper;

	while (*at && *at != p)
		at = &(*at)->next_sleeper;
	if (*at)
		*at = p->next_sleeper;
}

/*
 * The timer may be early by a few nanoseconds of rounding, or late by much; either way everything
 * that is due is done, and it is armed for what comes next.
 */
static void on_timer(evtchn_port_t port, void *arg)
{
	struct cpu *cpu = this_cpu();
	uint64_t now = pv_now_ns(), next;

	(void)port;
	(void)arg;
	pv_spin_lock(&sched_lock);
	cpu->armed_ns = 0;
	while (first_sleeper && first_sleeper->deadline_ns <= now)
		sched_make_ready(first_sleeper);
	next = signal_alarms(now);
	if (first_sleeper && (!next || first_sleeper->deadline_ns < next))
		next = first_sleeper->deadline_ns;
	if (!cpu->running->is_idle) {
		if (now >= cpu->slice_end_ns) {
			cpu->slice_end_ns = now + SLICE_NS;
			cpu->slice_over = true;
		}
		if (!next || cpu->slice_end_ns < next)
			next = cpu->slice_end_ns;
	}
	if (next)
		sched_arm(next);
	pv_spin_unlock(&sched_lock);
}

/* ---- queues ---- */

static void leave_wait_queue(struct proc *p)
{
	struct proc **at = (struct proc **)&p->waits_in->kernel[0];

	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	p->waits_in = NULL;
}

/* Interrupts a vCPU that has nothing to do: the one that p ran on last if possible. */
static void call_idle_cpu(const struct proc *p)
{
	uint32_t cpu = p->cpu;

	if (!idle_cpus)
		return;
	if (!(idle_cpus >> cpu & 1))
		cpu = (uint32_t)__builtin_ctzll(idle_cpus);
	idle_cpus &= ~(1ull << cpu);
	if (cpu != pv_cpu()->id)
		pv_smp_ipi(cpu);
}

void sched_make_ready(struct proc *p)
{
	if (p->waits_in)
		leave_wait_queue(p);
	if (p->deadline_ns)
		remove_sleeper(p);
	p->deadline_ns = 0;
	p->state = READY;
	p->next = NULL;
	if (queue_first)
		queue_last->next = p;
	else
		queue_first = p;
	queue_last = p;
	call_idle_cpu(p);
}

static struct proc *take_ready(void)
{
	struct proc *p = queue_first;

	if (p)
		queue_first = p->next;
	return p;
}

/* ---- switching ---- */

/* What belongs to the program: address space and floating-point state. An idle vCPU has neither. */
static void load_program(struct proc *from, struct proc *to)
{
	if (from->has_memory)
		pv_fp_save(from->fp);
	if (to->has_memory) {
		pv_fp_load(to->fp);
		pv_aspace_switch(&to->vm.as, (char *)to->stack + KERNEL_STACK, to->fs_base);
	} else {
		pv_aspace_switch(NULL, NULL, 0);
	}
}

void sched_switch(void)
{
	struct cpu *cpu = this_cpu();
	struct proc *from = cpu->running, *to = take_ready();
	uint64_t now = pv_now_ns();

	if (!to)
		to = from->state == RUNNING ? from : &cpu->idle;
	cpu->slice_over = false;
	cpu->slice_end_ns = now + SLICE_NS;
	if (to == from)
		return;
	from->cpu_ns += now - from->started_ns;
	to->started_ns = now;
	if (from->state == RUNNING && !from->is_idle)
		sched_make_ready(from);
	to->state = RUNNING;
	to->cpu = pv_cpu()->id;
	cpu->running = to;
	nr_switches++;
	if (!to->is_idle)
		sched_arm(cpu->slice_end_ns);
	load_program(from, to);
	switch_stack(&from->sp, to->sp);
}

void sched_yield(void)
{
	pv_spin_lock(&sched_lock);
	sched_switch();
	pv_spin_unlock(&sched_lock);
}

void sched_upcall_done(struct pv_frame *frame)
{
	if (!frame || !pv_frame_from_user(frame))
		return;
	if (this_cpu()->slice_over)
		sched_yield();
	signal_deliver(frame);
}

int sched_sleep(struct pv_waitq *q, bool (*ready)(void *arg), void *arg, uint64_t deadline_ns,
                bool can_interrupt)
{
	struct proc *p = current();
	int rc = 0;

	pv_spin_lock(&sched_lock);
	while (!ready(arg)) {
		if (can_interrupt && signal_waits(p)) {
			rc = -EINTR;
			break;
		}
		if (deadline_ns && pv_now_ns() >= deadline_ns) {
			rc = -ETIMEDOUT;
			break;
		}
		p->state = SLEEPING;
		p->can_interrupt = can_interrupt;
		p->waits_in = q;
		p->next = q->kernel[0];
		q->kernel[0] = p;
		p->deadline_ns = deadline_ns;
		if (deadline_ns) {
			add_sleeper(p);
			sched_arm(deadline_ns);
		}
		sched_switch();
	}
	pv_spin_unlock(&sched_lock);
	return rc;
}

void sched_wake(struct pv_waitq *q)
{
	pv_spin_lock(&sched_lock);
	while (q->kernel[0])
		sched_make_ready(q->kernel[0]);
	pv_spin_unlock(&sched_lock);
}

/* ---- starting ---- */

/* The first on a new process's stack: the lock is held, as after every switch. */
static void leave_to_user(void)
{
	struct pv_frame *frame = proc_frame(current());

	pv_spin_unlock(&sched_lock);
	signal_deliver(frame);
	pv_frame_resume(frame);
}

static void run_first_main(void)
{
	pv_spin_unlock(&sched_lock);
	current()->main();
	pv_panic("unix: the first process came back");
}

void sched_prepare(struct proc *p, void (*main)(void))
{
	/* Below the frame, as switch_stack() would have left it: r15 to r12, rbx, rbp, where to. */
	uint64_t *sp = (uint64_t *)proc_frame(p);

	*--sp = (uintptr_t)switch_start;
	*--sp = 0;
	*--sp = (uintptr_t)(main ? run_first_main : leave_to_user);
	sp -= 4;
	memset(sp, 0, 4 * sizeof(*sp));
	if (main)
		p->main = main;
	p->sp = sp;
}

/* Nothing to do but wait for an interrupt. */
__attribute__((noreturn)) static void idle(void)
{
	uint64_t me = 1ull << pv_cpu()->id;

	for (;;) {
		pv_spin_lock(&sched_lock);
		idle_cpus &= ~me;
		if (queue_first)
			sched_switch();
		idle_cpus |= me;
		pv_spin_unlock(&sched_lock);
		pv_irq_wait();
		pv_irq_disable();
	}
}

/* On the vCPU itself. */
static void set_up_cpu(void)
{
	struct cpu *cpu = &cpus[pv_cpu()->id];

	cpu->idle.is_idle = true;
	cpu->idle.state = RUNNING;
	cpu->running = &cpu->idle;
	pv_cpu()->kernel = cpu;
	pv_fp_init(PV_XCR0_AVX | PV_XCR0_AVX512);
	if (pv_fp_size() > PV_PAGE_SIZE)
		pv_panic("unix: floating-point state of %lu bytes", pv_fp_size());
	if (pv_timer_bind(pv_cpu()->id, on_timer, NULL))
		pv_panic("unix: no timer");
}

static void secondary(void)
{
	set_up_cpu();
	idle();
}

void sched_init(void)
{
	if (pv_smp_init(NULL))
		pv_panic("unix: no interrupts between vCPUs");
	set_up_cpu();
}

void sched_start_cpus(void)
{
	unsigned int possible = pv_smp_possible(), i;
	char *stacks = possible > 1 ? page_block((possible - 1) * IDLE_STACK) : NULL;

	for (i = 1; stacks && i < possible; i++) {
		int rc = pv_smp_start(i, stacks + i * IDLE_STACK * PV_PAGE_SIZE, secondary);

		if (rc) {
			pv_log("unix: vCPU %u does not start: error %d\n", i, rc);
			break;
		}
		nr_cpus = i + 1;
	}
}

void sched_run(void)
{
	idle();
}
