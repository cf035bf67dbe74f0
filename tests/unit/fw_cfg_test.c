// SPDX-License-Identifier: BSD-2-Clause
// QEMU's docs/specs/fw_cfg.rst, register by register.
#include <string.h>

#include "tests/unit/fake_env.h"

#include "emul/fw_cfg.h"

enum { DESCRIPTION = 0x100, DATA = 0x1000, BIG = 200 * 1024, KEY_BIG = 0x21 };

static struct fake_env env;
static uint8_t big[BIG];
static const uint32_t id = FW_CFG_ID_TRADITIONAL | FW_CFG_ID_DMA;
static const struct fw_cfg_item items[] = {
	{.key = FW_CFG_SIGNATURE, .data = "QEMU", .bytes = 4},
	{.key = FW_CFG_ID, .data = &id, .bytes = 4},
	{.key = FW_CFG_FILE_FIRST, .data = "configuration", .bytes = 13},
	{.key = KEY_BIG, .data = big, .bytes = BIG},
};

static void configure(struct device *device)
{
	fw_cfg_configure(device, items, ARRAY_COUNT(items));
}

static int setup(void **state)
{
	(void)state;
	fake_configure = configure;
	for (unsigned i = 0; i < BIG; i++)
		big[i] = (uint8_t)(i * 7 + (i >> 8));
	fake_create(&env, &fw_cfg_model);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_destroy(&env);
	fake_configure = NULL;
	return 0;
}

static void select_key(uint16_t key)
{
	fake_write(&env, FW_CFG_REGION_SELECTOR, 0, 2, key);
}

static uint8_t data(void)
{
	return (uint8_t)fake_read(&env, FW_CFG_REGION_SELECTOR, 1, 1);
}

static void expect_data(const char *expected)
{
	for (; *expected != '\0'; expected++)
		assert_int_equal(data(), *expected);
}

static void test_ports(void **state)
{
	(void)state;
	expect_data("QEMU"); // key 0 after a reset
	assert_int_equal(data(), 0);
	select_key(FW_CFG_FILE_FIRST);
	expect_data("config");
	fake_save_and_load(&env);
	expect_data("uration");
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(data(), 0);
	select_key(FW_CFG_ID);
	assert_int_equal(data(), 3);
	select_key(0x1234);
	assert_int_equal(data(), 0);
	select_key(FW_CFG_SIGNATURE);
	fake_write(&env, FW_CFG_REGION_SELECTOR, 1, 1, 0x55); // dropped
	fake_write(&env, FW_CFG_REGION_SELECTOR, 0, 1, 0x20);
	expect_data("QEMU");
	select_key(FW_CFG_FILE_FIRST);
	fake_reset(&env, DEVICE_RESET_LINE);
	expect_data("QEMU");
}

static void test_dma_signature(void **state)
{
	(void)state;
	assert_int_equal((uint32_t)fake_read(&env, FW_CFG_REGION_DMA, 0, 4), 0x554d4551); // "QEMU"
	assert_int_equal((uint32_t)fake_read(&env, FW_CFG_REGION_DMA, 4, 4), 0x47464320); // " CFG"
	assert_int_equal((uint8_t)fake_read(&env, FW_CFG_REGION_DMA, 7, 1), 'G');
}

static void describe(uint32_t control, uint32_t bytes, uint64_t to)
{
	control = __builtin_bswap32(control);
	bytes = __builtin_bswap32(bytes);
	to = __builtin_bswap64(to);
	memcpy(env.ram + DESCRIPTION, &control, 4);
	memcpy(env.ram + DESCRIPTION + 4, &bytes, 4);
	memcpy(env.ram + DESCRIPTION + 8, &to, 8);
}

static void start(uint64_t at)
{
	fake_write(&env, FW_CFG_REGION_DMA, 0, 4, __builtin_bswap32((uint32_t)(at >> 32)));
	fake_write(&env, FW_CFG_REGION_DMA, 4, 4, __builtin_bswap32((uint32_t)at));
}

static uint32_t control_now(void)
{
	uint32_t control;

	memcpy(&control, env.ram + DESCRIPTION, 4);
	return __builtin_bswap32(control);
}

static void transfer(uint32_t control, uint32_t bytes, uint64_t to)
{
	describe(control, bytes, to);
	start(DESCRIPTION);
}

enum { ERROR = 1, READ = 2, SKIP = 4, SELECT = 8, WRITE = 16 };

