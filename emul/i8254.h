// SPDX-License-Identifier: BSD-2-Clause
#ifndef EMUL_I8254_H
#define EMUL_I8254_H

#include "emul/device.h"

#define I8254_HZ ((uint64_t)1193182)

enum i8254_region {
	I8254_REGION_PORTS, // 4 ports: counters 0 to 2, control word
};

enum i8254_input {
	I8254_INPUT_GATE2, // bit 0 of port 0x61
	I8254_INPUTS,
};

enum i8254_output {
	I8254_OUTPUT_OUT0, // IRQ 0
	I8254_OUTPUT_OUT2, // never driven: answers the `level` query alone
	I8254_OUTPUTS,
};

enum i8254_timer {
	I8254_TIMER_OUT0, // the next change of OUT 0
	I8254_TIMERS,
};

extern const struct device_model i8254_model;

#endif
