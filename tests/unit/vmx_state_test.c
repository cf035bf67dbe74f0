// SPDX-License-Identifier: BSD-2-Clause
// Registers, control registers, MSRs; what ends the validity of translations; cores.
#include "tests/unit/vmx_test.h"

#include <stdlib.h>
#include <string.h>

#include "kernel/mem.h"

#define VCPU vmx_test_vcpu
#define VMX  vmx_of(vmx_test_vcpu)

static struct vmexit plain_exit(void)
{
	return vmx_test_exit(VMX_REASON_INTERRUPT, 0);
}

static void a_reset_is_as_the_manual_has_it(void **state)
{
	struct vcpu_state now;

	(void)state;
	vcpu_reset(VCPU, VCPU_RESET_POWER);
	vcpu_get_state(VCPU, &now);
	assert_true(now.rip == 0xfff0 && now.rflags == 2);
	assert_true(now.cr0 == 0x60000010); // table 10-1
	assert_true(now.segment[SEGMENT_CS].base == 0xffff0000);
	assert_int_equal(now.segment[SEGMENT_CS].attributes, 0x9b);
	assert_true(now.dr6 == 0xffff0ff0 && now.dr7 == 0x400);
	plain_exit(); // the CPU would enter
}

static struct vcpu_state some_state(void)
{
	struct vcpu_state s;

	vcpu_get_state(VCPU, &s);
	for (unsigned i = 0; i < GPR_COUNT; i++)
		s.gpr[i] = 0x1111111111111111ull * i;
	s.cr2 = 0xffff800000001234;
	s.cr3 = 0x12345000;
	s.cr8 = 7;
	s.dr6 = 0xffff4ff1;
	s.dr7 = 0x455;
	s.segment[SEGMENT_FS].base = 0x7fff00001000;
	s.segment[SEGMENT_LDTR] = (struct vcpu_segment_state){0, 0x02, 0, 0}; // unusable
	s.gdtr_base = 0xffff888000001000;
	s.gdtr_limit = 0x7f;
	s.star = 0x23001000000000;
	s.lstar = 0xffffffff81800000;
	s.sfmask = 0x47700;
	s.kernel_gs_base = 0xffff888000002000;
	s.sysenter_cs = 0x10;
	s.sysenter_esp = 0xfffffe0000001000;
	s.sysenter_eip = 0xffffffff81800100;
	s.pat = 0x0407050600070106;
	s.debugctl = 2;
	s.nmi_blocked = true;
	s.interrupt_shadow = true;
	return s;
}

static void states_come_back_as_they_went(void **state)
{
	struct vcpu_state set = some_state(), got;

	(void)state;
	assert_int_equal(vcpu_set_state(VCPU, &set), STATUS_OK);
	vcpu_get_state(VCPU, &got);
	assert_memory_equal(&set, &got, sizeof(set));
	plain_exit();
	vcpu_get_state(VCPU, &got);
	assert_memory_equal(&set, &got, sizeof(set));
	assert_true(fake_x86.cr2 == set.cr2 && fake_x86.dr6 == set.dr6);
	assert_true(rdmsr(MSR_LSTAR) == set.lstar);
}

// What the CPU would refuse leaves everything as it was. 27.3.1.
static void impossible_states_are_refused(void **state)
{
	struct vcpu_state good = some_state(), now;
	struct vcpu_state bad[] = {good, good, good, good, good, good, good, good, good, good};

	(void)state;
	assert_int_equal(vcpu_set_state(VCPU, &good), STATUS_OK);
	bad[0].cr0 &= ~CR0_PE; // paging without protection
	bad[1].cr0 |= CR0_NW;
	bad[2].efer &= ~EFER_LME;
	bad[3].cr4 &= ~CR4_PAE;
	bad[4].segment[SEGMENT_CS].attributes |= SEGMENT_ATTRIBUTE_DB; // and L
	bad[5].segment[SEGMENT_TR].attributes = 0x89; // not busy
	bad[6].rip = BIT(63);
	bad[7].pat = 2;
	bad[8].lstar = BIT(63);
	bad[9].segment[SEGMENT_DS].limit = 0x12345678; // neither bytes nor pages
	for (unsigned i = 0; i < ARRAY_COUNT(bad); i++) {
		assert_int_equal(vcpu_set_state(VCPU, &bad[i]), STATUS_INVALID);
		vcpu_get_state(VCPU, &now);
		assert_memory_equal(&now, &good, sizeof(now));
	}
}

