// SPDX-License-Identifier: BSD-2-Clause
// Decoded forms against the SDM's opcode tables (volume 2), the cache, and the known lengths.
#include "kernel/decode.h"

#include <string.h>

#include "tests/unit/fake_env.h"

#define R8_(n)  {INSN_OPERAND_REGISTER, (n), 1}
#define R16_(n) {INSN_OPERAND_REGISTER, (n), 2}
#define R32_(n) {INSN_OPERAND_REGISTER, (n), 4}
#define R64_(n) {INSN_OPERAND_REGISTER, (n), 8}
#define HIGH(n) {INSN_OPERAND_HIGH, (n), 1}
#define MEM(b)  {INSN_OPERAND_MEMORY, 0, (b)}
#define IMM(b)  {INSN_OPERAND_IMMEDIATE, 0, (b)}
#define NONE    {INSN_OPERAND_NONE, 0, 0}
#define NO      INSN_NO_REGISTER

struct decode_case {
	enum decode_mode mode;
	const char *bytes;
	uint8_t length, op;
	struct insn_operand to, from;
	uint8_t segment, base, index, shift;
	int64_t displacement;
	uint64_t immediate;
};

static const struct decode_case cases[] = {
	// mov eax, [rdi+0x20]; mov [rbx], r9d; mov qword [rip+16], -1
	{64, "\x8b\x47\x20", 3, INSN_LOAD, R32_(0), MEM(4), INSN_DS, 7, NO, 0, 0x20, 0},
	{64, "\x44\x89\x0b", 3, INSN_STORE, MEM(4), R32_(9), INSN_DS, 3, NO, 0, 0, 0},
	{64, "\x48\xc7\x05\x10\0\0\0\xff\xff\xff\xff", 11, INSN_STORE_IMMEDIATE, MEM(8), IMM(4),
		INSN_DS, INSN_RIP, NO, 0, 16, UINT64_MAX},
	// mov ah, [r8+r9*4-1] has no encoding; mov ah, [rax+rcx*4-1]; mov spl, [rsp]
	{64, "\x8a\x64\x88\xff", 4, INSN_MOV, HIGH(0), MEM(1), INSN_DS, 0, 1, 2, -1, 0},
	{64, "\x40\x8a\x24\x24", 4, INSN_LOAD, R8_(4), MEM(1), INSN_SS, 4, NO, 0, 0, 0},
	{64, "\x45\x8a\x7d\x00", 4, INSN_LOAD, R8_(15), MEM(1), INSN_DS, 13, NO, 0, 0, 0},
	// absolute addresses, SDM 2B MOV, opcodes A0 to A3
	{64, "\x48\xa1\x88\x77\x66\x55\x44\x33\x22\x11", 10, INSN_LOAD, R64_(0), MEM(8), INSN_DS,
		NO, NO, 0, 0x1122334455667788, 0},
	{32, "\xa2\x00\x00\xe0\xfe", 5, INSN_STORE, MEM(1), R8_(0), INSN_DS, NO, NO, 0,
		(int32_t)0xfee00000, 0},
	{16, "\x26\xa3\x34\x12", 4, INSN_STORE, MEM(2), R16_(0), INSN_ES, NO, NO, 0, 0x1234, 0},
	// 16-bit addressing: mov ax, [bp+si+4], SS by default; 66 67 prefixes
	{16, "\x8b\x42\x04", 3, INSN_LOAD, R16_(0), MEM(2), INSN_SS, 5, 6, 0, 4, 0},
	{16, "\x66\x67\x8b\x04\x91", 5, INSN_LOAD, R32_(0), MEM(4), INSN_DS, 1, 2, 2, 0, 0},
	{64, "\x64\x8b\x04\x25\x10\0\0\0", 8, INSN_LOAD, R32_(0), MEM(4), INSN_FS, NO, NO, 0, 16,
		0},
	// segment registers
	{32, "\x8c\x18", 2, INSN_MOV, MEM(2), {INSN_OPERAND_SEGMENT, 3, 2}, INSN_DS, 0, NO, 0, 0,
		0},
	{64, "\x0f\xb6\x07", 3, INSN_MOVZX, R32_(0), MEM(1), INSN_DS, 7, NO, 0, 0, 0},
	{64, "\x48\x63\x07", 3, INSN_MOVSX, R64_(0), MEM(4), INSN_DS, 7, NO, 0, 0, 0},
	{64, "\x0f\x38\xf0\x07", 4, INSN_MOVBE, R32_(0), MEM(4), INSN_DS, 7, NO, 0, 0, 0},
	{64, "\x0f\xc3\x07", 3, INSN_STORE, MEM(4), R32_(0), INSN_DS, 7, NO, 0, 0, 0}, // MOVNTI
	{64, "\x83\x0f\xfe", 3, INSN_OR, MEM(4), IMM(1), INSN_DS, 7, NO, 0, 0, (uint64_t)-2},
	{64, "\xd1\x27", 2, INSN_SHL, MEM(4), IMM(1), INSN_DS, 7, NO, 0, 0, 1},
	{64, "\xd2\x3f", 2, INSN_SAR, MEM(1), R8_(1), INSN_DS, 7, NO, 0, 0, 0},
	{64, "\x48\x0f\xc7\x0f", 4, INSN_CMPXCHG_PAIR, MEM(16), NONE, INSN_DS, 7, NO, 0, 0, 0},
	{64, "\x0f\xc7\x0f", 3, INSN_CMPXCHG_PAIR, MEM(8), NONE, INSN_DS, 7, NO, 0, 0, 0},
	{64, "\xf7\x27", 2, INSN_MUL, MEM(4), NONE, INSN_DS, 7, NO, 0, 0, 0},
	{64, "\x6b\x07\x9c", 3, INSN_IMUL_SINGLE, R32_(0), MEM(4), INSN_DS, 7, NO, 0, 0,
		(uint64_t)-100},
	{64, "\xff\x37", 2, INSN_PUSH, MEM(8), NONE, INSN_DS, 7, NO, 0, 0, 0},
	{64, "\x6a\xff", 2, INSN_PUSH, IMM(8), NONE, INSN_DS, NO, NO, 0, 0, UINT64_MAX},
	{64, "\xff\x17", 2, INSN_CALL, MEM(8), NONE, INSN_DS, 7, NO, 0, 0, 0},
	{32, "\xff\x27", 2, INSN_JMP, MEM(4), NONE, INSN_DS, 7, NO, 0, 0, 0},
	{64, "\xf3\x48\xa5", 3, INSN_MOVS, {0, 0, 8}, NONE, INSN_DS, NO, NO, 0, 0, 0},
	{32, "\x26\xa4", 2, INSN_MOVS, {0, 0, 1}, NONE, INSN_ES, NO, NO, 0, 0, 0},
	{16, "\xab", 1, INSN_STOS, {0, 0, 2}, NONE, INSN_DS, NO, NO, 0, 0, 0},
	{64, "\x65\xac", 2, INSN_LODS, {0, 0, 1}, NONE, INSN_GS, NO, NO, 0, 0, 0},
	{64, "\xa7", 1, INSN_CMPS, {0, 0, 4}, NONE, INSN_DS, NO, NO, 0, 0, 0},
	{64, "\x6d", 1, INSN_INS, {0, 0, 4}, NONE, INSN_DS, NO, NO, 0, 0, 0},
	{64, "\x64\x6e", 2, INSN_OUTS, {0, 0, 1}, NONE, INSN_FS, NO, NO, 0, 0, 0},
	{64, "\x0f\x18\x07", 3, INSN_NOP, NONE, NONE, INSN_DS, NO, NO, 0, 0, 0},
	{64, "\x0f\xae\x3f", 3, INSN_NOP, NONE, NONE, INSN_DS, NO, NO, 0, 0, 0}, // CLFLUSH
	{64, "\x44\x0f\x20\xc3", 4, INSN_MOV_CONTROL, R64_(3), {INSN_OPERAND_CONTROL, 8, 8},
		INSN_DS, NO, NO, 0, 0, 0},
	{64, "\x0f\x23\xf8", 3, INSN_MOV_DEBUG, {INSN_OPERAND_DEBUG, 7, 8}, R64_(0), INSN_DS, NO,
		NO, 0, 0, 0},
	{64, "\x0f\x01\x38", 3, INSN_INVLPG, MEM(0), NONE, INSN_DS, 0, NO, 0, 0, 0},
};

