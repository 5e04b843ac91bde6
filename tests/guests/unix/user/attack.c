/* SPDX-License-Identifier: MIT */
/*
 * attack [COUNT [SEED]]: an unprivileged program that goes for the hypervisor beneath its kernel.
 *
 * Behaviour: COUNT children, each with one attack: jumps into the engine's trampoline with registers
 * that a host system call would like; stores into the engine's pages; exits reported by hand; stack
 * pointers into its signal stack; selectors, flags, bases and floating-point states that are not
 * right; 32-bit gates; instructions out of noise.
 * Method: a child dies of it, ends, or is killed by an alarm or by us. Meanwhile a neighbour, another
 * process, looks after a pattern in its memory, and so do we.
 * Breakage: the kernel's end; a neighbour whose memory has changed; a child that cannot be killed.
 */
#include "hypervisor-stub/engines/process/layout.h"
#include "tests/guests/unix/user/lib/unix.h"

#define CHILD_NS 300000000u
#define WORDS    8192

struct regs {
	uint64_t r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi, rip, rsp;
};

/* Loads all of struct regs (rdi) and jumps. */
__asm__(".text\n"
        "attack_enter: mov 15*8(%rdi), %rax\n mov %rax, attack_rip(%rip)\n"
        "mov 16*8(%rdi), %rax\n mov %rax, attack_rsp(%rip)\n mov %rdi, %rsp\n"
        "pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbp\n pop %rbx\n pop %r11\n pop %r10\n"
        "pop %r9\n pop %r8\n pop %rax\n pop %rcx\n pop %rdx\n pop %rsi\n pop %rdi\n"
        "mov attack_rsp(%rip), %rsp\n jmp *attack_rip(%rip)\n"
        ".bss\n .balign 8\n attack_rip: .skip 8\n attack_rsp: .skip 8\n .text\n"
        /* garbage at r12 + (0 .. r13), r14 times */
        "attack_store: mov %rbx, %rcx\n shl $13, %rcx\n xor %rcx, %rbx\n mov %rbx, %rcx\n"
        "shr $7, %rcx\n xor %rcx, %rbx\n mov %rbx, %rcx\n shl $17, %rcx\n xor %rcx, %rbx\n"
        "mov %rbx, %rcx\n shr $20, %rcx\n and %r13, %rcx\n mov %rbx, (%r12, %rcx)\n"
        "test $15, %bl\n jnz 1f\n ud2\n 1: dec %r14\n jnz attack_store\n ud2\n"
        /* an exit of kind r12, reported by hand; and on we run */
        "attack_forge: mov %r12d, 0x10(%r13)\n mov %r8, 0x20(%r13)\n mov %r9, 0x28(%r13)\n"
        "mov %r10d, 0x30(%r13)\n mov (%r14), %ebx\n inc %ebx\n mov %ebx, (%r13)\n"
        "lock incl 4(%r13)\n 1: pause\n incl 0xa0(%r13)\n dec %rsi\n jnz 1b\n ud2\n"
        "attack_stack: mov %r12, %rsp\n push %rax\n call 1f\n 1: int3\n ud2\n"
        "attack_popf: push %r12\n popfq\n nop\n mov 1(%rsp), %rcx\n jmp *%r13\n"
        "attack_bases: wrfsbase %r12\n wrgsbase %r13\n mov %fs:0, %rcx\n ud2\n"
        "attack_segment: mov %r12, %ds\n mov %r13, %fs\n mov %r14, %gs\n mov %gs:0, %rcx\n ud2\n"
        "attack_xrstor: mov %r13, %rax\n mov %r14, %rdx\n xrstor64 (%r12)\n ud2\n"
        "attack_iret: push %r12\n push %rsp\n push %r14\n push %rbx\n push %r13\n iretq\n"
        "attack_int80: int $0x80\n ud2\n"
        "attack_sysenter: sysenter\n ud2\n"
        "attack_call: call *%r12\n ud2\n"
        "attack_far: sub $16, %rsp\n mov %r13d, (%rsp)\n mov %r12, 4(%rsp)\n ljmp *(%rsp)\n");
__attribute__((noreturn)) void attack_enter(struct regs *r);
extern const char attack_store[], attack_forge[], attack_stack[], attack_popf[], attack_bases[],
	attack_segment[], attack_xrstor[], attack_iret[], attack_int80[], attack_sysenter[],
	attack_call[], attack_far[];

static uint64_t state = 1;
static uint64_t pattern[WORDS], noise[512];

static uint64_t random(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state * 0x2545f4914f6cdd1dull;
}

static uint64_t below(uint64_t n)
{
	return (random() >> 16) % n;
}

static uint64_t engine_address(void)
{
	static const uint64_t at[] = {
		PE_CODE,  PE_CONST, PE_CTL,       PE_CTL + CTL_ORDERS,
		PE_STATE, PE_M2P,   PE_GUEST_END, PE_STATE + STATE_SIGSTACK
	};

	return at[below(COUNT(at))] + below(512) * 8;
}

