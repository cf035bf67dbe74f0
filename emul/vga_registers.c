// SPDX-License-Identifier: BSD-2-Clause
// The VGA's registers at ports 0x3b0 to 0x3df.
//
// Specification: IBM Personal System/2 Hardware Interface Technical Reference, "Video Subsystem";
// where that leaves a choice, as QEMU's device answers: palette registers take all bits that are
// written, input status 0 is zero.
#include "emul/vga_internal.h"

enum {
	ATTRIBUTE = 0x3c0,
	ATTRIBUTE_READ = 0x3c1,
	MISC_WRITE = 0x3c2, // input status 0 when read
	SEQUENCER = 0x3c4,
	SEQUENCER_DATA = 0x3c5,
	DAC_MASK = 0x3c6,
	DAC_READ = 0x3c7,
	DAC_WRITE = 0x3c8,
	DAC_DATA = 0x3c9,
	FEATURE_READ = 0x3ca,
	MISC_READ = 0x3cc,
	GRAPHICS = 0x3ce,
	GRAPHICS_DATA = 0x3cf,
	CRTC = 0x3d4, // and those below: 0x20 lower in monochrome modes
	CRTC_DATA = 0x3d5,
	STATUS = 0x3da, // feature control when written
	MONOCHROME = 0x20,

	MISC_COLOUR = 0x01,
	STATUS_NOT_DISPLAYED = 0x01,
	STATUS_RETRACE = 0x08,
	DAC_READING = 3,
	DOTS_8 = 8,
	DOTS_9 = 9,
};

static const uint8_t sequencer_bits[VGA_SEQUENCER_COUNT] = {0x03, 0x3d, 0x0f, 0x3f, 0x0e};
static const uint8_t graphics_bits[VGA_GRAPHICS_COUNT] = {0x0f, 0x0f, 0x0f, 0x1f, 0x03, 0x7b,
	0x0f, 0x0f, 0xff};
static const uint8_t attribute_bits[VGA_ATTRIBUTE_COUNT] = {0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f,
	0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0xef, 0xff, 0x3f, 0x0f, 0x0f};

// The port of the colour modes that stands for this one; 0: it does not answer in this mode.
static unsigned port_of(const struct vga *vga, unsigned port)
{
	bool colour = (vga->misc & MISC_COLOUR) != 0;

	if (port >= ATTRIBUTE && port < ATTRIBUTE + 0x10)
		return port;
	if (colour != (port >= ATTRIBUTE))
		return 0;
	return colour ? port : port + MONOCHROME;
}

struct timing {
	uint64_t dots, line_dots; // of a frame, of a line
	uint64_t shown_dots;      // of a line
	uint64_t shown_lines, retrace_line, retrace_lines;
	uint64_t hz;
};

static uint64_t overflow_bit(const struct vga *vga, unsigned bit, unsigned to)
{
	return (uint64_t)(vga->crtc[VGA_CRTC_OVERFLOW] >> bit & 1) << to;
}

static void timing_of(const struct vga *vga, struct timing *timing)
{
	const uint8_t *crtc = vga->crtc;
	uint8_t clock = vga->sequencer[VGA_SEQUENCER_CLOCK];
	uint64_t dots = clock & VGA_SEQUENCER_CLOCK_8 ? DOTS_8 : DOTS_9;
	uint64_t lines = (crtc[VGA_CRTC_VERTICAL_TOTAL] | overflow_bit(vga, 0, 8) |
		overflow_bit(vga, 5, 9)) + 2;

	if (clock & VGA_SEQUENCER_CLOCK_HALF)
		dots *= 2;
	timing->line_dots = (crtc[VGA_CRTC_TOTAL] + UINT64_C(5)) * dots;
	timing->shown_dots = (crtc[VGA_CRTC_DISPLAY_END] + UINT64_C(1)) * dots;
	timing->dots = timing->line_dots * lines;
	timing->shown_lines = (crtc[VGA_CRTC_VERTICAL_END] | overflow_bit(vga, 1, 8) |
		overflow_bit(vga, 6, 9)) + 1;
	timing->retrace_line = crtc[VGA_CRTC_RETRACE_START] | overflow_bit(vga, 2, 8) |
		overflow_bit(vga, 7, 9);
	timing->retrace_lines =
		((crtc[VGA_CRTC_RETRACE_END] - timing->retrace_line) & 0x0f);
	if (timing->retrace_lines == 0)
		timing->retrace_lines = 1;
	// A mode that has no retrace, as at power-on, has one all the same: guests wait for it.
	if (timing->retrace_line >= lines)
		timing->retrace_line = lines - 1;
	timing->hz = vga->misc >> 2 & 3 ? 28322000 : 25175000;
}

// Where the beam is: a function of the guest's time alone.
static uint8_t input_status(const struct vga *vga, struct guest_time now)
{
	const uint64_t second = UINT64_C(1000000000);
	struct timing timing;
	uint64_t frame_ns, dot, line;
	uint8_t status = 0;

	timing_of(vga, &timing);
	frame_ns = timing.dots * second / timing.hz;
	dot = frame_ns == 0 ? 0 : now.ns % frame_ns * timing.hz / second;
	line = dot / timing.line_dots;
	if (line >= timing.shown_lines || dot % timing.line_dots >= timing.shown_dots)
		status |= STATUS_NOT_DISPLAYED;
	if (line - timing.retrace_line < timing.retrace_lines)
		status |= STATUS_NOT_DISPLAYED | STATUS_RETRACE;
	return status;
}

