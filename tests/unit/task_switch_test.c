// SPDX-License-Identifier: BSD-2-Clause
// Task switches: SDM vol. 3, 8.2 (TSS), 8.3 (the switch; table 8-1: exceptions), 8.4 (links).
#include "vm/task_switch.h"

#include <string.h>

#include "kernel/x86.h"
#include "tests/unit/fake_ram.h"

enum {
	GDT = 0x1000, GDT_LIMIT = 0x7f, OLD_TSS = 0x2000, NEW_TSS = 0x3ff0, // crosses a page
	NARROW_TSS = 0x5000, LDT = 0x6000, STACK = 0x9000, PAGE_TABLES = 0x10000,
	// Selectors.
	CODE0 = 0x08, DATA0 = 0x10, OLD = 0x18, NEW = 0x20, NARROW = 0x28, LDT_SELECTOR = 0x30,
	CODE3 = 0x3b, DATA3 = 0x43, CONFORMING = 0x48, ABSENT = 0x50, READ_ONLY = 0x58,
	BUSY = 2,
};
#define NT BIT(14)

static struct guest_ram *ram;
static struct paging paging;
static struct vmexit event;
static struct task_switch task;

static void put(uint64_t at, uint64_t value, size_t bytes)
{
	assert_int_equal(guest_ram_write(ram, (struct gpa){at}, &value, bytes), STATUS_OK);
}

static uint64_t get(uint64_t at, size_t bytes)
{
	uint64_t value = 0;

	fake_ram_get(ram, at, &value, bytes);
	return value;
}

static void descriptor(unsigned selector, uint32_t base, uint32_t limit, uint8_t access,
	uint8_t flags)
{
	put(GDT + (selector & ~7u), (limit & 0xffff) | (uint64_t)(base & 0xffffff) << 16 |
		(uint64_t)access << 40 | (uint64_t)(limit >> 16 & 15) << 48 |
		(uint64_t)flags << 52 | (uint64_t)(base >> 24) << 56, 8);
}

static uint8_t access_of(unsigned selector)
{
	return (uint8_t)get(GDT + (selector & ~7u) + 5, 1);
}

// The new task: a kernel's, in 32-bit code.
static void tss32_fill(uint32_t at, uint16_t code, uint16_t data)
{
	for (unsigned i = 0; i < 104; i++)
		put(at + i, 0, 1);
	put(at + 0x20, 0x4000, 4); // EIP
	put(at + 0x24, 0x202, 4);
	for (unsigned i = 0; i < 8; i++)
		put(at + 0x28 + 4 * i, 0x11110000 + i, 4);
	put(at + 0x38, STACK, 4); // ESP
	for (unsigned i = 0; i < 6; i++)
		put(at + 0x48 + 4 * i, i == 1 ? code : data, 2);
}

