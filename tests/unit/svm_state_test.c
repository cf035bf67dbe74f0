// SPDX-License-Identifier: BSD-2-Clause
// Registers and MSRs of a vcpu in the control block: rules of the CPU, clean bits, TLB flushes.
#include "tests/unit/svm_test.h"

#include <string.h>

#include "vmx/breakpoint.h"
#include "vmx/cpuid.h"

#define SVM  (&svm_test_vcpu)
#define VCPU (&svm_test_vcpu.vcpu)
#define VMCB (&svm_test_vmcb)

#define LONG_CR0 (CR0_PE | CR0_PG | CR0_ET)

static struct vcpu_state current(void)
{
	struct vcpu_state state;

	memset(&state, 0xa5, sizeof(state));
	vcpu_get_state(VCPU, &state);
	return state;
}

// To legacy protected mode, with or without paging.
static void enter_legacy_mode(bool paging)
{
	struct vcpu_state state = current();

	state.cr0 = CR0_PE | CR0_ET | (paging ? CR0_PG : 0);
	state.cr4 = 0;
	state.efer = 0;
	state.segment[SEGMENT_CS].attributes = 0xc9b;
	assert_int_equal(vcpu_set_state(VCPU, &state), STATUS_OK);
	svm_test_clean();
}

// SDM vol. 3, table 9-1.
static void reset_is_that_of_power_on(void **state)
{
	struct vcpu_state now;

	(void)state;
	memset(VCPU->gpr, 0xa5, sizeof(VCPU->gpr));
	SVM->event = 1;
	SVM->triple_fault = SVM->nmi_blocked = true;
	fake_x86.xcr0 = 7;
	fake_x86.dr[2] = 5;
	vcpu_reset(VCPU, VCPU_RESET_POWER);
	now = current();
	assert_true(now.rip == 0xfff0 && now.rflags == 2);
	assert_true(now.cr0 == 0x60000010 && now.cr2 == 0 && now.cr3 == 0 && now.cr4 == 0);
	assert_true(now.efer == 0 && now.cr8 == 0 && now.xcr0 == 1);
	assert_true(now.dr6 == 0xffff0ff0 && now.dr7 == 0x400 && now.dr[2] == 0);
	assert_true(now.pat == 0x0007040600070406);
	assert_true(now.segment[SEGMENT_CS].base == 0xffff0000);
	assert_int_equal(now.segment[SEGMENT_CS].selector, 0xf000);
	assert_int_equal(now.segment[SEGMENT_CS].limit, 0xffff);
	assert_int_equal(now.segment[SEGMENT_CS].attributes & 0x9f, 0x9b);
	assert_int_equal(now.segment[SEGMENT_SS].attributes & 0x9f, 0x93);
	assert_int_equal(now.segment[SEGMENT_LDTR].attributes & 0x9f, 0x82);
	assert_int_equal(now.segment[SEGMENT_TR].attributes & 0x9f, 0x8b);
	assert_true(now.gdtr_limit == 0xffff && now.idtr_limit == 0xffff);
	for (unsigned i = 0; i < GPR_COUNT; i++)
		assert_true(now.gpr[i] == (i == GPR_RDX ? 0x00a20f10 : 0));
	assert_false(vcpu_event_pending(VCPU) || SVM->triple_fault || now.nmi_blocked);
	assert_int_equal(vcpu_cpl(VCPU), 0);
	assert_int_equal(vcpu_code_bits(VCPU), 16);
}

// Distinct values everywhere, so that no two members can change places.
static void fill(struct vcpu_state *state)
{
	uint64_t *const values[] = {&state->rip, &state->cr2, &state->cr3, &state->gdtr_base,
		&state->idtr_base, &state->star, &state->lstar, &state->cstar, &state->sfmask,
		&state->kernel_gs_base, &state->sysenter_cs, &state->sysenter_esp,
		&state->sysenter_eip, &state->pat, &state->tsc_aux, &state->debugctl};

	for (unsigned i = 0; i < ARRAY_COUNT(values); i++)
		*values[i] = 0x1000000 + i;
	for (uint64_t i = 0; i < GPR_COUNT; i++)
		state->gpr[i] = 0x2000000 + i;
	for (uint64_t i = 0; i < 4; i++)
		state->dr[i] = 0x3000000 + i;
	for (unsigned i = 0; i < SEGMENT_COUNT; i++)
		state->segment[i] = (struct vcpu_segment_state){(uint16_t)(8 * i + 3),
			(uint16_t)(0x0f0 + i), 0x4000000 + i, 0x5000000 + i};
	state->rflags = RFLAGS_FIXED | RFLAGS_IF | RFLAGS_AC;
	state->cr0 = LONG_CR0 | CR0_WP;
	state->cr4 = CR4_PAE | CR4_PGE;
	state->efer = EFER_LME | EFER_LMA | EFER_NXE;
	state->cr8 = 11;
	state->dr6 = 0xffff0ff1;
	state->dr7 = 0x401;
	state->gdtr_limit = 0x77;
	state->idtr_limit = 0xfff;
	state->xcr0 = 7;
	state->interrupt_shadow = state->nmi_blocked = true;
}

