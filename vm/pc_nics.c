// SPDX-License-Identifier: BSD-2-Clause
// The board's network devices.
#include "vm/pc_internal.h"

#include <stdlib.h>

#include "emul/virtio_net.h"
#include "vm/pc.h"
#include "vm/vm.h"

unsigned pc_nic_device(const struct vm *vm, uint32_t index)
{
	unsigned number = PC_PCI_FIRST_FREE + index;

	for (uint32_t i = 0; i < vm->config.disk_count; i++)
		number += vm->config.disks[i].kind == VM_DISK_VIRTIO;
	return number;
}

enum status pc_nics_create(struct vm *vm, struct device *isa)
{
	if (vm->config.nic_count == 0)
		return STATUS_OK;
	vm->packets = calloc(1, sizeof(*vm->packets));
	if (vm->packets == NULL)
		return STATUS_FAIL(STATUS_NO_MEMORY);
	for (uint32_t i = 0; i < vm->config.nic_count; i++) {
		struct device *device = pc_device_create(vm, &virtio_net_model);

		if (device == NULL)
			return STATUS_FAIL(STATUS_NO_MEMORY);
		virtio_net_configure(device, vm->config.nics[i].mac);
		((struct vm_device *)device->owner)->nic = vm->nics[i];
		vm->nics[i]->device = device->id; // the same in a twin
		pc_card_place(vm, device, pc_nic_device(vm, i), isa);
	}
	return STATUS_OK;
}
