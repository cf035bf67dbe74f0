// SPDX-License-Identifier: BSD-2-Clause
// A flash chip: commands as OVMF and Linux's mtd give them, what is refused, and what goes to the
// back end, in which order.
#include "emul/pflash.h"

#include <string.h>

#include "tests/unit/fake_env.h"

enum {
	BLOCK = PFLASH_BLOCK_BYTES,
	BLOCKS = 132, // OVMF's variables
	BYTES = BLOCKS * BLOCK,
	READY = 0x80,
	STORE_NS = 10000000,
};

static struct fake_env env;
static bool read_only;

static void configure(struct device *device)
{
	pflash_configure(device, BYTES, read_only);
}

static int setup(void **state)
{
	(void)state;
	read_only = false;
	fake_configure = configure;
	(void)fake_create(&env, &pflash_model);
	env.submit_answer = STATUS_OK;
	memset(env.memory, 0xff, BYTES);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_destroy(&env);
	return 0;
}

static void put(uint64_t offset, unsigned size, uint64_t value)
{
	fake_write(&env, PFLASH_REGION_CHIP, offset, size, value);
}

static uint64_t get(uint64_t offset, unsigned size)
{
	return fake_read(&env, PFLASH_REGION_CHIP, offset, size) & UINT64_MAX >> (64 - 8 * size);
}

static uint8_t status(void)
{
	put(0, 1, 0x70);
	return (uint8_t)get(0, 1);
}

static void byte_program(uint64_t offset, uint8_t value)
{
	put(offset, 1, 0x10);
	put(offset, 1, value);
}

static void block_erase(uint64_t offset)
{
	put(offset, 1, 0x20);
	put(offset, 1, 0xd0);
}

static bool shows_array(void)
{
	return env.line[PFLASH_OUTPUT_ARRAY];
}

static void completes(void)
{
	fake_complete(&env, PFLASH_PORT_STORE, env.io.request, STATUS_OK);
}

// As OVMF finds out whether it has a flash: the register is cleared as a whole.
static void ovmf_detects_it(void **state)
{
	(void)state;
	assert_true(shows_array());
	env.memory[40] = '_';
	assert_int_equal(get(40, 1), '_');
	put(40, 1, 0x50);
	assert_true(shows_array());
	assert_int_equal(get(40, 1), '_');
	put(40, 1, 0x70);
	assert_false(shows_array());
	assert_int_equal(get(40, 1), 0);
	put(40, 1, 0xff);
	assert_true(shows_array());
	assert_int_equal(get(40, 1), '_');
	assert_int_equal(env.submits, 0);
}

// As OVMF writes: byte by byte, without a look at the status, and then the array.
static void bytes_are_programmed(void **state)
{
	const char text[] = "variable";

	(void)state;
	for (unsigned i = 0; i < sizeof(text); i++)
		byte_program(BLOCK + 100 + i, (uint8_t)text[i]);
	assert_memory_equal(env.memory + BLOCK + 100, text, sizeof(text));
	assert_false(shows_array());
	assert_int_equal(env.submits, 0); // they go together
	put(BLOCK + 100, 1, 0xff);
	assert_true(shows_array());
	assert_int_equal(env.submits, 1);
	assert_int_equal(env.io.kind, DEVICE_IO_FLUSH);
	assert_int_equal(env.io.offset, BLOCK);
	assert_int_equal(env.io.bytes, BLOCK);
	assert_int_equal(env.io.piece_count, 0);
	assert_int_equal(env.request, DEVICE_REQUEST_SETTLE);
	fake_advance(&env, 2 * (uint64_t)STORE_NS);
	assert_int_equal(env.submits, 1);
}

static void a_program_clears_bits_alone(void **state)
{
	(void)state;
	byte_program(7, 0x5a);
	byte_program(7, 0xf0);
	assert_int_equal(env.memory[7], 0x50);
	assert_int_equal(env.memory[8], 0xff);
	block_erase(5);
	assert_int_equal(env.memory[7], 0xff);
	put(16, 4, 0x40);
	put(16, 4, 0x12345678);
	put(20, 2, 0x10);
	put(20, 2, 0xabcd);
	put(24, 8, 0x1122334400000040); // two accesses: a command, and what it programs
	put(0, 1, 0xff);
	assert_int_equal(get(16, 8), 0xffffabcd12345678);
	assert_int_equal(get(24, 8), 0x11223344ffffffff);
	assert_int_equal(get(17, 2), 0x3456);
}

static void ready_means_durable(void **state)
{
	(void)state;
	assert_int_equal(status(), READY);
	block_erase(3 * BLOCK + 17);
	assert_int_equal(env.submits, 0);
	assert_int_equal(get(0, 1), 0); // who asks has it stored
	assert_int_equal(env.submits, 1);
	assert_int_equal(env.io.offset, 3 * BLOCK);
	assert_int_equal(get(0, 4), 0);
	completes();
	assert_int_equal(get(0, 1), READY);
	assert_int_equal(get(0, 4), READY | READY << 16);
	assert_int_equal(get(0, 2), READY);
	byte_program(0, 1);
	byte_program(BLOCK, 1);
	byte_program(2 * BLOCK, 1);
	assert_int_equal(env.submits, 3);
	completes();
	assert_int_equal(get(0, 1), 0);
	completes();
	completes();
	assert_int_equal(get(0, 1), READY);
	completes(); // of a state that contradicts itself
	assert_int_equal(get(0, 1), READY);
}