/* The host's mmap, munmap, open, execve, ptrace, kill (of nobody), futex and their like. */
static void like_a_system_call(struct regs *r)
{
	static const uint16_t likely[] = { 0,  1,  2,  9,   10,  11,  15, 56,
		                           57, 59, 62, 101, 157, 202, 257 };

	r->r12 = r->rax = below(2) ? likely[below(COUNT(likely))] : below(600);
	r->rdi = below(2) ? engine_address() & ~0xfffull : below(4);
	r->rsi = r->rax == 62 ? 0 : 4096;
	r->rdx = 7;
	r->r10 = 0x11;
	r->r8 = below(3);
	r->r9 = below(64) * 4096;
	if (r->rax == 62 || r->rax == 234)
		r->rdi = 0;
}

static const char *pick(struct regs *r)
{
	static const char *const others[] = { attack_bases, attack_segment, attack_xrstor,
		                              attack_iret,  attack_int80,   attack_sysenter,
		                              attack_call,  attack_far };
	uint64_t stack = PE_STATE + STATE_SIGSTACK;

	like_a_system_call(r);
	r->rbx = random() | 1;
	r->r13 = PE_CODE + below(PE_CODE_SIZE);
	r->r14 = random();
	switch (below(6)) {
	case 0:
		return (const char *)r->r13;
	case 1:
		r->r12 = below(4) == 0 ? PE_CTL : below(2) ? PE_STATE : PE_STATE + OUT_SEQ;
		r->r13 = below(2) ? 0x78 : below(2) ? 0xff8 : 0x7ff8;
		r->r14 = 1 + below(500);
		return attack_store;
	case 2:
		r->r12 = below(8);
		r->r13 = PE_STATE;
		r->r14 = PE_CTL + CTL_ANSWERED;
		r->r8 = stack + (below(PE_SIGSTACK_SIZE) & ~7ull);
		r->r9 = stack + (below(PE_SIGSTACK_SIZE) & ~7ull);
		r->r10 = below(32);
		r->rsi = 1 + below(100000);
		return attack_forge;
	case 3:
		r->r12 = below(2) ? stack + below(PE_SIGSTACK_SIZE) : engine_address();
		return attack_stack;
	case 4:
		r->r12 = 0x202 | 1ull << below(22);
		return attack_popf;
	default:
		r->r12 = below(3) ? engine_address() & ~63ull : below(2) ? 0x23 : random();
		if (below(4) == 0)
			r->r12 = (uint64_t)noise;
		return others[below(COUNT(others))];
	}
}

__attribute__((noreturn)) static void child(uint64_t seed)
{
	struct regs r = { 0 };
	uint8_t *code = (uint8_t *)mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC);
	uint8_t *stack = (uint8_t *)mmap(NULL, 8192, PROT_READ | PROT_WRITE);

	state = seed * 0x9e3779b97f4a7c15ull | 1;
	alarm_ns(CHILD_NS);
	for (unsigned i = 0; i < COUNT(noise); i++)
		noise[i] = random();
	r.rsp = (uint64_t)stack + 8192 - 64;
	r.rip = (uint64_t)pick(&r);
	if (below(8) == 0) {
		for (unsigned i = 0; i < 4096; i++)
			code[i] = (uint8_t)random();
		/* Calls of our own kernel's are no attack on what lies beneath it. */
		for (unsigned i = 0; i < 4095; i++)
			if (code[i] == 0x0f && code[i + 1] == 0x05)
				code[i] = 0x90;
		r.rip = (uint64_t)code + below(2048);
	}
	attack_enter(&r);
}

static void fill(void)
{
	for (unsigned i = 0; i < WORDS; i++)
		pattern[i] = i * 0x9e3779b97f4a7c15ull;
}

static bool intact(void)
{
	for (unsigned i = 0; i < WORDS; i++)
		if (pattern[i] != i * 0x9e3779b97f4a7c15ull)
			return false;
	return true;
}

__attribute__((noreturn)) static void neighbour(void)
{
	for (;;) {
		if (!intact())
			exit(1);
		sleep_ns(5000000);
	}
}

int main(int argc, char **argv)
{
	long count = argc > 1 ? number(argv[1], 100) : 100,
	     seed = argc > 2 ? number(argv[2], 1) : 1;
	unsigned signalled = 0, exited = 0;
	int watcher, status, pid;

	fill();
	watcher = fork();
	if (watcher == 0)
		neighbour();
	for (long i = 0; i < count; i++) {
		pid = fork();
		if (pid == 0)
			child((uint64_t)(seed + i));
		if (pid < 0 || waitpid(pid, &status, 0) != pid) {
			printf("attack: child %ld is lost: %d\n", i, pid);
			return 1;
		}
		*(status & 0x7f ? &signalled : &exited) += 1;
	}
	if (!intact() || waitpid(watcher, &status, WNOHANG) != 0) {
		printf("attack: memory has changed\n");
		return 1;
	}
	kill(watcher, SIGKILL);
	waitpid(watcher, &status, 0);
	printf("attack: %ld children, %u ended by a signal, %u by themselves; all intact\n", count,
	       signalled, exited);
	return 0;
}
