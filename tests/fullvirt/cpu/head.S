/* SPDX-License-Identifier: MIT */
/*
 * The processor test's own boot: a PVH entry in 32-bit code, page tables, long mode; and its entries for
 * exceptions, interrupts and system calls. It uses nothing of the library, so that it tests the
 * processor alone; it runs on QEMU and on hardware as well.
 */
	.section .note.Xen, "a", @note
	.balign	4
	.long	4, 4, 18 /* XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz	"Xen"
	.long	start32

	.section .text.head, "ax"
	.code32
	.globl	start32
start32:
	cld
	mov	%ebx, boot_info
	mov	$stack_top, %esp
	/* No page of the first GiB is left out; the tables are zero. */
	mov	$table3, %eax
	or	$7, %eax
	mov	%eax, table4
	mov	$table2, %eax
	or	$7, %eax
	mov	%eax, table3
	xor	%ecx, %ecx
1:	mov	%ecx, %eax
	shl	$21, %eax
	or	$0x83, %eax
	mov	%eax, table2(,%ecx,8)
	inc	%ecx
	cmp	$512, %ecx
	jb	1b
	mov	%cr4, %eax
	or	$0x620, %eax /* PAE, OSFXSR, OSXMMEXCPT */
	mov	%eax, %cr4
	mov	$table4, %eax
	mov	%eax, %cr3
	mov	$0xc0000080, %ecx
	rdmsr
	or	$0x901, %eax /* NXE, LME, SCE */
	wrmsr
	mov	%cr0, %eax
	or	$0x80010002, %eax /* PG, WP, MP */
	and	$~4, %eax
	mov	%eax, %cr0
	lgdt	gdt_pointer
	ljmp	$8, $start64

	.code64
start64:
	mov	$16, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %ss
	xor	%eax, %eax
	mov	%eax, %fs
	mov	%eax, %gs
	mov	$stack_top, %rsp
	mov	boot_info, %edi
	call	test_main
1:	cli
	hlt
	jmp	1b

	.text
/* Every vector comes here with its number: the frame is struct frame of main.c. */
	.balign	16
	.globl	entries
entries:
	.set	i, 0
	.rept	48
	.if	(i <> 8) && ((i < 10) || (i > 14)) && (i <> 17)
	push	$0 /* those that come without an error code */
	.endif
	push	$i
	jmp	common
	.balign	16
	.set	i, i + 1
	.endr

common:
	push	%rax
	push	%rcx
	push	%rdx
	push	%rsi
	push	%rdi
	push	%r8
	push	%r9
	push	%r10
	push	%r11
	push	%rbx
	push	%rbp
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	testb	$3, 144(%rsp)
	jz	1f
	swapgs
1:	mov	%rsp, %rdi
	cld
	call	trap
	testb	$3, 144(%rsp)
	jz	2f
	swapgs
2:	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbp
	pop	%rbx
	pop	%r11
	pop	%r10
	pop	%r9
	pop	%r8
	pop	%rdi
	pop	%rsi
	pop	%rdx
	pop	%rcx
	pop	%rax
	add	$16, %rsp
	iretq

	.globl	syscall_entry
syscall_entry:
	swapgs
	mov	%rsp, %gs:8
	mov	%gs:0, %rsp
	push	%rcx
	push	%r11
	push	%rbx
	push	%rbp
	mov	%rax, %rdx
	call	user_call
	pop	%rbp
	pop	%rbx
	pop	%r11
	pop	%rcx
	mov	%gs:8, %rsp
	swapgs
	sysretq

/* long go_user(rip, rsp): runs user code until it calls with number 0, whose argument comes back. */
	.globl	go_user
go_user:
	push	%rbx
	push	%rbp
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	pushfq
	mov	%rsp, saved_rsp
	push	$0x1b
	push	%rsi
	push	$0x202
	push	$0x23
	push	%rdi
	swapgs
	iretq

	.globl	leave_user
leave_user:
	mov	%rdi, %rax
	mov	saved_rsp, %rsp
	popfq
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbp
	pop	%rbx
	ret

	.data
	.balign	16
	.globl	gdt
gdt:	.quad	0
	.quad	0x00af9b000000ffff /* 0x08 kernel code */
	.quad	0x00cf93000000ffff /* 0x10 kernel data */
	.quad	0x00cff3000000ffff /* 0x18 user data */
	.quad	0x00affb000000ffff /* 0x20 user code */
	.quad	0, 0               /* 0x28 tss */
gdt_end:
	.globl	gdt_pointer
gdt_pointer:
	.word	gdt_end - gdt - 1
	.quad	gdt

	.bss
	.balign	4096
	.globl	table4, table2
table4:	.skip	4096
table3:	.skip	4096
table2:	.skip	4096
	.skip	16384
	.globl	stack_top
stack_top:
boot_info:
	.skip	8
saved_rsp:
	.skip	8

	.section .note.GNU-stack, "", @progbits
