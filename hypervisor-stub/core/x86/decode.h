/* SPDX-License-Identifier: MIT */
/*
 * The x86 instruction decoder: bytes in, one struct x86_insn out.
 *
 * Covers 16-, 32- and 64-bit code and every encoding space that an integer, x87, MMX, SSE, AVX,
 * AVX-512, XOP or 3DNow! instruction uses. It never looks at more than fifteen bytes, copies them
 * once before it looks at them (so the source may be memory that somebody else changes), and has a
 * defined result for every byte string.
 *
 * What it does not do: tell a reserved opcode of the VEX, EVEX and XOP maps, or a reserved
 * combination of prefix and SSE or x87 opcode, from a defined one, or check the reserved-field rules
 * of single vector instructions. Such bytes get the length that the map gives; a processor would
 * raise #UD. APX (REX2, EVEX map 4) is refused as invalid.
 *
 * Source: Intel SDM vol. 2, chapter 2 and appendix A; AMD APM vol. 3, appendix A.
 */
#ifndef HYPERVISOR_STUB_CORE_X86_DECODE_H
#define HYPERVISOR_STUB_CORE_X86_DECODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hypervisor-stub/core/x86/regs.h"

#define X86_INSN_MAX 15 /* bytes; a longer instruction is #GP */

/*
 * How code is to be read: the default operand size of its segment, and whose rules hold where the
 * makers differ (AMD honours 66 on near branches of 64-bit code and ignores REX.W on far pointers).
 */
enum x86_mode {
	X86_MODE_16 = 2,
	X86_MODE_32 = 4,
	X86_MODE_64 = 8,
	X86_MODE_AMD = 0x80, /* or'ed in */
};

enum x86_seg {
	X86_SEG_ES,
	X86_SEG_CS,
	X86_SEG_SS,
	X86_SEG_DS,
	X86_SEG_FS,
	X86_SEG_GS,
	X86_SEG_LDTR,
	X86_SEG_TR,
	X86_SEG_NONE,
};

/* General registers by number; in an 8-bit operand without REX, 4 to 7 are AH CH DH BH. */
enum x86_reg {
	X86_RAX,
	X86_RCX,
	X86_RDX,
	X86_RBX,
	X86_RSP,
	X86_RBP,
	X86_RSI,
	X86_RDI,
	X86_R8,
	X86_R9,
	X86_R10,
	X86_R11,
	X86_R12,
	X86_R13,
	X86_R14,
	X86_R15,
	X86_REG_NONE = 0xff,
};

enum x86_encoding { X86_ENC_LEGACY, X86_ENC_VEX, X86_ENC_EVEX, X86_ENC_XOP };

/* Opcode maps, numbered as VEX, EVEX and XOP number them. */
enum x86_map {
	X86_MAP_ONE = 0,   /* one byte */
	X86_MAP_0F = 1,    /* 0f xx */
	X86_MAP_0F38 = 2,  /* 0f 38 xx */
	X86_MAP_0F3A = 3,  /* 0f 3a xx */
	X86_MAP_5 = 5,     /* EVEX only: half-precision */
	X86_MAP_6 = 6,     /* EVEX only: half-precision */
	X86_MAP_XOP8 = 8,  /* XOP only, 8-bit immediate */
	X86_MAP_XOP9 = 9,  /* XOP only, no immediate */
	X86_MAP_XOPA = 10, /* XOP only, 32-bit immediate */
	X86_MAP_3DNOW = 15 /* 0f 0f modrm ... xx; the opcode is the trailing byte */
};

/* Legacy prefixes that were present (insn.prefix). */
#define X86_PFX_LOCK  0x01
#define X86_PFX_REP   0x02 /* f3; the last of f2 and f3 counts */
#define X86_PFX_REPNE 0x04 /* f2 */
#define X86_PFX_66    0x08
#define X86_PFX_67    0x10

/* Bits of insn.rex; for VEX, EVEX and XOP the same bits are filled from their fields. */
#define X86_REX_B       0x01
#define X86_REX_X       0x02
#define X86_REX_R       0x04
#define X86_REX_W       0x08
#define X86_REX_PRESENT 0x40

/* The mandatory prefix, as VEX.pp numbers it. */
enum x86_pp { X86_PP_NONE, X86_PP_66, X86_PP_F3, X86_PP_F2 };

struct x86_insn {
	uint8_t bytes[X86_INSN_MAX]; /* the private copy; valid up to len */
	uint8_t len;

	uint8_t mode; /* X86_MODE_16, _32 or _64, without X86_MODE_AMD */
	bool amd;

	uint8_t prefix;       /* X86_PFX_* */
	uint8_t seg_override; /* enum x86_seg; X86_SEG_NONE when none counts */
	uint8_t rex;          /* X86_REX_* */
	uint8_t pp;           /* enum x86_pp */

