// SPDX-License-Identifier: BSD-2-Clause
// From exit codes to struct vmexit. APM vol. 2, appendix C and 15.7 to 15.13.
#include "tests/unit/svm_test.h"

#include <signal.h>
#include <string.h>

#define SVM  (&svm_test_vcpu)
#define VCPU (&svm_test_vcpu.vcpu)
#define VMCB (&svm_test_vmcb)

static struct vmexit decode(uint64_t code)
{
	struct vmexit exit;

	memset(&exit, 0xa5, sizeof(exit));
	VMCB->exit_code = code;
	assert_false(svm_exit_decode(VCPU, &exit));
	return exit;
}

static void plain_exits_tell_kind_and_length(void **state)
{
	static const struct {
		uint64_t code;
		enum vmexit_kind kind;
	} exits[] = {
		{0x60, VMEXIT_INTERRUPT}, {0x61, VMEXIT_INTERRUPT}, {0x62, VMEXIT_INTERRUPT},
		{0x63, VMEXIT_INTERRUPT}, {0x64, VMEXIT_INTERRUPT_WINDOW}, {0x6f, VMEXIT_RDPMC},
		{0x72, VMEXIT_CPUID}, {0x76, VMEXIT_CACHE}, {0x77, VMEXIT_PAUSE},
		{0x78, VMEXIT_HLT},
		{0x7a, VMEXIT_UNDEFINED}, {0x7e, VMEXIT_INTERRUPT}, {0x7f, VMEXIT_SHUTDOWN},
		{0x80, VMEXIT_UNDEFINED}, {0x81, VMEXIT_UNDEFINED}, {0x82, VMEXIT_UNDEFINED},
		{0x83, VMEXIT_UNDEFINED}, {0x84, VMEXIT_UNDEFINED}, {0x85, VMEXIT_UNDEFINED},
		{0x86, VMEXIT_UNDEFINED}, {0x6e, VMEXIT_RDTSC}, {0x87, VMEXIT_RDTSC},
		{0x89, VMEXIT_CACHE}, {0x8a, VMEXIT_MONITOR},
		{0x8b, VMEXIT_MONITOR}, {0x8d, VMEXIT_XSETBV}, {0x8e, VMEXIT_UNDEFINED},
		{0xa2, VMEXIT_UNDEFINED},
	};

	(void)state;
	VMCB->next_rip = VMCB->rip + 3;
	for (unsigned i = 0; i < ARRAY_COUNT(exits); i++) {
		struct vmexit exit = decode(exits[i].code);

		assert_int_equal(exit.kind, exits[i].kind);
		assert_int_equal(exit.length, 3);
	}
}

// Appendix C has many more: nobody asked for them, and going on would never end.
static void exits_nobody_asked_for_are_invalid(void **state)
{
	static const uint64_t codes[] = {0x00, 0x1f, 0x20, 0x3f, 0x65, 0x66, 0x6a, 0x70, 0x73,
		0x75, 0x79, 0x7d, 0x88, 0x8c, 0x8f, 0x90, 0xa3, 0x3ff, 0x401, 0x403,
		SVM_EXIT_INVALID, UINT64_MAX, UINT64_MAX - 1, 0x10000007bull};

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(codes); i++)
		assert_int_equal(decode(codes[i]).kind, VMEXIT_INVALID);
}

static void lengths_are_believed_where_they_can_be(void **state)
{
	static const struct {
		uint64_t ahead;
		uint8_t length;
	} cases[] = {{1, 1}, {15, 15}, {16, 0}, {0, 0}, {UINT64_MAX, 0}, {1ull << 32, 0}};

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(cases); i++) {
		VMCB->next_rip = VMCB->rip + cases[i].ahead;
		svm_features.next_rip = true;
		assert_int_equal(decode(SVM_EXIT_CPUID).length, cases[i].length);
		assert_int_equal(decode(SVM_EXIT_MSR).length, cases[i].length);
		svm_features.next_rip = false;
		assert_int_equal(decode(SVM_EXIT_CPUID).length, 0);
		assert_int_equal(decode(SVM_EXIT_MSR).length, 0);
	}
}

// 15.10.2: TYPE 0, STR 2, REP 3, SZ8-SZ32 4-6, A16-A64 7-9, SEG 10-12, PORT 16-31.
static void ports_are_taken_apart(void **state)
{
	(void)state;
	svm_features.next_rip = false; // EXITINFO2 has it
	for (unsigned size = 0; size < 3; size++)
		for (unsigned flags = 0; flags < 4; flags++) {
			struct vmexit exit;

			VMCB->exit_info1 = 0xfedcull << 16 | BIT(9) | BIT(4 + size) | (flags & 1) |
				(flags & 2) << 1;
			VMCB->exit_info2 = VMCB->rip + 2;
			exit = decode(SVM_EXIT_IOIO);
			assert_int_equal(exit.kind, VMEXIT_IO);
			assert_int_equal(exit.length, 2);
			assert_int_equal(exit.io.port, 0xfedc);
			assert_int_equal(exit.io.size, 1 << size);
			assert_int_equal(exit.io.in, flags & 1);
			assert_int_equal(exit.io.string, flags >> 1 & 1);
		}
}

