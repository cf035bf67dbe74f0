// SPDX-License-Identifier: BSD-2-Clause
// Decoding by Zydis, and the cache in front of it. See decode.h.
#include "kernel/decode.h"

#include <string.h>

#include <Zydis/Decoder.h>

// What Zydis calls an instruction, and what we call it. Entries that are missing are 0,
// INSN_UNSUPPORTED. MOV, IMUL, CMOVcc, SETcc and the string instructions whose names SSE shares
// need a second look: see refine().
static const uint8_t ops[ZYDIS_MNEMONIC_MAX_VALUE + 1] = {
	[ZYDIS_MNEMONIC_MOV] = INSN_MOV,
	[ZYDIS_MNEMONIC_MOVNTI] = INSN_MOV,
	[ZYDIS_MNEMONIC_MOVZX] = INSN_MOVZX,
	[ZYDIS_MNEMONIC_MOVSX] = INSN_MOVSX,
	[ZYDIS_MNEMONIC_MOVSXD] = INSN_MOVSX,
	[ZYDIS_MNEMONIC_MOVBE] = INSN_MOVBE,
	[ZYDIS_MNEMONIC_XCHG] = INSN_XCHG,
	[ZYDIS_MNEMONIC_CMPXCHG] = INSN_CMPXCHG,
	[ZYDIS_MNEMONIC_CMPXCHG8B] = INSN_CMPXCHG_PAIR,
	[ZYDIS_MNEMONIC_CMPXCHG16B] = INSN_CMPXCHG_PAIR,
	[ZYDIS_MNEMONIC_XADD] = INSN_XADD,
	[ZYDIS_MNEMONIC_ADD] = INSN_ADD,
	[ZYDIS_MNEMONIC_OR] = INSN_OR,
	[ZYDIS_MNEMONIC_ADC] = INSN_ADC,
	[ZYDIS_MNEMONIC_SBB] = INSN_SBB,
	[ZYDIS_MNEMONIC_AND] = INSN_AND,
	[ZYDIS_MNEMONIC_SUB] = INSN_SUB,
	[ZYDIS_MNEMONIC_XOR] = INSN_XOR,
	[ZYDIS_MNEMONIC_CMP] = INSN_CMP,
	[ZYDIS_MNEMONIC_TEST] = INSN_TEST,
	[ZYDIS_MNEMONIC_NOT] = INSN_NOT,
	[ZYDIS_MNEMONIC_NEG] = INSN_NEG,
	[ZYDIS_MNEMONIC_INC] = INSN_INC,
	[ZYDIS_MNEMONIC_DEC] = INSN_DEC,
	[ZYDIS_MNEMONIC_MUL] = INSN_MUL,
	[ZYDIS_MNEMONIC_IMUL] = INSN_IMUL,
	[ZYDIS_MNEMONIC_DIV] = INSN_DIV,
	[ZYDIS_MNEMONIC_IDIV] = INSN_IDIV,
	[ZYDIS_MNEMONIC_BT] = INSN_BT,
	[ZYDIS_MNEMONIC_BTS] = INSN_BTS,
	[ZYDIS_MNEMONIC_BTR] = INSN_BTR,
	[ZYDIS_MNEMONIC_BTC] = INSN_BTC,
	[ZYDIS_MNEMONIC_BSF] = INSN_BSF,
	[ZYDIS_MNEMONIC_BSR] = INSN_BSR,
	[ZYDIS_MNEMONIC_TZCNT] = INSN_TZCNT,
	[ZYDIS_MNEMONIC_LZCNT] = INSN_LZCNT,
	[ZYDIS_MNEMONIC_POPCNT] = INSN_POPCNT,
	[ZYDIS_MNEMONIC_ROL] = INSN_ROL,
	[ZYDIS_MNEMONIC_ROR] = INSN_ROR,
	[ZYDIS_MNEMONIC_RCL] = INSN_RCL,
	[ZYDIS_MNEMONIC_RCR] = INSN_RCR,
	[ZYDIS_MNEMONIC_SHL] = INSN_SHL,
	[ZYDIS_MNEMONIC_SHR] = INSN_SHR,
	[ZYDIS_MNEMONIC_SAR] = INSN_SAR,
	[ZYDIS_MNEMONIC_SHLD] = INSN_SHLD,
	[ZYDIS_MNEMONIC_SHRD] = INSN_SHRD,
	[ZYDIS_MNEMONIC_CMOVB ... ZYDIS_MNEMONIC_CMOVZ] = INSN_CMOV,
	[ZYDIS_MNEMONIC_SETB ... ZYDIS_MNEMONIC_SETLE] = INSN_SET,
	[ZYDIS_MNEMONIC_SETNB ... ZYDIS_MNEMONIC_SETS] = INSN_SET,
	[ZYDIS_MNEMONIC_SETZ] = INSN_SET,
	[ZYDIS_MNEMONIC_PUSH] = INSN_PUSH,
	[ZYDIS_MNEMONIC_POP] = INSN_POP,
	[ZYDIS_MNEMONIC_CALL] = INSN_CALL,
	[ZYDIS_MNEMONIC_JMP] = INSN_JMP,
	[ZYDIS_MNEMONIC_MOVSB] = INSN_MOVS,
	[ZYDIS_MNEMONIC_MOVSW] = INSN_MOVS,
	[ZYDIS_MNEMONIC_MOVSD] = INSN_MOVS,
	[ZYDIS_MNEMONIC_MOVSQ] = INSN_MOVS,
	[ZYDIS_MNEMONIC_STOSB] = INSN_STOS,
	[ZYDIS_MNEMONIC_STOSW] = INSN_STOS,
	[ZYDIS_MNEMONIC_STOSD] = INSN_STOS,
	[ZYDIS_MNEMONIC_STOSQ] = INSN_STOS,
	[ZYDIS_MNEMONIC_LODSB] = INSN_LODS,
	[ZYDIS_MNEMONIC_LODSW] = INSN_LODS,
	[ZYDIS_MNEMONIC_LODSD] = INSN_LODS,
	[ZYDIS_MNEMONIC_LODSQ] = INSN_LODS,
	[ZYDIS_MNEMONIC_CMPSB] = INSN_CMPS,
	[ZYDIS_MNEMONIC_CMPSW] = INSN_CMPS,
	[ZYDIS_MNEMONIC_CMPSD] = INSN_CMPS,
	[ZYDIS_MNEMONIC_CMPSQ] = INSN_CMPS,
	[ZYDIS_MNEMONIC_SCASB] = INSN_SCAS,
	[ZYDIS_MNEMONIC_SCASW] = INSN_SCAS,
	[ZYDIS_MNEMONIC_SCASD] = INSN_SCAS,
	[ZYDIS_MNEMONIC_SCASQ] = INSN_SCAS,
	[ZYDIS_MNEMONIC_INSB] = INSN_INS,
	[ZYDIS_MNEMONIC_INSW] = INSN_INS,
	[ZYDIS_MNEMONIC_INSD] = INSN_INS,
	[ZYDIS_MNEMONIC_OUTSB] = INSN_OUTS,
	[ZYDIS_MNEMONIC_OUTSW] = INSN_OUTS,
	[ZYDIS_MNEMONIC_OUTSD] = INSN_OUTS,
	[ZYDIS_MNEMONIC_NOP] = INSN_NOP,
	[ZYDIS_MNEMONIC_PREFETCH ... ZYDIS_MNEMONIC_PREFETCHWT1] = INSN_NOP,
	[ZYDIS_MNEMONIC_CLFLUSH] = INSN_NOP,
	[ZYDIS_MNEMONIC_CLFLUSHOPT] = INSN_NOP,
	[ZYDIS_MNEMONIC_CLWB] = INSN_NOP,
	[ZYDIS_MNEMONIC_CLDEMOTE] = INSN_NOP,
	[ZYDIS_MNEMONIC_LMSW] = INSN_LMSW,
	[ZYDIS_MNEMONIC_SMSW] = INSN_SMSW,
	[ZYDIS_MNEMONIC_CLTS] = INSN_CLTS,
	[ZYDIS_MNEMONIC_INVLPG] = INSN_INVLPG,
	[ZYDIS_MNEMONIC_IN] = INSN_IN,
	[ZYDIS_MNEMONIC_OUT] = INSN_OUT,
};

