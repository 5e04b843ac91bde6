/* SPDX-License-Identifier: MIT */
/*
 * The instruction decoder. A cursor hands out bytes of the private copy and remembers the first
 * reason why it could not; the stages (prefixes, opcode, modrm, displacement, immediate) run on
 * without a test after every byte, and the one test at the end of each stage stops them.
 *
 * Invariant: nothing is read behind the bytes that the caller gave, nor behind the fifteenth.
 */
#include <string.h>

#include "hypervisor-stub/core/x86/decode.h"
#include "hypervisor-stub/core/x86/decode_tables.h"

struct cursor {
	struct x86_insn *insn;
	uint8_t avail; /* bytes in insn->bytes */
	uint8_t at;
	bool dry; /* a byte was wanted that is not there */
};

static uint8_t next_byte(struct cursor *c)
{
	if (c->at >= c->avail) {
		c->dry = true;
		return 0;
	}
	return c->insn->bytes[c->at++];
}

static uint8_t peek_byte(struct cursor *c)
{
	uint8_t byte = next_byte(c);

	if (!c->dry)
		c->at--;
	return byte;
}

/* Little-endian number of 0, 1, 2, 4 or 8 bytes, sign-extended. */
static uint64_t next_number(struct cursor *c, unsigned len)
{
	uint64_t value = 0;
	unsigned i;

	for (i = 0; i < len; i++)
		value |= (uint64_t)next_byte(c) << (8 * i);
	switch (len) {
	case 1:
		return (uint64_t)(int8_t)value;
	case 2:
		return (uint64_t)(int16_t)value;
	case 4:
		return (uint64_t)(int32_t)value;
	default:
		return value;
	}
}

/* ---- prefixes ------------------------------------------------------------------------------ */

static bool take_legacy_prefix(struct x86_insn *insn, uint8_t byte)
{
	bool long_mode = insn->mode == X86_MODE_64;

	switch (byte) {
	case 0x26:
	case 0x2e:
	case 0x36:
	case 0x3e:
		/* 64-bit code has no use for these four; they do not undo an earlier FS or GS. */
		if (!long_mode)
			insn->seg_override = X86_SEG_ES + ((byte >> 3) & 3);
		return true;
	case 0x64:
		insn->seg_override = X86_SEG_FS;
		return true;
	case 0x65:
		insn->seg_override = X86_SEG_GS;
		return true;
	case 0x66:
		insn->prefix |= X86_PFX_66;
		return true;
	case 0x67:
		insn->prefix |= X86_PFX_67;
		return true;
	case 0xf0:
		insn->prefix |= X86_PFX_LOCK;
		return true;
	case 0xf2:
		insn->prefix = (insn->prefix & ~X86_PFX_REP) | X86_PFX_REPNE;
		return true;
	case 0xf3:
		insn->prefix = (insn->prefix & ~X86_PFX_REPNE) | X86_PFX_REP;
		return true;
	default:
		return false;
	}
}

/* Eats all prefixes; a REX counts only when it is the last of them. */
static void take_prefixes(struct cursor *c)
{
	struct x86_insn *insn = c->insn;

	for (;;) {
		uint8_t byte = peek_byte(c);

		if (c->dry)
			return;
		if (take_legacy_prefix(insn, byte))
			insn->rex = 0;
		else if (insn->mode == X86_MODE_64 && (byte & 0xf0) == 0x40)
			insn->rex = byte;
		else
			break;
		c->at++;
	}
	if (insn->prefix & X86_PFX_REPNE)
		insn->pp = X86_PP_F2;
	else if (insn->prefix & X86_PFX_REP)
		insn->pp = X86_PP_F3;
	else if (insn->prefix & X86_PFX_66)
		insn->pp = X86_PP_66;
}

/* ---- opcode -------------------------------------------------------------------------------- */

/* The register bits of VEX, EVEX and XOP are stored inverted; outside 64-bit code they are inert. */
static uint8_t inverted_rex(const struct x86_insn *insn, uint8_t byte)
{
	if (insn->mode != X86_MODE_64)
		return 0;
	return (uint8_t)(~byte >> 5) & (X86_REX_R | X86_REX_X | X86_REX_B);
}

