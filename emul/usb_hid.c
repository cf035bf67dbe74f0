// SPDX-License-Identifier: BSD-2-Clause
// Human interface devices at USB: a keyboard, a mouse, a tablet.
//
// Specification: Device Class Definition for HID 1.11, 7 (requests), appendix B (boot interface)
// and E (descriptors); HID Usage Tables 1.12, 4, 8, 9, 10. Numbers and the tablet's report are
// those of QEMU's usb-kbd, usb-mouse and usb-tablet.
//
// What somebody does waits in a queue: each report has one event, so that a key that is pressed and
// released between two polls is seen, except that movements behind one another are one.
#include "emul/usb_hid.h"

#include <string.h>

enum {
	HID_GET_REPORT = 0x01,
	HID_GET_IDLE = 0x02,
	HID_GET_PROTOCOL = 0x03,
	HID_SET_REPORT = 0x09,
	HID_SET_IDLE = 0x0a,
	HID_SET_PROTOCOL = 0x0b,
	HID_READ = USB_TYPE_READ | USB_TYPE_CLASS | USB_TO_INTERFACE,
	HID_WRITE = USB_TYPE_CLASS | USB_TO_INTERFACE,
	HID_REPORT_IN = 1,
	HID_REPORT_OUT = 2,
	HID_DESCRIPTOR = 0x21,
	HID_DESCRIPTOR_REPORT = 0x22,
	HID_DESCRIPTOR_BYTES = 9,
	HID_DESCRIPTOR_AT = 18, // in a configuration: behind that and its interface
	HID_ENDPOINT = 1,
	REPORT_MAX = 8,
	KEYBOARD_BYTES = 8,
	KEYBOARD_KEYS = 6,
	KEY_FIRST = 4, // those below tell errors
	KEY_TOO_MANY = 1,
	KEY_MODIFIERS = 0xe0,
	MOUSE_BYTES = 4,
	MOUSE_BOOT_BYTES = 3,
	TABLET_BYTES = 6,
	STEP_MAX = 127,
	IDLE_UNIT_NS = 4000000,
};

// B.1
static const uint8_t keyboard_report[] = {
	0x05, 0x01, 0x09, 0x06, 0xa1, 0x01, // generic desktop: keyboard: application
	0x05, 0x07, 0x19, 0xe0, 0x29, 0xe7, 0x15, 0x00, 0x25, 0x01,
	0x75, 0x01, 0x95, 0x08, 0x81, 0x02, // modifiers: 8 of 1 bit
	0x95, 0x01, 0x75, 0x08, 0x81, 0x01, // a byte that is reserved
	0x05, 0x08, 0x19, 0x01, 0x29, 0x05,
	0x95, 0x05, 0x75, 0x01, 0x91, 0x02, // LEDs: 5 of 1 bit, to the device
	0x95, 0x01, 0x75, 0x03, 0x91, 0x01,
	0x05, 0x07, 0x19, 0x00, 0x2a, 0xff, 0x00, 0x15, 0x00, 0x26, 0xff, 0x00,
	0x95, 0x06, 0x75, 0x08, 0x81, 0x00, // keys: 6 of 8 bits
	0xc0,
};

#define POINTER_BUTTONS                                                                            \
	0x05, 0x09, 0x19, 0x01, 0x29, 0x03, 0x15, 0x00, 0x25, 0x01, 0x95, 0x03, 0x75, 0x01, 0x81,  \
		0x02, 0x95, 0x01, 0x75, 0x05, 0x81, 0x01
#define POINTER_WHEEL 0x09, 0x38, 0x15, 0x81, 0x25, 0x7f, 0x75, 0x08, 0x95, 0x01, 0x81, 0x06

// B.2 with a wheel
static const uint8_t mouse_report[] = {
	0x05, 0x01, 0x09, 0x02, 0xa1, 0x01, 0x09, 0x01, 0xa1, 0x00, // mouse: pointer
	POINTER_BUTTONS,
	0x05, 0x01, 0x09, 0x30, 0x09, 0x31, 0x15, 0x81, 0x25, 0x7f,
	0x75, 0x08, 0x95, 0x02, 0x81, 0x06, // X, Y: relative
	POINTER_WHEEL, 0xc0, 0xc0,
};

static const uint8_t tablet_report[] = {
	0x05, 0x01, 0x09, 0x02, 0xa1, 0x01, 0x09, 0x01, 0xa1, 0x00,
	POINTER_BUTTONS,
	0x05, 0x01, 0x09, 0x30, 0x09, 0x31, 0x15, 0x00, 0x26, 0xff, 0x7f,
	0x35, 0x00, 0x46, 0xff, 0x7f, 0x75, 0x10, 0x95, 0x02, 0x81, 0x02, // absolute
	0x35, 0x00, 0x45, 0x00, // and not of what follows
	0x05, 0x01, POINTER_WHEEL, 0xc0, 0xc0,
};

