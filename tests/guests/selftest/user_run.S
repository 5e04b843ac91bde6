/* SPDX-License-Identifier: MIT */
/*
 * From a claim to user mode and back, and the instructions that run there.
 *
 * st_user_go(frame): goes to user mode by the frame; returns when a trap handler sends its own frame
 * to st_user_back with rsp from st_user_sp.
 */
	.text
	.globl st_user_go
	.type st_user_go, @function
st_user_go:
	push	%rbp
	push	%rbx
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	sub	$8, %rsp
	mov	%rsp, st_user_sp(%rip)
	jmp	pv_frame_resume
	.globl st_user_back
	.type st_user_back, @function
st_user_back:
	cld
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
	.globl st_user_sp
st_user_sp:
	.skip 8

	/* A page of user code, which a claim maps where it likes. Each piece ends with `syscall`. */
	.section .text.st_user_code, "ax", @progbits
	.balign 4096
	.globl st_user_code, st_user_call, st_user_read, st_user_write, st_user_write_read
	.globl st_user_spin, st_user_ud, st_user_fs, st_user_xmm, st_user_wait
st_user_code:
st_user_call:
	syscall
	ud2
st_user_read:				/* rdi: where; rax: what is there */
	mov	(%rdi), %rax
	syscall
	ud2
st_user_write:				/* rdi: where; rsi: what */
	mov	%rsi, (%rdi)
	syscall
	ud2
st_user_write_read:			/* rdi: written; rsi: then read */
	mov	%rdi, (%rdi)
	mov	(%rsi), %rax
	syscall
	ud2
st_user_spin:
	inc	%rax
	jmp	st_user_spin
st_user_ud:
	ud2
st_user_fs:				/* rax, rdx: the first words behind the FS and GS bases */
	mov	%fs:0, %rax
	mov	%gs:0, %rdx
	syscall
	ud2
st_user_xmm:				/* xmm0 becomes rdi; the old one to rax */
	movq	%xmm0, %rax
	movq	%rdi, %xmm0
	syscall
	ud2
st_user_wait:				/* until the word at rdi is not rsi */
	cmp	%rsi, (%rdi)
	je	st_user_wait
	mov	(%rdi), %rax
	syscall
	ud2
	.balign 4096

	.section .note.GNU-stack, "", @progbits