/* The third byte of VEX and XOP, and (but for bit 2) of EVEX: W, vvvv, L, pp. */
static void take_w_vvvv_l_pp(struct x86_insn *insn, uint8_t byte)
{
	if (byte & 0x80)
		insn->rex |= X86_REX_W;
	insn->vvvv = (~byte >> 3) & (insn->mode == X86_MODE_64 ? 15 : 7);
	insn->vl = (byte >> 2) & 1;
	insn->pp = byte & 3;
}

static enum x86_decode_result take_vex(struct cursor *c, uint8_t first)
{
	struct x86_insn *insn = c->insn;
	uint8_t byte = next_byte(c);

	insn->encoding = first == 0x8f ? X86_ENC_XOP : X86_ENC_VEX;
	insn->rex = inverted_rex(insn, byte);
	if (first == 0xc5) {
		insn->rex &= X86_REX_R;
		insn->map = X86_MAP_0F;
		take_w_vvvv_l_pp(insn, byte & 0x7f);
	} else {
		insn->map = byte & 0x1f;
		take_w_vvvv_l_pp(insn, next_byte(c));
	}
	if (insn->encoding == X86_ENC_XOP)
		return insn->map >= X86_MAP_XOP8 && insn->map <= X86_MAP_XOPA ? X86_DECODE_OK
		                                                              : X86_DECODE_INVALID;
	return insn->map >= X86_MAP_0F && insn->map <= X86_MAP_0F3A ? X86_DECODE_OK
	                                                            : X86_DECODE_INVALID;
}

static enum x86_decode_result take_evex(struct cursor *c, uint8_t *high_reg)
{
	struct x86_insn *insn = c->insn;
	uint8_t p0 = next_byte(c), p1 = next_byte(c), p2 = next_byte(c);

	insn->encoding = X86_ENC_EVEX;
	insn->rex = inverted_rex(insn, p0);
	insn->map = p0 & 7;
	take_w_vvvv_l_pp(insn, p1);
	insn->vl = (p2 >> 5) & 3;
	insn->z = p2 & 0x80;
	insn->b = p2 & 0x10;
	insn->aaa = p2 & 7;
	*high_reg = 0;
	if (insn->mode == X86_MODE_64) {
		*high_reg = p0 & 0x10 ? 0 : 16;
		insn->vvvv |= p2 & 8 ? 0 : 16;
	}
	if ((p0 & 8) || !(p1 & 4))
		return X86_DECODE_INVALID;
	if (insn->map == 0 || insn->map == 4 || insn->map == 7)
		return X86_DECODE_INVALID;
	return X86_DECODE_OK;
}

/*
 * Is `first` the start of a VEX, EVEX or XOP prefix? Outside 64-bit code c4, c5 and 62 are LES, LDS
 * and BOUND with a memory operand; a "register operand" gives the prefix away. 8f is POP when the
 * map number would be below 8.
 */
static bool is_vector_prefix(struct cursor *c, uint8_t first)
{
	uint8_t byte;

	if (first != 0xc4 && first != 0xc5 && first != 0x62 && first != 0x8f)
		return false;
	byte = peek_byte(c);
	if (first == 0x8f)
		return (byte & 0x1f) >= X86_MAP_XOP8;
	return c->insn->mode == X86_MODE_64 || byte >= 0xc0;
}

static enum x86_decode_result take_vector_prefix(struct cursor *c, uint8_t first, uint8_t *high_reg)
{
	struct x86_insn *insn = c->insn;
	enum x86_decode_result rc;
	bool clash = insn->rex || insn->pp != X86_PP_NONE || (insn->prefix & X86_PFX_LOCK);

	rc = first == 0x62 ? take_evex(c, high_reg) : take_vex(c, first);
	if (rc == X86_DECODE_OK && clash)
		rc = X86_DECODE_INVALID;
	insn->opcode_at = c->at;
	insn->opcode = next_byte(c);
	return rc;
}

static void take_escapes(struct cursor *c, uint8_t first)
{
	struct x86_insn *insn = c->insn;

	insn->map = X86_MAP_ONE;
	insn->opcode = first;
	if (first == 0x0f) {
		insn->map = X86_MAP_0F;
		insn->opcode = next_byte(c);
		if (insn->opcode == 0x38 || insn->opcode == 0x3a) {
			insn->map = insn->opcode == 0x38 ? X86_MAP_0F38 : X86_MAP_0F3A;
			insn->opcode = next_byte(c);
		} else if (insn->opcode == 0x0f) {
			insn->map = X86_MAP_3DNOW;
		}
	}
	insn->opcode_at = c->at - 1;
}

