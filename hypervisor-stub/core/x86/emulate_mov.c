/* SPDX-License-Identifier: MIT */
/*
 * Moves: between registers and memory, to and from the stack, and single flags.
 */
#include "hypervisor-stub/core/x86/emulate.h"

enum x86_result x86_do_nop(struct x86_work *w)
{
	(void)w;
	return X86_DONE;
}

/* ud0, ud1, ud2: defined to be undefined */
enum x86_result x86_do_ud(struct x86_work *w)
{
	return x86_raise(w->emu, X86_VECTOR_UD);
}

/* mov, movzx, movnti, movdiri: the source comes zero-extended. */
enum x86_result x86_do_mov(struct x86_work *w)
{
	w->dst.val = w->src.val;
	return X86_DONE;
}

enum x86_result x86_do_movsx(struct x86_work *w)
{
	w->dst.val = x86_sign_extend(w->src.val, w->src.size) & x86_mask(w->dst.size);
	return X86_DONE;
}

enum x86_result x86_do_xchg(struct x86_work *w)
{
	uint64_t old = w->dst.val;

	w->dst.val = w->src.val;
	w->src.val = old;
	return x86_opd_store(w, &w->src);
}

enum x86_result x86_do_lea(struct x86_work *w)
{
	w->dst.val = w->src.off & x86_mask(w->dst.size);
	return X86_DONE;
}

/* A condition that does not hold still clears the upper half of a 32-bit destination. */
enum x86_result x86_do_cmov(struct x86_work *w)
{
	if (x86_condition(w->r.rflags, w->insn->opcode & 15))
		w->dst.val = w->src.val;
	return X86_DONE;
}

enum x86_result x86_do_setcc(struct x86_work *w)
{
	w->dst.val = x86_condition(w->r.rflags, w->insn->opcode & 15);
	return X86_DONE;
}

enum x86_result x86_do_xlat(struct x86_work *w)
{
	uint64_t mask = x86_mask(w->insn->addrsize);
	uint64_t off = (w->r.rbx + (w->r.rax & 0xff)) & mask;
	unsigned seg = w->insn->seg_override != X86_SEG_NONE ? w->insn->seg_override : X86_SEG_DS;
	uint64_t value = 0;
	enum x86_result rc = x86_mem_get(w, seg, off, 1, &value);

	if (rc == X86_DONE)
		x86_reg_set(w, X86_RAX, 1, value);
	return rc;
}

/* bound of 16- and 32-bit code: #BR when the index lies outside the pair in memory. */
enum x86_result x86_do_bound(struct x86_work *w)
{
	unsigned size = w->insn->opsize;
	uint64_t off = x86_ea(w), low = 0, high = 0;
	int64_t index = (int64_t)x86_sign_extend(x86_reg_get(w, w->insn->reg, size), size);
	enum x86_result rc = x86_mem_get(w, w->insn->seg, off, size, &low);

	if (rc == X86_DONE)
		rc = x86_mem_get(w, w->insn->seg, off + size, size, &high);
	if (rc != X86_DONE)
		return rc;
	if (index < (int64_t)x86_sign_extend(low, size) ||
	    index > (int64_t)x86_sign_extend(high, size))
		return x86_raise(w->emu, X86_VECTOR_BR);
	return X86_DONE;
}

/* ---- stack --------------------------------------------------------------------------------- */

enum x86_result x86_do_push(struct x86_work *w)
{
	return x86_push(w, w->insn->opsize, w->src.val);
}

/* rsp moves before the register is written, so `pop rsp` gets the popped value. */
enum x86_result x86_do_pop(struct x86_work *w)
{
	return x86_pop(w, w->insn->opsize, &w->dst.val);
}

/* pop to memory: the address is computed with rsp as it is after the pop. */
enum x86_result x86_do_pop_rm(struct x86_work *w)
{
	enum x86_result rc;
	uint64_t value = 0;

	rc = x86_pop(w, w->insn->opsize, &value);
	if (rc != X86_DONE)
		return rc;
	w->dst = x86_opd_rm(w, w->insn->opsize);
	w->dst.val = value;
	return x86_opd_store(w, &w->dst);
}

/* All eight in one write: pusha has no half-done state. */
enum x86_result x86_do_pusha(struct x86_work *w)
{
	unsigned i, stack, size = w->insn->opsize;
	uint8_t image[32];
	enum x86_result rc = x86_stack_size(w, &stack);

	if (rc != X86_DONE)
		return rc;
	for (i = 0; i < 8; i++)
		x86_pack(image + i * size, x86_reg_get(w, 7 - i, size), size);
	x86_stack_move(w, stack, (uint64_t)0 - 8 * size);
	return x86_mem_write(w, X86_SEG_SS, w->r.rsp & x86_mask(stack), image, 8 * size);
}

enum x86_result x86_do_popa(struct x86_work *w)
{
	unsigned i, stack, size = w->insn->opsize;
	uint8_t image[32] = { 0 };
	enum x86_result rc = x86_stack_size(w, &stack);

