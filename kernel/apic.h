// SPDX-License-Identifier: BSD-2-Clause
// The host's local APIC: xAPIC or x2APIC. SDM vol. 3, chapter 11.
#ifndef KERNEL_APIC_H
#define KERNEL_APIC_H

#include "kernel/base/types.h"

enum apic_vector {
	APIC_VECTOR_TIMER = 0xe0,
	APIC_VECTOR_SERIAL = 0xe1,
	APIC_VECTOR_SPURIOUS = 0xff,
};

// Masks the 8259 pair, enables this CPU's APIC (x2APIC where it is there).
void apic_init(void);
void apic_eoi(void);
bool apic_is_x2apic(void);

// One-shot timer at divide 1: counts down once and interrupts with APIC_VECTOR_TIMER. 0 stops it.
void apic_timer_start(uint32_t count);
uint32_t apic_timer_remaining(void);
// Switches the timer to TSC-deadline mode; false where the CPU has none.
bool apic_timer_deadline_enable(void);

// Routes ISA interrupt `irq` to this CPU as `vector` through the I/O APIC at its usual place.
void apic_isa_route(uint8_t irq, uint8_t vector);

#endif
