// SPDX-License-Identifier: BSD-2-Clause
// A device's own memory: copies, accesses through its region, and where guests have it mapped.
#include "tests/unit/bus_bench.h"

#include "emul/lapic.h"

enum { REGION = 2, BLOCKS = 3 };
#define BASE  UINT64_C(0xe0000000)
#define BYTES (BLOCKS * LARGE_PAGE_BYTES)

static struct device_model with_memory;

static int setup(void **state)
{
	bench_setup(state);
	with_memory = model;
	with_memory.memory_bytes = BYTES;
	with_memory.memory_region = REGION;
	probe(B)->model = &with_memory;
	vm->display = probe(B);
	return device_memory_create(&vm->device_memory, BYTES) == STATUS_OK ? 0 : -1;
}

static int teardown(void **state)
{
	device_memory_destroy(&vm->device_memory);
	return bench_teardown(state);
}

static void move(uint64_t base)
{
	const struct guest_time now = {NOW};

	bus_enter(&vm->bus);
	if (base == 0)
		device_unmap_region(probe(B), REGION);
	else
		device_map_region(probe(B), REGION, DEVICE_SPACE_MMIO, base, BYTES);
	bus_leave(vm, now);
}

// What memory_map_update does.
static void settle(void)
{
	for (uint64_t i = 0; i < BLOCKS; i++)
		vm->device_memory.mapped[i] = device_memory_place(vm, i);
	vm->requests = 0;
}

static uint64_t get(uint64_t at, unsigned bytes)
{
	return bus_mmio_read(vm, (struct gpa){at}, bytes, (struct guest_time){NOW});
}

static void put(uint64_t at, unsigned bytes, uint64_t value)
{
	bus_mmio_write(vm, (struct gpa){at}, bytes, value, (struct guest_time){NOW});
}

static void test_copies(void **state)
{
	const uint64_t border = LARGE_PAGE_BYTES - 4;
	uint8_t there[8] = {1, 2, 3, 4, 5, 6, 7, 8}, back[8];

	(void)state;
	device_memory_put(&vm->device_memory, border, there, sizeof(there));
	device_memory_get(&vm->device_memory, border, back, sizeof(back));
	assert_memory_equal(there, back, sizeof(there));
	assert_int_equal(vm->device_memory.blocks[1][3], 8);
	assert_int_equal(vm->device_memory.written[0], 1);
	assert_int_equal(vm->device_memory.written[1], 1);
	assert_int_equal(vm->device_memory.written[2], 0);
	expect_assert_failure(device_memory_get(&vm->device_memory, BYTES - 4, back, 8));
	expect_assert_failure(device_memory_put(&vm->device_memory, UINT64_MAX, back, 8));
}

// Where the map does not have it yet, the bus does.
static void test_accesses(void **state)
{
	(void)state;
	move(BASE);
	assert_int_equal(vm->requests, BIT(VM_REQUEST_MAP));
	put(BASE + 5, 8, 0x1122334455667788);
	assert_int_equal(get(BASE + 5, 8), 0x1122334455667788);
	assert_int_equal(get(BASE + 8, 2), 0x4455);
	assert_int_equal(vm->device_memory.blocks[0][5], 0x88);
	put(BASE + LARGE_PAGE_BYTES - 1, 2, 0xbbaa);
	assert_int_equal(vm->device_memory.blocks[0][LARGE_PAGE_BYTES - 1], 0xaa);
	assert_int_equal(vm->device_memory.blocks[1][0], 0xbb);
	put(BASE + BYTES - 2, 4, 0x44332211); // and beyond its end
	assert_int_equal(get(BASE + BYTES - 2, 4), 0xffffffff);
	assert_int_equal(count, 0); // the device has heard nothing
	assert_null(vm->bus.owner);
	device_memory_get(&vm->device_memory, 0, &(uint8_t){0}, 1);
}

static void test_effects(void **state)
{
	uint32_t value = 0x12345678;

	(void)state;
	device_memory_write(probe(B), 64, &value, sizeof(value));
	value = 0;
	device_memory_read(probe(B), 64, &value, sizeof(value));
	assert_int_equal(value, 0x12345678);
}

static void test_place(void **state)
{
	(void)state;
	assert_true(device_memory_is_placed(vm));
	assert_int_equal(device_memory_place(vm, 0), DEVICE_MEMORY_NOWHERE);
	move(BASE);
	for (uint64_t i = 0; i < BLOCKS; i++)
		assert_int_equal(device_memory_place(vm, i), BASE + i * LARGE_PAGE_BYTES);
	settle();
	assert_true(device_memory_is_placed(vm));
	move(BASE); // nothing new
	assert_int_equal(vm->requests, 0);
	move(0);
	assert_int_equal(vm->requests, BIT(VM_REQUEST_MAP));
	settle();
	move(BASE + PAGE_BYTES); // blocks are mapped as a whole
	assert_int_equal(vm->requests, 0);
	put(BASE + PAGE_BYTES, 1, 7);
	assert_int_equal(vm->device_memory.blocks[0][0], 7);
	move(UINT64_C(0x7fffffff00000000) & ~(LARGE_PAGE_BYTES - 1));
}

