/* SPDX-License-Identifier: MIT */
/*
 * The integer registers of a vCPU, in the order that the exit paths of the engines store them.
 * The order is a contract with assembly: offsets are used there.
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
	uint64_t gs_base_kernel; /* in use while the guest kernel runs */
	uint64_t gs_base_user;   /* in use while guest user code runs */
};

#endif
