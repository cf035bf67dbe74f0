// SPDX-License-Identifier: BSD-2-Clause
// Single steps: TF and everything else that must not show. A test plays the CPU: it changes the
// control block as the instruction would have under TF, and looks at what the guest then has.
#include "tests/unit/svm_test.h"
#include "vmx/counting.h"

#include <string.h>

#define SVM  (&svm_test_vcpu)
#define VCPU (&svm_test_vcpu.vcpu)
#define VMCB (&svm_test_vmcb)

#define DB_EXIT  (SVM_EXIT_EXCEPTION_FIRST + VECTOR_DB)
#define DR6_BS   BIT(14)
#define DR6_IDLE 0xffff0ff0ull
#define STEP_BITS ((uint32_t)(SVM_INTERCEPT_PUSHF | SVM_INTERCEPT_POPF | SVM_INTERCEPT_IRET | \
	SVM_INTERCEPT_INTN))

static uint64_t start_rip;

static void step_prepare(void)
{
	vcpu_request_step(VCPU);
	svm_test_clean();
	svm_event_prepare_slow(VCPU);
	start_rip = VMCB->rip;
}

// True: enter again.
static bool exit_with(uint64_t code, struct vmexit *exit)
{
	svm_test_clean();
	VMCB->exit_code = code;
	svm_event_collect(VCPU, 0);
	memset(exit, 0xa5, sizeof(*exit));
	return svm_exit_decode(VCPU, exit);
}

// The instruction has run: the trap.
static void trap(unsigned length, struct vmexit *exit)
{
	VMCB->rip += length;
	VMCB->dr6 |= DR6_BS;
	assert_false(exit_with(DB_EXIT, exit));
}

// Nothing of the engine's is left.
static void expect_clean(void)
{
	assert_false(SVM->stepping);
	assert_int_equal(SVM->precise, 0);
	assert_int_equal(VMCB->intercept_exceptions, SVM_EXCEPTIONS_INTERCEPTED);
	assert_int_equal(VMCB->intercept3 & STEP_BITS, 0);
	assert_int_equal(VMCB->intercept_dr, 0);
	assert_true((~svm_test_dirtied() & (SVM_CLEAN_INTERCEPTS | SVM_CLEAN_CRX)) == 0);
}

static bool tf(void)
{
	return (VMCB->rflags & RFLAGS_TF) != 0;
}

static void a_step_is_armed_and_undone(void **state)
{
	struct vmexit exit;

	(void)state;
	VMCB->efer |= EFER_SCE;
	VMCB->dr6 = DR6_IDLE;
	step_prepare();
	assert_true(SVM->stepping && tf());
	assert_true((VMCB->efer & EFER_SCE) == 0);
	assert_int_equal(VMCB->intercept_exceptions, UINT32_MAX);
	assert_int_equal(VMCB->intercept3 & STEP_BITS, STEP_BITS);
	assert_true((~svm_test_dirtied() & (SVM_CLEAN_INTERCEPTS | SVM_CLEAN_CRX)) == 0);
	trap(3, &exit);
	assert_int_equal(exit.kind, VMEXIT_STEP);
	assert_false(tf());
	assert_true((VMCB->efer & EFER_SCE) != 0);
	assert_true(VMCB->dr6 == DR6_IDLE);
	assert_false(vcpu_event_pending(VCPU));
	expect_clean();
}

static void it_holds_for_one_entry(void **state)
{
	struct vmexit exit;

	(void)state;
	step_prepare();
	assert_false(exit_with(SVM_EXIT_CPUID, &exit));
	assert_int_equal(exit.kind, VMEXIT_CPUID);
	assert_false(tf());
	expect_clean();
	svm_event_prepare_slow(VCPU);
	assert_false(SVM->stepping);
	step_prepare();
	svm_step_cancel(VCPU);
	assert_false(tf());
}

