/* SPDX-License-Identifier: MIT */
/*
 * Privileged instructions, ports, and those that show the processor (cpuid, rdtsc). The rows have
 * checked the privilege where it is a plain one.
 */
#include "hypervisor-stub/core/x86/emulate.h"

/* ---- ports --------------------------------------------------------------------------------- */

/* e4-e7: port in the instruction; ec-ef: port in dx. The low bit chooses the width. */
static uint16_t port_number(const struct x86_work *w)
{
	return w->insn->opcode & 8 ? (uint16_t)w->r.rdx : (uint16_t)(w->insn->imm & 0xff);
}

static unsigned port_size(const struct x86_work *w)
{
	if (!(w->insn->opcode & 1))
		return 1;
	return w->insn->opsize == 2 ? 2 : 4;
}

enum x86_result x86_do_in(struct x86_work *w)
{
	uint32_t value = 0;
	enum x86_result rc;

	if (!w->emu->ops->port_in)
		return X86_UNHANDLED;
	rc = w->emu->ops->port_in(w->emu, port_number(w), port_size(w), &value);
	if (rc == X86_DONE)
		x86_reg_set(w, X86_RAX, port_size(w), value);
	return rc;
}

enum x86_result x86_do_out(struct x86_work *w)
{
	unsigned size = port_size(w);

	if (!w->emu->ops->port_out)
		return X86_UNHANDLED;
	return w->emu->ops->port_out(w->emu, port_number(w), size,
	                             (uint32_t)x86_reg_get(w, X86_RAX, size));
}

/* ---- interrupts and waiting ------------------------------------------------------------------ */

enum x86_result x86_do_hlt(struct x86_work *w)
{
	w->retired |= X86_RETIRED_HLT;
	return w->emu->ops->hlt ? w->emu->ops->hlt(w->emu) : X86_UNHANDLED;
}

enum x86_result x86_do_cli_sti(struct x86_work *w)
{
	bool enable = w->insn->opcode == 0xfb;
	uint64_t iopl = (w->r.rflags & X86_FLAG_IOPL) >> 12;

	if (w->emu->ops->set_interrupts) {
		if (enable)
			w->retired |= X86_RETIRED_STI;
		return w->emu->ops->set_interrupts(w->emu, enable);
	}
	if (w->emu->cpl > iopl)
		return x86_raise_error(w->emu, X86_VECTOR_GP, 0);
	if (enable && !(w->r.rflags & X86_FLAG_IF))
		w->retired |= X86_RETIRED_STI;
	w->r.rflags = enable ? w->r.rflags | X86_FLAG_IF : w->r.rflags & ~(uint64_t)X86_FLAG_IF;
	return X86_DONE;
}

/* ---- control and debug registers -------------------------------------------------------------- */

static bool is_control_register(unsigned cr)
{
	return cr == 0 || cr == 2 || cr == 3 || cr == 4 || cr == 8;
}

enum x86_result x86_do_mov_cr(struct x86_work *w)
{
	const struct x86_ops *ops = w->emu->ops;
	unsigned cr = w->insn->reg, size = w->insn->opsize;
	uint64_t value = 0;
	enum x86_result rc;

	if (!is_control_register(cr))
		return x86_raise(w->emu, X86_VECTOR_UD);
	if (w->insn->opcode & 2)
		return ops->write_cr ? ops->write_cr(w->emu, cr, x86_reg_get(w, w->insn->rm, size))
		                     : X86_UNHANDLED;
	rc = ops->read_cr ? ops->read_cr(w->emu, cr, &value) : X86_UNHANDLED;
	if (rc == X86_DONE)
		x86_reg_set(w, w->insn->rm, size, value);
	return rc;
}

enum x86_result x86_do_mov_dr(struct x86_work *w)
{
	const struct x86_ops *ops = w->emu->ops;
	unsigned dr = w->insn->reg, size = w->insn->opsize;
	uint64_t value = 0;
	enum x86_result rc;

	if (dr > 7)
		return x86_raise(w->emu, X86_VECTOR_UD);
	if (w->insn->opcode & 2)
		return ops->write_dr ? ops->write_dr(w->emu, dr, x86_reg_get(w, w->insn->rm, size))
		                     : X86_UNHANDLED;
	rc = ops->read_dr ? ops->read_dr(w->emu, dr, &value) : X86_UNHANDLED;
	if (rc == X86_DONE)
		x86_reg_set(w, w->insn->rm, size, value);
	return rc;
}

#define CR0_TS 8u

enum x86_result x86_do_clts(struct x86_work *w)
{
	const struct x86_ops *ops = w->emu->ops;
	uint64_t cr0 = 0;
	enum x86_result rc;

	if (!ops->read_cr || !ops->write_cr)
		return X86_UNHANDLED;
	rc = ops->read_cr(w->emu, 0, &cr0);
	if (rc != X86_DONE)
		return rc;
	return ops->write_cr(w->emu, 0, cr0 & ~(uint64_t)CR0_TS);
}

/* ---- model-specific registers, counters, identification ---------------------------------------- */

static void set_edx_eax(struct x86_work *w, uint64_t value)
{
	w->r.rax = (uint32_t)value;
	w->r.rdx = value >> 32;
}

enum x86_result x86_do_rdmsr(struct x86_work *w)
{
	uint64_t value = 0;
	enum x86_result rc;

	if (!w->emu->ops->rdmsr)
		return X86_UNHANDLED;
	rc = w->emu->ops->rdmsr(w->emu, (uint32_t)w->r.rcx, &value);
	if (rc == X86_DONE)
		set_edx_eax(w, value);
	return rc;
}

enum x86_result x86_do_wrmsr(struct x86_work *w)
{
	uint64_t value = (w->r.rdx << 32) | (uint32_t)w->r.rax;

	if (!w->emu->ops->wrmsr)
		return X86_UNHANDLED;
	return w->emu->ops->wrmsr(w->emu, (uint32_t)w->r.rcx, value);
}

enum x86_result x86_do_rdtsc(struct x86_work *w)
{
	uint64_t value = 0;
	enum x86_result rc;

	if (!w->emu->ops->rdtsc)
		return X86_UNHANDLED;
	rc = w->emu->ops->rdtsc(w->emu, &value);
	if (rc == X86_DONE)
		set_edx_eax(w, value);
	return rc;
}

enum x86_result x86_do_rdpmc(struct x86_work *w)
{
	uint64_t value = 0;
	enum x86_result rc;

	if (!w->emu->ops->rdpmc)
		return X86_UNHANDLED;
	rc = w->emu->ops->rdpmc(w->emu, (uint32_t)w->r.rcx, &value);
	if (rc == X86_DONE)
		set_edx_eax(w, value);
	return rc;
}

enum x86_result x86_do_cpuid(struct x86_work *w)
{
	uint32_t out[4] = { 0 };
	enum x86_result rc;

	if (!w->emu->ops->cpuid)
		return X86_UNHANDLED;
	rc = w->emu->ops->cpuid(w->emu, (uint32_t)w->r.rax, (uint32_t)w->r.rcx, out);
	if (rc != X86_DONE)
		return rc;
	w->r.rax = out[0];
	w->r.rbx = out[1];
	w->r.rcx = out[2];
	w->r.rdx = out[3];
	return X86_DONE;
}

/* 0f 08 invd, 0f 09 wbinvd */
enum x86_result x86_do_wbinvd(struct x86_work *w)
{
	if (!w->emu->ops->wbinvd)
		return X86_UNHANDLED;
	return w->emu->ops->wbinvd(w->emu, w->insn->opcode == 0x08);
}