	if (rc == X86_DONE)
		rc = x86_mem_read(w, X86_READ, X86_SEG_SS, w->r.rsp & x86_mask(stack), image,
		                  8 * size);
	if (rc != X86_DONE)
		return rc;
	x86_stack_move(w, stack, 8 * size);
	for (i = 0; i < 8; i++)
		if (7 - i != X86_RSP)
			x86_reg_set(w, 7 - i, size, x86_unpack(image + i * size, size));
	return X86_DONE;
}

enum x86_result x86_do_pushf(struct x86_work *w)
{
	uint64_t image = w->r.rflags & ~(uint64_t)(X86_FLAG_RF | X86_FLAG_VM);

	return x86_push(w, w->insn->opsize, image | X86_FLAG_ONE);
}

uint64_t x86_flags_from_image(const struct x86_work *w, uint64_t image, unsigned size)
{
	uint64_t iopl = (w->r.rflags & X86_FLAG_IOPL) >> 12;
	uint64_t mask = X86_FLAGS_ARITH | X86_FLAG_TF | X86_FLAG_DF | X86_FLAG_NT;

	if (size > 2)
		mask |= X86_FLAG_AC | X86_FLAG_ID;
	if (w->emu->cpl <= iopl)
		mask |= X86_FLAG_IF;
	if (w->emu->cpl == 0)
		mask |= X86_FLAG_IOPL;
	return (w->r.rflags & ~mask) | (image & mask);
}

enum x86_result x86_do_popf(struct x86_work *w)
{
	uint64_t image = 0;
	enum x86_result rc = x86_pop(w, w->insn->opsize, &image);

	if (rc == X86_DONE)
		w->r.rflags = x86_flags_from_image(w, image, w->insn->opsize);
	return rc;
}

static enum x86_result copy_frame_pointers(struct x86_work *w, unsigned level)
{
	unsigned size = w->insn->opsize, i, stack;
	uint64_t value = 0, rbp = w->r.rbp;
	enum x86_result rc = x86_stack_size(w, &stack);

	for (i = 1; rc == X86_DONE && i < level; i++) {
		rbp -= size;
		rc = x86_mem_get(w, X86_SEG_SS, rbp & x86_mask(stack), size, &value);
		if (rc == X86_DONE)
			rc = x86_push(w, size, value);
	}
	return rc;
}

enum x86_result x86_do_enter(struct x86_work *w)
{
	unsigned size = w->insn->opsize, level = w->insn->imm2 & 31, stack;
	uint64_t frame;
	enum x86_result rc = x86_stack_size(w, &stack);

	if (rc == X86_DONE)
		rc = x86_push(w, size, x86_reg_get(w, X86_RBP, size));
	frame = w->r.rsp;
	if (rc == X86_DONE && level > 0) {
		rc = copy_frame_pointers(w, level);
		if (rc == X86_DONE)
			rc = x86_push(w, size, frame & x86_mask(size));
	}
	if (rc != X86_DONE)
		return rc;
	x86_reg_set(w, X86_RBP, stack == 2 ? 2 : size, frame);
	x86_stack_move(w, stack, (uint64_t)0 - (w->insn->imm & 0xffff));
	return X86_DONE;
}

enum x86_result x86_do_leave(struct x86_work *w)
{
	unsigned stack;
	uint64_t value = 0;
	enum x86_result rc = x86_stack_size(w, &stack);

	if (rc != X86_DONE)
		return rc;
	x86_stack_move(w, stack, w->r.rbp - w->r.rsp);
	rc = x86_pop(w, w->insn->opsize, &value);
	if (rc == X86_DONE)
		x86_reg_set(w, X86_RBP, w->insn->opsize, value);
	return rc;
}

/* ---- flags --------------------------------------------------------------------------------- */

#define AH_FLAGS (X86_FLAG_CF | X86_FLAG_PF | X86_FLAG_AF | X86_FLAG_ZF | X86_FLAG_SF)

enum x86_result x86_do_lahf(struct x86_work *w)
{
	uint64_t ah = (w->r.rflags & AH_FLAGS) | X86_FLAG_ONE;

	w->r.rax = (w->r.rax & ~0xff00ull) | (ah << 8);
	return X86_DONE;
}

enum x86_result x86_do_sahf(struct x86_work *w)
{
	w->r.rflags = (w->r.rflags & ~(uint64_t)AH_FLAGS) | ((w->r.rax >> 8) & AH_FLAGS);
	return X86_DONE;
}

/* cmc, clc, stc, cld, std */
enum x86_result x86_do_flag(struct x86_work *w)
{
	switch (w->insn->opcode) {
	case 0xf5:
		w->r.rflags ^= X86_FLAG_CF;
		break;
	case 0xf8:
		w->r.rflags &= ~(uint64_t)X86_FLAG_CF;
		break;
	case 0xf9:
		w->r.rflags |= X86_FLAG_CF;
		break;
	case 0xfc:
		w->r.rflags &= ~(uint64_t)X86_FLAG_DF;
		break;
	default:
		w->r.rflags |= X86_FLAG_DF;
		break;
	}
	return X86_DONE;
}

/* The undocumented d6: al becomes all ones or all zeros, by the carry. */
enum x86_result x86_do_salc(struct x86_work *w)
{
	x86_reg_set(w, X86_RAX, 1, w->r.rflags & X86_FLAG_CF ? 0xff : 0);
	return X86_DONE;
}
