/* SPDX-License-Identifier: MIT */
/*
 * One instruction of the guest's by the emulator of core/x86: memory through the guest's tables,
 * devices through the bus.
 *
 * For a kernel's instruction that ring 3 cannot execute, for whatever touches a device's registers, and
 * for all code before long mode. Memory and devices are touched only after every page of the access has
 * been found allowed.
 */
#include <string.h>

#include "hypervisor-stub/core/cpu.h"
#include "hypervisor-stub/fullvirt/patch.h"

static struct fv_cpu *cpu_of(struct x86_emu *emu)
{
	return emu->opaque;
}

/* ---- memory ----------------------------------------------------------------------------------- */

static unsigned mode_bits(const struct fv_cpu *c)
{
	return c->cpl == 3 ? FV_WALK_USER : 0;
}

static enum x86_result op_read(struct x86_emu *emu, enum x86_access kind, uint64_t addr, void *buf,
                               unsigned len)
{
	struct fv_cpu *c = cpu_of(emu);
	unsigned access = mode_bits(c) | (kind == X86_FETCH ? FV_WALK_FETCH : 0) |
	                  (kind == X86_READ_FOR_WRITE ? FV_WALK_WRITE : 0);
	uint64_t bad;
	uint32_t pfec;

	if (fv_read_va(c, addr, buf, len, access, &bad, &pfec))
		return X86_DONE;
	return x86_raise_page_fault(emu, bad, pfec);
}

static enum x86_result op_write(struct x86_emu *emu, uint64_t addr, const void *buf, unsigned len)
{
	struct fv_cpu *c = cpu_of(emu);
	uint64_t bad;
	uint32_t pfec;

	if (fv_write_va(c, addr, buf, len, mode_bits(c), &bad, &pfec))
		return X86_DONE;
	return x86_raise_page_fault(emu, bad, pfec);
}

/* One CPU, and it stands still: no other way to make it one step is needed. Devices do not lock. */
static enum x86_result op_cmpxchg(struct x86_emu *emu, uint64_t addr, void *old, const void *new,
                                  unsigned len)
{
	struct fv_cpu *c = cpu_of(emu);
	uint8_t now[16];
	uint64_t bad;
	uint32_t pfec;

	if (!fv_read_va(c, addr, now, len, mode_bits(c) | FV_WALK_WRITE, &bad, &pfec))
		return x86_raise_page_fault(emu, bad, pfec);
	if (memcmp(now, old, len)) {
		memcpy(old, now, len);
		return X86_RETRY;
	}
	if (!fv_write_va(c, addr, new, len, mode_bits(c), &bad, &pfec))
		return x86_raise_page_fault(emu, bad, pfec);
	return X86_DONE;
}

/* ---- ports ------------------------------------------------------------------------------------ */

/* No TSS here has a bitmap that lets user code reach ports. */
static bool may_use_ports(struct x86_emu *emu)
{
	struct fv_cpu *c = cpu_of(emu);

	return c->cpl <= (emu->regs->rflags & X86_FLAG_IOPL) >> 12;
}

static enum x86_result op_port_in(struct x86_emu *emu, uint16_t port, unsigned len, uint32_t *value)
{
	struct fv_cpu *c = cpu_of(emu);

	if (!may_use_ports(emu))
		return x86_raise_error(emu, X86_VECTOR_GP, 0);
	fv_count(c->m, FV_EXIT_PORT);
	*value = fv_port_in(c->m->bus, port, len);
	return X86_DONE;
}

static enum x86_result op_port_out(struct x86_emu *emu, uint16_t port, unsigned len, uint32_t value)
{
	struct fv_cpu *c = cpu_of(emu);

	if (!may_use_ports(emu))
		return x86_raise_error(emu, X86_VECTOR_GP, 0);
	fv_count(c->m, FV_EXIT_PORT);
	fv_port_out(c->m->bus, port, len, value);
	return X86_DONE;
}

/* ---- string I/O in one step -------------------------------------------------------------------- */

/* The part of a run of units from va on that lies in one page of memory; NULL: not to be batched. */
static uint8_t *string_memory(struct fv_cpu *c, uint64_t va, unsigned size, bool to_memory,
                              uint64_t *count, uint64_t *gpa)
{
	uint64_t room = (FV_PAGE - va % FV_PAGE) / size;
	uint32_t pfec;

	if (!room || !fv_translate(c, va, to_memory ? FV_WALK_WRITE : 0, gpa, &pfec) ||
	    !fv_is_ram(&c->mem, *gpa))
		return NULL;
	*count = *count < room ? *count : room;
	return c->mem.ram + *gpa;
}

/*
 * rep ins and rep outs forwards, in 64-bit code at ring 0: a page at a time straight between the
 * device and memory. False: nothing was done, the emulator takes it unit by unit.
 */
