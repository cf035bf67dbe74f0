// SPDX-License-Identifier: BSD-2-Clause
// A virtio block device over PCI: transitional, with several queues.
//
// Specification: VIRTIO 1.2, 5.2.
//
// Left out on purpose: geometry, secure erase, zones, lifetime, SCSI commands. CONFIG_WCE is
// stored: every medium keeps what was written until a flush at least.
//
// Entered by the VM's bus only.
#include "emul/virtio_blk_internal.h"

#include <string.h>

enum {
	TYPE = 2, // 5
	TRANSITIONAL = 0x1001,
	CLASS_SCSI = 0x010000, // as QEMU's
	CONFIG_BYTES = 60,
	CONFIG_WRITEBACK = 0x20,
	QUEUES = VIRTIO_QUEUES_MAX,
	QUEUE_SIZE = VIRTIO_QUEUE_SIZE_MAX,
	BLOCK_BYTES = 512,
};

// 5.2.4
struct config {
	uint32_t capacity, capacity_high;
	uint32_t size_max, seg_max;
	uint32_t geometry;
	uint32_t block_bytes;
	uint8_t physical_exponent, alignment;
	uint16_t io_min;
	uint32_t io_best;
	uint8_t writeback, unused;
	uint16_t queues;
	uint32_t discard_sectors_max, discard_ranges_max, discard_alignment;
	uint32_t zero_sectors_max, zero_ranges_max;
	uint32_t zero_may_discard;
};
_Static_assert(offsetof(struct config, writeback) == CONFIG_WRITEBACK, "5.2.4");
_Static_assert(offsetof(struct config, zero_may_discard) + 4 == CONFIG_BYTES, "5.2.4");

static uint32_t blk_config_read(const struct virtio *virtio, unsigned offset)
{
	const struct virtio_blk *blk = CONTAINER_OF(virtio, struct virtio_blk, virtio);
	const struct config config = {
		.capacity = (uint32_t)blk->medium.sectors,
		.capacity_high = (uint32_t)(blk->medium.sectors >> 32),
		.seg_max = VIRTIO_BLK_PIECES_MAX,
		.block_bytes = BLOCK_BYTES,
		.physical_exponent = 3, // blocks of 4 KiB
		.io_min = 1,
		.io_best = DEVICE_IO_BYTES_MAX / BLOCK_BYTES,
		.writeback = blk->writeback,
		.queues = QUEUES,
		.discard_sectors_max = VIRTIO_BLK_RANGE_MAX,
		.discard_ranges_max = 1,
		.discard_alignment = 1,
		.zero_sectors_max = VIRTIO_BLK_RANGE_MAX,
		.zero_ranges_max = 1,
		.zero_may_discard = 1,
	};

	return ((const uint8_t *)&config)[offset];
}

static void blk_config_write(struct virtio *virtio, unsigned offset, uint8_t value)
{
	struct virtio_blk *blk = CONTAINER_OF(virtio, struct virtio_blk, virtio);

	if (offset == CONFIG_WRITEBACK && virtio_has(virtio, VIRTIO_BLK_F_CONFIG_WCE))
		blk->writeback = value & 1;
}

static uint64_t blk_hidden(const struct virtio *virtio)
{
	const struct virtio_blk *blk = CONTAINER_OF(virtio, struct virtio_blk, virtio);

	return blk->medium.readonly ? BIT(VIRTIO_BLK_F_DISCARD) | BIT(VIRTIO_BLK_F_WRITE_ZEROES)
				    : BIT(VIRTIO_BLK_F_RO);
}

static void blk_notified(struct virtio *virtio, struct guest_time now, unsigned queue)
{
	virtio_blk_serve(CONTAINER_OF(virtio, struct virtio_blk, virtio), now, queue);
}

static void blk_queue_stopped(struct virtio *virtio, unsigned queue)
{
	virtio_blk_drop(CONTAINER_OF(virtio, struct virtio_blk, virtio), queue);
}

static bool blk_is_idle(const struct virtio *virtio)
{
	const struct virtio_blk *blk = CONTAINER_OF(virtio, struct virtio_blk, virtio);

	return blk->used == 0 && blk->waiting == 0;
}