static void test_dma(void **state)
{
	(void)state;
	transfer((uint32_t)FW_CFG_FILE_FIRST << 16 | SELECT | READ, 6, DATA);
	assert_int_equal(control_now(), 0);
	assert_memory_equal(env.ram + DATA, "config", 6);
	assert_int_equal(env.ram[DATA + 6], 0);
	transfer(READ, 2, DATA);
	assert_memory_equal(env.ram + DATA, "ur", 2);
	transfer(SKIP, 2, 0);
	assert_int_equal(control_now(), 0);
	memset(env.ram + DATA, 0x55, 16);
	transfer(READ, 10, DATA); // zeros behind its end
	assert_memory_equal(env.ram + DATA, "ion\0\0\0\0\0\0\0\x55", 11);
	transfer(SELECT, 0, 0);
	expect_data("QEMU");
	transfer(READ, 0, DATA);
	assert_int_equal(control_now(), 0);
	// The address may come in one access.
	describe((uint32_t)FW_CFG_ID << 16 | SELECT | READ, 4, DATA);
	fake_write(&env, FW_CFG_REGION_DMA, 0, 8, __builtin_bswap64((uint64_t)DESCRIPTION));
	assert_int_equal(env.ram[DATA], 3);
}

static void test_dma_errors(void **state)
{
	(void)state;
	transfer((uint32_t)FW_CFG_FILE_FIRST << 16 | SELECT | WRITE, 4, DATA);
	assert_int_equal(control_now(), ERROR);
	transfer(READ, 4, FAKE_RAM_BYTES - 2); // not RAM
	assert_int_equal(control_now(), ERROR);
	transfer(READ, 8192, FAKE_RAM_BYTES - 4096); // its end is not
	assert_int_equal(control_now(), ERROR);
	start(FAKE_RAM_BYTES - 8); // no room for a description
	start(UINT64_MAX);
	describe(READ, 4, DATA);
	fake_write(&env, FW_CFG_REGION_DMA, 4, 2, DESCRIPTION); // no register
	assert_int_equal(control_now(), READ);
	transfer((uint32_t)FW_CFG_SIGNATURE << 16 | SELECT | READ, 4, DATA);
	assert_memory_equal(env.ram + DATA, "QEMU", 4);
}

// More than is done at once: the rest comes in bottom halves, and others wait.
static void test_long_transfer(void **state)
{
	enum { BYTES = 50 * 1024, SKIPPED = 150 * 1024 };
	uint32_t rounds = 0;

	(void)state;
	transfer((uint32_t)KEY_BIG << 16 | SELECT | SKIP, SKIPPED, 0);
	transfer(READ, BYTES, DATA);
	while (env.bottom_half[0] && rounds < 10) {
		assert_int_equal(control_now(), READ);
		assert_int_equal(data(), 0);
		select_key(FW_CFG_ID);
		start(DESCRIPTION);
		fake_save_and_load(&env);
		fake_run_bottom_halves(&env);
		rounds++;
	}
	assert_in_range(rounds, 1, 9);
	assert_int_equal(control_now(), 0);
	assert_memory_equal(env.ram + DATA, big + SKIPPED, BYTES);
	assert_int_equal(env.ram[DATA + BYTES], 0);
	// One that is never done ends with a reset.
	transfer(READ, UINT32_MAX, 0x8000);
	assert_true(env.bottom_half[0]);
	fake_reset(&env, DEVICE_RESET_LINE);
	expect_data("QEMU");
}

static void test_state(void **state)
{
	uint64_t seed = 7;

	(void)state;
	fake_check_coverage(&fw_cfg_model);
	fake_check_ranges(&env);
	for (unsigned i = 0; i < 2000; i++) {
		seed = seed * 6364136223846793005 + 1442695040888963407;
		describe((uint32_t)(seed >> 40) & 0x3f001f, (uint32_t)(seed >> 20) & 0x1ffff,
			seed >> 48);
		fake_write(&env, (unsigned)(seed >> 63), seed >> 60 & 4,
			1u << (seed >> 58 & 1 ? 2 : 1),
			seed >> 57 & 1 ? seed >> 30 : __builtin_bswap32(DESCRIPTION));
		(void)fake_read(&env, FW_CFG_REGION_SELECTOR, seed >> 59 & 1, 1);
		fake_save_and_load(&env);
		fake_run_bottom_halves(&env);
		assert_int_equal(state_check(fw_cfg_model.state, env.device, NULL), STATUS_OK);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_ports),
		TEST(test_dma_signature),
		TEST(test_dma),
		TEST(test_dma_errors),
		TEST(test_long_transfer),
		TEST(test_state),
	};

	return cmocka_run_group_tests_name("fw_cfg", tests, NULL, NULL);
}