// Full speed, class by interface.
static const uint8_t hid_device[USB_DEVICE_BYTES] = {USB_DEVICE_BYTES, USB_DESCRIPTOR_DEVICE,
	0x00, 0x01, 0, 0, 0, USB_CONTROL_BYTES, 0x27, 0x06, 0x01, 0x00, 0x00, 0x00, 1, 2,
	USB_STRING_SERIAL, 1};

// E.2 to E.5. A poll each 10 ms; it can wake the host, and takes 100 mA.
#define HID_CONFIGURATION(subclass, protocol, report, packet)                                      \
	{                                                                                          \
		9, USB_DESCRIPTOR_CONFIGURATION, 34, 0, 1, 1, 0,                                   \
			0x80 | USB_ATTRIBUTE_REMOTE_WAKEUP, 50, 9, USB_DESCRIPTOR_INTERFACE, 0, 0, \
			1, 3, (subclass), (protocol), 0, HID_DESCRIPTOR_BYTES, HID_DESCRIPTOR,     \
			0x11, 0x01, 0, 1, HID_DESCRIPTOR_REPORT, sizeof(report), 0, 7,             \
			USB_DESCRIPTOR_ENDPOINT, USB_ENDPOINT_IN | HID_ENDPOINT, 3, (packet), 0,   \
			10                                                                         \
	}
static const uint8_t keyboard_configuration[] = HID_CONFIGURATION(1, 1, keyboard_report, 8);
static const uint8_t mouse_configuration[] = HID_CONFIGURATION(1, 2, mouse_report, 4);
static const uint8_t tablet_configuration[] = HID_CONFIGURATION(0, 0, tablet_report, 8);

static struct usb_hid *hid_of(struct usb_device *usb)
{
	return CONTAINER_OF(usb, struct usb_hid, usb);
}

static bool is_keyboard(const struct usb_hid *hid)
{
	return hid->usb.model == &usb_keyboard_model;
}

static bool is_tablet(const struct usb_hid *hid)
{
	return hid->usb.model == &usb_tablet_model;
}

static void hid_reset(struct usb_device *usb)
{
	struct usb_hid *hid = hid_of(usb);

	hid->sent = (struct guest_time){0};
	memset(hid->pressed, 0, sizeof(hid->pressed));
	memset(hid->events, 0, sizeof(hid->events));
	hid->x = hid->y = 0;
	hid->first = hid->count = hid->buttons = hid->idle = hid->leds = 0;
	hid->protocol = 1;
	memset(hid->reserved, 0, sizeof(hid->reserved));
}

bool usb_hid_takes(const struct usb_hid *hid, enum device_input_kind kind)
{
	if (hid->usb.model == NULL || !usb_is_configured(&hid->usb))
		return false;
	if (is_keyboard(hid))
		return kind == DEVICE_INPUT_KEY;
	return kind == DEVICE_INPUT_BUTTON ||
		kind == (is_tablet(hid) ? DEVICE_INPUT_PLACE : DEVICE_INPUT_MOVE);
}

static int16_t sum(int16_t a, int16_t b)
{
	int both = a + b;

	return (int16_t)(both > INT16_MAX ? INT16_MAX : both < INT16_MIN ? INT16_MIN : both);
}

// A movement behind one that waits still.
static bool joined(struct usb_hid *hid, const struct device_input *input)
{
	unsigned at = (hid->first + hid->count - 1u) % USB_HID_EVENTS;
	struct usb_hid_event *last = &hid->events[at];

	if (hid->count == 0 || last->kind != input->kind ||
		(input->kind != DEVICE_INPUT_MOVE && input->kind != DEVICE_INPUT_PLACE))
		return false;
	last->x = input->kind == DEVICE_INPUT_MOVE ? sum(last->x, input->x) : input->x;
	last->y = input->kind == DEVICE_INPUT_MOVE ? sum(last->y, input->y) : input->y;
	last->wheel = sum(last->wheel, input->wheel);
	return true;
}

bool usb_hid_input(struct usb_hid *hid, const struct device_input *input)
{
	if (!usb_hid_takes(hid, input->kind))
		return false;
	if (joined(hid, input))
		return true;
	if (hid->count == USB_HID_EVENTS)
		return false;
	hid->events[(hid->first + hid->count++) % USB_HID_EVENTS] = (struct usb_hid_event){
		.x = input->x, .y = input->y, .wheel = input->wheel, .kind = input->kind,
		.code = input->code, .down = input->down};
	return true;
}

