/* SPDX-License-Identifier: MIT */
/*
 * Segmentation, memory access and the stack. All of the emulator's memory traffic passes
 * x86_linear(), which is the one place that checks limits and canonical form.
 */
#include <string.h>

#include "hypervisor-stub/core/x86/emulate.h"

static uint16_t selector_of(const struct hv_regs *r, enum x86_seg seg)
{
	switch (seg) {
	case X86_SEG_ES:
		return r->es;
	case X86_SEG_CS:
		return r->cs;
	case X86_SEG_SS:
		return r->ss;
	case X86_SEG_DS:
		return r->ds;
	case X86_SEG_FS:
		return r->fs;
	case X86_SEG_GS:
		return r->gs;
	default:
		return 0;
	}
}

/*
 * The hidden part of a segment register outside 64-bit code. A register that this very instruction
 * has loaded (in a far transfer) is not looked at through here.
 */
enum x86_result x86_segment_get(struct x86_emu *emu, const struct hv_regs *r, enum x86_seg seg,
                                struct x86_segment *out)
{
	memset(out, 0, sizeof(*out));
	if (emu->ops->get_segment)
		return emu->ops->get_segment(emu, seg, out);
	if (seg == X86_SEG_LDTR || seg == X86_SEG_TR)
		return X86_UNHANDLED;
	out->selector = selector_of(r, seg);
	out->attr = X86_DESC_PRESENT | X86_DESC_S | X86_DESC_RW;
	if (seg == X86_SEG_CS)
		out->attr |= X86_DESC_CODE;
	if (emu->flags & X86_EMU_REAL) {
		/* Real mode writes through CS, too. */
		out->attr &= (uint16_t)~X86_DESC_CODE;
		out->base = (uint64_t)out->selector << 4;
		out->limit = 0xffff;
	} else {
		out->attr |= X86_DESC_DB;
		out->limit = 0xffffffff;
	}
	return X86_DONE;
}

static enum x86_result raise_for(struct x86_work *w, enum x86_seg seg)
{
	return x86_raise_error(w->emu, seg == X86_SEG_SS ? X86_VECTOR_SS : X86_VECTOR_GP, 0);
}

static bool within_limit(const struct x86_segment *s, uint64_t off, unsigned len)
{
	uint64_t last = off + len - 1;
	bool expands_down = (s->attr & (X86_DESC_CODE | X86_DESC_DOWN)) == X86_DESC_DOWN;

	if (expands_down)
		return off > s->limit && last <= (s->attr & X86_DESC_DB ? 0xffffffffu : 0xffffu);
	return last <= s->limit;
}

static bool type_allows(const struct x86_segment *s, enum x86_access kind)
{
	bool code = s->attr & X86_DESC_CODE;

	if (!(s->attr & X86_DESC_PRESENT))
		return false;
	if (kind == X86_FETCH)
		return true;
	if (kind == X86_READ)
		return !code || (s->attr & X86_DESC_RW);
	return !code && (s->attr & X86_DESC_RW);
}

static enum x86_result linear_segmented(struct x86_work *w, enum x86_seg seg, uint64_t off,
                                        unsigned len, enum x86_access kind, uint64_t *addr)
{
	struct x86_segment s;
	enum x86_result rc = x86_segment_get(w->emu, &w->r, seg, &s);

	if (rc != X86_DONE)
		return rc;
	if (!type_allows(&s, kind))
		return x86_raise_error(w->emu, X86_VECTOR_GP, 0);
	if (!within_limit(&s, off, len))
		return raise_for(w, seg);
	*addr = (uint32_t)(s.base + off);
	return X86_DONE;
}

/*
 * x86_linear - the linear address of len bytes (1 to 4096) at an offset in a segment, checked
 *
 * Returns X86_DONE and *addr, or X86_FAULT with #GP(0) or #SS(0).
 */
enum x86_result x86_linear(struct x86_work *w, enum x86_seg seg, uint64_t off, unsigned len,
                           enum x86_access kind, uint64_t *addr)
{
	uint64_t lin = off;

