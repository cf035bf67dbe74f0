// SPDX-License-Identifier: BSD-2-Clause
// Instruction decoding: from bytes to a small struct that vm/insn.c executes.
//
// Three ways, from cheap to dear: decode_length_known() matches the few instructions whose exits
// lack a length, decode_cached() finds an instruction that was decoded before, decode_insn() asks
// Zydis. Instructions on vector, mask, x87 and MMX registers are measured, not decoded:
// STATUS_UNSUPPORTED, with insn->length set where Zydis knows it.
#ifndef KERNEL_DECODE_H
#define KERNEL_DECODE_H

#include "kernel/base/status.h"
#include "kernel/base/types.h"

#define DECODE_LENGTH_MAX 15 // SDM 2A 2.3.11: a longer instruction raises #GP

// Width of the code segment: what CS.L and CS.D say. Real and virtual-8086 mode are 16.
enum decode_mode {
	DECODE_MODE_16 = 16,
	DECODE_MODE_32 = 32,
	DECODE_MODE_64 = 64,
};

enum insn_op {
	INSN_UNSUPPORTED,
	// Plain MOV between memory and a register that is not AH..BH, or of an immediate to memory.
	INSN_LOAD,
	INSN_STORE,
	INSN_STORE_IMMEDIATE,
	// Every other form of MOV; also MOVNTI.
	INSN_MOV,
	INSN_MOVZX,
	INSN_MOVSX, // MOVSXD too
	INSN_MOVBE,
	INSN_XCHG,
	INSN_CMPXCHG,
	INSN_CMPXCHG_PAIR, // CMPXCHG8B, CMPXCHG16B: to.bytes is 8 or 16
	INSN_XADD,
	// In the order of the opcode's bits 5:3.
	INSN_ADD,
	INSN_OR,
	INSN_ADC,
	INSN_SBB,
	INSN_AND,
	INSN_SUB,
	INSN_XOR,
	INSN_CMP,
	INSN_TEST,
	INSN_NOT,
	INSN_NEG,
	INSN_INC,
	INSN_DEC,
	INSN_MUL,
	INSN_IMUL,         // one operand: a product of double width
	INSN_IMUL_SINGLE,  // two or three operands: to = from * (third or to)
	INSN_DIV,
	INSN_IDIV,
	INSN_BT,
	INSN_BTS,
	INSN_BTR,
	INSN_BTC,
	INSN_BSF,
	INSN_BSR,
	INSN_TZCNT,
	INSN_LZCNT,
	INSN_POPCNT,
	INSN_ROL,
	INSN_ROR,
	INSN_RCL,
	INSN_RCR,
	INSN_SHL,
	INSN_SHR,
	INSN_SAR,
	INSN_SHLD,
	INSN_SHRD,
	INSN_CMOV,
	INSN_SET,
	INSN_PUSH,
	INSN_POP,
	INSN_CALL, // near indirect
	INSN_JMP,  // near indirect
	INSN_MOVS,
	INSN_STOS,
	INSN_LODS,
	INSN_CMPS,
	INSN_SCAS,
	INSN_INS,
	INSN_OUTS,
	INSN_NOP, // with a memory operand; PREFETCH, CLFLUSH and CLWB, CLDEMOTE
	// Decoded for the exits that need their operands; vm/insn.c does not execute these.
	INSN_MOV_CONTROL, // to or from is INSN_OPERAND_CONTROL
	INSN_MOV_DEBUG,   // to or from is INSN_OPERAND_DEBUG
	INSN_LMSW,
	INSN_SMSW,
	INSN_CLTS,
	INSN_INVLPG,
	INSN_IN,
	INSN_OUT,
	INSN_OP_COUNT
};

enum insn_operand_kind {
	INSN_OPERAND_NONE,
	INSN_OPERAND_REGISTER,
	INSN_OPERAND_HIGH, // AH, CH, DH, BH: `number` is 0 to 3
	INSN_OPERAND_MEMORY,
	INSN_OPERAND_IMMEDIATE,
	INSN_OPERAND_SEGMENT,
	INSN_OPERAND_CONTROL,
	INSN_OPERAND_DEBUG,
};

// In the encoding of instructions and of MOV to a segment register.
enum insn_segment { INSN_ES, INSN_CS, INSN_SS, INSN_DS, INSN_FS, INSN_GS };

// In the encoding of instructions.
enum insn_register {
	INSN_RAX, INSN_RCX, INSN_RDX, INSN_RBX, INSN_RSP, INSN_RBP, INSN_RSI, INSN_RDI,
	INSN_R8, INSN_R9, INSN_R10, INSN_R11, INSN_R12, INSN_R13, INSN_R14, INSN_R15,
	INSN_RIP,
	INSN_NO_REGISTER = 0xff,
};

enum insn_repeat { INSN_REPEAT_NONE, INSN_REPEAT_EQUAL /* F3 */, INSN_REPEAT_NOT_EQUAL /* F2 */ };

struct insn_operand {
	uint8_t kind;   // enum insn_operand_kind
	uint8_t number; // of the register
	uint8_t bytes;  // 1, 2, 4, 8 or 16
};

