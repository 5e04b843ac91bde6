/* SPDX-License-Identifier: MIT */
/*
 * The instruction emulator: random instructions with random operands against the host's processor
 * (tests/fake/x86_native.h), and by hand what user code cannot execute: privileged instructions, segments,
 * faults, limits.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hypervisor-stub/core/x86/x86emu.h"
#include "tests/fake/x86_native.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

static uint8_t *const data = (uint8_t *)NATIVE_DATA;

static uint64_t random64(void)
{
	return ((uint64_t)random() << 42) ^ ((uint64_t)random() << 21) ^ (uint64_t)random();
}

/* Numbers at which arithmetic goes wrong, if it does. */
static uint64_t interesting(void)
{
	static const uint64_t numbers[] = {
		0,      1,          2,          0x7f,       0x80,       0xff,       0x7fff, 0x8000,
		0xffff, 0x7fffffff, 0x80000000, 0xffffffff, 1ull << 63, ~0ull >> 1, ~0ull,  ~1ull,
		15,     16,         31,         32,         63,         64,         0x99,   9,
	};

	switch (random() % 3) {
	case 0:
		return numbers[(size_t)random() % ARRAY_LEN(numbers)];
	case 1:
		return random64() >> (random() % 64);
	default:
		return random64();
	}
}

/* ---- the emulator's world: plain memory --------------------------------------------------------- */

static enum x86_result check_range(struct x86_emu *emu, uint64_t addr, unsigned len, uint32_t error)
{
	if (addr < NATIVE_DATA)
		return x86_raise_page_fault(emu, addr, error);
	if (addr + len > NATIVE_DATA + NATIVE_SIZE)
		return x86_raise_page_fault(
			emu, addr < NATIVE_DATA + NATIVE_SIZE ? NATIVE_DATA + NATIVE_SIZE : addr,
			error);
	return X86_DONE;
}

static enum x86_result mem_read(struct x86_emu *emu, enum x86_access kind, uint64_t addr, void *buf,
                                unsigned len)
{
	enum x86_result rc = check_range(emu, addr, len, kind == X86_READ_FOR_WRITE ? 6 : 4);

	if (rc == X86_DONE)
		memcpy(buf, (const void *)(uintptr_t)addr, len);
	return rc;
}

static enum x86_result mem_write(struct x86_emu *emu, uint64_t addr, const void *buf, unsigned len)
{
	enum x86_result rc = check_range(emu, addr, len, 6);

	if (rc == X86_DONE)
		memcpy((void *)(uintptr_t)addr, buf, len);
	return rc;
}

static unsigned cmpxchg_calls;
static unsigned cmpxchg_losses; /* how many of the next calls lose the race */

static enum x86_result mem_cmpxchg(struct x86_emu *emu, uint64_t addr, void *old, const void *new,
                                   unsigned len)
{
	uint8_t *at = (uint8_t *)(uintptr_t)addr;
	enum x86_result rc = check_range(emu, addr, len, 6);

	if (rc != X86_DONE)
		return rc;
	cmpxchg_calls++;
	if (cmpxchg_losses) {
		cmpxchg_losses--;
		at[0]++;
	}
	if (memcmp(at, old, len)) {
		memcpy(old, at, len);
		return X86_RETRY;
	}
	memcpy(at, new, len);
	return X86_DONE;
}

static enum x86_result vec_get(struct x86_emu *emu, enum x86_vec_kind kind, unsigned nr, void *buf,
                               unsigned len)
{
	uint8_t all[64];

	(void)emu;
	native_vector_get(kind, nr, all);
	memcpy(buf, all, len);
	return X86_DONE;
}

static enum x86_result vec_set(struct x86_emu *emu, enum x86_vec_kind kind, unsigned nr,
                               const void *buf, unsigned len, bool zero_upper)
{
	uint8_t all[64] = { 0 };

	(void)emu;
	if (!zero_upper)
		native_vector_get(kind, nr, all);
	memcpy(all, buf, len);
	native_vector_set(kind, nr, all);
	return X86_DONE;
}

static const struct x86_ops memory_ops = {
	.read = mem_read,
	.write = mem_write,
	.cmpxchg = mem_cmpxchg,
	.get_vec = vec_get,
	.set_vec = vec_set,
};

/* ---- forms of instructions ----------------------------------------------------------------------- */

#define M      0x0001u /* has modrm */
#define RO     0x0002u /* registers only */
#define MO     0x0004u /* memory only */
#define I8     0x0008u
#define IZ     0x0010u
#define IV     0x0020u
#define LK     0x0040u /* LOCK where memory */
#define STR    0x0080u /* rsi, rdi, rcx are set up; perhaps rep */
#define FAR_   0x0100u /* bit offset in modrm.reg */
#define ONLY64 0x0200u
#define ONLY32 0x0400u
#define NO66   0x0800u
#define STACK  0x1000u
#define XLAT   0x2000u
#define AL16   0x4000u /* memory operand aligned to 16 */
#define FRAME  0x8000u /* rbp is set up; an immediate of enter when I8 is given, too */

/* Which flags an instruction leaves undefined. */
enum undef {
	U_NONE,
	U_AF,
	U_MUL,
	U_DIV,
	U_SHIFT,
	U_ROT,
	U_SHD,
	U_BSF,
	U_ZCNT,
	U_BT,
	U_BMI,
	U_BEXTR,
	U_BCD,
	U_AAM
};

struct form {
	uint8_t map, first, last;
	int8_t group; /* modrm.reg, or -1 */
	uint8_t pp;   /* mandatory prefix byte, or 0 */
	uint16_t flags;
	enum undef undef;
};

