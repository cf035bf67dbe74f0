// SPDX-License-Identifier: BSD-2-Clause
// The machine's buses: which device an access reaches, events, regions, the device lock.
#include "vm/bus.h"

#include "emul/pci_host.h"
#include "tests/unit/bus_bench.h"
#include "vm/input.h"

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
	bus_unmap(&vm->bus, probe(A), 1);
	assert_int_equal(port_read(0xc000, 4), 0xffffffff);
	bus_unmap(&vm->bus, probe(A), 0);
	bus_unmap(&vm->bus, probe(A), 0); // not mapped: nothing
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

static void own(unsigned which, unsigned region, enum device_space space, uint64_t base,
	uint64_t bytes)
{
	bus_move(&vm->bus, &(struct bus_effect){.device = probe(which), .kind = BUS_EFFECT_MAP,
		.number = (uint8_t)region, .space = (uint8_t)space, .map = {base, bytes}});
}

// In whatever order they came: the board's first, then the first device's.
static void devices_do_not_cover_the_board(void **state)
{
	(void)state;
	probes[A].answer = 0xaa;
	probes[B].answer = 0xbb;
	probes[C].answer = 0xcc;
	own(C, 0, DEVICE_SPACE_PORT, 0x3f0, 0x20);
	own(B, 0, DEVICE_SPACE_PORT, 0x3f8, 0x20);
	map(A, 0, DEVICE_SPACE_PORT, 0x400, 8, 1);
	own(C, 1, DEVICE_SPACE_MMIO, 0xfec00000, 0x2000);
	own(B, 1, DEVICE_SPACE_MMIO, 0xfec00000, 0x1000);
	map(A, 1, DEVICE_SPACE_MMIO, 0xfec00000, 8, 8);
	assert_int_equal(port_read(0x400, 1), 0xaa);
	assert_int_equal(port_read(0x3f8, 1), 0xbb);
	assert_int_equal(port_read(0x3f0, 1), 0xcc);
	assert_int_equal(mmio_read(0xfec00000, 1), 0xaa);
	assert_int_equal(mmio_read(0xfec00008, 1), 0xbb);
	assert_int_equal(mmio_read(0xfec01000, 1), 0xcc);
	own(B, 0, DEVICE_SPACE_PORT, 0x1000, 0x20); // what it covered is seen again
	assert_int_equal(port_read(0x3f8, 1), 0xcc);
	bus_unmap_own(&vm->bus, probe(C));
	assert_int_equal(port_read(0x3f8, 1), 0xff);
	assert_int_equal(mmio_read(0xfec01000, 1), 0xff);
	bus_unmap_own(&vm->bus, probe(A)); // the board's stay
	assert_int_equal(port_read(0x400, 1), 0xaa);
	assert_int_equal(mmio_read(0xfec00000, 1), 0xaa);
}

static struct device *host_create(void)
{
	struct device *host = calloc(1, pci_host_model.instance_bytes);

	assert_non_null(host);
	*host = (struct device){.model = &pci_host_model, .env = &vm_env, .owner = &vm->devices[C],
		.id = C};
	vm->devices[C].device = host;
	bus_map(&vm->bus, host, PCI_HOST_REGION_ADDRESS, DEVICE_SPACE_PORT, 0xcf8, 4, 4);
	bus_map(&vm->bus, host, PCI_HOST_REGION_DATA, DEVICE_SPACE_PORT, 0xcfc, 4, 0);
	bus_map(&vm->bus, host, PCI_HOST_REGION_ECAM, DEVICE_SPACE_MMIO, 0xfef00000,
		PCI_HOST_ECAM_BYTES, 0);
	map(A, 7, DEVICE_SPACE_PCI, 3 << 15, 256, 4);
	map(B, 7, DEVICE_SPACE_PCI, 31 << 15 | 7 << 12, 256, 4);
	return host;
}

