// SPDX-License-Identifier: BSD-2-Clause
// A machine's memory: its RAM, and what guest-physical addresses lead to.
#include <stdlib.h>

#include "emul/lapic.h"
#include "emul/pci_host.h"
#include "emul/pflash.h"
#include "emul/vga.h"
#include "kernel/base/assert.h"
#include "kernel/mem.h"
#include "kernel/x86.h"
#include "vm/pc.h"
#include "vm/pc_board.h"
#include "vm/vm.h"

// Guest-physical address space: RAM up to where the board ends it, the rest from 4 GiB.
static enum status ram_create(struct vm *vm)
{
	struct guest_ram *ram = &vm->ram;
	uint64_t bytes = vm->config.memory_bytes, top;

	ram->low_bytes = bytes < pc_board(vm)->low_max ? bytes : pc_board(vm)->low_max;
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

static enum status rom_create(struct vm *vm)
{
	struct guest_ram *ram = &vm->ram;
	uint64_t bytes = vm->config.firmware_bytes;

	ASSERT(bytes % PAGE_BYTES == 0 && bytes <= GUEST_FIRMWARE_MAX);
	for (uint64_t i = 0; i < ALIGN_UP(bytes, LARGE_PAGE_BYTES) / LARGE_PAGE_BYTES; i++) {
		ram->rom[i] = mem_large_alloc();
		if (ram->rom[i] == NULL)
			return STATUS_FAIL(STATUS_NO_MEMORY);
	}
	ram->rom_bytes = bytes;
	for (uint64_t at = 0; at < bytes; at += PAGE_BYTES)
		memory_copy(guest_ram_rom(ram, at), vm->config.firmware + at, PAGE_BYTES);
	return STATUS_OK;
}

static void ram_destroy(struct guest_ram *ram)
{
	for (uint64_t i = 0; ram->blocks != NULL && i < ram->block_count; i++)
		if (ram->blocks[i] != NULL)
			mem_large_free(ram->blocks[i]);
	for (unsigned i = 0; i < ARRAY_COUNT(ram->rom); i++)
		if (ram->rom[i] != NULL)
			mem_large_free(ram->rom[i]);
	free(ram->blocks);
	free(ram->written);
	*ram = (struct guest_ram){0};
}

// A part from GUEST_ROM_START to GUEST_ROM_END, as ram->shadow has it. The table for it is there:
// it takes no memory.
static void shadow_map(struct vm *vm, unsigned part)
{
	const struct guest_ram *ram = &vm->ram;
	struct gpa at = {GUEST_ROM_START + part * (uint64_t)GUEST_SHADOW_PART};
	enum nested_access access = guest_ram_kind(ram, at) == GUEST_RAM_RAM ? NESTED_READ_WRITE
									     : NESTED_READ_ONLY;

	for (unsigned i = 0; i < GUEST_SHADOW_PART; i += PAGE_BYTES, at.v += PAGE_BYTES) {
		const uint8_t *page = guest_ram_page(ram, at);
		enum status status = page == NULL ? STATUS_OK
			: nested_map_add(vm->nested, at, hpa_of(page), PAGE_BYTES, access);

		ASSERT(status == STATUS_OK);
	}
}

// The first block in parts: RAM, the VGA window left out, what may be shadowed, RAM.
static enum status first_block_map(struct vm *vm)
{
	const uint8_t *block = vm->ram.blocks[0];
	enum status status = nested_map_add(vm->nested, (struct gpa){0}, hpa_of(block),
		GUEST_VGA_START, NESTED_READ_WRITE);

	if (status == STATUS_OK)
		status = nested_map_add(vm->nested, (struct gpa){GUEST_ROM_END},
			hpa_of(block + GUEST_ROM_END), LARGE_PAGE_BYTES - GUEST_ROM_END,
			NESTED_READ_WRITE);
	for (unsigned i = 0; i < GUEST_SHADOW_PARTS && status == STATUS_OK; i++)
		shadow_map(vm, i);
	return status;
}

static enum status rom_map(struct vm *vm)
{
	const struct guest_ram *ram = &vm->ram;
	enum status status = STATUS_OK;

	for (uint64_t at = 0; at < ram->rom_bytes && status == STATUS_OK;) {
		uint64_t start = GUEST_RAM_HIGH - ram->rom_bytes + at;
		uint64_t bytes = LARGE_PAGE_BYTES - start % LARGE_PAGE_BYTES;

		status = nested_map_add(vm->nested, (struct gpa){start},
			hpa_of(guest_ram_rom(ram, at)), bytes, NESTED_READ_ONLY);
		at += bytes;
	}
	return status;
}

static enum status map_create(struct vm *vm)
{
	enum status status = nested_map_create(&vm->nested);