static void blk_look_later(struct virtio *virtio, unsigned queue)
{
	struct virtio_blk *blk = CONTAINER_OF(virtio, struct virtio_blk, virtio);

	blk->waiting |= (uint32_t)BIT(queue);
	device_schedule_bottom_half(&virtio->pci.device, VIRTIO_BLK_HALF_CONTINUE);
}

static const struct pcidev_register blk_registers[] = {VIRTIO_PCI_REGISTERS};

const struct virtio_class virtio_blk_class = {
	.pci = VIRTIO_PCI_INFO(TRANSITIONAL, TYPE, CLASS_SCSI, blk_registers),
	.features = BIT(VIRTIO_BLK_F_SEG_MAX) | BIT(VIRTIO_BLK_F_RO) |
		BIT(VIRTIO_BLK_F_BLK_SIZE) | BIT(VIRTIO_BLK_F_FLUSH) |
		BIT(VIRTIO_BLK_F_TOPOLOGY) | BIT(VIRTIO_BLK_F_CONFIG_WCE) |
		BIT(VIRTIO_BLK_F_MQ) | BIT(VIRTIO_BLK_F_DISCARD) |
		BIT(VIRTIO_BLK_F_WRITE_ZEROES) | BIT(VIRTIO_F_ANY_LAYOUT) |
		BIT(VIRTIO_F_INDIRECT_DESC) | BIT(VIRTIO_F_EVENT_IDX) |
		BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_F_RING_PACKED) | BIT(VIRTIO_F_IN_ORDER) |
		BIT(VIRTIO_F_RING_RESET),
	.queue_count = QUEUES,
	.queue_size = QUEUE_SIZE,
	.config_bytes = CONFIG_BYTES,
	.hidden = blk_hidden,
	.config_read = blk_config_read,
	.config_write = blk_config_write,
	.notified = blk_notified,
	.queue_stopped = blk_queue_stopped,
	.is_idle = blk_is_idle,
	.look_later = blk_look_later,
};

void virtio_blk_configure(struct device *device, const struct virtio_blk_medium *medium)
{
	virtio_blk_of(device)->medium = *medium;
}

static void virtio_blk_reset(struct device *device, struct guest_time now, enum device_reset kind)
{
	struct virtio_blk *blk = virtio_blk_of(device);

	(void)now;
	memset(blk->requests, 0, sizeof(blk->requests));
	blk->used = 0;
	if (kind != DEVICE_RESET_SLOT) // of names: those that are dropped have theirs still
		blk->sequence = 0;
	blk->waiting = 0;
	blk->retry = GUEST_TIME_NEVER;
	blk->writeback = 1;
	virtio_reset(&blk->virtio);
}

// Nothing waits of a device whose queues are away: it is an echo.
static void again(struct virtio_blk *blk, struct guest_time now)
{
	if (blk->virtio.away)
		return;
	virtio_blk_retry(blk, now);
	if (blk->virtio.shall_go)
		virtio_queues_settle(&blk->virtio);
}

static void virtio_blk_timer(struct device *device, struct guest_time now, unsigned timer)
{
	(void)timer;
	virtio_blk_of(device)->retry = GUEST_TIME_NEVER;
	again(virtio_blk_of(device), now);
}

static void virtio_blk_bottom_half(struct device *device, struct guest_time now,
	unsigned bottom_half)
{
	(void)bottom_half;
	again(virtio_blk_of(device), now);
}

static void virtio_blk_complete(struct device *device, struct guest_time now, unsigned port,
	uint64_t request, enum status status)
{
	struct virtio_blk *blk = virtio_blk_of(device);

	(void)port;
	virtio_blk_completed(blk, now, request, status);
	if (!blk->virtio.away && blk->virtio.shall_go)
		virtio_queues_settle(&blk->virtio);
}

static bool virtio_blk_accepts(const struct device *device, enum device_setting setting,
	uint64_t value)
{
	(void)device;
	return setting == DEVICE_SETTING_MEDIUM_BYTES && value != 0 &&
		value % VIRTIO_BLK_SECTOR_BYTES == 0 && value <= VIRTIO_BLK_BYTES_MAX;
}

// 5.2.5: the driver looks at the capacity again.
static void virtio_blk_set(struct device *device, struct guest_time now,
	enum device_setting setting, uint64_t value)
{
	struct virtio_blk *blk = virtio_blk_of(device);

