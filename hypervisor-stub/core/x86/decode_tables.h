/* SPDX-License-Identifier: MIT */
/*
 * What the decoder must know of every opcode of the legacy maps to find the instruction's end.
 * Private to the decoder.
 */
#ifndef HYPERVISOR_STUB_CORE_X86_DECODE_TABLES_H
#define HYPERVISOR_STUB_CORE_X86_DECODE_TABLES_H

#include <stdint.h>

/* The kind of immediate, in the low four bits of an attribute. */
enum x86_imm_kind {
	X86_IMM_NONE,
	X86_IMM_8,
	X86_IMM_Z, /* 2 bytes with operand size 2, else 4 */
	X86_IMM_V, /* as the operand: 2, 4 or 8 */
	X86_IMM_16,
	X86_IMM_ENTER, /* 16 bits and 8 bits */
	X86_IMM_8_8,   /* 8 bits and 8 bits */
	X86_IMM_MOFFS, /* an address of the address size */
	X86_IMM_FAR,   /* offset as X86_IMM_Z, then a selector */
	X86_IMM_GRP3B, /* 8 bits when modrm.reg is 0 or 1 */
	X86_IMM_GRP3Z, /* as X86_IMM_Z when modrm.reg is 0 or 1 */
	X86_IMM_MASK = 0x0f,
};

#define X86_ATTR_MODRM 0x0010u
#define X86_ATTR_REG   0x0020u /* modrm.mod is ignored: always registers */
#define X86_ATTR_BAD   0x0040u /* undefined: #UD */
#define X86_ATTR_NO64  0x0080u /* undefined in 64-bit code */
#define X86_ATTR_D64   0x0100u /* operand size 8 in 64-bit code unless 66 */
#define X86_ATTR_F64   0x0200u /* near branch: operand size 8 in 64-bit code (AMD: unless 66) */
#define X86_ATTR_GRP   0x0400u /* a group with undefined members: see x86_group_is_defined() */

extern const uint16_t x86_attr_one[256];
extern const uint16_t x86_attr_0f[256];

/* Bit n of word n / 64: opcode n of the map is defined in its legacy form. All have a modrm byte. */
extern const uint64_t x86_defined_0f38[4];
extern const uint64_t x86_defined_0f3a[4];

#endif
