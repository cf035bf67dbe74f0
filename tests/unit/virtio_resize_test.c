// SPDX-License-Identifier: BSD-2-Clause
// A virtio block device whose medium gets another size while its driver works.
#include "tests/unit/virtio_bench.h"

static void resize(uint64_t bytes)
{
	assert_true(env.device->model->accepts(env.device, DEVICE_SETTING_MEDIUM_BYTES, bytes));
	fake_set(&env, DEVICE_SETTING_MEDIUM_BYTES, bytes);
}

// 5.2.5, 4.1.5.3: the driver hears of another capacity.
static void capacity_changes(void **state)
{
	uint64_t generation;

	(void)state;
	begin(MODERN);
	generation = common_get(VIRTIO_COMMON_GENERATION, 1);
	resize(SECTORS * 512 + 512);
	assert_int_equal(common_get(VIRTIO_DEVICE_AT, 8), SECTORS + 1);
	assert_int_equal(common_get(VIRTIO_COMMON_GENERATION, 1), generation + 1);
	assert_true(env.line[0]);
	fake_save_and_load(&env);
	assert_int_equal(common_get(VIRTIO_ISR_AT, 1), VIRTIO_ISR_CONFIGURATION);
	assert_false(env.line[0]);
	resize(SECTORS * 512 + 512); // nothing new
	assert_false(env.line[0]);
	request(0, VIRTIO_BLK_T_IN, SECTORS, DATA, 512);
	assert_int_equal(env.submits, 1);
	fake_complete(&env, 0, env.io.request, STATUS_OK);
	resize(512);
	request(0, VIRTIO_BLK_T_IN, 1, DATA, 512);
	assert_int_equal(env.ram[STATUS], VIRTIO_BLK_S_IOERR);
	fake_reset(&env, DEVICE_RESET_POWER); // and a reset leaves it
	assert_int_equal(common_get(VIRTIO_DEVICE_AT, 8), 1);
	fake_clear(&env);
	resize(1024); // without a driver
	assert_false(env.line[0]);
	assert_int_equal(common_get(VIRTIO_DEVICE_AT, 8), 2);
	begin(MODERN);
	fake_write(&env, VIRTIO_BAR_MSIX, 32, 8, 0xfee00000);
	fake_write(&env, VIRTIO_BAR_MSIX, 40, 4, 0x52);
	fake_write(&env, VIRTIO_BAR_MSIX, 44, 4, 0);
	msix_on(false);
	common_set(VIRTIO_COMMON_CONFIG_VECTOR, 2, 2);
	resize(2048);
	assert_int_equal(env.messages, 1);
	assert_int_equal(env.message[0].vector, 0x52);
}

static void sizes_that_cannot_be(void **state)
{
	static const uint64_t sizes[] = {0, 511, 513, VIRTIO_BLK_BYTES_MAX + 512, UINT64_MAX};

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(sizes); i++)
		assert_false(env.device->model->accepts(env.device, DEVICE_SETTING_MEDIUM_BYTES,
			sizes[i]));
	assert_false(env.device->model->accepts(env.device, DEVICE_SETTING_MEDIUM_BYTES + 1, 512));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)
	const struct CMUnitTest tests[] = {
		TEST(capacity_changes),
		TEST(sizes_that_cannot_be),
	};

	return cmocka_run_group_tests_name("virtio_resize", tests, NULL, NULL);
}
