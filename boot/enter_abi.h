// SPDX-License-Identifier: BSD-2-Clause
// What boot/enter.S and boot/enter.c share.
#ifndef BOOT_ENTER_ABI_H
#define BOOT_ENTER_ABI_H

#include "kernel/boot_info.h"

// Page directories for the first 4 GiB.
enum { BOOT_DIRECTORIES = 4 };

extern uint64_t boot_level5[], boot_level4[], boot_pointers[], boot_directories[];

_Noreturn void boot_enter_switch(struct boot_info *info);

#endif
