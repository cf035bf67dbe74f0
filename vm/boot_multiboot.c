// SPDX-License-Identifier: BSD-2-Clause
// Multiboot Specification 0.6.96. ELF32 files, and any file whose header has address fields (the
// "a.out kludge").
#include "vm/boot_context.h"

#include <inttypes.h>

#include "vm/elf.h"

#define HEADER_MAGIC  0x1badb002u
#define BOOT_MAGIC    0x2badb002u
#define SEARCH_BYTES  8192u // 3.1: the header lies within these, on 4 bytes
#define HEADER_BYTES  12u
#define ADDRESS_BYTES 32u // header with address fields

// Header flags, 3.1.2. 0 to 15: what the loader does not know it must refuse. Modules lie on page
// boundaries and memory is told in any case; a video mode is a wish.
#define FLAG_ADDRESSES    BIT(16)
#define FLAGS_UNSUPPORTED 0xfff8u

// Information flags, 3.3.
#define INFO_MEMORY  BIT(0)
#define INFO_CMDLINE BIT(2)
#define INFO_MODULES BIT(3)
#define INFO_MAP     BIT(6)
#define INFO_LOADER  BIT(9)

struct information {
	uint32_t flags;
	uint32_t memory_lower_kib, memory_upper_kib;
	uint32_t boot_device;
	uint32_t cmdline;
	uint32_t module_count, modules;
	uint32_t symbols[4];
	uint32_t map_bytes, map;
	uint32_t drives[2];
	uint32_t config_table;
	uint32_t loader_name;
	uint32_t apm_table;
	uint32_t video[11];
};

struct module {
	uint32_t start, end; // end is exclusive
	uint32_t name;
	uint32_t reserved;
};

struct map_entry {
	uint32_t bytes_after; // of the entry, this field left out
	uint32_t base[2], bytes[2];
	uint32_t type; // as e820
};

_Static_assert(sizeof(struct information) == 116, "3.3");
_Static_assert(sizeof(struct module) == 16, "3.3");
_Static_assert(sizeof(struct map_entry) == 24, "3.3");

// Offset of the header in the file.
static bool find_header(const struct direct_boot_source *source, uint32_t *offset)
{
	uint64_t limit = source->kernel_bytes < SEARCH_BYTES ? source->kernel_bytes : SEARCH_BYTES;
	const uint8_t *at;

	for (uint32_t i = 0; i + HEADER_BYTES <= limit; i += 4) {
		at = source->kernel + i;
		if (boot_get32(at) == HEADER_MAGIC
			&& HEADER_MAGIC + boot_get32(at + 4) + boot_get32(at + 8) == 0) {
			*offset = i;
			return true;
		}
	}
	return false;
}

// A 64-bit ELF file without address fields is no multiboot kernel; it may have a PVH entry.
static bool probe(const struct direct_boot_source *source)
{
	uint32_t offset;

	if (!find_header(source, &offset))
		return false;
	return (boot_get32(source->kernel + offset + 4) & FLAG_ADDRESSES) != 0
		|| (elf_probe(source->kernel, source->kernel_bytes)
			&& !elf_is_wide(source->kernel, source->kernel_bytes));
}

static enum status load_elf(struct boot_context *context, uint64_t *end)
{
	struct elf_image image;
	uint64_t entry = 0;
	enum status status = elf_open(context, &image);

	if (status != STATUS_OK)
		return status;
	status = elf_load(context, &image, end);
	if (status != STATUS_OK)
		return status;
	status = elf_find_entry(context, &image, &entry);
	context->entry->eip = (uint32_t)entry;
	return status;
}

// The address fields, 3.1.3. From load_start on, the file is loaded up to load_end and memory is
// cleared up to bss_end.
struct addresses {
	uint32_t header, load_start, load_end, bss_end, entry;
};

static enum status load_at_addresses(struct boot_context *context, uint32_t header, uint64_t *end)
{
	const struct direct_boot_source *source = context->source;
	struct addresses addresses;
	uint64_t offset, bytes, memory_bytes;
	enum status status;

	if (source->kernel_bytes < (uint64_t)header + ADDRESS_BYTES)
		return BOOT_FAIL(context, STATUS_TRUNCATED,
			"kernel: truncated: multiboot header ends at %u bytes, file has %" PRIu64,
			header + ADDRESS_BYTES, source->kernel_bytes);
	memcpy(&addresses, source->kernel + header + HEADER_BYTES, sizeof(addresses));
	if (addresses.header < addresses.load_start
		|| addresses.header - addresses.load_start > header)
		return BOOT_FAIL(context, STATUS_BAD_FORMAT,
			"kernel: multiboot load address 0x%x does not suit header address 0x%x",
			addresses.load_start, addresses.header);
	offset = header - (addresses.header - addresses.load_start);
	bytes = source->kernel_bytes - offset;
	if (addresses.load_end != 0) {
		if (addresses.load_end <= addresses.load_start
			|| addresses.load_end - addresses.load_start > bytes)
			return BOOT_FAIL(context, STATUS_TRUNCATED,
				"kernel: truncated: multiboot loads 0x%x to 0x%x, file has %" PRIu64
				" bytes for it",
				addresses.load_start, addresses.load_end, bytes);
		bytes = addresses.load_end - addresses.load_start;
	}
	memory_bytes = bytes;
	if (addresses.bss_end > addresses.load_start + bytes)
		memory_bytes = addresses.bss_end - addresses.load_start;
	status = boot_context_claim(context, "kernel", addresses.load_start, memory_bytes);
	if (status != STATUS_OK)
		return status;
	status = boot_context_write(context, (struct gpa){addresses.load_start},
		source->kernel + offset, bytes);
	if (status != STATUS_OK)
		return status;
	context->entry->eip = addresses.entry;
	*end = addresses.load_start + memory_bytes;
	return boot_context_zero(context, (struct gpa){addresses.load_start + bytes},
		memory_bytes - bytes);
}

