// SPDX-License-Identifier: BSD-2-Clause
// What the machine's display shows: its text, or the picture for tools/screendump.py.
#include "vm/monitor.h"

#include <stdlib.h>

#include "vm/screen.h"
#include "vm/screen_code.h"
#include "vm/vm.h"

static const char changed[] = "the display's mode has changed meanwhile\n";

// The machine, and how its screen is; NULL: there is none, and the user has been told.
static struct vm *screen_need(struct vga_screen *screen)
{
	struct vm *vm = monitor_vm_need();

	if (vm == NULL)
		return NULL;
	if (vm->display == NULL) {
		monitor_puts("the machine has no display\n");
		return NULL;
	}
	while (!screen_look(vm, screen))
		monitor_pause();
	return vm;
}

static void row_print(uint8_t *codes, uint32_t count)
{
	while (count > 0 && (codes[count - 1] == ' ' || codes[count - 1] == 0))
		count--;
	for (uint32_t i = 0; i < count; i++) {
		bool is_blank = codes[i] == 0 || codes[i] == 0xff;

		if (codes[i] < ' ' || codes[i] > '~')
			codes[i] = is_blank ? ' ' : '?';
	}
	monitor_printf("%.*s\n", (int)count, (const char *)codes);
}

static void info_screen(const struct monitor_call *call)
{
	struct vga_screen screen;
	struct vm *vm = screen_need(&screen);
	uint8_t codes[256];
	bool same = true;

	(void)call;
	if (vm == NULL)
		return;
	monitor_printf("%s, %ux%u%s", screen.columns != 0 ? "text" : "graphics",
		(unsigned)(screen.columns != 0 ? screen.columns : screen.width),
		(unsigned)(screen.columns != 0 ? screen.rows : screen.height),
		screen.blank ? ", blank\n" : "\n");
	for (uint32_t row = 0; row < screen.rows && same && !monitor_interrupted(); row++) {
		while (!screen_text(vm, &screen, row, codes, &same))
			monitor_pause();
		if (same)
			row_print(codes, screen.columns);
		monitor_pause();
	}
	if (!same)
		monitor_puts(changed);
}

static void line_print(void *owner, const char *text)
{
	(void)owner;
	monitor_puts(text);
	monitor_pause();
}

// `rows`: two, which take turns.
static void picture_print(struct vm *vm, const struct vga_screen *screen, uint32_t *rows)
{
	struct screen_code code;
	bool same = true;

	screen_code_begin(&code, line_print, NULL);
	monitor_printf("screendump begin %u %u\n", (unsigned)screen->width,
		(unsigned)screen->height);
	for (uint32_t line = 0; line < screen->height && same && !monitor_interrupted(); line++) {
		uint32_t *row = rows + line % 2 * screen->width;
		const uint32_t *before = rows + (line + 1) % 2 * screen->width;

		while (!screen_pixels(vm, screen, line, screen->width, row, &same))
			monitor_pause();
		if (same)
			screen_code_row(&code, row, line != 0 ? before : NULL, screen->width);
		monitor_pause();
	}
	screen_code_end(&code);
	monitor_puts("screendump end\n");
	if (!same)
		monitor_puts(changed);
}

static void command_screendump(const struct monitor_call *call)
{
	struct vga_screen screen;
	struct vm *vm = screen_need(&screen);
	uint32_t *rows;

	(void)call;
	if (vm == NULL)
		return;
	rows = malloc(2 * (size_t)screen.width * sizeof(*rows));
	if (rows == NULL)
		monitor_puts("no memory for a line of the picture\n");
	else
		picture_print(vm, &screen, rows);
	free(rows);
}

void monitor_screen_register(void)
{
	static struct monitor_command screen = {.name = "screen", .arguments = "",
		.handler = info_screen, .description = "show the text on the machine's display"};
	static struct monitor_command screendump = {.name = "screendump", .arguments = "",
		.handler = command_screendump,
		.description = "print the display's picture for tools/screendump.py"};

	monitor_info_add(&screen);
	monitor_command_add(&screendump);
}
