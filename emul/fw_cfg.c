// SPDX-License-Identifier: BSD-2-Clause
// QEMU's firmware configuration device: blobs by number, read through a port or by DMA.
//
// Specification: QEMU's docs/specs/fw_cfg.rst.
//
// A transfer is carried out in parts of PART_BYTES: the first when its description's address is
// written, the others in bottom halves. Until its end others, and the ports, find the device busy:
// an address written is dropped, and the data port reads zeros. Guests see neither, for they wait
// for the transfer that they asked for.
//
// Left out on purpose: writing. No item can be: the data port drops bytes, and a transfer that
// would write fails, as for any of QEMU's items that is read-only.
//
// Entered by the VM's bus only.
#include "emul/fw_cfg.h"

#include <string.h>

enum {
	PART_BYTES = 16 * 1024,
	ZEROS_BYTES = 512,

	CONTROL_ERROR = 0x01,
	CONTROL_READ = 0x02,
	CONTROL_SKIP = 0x04,
	CONTROL_SELECT = 0x08,
	CONTROL_WRITE = 0x10,
	CONTROL_KEY_SHIFT = 16,

	BOTTOM_HALF_TRANSFER = 0,
};

// What a DMA address register reads: "QEMU CFG", big-endian.
#define DMA_SIGNATURE UINT64_C(0x51454d5520434647)

// A transfer's description in guest memory. All big-endian.
struct description {
	uint32_t control;
	uint32_t bytes;
	uint64_t address;
};

struct fw_cfg {
	struct device device;
	uint64_t dma_address;    // as far as it is written
	uint64_t transfer;       // where its description is, while `left` counts
	uint64_t transfer_to;
	uint32_t transfer_left;  // bytes; 0: none is under way
	uint32_t offset;         // of the data port, in the item
	uint16_t key;
	uint8_t reserved[6];
	const void *items; // struct fw_cfg_item
	uint64_t item_count;
};

static struct fw_cfg *fw_cfg_of(struct device *device)
{
	return CONTAINER_OF(device, struct fw_cfg, device);
}

void fw_cfg_configure(struct device *device, const struct fw_cfg_item *items, uint32_t count)
{
	struct fw_cfg *cfg = fw_cfg_of(device);

	cfg->items = items;
	cfg->item_count = count;
}

// What is left of the selected item; *bytes 0: nothing.
static const uint8_t *item_rest(const struct fw_cfg *cfg, uint32_t *bytes)
{
	for (uint64_t i = 0; i < cfg->item_count; i++) {
		const struct fw_cfg_item *item = (const struct fw_cfg_item *)cfg->items + i;

		if (item->key != cfg->key || cfg->offset >= item->bytes)
			continue;
		*bytes = item->bytes - cfg->offset;
		return (const uint8_t *)item->data + cfg->offset;
	}
	*bytes = 0;
	return NULL;
}

static void offset_advance(struct fw_cfg *cfg, uint32_t bytes)
{
	cfg->offset = bytes > UINT32_MAX - cfg->offset ? UINT32_MAX : cfg->offset + bytes;
}

static void select(struct fw_cfg *cfg, uint16_t key)
{
	cfg->key = key;
	cfg->offset = 0;
}

static uint8_t byte_read(struct fw_cfg *cfg)
{
	uint32_t left;
	const uint8_t *rest = item_rest(cfg, &left);

	if (cfg->transfer_left != 0)
		return 0;
	offset_advance(cfg, 1);
	return left > 0 ? rest[0] : 0;
}

// The end: the guest waits for the control field.
static void transfer_end(struct fw_cfg *cfg, bool good)
{
	uint32_t control = good ? 0 : __builtin_bswap32(CONTROL_ERROR);

	cfg->transfer_left = 0;
	if (device_dma_write(&cfg->device, (struct gpa){cfg->transfer}, &control,
		    sizeof(control)) != STATUS_OK)
		device_report(&cfg->device, "a transfer's description is not in RAM");
}

// Bytes of the item, and zeros behind them.
static enum status part_write(struct fw_cfg *cfg, uint32_t bytes)
{
	static const uint8_t zeros[ZEROS_BYTES];
	struct gpa to = {cfg->transfer_to};
	uint32_t there;
	const uint8_t *rest = item_rest(cfg, &there);
	enum status status = STATUS_OK;

	if (there > bytes)
		there = bytes;
	if (there > 0)
		status = device_dma_write(&cfg->device, to, rest, there);
	for (uint32_t done = there, part; done < bytes && status == STATUS_OK; done += part) {
		part = bytes - done < ZEROS_BYTES ? bytes - done : ZEROS_BYTES;
		status = device_dma_write(&cfg->device, (struct gpa){to.v + done}, zeros, part);
	}
	return status;
}