// Unloading keeps what the CPU's own registers had.
static void registers_stay_with_the_vcpu(void **state)
{
	struct vcpu_state set = some_state(), got;

	(void)state;
	assert_int_equal(vcpu_set_state(VCPU, &set), STATUS_OK);
	wrmsr(MSR_STAR, 0x77); // by the guest, without an exit
	wrmsr(MSR_KERNEL_GS_BASE, 0x1000);
	fake_x86.cr2 = 0x5000;
	fake_x86.dr6 = 0xffff0ff8;
	fake_x86.dr[2] = 0x1234;
	vcpu_unload(VCPU);
	assert_null(fake_vmx.current);
	wrmsr(MSR_STAR, 0);
	wrmsr(MSR_KERNEL_GS_BASE, 0);
	fake_x86.cr2 = fake_x86.dr6 = fake_x86.dr[2] = 0;
	vcpu_load(VCPU);
	vcpu_get_state(VCPU, &got);
	assert_true(got.star == 0x77 && got.kernel_gs_base == 0x1000 && got.cr2 == 0x5000 &&
		got.dr6 == 0xffff0ff8 && got.dr[2] == 0x1234 && got.rip == set.rip);
	plain_exit(); // launched once more: 25.11.3
}

static void instructions_end_flags_and_shadows(void **state)
{
	uint64_t rip = vcpu_rip(VCPU);

	(void)state;
	FIELD(GUEST_RFLAGS) = RFLAGS_FIXED | RFLAGS_RF;
	FIELD(GUEST_INTERRUPTIBILITY) = VMX_BLOCKED_MOV_SS | VMX_BLOCKED_NMI;
	plain_exit();
	vcpu_advance(VCPU, 3);
	assert_true(vcpu_rip(VCPU) == rip + 3);
	assert_false(vcpu_event_pending(VCPU));
	plain_exit();
	assert_true(vmx_test_entered.rip == rip + 3);
	assert_int_equal(vmx_test_entered.rflags, RFLAGS_FIXED);
	assert_int_equal(vmx_test_entered.interruptibility, VMX_BLOCKED_NMI);
}

// EIP wraps in 32-bit code; 64-bit code goes on.
static void the_instruction_pointer_wraps(void **state)
{
	(void)state;
	vcpu_set_rip(VCPU, UINT32_MAX);
	vcpu_advance(VCPU, 2);
	assert_true(vcpu_rip(VCPU) == 0x100000001);
	vcpu_set_rip(VCPU, UINT32_MAX);
	FIELD(GUEST_CS_ACCESS) = 0xc09b;
	VMX->have = 0;
	vcpu_advance(VCPU, 2);
	assert_true(vcpu_rip(VCPU) == 1);
}

// 18.3.1.4: the trap of TF comes behind the instruction; BTF makes it a trap on branches.
static void a_single_step_traps(void **state)
{
	(void)state;
	fake_x86.dr6 = 0xffff0ff0;
	FIELD(GUEST_RFLAGS) = RFLAGS_FIXED | RFLAGS_TF;
	plain_exit();
	vcpu_advance(VCPU, 2);
	assert_true(vcpu_event_pending(VCPU));
	assert_true(fake_x86.dr6 == 0xffff4ff0);
	plain_exit();
	assert_int_equal(vmx_test_entered.event, 0x80000300 | VECTOR_DB);
	FIELD(GUEST_DEBUGCTL) = 2;
	vcpu_advance(VCPU, 2);
	assert_false(vcpu_event_pending(VCPU));
}

// 6.8.3: MOV SS holds a breakpoint of its own back until behind the next instruction.
static void held_breakpoints_come_with_the_step(void **state)
{
	(void)state;
	fake_x86.dr6 = 0xffff0ff0;
	FIELD(GUEST_INTERRUPTIBILITY) = VMX_BLOCKED_MOV_SS;
	FIELD(GUEST_PENDING_DEBUG) = BIT(12) | 2;
	plain_exit();
	vcpu_advance(VCPU, 2);
	assert_true(vcpu_event_pending(VCPU));
	assert_true(fake_x86.dr6 == 0xffff0ff2);
	assert_int_equal(FIELD(GUEST_PENDING_DEBUG), 0);
	plain_exit();
	FIELD(GUEST_INTERRUPTIBILITY) = VMX_BLOCKED_MOV_SS;
	FIELD(GUEST_PENDING_DEBUG) = 2; // met, but not enabled
	vcpu_advance(VCPU, 2);
	assert_false(vcpu_event_pending(VCPU));
}