static uint16_t vector_attr(const struct x86_insn *insn)
{
	switch (insn->map) {
	case X86_MAP_0F:
		/* vzeroupper alone has no modrm; all others are shaped as in the legacy map. */
		if (insn->opcode == 0x77 && insn->encoding == X86_ENC_VEX)
			return 0;
		if ((insn->opcode >= 0x70 && insn->opcode <= 0x73) || insn->opcode == 0xc2 ||
		    (insn->opcode >= 0xc4 && insn->opcode <= 0xc6))
			return X86_ATTR_MODRM | X86_IMM_8;
		return X86_ATTR_MODRM;
	case X86_MAP_0F3A:
	case X86_MAP_XOP8:
		return X86_ATTR_MODRM | X86_IMM_8;
	case X86_MAP_XOPA:
		return X86_ATTR_MODRM | X86_IMM_Z;
	default:
		return X86_ATTR_MODRM;
	}
}

static uint16_t opcode_attr(const struct x86_insn *insn)
{
	uint8_t op = insn->opcode;

	if (insn->encoding != X86_ENC_LEGACY)
		return vector_attr(insn);
	switch (insn->map) {
	case X86_MAP_ONE:
		return x86_attr_one[op];
	case X86_MAP_0F:
		return x86_attr_0f[op];
	case X86_MAP_0F38:
		return (x86_defined_0f38[op / 64] >> (op % 64)) & 1 ? X86_ATTR_MODRM : X86_ATTR_BAD;
	case X86_MAP_0F3A:
		return (x86_defined_0f3a[op / 64] >> (op % 64)) & 1 ? X86_ATTR_MODRM | X86_IMM_8
		                                                    : X86_ATTR_BAD;
	default: /* 3DNow!: the opcode comes last, where an immediate would be */
		return X86_ATTR_MODRM | X86_IMM_8;
	}
}

/* ---- sizes --------------------------------------------------------------------------------- */

static void set_sizes(struct x86_insn *insn, uint16_t attr, bool amd)
{
	bool small = insn->prefix & X86_PFX_66;

	switch (insn->mode) {
	case X86_MODE_64:
		insn->addrsize = insn->prefix & X86_PFX_67 ? 4 : 8;
		insn->opsize = small ? 2 : 4;
		if ((insn->rex & X86_REX_W) || (attr & X86_ATTR_REG))
			insn->opsize = 8;
		else if ((attr & X86_ATTR_D64) && !small)
			insn->opsize = 8;
		else if ((attr & X86_ATTR_F64) && !(small && amd))
			insn->opsize = 8;
		break;
	case X86_MODE_32:
		insn->addrsize = insn->prefix & X86_PFX_67 ? 2 : 4;
		insn->opsize = small && !(attr & X86_ATTR_REG) ? 2 : 4;
		break;
	default:
		insn->addrsize = insn->prefix & X86_PFX_67 ? 4 : 2;
		insn->opsize = small || (attr & X86_ATTR_REG) ? 4 : 2;
		break;
	}
	if (insn->encoding != X86_ENC_LEGACY)
		insn->opsize = insn->mode == X86_MODE_64 && (insn->rex & X86_REX_W) ? 8 : 4;
}

/* The branches of group 5 have an operand size of their own. */
static void set_group_size(struct x86_insn *insn, bool amd)
{
	unsigned reg = insn->reg & 7;

	if (insn->map != X86_MAP_ONE || insn->opcode != 0xff || insn->encoding != X86_ENC_LEGACY)
		return;
	if (reg == 2 || reg == 4)
		set_sizes(insn, X86_ATTR_F64, amd);
	else if (reg == 6)
		set_sizes(insn, X86_ATTR_D64, amd);
}

/* ---- modrm --------------------------------------------------------------------------------- */

static void take_disp(struct cursor *c, unsigned len)
{
	c->insn->disp_at = c->at;
	c->insn->disp_len = (uint8_t)len;
	c->insn->disp = (int64_t)next_number(c, len);
}

