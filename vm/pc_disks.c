// SPDX-License-Identifier: BSD-2-Clause
// The board's disks: those of controllers, and those that are PCI devices themselves.
#include "vm/pc_internal.h"

#include <string.h>

#include "emul/ahci.h"
#include "emul/ide.h"
#include "emul/pci_hotplug.h"
#include "emul/virtio_blk.h"
#include "kernel/base/assert.h"
#include "vm/disk_backend.h"
#include "vm/pc.h"
#include "vm/pc_board.h"
#include "vm/vm.h"

uint32_t pc_disk_of_kind(const struct vm *vm, enum vm_disk_kind kind, unsigned number)
{
	for (uint32_t i = 0; i < vm->config.disk_count; i++)
		if (vm->config.disks[i].kind == kind && number-- == 0)
			return i;
	return VM_DISKS_MAX;
}

unsigned pc_disk_device(const struct vm *vm, uint32_t index)
{
	unsigned number = PC_PCI_FIRST_FREE;

	if (vm->config.disks[index].kind != VM_DISK_VIRTIO)
		return 0;
	for (uint32_t i = 0; i < index; i++)
		if (vm->config.disks[i].kind == VM_DISK_VIRTIO)
			number++;
	return number;
}

struct device *pc_disk_find(const struct vm *vm, const char *name, uint32_t *index)
{
	for (*index = 0; *index < vm->config.disk_count; ++*index)
		if (strcmp(vm->config.disks[*index].name, name) == 0)
			break;
	for (uint32_t i = 0; *index < vm->config.disk_count && i < vm->device_count; i++)
		if (vm->devices[i].device->model == &virtio_blk_model &&
			vm->devices[i].backend->owner == vm->disks[*index])
			return vm->devices[i].device;
	return NULL;
}

// Its power is a line of the hot-plug controller's.
static void slot_wire(struct device *hotplug, struct device *card)
{
	struct vm_device *slot = card->owner;
	unsigned output = PCI_HOTPLUG_OUTPUT_SLOT + (slot->function >> 3u) - 1;

	pc_wire_add(hotplug, output, &(struct wire_sink){.kind = WIRE_SLOT, .device = card});
	slot->power = &((struct vm_device *)hotplug->owner)->wires[output];
}

static enum status virtio_create(struct vm *vm, struct device *isa, struct device *hotplug)
{
	uint32_t removable = 0, present = 0;

	for (uint32_t i = 0; i < vm->config.disk_count; i++) {
		const struct vm_disk_config *disk = &vm->config.disks[i];
		struct virtio_blk_medium medium = {.readonly = disk->readonly,
			.sectors = disk->bytes / VIRTIO_BLK_SECTOR_BYTES};
		struct device *device;

		if (disk->kind != VM_DISK_VIRTIO)
			continue;
		device = pc_device_create(vm, &virtio_blk_model);
		if (device == NULL || backend_create(device->owner, 0, disk_backend_submit,
			vm->disks[i]) != STATUS_OK)
			return STATUS_FAIL(STATUS_NO_MEMORY);
		((struct vm_device *)device->owner)->backend->copy = disk_backend_copy;
		((struct vm_device *)device->owner)->backend->has_fixed_size =
			!vm_disk_is_memory(disk);
		memcpy(medium.serial, disk->name, strnlen(disk->name, sizeof(medium.serial)));
		virtio_blk_configure(device, &medium);
		((struct vm_device *)device->owner)->disk = (uint8_t)(i + 1);
		pc_card_place(vm, device, pc_disk_device(vm, i), isa);
		slot_wire(hotplug, device);
		removable |= (uint32_t)BIT(pc_disk_device(vm, i));
		if (!disk->unplugged)
			present |= (uint32_t)BIT(pc_disk_device(vm, i));
	}
	pci_hotplug_configure(hotplug, removable, present);
	return STATUS_OK;
}

_Static_assert((int)ATA_SECTOR_BYTES == (int)VIRTIO_BLK_SECTOR_BYTES, "sizes of disks");

// Of disks of its kind, the how manieth it is; `most`: none.
static unsigned number_of(const struct vm *vm, enum vm_disk_kind kind, uint32_t index,
	unsigned most)
{
	unsigned number = 0;

	while (number < most && pc_disk_of_kind(vm, kind, number) != index)
		number++;
	return number;
}

unsigned pc_ide_drive(const struct vm *vm, uint32_t index)
{
	return number_of(vm, VM_DISK_IDE, index, IDE_DRIVES);
}

unsigned pc_ahci_device(const struct vm *vm)
{
	if (pc_board(vm)->has_ahci)
		return PC_BOARD_LPC_DEVICE;
	return pc_nic_device(vm, vm->config.nic_count) + vm->config.rng +
		vm->config.virtio_console + vm->config.balloon;
}

unsigned pc_ahci_port(const struct vm *vm, uint32_t index)
{
	return number_of(vm, VM_DISK_AHCI, index, AHCI_PORTS);
}

// The port of a disc at the controller of its drive; IDE_PORTS: it is none of this kind's. Behind
// those of drives, in the order of the configuration.
static unsigned disc_port(const struct vm *vm, uint32_t index)
{
	unsigned port = IDE_DRIVES;

	for (uint32_t i = 0; i < vm->config.disk_count; i++) {
		const struct vm_disk_config *disc = &vm->config.disks[i];

		if (disc->kind != VM_DISK_DISC)
			continue;
		if (i == index)
			return port;
		port++;
	}
	return IDE_PORTS;
}

