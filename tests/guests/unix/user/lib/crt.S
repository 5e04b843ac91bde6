/* SPDX-License-Identifier: MIT */
/* Where a program begins, and where a signal handler returns to. */
#define __ASSEMBLY__
	.text
	.globl _start
	.type _start, @function
_start:
	xor	%ebp, %ebp
	mov	(%rsp), %rdi		/* how many arguments */
	lea	8(%rsp), %rsi		/* they, ended by 0 */
	and	$-16, %rsp
	call	main
	mov	%eax, %edi
	call	exit
	ud2

	.globl unix_restorer
	.type unix_restorer, @function
unix_restorer:
	mov	unix_sigreturn_number(%rip), %eax
	syscall
	ud2

	.section .note.GNU-stack, "", @progbits