#define VEX2 0x42
#define VEX3 0x43

static const struct form forms[] = {
	{ VEX2, 0xf2, 0xf2, -1, 0, M | NO66, U_BMI },
	{ VEX2, 0xf3, 0xf3, 1, 0, M | NO66, U_BMI },
	{ VEX2, 0xf3, 0xf3, 2, 0, M | NO66, U_BMI },
	{ VEX2, 0xf3, 0xf3, 3, 0, M | NO66, U_BMI },
	{ VEX2, 0xf5, 0xf5, -1, 0, M | NO66, U_BMI },
	{ VEX2, 0xf5, 0xf5, -1, 0xf3, M | NO66, U_NONE },
	{ VEX2, 0xf5, 0xf5, -1, 0xf2, M | NO66, U_NONE },
	{ VEX2, 0xf6, 0xf6, -1, 0xf2, M | NO66, U_NONE },
	{ VEX2, 0xf7, 0xf7, -1, 0, M | NO66, U_BEXTR },
	{ VEX2, 0xf7, 0xf7, -1, 0x66, M | NO66, U_NONE },
	{ VEX2, 0xf7, 0xf7, -1, 0xf3, M | NO66, U_NONE },
	{ VEX2, 0xf7, 0xf7, -1, 0xf2, M | NO66, U_NONE },
	{ VEX3, 0xf0, 0xf0, -1, 0xf2, M | I8 | NO66, U_NONE },
	{ 0, 0x00, 0x01, -1, 0, M | LK, U_NONE },
	{ 0, 0x02, 0x03, -1, 0, M, U_NONE },
	{ 0, 0x08, 0x09, -1, 0, M | LK, U_AF },
	{ 0, 0x0a, 0x0b, -1, 0, M, U_AF },
	{ 0, 0x10, 0x11, -1, 0, M | LK, U_NONE },
	{ 0, 0x12, 0x13, -1, 0, M, U_NONE },
	{ 0, 0x18, 0x19, -1, 0, M | LK, U_NONE },
	{ 0, 0x1a, 0x1b, -1, 0, M, U_NONE },
	{ 0, 0x20, 0x21, -1, 0, M | LK, U_AF },
	{ 0, 0x22, 0x23, -1, 0, M, U_AF },
	{ 0, 0x28, 0x29, -1, 0, M | LK, U_NONE },
	{ 0, 0x2a, 0x2b, -1, 0, M, U_NONE },
	{ 0, 0x30, 0x31, -1, 0, M | LK, U_AF },
	{ 0, 0x32, 0x33, -1, 0, M, U_AF },
	{ 0, 0x38, 0x3b, -1, 0, M, U_NONE },
	{ 0, 0x04, 0x04, -1, 0, I8, U_NONE },
	{ 0, 0x05, 0x05, -1, 0, IZ, U_NONE },
	{ 0, 0x15, 0x15, -1, 0, IZ, U_NONE },
	{ 0, 0x1d, 0x1d, -1, 0, IZ, U_NONE },
	{ 0, 0x25, 0x25, -1, 0, IZ, U_AF },
	{ 0, 0x3c, 0x3c, -1, 0, I8, U_NONE },
	{ 0, 0x40, 0x43, -1, 0, ONLY32, U_NONE },
	{ 0, 0x48, 0x4b, -1, 0, ONLY32, U_NONE },
	{ 0, 0x27, 0x27, -1, 0, ONLY32, U_BCD },
	{ 0, 0x2f, 0x2f, -1, 0, ONLY32, U_BCD },
	{ 0, 0x37, 0x37, -1, 0, ONLY32, U_AAM },
	{ 0, 0x3f, 0x3f, -1, 0, ONLY32, U_AAM },
	{ 0, 0xd4, 0xd5, -1, 0, ONLY32 | I8, U_AAM },
	{ 0, 0x50, 0x57, -1, 0, STACK, U_NONE },
	{ 0, 0x58, 0x5f, -1, 0, STACK, U_NONE },
	{ 0, 0x60, 0x61, -1, 0, STACK | ONLY32, U_NONE },
	{ 0, 0x63, 0x63, -1, 0, M | ONLY64, U_NONE },
	{ 0, 0x68, 0x68, -1, 0, STACK | IZ, U_NONE },
	{ 0, 0x6a, 0x6a, -1, 0, STACK | I8, U_NONE },
	{ 0, 0x69, 0x69, -1, 0, M | IZ, U_MUL },
	{ 0, 0x6b, 0x6b, -1, 0, M | I8, U_MUL },
	{ 0, 0x80, 0x80, 0, 0, M | I8 | LK, U_NONE },
	{ 0, 0x81, 0x81, 0, 0, M | IZ | LK, U_NONE },
	{ 0, 0x83, 0x83, 0, 0, M | I8 | LK, U_NONE },
	{ 0, 0x81, 0x81, 1, 0, M | IZ | LK, U_AF },
	{ 0, 0x83, 0x83, 1, 0, M | I8 | LK, U_AF },
	{ 0, 0x83, 0x83, 2, 0, M | I8 | LK, U_NONE },
	{ 0, 0x81, 0x81, 2, 0, M | IZ | LK, U_NONE },
	{ 0, 0x83, 0x83, 3, 0, M | I8 | LK, U_NONE },
	{ 0, 0x83, 0x83, 4, 0, M | I8 | LK, U_AF },
	{ 0, 0x81, 0x81, 5, 0, M | IZ | LK, U_NONE },
	{ 0, 0x83, 0x83, 6, 0, M | I8 | LK, U_AF },
	{ 0, 0x83, 0x83, 7, 0, M | I8, U_NONE },
	{ 0, 0x84, 0x85, -1, 0, M, U_AF },
	{ 0, 0x86, 0x87, -1, 0, M | LK, U_NONE },
	{ 0, 0x88, 0x8b, -1, 0, M, U_NONE },
	{ 0, 0x8d, 0x8d, -1, 0, M | MO, U_NONE },
	{ 0, 0x8f, 0x8f, 0, 0, M | STACK, U_NONE },
	{ 0, 0x90, 0x97, -1, 0, 0, U_NONE },
	{ 0, 0x98, 0x99, -1, 0, 0, U_NONE },
	{ 0, 0x9e, 0x9f, -1, 0, 0, U_NONE },
	{ 0, 0xa4, 0xa7, -1, 0, STR, U_NONE },
	{ 0, 0xaa, 0xaf, -1, 0, STR, U_NONE },
	{ 0, 0xa8, 0xa8, -1, 0, I8, U_AF },
	{ 0, 0xa9, 0xa9, -1, 0, IZ, U_AF },
	{ 0, 0xb0, 0xb7, -1, 0, I8, U_NONE },
	{ 0, 0xb8, 0xbf, -1, 0, IV, U_NONE },
	{ 0, 0xc0, 0xc1, 0, 0, M | I8, U_ROT },
	{ 0, 0xc0, 0xc1, 1, 0, M | I8, U_ROT },
	{ 0, 0xc0, 0xc1, 2, 0, M | I8, U_ROT },
	{ 0, 0xc0, 0xc1, 3, 0, M | I8, U_ROT },
	{ 0, 0xc0, 0xc1, 4, 0, M | I8, U_SHIFT },
	{ 0, 0xc0, 0xc1, 5, 0, M | I8, U_SHIFT },
	{ 0, 0xc0, 0xc1, 6, 0, M | I8, U_SHIFT },
	{ 0, 0xc0, 0xc1, 7, 0, M | I8, U_SHIFT },
	{ 0, 0xd0, 0xd3, 0, 0, M, U_ROT },
	{ 0, 0xd0, 0xd3, 1, 0, M, U_ROT },
	{ 0, 0xd0, 0xd3, 2, 0, M, U_ROT },
	{ 0, 0xd0, 0xd3, 3, 0, M, U_ROT },
	{ 0, 0xd0, 0xd3, 4, 0, M, U_SHIFT },
	{ 0, 0xd0, 0xd3, 5, 0, M, U_SHIFT },
	{ 0, 0xd0, 0xd3, 7, 0, M, U_SHIFT },
	{ 0, 0xc6, 0xc6, 0, 0, M | I8, U_NONE },
	{ 0, 0xc7, 0xc7, 0, 0, M | IZ, U_NONE },
	{ 0, 0xd7, 0xd7, -1, 0, XLAT, U_NONE },
	{ 0, 0xc9, 0xc9, -1, 0, FRAME | STACK, U_NONE },
	{ 0, 0x9c, 0x9c, -1, 0, STACK, U_NONE },
	{ 0, 0xc8, 0xc8, -1, 0, FRAME | STACK | I8, U_NONE },
	{ 0, 0xf5, 0xf5, -1, 0, 0, U_NONE },
	{ 0, 0xf8, 0xf9, -1, 0, 0, U_NONE },
	{ 0, 0xfc, 0xfd, -1, 0, 0, U_NONE },
	{ 0, 0xf6, 0xf6, 0, 0, M | I8, U_AF },
	{ 0, 0xf7, 0xf7, 0, 0, M | IZ, U_AF },
	{ 0, 0xf6, 0xf7, 2, 0, M | LK, U_NONE },
	{ 0, 0xf6, 0xf7, 3, 0, M | LK, U_NONE },
	{ 0, 0xf6, 0xf7, 4, 0, M, U_MUL },
	{ 0, 0xf6, 0xf7, 5, 0, M, U_MUL },
	{ 0, 0xf6, 0xf7, 6, 0, M, U_DIV },
	{ 0, 0xf6, 0xf7, 7, 0, M, U_DIV },
	{ 0, 0xfe, 0xff, 0, 0, M | LK, U_NONE },
	{ 0, 0xfe, 0xff, 1, 0, M | LK, U_NONE },
	{ 0, 0xff, 0xff, 6, 0, M | STACK, U_NONE },
	{ 1, 0x0d, 0x0d, 1, 0, M | MO, U_NONE },
	{ 1, 0x1f, 0x1f, 0, 0, M, U_NONE },
	{ 1, 0x40, 0x4f, -1, 0, M, U_NONE },
	{ 1, 0x90, 0x9f, -1, 0, M, U_NONE },
	{ 1, 0xa3, 0xa3, -1, 0, M | FAR_, U_BT },
	{ 1, 0xab, 0xab, -1, 0, M | LK | FAR_, U_BT },
	{ 1, 0xb3, 0xb3, -1, 0, M | LK | FAR_, U_BT },
	{ 1, 0xbb, 0xbb, -1, 0, M | LK | FAR_, U_BT },
	{ 1, 0xba, 0xba, 4, 0, M | I8, U_BT },
	{ 1, 0xba, 0xba, 5, 0, M | I8 | LK, U_BT },
	{ 1, 0xba, 0xba, 6, 0, M | I8 | LK, U_BT },
	{ 1, 0xba, 0xba, 7, 0, M | I8 | LK, U_BT },
	{ 1, 0xa4, 0xa4, -1, 0, M | I8, U_SHD },
	{ 1, 0xa5, 0xa5, -1, 0, M, U_SHD },
	{ 1, 0xac, 0xac, -1, 0, M | I8, U_SHD },
	{ 1, 0xad, 0xad, -1, 0, M, U_SHD },
	{ 1, 0xaf, 0xaf, -1, 0, M, U_MUL },
	{ 1, 0xb0, 0xb1, -1, 0, M | LK, U_NONE },
	{ 1, 0xb6, 0xb7, -1, 0, M, U_NONE },
	{ 1, 0xbe, 0xbf, -1, 0, M, U_NONE },
	{ 1, 0xb8, 0xb8, -1, 0xf3, M, U_NONE },
	{ 1, 0xbc, 0xbd, -1, 0, M, U_BSF },
	{ 1, 0xbc, 0xbd, -1, 0xf3, M, U_ZCNT },
	{ 1, 0xc0, 0xc1, -1, 0, M | LK, U_NONE },
	{ 1, 0xc3, 0xc3, -1, 0, M | MO | NO66, U_NONE },
	{ 1, 0xc7, 0xc7, 1, 0, M | MO | LK | AL16, U_NONE },
	{ 1, 0xc8, 0xcf, -1, 0, NO66, U_NONE },
	{ 2, 0xf0, 0xf1, -1, 0, M | MO, U_NONE },
	{ 2, 0xf0, 0xf1, -1, 0xf2, M, U_NONE },
	{ 2, 0xf6, 0xf6, -1, 0x66, M, U_NONE },
	{ 2, 0xf6, 0xf6, -1, 0xf3, M | NO66, U_NONE },
};

