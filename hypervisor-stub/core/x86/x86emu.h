/* SPDX-License-Identifier: MIT */
/*
 * The x86 instruction emulator: executes one instruction of a guest on a struct hv_regs, reaching
 * everything outside the register file through callbacks.
 *
 * It is a pure function of registers, code bytes and callbacks: no allocation, no global state, no
 * library beyond memcpy, so any thread may run it and any part of the hypervisor may use it.
 *
 * Promises:
 *  - Registers change only when X86_DONE is returned.
 *  - A repeated string instruction may be done in parts: X86_DONE with X86_RETIRED_PARTIAL means that
 *    some elements are done, the counters say so, and rip still names it. An element that fails
 *    is reported by the call that starts with it.
 *  - A callback with an effect (write, port_out, wrmsr, ...) is called at most once per element,
 *    and after every check that can still fail here.
 *  - LOCK (and xchg with memory) works through the cmpxchg callback only.
 *  - Any byte stream and any register values have a defined result.
 *
 * What it executes: the integer instruction set in 16-, 32- and 64-bit code, segment loads and far
 * transfers, the privileged instructions, and the moves between vector registers and memory.
 * What it does not: x87, MMX and vector arithmetic, gathers; these are X86_UNHANDLED.
 *
 * How to use: fill a struct x86_emu (zeroed first), call x86_emulate(), look at the result.
 */
#ifndef HYPERVISOR_STUB_CORE_X86_X86EMU_H
#define HYPERVISOR_STUB_CORE_X86_X86EMU_H

#include <stdbool.h>
#include <stdint.h>

#include "hypervisor-stub/core/x86/decode.h"
#include "hypervisor-stub/core/x86/regs.h"

enum x86_result {
	X86_DONE,      /* executed; registers updated, see emu.retired */
	X86_FAULT,     /* inject emu.fault; rip names the instruction */
	X86_UNHANDLED, /* not an instruction done here, or the caller did not allow it; no effect */
	X86_RETRY, /* no effect; resume the guest at the same rip (an atomic update kept losing) */
};

/* Exception vectors. */
#define X86_VECTOR_DE 0
#define X86_VECTOR_DB 1
#define X86_VECTOR_BP 3
#define X86_VECTOR_OF 4
#define X86_VECTOR_BR 5
#define X86_VECTOR_UD 6
#define X86_VECTOR_NM 7
#define X86_VECTOR_TS 10
#define X86_VECTOR_NP 11
#define X86_VECTOR_SS 12
#define X86_VECTOR_GP 13
#define X86_VECTOR_PF 14
#define X86_VECTOR_AC 17

struct x86_fault {
	uint8_t vector;
	bool has_error;
	uint32_t error;
	uint64_t cr2; /* #PF only */
};

enum x86_access {
	X86_FETCH,
	X86_READ,
	X86_READ_FOR_WRITE, /* the same bytes will be written: fault as a write would */
	X86_WRITE,
};

/* A segment register with its hidden part. */
struct x86_segment {
	uint16_t selector;
	uint64_t base;
	uint32_t limit; /* last valid byte */
	uint16_t attr;  /* X86_DESC_* */
};

#define X86_DESC_TYPE    0x000fu
#define X86_DESC_CODE    0x0008u /* in the type: code, not data */
#define X86_DESC_DOWN    0x0004u /* data: expands down */
#define X86_DESC_RW      0x0002u /* data: writable; code: readable */
#define X86_DESC_S       0x0010u /* code or data, not a system descriptor */
#define X86_DESC_DPL     0x0060u
#define X86_DESC_PRESENT 0x0080u
#define X86_DESC_L       0x2000u /* 64-bit code */
#define X86_DESC_DB      0x4000u /* 32-bit code or stack */
#define X86_DESC_G       0x8000u

/* Why a code selector is loaded. */
enum x86_transfer { X86_FAR_JMP, X86_FAR_CALL, X86_FAR_RET, X86_FAR_IRET };

