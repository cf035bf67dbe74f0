// SPDX-License-Identifier: BSD-2-Clause
// Execution of everything but string instructions. See insn.h.
//
// Each instruction reads its operands, computes on local copies, writes memory, and only then
// commits registers and flags: whatever fails before leaves no trace.
#include "vm/insn.h"

#include "vm/insn_access.h"

// MOV and its kin: MOVZX, MOVSX, MOVBE, CMOVcc, SETcc.
static enum status execute_move(struct insn_cpu *cpu, const struct insn *insn)
{
	struct insn_place from = {0};
	enum status status = STATUS_OK;

	if (insn->op != INSN_SET)
		status = insn_read_operand(cpu, insn, &insn->from, false, &from);
	if (status != STATUS_OK)
		return status;
	switch (insn->op) {
	case INSN_MOVSX:
		from.value = insn_sign_extend(from.value, insn->from.bytes);
		break;
	case INSN_MOVBE:
		from.value = __builtin_bswap64(from.value) >> (64 - 8 * insn->from.bytes);
		break;
	case INSN_SET:
		from.value = insn_condition(insn->condition, cpu->rflags);
		break;
	case INSN_CMOV: // reads memory in any case; 32 bits are extended in any case
		if (!insn_condition(insn->condition, cpu->rflags))
			from.value = insn_get_register(cpu, insn->to.number, insn->to.bytes);
		break;
	default:
		break;
	}
	return insn_store_operand(cpu, insn, &insn->to, from.value);
}

static enum status execute_exchange(struct insn_cpu *cpu, const struct insn *insn)
{
	struct insn_place to, from;
	enum status status = insn_read_operand(cpu, insn, &insn->to, true, &to);
	uint64_t rflags = cpu->rflags, result;

	if (status != STATUS_OK)
		return status;
	// XCHG may have its memory operand second.
	status = insn_read_operand(cpu, insn, &insn->from, true, &from);
	if (status != STATUS_OK)
		return status;
	result = from.value;
	if (insn->op == INSN_XADD)
		result = insn_alu_binary(INSN_ADD, insn->to.bytes, to.value, from.value, &rflags);
	if (insn->from.kind == INSN_OPERAND_MEMORY) {
		status = insn_write_operand(cpu, insn, &insn->from, &from, to.value);
		return status == STATUS_OK ?
			insn_write_operand(cpu, insn, &insn->to, &to, result) : status;
	}
	if (insn->to.kind == INSN_OPERAND_MEMORY) {
		status = insn_write_operand(cpu, insn, &insn->to, &to, result);
		if (status == STATUS_OK)
			status = insn_write_operand(cpu, insn, &insn->from, &from, to.value);
	} else { // XADD of a register with itself keeps the sum
		status = insn_write_operand(cpu, insn, &insn->from, &from, to.value);
		if (status == STATUS_OK)
			status = insn_write_operand(cpu, insn, &insn->to, &to, result);
	}
	if (status == STATUS_OK)
		cpu->rflags = rflags;
	return status;
}

static enum status execute_compare_exchange(struct insn_cpu *cpu, const struct insn *insn)
{
	unsigned bytes = insn->to.bytes;
	uint64_t rflags = cpu->rflags, accumulator = insn_get_register(cpu, INSN_RAX, bytes);
	struct insn_place to, from;
	enum status status = insn_read_operand(cpu, insn, &insn->to, true, &to);
	bool equal;

	if (status == STATUS_OK)
		status = insn_read_operand(cpu, insn, &insn->from, false, &from);
	if (status != STATUS_OK)
		return status;
	insn_alu_binary(INSN_CMP, bytes, accumulator, to.value, &rflags);
	equal = (rflags & RFLAGS_ZF) != 0;
	// Memory is written even if they differ (SDM 2A CMPXCHG); a register is not.
	if (equal || insn->to.kind == INSN_OPERAND_MEMORY)
		status = insn_write_operand(cpu, insn, &insn->to, &to,
			equal ? from.value : to.value);
	if (status != STATUS_OK)
		return status;
	if (!equal)
		insn_set_register(cpu, INSN_RAX, bytes, to.value);
	cpu->rflags = rflags;
	return STATUS_OK;
}

// CMPXCHG8B and CMPXCHG16B. The latter's two halves are separate accesses: atomic only where
// nothing else runs.
static enum status execute_compare_exchange_pair(struct insn_cpu *cpu, const struct insn *insn)
{
	unsigned half = insn->to.bytes / 2;
	uint64_t replace[2] = {insn_get_register(cpu, INSN_RBX, half),
		insn_get_register(cpu, INSN_RCX, half)};
	uint64_t low, high = 0;
	struct insn_operand whole = {INSN_OPERAND_MEMORY, 0, 8};
	struct insn_place place, second = {0};
	enum status status;
	bool equal;

