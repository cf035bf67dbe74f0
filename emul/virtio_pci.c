// SPDX-License-Identifier: BSD-2-Clause
// The registers of a virtio device over PCI: VIRTIO 1.2, 4.1.4. Base address register 0 has the
// legacy interface, 1 the MSI-X table, 4 the modern one.
//
// Entered by the VM's bus, for virtio devices.
#include "emul/virtio_internal.h"

enum { ACCESS_BAR = 4, ACCESS_OFFSET = 8, ACCESS_BYTES = 12, ACCESS_DATA = 16 };

// An access of `size` bytes at `offset`, as one of the register's own width is expected.
static uint64_t field_get(uint64_t value, uint64_t offset)
{
	return value >> 8 * offset;
}

static struct virtio_queue *selected(struct virtio *virtio)
{
	return virtio->queue_select < virtio_class_of(virtio)->queue_count
		? &virtio->queues[virtio->queue_select] : NULL;
}

// The 64-bit register, or half of it, at its offset from `first`.
static uint64_t address_merge(uint64_t old, uint64_t offset, unsigned size, uint64_t value)
{
	if (size == 8)
		return value;
	return offset == 0 ? (old & ~(uint64_t)UINT32_MAX) | (uint32_t)value
			   : (uint32_t)old | value << 32;
}

static uint64_t queue_read(const struct virtio_queue *queue, uint16_t number, uint64_t offset)
{
	switch (offset & ~(uint64_t)1) {
	case VIRTIO_COMMON_QUEUE_SIZE:
		return queue->size;
	case VIRTIO_COMMON_QUEUE_VECTOR:
		return queue->vector;
	case VIRTIO_COMMON_QUEUE_ENABLE:
		return queue->enabled;
	case VIRTIO_COMMON_QUEUE_NOTIFY_OFF:
	case VIRTIO_COMMON_QUEUE_NOTIFY_DATA:
		return number;
	case VIRTIO_COMMON_QUEUE_DESCRIPTORS ... VIRTIO_COMMON_QUEUE_DESCRIPTORS + 6:
		return field_get(queue->descriptors, offset - VIRTIO_COMMON_QUEUE_DESCRIPTORS);
	case VIRTIO_COMMON_QUEUE_DRIVER ... VIRTIO_COMMON_QUEUE_DRIVER + 6:
		return field_get(queue->driver, offset - VIRTIO_COMMON_QUEUE_DRIVER);
	case VIRTIO_COMMON_QUEUE_DEVICE ... VIRTIO_COMMON_QUEUE_DEVICE + 6:
		return field_get(queue->device, offset - VIRTIO_COMMON_QUEUE_DEVICE);
	default:
		return 0;
	}
}

static uint64_t common_read(struct virtio *virtio, uint64_t offset)
{
	uint64_t features;

	switch (offset) {
	case VIRTIO_COMMON_DEVICE_FEATURE_SELECT:
		return virtio->device_feature_select;
	case VIRTIO_COMMON_DEVICE_FEATURE:
		features = virtio_offered(virtio) & ~(uint64_t)BIT(VIRTIO_F_ANY_LAYOUT);
		return virtio->device_feature_select < 2
			? (uint32_t)(features >> 32 * virtio->device_feature_select) : 0;
	case VIRTIO_COMMON_DRIVER_FEATURE_SELECT:
		return virtio->driver_feature_select;
	case VIRTIO_COMMON_DRIVER_FEATURE:
		return virtio->driver_feature_select < 2
			? (uint32_t)(virtio->driver_features >> 32 * virtio->driver_feature_select)
			: 0;
	case VIRTIO_COMMON_CONFIG_VECTOR:
		return virtio->config_vector;
	case VIRTIO_COMMON_QUEUE_COUNT:
		return virtio_class_of(virtio)->queue_count;
	case VIRTIO_COMMON_STATUS:
		return virtio->status | (uint32_t)virtio->generation << 8;
	case VIRTIO_COMMON_GENERATION:
		return virtio->generation;
	case VIRTIO_COMMON_QUEUE_SELECT:
		return virtio->queue_select;
	default:
		return selected(virtio) != NULL
			? queue_read(selected(virtio), virtio->queue_select, offset) : 0;
	}
}

// 4.1.5.1.2.1: a vector that does not exist is not taken.
static uint16_t vector_of(uint64_t value)
{
	return (uint16_t)(value < VIRTIO_VECTORS ? value : VIRTIO_NO_VECTOR);
}

