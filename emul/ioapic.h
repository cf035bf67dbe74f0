// SPDX-License-Identifier: BSD-2-Clause
// I/O APIC with 24 pins. See ioapic.c.
#ifndef EMUL_IOAPIC_H
#define EMUL_IOAPIC_H

#include "emul/device.h"

extern const struct device_model ioapic_model;

enum ioapic_region {
	IOAPIC_REGION_PAGE, // 4 KiB of memory
};

// Inputs 0 to 23 are the interrupt pins. No outputs, no timers: interrupts leave as messages, and
// INTERRUPT_EOI messages come in.
enum {
	IOAPIC_PINS = 24,
};

// Offsets in the page
enum ioapic_offset {
	IOAPIC_IOREGSEL = 0x00,
	IOAPIC_IOWIN = 0x10,
	IOAPIC_EOI = 0x40,
};

// Values of IOREGSEL
enum ioapic_register {
	IOAPIC_ID = 0x00,
	IOAPIC_VERSION = 0x01,
	IOAPIC_ARBITRATION = 0x02,
	IOAPIC_REDIRECTION = 0x10, // two each, low half first
};

#endif