static bool key_is_pressed(const struct usb_hid *hid, unsigned usage)
{
	return (hid->pressed[usage / 64] >> usage % 64 & 1) != 0;
}

static uint8_t clamped(int value)
{
	return (uint8_t)(value > STEP_MAX ? STEP_MAX : value < -STEP_MAX ? -STEP_MAX : value);
}

// What is left of a count that a report has taken.
static int16_t rest(int value)
{
	return (int16_t)(value - (int8_t)clamped(value));
}

static uint16_t place(int value)
{
	return (uint16_t)(value < 0 ? 0 : value > DEVICE_PLACE_MAX ? DEVICE_PLACE_MAX : value);
}

// Whether it changes what is to be reported. What is relative stays in it.
static bool event_apply(struct usb_hid *hid, const struct usb_hid_event *event)
{
	uint8_t bit = (uint8_t)(1u << event->code % 8);
	bool changed = event->wheel != 0;

	switch (event->kind) {
	case DEVICE_INPUT_KEY:
		changed = key_is_pressed(hid, event->code) != event->down;
		hid->pressed[event->code / 64] &= ~BIT(event->code % 64);
		hid->pressed[event->code / 64] |= (uint64_t)event->down << event->code % 64;
		return changed;
	case DEVICE_INPUT_BUTTON:
		if (event->code >= DEVICE_BUTTONS)
			return false;
		changed = ((hid->buttons & bit) != 0) != event->down;
		hid->buttons = (uint8_t)((hid->buttons & ~bit) | (event->down ? bit : 0));
		return changed;
	case DEVICE_INPUT_PLACE:
		changed |= hid->x != place(event->x) || hid->y != place(event->y);
		hid->x = place(event->x);
		hid->y = place(event->y);
		return changed;
	default:
		return changed || event->x != 0 || event->y != 0;
	}
}

// 8.3: too many keys are none, and tell so.
static unsigned keyboard_make(const struct usb_hid *hid, uint8_t *report)
{
	unsigned keys = 0;

	memset(report, 0, KEYBOARD_BYTES);
	report[0] = (uint8_t)(hid->pressed[KEY_MODIFIERS / 64] >> KEY_MODIFIERS % 64);
	for (unsigned usage = KEY_FIRST; usage < KEY_MODIFIERS; usage++) {
		if (!key_is_pressed(hid, usage))
			continue;
		if (keys < KEYBOARD_KEYS)
			report[2 + keys] = (uint8_t)usage;
		keys++;
	}
	if (keys > KEYBOARD_KEYS)
		memset(report + 2, KEY_TOO_MANY, KEYBOARD_KEYS);
	return KEYBOARD_BYTES;
}

// The wheel of the host's side turns away from the user. NULL: nothing has been moved.
static unsigned report_make(const struct usb_hid *hid, const struct usb_hid_event *moved,
	uint8_t *report)
{
	uint8_t wheel = moved != NULL ? clamped(-moved->wheel) : 0;

	if (is_keyboard(hid))
		return keyboard_make(hid, report);
	report[0] = hid->buttons;
	if (is_tablet(hid)) {
		report[1] = (uint8_t)hid->x;
		report[2] = (uint8_t)(hid->x >> 8);
		report[3] = (uint8_t)hid->y;
		report[4] = (uint8_t)(hid->y >> 8);
		report[5] = wheel;
		return TABLET_BYTES;
	}
	report[1] = moved != NULL ? clamped(moved->x) : 0;
	report[2] = moved != NULL ? clamped(moved->y) : 0;
	report[3] = wheel;
	return hid->protocol == 0 ? MOUSE_BOOT_BYTES : MOUSE_BYTES;
}

// What a report has no room for is left to the next one.
static bool event_is_left(struct usb_hid_event *event)
{
	event->wheel = rest(event->wheel);
	if (event->kind == DEVICE_INPUT_MOVE) {
		event->x = rest(event->x);
		event->y = rest(event->y);
	}
	return event->wheel != 0 ||
		(event->kind == DEVICE_INPUT_MOVE && (event->x != 0 || event->y != 0));
}

static void event_drop(struct usb_hid *hid)
{
	hid->first = (uint8_t)((hid->first + 1u) % USB_HID_EVENTS);
	hid->count--;
}

// The first event that changes anything; those before it are gone. NULL: there is none.
static struct usb_hid_event *event_next(struct usb_hid *hid)
{
	while (hid->count != 0) {
		struct usb_hid_event *event = &hid->events[hid->first];

		if (event_apply(hid, event))
			return event;
		event_drop(hid);
	}
	return NULL;
}

