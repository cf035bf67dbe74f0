// SPDX-License-Identifier: BSD-2-Clause
// bzImage by the 32-bit entry of the x86 boot protocol (Linux' Documentation/arch/x86/boot.rst,
// "32-bit Boot Protocol", and zero-page.rst). Versions 2.06 and later, loaded high.
//
// A relocatable kernel is put where it wants to run (pref_address), so that it need not move. One
// that is not is put at 1 MiB, and moves there itself. Either way all memory that it uses before it
// looks at the memory map (init_size) is kept free.
#include "vm/boot_context.h"

#include <inttypes.h>

#include "vm/random_seed.h"

// Offsets in the file and in boot_params alike.
enum {
	SETUP_SECTS = 0x1f1,
	HEADER_START = 0x1f1,
	SYSSIZE = 0x1f4, // of the protected-mode part, in units of 16 bytes
	VID_MODE = 0x1fa,
	BOOT_FLAG = 0x1fe,
	HEADER_END = 0x201, // one byte: distance from 0x202
	HEADER_MAGIC = 0x202,
	VERSION = 0x206,
	TYPE_OF_LOADER = 0x210,
	LOADFLAGS = 0x211,
	CODE32_START = 0x214,
	RAMDISK_IMAGE = 0x218,
	RAMDISK_SIZE = 0x21c,
	HEAP_END_PTR = 0x224,
	CMD_LINE_PTR = 0x228,
	INITRD_ADDR_MAX = 0x22c,
	KERNEL_ALIGNMENT = 0x230,
	RELOCATABLE_KERNEL = 0x234,
	CMDLINE_SIZE = 0x238,
	HEADER_BYTES_2_06 = 0x23c,
	SETUP_DATA = 0x250, // since 2.09
	PREF_ADDRESS = 0x258,
	INIT_SIZE = 0x260,
	HEADER_BYTES_2_10 = 0x264,
};

// In boot_params alone.
enum {
	ACPI_RSDP_ADDR = 0x70,
	E820_COUNT = 0x1e8,
	HEADER_LIMIT = 0x290, // what follows is not the header's
	E820_TABLE = 0x2d0,
	E820_BYTES = 20, // base, size, type
	PARAMS_BYTES = 4096,
};

_Static_assert((int)E820_TABLE + (int)E820_ENTRIES_MAX * (int)E820_BYTES < (int)PARAMS_BYTES,
	"the map fits");

#define MAGIC            0x53726448u // "HdrS"
#define FLAG_LOADED_HIGH 0x01u
#define FLAG_CAN_HEAP    0x80u
#define HIGH_LOAD        0x100000u
#define SECTOR_BYTES     512u

struct linux_kernel {
	uint8_t header[HEADER_LIMIT]; // offsets as above; zero where the file has no header
	uint16_t version;
	const uint8_t *code; // protected-mode part
	uint64_t code_bytes;
	struct gpa load;
	uint32_t entry;
};

static bool probe(const struct direct_boot_source *source)
{
	return source->kernel_bytes >= HEADER_MAGIC + 4
		&& boot_get16(&source->kernel[BOOT_FLAG]) == 0xaa55
		&& boot_get32(&source->kernel[HEADER_MAGIC]) == MAGIC;
}

static enum status read_header(struct boot_context *context, struct linux_kernel *kernel)
{
	const uint8_t *file = context->source->kernel;
	uint64_t file_bytes = context->source->kernel_bytes;
	uint32_t end = HEADER_MAGIC + file[HEADER_END], needed;

	if (end > HEADER_LIMIT)
		end = HEADER_LIMIT;
	if (end < VERSION + 2)
		return BOOT_FAIL(context, STATUS_BAD_FORMAT, "kernel: setup header of %u bytes",
			end - HEADER_START);
	if (end > file_bytes)
		return BOOT_FAIL(context, STATUS_TRUNCATED,
			"kernel: truncated: setup header ends at %u bytes, file has %" PRIu64, end,
			file_bytes);
	memset(kernel->header, 0, sizeof(kernel->header));
	memcpy(&kernel->header[HEADER_START], &file[HEADER_START], end - HEADER_START);
	kernel->version = boot_get16(&kernel->header[VERSION]);
	if (kernel->version < 0x0206)
		return BOOT_FAIL(context, STATUS_UNSUPPORTED,
			"kernel: boot protocol %u.%02u, at least 2.06 is needed",
			kernel->version >> 8, kernel->version & 0xffu);
	needed = kernel->version < 0x020a ? HEADER_BYTES_2_06 : HEADER_BYTES_2_10;
	if (end < needed)
		return BOOT_FAIL(context, STATUS_BAD_FORMAT,
			"kernel: setup header ends at 0x%x, its version demands 0x%x", end, needed);
	if ((kernel->header[LOADFLAGS] & FLAG_LOADED_HIGH) == 0)
		return BOOT_FAIL(context, STATUS_UNSUPPORTED,
			"kernel: zImage, which is loaded low; only bzImage is supported");
	return STATUS_OK;
}

