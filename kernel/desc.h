// SPDX-License-Identifier: BSD-2-Clause
// Descriptor tables of a CPU: GDT, TSS with stacks of their own for the exceptions that can come at
// any moment, and the IDT that all CPUs share.
#ifndef KERNEL_DESC_H
#define KERNEL_DESC_H

#include "kernel/base/types.h"

enum desc_selector {
	SELECTOR_CODE = 0x08,
	SELECTOR_DATA = 0x10,
	SELECTOR_TSS = 0x18, // two entries
};

// 64-bit task state segment. SDM vol. 3, 8.7.
struct desc_tss {
	uint32_t reserved0;
	uint64_t rsp[3];
	uint64_t reserved1;
	uint64_t ist[7];
	uint64_t reserved2;
	uint16_t reserved3;
	uint16_t io_map;
} __attribute__((packed));
_Static_assert(sizeof(struct desc_tss) == 104, "TSS layout");

struct desc_tables {
	uint64_t gdt[5];
	struct desc_tss tss;
};

// Stacks of a CPU's own for NMI, double fault and machine check: one guard page below each.
enum { DESC_STACK_COUNT = 3, DESC_STACK_BYTES = 16384 };

struct desc_stack {
	uint8_t guard[PAGE_BYTES];
	uint8_t stack[DESC_STACK_BYTES];
} __attribute__((aligned(PAGE_BYTES)));

// What an interrupt or exception pushed, lowest address first.
struct interrupt_frame {
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax;
	uint64_t vector, error_code; // error code 0 where the vector has none
	uint64_t rip, cs, rflags, rsp, ss;
};

typedef void interrupt_handler(struct interrupt_frame *frame);

// The boot CPU: its tables, and the IDT, which sends every exception to crash_exception until told
// otherwise.
void desc_init(struct desc_tables *tables);
// Another CPU: fills its tables (from any CPU), and loads them (on that CPU).
void desc_prepare(struct desc_tables *tables, struct desc_stack stacks[DESC_STACK_COUNT]);
void desc_load(struct desc_tables *tables);
// Vectors 32 to 255 for host interrupts. The handler sends its own EOI.
void interrupt_handler_set(uint8_t vector, interrupt_handler *handler);

// Reads or writes an MSR that may not exist: false on #GP.
bool rdmsr_safe(uint32_t msr, uint64_t *value);
bool wrmsr_safe(uint32_t msr, uint64_t value);

// Guard pages below the boot CPU's stacks and the main stack, to be unmapped.
const void *desc_stack_guard(unsigned index); // NULL past the last

#endif
