/* SPDX-License-Identifier: MIT */
/*
 * Privileged instructions that a paravirtualized kernel may execute because the hypervisor emulates
 * them, and those that it may not.
 *
 * Method: execute each; look at the result, or at the #GP. Breakage: a kernel sees the real machine
 * where it should see the virtual one, or dies where Xen would have helped.
 */
#include "tests/guests/selftest/test.h"

#include "abi/cpuid.h"
#include "abi/physdev.h"
#include "abi/version.h"
#include "pvops/cpu.h"
#include "pvops/mmu.h"
#include "pvops/p2m.h"

#define MSR_EFER           0xc0000080u
#define MSR_FS_BASE        0xc0000100u
#define MSR_GS_BASE        0xc0000101u
#define MSR_KERNEL_GS_BASE 0xc0000102u
#define MSR_NOT_THERE      0xdeadbeefu

#define CR0_PE             0x00000001ul
#define CR0_TS             0x00000008ul
#define CR0_WP             0x00010000ul
#define CR0_PG             0x80000000ul
#define CR4_PAE            0x20ul
#define CR4_OSXSAVE        0x40000ul

static void cpuid_by_prefix_finds_the_hypervisor(void)
{
	uint32_t r[4];

	pv_cpuid(XEN_CPUID_LEAF(0), 0, r);
	ST_EQ(r[1], XEN_CPUID_SIGNATURE_EBX);
	ST_EQ(r[2], XEN_CPUID_SIGNATURE_ECX);
	ST_EQ(r[3], XEN_CPUID_SIGNATURE_EDX);
	ST_CHECK(r[0] >= XEN_CPUID_LEAF(2), "highest leaf 0x%x", r[0]);
}

static void cpuid_tells_the_version(void)
{
	uint32_t r[4];

	pv_cpuid(XEN_CPUID_LEAF(1), 0, r);
	ST_EQ(r[0], pv_hc_xen_version(XENVER_version, NULL));
	pv_cpuid(XEN_CPUID_LEAF(2), 0, r);
	ST_EQ(r[0], 1);
	ST_CHECK(r[2] & XEN_CPUID_FEAT1_MMU_PT_UPDATE_PRESERVE_AD, "feature word 0x%x", r[2]);
}

static void cpuid_by_prefix_shows_a_guests_processor(void)
{
	uint32_t r[4];

	pv_cpuid(0, 0, r);
	ST_CHECK(r[0] >= 1, "highest leaf %u", r[0]);
	pv_cpuid(1, 0, r);
	ST_CHECK(r[2] & 1u << 31, "no hypervisor bit: 0x%x", r[2]);
	ST_CHECK(r[3] & 1u << 26, "no SSE2: 0x%x", r[3]);
	ST_CHECK(!(r[3] & 1u << 3), "PSE, which direct paging cannot have: 0x%x", r[3]);
	pv_cpuid(0x80000001, 0, r);
	ST_CHECK(r[3] & 1u << 29, "no long mode: 0x%x", r[3]);
}

static uint64_t rdmsr(uint32_t msr)
{
	uint32_t lo = 0, hi = 0;

	ST_TRY("rdmsr", : "+a"(lo), "+d"(hi) : "c"(msr) : "memory");
	return (uint64_t)hi << 32 | lo;
}

static void wrmsr(uint32_t msr, uint64_t value)
{
	ST_TRY("wrmsr",
	       :
	       : "a"((uint32_t)value), "d"((uint32_t)(value >> 32)), "c"(msr)
	       : "memory");
}

static void efer_can_be_read(void)
{
	uint64_t efer = rdmsr(MSR_EFER);

	ST_EQ(st_traps, 0);
	ST_CHECK(efer & 1ul << 10, "long mode is not active: 0x%lx", efer);
}

static void unknown_msr_is_gp(void)
{
	rdmsr(MSR_NOT_THERE);
	ST_EQ(st_traps, 1);
	ST_EQ(st_trap.vector, PV_VECTOR_GP);
	ST_EQ(st_trap.error_code, 0);
	wrmsr(MSR_NOT_THERE, 0);
	ST_EQ(st_traps, 2);
	ST_EQ(st_trap.vector, PV_VECTOR_GP);
}

