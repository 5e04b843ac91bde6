/* SPDX-License-Identifier: MIT */
/*
 * Segment registers and far transfers. What a selector means is the caller's business
 * (ops.load_segment, ops.load_code); here are the operands, the stack frames and the order.
 */
#include "hypervisor-stub/core/x86/emulate.h"

/* The hidden part that real mode gives: nothing is looked up. */
static struct x86_segment real_segment(uint16_t selector)
{
	return (struct x86_segment){
		.selector = selector,
		.base = (uint64_t)selector << 4,
		.limit = 0xffff,
		.attr = X86_DESC_PRESENT | X86_DESC_S | X86_DESC_RW,
	};
}

static void store_segment(struct x86_work *w, enum x86_seg seg, const struct x86_segment *s)
{
	switch (seg) {
	case X86_SEG_ES:
		w->r.es = s->selector;
		break;
	case X86_SEG_CS:
		w->r.cs = s->selector;
		break;
	case X86_SEG_SS:
		w->r.ss = s->selector;
		break;
	case X86_SEG_DS:
		w->r.ds = s->selector;
		break;
	case X86_SEG_FS:
		w->r.fs = s->selector;
		w->r.fs_base = s->base;
		break;
	case X86_SEG_GS:
		w->r.gs = s->selector;
		if (x86_in_kernel(w))
			w->r.gs_base_kernel = s->base;
		else
			w->r.gs_base_user = s->base;
		break;
	default:
		break;
	}
	w->emu->segment[seg] = *s;
	w->loaded |= 1u << seg;
}

enum x86_result x86_load_segment(struct x86_work *w, enum x86_seg seg, uint16_t selector)
{
	struct x86_segment s = real_segment(selector);
	enum x86_result rc;

	if (w->emu->ops->load_segment) {
		rc = w->emu->ops->load_segment(w->emu, seg, selector, &s);
		if (rc != X86_DONE)
			return rc;
	} else if (!(w->emu->flags & X86_EMU_REAL)) {
		return X86_UNHANDLED;
	}
	store_segment(w, seg, &s);
	return X86_DONE;
}

/* Looks a code selector up and checks the target against what it gives; nothing is changed yet. */
static enum x86_result look_up_code(struct x86_work *w, enum x86_transfer kind, uint16_t selector,
                                    uint64_t target, struct x86_segment *cs)
{
	enum x86_result rc;

	*cs = real_segment(selector);
	if (w->emu->ops->load_code) {
		rc = w->emu->ops->load_code(w->emu, kind, selector, cs);
		if (rc != X86_DONE)
			return rc;
	} else if (!(w->emu->flags & X86_EMU_REAL)) {
		return X86_UNHANDLED;
	}
	if (cs->attr & X86_DESC_L ? !x86_is_canonical(target) : (uint32_t)target > cs->limit)
		return x86_raise_error(w->emu, X86_VECTOR_GP, 0);
	return X86_DONE;
}

static void enter_code(struct x86_work *w, const struct x86_segment *cs, uint64_t target)
{
	store_segment(w, X86_SEG_CS, cs);
	w->r.rip = cs->attr & X86_DESC_L ? target : (uint32_t)target;
}

/* ---- mov, push, pop ------------------------------------------------------------------------- */

static uint16_t selector_in(const struct x86_work *w, enum x86_seg seg)
{
	switch (seg) {
	case X86_SEG_ES:
		return w->r.es;
	case X86_SEG_CS:
		return w->r.cs;
	case X86_SEG_SS:
		return w->r.ss;
	case X86_SEG_DS:
		return w->r.ds;
	case X86_SEG_FS:
		return w->r.fs;
	default:
		return w->r.gs;
	}
}

static unsigned modrm_segment(const struct x86_work *w)
{
	return (w->insn->modrm >> 3) & 7;
}

enum x86_result x86_do_mov_from_sreg(struct x86_work *w)
{
	if (modrm_segment(w) > X86_SEG_GS)
		return x86_raise(w->emu, X86_VECTOR_UD);
	w->dst.val = selector_in(w, modrm_segment(w));
	return X86_DONE;
}

static enum x86_result load_and_shadow(struct x86_work *w, enum x86_seg seg, uint16_t selector)
{
	if (seg == X86_SEG_SS)
		w->retired |= X86_RETIRED_MOV_SS;
	return x86_load_segment(w, seg, selector);
}

enum x86_result x86_do_mov_to_sreg(struct x86_work *w)
{
	unsigned seg = modrm_segment(w);

