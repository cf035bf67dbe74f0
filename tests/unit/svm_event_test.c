// SPDX-License-Identifier: BSD-2-Clause
// Events into the guest: injection, faults on faults, windows, shadows, NMIs, stepping.
#include "tests/unit/svm_test.h"

#include <string.h>

#define SVM  (&svm_test_vcpu)
#define VCPU (&svm_test_vcpu.vcpu)
#define VMCB (&svm_test_vmcb)

#define VALID     BIT(31)
#define HAS_ERROR BIT(11)
#define NMI_TYPE  (2u << 8)
#define EXCEPTION (3u << 8)
#define SOFTWARE  (4u << 8)

// An exit as vcpu_enter sees it.
static bool exit_with(uint64_t code, struct vmexit *exit)
{
	svm_test_clean();
	VMCB->exit_code = code;
	svm_event_collect(VCPU, 0);
	memset(exit, 0xa5, sizeof(*exit));
	return svm_exit_decode(VCPU, exit);
}

#define OFFER (SVM_V_IRQ | SVM_V_IGN_TPR | 0xfull << SVM_V_PRIO_SHIFT)

// What vcpu_enter does before an entry.
static void prepare(void)
{
	if (SVM->special != 0)
		svm_event_prepare_slow(VCPU);
}

// The delivery of a virtual interrupt raised an exception, whose handler runs with IF clear, and
// the CPU has kept V_IRQ: the interrupt does not come again, and does not count as pending.
static void an_offer_that_failed_is_gone(void **state)
{
	struct vmexit exit;

	(void)state;
	VMCB->rflags |= RFLAGS_IF;
	vcpu_inject_interrupt(VCPU, 0x51);
	prepare();
	VMCB->rflags &= ~RFLAGS_IF;
	assert_false(exit_with(SVM_EXIT_CPUID, &exit));
	assert_false(vcpu_event_pending(VCPU));
	assert_true((VMCB->virtual_interrupt & SVM_V_IRQ) == 0);
	assert_true((VMCB->clean & SVM_CLEAN_TPR) == 0);
}

// APM vol. 2, 15.20: EVENTINJ.
static void injections_are_encoded(void **state)
{
	(void)state;
	VMCB->rflags |= RFLAGS_IF;
	vcpu_inject_interrupt(VCPU, 0xef);
	assert_true(vcpu_event_pending(VCPU));
	prepare();
	assert_true(VMCB->event_injection == 0);
	assert_true((VMCB->virtual_interrupt & OFFER) == OFFER);
	assert_int_equal(VMCB->virtual_interrupt >> 32 & 0xff, 0xef);
	assert_true((VMCB->intercept3 & SVM_INTERCEPT_VINTR) == 0);
	svm_event_collect(VCPU, 0); // an exit came first: it is still offered
	assert_true(vcpu_event_pending(VCPU));
	VMCB->virtual_interrupt &= ~SVM_V_IRQ; // the CPU took it
	svm_event_collect(VCPU, 0);
	assert_false(vcpu_event_pending(VCPU));
	prepare();
	assert_true(VMCB->event_injection == 0);
	vcpu_inject_nmi(VCPU);
	prepare();
	assert_true(VMCB->event_injection == (VALID | NMI_TYPE | 2));
	svm_event_collect(VCPU, 0);
	vcpu_inject_exception(VCPU, VECTOR_UD, false, 0);
	prepare();
	assert_true(VMCB->event_injection == (VALID | EXCEPTION | 6));
	svm_event_collect(VCPU, 0);
	vcpu_inject_exception(VCPU, VECTOR_GP, true, 0xfffe1234);
	prepare();
	assert_true(VMCB->event_injection ==
		(VALID | EXCEPTION | HAS_ERROR | 13 | 0xfffe1234ull << 32));
}

// V_IRQ is the window then, and EVENTINJ has the interrupt.
static void an_interrupt_and_a_window(void **state)
{
	(void)state;
	vcpu_inject_interrupt(VCPU, 0x31);
	vcpu_request_interrupt_window(VCPU);
	prepare();
	assert_true(VMCB->event_injection == (VALID | 0x31));
	assert_true((VMCB->virtual_interrupt & OFFER) == OFFER);
	assert_true((VMCB->intercept3 & SVM_INTERCEPT_VINTR) != 0);
}

