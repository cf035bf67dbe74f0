// SPDX-License-Identifier: BSD-2-Clause
// Between virtio.c and virtio_pci.c.
#ifndef EMUL_VIRTIO_INTERNAL_H
#define EMUL_VIRTIO_INTERNAL_H

#include "emul/virtio.h"

static inline struct virtio_ring virtio_ring_of(uint64_t features)
{
	return (struct virtio_ring){
		.packed = (features & BIT(VIRTIO_F_RING_PACKED)) != 0,
		.indirect = (features & BIT(VIRTIO_F_INDIRECT_DESC)) != 0,
		.event_index = (features & BIT(VIRTIO_F_EVENT_IDX)) != 0,
		.in_order = (features & BIT(VIRTIO_F_IN_ORDER)) != 0,
	};
}

uint64_t virtio_offered(const struct virtio *virtio); // features
void virtio_status_write(struct virtio *virtio, uint8_t status);
void virtio_features_write(struct virtio *virtio, unsigned word, uint32_t bits);
void virtio_queue_start(struct virtio *virtio, unsigned queue);
void virtio_queue_stop(struct virtio *virtio, unsigned queue);
void virtio_notify(struct virtio *virtio, struct guest_time now, unsigned queue);
// Reading it clears it, and the interrupt.
uint8_t virtio_isr_take(struct virtio *virtio);

// By its vector, or by the pin.
void virtio_interrupt(struct virtio *virtio, uint16_t vector, uint8_t reason);
void virtio_hush(struct virtio *virtio, unsigned queue);

// virtio_plane.c
void virtio_plane_clear(struct virtio *virtio);
// If they can go, and to somebody.
void virtio_queues_give(struct virtio *virtio);

#endif