	if (seg > X86_SEG_GS || seg == X86_SEG_CS)
		return x86_raise(w->emu, X86_VECTOR_UD);
	return load_and_shadow(w, seg, (uint16_t)w->src.val);
}

/* 06 0e 16 1e push, 07 17 1f pop; 0f a0, a8 push, 0f a1, a9 pop */
static enum x86_seg opcode_segment(const struct x86_work *w)
{
	if (w->insn->map == X86_MAP_0F)
		return w->insn->opcode < 0xa8 ? X86_SEG_FS : X86_SEG_GS;
	return w->insn->opcode >> 3;
}

enum x86_result x86_do_push_sreg(struct x86_work *w)
{
	return x86_push(w, w->insn->opsize, selector_in(w, opcode_segment(w)));
}

enum x86_result x86_do_pop_sreg(struct x86_work *w)
{
	uint64_t selector = 0;
	enum x86_result rc = x86_pop(w, w->insn->opsize, &selector);

	if (rc != X86_DONE)
		return rc;
	return load_and_shadow(w, opcode_segment(w), (uint16_t)selector);
}

/* ---- far pointers in memory ------------------------------------------------------------------ */

/* AMD's processors have no 64-bit far pointers. */
static unsigned far_size(const struct x86_work *w)
{
	return w->insn->opsize == 8 && w->insn->amd ? 4 : w->insn->opsize;
}

static enum x86_result read_far(struct x86_work *w, uint64_t *offset, uint16_t *selector)
{
	unsigned size = far_size(w);
	uint8_t image[10] = { 0 };
	enum x86_result rc = x86_mem_read(w, X86_READ, w->insn->seg, x86_ea(w), image, size + 2);

	*offset = x86_unpack(image, size);
	*selector = (uint16_t)x86_unpack(image + size, 2);
	return rc;
}

/* les (c4), lds (c5); lss, lfs, lgs (0f b2, b4, b5) */
enum x86_result x86_do_load_far(struct x86_work *w)
{
	uint64_t offset;
	uint16_t selector;
	enum x86_seg seg;
	enum x86_result rc = read_far(w, &offset, &selector);

	if (rc != X86_DONE)
		return rc;
	if (w->insn->map == X86_MAP_0F)
		seg = w->insn->opcode & 7;
	else
		seg = w->insn->opcode == 0xc4 ? X86_SEG_ES : X86_SEG_DS;
	rc = x86_load_segment(w, seg, selector);
	if (rc == X86_DONE)
		x86_reg_set(w, w->insn->reg, far_size(w), offset);
	return rc;
}

/* ---- far jumps and calls --------------------------------------------------------------------- */

/* The return address goes to the stack in one write, after the target has been accepted. */
static enum x86_result push_far_return(struct x86_work *w, unsigned size)
{
	uint8_t image[16] = { 0 };
	unsigned stack;
	enum x86_result rc = x86_stack_size(w, &stack);

	if (rc != X86_DONE)
		return rc;
	x86_pack(image, w->next_rip & x86_mask(size), size);
	x86_pack(image + size, w->r.cs, size);
	x86_stack_move(w, stack, (uint64_t)0 - 2 * size);
	return x86_mem_write(w, X86_SEG_SS, w->r.rsp & x86_mask(stack), image, 2 * size);
}

static enum x86_result go_far(struct x86_work *w, bool is_call, uint16_t selector, uint64_t target,
                              unsigned size)
{
	struct x86_segment cs;
	enum x86_result rc = look_up_code(w, is_call ? X86_FAR_CALL : X86_FAR_JMP, selector, target,
	                                  &cs);

	if (rc == X86_DONE && is_call)
		rc = push_far_return(w, size);
	if (rc == X86_DONE)
		enter_code(w, &cs, target);
	return rc;
}

/* 9a, ea: pointer in the instruction */
enum x86_result x86_do_jmp_far(struct x86_work *w)
{
	unsigned size = w->insn->opsize;

	return go_far(w, w->insn->opcode == 0x9a, w->insn->imm2, w->insn->imm & x86_mask(size),
	              size);
}

/* ff /3, ff /5: pointer in memory */
enum x86_result x86_do_jmp_far_mem(struct x86_work *w)
{
	uint64_t target;
	uint16_t selector;
	enum x86_result rc = read_far(w, &target, &selector);

	if (rc != X86_DONE)
		return rc;
	return go_far(w, (w->insn->modrm & 0x38) == 0x18, selector, target, far_size(w));
}

/* ---- returns --------------------------------------------------------------------------------- */

