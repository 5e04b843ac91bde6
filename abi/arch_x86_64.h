/* SPDX-License-Identifier: MIT */
/*
 * The part of the ABI that is x86-64: registers, flat selectors, the frames that the hypervisor and
 * the guest kernel leave on a stack for each other, the trap table, the state of a vCPU that
 * VCPUOP_initialise takes.
 *
 * Invariant: numbers and layouts are those of Xen's arch-x86/xen.h and arch-x86/xen-x86_64.h.
 *
 * Registers of a hypercall (call hypercall_page + 32 * number):
 *
 *   in    arguments 1 to 6 in rdi, rsi, rdx, r10, r8, r9; rax is loaded by the page itself
 *   out   rax: the result, or a negative XEN_E*
 *   lost  rcx and r11; nothing may be relied on in the argument registers that were used
 *   kept  every other register, the floating-point state included
 */
#ifndef ABI_ARCH_X86_64_H
#define ABI_ARCH_X86_64_H

#include "abi/base.h"
#include "abi/handle.h"

/*
 * Flat segments that every GDT of a guest contains, in the pages that the hypervisor keeps. Ring 3
 * for kernel and user alike: which of the two runs is known by the page-table root in use, not by
 * the selector.
 */
#define FLAT_RING3_CS32  0xe023
#define FLAT_RING3_CS64  0xe033
#define FLAT_RING3_DS32  0xe02b
#define FLAT_RING3_DS64  0x0000
#define FLAT_RING3_SS32  0xe02b
#define FLAT_RING3_SS64  0xe02b

#define FLAT_KERNEL_DS64 FLAT_RING3_DS64
#define FLAT_KERNEL_DS32 FLAT_RING3_DS32
#define FLAT_KERNEL_DS   FLAT_KERNEL_DS64
#define FLAT_KERNEL_CS64 FLAT_RING3_CS64
#define FLAT_KERNEL_CS32 FLAT_RING3_CS32
#define FLAT_KERNEL_CS   FLAT_KERNEL_CS64
#define FLAT_KERNEL_SS64 FLAT_RING3_SS64
#define FLAT_KERNEL_SS32 FLAT_RING3_SS32
#define FLAT_KERNEL_SS   FLAT_KERNEL_SS64

#define FLAT_USER_DS64   FLAT_RING3_DS64
#define FLAT_USER_DS32   FLAT_RING3_DS32
#define FLAT_USER_DS     FLAT_USER_DS64
#define FLAT_USER_CS64   FLAT_RING3_CS64
#define FLAT_USER_CS32   FLAT_RING3_CS32
#define FLAT_USER_CS     FLAT_USER_CS64
#define FLAT_USER_SS64   FLAT_RING3_SS64
#define FLAT_USER_SS32   FLAT_RING3_SS32
#define FLAT_USER_SS     FLAT_USER_SS64

/* A guest's own descriptors fill the GDT pages below this one; the hypervisor owns the rest. */
#define FIRST_RESERVED_GDT_PAGE  14
#define FIRST_RESERVED_GDT_BYTE  (FIRST_RESERVED_GDT_PAGE * 4096)
#define FIRST_RESERVED_GDT_ENTRY (FIRST_RESERVED_GDT_BYTE / 8)

/* Entries of shared_info.vcpu_info; vCPUs above must register an area of their own. */
#define XEN_LEGACY_MAX_VCPUS    32

#define XEN_HAVE_PV_GUEST_ENTRY 1
#define XEN_HAVE_PV_UPCALL_MASK 1

/* The hypervisor's part of the address space, and the machine-to-physical table at its start. */
#define __HYPERVISOR_VIRT_START 0xFFFF800000000000
#define __HYPERVISOR_VIRT_END   0xFFFF880000000000
#define __MACH2PHYS_VIRT_START  0xFFFF800000000000
#define __MACH2PHYS_VIRT_END    0xFFFF804000000000

#define HYPERVISOR_VIRT_START   xen_mk_ulong(__HYPERVISOR_VIRT_START)
#define HYPERVISOR_VIRT_END     xen_mk_ulong(__HYPERVISOR_VIRT_END)
#define MACH2PHYS_VIRT_START    xen_mk_ulong(__MACH2PHYS_VIRT_START)
#define MACH2PHYS_VIRT_END      xen_mk_ulong(__MACH2PHYS_VIRT_END)
#define MACH2PHYS_NR_ENTRIES    ((MACH2PHYS_VIRT_END - MACH2PHYS_VIRT_START) >> 3)

/* set_segment_base(which, base): which. The last one takes a selector for the user's gs in
 * base[15:0]. */