static void check_operand(struct insn_operand got, struct insn_operand want, bool sized)
{
	assert_int_equal(got.kind, want.kind);
	assert_int_equal(got.number, want.number);
	if (sized)
		assert_int_equal(got.bytes, want.bytes);
}

static void test_forms(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		const struct decode_case *want = &cases[i];
		struct insn insn;
		uint8_t bytes[16] = {0};

		memcpy(bytes, want->bytes, want->length);
		assert_int_equal(decode_insn(want->mode, bytes, 16, &insn), STATUS_OK);
		if (insn.length != want->length || insn.op != want->op)
			fail_msg("case %zu: length %u, operation %u", i, insn.length, insn.op);
		check_operand(insn.to, want->to, want->op != INSN_INVLPG);
		check_operand(insn.from, want->from, want->from.kind != INSN_OPERAND_IMMEDIATE);
		assert_int_equal(insn.segment, want->segment);
		assert_int_equal(insn.base, want->base);
		assert_int_equal(insn.index, want->index);
		assert_int_equal(insn.shift, want->shift);
		assert_true(insn.displacement == want->displacement);
		assert_true(insn.immediate == want->immediate);
		// One byte fewer is always too few.
		for (unsigned n = 0; n < want->length; n++)
			assert_int_equal(decode_insn(want->mode, bytes, n, &insn),
				STATUS_TRUNCATED);
	}
}

