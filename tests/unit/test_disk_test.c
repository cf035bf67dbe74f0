// SPDX-License-Identifier: BSD-2-Clause
// The disk for tests of back ends, by itself: its registers and its state.
#include "emul/test_disk.h"

#include "emul/pcidev_msi.h"
#include "tests/unit/fake_env.h"

static struct fake_env env;

static int setup(void **state)
{
	(void)state;
	env.submit_answer = STATUS_OK;
	(void)fake_create(&env, &test_disk_model);
	fake_write(&env, PCIDEV_REGION_CONFIG, PCIDEV_COMMAND, 2, PCIDEV_COMMAND_MASTER);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_destroy(&env);
	return 0;
}

static void set(unsigned number, uint32_t value)
{
	fake_write(&env, TEST_DISK_REGION_REGISTERS, number * 4, 4, value);
}

static uint32_t get(unsigned number)
{
	return (uint32_t)fake_read(&env, TEST_DISK_REGION_REGISTERS, number * 4, 4);
}

static void start(unsigned tag, unsigned command, uint32_t at, uint32_t bytes)
{
	set(TEST_DISK_TAG, tag);
	set(TEST_DISK_ADDRESS, at);
	set(TEST_DISK_OFFSET, 0x77);
	set(TEST_DISK_BYTES, bytes);
	set(TEST_DISK_COMMAND, command);
}

static void a_request_goes_by_pages(void **state)
{
	(void)state;
	set(TEST_DISK_ADDRESS_HI, 1);
	start(5, DEVICE_IO_WRITE, 0x1ff0, 0x1020);
	assert_int_equal(env.submits, 1);
	assert_int_equal(env.io.request, 5);
	assert_int_equal(env.io.kind, DEVICE_IO_WRITE);
	assert_int_equal(env.io.offset, 0x77);
	assert_int_equal(env.io.piece_count, 3);
	assert_true(env.io_pieces[0].at.v == 0x100001ff0 && env.io_pieces[0].bytes == 0x10);
	assert_true(env.io_pieces[1].at.v == 0x100002000 && env.io_pieces[1].bytes == 0x1000);
	assert_true(env.io_pieces[2].at.v == 0x100003000 && env.io_pieces[2].bytes == 0x10);
	assert_int_equal(get(TEST_DISK_COMMAND), TEST_DISK_BUSY);
	start(5, DEVICE_IO_READ, 0, 1); // it is busy
	assert_int_equal(env.submits, 1);
	start(6, DEVICE_IO_FLUSH, 0, 100);
	assert_int_equal(env.io.piece_count, 0);
	start(7, DEVICE_IO_READ, 1, DEVICE_IO_BYTES_MAX);
	assert_int_equal(env.io.piece_count, 9);
	assert_int_equal(env.submits, 3);
}

static void completions_come_in_order(void **state)
{
	(void)state;
	set(TEST_DISK_INTERRUPT, 0xffffffff);
	assert_int_equal(get(TEST_DISK_INTERRUPT), 1);
	start(1, DEVICE_IO_READ, 0, 1);
	start(2, DEVICE_IO_READ, 0, 1);
	fake_complete(&env, 0, 2, STATUS_OK);
	assert_true(env.line[PCIDEV_OUTPUT_INTX] && fake_level(&env, PCIDEV_OUTPUT_INTX));
	fake_complete(&env, 0, 1, STATUS_IO);
	fake_complete(&env, 0, 1, STATUS_OK); // was told already
	fake_complete(&env, 0, 9, STATUS_OK); // was never asked for
	fake_complete(&env, 0, UINT64_MAX, STATUS_OK);
	(void)fake_save_and_load(&env);
	assert_int_equal(get(TEST_DISK_COMMAND), TEST_DISK_DONE);
	assert_int_equal(get(TEST_DISK_COMPLETED), 0x80000002);
	assert_true(env.line[PCIDEV_OUTPUT_INTX]);
	start(1, DEVICE_IO_READ, 0, 1); // its completion has not been taken
	assert_int_equal(get(TEST_DISK_COMMAND), TEST_DISK_FAILED);
	assert_int_equal(get(TEST_DISK_COMPLETED), 0x80000001);
	assert_false(env.line[PCIDEV_OUTPUT_INTX] || fake_level(&env, PCIDEV_OUTPUT_INTX));
	assert_int_equal(get(TEST_DISK_COMPLETED), 0);
}

