// SPDX-License-Identifier: BSD-2-Clause
#ifndef EMUL_PORT61_H
#define EMUL_PORT61_H

#include "emul/device.h"

enum port61_region {
	PORT61_REGION_PORT, // 1 port, at 0x61
};

enum port61_input {
	PORT61_INPUT_OUT2, // the timer's OUT 2, sampled when the port is read
	PORT61_INPUTS,
};

enum port61_output {
	PORT61_OUTPUT_GATE2,   // bit 0: gate of the timer's channel 2
	PORT61_OUTPUT_SPEAKER, // bit 1: speaker data
	PORT61_OUTPUTS,
};

extern const struct device_model port61_model;

#endif