static int setup(void **unused)
{
	static const struct vcpu_segment_state flat = {DATA0, 0xc93, UINT32_MAX, 0};

	(void)unused;
	ram = fake_ram_create(4 << 20, 0);
	memset(&paging, 0, sizeof(paging));
	paging_set(&paging, CR0_PE, 0, 0, 0, 36, false);
	for (unsigned i = 0; i <= GDT_LIMIT; i++)
		put(GDT + i, 0, 1);
	descriptor(CODE0, 0, 0xfffff, 0x9b, 0xc);
	descriptor(DATA0, 0, 0xfffff, 0x92, 0xc); // not accessed
	descriptor(OLD, OLD_TSS, 0x67, 0x8b, 0);
	descriptor(NEW, NEW_TSS, 0x67, 0x89, 0);
	descriptor(NARROW, NARROW_TSS, 0x2b, 0x81, 0);
	descriptor(LDT_SELECTOR, LDT, 0xf, 0x82, 0);
	descriptor(CODE3, 0, 0xfffff, 0xfb, 0xc);
	descriptor(DATA3, 0, 0xfffff, 0xf3, 0xc);
	descriptor(CONFORMING, 0, 0xfffff, 0x9f, 0xc);
	descriptor(ABSENT, 0, 0xfffff, 0x13, 0xc);
	descriptor(READ_ONLY, 0, 0xfffff, 0x91, 0xc);
	tss32_fill(NEW_TSS, CODE0, DATA0);
	event = (struct vmexit){.kind = VMEXIT_TASK_SWITCH, .length = 7};
	event.task.selector = NEW;
	event.task.source = VMEXIT_TASK_JMP;
	task = (struct task_switch){.ram = ram, .paging = &paging, .exit = &event,
		.physical_bits = 36};
	task.state = (struct vcpu_state){.rip = 0x1234, .rflags = 0x246, .cr0 = CR0_PE,
		.dr7 = 0x7ff, .gdtr_base = GDT, .gdtr_limit = GDT_LIMIT};
	for (unsigned i = 0; i < GPR_COUNT; i++)
		task.state.gpr[i] = 0x22220000 + i;
	for (unsigned i = SEGMENT_ES; i <= SEGMENT_GS; i++)
		task.state.segment[i] = flat;
	task.state.segment[SEGMENT_CS] = (struct vcpu_segment_state){CODE0, 0xc9b, UINT32_MAX, 0};
	task.state.segment[SEGMENT_TR] = (struct vcpu_segment_state){OLD, 0x8b, 0x67, OLD_TSS};
	return 0;
}

static int teardown(void **unused)
{
	(void)unused;
	fake_ram_destroy(ram);
	return 0;
}

static void switches(void)
{
	assert_int_equal(task_switch_execute(&task), STATUS_OK);
	assert_true(task.committed);
}

// Nothing of the old task's may have been given up.
static void fails_before(unsigned vector, uint32_t error)
{
	struct vcpu_state before = task.state;

	assert_int_equal(task_switch_execute(&task), STATUS_FAULT);
	assert_false(task.committed);
	assert_int_equal(task.vector, vector);
	assert_true(task.has_error_code);
	assert_int_equal(task.error_code, error);
	assert_memory_equal(&task.state, &before, sizeof(before));
	assert_int_equal(access_of(OLD), 0x8b);
}

// The exception is the new task's.
static void fails_after(unsigned vector, uint32_t error)
{
	assert_int_equal(task_switch_execute(&task), STATUS_FAULT);
	assert_true(task.committed);
	assert_int_equal(task.vector, vector);
	assert_int_equal(task.error_code, error);
	assert_int_equal(task.state.segment[SEGMENT_TR].selector, NEW);
	assert_int_equal(task.state.rip, 0x4000);
}

static void a_jump_leaves_the_old_task(void **unused)
{
	(void)unused;
	put(OLD_TSS, 0x7777, 2);
	put(OLD_TSS + 0x1c, 0x12345678, 4);
	put(OLD_TSS + 0x60, 0x4321, 2);
	switches();
	// The old one, saved from EIP to GS and nothing else.
	assert_int_equal(get(OLD_TSS + 0x20, 4), 0x1234 + 7);
	assert_int_equal(get(OLD_TSS + 0x24, 4), 0x246);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(get(OLD_TSS + 0x28 + 4 * i, 4), 0x22220000 + i);
	assert_int_equal(get(OLD_TSS + 0x4c, 2), CODE0);
	assert_int_equal(get(OLD_TSS + 0x5c, 2), DATA0);
	assert_int_equal(get(OLD_TSS, 2), 0x7777);
	assert_int_equal(get(OLD_TSS + 0x1c, 4), 0x12345678);
	assert_int_equal(get(OLD_TSS + 0x60, 2), 0x4321);
	assert_int_equal(access_of(OLD), 0x89);
	// The new one.
	assert_int_equal(access_of(NEW), 0x8b);
	assert_int_equal(get(NEW_TSS, 2), 0); // no link
	assert_int_equal(task.state.rip, 0x4000);
	assert_int_equal(task.state.rflags, 0x202);
	assert_int_equal(task.state.gpr[GPR_RBX], 0x11110003);
	assert_int_equal(task.state.gpr[GPR_RSP], STACK);
	assert_int_equal(task.state.gpr[GPR_R8], 0x22220008);
	assert_int_equal(task.state.segment[SEGMENT_TR].attributes, 0x8b);
	assert_true(task.state.segment[SEGMENT_TR].base == NEW_TSS);
	assert_int_equal(task.state.segment[SEGMENT_CS].attributes, 0xc9b);
	assert_int_equal(task.state.segment[SEGMENT_DS].attributes, 0xc93);
	assert_int_equal(access_of(DATA0), 0x93); // accessed now
	assert_true((task.state.cr0 & CR0_TS) != 0);
	assert_int_equal(task.state.dr7, 0x6aa); // local enables are gone
	assert_false(task.trap);
}

