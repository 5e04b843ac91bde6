/* SPDX-License-Identifier: MIT */
/*
 * The opcode attributes behind the decoder, one row of the manuals' opcode maps per line or two.
 *
 * Source: Intel SDM vol. 2, appendix A; AMD APM vol. 3, appendix A.
 */
#include "hypervisor-stub/core/x86/decode_tables.h"

/* The tables keep the shape of the opcode maps. */
/* clang-format off */
#define M    X86_ATTR_MODRM
#define MR   (X86_ATTR_MODRM | X86_ATTR_REG)
#define BAD  X86_ATTR_BAD
#define N64  X86_ATTR_NO64
#define D64  X86_ATTR_D64
#define F64  X86_ATTR_F64
#define GRP  (X86_ATTR_MODRM | X86_ATTR_GRP)
#define IB   X86_IMM_8
#define IZ   X86_IMM_Z
#define IV   X86_IMM_V
#define FAR_ X86_IMM_FAR

/* Eight opcodes in the pattern that the six arithmetic rows share, the last two given. */
#define ARITH(op, a, b)                                                              \
	[(op)] = M, [(op) + 1] = M, [(op) + 2] = M, [(op) + 3] = M, [(op) + 4] = IB, \
	[(op) + 5] = IZ, [(op) + 6] = (a), [(op) + 7] = (b)

const uint16_t x86_attr_one[256] = {
	ARITH(0x00, N64, N64), /* push es, pop es */
	ARITH(0x08, N64, BAD), /* push cs; 0f is an escape */
	ARITH(0x10, N64, N64),
	ARITH(0x18, N64, N64),
	ARITH(0x20, BAD, N64), /* 26, 2e, 36, 3e are prefixes */
	ARITH(0x28, BAD, N64),
	ARITH(0x30, BAD, N64),
	ARITH(0x38, BAD, N64),
	[0x40 ... 0x4f] = N64, /* inc, dec; REX in 64-bit code */
	[0x50 ... 0x5f] = D64,
	[0x60] = N64, [0x61] = N64, [0x62] = M | N64, [0x63] = M, [0x64 ... 0x67] = BAD, /* prefixes */
	[0x68] = IZ | D64, [0x69] = M | IZ, [0x6a] = IB | D64, [0x6b] = M | IB,
	[0x6c ... 0x6f] = 0, /* ins, outs */
	[0x70 ... 0x7f] = IB | F64,
	[0x80] = M | IB, [0x81] = M | IZ, [0x82] = M | IB | N64, [0x83] = M | IB,
	[0x84 ... 0x8e] = M, [0x8f] = GRP | D64,
	[0x90 ... 0x99] = 0, [0x9a] = FAR_ | N64, [0x9b] = 0, [0x9c] = D64, [0x9d] = D64,
	[0x9e] = 0, [0x9f] = 0,
	[0xa0 ... 0xa3] = X86_IMM_MOFFS, [0xa4 ... 0xa7] = 0,
	[0xa8] = IB, [0xa9] = IZ, [0xaa ... 0xaf] = 0,
	[0xb0 ... 0xb7] = IB,
	[0xb8 ... 0xbf] = IV,
	[0xc0] = M | IB, [0xc1] = M | IB, [0xc2] = X86_IMM_16 | F64, [0xc3] = F64,
	[0xc4] = M | N64, [0xc5] = M | N64, [0xc6] = GRP | IB, [0xc7] = GRP | IZ,
	[0xc8] = X86_IMM_ENTER | D64, [0xc9] = D64, [0xca] = X86_IMM_16, [0xcb] = 0, [0xcc] = 0,
	[0xcd] = IB, [0xce] = N64, [0xcf] = 0,
	[0xd0 ... 0xd3] = M, [0xd4] = IB | N64, [0xd5] = IB | N64, [0xd6] = N64, [0xd7] = 0,
	[0xd8 ... 0xdf] = M,
	[0xe0 ... 0xe3] = IB | F64, [0xe4 ... 0xe7] = IB,
	[0xe8] = IZ | F64, [0xe9] = IZ | F64, [0xea] = FAR_ | N64, [0xeb] = IB | F64,
	[0xec ... 0xef] = 0,
	[0xf0] = BAD, [0xf1] = 0, [0xf2] = BAD, [0xf3] = BAD, /* prefixes, int1 */
	[0xf4] = 0, [0xf5] = 0, [0xf6] = M | X86_IMM_GRP3B, [0xf7] = M | X86_IMM_GRP3Z,
	[0xf8 ... 0xfd] = 0, [0xfe] = GRP, [0xff] = GRP,
};

