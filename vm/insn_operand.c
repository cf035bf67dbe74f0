// SPDX-License-Identifier: BSD-2-Clause
// Operands of instructions: registers of all kinds, immediates, memory. See insn_access.h.
#include "vm/insn_access.h"

enum status insn_operand_address(struct insn_cpu *cpu, const struct insn *insn, unsigned bytes,
	bool write, struct gva *to)
{
	return insn_linear(cpu, insn->segment, insn_offset(cpu, insn, 0), bytes, write, to);
}

static enum status read_memory(struct insn_cpu *cpu, const struct insn *insn, unsigned bytes,
	bool modify, struct insn_place *place)
{
	enum status status = insn_operand_address(cpu, insn, bytes, modify, &place->at);

	place->value = 0;
	if (status == STATUS_OK)
		status = insn_read(cpu, place->at, bytes, modify, &place->value);
	place->value &= insn_mask(bytes);
	return status;
}

enum status insn_read_operand(struct insn_cpu *cpu, const struct insn *insn,
	const struct insn_operand *operand, bool modify, struct insn_place *place)
{
	place->at.v = 0;
	switch (operand->kind) {
	case INSN_OPERAND_MEMORY:
		return read_memory(cpu, insn, operand->bytes, modify, place);
	case INSN_OPERAND_REGISTER:
		place->value = insn_get_register(cpu, operand->number, operand->bytes);
		return STATUS_OK;
	case INSN_OPERAND_HIGH:
		place->value = cpu->gpr[operand->number] >> 8 & 0xff;
		return STATUS_OK;
	case INSN_OPERAND_SEGMENT:
		place->value = cpu->ops->selector(cpu->owner, operand->number);
		return STATUS_OK;
	case INSN_OPERAND_IMMEDIATE:
		place->value = insn->immediate;
		return STATUS_OK;
	default:
		return STATUS_UNSUPPORTED;
	}
}

static enum status load_segment(struct insn_cpu *cpu, unsigned segment, uint64_t value)
{
	enum status status = cpu->ops->load_segment(cpu->owner, segment, (uint16_t)value);

	cpu->stack_shadow = status == STATUS_OK && segment == INSN_SS;
	return status;
}

enum status insn_write_operand(struct insn_cpu *cpu, const struct insn *insn,
	const struct insn_operand *operand, const struct insn_place *place, uint64_t value)
{
	uint64_t *gpr = &cpu->gpr[operand->number % 16];
	bool locked = insn->lock || insn->op == INSN_XCHG;

	switch (operand->kind) {
	case INSN_OPERAND_MEMORY:
		value &= insn_mask(operand->bytes);
		if (locked && cpu->ops->replace != NULL)
			return cpu->ops->replace(cpu->owner, place->at, operand->bytes,
				place->value, value);
		return insn_write(cpu, place->at, operand->bytes, value);
	case INSN_OPERAND_REGISTER:
		insn_set_register(cpu, operand->number, operand->bytes, value);
		return STATUS_OK;
	case INSN_OPERAND_HIGH:
		*gpr = (*gpr & ~(uint64_t)0xff00) | (value & 0xff) << 8;
		return STATUS_OK;
	case INSN_OPERAND_SEGMENT:
		return load_segment(cpu, operand->number, value);
	default:
		return STATUS_UNSUPPORTED;
	}
}

enum status insn_store_operand(struct insn_cpu *cpu, const struct insn *insn,
	const struct insn_operand *operand, uint64_t value)
{
	struct gva at;
	enum status status;

	if (operand->kind != INSN_OPERAND_MEMORY)
		return insn_write_operand(cpu, insn, operand, NULL, value);
	status = insn_operand_address(cpu, insn, operand->bytes, true, &at);
	return status == STATUS_OK ? insn_write(cpu, at, operand->bytes, value) : status;
}