// Table 8-2: busy, NT, link.
static void a_call_nests(void **unused)
{
	(void)unused;
	event.task.source = VMEXIT_TASK_CALL;
	switches();
	assert_int_equal(access_of(OLD), 0x8b);
	assert_int_equal(access_of(NEW), 0x8b);
	assert_int_equal(get(NEW_TSS, 2), OLD);
	assert_int_equal(task.state.rflags, 0x202 | NT);
	assert_int_equal(get(OLD_TSS + 0x24, 4), 0x246);
}

static void an_iret_returns(void **unused)
{
	(void)unused;
	event.task.source = VMEXIT_TASK_IRET;
	task.state.rflags |= NT;
	task.state.nmi_blocked = true;
	descriptor(NEW, NEW_TSS, 0x67, 0x8b, 0);
	switches();
	assert_int_equal(access_of(OLD), 0x89);
	assert_int_equal(access_of(NEW), 0x8b);
	assert_int_equal(get(OLD_TSS + 0x24, 4), 0x246); // without NT
	assert_int_equal(task.state.rflags, 0x202);
	assert_false(task.state.nmi_blocked);
}

static void a_gate_pushes_the_error_code(void **unused)
{
	(void)unused;
	event.length = 0;
	event.task.source = VMEXIT_TASK_GATE;
	event.task.event = VCPU_EVENT_EXCEPTION;
	event.task.vector = VECTOR_TS;
	event.task.has_error_code = true;
	event.task.error_code = 0x9abc;
	switches();
	assert_int_equal(get(OLD_TSS + 0x20, 4), 0x1234);
	assert_int_equal(task.state.gpr[GPR_RSP], STACK - 4);
	assert_int_equal(get(STACK - 4, 4), 0x9abc);
	assert_true((task.state.rflags & NT) != 0);
}

static void a_16_bit_task_is_half_as_wide(void **unused)
{
	(void)unused;
	for (unsigned i = 0; i < 44; i++)
		put(NARROW_TSS + i, 0, 1);
	put(NARROW_TSS + 0x0e, 0x4000, 2);
	put(NARROW_TSS + 0x10, 0x202, 2);
	put(NARROW_TSS + 0x12 + 2 * GPR_RSP, STACK, 2);
	put(NARROW_TSS + 0x24, CODE0, 2);
	put(NARROW_TSS + 0x22, DATA0, 2);
	put(NARROW_TSS + 0x26, DATA0, 2);
	put(NARROW_TSS + 0x28, DATA0, 2);
	event.task.selector = NARROW;
	event.task.source = VMEXIT_TASK_CALL;
	switches();
	assert_int_equal(task.state.rip, 0x4000);
	assert_int_equal(task.state.gpr[GPR_RSP], STACK);
	assert_int_equal(task.state.segment[SEGMENT_FS].selector, 0);
	assert_int_equal(task.state.segment[SEGMENT_TR].attributes, 0x83);
	assert_int_equal(get(NARROW_TSS, 2), OLD);
	// And back from it, with what a task needs of its own.
	put(OLD_TSS + 0x60, 0, 6); // LDT, T
	put(OLD_TSS + 0x1c, 0, 4);
	task.state.rip = 0x7000;
	event.task.source = VMEXIT_TASK_IRET;
	event.task.selector = OLD;
	event.length = 1;
	switches();
	assert_int_equal(get(NARROW_TSS + 0x0e, 2), 0x7001);
	assert_int_equal(get(NARROW_TSS + 0x10, 2), 0x202); // NT is cleared
	assert_int_equal(access_of(NARROW), 0x81);
	assert_int_equal(task.state.rip, 0x1234 + 7);
	assert_int_equal(task.state.gpr[GPR_RSI], 0x22220006);
}

