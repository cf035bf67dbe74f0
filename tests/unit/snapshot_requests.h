// SPDX-License-Identifier: BSD-2-Clause
// The machine of snapshot_bench.h with requests at its disk.
#ifndef TESTS_UNIT_SNAPSHOT_REQUESTS_H
#define TESTS_UNIT_SNAPSHOT_REQUESTS_H

#include "emul/test_disk.h"
#include "tests/unit/snapshot_bench.h"

static inline struct vm_device *bench_disk(void)
{
	return &vm->devices[vm->device_count - 1];
}

// Three requests at the disk: one that is done and whose data wait, one that has failed, and one
// whose completion is in the event queue.
static inline void bench_requests_make(void)
{
	uint16_t id = bench_disk()->device->id;
	const struct event event = {.kind = EVENT_COMPLETION, .device = id, .value = 2,
		.payload_bytes = 1};
	struct guest_time now = vm_now(vm);

	vm->media[0].blocks[0][63] = 4;
	asked_count = 0;
	for (uint32_t tag = 0; tag < 3; tag++) {
		bus_port_write(vm, TEST_DISK_PORT + 4 * TEST_DISK_TAG, 4, tag, now);
		bus_port_write(vm, TEST_DISK_PORT + 4 * TEST_DISK_ADDRESS, 4, 0x1ffc, now);
		bus_port_write(vm, TEST_DISK_PORT + 4 * TEST_DISK_BYTES, 4, 8, now);
		bus_port_write(vm, TEST_DISK_PORT + 4 * TEST_DISK_COMMAND, 4, DEVICE_IO_READ, now);
		memset(asked[tag]->data, (int)(0x70 + tag), 8);
		backend_done(asked[tag], tag == 1 ? STATUS_IO : STATUS_OK);
	}
	backend_take(vm, &event);
	assert_int_equal(event_post(&vm->queue, &event), STATUS_OK);
}

#endif
