// SPDX-License-Identifier: BSD-2-Clause
#include "vm/twin.h"

#include <stdlib.h>
#include <string.h>

#include "kernel/base/assert.h"
#include "kernel/smp.h"
#include "vm/landing.h"
#include "vm/nic.h"
#include "vm/pc.h"

static enum status parts_create(struct vm *vm, struct vm *twin, bool memory)
{
	enum status status = STATUS_OK;

	if (memory) {
		status = memory_create(twin);
		if (status == STATUS_OK) // even a page of zeros may be news to whoever has a look
			memory_mark_written(twin);
	} else {
		twin->ram = vm->ram;
		twin->nested = vm->nested;
		twin->device_memory = vm->device_memory;
		memcpy(twin->media, vm->media, sizeof(twin->media));
	}
	if (status == STATUS_OK)
		status = vcpus_create(twin);
	if (status == STATUS_OK)
		status = pc_create(twin);
	if (status == STATUS_OK && vm->landing != NULL)
		status = landing_create(twin);
	return status;
}

// No vcpu is on a core.
static void parts_destroy(struct vm *twin, bool memory)
{
	landing_destroy(twin);
	vcpus_destroy(twin);
	pc_destroy(twin);
	if (memory)
		memory_destroy(twin);
	free(twin);
}

enum status twin_create(struct vm *vm, bool memory, struct vm **created)
{
	struct vm *twin = calloc(1, sizeof(*twin));
	enum status status;

	if (twin == NULL)
		return STATUS_FAIL(STATUS_NO_MEMORY);
	twin->config = vm->config;
	for (uint32_t i = 0; i < vm->vcpu_count; i++)
		twin->config.pin[i] = (uint8_t)vm->vcpus[i]->core->index;
	memcpy(twin->name, vm->name, sizeof(twin->name));
	twin->config.name = twin->name;
	twin->time_stands = true;
	twin->holds = 1;
	memcpy(twin->disks, vm->disks, sizeof(twin->disks)); // have no requests of it
	memcpy(twin->nics, vm->nics, sizeof(twin->nics));
	twin->firmware = vm->firmware;
	twin->flash = vm->flash; // has no requests of it
	event_queue_init(&twin->queue, twin, bus_deliver);
	status = parts_create(vm, twin, memory);
	if (status != STATUS_OK) {
		parts_destroy(twin, memory);
		return status;
	}
	vcpus_attach(twin);
	landing_attach(twin);
	pc_reset(twin, DEVICE_RESET_POWER);
	*created = twin;
	return STATUS_OK;
}

void twin_destroy(struct vm *twin, bool memory)
{
	landing_detach(twin);
	vcpus_detach(twin);
	parts_destroy(twin, memory);
}

static void exchange(void *a, void *b, size_t bytes)
{
	uint8_t *left = a, *right = b;

	for (; bytes >= 8; bytes -= 8, left += 8, right += 8) {
		uint64_t one, other;

		__builtin_memcpy(&one, left, sizeof(one));
		__builtin_memcpy(&other, right, sizeof(other));
		__builtin_memcpy(left, &other, sizeof(other));
		__builtin_memcpy(right, &one, sizeof(one));
	}
	for (; bytes > 0; bytes--, left++, right++) {
		uint8_t one = *left;

		*left = *right;
		*right = one;
	}
}

// Parts that have changed hands: what points up.
static void adopt(struct vm *vm)
{
	vm->queue.owner = vm;
	for (uint32_t i = 0; i < vm->device_count; i++)
		vm->devices[i].vm = vm;
	for (uint32_t i = 0; i < vm->vcpu_count; i++) {
		vm->vcpus[i]->vm = vm;
		if (vm->save_load_test != NULL)
			vm->vcpus[i]->signals |= VM_SIGNAL_TEST;
	}
}

static void counts_keep(struct vm_vcpu *vcpu, const struct vm_vcpu *before)
{
	memcpy(vcpu->exit_counts, before->exit_counts, sizeof(vcpu->exit_counts));
	memcpy(vcpu->last_exits, before->last_exits, sizeof(vcpu->last_exits));
	vcpu->exit_total = before->exit_total;
	vcpu->tested_total = before->tested_total;
	vcpu->tested_rip = before->tested_rip;
	vcpu->test_distance = before->test_distance;
}

struct pair {
	struct vm *vm, *twin;
};

static void swap(void *argument)
{
	const struct pair *pair = argument;
	struct vm *vm = pair->vm, *twin = pair->twin;

	ASSERT(vcpus_rest(vm) && vcpus_rest(twin) && vm->time_stands && twin->time_stands);
	ASSERT(backend_all_done(&vm->requests_out));
	ASSERT(vm->vcpu_count == twin->vcpu_count && vm->bus.owner == NULL);
#define SWAP(member)                                                                               \
	do {                                                                                       \
		__typeof__(vm->member) kept = vm->member;                                          \
		vm->member = twin->member;                                                         \
		twin->member = kept;                                                               \
	} while (0)
	exchange(vm->vcpus, twin->vcpus, sizeof(vm->vcpus));
	exchange(&vm->queue, &twin->queue, sizeof(vm->queue));
	exchange(&vm->bus, &twin->bus, sizeof(vm->bus));
	exchange(vm->media, twin->media, sizeof(vm->media));
	exchange(vm->flashes, twin->flashes, sizeof(vm->flashes));
	SWAP(ram);
	SWAP(nested);
	SWAP(device_memory);
	SWAP(requests_out);
	SWAP(pic);
	SWAP(ioapic);
	SWAP(rtc);
	SWAP(acpi_pm);
	SWAP(isa);
	SWAP(ide);
	SWAP(ahci);
	SWAP(input);
	SWAP(pci_host);
	SWAP(hotplug);
	SWAP(packets);
	SWAP(display);
	SWAP(devices);
	SWAP(device_count);
	SWAP(paused_tsc);
	SWAP(end);
	SWAP(end_status);
	SWAP(requests);
	SWAP(request_argument);
	SWAP(panic_argument);
	SWAP(resets);
	SWAP(panics);
	SWAP(reports);
	SWAP(receive_pending);
	SWAP(landing);
#undef SWAP
	if (vm->landing != NULL)
		landing_take_over(vm, twin);
	adopt(vm);
	adopt(twin);
	for (uint32_t i = 0; i < vm->vcpu_count; i++)
		counts_keep(vm->vcpus[i], twin->vcpus[i]);
}

void twin_swap(struct vm *vm, struct vm *twin)
{
	struct pair pair = {vm, twin};

	ASSERT(vm->holds > 0 && twin->holds > 0);
	nics_hold(vm);
	smp_call(vm_home(vm), swap, &pair);
	nics_release(vm);
}
