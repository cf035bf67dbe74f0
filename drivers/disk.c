// SPDX-License-Identifier: BSD-2-Clause
#include "drivers/disk.h"

#include <stdlib.h>
#include <string.h>

#include "drivers/ahci.h"
#include "drivers/ide.h"
#include "drivers/nvme.h"
#include "drivers/virtio_blk.h"
#include "kernel/base/assert.h"
#include "kernel/clock.h"
#include "kernel/console.h"
#include "kernel/fiber.h"
#include "kernel/loop.h"
#include "kernel/mem.h"
#include "kernel/x86.h"

// A fiber yields within 200 us: this, and a sector by programmed I/O at the slowest, are less.
#define SPIN_NS  UINT64_C(50000)
#define POLL_NS  (UINT64_C(1000) * DISK_POLL_US)
#define NS_PER_MS UINT64_C(1000000)

static struct disk *disks, **disks_last = &disks; // (c) after disk_init

struct disk *disk_first(void)
{
	return disks;
}

struct disk *disk_find(const char *name)
{
	char *end;
	unsigned long place = strtoul(name, &end, 10);
	bool is_place = *name >= '0' && *name <= '9' && *end == '\0';

	for (struct disk *disk = disks; disk != NULL; disk = disk->next)
		if (is_place ? place-- == 0 : strcmp(disk->name, name) == 0)
			return disk;
	return NULL;
}

void disk_add(struct disk *disk)
{
	ASSERT(disk->sector_bytes >= DISK_SECTOR_BYTES_MIN &&
		disk->sector_bytes <= DISK_SECTOR_BYTES_MAX &&
		(disk->sector_bytes & (disk->sector_bytes - 1)) == 0);
	ASSERT(disk->sectors > 0 && disk->sectors < BIT(63) / disk->sector_bytes);
	ASSERT(disk->transfer_max > 0 && disk->lock != NULL);
	*disks_last = disk;
	disks_last = &disk->next;
	log_info("disk: %s: %llu MiB, %s at %02x:%02x.%u%s", disk->name,
		(unsigned long long)(disk_bytes(disk) / MIB), disk->model, disk->at.bus,
		disk->at.slot, disk->at.function, disk->read_only ? ", read-only" : "");
}

bool disk_name(struct disk *disk, const char *prefix, unsigned nth)
{
	size_t length = strlen(prefix);

	ASSERT(length + 2 <= DISK_NAME_MAX);
	if (nth > 'z' - 'a')
		return false;
	memcpy(disk->name, prefix, length);
	disk->name[length] = (char)('a' + nth);
	disk->name[length + 1] = '\0';
	return true;
}

void disk_model_set(struct disk *disk, const char *text, size_t bytes)
{
	size_t used = 0;

	ASSERT(bytes < DISK_MODEL_MAX);
	for (size_t i = 0; i < bytes; i++) {
		disk->model[i] = text[i];
		if (text[i] <= ' ' || text[i] > '~')
			disk->model[i] = ' ';
		else
			used = i + 1;
	}
	disk->model[used] = '\0';
}

void disk_init(void)
{
	unsigned virtio = 0, ide = 0, ahci = 0, nvme = 0;

	for (const struct pci_function *at = pci_first(); at != NULL; at = at->next) {
		virtio += virtio_blk_probe(at, virtio);
		ide += ide_probe(at, ide);
		ahci += ahci_probe(at, ahci);
		nvme += nvme_probe(at, nvme);
	}
}

static void others_go_on(struct disk_wait *wait)
{
	if (fiber_self() == NULL) {
		ASSERT(!loop_is_running());
		clock_wait_us(1);
	} else {
		wait->woken |= fiber_wait(rdtsc() + clock_ns_to_tsc(POLL_NS));
	}
}

static void rest(struct disk_wait *wait)
{
	others_go_on(wait);
	wait->lock->spin_end = rdtsc() + clock_ns_to_tsc(SPIN_NS);
}

// Requests in a row share the time that they may take: a disk that answers at once is no reason
// never to yield. After a pause it begins anew.
void disk_wait_begin(struct disk_wait *wait, struct disk_lock *lock, uint32_t timeout_ms)
{
	uint64_t spin = clock_ns_to_tsc(SPIN_NS), now = rdtsc();

	*wait = (struct disk_wait){
		.lock = lock, .deadline = now + clock_ns_to_tsc(timeout_ms * NS_PER_MS)};
	if (now - lock->spin_end < spin) // behind its end, but not long
		rest(wait);
	else if (now >= lock->spin_end)
		lock->spin_end = now + spin;
}

