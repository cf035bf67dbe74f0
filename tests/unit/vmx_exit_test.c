// SPDX-License-Identifier: BSD-2-Clause
// From exit reasons to struct vmexit. SDM vol. 3, 28.2 and appendix C.
#include "tests/unit/vmx_test.h"

#include <string.h>

#define VCPU vmx_test_vcpu
#define VMX  vmx_of(vmx_test_vcpu)

static void plain_exits_tell_kind_and_length(void **state)
{
	static const struct {
		uint32_t reason;
		enum vmexit_kind kind;
	} exits[] = {
		{10, VMEXIT_CPUID}, {11, VMEXIT_UNDEFINED}, {12, VMEXIT_HLT}, {13, VMEXIT_CACHE},
		{15, VMEXIT_RDPMC}, {16, VMEXIT_RDTSC}, {51, VMEXIT_RDTSC},
		{57, VMEXIT_UNDEFINED}, {61, VMEXIT_UNDEFINED},
		{18, VMEXIT_UNDEFINED}, {19, VMEXIT_UNDEFINED},
		{20, VMEXIT_UNDEFINED}, {21, VMEXIT_UNDEFINED}, {22, VMEXIT_UNDEFINED},
		{23, VMEXIT_UNDEFINED}, {24, VMEXIT_UNDEFINED}, {25, VMEXIT_UNDEFINED},
		{26, VMEXIT_UNDEFINED}, {27, VMEXIT_UNDEFINED}, {28, VMEXIT_CR_WRITE},
		{31, VMEXIT_MSR_READ}, {32, VMEXIT_MSR_WRITE}, {36, VMEXIT_MONITOR},
		{39, VMEXIT_MONITOR}, {50, VMEXIT_UNDEFINED}, {53, VMEXIT_UNDEFINED},
		{54, VMEXIT_CACHE}, {55, VMEXIT_XSETBV}, {60, VMEXIT_UNDEFINED},
	};

	(void)state;
	FIELD(EXIT_LENGTH) = 3;
	for (unsigned i = 0; i < ARRAY_COUNT(exits); i++) {
		struct vmexit exit = vmx_test_exit(exits[i].reason, 0);

		assert_int_equal(exit.kind, exits[i].kind);
		assert_int_equal(exit.length, 3);
		assert_true(exit.rip == vcpu_rip(VCPU));
	}
}

static void host_events_are_interrupts(void **state)
{
	static const uint32_t reasons[] = {1, 3, 4, 5, 6};

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(reasons); i++)
		assert_int_equal(vmx_test_exit(reasons[i], 0).kind, VMEXIT_INTERRUPT);
	assert_int_equal(vmx_test_exit(2, 0).kind, VMEXIT_SHUTDOWN);
}

// Appendix C has more: nobody asked for them, and going on would never end. Bit 31: 27.8.
static void exits_nobody_asked_for_are_invalid(void **state)
{
	static const uint32_t reasons[] = {14, 17, 33, 34, 35, 38, 41, 44, 45, 46, 47,
		49, 56, 58, 59, 62, 63, 64, 1000, 0x80000021, 0x80000022, 0x8000000a};

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(reasons); i++)
		assert_int_equal(vmx_test_exit(reasons[i], 0).kind, VMEXIT_INVALID);
}

// Table 28-5.
static void ports_are_taken_apart(void **state)
{
	static const uint8_t sizes[] = {1, 2, 4};

	(void)state;
	FIELD(EXIT_LENGTH) = 2;
	for (unsigned size = 0; size < 3; size++)
		for (unsigned flags = 0; flags < 4; flags++) {
			struct vmexit exit = vmx_test_exit(VMX_REASON_IO, 0xfedcull << 16 |
				(sizes[size] - 1u) | flags << 3 | 1 << 6);

			assert_int_equal(exit.kind, VMEXIT_IO);
			assert_int_equal(exit.length, 2);
			assert_int_equal(exit.io.port, 0xfedc);
			assert_int_equal(exit.io.size, sizes[size]);
			assert_int_equal(exit.io.in, flags & 1);
			assert_int_equal(exit.io.string, flags >> 1);
		}
}

