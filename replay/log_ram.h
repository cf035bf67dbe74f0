// SPDX-License-Identifier: BSD-2-Clause
// Stores in memory: blocks for a log that is kept in RAM, and the bytes of a file. They never wait
// and never fail.
#ifndef REPLAY_LOG_RAM_H
#define REPLAY_LOG_RAM_H

#include "replay/log_store.h"

struct log_ram {
	struct log_store store;
	uint8_t *const *blocks;
	uint64_t block_bytes;
	uint8_t *memory; // the one block of log_ram_init_read_only
};

// `count` blocks of `block_bytes`, which is a multiple of LOG_ALIGNMENT_MIN. Blocks and their list
// stay the caller's. A ring is two stores, one of each half of the blocks.
void log_ram_init(struct log_ram *ram, uint8_t *const *blocks, uint64_t count,
	uint64_t block_bytes);
// The same without blocks; *ram must stay where it is.
void log_ram_init_read_only(struct log_ram *ram, const void *memory, uint64_t bytes);

#endif
