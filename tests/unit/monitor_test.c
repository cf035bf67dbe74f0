// SPDX-License-Identifier: BSD-2-Clause
// What the monitor reads and prints: words, formats, addresses, dumps, registers.
// clang-format off: cmocka.h wants these first.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
// clang-format on

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vm/monitor_format.h"

static void check_words(const char *line, int count, const char *const *expected)
{
	char copy[256], *words[MONITOR_ARGUMENTS_MAX];
	const char *problem = NULL;

	snprintf(copy, sizeof(copy), "%s", line);
	assert_int_equal(monitor_words_split(copy, words, &problem), count);
	for (int i = 0; i < count; i++)
		assert_string_equal(words[i], expected[i]);
	if (count < 0)
		assert_string_equal(problem, expected[0]);
}

static void test_words(void **state)
{
	(void)state;
	check_words("", 0, NULL);
	check_words("  \t ", 0, NULL);
	check_words(" a  bc\td ", 3, (const char *const[]){"a", "bc", "d"});
	check_words("\"a b\" c", 2, (const char *const[]){"a b", "c"});
	check_words("\"\" x", 2, (const char *const[]){"", "x"});
	check_words("\"q\\\"\\\\\\n\\r\"", 1, (const char *const[]){"q\"\\\n\r"});
	check_words("\"a\"b", 2, (const char *const[]){"a", "b"});
	check_words("x \"a", -1, (const char *const[]){"unterminated string"});
	check_words("\"a\\", -1, (const char *const[]){"unterminated string"});
	check_words("1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17", -1,
		(const char *const[]){"too many arguments"});
}

static void check_format(const char *text, uint32_t count, char letter, unsigned size)
{
	struct monitor_format format = MONITOR_FORMAT_DEFAULT;
	char bad;

	assert_true(monitor_format_parse(text, &format, &bad));
	assert_int_equal(format.count, count);
	assert_int_equal(format.letter, letter);
	assert_int_equal(format.size, size);
}

static void test_format(void **state)
{
	struct monitor_format format = MONITOR_FORMAT_DEFAULT;
	char bad;

	(void)state;
	check_format("", 1, 'x', 4);
	check_format("10", 10, 'x', 4);
	check_format("10xb", 10, 'x', 1);
	check_format("hd", 1, 'd', 2);
	check_format("3gu", 3, 'u', 8);
	check_format("0o", 0, 'o', 4);
	check_format("20i", 20, 'i', 4);
	check_format("5c", 5, 'c', 4);
	check_format("1000000", 1000000, 'x', 4);
	assert_false(monitor_format_parse("4q", &format, &bad));
	assert_int_equal(bad, 'q');
	assert_false(monitor_format_parse("x4", &format, &bad)); // the count comes first
	assert_int_equal(bad, '4');
	assert_false(monitor_format_parse("99999999999999999999", &format, &bad));
	assert_int_equal(bad, '\0');
	// Letter and size hold until others are named; the count does not.
	format = (struct monitor_format){.count = 7, .letter = 'd', .size = 2};
	assert_true(monitor_format_parse("", &format, &bad));
	assert_int_equal(format.count, 1);
	assert_int_equal(format.letter, 'd');
	assert_int_equal(format.size, 2);
}

static void check_dump(const char *text, unsigned count, const char *expected)
{
	static const uint8_t bytes[MONITOR_DUMP_BYTES] = {0x41, 0xfe, 0xff, 0xff, 0x27, 0x0a, 0,
		0x80, 1, 2, 3, 4, 5, 6, 7, 8};
	struct monitor_format format = MONITOR_FORMAT_DEFAULT;
	char line[MONITOR_DUMP_LINE_MAX], bad;

	assert_true(monitor_format_parse(text, &format, &bad));
	assert_true(count <= monitor_dump_elements(&format));
	monitor_dump_line(line, 0xffff800000001000, bytes, count, &format);
	assert_memory_equal(line, "ffff800000001000:", 17);
	assert_string_equal(line + 17, expected);
}