	if (status == STATUS_OK)
		status = first_block_map(vm);
	if (status == STATUS_OK)
		status = rom_map(vm);
	for (uint64_t i = 1; i < vm->ram.block_count && status == STATUS_OK; i++)
		if (vm->ram.blocks[i] != NULL)
			status = nested_map_add(vm->nested, (struct gpa){i * LARGE_PAGE_BYTES},
				hpa_of(vm->ram.blocks[i]), LARGE_PAGE_BYTES, NESTED_READ_WRITE);
	return status;
}

static bool shadow_update(struct vm *vm)
{
	const struct wire *wires = ((const struct vm_device *)vm->pci_host->owner)->wires;
	struct guest_ram *ram = &vm->ram;
	bool changed = false;

	for (unsigned i = 0; i < GUEST_SHADOW_PARTS; i++) {
		unsigned part = i < PCI_HOST_SHADOW_PARTS ? i : PCI_HOST_SHADOW_PARTS - 1;
		uint8_t shadow = (uint8_t)(
			(wires[PCI_HOST_OUTPUT_READ + part].level ? GUEST_SHADOW_READ : 0) |
			(wires[PCI_HOST_OUTPUT_WRITE + part].level ? GUEST_SHADOW_WRITE : 0));

		if (shadow == ram->shadow[i])
			continue;
		nested_map_remove(vm->nested,
			(struct gpa){GUEST_ROM_START + i * (uint64_t)GUEST_SHADOW_PART},
			GUEST_SHADOW_PART);
		ram->shadow[i] = shadow;
		shadow_map(vm, i);
		changed = true;
	}
	if (changed) // the map forgot who wrote
		guest_ram_mark_written(ram, (struct gpa){GUEST_ROM_START});
	return changed;
}

// Without memory for a table the block stays where accesses exit: slower, and nothing else.
static bool device_memory_update(struct vm *vm)
{
	struct device_memory *memory = &vm->device_memory;

	if (device_memory_is_placed(vm))
		return false;
	for (uint64_t i = 0; i < memory->block_count; i++) {
		if (memory->mapped[i] != DEVICE_MEMORY_NOWHERE)
			nested_map_remove(vm->nested, (struct gpa){memory->mapped[i]},
				LARGE_PAGE_BYTES);
		memory->mapped[i] = DEVICE_MEMORY_NOWHERE;
		memory->written[i] = 1; // the map forgot who wrote
	}
	for (uint64_t i = 0; i < memory->block_count; i++) {
		uint64_t at = device_memory_place(vm, i);

		if (at != DEVICE_MEMORY_NOWHERE &&
			nested_map_add(vm->nested, (struct gpa){at}, hpa_of(memory->blocks[i]),
				LARGE_PAGE_BYTES, NESTED_READ_WRITE) == STATUS_OK)
			memory->mapped[i] = at;
	}
	return true;
}

static bool flash_shows(const struct device *flash)
{
	return ((const struct vm_device *)flash->owner)->wires[PFLASH_OUTPUT_ARRAY].level;
}

static bool flash_code_update(struct vm *vm)
{
	struct guest_ram *ram = &vm->ram;
	enum status status;

	if (flash_shows(vm->flashes[VM_FLASH_CODE]) != ram->rom_hidden)
		return false;
	ram->rom_hidden = !ram->rom_hidden;
	if (ram->rom_hidden) {
		nested_map_remove(vm->nested, (struct gpa){GUEST_RAM_HIGH - ram->rom_bytes},
			ram->rom_bytes);
		return true;
	}
	status = rom_map(vm);
	ASSERT(status == STATUS_OK); // the tables for it are there
	return true;
}

// As with a display's memory: without memory for a table reads exit.
static bool flash_vars_update(struct vm *vm)
{
	struct device_memory *memory = &vm->device_memory;
	uint64_t at = flash_shows(vm->flashes[VM_FLASH_VARS]) ? pc_flash_base(vm)
							      : DEVICE_MEMORY_NOWHERE;

	if (at == memory->flash_at)
		return false;
	if (memory->flash_at != DEVICE_MEMORY_NOWHERE)
		nested_map_remove(vm->nested, (struct gpa){memory->flash_at},
			vm->config.flash.bytes);
	memory->flash_at = at;
	if (at != DEVICE_MEMORY_NOWHERE && nested_map_add(vm->nested, (struct gpa){at},
		hpa_of(flash_contents(vm)), vm->config.flash.bytes, NESTED_READ_ONLY) != STATUS_OK)
		memory->flash_at = DEVICE_MEMORY_NOWHERE;
	return true;
}

static bool flashes_update(struct vm *vm)
{
	bool changed;

	if (vm->flashes[VM_FLASH_CODE] == NULL)
		return false;
	changed = flash_code_update(vm);
	return flash_vars_update(vm) || changed;
}

void memory_map_update(struct vm *vm)
{
	bool changed;

	ASSERT(vcpus_rest(vm));
	changed = shadow_update(vm);
	changed |= device_memory_update(vm);
	changed |= flashes_update(vm);
	for (uint32_t i = 0; i < vm->vcpu_count && changed; i++)
		vm_vcpu_forget_memory(vm->vcpus[i]);
}

static enum status media_create(struct vm *vm)
{
	enum status status = STATUS_OK;