/* ---- one trial ------------------------------------------------------------------------------------ */

struct trial {
	const struct form *form;
	unsigned mode;
	uint8_t code[16];
	unsigned len;
	struct hv_regs regs;
	struct x86_insn insn;
};

static void emit(struct trial *t, uint8_t byte)
{
	t->code[t->len++] = byte;
}

static void emit_number(struct trial *t, uint64_t value, unsigned len)
{
	while (len--) {
		emit(t, (uint8_t)value);
		value >>= 8;
	}
}

/* A memory operand inside the data pages: base, perhaps index, perhaps rip-relative. */
static void emit_memory(struct trial *t, unsigned reg, uint8_t rex)
{
	unsigned base, index, b = rex & X86_REX_B ? 8 : 0, x = rex & X86_REX_X ? 8 : 0;
	uint64_t at = NATIVE_DATA + NATIVE_SIZE / 2 + (uint64_t)(random() % 512);
	bool aligned = t->form->flags & AL16;
	int8_t disp = (int8_t)random();

	if (aligned) {
		at &= ~15ull;
		disp &= ~15;
	}
	if (!aligned && random() % 8 == 0) { /* absolute, or relative to rip: patched later */
		emit(t, (uint8_t)(0x05 | reg << 3));
		emit_number(t, at, 4);
		return;
	}
	do {
		base = (unsigned)random() % 8;
		index = (unsigned)random() % 8;
	} while (index + x == base + b); /* index 4 without REX.X is none; base 4 is not index 4 */
	*x86_gpr(&t->regs, base + b) = at;
	if (base == 4 || random() % 2) {
		emit(t, (uint8_t)(0x44 | reg << 3));
		emit(t, (uint8_t)((random() % 4) << 6 | index << 3 | base));
		if (index != 4 || x)
			*x86_gpr(&t->regs, index + x) = aligned ? 0 : (uint64_t)(random() % 200);
	} else {
		emit(t, (uint8_t)(0x40 | reg << 3 | base));
	}
	emit(t, (uint8_t)disp);
}