#define ALLOWED (CR4_PAE | CR4_PGE | CR4_DE | CR4_SMEP | CR4_OSFXSR)

static void control_registers_show_the_guests_view(void **state)
{
	struct vcpu_paging now;

	(void)state;
	assert_int_equal(FIELD(CR4_MASK), UINT64_MAX); // nobody has said what is allowed
	assert_int_equal(vcpu_write_cr4(VCPU, CR4_PAE | CR4_PGE, ALLOWED), STATUS_OK);
	assert_int_equal(FIELD(CR4_SHADOW), CR4_PAE | CR4_PGE);
	assert_int_equal(FIELD(GUEST_CR4), CR4_PAE | CR4_PGE | CR4_VMXE | CR4_MCE);
	assert_int_equal(~FIELD(CR4_MASK), CR4_PGE | CR4_DE | CR4_OSFXSR);
	assert_int_equal(vcpu_write_cr4(VCPU, CR4_PAE | CR4_VMXE, ALLOWED), STATUS_FAULT);
	assert_int_equal(vcpu_write_cr4(VCPU, CR4_PGE, ALLOWED), STATUS_FAULT); // long mode
	assert_int_equal(vcpu_write_cr0(VCPU, CR0_PE | CR0_PG | CR0_CD), STATUS_OK);
	assert_int_equal(FIELD(CR0_SHADOW), CR0_PE | CR0_PG | CR0_CD | CR0_ET);
	assert_int_equal(FIELD(GUEST_CR0), CR0_PE | CR0_PG | CR0_ET | CR0_NE);
	assert_int_equal(vcpu_write_cr0(VCPU, CR0_PE | CR0_PG | CR0_NW), STATUS_FAULT);
	assert_int_equal(vcpu_write_cr0(VCPU, BIT(32) | CR0_PE | CR0_PG), STATUS_FAULT);
	// What the guest changes by itself.
	plain_exit();
	FIELD(GUEST_CR0) |= CR0_TS;
	FIELD(GUEST_CR4) |= CR4_DE;
	now = vcpu_paging(VCPU);
	assert_true(now.cr0 == (CR0_PE | CR0_PG | CR0_CD | CR0_ET | CR0_TS));
	assert_true(now.cr4 == (CR4_PAE | CR4_PGE | CR4_DE));
	assert_true((FIELD(CR0_MASK) & (CR0_PG | CR0_PE | CR0_WP | CR0_NE | CR0_CD)) ==
		(CR0_PG | CR0_PE | CR0_WP | CR0_NE | CR0_CD));
}

// 10.8.5: out of long mode through compatibility mode, and back.
static void paging_turns_long_mode_on_and_off(void **state)
{
	(void)state;
	assert_int_equal(vcpu_write_cr0(VCPU, CR0_PE), STATUS_FAULT); // from 64-bit code
	FIELD(GUEST_CS_ACCESS) = 0xc09b;
	FIELD(GUEST_RIP) = VMX->rip = 0x1000;
	plain_exit();
	assert_int_equal(vcpu_write_cr0(VCPU, CR0_PE), STATUS_OK);
	assert_true(vcpu_paging(VCPU).efer == EFER_LME);
	assert_int_equal(FIELD(GUEST_EFER), EFER_LME);
	assert_int_equal(FIELD(ENTRY_CONTROLS) & VMX_ENTRY_IA32E, 0);
	plain_exit();
	FIELD(GUEST_TR_ACCESS) = 0x83; // a 16-bit TSS
	assert_int_equal(vcpu_write_cr0(VCPU, CR0_PE | CR0_PG), STATUS_FAULT);
	FIELD(GUEST_TR_ACCESS) = 0x8b;
	assert_int_equal(vcpu_write_cr0(VCPU, CR0_PE | CR0_PG), STATUS_OK);
	assert_true(vcpu_paging(VCPU).efer == (EFER_LME | EFER_LMA));
	assert_true((FIELD(ENTRY_CONTROLS) & VMX_ENTRY_IA32E) != 0);
	plain_exit();
}

