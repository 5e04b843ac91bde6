/* SPDX-License-Identifier: MIT */
/*
 * The system groups 6, 7, 9 and 15: descriptor tables, the machine status word, what hides behind
 * register forms of 0f 01, and the FS and GS base instructions.
 */
#include "hypervisor-stub/core/x86/emulate.h"

static enum x86_result need_kernel(struct x86_work *w)
{
	return x86_in_kernel(w) ? X86_DONE : x86_raise_error(w->emu, X86_VECTOR_GP, 0);
}

static enum x86_result need_kernel_by_umip(struct x86_work *w)
{
	return w->emu->flags & X86_EMU_UMIP ? need_kernel(w) : X86_DONE;
}

static enum x86_result call_system(struct x86_work *w, enum x86_system which, uint64_t arg)
{
	if (!w->emu->ops->system)
		return X86_UNHANDLED;
	return w->emu->ops->system(w->emu, which, arg, &w->r);
}

/* Selectors and the machine status word: two bytes in memory, the operand size in a register. */
static enum x86_result store_word(struct x86_work *w, uint64_t value)
{
	struct x86_operand op = x86_opd_rm(w, w->insn->has_mem ? 2 : w->insn->opsize);

	op.val = value & x86_mask(op.size);
	return x86_opd_store(w, &op);
}

static enum x86_result load_word(struct x86_work *w, uint64_t *value)
{
	struct x86_operand op = x86_opd_rm(w, 2);
	enum x86_result rc = x86_opd_load(w, &op, X86_READ);

	*value = op.val;
	return rc;
}

/* ---- group 6: sldt str lldt ltr verr verw ------------------------------------------------------ */

enum x86_result x86_do_grp6(struct x86_work *w)
{
	unsigned member = (w->insn->modrm >> 3) & 7;
	enum x86_seg seg = member & 1 ? X86_SEG_TR : X86_SEG_LDTR;
	struct x86_segment s;
	uint64_t selector = 0;
	enum x86_result rc;

	if (w->emu->flags & X86_EMU_REAL)
		return x86_raise(w->emu, X86_VECTOR_UD);
	if (member > 3) /* verr, verw look at descriptors of the caller's tables */
		return X86_UNHANDLED;
	rc = member < 2 ? need_kernel_by_umip(w) : need_kernel(w);
	if (rc != X86_DONE)
		return rc;
	if (member < 2) {
		rc = x86_segment_get(w->emu, &w->r, seg, &s);
		return rc == X86_DONE ? store_word(w, s.selector) : rc;
	}
	rc = load_word(w, &selector);
	return rc == X86_DONE ? x86_load_segment(w, seg, (uint16_t)selector) : rc;
}

/* ---- group 7 ----------------------------------------------------------------------------------- */

static enum x86_result store_table(struct x86_work *w, enum x86_table which)
{
	unsigned size = w->insn->mode == X86_MODE_64 ? 8 : 4;
	uint8_t image[10];
	uint64_t base = 0;
	uint16_t limit = 0;
	enum x86_result rc = need_kernel_by_umip(w);

	if (rc != X86_DONE)
		return rc;
	if (!w->emu->ops->read_table)
		return X86_UNHANDLED;
	rc = w->emu->ops->read_table(w->emu, which, &base, &limit);
	if (rc != X86_DONE)
		return rc;
	x86_pack(image, limit, 2);
	x86_pack(image + 2, base, size);
	return x86_mem_write(w, w->insn->seg, x86_ea(w), image, size + 2);
}

static enum x86_result load_table(struct x86_work *w, enum x86_table which)
{
	unsigned size = w->insn->mode == X86_MODE_64 ? 8 : 4;
	uint8_t image[10] = { 0 };
	uint64_t base;
	enum x86_result rc = need_kernel(w);

	if (rc == X86_DONE)
		rc = x86_mem_read(w, X86_READ, w->insn->seg, x86_ea(w), image, size + 2);
	if (rc != X86_DONE)
		return rc;
	if (!w->emu->ops->write_table)
		return X86_UNHANDLED;
	base = x86_unpack(image + 2, size);
	if (w->insn->mode != X86_MODE_64 && w->insn->opsize == 2)
		base &= 0xffffff;
	if (!x86_is_canonical(base))
		return x86_raise_error(w->emu, X86_VECTOR_GP, 0);
	return w->emu->ops->write_table(w->emu, which, base, (uint16_t)x86_unpack(image, 2));
}

static enum x86_result smsw(struct x86_work *w)
{
	uint64_t cr0 = 0;
	enum x86_result rc = need_kernel_by_umip(w);

