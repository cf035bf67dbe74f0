// SPDX-License-Identifier: BSD-2-Clause
// What libFuzzer calls, again and again, with inputs of its own.
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
