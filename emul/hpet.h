// SPDX-License-Identifier: BSD-2-Clause
#ifndef EMUL_HPET_H
#define EMUL_HPET_H

#include "emul/device.h"

enum {
	HPET_BASE = 0xfed00000, // where a PC has it
	HPET_BYTES = 1024,
	HPET_TICK_NS = 10, // 100 MHz
	HPET_TIMERS = 3,
};

// Registers. IA-PC HPET 1.0a, 2.3.
enum hpet_register {
	HPET_CAPABILITIES = 0x000,
	HPET_CONFIGURATION = 0x010,
	HPET_STATUS = 0x020, // a bit a timer; a one clears it
	HPET_COUNTER = 0x0f0,
	HPET_TIMER = 0x100, // of the first, HPET_TIMER_BYTES a timer
	HPET_TIMER_BYTES = 0x20,
	HPET_TIMER_CONFIGURATION = 0x00, // within it
	HPET_TIMER_COMPARATOR = 0x08,
};

enum {
	// 2.3.5, General Configuration.
	HPET_ENABLE = 0x1,
	HPET_LEGACY = 0x2, // LegacyReplacement route
	// 2.3.8, Timer N Configuration and Capabilities.
	HPET_TIMER_LEVEL = 0x2,
	HPET_TIMER_INTERRUPT = 0x4, // INT_ENB
	HPET_TIMER_PERIODIC = 0x8,
	HPET_TIMER_PERIODIC_CAP = 0x10,
	HPET_TIMER_64_CAP = 0x20,
	HPET_TIMER_VALUE_SET = 0x40,
	HPET_TIMER_32 = 0x100,
	HPET_TIMER_ROUTE_SHIFT = 9,
	HPET_TIMER_ROUTE = 0x1f << HPET_TIMER_ROUTE_SHIFT,
};

// Revision 1, three timers, a counter of 64 bits, LegacyReplacement, Intel. 2.3.4.
#define HPET_BLOCK_ID 0x8086a201u
// Inputs of the I/O APIC that each timer can be led to: those of QEMU's q35.
#define HPET_ROUTES 0x00ff0104u

enum hpet_region {
	HPET_REGION_REGISTERS,
};

enum hpet_input {
	HPET_INPUT_PIT, // what is IRQ 0 without legacy replacement
	HPET_INPUT_RTC, // and IRQ 8
	HPET_INPUTS,
};

// By the I/O APIC's inputs, of which those in HPET_ROUTES are driven. What comes out at IRQ 0 is
// the 8259's alone, for the I/O APIC has it at its input 2.
enum hpet_output {
	HPET_OUTPUT_IRQ0 = 0,
	HPET_OUTPUT_PIN2 = 2,
	HPET_OUTPUT_IRQ8 = 8,
	HPET_OUTPUTS = 24,
};

extern const struct device_model hpet_model;

#endif
