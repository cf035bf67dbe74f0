// SPDX-License-Identifier: BSD-2-Clause
// The last step of both boot paths: a processor state that owes nothing to firmware.
#ifndef BOOT_ENTER_H
#define BOOT_ENTER_H

#include "kernel/boot_info.h"

// Selectors of the boot GDT, in force when boot_main starts.
enum { BOOT_SELECTOR_CODE = 0x08, BOOT_SELECTOR_DATA = 0x10 };

// Calls boot_main on the boot stack with interrupts disabled, the boot GDT, an empty IDT and the
// boot page tables: memory one to one, all of it writable and executable, 512 GiB where the
// processor has 1 GiB pages and else 4 GiB. GDT, tables and stack are in the image's .data, so
// that free memory may be used at once.
_Noreturn void boot_enter(struct boot_info *info);

// The kernel's start, boot/main.c.
_Noreturn void boot_main(struct boot_info *info);

#endif