static void take_mem16(struct cursor *c)
{
	static const struct {
		uint8_t base, index;
	} form[8] = {
		{ X86_RBX, X86_RSI },      { X86_RBX, X86_RDI },      { X86_RBP, X86_RSI },
		{ X86_RBP, X86_RDI },      { X86_REG_NONE, X86_RSI }, { X86_REG_NONE, X86_RDI },
		{ X86_RBP, X86_REG_NONE }, { X86_RBX, X86_REG_NONE },
	};
	struct x86_insn *insn = c->insn;
	unsigned rm = insn->modrm & 7;

	if (insn->mod == 0 && rm == 6) {
		take_disp(c, 2);
		return;
	}
	insn->base = form[rm].base;
	insn->index = form[rm].index;
	if (insn->base == X86_RBP)
		insn->seg = X86_SEG_SS;
	take_disp(c, insn->mod);
}

static void take_mem32(struct cursor *c)
{
	struct x86_insn *insn = c->insn;
	unsigned base = insn->modrm & 7;

	if (base == 4) {
		insn->has_sib = true;
		insn->sib = next_byte(c);
		insn->scale = (uint8_t)(1u << (insn->sib >> 6));
		insn->index = (uint8_t)(((insn->sib >> 3) & 7) | (insn->rex & X86_REX_X ? 8 : 0));
		if (insn->index == 4)
			insn->index = X86_REG_NONE;
		base = insn->sib & 7;
	}
	if (insn->mod == 0 && base == 5) {
		insn->rip_relative = insn->mode == X86_MODE_64 && !insn->has_sib;
		take_disp(c, 4);
		return;
	}
	insn->base = (uint8_t)(base | (insn->rex & X86_REX_B ? 8 : 0));
	if (insn->base == X86_RSP || insn->base == X86_RBP)
		insn->seg = X86_SEG_SS;
	take_disp(c, insn->mod == 0 ? 0 : insn->mod == 1 ? 1 : 4);
}

static void take_modrm(struct cursor *c, uint16_t attr, uint8_t high_reg)
{
	struct x86_insn *insn = c->insn;

	insn->has_modrm = true;
	insn->modrm_at = c->at;
	insn->modrm = next_byte(c);
	insn->mod = attr & X86_ATTR_REG ? 3 : insn->modrm >> 6;
	insn->reg = (uint8_t)(((insn->modrm >> 3) & 7) | (insn->rex & X86_REX_R ? 8 : 0) |
	                      high_reg);
	insn->rm = (uint8_t)((insn->modrm & 7) | (insn->rex & X86_REX_B ? 8 : 0));
	if (insn->mod == 3) {
		if (insn->encoding == X86_ENC_EVEX && (insn->rex & X86_REX_X))
			insn->rm |= 16;
		return;
	}
	insn->has_mem = true;
	insn->seg = X86_SEG_DS;
	if (insn->addrsize == 2)
		take_mem16(c);
	else
		take_mem32(c);
	if (insn->seg_override != X86_SEG_NONE)
		insn->seg = insn->seg_override;
}

/* Members of a group that exist; groups not named here have eight. */
static bool group_is_defined(struct x86_insn *insn)
{
	unsigned reg = (insn->modrm >> 3) & 7;

	if (insn->map == X86_MAP_ONE) {
		switch (insn->opcode) {
		case 0x8f:
			return reg == 0;
		case 0xc6: /* mov; xabort */
		case 0xc7: /* mov; xbegin */
			return reg == 0 || insn->modrm == 0xf8;
		case 0xfe:
			return reg <= 1;
		default: /* ff */
			return reg <= 6 && !((reg == 3 || reg == 5) && insn->mod == 3);
		}
	}
	switch (insn->opcode) {
	case 0x00:
		return reg <= 6;
	case 0x78: /* vmread; extrq; insertq */
		return insn->pp != X86_PP_F3;
	case 0xb8: /* popcnt */
		return insn->pp == X86_PP_F3;
	case 0xba:
		return reg >= 4;
	default: /* c7 */
		return reg != 0 && reg != 2;
	}
}

/* Vector length in bytes as a power of two. */
static uint8_t vl_shift(const struct x86_insn *insn)
{
	return insn->vl < 3 ? 4 + insn->vl : 0xff;
}

