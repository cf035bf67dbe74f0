// SPDX-License-Identifier: BSD-2-Clause
// The power of a slot: probe A has the line, C is the device in the slot, which has a back end.
#include "vm/slot.h"

#include "emul/pcidev.h"
#include "tests/unit/bus_bench.h"

enum { POWER = 1, FUNCTION = 4 << 3, PORTS = 0xc000, CONFIG = FUNCTION << 12 };

static struct backend_request *asked[DEVICE_IO_MAX];
static unsigned asked_count, resets;
static struct device_model card;

static void asked_for(void *owner, struct backend_request *request)
{
	assert_ptr_equal(owner, asked);
	asked[asked_count++] = request;
}

static void card_reset(struct device *device, struct guest_time now, enum device_reset kind)
{
	assert_ptr_equal(device, probe(C));
	assert_int_equal(now.ns, NOW);
	assert_int_equal(kind, DEVICE_RESET_SLOT);
	assert_int_equal(vm->devices[C].bottom_halves, 0);
	for (uint32_t i = 0; i < vm->queue.fifo_count; i++)
		assert_int_equal(event_fifo_at(&vm->queue, i)->device, A);
	device_set_line(device, 0, false);
	resets++;
}

static int setup(void **state)
{
	asked_count = resets = 0;
	assert_int_equal(bench_setup(state), 0);
	card = model;
	card.reset = card_reset;
	probes[C].device.model = &card;
	vm->config.disks[0].name = "extra";
	vm->devices[C].disk = 1;
	vm->devices[C].function = FUNCTION;
	vm->devices[C].power = &wires[A][POWER];
	wires[A][POWER].sinks[0] =
		(struct wire_sink){.kind = WIRE_SLOT, .device = probe(C)};
	connect(C, 0, 0, B, 2); // its pin
	return (int)backend_create(&vm->devices[C], 0, asked_for, asked);
}

static int teardown(void **state)
{
	backend_destroy(&vm->devices[C]);
	return bench_teardown(state);
}

static void power_on(struct device *device, const struct note *note)
{
	(void)note;
	device_set_line(device, POWER, true);
}

static void power_off(struct device *device, const struct note *note)
{
	(void)note;
	device_set_line(device, POWER, false);
}

static bool is_there(void)
{
	const struct bus_region *region = bus_region_find(&vm->bus, DEVICE_SPACE_PCI, CONFIG);

	assert_int_equal(slot_is_on(&vm->devices[C]), region != NULL);
	return region != NULL && region->device == probe(C) &&
		region->region == PCIDEV_REGION_CONFIG;
}

static void appears(void **state)
{
	(void)state;
	slot_clear(&vm->devices[C]);
	assert_false(is_there());
	poke(power_on);
	assert_true(is_there());
	assert_true(slot_is_on(&vm->devices[A])); // which has no slot
	assert_int_equal(resets, 0); // it was in its reset state
	poke(power_off);
	assert_int_equal(resets, 1);
	assert_false(is_there());
	poke(power_on);
	assert_true(is_there());
}

static enum status submit(uint64_t name, uint64_t at)
{
	const struct device_io_piece piece = {{at}, 16};
	const struct device_io io = {.request = name, .kind = DEVICE_IO_READ, .piece_count = 1,
		.pieces = &piece};

	return device_submit(probe(C), 0, &io);
}

static void complete(struct backend_request *request)
{
	memset(request->data, 0x33, 16);
	backend_done(request, STATUS_OK);
}

static void take_next(void)
{
	struct event event;

	assert_true(backend_completion(vm, &event));
	backend_take(vm, &event);
	assert_int_equal(event_post(&vm->queue, &event), STATUS_OK);
}

// A request of each kind: not done, done, and its completion in the event queue; a timer, a bottom
// half, a region, the pin.
static void make_busy(void)
{
	struct event event;

	assert_int_equal(submit(1, 0x1000), STATUS_OK);
	assert_int_equal(submit(2, 0x2000), STATUS_OK);
	assert_int_equal(submit(3, 0x3000), STATUS_OK);
	complete(asked[2]);
	take_next();
	complete(asked[1]);
	assert_true(backend_completion(vm, &event));
	device_arm_timer(probe(C), 0, (struct guest_time){1});
	bus_enter(&vm->bus);
	device_schedule_bottom_half(probe(C), 1);
	device_schedule_bottom_half(probe(A), 1);
	device_map_region(probe(C), 0, DEVICE_SPACE_PORT, PORTS, 8);
	device_set_line(probe(C), 0, true);
	bus_leave(vm, (struct guest_time){NOW});
	assert_int_equal(port_read(PORTS, 1), 0);
	count = 0;
}

static void nothing_reaches_it(void **state)
{
	(void)state;
	poke(power_on);
	make_busy();
	poke(power_off);
	expect(count - 1, B, LINE, 2, 0, 0); // its pin has fallen
	assert_int_equal(port_read(PORTS, 1), 0xff);
	count = 0;
	deliver();
	expect(0, A, BOTTOM_HALF, 1, 0, 0);
	assert_int_equal(count, 1);
	take_next(); // 2, which was done: it has a position all the same
	complete(asked[0]);
	take_next();
	deliver();
	assert_int_equal(count, 1);
	for (unsigned at = 0x1000; at < 0x4000; at += 0x1000)
		assert_int_equal(block[at], 0);
	assert_true(backend_all_done(&vm->requests_out));
	assert_true(vm->devices[C].backend->used == 0);
}

// A name is taken until its request is done; then it is the next one's.
static void goes_on_behind(void **state)
{
	(void)state;
	poke(power_on);
	make_busy();
	poke(power_off);
	poke(power_on);
	assert_int_equal(submit(1, 0x5000), STATUS_EXISTS);
	assert_int_equal(submit(3, 0x5000), STATUS_OK);
	complete(asked[0]);
	complete(asked[3]);
	for (unsigned i = 0; i < 3; i++)
		take_next();
	count = 0;
	deliver();
	expect(0, A, BOTTOM_HALF, 1, 0, 0);
	expect(1, C, COMPLETE, 0, STATUS_OK, 3);
	assert_int_equal(count, 2);
	assert_int_equal(block[0x5000], 0x33);
	assert_int_equal(block[0x1000], 0);
}

static void is_loaded(void **state)
{
	(void)state;
	slots_loaded(vm);
	assert_false(is_there());
	wires[A][POWER].level = true;
	slots_loaded(vm);
	assert_true(is_there());
	slots_loaded(vm);
	assert_true(is_there());
	wires[A][POWER].level = false;
	slots_loaded(vm);
	assert_false(is_there());
	assert_int_equal(resets, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(appears),
		TEST(nothing_reaches_it),
		TEST(goes_on_behind),
		TEST(is_loaded),
	};

	return cmocka_run_group_tests_name("slot", tests, NULL, NULL);
}