static void enter_legacy_mode(uint64_t cr3)
{
	struct vcpu_state legacy;

	vcpu_get_state(VCPU, &legacy);
	legacy.efer = 0;
	legacy.cr0 = CR0_PE | CR0_ET;
	legacy.cr4 = CR4_PAE;
	legacy.cr3 = cr3;
	legacy.rip = 0x1000;
	legacy.segment[SEGMENT_CS].attributes = 0xc9b;
	assert_int_equal(vcpu_set_state(VCPU, &legacy), STATUS_OK);
}

// 4.4.1: the four entries are loaded from memory; reserved bits in a present one are a #GP.
static void pae_entries_are_loaded(void **state)
{
	uint64_t *page = mem_pages_alloc(1);

	(void)state;
	assert_int_equal(nested_map_add(vmx_test_map, (struct gpa){0x8000}, hpa_of(page),
		PAGE_BYTES, NESTED_READ_WRITE), STATUS_OK);
	enter_legacy_mode(0x8020);
	for (unsigned i = 0; i < 4; i++)
		page[4 + i] = 0x10001 + i * PAGE_BYTES;
	assert_int_equal(vcpu_write_cr0(VCPU, CR0_PE | CR0_PG), STATUS_OK);
	assert_int_equal(FIELD(GUEST_PDPTE0), 0x10001);
	assert_int_equal(FIELD(GUEST_PDPTE3), 0x13001);
	page[5] = 0x20003; // bit 1 is reserved
	assert_int_equal(vcpu_write_cr4(VCPU, CR4_PAE | CR4_PGE, ALLOWED), STATUS_FAULT);
	assert_int_equal(FIELD(GUEST_PDPTE1), 0x11001);
	page[5] = 0x20002; // not present: anything goes
	assert_int_equal(vcpu_write_cr4(VCPU, CR4_PAE | CR4_PGE, ALLOWED), STATUS_OK);
	assert_int_equal(FIELD(GUEST_PDPTE1), 0x20002);
	mem_pages_free(page, 1);
}

static void pae_entries_outside_of_memory_are_ones(void **state)
{
	(void)state;
	enter_legacy_mode(0x40000000);
	assert_int_equal(vcpu_write_cr0(VCPU, CR0_PE | CR0_PG), STATUS_FAULT);
}

static unsigned flushes(void)
{
	unsigned count;

	plain_exit();
	count = fake_vmx.count;
	for (unsigned i = 0; i < count; i++) {
		assert_false(fake_vmx.invalidations[i].ept);
		assert_int_equal(fake_vmx.invalidations[i].type, VMX_INVALIDATE_CONTEXT);
		assert_int_equal(fake_vmx.invalidations[i].context, VMX->vpid);
	}
	fake_vmx.count = 0;
	return count;
}

// 4.10.4.1, on the vcpu's VPID, before the next entry; not where nothing changed.
static void changes_of_paging_flush(void **state)
{
	struct vcpu_state now;

	(void)state;
	assert_int_equal(flushes(), 0);
	assert_int_equal(vcpu_write_cr4(VCPU, CR4_PAE | CR4_SMEP, ALLOWED), STATUS_OK);
	assert_int_equal(flushes(), 1);
	assert_int_equal(vcpu_write_cr4(VCPU, CR4_PAE | CR4_SMEP | CR4_OSFXSR, ALLOWED), STATUS_OK);
	assert_int_equal(flushes(), 0);
	assert_int_equal(vcpu_write_cr0(VCPU, CR0_PE | CR0_PG | CR0_WP), STATUS_OK);
	assert_int_equal(flushes(), 1);
	assert_int_equal(vcpu_write_cr0(VCPU, CR0_PE | CR0_PG | CR0_WP | CR0_CD), STATUS_OK);
	assert_int_equal(flushes(), 0);
	assert_int_equal(vcpu_write_msr(VCPU, MSR_EFER, EFER_LME | EFER_LMA | EFER_NXE), STATUS_OK);
	assert_int_equal(flushes(), 1);
	vcpu_get_state(VCPU, &now);
	assert_int_equal(vcpu_set_state(VCPU, &now), STATUS_OK);
	assert_int_equal(flushes(), 1);
	// Called off by attention, it still is to come.
	assert_int_equal(vcpu_write_cr4(VCPU, CR4_PAE, ALLOWED), STATUS_OK);
	vmx_test_cpu.attention = true;
	assert_int_equal(flushes(), 0);
	vmx_test_cpu.attention = false;
	assert_int_equal(flushes(), 1);
}

