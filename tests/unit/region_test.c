// SPDX-License-Identifier: BSD-2-Clause
// Regions of disks in memory, with random extents, against a model: bytes in a row.
#include "drivers/region.h"

#include <stdlib.h>
#include <string.h>

#include "tests/unit/fake_host.h"

enum { SECTORS = 200, EXTENTS = 9, ROUNDS = 400, STEPS = 60 };

struct ram_disk {
	struct disk disk;
	struct disk_lock lock;
	uint8_t *bytes;
	unsigned transfers, flushes;
	uint64_t bad_sector;
};

static struct ram_disk small, large; // sectors of 512 and of 4096 bytes

static enum status ram_transfer(struct disk *disk, enum disk_direction direction, uint64_t sector,
	uint32_t count, void *buffer)
{
	struct ram_disk *ram = CONTAINER_OF(disk, struct ram_disk, disk);
	uint8_t *at = ram->bytes + sector * disk->sector_bytes;

	assert_true(disk_lock_is_held(&ram->lock));
	assert_true(count > 0 && count <= disk->transfer_max);
	assert_true(sector < disk->sectors && count <= disk->sectors - sector);
	ram->transfers++;
	if (ram->bad_sector >= sector && ram->bad_sector < sector + count)
		return STATUS_IO;
	if (direction == DISK_READ)
		memcpy(buffer, at, count * disk->sector_bytes);
	else
		memcpy(at, buffer, count * disk->sector_bytes);
	return STATUS_OK;
}

static enum status ram_flush(struct disk *disk)
{
	CONTAINER_OF(disk, struct ram_disk, disk)->flushes++;
	return STATUS_OK;
}

static void ram_add(struct ram_disk *ram, unsigned nth, uint32_t sector_bytes)
{
	static const struct disk_ops ops = {ram_transfer, ram_flush};

	ram->disk.ops = &ops;
	ram->disk.lock = &ram->lock;
	ram->disk.sector_bytes = sector_bytes;
	ram->disk.sectors = SECTORS;
	ram->disk.transfer_max = 7;
	assert_true(disk_name(&ram->disk, "rd", nth));
	ram->bytes = malloc(SECTORS * sector_bytes);
	assert_non_null(ram->bytes);
	ram->bad_sector = UINT64_MAX;
	disk_add(&ram->disk);
}

static int setup_all(void **state)
{
	(void)state;
	fake_host_reset();
	ram_add(&small, 0, 512);
	ram_add(&large, 1, 4096);
	return 0;
}

static int teardown_all(void **state)
{
	(void)state;
	free(small.bytes);
	free(large.bytes);
	return 0;
}

static uint64_t seed = 17;

static uint64_t below(uint64_t limit)
{
	seed = seed * 6364136223846793005 + 1442695040888963407;
	return (seed >> 20) % limit;
}

// Pieces in any order that do not touch each other.
static struct region *region_make(struct ram_disk *ram)
{
	struct region_extent extents[EXTENTS];
	uint32_t count = (uint32_t)below(EXTENTS) + 1, slot = SECTORS / EXTENTS;
	struct region *region;
	uint64_t first = below(EXTENTS);

	for (uint32_t i = 0; i < count; i++) {
		uint64_t place = (first + i * 5) % EXTENTS * slot, start = below(slot - 2);

		extents[i].start = (place + start) * ram->disk.sector_bytes;
		extents[i].bytes = (below(slot - start - 1) + 1) * ram->disk.sector_bytes;
	}
	assert_int_equal(region_create(&ram->disk, extents, count, &region), STATUS_OK);
	return region;
}

// Which bytes of the disk are the region's, by the model: 0 none, else 1 plus the region's byte.
static uint64_t *map_make(const struct region *region)
{
	uint64_t *map = calloc(disk_bytes(region->disk), sizeof(*map)), at = 0;

	assert_non_null(map);
	for (uint32_t i = 0; i < region->extent_count; i++)
		for (uint64_t n = 0; n < region->extents[i].bytes; n++)
			map[region->extents[i].start + n] = ++at;
	assert_int_equal(at, region->bytes);
	return map;
}

static void check_disk(const struct ram_disk *ram, const uint64_t *map, const uint8_t *model)
{
	for (uint64_t i = 0; i < disk_bytes(&ram->disk); i++)
		assert_int_equal(ram->bytes[i], map[i] == 0 ? 0xee : model[map[i] - 1]);
}

