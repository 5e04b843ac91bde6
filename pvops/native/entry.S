/* SPDX-License-Identifier: MIT */
/*
 * Every way into a native kernel after the first, and the way back. The frames and the handlers are
 * those of the paravirtual side (boot/entry.S).
 *
 * Invariant: while kernel code runs behind save_registers the GS base is the kernel's. Between an
 * entry from user mode and its swapgs, and between the last swapgs and the iretq or sysretq, it is the
 * program's. What can strike there:
 *
 *   - an ordinary fault: only at the iretq, of a frame that cannot be loaded. It becomes a fault of
 *     the program's: see bad_return.
 *   - #DB, NMI, #DF, #MC: they have a stack of their own and look at the GS base itself (careful).
 *
 * An interrupt cannot: the flag is off there.
 *
 * From user mode the frame always lies at the end of the kernel stack, as the kernel expects it there.
 */
#define __ASSEMBLY__

#include "abi/arch_x86_64.h"
#include "pvops/cpu.h"
#include "pvops/frame.h"
#include "pvops/boot/frame_asm.inc"
#include "pvops/native/cpu.h"

/* What a program's flags never have, whatever the kernel made of its frame. */
#define KERNEL_FLAGS (PV_RFLAGS_IOPL | PV_RFLAGS_NT)

	/* The table of entries, for tables.c: vector, stack of its own, ring 3 may call it. */
	.macro row vector:req, ist=0, ring=0
	.pushsection .rodata.pv_native_entries, "a"
	.quad	9f
	.byte	\vector, \ist, \ring, 0
	.long	0
	.popsection
	.balign 8
9:
	.endm

	.macro entry vector:req, has_error=0, ring=0
	row \vector, 0, \ring
	.if !\has_error
	pushq	$0
	.endif
	movl	$\vector, 4(%rsp)
	jmp	trap
	.endm

	.macro careful_entry vector:req, ist:req, has_error=0
	row \vector, \ist
	.if !\has_error
	pushq	$0
	.endif
	movl	$\vector, 4(%rsp)
	jmp	careful
	.endm

	/* The line's number stands where an error code would. */
	.macro irq_entry line:req
	row (32 + \line)
	pushq	$\line
	movl	$PV_VECTOR_EVENT, 4(%rsp)
	jmp	interrupt
	.endm

	.section .rodata.pv_native_entries, "a"
	.balign 8
	.globl pv_native_entries
pv_native_entries:

	.text

	entry PV_VECTOR_DE
	careful_entry PV_VECTOR_DB, 1
	careful_entry PV_VECTOR_NMI, 2
	entry PV_VECTOR_BP, 0, 3
	entry PV_VECTOR_OF, 0, 3
	entry PV_VECTOR_BR
	entry PV_VECTOR_UD
	entry PV_VECTOR_NM
	careful_entry PV_VECTOR_DF, 3, 1
	entry PV_VECTOR_TS, 1
	entry PV_VECTOR_NP, 1
	entry PV_VECTOR_SS, 1
	entry PV_VECTOR_GP, 1
	entry PV_VECTOR_PF, 1
	entry PV_VECTOR_MF
	entry PV_VECTOR_AC, 1
	careful_entry PV_VECTOR_MC, 4
	entry PV_VECTOR_XM
	entry PV_VECTOR_CP, 1
	.irp line, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
	irq_entry \line
	.endr

	.pushsection .rodata.pv_native_entries, "a"
	.quad	0
	.popsection

	/* Only the return address, the flags and the stack pointer are saved by the processor, in
	 * registers and not at all. */
	.globl pv_native_syscall
	.type pv_native_syscall, @function
	.balign 16
pv_native_syscall:
	swapgs
	mov	%rsp, user_rsp
	mov	pv_native_tss + TSS_RSP0, %rsp
	pushq	$FLAT_USER_SS
	pushq	user_rsp
	push	%r11
	pushq	$FLAT_USER_CS
	push	%rcx
	pushq	$0
	movl	$PV_VECTOR_SYSCALL, 4(%rsp)
	save_registers
	jmp	handle

	.balign 16
interrupt:
	save_registers
	testb	$3, PV_FRAME_CS(%rbx)
	jz	1f
	swapgs
1:	save_fp
	mov	%rbx, %rdi
	call	pv_native_interrupt
	jmp	leave

	.balign 16
trap:
	save_registers
	testb	$3, PV_FRAME_CS(%rbx)
	jz	from_kernel
	swapgs
handle:
	save_fp
	mov	%rbx, %rdi
	call	pv_trap_main