// Table 28-7.
static void nested_faults_tell_the_access(void **state)
{
	static const struct {
		uint64_t qualification;
		bool write, fetch, table;
	} cases[] = {{0x181, false, false, false}, {0x182, true, false, false},
		{0x184, false, true, false}, {0x081, false, false, true},
		{0x1, false, false, false},
		{0x18b, true, false, false}};

	(void)state;
	FIELD(GUEST_PHYSICAL) = 0xfee000b0;
	for (unsigned i = 0; i < ARRAY_COUNT(cases); i++) {
		struct vmexit exit =
			vmx_test_exit(VMX_REASON_EPT_VIOLATION, cases[i].qualification);

		assert_int_equal(exit.kind, VMEXIT_MEMORY);
		assert_int_equal(exit.length, 0);
		assert_true(exit.memory.gpa.v == 0xfee000b0);
		assert_int_equal(exit.memory.write, cases[i].write);
		assert_int_equal(exit.memory.fetch, cases[i].fetch);
		assert_int_equal(exit.memory.table, cases[i].table);
	}
}

static void exceptions_come_with_their_codes(void **state)
{
	struct vmexit exit;

	(void)state;
	FIELD(EXIT_EVENT) = 0x80000b00 | VECTOR_AC;
	FIELD(EXIT_EVENT_ERROR) = 0x1234;
	exit = vmx_test_exit(VMX_REASON_EXCEPTION, 0);
	assert_int_equal(exit.kind, VMEXIT_EXCEPTION);
	assert_int_equal(exit.exception.vector, VECTOR_AC);
	assert_true(exit.exception.has_error_code);
	assert_int_equal(exit.exception.error_code, 0x1234);
	assert_int_equal(exit.length, 0);
}

// A machine check first, then the host's interrupt.
static bool check_machine(void *vcpu)
{
	(void)vcpu;
	FIELD(EXIT_REASON) = fake_vmx.machine_checks == 0 ? VMX_REASON_EXCEPTION
							  : VMX_REASON_INTERRUPT;
	return true;
}

static void nmis_and_machine_checks_are_the_hosts(void **state)
{
	(void)state;
	FIELD(EXIT_EVENT) = 0x80000202;
	assert_int_equal(vmx_test_exit(VMX_REASON_EXCEPTION, 0).kind, VMEXIT_INTERRUPT);
	assert_int_equal(fake_vmx.nmis, 1);
	assert_false(vcpu_event_pending(VCPU));
	FIELD(EXIT_EVENT) = 0x80000300 | VECTOR_MC;
	fake_vmx.guest = check_machine;
	assert_int_equal(vmx_test_exit(0, 0).kind, VMEXIT_INTERRUPT);
	assert_int_equal(fake_vmx.machine_checks, 1);
	assert_false(vcpu_event_pending(VCPU));
}

// 28.1: the CPU has changed neither DR6 nor DR7 nor DEBUGCTL.
static void debug_exceptions_change_the_registers(void **state)
{
	struct vmexit exit;

	(void)state;
	fake_x86.dr6 = 0xffff0ff3;
	FIELD(EXIT_EVENT) = 0x80000300 | VECTOR_DB;
	FIELD(GUEST_DR7) = 0x2400;
	FIELD(GUEST_DEBUGCTL) = 2;
	exit = vmx_test_exit(VMX_REASON_EXCEPTION, BIT(14) | 4);
	assert_int_equal(exit.kind, VMEXIT_EXCEPTION);
	assert_int_equal(exit.exception.vector, VECTOR_DB);
	assert_false(exit.exception.has_error_code);
	assert_true(fake_x86.dr6 == 0xffff4ff4); // of B0 to B3 the new ones alone
	assert_int_equal(FIELD(GUEST_DR7), 0x2400);
	assert_int_equal(FIELD(GUEST_DEBUGCTL), 0);
	(void)vmx_test_exit(VMX_REASON_EXCEPTION, BIT(13));
	assert_true(fake_x86.dr6 == 0xffff6ff0);
	assert_int_equal(FIELD(GUEST_DR7), 0x400); // GD: 18.2.4
}

