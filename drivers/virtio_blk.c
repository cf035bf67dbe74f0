// SPDX-License-Identifier: BSD-2-Clause
// A virtio 1.x block device over PCI: VIRTIO 1.2, initialization in 3.1.1 and 4.1.5.1, operation in
// 5.2.6. A transitional device is driven by its modern interface; one that has the legacy interface
// alone is not. One request at a time, straight from and to the caller's buffer; completion is
// looked for, the device is told not to interrupt.
//
// A device that does not answer, or not as it should, is reset before anyone else uses the memory
// that it knows about, and stays so.
#include "drivers/virtio_blk.h"

#include <stdlib.h>
#include <string.h>

#include "drivers/disk.h"
#include "drivers/virtio_blk_abi.h"
#include "kernel/base/assert.h"
#include "kernel/console.h"
#include "kernel/mem.h"
#include "kernel/mmio.h"

enum {
	RESET_TIMEOUT_MS = 1000,
	GENERATIONS_MAX = 100, // changes of the configuration while it is read
	TRANSFER_BYTES_MAX = 128 << 10,
	HEAD = 0, // every request has the same three descriptors
};

// What the device sees: one page.
struct virtio_blk_page {
	struct virtq_desc desc[VIRTIO_QUEUE_ENTRIES];
	struct virtq_avail avail;
	uint8_t unused[2];
	struct virtq_used used;
	struct virtio_blk_header header;
	uint8_t status;
};
_Static_assert(offsetof(struct virtio_blk_page, used) % 4 == 0, "2.7: alignment of the used ring");
_Static_assert(sizeof(struct virtio_blk_page) <= 4096, "does not cross a page");

struct virtio_blk {
	struct disk disk;
	struct disk_lock lock;
	const struct pci_function *function;
	volatile uint8_t *common, *notify, *config;
	struct virtio_blk_page *page;
	uint64_t features; // negotiated
	uint16_t index; // of both rings, when the last request had been answered
};

static struct virtio_blk *blk_of(struct disk *disk)
{
	return CONTAINER_OF(disk, struct virtio_blk, disk);
}

static uint8_t status_read(const struct virtio_blk *blk)
{
	return mmio_read8(blk->common + VIRTIO_DEVICE_STATUS);
}

static void status_write(const struct virtio_blk *blk, uint8_t status)
{
	mmio_write8(blk->common + VIRTIO_DEVICE_STATUS, status);
}

static bool blk_reset(struct virtio_blk *blk)
{
	struct disk_wait wait;
	bool done;

	status_write(blk, 0);
	disk_wait_begin(&wait, &blk->lock, RESET_TIMEOUT_MS);
	do
		done = status_read(blk) == 0;
	while (!done && disk_wait(&wait));
	disk_wait_end(&wait);
	return done;
}

// The device has lost our trust: it must not reach memory any more.
static void blk_stop(struct virtio_blk *blk)
{
	blk->disk.failed = true;
	(void)blk_reset(blk);
	pci_disable(blk->function, PCI_COMMAND_MASTER);
}

// Maps `bytes` of the structure of a kind, from `offset` on in it; NULL: it has not so many.
static volatile uint8_t *structure_map(const struct pci_function *function, uint8_t kind,
	uint32_t offset, uint32_t bytes)
{
	uint32_t at;

	for (unsigned i = 0; (at = pci_capability(function, VIRTIO_CAPABILITY_ID, i)) != 0; i++) {
		uint64_t start;
		uint32_t length;

		// 4.1.4.1: the first of a kind that can be used.
		if (at + VIRTIO_CAPABILITY_LENGTH + 4 > PCI_CONFIG_BYTES ||
			pci_read8(function->at, at + VIRTIO_CAPABILITY_KIND) != kind)
			continue;
		start = pci_read32(function->at, at + VIRTIO_CAPABILITY_OFFSET);
		length = pci_read32(function->at, at + VIRTIO_CAPABILITY_LENGTH);
		if (start % 4 == 0 && offset <= length && bytes <= length - offset) {
			volatile void *place = pci_bar_map(function,
				pci_read8(function->at, at + VIRTIO_CAPABILITY_BAR),
				start + offset, bytes);

			if (place != NULL)
				return place;
		}
	}
	return NULL;
}

