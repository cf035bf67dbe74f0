// SPDX-License-Identifier: BSD-2-Clause
// What a loaded state may say of queues, and what it may say beside its guest's memory.
//
// A state that contradicts itself is refused: nobody but who made it up can have written that. What
// a guest can have brought about, by writing where it must not, breaks the device for it as if it
// had been noticed there and then.
//
// Called by virtio devices alone.
#include "emul/virtio_internal.h"
#include "emul/virtio_ring.h"

static unsigned flying_count(const struct virtio_queue *queue)
{
	unsigned count = 0;

	for (unsigned id = 0; id < VIRTIO_QUEUE_SIZE_MAX; id++)
		count += virtio_is_flying(queue, id);
	return count;
}

// Each chain that was popped and not pushed is in flight, and the driver is told of what was pushed
// before a stimulus ends.
static const char *indexes_check(const struct virtio_queue *queue, struct virtio_ring ring,
	bool broken)
{
	const struct virtio_ring_ops *ops = virtio_ops_of(ring);
	unsigned count = flying_count(queue), distance;

	if (!ops->distance(queue, &distance))
		return "a queue's indexes are further apart than its size, or beyond it";
	if (broken)
		return NULL;
	if (count > distance || (count == 0 && distance != 0) ||
		(!ring.packed && count != distance))
		return "a queue's indexes contradict what is in flight";
	if (queue->was_signalled ? queue->signalled != ops->signal(queue)
		: queue->used != 0 || !queue->used_wrap)
		return "a queue's used index is not the one that its driver was told of";
	return NULL;
}

const char *virtio_queue_check(const struct virtio_queue *queue, struct virtio_ring ring,
	bool broken)
{
	const char *reason;

	if (!queue->enabled && (queue->flying[0] | queue->flying[1]) != 0)
		return "chains of a queue that is not enabled";
	if (!queue->enabled)
		return queue->next == 0 && queue->used == 0 && queue->signalled == 0 &&
				queue->next_wrap && queue->used_wrap && !queue->was_signalled
			? NULL : "indexes of a queue that is not enabled";
	reason = virtio_queue_form(queue, ring);
	if (reason != NULL)
		return reason;
	for (unsigned id = queue->size; id < VIRTIO_QUEUE_SIZE_MAX; id++)
		if (virtio_is_flying(queue, id))
			return "a chain beyond its ring";
	return indexes_check(queue, ring, broken);
}

const char *virtio_queue_check_flights(const struct virtio_queue *queue, struct virtio_ring ring,
	bool broken, const struct virtio_used *flights, unsigned count, bool others)
{
	struct virtio_queue seen = *queue;
	unsigned slots = 0, distance, lost;

	for (unsigned i = 0; i < count; i++) {
		const struct virtio_used *flight = &flights[i];

		if (flight->id >= queue->size || !virtio_is_flying(queue, flight->id))
			return "a chain that is not in flight";
		if (!virtio_is_flying(&seen, flight->id))
			return "a chain in flight twice";
		virtio_set_flying(&seen, flight->id, false);
		if (flight->slots == 0 || (!ring.packed && flight->slots != 1))
			return "a chain of an impossible length";
		slots += flight->slots;
	}
	lost = flying_count(&seen);
	if (lost != 0 && !others && !broken)
		return "a chain in flight that nobody has";
	if (ring.packed &&
		(!virtio_ops_of(ring)->distance(queue, &distance) || slots + lost > distance ||
		(lost == 0 && !broken && slots != distance)))
		return "chains whose lengths are not what their queue has in flight";
	return NULL;
}

// Of a state that is checked before anything is derived from it.
static struct virtio_ring ring_of(const struct virtio *virtio)
{
	return virtio_ring_of(virtio->driver_features);
}

static bool is_broken(const struct virtio *virtio)
{
	return (virtio->status & VIRTIO_STATUS_NEEDS_RESET) != 0;
}

const char *virtio_check(const struct virtio *virtio, const struct virtio_class *class)
{
	const char *reason = pcidev_check(&virtio->pci, &class->pci);

	if (reason == NULL && (virtio->driver_features & ~class->features) != 0 &&
		(virtio->status & VIRTIO_STATUS_FEATURES_OK))
		reason = "features that are not offered";
	for (unsigned i = 0; i < VIRTIO_QUEUES_MAX && reason == NULL; i++) {
		const struct virtio_queue *queue = &virtio->queues[i];

		if (i >= class->queue_count && (queue->enabled || queue->size != 0))
			return "a queue that is not there";
		reason = virtio_queue_check(queue, ring_of(virtio), is_broken(virtio));
	}
	return reason;
}

const char *virtio_check_flights(const struct virtio *virtio, unsigned queue,
	const struct virtio_used *flights, unsigned count, bool others)
{
	if (!virtio->queues[queue].enabled)
		return count == 0 ? NULL : "a chain of a queue that is not enabled";
	return virtio_queue_check_flights(&virtio->queues[queue], ring_of(virtio),
		is_broken(virtio), flights, count, others);
}

const char *virtio_check_idle(const struct virtio *virtio, const struct virtio_class *class,
	int but)
{
	const char *reason = virtio_check(virtio, class);

	for (unsigned i = 0; i < class->queue_count && reason == NULL; i++)
		if ((int)i != but)
			reason = virtio_check_flights(virtio, i, NULL, 0, false);
	return reason;
}

void virtio_verify(struct device *device, struct guest_time now)
{
	struct virtio *virtio = virtio_of(device);

	(void)now;
	for (unsigned i = 0; i < virtio_class_of(virtio)->queue_count; i++) {
		const char *reason = NULL;

		if (virtio_queue_is_live(virtio, i))
			reason = virtio_queue_verify(device, &virtio->queues[i],
				ring_of(virtio));
		if (reason != NULL)
			virtio_break(virtio, reason);
	}
}