// Step 1 to 3 of 8.3 and table 8-1.
static void a_tss_is_checked(void **unused)
{
	(void)unused;
	event.task.selector = NEW | 4; // in the LDT
	fails_before(VECTOR_GP, NEW | 4);
	event.task.selector = 0x80; // beyond the limit
	fails_before(VECTOR_GP, 0x80);
	event.task.selector = DATA0;
	fails_before(VECTOR_GP, DATA0);
	event.task.selector = OLD; // busy
	fails_before(VECTOR_GP, OLD);
	event.task.selector = NEW;
	event.task.source = VMEXIT_TASK_IRET; // not busy
	fails_before(VECTOR_TS, NEW);
	event.task.source = VMEXIT_TASK_CALL;
	descriptor(NEW, NEW_TSS, 0x67, 0x09, 0);
	fails_before(VECTOR_NP, NEW);
	descriptor(NEW, NEW_TSS, 0x66, 0x89, 0);
	fails_before(VECTOR_TS, NEW);
	event.task.event = VCPU_EVENT_INTERRUPT; // EXT
	fails_before(VECTOR_TS, NEW | 1);
}

// With paging: a page that is not there, or not writable, is found before anything is written.
static void pages_are_checked_first(void **unused)
{
	(void)unused;
	for (unsigned i = 0; i < 1024; i++) {
		put(PAGE_TABLES + 4 * i, i == 0 ? PAGE_TABLES + 0x1003 : 0, 4);
		put(PAGE_TABLES + 0x1000 + 4 * i, i << 12 | 3, 4);
	}
	task.state.cr0 |= CR0_PG | CR0_WP;
	task.state.cr3 = PAGE_TABLES;
	put(NEW_TSS + 0x1c, PAGE_TABLES, 4);
	paging_set(&paging, task.state.cr0, PAGE_TABLES, 0, 0, 36, false);
	put(PAGE_TABLES + 0x1000 + 4 * 2, 0x2001, 4); // the old TSS: read-only
	fails_before(VECTOR_PF, 3);
	assert_true(task.cr2 == OLD_TSS);
	put(PAGE_TABLES + 0x1000 + 4 * 2, 0x2003, 4);
	put(PAGE_TABLES + 0x1000 + 4 * 4, 0, 4); // the new one's second page
	fails_before(VECTOR_PF, 2);
	assert_true(task.cr2 == 0x4000);
	put(PAGE_TABLES + 0x1000 + 4 * 4, 0x4003, 4);
	switches();
	assert_int_equal(task.state.cr3, PAGE_TABLES);
}

