/* SPDX-License-Identifier: MIT */
/*
 * What a guest hands over as a whole vCPU: the frame of an iret, the context of VCPUOP_initialise.
 *
 * Behaviour: frames of every shape (selectors, flags, addresses that are not canonical, a stack that
 * ends in the frame) from memory that is there, half there, or not; contexts that are noise around a
 * sound skeleton, and the vCPU is started with them.
 * Method: an iret goes to code that traps at once, so that a frame which was accepted comes back.
 * Breakage: the hypervisor's end, a process that is left behind, another vCPU that stands still.
 */
#include "abi/vcpu.h"
#include "pvops/aspace.h"
#include "tests/hostile/attacker/attack.h"

/* Where a frame that is taken leads: to a trap. */
__asm__(".text\n"
        "at_landing: ud2\n"
        "at_spin: pause\n jmp at_spin\n"
        /* The stub pushes rcx, r11 and rax above the five words and the flags. */
        "at_iret_from: mov %rdi, %rsp\n"
        "jmp pv_hypercall_page + 23 * 32\n");
extern char at_landing[], at_spin[], at_iret_from[];

static void iret_from(void *arg)
{
	((void (*)(void *))(uintptr_t)at_iret_from)(arg);
}

static uint64_t selector(void)
{
	static const uint16_t known[] = { 0,      3,      0x10,   0x18,   0x23,   0x2b,
		                          0x33,   0xe019, 0xe023, 0xe02b, 0xe030, 0xe033,
		                          0xe008, 0xe010, 0xffff, 0x0007, 0xfff7 };

	return at_chance(4) ? at_value() : known[at_below(AT_COUNT(known))];
}

static void make_frame(struct iret_context *f)
{
	at_noise(f, sizeof(*f));
	if (!at_chance(4))
		f->flags = at_below(2) * 0x100;
	f->cs = selector();
	if (!at_chance((f->cs & 3) == 3 ? 4 : 500))
		f->rip = (uint64_t)at_landing;
	f->ss = selector();
	if (at_chance(2))
		f->rflags = 0x202 | 1ull << at_below(22);
	if (f->rip != (uint64_t)at_landing)
		f->rflags |= PV_RFLAGS_IF; /* the clock ends what runs there */
	/* Kernel code with no stack ends the domain; user code may have what it likes. */
	if (!at_chance((f->cs & 3) == 3 ? 4 : 500))
		f->rsp = (uint64_t)at_scratch + 4096 + at_below(4096);
}

void at_irets(void)
{
	static uint8_t kernel_stack[16384] __attribute__((aligned(16)));
	static struct pv_aspace empty;

	/* A user root with nothing in it: a frame that leads to user mode comes back at once. */
	if (pv_aspace_init() || pv_aspace_create(&empty, PV_ROOTS_TWO))
		pv_panic("attacker: no address space");
	pv_aspace_switch(&empty, kernel_stack + sizeof(kernel_stack), 0);
	for (unsigned int i = 0; i < at.budget; i++) {
		uint64_t where = at_chance(200) ? at_address()
		                                : (uint64_t)at_scratch + at_below(4000);

		at_noise(at_scratch, sizeof(at_scratch));
		if (where >= (uint64_t)at_scratch &&
		    where <= (uint64_t)at_scratch + sizeof(at_scratch) -
		                     sizeof(struct iret_context) - 8) {
			struct iret_context f;

			make_frame(&f);
			memcpy((void *)where, &f, sizeof(f));
			if (!at_chance(300))
				where += offsetof(struct iret_context, flags);
		}
		pv_cpus[0]->info->evtchn_upcall_mask = 1;
		at_attempt("iret");
		at_limit(5000000);
		at_try(iret_from, (void *)where);
		at_limit(0);
		pv_cpus[0]->info->evtchn_upcall_mask = 1;
		at_restore();
	}
}

static void sound(struct vcpu_guest_context *c, uint64_t *stack)
{
	memset(c, 0, sizeof(*c));
	c->flags = VGCF_in_kernel;
	c->user_regs.rip = (uintptr_t)at_spin;
	c->user_regs.rsp = (uintptr_t)stack;
	c->user_regs.rflags = PV_RFLAGS_IF;
	c->user_regs.cs = FLAT_KERNEL_CS;
	c->user_regs.ss = FLAT_KERNEL_SS;
	c->kernel_ss = FLAT_KERNEL_SS;
	c->kernel_sp = (uintptr_t)stack;
	c->ctrlreg[3] = xen_pfn_to_cr3(pv_p2m(pv_mmu_boot_root().pfn));
}

void at_contexts(void)
{
	static struct vcpu_guest_context c;
	static uint64_t stack[512];
	unsigned int cpu;

	for (unsigned int i = 0; i < at.budget; i++) {
		at_attempt("context");
		sound(&c, stack + 512);
		for (unsigned int n = (unsigned int)at_below(6); n; n--)
			((uint64_t *)&c)[at_below(sizeof(c) / 8)] = at_value();
		if (at_chance(8))
			at_noise(&c, sizeof(c));
		if (at_chance(8))
			c.user_regs.rip = at_address();
		cpu = (unsigned int)at_below(at.cpus + 1);
		pv_hc_vcpu_op(VCPUOP_initialise, cpu, at_chance(16) ? (void *)at_address() : &c);
		/* A context that faults at once ends the domain: that is all this family can lose. */
		if (at_chance(4) && cpu) {
			pv_hc_vcpu_op(VCPUOP_up, cpu, NULL);
			pv_hc_vcpu_op(VCPUOP_send_nmi, cpu, NULL);
			pv_hc_vcpu_op(VCPUOP_is_up, cpu, NULL);
		}
	}
}
