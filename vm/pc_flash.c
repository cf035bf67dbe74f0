// SPDX-License-Identifier: BSD-2-Clause
// The board's flash chips: firmware's directly below 4 GiB, that of its variables below. What the
// first one holds is the machine's ROM; vm/memory.c shows both.
#include "vm/pc_internal.h"

#include "emul/pflash.h"
#include "vm/flash.h"
#include "vm/pc.h"
#include "vm/vm.h"

enum { CHIP_ACCESS_MAX = 8 };

uint64_t pc_flash_base(const struct vm *vm)
{
	return GUEST_RAM_HIGH - vm->config.firmware_bytes - vm->config.flash.bytes;
}

static enum status chip_create(struct vm *vm, unsigned which, uint64_t base, uint64_t bytes)
{
	struct device *device = pc_device_create(vm, &pflash_model);

	if (device == NULL)
		return STATUS_FAIL(STATUS_NO_MEMORY);
	vm->flashes[which] = device;
	pflash_configure(device, (uint32_t)bytes, which == VM_FLASH_CODE);
	bus_map(&vm->bus, device, PFLASH_REGION_CHIP, DEVICE_SPACE_MMIO, base, bytes,
		CHIP_ACCESS_MAX);
	pc_wire_map(device, PFLASH_OUTPUT_ARRAY);
	return STATUS_OK;
}

enum status pc_flash_create(struct vm *vm)
{
	uint64_t bytes = vm->config.flash.bytes, code = vm->config.firmware_bytes;
	struct vm_device *vars;

	if (vm->config.flash.image == NULL)
		return STATUS_OK;
	if (chip_create(vm, VM_FLASH_CODE, GUEST_RAM_HIGH - code, code) != STATUS_OK ||
		chip_create(vm, VM_FLASH_VARS, pc_flash_base(vm), bytes) != STATUS_OK)
		return STATUS_FAIL(STATUS_NO_MEMORY);
	vars = vm->flashes[VM_FLASH_VARS]->owner;
	vars->memory_offset = (vm->device_memory.block_count - 1) * LARGE_PAGE_BYTES;
	return backend_create(vars, 0, flash_submit, vm->flash);
}
