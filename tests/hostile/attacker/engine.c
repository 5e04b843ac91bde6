/* SPDX-License-Identifier: MIT */
/*
 * Attacks on the process engine itself, by the kernel.
 *
 * Behaviour: jumps to every byte of the trampoline with registers of a system call; system calls of
 * every number by every instruction that makes one; stores into the engine's pages; exits reported
 * by hand while the guest runs on; stack pointers into the signal stack; flags, bases, selectors and
 * floating-point states that are not right; instructions out of noise.
 * Method: each attempt runs with events on, so that the clock ends what would run for ever; what an
 * honest hypervisor answers is a trap, or the end of this domain with a report.
 * Breakage: a system call that is done (the harness counts processes, descriptors and files), the
 * hypervisor's end, a hypervisor that waits for us for ever.
 */
#include "hypervisor-stub/engines/process/layout.h"
#include "tests/hostile/attacker/attack.h"

#define SYSCALLS 600

static uint64_t engine_page(void)
{
	static const uint64_t known[] = { PE_CODE,
		                          PE_CODE + 0xff8,
		                          PE_CONST,
		                          PE_CTL,
		                          PE_CTL + CTL_REGS,
		                          PE_CTL + CTL_ORDERS,
		                          PE_STATE,
		                          PE_STATE + STATE_XSAVE,
		                          PE_STATE + STATE_SIGSTACK,
		                          PE_M2P,
		                          PE_WINDOW,
		                          PE_GUEST_END };

	return known[at_below(AT_COUNT(known))] + (at_chance(2) ? at_below(4096) & ~7ull : 0);
}

static uint64_t signal_stack(void)
{
	uint64_t bottom = PE_STATE + STATE_SIGSTACK;

	switch (at_below(4)) {
	case 0:
		return bottom + at_below(4096);
	case 1:
		return bottom + PE_SIGSTACK_SIZE - at_below(64) * 8;
	case 2:
		return bottom - at_below(64) * 8;
	default:
		return bottom + at_below(PE_SIGSTACK_SIZE);
	}
}

/* What a system call of that number would take gladly. */
static void system_call(struct at_regs *r, uint64_t data)
{
	static const uint16_t likely[] = { 0,   1,   2,   9,   10,  11,  15,  16,  39,  42,
		                           56,  57,  59,  60,  61,  62,  90,  101, 157, 202,
		                           231, 234, 257, 302, 317, 322, 425, 435, 438, 440 };

	r->r12 = at_chance(2) ? likely[at_below(AT_COUNT(likely))] : at_below(SYSCALLS);
	if (at_chance(32))
		r->r12 = at_value();
	r->rdi = at_chance(2) ? data : at_below(4);
	r->rsi = at_chance(2) ? at_below(16) : 4096;
	r->rdx = at_chance(2) ? 7 : data;
	r->r10 = at_chance(2) ? 0x11 : at_below(4);
	r->r8 = at_below(4);
	r->r9 = at_chance(2) ? 0 : at_below(64) * 4096;
	switch (r->r12) {
	case 9: /* mmap over the engine's pages, with the memory's descriptor */
		r->rdi = at_chance(2) ? engine_page() & ~0xfffull : r->rdi & ~0xfffull;
		r->rsi = 4096;
		break;
	case 10: /* mprotect */
	case 11: /* munmap */
		r->rdi = engine_page() & ~0xfffull;
		r->rsi = 4096;
		break;
	case 62: /* kill: never a process by number, we do not know whose it is */
	case 234:
		r->rdi = 0;
		r->rsi = 0;
		break;
	case 202: /* futex, on the engine's own words */
		r->rdi = engine_page() & ~3ull;
		break;
	}
}

static void some_registers(struct at_regs *r, uint64_t data)
{
	uint64_t *g = &r->r15;

	for (unsigned int i = 0; i < 15; i++)
		g[i] = at_chance(2)   ? at_value()
		       : at_chance(2) ? data + at_below(4096)
		                      : engine_page();
}

static const char *by_jump(struct at_regs *r, uint64_t data)
{
	if (at_chance(2))
		some_registers(r, data);
	system_call(r, data);
	r->r13 = PE_CODE + at_below(PE_CODE_SIZE);
	if (at_chance(8))
		r->rsp = signal_stack();
	return "jump";
}

static const char *by_store(struct at_regs *r, uint64_t data)
{
	static const struct {
		uint64_t at, mask;
	} where[] = { { PE_STATE, 0x78 },
		      { PE_STATE, 0xff8 },
		      { PE_STATE + STATE_REGS, 0x78 },
		      { PE_STATE + OUT_SEQ, 0x18 }, /* the hand-over between user and kernel */
		      { PE_STATE + OUT_REGS, 0xf8 },
		      { PE_STATE + OUT_XSAVE, 0xff8 },
		      { PE_PEER, 0x1ff8 },
		      { PE_STATE + STATE_XSAVE, 0xff8 },
		      { PE_STATE + STATE_SIGSTACK, 0x7ff8 },
		      { PE_CTL, 0xff8 },
		      { PE_CODE, 0xff8 } };
	unsigned int i = (unsigned int)at_below(AT_COUNT(where));

	system_call(r, data);
	r->rdi = at_below(SYSCALLS);
	r->rbx = at_random() | 1;
	r->r12 = where[i].at;
	r->r13 = where[i].mask;
	r->r14 = 1 + at_below(200);
	return "store";
}

