// SPDX-License-Identifier: BSD-2-Clause
// Instructions against the CPU that runs this test: the same bytes, registers and memory once
// natively and once through decode_insn() and insn_execute(). Registers, memory and every flag
// that the SDM defines must agree. Faults, limits and other modes are in insn_model_test.c.
#include "tests/unit/insn_native.h"

enum immediate { NONE, BYTE, FULL };

// One row: an opcode with a ModRM byte whose memory operand is [rdi].
struct form {
	uint32_t opcode; // first byte highest: 0x0fc1
	int digit;       // of the opcode in ModRM, or REG: any register
	enum immediate immediate;
	uint64_t flags; // defined ones
	bool byte_too;  // the opcode below is the same for bytes
	bool lock;      // may have LOCK
};

#define REG  -1
#define ALL  RFLAGS_ARITHMETIC
#define NOAF (ALL & ~RFLAGS_AF)

static size_t emit(uint8_t *to, const struct form *form, unsigned bytes, unsigned prefix,
	unsigned *immediate)
{
	unsigned reg = form->digit == REG ? (unsigned)random_u64() % 16 : (unsigned)form->digit;
	unsigned rex = (bytes == 8 ? 8 : 0) | (reg & 8 ? 4 : 0);
	uint32_t opcode = bytes == 1 ? form->opcode - 1 : form->opcode;
	size_t n = 0, immediate_bytes;
	uint64_t value = random_value();

	if (prefix != 0)
		to[n++] = (uint8_t)prefix;
	if (bytes == 2)
		to[n++] = 0x66;
	if (rex != 0 || random_u64() % 4 == 0)
		to[n++] = (uint8_t)(0x40 | rex);
	if (opcode >> 16)
		to[n++] = (uint8_t)(opcode >> 16);
	if (opcode >> 8)
		to[n++] = (uint8_t)(opcode >> 8);
	to[n++] = (uint8_t)opcode;
	to[n++] = (uint8_t)((reg & 7) << 3 | 7);
	immediate_bytes = form->immediate == NONE ? 0 : form->immediate == BYTE ? 1 :
		bytes == 8 ? 4 : bytes;
	memcpy(to + n, &value, immediate_bytes);
	*immediate = (unsigned)value & 0xff;
	return n + immediate_bytes;
}

static void check_forms(const struct form *forms, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		for (unsigned round = 0; round < 4000; round++) {
			unsigned bytes = 1u << random_u64() % 4, immediate;
			bool lock = forms[i].lock && random_u64() % 4 == 0;
			uint8_t code[SLOT_BYTES];
			struct state state;
			size_t length;

			if (bytes == 1 && !forms[i].byte_too)
				continue;
			random_state(&state);
			length = emit(code, &forms[i], bytes, lock ? 0xf0 : 0, &immediate);
			check(code, length, &state, forms[i].flags);
		}
	}
}

static void test_alu(void **state)
{
	struct form forms[8 * 5];
	size_t n = 0;

	(void)state;
	for (uint32_t op = 0; op < 8; op++) {
		uint64_t flags = op == 1 || op == 4 || op == 6 ? NOAF : ALL;
		bool lock = op != 7;

		forms[n++] = (struct form){op << 3 | 1, REG, NONE, flags, true, lock};
		forms[n++] = (struct form){op << 3 | 3, REG, NONE, flags, true, false};
		forms[n++] = (struct form){0x81, (int)op, FULL, flags, true, lock};
		forms[n++] = (struct form){0x83, (int)op, BYTE, flags, false, lock};
	}
	check_forms(forms, n);
}

static void test_others(void **state)
{
	static const struct form forms[] = {
		{0x85, REG, NONE, NOAF, true, false}, // TEST
		{0xf7, 0, FULL, NOAF, true, false},
		{0xf7, 2, NONE, ALL, true, true}, // NOT
		{0xf7, 3, NONE, ALL, true, true}, // NEG
		{0xff, 0, NONE, ALL, true, true}, // INC
		{0xff, 1, NONE, ALL, true, true}, // DEC
		{0x89, REG, NONE, ALL, true, false}, // MOV
		{0x8b, REG, NONE, ALL, true, false},
		{0xc7, 0, FULL, ALL, true, false},
		{0x87, REG, NONE, ALL, true, true}, // XCHG
		{0x0fb1, REG, NONE, ALL, true, true}, // CMPXCHG
		{0x0fc1, REG, NONE, ALL, true, true}, // XADD
		{0x0fb6, REG, NONE, ALL, false, false}, // MOVZX
		{0x0fb7, REG, NONE, ALL, false, false},
		{0x0fbe, REG, NONE, ALL, false, false}, // MOVSX
		{0x0fbf, REG, NONE, ALL, false, false},
		{0x63, REG, NONE, ALL, false, false}, // MOVSXD
		{0xf7, 4, NONE, RFLAGS_CF | RFLAGS_OF, true, false}, // MUL
		{0xf7, 5, NONE, RFLAGS_CF | RFLAGS_OF, true, false}, // IMUL
		{0x0faf, REG, NONE, RFLAGS_CF | RFLAGS_OF, false, false},
		{0x69, REG, FULL, RFLAGS_CF | RFLAGS_OF, false, false},
		{0x6b, REG, BYTE, RFLAGS_CF | RFLAGS_OF, false, false},
		{0xf7, 6, NONE, 0, true, false}, // DIV
		{0xf7, 7, NONE, 0, true, false}, // IDIV
		{0x0fba, 4, BYTE, RFLAGS_CF | RFLAGS_ZF, false, false}, // BT
		{0x0fba, 5, BYTE, RFLAGS_CF | RFLAGS_ZF, false, true},
		{0x0fba, 6, BYTE, RFLAGS_CF | RFLAGS_ZF, false, true},
		{0x0fba, 7, BYTE, RFLAGS_CF | RFLAGS_ZF, false, true},
		{0x0fbc, REG, NONE, RFLAGS_ZF, false, false}, // BSF
		{0x0fbd, REG, NONE, RFLAGS_ZF, false, false}, // BSR
		{0xff, 6, NONE, ALL, false, false}, // PUSH
		{0x8f, 0, NONE, ALL, false, false}, // POP
		{0x0f18, 1, NONE, ALL, false, false}, // PREFETCHT0
	};

	struct sigaction action = {.sa_handler = on_divide_error, .sa_flags = SA_ONSTACK};

	(void)state;
	assert_int_equal(sigaction(SIGFPE, &action, NULL), 0); // cmocka sets its own for each test
	check_forms(forms, ARRAY_COUNT(forms));
}

