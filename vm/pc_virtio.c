// SPDX-License-Identifier: BSD-2-Clause
#include "vm/pc_internal.h"

#include "emul/uart16550.h"
#include "emul/virtio_balloon.h"
#include "emul/virtio_console.h"
#include "emul/virtio_rng.h"
#include "vm/pc.h"
#include "vm/vm.h"

bool pc_virtio_has_model(const struct device_model *model)
{
	return model == &virtio_balloon_model || model == &virtio_console_model ||
		model == &virtio_rng_model;
}

static enum status rng_create(struct vm *vm, struct device *isa)
{
	struct device *device = pc_device_create(vm, &virtio_rng_model);
	uint32_t seed[CHACHA20_KEY_WORDS];

	if (device == NULL)
		return STATUS_FAIL(STATUS_NO_MEMORY);
	ASSERT(vm->config.random_seed.is_there);
	random_seed_derive(&vm->config.random_seed, seed);
	virtio_rng_configure(device, seed);
	pc_pci_place_next(vm, device, isa);
	return STATUS_OK;
}

_Static_assert((int)VIRTIO_CONSOLE_PORT_CHARACTERS == (int)VM_INPUT_PORT &&
	(int)UART16550_PORT_CHARACTERS == (int)VM_INPUT_PORT, "either is the machine's console");

static enum status console_create(struct vm *vm, struct device *isa)
{
	vm->input = pc_device_create(vm, &virtio_console_model);
	if (vm->input == NULL)
		return STATUS_FAIL(STATUS_NO_MEMORY);
	pc_pci_place_next(vm, vm->input, isa);
	return STATUS_OK;
}

static enum status balloon_create(struct vm *vm, struct device *isa)
{
	struct device *device = pc_device_create(vm, &virtio_balloon_model);

	if (device == NULL)
		return STATUS_FAIL(STATUS_NO_MEMORY);
	pc_pci_place_next(vm, device, isa);
	return STATUS_OK;
}

enum status pc_virtio_create(struct vm *vm, struct device *isa)
{
	enum status status = STATUS_OK;

	if (vm->config.rng)
		status = rng_create(vm, isa);
	if (status == STATUS_OK && vm->config.virtio_console)
		status = console_create(vm, isa);
	if (status == STATUS_OK && vm->config.balloon)
		status = balloon_create(vm, isa);
	return status;
}

struct device *pc_balloon_find(const struct vm *vm)
{
	for (uint32_t i = 0; i < vm->device_count; i++)
		if (vm->devices[i].device->model == &virtio_balloon_model)
			return vm->devices[i].device;
	return NULL;
}
