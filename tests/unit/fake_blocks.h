// SPDX-License-Identifier: BSD-2-Clause
// The host's blocks of 2 MiB: as many as malloc has. For one source of a test.
#ifndef TESTS_UNIT_FAKE_BLOCKS_H
#define TESTS_UNIT_FAKE_BLOCKS_H

#include <stdlib.h>

#include "kernel/mem.h"

void *mem_large_alloc(void)
{
	return malloc(LARGE_PAGE_BYTES);
}

void mem_large_free(void *block)
{
	free(block);
}

#endif