static void decode(struct insn *insn, const char *bytes, enum status want)
{
	uint8_t copy[16] = {0};

	memcpy(copy, bytes, strlen(bytes));
	assert_int_equal(decode_insn(DECODE_MODE_64, copy, 16, insn), want);
}

static void test_prefixes(void **state)
{
	struct insn insn;

	(void)state;
	decode(&insn, "\xf0\x83\x0f\x01", STATUS_OK);
	assert_true(insn.lock);
	decode(&insn, "\xf3\xa4", STATUS_OK);
	assert_int_equal(insn.repeat, INSN_REPEAT_EQUAL);
	decode(&insn, "\xf2\xae", STATUS_OK);
	assert_int_equal(insn.repeat, INSN_REPEAT_NOT_EQUAL);
	decode(&insn, "\xf2\xa4", STATUS_OK); // REPNE MOVS: as REP
	assert_int_equal(insn.repeat, INSN_REPEAT_NOT_EQUAL);
	decode(&insn, "\x67\xaa", STATUS_OK);
	assert_int_equal(insn.address_bytes, 4);
	decode(&insn, "\x2e\x8b\x07", STATUS_OK); // 64-bit mode ignores CS:
	assert_true(insn.segment == INSN_CS || insn.segment == INSN_DS);
	decode(&insn, "\x0f\x4f\x07", STATUS_OK);
	assert_int_equal(insn.op, INSN_CMOV);
	assert_int_equal(insn.condition, 15);
	decode(&insn, "\x0f\x92\x07", STATUS_OK);
	assert_int_equal(insn.op, INSN_SET);
	assert_int_equal(insn.condition, 2);
	decode(&insn, "\x0f\xa4\x07\x05", STATUS_OK);
	assert_int_equal(insn.third, INSN_OPERAND_IMMEDIATE);
	decode(&insn, "\x0f\xad\x07", STATUS_OK);
	assert_int_equal(insn.third, INSN_OPERAND_REGISTER);
	assert_int_equal(insn.op, INSN_SHRD);
}

