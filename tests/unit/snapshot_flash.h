// SPDX-License-Identifier: BSD-2-Clause
// What a machine that is saved and loaded has of a flash, and of what keeps it. For
// snapshot_bench.h alone.
#ifndef TESTS_UNIT_SNAPSHOT_FLASH_H
#define TESTS_UNIT_SNAPSHOT_FLASH_H

#include "emul/pflash.h"
#include "tests/unit/fake_env.h"
#include "vm/vm.h"

static unsigned flash_syncs, flash_submits;
static uint64_t bench_flash_bytes; // 0: there is none

void flash_sync(struct vm *of)
{
	assert_true(of->holds > 0);
	flash_syncs += of->config.flash.image != NULL;
}

void flash_submit(void *owner, struct backend_request *request)
{
	(void)owner;
	flash_submits++;
	backend_done_at_once(request, STATUS_OK);
}

static inline void bench_flash_configure(struct vm_config *config)
{
	static const uint8_t image[1];

	if (bench_flash_bytes == 0)
		return;
	config->flash = (struct vm_flash_config){.bytes = bench_flash_bytes, .image = image};
	config->firmware_bytes = 256 * KIB;
}

static inline enum status bench_memory_more(struct vm *of)
{
	return of->config.flash.image == NULL ? STATUS_OK
		: device_memory_extend(&of->device_memory, PFLASH_MEMORY_BYTES);
}

#endif
