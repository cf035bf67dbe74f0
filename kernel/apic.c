// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/apic.h"

#include "kernel/acpi.h"
#include "kernel/base/assert.h"
#include "kernel/cpu.h"
#include "kernel/desc.h"
#include "kernel/pagetable.h"
#include "kernel/x86.h"

enum {
	REGISTER_ID = 0x02,
	REGISTER_TPR = 0x08,
	REGISTER_EOI = 0x0b,
	REGISTER_SVR = 0x0f,
	REGISTER_IRR = 0x20, // eight, of 32 vectors each
	REGISTER_COMMAND = 0x30,      // x2APIC: 64 bits, the APIC id in the upper half
	REGISTER_DESTINATION = 0x31, // xAPIC: the APIC id in bits 31:24
	REGISTER_LVT_TIMER = 0x32,
	REGISTER_LVT_COUNTER = 0x34,
	REGISTER_LVT_LINT0 = 0x35,
	REGISTER_LVT_LINT1 = 0x36,
	REGISTER_TIMER_INITIAL = 0x38,
	REGISTER_TIMER_CURRENT = 0x39,
	REGISTER_TIMER_DIVIDE = 0x3e,
};

enum {
	LVT_NMI = 4 << 8,
	LVT_MASKED = 1 << 16,
	LVT_TSC_DEADLINE = 2 << 17,
	TIMER_DIVIDE_1 = 0x0b,
	SVR_ENABLE = 1 << 8,
	COMMAND_PENDING = 1 << 12,
	COMMAND_WAIT_MAX = 100000, // polls until the last one has been taken
};

#define APIC_BASE_ENABLE BIT(11)
#define APIC_BASE_X2APIC BIT(10)
#define IOAPIC_DEFAULT   0xfec00000u

static volatile uint32_t *registers; // (c) NULL: x2APIC. Each CPU sees its own there
static volatile uint32_t *ioapic;

static uint32_t apic_read(unsigned reg)
{
	if (registers == NULL)
		return (uint32_t)rdmsr(MSR_X2APIC_FIRST + reg);
	return registers[reg * 4];
}

static void apic_write(unsigned reg, uint32_t value)
{
	if (registers == NULL)
		wrmsr(MSR_X2APIC_FIRST + reg, value);
	else
		registers[reg * 4] = value;
}

static void spurious(struct interrupt_frame *frame)
{
	(void)frame; // no EOI for a spurious interrupt: SDM vol. 3, 11.9
}

// Whoever sent it has set `attention`; that it arrived is all there is to do.
static void kick_interrupt(struct interrupt_frame *frame)
{
	(void)frame;
	apic_eoi();
}

// All lines masked, vectors moved away from the exceptions. 8259A data sheet.
static void pic_mask(void)
{
	outb(0x20, 0x11);
	outb(0xa0, 0x11);
	outb(0x21, 0xf0);
	outb(0xa1, 0xf8);
	outb(0x21, 0x04);
	outb(0xa1, 0x02);
	outb(0x21, 0x01);
	outb(0xa1, 0x01);
	outb(0x21, 0xff);
	outb(0xa1, 0xff);
}

void apic_init_cpu(void)
{
	uint64_t base = rdmsr(MSR_APIC_BASE) | APIC_BASE_ENABLE;

	wrmsr(MSR_APIC_BASE, base);
	if (registers == NULL)
		wrmsr(MSR_APIC_BASE, base | APIC_BASE_X2APIC);
	apic_write(REGISTER_TPR, 0);
	apic_write(REGISTER_LVT_LINT0, LVT_MASKED);
	apic_write(REGISTER_LVT_LINT1, LVT_NMI); // a button for a crash report
	apic_write(REGISTER_TIMER_DIVIDE, TIMER_DIVIDE_1);
	apic_write(REGISTER_LVT_TIMER, APIC_VECTOR_TIMER);
	apic_write(REGISTER_SVR, SVR_ENABLE | APIC_VECTOR_SPURIOUS);
	cpu_self()->apic_id = registers == NULL ? apic_read(REGISTER_ID)
						: apic_read(REGISTER_ID) >> 24;
}

void apic_init(void)
{
	pic_mask();
	for (unsigned vector = 0xf0; vector <= APIC_VECTOR_SPURIOUS; vector++)
		interrupt_handler_set((uint8_t)vector, spurious);
	interrupt_handler_set(APIC_VECTOR_KICK, kick_interrupt);
	if ((cpuid(1, 0).ecx & BIT(21)) == 0)
		registers = pagetable_map_device(acpi_host()->madt.lapic, PAGE_BYTES);
	apic_init_cpu();
}

void apic_command(uint32_t apic_id, uint32_t command)
{
	uint64_t flags;

	if (registers == NULL) {
		// This write waits for no earlier one by itself: SDM vol. 3, 11.12.3.
		__asm__ volatile("mfence; lfence" : : : "memory");
		wrmsr(MSR_X2APIC_FIRST + REGISTER_COMMAND, (uint64_t)apic_id << 32 | command);
		return;
	}
	ASSERT(apic_id < 255 || (command & APIC_COMMAND_TO_OTHERS) != 0);
	flags = interrupts_save(); // two writes, and handlers send too
	for (unsigned i = 0; i < COMMAND_WAIT_MAX; i++) {
		if ((apic_read(REGISTER_COMMAND) & COMMAND_PENDING) == 0)
			break;
		cpu_relax();
	}
	apic_write(REGISTER_DESTINATION, apic_id << 24);
	apic_write(REGISTER_COMMAND, command);
	interrupts_restore(flags);
}

void apic_interrupt_self(void)
{
	unsigned reg = REGISTER_IRR + APIC_VECTOR_KICK / 32;

	apic_command(cpu_self()->apic_id, APIC_VECTOR_KICK);
	for (unsigned i = 0; i < COMMAND_WAIT_MAX; i++)
		if ((apic_read(reg) & 1u << APIC_VECTOR_KICK % 32) != 0)
			return;
}

bool apic_is_x2apic(void)
{
	return registers == NULL;
}

void apic_eoi(void)
{
	apic_write(REGISTER_EOI, 0);
}

void apic_timer_start(uint32_t count)
{
	apic_write(REGISTER_TIMER_INITIAL, count);
}

uint32_t apic_timer_remaining(void)
{
	return apic_read(REGISTER_TIMER_CURRENT);
}

bool apic_timer_deadline_enable(void)
{
	if ((cpuid(1, 0).ecx & BIT(24)) == 0)
		return false;
	apic_write(REGISTER_LVT_TIMER, LVT_TSC_DEADLINE | APIC_VECTOR_TIMER);
	// Orders the mode before the first write of the deadline: SDM vol. 3, 11.5.4.1.
	__asm__ volatile("mfence" : : : "memory");
	return true;
}

// 82093AA: an index and a data register.
static void ioapic_write(uint8_t index, uint32_t value)
{
	ioapic[0] = index;
	ioapic[4] = value;
}

void apic_isa_route(uint8_t irq, uint8_t vector)
{
	if (ioapic == NULL)
		ioapic = pagetable_map_device((struct hpa){IOAPIC_DEFAULT}, PAGE_BYTES);
	ioapic_write((uint8_t)(0x11 + 2 * irq), cpu_self()->apic_id << 24);
	ioapic_write((uint8_t)(0x10 + 2 * irq), vector); // fixed, physical, edge, high, unmasked
}

void apic_counter_enable(void)
{
	apic_write(REGISTER_LVT_COUNTER, APIC_VECTOR_COUNTER);
}