#define LOW_MASK(n)  ((n) >= 8 ? UINT64_MAX : ((uint64_t)1 << 8 * ((n) % 8)) - 1)
#define HIGH_MASK(n) ((n) <= 8 ? 0 : ((uint64_t)1 << 8 * ((n) % 8)) - 1)
#define MASKS(n)     {LOW_MASK(n), HIGH_MASK(n)}

const uint64_t decode_masks[DECODE_LENGTH_MAX + 1][2] = {
	MASKS(0), MASKS(1), MASKS(2), MASKS(3), MASKS(4), MASKS(5), MASKS(6), MASKS(7),
	MASKS(8), MASKS(9), MASKS(10), MASKS(11), MASKS(12), MASKS(13), MASKS(14), MASKS(15),
};

const struct decode_pattern decode_patterns[DECODE_KNOWN_COUNT] = {
	[DECODE_KNOWN_CPUID] = {0xa20f, 0xffff, 2},
	[DECODE_KNOWN_HLT] = {0xf4, 0xff, 1},
	[DECODE_KNOWN_RDMSR] = {0x320f, 0xffff, 2},
	[DECODE_KNOWN_WRMSR] = {0x300f, 0xffff, 2},
	[DECODE_KNOWN_RDTSC] = {0x310f, 0xffff, 2},
	[DECODE_KNOWN_RDTSCP] = {0xf9010f, 0xffffff, 3},
	[DECODE_KNOWN_RDPMC] = {0x330f, 0xffff, 2},
	// The ModRM byte of these four always names registers, whatever its mod field says.
	[DECODE_KNOWN_READ_CONTROL] = {0x200f, 0xffff, 3},
	[DECODE_KNOWN_WRITE_CONTROL] = {0x220f, 0xffff, 3},
	[DECODE_KNOWN_READ_DEBUG] = {0x210f, 0xffff, 3},
	[DECODE_KNOWN_WRITE_DEBUG] = {0x230f, 0xffff, 3},
	[DECODE_KNOWN_CLTS] = {0x060f, 0xffff, 2},
	[DECODE_KNOWN_LMSW] = {0xf0010f, 0xf8ffff, 3},
	[DECODE_KNOWN_WBINVD] = {0x090f, 0xffff, 2},
	[DECODE_KNOWN_INVD] = {0x080f, 0xffff, 2},
	[DECODE_KNOWN_XSETBV] = {0xd1010f, 0xffffff, 3},
	[DECODE_KNOWN_VMMCALL] = {0xd9010f, 0xffffff, 3},
	[DECODE_KNOWN_VMCALL] = {0xc1010f, 0xffffff, 3},
	[DECODE_KNOWN_PAUSE] = {0x90f3, 0xffff, 2},
	[DECODE_KNOWN_MONITOR] = {0xc8010f, 0xffffff, 3},
	[DECODE_KNOWN_MWAIT] = {0xc9010f, 0xffffff, 3},
	// EC to EF: port in DX. The others are in io_length().
	[DECODE_KNOWN_IO] = {0xec, 0xfc, 1},
};