// 27.3.1.5: a shadow and TF would demand a pending step.
static void a_debug_exception_ends_the_shadow(void **state)
{
	(void)state;
	FIELD(EXIT_EVENT) = 0x80000300 | VECTOR_DB;
	FIELD(GUEST_INTERRUPTIBILITY) = VMX_BLOCKED_STI | VMX_BLOCKED_NMI;
	FIELD(GUEST_RFLAGS) = RFLAGS_FIXED | RFLAGS_TF | RFLAGS_IF;
	FIELD(GUEST_PENDING_DEBUG) = BIT(14);
	(void)vmx_test_exit(VMX_REASON_EXCEPTION, BIT(14));
	FIELD(GUEST_PENDING_DEBUG) = 0;
	vcpu_inject_exception(VCPU, VECTOR_DB, false, 0);
	(void)vmx_test_exit(VMX_REASON_INTERRUPT, 0); // which checks the state
	assert_int_equal(vmx_test_entered.interruptibility, VMX_BLOCKED_NMI);
}

// INT1: an event of its own type with the instruction's length, and DR6 is not touched.
static void int1_is_told_from_a_breakpoint(void **state)
{
	(void)state;
	fake_x86.dr6 = 0xffff0ff0;
	FIELD(EXIT_EVENT) = 0x80000500 | VECTOR_DB;
	FIELD(EXIT_LENGTH) = 1;
	assert_int_equal(vmx_test_exit(VMX_REASON_EXCEPTION, 0).exception.vector, VECTOR_DB);
	assert_true(fake_x86.dr6 == 0xffff0ff0);
	vcpu_inject_exception(VCPU, VECTOR_DB, false, 0);
	(void)vmx_test_exit(VMX_REASON_INTERRUPT, 0);
	assert_int_equal(vmx_test_entered.event, 0x80000500 | VECTOR_DB);
	assert_int_equal(vmx_test_entered.length, 1);
	vcpu_inject_exception(VCPU, VECTOR_DB, false, 0);
	(void)vmx_test_exit(VMX_REASON_INTERRUPT, 0);
	assert_int_equal(vmx_test_entered.event, 0x80000300 | VECTOR_DB);
}

// Table 28-2, and 28.2.4 for the event of a gate.
static void task_switches_tell_their_source(void **state)
{
	static const struct {
		uint32_t source, vectoring;
		uint8_t length, event;
		bool coded;
	} cases[] = {
		{0, 0, 7, VCPU_EVENT_NONE, false}, {1, 0, 7, VCPU_EVENT_NONE, false},
		{2, 0, 7, VCPU_EVENT_NONE, false},
		{3, 0x80000430, 7, VCPU_EVENT_NONE, false}, // INT n
		{3, 0x80000030, 0, VCPU_EVENT_INTERRUPT, false},
		{3, 0x80000202, 0, VCPU_EVENT_NMI, false},
		{3, 0x80000b0a, 0, VCPU_EVENT_EXCEPTION, true},
	};

	(void)state;
	FIELD(EXIT_LENGTH) = 7;
	FIELD(VECTORING_ERROR) = 0x18;
	for (unsigned i = 0; i < ARRAY_COUNT(cases); i++) {
		struct vmexit exit;

		FIELD(VECTORING) = cases[i].vectoring;
		exit = vmx_test_exit(VMX_REASON_TASK_SWITCH, cases[i].source << 30 | 0x28);
		assert_int_equal(exit.kind, VMEXIT_TASK_SWITCH);
		assert_int_equal(exit.task.selector, 0x28);
		assert_int_equal(exit.task.source, cases[i].source);
		assert_int_equal(exit.length, cases[i].length);
		assert_int_equal(exit.task.event, cases[i].event);
		assert_int_equal(exit.task.has_error_code, cases[i].coded);
		if (cases[i].coded)
			assert_int_equal(exit.task.error_code, 0x18);
		assert_false(vcpu_event_pending(VCPU)); // it was the switch's
	}
	assert_true(vcpu_can_inject(VCPU, VCPU_EVENT_INTERRUPT));
}

