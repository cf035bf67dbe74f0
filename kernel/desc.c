// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/desc.h"

#include <string.h>

#include "kernel/base/assert.h"
#include "kernel/crash.h"
#include "kernel/x86.h"

enum { IST_NMI = 1, IST_DOUBLE_FAULT = 2, IST_MACHINE_CHECK = 3 };
enum { VECTORS = 256 };

// SDM vol. 3, 6.14.1.
struct idt_gate {
	uint16_t offset_low;
	uint16_t selector;
	uint8_t ist;
	uint8_t type;
	uint16_t offset_middle;
	uint32_t offset_high;
	uint32_t reserved;
};
_Static_assert(sizeof(struct idt_gate) == 16, "IDT gate layout");

struct table_pointer {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

static struct desc_stack exception_stacks[DESC_STACK_COUNT]; // the boot CPU's
static struct idt_gate idt[VECTORS] __attribute__((aligned(16)));
static interrupt_handler *handlers[VECTORS];

extern const uint8_t interrupt_stubs[];          // kernel/entry.S: 16 bytes each
extern uint8_t main_stack_guard[];               // boot: lowest page of the first stack
void interrupt_dispatch(struct interrupt_frame *frame);

// The instructions that rdmsr_safe and wrmsr_safe may fault on, and where they go on.
extern const uint8_t msr_read_instruction[], msr_write_instruction[], msr_fault[];

void interrupt_dispatch(struct interrupt_frame *frame)
{
	interrupt_handler *handler = handlers[frame->vector];

	if (likely(handler != NULL)) {
		handler(frame);
		return;
	}
	if (frame->vector == VECTOR_GP &&
		(frame->rip == (uint64_t)(uintptr_t)msr_read_instruction ||
			frame->rip == (uint64_t)(uintptr_t)msr_write_instruction)) {
		frame->rip = (uint64_t)(uintptr_t)msr_fault;
		return;
	}
	crash_exception(frame);
}

const void *desc_stack_guard(unsigned index)
{
	if (index < DESC_STACK_COUNT)
		return exception_stacks[index].guard;
	return index == DESC_STACK_COUNT ? main_stack_guard : NULL;
}

void interrupt_handler_set(uint8_t vector, interrupt_handler *handler)
{
	ASSERT(vector >= 32);
	handlers[vector] = handler;
}

static void idt_init(void)
{
	for (unsigned vector = 0; vector < VECTORS; vector++) {
		uint64_t stub = (uint64_t)(uintptr_t)&interrupt_stubs[vector * 16];

		idt[vector] = (struct idt_gate){
			.offset_low = (uint16_t)stub,
			.selector = SELECTOR_CODE,
			.type = 0x8e, // present, 64-bit interrupt gate
			.offset_middle = (uint16_t)(stub >> 16),
			.offset_high = (uint32_t)(stub >> 32),
		};
	}
	idt[VECTOR_NMI].ist = IST_NMI;
	idt[VECTOR_DF].ist = IST_DOUBLE_FAULT;
	idt[VECTOR_MC].ist = IST_MACHINE_CHECK;
}

void desc_prepare(struct desc_tables *tables, struct desc_stack stacks[DESC_STACK_COUNT])
{
	uint64_t base = (uint64_t)(uintptr_t)&tables->tss;

	memset(&tables->tss, 0, sizeof(tables->tss));
	tables->tss.io_map = sizeof(tables->tss);
	for (unsigned i = 0; i < DESC_STACK_COUNT; i++)
		tables->tss.ist[i] = (uint64_t)(uintptr_t)(stacks[i].stack + DESC_STACK_BYTES);
	tables->gdt[0] = 0;
	tables->gdt[SELECTOR_CODE / 8] = 0x00af9b000000ffff; // 64-bit code, DPL 0
	tables->gdt[SELECTOR_DATA / 8] = 0x00cf93000000ffff;
	tables->gdt[SELECTOR_TSS / 8] = (sizeof(tables->tss) - 1) | (base & 0xffffff) << 16 |
		(uint64_t)0x89 << 40 | (base >> 24 & 0xff) << 56;
	tables->gdt[SELECTOR_TSS / 8 + 1] = base >> 32;
}

void desc_load(struct desc_tables *tables)
{
	struct table_pointer gdt_pointer = {
		sizeof(tables->gdt) - 1, (uint64_t)(uintptr_t)tables->gdt};
	struct table_pointer idt_pointer = {sizeof(idt) - 1, (uint64_t)(uintptr_t)idt};

	__asm__ volatile("lgdt %0\n"
			 "pushq %1\n"
			 "leaq 1f(%%rip), %%rax\n"
			 "pushq %%rax\n"
			 "lretq\n"
			 "1: movl %2, %%eax\n"
			 "movl %%eax, %%ds\n"
			 "movl %%eax, %%es\n"
			 "movl %%eax, %%ss\n"
			 "xorl %%eax, %%eax\n"
			 "movl %%eax, %%fs\n"
			 "lldt %%ax\n"
			 "lidt %3\n"
			 "movl %4, %%eax\n"
			 "ltr %%ax\n"
		:
		: "m"(gdt_pointer), "i"(SELECTOR_CODE), "i"(SELECTOR_DATA), "m"(idt_pointer),
		"i"(SELECTOR_TSS)
		: "rax", "memory");
}

void desc_init(struct desc_tables *tables)
{
	idt_init();
	desc_prepare(tables, exception_stacks);
	desc_load(tables);
}
