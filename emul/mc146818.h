// SPDX-License-Identifier: BSD-2-Clause
// MC146818 real-time clock with 128 bytes of CMOS memory. See mc146818.c.
#ifndef EMUL_MC146818_H
#define EMUL_MC146818_H

#include "emul/device.h"

extern const struct device_model mc146818_model;

enum mc146818_region {
	MC146818_REGION_PORTS, // index and data
	MC146818_REGIONS
};

enum {
	MC146818_PORT = 0x70, // where a PC has the region
	MC146818_PORT_BYTES = 2,
	MC146818_CMOS_BYTES = 128,
	MC146818_CENTURY = 0x32, // the FADT's CENTURY
};

enum mc146818_output {
	MC146818_OUTPUT_IRQ,      // IRQ8: high until register C is read
	MC146818_OUTPUT_NMI_MASK, // bit 7 of the index port: high while NMI is masked
	MC146818_OUTPUTS
};

enum mc146818_timer {
	MC146818_TIMER_PERIODIC,
	MC146818_TIMER_ALARM,
	MC146818_TIMER_UPDATE,
	MC146818_TIMERS
};

// Both are called by vm/ when it creates the device, before the first reset, in any order.

// Sets clock and registers to the state of a clock that firmware has set up (running, BCD, 24
// hours) and that shows the given second since 1970-01-01 00:00 UTC at guest time 0.
void mc146818_configure(struct device *device, uint64_t epoch_seconds_at_zero);

// Fills a byte of CMOS memory: 0x0e to 0x7f, the century excepted.
void mc146818_set_cmos(struct device *device, uint8_t index, uint8_t value);

#endif