static void one_event_at_a_time(void **state)
{
	(void)state;
	vcpu_inject_interrupt(VCPU, 0x30);
	expect_assert_failure(vcpu_inject_interrupt(VCPU, 0x31));
	expect_assert_failure(vcpu_inject_nmi(VCPU));
	assert_false(vcpu_can_inject(VCPU, VCPU_EVENT_INTERRUPT));
	assert_false(vcpu_can_inject(VCPU, VCPU_EVENT_NMI));
	assert_false(vcpu_can_inject(VCPU, VCPU_EVENT_EXCEPTION));
}

// SDM vol. 3, table 6-5, over all pairs of exceptions: vectors 10 to 13 and 0 are contributory.
enum class { BENIGN, CONTRIBUTORY, PAGE_FAULT };

static enum class class_of(unsigned vector)
{
	if (vector == 14)
		return PAGE_FAULT;
	return vector == 0 || (vector >= 10 && vector <= 13) ? CONTRIBUTORY : BENIGN;
}

static void expect_pair(uint8_t first, uint8_t second)
{
	enum class a = class_of(first), b = class_of(second);
	bool doubled = (a == CONTRIBUTORY && b == CONTRIBUTORY) ||
		(a == PAGE_FAULT && b != BENIGN);

	SVM->event = 0;
	vcpu_inject_exception(VCPU, first, false, 0);
	vcpu_inject_exception(VCPU, second, true, 0x77);
	assert_false(SVM->triple_fault);
	if (doubled) // #DF pushes a zero
		assert_true(SVM->event == (VALID | EXCEPTION | HAS_ERROR | 8));
	else
		assert_true(SVM->event ==
			(VALID | EXCEPTION | HAS_ERROR | second | 0x77ull << 32));
}

static void faults_on_faults_double(void **state)
{
	(void)state;
	for (uint8_t first = 0; first < 20; first++)
		for (uint8_t second = 0; second < 20; second++)
			if (first != VECTOR_DF && second != VECTOR_DF)
				expect_pair(first, second);
}

// SDM vol. 3, 6.15, interrupt 8.
static void a_fault_on_a_double_fault_shuts_down(void **state)
{
	(void)state;
	for (uint8_t vector = 0; vector < 20; vector++) {
		SVM->event = 0;
		SVM->triple_fault = false;
		vcpu_inject_exception(VCPU, VECTOR_DF, true, 0);
		vcpu_inject_exception(VCPU, vector, true, 1);
		if (vector != VECTOR_DF)
			assert_int_equal(SVM->triple_fault, class_of(vector) != BENIGN);
		assert_int_equal(vcpu_event_pending(VCPU), !SVM->triple_fault);
	}
}

static void a_page_fault_escalates_to_the_end(void **state)
{
	(void)state;
	vcpu_inject_exception(VCPU, VECTOR_PF, true, 2);
	vcpu_inject_exception(VCPU, VECTOR_PF, true, 2);
	assert_int_equal(SVM->event & 0xff, VECTOR_DF);
	vcpu_inject_exception(VCPU, VECTOR_PF, true, 2);
	assert_true(SVM->triple_fault);
}

// The vector of an interrupt says nothing about exceptions: table 6-4, external interrupts.
static void faults_on_interrupts_do_not_double(void **state)
{
	(void)state;
	SVM->event = VALID | VECTOR_GP; // an interrupt with vector 13
	vcpu_inject_exception(VCPU, VECTOR_GP, true, 0);
	assert_int_equal(SVM->event & 0xff, VECTOR_GP);
	SVM->event = VALID | NMI_TYPE | 2;
	vcpu_inject_exception(VCPU, VECTOR_PF, true, 0);
	assert_int_equal(SVM->event & 0xff, VECTOR_PF);
	assert_false(SVM->triple_fault);
}

static uint64_t collected(uint64_t info)
{
	svm_event_set(VCPU, 0x1234);
	VMCB->exit_interrupt_info = info;
	svm_event_collect(VCPU, 0);
	return SVM->event;
}

