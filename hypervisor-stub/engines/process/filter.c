/* SPDX-License-Identifier: MIT */
/*
 * The system-call filters of a guest process, as classic BPF.
 *
 * vCPU thread: futex wait and wake on words of its own group, and sched_yield; made from the
 * trampoline's pages by 64-bit code. Guest code that jumps to the trampoline's system call
 * instruction gains only these. All else is SIGSYS: the guest's own system call.
 *
 * Mapper thread: also mapping its domain's memory, and unmapping, below PE_MAP_END only, and the
 * confirmation to us. It runs no code but the trampoline's and obeys no orders but those in ctl,
 * which the guest cannot write, so this filter is a second wall: all else ends the process.
 *
 * Both, from the nursery on: an mmap of PE_FD_FOREIGN that the above would allow is asked about
 * (foreign.c). The kernel takes the strictest answer of all filters, so the vCPU thread cannot ask.
 *
 * Only registers are examined; nothing that a filter reads can change between check and use.
 */
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "hypervisor-stub/engines/process/process.h"

#define MAX_INSNS 180

struct program {
	struct sock_filter insn[MAX_INSNS];
	unsigned nr;
	uint32_t otherwise; /* what becomes of a call that is not allowed */
};

static void emit(struct program *p, uint16_t code, uint32_t k, uint8_t jt, uint8_t jf)
{
	HV_ASSERT(p->nr < MAX_INSNS);
	p->insn[p->nr++] = (struct sock_filter){ .code = code, .jt = jt, .jf = jf, .k = k };
}

static void load(struct program *p, size_t offset)
{
	emit(p, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0);
}

static void load_arg(struct program *p, unsigned n, bool upper)
{
	load(p, offsetof(struct seccomp_data, args) + 8 * n + (upper ? 4 : 0));
}

/* Goes on when the loaded word compares so; else the call is refused. */
static void need(struct program *p, uint16_t compare, uint32_t k)
{
	emit(p, (uint16_t)(BPF_JMP | compare | BPF_K), k, 1, 0);
	emit(p, BPF_RET | BPF_K, p->otherwise, 0, 0);
}

static void need_below(struct program *p, uint32_t k)
{
	emit(p, BPF_JMP | BPF_JGE | BPF_K, k, 0, 1);
	emit(p, BPF_RET | BPF_K, p->otherwise, 0, 0);
}

/* The 64-bit argument n lies in [low, high), both with the same upper half. */
static void need_within(struct program *p, unsigned n, uint64_t low, uint64_t high)
{
	load_arg(p, n, true);
	need(p, BPF_JEQ, (uint32_t)(low >> 32));
	load_arg(p, n, false);
	need(p, BPF_JGE, (uint32_t)low);
	need_below(p, (uint32_t)high);
}

#define NEED_ARG_INSNS 6

static void need_arg(struct program *p, unsigned n, uint32_t value)
{
	load_arg(p, n, true);
	need(p, BPF_JEQ, 0);
	load_arg(p, n, false);
	need(p, BPF_JEQ, value);
}

static void begin(struct program *p, uint32_t otherwise)
{
	memset(p, 0, sizeof(*p));
	p->otherwise = otherwise;
	load(p, offsetof(struct seccomp_data, arch));
	need(p, BPF_JEQ, AUDIT_ARCH_X86_64);
	load(p, offsetof(struct seccomp_data, instruction_pointer) + 4);
	need(p, BPF_JEQ, (uint32_t)(PE_CODE >> 32));
	load(p, offsetof(struct seccomp_data, instruction_pointer));
	need(p, BPF_JGE, (uint32_t)PE_CODE);
	need_below(p, (uint32_t)(PE_CODE + PE_CODE_SIZE + 1)); /* it points behind the call */
	load(p, offsetof(struct seccomp_data, nr));
}

/* The calls that both threads make. What follows is for one call number, whose number is loaded. */
static unsigned on_call(struct program *p, uint32_t nr)
{
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 0);
	return p->nr - 1;
}

static void end_call(struct program *p, unsigned head)
{
	emit(p, BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
	HV_ASSERT(p->nr - head - 1 < 256);
	p->insn[head].jf = (uint8_t)(p->nr - head - 1);
}

static void allow_futex(struct program *p)
{
	unsigned head = on_call(p, SYS_futex);

	need_within(p, 0, PE_CTL, PE_PEER + PE_PEERS * PE_PEER_SIZE);
	load_arg(p, 1, true);
	need(p, BPF_JEQ, 0);
	load_arg(p, 1, false);
	need_below(p, 2); /* FUTEX_WAIT and FUTEX_WAKE */
	/* A sleep has no end of its own: who sleeps stays asleep until somebody wakes him (pair.c). */
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, FUTEX_WAKE, NEED_ARG_INSNS, 0);
	need_arg(p, 3, 0);
	end_call(p, head);
}

