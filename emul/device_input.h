// SPDX-License-Identifier: BSD-2-Clause
// Of the device contract (emul/device.h): what somebody does at a keyboard or with a pointer.
#ifndef EMUL_DEVICE_INPUT_H
#define EMUL_DEVICE_INPUT_H

#include "kernel/base/types.h"

enum device_input_kind {
	DEVICE_INPUT_KEY,    // code: a key's usage of page 7 (HID Usage Tables 1.12, 10)
	DEVICE_INPUT_BUTTON, // code: enum device_button
	DEVICE_INPUT_MOVE,   // x, y: counts to the right and down; wheel: notches towards the user
	DEVICE_INPUT_PLACE,  // x, y: 0 to DEVICE_PLACE_MAX, from the upper left corner on
	DEVICE_INPUT_KINDS
};

enum device_button {
	DEVICE_BUTTON_LEFT,
	DEVICE_BUTTON_RIGHT,
	DEVICE_BUTTON_MIDDLE,
	DEVICE_BUTTONS
};

enum { DEVICE_PLACE_MAX = 0x7fff };

struct device_input {
	uint8_t kind; // enum device_input_kind
	uint8_t code;
	bool down;    // of KEY and BUTTON: it is pressed, or released
	uint8_t reserved;
	int16_t x, y, wheel;
	uint8_t reserved2[2];
};
_Static_assert(sizeof(struct device_input) == 12, "the payload of an event, as logs have it");

#endif
