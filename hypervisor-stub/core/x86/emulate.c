/* SPDX-License-Identifier: MIT */
/*
 * The emulator's engine: fetch, find the row, set up operands, run, commit.
 *
 * Invariant: emu->regs is written in one place, commit(), after everything else has succeeded.
 */
#include <string.h>

#include "hypervisor-stub/core/x86/emulate.h"

#define FORCED_PREFIX_LEN 5
#define LOCK_ATTEMPTS     64 /* lost races of one locked update before the guest is simply resumed */

enum x86_result x86_raise(struct x86_emu *emu, unsigned vector)
{
	emu->fault = (struct x86_fault){ .vector = (uint8_t)vector };
	return X86_FAULT;
}

enum x86_result x86_raise_error(struct x86_emu *emu, unsigned vector, uint32_t error)
{
	emu->fault = (struct x86_fault){
		.vector = (uint8_t)vector,
		.has_error = true,
		.error = error,
	};
	return X86_FAULT;
}

enum x86_result x86_raise_page_fault(struct x86_emu *emu, uint64_t cr2, uint32_t error)
{
	x86_raise_error(emu, X86_VECTOR_PF, error);
	emu->fault.cr2 = cr2;
	return X86_FAULT;
}

bool x86_in_kernel(const struct x86_work *w)
{
	return w->emu->flags & X86_EMU_KERNEL;
}

static uint64_t wrap_rip(unsigned mode, uint64_t rip)
{
	return mode & X86_MODE_64 ? rip : (uint32_t)rip;
}

/* ---- fetch --------------------------------------------------------------------------------- */

#define PAGE 4096u

/* Appends code bytes from rip + have up to X86_INSN_MAX, not past the next page boundary. */
static enum x86_result fetch_some(struct x86_emu *emu, uint8_t *buf, unsigned *have)
{
	struct x86_work w = { .emu = emu };
	unsigned want = X86_INSN_MAX - *have;
	uint64_t off = wrap_rip(emu->mode, emu->regs->rip + *have);
	uint64_t addr;
	enum x86_result rc;

	w.r = *emu->regs;
	rc = x86_linear(&w, X86_SEG_CS, off, 1, X86_FETCH, &addr);
	if (rc != X86_DONE)
		return rc;
	if (want > PAGE - addr % PAGE)
		want = PAGE - addr % PAGE;
	/* Bytes that might lie behind the segment's limit are fetched one at a time. */
	if (x86_linear(&w, X86_SEG_CS, off, want, X86_FETCH, &addr) != X86_DONE)
		want = 1;
	if (!emu->ops->read)
		return X86_UNHANDLED;
	rc = emu->ops->read(emu, X86_FETCH, addr, buf + *have, want);
	if (rc == X86_DONE)
		*have += want;
	return rc;
}

enum x86_result x86_fetch(struct x86_emu *emu)
{
	uint8_t buf[X86_INSN_MAX];
	unsigned have = 0;
	enum x86_result rc;

	memset(&emu->insn, 0, sizeof(emu->insn));
	/* A second page is touched only when the instruction really reaches into it. */
	for (;;) {
		rc = fetch_some(emu, buf, &have);
		if (rc != X86_DONE) {
			emu->insn.len = 0;
			return rc;
		}
		switch (x86_decode(&emu->insn, buf, have, emu->mode)) {
		case X86_DECODE_OK:
			return X86_DONE;
		case X86_DECODE_SHORT:
			break;
		case X86_DECODE_LONG:
			return x86_raise_error(emu, X86_VECTOR_GP, 0);
		default:
			return x86_raise(emu, X86_VECTOR_UD);
		}
	}
}

/* ---- registers and operands ---------------------------------------------------------------- */

uint64_t x86_reg_get(const struct x86_work *w, unsigned reg, unsigned size)
{
	return x86_gpr_read(&w->r, reg) & x86_mask(size);
}

/* As the processor does it: 32-bit results clear the upper half, smaller ones leave the rest. */
void x86_reg_set(struct x86_work *w, unsigned reg, unsigned size, uint64_t value)
{
	uint64_t *gpr = x86_gpr(&w->r, reg);
	uint64_t mask = x86_mask(size);

	*gpr = size >= 4 ? value & mask : (*gpr & ~mask) | (value & mask);
}

