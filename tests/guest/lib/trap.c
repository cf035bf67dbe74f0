// SPDX-License-Identifier: BSD-2-Clause
// IDT, TSS, trap records, the interrupt log, a few pages for fault tests, other modes.
#include "payload.h"
#include "internal.h"

struct trap_record trap_last;
volatile unsigned irq_count;
volatile uint8_t irq_log[IRQ_LOG_MAX];
const char *const mode_names[MODE_COUNT] = {
	[MODE_REAL16] = "real16",
	[MODE_PROT16] = "prot16",
	[MODE_PROT32] = "prot32",
	[MODE_PSE32] = "pse32",
	[MODE_PAE32] = "pae32",
	[MODE_COMPAT] = "compat",
};

static trap_hook *trap_hooks[256];
uint64_t trap_idt[512] __attribute__((aligned(16)));
static uint8_t trap_double_fault_stack[4096] __attribute__((aligned(16)));
static uint8_t trap_ring0_stack[8192] __attribute__((aligned(16)));
// With room for an I/O permission bitmap.
uint8_t trap_tss[TRAP_TSS_BYTES + 0x2000 + 8] __attribute__((aligned(16)));
static uint64_t paging_window_directory[512] __attribute__((aligned(4096)));
static uint64_t paging_window_table[512] __attribute__((aligned(4096)));
// Limit and base, as LIDT takes them.
uint16_t trap_idtr[5] __attribute__((aligned(16)));

static void trap_put(void *at, uint64_t value, unsigned bytes)
{
	for (uint8_t *p = at; bytes-- != 0; value >>= 8)
		*p++ = (uint8_t)value;
}

void trap_set_present(unsigned vector, bool present)
{
	uint64_t at = (uintptr_t)trap_entries + 16 * vector;
	uint64_t ist = vector == 8 ? 1 : 0;
	uint64_t dpl = vector == 3 || vector == 4 || vector == 0x80 || vector == TRAP_USER_END
		? 3 : 0;

	trap_idt[2 * vector] = (at & 0xffff) | SEL_CODE64 << 16 | ist << 32 | 0xeull << 40 |
		dpl << 45 | (uint64_t)present << 47 | (at >> 16 & 0xffff) << 48;
	trap_idt[2 * vector + 1] = at >> 32;
}

void trap_set_gate(unsigned vector, uint64_t low, uint64_t high)
{
	if (low == 0 && high == 0) {
		trap_set_present(vector, true);
		return;
	}
	trap_idt[2 * vector] = low;
	trap_idt[2 * vector + 1] = high;
}

void trap_load_tss(unsigned limit, unsigned io_bitmap)
{
	uint64_t tss = (uintptr_t)trap_tss;

	trap_put(trap_tss + 102, io_bitmap, 2);
	payload_gdt[SEL_TSS / 8] = limit | (tss & 0xffffff) << 16 | 0x89ull << 40 |
		(tss >> 24 & 0xff) << 56;
	payload_gdt[SEL_TSS / 8 + 1] = tss >> 32;
	__asm__ volatile("ltr %w0" : : "r"(SEL_TSS) : "memory");
}

void trap_set_hook(unsigned vector, trap_hook *hook)
{
	trap_hooks[vector] = hook;
}

void trap_init(void)
{
	for (unsigned v = 0; v < 256; v++)
		trap_set_present(v, true);
	trap_put(trap_idtr, sizeof(trap_idt) - 1, 2);
	trap_put(&trap_idtr[1], (uintptr_t)trap_idt, 8);
	__asm__ volatile("lidt (%0)" : : "r"(trap_idtr) : "memory");
	trap_put(trap_tss + 4, (uintptr_t)(trap_ring0_stack + sizeof(trap_ring0_stack)), 8);
	trap_put(trap_tss + 36,
		(uintptr_t)(trap_double_fault_stack + sizeof(trap_double_fault_stack)), 8);
	trap_load_tss(TRAP_TSS_BYTES - 1, TRAP_TSS_BYTES); // no I/O bitmap
	memcpy((void *)LOW_TRAMPOLINE, mode_low_begin, (size_t)(mode_low_end - mode_low_begin));
}

