// SPDX-License-Identifier: BSD-2-Clause
// QEMU's standard VGA: a PCI function with the VGA's registers, the Bochs display interface and
// 16 MiB of video memory. See vga.c.
#ifndef EMUL_VGA_H
#define EMUL_VGA_H

#include "emul/pcidev.h"

extern const struct device_model vga_model;

enum vga_region {
	VGA_REGION_MEMORY = 0,             // register 0: all of the video memory
	VGA_REGION_MMIO = 2,               // register 2
	VGA_REGION_PORTS = PCIDEV_REGIONS, // the board's, as the others below
	VGA_REGION_DISPI,
	VGA_REGION_WINDOW,
};

enum {
	VGA_MEMORY_BYTES = 16 << 20,
	VGA_ROM_BYTES = 64 << 10, // at most

	VGA_PORT = 0x3b0,
	VGA_PORT_BYTES = 0x30,
	VGA_DISPI_PORT = 0x1ce,
	VGA_DISPI_PORT_BYTES = 3, // an index, and at the next port data, of 16 bits each
	VGA_WINDOW = 0xa0000,
	VGA_WINDOW_BYTES = 0x20000,

	VGA_WIDTH_MAX = 16000,
	VGA_HEIGHT_MAX = 12000,
};

// The option ROM, at most VGA_ROM_BYTES, which must stay as long as the device; NULL: zeros.
void vga_configure(struct device *device, const uint8_t *rom, uint32_t rom_bytes);

// QUERIES, as in emul/device.h: what a monitor shows. Cursor and blinking characters are shown
// always, so that what is seen does not depend on time.
struct vga_screen {
	uint32_t width, height; // at most VGA_WIDTH_MAX and VGA_HEIGHT_MAX, not 0
	uint32_t columns, rows; // of characters; 0: it shows graphics
	bool blank;             // black, whatever memory has
	uint8_t reserved[3];
};

void vga_screen(const struct device *device, struct vga_screen *screen);
// `count` pixels of a line from `first` on, as 0x00rrggbb: of what vga_screen has just said.
void vga_pixels(const struct device *device, const struct vga_screen *screen, uint32_t line,
	uint32_t first, uint32_t count, uint32_t *pixels);
// The character's code, and above it its attribute; `column` and `row` below screen's.
uint16_t vga_character(const struct device *device, uint32_t column, uint32_t row);

#endif
