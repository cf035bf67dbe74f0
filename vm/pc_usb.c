// SPDX-License-Identifier: BSD-2-Clause
// The board's USB controller: where its devices are.
#include "vm/pc_internal.h"

#include <string.h>

#include "emul/uhci.h"
#include "kernel/base/assert.h"
#include "vm/disk_backend.h"
#include "vm/pc.h"
#include "vm/vm.h"

_Static_assert((int)VM_USB_HUB == (int)UHCI_HUB && (int)VM_USB_DEVICES == (int)UHCI_DISK, "order");

bool pc_usb_wanted(const struct vm *vm)
{
	return vm->config.usb_count != 0 || pc_disk_of_kind(vm, VM_DISK_USB, 0) != VM_DISKS_MAX;
}

static bool has_hub(const struct vm *vm)
{
	for (uint32_t i = 0; i < vm->config.usb_count; i++)
		if (vm->config.usb[i] == VM_USB_HUB)
			return true;
	return false;
}

// The place of the device that so many others are before. A hub is at the second port, with all
// but the first one behind it.
static uint8_t place_of(const struct vm *vm, unsigned before)
{
	ASSERT(has_hub(vm) || before < UHCI_PORTS); // the configuration has been looked at
	return (uint8_t)(has_hub(vm) && before > 0 ? UHCI_BEHIND_HUB + before : before + 1);
}

// Devices in the order of their list, then disks in that of the configuration.
uint8_t pc_usb_place(const struct vm *vm, unsigned which)
{
	unsigned before = 0;

	if (which == UHCI_HUB)
		return has_hub(vm) ? UHCI_PORTS : UHCI_NOWHERE;
	for (uint32_t i = 0; i < vm->config.usb_count; i++) {
		if (vm->config.usb[i] == which)
			return place_of(vm, before);
		before += vm->config.usb[i] != VM_USB_HUB;
	}
	if (which < UHCI_DISK ||
		pc_disk_of_kind(vm, VM_DISK_USB, which - UHCI_DISK) == VM_DISKS_MAX)
		return UHCI_NOWHERE;
	return place_of(vm, before + which - UHCI_DISK);
}

unsigned pc_usb_disk(const struct vm *vm, uint32_t index)
{
	unsigned which = UHCI_DISK;

	while (which < UHCI_DEVICES && pc_disk_of_kind(vm, VM_DISK_USB, which - UHCI_DISK) != index)
		which++;
	return which;
}

const char *pc_usb_name(const struct vm *vm, unsigned which)
{
	uint32_t index;

	if (which < UHCI_DISK)
		return uhci_device_name(which);
	index = pc_disk_of_kind(vm, VM_DISK_USB, which - UHCI_DISK);
	return index != VM_DISKS_MAX ? vm->config.disks[index].name : "";
}

enum status pc_usb_create(struct vm *vm, struct device *usb)
{
	struct uhci_config config = {.places = {UHCI_NOWHERE}};
	uint32_t index;

	for (unsigned i = 0; i < UHCI_DEVICES; i++)
		config.places[i] = pc_usb_place(vm, i);
	for (unsigned i = 0; (index = pc_disk_of_kind(vm, VM_DISK_USB, i)) != VM_DISKS_MAX; i++) {
		const struct vm_disk_config *disk = &vm->config.disks[index];
		enum status status;

		ASSERT(i < UHCI_DISKS); // the same
		status = backend_create(usb->owner, i, disk_backend_submit, vm->disks[index]);
		if (status != STATUS_OK)
			return status;
		config.disks[i].blocks = disk->bytes / SCSI_DISK_BLOCK_BYTES;
		config.disks[i].readonly = disk->readonly;
		memcpy(config.disks[i].serial, disk->name, strnlen(disk->name, SCSI_SERIAL_BYTES));
	}
	uhci_configure(usb, &config);
	return STATUS_OK;
}

struct device *pc_usb_find(const struct vm *vm)
{
	for (uint32_t i = 0; i < vm->device_count; i++)
		if (vm->devices[i].device->model == &uhci_model)
			return vm->devices[i].device;
	return NULL;
}
