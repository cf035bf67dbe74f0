// SPDX-License-Identifier: BSD-2-Clause
// A VGA whose guest does anything, or whose state was loaded from anything. Input: how it begins (a
// byte), and steps, each of a byte that says what and the bytes that it needs.
//
// After each step the state must be one that can be loaded, what it shows must be in its memory,
// and no access may lie outside of that.
#include <stdlib.h>
#include <string.h>

#include "emul/vga.h"
#include "tests/fuzz/fuzz.h"

enum { BEGIN_LOADED = 1, PIXELS = 64 };

static struct {
	struct device *device;
	uint8_t memory[VGA_MEMORY_BYTES];
	uint64_t now;
} env;

struct input {
	const uint8_t *at;
	size_t left;
};

static void demand(bool what)
{
	if (!what)
		abort();
}

static uint32_t take(struct input *input, unsigned bytes)
{
	uint32_t value = 0;

	for (; bytes > 0 && input->left > 0; bytes--, input->left--)
		value = value << 8 | *input->at++;
	return value;
}

static void env_map_region(struct device *device, unsigned region, enum device_space space,
	uint64_t base, uint64_t bytes)
{
	(void)device;
	(void)space;
	demand(region < PCIDEV_REGION_CONFIG && bytes > 0 && base + bytes > base);
}

static void env_unmap_region(struct device *device, unsigned region)
{
	(void)device;
	demand(region < PCIDEV_REGION_CONFIG);
}

static void env_memory_read(const struct device *device, uint64_t offset, void *to, size_t bytes)
{
	(void)device;
	demand(offset <= VGA_MEMORY_BYTES && bytes <= VGA_MEMORY_BYTES - offset);
	memcpy(to, env.memory + offset, bytes);
}

static void env_memory_write(struct device *device, uint64_t offset, const void *from,
	size_t bytes)
{
	(void)device;
	demand(offset <= VGA_MEMORY_BYTES && bytes <= VGA_MEMORY_BYTES - offset);
	memcpy(env.memory + offset, from, bytes);
}

static const struct device_env ops = {
	.map_region = env_map_region,
	.unmap_region = env_unmap_region,
	.memory_read = env_memory_read,
	.memory_write = env_memory_write,
};

static void reset(void)
{
	memset(env.device, 0xa5, vga_model.instance_bytes);
	*env.device = (struct device){.model = &vga_model, .env = &ops};
	vga_configure(env.device, (const uint8_t *)"rom", 3);
	vga_model.reset(env.device, (struct guest_time){env.now}, DEVICE_RESET_POWER);
}

// Saved fields with values out of the input: what cannot be is refused.
static void load(struct input *input)
{
	const struct state_table *table = vga_model.state;

	for (uint32_t i = 0; i < table->field_count; i++) {
		const struct state_field *field = &table->fields[i];

		if (field->kind != STATE_FIELD_SAVED || strncmp(field->name, "pci", 3) == 0)
			continue;
		for (uint32_t n = 0; n < field->count && n < 32; n++)
			state_field_set(field, env.device, n, take(input, field->width));
	}
	if (state_check(table, env.device, NULL) != STATUS_OK)
		reset();
	else
		vga_model.loaded(env.device, (struct guest_time){env.now});
}

static void show(struct input *input)
{
	uint32_t pixels[PIXELS], line, first, count;
	struct vga_screen screen;

	vga_screen(env.device, &screen);
	demand(screen.width >= 1 && screen.width <= VGA_WIDTH_MAX);
	demand(screen.height >= 1 && screen.height <= VGA_HEIGHT_MAX);
	line = take(input, 2) % screen.height;
	first = take(input, 2) % screen.width;
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
	struct guest_time now = {env.now};
	uint32_t offset = take(input, regions[region].bytes > 256 ? 3 : 1);

	if (region == 0 && size == 8)
		size = 4;
	if (size > regions[region].bytes)
		size = 1;
	offset %= regions[region].bytes - size + 1;
	if (step & 0x40)
		vga_model.write(env.device, now, regions[region].region, offset, size,
			take(input, size < 4 ? size : 4));
	else
		vga_model.read(env.device, now, regions[region].region, offset, size);
}

// Index and data, as guests write them: otherwise few registers are ever reached.
static void pair(struct input *input, uint8_t step)
{
	static const uint16_t ports[] = {0x3c4, 0x3ce, 0x3d4, 0x3c0};
	struct guest_time now = {env.now};
	unsigned port = ports[step & 3] - VGA_PORT;

	vga_model.write(env.device, now, VGA_REGION_PORTS, port, 1, take(input, 1));
	vga_model.write(env.device, now, VGA_REGION_PORTS, port + ((step & 3) != 3), 1,
		take(input, 1));
}

static void dispi(struct input *input)
{
	struct guest_time now = {env.now};

	vga_model.write(env.device, now, VGA_REGION_DISPI, 0, 2, take(input, 1) % 12);
	vga_model.write(env.device, now, VGA_REGION_DISPI, 1, 2, take(input, 2));
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
	else
		env.now += take(input, 4);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};

	env.device = malloc(vga_model.instance_bytes);
	demand(env.device != NULL);
	env.now = 0;
	reset();
	if (take(&input, 1) & BEGIN_LOADED)
		load(&input);
	while (input.left > 0) {
		step(&input);
		demand(state_check(vga_model.state, env.device, NULL) == STATUS_OK);
	}
	free(env.device);
	return 0;
}