/* Instructions with a meaning that only the caller knows; see ops.system. */
enum x86_system {
	X86_SYS_SYSCALL,
	X86_SYS_SYSRET,
	X86_SYS_SYSENTER,
	X86_SYS_SYSEXIT,
	X86_SYS_SWAPGS,
	X86_SYS_INT,     /* int n, int3, int1, into: vector in `arg` */
	X86_SYS_VMCALL,  /* arg: 0 vmcall, 1 vmmcall */
	X86_SYS_MONITOR, /* arg: linear address */
	X86_SYS_MWAIT,
	X86_SYS_INVPCID, /* arg: linear address of the descriptor; type in the register operand */
	X86_SYS_CLAC,
	X86_SYS_STAC,
};

enum x86_table { X86_TABLE_GDT, X86_TABLE_IDT };

/* Vector state. The low `len` bytes of a register are meant. */
enum x86_vec_kind {
	X86_VEC_XMM,  /* 0 to 31, up to 64 bytes */
	X86_VEC_MM,   /* 0 to 7, 8 bytes */
	X86_VEC_MASK, /* AVX-512 k0 to k7, 8 bytes */
};

struct x86_emu;

/*
 * The world around the register file. Each callback returns X86_DONE; or X86_FAULT after filling
 * emu->fault (x86_raise() and its kin do it); or X86_UNHANDLED. On anything but X86_DONE it must
 * have had no effect. A callback that is NULL counts as X86_UNHANDLED, except where noted.
 *
 * `emu->regs` holds the registers as they were before the instruction (for a string instruction: before the
 * element); callbacks may read them, not write.
 */
struct x86_ops {
	/*
	 * Memory at a linear address; len is 1 to 64 bytes and may cross pages: both pages are
	 * checked before anything is written. The address range is canonical.
	 */
	enum x86_result (*read)(struct x86_emu *emu, enum x86_access kind, uint64_t addr, void *buf,
	                        unsigned len);
	enum x86_result (*write)(struct x86_emu *emu, uint64_t addr, const void *buf, unsigned len);
	/*
	 * If memory equals *old, replace it by *new, in one atomic step; len 1, 2, 4, 8 or 16.
	 * Otherwise put what is there into *old and return X86_RETRY.
	 */
	enum x86_result (*cmpxchg)(struct x86_emu *emu, uint64_t addr, void *old, const void *new,
	                           unsigned len);

	/*
	 * Segments. get_segment gives the current hidden part; NULL means flat segments in
	 * protected mode, and selector * 16 with X86_EMU_REAL. In 64-bit code it is asked for LDTR
	 * and TR only. Outside 64-bit code CS's limit and base hold for the fetch, too. load_segment checks a selector for the given register (by fault or DONE)
	 * and gives what to load; the caller learns of the load by `loaded` bits and `segment` in emu after
	 * X86_DONE. load_code does the same for CS; it may change *selector (its RPL, say).
	 */
	enum x86_result (*get_segment)(struct x86_emu *emu, enum x86_seg seg,
	                               struct x86_segment *out);
	enum x86_result (*load_segment)(struct x86_emu *emu, enum x86_seg seg, uint16_t selector,
	                                struct x86_segment *out);
	enum x86_result (*load_code)(struct x86_emu *emu, enum x86_transfer kind, uint16_t selector,
	                             struct x86_segment *out);

