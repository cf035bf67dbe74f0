// SPDX-License-Identifier: BSD-2-Clause
// A kernel's file and what is loaded with it, for tests of direct boot.
#ifndef TESTS_UNIT_DIRECT_BOOT_BENCH_H
#define TESTS_UNIT_DIRECT_BOOT_BENCH_H

#include <stdlib.h>
#include <string.h>

#include "tests/unit/fake_ram.h"
#include "vm/direct_boot.h"
#include "vm/e820.h"

struct boot {
	struct guest_ram *ram;
	uint8_t file[0x4000];
	uint8_t *initrd;
	bool wide; // an ELF file of 64 bits
	struct direct_boot_source source;
	struct direct_boot_entry entry;
	char error[DIRECT_BOOT_ERROR_BYTES];
};

static inline void put(struct boot *boot, uint32_t at, uint64_t value, size_t bytes)
{
	memcpy(&boot->file[at], &value, bytes);
}

// A file of zeros, and from `content` on of bytes that tell their places, as an initrd is.
static inline struct boot *boot_create(uint32_t content, uint32_t file_bytes,
	uint32_t initrd_bytes, uint64_t ram_bytes)
{
	struct boot *boot = calloc(1, sizeof(*boot));

	assert_non_null(boot);
	assert_in_range(file_bytes, 1, sizeof(boot->file));
	for (uint32_t i = content; i < file_bytes; i++)
		boot->file[i] = (uint8_t)(i * 7 + 1);
	boot->initrd = malloc(initrd_bytes);
	assert_non_null(boot->initrd);
	for (uint32_t i = 0; i < initrd_bytes; i++)
		boot->initrd[i] = (uint8_t)(i * 13 + (i >> 8) + (i >> 16));
	boot->source = (struct direct_boot_source){
		.kernel = boot->file,
		.kernel_bytes = file_bytes,
		.initrd = boot->initrd,
		.initrd_bytes = initrd_bytes,
		.rsdp = {0xf0000},
	};
	boot->ram = fake_ram_create(ram_bytes, 2 * MIB);
	return boot;
}

static inline int tear_down(void **state)
{
	struct boot *boot = *state;

	fake_ram_destroy(boot->ram);
	free(boot->initrd);
	free(boot);
	return 0;
}

// From a copy whose end is the end of an allocation, so that the sanitizer sees any read beyond it.
static inline enum status load(struct boot *boot)
{
	uint8_t *copy = malloc(boot->source.kernel_bytes + 1);
	struct direct_boot_source source = boot->source;
	enum status status;

	assert_non_null(copy);
	source.kernel = copy + 1;
	memcpy(copy + 1, boot->source.kernel, boot->source.kernel_bytes);
	status = direct_boot_load(boot->ram, &source, &boot->entry, boot->error);
	free(copy);
	return status;
}

static inline void check_refused(struct boot *boot, enum status status, const char *message)
{
	assert_int_equal(load(boot), status);
	if (strstr(boot->error, message) == NULL)
		fail_msg("\"%s\" does not contain \"%s\"", boot->error, message);
	assert_null(strchr(boot->error, '\n'));
}

// A field of the file that is wrong, and what is said of it.
struct refused {
	uint32_t at;
	uint64_t value;
	size_t bytes;
	enum status status;
	const char *message;
};

static inline void check_all_refused(struct boot *boot, const struct refused *cases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		uint8_t saved[8];

		memcpy(saved, &boot->file[cases[i].at], sizeof(saved));
		put(boot, cases[i].at, cases[i].value, cases[i].bytes);
		check_refused(boot, cases[i].status, cases[i].message);
		memcpy(&boot->file[cases[i].at], saved, sizeof(saved));
	}
}

#endif
