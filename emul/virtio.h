// SPDX-License-Identifier: BSD-2-Clause
// What every virtio device over PCI has: VIRTIO 1.2, chapters 2, 3 and 4.1, with the legacy
// interface of 4.1.4.10 beside the modern one (a transitional device).
//
// A device's struct begins with struct virtio; its model's `pci` is that of a struct virtio_class,
// and its handlers pass on: reset, read, write, level, loaded and check as named here. What it is
// told in turn stands in the class.
//
// A queue that is broken, or a driver that does what it must not, sets NEEDS_RESET: the device does
// nothing any more until the driver resets it, and says why once.
#ifndef EMUL_VIRTIO_H
#define EMUL_VIRTIO_H

#include "emul/pcidev.h"
#include "emul/pcidev_msix.h"
#include "emul/virtio_abi.h"
#include "emul/virtio_queue.h"

enum {
	VIRTIO_QUEUES_MAX = 8,
	VIRTIO_VECTORS = VIRTIO_QUEUES_MAX + 1,

	// Base address registers, and what lies in them.
	VIRTIO_BAR_LEGACY = 0,
	VIRTIO_BAR_MSIX = 1,
	VIRTIO_BAR_MODERN = 4,
	VIRTIO_LEGACY_BYTES = 128,
	VIRTIO_MSIX_BYTES = 4096,
	VIRTIO_MSIX_PENDING_AT = 2048,
	VIRTIO_MODERN_BYTES = 16384,
	VIRTIO_COMMON_AT = 0x0000,
	VIRTIO_ISR_AT = 0x1000,
	VIRTIO_DEVICE_AT = 0x2000,
	VIRTIO_NOTIFY_AT = 0x3000,
	VIRTIO_PART_BYTES = 0x1000,
	VIRTIO_NOTIFY_MULTIPLIER = 4,

	// Capabilities, in configuration space.
	VIRTIO_CAPABILITY_MSIX = 0x40,
	VIRTIO_CAPABILITY_COMMON = 0x50,
	VIRTIO_CAPABILITY_ISR = 0x60,
	VIRTIO_CAPABILITY_DEVICE = 0x70,
	VIRTIO_CAPABILITY_NOTIFY = 0x80,
	VIRTIO_CAPABILITY_ACCESS = 0x98,
	VIRTIO_CAPABILITY_NOTIFY_PORT = 0xac,
};

struct virtio {
	struct pcidev pci;
	struct pcidev_msix msix;
	struct virtio_queue queues[VIRTIO_QUEUES_MAX];
	uint64_t driver_features;
	uint32_t device_feature_select, driver_feature_select;
	uint16_t queue_select, config_vector;
	uint8_t status, isr, generation;
	bool legacy; // the driver has used the legacy interface since the last reset
	// Of the data plane; 0 in what is saved. Written by the device when it has the queues.
	bool away;             // another core has the queues, and what is in flight
	bool stays, shall_go;  // there is no such core; there is, once nothing is in flight
	// Written by who has the queues.
	bool last;             // `serve` was told so
	uint16_t hushed;       // queues whose drivers have been told not to notify, a bit each
	uint16_t noted;        // queues that shall interrupt, a bit each
	uint64_t popped;       // chains
	const char *fault;     // why NEEDS_RESET is to be set; NULL: it is not
	struct virtio_ring ring; // what driver_features say of the rings
};