	for (uint32_t i = 0; i < vm->config.disk_count && status == STATUS_OK; i++) {
		const struct vm_disk_config *disk = &vm->config.disks[i];

		if (disk->bytes == 0) // a CD drive with no disc in it
			continue;
		if (disk->region != NULL)
			medium_create_region(&vm->media[i], disk->region->region);
		else
			status = medium_create(&vm->media[i], disk->bytes, disk->image,
				disk->image_bytes);
		if (status == STATUS_OK && disk->overlay_bytes != 0)
			status = medium_create_overlay(&vm->media[i], disk->overlay_bytes);
	}
	return status;
}

enum status memory_create(struct vm *vm)
{
	enum status status = ram_create(vm);

	if (status == STATUS_OK)
		status = rom_create(vm);
	if (status == STATUS_OK)
		status = map_create(vm);
	if (status == STATUS_OK && vm->config.display == VM_DISPLAY_VGA)
		status = device_memory_create(&vm->device_memory, VGA_MEMORY_BYTES);
	if (status == STATUS_OK && vm->config.flash.image != NULL)
		status = device_memory_extend(&vm->device_memory, PFLASH_MEMORY_BYTES);
	return status == STATUS_OK ? media_create(vm) : status;
}

void memory_destroy(struct vm *vm)
{
	if (vm->nested != NULL)
		nested_map_destroy(vm->nested);
	ram_destroy(&vm->ram);
	device_memory_destroy(&vm->device_memory);
	for (uint32_t i = 0; i < VM_DISKS_MAX; i++)
		medium_destroy(&vm->media[i]);
}

void memory_mark_written(struct vm *vm)
{
	for (uint64_t i = 0; i < vm->ram.block_count; i++)
		vm->ram.written[i] = 1;
	for (uint64_t i = 0; i < vm->device_memory.block_count; i++)
		vm->device_memory.written[i] = 1;
}

static bool device_memory_take_written(struct vm *vm, uint64_t block)
{
	struct device_memory *memory = &vm->device_memory;
	uint64_t at = memory->mapped[block];
	bool by_host = memory->written[block] != 0;

	memory->written[block] = 0;
	return (at != DEVICE_MEMORY_NOWHERE &&
		nested_map_take_written(vm->nested, (struct gpa){at})) || by_host;
}

bool vm_memory_take_written(struct vm *vm, uint64_t block)
{
	bool by_host;

	if (block >= vm->ram.block_count)
		return device_memory_take_written(vm, block - vm->ram.block_count);
	by_host = vm->ram.written[block] != 0;
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
		nested_map_table_bytes(vm->nested) + ALIGN_UP(vm->ram.rom_bytes, LARGE_PAGE_BYTES);

	bytes += vm->device_memory.block_count * LARGE_PAGE_BYTES;
	if (vm->flash != NULL)
		bytes += LARGE_PAGE_BYTES; // what its region has
	for (uint32_t i = 0; i < vm->device_count; i++) {
		bytes += vm->devices[i].device->model->instance_bytes;
		FOR_EACH_PORT(&vm->devices[i], backend)
			bytes += sizeof(*backend) + DEVICE_IO_MAX * DEVICE_IO_BYTES_MAX;
	}
	for (uint32_t i = 0; i < vm->config.disk_count; i++)
		bytes += medium_memory_bytes(&vm->media[i]);
	if (vm->config.nic_count != 0)
		bytes += sizeof(*vm->packets) + vm->config.nic_count * sizeof(struct nic);
	return bytes;
}
