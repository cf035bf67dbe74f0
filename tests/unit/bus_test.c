// SPDX-License-Identifier: BSD-2-Clause
// The machine's buses: which device an access reaches, events, regions, the device lock.
#include "vm/bus.h"

#include "tests/unit/bus_bench.h"

static const struct device_model deaf = {.name = "deaf", .outputs = PINS};

static void accesses_reach_their_region(void **state)
{
	(void)state;
	map(A, 2, DEVICE_SPACE_PORT, 0x60, 8, 4);
	map(B, 3, DEVICE_SPACE_MMIO, 0xfed00000, 0x400, 8);
	probes[A].answer = 0x44332211;
	probes[B].answer = 0x8877665544332211;
	assert_int_equal(port_read(0x64, 4), 0x44332211);
	expect(0, A, READ, 2, 4, 4);
	port_write(0x66, 2, 0xabcd);
	expect_write(1, A, 2, 6, 2, 0xabcd);
	assert_true(mmio_read(0xfed003f8, 8) == 0x8877665544332211);
	expect(2, B, READ, 3, 0x3f8, 8);
	mmio_write(0xfed00000, 4, 0x12345678);
	expect_write(3, B, 3, 0, 4, 0x12345678);
	assert_int_equal(count, 4);
	assert_int_equal(port_read(0x68, 1), 0xff); // spaces are apart, and borders exact
	assert_int_equal(port_read(0x5f, 1), 0xff);
	assert_int_equal(mmio_read(0x64, 1), 0xff);
	assert_int_equal(mmio_read(0xfed00400, 1), 0xff);
	assert_int_equal(count, 4);
}

static void nobody_answers_all_ones(void **state)
{
	(void)state;
	assert_int_equal(port_read(0x100, 1), 0xff);
	assert_int_equal(port_read(0x100, 2), 0xffff);
	assert_int_equal(port_read(0xffff, 4), 0xffffffff); // past the last port is nobody
	assert_true(mmio_read(0x123456789abc, 8) == UINT64_MAX);
	port_write(0xffff, 4, 0);
	mmio_write(0, 8, 0);
	probes[A].device.model = &deaf; // and so does a device that takes no accesses
	map(A, 0, DEVICE_SPACE_PORT, 0x10, 4, 4);
	map(B, 0, DEVICE_SPACE_PORT, 0, 1, 1);
	assert_int_equal(port_read(0x10, 4) & 0xffffffff, 0xffffffff);
	port_write(0x10, 4, 0);
	assert_int_equal(port_read(0xffff, 2), 0xffff); // port 0 does not follow
	assert_int_equal(count, 0);
}

static void wide_accesses_are_split(void **state)
{
	(void)state;
	map(A, 1, DEVICE_SPACE_PORT, 0x70, 4, 1);
	probes[A].answer = 0x44332211;
	assert_int_equal(port_read(0x70, 4), 0x44332211);
	for (unsigned i = 0; i < 4; i++)
		expect(i, A, READ, 1, i, 1);
	port_write(0x72, 2, 0xbeef);
	expect_write(4, A, 1, 2, 1, 0xef);
	expect_write(5, A, 1, 3, 1, 0xbe);
	assert_int_equal(count, 6);
}

static void accesses_across_regions_are_split(void **state)
{
	(void)state;
	map(A, 0, DEVICE_SPACE_MMIO, 0x1000, 0x10, 8);
	map(B, 0, DEVICE_SPACE_MMIO, 0x1010, 0x10, 8);
	map(C, 0, DEVICE_SPACE_PORT, 0xfffe, 2, 4);
	mmio_write(0x100e, 4, 0xddccbbaa);
	expect_write(0, A, 0, 0xe, 1, 0xaa);
	expect_write(1, A, 0, 0xf, 1, 0xbb);
	expect_write(2, B, 0, 0, 1, 0xcc);
	expect_write(3, B, 0, 1, 1, 0xdd);
	probes[B].answer = 0x0706050403020100;
	assert_true(mmio_read(0x101c, 8) == 0xffffffff07060504);
	assert_true(mmio_read(0x0ffc, 4) == 0xffffffff);
	probes[C].answer = 0x2211;
	assert_int_equal(port_read(0xfffe, 4), 0xffff2211);
	mmio_write(0x0fff, 2, 0x0201); // the first byte finds nobody
	expect_write(count - 1, A, 0, 0, 1, 2);
}

// As port 0xCF9, the reset register, lies within PCI's 0xCF8 to 0xCFB.
static void a_later_region_lies_over_an_earlier(void **state)
{
	(void)state;
	map(A, 0, DEVICE_SPACE_PORT, 0xcf8, 4, 4);
	map(B, 0, DEVICE_SPACE_PORT, 0xcf9, 1, 1);
	port_write(0xcf9, 1, 6);
	expect_write(0, B, 0, 0, 1, 6);
	port_write(0xcf8, 4, 0x80001234); // a doubleword is PCI's as a whole
	expect_write(1, A, 0, 0, 4, 0x80001234);
	port_write(0xcfa, 1, 7);
	expect_write(2, A, 0, 2, 1, 7);
	port_write(0xcf9, 2, 0x0e0d);
	expect_write(3, B, 0, 0, 1, 0x0d);
	expect_write(4, A, 0, 2, 1, 0x0e);
}