// Step 12: #TS, #NP and #SS name the selector, in the new task.
static void segments_are_checked(void **unused)
{
	static const struct {
		unsigned at; // of the TSS
		uint16_t selector;
		unsigned vector;
		uint32_t error;
	} cases[] = {
		{0x60, DATA0, VECTOR_TS, DATA0},
		{0x60, LDT_SELECTOR | 4, VECTOR_TS, LDT_SELECTOR | 4},
		{0x60, 0x80, VECTOR_TS, 0x80},
		{0x4c, 0, VECTOR_TS, 0}, {0x4c, DATA0, VECTOR_TS, DATA0},
		{0x4c, 0x80, VECTOR_TS, 0x80}, {0x4c, CODE0 | 3, VECTOR_TS, CODE0},
		{0x4c, 0x3c, VECTOR_TS, 0x3c}, // no LDT
		{0x50, 0, VECTOR_TS, 0}, {0x50, CODE0, VECTOR_TS, CODE0},
		{0x50, READ_ONLY, VECTOR_TS, READ_ONLY}, {0x50, DATA3, VECTOR_TS, DATA3 & ~3},
		{0x50, DATA0 | 1, VECTOR_TS, DATA0},
		{0x54, NEW, VECTOR_TS, NEW}, {0x54, ABSENT, VECTOR_NP, ABSENT},
		{0x58, 0x80, VECTOR_TS, 0x80}, {0x5c, DATA0 | 3, VECTOR_TS, DATA0},
		{0x48, ABSENT, VECTOR_NP, ABSENT}, {0x20, 0, 0, 0},
	};

	(void)unused;
	for (unsigned i = 0; cases[i].at != 0x20; i++) {
		teardown(NULL);
		setup(NULL);
		put(NEW_TSS + cases[i].at, cases[i].selector, 2);
		fails_after(cases[i].vector, cases[i].error);
	}
	teardown(NULL);
	setup(NULL);
	descriptor(DATA0, 0, 0xfffff, 0x12, 0xc); // the stack's segment is not present
	fails_after(VECTOR_SS, DATA0);
	teardown(NULL);
	setup(NULL);
	descriptor(CODE0, 0, 0x3fff, 0x9b, 4); // EIP behind the limit
	fails_after(VECTOR_GP, 0);
}

// 8.3, and 5.5: a privilege level by CS.RPL; null and conforming segments.
static void privileges_follow_the_code(void **unused)
{
	(void)unused;
	tss32_fill(NEW_TSS, CODE3, DATA3);
	put(NEW_TSS + 0x58, 3, 2); // FS: null
	put(NEW_TSS + 0x5c, CONFORMING, 2);
	put(NEW_TSS + 0x60, LDT_SELECTOR, 2);
	switches();
	assert_int_equal(task.state.segment[SEGMENT_CS].attributes >> 5 & 3, 3);
	assert_int_equal(task.state.segment[SEGMENT_SS].attributes >> 5 & 3, 3);
	assert_int_equal(task.state.segment[SEGMENT_FS].attributes & SEGMENT_ATTRIBUTE_P, 0);
	assert_int_equal(task.state.segment[SEGMENT_GS].selector, CONFORMING);
	assert_true(task.state.segment[SEGMENT_LDTR].base == LDT);
	assert_int_equal(task.state.segment[SEGMENT_LDTR].attributes, 0x82);
}

// 21.2.4: EFLAGS.VM in the TSS.
static void virtual_8086_tasks_have_no_descriptors(void **unused)
{
	(void)unused;
	put(NEW_TSS + 0x24, 0x20202, 4);
	put(NEW_TSS + 0x4c, 0xf000, 2);
	put(NEW_TSS + 0x50, 0x1234, 2);
	switches();
	assert_true(task.state.segment[SEGMENT_CS].base == 0xf0000);
	assert_int_equal(task.state.segment[SEGMENT_SS].attributes, 0xf3);
	assert_int_equal(task.state.segment[SEGMENT_SS].limit, 0xffff);
	assert_true((task.state.rflags & RFLAGS_VM) != 0);
}

static void the_trap_flag_asks_for_an_exception(void **unused)
{
	(void)unused;
	put(NEW_TSS + 0x64, 1, 2);
	switches();
	assert_true(task.trap);
}

static void tables_outside_of_memory_end_it(void **unused)
{
	(void)unused;
	descriptor(NEW, 0x40000000, 0x67, 0x89, 0);
	assert_int_equal(task_switch_execute(&task), STATUS_RANGE);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_jump_leaves_the_old_task),
		TEST(a_call_nests),
		TEST(an_iret_returns),
		TEST(a_gate_pushes_the_error_code),
		TEST(a_16_bit_task_is_half_as_wide),
		TEST(a_tss_is_checked),
		TEST(pages_are_checked_first),
		TEST(segments_are_checked),
		TEST(privileges_follow_the_code),
		TEST(virtual_8086_tasks_have_no_descriptors),
		TEST(the_trap_flag_asks_for_an_exception),
		TEST(tables_outside_of_memory_end_it),
	};

	return cmocka_run_group_tests_name("task_switch", tests, NULL, NULL);
}
