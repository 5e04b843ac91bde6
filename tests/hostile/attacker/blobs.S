/* SPDX-License-Identifier: MIT */
/*
 * The attacks that need code of their own: run by the kernel where they are linked, and by a user
 * program from a copy. Position-independent; what they work on is in registers; all end in ud2, which
 * both kinds of kernel get to see.
 */
	.section .rodata
	.balign 4096
	.globl at_blobs
at_blobs:

	.macro blob name
	.balign 16
	.globl \name
\name:
	.endm

	/* To any byte of the trampoline, with registers that a system call would like. */
	blob at_blob_jump
	mov	%r12, %rax
	jmp	*%r13

	blob at_blob_syscall
	mov	%r12, %rax
	syscall
	ud2

	blob at_blob_int80
	mov	%r12, %rax
	int	$0x80
	ud2

	blob at_blob_sysenter
	mov	%r12, %rax
	sysenter
	ud2

	blob at_blob_call
	call	*%r12
	ud2

	/* 32-bit code: the first bytes mean the same there. r12: selector; code below 4 GiB only. */
	blob at_blob_far
	lea	1f(%rip), %rcx
	sub	$16, %rsp
	mov	%ecx, (%rsp)
	mov	%r12, 4(%rsp)
	mov	%r13, %rax
	ljmp	*(%rsp)
1:	.code32
	int	$0x80
	ud2
	.code64

	/* Garbage from rbx to r14 places in r12 .. r12 + r13, 8 bytes at a time. */
	blob at_blob_store
1:	mov	%rbx, %rcx
	shl	$13, %rcx
	xor	%rcx, %rbx
	mov	%rbx, %rcx
	shr	$7, %rcx
	xor	%rcx, %rbx
	mov	%rbx, %rcx
	shl	$17, %rcx
	xor	%rcx, %rbx
	mov	%rbx, %rcx
	shr	$20, %rcx
	and	%r13, %rcx
	mov	%rbx, (%r12, %rcx)
	mov	%rbx, %rcx
	and	$15, %ecx
	jnz	2f
	mov	%rdi, %rax		/* between two stores: make the engine look */
	syscall
2:	dec	%r14
	jnz	1b
	ud2

	/* Reports an exit of kind r12 by hand and runs on: r13 state, r14 ctl, rdi number, rsi times. */
	blob at_blob_forge
	mov	%r12d, 0x10(%r13)
	mov	%rdi, 0xa0 + 10 * 8(%r13)	/* rax of the registers */
	mov	%r8, 0x20(%r13)			/* ucontext and siginfo, for a signal */
	mov	%r9, 0x28(%r13)
	mov	%r10d, 0x30(%r13)
	mov	(%r14), %ebx
	inc	%ebx
	mov	%ebx, (%r13)
	lock incl 4(%r13)
1:	pause
	incl	0xa0(%r13)
	mov	%edi, 0x10(%r13)
	dec	%rsi
	jnz	1b
	ud2

	blob at_blob_popf
	push	%r12
	popfq
	nop
	mov	1(%rsp), %rcx
	syscall
	ud2

	blob at_blob_xrstor
	mov	%r13, %rax
	mov	%r14, %rdx
	xrstor64 (%r12)
	ud2

	blob at_blob_fxrstor
	fxrstor64 (%r12)
	ud2

	blob at_blob_bases
	wrfsbase %r12
	wrgsbase %r13
	mov	%fs:0, %rcx
	mov	%gs:8, %rcx
	syscall
	ud2

	blob at_blob_stack
	mov	%r12, %rsp
	mov	%r13, %rax
	syscall
	push	%rax
	pop	%rax
	call	1f
1:	int3
	ud2

	blob at_blob_iret
	push	%r12
	push	%r13
	push	%r14
	push	%rbx
	push	%rdi
	iretq
	ud2

	blob at_blob_segment
	mov	%r12, %ds
	mov	%r13, %es
	mov	%r14, %fs
	mov	%rbx, %gs
	mov	%fs:0, %rcx
	ud2

	blob at_blob_read
	mov	(%r12), %rax
	ud2

	blob at_blob_write
	mov	%r13, (%r12)
	ud2

	/* Instructions out of noise: overwritten where the code may be written. */
	blob at_blob_noise
	.fill	256, 1, 0x90
	ud2

	.balign 4096
	.globl at_blobs_end
at_blobs_end:

	.section .note.GNU-stack, "", @progbits
