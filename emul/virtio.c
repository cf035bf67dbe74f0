// SPDX-License-Identifier: BSD-2-Clause
// emul/virtio.h: status, features, queues and interrupts, without the registers by which a driver
// reaches them.
//
// Left out on purpose: NOTIFY_ON_EMPTY, NOTIFICATION_DATA, ACCESS_PLATFORM, ORDER_PLATFORM, SR_IOV,
// administration queues.
//
// Called by virtio devices alone.
#include "emul/virtio_internal.h"

#include <string.h>

#include "kernel/base/assert.h"

uint64_t virtio_offered(const struct virtio *virtio)
{
	const struct virtio_class *class = virtio_class_of(virtio);
	uint64_t hidden = class->hidden != NULL ? class->hidden(virtio) : 0;

	return class->features & ~hidden;
}

static void intx_update(struct virtio *virtio)
{
	pcidev_intx(&virtio->pci, virtio->isr != 0 &&
		!pcidev_msix_is_on(&virtio->pci, VIRTIO_CAPABILITY_MSIX));
}

// 4.1.5.1.3, 4.1.5.3: by its vector, or by the pin with the reason in the ISR.
void virtio_interrupt(struct virtio *virtio, uint16_t vector, uint8_t reason)
{
	if (!pcidev_msix_is_on(&virtio->pci, VIRTIO_CAPABILITY_MSIX)) {
		virtio->isr |= reason;
		intx_update(virtio);
	} else if (vector < VIRTIO_VECTORS) {
		pcidev_msix_send(&virtio->pci, VIRTIO_CAPABILITY_MSIX, &virtio->msix, vector);
	}
}

uint8_t virtio_isr_take(struct virtio *virtio)
{
	uint8_t isr = virtio->isr;

	virtio->isr = 0;
	intx_update(virtio);
	return isr;
}

void virtio_config_changed(struct virtio *virtio)
{
	virtio->generation++;
	if (virtio->status & VIRTIO_STATUS_DRIVER_OK)
		virtio_interrupt(virtio, virtio->config_vector, VIRTIO_ISR_CONFIGURATION);
}

// 2.1.2: a driver that is ready is told.
void virtio_break(struct virtio *virtio, const char *reason)
{
	if (virtio->away) {
		if (virtio->fault == NULL)
			virtio->fault = reason;
		return;
	}
	if (virtio->status & VIRTIO_STATUS_NEEDS_RESET)
		return;
	virtio->status |= VIRTIO_STATUS_NEEDS_RESET;
	device_report(&virtio->pci.device, reason);
	virtio_config_changed(virtio);
}

// 2.4, 4.1.4.3.1. Interrupts and features go; PCI's registers stay.
static void driver_reset(struct virtio *virtio)
{
	const struct virtio_class *class = virtio_class_of(virtio);

	for (unsigned i = 0; i < class->queue_count; i++) {
		if (virtio->queues[i].enabled)
			class->queue_stopped(virtio, i);
		virtio_queue_reset(&virtio->pci.device, &virtio->queues[i], class->queue_size);
	}
	virtio->driver_features = 0;
	virtio->ring = virtio_ring_of(0);
	virtio->device_feature_select = virtio->driver_feature_select = 0;
	virtio->queue_select = 0;
	virtio->config_vector = VIRTIO_NO_VECTOR;
	virtio->status = virtio->isr = 0;
	virtio->legacy = false;
	if (class->driver_reset != NULL)
		class->driver_reset(virtio);
	intx_update(virtio);
}

// Of the machine: nothing is in flight any more.
void virtio_reset(struct virtio *virtio)
{
	device_take_queues(&virtio->pci.device);
	virtio_plane_clear(virtio);
	for (unsigned i = 0; i < VIRTIO_QUEUES_MAX; i++) {
		virtio_queue_lost(&virtio->queues[i]);
		virtio_queue_reset(&virtio->pci.device, &virtio->queues[i],
			i < virtio_class_of(virtio)->queue_count
				? virtio_class_of(virtio)->queue_size : 0);
	}
	pcidev_reset(&virtio->pci);
	pcidev_msix_reset(&virtio->msix);
	virtio->generation = 0;
	driver_reset(virtio);
}

