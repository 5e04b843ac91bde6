/* SPDX-License-Identifier: MIT */
/*
 * How each opcode is executed: one row per opcode of the one-byte and the 0f map, and the groups.
 * An opcode without a row is not done here.
 */
#include <stddef.h>

#include "hypervisor-stub/core/x86/emulate.h"

/* clang-format off */
#define E X86_O_E
#define M X86_O_M
#define G X86_O_G
#define A X86_O_A
#define R X86_O_R
#define I X86_O_I
#define O X86_O_O
#define C X86_O_C
#define ONE X86_O_1
#define NONE X86_O_NONE

#define B    X86_R_BYTE
#define RD   X86_R_READ
#define WR   X86_R_WRITE
#define RW   X86_R_RW
#define LK   X86_R_LOCK
#define MEM  X86_R_MEM
#define REG  X86_R_REG
#define LAZY X86_R_LAZY
#define KERN X86_R_KERNEL

#define ROW(fn, dst, src, allow, flags) { x86_do_##fn, (dst), (src), X86_ALLOW_##allow, (flags), NULL }
#define DATA(fn, dst, src, flags)       ROW(fn, dst, src, DATA, flags)
#define SELF(fn, allow, flags)          ROW(fn, NONE, NONE, allow, LAZY | (flags))
#define GROUP(table)                    { NULL, 0, 0, 0, 0, table }

/* The six forms of add, or, adc, sbb, and, sub, xor; cmp writes nothing and takes no LOCK. */
#define ARITH(op, fn, flags, lock)                                                       \
	[(op)] = DATA(fn, E, G, B | (flags) | (lock)), [(op) + 1] = DATA(fn, E, G, (flags) | (lock)), \
	[(op) + 2] = DATA(fn, G, E, B | (flags)), [(op) + 3] = DATA(fn, G, E, (flags)),  \
	[(op) + 4] = DATA(fn, A, I, B | (flags)), [(op) + 5] = DATA(fn, A, I, (flags))

#define ARITH_GROUP(size)                                                                \
	{                                                                                \
		DATA(add, E, I, (size) | RW | LK), DATA(or, E, I, (size) | RW | LK),     \
		DATA(adc, E, I, (size) | RW | LK), DATA(sbb, E, I, (size) | RW | LK),    \
		DATA(and, E, I, (size) | RW | LK), DATA(sub, E, I, (size) | RW | LK),    \
		DATA(xor, E, I, (size) | RW | LK), DATA(cmp, E, I, (size) | RD),         \
	}

static const struct x86_row group_arith_byte[8] = ARITH_GROUP(B);
static const struct x86_row group_arith[8] = ARITH_GROUP(0);

#define UNARY_GROUP(size)                                                                \
	{                                                                                \
		DATA(test, E, I, (size) | RD), DATA(test, E, I, (size) | RD),            \
		DATA(not, E, NONE, (size) | RW | LK), DATA(neg, E, NONE, (size) | RW | LK), \
		DATA(mul, NONE, E, (size)), DATA(imul1, NONE, E, (size)),                \
		DATA(div, NONE, E, (size)), DATA(idiv, NONE, E, (size)),                 \
	}

static const struct x86_row group_unary_byte[8] = UNARY_GROUP(B);
static const struct x86_row group_unary[8] = UNARY_GROUP(0);

static const struct x86_row group_fe[8] = {
	DATA(inc, E, NONE, B | RW | LK), DATA(dec, E, NONE, B | RW | LK),
};

static const struct x86_row group_ff[8] = {
	DATA(inc, E, NONE, RW | LK), DATA(dec, E, NONE, RW | LK),
	ROW(call_ind, E, NONE, BRANCH, RD), SELF(jmp_far_mem, SEG, MEM),
	ROW(jmp_ind, E, NONE, BRANCH, RD), SELF(jmp_far_mem, SEG, MEM),
	DATA(push, NONE, E, 0),
};

static const struct x86_row group_8f[8] = { SELF(pop_rm, DATA, 0) };
static const struct x86_row group_c6[8] = { DATA(mov, E, I, B | WR) };
static const struct x86_row group_c7[8] = { DATA(mov, E, I, WR) };

static const struct x86_row group_bt[8] = {
	[4] = DATA(bt, E, I, RD), DATA(bts, E, I, RW | LK),
	DATA(btr, E, I, RW | LK), DATA(btc, E, I, RW | LK),
};