static void a_state_makes_the_round_trip(void **state)
{
	struct vcpu_state want, got;

	(void)state;
	memset(&want, 0, sizeof(want));
	fill(&want);
	SVM->event = 1;
	SVM->triple_fault = true;
	assert_int_equal(vcpu_set_state(VCPU, &want), STATUS_OK);
	got = current();
	assert_memory_equal(&got, &want, offsetof(struct vcpu_state, nmi_blocked) + 1);
	assert_true((VMCB->efer & EFER_SVME) != 0); // VMRUN demands it: APM vol. 2, 15.5.1
	assert_int_equal(VMCB->clean, 0);
	assert_int_equal(VMCB->tlb_control, SVM_TLB_FLUSH_ALL);
	assert_true((VMCB->virtual_interrupt & SVM_V_INTR_MASKING) != 0);
	assert_int_equal(vcpu_cpl(VCPU), want.segment[SEGMENT_SS].attributes >> 5 & 3);
	assert_false(vcpu_event_pending(VCPU));
	assert_false(SVM->triple_fault);
	assert_memory_equal(fake_x86.dr, want.dr, sizeof(want.dr));
	assert_true(fake_x86.xcr0 == 7);
	assert_ptr_equal(vcpu_gpr(VCPU), VCPU->gpr);
}

// Where the control block has them: APM vol. 2, table B-2.
static void segments_lie_in_their_places(void **state)
{
	static const size_t places[SEGMENT_COUNT] = {0x400, 0x410, 0x420, 0x430, 0x440, 0x450,
		0x470, 0x490};
	struct vcpu_state all = current();

	(void)state;
	fill(&all);
	assert_int_equal(vcpu_set_state(VCPU, &all), STATUS_OK);
	for (unsigned i = 0; i < SEGMENT_COUNT; i++) {
		struct vcpu_segment_state one = vcpu_segment(VCPU, (enum vcpu_segment)i);

		assert_memory_equal((uint8_t *)VMCB + places[i], &all.segment[i], sizeof(one));
		assert_memory_equal(&one, &all.segment[i], sizeof(one));
	}
	assert_true(VMCB->gdtr.base == all.gdtr_base && VMCB->gdtr.limit == 0x77);
	assert_true(VMCB->idtr.base == all.idtr_base && VMCB->idtr.limit == 0xfff);
}

static void expect_state_refused(const struct vcpu_state *bad)
{
	struct svm_vmcb before = *VMCB;

	assert_int_equal(vcpu_set_state(VCPU, bad), STATUS_INVALID);
	assert_memory_equal(&before, VMCB, sizeof(before));
}

// APM vol. 2, 15.5.1: VMRUN would refuse them.
static void impossible_states_are_refused(void **state)
{
	struct vcpu_state good = current(), bad;

	(void)state;
#define REFUSE(change) (bad = good, change, expect_state_refused(&bad))
	REFUSE(bad.cr0 |= CR0_NW);
	REFUSE(bad.cr0 &= ~CR0_PE);
	REFUSE(bad.cr0 |= BIT(32));
	REFUSE(bad.cr4 &= ~CR4_PAE);
	REFUSE(bad.dr6 |= BIT(32));
	REFUSE(bad.dr7 |= BIT(63));
#undef REFUSE
	assert_int_equal(vcpu_set_state(VCPU, &good), STATUS_OK);
}

static void code_is_16_32_or_64_bits(void **state)
{
	(void)state;
	assert_int_equal(vcpu_code_bits(VCPU), 64);
	VMCB->cs.attributes = 0xc9b; // compatibility mode
	assert_int_equal(vcpu_code_bits(VCPU), 32);
	VMCB->cs.attributes = 0x09b;
	assert_int_equal(vcpu_code_bits(VCPU), 16);
	VMCB->efer &= ~EFER_LMA;
	VMCB->cs.attributes = 0xa9b; // L means nothing outside long mode
	assert_int_equal(vcpu_code_bits(VCPU), 16);
}