leave:
	cli				/* whatever the handler did */
	cmpq	$0, PV_FRAME_FP(%rbx)
	jne	load_fp
leave_general:
	mov	%rbx, %rsp
	testb	$3, PV_FRAME_CS(%rbx)
	jz	leave_to_kernel
	/*
	 * sysret is quicker, and loads rip from rcx and the flags from r11: for a system call whose
	 * frame still says so. It faults in ring 0, on the user's stack, when rip is not canonical.
	 */
	cmpl	$PV_VECTOR_SYSCALL, PV_FRAME_VECTOR(%rbx)
	jne	1f
	mov	PV_FRAME_RIP(%rbx), %rcx
	cmp	PV_FRAME_RCX(%rbx), %rcx
	jne	1f
	mov	PV_FRAME_RFLAGS(%rbx), %rdx
	cmp	PV_FRAME_R11(%rbx), %rdx
	jne	1f
	shr	$46, %rcx
	jnz	1f
	test	$(PV_RFLAGS_TF | PV_RFLAGS_RF | KERNEL_FLAGS), %edx
	jnz	1f
	cmpw	$FLAT_USER_CS, PV_FRAME_CS(%rbx)
	jne	1f
	load_registers
	mov	PV_FRAME_RSP(%rsp), %rsp
	swapgs
	sysretq

1:	andl	$~KERNEL_FLAGS, PV_FRAME_RFLAGS(%rsp)
	swapgs
	jmp	2f
	/* A frame that the kernel made need not know our selectors, only that it is the kernel's. */
leave_to_kernel:
	movq	$NATIVE_CS, PV_FRAME_CS(%rsp)
	movq	$NATIVE_SS, PV_FRAME_SS(%rsp)
2:	load_registers
	add	$PV_FRAME_RIP, %rsp
native_iretq:
	iretq

load_fp:
	load_fp_area
	jmp	leave_general

from_kernel:
	lea	native_iretq(%rip), %rax
	cmp	%rax, PV_FRAME_RIP(%rbx)
	jne	handle
	/*
	 * bad_return: the registers are the program's already, and where it was to go on lies where
	 * the interrupted stack pointer points. The frame is made to say that the program faulted
	 * there, and moved to the end of the kernel stack.
	 */
	swapgs
	mov	PV_FRAME_RSP(%rbx), %rsi
	.irp slot, PV_FRAME_RIP, PV_FRAME_CS, PV_FRAME_RFLAGS, PV_FRAME_RSP, PV_FRAME_SS
	mov	(\slot - PV_FRAME_RIP)(%rsi), %rax
	mov	%rax, \slot(%rbx)
	.endr
	orq	$3, PV_FRAME_CS(%rbx)

	/* The frame to the end of the kernel stack: upwards, so the last word first. */
move_frame:
	mov	pv_native_tss + TSS_RSP0, %rdi
	sub	$8, %rdi
	lea	(PV_FRAME_SIZE - 8)(%rbx), %rsi
	mov	$(PV_FRAME_SIZE / 8), %ecx
1:	mov	(%rsi), %rax
	mov	%rax, (%rdi)
	sub	$8, %rsi
	sub	$8, %rdi
	dec	%ecx
	jnz	1b
	lea	8(%rdi), %rbx
	mov	%rbx, %rsp
	jmp	handle

	/* On a stack of its own; r12 afterwards: the GS base was the program's. */
careful:
	save_registers
	testb	$3, PV_FRAME_CS(%rbx)
	jz	1f
	swapgs
	jmp	move_frame
1:	xor	%r12d, %r12d
	mov	$MSR_GS_BASE, %ecx
	rdmsr
	shl	$32, %rdx
	or	%rdx, %rax
	cmp	pv_native_gs_base, %rax
	je	2f
	swapgs
	inc	%r12d
2:	save_fp
	mov	%rbx, %rdi
	call	pv_trap_main
	cmpq	$0, PV_FRAME_FP(%rbx)
	je	3f
	load_fp_area
3:	mov	%rbx, %rsp
	test	%r12d, %r12d
	jz	leave_to_kernel
	swapgs
	jmp	leave_to_kernel

	/* See pv_frame_resume(). */
	.globl pv_native_frame_resume
	.type pv_native_frame_resume, @function
pv_native_frame_resume:
	mov	%rdi, %rbx
	/* A frame that did not come by a system call must not leave by sysret: vector is 0 then. */
	jmp	leave

	.section .bss
	.balign 8
user_rsp: .skip 8

	.section .note.GNU-stack, "", @progbits
