// SPDX-License-Identifier: BSD-2-Clause
// ELF files with a PVH entry note (Xen's docs/misc/pvh.pandoc and
// public/arch-x86/hvm/start_info.h).
#include "vm/boot_context.h"

#include <inttypes.h>

#include "vm/elf.h"

#define NOTE_NAME         "Xen"
#define NOTE_PHYS32_ENTRY 18u
#define START_INFO_MAGIC  0x336ec578u

struct start_info {
	uint32_t magic;
	uint32_t version;
	uint32_t flags;
	uint32_t module_count;
	uint64_t modules;
	uint64_t cmdline;
	uint64_t rsdp;
	uint64_t memory_map; // from version 1 on
	uint32_t memory_map_count;
	uint32_t reserved;
};

struct module {
	uint64_t address;
	uint64_t bytes;
	uint64_t cmdline;
	uint64_t reserved;
};

struct memory_map_entry {
	uint64_t base;
	uint64_t bytes;
	uint32_t type; // as e820
	uint32_t reserved;
};

_Static_assert(sizeof(struct start_info) == 56, "hvm_start_info");
_Static_assert(sizeof(struct module) == 32, "hvm_modlist_entry");
_Static_assert(sizeof(struct memory_map_entry) == 24, "hvm_memmap_table_entry");

static bool probe(const struct direct_boot_source *source)
{
	return elf_probe(source->kernel, source->kernel_bytes);
}

static enum status load_kernel(struct boot_context *context)
{
	struct elf_image image;
	uint64_t entry = 0, end;
	enum status status = elf_open(context, &image);

	if (status != STATUS_OK)
		return status;
	status = elf_find_note(context, &image, NOTE_NAME, NOTE_PHYS32_ENTRY, &entry);
	if (status == STATUS_NOT_FOUND)
		return BOOT_FAIL(context, STATUS_BAD_FORMAT,
			"kernel: ELF file with neither a multiboot header nor a PVH entry note");
	if (status != STATUS_OK)
		return status;
	if (entry >= BOOT_LIMIT_32)
		return BOOT_FAIL(context, STATUS_RANGE,
			"kernel: PVH entry 0x%" PRIx64 " is beyond 4 GiB", entry);
	context->entry->eip = (uint32_t)entry;
	return elf_load(context, &image, &end);
}

static enum status load_initrd(struct boot_context *context, struct start_info *info)
{
	struct module module = {.bytes = context->source->initrd_bytes};
	struct gpa at = {0};
	enum status status;

	if (module.bytes == 0)
		return STATUS_OK;
	status = boot_context_put_initrd(context, BOOT_HIGH_START, BOOT_LIMIT_32,
		BOOT_PLACE_HIGHEST, &at);
	if (status != STATUS_OK)
		return status;
	module.address = at.v;
	status = boot_context_put(context, "module list", &module, sizeof(module), &at);
	info->module_count = 1;
	info->modules = at.v;
	return status;
}

static enum status load_memory_map(struct boot_context *context, struct start_info *info)
{
	struct memory_map_entry entries[E820_ENTRIES_MAX] = {0};
	uint32_t count = context->map.count;
	struct gpa at = {0};
	enum status status;

	for (uint32_t i = 0; i < count; i++) {
		entries[i].base = context->map.entries[i].base;
		entries[i].bytes = context->map.entries[i].bytes;
		entries[i].type = context->map.entries[i].type;
	}
	status = boot_context_put(context, "memory map", entries, count * sizeof(entries[0]), &at);
	info->memory_map = at.v;
	info->memory_map_count = count;
	return status;
}

static enum status load_info(struct boot_context *context, struct start_info *info)
{
	struct gpa at = {0};
	enum status status = boot_context_put_cmdline(context, "", &at);

	if (status != STATUS_OK)
		return status;
	info->cmdline = at.v;
	status = boot_context_put(context, "start info", info, sizeof(*info), &at);
	context->entry->ebx = (uint32_t)at.v;
	return status;
}

static enum status load(struct boot_context *context)
{
	struct start_info info = {
		.magic = START_INFO_MAGIC,
		.version = 1,
		.rsdp = context->source->rsdp.v,
	};
	enum status status = load_kernel(context);

	if (status != STATUS_OK)
		return status;
	status = load_initrd(context, &info);
	if (status != STATUS_OK)
		return status;
	status = load_memory_map(context, &info);
	if (status != STATUS_OK)
		return status;
	return load_info(context, &info);
}

const struct boot_protocol boot_pvh = {
	.name = "pvh",
	.probe = probe,
	.load = load,
};
