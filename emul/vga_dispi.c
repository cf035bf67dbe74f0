// SPDX-License-Identifier: BSD-2-Clause
// The Bochs display interface: modes by width, height and depth.
//
// Specification: QEMU's docs/specs/standard-vga.rst, and how its device answers: a mode that does
// not fit is changed to one that does, and the VGA's registers follow it.
#include "emul/vga_internal.h"

enum {
	STEP = 8, // of widths
	DEPTH_DEFAULT = 8,
	ZEROS_BYTES = 4096,
	COMPARE_BIT = 0x10,
};

unsigned vga_dispi_bits(const struct vga *vga)
{
	return vga->dispi[DISPI_BPP] == 15 ? 16 : vga->dispi[DISPI_BPP];
}

uint32_t vga_dispi_line_bytes(const struct vga *vga)
{
	return vga->dispi[DISPI_VIRTUAL_WIDTH] * vga_dispi_bits(vga) / 8;
}

uint32_t vga_dispi_start(const struct vga *vga)
{
	return vga->dispi[DISPI_X_OFFSET] * vga_dispi_bits(vga) / 8 +
		vga->dispi[DISPI_Y_OFFSET] * vga_dispi_line_bytes(vga);
}

static void limit(uint16_t *value, unsigned min, unsigned max)
{
	if (*value < min)
		*value = (uint16_t)min;
	if (*value > max)
		*value = (uint16_t)max;
}

// Whether what is shown from the start on is in memory.
static bool fits(const struct vga *vga)
{
	return vga_dispi_start(vga) + (uint64_t)vga->dispi[DISPI_YRES] *
		vga_dispi_line_bytes(vga) <= VGA_MEMORY_BYTES;
}

static void mode_fit(struct vga *vga)
{
	uint16_t *dispi = vga->dispi;
	uint32_t lines;

	switch (dispi[DISPI_BPP]) {
	case 4:
	case 8:
	case 15:
	case 16:
	case 24:
	case 32:
		break;
	default:
		dispi[DISPI_BPP] = DEPTH_DEFAULT;
	}
	dispi[DISPI_XRES] &= (uint16_t)~(STEP - 1);
	limit(&dispi[DISPI_XRES], STEP, VGA_WIDTH_MAX);
	dispi[DISPI_VIRTUAL_WIDTH] &= (uint16_t)~(STEP - 1);
	limit(&dispi[DISPI_VIRTUAL_WIDTH], dispi[DISPI_XRES], VGA_WIDTH_MAX);
	lines = VGA_MEMORY_BYTES / vga_dispi_line_bytes(vga);
	limit(&dispi[DISPI_YRES], 1, lines < VGA_HEIGHT_MAX ? lines : VGA_HEIGHT_MAX);
	dispi[DISPI_VIRTUAL_HEIGHT] = (uint16_t)lines;
	limit(&dispi[DISPI_X_OFFSET], 0, VGA_WIDTH_MAX);
	limit(&dispi[DISPI_Y_OFFSET], 0, VGA_HEIGHT_MAX);
	if (!fits(vga))
		dispi[DISPI_Y_OFFSET] = 0;
	if (!fits(vga))
		dispi[DISPI_X_OFFSET] = 0;
}

// The window at 0xa0000 shows banks of 64 KiB, and the CRTC has the mode's size.
static void registers_follow(struct vga *vga)
{
	unsigned height = vga->dispi[DISPI_YRES] - 1u, shift = 2;
	uint8_t *crtc = vga->crtc;

	vga->graphics[VGA_GRAPHICS_MISC] = (uint8_t)((vga->graphics[VGA_GRAPHICS_MISC] &
		~VGA_GRAPHICS_MISC_MAP) | 0x04 | VGA_GRAPHICS_MISC_GRAPHICS);
	crtc[VGA_CRTC_MODE] |= 3;
	crtc[VGA_CRTC_OFFSET] = (uint8_t)(vga_dispi_line_bytes(vga) >> 3);
	crtc[VGA_CRTC_DISPLAY_END] = (uint8_t)((vga->dispi[DISPI_XRES] >> 3) - 1);
	crtc[VGA_CRTC_VERTICAL_END] = (uint8_t)height;
	crtc[VGA_CRTC_OVERFLOW] = (uint8_t)((crtc[VGA_CRTC_OVERFLOW] & 0xbdu) |
		COMPARE_BIT | (height >> 7 & 0x02) | (height >> 3 & 0x40));
	crtc[VGA_CRTC_LINE_COMPARE] = 0xff;
	crtc[VGA_CRTC_SCAN] = (uint8_t)((crtc[VGA_CRTC_SCAN] & ~0x9f) | 0x40);
	if (vga->dispi[DISPI_BPP] == 4) {
		shift = 0;
		vga->sequencer[VGA_SEQUENCER_CLOCK] &= (uint8_t)~VGA_SEQUENCER_CLOCK_HALF;
	} else {
		vga->sequencer[VGA_SEQUENCER_MEMORY] |= VGA_SEQUENCER_MEMORY_CHAIN4;
		vga->sequencer[VGA_SEQUENCER_PLANES] |= 0x0f;
	}
	vga->graphics[VGA_GRAPHICS_MODE] = (uint8_t)((vga->graphics[VGA_GRAPHICS_MODE] &
		~(3u << VGA_GRAPHICS_MODE_SHIFT)) | shift << VGA_GRAPHICS_MODE_SHIFT);
}