// APM vol. 2, 15.7.2: EXITINTINFO.
static void interrupted_deliveries_are_kept(void **state)
{
	const uint64_t page_fault = VALID | EXCEPTION | HAS_ERROR | 14 | 0x2ull << 32;

	(void)state;
	assert_true(collected(0) == 0);
	assert_true(collected(0x30) == 0); // not valid
	assert_true(collected(VALID | 0x30) == (VALID | 0x30));
	assert_true(collected(page_fault) == page_fault);
	assert_false(SVM->nmi_blocked);
	// A virtual interrupt, as some implementations report it.
	assert_true(collected(VALID | EXCEPTION | 0x30) == (VALID | 0x30));
	assert_true(collected(VALID | NMI_TYPE | 2) == (VALID | NMI_TYPE | 2));
	assert_true(SVM->nmi_blocked);
}

// Their instruction runs again.
static void software_interrupts_are_dropped(void **state)
{
	(void)state;
	assert_true(collected(VALID | SOFTWARE | 0x80) == 0);
	assert_true(collected(VALID | EXCEPTION | VECTOR_BP) == 0);
	assert_true(collected(VALID | EXCEPTION | VECTOR_OF) == 0);
	assert_true(collected(VALID | EXCEPTION | VECTOR_DB) == (VALID | EXCEPTION | VECTOR_DB));
	assert_true(collected(VALID | VECTOR_BP) == (VALID | VECTOR_BP)); // an interrupt
}

static void a_kept_fault_escalates(void **state)
{
	(void)state;
	assert_true(collected(VALID | EXCEPTION | HAS_ERROR | VECTOR_TS) != 0);
	vcpu_inject_exception(VCPU, VECTOR_GP, true, 0x18);
	assert_int_equal(SVM->event & 0xff, VECTOR_DF);
}

static void injection_follows_flags_and_shadow(void **state)
{
	(void)state;
	assert_true(vcpu_can_inject(VCPU, VCPU_EVENT_INTERRUPT));
	assert_true(vcpu_can_inject(VCPU, VCPU_EVENT_NMI));
	VMCB->rflags &= ~RFLAGS_IF;
	assert_false(vcpu_can_inject(VCPU, VCPU_EVENT_INTERRUPT));
	assert_true(vcpu_can_inject(VCPU, VCPU_EVENT_NMI));
	VMCB->rflags |= RFLAGS_IF;
	VMCB->interrupt_shadow = 1;
	assert_false(vcpu_can_inject(VCPU, VCPU_EVENT_INTERRUPT));
	assert_false(vcpu_can_inject(VCPU, VCPU_EVENT_NMI));
	assert_true(vcpu_can_inject(VCPU, VCPU_EVENT_EXCEPTION));
	VMCB->interrupt_shadow = 0;
	vcpu_inject_nmi(VCPU);
	svm_event_collect(VCPU, 0);
	assert_false(vcpu_can_inject(VCPU, VCPU_EVENT_NMI));
	assert_true(vcpu_can_inject(VCPU, VCPU_EVENT_INTERRUPT));
	expect_assert_failure(vcpu_inject_nmi(VCPU));
}

static bool window_is_armed(void)
{
	bool v_irq = (VMCB->virtual_interrupt & SVM_V_IRQ) != 0;

	assert_int_equal(v_irq, (VMCB->intercept3 & SVM_INTERCEPT_VINTR) != 0);
	if (v_irq) { // whatever the guest's TPR says
		assert_true((VMCB->virtual_interrupt & SVM_V_IGN_TPR) != 0);
		assert_true((VMCB->virtual_interrupt >> SVM_V_PRIO_SHIFT & 0xf) == 0xf);
	}
	assert_true((VMCB->virtual_interrupt & SVM_V_INTR_MASKING) != 0);
	return v_irq;
}

static void the_window_is_a_virtual_interrupt(void **state)
{
	struct vmexit exit;

	(void)state;
	vcpu_set_tpr(VCPU, 9);
	prepare();
	assert_false(window_is_armed());
	VMCB->rflags &= ~RFLAGS_IF;
	vcpu_request_interrupt_window(VCPU);
	svm_test_clean();
	prepare();
	assert_true(window_is_armed());
	assert_false(SVM->stepping);
	// APM vol. 2, 15.15.3: intercepts, and V_IRQ with its neighbours.
	assert_true((~svm_test_dirtied() & (SVM_CLEAN_INTERCEPTS | SVM_CLEAN_TPR)) == 0);
	assert_false(exit_with(SVM_EXIT_VINTR, &exit));
	assert_int_equal(exit.kind, VMEXIT_INTERRUPT_WINDOW);
	prepare(); // nobody asked again
	assert_false(window_is_armed());
	assert_true((~svm_test_dirtied() & (SVM_CLEAN_INTERCEPTS | SVM_CLEAN_TPR)) == 0);
	prepare();
	assert_int_equal(svm_test_dirtied(), 0); // and nothing changes from then on
	assert_int_equal(VMCB->virtual_interrupt & SVM_V_TPR_MASK, 9);
}

