// SPDX-License-Identifier: BSD-2-Clause
// Results and flags of arithmetic instructions. See insn_alu.h.
#include "vm/insn_alu.h"

#include "kernel/base/assert.h"

static uint64_t top_bit(unsigned bytes)
{
	return (uint64_t)1 << (8 * bytes - 1);
}

static uint64_t flag_if(bool condition, uint64_t flag)
{
	return condition ? flag : 0;
}

// SF, ZF and PF (of the low byte alone) of a result.
static uint64_t result_flags(unsigned bytes, uint64_t result)
{
	return flag_if(result == 0, RFLAGS_ZF) |
		flag_if((result & top_bit(bytes)) != 0, RFLAGS_SF) |
		flag_if(__builtin_parity((unsigned)(result & 0xff)) == 0, RFLAGS_PF);
}

static void set_flags(uint64_t *rflags, uint64_t mask, uint64_t value)
{
	*rflags = (*rflags & ~mask) | (value & mask);
}

static uint64_t add(unsigned bytes, uint64_t a, uint64_t b, uint64_t carry, uint64_t *rflags)
{
	uint64_t result = (a + b + carry) & insn_mask(bytes);
	uint64_t carries = (a & b) | ((a | b) & ~result); // out of each bit

	set_flags(rflags, RFLAGS_ARITHMETIC, result_flags(bytes, result) |
		flag_if((carries & top_bit(bytes)) != 0, RFLAGS_CF) |
		flag_if((carries & 8) != 0, RFLAGS_AF) |
		flag_if(((a ^ result) & (b ^ result) & top_bit(bytes)) != 0, RFLAGS_OF));
	return result;
}

static uint64_t subtract(unsigned bytes, uint64_t a, uint64_t b, uint64_t borrow,
	uint64_t *rflags)
{
	uint64_t result = (a - b - borrow) & insn_mask(bytes);
	uint64_t borrows = (~a & b) | ((~a | b) & result); // out of each bit

	set_flags(rflags, RFLAGS_ARITHMETIC, result_flags(bytes, result) |
		flag_if((borrows & top_bit(bytes)) != 0, RFLAGS_CF) |
		flag_if((borrows & 8) != 0, RFLAGS_AF) |
		flag_if(((a ^ b) & (a ^ result) & top_bit(bytes)) != 0, RFLAGS_OF));
	return result;
}

static uint64_t logical(unsigned bytes, uint64_t result, uint64_t *rflags)
{
	set_flags(rflags, RFLAGS_ARITHMETIC, result_flags(bytes, result));
	return result;
}

uint64_t insn_alu_binary(enum insn_op op, unsigned bytes, uint64_t a, uint64_t b,
	uint64_t *rflags)
{
	uint64_t carry = *rflags & RFLAGS_CF;

	switch (op) {
	case INSN_ADD:
		return add(bytes, a, b, 0, rflags);
	case INSN_ADC:
		return add(bytes, a, b, carry, rflags);
	case INSN_SBB:
		return subtract(bytes, a, b, carry, rflags);
	case INSN_SUB:
	case INSN_CMP:
		return subtract(bytes, a, b, 0, rflags);
	case INSN_OR:
		return logical(bytes, a | b, rflags);
	case INSN_XOR:
		return logical(bytes, a ^ b, rflags);
	default: // AND, TEST
		return logical(bytes, a & b, rflags);
	}
}

uint64_t insn_alu_unary(enum insn_op op, unsigned bytes, uint64_t a, uint64_t *rflags)
{
	uint64_t carry = *rflags & RFLAGS_CF, result;

	if (op == INSN_NOT)
		return ~a & insn_mask(bytes);
	if (op == INSN_NEG)
		return subtract(bytes, 0, a, 0, rflags);
	result = op == INSN_INC ? add(bytes, a, 1, 0, rflags) : subtract(bytes, a, 1, 0, rflags);
	set_flags(rflags, RFLAGS_CF, carry); // INC and DEC keep it
	return result;
}

// ROL and ROR by 1 to 63; the count may exceed the width.
static uint64_t rotate(bool left, unsigned bytes, uint64_t a, unsigned count, uint64_t *rflags)
{
	unsigned bits = 8 * bytes, by = left ? count % bits : (bits - count % bits) % bits;
	uint64_t result = by == 0 ? a : (a << by | a >> (bits - by)) & insn_mask(bytes);
	bool top = (result & top_bit(bytes)) != 0, second = (result & top_bit(bytes) >> 1) != 0;
	bool carry = left ? (result & 1) != 0 : top;

	set_flags(rflags, RFLAGS_CF | RFLAGS_OF, flag_if(carry, RFLAGS_CF) |
		flag_if(left ? top != carry : top != second, RFLAGS_OF));
	return result;
}