static struct x86_operand reg_operand(const struct x86_work *w, unsigned reg, unsigned size)
{
	struct x86_operand op = { .kind = X86_OPD_REG, .size = (uint8_t)size };

	op.reg = reg & 15;
	if (size == 1 && !w->insn->rex && w->insn->encoding == X86_ENC_LEGACY && reg >= 4) {
		op.kind = X86_OPD_HIGH8;
		op.reg = reg & 3;
	}
	return op;
}

uint64_t x86_ea(const struct x86_work *w)
{
	return x86_insn_ea(w->insn, &w->r, w->next_rip);
}

struct x86_operand x86_opd_rm(struct x86_work *w, unsigned size)
{
	struct x86_operand op = { .kind = X86_OPD_MEM, .size = (uint8_t)size };

	if (!w->insn->has_mem)
		return reg_operand(w, w->insn->rm, size);
	op.seg = w->insn->seg;
	op.off = x86_ea(w);
	return op;
}

struct x86_operand x86_opd_reg(const struct x86_work *w, unsigned size)
{
	return reg_operand(w, w->insn->reg, size);
}

enum x86_result x86_opd_load(struct x86_work *w, struct x86_operand *op, enum x86_access kind)
{
	uint8_t buf[8];
	enum x86_result rc;

	switch (op->kind) {
	case X86_OPD_REG:
		op->val = x86_reg_get(w, op->reg, op->size);
		return X86_DONE;
	case X86_OPD_HIGH8:
		op->val = (x86_gpr_read(&w->r, op->reg) >> 8) & 0xff;
		return X86_DONE;
	case X86_OPD_MEM:
		rc = x86_mem_read(w, kind, op->seg, op->off, buf, op->size);
		if (rc == X86_DONE)
			op->val = x86_unpack(buf, op->size);
		return rc;
	default:
		return X86_DONE;
	}
}

enum x86_result x86_opd_store(struct x86_work *w, struct x86_operand *op)
{
	uint64_t *gpr;

	switch (op->kind) {
	case X86_OPD_REG:
		x86_reg_set(w, op->reg, op->size, op->val);
		return X86_DONE;
	case X86_OPD_HIGH8:
		gpr = x86_gpr(&w->r, op->reg);
		*gpr = (*gpr & ~0xff00ull) | ((op->val & 0xff) << 8);
		return X86_DONE;
	case X86_OPD_MEM:
		return x86_mem_put(w, op->seg, op->off, op->size, op->val);
	default:
		return X86_DONE;
	}
}

static struct x86_operand value_operand(uint64_t value, unsigned size)
{
	return (struct x86_operand){
		.kind = X86_OPD_VALUE,
		.size = (uint8_t)size,
		.val = value & x86_mask(size),
	};
}

static struct x86_operand operand(struct x86_work *w, unsigned source, unsigned size)
{
	struct x86_operand op = { .kind = X86_OPD_NONE, .size = (uint8_t)size };

	switch (source) {
	case X86_O_E:
	case X86_O_M:
		return x86_opd_rm(w, size);
	case X86_O_G:
		return x86_opd_reg(w, size);
	case X86_O_A:
		return reg_operand(w, X86_RAX, size);
	case X86_O_R:
		return reg_operand(w, (w->insn->opcode & 7) | (w->insn->rex & X86_REX_B ? 8 : 0),
		                   size);
	case X86_O_V:
		return reg_operand(w, w->insn->vvvv, size);
	case X86_O_I:
		return value_operand(w->insn->imm, size);
	case X86_O_1:
		return value_operand(1, 1);
	case X86_O_C:
		return value_operand(w->r.rcx, 1);
	case X86_O_O:
		op.kind = X86_OPD_MEM;
		op.seg = w->insn->seg;
		op.off = x86_ea(w);
		return op;
	default:
		return op;
	}
}

static unsigned source_size(const struct x86_row *row, unsigned size)
{
	if (row->flags & X86_R_SRC8)
		return 1;
	if (row->flags & X86_R_SRC16)
		return 2;
	return row->flags & X86_R_SRC32 ? 4 : size;
}