static unsigned imm_length(const struct trial *t, bool small, bool wide)
{
	unsigned flags = t->form->flags;

	if (flags & I8)
		return flags & FRAME ? 0 : 1;
	if (flags & IV)
		return wide ? 8 : small ? 2 : 4;
	return flags & IZ ? (small && !wide ? 2 : 4) : 0;
}

static void emit_operands(struct trial *t, uint8_t rex)
{
	unsigned flags = t->form->flags;
	unsigned reg = t->form->group >= 0 ? (unsigned)t->form->group : (unsigned)random() % 8;

	if ((flags & FRAME) && (flags & I8)) {
		emit_number(t, (uint64_t)(random() % 64), 2);
		emit(t, (uint8_t)(random() % 5));
	}
	if (!(flags & M))
		return;
	if ((flags & RO) || (!(flags & MO) && random() % 2))
		emit(t, (uint8_t)(0xc0 | reg << 3 | random() % 8));
	else
		emit_memory(t, reg, rex);
	if ((flags & FAR_) && t->form->group < 0) { /* a bit offset of some bytes either way */
		uint64_t *offset = x86_gpr(&t->regs, reg + (rex & X86_REX_R ? 8 : 0));

		if (*offset < NATIVE_DATA || *offset > NATIVE_DATA + NATIVE_SIZE)
			*offset = (uint64_t)(random() % 8000 - 4000);
	}
}

