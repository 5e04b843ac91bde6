/* SPDX-License-Identifier: MIT */
/*
 * The integer registers of a vCPU, in the order that the exit paths of the engines store them.
 * The order is a contract with assembly: offsets are used there.
 *
 * The structure may lie in a page that a guest process can write, and is then copied before it is used.
 */
#ifndef HYPERVISOR_STUB_CORE_X86_REGS_H
#define HYPERVISOR_STUB_CORE_X86_REGS_H

#include <stdint.h>

struct hv_regs {
	uint64_t r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
	uint64_t rip, rflags, rsp;
	uint16_t cs, ss, ds, es, fs, gs;
	uint32_t pad;
	uint64_t fs_base;
	uint64_t gs_base_kernel; /* GS base in use while the vCPU is in its guest kernel */
	uint64_t gs_base_user;   /* GS base in use while it is in guest user mode */
};

/* Bits of rflags. */
#define X86_FLAG_CF   0x00000001u
#define X86_FLAG_ONE  0x00000002u /* always set */
#define X86_FLAG_PF   0x00000004u
#define X86_FLAG_AF   0x00000010u
#define X86_FLAG_ZF   0x00000040u
#define X86_FLAG_SF   0x00000080u
#define X86_FLAG_TF   0x00000100u
#define X86_FLAG_IF   0x00000200u
#define X86_FLAG_DF   0x00000400u
#define X86_FLAG_OF   0x00000800u
#define X86_FLAG_IOPL 0x00003000u
#define X86_FLAG_NT   0x00004000u
#define X86_FLAG_RF   0x00010000u
#define X86_FLAG_VM   0x00020000u
#define X86_FLAG_AC   0x00040000u
#define X86_FLAG_VIF  0x00080000u
#define X86_FLAG_VIP  0x00100000u
#define X86_FLAG_ID   0x00200000u

#define X86_FLAGS_ARITH \
	(X86_FLAG_CF | X86_FLAG_PF | X86_FLAG_AF | X86_FLAG_ZF | X86_FLAG_SF | X86_FLAG_OF)

#endif