/* The scale of an 8-bit displacement, for the plain moves of EVEX map 1 and vmovntdqa of map 2. */
static uint8_t evex_move_shift(const struct x86_insn *insn)
{
	bool scalar = insn->pp == X86_PP_F3 || insn->pp == X86_PP_F2;

	if (insn->map == X86_MAP_0F38)
		return insn->opcode == 0x2a && insn->pp == X86_PP_66 ? vl_shift(insn) : 0xff;
	if (insn->map != X86_MAP_0F)
		return 0xff;
	switch (insn->opcode) {
	case 0x10:
	case 0x11:
		return !scalar ? vl_shift(insn) : insn->pp == X86_PP_F3 ? 2 : 3;
	case 0x12:
	case 0x16:
		if (insn->pp == X86_PP_F3)
			return vl_shift(insn);
		return insn->pp == X86_PP_F2 && insn->vl > 0 ? vl_shift(insn) : 3;
	case 0x13:
	case 0x17:
	case 0xd6:
		return 3;
	case 0x28:
	case 0x29:
	case 0x2b:
	case 0x6f:
	case 0x7f:
	case 0xe7:
		return vl_shift(insn);
	case 0x6e:
		return insn->rex & X86_REX_W ? 3 : 2;
	case 0x7e:
		return insn->pp == X86_PP_F3 || (insn->rex & X86_REX_W) ? 3 : 2;
	default:
		return 0xff;
	}
}

/* ---- immediate ----------------------------------------------------------------------------- */

static unsigned imm_kind(const struct x86_insn *insn, uint16_t attr)
{
	unsigned kind = attr & X86_IMM_MASK;

	if (kind == X86_IMM_GRP3B)
		return (insn->modrm >> 3 & 7) < 2 ? X86_IMM_8 : X86_IMM_NONE;
	if (kind == X86_IMM_GRP3Z)
		return (insn->modrm >> 3 & 7) < 2 ? X86_IMM_Z : X86_IMM_NONE;
	if (insn->encoding == X86_ENC_LEGACY && insn->map == X86_MAP_0F && insn->opcode == 0x78 &&
	    insn->pp != X86_PP_NONE)
		return X86_IMM_8_8; /* extrq, insertq */
	return kind;
}

static void take_imm(struct cursor *c, uint16_t attr)
{
	struct x86_insn *insn = c->insn;
	unsigned kind = imm_kind(insn, attr);
	uint8_t z = insn->opsize == 2 ? 2 : 4;

	static const uint8_t fixed_len[16] = {
		[X86_IMM_8] = 1, [X86_IMM_16] = 2, [X86_IMM_ENTER] = 2, [X86_IMM_8_8] = 1
	};
	static const uint8_t second_len[16] = {
		[X86_IMM_ENTER] = 1, [X86_IMM_8_8] = 1, [X86_IMM_FAR] = 2
	};

	if (kind == X86_IMM_Z || kind == X86_IMM_FAR)
		insn->imm_len = z;
	else if (kind == X86_IMM_V)
		insn->imm_len = insn->opsize;
	else if (kind == X86_IMM_MOFFS)
		insn->imm_len = insn->addrsize;
	else
		insn->imm_len = fixed_len[kind];
	insn->imm2_len = second_len[kind];
	insn->imm_at = c->at;
	insn->imm = next_number(c, insn->imm_len);
	insn->imm2 = (uint16_t)next_number(c, insn->imm2_len);
	if (kind == X86_IMM_ENTER || kind == X86_IMM_8_8)
		insn->imm2 &= 0xff;
	if (kind == X86_IMM_MOFFS) {
		insn->has_mem = true;
		insn->seg = insn->seg_override != X86_SEG_NONE ? insn->seg_override : X86_SEG_DS;
	}
}

/* ---- the whole ----------------------------------------------------------------------------- */

static enum x86_decode_result decode_body(struct cursor *c, bool amd)
{
	struct x86_insn *insn = c->insn;
	enum x86_decode_result rc = X86_DECODE_OK;
	uint8_t first, high_reg = 0;
	uint16_t attr;

	take_prefixes(c);
	first = next_byte(c);
	if (is_vector_prefix(c, first))
		rc = take_vector_prefix(c, first, &high_reg);
	else if (!c->dry)
		take_escapes(c, first);
	if (c->dry)
		return X86_DECODE_OK; /* the caller looks at `dry` */
	if (rc != X86_DECODE_OK)
		return rc;

