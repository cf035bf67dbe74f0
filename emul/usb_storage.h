// SPDX-License-Identifier: BSD-2-Clause
// A disk at USB. See usb_storage.c.
#ifndef EMUL_USB_STORAGE_H
#define EMUL_USB_STORAGE_H

#include "emul/scsi.h"
#include "emul/usb.h"

enum { USB_STORAGE_BUFFER_BYTES = 2048 };

enum usb_storage_phase {
	USB_STORAGE_COMMAND, // the host sends a command block
	USB_STORAGE_TO_HOST,
	USB_STORAGE_FROM_HOST,
	USB_STORAGE_STATUS, // the host reads how it ended
	USB_STORAGE_BROKEN, // until it is reset: 6.6.1
	USB_STORAGE_PHASES
};

enum usb_storage_asked {
	USB_STORAGE_NOTHING,
	USB_STORAGE_ASKED,       // the back end has a request
	USB_STORAGE_AWAITS_ROOM, // it takes none now: with the host's next packet
	USB_STORAGE_ASKEDS
};

struct usb_storage {
	struct usb_device usb;
	struct scsi_unit unit;
	struct scsi_work work;
	uint64_t name;   // of the last request
	uint32_t tag;    // of the command block
	uint32_t length; // that the host expects to move
	uint32_t total;  // that are to be moved, at most `length`
	uint32_t moved;
	uint32_t done;   // bytes of the medium
	uint32_t part;   // of the present request
	uint16_t at, bytes; // of the buffer, to the host; `at` alone from it
	uint8_t phase;   // enum usb_storage_phase
	uint8_t asked;   // enum usb_storage_asked
	uint8_t kind;    // enum device_io_kind of the request
	uint8_t status;  // of the command: 5.2
	uint8_t port;    // (c) of the back end
	uint8_t reserved[7];
	uint8_t buffer[USB_STORAGE_BUFFER_BYTES];
};

extern const struct usb_model usb_storage_model;

// The buffer of each comes beside it.
#define USB_STORAGE_STATE(type, array)                                                             \
	USB_DEVICE_STATE(type, array), SCSI_UNIT_STATE(1, type, array, unit),                      \
		STATE_EACH_ANY(type, array, work.lba), STATE_EACH_ANY(type, array, work.blocks),   \
		STATE_EACH_ANY(type, array, work.bytes),                                           \
		STATE_EACH(type, array, work.kind, 0, SCSI_WORK_KINDS - 1),                        \
		STATE_EACH(type, array, work.durable, 0, 1),                                       \
		STATE_EACH_DERIVED(type, array, work.reserved),                                    \
		STATE_EACH_ANY(type, array, name), STATE_EACH_ANY(type, array, tag),               \
		STATE_EACH_ANY(type, array, length), STATE_EACH_ANY(type, array, total),           \
		STATE_EACH_ANY(type, array, moved), STATE_EACH_ANY(type, array, done),             \
		STATE_EACH(type, array, part, 0, DEVICE_IO_BYTES_MAX),                             \
		STATE_EACH(type, array, at, 0, USB_STORAGE_BUFFER_BYTES),                          \
		STATE_EACH(type, array, bytes, 0, USB_STORAGE_BUFFER_BYTES),                       \
		STATE_EACH(type, array, phase, 0, USB_STORAGE_PHASES - 1),                         \
		STATE_EACH(type, array, asked, 0, USB_STORAGE_ASKEDS - 1),                         \
		STATE_EACH(type, array, kind, 0, DEVICE_IO_KINDS - 1),                             \
		STATE_EACH(type, array, status, 0, 2), STATE_EACH_DERIVED(type, array, port),      \
		STATE_EACH_DERIVED(type, array, reserved)

void usb_storage_completed(struct usb_storage *storage, uint64_t request, enum status status);
const char *usb_storage_check(const struct usb_storage *storage);

#endif
