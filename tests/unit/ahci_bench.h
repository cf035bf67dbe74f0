// SPDX-License-Identifier: BSD-2-Clause
// An AHCI function under test: disks at its ports 0 and 2, the one at port 0 with its link up, and
// memory for lists, frames, tables and data.
#ifndef TESTS_UNIT_AHCI_BENCH_H
#define TESTS_UNIT_AHCI_BENCH_H

#include "emul/ahci_internal.h"
#include "emul/pcidev_msi.h"
#include "tests/unit/fake_env.h"

#include <string.h>

enum { SECTORS = 300000, OTHER = 2, LIST = 0x1000, FRAMES = 0x1800, TABLES = 0x2000,
	TABLE_BYTES = 0x200, MEMORY = 0x8000, READY = AHCI_STATUS_READY,
	FAILED = READY | ATA_STATUS_ERR };
enum { WRITES = 1 << 6, CLEARS = AHCI_HEADER_CLEARS };

static struct fake_env env;

static inline void configure(struct device *device)
{
	static const struct ahci_disk_config disks[AHCI_PORTS] = {
		{.sectors = SECTORS, .serial = "serial"}, [OTHER] = {.sectors = 8}};

	ahci_configure(device, disks);
}

static inline void config_write(unsigned offset, unsigned bytes, uint64_t value)
{
	fake_write(&env, PCIDEV_REGION_CONFIG, offset, bytes, value);
}

static inline uint32_t get(unsigned offset)
{
	return (uint32_t)fake_read(&env, AHCI_REGION_REGISTERS, offset, 4);
}

static inline void set(unsigned offset, uint32_t value)
{
	fake_write(&env, AHCI_REGION_REGISTERS, offset, 4, value);
}

static inline unsigned at_port(unsigned port, unsigned reg)
{
	return AHCI_PORT_FIRST + port * AHCI_PORT_BYTES + reg;
}

// Of port 0.
static inline uint32_t in(unsigned reg)
{
	return get(at_port(0, reg));
}

static inline void out(unsigned reg, uint32_t value)
{
	set(at_port(0, reg), value);
}

enum { RUNNING = AHCI_CMD_START | AHCI_CMD_RECEIVE | AHCI_CMD_SPIN_UP };

// 10.1.2, and an interrupt for everything.
static inline void port_start(unsigned port)
{
	set(at_port(port, AHCI_CLB), LIST);
	set(at_port(port, AHCI_FB), FRAMES);
	set(at_port(port, AHCI_CMD), AHCI_CMD_RECEIVE | AHCI_CMD_SPIN_UP);
	set(at_port(port, AHCI_SERR), UINT32_MAX);
	set(at_port(port, AHCI_PXIS), UINT32_MAX);
	set(at_port(port, AHCI_IE), AHCI_INTERRUPTS);
	set(at_port(port, AHCI_CMD), RUNNING);
}

static inline int setup(void **state)
{
	(void)state;
	fake_configure = configure;
	fake_create(&env, &ahci_model);
	config_write(PCIDEV_BAR_FIRST + 4 * AHCI_REGION_REGISTERS, 4, 0xfebf0000);
	config_write(PCIDEV_BAR_FIRST + 4 * AHCI_REGION_INDEX, 4, 0xc000);
	config_write(PCIDEV_COMMAND, 2,
		PCIDEV_COMMAND_MEMORY | PCIDEV_COMMAND_PORT | PCIDEV_COMMAND_MASTER);
	set(AHCI_GHC, AHCI_GHC_INTERRUPTS);
	port_start(0);
	fake_clear(&env);
	return 0;
}

static inline int teardown(void **state)
{
	(void)state;
	fake_destroy(&env);
	return 0;
}

static inline uint8_t *table_of(unsigned slot)
{
	return env.ram + TABLES + slot * TABLE_BYTES;
}

static inline void entry(unsigned slot, unsigned index, uint64_t at, uint32_t bytes)
{
	const struct ahci_entry entry = {.at = at, .bytes = bytes};

	memcpy(table_of(slot) + AHCI_TABLE_ENTRIES + index * sizeof(entry), &entry, sizeof(entry));
}

static inline void header(unsigned slot, unsigned flags, unsigned entries)
{
	const struct ahci_header header = {.flags = (uint16_t)(flags | AHCI_FRAME_WORDS),
		.entries = (uint16_t)entries, .table = TABLES + slot * TABLE_BYTES};

	memcpy(env.ram + LIST + slot * AHCI_HEADER_BYTES, &header, sizeof(header));
}

