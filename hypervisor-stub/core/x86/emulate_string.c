/* SPDX-License-Identifier: MIT */
/*
 * String instructions, single and repeated.
 *
 * A repeated one does up to emu->max_reps elements per call. After each element the state is one
 * from which the instruction can be resumed: counter and pointers say what is left. When the
 * allowance ends, or an element fails that is not the first, the finished ones are committed as an
 * interrupt would leave them (w->partial); what failed shows itself as the first element next time.
 */
#include <string.h>

#include "hypervisor-stub/core/x86/emulate.h"

#define DEFAULT_MAX_REPS 4096

static bool is_repeated(const struct x86_insn *insn)
{
	return insn->prefix & (X86_PFX_REP | X86_PFX_REPNE);
}

/* Element size: the low bit of the opcode chooses between a byte and the operand size. */
static unsigned element_size(const struct x86_work *w)
{
	if (!(w->insn->opcode & 1))
		return 1;
	if (w->insn->opcode < 0x70 && w->insn->opsize == 8)
		return 4; /* ins and outs know no 64-bit ports */
	return w->insn->opsize;
}

static uint64_t source_offset(const struct x86_work *w)
{
	return x86_reg_get(w, X86_RSI, w->insn->addrsize);
}

static uint64_t target_offset(const struct x86_work *w)
{
	return x86_reg_get(w, X86_RDI, w->insn->addrsize);
}

static enum x86_seg source_segment(const struct x86_work *w)
{
	return w->insn->seg_override != X86_SEG_NONE ? w->insn->seg_override : X86_SEG_DS;
}

static void step(struct x86_work *w, unsigned reg, unsigned size)
{
	uint64_t delta = w->r.rflags & X86_FLAG_DF ? (uint64_t)0 - size : size;
	unsigned width = w->insn->addrsize;

	x86_reg_set(w, reg, width, x86_reg_get(w, reg, width) + delta);
}

/* cmps and scas stop on the flag that the prefix names. */
static bool ends_by_flag(const struct x86_work *w)
{
	bool zero = w->r.rflags & X86_FLAG_ZF;
	unsigned op = w->insn->opcode & 0xfe;

	if (op != 0xa6 && op != 0xae)
		return false;
	return w->insn->prefix & X86_PFX_REPNE ? zero : !zero;
}

/* Runs `element` once, or as often as the counter and the allowance say. */
static enum x86_result repeat(struct x86_work *w, enum x86_result (*element)(struct x86_work *))
{
	unsigned width = w->insn->addrsize;
	uint32_t allowance = w->emu->max_reps ? w->emu->max_reps : DEFAULT_MAX_REPS;
	uint64_t count = x86_reg_get(w, X86_RCX, width);
	enum x86_result rc;

	if (!is_repeated(w->insn))
		return element(w);
	if (w->r.rflags & X86_FLAG_TF)
		allowance = 1;
	for (; count > 0; allowance--) {
		struct hv_regs before = w->r;

		if (allowance == 0)
			return X86_DONE;
		rc = element(w);
		if (rc != X86_DONE) {
			w->r = before; /* an element is done wholly or not */
			return w->partial ? X86_DONE : rc;
		}
		count--;
		x86_reg_set(w, X86_RCX, width, count);
		if (ends_by_flag(w))
			break;
		w->partial = true;
	}
	w->partial = false;
	return X86_DONE;
}

static enum x86_result movs_element(struct x86_work *w)
{
	unsigned size = element_size(w);
	uint64_t value = 0;
	enum x86_result rc = x86_mem_get(w, source_segment(w), source_offset(w), size, &value);

	if (rc == X86_DONE)
		rc = x86_mem_put(w, X86_SEG_ES, target_offset(w), size, value);
	if (rc != X86_DONE)
		return rc;
	step(w, X86_RSI, size);
	step(w, X86_RDI, size);
	return X86_DONE;
}