	if (rc == X86_DONE)
		rc = w->emu->ops->read_cr ? w->emu->ops->read_cr(w->emu, 0, &cr0) : X86_UNHANDLED;
	return rc == X86_DONE ? store_word(w, cr0) : rc;
}

/* lmsw writes the low four bits of CR0, and can set PE but not clear it. */
static enum x86_result lmsw(struct x86_work *w)
{
	uint64_t cr0 = 0, word = 0;
	enum x86_result rc = need_kernel(w);

	if (rc == X86_DONE)
		rc = load_word(w, &word);
	if (rc != X86_DONE)
		return rc;
	if (!w->emu->ops->read_cr || !w->emu->ops->write_cr)
		return X86_UNHANDLED;
	rc = w->emu->ops->read_cr(w->emu, 0, &cr0);
	if (rc != X86_DONE)
		return rc;
	return w->emu->ops->write_cr(w->emu, 0, (cr0 & ~0xeull) | (word & 0xf));
}

static enum x86_result invlpg(struct x86_work *w)
{
	uint64_t addr = x86_ea(w);
	enum x86_result rc = need_kernel(w);

	if (rc != X86_DONE)
		return rc;
	if (w->insn->mode != X86_MODE_64) {
		struct x86_segment s;

		rc = x86_segment_get(w->emu, &w->r, w->insn->seg, &s);
		if (rc != X86_DONE)
			return rc;
		addr = (uint32_t)(s.base + addr);
	} else if (w->insn->seg == X86_SEG_FS) {
		addr += w->r.fs_base;
	} else if (w->insn->seg == X86_SEG_GS) {
		addr += x86_in_kernel(w) ? w->r.gs_base_kernel : w->r.gs_base_user;
	}
	/* No fault for a non-canonical address: there is nothing to invalidate there. */
	if (w->insn->mode == X86_MODE_64 && !x86_is_canonical(addr))
		return X86_DONE;
	return w->emu->ops->invlpg ? w->emu->ops->invlpg(w->emu, addr) : X86_UNHANDLED;
}

static enum x86_result xgetbv(struct x86_work *w)
{
	uint64_t value = 0;
	enum x86_result rc;

	if (!w->emu->ops->xgetbv)
		return X86_UNHANDLED;
	rc = w->emu->ops->xgetbv(w->emu, (uint32_t)w->r.rcx, &value);
	if (rc == X86_DONE) {
		w->r.rax = (uint32_t)value;
		w->r.rdx = value >> 32;
	}
	return rc;
}

static enum x86_result xsetbv(struct x86_work *w)
{
	uint64_t value = (w->r.rdx << 32) | (uint32_t)w->r.rax;
	enum x86_result rc = need_kernel(w);

	if (rc != X86_DONE)
		return rc;
	if (!w->emu->ops->xsetbv)
		return X86_UNHANDLED;
	return w->emu->ops->xsetbv(w->emu, (uint32_t)w->r.rcx, value);
}

static enum x86_result rdtscp(struct x86_work *w)
{
	uint64_t tsc = 0;
	uint32_t aux = 0;
	enum x86_result rc;

	if (!w->emu->ops->rdtsc || !w->emu->ops->tsc_aux)
		return X86_UNHANDLED;
	rc = w->emu->ops->rdtsc(w->emu, &tsc);
	if (rc == X86_DONE)
		rc = w->emu->ops->tsc_aux(w->emu, &aux);
	if (rc != X86_DONE)
		return rc;
	w->r.rax = (uint32_t)tsc;
	w->r.rdx = tsc >> 32;
	w->r.rcx = aux;
	return X86_DONE;
}

static enum x86_result swapgs(struct x86_work *w)
{
	enum x86_result rc;

	if (w->insn->mode != X86_MODE_64)
		return x86_raise(w->emu, X86_VECTOR_UD);
	rc = need_kernel(w);
	return rc == X86_DONE ? call_system(w, X86_SYS_SWAPGS, 0) : rc;
}

static enum x86_result monitor(struct x86_work *w)
{
	unsigned seg = w->insn->seg_override != X86_SEG_NONE ? w->insn->seg_override : X86_SEG_DS;
	uint64_t addr = 0;
	enum x86_result rc = x86_linear(w, seg, x86_reg_get(w, X86_RAX, w->insn->addrsize), 1,
	                                X86_READ, &addr);

	return rc == X86_DONE ? call_system(w, X86_SYS_MONITOR, addr) : rc;
}

/* The register forms of 0f 01 are instructions of their own, named by the whole modrm byte. */
static enum x86_result grp7_register(struct x86_work *w)
{
	enum x86_result rc;

