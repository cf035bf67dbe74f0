// SPDX-License-Identifier: BSD-2-Clause
// An IDE function under test: both drives of its first channel, a disk and a CD drive of the
// second one.
#ifndef TESTS_UNIT_IDE_BENCH_H
#define TESTS_UNIT_IDE_BENCH_H

#include "emul/ide_internal.h"
#include "tests/unit/fake_env.h"

#include <string.h>

enum { CD = 3, CD_BLOCKS = 1000, SECTORS = 300000, TABLE = 0x1000, MEMORY = 0x2000, SECOND = 1,
	READY = ATA_STATUS_DRDY | ATA_STATUS_DSC, DATA = READY | ATA_STATUS_DRQ };
enum { ERROR = 1, COUNT, LOW, MIDDLE, HIGH, DEVICE, STATUS };

static struct fake_env env;

static inline void configure(struct device *device)
{
	static const struct ide_drive_config drives[IDE_DRIVES] = {
		{.sectors = SECTORS, .serial = "serial"}, {.sectors = 8}, {.sectors = 8},
		{.is_cd = true, .serial = "cd"}};
	static const struct scsi_disc discs[IDE_PORTS] = {
		[CD] = {.blocks = CD_BLOCKS, .drive = CD}, [5] = {.blocks = 400000, .drive = CD}};

	ide_configure(device, drives, discs);
}

static inline void config_write(unsigned offset, unsigned bytes, uint64_t value)
{
	fake_write(&env, PCIDEV_REGION_CONFIG, offset, bytes, value);
}

static inline int setup(void **state)
{
	(void)state;
	fake_configure = configure;
	fake_create(&env, &ide_model);
	config_write(PCIDEV_COMMAND, 2, PCIDEV_COMMAND_PORT | PCIDEV_COMMAND_MASTER);
	config_write(IDE_TIMING, 4, 0x80008000);
	config_write(PCIDEV_BAR_FIRST + 16, 4, 0xc000);
	fake_clear(&env);
	return 0;
}

static inline int teardown(void **state)
{
	(void)state;
	fake_destroy(&env);
	return 0;
}

static inline uint8_t in(unsigned reg)
{
	return (uint8_t)fake_read(&env, IDE_REGION_COMMAND, reg, 1);
}

static inline void out(unsigned reg, uint8_t value)
{
	fake_write(&env, IDE_REGION_COMMAND, reg, 1, value);
}

static inline uint8_t status(void)
{
	return (uint8_t)fake_read(&env, IDE_REGION_CONTROL, 0, 1);
}

static inline void control(uint8_t value)
{
	fake_write(&env, IDE_REGION_CONTROL, 0, 1, value);
}

static inline bool interrupts(void)
{
	return env.line[IDE_OUTPUT_IRQ];
}

static inline void address(uint64_t lba, unsigned count)
{
	out(COUNT, (uint8_t)(count >> 8));
	out(COUNT, (uint8_t)count);
	for (unsigned i = 0; i < 3; i++) {
		out(LOW + i, (uint8_t)(lba >> 8 * (i + 3)));
		out(LOW + i, (uint8_t)(lba >> 8 * i));
	}
	out(DEVICE, ATA_DEVICE_LBA);
}

static inline void command(uint8_t value, uint64_t lba, unsigned count)
{
	address(lba, count);
	fake_clear(&env);
	out(STATUS, value);
}

static inline void complete(enum status answer)
{
	fake_complete(&env, env.io_port, env.io.request, answer);
}

static inline void expect_asked(unsigned port, enum device_io_kind kind, uint64_t lba,
	uint64_t bytes)
{
	uint64_t there = env.io.piece_count == 0 ? env.io.bytes : 0;

	assert_int_equal(env.submits, 1);
	assert_int_equal(env.io_port, port);
	assert_int_equal(env.io.kind, kind);
	assert_int_equal(env.io.offset, lba * ATA_SECTOR_BYTES);
	for (unsigned i = 0; i < env.io.piece_count; i++)
		there += env.io_pieces[i].bytes;
	assert_int_equal(there, bytes);
	assert_int_equal(status(), ATA_STATUS_BSY);
	env.submits = 0;
}

static inline void expect_done(void)
{
	assert_int_equal(env.submits, 0);
	assert_int_equal(status(), READY);
	assert_true(interrupts());
	assert_int_equal(in(ERROR), 0);
	assert_int_equal(in(STATUS), READY); // and the interrupt is over
	assert_false(interrupts());
}

static inline void expect_failed(uint8_t error)
{
	assert_int_equal(env.submits, 0);
	assert_int_equal(status(), READY | ATA_STATUS_ERR);
	assert_true(interrupts());
	assert_int_equal(in(ERROR), error);
	(void)in(STATUS);
	assert_false(interrupts());
}

static inline void read_page(uint8_t *page)
{
	assert_int_equal(status(), DATA);
	assert_true(interrupts());
	(void)in(STATUS);
	for (unsigned i = 0; i < ATA_SECTOR_BYTES; i += 2) {
		uint64_t word = fake_read(&env, IDE_REGION_COMMAND, 0, 2);

		assert_int_equal(status() & ATA_STATUS_DRQ, i < 510 ? ATA_STATUS_DRQ : 0);
		memcpy(page + i, &word, 2);
	}
	assert_int_equal(status(), READY);
	assert_false(interrupts());
}

static inline unsigned word_of(const uint8_t *page, unsigned index)
{
	return (unsigned)(page[2 * index] | page[2 * index + 1] << 8);
}

static inline void write_block(uint8_t value, unsigned bytes)
{
	assert_int_equal(status(), DATA);
	for (unsigned i = 0; i < bytes; i += 2)
		fake_write(&env, IDE_REGION_COMMAND, 0, 2, value * 0x0101u);
}

static inline void entry(unsigned index, uint32_t at, uint32_t bytes)
{
	memcpy(env.ram + TABLE + 8 * index, &at, 4);
	memcpy(env.ram + TABLE + 8 * index + 4, &bytes, 4);
}

static inline void master(uint8_t value)
{
	fake_write(&env, IDE_REGION_BUS_MASTER, 4, 4, TABLE);
	fake_write(&env, IDE_REGION_BUS_MASTER, 0, 1, value);
}

static inline uint8_t master_status(void)
{
	return (uint8_t)fake_read(&env, IDE_REGION_BUS_MASTER, 2, 1);
}

#endif