// Each setter, and the group of the control block that it changes: APM vol. 2, 15.15.3.
static void setters_clear_their_clean_bits(void **state)
{
	(void)state;
	vcpu_set_cr2(VCPU, 0x1234);
	assert_int_equal(svm_test_dirtied(), SVM_CLEAN_CR2);
	vcpu_set_tpr(VCPU, 0x1f);
	assert_int_equal(svm_test_dirtied(), SVM_CLEAN_TPR);
	assert_int_equal(current().cr8, 0xf);
	vcpu_set_tsc_offset(VCPU, 0x8000000000000001);
	assert_int_equal(svm_test_dirtied(), SVM_CLEAN_INTERCEPTS);
	assert_true(vcpu_tsc_offset(VCPU) == 0x8000000000000001);
	vcpu_intercept_tpr(VCPU, true);
	assert_int_equal(svm_test_dirtied(), SVM_CLEAN_INTERCEPTS);
	assert_true((VMCB->intercept_cr & SVM_INTERCEPT_CR8_WRITE) != 0);
	vcpu_intercept_tpr(VCPU, true); // as it is: nothing to load
	assert_int_equal(svm_test_dirtied(), 0);
	vcpu_intercept_tpr(VCPU, false);
	assert_int_equal(svm_test_dirtied(), SVM_CLEAN_INTERCEPTS);
	assert_true((VMCB->intercept_cr & SVM_INTERCEPT_CR8_WRITE) == 0);
	svm_features.pause_filter = true;
	svm_features.pause_threshold = false;
	vcpu_intercept_pause(VCPU, VCPU_PAUSE_LOOPS); // APM vol. 2, 15.14.4
	assert_int_equal(svm_test_dirtied(), SVM_CLEAN_INTERCEPTS);
	assert_true((VMCB->intercept3 & BIT(23)) != 0);
	assert_int_equal(VMCB->pause_count, SVM_PAUSE_COUNT);
	assert_int_equal(VMCB->pause_threshold, 0);
	svm_features.pause_filter = false;
	vcpu_intercept_pause(VCPU, VCPU_PAUSE_NEVER);
	assert_int_equal(svm_test_dirtied(), SVM_CLEAN_INTERCEPTS);
	assert_true((VMCB->intercept3 & BIT(23)) == 0);
	assert_int_equal(VMCB->pause_count, 0);
	assert_int_equal(vcpu_write_cr0(VCPU, LONG_CR0 | CR0_TS), STATUS_OK);
	assert_int_equal(svm_test_dirtied(), SVM_CLEAN_CRX);
	assert_int_equal(vcpu_write_cr4(VCPU, CR4_PAE | CR4_DE, UINT32_MAX), STATUS_OK);
	assert_int_equal(svm_test_dirtied(), SVM_CLEAN_CRX);
	assert_int_equal(vcpu_write_msr(VCPU, MSR_EFER, EFER_LME | EFER_NXE), STATUS_OK);
	assert_int_equal(svm_test_dirtied(), SVM_CLEAN_CRX);
	vcpu_set_rip(VCPU, 1); // never cached
	vcpu_set_rflags(VCPU, 0);
	assert_int_equal(svm_test_dirtied(), 0);
	assert_true(vcpu_rip(VCPU) == 1 && vcpu_rflags(VCPU) == RFLAGS_FIXED);
	vcpu_finish(VCPU, 2, RFLAGS_FIXED | RFLAGS_TF);
	assert_int_equal(svm_test_dirtied(), SVM_CLEAN_DRX);
}

static void advancing_ends_the_shadow(void **state)
{
	(void)state;
	VMCB->interrupt_shadow = 3;
	VMCB->rip = 0xfffffff0;
	VMCB->rflags |= RFLAGS_RF;
	vcpu_advance(VCPU, 15);
	assert_true(VMCB->rip == 0xffffffff);
	assert_int_equal(VMCB->interrupt_shadow, 2);
	assert_true((VMCB->rflags & RFLAGS_RF) == 0);
	assert_false(vcpu_event_pending(VCPU));
	vcpu_advance(VCPU, 2); // 64-bit code goes on
	assert_true(VMCB->rip == 0x100000001);
	enter_legacy_mode(true);
	VMCB->rip = 0xffffffff;
	vcpu_advance(VCPU, 2); // 32-bit code wraps
	assert_true(VMCB->rip == 1);
}

// SDM vol. 3, 18.3.1.4: the trap comes after the instruction; an event that waits goes before it.
static void a_stepping_guest_traps_after_emulation(void **state)
{
	(void)state;
	VMCB->rflags |= RFLAGS_TF;
	vcpu_advance(VCPU, 2);
	assert_true((VMCB->dr6 & BIT(14)) != 0);
	assert_int_equal(SVM->event & 0xff, VECTOR_DB);
	VMCB->dr6 = 0xffff0ff0;
	SVM->event = SVM_EVENT_VALID | 0x30;
	vcpu_advance(VCPU, 2);
	assert_int_equal(SVM->event & 0xff, 0x30);
	assert_true(VMCB->dr6 == 0xffff0ff0);
}