	/* Privileged state. Called only where the current privilege allows it. */
	enum x86_result (*read_cr)(struct x86_emu *emu, unsigned cr, uint64_t *value);
	enum x86_result (*write_cr)(struct x86_emu *emu, unsigned cr, uint64_t value);
	enum x86_result (*read_dr)(struct x86_emu *emu, unsigned dr, uint64_t *value);
	enum x86_result (*write_dr)(struct x86_emu *emu, unsigned dr, uint64_t value);
	enum x86_result (*rdmsr)(struct x86_emu *emu, uint32_t index, uint64_t *value);
	enum x86_result (*wrmsr)(struct x86_emu *emu, uint32_t index, uint64_t value);
	enum x86_result (*invlpg)(struct x86_emu *emu, uint64_t addr);
	enum x86_result (*wbinvd)(struct x86_emu *emu, bool discard /* invd */);
	enum x86_result (*hlt)(struct x86_emu *emu);
	enum x86_result (*xsetbv)(struct x86_emu *emu, uint32_t index, uint64_t value);
	enum x86_result (*read_table)(struct x86_emu *emu, enum x86_table which, uint64_t *base,
	                              uint16_t *limit);
	enum x86_result (*write_table)(struct x86_emu *emu, enum x86_table which, uint64_t base,
	                               uint16_t limit);

	/* State that user code may reach; the callback checks CR4.TSD, CR4.PCE and the like. */
	enum x86_result (*cpuid)(struct x86_emu *emu, uint32_t leaf, uint32_t subleaf,
	                         uint32_t out[4] /* eax ebx ecx edx */);
	enum x86_result (*rdtsc)(struct x86_emu *emu, uint64_t *value);
	enum x86_result (*tsc_aux)(struct x86_emu *emu, uint32_t *value);
	enum x86_result (*rdpmc)(struct x86_emu *emu, uint32_t index, uint64_t *value);
	enum x86_result (*xgetbv)(struct x86_emu *emu, uint32_t index, uint64_t *value);

	/* Ports. The callback checks IOPL and the permission bitmap; len is 1, 2 or 4 bytes. */
	enum x86_result (*port_in)(struct x86_emu *emu, uint16_t port, unsigned len,
	                           uint32_t *value);
	enum x86_result (*port_out)(struct x86_emu *emu, uint16_t port, unsigned len,
	                            uint32_t value);

	/*
	 * cli and sti. NULL: the architecture's rule, IF in rflags changes when cpl <= IOPL, else
	 * #GP(0). Otherwise the callback decides, and rflags.IF is left alone.
	 */
	enum x86_result (*set_interrupts)(struct x86_emu *emu, bool enable);

	/*
	 * The rest of the system. `regs` is the working copy, with rip already behind the
	 * instruction; the callback does the whole transfer on it.
	 */
	enum x86_result (*system)(struct x86_emu *emu, enum x86_system which, uint64_t arg,
	                          struct hv_regs *regs);

	/*
	 * Vector registers. get fills all `len` bytes asked for; set with zero_upper clears the
	 * register above len (VEX and EVEX), otherwise keeps it (legacy SSE).
	 */
	enum x86_result (*get_vec)(struct x86_emu *emu, enum x86_vec_kind kind, unsigned nr,
	                           void *buf, unsigned len);
	enum x86_result (*set_vec)(struct x86_emu *emu, enum x86_vec_kind kind, unsigned nr,
	                           const void *buf, unsigned len, bool zero_upper);
};

/* Families of instructions, for emu.allow: what is not allowed is X86_UNHANDLED. */
#define X86_ALLOW_DATA   0x01u /* moves, arithmetic, string and bit instructions */
#define X86_ALLOW_VECTOR 0x02u /* moves of vector registers */
#define X86_ALLOW_BRANCH 0x04u /* near branches */
#define X86_ALLOW_SEG    0x08u /* segment loads, far branches, iret */
#define X86_ALLOW_PRIV   0x10u /* privileged and system-state instructions, cpuid, rdtsc, ... */
#define X86_ALLOW_IO     0x20u /* in, out, ins, outs */
#define X86_ALLOW_TRAP   0x40u /* int n, syscall and the others that go through ops.system */
#define X86_ALLOW_ALL    0x7fu

