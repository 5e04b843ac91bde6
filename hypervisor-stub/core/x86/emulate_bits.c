/* SPDX-License-Identifier: MIT */
/*
 * Shifts, rotates, single bits, bit scans and byte order.
 */
#include "hypervisor-stub/core/x86/emulate.h"

enum x86_result x86_do_shift(struct x86_work *w)
{
	w->dst.val = x86_shift(&w->r.rflags, (w->insn->modrm >> 3) & 7, w->dst.val,
	                       (unsigned)w->src.val & 0xff, w->dst.size);
	return X86_DONE;
}

/* The count is the immediate (a4, ac) or cl (a5, ad). */
static enum x86_result shift_double(struct x86_work *w, bool left)
{
	unsigned count = w->insn->imm_len ? w->insn->imm & 0xff : w->r.rcx & 0xff;

	w->dst.val = x86_shift_double(&w->r.rflags, left, w->dst.val, w->src.val, count,
	                              w->dst.size);
	return X86_DONE;
}

enum x86_result x86_do_shld(struct x86_work *w)
{
	return shift_double(w, true);
}

enum x86_result x86_do_shrd(struct x86_work *w)
{
	return shift_double(w, false);
}

/* The bit meant, as a mask; CF becomes its old value. */
static uint64_t test_bit(struct x86_work *w)
{
	uint64_t bit = 1ull << (w->src.val & (8 * w->dst.size - 1));

	if (w->dst.val & bit)
		w->r.rflags |= X86_FLAG_CF;
	else
		w->r.rflags &= ~(uint64_t)X86_FLAG_CF;
	return bit;
}

enum x86_result x86_do_bt(struct x86_work *w)
{
	test_bit(w);
	return X86_DONE;
}

enum x86_result x86_do_bts(struct x86_work *w)
{
	w->dst.val |= test_bit(w);
	return X86_DONE;
}

enum x86_result x86_do_btr(struct x86_work *w)
{
	w->dst.val &= ~test_bit(w);
	return X86_DONE;
}

enum x86_result x86_do_btc(struct x86_work *w)
{
	w->dst.val ^= test_bit(w);
	return X86_DONE;
}

static void put_flag(struct x86_work *w, uint64_t flag, bool on)
{
	w->r.rflags = on ? w->r.rflags | flag : w->r.rflags & ~flag;
}

static unsigned leading_zeros(uint64_t value, unsigned size)
{
	return value ? (unsigned)__builtin_clzll(value) - (64 - 8 * size) : 8 * size;
}

static unsigned trailing_zeros(uint64_t value, unsigned size)
{
	return value ? (unsigned)__builtin_ctzll(value) : 8 * size;
}

/* tzcnt with f3, bsf without; bsf of 0 leaves the destination as it was. */
enum x86_result x86_do_bsf(struct x86_work *w)
{
	unsigned count = trailing_zeros(w->src.val, w->src.size);

	if (w->insn->prefix & X86_PFX_REP) {
		w->dst.val = count;
		put_flag(w, X86_FLAG_CF, w->src.val == 0);
		put_flag(w, X86_FLAG_ZF, count == 0);
		return X86_DONE;
	}
	put_flag(w, X86_FLAG_ZF, w->src.val == 0);
	w->dst.val = count;
	w->skip_store = w->src.val == 0;
	return X86_DONE;
}

/* lzcnt with f3, bsr without. */
enum x86_result x86_do_bsr(struct x86_work *w)
{
	unsigned count = leading_zeros(w->src.val, w->src.size);

	if (w->insn->prefix & X86_PFX_REP) {
		w->dst.val = count;
		put_flag(w, X86_FLAG_CF, w->src.val == 0);
		put_flag(w, X86_FLAG_ZF, count == 0);
		return X86_DONE;
	}
	put_flag(w, X86_FLAG_ZF, w->src.val == 0);
	w->dst.val = 8 * w->src.size - 1 - count;
	w->skip_store = w->src.val == 0;
	return X86_DONE;
}

enum x86_result x86_do_popcnt(struct x86_work *w)
{
	w->dst.val = (uint64_t)__builtin_popcountll(w->src.val);
	w->r.rflags &= ~(uint64_t)X86_FLAGS_ARITH;
	put_flag(w, X86_FLAG_ZF, w->dst.val == 0);
	return X86_DONE;
}

static uint64_t swap_bytes(uint64_t value, unsigned size)
{
	return __builtin_bswap64(value) >> (64 - 8 * size);
}

/* A 16-bit bswap is undefined; processors clear the word. */
enum x86_result x86_do_bswap(struct x86_work *w)
{
	w->dst.val = w->dst.size == 2 ? 0 : swap_bytes(w->dst.val, w->dst.size);
	return X86_DONE;
}

/* One byte into a reflected CRC with the Castagnoli polynomial. */
static uint32_t crc32c(uint32_t crc, uint8_t byte)
{
	unsigned i;

	crc ^= byte;
	for (i = 0; i < 8; i++)
		crc = crc & 1 ? (crc >> 1) ^ 0x82f63b78u : crc >> 1;
	return crc;
}

/* f2 0f 38 f0 and f1: the destination is 32 bits wide (64 with REX.W, upper half zero). */
enum x86_result x86_do_crc32(struct x86_work *w)
{
	unsigned size = w->insn->opcode & 1 ? w->insn->opsize : 1;
	unsigned dst = w->insn->rex & X86_REX_W ? 8 : 4;
	struct x86_operand src = x86_opd_rm(w, size);
	enum x86_result rc = x86_opd_load(w, &src, X86_READ);
	uint32_t crc = (uint32_t)x86_reg_get(w, w->insn->reg, 4);
	unsigned i;

	if (rc != X86_DONE)
		return rc;
	for (i = 0; i < size; i++)
		crc = crc32c(crc, (uint8_t)(src.val >> (8 * i)));
	x86_reg_set(w, w->insn->reg, dst, crc);
	return X86_DONE;
}

/* 0f 38 f0 loads, 0f 38 f1 stores, in the other byte order. */
enum x86_result x86_do_movbe(struct x86_work *w)
{
	unsigned size = w->insn->opsize;
	struct x86_operand mem, reg;
	enum x86_result rc;

	if (w->insn->pp == X86_PP_F2)
		return x86_do_crc32(w);
	if (w->insn->pp == X86_PP_F3 || !w->insn->has_mem)
		return x86_raise(w->emu, X86_VECTOR_UD);
	mem = x86_opd_rm(w, size);
	reg = x86_opd_reg(w, size);
	if (w->insn->opcode & 1) {
		x86_opd_load(w, &reg, X86_READ);
		mem.val = swap_bytes(reg.val, size);
		return x86_opd_store(w, &mem);
	}
	rc = x86_opd_load(w, &mem, X86_READ);
	if (rc != X86_DONE)
		return rc;
	reg.val = swap_bytes(mem.val, size);
	return x86_opd_store(w, &reg);
}
