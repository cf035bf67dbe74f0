// SPDX-License-Identifier: BSD-2-Clause
// Delivery of events that fails: each way an IDT entry can be wrong, for each kind of event, and
// which second exceptions make a double fault. SDM vol. 3, 6.13 (error codes with EXT and IDT),
// 6.14, and 6.15 (#DF, table 6-5).
#include "lib/snippet.h"

PAYLOAD("cpu_delivery");

enum { VECTOR_INT = 0x50, VECTOR_EXTERNAL = 0x51, SEL_ABSENT_CODE = 0x68, SEL_USER_CODE = 0x70 };
enum { ATTRIBUTES = 0x8e, ATTRIBUTES_USER = 0xee };

// In the order of `vectors`. RDI: an address that is not mapped.
#define EVENTS(X)                                                                                  \
	X(int_n, "", "int $0x50", "")                                                              \
	X(int3, "", "int3", "")                                                                    \
	X(ud, "", "ud2", "")                                                                       \
	X(step, "pushfq; orl $0x100, (%rsp); popfq", "nop", "")                                    \
	X(step_cpuid, "pushq %rbx; pushfq; orl $0x100, (%rsp); popfq", "cpuid", "popq %rbx")       \
	X(de, "xorl %ecx, %ecx", "divl %ecx", "")                                                  \
	X(gp, NONCANONICAL, "movl (%rax), %eax", "")                                               \
	X(gp_wrmsr, "movl $0xfe, %ecx", "wrmsr", "")                                               \
	X(np, "movl $0x50, %eax", "movl %eax, %ds", "")                                            \
	X(pf, "", "movb (%rdi), %al", "")                                                          \
	X(external, "sti", "nop", "nop; cli")

#define NONCANONICAL "movabs $0x800000000100, %rax"

SNIPPETS(events, EVENTS)

static const uint8_t vectors[] = {VECTOR_INT, 3, 6, 1, 1, 0, 13, 13, 11, 14, VECTOR_EXTERNAL};

extern uint64_t payload_gdt[];
extern const char trap_entries[];
static uint64_t idt_copy[1024] __attribute__((aligned(4096)));

struct gate {
	const char *name;
	uint64_t offset;
	unsigned selector, attributes, ist;
};

static void gate_set(unsigned vector, const struct gate *gate)
{
	uint64_t at = gate->offset != 0 ? gate->offset : (uintptr_t)trap_entries + 16 * vector;

	trap_set_gate(vector, (at & 0xffff) | (uint64_t)gate->selector << 16 |
		(uint64_t)gate->ist << 32 | (uint64_t)gate->attributes << 40 |
		(at >> 16 & 0xffff) << 48, at >> 32);
}

// Which vector ends up where, with which error code.
static void event_report(const char *prefix, unsigned event, bool user, void *unmapped)
{
	bool traps;

	if (vectors[event] == VECTOR_EXTERNAL) {
		lapic_send(0, 0x4000 | VECTOR_EXTERNAL);
		while (!lapic_irr(VECTOR_EXTERNAL))
			pause();
	}
	traps = snippet_traps(&events[event], user, user ? 0x3000 : 0, unmapped);
	if (lapic_isr(VECTOR_EXTERNAL))
		lapic_write(LAPIC_EOI, 0);
	if (!traps) {
		report("%s.%s = none", prefix, events[event].name);
		return;
	}
	report("%s.%s = #%lu error 0x%lx%s", prefix, events[event].name, trap_last.vector,
		trap_last.error, trap_last.vector == 14 && trap_last.cr2 != (uintptr_t)unmapped ?
			" in delivery" : "");
}

static uint64_t tss_read(unsigned at)
{
	return read64((uintptr_t)trap_tss + at);
}

static void tss_write(unsigned at, uint64_t value)
{
	write64((uintptr_t)trap_tss + at, value);
}

static void delivery_gates(void *unmapped)
{
	static const struct gate gates[] = {
		{"good", 0, SEL_CODE64, ATTRIBUTES, 0},
		{"absent", 0, SEL_CODE64, ATTRIBUTES & ~0x80, 0},
		{"call_gate", 0, SEL_CODE64, 0x8c, 0},
		{"task_gate", 0, SEL_CODE64, 0x85, 0},
		{"gate_16_bit", 0, SEL_CODE64, 0x86, 0},
		{"not_a_gate", 0, SEL_CODE64, 0x9e, 0},
		{"null_selector", 0, 0, ATTRIBUTES, 0},
		{"selector_beyond_table", 0, SEL_BEYOND, ATTRIBUTES, 0},
		{"data_segment", 0, SEL_DATA, ATTRIBUTES, 0},
		{"system_segment", 0, SEL_TSS, ATTRIBUTES, 0},
		{"code_32_bit", 0, SEL_CODE32, ATTRIBUTES, 0},
		{"code_absent", 0, SEL_ABSENT_CODE, ATTRIBUTES, 0},
		{"code_of_ring3", 0, SEL_USER_CODE, ATTRIBUTES, 0},
		{"trap_gate", 0, SEL_CODE64, 0x8f, 0},
		{"ist_unmapped", 0, SEL_CODE64, ATTRIBUTES, 2},
		{"ist_noncanonical", 0, SEL_CODE64, ATTRIBUTES, 3},
	};

	payload_gdt[SEL_ABSENT_CODE / 8] = 0x00af1b000000ffff;
	payload_gdt[SEL_USER_CODE / 8] = 0x00affb000000ffff;
	tss_write(44, (uintptr_t)unmapped + 0x800);
	tss_write(52, 0x8000000000000000);
	for (unsigned g = 0; g < sizeof(gates) / sizeof(gates[0]); g++) {
		for (unsigned e = 0; e < SNIPPET_COUNT(events); e++) {
			gate_set(vectors[e], &gates[g]);
			event_report(gates[g].name, e, false, unmapped);
			trap_set_gate(vectors[e], 0, 0);
		}
	}
}

