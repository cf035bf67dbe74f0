// SPDX-License-Identifier: BSD-2-Clause
// The UEFI entry in C: called once by gnu-efi's start code, with the System V calling convention.
#ifndef BOOT_EFI_H
#define BOOT_EFI_H

#include <efi.h>

EFI_STATUS efi_main(EFI_HANDLE handle, EFI_SYSTEM_TABLE *system);

#endif