// RCL and RCR by 1 to 63: through CF, so the width is one bit more.
static uint64_t rotate_carry(bool left, unsigned bytes, uint64_t a, unsigned count,
	uint64_t *rflags)
{
	uint64_t carry = *rflags & RFLAGS_CF;
	bool overflow;

	if (bytes < 4)
		count %= 8 * bytes + 1;
	if (count == 0)
		return a;
	for (unsigned i = 0; i < count; i++) {
		uint64_t out = left ? a >> (8 * bytes - 1) : a & 1;

		a = left ? (a << 1 | carry) & insn_mask(bytes) :
			a >> 1 | carry << (8 * bytes - 1);
		carry = out;
	}
	overflow = left ? ((a & top_bit(bytes)) != 0) != (carry != 0) :
		((a ^ a << 1) & top_bit(bytes)) != 0;
	set_flags(rflags, RFLAGS_CF | RFLAGS_OF, carry | flag_if(overflow, RFLAGS_OF));
	return a;
}

static uint64_t shift_left(unsigned bytes, uint64_t a, unsigned count, uint64_t *rflags)
{
	uint64_t before = a << (count - 1); // the top bit of this goes to CF
	uint64_t result = before << 1 & insn_mask(bytes);
	bool carry = (before & top_bit(bytes)) != 0;

	set_flags(rflags, RFLAGS_ARITHMETIC, result_flags(bytes, result) |
		flag_if(carry, RFLAGS_CF) |
		flag_if(((result & top_bit(bytes)) != 0) != carry, RFLAGS_OF));
	return result;
}

static uint64_t shift_right(bool arithmetic, unsigned bytes, uint64_t a, unsigned count,
	uint64_t *rflags)
{
	uint64_t wide = arithmetic ? insn_sign_extend(a, bytes) : a;
	uint64_t before = arithmetic ? (uint64_t)((int64_t)wide >> (count - 1)) :
		wide >> (count - 1);
	uint64_t result = (arithmetic ? (uint64_t)((int64_t)before >> 1) : before >> 1) &
		insn_mask(bytes);

	set_flags(rflags, RFLAGS_ARITHMETIC, result_flags(bytes, result) | (before & RFLAGS_CF) |
		flag_if(!arithmetic && (a & top_bit(bytes)) != 0, RFLAGS_OF));
	return result;
}

uint64_t insn_alu_shift(enum insn_op op, unsigned bytes, uint64_t a, unsigned count,
	uint64_t *rflags)
{
	count &= bytes == 8 ? 63 : 31;
	if (count == 0)
		return a;
	switch (op) {
	case INSN_ROL:
	case INSN_ROR:
		return rotate(op == INSN_ROL, bytes, a, count, rflags);
	case INSN_RCL:
	case INSN_RCR:
		return rotate_carry(op == INSN_RCL, bytes, a, count, rflags);
	case INSN_SHL:
		return shift_left(bytes, a, count, rflags);
	default:
		return shift_right(op == INSN_SAR, bytes, a, count, rflags);
	}
}

uint64_t insn_alu_shift_double(enum insn_op op, unsigned bytes, uint64_t a, uint64_t b,
	unsigned count, uint64_t *rflags)
{
	unsigned bits = 8 * bytes;
	uint64_t result = a, carry = 0;

	ASSERT(bits != 0);
	count &= bytes == 8 ? 63 : 31;
	if (count == 0)
		return a;
	// Bit by bit: at most 63 steps of an instruction that hardly ever meets a device.
	for (unsigned i = 0; i < count; i++) {
		// What comes in: b from its near end, and behind it (16 bits only) a again.
		uint64_t source = i < bits ? b : a;
		unsigned at = i % bits;

		if (op == INSN_SHLD) {
			carry = result >> (bits - 1);
			result = (result << 1 | (source >> (bits - 1 - at) & 1)) & insn_mask(bytes);
		} else {
			carry = result & 1;
			result = result >> 1 | (source >> at & 1) << (bits - 1);
		}
	}
	set_flags(rflags, RFLAGS_ARITHMETIC, result_flags(bytes, result) | carry |
		flag_if(((result ^ a) & top_bit(bytes)) != 0, RFLAGS_OF));
	return result;
}

uint64_t insn_alu_bit(enum insn_op op, uint64_t a, unsigned bit, uint64_t *rflags)
{
	set_flags(rflags, RFLAGS_CF, a >> bit & 1);
	switch (op) {
	case INSN_BTS:
		return a | (uint64_t)1 << bit;
	case INSN_BTR:
		return a & ~((uint64_t)1 << bit);
	case INSN_BTC:
		return a ^ (uint64_t)1 << bit;
	default:
		return a;
	}
}

