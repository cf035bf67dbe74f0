// SPDX-License-Identifier: BSD-2-Clause
// UEFI 2.10 sections 7.2 (memory types, GetMemoryMap) and 7.4 (ExitBootServices).
#include "boot/efi_exit.h"

#include "boot/memory_map.h"
#include "kernel/x86.h"

enum {
	// ExitBootServices signals drivers, whose clean-up may change the map: it is read again.
	EXIT_ATTEMPTS = 8,
	// Descriptors by which the map may grow meanwhile: nothing can be allocated any more.
	EXIT_SPARE_DESCRIPTORS = 64,
};

struct exit_map {
	uint8_t *bytes;
	UINTN capacity;
	UINTN used;
	UINTN key;
	UINTN descriptor_bytes;
};

static EFI_STATUS exit_allocate(EFI_BOOT_SERVICES *boot, struct exit_map *map)
{
	UINT32 version;
	UINTN used = 0;
	EFI_STATUS status;

	status = boot->GetMemoryMap(&used, NULL, &map->key, &map->descriptor_bytes, &version);
	if (status != EFI_BUFFER_TOO_SMALL)
		return status == EFI_SUCCESS ? EFI_DEVICE_ERROR : status;
	if (map->descriptor_bytes < sizeof(EFI_MEMORY_DESCRIPTOR))
		return EFI_INCOMPATIBLE_VERSION;
	map->capacity = used + EXIT_SPARE_DESCRIPTORS * map->descriptor_bytes;
	return boot->AllocatePool(EfiLoaderData, map->capacity, (void **)&map->bytes);
}

static EFI_STATUS exit_leave(EFI_HANDLE image, EFI_BOOT_SERVICES *boot, struct exit_map *map)
{
	EFI_STATUS status = EFI_ABORTED;

	for (unsigned i = 0; i < EXIT_ATTEMPTS && status != EFI_SUCCESS; i++) {
		UINT32 version;

		map->used = map->capacity;
		status = boot->GetMemoryMap(&map->used, (EFI_MEMORY_DESCRIPTOR *)(void *)map->bytes,
			&map->key, &map->descriptor_bytes, &version);
		if (status == EFI_SUCCESS)
			status = boot->ExitBootServices(image, map->key);
	}
	return status;
}

static const EFI_MEMORY_DESCRIPTOR *exit_descriptor(const struct exit_map *map, UINTN offset)
{
	return (const EFI_MEMORY_DESCRIPTOR *)(const void *)(map->bytes + offset);
}

static uint64_t exit_descriptor_bytes(const EFI_MEMORY_DESCRIPTOR *descriptor)
{
	uint64_t pages = descriptor->NumberOfPages;

	return pages > UINT64_MAX / PAGE_BYTES ? UINT64_MAX : pages * PAGE_BYTES;
}

// Memory of loaders is free but for our image and files, which are added one by one.
static bool exit_is_ram(uint32_t type)
{
	return type == EfiLoaderCode || type == EfiLoaderData || type == EfiBootServicesCode ||
		type == EfiBootServicesData || type == EfiConventionalMemory;
}

static enum boot_range_kind exit_range_kind(const EFI_MEMORY_DESCRIPTOR *descriptor,
	uint64_t ram_end)
{
	if (exit_is_ram(descriptor->Type))
		return BOOT_RANGE_FREE;
	switch (descriptor->Type) {
	case EfiRuntimeServicesCode:
	case EfiRuntimeServicesData:
	case EfiACPIReclaimMemory:
	case EfiACPIMemoryNVS:
	case EfiPalCode:
		return BOOT_RANGE_FIRMWARE;
	case EfiReservedMemoryType:
		return memory_map_reserved_kind(descriptor->PhysicalStart, ram_end);
	default: // device memory, and what nobody may touch: unusable, persistent, unaccepted
		return BOOT_RANGE_DEVICE;
	}
}

static void exit_convert(const struct exit_map *raw, struct boot_info *info)
{
	struct memory_map map;
	uint64_t ram_end = 0;

	memory_map_init(&map, info->ranges, BOOT_RANGES_MAX);
	for (UINTN at = 0; raw->used - at >= raw->descriptor_bytes; at += raw->descriptor_bytes) {
		const EFI_MEMORY_DESCRIPTOR *descriptor = exit_descriptor(raw, at);
		uint64_t end = descriptor->PhysicalStart + exit_descriptor_bytes(descriptor);

		if (exit_is_ram(descriptor->Type) && end > ram_end)
			ram_end = end;
	}
	for (UINTN at = 0; raw->used - at >= raw->descriptor_bytes; at += raw->descriptor_bytes) {
		const EFI_MEMORY_DESCRIPTOR *descriptor = exit_descriptor(raw, at);

		memory_map_add(&map, descriptor->PhysicalStart, exit_descriptor_bytes(descriptor),
			exit_range_kind(descriptor, ram_end));
	}
	memory_map_add(&map, info->image_start.v, info->image_bytes, BOOT_RANGE_IMAGE);
	for (uint32_t i = 0; i < info->file_count; i++)
		memory_map_add(&map, (uintptr_t)info->files[i].data, info->files[i].bytes,
			BOOT_RANGE_IMAGE);
	info->range_count = map.count;
}

EFI_STATUS efi_exit_boot_services(EFI_HANDLE image, EFI_BOOT_SERVICES *boot,
	struct boot_info *info)
{
	struct exit_map map = {0};
	EFI_STATUS status = exit_allocate(boot, &map);

	if (status != EFI_SUCCESS)
		return status;
	status = exit_leave(image, boot, &map);
	if (status != EFI_SUCCESS)
		return status;
	interrupts_disable();
	// The buffer is not in the map's way: nothing uses free memory before boot_enter.
	exit_convert(&map, info);
	return EFI_SUCCESS;
}
