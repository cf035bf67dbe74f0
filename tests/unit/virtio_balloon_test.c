// SPDX-License-Identifier: BSD-2-Clause
// A virtio memory balloon: emul/virtio_balloon.c.
#include "tests/unit/virtio_bench.h"

#include "emul/virtio_balloon.h"

enum { INFLATE = 0, DEFLATE = 1, STATS = 2, PAGE = 4096, FIRST = 8 };

static const uint64_t kinds[] = {MODERN, MODERN | BIT(VIRTIO_F_RING_PACKED)};

static int setup(void **state)
{
	(void)state;
	fake_configure = NULL;
	(void)fake_create(&env, &virtio_balloon_model);
	return 0;
}

static void offer(unsigned queue, uint16_t id, uint64_t at, uint32_t bytes, uint16_t flags)
{
	const struct part part = {at, bytes, flags};

	queue_use(queue);
	chain(id, &part, 1);
	notify(queue);
}

static void frame_put(unsigned index, uint32_t frame)
{
	put(HEADER + 4u * index, &frame, sizeof(frame));
}

static void wanted_set(uint32_t pages)
{
	assert_true(env.device->model->accepts(env.device, DEVICE_SETTING_BALLOON_PAGES, pages));
	fake_set(&env, DEVICE_SETTING_BALLOON_PAGES, pages);
}

static struct virtio_balloon_report report(void)
{
	struct virtio_balloon_report made;

	virtio_balloon_report(env.device, &made);
	return made;
}

static void shows_itself(void **state)
{
	(void)state;
	assert_int_equal(fake_read(&env, PCIDEV_REGION_CONFIG, 0, 4), 0x10021af4);
	assert_int_equal(fake_read(&env, PCIDEV_REGION_CONFIG, 0x2c, 4), 0x00051af4);
	assert_int_equal(common_get(VIRTIO_COMMON_QUEUE_COUNT, 2), 3);
	assert_int_equal(features_get() & 0x3f, 6);
	assert_int_equal(common_get(VIRTIO_DEVICE_AT, 8), 0);
}

// 5.5.6: the driver hears of what is wanted, and says what there is.
static void sizes_are_told(void **state)
{
	(void)state;
	begin_queues(MODERN, 3);
	wanted_set(0x12345);
	assert_true(env.line[0]);
	assert_int_equal(common_get(VIRTIO_ISR_AT, 1), VIRTIO_ISR_CONFIGURATION);
	assert_int_equal(common_get(VIRTIO_DEVICE_AT, 4), 0x12345);
	common_set(VIRTIO_DEVICE_AT, 4, 7); // not the driver's
	common_set(VIRTIO_DEVICE_AT + 4, 4, 0xabcdef01);
	fake_save_and_load(&env);
	assert_int_equal(common_get(VIRTIO_DEVICE_AT, 4), 0x12345);
	assert_int_equal(common_get(VIRTIO_DEVICE_AT + 4, 4), 0xabcdef01);
	assert_int_equal(report().wanted, 0x12345);
	assert_int_equal(report().actual, 0xabcdef01);
	wanted_set(0x12345);
	assert_false(env.line[0]);
	fake_reset(&env, DEVICE_RESET_LINE);
	assert_int_equal(report().wanted, 0x12345);
	assert_int_equal(report().actual, 0);
	fake_reset(&env, DEVICE_RESET_POWER);
	assert_int_equal(report().wanted, 0);
	assert_false(env.device->model->accepts(env.device, DEVICE_SETTING_BALLOON_PAGES,
		BIT(32)));
	assert_false(env.device->model->accepts(env.device, DEVICE_SETTING_MEDIUM_BYTES, 512));
}

