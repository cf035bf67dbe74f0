// SPDX-License-Identifier: BSD-2-Clause
// Which CPUs firmware knows, for machines without ACPI.
#ifndef BOOT_EFI_MP_H
#define BOOT_EFI_MP_H

#include <efi.h>

#include "kernel/boot_info.h"

// Fills info->cpu_apic_ids, while there are boot services. Without MP Services it stays empty.
void efi_mp_read(EFI_BOOT_SERVICES *boot, struct boot_info *info);

#endif
