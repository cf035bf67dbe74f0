// SPDX-License-Identifier: BSD-2-Clause
// The end of boot services, and the memory map as of then.
#ifndef BOOT_EFI_EXIT_H
#define BOOT_EFI_EXIT_H

#include <efi.h>

#include "kernel/boot_info.h"

// Fills info->ranges. After success the machine is ours, with interrupts disabled; the memory that
// firmware's descriptor tables, page tables and stack are in counts as free: see boot_enter.
EFI_STATUS efi_exit_boot_services(EFI_HANDLE image, EFI_BOOT_SERVICES *boot,
	struct boot_info *info);

#endif
