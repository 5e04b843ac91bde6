/* SPDX-License-Identifier: MIT */
/*
 * Instructions of the kernel's that trap are replaced by a jump to a patch: code near the kernel's, in
 * the hole where a PC has ROMs, that does the same at ring 3 (emit.c).
 *
 * A jump takes five bytes, so a patch stands for several instructions in a row. None but the first of
 * them may be jumped to; a branch to one that is found later undoes the patch. Nor may the guest ever see
 * an address within one:
 *
 *   - where the guest stops in a patch and is to be given an interrupt, the patch is first carried out
 *     to its end by the emulator (fv_patch_finish());
 *   - after an instruction of a patch was emulated, so are those behind it, to the end of the jump's
 *     bytes;
 *   - where a fault is given to the guest, the patch is undone and the fault is the instruction's.
 *
 * A patch stays in memory when it is undone. When the area is full, all are given up.
 */
#include <string.h>

#include "hypervisor-stub/fullvirt/emit.h"
#include "hypervisor-stub/fullvirt/patch.h"

#define JUMP_LEN  5
#define MAX_INSNS FV_PATCH_INSNS
#define INT3      0xcc

/* What a patch stands for. */
struct row {
	struct x86_insn insn[MAX_INSNS];
	unsigned nr, len;
	bool ends; /* the last one goes nowhere */
};

static bool is_padding(const struct x86_insn *insn)
{
	return insn->encoding == X86_ENC_LEGACY &&
	       ((insn->map == X86_MAP_ONE && (insn->opcode == 0x90 || insn->opcode == INT3)) ||
	        (insn->map == X86_MAP_0F && insn->opcode == 0x1f));
}

static bool goes_on(const struct x86_insn *insn)
{
	enum x86_flow flow = x86_insn_flow(insn, 0, NULL);

	return flow == X86_FLOW_NEXT;
}

/* Whether no other jump stands over any of these bytes; code may be decoded in two ways at once. */
static bool is_free(const struct fv_code *code, unsigned at, unsigned len)
{
	for (unsigned i = 0; i < len; i++)
		if (code->mark[at + i] & (FV_MARK_JUMP | FV_MARK_INSIDE))
			return false;
	return true;
}

/* The instructions from `at` on until a jump has room. False: it has not. */
static bool collect(const struct fv_cpu *c, const struct fv_code *code, unsigned at,
                    struct row *row)
{
	*row = (struct row){ 0 };
	while (row->len < JUMP_LEN) {
		struct x86_insn *insn = &row->insn[row->nr];

		if (row->nr == MAX_INSNS || at + row->len >= FV_PAGE ||
		    !fv_code_decode(c, code, at + row->len, insn) ||
		    at + row->len + insn->len > FV_PAGE)
			return false;
		if (row->ends && !is_padding(insn))
			return false;
		if ((row->len && (code->mark[at + row->len] & FV_MARK_TARGET)) ||
		    !is_free(code, at + row->len, insn->len))
			return false;
		row->len += insn->len;
		if (row->ends)
			continue; /* padding is nothing to carry out */
		row->nr++;
		row->ends = !goes_on(insn);
	}
	return true;
}

/*
 * Instructions that are worth it, and behind which nobody goes on by an address that is data: a table of
 * fix-ups may name what follows a wrmsr, but not what follows these.
 */
static bool is_hot(const struct x86_insn *insn)
{
	if (insn->encoding != X86_ENC_LEGACY)
		return false;
	if (insn->map == X86_MAP_ONE)
		return insn->opcode == 0x9c || insn->opcode == 0x9d || insn->opcode == 0xcf ||
		       insn->opcode == 0xf4 || insn->opcode == 0xfa || insn->opcode == 0xfb ||
		       (insn->opcode & 0xf4) == 0xe4 || (insn->opcode & 0xfc) == 0x6c;
	if (insn->map != X86_MAP_0F)
		return false;
	return insn->opcode == 0x07 || insn->opcode == 0x20 || insn->opcode == 0x22 ||
	       (insn->opcode == 0x01 &&
	        (insn->modrm == 0xf8 || (insn->mod != 3 && (insn->modrm >> 3 & 7) == 7)));
}

static bool has_room(const struct fv_cpu *c)
{
	return c->patch_at + MAX_INSNS * FV_EMIT_MAX < FV_AREA_END &&
	       c->nr_patches < FV_MAX_PATCHES;
}

/* Writes the patch. False when the row cannot be done. */
static bool write_patch(struct fv_cpu *c, const struct row *row, struct fv_patch *patch)
{
	uint64_t start = c->patch_at, at = patch->va;
	struct fv_emit e = { .to = c->mem.ram + start,
		             .at = start,
		             .end = c->mem.ram + FV_AREA_END };
	bool ended = false;

	for (unsigned i = 0; i < row->nr && !ended; i++) {
		patch->in[i] = (uint8_t)(at - patch->va);
		patch->out[i] = (uint16_t)(e.at - start);
		ended = fv_emit_insn(&e, &row->insn[i], at);
		at += row->insn[i].len;
		patch->nr++;
	}
	if (!ended)
		fv_emit_jump(&e, patch->va + row->len);
	if (e.failed)
		return false;
	c->patch_at = (e.at + 15) & ~UINT64_C(15);
	patch->start = start;
	patch->end = c->patch_at;
	return true;
}

static void put_jump(struct fv_cpu *c, struct fv_code *code, unsigned at, uint64_t to, unsigned len)
{
	uint32_t distance = (uint32_t)(to - (code->va + at + JUMP_LEN));
	uint8_t *copy = fv_code_copy(c, code) + at;

	copy[0] = 0xe9;
	memcpy(copy + 1, &distance, sizeof(distance));
	code->mark[at] |= FV_MARK_JUMP;
	for (unsigned i = 1; i < len; i++)
		code->mark[at + i] |= FV_MARK_INSIDE;
}

