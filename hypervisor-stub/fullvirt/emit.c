/* SPDX-License-Identifier: MIT */
/*
 * The pieces of patches; see emit.h.
 *
 * What stands for an instruction leaves all registers and flags as the instruction does, so it uses
 * only instructions that leave the flags alone, and words of the shared page (native_page.h) instead
 * of a stack: the stack pointer may be a user's. Words are reached by absolute addresses.
 *
 * What is not done in place leaves for the hypervisor by the trampoline: rcx is kept in the page and
 * tells which instruction it is about. That costs half of what a trap does.
 */
#include <string.h>

#include "hypervisor-stub/fullvirt/emit.h"
#include "hypervisor-stub/fullvirt/native_page.h"

#define WORD(offset) (FV_AREA + (offset))
#define FLAG_IF      0x200u

static void bytes(struct fv_emit *e, const void *from, size_t n)
{
	if (e->failed || (size_t)(e->end - e->to) < n) {
		e->failed = true;
		return;
	}
	memcpy(e->to, from, n);
	e->to += n;
	e->at += n;
}

static void byte(struct fv_emit *e, uint8_t b)
{
	bytes(e, &b, 1);
}

static void dword(struct fv_emit *e, uint32_t v)
{
	bytes(e, &v, 4);
}

/* An opcode with an absolute address: op bytes, modrm of the register, SIB without base. */
static void absolute(struct fv_emit *e, const char *op, size_t n, unsigned reg, unsigned offset)
{
	bytes(e, op, n);
	byte(e, (uint8_t)((reg & 7) << 3 | 4));
	byte(e, 0x25);
	dword(e, WORD(offset));
}

#define ABSOLUTE(e, op, reg, offset) absolute(e, op, sizeof(op) - 1, reg, offset)

static void save(struct fv_emit *e, unsigned reg, unsigned offset)
{
	ABSOLUTE(e, "\x48\x89", reg, offset);
}

static void restore(struct fv_emit *e, unsigned reg, unsigned offset)
{
	ABSOLUTE(e, "\x48\x8b", reg, offset);
}

static void set_mask(struct fv_emit *e, uint8_t value)
{
	ABSOLUTE(e, "\xc6", 0, NATIVE_MASK);
	byte(e, value);
}

void fv_emit_jump(struct fv_emit *e, uint64_t va)
{
	byte(e, 0xe9);
	dword(e, (uint32_t)(va - (e->at + 4)));
}

/* Leaves through a word of the page, about the instruction at va. */
static void leave(struct fv_emit *e, uint64_t va, unsigned through)
{
	if (va >> 32)
		e->failed = true;
	save(e, X86_RCX, NATIVE_T1);
	byte(e, 0xb9); /* mov $va, %ecx */
	dword(e, (uint32_t)va);
	ABSOLUTE(e, "\xff", 4, through);
}

/* A short jump to be aimed later: returns where its distance is. */
static uint8_t *forward(struct fv_emit *e, uint8_t opcode)
{
	byte(e, opcode);
	byte(e, 0);
	return e->to - 1;
}

static void aim(struct fv_emit *e, uint8_t *distance)
{
	if (!e->failed)
		*distance = (uint8_t)(e->to - distance - 1);
}

/* Interrupts on, then a look whether one waits; the exchange is the barrier between the two. Loses rcx. */
static void unmask(struct fv_emit *e)
{
	byte(e, 0xb9); /* mov $0, %ecx */
	dword(e, 0);
	ABSOLUTE(e, "\x86", X86_RCX, NATIVE_MASK);
	ABSOLUTE(e, "\x0f\xb6", X86_RCX, NATIVE_PENDING);
}

/* Somebody has to take an interrupt: sti is then emulated, whose effect it is. */
static void emit_sti(struct fv_emit *e, uint64_t va)
{
	uint8_t *none;

	save(e, X86_RCX, NATIVE_T2);
	unmask(e);
	none = forward(e, 0xe3); /* jrcxz */
	set_mask(e, 1);
	restore(e, X86_RCX, NATIVE_T2);
	leave(e, va, NATIVE_EXIT);
	aim(e, none);
	restore(e, X86_RCX, NATIVE_T2);
}

/* At ring 3 pushf shows IF set: less 512 times the mask is right. */
static void emit_pushf(struct fv_emit *e)
{
	byte(e, 0x9c);
	save(e, X86_RAX, NATIVE_T2);
	save(e, X86_RCX, NATIVE_T3);
	ABSOLUTE(e, "\x0f\xb6", X86_RCX, NATIVE_MASK);
	for (unsigned i = 0; i < 3; i++) {
		bytes(e, "\x8d\x0c\xcd", 3); /* lea 0(,%rcx,8), %ecx */
		dword(e, 0);
	}
	bytes(e, "\x48\xf7\xd1", 3);         /* not %rcx */
	bytes(e, "\x48\x8b\x04\x24", 4);     /* mov (%rsp), %rax */
	bytes(e, "\x48\x8d\x44\x08\x01", 5); /* lea 1(%rax,%rcx), %rax */
	bytes(e, "\x48\x89\x04\x24", 4);     /* mov %rax, (%rsp) */
	restore(e, X86_RAX, NATIVE_T2);
	restore(e, X86_RCX, NATIVE_T3);
}

static void emit_popf(struct fv_emit *e, uint64_t va)
{
	uint8_t *off, *none;

	save(e, X86_RCX, NATIVE_T2);
	bytes(e, "\x48\x8b\x0c\x24", 4); /* mov (%rsp), %rcx */
	bytes(e, "\xf7\xc1", 2);         /* test $IF, %ecx */
	dword(e, FLAG_IF);
	off = forward(e, 0x74);
	unmask(e);
	none = forward(e, 0xe3);
	set_mask(e, 1);
	restore(e, X86_RCX, NATIVE_T2);
	leave(e, va, NATIVE_EXIT);
	aim(e, off);
	set_mask(e, 1);
	aim(e, none);
	restore(e, X86_RCX, NATIVE_T2);
	byte(e, 0x9d);
}