static bool string_io(struct fv_cpu *c, const struct x86_insn *insn)
{
	struct hv_regs *r = &c->v->regs;
	bool in = insn->opcode == 0x6c || insn->opcode == 0x6d;
	unsigned size = insn->opcode & 1 ? (insn->opsize == 2 ? 2 : 4) : 1;
	uint64_t count = r->rcx, gpa, *at = in ? &r->rdi : &r->rsi;
	uint8_t *p;

	if (insn->map != X86_MAP_ONE || (insn->opcode & 0xfc) != 0x6c || !c->is_long ||
	    insn->encoding != X86_ENC_LEGACY || insn->addrsize != 8 || c->cpl ||
	    !(insn->prefix & (X86_PFX_REP | X86_PFX_REPNE)) || (r->rflags & X86_FLAG_DF) ||
	    insn->seg_override != X86_SEG_NONE || !count || !x86_is_canonical(*at))
		return false;
	p = string_memory(c, *at, size, in, &count, &gpa);
	if (!p)
		return false;
	if (in && fv_code_at_gpa(c, gpa))
		fv_code_drop_gpa(c, gpa);
	fv_count(c->m, FV_EXIT_PORT);
	if (in)
		fv_port_ins(c->m->bus, (uint16_t)r->rdx, size, p, count);
	else
		fv_port_outs(c->m->bus, (uint16_t)r->rdx, size, p, count);
	*at += count * size;
	r->rcx -= count;
	if (!r->rcx)
		r->rip += insn->len;
	return true;
}

/* ---- the rest --------------------------------------------------------------------------------- */

static enum x86_result op_invlpg(struct x86_emu *emu, uint64_t addr)
{
	struct fv_cpu *c = cpu_of(emu);

	fv_count(c->m, FV_EXIT_INVLPG);
	fv_flush_page(c, addr);
	return X86_DONE;
}

static enum x86_result op_wbinvd(struct x86_emu *emu, bool discard)
{
	(void)emu;
	(void)discard;
	return X86_DONE;
}

static enum x86_result op_hlt(struct x86_emu *emu)
{
	(void)emu;
	return X86_DONE;
}

static enum x86_result op_xsetbv(struct x86_emu *emu, uint32_t index, uint64_t value)
{
	/* The guest's registers are the host's, with all states that the host has switched on. */
	(void)index;
	return value & 1 ? X86_DONE : x86_raise_error(emu, X86_VECTOR_GP, 0);
}

static enum x86_result op_read_table(struct x86_emu *emu, enum x86_table which, uint64_t *base,
                                     uint16_t *limit)
{
	const struct fv_cpu *c = cpu_of(emu);
	const struct fv_table *t = which == X86_TABLE_GDT ? &c->gdt : &c->idt;

	*base = t->base;
	*limit = t->limit;
	return X86_DONE;
}

static enum x86_result op_write_table(struct x86_emu *emu, enum x86_table which, uint64_t base,
                                      uint16_t limit)
{
	struct fv_cpu *c = cpu_of(emu);
	struct fv_table *t = which == X86_TABLE_GDT ? &c->gdt : &c->idt;

	t->base = base;
	t->limit = limit;
	return X86_DONE;
}

static enum x86_result op_read_dr(struct x86_emu *emu, unsigned dr, uint64_t *value)
{
	*value = cpu_of(emu)->dr[dr];
	return X86_DONE;
}

static enum x86_result op_write_dr(struct x86_emu *emu, unsigned dr, uint64_t value)
{
	cpu_of(emu)->dr[dr] = value;
	return X86_DONE;
}

static enum x86_result op_rdtsc(struct x86_emu *emu, uint64_t *value)
{
	*value = hv_time_tsc(cpu_of(emu)->hv);
	return X86_DONE;
}

static enum x86_result op_tsc_aux(struct x86_emu *emu, uint32_t *value)
{
	*value = (uint32_t)cpu_of(emu)->tsc_aux;
	return X86_DONE;
}

static enum x86_result op_xgetbv(struct x86_emu *emu, uint32_t index, uint64_t *value)
{
	uint32_t low, high;

	if (index)
		return x86_raise_error(emu, X86_VECTOR_GP, 0);
	__asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	*value = (uint64_t)high << 32 | low;
	return X86_DONE;
}

static const struct x86_ops ops = {
	.read = op_read,
	.write = op_write,
	.cmpxchg = op_cmpxchg,
	.get_segment = fv_op_get_segment,
	.load_segment = fv_op_load_segment,
	.load_code = fv_op_load_code,
	.read_cr = fv_op_read_cr,
	.write_cr = fv_op_write_cr,
	.read_dr = op_read_dr,
	.write_dr = op_write_dr,
	.rdmsr = fv_op_rdmsr,
	.wrmsr = fv_op_wrmsr,
	.invlpg = op_invlpg,
	.wbinvd = op_wbinvd,
	.hlt = op_hlt,
	.xsetbv = op_xsetbv,
	.read_table = op_read_table,
	.write_table = op_write_table,
	.cpuid = fv_op_cpuid,
	.rdtsc = op_rdtsc,
	.tsc_aux = op_tsc_aux,
	.xgetbv = op_xgetbv,
	.port_in = op_port_in,
	.port_out = op_port_out,
	.system = fv_op_system,
};

