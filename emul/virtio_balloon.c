// SPDX-License-Identifier: BSD-2-Clause
// A virtio memory balloon over PCI: transitional.
//
// Specification: VIRTIO 1.2, 5.5.
//
// A page that is given up is filled with zeros, which costs a snapshot nothing; it stays the
// machine's, and a driver may use it again without a word (MUST_TELL_HOST is not offered). So
// nothing is to be done when it takes pages back, and DEFLATE_ON_OOM is no more than a promise.
//
// Statistics are those that the driver begins with, and are asked for each time the operator sets
// something.
//
// Left out on purpose: free page hints and reports, page poison.
//
// Entered by the VM's bus only.
#include "emul/virtio_balloon.h"

#include <string.h>

#include "emul/virtio.h"

enum {
	TYPE = 5, // 5
	TRANSITIONAL = 0x1002,
	CLASS_OTHER = 0x00ff00, // as QEMU's
	QUEUE_INFLATE = 0,
	QUEUE_DEFLATE = 1,
	QUEUE_STATS = 2,
	QUEUES = 3,
	QUEUE_SIZE = VIRTIO_QUEUE_SIZE_MAX,
	PAGE_SHIFT = 12, // 5.5.6: whatever the driver's pages are

	PAGES_AT_A_TIME = 64, // that are filled
	CHAINS_AT_A_TIME = 32,
	STATS_AT_A_TIME = 64, // that are looked at, of a chain

	HALF_INFLATE = 0,
	HALF_DEFLATE,
	HALVES,

	// 5.5.3
	F_STATS_VQ = 1,
	F_DEFLATE_ON_OOM = 2,

	// 5.5.4
	CONFIG_WANTED = 0,
	CONFIG_ACTUAL = 4,
	CONFIG_BYTES = 8,
};

struct stat {
	uint16_t tag;
	uint8_t value[8]; // not aligned
};
_Static_assert(sizeof(struct stat) == 10, "5.5.6.3");

struct virtio_balloon {
	struct virtio virtio;
	uint32_t wanted, actual; // pages in the balloon: as set, and as the driver says
	uint64_t done;           // bytes of the next list of pages to be given up
	uint64_t stats[VIRTIO_BALLOON_STATS];
	uint16_t stats_id, stats_slots; // of the buffer that is kept until statistics are wanted
	bool has_stats;
	uint8_t reserved[3];
};

static struct virtio_balloon *balloon_of(struct device *device)
{
	return CONTAINER_OF(device, struct virtio_balloon, virtio.pci.device);
}

// NULL, or what is wrong. *room: pages that may still be filled now.
static const char *inflate(struct virtio_balloon *balloon, const struct virtio_chain *chain,
	unsigned *room)
{
	static const uint8_t zeros[PAGE_BYTES];
	struct device *device = &balloon->virtio.pci.device;
	uint64_t bytes = chain->readable_bytes;
	uint32_t frame;

	if (chain->writable != 0 || bytes % sizeof(frame) != 0)
		return "a list of pages is to be written, or ends in the middle of one";
	for (; balloon->done < bytes && *room > 0; --*room, balloon->done += sizeof(frame)) {
		if (!virtio_chain_get(device, chain, balloon->done, &frame, sizeof(frame)))
			return "a list of pages is not in memory";
		if (device_dma_write(device, (struct gpa){(uint64_t)frame << PAGE_SHIFT}, zeros,
			sizeof(zeros)) != STATUS_OK)
			return "a page that is given up is not memory";
	}
	return NULL;
}

static void inflate_serve(struct virtio_balloon *balloon)
{
	struct virtio *virtio = &balloon->virtio;
	unsigned room = PAGES_AT_A_TIME, chains = 0;
	struct virtio_chain chain;

	chain.last = false;
	while (room > 0 && chains < CHAINS_AT_A_TIME &&
		virtio_pop_or_listen(virtio, QUEUE_INFLATE, &chain)) {
		const char *reason = inflate(balloon, &chain, &room);

		if (reason != NULL) {
			virtio_break(virtio, reason);
			return;
		}
		if (balloon->done < chain.readable_bytes) {
			virtio_unpop(virtio, QUEUE_INFLATE, &chain);
			break;
		}
		balloon->done = 0;
		virtio_push(virtio, QUEUE_INFLATE, chain.id, chain.slots, 0);
		chains++;
	}
	if (room == 0 || chains == CHAINS_AT_A_TIME)
		device_schedule_bottom_half(&virtio->pci.device, HALF_INFLATE);
	if (chains > 0)
		virtio_signal(virtio, QUEUE_INFLATE);
}

