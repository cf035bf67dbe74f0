// SPDX-License-Identifier: BSD-2-Clause
// Events into the guest: injection, faults on faults, deliveries that an exit interrupted, windows,
// steps, TPR threshold. SDM vol. 3, 25.6, 25.8.3, 28.2.4.
#include "tests/unit/vmx_test.h"
#include "vmx/counting.h"

#include <string.h>

#include "vmx/breakpoint.h"

#define VCPU vmx_test_vcpu
#define VMX  vmx_of(vmx_test_vcpu)

#define VALID     0x80000000u
#define HAS_ERROR BIT(11)
#define NMI_TYPE  (2u << 8)
#define EXCEPTION (3u << 8)
// vmx_fake.c: so many ticks a nanosecond, and a count.
#define STAY      (3 * VMX_STAY_ALONE_NS / 32)

static struct vmexit plain_exit(void)
{
	return vmx_test_exit(VMX_REASON_INTERRUPT, 0);
}

// Table 25-17.
static void injections_are_encoded(void **state)
{
	(void)state;
	vcpu_inject_interrupt(VCPU, 0xef);
	assert_true(vcpu_event_pending(VCPU));
	plain_exit();
	assert_int_equal(vmx_test_entered.event, VALID | 0xef);
	assert_false(vcpu_event_pending(VCPU));
	plain_exit();
	assert_int_equal(vmx_test_entered.event & VALID, 0);
	vcpu_inject_nmi(VCPU);
	plain_exit();
	assert_int_equal(vmx_test_entered.event, VALID | NMI_TYPE | 2);
	vcpu_inject_exception(VCPU, VECTOR_UD, false, 0);
	plain_exit();
	assert_int_equal(vmx_test_entered.event, VALID | EXCEPTION | 6);
	vcpu_inject_exception(VCPU, VECTOR_GP, true, 0x1234);
	plain_exit();
	assert_int_equal(vmx_test_entered.event, VALID | EXCEPTION | HAS_ERROR | 13);
	assert_int_equal(vmx_test_entered.error, 0x1234);
}

// 18.3.1.1: faults push RF set; traps and #DB, which was seen by an exit, as it is.
static void faults_set_the_resume_flag(void **state)
{
	static const struct {
		uint8_t vector;
		bool set;
	} cases[] = {{VECTOR_GP, true}, {VECTOR_UD, true}, {VECTOR_PF, true}, {VECTOR_DB, false},
		{VECTOR_BP, false}, {VECTOR_OF, false}, {VECTOR_DF, false}};

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(cases); i++) {
		vcpu_set_rflags(VCPU, RFLAGS_FIXED);
		vcpu_inject_exception(VCPU, cases[i].vector, false, 0);
		plain_exit();
		assert_int_equal((vmx_test_entered.rflags & RFLAGS_RF) != 0, cases[i].set);
	}
}

