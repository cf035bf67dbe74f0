// SPDX-License-Identifier: BSD-2-Clause
// A UHCI host controller with USB devices: the USB function of a PIIX3. See uhci.c.
#ifndef EMUL_UHCI_H
#define EMUL_UHCI_H

#include "emul/pcidev.h"
#include "emul/scsi.h"
#include "emul/usb.h"

extern const struct device_model uhci_model;

enum { UHCI_REGION_REGISTERS = 4 }; // base address register 4

// The USB devices that one can have, by which DEVICE_SETTING_PLUG and UNPLUG name them.
enum uhci_device {
	UHCI_KEYBOARD,
	UHCI_TABLET,
	UHCI_MOUSE,
	UHCI_HUB,
	UHCI_DISK, // the first of UHCI_DISKS, and of as many ports of back ends
	UHCI_DISKS = 4,
	UHCI_DEVICES = UHCI_DISK + UHCI_DISKS
};

enum {
	UHCI_PORTS = 2,
	// Where a device is: 1 to UHCI_PORTS, or that and from 1 on a port of the hub, which is at
	// a port itself.
	UHCI_NOWHERE = 0,
	UHCI_BEHIND_HUB = 0x10,
};

struct uhci_disk {
	uint64_t blocks;
	uint8_t serial[SCSI_SERIAL_BYTES]; // zeros behind it
	bool readonly;
	uint8_t reserved[3];
};

struct uhci_config {
	uint8_t places[UHCI_DEVICES];
	struct uhci_disk disks[UHCI_DISKS];
};

// Before the first reset. The same for an instance that a state is loaded into.
void uhci_configure(struct device *device, const struct uhci_config *config);

// The name of such a device's model.
const char *uhci_device_name(enum uhci_device which);

// What `info usb` tells of one. False: it is not there, or not plugged.
struct uhci_device_info {
	const char *product;
	uint8_t address;
	uint8_t hub_port; // of the hub, that port behind it; 0: it is at the controller's
	uint8_t port;
	uint8_t reserved[5];
};
bool uhci_device_describe(const struct device *device, enum uhci_device which,
	struct uhci_device_info *info);

#endif
