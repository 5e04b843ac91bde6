/* SPDX-License-Identifier: MIT */
/*
 * Every way into the kernel after the first: traps, the event upcall, the failsafe callback, system
 * calls of user programs; and the one way back.
 *
 * Invariant: between an entry and the return that belongs to it, rbx holds the frame (struct
 * pv_frame), and everything the interrupted code owned is in that frame or, when the kernel wants
 * floating-point state saved (pv_fp_size_on_entry), in the area that frame.fp points at.
 *
 * Returning to kernel code needs neither a hypercall nor a privileged instruction:
 *
 *   1. rip and rflags of the interrupted code are copied to the sixteen bytes just below its stack
 *      pointer. (Kernel code has no red zone, so they are free; they may overlay the rsp and ss slots
 *      of the frame, which are kept elsewhere by then.)
 *   2. If events were enabled there, the mask is cleared.
 *   3. The pending flag is looked at: an event that came while the mask was set made no upcall, and
 *      nobody but us will notice it. If it is set: mask again, handle, go to 1.
 *   4. All registers are loaded from the frame, the stack pointer last. Then popf and ret.
 *
 * From the moment the mask is clear an upcall may come between any two of these instructions. Left
 * alone, a storm of events would pile frame upon frame. So the upcall looks where it struck:
 *
 *   a. In steps 3 and 4, before the stack pointer is loaded: the old frame is still whole, the
 *      registers are worth nothing. The new frame is dropped and the events are handled on the old
 *      one; return begins anew with step 1.
 *   b. At the popf or the ret: the interrupted code was as good as resumed. The new frame is made to
 *      say so, as if the two instructions had been done. Nothing is nested.
 *
 * Where that way is not open we leave by the iret hypercall, which loads everything and the event
 * mask at once: to user mode (another address space); with TF set (popf would trap at once, and for
 * ever); from #DB and NMI (the hypervisor keeps state until it sees an iret); and when the handler
 * moved the interrupted stack pointer so that step 1 would overwrite the frame itself.
 *
 * popf does not load RF. Effect: a fault at an instruction that has a breakpoint on it meets the
 * breakpoint once more after its handler.
 */
#define __ASSEMBLY__

#include "abi/arch_x86_64.h"
#include "abi/xen.h"
#include "pvops/cpu.h"
#include "pvops/frame.h"
#include "pvops/boot/frame_asm.inc"

#define HYPERCALL_IRET (pv_hypercall_page + __HYPERVISOR_iret * 32)

	/* rcx and r11 are on top of what the hypervisor pushed; an error code or a 0 comes next. */
	.macro entry name:req, vector:req, has_error=0
	.globl \name
	.type \name, @function
	.balign 16
\name:
	pop	%rcx
	pop	%r11
	.if !\has_error
	pushq	$0
	.endif
	movl	$\vector, 4(%rsp)
	.endm

	/* Where an upcall may strike; global for tests and for profilers. */
	.globl pv_return_start, pv_return_popf, pv_return_ret, pv_return_end

	.text

	entry pv_entry_de, PV_VECTOR_DE
	jmp	trap_common
	entry pv_entry_db, PV_VECTOR_DB
	jmp	trap_common
	entry pv_entry_nmi, PV_VECTOR_NMI
	jmp	trap_common
	entry pv_entry_bp, PV_VECTOR_BP
	jmp	trap_common
	entry pv_entry_of, PV_VECTOR_OF
	jmp	trap_common
	entry pv_entry_br, PV_VECTOR_BR
	jmp	trap_common
	entry pv_entry_ud, PV_VECTOR_UD
	jmp	trap_common
	entry pv_entry_nm, PV_VECTOR_NM
	jmp	trap_common
	entry pv_entry_df, PV_VECTOR_DF, 1
	jmp	trap_common
	entry pv_entry_ts, PV_VECTOR_TS, 1
	jmp	trap_common
	entry pv_entry_np, PV_VECTOR_NP, 1
	jmp	trap_common
	entry pv_entry_ss, PV_VECTOR_SS, 1
	jmp	trap_common
	entry pv_entry_gp, PV_VECTOR_GP, 1
	jmp	trap_common
	entry pv_entry_pf, PV_VECTOR_PF, 1
	jmp	trap_common
	entry pv_entry_mf, PV_VECTOR_MF
	jmp	trap_common
	entry pv_entry_ac, PV_VECTOR_AC, 1
	jmp	trap_common
	entry pv_entry_mc, PV_VECTOR_MC
	jmp	trap_common
	entry pv_entry_xm, PV_VECTOR_XM
	jmp	trap_common
	entry pv_entry_cp, PV_VECTOR_CP, 1
	jmp	trap_common
	entry pv_entry_syscall, PV_VECTOR_SYSCALL
	jmp	trap_common

	/*
	 * A segment register of the frame that the hypervisor was to return to cannot be loaded.
	 * ds, es, fs and gs lie above rcx and r11; in long mode nothing is lost by leaving all of
	 * them null, and the report is made like that of any other trap.
	 */
	.globl pv_entry_failsafe
	.type pv_entry_failsafe, @function
	.balign 16
