// SPDX-License-Identifier: BSD-2-Clause
// What the files of the local APIC share: lapic.c (interrupts, state, model),
// lapic_registers.c (registers,
// destinations, IA32_APIC_BASE) and lapic_timer.c. Private to them.
#ifndef EMUL_LAPIC_INTERNAL_H
#define EMUL_LAPIC_INTERNAL_H

#include "emul/lapic.h"

enum {
	LAPIC_VECTOR_FIRST = 16,
	SVR_ENABLE = 1 << 8,
	SVR_WRITABLE = 0x3ff,
	DFR_ONES = 0x0fffffff,
	ICR_WRITABLE = 0xccfff,
	LDR_WRITABLE = (int)0xff000000,
	ESR_SEND_ILLEGAL_VECTOR = 1 << 5,
	ESR_RECEIVED_ILLEGAL_VECTOR = 1 << 6,
	ESR_ILLEGAL_REGISTER = 1 << 7,
	ESR_BITS = 7 << 5,
	LVT_STATUS = 1 << 12, // always idle
	LVT_ACTIVE_LOW = 1 << 13,
	LVT_REMOTE_IRR = 1 << 14,
	LVT_LEVEL = 1 << 15,
	LVT_MASKED = 1 << 16,
	LVT_TIMER_PERIODIC = 1 << 17,
	LVT_TIMER_DEADLINE = 1 << 18, // with PERIODIC: reserved, the timer stands still
	LVT_TIMER_MODE = LVT_TIMER_PERIODIC | LVT_TIMER_DEADLINE,
	LVT_LINT0 = LAPIC_LVT_LINT0 - LAPIC_LVT_TIMER, // indices of lvt[]
	LVT_ERROR = LAPIC_LVT_ERROR - LAPIC_LVT_TIMER,
};

// Bits of the LVT entries that software may set.
static const uint32_t lapic_lvt_writable[LAPIC_LVT_ENTRIES] = {
	0x700ff, 0x107ff, 0x107ff, 0x1a7ff, 0x1a7ff, 0x100ff,
};

static inline bool lapic_software_enabled(const struct lapic *lapic)
{
	return (lapic->svr & SVR_ENABLE) != 0;
}

// enum interrupt_delivery of an LVT entry or the ICR
static inline unsigned lapic_delivery_of(uint32_t lvt_or_icr)
{
	return (lvt_or_icr >> 8) & 7;
}

// lapic.c
enum lapic_mode lapic_mode_of_base(uint64_t base);
void lapic_reset_registers(struct lapic *lapic);
// Into the IRR; the vector is legal.
void lapic_accept(struct lapic *lapic, uint8_t vector, bool level);
void lapic_raise_error(struct lapic *lapic, uint32_t error);
// An edge on a local source whose LVT entry can have no delivery mode but Fixed.
void lapic_deliver_fixed(struct lapic *lapic, uint32_t lvt);
void lapic_end_interrupt(struct lapic *lapic);
// After a change of an LVT entry or the mode: what the pins mean now.
void lapic_update_pins(struct lapic *lapic);

// lapic_registers.c
// Maps or removes the page, as mode and base have it.
void lapic_map_page(struct lapic *lapic);
uint64_t lapic_page_read(struct device *device, struct guest_time now, unsigned region,
	uint64_t offset, unsigned size);
void lapic_page_write(struct device *device, struct guest_time now, unsigned region,
	uint64_t offset, unsigned size, uint64_t value);

// lapic_timer.c
// After the members were set to their reset values, or loaded.
void lapic_timer_reset(struct lapic *lapic);
void lapic_timer_loaded(struct lapic *lapic);
void lapic_timer_expire(struct lapic *lapic, struct guest_time now);
void lapic_timer_write_initial(struct lapic *lapic, struct guest_time now, uint32_t value);
void lapic_timer_write_divide(struct lapic *lapic, struct guest_time now, uint32_t value);
void lapic_timer_write_lvt(struct lapic *lapic, struct guest_time now, uint32_t value);
uint32_t lapic_timer_current(const struct lapic *lapic, struct guest_time now);
// Reason why the timer's members contradict each other, or NULL.
const char *lapic_timer_check(const struct lapic *lapic);

#endif