static void windows_lead_to_configuration_space(void **state)
{
	struct device *host = host_create();

	(void)state;
	probes[A].answer = 0x44332211;
	probes[B].answer = 0x0000000099887766;
	assert_int_equal(port_read(0xcfc, 4), 0xffffffff); // not enabled
	port_write(0xcf8, 4, 0x80000000 | 3 << 11 | 0x40);
	assert_int_equal(port_read(0xcfc, 4), 0x44332211);
	expect(0, A, READ, 7, 0x40, 4);
	port_write(0xcfe, 2, 0xbeef);
	expect_write(1, A, 7, 0x42, 2, 0xbeef);
	port_write(0xcfd, 1, 0x5a);
	expect_write(2, A, 7, 0x41, 1, 0x5a);
	assert_int_equal(count, 3);
	port_write(0xcfe, 4, 0x11223344); // half of it is beyond
	expect_write(3, A, 7, 0x42, 1, 0x44);
	expect_write(4, A, 7, 0x43, 1, 0x33);
	assert_int_equal(count, 5);
	port_write(0xcf8, 4, 0x80000000 | 4 << 11);
	assert_int_equal(port_read(0xcfc, 2), 0xffff);
	port_write(0xcfc, 4, 0);
	assert_int_equal(mmio_read(0xfef00000 | 31 << 15 | 7 << 12 | 0xfc, 4), 0x99887766);
	expect(5, B, READ, 7, 0xfc, 4);
	mmio_write(0xfef00000 | 3 << 15 | 0x10, 8, 0x0807060504030201);
	for (unsigned i = 0; i < 8; i++)
		expect_write(6 + i, A, 7, 0x10 + i, 1, i + 1);
	assert_int_equal(count, 14);
	// A function has 256 bytes.
	assert_int_equal(mmio_read(0xfef00000 | 3 << 15 | 0x100, 4), 0xffffffff);
	assert_int_equal(count, 14);
	free(host);
}

// Of several outputs that lead to an input, any holds it high.
static void shared_inputs_are_high_while_any_is(void **state)
{
	(void)state;
	connect(A, 0, 0, C, 2);
	connect(B, 1, 0, C, 2);
	wires[A][0].sinks[0].shared = wires[B][1].sinks[0].shared = true;
	vm->devices[A].shares_lines = vm->devices[B].shares_lines = true;
	bus_enter(&vm->bus);
	device_set_line(probe(A), 0, true);
	device_set_line(probe(B), 1, true);
	device_set_line(probe(A), 0, false);
	bus_leave(vm, (struct guest_time){NOW});
	assert_int_equal(count, 3);
	for (unsigned i = 0; i < count; i++)
		expect(i, C, LINE, 2, 0, 1);
	bus_enter(&vm->bus);
	device_set_line(probe(B), 1, false);
	bus_leave(vm, (struct guest_time){NOW});
	assert_int_equal(count, 4);
	expect(3, C, LINE, 2, 0, 0);
}

// An edge in one handler, as of a controller whose next byte follows at once.
static void an_edge_reaches_a_shared_input(void **state)
{
	(void)state;
	connect(A, 0, 0, C, 2);
	connect(B, 1, 0, C, 2);
	wires[A][0].sinks[0].shared = wires[B][1].sinks[0].shared = true;
	vm->devices[A].shares_lines = vm->devices[B].shares_lines = true;
	bus_enter(&vm->bus);
	device_set_line(probe(A), 0, true);
	bus_leave(vm, (struct guest_time){NOW});
	bus_enter(&vm->bus);
	device_set_line(probe(A), 0, false);
	device_set_line(probe(A), 0, true);
	bus_leave(vm, (struct guest_time){NOW});
	assert_int_equal(count, 3);
	expect(1, C, LINE, 2, 0, 0);
	expect(2, C, LINE, 2, 0, 1);
}

static struct event input_event(const struct device_input *input)
{
	struct event event = {.kind = EVENT_KEY, .payload_bytes = sizeof(*input)};

	memcpy(event.payload, input, sizeof(*input));
	return event;
}

