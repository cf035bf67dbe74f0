// SPDX-License-Identifier: BSD-2-Clause
// Memory of devices' own (emul/device.h): the frame buffer of a display, and behind it what a flash
// holds. A machine has one of each at most. It is part of the machine's memory, behind its RAM:
// vm_memory_block. A flash's is mapped by memory.c; this is about the other.
//
// Where the device's region shows it and nobody else answers, guests have it in their memory map,
// in whole blocks of 2 MiB; memory.c sees to that while all vcpus rest, after a region has moved.
// Until then, and wherever a block has to share its place, accesses exit, and the bus carries them
// out.
#ifndef VM_DEVICE_MEMORY_H
#define VM_DEVICE_MEMORY_H

#include "kernel/base/status.h"
#include "kernel/base/types.h"

enum { DEVICE_MEMORY_BLOCKS_MAX = 9 };

#define DEVICE_MEMORY_NOWHERE UINT64_MAX

struct device_memory {
	uint64_t block_count; // 0: there is none
	uint64_t shown_count; // of these, from the first on: those that a region shows
	uint8_t *blocks[DEVICE_MEMORY_BLOCKS_MAX];
	uint8_t written[DEVICE_MEMORY_BLOCKS_MAX]; // as that of struct guest_ram
	// Guest-physical, as the memory map has it; DEVICE_MEMORY_NOWHERE: accesses exit.
	uint64_t mapped[DEVICE_MEMORY_BLOCKS_MAX];
	uint64_t flash_at; // the same of what the last block begins with, where it is a flash's
};

struct vm;

// `bytes`: whole blocks. STATUS_NO_MEMORY: what is there of it is to be destroyed.
must_check enum status device_memory_create(struct device_memory *memory, uint64_t bytes);
// Blocks behind those that are there, which no region shows. The same.
must_check enum status device_memory_extend(struct device_memory *memory, uint64_t bytes);
void device_memory_destroy(struct device_memory *memory);

// All of it is in the memory.
void device_memory_get(const struct device_memory *memory, uint64_t offset, void *to,
	uint64_t bytes);
void device_memory_put(struct device_memory *memory, uint64_t offset, const void *from,
	uint64_t bytes);

// Where a block ought to be mapped; and whether all are where they ought to be.
uint64_t device_memory_place(const struct vm *vm, uint64_t block);
bool device_memory_is_placed(const struct vm *vm);

#endif
