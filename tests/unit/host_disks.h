// SPDX-License-Identifier: BSD-2-Clause
// What tests of the host's disks share, whatever controller they are behind.
#ifndef TESTS_UNIT_HOST_DISKS_H
#define TESTS_UNIT_HOST_DISKS_H

#include "tests/unit/fake_host.h"

#include <string.h>

#include "drivers/disk.h"

static inline void put(void *at, uint64_t value, unsigned bytes)
{
	memcpy(at, &value, bytes);
}

static inline uint64_t get(const void *at, unsigned bytes)
{
	uint64_t value = 0;

	memcpy(&value, at, bytes);
	return value;
}

static inline unsigned disk_count(void)
{
	unsigned count = 0;

	for (const struct disk *at = disk_first(); at != NULL; at = at->next)
		count++;
	return count;
}

// The first that came when there were so many; NULL: none has.
static inline struct disk *disk_behind(unsigned count)
{
	struct disk *at = disk_first();

	for (unsigned i = 0; i < count && at != NULL; i++)
		at = at->next;
	return at;
}

static inline void check_transfers(struct disk *disk, const uint8_t *medium)
{
	uint8_t buffer[24 * 512], before[sizeof(buffer)];
	uint32_t count = sizeof(buffer) / disk->sector_bytes;

	memcpy(before, medium, sizeof(before));
	assert_int_equal(disk_read(disk, 0, count, buffer), STATUS_OK);
	assert_memory_equal(buffer, before, sizeof(buffer));
	for (unsigned i = 0; i < sizeof(buffer); i++)
		buffer[i] ^= 0x5a;
	assert_int_equal(disk_write(disk, count, count, buffer), STATUS_OK);
	assert_memory_equal(medium + sizeof(buffer), buffer, sizeof(buffer));
	assert_memory_equal(medium, before, sizeof(before));
	assert_int_equal(disk_flush(disk), STATUS_OK);
}

// `delay`: how many waits the device takes before it answers.
static inline void check_waits(struct disk *disk, const uint8_t *medium, unsigned *delay)
{
	uint8_t sector[512] __attribute__((aligned(4)));
	uint64_t start = fake_host.now;

	*delay = 5;
	fake_host.waits = fake_host.wakes_given = 0;
	fake_host.wake_comes = true;
	assert_int_equal(disk_read(disk, 1, 1, sector), STATUS_OK);
	assert_memory_equal(sector, medium + 512, 512);
	assert_int_equal(fake_host.waits, 5);
	assert_int_equal(fake_host.wakes_given, 1); // somebody else's wake is not lost
	assert_true(fake_host.longest_spin < 200000);
	assert_true(fake_host.now - start < 5 * 50000 + 200000);
	// However fast the disk: nobody else waits for long.
	*delay = 0;
	fake_host.longest_spin = 0;
	for (unsigned i = 0; i < 20000; i++)
		assert_int_equal(disk_read(disk, 1, 1, sector), STATUS_OK);
	assert_true(fake_host.longest_spin > 40000 && fake_host.longest_spin < 60000);
	// Before the event loop there are no fibers.
	fake_host.in_fiber = fake_host.loop_runs = false;
	*delay = 500;
	check_transfers(disk, medium);
}

#endif