#define SEGBASE_FS          0
#define SEGBASE_GS_USER     1
#define SEGBASE_GS_KERNEL   2
#define SEGBASE_GS_USER_SEL 3

/* iret_context.flags: the short way out of a system call, which does not load rcx and r11. */
#define _VGCF_in_syscall 8
#define VGCF_in_syscall  (1 << _VGCF_in_syscall)
#define VGCF_IN_SYSCALL  VGCF_in_syscall

/* vcpu_guest_context.flags. */
#define VGCF_I387_VALID                (1 << 0)
#define VGCF_IN_KERNEL                 (1 << 2)
#define _VGCF_i387_valid               0
#define VGCF_i387_valid                (1 << _VGCF_i387_valid)
#define _VGCF_in_kernel                2
#define VGCF_in_kernel                 (1 << _VGCF_in_kernel)
#define _VGCF_failsafe_disables_events 3
#define VGCF_failsafe_disables_events  (1 << _VGCF_failsafe_disables_events)
#define _VGCF_syscall_disables_events  4
#define VGCF_syscall_disables_events   (1 << _VGCF_syscall_disables_events)
#define _VGCF_online                   5
#define VGCF_online                    (1 << _VGCF_online)

/* Where a bounce frame keeps the event mask of the interrupted code: this bit of the slot of cs. */
#define PV_BOUNCE_CS_MASK_SHIFT 32

#ifndef __ASSEMBLY__

typedef unsigned long xen_pfn_t;
typedef unsigned long xen_ulong_t;
typedef unsigned long xen_callback_t;
typedef uint64_t tsc_timestamp_t;

#define PRI_xen_pfn   "lx"
#define PRIu_xen_pfn  "lu"
#define PRI_xen_ulong "lx"

DEFINE_XEN_GUEST_HANDLE(xen_pfn_t);
DEFINE_XEN_GUEST_HANDLE(xen_ulong_t);

/* A page-table root as CR3 holds it. */
#define xen_pfn_to_cr3(pfn) ((unsigned long)(pfn) << 12)
#define xen_cr3_to_pfn(cr3) ((unsigned long)(cr3) >> 12)

/*
 * What the iret hypercall finds at rsp; the guest kernel writes it, the hypervisor reads it once.
 * rcx and r11 are loaded unless flags has VGCF_in_syscall. An RPL of 3 in cs means user mode,
 * anything less kernel mode; rflags.IF becomes the event mask (set: unmasked).
 */
struct iret_context {
	uint64_t rax;
	uint64_t r11;
	uint64_t rcx;
	uint64_t flags; /* VGCF_in_syscall or 0 */
	uint64_t rip;
	uint64_t cs;
	uint64_t rflags;
	uint64_t rsp;
	uint64_t ss;
};

/*
 * What the guest kernel finds at rsp when the hypervisor enters it: for exceptions without an error
 * code, for events, NMIs and system calls. The frame lies below the interrupted stack when that was
 * the kernel's own, else below the stack of the last stack_switch; before it is written the stack
 * pointer is rounded down to 16 bytes.
 *
 * cs: bits 15:0 the selector, its RPL 0 when kernel code was interrupted; bits 39:32 the event mask
 *     (vcpu_info.evtchn_upcall_mask) as it was.
 * rflags: IF is the inverse of that mask; IOPL as VMASST_TYPE_architectural_iopl says.
 */
struct pv_bounce_frame {
	uint64_t rcx;
	uint64_t r11;
	uint64_t rip;
	uint64_t cs;
	uint64_t rflags;
	uint64_t rsp;
	uint64_t ss;
};

/* The same for exceptions that have an error code (#DF #TS #NP #SS #GP #PF #AC). */
struct pv_bounce_frame_error {
	uint64_t rcx;
	uint64_t r11;
	uint64_t error_code;
	uint64_t rip;
	uint64_t cs;
	uint64_t rflags;
	uint64_t rsp;
	uint64_t ss;
};

/* What the failsafe callback finds: also the selectors, one of which could not be loaded. */
struct pv_failsafe_frame {
	uint64_t rcx;
	uint64_t r11;
	uint64_t ds;
	uint64_t es;
	uint64_t fs;
	uint64_t gs;
	uint64_t rip;
	uint64_t cs;
	uint64_t rflags;
	uint64_t rsp;
	uint64_t ss;
};