// 27.2.1.3: no error code while CR0.PE is clear.
static void real_mode_has_no_error_codes(void **state)
{
	struct vcpu_state real;

	(void)state;
	vcpu_reset(VCPU, VCPU_RESET_POWER);
	vcpu_get_state(VCPU, &real);
	assert_true((real.cr0 & CR0_PE) == 0);
	vcpu_inject_exception(VCPU, VECTOR_GP, true, 0);
	plain_exit();
	assert_int_equal(vmx_test_entered.event, VALID | EXCEPTION | 13);
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

// Attention calls the entry off: the event waits for the next one.
static void attention_keeps_the_event(void **state)
{
	struct vmexit exit;
	unsigned entries = fake_vmx.entries;

	(void)state;
	vcpu_inject_interrupt(VCPU, 0x44);
	vmx_test_cpu.attention = true;
	exit = plain_exit();
	assert_int_equal(exit.kind, VMEXIT_INTERRUPT);
	assert_true(exit.rip == vcpu_rip(VCPU));
	assert_int_equal(fake_vmx.entries, entries);
	assert_true(vcpu_event_pending(VCPU));
	assert_int_equal(FIELD(ENTRY_EVENT) & VALID, 0);
	vmx_test_cpu.attention = false;
	plain_exit();
	assert_int_equal(vmx_test_entered.event, VALID | 0x44);
}

// SDM vol. 3, table 6-5; the pairs in full are in svm_event_test.c, on the same function.
static void faults_on_faults_double_and_shut_down(void **state)
{
	(void)state;
	vcpu_inject_exception(VCPU, VECTOR_PF, true, 2);
	vcpu_inject_exception(VCPU, VECTOR_GP, true, 8);
	assert_int_equal(VMX->event, VALID | EXCEPTION | HAS_ERROR | VECTOR_DF);
	assert_int_equal(VMX->event_error, 0);
	vcpu_inject_exception(VCPU, VECTOR_NP, true, 8);
	assert_false(vcpu_event_pending(VCPU));
	assert_int_equal(plain_exit().kind, VMEXIT_SHUTDOWN);
	VMX->triple_fault = false;
	VMX->event = VALID | VECTOR_GP; // an interrupt with vector 13 is no fault
	VMX->has_event = true;
	vcpu_inject_exception(VCPU, VECTOR_GP, true, 0);
	assert_int_equal(VMX->event & 0xff, VECTOR_GP);
}

static void vectoring(uint32_t info, uint32_t error)
{
	FIELD(VECTORING) = info;
	FIELD(VECTORING_ERROR) = error;
	(void)vmx_test_exit(VMX_REASON_EPT_VIOLATION, 0);
	FIELD(VECTORING) = 0;
}

static void interrupted_deliveries_are_kept(void **state)
{
	(void)state;
	vectoring(0x30, 0); // not valid
	assert_false(vcpu_event_pending(VCPU));
	vectoring(VALID | 0x30, 0);
	assert_true(vcpu_event_pending(VCPU));
	plain_exit();
	assert_int_equal(vmx_test_entered.event, VALID | 0x30);
	vectoring(VALID | EXCEPTION | (uint32_t)HAS_ERROR | 14, 6);
	plain_exit();
	assert_int_equal(vmx_test_entered.event, VALID | EXCEPTION | HAS_ERROR | 14);
	assert_int_equal(vmx_test_entered.error, 6);
	vectoring(VALID | EXCEPTION | (uint32_t)HAS_ERROR | VECTOR_TS, 8);
	vcpu_inject_exception(VCPU, VECTOR_GP, true, 0x18);
	assert_int_equal(VMX->event & 0xff, VECTOR_DF);
}

// 27.3.1.5: an NMI is not injected while NMIs are blocked, though its delivery had blocked them.
static void an_interrupted_nmi_is_delivered_again(void **state)
{
	struct vcpu_state now;

	(void)state;
	FIELD(GUEST_INTERRUPTIBILITY) = VMX_BLOCKED_NMI;
	vectoring(VALID | NMI_TYPE | 2, 0);
	vcpu_get_state(VCPU, &now);
	assert_true(now.nmi_blocked);
	plain_exit();
	assert_int_equal(vmx_test_entered.event, VALID | NMI_TYPE | 2);
	assert_int_equal(vmx_test_entered.interruptibility & VMX_BLOCKED_NMI, 0);
}

// Their instruction runs again: INT n, INT1, INT3.
static void software_events_are_dropped(void **state)
{
	(void)state;
	for (unsigned type = 4; type <= 6; type++) {
		vectoring(VALID | type << 8 | 0x80, 0);
		assert_false(vcpu_event_pending(VCPU));
	}
}

// 28.2.3: the IRET had unblocked NMIs, and did not complete.
static void an_iret_that_faulted_blocks_again(void **state)
{
	(void)state;
	vmx_test_exit(VMX_REASON_EPT_VIOLATION, VMX_EPT_NMI_UNBLOCKED);
	assert_false(vcpu_can_inject(VCPU, VCPU_EVENT_NMI));
	plain_exit();
	assert_int_equal(vmx_test_entered.interruptibility, VMX_BLOCKED_NMI);
}

static void injection_follows_flags_and_shadows(void **state)
{
	static const uint32_t shadows[] = {VMX_BLOCKED_STI, VMX_BLOCKED_MOV_SS};

	(void)state;
	assert_true(vcpu_can_inject(VCPU, VCPU_EVENT_INTERRUPT));
	assert_true(vcpu_can_inject(VCPU, VCPU_EVENT_NMI));
	vcpu_set_rflags(VCPU, 0);
	assert_false(vcpu_can_inject(VCPU, VCPU_EVENT_INTERRUPT));
	assert_true(vcpu_can_inject(VCPU, VCPU_EVENT_NMI));
	vcpu_set_rflags(VCPU, RFLAGS_IF);
	for (unsigned i = 0; i < ARRAY_COUNT(shadows); i++) {
		plain_exit();
		FIELD(GUEST_INTERRUPTIBILITY) = shadows[i];
		assert_false(vcpu_can_inject(VCPU, VCPU_EVENT_INTERRUPT));
		assert_false(vcpu_can_inject(VCPU, VCPU_EVENT_NMI));
		assert_true(vcpu_can_inject(VCPU, VCPU_EVENT_EXCEPTION));
	}
	plain_exit();
	FIELD(GUEST_INTERRUPTIBILITY) = VMX_BLOCKED_NMI;
	assert_false(vcpu_can_inject(VCPU, VCPU_EVENT_NMI));
	assert_true(vcpu_can_inject(VCPU, VCPU_EVENT_INTERRUPT));
	expect_assert_failure(vcpu_inject_nmi(VCPU));
}

static void windows_hold_for_one_entry(void **state)
{
	unsigned writes;

	(void)state;
	vcpu_request_interrupt_window(VCPU);
	assert_int_equal(vmx_test_exit(VMX_REASON_INTERRUPT_WINDOW, 0).kind,
		VMEXIT_INTERRUPT_WINDOW);
	assert_true((vmx_test_entered.proc & VMX_PROC_INTERRUPT_WINDOW) != 0);
	assert_true((vmx_test_entered.proc & VMX_PROC_NMI_WINDOW) == 0);
	vcpu_request_nmi_window(VCPU);
	assert_int_equal(vmx_test_exit(VMX_REASON_NMI_WINDOW, 0).kind, VMEXIT_INTERRUPT_WINDOW);
	assert_true((vmx_test_entered.proc & VMX_PROC_INTERRUPT_WINDOW) == 0);
	assert_true((vmx_test_entered.proc & VMX_PROC_NMI_WINDOW) != 0);
	plain_exit();
	assert_int_equal(vmx_test_entered.proc, vmx_features.proc);
	writes = fake_vmx.writes;
	plain_exit();
	assert_int_equal(fake_vmx.writes - writes, 1); // RIP alone
}

static void a_step_is_the_monitor_trap_flag(void **state)
{
	struct vmexit exit;

	(void)state;
	assert_true(vmx_features.mtf);
	vcpu_request_step(VCPU);
	exit = vmx_test_exit(VMX_REASON_MTF, 0);
	assert_int_equal(exit.kind, VMEXIT_STEP);
	assert_true((vmx_test_entered.proc & VMX_PROC_MTF) != 0);
	assert_true((vmx_test_entered.rflags & RFLAGS_TF) == 0);
	plain_exit();
	assert_true((vmx_test_entered.proc & VMX_PROC_MTF) == 0);
	vcpu_request_step(VCPU); // another exit comes first: it is done with
	assert_int_equal(plain_exit().kind, VMEXIT_INTERRUPT);
	plain_exit();
	assert_true((vmx_test_entered.proc & VMX_PROC_MTF) == 0);
}

// 26.5.2: the flag's exit comes behind the injected event, before its handler's first instruction.
static void a_step_ends_with_the_delivery(void **state)
{
	(void)state;
	vcpu_request_step(VCPU);
	vcpu_inject_interrupt(VCPU, 0x55);
	assert_int_equal(vmx_test_exit(VMX_REASON_MTF, 0).kind, VMEXIT_INTERRUPT);
	vmx_features.mtf = false;
	vcpu_request_step(VCPU);
	vcpu_inject_interrupt(VCPU, 0x55);
	assert_int_equal(vmx_test_exit(VMX_REASON_TIMER, 0).kind, VMEXIT_INTERRUPT);
	assert_int_equal(vmx_test_entered.timer, 1);
}

// The guest's own TF: its trap comes before the timer's exit.
static void a_step_of_a_stepping_guest_traps_it(void **state)
{
	struct vmexit exit;

	(void)state;
	vmx_features.mtf = false;
	fake_x86.dr6 = 0xffff0ff0;
	FIELD(EXIT_EVENT) = VALID | EXCEPTION | VECTOR_DB;
	vcpu_request_step(VCPU);
	exit = vmx_test_exit(VMX_REASON_EXCEPTION, VMX_DEBUG_BS);
	assert_int_equal(exit.kind, VMEXIT_STEP);
	assert_int_equal(VMX->event, VALID | EXCEPTION | VECTOR_DB);
	assert_true(fake_x86.dr6 == 0xffff4ff0);
	plain_exit();
	fake_x86.dr6 = 0xffff0ff0;
	vcpu_request_step(VCPU); // a breakpoint on the instruction: it has not run
	exit = vmx_test_exit(VMX_REASON_EXCEPTION, 1);
	assert_int_equal(exit.kind, VMEXIT_EXCEPTION);
	assert_false(vcpu_event_pending(VCPU));
	exit = vmx_test_exit(VMX_REASON_EXCEPTION, VMX_DEBUG_BS); // no step
	assert_int_equal(exit.kind, VMEXIT_EXCEPTION);
}

static void a_step_may_be_the_timers(void **state)
{
	(void)state;
	vmx_features.mtf = false;
	vcpu_request_step(VCPU);
	assert_int_equal(vmx_test_exit(VMX_REASON_TIMER, 0).kind, VMEXIT_STEP);
	assert_int_equal(vmx_test_entered.timer, 2);
	assert_true((vmx_test_entered.pin & VMX_PIN_TIMER) != 0);
	assert_true((vmx_test_entered.proc & VMX_PROC_MTF) == 0);
	assert_int_equal(vmx_test_exit(VMX_REASON_TIMER, 0).kind, VMEXIT_INTERRUPT);
	assert_int_equal(vmx_test_entered.timer, STAY);
}

// 26.5.1.
static void no_entry_lasts_long(void **state)
{
	(void)state;
	assert_int_equal(plain_exit().kind, VMEXIT_INTERRUPT);
	assert_int_equal(vmx_test_entered.timer, STAY);
	assert_true((vmx_test_entered.pin & VMX_PIN_TIMER) != 0);
	assert_int_equal(vmx_test_exit(VMX_REASON_TIMER, 0).kind, VMEXIT_INTERRUPT);
	vcpu_request_step(VCPU); // by the monitor trap flag: it has not come
	assert_int_equal(vmx_test_exit(VMX_REASON_TIMER, 0).kind, VMEXIT_INTERRUPT);
	assert_int_equal(vmx_test_entered.timer, STAY);
}

// 26.5.1: the timer's ticks are those of the TSC, 2 to the power of a shift at a time.
static void a_limit_is_the_preemption_timers(void **state)
{
	enum { LONGEST = 100000 };

	(void)state;
	VMX->stay = LONGEST;
	vmx_features.timer_shift = 0;
	vcpu_set_counting(VCPU, VCPU_COUNTING);
	assert_true(vcpu_limit(VCPU, 1000));
	assert_int_equal(vmx_test_exit(VMX_REASON_TIMER, 0).kind, VMEXIT_INTERRUPT);
	assert_int_equal(vmx_test_entered.timer, 1000);
	plain_exit(); // it held for one entry
	assert_int_equal(vmx_test_entered.timer, LONGEST);
	vmx_features.timer_shift = 5;
	assert_true(vcpu_limit(VCPU, 1000));
	plain_exit();
	assert_int_equal(vmx_test_entered.timer, 1000 >> 5);
	assert_false(vcpu_limit(VCPU, 63)); // too near
	assert_true(vcpu_limit(VCPU, UINT64_MAX)); // no entry is longer than any other's
	plain_exit();
	assert_int_equal(vmx_test_entered.timer, LONGEST);
	assert_true(vcpu_limit(VCPU, 1000));
	vmx_test_cpu.attention = true; // not entered: it is done with all the same
	plain_exit();
	vmx_test_cpu.attention = false;
	plain_exit();
	assert_int_equal(vmx_test_entered.timer, LONGEST);
	vmx_features.timer = false;
	assert_false(vcpu_limit(VCPU, 1000));
}

static void counting_takes_the_time_stamps(void **state)
{
	(void)state;
	plain_exit();
	assert_ptr_equal(VCPU->host, NULL); // the fake's world switch does not write it
	vcpu_set_counting(VCPU, VCPU_COUNTING);
	vcpu_counting_overhead = 0;
	for (unsigned i = 0; i < 3; i++) {
		// Of another stack: HOST_RSP is written anew, so that each switch is the same.
		VCPU->host = VCPU;
		assert_true(plain_exit().ticks - 1 < UINT32_MAX);
		assert_ptr_equal(VCPU->host, NULL);
		assert_true((vmx_test_entered.proc & VMX_PROC_RDTSC) != 0);
	}
	vmx_test_cpu.attention = true;
	assert_int_equal(plain_exit().ticks, 0); // not entered
	vmx_test_cpu.attention = false;
	vcpu_set_counting(VCPU, VCPU_COUNTING_TSC_PASSES);
	vcpu_set_tsc_at_entry(VCPU, 0);
	plain_exit();
	assert_true((vmx_test_entered.proc & VMX_PROC_RDTSC) == 0);
	assert_true(FIELD(TSC_OFFSET) + vcpu_tsc_lead > UINT64_MAX / 2); // minus the host's
	vcpu_set_counting(VCPU, VCPU_COUNTING_OFF);
	plain_exit();
	assert_true((vmx_test_entered.proc & VMX_PROC_RDTSC) == 0);
}

// 30.1.2: the exit comes when the priority falls below the threshold.
static void the_threshold_follows_the_priority(void **state)
{
	(void)state;
	vcpu_set_tpr(VCPU, 5);
	plain_exit();
	assert_int_equal(vmx_test_entered.threshold, 0);
	vcpu_intercept_tpr(VCPU, true);
	assert_int_equal(plain_exit().tpr, 5);
	assert_int_equal(vmx_test_entered.threshold, 5);
	VMX->virtual_apic[0x80] = 0x90; // raised by the guest
	assert_int_equal(plain_exit().tpr, 9);
	plain_exit();
	assert_int_equal(vmx_test_entered.threshold, 9);
	vcpu_set_tpr(VCPU, 3); // never above the priority: 27.2.1.1
	assert_int_equal(vmx_test_exit(VMX_REASON_TPR, 0).kind, VMEXIT_INTERRUPT_WINDOW);
	assert_int_equal(vmx_test_entered.threshold, 3);
	vcpu_intercept_tpr(VCPU, false);
	plain_exit();
	assert_int_equal(vmx_test_entered.threshold, 0);
}

// 17.2.4: a port that the hypervisor has answered for the guest.
static void a_breakpoint_traps_after_emulation(void **state)
{
	(void)state;
	fake_x86.dr6 = 0xffff0ff0;
	fake_x86.dr[1] = 0x80;
	plain_exit();
	assert_true((vmx_test_entered.proc & VMX_PROC_MOV_DR) != 0);
	assert_int_equal(vmx_test_exit(VMX_REASON_DR_ACCESS, 7).kind, VMEXIT_INTERRUPT);
	plain_exit();
	assert_true((vmx_test_entered.proc & VMX_PROC_MOV_DR) == 0);
	FIELD(GUEST_DR7) = 0x00200008;
	assert_int_equal(vcpu_write_cr4(VCPU, CR4_PAE | CR4_DE, UINT32_MAX), STATUS_OK);
	vcpu_note_access(VCPU, VCPU_ACCESS_PORT, 0x80, 1);
	assert_false(vcpu_event_pending(VCPU));
	vcpu_advance(VCPU, 2);
	assert_true(vcpu_event_pending(VCPU));
	assert_true(fake_x86.dr6 == 0xffff0ff2);
	plain_exit();
	assert_int_equal(vmx_test_entered.event, 0x80000300 | VECTOR_DB);
	vcpu_finish(VCPU, 2, RFLAGS_FIXED);
	assert_false(vcpu_event_pending(VCPU));
	vcpu_request_interrupt_window(VCPU); // controls are written anew
	plain_exit();
	assert_true((vmx_test_entered.proc & VMX_PROC_MOV_DR) == 0);
	FIELD(GUEST_DR7) = 0x400;
	assert_false(vcpu_has_breakpoints(VCPU));
	plain_exit();
	assert_true((vmx_test_entered.proc & VMX_PROC_MOV_DR) != 0);
	vcpu_request_step(VCPU); // which may be a write of DR7
	plain_exit();
	assert_true((vmx_test_entered.proc & VMX_PROC_MOV_DR) == 0);
	plain_exit();
	assert_true((vmx_test_entered.proc & VMX_PROC_MOV_DR) == 0);
}

// 26.1.3. A window's entry in between leaves it as it is.
static void waits_with_pause_exit(void **state)
{
	const uint64_t controls = FIELD(PROC2_CONTROLS); // as the guest's CPUID wants them

	(void)state;
	assert_int_equal(controls & VMX_PROC2_PAUSE_LOOP, 0);
	vcpu_intercept_pause(VCPU, VCPU_PAUSE_LOOPS);
	plain_exit();
	assert_int_equal(vmx_test_entered.timer, 3 * VMX_STAY_NS / 32); // it has to share
	assert_int_equal(vmx_test_entered.proc & VMX_PROC_PAUSE, 0);
	assert_int_equal(FIELD(PROC2_CONTROLS), controls | VMX_PROC2_PAUSE_LOOP);
	assert_int_equal(FIELD(PLE_GAP), VMX_PAUSE_GAP);
	assert_int_equal(FIELD(PLE_WINDOW), VMX_PAUSE_WINDOW);
	assert_int_equal(vmx_test_exit(VMX_REASON_PAUSE, 0).kind, VMEXIT_PAUSE);
	vcpu_intercept_pause(VCPU, VCPU_PAUSE_NEVER);
	assert_int_equal(FIELD(PROC2_CONTROLS), controls);
	vmx_features.pause_loop = false;
	vcpu_intercept_pause(VCPU, VCPU_PAUSE_LOOPS);
	vcpu_request_nmi_window(VCPU);
	plain_exit();
	assert_true((vmx_test_entered.proc & VMX_PROC_PAUSE) != 0);
	plain_exit();
	assert_true((vmx_test_entered.proc & VMX_PROC_PAUSE) != 0);
	assert_int_equal(FIELD(PROC2_CONTROLS), controls);
	vcpu_intercept_pause(VCPU, VCPU_PAUSE_NEVER);
	plain_exit();
	assert_int_equal(vmx_test_entered.timer, STAY);
	assert_true((vmx_test_entered.proc & VMX_PROC_PAUSE) == 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, vmx_test_setup, vmx_test_teardown)
	const struct CMUnitTest tests[] = {
		TEST(injections_are_encoded),
		TEST(waits_with_pause_exit),
		TEST(no_entry_lasts_long),
		TEST(faults_set_the_resume_flag),
		TEST(real_mode_has_no_error_codes),
		TEST(one_event_at_a_time),
		TEST(attention_keeps_the_event),
		TEST(faults_on_faults_double_and_shut_down),
		TEST(interrupted_deliveries_are_kept),
		TEST(an_interrupted_nmi_is_delivered_again),
		TEST(software_events_are_dropped),
		TEST(an_iret_that_faulted_blocks_again),
		TEST(injection_follows_flags_and_shadows),
		TEST(windows_hold_for_one_entry),
		TEST(a_step_is_the_monitor_trap_flag),
		TEST(a_step_ends_with_the_delivery),
		TEST(a_step_of_a_stepping_guest_traps_it),
		TEST(a_step_may_be_the_timers),
		TEST(a_limit_is_the_preemption_timers),
		TEST(counting_takes_the_time_stamps),
		TEST(the_threshold_follows_the_priority),
		TEST(a_breakpoint_traps_after_emulation),
	};

	return cmocka_run_group_tests_name("vmx_event", tests, NULL, NULL);
}