static uint64_t population(uint64_t a)
{
	uint64_t count = 0;

	for (; a != 0; a &= a - 1)
		count++;
	return count;
}

bool insn_alu_count(enum insn_op op, unsigned bytes, uint64_t a, uint64_t *result,
	uint64_t *rflags)
{
	unsigned bits = 8 * bytes;
	unsigned low = a == 0 ? bits : (unsigned)__builtin_ctzll(a);
	unsigned high = a == 0 ? bits : bits - 64 + (unsigned)__builtin_clzll(a);

	switch (op) {
	case INSN_BSF:
	case INSN_BSR:
		set_flags(rflags, RFLAGS_ZF, flag_if(a == 0, RFLAGS_ZF));
		*result = op == INSN_BSF ? low : bits - 1 - high;
		return a != 0;
	case INSN_POPCNT:
		set_flags(rflags, RFLAGS_ARITHMETIC, flag_if(a == 0, RFLAGS_ZF));
		*result = population(a);
		return true;
	default:
		*result = op == INSN_TZCNT ? low : high;
		set_flags(rflags, RFLAGS_CF | RFLAGS_ZF, flag_if(a == 0, RFLAGS_CF) |
			flag_if(*result == 0, RFLAGS_ZF));
		return true;
	}
}

void insn_alu_multiply(bool is_signed, unsigned bytes, uint64_t a, uint64_t b, uint64_t *low,
	uint64_t *high, uint64_t *rflags)
{
	uint64_t mask = insn_mask(bytes);
	unsigned __int128 product;
	bool wide;

	if (is_signed)
		product = (unsigned __int128)((__int128)(int64_t)insn_sign_extend(a, bytes) *
			(int64_t)insn_sign_extend(b, bytes));
	else
		product = (unsigned __int128)a * b;
	*low = (uint64_t)product & mask;
	*high = (uint64_t)(product >> 8 * bytes) & mask;
	wide = is_signed ? *high != ((*low & top_bit(bytes)) != 0 ? mask : 0) : *high != 0;
	set_flags(rflags, RFLAGS_CF | RFLAGS_OF, flag_if(wide, RFLAGS_CF | RFLAGS_OF));
}

bool insn_alu_divide(bool is_signed, unsigned bytes, uint64_t high, uint64_t low,
	uint64_t divisor, uint64_t *quotient, uint64_t *remainder)
{
	uint64_t mask = insn_mask(bytes), limit = mask;
	unsigned __int128 dividend = (unsigned __int128)high << 8 * bytes | low;
	bool minus = is_signed && (high & top_bit(bytes)) != 0;
	bool minus_divisor = is_signed && (divisor & top_bit(bytes)) != 0;
	uint64_t q, r;

	if (minus) // as wide as the operands together: for 64 bits the type itself wraps
		dividend = (unsigned __int128)-dividend &
			((unsigned __int128)mask << 8 * bytes | mask);
	if (minus_divisor)
		divisor = (0 - divisor) & mask;
	if (is_signed)
		limit = minus != minus_divisor ? top_bit(bytes) : top_bit(bytes) - 1;
	if ((uint64_t)(dividend >> 64) >= divisor)
		return false; // zero, or a quotient of more than 64 bits
	__asm__("divq %4"
		: "=a"(q), "=d"(r)
		: "a"((uint64_t)dividend), "d"((uint64_t)(dividend >> 64)), "rm"(divisor)
		: "cc");
	if (q > limit)
		return false;
	*quotient = (minus != minus_divisor ? 0 - q : q) & mask;
	*remainder = (minus ? 0 - r : r) & mask;
	return true;
}

bool insn_condition(unsigned cc, uint64_t rflags)
{
	bool less = !(rflags & RFLAGS_SF) != !(rflags & RFLAGS_OF), holds;

	switch (cc >> 1) {
	case 0:
		holds = (rflags & RFLAGS_OF) != 0;
		break;
	case 1:
		holds = (rflags & RFLAGS_CF) != 0;
		break;
	case 2:
		holds = (rflags & RFLAGS_ZF) != 0;
		break;
	case 3:
		holds = (rflags & (RFLAGS_CF | RFLAGS_ZF)) != 0;
		break;
	case 4:
		holds = (rflags & RFLAGS_SF) != 0;
		break;
	case 5:
		holds = (rflags & RFLAGS_PF) != 0;
		break;
	case 6:
		holds = less;
		break;
	default:
		holds = less || (rflags & RFLAGS_ZF) != 0;
		break;
	}
	return holds != ((cc & 1) != 0);
}
