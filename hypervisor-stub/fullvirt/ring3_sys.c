/* SPDX-License-Identifier: MIT */
/*
 * What ring 0 has beside general registers: descriptors, control registers, MSRs; and CPUID.
 *
 * Values that a kernel of ours has no use for read as a processor after reset would have them; a write
 * to an MSR that is not known is a #GP, as on hardware.
 */
#include <string.h>

#include "hypervisor-stub/core/cpu.h"
#include "hypervisor-stub/fullvirt/ring3.h"

#define CR0_WRITABLE  0xe005003fu /* PG CD NW AM WP NE ET TS EM MP PE */
#define CR4_WRITABLE  0x000507ffu /* up to OSXMMEXCPT; FSGSBASE, OSXSAVE; no PCID, SMEP, SMAP */
#define EFER_WRITABLE (EFER_SCE | EFER_LME | EFER_NXE)

#define MSR_TSC       0x10u
#define MSR_APIC_BASE 0x1bu
#define MSR_SYSENTER  0x174u /* to 0x176 */
#define MSR_MISC      0x1a0u
#define MSR_PAT       0x277u
#define MSR_EFER      0xc0000080u
#define MSR_STAR      0xc0000081u
#define MSR_LSTAR     0xc0000082u
#define MSR_CSTAR     0xc0000083u
#define MSR_FMASK     0xc0000084u
#define MSR_FS_BASE   0xc0000100u
#define MSR_GS_BASE   0xc0000101u
#define MSR_KGS_BASE  0xc0000102u
#define MSR_TSC_AUX   0xc0000103u

#define BIT(n)        (UINT32_C(1) << (n))

static struct fv_cpu *cpu_of(struct x86_emu *emu)
{
	return emu->opaque;
}

/* ---- descriptors ------------------------------------------------------------------------------ */

static void unpack(uint16_t selector, uint64_t low, uint64_t high, struct x86_segment *out)
{
	uint32_t limit = (uint32_t)(low & 0xffff) | (uint32_t)(low >> 32 & 0xf0000);

	out->selector = selector;
	out->attr = (uint16_t)(low >> 40 & 0xf0ff);
	out->base = (low >> 16 & 0xffffff) | (low >> 32 & 0xff000000) | high << 32;
	out->limit = out->attr & X86_DESC_G ? limit << 12 | 0xfff : limit;
}

bool fv_descriptor(struct fv_cpu *c, uint16_t selector, struct x86_segment *out, bool *faulted,
                   uint64_t *bad, uint32_t *pfec)
{
	uint64_t raw[2] = { 0 };
	unsigned at = selector & ~7u;

	*faulted = false;
	if (selector & 4 || at + 7 > c->gdt.limit)
		return false; /* there is no LDT */
	*faulted = !fv_read_va(c, c->gdt.base + at, raw, 8, 0, bad, pfec);
	if (*faulted)
		return false;
	/* System descriptors of long mode have 16 bytes. */
	if ((c->efer & EFER_LMA) && !(raw[0] >> 44 & 1)) {
		if (at + 15 > c->gdt.limit)
			return false;
		*faulted = !fv_read_va(c, c->gdt.base + at + 8, &raw[1], 8, 0, bad, pfec);
		if (*faulted)
			return false;
	}
	unpack(selector, raw[0], raw[1] & 0xffffffff, out);
	return true;
}

enum x86_result fv_op_get_segment(struct x86_emu *emu, enum x86_seg seg, struct x86_segment *out)
{
	*out = cpu_of(emu)->seg[seg];
	return X86_DONE;
}

static enum x86_result look_up(struct x86_emu *emu, uint16_t selector, struct x86_segment *out)
{
	uint64_t bad;
	uint32_t pfec;
	bool faulted;

	if (fv_descriptor(cpu_of(emu), selector, out, &faulted, &bad, &pfec))
		return X86_DONE;
	if (faulted)
		return x86_raise_page_fault(emu, bad, pfec);
	return x86_raise_error(emu, X86_VECTOR_GP, selector & 0xfffcu);
}

static bool is_code(const struct x86_segment *s)
{
	return (s->attr & X86_DESC_S) && (s->attr & X86_DESC_CODE);
}

enum x86_result fv_op_load_segment(struct x86_emu *emu, enum x86_seg seg, uint16_t selector,
                                   struct x86_segment *out)
{
	enum x86_result rc;

