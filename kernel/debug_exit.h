// SPDX-License-Identifier: BSD-2-Clause
// Ports of emulators through which the machine below ends with a status: for tests.
#ifndef KERNEL_DEBUG_EXIT_H
#define KERNEL_DEBUG_EXIT_H

#include "kernel/base/types.h"

// A way out: 0 for none, the port of QEMU's isa-debug-exit (which ends QEMU with status * 2 + 1),
// or Bochs' own, which has no room for a status: a line "reprise: exit status N" tells it.
enum {
	DEBUG_EXIT_NONE = 0,
	DEBUG_EXIT_PORT_MAX = 0xffff,
	DEBUG_EXIT_BOCHS = 0x10000,
};

// `way` is one of the above. None until it is called.
void debug_exit_set(uint32_t way);
// Leaves with `status`, 0 to 0x7f, once the console's output is out. Returns where there is no way
// out, or the machine below does not have it.
void debug_exit_leave(uint32_t status);

#endif
