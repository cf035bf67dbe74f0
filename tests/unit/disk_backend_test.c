// SPDX-License-Identifier: BSD-2-Clause
// Requests at a disk in a region: random ones, several at once, against a model in which each is
// done when it is asked for.
#include "vm/disk_backend.h"

#include "tests/unit/disk_bench.h"

enum { SEEDS = 24, ROUNDS = 30 };

static void begin(uint64_t seed, uint32_t sector_bytes)
{
	bench_begin(seed, sector_bytes);
	medium_create_region(&machine.media[0], medium_region.region);
	assert_int_equal(disk_backend_create(&machine, 0, 0, &backend), STATUS_OK);
	model_begin(seed);
}

static void check(void)
{
	all_are_right();
	host_holds(model);
}

static void each_reads_what_was_written_before(void **state)
{
	unsigned busiest = 0;

	(void)state;
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		begin(seed, seed % 3 == 0 ? 4096 : 512);
		for (unsigned round = 0; round < ROUNDS; round++) {
			for (unsigned i = 0; i < AT_ONCE; i++) {
				random_one(&all[i]);
				if (below(3) == 0)
					(void)fake_step();
			}
			all_answered();
			check();
		}
		busiest = host.busiest > busiest ? host.busiest : busiest;
		bench_end();
	}
	assert_int_equal(busiest, DISK_BACKEND_FIBERS);
}

static void a_flush_is_durable(void **state)
{
	(void)state;
	begin(3, 512);
	memset(all[0].data, 0x5a, SECTOR);
	assert_int_equal(ask_and_wait(&all[0], DEVICE_IO_WRITE, 8192, SECTOR), STATUS_OK);
	assert_int_not_equal(host.medium[host_place(8192)], 0x5a);
	assert_int_equal(ask_and_wait(&all[1], DEVICE_IO_FLUSH, 0, 0), STATUS_OK);
	assert_int_equal(host.medium[host_place(8192)], 0x5a);
	host.bad_flush = true;
	assert_int_equal(ask_and_wait(&all[1], DEVICE_IO_FLUSH, 0, 0), STATUS_IO);
	host.bad_flush = false;
	bench_end();
}

// It fails for who needs that sector, and for nobody else.
static void errors_are_answers(void **state)
{
	(void)state;
	begin(4, 512);
	host.bad_sector = host_place(20 * SECTOR) / SECTOR;
	ask(&all[0], DEVICE_IO_READ, 16 * SECTOR, 8 * SECTOR);
	ask(&all[1], DEVICE_IO_WRITE, 20 * SECTOR, SECTOR);
	ask(&all[2], DEVICE_IO_ZERO, 0, 64 * SECTOR);
	ask(&all[3], DEVICE_IO_READ, 21 * SECTOR, SECTOR);
	ask(&all[4], DEVICE_IO_DISCARD, 20 * SECTOR, SECTOR);
	ask(&all[5], DEVICE_IO_READ, model_bytes - SECTOR, 2 * SECTOR);
	all_answered();
	assert_int_equal(all[0].request.status, STATUS_IO);
	assert_int_equal(all[1].request.status, STATUS_IO);
	assert_int_equal(all[2].request.status, STATUS_IO);
	assert_int_equal(all[3].request.status, STATUS_OK);
	assert_int_equal(all[4].request.status, STATUS_OK);
	assert_int_equal(all[5].request.status, STATUS_RANGE);
	host.bad_sector = UINT64_MAX;
	assert_int_equal(ask_and_wait(&all[0], DEVICE_IO_READ, 16 * SECTOR, 8 * SECTOR), STATUS_OK);
	bench_end();
	// Of a sector of 4 KiB that cannot be read nothing is written.
	begin(5, 4096);
	host.bad_sector = host_place(8192) / 4096;
	memset(all[0].data, 0x77, SECTOR);
	assert_int_equal(ask_and_wait(&all[0], DEVICE_IO_WRITE, 8192, SECTOR), STATUS_IO);
	assert_int_equal(host.writes, 0);
	bench_end();
}