static void transfer_go_on(struct fw_cfg *cfg)
{
	uint32_t part = cfg->transfer_left < PART_BYTES ? cfg->transfer_left : PART_BYTES;

	if (part > 0 && part_write(cfg, part) != STATUS_OK) {
		transfer_end(cfg, false);
		return;
	}
	offset_advance(cfg, part);
	cfg->transfer_to += part;
	cfg->transfer_left -= part;
	if (cfg->transfer_left == 0)
		transfer_end(cfg, true);
	else
		device_schedule_bottom_half(&cfg->device, BOTTOM_HALF_TRANSFER);
}

static void transfer_begin(struct fw_cfg *cfg, struct gpa at)
{
	struct description description;
	uint32_t control, bytes;

	if (device_dma_read(&cfg->device, at, &description, sizeof(description)) != STATUS_OK)
		return; // nowhere to say so
	control = __builtin_bswap32(description.control);
	bytes = __builtin_bswap32(description.bytes);
	cfg->transfer = at.v;
	cfg->transfer_to = __builtin_bswap64(description.address);
	if (control & CONTROL_SELECT)
		select(cfg, (uint16_t)(control >> CONTROL_KEY_SHIFT));
	if (control & CONTROL_READ) {
		cfg->transfer_left = bytes;
		transfer_go_on(cfg);
	} else if (control & CONTROL_WRITE) {
		transfer_end(cfg, bytes == 0);
	} else {
		if (control & CONTROL_SKIP)
			offset_advance(cfg, bytes);
		transfer_end(cfg, true);
	}
}

static void fw_cfg_reset(struct device *device, struct guest_time now, enum device_reset kind)
{
	struct fw_cfg *cfg = fw_cfg_of(device);

	(void)now;
	(void)kind;
	select(cfg, 0);
	cfg->dma_address = cfg->transfer = cfg->transfer_to = 0;
	cfg->transfer_left = 0;
	memset(cfg->reserved, 0, sizeof(cfg->reserved));
}

static uint64_t fw_cfg_read(struct device *device, struct guest_time now, unsigned region,
	uint64_t offset, unsigned size)
{
	struct fw_cfg *cfg = fw_cfg_of(device);

	(void)now;
	if (region == FW_CFG_REGION_SELECTOR)
		return size == 1 ? byte_read(cfg) : UINT64_MAX;
	// As bytes in memory they are in the order of the signature.
	return __builtin_bswap64(DMA_SIGNATURE) >> 8 * offset;
}

// The register has its upper half at the lower port; writing the lower half starts a transfer.
static void dma_write(struct fw_cfg *cfg, uint64_t offset, unsigned size, uint64_t value)
{
	uint64_t address = cfg->dma_address;

	if (size == 8)
		address = __builtin_bswap64(value);
	else if (size == 4 && offset == 0)
		address = (uint64_t)__builtin_bswap32((uint32_t)value) << 32;
	else if (size == 4 && offset == 4)
		address |= __builtin_bswap32((uint32_t)value);
	else
		return;
	cfg->dma_address = address;
	if (offset + size < FW_CFG_DMA_PORT_BYTES)
		return;
	cfg->dma_address = 0;
	if (cfg->transfer_left == 0)
		transfer_begin(cfg, (struct gpa){address});
}

static void fw_cfg_write(struct device *device, struct guest_time now, unsigned region,
	uint64_t offset, unsigned size, uint64_t value)
{
	struct fw_cfg *cfg = fw_cfg_of(device);

	(void)now;
	if (region == FW_CFG_REGION_DMA)
		dma_write(cfg, offset, size, value);
	else if (size == FW_CFG_PORT_BYTES && cfg->transfer_left == 0)
		select(cfg, (uint16_t)value);
}

static void fw_cfg_bottom_half(struct device *device, struct guest_time now, unsigned bottom_half)
{
	(void)now;
	(void)bottom_half;
	transfer_go_on(fw_cfg_of(device));
}

static const struct state_field fw_cfg_fields[] = {
	STATE_DERIVED(struct fw_cfg, device),
	STATE_ANY(struct fw_cfg, dma_address),
	STATE_ANY(struct fw_cfg, transfer),
	STATE_ANY(struct fw_cfg, transfer_to),
	STATE_ANY(struct fw_cfg, transfer_left),
	STATE_ANY(struct fw_cfg, offset),
	STATE_ANY(struct fw_cfg, key),
	STATE_PAD(struct fw_cfg, reserved),
	STATE_DERIVED(struct fw_cfg, items),
	STATE_DERIVED(struct fw_cfg, item_count),
};

static const struct state_table fw_cfg_state =
	STATE_TABLE("fw_cfg", 1, struct fw_cfg, fw_cfg_fields, NULL);

const struct device_model fw_cfg_model = {
	.name = "fw_cfg",
	.description = "Firmware configuration",
	.instance_bytes = sizeof(struct fw_cfg),
	.bottom_halves = 1,
	.state = &fw_cfg_state,
	.reset = fw_cfg_reset,
	.read = fw_cfg_read,
	.write = fw_cfg_write,
	.bottom_half = fw_cfg_bottom_half,
};

DEVICE_MODEL_REGISTER(235, fw_cfg_model);