struct virtio_class {
	struct pcidev_info pci; // VIRTIO_PCI_INFO
	uint64_t features;      // of the kind of device, and of its rings
	uint32_t queue_count;
	uint32_t config_bytes; // of its configuration
	uint16_t queue_size;   // a power of two
	uint16_t reserved[3];
	// Features that this very device does not offer.
	uint64_t (*hidden)(const struct virtio *virtio);
	uint32_t (*config_read)(const struct virtio *virtio, unsigned offset); // a byte
	// NULL: nothing of it can be written.
	void (*config_write)(struct virtio *virtio, unsigned offset, uint8_t value);
	// The driver has made chains available.
	void (*notified)(struct virtio *virtio, struct guest_time now, unsigned queue);
	// Forgets what is in flight of a queue, which is reset.
	void (*queue_stopped)(struct virtio *virtio, unsigned queue);
	// Whether nothing is in flight, nor waits: another core may serve the queues. NULL: none
	// may ever. `notified` is what serves them there, and `now` is not to be used.
	bool (*is_idle)(const struct virtio *virtio);
	// With is_idle: the queue is looked at, as if it had been notified, after this stimulus.
	void (*look_later)(struct virtio *virtio, unsigned queue);
	// The driver has reset the device, or the machine has: what drivers set is as at first.
	// NULL: there is nothing of that kind.
	void (*driver_reset)(struct virtio *virtio);
};

#define VIRTIO_STATE(type)                                                                         \
	STATE_DERIVED(type, virtio.pci.device), STATE_ARRAY_ANY(type, virtio.pci.config),          \
		PCIDEV_MSIX_STATE(type, virtio.msix), VIRTIO_QUEUE_STATE(type, virtio.queues),     \
		STATE_ANY(type, virtio.driver_features),                                           \
		STATE_ANY(type, virtio.device_feature_select),                                     \
		STATE_ANY(type, virtio.driver_feature_select),                                     \
		STATE_ANY(type, virtio.queue_select), STATE_ANY(type, virtio.config_vector),       \
		STATE_ANY(type, virtio.status), STATE_VALUE(type, virtio.isr, 0, 3),               \
		STATE_ANY(type, virtio.generation), STATE_BOOL(type, virtio.legacy),               \
		STATE_DERIVED(type, virtio.away), STATE_DERIVED(type, virtio.last),                \
		STATE_DERIVED(type, virtio.stays), STATE_DERIVED(type, virtio.shall_go),           \
		STATE_DERIVED(type, virtio.hushed), STATE_DERIVED(type, virtio.noted),             \
		STATE_DERIVED(type, virtio.popped), STATE_DERIVED(type, virtio.fault),             \
		STATE_DERIVED(type, virtio.ring)

// A transitional device: 4.1.2. `type`: 5.
#define VIRTIO_PCI_INFO(transitional, type, class, registers_)                                     \
	{                                                                                          \
		.vendor = VIRTIO_PCI_VENDOR, .device = (transitional),                             \
		.subsystem_vendor = VIRTIO_PCI_VENDOR, .subsystem = (type),                        \
		.class_code = (class), .command = PCIDEV_COMMAND_MASTER | PCIDEV_COMMAND_SERR,     \
		.pin = 1, .capabilities = VIRTIO_CAPABILITY_MSIX,                                  \
		.bars = {                                                                          \
			[VIRTIO_BAR_LEGACY] = {.kind = PCIDEV_BAR_PORTS,                           \
				.bytes = VIRTIO_LEGACY_BYTES},                                     \
			[VIRTIO_BAR_MSIX] = {.kind = PCIDEV_BAR_MEMORY,                            \
				.bytes = VIRTIO_MSIX_BYTES},                                       \
			[VIRTIO_BAR_MODERN] = {.kind = PCIDEV_BAR_MEMORY64,                        \
				.bytes = VIRTIO_MODERN_BYTES, .prefetchable = true},               \
		},                                                                                 \
		.registers = (registers_), .register_count = ARRAY_COUNT(registers_)               \
	}

// 4.1.4: `more` is the length beside the 16 bytes of every capability.
#define VIRTIO_CAPABILITY(at, next, kind, more, bar, part, length)                                 \
	{.offset = (at), .bytes = 4,                                                               \
		.reset = VIRTIO_PCI_CAPABILITY | (next) << 8 | (uint32_t)(16 + (more)) << 16 |     \
			(uint32_t)(kind) << 24},                                                   \
	{.offset = (at) + 4, .bytes = 4, .reset = (bar)},                                          \
	{.offset = (at) + 8, .bytes = 4, .reset = (part)},                                         \
	{.offset = (at) + 12, .bytes = 4, .reset = (length)}