/* General registers as a whole, in the order of the hypervisor's own stack. */
struct cpu_user_regs {
	uint64_t r15;
	uint64_t r14;
	uint64_t r13;
	uint64_t r12;
	uint64_t rbp;
	uint64_t rbx;
	uint64_t r11;
	uint64_t r10;
	uint64_t r9;
	uint64_t r8;
	uint64_t rax;
	uint64_t rcx;
	uint64_t rdx;
	uint64_t rsi;
	uint64_t rdi;
	uint32_t error_code;   /* the hypervisor's own; a guest's value is ignored */
	uint32_t entry_vector; /* likewise */
	uint64_t rip;
	uint16_t cs, _pad0[1];
	uint8_t saved_upcall_mask;
	uint8_t _pad1[3];
	uint64_t rflags;
	uint64_t rsp;
	uint16_t ss, _pad2[3];
	uint16_t es, _pad3[3];
	uint16_t ds, _pad4[3];
	uint16_t fs, _pad5[3];
	uint16_t gs, _pad6[3];
};
typedef struct cpu_user_regs cpu_user_regs_t;
DEFINE_XEN_GUEST_HANDLE(cpu_user_regs_t);

/*
 * One row of set_trap_table(rows): the guest's handler for one exception vector. The table ends
 * with a row whose address is 0. The flags hold in bits 1:0 the highest-numbered ring that may
 * raise the vector by an int instruction, in bit 2 whether events are masked on entry.
 */
struct trap_info {
	uint8_t vector;
	uint8_t flags;
	uint16_t cs;
	unsigned long address;
};
typedef struct trap_info trap_info_t;
DEFINE_XEN_GUEST_HANDLE(trap_info_t);

#define TI_GET_DPL(ti)       ((ti)->flags & 3)
#define TI_GET_IF(ti)        ((ti)->flags & 4)
#define TI_SET_DPL(ti, dpl)  ((ti)->flags |= (dpl))
#define TI_SET_IF(ti, if_on) ((ti)->flags |= ((!!(if_on)) << 2))

/* The whole state of a vCPU that has not run yet: argument of VCPUOP_initialise, read once. */
struct vcpu_guest_context {
	struct {
		char x[512]; /* as fxsave writes it; used when flags has VGCF_i387_valid */
	} fpu_ctxt;
	unsigned long flags; /* VGCF_* */
	struct cpu_user_regs user_regs;
	struct trap_info trap_ctxt[256]; /* by vector */
	unsigned long ldt_base;          /* linear address, page aligned */
	unsigned long ldt_ents;
	unsigned long gdt_frames[16]; /* machine frames */
	unsigned long gdt_ents;
	unsigned long kernel_ss; /* the stack on which the kernel is entered from user mode */
	unsigned long kernel_sp;
	unsigned long ctrlreg[8]; /* [3] the kernel's root as CR3 holds it, [1] the user's or 0 */
	unsigned long debugreg[8];
	unsigned long event_callback_eip;
	unsigned long failsafe_callback_eip;
	unsigned long syscall_callback_eip;
	unsigned long vm_assist; /* bit per VMASST_TYPE_* */
	uint64_t fs_base;
	uint64_t gs_base_kernel;
	uint64_t gs_base_user;
};
typedef struct vcpu_guest_context vcpu_guest_context_t;
DEFINE_XEN_GUEST_HANDLE(vcpu_guest_context_t);

/* Part of vcpu_info: the hypervisor writes cr2 before it enters the handler of #PF. */
struct arch_vcpu_info {
	unsigned long cr2;
	unsigned long pad;
};
typedef struct arch_vcpu_info arch_vcpu_info_t;

/* Part of shared_info: the guest writes all but nmi_reason; tools outside the guest read it. */
struct arch_shared_info {
	unsigned long max_pfn; /* length of the p2m, in entries */
	xen_pfn_t
		pfn_to_mfn_frame_list_list; /* mfn of its three-level form; 0 unset, ~0 given up */
	unsigned long nmi_reason;           /* XEN_NMIREASON_*: written by the hypervisor */
	unsigned long p2m_cr3;              /* root for p2m_vaddr; 0: there is no linear p2m */
	unsigned long p2m_vaddr;            /* linear p2m: array of mfns by pfn */
	unsigned long p2m_generation;       /* odd while the array's mapping is changing */
};
typedef struct arch_shared_info arch_shared_info_t;

/* One line of a CPUID policy, one MSR: what tools exchange about a guest's processor. */
typedef struct xen_cpuid_leaf {
	uint32_t leaf, subleaf; /* subleaf XEN_CPUID_NO_SUBLEAF: the leaf has none */
	uint32_t a, b, c, d;
} xen_cpuid_leaf_t;
#define XEN_CPUID_NO_SUBLEAF 0xffffffffu
DEFINE_XEN_GUEST_HANDLE(xen_cpuid_leaf_t);

