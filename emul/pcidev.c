// SPDX-License-Identifier: BSD-2-Clause
// emul/pcidev.h. Called by PCI functions alone.
//
// Left out on purpose: errors of the bus (parity, aborts: their status bits have no source), BIST,
// power management.
#include "emul/pcidev.h"

#include <string.h>

#include "kernel/base/assert.h"

#define BAR_PORTS        ((uint32_t)1)
#define BAR_64           ((uint32_t)4)
#define BAR_PREFETCHABLE ((uint32_t)8)
#define ROM_ENABLE       ((uint32_t)1)

enum { STATUS_ERRORS = 0xf900 }; // cleared by ones

// Of a byte of configuration space: what it is at reset, and what writes do.
struct config_byte {
	uint8_t reset, writable, clears;
};

static bool covers(unsigned first, unsigned bytes, unsigned offset)
{
	return offset - first < bytes;
}

static uint8_t byte_of(uint32_t value, unsigned index)
{
	return (uint8_t)(value >> 8 * index);
}

static struct config_byte byte_fixed(uint32_t value, unsigned index)
{
	return (struct config_byte){.reset = byte_of(value, index)};
}

// Whether BAR n is the upper half of the one before.
static bool bar_is_upper(const struct pcidev_info *info, unsigned n)
{
	return n > 0 && info->bars[n - 1].kind == PCIDEV_BAR_MEMORY64;
}

static struct config_byte bar_byte(const struct pcidev_info *info, unsigned n, unsigned index)
{
	const struct pcidev_bar *bar = &info->bars[n];
	uint32_t fixed = 0;

	if (bar_is_upper(info, n))
		return (struct config_byte){.writable = 0xff};
	if (bar->kind == PCIDEV_BAR_NONE)
		return (struct config_byte){0};
	if (bar->kind == PCIDEV_BAR_PORTS)
		fixed = BAR_PORTS;
	else if (bar->kind == PCIDEV_BAR_MEMORY64)
		fixed = BAR_64;
	if (bar->prefetchable)
		fixed |= BAR_PREFETCHABLE;
	return (struct config_byte){.reset = byte_of(fixed, index),
		.writable = byte_of(~(bar->bytes - 1), index)};
}

static uint16_t command_writable(const struct pcidev_info *info)
{
	uint16_t bits = info->command;

	for (unsigned i = 0; i < PCIDEV_BARS; i++) {
		if (info->bars[i].kind == PCIDEV_BAR_PORTS)
			bits |= PCIDEV_COMMAND_PORT;
		else if (info->bars[i].kind != PCIDEV_BAR_NONE)
			bits |= PCIDEV_COMMAND_MEMORY;
	}
	if (info->rom_bytes != 0)
		bits |= PCIDEV_COMMAND_MEMORY;
	if (info->pin != 0)
		bits |= PCIDEV_COMMAND_INTX_OFF;
	return bits;
}

// 6.1: the type 0 header.
static struct config_byte header_byte(const struct pcidev_info *info, unsigned offset)
{
	unsigned index = offset & 3;

	switch (offset & ~3U) {
	case 0x00:
		return byte_fixed(info->vendor | (uint32_t)info->device << 16, index);
	case PCIDEV_COMMAND:
		if (offset >= PCIDEV_STATUS)
			return (struct config_byte){
				.reset = byte_of(info->status | (uint32_t)(info->capabilities != 0
					? PCIDEV_STATUS_CAPABILITIES : 0), offset & 1),
				.clears = byte_of(STATUS_ERRORS, offset & 1)};
		return (struct config_byte){.writable = byte_of(command_writable(info), index)};
	case 0x08:
		return byte_fixed(info->revision | info->class_code << 8, index);
	case 0x0c:
		if (offset == PCIDEV_HEADER_TYPE)
			return byte_fixed(info->header_type, 0);
		if (offset == PCIDEV_CACHE_LINE && (info->command & PCIDEV_COMMAND_MASTER))
			return (struct config_byte){.writable = 0xff};
		if (offset == PCIDEV_LATENCY && (info->command & PCIDEV_COMMAND_MASTER))
			return (struct config_byte){.writable = 0xf8};
		return (struct config_byte){0};
	case 0x2c:
		return byte_fixed(info->subsystem_vendor | (uint32_t)info->subsystem << 16, index);
	case PCIDEV_ROM:
		return info->rom_bytes == 0 ? (struct config_byte){0} : (struct config_byte){
			.writable = byte_of(~(info->rom_bytes - 1) | ROM_ENABLE, index)};
	case PCIDEV_CAPABILITIES:
		return byte_fixed(info->capabilities, index);
	case PCIDEV_INTERRUPT_LINE:
		if (offset == PCIDEV_INTERRUPT_LINE)
			return (struct config_byte){.writable = info->pin != 0 ? 0xff : 0};
		return byte_fixed(offset == PCIDEV_INTERRUPT_PIN ? info->pin : 0, 0);
	default:
		if (covers(PCIDEV_BAR_FIRST, 4 * PCIDEV_BARS, offset))
			return bar_byte(info, (offset - PCIDEV_BAR_FIRST) / 4, index);
		return (struct config_byte){0};
	}
}

