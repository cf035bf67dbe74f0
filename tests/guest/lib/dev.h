// SPDX-License-Identifier: BSD-2-Clause
// What the payloads about devices (dev_*) share. Waits are measured by the ACPI PM timer, so that
// they last as long whatever an instruction costs.
#ifndef TESTS_GUEST_DEV_H
#define TESTS_GUEST_DEV_H

#include "payload.h"

enum {
	PM_TIMER_PORT = 0x608, // 3.579545 MHz, at least 24 bits. ACPI 6.5, 4.8.3.3
	PM_TICKS_PER_MS = 3580,

	IPI_SELF = 0x44000, // Fixed, assert, shorthand "self"
	IPI_LOGICAL = 0x4800,
	IPI_PHYSICAL = 0x4000,

	RTE_LOGICAL = 0x800,
	RTE_PENDING = 0x1000,
	RTE_ACTIVE_LOW = 0x2000,
	RTE_REMOTE_IRR = 0x4000,
	RTE_LEVEL = 0x8000,
	RTE_MASKED = 0x10000,

	LVT_EXTINT = 0x700,

	PIN_KEYBOARD = 1,
	PIN_PIT = 2,
	PIN_UART = 4,
	PIN_RTC = 8,
};

static inline uint32_t pm_now(void)
{
	return inl(PM_TIMER_PORT) & 0xffffff;
}

static inline uint32_t pm_since(uint32_t start)
{
	return (pm_now() - start) & 0xffffff;
}

// A while between two polls: a poll is expensive in a guest, and so is PAUSE in some emulators.
static inline void idle(void)
{
	for (unsigned i = 0; i < 2000; i++)
		__asm__ volatile("");
}

// Up to 2 s.
static inline void wait_us(unsigned us)
{
	uint32_t start = pm_now(), ticks = (uint32_t)((uint64_t)us * PM_TICKS_PER_MS / 1000) + 1;

	while (pm_since(start) < ticks)
		idle();
}

// With interrupts on.
static inline void window_us(unsigned us)
{
	sti();
	wait_us(us);
	cli();
}

// Up to 4 s, with interrupts on and most of the time halted, which costs an emulator nothing. The
// LAPIC's timer, wherever its clock stands, is no more than what wakes.
enum { SLEEP_VECTOR = 0x3e, SLEEP_COUNT = 2000000 };

static inline void sleep_hook(struct trap_frame *frame)
{
	(void)frame;
	lapic_write(LAPIC_EOI, 0);
}

static inline void sleep_ms(unsigned ms)
{
	uint32_t start = pm_now(), ticks = ms * PM_TICKS_PER_MS;

	trap_set_hook(SLEEP_VECTOR, sleep_hook);
	lapic_write(LAPIC_TIMER, LAPIC_PERIODIC | SLEEP_VECTOR);
	lapic_write(LAPIC_TMICT, SLEEP_COUNT);
	while (pm_since(start) < ticks)
		sti_hlt_cli();
	lapic_write(LAPIC_TMICT, 0);
	irq_window();
	lapic_write(LAPIC_TIMER, LAPIC_MASKED);
}

// Halts until that many interrupts have come: to be used where one is sure to come.
static inline void halt_until(unsigned count)
{
	while (irq_count < count)
		sti_hlt_cli();
}

// Within `percent` of what is expected.
static inline bool near_by(uint64_t value, uint64_t expected, unsigned percent)
{
	return value * 100 >= expected * (100 - percent) &&
		value * 100 <= expected * (100 + percent);
}

static inline void self_ipi(unsigned vector)
{
	lapic_send(0, IPI_SELF | vector);
	for (unsigned i = 0; i < 100 && (lapic_read(LAPIC_ICR) & RTE_PENDING) != 0; i++)
		pause();
}

static inline void rte_set(unsigned pin, uint32_t low)
{
	ioapic_write(0x10 + 2 * pin, low);
}

static inline uint32_t rte_get(unsigned pin)
{
	return ioapic_read(0x10 + 2 * pin);
}

// PIT.

enum {
	PIT_CONTROL = 0x43,
	PIT_OUT = 0x80, // of the status
	PIT_NULL = 0x40,
};

static inline void pit_program(unsigned channel, unsigned mode, unsigned count)
{
	outb(PIT_CONTROL, (uint8_t)(channel << 6 | 0x30 | mode << 1));
	outb((uint16_t)(0x40 + channel), (uint8_t)count);
	outb((uint16_t)(0x40 + channel), (uint8_t)(count >> 8));
}

static inline uint8_t pit_status(unsigned channel)
{
	outb(PIT_CONTROL, (uint8_t)(0xe0 | 2 << channel));
	return inb((uint16_t)(0x40 + channel));
}

static inline unsigned pit_count(unsigned channel)
{
	unsigned low;

	outb(PIT_CONTROL, (uint8_t)(channel << 6));
	low = inb((uint16_t)(0x40 + channel));
	return low | (unsigned)inb((uint16_t)(0x40 + channel)) << 8;
}

// Channel 0's output low, and nothing more to come of it. QEMU's output falls with a count only,
// and rises when that count ends.
static inline void pit_stop(void)
{
	pit_program(0, 0, 0);
	outb(PIT_CONTROL, 0x30);
}

// Channel 0's output: low, then high for good. The rising edge is over on return.
static inline void pit_rise(void)
{
	pit_program(0, 0, 30);
	wait_us(300);
}

#endif
