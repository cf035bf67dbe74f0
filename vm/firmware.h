// SPDX-License-Identifier: BSD-2-Clause
// What a guest's firmware is told of its machine, through fw_cfg: memory, CPUs, ACPI tables, the
// order in which disks are tried.
#ifndef VM_FIRMWARE_H
#define VM_FIRMWARE_H

#include "emul/fw_cfg.h"

struct vm;

enum { FIRMWARE_ITEMS_MAX = 32 };

// Constant over the life of the machine, and the same for every machine of its configuration.
struct firmware_info {
	struct fw_cfg_item items[FIRMWARE_ITEMS_MAX];
	uint32_t item_count;
};

// Of vm->config. STATUS_NO_MEMORY.
must_check enum status firmware_info_create(const struct vm *vm, struct firmware_info **created);
void firmware_info_destroy(struct firmware_info *info); // NULL is allowed

#endif