// Drivers take the first structure of a kind that they can use (4.1.4.1): a notification by the
// legacy interface's port, of a modern driver too, need not be decoded.
#define VIRTIO_PCI_REGISTERS                                                                       \
	PCIDEV_MSIX_REGISTERS(VIRTIO_CAPABILITY_MSIX, VIRTIO_CAPABILITY_COMMON, VIRTIO_VECTORS,    \
		VIRTIO_BAR_MSIX, 0, VIRTIO_MSIX_PENDING_AT),                                       \
	VIRTIO_CAPABILITY(VIRTIO_CAPABILITY_COMMON, VIRTIO_CAPABILITY_ISR, VIRTIO_PCI_COMMON, 0,   \
		VIRTIO_BAR_MODERN, VIRTIO_COMMON_AT, VIRTIO_PART_BYTES),                           \
	VIRTIO_CAPABILITY(VIRTIO_CAPABILITY_ISR, VIRTIO_CAPABILITY_DEVICE, VIRTIO_PCI_ISR, 0,      \
		VIRTIO_BAR_MODERN, VIRTIO_ISR_AT, VIRTIO_PART_BYTES),                              \
	VIRTIO_CAPABILITY(VIRTIO_CAPABILITY_DEVICE, VIRTIO_CAPABILITY_NOTIFY_PORT,                 \
		VIRTIO_PCI_DEVICE, 0, VIRTIO_BAR_MODERN, VIRTIO_DEVICE_AT, VIRTIO_PART_BYTES),     \
	VIRTIO_CAPABILITY(VIRTIO_CAPABILITY_NOTIFY_PORT, VIRTIO_CAPABILITY_NOTIFY,                 \
		VIRTIO_PCI_NOTIFY, 4, VIRTIO_BAR_LEGACY, VIRTIO_LEGACY_NOTIFY, 2),                 \
	{.offset = VIRTIO_CAPABILITY_NOTIFY_PORT + 16, .bytes = 4}, /* one for all queues */       \
	VIRTIO_CAPABILITY(VIRTIO_CAPABILITY_NOTIFY, VIRTIO_CAPABILITY_ACCESS, VIRTIO_PCI_NOTIFY,   \
		4, VIRTIO_BAR_MODERN, VIRTIO_NOTIFY_AT, VIRTIO_PART_BYTES),                        \
	{.offset = VIRTIO_CAPABILITY_NOTIFY + 16, .bytes = 4, .reset = VIRTIO_NOTIFY_MULTIPLIER},  \
	{.offset = VIRTIO_CAPABILITY_ACCESS, .bytes = 4,                                           \
		.reset = VIRTIO_PCI_CAPABILITY | (uint32_t)20 << 16 |                              \
			(uint32_t)VIRTIO_PCI_ACCESS << 24},                                        \
	{.offset = VIRTIO_CAPABILITY_ACCESS + 4, .bytes = 4, .writable = 0x000000ff},              \
	{.offset = VIRTIO_CAPABILITY_ACCESS + 8, .bytes = 4, .writable = 0xffffffff},              \
	{.offset = VIRTIO_CAPABILITY_ACCESS + 12, .bytes = 4, .writable = 0xffffffff},             \
	{.offset = VIRTIO_CAPABILITY_ACCESS + 16, .bytes = 4, .writable = 0xffffffff}

static inline struct virtio *virtio_of(struct device *device)
{
	return CONTAINER_OF(device, struct virtio, pci.device);
}

static inline const struct virtio_class *virtio_class_of(const struct virtio *virtio)
{
	return CONTAINER_OF(virtio->pci.device.model->pci, struct virtio_class, pci);
}