// 7.2.4: a report is sent again when it is old.
static bool is_idle_over(const struct usb_hid *hid, struct guest_time now)
{
	return hid->idle != 0 &&
		now.ns - hid->sent.ns >= (uint64_t)hid->idle * IDLE_UNIT_NS;
}

static enum usb_result hid_get(struct usb_device *usb, struct guest_time now, unsigned endpoint,
	uint8_t data[USB_PACKET_MAX], unsigned *bytes)
{
	struct usb_hid *hid = hid_of(usb);
	struct usb_hid_event *event = event_next(hid);

	(void)endpoint;
	if (event == NULL && !is_idle_over(hid, now))
		return USB_NAK;
	*bytes = report_make(hid, event, data);
	if (event != NULL && !event_is_left(event))
		event_drop(hid);
	hid->sent = now;
	return USB_ACK;
}

static int descriptor_read(const struct usb_model *model, const struct usb_setup *setup,
	uint8_t *answer)
{
	const uint8_t *report = model == &usb_keyboard_model ? keyboard_report
		: model == &usb_mouse_model ? mouse_report : tablet_report;
	unsigned bytes = model->configuration[HID_DESCRIPTOR_AT + 7];

	if (setup->value == HID_DESCRIPTOR << 8) {
		memcpy(answer, model->configuration + HID_DESCRIPTOR_AT, HID_DESCRIPTOR_BYTES);
		return HID_DESCRIPTOR_BYTES;
	}
	if (setup->value != HID_DESCRIPTOR_REPORT << 8)
		return -1;
	memcpy(answer, report, bytes);
	return (int)bytes;
}

static bool has_boot_protocol(const struct usb_hid *hid)
{
	return !is_tablet(hid);
}

static int hid_read(struct usb_device *usb, const struct usb_setup *setup,
	uint8_t answer[USB_ANSWER_MAX])
{
	struct usb_hid *hid = hid_of(usb);

	if (setup->index != 0)
		return -1;
	switch (setup->type << 8 | setup->request) {
	case (USB_TYPE_READ | USB_TO_INTERFACE) << 8 | USB_GET_DESCRIPTOR:
		return descriptor_read(usb->model, setup, answer);
	case HID_READ << 8 | HID_GET_REPORT:
		if (setup->value >> 8 == HID_REPORT_IN)
			return (int)report_make(hid, NULL, answer);
		answer[0] = hid->leds;
		return setup->value >> 8 == HID_REPORT_OUT && is_keyboard(hid) ? 1 : -1;
	case HID_READ << 8 | HID_GET_IDLE:
		answer[0] = hid->idle;
		return 1;
	case HID_READ << 8 | HID_GET_PROTOCOL:
		answer[0] = hid->protocol;
		return has_boot_protocol(hid) ? 1 : -1;
	default:
		return -1;
	}
}

static bool hid_write(struct usb_device *usb, struct guest_time now, const struct usb_setup *setup,
	const uint8_t *data, unsigned bytes)
{
	struct usb_hid *hid = hid_of(usb);

	if (setup->type != HID_WRITE || setup->index != 0)
		return false;
	switch (setup->request) {
	case HID_SET_REPORT:
		if (!is_keyboard(hid) || setup->value >> 8 != HID_REPORT_OUT || bytes != 1)
			return false;
		hid->leds = data[0] & 31;
		return true;
	case HID_SET_IDLE:
		hid->idle = (uint8_t)(setup->value >> 8);
		hid->sent = now;
		return true;
	case HID_SET_PROTOCOL:
		if (!has_boot_protocol(hid) || setup->value > 1)
			return false;
		hid->protocol = (uint8_t)setup->value;
		return true;
	default:
		return false;
	}
}

#define HID_MODEL(name_, product, serial, configuration_)                                          \
	{                                                                                          \
		.name = (name_), .strings = {NULL, "Reprise", product, serial},                    \
		.device = hid_device, .configuration = (configuration_),                           \
		.configuration_bytes = sizeof(configuration_), .in = BIT(HID_ENDPOINT),            \
		.reset = hid_reset, .read = hid_read, .write = hid_write, .get = hid_get           \
	}
const struct usb_model usb_keyboard_model =
	HID_MODEL("usb-kbd", "USB Keyboard", "1", keyboard_configuration);
const struct usb_model usb_mouse_model =
	HID_MODEL("usb-mouse", "USB Mouse", "2", mouse_configuration);
const struct usb_model usb_tablet_model =
	HID_MODEL("usb-tablet", "USB Tablet", "3", tablet_configuration);
