// SPDX-License-Identifier: BSD-2-Clause
// Files of the EFI system partition, through UEFI 2.10 section 13.4 (Simple File System) and 13.5
// (File Protocol).
#ifndef BOOT_EFI_FILES_H
#define BOOT_EFI_FILES_H

#include <efi.h>

#include "kernel/boot_info.h"

// Opens the root of the volume that *device carries; where that has no file system (the image came
// from the network or from an emulator), the first volume that holds `name`, and *device is then
// its. NULL: none.
EFI_FILE_PROTOCOL *efi_files_open_volume(EFI_BOOT_SERVICES *boot, EFI_HANDLE *device,
	const char *name);

// Reads `name` (as path_normalize leaves it) into pages of its own and appends it to info->files,
// unless it is there already. A file that does not exist is left out; any other failure is told in
// info->problem too.
void efi_files_load(EFI_BOOT_SERVICES *boot, EFI_FILE_PROTOCOL *root, const char *name,
	struct boot_info *info);

#endif