static const char *by_forgery(struct at_regs *r)
{
	uint64_t stack = PE_STATE + STATE_SIGSTACK;

	r->r12 = at_chance(4) ? at_value() : at_below(7);
	r->r13 = PE_STATE;
	r->r14 = PE_CTL + CTL_ANSWERED;
	r->rdi = at_below(64);
	r->rsi = 1 + at_below(20000);
	r->r8 = at_chance(4) ? at_address() : stack + at_below(PE_SIGSTACK_SIZE / 8) * 8;
	r->r9 = at_chance(4) ? at_address() : stack + at_below(PE_SIGSTACK_SIZE / 8) * 8;
	r->r10 = at_below(32);
	return "forge";
}

static const char *by_flags(struct at_regs *r, uint64_t blobs, const char **which)
{
	static const uint64_t flags[] = { 0x100,    0x400,   0x40000,  0x4000, 0x3000,  0x10000,
		                          0x200000, 0x20000, 0x180000, ~0ull,  0x254fd5 };

	r->r12 = flags[at_below(AT_COUNT(flags))] | (at_chance(2) ? at_random() & 0x7ed7 : 0);
	if (at_chance(2)) {
		*which = at_blob_popf;
		return "popf";
	}
	/* TF, AC, DF... carried into the trampoline. */
	r->rflags = r->r12 & 0x254dd5;
	r->r12 = at_below(SYSCALLS);
	r->r13 = PE_CODE + at_below(PE_CODE_SIZE);
	*which = at_chance(2) ? at_blob_jump : at_blob_syscall;
	(void)blobs;
	return "flags";
}

static const char *by_frame(struct at_regs *r, uint64_t stack, const char **which)
{
	if (at_chance(2)) {
		*which = at_blob_stack;
		r->r12 = at_chance(2) ? signal_stack() : at_chance(8) ? 0 : at_address();
		r->r13 = at_below(SYSCALLS);
		return "stack";
	}
	*which = at_blob_iret; /* ss, rsp, flags, cs, rip */
	r->r12 = at_chance(2) ? 0x2b : at_value();
	r->r13 = at_chance(2) ? stack : at_address();
	r->r14 = at_chance(2) ? 0x202 : at_random();
	r->rbx = at_chance(2) ? 0x33 : at_chance(2) ? 0x23 : at_value();
	r->rdi = at_chance(2) ? engine_page() : at_address();
	return "iret";
}

static const char *by_state(struct at_regs *r, uint64_t data, const char **which)
{
	switch (at_below(4)) {
	case 0:
		*which = at_blob_xrstor;
		r->r12 = at_chance(4) ? engine_page() & ~63ull : data & ~63ull;
		r->r13 = at_random();
		r->r14 = at_random();
		return "xrstor";
	case 1:
		*which = at_blob_fxrstor;
		r->r12 = at_chance(4) ? engine_page() : data & ~15ull;
		return "fxrstor";
	case 2:
		*which = at_blob_segment;
		r->r12 = at_value();
		r->r13 = at_value();
		r->r14 = at_value();
		r->rbx = at_value();
		return "segment";
	default:
		*which = at_blob_bases;
		r->r12 = at_address();
		r->r13 = at_address();
		return "bases";
	}
}

static const char *by_door(struct at_regs *r, uint64_t data, const char **which)
{
	system_call(r, data);
	switch (at_below(5)) {
	case 0:
		*which = at_blob_int80;
		return "int80";
	case 1:
		*which = at_blob_sysenter;
		return "sysenter";
	case 2:
		*which = at_blob_call;
		r->r12 = 0xffffffffff600000 + at_below(8) * 1024;
		return "vsyscall";
	case 3:
		*which = at_blob_far;
		r->r13 = r->r12;
		r->r12 = at_chance(4) ? at_value() : 0x23;
		return "far";
	default:
		*which = at_blob_syscall;
		return "syscall";
	}
}

const char *at_engine_attack(struct at_regs *r, uint64_t blobs, uint64_t data, uint64_t stack)
{
	const char *which = at_blob_jump, *name;

	memset(r, 0, sizeof(*r));
	r->rsp = stack;
	r->rflags = 0x202;
	switch (at_below(8)) {
	case 0:
	case 1:
		name = by_jump(r, data);
		break;
	case 2:
		which = at_blob_store;
		name = by_store(r, data);
		break;
	case 3:
		which = at_blob_forge;
		name = by_forgery(r);
		break;
	case 4:
		name = by_flags(r, blobs, &which);
		break;
	case 5:
		name = by_frame(r, stack, &which);
		break;
	case 6:
		name = by_state(r, data, &which);
		break;
	default:
		name = by_door(r, data, &which);
	}
	r->rip = blobs + (uint64_t)(which - at_blobs);
	return name;
}

/* ---- the kernel's own attempts -------------------------------------------------------------- */

static void enter(void *arg)
{
	pv_cpus[0]->info->evtchn_upcall_mask = 0;
	at_enter(arg);
}

void at_engine(void)
{
	static uint8_t stack[8192] __attribute__((aligned(4096)));
	static uint8_t blobs[4096] __attribute__((aligned(4096)));
	struct at_regs r;
	const char *name;

	for (unsigned int i = 0; i < at.budget; i++) {
		at_noise(at_scratch, sizeof(at_scratch));
		memcpy(blobs, at_blobs, sizeof(blobs));
		name = at_engine_attack(&r, (uint64_t)blobs, (uint64_t)at_scratch,
		                        (uint64_t)stack + sizeof(stack) - 64);
		if (at_chance(8)) {
			at_noise(blobs + (at_blob_noise - at_blobs), 256);
			r.rip = (uint64_t)blobs + (uint64_t)(at_blob_noise - at_blobs);
			name = "noise";
		}
		at_attempt(name);
		at_limit(5000000);
		at_try(enter, &r);
		at_limit(0);
		pv_cpus[0]->info->evtchn_upcall_mask = 1;
		at_restore();
	}
}
