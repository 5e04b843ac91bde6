/* SPDX-License-Identifier: MIT */
/* What a program may not do: it becomes a signal that says what and where, and nothing else. */
#include "tests/guests/unix/user/utest/test.h"

#define TRAP_DE    0
#define TRAP_DB    1
#define TRAP_BP    3
#define TRAP_UD    6
#define TRAP_GP    13
#define TRAP_PF    14

#define PF_PRESENT 1
#define PF_WRITE   2
#define PF_USER    4
#define PF_FETCH   16

static void do_read(uint64_t at)
{
	(void)*(volatile uint8_t *)at;
}

static void do_write(uint64_t at)
{
	*(volatile uint8_t *)at = 1;
}

static void do_call(uint64_t at)
{
	((void (*)(void))at)();
}

static void page_faults_are_described(void)
{
	static const uint8_t constant = 7;
	uint64_t nowhere = (uint64_t)mmap(NULL, PAGE, PROT_READ);
	struct fault f;

	CHECK_EQ(munmap((void *)nowhere, PAGE), 0);
	CHECK(faults(do_read, nowhere + 123, &f));
	CHECK_EQ(f.sig, SIGSEGV);
	CHECK_EQ(f.frame.trap, TRAP_PF);
	CHECK_EQ(f.frame.address, nowhere + 123);
	CHECK_EQ(f.frame.error, PF_USER);
	CHECK(faults(do_write, nowhere + 4095, &f));
	CHECK_EQ(f.frame.address, nowhere + 4095);
	CHECK_EQ(f.frame.error, PF_USER | PF_WRITE);
	CHECK(faults(do_write, (uint64_t)&constant, &f));
	CHECK_EQ(f.frame.address, &constant);
	CHECK_EQ(f.frame.error, PF_USER | PF_WRITE | PF_PRESENT);
	CHECK_EQ(constant, 7);
}

static void data_cannot_be_run(void)
{
	static uint8_t code[] = { 0xc3 };
	struct fault f;

	code[0] = 0xc3; /* the page is there, and written */
	CHECK(faults(do_call, (uint64_t)code, &f));
	CHECK_EQ(f.sig, SIGSEGV);
	CHECK_EQ(f.frame.trap, TRAP_PF);
	CHECK_EQ(f.frame.address, code);
	CHECK_EQ(f.frame.rip, code);
	CHECK(f.frame.error & PF_FETCH);
}

static void by_instruction(uint64_t which)
{
	switch (which) {
	case 0:
		__asm__ volatile("xor %%ecx, %%ecx; xor %%edx, %%edx; div %%ecx" ::"a"(1)
		                 : "ecx", "edx");
		break;
	case 1:
		__asm__ volatile("ud2");
		break;
	case 2:
		__asm__ volatile("int3");
		break;
	case 3:
		__asm__ volatile("hlt");
		break;
	case 4:
		__asm__ volatile("cli");
		break;
	case 5:
		__asm__ volatile("out %%al, $0x80" ::"a"(0));
		break;
	case 6:
		__asm__ volatile("mov %%cr3, %%rax" ::: "rax");
		break;
	case 7:
		__asm__ volatile("rdmsr" ::"c"(0x10) : "eax", "edx");
		break;
	case 8:
		__asm__ volatile("int $0x40");
		break;
	case 9:
		__asm__ volatile("movb $0, (%0)" ::"r"(0x8000000000000000ul) : "memory");
		break;
	}
}

static void instructions_become_signals(void)
{
	static const struct {
		int sig;
		unsigned int trap;
	} expected[] = {
		{ SIGFPE, TRAP_DE },  { SIGILL, TRAP_UD },  { SIGTRAP, TRAP_BP },
		{ SIGSEGV, TRAP_GP }, { SIGSEGV, TRAP_GP }, { SIGSEGV, TRAP_GP },
		{ SIGSEGV, TRAP_GP }, { SIGSEGV, TRAP_GP }, { SIGSEGV, TRAP_GP },
		{ SIGSEGV, TRAP_GP },
	};
	struct fault f;
	unsigned int i;

	for (i = 0; i < COUNT(expected); i++) {
		if (!faults(by_instruction, i, &f))
			fail("instruction %u went through", i);
		if (f.sig != expected[i].sig || f.frame.trap != expected[i].trap)
			fail("instruction %u: signal %d, trap %u", i, f.sig, f.frame.trap);
	}
}

