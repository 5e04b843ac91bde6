/* SPDX-License-Identifier: MIT */
/*
 * The same attacks by an unprivileged program, which has a page-table root of its own.
 *
 * Behaviour: everything that engine.c knows, in user mode; reads and writes at addresses of the
 * kernel, of the hypervisor and of the engine; instructions out of noise.
 * Method: a root with one page of code, one of data and a stack; entered by iret, left by a trap, a
 * system call or the clock. Then the kernel looks after its own memory.
 * Breakage: the domain's end (a program can never bring that about); a byte of the kernel's that the
 * program could read or change.
 */
#include "hypervisor-stub/engines/process/layout.h"
#include "pvops/aspace.h"
#include "tests/hostile/attacker/attack.h"

#define CODE  PV_USER_START
#define DATA  (PV_USER_START + 0x10000)
#define STACK (PV_USER_START + 0x20000)

static uint8_t code[4096] __attribute__((aligned(4096)));
static uint8_t data[4096] __attribute__((aligned(4096)));
static uint8_t stack[8192] __attribute__((aligned(4096)));
static volatile uint64_t secret[512] __attribute__((aligned(4096)));
static struct pv_aspace space;

static void enter(void *arg)
{
	static struct pv_frame f;
	const struct at_regs *r = arg;

	memset(&f, 0, sizeof(f));
	memcpy(&f.r15, r, 15 * 8);
	f.rip = r->rip;
	f.rflags = r->rflags | PV_RFLAGS_IF;
	f.rsp = r->rsp;
	f.cs = FLAT_USER_CS;
	f.ss = FLAT_USER_SS;
	pv_frame_resume(&f);
}

static void attempt(struct at_regs *r)
{
	at_limit(5000000);
	at_last.vector = PV_NR_VECTORS;
	at_try(enter, r);
	at_limit(0);
	pv_cpus[0]->info->evtchn_upcall_mask = 1;
}

/*
 * Whether it got through. That a trap says so is not enough: a program that reported an exit by hand
 * and ran on is still where it was, whatever its kernel enters it with. That is its own loss.
 */
static void judge(const struct at_regs *r, bool wrote)
{
	uint64_t there = 0;

	if (at_last.vector != PV_VECTOR_UD)
		return;
	if (r->r12 < pv_boot.memory_end - 8)
		memcpy(&there, (void *)r->r12, 8);
	if (wrote ? there == r->r13 : there && at_last.rax == there)
		at_breach("a program could %s %lx: %lx", wrote ? "write" : "read", r->r12, there);
}

/* What a program has no address for: reading and writing it must be refused. */
static void look_at_forbidden(void)
{
	static const uint64_t engine[] = { PE_WINDOW, PE_GUEST_END, MACH2PHYS_VIRT_START };
	struct at_regs r = { .rsp = STACK + 4096, .rflags = 0x202 };
	bool writes = at_chance(2);

	switch (at_below(4)) {
	case 0:
		r.r12 = engine[at_below(AT_COUNT(engine))];
		break;
	case 1:
		r.r12 = (uint64_t)secret + at_below(512) * 8;
		break;
	case 2:
		r.r12 = PV_WINDOW + at_below(1 << 20);
		break;
	default:
		r.r12 = at_below(pv_boot.memory_end);
	}
	r.r13 = at_random();
	r.rip = CODE + (uint64_t)((writes ? at_blob_write : at_blob_read) - at_blobs);
	r.rax = ~r.r13;
	attempt(&r);
	judge(&r, writes);
}

static void map(void)
{
	struct pv_batch b;

	pv_batch_begin(&b, &space);
	pv_batch_map(&b, CODE, (uint64_t)code >> PV_PAGE_SHIFT, PV_PROT_READ | PV_PROT_EXEC);
	pv_batch_map(&b, DATA, (uint64_t)data >> PV_PAGE_SHIFT, PV_PROT_READ | PV_PROT_WRITE);
	pv_batch_map(&b, STACK, (uint64_t)stack >> PV_PAGE_SHIFT, PV_PROT_READ | PV_PROT_WRITE);
	if (pv_batch_end(&b))
		pv_panic("attacker: cannot map a program");
}

void at_user(void)
{
	static uint8_t kernel_stack[16384] __attribute__((aligned(16)));
	struct at_regs r;
	const char *name;

	if (pv_aspace_init() || pv_aspace_create(&space, PV_ROOTS_TWO))
		pv_panic("attacker: no address space");
	map();
	for (unsigned int i = 0; i < 512; i++)
		secret[i] = ~(uint64_t)i;
	for (unsigned int i = 0; i < at.budget; i++) {
		memcpy(code, at_blobs, sizeof(code));
		at_noise(data, sizeof(data));
		pv_aspace_switch(&space, kernel_stack + sizeof(kernel_stack), 0);
		if (at_chance(4)) {
			at_attempt("forbidden");
			look_at_forbidden();
		} else {
			name = at_engine_attack(&r, CODE, DATA, STACK + 4096 - 64);
			if (at_chance(8)) {
				at_noise(code + (at_blob_noise - at_blobs), 256);
				r.rip = CODE + (uint64_t)(at_blob_noise - at_blobs);
			}
			at_attempt(name);
			attempt(&r);
		}
		for (unsigned int k = 0; k < 512; k++)
			if (secret[k] != ~(uint64_t)k)
				at_breach("a program changed kernel memory: word %u is %lx", k,
				          secret[k]);
	}
	pv_aspace_switch(NULL, NULL, 0);
}