static unsigned io_length(uint8_t opcode)
{
	if ((opcode & 0xfc) == 0xe4)
		return 2; // port in the instruction
	return (opcode & 0xfc) == 0xec || (opcode & 0xfc) == 0x6c ? 1 : 0;
}

static bool is_prefix(uint8_t byte)
{
	switch (byte) {
	case 0x26: case 0x2e: case 0x36: case 0x3e: case 0x64: case 0x65: case 0x66: case 0x67:
	case 0xf2: case 0xf3:
	case 0xf0: // LOCK MOV CR0 is AMD's other encoding of MOV CR8 (APM 3, MOV CRn)
		return true;
	default:
		return byte >> 4 == 4; // REX
	}
}

unsigned decode_length_slow(const uint8_t *bytes, size_t available, enum decode_known which)
{
	const struct decode_pattern *pattern = &decode_patterns[which];
	size_t limit = available < DECODE_LENGTH_MAX ? available : DECODE_LENGTH_MAX;

	for (unsigned at = 0; at < limit; at++) {
		unsigned length = pattern->length;
		uint32_t head = 0;

		for (unsigned i = 0; i < 4 && at + i < limit; i++)
			head |= (uint32_t)bytes[at + i] << 8 * i;
		if (which == DECODE_KNOWN_IO)
			length = io_length(bytes[at]);
		else if ((head & pattern->mask) != pattern->value)
			length = 0;
		if (length != 0)
			return at + length <= limit ? at + length : 0;
		if (!is_prefix(bytes[at]))
			return 0;
	}
	return 0;
}