void virtio_reset(struct virtio *virtio);
uint64_t virtio_read(struct device *device, struct guest_time now, unsigned region,
	uint64_t offset, unsigned size);
void virtio_write(struct device *device, struct guest_time now, unsigned region, uint64_t offset,
	unsigned size, uint64_t value);
bool virtio_level(const struct device *device, struct guest_time now, unsigned output);
void virtio_loaded(struct virtio *virtio);
// For the model of a device whose class has is_idle.
unsigned virtio_serve(struct device *device, bool last);
void virtio_served(struct device *device, struct guest_time now);
void virtio_recall(struct device *device, struct guest_time now);
void virtio_verify(struct device *device, struct guest_time now);
const char *virtio_check(const struct virtio *virtio, const struct virtio_class *class);
// Behind virtio_check, of a queue: the chains that the device says it has of it. `others`: where
// nothing is broken, there may be others all the same.
const char *virtio_check_flights(const struct virtio *virtio, unsigned queue,
	const struct virtio_used *flights, unsigned count, bool others);
// Both, of a device that keeps no chain from one stimulus to the next, but those of `but` (or -1).
const char *virtio_check_idle(const struct virtio *virtio, const struct virtio_class *class,
	int but);

// For the device.

static inline bool virtio_has(const struct virtio *virtio, unsigned feature)
{
	return (virtio->driver_features & BIT(feature)) != 0;
}

// Whether the queue may be looked at: the driver is ready, and nothing is broken.
static inline bool virtio_queue_is_live(const struct virtio *virtio, unsigned queue)
{
	return queue < VIRTIO_QUEUES_MAX && virtio->queues[queue].enabled &&
		(virtio->status & VIRTIO_STATUS_DRIVER_OK) &&
		!(virtio->status & VIRTIO_STATUS_NEEDS_RESET) && virtio->fault == NULL &&
		pcidev_is_master(&virtio->pci);
}

// False: there is none, or the queue is broken now.
must_check bool virtio_pop(struct virtio *virtio, unsigned queue, struct virtio_chain *chain);
// The next chain of a queue, live or not, behind the one that *chain is (none: `last` is false);
// where there is none, the driver is asked to notify, and the queue is looked at once more.
must_check bool virtio_pop_or_listen(struct virtio *virtio, unsigned queue,
	struct virtio_chain *chain);
// The chain that was popped last, in this stimulus: it comes again. A driver may have changed it
// meanwhile.
void virtio_unpop(struct virtio *virtio, unsigned queue, const struct virtio_chain *chain);
// The rest does nothing to a queue that is not live.
// Gives a chain back. virtio_signal is to follow, once for all that are given back.
void virtio_push(struct virtio *virtio, unsigned queue, uint16_t id, uint16_t slots,
	uint32_t written);
// The same to a queue that is known to be live.
void virtio_push_live(struct virtio *virtio, unsigned queue, uint16_t id, uint16_t slots,
	uint32_t written);
// Of several, 1 at least, which the driver sees at once.
void virtio_push_all(struct virtio *virtio, unsigned queue, const struct virtio_used *used,
	unsigned count);
// Takes back what was popped since the mark, and nothing else was done to the queue: the chains are
// there again.
struct virtio_queue virtio_mark(const struct virtio *virtio, unsigned queue);
void virtio_rewind(struct virtio *virtio, unsigned queue, const struct virtio_queue *mark);
void virtio_signal(struct virtio *virtio, unsigned queue);
void virtio_listen(struct virtio *virtio, unsigned queue);
// The device has changed its configuration.
void virtio_config_changed(struct virtio *virtio);
// Before what concerns the queues is written.
void virtio_queues_take(struct virtio *virtio);
// At the end of a stimulus that may have left nothing in flight: see shall_go.
void virtio_queues_settle(struct virtio *virtio);
// NEEDS_RESET. `reason` is a constant.
void virtio_break(struct virtio *virtio, const char *reason);

#endif
