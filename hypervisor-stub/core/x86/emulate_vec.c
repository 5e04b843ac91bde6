/* SPDX-License-Identifier: MIT */
/*
 * Moves between vector registers (MMX, XMM, YMM, ZMM) and memory: MMX, SSE, AVX and AVX-512 forms,
 * the last with their write masks. Register-to-register forms and arithmetic are not done: they
 * touch no memory and so never need the emulator in a guest that runs natively.
 *
 * Source: Intel SDM vol. 2, MOVAPS to MOVUPS and VMOVDQU.
 */
#include <string.h>

#include "hypervisor-stub/core/x86/emulate.h"

#define V_LOAD   0x01u
#define V_STORE  0x02u
#define V_ALIGN  0x04u /* #GP(0) unless aligned to its own size (SSE and wider) */
#define V_LOW    0x08u /* a load replaces bytes 0 to 7 and merges */
#define V_HIGH   0x10u /* bytes 8 to 15 of the register */
#define V_MM     0x20u /* an MMX register */
#define V_SHORT  0x40u /* 128-bit forms only */
#define V_NOMASK 0x80u /* has no write mask */

#define LEN_FULL 0 /* the vector length */
#define LEN_OPSZ 1 /* 4, or 8 with W */
#define ELEM_W   0 /* element of 4 bytes, or 8 with W */
#define ELEM_BW  1 /* element of 1 byte, or 2 with W */

struct vec_move {
	uint8_t map, opcode, pp;
	uint8_t len;  /* bytes, or LEN_* */
	uint8_t elem; /* EVEX mask element: bytes (4, 8), or ELEM_* */
	uint8_t flags;
};

#define NP X86_PP_NONE
#define P6 X86_PP_66
#define F3 X86_PP_F3
#define F2 X86_PP_F2

static const struct vec_move moves[] = {
	{ 1, 0x10, NP, LEN_FULL, 4, V_LOAD }, /* movups */
	{ 1, 0x11, NP, LEN_FULL, 4, V_STORE },
	{ 1, 0x10, P6, LEN_FULL, 8, V_LOAD }, /* movupd */
	{ 1, 0x11, P6, LEN_FULL, 8, V_STORE },
	{ 1, 0x10, F3, 4, 4, V_LOAD }, /* movss */
	{ 1, 0x11, F3, 4, 4, V_STORE },
	{ 1, 0x10, F2, 8, 8, V_LOAD }, /* movsd */
	{ 1, 0x11, F2, 8, 8, V_STORE },
	{ 1, 0x12, NP, 8, 0, V_LOAD | V_LOW | V_SHORT | V_NOMASK }, /* movlps */
	{ 1, 0x13, NP, 8, 0, V_STORE | V_SHORT | V_NOMASK },
	{ 1, 0x12, P6, 8, 0, V_LOAD | V_LOW | V_SHORT | V_NOMASK }, /* movlpd */
	{ 1, 0x13, P6, 8, 0, V_STORE | V_SHORT | V_NOMASK },
	{ 1, 0x16, NP, 8, 0, V_LOAD | V_HIGH | V_SHORT | V_NOMASK }, /* movhps */
	{ 1, 0x17, NP, 8, 0, V_STORE | V_HIGH | V_SHORT | V_NOMASK },
	{ 1, 0x16, P6, 8, 0, V_LOAD | V_HIGH | V_SHORT | V_NOMASK }, /* movhpd */
	{ 1, 0x17, P6, 8, 0, V_STORE | V_HIGH | V_SHORT | V_NOMASK },
	{ 1, 0x28, NP, LEN_FULL, 4, V_LOAD | V_ALIGN }, /* movaps */
	{ 1, 0x29, NP, LEN_FULL, 4, V_STORE | V_ALIGN },
	{ 1, 0x28, P6, LEN_FULL, 8, V_LOAD | V_ALIGN }, /* movapd */
	{ 1, 0x29, P6, LEN_FULL, 8, V_STORE | V_ALIGN },
	{ 1, 0x2b, NP, LEN_FULL, 0, V_STORE | V_ALIGN | V_NOMASK }, /* movntps */
	{ 1, 0x2b, P6, LEN_FULL, 0, V_STORE | V_ALIGN | V_NOMASK }, /* movntpd */
	{ 1, 0x6e, NP, LEN_OPSZ, 0, V_LOAD | V_MM },                /* movd, movq */
	{ 1, 0x7e, NP, LEN_OPSZ, 0, V_STORE | V_MM },
	{ 1, 0x6e, P6, LEN_OPSZ, 0, V_LOAD | V_SHORT | V_NOMASK },
	{ 1, 0x7e, P6, LEN_OPSZ, 0, V_STORE | V_SHORT | V_NOMASK },
	{ 1, 0x7e, F3, 8, 0, V_LOAD | V_SHORT | V_NOMASK }, /* movq */
	{ 1, 0xd6, P6, 8, 0, V_STORE | V_SHORT | V_NOMASK },
	{ 1, 0x6f, NP, 8, 0, V_LOAD | V_MM },
	{ 1, 0x7f, NP, 8, 0, V_STORE | V_MM },
	{ 1, 0x6f, P6, LEN_FULL, ELEM_W, V_LOAD | V_ALIGN }, /* movdqa */
	{ 1, 0x7f, P6, LEN_FULL, ELEM_W, V_STORE | V_ALIGN },
	{ 1, 0x6f, F3, LEN_FULL, ELEM_W, V_LOAD }, /* movdqu */
	{ 1, 0x7f, F3, LEN_FULL, ELEM_W, V_STORE },
	{ 1, 0x6f, F2, LEN_FULL, ELEM_BW, V_LOAD }, /* vmovdqu8, 16: EVEX only */
	{ 1, 0x7f, F2, LEN_FULL, ELEM_BW, V_STORE },
	{ 1, 0xe7, NP, 8, 0, V_STORE | V_MM },                      /* movntq */
	{ 1, 0xe7, P6, LEN_FULL, 0, V_STORE | V_ALIGN | V_NOMASK }, /* movntdq */
	{ 2, 0x2a, P6, LEN_FULL, 0, V_LOAD | V_ALIGN | V_NOMASK },  /* movntdqa */
	{ 1, 0xf0, F2, LEN_FULL, 0, V_LOAD | V_NOMASK },            /* lddqu */
};