// 4.1.4.3.2: nothing of an enabled queue but its vector can be changed.
static void queue_write(struct virtio *virtio, struct virtio_queue *queue, uint64_t offset,
	unsigned size, uint64_t value)
{
	if (offset == VIRTIO_COMMON_QUEUE_VECTOR) {
		queue->vector = vector_of(value);
	} else if (offset == VIRTIO_COMMON_QUEUE_RESET) {
		if ((uint16_t)value == 1 && virtio_has(virtio, VIRTIO_F_RING_RESET))
			virtio_queue_stop(virtio, virtio->queue_select);
	} else if (!queue->enabled) {
		switch (offset) {
		case VIRTIO_COMMON_QUEUE_SIZE:
			queue->size = (uint16_t)value;
			if (queue->size > virtio_class_of(virtio)->queue_size) {
				queue->size = 0;
				virtio_break(virtio, "a queue's size is too large");
			}
			break;
		case VIRTIO_COMMON_QUEUE_ENABLE:
			if ((uint16_t)value == 1)
				virtio_queue_start(virtio, virtio->queue_select);
			break;
		case VIRTIO_COMMON_QUEUE_DESCRIPTORS:
		case VIRTIO_COMMON_QUEUE_DESCRIPTORS + 4:
			queue->descriptors = address_merge(queue->descriptors,
				offset - VIRTIO_COMMON_QUEUE_DESCRIPTORS, size, value);
			break;
		case VIRTIO_COMMON_QUEUE_DRIVER:
		case VIRTIO_COMMON_QUEUE_DRIVER + 4:
			queue->driver = address_merge(queue->driver,
				offset - VIRTIO_COMMON_QUEUE_DRIVER, size, value);
			break;
		case VIRTIO_COMMON_QUEUE_DEVICE:
		case VIRTIO_COMMON_QUEUE_DEVICE + 4:
			queue->device = address_merge(queue->device,
				offset - VIRTIO_COMMON_QUEUE_DEVICE, size, value);
			break;
		default:
			break;
		}
	}
}

static void common_write(struct virtio *virtio, uint64_t offset, unsigned size, uint64_t value)
{
	switch (offset) {
	case VIRTIO_COMMON_DEVICE_FEATURE_SELECT:
		virtio->device_feature_select = (uint32_t)value;
		break;
	case VIRTIO_COMMON_DRIVER_FEATURE_SELECT:
		virtio->driver_feature_select = (uint32_t)value;
		break;
	case VIRTIO_COMMON_DRIVER_FEATURE:
		virtio_features_write(virtio, virtio->driver_feature_select, (uint32_t)value);
		break;
	case VIRTIO_COMMON_CONFIG_VECTOR:
		virtio->config_vector = vector_of(value);
		break;
	case VIRTIO_COMMON_STATUS:
		virtio_status_write(virtio, (uint8_t)value);
		break;
	case VIRTIO_COMMON_QUEUE_SELECT:
		virtio->queue_select = (uint16_t)value;
		break;
	default:
		if (selected(virtio) != NULL)
			queue_write(virtio, selected(virtio), offset, size, value);
		break;
	}
}

static uint64_t device_config_read(const struct virtio *virtio, uint64_t offset, unsigned size)
{
	const struct virtio_class *class = virtio_class_of(virtio);
	uint64_t value = 0;

	for (unsigned i = 0; i < size; i++)
		if (offset + i < class->config_bytes)
			value |= (uint64_t)class->config_read(virtio, (unsigned)offset + i)
				<< 8 * i;
	return value;
}

static void device_config_write(struct virtio *virtio, uint64_t offset, unsigned size,
	uint64_t value)
{
	const struct virtio_class *class = virtio_class_of(virtio);

	for (unsigned i = 0; class->config_write != NULL && i < size; i++)
		if (offset + i < class->config_bytes)
			class->config_write(virtio, (unsigned)offset + i,
				(uint8_t)(value >> 8 * i));
}

static uint64_t modern_read(struct virtio *virtio, uint64_t offset, unsigned size)
{
	switch (offset / VIRTIO_PART_BYTES * VIRTIO_PART_BYTES) {
	case VIRTIO_COMMON_AT:
		return offset < VIRTIO_COMMON_BYTES ? common_read(virtio, offset) : UINT64_MAX;
	case VIRTIO_ISR_AT:
		return offset == VIRTIO_ISR_AT ? virtio_isr_take(virtio) : 0;
	case VIRTIO_DEVICE_AT:
		return device_config_read(virtio, offset - VIRTIO_DEVICE_AT, size);
	default:
		return 0;
	}
}

static void modern_write(struct virtio *virtio, struct guest_time now, uint64_t offset,
	unsigned size, uint64_t value)
{
	switch (offset / VIRTIO_PART_BYTES * VIRTIO_PART_BYTES) {
	case VIRTIO_COMMON_AT:
		common_write(virtio, offset, size, value);
		break;
	case VIRTIO_DEVICE_AT:
		device_config_write(virtio, offset - VIRTIO_DEVICE_AT, size, value);
		break;
	case VIRTIO_NOTIFY_AT:
		virtio_notify(virtio, now,
			(unsigned)(offset - VIRTIO_NOTIFY_AT) / VIRTIO_NOTIFY_MULTIPLIER);
		break;
	default:
		break;
	}
}

