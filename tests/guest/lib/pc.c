// SPDX-License-Identifier: BSD-2-Clause
// LAPIC, I/O APIC, PIC, PIT and CMOS.
#include "payload.h"
#include "internal.h"

enum { APIC_BASE_ENABLE = 1 << 11, APIC_BASE_X2APIC = 1 << 10 };

bool lapic_x2apic;

uint32_t lapic_read(unsigned offset)
{
	if (lapic_x2apic)
		return (uint32_t)rdmsr(MSR_X2APIC + (offset >> 4));
	return read32(LAPIC_BASE + offset);
}

void lapic_write(unsigned offset, uint32_t value)
{
	if (lapic_x2apic)
		wrmsr(MSR_X2APIC + (offset >> 4), value);
	else
		write32(LAPIC_BASE + offset, value);
}

void lapic_send(uint32_t destination, uint32_t command)
{
	if (lapic_x2apic) {
		wrmsr(MSR_X2APIC + (LAPIC_ICR >> 4), (uint64_t)destination << 32 | command);
		return;
	}
	write32(LAPIC_BASE + LAPIC_ICR_HIGH, destination << 24);
	write32(LAPIC_BASE + LAPIC_ICR, command);
}

bool lapic_irr(unsigned vector)
{
	return (lapic_read(LAPIC_IRR + (vector / 32) * 16) >> (vector % 32) & 1) != 0;
}

bool lapic_isr(unsigned vector)
{
	return (lapic_read(LAPIC_ISR + (vector / 32) * 16) >> (vector % 32) & 1) != 0;
}

bool lapic_has_x2apic(void)
{
	return (cpuid(1, 0).ecx >> 21 & 1) != 0;
}

void lapic_prepare(void)
{
	lapic_write(LAPIC_SVR, 0x100 | LAPIC_SPURIOUS_VECTOR);
	lapic_write(LAPIC_TIMER, LAPIC_MASKED);
	lapic_write(LAPIC_LINT0, LAPIC_MASKED);
	lapic_write(LAPIC_LINT1, LAPIC_MASKED);
	lapic_write(LAPIC_ERROR, LAPIC_MASKED | 0xfe);
	lapic_write(LAPIC_TDCR, 0xb); // divide by 1
	lapic_write(LAPIC_TPR, 0);
}

void lapic_enable_x2apic(void)
{
	wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | APIC_BASE_ENABLE | APIC_BASE_X2APIC);
	lapic_x2apic = true;
	lapic_prepare();
}

// From x2APIC mode the way back leads through the disabled state. SDM vol. 3, 11.12.5.
void lapic_enable_xapic(void)
{
	uint64_t base = rdmsr(MSR_APIC_BASE) & ~(uint64_t)(APIC_BASE_ENABLE | APIC_BASE_X2APIC);

	if (lapic_x2apic)
		wrmsr(MSR_APIC_BASE, base);
	wrmsr(MSR_APIC_BASE, base | APIC_BASE_ENABLE);
	lapic_x2apic = false;
	lapic_prepare();
}

uint32_t ioapic_read(unsigned index)
{
	write32(IOAPIC_BASE, index);
	return read32(IOAPIC_BASE + 0x10);
}

void ioapic_write(unsigned index, uint32_t value)
{
	write32(IOAPIC_BASE, index);
	write32(IOAPIC_BASE + 0x10, value);
}

void ioapic_route(unsigned pin, uint32_t low, uint32_t high)
{
	ioapic_write(0x10 + 2 * pin, LAPIC_MASKED);
	ioapic_write(0x11 + 2 * pin, high);
	ioapic_write(0x10 + 2 * pin, low);
}

// 8259A: ICW1 to ICW4, then the masks.
void pic_init(unsigned master_mask, unsigned slave_mask)
{
	outb(PIC_MASTER, 0x11);
	outb(PIC_MASTER + 1, PIC_VECTOR);
	outb(PIC_MASTER + 1, 4);
	outb(PIC_MASTER + 1, 1);
	outb(PIC_SLAVE, 0x11);
	outb(PIC_SLAVE + 1, PIC_VECTOR + 8);
	outb(PIC_SLAVE + 1, 2);
	outb(PIC_SLAVE + 1, 1);
	outb(PIC_MASTER + 1, (uint8_t)master_mask);
	outb(PIC_SLAVE + 1, (uint8_t)slave_mask);
}

void pit_one_shot(unsigned ticks)
{
	outb(0x43, 0x30);
	outb(0x40, (uint8_t)ticks);
	outb(0x40, (uint8_t)(ticks >> 8));
}

void pit_periodic(unsigned ticks)
{
	outb(0x43, 0x34);
	outb(0x40, (uint8_t)ticks);
	outb(0x40, (uint8_t)(ticks >> 8));
}

bool near_percent(uint64_t value, uint64_t expected)
{
	return value >= expected - expected / 100 && value <= expected + expected / 100;
}

void spin(uint64_t tsc_ticks)
{
	uint64_t start = rdtsc();

	while (rdtsc() - start < tsc_ticks)
		pause();
}

// Polls now and then only: a poll can be expensive in a guest.
uint64_t pit_measure_tsc(unsigned ticks)
{
	uint64_t start;

	outb(0x61, (uint8_t)((inb(0x61) & ~2) | 1)); // gate on, speaker off
	outb(0x43, 0xb0);                            // channel 2, mode 0
	outb(0x42, (uint8_t)ticks);
	outb(0x42, (uint8_t)(ticks >> 8));
	start = rdtsc();
	while ((inb(0x61) & 0x20) == 0 && rdtsc() - start < 1000000000)
		spin(5000);
	return rdtsc() - start;
}

uint8_t cmos_read(unsigned index)
{
	outb(0x70, (uint8_t)index);
	return inb(0x71);
}

void cmos_write(unsigned index, uint8_t value)
{
	outb(0x70, (uint8_t)index);
	outb(0x71, value);
}

void pc_init(void)
{
	outb(0x43, 0x30); // the count never comes: channel 0 stands still, its output low
	pic_init(0xff, 0xff);
	for (unsigned pin = 0; pin < 24; pin++)
		ioapic_route(pin, LAPIC_MASKED, 0);
	cmos_write(0xb, 0x02); // 24 hours, no interrupts
	cmos_read(0xc);
	wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | APIC_BASE_ENABLE);
	lapic_prepare();
}
