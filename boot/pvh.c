// SPDX-License-Identifier: BSD-2-Clause
// From a PVH loader's start info to struct boot_info. Everything the start info points to lies in
// memory that becomes free, so it is copied; module 0, the archive that stands for the ESP, stays
// where it is.
#include "boot/pvh.h"

#include <string.h>

#include "boot/cpio.h"
#include "boot/enter.h"
#include "boot/memory_map.h"
#include "boot/pvh_abi.h"
#include "boot/text.h"

extern const char image_start[], image_end[]; // linker.ld

static struct boot_info pvh_boot_info;

// The loader's tables are below 4 GiB, where the boot page tables map everything.
static const void *pvh_pointer(uint64_t address)
{
	return (const void *)(uintptr_t)address;
}

static enum boot_range_kind pvh_range_kind(const struct pvh_memory *memory, uint64_t ram_end)
{
	switch (memory->type) {
	case PVH_MEMORY_RAM:
		return BOOT_RANGE_FREE;
	case PVH_MEMORY_RESERVED:
		return memory_map_reserved_kind(memory->address, ram_end);
	case PVH_MEMORY_ACPI:
	case PVH_MEMORY_NVS:
		return BOOT_RANGE_FIRMWARE;
	default:
		return BOOT_RANGE_DEVICE;
	}
}

static void pvh_read_memory(const struct pvh_start_info *start, struct memory_map *map)
{
	const struct pvh_memory *memory = pvh_pointer(start->memory_map);
	uint64_t ram_end = 0;

	for (uint32_t i = 0; i < start->memory_count; i++) {
		uint64_t end = memory[i].address + memory[i].bytes;

		if (memory[i].type == PVH_MEMORY_RAM && end > ram_end)
			ram_end = end;
	}
	for (uint32_t i = 0; i < start->memory_count; i++)
		memory_map_add(map, memory[i].address, memory[i].bytes,
			pvh_range_kind(&memory[i], ram_end));
}

static void pvh_read_archive(const struct pvh_module *module, struct boot_info *info)
{
	size_t offset = 0;
	enum status status = cpio_read_files(pvh_pointer(module->address), module->bytes,
		info->files, BOOT_FILES_MAX, &info->file_count, &offset);
	struct text text;

	if (status == STATUS_OK)
		return;
	text_init(&text, info->problem, sizeof(info->problem));
	text_add(&text, "the module is not a sound newc archive: byte ");
	text_add_number(&text, offset);
	text_add(&text, " of ");
	text_add_number(&text, module->bytes);
	text_add(&text, ": ");
	text_add(&text, status_name(status));
}

static void pvh_read_command_line(uint64_t address, struct boot_info *info)
{
	struct text text;

	text_init(&text, info->command_line, sizeof(info->command_line));
	if (address != 0)
		text_add(&text, pvh_pointer(address));
}

static void pvh_read_start_info(const struct pvh_start_info *start, struct boot_info *info)
{
	const struct pvh_module *modules = pvh_pointer(start->modules);
	struct memory_map map;

	memory_map_init(&map, info->ranges, BOOT_RANGES_MAX);
	pvh_read_memory(start, &map);
	memory_map_add(&map, info->image_start.v, info->image_bytes, BOOT_RANGE_IMAGE);
	for (uint32_t i = 0; i < start->module_count; i++)
		memory_map_add(&map, modules[i].address, modules[i].bytes, BOOT_RANGE_IMAGE);
	info->range_count = map.count;
	info->rsdp.v = start->rsdp;
	pvh_read_command_line(start->command_line, info);
	if (start->module_count > 0)
		pvh_read_archive(&modules[0], info);
}

_Noreturn void pvh_main(const struct pvh_start_info *start)
{
	struct boot_info *info = &pvh_boot_info;
	struct text text;

	info->path = BOOT_PATH_PVH;
	info->image_start.v = (uintptr_t)image_start;
	info->image_bytes = (uint64_t)(image_end - image_start);
	if (start->magic == PVH_MAGIC && start->version >= PVH_VERSION_MEMORY_MAP) {
		pvh_read_start_info(start, info);
	} else {
		text_init(&text, info->problem, sizeof(info->problem));
		text_add(&text, "the loader's PVH start info has no memory map (version 1)");
	}
	boot_enter(info);
}