static void test_conditions(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 16; i++) {
		const struct form forms[] = {
			{0x0f40 + i, REG, NONE, ALL, false, false},
			{0x0f90 + i, 0, NONE, ALL, false, false}, // SETcc: always a byte
		};

		check_forms(forms, 2);
	}
}

static void test_pair(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 20000; i++) {
		uint8_t code[] = {0xf0, 0x48, 0x0f, 0xc7, 0x0f};
		bool wide = i & 1;
		struct state start;

		random_state(&start);
		if (wide)
			start.gpr[INSN_RDI] &= ~(uint64_t)15;
		memcpy(&start.gpr[INSN_RAX], (void *)(uintptr_t)start.gpr[INSN_RDI], 8);
		memcpy(&start.gpr[INSN_RDX], (uint8_t *)(uintptr_t)start.gpr[INSN_RDI] +
			(wide ? 8 : 4), 8);
		if (i & 2)
			start.gpr[random_u64() % 3] ^= BIT(random_u64() % 64);
		if (wide)
			check(code, 5, &start, ALL);
		else
			check(code + 2, 3, &start, ALL);
	}
}

static uint64_t shift_flags(unsigned digit, unsigned bits, unsigned count)
{
	uint64_t flags = digit < 4 ? ALL : NOAF; // rotates leave the others alone

	count &= bits == 64 ? 63 : 31;
	if (count == 0)
		return ALL;
	if (count != 1)
		flags &= ~RFLAGS_OF;
	if ((digit == 4 || digit == 5 || digit == 6) && count >= bits)
		flags &= ~RFLAGS_CF;
	return flags;
}

static void test_shifts(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 8 * 20000; i++) {
		unsigned digit = i % 8, bytes = 1u << random_u64() % 4, count;
		static const uint32_t opcodes[] = {0xc1, 0xd1, 0xd3};
		unsigned which = (unsigned)(random_u64() % 3);
		struct form form = {opcodes[which], (int)digit, which == 0 ? BYTE : NONE, 0, true,
			false};
		uint8_t code[SLOT_BYTES];
		struct state start;
		size_t length;

		random_state(&start);
		if (random_u64() % 2)
			start.gpr[INSN_RCX] = random_u64() % 34;
		length = emit(code, &form, bytes, 0, &count);
		if (which != 0)
			count = which == 1 ? 1 : (unsigned)start.gpr[INSN_RCX] & 0xff;
		check(code, length, &start, shift_flags(digit, 8 * bytes, count));
	}
}

static void test_double_shifts(void **state)
{
	static const uint32_t opcodes[] = {0x0fa4, 0x0fa5, 0x0fac, 0x0fad};

	(void)state;
	for (unsigned i = 0; i < 40000; i++) {
		unsigned bytes = 2u << random_u64() % 3, count;
		struct form form = {opcodes[i % 4], REG, i & 1 ? NONE : BYTE, 0, false, false};
		uint8_t code[SLOT_BYTES];
		struct state start;
		size_t length;

		random_state(&start);
		start.gpr[INSN_RCX] = random_u64() % 70;
		length = emit(code, &form, bytes, 0, &count);
		if (i & 1)
			count = (unsigned)start.gpr[INSN_RCX];
		count &= bytes == 8 ? 63 : 31;
		if (count <= 8 * bytes) // more: the result is undefined
			check(code, length, &start, count == 0 ? ALL :
				count == 1 ? NOAF : NOAF & ~RFLAGS_OF);
	}
}

