/* SPDX-License-Identifier: MIT */
/*
 * Doing something that may end anywhere, and coming back.
 *
 * int at_protect(uint64_t *slot, void (*fn)(void *), void *arg): 0 when fn returned; 1 when the trap
 * handler sent its frame to at_abort with rsp from *slot. Registers that a caller may rely on come
 * back from the stack, whatever fn did to them.
 *
 * void at_enter(struct at_regs *): loads all general registers from it, flags and stack too, and
 * jumps. There is no way back but a trap.
 */
	.text
	.globl at_protect
	.type at_protect, @function
at_protect:
	push	%rbp
	push	%rbx
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	push	%rdi
	mov	%rsp, (%rdi)
	mov	%rdx, %rdi
	call	*%rsi
	xor	%eax, %eax
	jmp	1f
	.globl at_abort
	.type at_abort, @function
at_abort:
	mov	$1, %eax
1:	cld
	pop	%rdi
	movq	$0, (%rdi)
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbx
	pop	%rbp
	ret
	.globl at_abort_end
at_abort_end:

	/* r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi, rip, flags, rsp */
	.globl at_enter
	.type at_enter, @function
at_enter:
	mov	15*8(%rdi), %rax
	mov	%rax, at_target(%rip)
	mov	17*8(%rdi), %rax
	mov	%rax, at_stack(%rip)
	mov	16*8(%rdi), %rax
	mov	%rax, at_flags(%rip)
	mov	%rdi, %rsp
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbp
	pop	%rbx
	pop	%r11
	pop	%r10
	pop	%r9
	pop	%r8
	pop	%rax
	pop	%rcx
	pop	%rdx
	pop	%rsi
	pop	%rdi
	mov	at_stack(%rip), %rsp
	push	at_flags(%rip)
	popfq
	jmp	*at_target(%rip)

	.bss
	.balign 8
at_target: .skip 8
at_stack:  .skip 8
at_flags:  .skip 8

	.section .note.GNU-stack, "", @progbits