// All sixteen conditions, all eight of group 1 and of the shifts: opcode tables, SDM 2D A.3.
static void test_groups(void **state)
{
	static const uint8_t shifts[] = {INSN_ROL, INSN_ROR, INSN_RCL, INSN_RCR, INSN_SHL,
		INSN_SHR, INSN_SHL, INSN_SAR};
	static const uint8_t unary[] = {INSN_TEST, INSN_TEST, INSN_NOT, INSN_NEG, INSN_MUL,
		INSN_IMUL, INSN_DIV, INSN_IDIV};
	struct insn insn;

	(void)state;
	for (unsigned i = 0; i < 16; i++) {
		uint8_t cmov[] = {0x0f, (uint8_t)(0x40 + i), 7};
		uint8_t set[] = {0x0f, (uint8_t)(0x90 + i), 7};

		assert_int_equal(decode_insn(DECODE_MODE_64, cmov, 3, &insn), STATUS_OK);
		assert_true(insn.op == INSN_CMOV && insn.condition == i);
		assert_int_equal(decode_insn(DECODE_MODE_64, set, 3, &insn), STATUS_OK);
		assert_true(insn.op == INSN_SET && insn.condition == i);
	}
	for (unsigned i = 0; i < 8; i++) {
		uint8_t alu[] = {0x81, (uint8_t)(7 | i << 3), 1, 2, 3, 0x84};
		uint8_t shift[] = {0xc1, (uint8_t)(7 | i << 3), 3};
		uint8_t one[] = {0xf7, (uint8_t)(7 | i << 3), 1, 2, 3, 4};

		assert_int_equal(decode_insn(DECODE_MODE_64, alu, 6, &insn), STATUS_OK);
		assert_int_equal(insn.op, INSN_ADD + i);
		assert_true(insn.immediate == 0xffffffff84030201);
		assert_int_equal(decode_insn(DECODE_MODE_64, shift, 3, &insn), STATUS_OK);
		assert_int_equal(insn.op, shifts[i]);
		assert_int_equal(decode_insn(DECODE_MODE_64, one, 6, &insn), STATUS_OK);
		assert_int_equal(insn.op, unary[i]);
	}
}

static void test_refused(void **state)
{
	uint8_t bytes[16] = {0};
	struct insn insn;

	(void)state;
	decode(&insn, "\x0f\x0b", STATUS_UNSUPPORTED); // UD2 decodes
	decode(&insn, "\x06", STATUS_INVALID);         // PUSH ES in 64-bit mode
	decode(&insn, "\xf0\x8b\x07", STATUS_INVALID); // LOCK MOV
	decode(&insn, "\xf0\x01\xc0", STATUS_INVALID); // LOCK without memory
	decode(&insn, "\xf3\x0f\x6f\x07", STATUS_UNSUPPORTED); // MOVDQU
	assert_int_equal(insn.length, 4);
	decode(&insn, "\xf2\x0f\x10\x07", STATUS_UNSUPPORTED); // MOVSD of SSE2
	assert_int_equal(insn.length, 4);
	decode(&insn, "\x66\x0f\xd6\x07", STATUS_UNSUPPORTED); // MOVQ
	decode(&insn, "\xff\x1f", STATUS_UNSUPPORTED); // CALL far
	assert_int_equal(insn.length, 2);
	decode(&insn, "\xd9\x07", STATUS_UNSUPPORTED); // FLD
	decode(&insn, "\x62\xf1\x7c\x48\x28\x07", STATUS_UNSUPPORTED); // EVEX VMOVAPS
	memset(bytes, 0x66, 15);
	bytes[15] = 0x90;
	assert_int_equal(decode_insn(DECODE_MODE_64, bytes, 16, &insn), STATUS_RANGE);
}

static struct decode_cache cache;

static const struct insn *look_up(const uint8_t *bytes, size_t available)
{
	return decode_cached(&cache, DECODE_MODE_64, 0x1000, bytes, available);
}