static void segment_bases_are_msrs_too(void)
{
	uint64_t place = 0x1122334455667788, seen;

	wrmsr(MSR_FS_BASE, (uint64_t)&place);
	__asm__ volatile("mov %%fs:0, %0" : "=r"(seen) : "m"(place));
	ST_EQ(seen, place);
	ST_EQ(rdmsr(MSR_FS_BASE), (uint64_t)&place);
	wrmsr(MSR_FS_BASE, 0);
	ST_EQ(rdmsr(MSR_GS_BASE), (uint64_t)pv_cpu());
	wrmsr(MSR_KERNEL_GS_BASE, 0x1234567000);
	ST_EQ(rdmsr(MSR_KERNEL_GS_BASE), 0x1234567000);
	ST_EQ(pv_hc_set_segment_base(SEGBASE_GS_USER, 0), 0);
	ST_EQ(rdmsr(MSR_KERNEL_GS_BASE), 0);
	ST_EQ(st_traps, 0);
	wrmsr(MSR_FS_BASE, (uint64_t)ST_NONCANONICAL);
	ST_EQ(st_traps, 1);
}

static void segment_base_by_hypercall(void)
{
	uint64_t place = 0x8877665544332211, seen;

	ST_EQ(pv_hc_set_segment_base(SEGBASE_FS, (unsigned long)&place), 0);
	__asm__ volatile("mov %%fs:0, %0" : "=r"(seen) : "m"(place));
	ST_EQ(seen, place);
	ST_EQ(pv_hc_set_segment_base(SEGBASE_FS, 0), 0);
	ST_EQ(pv_hc_set_segment_base(SEGBASE_GS_KERNEL, (unsigned long)pv_cpu()), 0);
	ST_EQ((long)pv_cpu(), (long)pv_cpus[0]);
	ST_EQ(pv_hc_set_segment_base(SEGBASE_FS, (unsigned long)ST_NONCANONICAL), -XEN_EINVAL);
	ST_EQ(pv_hc_set_segment_base(9, 0), -XEN_EINVAL);
	/* Addresses of the hypervisor are as good as any: only their use would fault. */
	ST_EQ(pv_hc_set_segment_base(SEGBASE_GS_USER, 0x1000), 0);
	ST_EQ(pv_hc_set_segment_base(SEGBASE_GS_USER, 0), 0);
	ST_EQ(pv_hc_set_segment_base(SEGBASE_GS_USER_SEL, 0), 0);
}

static void cr0_can_be_read(void)
{
	uint64_t cr0 = 0;

	ST_TRY("mov %%cr0, %0", : "=r"(cr0) : : "memory");
	ST_EQ(st_traps, 0);
	ST_CHECK((cr0 & (CR0_PE | CR0_WP | CR0_PG)) == (CR0_PE | CR0_WP | CR0_PG), "cr0 0x%lx",
	         cr0);
}

static void cr0_may_change_ts_only(void)
{
	uint64_t cr0 = 0;

	ST_TRY("mov %%cr0, %0; mov %0, %%cr0", : "=r"(cr0) : : "memory");
	ST_EQ(st_traps, 0);
	ST_TRY("mov %0, %%cr0", : : "r"(cr0 ^ CR0_WP) : "memory");
	ST_EQ(st_traps, 1);
	ST_EQ(st_trap.vector, PV_VECTOR_GP);
}

static void cr2_can_be_read(void)
{
	uint64_t cr2 = 1;

	ST_TRAPS("mov (%0), %%rax", : : "r"((char *)ST_UNMAPPED + 64) : "rax", "memory");
	ST_TRY("mov %%cr2, %0", : "=r"(cr2) : : "memory");
	ST_EQ(st_traps, 1);
	ST_EQ(cr2, (uint64_t)ST_UNMAPPED + 64);
}

static void cr3_is_the_machine_frame_of_the_root(void)
{
	uint64_t cr3 = 0;

	ST_TRY("mov %%cr3, %0", : "=r"(cr3) : : "memory");
	ST_EQ(st_traps, 0);
	ST_EQ(cr3, xen_pfn_to_cr3(pv_p2m(pv_boot.start->pt_base >> PV_PAGE_SHIFT)));
}

static void cr3_can_be_written(void)
{
	uint64_t root = pv_p2m(pv_boot.start->pt_base >> PV_PAGE_SHIFT);

	ST_TRY("mov %0, %%cr3", : : "r"(xen_pfn_to_cr3(root)) : "memory");
	ST_EQ(st_traps, 0);
	/* A frame that is no table of level 4. */
	ST_TRY("mov %0, %%cr3", : : "r"(xen_pfn_to_cr3(pv_p2m(0x100))) : "memory");
	ST_EQ(st_traps, 1);
	ST_EQ(st_trap.vector, PV_VECTOR_GP);
}

static void cr4_can_be_read(void)
{
	uint64_t cr4 = 0;

	ST_TRY("mov %%cr4, %0", : "=r"(cr4) : : "memory");
	ST_EQ(st_traps, 0);
	ST_CHECK(cr4 & CR4_PAE, "cr4 0x%lx", cr4);
}

