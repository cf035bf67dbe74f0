// SPDX-License-Identifier: BSD-2-Clause
// Queues of a virtio device that another core serves: emul/device.h, data plane.
//
// The queues go when the driver is ready and nothing is in flight, and come back before anything
// that concerns them is written. While they are away the driver is told not to notify, until that
// core has nothing to do: then `serve` asks for a notification, and looks once more.
//
//   HERE --virtio_queues_give--> AWAY --virtio_queues_take, virtio_recall--> HERE
//
// Called by virtio devices, and by who serves the queues.
#include "emul/virtio_internal.h"

void virtio_plane_clear(struct virtio *virtio)
{
	virtio->away = virtio->last = virtio->stays = virtio->shall_go = false;
	virtio->hushed = 0;
	virtio->noted = 0;
	virtio->popped = 0;
	virtio->fault = NULL;
}

static bool any_is_live(const struct virtio *virtio)
{
	for (unsigned i = 0; i < virtio_class_of(virtio)->queue_count; i++)
		if (virtio_queue_is_live(virtio, i))
			return true;
	return false;
}

void virtio_queues_give(struct virtio *virtio)
{
	const struct virtio_class *class = virtio_class_of(virtio);
	enum status status;

	virtio->stays |= class->is_idle == NULL;
	if (virtio->away || virtio->stays || !any_is_live(virtio))
		return;
	virtio->shall_go = !class->is_idle(virtio);
	if (virtio->shall_go)
		return;
	virtio->away = true; // before that core looks
	status = device_give_queues(&virtio->pci.device);
	if (status == STATUS_OK)
		return;
	virtio->away = false;
	virtio->shall_go = status == STATUS_BUSY;
	virtio->stays = status == STATUS_UNSUPPORTED;
}

// Interrupts, and an error, as if they came about here.
static void notes_carry_out(struct virtio *virtio)
{
	const char *fault = virtio->fault;
	uint16_t noted = virtio->noted;

	virtio->fault = NULL;
	virtio->noted = 0;
	for (unsigned i = 0; i < VIRTIO_QUEUES_MAX; i++)
		if (noted & BIT(i))
			virtio_interrupt(virtio, virtio->queues[i].vector, VIRTIO_ISR_QUEUE);
	if (fault != NULL)
		virtio_break(virtio, fault);
}

// A notification that was passed on may not have been looked at there: every queue is looked at
// here, as if its driver had been told not to notify.
static void come_home(struct virtio *virtio)
{
	virtio->away = false;
	virtio->hushed = (uint16_t)(BIT(virtio_class_of(virtio)->queue_count) - 1);
	notes_carry_out(virtio);
}

void virtio_queues_take(struct virtio *virtio)
{
	if (!virtio->away)
		return;
	device_take_queues(&virtio->pci.device);
	come_home(virtio);
}

// Drivers notify again, and what they have made available meanwhile is looked at.
static void listen_later(struct virtio *virtio)
{
	const struct virtio_class *class = virtio_class_of(virtio);

	for (unsigned i = 0; virtio->hushed != 0; i++) {
		bool hushed = (virtio->hushed & BIT(i)) != 0;

		virtio->hushed &= (uint16_t)~BIT(i);
		if (hushed && virtio_queue_is_live(virtio, i))
			class->look_later(virtio, i);
	}
}

void virtio_queues_settle(struct virtio *virtio)
{
	virtio_queues_give(virtio);
	if (!virtio->away)
		listen_later(virtio);
}

unsigned virtio_serve(struct device *device, bool last)
{
	struct virtio *virtio = virtio_of(device);
	const struct virtio_class *class = virtio_class_of(virtio);
	uint64_t before = virtio->popped;

	virtio->last = last;
	for (unsigned i = 0; i < class->queue_count; i++) {
		if (!virtio_queue_is_live(virtio, i))
			continue;
		if (!last && !(virtio->hushed & BIT(i)))
			virtio_hush(virtio, i);
		class->notified(virtio, GUEST_TIME_NEVER, i);
	}
	return (virtio->popped != before ? (unsigned)DEVICE_SERVED_WORK : 0) |
		(virtio->noted != 0 || virtio->fault != NULL ? (unsigned)DEVICE_SERVED_NOTE : 0);
}

void virtio_served(struct device *device, struct guest_time now)
{
	struct virtio *virtio = virtio_of(device);

	(void)now;
	virtio->away = false; // for what is done now: who has the queues is here
	notes_carry_out(virtio);
	virtio->away = true;
}

void virtio_recall(struct device *device, struct guest_time now)
{
	struct virtio *virtio = virtio_of(device);

	(void)now;
	come_home(virtio);
	listen_later(virtio);
	virtio->shall_go = true;
}
