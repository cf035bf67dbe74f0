// SPDX-License-Identifier: BSD-2-Clause
// The machine of snapshot_bench.h with requests at its disk.
#ifndef TESTS_UNIT_SNAPSHOT_REQUESTS_H
#define TESTS_UNIT_SNAPSHOT_REQUESTS_H

#include "emul/test_disk.h"
#include "tests/unit/snapshot_bench.h"

enum { BENCH_DISK_PORT = 0x540 };

static inline struct vm_device *bench_disk(void)
{
	return &vm->devices[vm->device_count - 1];
}

static inline void bench_disk_set(unsigned reg, uint32_t value)
{
	struct guest_time now = vm_now(vm);

	bus_port_write(vm, (uint16_t)(BENCH_DISK_PORT + 4 * reg), 4, value, now);
}

// Its registers are somewhere, and it may use memory.
static inline void bench_disk_place(void)
{
	uint64_t at = (uint64_t)bench_disk()->function << 12;

	bus_enter(&vm->bus);
	bus_pci_write(vm, at | PCIDEV_BAR_FIRST, 4, BENCH_DISK_PORT, vm_now(vm));
	bus_pci_write(vm, at | PCIDEV_COMMAND, 2, PCIDEV_COMMAND_PORT | PCIDEV_COMMAND_MASTER,
		vm_now(vm));
	bus_leave(vm, vm_now(vm));
}

// Three requests at the disk: one that is done and whose data wait, one that has failed, and one
// whose completion is in the event queue.
static inline void bench_requests_make(void)
{
	uint16_t id = bench_disk()->device->id;
	const struct event event = {.kind = EVENT_COMPLETION, .device = id, .value = 2,
		.payload_bytes = 1};

	bench_disk_place();
	vm->media[0].blocks[0][63] = 4;
	asked_count = 0;
	for (uint32_t tag = 0; tag < 3; tag++) {
		bench_disk_set(TEST_DISK_TAG, tag);
		bench_disk_set(TEST_DISK_ADDRESS, 0x1ffc);
		bench_disk_set(TEST_DISK_BYTES, 8);
		bench_disk_set(TEST_DISK_COMMAND, DEVICE_IO_READ);
		memset(asked[tag]->data, (int)(0x70 + tag), 8);
		backend_done(asked[tag], tag == 1 ? STATUS_IO : STATUS_OK);
	}
	backend_take(vm, &event);
	assert_int_equal(event_post(&vm->queue, &event), STATUS_OK);
}

#endif
