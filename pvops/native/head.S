/* SPDX-License-Identifier: MIT */
/*
 * Where a native kernel begins (XEN_ELFNOTE_PHYS32_ENTRY): 32-bit protected mode, flat segments, no
 * paging, interrupts off, ebx: struct hvm_start_info (abi/pvh.h).
 *
 * From here to 64 bits: the first GiB mapped one to one by 2 MiB pages, long mode, a descriptor table
 * of two rows. start.c makes everything anew when it knows the memory.
 */
#define __ASSEMBLY__

#include "pvops/native/cpu.h"

#define CODE64        8
#define TABLE         0x003	/* present, writable */
#define LARGE_GLOBAL  0x183

	.section .text.head, "ax", @progbits
	.code32
	.globl pv_native_entry
	.type pv_native_entry, @function
pv_native_entry:
	cli
	cld
	mov	$pv_boot_stack_top, %esp
	movl	$boot_l3 + TABLE, boot_l4
	movl	$boot_l2 + TABLE, boot_l3
	mov	$boot_l2, %edi
	mov	$LARGE_GLOBAL, %eax
1:	mov	%eax, (%edi)
	add	$0x200000, %eax
	add	$8, %edi
	cmp	$boot_l2 + 4096, %edi
	jne	1b

	mov	$(CR4_PAE | CR4_PGE | CR4_OSFXSR | CR4_OSXMMEXCPT), %eax
	mov	%eax, %cr4
	mov	$boot_l4, %eax
	mov	%eax, %cr3
	mov	$MSR_EFER, %ecx
	mov	$(EFER_SCE | EFER_LME | EFER_NXE), %eax
	xor	%edx, %edx
	wrmsr
	mov	$(CR0_PE | CR0_MP | CR0_NE | CR0_WP | CR0_AM | CR0_PG), %eax
	mov	%eax, %cr0
	lgdt	boot_gdt_pointer
	ljmp	$CODE64, $1f

	.code64
1:	xor	%eax, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %fs
	mov	%eax, %gs
	mov	%eax, %ss
	mov	$pv_boot_stack_top, %esp
	xor	%ebp, %ebp		/* back-traces end here */
	push	%rbp
	push	%rbp
	mov	%ebx, %edi
	mov	%rsp, %rbp
	call	pv_start_native
	ud2				/* it does not return */
	.size pv_native_entry, . - pv_native_entry

	.section .rodata
	.balign 8
boot_gdt:
	.quad	0
	.quad	0x00af9b000000ffff	/* 64-bit code, ring 0 */
boot_gdt_pointer:
	.word	. - boot_gdt - 1
	.long	boot_gdt

	.section .bss.page_aligned, "aw", @nobits
	.balign 4096
boot_l4: .skip 4096
boot_l3: .skip 4096
boot_l2: .skip 4096

	.section .note.GNU-stack, "", @progbits