// 15.11: EXITINFO1 is 1 for WRMSR.
static void msr_accesses_tell_the_direction(void **state)
{
	(void)state;
	VMCB->exit_info1 = 0;
	assert_int_equal(decode(SVM_EXIT_MSR).kind, VMEXIT_MSR_READ);
	VMCB->exit_info1 = 1;
	assert_int_equal(decode(SVM_EXIT_MSR).kind, VMEXIT_MSR_WRITE);
}

// 15.25.6: EXITINFO1 is a page fault's error code with bits 32 and 33, EXITINFO2 the address.
static void nested_faults_tell_the_access(void **state)
{
	static const struct {
		uint64_t info;
		bool write, fetch;
	} cases[] = {{BIT(32) | 4, false, false}, {BIT(32) | 6, true, false},
		{BIT(33) | 7, true, false}, {BIT(32) | 0x14, false, true}, {9, false, false}};

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(cases); i++) {
		struct vmexit exit;

		VMCB->exit_info1 = cases[i].info;
		VMCB->exit_info2 = 0xfee000b0;
		exit = decode(SVM_EXIT_NPF);
		assert_int_equal(exit.kind, VMEXIT_MEMORY);
		assert_int_equal(exit.length, 0);
		assert_true(exit.memory.gpa.v == 0xfee000b0);
		assert_int_equal(exit.memory.write, cases[i].write);
		assert_int_equal(exit.memory.fetch, cases[i].fetch);
	}
}

// SDM vol. 3, table 6-1: 8, 10 to 14 and 17 push an error code.
static void exceptions_come_with_their_codes(void **state)
{
	(void)state;
	VMCB->cr2 = 0x1111;
	for (unsigned vector = 0; vector < 32; vector++) {
		bool coded = vector == 8 || (vector >= 10 && vector <= 14) || vector == 17;
		struct vmexit exit;

		if (vector == VECTOR_MC)
			continue;
		svm_test_clean();
		VMCB->exit_info1 = 0x123456789ull;
		VMCB->exit_info2 = 0xffffabcd00000000;
		exit = decode(0x40 + vector);
		assert_int_equal(exit.kind, VMEXIT_EXCEPTION);
		assert_int_equal(exit.length, 0);
		assert_int_equal(exit.exception.vector, vector);
		assert_int_equal(exit.exception.has_error_code, coded);
		if (coded)
			assert_int_equal(exit.exception.error_code, 0x23456789);
		assert_true(VMCB->cr2 == (vector < 14 ? 0x1111 : 0xffffabcd00000000));
		assert_int_equal(svm_test_dirtied(), vector == 14 ? SVM_CLEAN_CR2 : 0);
	}
}

static sigjmp_buf machine_check;

static void machine_check_taken(int signal)
{
	(void)signal;
	siglongjmp(machine_check, 1);
}

// INT 18 is the host's handler's. A process may not execute it: the signal is the proof.
static void a_machine_check_goes_to_the_host(void **state)
{
	struct sigaction take = {.sa_handler = machine_check_taken}, before;
	volatile bool taken = true;

	(void)state;
	sigaction(SIGSEGV, &take, &before);
	if (sigsetjmp(machine_check, 1) == 0) {
		(void)decode(0x40 + VECTOR_MC);
		taken = false;
	}
	sigaction(SIGSEGV, &before, NULL);
	assert_true(taken);
}

static void control_register_writes_are_told_apart(void **state)
{
	(void)state;
	VMCB->next_rip = VMCB->rip + 4;
	assert_int_equal(decode(0x10).kind, VMEXIT_CR_WRITE);
	assert_int_equal(decode(0x14).kind, VMEXIT_CR_WRITE);
	assert_int_equal(decode(0x14).length, 0); // CLTS, LMSW and MOV look alike
	VMCB->exit_info1 = BIT(63) | 11; // 15.33.1: decode assists
	assert_int_equal(decode(0x18).kind, VMEXIT_CR8_WRITE);
	assert_int_equal(decode(0x18).cr8_gpr, GPR_R11);
	assert_int_equal(decode(0x18).length, 4);
	VMCB->exit_info1 = 0;
	assert_int_equal(decode(0x18).cr8_gpr, 0xff);
}

