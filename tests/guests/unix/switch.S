/* SPDX-License-Identifier: MIT */
/*
 * From one kernel stack to another. What the compiler lets a call destroy is not kept.
 *
 * switch_stack(void **save, void *load): leaves the stack pointer in *save and goes on where the
 * other stack was left, or for a new process at switch_start.
 */
	.text
	.globl switch_stack
	.type switch_stack, @function
switch_stack:
	push	%rbp
	push	%rbx
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	mov	%rsp, (%rdi)
	mov	%rsi, %rsp
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbx
	pop	%rbp
	ret

	/* A new process: its function is in rbx. The return address of 0 ends back-traces. */
	.globl switch_start
	.type switch_start, @function
switch_start:
	xor	%ebp, %ebp
	push	%rbp
	jmp	*%rbx

	.section .note.GNU-stack, "", @progbits
