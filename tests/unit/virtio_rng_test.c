// SPDX-License-Identifier: BSD-2-Clause
// A virtio entropy device: emul/virtio_rng.c, and the block function behind it.
#include "tests/unit/virtio_bench.h"

#include "emul/virtio_rng.h"

static const uint32_t seed[CHACHA20_KEY_WORDS] = {1, 2, 3, 4, 5, 6, 7, 8};
static const uint64_t kinds[] = {MODERN, MODERN | BIT(VIRTIO_F_RING_PACKED)};

static void configure(struct device *device)
{
	virtio_rng_configure(device, seed);
}

static int setup(void **state)
{
	(void)state;
	fake_configure = configure;
	(void)fake_create(&env, &virtio_rng_model);
	return 0;
}

// RFC 8439, 2.3.2.
static void block_of_the_rfc(void **state)
{
	static const uint32_t nonce[] = {0x09000000, 0x4a000000, 0};
	static const uint32_t expected[] = {0xe4e7f110, 0x15593bd1, 0x1fdd0f50, 0xc47120a3,
		0xc7f4d1c7, 0x0368c033, 0x9aaa2204, 0x4e6cd4c3, 0x466482d2, 0x09aa9f07, 0x05d7c214,
		0xa2028bd9, 0xd19c12b5, 0xb94e16de, 0xe883d0cb, 0x4e3c50a2};
	uint32_t key[8], block[16];

	(void)state;
	for (unsigned i = 0; i < 8; i++)
		key[i] = 0x03020100 + i * 0x04040404;
	chacha20_block(key, 1, nonce, block);
	assert_memory_equal(block, expected, sizeof(block));
}

// The same, A.1, test vectors 1, 2 and 4: how they begin.
static void blocks_of_the_appendix(void **state)
{
	uint32_t key[8] = {0}, nonce[3] = {0}, block[16];

	(void)state;
	chacha20_block(key, 0, nonce, block);
	assert_int_equal(block[0], 0xade0b876);
	assert_int_equal(block[15], 0x8665eeb2);
	chacha20_block(key, 1, nonce, block);
	assert_int_equal(block[0], 0xbee7079f);
	assert_int_equal(block[15], 0x6f4d794b);
	key[0] = 0x0000ff00;
	chacha20_block(key, 2, nonce, block);
	assert_int_equal(block[0], 0xfb4dd572);
	assert_int_equal(block[15], 0x96f0992e);
}

// What it gives, apart from the device.
struct model {
	uint32_t key[8], block[16];
	unsigned left;
};

static uint8_t model_byte(struct model *model)
{
	static const uint32_t nonce[3];

	if (model->left == 0) {
		chacha20_block(model->key, 0, nonce, model->block);
		memcpy(model->key, model->block, 32);
		model->left = 32;
	}
	return ((const uint8_t *)model->block)[64 - model->left--];
}

static void expect_bytes(struct model *model, uint64_t at, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(env.ram[at + i], model_byte(model));
}

static void fill(uint16_t id, uint32_t bytes)
{
	const struct part part = {DATA, bytes, WRITE};

	chain(id, &part, 1);
	notify(0);
}

static void shows_itself(void **state)
{
	(void)state;
	assert_int_equal(fake_read(&env, PCIDEV_REGION_CONFIG, 0, 4), 0x10051af4);
	assert_int_equal(fake_read(&env, PCIDEV_REGION_CONFIG, 0x2c, 4), 0x00041af4);
	assert_int_equal(common_get(VIRTIO_COMMON_QUEUE_COUNT, 2), 1);
	assert_int_equal(common_get(VIRTIO_DEVICE_AT, 4), 0);
	assert_true(features_get() & MODERN);
}