// A VPID lasts as long as the vcpu runs on its core; a new one comes with INVEPT.
static void vpids_follow_the_cores(void **state)
{
	struct cpu other = {.self = &other, .index = 1};
	uint16_t first = VMX->vpid;
	struct vcpu *second;

	(void)state;
	assert_true(first != 0);
	assert_int_equal(FIELD(VPID), first);
	vcpu_unload(VCPU);
	vcpu_load(VCPU);
	assert_int_equal(FIELD(VPID), first);
	assert_int_equal(fake_vmx.count, 0);
	vcpu_unload(VCPU);
	vcpu_forget_nested(VCPU);
	vcpu_load(VCPU);
	assert_int_not_equal(FIELD(VPID), first);
	assert_int_equal(fake_vmx.count, 1);
	assert_true(fake_vmx.invalidations[0].ept);
	fake_vmx.count = 0;
	first = VMX->vpid;
	assert_int_equal(vcpu_create(vmx_test_map, &vmx_test_offer, &second), STATUS_OK);
	vcpu_load(second);
	assert_int_not_equal(vmx_of(second)->vpid, first);
	assert_int_equal(fake_vmx.count, 1); // at creation
	assert_true(fake_vmx.invalidations[0].ept);
	assert_int_equal(fake_vmx.invalidations[0].type, VMX_INVALIDATE_CONTEXT);
	assert_true(fake_vmx.invalidations[0].context ==
		(nested_map_root(vmx_test_map) | 6 | 3 << 3 | 1 << 6)); // table 25-9
	vcpu_destroy(second);
	vcpu_load(VCPU);
	assert_int_equal(FIELD(VPID), first);
	vcpu_unload(VCPU);
	fake_vmx.count = 0;
	// Another core numbers its own, and begins with nothing.
	vmx_test_cpu.self = &other;
	vcpu_load(VCPU);
	assert_true(fake_vmx.count >= 1);
	assert_true(fake_vmx.invalidations[fake_vmx.count - 1].ept);
	assert_int_equal(FIELD(HOST_GS_BASE), hpa_of(&other).v);
	vcpu_unload(VCPU);
	fake_vmx.count = 0;
	vmx_test_cpu.self = &vmx_test_cpu; // back: what the core knew may be stale
	vcpu_load(VCPU);
	assert_int_not_equal(FIELD(VPID), first);
	assert_int_equal(fake_vmx.count, 1);
	assert_int_equal(FIELD(HOST_GS_BASE), hpa_of(&vmx_test_cpu).v);
}

static void msrs_pass_as_the_bitmap_says(void **state)
{
	static const uint32_t passed[] = {0x174, 0x175, 0x176, 0x277, 0xc0000081, 0xc0000082,
		0xc0000083, 0xc0000084, 0xc0000100, 0xc0000101, 0xc0000102};
	const uint8_t *bitmap = hpa_pointer((struct hpa){FIELD(MSR_BITMAP)});
	unsigned open = 0;

	(void)state;
	for (unsigned i = 0; i < PAGE_BYTES * 8; i++)
		open += (bitmap[i / 8] >> i % 8 & 1) == 0;
	assert_int_equal(open, 2 * ARRAY_COUNT(passed));
	for (unsigned i = 0; i < ARRAY_COUNT(passed); i++) {
		unsigned at = (passed[i] & 0x1fff) + (passed[i] >> 31) * 0x2000;

		assert_int_equal(bitmap[at / 8] >> at % 8 & 1, 0);
		assert_int_equal(bitmap[at / 8 + 0x800] >> at % 8 & 1, 0);
	}
}

