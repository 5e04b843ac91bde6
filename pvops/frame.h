/* SPDX-License-Identifier: MIT */
/*
 * The frame that the entry code leaves on the kernel's stack for every trap, event and system
 * call, and the vectors that tell them apart. Usable from assembly.
 *
 * Invariant: one layout for all causes. From r15 on it has the order of struct cpu_user_regs, so the
 * upper five slots are exactly what the hypervisor (or, natively, the processor) pushed.
 */
#ifndef PVOPS_FRAME_H
#define PVOPS_FRAME_H

#define PV_FRAME_RET_SP 0
#define PV_FRAME_FP     8
#define PV_FRAME_KERNEL 16
#define PV_FRAME_R15    24
#define PV_FRAME_R14    32
#define PV_FRAME_R13    40
#define PV_FRAME_R12    48
#define PV_FRAME_RBP    56
#define PV_FRAME_RBX    64
#define PV_FRAME_R11    72
#define PV_FRAME_R10    80
#define PV_FRAME_R9     88
#define PV_FRAME_R8     96
#define PV_FRAME_RAX    104
#define PV_FRAME_RCX    112
#define PV_FRAME_RDX    120
#define PV_FRAME_RSI    128
#define PV_FRAME_RDI    136
#define PV_FRAME_ERROR  144
#define PV_FRAME_VECTOR 148
#define PV_FRAME_RIP    152
#define PV_FRAME_CS     160
#define PV_FRAME_RFLAGS 168
#define PV_FRAME_RSP    176
#define PV_FRAME_SS     184
#define PV_FRAME_SIZE   192

/* Vectors 0 to 31 are the processor's. The others never appear in an error code or a trap table. */
#define PV_VECTOR_DE       0
#define PV_VECTOR_DB       1
#define PV_VECTOR_NMI      2
#define PV_VECTOR_BP       3
#define PV_VECTOR_OF       4
#define PV_VECTOR_BR       5
#define PV_VECTOR_UD       6
#define PV_VECTOR_NM       7
#define PV_VECTOR_DF       8
#define PV_VECTOR_TS       10
#define PV_VECTOR_NP       11
#define PV_VECTOR_SS       12
#define PV_VECTOR_GP       13
#define PV_VECTOR_PF       14
#define PV_VECTOR_MF       16
#define PV_VECTOR_AC       17
#define PV_VECTOR_MC       18
#define PV_VECTOR_XM       19
#define PV_VECTOR_CP       21
#define PV_VECTOR_EVENT    32 /* the hypervisor's upcall: look at the event channels */
#define PV_VECTOR_FAILSAFE 33 /* a segment register could not be loaded on the way back */
#define PV_VECTOR_SYSCALL  34 /* a user program's syscall instruction */
#define PV_NR_VECTORS      35

/* Bits of rflags. */
#define PV_RFLAGS_CF   0x00000001
#define PV_RFLAGS_TF   0x00000100
#define PV_RFLAGS_IF   0x00000200
#define PV_RFLAGS_DF   0x00000400
#define PV_RFLAGS_OF   0x00000800
#define PV_RFLAGS_IOPL 0x00003000
#define PV_RFLAGS_NT   0x00004000
#define PV_RFLAGS_RF   0x00010000
#define PV_RFLAGS_AC   0x00040000

/* Bits of the error code of #PF. */
#define PV_PF_PRESENT 0x01
#define PV_PF_WRITE   0x02
#define PV_PF_USER    0x04
#define PV_PF_RSVD    0x08
#define PV_PF_FETCH   0x10

#ifndef __ASSEMBLY__

#include <stddef.h>
#include <stdint.h>

/*
 * A handler may change any register of the interrupted code here, from r15 on. `kernel` is free for
 * the kernel's use and 0 on entry.
 */
struct pv_frame {
	union {
		uint64_t cr2;    /* the address of a #PF, while its handler runs */
		uint64_t ret_sp; /* the return path's: where rflags and rip wait for popf, ret */
	};
	uint64_t fp; /* the entry code's: address of the saved floating-point state, or 0 */
	uint64_t kernel;
	uint64_t r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
	uint32_t error_code; /* 0 when the vector has none */
	uint32_t vector;     /* PV_VECTOR_* */
	uint64_t rip;
	uint16_t cs; /* RPL 3: user mode was interrupted */
	uint16_t pad0;
	uint8_t saved_upcall_mask; /* event mask of the interrupted code, as the hypervisor saw it */
	uint8_t pad1[3];
	uint64_t rflags; /* IF set: events were enabled, and will be again on return */
	uint64_t rsp;
	uint64_t ss;
};

_Static_assert(sizeof(struct pv_frame) == PV_FRAME_SIZE, "frame size");
_Static_assert(PV_FRAME_SIZE % 16 == 0, "the stack stays aligned under a frame");
_Static_assert(offsetof(struct pv_frame, r15) == PV_FRAME_R15, "frame r15");
_Static_assert(offsetof(struct pv_frame, rbp) == PV_FRAME_RBP, "frame rbp");
_Static_assert(offsetof(struct pv_frame, rax) == PV_FRAME_RAX, "frame rax");
_Static_assert(offsetof(struct pv_frame, rdi) == PV_FRAME_RDI, "frame rdi");
_Static_assert(offsetof(struct pv_frame, error_code) == PV_FRAME_ERROR, "frame error code");
_Static_assert(offsetof(struct pv_frame, vector) == PV_FRAME_VECTOR, "frame vector");
_Static_assert(offsetof(struct pv_frame, rip) == PV_FRAME_RIP, "frame rip");
_Static_assert(offsetof(struct pv_frame, cs) == PV_FRAME_CS, "frame cs");
_Static_assert(offsetof(struct pv_frame, rflags) == PV_FRAME_RFLAGS, "frame rflags");
_Static_assert(offsetof(struct pv_frame, rsp) == PV_FRAME_RSP, "frame rsp");
_Static_assert(offsetof(struct pv_frame, ss) == PV_FRAME_SS, "frame ss");

static inline int pv_frame_from_user(const struct pv_frame *f)
{
	return (f->cs & 3) == 3;
}

#endif /* __ASSEMBLY__ */

#endif /* PVOPS_FRAME_H */