// 3.1.1: what the driver says, it cannot take back but by a reset. FEATURES_OK stays clear where
// the features cannot be had (2.2): packed rings without VERSION_1 among them.
void virtio_status_write(struct virtio *virtio, uint8_t status)
{
	uint8_t set = status & (uint8_t)~(virtio->status | VIRTIO_STATUS_NEEDS_RESET);
	uint64_t features = virtio->driver_features;

	if (status == 0) {
		driver_reset(virtio);
		return;
	}
	if ((set & VIRTIO_STATUS_FEATURES_OK) && ((features & ~virtio_offered(virtio)) != 0 ||
		!(features & BIT(VIRTIO_F_VERSION_1))))
		set &= (uint8_t)~VIRTIO_STATUS_FEATURES_OK;
	virtio->status |= set;
	if ((virtio->status & ~status & ~VIRTIO_STATUS_NEEDS_RESET) != 0)
		virtio_break(virtio, "its driver clears status bits without a reset");
	else if ((set & VIRTIO_STATUS_DRIVER_OK) && !virtio->legacy &&
		!(virtio->status & VIRTIO_STATUS_FEATURES_OK))
		virtio_break(virtio, "its driver is ready before features are negotiated");
}

static bool any_is_enabled(const struct virtio *virtio)
{
	for (unsigned i = 0; i < VIRTIO_QUEUES_MAX; i++)
		if (virtio->queues[i].enabled)
			return true;
	return false;
}

// 2.2.1: no more once they are settled, or once there is a queue that has been set up after them
// (3.1.1). The legacy interface has no FEATURES_OK, and what it
// accepts is what is offered.
void virtio_features_write(struct virtio *virtio, unsigned word, uint32_t bits)
{
	uint64_t kept = word == 0 ? ~(uint64_t)UINT32_MAX : UINT32_MAX;

	if (word > 1 || (virtio->status & (VIRTIO_STATUS_FEATURES_OK | VIRTIO_STATUS_DRIVER_OK)) ||
		any_is_enabled(virtio))
		return;
	virtio->driver_features =
		(virtio->driver_features & kept) | (uint64_t)bits << 32 * word;
	if (virtio->legacy)
		virtio->driver_features &= virtio_offered(virtio) & UINT32_MAX;
	virtio->ring = virtio_ring_of(virtio->driver_features);
}

void virtio_queue_start(struct virtio *virtio, unsigned queue)
{
	const char *reason;

	if (virtio->queues[queue].enabled)
		return;
	reason = virtio_queue_enable(&virtio->pci.device, &virtio->queues[queue],
		virtio->ring);
	if (reason != NULL)
		virtio_break(virtio, reason);
}

// 2.6.1, 4.1.4.3.1
void virtio_queue_stop(struct virtio *virtio, unsigned queue)
{
	const struct virtio_class *class = virtio_class_of(virtio);

	if (virtio->queues[queue].enabled)
		class->queue_stopped(virtio, queue);
	virtio_queue_reset(&virtio->pci.device, &virtio->queues[queue], class->queue_size);
}

void virtio_notify(struct virtio *virtio, struct guest_time now, unsigned queue)
{
	if (!virtio->stays)
		virtio_queues_give(virtio);
	if (virtio->away)
		device_kick_queues(&virtio->pci.device);
	else if (virtio_queue_is_live(virtio, queue))
		virtio_class_of(virtio)->notified(virtio, now, queue);
}

bool virtio_pop(struct virtio *virtio, unsigned queue, struct virtio_chain *chain)
{
	const char *reason;
	bool got;

	reason = virtio_queue_pop(&virtio->pci.device, &virtio->queues[queue],
		virtio->ring, chain, &got);
	if (reason != NULL)
		virtio_break(virtio, reason);
	virtio->popped += got;
	return got;
}