struct insn {
	uint8_t op;     // enum insn_op
	uint8_t length; // 1 to 15
	uint8_t mode;   // enum decode_mode; 0: an empty slot of the cache
	// The one memory operand; for string instructions segment is that of the source.
	uint8_t address_bytes; // 2, 4 or 8
	uint8_t segment;       // enum insn_segment
	uint8_t base, index;   // enum insn_register
	uint8_t shift;         // index counts 1 << shift bytes
	// Destination first, as in the SDM. An instruction with one operand has it in `to`,
	// whatever it does with it; CMP and TEST have `to` and `from`. String instructions have
	// to.bytes alone.
	struct insn_operand to, from;
	uint8_t third;     // enum insn_operand_kind: IMMEDIATE, REGISTER (CL) or NONE
	uint8_t repeat;    // enum insn_repeat
	uint8_t condition; // of CMOVcc and SETcc: the opcode's low four bits
	uint8_t lock;      // has a LOCK prefix (XCHG with memory locks without one)
	uint8_t reserved[6];
	int64_t displacement; // sign-extended; the sum is cut to address_bytes
	uint64_t immediate;   // sign-extended where the SDM says so
};

_Static_assert(sizeof(struct insn) == 40, "a slot of the cache is one line of 64 bytes");

// STATUS_OK; STATUS_TRUNCATED: `available` bytes are not enough; STATUS_INVALID: #UD;
// STATUS_RANGE: longer than 15 bytes, #GP(0); STATUS_UNSUPPORTED: vm/insn.c does not execute it:
// insn->length says its length, or 0 where that is not known either.
must_check enum status decode_insn(enum decode_mode mode, const uint8_t *bytes, size_t available,
	struct insn *insn);

enum { DECODE_CACHE_SLOTS = 64 };

struct decode_slot {
	struct insn insn;
	uint64_t bytes[2]; // of the instruction; zero behind its length
	uint64_t unused;
};

// One per vcpu (v). Zeroed memory is an empty cache. What it answers depends on nothing but mode
// and bytes, so it never needs a flush.
struct decode_cache {
	_Alignas(64) struct decode_slot slots[DECODE_CACHE_SLOTS];
	enum status status; // why decode_cached() returned NULL
	uint8_t failed_length; // with STATUS_UNSUPPORTED: the length, or 0
};

extern const uint64_t decode_masks[DECODE_LENGTH_MAX + 1][2];

const struct insn *decode_cached_slow(struct decode_cache *cache, struct decode_slot *slot,
	enum decode_mode mode, const uint8_t *bytes, size_t available);

// The instruction at `rip`, whose bytes begin at `bytes`; rip only chooses the slot. The result is
// valid until the next call. NULL: see cache->status. Give 16 bytes or more where there are so
// many: with fewer, a hit costs a little more.
static always_inline const struct insn *decode_cached(struct decode_cache *cache,
	enum decode_mode mode, uint64_t rip, const uint8_t *bytes, size_t available)
{
	struct decode_slot *slot = &cache->slots[(rip ^ rip >> 6) % DECODE_CACHE_SLOTS];
	const uint64_t *mask = decode_masks[slot->insn.length];
	uint64_t low, high;

	if (likely(available >= 16 && slot->insn.mode == mode)) {
		__builtin_memcpy(&low, bytes, 8);
		__builtin_memcpy(&high, bytes + 8, 8);
		low = (low & mask[0]) ^ slot->bytes[0];
		high = (high & mask[1]) ^ slot->bytes[1];
		if (likely((low | high) == 0))
			return &slot->insn;
	}
	return decode_cached_slow(cache, slot, mode, bytes, available);
}

// Instructions that exit by themselves, named by the exit: their lengths without decoding.
enum decode_known {
	DECODE_KNOWN_CPUID,
	DECODE_KNOWN_HLT,
	DECODE_KNOWN_RDMSR,
	DECODE_KNOWN_WRMSR,
	DECODE_KNOWN_RDTSC,
	DECODE_KNOWN_RDTSCP,
	DECODE_KNOWN_RDPMC,
	DECODE_KNOWN_READ_CONTROL,
	DECODE_KNOWN_WRITE_CONTROL,
	DECODE_KNOWN_READ_DEBUG,
	DECODE_KNOWN_WRITE_DEBUG,
	DECODE_KNOWN_CLTS,
	DECODE_KNOWN_LMSW, // of a register
	DECODE_KNOWN_WBINVD,
	DECODE_KNOWN_INVD,
	DECODE_KNOWN_XSETBV,
	DECODE_KNOWN_VMMCALL,
	DECODE_KNOWN_VMCALL,
	DECODE_KNOWN_PAUSE,
	DECODE_KNOWN_MONITOR,
	DECODE_KNOWN_MWAIT,
	DECODE_KNOWN_IO, // IN, OUT, INS, OUTS
	DECODE_KNOWN_COUNT
};

// One opcode: the first `length` bytes under the mask, little-endian.
struct decode_pattern {
	uint32_t value, mask;
	uint32_t length;
};

extern const struct decode_pattern decode_patterns[DECODE_KNOWN_COUNT];

unsigned decode_length_slow(const uint8_t *bytes, size_t available, enum decode_known which);

// Length of the instruction, legal prefixes included, or 0: these bytes are not that instruction
// (an emulator reports RDTSCP as RDTSC; another CPU may have changed the code), or there are too
// few of them. Decode then. The mode does not matter: the exit vouches that prefixes were such.
static always_inline unsigned decode_length_known(const uint8_t *bytes, size_t available,
	enum decode_known which)
{
	const struct decode_pattern *pattern = &decode_patterns[which];
	uint32_t head;

	if (likely(available >= 4)) {
		__builtin_memcpy(&head, bytes, 4);
		if (likely((head & pattern->mask) == pattern->value))
			return pattern->length;
	}
	return decode_length_slow(bytes, available, which);
}

#endif