static bool cr8_exits(void)
{
	return (VMCB->intercept_cr & SVM_INTERCEPT_CR8_WRITE) != 0;
}

// While V_IRQ is the window, and besides whenever it is asked for.
static void writes_of_cr8_exit_in_a_window(void **state)
{
	struct vmexit exit;

	(void)state;
	VMCB->rflags &= ~RFLAGS_IF;
	prepare();
	assert_false(cr8_exits());
	vcpu_request_interrupt_window(VCPU);
	prepare();
	assert_true(cr8_exits());
	vcpu_intercept_tpr(VCPU, false);
	assert_true(cr8_exits());
	exit_with(SVM_EXIT_VINTR, &exit);
	prepare();
	assert_false(cr8_exits());
	vcpu_intercept_tpr(VCPU, true);
	vcpu_request_interrupt_window(VCPU);
	prepare();
	exit_with(SVM_EXIT_VINTR, &exit);
	prepare();
	assert_true(cr8_exits());
}

static void a_shadow_is_stepped_over(void **state)
{
	struct vmexit exit;

	(void)state;
	VMCB->interrupt_shadow = 1;
	VMCB->dr6 = 0xffff0ff0;
	vcpu_request_interrupt_window(VCPU);
	svm_test_clean();
	prepare();
	assert_true(SVM->stepping);
	assert_false(window_is_armed());
	assert_true((VMCB->rflags & RFLAGS_TF) != 0);
	assert_int_equal(VMCB->intercept_exceptions, UINT32_MAX);
	assert_true((svm_test_dirtied() & SVM_CLEAN_INTERCEPTS) != 0);
	VMCB->interrupt_shadow = 0;
	VMCB->dr6 |= BIT(14);
	VMCB->rip += 2;
	assert_false(exit_with(SVM_EXIT_EXCEPTION_FIRST + VECTOR_DB, &exit));
	assert_int_equal(exit.kind, VMEXIT_STEP);
	assert_int_equal(exit.length, 0);
	assert_false(SVM->stepping);
	assert_true((VMCB->rflags & RFLAGS_TF) == 0);
	assert_true(VMCB->dr6 == 0xffff0ff0); // the guest sees nothing of it
	assert_int_equal(VMCB->intercept_exceptions, SVM_EXCEPTIONS_INTERCEPTED);
	assert_true((~svm_test_dirtied() & (SVM_CLEAN_INTERCEPTS | SVM_CLEAN_DRX)) == 0);
	assert_true(vcpu_can_inject(VCPU, VCPU_EVENT_INTERRUPT));
}

// A shadow with IF clear (MOV SS) does not matter to an interrupt; an NMI waits for its end.
static void only_what_waits_is_stepped_for(void **state)
{
	(void)state;
	VMCB->interrupt_shadow = 1;
	prepare();
	assert_false(SVM->stepping);
	VMCB->rflags &= ~RFLAGS_IF;
	vcpu_request_interrupt_window(VCPU);
	prepare();
	assert_false(SVM->stepping);
	svm_event_collect(VCPU, 0);
	vcpu_request_nmi_window(VCPU);
	prepare();
	assert_true(SVM->stepping);
}

static void a_pending_event_goes_before_a_step(void **state)
{
	(void)state;
	VMCB->interrupt_shadow = 1;
	vcpu_request_interrupt_window(VCPU);
	vcpu_inject_exception(VCPU, VECTOR_UD, false, 0);
	prepare();
	assert_false(SVM->stepping);
	assert_true((VMCB->rflags & RFLAGS_TF) == 0);
}

