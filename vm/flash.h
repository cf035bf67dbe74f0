// SPDX-License-Identifier: BSD-2-Clause
// What keeps firmware's variables: the back end of the flash that they are in (emul/pflash.h). A
// fiber writes each block to a region of a disk in the order in which the device asks, and has the
// disk flush it before it answers. So what is there at any moment is what the flash once held, but
// for the block that is being written.
//
// The contents themselves are device memory (vm/device_memory.h): saved, loaded and exchanged with
// the machine. What is loaded goes to the region block by block: flash_sync.
#ifndef VM_FLASH_H
#define VM_FLASH_H

#include "vm/backend.h"
#include "vm/vm_config.h"

enum { VM_FLASH_CODE, VM_FLASH_VARS, VM_FLASHES };

struct flash;

// Opens the region and reads it: what is erased, or all zeros at its start, gets the image that a
// new one holds; what holds something else is refused. In a fiber, or before the event loop.
must_check enum status flash_create(const struct vm_config *config, struct flash **created,
	char error[]); // VM_ERROR_MAX
// It has no requests. NULL is allowed.
void flash_destroy(struct flash *flash);

// What the machine's flash holds, config->flash.bytes of it. There is one.
uint8_t *flash_contents(const struct vm *vm);
// As the region has it, or where that is left alone as a new one is: of a new machine.
void flash_fill(struct vm *vm);
// The region gets all that it does not have. The machine is held; in a fiber.
void flash_sync(struct vm *vm);

// For struct backend; owner: struct flash.
void flash_submit(void *owner, struct backend_request *request);

// Whether these are variables as firmware keeps them: a firmware volume (UEFI Platform
// Initialization 1.7, volume 3, 3.2.1), and of how many bytes.
must_check bool flash_is_volume(const uint8_t *bytes, uint64_t count, uint64_t *volume_bytes);

#endif