	(void)now;
	(void)setting;
	if (blk->medium.sectors == value / VIRTIO_BLK_SECTOR_BYTES)
		return;
	virtio_queues_take(&blk->virtio); // who serves them looks at it
	blk->medium.sectors = value / VIRTIO_BLK_SECTOR_BYTES;
	virtio_config_changed(&blk->virtio);
	virtio_queues_settle(&blk->virtio);
}

static void virtio_blk_loaded(struct device *device, struct guest_time now)
{
	struct virtio_blk *blk = virtio_blk_of(device);

	(void)now;
	virtio_loaded(&blk->virtio);
	blk->used = 0;
	for (unsigned i = 0; i < VIRTIO_BLK_REQUESTS; i++)
		blk->used |= (uint32_t)(blk->requests[i].state != VIRTIO_BLK_FREE) << i;
	device_arm_timer(device, VIRTIO_BLK_TIMER_RETRY, blk->retry);
}

// What is at the back end, or is to be: the last part is not done.
static const char *work_check(const struct virtio_blk_request *request)
{
	bool has_data = request->kind == DEVICE_IO_READ || request->kind == DEVICE_IO_WRITE;
	uint64_t left = request->bytes;

	if (request->kind >= DEVICE_IO_KINDS)
		return "a request that no back end knows";
	if (request->done > request->bytes || request->bytes - request->done < request->part)
		return "more of a request is done than it has";
	if (!has_data)
		return request->piece_count == 0 ? NULL : "a request with data that it cannot have";
	for (unsigned i = 0; i < request->piece_count; i++) {
		if (request->pieces[i].bytes > left)
			return "a request with more data than it has bytes";
		left -= request->pieces[i].bytes;
	}
	return left == 0 && request->done < request->bytes
		? NULL : "a request with less data than it has bytes";
}

static const char *request_check(const struct virtio_blk *blk, unsigned index)
{
	const struct virtio_blk_request *request = &blk->requests[index];

	if (request->state == VIRTIO_BLK_FREE)
		return NULL;
	if (request->queue >= QUEUES || !blk->virtio.queues[request->queue].enabled)
		return "a request of a queue that is not enabled";
	if (request->order > blk->sequence)
		return "a request that has yet to come";
	if (request->state == VIRTIO_BLK_DONE)
		return virtio_has(&blk->virtio, VIRTIO_F_IN_ORDER)
			? NULL : "a request that waits for others, which it need not";
	if (request->state == VIRTIO_BLK_WAITS && blk->retry.ns == GUEST_TIME_NEVER.ns)
		return "a request that waits, and for nothing";
	if (request->state == VIRTIO_BLK_SENT && !virtio_blk_name_is_of(blk, index))
		return "a request whose name is another's";
	return work_check(request);
}

// Chains may be in flight that no request has: their requests have ended while the driver had
// forbidden the device to write to memory.
static const char *queue_check(const struct virtio_blk *blk, unsigned queue)
{
	struct virtio_used flights[VIRTIO_BLK_REQUESTS];
	unsigned count = 0;

	for (unsigned i = 0; i < VIRTIO_BLK_REQUESTS; i++) {
		const struct virtio_blk_request *request = &blk->requests[i];

		if (request->state != VIRTIO_BLK_FREE && request->queue == queue)
			flights[count++] = (struct virtio_used){0, request->id, request->slots};
	}
	return virtio_check_flights(&blk->virtio, queue, flights, count, true);
}

static const char *virtio_blk_check(const void *instance)
{
	const struct virtio_blk *blk = instance;
	const char *reason = virtio_check(&blk->virtio, &virtio_blk_class);

	for (unsigned i = 0; i < VIRTIO_BLK_REQUESTS && reason == NULL; i++)
		reason = request_check(blk, i);
	for (unsigned i = 0; i < QUEUES && reason == NULL; i++)
		reason = queue_check(blk, i);
	return reason;
}

static unsigned virtio_blk_awaited(const struct device *device, unsigned port,
	uint64_t names[DEVICE_IO_MAX])
{
	const struct virtio_blk *blk = CONTAINER_OF(device, struct virtio_blk, virtio.pci.device);
	unsigned count = 0;

	for (unsigned i = 0; port == VIRTIO_BLK_PORT_MEDIUM && i < VIRTIO_BLK_REQUESTS; i++)
		if (blk->requests[i].state == VIRTIO_BLK_SENT)
			names[count++] = blk->requests[i].name;
	return count;
}

