// SPDX-License-Identifier: BSD-2-Clause
// A driver of an AHCI controller (emul/ahci.c), which is a card of a PC, for payloads about it.
#ifndef LIB_AHCI_H
#define LIB_AHCI_H

#include "emul/ahci_abi.h"
#include "emul/ata_abi.h"
#include "dev.h"

enum {
	AHCI_REGISTERS = 0xfea00000u, // where they are mapped
	AHCI_FLAG_WRITES = 1 << 6,
	AHCI_TABLE_BYTES = 0x400,
	AHCI_BUSY = ATA_STATUS_BSY | ATA_STATUS_DRQ,
	AHCI_POLLS = 20000, // of some 4 us and more
	AHCI_RUNS = AHCI_CMD_START | AHCI_CMD_RECEIVE | AHCI_CMD_SPIN_UP,
	AHCI_READY = ATA_STATUS_DRDY | ATA_STATUS_DSC,
};

// Of one port.
struct ahci_area {
	uint8_t list[AHCI_SLOTS * AHCI_HEADER_BYTES];
	uint8_t tables[AHCI_SLOTS][AHCI_TABLE_BYTES];
	uint8_t frames[AHCI_FRAMES_BYTES];
} __attribute__((aligned(1024)));

static inline uint32_t ahci_get(unsigned offset)
{
	return read32(AHCI_REGISTERS + offset);
}

static inline void ahci_set(unsigned offset, uint32_t value)
{
	write32(AHCI_REGISTERS + offset, value);
}

static inline unsigned ahci_at(unsigned port, unsigned reg)
{
	return AHCI_PORT_FIRST + port * AHCI_PORT_BYTES + reg;
}

static inline uint32_t ahci_in(unsigned port, unsigned reg)
{
	return ahci_get(ahci_at(port, reg));
}

static inline void ahci_out(unsigned port, unsigned reg, uint32_t value)
{
	ahci_set(ahci_at(port, reg), value);
}

static inline uint32_t ahci_config_read(unsigned device, unsigned offset)
{
	outl(0xcf8, 0x80000000u | device << 11 | offset);
	return inl(0xcfc);
}

static inline void ahci_config_write(unsigned device, unsigned offset, uint32_t value)
{
	outl(0xcf8, 0x80000000u | device << 11 | offset);
	outl(0xcfc, value);
}

// Its device number; 0: there is none.
static inline unsigned ahci_find(void)
{
	for (unsigned device = 1; device < 32; device++)
		if (ahci_config_read(device, 8) >> 8 == 0x010601) {
			ahci_config_write(device, 0x10 + 5 * 4, AHCI_REGISTERS);
			ahci_config_write(device, 4, 6);
			return device;
		}
	return 0;
}

static inline void ahci_port_start(unsigned port, struct ahci_area *area)
{
	ahci_out(port, AHCI_CLB, (uint32_t)(uintptr_t)area->list);
	ahci_out(port, AHCI_FB, (uint32_t)(uintptr_t)area->frames);
	ahci_out(port, AHCI_CMD, AHCI_CMD_RECEIVE | AHCI_CMD_SPIN_UP);
	ahci_out(port, AHCI_SERR, UINT32_MAX);
	ahci_out(port, AHCI_PXIS, UINT32_MAX);
	ahci_out(port, AHCI_CMD, AHCI_RUNS);
}

static inline void ahci_entry_set(struct ahci_area *area, unsigned slot, unsigned index,
	uint64_t at, unsigned bytes)
{
	const struct ahci_entry entry = {.at = at, .bytes = bytes - 1};

	__builtin_memcpy(area->tables[slot] + AHCI_TABLE_ENTRIES + index * sizeof(entry), &entry,
		sizeof(entry));
}

static inline void ahci_header_set(struct ahci_area *area, unsigned slot, unsigned flags,
	unsigned entries)
{
	const struct ahci_header header = {.flags = (uint16_t)(AHCI_FRAME_WORDS | flags),
		.entries = (uint16_t)entries, .table = (uintptr_t)area->tables[slot]};

	__builtin_memcpy(area->list + slot * AHCI_HEADER_BYTES, &header, sizeof(header));
}

static inline struct ahci_frame *ahci_frame_of(struct ahci_area *area, unsigned slot)
{
	return (struct ahci_frame *)(void *)area->tables[slot];
}

// A command with one piece of memory.
static inline void ahci_prepare(struct ahci_area *area, unsigned slot, unsigned command,
	unsigned lba, unsigned count, void *data)
{
	struct ahci_frame frame = {.kind = AHCI_KIND_COMMAND, .flags = AHCI_FLAG_COMMAND,
		.command = (uint8_t)command, .device = 0x40,
		.lba = {(uint8_t)lba, (uint8_t)(lba >> 8), (uint8_t)(lba >> 16)},
		.count = (uint8_t)count};
	bool writes = command == ATA_WRITE_DMA_EXT || command == ATA_WRITE_FPDMA_QUEUED;

	if (command == ATA_READ_FPDMA_QUEUED || command == ATA_WRITE_FPDMA_QUEUED) {
		frame.features = (uint8_t)count;
		frame.count = (uint8_t)(slot << 3);
	}
	*ahci_frame_of(area, slot) = frame;
	ahci_entry_set(area, slot, 0, (uintptr_t)data, count * ATA_SECTOR_BYTES);
	ahci_header_set(area, slot, writes ? AHCI_FLAG_WRITES : 0, count != 0);
}

// Until none of the bits is set.
static inline bool ahci_await(unsigned port, unsigned reg, uint32_t bits)
{
	for (unsigned i = 0; i < AHCI_POLLS; i++) {
		if ((ahci_in(port, reg) & bits) == 0)
			return true;
		idle();
	}
	return false;
}

#endif
