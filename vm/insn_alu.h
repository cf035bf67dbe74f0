// SPDX-License-Identifier: BSD-2-Clause
// Arithmetic of instructions, without a CPU or memory: results and flags as SDM volume 2 says.
//
// Values have `bytes` bytes (1, 2, 4, 8) and are zero-extended, in and out. Flags that the SDM
// leaves undefined become what each function says, so that every host computes the same.
#ifndef VM_INSN_ALU_H
#define VM_INSN_ALU_H

#include "kernel/base/types.h"
#include "kernel/decode.h"

#define RFLAGS_CF BIT(0)
#define RFLAGS_PF BIT(2)
#define RFLAGS_AF BIT(4)
#define RFLAGS_ZF BIT(6)
#define RFLAGS_SF BIT(7)
#define RFLAGS_TF BIT(8)
#define RFLAGS_DF BIT(10)
#define RFLAGS_OF BIT(11)
#define RFLAGS_RF BIT(16)

#define RFLAGS_ARITHMETIC (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF)

static always_inline uint64_t insn_mask(unsigned bytes)
{
	return UINT64_MAX >> (64 - 8 * bytes);
}

static always_inline uint64_t insn_sign_extend(uint64_t value, unsigned bytes)
{
	unsigned unused = 64 - 8 * bytes;

	return (uint64_t)((int64_t)(value << unused) >> unused);
}

// ADD to CMP, and TEST. For CMP and TEST the result is meant to be dropped. AF after a logical
// operation: 0.
uint64_t insn_alu_binary(enum insn_op op, unsigned bytes, uint64_t a, uint64_t b,
	uint64_t *rflags);

// NOT, NEG, INC, DEC.
uint64_t insn_alu_unary(enum insn_op op, unsigned bytes, uint64_t a, uint64_t *rflags);

// ROL to SAR; the count is masked here. OF for counts other than 1: by the rule for 1; AF: 0.
uint64_t insn_alu_shift(enum insn_op op, unsigned bytes, uint64_t a, unsigned count,
	uint64_t *rflags);

// SHLD, SHRD. Counts above 16 with 16-bit operands shift a, b and a again.
uint64_t insn_alu_shift_double(enum insn_op op, unsigned bytes, uint64_t a, uint64_t b,
	unsigned count, uint64_t *rflags);

// BT, BTS, BTR, BTC with the bit's number below 8 * bytes. Only CF changes.
uint64_t insn_alu_bit(enum insn_op op, uint64_t a, unsigned bit, uint64_t *rflags);

// BSF, BSR, TZCNT, LZCNT, POPCNT. False: the destination keeps its value (BSF and BSR of zero).
bool insn_alu_count(enum insn_op op, unsigned bytes, uint64_t a, uint64_t *result,
	uint64_t *rflags);

// MUL, and IMUL in all forms. SF, ZF, AF and PF stay.
void insn_alu_multiply(bool is_signed, unsigned bytes, uint64_t a, uint64_t b, uint64_t *low,
	uint64_t *high, uint64_t *rflags);

// DIV, IDIV of high:low. False: #DE. Flags stay.
must_check bool insn_alu_divide(bool is_signed, unsigned bytes, uint64_t high, uint64_t low,
	uint64_t divisor, uint64_t *quotient, uint64_t *remainder);

// Whether condition `cc` (0 to 15, SDM 1 appendix B) holds.
bool insn_condition(unsigned cc, uint64_t rflags);

#endif
