// SPDX-License-Identifier: BSD-2-Clause
#include "vm/boot_context.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

void boot_context_set_error(struct boot_context *context, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(context->error, DIRECT_BOOT_ERROR_BYTES, format, arguments);
	va_end(arguments);
}

static uint64_t memory_mib(const struct boot_context *context)
{
	return (context->ram->low_bytes + context->ram->high_bytes) / MIB;
}

static const struct boot_range *find_overlap(const struct boot_context *context, uint64_t base,
	uint64_t bytes)
{
	for (unsigned i = 0; i < context->used_count; i++) {
		const struct boot_range *range = &context->used[i];

		if (base < range->end && range->base < base + bytes)
			return range;
	}
	return NULL;
}

// Merges with a neighbour where it can: segments are mostly adjacent.
static enum status remember(struct boot_context *context, const char *what, uint64_t base,
	uint64_t bytes)
{
	for (unsigned i = 0; i < context->used_count; i++) {
		if (context->used[i].end == base) {
			context->used[i].end += bytes;
			return STATUS_OK;
		}
	}
	if (context->used_count == BOOT_RANGES_MAX)
		return BOOT_FAIL(context, STATUS_UNSUPPORTED, "%s: more than %d separate areas",
			what, BOOT_RANGES_MAX);
	context->used[context->used_count++] =
		(struct boot_range){.base = base, .end = base + bytes};
	return STATUS_OK;
}

enum status boot_context_claim(struct boot_context *context, const char *what, uint64_t base,
	uint64_t bytes)
{
	const struct boot_range *other;

	if (!e820_is_ram(&context->map, base, bytes))
		return BOOT_FAIL(context, STATUS_RANGE,
			"%s: 0x%" PRIx64 " bytes at 0x%" PRIx64
			" are not in memory, which is %" PRIu64 " MiB",
			what, bytes, base, memory_mib(context));
	other = find_overlap(context, base, bytes);
	if (other != NULL)
		return BOOT_FAIL(context, STATUS_RANGE,
			"%s: 0x%" PRIx64 " bytes at 0x%" PRIx64
			" overlap what lies from 0x%" PRIx64 " to 0x%" PRIx64,
			what, bytes, base, other->base, other->end - 1);
	return remember(context, what, base, bytes);
}

// Free space of [start, end), which is RAM. Each step leaves one taken range behind, so the search
// ends.
static bool find_lowest(const struct boot_context *context, const struct boot_request *request,
	uint64_t start, uint64_t end, uint64_t *at)
{
	uint64_t base = ALIGN_UP(start, request->alignment);
	const struct boot_range *taken;

	while (base < end && request->bytes <= end - base) {
		taken = find_overlap(context, base, request->bytes);
		if (taken == NULL) {
			*at = base;
			return true;
		}
		base = ALIGN_UP(taken->end, request->alignment);
	}
	return false;
}

static bool find_highest(const struct boot_context *context, const struct boot_request *request,
	uint64_t start, uint64_t end, uint64_t *at)
{
	const struct boot_range *taken;
	uint64_t base;

	while (end > start && request->bytes <= end - start) {
		base = ALIGN_DOWN(end - request->bytes, request->alignment);
		if (base < start)
			return false;
		taken = find_overlap(context, base, request->bytes);
		if (taken == NULL) {
			*at = base;
			return true;
		}
		end = taken->base;
	}
	return false;
}

static bool find_in_entry(const struct boot_context *context, const struct boot_request *request,
	const struct e820_entry *entry, uint64_t *at)
{
	uint64_t start = entry->base, end = entry->base + entry->bytes;

	if (entry->type != E820_RAM)
		return false;
	if (start < request->start)
		start = request->start;
	if (end > request->limit)
		end = request->limit;
	return request->place == BOOT_PLACE_LOWEST
		? find_lowest(context, request, start, end, at)
		: find_highest(context, request, start, end, at);
}

enum status boot_context_place(struct boot_context *context, const struct boot_request *request,
	struct gpa *at)
{
	bool large = request->bytes >= 10 * MIB;
	uint32_t count = context->map.count;

	for (uint32_t i = 0; i < count; i++) {
		uint32_t index = request->place == BOOT_PLACE_LOWEST ? i : count - 1 - i;

		if (find_in_entry(context, request, &context->map.entries[index], &at->v))
			return remember(context, request->what, at->v, request->bytes);
	}
	return BOOT_FAIL(context, STATUS_NO_MEMORY,
		"%s: %" PRIu64 " %s does not fit between 0x%" PRIx64 " and 0x%" PRIx64
		" beside what lies there, memory is %" PRIu64 " MiB",
		request->what, request->bytes / (large ? MIB : KIB), large ? "MiB" : "KiB",
		request->start, request->limit - 1, memory_mib(context));
}

enum status boot_context_write(struct boot_context *context, struct gpa at, const void *from,
	uint64_t bytes)
{
	enum status status = guest_ram_write(context->ram, at, from, (size_t)bytes);

	if (status != STATUS_OK)
		boot_context_set_error(context,
			"0x%" PRIx64 " bytes at 0x%" PRIx64 " cannot be written", bytes, at.v);
	return status;
}

enum status boot_context_zero(struct boot_context *context, struct gpa at, uint64_t bytes)
{
	static const uint8_t zeros[PAGE_BYTES];
	enum status status = STATUS_OK;

	while (bytes > 0 && status == STATUS_OK) {
		uint64_t part = bytes < sizeof(zeros) ? bytes : sizeof(zeros);

		status = boot_context_write(context, at, zeros, part);
		at.v += part;
		bytes -= part;
	}
	return status;
}

static enum status place_low(struct boot_context *context, const char *what, uint64_t bytes,
	struct gpa *at)
{
	const struct boot_request request = {
		.what = what,
		.bytes = bytes,
		.alignment = 16,
		.start = BOOT_LOW_START,
		.limit = BOOT_LOW_LIMIT,
		.place = BOOT_PLACE_LOWEST,
	};

	return boot_context_place(context, &request, at);
}

enum status boot_context_put(struct boot_context *context, const char *what, const void *from,
	uint64_t bytes, struct gpa *at)
{
	enum status status = place_low(context, what, bytes, at);

	return status != STATUS_OK ? status : boot_context_write(context, *at, from, bytes);
}

enum status boot_context_put_cmdline(struct boot_context *context, const char *prefix,
	struct gpa *at)
{
	const char *cmdline = context->source->cmdline != NULL ? context->source->cmdline : "";
	size_t prefix_bytes = strlen(prefix), bytes = strlen(cmdline) + 1;
	enum status status = place_low(context, "cmdline", prefix_bytes + bytes, at);

	if (status != STATUS_OK)
		return status;
	status = boot_context_write(context, *at, prefix, prefix_bytes);
	if (status != STATUS_OK)
		return status;
	return boot_context_write(context, (struct gpa){at->v + prefix_bytes}, cmdline, bytes);
}

enum status boot_context_put_initrd(struct boot_context *context, uint64_t start, uint64_t limit,
	enum boot_place place, struct gpa *at)
{
	const struct boot_request request = {
		.what = "initrd",
		.bytes = context->source->initrd_bytes,
		.alignment = PAGE_BYTES,
		.start = start,
		.limit = limit,
		.place = place,
	};
	enum status status = boot_context_place(context, &request, at);

	if (status != STATUS_OK)
		return status;
	return boot_context_write(context, *at, context->source->initrd, request.bytes);
}