static void set_up_registers(struct trial *t)
{
	unsigned flags = t->form->flags, i;

	for (i = 0; i < 16; i++)
		*x86_gpr(&t->regs, i) = interesting();
	if (random() % 2)
		t->regs.rsp = NATIVE_DATA + NATIVE_SIZE / 2 + (uint64_t)(random() % 64);
	t->regs.rflags = 0x202 | (random64() & X86_FLAGS_ARITH);
	if (flags & STACK)
		t->regs.rsp = NATIVE_DATA + NATIVE_SIZE / 2 + (uint64_t)(random() % 64);
	if (flags & FRAME)
		t->regs.rbp = NATIVE_DATA + NATIVE_SIZE / 2 + (uint64_t)(random() % 512);
	if (flags & XLAT)
		t->regs.rbx = NATIVE_DATA + 100;
	if (flags & STR) {
		t->regs.rsi = NATIVE_DATA + NATIVE_SIZE / 2 + (uint64_t)(random() % 512);
		t->regs.rdi = NATIVE_DATA + NATIVE_SIZE / 2 + (uint64_t)(random() % 512);
		t->regs.rcx = (uint64_t)(random() % 20);
		if (random() % 2)
			t->regs.rflags |= X86_FLAG_DF;
	}
}

static void emit_prefixes(struct trial *t, bool small, uint8_t rex)
{
	if (small && t->form->pp != 0x66)
		emit(t, 0x66);
	if (t->mode == X86_MODE_64 && random() % 8 == 0)
		emit(t, 0x67);
	if (t->form->pp)
		emit(t, t->form->pp);
	if ((t->form->flags & STR) && random() % 2)
		emit(t, random() % 2 ? 0xf2 : 0xf3);
	if (rex)
		emit(t, rex);
}

/* Three-byte VEX; rorx (map 3) has no third operand. */
static void emit_vex(struct trial *t, uint8_t rex)
{
	unsigned pp = t->form->pp == 0x66   ? 1
	              : t->form->pp == 0xf3 ? 2
	              : t->form->pp == 0xf2 ? 3
	                                    : 0;
	unsigned vvvv = (unsigned)random() % (t->mode == X86_MODE_64 ? 16 : 8);

	if (t->form->map == VEX3)
		vvvv = 0;
	emit(t, 0xc4);
	emit(t, (uint8_t)((~rex & 7) << 5 | (t->form->map - VEX2 + 2)));
	emit(t, (uint8_t)((rex & X86_REX_W ? 0x80 : 0) | (~vvvv & 15) << 3 | pp));
}

/* In 32-bit code an address computed from full registers must not have been cut. */
static void make_trial(struct trial *t, const struct form *form, unsigned mode)
{
	bool small = !(form->flags & NO66) && random() % 3 == 0;
	uint8_t rex = 0, opcode;
	unsigned at;

	memset(t, 0, sizeof(*t));
	t->form = form;
	t->mode = mode;
	if (mode == X86_MODE_64 && random() % 2)
		rex = (uint8_t)(0x40 | random() % 16);
	opcode = (uint8_t)(form->first + random() % (form->last - form->first + 1));
	set_up_registers(t);
	if (form->map >= VEX2) {
		emit_vex(t, rex);
	} else {
		emit_prefixes(t, small, rex);
		if (form->map)
			emit(t, 0x0f);
		if (form->map == 2)
			emit(t, 0x38);
	}
	emit(t, opcode);
	at = t->len;
	emit_operands(t, rex);
	emit_number(t, interesting(), imm_length(t, small, rex & X86_REX_W));
	/* A memory operand that can take LOCK gets one now and then. */
	if ((form->flags & LK) && t->code[at] < 0xc0 && random() % 2) {
		memmove(t->code + 1, t->code, t->len);
		t->code[0] = 0xf0;
		t->len++;
	}
	if (mode == X86_MODE_32)
		for (at = 0; at < 16; at++)
			*x86_gpr(&t->regs, at) = (uint32_t)*x86_gpr(&t->regs, at);
	t->regs.rip = native_rip(mode);
	ck_assert_int_eq(x86_decode(&t->insn, t->code, t->len, mode | X86_MODE_AMD), X86_DECODE_OK);
	ck_assert_uint_eq(t->insn.len, t->len);
	if (t->insn.rip_relative) {
		uint32_t disp = (uint32_t)(t->insn.disp - (int64_t)(t->regs.rip + t->len));

		memcpy(t->code + t->insn.disp_at, &disp, 4);
		x86_decode(&t->insn, t->code, t->len, mode | X86_MODE_AMD);
	}
}

/* Bit count of a shift as the processor sees it. */
static unsigned shift_count(const struct trial *t)
{
	unsigned count = (unsigned)t->regs.rcx & 0xff;

	if (t->insn.imm_len)
		count = t->insn.imm & 0xff;
	else if (t->insn.map == 0 && t->insn.opcode < 0xd2)
		count = 1;
	return count &
	       (t->insn.opsize == 8 && !(t->insn.map == 0 && !(t->insn.opcode & 1)) ? 63 : 31);
}