static void every_kind_has_a_name(void **state)
{
	(void)state;
	for (unsigned i = 0; i < VMEXIT_KIND_COUNT; i++)
		assert_non_null(vmexit_kind_name((enum vmexit_kind)i));
	assert_string_equal(vmexit_kind_name(VMEXIT_CPUID), "cpuid");
	assert_string_equal(vmexit_kind_name(VMEXIT_KIND_COUNT), "unknown");
}

static const char *violated;
static uint64_t violated_value;

static void violation_note(const char *what, const char *field, uint64_t value)
{
	(void)what;
	violated = field;
	violated_value = value;
}

// What creation would have set.
static void vmcb_complete(void)
{
	VMCB->asid = 1;
	VMCB->intercept4 = SVM_INTERCEPT_VMRUN;
	VMCB->efer |= EFER_SVME;
}

// APM vol. 2, 15.5.1. One thing wrong at a time.
static void failed_entries_are_explained(void **state)
{
	static const struct {
		uint16_t offset; // in the control block
		uint64_t set, clear;
		const char *field;
	} cases[] = {
#define CASE(member, set, clear, field) {offsetof(struct svm_vmcb, member), set, clear, field}
		CASE(efer, 0, EFER_SVME, "EFER"),
		CASE(cr0, CR0_NW, CR0_CD, "CR0"),
		CASE(cr0, BIT(32), 0, "CR0"),
		CASE(cr0, 0, CR0_PE, "CR0"),
		CASE(cr3, BIT(52), 0, "CR3"),
		CASE(cr4, BIT(32), 0, "CR4"),
		CASE(cr4, 0, CR4_PAE, "CR4"),
		CASE(dr6, BIT(63), 0, "DR6"),
		CASE(dr7, BIT(32), 0, "DR7"),
		CASE(event_injection, SVM_EVENT_VALID | SVM_EVENT_TYPE_EXCEPTION | 2, 0,
			"EVENTINJ"),
		CASE(event_injection, SVM_EVENT_VALID | SVM_EVENT_TYPE_EXCEPTION | 32, 0,
			"EVENTINJ"),
		CASE(event_injection, SVM_EVENT_VALID | 1 << SVM_EVENT_TYPE_SHIFT, 0, "EVENTINJ"),
		CASE(event_injection, SVM_EVENT_VALID | 5 << SVM_EVENT_TYPE_SHIFT, 0, "EVENTINJ"),
#undef CASE
	};

	(void)state;
	vmcb_complete();
	assert_int_equal(svm_guest_check(VMCB, violation_note), 0);
	for (unsigned i = 0; i < ARRAY_COUNT(cases); i++) {
		uint64_t *field = (void *)((uint8_t *)VMCB + cases[i].offset), before = *field;

		*field = (before | cases[i].set) & ~cases[i].clear;
		assert_int_equal(svm_guest_check(VMCB, violation_note), 1);
		assert_string_equal(violated, cases[i].field);
		assert_true(violated_value == *field);
		*field = before;
	}
	VMCB->asid = 0;
	VMCB->intercept4 &= ~(uint32_t)SVM_INTERCEPT_VMRUN;
	VMCB->cs.attributes |= SEGMENT_ATTRIBUTE_L | SEGMENT_ATTRIBUTE_DB;
	assert_int_equal(svm_guest_check(VMCB, NULL), 3);
	vcpu_print_entry_failure(VCPU);
}

// Interrupt, NMI, exception with an error code, INT n: 15.20.
static void events_are_legal(void **state)
{
	static const uint32_t events[] = {0x80000031, 0x80000202, 0x80000b11, 0x80000480, 0x301};

	(void)state;
	vmcb_complete();
	for (unsigned i = 0; i < ARRAY_COUNT(events); i++) {
		VMCB->event_injection = events[i];
		assert_int_equal(svm_guest_check(VMCB, NULL), 0);
	}
	vcpu_spoil(VCPU);
	assert_int_equal(svm_guest_check(VMCB, violation_note), 1);
	assert_string_equal(violated, "DR7");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, svm_test_setup)
	const struct CMUnitTest tests[] = {
		TEST(plain_exits_tell_kind_and_length),
		TEST(exits_nobody_asked_for_are_invalid),
		TEST(lengths_are_believed_where_they_can_be),
		TEST(ports_are_taken_apart),
		TEST(msr_accesses_tell_the_direction),
		TEST(nested_faults_tell_the_access),
		TEST(exceptions_come_with_their_codes),
		TEST(a_machine_check_goes_to_the_host),
		TEST(control_register_writes_are_told_apart),
		TEST(every_kind_has_a_name),
		TEST(failed_entries_are_explained),
		TEST(events_are_legal),
	};

	return cmocka_run_group_tests_name("svm_exit", tests, NULL, NULL);
}
