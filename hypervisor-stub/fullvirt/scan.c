/* SPDX-License-Identifier: MIT */
/*
 * Code pages of the guest's kernel.
 *
 * Kernel pages are mapped without the right to execute. The first fetch from one brings us here: a copy
 * of the page is made, decoded, changed and mapped in its stead, readable and executable; a store to it
 * faults, makes it data again, and the next fetch begins anew. The original is never changed, so what
 * devices, tables and the emulator see is the guest's own.
 *
 * In the copy every instruction that would silently do something else at ring 3 (fv_is_silent()) gets
 * an int3 in the place of its first byte. What traps by itself is left: it is emulated when it traps.
 * Both may then be replaced by something faster (patch.c).
 *
 * Where instructions begin is found along the control flow: from the address of the fetch on, to the
 * targets of branches, behind calls and conditional branches. What is left between the pieces is then
 * decoded in a row, for compilers fill text with code: a function that is reached through a pointer
 * later is found so. A branch out of the page is followed when that page is fetched from.
 *
 * Known gaps: a guest that reads its own text sees the replaced bytes; data between instructions may be
 * taken for one of the silent instructions; an instruction that begins in one page and ends in the next
 * is looked at in the page where it begins, with the bytes of the next page as they are then; a page
 * that executes at one address and is written by another, mapped for writing before, is not seen.
 */
#include <stdlib.h>
#include <string.h>

#include "hypervisor-stub/fullvirt/patch.h"

#define INT3       0xcc
#define LOOK_AHEAD 32 /* instructions */

/* ---- which instructions ------------------------------------------------------------------------ */

/* 0f 00: sldt, str, verr, verw; 0f 01: sgdt, sidt, smsw, and xgetbv's neighbours that do not trap. */
static bool group_is_silent(const struct x86_insn *insn)
{
	unsigned member = insn->modrm >> 3 & 7;

	if (insn->opcode == 0x00)
		return member < 2 || member == 4 || member == 5;
	if (insn->mod != 3)
		return member < 2 || member == 4;
	return member == 4 || insn->modrm == 0xf9 /* rdtscp */ || insn->modrm == 0xd9 /* vmmcall */;
}

bool fv_is_silent(const struct x86_insn *insn)
{
	if (insn->encoding != X86_ENC_LEGACY)
		return false;
	if (insn->map == X86_MAP_ONE) {
		switch (insn->opcode) {
		case 0x8c: /* mov from a segment register */
		case 0x9c: /* pushf, popf */
		case 0x9d:
		case 0xca: /* far returns, iret */
		case 0xcb:
		case 0xcf:
			return true;
		default:
			return false;
		}
	}
	if (insn->map != X86_MAP_0F)
		return false;
	switch (insn->opcode) {
	case 0x00:
	case 0x01:
		return group_is_silent(insn);
	case 0x02: /* lar, lsl */
	case 0x03:
	case 0xa2: /* cpuid */
		return true;
	default:
		return false;
	}
}

/* ---- tables ------------------------------------------------------------------------------------ */

static unsigned bucket(uint64_t va)
{
	return (unsigned)(va >> FV_PAGE_SHIFT) % FV_CODE_BUCKETS;
}

struct fv_code *fv_code_find(const struct fv_cpu *c, uint64_t va)
{
	struct fv_code *code = c->code[bucket(va)];

	while (code && code->va != FV_PAGE_OF(va))
		code = code->next;
	return code;
}

mfn_t fv_code_mfn(const struct fv_cpu *c, const struct fv_code *code)
{
	return (mfn_t){ c->d->mem.first.n + (c->mem.bytes >> FV_PAGE_SHIFT) + code->copy };
}

uint8_t *fv_code_copy(const struct fv_cpu *c, const struct fv_code *code)
{
	return c->mem.ram + c->mem.bytes + (uint64_t)code->copy * FV_PAGE;
}

int fv_code_init(struct fv_cpu *c)
{
	c->free_copies = calloc(FV_MAX_CODE, sizeof(*c->free_copies));
	c->code_map = calloc(c->mem.bytes >> FV_PAGE_SHIFT, 1);
	if (!c->free_copies || !c->code_map)
		return -1;
	for (unsigned i = 0; i < FV_MAX_CODE; i++)
		c->free_copies[c->nr_free_copies++] = FV_MAX_CODE - 1 - i;
	return 0;
}

