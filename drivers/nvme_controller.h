// SPDX-License-Identifier: BSD-2-Clause
// An NVMe controller as its disks use it: one pair of queues, one command at a time.
#ifndef DRIVERS_NVME_CONTROLLER_H
#define DRIVERS_NVME_CONTROLLER_H

#include "drivers/disk.h"
#include "drivers/nvme_abi.h"

enum { NVME_ADMIN_TIMEOUT_MS = 10000, NVME_PROBLEM_MAX = 80 };

// What the controller sees, in pages.
struct nvme_memory {
	struct nvme_command admin_commands[64];
	struct nvme_completion admin_completions[256];
	struct nvme_command io_commands[64];
	struct nvme_completion io_completions[256];
	uint64_t list[512]; // of pages of a transfer
	uint8_t data[4096]; // of Identify
	uint8_t bounce[DISK_BOUNCE_PAGES][4096];
};
_Static_assert(sizeof(struct nvme_memory) == (6 + DISK_BOUNCE_PAGES) * 4096, "whole pages");

// Two rings: of commands, and of what became of them.
struct nvme_queue {
	struct nvme_command *commands;
	struct nvme_completion *completions;
	uint16_t id; // 0: the admin queues
	uint16_t tail, head; // of the rings: where the next one goes, where the next one comes
	uint16_t command_id; // the latest
	uint32_t phase;      // of the next completion
};

struct nvme {
	const struct pci_function *function;
	volatile uint8_t *registers;
	uint32_t stride;   // of doorbells
	uint32_t reset_ms; // for the controller to become ready, or not
	uint16_t entries;  // of each ring
	struct nvme_memory *memory;
	struct disk_lock lock; // of all that follows
	struct nvme_queue admin, io;
	char problem[NVME_PROBLEM_MAX];
};

// Resets the controller and makes the queues. Returns what is wrong with it, or NULL; then it has
// been stopped.
must_check const char *nvme_start(struct nvme *nvme);
// It has lost our trust, or is not needed: it does not reach memory any more.
void nvme_stop(struct nvme *nvme);

// Runs the command and waits for its end. Returns what is wrong with the controller, which is to be
// stopped then, or NULL; then *failed is 0, or NVME_STATUS_FAILED's bits say why it failed.
must_check const char *nvme_run(struct nvme *nvme, struct nvme_queue *queue,
	struct nvme_command *command, uint32_t timeout_ms, uint32_t *failed);

static inline uint32_t nvme_failed_type(uint32_t failed)
{
	return failed >> (NVME_STATUS_TYPE_SHIFT - NVME_STATUS_CODE_SHIFT) & NVME_STATUS_TYPE;
}

static inline uint32_t nvme_failed_code(uint32_t failed)
{
	return failed & NVME_STATUS_CODE;
}

#endif