static void a_step_of_a_stepping_guest_traps_it(void **state)
{
	struct vmexit exit;

	(void)state;
	VMCB->interrupt_shadow = 1;
	VMCB->rflags |= RFLAGS_TF;
	vcpu_request_interrupt_window(VCPU);
	prepare();
	VMCB->dr6 |= BIT(14);
	assert_false(exit_with(SVM_EXIT_EXCEPTION_FIRST + VECTOR_DB, &exit));
	assert_int_equal(exit.kind, VMEXIT_STEP);
	assert_int_equal(SVM->event & 0xff, VECTOR_DB);
	assert_true((VMCB->rflags & RFLAGS_TF) != 0);
	assert_true((VMCB->dr6 & BIT(14)) != 0);
}

// A fault of the stepped instruction is the guest's, without our TF in what it pushes.
static void a_fault_ends_a_step(void **state)
{
	struct vmexit exit;

	(void)state;
	VMCB->interrupt_shadow = 1;
	vcpu_request_interrupt_window(VCPU);
	prepare();
	VMCB->exit_info1 = 0x14;
	VMCB->exit_info2 = 0x7fff12345678;
	assert_false(exit_with(SVM_EXIT_EXCEPTION_FIRST + VECTOR_PF, &exit));
	assert_int_equal(exit.kind, VMEXIT_EXCEPTION);
	assert_int_equal(exit.exception.vector, VECTOR_PF);
	assert_true(exit.exception.has_error_code);
	assert_int_equal(exit.exception.error_code, 0x14);
	assert_true(VMCB->cr2 == 0x7fff12345678);
	assert_true((~svm_test_dirtied() & (SVM_CLEAN_CR2 | SVM_CLEAN_INTERCEPTS)) == 0);
	assert_true((VMCB->rflags & RFLAGS_TF) == 0);
	assert_false(SVM->stepping);
	assert_int_equal(VMCB->intercept_exceptions, SVM_EXCEPTIONS_INTERCEPTED);
}

static void other_exits_end_a_step(void **state)
{
	static const uint64_t codes[] = {SVM_EXIT_INTR, SVM_EXIT_IOIO, SVM_EXIT_NPF,
		SVM_EXIT_CPUID};
	struct vmexit exit;

	for (unsigned i = 0; i < ARRAY_COUNT(codes); i++) {
		svm_test_setup(state);
		VMCB->interrupt_shadow = 1;
		vcpu_request_interrupt_window(VCPU);
		prepare();
		assert_false(exit_with(codes[i], &exit));
		assert_int_not_equal(exit.kind, VMEXIT_STEP);
		assert_false(SVM->stepping);
		assert_true((VMCB->rflags & RFLAGS_TF) == 0);
		assert_int_equal(VMCB->intercept_exceptions, SVM_EXCEPTIONS_INTERCEPTED);
	}
}

static void a_step_that_never_began_leaves_nothing(void **state)
{
	(void)state;
	VMCB->interrupt_shadow = 1;
	vcpu_request_interrupt_window(VCPU);
	prepare();
	svm_test_clean();
	svm_step_cancel(VCPU);
	assert_false(SVM->stepping);
	assert_true((VMCB->rflags & RFLAGS_TF) == 0);
	assert_int_equal(VMCB->intercept_exceptions, SVM_EXCEPTIONS_INTERCEPTED);
	assert_true((svm_test_dirtied() & SVM_CLEAN_INTERCEPTS) != 0);
	assert_int_equal(VMCB->interrupt_shadow, 1);
}

static void begin_nmi_handler(void)
{
	vcpu_inject_nmi(VCPU);
	prepare();
	svm_event_collect(VCPU, 0);
}

// APM vol. 2, 15.21.5 (without virtual NMIs): IRET ends the blocking.
static void iret_ends_an_nmi(void **state)
{
	struct vmexit exit;

	(void)state;
	begin_nmi_handler();
	assert_true((VMCB->intercept3 & SVM_INTERCEPT_IRET) != 0);
	assert_true(exit_with(SVM_EXIT_IRET, &exit)); // enter again at once
	assert_true(SVM->stepping);
	assert_true((VMCB->rflags & RFLAGS_TF) != 0);
	prepare();
	assert_true((VMCB->intercept3 & SVM_INTERCEPT_IRET) == 0);
	VMCB->rflags = RFLAGS_FIXED | RFLAGS_IF; // what IRET loads
	VMCB->dr6 |= BIT(14);
	assert_false(exit_with(SVM_EXIT_EXCEPTION_FIRST + VECTOR_DB, &exit));
	assert_int_equal(exit.kind, VMEXIT_STEP);
	assert_false(SVM->nmi_blocked);
	assert_true(VMCB->rflags == (RFLAGS_FIXED | RFLAGS_IF));
	assert_true(vcpu_can_inject(VCPU, VCPU_EVENT_NMI));
}

