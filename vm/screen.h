// SPDX-License-Identifier: BSD-2-Clause
// What a machine's display shows: for the boot CPU, which only tries the device lock (vm/console.h
// says why). Of a machine that has a display.
#ifndef VM_SCREEN_H
#define VM_SCREEN_H

#include "emul/vga.h"

struct vm;

// False: somebody has the lock, and nothing was done. Look again soon.
must_check bool screen_look(struct vm *vm, struct vga_screen *screen);
// The first `count` pixels of a line, at most all. *same false: the screen is not as `screen` says
// any more, and nothing was read.
must_check bool screen_pixels(struct vm *vm, const struct vga_screen *screen, uint32_t line,
	uint32_t count, uint32_t *pixels, bool *same);
// A row of text: bytes as the display's code page has them, screen->columns of them.
must_check bool screen_text(struct vm *vm, const struct vga_screen *screen, uint32_t row,
	uint8_t *codes, bool *same);

#endif