// Before the guest goes on, for it draws then: at most 16 MiB.
static void screen_clear(struct vga *vga)
{
	static const uint8_t zeros[ZEROS_BYTES];
	uint64_t bytes = (uint64_t)vga->dispi[DISPI_YRES] * vga_dispi_line_bytes(vga);

	for (uint64_t at = 0, part; at < bytes; at += part) {
		part = bytes - at < ZEROS_BYTES ? bytes - at : ZEROS_BYTES;
		device_memory_write(&vga->pci.device, at, zeros, part);
	}
}

static void enable_write(struct vga *vga, uint16_t value)
{
	uint16_t *dispi = vga->dispi;
	bool was_on = vga_dispi_is_on(vga);

	dispi[DISPI_ENABLE] = value;
	if (!vga_dispi_is_on(vga) || was_on) {
		dispi[DISPI_BANK] = 0;
		return;
	}
	dispi[DISPI_VIRTUAL_WIDTH] = dispi[DISPI_X_OFFSET] = dispi[DISPI_Y_OFFSET] = 0;
	mode_fit(vga);
	registers_follow(vga);
	if ((value & DISPI_ENABLE_KEEP) == 0)
		screen_clear(vga);
}

uint16_t vga_dispi_read(const struct vga *vga, unsigned index)
{
	static const uint16_t capabilities[] = {[DISPI_XRES] = VGA_WIDTH_MAX,
		[DISPI_YRES] = VGA_HEIGHT_MAX, [DISPI_BPP] = 32};

	if (index == DISPI_MEMORY_64K)
		return VGA_MEMORY_BYTES / VGA_BANK_BYTES;
	if (index >= DISPI_COUNT)
		return 0;
	if ((vga->dispi[DISPI_ENABLE] & DISPI_ENABLE_CAPABILITIES) != 0 && index >= DISPI_XRES &&
		index <= DISPI_BPP)
		return capabilities[index];
	return vga->dispi[index];
}

void vga_dispi_write(struct vga *vga, unsigned index, uint16_t value)
{
	switch (index) {
	case DISPI_ID:
		if (value >= DISPI_ID_FIRST && value <= DISPI_ID_LAST)
			vga->dispi[index] = value;
		break;
	case DISPI_ENABLE:
		enable_write(vga, value);
		break;
	case DISPI_BANK:
		vga->dispi[index] = value & (VGA_MEMORY_BYTES / VGA_BANK_BYTES - 1);
		break;
	case DISPI_XRES:
	case DISPI_YRES:
	case DISPI_BPP:
	case DISPI_VIRTUAL_WIDTH:
	case DISPI_X_OFFSET:
	case DISPI_Y_OFFSET:
		vga->dispi[index] = value;
		if (vga_dispi_is_on(vga)) {
			mode_fit(vga);
			registers_follow(vga);
		}
		break;
	}
}

const char *vga_dispi_check(const struct vga *vga)
{
	struct vga fitted = *vga;

	if (!vga_dispi_is_on(vga))
		return NULL;
	mode_fit(&fitted);
	for (unsigned i = 0; i < DISPI_COUNT; i++)
		if (fitted.dispi[i] != vga->dispi[i])
			return "dispi: a mode that does not fit";
	return NULL;
}