/* ---- one instruction --------------------------------------------------------------------------- */

static void take_segments(struct fv_cpu *c, const struct x86_emu *emu)
{
	for (unsigned i = 0; i < 8; i++)
		if (emu->loaded >> i & 1)
			c->seg[i] = emu->segment[i];
	if (emu->loaded >> X86_SEG_CS & 1) {
		unsigned cpl = c->seg[X86_SEG_CS].selector & 3;

		c->is_long = (c->efer & EFER_LMA) && (c->seg[X86_SEG_CS].attr & X86_DESC_L);
		if (cpl != c->cpl)
			fv_set_cpl(c, cpl);
	}
}

static unsigned code_mode(const struct fv_cpu *c)
{
	if (c->is_long)
		return X86_MODE_64;
	return c->seg[X86_SEG_CS].attr & X86_DESC_DB ? X86_MODE_32 : X86_MODE_16;
}

static void cannot(struct fv_cpu *c, const struct x86_insn *insn)
{
	char text[3 * X86_INSN_MAX + 1] = "";

	for (unsigned i = 0; i < insn->len && i < X86_INSN_MAX; i++)
		snprintf(text + 3 * i, 4, " %02x", insn->bytes[i]);
	fv_end(c->m, FV_END_CRASH, 0,
	       "the instruction at %#llx cannot be emulated (bytes%s, cr0 %#llx, cpl %u)",
	       (unsigned long long)c->v->regs.rip, text, (unsigned long long)c->cr0, c->cpl);
}

static void take_bases(struct fv_cpu *c)
{
	struct hv_regs *r = &c->v->regs;

	if (c->new_base[0].is_set)
		r->fs_base = c->new_base[0].value;
	if (c->new_base[1].is_set)
		r->gs_base_kernel = c->new_base[1].value;
	c->new_base[0].is_set = c->new_base[1].is_set = false;
}

static void after(struct fv_cpu *c, const struct x86_emu *emu)
{
	take_bases(c);
	take_segments(c, emu);
	c->shadowed = emu->retired & (X86_RETIRED_STI | X86_RETIRED_MOV_SS);
	if (emu->retired & X86_RETIRED_HLT) {
		fv_count(c->m, FV_EXIT_HLT);
		if (c->v->regs.rflags & X86_FLAG_IF)
			fv_wait(c->m);
		else
			fv_end(c->m, FV_END_CRASH, 0,
			       "the guest halted with interrupts off at %#llx",
			       (unsigned long long)c->v->regs.rip);
	}
	if (emu->retired & X86_RETIRED_TRAP) {
		const struct x86_fault db = { .vector = X86_VECTOR_DB };

		c->dr[6] |= 1u << 14;
		fv_fault(c, &db);
	}
}

static struct x86_emu begin(struct fv_cpu *c)
{
	c->v->regs.cs = c->seg[X86_SEG_CS].selector;
	c->v->regs.ss = c->seg[X86_SEG_SS].selector;
	c->shadowed = false;
	return (struct x86_emu){
		.regs = &c->v->regs,
		.ops = &ops,
		.opaque = c,
		.mode = code_mode(c) | (hv_cpu_is_amd() ? X86_MODE_AMD : 0),
		.cpl = c->cpl,
		.flags = c->cpl ? 0 : X86_EMU_KERNEL,
		.allow = X86_ALLOW_ALL,
	};
}

static bool finish(struct fv_cpu *c, const struct x86_emu *emu, enum x86_result rc)
{
	switch (rc) {
	case X86_DONE:
		after(c, emu);
		return true;
	case X86_FAULT:
		fv_fault(c, &emu->fault);
		return true;
	case X86_RETRY:
		return true;
	default:
		cannot(c, &emu->insn);
		return false;
	}
}

bool fv_emulate(struct fv_cpu *c)
{
	struct x86_emu emu = begin(c);
	enum x86_result rc = x86_fetch(&emu);

	if (rc == X86_DONE && string_io(c, &emu.insn))
		return true;
	if (rc == X86_DONE)
		rc = x86_execute(&emu);
	return finish(c, &emu, rc);
}

/* Where a patch leaves for the trampoline: its instruction is done from the guest's memory. */
static bool leaves(struct fv_cpu *c)
{
	struct hv_regs *r = &c->v->regs;

	if (r->rip != c->entries.exit && r->rip != c->entries.iret && r->rip != c->entries.sysret)
		return false;
	r->rip = (uint32_t)r->rcx;
	r->rcx = c->page->scratch[0];
	return true;
}

/* It is code for ring 3, where the interrupt flag is in the page and flags show it set. */
bool fv_emulate_patch(struct fv_cpu *c)
{
	struct x86_emu emu;
	bool done;

	fv_give_flags(c);
	c->v->regs.rflags |= X86_FLAG_IF;
	c->in_patch = true;
	emu = begin(c);
	emu.cpl = 3;
	done = finish(c, &emu, x86_emulate(&emu));
	c->in_patch = false;
	fv_take_flags(c);
	return done && (!leaves(c) || fv_emulate(c));
}
