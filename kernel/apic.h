// SPDX-License-Identifier: BSD-2-Clause
// The host's local APIC: xAPIC or x2APIC. SDM vol. 3, chapter 11.
#ifndef KERNEL_APIC_H
#define KERNEL_APIC_H

#include "kernel/base/types.h"

enum apic_vector {
	APIC_VECTOR_TIMER = 0xe0,
	APIC_VECTOR_SERIAL = 0xe1,
	APIC_VECTOR_KICK = 0xe2, // another CPU wants this one's event loop: see cpu_kick
	APIC_VECTOR_COUNTER = 0xe3, // a performance counter's overflow
	APIC_VECTOR_SPURIOUS = 0xff,
};

// Low half of the interrupt command register, for apic_command: a vector alone is a fixed
// interrupt. SDM vol. 3, 11.6.1.
enum apic_command {
	APIC_COMMAND_NMI = 4 << 8 | 1 << 14,
	APIC_COMMAND_INIT = 5 << 8 | 1 << 14,
	APIC_COMMAND_STARTUP = 6 << 8 | 1 << 14, // or-ed with the page number of the first code
	APIC_COMMAND_TO_OTHERS = 3 << 18,        // all but self; the APIC id does not matter
};

// The boot CPU: masks the 8259 pair, enables its APIC (x2APIC where it is there).
void apic_init(void);
// Another CPU: the same mode; sets cpu_self()->apic_id.
void apic_init_cpu(void);
// Sends an interrupt to the CPU with that APIC id (below 255 unless this is x2APIC). What was
// written before is visible to whoever receives it. From any context.
void apic_command(uint32_t apic_id, uint32_t command);
// An interrupt to this CPU itself, with no more effect than to end a guest's run or a sleep.
// Returns once it is pending, or taken.
void apic_interrupt_self(void);
void apic_eoi(void);
bool apic_is_x2apic(void);

// One-shot timer at divide 1: counts down once and interrupts with APIC_VECTOR_TIMER. 0 stops it.
void apic_timer_start(uint32_t count);
uint32_t apic_timer_remaining(void);
// Switches the timer to TSC-deadline mode; false where the CPU has none.
bool apic_timer_deadline_enable(void);

// Lets an overflow of this CPU's performance counters interrupt it, once: that masks it again. SDM
// vol. 3, 11.5.1.
void apic_counter_enable(void);

// Routes ISA interrupt `irq` to this CPU as `vector` through the I/O APIC at its usual place.
void apic_isa_route(uint8_t irq, uint8_t vector);

#endif
