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
	REFUSE(slot(0)->name = 5, slot(0)->name = 0, "requests: 0x0 is not there, which test-disk");
	REFUSE(slot(0)->dropped = true, slot(0)->dropped = false, "requests: 0x0 is not there");
	REFUSE(bench_disk()->backend->slots[3] = *slot(1); slot(3)->name = 3,
		slot(3)->state = BACKEND_FREE, "requests: 4, of which test-disk");
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
	REFUSE(vm->media[0].bytes = 63, vm->media[0].bytes = 64, "disk_bytes[0]");
	event = (struct event){.kind = EVENT_MACHINE, .index = VM_EVENT_SETTING,
		.device = bench_disk()->device->id, .value = 512, .payload_bytes = 1};
	REFUSE(assert_int_equal(event_post(&vm->queue, &event), STATUS_OK),
		vm->queue.fifo_count = 1, "event 1: index: nobody has such a setting");
	assert_int_equal(save(&stream), STATUS_OK);
	assert_int_equal(load(), STATUS_OK);
}

// A disk that was resized has the size of then.
static void sizes_come_back(void **state)
{
	enum { BYTES = 2 * LARGE_PAGE_BYTES + 512 };

	(void)state;
	assert_int_equal(medium_resize(&vm->media[0], BYTES, NULL), STATUS_OK);
	for (uint64_t at = 64; at < BYTES; at += 64)
		assert_int_equal(vm->media[0].blocks[at / LARGE_PAGE_BYTES]
						    [at % LARGE_PAGE_BYTES], 0);
	vm->media[0].blocks[2][511] = 7;
	assert_int_equal(save(&stream), STATUS_OK);
	assert_int_equal(medium_resize(&vm->media[0], 512, NULL), STATUS_OK);
	large_blocks_max = large_blocks + 3; // the twin's own, and not all of the disk
	assert_int_equal(load(), STATUS_NO_MEMORY);
	assert_non_null(strstr(stream.error, "disk 0: no memory for 4194816 bytes"));
	assert_int_equal(vm->media[0].bytes, 512);
	large_blocks_max = UINT32_MAX;
	assert_int_equal(load(), STATUS_OK);
	assert_int_equal(vm->media[0].bytes, BYTES);
	assert_int_equal(vm->media[0].blocks[2][511], 7);
	snapshot_stream_free(&stream);
	assert_int_equal(medium_resize(&vm->media[0], 100, NULL), STATUS_OK);
	assert_int_equal(medium_resize(&vm->media[0], 200, NULL), STATUS_OK);
	REFUSE(vm->media[0].bytes = 199, vm->media[0].bytes = 200, "disk_bytes[0]: 0xc7");
}

static void pause_count(void)
{
	vm->resets++;
}

// What was cut off does not come back, and a medium that cannot grow stays.
static void media_are_resized(void **state)
{
	struct medium *medium = &vm->media[0];
	uint8_t byte = 9;

	(void)state;
	assert_int_equal(medium_resize(medium, 3 * LARGE_PAGE_BYTES, pause_count), STATUS_OK);
	assert_int_equal(vm->resets, 2);
	medium_write(medium, LARGE_PAGE_BYTES + 100, &byte, 1);
	medium_write(medium, LARGE_PAGE_BYTES + 99, &byte, 1);
	assert_int_equal(medium_resize(medium, LARGE_PAGE_BYTES + 100, NULL), STATUS_OK);
	large_blocks_max = large_blocks + 1;
	assert_int_equal(medium_resize(medium, 4 * LARGE_PAGE_BYTES, NULL), STATUS_NO_MEMORY);
	assert_int_equal(medium->bytes, LARGE_PAGE_BYTES + 100);
	assert_int_equal(large_blocks, large_blocks_max - 1);
	large_blocks_max = UINT32_MAX;
	assert_int_equal(medium_resize(medium, 4 * LARGE_PAGE_BYTES, NULL), STATUS_OK);
	medium_read(medium, LARGE_PAGE_BYTES + 100, &byte, 1);
	assert_int_equal(byte, 0);
	medium_read(medium, LARGE_PAGE_BYTES + 99, &byte, 1);
	assert_int_equal(byte, 9);
	assert_int_equal(medium_resize(medium, 64, NULL), STATUS_OK);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(requests_come_back),
		TEST(impossible_requests_are_refused),
		TEST(sizes_come_back),
		TEST(media_are_resized),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