/* One move under way. */
struct move {
	const struct vec_move *m;
	unsigned len;  /* bytes of memory */
	unsigned nr;   /* register */
	unsigned elem; /* bytes of one mask element; 0: no mask */
	uint64_t mask; /* one bit per element */
	enum x86_vec_kind kind;
};

static const struct vec_move *find_move(const struct x86_insn *insn)
{
	unsigned i;

	for (i = 0; i < sizeof(moves) / sizeof(moves[0]); i++)
		if (moves[i].map == insn->map && moves[i].opcode == insn->opcode &&
		    moves[i].pp == insn->pp)
			return &moves[i];
	return NULL;
}

/* Is the combination of prefix fields one that a processor would refuse? */
static bool is_malformed(const struct x86_insn *insn, const struct vec_move *m)
{
	bool bytewise = m->opcode == (m->opcode & 0x10 ? 0x7f : 0x6f) && m->pp == F2;

	if (bytewise && insn->encoding != X86_ENC_EVEX)
		return true;
	if (insn->encoding == X86_ENC_LEGACY)
		return false;
	if ((m->flags & V_MM) || ((m->flags & V_SHORT) && insn->vl))
		return true;
	/* vvvv names a source only where the move merges into half a register. */
	if (insn->vvvv && !((m->flags & V_LOAD) && (m->flags & (V_LOW | V_HIGH))))
		return true;
	if (insn->encoding == X86_ENC_VEX)
		return false;
	return insn->vl > 2 || insn->b || m->opcode == 0xf0 || (insn->z && !insn->aaa) ||
	       (insn->z && (m->flags & V_STORE)) || (insn->aaa && (m->flags & V_NOMASK));
}

static unsigned memory_length(const struct x86_insn *insn, const struct vec_move *m)
{
	if (m->len == LEN_FULL)
		return 16u << (insn->encoding == X86_ENC_LEGACY ? 0 : insn->vl);
	if (m->len == LEN_OPSZ)
		return insn->mode == X86_MODE_64 && (insn->rex & X86_REX_W) ? 8 : 4;
	return m->len;
}

static unsigned element_length(const struct x86_insn *insn, const struct vec_move *m)
{
	bool wide = insn->rex & X86_REX_W;

	if (m->elem == ELEM_BW && m->pp == F2)
		return wide ? 2 : 1;
	return m->elem == ELEM_W ? (wide ? 8 : 4) : m->elem;
}

/* One maximal run of elements with their mask bits set, from *at on; false when there is none. */
static bool next_run(const struct move *v, unsigned *at, unsigned *len)
{
	unsigned i = *at / v->elem, n = v->len / v->elem;

	while (i < n && !((v->mask >> i) & 1))
		i++;
	*at = i * v->elem;
	*len = 0;
	for (; i < n && ((v->mask >> i) & 1); i++)
		*len += v->elem;
	return *len > 0;
}

/* Memory of masked-off elements is not touched: it may not even exist. */
static enum x86_result read_runs(struct x86_work *w, const struct move *v, enum x86_access kind,
                                 uint8_t *buf)
{
	uint64_t off = x86_ea(w);
	unsigned at = 0, len;
	enum x86_result rc = X86_DONE;

	if (!v->elem)
		return x86_mem_read(w, kind, w->insn->seg, off, buf, v->len);
	for (; rc == X86_DONE && next_run(v, &at, &len); at += len)
		rc = x86_mem_read(w, kind, w->insn->seg, off + at, buf + at, len);
	return rc;
}