static void pages_become_empty(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(kinds); i++) {
		begin_queues(kinds[i], 3);
		memset(env.ram + FIRST * PAGE, 0x77, 4 * PAGE);
		frame_put(0, FIRST + 2);
		frame_put(1, FIRST);
		offer(INFLATE, 3, HEADER, 8, 0);
		expect_used(0, 3, 0);
		assert_true(env.line[0]);
		for (unsigned n = 0; n < 4 * PAGE; n++)
			assert_int_equal(env.ram[FIRST * PAGE + n], n / PAGE % 2 == 0 ? 0 : 0x77);
		memset(env.ram + FIRST * PAGE, 0x77, PAGE);
		offer(DEFLATE, 2, HEADER, 8, 0);
		expect_used(0, 2, 0);
		assert_int_equal(env.ram[FIRST * PAGE], 0x77); // nothing is done to it
	}
}

// A long list takes several goes, each page once.
static void work_is_bounded(void **state)
{
	enum { MANY = 150 };

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(kinds); i++) {
		begin_queues(kinds[i], 3);
		for (unsigned n = 0; n < MANY; n++)
			frame_put(n, FIRST);
		frame_put(70, FIRST + 1);
		frame_put(MANY - 1, FIRST + 2);
		memset(env.ram + FIRST * PAGE, 0x77, 3 * PAGE);
		offer(INFLATE, 0, HEADER, 4 * MANY, 0);
		assert_int_equal(env.ram[FIRST * PAGE], 0);
		assert_int_equal(env.ram[(FIRST + 1) * PAGE], 0x77);
		env.ram[FIRST * PAGE] = 1;
		fake_save_and_load(&env);
		fake_run_bottom_halves(&env);
		assert_int_equal(env.ram[(FIRST + 1) * PAGE], 0);
		assert_int_equal(env.ram[(FIRST + 2) * PAGE], 0x77);
		fake_run_bottom_halves(&env);
		assert_int_equal(env.ram[(FIRST + 2) * PAGE], 0);
		expect_used(0, 0, 0);
		assert_false(env.bottom_half[0]);
		frame_put(0, FIRST + 1); // the next list begins at its start
		env.ram[(FIRST + 1) * PAGE] = 5;
		offer(INFLATE, 1, HEADER, 4, 0);
		assert_int_equal(env.ram[(FIRST + 1) * PAGE], 0);
	}
}

// Tags and values, ten bytes each, one of which nobody knows.
static void stats_put(uint64_t free_memory)
{
	const uint16_t tags[] = {VIRTIO_BALLOON_FREE_MEMORY, 99, VIRTIO_BALLOON_SWAP_IN};

	for (unsigned i = 0; i < ARRAY_COUNT(tags); i++) {
		uint64_t value = i == 0 ? free_memory : i;

		put(TABLE + 10 * i, &tags[i], 2);
		put(TABLE + 10 * i + 2, &value, 8);
	}
}

static void statistics_are_asked_for(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(kinds); i++) {
		begin_queues(kinds[i], 3);
		assert_true(report().stats[VIRTIO_BALLOON_FREE_MEMORY] == UINT64_MAX);
		stats_put(0x1122334455);
		offer(STATS, 3, TABLE, 30, 0);
		assert_true(report().stats[VIRTIO_BALLOON_FREE_MEMORY] == 0x1122334455);
		assert_int_equal(report().stats[VIRTIO_BALLOON_SWAP_IN], 2);
		assert_true(report().stats[VIRTIO_BALLOON_TOTAL_MEMORY] == UINT64_MAX);
		assert_false(env.line[0]);
		fake_save_and_load(&env);
		wanted_set(report().wanted); // the same: and yet a reason to ask
		assert_int_equal(common_get(VIRTIO_ISR_AT, 1), VIRTIO_ISR_QUEUE);
		expect_used(0, 3, 0);
		stats_put(7);
		offer(STATS, 1, TABLE, 10, 0);
		assert_int_equal(report().stats[VIRTIO_BALLOON_FREE_MEMORY], 7);
		assert_true(report().stats[VIRTIO_BALLOON_SWAP_IN] == UINT64_MAX);
		status_set(0);
		assert_true(report().stats[VIRTIO_BALLOON_FREE_MEMORY] == UINT64_MAX);
		wanted_set(report().wanted);
	}
}

