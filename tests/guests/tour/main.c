/* SPDX-License-Identifier: MIT */
/*
 * The second example of docs/porting.md: memory, the clock, the other vCPUs, and a user program with
 * its system calls and page faults. With hello it is what a kernel needs of the library to begin with;
 * tests/guests/unix is what becomes of it.
 */
#include "pvops/aspace.h"
#include "pvops/barrier.h"
#include "pvops/cpu.h"
#include "pvops/lib/string.h"
#include "pvops/lock.h"
#include "pvops/mmu.h"
#include "pvops/pv_ops.h"
#include "pvops/pvguest.h"
#include "pvops/smp.h"
#include "pvops/time.h"
#include "pvops/traps.h"

#define PROGRAM PV_USER_START
#define STACK   (PV_USER_START + 0x10000) /* its end */
#define TICK_NS 10000000

/* Two system calls, a word on its stack, and a store to an address that it has not got. */
/* clang-format off */
static const unsigned char program[] = {
	0xbf, 1, 0, 0, 0, 0x0f, 0x05, /* mov $1, %edi; syscall */
	0x50,                         /* push %rax */
	0xbf, 2, 0, 0, 0, 0x0f, 0x05, /* mov $2, %edi; syscall */
	0x31, 0xc0, 0x88, 0x00,       /* xor %eax, %eax; mov %al, (%rax) */
};
/* clang-format on */

static struct pv_aspace space;
static struct pv_spinlock lock = PV_SPINLOCK_INIT;
static unsigned int ticks, ups;

/* Event handlers run with events masked and must not wait. */
static void on_tick(evtchn_port_t port, void *arg)
{
	(void)port;
	(void)arg;
	if (++ticks < 3)
		pv_timer_set(pv_now_ns() + TICK_NS);
}

static bool ticked(void *arg)
{
	(void)arg;
	return ticks >= 3;
}

static bool on_syscall(struct pv_frame *frame)
{
	pv_log("system call %lu\n", frame->rdi);
	frame->rax = 0; /* its result */
	return true;
}

/* A page of the program's; changes of page tables are collected in a batch. */
static bool map_page(uint64_t va, unsigned int prot, const void *contents, size_t len)
{
	struct pv_batch batch;
	void *page = pv_page_alloc();

	if (!page)
		return false;
	memset(page, 0, PV_PAGE_SIZE);
	memcpy(page, contents, len);
	pv_batch_begin(&batch, &space);
	pv_batch_map(&batch, va, (uintptr_t)page >> PV_PAGE_SHIFT, prot);
	return !pv_batch_end(&batch);
}

/* The stack grows when it is touched; anything else ends the program, and with it this kernel. */
static bool on_page_fault(struct pv_frame *frame)
{
	if (!pv_frame_from_user(frame))
		return false;
	if (frame->cr2 >= STACK - PV_PAGE_SIZE && frame->cr2 < STACK)
		return map_page(STACK - PV_PAGE_SIZE, PV_PROT_READ | PV_PROT_WRITE, "", 0);
	pv_log("the program touched 0x%lx and ends\n", frame->cr2);
	pv_shutdown(SHUTDOWN_poweroff);
}

/* On each of the other vCPUs. */
static void other_main(void)
{
	pv_spin_lock(&lock);
	pv_log("vCPU %u is up\n", pv_cpu()->id);
	__atomic_fetch_add(&ups, 1, __ATOMIC_RELEASE);
	pv_spin_unlock(&lock);
	for (;;)
		pv_irq_wait();
}

static void start_others(void)
{
	unsigned int cpu, started = 0;

	if (pv_smp_init(NULL))
		return;
	for (cpu = 1; cpu < pv_smp_possible(); cpu++) {
		char *stack = pv_page_alloc();

		if (stack && !pv_smp_start(cpu, stack + PV_PAGE_SIZE, other_main))
			started++;
	}
	while (__atomic_load_n(&ups, __ATOMIC_ACQUIRE) < started)
		pv_cpu_relax();
}

/* An address space with a page of code in it, and into it. Does not come back. */
static void run_program(void)
{
	static char kernel_stack[8192] __attribute__((aligned(16)));
	struct pv_frame frame;

	pv_trap_set(PV_VECTOR_SYSCALL, on_syscall);
	pv_trap_set(PV_VECTOR_PF, on_page_fault);
	if (pv_aspace_init() || pv_aspace_create(&space, PV_ROOTS_APART) ||
	    !map_page(PROGRAM, PV_PROT_READ | PV_PROT_EXEC, program, sizeof(program)))
		pv_panic("no user program");
	pv_aspace_switch(&space, kernel_stack + sizeof(kernel_stack), 0);
	memset(&frame, 0, sizeof(frame));
	frame.rip = PROGRAM;
	frame.cs = FLAT_USER_CS;
	frame.rflags = PV_RFLAGS_IF; /* events interrupt it */
	frame.rsp = STACK;
	frame.ss = FLAT_USER_SS;
	pv_frame_resume(&frame);
}

void kernel_main(const struct pv_boot *boot)
{
	static struct pv_waitq queue;

	/* Some of the memory is mapped already; now all of it, virtual = pseudo-physical. */
	if (pv_mmu_map_memory())
		pv_panic("no memory for page tables");
	pv_log("%lu KiB of memory\n", boot->memory_end / 1024);

	/* pv_wait() sleeps until ready() is true; events wake it. */
	pv_timer_bind(0, on_tick, NULL);
	pv_timer_set(pv_now_ns() + TICK_NS);
	pv_irq_enable();
	pv_wait(&queue, ticked, NULL, 0);
	pv_irq_disable();
	pv_log("%u ticks\n", ticks);

	start_others();
	run_program();
}