static void steps_run(struct ram_disk *ram, struct region *region, uint8_t *model)
{
	uint32_t sector = ram->disk.sector_bytes;
	uint8_t *buffer = malloc(region->bytes + 1);

	assert_non_null(buffer);
	for (unsigned i = 0; i < STEPS; i++) {
		uint64_t at = below(region->bytes + 1), bytes = below(region->bytes - at + 1);

		if (below(2) == 0) {
			memset(buffer, 0xa5, region->bytes + 1);
			assert_int_equal(region_read(region, at, buffer, bytes), STATUS_OK);
			assert_memory_equal(buffer, model + at, bytes);
			assert_int_equal(buffer[bytes], 0xa5);
			continue;
		}
		at = ALIGN_DOWN(at, (uint64_t)sector);
		bytes = ALIGN_DOWN(bytes, (uint64_t)sector);
		memset(model + at, (int)i, bytes);
		assert_int_equal(region_write(region, at, model + at, bytes), STATUS_OK);
	}
	free(buffer);
}

static void test_random(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct ram_disk *ram = i % 4 == 0 ? &large : &small;
		struct region *region = region_make(ram);
		uint64_t *map = map_make(region);
		uint8_t *model = malloc(region->bytes);

		assert_non_null(model);
		memset(ram->bytes, 0xee, disk_bytes(&ram->disk));
		memset(model, 0xee, region->bytes);
		steps_run(ram, region, model);
		check_disk(ram, map, model);
		free(model);
		free(map);
		region_close(region);
	}
}

static void test_bounds(void **state)
{
	static const struct region_extent bad[] = {
		{0, 0}, {1, 512}, {512, 1}, {512, 511}};
	static const struct region_extent outside[] = {
		{SECTORS * 512, 512}, {512, SECTORS * 512}, {0, SECTORS * 512 + 512},
		{UINT64_MAX - 1023, 512}, {512, UINT64_MAX - 511}};
	static const struct region_extent two[] = {{1024, 1024}, {8192, 512}};
	uint8_t buffer[4096];
	struct region *region;

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(bad); i++)
		assert_int_equal(region_create(&small.disk, &bad[i], 1, &region), STATUS_INVALID);
	for (unsigned i = 0; i < ARRAY_COUNT(outside); i++)
		assert_int_equal(region_create(&small.disk, &outside[i], 1, &region), STATUS_RANGE);
	assert_int_equal(region_create(&small.disk, two, 0, &region), STATUS_INVALID);
	assert_int_equal(region_create(&large.disk, two, 2, &region), STATUS_INVALID);
	assert_int_equal(region_create(&small.disk, two, 2, &region), STATUS_OK);
	assert_int_equal(region->bytes, 1536);
	small.transfers = 0;
	assert_int_equal(region_read(region, 0, buffer, 1537), STATUS_RANGE);
	assert_int_equal(region_read(region, 1536, buffer, 1), STATUS_RANGE);
	assert_int_equal(region_read(region, UINT64_MAX, buffer, 1), STATUS_RANGE);
	assert_int_equal(region_read(region, 1, buffer, UINT64_MAX), STATUS_RANGE);
	assert_int_equal(region_write(region, 1024, buffer, 1024), STATUS_RANGE);
	assert_int_equal(region_write(region, UINT64_MAX - 511, buffer, 512), STATUS_RANGE);
	assert_int_equal(region_write(region, 1, buffer, 512), STATUS_INVALID);
	assert_int_equal(region_write(region, 0, buffer, 513), STATUS_INVALID);
	region->read_only = true;
	assert_int_equal(region_write(region, 0, buffer, 512), STATUS_REFUSED);
	assert_int_equal(small.transfers, 0);
	assert_int_equal(region_read(region, 1536, buffer, 0), STATUS_OK);
	assert_int_equal(small.transfers, 0);
	region_close(region);
}

static void test_errors(void **state)
{
	static const struct region_extent whole = {0, SECTORS * 512};
	static uint8_t buffer[SECTORS * 512];
	struct region *region;

	(void)state;
	assert_int_equal(region_create(&small.disk, &whole, 1, &region), STATUS_OK);
	small.bad_sector = 50;
	assert_int_equal(region_read(region, 0, buffer, sizeof(buffer)), STATUS_IO);
	assert_int_equal(region_read(region, 50 * 512 + 511, buffer, 1), STATUS_IO);
	assert_int_equal(region_read(region, 51 * 512, buffer, 100 * 512 + 3), STATUS_OK);
	assert_int_equal(region_write(region, 50 * 512, buffer, 512), STATUS_IO);
	small.bad_sector = UINT64_MAX;
	assert_int_equal(region_flush(region), STATUS_OK);
	assert_int_equal(small.flushes, 1);
	small.disk.failed = true; // as its driver would say
	assert_int_equal(region_read(region, 0, buffer, 512), STATUS_IO);
	assert_int_equal(region_flush(region), STATUS_IO);
	small.disk.failed = false;
	region_close(region);
}

static unsigned waits_left;