/* emu.flags */
#define X86_EMU_KERNEL 0x01u /* privileged instructions are allowed, GS base is gs_base_kernel */
#define X86_EMU_REAL   0x02u /* real mode (mode is X86_MODE_16 or, unusually, _32) */
#define X86_EMU_UMIP   0x04u /* sgdt, sidt, sldt, str, smsw need X86_EMU_KERNEL */

/* emu.retired: what the finished instruction means for what comes next. */
#define X86_RETIRED_TRAP    0x01u /* single-step trap due (TF was set): raise #DB with DR6.BS */
#define X86_RETIRED_MOV_SS  0x02u /* no interrupt before the next instruction has finished */
#define X86_RETIRED_STI     0x04u /* likewise, after sti or set_interrupts(true) */
#define X86_RETIRED_HLT     0x08u /* hlt was executed */
#define X86_RETIRED_PARTIAL 0x10u /* a repeated string instruction has iterations left */

struct x86_emu {
	/* in */
	struct hv_regs *regs;
	const struct x86_ops *ops;
	void *opaque;      /* the callbacks' own */
	unsigned mode;     /* X86_MODE_*: of the code segment; perhaps with X86_MODE_AMD */
	unsigned cpl;      /* as the hardware sees it: 3 for a PV guest, kernel or not */
	uint32_t flags;    /* X86_EMU_* */
	uint32_t allow;    /* X86_ALLOW_* */
	uint32_t max_reps; /* iterations of a string instruction per call; 0: 4096 */

	/* out */
	struct x86_insn insn;   /* what was decoded; len 0 if it came not so far */
	struct x86_fault fault; /* with X86_FAULT */
	uint32_t retired;       /* with X86_DONE: X86_RETIRED_* */
	uint32_t loaded; /* with X86_DONE: bit n: segment register n (enum x86_seg) was loaded */
	struct x86_segment segment[8]; /* and from what: valid where the bit is set */
};

/*
 * x86_emulate - fetch, decode and execute the instruction at regs->rip
 *
 * emu:  filled by the caller up to the `out` part
 *
 * Fetch faults, #UD for undefined opcodes and #GP for over-long instructions come back as X86_FAULT
 * like any other.
 *
 * Context: any; calls nothing but emu->ops.
 * Returns  enum x86_result.
 */
enum x86_result x86_emulate(struct x86_emu *emu);

/*
 * x86_fetch - the first half of it: fetch and decode into emu->insn without executing
 *
 * For callers that look at the instruction before they decide.
 *
 * Returns  X86_DONE with emu->insn filled, or X86_FAULT.
 */
enum x86_result x86_fetch(struct x86_emu *emu);

/* x86_execute - the second half: execute emu->insn, as filled by x86_fetch() or x86_decode(). */
enum x86_result x86_execute(struct x86_emu *emu);

/*
 * x86_emulate_forced - execute an instruction behind Xen's forced-emulation prefix
 *
 * emu:  as for x86_emulate(); rip names the prefix, the five bytes 0f 0b 78 65 6e
 * any:  true: any instruction that emu->allow allows; false: cpuid only
 *
 * Context: after #UD.
 * Returns  as x86_emulate(); X86_UNHANDLED when the prefix is not there or is followed by something
 *          not wanted (the caller bounces the #UD).
 * Source:  Xen public/arch-x86/xen.h, XEN_EMULATE_PREFIX.
 */
enum x86_result x86_emulate_forced(struct x86_emu *emu, bool any);

/* For callbacks and callers: fill emu->fault and return X86_FAULT. */
enum x86_result x86_raise(struct x86_emu *emu, unsigned vector);
enum x86_result x86_raise_error(struct x86_emu *emu, unsigned vector, uint32_t error);
enum x86_result x86_raise_page_fault(struct x86_emu *emu, uint64_t cr2, uint32_t error);

/* x86_is_canonical - are bits 63 to 47 of a linear address all alike? */
static inline bool x86_is_canonical(uint64_t addr)
{
	return (uint64_t)((int64_t)(addr << 16) >> 16) == addr;
}

#endif