static enum status status_of(ZyanStatus zydis, const uint8_t *bytes, enum decode_mode mode)
{
	if (zydis == ZYDIS_STATUS_NO_MORE_DATA)
		return STATUS_TRUNCATED;
	if (zydis == ZYDIS_STATUS_INSTRUCTION_TOO_LONG)
		return STATUS_RANGE;
	// EVEX, whose tables are not built in.
	if (bytes[0] == 0x62 && mode == DECODE_MODE_64)
		return STATUS_UNSUPPORTED;
	return STATUS_INVALID;
}

// False: a register that vm/insn.c does not know.
static bool set_register(struct insn_operand *operand, ZydisRegister which)
{
	unsigned number = (unsigned)which;

	operand->kind = INSN_OPERAND_REGISTER;
	if (which >= ZYDIS_REGISTER_AL && which <= ZYDIS_REGISTER_R15B) {
		number -= ZYDIS_REGISTER_AL; // AL..BL, AH..BH, SPL..DIL, R8B..
		if (number >= 4 && number < 8)
			operand->kind = INSN_OPERAND_HIGH;
		number -= number >= 4 ? 4 : 0;
	} else if (which >= ZYDIS_REGISTER_AX && which <= ZYDIS_REGISTER_R15W) {
		number -= ZYDIS_REGISTER_AX;
	} else if (which >= ZYDIS_REGISTER_EAX && which <= ZYDIS_REGISTER_R15D) {
		number -= ZYDIS_REGISTER_EAX;
	} else if (which >= ZYDIS_REGISTER_RAX && which <= ZYDIS_REGISTER_R15) {
		number -= ZYDIS_REGISTER_RAX;
	} else if (which >= ZYDIS_REGISTER_ES && which <= ZYDIS_REGISTER_GS) {
		operand->kind = INSN_OPERAND_SEGMENT;
		number -= ZYDIS_REGISTER_ES;
	} else if (which >= ZYDIS_REGISTER_CR0 && which <= ZYDIS_REGISTER_CR15) {
		operand->kind = INSN_OPERAND_CONTROL;
		number -= ZYDIS_REGISTER_CR0;
	} else if (which >= ZYDIS_REGISTER_DR0 && which <= ZYDIS_REGISTER_DR15) {
		operand->kind = INSN_OPERAND_DEBUG;
		number -= ZYDIS_REGISTER_DR0;
	} else {
		return false;
	}
	operand->number = (uint8_t)number;
	return true;
}

static bool set_address_register(uint8_t *to, ZydisRegister which)
{
	struct insn_operand operand = {0};

	*to = INSN_NO_REGISTER;
	if (which == ZYDIS_REGISTER_NONE)
		return true;
	if (which == ZYDIS_REGISTER_RIP || which == ZYDIS_REGISTER_EIP) {
		*to = INSN_RIP;
		return true;
	}
	if (!set_register(&operand, which) || operand.kind != INSN_OPERAND_REGISTER)
		return false; // an index in a vector register
	*to = operand.number;
	return true;
}