/* bt, bts, btr, btc with a register: the bit may lie outside the addressed word, on either side. */
static void apply_bit_offset(struct x86_work *w)
{
	unsigned size = w->dst.size;
	int64_t bit = (int64_t)x86_sign_extend(w->src.val, size);
	int64_t word = bit >> (size == 8 ? 6 : size == 4 ? 5 : 4);

	w->dst.off = (w->dst.off + (uint64_t)word * size) & x86_mask(w->insn->addrsize);
}

static enum x86_result set_up_operands(struct x86_work *w)
{
	const struct x86_row *row = w->row;
	unsigned size = row->flags & X86_R_BYTE ? 1 : w->insn->opsize;
	enum x86_result rc;

	w->src = operand(w, row->src, source_size(row, size));
	w->dst = operand(w, row->dst, size);
	if ((row->flags & X86_R_DST16) && w->dst.kind == X86_OPD_MEM)
		w->dst.size = 2;
	if (row->src != X86_O_M) {
		rc = x86_opd_load(w, &w->src, X86_READ);
		if (rc != X86_DONE)
			return rc;
	}
	if ((row->flags & X86_R_BITOFF) && w->dst.kind == X86_OPD_MEM)
		apply_bit_offset(w);
	return X86_DONE;
}

/* ---- running ------------------------------------------------------------------------------- */

/*
 * A locked read-modify-write of memory:
 *  1. read the old value (as a write would: a read-only page faults now),
 *  2. compute the new one on a fresh copy of the registers,
 *  3. put it there if the old value still stands, else take what stands there and go to 2.
 */
static enum x86_result run_locked(struct x86_work *w)
{
	struct x86_work fresh;
	uint8_t old[8], new[8];
	unsigned i, size = w->dst.size;
	enum x86_result rc;

	if (!w->emu->ops->cmpxchg)
		return X86_UNHANDLED;
	rc = x86_opd_load(w, &w->dst, X86_READ_FOR_WRITE);
	if (rc == X86_DONE)
		rc = x86_linear(w, w->dst.seg, w->dst.off, size, X86_WRITE, &w->dst.addr);
	if (rc != X86_DONE)
		return rc;
	fresh = *w;
	x86_pack(old, w->dst.val, size);
	for (i = 0; i < LOCK_ATTEMPTS; i++) {
		*w = fresh;
		w->dst.val = x86_unpack(old, size);
		rc = w->row->fn(w);
		if (rc != X86_DONE)
			return rc;
		x86_pack(new, w->skip_store ? x86_unpack(old, size) : w->dst.val, size);
		rc = w->emu->ops->cmpxchg(w->emu, w->dst.addr, old, new, size);
		if (rc != X86_RETRY)
			return rc;
	}
	return X86_RETRY;
}

static enum x86_result run(struct x86_work *w)
{
	const struct x86_row *row = w->row;
	bool lock = w->insn->prefix & X86_PFX_LOCK;
	enum x86_result rc;

	if (row->flags & X86_R_LAZY)
		return row->fn(w);
	rc = set_up_operands(w);
	if (rc != X86_DONE)
		return rc;
	if (w->dst.kind == X86_OPD_MEM && (lock || (row->flags & X86_R_XLOCK)))
		return run_locked(w);
	if (row->flags & X86_R_READ) {
		rc = x86_opd_load(w, &w->dst,
		                  row->flags & X86_R_WRITE ? X86_READ_FOR_WRITE : X86_READ);
		if (rc != X86_DONE)
			return rc;
	}
	rc = row->fn(w);
	if (rc == X86_DONE && (row->flags & X86_R_WRITE) && !w->skip_store)
		rc = x86_opd_store(w, &w->dst);
	return rc;
}

/* Everything that can be refused by looking at the instruction and its row alone. */
static enum x86_result check(struct x86_work *w)
{
	const struct x86_row *row = w->row;
	const struct x86_insn *insn = w->insn;