static uint8_t dac_data_read(struct vga *vga)
{
	uint8_t value = vga->palette[vga->dac_read * 3u + vga->dac_component];

	if (++vga->dac_component == 3) {
		vga->dac_component = 0;
		vga->dac_read++;
	}
	return value;
}

// All three components of an entry change at once.
static void dac_data_write(struct vga *vga, uint8_t value)
{
	uint8_t *entry = &vga->palette[vga->dac_write * 3u];

	if (vga->dac_component < 2) {
		vga->dac_latch[vga->dac_component++] = value;
		return;
	}
	entry[0] = vga->dac_latch[0];
	entry[1] = vga->dac_latch[1];
	entry[2] = value;
	vga->dac_component = 0;
	vga->dac_write++;
}

static uint8_t attribute_read(const struct vga *vga)
{
	unsigned index = vga->attribute_index & 0x1f;

	return index < VGA_ATTRIBUTE_COUNT ? vga->attribute[index] : 0;
}

static void attribute_write(struct vga *vga, uint8_t value)
{
	unsigned index = vga->attribute_index & 0x1f;

	vga->attribute_data = !vga->attribute_data;
	if (vga->attribute_data)
		vga->attribute_index = value & 0x3f;
	else if (index < VGA_ATTRIBUTE_COUNT)
		vga->attribute[index] = value & attribute_bits[index];
}

static void crtc_write(struct vga *vga, uint8_t value)
{
	unsigned index = vga->crtc_index;

	if (index >= VGA_CRTC_COUNT)
		return;
	if ((vga->crtc[VGA_CRTC_RETRACE_END] & VGA_CRTC_PROTECT) != 0 &&
		index <= VGA_CRTC_OVERFLOW) {
		if (index == VGA_CRTC_OVERFLOW) // line compare's bit is not protected
			vga->crtc[index] = (uint8_t)((vga->crtc[index] & ~0x10) | (value & 0x10));
		return;
	}
	vga->crtc[index] = value;
}

uint8_t vga_port_read(struct vga *vga, struct guest_time now, unsigned port)
{
	switch (port_of(vga, port)) {
	case 0:
		return 0xff;
	case ATTRIBUTE:
		return vga->attribute_data ? 0 : vga->attribute_index;
	case ATTRIBUTE_READ:
		return attribute_read(vga);
	case SEQUENCER:
		return vga->sequencer_index;
	case SEQUENCER_DATA:
		return vga->sequencer_index < VGA_SEQUENCER_COUNT
			? vga->sequencer[vga->sequencer_index] : 0;
	case DAC_MASK:
		return vga->dac_mask;
	case DAC_READ:
		return vga->dac_state;
	case DAC_WRITE:
		return vga->dac_write;
	case DAC_DATA:
		return dac_data_read(vga);
	case FEATURE_READ:
		return vga->feature;
	case MISC_READ:
		return vga->misc;
	case GRAPHICS:
		return vga->graphics_index;
	case GRAPHICS_DATA:
		return vga->graphics_index < VGA_GRAPHICS_COUNT
			? vga->graphics[vga->graphics_index] : 0;
	case CRTC:
		return vga->crtc_index;
	case CRTC_DATA:
		return vga->crtc_index < VGA_CRTC_COUNT ? vga->crtc[vga->crtc_index] : 0;
	case STATUS:
		vga->attribute_data = false;
		return input_status(vga, now);
	default:
		return 0;
	}
}

static void dac_index_write(struct vga *vga, uint8_t *index, uint8_t value, uint8_t state)
{
	*index = value;
	vga->dac_component = 0;
	vga->dac_state = state;
}

void vga_port_write(struct vga *vga, unsigned port, uint8_t value)
{
	switch (port_of(vga, port)) {
	case ATTRIBUTE:
		attribute_write(vga, value);
		break;
	case MISC_WRITE:
		vga->misc = value & 0xef;
		break;
	case SEQUENCER:
		vga->sequencer_index = value & 7;
		break;
	case SEQUENCER_DATA:
		if (vga->sequencer_index < VGA_SEQUENCER_COUNT)
			vga->sequencer[vga->sequencer_index] =
				value & sequencer_bits[vga->sequencer_index];
		break;
	case DAC_MASK:
		vga->dac_mask = value;
		break;
	case DAC_READ:
		dac_index_write(vga, &vga->dac_read, value, DAC_READING);
		break;
	case DAC_WRITE:
		dac_index_write(vga, &vga->dac_write, value, 0);
		break;
	case DAC_DATA:
		dac_data_write(vga, value);
		break;
	case GRAPHICS:
		vga->graphics_index = value & 0x0f;
		break;
	case GRAPHICS_DATA:
		if (vga->graphics_index < VGA_GRAPHICS_COUNT)
			vga->graphics[vga->graphics_index] =
				value & graphics_bits[vga->graphics_index];
		break;
	case CRTC:
		vga->crtc_index = value;
		break;
	case CRTC_DATA:
		crtc_write(vga, value);
		break;
	case STATUS:
		vga->feature = value & 0x10;
		break;
	}
}

static bool has_more(const uint8_t *registers, const uint8_t *bits, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (registers[i] & ~bits[i])
			return true;
	return false;
}

const char *vga_registers_check(const struct vga *vga)
{
	if (has_more(vga->sequencer, sequencer_bits, VGA_SEQUENCER_COUNT))
		return "sequencer: bits that are not there";
	if (has_more(vga->graphics, graphics_bits, VGA_GRAPHICS_COUNT))
		return "graphics: bits that are not there";
	if (has_more(vga->attribute, attribute_bits, VGA_ATTRIBUTE_COUNT))
		return "attribute: bits that are not there";
	return NULL;
}