static void msrs_are_checked(void **state)
{
	uint64_t value;

	(void)state;
	assert_int_equal(vcpu_read_msr(VCPU, MSR_EFER, &value), STATUS_OK);
	assert_true(value == (EFER_LME | EFER_LMA));
	assert_int_equal(vcpu_write_msr(VCPU, MSR_EFER, EFER_LMA), STATUS_FAULT); // paging is on
	assert_int_equal(vcpu_write_msr(VCPU, MSR_EFER, EFER_LME | EFER_SVME), STATUS_FAULT);
	assert_int_equal(vcpu_write_msr(VCPU, MSR_EFER, EFER_LME | EFER_SCE), STATUS_OK);
	assert_int_equal(FIELD(GUEST_EFER), EFER_LME | EFER_LMA | EFER_SCE);
	assert_int_equal(vcpu_write_msr(VCPU, MSR_DEBUGCTL, 3), STATUS_OK);
	assert_int_equal(vcpu_read_msr(VCPU, MSR_DEBUGCTL, &value), STATUS_OK);
	assert_true(value == 2);
	assert_int_equal(vcpu_write_msr(VCPU, MSR_DEBUGCTL, 4), STATUS_FAULT);
	assert_int_equal(vcpu_write_msr(VCPU, MSR_TSC_AUX, BIT(32)), STATUS_FAULT);
	assert_int_equal(vcpu_write_msr(VCPU, MSR_TSC_AUX, 5), STATUS_OK);
	assert_true(fake_x86.tsc_aux == 5);
	assert_int_equal(vcpu_read_msr(VCPU, 0x12345, &value), STATUS_NOT_FOUND);
	assert_int_equal(vcpu_write_msr(VCPU, 0x12345, 0), STATUS_NOT_FOUND);
	vcpu_set_tsc_offset(VCPU, 77);
	assert_int_equal(FIELD(TSC_OFFSET), 77);
	vcpu_unload(VCPU);
	vcpu_set_tsc_offset(VCPU, 78);
	vcpu_load(VCPU);
	assert_int_equal(FIELD(TSC_OFFSET), 78);
}

static void the_tsc_is_scaled(void **state)
{
	uint32_t proc2 = vmx_features.proc2;

	(void)state;
	vmx_features.proc2 &= ~(uint32_t)VMX_PROC2_TSC_SCALE;
	assert_true(vcpu_tsc_ratio(2 * VCPU_TSC_RATIO_ONE) == 0);
	vmx_features.proc2 |= VMX_PROC2_TSC_SCALE;
	assert_true(vcpu_tsc_ratio(12345) == 12345);
	vcpu_unload(VCPU);
	vcpu_set_tsc_ratio(VCPU, 12345);
	vcpu_load(VCPU);
	assert_int_equal(FIELD(TSC_MULTIPLIER), 12345);
	vmx_features.proc2 = proc2;
}

static void code_is_described(void **state)
{
	struct vcpu_code code;

	(void)state;
	vcpu_get_code(VCPU, &code);
	assert_int_equal(code.bits, 64);
	assert_int_equal(code.cpl, 0);
	assert_true(code.linear_rip == code.rip);
	VMX->have = 0;
	FIELD(GUEST_CS_ACCESS) = 0xc0fb; // 32-bit, DPL 3
	FIELD(GUEST_CS_BASE) = 0x10000;
	vcpu_set_rip(VCPU, 0xfffff000);
	vcpu_get_code(VCPU, &code);
	assert_int_equal(code.bits, 32);
	assert_int_equal(code.cpl, 3);
	assert_true(code.linear_rip == 0xf000);
	FIELD(GUEST_CS_ACCESS) = 0x9f; // conforming: SS tells
	FIELD(GUEST_SS_ACCESS) = 0xc0f3;
	VMX->have = 0;
	vcpu_get_code(VCPU, &code);
	assert_int_equal(code.bits, 16);
	assert_int_equal(code.cpl, 3);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, vmx_test_setup, vmx_test_teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_reset_is_as_the_manual_has_it),
		TEST(states_come_back_as_they_went),
		TEST(impossible_states_are_refused),
		TEST(registers_stay_with_the_vcpu),
		TEST(instructions_end_flags_and_shadows),
		TEST(the_instruction_pointer_wraps),
		TEST(a_single_step_traps),
		TEST(held_breakpoints_come_with_the_step),
		TEST(control_registers_show_the_guests_view),
		TEST(paging_turns_long_mode_on_and_off),
		TEST(pae_entries_are_loaded),
		TEST(pae_entries_outside_of_memory_are_ones),
		TEST(changes_of_paging_flush),
		TEST(vpids_follow_the_cores),
		TEST(msrs_pass_as_the_bitmap_says),
		TEST(msrs_are_checked),
		TEST(the_tsc_is_scaled),
		TEST(code_is_described),
	};

	return cmocka_run_group_tests_name("vmx_state", tests, NULL, NULL);
}