	if (insn->to.kind != INSN_OPERAND_MEMORY)
		return STATUS_UNSUPPORTED;
	status = insn_operand_address(cpu, insn, insn->to.bytes, true, &place.at);
	if (status == STATUS_OK && half == 8 && place.at.v % 16 != 0)
		return cpu->ops->raise(cpu->owner, INSN_VECTOR_GENERAL, 0);
	if (status == STATUS_OK)
		status = insn_read(cpu, place.at, 8, true, &place.value);
	second.at.v = place.at.v + 8;
	if (status == STATUS_OK && half == 8)
		status = insn_read(cpu, second.at, 8, true, &second.value);
	if (status != STATUS_OK)
		return status;
	low = half == 8 ? place.value : (uint32_t)place.value;
	high = half == 8 ? second.value : place.value >> 32;
	equal = low == insn_get_register(cpu, INSN_RAX, half) &&
		high == insn_get_register(cpu, INSN_RDX, half);
	if (!equal) {
		replace[0] = low;
		replace[1] = high;
	}
	status = insn_write_operand(cpu, insn, &whole, &place,
		half == 8 ? replace[0] : replace[0] | replace[1] << 32);
	if (status == STATUS_OK && half == 8)
		status = insn_write_operand(cpu, insn, &whole, &second, replace[1]);
	if (status != STATUS_OK)
		return status;
	if (!equal) {
		insn_set_register(cpu, INSN_RAX, half, low);
		insn_set_register(cpu, INSN_RDX, half, high);
	}
	cpu->rflags = (cpu->rflags & ~RFLAGS_ZF) | (equal ? RFLAGS_ZF : 0);
	return STATUS_OK;
}

static unsigned shift_count(const struct insn_cpu *cpu, const struct insn *insn, unsigned kind)
{
	return (unsigned)(kind == INSN_OPERAND_IMMEDIATE ? insn->immediate :
		cpu->gpr[INSN_RCX]) & 0xff;
}

static uint64_t compute(const struct insn_cpu *cpu, const struct insn *insn, uint64_t to,
	uint64_t from, uint64_t *rflags)
{
	unsigned bytes = insn->to.bytes;
	enum insn_op op = (enum insn_op)insn->op;

	if (op <= INSN_TEST)
		return insn_alu_binary(op, bytes, to, from & insn_mask(bytes), rflags);
	if (op <= INSN_DEC)
		return insn_alu_unary(op, bytes, to, rflags);
	if (op <= INSN_SAR)
		return insn_alu_shift(op, bytes, to, shift_count(cpu, insn, insn->from.kind),
			rflags);
	return insn_alu_shift_double(op, bytes, to, from, shift_count(cpu, insn, insn->third),
		rflags);
}

// to = to OP from, for one, two and three operands.
static enum status execute_alu(struct insn_cpu *cpu, const struct insn *insn)
{
	bool writes = insn->op != INSN_CMP && insn->op != INSN_TEST;
	uint64_t rflags = cpu->rflags, result;
	struct insn_place to, from = {0};
	enum status status = insn_read_operand(cpu, insn, &insn->to, writes, &to);

	if (status == STATUS_OK && insn->from.kind != INSN_OPERAND_NONE)
		status = insn_read_operand(cpu, insn, &insn->from, false, &from);
	if (status != STATUS_OK)
		return status;
	result = compute(cpu, insn, to.value, from.value, &rflags);
	if (writes)
		status = insn_write_operand(cpu, insn, &insn->to, &to, result);
	if (status == STATUS_OK)
		cpu->rflags = rflags;
	return status;
}

// BT family. A bit number in a register may lie outside of the operand: it then addresses memory
// around it, in both directions (SDM 2A, figure 3-2).
static enum status execute_bit(struct insn_cpu *cpu, const struct insn *insn)
{
	unsigned bytes = insn->to.bytes, bits = 8 * bytes;
	bool writes = insn->op != INSN_BT;
	uint64_t rflags = cpu->rflags, result;
	struct insn_place to, number;
	enum status status = insn_read_operand(cpu, insn, &insn->from, false, &number);
	int64_t beyond = 0;

	if (status != STATUS_OK)
		return status;
	if (insn->to.kind != INSN_OPERAND_MEMORY) {
		status = insn_read_operand(cpu, insn, &insn->to, writes, &to);
	} else {
		if (insn->from.kind == INSN_OPERAND_REGISTER)
			beyond = (int64_t)insn_sign_extend(number.value, bytes) >>
				__builtin_ctz(bits);
		status = insn_linear(cpu, insn->segment,
			insn_offset(cpu, insn, (uint64_t)beyond * bytes), bytes, writes, &to.at);
		if (status == STATUS_OK)
			status = insn_read(cpu, to.at, bytes, writes, &to.value);
	}
	if (status != STATUS_OK)
		return status;
	result = insn_alu_bit((enum insn_op)insn->op, to.value, (unsigned)number.value & (bits - 1),
		&rflags);
	if (writes)
		status = insn_write_operand(cpu, insn, &insn->to, &to, result);
	if (status == STATUS_OK)
		cpu->rflags = rflags;
	return status;
}