static bool set_memory(struct insn *insn, const ZydisDecodedOperandMem *memory)
{
	if (!set_address_register(&insn->base, memory->base) ||
		!set_address_register(&insn->index, memory->index))
		return false;
	insn->segment = (uint8_t)(memory->segment - ZYDIS_REGISTER_ES);
	insn->shift = memory->scale == 0 ? 0 : (uint8_t)__builtin_ctz(memory->scale);
	insn->displacement = memory->disp.value;
	return insn->segment <= INSN_GS;
}

static bool set_operand(struct insn *insn, struct insn_operand *operand,
	const ZydisDecodedOperand *from)
{
	operand->bytes = (uint8_t)(from->size / 8);
	switch (from->type) {
	case ZYDIS_OPERAND_TYPE_REGISTER:
		return set_register(operand, from->reg.value);
	case ZYDIS_OPERAND_TYPE_MEMORY:
		operand->kind = INSN_OPERAND_MEMORY;
		return set_memory(insn, &from->mem);
	case ZYDIS_OPERAND_TYPE_IMMEDIATE:
		operand->kind = INSN_OPERAND_IMMEDIATE;
		insn->immediate = from->imm.value.u;
		return true;
	default:
		return false; // a far pointer
	}
}

static bool is_string(unsigned op)
{
	return op >= INSN_MOVS && op <= INSN_OUTS;
}

static void set_prefixes(struct insn *insn, const ZydisDecodedInstruction *from)
{
	insn->lock = (from->attributes & ZYDIS_ATTRIB_HAS_LOCK) != 0;
	// REPNE is REP to the string instructions that do not compare, so no attribute tells.
	for (unsigned i = 0; is_string(insn->op) && i < from->raw.prefix_count; i++) {
		if (from->raw.prefixes[i].value == 0xf2)
			insn->repeat = INSN_REPEAT_NOT_EQUAL;
		else if (from->raw.prefixes[i].value == 0xf3)
			insn->repeat = INSN_REPEAT_EQUAL;
	}
}

static bool set_string(struct insn *insn, const ZydisDecodedInstruction *from,
	const ZydisDecodedOperand *operands)
{
	if (from->opcode_map != ZYDIS_OPCODE_MAP_DEFAULT)
		return false; // MOVSD and CMPSD of SSE2
	insn->segment = INSN_DS;
	insn->base = insn->index = INSN_NO_REGISTER;
	for (unsigned i = 0; i < from->operand_count; i++) {
		uint8_t base;

		if (operands[i].type != ZYDIS_OPERAND_TYPE_MEMORY)
			continue;
		insn->to.bytes = (uint8_t)(operands[i].size / 8);
		if (set_address_register(&base, operands[i].mem.base) && base == INSN_RSI)
			insn->segment = (uint8_t)(operands[i].mem.segment - ZYDIS_REGISTER_ES);
	}
	return true;
}

static bool either_is(const struct insn *insn, enum insn_operand_kind kind)
{
	return insn->to.kind == kind || insn->from.kind == kind;
}

// Picks the special and fast forms once the operands are known. False: not supported.
static bool refine(struct insn *insn, const ZydisDecodedInstruction *from)
{
	switch (insn->op) {
	case INSN_MOV:
		if (either_is(insn, INSN_OPERAND_CONTROL))
			insn->op = INSN_MOV_CONTROL;
		else if (either_is(insn, INSN_OPERAND_DEBUG))
			insn->op = INSN_MOV_DEBUG;
		else if (insn->to.kind == INSN_OPERAND_REGISTER &&
			insn->from.kind == INSN_OPERAND_MEMORY)
			insn->op = INSN_LOAD;
		else if (insn->to.kind == INSN_OPERAND_MEMORY &&
			insn->from.kind == INSN_OPERAND_REGISTER)
			insn->op = INSN_STORE;
		else if (insn->to.kind == INSN_OPERAND_MEMORY &&
			insn->from.kind == INSN_OPERAND_IMMEDIATE)
			insn->op = INSN_STORE_IMMEDIATE;
		return true;
	case INSN_IMUL:
		if (from->operand_count_visible > 1)
			insn->op = INSN_IMUL_SINGLE;
		return true;
	case INSN_CMOV:
	case INSN_SET:
		insn->condition = from->opcode & 15;
		return true;
	case INSN_CALL:
	case INSN_JMP:
		return from->meta.branch_type == ZYDIS_BRANCH_TYPE_NEAR && from->opcode == 0xff;
	case INSN_POP:
		if (insn->to.kind == INSN_OPERAND_SEGMENT)
			insn->to.bytes = from->operand_width / 8;
		return true;
	case INSN_PUSH:
		insn->to.bytes = from->operand_width / 8; // of immediates and segment registers too
		return true;
	default:
		return true;
	}
}

