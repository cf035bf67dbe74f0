// SPDX-License-Identifier: BSD-2-Clause
// A virtio console: emul/virtio_console.c.
#include "tests/unit/virtio_bench.h"

#include "emul/virtio_console.h"

enum { RECEIVE = 0, TRANSMIT = 1, FIFO = 64 };

static const uint64_t kinds[] = {MODERN, MODERN | BIT(VIRTIO_F_RING_PACKED)};

static int setup(void **state)
{
	(void)state;
	fake_configure = NULL;
	(void)fake_create(&env, &virtio_console_model);
	return 0;
}

static size_t room(void)
{
	return env.device->model->receive_room(env.device, VIRTIO_CONSOLE_PORT_CHARACTERS);
}

static void offer(unsigned queue, uint16_t id, uint64_t at, uint32_t bytes, uint16_t flags)
{
	const struct part part = {at, bytes, flags};

	queue_use(queue);
	chain(id, &part, 1);
	notify(queue);
}

static void expect_output(const char *text)
{
	assert_int_equal(env.output_bytes, strlen(text));
	assert_memory_equal(env.output, text, strlen(text));
	env.output_bytes = 0;
}

static void shows_itself(void **state)
{
	(void)state;
	assert_int_equal(fake_read(&env, PCIDEV_REGION_CONFIG, 0, 4), 0x10031af4);
	assert_int_equal(fake_read(&env, PCIDEV_REGION_CONFIG, 0x2c, 4), 0x00031af4);
	assert_int_equal(common_get(VIRTIO_COMMON_QUEUE_COUNT, 2), 2);
	assert_int_equal(features_get() & 7, 5); // SIZE, EMERG_WRITE
	assert_int_equal(common_get(VIRTIO_DEVICE_AT, 2), 80);
	assert_int_equal(common_get(VIRTIO_DEVICE_AT + 2, 2), 25);
	assert_int_equal(common_get(VIRTIO_DEVICE_AT + 4, 8), 1);
}

// 5.3.4: without any set-up.
static void emergency_writes(void **state)
{
	(void)state;
	common_set(VIRTIO_DEVICE_AT + 8, 4, '!');
	common_set(VIRTIO_DEVICE_AT, 2, 7); // nothing else can be written
	assert_int_equal(common_get(VIRTIO_DEVICE_AT, 2), 80);
	expect_output("!");
}

static void sends(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(kinds); i++) {
		const struct part parts[] = {{DATA, 6, 0}, {DATA + 100, 5, 0}};

		begin_queues(kinds[i], 2);
		put(DATA, "hello ", 6);
		put(DATA + 100, "there", 5);
		queue_use(TRANSMIT);
		chain(3, parts, 2);
		notify(TRANSMIT);
		expect_output("hello there");
		expect_used(0, 3, 0);
		assert_true(env.line[0]);
		fake_save_and_load(&env);
		offer(TRANSMIT, 4, DATA, 5, 0);
		expect_output("hello");
	}
}

// A buffer that takes several goes, and is looked at again each time.
static void large_buffers_go_by_parts(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(kinds); i++) {
		begin_queues(kinds[i], 2);
		offer(TRANSMIT, 2, DATA, 1, 0);
		env.output_bytes = 0;
		for (unsigned n = 0; n < 0x2345; n++)
			env.ram[DATA + n] = (uint8_t)(n * 7 + n / 256);
		offer(TRANSMIT, 1, DATA, 0x2345, 0);
		assert_int_equal(env.output_bytes, 4096);
		assert_memory_equal(env.output, env.ram + DATA, 4096);
		assert_true(env.bottom_half[0]);
		fake_save_and_load(&env);
		env.output_bytes = 0;
		fake_run_bottom_halves(&env);
		assert_int_equal(env.output_bytes, 4096);
		assert_memory_equal(env.output, env.ram + DATA + 4096, 4096);
		env.output_bytes = 0;
		fake_run_bottom_halves(&env);
		assert_int_equal(env.output_bytes, 0x345);
		expect_used(1, 1, 0);
		fake_run_bottom_halves(&env);
		assert_false(env.bottom_half[0]);
	}
}

// A driver that takes back what has been sent in part.
static void buffers_that_shrink(void **state)
{
	(void)state;
	begin_queues(MODERN, 2);
	offer(TRANSMIT, 1, DATA, 0x2000, 0);
	split_descriptor(part_at(RING), 1, &(const struct part){DATA, 16, 0}, 0);
	env.output_bytes = 0;
	fake_run_bottom_halves(&env);
	assert_int_equal(env.output_bytes, 0);
	expect_used(0, 1, 0);
	offer(TRANSMIT, 2, DATA, 3, 0);
	assert_int_equal(env.output_bytes, 3);
	env.output_bytes = 0;
	offer(TRANSMIT, 3, DATA, 0x2000, 0);
	status_set(0); // and one that is reset in the middle
	begin_queues(MODERN, 2);
	offer(TRANSMIT, 0, DATA, 4, 0);
	assert_int_equal(env.output_bytes, 4);
}

