/* SPDX-License-Identifier: MIT */
/*
 * The privileged instructions that the native side uses, in one place; docs/porting.md lists them.
 * Whoever adds one adds it there: who runs this kernel by trapping and emulating wants to know.
 *
 * Besides these: cli, sti, hlt, pushf, invlpg and the moves to cr3 and from cr2 in patch_native.S; in
 * and out in io.h; swapgs, iretq, sysretq, rdmsr in entry.S; head.S for the start.
 */
#ifndef PVOPS_NATIVE_CPU_H
#define PVOPS_NATIVE_CPU_H

#define MSR_EFER           0xc0000080
#define MSR_STAR           0xc0000081
#define MSR_LSTAR          0xc0000082
#define MSR_SFMASK         0xc0000084
#define MSR_FS_BASE        0xc0000100
#define MSR_GS_BASE        0xc0000101
#define MSR_KERNEL_GS_BASE 0xc0000102

#define CR0_PE             0x00000001
#define CR0_MP             0x00000002
#define CR0_NE             0x00000020
#define CR0_WP             0x00010000
#define CR0_AM             0x00040000
#define CR0_PG             0x80000000
#define CR4_PAE            0x00020
#define CR4_PGE            0x00080
#define CR4_OSFXSR         0x00200
#define CR4_OSXMMEXCPT     0x00400
#define CR4_OSXSAVE        0x40000
#define EFER_SCE           0x001
#define EFER_LME           0x100
#define EFER_NXE           0x800

/* Selectors of the kernel's: a system call loads the first and, 8 higher, the second. */
#define NATIVE_CS  0xe008
#define NATIVE_SS  0xe010
#define NATIVE_TSS 0xe040

/* Offset of the stack for entries from user mode in a 64-bit TSS. */
#define TSS_RSP0 4

#ifndef __ASSEMBLY__

#include <stdint.h>

static inline void native_write_msr(uint32_t msr, uint64_t value)
{
	__asm__ volatile("wrmsr"
	                 :
	                 : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
	                 : "memory");
}

static inline void native_load_root(uint64_t physical)
{
	__asm__ volatile("mov %0, %%cr3" : : "r"(physical) : "memory");
}

static inline uint64_t native_root(void)
{
	uint64_t value;

	__asm__ volatile("mov %%cr3, %0" : "=r"(value));
	return value;
}

static inline void native_flush_page(uint64_t va)
{
	__asm__ volatile("invlpg (%0)" : : "r"(va) : "memory");
}

static inline void native_set_cr4_bits(uint64_t bits)
{
	uint64_t value;

	__asm__ volatile("mov %%cr4, %0" : "=r"(value));
	__asm__ volatile("mov %0, %%cr4" : : "r"(value | bits) : "memory");
}

static inline void native_set_xcr0_register(uint64_t mask)
{
	__asm__ volatile("xsetbv"
	                 :
	                 : "c"(0), "a"((uint32_t)mask), "d"((uint32_t)(mask >> 32))
	                 : "memory");
}

#endif /* __ASSEMBLY__ */

#endif /* PVOPS_NATIVE_CPU_H */