static void what_is_refused_is_completed(void **state)
{
	(void)state;
	start(0, DEVICE_IO_FLUSH + 1, 0, 1);
	assert_int_equal(get(TEST_DISK_COMMAND), TEST_DISK_REFUSED);
	start(1, DEVICE_IO_READ, 0, DEVICE_IO_BYTES_MAX + 1);
	start(2, DEVICE_IO_READ, 0, UINT32_MAX);
	assert_int_equal(env.submits, 0);
	env.submit_answer = STATUS_RANGE;
	start(3, DEVICE_IO_READ, 0, 1);
	assert_int_equal(env.submits, 1);
	assert_int_equal(get(TEST_DISK_COMMAND), TEST_DISK_REFUSED);
	for (unsigned tag = 0; tag < 4; tag++)
		assert_int_equal(get(TEST_DISK_COMPLETED), 0x80000000 | tag);
}

static void config_set(unsigned offset, unsigned bytes, uint32_t value)
{
	fake_write(&env, PCIDEV_REGION_CONFIG, offset, bytes, value);
}

// Two of the four messages, by vectors 0x62 and 0x63.
static void msi_begin(void)
{
	config_set(TEST_DISK_MSI + PCIDEV_MSI_ADDRESS, 4, 0xfee01000);
	config_set(TEST_DISK_MSI + PCIDEV_MSI_DATA, 2, 0x62);
	config_set(TEST_DISK_MSI + PCIDEV_MSI_CONTROL, 2,
		1 << PCIDEV_MSI_ENABLED_SHIFT | PCIDEV_MSI_ENABLE);
}

static void completions_send_messages(void **state)
{
	(void)state;
	set(TEST_DISK_INTERRUPT, 1);
	start(2, DEVICE_IO_READ, 0, 1);
	start(3, DEVICE_IO_READ, 0, 1);
	fake_complete(&env, 0, 2, STATUS_OK);
	assert_true(env.line[PCIDEV_OUTPUT_INTX]);
	msi_begin();
	assert_false(env.line[PCIDEV_OUTPUT_INTX]); // 6.8.1.3: no pin while MSI is on
	assert_int_equal(env.messages, 0);
	fake_complete(&env, 0, 3, STATUS_OK);
	assert_int_equal(env.messages, 1);
	assert_int_equal(env.message[0].vector, 0x63);
	assert_int_equal(env.message[0].destination, 1);
	// Masked, it waits as long as there is something to tell.
	config_set(TEST_DISK_MSI + PCIDEV_MSI_MASK, 4, 2);
	start(5, DEVICE_IO_READ, 0, 1);
	fake_complete(&env, 0, 5, STATUS_OK);
	assert_int_equal(env.messages, 1);
	(void)fake_save_and_load(&env);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(fake_read(&env, PCIDEV_REGION_CONFIG,
			TEST_DISK_MSI + PCIDEV_MSI_PENDING, 4), 2);
		assert_true(get(TEST_DISK_COMPLETED) != 0);
	}
	assert_int_equal(fake_read(&env, PCIDEV_REGION_CONFIG, TEST_DISK_MSI + PCIDEV_MSI_PENDING,
		4), 0);
	config_set(TEST_DISK_MSI + PCIDEV_MSI_MASK, 4, 0);
	assert_int_equal(env.messages, 1);
	set(TEST_DISK_INTERRUPT, 0);
	start(5, DEVICE_IO_READ, 0, 1);
	fake_complete(&env, 0, 5, STATUS_OK);
	assert_int_equal(env.messages, 1);
}

static void memory_is_a_masters(void **state)
{
	(void)state;
	config_set(PCIDEV_COMMAND, 2, 0);
	start(0, DEVICE_IO_READ, 0, 1);
	assert_int_equal(env.submits, 0);
	assert_int_equal(get(TEST_DISK_COMMAND), TEST_DISK_REFUSED);
}

static void registers(void **state)
{
	(void)state;
	for (unsigned number = TEST_DISK_TAG; number < TEST_DISK_COMMAND; number++) {
		set(number, 0x12345679);
		assert_int_equal(get(number), number == TEST_DISK_TAG ? 9 : 0x12345679);
	}
	set(TEST_DISK_COMPLETED, 1);
	assert_int_equal(fake_read(&env, TEST_DISK_REGION_REGISTERS, 4, 2), 0xffff);
	assert_int_equal(fake_read(&env, TEST_DISK_REGION_REGISTERS, 2, 4), 0xffffffff);
	fake_write(&env, TEST_DISK_REGION_REGISTERS, 4, 1, 0);
	assert_int_equal(get(TEST_DISK_ADDRESS), 0x12345679);
	fake_reset(&env, DEVICE_RESET_LINE);
	for (unsigned number = TEST_DISK_TAG; number <= TEST_DISK_INTERRUPT; number++)
		assert_int_equal(get(number), 0);
}

static void state_is_whole(void **state)
{
	(void)state;
	fake_check_coverage(&test_disk_model);
	fake_check_ranges(&env);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_request_goes_by_pages),
		TEST(completions_come_in_order),
		TEST(completions_send_messages),
		TEST(memory_is_a_masters),
		TEST(what_is_refused_is_completed),
		TEST(registers),
		TEST(state_is_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