// SDM vol. 3, 17.2.4 and 17.2.5: kinds, lengths, alignment, CR4.DE.
static void breakpoints_match_accesses(void **state)
{
	static const struct {
		uint64_t dr7, at;
		enum vcpu_access access;
		unsigned bytes, hits;
	} cases[] = {
		{0x000d0002, 0x1000, VCPU_ACCESS_WRITE, 1, 1},
		{0x000d0001, 0x1003, VCPU_ACCESS_WRITE, 8, 1},
		{0x000d0002, 0x1004, VCPU_ACCESS_WRITE, 4, 0},
		{0x000d0002, 0xffc, VCPU_ACCESS_WRITE, 4, 0},
		{0x000d0002, 0xffd, VCPU_ACCESS_WRITE, 4, 1},
		{0x000d0002, 0x1000, VCPU_ACCESS_READ, 4, 0},
		{0x000d0000, 0x1000, VCPU_ACCESS_WRITE, 4, 0},
		{0x000f0002, 0x1000, VCPU_ACCESS_READ, 4, 1},
		{0x000f0002, 0x1000, VCPU_ACCESS_WRITE, 4, 1},
		{0x00020002, 0x1002, VCPU_ACCESS_PORT, 1, 1},
		{0x00020002, 0x1002, VCPU_ACCESS_WRITE, 1, 0},
		{0x000f0002, 0x1000, VCPU_ACCESS_PORT, 1, 0},
		{0x00000002, 0x1002, VCPU_ACCESS_READ, 1, 0},
		{0x00900008, 0x2007, VCPU_ACCESS_WRITE, 1, 2},
		{0x00900008, 0x2008, VCPU_ACCESS_WRITE, 1, 0},
		{0x009d000a, 0x1fff, VCPU_ACCESS_WRITE, 2, 2},
	};

	(void)state;
	fake_x86.dr[0] = 0x1002; // bits below the length do not count
	fake_x86.dr[1] = 0x2000;
	for (unsigned i = 0; i < ARRAY_COUNT(cases); i++) {
		svm_watch_dr7(VCPU, false);
		VMCB->dr7 = cases[i].dr7;
		VMCB->cr4 |= CR4_DE;
		VCPU->breakpoint_hits = 0;
		vcpu_note_access(VCPU, cases[i].access, cases[i].at, cases[i].bytes);
		assert_int_equal(VCPU->breakpoint_hits, cases[i].hits);
		VMCB->cr4 &= ~CR4_DE;
		svm_watch_dr7(VCPU, false);
		VCPU->breakpoint_hits = 0;
		vcpu_note_access(VCPU, cases[i].access, cases[i].at, cases[i].bytes);
		assert_int_equal(VCPU->breakpoint_hits,
			cases[i].access == VCPU_ACCESS_PORT ? 0 : cases[i].hits);
	}
}

static bool dr7_is_watched(void)
{
	const uint32_t writes = (uint32_t)(SVM_INTERCEPT_DR5_WRITE | SVM_INTERCEPT_DR7_WRITE);
	bool watched = (VMCB->intercept_dr & writes) == writes;

	assert_true(watched || (VMCB->intercept_dr & writes) == 0);
	assert_true(watched == (VCPU->breakpoints_possible == 0));
	return watched;
}

// Writes of DR7 exit while it enables nothing; the first ends that, and an access that finds it
// without a breakpoint begins it again.
static void dr7_is_watched_until_it_is_written(void **state)
{
	struct vcpu_state now = current();
	struct vmexit exit;

	(void)state;
	now.dr7 = 0x400;
	assert_int_equal(vcpu_set_state(VCPU, &now), STATUS_OK);
	assert_true(dr7_is_watched());
	VMCB->clean = SVM_CLEAN_ALL;
	VMCB->exit_code = SVM_EXIT_DR7_WRITE;
	assert_false(svm_exit_decode(VCPU, &exit));
	assert_int_equal(exit.kind, VMEXIT_INTERRUPT);
	assert_true((VMCB->clean & SVM_CLEAN_INTERCEPTS) == 0);
	assert_false(dr7_is_watched());
	VMCB->dr7 = 0x401;
	assert_true(vcpu_has_breakpoints(VCPU));
	assert_false(dr7_is_watched());
	VMCB->dr7 = 0x400;
	vcpu_note_access(VCPU, VCPU_ACCESS_PORT, 0, 1);
	assert_true(dr7_is_watched());
	now.dr7 = 0x420;
	assert_int_equal(vcpu_set_state(VCPU, &now), STATUS_OK);
	assert_false(dr7_is_watched());
}

// The trap comes once, when the instruction is finished; one that faults has none.
static void a_breakpoint_traps_after_emulation(void **state)
{
	(void)state;
	fake_x86.dr[3] = 0x80;
	svm_watch_dr7(VCPU, false);
	VMCB->dr7 = 0x20000080;
	VMCB->cr4 |= CR4_DE;
	VMCB->dr6 = 0xffff0ff0;
	vcpu_note_access(VCPU, VCPU_ACCESS_PORT, 0x80, 1);
	assert_false(vcpu_event_pending(VCPU));
	vcpu_advance(VCPU, 2);
	assert_int_equal(SVM->event & 0xff, VECTOR_DB);
	assert_true(VMCB->dr6 == 0xffff0ff8);
	svm_event_collect(VCPU, 0);
	vcpu_advance(VCPU, 2);
	assert_false(vcpu_event_pending(VCPU));
	vcpu_note_access(VCPU, VCPU_ACCESS_PORT, 0x80, 1);
	vcpu_inject_exception(VCPU, VECTOR_GP, true, 0);
	svm_event_collect(VCPU, 0);
	vcpu_advance(VCPU, 2);
	assert_false(vcpu_event_pending(VCPU));
}

static void expect_fault_cr0(uint64_t value)
{
	struct svm_vmcb before = *VMCB;

	assert_int_equal(vcpu_write_cr0(VCPU, value), STATUS_FAULT);
	assert_memory_equal(&before, VMCB, sizeof(before));
}