static void emit_swapgs(struct fv_emit *e)
{
	save(e, X86_RAX, NATIVE_T2);
	bytes(e, "\xf3\x48\x0f\xae\xc8", 5); /* rdgsbase %rax */
	ABSOLUTE(e, "\x48\x87", X86_RAX, NATIVE_KGS);
	bytes(e, "\xf3\x48\x0f\xae\xd8", 5); /* wrgsbase %rax */
	restore(e, X86_RAX, NATIVE_T2);
}

static bool emit_read_cr(struct fv_emit *e, const struct x86_insn *insn)
{
	static const uint16_t word[] = { NATIVE_CR0, 0, NATIVE_CR2, NATIVE_CR3, NATIVE_CR4 };

	if (insn->reg > 4 || !word[insn->reg])
		return false;
	absolute(e, insn->rm & 8 ? "\x4c\x8b" : "\x48\x8b", 2, insn->rm, word[insn->reg]);
	return true;
}

/* An ordinary instruction: as it is, but for an address relative to itself. */
static void emit_plain(struct fv_emit *e, const struct x86_insn *insn, uint64_t va)
{
	uint8_t copy[X86_INSN_MAX];
	int64_t disp = insn->disp;

	memcpy(copy, insn->bytes, insn->len);
	if (insn->rip_relative) {
		disp += (int64_t)(va - e->at);
		if (disp != (int32_t)disp || insn->disp_len != 4) {
			e->failed = true;
			return;
		}
		memcpy(copy + insn->disp_at, &(int32_t){ (int32_t)disp }, 4);
	}
	bytes(e, copy, insn->len);
}

/* Moves, arithmetic and the like: a list of what is common in text. */
bool fv_emit_is_plain(const struct x86_insn *insn)
{
	uint8_t op = insn->opcode;

	if (insn->encoding != X86_ENC_LEGACY)
		return false;
	if (insn->map == X86_MAP_ONE) {
		if (op < 0x40) /* arithmetic; not push and pop of segments, prefixes are none */
			return (op & 7) < 6;
		if (op >= 0x50 && op < 0x60) /* push, pop */
			return true;
		return op == 0x63 || op == 0x68 || op == 0x69 || op == 0x6a || op == 0x6b ||
		       (op >= 0x80 && op <= 0x8b) || op == 0x8d || op == 0x90 ||
		       (op >= 0xa8 && op <= 0xa9) || (op >= 0xb0 && op < 0xc0) || op == 0xc0 ||
		       op == 0xc1 || op == 0xc6 || op == 0xc7 || (op >= 0xd0 && op <= 0xd3) ||
		       op == 0xf6 || op == 0xf7 || op == 0xfc || op == 0xfe ||
		       (op == 0xff && ((insn->modrm >> 3 & 7) < 2 || (insn->modrm >> 3 & 7) == 6));
	}
	if (insn->map != X86_MAP_0F)
		return false;
	return op == 0x1f || (op >= 0x40 && op < 0x50) || (op >= 0x90 && op < 0xa0) || op == 0xaf ||
	       (op >= 0xb6 && op <= 0xb7) || (op >= 0xbe && op <= 0xbf);
}

static bool emit_two_byte(struct fv_emit *e, const struct x86_insn *insn, uint64_t va)
{
	if (insn->opcode == 0x20 && emit_read_cr(e, insn))
		return false;
	if (insn->opcode == 0x01 && insn->modrm == 0xf8) {
		emit_swapgs(e);
		return false;
	}
	leave(e, va, insn->opcode == 0x07 && insn->opsize == 8 ? NATIVE_SYSRET : NATIVE_EXIT);
	return true;
}

bool fv_emit_insn(struct fv_emit *e, const struct x86_insn *insn, uint64_t va)
{
	uint64_t target = 0;

	if (fv_emit_is_plain(insn)) {
		emit_plain(e, insn, va);
		return false;
	}
	if (insn->encoding == X86_ENC_LEGACY && insn->map == X86_MAP_ONE) {
		switch (insn->opcode) {
		case 0x9c:
			if (insn->opsize != 8)
				break;
			emit_pushf(e);
			return false;
		case 0x9d:
			if (insn->opsize != 8)
				break;
			emit_popf(e, va);
			return false;
		case 0xfa:
			set_mask(e, 1);
			return false;
		case 0xfb:
			emit_sti(e, va);
			return false;
		case 0xc3:
			byte(e, 0xc3);
			return true;
		case 0xcf:
			leave(e, va, insn->opsize == 8 ? NATIVE_IRET : NATIVE_EXIT);
			return true;
		default:
			break;
		}
	}
	switch (x86_insn_flow(insn, va, &target)) {
	case X86_FLOW_JMP:
		fv_emit_jump(e, target);
		return true;
	case X86_FLOW_NEXT:
		if (insn->encoding == X86_ENC_LEGACY && insn->map == X86_MAP_0F)
			return emit_two_byte(e, insn, va);
		leave(e, va, NATIVE_EXIT);
		return true;
	case X86_FLOW_FAR: /* iret, sysret, a far return */
		if (insn->encoding == X86_ENC_LEGACY && insn->map == X86_MAP_0F)
			return emit_two_byte(e, insn, va);
		leave(e, va, NATIVE_EXIT);
		return true;
	default:
		e->failed = true;
		return true;
	}
}