void virtio_unpop(struct virtio *virtio, unsigned queue, const struct virtio_chain *chain)
{
	virtio_queue_unpop(&virtio->queues[queue], virtio->ring, chain);
}

// Whether the queue is live then.
static bool listens(struct virtio *virtio, unsigned queue)
{
	const char *reason;

	if (!virtio_queue_is_live(virtio, queue))
		return false;
	if (virtio->away && !virtio->last)
		return true;
	virtio->hushed &= (uint16_t)~BIT(queue);
	reason = virtio_queue_listen(&virtio->pci.device, &virtio->queues[queue],
		virtio->ring);
	if (reason != NULL)
		virtio_break(virtio, reason);
	return reason == NULL;
}

bool virtio_pop_or_listen(struct virtio *virtio, unsigned queue, struct virtio_chain *chain)
{
	if (!chain->last) {
		if (!virtio_queue_is_live(virtio, queue))
			return false;
		if (virtio_pop(virtio, queue, chain))
			return true;
	}
	return listens(virtio, queue) && virtio_pop(virtio, queue, chain);
}

static always_inline void push_live(struct virtio *virtio, unsigned queue,
	const struct virtio_used *used, unsigned count)
{
	const char *reason;

	reason = virtio_queue_push_all(&virtio->pci.device, &virtio->queues[queue],
		virtio->ring, used, count);
	if (reason != NULL)
		virtio_break(virtio, reason);
}

void virtio_push_all(struct virtio *virtio, unsigned queue, const struct virtio_used *used,
	unsigned count)
{
	if (virtio_queue_is_live(virtio, queue))
		push_live(virtio, queue, used, count);
}

void virtio_push_live(struct virtio *virtio, unsigned queue, uint16_t id, uint16_t slots,
	uint32_t written)
{
	const struct virtio_used used = {written, id, slots};

	push_live(virtio, queue, &used, 1);
}

void virtio_push(struct virtio *virtio, unsigned queue, uint16_t id, uint16_t slots,
	uint32_t written)
{
	if (virtio_queue_is_live(virtio, queue))
		virtio_push_live(virtio, queue, id, slots, written);
}

struct virtio_queue virtio_mark(const struct virtio *virtio, unsigned queue)
{
	return virtio->queues[queue];
}

void virtio_rewind(struct virtio *virtio, unsigned queue, const struct virtio_queue *mark)
{
	virtio->queues[queue] = *mark;
}

void virtio_signal(struct virtio *virtio, unsigned queue)
{
	bool wanted = false;
	const char *reason;

	if (!virtio_queue_is_live(virtio, queue))
		return;
	reason = virtio_queue_take_signal(&virtio->pci.device, &virtio->queues[queue],
		virtio->ring, &wanted);
	if (reason != NULL)
		virtio_break(virtio, reason);
	else if (wanted && virtio->away)
		virtio->noted |= (uint16_t)BIT(queue);
	else if (wanted)
		virtio_interrupt(virtio, virtio->queues[queue].vector, VIRTIO_ISR_QUEUE);
}

void virtio_listen(struct virtio *virtio, unsigned queue)
{
	(void)listens(virtio, queue);
}

void virtio_hush(struct virtio *virtio, unsigned queue)
{
	const char *reason = virtio_queue_hush(&virtio->pci.device, &virtio->queues[queue],
		virtio->ring);

	virtio->hushed |= (uint16_t)BIT(queue);
	if (reason != NULL)
		virtio_break(virtio, reason);
}

bool virtio_level(const struct device *device, struct guest_time now, unsigned output)
{
	(void)now;
	(void)output;
	return pcidev_level(CONTAINER_OF(device, struct pcidev, device));
}

void virtio_loaded(struct virtio *virtio)
{
	virtio_plane_clear(virtio);
	for (unsigned i = 0; i < VIRTIO_QUEUES_MAX; i++)
		virtio_queue_lost(&virtio->queues[i]);
	virtio->ring = virtio_ring_of(virtio->driver_features);
	pcidev_loaded(&virtio->pci);
}