#define PIECE(n)                                                                                   \
	STATE_EACH_ANY(struct virtio_blk, requests, pieces[n].at.v),                               \
		STATE_EACH_ANY(struct virtio_blk, requests, pieces[n].bytes)

static const struct state_field virtio_blk_fields[] = {
	VIRTIO_STATE(struct virtio_blk),
	STATE_VALUE(struct virtio_blk, sequence, 0, (uint64_t)BIT(56) - 1),
	STATE_ANY(struct virtio_blk, retry.ns),
	STATE_ANY(struct virtio_blk, medium.sectors),
	STATE_DERIVED(struct virtio_blk, medium.serial),
	STATE_BOOL(struct virtio_blk, medium.readonly),
	STATE_PAD(struct virtio_blk, medium.reserved),
	STATE_VALUE(struct virtio_blk, waiting, 0, (uint64_t)BIT(VIRTIO_QUEUES_MAX) - 1),
	STATE_VALUE(struct virtio_blk, writeback, 0, 1),
	STATE_PAD(struct virtio_blk, reserved),
	STATE_DERIVED(struct virtio_blk, used),
	STATE_PAD(struct virtio_blk, reserved2),
	PIECE(0), PIECE(1), PIECE(2), PIECE(3), PIECE(4), PIECE(5), PIECE(6), PIECE(7),
	PIECE(8), PIECE(9), PIECE(10), PIECE(11), PIECE(12), PIECE(13), PIECE(14), PIECE(15),
	STATE_EACH_ANY(struct virtio_blk, requests, name),
	STATE_EACH_ANY(struct virtio_blk, requests, offset),
	STATE_EACH_ANY(struct virtio_blk, requests, bytes),
	STATE_EACH_ANY(struct virtio_blk, requests, done),
	STATE_EACH_ANY(struct virtio_blk, requests, status_at),
	STATE_EACH(struct virtio_blk, requests, part, 0, DEVICE_IO_BYTES_MAX),
	STATE_EACH_ANY(struct virtio_blk, requests, id),
	STATE_EACH_ANY(struct virtio_blk, requests, slots),
	STATE_EACH(struct virtio_blk, requests, queue, 0, QUEUES - 1),
	STATE_EACH(struct virtio_blk, requests, state, 0, VIRTIO_BLK_DONE),
	STATE_EACH(struct virtio_blk, requests, kind, 0, DEVICE_IO_KINDS),
	STATE_EACH(struct virtio_blk, requests, piece_count, 0, VIRTIO_BLK_PIECES_MAX),
	STATE_EACH_SINCE(2, struct virtio_blk, requests, written, 0, UINT32_MAX),
	STATE_EACH_SINCE(2, struct virtio_blk, requests, order, 0, UINT64_MAX),
};
_Static_assert(VIRTIO_BLK_PIECES_MAX == 16, "the table names each piece");

static const struct state_table virtio_blk_state =
	STATE_TABLE("virtio-blk", 2, struct virtio_blk, virtio_blk_fields, virtio_blk_check);

const struct device_model virtio_blk_model = {
	.name = "virtio-blk",
	.description = "virtio block device",
	.instance_bytes = sizeof(struct virtio_blk),
	.timers = VIRTIO_BLK_TIMERS,
	.bottom_halves = VIRTIO_BLK_HALVES,
	.outputs = 1,
	.verify = virtio_verify,
	.state = &virtio_blk_state,
	.pci = &virtio_blk_class.pci,
	.reset = virtio_blk_reset,
	.read = virtio_read,
	.write = virtio_write,
	.timer = virtio_blk_timer,
	.bottom_half = virtio_blk_bottom_half,
	.complete = virtio_blk_complete,
	.serve = virtio_serve,
	.served = virtio_served,
	.recall = virtio_recall,
	.set = virtio_blk_set,
	.accepts = virtio_blk_accepts,
	.awaited = virtio_blk_awaited,
	.level = virtio_level,
	.loaded = virtio_blk_loaded,
};

DEVICE_MODEL_REGISTER(250, virtio_blk_model);