static void remove_code(struct fv_cpu *c, struct fv_code *code)
{
	struct fv_code **at = &c->code[bucket(code->va)];

	while (*at != code)
		at = &(*at)->next;
	*at = code->next;
	c->free_copies[c->nr_free_copies++] = code->copy;
	__atomic_store_n(&c->code_map[code->gpa >> FV_PAGE_SHIFT], 0, __ATOMIC_RELAXED);
	fv_drop(c, c->kernel_root, code->va, FV_PAGE);
	free(code);
}

void fv_code_drop_gpa(struct fv_cpu *c, uint64_t gpa)
{
	gpa = FV_PAGE_OF(gpa);
	for (unsigned i = 0; i < FV_CODE_BUCKETS; i++) {
		for (struct fv_code *code = c->code[i], *next; code; code = next) {
			next = code->next;
			if (code->gpa == gpa)
				remove_code(c, code);
		}
	}
}

void fv_code_drop_all(struct fv_cpu *c)
{
	for (unsigned i = 0; i < FV_CODE_BUCKETS; i++)
		while (c->code[i])
			remove_code(c, c->code[i]);
}

void fv_code_fini(struct fv_cpu *c)
{
	for (unsigned i = 0; i < FV_CODE_BUCKETS; i++) {
		while (c->code[i]) {
			struct fv_code *code = c->code[i];

			c->code[i] = code->next;
			free(code);
		}
	}
	free(c->free_copies);
	free(c->code_map);
}

/* ---- decoding ---------------------------------------------------------------------------------- */

/* The guest's bytes from an offset of the page on; those of the next page as far as it is memory. */
static unsigned bytes_at(const struct fv_cpu *c, const struct fv_code *code, unsigned at,
                         uint8_t out[X86_INSN_MAX])
{
	unsigned here = FV_PAGE - at < X86_INSN_MAX ? FV_PAGE - at : X86_INSN_MAX;
	const struct fv_paging p = fv_paging(c);
	struct fv_walk w;

	memcpy(out, c->mem.ram + code->gpa + at, here);
	if (here == X86_INSN_MAX)
		return here;
	fv_walk(&p, code->va + FV_PAGE, &w);
	if (!w.present || !fv_is_ram(&c->mem, w.gpa))
		return here;
	memcpy(out + here, c->mem.ram + w.gpa, X86_INSN_MAX - here);
	return X86_INSN_MAX;
}

bool fv_code_decode(const struct fv_cpu *c, const struct fv_code *code, unsigned at,
                    struct x86_insn *insn)
{
	uint8_t bytes[X86_INSN_MAX];
	unsigned n = bytes_at(c, code, at, bytes);

	return x86_decode(insn, bytes, n, X86_MODE_64) == X86_DECODE_OK;
}

static void mark_start(struct fv_cpu *c, struct fv_code *code, unsigned at,
                       const struct x86_insn *insn)
{
	code->mark[at] |= FV_MARK_START;
	if (!fv_is_silent(insn))
		return;
	code->mark[at] |= FV_MARK_TRAP;
	fv_code_copy(c, code)[at] = INT3;
}

/* A branch goes to va: wherever that is, no jump may stand over it. */
static void mark_target(struct fv_cpu *c, uint64_t va)
{
	struct fv_code *code = fv_code_find(c, va);
	unsigned at = (unsigned)(va % FV_PAGE);

	if (!code)
		return;
	code->mark[at] |= FV_MARK_TARGET;
	if (code->mark[at] & FV_MARK_INSIDE)
		fv_patch_undo(c, code, at);
}

struct todo {
	uint16_t at[256];
	unsigned nr;
};

/* What does not fit is found by decoding in a row. */
static void push(struct todo *todo, const struct fv_code *code, uint64_t va)
{
	if (FV_PAGE_OF(va) == code->va && todo->nr < 256)
		todo->at[todo->nr++] = (uint16_t)(va % FV_PAGE);
}

/* Decodes from one address on until the flow leaves. */
static void follow(struct fv_cpu *c, struct fv_code *code, unsigned at, struct todo *todo)
{
	while (at < FV_PAGE && !(code->mark[at] & FV_MARK_START)) {
		enum x86_flow flow;
		struct x86_insn insn;
		uint64_t target = 0;

		if (!fv_code_decode(c, code, at, &insn))
			return;
		mark_start(c, code, at, &insn);
		flow = x86_insn_flow(&insn, code->va + at, &target);
		if (flow == X86_FLOW_JCC || flow == X86_FLOW_JMP || flow == X86_FLOW_CALL) {
			mark_target(c, target);
			push(todo, code, target);
		}
		if (flow == X86_FLOW_JMP || flow == X86_FLOW_JMP_IND || flow == X86_FLOW_RET ||
		    flow == X86_FLOW_FAR || flow == X86_FLOW_STOP || flow == X86_FLOW_INVALID)
			return;
		at += insn.len;
	}
}