// The pages are there already.
static void deflate_serve(struct virtio_balloon *balloon)
{
	struct virtio *virtio = &balloon->virtio;
	struct virtio_chain chain;
	unsigned chains = 0;

	chain.last = false;
	while (chains < CHAINS_AT_A_TIME &&
		virtio_pop_or_listen(virtio, QUEUE_DEFLATE, &chain)) {
		if (chain.writable != 0 ||
			chain.readable_bytes % sizeof(uint32_t) != 0) {
			virtio_break(virtio,
				"a list of pages is to be written, or ends in the middle of one");
			return;
		}
		virtio_push(virtio, QUEUE_DEFLATE, chain.id, chain.slots, 0);
		chains++;
	}
	if (chains == CHAINS_AT_A_TIME)
		device_schedule_bottom_half(&virtio->pci.device, HALF_DEFLATE);
	if (chains > 0)
		virtio_signal(virtio, QUEUE_DEFLATE);
}

static void stats_forget(struct virtio_balloon *balloon)
{
	memset(balloon->stats, 0xff, sizeof(balloon->stats));
	balloon->has_stats = false;
	balloon->stats_id = balloon->stats_slots = 0;
}

// 5.5.6.3: the driver gives a buffer, and fills it again when it gets it back. What it does not
// say any more is not known any more.
static void stats_serve(struct virtio_balloon *balloon)
{
	struct virtio *virtio = &balloon->virtio;
	struct virtio_chain chain;
	uint64_t count;

	chain.last = false;
	if (balloon->has_stats || !virtio_pop_or_listen(virtio, QUEUE_STATS, &chain))
		return;
	count = chain.readable_bytes / sizeof(struct stat);
	if (chain.writable != 0) {
		virtio_break(virtio, "a buffer of statistics is to be written");
		return;
	}
	stats_forget(balloon);
	for (unsigned i = 0; i < count && i < STATS_AT_A_TIME; i++) {
		struct stat stat;

		if (!virtio_chain_get(&virtio->pci.device, &chain, i * sizeof(stat), &stat,
			sizeof(stat))) {
			virtio_break(virtio, "a buffer of statistics is not in memory");
			return;
		}
		if (stat.tag < VIRTIO_BALLOON_STATS)
			memcpy(&balloon->stats[stat.tag], stat.value, sizeof(stat.value));
	}
	balloon->has_stats = true;
	balloon->stats_id = chain.id;
	balloon->stats_slots = chain.slots;
}

// The first buffer may have come before the driver was ready, and its notification been ignored.
static void stats_ask(struct virtio_balloon *balloon)
{
	stats_serve(balloon);
	if (!balloon->has_stats || !virtio_queue_is_live(&balloon->virtio, QUEUE_STATS))
		return;
	balloon->has_stats = false;
	virtio_push(&balloon->virtio, QUEUE_STATS, balloon->stats_id, balloon->stats_slots, 0);
	virtio_signal(&balloon->virtio, QUEUE_STATS);
	stats_serve(balloon); // asks to be notified of the next one
}

static uint32_t balloon_config_read(const struct virtio *virtio, unsigned offset)
{
	const struct virtio_balloon *balloon = CONTAINER_OF(virtio, struct virtio_balloon, virtio);
	uint32_t word = offset < CONFIG_ACTUAL ? balloon->wanted : balloon->actual;

	return (uint8_t)(word >> 8 * (offset % 4));
}

static void balloon_config_write(struct virtio *virtio, unsigned offset, uint8_t value)
{
	struct virtio_balloon *balloon = CONTAINER_OF(virtio, struct virtio_balloon, virtio);
	unsigned shift = 8 * (offset % 4);

	if (offset >= CONFIG_ACTUAL)
		balloon->actual = (balloon->actual & ~(0xffu << shift)) | (uint32_t)value << shift;
}

static void balloon_notified(struct virtio *virtio, struct guest_time now, unsigned queue)
{
	struct virtio_balloon *balloon = CONTAINER_OF(virtio, struct virtio_balloon, virtio);

	(void)now;
	if (queue == QUEUE_INFLATE)
		inflate_serve(balloon);
	else if (queue == QUEUE_DEFLATE)
		deflate_serve(balloon);
	else
		stats_serve(balloon);
}

static void balloon_queue_stopped(struct virtio *virtio, unsigned queue)
{
	struct virtio_balloon *balloon = CONTAINER_OF(virtio, struct virtio_balloon, virtio);

	if (queue == QUEUE_INFLATE)
		balloon->done = 0;
	else if (queue == QUEUE_STATS)
		stats_forget(balloon);
}

static const struct pcidev_register balloon_registers[] = {VIRTIO_PCI_REGISTERS};

