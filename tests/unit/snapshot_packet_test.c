// SPDX-License-Identifier: BSD-2-Clause
// Frames of a saved machine: what is in its queue comes back, with what its devices have sent; what
// cannot be is refused. And how frames come into the queue: vm/packet.c.
#include "tests/unit/snapshot_bench.h"
#include "vm/env.h"

enum { NICS = 2, FRAMES = 3 };

static uint8_t content[DEVICE_FRAME_MAX];

static int setup(void **state)
{
	bench_nic_count = NICS;
	for (unsigned i = 0; i < sizeof(content); i++)
		content[i] = (uint8_t)(i * 3 + i / 256);
	return bench_setup(state);
}

static struct device_frame frame(uint16_t count)
{
	return (struct device_frame){.bytes = content, .count = count};
}

static struct vm_device *device(unsigned nic)
{
	return &vm->devices[vm->nics[nic]->device];
}

static void arrive(unsigned nic, struct device_frame arrived)
{
	assert_true(frame_ring_put(&vm->nics[nic]->to_guest, &arrived));
}

// As vm/outside.c does.
static unsigned take_all(void)
{
	struct event event;
	unsigned taken = 0;

	for (; packet_next(vm, &event); taken++) {
		packet_take(vm, &event);
		assert_int_equal(event_post(&vm->queue, &event), STATUS_OK);
	}
	return taken;
}

static void deliver_all(void)
{
	bus_enter(&vm->bus);
	event_queue_deliver(&vm->queue, vm_now(vm));
	bus_leave(vm, vm_now(vm));
}

static void frames_make(void)
{
	struct device_frame open = frame(DEVICE_FRAME_MAX);

	open.checksum_start = 34;
	open.checksum_offset = 6;
	arrive(0, frame(60));
	arrive(1, open);
	arrive(0, frame(DEVICE_FRAME_MIN));
	assert_true(packet_any(vm));
	assert_int_equal(take_all(), FRAMES);
	assert_false(packet_any(vm));
}

static void check_frame(uint32_t place, uint16_t count, uint16_t checksum_start)
{
	struct device_frame there;

	assert_true(frame_ring_peek(vm->packets, place, &there));
	assert_int_equal(there.count, count);
	assert_int_equal(there.checksum_start, checksum_start);
	assert_memory_equal(there.bytes, content, count);
}

static void frames_come_back(void **state)
{
	const struct frame_ring *before;

	(void)state;
	frames_make();
	device(1)->sent = (struct packet_sent){7, 0x1234, 0};
	before = vm->packets;
	assert_int_equal(save(&stream), STATUS_OK);
	packet_reset(vm);
	arrive(0, frame(100)); // still on the wire: it is not the machine's
	assert_int_equal(load(), STATUS_OK);
	assert_ptr_not_equal(vm->packets, before);
	assert_int_equal(bench_nics_held, 0);
	assert_int_equal(device(1)->sent.frames, 7);
	assert_int_equal(device(1)->sent.hash, 0x1234);
	check_frame(0, 60, 0); // of each device in their order, the first one's before
	check_frame(1, DEVICE_FRAME_MIN, 0);
	check_frame(2, DEVICE_FRAME_MAX, 34);
	assert_int_equal(vm->queue.fifo_count, FRAMES);
	deliver_all(); // to devices without a driver
	assert_int_equal(frame_ring_count(vm->packets), 0);
	assert_true(packet_any(vm));
	assert_int_equal(take_all(), 1);
	check_frame(0, 100, 0);
}

static void expect_refused(const char *what)
{
	assert_int_not_equal(load(), STATUS_OK);
	if (strstr(stream.error, what) == NULL)
		fail_msg("\"%s\" is not in \"%s\"", what, stream.error);
	snapshot_stream_free(&stream);
}

static void impossible_frames_are_refused(void **state)
{
	struct event *event;

	(void)state;
	frames_make();
	event = &vm->queue.fifo[vm->queue.fifo_first];
	event->value = 20 | 60 << 16; // beyond its end
	assert_int_equal(save(&stream), STATUS_OK);
	expect_refused("frame 0: a frame that cannot be");
	event->value = UINT64_C(1) << 32;
	assert_int_equal(save(&stream), STATUS_OK);
	expect_refused("frame 0: a frame for what takes none");
	event->value = 0;
	event->index = 1;
	assert_int_equal(save(&stream), STATUS_OK);
	expect_refused("nobody takes frames there");
	event->index = 0;
	event->device = 0;
	assert_int_equal(save(&stream), STATUS_OK);
	expect_refused("nobody takes frames there");
	event->device = device(0)->device->id;
	vm->packets->slots[vm->packets->taken % FRAME_RING_FRAMES].count = 13;
	assert_int_equal(save(&stream), STATUS_OK);
	expect_refused("frame 0: a frame that cannot be");
	vm->packets->slots[vm->packets->taken % FRAME_RING_FRAMES].count = DEVICE_FRAME_MAX + 1;
	assert_int_equal(save(&stream), STATUS_OK);
	expect_refused("frame 0: length or version");
	vm->packets->slots[vm->packets->taken % FRAME_RING_FRAMES].count = 60;
	assert_int_equal(save(&stream), STATUS_OK);
	assert_int_equal(load(), STATUS_OK);
}

