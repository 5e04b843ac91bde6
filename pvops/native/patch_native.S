/* SPDX-License-Identifier: MIT */
/*
 * Operations of a native kernel that are a few instructions, as code that call sites are rewritten
 * with (patch.h); each piece is a function too, for calls through the table.
 *
 * They have pages to themselves: they are read before any of them is executed, and an emulator that runs
 * kernel code at ring 3 may show other bytes in a page that executes.
 *
 * Of the interrupt flag's only rax, rcx and the flags are lost. The state that save answers is the
 * flags register.
 */
#define __ASSEMBLY__

#include "pvops/boot/patch_asm.inc"
#include "pvops/frame.h"

	.section .text.pv_native_pieces, "ax", @progbits
	.balign 4096

	code pv_native_irq_save
	pushfq
	pop	%rax
	cli
	code_end pv_native_irq_save

	code pv_native_irq_disable
	cli
	code_end pv_native_irq_disable

	code pv_native_irq_enabled
	pushfq
	pop	%rax
	shr	$9, %eax
	and	$1, %eax
	code_end pv_native_irq_enabled

	code pv_native_irq_enable
	sti
	code_end pv_native_irq_enable

	/* Not popf: it is slower, and does nothing at all where an emulator runs this at ring 3. */
	code pv_native_irq_restore
	test	$PV_RFLAGS_IF, %edi
	je	1f
	sti
1:
	code_end pv_native_irq_restore

	/* uint64_t fault_address(void) */
	code pv_native_fault_address
	mov	%cr2, %rax
	code_end pv_native_fault_address

	/* uint64_t read_entry(const uint64_t *table, unsigned int index) */
	code pv_native_read_entry
	mov	%esi, %esi
	mov	(%rdi, %rsi, 8), %rax
	code_end pv_native_read_entry

	/* void flush_page(uint64_t va) */
	code pv_native_flush_page
	invlpg	(%rdi)
	code_end pv_native_flush_page

	/* int load_root(pv_root_t root) */
	code pv_native_load_root
	shl	$12, %rdi
	mov	%rdi, %cr3
	xor	%eax, %eax
	code_end pv_native_load_root

	/* int table_make(void *table, unsigned int level), and others that have nothing to do */
	code pv_native_nothing
	xor	%eax, %eax
	code_end pv_native_nothing

	/* void wait(void): no interrupt is taken between the two. */
	code pv_native_irq_wait
	sti
	hlt
	code_end pv_native_irq_wait
	.balign 4096

	.section .note.GNU-stack, "", @progbits