// 4.1.4.10: with MSI-X on, vectors stand before the device's configuration.
static uint64_t legacy_device_at(const struct virtio *virtio)
{
	return VIRTIO_LEGACY_DEVICE +
		(pcidev_msix_is_on(&virtio->pci, VIRTIO_CAPABILITY_MSIX) ? 4u : 0);
}

static uint64_t legacy_read(struct virtio *virtio, uint64_t offset, unsigned size)
{
	const struct virtio_queue *queue = selected(virtio);

	if (offset >= legacy_device_at(virtio))
		return device_config_read(virtio, offset - legacy_device_at(virtio), size);
	switch (offset) {
	case VIRTIO_LEGACY_DEVICE_FEATURES:
		return (uint32_t)virtio_offered(virtio);
	case VIRTIO_LEGACY_DRIVER_FEATURES:
		return (uint32_t)virtio->driver_features;
	case VIRTIO_LEGACY_QUEUE_PAGE:
		return queue != NULL ? queue->descriptors / VIRTIO_LEGACY_ALIGNMENT : 0;
	case VIRTIO_LEGACY_QUEUE_SIZE:
		return queue != NULL ? virtio_class_of(virtio)->queue_size : 0;
	case VIRTIO_LEGACY_QUEUE_SELECT:
		return virtio->queue_select;
	case VIRTIO_LEGACY_STATUS:
		return virtio->status;
	case VIRTIO_LEGACY_ISR:
		return virtio_isr_take(virtio);
	case VIRTIO_LEGACY_CONFIG_VECTOR:
		return virtio->config_vector;
	case VIRTIO_LEGACY_QUEUE_VECTOR:
		return queue != NULL ? queue->vector : VIRTIO_NO_VECTOR;
	default:
		return UINT64_MAX;
	}
}

// 2.7.2: the parts lie one behind the other, the last on a page of its own.
static void legacy_queue_place(struct virtio *virtio, uint32_t page)
{
	struct virtio_queue *queue = selected(virtio);
	uint64_t end;

	if (queue == NULL)
		return;
	if (page == 0) {
		virtio_queue_stop(virtio, virtio->queue_select);
		return;
	}
	if (queue->enabled)
		return;
	queue->descriptors = (uint64_t)page * VIRTIO_LEGACY_ALIGNMENT;
	queue->driver = queue->descriptors + queue->size * sizeof(struct virtio_descriptor);
	end = queue->driver + VIRTIO_AVAILABLE_RING + 2u * queue->size + 2;
	queue->device = ALIGN_UP(end, VIRTIO_LEGACY_ALIGNMENT);
	virtio_queue_start(virtio, virtio->queue_select);
}

static void legacy_write(struct virtio *virtio, uint64_t offset, unsigned size, uint64_t value)
{
	virtio->legacy |= offset == VIRTIO_LEGACY_DRIVER_FEATURES ||
		(offset == VIRTIO_LEGACY_STATUS && (uint8_t)value != 0);
	if (offset >= legacy_device_at(virtio)) {
		device_config_write(virtio, offset - legacy_device_at(virtio), size, value);
		return;
	}
	switch (offset) {
	case VIRTIO_LEGACY_DRIVER_FEATURES:
		virtio_features_write(virtio, 0, (uint32_t)value);
		break;
	case VIRTIO_LEGACY_QUEUE_PAGE:
		legacy_queue_place(virtio, (uint32_t)value);
		break;
	case VIRTIO_LEGACY_QUEUE_SELECT:
		virtio->queue_select = (uint16_t)value;
		break;
	case VIRTIO_LEGACY_STATUS:
		virtio_status_write(virtio, (uint8_t)value);
		break;
	case VIRTIO_LEGACY_CONFIG_VECTOR:
		virtio->config_vector = vector_of((uint16_t)value);
		break;
	case VIRTIO_LEGACY_QUEUE_VECTOR:
		if (selected(virtio) != NULL)
			selected(virtio)->vector = vector_of((uint16_t)value);
		break;
	default:
		break;
	}
}

static uint64_t msix_read(const struct virtio *virtio, uint64_t offset, unsigned size)
{
	if (offset + size <= VIRTIO_VECTORS * PCIDEV_MSIX_ENTRY_BYTES)
		return pcidev_msix_read(&virtio->msix, offset, size);
	if (offset >= VIRTIO_MSIX_PENDING_AT)
		return pcidev_msix_pending(&virtio->msix, offset - VIRTIO_MSIX_PENDING_AT, size);
	return UINT64_MAX;
}

