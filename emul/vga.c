// SPDX-License-Identifier: BSD-2-Clause
// QEMU's standard VGA, as a PCI function.
//
// Specification: QEMU's docs/specs/standard-vga.rst; IBM Personal System/2 Hardware Interface
// Technical Reference, "Video Subsystem", for what vga_registers.c, vga_window.c and vga_render.c
// do.
//
// All video memory is the region of base address register 0, which the guest reaches without the
// device; the window at 0xa0000 comes here. The command register's bits have nothing to say about
// the window and the VGA's ports, as in QEMU.
//
// Left out on purpose: interrupts at the vertical retrace, which QEMU's has not either.
//
// Entered by the VM's bus only; its queries by who shows it, under the device lock.
#include "emul/vga_internal.h"

#include <string.h>

enum {
	MMIO_BYTES = 4096,
	MMIO_PORTS = 0x400, // 0x3c0 to 0x3df
	MMIO_PORTS_BYTES = 0x20,
	MMIO_DISPI = 0x500, // registers 0 to 10, of 16 bits each
	MMIO_DISPI_BYTES = 22,
	MMIO_EXTENDED = 0x600, // its size, then the byte order
	MMIO_EXTENDED_BYTES = 8,
	FIRST_PORT = 0x3c0,
	CLASS_VGA = 0x030000,
	REVISION = 2,
	DAC_MASK_ALL = 0xff,
};

#define BIG_ENDIAN_MARK    UINT32_C(0xbebebebe)
#define LITTLE_ENDIAN_MARK UINT32_C(0x1e1e1e1e)

static const struct pcidev_info vga_info = {
	.vendor = 0x1234,
	.device = 0x1111,
	.subsystem_vendor = 0x1af4,
	.subsystem = 0x1100,
	.class_code = CLASS_VGA,
	.command = PCIDEV_COMMAND_PORT | PCIDEV_COMMAND_MASTER,
	.revision = REVISION,
	.rom_bytes = VGA_ROM_BYTES,
	.bars = {
		[VGA_REGION_MEMORY] = {.bytes = VGA_MEMORY_BYTES, .kind = PCIDEV_BAR_MEMORY,
			.prefetchable = true},
		[VGA_REGION_MMIO] = {.bytes = MMIO_BYTES, .kind = PCIDEV_BAR_MEMORY},
	},
};

void vga_configure(struct device *device, const uint8_t *rom, uint32_t rom_bytes)
{
	struct vga *vga = vga_of(device);

	vga->rom = rom;
	vga->rom_bytes = rom_bytes;
}

static uint32_t extended_read(const struct vga *vga, uint64_t offset, unsigned size)
{
	if (size != 4)
		return 0;
	if (offset == 0)
		return MMIO_EXTENDED_BYTES;
	return vga->big_endian ? BIG_ENDIAN_MARK : LITTLE_ENDIAN_MARK;
}

static void extended_write(struct vga *vga, uint64_t offset, unsigned size, uint32_t value)
{
	if (offset == 4 && size == 4 && value == BIG_ENDIAN_MARK)
		vga->big_endian = true;
	if (offset == 4 && size == 4 && value == LITTLE_ENDIAN_MARK)
		vga->big_endian = false;
}

// The VGA's ports side by side: the lower byte first.
static uint64_t ports_read(struct vga *vga, struct guest_time now, unsigned port, unsigned size)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < size; i++)
		value |= (uint64_t)vga_port_read(vga, now, port + i) << 8 * i;
	return value;
}

static void ports_write(struct vga *vga, unsigned port, unsigned size, uint64_t value)
{
	for (unsigned i = 0; i < size; i++)
		vga_port_write(vga, port + i, (uint8_t)(value >> 8 * i));
}

static uint8_t edid_byte(uint64_t offset)
{
	return offset < VGA_EDID_BYTES ? vga_edid((unsigned)offset) : 0;
}

static uint64_t mmio_read(struct vga *vga, struct guest_time now, uint64_t offset, unsigned size)
{
	uint64_t value = 0;

	if (offset + size <= MMIO_PORTS) {
		for (unsigned i = 0; i < size; i++)
			value |= (uint64_t)edid_byte(offset + i) << 8 * i;
		return value;
	}
	if (offset - MMIO_PORTS < MMIO_PORTS_BYTES && size <= 2)
		return ports_read(vga, now, FIRST_PORT + (unsigned)(offset - MMIO_PORTS), size);
	if (offset - MMIO_DISPI < MMIO_DISPI_BYTES && size == 2 && offset % 2 == 0)
		return vga_dispi_read(vga, (unsigned)(offset - MMIO_DISPI) / 2);
	if (offset - MMIO_EXTENDED < MMIO_EXTENDED_BYTES)
		return extended_read(vga, offset - MMIO_EXTENDED, size);
	return UINT64_MAX;
}

static void mmio_write(struct vga *vga, uint64_t offset, unsigned size, uint64_t value)
{
	if (offset - MMIO_PORTS < MMIO_PORTS_BYTES && size <= 2)
		ports_write(vga, FIRST_PORT + (unsigned)(offset - MMIO_PORTS), size, value);
	else if (offset - MMIO_DISPI < MMIO_DISPI_BYTES && size == 2 && offset % 2 == 0)
		vga_dispi_write(vga, (unsigned)(offset - MMIO_DISPI) / 2, (uint16_t)value);
	else if (offset - MMIO_EXTENDED < MMIO_EXTENDED_BYTES)
		extended_write(vga, offset - MMIO_EXTENDED, size, (uint32_t)value);
}

static uint64_t window_read(struct vga *vga, uint64_t offset, unsigned size)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < size; i++)
		value |= (uint64_t)vga_window_read(vga, (uint32_t)offset + i) << 8 * i;
	return value;
}