static uint32_t disk_named(const struct vm *vm, const char *name)
{
	uint32_t i = 0;

	while (i < vm->config.disk_count && strcmp(vm->config.disks[i].name, name) != 0)
		i++;
	return i;
}

// The drive's own disc, or one that lies beside it.
static enum status disc_put(struct vm *vm, struct device *ide, unsigned port, uint32_t index,
	unsigned drive, struct scsi_disc *disc)
{
	disc->blocks = vm->config.disks[index].bytes / SCSI_CD_BLOCK_BYTES;
	disc->drive = (uint8_t)drive;
	return disc->blocks == 0 ? STATUS_OK
		: backend_create(ide->owner, port, disk_backend_submit, vm->disks[index]);
}

static enum status discs_create(struct vm *vm, struct device *ide,
	struct scsi_disc discs[IDE_PORTS])
{
	enum status status = STATUS_OK;

	for (uint32_t i = 0; i < vm->config.disk_count && status == STATUS_OK; i++) {
		const struct vm_disk_config *disc = &vm->config.disks[i];
		unsigned port = disc_port(vm, i);

		if (port == IDE_PORTS)
			continue;
		ASSERT(disc->drive != NULL);
		status = disc_put(vm, ide, port, i,
			pc_ide_drive(vm, disk_named(vm, disc->drive)), &discs[port]);
	}
	return status;
}

bool pc_cd_find(const struct vm *vm, uint32_t index, struct pc_cd *cd)
{
	unsigned drive = pc_ide_drive(vm, index);

	if (drive == IDE_DRIVES || !vm->config.disks[index].is_cd)
		return false;
	*cd = (struct pc_cd){.device = vm->ide, .drive = drive, .unit = ide_cd(vm->ide, drive)};
	return true;
}

bool pc_disc_find(const struct vm *vm, uint32_t drive, uint32_t index, unsigned *port)
{
	const struct vm_disk_config *disc = &vm->config.disks[index];

	*port = index == drive ? pc_ide_drive(vm, index) : disc_port(vm, index);
	return disc->bytes != 0 && (index == drive ||
		(disc->kind == VM_DISK_DISC && disk_named(vm, disc->drive) == drive));
}

// In the order of the configuration: first channel, second channel, each its first drive first.
static enum status ide_create(struct vm *vm, struct device *ide)
{
	struct ide_drive_config drives[IDE_DRIVES] = {{0}};
	struct scsi_disc discs[IDE_PORTS] = {{0}};
	enum status status;
	uint32_t index;

	for (unsigned i = 0; (index = pc_disk_of_kind(vm, VM_DISK_IDE, i)) != VM_DISKS_MAX; i++) {
		const struct vm_disk_config *disk = &vm->config.disks[index];

		ASSERT(i < IDE_DRIVES); // the configuration has been looked at
		if (disk->is_cd) {
			drives[i].is_cd = true;
			status = disc_put(vm, ide, i, index, i, &discs[i]);
		} else {
			drives[i].sectors = disk->bytes / ATA_SECTOR_BYTES;
			status = backend_create(ide->owner, i, disk_backend_submit,
				vm->disks[index]);
		}
		if (status != STATUS_OK)
			return status;
		memcpy(drives[i].serial, disk->name, strnlen(disk->name, ATA_SERIAL_BYTES));
	}
	status = discs_create(vm, ide, discs);
	ide_configure(ide, drives, discs);
	return status;
}

// In the order of the configuration.
static enum status ahci_create(struct vm *vm, struct device *ahci)
{
	struct ahci_disk_config disks[AHCI_PORTS] = {{0}};
	uint32_t index;

	for (unsigned i = 0; (index = pc_disk_of_kind(vm, VM_DISK_AHCI, i)) != VM_DISKS_MAX; i++) {
		const struct vm_disk_config *disk = &vm->config.disks[index];

		ASSERT(i < AHCI_PORTS); // the configuration has been looked at
		if (backend_create(ahci->owner, i, disk_backend_submit, vm->disks[index]) !=
			STATUS_OK)
			return STATUS_FAIL(STATUS_NO_MEMORY);
		backend_find(ahci->owner, i)->copy = disk_backend_copy;
		disks[i].sectors = disk->bytes / ATA_SECTOR_BYTES;
		memcpy(disks[i].serial, disk->name, strnlen(disk->name, ATA_SERIAL_BYTES));
	}
	ahci_configure(ahci, disks);
	return STATUS_OK;
}

enum status pc_disks_create(struct vm *vm, const struct pc_disk_controllers *controllers)
{
	if (controllers->test_disk != NULL &&
		backend_create(controllers->test_disk->owner, 0, disk_backend_submit,
			vm->disks[pc_disk_of_kind(vm, VM_DISK_TEST, 0)]) != STATUS_OK)
		return STATUS_FAIL(STATUS_NO_MEMORY);
	if (controllers->ide != NULL && ide_create(vm, controllers->ide) != STATUS_OK)
		return STATUS_FAIL(STATUS_NO_MEMORY);
	if (controllers->ahci != NULL && ahci_create(vm, controllers->ahci) != STATUS_OK)
		return STATUS_FAIL(STATUS_NO_MEMORY);
	return virtio_create(vm, controllers->isa, controllers->hotplug);
}