static enum status load_kernel(struct boot_context *context, uint64_t *end)
{
	uint32_t header = 0, flags;

	if (!find_header(context->source, &header))
		return BOOT_FAIL(context, STATUS_BAD_FORMAT, "kernel: no multiboot header");
	flags = boot_get32(context->source->kernel + header + 4);
	if ((flags & FLAGS_UNSUPPORTED) != 0)
		return BOOT_FAIL(context, STATUS_UNSUPPORTED,
			"kernel: multiboot header demands unknown features 0x%x",
			flags & FLAGS_UNSUPPORTED);
	return (flags & FLAG_ADDRESSES) != 0 ? load_at_addresses(context, header, end)
					     : load_elf(context, end);
}

// Just behind the kernel, where simple kernels look for it.
static enum status load_initrd(struct boot_context *context, uint64_t kernel_end,
	struct information *info)
{
	static const char name[] = "initrd";
	uint64_t start = kernel_end < BOOT_HIGH_START ? BOOT_HIGH_START : kernel_end;
	struct module module = {0};
	struct gpa at = {0};
	enum status status;

	if (context->source->initrd_bytes == 0)
		return STATUS_OK;
	status = boot_context_put_initrd(context, start, BOOT_LIMIT_32, BOOT_PLACE_LOWEST, &at);
	if (status != STATUS_OK)
		return status;
	module.start = (uint32_t)at.v;
	module.end = (uint32_t)(at.v + context->source->initrd_bytes);
	status = boot_context_put(context, "module name", name, sizeof(name), &at);
	if (status != STATUS_OK)
		return status;
	module.name = (uint32_t)at.v;
	status = boot_context_put(context, "module list", &module, sizeof(module), &at);
	info->flags |= INFO_MODULES;
	info->module_count = 1;
	info->modules = (uint32_t)at.v;
	return status;
}

static enum status load_memory_map(struct boot_context *context, struct information *info)
{
	struct map_entry entries[E820_ENTRIES_MAX] = {0};
	uint32_t count = context->map.count;
	struct gpa at = {0};
	enum status status;

	for (uint32_t i = 0; i < count; i++) {
		const struct e820_entry *from = &context->map.entries[i];

		entries[i].bytes_after = sizeof(entries[i]) - sizeof(entries[i].bytes_after);
		memcpy(entries[i].base, &from->base, sizeof(entries[i].base));
		memcpy(entries[i].bytes, &from->bytes, sizeof(entries[i].bytes));
		entries[i].type = from->type;
		if (from->type == E820_RAM && from->base == 0)
			info->memory_lower_kib = (uint32_t)(from->bytes / KIB);
		if (from->type == E820_RAM && from->base == BOOT_HIGH_START)
			info->memory_upper_kib = (uint32_t)(from->bytes / KIB);
	}
	status = boot_context_put(context, "memory map", entries, count * sizeof(entries[0]), &at);
	info->flags |= INFO_MEMORY | INFO_MAP;
	info->map_bytes = count * (uint32_t)sizeof(entries[0]);
	info->map = (uint32_t)at.v;
	return status;
}

static enum status load_info(struct boot_context *context, struct information *info)
{
	static const char loader[] = "Reprise";
	struct gpa at = {0};
	enum status status = boot_context_put_cmdline(context, "kernel ", &at);

	if (status != STATUS_OK)
		return status;
	info->cmdline = (uint32_t)at.v;
	status = boot_context_put(context, "boot loader name", loader, sizeof(loader), &at);
	if (status != STATUS_OK)
		return status;
	info->loader_name = (uint32_t)at.v;
	info->flags |= INFO_CMDLINE | INFO_LOADER;
	status = boot_context_put(context, "multiboot information", info, sizeof(*info), &at);
	context->entry->eax = BOOT_MAGIC;
	context->entry->ebx = (uint32_t)at.v;
	return status;
}

static enum status load(struct boot_context *context)
{
	struct information info = {0};
	uint64_t end = 0;
	enum status status = load_kernel(context, &end);

	if (status != STATUS_OK)
		return status;
	status = load_initrd(context, end, &info);
	if (status != STATUS_OK)
		return status;
	status = load_memory_map(context, &info);
	if (status != STATUS_OK)
		return status;
	return load_info(context, &info);
}

const struct boot_protocol boot_multiboot = {
	.name = "multiboot",
	.probe = probe,
	.load = load,
};
