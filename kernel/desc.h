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

// What an interrupt or exception pushed, lowest address first.
struct interrupt_frame {
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax;
	uint64_t vector, error_code; // error code 0 where the vector has none
	uint64_t rip, cs, rflags, rsp, ss;
};

typedef void interrupt_handler(struct interrupt_frame *frame);

// Loads this CPU's tables. The IDT sends every exception to crash_exception until told otherwise.
void desc_init(struct desc_tables *tables);
// Vectors 32 to 255 for host interrupts. The handler sends its own EOI.
void interrupt_handler_set(uint8_t vector, interrupt_handler *handler);

// Reads or writes an MSR that may not exist: false on #GP.
bool rdmsr_safe(uint32_t msr, uint64_t *value);
bool wrmsr_safe(uint32_t msr, uint64_t value);

// Guard pages below the stacks of this file and the main stack, to be unmapped.
const void *desc_stack_guard(unsigned index); // NULL past the last

#endif