// APM vol. 3, PUSHF: the image has TF, and the caller takes it out.
static void pushf_is_repaired(void **state)
{
	struct vmexit exit;

	(void)state;
	step_prepare();
	assert_true(exit_with(SVM_EXIT_PUSHF, &exit));
	assert_true(tf());
	assert_int_equal(VMCB->intercept3 & STEP_BITS, 0);
	svm_event_prepare_slow(VCPU); // still the same step
	trap(1, &exit);
	assert_int_equal(exit.kind, VMEXIT_STEP_REPAIR);
	assert_true(exit.repair.pushed);
	assert_false(tf());
	expect_clean();
}

static void a_pushf_of_a_guest_with_tf_needs_none(void **state)
{
	struct vmexit exit;

	(void)state;
	VMCB->rflags |= RFLAGS_TF;
	step_prepare();
	assert_true(exit_with(SVM_EXIT_PUSHF, &exit));
	trap(1, &exit);
	assert_int_equal(exit.kind, VMEXIT_STEP);
	assert_true(tf());
	assert_int_equal(SVM->event & SVM_EVENT_VECTOR_MASK, VECTOR_DB); // its own trap
}

// POPF and IRET: what they loaded stays, set or clear.
static void loaded_flags_stay(void **state)
{
	static const uint64_t codes[] = {SVM_EXIT_POPF, SVM_EXIT_IRET};
	struct vmexit exit;

	for (unsigned i = 0; i < 8; i++) {
		bool before = (i & 1) != 0, after = (i & 2) != 0;

		svm_test_setup(state);
		VMCB->rflags |= before ? RFLAGS_TF : 0;
		step_prepare();
		assert_true(exit_with(codes[i >> 2], &exit));
		VMCB->rflags = RFLAGS_FIXED | (after ? RFLAGS_TF : 0);
		trap(1, &exit);
		assert_int_equal(exit.kind, VMEXIT_STEP);
		assert_int_equal(tf(), after);
		// The trap belongs to TF before the instruction: SDM vol. 3, 17.3.1.4.
		assert_int_equal(vcpu_event_pending(VCPU), before);
	}
}

static void begin_syscall(struct vmexit *exit)
{
	step_prepare();
	assert_true(exit_with(SVM_EXIT_EXCEPTION_FIRST + VECTOR_UD, exit));
	assert_true((VMCB->efer & EFER_SCE) != 0);
	assert_true((VMCB->sfmask & RFLAGS_TF) == 0);
	assert_true((VCPU->gpr[GPR_R11] & RFLAGS_TF) != 0);
}

// APM vol. 3, SYSCALL: R11 has the flags; SFMASK is what the guest wrote.
static void syscall_shows_nothing(void **state)
{
	struct vmexit exit;

	for (unsigned i = 0; i < 4; i++) {
		bool before = (i & 1) != 0, masked = (i & 2) != 0;

		svm_test_setup(state);
		VMCB->efer |= EFER_SCE;
		VMCB->sfmask = RFLAGS_IF | (masked ? RFLAGS_TF : 0);
		VMCB->rflags |= before ? RFLAGS_TF : 0;
		VMCB->cpl = 3;
		begin_syscall(&exit);
		VCPU->gpr[GPR_R11] = VMCB->rflags;
		VMCB->rflags &= ~RFLAGS_IF;
		VMCB->cpl = 0;
		trap(2, &exit);
		assert_int_equal(exit.kind, VMEXIT_STEP);
		assert_int_equal((VCPU->gpr[GPR_R11] & RFLAGS_TF) != 0, before);
		assert_int_equal(tf(), before && !masked);
		assert_int_equal(vcpu_event_pending(VCPU), before && !masked);
		assert_true(VMCB->sfmask == (RFLAGS_IF | (masked ? RFLAGS_TF : 0)));
	}
}

