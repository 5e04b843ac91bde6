/* SPDX-License-Identifier: MIT */
/*
 * Exceptions: each is raised on purpose, and the frame that the handler gets is looked at.
 *
 * Method: one instruction with an exception-table row behind it; the trap handler keeps a copy of
 * the frame. Breakage: a kernel cannot tell a fault from a trap, resumes at the wrong place, or finds
 * events in another state than it left them.
 */
#include "tests/guests/selftest/test.h"

#include "abi/nmi.h"
#include "pvops/cpu.h"
#include "pvops/mmu.h"
#include "pvops/p2m.h"

/* The frame's rip is that of the instruction (a fault) or what follows it (a trap). */
#define CHECK_TRAP(vec, code, at)                   \
	do {                                        \
		ST_EQ(st_traps, 1);                 \
		ST_EQ(st_trap.vector, vec);         \
		ST_EQ(st_trap.error_code, code);    \
		ST_EQ(st_trap.rip, (uint64_t)(at)); \
	} while (0)

/* Labels around the one instruction of a claim. */
#define TRAP_AT(name, insn, ...)                                                               \
	do {                                                                                   \
		__asm__ volatile(                                                              \
			".globl st_at_" #name ", st_after_" #name "\n"                         \
			"st_at_" #name ": " insn "\n"                                          \
			"st_after_" #name ":\n" PV_EXTABLE("st_at_" #name, "st_after_" #name)  \
				PV_EXTABLE("st_after_" #name, "st_after_" #name) __VA_ARGS__); \
		__asm__ volatile("" : : : "memory");                                           \
	} while (0)

#define LABELS(name) extern char st_at_##name[], st_after_##name[]

LABELS(de);
LABELS(bp);
LABELS(of);
LABELS(ud);
LABELS(int80);
LABELS(gp);
LABELS(sel);
LABELS(ss);
LABELS(read);
LABELS(write);
LABELS(ro);
LABELS(nx);
LABELS(high);
LABELS(null);
LABELS(hlt);

static void divide_by_zero_is_de(void)
{
	TRAP_AT(de, "divl %%ecx", : : "a"(1), "d"(0), "c"(0) : "cc");
	CHECK_TRAP(PV_VECTOR_DE, 0, st_at_de);
}

static void int3_is_bp_behind_the_instruction(void)
{
	TRAP_AT(bp, "int3", ::);
	CHECK_TRAP(PV_VECTOR_BP, 0, st_after_bp);
}

static void int4_is_of_behind_the_instruction(void)
{
	TRAP_AT(of, "int $4", ::);
	CHECK_TRAP(PV_VECTOR_OF, 0, st_after_of);
}

static void ud2_is_ud(void)
{
	TRAP_AT(ud, "ud2", ::);
	CHECK_TRAP(PV_VECTOR_UD, 0, st_at_ud);
}

static void int_without_a_handler_is_gp_with_the_vector(void)
{
	TRAP_AT(int80, "int $0x91", ::);
	CHECK_TRAP(PV_VECTOR_GP, 0x91 * 8 + 2, st_at_int80);
}

static void non_canonical_address_is_gp(void)
{
	TRAP_AT(gp, "mov (%0), %%rax", : : "r"(ST_NONCANONICAL) : "rax");
	CHECK_TRAP(PV_VECTOR_GP, 0, st_at_gp);
}

static void non_canonical_stack_is_ss(void)
{
	__asm__ volatile("push %%rbp\n"
	                 "mov %0, %%rbp\n"
	                 "st_at_ss: mov (%%rbp), %%rax\n"
	                 "st_after_ss: pop %%rbp\n" PV_EXTABLE("st_at_ss", "st_after_ss")
	                 :
	                 : "r"(ST_NONCANONICAL)
	                 : "rax", "memory");
	/* Emulated processors are known to raise #GP for the stack too. */
	if (st_trap.vector == PV_VECTOR_GP)
		st_trap.vector = PV_VECTOR_SS;
	CHECK_TRAP(PV_VECTOR_SS, 0, st_at_ss);
}

static void bad_selector_is_gp_with_the_selector(void)
{
	TRAP_AT(sel, "mov %0, %%es", : : "r"(0x2f));
	CHECK_TRAP(PV_VECTOR_GP, 0x2c, st_at_sel);
}

static void reading_nothing_is_pf(void)
{
	TRAP_AT(read, "mov (%0), %%rax", : : "r"(ST_UNMAPPED) : "rax");
	CHECK_TRAP(PV_VECTOR_PF, 0, st_at_read);
	ST_EQ(st_trap.cr2, (uint64_t)ST_UNMAPPED);
}

static void writing_nothing_is_pf_with_write(void)
{
	TRAP_AT(write, "movl $1, 5(%0)", : : "r"(ST_UNMAPPED) : "memory");
	CHECK_TRAP(PV_VECTOR_PF, PV_PF_WRITE, st_at_write);
	ST_EQ(st_trap.cr2, (uint64_t)ST_UNMAPPED + 5);
}

static void writing_read_only_is_pf_with_present(void)
{
	uint64_t va = st_window();
	void *page = st_page();

	ST_EQ(pv_mmu_map_frame(va, pv_virt_to_mfn(page), PV_PTE_PRESENT), 0);
	TRAP_AT(ro, "movl $1, (%0)", : : "r"(va) : "memory");
	CHECK_TRAP(PV_VECTOR_PF, PV_PF_WRITE | PV_PF_PRESENT, st_at_ro);
	ST_EQ(st_trap.cr2, va);
	ST_EQ(*(uint32_t *)page, 0);
	ST_EQ(pv_mmu_map_frame(va, 0, 0), 0);
	st_page_free(page);
}

/* The call never happened: back to where it would have returned to. */
static bool undo_call(struct pv_frame *f)
{
	f->rip = *(uint64_t *)f->rsp;
	f->rsp += 8;
	return true;
}

/* The fault is at the target: the frame says rip = the address that could not be fetched. */
static void executing_data_is_pf_with_fetch(void)
{
	uint64_t va = st_window();
	uint8_t *page = st_page();

	page[0] = 0xc3; /* ret */
	ST_EQ(pv_mmu_map_frame(va, pv_virt_to_mfn(page), PV_PTE_PRESENT | PV_PTE_NX), 0);
	st_on_trap = undo_call;
	__asm__ volatile("call *%0" : : "r"(va) : "memory");
	ST_EQ(st_traps, 1);
	ST_EQ(st_trap.vector, PV_VECTOR_PF);
	ST_EQ(st_trap.error_code, PV_PF_FETCH | PV_PF_PRESENT);
	ST_EQ(st_trap.rip, va);
	ST_EQ(st_trap.cr2, va);
	ST_EQ(pv_mmu_map_frame(va, 0, 0), 0);
	st_page_free(page);
}

/* The hypervisor's half of the address space: present or not, it is not for us. */
static void reading_the_hypervisor_is_pf(void)
{
	TRAP_AT(high, "mov (%0), %%rax", : : "r"(ST_HYPERVISOR) : "rax");
	ST_EQ(st_traps, 1);
	ST_EQ(st_trap.vector, PV_VECTOR_PF);
	ST_EQ(st_trap.rip, (uint64_t)st_at_high);
	ST_EQ(st_trap.cr2, (uint64_t)ST_HYPERVISOR);
	ST_EQ(st_trap.error_code & (PV_PF_WRITE | PV_PF_USER | PV_PF_FETCH), 0);
}

static void null_is_not_mapped(void)
{
	TRAP_AT(null, "mov 8(%0), %%rax", : : "r"(0l) : "rax");
	CHECK_TRAP(PV_VECTOR_PF, 0, st_at_null);
	ST_EQ(st_trap.cr2, 8);
}

static void frame_tells_kernel_from_user(void)
{
	ST_EQ(ST_TRAPS("ud2", ::), 1);
	ST_EQ(st_trap.cs & 3, 0);
	if (pv_is_native()) /* the selectors of ring 0 are the library's own */
		return;
	ST_EQ(st_trap.cs | 3, FLAT_KERNEL_CS);
	ST_EQ(st_trap.ss | 3, FLAT_KERNEL_SS);
}

/* The frame lies right below the interrupted stack, rounded down to sixteen bytes. */
static uint64_t frame_top;

static bool note_frame(struct pv_frame *f)
{
	frame_top = (uint64_t)(f + 1);
	return false;
}

static void frame_is_below_the_interrupted_stack(void)
{
	st_on_trap = note_frame;
	ST_EQ(ST_TRAPS("ud2", ::), 1);
	ST_EQ(frame_top, st_trap.rsp & ~15ul);
	__asm__ volatile("sub $8, %%rsp\n"
	                 "661: ud2\n"
	                 "662: add $8, %%rsp\n" PV_EXTABLE("661b", "662b")::
	                         : "cc", "memory");
	ST_EQ(st_traps, 2);
	ST_EQ(frame_top, st_trap.rsp & ~15ul);
}

static void frame_has_the_event_mask(void)
{
	ST_EQ(ST_TRAPS("ud2", ::), 1);
	ST_EQ(st_trap.saved_upcall_mask, 0);
	ST_CHECK(st_trap.rflags & PV_RFLAGS_IF, "IF is clear with events enabled");
	pv_irq_disable();
	ST_TRY("ud2", ::);
	ST_CHECK(!pv_irq_enabled(), "events are enabled after the return");
	pv_irq_enable();
	ST_EQ(st_traps, 2);
	ST_EQ(st_trap.saved_upcall_mask, 1);
	ST_CHECK(!(st_trap.rflags & PV_RFLAGS_IF), "IF is set with events masked");
}

static bool enabled_in_handler;

static bool note_mask(struct pv_frame *f)
{
	(void)f;
	enabled_in_handler = pv_irq_enabled();
	return false;
}

static void vector_may_mask_events(void)
{
	st_on_trap = note_mask;
	ST_EQ(ST_TRAPS("ud2", ::), 1);
	ST_CHECK(!enabled_in_handler, "the handler ran with events enabled");
	ST_CHECK(pv_irq_enabled(), "events are masked after the return");
}

extern char pv_entry_bp[];

static void vector_may_leave_events_alone(void)
{
	struct trap_info row[] = {
		{ PV_VECTOR_BP, 3, FLAT_KERNEL_CS, (unsigned long)pv_entry_bp },
		{ 0 },
	};

	ST_EQ(pv_hc_set_trap_table(row), 0);
	st_on_trap = note_mask;
	ST_TRY("int3", ::);
	row[0].flags |= 4;
	ST_EQ(pv_hc_set_trap_table(row), 0);
	ST_EQ(st_traps, 1);
	ST_CHECK(enabled_in_handler, "the handler ran with events masked");
	ST_CHECK(pv_irq_enabled(), "events are masked after the return");
}

static void trap_table_errors(void)
{
	const struct trap_info high[] = {
		{ 200, 0, FLAT_KERNEL_CS, (unsigned long)ST_NONCANONICAL },
		{ 0 },
	};

	ST_EQ(pv_hc_set_trap_table(ST_UNMAPPED), -XEN_EFAULT);
	ST_EQ(pv_hc_set_trap_table(high), -XEN_EINVAL);
}

/* A vector of our own, raised by int: the entry does nothing and leaves by iret. */
extern volatile uint64_t st_soft_count;
volatile uint64_t st_soft_count;

extern char st_entry_soft[];
__asm__(".text\n"
        "st_entry_soft:\n"
        "	incq st_soft_count(%rip)\n"
        "	pop %rcx\n"
        "	pop %r11\n"
        "	pushq $0\n"
        "	jmp pv_hypercall_page + 23 * 32\n");

static void software_interrupts_obey_the_ring(void)
{
	struct trap_info row[] = {
		{ 0x90, 0, FLAT_KERNEL_CS, (unsigned long)st_entry_soft },
		{ 0 },
	};

	ST_EQ(pv_hc_set_trap_table(row), 0);
	ST_TRY("int $0x90", ::);
	ST_EQ(st_traps, 1);
	ST_EQ(st_trap.vector, PV_VECTOR_GP);
	ST_EQ(st_trap.error_code, 0x90 * 8 + 2);
	ST_EQ(st_soft_count, 0);
	row[0].flags = 1;
	ST_EQ(pv_hc_set_trap_table(row), 0);
	ST_TRY("int $0x90", ::);
	ST_EQ(st_traps, 1);
	ST_EQ(st_soft_count, 1);
}

/* All sixteen registers and the flags across a trap that changes none of them. */
static void registers_survive_a_trap(void)
{
	static const uint64_t want[15] = { 0x1111111111111111,
		                           0x2222222222222222,
		                           3,
		                           0x4444444444444444,
		                           5,
		                           6,
		                           7,
		                           8,
		                           9,
		                           10,
		                           11,
		                           12,
		                           ~13ul,
		                           14,
		                           0x8000000000000000 };
	uint64_t got[15] = { 0 };
	uint64_t flags = 0;
	const uint64_t *from = want;
	uint64_t *to = got, *flags_to = &flags;

	__asm__ volatile(
		"push %%rbp\n"
		"push %[got]\n"
		"push %[flags]\n"
		"mov %[want], %%r15\n"
		"mov 0(%%r15), %%rax; mov 8(%%r15), %%rbx; mov 16(%%r15), %%rcx\n"
		"mov 24(%%r15), %%rdx; mov 32(%%r15), %%rsi; mov 40(%%r15), %%rdi\n"
		"mov 48(%%r15), %%rbp; mov 56(%%r15), %%r8; mov 64(%%r15), %%r9\n"
		"mov 72(%%r15), %%r10; mov 80(%%r15), %%r11; mov 88(%%r15), %%r12\n"
		"mov 96(%%r15), %%r13; mov 104(%%r15), %%r14; mov 112(%%r15), %%r15\n"
		"pushq $0xad7\n" /* OF IF SF ZF AF PF CF */
		"popfq\n"
		"661: ud2\n"
		"662: pushfq\n"
		"cld\n" PV_EXTABLE(
			"661b",
			"662b") "xchg %%rax, 16(%%rsp)\n" /* got; rax to its place */
				"mov %%rbx, 8(%%rax); mov %%rcx, 16(%%rax); mov %%rdx, 24(%%rax)\n"
				"mov %%rsi, 32(%%rax); mov %%rdi, 40(%%rax); mov %%rbp, 48(%%rax)\n"
				"mov %%r8, 56(%%rax); mov %%r9, 64(%%rax); mov %%r10, 72(%%rax)\n"
				"mov %%r11, 80(%%rax); mov %%r12, 88(%%rax); mov %%r13, 96(%%rax)\n"
				"mov %%r14, 104(%%rax); mov %%r15, 112(%%rax)\n"
				"pop %%rcx\n" /* flags */
				"pop %%rbx\n"
				"mov %%rcx, (%%rbx)\n"
				"pop %%rcx\n" /* rax */
				"mov %%rcx, 0(%%rax)\n"
				"pop %%rbp\n"
		: [got] "+a"(to), [want] "+d"(from), [flags] "+c"(flags_to)
		:
		: "rbx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
		  "memory", "cc");
	ST_EQ(st_traps, 1);
	ST_EQ(memcmp(want, got, sizeof(want)), 0);
	ST_EQ(flags & 0xcd5, 0xcd5 & 0xad7);
	ST_EQ(st_trap.rax, want[0]);
	ST_EQ(st_trap.rsi, want[4]);
	ST_EQ(st_trap.r15, want[14]);
	ST_EQ(st_trap.rflags & 0xcd5, 0xcd5 & 0xad7);
}

static unsigned long flags_in_handler;

static bool note_flags(struct pv_frame *f)
{
	(void)f;
	__asm__ volatile("pushfq; pop %0" : "=r"(flags_in_handler));
	return false;
}

static void handler_runs_with_direction_clear(void)
{
	st_on_trap = note_flags;
	__asm__ volatile("std; 661: ud2; 662: cld\n" PV_EXTABLE("661b", "662b")::: "cc");
	ST_EQ(st_traps, 1);
	ST_CHECK(st_trap.rflags & PV_RFLAGS_DF, "the frame lost DF");
	ST_CHECK(!(flags_in_handler & PV_RFLAGS_DF), "the handler has DF");
}

static bool trap_inside_a_handler(struct pv_frame *f)
{
	st_on_trap = NULL;
	if (f->vector == PV_VECTOR_BP)
		ST_TRY("ud2", ::);
	return false;
}

static void traps_nest(void)
{
	st_on_trap = trap_inside_a_handler;
	ST_TRY("int3", ::);
	ST_EQ(st_traps, 2);
	ST_EQ(st_trap.vector, PV_VECTOR_UD);
}

static unsigned int steps;
static uint64_t step_at[8];

/* The trap flag: one #DB behind each instruction, until the handler takes the flag away. */
static bool step_handled(struct pv_frame *f)
{
	if (steps < ST_COUNT(step_at))
		step_at[steps] = f->rip;
	steps++;
	if (steps == 3)
		f->rflags &= ~(uint64_t)PV_RFLAGS_TF;
	return true;
}

static void trap_flag_steps(void)
{
	pv_trap_fn old = pv_trap_set(PV_VECTOR_DB, step_handled);
	uint64_t first;

	steps = 0;
	__asm__ volatile("pushfq\n"
	                 "orl $0x100, (%%rsp)\n"
	                 "popfq\n"
	                 "nop\n"
	                 "661: nop\n"
	                 "nop\n"
	                 "nop\n"
	                 "lea 661b(%%rip), %0\n"
	                 : "=r"(first)
	                 :
	                 : "cc", "memory");
	pv_trap_set(PV_VECTOR_DB, old);
	ST_EQ(steps, 3);
	ST_EQ(step_at[0], first);
	ST_EQ(step_at[1], first + 1);
	ST_EQ(step_at[2], first + 2);
	/* The reason is in dr6, where it stays until somebody takes it away. */
	ST_CHECK(pv_hc_get_debugreg(6) & 1ul << 14, "dr6 says 0x%lx", pv_hc_get_debugreg(6));
	ST_EQ(pv_hc_set_debugreg(6, 0xffff0ff0), 0);
	ST_EQ(pv_hc_get_debugreg(6), 0xffff0ff0);
}

static unsigned int nmis;
static bool nmi_enabled;

static bool on_nmi(struct pv_frame *f)
{
	(void)f;
	nmis++;
	nmi_enabled = pv_irq_enabled();
	return true;
}

extern char pv_entry_nmi[];

static void nmi_comes_though_events_are_masked(void)
{
	struct xennmi_callback cb = { .handler_address = (unsigned long)pv_entry_nmi };
	pv_trap_fn old = pv_trap_set(PV_VECTOR_NMI, on_nmi);
	long rc;

	nmis = 0;
	ST_EQ(pv_hc_nmi_op(XENNMI_register_callback, &cb), 0);
	pv_irq_disable();
	rc = pv_hc_vcpu_op(VCPUOP_send_nmi, 0, NULL);
	pv_hc_sched_op(SCHEDOP_yield, NULL);
	pv_irq_enable();
	ST_EQ(rc, 0);
	ST_EQ(nmis, 1);
	ST_EQ(pv_hc_vcpu_op(VCPUOP_send_nmi, 0, NULL), 0);
	pv_hc_sched_op(SCHEDOP_yield, NULL);
	ST_EQ(nmis, 2);
	ST_EQ(pv_hc_nmi_op(XENNMI_unregister_callback, NULL), 0);
	pv_trap_set(PV_VECTOR_NMI, old);
}

static void callback_errors(void)
{
	struct callback_register reg = { .type = 99, .address = (unsigned long)pv_entry_bp };
	struct callback_unregister un = { .type = CALLBACKTYPE_event };

	ST_EQ(pv_hc_callback_op(CALLBACKOP_register, &reg), -XEN_ENOSYS);
	reg.type = CALLBACKTYPE_event;
	reg.address = (unsigned long)ST_NONCANONICAL;
	ST_EQ(pv_hc_callback_op(CALLBACKOP_register, &reg), -XEN_EINVAL);
	ST_EQ(pv_hc_callback_op(CALLBACKOP_unregister, &un), -XEN_EINVAL);
	ST_EQ(pv_hc_callback_op(7, &un), -XEN_ENOSYS);
	ST_EQ(pv_hc_callback_op(CALLBACKOP_register, ST_UNMAPPED), -XEN_EFAULT);
}

/* The old call that registers three call-backs at once. */
static void set_callbacks_takes_what_is_there(void)
{
	extern char pv_entry_event[], pv_entry_failsafe[], pv_entry_syscall[];

	ST_EQ(pv_hc_set_callbacks((unsigned long)pv_entry_event, (unsigned long)pv_entry_failsafe,
	                          (unsigned long)pv_entry_syscall),
	      0);
}

/* Registers loaded by the iret hypercall: where to go, flags, stack and event mask in one step. */
static void iret_loads_everything(void)
{
	uint64_t rax = 0, rcx = 0, r11 = 0, sp_before, sp_after, flags;

	__asm__ volatile("mov %%rsp, %[before]\n"
	                 "mov %%rsp, %%rdx\n"
	                 "pushq $%c[ss]\n"
	                 "push %%rdx\n"
	                 "pushq $0x2d7\n" /* IF SF ZF AF PF CF */
	                 "pushq $%c[cs]\n"
	                 "lea 1f(%%rip), %%rcx\n"
	                 "push %%rcx\n"
	                 "pushq $0\n"
	                 "mov $0x1111, %%eax\n"
	                 "mov $0x2222, %%ecx\n"
	                 "mov $0x3333, %%r11d\n"
	                 "jmp pv_hypercall_page + 23 * 32\n"
	                 "1: mov %%r11, %[r11]\n"
	                 "mov %%rsp, %[after]\n"
	                 "pushfq\n"
	                 "pop %[flags]\n"
	                 : "=&a"(rax), "=&c"(rcx), [r11] "=&r"(r11), [before] "=&r"(sp_before),
	                   [after] "=&r"(sp_after), [flags] "=&r"(flags)
	                 : [ss] "i"(FLAT_KERNEL_SS), [cs] "i"(FLAT_KERNEL_CS & ~3)
	                 : "rdx", "r11", "memory", "cc");
	ST_EQ(rax, 0x1111);
	ST_EQ(rcx, 0x2222);
	ST_EQ(r11, 0x3333);
	ST_EQ(sp_before, sp_after);
	ST_EQ(flags & 0xd5, 0xd5);
	ST_CHECK(pv_irq_enabled(), "events are masked");
}

static const struct st_claim claims[] = {
	ST_GENERAL(divide_by_zero_is_de),
	ST_GENERAL(int3_is_bp_behind_the_instruction),
	ST_GENERAL(int4_is_of_behind_the_instruction),
	ST_GENERAL(ud2_is_ud),
	ST_CLAIM(int_without_a_handler_is_gp_with_the_vector),
	ST_GENERAL(non_canonical_address_is_gp),
	ST_GENERAL(non_canonical_stack_is_ss),
	ST_GENERAL(bad_selector_is_gp_with_the_selector),
	ST_GENERAL(reading_nothing_is_pf),
	ST_GENERAL(writing_nothing_is_pf_with_write),
	ST_GENERAL(writing_read_only_is_pf_with_present),
	ST_GENERAL(executing_data_is_pf_with_fetch),
	ST_GENERAL(reading_the_hypervisor_is_pf),
	ST_GENERAL(null_is_not_mapped),
	ST_GENERAL(frame_tells_kernel_from_user),
	ST_GENERAL(frame_is_below_the_interrupted_stack),
	ST_CLAIM(frame_has_the_event_mask),
	ST_GENERAL(vector_may_mask_events),
	ST_CLAIM(vector_may_leave_events_alone),
	ST_CLAIM(trap_table_errors),
	ST_CLAIM(software_interrupts_obey_the_ring),
	ST_GENERAL(registers_survive_a_trap),
	ST_GENERAL(handler_runs_with_direction_clear),
	ST_GENERAL(traps_nest),
	ST_CLAIM(trap_flag_steps),
	ST_CLAIM(nmi_comes_though_events_are_masked),
	ST_CLAIM(callback_errors),
	ST_CLAIM(set_callbacks_takes_what_is_there),
	ST_CLAIM(iret_loads_everything),
};

ST_FAMILY(traps, claims);
