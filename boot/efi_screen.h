// SPDX-License-Identifier: BSD-2-Clause
// The host's screen, where firmware has one.
#ifndef BOOT_EFI_SCREEN_H
#define BOOT_EFI_SCREEN_H

#include <efi.h>

#include "kernel/boot_info.h"

// Fills info->screen, while there are boot services.
void efi_screen_read(EFI_BOOT_SERVICES *boot, struct boot_info *info);

#endif
