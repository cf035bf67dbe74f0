// SPDX-License-Identifier: BSD-2-Clause
// String instructions, with and without REP (SDM 1 7.3.9, 2B REP). See insn.h.
#include "vm/insn_access.h"

// Everything that one iteration needs and the next one too.
struct string {
	unsigned op;
	unsigned bytes;
	unsigned address_bytes;
	unsigned segment; // of the source
	uint64_t step;    // added to RSI and RDI
	const struct insn_port_ops *ports;
};

static enum status source(struct insn_cpu *cpu, const struct string *string, uint64_t *value)
{
	uint64_t offset = insn_get_register(cpu, INSN_RSI, string->address_bytes);
	struct gva at;
	enum status status = insn_linear(cpu, string->segment, offset, string->bytes, false, &at);

	*value = 0;
	if (status == STATUS_OK)
		status = insn_read(cpu, at, string->bytes, false, value);
	return status;
}

static enum status destination(struct insn_cpu *cpu, const struct string *string, bool write,
	struct gva *at)
{
	uint64_t offset = insn_get_register(cpu, INSN_RDI, string->address_bytes);

	return insn_linear(cpu, INSN_ES, offset, string->bytes, write, at);
}

static enum status store(struct insn_cpu *cpu, const struct string *string, uint64_t value)
{
	struct gva at;
	enum status status = destination(cpu, string, true, &at);

	return status == STATUS_OK ? insn_write(cpu, at, string->bytes, value) : status;
}

static enum status compare(struct insn_cpu *cpu, const struct string *string, uint64_t left)
{
	uint64_t right = 0, mask = insn_mask(string->bytes);
	struct gva at;
	enum status status = destination(cpu, string, false, &at);

	if (status == STATUS_OK)
		status = insn_read(cpu, at, string->bytes, false, &right);
	if (status == STATUS_OK)
		insn_alu_binary(INSN_CMP, string->bytes, left & mask, right & mask, &cpu->rflags);
	return status;
}

static enum status input(struct insn_cpu *cpu, const struct string *string)
{
	uint16_t port = (uint16_t)cpu->gpr[INSN_RDX];
	uint64_t value = 0;
	struct gva at;
	enum status status = destination(cpu, string, true, &at);

	if (status == STATUS_OK)
		status = cpu->ops->probe(cpu->owner, at, string->bytes);
	if (status == STATUS_OK)
		status = string->ports->in(cpu->owner, port, string->bytes, &value);
	if (status == STATUS_OK)
		status = insn_write(cpu, at, string->bytes, value);
	return status;
}

// One iteration's accesses and flags; registers are moved afterwards.
static enum status iterate(struct insn_cpu *cpu, const struct string *string)
{
	uint64_t value;
	enum status status;

	switch (string->op) {
	case INSN_STOS:
		return store(cpu, string, cpu->gpr[INSN_RAX]);
	case INSN_SCAS:
		return compare(cpu, string, cpu->gpr[INSN_RAX]);
	case INSN_INS:
		return input(cpu, string);
	default:
		break;
	}
	status = source(cpu, string, &value);
	if (status != STATUS_OK)
		return status;
	switch (string->op) {
	case INSN_MOVS:
		return store(cpu, string, value);
	case INSN_CMPS:
		return compare(cpu, string, value);
	case INSN_LODS:
		insn_set_register(cpu, INSN_RAX, string->bytes, value);
		return STATUS_OK;
	default:
		return string->ports->out(cpu->owner, (uint16_t)cpu->gpr[INSN_RDX], string->bytes,
			value & insn_mask(string->bytes));
	}
}

static void advance(struct insn_cpu *cpu, const struct string *string)
{
	unsigned op = string->op;

	if (op == INSN_MOVS || op == INSN_CMPS || op == INSN_LODS || op == INSN_OUTS)
		insn_add_register(cpu, INSN_RSI, string->address_bytes, string->step);
	if (op != INSN_LODS && op != INSN_OUTS)
		insn_add_register(cpu, INSN_RDI, string->address_bytes, string->step);
}

// Whether REPE or REPNE ends here although the counter has not.
static bool comparison_ends(const struct insn_cpu *cpu, const struct insn *insn)
{
	bool equal = (cpu->rflags & RFLAGS_ZF) != 0;

	if (insn->op != INSN_CMPS && insn->op != INSN_SCAS)
		return false;
	return equal != (insn->repeat == INSN_REPEAT_EQUAL);
}

static enum status repeat(struct insn_cpu *cpu, const struct insn *insn,
	const struct string *string)
{
	unsigned limit = INSN_REPEAT_BYTES / string->bytes;
	unsigned width = insn->address_bytes;
	uint64_t rflags = cpu->rflags;

	if ((cpu->rflags & RFLAGS_TF) || cpu->one_iteration)
		limit = 1;
	for (unsigned i = 0; i < limit; i++) {
		enum status status;

		if (insn_get_register(cpu, INSN_RCX, width) == 0)
			break;
		status = iterate(cpu, string);
		if (status != STATUS_OK) {
			cpu->rflags = rflags; // SDM 2B REP: as before the instruction
			return status;
		}
		advance(cpu, string);
		insn_add_register(cpu, INSN_RCX, width, UINT64_MAX);
		if (comparison_ends(cpu, insn)) {
			insn_finish(cpu, insn_next_rip(cpu, insn));
			return STATUS_OK;
		}
	}
	if (insn_get_register(cpu, INSN_RCX, width) == 0) {
		insn_finish(cpu, insn_next_rip(cpu, insn));
		return STATUS_OK;
	}
	insn_finish(cpu, cpu->rip);
	cpu->rflags |= RFLAGS_RF;
	return STATUS_OK;
}

enum status insn_execute_string(struct insn_cpu *cpu, const struct insn *insn,
	const struct insn_port_ops *ports)
{
	struct string string = {
		.op = insn->op,
		.bytes = insn->to.bytes,
		.address_bytes = insn->address_bytes,
		.segment = insn->segment,
		.step = cpu->rflags & RFLAGS_DF ? 0 - (uint64_t)insn->to.bytes : insn->to.bytes,
		.ports = ports,
	};
	enum status status;

	if (insn->repeat != INSN_REPEAT_NONE)
		return repeat(cpu, insn, &string);
	status = iterate(cpu, &string);
	if (status != STATUS_OK)
		return status;
	advance(cpu, &string);
	insn_finish(cpu, insn_next_rip(cpu, insn));
	return STATUS_OK;
}

enum status insn_execute_port_string(struct insn_cpu *cpu, const struct insn *insn,
	const struct insn_port_ops *ports)
{
	cpu->single_step = false;
	cpu->stack_shadow = false;
	if (insn->op != INSN_INS && insn->op != INSN_OUTS)
		return STATUS_UNSUPPORTED;
	return insn_execute_string(cpu, insn, ports);
}
