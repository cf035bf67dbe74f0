// SPDX-License-Identifier: BSD-2-Clause
// Bare-metal payloads: small programs that check one contract of the machine each. The same ELF
// runs as a guest and on the bare emulator, and both transcripts are compared with NAME.expect.
// So a payload prints results, never times or addresses that could differ from run to run.
//
// State at payload_main: 64-bit mode, 4 GiB mapped one to one (user-accessible), interrupts off,
// PIC, I/O APIC and LAPIC vectors masked, the LAPIC enabled in xAPIC mode, PIT channel 0 stopped,
// x87 and SSE not initialized.
#ifndef TESTS_GUEST_PAYLOAD_H
#define TESTS_GUEST_PAYLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "layout.h"

#define PAYLOAD(name) const char payload_name[] = name
extern const char payload_name[];
void payload_main(void);
void payload_boot(void); // from start.S
_Noreturn void payload_exit(uint32_t status);
extern uint64_t payload_start_info; // PVH's hvm_start_info
uint64_t payload_memory_top(void);  // end of the RAM below 3 GiB

// printf to COM1: %s %c %d %u %x, with l; 0xHEX must be spelled out.
__attribute__((format(printf, 1, 2))) void print(const char *format, ...);
// "NAME: " first and a newline last.
__attribute__((format(printf, 1, 2))) void report(const char *format, ...);
// "NAME: WHAT = ok" or "NAME: WHAT = WRONG"
void report_check(const char *what, bool ok);
void print_raw(const char *text, size_t bytes);

// Traps.

struct trap_frame {
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax;
	uint64_t vector, error;
	uint64_t rip, cs, rflags, rsp, ss;
};

struct trap_record {
	uint64_t vector, error, rip, cr2, cs, rflags, rsp, ss, dr6;
	uint64_t rax, rbx, rcx, rdx, rsi, rdi;
};

typedef void trap_hook(struct trap_frame *frame);

extern struct trap_record trap_last;
extern uint16_t trap_idtr[];
// Calls the function; true: an unhooked trap ended it and is described by trap_last.
bool trap_catch(void (*function)(void *), void *argument);
_Noreturn void trap_enter_user(uint64_t rip, uint64_t rflags, uint64_t argument);
void trap_set_hook(unsigned vector, trap_hook *hook);
void trap_set_present(unsigned vector, bool present); // the IDT's entry
// Ring 3, 64-bit, the argument in RDI and R11 = RFLAGS: for snippets, whose RET is TRAP_USER_END.
_Noreturn void trap_call_user(uint64_t rip, uint64_t rflags, uint64_t argument);
enum { TRAP_USER_END = 0x81, RFLAGS_TF = 1 << 8, RFLAGS_IF = 1 << 9, RFLAGS_RF = 1 << 16 };
void trap_set_gate(unsigned vector, uint64_t low, uint64_t high); // 0, 0: as trap_init leaves it
extern uint64_t trap_idt[512];
void trap_load_tss(unsigned limit, unsigned io_bitmap);           // 64-bit TSS of the library
extern uint8_t trap_tss[];
enum { TRAP_TSS_BYTES = 104 };
// Runs the function and reports "WHAT = none" or "WHAT = #14 error 0x0".
void report_trap(const char *what, void (*function)(void *), void *argument);
// Maps one 4 KiB page above 4 GiB: `slot` 0 to 511; flags as in the page-table entry.
#define PAGING_WINDOW 0x100000000ull
void *paging_map(unsigned slot, uint64_t physical, uint64_t flags);
uint64_t paging_entry(unsigned slot);
void paging_set_entry(unsigned slot, uint64_t entry); // and invalidates nothing

// Interrupts: a hook that notes the vector and ends the interrupt at the LAPIC.
enum { IRQ_LOG_MAX = 64 };
extern volatile unsigned irq_count;
extern volatile uint8_t irq_log[IRQ_LOG_MAX];
void irq_hook(struct trap_frame *frame);          // logs, LAPIC EOI
void irq_hook_without_eoi(struct trap_frame *frame); // logs alone
void irq_clear(void);
void report_irqs(const char *what); // "WHAT = 0x30 0x40", and clears
bool irq_wait(unsigned count);      // with interrupts on; false after 20 million ticks
void irq_window(void); // interrupts on for about 2000 ticks

// LAPIC, through MMIO or MSRs; registers by their MMIO offset.
enum {
	LAPIC_BASE = 0xfee00000,
	LAPIC_ID = 0x20,
	LAPIC_VERSION = 0x30,
	LAPIC_TPR = 0x80,
	LAPIC_PPR = 0xa0,
	LAPIC_EOI = 0xb0,
	LAPIC_LDR = 0xd0,
	LAPIC_DFR = 0xe0,
	LAPIC_SVR = 0xf0,
	LAPIC_ISR = 0x100,
	LAPIC_TMR = 0x180,
	LAPIC_IRR = 0x200,
	LAPIC_ESR = 0x280,
	LAPIC_ICR = 0x300,
	LAPIC_ICR_HIGH = 0x310,
	LAPIC_TIMER = 0x320,
	LAPIC_LINT0 = 0x350,
	LAPIC_LINT1 = 0x360,
	LAPIC_ERROR = 0x370,
	LAPIC_TMICT = 0x380,
	LAPIC_TMCCT = 0x390,
	LAPIC_TDCR = 0x3e0,
	LAPIC_MASKED = 0x10000,
	LAPIC_PERIODIC = 0x20000,
	LAPIC_DEADLINE = 0x40000,
	LAPIC_SPURIOUS_VECTOR = 0xff,
	IOAPIC_BASE = 0xfec00000,
};

extern bool lapic_x2apic;
uint32_t lapic_read(unsigned offset);
void lapic_write(unsigned offset, uint32_t value);
void lapic_send(uint32_t destination, uint32_t command);
bool lapic_irr(unsigned vector);
bool lapic_isr(unsigned vector);
bool lapic_has_x2apic(void);
void lapic_prepare(void); // enabled, all of the LVT masked
void lapic_enable_x2apic(void);
void lapic_enable_xapic(void);
uint32_t ioapic_read(unsigned index);
void ioapic_write(unsigned index, uint32_t value);
void ioapic_route(unsigned pin, uint32_t low, uint32_t high);

// PC devices.
enum { PIC_MASTER = 0x20, PIC_SLAVE = 0xa0, PIC_VECTOR = 0x20 };
void pic_init(unsigned master_mask, unsigned slave_mask);
void pit_one_shot(unsigned ticks);  // channel 0, mode 0
void pit_periodic(unsigned ticks);  // channel 0, mode 2
uint64_t pit_measure_tsc(unsigned ticks); // TSC ticks of as many PIT ticks (channel 2)
uint8_t cmos_read(unsigned index);
void cmos_write(unsigned index, uint8_t value);

// Within 1 %.
bool near_percent(uint64_t value, uint64_t expected);
void spin(uint64_t tsc_ticks);

// Other modes (modes.S). The code is copied to LOW_CODE.
struct low_regs {
	uint32_t eax, ebx, ecx, edx, esi, edi;
};
void mode_run(unsigned mode, const void *code, size_t bytes, struct low_regs *regs);
void mode_switch(unsigned mode);
extern const char *const mode_names[MODE_COUNT];

#include "cpu.h"

#endif
