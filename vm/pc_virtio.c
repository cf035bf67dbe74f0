// SPDX-License-Identifier: BSD-2-Clause
#include "vm/pc_internal.h"

#include "emul/virtio_rng.h"
#include "vm/vm.h"

bool pc_virtio_has_model(const struct device_model *model)
{
	return model == &virtio_rng_model;
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

enum status pc_virtio_create(struct vm *vm, struct device *isa)
{
	enum status status = STATUS_OK;

	if (vm->config.rng)
		status = rng_create(vm, isa);
	return status;
}