// Wherever something else answers, nothing is mapped over it.
static void test_neighbours(void **state)
{
	(void)state;
	map(A, 0, DEVICE_SPACE_MMIO, BASE + LARGE_PAGE_BYTES + 0x1000, 0x1000, 8);
	move(BASE);
	assert_int_equal(device_memory_place(vm, 0), BASE);
	assert_int_equal(device_memory_place(vm, 1), DEVICE_MEMORY_NOWHERE);
	assert_int_equal(device_memory_place(vm, 2), BASE + 2 * LARGE_PAGE_BYTES);
	settle();
	probes[A].answer = 0x55;
	assert_int_equal(get(BASE + LARGE_PAGE_BYTES + 0x1000, 1), 0x55);
	put(BASE + LARGE_PAGE_BYTES + 0x0fff, 1, 0x66);
	assert_int_equal(vm->device_memory.blocks[1][0xfff], 0x66);
	bus_enter(&vm->bus); // another device comes, below and beside
	device_map_region(probe(C), 1, DEVICE_SPACE_MMIO, BASE - 0x1000, 0x2000);
	bus_leave(vm, (struct guest_time){NOW});
	assert_int_equal(vm->requests, BIT(VM_REQUEST_MAP));
	assert_int_equal(device_memory_place(vm, 0), DEVICE_MEMORY_NOWHERE);
	settle();
	bus_enter(&vm->bus);
	device_unmap_region(probe(C), 1);
	bus_leave(vm, (struct guest_time){NOW});
	assert_int_equal(vm->requests, BIT(VM_REQUEST_MAP));
}

static void test_forbidden_places(void **state)
{
	uint64_t lapic = LAPIC_BASE_DEFAULT & ~(LARGE_PAGE_BYTES - 1);

	(void)state;
	move(lapic - LARGE_PAGE_BYTES);
	assert_int_equal(device_memory_place(vm, 0), lapic - LARGE_PAGE_BYTES);
	assert_int_equal(device_memory_place(vm, 1), DEVICE_MEMORY_NOWHERE);
	move(LARGE_PAGE_BYTES); // behind RAM, which is one block
	assert_int_equal(device_memory_place(vm, 0), LARGE_PAGE_BYTES);
	blocks[1] = block;
	vm->ram.block_count = 2;
	assert_int_equal(device_memory_place(vm, 0), DEVICE_MEMORY_NOWHERE);
	assert_int_equal(device_memory_place(vm, 1), 2 * LARGE_PAGE_BYTES);
	move(LARGE_PAGE_BYTES / 2);
	assert_int_equal(device_memory_place(vm, 0), DEVICE_MEMORY_NOWHERE);
	vm->ram.rom_bytes = 256 * KIB;
	move(GUEST_RAM_HIGH - 2 * LARGE_PAGE_BYTES);
	assert_int_equal(device_memory_place(vm, 0), GUEST_RAM_HIGH - 2 * LARGE_PAGE_BYTES);
	assert_int_equal(device_memory_place(vm, 1), DEVICE_MEMORY_NOWHERE);
	assert_int_equal(device_memory_place(vm, 2), GUEST_RAM_HIGH);
}

// A second device's, behind: no region shows it.
static void test_more(void **state)
{
	uint64_t value = 0x1122;

	(void)state;
	assert_int_equal(device_memory_extend(&vm->device_memory, LARGE_PAGE_BYTES), STATUS_OK);
	assert_int_equal(vm->device_memory.block_count, BLOCKS + 1);
	move(BASE);
	assert_int_equal(device_memory_place(vm, BLOCKS - 1), BASE + 2 * LARGE_PAGE_BYTES);
	assert_int_equal(device_memory_place(vm, BLOCKS), DEVICE_MEMORY_NOWHERE);
	((struct vm_device *)probe(C)->owner)->memory_offset = BYTES;
	bus_enter(&vm->bus);
	device_memory_write(probe(C), 8, &value, sizeof(value));
	value = 0;
	device_memory_read(probe(C), 8, &value, sizeof(value));
	bus_leave(vm, (struct guest_time){NOW});
	assert_int_equal(value, 0x1122);
	assert_int_equal(vm->device_memory.blocks[BLOCKS][8], 0x22);
	assert_int_equal(vm->device_memory.blocks[0][8], 0);
	assert_int_equal(vm->device_memory.written[BLOCKS], 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_copies, setup, teardown),
		cmocka_unit_test_setup_teardown(test_accesses, setup, teardown),
		cmocka_unit_test_setup_teardown(test_effects, setup, teardown),
		cmocka_unit_test_setup_teardown(test_place, setup, teardown),
		cmocka_unit_test_setup_teardown(test_neighbours, setup, teardown),
		cmocka_unit_test_setup_teardown(test_forbidden_places, setup, teardown),
		cmocka_unit_test_setup_teardown(test_more, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