	switch (w->insn->modrm) {
	case 0xc1:
		return call_system(w, X86_SYS_VMCALL, 0);
	case 0xc8:
		rc = need_kernel(w);
		return rc == X86_DONE ? monitor(w) : rc;
	case 0xc9:
		rc = need_kernel(w);
		return rc == X86_DONE ? call_system(w, X86_SYS_MWAIT, 0) : rc;
	case 0xca:
	case 0xcb:
		if (!x86_in_kernel(w))
			return x86_raise(w->emu, X86_VECTOR_UD);
		return call_system(w, w->insn->modrm == 0xca ? X86_SYS_CLAC : X86_SYS_STAC, 0);
	case 0xd0:
		return xgetbv(w);
	case 0xd1:
		return xsetbv(w);
	case 0xd9:
		return call_system(w, X86_SYS_VMCALL, 1);
	case 0xf8:
		return swapgs(w);
	case 0xf9:
		return rdtscp(w);
	default:
		return X86_UNHANDLED;
	}
}

enum x86_result x86_do_grp7(struct x86_work *w)
{
	unsigned member = (w->insn->modrm >> 3) & 7;

	if (member == 4)
		return smsw(w);
	if (member == 6)
		return lmsw(w);
	if (!w->insn->has_mem)
		return grp7_register(w);
	switch (member) {
	case 0:
	case 1:
		return store_table(w, member);
	case 2:
	case 3:
		return load_table(w, member - 2);
	case 7:
		return invlpg(w);
	default:
		return X86_UNHANDLED;
	}
}

/* ---- group 15: fences, cache lines, FS and GS base ----------------------------------------------- */

static enum x86_result segment_base(struct x86_work *w, unsigned member)
{
	unsigned size = w->insn->rex & X86_REX_W ? 8 : 4;
	uint64_t *base = &w->r.fs_base;
	uint64_t value = x86_reg_get(w, w->insn->rm, size);

	if (member & 1)
		base = x86_in_kernel(w) ? &w->r.gs_base_kernel : &w->r.gs_base_user;
	if (member < 2) {
		x86_reg_set(w, w->insn->rm, size, *base);
		return X86_DONE;
	}
	if (!x86_is_canonical(value))
		return x86_raise_error(w->emu, X86_VECTOR_GP, 0);
	*base = value;
	return X86_DONE;
}

enum x86_result x86_do_grp15(struct x86_work *w)
{
	unsigned member = (w->insn->modrm >> 3) & 7;
	uint8_t byte;

	if (!w->insn->has_mem) {
		if (w->insn->pp == X86_PP_F3 && member < 4 && w->insn->mode == X86_MODE_64)
			return segment_base(w, member);
		/* lfence, mfence, sfence: nothing is reordered here */
		return w->insn->pp == X86_PP_NONE && member >= 5 ? X86_DONE : X86_UNHANDLED;
	}
	/* clflush, clflushopt (/7), clwb (66 /6): they fault as a byte read does */
	if ((member == 7 && w->insn->pp != X86_PP_F3) || (member == 6 && w->insn->pp == X86_PP_66))
		return x86_mem_read(w, X86_READ, w->insn->seg, x86_ea(w), &byte, 1);
	return X86_UNHANDLED;
}

/* ---- group 9: cmpxchg8b and kin, rdpid ------------------------------------------------------------ */

enum x86_result x86_do_grp9(struct x86_work *w)
{
	unsigned member = (w->insn->modrm >> 3) & 7;
	uint32_t aux = 0;
	enum x86_result rc;

	if (member == 1 && w->insn->has_mem)
		return x86_do_cmpxchg8b(w);
	if (w->insn->prefix & X86_PFX_LOCK)
		return x86_raise(w->emu, X86_VECTOR_UD);
	if (member == 7 && !w->insn->has_mem && w->insn->pp == X86_PP_F3) {
		rc = w->emu->ops->tsc_aux ? w->emu->ops->tsc_aux(w->emu, &aux) : X86_UNHANDLED;
		if (rc == X86_DONE)
			x86_reg_set(w, w->insn->rm, 8, aux);
		return rc;
	}
	return X86_UNHANDLED;
}

/* 66 0f 38 82 */
enum x86_result x86_do_invpcid(struct x86_work *w)
{
	uint64_t addr = 0;
	enum x86_result rc;

	if (w->insn->pp != X86_PP_66 || !w->insn->has_mem)
		return x86_raise(w->emu, X86_VECTOR_UD);
	rc = x86_linear(w, w->insn->seg, x86_ea(w), 16, X86_READ, &addr);
	return rc == X86_DONE ? call_system(w, X86_SYS_INVPCID, addr) : rc;
}