typedef struct xen_msr_entry {
	uint32_t idx;
	uint32_t flags; /* must be 0 */
	uint64_t val;
} xen_msr_entry_t;
DEFINE_XEN_GUEST_HANDLE(xen_msr_entry_t);

PV_ABI_SIZE(struct iret_context, 72);
PV_ABI_FIELD(struct iret_context, r11, 8);
PV_ABI_FIELD(struct iret_context, rcx, 16);
PV_ABI_FIELD(struct iret_context, flags, 24);
PV_ABI_FIELD(struct iret_context, rip, 32);
PV_ABI_FIELD(struct iret_context, cs, 40);
PV_ABI_FIELD(struct iret_context, rflags, 48);
PV_ABI_FIELD(struct iret_context, rsp, 56);
PV_ABI_FIELD(struct iret_context, ss, 64);
PV_ABI_SIZE(struct pv_bounce_frame, 56);
PV_ABI_FIELD(struct pv_bounce_frame, r11, 8);
PV_ABI_FIELD(struct pv_bounce_frame, rip, 16);
PV_ABI_FIELD(struct pv_bounce_frame, cs, 24);
PV_ABI_FIELD(struct pv_bounce_frame, rflags, 32);
PV_ABI_FIELD(struct pv_bounce_frame, rsp, 40);
PV_ABI_FIELD(struct pv_bounce_frame, ss, 48);
PV_ABI_SIZE(struct pv_bounce_frame_error, 64);
PV_ABI_FIELD(struct pv_bounce_frame_error, r11, 8);
PV_ABI_FIELD(struct pv_bounce_frame_error, error_code, 16);
PV_ABI_FIELD(struct pv_bounce_frame_error, rip, 24);
PV_ABI_FIELD(struct pv_bounce_frame_error, cs, 32);
PV_ABI_FIELD(struct pv_bounce_frame_error, rflags, 40);
PV_ABI_FIELD(struct pv_bounce_frame_error, rsp, 48);
PV_ABI_FIELD(struct pv_bounce_frame_error, ss, 56);
PV_ABI_SIZE(struct pv_failsafe_frame, 88);
PV_ABI_FIELD(struct pv_failsafe_frame, r11, 8);
PV_ABI_FIELD(struct pv_failsafe_frame, ds, 16);
PV_ABI_FIELD(struct pv_failsafe_frame, es, 24);
PV_ABI_FIELD(struct pv_failsafe_frame, fs, 32);
PV_ABI_FIELD(struct pv_failsafe_frame, gs, 40);
PV_ABI_FIELD(struct pv_failsafe_frame, rip, 48);
PV_ABI_FIELD(struct pv_failsafe_frame, cs, 56);
PV_ABI_FIELD(struct pv_failsafe_frame, rflags, 64);
PV_ABI_FIELD(struct pv_failsafe_frame, rsp, 72);
PV_ABI_FIELD(struct pv_failsafe_frame, ss, 80);
PV_ABI_SIZE(struct cpu_user_regs, 200);
PV_ABI_FIELD(struct cpu_user_regs, r14, 8);
PV_ABI_FIELD(struct cpu_user_regs, r13, 16);
PV_ABI_FIELD(struct cpu_user_regs, r12, 24);
PV_ABI_FIELD(struct cpu_user_regs, rbp, 32);
PV_ABI_FIELD(struct cpu_user_regs, rbx, 40);
PV_ABI_FIELD(struct cpu_user_regs, r11, 48);
PV_ABI_FIELD(struct cpu_user_regs, r10, 56);
PV_ABI_FIELD(struct cpu_user_regs, r9, 64);
PV_ABI_FIELD(struct cpu_user_regs, r8, 72);
PV_ABI_FIELD(struct cpu_user_regs, rax, 80);
PV_ABI_FIELD(struct cpu_user_regs, rcx, 88);
PV_ABI_FIELD(struct cpu_user_regs, rdx, 96);
PV_ABI_FIELD(struct cpu_user_regs, rsi, 104);
PV_ABI_FIELD(struct cpu_user_regs, rdi, 112);
PV_ABI_FIELD(struct cpu_user_regs, error_code, 120);
PV_ABI_FIELD(struct cpu_user_regs, entry_vector, 124);
PV_ABI_FIELD(struct cpu_user_regs, rip, 128);
PV_ABI_FIELD(struct cpu_user_regs, cs, 136);
PV_ABI_FIELD(struct cpu_user_regs, _pad0, 138);
PV_ABI_FIELD(struct cpu_user_regs, saved_upcall_mask, 140);
PV_ABI_FIELD(struct cpu_user_regs, _pad1, 141);
PV_ABI_FIELD(struct cpu_user_regs, rflags, 144);
PV_ABI_FIELD(struct cpu_user_regs, rsp, 152);
PV_ABI_FIELD(struct cpu_user_regs, ss, 160);
PV_ABI_FIELD(struct cpu_user_regs, _pad2, 162);
PV_ABI_FIELD(struct cpu_user_regs, es, 168);
PV_ABI_FIELD(struct cpu_user_regs, _pad3, 170);
PV_ABI_FIELD(struct cpu_user_regs, ds, 176);
PV_ABI_FIELD(struct cpu_user_regs, _pad4, 178);
PV_ABI_FIELD(struct cpu_user_regs, fs, 184);
PV_ABI_FIELD(struct cpu_user_regs, _pad5, 186);
PV_ABI_FIELD(struct cpu_user_regs, gs, 192);
PV_ABI_FIELD(struct cpu_user_regs, _pad6, 194);
PV_ABI_SIZE(struct trap_info, 16);
PV_ABI_FIELD(struct trap_info, flags, 1);
PV_ABI_FIELD(struct trap_info, cs, 2);
PV_ABI_FIELD(struct trap_info, address, 8);
PV_ABI_SIZE(struct vcpu_guest_context, 5168);
PV_ABI_FIELD(struct vcpu_guest_context, flags, 512);
PV_ABI_FIELD(struct vcpu_guest_context, user_regs, 520);
PV_ABI_FIELD(struct vcpu_guest_context, trap_ctxt, 720);
PV_ABI_FIELD(struct vcpu_guest_context, ldt_base, 4816);
PV_ABI_FIELD(struct vcpu_guest_context, ldt_ents, 4824);
PV_ABI_FIELD(struct vcpu_guest_context, gdt_frames, 4832);
PV_ABI_FIELD(struct vcpu_guest_context, gdt_ents, 4960);
PV_ABI_FIELD(struct vcpu_guest_context, kernel_ss, 4968);
PV_ABI_FIELD(struct vcpu_guest_context, kernel_sp, 4976);
PV_ABI_FIELD(struct vcpu_guest_context, ctrlreg, 4984);
PV_ABI_FIELD(struct vcpu_guest_context, debugreg, 5048);
PV_ABI_FIELD(struct vcpu_guest_context, event_callback_eip, 5112);
PV_ABI_FIELD(struct vcpu_guest_context, failsafe_callback_eip, 5120);
PV_ABI_FIELD(struct vcpu_guest_context, syscall_callback_eip, 5128);
PV_ABI_FIELD(struct vcpu_guest_context, vm_assist, 5136);
PV_ABI_FIELD(struct vcpu_guest_context, fs_base, 5144);
PV_ABI_FIELD(struct vcpu_guest_context, gs_base_kernel, 5152);
PV_ABI_FIELD(struct vcpu_guest_context, gs_base_user, 5160);
PV_ABI_SIZE(struct arch_vcpu_info, 16);
PV_ABI_FIELD(struct arch_vcpu_info, pad, 8);
PV_ABI_SIZE(struct arch_shared_info, 48);
PV_ABI_FIELD(struct arch_shared_info, pfn_to_mfn_frame_list_list, 8);
PV_ABI_FIELD(struct arch_shared_info, nmi_reason, 16);
PV_ABI_FIELD(struct arch_shared_info, p2m_cr3, 24);
PV_ABI_FIELD(struct arch_shared_info, p2m_vaddr, 32);
PV_ABI_FIELD(struct arch_shared_info, p2m_generation, 40);
PV_ABI_SIZE(struct xen_cpuid_leaf, 24);
PV_ABI_FIELD(struct xen_cpuid_leaf, subleaf, 4);
PV_ABI_FIELD(struct xen_cpuid_leaf, a, 8);
PV_ABI_FIELD(struct xen_cpuid_leaf, b, 12);
PV_ABI_FIELD(struct xen_cpuid_leaf, c, 16);
PV_ABI_FIELD(struct xen_cpuid_leaf, d, 20);
PV_ABI_SIZE(struct xen_msr_entry, 16);
PV_ABI_FIELD(struct xen_msr_entry, flags, 4);
PV_ABI_FIELD(struct xen_msr_entry, val, 8);

#endif /* __ASSEMBLY__ */

#endif /* ABI_ARCH_X86_64_H */