static void test_cache(void **state)
{
	uint8_t code[32] = {0x8b, 0x47, 0x20, 0x90};
	const struct insn *first, *again;

	(void)state;
	memset(&cache, 0, sizeof(cache));
	first = look_up(code, 32);
	assert_non_null(first);
	assert_int_equal(first->displacement, 0x20);
	((struct insn *)(uintptr_t)first)->displacement = 0x77; // a mark that decoding would erase
	code[3] = 0xcc; // behind the instruction
	again = look_up(code, 32);
	assert_ptr_equal(again, first);
	assert_int_equal(again->displacement, 0x77);
	// Few bytes still hit.
	assert_int_equal(look_up(code, 3)->displacement, 0x77);
	// Too few do not.
	assert_null(look_up(code, 2));
	assert_int_equal(cache.status, STATUS_TRUNCATED);
	// Changed code is seen: every byte counts.
	assert_non_null(look_up(code, 32));
	code[2] = 0x24;
	assert_int_equal(look_up(code, 32)->displacement, 0x24);
	// So is another mode.
	code[0] = 0x48; // dec eax
	assert_null(decode_cached(&cache, DECODE_MODE_32, 0x1000, (const uint8_t *)"\x0f\x0b", 2));
	assert_int_equal(cache.status, STATUS_UNSUPPORTED);
	assert_int_equal(cache.failed_length, 2);
}

// Bytes nine to fifteen are compared too.
static void test_cache_long(void **state)
{
	uint8_t code[16] = {0x48, 0xc7, 0x84, 0x24, 1, 0, 0, 0, 5, 0, 0, 0};

	(void)state;
	memset(&cache, 0, sizeof(cache));
	assert_int_equal(decode_cached(&cache, DECODE_MODE_64, 9, code, 16)->immediate, 5);
	code[8] = 6;
	assert_int_equal(decode_cached(&cache, DECODE_MODE_64, 9, code, 16)->immediate, 6);
	code[11] = 1;
	assert_int_equal(decode_cached(&cache, DECODE_MODE_64, 9, code, 16)->immediate, 0x01000006);
}

static unsigned known(const char *bytes, size_t n, enum decode_known which)
{
	uint8_t exact[16]; // the sanitizer sees reads behind n only in an exact allocation

	memset(exact, 0xcc, sizeof(exact));
	memcpy(exact, bytes, n);
	assert_int_equal(decode_length_known(exact, n, which),
		decode_length_known(exact, 16, which) <= n ?
			decode_length_known(exact, 16, which) : 0);
	return decode_length_known(exact, n, which);
}