const struct x86_row x86_rows_one[256] = {
	ARITH(0x00, add, RW, LK), [0x06] = SELF(push_sreg, DATA, 0), [0x07] = SELF(pop_sreg, SEG, 0),
	ARITH(0x08, or, RW, LK), [0x0e] = SELF(push_sreg, DATA, 0),
	ARITH(0x10, adc, RW, LK), [0x16] = SELF(push_sreg, DATA, 0), [0x17] = SELF(pop_sreg, SEG, 0),
	ARITH(0x18, sbb, RW, LK), [0x1e] = SELF(push_sreg, DATA, 0), [0x1f] = SELF(pop_sreg, SEG, 0),
	ARITH(0x20, and, RW, LK), [0x27] = SELF(bcd, DATA, 0),
	ARITH(0x28, sub, RW, LK), [0x2f] = SELF(bcd, DATA, 0),
	ARITH(0x30, xor, RW, LK), [0x37] = SELF(bcd, DATA, 0),
	ARITH(0x38, cmp, RD, 0), [0x3f] = SELF(bcd, DATA, 0),
	[0x40 ... 0x47] = DATA(inc, R, NONE, RW), [0x48 ... 0x4f] = DATA(dec, R, NONE, RW),
	[0x50 ... 0x57] = DATA(push, NONE, R, 0), [0x58 ... 0x5f] = DATA(pop, R, NONE, WR),
	[0x60] = SELF(pusha, DATA, 0), [0x61] = SELF(popa, DATA, 0), [0x62] = SELF(bound, DATA, MEM),
	[0x63] = DATA(movsx, G, E, WR | X86_R_SRC32), /* arpl outside 64-bit code: see x86_row_of() */
	[0x68] = DATA(push, NONE, I, 0), [0x69] = DATA(imul3, G, E, WR),
	[0x6a] = DATA(push, NONE, I, 0), [0x6b] = DATA(imul3, G, E, WR),
	[0x6c ... 0x6d] = SELF(ins, IO, 0), [0x6e ... 0x6f] = SELF(outs, IO, 0),
	[0x70 ... 0x7f] = SELF(jcc, BRANCH, 0),
	[0x80] = GROUP(group_arith_byte), [0x81] = GROUP(group_arith),
	[0x82] = GROUP(group_arith_byte), [0x83] = GROUP(group_arith),
	[0x84] = DATA(test, E, G, B | RD), [0x85] = DATA(test, E, G, RD),
	[0x86] = DATA(xchg, E, G, B | RW | LK | X86_R_XLOCK), [0x87] = DATA(xchg, E, G, RW | LK | X86_R_XLOCK),
	[0x88] = DATA(mov, E, G, B | WR), [0x89] = DATA(mov, E, G, WR),
	[0x8a] = DATA(mov, G, E, B | WR), [0x8b] = DATA(mov, G, E, WR),
	[0x8c] = DATA(mov_from_sreg, E, NONE, WR | X86_R_DST16), [0x8d] = DATA(lea, G, M, WR | MEM),
	[0x8e] = ROW(mov_to_sreg, NONE, E, SEG, X86_R_SRC16), [0x8f] = GROUP(group_8f),
	[0x90] = DATA(xchg, R, A, RW), /* nop and pause: see x86_row_of() */
	[0x91 ... 0x97] = DATA(xchg, R, A, RW),
	[0x98] = SELF(cbw, DATA, 0), [0x99] = SELF(cwd, DATA, 0), [0x9a] = SELF(jmp_far, SEG, 0),
	[0x9c] = SELF(pushf, DATA, 0), [0x9d] = SELF(popf, DATA, 0),
	[0x9e] = SELF(sahf, DATA, 0), [0x9f] = SELF(lahf, DATA, 0),
	[0xa0] = DATA(mov, A, O, B | WR), [0xa1] = DATA(mov, A, O, WR),
	[0xa2] = DATA(mov, O, A, B | WR), [0xa3] = DATA(mov, O, A, WR),
	[0xa4 ... 0xa5] = SELF(movs, DATA, 0), [0xa6 ... 0xa7] = SELF(cmps, DATA, 0),
	[0xa8] = DATA(test, A, I, B | RD), [0xa9] = DATA(test, A, I, RD),
	[0xaa ... 0xab] = SELF(stos, DATA, 0), [0xac ... 0xad] = SELF(lods, DATA, 0),
	[0xae ... 0xaf] = SELF(scas, DATA, 0),
	[0xb0 ... 0xb7] = DATA(mov, R, I, B | WR), [0xb8 ... 0xbf] = DATA(mov, R, I, WR),
	[0xc0] = DATA(shift, E, I, B | RW | X86_R_SRC8), [0xc1] = DATA(shift, E, I, RW | X86_R_SRC8),
	[0xc2 ... 0xc3] = SELF(ret, BRANCH, 0),
	[0xc4 ... 0xc5] = SELF(load_far, SEG, MEM),
	[0xc6] = GROUP(group_c6), [0xc7] = GROUP(group_c7),
	[0xc8] = SELF(enter, DATA, 0), [0xc9] = SELF(leave, DATA, 0),
	[0xca ... 0xcb] = SELF(retf, SEG, 0),
	[0xcc ... 0xcd] = SELF(int, TRAP, 0), [0xce] = SELF(into, TRAP, 0), [0xcf] = SELF(iret, SEG, 0),
	[0xd0] = DATA(shift, E, ONE, B | RW), [0xd1] = DATA(shift, E, ONE, RW),
	[0xd2] = DATA(shift, E, C, B | RW), [0xd3] = DATA(shift, E, C, RW),
	[0xd4 ... 0xd5] = SELF(bcd, DATA, 0), [0xd6] = SELF(salc, DATA, 0), [0xd7] = SELF(xlat, DATA, 0),
	[0xe0 ... 0xe3] = SELF(loop, BRANCH, 0),
	[0xe4 ... 0xe5] = SELF(in, IO, 0), [0xe6 ... 0xe7] = SELF(out, IO, 0),
	[0xe8] = SELF(call, BRANCH, 0), [0xe9] = SELF(jmp, BRANCH, 0),
	[0xea] = SELF(jmp_far, SEG, 0), [0xeb] = SELF(jmp, BRANCH, 0),
	[0xec ... 0xed] = SELF(in, IO, 0), [0xee ... 0xef] = SELF(out, IO, 0),
	[0xf1] = SELF(int, TRAP, 0), [0xf4] = SELF(hlt, PRIV, KERN), [0xf5] = SELF(flag, DATA, 0),
	[0xf6] = GROUP(group_unary_byte), [0xf7] = GROUP(group_unary),
	[0xf8 ... 0xf9] = SELF(flag, DATA, 0), [0xfa ... 0xfb] = SELF(cli_sti, PRIV, 0),
	[0xfc ... 0xfd] = SELF(flag, DATA, 0), [0xfe] = GROUP(group_fe), [0xff] = GROUP(group_ff),
};

