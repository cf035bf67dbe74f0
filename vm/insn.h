// SPDX-License-Identifier: BSD-2-Clause
// Executing one decoded instruction on behalf of the guest: what touched MMIO, or RAM that the
// CPU cannot reach by itself.
//
// General-register instructions only (kernel/decode.h lists them). Vector, mask, MMX and x87
// instructions are STATUS_UNSUPPORTED: the image owns none of those registers, the guest's values
// are in them. So are far branches and what changes the CPU's mode.
//
// Faults are precise: nothing is committed before the last access that may fault, except the
// finished iterations of a string instruction, as on hardware (SDM 2B REP). REP runs at most
// INSN_REPEAT_BYTES a call; then rip stays, and the next entry lets interrupts in before the
// instruction exits again and goes on.
//
// Debugging (SDM 3B 17.3): RF is cleared by completion and set when REP stops in between, as in
// the image of an interrupt that hits there. With TF set, a call does one iteration, and
// single_step asks the caller for #DB with DR6.BS. The caller sets RF in what it pushes for a
// fault, keeps DR7's data breakpoints (with one_iteration), and drops an STI or MOV SS shadow once
// rip has moved.
#ifndef VM_INSN_H
#define VM_INSN_H

#include "kernel/base/status.h"
#include "kernel/base/types.h"
#include "kernel/decode.h"

enum { INSN_REPEAT_BYTES = 4096 };

enum insn_vector {
	INSN_VECTOR_DIVIDE = 0, // #DE, no error code
	INSN_VECTOR_GENERAL = 13, // #GP
};

// What the owner does for an instruction. Each returns STATUS_OK, or STATUS_FAULT with vector,
// error code and cr2 remembered by the owner, or any other status, which insn_execute() passes on
// with nothing committed (STATUS_AGAIN: the instruction will be executed again).
//
// An access may cross a page: paging_translate_range() gives its parts, all translated before the
// first is touched. Values are zero-extended; `bytes` is 1, 2, 4 or 8.
struct insn_cpu_ops {
	// Segmentation: limit, type and canonical checks, #GP or #SS. Not called in 64-bit mode for
	// ES to DS where the offset is canonical in 48 bits and does not cross into what is not.
	enum status (*linear)(void *owner, unsigned segment, uint64_t offset, unsigned bytes,
		bool write, struct gva *to);
	// modify: a write of the same bytes follows. Check for writing (page fault error code W,
	// dirty flag) before the device is asked.
	enum status (*read)(void *owner, struct gva from, unsigned bytes, bool modify,
		uint64_t *value);
	enum status (*write)(void *owner, struct gva to, unsigned bytes, uint64_t value);
	// The write that follows a read with `modify` in a locked instruction. In RAM shared with
	// running vcpus: compare and exchange, STATUS_AGAIN if the bytes are no longer `old`. May
	// be NULL: write() then (MMIO, or vcpus that take turns).
	enum status (*replace)(void *owner, struct gva to, unsigned bytes, uint64_t old,
		uint64_t value);
	// Only checks that the bytes can be written: INS asks before it takes data from the port.
	enum status (*probe)(void *owner, struct gva to, unsigned bytes);
	// Remembers an exception; returns STATUS_FAULT.
	enum status (*raise)(void *owner, unsigned vector, uint32_t error_code);
	uint16_t (*selector)(void *owner, unsigned segment);
	// MOV or POP to a segment register, with all its checks.
	enum status (*load_segment)(void *owner, unsigned segment, uint16_t selector);
};

struct insn_cpu {
	uint64_t *gpr; // 16, numbered as enum insn_register
	uint64_t rip;
	uint64_t rflags;
	const struct insn_cpu_ops *ops;
	void *owner;
	uint8_t mode;        // enum decode_mode
	bool one_iteration;  // of REP, then STATUS_OK with RIP at the instruction
	uint8_t stack_bytes; // 2, 4 or 8: SS.B, or 8 in 64-bit mode
	// Results.
	bool single_step; // TF was set and the instruction, or one iteration, is done
	bool stack_shadow; // SS was loaded: no interrupt before the next instruction
};

// Executes `insn`, which was decoded at cpu->rip in cpu->mode. STATUS_OK: done, rip is behind it
// (or REP has not finished: rip stays). STATUS_UNSUPPORTED: not executed here.
static inline bool insn_is_plain_move(const struct insn *insn)
{
	return insn->op >= INSN_LOAD && insn->op <= INSN_STORE_IMMEDIATE;
}

must_check enum status insn_execute(struct insn_cpu *cpu, const struct insn *insn);

// The same for INS and OUTS, whose ports are the caller's (IOPL and bitmap are checked already).
struct insn_port_ops {
	enum status (*in)(void *owner, uint16_t port, unsigned bytes, uint64_t *value);
	enum status (*out)(void *owner, uint16_t port, unsigned bytes, uint64_t value);
};

must_check enum status insn_execute_port_string(struct insn_cpu *cpu, const struct insn *insn,
	const struct insn_port_ops *ports);

// Linear address of the memory operand, for exits that need no more (INVLPG).
must_check enum status insn_operand_address(struct insn_cpu *cpu, const struct insn *insn,
	unsigned bytes, bool write, struct gva *to);

#endif