static void idt_load(const void *base, unsigned bytes)
{
	uint16_t idtr[5];

	idtr[0] = (uint16_t)(bytes - 1);
	for (unsigned i = 0; i < 4; i++)
		idtr[1 + i] = (uint16_t)((uintptr_t)base >> 16 * i);
	__asm__ volatile("lidt (%0)" : : "r"(idtr) : "memory");
}

static void idt_restore(void)
{
	__asm__ volatile("lidt (%0)" : : "r"(trap_idtr) : "memory");
}

// Entries beyond the limit. The exception's own entry must lie within.
static void delivery_limit(void *unmapped)
{
	idt_load(trap_idt, 16 * VECTOR_INT);
	event_report("limit", 0, false, unmapped);
	event_report("limit", 10, false, unmapped);
	idt_load(trap_idt, 16 * VECTOR_INT + 15);
	event_report("limit_minus_1", 0, false, unmapped);
	idt_load(trap_idt, 16 * VECTOR_INT + 16);
	event_report("limit_exact", 0, false, unmapped);
	idt_load(trap_idt, 16 * 14);
	event_report("limit_14", 9, false, unmapped);
	idt_restore();
}

// The table lies across two pages so that the event's entry is on the one that is not mapped.
static void delivery_unmapped_table(void *unmapped)
{
	for (unsigned e = 0; e < SNIPPET_COUNT(events); e++) {
		unsigned vector = vectors[e];
		bool low = vector < 14;              // the lower page is the missing one
		unsigned first = low ? vector + 1 : vector; // the first vector of the upper page
		char *base;

		if (vector == 13 || vector == 11)
			first = 14;
		for (unsigned i = 0; i < 512; i++)
			idt_copy[512 - 2 * first + i] = trap_idt[i];
		base = (char *)paging_map(8, (uintptr_t)idt_copy, low ? 0 : 7) + 4096 - 16 * first;
		paging_map(9, (uintptr_t)idt_copy + 4096, low ? 7 : 0);
		idt_load(base, 4096);
		event_report("table_unmapped", e, false, unmapped);
		idt_restore();
	}
}

// Ring 3: the stack comes from the TSS. Its own fault needs a stack again: a double fault, which
// has one of the interrupt-stack table.
static void delivery_from_user(void *unmapped)
{
	uint64_t rsp0 = tss_read(4);
	static const unsigned picks[] = {1, 2, 3, 5, 6, 9};

	for (unsigned i = 0; i < sizeof(picks) / sizeof(picks[0]); i++) {
		event_report("user", picks[i], true, unmapped);
		tss_write(4, (uintptr_t)unmapped + 0x800);
		event_report("user_stack_unmapped", picks[i], true, unmapped);
		tss_write(4, 0x8000000000000000);
		event_report("user_stack_noncanonical", picks[i], true, unmapped);
		tss_write(4, rsp0);
	}
	// No stack pointer of IST 2 within the TSS: #TS with the TSS's selector. SDM vol. 3, 6.15.
	gate_set(VECTOR_INT, &(struct gate){"", 0, SEL_CODE64, ATTRIBUTES_USER, 2});
	trap_load_tss(43, TRAP_TSS_BYTES);
	event_report("tss_limit", 0, false, unmapped);
	trap_load_tss(50, TRAP_TSS_BYTES);
	event_report("tss_limit_minus_1", 0, false, unmapped);
	trap_load_tss(TRAP_TSS_BYTES - 1, TRAP_TSS_BYTES);
	trap_set_gate(VECTOR_INT, 0, 0);
}

void payload_main(void)
{
	void *unmapped = paging_map(16, 0, 0);

	__asm__ volatile("lldt %w0" : : "r"(0));
	delivery_gates(unmapped);
	delivery_limit(unmapped);
	delivery_unmapped_table(unmapped);
	delivery_from_user(unmapped);
}