// Finds the protected-mode part. Signatures may follow it; a linker that did not round the size up
// in the file leaves up to 15 bytes out.
static enum status find_code(struct boot_context *context, struct linux_kernel *kernel)
{
	uint64_t file_bytes = context->source->kernel_bytes;
	uint32_t sectors = kernel->header[SETUP_SECTS] == 0 ? 4 : kernel->header[SETUP_SECTS];
	uint64_t setup_bytes = (sectors + 1) * (uint64_t)SECTOR_BYTES;
	uint64_t declared = boot_get32(&kernel->header[SYSSIZE]) * (uint64_t)16;

	if (file_bytes <= setup_bytes || file_bytes - setup_bytes + 15 < declared)
		return BOOT_FAIL(context, STATUS_TRUNCATED,
			"kernel: truncated: setup header says %" PRIu64 " bytes, file has %" PRIu64,
			setup_bytes + declared, file_bytes);
	kernel->code = context->source->kernel + setup_bytes;
	kernel->code_bytes = file_bytes - setup_bytes;
	if (declared != 0 && declared < kernel->code_bytes)
		kernel->code_bytes = declared;
	return STATUS_OK;
}

// The memory that the kernel uses before it looks at the map is *start to *end. Sets its load
// address as well.
static enum status choose_area(struct boot_context *context, struct linux_kernel *kernel,
	uint64_t *start, uint64_t *end)
{
	uint64_t preferred = HIGH_LOAD, bytes = kernel->code_bytes, alignment;

	if (kernel->version >= 0x020a) {
		preferred = boot_get64(&kernel->header[PREF_ADDRESS]);
		if (bytes < boot_get32(&kernel->header[INIT_SIZE]))
			bytes = boot_get32(&kernel->header[INIT_SIZE]);
	}
	if (preferred >= BOOT_LIMIT_32)
		return BOOT_FAIL(context, STATUS_RANGE,
			"kernel: preferred address 0x%" PRIx64 " is beyond 4 GiB", preferred);
	kernel->load.v = HIGH_LOAD;
	if (kernel->header[RELOCATABLE_KERNEL] != 0) {
		alignment = boot_get32(&kernel->header[KERNEL_ALIGNMENT]);
		if (alignment == 0 || (alignment & (alignment - 1)) != 0)
			return BOOT_FAIL(context, STATUS_BAD_FORMAT,
				"kernel: alignment 0x%" PRIx64 " is not a power of two", alignment);
		if (preferred < HIGH_LOAD)
			preferred = HIGH_LOAD;
		preferred = ALIGN_UP(preferred, alignment);
		kernel->load.v = preferred;
	}
	*start = preferred < kernel->load.v ? preferred : kernel->load.v;
	*end = preferred + bytes;
	if (*end < kernel->load.v + kernel->code_bytes)
		*end = kernel->load.v + kernel->code_bytes;
	if (*end > BOOT_LIMIT_32)
		return BOOT_FAIL(context, STATUS_RANGE, "kernel: uses memory up to 0x%" PRIx64
			", beyond 4 GiB", *end);
	return STATUS_OK;
}

// The header tells the entry for a kernel at 1 MiB.
static uint32_t find_entry(const struct linux_kernel *kernel)
{
	uint32_t entry = boot_get32(&kernel->header[CODE32_START]);

	if (entry < HIGH_LOAD || entry - HIGH_LOAD >= kernel->code_bytes)
		entry = HIGH_LOAD;
	return (uint32_t)kernel->load.v + (entry - HIGH_LOAD);
}

static enum status load_kernel(struct boot_context *context, struct linux_kernel *kernel)
{
	uint64_t start = 0, end = 0;
	enum status status = choose_area(context, kernel, &start, &end);

	if (status != STATUS_OK)
		return status;
	status = boot_context_claim(context, "kernel", start, end - start);
	if (status != STATUS_OK)
		return status;
	kernel->entry = find_entry(kernel);
	return boot_context_write(context, kernel->load, kernel->code, kernel->code_bytes);
}

static enum status load_initrd(struct boot_context *context, struct linux_kernel *kernel)
{
	uint64_t limit = (uint64_t)boot_get32(&kernel->header[INITRD_ADDR_MAX]) + 1;
	struct gpa at = {0};
	enum status status;

