/* SPDX-License-Identifier: MIT */
/*
 * The event mask of a paravirtualized kernel, as code that call sites are rewritten with (patch.h);
 * each piece is a function too, for calls through the table.
 *
 * Only rax, rcx and the flags are lost. The state that save answers is the mask byte: 0 is enabled.
 *
 * Enabling: 1. clear the mask   2. look at pending   3. set: mask again, handle, from 1.
 * An event between 1 and 2 makes an upcall, which clears pending; one before 1 did not, and is found.
 */
#define __ASSEMBLY__

#include "pvops/boot/patch_asm.inc"
#include "pvops/cpu.h"

	/* The displacement of the call is what pv_xen_..._relative names. */
	.macro enable_events name:req
	mov	%gs:PV_CPU_INFO, %rcx
	movb	$0, PV_INFO_MASK(%rcx)
	cmpb	$0, PV_INFO_PENDING(%rcx)
	je	1f
	.globl pv_xen_\name\()_relative
	.byte	0xe8
pv_xen_\name\()_relative:
	.long	pv_xen_events_wait - . - 4
1:
	.endm

	.text

	code pv_xen_irq_save
	mov	%gs:PV_CPU_INFO, %rcx
	movzbl	PV_INFO_MASK(%rcx), %eax
	movb	$1, PV_INFO_MASK(%rcx)
	code_end pv_xen_irq_save

	code pv_xen_irq_disable
	mov	%gs:PV_CPU_INFO, %rcx
	movb	$1, PV_INFO_MASK(%rcx)
	code_end pv_xen_irq_disable

	code pv_xen_irq_enabled
	mov	%gs:PV_CPU_INFO, %rcx
	movzbl	PV_INFO_MASK(%rcx), %eax
	xor	$1, %eax
	code_end pv_xen_irq_enabled

	code pv_xen_irq_enable
	enable_events irq_enable
	code_end pv_xen_irq_enable

	code pv_xen_irq_restore
	test	%edi, %edi
	jne	1f
	enable_events irq_restore
	code_end pv_xen_irq_restore

	/* Events came while they were masked: C code, behind whose back all registers are kept. */
	.type pv_xen_events_wait, @function
pv_xen_events_wait:
	push	%rbp
	mov	%rsp, %rbp
	push	%rdi
	push	%rsi
	push	%rdx
	push	%r8
	push	%r9
	push	%r10
	push	%r11
	call	pv_xen_irq_enable_slowly
	pop	%r11
	pop	%r10
	pop	%r9
	pop	%r8
	pop	%rdx
	pop	%rsi
	pop	%rdi
	pop	%rbp
	ret

	.section .note.GNU-stack, "", @progbits