static void test_dump(void **state)
{
	(void)state;
	check_dump("x", 4, " 0xfffffe41 0x80000a27 0x04030201 0x08070605");
	check_dump("xb", 3, " 0x41 0xfe 0xff");
	check_dump("xh", 2, " 0xfe41 0xffff");
	check_dump("xg", 2, " 0x80000a27fffffe41 0x0807060504030201");
	check_dump("db", 3, "  65  -2  -1");
	check_dump("ub", 3, "  65 254 255");
	check_dump("dh", 2, "  -447    -1");
	check_dump("d", 2, "       -447 -2147481049");
	check_dump("dg", 1, " -9223360869939806655");
	check_dump("ug", 1, "  9223383203769744961");
	check_dump("ob", 2, " 0101 0376");
	check_dump("og", 1, " 01000000242377777777101");
	check_dump("cb", 8, " 'A' '\\xfe' '\\xff' '\\xff' '\\'' '\\n' '\\x00' '\\x80'");
}

static const struct vcpu_state registers = {
	.gpr = {[GPR_RAX] = 0x1000, [GPR_RSP] = 0xffff888000000000, [GPR_R15] = 15},
	.rip = 0x40, .cr3 = 0x2000,
	.segment = {[SEGMENT_GS] = {.base = 0x123}},
};

static void check_value(const char *text, uint64_t expected)
{
	char problem[MONITOR_PROBLEM_MAX];
	uint64_t value;

	assert_true(monitor_evaluate(text, &registers, &value, problem));
	assert_int_equal(value, expected);
}

static void check_problem(const char *text, const char *expected)
{
	char problem[MONITOR_PROBLEM_MAX];
	uint64_t value;

	assert_false(monitor_evaluate(text, &registers, &value, problem));
	assert_string_equal(problem, expected);
}

static void test_evaluate(void **state)
{
	char problem[MONITOR_PROBLEM_MAX];
	uint64_t value;

	(void)state;
	check_value("0", 0);
	check_value("4096", 4096);
	check_value("0x1Ff", 0x1ff);
	check_value("0777", 0777);
	check_value(" 1 + 2-3 + 0x10 ", 16);
	check_value("-1", UINT64_MAX);
	check_value("0xffffffffffffffff", UINT64_MAX);
	check_value("18446744073709551615", UINT64_MAX);
	check_value("$rax+(8-(2+1))", 0x1005);
	check_value("$rsp - 8", 0xffff887ffffffff8);
	check_value("$r15", 15);
	check_value("$rip+$pc", 0x80);
	check_value("$cr3", 0x2000);
	check_value("$gs_base", 0x123);
	check_problem("", "unexpected end of expression ''");
	check_problem("1 +", "unexpected end of expression ''");
	check_problem("foo", "invalid char in expression: 'f'");
	check_problem("1 2", "invalid char in expression: '2'");
	check_problem("12ab", "invalid char in number: 'a'");
	check_problem("08", "invalid char in number: '8'");
	check_problem("0x", "invalid char in number: 'x'");
	check_problem("$rxx", "unknown register 'rxx'");
	check_problem("$", "unknown register ''");
	check_problem("(1", "expected ')'");
	check_problem("((((((((((1", "too deep: '('");
	check_problem("----------1", "too deep: '-'");
	check_problem("0x10000000000000000", "number too large: '0x10000000000000000'");
	assert_false(monitor_evaluate("$rax", NULL, &value, problem));
}

// A Linux kernel in long mode.
static void test_sizes(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes; // 0: none
	} rows[] = {{"1", MIB}, {"512K", 512 * KIB}, {"3m", 3 * MIB}, {"2G", 2 * GIB},
		{"16777215T", 16777215ull << 40}, {"16777216T", 0}, {"", 0}, {"M", 0}, {"1MB", 0},
		{"-1", 0}, {"1x", 0}, {"99999999999999999999", 0}, {"0x10", 0}};

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(rows); i++) {
		uint64_t bytes = 0;

		assert_int_equal(monitor_size_parse(rows[i].text, &bytes), rows[i].bytes != 0);
		if (rows[i].bytes != 0)
			assert_int_equal(bytes, rows[i].bytes);
	}
}

