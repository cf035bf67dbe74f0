// SPDX-License-Identifier: BSD-2-Clause
// Which volume of which disk the files come from, for the kernel's own drivers.
#ifndef BOOT_EFI_VOLUME_H
#define BOOT_EFI_VOLUME_H

#include <efi.h>

#include "kernel/boot_info.h"

// Fills info->volume from the handle of the volume; where firmware does not tell enough, it stays
// unknown.
void efi_volume_read(EFI_BOOT_SERVICES *boot, EFI_HANDLE device, struct boot_info *info);

#endif
