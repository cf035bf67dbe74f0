// SPDX-License-Identifier: BSD-2-Clause
// What is under way at an exit goes with a vcpu's state: struct vcpu_event and its neighbours.
#include "tests/unit/svm_test.h"

#include <string.h>

#define VCPU (&svm_test_vcpu.vcpu)

#include "tests/unit/inflight.h"

static void an_exception_goes_along(void **state)
{
	uint64_t event;
	struct vcpu_state now;

	(void)state;
	vcpu_inject_exception(VCPU, VECTOR_PF, true, 7);
	event = svm_test_vcpu.event;
	now = carried();
	assert_int_equal(now.event.kind, VCPU_EVENT_EXCEPTION);
	assert_int_equal(now.event.vector, VECTOR_PF);
	assert_true(now.event.has_error_code);
	assert_int_equal(now.event.error_code, 7);
	assert_true(svm_test_vcpu.event == event && svm_test_vcpu.has_event);
	vcpu_inject_exception(VCPU, VECTOR_PF, true, 0); // a second one still makes it #DF
	assert_int_equal(svm_test_vcpu.event & SVM_EVENT_VECTOR_MASK, VECTOR_DF);
}

static void an_nmi_goes_along(void **state)
{
	(void)state;
	vcpu_inject_nmi(VCPU);
	assert_int_equal(carried().event.kind, VCPU_EVENT_NMI);
	assert_true(svm_test_vcpu.nmi_blocked);
	assert_false(vcpu_can_inject(VCPU, VCPU_EVENT_NMI));
}

// With an exception on top, the interrupt that was acknowledged is not lost.
static void an_offered_interrupt_goes_along(void **state)
{
	uint64_t control;

	(void)state;
	vcpu_inject_interrupt(VCPU, 0x51);
	vcpu_inject_exception(VCPU, VECTOR_UD, false, 0);
	control = svm_test_vmcb.virtual_interrupt;
	assert_int_equal(carried().offered, VCPU_OFFERED | 0x51);
	assert_true(svm_test_vmcb.virtual_interrupt == control);
	assert_int_equal(svm_test_vcpu.offered, SVM_EVENT_VALID | 0x51);
}

// APM vol. 2, 15.7.2: an exit during the delivery.
static void an_interrupted_delivery_goes_along(void **state)
{
	(void)state;
	svm_test_vmcb.exit_interrupt_info = SVM_EVENT_VALID | 0x62;
	svm_event_collect(VCPU, 0);
	assert_int_equal(carried().event.kind, VCPU_EVENT_INTERRUPT);
	assert_true(svm_test_vcpu.event == (SVM_EVENT_VALID | 0x62));
}

// INT n in software: RIP is that of the instruction until it is delivered.
static void a_software_interrupt_goes_along(void **state)
{
	(void)state;
	vcpu_inject_software_interrupt(VCPU, 0x80, 2);
	assert_int_equal(carried().event.kind, VCPU_EVENT_SOFTWARE);
	assert_int_equal(svm_test_vcpu.software_length, 2);
	assert_true(svm_test_vcpu.event == (SVM_EVENT_VALID | SVM_EVENT_TYPE_SOFTWARE | 0x80));
}

static void a_triple_fault_and_a_shadow_go_along(void **state)
{
	(void)state;
	svm_test_vmcb.interrupt_shadow = 1;
	vcpu_inject_exception(VCPU, VECTOR_DF, true, 0);
	vcpu_inject_exception(VCPU, VECTOR_GP, true, 0);
	assert_true(carried().triple_fault);
	assert_true(svm_test_vcpu.triple_fault && (svm_test_vmcb.interrupt_shadow & 1) != 0);
}

static void impossible_events_are_refused(void **state)
{
	static const struct vcpu_event bad[] = {{VCPU_EVENT_NMI, 3, false, 0, 0},
		{VCPU_EVENT_EXCEPTION, 2, false, 0, 0}, {VCPU_EVENT_EXCEPTION, 32, false, 0, 0},
		{VCPU_EVENT_ICEBP, VECTOR_DB, false, 1, 0}};
	struct vcpu_state now;

	(void)state;
	vcpu_get_state(VCPU, &now);
	for (unsigned i = 0; i < ARRAY_COUNT(bad); i++) {
		now.event = bad[i];
		assert_int_equal(vcpu_set_state(VCPU, &now), STATUS_INVALID);
	}
}

// APM vol. 2, 15.5.1: where an emulator lets a guest write another address.
static void addresses_are_told_canonical(void **state)
{
	struct vcpu_state now;

	(void)state;
	svm_test_vmcb.lstar = BIT(47);
	svm_test_vmcb.gs.base = BIT(63) | 5;
	vcpu_get_state(VCPU, &now);
	assert_true(now.lstar == 0xffff800000000000 && now.segment[SEGMENT_GS].base == 5);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, svm_test_setup)
	const struct CMUnitTest tests[] = {
		TEST(an_exception_goes_along),
		TEST(an_nmi_goes_along),
		TEST(an_offered_interrupt_goes_along),
		TEST(an_interrupted_delivery_goes_along),
		TEST(a_software_interrupt_goes_along),
		TEST(a_triple_fault_and_a_shadow_go_along),
		TEST(impossible_events_are_refused),
		TEST(addresses_are_told_canonical),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