static void test_registers(void **state)
{
	static char text[MONITOR_REGISTERS_MAX];
	struct vcpu_state cpu = {
		.gpr = {[GPR_RAX] = 1, [GPR_RBX] = 2, [GPR_R8] = 8, [GPR_R15] = 0xf},
		.rip = 0xffffffff81000000, .rflags = 0x246,
		.cr0 = 0x80050033, .cr2 = 0x7f00, .cr3 = 0x1000, .cr4 = 0x6b0,
		.efer = 0xd01, .dr6 = 0xffff0ff0, .dr7 = 0x400,
		.segment = {
			[SEGMENT_CS] = {.selector = 0x10, .attributes = 0xa9b, .limit = UINT32_MAX},
			[SEGMENT_SS] = {.selector = 0x18, .attributes = 0xc93, .limit = UINT32_MAX},
			[SEGMENT_TR] = {0x40, 0x8b, 0x206f, 0xfffffe0000003000},
		},
		.gdtr_base = 0xfffffe0000001000, .gdtr_limit = 0x7f, .idtr_limit = 0xfff,
	};

	(void)state;
	monitor_registers_print(text, &cpu, 0, true);
	assert_string_equal(text,
		"RAX=0000000000000001 RBX=0000000000000002 RCX=0000000000000000 "
		"RDX=0000000000000000\n"
		"RSI=0000000000000000 RDI=0000000000000000 RBP=0000000000000000 "
		"RSP=0000000000000000\n"
		"R8 =0000000000000008 R9 =0000000000000000 R10=0000000000000000 "
		"R11=0000000000000000\n"
		"R12=0000000000000000 R13=0000000000000000 R14=0000000000000000 "
		"R15=000000000000000f\n"
		"RIP=ffffffff81000000 RFL=00000246 [---Z-P-] CPL=0 II=0 A20=1 SMM=0 HLT=1\n"
		"ES =0000 0000000000000000 00000000 00000000\n"
		"CS =0010 0000000000000000 ffffffff 00a09b00 DPL=0 CS64 [-RA]\n"
		"SS =0018 0000000000000000 ffffffff 00c09300 DPL=0 DS   [-WA]\n"
		"DS =0000 0000000000000000 00000000 00000000\n"
		"FS =0000 0000000000000000 00000000 00000000\n"
		"GS =0000 0000000000000000 00000000 00000000\n"
		"LDT=0000 0000000000000000 00000000 00000000\n"
		"TR =0040 fffffe0000003000 0000206f 00008b00 DPL=0 TSS64-busy\n"
		"GDT=     fffffe0000001000 0000007f\n"
		"IDT=     0000000000000000 00000fff\n"
		"CR0=80050033 CR2=0000000000007f00 CR3=0000000000001000 CR4=000006b0\n"
		"DR0=0000000000000000 DR1=0000000000000000 DR2=0000000000000000 "
		"DR3=0000000000000000\n"
		"DR6=00000000ffff0ff0 DR7=0000000000000400\n"
		"EFER=0000000000000d01\n");
	// Every field at its widest, and every flag, still fits.
	memset(&cpu, 0xff, offsetof(struct vcpu_state, interrupt_shadow));
	monitor_registers_print(text, &cpu, 3, false);
	assert_true(strlen(text) < MONITOR_REGISTERS_MAX - 100);
	assert_non_null(strstr(text, "[DOSZAPC] CPL=3 II=0 A20=1 SMM=0 HLT=0\n"));
	assert_string_equal(text + strlen(text) - 22, "EFER=ffffffffffffffff\n");
	// Real mode: no descriptors.
	memset(&cpu, 0, sizeof(cpu));
	cpu.segment[SEGMENT_CS] = (struct vcpu_segment_state){0xf000, 0x9b, 0xffff, 0xffff0000};
	monitor_registers_print(text, &cpu, 0, false);
	assert_non_null(strstr(text, "CS =f000 00000000ffff0000 0000ffff 00009b00\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_format),
		cmocka_unit_test(test_dump),
		cmocka_unit_test(test_evaluate),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_registers),
	};

	return cmocka_run_group_tests_name("monitor", tests, NULL, NULL);
}
