/* SPDX-License-Identifier: MIT */
/*
 * Arithmetic and the flags it leaves, for operands of 1, 2, 4 and 8 bytes.
 *
 * Values come and go zero-extended to 64 bits. Flags that the manuals call undefined get some fixed
 * value. Source: Intel SDM vol. 1, section 3.4.3, and the single instructions in vol. 2.
 */
#include "hypervisor-stub/core/x86/emulate.h"

uint64_t x86_mask(unsigned size)
{
	return size >= 8 ? ~0ull : (1ull << (8 * size)) - 1;
}

uint64_t x86_sign_extend(uint64_t value, unsigned size)
{
	switch (size) {
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

static uint64_t result_flags(uint64_t result, unsigned size)
{
	uint64_t flags = 0;

	if (!__builtin_parity((unsigned)(result & 0xff)))
		flags |= X86_FLAG_PF;
	if (result == 0)
		flags |= X86_FLAG_ZF;
	if ((result >> (8 * size - 1)) & 1)
		flags |= X86_FLAG_SF;
	return flags;
}

static void set_flags(uint64_t *rflags, uint64_t flags)
{
	*rflags = (*rflags & ~(uint64_t)X86_FLAGS_ARITH) | flags;
}

uint64_t x86_add(uint64_t *rflags, uint64_t a, uint64_t b, bool carry, unsigned size)
{
	uint64_t result = (a + b + carry) & x86_mask(size);
	uint64_t flags = result_flags(result, size);
	unsigned top = 8 * size - 1;

	/* The carry out of each bit, and the sign that changed against both operands. */
	if ((((a & b) | ((a | b) & ~result)) >> top) & 1)
		flags |= X86_FLAG_CF;
	if ((((a ^ result) & (b ^ result)) >> top) & 1)
		flags |= X86_FLAG_OF;
	flags |= (a ^ b ^ result) & X86_FLAG_AF;
	set_flags(rflags, flags);
	return result;
}

uint64_t x86_sub(uint64_t *rflags, uint64_t a, uint64_t b, bool borrow, unsigned size)
{
	uint64_t result = (a - b - borrow) & x86_mask(size);
	uint64_t flags = result_flags(result, size);
	unsigned top = 8 * size - 1;

	if ((((~a & b) | ((~a | b) & result)) >> top) & 1)
		flags |= X86_FLAG_CF;
	if ((((a ^ b) & (a ^ result)) >> top) & 1)
		flags |= X86_FLAG_OF;
	flags |= (a ^ b ^ result) & X86_FLAG_AF;
	set_flags(rflags, flags);
	return result;
}

uint64_t x86_logic(uint64_t *rflags, uint64_t result, unsigned size)
{
	result &= x86_mask(size);
	set_flags(rflags, result_flags(result, size));
	return result;
}

static uint64_t put_bit(uint64_t rflags, uint64_t bit, bool on)
{
	return on ? rflags | bit : rflags & ~bit;
}

/* rol, ror, rcl, rcr: they change CF and OF only. */
static uint64_t rotate(uint64_t *rflags, unsigned op, uint64_t a, unsigned count, unsigned bits)
{
	uint64_t mask = bits == 64 ? ~0ull : (1ull << bits) - 1;
	bool carry = *rflags & X86_FLAG_CF;
	uint64_t top;
	unsigned i;

	count %= op >= 2 ? bits + 1 : bits;
	for (i = 0; i < count; i++) {
		bool out = op & 1 ? a & 1 : (a >> (bits - 1)) & 1;
		uint64_t in = op >= 2 ? carry : out;

		a = op & 1 ? (a >> 1) | (in << (bits - 1)) : ((a << 1) & mask) | in;
		carry = out;
	}
	top = (a >> (bits - 1)) & 1;
	if (op < 2) /* also when a full turn left the value as it was */
		carry = op & 1 ? top : a & 1;
	*rflags = put_bit(*rflags, X86_FLAG_CF, carry);
	*rflags = put_bit(*rflags, X86_FLAG_OF,
	                  op & 1 ? top ^ ((a >> (bits - 2)) & 1) : top ^ (uint64_t)carry);
	return a;
}

/* op as in modrm.reg of the shift group: rol ror rcl rcr shl shr sal sar. A count of 0 does nothing. */
uint64_t x86_shift(uint64_t *rflags, unsigned op, uint64_t a, unsigned count, unsigned size)
{
	unsigned bits = 8 * size;
	uint64_t result, flags;
	bool carry, overflow;

	count &= size == 8 ? 63 : 31;
	if (count == 0)
		return a;
	if (op < 4)
		return rotate(rflags, op, a, count, bits);
	if (op == 5) {
		carry = (a >> (count - 1)) & 1;
		result = a >> count;
		overflow = (a >> (bits - 1)) & 1;
	} else if (op == 7) {
		int64_t wide = (int64_t)x86_sign_extend(a, size);

		carry = (wide >> (count - 1)) & 1;
		result = (uint64_t)(wide >> count) & x86_mask(size);
		overflow = false;
	} else {
		carry = count <= bits && ((a >> (bits - count)) & 1);
		result = (a << count) & x86_mask(size);
		overflow = ((result >> (bits - 1)) & 1) ^ (uint64_t)carry;
	}
	flags = result_flags(result, size);
	flags |= (carry ? X86_FLAG_CF : 0) | (overflow ? X86_FLAG_OF : 0);
	set_flags(rflags, flags);
	return result;
}

uint64_t x86_shift_double(uint64_t *rflags, bool left, uint64_t a, uint64_t fill, unsigned count,
                          unsigned size)
{
	unsigned bits = 8 * size;
	uint64_t result, flags;
	bool carry;

	count &= size == 8 ? 63 : 31;
	if (count == 0)
		return a;
	if (count > bits) /* 16-bit operands only; the result is undefined */
		count -= bits;
	if (count == bits) {
		result = fill;
		carry = left ? a & 1 : (a >> (bits - 1)) & 1;
	} else if (left) {
		result = ((a << count) | (fill >> (bits - count))) & x86_mask(size);
		carry = (a >> (bits - count)) & 1;
	} else {
		result = ((a >> count) | (fill << (bits - count))) & x86_mask(size);
		carry = (a >> (count - 1)) & 1;
	}
	flags = result_flags(result, size);
	if (carry)
		flags |= X86_FLAG_CF;
	if (((a ^ result) >> (bits - 1)) & 1)
		flags |= X86_FLAG_OF;
	set_flags(rflags, flags);
	return result;
}

bool x86_condition(uint64_t rflags, unsigned cc)
{
	bool less = !(rflags & X86_FLAG_SF) != !(rflags & X86_FLAG_OF);
	bool holds;

	switch ((cc >> 1) & 7) {
	case 0:
		holds = rflags & X86_FLAG_OF;
		break;
	case 1:
		holds = rflags & X86_FLAG_CF;
		break;
	case 2:
		holds = rflags & X86_FLAG_ZF;
		break;
	case 3:
		holds = rflags & (X86_FLAG_CF | X86_FLAG_ZF);
		break;
	case 4:
		holds = rflags & X86_FLAG_SF;
		break;
	case 5:
		holds = rflags & X86_FLAG_PF;
		break;
	case 6:
		holds = less;
		break;
	default:
		holds = less || (rflags & X86_FLAG_ZF);
		break;
	}
	return holds != (cc & 1);
}
