// SPDX-License-Identifier: BSD-2-Clause
// What the loaders of vm/direct_boot.c share: which guest memory is taken, where more is free, and
// the message of a failure. Of no concern to anyone else.
#ifndef VM_BOOT_CONTEXT_H
#define VM_BOOT_CONTEXT_H

#include <string.h>

#include "kernel/base/status.h"
#include "kernel/base/types.h"
#include "vm/direct_boot.h"
#include "vm/e820.h"
#include "vm/guest_ram.h"

enum { BOOT_RANGES_MAX = 64 };

#define BOOT_LOW_START  0x1000u // information for the kernel lies from here
#define BOOT_LOW_LIMIT  E820_EBDA_START
#define BOOT_HIGH_START E820_FIRMWARE_END
#define BOOT_LIMIT_32   (4 * GIB)

struct boot_range {
	uint64_t base;
	uint64_t end; // exclusive
};

struct boot_context {
	struct guest_ram *ram;
	const struct direct_boot_source *source;
	struct direct_boot_entry *entry;
	char *error;
	struct e820_map map;
	struct boot_range used[BOOT_RANGES_MAX]; // do not overlap
	unsigned used_count;
};

struct boot_protocol {
	const char *name;
	// By magic alone: a file that is recognized may still be refused.
	bool (*probe)(const struct direct_boot_source *source);
	enum status (*load)(struct boot_context *context);
};

extern const struct boot_protocol boot_linux, boot_multiboot, boot_pvh;

// Sets the message; its value is the status.
#define BOOT_FAIL(context, status, ...)                                                            \
	(boot_context_set_error((context), __VA_ARGS__), STATUS_FAIL(status))

void boot_context_set_error(struct boot_context *context, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

// Takes a range, which must be free RAM. `what` begins the message.
must_check enum status boot_context_claim(struct boot_context *context, const char *what,
	uint64_t base, uint64_t bytes);

enum boot_place { BOOT_PLACE_LOWEST, BOOT_PLACE_HIGHEST };

struct boot_request {
	const char *what; // begins the message
	uint64_t bytes;   // not 0
	uint64_t alignment;
	uint64_t start, limit; // between these; limit is exclusive, at most BOOT_LIMIT_32
	enum boot_place place;
};

// Finds and takes free RAM.
must_check enum status boot_context_place(struct boot_context *context,
	const struct boot_request *request, struct gpa *at);

must_check enum status boot_context_write(struct boot_context *context, struct gpa at,
	const void *from, uint64_t bytes);
must_check enum status boot_context_zero(struct boot_context *context, struct gpa at,
	uint64_t bytes);

// Places in low memory what a kernel is told, and writes it.
must_check enum status boot_context_put(struct boot_context *context, const char *what,
	const void *from, uint64_t bytes, struct gpa *at);
// The same for `prefix` followed by the command line.
must_check enum status boot_context_put_cmdline(struct boot_context *context, const char *prefix,
	struct gpa *at);
// Places and writes the initrd, on a page boundary.
must_check enum status boot_context_put_initrd(struct boot_context *context, uint64_t start,
	uint64_t limit, enum boot_place place, struct gpa *at);

static inline uint16_t boot_get16(const uint8_t *at)
{
	uint16_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

static inline uint32_t boot_get32(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

static inline uint64_t boot_get64(const uint8_t *at)
{
	uint64_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

static inline void boot_put16(uint8_t *at, uint16_t value)
{
	memcpy(at, &value, sizeof(value));
}

static inline void boot_put32(uint8_t *at, uint32_t value)
{
	memcpy(at, &value, sizeof(value));
}

static inline void boot_put64(uint8_t *at, uint64_t value)
{
	memcpy(at, &value, sizeof(value));
}

#endif
