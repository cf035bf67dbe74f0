// SPDX-License-Identifier: BSD-2-Clause
#include "vm/screen.h"

#include "vm/vm.h"

bool screen_look(struct vm *vm, struct vga_screen *screen)
{
	if (!bus_try_enter(&vm->bus))
		return false;
	vga_screen(vm->display, screen);
	bus_unlock(&vm->bus);
	return true;
}

// Guests change modes whenever they like.
static bool is_same(const struct vm *vm, const struct vga_screen *screen)
{
	struct vga_screen now;

	vga_screen(vm->display, &now);
	return now.width == screen->width && now.height == screen->height &&
		now.columns == screen->columns && now.rows == screen->rows;
}

bool screen_pixels(struct vm *vm, const struct vga_screen *screen, uint32_t line,
	uint32_t count, uint32_t *pixels, bool *same)
{
	if (!bus_try_enter(&vm->bus))
		return false;
	*same = is_same(vm, screen);
	if (*same)
		vga_pixels(vm->display, screen, line, 0, count, pixels);
	bus_unlock(&vm->bus);
	return true;
}

bool screen_text(struct vm *vm, const struct vga_screen *screen, uint32_t row, uint8_t *codes,
	bool *same)
{
	if (!bus_try_enter(&vm->bus))
		return false;
	*same = is_same(vm, screen);
	for (uint32_t i = 0; *same && i < screen->columns; i++)
		codes[i] = (uint8_t)vga_character(vm->display, i, row);
	bus_unlock(&vm->bus);
	return true;
}