// What a log says may be anything.
static void what_a_log_gives_is_looked_at(void **state)
{
	struct event event = {.kind = EVENT_PACKET, .device = device(0)->device->id,
		.value = 34 | 6 << 16};
	struct device_frame given = packet_frame(&event, content, 60);

	(void)state;
	assert_int_equal(given.checksum_start, 34);
	assert_int_equal(given.checksum_offset, 6);
	assert_null(packet_problem(vm, &event, &given));
	given = packet_frame(&event, content, DEVICE_FRAME_MAX + 1);
	assert_non_null(packet_problem(vm, &event, &given));
	given = packet_frame(&event, content, 65536 + 60);
	assert_non_null(packet_problem(vm, &event, &given));
	given = packet_frame(&event, content, 40);
	assert_non_null(packet_problem(vm, &event, &given)); // the checksum's field ends at 42
	event.device = UINT16_MAX;
	given = packet_frame(&event, content, 60);
	assert_non_null(packet_problem(vm, &event, &given));
	event.device = device(1)->device->id;
	for (unsigned i = 0; i < FRAME_RING_FRAMES; i++) {
		assert_null(packet_problem(vm, &event, &given));
		packet_give(vm, &given);
	}
	assert_non_null(packet_problem(vm, &event, &given));
}

// Each ring is bounded; what a full one has no room for waits, or is lost and counted.
static void rings_are_bounded(void **state)
{
	const struct device_frame sent = frame(60);
	struct event event;

	(void)state;
	for (unsigned i = 0; i < FRAME_RING_FRAMES; i++)
		arrive(0, frame(60));
	assert_false(frame_ring_put(&vm->nics[0]->to_guest, &sent));
	arrive(1, frame(70));
	assert_int_equal(take_all(), FRAME_RING_FRAMES);
	assert_true(packet_any(vm)); // and the queue is full
	assert_false(packet_next(vm, &event));
	deliver_all();
	assert_true(packet_next(vm, &event));
	assert_int_equal(event.device, device(1)->device->id);
	packet_refuse(vm, &event);
	assert_false(packet_any(vm));
	arrive(0, frame(60));
	arrive(1, frame(60));
	packet_refuse_all(vm);
	assert_false(packet_any(vm));
	frames_make();
	pc_reset(vm, DEVICE_RESET_LINE);
	assert_int_equal(frame_ring_count(vm->packets), 0);
	assert_int_equal(vm->queue.fifo_count, 0);
}

static unsigned wakes;

static void wake(struct nic *nic)
{
	assert_true(nic->posted);
	wakes++;
}

static void frames_are_sent(void **state)
{
	const struct device_frame sent = frame(60);
	struct outside_recorder replay = {.gives = true};

	(void)state;
	vm->nics[1]->wake = wake;
	for (unsigned i = 0; i < FRAME_RING_FRAMES + 2; i++)
		vm_env.send(device(1)->device, 0, &sent);
	vm_env.send(device(1)->device, 1, &sent); // no such port
	vm_env.send(vm->input, 0, &sent);          // no network
	assert_int_equal(wakes, 1);
	assert_int_equal(vm->nics[1]->lost, 2);
	assert_int_equal(frame_ring_count(&vm->nics[1]->from_guest), FRAME_RING_FRAMES);
	assert_int_equal(device(1)->sent.frames, FRAME_RING_FRAMES + 2);
	vm->nics[1]->from_guest.taken = vm->nics[1]->from_guest.put;
	vm->nics[1]->posted = false;
	vm->outside.recorder = &replay; // counted, and sent nowhere
	vm_env.send(device(1)->device, 0, &sent);
	vm->outside.recorder = NULL;
	assert_int_equal(wakes, 1);
	assert_int_equal(device(1)->sent.frames, FRAME_RING_FRAMES + 3);
	assert_int_equal(frame_ring_count(&vm->nics[1]->from_guest), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(frames_come_back),
		TEST(impossible_frames_are_refused),
		TEST(what_a_log_gives_is_looked_at),
		TEST(rings_are_bounded),
		TEST(frames_are_sent),
	};

	return cmocka_run_group_tests_name("snapshot_packet", tests, NULL, NULL);
}
