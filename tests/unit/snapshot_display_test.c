// SPDX-License-Identifier: BSD-2-Clause
// A machine with a display: its video memory is saved and loaded with the machine.
#include "tests/unit/snapshot_requests.h"

enum { DISPLAY = 2 << 15, BASE = 0x40000000 };

static int setup(void **state)
{
	bench_display = VM_DISPLAY_VGA;
	return bench_setup(state);
}

static int teardown_display(void **state)
{
	bench_display = VM_DISPLAY_NONE;
	return teardown(state);
}

static uint64_t region_base(void)
{
	for (unsigned i = 1; i < BUS_REGIONS_MAX; i++)
		if (vm->bus.regions[i].memory)
			return vm->bus.regions[i].base;
	return 0;
}

static void configure(void)
{
	const struct guest_time now = vm_now(vm);

	bus_enter(&vm->bus);
	bus_pci_write(vm, DISPLAY | 0x10, 4, BASE, now);
	bus_pci_write(vm, DISPLAY | 0x04, 2, 3, now);
	bus_leave(vm, now);
	bus_port_write(vm, 0x3c4, 1, 2, now);
	bus_port_write(vm, 0x3c5, 1, 0x0d, now);
}

static void video_memory_comes_back(void **state)
{
	struct snapshot_stream again;
	const uint8_t *before = vm->device_memory.blocks[7];

	(void)state;
	configure();
	assert_int_equal(region_base(), BASE);
	bus_mmio_write(vm, (struct gpa){BASE + VGA_MEMORY_BYTES - 8}, 8, 0x1122334455667788,
		vm_now(vm));
	assert_int_equal(save(&stream), STATUS_OK);
	memset(vm->device_memory.blocks[7], 0, LARGE_PAGE_BYTES);
	vm->device_memory.blocks[0][0] = 5;
	assert_int_equal(load(), STATUS_OK);
	assert_ptr_not_equal(vm->device_memory.blocks[7], before);
	assert_int_equal(vm->device_memory.blocks[0][0], 0);
	assert_int_equal(region_base(), BASE);
	assert_ptr_equal(((struct vm_device *)vm->display->owner)->vm, vm);
	assert_int_equal(bus_mmio_read(vm, (struct gpa){BASE + VGA_MEMORY_BYTES - 8}, 8,
		vm_now(vm)), 0x1122334455667788);
	assert_int_equal(save(&again), STATUS_OK);
	assert_true(snapshot_stream_equals(&stream, &again));
	snapshot_stream_free(&again);
}

// A block that a machine without a display would not have.
static void memory_that_is_not_there_is_refused(void **state)
{
	uint32_t block = 2 + VGA_MEMORY_BYTES / LARGE_PAGE_BYTES;
	uint8_t *bytes;
	bool found = false;

	(void)state;
	vm->device_memory.blocks[7][0] = 1;
	assert_int_equal(save(&stream), STATUS_OK);
	bytes = bytes_of(&stream);
	for (uint64_t at = 0; at + 32 < stream.bytes && !found; at += 8) {
		uint32_t instance;

		memcpy(&instance, bytes + at + 16, sizeof(instance));
		if (strcmp((const char *)bytes + at, "ram") != 0 || instance != block - 1)
			continue;
		memcpy(bytes + at + 16, &block, sizeof(block));
		found = true;
	}
	assert_true(found);
	checksums_mend(&stream);
	assert_int_equal(load(), STATUS_INVALID);
	assert_int_equal(vm->device_memory.blocks[7][0], 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(video_memory_comes_back, setup, teardown_display),
		cmocka_unit_test_setup_teardown(memory_that_is_not_there_is_refused, setup,
			teardown_display),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