static enum x86_result write_runs(struct x86_work *w, const struct move *v, const uint8_t *buf)
{
	uint64_t off = x86_ea(w);
	uint8_t probe[64];
	unsigned at = 0, len;
	enum x86_result rc;

	if (!v->elem)
		return x86_mem_write(w, w->insn->seg, off, buf, v->len);
	/* All runs must be writable before the first is written. */
	rc = read_runs(w, v, X86_READ_FOR_WRITE, probe);
	for (; rc == X86_DONE && next_run(v, &at, &len); at += len)
		rc = x86_mem_write(w, w->insn->seg, off + at, buf + at, len);
	return rc;
}

/* A move whose mask leaves no element is not held to its alignment (so does an AMD Zen 5). */
static enum x86_result check_alignment(struct x86_work *w, const struct move *v)
{
	unsigned at = 0, len;
	uint64_t addr = 0;
	enum x86_result rc = X86_DONE;

	if (!(v->m->flags & V_ALIGN) || (v->elem && !next_run(v, &at, &len)))
		return X86_DONE;
	rc = x86_linear(w, w->insn->seg, x86_ea(w), 1, X86_READ, &addr);
	if (rc == X86_DONE && addr % v->len)
		rc = x86_raise_error(w->emu, X86_VECTOR_GP, 0);
	return rc;
}

/* What a masked or merging load keeps of the register (or of the VEX source). */
static enum x86_result load_old(struct x86_work *w, const struct move *v, uint8_t buf[64],
                                unsigned width)
{
	bool merges_half = v->m->flags & (V_LOW | V_HIGH);
	unsigned nr = v->nr;

	memset(buf, 0, 64);
	if (merges_half && w->insn->encoding != X86_ENC_LEGACY)
		nr = w->insn->vvvv;
	if (!merges_half && (!v->elem || w->insn->z))
		return X86_DONE;
	return w->emu->ops->get_vec(w->emu, v->kind, nr, buf, width);
}

static enum x86_result load(struct x86_work *w, const struct move *v)
{
	unsigned width = v->kind == X86_VEC_MM ? 8 : v->len < 16 ? 16 : v->len;
	uint8_t fresh[64] = { 0 }, value[64];
	unsigned at = 0, len;
	enum x86_result rc = read_runs(w, v, X86_READ, fresh);

	if (rc == X86_DONE)
		rc = load_old(w, v, value, width);
	if (rc != X86_DONE)
		return rc;
	if (v->elem) {
		if (v->len < 16) /* a masked scalar: the rest of the register is cleared */
			memset(value + v->len, 0, sizeof(value) - v->len);
		for (; next_run(v, &at, &len); at += len)
			memcpy(value + at, fresh + at, len);
	} else {
		memcpy(value + (v->m->flags & V_HIGH ? 8 : 0), fresh, v->len);
	}
	return w->emu->ops->set_vec(w->emu, v->kind, v->nr, value, width,
	                            w->insn->encoding != X86_ENC_LEGACY);
}

static enum x86_result store(struct x86_work *w, const struct move *v)
{
	unsigned first = v->m->flags & V_HIGH ? 8 : 0;
	uint8_t value[64] = { 0 };
	enum x86_result rc = w->emu->ops->get_vec(w->emu, v->kind, v->nr, value, first + v->len);

	return rc == X86_DONE ? write_runs(w, v, value + first) : rc;
}

static enum x86_result load_mask(struct x86_work *w, struct move *v)
{
	uint8_t buf[8] = { 0 };
	enum x86_result rc;

	if (w->insn->encoding != X86_ENC_EVEX || !w->insn->aaa)
		return X86_DONE;
	rc = w->emu->ops->get_vec(w->emu, X86_VEC_MASK, w->insn->aaa, buf, sizeof(buf));
	v->elem = element_length(w->insn, v->m);
	v->mask = x86_unpack(buf, sizeof(buf));
	return rc;
}

enum x86_result x86_do_vec(struct x86_work *w)
{
	struct move v = { .m = find_move(w->insn), .kind = X86_VEC_XMM, .nr = w->insn->reg };
	enum x86_result rc;

	if (!v.m || !w->insn->has_mem || !w->emu->ops->get_vec || !w->emu->ops->set_vec)
		return X86_UNHANDLED;
	if (is_malformed(w->insn, v.m))
		return x86_raise(w->emu, X86_VECTOR_UD);
	v.len = memory_length(w->insn, v.m);
	if (v.m->flags & V_MM) {
		v.kind = X86_VEC_MM;
		v.nr &= 7;
	}
	rc = load_mask(w, &v);
	if (rc == X86_DONE)
		rc = check_alignment(w, &v);
	if (rc != X86_DONE)
		return rc;
	return v.m->flags & V_STORE ? store(w, &v) : load(w, &v);
}