// 4.1.4.4: each queue has its own place, in steps of the capability's multiplier.
static volatile uint8_t *notify_map(const struct virtio_blk *blk)
{
	uint32_t at, queue = mmio_read16(blk->common + VIRTIO_QUEUE_NOTIFY_OFF);
	uint64_t offset;

	for (unsigned i = 0;; i++) {
		at = pci_capability(blk->function, VIRTIO_CAPABILITY_ID, i);
		if (at == 0 || at + VIRTIO_CAPABILITY_MULTIPLIER + 4 > PCI_CONFIG_BYTES)
			return NULL;
		if (pci_read8(blk->function->at, at + VIRTIO_CAPABILITY_KIND) == VIRTIO_KIND_NOTIFY)
			break;
	}
	offset = (uint64_t)queue *
		pci_read32(blk->function->at, at + VIRTIO_CAPABILITY_MULTIPLIER);
	if (offset > UINT32_MAX || offset % 2 != 0)
		return NULL;
	return structure_map(blk->function, VIRTIO_KIND_NOTIFY, (uint32_t)offset, 2);
}

static uint64_t features_read(const struct virtio_blk *blk)
{
	uint64_t features;

	mmio_write32(blk->common + VIRTIO_DEVICE_FEATURE_SELECT, 0);
	features = mmio_read32(blk->common + VIRTIO_DEVICE_FEATURE);
	mmio_write32(blk->common + VIRTIO_DEVICE_FEATURE_SELECT, 1);
	return features | (uint64_t)mmio_read32(blk->common + VIRTIO_DEVICE_FEATURE) << 32;
}

static const char *features_negotiate(struct virtio_blk *blk)
{
	uint8_t status = VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER;

	blk->features = features_read(blk) & (VIRTIO_F_VERSION_1 | VIRTIO_BLK_F_SIZE_MAX |
		VIRTIO_BLK_F_RO | VIRTIO_BLK_F_BLK_SIZE | VIRTIO_BLK_F_FLUSH);
	if ((blk->features & VIRTIO_F_VERSION_1) == 0)
		return "the device has the legacy interface alone";
	mmio_write32(blk->common + VIRTIO_DRIVER_FEATURE_SELECT, 0);
	mmio_write32(blk->common + VIRTIO_DRIVER_FEATURE, (uint32_t)blk->features);
	mmio_write32(blk->common + VIRTIO_DRIVER_FEATURE_SELECT, 1);
	mmio_write32(blk->common + VIRTIO_DRIVER_FEATURE, (uint32_t)(blk->features >> 32));
	status |= VIRTIO_STATUS_FEATURES_OK;
	status_write(blk, status);
	if ((status_read(blk) & VIRTIO_STATUS_FEATURES_OK) == 0)
		return "the device wants features that are not supported";
	return NULL;
}

// 2.5.1: fields wider than 32 bits, and several of them, belong together only if nothing changed
// meanwhile.
static const char *config_read(struct virtio_blk *blk)
{
	uint32_t size_max, block_bytes;
	uint8_t generation;
	uint64_t capacity;
	unsigned tries = 0;

	do {
		if (tries++ == GENERATIONS_MAX)
			return "its configuration does not stop changing";
		generation = mmio_read8(blk->common + VIRTIO_CONFIG_GENERATION);
		capacity = mmio_read32(blk->config + VIRTIO_BLK_CAPACITY);
		capacity |= (uint64_t)mmio_read32(blk->config + VIRTIO_BLK_CAPACITY + 4) << 32;
		size_max = mmio_read32(blk->config + VIRTIO_BLK_SIZE_MAX);
		block_bytes = mmio_read32(blk->config + VIRTIO_BLK_BLK_SIZE);
	} while (mmio_read8(blk->common + VIRTIO_CONFIG_GENERATION) != generation);
	if ((blk->features & VIRTIO_BLK_F_BLK_SIZE) == 0)
		block_bytes = VIRTIO_BLK_SECTOR_BYTES;
	if ((blk->features & VIRTIO_BLK_F_SIZE_MAX) == 0 || size_max > TRANSFER_BYTES_MAX)
		size_max = TRANSFER_BYTES_MAX;
	if (block_bytes < DISK_SECTOR_BYTES_MIN || block_bytes > DISK_SECTOR_BYTES_MAX ||
		(block_bytes & (block_bytes - 1)) != 0)
		return "its blocks have a size that is not supported";
	if (size_max < block_bytes)
		return "it does not take a whole block at once";
	if (capacity >= BIT(63) / VIRTIO_BLK_SECTOR_BYTES)
		return "it claims to be larger than disks can be";
	blk->disk.sector_bytes = block_bytes;
	blk->disk.transfer_max = size_max / block_bytes;
	blk->disk.sectors = capacity / (block_bytes / VIRTIO_BLK_SECTOR_BYTES);
	return blk->disk.sectors > 0 ? NULL : "it is empty";
}

