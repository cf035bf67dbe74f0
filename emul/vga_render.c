// SPDX-License-Identifier: BSD-2-Clause
// What the VGA shows, as pixels and as characters. Queries: nothing here changes anything.
//
// Left out on purpose: panning by single pixels, the second start address of modes that are not
// shown by any firmware, overscan.
#include "emul/vga_internal.h"

enum {
	PLANES_MASK = 0xffff, // a VGA has 64 Ki bytes of each plane
	FONT_WORDS = 0x2000,
	GLYPH_WORDS = 32,
	CHUNK = 64, // pixels read at once
	DOTS = 8,
};

// Values that hold for all of a line.
struct mode {
	const struct vga *vga;
	uint32_t palette[256];
	uint32_t colours[16]; // of attributes
};

static uint32_t memory_word(const struct vga *vga, uint32_t index)
{
	uint32_t word;

	device_memory_read(&vga->pci.device, (uint64_t)index * 4, &word, sizeof(word));
	return word;
}

static uint8_t component(const struct vga *vga, uint8_t value)
{
	if (vga->dispi[DISPI_ENABLE] & DISPI_ENABLE_8BIT_DAC)
		return value;
	return (uint8_t)((value & 0x3f) << 2 | (value & 0x3f) >> 4);
}

static uint32_t dac_colour(const struct vga *vga, uint8_t index)
{
	const uint8_t *entry = &vga->palette[(index & vga->dac_mask) * 3u];

	return (uint32_t)component(vga, entry[0]) << 16 |
		(uint32_t)component(vga, entry[1]) << 8 | component(vga, entry[2]);
}

// The attribute controller's way from four bits to the DAC.
static uint8_t attribute_index(const struct vga *vga, unsigned colour)
{
	uint8_t value = vga->attribute[colour & vga->attribute[VGA_ATTRIBUTE_PLANES]];
	uint8_t select = vga->attribute[VGA_ATTRIBUTE_SELECT];

	if (vga->attribute[VGA_ATTRIBUTE_MODE] & VGA_ATTRIBUTE_MODE_SELECT)
		return (uint8_t)((select & 0x0f) << 4 | (value & 0x0f));
	return (uint8_t)((select & 0x0c) << 4 | (value & 0x3f));
}

static void mode_begin(const struct vga *vga, struct mode *mode)
{
	mode->vga = vga;
	for (unsigned i = 0; i < 256; i++)
		mode->palette[i] = dac_colour(vga, (uint8_t)i);
	for (unsigned i = 0; i < 16; i++)
		mode->colours[i] = dac_colour(vga, attribute_index(vga, i));
}

static uint32_t crtc_bits(const struct vga *vga, unsigned index, unsigned eighth, unsigned ninth)
{
	uint32_t overflow = vga->crtc[VGA_CRTC_OVERFLOW];

	return vga->crtc[index] | (overflow >> eighth & 1) << 8 | (overflow >> ninth & 1) << 9;
}

static uint32_t lines_shown(const struct vga *vga)
{
	return crtc_bits(vga, VGA_CRTC_VERTICAL_END, 1, 6) + 1;
}

static bool is_graphics(const struct vga *vga)
{
	return vga_dispi_is_on(vga) ||
		(vga->graphics[VGA_GRAPHICS_MISC] & VGA_GRAPHICS_MISC_GRAPHICS) != 0;
}

static unsigned is_half(const struct vga *vga)
{
	return vga->sequencer[VGA_SEQUENCER_CLOCK] & VGA_SEQUENCER_CLOCK_HALF ? 1 : 0;
}

static unsigned is_double(const struct vga *vga)
{
	return vga->crtc[VGA_CRTC_SCAN] & VGA_CRTC_SCAN_DOUBLE ? 1 : 0;
}

static uint32_t scan_lines(const struct vga *vga)
{
	return (vga->crtc[VGA_CRTC_SCAN] & 0x1fu) + 1;
}

static uint32_t character_width(const struct vga *vga)
{
	return vga->sequencer[VGA_SEQUENCER_CLOCK] & VGA_SEQUENCER_CLOCK_8 ? DOTS : DOTS + 1;
}

static uint32_t start_address(const struct vga *vga)
{
	return (uint32_t)vga->crtc[VGA_CRTC_START] << 8 | vga->crtc[VGA_CRTC_START + 1];
}

void vga_screen(const struct device *device, struct vga_screen *screen)
{
	const struct vga *vga = vga_of_const(device);

	*screen = (struct vga_screen){
		.blank = (vga->attribute_index & VGA_ATTRIBUTE_INDEX_ON) == 0,
		.width = vga->dispi[DISPI_XRES],
		.height = vga->dispi[DISPI_YRES],
	};
	if (vga_dispi_is_on(vga))
		return;
	if (vga->sequencer[VGA_SEQUENCER_CLOCK] & VGA_SEQUENCER_CLOCK_OFF)
		screen->blank = true;
	screen->height = lines_shown(vga);
	screen->width = ((vga->crtc[VGA_CRTC_DISPLAY_END] + 1u) * DOTS) << is_half(vga);
	if (is_graphics(vga))
		return;
	screen->columns = vga->crtc[VGA_CRTC_DISPLAY_END] + 1u;
	screen->rows = screen->height / (scan_lines(vga) << is_double(vga));
	if (screen->rows == 0)
		screen->columns = 0;
	screen->width = (screen->columns * character_width(vga)) << is_half(vga);
	screen->height = screen->rows * (scan_lines(vga) << is_double(vga));
	if (screen->columns == 0) { // not a whole row
		screen->width = screen->height = 1;
		screen->blank = true;
	}
}