static const struct virtio_class balloon_class = {
	.pci = VIRTIO_PCI_INFO(TRANSITIONAL, TYPE, CLASS_OTHER, balloon_registers),
	.features = BIT(F_STATS_VQ) | BIT(F_DEFLATE_ON_OOM) | BIT(VIRTIO_F_ANY_LAYOUT) |
		BIT(VIRTIO_F_INDIRECT_DESC) | BIT(VIRTIO_F_EVENT_IDX) | BIT(VIRTIO_F_VERSION_1) |
		BIT(VIRTIO_F_RING_PACKED) | BIT(VIRTIO_F_IN_ORDER) | BIT(VIRTIO_F_RING_RESET),
	.queue_count = QUEUES,
	.queue_size = QUEUE_SIZE,
	.config_bytes = CONFIG_BYTES,
	.config_read = balloon_config_read,
	.config_write = balloon_config_write,
	.notified = balloon_notified,
	.queue_stopped = balloon_queue_stopped,
};

// What is wanted stays while the machine is on: a reset of it is no wish of the operator's.
static void virtio_balloon_reset(struct device *device, struct guest_time now,
	enum device_reset kind)
{
	struct virtio_balloon *balloon = balloon_of(device);

	(void)now;
	if (kind == DEVICE_RESET_POWER)
		balloon->wanted = 0;
	balloon->actual = 0;
	balloon->done = 0;
	stats_forget(balloon);
	virtio_reset(&balloon->virtio);
}

static void virtio_balloon_bottom_half(struct device *device, struct guest_time now,
	unsigned bottom_half)
{
	(void)now;
	if (bottom_half == HALF_INFLATE)
		inflate_serve(balloon_of(device));
	else
		deflate_serve(balloon_of(device));
}

static bool virtio_balloon_accepts(const struct device *device, enum device_setting setting,
	uint64_t value)
{
	(void)device;
	return setting == DEVICE_SETTING_BALLOON_PAGES && value <= UINT32_MAX;
}

// 5.5.6
static void virtio_balloon_set(struct device *device, struct guest_time now,
	enum device_setting setting, uint64_t value)
{
	struct virtio_balloon *balloon = balloon_of(device);

	(void)now;
	(void)setting;
	if (balloon->wanted != value) {
		balloon->wanted = (uint32_t)value;
		virtio_config_changed(&balloon->virtio);
	}
	stats_ask(balloon);
}

void virtio_balloon_report(const struct device *device, struct virtio_balloon_report *report)
{
	const struct virtio_balloon *balloon =
		CONTAINER_OF(device, const struct virtio_balloon, virtio.pci.device);

	report->wanted = balloon->wanted;
	report->actual = balloon->actual;
	memcpy(report->stats, balloon->stats, sizeof(report->stats));
}

static void virtio_balloon_loaded(struct device *device, struct guest_time now)
{
	(void)now;
	virtio_loaded(virtio_of(device));
}

static const char *virtio_balloon_check(const void *instance)
{
	const struct virtio_balloon *balloon = instance;
	const struct virtio_used stats = {0, balloon->stats_id, balloon->stats_slots};
	const char *reason = virtio_check_idle(&balloon->virtio, &balloon_class, QUEUE_STATS);

	return reason != NULL ? reason : virtio_check_flights(&balloon->virtio, QUEUE_STATS,
		&stats, balloon->has_stats, false);
}

static const struct state_field virtio_balloon_fields[] = {
	VIRTIO_STATE(struct virtio_balloon),
	STATE_ANY(struct virtio_balloon, wanted),
	STATE_ANY(struct virtio_balloon, actual),
	STATE_ANY(struct virtio_balloon, done),
	STATE_ARRAY_ANY(struct virtio_balloon, stats),
	STATE_ANY(struct virtio_balloon, stats_id),
	STATE_ANY(struct virtio_balloon, stats_slots),
	STATE_BOOL(struct virtio_balloon, has_stats),
	STATE_PAD(struct virtio_balloon, reserved),
};

static const struct state_table virtio_balloon_state = STATE_TABLE("virtio-balloon", 1,
	struct virtio_balloon, virtio_balloon_fields, virtio_balloon_check);

const struct device_model virtio_balloon_model = {
	.name = "virtio-balloon",
	.description = "virtio memory balloon",
	.instance_bytes = sizeof(struct virtio_balloon),
	.bottom_halves = HALVES,
	.outputs = 1,
	.verify = virtio_verify,
	.state = &virtio_balloon_state,
	.pci = &balloon_class.pci,
	.reset = virtio_balloon_reset,
	.read = virtio_read,
	.write = virtio_write,
	.bottom_half = virtio_balloon_bottom_half,
	.set = virtio_balloon_set,
	.accepts = virtio_balloon_accepts,
	.level = virtio_level,
	.loaded = virtio_balloon_loaded,
};

DEVICE_MODEL_REGISTER(290, virtio_balloon_model);
