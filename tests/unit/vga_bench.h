// SPDX-License-Identifier: BSD-2-Clause
// A VGA as a driver has it, in the modes that tests want.
#ifndef TESTS_UNIT_VGA_BENCH_H
#define TESTS_UNIT_VGA_BENCH_H

#include <string.h>

#include "emul/vga.h"
#include "tests/unit/fake_env.h"

enum { VGA_BENCH_ROM_BYTES = 10, DISPI_ON = 1, DISPI_8BIT = 0x20, DISPI_KEEP = 0x80 };

static struct fake_env env;

static void configure(struct device *device)
{
	static const uint8_t rom[VGA_BENCH_ROM_BYTES] = {0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66,
		0x77, 0x88, 0x99};

	vga_configure(device, rom, sizeof(rom));
}

static inline int setup(void **state)
{
	(void)state;
	fake_configure = configure;
	fake_create(&env, &vga_model);
	return 0;
}

static inline int teardown(void **state)
{
	(void)state;
	fake_destroy(&env);
	fake_configure = NULL;
	return 0;
}

static inline void port_write(unsigned port, uint8_t value)
{
	fake_write(&env, VGA_REGION_PORTS, port - VGA_PORT, 1, value);
}

static inline uint8_t port_read(unsigned port)
{
	return (uint8_t)fake_read(&env, VGA_REGION_PORTS, port - VGA_PORT, 1);
}

static inline void indexed_write(unsigned port, unsigned index, uint8_t value)
{
	if (port == 0x3d4)
		port_write(0x3c2, port_read(0x3cc) | 1);
	port_write(port, (uint8_t)index);
	port_write(port + 1, value);
}

static inline uint8_t indexed_read(unsigned port, unsigned index)
{
	port_write(port, (uint8_t)index);
	return port_read(port + 1);
}

static inline void attribute_write(unsigned index, uint8_t value)
{
	port_read(0x3da);
	port_write(0x3c0, (uint8_t)index);
	port_write(0x3c0, value);
}

static inline void dac_write(unsigned index, uint8_t red, uint8_t green, uint8_t blue)
{
	port_write(0x3c8, (uint8_t)index);
	port_write(0x3c9, red);
	port_write(0x3c9, green);
	port_write(0x3c9, blue);
}

static inline void dispi_write(unsigned index, uint16_t value)
{
	fake_write(&env, VGA_REGION_DISPI, 0, 2, index);
	fake_write(&env, VGA_REGION_DISPI, 1, 2, value);
}

static inline uint16_t dispi_read(unsigned index)
{
	fake_write(&env, VGA_REGION_DISPI, 0, 2, index);
	return (uint16_t)fake_read(&env, VGA_REGION_DISPI, 1, 2);
}

static inline void dispi_mode(uint16_t width, uint16_t height, uint16_t bits, uint16_t flags)
{
	dispi_write(4, 0);
	dispi_write(1, width);
	dispi_write(2, height);
	dispi_write(3, bits);
	dispi_write(4, DISPI_ON | flags);
}

static inline uint8_t window_read(uint32_t offset)
{
	return (uint8_t)fake_read(&env, VGA_REGION_WINDOW, offset, 1);
}

static inline void window_write(uint32_t offset, uint8_t value)
{
	fake_write(&env, VGA_REGION_WINDOW, offset, 1, value);
}

static inline uint32_t planes(uint32_t index)
{
	uint32_t word;

	memcpy(&word, env.memory + index * 4, sizeof(word));
	return word;
}

static inline void planes_set(uint32_t index, uint32_t word)
{
	memcpy(env.memory + index * 4, &word, sizeof(word));
}

struct vga_bench_mode {
	uint8_t misc, sequencer[5], crtc[25], graphics[9], attribute_mode;
};

// The palette is 0 to 15, and the DAC's entry n has the components n, 2n and 3n.
static inline void mode_set(const struct vga_bench_mode *mode)
{
	port_write(0x3c2, mode->misc);
	for (unsigned i = 0; i < 5; i++)
		indexed_write(0x3c4, i, mode->sequencer[i]);
	indexed_write(0x3d4, 0x11, 0);
	for (unsigned i = 0; i < 25; i++)
		indexed_write(0x3d4, i, mode->crtc[i]);
	for (unsigned i = 0; i < 9; i++)
		indexed_write(0x3ce, i, mode->graphics[i]);
	for (unsigned i = 0; i < 16; i++)
		attribute_write(i, (uint8_t)i);
	attribute_write(0x10, mode->attribute_mode);
	attribute_write(0x12, 0x0f);
	for (unsigned i = 0; i < 256; i++)
		dac_write(i, (uint8_t)(i & 0x3f), (uint8_t)(2 * i & 0x3f), (uint8_t)(3 * i & 0x3f));
	port_read(0x3da);
	port_write(0x3c0, 0x20);
}

// IBM's mode 3 of 720 by 400 dots, mode 12h of 640 by 480, and mode 13h.
static inline void mode_text(void)
{
	static const struct vga_bench_mode mode = {0x67, {3, 0, 3, 0, 2},
		{0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x1f, 0x00, 0x4f, 0x0d, 0x0e, 0, 0, 0,
			0, 0x9c, 0x8e, 0x8f, 0x28, 0x1f, 0x96, 0xb9, 0xa3, 0xff},
		{0, 0, 0, 0, 0, 0x10, 0x0e, 0, 0xff}, 0x0c};

	mode_set(&mode);
}

static inline void mode_planar(void)
{
	static const struct vga_bench_mode mode = {0xe3, {3, 1, 0x0f, 0, 6},
		{0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, 0x0b, 0x3e, 0x00, 0x40, 0, 0, 0, 0, 0, 0,
			0xea, 0x8c, 0xdf, 0x28, 0x00, 0xe7, 0x04, 0xe3, 0xff},
		{0, 0, 0, 0, 0, 0, 0x05, 0x0f, 0xff}, 0x01};

	mode_set(&mode);
}

static inline void mode_256(void)
{
	static const struct vga_bench_mode mode = {0x63, {3, 1, 0x0f, 0, 0x0e},
		{0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, 0xbf, 0x1f, 0x00, 0x41, 0, 0, 0, 0, 0, 0,
			0x9c, 0x8e, 0x8f, 0x28, 0x40, 0x96, 0xb9, 0xa3, 0xff},
		{0, 0, 0, 0, 0, 0x40, 0x05, 0x0f, 0xff}, 0x41};

	mode_set(&mode);
}

#endif