static void address_write(const struct virtio_blk *blk, uint32_t offset, const void *address)
{
	mmio_write32(blk->common + offset, (uint32_t)hpa_of(address).v);
	mmio_write32(blk->common + offset + 4, (uint32_t)(hpa_of(address).v >> 32));
}

// Nothing that comes after may fail: the device knows the page.
static const char *queue_start(struct virtio_blk *blk)
{
	mmio_write16(blk->common + VIRTIO_QUEUE_SELECT, 0);
	if (mmio_read16(blk->common + VIRTIO_QUEUE_SIZE) < VIRTIO_QUEUE_ENTRIES)
		return "its queue is too short";
	blk->notify = notify_map(blk);
	if (blk->notify == NULL)
		return "it cannot be notified";
	blk->page = mem_pages_alloc(1);
	if (blk->page == NULL)
		return "no memory";
	blk->page->avail.flags = VIRTQ_AVAIL_NO_INTERRUPT;
	mmio_write16(blk->common + VIRTIO_QUEUE_SIZE, VIRTIO_QUEUE_ENTRIES);
	address_write(blk, VIRTIO_QUEUE_DESC, blk->page->desc);
	address_write(blk, VIRTIO_QUEUE_DRIVER, &blk->page->avail);
	address_write(blk, VIRTIO_QUEUE_DEVICE, &blk->page->used);
	mmio_write16(blk->common + VIRTIO_QUEUE_ENABLE, 1);
	return NULL;
}

// Returns what is wrong with the device, or NULL.
static const char *blk_start(struct virtio_blk *blk)
{
	const struct pci_function *function = blk->function;
	const char *problem;

	// Whatever firmware had set it to must not reach memory.
	pci_disable(function, PCI_COMMAND_MASTER);
	blk->common = structure_map(function, VIRTIO_KIND_COMMON, 0, VIRTIO_COMMON_BYTES);
	blk->config = structure_map(function, VIRTIO_KIND_DEVICE, 0, VIRTIO_BLK_CONFIG_BYTES);
	if (blk->common == NULL || blk->config == NULL)
		return "it has no modern interface, or firmware gave it no addresses";
	pci_enable(function, PCI_COMMAND_MEMORY | PCI_COMMAND_NO_INTX);
	if (!blk_reset(blk))
		return "it does not reset";
	// It has forgotten: from now on it may.
	pci_enable(function, PCI_COMMAND_MASTER);
	status_write(blk, VIRTIO_STATUS_ACKNOWLEDGE);
	status_write(blk, VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER);
	problem = features_negotiate(blk);
	if (problem == NULL)
		problem = config_read(blk);
	if (problem == NULL)
		problem = queue_start(blk);
	if (problem == NULL)
		status_write(blk, status_read(blk) | VIRTIO_STATUS_DRIVER_OK);
	else
		blk_stop(blk);
	return problem;
}

static void blk_submit(struct virtio_blk *blk, enum disk_direction direction, void *buffer,
	uint32_t bytes)
{
	struct virtio_blk_page *page = blk->page;
	uint16_t last = bytes > 0 ? 2 : 1;

	ASSERT(disk_lock_is_held(&blk->lock) && !blk->disk.failed);
	page->desc[HEAD] = (struct virtq_desc){
		hpa_of(&page->header).v, sizeof(page->header), VIRTQ_DESC_NEXT, 1};
	page->desc[1] = (struct virtq_desc){hpa_of(buffer).v, bytes,
		direction == DISK_READ ? VIRTQ_DESC_NEXT | VIRTQ_DESC_WRITE : VIRTQ_DESC_NEXT, 2};
	page->desc[last] = (struct virtq_desc){
		hpa_of(&page->status).v, sizeof(page->status), VIRTQ_DESC_WRITE, 0};
	page->status = UINT8_MAX;
	page->avail.ring[blk->index % VIRTIO_QUEUE_ENTRIES] = HEAD;
	// Pairs with the device's read of the index: what it leads to is there.
	__atomic_store_n(&page->avail.index, (uint16_t)(blk->index + 1), __ATOMIC_SEQ_CST);
	mmio_write16(blk->notify, 0);
}