static uint32_t cell_address(const struct vga *vga, uint32_t column, uint32_t row)
{
	return (start_address(vga) + row * (vga->crtc[VGA_CRTC_OFFSET] * 2u) + column) &
		PLANES_MASK;
}

uint16_t vga_character(const struct device *device, uint32_t column, uint32_t row)
{
	const struct vga *vga = vga_of_const(device);

	return (uint16_t)memory_word(vga, cell_address(vga, column, row));
}

// The dots of a character's line, the leftmost in bit 7.
static uint8_t glyph(const struct vga *vga, uint16_t cell, uint32_t scan)
{
	unsigned map = vga->sequencer[VGA_SEQUENCER_FONTS];
	unsigned font = cell & 0x0800 ? (map >> 5 & 1) | (map >> 1 & 6)
				      : (map >> 4 & 1) | (map << 1 & 6);

	return (uint8_t)(memory_word(vga, font * FONT_WORDS + (cell & 0xffu) * GLYPH_WORDS + scan)
		>> 16);
}

static bool cursor_covers(const struct vga *vga, uint32_t address, uint32_t scan)
{
	uint8_t start = vga->crtc[VGA_CRTC_CURSOR_START];
	uint32_t at = (uint32_t)vga->crtc[VGA_CRTC_CURSOR] << 8 | vga->crtc[VGA_CRTC_CURSOR + 1];

	return at == address && (start & VGA_CRTC_CURSOR_OFF) == 0 && scan >= (start & 0x1fu) &&
		scan <= (vga->crtc[VGA_CRTC_CURSOR_END] & 0x1fu);
}

// A character's line, as wide as characters are; dot 0 in bit 0.
static uint32_t character_dots(const struct vga *vga, uint16_t cell, uint32_t address,
	uint32_t scan)
{
	uint8_t bits = glyph(vga, cell, scan), code = (uint8_t)cell;
	uint32_t dots = 0;

	if (cursor_covers(vga, address, scan))
		return UINT32_MAX;
	for (unsigned i = 0; i < DOTS; i++)
		dots |= (uint32_t)(bits >> (DOTS - 1 - i) & 1) << i;
	if ((vga->attribute[VGA_ATTRIBUTE_MODE] & VGA_ATTRIBUTE_MODE_LINES) != 0 &&
		code >= 0xc0 && code <= 0xdf)
		dots |= (dots >> (DOTS - 1) & 1) << DOTS;
	return dots;
}

static void text_pixels(const struct mode *mode, uint32_t line, uint32_t first, uint32_t count,
	uint32_t *pixels)
{
	const struct vga *vga = mode->vga;
	uint32_t height = scan_lines(vga) << is_double(vga), width = character_width(vga);
	uint32_t scan = line % height >> is_double(vga), known = UINT32_MAX, dots = 0;
	uint16_t cell = 0;
	unsigned paper = 0;

	for (uint32_t i = 0; i < count; i++) {
		uint32_t x = (first + i) >> is_half(vga), column = x / width;

		if (column != known) {
			uint32_t address = cell_address(vga, column, line / height);

			known = column;
			cell = (uint16_t)memory_word(vga, address);
			dots = character_dots(vga, cell, address, scan);
			paper = cell >> 12;
			if (vga->attribute[VGA_ATTRIBUTE_MODE] & VGA_ATTRIBUTE_MODE_BLINK)
				paper &= 7;
		}
		pixels[i] = mode->colours[dots >> x % width & 1 ? cell >> 8 & 0x0f : paper];
	}
}

// Where a line begins, in bytes of each plane.
static uint32_t line_address(const struct vga *vga, uint32_t line)
{
	uint32_t compare = crtc_bits(vga, VGA_CRTC_LINE_COMPARE, 4, 8) |
		(vga->crtc[VGA_CRTC_SCAN] >> 6 & 1u) << 9;
	uint32_t address = start_address(vga), scan;

	if (line > compare) { // the screen is split
		address = 0;
		line -= compare + 1;
	}
	line >>= is_double(vga);
	scan = line % scan_lines(vga);
	address += line / scan_lines(vga) * (vga->crtc[VGA_CRTC_OFFSET] * 2u);
	// As of a CGA, or of a Hercules card: rows lie in turn in two or four parts.
	if ((vga->crtc[VGA_CRTC_MODE] & 1) == 0) {
		unsigned bit = 12 + (vga->crtc[VGA_CRTC_MODE] >> 6 & 1u);

		address = (address & ~(UINT32_C(1) << bit)) | (scan & 1) << bit;
	}
	if ((vga->crtc[VGA_CRTC_MODE] & 2) == 0)
		address = (address & ~UINT32_C(0x2000)) | (scan >> 1 & 1) << 13;
	return address;
}

