// SPDX-License-Identifier: BSD-2-Clause
// What is under way at an exit goes with a vcpu's state: struct vcpu_event and its neighbours.
#include "tests/unit/vmx_test.h"

#include <string.h>

#define VCPU vmx_test_vcpu
#define VMX  vmx_of(vmx_test_vcpu)

#include "tests/unit/inflight.h"

static void enter(void)
{
	(void)vmx_test_exit(VMX_REASON_INTERRUPT, 0);
}

static void an_exception_goes_along(void **state)
{
	struct vcpu_state now;

	(void)state;
	vcpu_inject_exception(VCPU, VECTOR_PF, true, 7);
	now = carried();
	assert_int_equal(now.event.kind, VCPU_EVENT_EXCEPTION);
	assert_int_equal(now.event.vector, VECTOR_PF);
	assert_true(now.event.has_error_code);
	assert_int_equal(now.event.error_code, 7);
	assert_int_equal(FIELD(ENTRY_EVENT) & VMX_EVENT_VALID, 0); // not before the entry
	vcpu_inject_exception(VCPU, VECTOR_PF, true, 0); // a second one still makes it #DF
	enter();
	assert_int_equal(vmx_test_entered.event, VMX_EVENT_VALID | VMX_EVENT_EXCEPTION |
			VMX_EVENT_HAS_ERROR | VECTOR_DF);
}

// 27.3.1.5: injection with NMIs blocked would fail; the injection is what blocks.
static void an_nmi_goes_along(void **state)
{
	struct vcpu_state now;

	(void)state;
	vcpu_inject_nmi(VCPU);
	now = carried();
	assert_int_equal(now.event.kind, VCPU_EVENT_NMI);
	assert_true(now.nmi_blocked);
	assert_int_equal(FIELD(GUEST_INTERRUPTIBILITY) & VMX_BLOCKED_NMI, 0);
	assert_false(vcpu_can_inject(VCPU, VCPU_EVENT_NMI));
	enter();
	assert_int_equal(vmx_test_entered.event, VMX_EVENT_VALID | VMX_EVENT_NMI | VECTOR_NMI);
}

// 28.2.4: an exit during the delivery.
static void an_interrupted_delivery_goes_along(void **state)
{
	(void)state;
	FIELD(VECTORING) = VMX_EVENT_VALID | 0x62;
	(void)vmx_test_exit(VMX_REASON_EPT_VIOLATION, 0);
	assert_int_equal(carried().event.kind, VCPU_EVENT_INTERRUPT);
	FIELD(VECTORING) = 0;
	enter();
	assert_int_equal(vmx_test_entered.event, VMX_EVENT_VALID | 0x62);
}

// Another engine's: here it is the event itself, and nothing can wait behind an event.
static void an_offered_interrupt_becomes_the_event(void **state)
{
	struct vcpu_state now;

	(void)state;
	vcpu_get_state(VCPU, &now);
	now.offered = VCPU_OFFERED | 0x51;
	assert_int_equal(vcpu_set_state(VCPU, &now), STATUS_OK);
	vcpu_get_state(VCPU, &now);
	assert_int_equal(now.event.kind, VCPU_EVENT_INTERRUPT);
	assert_int_equal(now.event.vector, 0x51);
	assert_int_equal(now.offered, 0);
	now.offered = VCPU_OFFERED | 0x52;
	assert_int_equal(vcpu_set_state(VCPU, &now), STATUS_INVALID);
	enter();
	assert_int_equal(vmx_test_entered.event, VMX_EVENT_VALID | 0x51);
}

static void software_events_keep_their_length(void **state)
{
	static const struct vcpu_event events[] = {{VCPU_EVENT_SOFTWARE, 0x80, false, 2, 0},
		{VCPU_EVENT_ICEBP, VECTOR_DB, false, 1, 0}};
	static const uint32_t types[] = {VMX_EVENT_SOFTWARE_INTERRUPT, VMX_EVENT_PRIVILEGED};
	struct vcpu_state now;

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(events); i++) {
		vcpu_get_state(VCPU, &now);
		now.event = events[i];
		assert_int_equal(vcpu_set_state(VCPU, &now), STATUS_OK);
		now = carried();
		assert_memory_equal(&now.event, &events[i], sizeof(events[i]));
		enter();
		assert_int_equal(vmx_test_entered.event,
			VMX_EVENT_VALID | types[i] | events[i].vector);
		assert_int_equal(vmx_test_entered.length, events[i].length);
	}
}