static uint64_t memory_read(struct virtio *virtio, unsigned bar, uint64_t offset, unsigned size)
{
	switch (bar) {
	case VIRTIO_BAR_LEGACY:
		return legacy_read(virtio, offset, size);
	case VIRTIO_BAR_MSIX:
		return msix_read(virtio, offset, size);
	default:
		return modern_read(virtio, offset, size);
	}
}

static void memory_write(struct virtio *virtio, struct guest_time now, unsigned bar,
	uint64_t offset, unsigned size, uint64_t value)
{
	switch (bar) {
	case VIRTIO_BAR_LEGACY:
		legacy_write(virtio, offset, size, value);
		break;
	case VIRTIO_BAR_MSIX:
		if (offset + size <= VIRTIO_VECTORS * PCIDEV_MSIX_ENTRY_BYTES)
			pcidev_msix_write(&virtio->pci, VIRTIO_CAPABILITY_MSIX, &virtio->msix,
				offset, size, value);
		break;
	default:
		modern_write(virtio, now, offset, size, value);
		break;
	}
}

// 4.1.4.9: the modern registers through configuration space, for who cannot map them.
struct access {
	uint64_t offset;
	unsigned size; // 0: nothing that can be accessed
	uint32_t reserved;
};

static struct access access_of(const struct virtio *virtio)
{
	struct access access = {
		pcidev_get(&virtio->pci, VIRTIO_CAPABILITY_ACCESS + ACCESS_OFFSET, 4),
		pcidev_get(&virtio->pci, VIRTIO_CAPABILITY_ACCESS + ACCESS_BYTES, 4), 0};

	if (pcidev_get(&virtio->pci, VIRTIO_CAPABILITY_ACCESS + ACCESS_BAR, 1) !=
			VIRTIO_BAR_MODERN ||
		(access.size != 1 && access.size != 2 && access.size != 4) ||
		access.offset % access.size != 0 ||
		access.offset + access.size > VIRTIO_MODERN_BYTES)
		access.size = 0;
	return access;
}

static bool touches_data(uint64_t offset, unsigned size)
{
	const uint64_t data = VIRTIO_CAPABILITY_ACCESS + ACCESS_DATA;

	return offset < data + 4 && offset + size > data;
}

uint64_t virtio_read(struct device *device, struct guest_time now, unsigned region,
	uint64_t offset, unsigned size)
{
	struct virtio *virtio = virtio_of(device);

	(void)now;
	if (region != PCIDEV_REGION_CONFIG)
		return memory_read(virtio, region, offset, size);
	if (touches_data(offset, size)) {
		struct access access = access_of(virtio);

		if (access.size != 0)
			pcidev_set(&virtio->pci, VIRTIO_CAPABILITY_ACCESS + ACCESS_DATA,
				access.size,
				(uint32_t)modern_read(virtio, access.offset, access.size));
	}
	return pcidev_read(&virtio->pci, offset, size);
}

static void config_write(struct virtio *virtio, struct guest_time now, uint64_t offset,
	unsigned size, uint64_t value)
{
	struct access access;

	pcidev_write(&virtio->pci, offset, size, value);
	pcidev_msix_update(&virtio->pci, VIRTIO_CAPABILITY_MSIX, &virtio->msix);
	if (!touches_data(offset, size))
		return;
	access = access_of(virtio);
	if (access.size != 0)
		modern_write(virtio, now, access.offset, access.size,
			pcidev_get(&virtio->pci, VIRTIO_CAPABILITY_ACCESS + ACCESS_DATA,
				access.size));
}

// All but notifications, which tell only that there is something in them, and the table of vectors.
static bool concerns_queues(unsigned region, uint64_t offset)
{
	switch (region) {
	case VIRTIO_BAR_MSIX:
		return false;
	case VIRTIO_BAR_MODERN:
		return offset < VIRTIO_NOTIFY_AT;
	default:
		return true;
	}
}

void virtio_write(struct device *device, struct guest_time now, unsigned region, uint64_t offset,
	unsigned size, uint64_t value)
{
	struct virtio *virtio = virtio_of(device);
	bool concerns;

	if (likely(region == VIRTIO_BAR_LEGACY && offset == VIRTIO_LEGACY_NOTIFY)) {
		virtio_notify(virtio, now, (uint16_t)value);
		return;
	}
	concerns = concerns_queues(region, offset);
	if (concerns)
		virtio_queues_take(virtio);
	if (region != PCIDEV_REGION_CONFIG)
		memory_write(virtio, now, region, offset, size, value);
	else
		config_write(virtio, now, offset, size, value);
	if (concerns)
		virtio_queues_settle(virtio);
}