static struct config_byte byte_describe(const struct pcidev_info *info, unsigned offset)
{
	for (uint32_t i = 0; i < info->register_count; i++) {
		const struct pcidev_register *reg = &info->registers[i];
		unsigned index = offset - reg->offset;

		if (index < reg->bytes)
			return (struct config_byte){byte_of(reg->reset, index),
				byte_of(reg->writable, index), byte_of(reg->clears, index)};
	}
	if (offset < PCIDEV_OWN)
		return header_byte(info, offset);
	return (struct config_byte){0};
}

void pcidev_set(struct pcidev *pci, unsigned offset, unsigned bytes, uint32_t value)
{
	ASSERT(bytes <= 4 && offset + bytes <= PCIDEV_CONFIG_BYTES);
	memcpy(&pci->config[offset], &value, bytes);
}

// Where a region is: what its register and the command register say.
struct place {
	uint64_t base, bytes; // 0 bytes: nowhere
	enum device_space space;
	uint32_t reserved;
};

// 6.2.5.1. An address that a sizing write has left is above what is there to be addressed, or
// wraps; and address 0 means that nobody has given one yet.
static struct place place_of(const struct pcidev *pci, unsigned region)
{
	const struct pcidev_info *info = pci->device.model->pci;
	uint32_t command = pcidev_get(pci, PCIDEV_COMMAND, 2);
	const struct pcidev_bar *bar = &info->bars[region % PCIDEV_BARS];
	struct place place = {.space = DEVICE_SPACE_MMIO};
	uint32_t low;

	if (region == PCIDEV_REGION_ROM) {
		low = pcidev_get(pci, PCIDEV_ROM, 4);
		place.base = low & ~(info->rom_bytes - 1);
		place.bytes = (low & ROM_ENABLE) && (command & PCIDEV_COMMAND_MEMORY)
			? info->rom_bytes : 0;
	} else {
		low = pcidev_get(pci, PCIDEV_BAR_FIRST + 4 * region, 4);
		place.base = low & ~(bar->bytes - 1);
		if (bar->kind == PCIDEV_BAR_MEMORY64)
			place.base |= (uint64_t)pcidev_get(pci, PCIDEV_BAR_FIRST + 4 * region + 4,
				4) << 32;
		if (bar->kind == PCIDEV_BAR_PORTS) {
			place.space = DEVICE_SPACE_PORT;
			place.bytes = command & PCIDEV_COMMAND_PORT ? bar->bytes : 0;
			if (place.base + place.bytes > 0x10000)
				place.bytes = 0;
		} else if (bar->kind != PCIDEV_BAR_NONE) {
			place.bytes = command & PCIDEV_COMMAND_MEMORY ? bar->bytes : 0;
		}
	}
	if (place.base == 0 || place.base + place.bytes < place.base ||
		place.base + place.bytes == (uint64_t)1 << 32)
		place.bytes = 0;
	return place;
}

static void place_update(struct pcidev *pci, unsigned region, const struct place *place)
{
	if (place->bytes == 0)
		device_unmap_region(&pci->device, region);
	else
		device_map_region(&pci->device, region, place->space, place->base, place->bytes);
}

static bool has_region(const struct pcidev_info *info, unsigned region)
{
	if (region == PCIDEV_REGION_ROM)
		return info->rom_bytes != 0;
	return info->bars[region].kind != PCIDEV_BAR_NONE;
}

bool pcidev_level(const struct pcidev *pci)
{
	return (pcidev_get(pci, PCIDEV_STATUS, 2) & PCIDEV_STATUS_INTX) != 0 &&
		(pcidev_get(pci, PCIDEV_COMMAND, 2) & PCIDEV_COMMAND_INTX_OFF) == 0;
}