// 6.8.3: MOV SS holds back what STI does not.
static void the_kind_of_a_shadow_and_held_traps_go_along(void **state)
{
	struct vcpu_state now;

	(void)state;
	vmx_cached_set(VCPU, VMX_INTERRUPTIBILITY, VMX_BLOCKED_MOV_SS);
	FIELD(GUEST_PENDING_DEBUG) = VMX_DEBUG_ENABLED | 1;
	now = carried();
	assert_true(now.interrupt_shadow && now.stack_shadow);
	assert_int_equal(FIELD(GUEST_INTERRUPTIBILITY), VMX_BLOCKED_MOV_SS);
	assert_int_equal(FIELD(GUEST_PENDING_DEBUG), VMX_DEBUG_ENABLED | 1);
	vmx_cached_set(VCPU, VMX_INTERRUPTIBILITY, VMX_BLOCKED_STI);
	now = carried();
	assert_true(now.interrupt_shadow && !now.stack_shadow);
	assert_int_equal(FIELD(GUEST_INTERRUPTIBILITY), VMX_BLOCKED_STI);
}

static void a_triple_fault_goes_along(void **state)
{
	(void)state;
	vcpu_inject_exception(VCPU, VECTOR_DF, true, 0);
	vcpu_inject_exception(VCPU, VECTOR_GP, true, 0);
	assert_true(carried().triple_fault);
	assert_int_equal(vmx_test_exit(VMX_REASON_INTERRUPT, 0).kind, VMEXIT_SHUTDOWN);
}

// 4.4.1: those that the CPU has loaded count, not what is in memory now; there is none here.
static void pae_entries_go_along(void **state)
{
	struct vcpu_state now;

	(void)state;
	vcpu_get_state(VCPU, &now);
	now.efer = 0;
	now.cr3 = 0x1000;
	now.rip = 0x1000;
	now.segment[SEGMENT_CS].attributes = 0xc9b;
	now.has_pdptes = true;
	now.pdpte[0] = 0x2001;
	now.pdpte[3] = 0x5001;
	assert_int_equal(vcpu_set_state(VCPU, &now), STATUS_OK);
	assert_int_equal(FIELD(GUEST_PDPTE0), 0x2001);
	now = carried();
	assert_true(now.has_pdptes && now.pdpte[0] == 0x2001 && now.pdpte[3] == 0x5001);
	assert_int_equal(FIELD(GUEST_PDPTE3), 0x5001);
}

// What an entry would refuse leaves the vcpu as it was.
static void impossible_events_are_refused(void **state)
{
	struct vcpu_state now, after;

	(void)state;
	vcpu_inject_exception(VCPU, VECTOR_UD, false, 0);
	vcpu_get_state(VCPU, &now);
	after = now;
	after.event = (struct vcpu_event){VCPU_EVENT_INTERRUPT, 0x31, false, 0, 0};
	after.rflags &= ~RFLAGS_IF;
	assert_int_equal(vcpu_set_state(VCPU, &after), STATUS_INVALID);
	after = now;
	after.event = (struct vcpu_event){VCPU_EVENT_INTERRUPT, 0x31, false, 0, 0};
	after.interrupt_shadow = true;
	assert_int_equal(vcpu_set_state(VCPU, &after), STATUS_INVALID);
	vcpu_get_state(VCPU, &after);
	assert_memory_equal(&now, &after, sizeof(now));
	enter();
	assert_int_equal(vmx_test_entered.event,
		VMX_EVENT_VALID | VMX_EVENT_EXCEPTION | VECTOR_UD);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, vmx_test_setup, vmx_test_teardown)
	const struct CMUnitTest tests[] = {
		TEST(an_exception_goes_along),
		TEST(an_nmi_goes_along),
		TEST(an_interrupted_delivery_goes_along),
		TEST(an_offered_interrupt_becomes_the_event),
		TEST(software_events_keep_their_length),
		TEST(the_kind_of_a_shadow_and_held_traps_go_along),
		TEST(a_triple_fault_goes_along),
		TEST(pae_entries_go_along),
		TEST(impossible_events_are_refused),
	};

	return cmocka_run_group_tests_name("vmx_inflight", tests, NULL, NULL);
}
