/* SPDX-License-Identifier: MIT */
/*
 * The tables that the processor reads: descriptors, task state, interrupt gates, the registers of the
 * system call instruction.
 *
 * The rows of the descriptor table have the numbers that they have under Xen, where the hypervisor
 * keeps the last two of sixteen pages for itself. So a program finds the same selectors in its
 * registers, and a kernel fills the same ones into frames. The rows before are null.
 *
 * Invariant: kernel_stack of the running context stands in the task state, where the processor
 * finds it at interrupts, and entry.S at system calls.
 */
#include "abi/arch_x86_64.h"
#include "pvops/native/cpu.h"
#include "pvops/native/internal.h"
#include "pvops/native/pic.h"
#include "pvops/pvguest.h"

#define STACK_PAGES 2 /* of an entry that has its own */
#define NR_STACKS   4 /* entry.S: IST 1 to 4 */
#define GDT_BYTES   (NATIVE_TSS + 16)
#define IDT_ROWS    48

#define ROW_CODE64  0x00af9b000000ffffull
#define ROW_DATA    0x00cf93000000ffffull
#define ROW_USER    0x0000600000000000ull /* ring 3, added to one of the others */
#define ROW_CODE32  0x00cf9b000000ffffull
#define ROW_TSS     0x0000890000000000ull

/* Intel SDM vol. 3, "64-Bit Task State Segment". */
struct tss {
	uint32_t reserved0;
	uint64_t rsp[3];
	uint64_t reserved1;
	uint64_t ist[7];
	uint64_t reserved2;
	uint16_t reserved3, io_map;
} __attribute__((packed));

_Static_assert(offsetof(struct tss, rsp) == TSS_RSP0, "as entry.S has it");
_Static_assert(sizeof(struct tss) == 104, "task state");

struct gate {
	uint16_t offset_low, selector;
	uint8_t ist, type;
	uint16_t offset_middle;
	uint32_t offset_high, reserved;
};

struct table_pointer {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

/* A row of entry.S's list; ended by a row whose address is 0. */
struct entry_row {
	uint64_t address;
	uint8_t vector, ist, ring, zero;
	uint32_t zero2;
};

extern struct tss pv_native_tss;
extern uint64_t pv_native_gs_base;

struct tss pv_native_tss;

void pv_native_set_kernel_stack(void *top)
{
	pv_native_tss.rsp[0] = (uintptr_t)top;
}

#ifndef PV_HOSTED_TEST

extern const struct entry_row pv_native_entries[];
extern char pv_native_syscall[];

static struct gate idt[IDT_ROWS] __attribute__((aligned(16)));

static void make_gdt(void)
{
	uint64_t *gdt = pv_native_block((GDT_BYTES + PV_PAGE_SIZE - 1) / PV_PAGE_SIZE);
	uint64_t tss = (uintptr_t)&pv_native_tss;
	struct table_pointer pointer = { .limit = GDT_BYTES - 1, .base = (uintptr_t)gdt };

	gdt[NATIVE_CS / 8] = ROW_CODE64;
	gdt[NATIVE_SS / 8] = ROW_DATA;
	gdt[FLAT_USER_CS32 / 8] = ROW_CODE32 | ROW_USER;
	gdt[FLAT_USER_SS / 8] = ROW_DATA | ROW_USER;
	gdt[FLAT_USER_CS / 8] = ROW_CODE64 | ROW_USER;
	gdt[NATIVE_TSS / 8] = ROW_TSS | (sizeof(struct tss) - 1) | (tss & 0xffffff) << 16 |
	                      (tss >> 24 & 0xff) << 56;
	gdt[NATIVE_TSS / 8 + 1] = tss >> 32;
	__asm__ volatile("lgdt %0\n"
	                 "pushq %1\n"
	                 "lea 1f(%%rip), %%rax\n"
	                 "push %%rax\n"
	                 "lretq\n"
	                 "1: mov %2, %%ss\n"
	                 "ltr %w3\n"
	                 "lldt %w4\n" /* none: what it is at the start is not defined */
	                 :
	                 : "m"(pointer), "i"(NATIVE_CS), "r"(NATIVE_SS), "r"(NATIVE_TSS), "r"(0)
	                 : "rax", "memory");
}

static void make_idt(void)
{
	struct table_pointer pointer = { .limit = sizeof(idt) - 1, .base = (uintptr_t)idt };
	const struct entry_row *row;

	for (row = pv_native_entries; row->address; row++)
		idt[row->vector] = (struct gate){
			.offset_low = (uint16_t)row->address,
			.offset_middle = (uint16_t)(row->address >> 16),
			.offset_high = (uint32_t)(row->address >> 32),
			.selector = NATIVE_CS,
			.ist = row->ist,
			.type = (uint8_t)(0x8e | row->ring << 5), /* interrupts off on entry */
		};
	__asm__ volatile("lidt %0" : : "m"(pointer) : "memory");
}

void pv_native_tables_init(void)
{
	unsigned int i;

	for (i = 0; i < NR_STACKS; i++)
		pv_native_tss.ist[i] = (uintptr_t)pv_native_block(STACK_PAGES) +
		                       STACK_PAGES * PV_PAGE_SIZE;
	pv_native_tss.io_map = sizeof(struct tss); /* no port for user mode */
	make_gdt();
	make_idt();
	/* sysret loads SS from 8 and CS from 16 above the upper one. */
	native_write_msr(MSR_STAR, (uint64_t)(FLAT_USER_CS - 16) << 48 | (uint64_t)NATIVE_CS << 32);
	native_write_msr(MSR_LSTAR, (uintptr_t)pv_native_syscall);
	native_write_msr(MSR_SFMASK, PV_RFLAGS_TF | PV_RFLAGS_IF | PV_RFLAGS_DF | PV_RFLAGS_AC |
	                                     PV_RFLAGS_NT | PV_RFLAGS_IOPL);
}

#endif /* PV_HOSTED_TEST */