const struct x86_row x86_rows_0f[256] = {
	[0x00] = SELF(grp6, PRIV, 0),
	[0x01] = SELF(grp7, PRIV, 0),
	[0x05] = SELF(syscall, TRAP, 0), [0x06] = SELF(clts, PRIV, KERN), [0x07] = SELF(syscall, TRAP, KERN),
	[0x08 ... 0x09] = SELF(wbinvd, PRIV, KERN),
	[0x0b] = SELF(ud, DATA, 0), [0x0d] = SELF(nop, DATA, 0), /* prefetch */
	[0x10 ... 0x13] = SELF(vec, VECTOR, 0), [0x16 ... 0x17] = SELF(vec, VECTOR, 0),
	[0x18 ... 0x1f] = SELF(nop, DATA, 0),
	[0x20] = SELF(mov_cr, PRIV, KERN), [0x21] = SELF(mov_dr, PRIV, KERN),
	[0x22] = SELF(mov_cr, PRIV, KERN), [0x23] = SELF(mov_dr, PRIV, KERN),
	[0x28 ... 0x29] = SELF(vec, VECTOR, 0), [0x2b] = SELF(vec, VECTOR, 0),
	[0x30] = SELF(wrmsr, PRIV, KERN), [0x31] = SELF(rdtsc, PRIV, 0),
	[0x32] = SELF(rdmsr, PRIV, KERN), [0x33] = SELF(rdpmc, PRIV, 0),
	[0x34] = SELF(syscall, TRAP, 0), [0x35] = SELF(syscall, TRAP, KERN),
	[0x40 ... 0x4f] = DATA(cmov, G, E, RW),
	[0x6e ... 0x6f] = SELF(vec, VECTOR, 0), [0x7e ... 0x7f] = SELF(vec, VECTOR, 0),
	[0x80 ... 0x8f] = SELF(jcc, BRANCH, 0),
	[0x90 ... 0x9f] = DATA(setcc, E, NONE, B | WR),
	[0xa0] = SELF(push_sreg, DATA, 0), [0xa1] = SELF(pop_sreg, SEG, 0), [0xa2] = SELF(cpuid, PRIV, 0),
	[0xa3] = DATA(bt, E, G, RD | X86_R_BITOFF),
	[0xa4 ... 0xa5] = DATA(shld, E, G, RW),
	[0xa8] = SELF(push_sreg, DATA, 0), [0xa9] = SELF(pop_sreg, SEG, 0),
	[0xab] = DATA(bts, E, G, RW | LK | X86_R_BITOFF),
	[0xac ... 0xad] = DATA(shrd, E, G, RW),
	[0xae] = SELF(grp15, DATA, 0), [0xaf] = DATA(imul2, G, E, RW),
	[0xb0] = DATA(cmpxchg, E, G, B | RW | LK), [0xb1] = DATA(cmpxchg, E, G, RW | LK),
	[0xb2] = SELF(load_far, SEG, MEM), [0xb3] = DATA(btr, E, G, RW | LK | X86_R_BITOFF),
	[0xb4 ... 0xb5] = SELF(load_far, SEG, MEM),
	[0xb6] = DATA(mov, G, E, WR | X86_R_SRC8), [0xb7] = DATA(mov, G, E, WR | X86_R_SRC16),
	[0xb8] = DATA(popcnt, G, E, WR), [0xb9] = SELF(ud, DATA, 0), [0xba] = GROUP(group_bt),
	[0xbb] = DATA(btc, E, G, RW | LK | X86_R_BITOFF),
	[0xbc] = DATA(bsf, G, E, WR), [0xbd] = DATA(bsr, G, E, WR),
	[0xbe] = DATA(movsx, G, E, WR | X86_R_SRC8), [0xbf] = DATA(movsx, G, E, WR | X86_R_SRC16),
	[0xc0] = DATA(xadd, E, G, B | RW | LK), [0xc1] = DATA(xadd, E, G, RW | LK),
	[0xc3] = DATA(mov, E, G, WR | MEM), /* movnti */
	[0xc7] = ROW(grp9, E, NONE, DATA, LAZY | LK),
	[0xc8 ... 0xcf] = DATA(bswap, R, NONE, RW),
	[0xd6] = SELF(vec, VECTOR, 0), [0xe7] = SELF(vec, VECTOR, 0), [0xf0] = SELF(vec, VECTOR, 0), [0xff] = SELF(ud, DATA, 0),
};