static void a_tf_that_iret_loads_stays(void **state)
{
	struct vmexit exit;

	(void)state;
	begin_nmi_handler();
	assert_true(exit_with(SVM_EXIT_IRET, &exit));
	prepare();
	VMCB->rflags = RFLAGS_FIXED | RFLAGS_TF;
	VMCB->dr6 |= BIT(14);
	assert_false(exit_with(SVM_EXIT_EXCEPTION_FIRST + VECTOR_DB, &exit));
	assert_int_equal(exit.kind, VMEXIT_STEP);
	assert_true((VMCB->rflags & RFLAGS_TF) != 0);
}

// SDM vol. 3, 6.7.1: until the IRET has executed. A host interrupt may come before it does.
static void an_iret_that_did_not_run_ends_nothing(void **state)
{
	struct vmexit exit;

	(void)state;
	begin_nmi_handler();
	assert_true(exit_with(SVM_EXIT_IRET, &exit));
	prepare();
	svm_step_cancel(VCPU);
	assert_false(vcpu_can_inject(VCPU, VCPU_EVENT_NMI));
	prepare();
	assert_true((VMCB->intercept3 & SVM_INTERCEPT_IRET) != 0);
	assert_true(exit_with(SVM_EXIT_IRET, &exit));
	prepare();
	assert_false(exit_with(SVM_EXIT_INTR, &exit));
	assert_int_equal(exit.kind, VMEXIT_INTERRUPT);
	assert_false(vcpu_can_inject(VCPU, VCPU_EVENT_NMI));
	prepare();
	assert_true((VMCB->intercept3 & SVM_INTERCEPT_IRET) != 0);
}

// 25.3 (virtual-NMI blocking): an IRET that faults has ended it.
static void an_iret_that_faults_ends_the_blocking(void **state)
{
	struct vmexit exit;

	(void)state;
	begin_nmi_handler();
	assert_true(exit_with(SVM_EXIT_IRET, &exit));
	prepare();
	assert_false(exit_with(SVM_EXIT_EXCEPTION_FIRST + VECTOR_GP, &exit));
	assert_int_equal(exit.kind, VMEXIT_EXCEPTION);
	assert_true(vcpu_can_inject(VCPU, VCPU_EVENT_NMI));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, svm_test_setup)
	const struct CMUnitTest tests[] = {
		TEST(injections_are_encoded),
		TEST(an_offer_that_failed_is_gone),
		TEST(an_interrupt_and_a_window),
		TEST(one_event_at_a_time),
		TEST(faults_on_faults_double),
		TEST(a_fault_on_a_double_fault_shuts_down),
		TEST(a_page_fault_escalates_to_the_end),
		TEST(faults_on_interrupts_do_not_double),
		TEST(interrupted_deliveries_are_kept),
		TEST(software_interrupts_are_dropped),
		TEST(a_kept_fault_escalates),
		TEST(injection_follows_flags_and_shadow),
		TEST(the_window_is_a_virtual_interrupt),
		TEST(writes_of_cr8_exit_in_a_window),
		TEST(a_shadow_is_stepped_over),
		TEST(only_what_waits_is_stepped_for),
		TEST(a_pending_event_goes_before_a_step),
		TEST(a_step_of_a_stepping_guest_traps_it),
		TEST(a_fault_ends_a_step),
		TEST(other_exits_end_a_step),
		TEST(a_step_that_never_began_leaves_nothing),
		TEST(iret_ends_an_nmi),
		TEST(a_tf_that_iret_loads_stays),
		TEST(an_iret_that_did_not_run_ends_nothing),
		TEST(an_iret_that_faults_ends_the_blocking),
	};

	return cmocka_run_group_tests_name("svm_event", tests, NULL, NULL);
}
