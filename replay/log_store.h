// SPDX-License-Identifier: BSD-2-Clause
// Where a log is kept: bytes at offsets. A store of a disk region may make its caller wait, so its
// functions are called in a fiber alone; the log's writer and reader do so in their pumps.
#ifndef REPLAY_LOG_STORE_H
#define REPLAY_LOG_STORE_H

#include "kernel/base/status.h"
#include "kernel/base/types.h"

struct log_store;

struct log_store_ops {
	// Any offset and count within the store. STATUS_IO.
	enum status (*read)(struct log_store *store, uint64_t offset, void *bytes, size_t count);
	// Multiples of the alignment within the store. STATUS_IO.
	enum status (*write)(struct log_store *store, uint64_t offset, const void *bytes,
		size_t count);
	// What was written survives a loss of power when this returns. NULL: nothing to do.
	enum status (*flush)(struct log_store *store);
};

// To be embedded in what has the bytes.
struct log_store {
	const struct log_store_ops *ops;
	uint64_t bytes;
	uint32_t alignment; // of chunks: LOG_ALIGNMENT_MIN to LOG_ALIGNMENT_MAX, a power of two
	bool read_only;
};

// Called where a pump has something to do, while a guest may be running: it wakes the pump's fiber.
struct log_wake {
	void (*call)(void *owner); // NULL: nobody is told
	void *owner;
};

void log_wake(const struct log_wake *wake);

// STATUS_RANGE: not within the store.
must_check enum status log_store_read(struct log_store *store, uint64_t offset, void *bytes,
	size_t count);
// STATUS_RANGE: not within the store, or not aligned. STATUS_REFUSED: it is for reading alone.
must_check enum status log_store_write(struct log_store *store, uint64_t offset,
	const void *bytes, size_t count);
must_check enum status log_store_flush(struct log_store *store);

#endif