static void cr4_may_be_written_as_it_is(void)
{
	uint64_t cr4 = 0;

	ST_TRY("mov %%cr4, %0; mov %0, %%cr4", : "=r"(cr4) : : "memory");
	ST_EQ(st_traps, 0);
}

static void cr8_is_gp_and_cr1_is_ud(void)
{
	ST_TRY(".byte 0x44, 0x0f, 0x20, 0xc0", : : : "rax", "memory"); /* mov %cr8, %rax */
	ST_EQ(st_traps, 1);
	ST_EQ(st_trap.vector, PV_VECTOR_GP);
	ST_TRY(".byte 0x0f, 0x20, 0xc8", : : : "rax", "memory"); /* mov %cr1, %rax */
	ST_EQ(st_traps, 2);
	ST_EQ(st_trap.vector, PV_VECTOR_UD);
}

/* What the hypervisor does on the kernel's behalf, or what needs no privilege: no trap. */
static void harmless_instructions_are_emulated(void)
{
	ST_EQ(ST_TRAPS("clts", : : : "memory"), 0);
	ST_EQ(ST_TRAPS("wbinvd", : : : "memory"), 0);
	ST_EQ(ST_TRAPS("invd", : : : "memory"), 0);
	ST_EQ(ST_TRAPS("rdtsc", : : : "rax", "rdx", "memory"), 0);
	ST_EQ(pv_hc_fpu_taskswitch(0), 0);
}

#define IS_GP(insn, ...)                               \
	do {                                           \
		ST_EQ(ST_TRAPS(insn, __VA_ARGS__), 1); \
		ST_EQ(st_trap.vector, PV_VECTOR_GP);   \
		ST_EQ(st_trap.error_code, 0);          \
	} while (0)

/* The kernel has no I/O privilege: the event mask is a byte in memory, not a flag. */
static void cli_and_sti_are_gp(void)
{
	IS_GP("cli", : : : "memory");
	IS_GP("sti", : : : "memory");
	ST_CHECK(pv_irq_enabled(), "cli masked events");
}

static void hlt_is_gp(void)
{
	IS_GP("hlt", : : : "memory");
}

static void port_io_is_gp(void)
{
	IS_GP("inb $0x80, %%al", : : : "rax", "memory");
	IS_GP("outb %%al, $0x80", : : : "memory");
	IS_GP("inl %%dx, %%eax", : : "d"(0xcf8) : "rax", "memory");
}

static void tables_and_mode_switches_are_gp(void)
{
	static uint8_t pseudo[10];

	IS_GP("lgdt (%0)", : : "r"(pseudo) : "memory");
	IS_GP("lidt (%0)", : : "r"(pseudo) : "memory");
	IS_GP("lldt %%ax", : : "a"(0) : "memory");
	IS_GP("ltr %%ax", : : "a"(0) : "memory");
	IS_GP("lmsw %%ax", : : "a"(1) : "memory");
	IS_GP("invlpg (%0)", : : "r"(pseudo) : "memory");
	IS_GP("swapgs", : : : "memory");
	IS_GP("sysretq", : : : "memory");
}

static void extended_states_need_osxsave_first(void)
{
	uint64_t cr4 = 0;

	ST_TRY("mov %%cr4, %0", : "=r"(cr4) : : "memory");
	if (cr4 & CR4_OSXSAVE)
		ST_SKIP("CR4.OSXSAVE is on already");
	ST_EQ(ST_TRAPS("xsetbv", : : "a"(3), "d"(0), "c"(0) : "memory"), 1);
	ST_EQ(st_trap.vector, PV_VECTOR_UD);
}

static void debug_registers_are_kept(void)
{
	uint64_t dr7 = 0, dr6 = 0;

	ST_EQ(pv_hc_get_debugreg(7), 0x400);
	ST_EQ(pv_hc_get_debugreg(6), 0xffff0ff0);
	ST_EQ(pv_hc_set_debugreg(0, 0x123450), 0);
	ST_EQ(pv_hc_get_debugreg(0), 0x123450);
	ST_EQ(pv_hc_set_debugreg(0, 0), 0);
	ST_TRY("mov %%dr7, %0", : "=r"(dr7) : : "memory");
	ST_TRY("mov %%dr6, %0", : "=r"(dr6) : : "memory");
	ST_TRY("mov %0, %%dr7", : : "r"(dr7) : "memory");
	ST_EQ(st_traps, 0);
	ST_EQ(dr7, 0x400);
	ST_EQ(dr6, 0xffff0ff0);
}

