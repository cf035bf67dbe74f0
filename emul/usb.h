// SPDX-License-Identifier: BSD-2-Clause
// A USB device, whatever host controller it is at: what all have in common (usb.c), and what each
// kind is to that. It is a part of its controller's state, and the controller calls it: for a
// packet to its address, for a reset of its bus, for whatever reaches it from outside.
//
// The struct of a kind begins with struct usb_device, which the controller's table has by
// USB_DEVICE_STATE. All of them have full speed.
#ifndef EMUL_USB_H
#define EMUL_USB_H

#include "emul/device.h"
#include "emul/usb_abi.h"

struct usb_device;

// What a packet is answered with.
enum usb_result {
	USB_ACK,   // or with data
	USB_NAK,   // nothing yet: it is to be asked again
	USB_STALL,
	USB_SILENT, // nobody is there, or it does not understand
};

enum {
	USB_CONTROL_BYTES = 8, // of a packet to endpoint 0
	USB_PACKET_MAX = 64,   // of any other that a device sends
	USB_WRITE_MAX = 8,     // of the data of a request that writes
	USB_ANSWER_MAX = 128,  // and of one that reads
	USB_STRING_SERIAL = 3, // descriptor
	USB_STRINGS = 4,
};

struct usb_setup {
	uint8_t type, request;
	uint16_t value, index, length;
};

// What makes a device one of its kind. Handlers may be NULL: such requests are not known then, and
// such endpoints have nothing.
struct usb_model {
	const char *name; // QEMU's
	const char *strings[USB_STRINGS]; // those that are not NULL; 0: none
	const uint8_t *device, *configuration; // descriptors
	uint16_t configuration_bytes;
	uint8_t in, out; // endpoints beside 0, a bit each; a number has one direction
	uint8_t reserved[4];
	// The bus has been reset: all but what is (c) is as it is at power-on.
	void (*reset)(struct usb_device *usb);
	// It has been configured, or not any more; endpoints are as they begin.
	void (*configured)(struct usb_device *usb);
	void (*halt_cleared)(struct usb_device *usb, unsigned endpoint);
	// A request of chapter 9 that is the device's own affair, of its class or of its vendor,
	// which reads: the same again if nothing has happened. How many bytes, at most
	// USB_ANSWER_MAX; -1: it is not known.
	int (*read)(struct usb_device *usb, const struct usb_setup *setup,
		uint8_t answer[USB_ANSWER_MAX]);
	// The same that writes, `bytes` up to USB_WRITE_MAX. False: it is not known.
	must_check bool (*write)(struct usb_device *usb, struct guest_time now,
		const struct usb_setup *setup, const uint8_t *data, unsigned bytes);
	// An endpoint that is not halted, of a device that is configured.
	enum usb_result (*get)(struct usb_device *usb, struct guest_time now, unsigned endpoint,
		uint8_t data[USB_PACKET_MAX], unsigned *bytes);
	enum usb_result (*put)(struct usb_device *usb, struct guest_time now, unsigned endpoint,
		const uint8_t *data, unsigned bytes);
};

// Of a control transfer: USB 2.0, 8.5.3.
enum usb_stage {
	USB_STAGE_NONE,
	USB_STAGE_READ,   // data to the host
	USB_STAGE_WRITE,  // data from it
	USB_STAGE_STATUS, // the request is carried out in it
	USB_STAGES
};

struct usb_device {
	const struct usb_model *model; // (c) host-only; NULL: the machine has no such device
	struct device *controller;     // (c) host-only
	uint64_t setup; // the last such packet, its first byte lowest
	uint64_t data;  // that the request writes, the same
	uint16_t at;    // bytes of the data stage so far
	uint8_t stage;  // enum usb_stage
	uint8_t address;
	uint8_t configuration; // 1: it is configured
	uint8_t halted;        // endpoints, a bit each
	bool wakeup;  // it may wake the host
	bool plugged; // it is at its port
};

#define USB_DEVICE_STATE(type, array)                                                              \
	STATE_EACH_POINTER(type, array, usb.model),                                                \
		STATE_EACH_POINTER(type, array, usb.controller),                                   \
		STATE_EACH_ANY(type, array, usb.setup), STATE_EACH_ANY(type, array, usb.data),     \
		STATE_EACH_ANY(type, array, usb.at),                                               \
		STATE_EACH(type, array, usb.stage, 0, USB_STAGES - 1),                             \
		STATE_EACH(type, array, usb.address, 0, USB_ADDRESS_MAX),                          \
		STATE_EACH(type, array, usb.configuration, 0, 1),                                  \
		STATE_EACH_ANY(type, array, usb.halted),                                           \
		STATE_EACH(type, array, usb.wakeup, 0, 1),                                         \
		STATE_EACH(type, array, usb.plugged, 0, 1)

// Its bus is reset, or it has its power back.
void usb_reset(struct usb_device *usb);
// A packet to it. `bytes` of `data` are there for SETUP and OUT; for IN up to USB_PACKET_MAX of it
// are filled, and *bytes says how many.
enum usb_result usb_packet(struct usb_device *usb, struct guest_time now, enum usb_pid pid,
	unsigned endpoint, uint8_t *data, unsigned *bytes);
// The endpoint answers STALL until the host clears that. Called by the device's own kind.
void usb_halt(struct usb_device *usb, unsigned endpoint);
// A string descriptor, as usb_model.read has it.
int usb_string(const char *text, uint8_t answer[USB_ANSWER_MAX]);
// NULL, or what a loaded one cannot be.
const char *usb_check(const struct usb_device *usb);

static inline bool usb_is_configured(const struct usb_device *usb)
{
	return usb->plugged && usb->configuration != 0;
}

#endif
