// SPDX-License-Identifier: BSD-2-Clause
#include "vm/direct_boot.h"

#include "kernel/base/assert.h"
#include "vm/boot_context.h"

// The BIOS data area, which kernels consult for the extent of low memory and for COM1.
#define BDA_BYTES             0x500u // with the scratch space behind it
#define BDA_COM1_PORT         0x400u
#define BDA_EBDA_SEGMENT      0x40eu
#define BDA_LOW_MEMORY_KIB    0x413u

// SDM vol. 3, 3.4.5: G, D, limit 0xfffff; code: execute, read, accessed; data: read, write,
// accessed; TSS: busy, limit 0x67.
static const uint64_t gdt[DIRECT_BOOT_GDT_BYTES / 8] = {
	[DIRECT_BOOT_CODE_SELECTOR / 8] = 0x00cf9b000000ffff,
	[DIRECT_BOOT_DATA_SELECTOR / 8] = 0x00cf93000000ffff,
	[DIRECT_BOOT_TASK_SELECTOR / 8] = 0x00008b0000000067,
};

static const struct boot_protocol *const protocols[] = {
	&boot_linux,
	&boot_multiboot,
	&boot_pvh,
};

static enum status write_bios_data(struct boot_context *context)
{
	uint8_t data[BDA_BYTES - BDA_COM1_PORT] = {0};
	const uint8_t ebda_kib = (E820_EBDA_END - E820_EBDA_START) / KIB;
	enum status status = boot_context_claim(context, "BIOS data area", 0, BDA_BYTES);

	if (status != STATUS_OK)
		return status;
	boot_put16(&data[0], 0x3f8);
	boot_put16(&data[BDA_EBDA_SEGMENT - BDA_COM1_PORT], E820_EBDA_START >> 4);
	boot_put16(&data[BDA_LOW_MEMORY_KIB - BDA_COM1_PORT], E820_EBDA_START / KIB);
	status = boot_context_write(context, (struct gpa){BDA_COM1_PORT}, data, sizeof(data));
	if (status != STATUS_OK)
		return status;
	return boot_context_write(context, (struct gpa){E820_EBDA_START}, &ebda_kib, 1);
}

static const struct boot_protocol *find_protocol(const struct direct_boot_source *source)
{
	for (size_t i = 0; i < ARRAY_COUNT(protocols); i++) {
		if (protocols[i]->probe(source))
			return protocols[i];
	}
	return NULL;
}

static enum status refuse_kernel(struct boot_context *context)
{
	const struct direct_boot_source *source = context->source;

	if (source->kernel_bytes >= 2 && source->kernel[0] == 0x1f && source->kernel[1] == 0x8b)
		return BOOT_FAIL(context, STATUS_UNSUPPORTED,
			"kernel: compressed with gzip: decompress the file first");
	return BOOT_FAIL(context, STATUS_BAD_FORMAT,
		"kernel: bad magic: neither bzImage, multiboot nor PVH ELF");
}

enum status direct_boot_load(struct guest_ram *ram, const struct direct_boot_source *source,
	struct direct_boot_entry *entry, char error[DIRECT_BOOT_ERROR_BYTES])
{
	struct boot_context context = {
		.ram = ram,
		.source = source,
		.entry = entry,
		.error = error,
	};
	const struct boot_protocol *protocol = find_protocol(source);
	enum status status;

	ASSERT(source->kernel != NULL || source->kernel_bytes == 0);
	ASSERT(source->initrd != NULL || source->initrd_bytes == 0);
	error[0] = '\0';
	*entry = (struct direct_boot_entry){.mode = DIRECT_BOOT_PROTECTED32};
	if (protocol == NULL)
		return refuse_kernel(&context);
	entry->protocol = protocol->name;
	e820_build(ram, &context.map);
	status = write_bios_data(&context);
	if (status != STATUS_OK)
		return status;
	status = protocol->load(&context);
	if (status != STATUS_OK)
		return status;
	return boot_context_put(&context, "GDT", gdt, sizeof(gdt), &entry->gdt);
}
