/* SPDX-License-Identifier: MIT */
/*
 * Near branches, and the instructions that call the system on purpose.
 */
#include "hypervisor-stub/core/x86/emulate.h"

enum x86_result x86_jump(struct x86_work *w, uint64_t target)
{
	struct x86_segment cs;
	enum x86_result rc;

	if (w->insn->mode == X86_MODE_64) {
		if (!x86_is_canonical(target))
			return x86_raise_error(w->emu, X86_VECTOR_GP, 0);
		w->r.rip = target;
		return X86_DONE;
	}
	rc = x86_segment_get(w->emu, &w->r, X86_SEG_CS, &cs);
	if (rc != X86_DONE)
		return rc;
	if ((uint32_t)target > cs.limit)
		return x86_raise_error(w->emu, X86_VECTOR_GP, 0);
	w->r.rip = (uint32_t)target;
	return X86_DONE;
}

static uint64_t relative_target(const struct x86_work *w)
{
	return (w->next_rip + w->insn->imm) & x86_mask(w->insn->opsize);
}

enum x86_result x86_do_jmp(struct x86_work *w)
{
	return x86_jump(w, relative_target(w));
}

enum x86_result x86_do_jcc(struct x86_work *w)
{
	if (!x86_condition(w->r.rflags, w->insn->opcode & 15))
		return X86_DONE;
	return x86_do_jmp(w);
}

enum x86_result x86_do_jmp_ind(struct x86_work *w)
{
	return x86_jump(w, w->dst.val);
}

/* The target is checked before the return address is written. */
static enum x86_result call(struct x86_work *w, uint64_t target)
{
	enum x86_result rc = x86_jump(w, target);

	if (rc != X86_DONE)
		return rc;
	return x86_push(w, w->insn->opsize, w->next_rip & x86_mask(w->insn->opsize));
}

enum x86_result x86_do_call(struct x86_work *w)
{
	return call(w, relative_target(w));
}

enum x86_result x86_do_call_ind(struct x86_work *w)
{
	return call(w, w->dst.val);
}

enum x86_result x86_do_ret(struct x86_work *w)
{
	unsigned stack;
	uint64_t target = 0;
	enum x86_result rc = x86_pop(w, w->insn->opsize, &target);

	if (rc == X86_DONE)
		rc = x86_jump(w, target);
	if (rc == X86_DONE)
		rc = x86_stack_size(w, &stack);
	if (rc == X86_DONE)
		x86_stack_move(w, stack, w->insn->imm & 0xffff);
	return rc;
}

/* loopne, loope, loop, jcxz: the counter is as wide as an address. */
enum x86_result x86_do_loop(struct x86_work *w)
{
	unsigned kind = w->insn->opcode & 3, size = w->insn->addrsize;
	uint64_t count = x86_reg_get(w, X86_RCX, size);
	bool zero = w->r.rflags & X86_FLAG_ZF;

	if (kind == 3)
		return count == 0 ? x86_do_jmp(w) : X86_DONE;
	count = (count - 1) & x86_mask(size);
	x86_reg_set(w, X86_RCX, size, count);
	if (count == 0 || (kind == 0 && zero) || (kind == 1 && !zero))
		return X86_DONE;
	return x86_do_jmp(w);
}

static enum x86_result system_call(struct x86_work *w, enum x86_system which, uint64_t arg)
{
	w->keep_rf = true; /* the callback owns the flags now */
	if (!w->emu->ops->system)
		return X86_UNHANDLED;
	return w->emu->ops->system(w->emu, which, arg, &w->r);
}

/* int3, int n, int1 */
enum x86_result x86_do_int(struct x86_work *w)
{
	uint64_t vector = w->insn->imm & 0xff;

	if (w->insn->opcode == 0xcc)
		vector = X86_VECTOR_BP;
	else if (w->insn->opcode == 0xf1)
		vector = X86_VECTOR_DB;
	return system_call(w, X86_SYS_INT, vector);
}

enum x86_result x86_do_into(struct x86_work *w)
{
	if (!(w->r.rflags & X86_FLAG_OF))
		return X86_DONE;
	return system_call(w, X86_SYS_INT, X86_VECTOR_OF);
}

enum x86_result x86_do_syscall(struct x86_work *w)
{
	switch (w->insn->opcode) {
	case 0x05:
		return system_call(w, X86_SYS_SYSCALL, 0);
	case 0x07:
		return system_call(w, X86_SYS_SYSRET, 0);
	case 0x34:
		return system_call(w, X86_SYS_SYSENTER, 0);
	default:
		return system_call(w, X86_SYS_SYSEXIT, 0);
	}
}