static inline struct ahci_frame *frame_of(unsigned slot)
{
	return (struct ahci_frame *)(void *)table_of(slot);
}

// A command in that slot, whose table has one entry of as many bytes.
static inline void prepare(unsigned slot, uint8_t command, uint64_t lba, unsigned count)
{
	struct ahci_frame frame = {.kind = AHCI_KIND_COMMAND, .flags = AHCI_FLAG_COMMAND,
		.command = command, .device = ATA_DEVICE_LBA, .count = (uint8_t)count,
		.count_high = (uint8_t)(count >> 8)};

	for (unsigned i = 0; i < 3; i++) {
		frame.lba[i] = (uint8_t)(lba >> 8 * i);
		frame.lba_high[i] = (uint8_t)(lba >> 8 * (i + 3));
	}
	*frame_of(slot) = frame;
	entry(slot, 0, MEMORY, count * ATA_SECTOR_BYTES - 1);
	header(slot, 0, 1);
}

static inline void queue(unsigned slot, uint8_t command, uint64_t lba, unsigned count)
{
	prepare(slot, command, lba, count);
	frame_of(slot)->features = (uint8_t)count;
	frame_of(slot)->features_high = (uint8_t)(count >> 8);
	frame_of(slot)->count = (uint8_t)(slot << 3);
	frame_of(slot)->count_high = 0;
}

static inline void issue(unsigned slot)
{
	fake_clear(&env);
	out(AHCI_CI, (uint32_t)BIT(slot));
}

static inline void command(uint8_t value, uint64_t lba, unsigned count)
{
	prepare(0, value, lba, count);
	issue(0);
}

static inline void complete(enum status answer)
{
	fake_complete(&env, env.io_port, env.io.request, answer);
}

static inline void expect_asked(enum device_io_kind kind, uint64_t offset, uint64_t bytes)
{
	uint64_t there = env.io.piece_count == 0 ? env.io.bytes : 0;

	assert_int_equal(env.submits, 1);
	assert_int_equal(env.io_port, 0);
	assert_int_equal(env.io.kind, kind);
	assert_int_equal(env.io.offset, offset);
	for (unsigned i = 0; i < env.io.piece_count; i++)
		there += env.io_pieces[i].bytes;
	assert_int_equal(there, bytes);
	env.submits = 0;
}

static inline uint32_t task(void)
{
	return in(AHCI_TFD);
}

// PxIS has these causes, which reach the pin, and are cleared.
static inline void expect_interrupt(uint32_t causes)
{
	assert_int_equal(in(AHCI_PXIS), causes);
	assert_int_equal(get(AHCI_IS), 1);
	assert_true(env.line[PCIDEV_OUTPUT_INTX]);
	out(AHCI_PXIS, causes);
	set(AHCI_IS, 1);
	assert_int_equal(get(AHCI_IS), 0);
	assert_false(env.line[PCIDEV_OUTPUT_INTX]);
}

static inline void expect_done(void)
{
	assert_int_equal(env.submits, 0);
	assert_int_equal(task(), READY);
	assert_int_equal(in(AHCI_CI), 0);
	expect_interrupt(AHCI_INTERRUPT_REGISTER);
}

// The command stays in the list until it is stopped, and is started again.
static inline void list_restart(void)
{
	out(AHCI_CMD, RUNNING & ~AHCI_CMD_START);
	assert_int_equal(in(AHCI_CI), 0);
	assert_int_equal(in(AHCI_SACT), 0);
	out(AHCI_CMD, RUNNING);
}

static inline void expect_failed(uint8_t error)
{
	assert_int_equal(task(), FAILED | error << 8);
	assert_int_equal(in(AHCI_CI), 1);
	expect_interrupt(AHCI_INTERRUPT_REGISTER | AHCI_INTERRUPT_TASK);
	list_restart();
}

static inline const uint8_t *frames(enum ahci_frame_place place)
{
	return env.ram + FRAMES + place;
}

static inline uint32_t moved(unsigned slot)
{
	struct ahci_header header;

	memcpy(&header, env.ram + LIST + slot * AHCI_HEADER_BYTES, sizeof(header));
	return header.moved;
}

#endif
