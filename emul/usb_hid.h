// SPDX-License-Identifier: BSD-2-Clause
// Human interface devices at USB: a keyboard, a mouse, a tablet. See usb_hid.c.
#ifndef EMUL_USB_HID_H
#define EMUL_USB_HID_H

#include "emul/usb.h"

enum {
	USB_HID_EVENTS = 16, // that wait for the host to ask
	USB_HID_KEY_WORDS = 4,
};

struct usb_hid_event {
	int16_t x, y, wheel; // as struct device_input has them
	uint8_t kind, code;
	bool down;
	uint8_t reserved;
};

struct usb_hid {
	struct usb_device usb;
	struct guest_time sent; // the last report
	uint64_t pressed[USB_HID_KEY_WORDS]; // keys by their usages, a bit each
	struct usb_hid_event events[USB_HID_EVENTS];
	uint16_t x, y;    // of a tablet
	uint8_t first, count; // of `events`
	uint8_t buttons;
	uint8_t idle;     // 4 ms each, after which a report is sent again; 0: none is
	uint8_t protocol; // 1: reports; 0: boot
	uint8_t leds;
	uint8_t reserved[6];
};

extern const struct usb_model usb_keyboard_model, usb_mouse_model, usb_tablet_model;

#define USB_HID_EVENTS_STATE(type, hid)                                                            \
	STATE_ARRAY_ANY(type, hid.pressed), STATE_EACH_ANY(type, hid.events, x),                   \
		STATE_EACH_ANY(type, hid.events, y), STATE_EACH_ANY(type, hid.events, wheel),      \
		STATE_EACH(type, hid.events, kind, 0, DEVICE_INPUT_KINDS - 1),                     \
		STATE_EACH_ANY(type, hid.events, code), STATE_EACH(type, hid.events, down, 0, 1),  \
		STATE_EACH_DERIVED(type, hid.events, reserved)
// USB_HID_EVENTS_STATE comes for each of them beside it.
#define USB_HID_STATE(type, array)                                                                 \
	USB_DEVICE_STATE(type, array), STATE_EACH_ANY(type, array, sent.ns),                       \
		STATE_EACH(type, array, x, 0, DEVICE_PLACE_MAX),                                   \
		STATE_EACH(type, array, y, 0, DEVICE_PLACE_MAX),                                   \
		STATE_EACH(type, array, first, 0, USB_HID_EVENTS - 1),                             \
		STATE_EACH(type, array, count, 0, USB_HID_EVENTS),                                 \
		STATE_EACH(type, array, buttons, 0, 7), STATE_EACH_ANY(type, array, idle),         \
		STATE_EACH(type, array, protocol, 0, 1), STATE_EACH(type, array, leds, 0, 31),     \
		STATE_EACH_DERIVED(type, array, reserved)

// Whether such input comes from it, at present.
bool usb_hid_takes(const struct usb_hid *hid, enum device_input_kind kind);
// False: there was no room, or it is none of its own.
bool usb_hid_input(struct usb_hid *hid, const struct device_input *input);

#endif