	attr = opcode_attr(insn);
	if (attr & X86_ATTR_BAD || ((attr & X86_ATTR_NO64) && insn->mode == X86_MODE_64))
		return X86_DECODE_INVALID;
	set_sizes(insn, attr, amd);
	if (attr & X86_ATTR_MODRM) {
		take_modrm(c, attr, high_reg);
		if (c->dry)
			return X86_DECODE_OK;
		if ((attr & X86_ATTR_GRP) && !group_is_defined(insn))
			return X86_DECODE_INVALID;
		set_group_size(insn, amd);
		if (insn->encoding == X86_ENC_EVEX)
			insn->disp8_shift = evex_move_shift(insn);
	}
	take_imm(c, attr);
	if (insn->map == X86_MAP_3DNOW) {
		insn->opcode = (uint8_t)insn->imm;
		insn->opcode_at = insn->imm_at;
		insn->imm = 0;
		insn->imm_len = 0;
	}
	return rc;
}

enum x86_decode_result x86_decode(struct x86_insn *insn, const void *bytes, size_t len,
                                  unsigned mode)
{
	struct cursor c = { .insn = insn };
	enum x86_decode_result rc;

	memset(insn, 0, sizeof(*insn));
	insn->mode = mode & (X86_MODE_16 | X86_MODE_32 | X86_MODE_64);
	insn->amd = mode & X86_MODE_AMD;
	insn->seg_override = X86_SEG_NONE;
	insn->seg = X86_SEG_NONE;
	insn->base = X86_REG_NONE;
	insn->index = X86_REG_NONE;
	insn->scale = 1;
	c.avail = (uint8_t)(len < X86_INSN_MAX ? len : X86_INSN_MAX);
	memcpy(insn->bytes, bytes, c.avail);

	rc = decode_body(&c, insn->amd);
	insn->len = c.at;
	if (rc != X86_DECODE_OK || !c.dry)
		return rc;
	return c.avail == X86_INSN_MAX ? X86_DECODE_LONG : X86_DECODE_SHORT;
}

/* ---- questions about a decoded instruction ------------------------------------------------- */

static size_t gpr_offset(unsigned number)
{
	static const uint8_t offset[16] = {
		offsetof(struct hv_regs, rax), offsetof(struct hv_regs, rcx),
		offsetof(struct hv_regs, rdx), offsetof(struct hv_regs, rbx),
		offsetof(struct hv_regs, rsp), offsetof(struct hv_regs, rbp),
		offsetof(struct hv_regs, rsi), offsetof(struct hv_regs, rdi),
		offsetof(struct hv_regs, r8),  offsetof(struct hv_regs, r9),
		offsetof(struct hv_regs, r10), offsetof(struct hv_regs, r11),
		offsetof(struct hv_regs, r12), offsetof(struct hv_regs, r13),
		offsetof(struct hv_regs, r14), offsetof(struct hv_regs, r15),
	};

	return offset[number & 15];
}

uint64_t *x86_gpr(struct hv_regs *regs, unsigned number)
{
	return (uint64_t *)((char *)regs + gpr_offset(number));
}

uint64_t x86_gpr_read(const struct hv_regs *regs, unsigned number)
{
	return *(const uint64_t *)((const char *)regs + gpr_offset(number));
}

uint64_t x86_insn_ea(const struct x86_insn *insn, const struct hv_regs *regs, uint64_t next_rip)
{
	uint64_t ea;

	if (!insn->has_modrm) { /* moffs */
		ea = insn->imm;
	} else {
		ea = (uint64_t)insn->disp;
		if (insn->encoding == X86_ENC_EVEX && insn->disp_len == 1 && insn->disp8_shift < 8)
			ea <<= insn->disp8_shift;
		if (insn->base != X86_REG_NONE)
			ea += x86_gpr_read(regs, insn->base);
		if (insn->index != X86_REG_NONE)
			ea += x86_gpr_read(regs, insn->index) * insn->scale;
		if (insn->rip_relative)
			ea += next_rip;
	}
	if (insn->addrsize == 2)
		return (uint16_t)ea;
	return insn->addrsize == 4 ? (uint32_t)ea : ea;
}