static void gives_what_the_generator_gives(void **state)
{
	(void)state;
	for (unsigned kind = 0; kind < ARRAY_COUNT(kinds); kind++) {
		struct model model = {.left = 0};
		const struct part parts[] = {{DATA, 5, WRITE}, {DATA + 100, 70, WRITE}};

		fake_destroy(&env);
		(void)fake_create(&env, &virtio_rng_model);
		memcpy(model.key, seed, sizeof(seed));
		begin(kinds[kind]);
		chain(2, parts, 2);
		notify(0);
		expect_used(0, 2, 75);
		assert_true(env.line[0]);
		expect_bytes(&model, DATA, 5);
		assert_int_equal(env.ram[DATA + 5], 0);
		expect_bytes(&model, DATA + 100, 70);
		fake_save_and_load(&env); // it goes on where it was
		fill(1, 9);
		expect_bytes(&model, DATA, 9);
	}
}

// A reset does not bring the same numbers again.
static void resets_go_on(void **state)
{
	uint8_t first[64];

	(void)state;
	begin(MODERN);
	fill(0, sizeof(first));
	memcpy(first, env.ram + DATA, sizeof(first));
	begin(MODERN);
	fill(0, sizeof(first));
	assert_memory_not_equal(first, env.ram + DATA, sizeof(first));
	memcpy(first, env.ram + DATA, sizeof(first));
	fake_reset(&env, DEVICE_RESET_POWER);
	begin(MODERN);
	fill(0, sizeof(first));
	assert_memory_not_equal(first, env.ram + DATA, sizeof(first));
}

// Large buffers are filled in part, and many are served in several goes.
static void work_is_bounded(void **state)
{
	enum { SIZE = 64, MANY = 20 };

	(void)state;
	begin(MODERN);
	fill(0, 0x4000);
	expect_used(0, 0, 1024);
	assert_int_equal(env.ram[DATA + 1024], 0);
	begin_none(MODERN);
	queue_place(0, SIZE, RING, DRIVER, DEVICE);
	status_set(OK_STATUS | VIRTIO_STATUS_DRIVER_OK);
	for (uint16_t i = 0; i < MANY; i++) {
		split_descriptor(RING, i, &(const struct part){DATA, 64, WRITE}, 0);
		put16(DRIVER + 4 + 2u * i, i);
	}
	put16(DRIVER + 2, MANY);
	notify(0);
	assert_int_equal(used_count(), 8);
	assert_true(env.bottom_half[0]);
	fake_save_and_load(&env);
	fake_run_bottom_halves(&env);
	assert_int_equal(used_count(), 16);
	fake_run_bottom_halves(&env);
	assert_int_equal(used_count(), MANY);
	assert_false(env.bottom_half[0]);
	fill(MANY, 64);
	assert_int_equal(used_count(), MANY);
	status_set(0); // with a bottom half to come
	fake_run_bottom_halves(&env);
}

static void expect_broken(const char *reason)
{
	assert_string_equal(env.report, reason);
	assert_true(needs_reset());
	assert_int_equal(used_count(), 0);
	fake_save_and_load(&env);
	begin(MODERN);
	fill(0, 32);
	expect_used(0, 0, 32);
}

static void drivers_that_lie(void **state)
{
	const struct part read = {DATA, 32, 0}, nowhere = {0xfee00000, 32, WRITE};
	const struct part both[] = {{DATA, 4, 0}, {DATA, 32, WRITE}};

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(kinds); i++) {
		begin(kinds[i]);
		chain(0, &read, 1);
		notify(0);
		packed = false;
		expect_broken("a buffer for random numbers is not to be written");
		begin(kinds[i]);
		chain(0, both, 2);
		notify(0);
		packed = false;
		expect_broken("a buffer for random numbers is not to be written");
		begin(kinds[i]);
		chain(0, &nowhere, 1);
		notify(0);
		packed = false;
		expect_broken("a buffer for random numbers is not in memory");
	}
}

static void checks_state(void **state)
{
	(void)state;
	fake_check_coverage(&virtio_rng_model);
	fake_check_ranges(&env);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, bench_teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(block_of_the_rfc),
		cmocka_unit_test(blocks_of_the_appendix),
		TEST(shows_itself),
		TEST(gives_what_the_generator_gives),
		TEST(resets_go_on),
		TEST(work_is_bounded),
		TEST(drivers_that_lie),
		TEST(checks_state),
	};

	return cmocka_run_group_tests_name("virtio_rng", tests, NULL, NULL);
}