// What a device has is asked when the event is delivered, and the last device is asked first.
static void input_reaches_the_last_that_takes_it(void **state)
{
	const struct device_input key = {.kind = DEVICE_INPUT_KEY, .code = 4, .down = true};
	const struct device_input movement = {.kind = DEVICE_INPUT_MOVE, .x = -3};

	(void)state;
	probes[A].inputs = BIT(DEVICE_INPUT_KEY) | BIT(DEVICE_INPUT_MOVE);
	post(input_event(&key));
	deliver();
	expect(0, A, INPUT, DEVICE_INPUT_KEY, 4, 0);
	post(input_event(&key));
	post(input_event(&movement));
	probes[B].inputs = BIT(DEVICE_INPUT_KEY);
	deliver();
	assert_int_equal(count, 3);
	expect(1, B, INPUT, DEVICE_INPUT_KEY, 4, 0);
	expect(2, A, INPUT, DEVICE_INPUT_MOVE, 0, (uint16_t)-3);
	assert_ptr_equal(input_device(vm, DEVICE_INPUT_KEY, NULL), probe(B));
	assert_ptr_equal(input_device(vm, DEVICE_INPUT_KEY, probe(B)), probe(A));
	assert_null(input_device(vm, DEVICE_INPUT_KEY, probe(A)));
	probes[A].inputs = probes[B].inputs = 0;
	post(input_event(&key));
	deliver(); // it is lost
	assert_int_equal(count, 3);
}

// Of a log or a snapshot.
static void input_that_cannot_be_is_refused(void **state)
{
	const struct device_input key = {.kind = DEVICE_INPUT_KEY, .code = 0xff, .down = true};
	const struct device_input button = {.kind = DEVICE_INPUT_BUTTON,
		.code = DEVICE_BUTTON_MIDDLE, .down = true};
	const struct device_input movement = {.kind = DEVICE_INPUT_MOVE, .x = -32768, .wheel = 9};
	const struct device_input place = {.kind = DEVICE_INPUT_PLACE, .y = DEVICE_PLACE_MAX};
	const struct device_input wrong[] = {
		{.kind = DEVICE_INPUT_KINDS}, {.kind = DEVICE_INPUT_KEY, .x = 1},
		{.kind = DEVICE_INPUT_KEY, .reserved = 1}, {.kind = DEVICE_INPUT_KEY, .wheel = 1},
		{.kind = DEVICE_INPUT_KEY, .reserved2 = {0, 1}},
		{.kind = DEVICE_INPUT_BUTTON, .code = DEVICE_BUTTONS},
		{.kind = DEVICE_INPUT_BUTTON, .y = 1}, {.kind = DEVICE_INPUT_MOVE, .down = true},
		{.kind = DEVICE_INPUT_MOVE, .code = 1}, {.kind = DEVICE_INPUT_PLACE, .x = -1},
		{.kind = DEVICE_INPUT_PLACE, .code = 1}};
	struct event event = input_event(&key);

	(void)state;
	assert_null(input_problem(&event));
	event.payload[offsetof(struct device_input, down)] = 2;
	assert_non_null(input_problem(&event));
	event = input_event(&key);
	event.payload_bytes--;
	assert_non_null(input_problem(&event));
	event = input_event(&key);
	event.value = 1;
	assert_non_null(input_problem(&event));
	event = input_event(&button);
	assert_null(input_problem(&event));
	event = input_event(&movement);
	assert_null(input_problem(&event));
	event = input_event(&place);
	assert_null(input_problem(&event));
	for (unsigned i = 0; i < ARRAY_COUNT(wrong); i++) {
		event = input_event(&wrong[i]);
		assert_non_null(input_problem(&event));
	}
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
		TEST(devices_do_not_cover_the_board),
		TEST(windows_lead_to_configuration_space),
		TEST(shared_inputs_are_high_while_any_is),
		TEST(an_edge_reaches_a_shared_input),
		TEST(input_reaches_the_last_that_takes_it),
		TEST(input_that_cannot_be_is_refused),
	};

	return cmocka_run_group_tests_name("bus", tests, NULL, NULL);
}
