// SPDX-License-Identifier: BSD-2-Clause
// A machine's memory: its RAM, and what guest-physical addresses lead to.
#include <stdlib.h>

#include "emul/lapic.h"
#include "kernel/mem.h"
#include "kernel/x86.h"
#include "vm/vm.h"

// Guest-physical address space: RAM up to 3 GiB, the rest from 4 GiB.
static enum status ram_create(struct vm *vm)
{
	struct guest_ram *ram = &vm->ram;
	uint64_t bytes = vm->config.memory_bytes, top;

	ram->low_bytes = bytes < GUEST_RAM_LOW_MAX ? bytes : GUEST_RAM_LOW_MAX;
	ram->high_bytes = bytes - ram->low_bytes;
	top = ram->high_bytes != 0 ? GUEST_RAM_HIGH + ram->high_bytes : ram->low_bytes;
	ram->block_count = top / LARGE_PAGE_BYTES;
	ram->blocks = calloc(ram->block_count, sizeof(*ram->blocks));
	ram->written = calloc(ram->block_count, sizeof(*ram->written));
	if (ram->blocks == NULL || ram->written == NULL)
		return STATUS_FAIL(STATUS_NO_MEMORY);
	for (uint64_t i = 0; i < ram->block_count; i++) {
		uint64_t at = i * LARGE_PAGE_BYTES;

		if (at >= ram->low_bytes && at < GUEST_RAM_HIGH)
			continue;
		ram->blocks[i] = mem_large_alloc();
		if (ram->blocks[i] == NULL)
			return STATUS_FAIL(STATUS_NO_MEMORY);
		memory_zero_words(ram->blocks[i], LARGE_PAGE_BYTES / 8);
	}
	return STATUS_OK;
}

static void ram_destroy(struct guest_ram *ram)
{
	for (uint64_t i = 0; ram->blocks != NULL && i < ram->block_count; i++)
		if (ram->blocks[i] != NULL)
			mem_large_free(ram->blocks[i]);
	free(ram->blocks);
	free(ram->written);
	*ram = (struct guest_ram){0};
}

// The first block in parts: RAM, the VGA window left out, ROM read-only, RAM.
static enum status first_block_map(struct vm *vm)
{
	static const struct {
		uint64_t start, end;
		enum nested_access access;
	} parts[] = {
		{0, GUEST_VGA_START, NESTED_READ_WRITE},
		{GUEST_ROM_START, GUEST_ROM_END, NESTED_READ_ONLY},
		{GUEST_ROM_END, LARGE_PAGE_BYTES, NESTED_READ_WRITE},
	};
	enum status status = STATUS_OK;

	for (unsigned i = 0; i < ARRAY_COUNT(parts) && status == STATUS_OK; i++)
		status = nested_map_add(vm->nested, (struct gpa){parts[i].start},
			(struct hpa){hpa_of(vm->ram.blocks[0]).v + parts[i].start},
			parts[i].end - parts[i].start, parts[i].access);
	return status;
}

static enum status map_create(struct vm *vm)
{
	enum status status = nested_map_create(&vm->nested);

	if (status == STATUS_OK)
		status = first_block_map(vm);
	for (uint64_t i = 1; i < vm->ram.block_count && status == STATUS_OK; i++)
		if (vm->ram.blocks[i] != NULL)
			status = nested_map_add(vm->nested, (struct gpa){i * LARGE_PAGE_BYTES},
				hpa_of(vm->ram.blocks[i]), LARGE_PAGE_BYTES, NESTED_READ_WRITE);
	return status;
}

static enum status media_create(struct vm *vm)
{
	enum status status = STATUS_OK;

	for (uint32_t i = 0; i < vm->config.disk_count && status == STATUS_OK; i++) {
		const struct vm_disk_config *disk = &vm->config.disks[i];

		status = medium_create(&vm->media[i], disk->bytes, disk->image, disk->image_bytes);
	}
	return status;
}

enum status memory_create(struct vm *vm)
{
	enum status status = ram_create(vm);

	if (status == STATUS_OK)
		status = map_create(vm);
	return status == STATUS_OK ? media_create(vm) : status;
}

void memory_destroy(struct vm *vm)
{
	if (vm->nested != NULL)
		nested_map_destroy(vm->nested);
	ram_destroy(&vm->ram);
	for (uint32_t i = 0; i < VM_DISKS_MAX; i++)
		medium_destroy(&vm->media[i]);
}

bool vm_memory_take_written(struct vm *vm, uint64_t block)
{
	bool by_host = vm->ram.written[block] != 0;

	vm->ram.written[block] = 0;
	return nested_map_take_written(vm->nested, (struct gpa){block * LARGE_PAGE_BYTES}) ||
		by_host;
}

void vm_memory_written_taken(struct vm *vm)
{
	for (uint32_t i = 0; i < vm->vcpu_count; i++)
		vcpu_forget_nested(vm->vcpus[i]->vcpu);
}

uint64_t vm_overhead_bytes(const struct vm *vm)
{
	uint64_t vcpu_bytes = sizeof(struct vm_vcpu) + sizeof(struct lapic) + 3 * PAGE_BYTES;
	uint64_t bytes = sizeof(*vm) + VM_DEVICES_MAX * sizeof(*vm->devices) +
		vm->vcpu_count * vcpu_bytes +
		vm->ram.block_count * (sizeof(*vm->ram.blocks) + sizeof(*vm->ram.written)) +
		nested_map_table_bytes(vm->nested);

	for (uint32_t i = 0; i < vm->device_count; i++) {
		bytes += vm->devices[i].device->model->instance_bytes;
		if (vm->devices[i].backend != NULL)
			bytes += sizeof(struct backend) + DEVICE_IO_MAX * DEVICE_IO_BYTES_MAX;
	}
	for (uint32_t i = 0; i < vm->config.disk_count; i++)
		bytes += ALIGN_UP(vm->media[i].bytes, LARGE_PAGE_BYTES);
	return bytes;
}
