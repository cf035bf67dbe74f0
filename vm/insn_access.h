// SPDX-License-Identifier: BSD-2-Clause
// Registers, addresses and memory as the instructions of vm/insn*.c see them. For these, and for
// vm/cpu_access.c.
#ifndef VM_INSN_ACCESS_H
#define VM_INSN_ACCESS_H

#include "vm/insn.h"
#include "vm/insn_alu.h"

static always_inline uint64_t insn_get_register(const struct insn_cpu *cpu, unsigned number,
	unsigned bytes)
{
	return cpu->gpr[number] & insn_mask(bytes);
}

// A write of 32 bits clears the upper half, one of 8 or 16 keeps the rest (SDM 1 3.4.1.1).
static always_inline void insn_set_register(struct insn_cpu *cpu, unsigned number, unsigned bytes,
	uint64_t value)
{
	uint64_t kept = bytes >= 4 ? 0 : ~insn_mask(bytes);

	cpu->gpr[number] = (cpu->gpr[number] & kept) | (value & insn_mask(bytes));
}

// A register used as address, counter or stack pointer.
static always_inline void insn_add_register(struct insn_cpu *cpu, unsigned number, unsigned bytes,
	uint64_t addend)
{
	insn_set_register(cpu, number, bytes, cpu->gpr[number] + addend);
}

static always_inline uint64_t insn_next_rip(const struct insn_cpu *cpu, const struct insn *insn)
{
	uint64_t next = cpu->rip + insn->length;

	return cpu->mode == DECODE_MODE_64 ? next : (uint32_t)next;
}

static always_inline enum status insn_linear(struct insn_cpu *cpu, unsigned segment,
	uint64_t offset, unsigned bytes, bool write, struct gva *to)
{
	// Canonical in 48 bits, and far enough from the edge for any access.
	uint64_t distance = offset + BIT(47);

	if (likely(cpu->mode == DECODE_MODE_64 && segment < INSN_FS &&
		distance < BIT(48) - 16)) {
		to->v = offset;
		return STATUS_OK;
	}
	return cpu->ops->linear(cpu->owner, segment, offset, bytes, write, to);
}

// Offset of the memory operand in its segment; `displaced` is added to it (bit strings).
static always_inline uint64_t insn_offset(const struct insn_cpu *cpu, const struct insn *insn,
	uint64_t displaced)
{
	uint64_t offset = (uint64_t)insn->displacement + displaced;

	if (likely(insn->base < INSN_RIP))
		offset += cpu->gpr[insn->base];
	else if (insn->base == INSN_RIP)
		offset += cpu->rip + insn->length;
	if (insn->index != INSN_NO_REGISTER)
		offset += cpu->gpr[insn->index] << insn->shift;
	if (unlikely(insn->address_bytes != 8))
		offset &= insn_mask(insn->address_bytes);
	return offset;
}

static always_inline enum status insn_read(struct insn_cpu *cpu, struct gva from, unsigned bytes,
	bool modify, uint64_t *value)
{
	return cpu->ops->read(cpu->owner, from, bytes, modify, value);
}

static always_inline enum status insn_write(struct insn_cpu *cpu, struct gva to, unsigned bytes,
	uint64_t value)
{
	return cpu->ops->write(cpu->owner, to, bytes, value & insn_mask(bytes));
}

// Ends an instruction that has done its work.
static always_inline void insn_finish(struct insn_cpu *cpu, uint64_t next_rip)
{
	cpu->rip = next_rip;
	cpu->single_step = (cpu->rflags & RFLAGS_TF) != 0;
	cpu->rflags &= ~RFLAGS_RF;
}

// An operand that is read and then perhaps written: where it is, and what it was.
struct insn_place {
	struct gva at; // of a memory operand
	uint64_t value;
};

// In insn_operand.c. modify: insn_write_operand() follows.
must_check enum status insn_read_operand(struct insn_cpu *cpu, const struct insn *insn,
	const struct insn_operand *operand, bool modify, struct insn_place *place);
// Writes what was read with `modify`.
must_check enum status insn_write_operand(struct insn_cpu *cpu, const struct insn *insn,
	const struct insn_operand *operand, const struct insn_place *place, uint64_t value);
// Writes a destination that was not read.
must_check enum status insn_store_operand(struct insn_cpu *cpu, const struct insn *insn,
	const struct insn_operand *operand, uint64_t value);

// In insn_string.c: MOVS, STOS, LODS, CMPS, SCAS; with ports also INS and OUTS.
must_check enum status insn_execute_string(struct insn_cpu *cpu, const struct insn *insn,
	const struct insn_port_ops *ports);

#endif