	memset(out, 0, sizeof(*out));
	out->selector = selector;
	if (!(selector & 0xfffc)) {
		/* A null selector: fine where nothing is reached by it. In ss only 64-bit code has it. */
		if (seg == X86_SEG_TR || (seg == X86_SEG_SS && !cpu_of(emu)->is_long))
			return x86_raise_error(emu, X86_VECTOR_GP, 0);
		return X86_DONE;
	}
	rc = look_up(emu, selector, out);
	if (rc != X86_DONE)
		return rc;
	if (seg == X86_SEG_TR || seg == X86_SEG_LDTR) {
		if (out->attr & X86_DESC_S)
			return x86_raise_error(emu, X86_VECTOR_GP, selector & 0xfffcu);
	} else if (!(out->attr & X86_DESC_S) || (is_code(out) && !(out->attr & X86_DESC_RW)) ||
	           (seg == X86_SEG_SS && (is_code(out) || !(out->attr & X86_DESC_RW)))) {
		return x86_raise_error(emu, X86_VECTOR_GP, selector & 0xfffcu);
	}
	if (!(out->attr & X86_DESC_PRESENT))
		return x86_raise_error(emu, seg == X86_SEG_SS ? X86_VECTOR_SS : X86_VECTOR_NP,
		                       selector & 0xfffcu);
	return X86_DONE;
}

enum x86_result fv_op_load_code(struct x86_emu *emu, enum x86_transfer kind, uint16_t selector,
                                struct x86_segment *out)
{
	struct fv_cpu *c = cpu_of(emu);
	enum x86_result rc;

	if (!(selector & 0xfffc))
		return x86_raise_error(emu, X86_VECTOR_GP, 0);
	rc = look_up(emu, selector, out);
	if (rc != X86_DONE)
		return rc;
	/* Returns may go outward; jumps and calls stay. No gates, no conforming segments. */
	if (!is_code(out) || (selector & 3) < c->cpl ||
	    (out->attr & X86_DESC_DPL) >> 5 != (selector & 3u) ||
	    (kind < X86_FAR_RET && (selector & 3) != c->cpl))
		return x86_raise_error(emu, X86_VECTOR_GP, selector & 0xfffcu);
	if (!(out->attr & X86_DESC_PRESENT))
		return x86_raise_error(emu, X86_VECTOR_NP, selector & 0xfffcu);
	return X86_DONE;
}

/* ---- control registers ------------------------------------------------------------------------ */

enum x86_result fv_op_read_cr(struct x86_emu *emu, unsigned cr, uint64_t *value)
{
	const struct fv_cpu *c = cpu_of(emu);
	const uint64_t now[9] = { [0] = c->cr0, [2] = c->page->cr2, [3] = c->cr3, [4] = c->cr4 };

	*value = now[cr];
	return X86_DONE;
}

static enum x86_result write_cr0(struct x86_emu *emu, uint64_t value)
{
	struct fv_cpu *c = cpu_of(emu);
	bool paged = c->cr0 & CR0_PG;

	if ((value & ~(uint64_t)CR0_WRITABLE) || ((value & CR0_PG) && !(value & CR0_PE)))
		return x86_raise_error(emu, X86_VECTOR_GP, 0);
	if ((value & CR0_PG) && !paged && (c->efer & EFER_LME)) {
		if (!(c->cr4 & CR4_PAE))
			return x86_raise_error(emu, X86_VECTOR_GP, 0);
		c->efer |= EFER_LMA;
	} else if ((value & CR0_PG) && !(c->efer & EFER_LMA)) {
		return X86_UNHANDLED; /* paging without long mode */
	} else if (!(value & CR0_PG) && paged) {
		return X86_UNHANDLED; /* and the way back */
	}
	c->cr0 = value | CR0_ET;
	c->page->cr0 = c->cr0;
	fv_flush_all(c);
	return X86_DONE;
}

static enum x86_result write_cr4(struct x86_emu *emu, uint64_t value)
{
	struct fv_cpu *c = cpu_of(emu);

	if ((value & ~(uint64_t)CR4_WRITABLE) || ((c->efer & EFER_LMA) && !(value & CR4_PAE)))
		return x86_raise_error(emu, X86_VECTOR_GP, 0);
	c->cr4 = value;
	c->page->cr4 = value;
	fv_flush_all(c);
	return X86_DONE;
}

enum x86_result fv_op_write_cr(struct x86_emu *emu, unsigned cr, uint64_t value)
{
	struct fv_cpu *c = cpu_of(emu);

	switch (cr) {
	case 0:
		return write_cr0(emu, value);
	case 2:
		c->page->cr2 = value;
		return X86_DONE;
	case 3:
		fv_count(c->m, FV_EXIT_ROOT);
		fv_load_cr3(c, value);
		return X86_DONE;
	case 4:
		return write_cr4(emu, value);
	default: /* CR8: there is no local APIC */
		return value & ~UINT64_C(15) ? x86_raise_error(emu, X86_VECTOR_GP, 0) : X86_DONE;
	}
}

