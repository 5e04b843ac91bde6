/* SPDX-License-Identifier: MIT */
/*
 * Integer arithmetic: the functions of the rows. They see loaded operands in w->dst and w->src and
 * leave the result in w->dst.val.
 */
#include "hypervisor-stub/core/x86/emulate.h"

enum x86_result x86_do_add(struct x86_work *w)
{
	w->dst.val = x86_add(&w->r.rflags, w->dst.val, w->src.val, false, w->dst.size);
	return X86_DONE;
}

enum x86_result x86_do_adc(struct x86_work *w)
{
	w->dst.val = x86_add(&w->r.rflags, w->dst.val, w->src.val, w->r.rflags & X86_FLAG_CF,
	                     w->dst.size);
	return X86_DONE;
}

enum x86_result x86_do_sub(struct x86_work *w)
{
	w->dst.val = x86_sub(&w->r.rflags, w->dst.val, w->src.val, false, w->dst.size);
	return X86_DONE;
}

enum x86_result x86_do_sbb(struct x86_work *w)
{
	w->dst.val = x86_sub(&w->r.rflags, w->dst.val, w->src.val, w->r.rflags & X86_FLAG_CF,
	                     w->dst.size);
	return X86_DONE;
}

enum x86_result x86_do_cmp(struct x86_work *w)
{
	x86_sub(&w->r.rflags, w->dst.val, w->src.val, false, w->dst.size);
	return X86_DONE;
}

enum x86_result x86_do_or(struct x86_work *w)
{
	w->dst.val = x86_logic(&w->r.rflags, w->dst.val | w->src.val, w->dst.size);
	return X86_DONE;
}

enum x86_result x86_do_and(struct x86_work *w)
{
	w->dst.val = x86_logic(&w->r.rflags, w->dst.val & w->src.val, w->dst.size);
	return X86_DONE;
}

enum x86_result x86_do_xor(struct x86_work *w)
{
	w->dst.val = x86_logic(&w->r.rflags, w->dst.val ^ w->src.val, w->dst.size);
	return X86_DONE;
}

enum x86_result x86_do_test(struct x86_work *w)
{
	x86_logic(&w->r.rflags, w->dst.val & w->src.val, w->dst.size);
	return X86_DONE;
}

enum x86_result x86_do_not(struct x86_work *w)
{
	w->dst.val = ~w->dst.val & x86_mask(w->dst.size);
	return X86_DONE;
}

enum x86_result x86_do_neg(struct x86_work *w)
{
	w->dst.val = x86_sub(&w->r.rflags, 0, w->dst.val, false, w->dst.size);
	return X86_DONE;
}

/* inc and dec leave the carry alone. */
static void keep_carry(struct x86_work *w, uint64_t before)
{
	w->r.rflags = (w->r.rflags & ~(uint64_t)X86_FLAG_CF) | (before & X86_FLAG_CF);
}

enum x86_result x86_do_inc(struct x86_work *w)
{
	uint64_t before = w->r.rflags;

	w->dst.val = x86_add(&w->r.rflags, w->dst.val, 1, false, w->dst.size);
	keep_carry(w, before);
	return X86_DONE;
}

enum x86_result x86_do_dec(struct x86_work *w)
{
	uint64_t before = w->r.rflags;

	w->dst.val = x86_sub(&w->r.rflags, w->dst.val, 1, false, w->dst.size);
	keep_carry(w, before);
	return X86_DONE;
}

/*
 * adcx (66) and adox (f3): add with one flag, touching that flag only. The prefix chooses the
 * instruction and not the operand size, so the operands are set up here.
 */
enum x86_result x86_do_adx(struct x86_work *w)
{
	uint64_t flag = w->insn->pp == X86_PP_66 ? X86_FLAG_CF : X86_FLAG_OF;
	unsigned size = w->insn->rex & X86_REX_W ? 8 : 4;
	uint64_t scratch = 0;
	enum x86_result rc;

	if (w->insn->pp != X86_PP_66 && w->insn->pp != X86_PP_F3)
		return X86_UNHANDLED;
	w->src = x86_opd_rm(w, size);
	w->dst = x86_opd_reg(w, size);
	rc = x86_opd_load(w, &w->src, X86_READ);
	if (rc != X86_DONE)
		return rc;
	x86_opd_load(w, &w->dst, X86_READ);
	w->dst.val = x86_add(&scratch, w->dst.val, w->src.val, w->r.rflags & flag, size);
	w->r.rflags = scratch & X86_FLAG_CF ? w->r.rflags | flag : w->r.rflags & ~flag;
	return x86_opd_store(w, &w->dst);
}

/* ---- multiplication and division ------------------------------------------------------------ */

static void set_cf_of(struct x86_work *w, bool on)
{
	if (on)
		w->r.rflags |= X86_FLAG_CF | X86_FLAG_OF;
	else
		w->r.rflags &= ~(uint64_t)(X86_FLAG_CF | X86_FLAG_OF);
}