static void sysret_shows_nothing(void **state)
{
	struct vmexit exit;

	for (unsigned i = 0; i < 2; i++) {
		uint64_t r11 = RFLAGS_FIXED | RFLAGS_IF | (i != 0 ? RFLAGS_TF : 0);

		svm_test_setup(state);
		VMCB->efer |= EFER_SCE;
		VCPU->gpr[GPR_R11] = r11;
		begin_syscall(&exit);
		VMCB->rflags = r11 | RFLAGS_TF;
		VMCB->cpl = 3;
		trap(3, &exit);
		assert_true(VCPU->gpr[GPR_R11] == r11);
		assert_int_equal(tf(), i != 0);
		assert_int_equal(vcpu_event_pending(VCPU), i != 0);
	}
}

static void a_real_undefined_opcode_is_the_guests(void **state)
{
	struct vmexit exit;

	(void)state;
	VMCB->efer |= EFER_SCE;
	VMCB->sfmask = RFLAGS_TF;
	VCPU->gpr[GPR_R11] = 5;
	begin_syscall(&exit);
	assert_false(exit_with(SVM_EXIT_EXCEPTION_FIRST + VECTOR_UD, &exit));
	assert_int_equal(exit.kind, VMEXIT_EXCEPTION);
	assert_int_equal(exit.exception.vector, VECTOR_UD);
	assert_true(VCPU->gpr[GPR_R11] == 5 && VMCB->sfmask == RFLAGS_TF);
	assert_false(tf());
	expect_clean();
	// A guest without SCE: the first is the real one.
	svm_test_setup(state);
	step_prepare();
	assert_false(exit_with(SVM_EXIT_EXCEPTION_FIRST + VECTOR_UD, &exit));
	assert_int_equal(exit.kind, VMEXIT_EXCEPTION);
	assert_true((VMCB->efer & EFER_SCE) == 0);
}

static void interrupt_instructions_are_the_callers(void **state)
{
	static const uint64_t codes[] = {SVM_EXIT_INTN, SVM_EXIT_EXCEPTION_FIRST + VECTOR_BP,
		SVM_EXIT_EXCEPTION_FIRST + VECTOR_OF};
	struct vmexit exit;

	for (unsigned i = 0; i < ARRAY_COUNT(codes); i++) {
		svm_test_setup(state);
		step_prepare();
		assert_false(exit_with(codes[i], &exit));
		assert_int_equal(exit.kind, VMEXIT_SOFTWARE_INTERRUPT);
		assert_false(tf());
		expect_clean();
	}
}

// APM vol. 2, 15.20: the return address of an injected INT n.
static void a_software_interrupt_is_delivered(void **state)
{
	struct vmexit exit;

	for (unsigned i = 0; i < 2; i++) {
		svm_test_setup(state);
		svm_features.next_rip = i != 0;
		start_rip = VMCB->rip;
		vcpu_inject_software_interrupt(VCPU, 0x80, 2);
		assert_true(vcpu_event_pending(VCPU) && vcpu_rip(VCPU) == start_rip);
		svm_event_prepare_slow(VCPU);
		assert_true(VMCB->event_injection ==
			(SVM_EVENT_VALID | SVM_EVENT_TYPE_SOFTWARE | 0x80));
		assert_true(VMCB->rip == start_rip + (i != 0 ? 0 : 2));
		assert_true(VMCB->next_rip == start_rip + 2);
		assert_false(tf());
		VMCB->rip = 0x1000; // the handler
		VMCB->exit_code = SVM_EXIT_INTR;
		VMCB->exit_interrupt_info = 0;
		svm_event_collect(VCPU, 0);
		assert_true(svm_delivery_exit(VCPU, &exit));
		assert_int_equal(exit.kind, VMEXIT_STEP);
		assert_true(vcpu_rip(VCPU) == 0x1000);
		assert_false(vcpu_event_pending(VCPU));
		assert_int_equal(SVM->precise, 0);
	}
}

