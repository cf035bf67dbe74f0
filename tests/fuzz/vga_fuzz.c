// SPDX-License-Identifier: BSD-2-Clause
// A VGA whose guest does anything, or whose state was loaded from anything. Input: how it begins (a
// byte), and steps, each of a byte that says what and the bytes that it needs.
//
// After each step the state must be one that can be loaded, what it shows must be in its memory,
// and no access may lie outside of that.
#include <string.h>

#include "emul/vga.h"
#include "tests/fuzz/device_env.h"

enum { BEGIN_LOADED = 1, PIXELS = 64, PAGE = 4096 };

static uint8_t memory[VGA_MEMORY_BYTES];
static bool touched[VGA_MEMORY_BYTES / PAGE];

static void env_memory_read(const struct device *device, uint64_t offset, void *to, size_t bytes)
{
	(void)device;
	demand(offset <= VGA_MEMORY_BYTES && bytes <= VGA_MEMORY_BYTES - offset);
	memcpy(to, memory + offset, bytes);
}

static void env_memory_write(struct device *device, uint64_t offset, const void *from,
	size_t bytes)
{
	(void)device;
	demand(offset <= VGA_MEMORY_BYTES && bytes <= VGA_MEMORY_BYTES - offset);
	memcpy(memory + offset, from, bytes);
	for (uint64_t at = offset / PAGE; at * PAGE < offset + bytes; at++)
		touched[at] = true;
}

static const struct device_env ops = {ENV_COMMON, .memory_read = env_memory_read,
	.memory_write = env_memory_write};

static void configure(struct device *device)
{
	vga_configure(device, (const uint8_t *)"rom", 3);
}

// Zeros at power-on.
static void memory_clear(void)
{
	for (unsigned i = 0; i < ARRAY_COUNT(touched); i++) {
		if (touched[i])
			memset(memory + i * PAGE, 0, PAGE);
		touched[i] = false;
	}
}

static void show(struct input *input)
{
	uint32_t pixels[PIXELS], line, first, count;
	struct vga_screen screen;

	vga_screen(env.device, &screen);
	demand(screen.width >= 1 && screen.width <= VGA_WIDTH_MAX);
	demand(screen.height >= 1 && screen.height <= VGA_HEIGHT_MAX);
	line = (uint32_t)take(input, 2) % screen.height;
	first = (uint32_t)take(input, 2) % screen.width;
	count = screen.width - first < PIXELS ? screen.width - first : PIXELS;
	vga_pixels(env.device, &screen, line, first, count, pixels);
	vga_pixels(env.device, &screen, screen.height - 1, screen.width - 1, 1, pixels);
	for (uint32_t i = 0; i < screen.columns && i < PIXELS; i++)
		(void)vga_character(env.device, i, line % screen.rows);
}

static const struct {
	unsigned region;
	uint32_t bytes;
} regions[] = {{PCIDEV_REGION_CONFIG, PCIDEV_CONFIG_BYTES}, {PCIDEV_REGION_ROM, VGA_ROM_BYTES},
	{VGA_REGION_MMIO, 4096}, {VGA_REGION_PORTS, VGA_PORT_BYTES},
	{VGA_REGION_DISPI, VGA_DISPI_PORT_BYTES}, {VGA_REGION_WINDOW, VGA_WINDOW_BYTES}};

// Below 128: an access; its bits are what, how wide, and where.
static void access(struct input *input, uint8_t step)
{
	unsigned region = step % ARRAY_COUNT(regions), size = 1u << (step >> 4 & 3);
	uint32_t offset = (uint32_t)take(input, regions[region].bytes > 256 ? 3 : 1);

	if (region == 0 && size == 8)
		size = 4;
	if (size > regions[region].bytes)
		size = 1;
	offset %= regions[region].bytes - size + 1;
	if (step & 0x40)
		env_write(regions[region].region, offset, size,
			take(input, size < 4 ? size : 4));
	else
		(void)env_read(regions[region].region, offset, size);
}

// Index and data, as guests write them: otherwise few registers are ever reached.
static void pair(struct input *input, uint8_t step)
{
	static const uint16_t ports[] = {0x3c4, 0x3ce, 0x3d4, 0x3c0};
	unsigned port = ports[step & 3] - VGA_PORT;

	env_write(VGA_REGION_PORTS, port, 1, take(input, 1));
	env_write(VGA_REGION_PORTS, port + ((step & 3) != 3), 1,
		take(input, 1));
}

static void dispi(struct input *input)
{

	env_write(VGA_REGION_DISPI, 0, 2, take(input, 1) % 12);
	env_write(VGA_REGION_DISPI, 1, 2, take(input, 2));
}

static void step(struct input *input)
{
	uint8_t what = (uint8_t)take(input, 1);

	if (what < 128)
		access(input, what);
	else if (what < 168)
		pair(input, what);
	else if (what < 208)
		dispi(input);
	else if (what < 240)
		show(input);
	else if (what < 248)
		env_time_pass(take(input, 4));
	else if (what < 252)
		env_save_and_load();
	else
		env_load_altered(input);
	env_check();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};

	memory_clear();
	env_start(&vga_model, &ops, configure);
	if (take(&input, 1) & BEGIN_LOADED)
		env_load_any(&input, 32);
	while (input.left > 0)
		step(&input);
	env_end();
	return 0;
}
