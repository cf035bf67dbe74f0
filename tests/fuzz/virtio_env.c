// SPDX-License-Identifier: BSD-2-Clause
#include "tests/fuzz/virtio_env.h"

// Where queues begin. A legacy one's parts lie one behind the other, in two pages.
enum { RING = 0x1000, DRIVER = 0x2000, DEVICE = 0x3000, QUEUE_SIZE = 8, LEGACY_PAGES = 3 };

enum status env_give_queues(struct device *device)
{
	(void)device;
	return STATUS_UNSUPPORTED;
}

void env_take_queues(struct device *device)
{
	(void)device;
}

static void modern_out(uint64_t offset, unsigned size, uint64_t value)
{
	env_write(VIRTIO_BAR_MODERN, offset, size, value);
}

// A vector each, not masked.
static void messages_begin(unsigned vectors)
{
	env_write(PCIDEV_REGION_CONFIG, VIRTIO_CAPABILITY_MSIX + 2, 2, 0x8000);
	for (unsigned vector = 0; vector < vectors; vector++) {
		env_write(VIRTIO_BAR_MSIX, vector * 16, 8, 0xfee00000);
		env_write(VIRTIO_BAR_MSIX, vector * 16 + 8, 8, 0x40 + vector);
	}
}

static void legacy_begin(unsigned queues)
{
	env_write(VIRTIO_BAR_LEGACY, VIRTIO_LEGACY_STATUS, 1, 3);
	env_write(VIRTIO_BAR_LEGACY, VIRTIO_LEGACY_DRIVER_FEATURES, 4, UINT32_MAX);
	for (unsigned queue = 0; queue < queues; queue++) {
		env_write(VIRTIO_BAR_LEGACY, VIRTIO_LEGACY_QUEUE_SELECT, 2, queue);
		env_write(VIRTIO_BAR_LEGACY, VIRTIO_LEGACY_QUEUE_PAGE, 4, 1 + LEGACY_PAGES * queue);
	}
	env_write(VIRTIO_BAR_LEGACY, VIRTIO_LEGACY_STATUS, 1, 7);
}

static void features_begin(unsigned how, uint32_t features)
{
	uint32_t low = features | 1u << VIRTIO_F_INDIRECT_DESC, high = 0;

	if (how & BEGIN_EVENTS)
		low |= 1u << VIRTIO_F_EVENT_IDX;
	if (how & BEGIN_PACKED)
		high |= 1u << (VIRTIO_F_RING_PACKED - 32);
	if (how & BEGIN_ORDER)
		high |= 1u << (VIRTIO_F_IN_ORDER - 32);
	high |= 1u << (VIRTIO_F_VERSION_1 - 32) | 1u << (VIRTIO_F_RING_RESET - 32);
	modern_out(VIRTIO_COMMON_STATUS, 1, 3);
	modern_out(VIRTIO_COMMON_DRIVER_FEATURE, 4, low);
	modern_out(VIRTIO_COMMON_DRIVER_FEATURE_SELECT, 4, 1);
	modern_out(VIRTIO_COMMON_DRIVER_FEATURE, 4, high);
	modern_out(VIRTIO_COMMON_STATUS, 1, 11);
}

void virtio_begin(unsigned how, uint32_t features, unsigned queues, uint64_t step)
{
	if (!(how & BEGIN_READY))
		return;
	env_write(PCIDEV_REGION_CONFIG, PCIDEV_COMMAND, 2, 7);
	if (how & BEGIN_MESSAGES)
		messages_begin(queues);
	if (how & BEGIN_LEGACY) {
		legacy_begin(queues);
		return;
	}
	features_begin(how, features);
	for (unsigned queue = 0; queue < queues; queue++) {
		modern_out(VIRTIO_COMMON_QUEUE_SELECT, 2, queue);
		modern_out(VIRTIO_COMMON_QUEUE_SIZE, 2, QUEUE_SIZE);
		modern_out(VIRTIO_COMMON_QUEUE_DESCRIPTORS, 8, RING + queue * step);
		modern_out(VIRTIO_COMMON_QUEUE_DRIVER, 8, DRIVER + queue * step);
		modern_out(VIRTIO_COMMON_QUEUE_DEVICE, 8, DEVICE + queue * step);
		modern_out(VIRTIO_COMMON_QUEUE_VECTOR, 2, queue);
		modern_out(VIRTIO_COMMON_QUEUE_ENABLE, 2, 1);
	}
	modern_out(VIRTIO_COMMON_STATUS, 1, 15);
}

static void access(struct input *input, unsigned region, uint64_t bytes, bool write)
{
	unsigned size = 1u << take(input, 1) % (region == PCIDEV_REGION_CONFIG ||
		region == VIRTIO_BAR_LEGACY ? 3 : 4);
	uint64_t offset = take(input, 2) % (bytes - size + 1);

	if (write)
		env_write(region, offset, size, take(input, size < 4 ? size : 4));
	else
		(void)env_read(region, offset, size);
}

void virtio_step(struct input *input, void (*own)(struct input *input, unsigned what))
{
	unsigned what = (unsigned)take(input, 1);

	switch (what % 16) {
	case 0 ... 3:
		env_ram_write(input);
		break;
	case 4 ... 5:
		modern_out(VIRTIO_NOTIFY_AT + what / 16 * VIRTIO_NOTIFY_MULTIPLIER, 2, 0);
		break;
	case 6:
		own(input, what);
		break;
	case 7:
		env_time_pass(1000000);
		break;
	case 8 ... 9:
		access(input, VIRTIO_BAR_MODERN, what < 128 ? VIRTIO_COMMON_BYTES
							    : VIRTIO_MODERN_BYTES, what % 2);
		break;
	case 10 ... 11:
		access(input, VIRTIO_BAR_LEGACY, VIRTIO_LEGACY_BYTES, what % 2);
		break;
	case 12 ... 13:
		access(input, what < 64 ? VIRTIO_BAR_MSIX : PCIDEV_REGION_CONFIG,
			what < 64 ? VIRTIO_MSIX_BYTES : PCIDEV_CONFIG_BYTES, what % 2);
		break;
	case 14:
		env_save_and_load();
		break;
	default:
		env_load_altered(input);
		break;
	}
	env_check();
}