void trap_dispatch(struct trap_frame *frame)
{
	uint64_t cr2 = read_cr2();

	if (trap_hooks[frame->vector] != NULL) {
		trap_hooks[frame->vector](frame);
		return;
	}
	trap_last = (struct trap_record){
		.vector = frame->vector,
		.error = frame->error,
		.rip = frame->rip,
		.cr2 = cr2,
		.cs = frame->cs,
		.rflags = frame->rflags,
		.rsp = frame->rsp,
		.ss = frame->ss,
		.dr6 = read_dr6(),
		.rax = frame->rax,
		.rbx = frame->rbx,
		.rcx = frame->rcx,
		.rdx = frame->rdx,
		.rsi = frame->rsi,
		.rdi = frame->rdi,
	};
	if (trap_catch_rsp == 0) {
		report("FATAL trap %lu error 0x%lx rip 0x%lx cr2 0x%lx", frame->vector,
			frame->error, frame->rip, cr2);
		payload_exit(0x7f);
	}
	frame->rip = (uintptr_t)trap_unwind;
	frame->rsp = trap_catch_rsp;
	frame->cs = SEL_CODE64;
	frame->ss = SEL_DATA;
	frame->rflags = 2;
}

void report_trap(const char *what, void (*function)(void *), void *argument)
{
	if (trap_catch(function, argument))
		report("%s = #%lu error 0x%lx", what, trap_last.vector, trap_last.error);
	else
		report("%s = none", what);
}

void *paging_map(unsigned slot, uint64_t physical, uint64_t flags)
{
	char *at = (char *)PAGING_WINDOW + 4096ull * slot;

	paging_pdpt[4] = (uintptr_t)paging_window_directory | 7;
	paging_window_directory[0] = (uintptr_t)paging_window_table | 7;
	paging_window_table[slot] = physical | flags;
	__asm__ volatile("invlpg (%0)" : : "r"(at) : "memory");
	return at;
}

uint64_t paging_entry(unsigned slot)
{
	return *(volatile uint64_t *)&paging_window_table[slot];
}

void paging_set_entry(unsigned slot, uint64_t entry)
{
	*(volatile uint64_t *)&paging_window_table[slot] = entry;
}

void irq_hook_without_eoi(struct trap_frame *frame)
{
	if (irq_count < IRQ_LOG_MAX)
		irq_log[irq_count] = (uint8_t)frame->vector;
	irq_count++;
}

void irq_hook(struct trap_frame *frame)
{
	irq_hook_without_eoi(frame);
	lapic_write(LAPIC_EOI, 0);
}

void irq_clear(void)
{
	irq_count = 0;
}

void report_irqs(const char *what)
{
	print("%s: %s =", payload_name, what);
	if (irq_count == 0)
		print(" none");
	for (unsigned i = 0; i < irq_count && i < IRQ_LOG_MAX; i++)
		print(" 0x%x", irq_log[i]);
	print("\n");
	irq_clear();
}

bool irq_wait(unsigned count)
{
	uint64_t start = rdtsc();
	bool arrived;

	sti();
	while (irq_count < count && rdtsc() - start < 20000000)
		pause();
	arrived = irq_count >= count;
	cli();
	return arrived;
}

void irq_window(void)
{
	uint64_t start = rdtsc();

	sti();
	while (rdtsc() - start < 2000)
		pause();
	cli();
}

void mode_run(unsigned mode, const void *code, size_t bytes, struct low_regs *regs)
{
	memcpy((void *)LOW_CODE, code, bytes);
	memcpy((void *)LOW_REGS, regs, sizeof(*regs));
	mode_switch(mode);
	memcpy(regs, (const void *)LOW_REGS, sizeof(*regs));
}
