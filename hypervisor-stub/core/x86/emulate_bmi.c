/* SPDX-License-Identifier: MIT */
/*
 * The VEX-encoded integer instructions (BMI1, BMI2): three operands, general registers.
 *
 * Source: Intel SDM vol. 2, ANDN, BEXTR, BLSI, BLSMSK, BLSR, BZHI, MULX, PDEP, PEXT, RORX, SARX.
 */
#include "hypervisor-stub/core/x86/emulate.h"

static void set_zsc(struct x86_work *w, uint64_t result, bool carry)
{
	x86_logic(&w->r.rflags, result, w->dst.size);
	if (carry)
		w->r.rflags |= X86_FLAG_CF;
}

/* dst: modrm.reg; src: modrm.rm; returns the register in vvvv. */
static uint64_t third(const struct x86_work *w)
{
	return x86_reg_get(w, w->insn->vvvv & 15, w->dst.size);
}

static enum x86_result do_andn(struct x86_work *w)
{
	w->dst.val = ~third(w) & w->src.val;
	set_zsc(w, w->dst.val, false);
	return X86_DONE;
}

/* Group 17: the destination is the register in vvvv. */
static enum x86_result do_bls(struct x86_work *w)
{
	uint64_t v = w->src.val, mask = x86_mask(w->dst.size);
	bool carry = v == 0;

	switch ((w->insn->modrm >> 3) & 7) {
	case 1: /* blsr */
		w->dst.val = v & (v - 1);
		break;
	case 2: /* blsmsk */
		w->dst.val = (v ^ (v - 1)) & mask;
		break;
	case 3: /* blsi */
		w->dst.val = v & (0 - v);
		carry = v != 0;
		break;
	default:
		return x86_raise(w->emu, X86_VECTOR_UD);
	}
	set_zsc(w, w->dst.val, carry);
	return X86_DONE;
}

static enum x86_result do_bzhi(struct x86_work *w)
{
	unsigned index = third(w) & 0xff, bits = 8 * w->dst.size;

	w->dst.val = index < bits ? w->src.val & ((1ull << index) - 1) : w->src.val;
	set_zsc(w, w->dst.val, index >= bits);
	return X86_DONE;
}

static enum x86_result do_bextr(struct x86_work *w)
{
	unsigned start = third(w) & 0xff, len = (third(w) >> 8) & 0xff;
	uint64_t v = start < 64 ? w->src.val >> start : 0;

	w->dst.val = len < 64 ? v & ((1ull << len) - 1) : v;
	set_zsc(w, w->dst.val, false);
	return X86_DONE;
}

static enum x86_result do_pdep(struct x86_work *w)
{
	uint64_t mask = w->src.val, from = third(w), bit;

	for (w->dst.val = 0; mask; mask &= mask - 1, from >>= 1) {
		bit = mask & (0 - mask);
		if (from & 1)
			w->dst.val |= bit;
	}
	return X86_DONE;
}

static enum x86_result do_pext(struct x86_work *w)
{
	uint64_t mask = w->src.val, from = third(w), to = 1;

	for (w->dst.val = 0; mask; mask &= mask - 1, to <<= 1)
		if (from & mask & (0 - mask))
			w->dst.val |= to;
	return X86_DONE;
}

static enum x86_result do_mulx(struct x86_work *w)
{
	unsigned size = w->dst.size;
	unsigned __int128 product = (unsigned __int128)x86_reg_get(w, X86_RDX, size) * w->src.val;

	/* The low half first: when both destinations are one register, the high half stays. */
	x86_reg_set(w, w->insn->vvvv & 15, size, (uint64_t)product);
	w->dst.val = (uint64_t)(product >> (8 * size)) & x86_mask(size);
	return X86_DONE;
}

static enum x86_result do_shiftx(struct x86_work *w)
{
	uint64_t scratch = 0;
	unsigned op = w->insn->pp == X86_PP_66 ? 4 : w->insn->pp == X86_PP_F3 ? 7 : 5;

	w->dst.val = x86_shift(&scratch, op, w->src.val, third(w) & 0xff, w->dst.size);
	return X86_DONE;
}

static enum x86_result do_rorx(struct x86_work *w)
{
	uint64_t scratch = 0;

	w->dst.val = x86_shift(&scratch, 1, w->src.val, w->insn->imm & 0xff, w->dst.size);
	return X86_DONE;
}

#define ROW(fn)                                                      \
	{                                                            \
		fn, X86_O_G, X86_O_E, X86_ALLOW_DATA, X86_R_WRITE, 0 \
	}
#define ROW_V(fn)                                                    \
	{                                                            \
		fn, X86_O_V, X86_O_E, X86_ALLOW_DATA, X86_R_WRITE, 0 \
	}

static const struct {
	uint8_t map, opcode, pp;
	struct x86_row row;
} rows[] = {
	{ 2, 0xf2, X86_PP_NONE, ROW(do_andn) },  { 2, 0xf3, X86_PP_NONE, ROW_V(do_bls) },
	{ 2, 0xf5, X86_PP_NONE, ROW(do_bzhi) },  { 2, 0xf5, X86_PP_F3, ROW(do_pext) },
	{ 2, 0xf5, X86_PP_F2, ROW(do_pdep) },    { 2, 0xf6, X86_PP_F2, ROW(do_mulx) },
	{ 2, 0xf7, X86_PP_NONE, ROW(do_bextr) }, { 2, 0xf7, X86_PP_66, ROW(do_shiftx) },
	{ 2, 0xf7, X86_PP_F3, ROW(do_shiftx) },  { 2, 0xf7, X86_PP_F2, ROW(do_shiftx) },
	{ 3, 0xf0, X86_PP_F2, ROW(do_rorx) },
};

const struct x86_row *x86_bmi_row(const struct x86_insn *insn)
{
	unsigned i;

	if (insn->encoding != X86_ENC_VEX || insn->vl)
		return NULL;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].map == insn->map && rows[i].opcode == insn->opcode &&
		    rows[i].pp == insn->pp)
			return &rows[i].row;
	return NULL;
}