// SDM vol. 3, 2.5 and 4.1.2; APM vol. 2, 3.1.1.
static void cr0_writes_obey_the_rules(void **state)
{
	(void)state;
	expect_fault_cr0(LONG_CR0 | BIT(32));
	expect_fault_cr0(LONG_CR0 | CR0_NW);           // NW without CD
	expect_fault_cr0(CR0_PG | CR0_ET);             // PG without PE
	expect_fault_cr0(CR0_PE | CR0_ET);             // paging off in 64-bit code
	assert_int_equal(vcpu_write_cr0(VCPU, LONG_CR0 | CR0_NW | CR0_CD), STATUS_OK);
	assert_int_equal(vcpu_write_cr0(VCPU, CR0_PE | CR0_PG | 0x1ffaffc0), STATUS_OK);
	assert_true(VMCB->cr0 == LONG_CR0); // reserved bits read as zero, ET as one
}

static void paging_switches_long_mode(void **state)
{
	(void)state;
	enter_legacy_mode(false);
	VMCB->efer |= EFER_LME;
	expect_fault_cr0(LONG_CR0); // without PAE
	VMCB->cr4 = CR4_PAE;
	VMCB->cs.attributes = 0xa9b;
	expect_fault_cr0(LONG_CR0); // with CS.L
	VMCB->cs.attributes = 0xc9b;
	assert_int_equal(vcpu_write_cr0(VCPU, LONG_CR0), STATUS_OK);
	assert_true((VMCB->efer & EFER_LMA) != 0);
	assert_int_equal(VMCB->tlb_control, SVM_TLB_FLUSH_ASID);
	assert_int_equal(vcpu_write_cr0(VCPU, CR0_PE | CR0_ET), STATUS_OK); // compatibility mode
	assert_true((VMCB->efer & EFER_LMA) == 0);
	assert_true((VMCB->efer & EFER_LME) != 0);
	enter_legacy_mode(false);
	assert_int_equal(vcpu_write_cr0(VCPU, LONG_CR0), STATUS_OK); // legacy paging
	assert_true((VMCB->efer & EFER_LMA) == 0);
}

// SDM vol. 3, 4.10.4.1.
static void cr0_flushes_what_it_must(void **state)
{
	static const struct {
		uint64_t change;
		bool flush;
	} cases[] = {{CR0_PG, true}, {CR0_WP, true}, {CR0_TS, false}, {CR0_MP, false},
		{CR0_EM, false}, {CR0_NE, false}, {CR0_AM, false}, {0, false}};

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(cases); i++) {
		enter_legacy_mode(true);
		assert_int_equal(vcpu_write_cr0(VCPU, VMCB->cr0 ^ cases[i].change), STATUS_OK);
		assert_int_equal(VMCB->tlb_control,
			cases[i].flush ? SVM_TLB_FLUSH_ASID : SVM_TLB_KEEP);
	}
	svm_features.flush_by_asid = false;
	svm_test_clean();
	assert_int_equal(vcpu_write_cr0(VCPU, VMCB->cr0 ^ CR0_WP), STATUS_OK);
	assert_int_equal(VMCB->tlb_control, SVM_TLB_FLUSH_ALL);
}

static void what_is_known_of_the_map_can_be_void(void **state)
{
	(void)state;
	svm_test_clean();
	VCPU->core = VCPU_NOT_LOADED;
	svm_forget_nested(VCPU);
	assert_int_equal(VMCB->tlb_control, SVM_TLB_FLUSH_ASID);
}

static void cr4_writes_obey_the_rules(void **state)
{
	const uint64_t allowed = CR4_PAE | CR4_PSE | CR4_PGE | CR4_TSD;
	struct svm_vmcb before = *VMCB;

	(void)state;
	for (uint64_t bad = 1; bad != 0; bad <<= 1)
		if ((bad & ~allowed) != 0)
			assert_int_equal(vcpu_write_cr4(VCPU, CR4_PAE | bad, allowed),
				STATUS_FAULT);
	assert_int_equal(vcpu_write_cr4(VCPU, CR4_PSE, allowed), STATUS_FAULT); // PAE in long mode
	assert_memory_equal(&before, VMCB, sizeof(before));
	assert_int_equal(vcpu_write_cr4(VCPU, allowed, allowed), STATUS_OK);
	assert_true(VMCB->cr4 == allowed);
	enter_legacy_mode(true);
	assert_int_equal(vcpu_write_cr4(VCPU, 0, allowed), STATUS_OK);
}