static void test_known(void **state)
{
	(void)state;
	assert_int_equal(known("\x0f\xa2", 2, DECODE_KNOWN_CPUID), 2);
	assert_int_equal(known("\x48\x0f\xa2", 3, DECODE_KNOWN_CPUID), 3);
	assert_int_equal(known("\x66\x66\x2e\x0f\xa2", 5, DECODE_KNOWN_CPUID), 5);
	assert_int_equal(known("\x0f\x31", 2, DECODE_KNOWN_CPUID), 0);
	assert_int_equal(known("\x0f", 1, DECODE_KNOWN_CPUID), 0);
	assert_int_equal(known("", 0, DECODE_KNOWN_CPUID), 0);
	assert_int_equal(known("\xf4", 1, DECODE_KNOWN_HLT), 1);
	assert_int_equal(known("\x0f\x32", 2, DECODE_KNOWN_RDMSR), 2);
	assert_int_equal(known("\x0f\x30", 2, DECODE_KNOWN_WRMSR), 2);
	assert_int_equal(known("\x0f\x31", 2, DECODE_KNOWN_RDTSC), 2);
	assert_int_equal(known("\x0f\x01\xf9", 3, DECODE_KNOWN_RDTSC), 0);
	assert_int_equal(known("\x0f\x01\xf9", 3, DECODE_KNOWN_RDTSCP), 3);
	assert_int_equal(known("\x0f\x33", 2, DECODE_KNOWN_RDPMC), 2);
	assert_int_equal(known("\x44\x0f\x20\xc0", 4, DECODE_KNOWN_READ_CONTROL), 4);
	assert_int_equal(known("\x0f\x22\xd8", 3, DECODE_KNOWN_WRITE_CONTROL), 3);
	assert_int_equal(known("\xf0\x0f\x22\xc0", 4, DECODE_KNOWN_WRITE_CONTROL), 4);
	assert_int_equal(known("\x0f\x22", 2, DECODE_KNOWN_WRITE_CONTROL), 0);
	assert_int_equal(known("\x0f\x21\xf8", 3, DECODE_KNOWN_READ_DEBUG), 3);
	assert_int_equal(known("\x0f\x23\xf8", 3, DECODE_KNOWN_WRITE_DEBUG), 3);
	assert_int_equal(known("\x0f\x06", 2, DECODE_KNOWN_CLTS), 2);
	assert_int_equal(known("\x0f\x01\xf3", 3, DECODE_KNOWN_LMSW), 3);
	assert_int_equal(known("\x0f\x01\x30", 3, DECODE_KNOWN_LMSW), 0); // of memory
	assert_int_equal(known("\x0f\x09", 2, DECODE_KNOWN_WBINVD), 2);
	assert_int_equal(known("\x0f\x08", 2, DECODE_KNOWN_INVD), 2);
	assert_int_equal(known("\x0f\x01\xd1", 3, DECODE_KNOWN_XSETBV), 3);
	assert_int_equal(known("\x0f\x01\xd9", 3, DECODE_KNOWN_VMMCALL), 3);
	assert_int_equal(known("\x0f\x01\xc1", 3, DECODE_KNOWN_VMCALL), 3);
	assert_int_equal(known("\xf3\x90", 2, DECODE_KNOWN_PAUSE), 2);
	assert_int_equal(known("\x66\xf3\x90", 3, DECODE_KNOWN_PAUSE), 3);
	assert_int_equal(known("\x0f\x01\xc8", 3, DECODE_KNOWN_MONITOR), 3);
	assert_int_equal(known("\x67\x0f\x01\xc8", 4, DECODE_KNOWN_MONITOR), 4);
	assert_int_equal(known("\x0f\x01\xc9", 3, DECODE_KNOWN_MWAIT), 3);
}

static void test_known_io(void **state)
{
	static const uint8_t one[] = {0x6c, 0x6d, 0x6e, 0x6f, 0xec, 0xed, 0xee, 0xef};
	uint8_t bytes[16];

	(void)state;
	for (unsigned i = 0; i < 8; i++) {
		bytes[0] = one[i];
		assert_int_equal(decode_length_known(bytes, 1, DECODE_KNOWN_IO), 1);
	}
	assert_int_equal(known("\xe4\x60", 2, DECODE_KNOWN_IO), 2);
	assert_int_equal(known("\x66\xe7\x60", 3, DECODE_KNOWN_IO), 3);
	assert_int_equal(known("\xf3\x66\x6d", 3, DECODE_KNOWN_IO), 3);
	assert_int_equal(known("\xe8\x60", 2, DECODE_KNOWN_IO), 0);
	// Never longer than an instruction can be.
	memset(bytes, 0x66, sizeof(bytes));
	bytes[15] = 0xec;
	assert_int_equal(decode_length_known(bytes, 16, DECODE_KNOWN_IO), 0);
	bytes[14] = 0xec;
	assert_int_equal(decode_length_known(bytes, 16, DECODE_KNOWN_IO), 15);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_prefixes),
		cmocka_unit_test(test_groups),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_cache),
		cmocka_unit_test(test_cache_long),
		cmocka_unit_test(test_known),
		cmocka_unit_test(test_known_io),
	};

	return cmocka_run_group_tests_name("decode", tests, NULL, NULL);
}