	if ((w->emu->mode & ~(unsigned)X86_MODE_AMD) != X86_MODE_64)
		return linear_segmented(w, seg, (uint32_t)off, len, kind, addr);
	if (seg == X86_SEG_FS)
		lin += w->r.fs_base;
	else if (seg == X86_SEG_GS)
		lin += x86_in_kernel(w) ? w->r.gs_base_kernel : w->r.gs_base_user;
	if (!x86_is_canonical(lin) || !x86_is_canonical(lin + len - 1))
		return raise_for(w, seg);
	*addr = lin;
	return X86_DONE;
}

enum x86_result x86_mem_read(struct x86_work *w, enum x86_access kind, enum x86_seg seg,
                             uint64_t off, void *buf, unsigned len)
{
	uint64_t addr;
	enum x86_result rc = x86_linear(w, seg, off, len, kind, &addr);

	if (rc != X86_DONE)
		return rc;
	if (!w->emu->ops->read)
		return X86_UNHANDLED;
	return w->emu->ops->read(w->emu, kind, addr, buf, len);
}

enum x86_result x86_mem_write(struct x86_work *w, enum x86_seg seg, uint64_t off, const void *buf,
                              unsigned len)
{
	uint64_t addr;
	enum x86_result rc = x86_linear(w, seg, off, len, X86_WRITE, &addr);

	if (rc != X86_DONE)
		return rc;
	if (!w->emu->ops->write)
		return X86_UNHANDLED;
	return w->emu->ops->write(w->emu, addr, buf, len);
}

enum x86_result x86_mem_get(struct x86_work *w, enum x86_seg seg, uint64_t off, unsigned size,
                            uint64_t *value)
{
	uint8_t buf[8] = { 0 };
	enum x86_result rc = x86_mem_read(w, X86_READ, seg, off, buf, size);

	if (rc == X86_DONE)
		*value = x86_unpack(buf, size);
	return rc;
}

enum x86_result x86_mem_put(struct x86_work *w, enum x86_seg seg, uint64_t off, unsigned size,
                            uint64_t value)
{
	uint8_t buf[8];

	x86_pack(buf, value, size);
	return x86_mem_write(w, seg, off, buf, size);
}

/* Little-endian bytes to number and back, whatever the host's order. */
uint64_t x86_unpack(const uint8_t *buf, unsigned size)
{
	uint64_t value = 0;
	unsigned i;

	for (i = 0; i < size; i++)
		value |= (uint64_t)buf[i] << (8 * i);
	return value;
}

void x86_pack(uint8_t *buf, uint64_t value, unsigned size)
{
	unsigned i;

	for (i = 0; i < size; i++)
		buf[i] = (uint8_t)(value >> (8 * i));
}

/* ---- the stack ----------------------------------------------------------------------------- */

/* How much of rsp counts: 8 in 64-bit code, else 4 or 2 by SS.B. */
enum x86_result x86_stack_size(struct x86_work *w, unsigned *bytes)
{
	struct x86_segment ss;
	enum x86_result rc;

	*bytes = 8;
	if (w->insn->mode == X86_MODE_64)
		return X86_DONE;
	rc = x86_segment_get(w->emu, &w->r, X86_SEG_SS, &ss);
	*bytes = ss.attr & X86_DESC_DB ? 4 : 2;
	return rc;
}

/* Adds delta (modulo the stack size) to rsp; bits above the stack size stay. */
void x86_stack_move(struct x86_work *w, unsigned stack_bytes, uint64_t delta)
{
	uint64_t mask = x86_mask(stack_bytes);

	w->r.rsp = (w->r.rsp & ~mask) | ((w->r.rsp + delta) & mask);
}

enum x86_result x86_push(struct x86_work *w, unsigned size, uint64_t value)
{
	unsigned stack;
	enum x86_result rc = x86_stack_size(w, &stack);

	if (rc != X86_DONE)
		return rc;
	x86_stack_move(w, stack, (uint64_t)0 - size);
	return x86_mem_put(w, X86_SEG_SS, w->r.rsp & x86_mask(stack), size, value);
}

enum x86_result x86_pop(struct x86_work *w, unsigned size, uint64_t *value)
{
	unsigned stack;
	enum x86_result rc = x86_stack_size(w, &stack);

	if (rc != X86_DONE)
		return rc;
	rc = x86_mem_get(w, X86_SEG_SS, w->r.rsp & x86_mask(stack), size, value);
	if (rc == X86_DONE)
		x86_stack_move(w, stack, size);
	return rc;
}