static volatile unsigned int steps;

static void on_step(int sig, struct unix_sigframe *frame)
{
	(void)sig;
	if (++steps == 3)
		frame->rflags &= ~0x100ul;
}

/* TF of the program: one trap for each instruction, until the handler clears it in the frame. */
static void single_steps(void)
{
	sigaction(SIGTRAP, on_step);
	__asm__ volatile("sub $128, %%rsp\n"
	                 "pushf\n"
	                 "orl $0x100, (%%rsp)\n"
	                 "popf\n"
	                 "nop; nop; nop; nop; nop; nop\n"
	                 "add $128, %%rsp\n" ::
	                         : "memory", "cc");
	CHECK_EQ(steps, 3);
}

/*
 * The kernel's memory has no address here: wherever the kernel has something, and wherever the
 * hypervisor might, reading and writing fault. (Xen's machine-to-physical table, which it may show
 * to everybody, lies in neither.)
 */
static void kernel_memory_is_out_of_reach(void)
{
	static const uint64_t addresses[] = {
		0x1000,
		0x10000,
		0x100000, /* the image: text */
		0x101000, /* ... and the hypercall page */
		0x180000,
		0x200000,
		0x1000000,
		0x4000000,
		0x7fff000,
		0x200000000000, /* the window */
		0x200000001000,
		0x7ffffffff000,
		0xffff880000000000,
		0xffffffff80000000,
		0xfffffffffffff000,
	};
	struct fault f;
	unsigned int i;

	for (i = 0; i < COUNT(addresses); i++) {
		if (!faults(do_read, addresses[i], &f))
			fail("0x%lx can be read", (unsigned long)addresses[i]);
		CHECK_EQ(f.sig, SIGSEGV);
		if (!faults(do_write, addresses[i], &f))
			fail("0x%lx can be written", (unsigned long)addresses[i]);
		if (!faults(do_call, addresses[i], &f))
			fail("0x%lx can be run", (unsigned long)addresses[i]);
	}
}

/* All of level-4 slot 0, where the kernel's memory is: a page of each 2 MiB of the first 256 MiB. */
static void every_corner_of_the_kernel(void)
{
	uint64_t at;

	for (at = 0; at < 0x10000000; at += 0x200000)
		if (!faults(do_read, at + 0x1000, NULL))
			fail("0x%lx can be read", (unsigned long)at + 0x1000);
}

static void unhandled_faults_kill(void)
{
	int pid = fork(), status;

	if (pid == 0)
		do_write(0x1000);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, UNIX_STATUS(0, SIGSEGV));
}

/* A stack pointer that leads nowhere: the handler cannot be called, and the process ends. */
static void no_stack_for_a_handler(void)
{
	int pid = fork(), status;

	if (pid == 0) {
		sigaction(SIGSEGV, on_step);
		__asm__ volatile("mov $0x1000, %esp; push %rax");
		exit(0);
	}
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, UNIX_STATUS(0, SIGSEGV));
}

static const struct claim claims[] = {
	{ "page-faults-are-described", page_faults_are_described },
	{ "data-cannot-be-run", data_cannot_be_run },
	{ "instructions-become-signals", instructions_become_signals },
	{ "single-steps", single_steps },
	{ "kernel-memory-is-out-of-reach", kernel_memory_is_out_of_reach },
	{ "every-corner-of-the-kernel", every_corner_of_the_kernel },
	{ "unhandled-faults-kill", unhandled_faults_kill },
	{ "no-stack-for-a-handler", no_stack_for_a_handler },
};

FAMILY(faults, claims);