// 31.4 and 27.8: a failed entry names what is wrong with the guest's state.
static void failed_entries_are_explained(void **state)
{
	(void)state;
	FIELD(GUEST_CS_ACCESS) = 0x6093; // L and D, and of a data segment
	FIELD(GUEST_RFLAGS) = RFLAGS_FIXED | BIT(3);
	FIELD(GUEST_TR_ACCESS) = 0x89;
	VMX->reason = 0x80000021;
	vcpu_print_entry_failure(VCPU);
	assert_non_null(strstr(vmx_test_log, "exit reason 33 (failed entry)"));
	assert_non_null(strstr(vmx_test_log, "CS: L and D together"));
	assert_non_null(strstr(vmx_test_log, "RFLAGS: reserved bits"));
	assert_non_null(strstr(vmx_test_log, "TR: not a busy TSS"));
	assert_non_null(strstr(vmx_test_log, "GUEST_TR_ACCESS is 89"));
	assert_null(strstr(vmx_test_log, "LDTR"));
	assert_null(strstr(vmx_test_log, "DR7: "));
	vcpu_spoil(VCPU);
	vcpu_print_entry_failure(VCPU);
	assert_non_null(strstr(vmx_test_log, "violated: DR7: upper half is not zero: "
		"GUEST_DR7 is 100000400"));
}

static bool refuse(void *vcpu)
{
	(void)vcpu;
	FIELD(INSTRUCTION_ERROR) = 7;
	return false;
}

static void a_refused_entry_tells_the_error(void **state)
{
	(void)state;
	fake_vmx.guest = refuse;
	assert_int_equal(vmx_test_exit(0, 0).kind, VMEXIT_INVALID);
	vcpu_print_entry_failure(VCPU);
	assert_non_null(strstr(vmx_test_log, "VM-instruction error 7"));
}

static void a_field_that_fails_is_named(void **state)
{
	struct fake_vmcs *loaded = fake_vmx.current;

	(void)state;
	fake_vmx.current = NULL;
	expect_assert_failure((void)vmx_read(VMCS_GUEST_CR3));
	assert_non_null(strstr(vmx_test_log, "read of field 6802 (GUEST_CR3)"));
	fake_vmx.current = loaded;
	expect_assert_failure(vmx_write(VMCS_EXIT_REASON, 0));
	assert_non_null(strstr(vmx_test_log, "write of field 4402 (EXIT_REASON)"));
	assert_string_equal(vmx_field_name((enum vmcs_field)0x7777), "unknown");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, vmx_test_setup, vmx_test_teardown)
	const struct CMUnitTest tests[] = {
		TEST(plain_exits_tell_kind_and_length),
		TEST(host_events_are_interrupts),
		TEST(exits_nobody_asked_for_are_invalid),
		TEST(ports_are_taken_apart),
		TEST(nested_faults_tell_the_access),
		TEST(exceptions_come_with_their_codes),
		TEST(nmis_and_machine_checks_are_the_hosts),
		TEST(debug_exceptions_change_the_registers),
		TEST(a_debug_exception_ends_the_shadow),
		TEST(int1_is_told_from_a_breakpoint),
		TEST(task_switches_tell_their_source),
		TEST(failed_entries_are_explained),
		TEST(a_refused_entry_tells_the_error),
		TEST(a_field_that_fails_is_named),
	};

	return cmocka_run_group_tests_name("vmx_exit", tests, NULL, NULL);
}
