// SPDX-License-Identifier: BSD-2-Clause
// A machine with firmware's variables in a flash: it is saved and loaded with the machine, in the
// midst of a command, too, and what keeps it is told.
#include "tests/unit/snapshot_requests.h"

enum { BYTES = 132 * PFLASH_BLOCK_BYTES };
#define BASE (GUEST_RAM_HIGH - 256 * KIB - BYTES)

static int setup(void **state)
{
	bench_flash_bytes = BYTES;
	bench_display = VM_DISPLAY_VGA; // whose memory comes before
	flash_syncs = flash_submits = 0;
	return bench_setup(state);
}

static int teardown_flash(void **state)
{
	bench_flash_bytes = 0;
	bench_display = VM_DISPLAY_NONE;
	return teardown(state);
}

static void put(uint64_t at, uint64_t value)
{
	bus_mmio_write(vm, (struct gpa){at}, 1, value, vm_now(vm));
}

static uint64_t get(uint64_t at)
{
	return bus_mmio_read(vm, (struct gpa){at}, 1, vm_now(vm));
}

static bool shows_array(unsigned which)
{
	return ((struct vm_device *)vm->flashes[which]->owner)->wires[PFLASH_OUTPUT_ARRAY].level;
}

static uint8_t *contents(void)
{
	return vm->device_memory.blocks[vm->device_memory.block_count - 1];
}

static void the_chips_are_in_their_places(void **state)
{
	(void)state;
	assert_ptr_not_equal(vm->flashes[VM_FLASH_CODE], vm->flashes[VM_FLASH_VARS]);
	assert_true(shows_array(VM_FLASH_CODE) && shows_array(VM_FLASH_VARS));
	contents()[0] = 0x11;
	contents()[BYTES - 1] = 0x22;
	assert_int_equal(get(BASE), 0x11);
	assert_int_equal(get(BASE + BYTES - 1), 0x22);
	assert_int_equal(get(BASE - 1), 0xff); // nobody
	vm->requests = 0;
	put(GUEST_RAM_HIGH - 16, 0x70);
	assert_false(shows_array(VM_FLASH_CODE));
	assert_true(shows_array(VM_FLASH_VARS));
	assert_int_equal(vm->requests, BIT(VM_REQUEST_MAP));
	assert_int_equal(get(BASE + BYTES), 0x80); // the other one's status
	assert_int_equal(vm->device_memory.shown_count, VGA_MEMORY_BYTES / LARGE_PAGE_BYTES);
	assert_int_equal(device_memory_place(vm, vm->device_memory.shown_count),
		DEVICE_MEMORY_NOWHERE);
}

static void contents_and_command_come_back(void **state)
{
	struct snapshot_stream again;
	const uint8_t *before = contents();
	struct vm_device *vars;

	(void)state;
	memset(contents(), 0xff, BYTES);
	put(BASE + 5, 0x10);
	put(BASE + 5, 0x5a);
	put(BASE + 6, 0x10); // and what it is comes behind
	assert_false(shows_array(VM_FLASH_VARS));
	vm->requests = 0;
	assert_int_equal(save(&stream), STATUS_OK);
	memset(contents(), 0x33, BYTES);
	put(BASE + 6, 0x12);
	put(BASE, 0xff);
	assert_true(shows_array(VM_FLASH_VARS));
	assert_int_equal(flash_submits, 1);
	vm->requests = 0;
	assert_int_equal(load(), STATUS_OK);
	assert_int_equal(flash_syncs, 1);
	assert_ptr_not_equal(contents(), before);
	assert_false(shows_array(VM_FLASH_VARS));
	assert_true(shows_array(VM_FLASH_CODE));
	vars = vm->flashes[VM_FLASH_VARS]->owner;
	assert_ptr_equal(vars->vm, vm);
	assert_int_equal(save(&again), STATUS_OK);
	assert_true(snapshot_stream_equals(&stream, &again));
	snapshot_stream_free(&again);
	put(BASE + 6, 0x12);
	assert_int_equal(contents()[5], 0x5a);
	assert_int_equal(contents()[6], 0x12);
	put(BASE, 0xff);
	assert_int_equal(flash_submits, 2);
	assert_int_equal(vm->requests & BIT(DEVICE_REQUEST_SETTLE), BIT(DEVICE_REQUEST_SETTLE));
}

static void a_flash_of_another_size_is_refused(void **state)
{
	(void)state;
	vm->config.flash.bytes -= PFLASH_BLOCK_BYTES;
	assert_int_equal(save(&stream), STATUS_OK);
	vm->config.flash.bytes += PFLASH_BLOCK_BYTES;
	assert_int_equal(load(), STATUS_INVALID);
	assert_int_equal(flash_syncs, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_chips_are_in_their_places, setup,
			teardown_flash),
		cmocka_unit_test_setup_teardown(contents_and_command_come_back, setup,
			teardown_flash),
		cmocka_unit_test_setup_teardown(a_flash_of_another_size_is_refused, setup,
			teardown_flash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