static void finish(struct program *p, uint8_t *to, uint64_t at)
{
	struct sock_fprog prog;

	emit(p, BPF_RET | BPF_K, p->otherwise, 0, 0);
	prog.len = (unsigned short)p->nr;
	prog.filter = (struct sock_filter *)(uintptr_t)(at + sizeof(prog));
	memcpy(to, &prog, sizeof(prog));
	memcpy(to + sizeof(prog), p->insn, p->nr * sizeof(p->insn[0]));
}

unsigned pe_filter_foreign(struct sock_filter *to)
{
	const struct sock_filter insn[PE_FOREIGN_INSNS] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mmap, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args) + 8 * 4),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PE_FD_FOREIGN, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};

	memcpy(to, insn, sizeof(insn));
	return PE_FOREIGN_INSNS;
}

void pe_filter_vcpu(uint8_t *to, uint64_t at)
{
	struct program p;
	unsigned head;

	begin(&p, SECCOMP_RET_TRAP);
	allow_futex(&p);
	head = on_call(&p, SYS_sched_yield);
	end_call(&p, head);
	finish(&p, to, at);
}

void pe_filter_mapper(uint8_t *to, uint64_t at)
{
	struct program p;
	unsigned head, peer;

	_Static_assert((PE_MAP_END & 0xffffffff) == 0, "the filter compares upper halves");
	_Static_assert(PE_MAP_END + PE_MAP_MAX_LEN <= PE_M2P, "no mapping can reach the group");

	begin(&p, SECCOMP_RET_KILL_PROCESS);
	allow_futex(&p);

	head = on_call(&p, SYS_sched_yield);
	end_call(&p, head);

	/* Either the pages of a peer, to read, at one of their places; or its domain's memory. */
	head = on_call(&p, SYS_mmap);
	load_arg(&p, 0, true);
	peer = on_call(&p, (uint32_t)(PE_PEER >> 32));
	load_arg(&p, 0, false);
	need(&p, BPF_JGE, (uint32_t)PE_PEER);
	need_below(&p, (uint32_t)(PE_PEER + (PE_PEERS - 1) * PE_PEER_SIZE + 1));
	need_arg(&p, 1, PE_PEER_SIZE);
	need_arg(&p, 2, PROT_READ);
	need_arg(&p, 3, MAP_SHARED | MAP_FIXED);
	need_arg(&p, 4, PE_FD_GROUP);
	end_call(&p, peer);
	need_below(&p, (uint32_t)(PE_MAP_END >> 32));
	load_arg(&p, 1, true);
	need(&p, BPF_JEQ, 0);
	load_arg(&p, 1, false);
	need_below(&p, PE_MAP_MAX_LEN + 1);
	load_arg(&p, 2, true);
	need(&p, BPF_JEQ, 0);
	load_arg(&p, 2, false);
	need_below(&p, (PROT_READ | PROT_WRITE | PROT_EXEC) + 1);
	need_arg(&p, 3, MAP_SHARED | MAP_FIXED);
	load_arg(&p, 4, true);
	need(&p, BPF_JEQ, 0);
	load_arg(&p, 4, false);
	emit(&p, BPF_JMP | BPF_JEQ | BPF_K, PE_FD_MEMORY, 2, 0); /* over the next two */
	need(&p, BPF_JEQ, PE_FD_FOREIGN);
	end_call(&p, head);

	head = on_call(&p, SYS_close);
	need_arg(&p, 0, PE_FD_FOREIGN);
	end_call(&p, head);

	/* From 0 even a longer stretch is harmless, up to PE_MAP_END. */
	head = on_call(&p, SYS_munmap);
	load_arg(&p, 0, true);
	need_below(&p, (uint32_t)(PE_MAP_END >> 32));
	load_arg(&p, 1, true);
	emit(&p, BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 3);
	load_arg(&p, 1, false);
	emit(&p, BPF_JMP | BPF_JGT | BPF_K, PE_MAP_MAX_LEN, 1, 0);
	emit(&p, BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
	need_arg(&p, 0, 0);
	load_arg(&p, 1, true);
	need_below(&p, (uint32_t)(PE_MAP_END >> 32));
	end_call(&p, head);

	head = on_call(&p, SYS_write);
	need_arg(&p, 0, PE_FD_ACK);
	load_arg(&p, 1, true);
	need(&p, BPF_JEQ, (uint32_t)(PE_CTL >> 32));
	load_arg(&p, 1, false);
	need(&p, BPF_JEQ, (uint32_t)(PE_CTL + CTL_ACK));
	need_arg(&p, 2, 8);
	end_call(&p, head);
	finish(&p, to, at);
}