/* The double-width register pair of mul, imul and div: ax, or dx:ax, edx:eax, rdx:rax. */
static void set_pair(struct x86_work *w, uint64_t low, uint64_t high, unsigned size)
{
	if (size == 1) {
		x86_reg_set(w, X86_RAX, 2, (high << 8) | (low & 0xff));
		return;
	}
	x86_reg_set(w, X86_RAX, size, low);
	x86_reg_set(w, X86_RDX, size, high);
}

enum x86_result x86_do_mul(struct x86_work *w)
{
	unsigned size = w->src.size;
	unsigned __int128 product = (unsigned __int128)x86_reg_get(w, X86_RAX, size) * w->src.val;
	uint64_t low = (uint64_t)product & x86_mask(size);
	uint64_t high = (uint64_t)(product >> (8 * size)) & x86_mask(size);

	set_pair(w, low, high, size);
	set_cf_of(w, high != 0);
	return X86_DONE;
}

/* Signed product of two operands; returns the low half, *high the high half. */
static uint64_t signed_product(struct x86_work *w, uint64_t a, uint64_t b, unsigned size,
                               uint64_t *high)
{
	__int128 product = (__int128)(int64_t)x86_sign_extend(a, size) *
	                   (int64_t)x86_sign_extend(b, size);
	uint64_t low = (uint64_t)product & x86_mask(size);

	*high = (uint64_t)(product >> (8 * size)) & x86_mask(size);
	set_cf_of(w, product != (int64_t)x86_sign_extend(low, size));
	return low;
}

enum x86_result x86_do_imul1(struct x86_work *w)
{
	unsigned size = w->src.size;
	uint64_t high;
	uint64_t low = signed_product(w, x86_reg_get(w, X86_RAX, size), w->src.val, size, &high);

	set_pair(w, low, high, size);
	return X86_DONE;
}

enum x86_result x86_do_imul2(struct x86_work *w)
{
	uint64_t high;

	w->dst.val = signed_product(w, w->dst.val, w->src.val, w->dst.size, &high);
	return X86_DONE;
}

enum x86_result x86_do_imul3(struct x86_work *w)
{
	uint64_t high;

	w->dst.val = signed_product(w, w->src.val, w->insn->imm, w->dst.size, &high);
	return X86_DONE;
}

static unsigned __int128 dividend(const struct x86_work *w, unsigned size)
{
	if (size == 1)
		return x86_reg_get(w, X86_RAX, 2);
	return ((unsigned __int128)x86_reg_get(w, X86_RDX, size) << (8 * size)) |
	       x86_reg_get(w, X86_RAX, size);
}

enum x86_result x86_do_div(struct x86_work *w)
{
	unsigned size = w->src.size;
	unsigned __int128 n = dividend(w, size);
	uint64_t d = w->src.val;

	if (d == 0 || n / d > x86_mask(size))
		return x86_raise(w->emu, X86_VECTOR_DE);
	set_pair(w, (uint64_t)(n / d), (uint64_t)(n % d), size);
	return X86_DONE;
}

/* By magnitudes, since the most negative dividend has none in the signed type. */
enum x86_result x86_do_idiv(struct x86_work *w)
{
	unsigned size = w->src.size;
	unsigned bits = 8 * size;
	unsigned __int128 n = dividend(w, size);
	uint64_t d = x86_sign_extend(w->src.val, size);
	bool n_negative = (n >> (2 * bits - 1)) & 1;
	bool d_negative = d >> 63;
	unsigned __int128 q;
	uint64_t remainder, limit = 1ull << (bits - 1);

	if (n_negative) {
		n = -n;
		if (bits < 64)
			n &= ((unsigned __int128)1 << (2 * bits)) - 1;
	}
	if (d_negative)
		d = -d;
	if (d == 0)
		return x86_raise(w->emu, X86_VECTOR_DE);
	q = n / d;
	remainder = (uint64_t)(n % d);
	if (q > limit - (n_negative == d_negative))
		return x86_raise(w->emu, X86_VECTOR_DE);
	set_pair(w, n_negative != d_negative ? -(uint64_t)q : (uint64_t)q,
	         n_negative ? -remainder : remainder, size);
	return X86_DONE;
}

/* ---- exchange and add, compare and exchange -------------------------------------------------- */

enum x86_result x86_do_xadd(struct x86_work *w)
{
	uint64_t old = w->dst.val;

	w->dst.val = x86_add(&w->r.rflags, w->dst.val, w->src.val, false, w->dst.size);
	w->src.val = old;
	return x86_opd_store(w, &w->src);
}

/* The destination is written either way, as the processor does. */
enum x86_result x86_do_cmpxchg(struct x86_work *w)
{
	uint64_t acc = x86_reg_get(w, X86_RAX, w->dst.size);

	x86_sub(&w->r.rflags, acc, w->dst.val, false, w->dst.size);
	if (acc == w->dst.val) {
		w->dst.val = w->src.val;
		return X86_DONE;
	}
	x86_reg_set(w, X86_RAX, w->dst.size, w->dst.val);
	/* A register destination keeps its upper half: nothing is written to it. */
	w->skip_store = w->dst.kind != X86_OPD_MEM;
	return X86_DONE;
}