static void what_is_read_only_is_not_written(void **state)
{
	static const enum device_io_kind kinds[] = {DEVICE_IO_WRITE, DEVICE_IO_ZERO,
		DEVICE_IO_DISCARD};

	(void)state;
	begin(6, 512);
	machine.config.disks[0].readonly = true;
	for (unsigned i = 0; i < ARRAY_COUNT(kinds); i++)
		assert_int_equal(ask_and_wait(&all[0], kinds[i], 0, SECTOR), STATUS_REFUSED);
	assert_int_equal(ask_and_wait(&all[0], DEVICE_IO_READ, 0, SECTOR), STATUS_OK);
	assert_int_equal(ask_and_wait(&all[0], DEVICE_IO_FLUSH, 0, 0), STATUS_OK);
	assert_int_equal(host.writes, 0);
	bench_end();
}

#define MS UINT64_C(1000000)

static void throttled_begin(struct throttle_config throttle)
{
	bench_begin(7, 512);
	machine.config.disks[0].throttle = throttle;
	medium_create_region(&machine.media[0], medium_region.region);
	assert_int_equal(disk_backend_create(&machine, 0, 0, &backend), STATUS_OK);
	model_begin(7);
	host_times = UINT64_MAX; // no matter
}

// The first of all that come at once begin, the rest as many a second as they may; what moves
// nothing waits for nobody.
static void too_many_requests_wait(void **state)
{
	enum { AT_FIRST = 11 }; // a tenth of a second of 100, and the one that fills it
	uint64_t start;

	(void)state;
	throttled_begin((struct throttle_config){.requests = {.average = 100}});
	start = fake_cpu_tsc;
	for (unsigned i = 0; i < AT_ONCE; i++)
		ask(&all[i], i == AT_ONCE - 1 ? DEVICE_IO_FLUSH : DEVICE_IO_READ, i * SECTOR,
			i == AT_ONCE - 1 ? 0 : SECTOR);
	all_answered();
	for (unsigned i = 0; i < AT_ONCE - 1; i++) {
		uint64_t after = i < AT_FIRST ? 0 : (i - AT_FIRST + 1) * 10 * MS;

		assert_in_range(all[i].answered_at - start, after, after + MS);
	}
	assert_in_range(all[AT_ONCE - 1].answered_at - start, 0, MS);
	bench_end();
}

static void too_many_bytes_wait(void **state)
{
	uint64_t start;

	(void)state;
	throttled_begin((struct throttle_config){.bytes = {.average = 1 << 20, .burst = 2 << 20,
		.burst_seconds = 1}});
	start = fake_cpu_tsc;
	ask(&all[0], DEVICE_IO_ZERO, 0, 2 << 20);
	ask(&all[1], DEVICE_IO_READ, 3 << 20, DEVICE_IO_BYTES_MAX);
	ask(&all[2], DEVICE_IO_DISCARD, 3 << 20, 1 << 20);
	all_answered();
	assert_in_range(all[1].answered_at - start, 0, MS);
	assert_in_range(all[2].answered_at - start, 1000 * MS / 32, 1000 * MS / 32 + MS);
	bench_end();
}

// A machine that is to be held does not wait for that.
static void who_is_waited_for_hurries(void **state)
{
	uint64_t start;

	(void)state;
	throttled_begin((struct throttle_config){.requests = {.average = 1}});
	start = fake_cpu_tsc;
	for (unsigned i = 0; i < AT_ONCE; i++)
		ask(&all[i], DEVICE_IO_READ, i * SECTOR, SECTOR);
	disk_backend_hurry(backend);
	disk_backend_hurry(backend); // is on its way
	all_answered();
	assert_in_range(fake_cpu_tsc - start, 0, 20 * MS);
	ask(&all[0], DEVICE_IO_READ, 0, SECTOR); // and they have been counted
	all_answered();
	assert_true(fake_cpu_tsc - start >= 23000 * MS);
	bench_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_reads_what_was_written_before),
		cmocka_unit_test(a_flush_is_durable),
		cmocka_unit_test(errors_are_answers),
		cmocka_unit_test(what_is_read_only_is_not_written),
		cmocka_unit_test(too_many_requests_wait),
		cmocka_unit_test(too_many_bytes_wait),
		cmocka_unit_test(who_is_waited_for_hurries),
	};

	return cmocka_run_group_tests_name("disk_backend", tests, NULL, NULL);
}
