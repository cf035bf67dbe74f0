// SPDX-License-Identifier: BSD-2-Clause
// Between the sources of the UHCI function. Called by them alone.
#ifndef EMUL_UHCI_INTERNAL_H
#define EMUL_UHCI_INTERNAL_H

#include "emul/uhci.h"
#include "emul/usb_hid.h"
#include "emul/usb_hub.h"
#include "emul/usb_storage.h"

enum {
	UHCI_PLACE_MAX = UHCI_BEHIND_HUB + USB_HUB_PORTS,
	UHCI_HIDS = UHCI_HUB - UHCI_KEYBOARD,
	UHCI_HUBS = 1,
};

struct uhci {
	struct pcidev pci;
	struct usb_device *attached[UHCI_PORTS]; // (c) host-only; NULL: nobody can be there
	struct guest_time frame_end; // while it runs
	uint32_t frame_list;
	uint16_t command, status, enables, frame;
	uint16_t ports[UHCI_PORTS]; // what of UHCI_PORT_* is kept
	uint8_t sof;
	uint8_t done; // what status has UHCI_STATUS_INTERRUPT for: enum uhci_done
	uint8_t reserved[6];
	uint8_t places[UHCI_DEVICES]; // (c)
	struct usb_hid hids[UHCI_HIDS];
	struct usb_hub hubs[UHCI_HUBS];
	struct usb_storage disks[UHCI_DISKS];
};

enum {
	// Design Guide 2.1.1
	UHCI_COMMAND_RUN = 0x0001,
	UHCI_COMMAND_RESET = 0x0002,
	UHCI_COMMAND_GLOBAL_RESET = 0x0004,
	UHCI_COMMAND_SUSPEND = 0x0008, // global
	UHCI_COMMAND_RESUME = 0x0010,
	UHCI_COMMAND_DEBUG = 0x0020,
	UHCI_COMMAND_BITS = 0x00ff,

	// 2.1.2
	UHCI_STATUS_INTERRUPT = 0x0001,
	UHCI_STATUS_ERROR = 0x0002,
	UHCI_STATUS_RESUME = 0x0004,
	UHCI_STATUS_SYSTEM_ERROR = 0x0008,
	UHCI_STATUS_PROCESS_ERROR = 0x0010,
	UHCI_STATUS_HALTED = 0x0020,
	UHCI_STATUS_BITS = 0x003f,

	// 2.1.3
	UHCI_ENABLE_ERROR = 0x0001,
	UHCI_ENABLE_RESUME = 0x0002,
	UHCI_ENABLE_COMPLETE = 0x0004,
	UHCI_ENABLE_SHORT = 0x0008,
	UHCI_ENABLE_BITS = 0x000f,

	UHCI_FRAME_BITS = 0x07ff,
	UHCI_FRAME_ENTRIES = 1024,
	UHCI_SOF_DEFAULT = 64,

	// 2.1.7
	UHCI_PORT_CONNECTED = 0x0001, // follows from who is there
	UHCI_PORT_CONNECT_CHANGE = 0x0002,
	UHCI_PORT_ENABLED = 0x0004,
	UHCI_PORT_ENABLE_CHANGE = 0x0008,
	UHCI_PORT_D_PLUS = 0x0010, // as the lines are
	UHCI_PORT_D_MINUS = 0x0020,
	UHCI_PORT_RESUME = 0x0040,
	UHCI_PORT_ALWAYS = 0x0080,
	UHCI_PORT_RESET = 0x0200,
	UHCI_PORT_SUSPENDED = 0x1000,
	UHCI_PORT_CHANGES = UHCI_PORT_CONNECT_CHANGE | UHCI_PORT_ENABLE_CHANGE,
	UHCI_PORT_KEPT = UHCI_PORT_CHANGES | UHCI_PORT_ENABLED | UHCI_PORT_RESUME |
		UHCI_PORT_RESET | UHCI_PORT_SUSPENDED,

	UHCI_LEGACY = 0xc0, // 5.2.1: of configuration space
	UHCI_LEGACY_PIRQ = 0x2000, // interrupts reach the machine
};

enum uhci_done { UHCI_DONE_COMPLETE = 1, UHCI_DONE_SHORT = 2, UHCI_DONE_BITS = 3 };

// uhci.c
void uhci_irq_update(struct uhci *uhci);
// It stops at once, with that bit of the status.
void uhci_halt(struct uhci *uhci, uint16_t error);

// uhci_ports.c: the root hub, and who is behind it.
void uhci_devices_power_on(struct uhci *uhci);
void uhci_devices_reset(struct uhci *uhci);
// As a reset of the controller leaves them: nobody has been seen yet. `kept`: what of them was.
void uhci_ports_reset(struct uhci *uhci);
uint16_t uhci_port_read(const struct uhci *uhci, unsigned port);
void uhci_port_write(struct uhci *uhci, unsigned port, uint16_t value);
// Who hears a packet to that address; NULL: nobody.
struct usb_device *uhci_device_find(struct uhci *uhci, uint8_t address);
struct usb_device *uhci_device(struct uhci *uhci, enum uhci_device which);
void uhci_device_plug(struct uhci *uhci, enum uhci_device which, bool plugged);
void uhci_input(struct uhci *uhci, const struct device_input *input);
// Whether one of the HIDs, counted from 0, has what such input comes from.
bool uhci_takes(const struct uhci *uhci, unsigned hid, enum device_input_kind kind);
const char *uhci_ports_check(const struct uhci *uhci);

// uhci_schedule.c: all that is to be done in a frame.
void uhci_frame(struct uhci *uhci, struct guest_time now);

#endif