static void post(struct event event)
{
	assert_int_equal(event_post(&vm->queue, &event), STATUS_OK);
}

static void events_reach_their_device(void **state)
{
	(void)state;
	vm->receive_pending = true;
	post((struct event){.kind = EVENT_CHARACTERS, .device = B, .index = 1, .payload_bytes = 3,
		.payload = "xyz"});
	post((struct event){.kind = EVENT_LINE, .device = A, .index = 3, .value = 1});
	post((struct event){.kind = EVENT_MACHINE, .device = 999,
		.index = DEVICE_REQUEST_EXIT, .value = 33});
	post((struct event){.kind = EVENT_MACHINE, .index = VM_EVENT_NMI, .value = 0});
	deliver();
	assert_int_equal(count, 2);
	expect(0, B, RECEIVE, 1, 3, 'z');
	expect(1, A, LINE, 3, 0, 1);
	assert_false(vm->receive_pending);
	assert_int_equal(vm->requests, BIT(DEVICE_REQUEST_EXIT));
	assert_int_equal(vm->request_argument, 33);
	assert_int_equal(vcpu.signals, VM_SIGNAL_NMI);
	assert_null(vm->bus.owner);
	vm->device_count = 2;
	post((struct event){.kind = EVENT_LINE, .device = C});
	expect_assert_failure(deliver());
}

static void enter_another(struct device *device, const struct note *note)
{
	(void)device;
	if (note->kind == WRITE && note->device == A)
		(void)port_read(0x80, 1);
}

// The one lock: a handler that goes through the bus is a bug of ours.
static void a_device_does_not_enter_another(void **state)
{
	(void)state;
	map(A, 0, DEVICE_SPACE_PORT, 0x70, 1, 1);
	map(B, 0, DEVICE_SPACE_PORT, 0x80, 1, 1);
	probes[A].act = enter_another;
	expect_assert_failure(port_write(0x70, 1, 0));
	assert_int_equal(count, 1);
}

static void move_regions(struct device *device, const struct note *note)
{
	if (note->detail != 0)
		return;
	device_map_region(device, 0, DEVICE_SPACE_MMIO, 0xe0000000, 0x1000);
	device_map_region(device, 1, DEVICE_SPACE_PORT, 0xc000, 0x20);
	// Not before the handler has returned.
	assert_int_equal(vm->bus.regions[1].base, 0xd0000000);
}

static void regions_move_after_the_handler(void **state)
{
	(void)state;
	map(A, 0, DEVICE_SPACE_MMIO, 0xd0000000, 0x1000, 8);
	map(B, 0, DEVICE_SPACE_MMIO, 0xf0000000, 0x1000, 8);
	probes[A].act = move_regions;
	mmio_write(0xd0000000, 4, 1);
	probes[A].answer = probes[B].answer = 0x77;
	assert_int_equal(mmio_read(0xd0000000, 1), 0xff); // nobody is there any more
	assert_int_equal(mmio_read(0xe0000ff8, 1), 0x77);
	assert_int_equal(mmio_read(0xf0000000, 1), 0x77);
	port_write(0xc01f, 1, 9);
	expect_write(count - 1, A, 1, 0x1f, 1, 9);
	bus_unmap(vm, probe(A), 1);
	assert_int_equal(port_read(0xc000, 4), 0xffffffff);
	bus_unmap(vm, probe(A), 0);
	bus_unmap(vm, probe(A), 0); // not mapped: nothing
	assert_int_equal(mmio_read(0xe0000ff8, 1), 0xff);
	assert_int_equal(mmio_read(0xf0000000, 1), 0x77);
}

// Mapping again and again takes no more places than one.
static void places_of_regions_are_used_again(void **state)
{
	(void)state;
	probes[A].answer = 0x5a;
	for (uint64_t i = 0; i < 10 * BUS_REGIONS_MAX; i++) {
		map(A, 0, DEVICE_SPACE_MMIO, 0x100000000 + (i << 12), 0x1000, 4);
		map(A, 1, DEVICE_SPACE_PORT, 0x1000 + i, 1, 1);
		assert_int_equal(mmio_read(0x100000000 + (i << 12), 1), 0x5a);
		assert_int_equal(port_read((uint16_t)(0x1000 + i), 1), 0x5a);
		assert_int_equal(port_read((uint16_t)(0x0fff + i), 1), 0xff);
		count = 0;
	}
	for (unsigned i = 2; i < BUS_REGIONS_MAX - 1; i++)
		map(B, i, DEVICE_SPACE_MMIO, (uint64_t)i << 40, 1, 1);
	expect_assert_failure(map(C, 0, DEVICE_SPACE_MMIO, 0, 1, 1));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)
	const struct CMUnitTest tests[] = {
		TEST(accesses_reach_their_region),
		TEST(nobody_answers_all_ones),
		TEST(wide_accesses_are_split),
		TEST(accesses_across_regions_are_split),
		TEST(a_later_region_lies_over_an_earlier),
		TEST(events_reach_their_device),
		TEST(a_device_does_not_enter_another),
		TEST(regions_move_after_the_handler),
		TEST(places_of_regions_are_used_again),
	};

	return cmocka_run_group_tests_name("bus", tests, NULL, NULL);
}