static uint64_t undefined_flags(const struct trial *t)
{
	const uint64_t all = X86_FLAGS_ARITH;
	unsigned count = shift_count(t);
	unsigned bits = t->insn.map == 0 && !(t->insn.opcode & 1) ? 8 : 8 * t->insn.opsize;

	switch (t->form->undef) {
	case U_AF:
		return X86_FLAG_AF;
	case U_MUL:
		return all & ~(uint64_t)(X86_FLAG_CF | X86_FLAG_OF);
	case U_DIV:
		return all;
	case U_SHIFT:
	case U_SHD:
		if (count == 0)
			return 0;
		return X86_FLAG_AF | (count == 1 ? 0 : X86_FLAG_OF) |
		       (count >= bits ? (t->form->undef == U_SHD ? all : X86_FLAG_CF) : 0);
	case U_ROT:
		return count == 1 ? 0 : X86_FLAG_OF;
	case U_BSF:
		return all & ~(uint64_t)X86_FLAG_ZF;
	case U_ZCNT:
		return all & ~(uint64_t)(X86_FLAG_ZF | X86_FLAG_CF);
	case U_BT:
		return all & ~(uint64_t)(X86_FLAG_CF | X86_FLAG_ZF);
	case U_BMI:
		return X86_FLAG_AF | X86_FLAG_PF;
	case U_BEXTR:
		return X86_FLAG_AF | X86_FLAG_SF | X86_FLAG_PF;
	case U_BCD:
		return X86_FLAG_OF;
	case U_AAM:
		return all & ~(uint64_t)(t->insn.imm_len ? X86_FLAG_SF | X86_FLAG_ZF | X86_FLAG_PF
		                                         : X86_FLAG_AF | X86_FLAG_CF);
	default:
		return 0;
	}
}

static const char *describe(const struct trial *t)
{
	static char text[64];
	unsigned i;

	for (i = 0; i < t->len; i++)
		snprintf(text + 3 * i, 4, "%02x ", t->code[i]);
	return text;
}

/* Has the destination no defined value? A 16-bit double shift by more than 16; a bit scan of zero. */
static bool is_undefined(const struct trial *t, const struct hv_regs *result)
{
	if (t->form->undef == U_BSF)
		return result->rflags & X86_FLAG_ZF;
	return t->form->undef == U_SHD && t->insn.opsize == 2 && shift_count(t) > 16;
}

static uint8_t before[NATIVE_SIZE], after_native[NATIVE_SIZE];

static void compare(struct trial *t)
{
	struct hv_regs native = t->regs, ours = t->regs;
	struct x86_emu emu = {
		.regs = &ours,
		.ops = &memory_ops,
		.mode = t->mode | X86_MODE_AMD,
		.cpl = 3,
		.allow = X86_ALLOW_ALL,
	};
	uint64_t mask = undefined_flags(t);
	struct x86_fault fault = { 0 };
	enum x86_result rc;
	bool through;
	unsigned i;

	memcpy(before, data, NATIVE_SIZE);
	through = native_run(&native, t->code, t->len, t->mode, false, &fault);

	memcpy(after_native, data, NATIVE_SIZE);
	memcpy(data, before, NATIVE_SIZE);

	emu.insn = t->insn;
	rc = x86_execute(&emu);
	ck_assert_msg(rc != X86_UNHANDLED, "%s mode %u is not done", describe(t), t->mode);
	ck_assert_msg((rc == X86_DONE) == through,
	              "%s mode %u: result %d, native %s vector %u, ours %u", describe(t), t->mode,
	              rc, through ? "through" : "fault", fault.vector, emu.fault.vector);
	if (!through) {
		ck_assert_msg(emu.fault.vector == fault.vector, "%s: vector %u instead of %u",
		              describe(t), emu.fault.vector, fault.vector);
		ck_assert_mem_eq(&ours, &t->regs, sizeof(ours));
		return;
	}
	if (is_undefined(t, &native)) {
		memcpy(data, after_native, NATIVE_SIZE);
		return;
	}
	for (i = 0; i < 16; i++)
		ck_assert_msg(*x86_gpr(&ours, i) == *x86_gpr(&native, i),
		              "%s mode %u: register %u is %llx instead of %llx (was %llx)",
		              describe(t), t->mode, i, (unsigned long long)*x86_gpr(&ours, i),
		              (unsigned long long)*x86_gpr(&native, i),
		              (unsigned long long)*x86_gpr(&t->regs, i));
	ck_assert_msg((ours.rflags & ~mask) == (native.rflags & ~mask),
	              "%s mode %u: flags %llx instead of %llx, were %llx, undefined %llx",
	              describe(t), t->mode, (unsigned long long)ours.rflags,
	              (unsigned long long)native.rflags, (unsigned long long)t->regs.rflags,
	              (unsigned long long)mask);
	ck_assert_uint_eq(ours.rip, native.rip);
	ck_assert_msg(!memcmp(data, after_native, NATIVE_SIZE), "%s mode %u: memory differs",
	              describe(t), t->mode);
}

/* ---- vector moves --------------------------------------------------------------------------------- */

struct vector_form {
	uint8_t map, opcode, pp;
	bool legacy, vex, evex;
	bool short_only; /* 128-bit forms only */
	bool merges;     /* VEX.vvvv names a source */
};