// Its fault is reported at the instruction, which runs again afterwards.
static void a_software_interrupt_may_fault(void **state)
{
	struct vmexit exit;

	(void)state;
	svm_features.next_rip = false;
	start_rip = VMCB->rip;
	vcpu_inject_software_interrupt(VCPU, 0x40, 2);
	svm_event_prepare_slow(VCPU);
	VMCB->exit_code = SVM_EXIT_EXCEPTION_FIRST + VECTOR_GP;
	VMCB->exit_info1 = 0x402;
	VMCB->exit_interrupt_info = SVM_EVENT_VALID | SVM_EVENT_TYPE_SOFTWARE | 0x40;
	svm_event_collect(VCPU, 0);
	assert_false(svm_delivery_exit(VCPU, &exit));
	assert_false(svm_exit_decode(VCPU, &exit));
	assert_int_equal(exit.kind, VMEXIT_EXCEPTION);
	assert_int_equal(exit.exception.error_code, 0x402);
	assert_true(vcpu_rip(VCPU) == start_rip);
	assert_false(vcpu_event_pending(VCPU));
}

// An event is delivered without TF, by an entry that runs nothing.
static void events_are_delivered_alone(void **state)
{
	struct vmexit exit;

	(void)state;
	vcpu_inject_interrupt(VCPU, 0x31);
	step_prepare();
	assert_false(SVM->stepping || tf());
	assert_true((SVM->precise & SVM_PRECISE_DELIVER) != 0);
	assert_true(VMCB->event_injection == (SVM_EVENT_VALID | 0x31));
	assert_true((VMCB->virtual_interrupt & SVM_V_IRQ) == 0);
	VMCB->exit_code = SVM_EXIT_INTR;
	svm_event_collect(VCPU, 0);
	assert_true(svm_delivery_exit(VCPU, &exit));
	assert_int_equal(exit.kind, VMEXIT_INTERRUPT);
	assert_false(vcpu_event_pending(VCPU));
	// A nested fault on the way: it is kept.
	vcpu_inject_interrupt(VCPU, 0x31);
	step_prepare();
	VMCB->exit_code = SVM_EXIT_NPF;
	VMCB->exit_interrupt_info = SVM_EVENT_VALID | 0x31;
	svm_event_collect(VCPU, 0);
	assert_false(svm_delivery_exit(VCPU, &exit));
	assert_true(vcpu_event_pending(VCPU));
}

// SDM vol. 3, 17.3.1: a guest that steps itself gets its trap and BS.
static void the_guests_own_trap_is_queued(void **state)
{
	struct vmexit exit;

	(void)state;
	VMCB->rflags |= RFLAGS_TF;
	VMCB->dr6 = DR6_IDLE;
	step_prepare();
	trap(2, &exit);
	assert_int_equal(exit.kind, VMEXIT_STEP);
	assert_true(tf());
	assert_true(VMCB->dr6 == (DR6_IDLE | DR6_BS));
	assert_true(SVM->event == (SVM_EVENT_VALID | SVM_EVENT_TYPE_EXCEPTION | VECTOR_DB));
}

// A data breakpoint is a trap, one on the instruction is a fault: SDM vol. 3, table 17-2.
static void breakpoints_are_the_guests(void **state)
{
	struct vmexit exit;

	(void)state;
	VMCB->dr6 = DR6_IDLE;
	VMCB->dr7 = 0x400 | 1 | 1 << 16; // DR0: writes
	step_prepare();
	VMCB->dr6 |= 1;
	trap(2, &exit);
	assert_int_equal(exit.kind, VMEXIT_STEP);
	assert_true(VMCB->dr6 == (DR6_IDLE | 1));
	assert_int_equal(SVM->event & SVM_EVENT_VECTOR_MASK, VECTOR_DB);
	svm_test_setup(state);
	VMCB->dr6 = DR6_IDLE;
	VMCB->dr7 = 0x400; // hit, and not enabled
	step_prepare();
	VMCB->dr6 |= 1;
	trap(2, &exit);
	assert_true(VMCB->dr6 == DR6_IDLE);
	assert_false(vcpu_event_pending(VCPU));
	svm_test_setup(state);
	VMCB->dr6 = DR6_IDLE;
	VMCB->dr7 = 0x400 | 1;
	step_prepare();
	VMCB->dr6 |= 1; // without BS: the instruction has not run
	assert_false(exit_with(DB_EXIT, &exit));
	assert_int_equal(exit.kind, VMEXIT_EXCEPTION);
	assert_int_equal(exit.exception.vector, VECTOR_DB);
	assert_false(tf());
}

