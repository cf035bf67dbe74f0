// SPDX-License-Identifier: BSD-2-Clause
// UEFI 2.10 section 13.9 (Block I/O Protocol): the volume's size and first bytes; 10.3.5.1 (Hard
// Drive Media Device Path): where it begins on its disk; 14.4 (PCI I/O Protocol): the controller.
#include "boot/efi_volume.h"

#include <string.h>

#include <efipciio.h>

enum { VOLUME_BLOCK_MAX = 4096 }; // one page

static EFI_GUID volume_block_io = EFI_BLOCK_IO_PROTOCOL_GUID;
static EFI_GUID volume_device_path = EFI_DEVICE_PATH_PROTOCOL_GUID;
static EFI_GUID volume_pci_io = EFI_PCI_IO_PROTOCOL_GUID;

// The block at which the volume begins: 0 for one without a partition around it.
static uint64_t volume_first_block(const EFI_DEVICE_PATH_PROTOCOL *node)
{
	const size_t place = offsetof(HARDDRIVE_DEVICE_PATH, PartitionStart);
	uint64_t first = 0;

	while (node->Type != END_DEVICE_PATH_TYPE) {
		size_t bytes = (size_t)DevicePathNodeLength(node);

		if (bytes < sizeof(*node))
			break;
		if (node->Type == MEDIA_DEVICE_PATH && node->SubType == MEDIA_HARDDRIVE_DP &&
			bytes >= place + sizeof(first))
			memcpy(&first, (const uint8_t *)node + place, sizeof(first));
		node = (const void *)((const uint8_t *)node + bytes);
	}
	return first;
}

// Firmware without PCI I/O (U-Boot) leaves the controller unknown.
static void volume_find_controller(EFI_BOOT_SERVICES *boot, EFI_DEVICE_PATH_PROTOCOL *path,
	struct boot_volume *volume)
{
	EFI_PCI_IO_PROTOCOL *pci;
	UINTN segment, bus, slot, function;
	EFI_HANDLE controller;

	if (boot->LocateDevicePath(&volume_pci_io, &path, &controller) != EFI_SUCCESS ||
		boot->HandleProtocol(controller, &volume_pci_io, (void **)&pci) != EFI_SUCCESS ||
		pci->GetLocation(pci, &segment, &bus, &slot, &function) != EFI_SUCCESS ||
		segment != 0)
		return;
	volume->bus = (uint8_t)bus;
	volume->slot = (uint8_t)slot;
	volume->function = (uint8_t)function;
	volume->controller_is_known = true;
}

// Fills the boot sector.
static bool volume_read_block(EFI_BOOT_SERVICES *boot, EFI_BLOCK_IO_PROTOCOL *block,
	struct boot_volume *volume)
{
	EFI_PHYSICAL_ADDRESS page = 0; // aligned as any device may want it
	EFI_STATUS status;

	if (boot->AllocatePages(AllocateAnyPages, EfiLoaderData, 1, &page) != EFI_SUCCESS)
		return false;
	status = block->ReadBlocks(block, block->Media->MediaId, 0, block->Media->BlockSize,
		(void *)(uintptr_t)page);
	memcpy(volume->boot_sector, (const void *)(uintptr_t)page, BOOT_SECTOR_BYTES);
	boot->FreePages(page, 1);
	return status == EFI_SUCCESS;
}

void efi_volume_read(EFI_BOOT_SERVICES *boot, EFI_HANDLE device, struct boot_info *info)
{
	struct boot_volume *volume = &info->volume;
	EFI_DEVICE_PATH_PROTOCOL *path;
	EFI_BLOCK_IO_PROTOCOL *block;
	uint64_t bytes, first;

	if (boot->HandleProtocol(device, &volume_block_io, (void **)&block) != EFI_SUCCESS ||
		boot->HandleProtocol(device, &volume_device_path, (void **)&path) != EFI_SUCCESS)
		return;
	bytes = block->Media->BlockSize;
	first = volume_first_block(path);
	if (bytes < BOOT_SECTOR_BYTES || bytes > VOLUME_BLOCK_MAX ||
		block->Media->LastBlock >= BIT(63) / VOLUME_BLOCK_MAX ||
		first >= BIT(63) / VOLUME_BLOCK_MAX || !volume_read_block(boot, block, volume))
		return;
	volume->start = first * bytes;
	volume->bytes = (block->Media->LastBlock + 1) * bytes;
	volume_find_controller(boot, path, volume);
	volume->is_known = true;
}
