/* SPDX-License-Identifier: MIT */
/*
 * Into the guest's kernel and out of it, as a 64-bit processor does: exceptions, interrupts and int n
 * through the IDT with the stack of the TSS; syscall and sysret by their MSRs.
 *
 * A fault while an exception is delivered becomes a double fault, a fault then ends the machine: a
 * processor would shut down.
 */
#include <string.h>

#include "hypervisor-stub/fullvirt/patch.h"

#define VECTOR_DF     8
#define GATE_INT      14
#define GATE_TRAP     15
#define TSS_RSP0      4
#define TSS_IST1      36
#define TSS_MIN_LIMIT 103
#define FLAGS_CLEARED (X86_FLAG_TF | X86_FLAG_NT | X86_FLAG_RF | X86_FLAG_VM)

/* One event on its way through the IDT. */
struct event {
	uint8_t vector;
	bool has_error, is_software;
	uint32_t error;
};

static enum x86_result raise(struct x86_fault *f, uint8_t vector, uint32_t error)
{
	*f = (struct x86_fault){ .vector = vector, .has_error = true, .error = error };
	return X86_FAULT;
}

static enum x86_result raise_page(struct x86_fault *f, uint64_t cr2, uint32_t pfec)
{
	*f = (struct x86_fault){
		.vector = X86_VECTOR_PF, .has_error = true, .error = pfec, .cr2 = cr2
	};
	return X86_FAULT;
}

/* Supervisor accesses, whatever runs. */
static enum x86_result get(struct fv_cpu *c, uint64_t va, void *buf, unsigned len,
                           struct x86_fault *f)
{
	uint64_t bad;
	uint32_t pfec;

	return fv_read_va(c, va, buf, len, 0, &bad, &pfec) ? X86_DONE : raise_page(f, bad, pfec);
}

void fv_set_cpl(struct fv_cpu *c, unsigned cpl)
{
	struct hv_regs *r = &c->v->regs;

	/* The base in use is in the place that belongs to the mode. */
	if (cpl == 3 && c->cpl != 3)
		r->gs_base_user = r->gs_base_kernel;
	else if (cpl != 3 && c->cpl == 3)
		r->gs_base_kernel = r->gs_base_user;
	c->cpl = cpl;
	c->v->in_kernel = cpl != 3;
}

static enum x86_result read_gate(struct fv_cpu *c, const struct event *e, uint64_t gate[2],
                                 struct x86_fault *f)
{
	uint32_t error = e->vector * 8u + 2;
	unsigned type;
	enum x86_result rc;

	if (e->vector * 16u + 15 > c->idt.limit)
		return raise(f, X86_VECTOR_GP, error);
	rc = get(c, c->idt.base + e->vector * 16u, gate, 16, f);
	if (rc != X86_DONE)
		return rc;
	type = gate[0] >> 40 & 0x1f;
	if ((type != GATE_INT && type != GATE_TRAP) ||
	    (e->is_software && (gate[0] >> 45 & 3) < c->cpl))
		return raise(f, X86_VECTOR_GP, error);
	if (!(gate[0] >> 47 & 1))
		return raise(f, X86_VECTOR_NP, error);
	return X86_DONE;
}

/* The code segment that a gate names: ring 0, 64-bit. */
static enum x86_result read_code(struct fv_cpu *c, uint16_t selector, struct x86_segment *cs,
                                 struct x86_fault *f)
{
	uint64_t bad = 0;
	uint32_t pfec = 0;
	bool faulted = false;

	if (!(selector & 0xfffc) || !fv_descriptor(c, selector, cs, &faulted, &bad, &pfec))
		return faulted ? raise_page(f, bad, pfec)
		               : raise(f, X86_VECTOR_GP, selector & 0xfffcu);
	if (!(cs->attr & X86_DESC_S) || !(cs->attr & X86_DESC_CODE) || !(cs->attr & X86_DESC_L) ||
	    (cs->attr & X86_DESC_DPL) || !(cs->attr & X86_DESC_PRESENT))
		return raise(f, X86_VECTOR_GP, selector & 0xfffcu);
	cs->selector &= ~3u;
	return X86_DONE;
}

static enum x86_result find_stack(struct fv_cpu *c, unsigned ist, uint64_t *rsp,
                                  struct x86_fault *f)
{
	const struct x86_segment *tr = &c->seg[X86_SEG_TR];
	enum x86_result rc = X86_DONE;