static enum status execute_count(struct insn_cpu *cpu, const struct insn *insn)
{
	struct insn_place from;
	enum status status = insn_read_operand(cpu, insn, &insn->from, false, &from);
	uint64_t result;

	if (status != STATUS_OK)
		return status;
	if (insn_alu_count((enum insn_op)insn->op, insn->from.bytes, from.value, &result,
		&cpu->rflags))
		insn_set_register(cpu, insn->to.number, insn->to.bytes, result);
	return STATUS_OK;
}

// The double-width operand of MUL, IMUL, DIV and IDIV: AX for bytes, otherwise rDX:rAX.
static void set_wide(struct insn_cpu *cpu, unsigned bytes, uint64_t low, uint64_t high)
{
	if (bytes == 1) {
		insn_set_register(cpu, INSN_RAX, 2, low | high << 8);
		return;
	}
	insn_set_register(cpu, INSN_RAX, bytes, low);
	insn_set_register(cpu, INSN_RDX, bytes, high);
}

static enum status execute_multiply(struct insn_cpu *cpu, const struct insn *insn)
{
	struct insn_place operand, other = {0};
	unsigned bytes = insn->to.bytes;
	uint64_t low, high;
	enum status status;

	if (insn->op != INSN_IMUL_SINGLE) {
		status = insn_read_operand(cpu, insn, &insn->to, false, &operand);
		if (status != STATUS_OK)
			return status;
		insn_alu_multiply(insn->op == INSN_IMUL, bytes,
			insn_get_register(cpu, INSN_RAX, bytes), operand.value, &low, &high,
			&cpu->rflags);
		set_wide(cpu, bytes, low, high);
		return STATUS_OK;
	}
	status = insn_read_operand(cpu, insn, &insn->from, false, &operand);
	if (status != STATUS_OK)
		return status;
	other.value = insn->third == INSN_OPERAND_IMMEDIATE ? insn->immediate & insn_mask(bytes) :
		insn_get_register(cpu, insn->to.number, bytes);
	insn_alu_multiply(true, bytes, other.value, operand.value, &low, &high, &cpu->rflags);
	insn_set_register(cpu, insn->to.number, bytes, low);
	return STATUS_OK;
}

static enum status execute_divide(struct insn_cpu *cpu, const struct insn *insn)
{
	unsigned bytes = insn->to.bytes;
	uint64_t low = insn_get_register(cpu, INSN_RAX, bytes), quotient, remainder;
	uint64_t high = bytes == 1 ? cpu->gpr[INSN_RAX] >> 8 & 0xff :
		insn_get_register(cpu, INSN_RDX, bytes);
	struct insn_place divisor;
	enum status status = insn_read_operand(cpu, insn, &insn->to, false, &divisor);

	if (status != STATUS_OK)
		return status;
	if (!insn_alu_divide(insn->op == INSN_IDIV, bytes, high, low, divisor.value, &quotient,
		&remainder))
		return cpu->ops->raise(cpu->owner, INSN_VECTOR_DIVIDE, 0);
	set_wide(cpu, bytes, quotient, remainder);
	return STATUS_OK;
}

// Pushes; the stack pointer moves once the bytes are written.
static enum status push(struct insn_cpu *cpu, unsigned bytes, uint64_t value)
{
	uint64_t offset = (cpu->gpr[INSN_RSP] - bytes) & insn_mask(cpu->stack_bytes);
	struct gva at;
	enum status status = insn_linear(cpu, INSN_SS, offset, bytes, true, &at);

	if (status == STATUS_OK)
		status = insn_write(cpu, at, bytes, value);
	if (status == STATUS_OK)
		insn_add_register(cpu, INSN_RSP, cpu->stack_bytes, 0 - (uint64_t)bytes);
	return status;
}

static enum status execute_push(struct insn_cpu *cpu, const struct insn *insn)
{
	struct insn_place from;
	enum status status = insn_read_operand(cpu, insn, &insn->to, false, &from);

	return status == STATUS_OK ? push(cpu, insn->to.bytes, from.value) : status;
}

static enum status execute_pop(struct insn_cpu *cpu, const struct insn *insn)
{
	unsigned bytes = insn->to.bytes;
	uint64_t before = cpu->gpr[INSN_RSP], value = 0;
	struct gva at;
	enum status status = insn_linear(cpu, INSN_SS,
		insn_get_register(cpu, INSN_RSP, cpu->stack_bytes), bytes, false, &at);

