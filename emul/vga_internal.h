// SPDX-License-Identifier: BSD-2-Clause
// Between the sources of the VGA.
#ifndef EMUL_VGA_INTERNAL_H
#define EMUL_VGA_INTERNAL_H

#include "emul/vga.h"

enum {
	VGA_SEQUENCER_COUNT = 5,
	VGA_SEQUENCER_CLOCK = 1,
	VGA_SEQUENCER_CLOCK_8 = 0x01,   // characters of 8 dots, not 9
	VGA_SEQUENCER_CLOCK_HALF = 0x08,
	VGA_SEQUENCER_CLOCK_OFF = 0x20, // the screen is
	VGA_SEQUENCER_PLANES = 2,
	VGA_SEQUENCER_FONTS = 3,
	VGA_SEQUENCER_MEMORY = 4,
	VGA_SEQUENCER_MEMORY_CHAIN4 = 0x08,

	VGA_GRAPHICS_COUNT = 9,
	VGA_GRAPHICS_SET = 0,
	VGA_GRAPHICS_SET_ENABLE = 1,
	VGA_GRAPHICS_COMPARE = 2,
	VGA_GRAPHICS_ROTATE = 3,
	VGA_GRAPHICS_READ_PLANE = 4,
	VGA_GRAPHICS_MODE = 5,
	VGA_GRAPHICS_MODE_READ = 0x08,
	VGA_GRAPHICS_MODE_ODD_EVEN = 0x10,
	VGA_GRAPHICS_MODE_SHIFT = 5, // of its two bits
	VGA_GRAPHICS_MISC = 6,
	VGA_GRAPHICS_MISC_GRAPHICS = 0x01,
	VGA_GRAPHICS_MISC_MAP = 0x0c,
	VGA_GRAPHICS_CARE = 7,
	VGA_GRAPHICS_BIT_MASK = 8,

	VGA_CRTC_COUNT = 25,
	VGA_CRTC_TOTAL = 0x00,
	VGA_CRTC_DISPLAY_END = 0x01,
	VGA_CRTC_VERTICAL_TOTAL = 0x06,
	VGA_CRTC_OVERFLOW = 0x07,
	VGA_CRTC_SCAN = 0x09,
	VGA_CRTC_SCAN_DOUBLE = 0x80,
	VGA_CRTC_CURSOR_START = 0x0a,
	VGA_CRTC_CURSOR_OFF = 0x20,
	VGA_CRTC_CURSOR_END = 0x0b,
	VGA_CRTC_START = 0x0c,  // high, then low
	VGA_CRTC_CURSOR = 0x0e, // the same
	VGA_CRTC_RETRACE_START = 0x10,
	VGA_CRTC_RETRACE_END = 0x11,
	VGA_CRTC_PROTECT = 0x80,
	VGA_CRTC_VERTICAL_END = 0x12,
	VGA_CRTC_OFFSET = 0x13,
	VGA_CRTC_MODE = 0x17,
	VGA_CRTC_LINE_COMPARE = 0x18,

	VGA_ATTRIBUTE_COUNT = 21,
	VGA_ATTRIBUTE_MODE = 0x10,
	VGA_ATTRIBUTE_MODE_LINES = 0x04, // the ninth dot of line graphics
	VGA_ATTRIBUTE_MODE_BLINK = 0x08,
	VGA_ATTRIBUTE_MODE_SELECT = 0x80,
	VGA_ATTRIBUTE_OVERSCAN = 0x11,
	VGA_ATTRIBUTE_PLANES = 0x12,
	VGA_ATTRIBUTE_SELECT = 0x14,
	VGA_ATTRIBUTE_INDEX_ON = 0x20, // the palette is the screen's

	VGA_PALETTE_BYTES = 768,

	DISPI_ID = 0,
	DISPI_XRES = 1,
	DISPI_YRES = 2,
	DISPI_BPP = 3,
	DISPI_ENABLE = 4,
	DISPI_ENABLE_ON = 0x01,
	DISPI_ENABLE_CAPABILITIES = 0x02,
	DISPI_ENABLE_8BIT_DAC = 0x20,
	DISPI_ENABLE_KEEP = 0x80, // what memory has
	DISPI_BANK = 5,
	DISPI_VIRTUAL_WIDTH = 6,
	DISPI_VIRTUAL_HEIGHT = 7,
	DISPI_X_OFFSET = 8,
	DISPI_Y_OFFSET = 9,
	DISPI_COUNT = 10,
	DISPI_MEMORY_64K = 10, // a constant
	DISPI_ID_FIRST = 0xb0c0,
	DISPI_ID_LAST = 0xb0c5,

	VGA_BANK_BYTES = 64 << 10,
	VGA_EDID_BYTES = 128,
};

struct vga {
	struct pcidev pci;
	uint32_t latch;             // a byte of each plane
	uint8_t misc, feature;      // miscellaneous output, feature control
	uint8_t sequencer_index, sequencer[VGA_SEQUENCER_COUNT];
	uint8_t graphics_index, graphics[VGA_GRAPHICS_COUNT];
	uint8_t crtc_index, crtc[VGA_CRTC_COUNT];
	uint8_t attribute_index, attribute[VGA_ATTRIBUTE_COUNT];
	bool attribute_data;        // the next write to 0x3c0 is data
	uint8_t dac_state;          // 3: reading; 0: writing
	uint8_t dac_read, dac_write; // indexes
	uint8_t dac_component, dac_latch[2], dac_mask;
	uint8_t palette[VGA_PALETTE_BYTES];
	bool big_endian;
	uint8_t reserved;
	uint16_t dispi_index;
	uint16_t dispi[DISPI_COUNT];
	uint8_t reserved2[2];
	uint64_t rom_bytes;
	const uint8_t *rom;
};

static inline struct vga *vga_of(struct device *device)
{
	return CONTAINER_OF(device, struct vga, pci.device);
}

static inline const struct vga *vga_of_const(const struct device *device)
{
	return (const struct vga *)(const void *)device;
}
_Static_assert(offsetof(struct vga, pci.device) == 0, "first");

static inline bool vga_dispi_is_on(const struct vga *vga)
{
	return (vga->dispi[DISPI_ENABLE] & DISPI_ENABLE_ON) != 0;
}

// Of a pixel, in memory; of a line; and of what is shown first. In bytes.
unsigned vga_dispi_bits(const struct vga *vga);
uint32_t vga_dispi_line_bytes(const struct vga *vga);
uint32_t vga_dispi_start(const struct vga *vga);

uint8_t vga_port_read(struct vga *vga, struct guest_time now, unsigned port);
void vga_port_write(struct vga *vga, unsigned port, uint8_t value);
// NULL, or which register has bits that no write could have set.
const char *vga_registers_check(const struct vga *vga);
uint16_t vga_dispi_read(const struct vga *vga, unsigned index);
void vga_dispi_write(struct vga *vga, unsigned index, uint16_t value);
const char *vga_dispi_check(const struct vga *vga);
uint8_t vga_window_read(struct vga *vga, uint32_t offset);
void vga_window_write(struct vga *vga, uint32_t offset, uint8_t value);
uint8_t vga_edid(unsigned offset); // below VGA_EDID_BYTES

#endif