static void blocks_go_in_order(void **state)
{
	(void)state;
	block_erase(9 * BLOCK);
	byte_program(9 * BLOCK + 1, 0);
	assert_int_equal(env.submits, 0);
	byte_program(4 * BLOCK, 0); // before this changes, the other is on its way
	assert_int_equal(env.submits, 1);
	assert_int_equal(env.io.offset, 9 * BLOCK);
	assert_int_equal(env.memory[4 * BLOCK], 0);
	fake_advance(&env, STORE_NS - 1);
	assert_int_equal(env.submits, 1);
	fake_advance(&env, 1); // nobody came back to it
	assert_int_equal(env.submits, 2);
	assert_int_equal(env.io.offset, 4 * BLOCK);
}

static void what_does_not_go_on_is_not_changed(void **state)
{
	(void)state;
	byte_program(0, 0);
	env.submit_answer = STATUS_BUSY;
	block_erase(BLOCK);
	env.memory[BLOCK] = 0x12;
	byte_program(BLOCK, 0);
	assert_int_equal(env.memory[BLOCK], 0x12);
	assert_int_equal(get(0, 1), 0x30); // erase error, program error, and not ready
	fake_advance(&env, STORE_NS);
	env.submit_answer = STATUS_OK;
	fake_advance(&env, STORE_NS);
	assert_int_equal(env.io.offset, 0);
	completes();
	assert_int_equal(get(0, 1), READY | 0x30);
	put(0, 1, 0x50);
	byte_program(BLOCK, 0);
	assert_int_equal(env.memory[BLOCK], 0);
	env.submit_answer = STATUS_UNSUPPORTED; // nobody keeps it: it is as durable as it gets
	assert_int_equal(status(), READY);
}

static void a_failure_is_an_error(void **state)
{
	(void)state;
	byte_program(0, 0);
	put(0, 1, 0xff);
	fake_complete(&env, PFLASH_PORT_STORE, env.io.request, STATUS_IO);
	assert_int_equal(status(), READY | 0x10);
	put(0, 1, 0x50);
	block_erase(0);
	put(0, 1, 0xff);
	fake_complete(&env, PFLASH_PORT_STORE, env.io.request, STATUS_IO);
	assert_int_equal(status(), READY | 0x20);
}

static void buffers_are_written(void **state)
{
	uint8_t expected[512];

	(void)state;
	memset(expected, 0xff, sizeof(expected));
	put(0x300, 1, 0xe8);
	assert_int_equal(get(0x300, 1), READY);
	put(0x300, 1, 4 - 1);
	for (unsigned i = 0; i < 4; i++) {
		put(0x310 + i, 1, 0x20 + i);
		expected[0x10 + i] = (uint8_t)(0x20 + i);
	}
	assert_int_equal(env.memory[0x310], 0xff);
	put(0x300, 1, 0xd0);
	assert_memory_equal(env.memory + 0x300, expected, sizeof(expected));
	assert_int_equal(get(0, 1), 0);
	completes();
	assert_int_equal(get(0, 1), READY);
	put(0x400, 1, 0xe8); // over its end
	put(0x400, 1, 1);
	put(0x4ff, 1, 0);
	put(0x500, 1, 0);
	put(0x400, 1, 0xd0);
	assert_int_equal(get(0, 1), READY | 0x30);
	assert_int_equal(env.memory[0x4ff], 0xff);
	put(0, 1, 0x50);
	put(0x400, 1, 0xe8); // never confirmed
	put(0x400, 1, 0);
	put(0x400, 1, 0);
	put(0x400, 1, 0x10);
	assert_true(shows_array());
	assert_int_equal(env.memory[0x400], 0xff);
	assert_int_equal(status() & 0x30, 0x30);
	put(0, 1, 0x50);
	put(0, 1, 0xe8); // all of it, in pieces of four
	put(0, 1, 63);
	for (unsigned i = 0; i < 64; i++)
		put(4 * i, 4, i * 0x01010101u);
	put(0, 1, 0xd0);
	assert_int_equal(env.memory[255], 63);
	assert_int_equal(env.memory[256], 0xff);
}

