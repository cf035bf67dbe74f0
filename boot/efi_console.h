// SPDX-License-Identifier: BSD-2-Clause
// Text on the firmware's console, until boot services end.
#ifndef BOOT_EFI_CONSOLE_H
#define BOOT_EFI_CONSOLE_H

#include <efi.h>

#include "kernel/base/types.h"

void efi_console_init(EFI_SYSTEM_TABLE *system);
// ASCII; '\n' starts a new line, '\r' goes back to the start of this one.
void efi_console_print(const char *string);
void efi_console_print_number(uint64_t value);

#endif