void fv_code_scan(struct fv_cpu *c, struct fv_code *code, unsigned entry)
{
	struct todo todo = { .at = { (uint16_t)entry }, .nr = 1 };

	while (todo.nr)
		follow(c, code, todo.at[--todo.nr], &todo);
}

/*
 * Whether decoding in a row from `at` comes out at the next known beginning or the page's end, or goes on for
 * long: then it is in step.
 */
static bool fits(const struct fv_cpu *c, const struct fv_code *code, unsigned at)
{
	struct x86_insn insn;

	for (unsigned n = 0; n < LOOK_AHEAD && at < FV_PAGE && !(code->mark[at] & FV_MARK_START);
	     n++) {
		if (!fv_code_decode(c, code, at, &insn))
			return false;
		for (unsigned i = 1; i < insn.len && at + i < FV_PAGE; i++)
			if (code->mark[at + i] & FV_MARK_START)
				return false;
		at += insn.len;
	}
	return true;
}

/* The gaps. Decoding may have to begin a little later than the gap does. */
static void fill_gaps(struct fv_cpu *c, struct fv_code *code)
{
	struct x86_insn insn;
	unsigned at = 0;

	while (at < FV_PAGE) {
		if (code->mark[at] & FV_MARK_START) {
			at += fv_code_decode(c, code, at, &insn) ? insn.len : 1;
			continue;
		}
		for (unsigned i = 0; i < X86_INSN_MAX && at < FV_PAGE && !fits(c, code, at); i++)
			at++;
		if (at >= FV_PAGE || (code->mark[at] & FV_MARK_START))
			continue;
		if (!fits(c, code, at)) {
			at++;
			continue;
		}
		fv_code_scan(c, code, at);
		if (!(code->mark[at] & FV_MARK_START))
			at++;
	}
}

/* Branches of pages that were scanned before this one. */
static void take_targets(struct fv_cpu *c, struct fv_code *code)
{
	for (unsigned b = 0; b < FV_CODE_BUCKETS; b++) {
		for (struct fv_code *other = c->code[b]; other; other = other->next) {
			if (other == code || other->va + 2 * FV_PAGE < code->va ||
			    code->va + 2 * FV_PAGE < other->va)
				continue;
			for (unsigned at = 0; at < FV_PAGE; at++) {
				struct x86_insn insn;
				uint64_t target = 0;

				if (!(other->mark[at] & FV_MARK_START) ||
				    !fv_code_decode(c, other, at, &insn))
					continue;
				x86_insn_flow(&insn, other->va + at, &target);
				if (FV_PAGE_OF(target) == code->va)
					code->mark[target % FV_PAGE] |= FV_MARK_TARGET;
			}
		}
	}
}

struct fv_code *fv_code_enter(struct fv_cpu *c, uint64_t va, uint64_t gpa, uint64_t entry)
{
	struct fv_code *code = fv_code_find(c, va);

	if (code && code->gpa != gpa) {
		remove_code(c, code);
		code = NULL;
	}
	if (!code) {
		if (!c->nr_free_copies)
			fv_code_drop_all(c);
		code = calloc(1, sizeof(*code));
		if (!code)
			return NULL;
		code->va = va;
		code->gpa = gpa;
		code->copy = c->free_copies[--c->nr_free_copies];
		code->next = c->code[bucket(va)];
		c->code[bucket(va)] = code;
		__atomic_store_n(&c->code_map[gpa >> FV_PAGE_SHIFT], 1, __ATOMIC_RELAXED);
		/* A device that writes from now on is heard of; what it wrote before is copied. */
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		memcpy(fv_code_copy(c, code), c->mem.ram + gpa, FV_PAGE);
		take_targets(c, code);
		fv_code_scan(c, code, (unsigned)(entry % FV_PAGE));
		fill_gaps(c, code);
	}
	fv_count(c->m, FV_EXIT_SCAN);
	return code;
}
