// SPDX-License-Identifier: BSD-2-Clause
// Requests of a saved machine: they come back as they were, and impossible ones are refused.
#include "tests/unit/snapshot_requests.h"

static struct backend_slot *slot(unsigned index)
{
	return &bench_disk()->backend->slots[index];
}

static void requests_come_back(void **state)
{
	const struct backend *before;
	struct event event;

	(void)state;
	bench_requests_make();
	before = bench_disk()->backend;
	assert_int_equal(save(&stream), STATUS_OK);
	assert_int_equal(load(), STATUS_OK);
	assert_ptr_not_equal(bench_disk()->backend, before);
	assert_int_equal(vm->requests_out.sent, 0);
	assert_int_equal(vm->requests_out.done, 2);
	assert_int_equal(vm->media[0].blocks[0][63], 4);
	assert_int_equal(slot(2)->state, BACKEND_TAKEN);
	bus_enter(&vm->bus);
	event_queue_deliver(&vm->queue, vm_now(vm));
	bus_leave(vm, vm_now(vm));
	assert_int_equal(vm->ram.blocks[0][0x1ffc], 0x72);
	assert_int_equal(vm->ram.blocks[0][0x2003], 0x72);
	assert_int_equal(slot(2)->state, BACKEND_FREE);
	assert_true(backend_completion(vm, &event));
	assert_int_equal(event.value, 0);
	assert_int_equal(event.payload[0], STATUS_OK);
	backend_take(vm, &event);
	backend_deliver(bench_disk(), &event, vm_now(vm));
	assert_int_equal(vm->ram.blocks[0][0x2003], 0x70);
	assert_true(backend_completion(vm, &event));
	assert_int_equal(event.value, 1);
	assert_int_equal(event.payload[0], STATUS_IO);
}

// Saved with `change` made, which `undo` takes back before it is loaded.
#define REFUSE(change, undo, what)                                                                 \
	do {                                                                                       \
		change;                                                                            \
		assert_int_equal(save(&stream), STATUS_OK);                                        \
		undo;                                                                              \
		assert_int_not_equal(load(), STATUS_OK);                                           \
		if (strstr(stream.error, what) == NULL)                                            \
			fail_msg("\"%s\" is not in \"%s\"", what, stream.error);                   \
		snapshot_stream_free(&stream);                                                     \
	} while (0)

static void impossible_requests_are_refused(void **state)
{
	struct event event;

	(void)state;
	bench_requests_make();
	REFUSE(slot(0)->name = 1, slot(0)->name = 0, "request 1: a name twice");
	REFUSE(slot(0)->pieces[0].at.v = 0xa0000, slot(0)->pieces[0].at.v = 0x1ffc,
		"request 0: a name twice, or not memory");
	REFUSE(slot(0)->pieces[1].bytes = 5, slot(0)->pieces[1].bytes = 4,
		"request_data 0: length");
	REFUSE(slot(0)->pieces[1].bytes = UINT64_MAX, slot(0)->pieces[1].bytes = 4,
		"request 0: bytes[1]");
	REFUSE(slot(0)->request.status = STATUS_COUNT, slot(0)->request.status = STATUS_OK,
		"request 0: status");
	REFUSE(slot(0)->request.kind = DEVICE_IO_KINDS, slot(0)->request.kind = 0,
		"request 0: kind");
	REFUSE(slot(0)->state = 3, slot(0)->state = BACKEND_SENT, "request 0: state");
	// A request that is said to be taken needs its completion, and a completion its request.
	REFUSE(slot(0)->state = BACKEND_TAKEN, slot(0)->state = BACKEND_SENT,
		"a completion is not in the queue");
	REFUSE(slot(2)->state = BACKEND_SENT, slot(2)->state = BACKEND_TAKEN, "no such request");
	event = *event_fifo_at(&vm->queue, 0);
	REFUSE(assert_int_equal(event_post(&vm->queue, &event), STATUS_OK),
		vm->queue.fifo_count = 1,
		"event 1: value: no such request, or not its completion");
	REFUSE(vm->media[0].bytes = 63, vm->media[0].bytes = 64,
		"medium 0: 63 bytes, not 64");
	REFUSE(vm->config.disks[0].bytes = 32, vm->config.disks[0].bytes = 64,
		"disk_bytes[0]");
	assert_int_equal(save(&stream), STATUS_OK);
	assert_int_equal(load(), STATUS_OK);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(requests_come_back),
		TEST(impossible_requests_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