static bool set_operands(struct insn *insn, const ZydisDecodedInstruction *from,
	const ZydisDecodedOperand *operands)
{
	struct insn_operand third = {0};
	unsigned count = from->operand_count_visible;

	insn->base = insn->index = INSN_NO_REGISTER;
	insn->segment = INSN_DS;
	if (insn->op == INSN_NOP || count > 3)
		return insn->op == INSN_NOP;
	if (count > 0 && !set_operand(insn, &insn->to, &operands[0]))
		return false;
	if (count > 1 && !set_operand(insn, &insn->from, &operands[1]))
		return false;
	if (count > 2 && !set_operand(insn, &third, &operands[2]))
		return false;
	insn->third = third.kind;
	return true;
}

enum status decode_insn(enum decode_mode mode, const uint8_t *bytes, size_t available,
	struct insn *insn)
{
	ZydisDecoder decoder;
	ZydisDecodedInstruction from;
	ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
	ZydisMachineMode machine = mode == DECODE_MODE_64 ? ZYDIS_MACHINE_MODE_LONG_64 :
		mode == DECODE_MODE_32 ? ZYDIS_MACHINE_MODE_LEGACY_32 :
		ZYDIS_MACHINE_MODE_LEGACY_16;
	ZydisStackWidth stack = mode == DECODE_MODE_64 ? ZYDIS_STACK_WIDTH_64 :
		mode == DECODE_MODE_32 ? ZYDIS_STACK_WIDTH_32 : ZYDIS_STACK_WIDTH_16;
	ZyanStatus zydis;
	bool known;

	memset(insn, 0, sizeof(*insn));
	if (available == 0)
		return STATUS_TRUNCATED;
	zydis = ZydisDecoderInit(&decoder, machine, stack);
	if (ZYAN_SUCCESS(zydis))
		zydis = ZydisDecoderDecodeFull(&decoder, bytes, available, &from, operands);
	if (!ZYAN_SUCCESS(zydis))
		return status_of(zydis, bytes, mode);
	insn->length = from.length;
	insn->mode = (uint8_t)mode;
	insn->address_bytes = from.address_width / 8;
	insn->op = ops[from.mnemonic];
	set_prefixes(insn, &from);
	known = insn->op != INSN_UNSUPPORTED && (is_string(insn->op) ?
		set_string(insn, &from, operands) : set_operands(insn, &from, operands));
	if (known && refine(insn, &from))
		return STATUS_OK;
	insn->op = INSN_UNSUPPORTED;
	return STATUS_UNSUPPORTED;
}

const struct insn *decode_cached_slow(struct decode_cache *cache, struct decode_slot *slot,
	enum decode_mode mode, const uint8_t *bytes, size_t available)
{
	uint8_t length = slot->insn.length;
	uint8_t copy[16]; // another vcpu may change the guest's code meanwhile: read it once
	enum status status;

	if (available > sizeof(copy))
		available = sizeof(copy);
	memcpy(copy, bytes, available);
	if (slot->insn.mode == mode && available >= length &&
		memcmp(copy, slot->bytes, length) == 0)
		return &slot->insn;
	memset(slot, 0, sizeof(*slot));
	status = decode_insn(mode, copy, available, &slot->insn);
	if (status != STATUS_OK) {
		cache->status = status;
		cache->failed_length = status == STATUS_UNSUPPORTED ? slot->insn.length : 0;
		memset(slot, 0, sizeof(*slot));
		return NULL;
	}
	memcpy(slot->bytes, copy, slot->insn.length);
	return &slot->insn;
}
