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

#include "pvops/frame.h"

	.macro code name:req
	.globl pv_native_\name, pv_native_\name\()_end
	.type pv_native_\name, @function
	.balign 16
pv_native_\name:
	.endm

	.macro code_end name:req
pv_native_\name\()_end:
	ret
	.endm

	.section .text.pv_native_pieces, "ax", @progbits
	.balign 4096

	code irq_save
	pushfq
	pop	%rax
	cli
	code_end irq_save

	code irq_disable
	cli
	code_end irq_disable

	code irq_enabled
	pushfq
	pop	%rax
	shr	$9, %eax
	and	$1, %eax
	code_end irq_enabled

	code irq_enable
	sti
	code_end irq_enable

	/* Not popf: it is slower, and does nothing at all where an emulator runs this at ring 3. */
	code irq_restore
	test	$PV_RFLAGS_IF, %edi
	je	1f
	sti
1:
	code_end irq_restore

	/* uint64_t fault_address(void) */
	code fault_address
	mov	%cr2, %rax
	code_end fault_address

	/* uint64_t read_entry(const uint64_t *table, unsigned int index) */
	code read_entry
	mov	%esi, %esi
	mov	(%rdi, %rsi, 8), %rax
	code_end read_entry

	/* void flush_page(uint64_t va) */
	code flush_page
	invlpg	(%rdi)
	code_end flush_page

	/* int load_root(pv_root_t root) */
	code load_root
	shl	$12, %rdi
	mov	%rdi, %cr3
	xor	%eax, %eax
	code_end load_root

	/* int table_make(void *table, unsigned int level), and others that have nothing to do */
	code nothing
	xor	%eax, %eax
	code_end nothing

	/* void wait(void): no interrupt is taken between the two. */
	code irq_wait
	sti
	hlt
	code_end irq_wait
	.balign 4096

	.section .note.GNU-stack, "", @progbits