const uint16_t x86_attr_0f[256] = {
	[0x00] = GRP, [0x01] = M, [0x02] = M, [0x03] = M, [0x04] = BAD, [0x05] = 0, [0x06] = 0,
	[0x07] = 0,
	[0x08] = 0, [0x09] = 0, [0x0a] = BAD, [0x0b] = 0, /* invd, wbinvd, ud2 */
	[0x0c] = BAD, [0x0d] = M, [0x0e] = 0, [0x0f] = BAD, /* 0f 0f is decoded apart */
	[0x10 ... 0x1f] = M,
	[0x20 ... 0x23] = MR, [0x24 ... 0x27] = BAD,
	[0x28 ... 0x2f] = M,
	[0x30 ... 0x35] = 0, [0x36] = BAD, [0x37] = 0,
	[0x38 ... 0x3f] = BAD, /* 38, 3a: escapes */
	[0x40 ... 0x6f] = M,
	[0x70 ... 0x73] = M | IB, [0x74 ... 0x76] = M, [0x77] = 0,
	[0x78] = GRP, [0x79] = M, [0x7a] = BAD, [0x7b] = BAD, [0x7c ... 0x7f] = M,
	[0x80 ... 0x8f] = IZ | F64,
	[0x90 ... 0x9f] = M,
	[0xa0] = D64, [0xa1] = D64, [0xa2] = 0, [0xa3] = M, [0xa4] = M | IB, [0xa5] = M,
	[0xa6] = BAD, [0xa7] = BAD,
	[0xa8] = D64, [0xa9] = D64, [0xaa] = 0, [0xab] = M, [0xac] = M | IB, [0xad] = M,
	[0xae] = M, [0xaf] = M,
	[0xb0 ... 0xb7] = M,
	[0xb8] = GRP, [0xb9] = M, [0xba] = GRP | IB, [0xbb ... 0xbf] = M,
	[0xc0] = M, [0xc1] = M, [0xc2] = M | IB, [0xc3] = M, [0xc4] = M | IB, [0xc5] = M | IB,
	[0xc6] = M | IB, [0xc7] = GRP,
	[0xc8 ... 0xcf] = 0,
	[0xd0 ... 0xff] = M,
};

/* clang-format on */

/* BITS(first, last): those bits of a word; both in 0 to 63. */
#define BITS(first, last) ((~0ull >> (63 - (last))) & (~0ull << (first)))
#define BIT(n)            BITS(n, n)

const uint64_t x86_defined_0f38[4] = {
	BITS(0x00, 0x0b) | BIT(0x10) | BITS(0x14, 0x15) | BIT(0x17) | BITS(0x1c, 0x1e) |
		BITS(0x20, 0x25) | BITS(0x28, 0x2b) | BITS(0x30, 0x35) | BITS(0x37, 0x3f),
	BITS(0x00, 0x01), /* 40, 41 */
	BITS(0x00, 0x02), /* 80 to 82: invept, invvpid, invpcid */
	BITS(0x08, 0x0d) | BIT(0x0f) | BIT(0x18) | BITS(0x1b, 0x1f) |   /* c8 to df */
		BITS(0x30, 0x31) | BITS(0x35, 0x36) | BITS(0x38, 0x3c), /* f0 to fc */
};

const uint64_t x86_defined_0f3a[4] = {
	BITS(0x08, 0x0f) | BITS(0x14, 0x17) | BITS(0x20, 0x22),
	BITS(0x00, 0x02) | BIT(0x04) | BITS(0x20, 0x23),         /* 40 to 44, 60 to 63 */
	0, BIT(0x0c) | BITS(0x0e, 0x0f) | BIT(0x1f) | BIT(0x30), /* cc, ce, cf, df, f0 */
};
