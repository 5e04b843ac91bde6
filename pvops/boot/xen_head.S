/* SPDX-License-Identifier: MIT */
/*
 * Where a paravirtualized kernel begins: the notes that tell a loader how to start it, the
 * page that the hypervisor fills with its way in, and the first instructions.
 *
 * At the entry point (Xen public/xen.h, "Start-of-day memory layout"):
 *   rsi   address of struct start_info
 *   rsp   a stack of one page in the initial mapping; we have our own
 *   cs,ss flat selectors of the hypervisor's choice; they stay as they are
 *   page tables on, the image mapped where it was linked, events masked
 */
#define __ASSEMBLY__

#include "abi/elfnote.h"
#include "pvops/boot/offsets.h"

	.macro elfnote type:req, desc:vararg
	.pushsection .note.Xen, "a", @note
	.balign 4
	.long 2f - 1f
	.long 4f - 3f
	.long \type
1:	.asciz "Xen"
2:	.balign 4
3:	\desc
4:	.balign 4
	.popsection
	.endm

	elfnote XEN_ELFNOTE_GUEST_OS,          .asciz "paravane"
	elfnote XEN_ELFNOTE_GUEST_VERSION,     .asciz "1"
	elfnote XEN_ELFNOTE_LOADER,            .asciz "generic"
	elfnote XEN_ELFNOTE_XEN_VERSION,       .asciz "xen-3.0"
	/* Physical = virtual: the image lies at its linked address plus 0 in either space. */
	elfnote XEN_ELFNOTE_VIRT_BASE,         .quad 0
	elfnote XEN_ELFNOTE_PADDR_OFFSET,      .quad 0
	elfnote XEN_ELFNOTE_ENTRY,             .quad pv_xen_entry
	/* For loaders of the other kind (native/head.S). */
	elfnote XEN_ELFNOTE_PHYS32_ENTRY,      .quad pv_native_entry
	elfnote XEN_ELFNOTE_HYPERCALL_PAGE,    .quad pv_hypercall_page
	/* Nothing is demanded: direct paging with tables the guest keeps read-only. */
	elfnote XEN_ELFNOTE_FEATURES,          .asciz "pae_pgdir_above_4gb"
	elfnote XEN_ELFNOTE_PAE_MODE,          .asciz "yes"
	/* A level-1 entry holds a machine frame number when its present bit is set: mask, value. */
	elfnote XEN_ELFNOTE_L1_MFN_VALID,      .quad 1, 1
	/* SCHEDOP_shutdown with the reason "suspend" returns 1 when the save was called off. */
	elfnote XEN_ELFNOTE_SUSPEND_CANCEL,    .long 1

	.section .text.head, "ax", @progbits
	.globl pv_xen_entry
	.type pv_xen_entry, @function
pv_xen_entry:
	cld
	mov	%rsp, %rdx
	mov	$pv_boot_stack_top, %esp
	xor	%ebp, %ebp		/* back-traces end here */
	push	%rbp			/* ... at a return address of 0 */
	push	%rbp
	mov	%rsi, %rdi		/* struct start_info */
	mov	%rdx, %rsi		/* end of the page that was our stack */
	mov	%rsp, %rbp
	call	pv_start_xen
	ud2				/* it does not return */
	.size pv_xen_entry, . - pv_xen_entry

	/*
	 * pv_frame_resume(frame): by the way of the set in force. A call site like those that C code
	 * records.
	 */
	.text
	.globl pv_frame_resume
	.type pv_frame_resume, @function
pv_frame_resume:
	jmp	*pv_ops + PV_OPS_FRAME_RESUME
	.fill	2, 1, 0x90
	.pushsection .pv_patch, "a"
	.balign	8
	.quad	pv_frame_resume
	.short	PV_OPS_FRAME_RESUME
	.byte	9, 1
	.long	0
	.popsection

	.section .text.head, "ax", @progbits
	/*
	 * Hypercall n is entered at pv_hypercall_page + 32 * n. The hypervisor writes all of it when
	 * it loads the image; whatever still says int3 was not filled.
	 */
	.balign 4096
	.globl pv_hypercall_page
	.type pv_hypercall_page, @object
pv_hypercall_page:
	.fill 4096, 1, 0xcc
	.size pv_hypercall_page, 4096

	.section .bss.page_aligned, "aw", @nobits
	.balign 4096
	.globl pv_boot_stack
	.globl pv_boot_stack_top
pv_boot_stack:
	.skip 16384
pv_boot_stack_top:

	.section .note.GNU-stack, "", @progbits