/* A patch that begins at one instruction of a page. */
static bool patch_from(struct fv_cpu *c, struct fv_code *code, unsigned at)
{
	struct fv_patch patch = { .va = code->va + at };
	struct row row;

	if (!(code->mark[at] & FV_MARK_START) ||
	    (code->mark[at] & (FV_MARK_JUMP | FV_MARK_INSIDE | FV_MARK_TRIED)) ||
	    !collect(c, code, at, &row) || !write_patch(c, &row, &patch))
		return false;
	put_jump(c, code, at, patch.start, row.len);
	c->patch[c->nr_patches++] = patch;
	c->nr_patched++;
	return true;
}

/* The instruction before, when it is known; FV_PAGE: none. */
static unsigned before(const struct fv_cpu *c, const struct fv_code *code, unsigned at)
{
	struct x86_insn insn;

	for (unsigned i = 1; i <= X86_INSN_MAX && i <= at; i++)
		if (code->mark[at - i] & FV_MARK_START)
			return fv_code_decode(c, code, at - i, &insn) && insn.len == i ? at - i
			                                                               : FV_PAGE;
	return FV_PAGE;
}

void fv_patch(struct fv_cpu *c, uint64_t va)
{
	struct fv_code *code = fv_code_find(c, va);
	unsigned at = (unsigned)(va % FV_PAGE), earlier;
	struct x86_insn insn;

	if (!c->patches_on || !code || va >> 31 || !fv_code_decode(c, code, at, &insn) ||
	    !is_hot(&insn))
		return;
	if (!has_room(c)) {
		fv_patch_forget_all(c);
		return;
	}
	fv_code_scan(c, code, at);
	if (code->mark[at] & (FV_MARK_TRIED | FV_MARK_JUMP | FV_MARK_INSIDE))
		return;
	if (!patch_from(c, code, at)) {
		earlier = before(c, code, at);
		if (earlier != FV_PAGE)
			patch_from(c, code, earlier);
	}
	code->mark[at] |= FV_MARK_TRIED;
}

void fv_patch_undo(struct fv_cpu *c, struct fv_code *code, unsigned at)
{
	uint8_t *copy = fv_code_copy(c, code);
	unsigned first = at;

	while (first && (code->mark[first] & FV_MARK_INSIDE))
		first--;
	if (!(code->mark[first] & FV_MARK_JUMP))
		return;
	code->mark[first] = (uint8_t)((code->mark[first] & ~FV_MARK_JUMP) | FV_MARK_TRIED);
	for (unsigned i = first; i == first || (i < FV_PAGE && (code->mark[i] & FV_MARK_INSIDE));
	     i++) {
		code->mark[i] &= (uint8_t)~FV_MARK_INSIDE;
		copy[i] = code->mark[i] & FV_MARK_TRAP ? INT3 : c->mem.ram[code->gpa + i];
	}
}

void fv_patch_forget_all(struct fv_cpu *c)
{
	fv_code_drop_all(c);
	c->patch_at = FV_PATCHES;
	c->nr_patches = 0;
}

bool fv_patch_holds(uint64_t rip)
{
	return rip >= FV_PATCHES && rip < FV_AREA_END;
}

/*
 * Whether the next instruction belongs to a jump's bytes and shall be carried out, too. Not when an
 * interrupt is due and it might switch interrupts off, as in sti; hlt; cli: the interrupt comes first.
 */
static bool is_inside(const struct fv_cpu *c, uint64_t rip)
{
	const struct fv_code *code = fv_code_find(c, rip);
	struct x86_insn insn;

	if (!code || !(code->mark[rip % FV_PAGE] & FV_MARK_INSIDE))
		return false;
	if (c->shadowed || !(c->v->regs.rflags & X86_FLAG_IF) || !fv_irq_pending(c->m->bus))
		return true;
	return fv_code_decode(c, code, (unsigned)(rip % FV_PAGE), &insn) && fv_emit_is_plain(&insn);
}

void fv_patch_finish(struct fv_cpu *c)
{
	uint64_t *rip = &c->v->regs.rip;

	for (unsigned i = 0; i < 256 && c->cpl == 0 && !atomic_load(&c->m->stop); i++) {
		if (fv_patch_holds(*rip)) {
			if (!fv_emulate_patch(c))
				return;
		} else if (is_inside(c, *rip)) {
			if (!fv_emulate(c))
				return;
		} else {
			return;
		}
	}
}

/* What touches the guest's memory is the first thing done for an instruction. */
static uint64_t guest_address(const struct fv_cpu *c, uint64_t rip)
{
	for (unsigned i = c->nr_patches; i-- > 0;) {
		const struct fv_patch *p = &c->patch[i];
		unsigned insn = p->nr - 1;

		if (rip < p->start || rip >= p->end)
			continue;
		while (insn && p->start + p->out[insn] > rip)
			insn--;
		return p->va + p->in[insn];
	}
	return rip;
}

uint64_t fv_patch_expose(struct fv_cpu *c, uint64_t rip)
{
	struct fv_code *code;

	if (fv_patch_holds(rip))
		rip = guest_address(c, rip);
	code = fv_code_find(c, rip);
	if (code && (code->mark[rip % FV_PAGE] & (FV_MARK_INSIDE)))
		fv_patch_undo(c, code, (unsigned)(rip % FV_PAGE));
	return rip;
}
