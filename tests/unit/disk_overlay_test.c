// SPDX-License-Identifier: BSD-2-Clause
// A disk whose medium stays as it is: what is written is in memory, until it is committed.
#include "vm/disk_backend.h"

#include "tests/unit/disk_bench.h"
#include "vm/overlay.h"

enum { SEEDS = 16, ROUNDS = 20, LIMIT = 16 << 20 };

static uint8_t before[HOST_BYTES];
static struct vm_vcpu home;

static void begin(uint64_t seed, uint32_t sector_bytes, uint64_t limit)
{
	bench_begin(seed, sector_bytes);
	home.core = &fake_cpu;
	machine.vcpus[0] = &home;
	machine.config.disks[0].overlay_bytes = limit;
	medium_create_region(&machine.media[0], medium_region.region);
	assert_int_equal(medium_create_overlay(&machine.media[0], limit), STATUS_OK);
	assert_int_equal(disk_backend_create(&machine, 0, 0, &backend), STATUS_OK);
	model_begin(seed);
	memcpy(before, model, sizeof(before));
	discards_zero = true;
}

// As the monitor does. The first status that is not STATUS_OK, or that.
static enum status commit_all(uint64_t *from)
{
	struct disk_backend_commit commit = {.next = *from, .status = STATUS_OK};

	while (commit.status == STATUS_OK && commit.next != UINT64_MAX) {
		commit.from = commit.next;
		disk_backend_commit(backend, &commit);
		while (!commit.done)
			assert_true(fake_step());
	}
	*from = commit.next;
	return commit.status;
}

static void many(unsigned rounds)
{
	for (unsigned round = 0; round < rounds; round++) {
		for (unsigned i = 0; i < AT_ONCE; i++) {
			random_one(&all[i]);
			if (below(3) == 0)
				(void)fake_step();
		}
		all_answered();
		all_are_right();
	}
}

static void whole_disk_is(const uint8_t *wanted)
{
	for (uint64_t at = 0, now; at < model_bytes; at += now) {
		now = model_bytes - at < DEVICE_IO_BYTES_MAX ? model_bytes - at
							     : DEVICE_IO_BYTES_MAX;
		assert_int_equal(ask_and_wait(&all[0], DEVICE_IO_READ, at, now), STATUS_OK);
		assert_memory_equal(all[0].data, wanted + at, now);
	}
}

static void the_medium_stays_until_it_is_committed(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		uint64_t from = 0;

		begin(seed, seed % 3 == 0 ? 4096 : 512, LIMIT);
		many(ROUNDS);
		host_holds(before);
		assert_int_equal(host.writes + host.flushes, 0);
		whole_disk_is(model);
		assert_int_equal(commit_all(&from), STATUS_OK);
		host_holds(model);
		assert_memory_equal(host.bytes, host.medium, HOST_BYTES); // and durably
		assert_int_equal(overlay_used_bytes(machine.media[0].overlay), 0);
		whole_disk_is(model);
		bench_end();
	}
}

// The guest goes on, and finds what it has written wherever that is now.
static void the_guest_goes_on_while_it_is_committed(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		struct disk_backend_commit commit = {.next = 0};
		uint64_t from = 0;

		begin(seed, seed % 3 == 0 ? 4096 : 512, LIMIT);
		many(3);
		for (unsigned i = 0; commit.next != UINT64_MAX; i++) {
			commit.from = commit.next;
			disk_backend_commit(backend, &commit);
			for (unsigned n = 0; n < AT_ONCE; n++) {
				random_one(&all[n]);
				if (below(3) == 0)
					(void)fake_step();
			}
			all_answered();
			assert_true(commit.done);
			assert_int_equal(commit.status, STATUS_OK);
			all_are_right();
		}
		whole_disk_is(model);
		assert_int_equal(commit_all(&from), STATUS_OK); // what came meanwhile
		host_holds(model);
		bench_end();
	}
}