static void linux_finds_it(void **state)
{
	char text[3];

	(void)state;
	put(0x55, 1, 0x98);
	for (unsigned i = 0; i < sizeof(text); i++)
		text[i] = (char)get(0x10 + i, 1);
	assert_memory_equal(text, "QRY", 3);
	assert_int_equal(get(0x13, 1) | get(0x14, 1) << 8, 1);
	assert_int_equal(get(get(0x15, 1), 1), 'P');
	assert_int_equal(get(0x27, 1), 20); // 1 MiB, the first that holds it
	assert_int_equal(get(0x2a, 1), 8);
	assert_int_equal(get(0x2c, 1), 1);
	assert_int_equal(get(0x2d, 1) | get(0x2e, 1) << 8, BLOCKS - 1);
	assert_int_equal((get(0x2f, 1) | get(0x30, 1) << 8) * 256, BLOCK);
	assert_int_equal(get(0x80, 1), 0);
	put(0, 1, 0xf0); // it stays
	assert_int_equal(get(0x10, 1), 'Q');
	put(0, 1, 0xff);
	assert_true(shows_array());
	put(0, 1, 0x90);
	assert_int_equal(get(0, 2), 0);
	assert_int_equal(get(2, 1), 0); // no block is locked
	put(0, 1, 0x60);
	put(0, 1, 0xd0);
	assert_int_equal(get(0, 1), READY);
	put(0, 1, 0x60);
	put(0, 1, 0x01);
	assert_int_equal(status(), READY);
	byte_program(0, 0);
	assert_int_equal(env.memory[0], 0); // a lock that holds nothing
}

static void odd_commands_lead_to_the_array(void **state)
{
	static const uint8_t odd[] = {0x00, 0x01, 0xb0, 0xd0, 0xf0, 0xff};

	(void)state;
	for (unsigned i = 0; i < sizeof(odd); i++) {
		put(0, 1, 0x70);
		put(0, 1, odd[i]);
		assert_true(shows_array());
	}
	assert_int_equal(status(), READY);
	put(0, 1, 0x20);
	put(0, 1, 0xff); // given up
	assert_true(shows_array());
	assert_int_equal(status(), READY);
	put(0, 1, 0x20);
	put(0, 1, 0x20);
	assert_int_equal(status(), READY | 0x30);
	assert_int_equal(env.memory_writes, 0);
}

static void a_read_only_chip_refuses(void **state)
{
	(void)state;
	fake_destroy(&env);
	read_only = true;
	(void)fake_create(&env, &pflash_model);
	byte_program(0, 0);
	assert_int_equal(get(0, 1), READY | 0x10);
	block_erase(0);
	assert_int_equal(get(0, 1), READY | 0x30);
	put(0, 1, 0xff);
	assert_int_equal(env.memory_writes, 0);
	assert_int_equal(env.submits, 0);
	assert_true(shows_array());
}

static void a_reset_keeps_what_it_holds(void **state)
{
	(void)state;
	byte_program(5 * BLOCK, 0);
	fake_reset(&env, DEVICE_RESET_LINE);
	assert_true(shows_array());
	assert_int_equal(get(5 * BLOCK, 1), 0);
	fake_advance(&env, STORE_NS);
	assert_int_equal(env.submits, 1);
	assert_int_equal(env.io.offset, 5 * BLOCK);
	fake_reset(&env, DEVICE_RESET_LINE); // its back end has answered
	assert_int_equal(status(), READY);
}

static void the_state_is_whole(void **state)
{
	(void)state;
	fake_check_coverage(&pflash_model);
	fake_check_ranges(&env);
	byte_program(BLOCK, 0x12);
	block_erase(2 * BLOCK);
	put(0x300, 1, 0xe8);
	put(0x300, 1, 1);
	put(0x301, 1, 0x34);
	(void)fake_save_and_load(&env);
	put(0x302, 1, 0x56);
	(void)fake_save_and_load(&env);
	assert_false(shows_array());
	put(0x300, 1, 0xd0);
	assert_int_equal(env.submits, 2);
	assert_int_equal(env.io.offset, 2 * BLOCK);
	assert_int_equal(env.memory[0x301], 0x34);
	assert_int_equal(env.memory[0x302], 0x56);
	(void)fake_save_and_load(&env);
	put(0, 1, 0xff);
	assert_int_equal(env.submits, 3);
	assert_int_equal(status(), 0);
	for (unsigned i = 0; i < 3; i++)
		completes();
	assert_int_equal(status(), READY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(ovmf_detects_it, setup, teardown),
		cmocka_unit_test_setup_teardown(bytes_are_programmed, setup, teardown),
		cmocka_unit_test_setup_teardown(a_program_clears_bits_alone, setup, teardown),
		cmocka_unit_test_setup_teardown(ready_means_durable, setup, teardown),
		cmocka_unit_test_setup_teardown(blocks_go_in_order, setup, teardown),
		cmocka_unit_test_setup_teardown(what_does_not_go_on_is_not_changed, setup,
			teardown),
		cmocka_unit_test_setup_teardown(a_failure_is_an_error, setup, teardown),
		cmocka_unit_test_setup_teardown(buffers_are_written, setup, teardown),
		cmocka_unit_test_setup_teardown(linux_finds_it, setup, teardown),
		cmocka_unit_test_setup_teardown(odd_commands_lead_to_the_array, setup, teardown),
		cmocka_unit_test_setup_teardown(a_read_only_chip_refuses, setup, teardown),
		cmocka_unit_test_setup_teardown(a_reset_keeps_what_it_holds, setup, teardown),
		cmocka_unit_test_setup_teardown(the_state_is_whole, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