static const struct vector_form vector_forms[] = {
	{ 1, 0x10, 0, true, true, true, false, false },
	{ 1, 0x11, 0, true, true, true, false, false },
	{ 1, 0x10, 1, true, true, true, false, false },
	{ 1, 0x11, 1, true, true, true, false, false },
	{ 1, 0x10, 2, true, true, true, false, false },
	{ 1, 0x11, 2, true, true, true, false, false },
	{ 1, 0x10, 3, true, true, true, false, false },
	{ 1, 0x11, 3, true, true, true, false, false },
	{ 1, 0x12, 0, true, true, true, true, true },
	{ 1, 0x13, 0, true, true, true, true, false },
	{ 1, 0x12, 1, true, true, true, true, true },
	{ 1, 0x13, 1, true, true, true, true, false },
	{ 1, 0x16, 0, true, true, true, true, true },
	{ 1, 0x17, 0, true, true, true, true, false },
	{ 1, 0x16, 1, true, true, true, true, true },
	{ 1, 0x17, 1, true, true, true, true, false },
	{ 1, 0x28, 0, true, true, true, false, false },
	{ 1, 0x29, 0, true, true, true, false, false },
	{ 1, 0x28, 1, true, true, true, false, false },
	{ 1, 0x29, 1, true, true, true, false, false },
	{ 1, 0x2b, 0, true, true, true, false, false },
	{ 1, 0x2b, 1, true, true, true, false, false },
	{ 1, 0x6e, 0, true, false, false, true, false },
	{ 1, 0x7e, 0, true, false, false, true, false },
	{ 1, 0x6e, 1, true, true, true, true, false },
	{ 1, 0x7e, 1, true, true, true, true, false },
	{ 1, 0x7e, 2, true, true, true, true, false },
	{ 1, 0xd6, 1, true, true, true, true, false },
	{ 1, 0x6f, 0, true, false, false, true, false },
	{ 1, 0x7f, 0, true, false, false, true, false },
	{ 1, 0x6f, 1, true, true, true, false, false },
	{ 1, 0x7f, 1, true, true, true, false, false },
	{ 1, 0x6f, 2, true, true, true, false, false },
	{ 1, 0x7f, 2, true, true, true, false, false },
	{ 1, 0x6f, 3, false, false, true, false, false },
	{ 1, 0x7f, 3, false, false, true, false, false },
	{ 1, 0xe7, 0, true, false, false, true, false },
	{ 1, 0xe7, 1, true, true, true, false, false },
	{ 2, 0x2a, 1, true, true, true, false, false },
	{ 1, 0xf0, 3, true, true, false, false, false },
};

struct vectors {
	uint8_t zmm[32][64], mm[8][64], k[8][64];
};

static void vectors_get(struct vectors *v)
{
	unsigned i;

	for (i = 0; i < 32; i++)
		native_vector_get(X86_VEC_XMM, i, v->zmm[i]);
	for (i = 0; i < 8; i++) {
		native_vector_get(X86_VEC_MM, i, v->mm[i]);
		native_vector_get(X86_VEC_MASK, i, v->k[i]);
	}
}

static void vectors_set(const struct vectors *v)
{
	unsigned i;

	for (i = 0; i < 32; i++)
		native_vector_set(X86_VEC_XMM, i, v->zmm[i]);
	for (i = 0; i < 8; i++) {
		native_vector_set(X86_VEC_MM, i, v->mm[i]);
		native_vector_set(X86_VEC_MASK, i, v->k[i]);
	}
}

static void emit_evex(struct trial *t, const struct vector_form *f, unsigned high, unsigned vl)
{
	unsigned masked = (unsigned)random() % 8, w = (unsigned)random() % 2;
	/* W is part of the opcode of the floating-point forms. */
	bool fp = f->opcode < 0x30 && f->map == 1;
	unsigned vvvv = f->merges ? (unsigned)random() % 32 : 0;

	if (fp)
		w = f->pp == 1 || f->pp == 3;
	else if (f->opcode == 0x7e && f->pp == 2)
		w = 1;
	else if (f->opcode == 0xd6)
		w = 1;
	else if (f->opcode == 0xe7 || f->map == 2)
		w = 0;
	emit(t, 0x62);
	emit(t, (uint8_t)((high & 8 ? 0 : 0x80) | 0x60 | (high & 16 ? 0 : 0x10) | f->map));
	emit(t, (uint8_t)(w << 7 | (~vvvv & 15) << 3 | 4 | f->pp));
	emit(t, (uint8_t)((masked && random() % 3 == 0) << 7 | vl << 5 | (vvvv & 16 ? 0 : 8) |
	                  masked));
}

static void emit_vector_prefix(struct trial *t, const struct vector_form *f, unsigned high)
{
	static const uint8_t prefixes[] = { 0, 0x66, 0xf3, 0xf2 };
	unsigned vl = f->short_only ? 0 : (unsigned)random() % 2;
	unsigned vvvv = f->merges ? (unsigned)random() % 16 : 0;
	bool w = f->opcode == 0x6e || f->opcode == 0x7e ? random() % 2 : false;

	if (f->evex && random() % 2) {
		emit_evex(t, f, high, f->short_only ? 0 : (unsigned)random() % 3);
	} else if (f->vex && (!f->legacy || random() % 2)) {
		emit(t, 0xc4);
		emit(t, (uint8_t)((high & 8 ? 0 : 0x80) | 0x60 | f->map));
		emit(t, (uint8_t)((w ? 0x80 : 0) | (~vvvv & 15) << 3 | vl << 2 | f->pp));
	} else if (f->legacy) {
		if (f->pp)
			emit(t, prefixes[f->pp]);
		if (w || (high & 8))
			emit(t, (uint8_t)(0x40 | (w ? 8 : 0) | (high & 8 ? 4 : 0)));
		emit(t, 0x0f);
		if (f->map == 2)
			emit(t, 0x38);
	} else {
		emit_evex(t, f, high, (unsigned)random() % 3);
	}
}