pv_entry_failsafe:
	pop	%rcx
	pop	%r11
	add	$24, %rsp		/* ds, es, fs; the slot of gs becomes the error code's */
	movq	$0, (%rsp)
	movl	$PV_VECTOR_FAILSAFE, 4(%rsp)

trap_common:
	save_registers
	save_fp
	mov	%rbx, %rdi
	call	pv_trap_main
	jmp	leave_kernel

	/*
	 * The upcall. Only here is there anything to look for in the return path, for every trap
	 * inside it would be a mistake of ours, and an NMI leaves by the iret hypercall.
	 */
	entry pv_entry_event, PV_VECTOR_EVENT
	save_registers
	mov	PV_FRAME_RIP(%rbx), %rax
	sub	$pv_return_start, %rax
	cmp	$(pv_return_end - pv_return_start), %rax
	jb	struck_in_return
event_handle:
	save_fp
	mov	%rbx, %rdi
	call	pv_event_main

leave_kernel:
	mov	%gs:PV_CPU_INFO, %rcx
	movb	$1, PV_INFO_MASK(%rcx)	/* whatever the handler did */
	cmpq	$0, PV_FRAME_FP(%rbx)
	jne	load_fp
leave_general:
	mov	%rbx, %rsp
	testb	$3, PV_FRAME_CS(%rbx)
	jnz	leave_by_iret
	testl	$PV_RFLAGS_TF, PV_FRAME_RFLAGS(%rbx)
	jnz	leave_by_iret
	mov	PV_FRAME_VECTOR(%rbx), %eax
	dec	%eax			/* #DB is 1, NMI is 2 */
	cmp	$1, %eax
	jbe	leave_by_iret
	lea	PV_FRAME_SIZE(%rbx), %rax
	mov	PV_FRAME_RSP(%rbx), %rdx
	cmp	%rax, %rdx
	jb	leave_by_iret

	/* Step 1: both values are read before either slot is written, for the two may overlap. */
	mov	PV_FRAME_RIP(%rbx), %rax
	mov	PV_FRAME_RFLAGS(%rbx), %rsi
	sub	$16, %rdx
	mov	%rdx, PV_FRAME_RET_SP(%rbx)
	mov	%rsi, (%rdx)
	mov	%rax, 8(%rdx)
	test	$PV_RFLAGS_IF, %esi
	jz	load_all
	movb	$0, PV_INFO_MASK(%rcx)	/* step 2 */
pv_return_start:
	cmpb	$0, PV_INFO_PENDING(%rcx)	/* step 3 */
	jne	look_again
load_all:
	load_registers			/* step 4 */
	mov	PV_FRAME_RET_SP(%rsp), %rsp
pv_return_popf:
	popfq
pv_return_ret:
	ret
pv_return_end:

look_again:
	movb	$1, PV_INFO_MASK(%rcx)
	mov	%rsp, %rbx
	/*
	 * Undo what step 1 may have overlaid. The floating-point registers are the interrupted
	 * code's again by now, and the area they came from may be gone: they are saved anew.
	 */
handle_on_old_frame:
	mov	PV_FRAME_RET_SP(%rbx), %rax
	add	$16, %rax
	mov	%rax, PV_FRAME_RSP(%rbx)
	movq	$FLAT_KERNEL_SS, PV_FRAME_SS(%rbx)
	movq	$0, PV_FRAME_FP(%rbx)
	jmp	event_handle

struck_in_return:			/* rax: how far after pv_return_start */
	testb	$3, PV_FRAME_CS(%rbx)
	jnz	event_handle		/* a user program at the same address */
	mov	PV_FRAME_RSP(%rbx), %rdx
	cmp	$(pv_return_popf - pv_return_start), %rax
	jae	1f
	mov	%rdx, %rbx		/* case a */
	mov	%rdx, %rsp
	jmp	handle_on_old_frame
1:	jne	2f			/* case b: popf ... */
	mov	(%rdx), %rax
	mov	%rax, PV_FRAME_RFLAGS(%rbx)
	add	$8, %rdx
2:	mov	(%rdx), %rax		/* ... and ret */
	mov	%rax, PV_FRAME_RIP(%rbx)
	add	$8, %rdx
	mov	%rdx, PV_FRAME_RSP(%rbx)
	jmp	event_handle

load_fp:
	load_fp_area
	jmp	leave_general

	/* The hypervisor finds flags (0), rip, cs, rflags, rsp, ss; the page itself pushes the rest. */
leave_by_iret:
	movzwl	PV_FRAME_CS(%rsp), %eax
	mov	%rax, PV_FRAME_CS(%rsp)
	movq	$0, PV_FRAME_ERROR(%rsp)
	load_registers
	lea	PV_FRAME_ERROR(%rsp), %rsp
	jmp	HYPERCALL_IRET

	/*
	 * Leave through a frame that the kernel keeps or has made, wherever it lies, as if a handler
	 * had just returned to it. Never returns. (pv_frame_resume() comes here.)
	 */
	.globl pv_xen_frame_resume
	.type pv_xen_frame_resume, @function
pv_xen_frame_resume:
	mov	%rdi, %rbx
	jmp	leave_kernel

	.section .note.GNU-stack, "", @progbits
