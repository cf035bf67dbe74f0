// SPDX-License-Identifier: BSD-2-Clause
// The kernel's start for images of tests, which have something else in the place of boot/main.c.
#ifndef TESTS_KERNEL_START_H
#define TESTS_KERNEL_START_H

#include "boot/config.h"
#include "kernel/boot_info.h"

// Everything up to the clock and timers; *config is the configuration, which there must be. Leaving
// is by QEMU's debug exit at port 0xf4, or by the configuration's.
void test_kernel_start(const struct boot_info *info, struct config *config);

#endif