static enum x86_result cmps_element(struct x86_work *w)
{
	unsigned size = element_size(w);
	uint64_t a = 0, b = 0;
	enum x86_result rc = x86_mem_get(w, source_segment(w), source_offset(w), size, &a);

	if (rc == X86_DONE)
		rc = x86_mem_get(w, X86_SEG_ES, target_offset(w), size, &b);
	if (rc != X86_DONE)
		return rc;
	x86_sub(&w->r.rflags, a, b, false, size);
	step(w, X86_RSI, size);
	step(w, X86_RDI, size);
	return X86_DONE;
}

static enum x86_result stos_element(struct x86_work *w)
{
	unsigned size = element_size(w);
	enum x86_result rc = x86_mem_put(w, X86_SEG_ES, target_offset(w), size,
	                                 x86_reg_get(w, X86_RAX, size));

	if (rc == X86_DONE)
		step(w, X86_RDI, size);
	return rc;
}

static enum x86_result lods_element(struct x86_work *w)
{
	unsigned size = element_size(w);
	uint64_t value = 0;
	enum x86_result rc = x86_mem_get(w, source_segment(w), source_offset(w), size, &value);

	if (rc != X86_DONE)
		return rc;
	x86_reg_set(w, X86_RAX, size, value);
	step(w, X86_RSI, size);
	return X86_DONE;
}

static enum x86_result scas_element(struct x86_work *w)
{
	unsigned size = element_size(w);
	uint64_t value = 0;
	enum x86_result rc = x86_mem_get(w, X86_SEG_ES, target_offset(w), size, &value);

	if (rc != X86_DONE)
		return rc;
	x86_sub(&w->r.rflags, x86_reg_get(w, X86_RAX, size), value, false, size);
	step(w, X86_RDI, size);
	return X86_DONE;
}

/* The target is touched before the port, since reading a port cannot be undone. */
static enum x86_result ins_element(struct x86_work *w)
{
	unsigned size = element_size(w);
	uint8_t probe[8];
	uint32_t value = 0;
	enum x86_result rc;

	if (!w->emu->ops->port_in)
		return X86_UNHANDLED;
	rc = x86_mem_read(w, X86_READ_FOR_WRITE, X86_SEG_ES, target_offset(w), probe, size);
	if (rc == X86_DONE)
		rc = w->emu->ops->port_in(w->emu, (uint16_t)w->r.rdx, size, &value);
	if (rc == X86_DONE)
		rc = x86_mem_put(w, X86_SEG_ES, target_offset(w), size, value);
	if (rc == X86_DONE)
		step(w, X86_RDI, size);
	return rc;
}

static enum x86_result outs_element(struct x86_work *w)
{
	unsigned size = element_size(w);
	uint64_t value = 0;
	enum x86_result rc;

	if (!w->emu->ops->port_out)
		return X86_UNHANDLED;
	rc = x86_mem_get(w, source_segment(w), source_offset(w), size, &value);
	if (rc == X86_DONE)
		rc = w->emu->ops->port_out(w->emu, (uint16_t)w->r.rdx, size, (uint32_t)value);
	if (rc == X86_DONE)
		step(w, X86_RSI, size);
	return rc;
}

enum x86_result x86_do_movs(struct x86_work *w)
{
	return repeat(w, movs_element);
}

enum x86_result x86_do_cmps(struct x86_work *w)
{
	return repeat(w, cmps_element);
}

enum x86_result x86_do_stos(struct x86_work *w)
{
	return repeat(w, stos_element);
}

enum x86_result x86_do_lods(struct x86_work *w)
{
	return repeat(w, lods_element);
}

enum x86_result x86_do_scas(struct x86_work *w)
{
	return repeat(w, scas_element);
}

enum x86_result x86_do_ins(struct x86_work *w)
{
	return repeat(w, ins_element);
}

enum x86_result x86_do_outs(struct x86_work *w)
{
	return repeat(w, outs_element);
}