// APM vol. 2, 15.30.5: 8 bits before the point, 32 behind it.
static void the_tsc_is_scaled(void **state)
{
	const uint64_t one = VCPU_TSC_RATIO_ONE;
	uint64_t present = 0;
	unsigned writes;

	(void)state;
	VCPU->core = VCPU_NOT_LOADED;
	writes = fake_x86.msr_writes;
	svm_features.tsc_ratio = false;
	assert_true(vcpu_tsc_ratio(2 * one) == 0 && vcpu_tsc_ratio(one) == one);
	vcpu_set_tsc_ratio(VCPU, one);
	svm_tsc_ratio_load(VCPU, &present);
	assert_int_equal(fake_x86.msr_writes, writes);
	svm_features.tsc_ratio = true;
	assert_true(vcpu_tsc_ratio(256 * one) == 0 && vcpu_tsc_ratio(1) == 0);
	assert_true(vcpu_tsc_ratio(one + one / 2 + 5) == one + one / 2);
	vcpu_set_tsc_ratio(VCPU, one + one / 2);
	svm_tsc_ratio_load(VCPU, &present);
	svm_tsc_ratio_load(VCPU, &present);
	assert_int_equal(fake_x86.msr_writes, writes + 1);
	assert_true(rdmsr(MSR_TSC_RATIO) == 0x180000000 && present == one + one / 2);
	assert_true(vcpu_tsc_scale(1001, present) == 1501);
	assert_true(vcpu_tsc_scale(UINT64_MAX, one) == UINT64_MAX);
}

// SDM vol. 3, 4.10.1; APM vol. 2, 5.5.1.
static void pcids_begin_in_long_mode(void **state)
{
	const uint64_t allowed = CR4_PAE | CR4_PCIDE;
	uint64_t cr3 = VMCB->cr3;

	(void)state;
	VMCB->cr3 = cr3 | 0x18;
	assert_int_equal(vcpu_write_cr4(VCPU, allowed, allowed), STATUS_FAULT); // PCID 0 alone
	VMCB->cr3 = cr3;
	assert_int_equal(vcpu_write_cr4(VCPU, allowed, allowed), STATUS_OK);
	VMCB->cr3 = cr3 | 0x123;
	assert_int_equal(vcpu_write_cr4(VCPU, allowed, allowed), STATUS_OK); // it stays
	VMCB->cs.attributes &= (uint16_t)~SEGMENT_ATTRIBUTE_L;
	assert_int_equal(vcpu_write_cr0(VCPU, VMCB->cr0 & ~CR0_PG), STATUS_FAULT);
	assert_int_equal(vcpu_write_cr4(VCPU, CR4_PAE, allowed), STATUS_OK);
	assert_int_equal(vcpu_write_cr0(VCPU, VMCB->cr0 & ~CR0_PG), STATUS_OK);
	VMCB->cr3 = cr3;
	assert_int_equal(vcpu_write_cr4(VCPU, allowed, allowed), STATUS_FAULT); // no long mode
}

// SDM vol. 3, 4.1.2.
static void levels_change_without_paging_alone(void **state)
{
	const uint64_t allowed = CR4_PAE | CR4_LA57;

	(void)state;
	assert_int_equal(vcpu_write_cr4(VCPU, allowed, allowed), STATUS_FAULT);
	enter_legacy_mode(true);
	assert_int_equal(vcpu_write_cr4(VCPU, allowed, allowed), STATUS_OK);
	assert_int_equal(vcpu_write_cr4(VCPU, CR4_PAE, allowed), STATUS_OK);
}

static void cr4_flushes_what_it_must(void **state)
{
	const uint64_t flushing = CR4_PSE | CR4_PAE | CR4_PGE | CR4_SMEP | CR4_SMAP | CR4_LA57;
	const uint64_t quiet = CR4_VME | CR4_TSD | CR4_DE | CR4_OSFXSR | CR4_UMIP | CR4_FSGSBASE;

	(void)state;
	enter_legacy_mode(true);
	for (unsigned bit = 0; bit < 32; bit++) {
		if ((BIT(bit) & (flushing | quiet)) == 0)
			continue;
		for (unsigned turn = 0; turn < 2; turn++) { // on, and off again
			uint64_t value = VMCB->cr4 ^ BIT(bit);

			svm_test_clean();
			assert_int_equal(vcpu_write_cr4(VCPU, value, UINT32_MAX), STATUS_OK);
			assert_int_equal(VMCB->tlb_control == SVM_TLB_FLUSH_ASID,
				(BIT(bit) & flushing) != 0);
		}
	}
}

static void expect_fault_msr(uint32_t msr, uint64_t value)
{
	struct svm_vmcb before = *VMCB;
	unsigned writes = fake_x86.msr_writes;

	assert_int_equal(vcpu_write_msr(VCPU, msr, value), STATUS_FAULT);
	assert_memory_equal(&before, VMCB, sizeof(before));
	assert_int_equal(fake_x86.msr_writes, writes);
}

static uint64_t msr(uint32_t number)
{
	uint64_t value = 0xdead;

	assert_int_equal(vcpu_read_msr(VCPU, number, &value), STATUS_OK);
	return value;
}