	if (ist || c->cpl) {
		if (tr->limit < TSS_MIN_LIMIT)
			return raise(f, X86_VECTOR_TS, tr->selector & 0xfffcu);
		rc = get(c, tr->base + (ist ? TSS_IST1 + 8 * (ist - 1) : TSS_RSP0), rsp, 8, f);
	}
	*rsp &= ~UINT64_C(15);
	return rc;
}

/* Changes nothing unless it is X86_DONE. */
static enum x86_result enter(struct fv_cpu *c, struct hv_regs *r, const struct event *e,
                             struct x86_fault *f)
{
	uint64_t gate[2], frame[6], rsp = r->rsp, target, bad;
	unsigned nr = e->has_error ? 6 : 5;
	struct x86_segment cs;
	enum x86_result rc = read_gate(c, e, gate, f);
	uint32_t pfec;

	if (rc == X86_DONE)
		rc = read_code(c, (uint16_t)(gate[0] >> 16), &cs, f);
	if (rc == X86_DONE)
		rc = find_stack(c, gate[0] >> 32 & 7, &rsp, f);
	if (rc != X86_DONE)
		return rc;
	target = (gate[0] & 0xffff) | (gate[0] >> 32 & 0xffff0000) | gate[1] << 32;
	frame[0] = e->error;
	frame[nr - 5] = r->rip;
	frame[nr - 4] = c->seg[X86_SEG_CS].selector;
	frame[nr - 3] = r->rflags;
	frame[nr - 2] = r->rsp;
	frame[nr - 1] = c->seg[X86_SEG_SS].selector;
	if (!fv_write_va(c, rsp - 8 * nr, frame, 8 * nr, 0, &bad, &pfec))
		return raise_page(f, bad, pfec);
	if (c->cpl) {
		/* The base in use goes along; `r` may be a working copy. */
		r->gs_base_kernel = r->gs_base_user;
		c->seg[X86_SEG_SS] = (struct x86_segment){ 0 };
	}
	c->cpl = 0;
	c->v->in_kernel = true;
	c->seg[X86_SEG_CS] = cs;
	r->rsp = rsp - 8 * nr;
	r->rip = target;
	r->rflags &= ~(uint64_t)FLAGS_CLEARED;
	if ((gate[0] >> 40 & 0x1f) == GATE_INT)
		r->rflags &= ~(uint64_t)X86_FLAG_IF;
	return X86_DONE;
}

static bool is_contributory(uint8_t vector)
{
	return vector == X86_VECTOR_DE || (vector >= X86_VECTOR_TS && vector <= X86_VECTOR_GP);
}

static void deliver(struct fv_cpu *c, struct event e)
{
	struct x86_fault f;

	while (enter(c, &c->v->regs, &e, &f) != X86_DONE) {
		bool twice = is_contributory(f.vector) || f.vector == X86_VECTOR_PF;

		if (f.vector == X86_VECTOR_PF)
			c->page->cr2 = f.cr2;
		if (e.vector == VECTOR_DF) {
			fv_end(c->m, FV_END_CRASH, 0,
			       "a triple fault at %#llx: vector %u while a double fault was "
			       "delivered",
			       (unsigned long long)c->v->regs.rip, f.vector);
			return;
		}
		if (twice && (is_contributory(e.vector) || e.vector == X86_VECTOR_PF))
			f = (struct x86_fault){ .vector = VECTOR_DF, .has_error = true };
		e = (struct event){ f.vector, f.has_error, false, f.error };
	}
}

void fv_fault(struct fv_cpu *c, const struct x86_fault *f)
{
	if (!c->is_long) {
		fv_end(c->m, FV_END_CRASH, 0,
		       "exception %u (error %#x, address %#llx) at %#llx, before long mode",
		       f->vector, f->error, (unsigned long long)f->cr2,
		       (unsigned long long)c->v->regs.rip);
		return;
	}
	if (!c->cpl)
		c->v->regs.rip = fv_patch_expose(c, c->v->regs.rip);
	fv_count(c->m, f->vector == X86_VECTOR_PF ? FV_EXIT_FAULT : FV_EXIT_EXCEPTION);
	if (f->vector == X86_VECTOR_PF)
		c->page->cr2 = f->cr2;
	if (f->vector == X86_VECTOR_PF && c->cpl)
		c->missed = (struct fv_missed){ true, f->cr2, f->error };
	/* A program may come by int3 and into only where the gate lets it. */
	deliver(c, (struct event){ f->vector, f->has_error,
	                           f->vector == X86_VECTOR_BP || f->vector == X86_VECTOR_OF,
	                           f->error });
}