bool disk_wait(struct disk_wait *wait)
{
	uint64_t now = rdtsc();

	if (now >= wait->deadline)
		return false;
	if (!wait->is_slow && now < wait->lock->spin_end) {
		cpu_relax();
		return true;
	}
	wait->is_slow = true;
	rest(wait);
	return true;
}

void disk_wait_breathe(struct disk_wait *wait)
{
	wait->is_slow = false;
	if (rdtsc() >= wait->lock->spin_end)
		rest(wait);
}

void disk_wait_end(struct disk_wait *wait)
{
	if (wait->woken)
		fiber_wake(fiber_self());
}

// Whoever holds it waits for the device, and not for ever.
static void lock_take(struct disk_lock *lock)
{
	uint32_t ticket = __atomic_fetch_add(&lock->tickets, 1, __ATOMIC_RELAXED);
	struct disk_wait wait = {.woken = false};

	// Pairs with lock_give.
	while (__atomic_load_n(&lock->turn, __ATOMIC_ACQUIRE) != ticket)
		others_go_on(&wait);
	disk_wait_end(&wait);
}

static void lock_give(struct disk_lock *lock)
{
	ASSERT(disk_lock_is_held(lock));
	// Pairs with lock_take. Nobody else writes it.
	__atomic_store_n(&lock->turn, lock->turn + 1, __ATOMIC_RELEASE);
}

// Whether the driver can move these bytes itself.
static bool is_direct(const struct disk *disk, const void *buffer, uint64_t bytes)
{
	uint64_t start = hpa_of(buffer).v;

	return (disk->dma.align == 0 || start % disk->dma.align == 0) &&
		(disk->dma.end == 0 || start + bytes <= disk->dma.end);
}

// Of 1 to `count` sectors: how many goes back to *count.
static enum status piece_transfer(struct disk *disk, enum disk_direction direction, uint64_t sector,
	uint32_t *count, uint8_t *at)
{
	uint32_t room = DISK_BOUNCE_PAGES * (uint32_t)PAGE_BYTES / disk->sector_bytes;
	size_t bytes = (size_t)*count * disk->sector_bytes;
	enum status status;

	if (disk->failed)
		return STATUS_FAIL(STATUS_IO);
	if (is_direct(disk, at, bytes))
		return disk->ops->transfer(disk, direction, sector, *count, at);
	if (*count > room) {
		*count = room;
		bytes = (size_t)room * disk->sector_bytes;
	}
	ASSERT(disk->dma.bounce != NULL && is_direct(disk, disk->dma.bounce, bytes));
	if (direction == DISK_WRITE)
		memcpy(disk->dma.bounce, at, bytes);
	status = disk->ops->transfer(disk, direction, sector, *count, disk->dma.bounce);
	if (direction == DISK_READ && status == STATUS_OK)
		memcpy(at, disk->dma.bounce, bytes);
	return status;
}

static enum status disk_transfer(struct disk *disk, enum disk_direction direction, uint64_t sector,
	uint64_t count, void *buffer)
{
	uint8_t *at = buffer;
	enum status status = STATUS_OK;

	if (count > disk->sectors || sector > disk->sectors - count)
		return STATUS_FAIL(STATUS_RANGE);
	if (direction == DISK_WRITE && disk->read_only)
		return STATUS_FAIL(STATUS_REFUSED);
	while (count > 0 && status == STATUS_OK) {
		uint32_t now = count < disk->transfer_max ? (uint32_t)count : disk->transfer_max;

		lock_take(disk->lock);
		status = piece_transfer(disk, direction, sector, &now, at);
		lock_give(disk->lock);
		sector += now;
		count -= now;
		at += (size_t)now * disk->sector_bytes;
	}
	return status;
}

enum status disk_read(struct disk *disk, uint64_t sector, uint64_t count, void *buffer)
{
	return disk_transfer(disk, DISK_READ, sector, count, buffer);
}

enum status disk_write(struct disk *disk, uint64_t sector, uint64_t count, const void *buffer)
{
	return disk_transfer(disk, DISK_WRITE, sector, count, (void *)(uintptr_t)buffer);
}

enum status disk_flush(struct disk *disk)
{
	enum status status;

	if (disk->read_only)
		return STATUS_OK;
	lock_take(disk->lock);
	status = disk->failed ? STATUS_FAIL(STATUS_IO) : disk->ops->flush(disk);
	lock_give(disk->lock);
	return status;
}