/* ---- MSRs ------------------------------------------------------------------------------------- */

/* Those that are just kept. */
static uint64_t *kept(struct fv_cpu *c, uint32_t index)
{
	switch (index) {
	case MSR_SYSENTER:
	case MSR_SYSENTER + 1:
	case MSR_SYSENTER + 2:
		return &c->sysenter[index - MSR_SYSENTER];
	case MSR_PAT:
		return &c->pat;
	case MSR_STAR:
		return &c->star;
	case MSR_LSTAR:
		return &c->lstar;
	case MSR_CSTAR:
		return &c->cstar;
	case MSR_FMASK:
		return &c->fmask;
	case MSR_KGS_BASE:
		return &c->page->kernel_gs;
	case MSR_TSC_AUX:
		return &c->tsc_aux;
	case MSR_FS_BASE:
		return &c->v->regs.fs_base;
	case MSR_GS_BASE:
		return &c->v->regs.gs_base_kernel;
	default:
		return NULL;
	}
}

enum x86_result fv_op_rdmsr(struct x86_emu *emu, uint32_t index, uint64_t *value)
{
	struct fv_cpu *c = cpu_of(emu);
	const uint64_t *reg = kept(c, index);

	if (reg)
		*value = *reg;
	else if (index == MSR_EFER)
		*value = c->efer;
	else if (index == MSR_TSC)
		*value = hv_time_tsc(c->hv);
	else if (index == MSR_APIC_BASE || index == MSR_MISC)
		*value = 0;
	else
		return x86_raise_error(emu, X86_VECTOR_GP, 0);
	return X86_DONE;
}

static bool is_address(uint32_t index)
{
	return index == MSR_LSTAR || index == MSR_CSTAR ||
	       (index >= MSR_FS_BASE && index <= MSR_KGS_BASE);
}

enum x86_result fv_op_wrmsr(struct x86_emu *emu, uint32_t index, uint64_t value)
{
	struct fv_cpu *c = cpu_of(emu);
	uint64_t *reg = kept(c, index);

	if (is_address(index) && !x86_is_canonical(value))
		return x86_raise_error(emu, X86_VECTOR_GP, 0);
	if (index == MSR_EFER) {
		if (value & ~(uint64_t)(EFER_WRITABLE | EFER_LMA) ||
		    ((c->cr0 & CR0_PG) && (value ^ c->efer) & EFER_LME))
			return x86_raise_error(emu, X86_VECTOR_GP, 0);
		c->efer = (value & EFER_WRITABLE) | (c->efer & EFER_LMA);
		fv_flush_all(c);
		return X86_DONE;
	}
	if (!reg)
		return index == MSR_APIC_BASE || index == MSR_MISC
		               ? X86_DONE
		               : x86_raise_error(emu, X86_VECTOR_GP, 0);
	*reg = value;
	/* The emulator works on a copy of these, which it puts back. */
	if (index == MSR_FS_BASE || index == MSR_GS_BASE)
		c->new_base[index - MSR_FS_BASE] = (struct fv_new_base){ true, value };
	return X86_DONE;
}

/* ---- CPUID ------------------------------------------------------------------------------------ */

enum x86_result fv_op_cpuid(struct x86_emu *emu, uint32_t leaf, uint32_t subleaf, uint32_t out[4])
{
	struct fv_cpu *c = cpu_of(emu);

	if (leaf >= 0x40000000 && leaf < 0x50000000) {
		memset(out, 0, 4 * sizeof(out[0]));
		return X86_DONE;
	}
	hv_cpuid(c->v, leaf, subleaf, out);
	/* What the core hides from a paravirtual guest and an ordinary kernel has. */
	if (leaf == 1) {
		out[3] |= BIT(3) | BIT(4) | BIT(5) | BIT(6) | BIT(8) | BIT(13) | BIT(15) | BIT(16);
		out[2] &= ~BIT(27);
		out[2] |= c->cr4 & CR4_OSXSAVE ? BIT(27) : 0;
	} else if (leaf == 7 && subleaf == 0) {
		out[1] |= BIT(0); /* FSGSBASE: the process engine needs it itself */
		out[1] &= ~(BIT(7) | BIT(20));
	} else if (leaf == 0x80000001) {
		out[3] |= BIT(11) | BIT(20) | BIT(29);
	}
	return X86_DONE;
}