// Index at the first port, data at the second: of 16 bits alone.
static uint64_t dispi_port_read(const struct vga *vga, uint64_t offset, unsigned size)
{
	if (size != 2)
		return UINT64_MAX;
	return offset == 0 ? vga->dispi_index : vga_dispi_read(vga, vga->dispi_index);
}

static void dispi_port_write(struct vga *vga, uint64_t offset, unsigned size, uint64_t value)
{
	if (size != 2)
		return;
	if (offset == 0)
		vga->dispi_index = (uint16_t)value;
	else
		vga_dispi_write(vga, vga->dispi_index, (uint16_t)value);
}

static uint64_t vga_read(struct device *device, struct guest_time now, unsigned region,
	uint64_t offset, unsigned size)
{
	struct vga *vga = vga_of(device);

	switch (region) {
	case PCIDEV_REGION_CONFIG:
		return pcidev_read(&vga->pci, offset, size);
	case PCIDEV_REGION_ROM:
		return pcidev_rom_read(vga->rom, (uint32_t)vga->rom_bytes, offset, size);
	case VGA_REGION_MMIO:
		return mmio_read(vga, now, offset, size);
	case VGA_REGION_PORTS:
		return ports_read(vga, now, VGA_PORT + (unsigned)offset, size);
	case VGA_REGION_DISPI:
		return dispi_port_read(vga, offset, size);
	case VGA_REGION_WINDOW:
		return window_read(vga, offset, size);
	default:
		return UINT64_MAX;
	}
}

static void vga_write(struct device *device, struct guest_time now, unsigned region,
	uint64_t offset, unsigned size, uint64_t value)
{
	struct vga *vga = vga_of(device);

	(void)now;
	switch (region) {
	case PCIDEV_REGION_CONFIG:
		pcidev_write(&vga->pci, offset, size, value);
		break;
	case VGA_REGION_MMIO:
		mmio_write(vga, offset, size, value);
		break;
	case VGA_REGION_PORTS:
		ports_write(vga, VGA_PORT + (unsigned)offset, size, value);
		break;
	case VGA_REGION_DISPI:
		dispi_port_write(vga, offset, size, value);
		break;
	case VGA_REGION_WINDOW:
		for (unsigned i = 0; i < size; i++)
			vga_window_write(vga, (uint32_t)offset + i, (uint8_t)(value >> 8 * i));
		break;
	}
}

// Memory keeps what it has.
static void vga_reset(struct device *device, struct guest_time now, enum device_reset kind)
{
	struct vga *vga = vga_of(device);

	(void)now;
	(void)kind;
	*vga = (struct vga){.pci.device = *device, .rom = vga->rom, .rom_bytes = vga->rom_bytes,
		.dac_mask = DAC_MASK_ALL};
	vga->graphics[VGA_GRAPHICS_BIT_MASK] = 0xff;
	vga->dispi[DISPI_ID] = DISPI_ID_LAST;
	pcidev_reset(&vga->pci);
}

static void vga_loaded(struct device *device, struct guest_time now)
{
	(void)now;
	pcidev_loaded(pcidev_of(device));
}

static const char *vga_check(const void *instance)
{
	const struct vga *vga = instance;
	const char *problem = vga_registers_check(vga);

	if (problem == NULL)
		problem = vga_dispi_check(vga);
	return problem != NULL ? problem : pcidev_check(&vga->pci, &vga_info);
}

static const struct state_field vga_fields[] = {
	PCIDEV_STATE(struct vga),
	STATE_ANY(struct vga, latch),
	STATE_ANY(struct vga, misc),
	STATE_ANY(struct vga, feature),
	STATE_VALUE(struct vga, sequencer_index, 0, 7),
	STATE_ARRAY(struct vga, sequencer, 0, 0x3f),
	STATE_VALUE(struct vga, graphics_index, 0, 0x0f),
	STATE_ARRAY_ANY(struct vga, graphics),
	STATE_ANY(struct vga, crtc_index),
	STATE_ARRAY_ANY(struct vga, crtc),
	STATE_VALUE(struct vga, attribute_index, 0, 0x3f),
	STATE_ARRAY_ANY(struct vga, attribute),
	STATE_BOOL(struct vga, attribute_data),
	STATE_VALUE(struct vga, dac_state, 0, 3),
	STATE_ANY(struct vga, dac_read),
	STATE_ANY(struct vga, dac_write),
	STATE_VALUE(struct vga, dac_component, 0, 2),
	STATE_ARRAY_ANY(struct vga, dac_latch),
	STATE_ANY(struct vga, dac_mask),
	STATE_ARRAY_ANY(struct vga, palette),
	STATE_BOOL(struct vga, big_endian),
	STATE_PAD(struct vga, reserved),
	STATE_ANY(struct vga, dispi_index),
	STATE_ARRAY_ANY(struct vga, dispi),
	STATE_PAD(struct vga, reserved2),
	STATE_DERIVED(struct vga, rom_bytes),
	STATE_DERIVED(struct vga, rom),
};

static const struct state_table vga_state =
	STATE_TABLE("VGA", 1, struct vga, vga_fields, vga_check);

const struct device_model vga_model = {
	.name = "VGA",
	.description = "standard VGA, PCI function",
	.instance_bytes = sizeof(struct vga),
	.memory_bytes = VGA_MEMORY_BYTES,
	.memory_region = VGA_REGION_MEMORY,
	.state = &vga_state,
	.pci = &vga_info,
	.reset = vga_reset,
	.read = vga_read,
	.write = vga_write,
	.loaded = vga_loaded,
};

DEVICE_MODEL_REGISTER(175, vga_model);
