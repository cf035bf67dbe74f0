// SPDX-License-Identifier: BSD-2-Clause
// Video memory as the window at 0xa0000 shows it: four planes with latches, in pairs of planes as
// text modes have it, or one byte after the other.
//
// Byte n of plane p is byte 4n + p of video memory, as QEMU's device has it: a byte of each plane
// lie side by side, and what a mode of 256 colours draws is linear.
#include "emul/vga_internal.h"

enum { NOWHERE = -1, ALL_ONES = 0xff };

// The offset in what the window shows; NOWHERE: beyond it.
static int64_t offset_of(const struct vga *vga, uint32_t offset)
{
	uint32_t bank = vga->dispi[DISPI_BANK] * (uint32_t)VGA_BANK_BYTES;

	switch ((vga->graphics[VGA_GRAPHICS_MISC] & VGA_GRAPHICS_MISC_MAP) >> 2) {
	case 0:
		return offset;
	case 1:
		return offset < 0x10000 ? (int64_t)bank + offset : NOWHERE;
	case 2:
		return offset - 0x10000 < 0x8000 ? (int64_t)offset - 0x10000 : NOWHERE;
	default:
		return offset - 0x18000 < 0x8000 ? (int64_t)offset - 0x18000 : NOWHERE;
	}
}

static uint32_t planes_fill(unsigned bits) // a byte of ones in each plane that has its bit
{
	uint32_t mask = 0;

	for (unsigned plane = 0; plane < 4; plane++)
		if (bits >> plane & 1)
			mask |= UINT32_C(0xff) << 8 * plane;
	return mask;
}

static uint32_t planes_repeat(unsigned byte)
{
	return byte * UINT32_C(0x01010101);
}

static bool chain4(const struct vga *vga)
{
	return (vga->sequencer[VGA_SEQUENCER_MEMORY] & VGA_SEQUENCER_MEMORY_CHAIN4) != 0;
}

static bool odd_even(const struct vga *vga)
{
	return (vga->graphics[VGA_GRAPHICS_MODE] & VGA_GRAPHICS_MODE_ODD_EVEN) != 0;
}

// Where pairs of planes are addressed by the lowest bit.
static unsigned odd_even_plane(const struct vga *vga, int64_t at)
{
	return (vga->graphics[VGA_GRAPHICS_READ_PLANE] & 2u) | (unsigned)(at & 1);
}

static uint8_t memory_get(struct vga *vga, int64_t at)
{
	uint8_t value = ALL_ONES;

	if (at < VGA_MEMORY_BYTES)
		device_memory_read(&vga->pci.device, (uint64_t)at, &value, 1);
	return value;
}

static void memory_put(struct vga *vga, int64_t at, uint8_t value)
{
	if (at < VGA_MEMORY_BYTES)
		device_memory_write(&vga->pci.device, (uint64_t)at, &value, 1);
}

static uint8_t planes_read(struct vga *vga, int64_t at)
{
	const uint8_t *graphics = vga->graphics;
	uint32_t wrong;

	if (at >= VGA_MEMORY_BYTES / 4)
		return ALL_ONES;
	device_memory_read(&vga->pci.device, (uint64_t)at * 4, &vga->latch, sizeof(vga->latch));
	if ((graphics[VGA_GRAPHICS_MODE] & VGA_GRAPHICS_MODE_READ) == 0)
		return (uint8_t)(vga->latch >> 8 * graphics[VGA_GRAPHICS_READ_PLANE]);
	// Read mode 1: ones where the colour is that of the compare register.
	wrong = (vga->latch ^ planes_fill(graphics[VGA_GRAPHICS_COMPARE])) &
		planes_fill(graphics[VGA_GRAPHICS_CARE]);
	wrong |= wrong >> 16;
	wrong |= wrong >> 8;
	return (uint8_t)~wrong;
}

uint8_t vga_window_read(struct vga *vga, uint32_t offset)
{
	int64_t at = offset_of(vga, offset);

	if (at == NOWHERE)
		return ALL_ONES;
	if (chain4(vga))
		return memory_get(vga, at);
	if (odd_even(vga))
		return memory_get(vga, (at & ~INT64_C(1)) * 2 + odd_even_plane(vga, at));
	return planes_read(vga, at);
}

static uint8_t rotate(const struct vga *vga, uint8_t value)
{
	unsigned count = vga->graphics[VGA_GRAPHICS_ROTATE] & 7;

	return (uint8_t)(value >> count | value << (8 - count));
}

static uint32_t function(const struct vga *vga, uint32_t value)
{
	switch (vga->graphics[VGA_GRAPHICS_ROTATE] >> 3) {
	case 1:
		return value & vga->latch;
	case 2:
		return value | vga->latch;
	case 3:
		return value ^ vga->latch;
	default:
		return value;
	}
}

// What the four write modes make of a byte, before the planes are chosen.
static uint32_t planes_value(const struct vga *vga, uint8_t byte)
{
	const uint8_t *graphics = vga->graphics;
	uint32_t set = planes_fill(graphics[VGA_GRAPHICS_SET]);
	uint32_t set_enable = planes_fill(graphics[VGA_GRAPHICS_SET_ENABLE]);
	uint32_t mask = planes_repeat(graphics[VGA_GRAPHICS_BIT_MASK]), value;

	switch (graphics[VGA_GRAPHICS_MODE] & 3) {
	case 0:
		value = (planes_repeat(rotate(vga, byte)) & ~set_enable) | (set & set_enable);
		break;
	case 1:
		return vga->latch;
	case 2:
		value = planes_fill(byte & 0x0f);
		break;
	default:
		mask &= planes_repeat(rotate(vga, byte));
		value = set;
		break;
	}
	return (function(vga, value) & mask) | (vga->latch & ~mask);
}

static void planes_write(struct vga *vga, int64_t at, uint8_t byte)
{
	uint32_t mask = planes_fill(vga->sequencer[VGA_SEQUENCER_PLANES]);
	uint32_t value = planes_value(vga, byte), old;

	if (at >= VGA_MEMORY_BYTES / 4 || mask == 0)
		return;
	device_memory_read(&vga->pci.device, (uint64_t)at * 4, &old, sizeof(old));
	value = (old & ~mask) | (value & mask);
	device_memory_write(&vga->pci.device, (uint64_t)at * 4, &value, sizeof(value));
}

static bool plane_is_on(const struct vga *vga, unsigned plane)
{
	return (vga->sequencer[VGA_SEQUENCER_PLANES] >> plane & 1) != 0;
}

void vga_window_write(struct vga *vga, uint32_t offset, uint8_t value)
{
	int64_t at = offset_of(vga, offset);
	unsigned plane;

	if (at == NOWHERE)
		return;
	if (chain4(vga)) {
		if (plane_is_on(vga, (unsigned)(at & 3)))
			memory_put(vga, at, value);
	} else if (odd_even(vga)) {
		plane = odd_even_plane(vga, at);
		if (plane_is_on(vga, plane))
			memory_put(vga, (at & ~INT64_C(1)) * 2 + plane, value);
	} else {
		planes_write(vga, at, value);
	}
}