// BT family with the number in a register: up to 512 bits to either side.
static void test_bit_strings(void **state)
{
	static const uint32_t opcodes[] = {0x0fa3, 0x0fab, 0x0fb3, 0x0fbb};

	(void)state;
	for (unsigned i = 0; i < 40000; i++) {
		unsigned bytes = 2u << random_u64() % 3, unused;
		struct form form = {opcodes[i % 4], INSN_RCX, NONE, 0, false, i % 4 != 0};
		uint8_t code[SLOT_BYTES];
		struct state start;
		size_t length;

		random_state(&start);
		start.gpr[INSN_RCX] = random_u64() % 1024 - 512;
		length = emit(code, &form, bytes, 0, &unused);
		check(code, length, &start, RFLAGS_CF | RFLAGS_ZF);
	}
}

static void test_extensions(void **state)
{
	static const struct { uint32_t prefix, opcode; uint64_t flags; } forms[] = {
		{0, 0x0f38f0, ALL}, {0, 0x0f38f1, ALL}, // MOVBE
		{0, 0x0fc3, ALL}, // MOVNTI
		{0xf3, 0x0fb8, ALL}, // POPCNT
		{0xf3, 0x0fbc, RFLAGS_CF | RFLAGS_ZF}, // TZCNT
		{0xf3, 0x0fbd, RFLAGS_CF | RFLAGS_ZF}, // LZCNT
	};

	(void)state;
	if (!__builtin_cpu_supports("avx2"))
		skip(); // of the same generation as MOVBE and the counts
	for (unsigned i = 0; i < 40000; i++) {
		unsigned which = i % ARRAY_COUNT(forms), bytes = 2u << random_u64() % 3, unused;
		struct form form = {forms[which].opcode, REG, NONE, 0, false, false};
		uint8_t code[SLOT_BYTES];
		struct state start;
		size_t length;

		if (form.opcode == 0x0fc3 && bytes == 2)
			continue;
		random_state(&start);
		length = emit(code, &form, bytes, forms[which].prefix, &unused);
		check(code, length, &start, forms[which].flags);
	}
}

// MOVS, CMPS, STOS, LODS, SCAS: all sizes, repeats, address sizes and directions.
static void test_strings(void **state)
{
	static const uint8_t opcodes[] = {0xa4, 0xa6, 0xaa, 0xac, 0xae};
	static const uint8_t repeats[] = {0, 0xf2, 0xf3};

	(void)state;
	for (unsigned i = 0; i < 60000; i++) {
		unsigned bytes = 1u << random_u64() % 4;
		uint8_t code[SLOT_BYTES], repeat = repeats[random_u64() % 3];
		struct state start;
		size_t n = 0;

		random_state(&start);
		if (random_u64() % 2) // long equal runs
			memset(area, (int)(start.gpr[INSN_RAX] & 0xff), AREA_BYTES / 2 + 40);
		start.gpr[INSN_RSI] = (uintptr_t)area + AREA_BYTES / 2 + random_u64() % 64;
		start.gpr[INSN_RCX] = random_u64() % 24;
		if (random_u64() % 2)
			start.rflags |= RFLAGS_DF;
		if (random_u64() % 2)
			code[n++] = 0x67;
		if (repeat != 0)
			code[n++] = repeat;
		if (bytes == 2)
			code[n++] = 0x66;
		if (bytes == 8)
			code[n++] = 0x48;
		code[n++] = (uint8_t)(opcodes[i % 5] | (bytes != 1));
		check(code, n, &start, ALL | RFLAGS_DF);
	}
}

// Ways to address: base, index, scale, displacement, 32-bit addresses.
static void test_addresses(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 20000; i++) {
		unsigned scale = (unsigned)random_u64() % 4, base = (unsigned)random_u64() % 16;
		unsigned index = (unsigned)random_u64() % 16;
		uint64_t middle = (uintptr_t)area + AREA_BYTES / 2;
		int8_t displacement = (int8_t)random_u64();
		struct state start;
		uint8_t code[] = {0x67, (uint8_t)(0x48 | (index & 8 ? 2 : 0) | (base & 8 ? 1 : 0)),
			0x01, 0x54, (uint8_t)(scale << 6 | (index & 7) << 3 | (base & 7)),
			(uint8_t)displacement};

		if (base == index || base == INSN_RSP || index == INSN_RSP || base == INSN_RDX ||
			index == INSN_RDX)
			continue;
		random_state(&start);
		start.gpr[index] = random_u64() % 64 - 32;
		start.gpr[base] = middle;
		if (i & 1) // with garbage above that a 32-bit address ignores
			start.gpr[base] |= random_u64() << 32;
		check(code + !(i & 1), sizeof(code) - !(i & 1), &start, ALL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_alu),
		cmocka_unit_test(test_others),
		cmocka_unit_test(test_conditions),
		cmocka_unit_test(test_pair),
		cmocka_unit_test(test_shifts),
		cmocka_unit_test(test_double_shifts),
		cmocka_unit_test(test_bit_strings),
		cmocka_unit_test(test_extensions),
		cmocka_unit_test(test_strings),
		cmocka_unit_test(test_addresses),
	};

	return cmocka_run_group_tests_name("insn", tests, setup, NULL);
}