// Nothing is lost by an error, and what has been written need not be written again.
static void a_commit_can_be_continued(void **state)
{
	uint64_t from = 0, used;

	(void)state;
	begin(3, 512, LIMIT);
	memset(all[0].data, 0x5a, DEVICE_IO_BYTES_MAX);
	for (uint64_t part = 0; part < 3; part++) {
		uint64_t at = part * OVERLAY_PART_BYTES + 16384;

		assert_int_equal(ask_and_wait(&all[0], DEVICE_IO_WRITE, at, DEVICE_IO_BYTES_MAX),
			STATUS_OK);
		memset(model + at, 0x5a, DEVICE_IO_BYTES_MAX);
	}
	used = overlay_used_bytes(machine.media[0].overlay);
	host.bad_sector = host_place(OVERLAY_PART_BYTES + 16384 + 5 * SECTOR) / SECTOR;
	assert_int_equal(commit_all(&from), STATUS_IO);
	assert_int_equal(from, OVERLAY_PART_BYTES);
	assert_int_equal(overlay_used_bytes(machine.media[0].overlay), used / 3 * 2);
	host.bad_sector = UINT64_MAX;
	whole_disk_is(model);
	host.bad_flush = true; // what has been written and not flushed stays in memory as well
	from = 0;
	assert_int_equal(commit_all(&from), STATUS_IO);
	assert_int_equal(overlay_used_bytes(machine.media[0].overlay), used / 3 * 2);
	host.bad_flush = false;
	host.writes = 0;
	from = 0;
	assert_int_equal(commit_all(&from), STATUS_OK);
	assert_int_equal(host.writes, 2);
	host_holds(model);
	assert_memory_equal(host.bytes, host.medium, HOST_BYTES);
	bench_end();
}

// The first that finds no room fails, and so do all that need some: whatever takes how long. What
// has its place is written on, and what is read is what was written.
static void a_full_overlay_loses_nothing(void **state)
{
	uint64_t failed[2] = {0};

	(void)state;
	for (uint64_t seed = 0; seed < 8; seed++) {
		uint64_t refused = 0, from = 0;

		begin(seed, 512, 1 << 20);
		machine.config.disks[0].seed = 0;
		for (unsigned i = 0; i < 2 * AT_ONCE; i++) {
			struct asked *one = &all[i % AT_ONCE];
			uint64_t at = (uint64_t)i * DEVICE_IO_BYTES_MAX;

			if (i == AT_ONCE)
				all_answered();
			memset(one->data, (int)i, DEVICE_IO_BYTES_MAX);
			ask(one, DEVICE_IO_WRITE, at, DEVICE_IO_BYTES_MAX);
			if (splitmix_next(&numbers) % 3 == 0)
				(void)fake_step();
			if (i < 31)
				memset(model + at, (int)i, DEVICE_IO_BYTES_MAX);
		}
		all_answered();
		for (unsigned i = 0; i < AT_ONCE; i++)
			refused += all[i].request.status == STATUS_NO_MEMORY;
		assert_int_equal(refused, 2 * AT_ONCE - 31);
		assert_int_equal(log_lines, 1);
		assert_non_null(strstr(last_log, "no more room in its overlay"));
		whole_disk_is(model);
		memset(all[0].data, 0x77, SECTOR);
		assert_int_equal(ask_and_wait(&all[0], DEVICE_IO_WRITE, 5 * SECTOR, SECTOR),
			STATUS_OK);
		memset(model + 5 * SECTOR, 0x77, SECTOR);
		failed[seed % 2] = refused;
		assert_int_equal(commit_all(&from), STATUS_OK);
		assert_int_equal(ask_and_wait(&all[0], DEVICE_IO_WRITE, 3 << 20, SECTOR),
			STATUS_OK);
		memcpy(model + (3 << 20), all[0].data, SECTOR);
		whole_disk_is(model);
		bench_end();
	}
	assert_int_equal(failed[0], failed[1]);
}

// What is below need not work for what has been written.
static void errors_are_those_of_what_is_below(void **state)
{
	(void)state;
	begin(4, 512, LIMIT);
	host.bad_sector = host_place(20 * SECTOR) / SECTOR;
	assert_int_equal(ask_and_wait(&all[0], DEVICE_IO_READ, 20 * SECTOR, SECTOR), STATUS_IO);
	assert_int_equal(ask_and_wait(&all[0], DEVICE_IO_WRITE, 20 * SECTOR, SECTOR), STATUS_OK);
	assert_int_equal(ask_and_wait(&all[0], DEVICE_IO_READ, 20 * SECTOR, SECTOR), STATUS_OK);
	assert_int_equal(ask_and_wait(&all[0], DEVICE_IO_WRITE, 20, SECTOR), STATUS_INVALID);
	assert_int_equal(ask_and_wait(&all[0], DEVICE_IO_READ, 20, SECTOR), STATUS_INVALID);
	host.bad_flush = true; // nothing is to be flushed
	assert_int_equal(ask_and_wait(&all[0], DEVICE_IO_FLUSH, 0, 0), STATUS_OK);
	host.bad_flush = false;
	bench_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_medium_stays_until_it_is_committed),
		cmocka_unit_test(the_guest_goes_on_while_it_is_committed),
		cmocka_unit_test(a_commit_can_be_continued),
		cmocka_unit_test(a_full_overlay_loses_nothing),
		cmocka_unit_test(errors_are_those_of_what_is_below),
	};

	return cmocka_run_group_tests_name("disk_overlay", tests, NULL, NULL);
}