static void intx_drive(struct pcidev *pci)
{
	if (pci->device.model->pci->pin != 0)
		device_set_line(&pci->device, PCIDEV_OUTPUT_INTX, pcidev_level(pci));
}

void pcidev_intx(struct pcidev *pci, bool requested)
{
	uint32_t status = pcidev_get(pci, PCIDEV_STATUS, 2) & ~(uint32_t)PCIDEV_STATUS_INTX;

	ASSERT(pci->device.model->pci->pin != 0);
	pcidev_set(pci, PCIDEV_STATUS, 2, requested ? status | PCIDEV_STATUS_INTX : status);
	intx_drive(pci);
}

// All of configuration space: what it is at reset, and which bits may be otherwise later.
struct template {
	uint8_t reset[PCIDEV_CONFIG_BYTES], free[PCIDEV_CONFIG_BYTES];
};

static void template_make(const struct pcidev_info *info, struct template *template)
{
	memset(template, 0, sizeof(*template));
	for (unsigned i = 0; i < PCIDEV_OWN; i++) {
		struct config_byte byte = header_byte(info, i);

		template->reset[i] = byte.reset;
		template->free[i] = byte.writable | byte.clears;
	}
	for (uint32_t i = info->register_count; i > 0; i--) { // of two, the first holds
		const struct pcidev_register *reg = &info->registers[i - 1];
		uint32_t bits = reg->writable | reg->clears | reg->own;

		memcpy(&template->reset[reg->offset], &reg->reset, reg->bytes);
		memcpy(&template->free[reg->offset], &bits, reg->bytes);
	}
	// The function's own to set.
	if (info->pin != 0)
		template->free[PCIDEV_STATUS] |= PCIDEV_STATUS_INTX;
}

void pcidev_reset(struct pcidev *pci)
{
	struct template template;

	template_make(pci->device.model->pci, &template);
	memcpy(pci->config, template.reset, sizeof(pci->config));
	if (pci->device.model->pci->pin != 0)
		device_set_line(&pci->device, PCIDEV_OUTPUT_INTX, false);
}

uint64_t pcidev_read(const struct pcidev *pci, uint64_t offset, unsigned size)
{
	if (offset + size > PCIDEV_CONFIG_BYTES)
		return UINT64_MAX;
	return pcidev_get(pci, (unsigned)offset, size);
}

static void byte_write(struct pcidev *pci, unsigned offset, uint8_t value)
{
	struct config_byte byte = byte_describe(pci->device.model->pci, offset);
	uint8_t kept = pci->config[offset] & (uint8_t)~(byte.writable | (byte.clears & value));

	pci->config[offset] = (uint8_t)(kept | (value & byte.writable));
}

void pcidev_write(struct pcidev *pci, uint64_t offset, unsigned size, uint64_t value)
{
	const struct pcidev_info *info = pci->device.model->pci;
	struct place before[PCIDEV_REGION_ROM + 1];

	if (offset + size > PCIDEV_CONFIG_BYTES)
		return;
	for (unsigned i = 0; i <= PCIDEV_REGION_ROM; i++)
		if (has_region(info, i))
			before[i] = place_of(pci, i);
	for (unsigned i = 0; i < size; i++)
		byte_write(pci, (unsigned)offset + i, (uint8_t)(value >> 8 * i));
	for (unsigned i = 0; i <= PCIDEV_REGION_ROM; i++) {
		struct place now;

		if (!has_region(info, i))
			continue;
		now = place_of(pci, i);
		if (now.bytes != before[i].bytes || (now.bytes != 0 && now.base != before[i].base))
			place_update(pci, i, &now);
	}
	intx_drive(pci);
}

void pcidev_loaded(struct pcidev *pci)
{
	for (unsigned i = 0; i <= PCIDEV_REGION_ROM; i++) {
		struct place place;

		if (!has_region(pci->device.model->pci, i))
			continue;
		place = place_of(pci, i);
		place_update(pci, i, &place);
	}
	intx_drive(pci);
}

const char *pcidev_check(const struct pcidev *pci, const struct pcidev_info *info)
{
	struct template template;

	template_make(info, &template);
	for (unsigned i = 0; i < PCIDEV_CONFIG_BYTES; i++)
		if ((pci->config[i] ^ template.reset[i]) & ~template.free[i])
			return "a read-only bit of configuration space differs";
	return NULL;
}

uint64_t pcidev_rom_read(const uint8_t *contents, uint32_t bytes, uint64_t offset, unsigned size)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < size && offset + i < bytes; i++)
		value |= (uint64_t)contents[offset + i] << 8 * i;
	return value;
}
