// SPDX-License-Identifier: BSD-2-Clause
// Guest memory for unit tests, of malloc'd blocks that hold 0xa5.
#ifndef TESTS_UNIT_FAKE_RAM_H
#define TESTS_UNIT_FAKE_RAM_H

// cmocka.h wants these first.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "vm/guest_ram.h"

enum { FAKE_RAM_POISON = 0xa5 };

struct guest_ram *fake_ram_create(uint64_t low_bytes, uint64_t high_bytes);
void fake_ram_destroy(struct guest_ram *ram);

// Fails the test where the range is not readable.
void fake_ram_get(const struct guest_ram *ram, uint64_t from, void *to, size_t bytes);
uint32_t fake_ram_get32(const struct guest_ram *ram, uint64_t from);
uint64_t fake_ram_get64(const struct guest_ram *ram, uint64_t from);
// Fails the test where the range holds anything else.
void fake_ram_check(const struct guest_ram *ram, uint64_t from, const void *expected, size_t bytes);
// Whether every byte of a range has that value.
bool fake_ram_holds(const struct guest_ram *ram, uint64_t from, size_t bytes, uint8_t value);

#endif