static unsigned planes_colour(uint32_t word, unsigned bit)
{
	word >>= bit;
	return (word & 1) | (word >> 7 & 2) | (word >> 14 & 4) | (word >> 21 & 8);
}

// Two bits a pixel: four pixels of planes 0 and 2, then four of 1 and 3.
static unsigned pairs_colour(uint32_t word, unsigned x)
{
	word >>= (x >> 2) * 8 + (3 - (x & 3)) * 2;
	return (word & 3) | (word >> 14 & 0x0c);
}

static void planes_pixels(const struct mode *mode, uint32_t address, uint32_t first,
	uint32_t count, uint32_t *pixels)
{
	const struct vga *vga = mode->vga;
	bool dispi = vga_dispi_is_on(vga);
	unsigned shift = vga->graphics[VGA_GRAPHICS_MODE] >> VGA_GRAPHICS_MODE_SHIFT & 3;
	uint32_t mask = dispi ? VGA_MEMORY_BYTES / 4 - 1 : PLANES_MASK;
	uint32_t known = UINT32_MAX, word = 0;

	for (uint32_t i = 0; i < count; i++) {
		uint32_t x = (first + i) >> (dispi ? 0 : is_half(vga));
		uint32_t index = shift >= 2 ? x >> 3 : x / DOTS;

		if (index != known)
			word = memory_word(vga, (address + index) & mask);
		known = index;
		if (shift >= 2)
			pixels[i] = mode->palette[word >> 8 * (x >> 1 & 3) & 0xff];
		else if (shift == 1)
			pixels[i] = mode->colours[pairs_colour(word, x % DOTS)];
		else
			pixels[i] = mode->colours[planes_colour(word, 7 - x % DOTS)];
	}
}

static uint32_t widen(uint32_t value, unsigned bits)
{
	return value << (8 - bits) | value >> (2 * bits - 8);
}

static uint32_t pixel_of(const struct mode *mode, const uint8_t *from)
{
	uint32_t value = from[0];

	switch (mode->vga->dispi[DISPI_BPP]) {
	case 8:
		return mode->palette[value];
	case 15:
	case 16:
		value = mode->vga->big_endian ? value << 8 | from[1]
					      : value | (uint32_t)from[1] << 8;
		if (mode->vga->dispi[DISPI_BPP] == 15)
			return widen(value >> 10 & 0x1f, 5) << 16 |
				widen(value >> 5 & 0x1f, 5) << 8 | widen(value & 0x1f, 5);
		return widen(value >> 11, 5) << 16 | widen(value >> 5 & 0x3f, 6) << 8 |
			widen(value & 0x1f, 5);
	case 24:
		return value | (uint32_t)from[1] << 8 | (uint32_t)from[2] << 16;
	default:
		if (mode->vga->big_endian)
			return (uint32_t)from[1] << 16 | (uint32_t)from[2] << 8 | from[3];
		return value | (uint32_t)from[1] << 8 | (uint32_t)from[2] << 16;
	}
}

static void linear_pixels(const struct mode *mode, uint32_t line, uint32_t first, uint32_t count,
	uint32_t *pixels)
{
	const struct vga *vga = mode->vga;
	uint32_t bytes = vga_dispi_bits(vga) / 8;
	uint64_t from = vga_dispi_start(vga) + (uint64_t)line * vga_dispi_line_bytes(vga) +
		(uint64_t)first * bytes;
	uint8_t chunk[CHUNK * 4];

	while (count > 0) {
		uint32_t part = count < CHUNK ? count : CHUNK;

		device_memory_read(&vga->pci.device, from, chunk, part * bytes);
		for (uint32_t i = 0; i < part; i++)
			*pixels++ = pixel_of(mode, chunk + i * bytes);
		from += part * bytes;
		count -= part;
	}
}

void vga_pixels(const struct device *device, const struct vga_screen *screen, uint32_t line,
	uint32_t first, uint32_t count, uint32_t *pixels)
{
	const struct vga *vga = vga_of_const(device);
	struct mode mode;

	if (screen->blank) {
		for (uint32_t i = 0; i < count; i++)
			pixels[i] = 0;
		return;
	}
	mode_begin(vga, &mode);
	if (screen->columns != 0)
		text_pixels(&mode, line, first, count, pixels);
	else if (!vga_dispi_is_on(vga))
		planes_pixels(&mode, line_address(vga, line), first, count, pixels);
	else if (vga->dispi[DISPI_BPP] == 4)
		planes_pixels(&mode, (vga_dispi_start(vga) + line * vga_dispi_line_bytes(vga)) / 4,
			first, count, pixels);
	else
		linear_pixels(&mode, line, first, count, pixels);
}