	uint8_t encoding; /* enum x86_encoding */
	uint8_t map;      /* enum x86_map */
	uint8_t opcode;
	uint8_t opsize;   /* operand size in bytes: 2, 4 or 8 */
	uint8_t addrsize; /* address size in bytes: 2, 4 or 8 */

	uint8_t vvvv; /* extra register of VEX, EVEX, XOP: 0 to 31 */
	uint8_t vl;   /* vector length: 0 = 128, 1 = 256, 2 = 512 bits, 3 = reserved */
	uint8_t aaa;  /* EVEX: write mask register, 0 for none */
	bool z;       /* EVEX: zeroing instead of merging */
	bool b;       /* EVEX: broadcast, rounding or suppress-exceptions bit */

	bool has_modrm;
	uint8_t modrm;
	uint8_t mod;
	uint8_t reg; /* modrm.reg with its extensions: 0 to 31 */
	uint8_t rm;  /* modrm.rm with its extensions, meaningful for mod 3 */

	bool has_mem; /* the modrm or moffs form names memory */
	bool has_sib;
	uint8_t sib;
	uint8_t seg;   /* segment of the memory operand */
	uint8_t base;  /* enum x86_reg, or X86_REG_NONE */
	uint8_t index; /* enum x86_reg, or X86_REG_NONE */
	uint8_t scale; /* 1, 2, 4, 8 */
	bool rip_relative;
	int64_t disp; /* as encoded, sign-extended; EVEX: see disp8_shift */

	/*
	 * EVEX scales an 8-bit displacement by 1 << disp8_shift. Known for moves of the families
	 * that the emulator does; 0xff: not known, and the effective address must not be used.
	 */
	uint8_t disp8_shift;

	uint64_t
		imm; /* immediate, sign-extended from its encoded size; branch displacement; moffs */
	uint16_t imm2; /* selector of a far pointer; second immediate of enter, extrq, insertq */

	/* Where the variable parts lie in bytes[], for those who rewrite code; lengths 0 if absent. */
	uint8_t opcode_at, modrm_at, disp_at, disp_len, imm_at, imm_len, imm2_len;
};

enum x86_decode_result {
	X86_DECODE_OK,
	X86_DECODE_SHORT,   /* the bytes end inside the instruction, and more may be given */
	X86_DECODE_LONG,    /* more than fifteen bytes: #GP(0) */
	X86_DECODE_INVALID, /* #UD */
};

/*
 * x86_decode - decode the instruction at the beginning of a byte string
 *
 * insn:   out: the instruction; meaningful only when X86_DECODE_OK is returned
 * bytes:  the code; at most X86_INSN_MAX bytes of it are read, each once
 * len:    how many bytes there are
 * mode:   X86_MODE_16, _32 or _64, perhaps with X86_MODE_AMD
 *
 * Context: any.
 * Returns  enum x86_decode_result.
 */
enum x86_decode_result x86_decode(struct x86_insn *insn, const void *bytes, size_t len,
                                  unsigned mode);

/*
 * x86_insn_ea - the effective address (offset in its segment) of the memory operand
 *
 * insn:      a decoded instruction with has_mem set; not a vector gather or scatter
 * regs:      register values
 * next_rip:  address of the byte behind the instruction, for rip-relative operands
 *
 * Returns the offset, wrapped to the address size. No segment base is added.
 */
uint64_t x86_insn_ea(const struct x86_insn *insn, const struct hv_regs *regs, uint64_t next_rip);

/* x86_gpr - where register `number` (0 to 15) lives in the register file. */
uint64_t *x86_gpr(struct hv_regs *regs, unsigned number);
uint64_t x86_gpr_read(const struct hv_regs *regs, unsigned number);

/* What an instruction does to the flow of control. */
enum x86_flow {
	X86_FLOW_NEXT,     /* goes on behind itself */
	X86_FLOW_JCC,      /* to `target` or on */
	X86_FLOW_JMP,      /* to `target` */
	X86_FLOW_CALL,     /* to `target`, and expected back behind itself */
	X86_FLOW_JMP_IND,  /* near, target in a register or in memory */
	X86_FLOW_CALL_IND, /* near, target in a register or in memory */
	X86_FLOW_RET,      /* near return */
	X86_FLOW_FAR,      /* far jump, call or return, iret, sysret, sysexit, rsm */
	X86_FLOW_INT,  /* int n, int3, int1, into, syscall, sysenter, vmcall: back behind itself */
	X86_FLOW_STOP, /* never goes on by itself: ud0, ud1, ud2 */
	X86_FLOW_INVALID,
};

/*
 * x86_insn_flow - classify an instruction for a walk along the control flow
 *
 * insn:    a decoded instruction
 * rip:     its address
 * target:  out, may be NULL: where a relative branch goes (JCC, JMP, CALL), else unchanged
 */
enum x86_flow x86_insn_flow(const struct x86_insn *insn, uint64_t rip, uint64_t *target);

#endif