// APM vol. 2, 3.1.7: SCE, LME, LMA, NXE and FFXSR are this guest's; SVME is ours.
static void efer_takes_what_cpuid_offers(void **state)
{
	const uint64_t there = EFER_SCE | EFER_NXE | EFER_FFXSR;

	(void)state;
	for (unsigned bit = 0; bit < 64; bit++)
		if ((BIT(bit) & (there | EFER_LME | EFER_LMA)) == 0)
			expect_fault_msr(MSR_EFER, EFER_LME | EFER_LMA | BIT(bit));
	expect_fault_msr(MSR_EFER, EFER_LMA); // LME off while paging is on: 14.6
	assert_int_equal(vcpu_write_msr(VCPU, MSR_EFER, EFER_LME | there), STATUS_OK);
	assert_true(msr(MSR_EFER) == (EFER_LME | EFER_LMA | there)); // LMA is the CPU's
	assert_true((VMCB->efer & EFER_SVME) != 0);
	enter_legacy_mode(true);
	expect_fault_msr(MSR_EFER, EFER_LME); // and on
	enter_legacy_mode(false);
	assert_int_equal(vcpu_write_msr(VCPU, MSR_EFER, EFER_LME | EFER_LMA), STATUS_OK);
	assert_true(msr(MSR_EFER) == EFER_LME);
}

// A machine's CPU may have less than the one that it runs on: cpuid_offer.
static void less_may_be_offered_than_there_is(void **state)
{
	struct cpuid_offer *offer = &VCPU->offer;
	uint64_t value;

	(void)state;
	*offer = (struct cpuid_offer){.efer = EFER_SCE | EFER_LME | EFER_LMA, .xcr0 = 3,
		.signature = 0x1234};
	expect_fault_msr(MSR_EFER, EFER_LME | EFER_LMA | EFER_NXE);
	expect_fault_msr(MSR_TSC_AUX, 1);
	assert_int_equal(vcpu_read_msr(VCPU, MSR_TSC_AUX, &value), STATUS_FAULT);
	VCPU->gpr[GPR_RCX] = VCPU->gpr[GPR_RDX] = 0;
	VCPU->gpr[GPR_RAX] = 7;
	assert_int_equal(vcpu_xsetbv(VCPU), STATUS_FAULT);
	VCPU->gpr[GPR_RAX] = 3;
	assert_int_equal(vcpu_xsetbv(VCPU), STATUS_OK);
	vcpu_reset(VCPU, VCPU_RESET_INIT); // SDM vol. 3, table 9-1
	assert_int_equal(VCPU->gpr[GPR_RDX], 0x1234);
	VMCB->intercept4 = VMCB->intercept5 = 0;
	svm_instructions_hide(VMCB, offer); // APM vol. 2, appendix B: offsets 0x10 and 0x14
	assert_int_equal(VMCB->intercept4, BIT(7));
	assert_int_equal(VMCB->intercept5, BIT(2));
	VMCB->intercept4 = VMCB->intercept5 = 0;
	offer->rdtscp = offer->invpcid = true;
	svm_instructions_hide(VMCB, offer);
	assert_int_equal(VMCB->intercept4 | VMCB->intercept5, 0);
}

static void other_msrs_have_their_rules(void **state)
{
	uint64_t value = 0x1234;

	(void)state;
	expect_fault_msr(MSR_TSC_AUX, BIT(32));
	expect_fault_msr(MSR_DEBUGCTL, BIT(2));
	expect_fault_msr(MSR_DEBUGCTL, BIT(6));
	expect_fault_msr(MSR_PAT, 2); // reserved memory types: SDM vol. 3, 12.12.2
	expect_fault_msr(MSR_PAT, BIT(59));
	assert_int_equal(vcpu_write_msr(VCPU, MSR_PAT, 0x0007010600070406), STATUS_OK);
	assert_true(msr(MSR_PAT) == 0x0007010600070406);
	assert_int_equal(vcpu_write_msr(VCPU, MSR_TSC_AUX, UINT32_MAX), STATUS_OK);
	assert_true(msr(MSR_TSC_AUX) == UINT32_MAX && fake_x86.tsc_aux == UINT32_MAX);
	assert_int_equal(vcpu_write_msr(VCPU, MSR_DEBUGCTL, 3), STATUS_OK);
	assert_true(msr(MSR_DEBUGCTL) == 2); // last-branch records do not come on
	assert_int_equal(vcpu_read_msr(VCPU, MSR_TSC, &value), STATUS_NOT_FOUND);
	// Types 2 and 3 are reserved: APM vol. 2, 7.8.1.
	VMCB->clean = SVM_CLEAN_ALL;
	assert_int_equal(vcpu_write_msr(VCPU, MSR_PAT, 0x0007010600070405), STATUS_OK);
	assert_true(VMCB->pat == 0x0007010600070405 && (VMCB->clean & SVM_CLEAN_NP) == 0);
	assert_int_equal(vcpu_write_msr(VCPU, MSR_PAT, 2), STATUS_FAULT);
	assert_int_equal(vcpu_write_msr(VCPU, MSR_PAT, 3ull << 56), STATUS_FAULT);
	assert_int_equal(vcpu_write_msr(VCPU, MSR_PAT, 8ull << 8), STATUS_FAULT);
	assert_true(msr(MSR_PAT) == 0x0007010600070405);
	assert_int_equal(vcpu_write_msr(VCPU, 0xc0010114, 0), STATUS_NOT_FOUND);
	assert_int_equal(value, 0x1234);
}

