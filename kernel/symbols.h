// SPDX-License-Identifier: BSD-2-Clause
// The image's own function names, which the second link puts into section .ksyms.
#ifndef KERNEL_SYMBOLS_H
#define KERNEL_SYMBOLS_H

#include "kernel/base/types.h"

// The function that holds `address`, and the offset in it; NULL where none does.
const char *symbol_find(uint64_t address, uint64_t *offset);

#endif