static const struct x86_row row_nop = SELF(nop, DATA, 0);
static const struct x86_row row_vec = SELF(vec, VECTOR, 0);
static const struct x86_row row_movbe = SELF(movbe, DATA, 0);
static const struct x86_row row_adx = SELF(adx, DATA, 0);
static const struct x86_row row_movdiri = DATA(mov, E, G, WR | MEM);
static const struct x86_row row_invpcid = SELF(invpcid, PRIV, KERN);
/* clang-format on */

static const struct x86_row *row_0f38(const struct x86_insn *insn)
{
	switch (insn->opcode) {
	case 0x2a:
		return &row_vec;
	case 0x82:
		return &row_invpcid;
	case 0xf0:
	case 0xf1:
		return &row_movbe;
	case 0xf6:
		return &row_adx;
	case 0xf9:
		return insn->pp == X86_PP_NONE ? &row_movdiri : NULL;
	default:
		return NULL;
	}
}

static const struct x86_row *row_vector(const struct x86_insn *insn)
{
	if (insn->encoding == X86_ENC_XOP)
		return NULL;
	if (insn->map == X86_MAP_0F)
		return x86_rows_0f[insn->opcode].allow == X86_ALLOW_VECTOR ? &row_vec : NULL;
	if (insn->map == X86_MAP_0F38 && insn->opcode == 0x2a)
		return &row_vec;
	return x86_bmi_row(insn);
}

static const struct x86_row *row_one(const struct x86_insn *insn)
{
	/* 90 is a nop, not an exchange that would clear the upper half of rax; REX.B makes it one. */
	if (insn->opcode == 0x90 && !(insn->rex & X86_REX_B))
		return &row_nop;
	if (insn->opcode == 0x63 && insn->mode != X86_MODE_64)
		return NULL; /* arpl */
	return &x86_rows_one[insn->opcode];
}

/* The row of an instruction, or NULL when it is not done here. */
const struct x86_row *x86_row_of(const struct x86_insn *insn)
{
	const struct x86_row *row;

	if (insn->encoding != X86_ENC_LEGACY)
		return row_vector(insn);
	if (insn->map == X86_MAP_0F38)
		return row_0f38(insn);
	if (insn->map == X86_MAP_ONE)
		row = row_one(insn);
	else if (insn->map == X86_MAP_0F)
		row = &x86_rows_0f[insn->opcode];
	else
		return NULL;
	if (row && !row->fn && row->group)
		row = &row->group[(insn->modrm >> 3) & 7];
	return row;
}