static void debug_register_errors(void)
{
	/* A breakpoint in the hypervisor, general detection, an I/O breakpoint, no register. */
	ST_EQ(pv_hc_set_debugreg(0, (unsigned long)ST_HYPERVISOR), -XEN_EPERM);
	ST_EQ(pv_hc_set_debugreg(7, 0x2400), -XEN_EPERM);
	ST_EQ(pv_hc_set_debugreg(7, 0x20401), -XEN_EPERM);
	ST_EQ(pv_hc_set_debugreg(9, 0), -XEN_ENODEV);
	ST_EQ(pv_hc_get_debugreg(9), -XEN_ENODEV);
	ST_EQ(pv_hc_get_debugreg(7), 0x400);
}

static void stack_switch_takes_any_address(void)
{
	ST_EQ(pv_hc_stack_switch(FLAT_KERNEL_SS, (unsigned long)&pv_boot), 0);
	ST_EQ(pv_hc_stack_switch(FLAT_KERNEL_SS, (unsigned long)ST_NONCANONICAL), 0);
	ST_EQ(pv_hc_stack_switch(FLAT_KERNEL_SS, 0), 0);
}

static void assists_are_switched(void)
{
	static const unsigned int types[] = { VMASST_TYPE_writable_pagetables,
		                              VMASST_TYPE_architectural_iopl,
		                              VMASST_TYPE_runstate_update_flag,
		                              VMASST_TYPE_m2p_strict };
	unsigned int i;

	for (i = 0; i < ST_COUNT(types); i++) {
		ST_EQ(pv_hc_vm_assist(VMASST_CMD_enable, types[i]), 0);
		ST_EQ(pv_hc_vm_assist(VMASST_CMD_disable, types[i]), 0);
	}
	ST_EQ(pv_hc_vm_assist(VMASST_CMD_enable, 60), -XEN_EINVAL);
	ST_EQ(pv_hc_vm_assist(VMASST_CMD_enable, 1000), -XEN_EINVAL);
	ST_EQ(pv_hc_vm_assist(7, VMASST_TYPE_writable_pagetables), -XEN_ENOSYS);
}

/* With this assist the frame's IOPL means something, and the kernel counts as ring 0. */
static void iopl_is_reported_when_asked_for(void)
{
	struct physdev_set_iopl op = { .iopl = 1 };

	ST_EQ(pv_hc_physdev_op(PHYSDEVOP_set_iopl, &op), 0);
	ST_EQ(ST_TRAPS("ud2", : : : "memory"), 1);
	ST_EQ(st_trap.rflags & 0x3000, 0);
	ST_EQ(pv_hc_vm_assist(VMASST_CMD_enable, VMASST_TYPE_architectural_iopl), 0);
	ST_EQ(ST_TRAPS("ud2", : : : "memory"), 1);
	ST_EQ(pv_hc_vm_assist(VMASST_CMD_disable, VMASST_TYPE_architectural_iopl), 0);
	ST_EQ(st_trap.rflags >> 12 & 3, 1);
	op.iopl = 0;
	ST_EQ(pv_hc_physdev_op(PHYSDEVOP_set_iopl, &op), 0);
	op.iopl = 4;
	ST_EQ(pv_hc_physdev_op(PHYSDEVOP_set_iopl, &op), -XEN_EINVAL);
}

static const struct st_claim claims[] = {
	ST_CLAIM(cpuid_by_prefix_finds_the_hypervisor),
	ST_CLAIM(cpuid_tells_the_version),
	ST_CLAIM(cpuid_by_prefix_shows_a_guests_processor),
	ST_CLAIM(efer_can_be_read),
	ST_CLAIM(unknown_msr_is_gp),
	ST_CLAIM(segment_bases_are_msrs_too),
	ST_CLAIM(segment_base_by_hypercall),
	ST_CLAIM(cr0_can_be_read),
	ST_CLAIM(cr0_may_change_ts_only),
	ST_CLAIM(cr2_can_be_read),
	ST_CLAIM(cr3_is_the_machine_frame_of_the_root),
	ST_CLAIM(cr3_can_be_written),
	ST_CLAIM(cr4_can_be_read),
	ST_CLAIM(cr4_may_be_written_as_it_is),
	ST_CLAIM(cr8_is_gp_and_cr1_is_ud),
	ST_CLAIM(harmless_instructions_are_emulated),
	ST_CLAIM(cli_and_sti_are_gp),
	ST_CLAIM(hlt_is_gp),
	ST_CLAIM(port_io_is_gp),
	ST_CLAIM(tables_and_mode_switches_are_gp),
	ST_CLAIM(extended_states_need_osxsave_first),
	ST_CLAIM(debug_registers_are_kept),
	ST_CLAIM(debug_register_errors),
	ST_CLAIM(stack_switch_takes_any_address),
	ST_CLAIM(assists_are_switched),
	ST_CLAIM(iopl_is_reported_when_asked_for),
};

ST_FAMILY(priv, claims);