	if (status == STATUS_OK)
		status = insn_read(cpu, at, bytes, false, &value);
	if (status != STATUS_OK)
		return status;
	// The destination's address counts from the new stack pointer (SDM 2B POP).
	insn_add_register(cpu, INSN_RSP, cpu->stack_bytes, bytes);
	status = insn_store_operand(cpu, insn, &insn->to, value);
	if (status != STATUS_OK)
		cpu->gpr[INSN_RSP] = before;
	return status;
}

// Near indirect CALL and JMP; sets rip itself.
static enum status execute_branch(struct insn_cpu *cpu, const struct insn *insn)
{
	struct insn_place target;
	struct gva unused;
	enum status status = insn_read_operand(cpu, insn, &insn->to, false, &target);

	if (status == STATUS_OK)
		status = insn_linear(cpu, INSN_CS, target.value, 1, false, &unused);
	if (status == STATUS_OK && insn->op == INSN_CALL)
		status = push(cpu, insn->to.bytes, insn_next_rip(cpu, insn));
	if (status == STATUS_OK)
		insn_finish(cpu, target.value);
	return status;
}

static enum status execute_other(struct insn_cpu *cpu, const struct insn *insn)
{
	unsigned op = insn->op;

	if (op >= INSN_ADD && op <= INSN_DEC)
		return execute_alu(cpu, insn);
	if (op >= INSN_ROL && op <= INSN_SHRD)
		return execute_alu(cpu, insn);
	if (op >= INSN_BT && op <= INSN_BTC)
		return execute_bit(cpu, insn);
	if (op >= INSN_BSF && op <= INSN_POPCNT)
		return execute_count(cpu, insn);
	switch (op) {
	case INSN_MOV:
	case INSN_MOVZX:
	case INSN_MOVSX:
	case INSN_MOVBE:
	case INSN_CMOV:
	case INSN_SET:
		return execute_move(cpu, insn);
	case INSN_XCHG:
	case INSN_XADD:
		return execute_exchange(cpu, insn);
	case INSN_CMPXCHG:
		return execute_compare_exchange(cpu, insn);
	case INSN_CMPXCHG_PAIR:
		return execute_compare_exchange_pair(cpu, insn);
	case INSN_MUL:
	case INSN_IMUL:
	case INSN_IMUL_SINGLE:
		return execute_multiply(cpu, insn);
	case INSN_DIV:
	case INSN_IDIV:
		return execute_divide(cpu, insn);
	case INSN_PUSH:
		return execute_push(cpu, insn);
	case INSN_POP:
		return execute_pop(cpu, insn);
	case INSN_NOP:
		return STATUS_OK;
	default:
		return STATUS_UNSUPPORTED;
	}
}

// MOV between memory and a register or an immediate: nearly all that drivers do.
static always_inline enum status execute_plain_move(struct insn_cpu *cpu, const struct insn *insn)
{
	bool load = insn->op == INSN_LOAD;
	unsigned bytes = insn->to.bytes; // both operands have the same size
	uint64_t value;
	struct gva at;
	enum status status;

	status = insn_linear(cpu, insn->segment, insn_offset(cpu, insn, 0), bytes, !load, &at);
	if (unlikely(status != STATUS_OK))
		return status;
	if (load) {
		status = insn_read(cpu, at, bytes, false, &value);
		if (likely(status == STATUS_OK))
			insn_set_register(cpu, insn->to.number, bytes, value);
		return status;
	}
	value = insn->op == INSN_STORE ? cpu->gpr[insn->from.number] : insn->immediate;
	return insn_write(cpu, at, bytes, value);
}

// Out of line, so that the plain move need not save the registers that all this wants.
static __attribute__((noinline)) enum status execute_general(struct insn_cpu *cpu,
	const struct insn *insn)
{
	enum status status;

	if (insn->op >= INSN_MOVS && insn->op <= INSN_SCAS)
		return insn_execute_string(cpu, insn, NULL);
	if (insn->op == INSN_CALL || insn->op == INSN_JMP)
		return execute_branch(cpu, insn);
	status = execute_other(cpu, insn);
	if (status == STATUS_OK)
		insn_finish(cpu, insn_next_rip(cpu, insn));
	return status;
}

enum status insn_execute(struct insn_cpu *cpu, const struct insn *insn)
{
	enum status status;

	cpu->single_step = false;
	cpu->stack_shadow = false;
	if (unlikely(insn->op < INSN_LOAD || insn->op > INSN_STORE_IMMEDIATE))
		return execute_general(cpu, insn);
	status = execute_plain_move(cpu, insn);
	if (likely(status == STATUS_OK))
		insn_finish(cpu, insn_next_rip(cpu, insn));
	return status;
}