static void receives(void **state)
{
	(void)state;
	assert_int_equal(room(), 0);
	for (unsigned i = 0; i < ARRAY_COUNT(kinds); i++) {
		begin_queues(kinds[i], 2);
		assert_int_equal(room(), FIFO);
		offer(RECEIVE, 2, DATA, 100, WRITE);
		offer(RECEIVE, 3, DATA + 0x100, 2, WRITE);
		assert_false(env.line[0]);
		fake_receive(&env, 0, "one", 3);
		expect_used(0, 2, 3);
		assert_true(env.line[0]);
		assert_memory_equal(env.ram + DATA, "one", 3);
		fake_receive(&env, 0, "another", 7); // more than there is room for
		expect_used(1, 3, 2);
		assert_memory_equal(env.ram + DATA + 0x100, "an", 2);
		assert_int_equal(room(), FIFO - 5);
		fake_save_and_load(&env);
		offer(RECEIVE, 1, DATA, 100, WRITE);
		expect_used(2, 1, 5);
		assert_memory_equal(env.ram + DATA, "other", 5);
		assert_int_equal(room(), FIFO);
	}
}

static void more_than_fits_is_lost(void **state)
{
	uint8_t bytes[FIFO + 8];

	(void)state;
	memset(bytes, 'x', sizeof(bytes));
	fake_receive(&env, 0, bytes, 4); // no driver
	begin_queues(MODERN, 2);
	fake_receive(&env, 0, bytes, sizeof(bytes));
	assert_int_equal(room(), 0);
	fake_save_and_load(&env);
	offer(RECEIVE, 0, DATA, 200, WRITE);
	expect_used(0, 0, FIFO);
	fake_receive(&env, 0, bytes, 4);
	status_set(0); // forgotten
	begin_queues(MODERN, 2);
	offer(RECEIVE, 0, DATA, 200, WRITE);
	assert_int_equal(used_count(), 0);
}

static void expect_broken(const char *reason)
{
	assert_string_equal(env.report, reason);
	assert_true(needs_reset());
	assert_int_equal(room(), 0);
	fake_receive(&env, 0, "x", 1);
	fake_save_and_load(&env);
	begin_queues(MODERN, 2);
	put(DATA, "ok", 2);
	offer(TRANSMIT, 0, DATA, 2, 0);
	expect_output("ok");
}

static void drivers_that_lie(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(kinds); i++) {
		begin_queues(kinds[i], 2);
		offer(TRANSMIT, 0, DATA, 8, WRITE);
		expect_broken("a buffer of output is to be written");
		begin_queues(kinds[i], 2);
		offer(TRANSMIT, 0, 0xfee00000, 8, 0);
		expect_broken("a buffer of output is not in memory");
		begin_queues(kinds[i], 2);
		offer(RECEIVE, 0, DATA, 8, 0);
		fake_receive(&env, 0, "x", 1);
		expect_broken("a buffer for input is not to be written");
		begin_queues(kinds[i], 2);
		offer(RECEIVE, 0, 0xfee00000, 8, WRITE);
		fake_receive(&env, 0, "x", 1);
		expect_broken("a buffer for input is not in memory");
	}
}

static void many_buffers_take_several_goes(void **state)
{
	enum { SIZE = 128, MANY = 40 };

	(void)state;
	begin_none(MODERN);
	queue_place(TRANSMIT, SIZE, RING, DRIVER, DEVICE);
	status_set(OK_STATUS | VIRTIO_STATUS_DRIVER_OK);
	for (uint16_t i = 0; i < MANY; i++) {
		split_descriptor(RING, i, &(const struct part){DATA, 1, 0}, 0);
		put16(DRIVER + 4 + 2u * i, i);
	}
	put16(DRIVER + 2, MANY);
	notify(TRANSMIT);
	assert_int_equal(env.output_bytes, 32);
	fake_run_bottom_halves(&env);
	assert_int_equal(env.output_bytes, MANY);
}

static void checks_state(void **state)
{
	(void)state;
	fake_check_coverage(&virtio_console_model);
	fake_check_ranges(&env);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, bench_teardown)
	const struct CMUnitTest tests[] = {
		TEST(shows_itself),
		TEST(emergency_writes),
		TEST(sends),
		TEST(large_buffers_go_by_parts),
		TEST(buffers_that_shrink),
		TEST(receives),
		TEST(more_than_fits_is_lost),
		TEST(drivers_that_lie),
		TEST(many_buffers_take_several_goes),
		TEST(checks_state),
	};

	return cmocka_run_group_tests_name("virtio_console", tests, NULL, NULL);
}
