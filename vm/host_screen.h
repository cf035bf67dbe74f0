// SPDX-License-Identifier: BSD-2-Clause
// The host's screen: shows the display of the machine that has the console, in its middle and as
// many times as large as fits; what is larger than it is cut off. While the monitor has the
// console, the picture stays.
//
// Owner: a fiber of the boot CPU, at most 25 times a second and a tenth of its time. Lines that
// have not changed are not written.
#ifndef VM_HOST_SCREEN_H
#define VM_HOST_SCREEN_H

#include "kernel/boot_info.h"

// Once, when all machines of the configuration are known. Nothing is started where no machine has
// a display, or the host no screen.
void host_screen_start(const struct boot_screen *screen);

// How a picture lies on a screen. Pure.
struct host_screen_fit {
	uint32_t scale;     // pixels of the screen for one, each way
	uint32_t left, top; // of the screen
	uint32_t width, height; // of the picture, as far as it is shown
};
struct host_screen_fit host_screen_fit(const struct boot_screen *screen, uint32_t width,
	uint32_t height);
// A line of the screen out of `fit->width` pixels of the picture; NULL: beside it.
void host_screen_line(const struct boot_screen *screen, const struct host_screen_fit *fit,
	const uint32_t *pixels, uint32_t *line);

#endif