static void make_vector_trial(struct trial *t, const struct vector_form *f)
{
	static const struct form plain = { .flags = M | MO, .group = -1, .undef = U_NONE };
	unsigned high = (unsigned)random() % 4 * 8;
	/* At the last page's end, so that what a mask leaves out may not exist. */
	bool at_end = random() % 4 == 0;
	uint64_t end = NATIVE_DATA + NATIVE_SIZE - (uint64_t)(random() % 80);

	memset(t, 0, sizeof(*t));
	t->form = &plain;
	t->mode = X86_MODE_64;
	set_up_registers(t);
	emit_vector_prefix(t, f, high);
	emit(t, f->opcode);
	t->regs.rbx = at_end ? end : NATIVE_DATA + 0x1000 + (uint64_t)(random() % 128);
	if (random() % 2)
		t->regs.rbx &= ~63ull;
	emit(t, (uint8_t)((random() % 8) << 3 | 3 | (at_end ? 0 : 0x40)));
	if (!at_end)
		emit(t, (uint8_t)(random() % 40 - 20));
	t->regs.rip = native_rip(t->mode);
	ck_assert_msg(x86_decode(&t->insn, t->code, t->len, t->mode) == X86_DECODE_OK, "%s",
	              describe(t));
	ck_assert_uint_eq(t->insn.len, t->len);
}

static void compare_vector(struct trial *t)
{
	static struct vectors start, native, ours;
	struct hv_regs regs = t->regs, emulated = t->regs;
	struct x86_emu emu = {
		.regs = &emulated,
		.ops = &memory_ops,
		.mode = t->mode,
		.cpl = 3,
		.allow = X86_ALLOW_VECTOR,
	};
	struct x86_fault fault = { 0 };
	enum x86_result rc;
	bool through;
	unsigned i;

	for (i = 0; i < sizeof(start); i++)
		((uint8_t *)&start)[i] = (uint8_t)random();
	/* Whether an empty mask excuses a misaligned operand is not written down: some element is on. */
	for (i = 0; i < 8; i++)
		if (random() % 4)
			start.k[i][0] = (uint8_t)(start.k[i][0] & 0xf0);
	if (t->insn.opcode == 0x28 || t->insn.opcode == 0x29 || t->insn.pp == X86_PP_66)
		for (i = 0; i < 8; i++)
			start.k[i][0] |= 1;
	vectors_set(&start);
	memcpy(before, data, NATIVE_SIZE);
	through = native_run(&regs, t->code, t->len, t->mode, true, &fault);
	vectors_get(&native);
	memcpy(after_native, data, NATIVE_SIZE);
	memcpy(data, before, NATIVE_SIZE);
	vectors_set(&start);
	vectors_get(&start);

	emu.insn = t->insn;
	rc = x86_execute(&emu);
	vectors_get(&ours);
	ck_assert_msg((rc == X86_DONE) == through, "%s: result %d, native %s vector %u, ours %u",
	              describe(t), rc, through ? "through" : "fault", fault.vector,
	              emu.fault.vector);
	if (!through)
		ck_assert_msg(emu.fault.vector == fault.vector, "%s: vector %u instead of %u",
		              describe(t), emu.fault.vector, fault.vector);
	ck_assert_msg(!memcmp(&ours, through ? &native : &start, sizeof(ours)),
	              "%s: vector registers differ", describe(t));
	ck_assert_msg(!memcmp(data, after_native, NATIVE_SIZE), "%s: memory differs", describe(t));
}

/* Trials of each form; X86_ROUNDS=400 in the environment for the long run. */
#define ROUNDS 24

static const char *native_trouble;

static unsigned rounds(void)
{
	const char *text = getenv("X86_ROUNDS");
	unsigned long n = text ? strtoul(text, NULL, 0) : 0;

	return n ? (unsigned)n : ROUNDS;
}

static void set_up(void)
{
	size_t i;

	native_trouble = native_init();
	srandom(20);
	if (!native_trouble)
		for (i = 0; i < NATIVE_SIZE; i++)
			data[i] = (uint8_t)random();
}

static void run_form(const struct form *form, unsigned mode)
{
	unsigned i, n = rounds();
	struct trial t;

	ck_assert_msg(!native_trouble, "%s", native_trouble);
	for (i = 0; i < n; i++) {
		make_trial(&t, form, mode);
		compare(&t);
	}
}

START_TEST(in_64_bit_code_it_computes_what_the_processor_computes)
{
	if (!(forms[_i].flags & ONLY32))
		run_form(&forms[_i], X86_MODE_64);
}
END_TEST

START_TEST(in_32_bit_code_it_computes_what_the_processor_computes)
{
	if (!(forms[_i].flags & ONLY64))
		run_form(&forms[_i], X86_MODE_32);
}
END_TEST

START_TEST(vector_moves_are_those_of_the_processor)
{
	unsigned i, n = rounds();
	struct trial t;

	ck_assert_msg(!native_trouble, "%s", native_trouble);
	if (!native_has_vectors())
		return; /* nothing to compare with on this processor */
	for (i = 0; i < n; i++) {
		make_vector_trial(&t, &vector_forms[_i]);
		compare_vector(&t);
	}
}
END_TEST

Suite *x86_emulate_suite(void);
Suite *x86_emulate_suite(void)
{
	Suite *s = suite_create("x86_emulate");
	TCase *normal = tcase_create("normal");

	tcase_add_checked_fixture(normal, set_up, NULL);
	tcase_add_loop_test(normal, in_64_bit_code_it_computes_what_the_processor_computes, 0,
	                    ARRAY_LEN(forms));
	tcase_add_loop_test(normal, in_32_bit_code_it_computes_what_the_processor_computes, 0,
	                    ARRAY_LEN(forms));
	tcase_add_loop_test(normal, vector_moves_are_those_of_the_processor, 0,
	                    ARRAY_LEN(vector_forms));
	tcase_set_timeout(normal, 120);
	suite_add_tcase(s, normal);
	return s;
}