	boot_put32(&kernel->header[RAMDISK_IMAGE], 0);
	boot_put32(&kernel->header[RAMDISK_SIZE], 0);
	if (context->source->initrd_bytes == 0)
		return STATUS_OK;
	status = boot_context_put_initrd(context, BOOT_HIGH_START, limit, BOOT_PLACE_HIGHEST, &at);
	boot_put32(&kernel->header[RAMDISK_IMAGE], (uint32_t)at.v);
	boot_put32(&kernel->header[RAMDISK_SIZE], (uint32_t)context->source->initrd_bytes);
	return status;
}

static enum status load_cmdline(struct boot_context *context, struct linux_kernel *kernel)
{
	const char *cmdline = context->source->cmdline;
	size_t length = cmdline != NULL ? strlen(cmdline) : 0;
	uint32_t limit = boot_get32(&kernel->header[CMDLINE_SIZE]);
	struct gpa at = {0};
	enum status status;

	if (length > limit)
		return BOOT_FAIL(context, STATUS_INVALID,
			"cmdline: %zu characters, the kernel takes %u", length, limit);
	status = boot_context_put_cmdline(context, "", &at);
	boot_put32(&kernel->header[CMD_LINE_PTR], (uint32_t)at.v);
	return status;
}

// struct setup_data: next, type, length, data. Kernels that do not know the type pass over it.
static enum status load_seed(struct boot_context *context, struct linux_kernel *kernel)
{
	enum { TYPE = 8, LENGTH = 12, DATA = 16, SETUP_RNG_SEED = 9 };
	const uint8_t *seed = context->source->random_seed;
	uint8_t data[DATA + RANDOM_SEED_BYTES] = {0};
	struct gpa at = {0};
	enum status status;

	if (kernel->version < 0x0209 || seed == NULL)
		return STATUS_OK;
	boot_put32(&data[TYPE], SETUP_RNG_SEED);
	boot_put32(&data[LENGTH], RANDOM_SEED_BYTES);
	memcpy(&data[DATA], seed, RANDOM_SEED_BYTES);
	status = boot_context_put(context, "random seed", data, sizeof(data), &at);
	boot_put64(&kernel->header[SETUP_DATA], at.v);
	return status;
}

static void fill_header(const struct boot_context *context, struct linux_kernel *kernel)
{
	uint8_t *header = kernel->header;

	boot_put64(&header[ACPI_RSDP_ADDR], context->source->rsdp.v);
	boot_put16(&header[VID_MODE], 0xffff); // normal
	header[TYPE_OF_LOADER] = 0xff;         // none of the assigned ones
	header[LOADFLAGS] |= FLAG_CAN_HEAP;
	boot_put16(&header[HEAP_END_PTR], 0xfe00);
	boot_put32(&header[CODE32_START], kernel->entry);
	header[E820_COUNT] = (uint8_t)context->map.count;
}

static enum status write_params(struct boot_context *context, const struct linux_kernel *kernel,
	struct gpa at)
{
	uint8_t table[E820_ENTRIES_MAX * E820_BYTES] = {0};
	enum status status;

	for (uint32_t i = 0; i < context->map.count; i++) {
		const struct e820_entry *entry = &context->map.entries[i];

		boot_put64(&table[i * E820_BYTES], entry->base);
		boot_put64(&table[i * E820_BYTES + 8], entry->bytes);
		boot_put32(&table[i * E820_BYTES + 16], entry->type);
	}
	status = boot_context_zero(context, at, PARAMS_BYTES);
	if (status != STATUS_OK)
		return status;
	status = boot_context_write(context, at, kernel->header, sizeof(kernel->header));
	if (status != STATUS_OK)
		return status;
	return boot_context_write(context, (struct gpa){at.v + E820_TABLE}, table, sizeof(table));
}

static enum status load_params(struct boot_context *context, struct linux_kernel *kernel)
{
	const struct boot_request request = {
		.what = "boot parameters",
		.bytes = PARAMS_BYTES,
		.alignment = PAGE_BYTES,
		.start = BOOT_LOW_START,
		.limit = BOOT_LOW_LIMIT,
		.place = BOOT_PLACE_LOWEST,
	};
	struct gpa at = {0};
	enum status status = boot_context_place(context, &request, &at);

	if (status != STATUS_OK)
		return status;
	fill_header(context, kernel);
	context->entry->eip = kernel->entry;
	context->entry->esi = (uint32_t)at.v;
	return write_params(context, kernel, at);
}

static enum status load(struct boot_context *context)
{
	static enum status (*const steps[])(struct boot_context *, struct linux_kernel *) = {
		read_header,
		find_code,
		load_kernel,
		load_initrd,
		load_cmdline,
		load_seed,
		load_params,
	};
	struct linux_kernel kernel = {0};
	enum status status = STATUS_OK;

	for (size_t i = 0; i < ARRAY_COUNT(steps) && status == STATUS_OK; i++)
		status = steps[i](context, &kernel);
	return status;
}

const struct boot_protocol boot_linux = {
	.name = "linux",
	.probe = probe,
	.load = load,
};