// APM vol. 2, 15.11: two bits an MSR; from 0, 0xc0000000 and 0xc0010000 on, 2 KiB each.
static bool exits(const uint8_t *map, uint32_t number, unsigned write)
{
	uint32_t bit = (number < 0x2000 ? 0 : number < 0xc0002000 ? 0x4000 : 0x8000) +
		(number & 0x1fff) * 2 + write;

	return (map[bit / 8] >> bit % 8 & 1) != 0;
}

static void few_msrs_pass(void **state)
{
	static const uint32_t passed[] = {0x174, 0x175, 0x176, 0xc0000081, 0xc0000082,
		0xc0000083, 0xc0000084, 0xc0000100, 0xc0000101, 0xc0000102};
	static const uint32_t ranges[] = {0, 0xc0000000, 0xc0010000};
	uint8_t map[2 * 4096 + 1];

	(void)state;
	map[2 * 4096] = 0x5a;
	svm_msrpm_init(map);
	assert_int_equal(map[2 * 4096], 0x5a);
	for (unsigned range = 0; range < 3; range++)
		for (uint32_t number = ranges[range]; number < ranges[range] + 0x2000; number++) {
			bool pass = false;

			for (unsigned i = 0; i < ARRAY_COUNT(passed); i++)
				pass |= number == passed[i];
			assert_int_equal(exits(map, number, 0), !pass);
			assert_int_equal(exits(map, number, 1), !pass);
		}
}

static enum status xsetbv_guest(uint64_t rcx, uint64_t value)
{
	VCPU->gpr[GPR_RCX] = rcx;
	VCPU->gpr[GPR_RAX] = 0xffffffff00000000 | value; // the upper halves do not count
	VCPU->gpr[GPR_RDX] = 0xffffffff00000000 | value >> 32;
	return vcpu_xsetbv(VCPU);
}

// SDM vol. 1, 13.3, and vol. 2, XSETBV.
static void xcr0_writes_obey_the_rules(void **state)
{
	(void)state;
	fake_x86.xcr0_writes = 0;
	assert_int_equal(xsetbv_guest(1, 7), STATUS_FAULT);
	assert_int_equal(xsetbv_guest(0, 6), STATUS_FAULT);          // without x87
	assert_int_equal(xsetbv_guest(0, 5), STATUS_FAULT);          // AVX without SSE
	assert_int_equal(xsetbv_guest(0, 0xf), STATUS_FAULT);        // not offered
	assert_int_equal(xsetbv_guest(0, BIT(62) | 1), STATUS_FAULT);
	VMCB->cpl = 3;
	assert_int_equal(xsetbv_guest(0, 7), STATUS_FAULT);
	VMCB->cpl = 0;
	assert_int_equal(fake_x86.xcr0_writes, 0);
	assert_int_equal(xsetbv_guest(0xffffffff00000000, 7), STATUS_OK);
	assert_true(fake_x86.xcr0 == 7 && vcpu_xcr0(VCPU) == 7);
}

// A host without XSAVE has no XCR0 to read or write.
static void xcr0_may_be_missing(void **state)
{
	struct vcpu_state now = current();

	(void)state;
	fake_x86 = (struct fake_x86){.cr4 = 0, .xcr0 = 0x99};
	assert_true(vcpu_xcr0(VCPU) == 1);
	assert_int_equal(vcpu_set_state(VCPU, &now), STATUS_OK);
	assert_int_equal(fake_x86.xcr0_writes, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, svm_test_setup)
	const struct CMUnitTest tests[] = {
		TEST(reset_is_that_of_power_on),
		TEST(a_state_makes_the_round_trip),
		TEST(segments_lie_in_their_places),
		TEST(impossible_states_are_refused),
		TEST(code_is_16_32_or_64_bits),
		TEST(setters_clear_their_clean_bits),
		TEST(advancing_ends_the_shadow),
		TEST(a_stepping_guest_traps_after_emulation),
		TEST(breakpoints_match_accesses),
		TEST(dr7_is_watched_until_it_is_written),
		TEST(a_breakpoint_traps_after_emulation),
		TEST(cr0_writes_obey_the_rules),
		TEST(paging_switches_long_mode),
		TEST(cr0_flushes_what_it_must),
		TEST(what_is_known_of_the_map_can_be_void),
		TEST(cr4_writes_obey_the_rules),
		TEST(the_tsc_is_scaled),
		TEST(pcids_begin_in_long_mode),
		TEST(levels_change_without_paging_alone),
		TEST(cr4_flushes_what_it_must),
		TEST(efer_takes_what_cpuid_offers),
		TEST(less_may_be_offered_than_there_is),
		TEST(other_msrs_have_their_rules),
		TEST(few_msrs_pass),
		TEST(xcr0_writes_obey_the_rules),
		TEST(xcr0_may_be_missing),
	};

	return cmocka_run_group_tests_name("svm_state", tests, NULL, NULL);
}
