// SPDX-License-Identifier: BSD-2-Clause
// The host's disks.
//
// Reading, writing and flushing wait for the disk: in a fiber of any CPU, or before that CPU's
// event loop runs. A driver finds out by looking (no interrupt is used): often at first, then every
// DISK_POLL_US, and in between everything else on the CPU goes on. A wake of the fiber meanwhile is
// kept for its next fiber_wait. Several fibers may use a disk, on any CPUs; requests of different
// ones come in no order.
//
// A disk that does not answer in DISK_TIMEOUT_MS is reset and not used any more.
#ifndef DRIVERS_DISK_H
#define DRIVERS_DISK_H

#include "kernel/base/status.h"
#include "kernel/pci.h"

enum {
	DISK_NAME_MAX = 20, // with the terminating zero
	DISK_MODEL_MAX = 41,
	DISK_SECTOR_BYTES_MIN = 512,
	DISK_SECTOR_BYTES_MAX = 4096,
	DISK_TIMEOUT_MS = 30000,
	DISK_POLL_US = 50,
	DISK_BOUNCE_PAGES = 8,
};

enum disk_direction { DISK_READ, DISK_WRITE };

struct disk;

// Called one at a time for all disks with the same `lock`.
struct disk_ops {
	// 1 to disk->transfer_max sectors, all on the disk. STATUS_IO: told in the log.
	enum status (*transfer)(struct disk *disk, enum disk_direction direction, uint64_t sector,
		uint32_t count, void *buffer);
	enum status (*flush)(struct disk *disk);
};

// Of disks that share registers: held by one fiber after another in the order in which they came,
// so that nobody who writes on and on keeps the others out. Zeroed memory is free.
struct disk_lock {
	uint32_t tickets; // (a) that have been given out
	uint32_t turn;    // (a) whose turn it is: set with release, read with acquire
	uint64_t spin_end; // the holder's: TSC until which others on its CPU need not go on
};

// True while somebody holds it: for assertions.
static inline bool disk_lock_is_held(const struct disk_lock *lock)
{
	return __atomic_load_n(&lock->turn, __ATOMIC_RELAXED) !=
		__atomic_load_n(&lock->tickets, __ATOMIC_RELAXED);
}

// (c) after disk_add, but for `failed`.
struct disk {
	const struct disk_ops *ops;
	char name[DISK_NAME_MAX];   // as Linux names them: docs/folders/drivers.md
	char model[DISK_MODEL_MAX]; // what the disk calls itself, or the driver
	bool read_only;
	bool failed; // its lock's: every request is answered with STATUS_IO
	uint8_t unit;           // of its function: IDE's channel * 2 + drive, otherwise 0
	uint32_t sector_bytes;  // a power of two
	uint32_t transfer_max;  // sectors of one request to the driver, at least 1
	uint64_t sectors;       // sectors * sector_bytes is below 2^63
	struct pci_address at;
	struct disk_lock *lock;
	// Which buffers the driver takes: those that begin at multiples of `align` and end below
	// `end`; 0: all. For the others there is `bounce`, its lock's.
	struct {
		uint32_t align; // a power of two
		uint64_t end;   // host-physical
		uint8_t *bounce; // of DISK_BOUNCE_PAGES, and such a buffer
	} dma;
	struct disk *next;
};

// Finds and starts all disks, once; after pci_init, on the boot CPU before its event loop.
void disk_init(void);
struct disk *disk_first(void);
// By name, or by its place in the list as a decimal number; NULL: there is none.
struct disk *disk_find(const char *name);

static inline uint64_t disk_bytes(const struct disk *disk)
{
	return disk->sectors * disk->sector_bytes;
}

// `count` sectors from `sector` on, to or from `buffer`, which has room for them and does not move.
// STATUS_RANGE: not all of them are on the disk. STATUS_REFUSED: a write to a read-only disk.
// STATUS_IO: the disk failed, and the log says how; some sectors may have been transferred.
must_check enum status disk_read(struct disk *disk, uint64_t sector, uint64_t count, void *buffer);
must_check enum status disk_write(struct disk *disk, uint64_t sector, uint64_t count,
	const void *buffer);
// All that was written is on the medium. STATUS_IO.
must_check enum status disk_flush(struct disk *disk);

// The rest is for drivers.

// *disk stays the registry's. The log tells about it.
void disk_add(struct disk *disk);
// The name of the `nth` disk of a kind, as in "vda"; false: there are no more than 26.
must_check bool disk_name(struct disk *disk, const char *prefix, unsigned nth);
// What the disk calls itself: filled up with spaces, and any bytes at all.
void disk_model_set(struct disk *disk, const char *text, size_t bytes);

// Waiting for a device:
//
//	disk_wait_begin(&wait, lock, ms); of the disk: held, or not known to others yet
//	while (!done())
//		if (!disk_wait(&wait))
//			... it has taken too long
//	disk_wait_end(&wait);
struct disk_wait {
	struct disk_lock *lock;
	uint64_t deadline; // TSC
	bool is_slow; // it has been waited for: looking again and again is no use
	bool woken;
};
void disk_wait_begin(struct disk_wait *wait, struct disk_lock *lock, uint32_t timeout_ms);
// False: time is over.
must_check bool disk_wait(struct disk_wait *wait);
// Between pieces of work: lets others go on if it has taken long. What is waited for next is
// another thing.
void disk_wait_breathe(struct disk_wait *wait);
void disk_wait_end(struct disk_wait *wait);

#endif