// Who was before us gives the lock back in the end; somebody comes behind us.
static void turn_comes(void)
{
	if (--waits_left > 0)
		return;
	assert_int_equal(small.lock.tickets, 2);
	small.lock.tickets = 3;
	small.lock.turn = 1;
}

static void test_turns(void **state)
{
	uint8_t buffer[512];

	(void)state;
	small.lock = (struct disk_lock){.tickets = 1};
	fake_host.passes = turn_comes;
	waits_left = 5;
	fake_host.wake_comes = true;
	fake_host.wakes_given = 0;
	assert_int_equal(disk_read(&small.disk, 1, 1, buffer), STATUS_OK);
	assert_int_equal(waits_left, 0);
	assert_int_equal(fake_host.wakes_given, 1);
	assert_int_equal(small.lock.turn, 2); // the next one's
	fake_host.passes = NULL;
	small.lock.tickets = small.lock.turn = UINT32_MAX; // they wrap
	assert_int_equal(disk_read(&small.disk, 1, 1, buffer), STATUS_OK);
	assert_int_equal(disk_read(&small.disk, 1, 1, buffer), STATUS_OK);
	assert_false(disk_lock_is_held(&small.lock));
}

static void test_names(void **state)
{
	char error[REGION_ERROR_MAX], name[600];
	struct region *region;

	(void)state;
	assert_int_equal(region_open("disk:rda", &region, error), STATUS_OK);
	assert_ptr_equal(region->disk, &small.disk);
	assert_int_equal(region->bytes, SECTORS * 512);
	region_close(region);
	assert_int_equal(region_open("disk:1", &region, error), STATUS_OK);
	assert_ptr_equal(region->disk, &large.disk);
	region_close(region);
	assert_int_equal(region_open("disk:2", &region, error), STATUS_NOT_FOUND);
	assert_string_equal(error, "there is no disk '2'");
	assert_int_equal(region_open("", &region, error), STATUS_INVALID);
	assert_int_equal(region_open("disk", &region, error), STATUS_INVALID);
	assert_int_equal(region_open("file:x", &region, error), STATUS_NOT_FOUND);
	assert_int_equal(region_open("partition:x", &region, error), STATUS_NOT_FOUND);
	memset(name, 'x', sizeof(name)); // longer than a message
	memcpy(name, "partition:", 10);
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(region_open(name, &region, error), STATUS_NOT_FOUND);
	assert_int_equal(strlen(error), REGION_ERROR_MAX - 1);
}

static struct region *two_pieces(struct ram_disk *ram, uint64_t first, uint64_t second)
{
	const struct region_extent extents[] = {{first, 4096}, {second, 4096}};
	struct region *region;

	assert_int_equal(region_create(&ram->disk, extents, 2, &region), STATUS_OK);
	return region;
}

// What one writes no other has.
static void test_claims(void **state)
{
	struct region *a = two_pieces(&small, 0, 8192), *b = two_pieces(&small, 20480, 12287 / 512 *
		512), *beside = two_pieces(&small, 4096, 16384), *far = two_pieces(&large, 0, 8192);
	char error[REGION_ERROR_MAX] = "";

	(void)state;
	assert_int_equal(region_claim(a, "disk root", REGION_WRITE, error), STATUS_OK);
	assert_int_equal(region_claim(a, "disk root", REGION_WRITE, error), STATUS_OK);
	assert_int_equal(region_claim(far, "another", REGION_WRITE, error), STATUS_OK);
	assert_int_equal(region_claim(beside, "one beside", REGION_WRITE, error), STATUS_OK);
	assert_int_equal(region_claim(b, "disk b", REGION_READ, error), STATUS_BUSY); // 512 bytes
	assert_string_equal(error, "some of it is written by disk root");
	assert_int_equal(region_claim(beside, "", REGION_UNUSED, error), STATUS_OK);
	// Several may read, and none of these may begin to write.
	assert_int_equal(region_claim(a, "disk root", REGION_READ, error), STATUS_OK);
	assert_int_equal(region_claim(b, "disk b", REGION_READ, error), STATUS_OK);
	assert_int_equal(region_claim(a, "disk root", REGION_WRITE, error), STATUS_BUSY);
	assert_string_equal(error, "some of it is read by disk b");
	assert_int_equal(a->use, REGION_READ);
	assert_int_equal(region_claim(b, "disk b", REGION_WRITE, error), STATUS_BUSY);
	region_close(b); // which gives it back
	assert_int_equal(region_claim(a, "disk root", REGION_WRITE, error), STATUS_OK);
	region_close(a);
	region_close(beside);
	region_close(far);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_turns),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_claims),
	};

	return cmocka_run_group_tests_name("region", tests, setup_all, teardown_all);
}