// As Linux does it: 3.1.1 forbids it.
static void statistics_come_early(void **state)
{
	(void)state;
	begin_none(MODERN);
	queue_place(STATS, QUEUE_SIZE, RING + STATS * QUEUE_STEP, DRIVER + STATS * QUEUE_STEP,
		DEVICE + STATS * QUEUE_STEP);
	stats_put(5);
	offer(STATS, 0, TABLE, 10, 0);
	status_set(OK_STATUS | VIRTIO_STATUS_DRIVER_OK);
	assert_true(report().stats[VIRTIO_BALLOON_FREE_MEMORY] == UINT64_MAX);
	wanted_set(1);
	assert_int_equal(used_count(), 1);
	assert_int_equal(report().stats[VIRTIO_BALLOON_FREE_MEMORY], 5);
	wanted_set(2); // before it has answered
	assert_int_equal(used_count(), 1);
}

static void expect_broken(const char *reason)
{
	assert_string_equal(env.report, reason);
	assert_true(needs_reset());
	wanted_set(3);
	fake_save_and_load(&env);
	begin_queues(MODERN, 3);
	frame_put(0, FIRST);
	env.ram[FIRST * PAGE] = 1;
	offer(INFLATE, 0, HEADER, 4, 0);
	assert_int_equal(env.ram[FIRST * PAGE], 0);
}

static void drivers_that_lie(void **state)
{
	static const char list[] = "a list of pages is to be written, or ends in the middle of one";

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(kinds); i++) {
		for (unsigned queue = INFLATE; queue <= DEFLATE; queue++) {
			begin_queues(kinds[i], 3);
			offer(queue, 0, HEADER, 4, WRITE);
			expect_broken(list);
			begin_queues(kinds[i], 3);
			offer(queue, 0, HEADER, 7, 0);
			expect_broken(list);
		}
		begin_queues(kinds[i], 3);
		offer(INFLATE, 0, 0xfee00000, 4, 0);
		expect_broken("a list of pages is not in memory");
		begin_queues(kinds[i], 3);
		frame_put(0, UINT32_MAX);
		offer(INFLATE, 0, HEADER, 4, 0);
		expect_broken("a page that is given up is not memory");
		begin_queues(kinds[i], 3);
		offer(STATS, 0, TABLE, 10, WRITE);
		expect_broken("a buffer of statistics is to be written");
		begin_queues(kinds[i], 3);
		offer(STATS, 0, 0xfee00000, 10, 0);
		expect_broken("a buffer of statistics is not in memory");
	}
}

// A list that lies in the page it gives up, and one that is taken back in the middle.
static void lists_that_change(void **state)
{
	(void)state;
	begin_queues(MODERN, 3);
	frame_put(0, HEADER / PAGE);
	frame_put(1, HEADER / PAGE);
	env.ram[0] = 9;
	offer(INFLATE, 0, HEADER, 8, 0); // the second one is page 0 then
	assert_int_equal(env.ram[0], 0);
	begin_queues(MODERN, 3);
	for (unsigned n = 0; n < 100; n++)
		frame_put(n, FIRST);
	offer(INFLATE, 0, HEADER, 400, 0);
	split_descriptor(part_at(RING), 0, &(const struct part){HEADER, 4, 0}, 0);
	fake_run_bottom_halves(&env);
	expect_used(0, 0, 0);
	assert_false(needs_reset());
}

static void checks_state(void **state)
{
	(void)state;
	fake_check_coverage(&virtio_balloon_model);
	fake_check_ranges(&env);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, bench_teardown)
	const struct CMUnitTest tests[] = {
		TEST(shows_itself),
		TEST(sizes_are_told),
		TEST(pages_become_empty),
		TEST(work_is_bounded),
		TEST(statistics_are_asked_for),
		TEST(statistics_come_early),
		TEST(drivers_that_lie),
		TEST(lists_that_change),
		TEST(checks_state),
	};

	return cmocka_run_group_tests_name("virtio_balloon", tests, NULL, NULL);
}