static void cmpxchg_pair_mismatch(struct x86_work *w, const uint8_t *found, unsigned half)
{
	x86_reg_set(w, X86_RAX, half, x86_unpack(found, half));
	x86_reg_set(w, X86_RDX, half, x86_unpack(found + half, half));
	w->r.rflags &= ~(uint64_t)X86_FLAG_ZF;
}

/* cmpxchg8b and cmpxchg16b; always by the atomic callback, which makes LOCK a matter of course. */
enum x86_result x86_do_cmpxchg8b(struct x86_work *w)
{
	unsigned half = w->insn->opsize == 8 ? 8 : 4;
	uint8_t old[16], new[16];
	uint64_t addr, off = x86_ea(w);
	enum x86_result rc;

	rc = x86_linear(w, w->insn->seg, off, 2 * half, X86_WRITE, &addr);
	if (rc != X86_DONE)
		return rc;
	if (half == 8 && addr % 16)
		return x86_raise_error(w->emu, X86_VECTOR_GP, 0);
	if (!w->emu->ops->cmpxchg)
		return X86_UNHANDLED;
	x86_pack(old, x86_reg_get(w, X86_RAX, half), half);
	x86_pack(old + half, x86_reg_get(w, X86_RDX, half), half);
	x86_pack(new, x86_reg_get(w, X86_RBX, half), half);
	x86_pack(new + half, x86_reg_get(w, X86_RCX, half), half);
	rc = w->emu->ops->cmpxchg(w->emu, addr, old, new, 2 * half);
	if (rc == X86_RETRY) {
		cmpxchg_pair_mismatch(w, old, half);
		return X86_DONE;
	}
	if (rc == X86_DONE)
		w->r.rflags |= X86_FLAG_ZF;
	return rc;
}

/* ---- conversions ---------------------------------------------------------------------------- */

enum x86_result x86_do_cbw(struct x86_work *w)
{
	unsigned size = w->insn->opsize;

	x86_reg_set(w, X86_RAX, size, x86_sign_extend(x86_reg_get(w, X86_RAX, size / 2), size / 2));
	return X86_DONE;
}

enum x86_result x86_do_cwd(struct x86_work *w)
{
	unsigned size = w->insn->opsize;
	bool negative = x86_reg_get(w, X86_RAX, size) >> (8 * size - 1);

	x86_reg_set(w, X86_RDX, size, negative ? ~0ull : 0);
	return X86_DONE;
}

/* ---- decimal arithmetic of 16- and 32-bit code ------------------------------------------------ */

static void adjust_packed(struct x86_work *w, bool subtract)
{
	uint64_t al = x86_reg_get(w, X86_RAX, 1), old = al;
	uint64_t flags = w->r.rflags;
	bool carry = flags & X86_FLAG_CF, adjust = false;

	if ((al & 15) > 9 || (flags & X86_FLAG_AF)) {
		if (subtract)
			carry |= al < 6;
		else
			carry |= al > 0xf9;
		al = subtract ? al - 6 : al + 6;
		adjust = true;
	}
	if (old > 0x99 || (flags & X86_FLAG_CF)) {
		al = subtract ? al - 0x60 : al + 0x60;
		carry = true;
	}
	x86_logic(&w->r.rflags, al, 1);
	w->r.rflags |= (carry ? X86_FLAG_CF : 0) | (adjust ? X86_FLAG_AF : 0);
	x86_reg_set(w, X86_RAX, 1, al);
}

static void adjust_unpacked(struct x86_work *w, bool subtract)
{
	uint64_t ax = x86_reg_get(w, X86_RAX, 2);
	bool adjust = (ax & 15) > 9 || (w->r.rflags & X86_FLAG_AF);

	if (adjust)
		ax = subtract ? ax - 0x106 : ax + 0x106;
	ax &= 0xff0f;
	x86_logic(&w->r.rflags, ax, 1);
	if (adjust)
		w->r.rflags |= X86_FLAG_CF | X86_FLAG_AF;
	x86_reg_set(w, X86_RAX, 2, ax);
}

enum x86_result x86_do_bcd(struct x86_work *w)
{
	uint64_t al = x86_reg_get(w, X86_RAX, 1), ah = x86_reg_get(w, X86_RAX, 2) >> 8;
	uint64_t base = w->insn->imm & 0xff;

	switch (w->insn->opcode) {
	case 0x27: /* daa */
	case 0x2f: /* das */
		adjust_packed(w, w->insn->opcode == 0x2f);
		return X86_DONE;
	case 0x37: /* aaa */
	case 0x3f: /* aas */
		adjust_unpacked(w, w->insn->opcode == 0x3f);
		return X86_DONE;
	case 0xd4: /* aam */
		if (base == 0)
			return x86_raise(w->emu, X86_VECTOR_DE);
		ah = al / base;
		al = al % base;
		break;
	default: /* d5: aad */
		al = (al + ah * base) & 0xff;
		ah = 0;
		break;
	}
	x86_reg_set(w, X86_RAX, 2, (ah << 8) | al);
	x86_logic(&w->r.rflags, al, 1);
	return X86_DONE;
}
