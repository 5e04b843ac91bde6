/* SPDX-License-Identifier: MIT */
/*
 * Running a claim so that it can be given up in the middle: st_run(fn) returns 0 when fn returned,
 * 1 when a trap handler sent its frame to st_run_abort with rsp from st_run_sp.
 */
	.text
	.globl st_run
	.type st_run, @function
st_run:
	push	%rbp
	push	%rbx
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	sub	$8, %rsp
	mov	%rsp, st_run_sp(%rip)
	call	*%rdi
	xor	%eax, %eax
	jmp	1f
	.globl st_run_abort
	.type st_run_abort, @function
st_run_abort:
	mov	$1, %eax
1:	cld
	add	$8, %rsp
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbx
	pop	%rbp
	ret

	.bss
	.balign 8
	.globl st_run_sp
st_run_sp:
	.skip 8

	.section .note.GNU-stack, "", @progbits
