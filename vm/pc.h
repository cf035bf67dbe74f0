// SPDX-License-Identifier: BSD-2-Clause
// The board: which devices a PC has, where they answer, and how their lines are wired.
#ifndef VM_PC_H
#define VM_PC_H

#include "emul/device.h"
#include "kernel/base/status.h"

struct scsi_unit;
struct vm;

#define PC_ECAM_BASE 0xfef00000u // of bus 0, PCI_HOST_ECAM_BYTES

// Creates all devices of a machine and places their regions. STATUS_NO_MEMORY.
must_check enum status pc_create(struct vm *vm);
void pc_destroy(struct vm *vm);

// Of a disk of the configuration: its device number on bus 0; 0: it is no PCI device.
unsigned pc_disk_device(const struct vm *vm, uint32_t index);
// Of such a disk: its place at the IDE controller, channel * 2 + drive; IDE_DRIVES: it has none.
unsigned pc_ide_drive(const struct vm *vm, uint32_t index);
// The same at the AHCI controller: its port; AHCI_PORTS: it has none.
unsigned pc_ahci_port(const struct vm *vm, uint32_t index);
// Its number: as a card it comes behind all that follow.
unsigned pc_ahci_device(const struct vm *vm);
// The device number of a NIC: they come behind the disks.
unsigned pc_nic_device(const struct vm *vm, uint32_t index);

// A PCI disk by its name, and its place in the configuration; NULL: there is none.
struct device *pc_disk_find(const struct vm *vm, const char *name, uint32_t *index);

// Of a disk of the configuration that is a CD drive; false: it is none.
struct pc_cd {
	struct device *device;
	const struct scsi_unit *unit; // under the device lock
	unsigned drive; // as device_disc has it
	uint32_t reserved;
};
must_check bool pc_cd_find(const struct vm *vm, uint32_t index, struct pc_cd *cd);
// Whether a disk of the configuration is a disc of that drive, and its port then.
must_check bool pc_disc_find(const struct vm *vm, uint32_t drive, uint32_t index, unsigned *port);

// Where the flash with the variables begins, in a machine that has one.
uint64_t pc_flash_base(const struct vm *vm);

struct device *pc_balloon_find(const struct vm *vm); // NULL: there is none
struct device *pc_usb_find(const struct vm *vm); // the controller; the same
// What the operator calls a USB device (enum uhci_device): its model, or the disk's name. "": the
// machine has no such disk.
const char *pc_usb_name(const struct vm *vm, unsigned which);
// Of a disk of the configuration: which USB device it is; UHCI_DEVICES: none.
unsigned pc_usb_disk(const struct vm *vm, uint32_t index);
// Where a USB device is: as struct uhci_config has it.
uint8_t pc_usb_place(const struct vm *vm, unsigned which);

// Power-on or reset line: every device in its reset state, then, for a kernel that is booted
// directly, what firmware would have set up (virtual wire mode).
void pc_reset(struct vm *vm, enum device_reset kind);

#endif