/* A frame popped from the stack, of `count` fields of the operand size. */
static enum x86_result read_frame(struct x86_work *w, unsigned first, unsigned count,
                                  uint64_t *field)
{
	unsigned size = w->insn->opsize, stack, i;
	uint8_t image[40] = { 0 };
	enum x86_result rc = x86_stack_size(w, &stack);

	if (rc == X86_DONE)
		rc = x86_mem_read(w, X86_READ, X86_SEG_SS,
		                  (w->r.rsp + first * size) & x86_mask(stack), image, count * size);
	for (i = 0; i < count; i++)
		field[i] = x86_unpack(image + i * size, size);
	return rc;
}

static bool goes_outward(const struct x86_work *w, const struct x86_segment *cs)
{
	return !(w->emu->flags & X86_EMU_REAL) && (cs->selector & 3u) > w->emu->cpl;
}

/* The outer stack: ss is loaded by the rules of the new privilege, which the callback knows. */
static enum x86_result switch_stack(struct x86_work *w, uint64_t rsp, uint16_t ss)
{
	enum x86_result rc = x86_load_segment(w, X86_SEG_SS, ss);

	if (rc == X86_DONE)
		x86_reg_set(w, X86_RSP, w->insn->opsize == 2 ? 2 : w->insn->opsize, rsp);
	return rc;
}

enum x86_result x86_do_retf(struct x86_work *w)
{
	unsigned size = w->insn->opsize, stack, drop = w->insn->imm & 0xffff;
	struct x86_segment cs;
	uint64_t frame[2], outer[2];
	enum x86_result rc = read_frame(w, 0, 2, frame);

	if (rc == X86_DONE)
		rc = look_up_code(w, X86_FAR_RET, (uint16_t)frame[1], frame[0], &cs);
	if (rc == X86_DONE)
		rc = x86_stack_size(w, &stack);
	if (rc != X86_DONE)
		return rc;
	x86_stack_move(w, stack, 2 * size + drop);
	if (goes_outward(w, &cs)) {
		rc = read_frame(w, 0, 2, outer);
		if (rc == X86_DONE)
			rc = switch_stack(w, outer[0], (uint16_t)outer[1]);
		if (rc != X86_DONE)
			return rc;
		x86_stack_move(w, stack, drop);
	}
	enter_code(w, &cs, frame[0]);
	return X86_DONE;
}

/* The flags that iret loads: those of popf, and RF. */
static void load_flags(struct x86_work *w, uint64_t image)
{
	uint64_t rf = w->insn->opsize > 2 ? X86_FLAG_RF : 0;

	w->r.rflags = x86_flags_from_image(w, image, w->insn->opsize);
	w->r.rflags = (w->r.rflags & ~rf) | (image & rf);
	w->keep_rf = rf;
}

/*
 * iret. 64-bit code always pops rsp and ss; other code only when it goes outward. A nested task (NT)
 * and a return to virtual-8086 mode are not done.
 */
enum x86_result x86_do_iret(struct x86_work *w)
{
	bool real = w->emu->flags & X86_EMU_REAL;
	struct x86_segment cs;
	uint64_t frame[5] = { 0 };
	unsigned stack;
	enum x86_result rc;

	if (!real && (w->r.rflags & X86_FLAG_NT))
		return w->insn->mode == X86_MODE_64 ? x86_raise_error(w->emu, X86_VECTOR_GP, 0)
		                                    : X86_UNHANDLED;
	rc = read_frame(w, 0, w->insn->mode == X86_MODE_64 ? 5 : 3, frame);
	if (rc == X86_DONE && !real && w->insn->mode != X86_MODE_64 && (frame[2] & X86_FLAG_VM) &&
	    w->emu->cpl == 0)
		return X86_UNHANDLED;
	if (rc == X86_DONE)
		rc = look_up_code(w, X86_FAR_IRET, (uint16_t)frame[1], frame[0], &cs);
	if (rc == X86_DONE)
		rc = x86_stack_size(w, &stack);
	if (rc == X86_DONE && w->insn->mode != X86_MODE_64 && goes_outward(w, &cs))
		rc = read_frame(w, 3, 2, frame + 3);
	if (rc != X86_DONE)
		return rc;
	if (w->insn->mode == X86_MODE_64 || goes_outward(w, &cs))
		rc = switch_stack(w, frame[3], (uint16_t)frame[4]);
	else
		x86_stack_move(w, stack, 3 * w->insn->opsize);
	if (rc != X86_DONE)
		return rc;
	load_flags(w, frame[2]);
	enter_code(w, &cs, frame[0]);
	return X86_DONE;
}