	if (!row || !row->fn || !(w->emu->allow & row->allow))
		return X86_UNHANDLED;
	if (((row->flags & X86_R_MEM) && !insn->has_mem) ||
	    ((row->flags & X86_R_REG) && insn->has_mem))
		return x86_raise(w->emu, X86_VECTOR_UD);
	if ((insn->prefix & X86_PFX_LOCK) &&
	    (!(row->flags & X86_R_LOCK) || !insn->has_mem || row->dst != X86_O_E))
		return x86_raise(w->emu, X86_VECTOR_UD);
	if ((row->flags & X86_R_KERNEL) && !x86_in_kernel(w))
		return x86_raise_error(w->emu, X86_VECTOR_GP, 0);
	return X86_DONE;
}

/*
 * The guest's registers become the working ones. A single-step trap is due when TF was set at the
 * instruction's beginning; an iteration of a repeated string instruction counts as one.
 */
static void commit(struct x86_work *w)
{
	struct x86_emu *emu = w->emu;

	if (emu->regs->rflags & X86_FLAG_TF)
		w->retired |= X86_RETIRED_TRAP;
	if (w->partial) {
		w->r.rip = emu->regs->rip;
		w->retired |= X86_RETIRED_PARTIAL;
		if (!(w->retired & X86_RETIRED_TRAP))
			w->r.rflags |= X86_FLAG_RF; /* its breakpoint was met already */
	} else if (!w->keep_rf) {
		w->r.rflags &= ~(uint64_t)X86_FLAG_RF;
	}
	w->r.rflags |= X86_FLAG_ONE;
	*emu->regs = w->r;
	emu->retired = w->retired;
	emu->loaded = w->loaded;
}

enum x86_result x86_execute(struct x86_emu *emu)
{
	struct x86_work w = { .emu = emu, .insn = &emu->insn };
	enum x86_result rc;

	emu->retired = 0;
	emu->loaded = 0;
	w.r = *emu->regs;
	w.next_rip = wrap_rip(emu->insn.mode, w.r.rip + emu->insn.len);
	w.r.rip = w.next_rip;
	w.row = x86_row_of(w.insn);
	rc = check(&w);
	if (rc == X86_DONE)
		rc = run(&w);
	if (rc == X86_DONE)
		commit(&w);
	return rc;
}

enum x86_result x86_emulate(struct x86_emu *emu)
{
	enum x86_result rc;

	emu->retired = 0;
	emu->loaded = 0;
	rc = x86_fetch(emu);
	return rc == X86_DONE ? x86_execute(emu) : rc;
}

static bool is_cpuid(const struct x86_insn *insn)
{
	return insn->encoding == X86_ENC_LEGACY && insn->map == X86_MAP_0F && insn->opcode == 0xa2;
}

/* A byte that cannot be read is not the prefix's: a plain ud2 may be the last thing mapped. */
static enum x86_result find_forced_prefix(struct x86_emu *emu)
{
	static const uint8_t prefix[FORCED_PREFIX_LEN] = { 0x0f, 0x0b, 'x', 'e', 'n' };
	unsigned i;
	uint8_t byte;

	if (!emu->ops->read || !x86_is_canonical(emu->regs->rip + FORCED_PREFIX_LEN))
		return X86_UNHANDLED;
	for (i = 0; i < FORCED_PREFIX_LEN; i++) {
		if (emu->ops->read(emu, X86_FETCH, emu->regs->rip + i, &byte, 1) != X86_DONE ||
		    byte != prefix[i])
			return X86_UNHANDLED;
	}
	return X86_DONE;
}

enum x86_result x86_emulate_forced(struct x86_emu *emu, bool any)
{
	struct hv_regs *guest = emu->regs;
	struct hv_regs behind = *guest;
	enum x86_result rc;

	emu->retired = 0;
	emu->loaded = 0;
	rc = find_forced_prefix(emu);
	if (rc != X86_DONE)
		return rc;
	behind.rip += FORCED_PREFIX_LEN;
	emu->regs = &behind;
	rc = x86_fetch(emu);
	if (rc == X86_DONE && !any && !is_cpuid(&emu->insn))
		rc = X86_UNHANDLED;
	if (rc == X86_DONE)
		rc = x86_execute(emu);
	emu->regs = guest;
	if (rc != X86_DONE)
		return rc;
	if (emu->retired & X86_RETIRED_PARTIAL)
		behind.rip = guest->rip;
	*guest = behind;
	return rc;
}