void fv_interrupt(struct fv_cpu *c, uint8_t vector)
{
	if (!c->cpl)
		c->v->regs.rip = fv_patch_expose(c, c->v->regs.rip);
	fv_count(c->m, FV_EXIT_INTERRUPT);
	deliver(c, (struct event){ .vector = vector });
}

/* ---- syscall, sysret, swapgs ------------------------------------------------------------------- */

static struct x86_segment flat(uint16_t selector, bool code, unsigned dpl)
{
	return (struct x86_segment){
		.selector = selector,
		.limit = UINT32_MAX,
		.attr = (uint16_t)(X86_DESC_PRESENT | X86_DESC_S | X86_DESC_G | dpl << 5 |
		                   X86_DESC_RW | 1 |
		                   (code ? X86_DESC_CODE | X86_DESC_L : X86_DESC_DB)),
	};
}

void fv_set_segments(struct fv_cpu *c)
{
	uint16_t user = (uint16_t)(c->star >> 48), kernel = (uint16_t)(c->star >> 32) & 0xfffc;

	c->seg[X86_SEG_CS] = c->cpl ? flat((uint16_t)((user + 16) | 3), true, 3)
	                            : flat(kernel, true, 0);
	c->seg[X86_SEG_SS] = c->cpl ? flat((uint16_t)((user + 8) | 3), false, 3)
	                            : flat((uint16_t)(kernel + 8), false, 0);
}

static void do_syscall(struct fv_cpu *c, struct hv_regs *r)
{
	r->rcx = r->rip;
	r->r11 = r->rflags & ~(uint64_t)X86_FLAG_RF;
	r->rip = c->lstar;
	r->rflags &= ~(c->fmask | X86_FLAG_RF | X86_FLAG_VM);
	r->rflags |= X86_FLAG_ONE;
	if (c->cpl == 3)
		r->gs_base_kernel = r->gs_base_user;
	c->cpl = 0;
	c->v->in_kernel = true;
	fv_set_segments(c);
}

void fv_syscall(struct fv_cpu *c)
{
	struct x86_fault ud = { .vector = X86_VECTOR_UD };

	fv_count(c->m, FV_EXIT_SYSCALL);
	if (c->efer & EFER_SCE) {
		do_syscall(c, &c->v->regs);
		return;
	}
	c->v->regs.rip -= 2;
	fv_fault(c, &ud);
}

static enum x86_result do_sysret(struct x86_emu *emu, struct hv_regs *r)
{
	struct fv_cpu *c = emu->opaque;

	if (c->cpl)
		return x86_raise_error(emu, X86_VECTOR_GP, 0);
	if (emu->insn.opsize != 8)
		return X86_UNHANDLED; /* to 32-bit code */
	fv_count(c->m, FV_EXIT_SYSCALL);
	r->rip = r->rcx;
	r->rflags = (r->r11 & 0x3c7fd7) | X86_FLAG_ONE;
	r->gs_base_user = r->gs_base_kernel;
	c->cpl = 3;
	fv_set_segments(c);
	c->v->in_kernel = false;
	return X86_DONE;
}

static enum x86_result do_int(struct x86_emu *emu, uint8_t vector, struct hv_regs *r)
{
	struct fv_cpu *c = emu->opaque;
	struct event e = { .vector = vector, .is_software = true };

	if (!c->is_long)
		return X86_UNHANDLED;
	return enter(c, r, &e, &emu->fault);
}

enum x86_result fv_op_system(struct x86_emu *emu, enum x86_system which, uint64_t arg,
                             struct hv_regs *r)
{
	struct fv_cpu *c = emu->opaque;
	uint64_t gs;

	switch (which) {
	case X86_SYS_SYSCALL:
		if (!(c->efer & EFER_SCE))
			return x86_raise(emu, X86_VECTOR_UD);
		do_syscall(c, r);
		return X86_DONE;
	case X86_SYS_SYSRET:
		return c->efer & EFER_SCE ? do_sysret(emu, r) : x86_raise(emu, X86_VECTOR_UD);
	case X86_SYS_SWAPGS:
		gs = r->gs_base_kernel;
		r->gs_base_kernel = c->page->kernel_gs;
		c->page->kernel_gs = gs;
		return X86_DONE;
	case X86_SYS_INT:
		return do_int(emu, (uint8_t)arg, r);
	default:
		return x86_raise(emu, X86_VECTOR_UD);
	}
}
