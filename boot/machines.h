// SPDX-License-Identifier: BSD-2-Clause
// From the configuration to running machines.
#ifndef BOOT_MACHINES_H
#define BOOT_MACHINES_H

#include "kernel/boot_info.h"

// Creates every machine of boot_config and starts those with autostart: all of them or, where one
// cannot be, none; then the log says why. After cores_init, before the event loop. `entry_tsc`:
// when the image was entered, for the report.
must_check bool machines_start(const struct boot_info *info, uint64_t entry_tsc);

// NULL: the boot path gave no file of this name.
const struct boot_file *boot_file_find(const struct boot_info *info, const char *name);

#endif