// Returns what is wrong with the answer, or NULL; then *written says how much the device wrote.
static const char *blk_wait(struct virtio_blk *blk, uint32_t *written)
{
	const struct virtq_used *used = &blk->page->used;
	uint16_t before = blk->index, index;
	struct virtq_used_element element;
	struct disk_wait wait;
	bool in_time = true;

	disk_wait_begin(&wait, &blk->lock, DISK_TIMEOUT_MS);
	// Pairs with the device's write of the index: what it stands for is there.
	while ((index = __atomic_load_n(&used->index, __ATOMIC_ACQUIRE)) == before && in_time)
		in_time = disk_wait(&wait);
	disk_wait_end(&wait);
	if (index == before)
		return "no answer";
	element = used->ring[before % VIRTIO_QUEUE_ENTRIES];
	blk->index = (uint16_t)(before + 1);
	if (index != blk->index)
		return "more answers than requests";
	if (element.id != HEAD)
		return "an answer to nobody's request";
	*written = element.bytes;
	return NULL;
}

static enum status blk_request(struct virtio_blk *blk, uint32_t type, uint64_t sector,
	void *buffer, uint32_t bytes)
{
	uint32_t room = (type == VIRTIO_BLK_T_IN ? bytes : 0) + 1, written; // the status included
	uint64_t place = sector * (blk->disk.sector_bytes / VIRTIO_BLK_SECTOR_BYTES);
	const char *problem;
	uint8_t status;

	blk->page->header = (struct virtio_blk_header){.type = type, .sector = place};
	blk_submit(blk, type == VIRTIO_BLK_T_IN ? DISK_READ : DISK_WRITE, buffer, bytes);
	problem = blk_wait(blk, &written);
	status = __atomic_load_n(&blk->page->status, __ATOMIC_RELAXED);
	if (problem == NULL && (written > room ||
			(written < room && status == VIRTIO_BLK_S_OK && type == VIRTIO_BLK_T_IN)))
		problem = "an answer of a wrong length";
	if (problem != NULL) {
		blk_stop(blk);
		log_error("disk: %s: %s; it is not used any more", blk->disk.name, problem);
		return STATUS_FAIL(STATUS_IO);
	}
	if (status == VIRTIO_BLK_S_OK)
		return STATUS_OK;
	log_error("disk: %s: request %u at sector %llu: status %u", blk->disk.name, type,
		(unsigned long long)sector, status);
	return STATUS_FAIL(STATUS_IO);
}

static enum status blk_transfer(struct disk *disk, enum disk_direction direction, uint64_t sector,
	uint32_t count, void *buffer)
{
	ASSERT(count > 0 && count <= disk->transfer_max);
	ASSERT(sector < disk->sectors && count <= disk->sectors - sector);
	return blk_request(blk_of(disk),
		direction == DISK_READ ? VIRTIO_BLK_T_IN : VIRTIO_BLK_T_OUT, sector, buffer,
		count * disk->sector_bytes);
}

// 5.2.6.2: without the feature, what was written is on the medium.
static enum status blk_flush(struct disk *disk)
{
	struct virtio_blk *blk = blk_of(disk);

	if ((blk->features & VIRTIO_BLK_F_FLUSH) == 0)
		return STATUS_OK;
	return blk_request(blk, VIRTIO_BLK_T_FLUSH, 0, NULL, 0);
}

bool virtio_blk_probe(const struct pci_function *function, unsigned nth)
{
	static const struct disk_ops ops = {blk_transfer, blk_flush};
	struct virtio_blk *blk;
	const char *problem;

	if (function->vendor != VIRTIO_PCI_VENDOR || (function->device != VIRTIO_PCI_BLOCK &&
			function->device != VIRTIO_PCI_BLOCK_TRANSITIONAL))
		return false;
	blk = calloc(1, sizeof(*blk));
	if (blk == NULL) {
		log_warn("disk: no memory for a virtio disk");
		return true;
	}
	blk->function = function;
	blk->disk.ops = &ops;
	blk->disk.at = function->at;
	blk->disk.lock = &blk->lock;
	memcpy(blk->disk.model, "virtio", sizeof("virtio"));
	problem = disk_name(&blk->disk, "vd", nth) ? blk_start(blk) : "one disk too many";
	if (problem != NULL) {
		log_warn("disk: virtio at %02x:%02x.%u: %s", function->at.bus, function->at.slot,
			function->at.function, problem);
		free(blk);
		return true;
	}
	blk->disk.read_only = (blk->features & VIRTIO_BLK_F_RO) != 0;
	disk_add(&blk->disk);
	return true;
}