static void pause_exits(void **state)
{
	struct vmexit exit;

	for (unsigned i = 0; i < 2; i++) {
		svm_test_setup(state);
		vcpu_intercept_pause(VCPU, i != 0 ? VCPU_PAUSE_LOOPS : VCPU_PAUSE_NEVER);
		step_prepare();
		assert_true((VMCB->intercept3 & SVM_INTERCEPT_PAUSE) != 0);
		assert_false(exit_with(SVM_EXIT_PAUSE, &exit));
		assert_int_equal(exit.kind, VMEXIT_PAUSE);
		assert_int_equal((VMCB->intercept3 & SVM_INTERCEPT_PAUSE) != 0, i != 0);
	}
}

static void writes_of_dr6_are_the_callers(void **state)
{
	struct vmexit exit;

	(void)state;
	step_prepare();
	assert_true((VMCB->intercept_dr & SVM_INTERCEPT_DR6_WRITE) != 0);
	assert_false(exit_with(SVM_EXIT_DR6_WRITE, &exit));
	assert_int_equal(exit.kind, VMEXIT_DR_WRITE);
	expect_clean();
}

// SDM vol. 3, 8.3: the flags of the task that is left are stored in its state segment.
static void a_task_switch_is_repaired(void **state)
{
	struct vmexit exit;

	(void)state;
	VMCB->efer &= ~(EFER_LMA | EFER_LME);
	VMCB->tr.base = 0x5000;
	VMCB->tr.attributes = 0x8b;
	step_prepare();
	VMCB->tr.base = 0x6000;
	VMCB->rflags = RFLAGS_FIXED | RFLAGS_TF; // the new task's own
	trap(0, &exit);
	assert_int_equal(exit.kind, VMEXIT_STEP_REPAIR);
	assert_false(exit.repair.pushed);
	assert_true(exit.repair.tss == 0x5000 && exit.repair.tss_is_32bit);
	assert_true(tf());
}

static void a_second_shadow_in_a_row_is_none(void **state)
{
	struct vmexit exit;

	(void)state;
	step_prepare();
	VMCB->interrupt_shadow = 1;
	trap(1, &exit);
	assert_int_equal(VMCB->interrupt_shadow & 1, 1);
	step_prepare();
	trap(1, &exit);
	assert_int_equal(VMCB->interrupt_shadow & 1, 0);
}

static void a_reset_ends_all_but_counting(void **state)
{
	(void)state;
	SVM->precise = SVM_PRECISE_STEP | SVM_PRECISE_COUNT;
	vcpu_reset(VCPU, VCPU_RESET_INIT);
	assert_int_equal(SVM->precise, SVM_PRECISE_COUNT);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, svm_test_setup)
	const struct CMUnitTest tests[] = {
		TEST(a_step_is_armed_and_undone),
		TEST(it_holds_for_one_entry),
		TEST(pushf_is_repaired),
		TEST(a_pushf_of_a_guest_with_tf_needs_none),
		TEST(loaded_flags_stay),
		TEST(syscall_shows_nothing),
		TEST(sysret_shows_nothing),
		TEST(a_real_undefined_opcode_is_the_guests),
		TEST(interrupt_instructions_are_the_callers),
		TEST(a_software_interrupt_is_delivered),
		TEST(a_software_interrupt_may_fault),
		TEST(events_are_delivered_alone),
		TEST(the_guests_own_trap_is_queued),
		TEST(breakpoints_are_the_guests),
		TEST(pause_exits),
		TEST(writes_of_dr6_are_the_callers),
		TEST(a_task_switch_is_repaired),
		TEST(a_second_shadow_in_a_row_is_none),
		TEST(a_reset_ends_all_but_counting),
	};

	return cmocka_run_group_tests_name("svm_step", tests, NULL, NULL);
}
